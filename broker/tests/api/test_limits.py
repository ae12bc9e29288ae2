"""Limits hold: past each there is an answer that says so, others are served, memory stays bounded.

Nothing here is judged by time. Where a client has to be cut off, the test waits for that to happen
(the broker's time limits are made short), or repeats it so often that it could not end otherwise.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import select
import socket

from driver import (BROKER, DURABLE, LONG_POLL_MS, REQUEST_LIMIT_S, Together, check, same, sql,
                    test, together, until)
from test_refusals import CALLS

MIB = 1 << 20
ROUNDS = 40  # x LONG_POLL_MS is more than a test's limit


# --- clients that behave badly -----------------------------------------------------------------

class Client:
    """A connection on which a test sends what it likes."""

    def __init__(self, broker, receive_bytes=None):
        host, port = broker.address.rsplit(":", 1)
        self.api = broker.api
        self.socket = socket.socket()
        if receive_bytes is not None:  # before connecting: it is what the window is made of
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(REQUEST_LIMIT_S)
        self.socket.connect((host, int(port)))

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def get(self, path):
        self.send(("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path).encode())

    def post(self, path, body, without=0):
        """The request, but for the last `without` bytes."""
        head = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(body))
        self.send(head.encode() + body[:len(body) - without])

    def answer(self, method="GET", path="/healthz"):
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        return self.api.examine(method, path, response.status, response.headers, response.read())

    def ended(self):
        """The broker has closed the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def trickle(self, data):
        """Send `data` and then a byte again and again, until the broker does something."""
        self.send(data)
        for _ in range(REQUEST_LIMIT_S * 100):
            if select.select([self.socket], [], [], 0.01)[0]:
                return self
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send(b"x")
        raise AssertionError("the broker waits for a client that sends byte by byte")


def clients(given, broker, count, **more):
    return [given.machine.own(Client(broker, **more)) for _ in range(count)]


def open_files(broker):
    return len(os.listdir("/proc/%d/fd" % broker.child.pid))


def open_sockets(broker):
    """Listening ones included."""
    folder = "/proc/%d/fd/" % broker.child.pid
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(folder + name).startswith("socket:")
    return count


def memory_peak(broker):
    """In bytes."""
    with open("/proc/%d/status" % broker.child.pid, encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def is_sanitized(broker):
    """An instrumented broker's memory is not its own."""
    with open("/proc/%d/maps" % broker.child.pid, encoding="utf-8") as maps:
        return re.search("libasan|libtsan", maps.read()) is not None


# --- connections ---------------------------------------------------------------------------------

@test(("memory",))
def connections(given):
    broker = given.fresh_broker("--connections-max", "20")
    inside = clients(given, broker, 20)
    for client in inside:
        client.get("/healthz")
        client.answer().succeeded()
    files = open_files(broker)
    for _ in range(200):  # more than are kept to linger
        outside = Client(broker)
        answer = outside.answer().refused("too_many_connections")
        same(answer.headers["Connection"], "close", "Connection")
        check(outside.ended(), "the connection goes on")
        outside.close()
    for client in inside:
        client.get("/healthz")
        client.answer().succeeded()
    broker.api.call("POST", "/topics", json={"name": "t"}).refused("too_many_connections")
    until(lambda: open_files(broker) <= files, "the excess connections to be closed")
    inside.pop().close()
    until(lambda: broker.api.call("GET", "/healthz").http == 200, "the free place to be given")
    broker.stop()


@test(("memory",))
def connections_of_several_loops(given):
    """They share one count."""
    broker = given.fresh_broker("--connections-max", "20", "--http-threads", "4")
    for _ in range(2):
        inside = clients(given, broker, 20)
        for client in inside:
            client.get("/healthz")
            client.answer().succeeded()
        Client(broker).answer().refused("too_many_connections")
        for client in inside:
            client.close()
        until(lambda: broker.api.call("GET", "/healthz", headers={"Connection": "close"}
                                      ).http == 200, "the places to be free")
        until(lambda: open_sockets(broker) <= 4, "the connections to be closed")
    broker.stop()


@test(("memory",))
def descriptors_run_out(given):
    """Who is connected is served; who comes then is, as soon as there are descriptors again."""
    broker = given.fresh_broker()
    inside = given.machine.own(Client(broker))
    inside.get("/healthz")
    inside.answer().succeeded()
    pid = broker.child.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(broker), hard))
    late = clients(given, broker, 3)
    for client in late:
        client.get("/healthz")
    for _ in range(100):
        inside.get("/topics")
        inside.answer("GET", "/topics").succeeded(topics=[])
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    for client in late:
        client.answer().succeeded()
    broker.stop()


