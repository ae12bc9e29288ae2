#!/usr/bin/python3
"""faults.py - the matrix: every kind of fault, on every store, with schedules drawn from seeds.

Each run is a scenario of a few seconds on the process runtime. Writes REPORTS/TIME-PID/:
index.html, matrix.md, result.json, runs/ (of valid ones the last of each cell), and points
REPORTS/latest to it. Ends with `N passed, N failed`; the exit code is 0 only if every run was valid.
Interrupted, it reports what was done by then, and leaves REPORTS/latest as it was.
"""

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import options
import page
import runs
import schedule

KINDS = {kind.name: kind for kind in schedule.KINDS}
ROOMS = (300, 1500, 6000)  # messages before each fault, try by try


class Matrix:
    def __init__(self, args):
        self.args = args
        self.folder = runs.new_folder(args.reports)
        self.runner = runs.Runner(os.path.join(self.folder, "runs"))
        self.began = time.monotonic()
        self.result = {
            "seed": args.seed, "seeds": args.seeds, "interrupted": False, "notes": [],
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": command_of(args),
            "cells": [{"fault": name, "store": store, "runs": []} for name in args.faults
                      for store in args.stores if KINDS[name].fits(store)]}
        if any(KINDS[name].runtime == "docker" for name in args.faults) and \
                not runs.engine_answers():
            self.leave_out("docker", "no container engine answers")

    def leave_out(self, runtime, why):
        """What cannot be run here is told, and no failure."""
        names = [name for name in self.args.faults if KINDS[name].runtime == runtime]
        self.result["notes"].append("Not run: %s: %s." % (", ".join(names), why))
        self.result["cells"] = [c for c in self.result["cells"] if c["fault"] not in names]
        print(self.result["notes"][-1], flush=True)

    def run_one(self, cell, seed):
        """A fault that found nobody sending any more says nothing about the broker: it is tried
        again with a longer load."""
        begin = time.monotonic()
        for tries, room in enumerate(ROOMS, 1):
            folder, outcome = self.try_one(cell, seed, room)
            if outcome.verdict == "valid" or outcome.failed() or tries == len(ROOMS):
                break
            outcome.remove()
            shutil.rmtree(folder)
        return {"seed": seed, "verdict": outcome.verdict, "reason": outcome.reason, "tries": tries,
                "seconds": round(time.monotonic() - begin, 3), "schedule": folder,
                "messages": outcome.result.get("acknowledged", 0), "folder": outcome.folder,
                "hits": sums_of(outcome.hits())}

    def try_one(self, cell, seed, room):
        kind = KINDS[cell["fault"]]
        drawn = schedule.draw_cell(kind, cell["store"], seed, room)
        name = "%s-%s" % (cell["fault"].replace(" ", "-"), cell["store"])
        folder = os.path.join(self.folder, "schedules", "%s-%d" % (name, seed))
        drawn.write(folder)
        outcome = self.runner.run(folder, name, "make faults SEED=%d FAULTS='%s' STORE=%s" % (
            seed, cell["fault"], cell["store"]), kind.runtime)
        return folder, outcome

    def run_all(self):
        """Seed by seed, so that an early end has a bit of everything."""
        with ThreadPoolExecutor(self.args.jobs) as pool:
            planned = [(cell, seed, pool.submit(self.run_one, cell, seed))
                       for seed in range(self.args.seed, self.args.seed + self.args.seeds)
                       for cell in self.result["cells"]]
            try:
                for number, (cell, seed, future) in enumerate(planned, 1):
                    self.note(cell, future.result(), "[%d/%d]" % (number, len(planned)))
            except BaseException:
                self.runner.end()
                pool.shutdown(cancel_futures=True)
                raise

    def note(self, cell, run, progress):
        """Keep a run's line, and of its cell's valid runs the last one's folder."""
        folder, kept = run.pop("folder"), run.pop("schedule")
        run["report"] = os.path.join(os.path.relpath(folder, self.folder), "report.html") \
            if folder else ""
        if run["verdict"] == "valid":
            shutil.rmtree(kept)
            for older in cell["runs"]:
                if older["verdict"] == "valid" and older["report"]:
                    shutil.rmtree(os.path.dirname(os.path.join(self.folder, older["report"])))
                    older["report"] = ""
        else:
            run["command"] = runs.repeat_command(kept, KINDS[cell["fault"]].runtime)
        cell["runs"].append(run)
        print("%s %s %s on %s, seed %d (%.1f s)%s" % (
            progress, run["verdict"], cell["fault"], cell["store"], run["seed"], run["seconds"],
            "" if run["verdict"] == "valid" else ": %s\n    repeat: %s" % (
                run["reason"], run["command"])), flush=True)

    def write(self):
        self.result["seconds"] = round(time.monotonic() - self.began, 1)
        runs.write_json(os.path.join(self.folder, "result.json"), self.result)
        for name, text in ("index.html", page.html(self.result)), \
                          ("matrix.md", page.markdown(self.result)):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        if not self.result["interrupted"]:
            runs.point_latest(self.folder)


def command_of(args):
    """What a person types for the same matrix."""
    command = "make faults SEED=%d SEEDS=%d" % (args.seed, args.seeds)
    if args.faults != list(KINDS):
        command += " FAULTS='%s'" % ",".join(args.faults)
    if args.stores != list(schedule.STORES):
        command += " STORE=%s" % ",".join(args.stores)
    return command


def sums_of(hits):
    """Of what the faults of a run hit, by the unit it is counted in."""
    sums = {}
    for count, unit in hits:
        sums[unit] = sums.get(unit, 0) + count
    return sums


def parse():
    parser = options.of_runs(__doc__.splitlines()[0], schedule.STORES, list(KINDS))
    parser.add_argument("--seed", type=options.whole(0), default=1,
                        help="the first (default: %(default)s)")
    parser.add_argument("--seeds", type=options.whole(1), default=1,
                        help="how many (default: %(default)s)")
    args = parser.parse_args()
    if not any(KINDS[name].fits(store) for name in args.faults for store in args.stores):
        parser.error("none of these faults can be had on %s" % " or ".join(args.stores))
    return args


def main():
    matrix = Matrix(parse())
    runs.raise_when_interrupted()
    try:
        with runs.cluster_made_once(matrix.args.stores):
            matrix.run_all()
    except KeyboardInterrupt:
        matrix.result["interrupted"] = True
    matrix.write()
    print("\n%s\n%s" % (page.sentence(matrix.result),
                        runs.from_root(os.path.join(matrix.folder, "index.html"))))
    if matrix.result["interrupted"]:
        return runs.INTERRUPTED
    verdicts = [run["verdict"] for cell in matrix.result["cells"] for run in cell["runs"]]
    passed = verdicts.count("valid")
    print("%d passed, %d failed" % (passed, len(verdicts) - passed))
    return 0 if verdicts and passed == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
