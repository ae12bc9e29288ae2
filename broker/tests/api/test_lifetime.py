"""How a broker ends: SIGTERM lets what is under way end, and the exit code is 0."""

import signal
import socket
import struct
import time

import requests

from driver import DURABLE, LONG_POLL_MS, Broker, Together, check, same, sql, test, until


@test()
def sigterm_when_idle(given):
    for number in (signal.SIGTERM, signal.SIGINT):
        broker = given.fresh_broker()
        broker.api.filled("t", 3)
        broker.signal(number)
        same(broker.wait(), 0, "exit code after signal %d" % number)
        broker.check_sanitizers()


@test()
def sigterm_answers_long_polls(given):
    broker = given.fresh_broker()
    api = broker.api
    api.filled("t", 1)
    consumers = [api.consumer("t") for _ in range(8)]
    waiting = Together(*[lambda c=c: api.consume("t", c, offset=1, wait_ms=LONG_POLL_MS)
                         for c in consumers])
    for consumer_id in consumers:
        until(lambda: api.size("t", consumer_id) == 0, "the long poll to arrive")
    check(waiting.running(), "the long polls ended before SIGTERM")
    broker.stop()
    for answer in waiting.join():
        check(answer.body["code"] in ("no_message", "shutting_down"), answer)


@test()
def sigterm_under_load(given):
    """Every request is answered or its connection refused; what was acknowledged is there."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    api = broker.api
    producers = [api.producer("t") for _ in range(6)]
    acknowledged = []

    def produce(producer_id):
        i = 0
        while True:
            try:
                answer = api.produce("t", producer_id, "%d:%d" % (producer_id, i))
            except requests.ConnectionError:
                return  # the broker has closed the connection, or is gone
            if answer.http != 200:
                answer.refused("shutting_down")
                return
            acknowledged.append(answer["offset"])
            i += 1

    running = Together(*[lambda p=p: produce(p) for p in producers])
    until(lambda: len(acknowledged) >= 100, "100 messages")
    broker.stop()
    running.join()
    same(len(set(acknowledged)), len(acknowledged), "different offsets")
    if given.kind in DURABLE:
        stored = given.machine.broker(url).api.read_all("t")
        check(set(acknowledged) <= set(range(len(stored))), "acknowledged, but not there")


@test()
def port_can_be_taken_again_at_once(given):
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    for _ in range(3):
        broker.api.call("GET", "/topics")
        broker.stop()
        broker = given.machine.broker(url, listen=broker.address)
    broker.api.call("GET", "/topics")


@test()
def listens_by_the_environment_too(given):
    broker = given.fresh_broker(listen=None, env={"MYQUEUE_LISTEN": "127.0.0.1:0"})
    check(isinstance(broker, Broker) and not broker.address.endswith(":0"), broker.address)
    broker.api.call("GET", "/healthz").succeeded()
    broker.stop()


@test(("postgres",))
def client_leaves_while_its_topic_is_committed(given):
    """The name came in the query, which libmicrohttpd frees with the connection."""
    url = given.machine.database()
    broker = given.machine.broker(url)
    api = broker.api
    api.create("first")
    name = "n" * 150
    holder = given.machine.process(["psql", "-X", "-c", "BEGIN; LOCK TABLE myqueue.topic; "
                                    "SELECT pg_sleep(3); COMMIT", url])
    until(lambda: sql(url, "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND "
                      "relation = 'myqueue.topic'::regclass AND granted"), "the lock")
    host, port = broker.address.rsplit(":", 1)
    for suffix in ("a", "a", "b"):  # created, and `topic_exists`
        with socket.create_connection((host, int(port))) as client:
            client.sendall(("POST /topics?name=%s%s HTTP/1.1\r\nHost: x\r\n"
                            "Content-Length: 0\r\n\r\n" % (name, suffix)).encode())
            time.sleep(0.2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    holder.wait()
    try:
        until(lambda: name + "b" in api.topics(), "the topics to be there")
    except requests.ConnectionError:
        broker.wait()
        broker.check_sanitizers()
        raise
    broker.stop()
