#!/usr/bin/python3
"""run.py [--quick] [--no-peers] [--only PATTERN] [--out DIR] - the bench: ceilings, rows, peers.

Runs everything on this machine, one thing at a time, and writes reports/bench/<time>/ with
result.json (and what draw.py makes of it); `latest` points to it. What cannot be measured is said
to be so, with the reason; nothing is left running, and no data left behind, however it ends.

The whole takes about ten minutes. --quick takes about one: a single repeat of the rows that need
no long log. --only takes a regular expression over the measurements' names (see samples in
result.json); the rest counts as not measured.

How it is measured:
- Repeats are interleaved: all of the first round, then all of the second, and so on. Figures are
  medians over the repeats; a ratio compares medians of one run.
- Latency counts from when a request was due. Closed loop unless a rate is given.
- PostgreSQL: a cluster of its own with fsync and synchronous_commit on, whose WAL segments are
  recycled ones: as many as are kept are written before, and a checkpoint follows. Checkpoints
  come between measurements, not in them.
- I and C write to a table made like that which holds the broker's rows (log_0), with its index.
- "Cold": PostgreSQL and the broker have just been started, and the kernel's page cache is empty
  (where this script may drop it; the row's note says so if not). Rows have been vacuumed once.
- A broker is started anew for each measurement; its CPU and its peak of memory are taken then.
"""

import argparse
import datetime
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import namedtuple
from statistics import median

import machine
import rows
from servers import BUILD, ROOT, Bare, Broker, Failed, Postgres, Redis

Plan = namedtuple("Plan", "name repeats seconds short_s warmup_ms connections warm_wal_mb "
                          "copy_rows pgbench_clients backlog log_size idle peer_connections")
FULL = Plan("full", 3, 3, 1.5, 400, (1, 4, 16, 64, 256), 2048, 1000000, (16, 32, 64, 128),
            5000000, 10000000, 5000, (1, 4, 16, 64, 256))
QUICK = Plan("quick", 1, 1, 1, 200, (1, 64, 256), 512, 1000000, (64,), 0, 0, 5000, (64,))

BARE_MODES = [("--mode", "internal", "--threads", "1"), ("--mode", "internal", "--threads", "2"),
              ("--mode", "external")]
STORES = ("memory", "sqlite", "postgres")
TAIL_MESSAGES = 100000  # fit in the broker's tail
TAIL_MIB = 64
MESSAGE = "".join(chr(ord("a") + i % 26) for i in range(100))  # as load sends it
OPEN_RATE = 10000
STARTS = 5
LIMIT_S = 180  # of one measurement
LONG_LOG = ("backlog", "copy_out", "start.10m", "start.empty", "memory.10m")
END_S_MAX = 70  # of a measurement that is told to end: a server in it may take its time
COLUMNS = '(topic_id, partition, "offset", producer_id, sequence, message)'


