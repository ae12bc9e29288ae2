#!/usr/bin/env python3
"""A broker that misbehaves on request, for the library's tests.

It keeps everything in memory and answers what the library asks. Beside that:

  POST /fake/plan     {"faults": [{"path": P, "do": ACTION, "times": N, ...}, ...]}
                      replaces the plan; a request to P meets the first fault for P that is
                      not used up (times: 1 unless given)
  GET  /fake/state    topics with their messages, and every request in order

Actions:
  drop_request  close the connection without doing anything
  drop_reply    do it, then close the connection without an answer
  unavailable   do nothing, answer 503 store_away with Retry-After: 1
  refuse        do nothing, answer 400 bad_message
  unknown       do it, answer 503 outcome_unknown
  unknown_lost  do nothing, answer 503 outcome_unknown
  garbage       do it, answer 200 with something that is no JSON
  hang          do it, answer never
  shift         do it, answer with offsets that are one too high
  trim          remove the messages that the topic has, then do it
  forget        forget every producer and consumer, then do it
  die           end the process, having read the request

Usage: fake_broker.py PORT [MESSAGE_BYTES_MAX]. Prints the port; ends when stdin is closed.
"""
import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Refused(Exception):
    def __init__(self, http, code, **more):
        super().__init__(code)
        self.http = http
        self.body = {"status": "failure", "code": code, "message": code, **more}


