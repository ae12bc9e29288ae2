#!/usr/bin/python3
"""PgQ: pgq.insert_event in a transaction each, by pgbench (see bench/peer.py).

The server is one of its own with fsync and synchronous_commit on. Its WAL segments are made
beforehand and recycled, so that a run does not wait for new ones to be filled with zeros.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import peer  # noqa: E402

import collections  # noqa: E402
import glob  # noqa: E402
import subprocess  # noqa: E402

POSTGRES = os.path.join(peer.ROOT, "tools", "postgres")
WAL_MB = 1024


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
    program = None

    def installed(self):
        if not glob.glob("/usr/share/postgresql/*/extension/pgq.control"):
            raise peer.NotInstalled("PgQ is not installed (no extension pgq)")

    def version(self):
        return self.found

    def query(self, text):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text, self.url],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise peer.Failed(done.stderr.strip())
        return done.stdout.strip()

    def start(self, data, port):
        dir = os.path.join(data, "postgres")
        subprocess.run([POSTGRES, "init", dir], check=True)
        with open(os.path.join(dir, "data", "postgresql.conf"), "a") as f:
            f.write("max_connections = 400\nmin_wal_size = %dMB\nmax_wal_size = %dMB\n"
                    % (WAL_MB, 4 * WAL_MB))
        self.run(POSTGRES, "run", dir, data=data)
        subprocess.run([POSTGRES, "wait", dir], check=True)
        self.url = peer.output(POSTGRES, "url", dir).strip().replace("myqueue@", "postgres@", 1)
        self.query("CREATE EXTENSION pgq")
        self.query("SELECT pgq.create_queue('bench')")
        self.found = "%s on PostgreSQL %s" % (
            self.query("SELECT pgq.version()"), peer.number_in(self.query("SHOW server_version")))
        self.warm()

    def warm(self):
        self.query("CREATE TABLE filler AS SELECT repeat(md5(n::text), 30) AS text "
                   "FROM generate_series(1, %d) AS n" % (WAL_MB * 1000))
        self.query("DROP TABLE filler")
        self.query("CHECKPOINT")
        self.query("SELECT pg_switch_wal()")
        self.query("CHECKPOINT")

    def pgbench(self, connections, duration_s, script, *more):
        program = peer.program_or_none("/usr/lib/postgresql/*/bin/pgbench") or "pgbench"
        done = subprocess.run(
            [program, "--no-vacuum", "--protocol=prepared", "--client=%d" % connections,
             "--time=%d" % max(1, round(duration_s)), "--file=%s" % script, *more, self.url],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise peer.Failed(done.stderr.strip())

    def measure(self, port, connections, duration_s, data):
        script = os.path.join(data, "insert.sql")
        with open(script, "w") as f:
            f.write("SELECT pgq.insert_event('bench', 'message', '%s');\n"
                    % ("x" * peer.MESSAGE_BYTES))
        self.pgbench(connections, peer.WARMUP_S, script)
        self.pgbench(connections, duration_s, script, "--log", "--log-prefix=%s/latency" % data)
        return self.summed(data, connections)

    def summed(self, data, connections):
        """From pgbench's log: client, number, microseconds, script, second, microsecond.

        Some microseconds are 0: pgbench has not looked at the clock between request and answer.
        They count as messages, not as latencies."""
        buckets = collections.Counter()
        messages, begin_us, end_us, highest_us = 0, float("inf"), 0, 0
        for path in glob.glob(os.path.join(data, "latency.*")):
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
            raise peer.Failed("pgbench has logged nothing")
        names = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
        latency = {name: percentile(histogram, total, names[name]) for name in names}
        return {"tool": "pgbench", "connections": connections, "threads": 1,
                "duration_s": (end_us - begin_us) / 1e6, "messages": messages,
                "requests": messages, "errors": 0,
                "messages_per_s": messages / ((end_us - begin_us) / 1e6),
                "latency_us": dict(latency, max=highest_us), "histogram": histogram}


peer.main(Pgq())
