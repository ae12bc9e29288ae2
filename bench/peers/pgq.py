#!/usr/bin/python3
"""PgQ: pgq.insert_event in a transaction each, by pgbench (see bench/peer.py).

The server is set as the one that the bench measures the broker with, WAL segments to recycle
included.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import collections  # noqa: E402
import glob  # noqa: E402
import subprocess  # noqa: E402

import peer  # noqa: E402
import servers  # noqa: E402

WARM_WAL_MB = 1024


def percentile(histogram, total, share):
    seen = 0
    for value_us, count in histogram:
        seen += count
        if seen >= share * total:
            return value_us
    return 0


def three_digits(value_us):
    """So that neighbours fall together: 12345 becomes 12300."""
    step = 10 ** max(0, len(str(value_us)) - 3)
    return value_us // step * step


class Pgq(peer.Peer):
    name = "PgQ"
    setting = "pgq.insert_event, a transaction each; fsync and synchronous_commit on"

    def __init__(self, data):
        super().__init__(data)
        self.postgres = servers.Postgres(data, WARM_WAL_MB)

    @classmethod
    def check_installed(cls):
        if not glob.glob("/usr/share/postgresql/*/extension/pgq.control"):
            raise peer.NotInstalled("PgQ is not installed (no extension pgq)")

    def version(self):
        return "%s on PostgreSQL %s" % (self.postgres.sql("SELECT pgq.version()"),
                                        peer.number_in(self.postgres.sql("SHOW server_version")))

    def run(self):
        self.postgres.run()
        self.postgres.sql("CREATE EXTENSION pgq")
        self.postgres.sql("SELECT pgq.create_queue('bench')")

    def stop(self):
        self.postgres.stop()

    def pgbench(self, connections, duration_s, *more):
        done = subprocess.run(
            ["pgbench", "--no-vacuum", "--protocol=prepared", "--client=%d" % connections,
             "--time=%d" % max(1, round(duration_s)), *more, self.postgres.conninfo()],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise servers.Failed(done.stderr.strip())

    def measure(self, connections, duration_s):
        script = os.path.join(self.data, "insert.sql")
        logs = os.path.join(self.data, "latency")
        with open(script, "w") as f:
            f.write("SELECT pgq.insert_event('bench', 'message', '%s');\n"
                    % ("x" * peer.MESSAGE_BYTES))
        self.pgbench(connections, peer.WARMUP_S, "--file=" + script)
        self.pgbench(connections, duration_s, "--file=" + script, "--log", "--log-prefix=" + logs)
        return self.summed(glob.glob(logs + ".*"), connections)

    def summed(self, logs, connections):
        """From pgbench's log: client, number, microseconds, script, second, microsecond.

        Some microseconds are 0: pgbench has not looked at the clock between request and answer.
        They count as messages, not as latencies."""
        buckets = collections.Counter()
        messages, begin_us, end_us, highest_us = 0, float("inf"), 0, 0
        for path in logs:
            with open(path) as f:
                for line in f:
                    _, _, took_us, _, second, rest_us = line.split()[:6]
                    at_us = int(second) * 1000000 + int(rest_us)
                    took_us = int(took_us)
                    messages += 1
                    if took_us > 0:
                        buckets[three_digits(took_us)] += 1
                    begin_us = min(begin_us, at_us - took_us)
                    end_us = max(end_us, at_us)
                    highest_us = max(highest_us, took_us)
        histogram = sorted(buckets.items())
        total = sum(buckets.values())
        if total == 0:
            raise servers.Failed("pgbench has logged nothing")
        names = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
        latency = {name: percentile(histogram, total, names[name]) for name in names}
        return {"tool": "pgbench", "connections": connections, "threads": 1,
                "duration_s": (end_us - begin_us) / 1e6, "messages": messages,
                "requests": messages, "errors": 0,
                "messages_per_s": messages / ((end_us - begin_us) / 1e6),
                "latency_us": dict(latency, max=highest_us), "histogram": histogram}


peer.main(Pgq)