class Queue:
    def __init__(self, message_bytes_max):
        self.changed = threading.Condition()
        self.message_bytes_max = message_bytes_max
        self.topics = {}
        self.firsts = {}  # topic -> first offset that has not been removed
        self.producers = {}
        self.consumers = {}
        self.ids = 0
        self.faults = []
        self.requests = []

    def take_fault(self, path):
        for fault in self.faults:
            if fault["path"] == path and fault.get("times", 1) != 0:
                fault["times"] = fault.get("times", 1) - 1
                return fault["do"]
        return None

    def forget(self):
        self.producers.clear()
        self.consumers.clear()

    def trim(self, topic):
        self.firsts[topic] = len(self.log(topic))

    def first(self, topic):
        return self.firsts.get(topic, 0)

    def log(self, topic):
        if topic not in self.topics:
            raise Refused(400, "unknown_topic")
        return self.topics[topic]

    def create(self, ask):
        if ask["name"] in self.topics:
            raise Refused(400, "topic_exists")
        self.topics[ask["name"]] = []
        return {}

    def register_producer(self, ask):
        self.topics.setdefault(ask["topic"], [])
        self.ids += 1
        self.producers[self.ids] = {"topic": ask["topic"], "offsets": []}
        return {"producer_id": self.ids}

    def register_consumer(self, ask):
        self.log(ask["topic"])
        self.ids += 1
        first = self.first(ask["topic"])
        self.consumers[self.ids] = {"topic": ask["topic"], "position": first}
        return {"consumer_id": self.ids, **({"offset": first} if first > 0 else {})}

    def produce(self, ask):
        producer = self.producers.get(ask["producer_id"])
        if producer is None:
            raise Refused(400, "unknown_producer")
        messages = ask["messages"]
        if any(len(m.encode()) > self.message_bytes_max for m in messages):
            raise Refused(413, "too_large")
        first = ask["sequence"]
        offsets = producer["offsets"]
        if first + len(messages) <= len(offsets):
            there = {}
            if (offsets[first] >= self.first(ask["topic"])
                    and offsets[first + len(messages) - 1] - offsets[first] == len(messages) - 1):
                there = {"offset": offsets[first]}
            return {**there, "count": len(messages), "duplicate": True}
        if first != len(offsets):
            raise Refused(400, "out_of_sequence", expected=len(offsets))
        log = self.log(ask["topic"])
        offsets.extend(range(len(log), len(log) + len(messages)))
        log.extend(messages)
        self.changed.notify_all()
        return {"offset": len(log) - len(messages), "count": len(messages)}

    def consumer(self, ask):
        consumer = self.consumers.get(int(ask["consumer_id"]))
        if consumer is None:
            raise Refused(400, "unknown_consumer")
        return consumer

    def consume(self, ask):
        consumer = self.consumer(ask)
        log = self.log(ask["topic"])
        offset = int(ask["offset"])
        if offset > len(log) or offset < self.first(ask["topic"]):
            raise Refused(400, "offset_out_of_range", first_offset=self.first(ask["topic"]),
                          next_offset=len(log))
        consumer["position"] = offset
        self.changed.wait_for(lambda: len(log) > offset, int(ask["wait_ms"]) / 1000)
        found = log[offset:offset + int(ask["max"])]
        if not found:
            raise Refused(400, "no_message")
        return {"messages": [{"offset": offset + i, "message": m} for i, m in enumerate(found)]}

    def seek(self, ask):
        consumer, log = self.consumer(ask), self.log(ask["topic"])
        first = self.first(ask["topic"])
        offset = {"earliest": first, "latest": len(log)}.get(ask["offset"], ask["offset"])
        if not first <= offset <= len(log):
            raise Refused(400, "offset_out_of_range", first_offset=first, next_offset=len(log))
        consumer["position"] = offset
        return {"offset": offset}

    def size(self, ask):
        return {"size": len(self.log(ask["topic"])) - self.consumer(ask)["position"]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, http, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [f"HTTP/1.1 {http} X", f"Content-Length: {len(data)}", *headers, "", ""]
        self.wfile.write("\r\n".join(head).encode() + data)

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.handle_request(json.loads(self.rfile.read(length)))

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        self.handle_request({name: values[0] for name, values in query.items()})

    def handle_request(self, ask):
        queue = self.server.queue
        path = urlsplit(self.path).path
        if path == "/fake/plan":
            with queue.changed:
                queue.faults = ask["faults"]
            return self.answer(200, {"status": "success"})
        if path == "/fake/state":
            with queue.changed:
                return self.answer(200, {"status": "success", "topics": queue.topics,
                                         "requests": queue.requests})
        with queue.changed:
            fault = queue.take_fault(path)
            queue.requests.append({"path": path, "fault": fault or "",
                                   "ms": time.monotonic() * 1000, **ask})
        return self.misbehave(fault, path, ask)

    def misbehave(self, fault, path, ask):
        if fault == "die":
            os._exit(0)
        if fault == "drop_request":
            return self.drop()
        if fault == "unavailable":
            return self.fail(503, "store_away")
        if fault == "refuse":
            return self.fail(400, "bad_message")
        if fault == "unknown_lost":
            return self.fail(503, "outcome_unknown")
        http, body = self.execute(fault, path, ask)
        if fault == "drop_reply":
            return self.drop()
        if fault == "hang":
            self.connection.recv(1)
            return self.drop()
        if fault == "unknown":
            return self.fail(503, "outcome_unknown")
        if fault == "garbage":
            return self.answer(200, b"<html>fine</html>")
        if fault == "shift":
            for message in body.get("messages", ()):
                message["offset"] += 1
        return self.answer(http, body)

    def fail(self, http, code):
        body = {"status": "failure", "code": code, "message": code}
        self.answer(http, body, ["Retry-After: 1"] if code == "store_away" else [])

    def execute(self, fault, path, ask):
        queue = self.server.queue
        calls = {"/topics": queue.create, "/producer/register": queue.register_producer,
                 "/consumer/register": queue.register_consumer,
                 "/producer/produce": queue.produce, "/consumer/consume": queue.consume,
                 "/consumer/seek": queue.seek, "/size": queue.size, "/healthz": lambda _: {}}
        try:
            with queue.changed:
                if fault == "forget":
                    queue.forget()
                if fault == "trim":
                    queue.trim(ask["topic"])
                if path not in calls:
                    raise Refused(404, "unknown_path")
                return 200, {"status": "success", **calls[path](ask)}
        except Refused as refused:
            return refused.http, refused.body

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.queue = Queue(int(sys.argv[2]) if len(sys.argv) > 2 else 1024 * 1024)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


main()
