"""Long polls: wait_ms waits for the first message; whoever waits is woken by a produce."""

import contextlib
import json
import resource
import socket
import time

from driver import LONG_POLL_MS, Together, check, same, test, together, until

ROUNDS = 40  # x LONG_POLL_MS is more than a test's limit: polls that are not woken cannot pass


@test()
def produce_wakes_the_waiting(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    ways = ({}, {"max": 5}, {"offset": None}, {"offset": None, "max": 5})
    consumers = [api.consumer(topic) for _ in ways]

    def poll(consumer_id, more, i):
        more = {k: i if k == "offset" else v for k, v in more.items()}
        answer = api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS, **more)
        if "max" in more:
            answer.succeeded(messages=[{"offset": i, "message": "m%d" % i}])
        else:
            answer.succeeded(message="m%d" % i, offset=i)

    for i in range(ROUNDS):
        waiting = Together(*[lambda c=c, more=more: poll(c, more, i)
                             for c, more in zip(consumers, ways)])
        api.produce(topic, producer_id, "m%d" % i)
        waiting.join()


@test()
def two_clients_talk_by_long_polls(given):
    """Neither would get on if a message did not wake the other at once."""
    api, there, back = given.api, given.topic(), given.topic()

    def side(inbox, outbox, begins):
        consumer_id, producer_id = consumers[inbox], producers[outbox]
        for i in range(ROUNDS):
            if begins:
                api.produce(outbox, producer_id, str(i))
            got = api.consume(inbox, consumer_id, wait_ms=LONG_POLL_MS)
            same(got["message"], str(i), "message")
            if not begins:
                api.produce(outbox, producer_id, str(i))

    producers = {topic: api.producer(topic) for topic in (there, back)}
    consumers = {topic: api.consumer(topic) for topic in (there, back)}
    together(lambda: side(there, back, True), lambda: side(back, there, False))


@test()
def no_message_at_its_end(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 2)
    consumer_id = api.consumer(topic)
    for more in ({"offset": 2}, {"offset": 2, "max": 10}, {}, {"max": 10}):
        began = time.monotonic()
        api.consume(topic, consumer_id, wait_ms=200, **more).refused("no_message")
        check(time.monotonic() - began >= 0.19, "answered before the end of the wait")
    same(api.size(topic, consumer_id), 0, "size")


@test()
def what_is_there_is_not_waited_for(given):
    """ROUNDS long polls that find messages: waiting for each would take longer than allowed."""
    api, topic = given.api, given.topic()
    api.filled(topic, 2 * ROUNDS)
    consumer_id = api.consumer(topic)
    for i in range(ROUNDS):
        api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS).succeeded(message="m%d" % i, offset=i)
    for i in range(ROUNDS):
        answer = api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS, max=10000, offset=ROUNDS)
        same(len(answer["messages"]), ROUNDS, "messages: the first is waited for, not the last")


@test()
def refusals_are_not_waited_for(given):
    api, topic = given.api, given.topic()
    api.create(topic)
    consumer_id = api.consumer(topic)
    for _ in range(ROUNDS):
        api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS, offset=1
                    ).refused("offset_out_of_range")
        api.consume(topic, 0, wait_ms=LONG_POLL_MS).refused("unknown_consumer")


@test(("memory",))  # no store has a part in it, and it takes its 20 s
def longer_waits_are_cut_to_20_s(given):
    api, topic = given.api, given.topic()
    api.create(topic)
    waits = [20001, 10 ** 6, 2 ** 31, 2 ** 40]

    def poll(wait_ms):
        began = time.monotonic()
        api.consume(topic, api.consumer(topic), wait_ms=wait_ms).refused("no_message")
        check(time.monotonic() - began >= 19.9, "answered before 20 s")

    together(*[lambda w=w: poll(w) for w in waits], limit_s=60)


@test()
def a_message_goes_to_one_of_the_waiting(given):
    """Many polls with one consumer id: each message is handed to exactly one of them."""
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    waiting = Together(*[lambda: api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS)
                         for _ in range(20)])
    for i in range(20):
        api.produce(topic, producer_id, "m%d" % i)
    answers = waiting.join()
    same(sorted(a["offset"] for a in answers), list(range(20)), "offsets")
    for answer in answers:
        answer.succeeded(message="m%d" % answer["offset"], offset=answer["offset"])
    api.consume(topic, consumer_id).refused("no_message")


@test()
def waiting_clients_that_leave(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    host, port = given.broker.address.rsplit(":", 1)
    consumers = [api.consumer(topic) for _ in range(30)]
    api.produce(topic, producer_id, "zero")
    for consumer_id in consumers:
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(("GET /consumer/consume?topic=%s&consumer_id=%d&offset=1"
                                "&wait_ms=%d HTTP/1.1\r\nHost: x\r\n\r\n"
                                % (topic, consumer_id, LONG_POLL_MS)).encode())
            # The saved position shows that the request has arrived; then the client leaves.
            until(lambda: api.size(topic, consumer_id) == 0, "the long poll to arrive")
    api.produce(topic, producer_id, "one").succeeded(offset=1)
    for consumer_id in consumers:
        api.consume(topic, consumer_id, offset=1).succeeded(message="one", offset=1)


@test()
def many_wait_at_once(given):
    """Hundreds of suspended connections, and others are served meanwhile."""
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    api.produce(topic, producer_id, "zero")
    host, port = given.broker.address.rsplit(":", 1)
    waiting = []
    try:
        for _ in range(300):
            consumer_id = api.consumer(topic)
            connection = socket.create_connection((host, int(port)), timeout=60)
            waiting.append(connection)
            connection.sendall(("GET /consumer/consume?topic=%s&consumer_id=%d&offset=1"
                                "&wait_ms=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                                % (topic, consumer_id, LONG_POLL_MS)).encode())
        api.produce(topic, producer_id, "one").succeeded(offset=1)
        for connection in waiting:
            got = b"".join(iter(lambda: connection.recv(65536), b""))
            body = json.loads(got.split(b"\r\n\r\n", 1)[1].decode())
            same(body, {"status": "success", "message": "one", "offset": 1}, "body")
    finally:
        for connection in waiting:
            connection.close()


@test()
def many_idle_connections(given):
    """More than libmicrohttpd takes unless it is told; the excess would hang silently."""
    wanted = 1500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 200), hard))
    host, port = given.broker.address.rsplit(":", 1)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
                       for _ in range(wanted)]
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            check(connection.recv(65536).startswith(b"HTTP/1.1 200"), "no answer")
