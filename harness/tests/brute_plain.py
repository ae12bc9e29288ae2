#!/usr/bin/python3
"""brute_plain.py - small random runs of the seven plain calls, judged by the checker and by the
definitions themselves.

As brute.py, but nobody says offsets: the log of a topic is what its consumers saw (docs/checker.md,
"Plain calls"). Each case has up to two planted breaks, no two of them at one message.

    BUILD=build harness/tests/brute_plain.py [CASES] [FIRST_SEED]

The last line is `N passed, N failed`.
"""

import itertools
import json
import os
import sys

import brute
from brute import EMPTY, FAIL, INFO, LOST, OK, OPEN, events, write

BREAKS_MAX = 2
ORDER = "producer-order or real-time-order"


# ---- a run of a correct system -------------------------------------------------------------------

class PlainRun(brute.Run):
    """A consume takes one message, and a lost answer may have taken it with it."""

    def __init__(self, seed):
        self.swallowed = {}  # consumer -> messages that were in a lost answer
        self.loses = seed % 2 == 0
        self.touched = set()
        super().__init__(seed)

    def consume(self, c, topic, position):
        begin, at = self.tick(), position[c, topic]
        there = self.rows[topic][at:at + 1]
        if self.loses and self.random.random() < 0.1:
            end = self.random.choice((None, self.tick()))
            self.requests[c].append([begin, end, topic, at, LOST])
            if there and self.random.random() < 0.5:
                self.swallowed.setdefault(c, set()).add(there[0][3])
                position[c, topic] += 1
            return
        self.requests[c].append([begin, self.tick(), topic, at, None if there else EMPTY])
        for offset, _, _, message in there:
            self.receives[c].append([self.tick(), topic, offset, message])
        position[c, topic] += len(there)
        if self.random.random() < 0.2:
            left = len(self.rows[topic]) - position[c, topic]
            self.sizes.append([self.tick(), self.tick(), c, topic, left])

    def got(self, c, topic):
        return [r[3] for r in self.receives[c] if r[1] == topic]

    def sent(self, topic):
        return {s.message: s for s in self.sends if s.topic == topic}


# ---- breaks --------------------------------------------------------------------------------------

def pick(run, receives):
    """One that no break has touched yet; now it is touched."""
    free = [r for r in receives if r[3] not in run.touched]
    if not free:
        return None
    chosen = run.random.choice(free)
    run.touched.add(chosen[3])
    return chosen


def somebody(run):
    return run.receives[run.random.choice(list(run.receives))]


def receive_removed(run):
    receives = somebody(run)
    chosen = pick(run, receives)
    if chosen:
        receives.remove(chosen)


def receive_repeated(run):
    receives = somebody(run)
    chosen = pick(run, receives)
    if chosen:
        receives.append([run.tick()] + chosen[1:])


def receives_swapped(run):
    receives = somebody(run)
    a, b = pick(run, receives), pick(run, receives)
    if a and b:
        a[1:], b[1:] = b[1:], a[1:]


def receive_changed(run):
    chosen = pick(run, somebody(run))
    if chosen:
        chosen[3] = "changed"


def receive_foreign(run):
    somebody(run).append([run.tick(), run.random.randrange(run.topics), 0, "foreign"])


def receive_misrouted(run):
    receives = somebody(run)
    chosen = pick(run, receives)
    if chosen and run.topics == 2:
        receives.append([run.tick(), 1 - chosen[1]] + chosen[2:])


def stored_elsewhere(run):
    """Everybody gets a message under the other topic, and nobody where it was sent."""
    chosen = pick(run, somebody(run)) if run.topics == 2 else None
    for receives in run.receives.values() if chosen else ():
        receives[:] = [r for r in receives if r[3] != chosen[3]]
        receives.append([run.tick(), 1 - chosen[1]] + chosen[2:])


def nobody_got(run):
    chosen = pick(run, somebody(run))
    for receives in run.receives.values() if chosen else ():
        receives[:] = [r for r in receives if r[3] != chosen[3]]


def everybody_twice(run):
    chosen = pick(run, somebody(run))
    for receives in run.receives.values() if chosen else ():
        if any(r[3] == chosen[3] for r in receives):
            receives.append([run.tick()] + chosen[1:])


