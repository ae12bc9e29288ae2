#!/usr/bin/python3
"""brute_order.py - small random plain runs with lines that are alike: what is said of their order?

Each case is a run of a correct system whose messages have one of a few texts; in half of them
there is one consumer, and two of its messages may change places. Every choice of which line each
receipt is gets tried: where one of them is right, the order must not be accused; where none is
and all that was sent came, it must be. A case without a break must be valid but for lines that
nobody acknowledged.

    BUILD=build harness/tests/brute_order.py [CASES] [FIRST_SEED]

The last line is `N passed, N failed`.
"""

import sys

import brute
import brute_plain
from brute import OK

ORDERS = {"producer-order", "real-time-order"}
ALLOWED = {"unsent", "unacknowledged"}


class AlikeRun(brute_plain.PlainRun):
    def happen(self):
        alphabet = "INFO DEBUG WARN ERROR".split()[:self.random.randint(1, 4)]
        self.lines = {p: [(topic, self.random.choice(alphabet)) for topic, _ in lines]
                      for p, lines in self.lines.items()}
        if self.random.random() < 0.5:
            self.receives, self.requests = {0: []}, {0: []}
        super().happen()

    def exchange(self):
        """Two messages of a topic change places; true: they are unlike."""
        receives = self.receives[0]
        pairs = [(a, b) for a in receives for b in receives if a[1] == b[1] and a[3] < b[3]]
        if len(self.receives) > 1 or not pairs or self.random.random() < 0.4:
            return False
        a, b = self.random.choice(pairs)
        a[3], b[3] = b[3], a[3]
        return True


def is_possible(sends, got, taken=()):
    """Can each receipt be another line with its text, so that none that was sent after another's
    acknowledgement comes before that one?"""
    if len(taken) == len(got):
        return True
    return any(send not in taken and send.message == got[len(taken)] and
               not (send.outcome == OK and any(t.begin > send.end for t in taken)) and
               is_possible(sends, got, taken + (send,)) for send in sends)


def topic_judge(run, topic, accused):
    """None, or what is wrong."""
    sends = [s for s in run.sends if s.topic == topic]
    got = run.got(0, topic)
    possible = is_possible(sends, got)
    if accused and possible:
        return "T%d: %s may be right" % (topic, got)
    if not accused and not possible and len(got) == len(sends):
        return "T%d: %s cannot be" % (topic, got)
    return None


def case(harness, seed, folder):
    """None, or what is wrong."""
    run = AlikeRun(seed)
    broken = run.exchange()
    brute_plain.folder_write(run, folder)
    verdict, found = brute.check(harness, folder)
    names = {name for name, _, _, _ in found}
    if not broken and names - ALLOWED:
        return "no break, but %s: %s" % (verdict, sorted(found, key=str))
    for topic in range(run.topics) if len(run.receives) == 1 else ():
        accused = any(f[0] in ORDERS and f[3] == "T%d" % topic for f in found)
        wrong = topic_judge(run, topic, accused)
        if wrong:
            return wrong
    return None


if __name__ == "__main__":
    sys.exit(brute.main(case))
