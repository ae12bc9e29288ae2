"""shrink.py - a failing schedule made smaller, as long as it fails the same way.

First faults are left out, then producers and consumers, then the logs are cut; and again, until
nothing more can go. A run under faults is not the same twice: a smaller schedule is taken when
one of a few runs fails, and given up when none does.
"""

from dataclasses import replace

PARTS = (0.5, 0.75)
LINES_MIN = 20  # shorter is not easier to read


def smaller(schedule):
    """All schedules that are one step smaller, the largest steps first."""
    for index in reversed(range(len(schedule.faults))):
        yield "without fault %d" % (index + 1), schedule.without_fault(index)
    for index in reversed(range(len(schedule.seeks))):
        yield "without seek %d" % (index + 1), schedule.without_seek(index)
    if schedule.retention:
        yield "without retention", replace(schedule, retention=0)
    for producer in sorted(schedule.logs) if len(schedule.logs) > 1 else []:
        yield "without P%d" % producer, schedule.without_producer(producer)
    consumers = sorted({c for _, readers in schedule.topics.values() for c in readers})
    for consumer in consumers if len(consumers) > 1 else []:
        yield "without C%d" % consumer, schedule.without_consumer(consumer)
    for part in PARTS:
        if schedule.lines() * part >= LINES_MIN:
            yield "%d %% of the logs" % (part * 100), schedule.shortened(part)


def shrink(schedule, fails, tell, time_left):
    """
    fails      does a schedule fail the same way? Runs it, a few times if need be
    tell       gets a line about each step
    time_left  are there seconds left to try more?
    """
    tried = True
    while tried:
        tried = False
        for what, candidate in smaller(schedule):
            if not time_left():
                tell("out of time")
                return schedule
            if candidate is not None and fails(candidate):
                tell("%s: %d faults, %d messages, still fails" % (
                    what, len(candidate.faults), candidate.lines()))
                schedule, tried = candidate, True
                break
    return schedule
