#!/usr/bin/python3
"""brute_lives.py - small random runs of producers as they are, judged twice.

As brute.py, but a producer sends several lines in one request, and again after a lost answer; it is
killed or gives up and goes on where it was, in requests cut otherwise; and the lines may be alike.
What the checker finds must be what the definitions say. A run without a break must be valid, also
on a memory store, where there are no rows to tell alike lines apart.

    BUILD=build harness/tests/brute_lives.py [CASES] [FIRST_SEED]
"""

import os
import sys

import brute
from brute import FAIL, INFO, OK, OPEN, Send, any_of, producer_id


# ---- a run of a correct system -------------------------------------------------------------------

class Lane:
    """What one producer sends to one topic, under one id. The first messages of `lines` may be
    stored already (`stored`, as offsets) since a life whose answer was lost."""

    def __init__(self, lines):
        self.lines, self.next, self.sequence, self.stored, self.dead = lines, 0, 0, [], False


class Group:
    """The lines that one request brings."""

    def __init__(self, lane, topic, sends, begin):
        self.lane, self.topic, self.sends, self.begin = lane, topic, sends, begin
        self.offsets = None


class LivesRun(brute.Run):
    """A line has one Send: its first begin and its last end; `tries` has all its begins and the
    ends of those before the last."""

    def happen(self):
        self.alike = self.topics == 1 and self.random.random() < 0.5
        if self.alike:
            self.lines = {p: [(t, self.random.choice("IWE")) for t, _ in lines]
                          for p, lines in self.lines.items()}
        self.lanes = {p: {t: Lane([i for i, line in enumerate(lines) if line[0] == t])
                          for t in range(self.topics)} for p, lines in self.lines.items()}
        self.produces = {p: [] for p in self.lines}  # [begin, end, outcome, topic, sequence, count]
        self.starts = {p: [] for p in self.lines}
        self.groups = {}
        self.of_line = {}
        position = {(c, t): 0 for c in self.receives for t in range(self.topics)}
        while self.groups or any(self.idle(p) for p in self.lines):
            client = self.random.choice([("P", p) for p in self.lines] +
                                        [("C", c) for c in self.receives])
            if client[0] == "C":
                self.consume(client[1], self.random.randrange(self.topics), position)
            elif client[1] in self.groups:
                self.go_on(client[1])
            else:
                self.send_next(client[1])
        self.drain(position)
        if not self.alike and self.random.random() < 0.3:
            self.removed[0] = self.random.randint(0, len(self.rows[0]))
            self.remove()
        for send in self.sends:  # refused at last, but nobody knows how it went before
            if send.outcome == FAIL and any(t[2] == INFO for t in send.tries):
                send.outcome = INFO

    def idle(self, p):
        """Topics in which there is something to send."""
        return [t for t, lane in self.lanes[p].items() if lane.next < len(lane.lines)]

    def send_next(self, p):
        if not self.idle(p):
            return
        topic = self.random.choice(self.idle(p))
        lane = self.lanes[p][topic]
        count = self.random.randint(1, min(3, len(lane.lines) - lane.next))
        sends = [self.send(p, lane.lines[lane.next + i], topic) for i in range(count)]
        if lane.dead:
            for send in sends:
                self.end_one(send, FAIL)
            lane.next += count
            return
        if lane.stored and count > len(lane.stored):  # the broker says where it stands
            self.request(p, topic, lane.sequence, count, FAIL)
            sends = sends[:len(lane.stored)]
        self.groups[p] = Group(lane, topic, sends, self.tick())
        self.groups[p].lane.next += len(sends)

    def send(self, p, line, topic):
        """Begin it, unless it was and has not ended in this life."""
        known = self.of_line.get((p, line))
        if known is None:
            known = Send(p, line + 1, topic, self.lines[p][line][1], self.tick())
            known.tries, known.sequence = [[known.begin, None, OPEN]], None
            self.of_line[p, line] = known
            self.sends.append(known)
        elif known.tries[-1][2] is not OPEN:
            known.tries.append([self.tick(), None, OPEN])
            known.end, known.outcome = None, OPEN
        return known

    def request(self, p, topic, sequence, count, outcome, begin=None):
        self.produces[p].append([begin or self.tick(), self.tick(), outcome, topic, sequence, count])

    def store_group(self, p, group):
        """All at once, or where they are since an earlier life."""
        lane, rows = group.lane, self.rows[group.topic]
        if lane.stored:
            group.offsets = lane.stored[:len(group.sends)]
            lane.stored = lane.stored[len(group.sends):]
        else:
            group.offsets = list(range(len(rows), len(rows) + len(group.sends)))
            for i, send in enumerate(group.sends):
                send.sequence = lane.sequence + i
                rows.append([group.offsets[i], producer_id(p, group.topic), send.sequence,
                             send.message])

    def go_on(self, p):
        group = self.groups[p]
        luck = self.random.random()
        if luck < 0.3 and group.offsets is None:
            self.store_group(p, group)
        elif luck < 0.4:
            self.request(p, group.topic, group.lane.sequence, len(group.sends), INFO, group.begin)
            group.begin = self.tick()
        elif luck < 0.5:
            self.stop(p, group, self.random.random() < 0.5)
        elif luck < 0.55 and group.offsets is None and not group.lane.stored and not self.alike:
            self.finish(p, group, FAIL)
        elif luck < 0.9:
            if group.offsets is None:
                self.store_group(p, group)
            self.finish(p, group, OK)
            group.lane.sequence += len(group.sends)

    def finish(self, p, group, outcome):
        del self.groups[p]
        self.request(p, group.topic, group.lane.sequence, len(group.sends), outcome, group.begin)
        for i, send in enumerate(group.sends):
            self.end_one(send, outcome)
            if outcome == OK:
                send.offset = group.offsets[i]

    def end_one(self, send, outcome):
        send.end, send.outcome = self.tick(), outcome
        send.tries[-1] = [send.tries[-1][0], send.end, outcome]

    def stop(self, p, group, killed):
        """Killed in the midst of it; or its outcome is given up, and then it ends, or is started
        again. What a life left open is unknown once the next one starts."""
        del self.groups[p]
        lane = group.lane
        self.request(p, group.topic, lane.sequence, len(group.sends), OPEN if killed else INFO,
                     group.begin)
        if not killed:
            for send in group.sends:
                self.end_one(send, INFO)
        if not killed and (self.alike or self.random.random() < 0.5):
            lane.dead = True
            return
        lane.stored = (group.offsets or []) + lane.stored
        lane.next -= len(group.sends)
        self.starts[p].append(self.tick())
        for send in self.sends:
            if send.producer == p and send.outcome is OPEN:
                send.outcome = send.tries[-1][2] = INFO


