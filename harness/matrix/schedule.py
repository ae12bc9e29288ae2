"""schedule.py - who sends what to whom, and what is broken when: drawn from a seed, then written
down as a scenario folder, which is all that a run needs and all that repeats it.

The same seed gives the same folder, byte by byte, on every machine.
"""

import os
import random
import re
from dataclasses import dataclass, replace

STORES = ("postgres", "sqlite")
NETWORK = ("lose-reply", "delay", "trickle", "cut", "half-open", "reset")

# How many acknowledgements a millisecond of a window can see go by, at most: so many messages must
# be left behind it, or the next fault would find nobody sending.
ACKS_PER_MS = 5

RETAINED = 0.2  # part of the soak's runs in which the broker removes what all have read
RETENTIONS = (1000, 5000, 25000)  # bytes of a topic; a message counts 100 more than it is long


@dataclass(frozen=True)
class Kind:
    """A row of the matrix. `words` is what scenario.conf says; {ms} is drawn between the two."""

    name: str
    words: str
    ms: tuple = (50, 400)
    stores: tuple = STORES
    stops: bool = True  # nothing is acknowledged meanwhile
    runtime: str = "process"
    times: int = 2      # in a run of the matrix; 1 where nobody may be sending any more by then
    weight: float = 1   # how often it is drawn for the soak

    def fits(self, store):
        return ("sqlite" if store == "memory" else store) in self.stores

    def draw(self, dice, shape):
        return self.words.format(ms=dice.randint(*self.ms),
                                 producer=dice.randint(1, shape.producers),
                                 consumer=dice.randint(1, shape.consumers),
                                 number=dice.randint(1, 999999),
                                 seconds=dice.choice((-3600, -60, 60, 3600)))


POSTGRES = ("postgres",)

# Past every limit of time that the two sides have: 15 s a request of the library's, 10 s for the
# store.
LONG = [("pause broker", (16000, 18000), STORES),
        ("pause postgres", (11000, 13000), POSTGRES),
        ("half-open clients", (16000, 18000), STORES),
        ("half-open store", (11000, 13000), POSTGRES),
        ("lock counters", (11000, 13000), POSTGRES)]

KINDS = [
    Kind("kill broker", "kill broker, restart after {ms} ms"),
    Kind("kill postgres", "kill postgres, restart after {ms} ms", stores=POSTGRES),
    Kind("term broker", "term broker, restart after {ms} ms"),
    Kind("stop postgres", "stop postgres, restart after {ms} ms", stores=POSTGRES),
    Kind("pause broker", "pause broker for {ms} ms", (100, 1500)),
    Kind("pause postgres", "pause postgres for {ms} ms", (100, 1500), stores=POSTGRES),
    Kind("replace broker", "replace broker for {ms} ms", (50, 300), stores=POSTGRES, stops=False),
    Kind("terminate backends", "terminate backends", stores=POSTGRES),
    Kind("exhaust connections", "exhaust connections for {ms} ms", stores=POSTGRES,
         stops=False, times=1),
    Kind("lock counters", "lock counters for {ms} ms", stores=POSTGRES),
    Kind("hold transaction", "hold transaction for {ms} ms", (50, 200), stores=POSTGRES,
         stops=False),
    Kind("fill disk", "fill disk for {ms} ms", (100, 300), stops=False, times=1),
    Kind("power-cut store", "power-cut store, restart after {ms} ms"),
    Kind("power-cut torn", "power-cut store torn by {number}, restart after {ms} ms"),
    *[Kind("%s clients" % how, "%s clients for {ms} ms" % how, (100, 800)) for how in NETWORK],
    *[Kind("%s store" % how, "%s store for {ms} ms" % how, (100, 800), stores=POSTGRES)
      for how in NETWORK],
    Kind("disconnect broker", "disconnect broker for {ms} ms", (200, 1500), runtime="docker",
         times=1),
    Kind("disconnect postgres", "disconnect postgres for {ms} ms", (200, 1500), stores=POSTGRES,
         runtime="docker", times=1),
    Kind("kill producer", "kill producer {producer}, restart after {ms} ms", (20, 200),
         stops=False),
    Kind("kill consumer", "kill consumer {consumer}, restart after {ms} ms", (20, 200),
         stops=False),
    *[Kind(what + " long", what + " for {ms} ms", span, stores, times=1, weight=0.1)
      for what, span, stores in LONG],
    Kind("step clock", "step clock by {seconds} s for {ms} ms", (50, 200)),
]

