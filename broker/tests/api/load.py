"""load.py - producers and consumers that ride out a broker or a database that goes and comes back.

Producers send numbered messages with sequences and send again whatever has no known outcome;
consumers read by position. finish() then holds what was acknowledged, what every consumer got and
what a new consumer finds against each other.
"""

import threading

import requests

from driver import Failed, Together, check, same

AGAIN_S = 0.02  # between two attempts; nothing is decided by it
POLL_MS = 1000


class Load:
    def __init__(self, api, topic, producers=3, consumers=2, batch=3):
        self.api = api
        self.topic = topic
        self.batch = batch
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.acks = 0    # messages acknowledged so far
        self.codes = set()  # of the failures that were ridden out
        api.create(topic)
        self.ids = [api.producer(topic) for _ in range(producers)]
        readers = [api.consumer(topic) for _ in range(consumers)]
        self.sent = {}   # producer's id -> how many messages were acknowledged; set at its end
        self.total = None  # all of them, once every producer has ended
        self.running = Together(*[lambda p=p: self._produce(p) for p in self.ids],
                                *[lambda c=c: self._consume(c) for c in readers])

    def _ask(self, call):
        """Ask until it is answered with success or a 400; None when told to stop meanwhile."""
        while True:
            try:
                answer = call()
            except requests.RequestException:
                answer = None
            if answer is not None and answer.http in (200, 400):
                return answer
            if answer is not None:
                check(answer.http == 503, "not to be ridden out:", answer)
                with self.lock:
                    self.codes.add(answer.body["code"])
            threading.Event().wait(AGAIN_S)

    def _produce(self, producer_id):
        sequence = 0
        try:
            while not self.stopping.is_set():
                texts = ["%d:%d" % (producer_id, sequence + i) for i in range(self.batch)]
                answer = self._ask(lambda: self.api.produce_batch(self.topic, producer_id, texts,
                                                                  sequence=sequence))
                check(answer.http == 200, "produce:", answer)
                sequence += self.batch
                with self.lock:
                    self.acks += self.batch
        finally:
            with self.lock:
                self.sent[producer_id] = sequence
                if len(self.sent) == len(self.ids):
                    self.total = sum(self.sent.values())

    def _consume(self, consumer_id):
        got = []
        while self.total is None or len(got) < self.total:
            answer = self._ask(lambda: self.api.consume(
                self.topic, consumer_id, offset=len(got), max=50, wait_ms=POLL_MS))
            if answer.http == 400:
                answer.refused("no_message")
                continue
            for item in answer["messages"]:
                same(item["offset"], len(got), "offset")
                got.append(item["message"])
        return got

    def alive(self):
        """False once a client has failed: waiting for more of it would be in vain."""
        if self.running.failures:
            raise self.running.failures[0]
        return True

    def acknowledged(self, more):
        """A condition for until(): `more` messages were acknowledged from now on."""
        goal = self.acks + more
        return lambda: self.alive() and self.acks >= goal

    def finish(self):
        self.stopping.set()
        results = self.running.join()
        stored = self.api.read_all(self.topic)
        same(len(stored), self.total, "number of messages stored, against those acknowledged")
        for producer_id, count in self.sent.items():
            own = [m for m in stored if m.startswith("%d:" % producer_id)]
            if own != ["%d:%d" % (producer_id, i) for i in range(count)]:
                raise Failed("producer %d: %d messages acknowledged, %d stored, or out of order"
                             % (producer_id, count, len(own)))
        for got in results[len(self.ids):]:
            check(got == stored, "a consumer got %d messages that are not the %d stored"
                  % (len(got), len(stored)))
