"""words.py - how the bench's results are put into words, for the page and for the README.

Everything takes a result as run.py writes it (result.json) and returns plain text.
"""

SYSTEMS = {
    "H": "bare HTTP server",
    "myqueue-postgres": "myqueue, PostgreSQL",
    "myqueue-sqlite": "myqueue, SQLite",
    "myqueue-memory": "myqueue, memory",
    "redis": "Redis streams",
    "nats": "NATS JetStream",
    "rabbitmq": "RabbitMQ",
    "beanstalkd": "beanstalkd",
    "pgq": "PgQ",
}

# What the ceilings are, in the order of the table; C and COPY OUT are whole tables at once.
CEILINGS = [
    ("H", "a bare libmicrohttpd server that reads the same POST and answers a constant"),
    ("I", "pgbench: a prepared single-row INSERT a transaction into a table like the log's"),
    ("R", "Redis: XADD, 64 clients"),
    ("C", "COPY of the same rows into a table like the log's, one session"),
    ("copy_out", "psql's COPY OUT of the same rows"),
]

# How the first sentence names what a figure is compared with.
COMPARED = {"I": "pgbench's inserts", "R": "Redis", "H": "a bare HTTP server"}

HEADLINE = "produce-postgres-64"


def system(name):
    return SYSTEMS.get(name, name)


def number(value):
    """Three digits that count: 58123 is 58,100, 1.2345 is 1.23."""
    if value == int(value) and abs(value) < 1000:
        return "%d" % value
    if abs(value) >= 999.5:
        digits = len(str(round(abs(value)))) - 3
        return "{:,}".format(int(round(value, -digits)))
    for decimals in (2, 1, 0):
        text = "%.*f" % (decimals, value)
        if len(text.replace(".", "").replace("-", "").lstrip("0")) <= 3:
            return text
    return "%.0f" % value


def figure(value, unit):
    """A time is in the unit in which it is a handy number."""
    for small, large in (("µs", "ms"), ("ms", "s")):
        if unit == small and abs(value) >= 1000:
            value, unit = value / 1000, large
    return "%s %s" % (number(value), unit)


def brief(value, unit):
    """Without the unit where that is understood."""
    return number(value) if unit == "messages/s" else figure(value, unit)


def span(repeats, unit):
    """What the repeats lay between; empty where they show no difference."""
    if not repeats or brief(min(repeats), unit) == brief(max(repeats), unit):
        return ""
    return "%s to %s" % (brief(min(repeats), unit), brief(max(repeats), unit))


def margin_percent(target):
    """How far the ratio is on the good side of what is wanted; negative: on the bad one."""
    share = target["ratio"] / target["wanted"] - 1
    return -100 * share if target.get("at_most") else 100 * share


def verdict(target):
    """(state, text): state is met, missed or unknown."""
    if target["met"] is None:
        return "unknown", target.get("note") or "not measured"
    percent = margin_percent(target)
    shown = "%.0f %%" % abs(percent) if abs(percent) >= 0.95 else "%.1f %%" % abs(percent)
    if target["met"]:
        return "met", "met, %s to spare" % shown
    return "missed", "missed by %s" % shown


def goals(result):
    """All targets but the stretched ones, which are wishes."""
    return [t for row in result["rows"] for t in row["targets"] if not t.get("stretch")]


def count(result):
    """(met, missed, unknown) of the goals."""
    states = [verdict(target)[0] for target in goals(result)]
    return tuple(states.count(state) for state in ("met", "missed", "unknown"))


def badge(result):
    met, missed, unknown = count(result)
    total = met + missed + unknown
    if missed == 0 and unknown == 0:
        return "met", "✓ All %d targets are met" % total
    text = "%d of %d targets met, %d missed" % (met, total, missed)
    if unknown:
        text += ", %d not measured" % unknown
    return "missed", ("✗ " if missed else "? ") + text


def headline(result):
    """One sentence on the row that the whole is about."""
    row = next((row for row in result["rows"] if row["id"] == HEADLINE), None)
    if row is None or row["figure"] is None:
        return "The broker over PostgreSQL with 64 connections was not measured."
    shown = {t["of"]: t["ratio"] for t in row["targets"] if t["ratio"] is not None}
    parts = ["%.2f × %s" % (shown[of], COMPARED[of]) for of in ("I", "R", "H") if of in shown]
    text = ("%s messages a second over HTTP, each committed by PostgreSQL before its answer, "
            "with 64 connections" % number(row["figure"]))
    if parts:
        text += ": " + (", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0])
    return text + "."


def date(result):
    """2026-11-21T10:20:00+00:00 as a person writes it."""
    return result["date"].replace("T", " ").replace("+00:00", " UTC")[:23].strip()


def took(result):
    minutes, seconds = divmod(round(result["duration_s"]), 60)
    return "%d min %d s" % (minutes, seconds) if minutes else "%d s" % seconds


def plan(result):
    repeats = result.get("repeats", 1)
    return "%s, %s" % (result.get("plan"), "one repeat" if repeats == 1 else "%d repeats" % repeats)


def machine(result):
    """One line: processor, cores, memory, disk."""
    m = result["machine"]
    return "%s, %s cores, %s, kernel %s, %s, fdatasync %s µs" % (
        m.get("cpu"), m.get("cores"), m.get("memory"), m.get("kernel"), m.get("filesystem"),
        number(m["fdatasync_us"]) if m.get("fdatasync_us") else "?")


def versions(result):
    found = [(name, value) for name, value in result["versions"].items() if value]
    return ", ".join(value if name in value or name == "compiler" else "%s %s" % (name, value)
                     for name, value in found)


def settings(result):
    """Pairs of a name and what was set, as run.py names them."""
    found = []
    for name, value in (result.get("settings") or {}).items():
        if isinstance(value, dict):
            value = ", ".join("%s=%s" % item for item in value.items())
        found.append((name.replace("_", " "), str(value)))
    return found


def at(connections, rate):
    """The load that a latency was measured under."""
    text = "%d connections" % connections if connections != 1 else "one connection"
    if rate:
        return "%s messages a second over %s" % (number(rate), text)
    return text + ", the next request as soon as the last is answered"