def run(command, **more):
    """Its standard output; Failed with its last words if it does not end well.

    It is asked to end, and waited for, when time is up or this is interrupted: it may have started
    a server (see peer.py) that nobody else would stop."""
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 start_new_session=True, **more)
    except FileNotFoundError:
        raise Failed("%s is not installed" % os.path.basename(command[0]))
    try:
        output, complaint = child.communicate(timeout=LIMIT_S)
    except BaseException as why:
        child.terminate()
        try:
            child.communicate(timeout=END_S_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
        if isinstance(why, subprocess.TimeoutExpired):
            raise Failed("%s did not end within %d s" % (os.path.basename(command[0]), LIMIT_S))
        raise
    if child.returncode != 0:
        words = complaint.strip().splitlines() or ["exit code %d" % child.returncode]
        raise Failed(words[-1])
    return output


def load(address, *words):
    return json.loads(run([os.path.join(BUILD, "bench/load"), "--target", address,
                           *[str(word) for word in words]]))


def number(pattern, text):
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise Failed("no figure in: " + text.strip()[-200:])
    return float(found[1])


class Bench:
    def __init__(self, plan, folder, only):
        self.plan = plan
        self.folder = folder
        self.only = re.compile(only) if only else None
        self.samples = {}  # name -> what the repeats gave
        self.skipped = {}  # name -> why there is none
        self.notes = {}    # name -> a remark for its row
        self.postgres = Postgres(folder, plan.warm_wal_mb)
        self.bare_mode = {}  # connections -> the best
        self.clients = None  # the best of I
        self.count = 0
        self.began = time.monotonic()

    # ---- taking samples ---------------------------------------------------------------------

    def say(self, text):
        print("%4d s  %s" % (time.monotonic() - self.began, text), flush=True)

    def wanted(self, name):
        return self.only is None or self.only.search(name) is not None

    def sample(self, name, take, *arguments):
        if not self.wanted(name):
            self.skipped.setdefault(name, "left out by --only")
            return
        try:
            one = take(*arguments)
        except Failed as failed:
            why = str(failed).replace(self.folder + "/", "")
            self.skipped[name] = why
            self.say("%-20s not measured: %s" % (name, why))
            return
        self.samples.setdefault(name, []).append(one)
        figure = one.get("messages_per_s") or one.get("ms") or one.get("mib") or 0
        self.say("%-20s %12s%s" % (name, "{:,.0f}".format(figure),
                                   "   p50 {:,.0f} µs".format(one["latency_us"]["p50"])
                                   if "latency_us" in one else ""))

    def best(self, name):
        """Of a sample, the repeat with the median rate."""
        found = sorted(self.samples.get(name, []), key=lambda one: one["messages_per_s"])
        return found[len(found) // 2] if found else None

    def timing(self, seconds):
        return ("--duration-ms", int(seconds * 1000), "--warmup-ms", self.plan.warmup_ms)

    def topic(self):
        self.count += 1
        return "t%d" % self.count

    # ---- ceilings ---------------------------------------------------------------------------

    def bare(self, mode, connections, seconds):
        with Bare(self.folder, mode) as server:
            one = load(server.address, "--protocol", "http", "--mode", "post", "--connections",
                       connections, *self.timing(seconds))
        return dict(one, setting=" ".join(mode))

    def find_bare_mode(self, connections):
        """Which way of running is best here. A mode that stalls (see docs) is out."""
        tried = []
        for mode in BARE_MODES:
            try:
                tried.append((self.bare(mode, connections, 0.7)["messages_per_s"], mode))
            except Failed as failed:
                self.say("H, %d connections, %s: %s" % (connections, " ".join(mode), failed))
        self.bare_mode[connections] = max(tried)[1]
        self.say("H, %d connections: best is %s" % (connections,
                                                    " ".join(self.bare_mode[connections])))

    def best_bare(self, connections, seconds):
        try:
            return self.bare(self.bare_mode[connections], connections, seconds)
        except Failed as failed:
            self.say("H, %d connections: %s; now %s" % (connections, failed,
                                                        " ".join(BARE_MODES[-1])))
            self.bare_mode[connections] = BARE_MODES[-1]  # the one that cannot stall
            return self.bare(BARE_MODES[-1], connections, seconds)

    def pgbench(self, clients, seconds):
        """I: a prepared single-row INSERT per transaction, each client with keys of its own."""
        self.postgres.sql("TRUNCATE bench.log")
        self.postgres.sql("CHECKPOINT")
        script = os.path.join(self.folder, "insert.sql")
        with open(script, "w") as out:
            out.write("\\set n :n + 1\nINSERT INTO bench.log %s VALUES "
                      "(1, :client_id, :n, 1, NULL, '%s');\n" % (COLUMNS, MESSAGE))
        logs = os.path.join(self.folder, "pgbench")
        for old in glob.glob(logs + ".*"):
            os.unlink(old)
        words = ["--log", "--log-prefix", logs] if clients == 1 else []
        text = run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j",
                    str(min(clients, os.cpu_count())), "-T", str(max(1, round(seconds))), "-D", "n=0",
                    "-f", script, *words, self.postgres.conninfo()])
        one = {"messages_per_s": number(r"^tps = ([\d.]+)", text), "connections": clients}
        if clients == 1:
            times = []
            for path in glob.glob(logs + ".*"):
                with open(path) as lines:
                    times += [int(line.split()[2]) for line in lines]
            one["latency_us"] = {"p50": median(times)}
        return one

    def find_clients(self):
        tried = []
        for clients in self.plan.pgbench_clients:
            one = self.pgbench(clients, max(1, self.plan.short_s))
            tried.append((one["messages_per_s"], clients))
            self.say("I, %d clients: %s/s" % (clients, "{:,.0f}".format(tried[-1][0])))
        self.clients = max(tried)[1]
        self.notes["I"] = "tried with " + ", ".join(
            "{} clients: {:,.0f}/s".format(c, rate) for rate, c in tried)

    def redis(self):
        requests = int(60000 * self.plan.seconds)
        with Redis(self.folder) as server:
            text = run(["redis-benchmark", "-p", str(server.port), "-c", "64", "-n",
                        str(requests), "--csv", "XADD", "bench", "*", "m", MESSAGE])
        shutil.rmtree(server.folder, ignore_errors=True)
        last = text.strip().splitlines()[-1].split('","')
        return {"messages_per_s": float(last[1]), "connections": 64, "setting": Redis.setting,
                "latency_us": {"p50": float(last[4]) * 1000}}

    def copy_in(self):
        """C: in one session, from a file."""
        path = os.path.join(self.folder, "copy.txt")
        if not os.path.exists(path):
            with open(path, "w") as out:
                for i in range(self.plan.copy_rows):
                    out.write("1\t0\t%d\t1\t\\N\t%s\n" % (i, MESSAGE))
        self.postgres.sql("TRUNCATE bench.log")
        self.postgres.sql("CHECKPOINT")
        return self.timed_copy("\\copy bench.log %s from '%s'" % (COLUMNS, path),
                               self.plan.copy_rows, "myqueue")

    def timed_copy(self, command, count, database):
        text = self.postgres.psql("-c", "\\timing on", "-c", command, database=database)
        return {"messages_per_s": count / number(r"^Time: ([\d.]+) ms", text) * 1000}

    # ---- the broker --------------------------------------------------------------------------

    def store(self, name):
        if name == "postgres":
            self.postgres.sql("CHECKPOINT")
            return self.postgres.url()
        path = os.path.join(self.folder, "sqlite")
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path)
        return "memory:" if name == "memory" else "sqlite:" + os.path.join(path, "bench.db")

    def measured(self, broker, *words):
        before = broker.cpu_s(), self.postgres.cpu_s()
        one = load(broker.address, *words)
        after = broker.cpu_s(), self.postgres.cpu_s()
        warm = 1 if "--messages" in words else 1 + self.plan.warmup_ms / 1000 / one["duration_s"]
        per_message = 1e6 / max(1, one["messages"]) / warm
        one["broker"] = {"cpu_us_per_message": (after[0] - before[0]) * per_message,
                         "postgres_cpu_us_per_message": (after[1] - before[1]) * per_message,
                         "memory_mib_max": broker.memory_kb_max() / 1024}
        return one

    def produce(self, store, connections, seconds, *words):
        with Broker(self.folder, self.store(store)) as broker:
            return self.measured(broker, "--connections", connections, "--topic", self.topic(),
                                 *self.timing(seconds), *words)

    def batches(self, store):
        return self.produce(store, 16, self.plan.seconds, "--batch", 500)

    def tail(self, store, connections, *words):
        topic = self.topic()
        with Broker(self.folder, self.store(store)) as broker:
            load(broker.address, "--topic", topic, "--batch", 500, "--connections", 4,
                 "--messages", TAIL_MESSAGES)
            return self.measured(broker, "--mode", "consume", "--topic", topic, "--connections",
                                 connections, *self.timing(self.plan.short_s), *words)

    def deliver(self):
        with Broker(self.folder, self.store("postgres")) as broker:
            return self.measured(broker, "--mode", "deliver", "--rate", 500, "--connections", 64,
                                 "--idle", self.plan.idle, "--topic", self.topic(),
                                 *self.timing(self.plan.seconds))

    # ---- a long log --------------------------------------------------------------------------

    def long_log(self):
        why = None
        if self.plan.backlog == 0:
            why = "needs a long log, which only the whole bench makes"
        elif not any(self.wanted(name) for name in LONG_LOG):
            why = "left out by --only"
        else:
            self.only = None  # one needs the other
            try:
                self.measure_long_log()
            except Failed as failed:
                why = str(failed)
        if why:
            self.skipped.update((name, why) for name in LONG_LOG)

    def measure_long_log(self):
        """A database of its own, that batches fill; then what depends on the log's length."""
        self.postgres.sql("CREATE DATABASE big OWNER myqueue")
        self.postgres.sql("CREATE DATABASE empty OWNER myqueue")
        part = self.plan.backlog // self.plan.repeats + 1
        for _ in range(self.plan.repeats):
            self.sample("postgres.batch", self.fill, part)
            self.sample("C", self.copy_in)
        self.settle()
        for _ in range(self.plan.repeats):
            self.sample("copy_out", self.copy_out)
            self.sample("backlog", self.backlog)
        self.sample("memory.10m", self.memory)
        self.settle()
        with Broker(self.folder, self.postgres.url("empty")):
            pass  # makes the tables
        for _ in range(STARTS):
            self.sample("start.10m", self.start, "big")
            self.sample("start.empty", self.start, "empty")

    def fill(self, messages):
        with Broker(self.folder, self.postgres.url("big")) as broker:
            return self.measured(broker, *self.filling(messages))

    def filling(self, messages):
        return ("--batch", 500, "--connections", 16, "--topic", "big", "--messages", messages)

    def settle(self):
        self.postgres.sql("VACUUM ANALYZE", "big")
        self.postgres.sql("CHECKPOINT")

    def cold(self, sample):
        """As after a boot: PostgreSQL anew, and nothing in the kernel's page cache."""
        self.postgres.stop()
        try:
            os.sync()
            with open("/proc/sys/vm/drop_caches", "w") as drop:
                drop.write("3\n")
        except OSError as error:
            self.notes[sample] = "the page cache was warm: " + error.strerror
        self.postgres.resume()

    def copy_out(self):
        self.cold("copy_out")
        return self.timed_copy("\\copy (SELECT * FROM myqueue.log WHERE topic_id = (SELECT id "
                               "FROM myqueue.topic WHERE name = 'big-0') AND \"offset\" < %d) "
                               "to '/dev/null'" % self.plan.backlog, self.plan.backlog, "big")

    def backlog(self):
        self.cold("backlog")
        with Broker(self.folder, self.postgres.url("big")) as broker:
            return self.measured(broker, "--mode", "consume", "--max", 500, "--topic", "big",
                                 "--connections", 1, "--messages", self.plan.backlog)

    def start(self, database):
        begin = time.monotonic()
        with Broker(self.folder, self.postgres.url(database)) as broker:
            with urllib.request.urlopen("http://%s/topics" % broker.address, timeout=10) as reply:
                reply.read()
            return {"ms": (time.monotonic() - begin) * 1000}

    def memory(self):
        """One broker stores the second half, which fills its tail, and has all of it read."""
        with Broker(self.folder, self.postgres.url("big"), "--tail-bytes",
                    str(TAIL_MIB << 20)) as broker:
            load(broker.address, *self.filling(self.plan.log_size - self.plan.backlog))
            load(broker.address, "--mode", "consume", "--max", 500, "--topic", "big",
                 "--connections", 1, "--messages", self.plan.log_size)
            return {"mib": broker.memory_kb_max() / 1024, "tail_mib": TAIL_MIB}

    # ---- peers -------------------------------------------------------------------------------

    def peer(self, program, connections):
        data = tempfile.mkdtemp(prefix="peer-", dir=self.folder)
        os.chmod(data, 0o755)
        try:
            return json.loads(run([program, "--connections", str(connections), "--duration",
                                   str(self.plan.short_s), "--data", data]))
        finally:
            shutil.rmtree(data, ignore_errors=True)

    def peers(self):
        for program in sorted(glob.glob(os.path.join(ROOT, "bench/peers/*.py"))):
            if not os.access(program, os.X_OK):
                continue  # what the peers share
            name = os.path.basename(program)[:-3]
            for connections in self.plan.peer_connections:
                sample = "peer.%s.%d" % (name, connections)
                self.sample(sample, self.peer, program, connections)
                if sample in self.skipped:
                    break

    # ---- the whole ---------------------------------------------------------------------------

    def round(self):
        plan = self.plan
        for c in plan.connections:
            seconds = plan.seconds if c in (64, 256) else plan.short_s
            self.sample("H.%d" % c, self.best_bare, c, seconds)
            for store in STORES:
                self.sample("%s.%d" % (store, c), self.produce, store, c, seconds)
        self.sample("I", self.pgbench, self.clients, plan.seconds)
        self.sample("I.1", self.pgbench, 1, plan.seconds)
        self.sample("R", self.redis)
        if plan.backlog == 0:
            self.sample("C", self.copy_in)
            self.sample("postgres.batch", self.batches, "postgres")
        self.sample("sqlite.batch", self.batches, "sqlite")
        for store in STORES:
            self.sample(store + ".tail", self.tail, store, 64)
        self.sample("postgres.tail500", self.tail, "postgres", 16, "--max", 500)
        self.sample("postgres.topics", self.produce, "postgres", 64, plan.seconds, "--topics",
                    1000)
        self.sample("postgres.idle", self.produce, "postgres", 64, plan.seconds, "--idle",
                    plan.idle)
        self.sample("postgres.deliver", self.deliver)

    def make_table(self):
        """Where I and C write: as the table that holds a topic's rows, which has the index."""
        self.postgres.sql("CREATE SCHEMA bench; "
                          "CREATE TABLE bench.log (LIKE myqueue.log_0 INCLUDING ALL)")
        if self.postgres.sql("SELECT count(*) FROM pg_indexes WHERE schemaname = 'bench'") != "1":
            raise Failed("myqueue.log_0 has no index to measure with")

    def everything(self, with_peers):
        with self.postgres:
            with Broker(self.folder, self.postgres.url()):
                pass  # makes the tables
            self.make_table()
            for connections in self.plan.connections:
                if self.wanted("H.%d" % connections):
                    self.find_bare_mode(connections)
            if self.wanted("I"):
                self.find_clients()
            for _ in range(self.plan.repeats):
                self.round()
            for store in STORES:
                self.sample(store + ".open", self.produce, store, 64, self.plan.short_s, "--rate",
                            OPEN_RATE)
            self.long_log()
            versions = machine.versions(self.postgres)
        if with_peers:
            self.peers()
        return versions

    def ceilings(self):
        found = {}
        for name in ("H.%d" % c for c in self.plan.connections):
            if self.best(name):
                one = self.best(name)
                found.setdefault("H", {})[name[2:]] = {
                    "messages_per_s": one["messages_per_s"], "setting": one["setting"],
                    "latency_us": one["latency_us"],
                    "repeats": [r["messages_per_s"] for r in self.samples[name]]}
        for name in ("I", "I.1", "R", "C", "copy_out"):
            if self.best(name):
                one = self.best(name)
                found[name] = dict(one, repeats=[r["messages_per_s"] for r in self.samples[name]],
                                   note=self.notes.get(name))
            else:
                found[name] = {"messages_per_s": None, "note": self.skipped.get(name)}
        return found

    def series(self):
        throughput, latency = [], []
        systems = [("H", "H")] + [("myqueue-" + store, store) for store in STORES]
        systems += [(name, "peer." + name) for name in self.peer_names()]
        for system, prefix in systems:
            for c in sorted(set(self.plan.connections + self.plan.peer_connections)):
                one = self.best("%s.%d" % (prefix, c))
                if one:
                    throughput.append({"system": system, "connections": c,
                                       "messages_per_s": one["messages_per_s"]})
            for name in (prefix + ".64", prefix + ".open"):
                one = self.best(name)
                if one and "histogram" in one:
                    latency.append(dict(one["latency_us"], system=system, connections=64,
                                        rate=one.get("rate", 0), histogram=one["histogram"]))
        return {"throughput": throughput, "latency": latency}

    def peer_names(self):
        found = [name.split(".")[1] for name in list(self.samples) + list(self.skipped)
                 if name.startswith("peer.")]
        return sorted(set(found))

    def peer_rows(self):
        found = []
        for name in self.peer_names():
            one = self.best("peer.%s.64" % name)
            why = [self.skipped[s] for s in self.skipped if s.startswith("peer.%s." % name)]
            found.append({"name": (one or {}).get("name", name),
                          "version": (one or {}).get("version"),
                          "setting": (one or {}).get("setting"), "connections": 64,
                          "messages_per_s": (one or {}).get("messages_per_s"),
                          "latency_us": (one or {}).get("latency_us"),
                          "skipped": None if one else (why or ["it was not run"])[0]})
        return found