def exchanged(run):
    """Two messages have each other's place, for everybody."""
    a, b = pick(run, somebody(run)), pick(run, somebody(run))
    if a and b and a[1] == b[1]:
        other = {a[3]: b[3], b[3]: a[3]}
        for receive in itertools.chain(*run.receives.values()):
            receive[3] = other.get(receive[3], receive[3])


def empty_answer(run):
    begin = run.random.randint(1000, run.now)
    run.requests[run.random.choice(list(run.requests))].append(
        [begin, begin + 1, run.random.randrange(run.topics), 0, EMPTY])


BREAKS = (receive_removed, receive_repeated, receives_swapped, receive_changed, receive_foreign,
          receive_misrouted, stored_elsewhere, nobody_got, everybody_twice, exchanged, empty_answer,
          brute.ack_forgotten, brute.ack_unknown, brute.ack_refused, brute.never_asked,
          brute.size_told)
# Not where answers are lost: that would explain what is missing, and what came twice may stand in
# the place of it.
LOSSES = (receive_removed, receives_swapped, receive_changed, stored_elsewhere, nobody_got,
          exchanged, brute.never_asked, receive_repeated, everybody_twice)


# ---- the folder ----------------------------------------------------------------------------------

def producer_events(run, p):
    for time, op, kind, members in brute.producer_events(run, p):
        if op == "send":
            yield time, op, kind, {k: v for k, v in members.items() if k != "offset"}


def consumer_events(run, c):
    for time, op, kind, members in brute.consumer_events(run, c):
        yield time, op, kind, {k: v for k, v in members.items() if k != "offset"}


def folder_write(run, folder):
    brute.folder_write(run, folder)
    os.remove(os.path.join(folder, "rows.jsonl"))
    write(os.path.join(folder, "run.json"),
          [json.dumps({"scenario": "brute", "store": "none", "calls": "plain"})])
    for p in run.lines:
        events(os.path.join(folder, "history/P%d.jsonl" % (p + 1)), "P%d" % (p + 1),
               producer_events(run, p))
    for c, receives in run.receives.items():
        name = os.path.join(folder, "history/C%d.jsonl" % (c + 1))
        events(name, "C%d" % (c + 1), consumer_events(run, c))
        with open(name, "a", encoding="utf-8") as file:
            for line, (t, topic, _, message) in enumerate(receives, 1):
                file.write(json.dumps({"t": t, "op": "receive", "type": "ok", "line": line,
                                       "topic": "T%d" % topic, "message": message}) + "\n")


# ---- the definitions -----------------------------------------------------------------------------