@test(())
def fewer_descriptors_than_connections(given):
    """The broker serves as many as it may, and says so."""
    broker = given.machine.process(["sh", "-c", "ulimit -n 200; exec %s --listen 127.0.0.1:0 "
                                    "--store memory: --http-threads 1 --connections-max 1000" % BROKER])
    until(lambda: any("connections_max_lowered" in line and "connections_max=96" in line
                      for line in broker.lines), "the broker to say so")


@test(("memory",))
def byte_by_byte(given):
    broker = given.fresh_broker("--idle-timeout", "1", "--request-timeout", "1")
    def slowly(method, path, head):
        client = given.machine.own(Client(broker))
        client.trickle(("%s %s HTTP/1.1\r\nHost: x\r\n%s" % (method, path, head)).encode())
        client.answer(method, path).refused("request_timeout")
        check(client.ended(), "the connection goes on")

    heads = ("X-Long: ", "Content-Length: 100000\r\n\r\n",
             "Transfer-Encoding: chunked\r\n\r\n10000\r\n")
    for head in heads:
        together(*[lambda call=call: slowly(*call, head) for call in CALLS])
    slow = given.machine.own(Client(broker)).trickle(b"GET /")
    check(slow.ended(), "an answer, though not even the request line has come")
    broker.api.create("t").succeeded(message="Topic 't' created successfully")
    broker.stop()


@test(("memory",))
def idle_connections_end(given):
    broker = given.fresh_broker("--idle-timeout", "1")
    new, used = clients(given, broker, 2)
    used.get("/healthz")
    used.answer().succeeded()
    check(new.ended() and used.ended(), "something came")
    broker.stop()


@test(("memory",))
def waiting_is_not_idling(given):
    """What the broker takes its time for is not held against the client."""
    broker = given.fresh_broker("--idle-timeout", "1", "--request-timeout", "1")
    broker.api.filled("t", 1)
    consumer_id = broker.api.consumer("t")
    broker.api.consume("t", consumer_id, offset=1, wait_ms=3500).refused("no_message")
    broker.stop()


@test(("memory",))
def requests_sent_ahead(given):
    """Any number: they are read as they are answered, and all are answered in order."""
    broker = given.fresh_broker()
    broker.api.create("t")
    peak = memory_peak(broker)
    count = 20000
    client = given.machine.own(Client(broker))
    sending = Together(lambda: client.send(b"GET /topics HTTP/1.1\r\nHost: x\r\n\r\n" * count))
    stream = client.socket.makefile("rb")
    for _ in range(count):
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            if line.startswith(b"Content-Length:"):
                length = int(line.split()[1])
        same(json.loads(stream.read(length))["topics"], ["t"], "topics")
    sending.join()
    if not is_sanitized(broker):
        check(memory_peak(broker) - peak < 8 * MIB, "memory has grown")
    broker.stop()


# --- answers that nobody reads ---------------------------------------------------------------------

@test(("memory",))
def answers_that_are_not_read(given):
    """Asked for ahead, a hundred times a mebibyte: the connection is cut off."""
    broker = given.fresh_broker("--request-timeout", "1")
    broker.api.produce("t", broker.api.producer("t"), "x" * MIB)
    consumer_id = broker.api.consumer("t")
    files = open_files(broker)
    peak = memory_peak(broker)
    deaf = clients(given, broker, 4, receive_bytes=4096)
    for client in deaf:
        client.send(("GET /consumer/consume?topic=t&consumer_id=%d&offset=0 HTTP/1.1\r\n"
                     "Host: x\r\n\r\n" % consumer_id).encode() * 100)
    until(lambda: open_files(broker) == files + 4, "the connections")
    broker.api.consume("t", consumer_id, offset=0)
    until(lambda: open_files(broker) == files, "the connections to be cut off")
    if not is_sanitized(broker):
        check(memory_peak(broker) - peak < 4 * 8 * MIB, "a client costs more than one answer")
    broker.stop()


