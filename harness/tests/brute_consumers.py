#!/usr/bin/python3
"""brute_consumers.py - small random runs of consumers as they are, judged twice.

As brute.py, but consumers seek, are killed and go on; the broker is killed and started again, and
is asked which position it had saved; and logs have limits. What the checker finds must be what the
definitions say (docs/checker.md, "Positions"). A run without a break must be valid.

    BUILD=build harness/tests/brute_consumers.py [CASES] [FIRST_SEED]
"""

import itertools
import os
import sys

import brute
from brute import EMPTY, FAIL, INFO, LOST, OK, Reading, any_of, events


# ---- a run of a correct system -------------------------------------------------------------------

class Seek:
    def __init__(self, consumer, topic, offset, begin, end, outcome):
        self.consumer, self.topic, self.offset = consumer, topic, offset
        self.begin, self.end, self.outcome = begin, end, outcome


class Fault:
    """The broker is killed, and started again."""

    def __init__(self, begin, hit, restart, end):
        self.begin, self.hit, self.restart, self.end = begin, hit, restart, end


class ConsumersRun(brute.Run):
    """Times of receipts ascend. `positions` are the broker's; the consumers' own are brute.Run's.
    `late`: what got no answer, and may come to the broker yet."""

    def __init__(self, seed):
        self.seeks, self.faults, self.saved = [], [], []  # saved: as sizes
        self.starts, self.positions = {}, {}
        self.late, self.unsure = [], set()
        self.calm = False
        super().__init__(seed)
        self.remove()

    def drain(self, position):
        self.calm = True
        super().drain(position)

    def consume(self, c, topic, position):
        """A consume that is answered, and before it whatever else may happen."""
        if not self.calm:
            self.random.choices((self.nothing, self.seek, self.killed, self.restarted, self.limited),
                                (10, 2, 1, 1, 1))[0](c, topic, position)
        if self.late and self.random.random() < 0.3:
            self.arrive(self.late.pop(self.random.randrange(len(self.late))))
        if (c, topic) in self.unsure and self.random.random() < 0.8:
            self.unsure.discard((c, topic))
            self.saved.append([self.tick(), self.tick(), c, topic, self.left(c, topic)])
        if self.random.random() < 0.1:
            self.lose(c, topic, position[c, topic])
        self.positions[c, topic] = position[c, topic]
        begin, asked = self.tick(), position[c, topic]
        there = self.rows[topic][asked:asked + self.random.randint(1, 3)]
        self.requests[c].append([begin, self.tick(), topic, asked, None if there else EMPTY])
        for offset, _, _, message in there:
            self.receives[c].append([self.tick(), topic, offset, message])
        position[c, topic] += len(there)
        if self.random.random() < 0.2:
            self.sizes.append([self.tick(), self.tick(), c, topic, self.left(c, topic)])

    def left(self, c, topic):
        taken = max(self.positions.get((c, topic), 0), self.removed.get(topic, 0))
        return len(self.rows[topic]) - taken

    def arrive(self, request):
        """What comes late sets the position, if there still is such an offset."""
        c, topic, offset = request
        if offset >= self.removed.get(topic, 0):
            self.positions[c, topic] = offset

    def unanswered(self, c, topic, offset):
        """It was done, or comes late, or never."""
        self.unsure.add((c, topic))
        self.random.choice((self.arrive, self.late.append, lambda request: None))((c, topic, offset))

    def lose(self, c, topic, offset):
        self.requests[c].append([self.tick(), self.random.choice((None, self.tick())), topic, offset,
                                 LOST])
        self.unanswered(c, topic, offset)

    def nothing(self, c, topic, position):
        pass

    def seek(self, c, topic, position):
        first, end = self.removed.get(topic, 0), len(self.rows[topic])
        outcome = self.random.choices((OK, FAIL, INFO), (8, 1, 1))[0]
        seek = Seek(c, topic, self.random.randint(first, end), self.tick(), self.tick(), outcome)
        self.seeks.append(seek)
        if outcome == OK:
            position[c, topic] = self.positions[c, topic] = seek.offset
        elif outcome == INFO:
            self.unanswered(c, topic, seek.offset)
            if self.random.random() < 0.5:
                position[c, topic] = seek.offset
            if self.random.random() < 0.5:
                seek.end = None
                self.killed(c, topic, position)

    def killed(self, c, topic, position):
        """The consumer is, and goes on."""
        if self.random.random() < 0.5:
            self.lose(c, topic, position[c, topic])
        self.starts.setdefault(c, []).append(self.tick())
        self.unsure |= {(c, t) for t in range(self.topics)}

    def restarted(self, _, __, position):
        """The broker is. What is on its way to it never comes."""
        begin = self.tick()
        for c, t in position:
            if self.random.random() < 0.3:
                self.lose(c, t, position[c, t])
        hit = self.tick()
        self.late.clear()
        for c, t in position:
            if self.random.random() < 0.3:
                self.requests[c].append([self.tick(), self.tick(), t, position[c, t], LOST])
                self.unsure.add((c, t))
        self.faults.append(Fault(begin, hit, self.tick(), self.tick()))

    def limited(self, _, topic, position):
        """The oldest messages, which all have taken, are removed."""
        asked = [offset for _, t, offset in self.late if t == topic]
        taken = min([min(position[key], self.positions.get(key, 0)) for key in position
                     if key[1] == topic] + asked)
        self.removed[topic] = self.random.randint(self.removed.get(topic, 0), max(
            taken, self.removed.get(topic, 0)))