def longest_common(a, b):
    """[(i, j)] with a[i] == b[j], ascending."""
    best = [[()] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, j in itertools.product(reversed(range(len(a))), reversed(range(len(b)))):
        best[i][j] = max(best[i + 1][j], best[i][j + 1], key=len)
        if a[i] == b[j] and len(best[i + 1][j + 1]) + 1 >= len(best[i][j]):
            best[i][j] = ((i, j),) + best[i + 1][j + 1]
    return best[0][0]


class PlainJudge:
    """`found`: (name, source, process, topic)."""

    def __init__(self, run):
        self.run, self.found, self.maybe = run, set(), set()
        for topic in range(run.topics):
            self.sent = run.sent(topic)
            self.twice = {m for m in self.sent if len(run.receives) > 1 and
                          all(run.got(c, topic).count(m) > 1 for c in run.receives)}
            self.copied = set(self.twice)
            self.strange = {s.message for s in run.sends if self.is_misrouted(s, topic)}
            log = self.log(topic)
            self.producers(topic, log)
            for c in run.receives:
                self.consumer(c, topic, log)

    def say(self, name, source, process, topic):
        self.found.add((name, source, process, "T%d" % topic))

    def is_misrouted(self, send, topic):
        """Under this topic: two got it here, or the only one, and nobody where it was sent."""
        consumers = self.run.receives
        here = sum(send.message in self.run.got(c, topic) for c in consumers)
        return send.topic != topic and send.outcome != FAIL and here >= min(2, len(consumers)) and \
            not any(send.message in self.run.got(c, send.topic) for c in consumers)

    def acked(self, message):
        send = self.sent[message]
        return send.end if send.outcome == OK else None

    def log(self, topic):
        """[(message, whether nobody owes it)]: the order of who got most; what others got besides
        stands where they got it; what nobody got, before what was sent after its
        acknowledgement."""
        got = {c: self.run.got(c, topic) for c in self.run.receives}

        def right(c):
            return len(set(got[c]) & set(self.sent)) - len(self.early(got[c]))
        first = min(got, key=lambda c: (-right(c), len(got[c]) - right(c)))
        if self.early(got[first]):
            self.say(ORDER, "history", None, topic)
        order, placed, copies = [], set(), set(self.twice)

        def put(into, message):
            if message in self.sent and message not in placed:
                placed.add(message)
                into.append((message, False))
            elif message in copies and message in placed:
                copies.remove(message)
                into.append((message, True))
            elif message in self.strange and message not in placed:
                placed.add(message)
                into.append((message, True))
        for c in [first] + [c for c in got if c != first]:
            woven, ours, theirs = [], 0, 0
            common = longest_common([m for m, _ in order], got[c])
            for i, j in common + ((len(order), len(got[c])),):
                while ours < i or theirs < j:
                    if ours == i or (theirs < j and self.before(got[c][theirs], order[ours][0])):
                        put(woven, got[c][theirs])
                        theirs += 1
                    else:
                        woven.append(order[ours])
                        ours += 1
                woven += order[i:i + 1]
                ours, theirs = i + 1, j + 1
            order = woven
        unseen = sorted((s for s in self.sent.values()
                         if s.outcome == OK and s.message not in placed), key=lambda s: s.end)
        for send in unseen:
            later = [i for i, (m, copy) in enumerate(order)
                     if not copy and m in placed and self.sent[m].begin > send.end]
            order.insert(later[0] if later else len(order), (send.message, False))
        return order

    def before(self, message, other):
        return message in self.sent and other in self.sent and \
            self.sent[message].begin < self.sent[other].begin

    def producers(self, topic, log):
        at = {m: i for i, (m, copy) in enumerate(log) if not copy}
        for send in self.sent.values():
            process = "P%d" % (send.producer + 1)
            if send.outcome != OK:
                self.say("unsent" if send.outcome is OPEN else "unacknowledged", "history", process,
                         topic)
            if send.outcome == FAIL and send.message in at:
                self.say("aborted-read", "history", process, topic)
        for _ in (m for m, extra in log if extra and m in self.sent):
            self.say("duplicate", "history", None, topic)
        for send in (s for s in self.run.sends if s.message in self.strange):
            self.say("misrouted", "history", "P%d" % (send.producer + 1), topic)

    def early(self, got):
        """Receipts before one that had been acknowledged before they were sent. What came twice
        says nothing."""
        once = [m for m in got if got.count(m) == 1 and m in self.sent]
        early, behind = [], set()
        for i, a in enumerate(once):
            before = [b for b in once[i + 1:] if self.acked(b) is not None and
                      self.acked(b) < self.sent[a].begin and b not in behind]
            if before:
                early.append(a)
                behind.add(min(before, key=self.acked))  # what came too late is said once
        return early

    def consumer(self, c, topic, log):
        run, process = self.run, "C%d" % (c + 1)
        got, messages = run.got(c, topic), [m for m, _ in log]
        common = longest_common(messages, got)
        in_place = {i for i, _ in common}
        gaps = [i for i in range(len(log)) if i not in in_place and not log[i][1]]
        extras = [j for j in range(len(got)) if j not in {j for _, j in common}]
        for i in in_place:
            if log[i][1]:
                self.say("misrouted" if log[i][0] in self.strange else "redelivered", "history",
                         process, topic)
        self.too_soon(c, topic, not gaps and not extras and not any(copy for _, copy in log))
        empty = [r for r in run.requests[c] if r[2] == topic and r[4] == EMPTY]
        for i in gaps if c == 0 and len(run.receives) > 1 else ():
            self.unstored(topic, messages[i], any(k > i for k in in_place), empty)
        for i in list(gaps):
            moved = [j for j in extras if got[j] == messages[i]]
            if moved:
                self.say("order-disagreement", "history", process, topic)
                gaps.remove(i)
                extras.remove(moved[0])
        for i in list(gaps):
            low = max([j for k, j in common if k < i], default=-1)
            high = min([j for k, j in common if k > i], default=len(got))
            here = [j for j in extras if self.reaches(got, j, low, 1) and
                    self.reaches(got, j, high, -1)]
            if here:
                self.say("misrouted" if self.elsewhere(got[here[0]]) else "corrupt", "history",
                         process, topic)
                gaps.remove(i)
                extras.remove(here[0])
        for j in extras:
            self.say("redelivered" if got[j] in self.sent else
                     "misrouted" if self.elsewhere(got[j]) else "phantom", "history", process,
                     topic)
        for i in gaps:
            self.gap(c, topic, messages[i], any(k > i for k in in_place), empty)
        self.counts(c, process, topic, empty)

    def too_soon(self, c, topic, plain):
        """Received before it was sent; what is named otherwise, or may be, is not named so."""
        for time, where, _, message in self.run.receives[c]:
            if where == topic and message in self.sent and time < self.sent[message].begin:
                (self.found if plain and self.sent[message].outcome != FAIL else self.maybe).add(
                    ("phantom", "history", "C%d" % (c + 1), "T%d" % topic))

    @staticmethod
    def reaches(got, j, neighbour, step):
        """May the receipt, or one of its alike neighbours, lie beyond that one? If that is one of
        them, it may be in the place of it."""
        while j != neighbour and 0 <= j + step < len(got) and got[j + step] == got[j]:
            j += step
        return j == neighbour or (j - neighbour) * step > 0

    def elsewhere(self, message):
        return message not in self.sent and any(s.message == message for s in self.run.sends)

    def proven(self, message, later, empty):
        acked = self.acked(message)
        return later or (acked is not None and any(r[0] >= acked for r in empty))

    def unstored(self, topic, message, later, empty):
        alone = not any(message in self.run.got(c, topic) for c in self.run.receives)
        alone = alone and not any(self.is_misrouted(self.sent[message], other)
                                  for other in range(self.run.topics))
        if alone and self.acked(message) is not None and self.proven(message, later, empty) and \
                message not in self.run.swallowed.get(0, ()):
            self.say("lost", "store", "P%d" % (self.sent[message].producer + 1), topic)

    def gap(self, c, topic, message, later, empty):
        if message not in self.run.swallowed.get(c, ()):
            self.say("unseen" if not self.proven(message, later, empty) else
                     "skipped" if self.acked(message) is None else "lost", "history",
                     "C%d" % (c + 1), topic)

    def counts(self, c, process, topic, empty):
        run, sends = self.run, list(self.sent.values())

        def taken(until):
            return sum(r[1] == topic and r[0] <= until for r in run.receives[c])

        def lost(until):
            return sum(r[2] == topic and r[4] == LOST and r[0] <= until for r in run.requests[c])

        def acked(until):
            return sum(s.outcome == OK and s.end <= until for s in sends)
        for begin, end, _, _, _ in empty:
            if acked(begin) > taken(end) + lost(end):
                self.say("false-empty", "history", process, topic)
        for begin, end, who, where, size in run.sizes:
            if (who, where) != (c, topic):
                continue
            least = max(0, acked(begin) - taken(end) - lost(end) - 1)
            most = sum(s.outcome != FAIL and s.begin <= end for s in sends) - taken(begin)
            if not least <= size <= max(least, most):
                self.say("size-wrong", "history", process, topic)


def order_of(finding):
    """Whose order it is, is not compared."""
    name, source, _, topic = finding
    return (ORDER, source, None, topic) if name in ("producer-order", "real-time-order") else \
        finding


# ---- comparing -----------------------------------------------------------------------------------

def case(harness, seed, folder):
    """None, or what is wrong."""
    run = PlainRun(seed)
    possible = [b for b in BREAKS if not run.loses or b not in LOSSES]
    breaks = [run.random.choice(possible) for _ in range(run.random.randint(0, BREAKS_MAX))]
    if {stored_elsewhere, brute.never_asked} <= set(breaks):
        breaks.remove(brute.never_asked)  # or one consumer alone saw where it is
    for make in breaks:
        make(run)
    folder_write(run, folder)
    judge = PlainJudge(run)
    return brute.compare(harness, folder, breaks, judge.found, order_of, judge.maybe)


if __name__ == "__main__":
    sys.exit(brute.main(case))
