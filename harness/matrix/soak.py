#!/usr/bin/python3
"""soak.py - mixed faults from one seed after another, until a run fails or the time is over.

What fails is repeated with fewer faults and shorter logs, as long as it fails the same way. Writes
REPORTS/TIME-PID/: result.json and totals.md (updated as it goes), failing/ and shrunk/ (scenario
folders), runs/ (of valid ones the last few), and points REPORTS/latest to it in the end; not when it
was interrupted before anything failed. The exit code is 0 when nothing failed and something was
valid.
"""

import os
import shutil
import signal
import sys
import threading
import time

import options
import runs
import schedule
import shrink

KEPT = 4   # valid runs whose folders stay
TRIES = 4  # runs in which a smaller schedule may fail as the larger one did
TELL_S = 60


class Soak:
    def __init__(self, args):
        self.args = args
        self.folder = runs.new_folder(args.reports)
        self.runner = runs.Runner(os.path.join(self.folder, "runs"))
        self.lock = threading.Lock()
        self.kept, self.found, self.next_seed = [], None, args.seed
        self.began = self.told = time.monotonic()
        self.totals = {"verdict": "unknown", "interrupted": False, "seed": args.seed, "runs": 0, "valid": 0, "unknown": 0,
                       "failed": 0, "messages": 0, "deliveries": 0, "violations": 0, "stores": {},
                       "faults": {}, "hits": {}, "unknowns": []}

    # ---- soaking --------------------------------------------------------------------------------

    def soak(self):
        workers = [threading.Thread(target=self.work) for _ in range(self.args.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def work(self):
        end = self.began + self.args.minutes * 60
        while True:
            with self.lock:
                if self.found or time.monotonic() > end or self.runner.ended:
                    return
                seed, self.next_seed = self.next_seed, self.next_seed + 1
            drawn = schedule.draw_mixed(seed, self.args.stores, self.args.faults)
            folder = os.path.join(self.folder, "schedules", str(seed))
            drawn.write(folder)
            outcome = self.runner.run(folder, "seed-%d" % seed)
            with self.lock:
                if not self.runner.ended:
                    self.count(drawn, folder, outcome)

    def count(self, drawn, folder, outcome):
        totals = self.totals
        totals["runs"] += 1
        totals["messages"] += outcome.result.get("acknowledged", 0)
        totals["deliveries"] += outcome.result.get("received", 0)
        totals["seconds"] = round(time.monotonic() - self.began, 1)
        add(totals["stores"], drawn.store)
        for fault, (hit, unit) in zip(drawn.faults, outcome.hits()):
            add(totals["faults"], fault.row)
            add(totals["hits"].setdefault(fault.row, {}), unit, hit)
        if outcome.failed():
            totals["failed"] += 1
            self.found = self.found or (drawn, folder, outcome)
        elif outcome.verdict == "valid":
            totals["valid"] += 1
            totals["verdict"] = "valid"
            self.keep(outcome)
            shutil.rmtree(folder)
        else:
            totals["unknown"] += 1
            totals["unknowns"].append({"seed": drawn.seed, "reason": outcome.reason})
            self.keep(outcome)
        self.write()
        if time.monotonic() > self.told + TELL_S:
            self.told = time.monotonic()
            print(self.sentence(), flush=True)

    def keep(self, outcome):
        self.kept.append(outcome)
        if len(self.kept) > KEPT:
            self.kept.pop(0).remove()

    def sentence(self):
        t = self.totals
        return "%s%d min: %d runs: %d valid, %d unknown, %d failed; %d faults, %s messages" % (
            "interrupted after " if t["interrupted"] else "", (time.monotonic() - self.began) / 60, t["runs"], t["valid"], t["unknown"], t["failed"],
            sum(t["faults"].values()), format(t["messages"], ","))

    def write(self):
        runs.write_json(os.path.join(self.folder, "result.json"), self.totals)
        with open(os.path.join(self.folder, "totals.md"), "w", encoding="utf-8") as file:
            file.write(self.markdown())

    def markdown(self):
        """The totals, as they stand in the docs."""
        t = self.totals
        last = max(t["seed"], self.next_seed - 1)
        rows = ["Seeds %d to %d, %s deliveries, runs by store: %s. %s." % (
            t["seed"], last, format(t["deliveries"], ","),
            ", ".join("%s %d" % item for item in sorted(t["stores"].items())), self.sentence()),
            "", "| fault | times | what it hit |", "|---|---|---|"]
        for name, times in sorted(t["faults"].items()):
            hits = ("%s %s" % (format(count, ","), unit)
                    for unit, count in t["hits"][name].items())
            rows.append("| %s | %d | %s |" % (name, times, ", ".join(hits)))
        return "\n".join(rows) + "\n"

    # ---- when a run has failed ------------------------------------------------------------------

    def report_failure(self):
        drawn, folder, outcome = self.found
        failing = os.path.join(self.folder, "failing")
        shutil.move(folder, failing)
        self.totals["verdict"] = outcome.verdict
        self.totals["violations"] = len(outcome.result.get("violations", []))
        self.totals["failing"] = {
            "seed": drawn.seed, "verdict": outcome.verdict, "reason": outcome.reason,
            "names": outcome.names(), "faults": len(drawn.faults), "messages": drawn.lines(),
            "command": runs.repeat_command(failing), "report": outcome.folder}
        self.write()
        print("\n%s: seed %d on %s: %s\nreport: %s\nrepeat: %s" % (
            outcome.verdict, drawn.seed, drawn.store, outcome.reason, outcome.folder,
            self.totals["failing"]["command"]), flush=True)
        if drawn.faults and outcome.verdict in ("invalid", "unknown"):
            self.shrink(drawn, outcome)

    def shrink(self, drawn, outcome):
        end = time.monotonic() + self.args.shrink_minutes * 60
        name = outcome.names()[0]
        work = os.path.join(self.folder, "shrinking")

        def fails(candidate):
            for _ in range(TRIES):
                shutil.rmtree(work, ignore_errors=True)
                candidate.write(work)
                tried = self.runner.run(work, "shrinking")
                tried.remove()
                if tried.failed() and name in tried.names():
                    return True
                if self.runner.ended or time.monotonic() > end:
                    return False
            return False

        print("shrinking, as long as '%s' stays (%d minutes at most)" % (
            name, self.args.shrink_minutes), flush=True)
        shrunk = shrink.shrink(drawn, fails, lambda line: print("  " + line, flush=True),
                               lambda: time.monotonic() < end and not self.runner.ended)
        shutil.rmtree(work, ignore_errors=True)
        folder = os.path.join(self.folder, "shrunk")
        shrunk.write(folder)
        self.totals["shrunk"] = {"faults": len(shrunk.faults), "messages": shrunk.lines(),
                                 "command": runs.repeat_command(folder)}
        self.write()
        print("shrunk to %d faults and %d messages: %s" % (
            len(shrunk.faults), shrunk.lines(), self.totals["shrunk"]["command"]), flush=True)


def add(counts, name, more=1):
    counts[name] = counts.get(name, 0) + more


def parse():
    parser = options.of_runs(__doc__.splitlines()[0], schedule.STORES, schedule.ROWS)
    parser.add_argument("--seed", type=options.whole(0), default=int(time.time()),
                        help="the first (default: the time)")
    parser.add_argument("--minutes", type=options.minutes, default=60, help="(default: %(default)s)")
    parser.add_argument("--shrink-minutes", type=options.minutes, default=10,
                        help="at most, for a run that failed (default: %(default)s)")
    return parser.parse_args()


def main():
    args = parse()
    soak = Soak(args)
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda *_: soak.runner.end())
    print("soak: seeds from %d, %g minutes, %d runs at a time; as it goes: %s" % (
        args.seed, args.minutes, args.jobs,
        runs.from_root(os.path.join(soak.folder, "totals.md"))), flush=True)
    with runs.cluster_made_once(args.stores):
        soak.soak()
        if soak.found:
            soak.report_failure()
    soak.totals["interrupted"] = soak.runner.ended and not soak.found
    soak.write()
    if not soak.totals["interrupted"]:
        runs.point_latest(soak.folder)
    print("\n%s\n%s" % (soak.sentence(), runs.from_root(os.path.join(soak.folder, "result.json"))))
    if soak.totals["interrupted"]:
        return runs.INTERRUPTED
    return 0 if soak.totals["verdict"] == "valid" else 1


if __name__ == "__main__":
    sys.exit(main())