# ---- breaks --------------------------------------------------------------------------------------

def number_changed(run):
    row = any_of(run, (r for rows in run.rows.values() for r in rows))
    if row:
        row[2] = run.random.randint(0, 6)


def row_moved(run):
    """The store has a row elsewhere in the log, and all others in their order."""
    rows = run.rows[run.random.randrange(run.topics)]
    if len(rows) > 1:
        places = [row[0] for row in rows]
        rows.insert(run.random.randrange(len(rows)), rows.pop(run.random.randrange(len(rows))))
        for row, place in zip(rows, places):
            row[0] = place


def last_row_removed(run):
    rows = run.rows[run.random.randrange(run.topics)]
    if rows:
        rows.pop()


BREAKS = (number_changed, row_moved, last_row_removed, brute.row_removed, brute.row_copied,
          brute.row_misrouted, brute.row_doubled, brute.row_foreign, brute.receive_removed,
          brute.receive_repeated, brute.empty_answer, brute.never_asked, brute.size_told,
          brute.ack_unknown)


# ---- the folder ----------------------------------------------------------------------------------

def producer_events(run, p):
    for t in range(run.topics):
        yield 1, "register", "ok", {"topic": "T%d" % t, "producer_id": producer_id(p, t)}
    for number, start in enumerate(run.starts[p], 2):
        yield start, "start", "ok", {"incarnation": number}
    for number, (begin, end, outcome, topic, sequence, count) in enumerate(run.produces[p]):
        yield begin, "request", "invoke", {"id": number, "path": "/producer/produce",
                                           "topic": "T%d" % topic, "sequence": sequence,
                                           "count": count}
        if outcome is not OPEN:
            yield end, "request", outcome, {"id": number, "http": 200 if outcome == OK else 0}
    for s in run.sends:
        if s.producer != p:
            continue
        known = {"line": s.line, "topic": "T%d" % s.topic}
        begin, _, last = s.tries[-1]
        last = [begin, s.end, last if last == FAIL else s.outcome]
        for begin, end, outcome in s.tries[:-1] + [last]:
            yield begin, "send", "invoke", {**known, "message": s.message}
            if end is not None and outcome == OK:
                yield end, "send", "ok", {**known, "offset": s.offset}
            elif end is not None:
                yield end, "send", outcome, {**known, "code": "why"}


