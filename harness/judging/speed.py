"""speed.py ADDRESS DIALECT - how fast is it, by plain calls? A figure, not a judgement.

Stated work: messages of 100 bytes to one topic, one in each request, by 1, 16 and 64 connections
that wait for each answer; then 16 consumers, each with an id of its own, take messages one by one.
Each for two seconds after a warm-up of half a second. An answer with an HTTP status other than 200 is a failure.

A program of its own, so that no other thread of Python is in its way; DIALECT is a Dialect as JSON. It
prints a list of figures as JSON. `busy` is how much of the time the probe itself was computing:
near 1, the system may be faster than the figure.
"""

import json
import selectors
import socket
import sys
import time
import urllib.parse

from calls import Caller, Dialect

MEASURED_S = 2.0
WARM_UP_S = 0.5
SILENCE_S = 5       # without any answer: it hangs
MESSAGE = "m" * 100
WORK = (("produce", 1), ("produce", 16), ("produce", 64), ("consume", 16))


class Connection:
    """Sends one request again and again, as fast as it is answered."""

    def __init__(self, where, request):
        self.where, self.request = where, request
        self.socket, self.received, self.began = None, b"", 0.0

    def open(self, selector):
        self.socket = socket.create_connection(self.where, timeout=SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(self.socket, selectors.EVENT_READ, self)
        self.send()

    def send(self):
        self.received, self.began = b"", time.perf_counter()
        self.socket.sendall(self.request)

    def close(self, selector):
        if self.socket is not None:
            selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def read(self):
        """(status, closed) of a whole answer; status None: there is more to come."""
        data = self.socket.recv(65536)
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not data:
            return (status_of(head) if end else 0), True
        if not end:
            return None, False
        lower = head.lower()
        if b"content-length:" in lower:
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            whole = len(body) >= length
        else:
            whole = b"transfer-encoding: chunked" in lower and body.endswith(b"0\r\n\r\n")
        closes = b"connection: close" in lower or (head.startswith(b"HTTP/1.0") and
                                                   b"keep-alive" not in lower)
        return (status_of(head), closes) if whole else (None, False)


def status_of(head):
    return int(head[9:12]) if head[9:12].isdigit() else 0


def request_bytes(address, dialect, call, **fields):
    where = urllib.parse.urlsplit(address)
    method, path, headers, body = dialect.write(call, fields)
    lines = ["%s %s%s HTTP/1.1" % (method, where.path, path), "Host: %s" % where.netloc]
    lines += ["%s: %s" % item for item in headers.items()]
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def measure(connections, fresh):
    """A figure: what they were answered in MEASURED_S. `fresh`: a connection for each request."""
    selector = selectors.DefaultSelector()
    took, failures, first = [], 0, None
    for connection in connections:
        connection.open(selector)
    begin = time.perf_counter() + WARM_UP_S
    busy, now, heard = None, 0.0, time.perf_counter()
    while now < begin + MEASURED_S:
        ready = selector.select(SILENCE_S)
        now = time.perf_counter()
        if busy is None and now >= begin:
            busy = time.process_time()
        if not ready and now - heard >= SILENCE_S:
            raise OSError("no answer within %d s" % SILENCE_S)
        for key, _ in ready:
            heard, connection = now, key.data
            status, closed = connection.read()
            if status is not None and now >= begin:
                took.append(time.perf_counter() - connection.began)
                if status != 200:
                    failures += 1
                    first = first or connection.received.decode("utf-8", "replace")[:300]
            if closed or fresh and status is not None:
                connection.close(selector)
                connection.open(selector)
            elif status is not None:
                connection.send()
    for connection in connections:
        connection.close(selector)
    took.sort()
    return {"per_s": round((len(took) - failures) / MEASURED_S, 1), "failures": failures,
            "failure": first, "busy": round((time.process_time() - busy) / MEASURED_S, 2),
            "p50_ms": at(took, 0.50), "p99_ms": at(took, 0.99)}


def at(took, share):
    return round(took[int(share * (len(took) - 1))] * 1000, 2) if took else None


def figures(address, dialect):
    caller, found = Caller(address, dialect), []
    where = urllib.parse.urlsplit(address)
    to = where.hostname, where.port or 80
    caller("create_topic", topic="speed")
    producer = caller("register_producer", topic="speed").value
    consumers = [caller("register_consumer", topic="speed").value for _ in range(16)]
    for call, count in WORK:
        if call == "produce":
            requests = [request_bytes(address, dialect, call, topic="speed", producer_id=producer,
                                      message=MESSAGE)] * count
        else:
            requests = [request_bytes(address, dialect, call, topic="speed", consumer_id=consumer)
                        for consumer in consumers]
        figure = {"call": call, "connections": count}
        try:
            figure.update(measure([Connection(to, request) for request in requests],
                                  dialect.fresh))
        except (OSError, ValueError) as error:
            figure["error"] = str(error)
        found.append(figure)
    return found


if __name__ == "__main__":
    json.dump(figures(sys.argv[1], Dialect(**json.loads(sys.argv[2]))), sys.stdout)
