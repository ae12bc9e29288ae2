#!/usr/bin/python3
"""flawed.py FLAW PORT FILE - the example with one flaw, for the test that the judge names it.

`none` is the example as it is. Each flaw is a class that changes one thing of it.
"""

import json
import os
import signal
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


class DropsCopies(Queue):
    """A text that the topic has already is taken for a copy: success, and nothing is stored."""

    def produce(self, topic, producer_id, message):
        found = self.client("producer", topic, producer_id)
        if self.one("SELECT 1 FROM log WHERE topic = ? AND message = ?", found, message):
            return {}
        return super().produce(topic, producer_id, message)


class DropsRepeats(Queue):
    """The same for the text of the topic's last message, once there are more than twenty."""

    def produce(self, topic, producer_id, message):
        found = self.client("producer", topic, producer_id)
        number = self.messages(found)
        if number > 20 and self.one("SELECT message FROM log WHERE topic = ? AND number = ?", found,
                                    number - 1) == message:
            return {}
        return super().produce(topic, producer_id, message)


class StoresRefused(Queue):
    """Every ninth message of a topic, once it has many, is stored and refused."""

    def produce(self, topic, producer_id, message):
        done = super().produce(topic, producer_id, message)
        count = self.messages(self.topic_id(topic))
        if count > 60 and count % 9 == 0:
            self.db.commit()
            raise Refused("Try again")
        return done


class BusyAgain(Queue):
    """Once it was killed with some messages in it, it has no answer to a consume but an excuse."""

    def __init__(self, path):
        super().__init__(path)
        self.busy = self.one("SELECT count(*) FROM log") > 100

    def consume(self, topic, consumer_id):
        if self.busy:
            raise Refused("Database is busy")
        return super().consume(topic, consumer_id)


class OtherWords(Queue):
    """No flaw: it says in its own way that there is no message."""

    def consume(self, topic, consumer_id):
        try:
            return super().consume(topic, consumer_id)
        except Refused as refused:
            raise Refused("Please come again, consumer %s" % consumer_id
                          if "No message" in str(refused) else str(refused)) from None


class CreatesOnProduce(Queue):
    """A topic that is not there is made for a message, which is then in it or not."""

    def produce(self, topic, producer_id, message):
        if self.one("SELECT id FROM topic WHERE name = ?", topic) is None:
            self.create_topic(topic)
            return {}
        return super().produce(topic, producer_id, message)


class ChecksNoTopic(Queue):
    """A consumer's id is good for every topic."""

    def client(self, kind, topic, id):
        found = self.topic_id(topic)
        if self.one("SELECT topic FROM %s WHERE id = ?" % kind, id) is None:
            raise Refused("%s %s is unknown" % (kind.title(), id))
        return found


class CutsLong(Queue):
    """Texts end after 1,024 characters."""

    def produce(self, topic, producer_id, message):
        return super().produce(topic, producer_id, message[:1024])


class EscapesLines(Queue):
    """A line's end comes out as two characters."""

    def produce(self, topic, producer_id, message):
        return super().produce(topic, producer_id, message.replace("\n", "\\n"))


class RacesForPlaces(Queue):
    """A message's place is looked up first and taken later, whoever has it meanwhile."""

    def produce(self, topic, producer_id, message):
        found = self.client("producer", topic, producer_id)
        number = self.messages(found)
        self.db.commit()
        self.lock.release()
        time.sleep(0.001)
        self.lock.acquire()
        self.db.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?)", [found, number, message])
        return {}


class LosesLastAtStop(Queue):
    """What came last is not there any more after SIGTERM; a kill does it no harm."""

    def __init__(self, path):
        super().__init__(path)
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.db.execute("DELETE FROM log WHERE rowid = (SELECT max(rowid) FROM log)")
        self.db.commit()
        os._exit(0)


class RegisteringResets(Queue):
    """A new consumer brings all of its topic back to the beginning."""

    def register_consumer(self, topic):
        new = super().register_consumer(topic)
        self.db.execute("UPDATE consumer SET position = 0 WHERE topic = ?", [self.topic_id(topic)])
        return new


class KeepsHundred(Queue):
    """Of a topic, the latest hundred messages are kept."""

    def produce(self, topic, producer_id, message):
        done, found = super().produce(topic, producer_id, message), self.topic_id(topic)
        self.db.execute("DELETE FROM log WHERE topic = ? AND number < ?",
                        [found, self.messages(found) - 100])
        return done

    def consume(self, topic, consumer_id):
        self.db.execute("UPDATE consumer SET position = max(position, coalesce((SELECT min(number) "
                        "FROM log WHERE log.topic = consumer.topic), 0)) WHERE id = ?", [consumer_id])
        return super().consume(topic, consumer_id)


