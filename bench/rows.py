"""rows.py - what the bench's table holds, as data, and how figures become ratios.

A sample is a list of what the repeats of one measurement gave: objects as build/bench/load
prints them, or smaller ones with the field that is asked for. The figure of a row is the median
of its sample's field; a target compares it with an expression over medians of the same run.
"""

from collections import namedtuple
from statistics import median

Target = namedtuple("Target", "text of ratio at_most stretch")
Row = namedtuple("Row", "id what unit sample field targets")

RATE = "messages_per_s"
MEDIAN = "latency_us.p50"


def at_least(text, of, ratio, stretch=False):
    return Target(text, of, ratio, False, stretch)


def at_most(text, of, ratio):
    return Target(text, of, ratio, True, False)


# What a target's `of` may name: a function over figure(sample, field), which raises Missing.
EXPRESSIONS = {
    "H": lambda f: f("H.64", RATE),
    "H (256 connections)": lambda f: f("H.256", RATE),
    "I": lambda f: f("I", RATE),
    "R": lambda f: f("R", RATE),
    "C": lambda f: f("C", RATE),
    "COPY OUT": lambda f: f("copy_out", RATE),
    "commit + H, one connection": lambda f: f("I.1", MEDIAN) + f("H.1", MEDIAN),
    "the lesser of 1,000,000/s and 5 C": lambda f: min(1e6, 5 * f("C", RATE)),
    "one topic": lambda f: f("postgres.64", RATE),
    "no idle consumers": lambda f: f("postgres.64", RATE),
    "5 ms": lambda f: 5000,
    "1 s": lambda f: 1000,
    "an empty log": lambda f: f("start.empty", "ms"),
    "64 MiB + tail": lambda f: 64 + f("memory.10m", "tail_mib"),
}

ROWS = [
    Row("produce-memory-64", "produce, one message a request, memory, 64 connections",
        "messages/s", "memory.64", RATE, [at_least("≥ 0.85 H", "H", 0.85)]),
    Row("produce-postgres-64", "produce, one message a request, PostgreSQL, 64 connections",
        "messages/s", "postgres.64", RATE,
        [at_least("≥ 2.2 I", "I", 2.2), at_least("≥ 0.9 R", "R", 0.9),
         at_least("≥ 0.5 H", "H", 0.5), at_least("stretch: ≥ 1.1 R", "R", 1.1, stretch=True)]),
    Row("produce-postgres-256", "produce, one message a request, PostgreSQL, 256 connections",
        "messages/s", "postgres.256", RATE,
        [at_least("≥ 2.5 I", "I", 2.5), at_least("≥ 1.0 R", "R", 1.0),
         at_least("≥ 0.6 H", "H (256 connections)", 0.6)]),
    Row("produce-postgres-1", "produce, one message a request, PostgreSQL, one connection: median",
        "µs", "postgres.1", MEDIAN,
        [at_most("≤ 1.25 (a commit of pgbench with one client + H)",
                 "commit + H, one connection", 1.25)]),
    Row("produce-postgres-batch", "produce, 500 messages a request, PostgreSQL, 16 connections",
        "messages/s", "postgres.batch", RATE, [at_least("≥ 0.7 C", "C", 0.7)]),
    Row("produce-sqlite-64", "produce, one message a request, SQLite, 64 connections",
        "messages/s", "sqlite.64", RATE, []),
    Row("produce-sqlite-1", "produce, one message a request, SQLite, one connection: median",
        "µs", "sqlite.1", MEDIAN, []),
    Row("produce-sqlite-batch", "produce, 500 messages a request, SQLite, 16 connections",
        "messages/s", "sqlite.batch", RATE, []),
    Row("consume-tail-memory", "consume from the tail, one message a request, memory, "
        "64 connections", "messages/s", "memory.tail", RATE, [at_least("≥ 0.8 H", "H", 0.8)]),
    Row("consume-tail-1", "consume from the tail, one message a request, PostgreSQL, "
        "64 connections; each answer waits for its position's commit", "messages/s",
        "postgres.tail", RATE, [at_least("≥ 0.8 H", "H", 0.8)]),
    Row("consume-tail-sqlite", "consume from the tail, one message a request, SQLite, "
        "64 connections; each answer waits for its position's commit", "messages/s",
        "sqlite.tail", RATE, []),
    Row("consume-tail-500", "consume from the tail, max=500, PostgreSQL, 16 connections",
        "messages/s", "postgres.tail500", RATE,
        [at_least("≥ 1,000,000/s or 5 C", "the lesser of 1,000,000/s and 5 C", 1.0)]),
    Row("consume-backlog", "consume a backlog of 5,000,000 messages, max=500, cold, PostgreSQL, "
        "one consumer", "messages/s", "backlog", RATE,
        [at_least("≥ 0.5 COPY OUT", "COPY OUT", 0.5)]),
    Row("topics-1000", "produce to 1,000 topics by 1,000 producers, PostgreSQL, 64 connections",
        "messages/s", "postgres.topics", RATE, [at_least("≥ 0.8 of one topic", "one topic", 0.8)]),
    Row("idle-5000", "produce beside 5,000 consumers idle in a long poll, PostgreSQL, "
        "64 connections", "messages/s", "postgres.idle", RATE,
        [at_least("≥ 0.8 of the rate with none", "no idle consumers", 0.8)]),
    Row("deliver-5000", "produce until it reaches a waiting consumer, beside 5,000 idle ones, "
        "500 messages/s: median", "µs", "postgres.deliver", MEDIAN,
        [at_most("≤ 5 ms", "5 ms", 1.0)]),
    Row("start-10m", "start to first answer with 10,000,000 messages in the log", "ms",
        "start.10m", "ms",
        [at_most("≤ 1 s", "1 s", 1.0), at_most("≤ 1.2 of an empty log", "an empty log", 1.2)]),
    Row("memory-10m", "memory after reading 10,000,000 messages of the log", "MiB", "memory.10m",
        "mib", [at_most("≤ 64 MiB + the tail's bound", "64 MiB + tail", 1.0)]),
]


