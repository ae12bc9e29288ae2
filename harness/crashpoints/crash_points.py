#!/usr/bin/python3
"""crash_points.py - the broker dies at every step of common/crashpoint.h, and nothing may be lost.

Every step × hits 1 to 3 × store is a run of its own: a small scenario with one fault, `crash broker
at STEP hit H`, that must be valid. A step that is never passed is a failure, too. The steps come
from the broker itself (--crash-at list), so a new one is covered as soon as it is there.

Hit H of a step of the start is the H-th start: the first one, of an empty store, or one after H - 1
kills under load.

Writes REPORTS/TIME-PID/: table.md, result.json, scenarios/, and runs/ of what failed; points
REPORTS/latest to it. Ends with `N passed, N failed`; the exit code is 0 only if none failed.
Interrupted, it writes what was done by then, and leaves REPORTS/latest as it was.
"""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "matrix"))
import options  # noqa: E402
import runs  # noqa: E402

STORES = ("postgres", "sqlite")
HITS = 3
TOPICS = ("T1", "T2")
CONSUMERS = "C1 C2"

# Per `when` of the table: producers, rounds, lines of a round for each topic, bytes of a message.
LOADS = {
    "load": (2, 40, 1, 20),
    "start": (2, 40, 1, 20),
    "bulk": (3, 1, 2500, 20),
    "retention": (2, 2000, 1, 150),
}
RETENTION_BYTES = 65536  # of "retention"


@dataclass(frozen=True)
class Step:
    name: str
    stores: tuple
    when: str
    words: str


@dataclass(frozen=True)
class Case:
    step: Step
    store: str
    hit: int

    def name(self):
        return "%s-%d-%s" % (self.step.name, self.hit, self.store)

    def faults(self):
        crash = "crash broker at %s hit %d, restart after 0 ms"
        if self.step.when != "start":
            return [crash % (self.step.name, self.hit)]
        if self.hit == 1:
            return [crash % (self.step.name, 1)]
        kills = ["after %d acks: kill broker, restart after 0 ms" % (20 * i)
                 for i in range(1, self.hit - 1)]
        return [*kills, "after %d acks: %s" % (20 * (self.hit - 1), crash % (self.step.name, 1))]

    def write(self, folder):
        producers, rounds, lines, size = LOADS[self.step.when]
        os.makedirs(folder)
        for producer in range(1, producers + 1):
            with open(os.path.join(folder, "producer_%d.txt" % producer), "w",
                      encoding="utf-8") as file:
                for i in range(rounds):
                    for topic in TOPICS:
                        for line in range(lines):
                            message = "P%d round %d line %d" % (producer, i, line)
                            file.write("09:00:00\t%s\tP%d-%d\t%s\n" % (
                                message.ljust(size, "."), producer, i % 2, topic))
        names = " ".join("P%d" % producer for producer in range(1, producers + 1))
        with open(os.path.join(folder, "scenario.conf"), "w", encoding="utf-8") as file:
            file.write("title = the broker dies: %s\nstore = %s\n" % (self.step.words, self.store))
            if self.step.when == "retention":
                file.write("retention_bytes = %d\n" % RETENTION_BYTES)
            for topic in TOPICS:
                file.write("%s: %s : %s\n" % (topic, names, CONSUMERS))
            for fault in self.faults():
                file.write("fault = %s\n" % fault)


