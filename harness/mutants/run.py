#!/usr/bin/python3
"""run.py - builds the product with one deliberate bug at a time, and demands that the harness finds it.

    BUILD=build harness/mutants/run.py [--quick] [--own] [--seeds N] [--seed N] [-k PATTERN] [FAULT...]
    BUILD=build harness/mutants/run.py --build NAME...
    harness/mutants/run.py --readme FILE

  *.patch          the mutants: each a bug, the finding that must name it, and under which faults
  faults/*.conf    the faults: a scenario each; `none` is the load without any
  trees.py         patches and builds copies of the product
  loads.py         scenario folders from faults/*.conf and a seed
  page.py          the table, for people

The faults named …sqlite have a broker with SQLite, the others one with PostgreSQL.
The faults named plain… are the judge's (harness/judging): nothing but the assignment's seven calls,
through the very door that any other system takes, with the load of the same name.

Every mutant is run under every fault. It is caught when its finding is there under each of the
faults that its header names. Its detection is the fault's merit only if nothing at all is found
without any; so that is demanded as well, unless the header names `none`, `plain` or `sqlite`: a bug that
needs no fault. What `Also:` names may show without one; the finding itself may not. A mutant may
need luck: under its own faults it gets a few seeds. The unchanged product is the control: it must be
valid under every fault, for each of --seeds seeds; where a fault came too late for the load it is run
again.

Writes reports/mutants/TIME/: index.html, table.md, result.json and the runs in which something was
found; `latest` points to it. The last line is `N passed, N failed`, counted in mutants, and in
seeds of the control. --quick is for `make test`: a few mutants, --own, and one seed. Interrupted, it
writes what was done by then, and leaves `latest` as it was.

--build builds the mutants, runs nothing, and prints the folder of each one's programs.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "matrix"))

import loads
import options
import page
import runs as matrix
import trees

ROOT = os.path.dirname(os.path.dirname(HERE))
TREES = os.path.join(os.path.abspath(os.environ.get("BUILD") or os.path.join(ROOT, "build")),
                     "mutants")
REPORTS = os.path.join(ROOT, "reports", "mutants")
QUICK = ("new-called-duplicate", "deduplication-in-memory", "messages-swapped", "position-in-memory")
QUICK_FAULTS = ("crash-after-commit", "kill-broker", "kill-postgres", "none", "plain",
                "plain-kill-broker")
TRIES = 4  # seeds for a mutant under its own fault
STALL_S = 13  # what was lost never comes: give up soon, but not before the broker says so (10 s)
LIMIT_S = 60
JUDGE = os.path.join(ROOT, "harness", "judging", "judge.py")
JUDGED = "myqueue-postgres"  # harness/sut
PLAIN = {"plain": False, "plain-kill-broker": True}  # by the judge; is it killed?
CONTROL = "control"  # the unchanged product
TOO_LATE = {"not-fired", "hit-nothing"}  # a fault did nothing, which says nothing of the product
NO_FAULT = ("none", "plain", "sqlite")


class Runs:
    """Runs of the harness, and how to end them."""

    def __init__(self, reports):
        self.reports = reports
        self.lock = threading.Lock()
        self.children = set()  # guarded by lock
        self.ended = False  # guarded by lock

    def end_all(self):
        with self.lock:
            self.ended = True
            for child in self.children:
                child.terminate()  # it takes down what it has started

    def start(self, command, programs):
        """To its end: exit code and output. What it needs is taken from `programs`."""
        with self.lock:
            if self.ended:
                raise KeyboardInterrupt
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, errors="replace",
                                     start_new_session=True, env=dict(os.environ, BUILD=programs))
            self.children.add(child)
        try:
            output = child.communicate()[0]
        finally:
            with self.lock:
                self.children.discard(child)
        return child.returncode, output

    def harness(self, programs, scenario, name, repeat):
        """A run by the harness: exit code, output, its result.json, the page of its folder.
        `repeat` is the command that the page names."""
        code, output = self.start(
            [os.path.join(programs, "myqueue-harness"), "run", "--root", ROOT, "--runtime",
             "process", "--reports", os.path.join(self.reports, "runs"), "--name", name, "--stall",
             str(STALL_S), "--limit", str(LIMIT_S), "--command", repeat, scenario], programs)
        return code, output, self.result(name), "report.html"

    def judge(self, programs, scenario, name, kills):
        """The same by the judge, as anybody's system; in its result what a run broke, and each
        check of the contract that went wrong, is a violation."""
        code, output = self.start(
            [JUDGE, "%s@%s" % (JUDGED, programs), "--logs", scenario, "--quick",
             *([] if kills else ["--no-kills"]), "--reports",
             os.path.join(self.reports, "runs", name)], programs)
        whole = self.result(name)
        if whole is None:
            return code, output, None, ""
        system, = whole["systems"]
        violations = [{"name": one["id"]} for one in system["conformance"]
                      if one["result"] in ("wrong", "forgotten")]
        return code, output, {
            "verdict": system["verdict"],
            "violations": violations + [one for run in system["runs"] for one in run["violations"]],
            "unknowns": [one for run in system["runs"] for one in run["unknowns"]]}, "index.html"

    def result(self, name):
        """The result.json of its latest run, or None."""
        path = os.path.join(self.reports, "runs", name, "latest", "result.json")
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as f:
            return json.load(f)

    def cell(self, mutant, fault, seed, programs):
        """One run: what was found."""
        begin = time.monotonic()
        name = "%s.%s.%d" % (mutant, fault, seed)
        with tempfile.TemporaryDirectory(prefix="myqueue-mutant-") as folder:
            scenario = os.path.join(folder, fault)
            loads.write(scenario, conf_of(fault), seed,
                        loads.PLAIN_ROUNDS if fault in PLAIN else loads.ROUNDS)
            if fault in PLAIN:
                code, output, result, shown = self.judge(programs, scenario, name, PLAIN[fault])
            else:
                code, output, result, shown = self.harness(programs, scenario, name,
                                                           repeat_command(mutant, fault, seed))
        if code not in (0, 1, 2) or result is None:
            result = {"verdict": "failed", "violations": [], "unknowns": [{"name": "no run"}]}
            print("  %s: the run ended with %d:\n    %s" % (
                name, code, output.strip()[-600:].replace("\n", "\n    ")), flush=True)
        verdict = result["verdict"]
        if verdict == "valid":
            shutil.rmtree(os.path.join(self.reports, "runs", name))
        return {"mutant": mutant, "fault": fault, "seed": seed, "verdict": verdict,
                "findings": sorted({f["name"] for f in result["violations"]}),
                "unknowns": sorted({f["name"] for f in result["unknowns"]}),
                "page": "runs/%s/latest/%s" % (name, shown)
                        if verdict in ("invalid", "unknown") else None,
                "seconds": round(time.monotonic() - begin, 1)}


# ---- what is run ------------------------------------------------------------------------------


def repeat_command(mutant, fault, seed):
    if mutant == CONTROL:
        return "make mutants SEED=%d SEEDS=1" % seed
    return "harness/mutants/run.py -k %s --seed %d --seeds 1 %s" % (mutant, seed, fault)


def own_faults(mutant):
    """Those that its header names, and the same load without any."""
    return {*mutant.under, *map(load_of, mutant.under)}


def load_of(fault):
    """Its load without any fault."""
    return "plain" if fault in PLAIN else "sqlite" if fault.endswith("sqlite") else "none"


def tried(runs, mutant, fault, seed, programs):
    """A mutant's cell; with further seeds where it must be found and was not."""
    wanted = fault in mutant.under
    for number in range(TRIES if wanted else 1):
        cell = runs.cell(mutant.name, fault, seed + number, programs)
        cell["tries"] = number + 1
        cell["wanted"] = wanted
        cell["found"] = mutant.finding in cell["findings"]
        if cell["found"] or not wanted:
            break
    return cell