def result(bench, versions, begun):
    skipped = dict(bench.skipped)
    for name in bench.samples:
        skipped.pop(name, None)
    return {
        "schema": 1, "plan": bench.plan.name, "repeats": bench.plan.repeats,
        "date": begun.isoformat(timespec="seconds"), "machine": machine.describe(bench.folder),
        "versions": versions, "duration_s": round(time.monotonic() - bench.began, 1),
        "settings": {"postgres": bench.postgres.settings, "redis": Redis.setting,
                     "message_bytes": len(MESSAGE),
                     "wal": "warmed: %d MiB of segments written before, then recycled"
                            % bench.plan.warm_wal_mb},
        "ceilings": bench.ceilings(),
        "rows": rows.table(bench.samples, skipped, bench.notes),
        "series": bench.series(), "peers": bench.peer_rows(), "skipped": skipped,
        "samples": {name: [{k: v for k, v in one.items() if k != "histogram"} for one in found]
                    for name, found in bench.samples.items()},
    }


def write(found, folder):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "result.json")
    with open(path, "w") as out:
        json.dump(found, out, ensure_ascii=False, indent=1)
        out.write("\n")
    latest = os.path.join(os.path.dirname(folder), "latest")
    if os.path.islink(latest) or not os.path.exists(latest):
        fresh = latest + ".new"
        os.symlink(os.path.basename(folder), fresh)
        os.replace(fresh, latest)
    return path