class Missing(Exception):
    """A sample that a figure needs was not taken; the text says why."""


class Figures:
    """Medians over samples; `skipped` says why a sample is missing."""

    def __init__(self, samples, skipped):
        self.samples = samples
        self.skipped = skipped

    def values(self, sample, field):
        found = self.samples.get(sample)
        if not found:
            raise Missing(self.skipped.get(sample, "%s was not run" % sample))
        return [value_of(one, field) for one in found]

    def __call__(self, sample, field):
        return median(self.values(sample, field))


def value_of(one, field):
    for part in field.split("."):
        one = one[part]
    return one


def judge(target, figure, figures):
    """The target as result.json has it; `met` is None where it cannot be told."""
    shown = {"text": target.text, "of": target.of, "wanted": target.ratio,
             "at_most": target.at_most, "stretch": target.stretch, "of_figure": None,
             "ratio": None, "met": None, "note": None}
    try:
        shown["of_figure"] = EXPRESSIONS[target.of](figures)
    except Missing as missing:
        shown["note"] = "not measured: %s" % missing
        return shown
    shown["ratio"] = figure / shown["of_figure"]
    shown["met"] = (shown["ratio"] <= target.ratio if target.at_most
                    else shown["ratio"] >= target.ratio)
    return shown


def not_judged(target, why):
    return dict(judge(target, 1, Figures({}, {})), of_figure=None, ratio=None, met=None,
                note="not measured: %s" % why)


def table(samples, skipped, notes):
    """Every row, measured or not. `notes`: a remark for some samples."""
    figures = Figures(samples, skipped)
    rows = []
    for row in ROWS:
        shown = {"id": row.id, "what": row.what, "unit": row.unit, "figure": None, "repeats": [],
                 "targets": [], "note": notes.get(row.sample)}
        try:
            shown["repeats"] = figures.values(row.sample, row.field)
            shown["figure"] = median(shown["repeats"])
            shown["targets"] = [judge(t, shown["figure"], figures) for t in row.targets]
            shown["broker"] = resources(samples[row.sample])
        except Missing as missing:
            shown["note"] = "not measured: %s" % missing
            shown["targets"] = [not_judged(t, str(missing)) for t in row.targets]
        rows.append(shown)
    return rows


def resources(found):
    """What broker and PostgreSQL took, over the repeats: CPU a message, and the most memory."""
    taken = [one["broker"] for one in found if "broker" in one]
    if not taken:
        return None
    return {"cpu_us_per_message": median(t["cpu_us_per_message"] for t in taken),
            "postgres_cpu_us_per_message": median(t["postgres_cpu_us_per_message"] for t in taken),
            "memory_mib_max": max(t["memory_mib_max"] for t in taken)}