def untouched(runs, fault, seed, programs):
    """The control's cell; again where a fault came too late for the load, or hit nothing."""
    for _ in range(TRIES):
        cell = runs.cell(CONTROL, fault, seed, programs)
        if cell["findings"] or not cell["unknowns"] or set(cell["unknowns"]) - TOO_LATE:
            break
    return cell


def say(cell):
    words = ", ".join(cell["findings"] + ["(%s)" % name for name in cell["unknowns"]])
    sign = " "
    if cell.get("wanted"):
        sign = "+" if cell["found"] else "-"
    print("%s %-28s %-20s seed %-3d %5.1f s  %s" % (
        sign, cell["mutant"], cell["fault"], cell["seed"], cell["seconds"], words or "valid"),
        flush=True)


def run_all(arguments, runs, mutants, faults, cells):
    """All mutants, and the control; cells are put as they come."""
    tree = trees.Trees(ROOT, TREES)
    control = tree.build_base()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            programs = dict(zip(mutants, pool.map(tree.build_mutant, mutants)))
            jobs = [pool.submit(tried, runs, mutant, fault, arguments.seed, programs[mutant])
                    for mutant in mutants for fault in faults
                    if not arguments.own or fault in own_faults(mutant)]
            jobs += [pool.submit(untouched, runs, fault, arguments.seed + i, control)
                     for i in range(arguments.seeds) for fault in faults]
            for job in concurrent.futures.as_completed(jobs):
                cells.append(job.result())
                say(cells[-1])
        except BaseException:
            runs.end_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