# ---- breaks --------------------------------------------------------------------------------------

def receive_repeated(run):
    """At the time of the one before it, so that times ascend."""
    receives = run.receives[run.random.choice(list(run.receives))]
    if receives:
        at = run.random.randrange(len(receives))
        to = run.random.randint(at, len(receives) - 1) + 1
        receives.insert(to, [receives[to - 1][0]] + receives[at][1:])


def around_a_seek(run):
    """(A consumer's receipts, the index of the first one after a seek.)"""
    seek = any_of(run, run.seeks)
    if seek is None:
        return [], 0
    receives = run.receives[seek.consumer]
    return receives, sum(r[0] < seek.begin for r in receives)


def first_of_seek_removed(run):
    receives, at = around_a_seek(run)
    del receives[at:at + run.random.randint(1, 2)]


def last_before_seek_removed(run):
    receives, at = around_a_seek(run)
    if at > 1:
        del receives[at - run.random.randint(1, 2)]


def seek_elsewhere(run):
    """It was not done as it was asked."""
    seek = any_of(run, run.seeks)
    if seek:
        seek.offset = run.random.randrange(len(run.rows[seek.topic]) + 2)


def seek_refused(run):
    seek = any_of(run, run.seeks)
    if seek:
        seek.outcome = FAIL
        seek.end = seek.end or seek.begin


def seek_unknown(run):
    seek = any_of(run, run.seeks)
    if seek:
        seek.outcome = INFO


def seek_sworn(run):
    """Refused, or of no known outcome: but it said that it was done."""
    seek = any_of(run, (s for s in run.seeks if s.end is not None))
    if seek:
        seek.outcome = OK


def position_lost(run):
    """What the broker had saved is not what it should be."""
    told = any_of(run, run.saved)
    if told:
        told[4] = max(0, told[4] + run.random.choice((-4, -2, -1, 1, 2, 4)))


def positions_forgotten(run):
    """A broker begins at 0 for everybody, until somebody says where it is."""
    fault = any_of(run, run.faults)
    for told in run.saved if fault else ():
        asked = [r for r in run.requests[told[2]] if r[2] == told[3] and r[0] < told[0]]
        if asked and asked[-1][0] < fault.restart < told[0]:
            told[4] += max(r[3] for r in asked)


def size_told(run):
    """By a consumer that lives as long as it asks."""
    brute.size_told(run)
    run.sizes = [s for s in run.sizes
                 if not any(s[0] <= time <= s[1] for time in run.starts.get(s[2], []))]