ROWS = [kind.name for kind in KINDS]


@dataclass(frozen=True)
class Fault:
    acks: int  # it begins when so many sends are acknowledged
    words: str
    row: str = ""

    def line(self):
        return "fault = after %d acks: %s" % (self.acks, self.words)


@dataclass(frozen=True)
class Seek:
    consumer: int
    topic: str
    after: int   # messages of the topic that it was given
    offset: int

    def line(self):
        return "seek = C%d after %d messages of %s: to %d" % (self.consumer, self.after, self.topic,
                                                              self.offset)


@dataclass(frozen=True)
class Shape:
    producers: int
    consumers: int
    topics: int


@dataclass(frozen=True)
class Schedule:
    name: str
    store: str
    seed: int
    topics: dict  # topic: (producers, consumers), ids ascending
    logs: dict    # producer: its lines, as (topic, text)
    faults: tuple
    seeks: tuple = ()  # one at most for a consumer of a topic
    retention: int = 0  # bytes of each topic that the broker keeps, about; 0: all

    def lines(self):
        return sum(len(log) for log in self.logs.values())

    def conf(self):
        rows = ["title = %s, seed %d" % (self.name, self.seed), "store = %s" % self.store,
                "seed = %d" % self.seed]
        for topic, (producers, consumers) in self.topics.items():
            rows.append("%s: %s : %s" % (topic, " ".join("P%d" % p for p in producers),
                                         " ".join("C%d" % c for c in consumers)))
        rows += [seek.line() for seek in self.seeks]
        if self.retention:
            rows.append("retention_bytes = %d" % self.retention)
        rows += [fault.line() for fault in self.faults]
        return "".join(row + "\n" for row in rows)

    def write(self, folder):
        """Make the scenario folder."""
        os.makedirs(folder)
        with open(os.path.join(folder, "scenario.conf"), "w", encoding="utf-8") as file:
            file.write(self.conf())
        for producer, log in self.logs.items():
            path = os.path.join(folder, "producer_%d.txt" % producer)
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                for i, (topic, text) in enumerate(log, 1):
                    file.write("%02d:%02d:%02d\t%s\t\tP%d-%d\t\t%s\n" % (
                        9 + i // 3600 % 15, i // 60 % 60, i % 60, text, producer, i, topic))

    # ---- what a shrinker does to it -------------------------------------------------------------

    def without_fault(self, index):
        return replace(self, faults=self.faults[:index] + self.faults[index + 1:])

    def without_seek(self, index):
        return replace(self, seeks=self.seeks[:index] + self.seeks[index + 1:])

    def without_producer(self, producer):
        logs = {p: log for p, log in self.logs.items() if p != producer}
        return self.of(logs, {t: ([p for p in ps if p != producer], cs)
                              for t, (ps, cs) in self.topics.items()})

    def without_consumer(self, consumer):
        return self.of(self.logs, {t: (ps, [c for c in cs if c != consumer])
                                   for t, (ps, cs) in self.topics.items()})

    def shortened(self, part):
        """Each log's first part only; the faults come earlier by as much."""
        return self.of({p: log[:max(1, int(len(log) * part))] for p, log in self.logs.items()},
                       self.topics)

    def of(self, logs, topics):
        """These logs and topics, as far as they still belong together; None when nothing is left,
        or a fault is about somebody who is no more."""
        kept = {}
        for topic, (_, consumers) in topics.items():
            writers = [p for p, log in logs.items() if any(t == topic for t, _ in log)]
            if writers and consumers:
                kept[topic] = (writers, consumers)
        logs = {p: [line for line in log if line[0] in kept] for p, log in logs.items()}
        logs = {p: log for p, log in logs.items() if log}
        readers = {c for _, consumers in kept.values() for c in consumers}
        faults = scaled(self.faults, sum(map(len, logs.values())) / self.lines())
        for fault in faults:
            who = re.match(r"kill (producer|consumer) (\d+)", fault.words)
            if who and int(who[2]) not in (logs if who[1] == "producer" else readers):
                return None
        seeks = tuple(seek for seek in self.seeks if seek.topic in kept and
                      seek.consumer in kept[seek.topic][1] and
                      max(seek.after, seek.offset) <= messages(logs, seek.topic))
        return replace(self, logs=logs, topics=kept, faults=faults, seeks=seeks) if kept else None


def messages(logs, topic):
    return sum(t == topic for log in logs.values() for t, _ in log)


def scaled(faults, part):
    """The faults' moments, so much earlier, and still ascending."""
    found, before = [], 0
    for fault in faults:
        before = max(before + 1, int(fault.acks * part))
        found.append(replace(fault, acks=before))
    return tuple(found)


# ---- drawing ------------------------------------------------------------------------------------


def draw_topics(dice, shape):
    """Each topic has one to all producers and one to all consumers, and each of these a topic."""
    everybody = {"P": range(1, shape.producers + 1), "C": range(1, shape.consumers + 1)}
    topics = {}
    for i in range(1, shape.topics + 1):
        topics["T%d" % i] = tuple(sorted(dice.sample(ids, dice.randint(1, len(ids))))
                                  for ids in everybody.values())
    for side, ids in enumerate(everybody.values()):
        used = {one for topic in topics.values() for one in topic[side]}
        topics["T1"][side].extend(one for one in ids if one not in used)
        topics["T1"][side].sort()
    return topics


def draw_logs(dice, topics, producers, lines):
    logs = {}
    for producer in range(1, producers + 1):
        mine = [topic for topic, (writers, _) in topics.items() if producer in writers]
        logs[producer] = [
            (dice.choice(mine), "[%d:%d] %s" % (producer, i, "x" * dice.randint(1, 60)))
            for i in range(1, lines + 1)]
        # Whom the dice left out would be a topic with a producer that never writes to it.
        for i, topic in enumerate(mine):
            logs[producer][i] = (topic, logs[producer][i][1])
    return logs


def draw_seeks(dice, topics, logs):
    """Now and then a consumer begins a topic again, goes back some way, or on to what is to come."""
    seeks = []
    for topic, (_, consumers) in topics.items():
        count = messages(logs, topic)
        for consumer in consumers:
            after = dice.randint(1, count)
            offset = dice.choice((0, dice.randint(0, after), dice.randint(after, count)))
            if dice.random() < 0.2:
                seeks.append(Seek(consumer, topic, after, offset))
    return tuple(seeks)


def draw(name, store, seed, kinds, shape, room):
    """A schedule with these kinds of faults, in this order.

    room   messages before each fault, behind what the one before it may let through
    """
    dice = random.Random("%s/%s/%d" % (name, store, seed))
    acks, faults = 0, []
    for kind in kinds:
        acks += dice.randint(room // 2, room)
        words = kind.draw(dice, shape)
        faults.append(Fault(acks, words, kind.name))
        acks += 0 if kind.stops else kind.ms[1] * ACKS_PER_MS
    lines = -(-(acks + room) // shape.producers)
    topics = draw_topics(dice, shape)
    return Schedule(name, store, seed, topics, draw_logs(dice, topics, shape.producers, lines),
                    tuple(faults))


def draw_cell(kind, store, seed, room=300):
    """Of the matrix: this kind of fault, with so many messages before each."""
    dice = random.Random("%s/%s/%d/shape" % (kind.name, store, seed))
    shape = Shape(dice.randint(2, 4), dice.randint(1, 3), dice.randint(1, 3))
    return draw(kind.name, store, seed, [kind] * kind.times, shape, room)


def without_clashes(kinds):
    """A volume that is filled cannot lose its power in the same run: the first stays."""
    families = ("fill disk", "power-cut")
    first = next((family for kind in kinds for family in families
                  if kind.name.startswith(family)), None)
    return [kind for kind in kinds
            if not kind.name.startswith(families) or kind.name.startswith(first)]


def draw_mixed(seed, stores, names=None):
    """Of the soak, on processes: faults of several kinds, of these rows."""
    dice = random.Random("soak/%s/%d" % ("+".join(stores), seed))
    store = dice.choice(list(stores))
    kinds = [kind for kind in KINDS if kind.fits(store) and kind.runtime == "process" and
             kind.name in (names or ROWS)]
    shape = Shape(dice.randint(1, 5), dice.randint(1, 4), dice.randint(1, 4))
    drawn = without_clashes(dice.choices(kinds, k=dice.randint(1, 5)))
    schedule = draw("soak", store, seed, drawn, shape, dice.choice((300, 1000, 3000)))
    seeks = draw_seeks(dice, schedule.topics, schedule.logs)
    if dice.random() < RETAINED:  # where the broker removes messages nobody may seek
        return replace(schedule, retention=dice.choice(RETENTIONS))
    return replace(schedule, seeks=seeks)
