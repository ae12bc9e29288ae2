#!/usr/bin/python3
"""queue_server.py PORT FILE - the assignment's seven calls in one page of Python, on SQLite.

The example of docs/judging.md. It is simple and slow: one lock around everything, one commit for
each call that changes something, before the answer.
"""

import json
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

SCHEMA = """
CREATE TABLE IF NOT EXISTS topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS producer (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS consumer (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,
                                     position INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS log (topic INTEGER, number INTEGER, message TEXT NOT NULL,
                                PRIMARY KEY (topic, number));
"""


class Refused(Exception):
    """Nothing was done; the text says why."""


class Queue:
    """Every method is one transaction, and commits before it returns."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(SCHEMA)

    def one(self, query, *values):
        row = self.db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def topic_id(self, topic):
        found = self.one("SELECT id FROM topic WHERE name = ?", topic)
        if found is None:
            raise Refused("Topic '%s' does not exist" % topic)
        return found

    def client(self, kind, topic, id):
        """The topic's id, if this client belongs to it."""
        found = self.topic_id(topic)
        if self.one("SELECT topic FROM %s WHERE id = ?" % kind, id) != found:
            raise Refused("%s %s is not registered with topic '%s'" % (kind.title(), id, topic))
        return found

    def messages(self, topic_id):
        return self.one("SELECT coalesce(max(number) + 1, 0) FROM log WHERE topic = ?", topic_id)

    def position(self, consumer_id):
        return self.one("SELECT position FROM consumer WHERE id = ?", consumer_id)

    def create_topic(self, topic):
        if self.one("SELECT id FROM topic WHERE name = ?", topic) is not None:
            raise Refused("Topic '%s' already exists" % topic)
        self.db.execute("INSERT INTO topic (name) VALUES (?)", [topic])
        return {"message": "Topic '%s' created successfully" % topic}

    def list_topics(self):
        return {"topics": [row[0] for row in self.db.execute("SELECT name FROM topic ORDER BY id")]}

    def register_consumer(self, topic):
        return {"consumer_id": self.db.execute("INSERT INTO consumer (topic) VALUES (?)",
                                               [self.topic_id(topic)]).lastrowid}

    def register_producer(self, topic):
        self.db.execute("INSERT OR IGNORE INTO topic (name) VALUES (?)", [topic])
        return {"producer_id": self.db.execute("INSERT INTO producer (topic) VALUES (?)",
                                               [self.topic_id(topic)]).lastrowid}

    def produce(self, topic, producer_id, message):
        found = self.client("producer", topic, producer_id)
        self.db.execute("INSERT INTO log VALUES (?, ?, ?)",
                        [found, self.messages(found), message])
        return {}

    def consume(self, topic, consumer_id):
        found = self.client("consumer", topic, consumer_id)
        message = self.one("SELECT message FROM log WHERE topic = ? AND number = ?", found,
                           self.position(consumer_id))
        if message is None:
            raise Refused("No message for this consumer")
        self.db.execute("UPDATE consumer SET position = position + 1 WHERE id = ?", [consumer_id])
        return {"message": message}

    def size(self, topic, consumer_id):
        found = self.client("consumer", topic, consumer_id)
        return {"size": self.messages(found) - self.position(consumer_id)}


CALLS = {("POST", "/topics"): ("create_topic", {"name": str}),
         ("GET", "/topics"): ("list_topics", {}),
         ("POST", "/consumer/register"): ("register_consumer", {"topic": str}),
         ("POST", "/producer/register"): ("register_producer", {"topic": str}),
         ("POST", "/producer/produce"): ("produce", {"topic": str, "producer_id": int,
                                                     "message": str}),
         ("GET", "/consumer/consume"): ("consume", {"topic": str, "consumer_id": int}),
         ("GET", "/size"): ("size", {"topic": str, "consumer_id": int})}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one write
    queue = None

    def parameters(self):
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return {**given, **json.loads(body)} if body else given

    def handle_call(self, call, wanted):
        """The fields of the answer, or Refused."""
        given, values = self.parameters(), []
        for name, kind in wanted.items():
            value = given.get(name, given.get("topic_name") if name in ("topic", "name") else None)
            if value is None:
                raise Refused("'%s' is missing" % name)
            values.append(kind(value))
        with self.queue.lock, self.queue.db:  # commits, or rolls back what was refused
            return getattr(self.queue, call)(*values)

    def serve(self):
        call = CALLS.get((self.command, urlsplit(self.path).path.rstrip("/")))
        try:
            if call is None:
                raise Refused("There is no call %s %s" % (self.command, self.path))
            self.answer(200, {"status": "success", **self.handle_call(*call)})
        except (Refused, ValueError) as refused:
            self.answer(400, {"status": "failure", "message": str(refused)})

    do_GET = do_POST = serve

    def answer(self, http, fields):
        body = json.dumps(fields).encode()
        self.send_response(http)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def serve(port, queue, handler=Handler):
    handler.queue = queue
    Server(("127.0.0.1", port), handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Queue(sys.argv[2]))