class CountsApart(Queue):
    """No flaw: ids are counted for each topic from 1, so the same one is there in many."""

    EACH = 1000000

    def register_consumer(self, topic):
        return {"consumer_id": self.register("consumer", self.topic_id(topic))}

    def register_producer(self, topic):
        self.db.execute("INSERT OR IGNORE INTO topic (name) VALUES (?)", [topic])
        return {"producer_id": self.register("producer", self.topic_id(topic))}

    def register(self, kind, found):
        count = self.one("SELECT count(*) + 1 FROM %s WHERE topic = ?" % kind, found)
        self.db.execute("INSERT INTO %s (id, topic) VALUES (?, ?)" % kind,
                        [found * self.EACH + count, found])
        return count

    def inside(self, topic, id):
        return self.topic_id(topic) * self.EACH + id

    def produce(self, topic, producer_id, message):
        return super().produce(topic, self.inside(topic, producer_id), message)

    def consume(self, topic, consumer_id):
        return super().consume(topic, self.inside(topic, consumer_id))

    def size(self, topic, consumer_id):
        return super().size(topic, self.inside(topic, consumer_id))


class TextIds(Queue):
    """No flaw of the queue: ids are texts."""

    def register_consumer(self, topic):
        return {"consumer_id": str(super().register_consumer(topic)["consumer_id"])}

    def register_producer(self, topic):
        return {"producer_id": str(super().register_producer(topic)["producer_id"])}


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


class CrashesOnNoJson(Handler):
    """A body that is no JSON is an error of its own."""

    def parameters(self):
        try:
            return super().parameters()
        except json.JSONDecodeError:
            raise Refused("500") from None

    def answer(self, http, fields):
        super().answer(500 if fields.get("message") == "500" else http, fields)


class DiesOfNoJson(Handler):
    """A body that is no JSON ends it."""

    def parameters(self):
        try:
            return super().parameters()
        except json.JSONDecodeError:
            os._exit(1)


class HangsUp(Handler):
    """No flaw of the queue: it closes every connection after an answer that does not say so."""

    def answer(self, http, fields):
        super().answer(http, fields)
        self.close_connection = True


class HangsUpSometimes(Handler):
    """The same after every 211th answer."""

    count = 0

    def answer(self, http, fields):
        super().answer(http, fields)
        HangsUpSometimes.count += 1
        self.close_connection = self.count % 211 == 0 and self.due()

    def due(self):
        return True


class HangsUpLate(HangsUpSometimes):
    """The same in a run, of few topics and many messages: the checks do not see it."""

    def due(self):
        return self.queue.one("SELECT (SELECT count(*) FROM topic) < 9 AND count(*) > 300 FROM log")


FLAWS = {"none": Queue, "loses-messages": LosesMessages, "loses-positions": LosesPositions,
         "loses-ids": LosesIds, "answers-first": AnswersFirst, "gives-twice": GivesTwice,
         "wrong-size": WrongSize, "accepts-unknown-topic": AcceptsUnknownTopic,
         "checks-no-producer": ChecksNoProducer, "stores-twice": StoresTwice,
         "swaps-order": SwapsOrder, "shares-position": SharesPosition, "same-ids": SameIds,
         "cuts": Cuts, "forgetful": Forgetful, "drops-copies": DropsCopies,
         "drops-repeats": DropsRepeats, "stores-refused": StoresRefused, "busy-again": BusyAgain,
         "other-words": OtherWords, "creates-on-produce": CreatesOnProduce,
         "checks-no-topic": ChecksNoTopic, "cuts-long": CutsLong, "escapes-lines": EscapesLines,
         "races-for-places": RacesForPlaces, "loses-last-at-stop": LosesLastAtStop,
         "registering-resets": RegisteringResets, "keeps-hundred": KeepsHundred,
         "counts-apart": CountsApart, "text-ids": TextIds, "crashes-on-no-json": Queue,
         "dies-of-no-json": Queue, "stays-down": StaysDown, "refuses-404": Queue, "closes": Queue,
         "hangs-up": Queue, "hangs-up-sometimes": Queue, "hangs-up-late": Queue}
HANDLERS = {"crashes-on-no-json": CrashesOnNoJson, "dies-of-no-json": DiesOfNoJson,
            "refuses-404": Refuses404, "closes": Closes, "hangs-up": HangsUp,
            "hangs-up-sometimes": HangsUpSometimes, "hangs-up-late": HangsUpLate}


def main():
    flaw, port, path = sys.argv[1:]
    queue_server.serve(int(port), FLAWS[flaw](path), HANDLERS.get(flaw, Handler))


if __name__ == "__main__":
    main()