def folder_write(run, folder, memory):
    brute.folder_write(run, folder)
    for p in run.lines:
        brute.events(os.path.join(folder, "history/P%d.jsonl" % (p + 1)), "P%d" % (p + 1),
                     producer_events(run, p))
    if memory:
        os.remove(os.path.join(folder, "rows.jsonl"))
        brute.write(os.path.join(folder, "run.json"), ['{"scenario":"brute","store":"memory"}'])


# ---- the definitions -----------------------------------------------------------------------------

class LivesJudge(brute.Judge):
    def log(self, topic):
        log = super().log(topic)
        self.batches(topic)
        return log

    def is_of(self, row, send):
        """A refused line takes no number; where there are some, it is not known which numbers those
        behind have."""
        mine = [s for s in self.run.sends
                if (s.producer, s.topic) == (send.producer, send.topic)]
        nth = [s.line for s in sorted(mine, key=lambda s: s.line)].index(send.line)
        refused = sum(s.outcome != OK and any(t[2] == FAIL for t in s.tries) for s in mine)
        return super().is_of(row, send) and nth - refused <= row[2] <= nth

    def send_of(self, topic, row):
        fits = [s for s in self.run.sends if s.topic == topic and self.is_of(row, s)]
        fits.sort(key=lambda s: s.sequence != row[2])
        return fits[0] if fits else None

    def producers(self, topic, log):
        super().producers(topic, log)
        for entry in log.values():
            if entry.owed and not entry.named and entry.known is not None and \
                    entry.known < entry.send.tries[-1][0]:
                begun = [t for t in entry.send.tries if t[0] <= entry.known]
                if all(t[2] == FAIL for t in begun):
                    self.say("aborted-read", "store", "P%d" % (entry.send.producer + 1), topic)

    def batches(self, topic):
        for p in self.run.lines:
            sent = [r for r in self.run.produces[p] if r[3] == topic and r[2] != FAIL]
            for _, _, _, _, first, count in sent:
                whole = set(range(first, first + count))
                others = [r for r in sent if set(range(r[4], r[4] + r[5])) & whole]
                if any(r[4:] != [first, count] for r in others):
                    continue  # it was cut otherwise
                self.batch(topic, p, whole, any(r[2] == OK for r in others))

    def batch(self, topic, p, whole, acked):
        rows = sorted(self.run.rows[topic], key=lambda r: r[0])
        first = {}
        for i, row in enumerate(rows):
            if row[1] == producer_id(p, topic) and row[2] in whole:
                first.setdefault(row[2], i)
        places = first.values()
        lowest = min(first, default=0)
        before = lowest - min(whole)  # so many lie before it, and may have been removed with others
        removed = first and rows[first[lowest]][0] - before < self.run.removed.get(topic, 0)
        if removed:
            whole = whole & set(range(lowest, max(whole) + 1))
        between = [r for r in rows[min(places):max(places) + 1]
                   if r[1] != producer_id(p, topic) or r[2] not in whole] if first else []
        if len(whole) > 1 and (between or (first and set(first) != whole and not acked)):
            self.say("torn-batch", "store", "P%d" % (p + 1), topic)


# ---- comparing -----------------------------------------------------------------------------------

def case(harness, seed, folder):
    """None, or what is wrong."""
    run = LivesRun(seed)
    memory = run.random.random() < 0.3
    breaks = [] if memory else [run.random.choice(BREAKS)
                                for _ in range(run.random.randint(0, brute.BREAKS_MAX))]
    for make in breaks:
        make(run)
    folder_write(run, folder, memory)
    judge = LivesJudge(run)
    return brute.compare(harness, folder, breaks, judge.found, maybe=judge.maybe)


if __name__ == "__main__":
    sys.exit(brute.main(case))