# ---- what it means ------------------------------------------------------------------------------


def is_bare(mutant, cell):
    """Was nothing found but what its header lets show without its faults?"""
    also = set(cell["findings"]) & set(mutant.also)
    return cell["verdict"] == "valid" or (also and also == {*cell["findings"], *cell["unknowns"]})


def judged(mutant, cells):
    """What is wrong with how a mutant was caught; empty: nothing."""
    wrong = []
    needs_fault = not set(mutant.under) & set(NO_FAULT)
    for cell in cells:
        if cell["wanted"] and not cell["found"]:
            wrong.append("not found under %s, seeds tried: %d" % (cell["fault"], cell["tries"]))
        elif needs_fault and cell["fault"] in NO_FAULT and not is_bare(mutant, cell):
            wrong.append("without any fault (%s): %s" % (
                cell["fault"], ", ".join(cell["findings"] + cell["unknowns"]) or cell["verdict"]))
    missing = set(mutant.under) - {cell["fault"] for cell in cells}
    return wrong + ["not run under %s" % fault for fault in sorted(missing)]


def summed_up(arguments, mutants, faults, cells, started, seconds, interrupted=False):
    """result.json"""
    rows = []
    for mutant in mutants:
        own = [cell for cell in cells if cell["mutant"] == mutant.name]
        rows.append({"name": mutant.name, "bug": mutant.bug, "finding": mutant.finding,
                     "under": mutant.under, "wrong": judged(mutant, own),
                     "cells": {cell["fault"]: cell for cell in own}})
    control = [cell for cell in cells if cell["mutant"] == CONTROL]
    bad = sorted({cell["seed"] for cell in control if cell["verdict"] != "valid"})
    whole = [seed for seed in range(arguments.seed, arguments.seed + arguments.seeds)
             if sum(cell["seed"] == seed for cell in control) == len(faults)]
    passed = sum(not row["wrong"] for row in rows) + len(set(whole) - set(bad))
    return {"schema": 1, "started": started, "interrupted": interrupted, "seconds": round(seconds), "seed": arguments.seed,
            "faults": [{"name": fault, "words": loads.words(conf_of(fault))} for fault in faults],
            "mutants": rows, "passed": passed,
            "failed": len(rows) + arguments.seeds - passed,
            "control": {"seeds": arguments.seeds, "runs": len(control), "bad_seeds": bad,
                        "bad": [cell for cell in control if cell["verdict"] != "valid"]}}


def publish(reports, result):
    """Write the three forms, and point `latest` to them if they are whole."""
    for name, text in (("result.json", json.dumps(result, indent=1) + "\n"),
                       ("table.md", page.markdown(result)), ("index.html", page.page(result))):
        with open(os.path.join(reports, name), "w", encoding="utf-8") as out:
            out.write(text)
    if not result["interrupted"]:
        matrix.point_latest(reports)