def size_after_seek(run):
    seek = any_of(run, run.seeks)
    told = any_of(run, (s for s in run.sizes if seek and s[0] > seek.begin and
                        s[2:4] == [seek.consumer, seek.topic]))
    if told:
        told[4] = max(0, told[4] + run.random.choice((-4, -2, -1, 1, 2, 4)))


BREAKS = (first_of_seek_removed, last_before_seek_removed, seek_elsewhere, seek_refused,
          seek_unknown, seek_sworn, position_lost, positions_forgotten, size_after_seek,
          receive_repeated, brute.row_removed, brute.row_copied, brute.row_foreign, brute.receive_removed,
          brute.receives_swapped, brute.receive_changed, brute.ack_unknown, brute.empty_answer,
          brute.never_asked, size_told)


# ---- the folder ----------------------------------------------------------------------------------

def receive_events(run, c):
    for line, (time, topic, offset, message) in enumerate(run.receives[c], 1):
        yield time, "receive", "ok", {"line": line, "topic": "T%d" % topic, "offset": offset,
                                      "message": message}


def seek_events(run, c):
    for seek in run.seeks:
        if seek.consumer == c:
            topic = {"topic": "T%d" % seek.topic}
            yield seek.begin, "seek", "invoke", {**topic, "offset": seek.offset}
            if seek.end is not None:
                yield seek.end, "seek", seek.outcome, topic


def saved_events(run, c):
    for begin, end, who, topic, size in run.saved:
        if who == c:
            yield begin, "saved", "invoke", {"topic": "T%d" % topic}
            yield end, "saved", "ok", {"topic": "T%d" % topic, "size": size}


def start_events(run, c):
    for number, time in enumerate(run.starts.get(c, []), 2):
        lines = {"T%d" % t: sum(r[0] < time and r[1] == t for r in run.receives[c])
                 for t in range(run.topics)}
        yield time, "start", "ok", {"incarnation": number, "lines": lines}


def fault_events(run):
    for number, fault in enumerate(run.faults, 1):
        for kind in ("begin", "hit", "restart", "end"):
            yield getattr(fault, kind), "fault", kind, {"fault": number, "acks": number}


def folder_write(run, folder):
    brute.folder_write(run, folder)
    for c in run.receives:
        events(os.path.join(folder, "history/C%d.jsonl" % (c + 1)), "C%d" % (c + 1),
               itertools.chain(brute.consumer_events(run, c), seek_events(run, c),
                               saved_events(run, c), start_events(run, c), receive_events(run, c)))
    events(os.path.join(folder, "history/harness.jsonl"), "harness", fault_events(run))
    with open(os.path.join(folder, "scenario/scenario.conf"), "a", encoding="utf-8") as file:
        for number in range(1, len(run.faults) + 1):
            file.write("fault = after %d ms: kill broker, restart after 1 ms\n" % number)


# ---- the definitions -----------------------------------------------------------------------------