def steps_of(broker):
    """The table, from the broker itself."""
    listed = subprocess.run([broker, "--crash-at", "list"], capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit("crash_points.py: %s has no crash points: make BUILD=build/crash CRASH_POINTS=1\n%s"
                 % (broker, listed.stderr))
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    return [Step(name, tuple(stores.split()), when, words) for name, stores, when, words in rows]


class CrashPoints:
    def __init__(self, args, steps):
        self.args, self.steps = args, steps
        self.folder = runs.new_folder(args.reports)
        self.runner = runs.Runner(os.path.join(self.folder, "runs"))
        self.began = time.monotonic()
        self.results = {}  # Case -> (good, reason, seconds)
        self.interrupted = False

    def cases(self):
        return [Case(step, store, hit) for hit in range(1, HITS + 1) for step in self.steps
                for store in self.args.stores if store in step.stores]

    def run_one(self, case):
        folder = os.path.join(self.folder, "scenarios", case.name())
        case.write(folder)
        begin = time.monotonic()
        outcome = self.runner.run(folder, case.name())
        good = outcome.verdict == "valid"
        if good:
            outcome.remove()
            shutil.rmtree(folder)
        reason = outcome.reason if "not-fired" not in outcome.names() and \
            "no-recovery" not in outcome.names() else "the step is never passed"
        return good, "" if good else "%s: %s" % (outcome.verdict, reason), \
            time.monotonic() - begin, folder

    def run_all(self):
        cases = self.cases()
        with ThreadPoolExecutor(self.args.jobs) as pool:
            planned = [(case, pool.submit(self.run_one, case)) for case in cases]
            try:
                for number, (case, future) in enumerate(planned, 1):
                    good, reason, seconds, folder = future.result()
                    self.results[case] = (good, reason, seconds)
                    print("[%d/%d] %s %s hit %d on %s (%.1f s)%s" % (
                        number, len(cases), "ok" if good else "FAIL", case.step.name, case.hit,
                        case.store, seconds, "" if good else "\n    %s\n    again: %s" % (
                            reason, runs.repeat_command(folder))), flush=True)
            except BaseException:
                self.runner.end()
                pool.shutdown(cancel_futures=True)
                raise

    def cell(self, step, store, hit):
        found = [result for case, result in self.results.items()
                 if (case.step, case.store, case.hit) == (step, store, hit)]
        return "·" if not found else "ok" if found[0][0] else "FAIL"

    def table(self):
        """For a person: a row per step, a column per store and hit."""
        columns = [(store, hit) for store in self.args.stores for hit in range(1, HITS + 1)]
        yield "| step | what has happened by then | %s |" % " | ".join("%s %d" % c for c in columns)
        yield "|---|---|%s" % ("---|" * len(columns))
        for step in self.steps:
            yield "| `%s` | %s | %s |" % (step.name, step.words, " | ".join(
                self.cell(step, store, hit) for store, hit in columns))

    def write(self):
        table = "\n".join(self.table()) + "\n"
        with open(os.path.join(self.folder, "table.md"), "w", encoding="utf-8") as file:
            file.write(table)
        runs.write_json(os.path.join(self.folder, "result.json"), {
            "seconds": round(time.monotonic() - self.began, 1), "interrupted": self.interrupted,
            "runs": [{"step": case.step.name, "store": case.store, "hit": case.hit, "good": good,
                      "reason": reason, "seconds": round(seconds, 3)}
                     for case, (good, reason, seconds) in self.results.items()]})
        if not self.interrupted:
            runs.point_latest(self.folder)
        print("\n%s%s" % (table, "interrupted: %d of %d runs were done; %s\n" % (
            len(self.results), len(self.cases()), runs.from_root(self.folder))
                          if self.interrupted else ""))

    def failed(self):
        return sum(not good for good, _, _ in self.results.values())


def parse(steps):
    names = [step.name for step in steps]
    parser = options.Parser(description="Crash the broker at every step of its code.")
    parser.add_argument("--reports", required=True, help="where this one's folder is made")
    parser.add_argument("--stores", default=",".join(STORES), type=options.list_of(STORES, "store"),
                        help="with commas between (default: %(default)s)")
    parser.add_argument("--steps", default="", type=options.list_of(names, "step"),
                        help="with commas between (default: all)")
    options.add_jobs(parser)
    return parser.parse_args()


def use_memory():
    """A process that dies loses nothing that the kernel has, so the stores may lie in memory, where
    nothing waits for a disk."""
    if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
        os.environ["TMPDIR"] = "/dev/shm"


def main():
    use_memory()
    steps = steps_of(os.path.join(runs.BUILD, "myqueue-broker"))
    args = parse(steps)
    points = CrashPoints(args, [step for step in steps if step.name in args.steps])
    runs.raise_when_interrupted()
    try:
        with runs.cluster_made_once(args.stores):
            points.run_all()
    except KeyboardInterrupt:
        points.interrupted = True
    points.write()
    if points.interrupted:
        return runs.INTERRUPTED
    failed = points.failed()
    print("%d passed, %d failed" % (len(points.results) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