# ---- the program --------------------------------------------------------------------------------


def conf_of(fault):
    return os.path.join(HERE, "faults", fault + ".conf")


def named(folder, ending):
    return sorted(name[:-len(ending)] for name in os.listdir(folder) if name.endswith(ending))


def parse():
    parser = options.Parser(description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="these only; default: all")
    parser.add_argument("-k", metavar="PATTERN", default="*", help="these mutants only")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--own", action="store_true",
                        help="each mutant under its own faults and without any only")
    parser.add_argument("--seeds", type=options.whole(1), help="of the control; default: 20, quick: 1")
    parser.add_argument("--seed", type=options.whole(0), default=1,
                        help="the first one; default: 1")
    parser.add_argument("--readme", metavar="FILE", help="put the last table into FILE, run nothing")
    parser.add_argument("--build", nargs="+", metavar="NAME", default=[], help="build these, run nothing")
    arguments = parser.parse_args()
    arguments.own |= arguments.quick
    if arguments.seeds is None:
        arguments.seeds = 1 if arguments.quick else 20
    known = sorted(named(os.path.join(HERE, "faults"), ".conf"),
                   key=lambda fault: (fault not in NO_FAULT, fault))
    for fault in arguments.faults:
        if fault not in known:
            parser.error("there is no fault '%s'; there are %s" % (fault, ", ".join(known)))
    wanted = arguments.faults or (QUICK_FAULTS if arguments.quick else known)
    arguments.faults = [fault for fault in known if fault in wanted]
    return arguments


def chosen(arguments):
    names = [name for name in named(HERE, ".patch") if fnmatch.fnmatch(name, arguments.k)]
    if arguments.build:
        unknown = sorted(set(arguments.build) - set(names))
        if unknown:
            raise trees.Refused("MUTANTS=… (--build): there is no mutant '%s'; there are %s" % (
                unknown[0], ", ".join(names)))
        names = arguments.build
    if arguments.quick:
        names = [name for name in names if name in QUICK]
    if not names:
        raise trees.Refused("there is no mutant '%s'; there are %s" % (
            arguments.k, ", ".join(named(HERE, ".patch"))))
    return [trees.Mutant(os.path.join(HERE, name + ".patch")) for name in names]


def readme(path):
    source = os.path.join(REPORTS, "latest", "result.json")
    if not os.path.exists(source):
        raise trees.Refused("there is no %s; `make mutants` writes one" % os.path.relpath(source))
    with open(source, encoding="utf-8") as f:
        page.into_readme(path, page.markdown(json.load(f)))


def build(mutants):
    tree = trees.Trees(ROOT, TREES)
    tree.build_base()
    for mutant in mutants:
        print(tree.build_mutant(mutant), flush=True)


def main():
    arguments = parse()
    if arguments.readme:
        readme(arguments.readme)
        return 0
    if arguments.build:
        build(chosen(arguments))
        return 0
    return run(arguments)


def run(arguments):
    begin = time.monotonic()
    mutants = chosen(arguments)
    started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    reports = matrix.new_folder(REPORTS)
    matrix.raise_when_interrupted()
    cells, interrupted = [], False
    try:
        with matrix.cluster_made_once(["postgres"]):
            run_all(arguments, Runs(reports), mutants, arguments.faults, cells)
    except KeyboardInterrupt:
        interrupted = True
    result = summed_up(arguments, mutants, arguments.faults, cells, started,
                       time.monotonic() - begin, interrupted)
    publish(reports, result)
    print("\n" + page.text(result))
    print("report: %s" % os.path.relpath(os.path.join(reports, "index.html")))
    print("%d passed, %d failed" % (result["passed"], result["failed"]))
    if interrupted:
        return matrix.INTERRUPTED
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except trees.Refused as why:
        print("run.py: %s" % why, file=sys.stderr)
        print("0 passed, 1 failed")
        sys.exit(1)