class ConsumersJudge(brute.Judge):
    def __init__(self, run):
        super().__init__(run)
        self.maybe |= {("hit-nothing", "history", "fault %d" % (i + 1), None)
                       for i in range(len(run.faults))}

    def seeks(self, c, topic):
        """Those that may have been done."""
        return sorted((s for s in self.run.seeks
                       if (s.consumer, s.topic) == (c, topic) and s.outcome != FAIL),
                      key=lambda s: s.begin)

    def readings(self, c, topic, log):
        receipts = [r for r in self.run.receives[c] if r[1] == topic]
        seeks, before, readings, since = self.seeks(c, topic), None, [], []
        for seek, after in zip([None] + seeks, seeks + [None]):
            got = [(r[2], r[3]) for r in receipts if (seek is None or r[0] > seek.begin) and
                   (after is None or r[0] < after.begin)]
            reading = Reading(got, log)
            last = reading.right[-1:]
            if seek:
                since = [seek] if seek.outcome == OK else since + [seek]
                self.begin(c, topic, log, since, reading, before)
            before = last[0] if last else before
            since = [] if last else since
            readings.append(reading)
        return readings

    def begin(self, c, topic, log, since, reading, before):
        """`since`: the last seek that was done, or all since something came, and those behind it."""
        first = min(reading.right[:1], default=float("inf"))
        following = min((o for o in log if before is None or o > before), default=float("inf"))
        wanted = [min((o for o in log if o >= s.offset), default=float("inf")) for s in since]
        if since[-1].outcome != OK:
            places = wanted + [following] * (since[0].outcome != OK)
            reading.begins(max((o for o in places if o <= first), default=first))
        elif not reading.right or first == wanted[0] or (first > wanted[0] and first != following):
            reading.begins(wanted[0])
        else:
            self.say("seek-ignored", "history", "C%d" % (c + 1), topic)
            reading.begins(first)

    def told_nothing(self, c, topic):
        since = max((s.begin for s in self.seeks(c, topic)), default=0)
        return [time for time in super().told_nothing(c, topic) if time >= since]

    def taken(self, c, topic, begin, end):
        asked = [r for r in self.run.requests[c] if r[2] == topic]
        heard = [r for r in asked if r[4] != LOST and r[1] <= begin]
        dead = max((f.hit for f in self.run.faults
                    if f.restart <= max((r[0] for r in heard), default=0)), default=0)
        lost = [r for r in asked if r[4] == LOST and r[0] <= end]
        low = min([max((r[3] for r in heard), default=0)] + [r[3] for r in lost if r[0] >= dead])
        high = max([r[3] for r in asked if r[0] <= end] +
                   [sum(r[1] == topic and r[0] <= end for r in self.run.receives[c]) + len(lost)])
        seeks = [s for s in self.seeks(c, topic) if s.begin <= end]
        done = [s for s in seeks if s.outcome == OK and s.end <= begin]
        others = [s.offset for s in seeks if s not in done]
        return (min([low] + others + [s.offset for s in done[-1:]]),
                max([high] + [s.offset for s in seeks]))

    def sizes(self, c, topic, log):
        super().sizes(c, topic, log)
        wrong = [told for told in self.run.saved
                 if told[2:4] == [c, topic] and not self.is_size(c, topic, log, told, False)]
        for _ in wrong:
            self.say("size-wrong", "history", "C%d" % (c + 1), topic)
        any(self.forgotten(c, topic, told) for told in sorted(wrong))

    def forgotten(self, c, topic, told):
        """Is it the first sign of the position after a restart?"""
        heard = max((r[1] for r in self.run.requests[c]
                     if r[2] == topic and r[4] != LOST and r[1] <= told[0]), default=0)
        after = [i for i, fault in enumerate(self.run.faults, 1)
                 if heard < fault.restart <= told[1]]
        if after:
            of_log = any(source == "store" and where == "T%d" % topic
                         for _, source, _, where in self.found)
            (self.maybe if of_log else self.found).add(
                ("forgotten", "history", "fault %d" % after[-1], None))
        return bool(after)


def spanning(finding):
    """What a restart did to several producers is said of the restart."""
    name, source, _, _ = finding
    return (name, source, None, None) if source == "store" or name == "real-time-order" else finding


# ---- comparing -----------------------------------------------------------------------------------

def case(harness, seed, folder):
    """None, or what is wrong."""
    run = ConsumersRun(seed)
    breaks = [run.random.choice(BREAKS) for _ in range(run.random.randint(0, brute.BREAKS_MAX))]
    for make in breaks:
        make(run)
    folder_write(run, folder)
    judge = ConsumersJudge(run)
    seen_as = spanning if run.faults else lambda finding: finding
    return brute.compare(harness, folder, breaks, {seen_as(finding) for finding in judge.found},
                         seen_as, judge.maybe)


if __name__ == "__main__":
    sys.exit(brute.main(case))
