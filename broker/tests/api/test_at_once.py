"""Several clients at once: one order, nothing lost, nothing twice."""

import collections

from driver import LONG_POLL_MS, check, same, test, together

PRODUCERS = 6
MESSAGES = 60  # of each producer


def own_order(messages, who):
    """This producer's numbers, as they lie in the log."""
    return [int(m.split()[1]) for m in messages if m.split()[0] == who]


@test()
def producers_and_consumers(given):
    """Every consumer sees all messages, all in the same order, each producer's in its own."""
    api, topic = given.api, given.topic()
    api.create(topic)
    total = PRODUCERS * MESSAGES

    def produce(who):
        producer_id = api.producer(topic)
        offsets = []
        i = 0
        while i < MESSAGES:
            count = 1 + (i + who) % 4  # alone, and in batches
            batch = ["P%d %d" % (who, n) for n in range(i, min(i + count, MESSAGES))]
            if len(batch) == 1:
                offset = api.produce(topic, producer_id, batch[0])["offset"]
            else:
                offset = api.produce_batch(topic, producer_id, batch)["offset"]
            offsets += range(offset, offset + len(batch))
            i += len(batch)
        return offsets

    def consume(more, by_offset):
        consumer_id = api.consumer(topic)
        messages = []
        while len(messages) < total:
            if by_offset:
                more = dict(more, offset=len(messages))
            answer = api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS, **more)
            got = answer["messages"] if "max" in more else [answer.body]
            for item in got:
                same(item["offset"], len(messages), "offset")
                messages.append(item["message"])
        return messages

    results = together(*[lambda p=p: produce(p) for p in range(PRODUCERS)],
                       lambda: consume({}, False), lambda: consume({"max": 7}, False),
                       lambda: consume({}, True), lambda: consume({"max": 7}, True))
    offsets, logs = results[:PRODUCERS], results[PRODUCERS:]
    for log in logs[1:]:
        check(log == logs[0], "consumers see different orders")
    same(sorted(sum(offsets, [])), list(range(total)), "the acknowledged offsets")
    for who in range(PRODUCERS):
        same(own_order(logs[0], "P%d" % who), list(range(MESSAGES)), "order of P%d" % who)
        same([logs[0].index("P%d %d" % (who, i)) for i in range(MESSAGES)], offsets[who],
             "where P%d's messages lie, against what it was told" % who)


@test()
def one_consumer_id_in_many_hands(given):
    """Plain consume hands every message out exactly once, whoever asks."""
    api, topic = given.api, given.topic()
    total = 400
    api.filled(topic, total)
    consumer_id = api.consumer(topic)

    def take(more):
        taken = []
        while True:
            answer = api.consume(topic, consumer_id, **more)
            if answer.http == 400:
                answer.refused("no_message")
                return taken
            got = answer["messages"] if more else [answer.body]
            offsets = [item["offset"] for item in got]
            check(offsets == sorted(offsets) and (not taken or taken[-1] < offsets[0]),
                  "one client's messages go backwards:", taken[-3:], offsets)
            taken += offsets

    taken = together(*[lambda: take({}) for _ in range(6)], *[lambda: take({"max": 3})] * 2)
    counts = collections.Counter(sum(taken, []))
    same(sorted(counts), list(range(total)), "offsets handed out")
    same(max(counts.values()), 1, "times that a message was handed out")
    same(api.size(topic, consumer_id), 0, "size")


@test()
def one_message_and_many_hands(given):
    """One gets it; the others are told at once that there is none, or wait for the next."""
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    for i in range(40):
        api.produce(topic, producer_id, "m")
        answers = together(*[lambda: api.consume(topic, consumer_id) for _ in range(8)])
        same(sorted(a.http for a in answers), [200] + [400] * 7, "HTTP status")
        for answer in answers:
            if answer.http == 400:
                answer.refused("no_message")
            else:
                answer.succeeded(message="m", offset=i)


@test()
def one_consumer_id_while_producing(given):
    api, topic = given.api, given.topic()
    producers = [api.producer(topic) for _ in range(3)]
    consumer_id = api.consumer(topic)
    per_hand = 30

    def produce(producer_id):
        for i in range(2 * per_hand):
            api.produce(topic, producer_id, "m")

    def take():
        return [api.consume(topic, consumer_id, wait_ms=LONG_POLL_MS)["offset"]
                for _ in range(per_hand)]

    results = together(*[lambda p=p: produce(p) for p in producers], *[take] * 6)
    same(sorted(sum(results[3:], [])), list(range(6 * per_hand)), "offsets handed out")


@test()
def one_producer_id_with_sequences_in_many_hands(given):
    """All send all; each message is stored once, in the order of the sequence."""
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    total = 60

    def send():
        fresh = 0
        for i in range(total):
            answer = api.produce(topic, producer_id, "m%d" % i, sequence=i)
            same(answer["offset"], i, "offset")
            fresh += "duplicate" not in answer.body
        return fresh

    same(sum(together(*[send] * 6)), total, "answers without duplicate")
    same(api.read_all(topic), ["m%d" % i for i in range(total)], "messages")


@test()
def one_topic_created_at_once(given):
    api, topic = given.api, given.topic()
    answers = together(*[lambda: api.create(topic) for _ in range(10)])
    same(sorted(a.http for a in answers), [200] + [400] * 9, "HTTP status")
    same(api.topics().count(topic), 1, "times in the list")


@test()
def registrations_at_once(given):
    api, topic = given.api, given.topic()

    def register():
        return [(api.producer(topic), api.consumer(topic)) for _ in range(10)]

    pairs = sum(together(*[register] * 10), [])
    for kind, ids in zip(("producer", "consumer"), zip(*pairs)):
        same(len(set(ids)), 100, "different %s ids" % kind)
    same(api.topics().count(topic), 1, "times in the list")


@test()
def topics_at_once(given):
    """Appends of many topics share commits; each topic has its own dense offsets."""
    api = given.api
    topics = [given.topic() for _ in range(8)]

    def produce(topic):
        producer_id = api.producer(topic)
        for i in range(30):
            api.produce(topic, producer_id, "%s %d" % (topic, i)).succeeded(offset=i)

    together(*[lambda t=t: produce(t) for t in topics])
    for topic in topics:
        same(api.read_all(topic), ["%s %d" % (topic, i) for i in range(30)], "messages")