@test(("memory",))
def memory_for_answers(given):
    """Many do not read large answers: the others' large ones wait, and the small ones do not."""
    large = "x" * (4 * MIB)  # more than the kernel takes for a client that does not read
    bound = 2 * (6 * 4 * MIB + 65536)  # there is always room for two of the largest requests
    broker = given.fresh_broker("--buffers-bytes-max", "0", "--message-bytes-max", str(len(large)))
    api = broker.api
    api.produce("t", api.producer("t"), large)
    api.produce("small", api.producer("small"), "s")
    consumer_id, small = api.consumer("t"), api.consumer("small")
    peak = memory_peak(broker)
    deaf = clients(given, broker, 100, receive_bytes=4096)
    for client in deaf:
        client.get("/consumer/consume?topic=t&consumer_id=%d&offset=0" % consumer_id)
    until(lambda: api.consume("t", consumer_id, offset=0).http == 503, "memory to be short")
    # What does not fit is not taken either, so that asking again gets it.
    api.consume("t", consumer_id).refused("overloaded")
    same(api.size("t", consumer_id), 1, "size")
    for _ in range(10):
        api.consume("small", small, offset=0).succeeded(message="s", offset=0)
    if not is_sanitized(broker):
        check(memory_peak(broker) - peak < bound + 32 * MIB, "memory grew by",
              (memory_peak(broker) - peak) // MIB, "MiB")
    for client in deaf:
        client.close()
    until(lambda: api.consume("t", consumer_id).http == 200, "the memory to be free again")
    broker.stop()


@test(("memory",))
def memory_for_bodies(given):
    """Many send large bodies and do not come to the end."""
    broker = given.fresh_broker("--buffers-bytes-max", str(16 * MIB))
    api = broker.api
    producer_id = api.producer("t")
    body = json.dumps({"topic": "t", "producer_id": producer_id, "message": "x" * MIB}).encode()
    peak = memory_peak(broker)
    slow = clients(given, broker, 100)
    for client in slow:
        client.post("/producer/produce", body, without=1)
    api.produce("t", producer_id, "small").succeeded(offset=0)
    for client in slow:
        client.send(body[-1:])
    answers = [client.answer("POST", "/producer/produce") for client in slow]
    stored = [answer for answer in answers if answer.http == 200]
    refused = [answer.refused("overloaded") for answer in answers if answer.http != 200]
    check(stored and refused, len(stored), "stored,", len(refused), "refused")
    same(api.size("t", api.consumer("t")), 1 + len(stored), "size")
    if not is_sanitized(broker):
        # What is stored is in the memory store, and in the tail, besides.
        check(memory_peak(broker) - peak < 64 * MIB + 3 * len(stored) * MIB, "memory grew by",
              (memory_peak(broker) - peak) // MIB, "MiB")
    api.produce("t", producer_id, "x" * MIB).succeeded(offset=1 + len(stored))
    broker.stop()


# --- what waits ------------------------------------------------------------------------------------

def store_is_busy(given, url):
    """Something holds the log; until it is closed no produce is committed."""
    holder = given.machine.process(["psql", "-X", "-c", "BEGIN; LOCK TABLE myqueue.log; "
                                    "SELECT pg_sleep(60)", url])
    until(lambda: sql(url, "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND "
                      "relation = 'myqueue.log'::regclass AND granted"), "the lock")
    return holder


def store_is_free(url):
    sql(url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'AccessExclusiveLock' "
        "AND relation = 'myqueue.log'::regclass AND granted")


def waiting_writes(given, count, message, *arguments):
    """Of `count` clients that produce while none can be committed some are refused at once; the
    others are stored."""
    url = given.machine.database()
    broker = given.machine.broker(url, "--store-timeout", "60", *arguments)
    producer_id = broker.api.producer("t")
    store_is_busy(given, url)
    waiting = clients(given, broker, count)
    body = json.dumps({"topic": "t", "producer_id": producer_id, "message": message}).encode()
    for client in waiting:
        client.post("/producer/produce", body)
    answered = until(lambda: select.select([c.socket for c in waiting], [], [], 0)[0],
                     "somebody to be refused")
    for client in waiting:
        if client.socket in answered:
            client.answer("POST", "/producer/produce").refused("overloaded")
    store_is_free(url)
    stored = 0
    for client in waiting:
        if client.socket not in answered:
            answer = client.answer("POST", "/producer/produce")
            stored += answer.http == 200
            if answer.http != 200:
                answer.refused("overloaded")
    check(stored > 0, "nothing was stored")
    same(len(broker.api.read_all("t")), stored, "messages")
    broker.api.produce("t", producer_id, message).succeeded(offset=stored)
    broker.stop()


@test(("postgres",))
def waiting_writes_by_count(given):
    waiting_writes(given, 30, "x", "--waiting-writes-max", "10")


@test(("postgres",))
def waiting_writes_by_size(given):
    waiting_writes(given, 30, "x" * (MIB // 8), "--waiting-bytes-max", str(MIB))


@test()
def one_write_always_fits(given):
    """A message that is larger than what may wait is stored when nothing else waits."""
    broker = given.fresh_broker("--waiting-bytes-max", str(MIB), "--message-bytes-max",
                                str(4 * MIB), "--buffers-bytes-max", "0")
    broker.api.produce("t", broker.api.producer("t"), "x" * 4 * MIB).succeeded(offset=0)
    broker.api.consume("t", broker.api.consumer("t")).succeeded(message="x" * 4 * MIB, offset=0)
    broker.stop()


def poll(given, broker, consumer_id):
    client = given.machine.own(Client(broker))
    client.get("/consumer/consume?topic=t&consumer_id=%d&offset=1&wait_ms=%d"
               % (consumer_id, LONG_POLL_MS))
    # The saved position shows that the request has arrived.
    until(lambda: broker.api.size("t", consumer_id) == 0, "the long poll to arrive")
    return client


@test()
def long_polls(given):
    """Past the limit they are refused at once; who leaves makes room."""
    broker = given.fresh_broker("--polls-max", "5")
    api = broker.api
    producer_id = api.filled("t", 1)
    last = api.consumer("t")
    for _ in range(ROUNDS // 5):  # nobody's place is free before 20 s, but for those who leave
        waiting = [poll(given, broker, api.consumer("t")) for _ in range(5)]
        until(lambda: api.consume("t", last, offset=1, wait_ms=1).body["code"] == "overloaded",
              "the last of the five to be parked")
        api.consume("t", last, offset=1, wait_ms=LONG_POLL_MS).refused("overloaded")
        api.consume("t", last, offset=1).refused("no_message")
        for client in waiting:
            client.close()
        until(lambda: api.consume("t", last, offset=1, wait_ms=1).body["code"] == "no_message",
              "a place to be free")
    waiting = [poll(given, broker, api.consumer("t")) for _ in range(5)]
    api.produce("t", producer_id, "m1")
    for client in waiting:
        client.answer("GET", "/consumer/consume").succeeded(message="m1", offset=1)
    broker.stop()


@test(("memory",))
def clients_that_leave_take_no_message(given):
    """A plain consume moves the position: who has left must not take what comes later."""
    broker = given.fresh_broker()
    api = broker.api
    producer_id, consumer_id = api.producer("t"), api.consumer("t")
    files = open_files(broker)
    for i in range(ROUNDS):
        client = given.machine.own(Client(broker))
        client.get("/consumer/consume?topic=t&consumer_id=%d&wait_ms=%d"
                   % (consumer_id, LONG_POLL_MS))
        until(lambda: open_files(broker) > files, "the connection")
        client.close()
        until(lambda: open_files(broker) == files, "the connection to be closed")
        api.produce("t", producer_id, "m%d" % i)
        api.consume("t", consumer_id).succeeded(message="m%d" % i, offset=i)
    broker.stop()


# --- what is registered ------------------------------------------------------------------------------

@test()
def topics_producers_consumers(given):
    limits = ("--topics-max", "3", "--producers-max", "4", "--consumers-max", "5")
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url, *limits)
    api = broker.api

    def ask(path, topic):
        return api.call("POST", path, json={"topic": topic})

    def all_full():
        ask("/topics", "new").refused("too_many_topics")
        ask("/producer/register", "t0").refused("too_many_producers")
        ask("/consumer/register", "t0").refused("too_many_consumers")
        ask("/topics", "t0").refused("topic_exists")
        same(api.topics(), ["t0", "t1", "t2"], "topics")

    ask("/topics", "t0")
    producers = [api.producer(topic) for topic in ("t0", "t1", "t2")]
    ask("/producer/register", "t3").refused("too_many_topics")
    # Of many at once no more get in than there is room for.
    answers = together(*[lambda: ask("/producer/register", "t0") for _ in range(8)])
    same(sorted(a.http for a in answers), [200] + 7 * [429], "HTTP status")
    answers = together(*[lambda: ask("/consumer/register", "t0") for _ in range(8)])
    same(sorted(a.http for a in answers), 5 * [200] + 3 * [429], "HTTP status")
    all_full()
    api.produce("t0", producers[0], "goes on").succeeded(offset=0)
    broker.stop()
    if given.kind in DURABLE:
        broker = given.machine.broker(url, *limits)
        api = broker.api
        all_full()
        broker.stop()
        # A limit below what is there: it stays, and nothing new comes.
        broker = given.machine.broker(url, *[limits[i] if i % 2 == 0 else "1" for i in range(6)])
        api = broker.api
        all_full()
        api.produce("t2", producers[2], "goes on").succeeded(offset=0)
        broker.stop()
