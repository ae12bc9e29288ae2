#!/usr/bin/python3
"""flawed.py FLAW PORT FILE - the example with one flaw, for the test that the judge names it.

`none` is the example as it is. Each flaw is a class that changes one thing of it.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "example"))
import queue_server
from queue_server import Handler, Queue, Refused


class LosesMessages(Queue):
    """Messages are in memory: gone when it is started again."""

    def __init__(self, path):
        super().__init__(path)
        self.db.executescript("DROP TABLE log; CREATE TEMP TABLE log (topic, number, message);")
        self.db.execute("UPDATE consumer SET position = 0")


class LosesPositions(Queue):
    """Positions are in memory: after a restart everybody begins again."""

    def __init__(self, path):
        super().__init__(path)
        with self.db:
            self.db.execute("UPDATE consumer SET position = 0")


class LosesIds(Queue):
    """Clients are in memory; their ids begin at 1 again."""

    def __init__(self, path):
        super().__init__(path)
        with self.db:
            self.db.execute("DELETE FROM consumer")
            self.db.execute("DELETE FROM producer")


class AnswersFirst(Queue):
    """A message is acknowledged and committed later, with the twentieth."""

    waiting = []

    def produce(self, topic, producer_id, message):
        found = self.client("producer", topic, producer_id)
        self.waiting.append((found, message))
        if len(self.waiting) >= 20:
            self.flush()
        return {}

    def flush(self):
        for found, message in self.waiting:
            self.db.execute("INSERT INTO log VALUES (?, ?, ?)",
                            [found, self.messages(found), message])
        self.waiting.clear()

    def consume(self, topic, consumer_id):
        try:
            return super().consume(topic, consumer_id)
        except Refused:
            self.flush()
            return super().consume(topic, consumer_id)

    def size(self, topic, consumer_id):
        self.flush()
        return super().size(topic, consumer_id)


class GivesTwice(Queue):
    """Two who consume with one id at once get the same message: the position is read under the
    lock, and moved under another one."""

    def consume(self, topic, consumer_id):
        found = self.client("consumer", topic, consumer_id)
        position = self.position(consumer_id)
        self.db.commit()
        self.lock.release()
        time.sleep(0.002)
        self.lock.acquire()
        message = self.one("SELECT message FROM log WHERE topic = ? AND number = ?", found, position)
        if message is None:
            raise Refused("No message for this consumer")
        self.db.execute("UPDATE consumer SET position = ? WHERE id = ?", [position + 1, consumer_id])
        return {"message": message}


class WrongSize(Queue):
    """The size is the whole topic's."""

    def size(self, topic, consumer_id):
        return {"size": self.messages(self.client("consumer", topic, consumer_id))}


class AcceptsUnknownTopic(Queue):
    """A consumer may register with a topic that is not there, and read from it."""

    def topic_id(self, topic):
        self.db.execute("INSERT OR IGNORE INTO topic (name) VALUES (?)", [topic])
        return super().topic_id(topic)


class ChecksNoProducer(Queue):
    """Any producer id will do."""

    def client(self, kind, topic, id):
        return self.topic_id(topic) if kind == "producer" else super().client(kind, topic, id)


class StoresTwice(Queue):
    """Every 50th message is stored twice."""

    count = 0

    def produce(self, topic, producer_id, message):
        StoresTwice.count += 1
        if self.count % 50 == 0:
            super().produce(topic, producer_id, message)
        return super().produce(topic, producer_id, message)


class SwapsOrder(Queue):
    """Every 40th message is stored before the one that was there."""

    def produce(self, topic, producer_id, message):
        found = self.client("producer", topic, producer_id)
        number = self.messages(found)
        if number % 40 == 0 and number > 0:
            self.db.execute("UPDATE log SET number = ? WHERE topic = ? AND number = ?",
                            [number, found, number - 1])
            number -= 1
        self.db.execute("INSERT INTO log VALUES (?, ?, ?)", [found, number, message])
        return {}


class SharesPosition(Queue):
    """All consumers of a topic have one position."""

    def position(self, consumer_id):
        return self.one("SELECT max(position) FROM consumer WHERE topic = "
                        "(SELECT topic FROM consumer WHERE id = ?)", consumer_id)

    def consume(self, topic, consumer_id):
        position = self.position(consumer_id)
        if position is not None:
            self.db.execute("UPDATE consumer SET position = ? WHERE id = ?",
                            [position, consumer_id])
        return super().consume(topic, consumer_id)


class SameIds(Queue):
    """An id is what is the largest so far and one, read before it is taken."""

    def register_consumer(self, topic):
        return self.register("consumer", self.topic_id(topic))

    def register_producer(self, topic):
        super().register_producer(topic)
        return self.register("producer", self.topic_id(topic))

    def register(self, kind, found):
        number = self.one("SELECT coalesce(max(id), 0) + 1 FROM " + kind)
        self.db.commit()
        self.lock.release()
        time.sleep(0.002)
        self.lock.acquire()
        self.db.execute("INSERT OR IGNORE INTO %s (id, topic) VALUES (?, ?)" % kind,
                        [number, found])
        return {kind + "_id": number}


class Cuts(Queue):
    """Texts are stripped."""

    def produce(self, topic, producer_id, message):
        return super().produce(topic, producer_id, message.strip())


class Forgetful(Queue):
    """No flaw where it is said: all is in memory, and a new consumer begins at the latest message."""

    def __init__(self, path):
        super().__init__(":memory:")

    def register_consumer(self, topic):
        new = super().register_consumer(topic)
        self.db.execute("UPDATE consumer SET position = ? WHERE id = ?",
                        [self.messages(self.topic_id(topic)), new["consumer_id"]])
        return new


class StaysDown(Queue):
    """It does not start when there is something in its file."""

    def __init__(self, path):
        super().__init__(path)
        if self.one("SELECT count(*) FROM topic") > 0:
            sys.exit("the file is not mine")


class Refuses404(Handler):
    """Not a flaw of the queue: refusals are 404."""

    def answer(self, http, fields):
        super().answer(404 if http == 400 else http, fields)


class Closes(Handler):
    """What it does not understand ends its thread: the connection is closed without an answer."""

    def answer(self, http, fields):
        if http == 400 and "missing" in fields["message"]:
            raise ConnectionAbortedError
        super().answer(http, fields)

    def parameters(self):
        given = super().parameters()
        given.pop("topic_name", None)  # so that whole dialects are not understood
        return given


FLAWS = {"none": Queue, "loses-messages": LosesMessages, "loses-positions": LosesPositions,
         "loses-ids": LosesIds, "answers-first": AnswersFirst, "gives-twice": GivesTwice,
         "wrong-size": WrongSize, "accepts-unknown-topic": AcceptsUnknownTopic,
         "checks-no-producer": ChecksNoProducer, "stores-twice": StoresTwice,
         "swaps-order": SwapsOrder, "shares-position": SharesPosition, "same-ids": SameIds,
         "cuts": Cuts, "forgetful": Forgetful,
         "stays-down": StaysDown,
         "refuses-404": Queue, "closes": Queue}
HANDLERS = {"refuses-404": Refuses404, "closes": Closes}


def main():
    flaw, port, path = sys.argv[1:]
    queue_server.serve(int(port), FLAWS[flaw](path), HANDLERS.get(flaw, Handler))


if __name__ == "__main__":
    main()