def show(found):
    """The table on the terminal."""
    for row in found["rows"]:
        figure = row["note"] if row["figure"] is None else "{:,.0f} {}".format(row["figure"],
                                                                               row["unit"])
        print("\n%s\n    %s" % (row["what"], figure))
        for target in row["targets"]:
            verdict = (target["note"] if target["met"] is None else
                       "%.2f  %s" % (target["ratio"], "met" if target["met"] else "missed"))
            print("    %-45s %s" % (target["text"], verdict))


def end(number, frame):
    raise KeyboardInterrupt


def main():
    words = argparse.ArgumentParser(description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true")
    words.add_argument("--no-peers", action="store_true")
    words.add_argument("--only", metavar="PATTERN")
    words.add_argument("--out", metavar="DIR", default=os.path.join(ROOT, "reports/bench"))
    words = words.parse_args()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)  # also where a shell has it ignored
    begun = datetime.datetime.now().astimezone()
    with tempfile.TemporaryDirectory(prefix="myqueue-bench-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)  # PostgreSQL's user must enter it
        bench = Bench(QUICK if words.quick else FULL, folder, words.only)
        versions = bench.everything(not words.no_peers)
        found = result(bench, versions, begun)
    folder = os.path.join(os.path.abspath(words.out), begun.strftime("%Y-%m-%dT%H-%M-%S"))
    path = write(found, folder)
    show(found)
    print("\n%d s; %s" % (found["duration_s"], path))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Failed as failed:
        sys.exit("bench: %s" % failed)
