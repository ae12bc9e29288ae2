#!/usr/bin/python3
"""brute.py - small random runs, judged by the checker and by the definitions themselves.

Each case is a run of a correct system with a few clients and messages, and up to three planted
breaks. What `myqueue-harness check` finds must be what a checker says that is written here from
docs/checker.md, naively: every pair is compared with every other. A case without a break must
be valid.

    BUILD=build harness/tests/brute.py [CASES] [FIRST_SEED]

A case that differs is kept, and its seed and folder are printed. The last line is
`N passed, N failed`.
"""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

OK, FAIL, INFO, OPEN = "ok", "fail", "info", None
EMPTY, LOST = "no_message", "lost"  # answers of a consume; None: messages
BREAKS_MAX = 3


# ---- a run of a correct system -------------------------------------------------------------------

class Send:
    def __init__(self, producer, line, topic, message, begin):
        self.producer, self.line, self.topic, self.message = producer, line, topic, message
        self.begin, self.end, self.outcome, self.offset = begin, None, OPEN, None


class Run:
    """What is written into the folder. Messages are all unlike."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = 1000
        self.topics = self.random.randint(1, 2)
        self.lines = {}      # producer -> [(topic, message)]
        self.sends = []      # one for each line that was sent, in order
        self.rows = {t: [] for t in range(self.topics)}  # [offset, producer id, sequence, message]
        self.receives = {}   # consumer -> [[time, topic, offset, message]]
        self.requests = {}   # consumer -> [[begin, end, topic, offset, None | EMPTY | LOST]]
        self.sizes = []      # [begin, end, consumer, topic, size]
        self.removed = {}    # topic -> where its log begins, if it has limits
        for p in range(self.random.randint(1, 3)):
            self.lines[p] = [(self.random.randrange(self.topics), "P%d-%d" % (p, i))
                             for i in range(self.random.randint(1, 5))]
        for t in range(self.topics):  # each has a message at least
            if not any(line[0] == t for lines in self.lines.values() for line in lines):
                self.lines[0].append((t, "P0-%d" % len(self.lines[0])))
        for c in range(self.random.randint(1, 3)):
            self.receives[c], self.requests[c] = [], []
        self.happen()

    def tick(self):
        self.now += self.random.randint(1, 9)
        return self.now

    def happen(self):
        """Clients take turns at random; a producer sends a line when the one before has ended."""
        waiting, position = {}, {(c, t): 0 for c in self.receives for t in range(self.topics)}
        following = {p: 0 for p in self.lines}
        while any(following[p] < len(self.lines[p]) for p in self.lines) or waiting:
            client = self.random.choice([("P", p) for p in self.lines] +
                                        [("C", c) for c in self.receives])
            if client[0] == "C":
                self.consume(client[1], self.random.randrange(self.topics), position)
            elif client[1] in waiting:
                self.end(waiting.pop(client[1]))
            elif following[client[1]] < len(self.lines[client[1]]):
                waiting[client[1]] = self.begin(client[1], following[client[1]])
                following[client[1]] += 1
        self.drain(position)
        for c, t in position:
            if self.random.random() < 0.3:
                self.sizes.append([self.tick(), self.tick(), c, t, 0])

    def drain(self, position):
        for c, t in position:
            while position[c, t] < len(self.rows[t]):
                self.consume(c, t, position)
            self.consume(c, t, position)

    def remove(self):
        for topic, first in self.removed.items():
            self.rows[topic] = self.rows[topic][first:]

    def begin(self, p, i):
        topic, message = self.lines[p][i]
        send = Send(p, i + 1, topic, message, self.tick())
        self.sends.append(send)
        send.fate = self.random.choices((OK, FAIL, INFO), (20, 1, 2))[0]
        send.stored = send.fate == OK or (send.fate == INFO and self.random.random() < 0.5)
        if send.stored and self.random.random() < 0.5:
            self.store(send)
        return send

    def store(self, send):
        sequence = [line[0] for line in self.lines[send.producer][:send.line]].count(send.topic) - 1
        send.offset = len(self.rows[send.topic])
        self.rows[send.topic].append(
            [send.offset, producer_id(send.producer, send.topic), sequence, send.message])

    def end(self, send):
        if send.stored and send.offset is None:
            self.store(send)
        send.end, send.outcome = self.tick(), send.fate

    def consume(self, c, topic, position):
        asked = position[c, topic]
        if self.random.random() < 0.1:
            self.requests[c].append([self.tick(), self.random.choice((None, self.tick())), topic,
                                     asked, LOST])
        begin = self.tick()
        there = self.rows[topic][asked:asked + self.random.randint(1, 3)]
        self.requests[c].append([begin, self.tick(), topic, asked, None if there else EMPTY])
        for offset, _, _, message in there:
            self.receives[c].append([self.tick(), topic, offset, message])
        position[c, topic] += len(there)
        if self.random.random() < 0.2:  # the broker may count what it gave as taken, or not yet
            taken = self.random.choice((asked, position[c, topic]))
            self.sizes.append([self.tick(), self.tick(), c, topic, len(self.rows[topic]) - taken])


def producer_id(p, topic):
    return 10 * (p + 1) + topic


# ---- breaks --------------------------------------------------------------------------------------

def any_of(run, items):
    items = list(items)
    return run.random.choice(items) if items else None


def row_removed(run):
    rows = run.rows[run.random.randrange(run.topics)]
    if rows:
        rows.remove(run.random.choice(rows))


def row_changed(run):
    row = any_of(run, (r for rows in run.rows.values() for r in rows))
    if row:
        row[3] = "changed"


def row_foreign(run):
    rows = run.rows[run.random.randrange(run.topics)]
    rows.append([len(rows), 99, 0, "foreign"])


def row_copied(run):
    rows = run.rows[run.random.randrange(run.topics)]
    if rows:
        rows.append([len(rows)] + run.random.choice(rows)[1:])


def row_misrouted(run):
    """A message is stored at the end of the other topic, or instead of its last message, and given
    to everybody there."""
    row = any_of(run, run.rows[0]) if run.topics == 2 else None
    if row:
        offset = max([r[0] + 1 for r in run.rows[1]] + [0])
        instead = run.random.random() < 0.3 and offset > 0
        offset -= instead
        run.rows[0].remove(row)
        run.rows[1] = [r for r in run.rows[1] if r[0] < offset] + [[offset] + row[1:]]
        for receives in run.receives.values():
            receives[:] = [r for r in receives if r[1:3] not in ([0, row[0]], [1, offset])]
            receives.append([run.tick(), 1, offset, row[3]])


def row_doubled(run):
    rows = run.rows[run.random.randrange(run.topics)]
    if rows:
        rows.append(list(run.random.choice(rows)))


def receive_removed(run):
    receives = run.receives[run.random.choice(list(run.receives))]
    if receives:
        receives.remove(run.random.choice(receives))


def receive_repeated(run):
    receives = run.receives[run.random.choice(list(run.receives))]
    if receives:
        at = run.random.randrange(len(receives))
        to = run.random.randint(at, len(receives))
        time = receives[max(at, to - 1)][0]  # a client's times ascend
        receives.insert(to, [time] + receives[at][1:])


def receives_swapped(run):
    receives = run.receives[run.random.choice(list(run.receives))]
    if len(receives) > 1:
        a, b = run.random.sample(range(len(receives)), 2)
        receives[a][1:], receives[b][1:] = receives[b][1:], receives[a][1:]


def receive_changed(run):
    receives = run.receives[run.random.choice(list(run.receives))]
    if receives:
        run.random.choice(receives)[3] = "changed"


def receive_beyond(run):
    receives = run.receives[run.random.choice(list(run.receives))]
    if receives:
        run.random.choice(receives)[2] += 50


def copy_delivered(run):
    row_copied(run)
    for topic, rows in run.rows.items():
        for c, receives in run.receives.items():
            got = {r[2] for r in receives if r[1] == topic}
            for row in rows:
                if row[0] not in got and row[0] == len(rows) - 1:
                    receives.append([run.tick(), topic, row[0], row[3]])


def exchanged(run):
    """Two messages of a topic change places, wherever they are seen."""
    topic = run.random.randrange(run.topics)
    rows = run.rows[topic]
    if len(rows) < 2:
        return
    a, b = run.random.sample(range(len(rows)), 2)
    rows[a][1:], rows[b][1:] = rows[b][1:], rows[a][1:]
    places = {rows[a][3]: rows[a][0], rows[b][3]: rows[b][0]}
    texts = {offset: text for text, offset in places.items()}
    for send in run.sends:
        if send.message in places and send.offset is not None:
            send.offset = places[send.message]
    for receives in run.receives.values():
        for receive in receives:
            if receive[1] == topic and receive[2] in texts:
                receive[3] = texts[receive[2]]


def acked(run):
    return any_of(run, (s for s in run.sends if s.outcome == OK))


def ack_elsewhere(run):
    send = acked(run)
    if send:
        send.offset = run.random.randrange(len(run.rows[send.topic]) + 2)


def ack_forgotten(run):
    send = acked(run)
    if send:
        send.end, send.outcome = None, OPEN


def ack_unknown(run):
    send = acked(run)
    if send:
        send.outcome = INFO


def ack_refused(run):
    send = acked(run)
    if send:
        send.outcome = FAIL


def empty_answer(run):
    c = run.random.choice(list(run.requests))
    topic = run.random.randrange(run.topics)
    begin = run.random.randint(1000, run.now)
    run.requests[c].append([begin, begin + 1, topic, run.random.randint(0, len(run.rows[topic])),
                            EMPTY])


def never_asked(run):
    """A consumer leaves off early: no last messages, no empty answer."""
    c = run.random.choice(list(run.receives))
    run.receives[c] = run.receives[c][:run.random.randint(0, len(run.receives[c]))]
    run.requests[c] = [r for r in run.requests[c] if r[4] != EMPTY]


def size_told(run):
    """A consumer asks for one size after the other."""
    begin = run.random.randint(1000, run.now)
    c, topic = run.random.choice(list(run.receives)), run.random.randrange(run.topics)
    if not any(s[2:4] == [c, topic] and s[0] <= begin + 1 and begin <= s[1] for s in run.sizes):
        run.sizes.append([begin, begin + 1, c, topic, run.random.randint(0, 6)])


BREAKS = (row_removed, row_changed, row_foreign, row_copied, row_misrouted, row_doubled,
          receive_removed, receive_repeated, receives_swapped, receive_changed, receive_beyond,
          copy_delivered, exchanged, ack_elsewhere, ack_forgotten, ack_unknown, ack_refused,
          empty_answer, never_asked, size_told)


# ---- the folder ----------------------------------------------------------------------------------

def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def events(path, process, items):
    """Each item: (time, op, type, members). The order of a moment is kept."""
    write(path, (json.dumps({"t": t, "process": process, "op": op, "type": kind, **members})
                 for t, op, kind, members in sorted(items, key=lambda item: item[0])))


def producer_events(run, p):
    for t in range(run.topics):
        yield 1, "register", "ok", {"topic": "T%d" % t, "producer_id": producer_id(p, t)}
    for s in run.sends:
        if s.producer != p:
            continue
        known = {"line": s.line, "topic": "T%d" % s.topic}
        yield s.begin, "send", "invoke", {**known, "message": s.message}
        if s.outcome == OK:
            yield s.end, "send", "ok", {**known, "offset": s.offset}
        elif s.outcome is not OPEN:
            yield s.end, "send", s.outcome, {**known, "code": "why"}


def consumer_events(run, c):
    for number, (begin, end, topic, offset, code) in enumerate(run.requests[c]):
        yield begin, "request", "invoke", {"id": number, "path": "/consumer/consume",
                                           "topic": "T%d" % topic, "offset": offset}
        if code is not LOST:
            yield (end, "request", "fail", {"id": number, "http": 400, "code": code}) if code else \
                (end, "request", "ok", {"id": number, "http": 200})
        elif end is not None:
            yield end, "request", "info", {"id": number, "http": 0}
    for begin, end, who, topic, size in run.sizes:
        if who == c:
            yield begin, "size", "invoke", {"topic": "T%d" % topic}
            yield end, "size", "ok", {"topic": "T%d" % topic, "size": size}


def folder_write(run, folder):
    os.makedirs(os.path.join(folder, "scenario"))
    os.makedirs(os.path.join(folder, "history"))
    write(os.path.join(folder, "run.json"), [json.dumps({"scenario": "brute", "store": "sqlite"})])
    sent = {t: {p for p in run.lines if t in [line[0] for line in run.lines[p]]}
            for t in range(run.topics)}
    write(os.path.join(folder, "scenario/scenario.conf"),
          ["T%d: %s : %s" % (t, " ".join("P%d" % (p + 1) for p in sorted(sent[t])),
                             " ".join("C%d" % (c + 1) for c in run.receives))
           for t in range(run.topics)])
    for p, lines in run.lines.items():
        write(os.path.join(folder, "scenario/producer_%d.txt" % (p + 1)),
              ["21:52:23\t%s\t\tx%d\t\tT%d" % (message, i, topic)
               for i, (topic, message) in enumerate(lines)])
        events(os.path.join(folder, "history/P%d.jsonl" % (p + 1)), "P%d" % (p + 1),
               producer_events(run, p))
    for c, receives in run.receives.items():
        # Receipts keep their order, whatever their times say.
        name = os.path.join(folder, "history/C%d.jsonl" % (c + 1))
        events(name, "C%d" % (c + 1), consumer_events(run, c))
        with open(name, "a", encoding="utf-8") as file:
            for line, (t, topic, offset, message) in enumerate(receives, 1):
                file.write(json.dumps({"t": t, "op": "receive", "type": "ok", "line": line,
                                       "topic": "T%d" % topic, "offset": offset,
                                       "message": message}) + "\n")
        write(os.path.join(folder, "consumer_%d.txt" % (c + 1)),
              ["T%d     %s" % (r[1], r[3]) for r in receives])
    write(os.path.join(folder, "rows.jsonl"),
          [json.dumps({"topic": "T%d" % topic, "first_offset": first})
           for topic, first in run.removed.items() if first > 0] +
          [json.dumps({"topic": "T%d" % t, "partition": 0, "offset": r[0], "producer_id": r[1],
                       "sequence": r[2], "message": r[3]})
           for t in range(run.topics) for r in sorted(run.rows[t], key=lambda r: r[0])])


# ---- the definitions -----------------------------------------------------------------------------

class Entry:
    """What the log has at an offset. `named`: a finding at this offset says what is wrong.
    `extra`: what it is called at a consumer, if nobody owes it."""

    def __init__(self, offset, message, send, owed=True, stored=True, named=False,
                 extra=None):
        self.offset, self.message, self.send = offset, message, send
        self.owed, self.stored, self.named, self.extra = owed, stored, named, extra

    def acked(self):
        return self.send.end if self.send and self.send.outcome == OK else None

    def too_soon(self, time):
        return self.owed and not self.named and time < self.send.begin


class Reading:
    """What a consumer was given of a topic, in order, when it was to begin at `begin`. `right`: the
    offsets of what is as the log has it, from there on; `outside`: before that."""

    def __init__(self, got, log):
        self.got, self.begin, self.outside = got, 0, []
        self.right = [o for o, message in got if o in log and log[o].message == message]

    def begins(self, begin):
        self.begin = begin
        self.outside = [o for o in self.right if o < begin]
        self.right = [o for o in self.right if o >= begin]

    def missing(self, log, is_last):
        end = max(self.right, default=-1)
        return [[o, o < end] for o, entry in log.items() if entry.owed and o >= self.begin and
                o not in self.right and (is_last or o < end)]

    def again(self):
        return [o for i, o in enumerate(self.right) if o in self.right[:i]]


def take(missing, offset):
    for item in missing:
        if item[0] == offset:
            missing.remove(item)
            return True
    return False


class Judge:
    """`found`: (name, source, process, topic)."""

    def __init__(self, run):
        self.run, self.found, self.maybe = run, set(), set()
        for topic in range(run.topics):
            log = self.log(topic)
            self.producers(topic, log)
            for c in run.receives:
                self.consumer(c, topic, log)

    def say(self, name, source, process, topic):
        self.found.add((name, source, process, "T%d" % topic))

    def send_of(self, topic, row):
        for send in self.run.sends:
            lines = [i + 1 for i, line in enumerate(self.run.lines[send.producer])
                     if line[0] == topic]
            if send.topic == topic and producer_id(send.producer, topic) == row[1] and \
                    lines.index(send.line) == row[2] and send.message == row[3]:
                return send
        return None

    def send_elsewhere(self, topic, row):
        """Of another topic."""
        others = (self.send_of(other, row) for other in range(self.run.topics) if other != topic)
        return next((send for send in others if send), None)

    def is_of(self, row, send):
        return send.message == row[3] and producer_id(send.producer, send.topic) == row[1]

    def log(self, topic):
        rows = sorted(self.run.rows[topic], key=lambda r: r[0])
        acked = sorted((s for s in self.run.sends if s.topic == topic and s.outcome == OK),
                       key=lambda s: (s.producer, s.line))
        log, placed = {}, {}
        named = set()
        for row in rows:
            if sum(r[0] == row[0] for r in rows) > 1:
                self.say("inconsistent-offset", "store", None, topic)
                named.add(row[0])
        first = {}
        for row in rows:
            first.setdefault(row[0], row)
        for offset, row in first.items():
            here = [s for s in acked if s.offset == offset]
            right = [s for s in here if self.is_of(row, s)]
            if here and not right and (self.send_of(topic, row) or self.send_elsewhere(topic, row)):
                continue  # it is that one's, wherever that one was acknowledged
            if here and not right:
                self.say("corrupt", "store", "P%d" % (here[0].producer + 1), topic)
                named.add(offset)
            if here:
                log[offset] = Entry(offset, (right or here)[0].message, (right or here)[0])
                placed[(right or here)[0]] = offset
        for offset, row in sorted(first.items()):
            if offset not in log:
                self.orphan(topic, row, log, placed, named)
        for send in acked:
            if send in placed:
                continue
            process = "P%d" % (send.producer + 1)
            if sum(s.offset == send.offset for s in acked) > 1 or send.offset in first:
                self.say("inconsistent-offset", "store", process, topic)
                self.say("lost", "store", process, topic)
                named.add(send.offset)
            else:
                if send.offset >= self.run.removed.get(topic, 0):
                    self.say("lost", "store", process, topic)
                    named.add(send.offset)
                log[send.offset] = Entry(send.offset, send.message, send, stored=False)
                placed[send] = send.offset
        self.removed(topic, log, placed)
        for offset in named & set(log):
            log[offset].named = True
        unknown = [s for s in self.run.sends if s.topic == topic and s.outcome in (INFO, OPEN)]
        begin = self.run.removed.get(topic, 0) if set(unknown) - set(placed) else 0
        if log and not set(range(begin, max(log) + 1)) <= set(log):
            self.say("not-dense", "store", None, topic)
        return log

    def removed(self, topic, log, placed):
        """What has no row any more, and nobody knows whether it was stored: but it was delivered."""
        for send in self.run.sends:
            for receive in itertools.chain(*self.run.receives.values()):
                if receive[1] == topic == send.topic and receive[3] == send.message and \
                        send.outcome in (INFO, OPEN) and send not in placed and \
                        receive[2] not in log and receive[2] < self.run.removed.get(topic, 0):
                    log[receive[2]] = Entry(receive[2], send.message, send, stored=False)
                    placed[send] = receive[2]

    def orphan(self, topic, row, log, placed, named):
        send, process, elsewhere = self.send_of(topic, row), None, self.send_elsewhere(topic, row)
        if send is None and elsewhere:
            self.say("misrouted", "store", "P%d" % (elsewhere.producer + 1), topic)
            named.add(row[0])
            log[row[0]] = Entry(row[0], row[3], None, owed=False, extra="misrouted")
            return
        if send is None:
            for p in self.run.lines:
                if producer_id(p, topic) == row[1]:
                    process = "P%d" % (p + 1)
            self.say("phantom", "store", process, topic)
            named.add(row[0])
            log[row[0]] = Entry(row[0], row[3], None, owed=False, extra="phantom")
            return
        process = "P%d" % (send.producer + 1)
        if send in placed:
            self.say("duplicate", "store", process, topic)
            named.add(row[0])
            log[row[0]] = Entry(row[0], row[3], send, owed=False, extra="redelivered")
            return
        if send.outcome == OK:
            self.say("inconsistent-offset", "store", process, topic)
            named.add(row[0])
        elif send.outcome == FAIL:
            self.say("aborted-read", "store", process, topic)
            named.add(row[0])
        log[row[0]] = Entry(row[0], row[3], send)
        placed[send] = row[0]

    def producers(self, topic, log):
        run, displaced = self.run, set()
        at = {e.send: e.offset for e in log.values() if e.send and e.owed and e.stored}
        for p, lines in run.lines.items():
            mine = [s for s in run.sends if s.producer == p and s.topic == topic]
            for send in mine:
                if send.outcome != OK:
                    self.say("unsent" if send.outcome is OPEN else "unacknowledged", "history",
                             "P%d" % (p + 1), topic)
            mine = [s for s in mine if s in at]
            for before, after in zip(mine, mine[1:]):
                if at[before] > at[after]:
                    self.say("producer-order", "history", "P%d" % (p + 1), topic)
                    displaced |= {before, after}
        self.clear = [e for e in log.values()
                      if e.owed and not e.named and e.send not in displaced]
        for entry in log.values():
            self.know(topic, entry)
        for early, late in itertools.permutations(self.clear, 2):
            if early.known is not None and early.known < late.send.begin and \
                    late.offset < early.offset:
                self.say("real-time-order", "history", "P%d" % (late.send.producer + 1), topic)

    def know(self, topic, entry):
        """Since when is it known that the entry is there?"""
        times = [r[0] for receives in self.run.receives.values() for r in receives
                 if entry.owed and r[1:] == [topic, entry.offset, entry.message] and
                 r[0] >= entry.send.begin]
        entry.known = min(times + [entry.acked()] * (entry.acked() is not None), default=None)

    def too_soon(self, c, topic, log, disorder):
        """Of receipts that come twice or out of order only one is the message: it may be another."""
        for time, _, offset, message in (r for r in self.run.receives[c] if r[1] == topic):
            if offset in log and log[offset].message == message and log[offset].too_soon(time):
                (self.maybe if disorder else self.found).add(
                    ("phantom", "history", "C%d" % (c + 1), "T%d" % topic))

    def readings(self, c, topic, log):
        return [Reading([(r[2], r[3]) for r in self.run.receives[c] if r[1] == topic], log)]

    def told_nothing(self, c, topic):
        """When it was last to be told whether there is more."""
        return [r[0] for r in self.run.requests[c] if r[2] == topic and r[4] == EMPTY]

    def consumer(self, c, topic, log):
        process = "C%d" % (c + 1)
        empty = [r for r in self.run.requests[c] if r[2] == topic and r[4] == EMPTY]
        sent = {line[1]: line[0] for lines in self.run.lines.values() for line in lines}
        readings = self.readings(c, topic, log)
        missing = []  # [offset, whether something later was read]; of each reading
        again, outside = [], []
        for reading in readings:
            missing += reading.missing(log, reading is readings[-1])
            again += reading.again()
            outside += [o for o in reading.outside if log[o].owed]
            self.order(process, topic, [o for o in reading.right if log[o].owed])
        seen = {o for reading in readings for o in reading.right}
        for offset in again + outside:  # it stands for what another reading lacks, if one does
            self.say("out-of-order" if take(missing, offset) or offset not in seen else
                     "redelivered", "history", process, topic)
            seen.add(offset)
        self.too_soon(c, topic, log, self.found & {(name, "history", process, "T%d" % topic)
                                                   for name in ("redelivered", "out-of-order")})
        for offset, message in (receipt for reading in readings for receipt in reading.got):
            self.stray(process, topic, log, offset, message, missing, sent)
        for entry in (log[offset] for reading in readings
                      for offset in reading.right + reading.outside):
            if not entry.owed:
                self.say(entry.extra, "history", process, topic)
        told = self.told_nothing(c, topic)
        for offset, later in missing:
            acked = log[offset].acked()
            drained = acked is not None and any(time >= acked for time in told)
            self.say("unseen" if not later and not drained else
                     "skipped" if acked is None else "lost", "history", process, topic)
        for begin, _, _, asked, _ in empty:
            if any(e.known is not None and e.known <= begin and e.offset >= asked
                   for e in self.clear):
                self.say("false-empty", "history", process, topic)
        self.sizes(c, topic, log)

    def order(self, process, topic, right):
        """Is there one receipt of each offset so that they ascend?"""
        places = [[i for i, o in enumerate(right) if o == offset] for offset in sorted(set(right))]
        if not any(list(choice) == sorted(choice) for choice in itertools.product(*places)):
            self.say("out-of-order", "history", process, topic)

    def stray(self, process, topic, log, offset, message, missing, sent):
        """A receipt that is not what the log has at its offset takes the place of what is missing
        there, once."""
        if offset in log and log[offset].message == message:
            return
        if message in sent and sent[message] != topic:
            take(missing, offset)
            self.say("misrouted", "history", process, topic)
        elif take(missing, offset):
            self.say("inconsistent-offset" if message in sent else "corrupt", "history", process,
                     topic)
        elif message in sent and offset in log:
            self.say("inconsistent-offset", "history", process, topic)
        else:
            self.say("phantom", "history", process, topic)

    def taken(self, c, topic, begin, end):
        """The fewest and the most that the broker may think it has taken."""
        asked = [r for r in self.run.requests[c] if r[2] == topic]
        lost = [r[3] for r in asked if r[4] == LOST and r[0] <= end]
        low = max([r[3] for r in asked if r[4] != LOST and r[1] <= begin] + [0])
        high = max([r[3] for r in asked if r[0] <= end] +
                   [sum(r[1] == topic and r[0] <= end for r in self.run.receives[c]) + len(lost)])
        return min([low] + lost), high

    def is_size(self, c, topic, log, told, asked_late=True):
        """`asked_late`: it had said that it has what it was given."""
        begin, end, _, _, size = told
        low, high = self.taken(c, topic, begin, end)
        high = max(high, self.run.removed.get(topic, 0))
        if asked_late:
            high = max([high] + [r[2] + 1 for r in self.run.receives[c]
                                 if r[1] == topic and r[0] <= begin])
        sends = [s for s in self.run.sends if s.topic == topic]
        known = {e.send: e.known for e in log.values() if e.owed and e.send.outcome != FAIL}
        times = [known.get(s, s.end if s.outcome == OK else None) for s in sends]
        least = sum(t is not None and t <= begin for t in times) - high
        most = sum(s.outcome != FAIL and s.begin <= end for s in sends) - low
        least = max(least, 0)
        return least <= size <= max(least, most)

    def sizes(self, c, topic, log):
        for told in self.run.sizes:
            if told[2:4] == [c, topic] and not self.is_size(c, topic, log, told):
                self.say("size-wrong", "history", "C%d" % (c + 1), topic)


# ---- comparing -----------------------------------------------------------------------------------

def check(harness, folder):
    subprocess.run([harness, "check", folder], stdout=subprocess.DEVNULL, check=False)
    with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
        result = json.load(file)
    found = set()
    for finding in result["violations"] + result["unknowns"]:
        for f in [finding] + finding["consequences"]:
            if f is finding or f["name"] != "order-disagreement":  # follows from out-of-order
                found.add((f["name"], f["source"], f["process"], f["topic"]))
    return result["verdict"], found


def compare(harness, folder, breaks, expected, seen_as=lambda finding: finding, maybe=frozenset()):
    """None, or what is wrong. What may or may not be found is `maybe`."""
    verdict, found = check(harness, folder)
    found = {seen_as(finding) for finding in found}
    found, expected = found - maybe, expected - maybe
    allowed = {"unsent", "unacknowledged"}
    if not breaks and {f[0] for f in found} - allowed:
        return "no break, but %s: %s" % (verdict, sorted(found, key=str))
    if found != expected:
        return "%s: by the definitions %s; the checker says %s" % (
            " ".join(make.__name__ for make in breaks),
            sorted(expected - found, key=str), sorted(found - expected, key=str))
    return None


def case(harness, seed, folder):
    """None, or what is wrong."""
    run = Run(seed)
    breaks = [run.random.choice(BREAKS) for _ in range(run.random.randint(0, BREAKS_MAX))]
    for make in breaks:
        make(run)
    folder_write(run, folder)
    judge = Judge(run)
    return compare(harness, folder, breaks, judge.found, maybe=judge.maybe)


def main(judge_case):
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    harness = os.path.join(os.environ.get("BUILD", "build"), "myqueue-harness")
    failed = 0
    for seed in range(first, first + cases):
        folder = tempfile.mkdtemp(prefix="myqueue-brute-")
        wrong = judge_case(harness, seed, folder)
        if wrong is None:
            shutil.rmtree(folder)
        else:
            failed += 1
            print("seed %d, %s: %s" % (seed, folder, wrong))
    print("%d passed, %d failed" % (cases - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(case))
