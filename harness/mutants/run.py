#!/usr/bin/python3
"""run.py - builds the product with one deliberate bug at a time, and demands that the harness finds it.

    BUILD=build harness/mutants/run.py [--quick] [--own] [--seeds N] [--seed N] [-k PATTERN] [FAULT...]
    harness/mutants/run.py --readme FILE

  *.patch          the mutants: each a bug, the finding that must name it, and under which faults
  faults/*.conf    the faults: a scenario each; `none` is the load without any
  trees.py         patches and builds copies of the product
  loads.py         scenario folders from faults/*.conf and a seed
  plain.py         runs those named plain… with nothing but the assignment's seven calls
  page.py          the table, for people

Every mutant is run under every fault. It is caught when its finding is there under each of the
faults that its header names, and is not there without any fault (unless the header says `none`). A
mutant may need luck: under its own faults it gets a few seeds. The unchanged product is the
control: it must be valid under every fault, for each of --seeds seeds.

Writes reports/mutants/TIME/: index.html, table.md, result.json and the runs in which something was
found; `latest` points to it. The last line is `N passed, N failed`, counted in mutants, and in
seeds of the control. --quick is for `make test`: a few mutants, --own, and one seed.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import shutil
import signal
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
QUICK = ("new-called-duplicate", "deduplication-in-memory", "messages-swapped")
QUICK_FAULTS = ("crash-after-commit", "kill-postgres", "none")
TRIES = 4  # seeds for a mutant under its own fault
STALL_S = 8  # what was lost never comes: give up soon, and judge what there is
LIMIT_S = 60
PLAIN_STORE = "myqueue-postgres"  # harness/sut
NO_FAULT = ("none", "plain")


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

    def start(self, command):
        with self.lock:
            if self.ended:
                raise KeyboardInterrupt
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, errors="replace",
                                     start_new_session=True)
            self.children.add(child)
        try:
            output = child.communicate()[0]
        finally:
            with self.lock:
                self.children.discard(child)
        return child.returncode, output

    def harness(self, programs, scenario, name):
        """A run by the harness; exit code, output, and its folder."""
        reports = os.path.join(self.reports, "runs")
        code, output = self.start(
            [os.path.join(programs, "myqueue-harness"), "run", "--root", ROOT, "--runtime",
             "process", "--reports", reports, "--name", name, "--stall", str(STALL_S), "--limit",
             str(LIMIT_S), scenario])
        return code, output, os.path.join("runs", name, "latest")

    def plain(self, programs, scenario, name):
        """The same with plain calls."""
        folder = os.path.join("runs", name)
        path = os.path.join(self.reports, folder)
        code, output = self.start([os.path.join(HERE, "plain.py"), scenario, path, programs,
                                   PLAIN_STORE])
        if code == 0:
            code, output = self.start([os.path.join(programs, "myqueue-harness"), "check", path])
        return code, output, folder

    def result(self, code, run):
        """What the checker said of a run; `failed` if there is nothing to say."""
        path = os.path.join(self.reports, run, "result.json")
        if code not in (0, 1, 2) or not os.path.exists(path):
            return {"verdict": "failed", "violations": [], "unknowns": [{"name": "no run"}]}
        with open(path, encoding="utf-8") as f:
            return json.load(f)

    def cell(self, mutant, fault, seed, programs):
        """One run: what was found."""
        begin = time.monotonic()
        name = "%s.%s.%d" % (mutant, fault, seed)
        plain = fault.startswith("plain")
        with tempfile.TemporaryDirectory(prefix="myqueue-mutant-") as folder:
            scenario = os.path.join(folder, "scenario")
            loads.write(scenario, conf_of(fault), seed,
                        loads.PLAIN_ROUNDS if plain else loads.ROUNDS)
            code, output, run = (self.plain if plain else self.harness)(programs, scenario, name)
        result = self.result(code, run)
        verdict = result["verdict"]
        if verdict == "failed":
            print("  %s: the run ended with %d:\n    %s" % (
                name, code, output.strip()[-600:].replace("\n", "\n    ")), flush=True)
        elif verdict == "valid":
            shutil.rmtree(os.path.join(self.reports, "runs", name))
        return {"mutant": mutant, "fault": fault, "seed": seed, "verdict": verdict,
                "findings": sorted({f["name"] for f in result["violations"]}),
                "unknowns": sorted({f["name"] for f in result["unknowns"]}),
                "run": run if verdict in ("invalid", "unknown") else None,
                "seconds": round(time.monotonic() - begin, 1)}


# ---- what is run ------------------------------------------------------------------------------


def own_faults(mutant):
    """Those that its header names, and the same load without any."""
    return {*mutant.under, *("plain" if fault.startswith("plain") else "none"
                             for fault in mutant.under)}


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


def say(cell):
    words = ", ".join(cell["findings"] + ["(%s)" % name for name in cell["unknowns"]])
    sign = " "
    if cell.get("wanted"):
        sign = "+" if cell["found"] else "-"
    print("%s %-28s %-20s seed %-3d %5.1f s  %s" % (
        sign, cell["mutant"], cell["fault"], cell["seed"], cell["seconds"], words or "valid"),
        flush=True)


def run_all(arguments, runs, mutants, faults):
    """[cell] of all mutants, and of the control."""
    with matrix.cluster_made_once(["postgres"]):
        return run_cells(arguments, runs, mutants, faults)


def run_cells(arguments, runs, mutants, faults):
    tree = trees.Trees(ROOT, TREES)
    control = tree.build_base()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            programs = dict(zip(mutants, pool.map(tree.build_mutant, mutants)))
            jobs = [pool.submit(tried, runs, mutant, fault, arguments.seed, programs[mutant])
                    for mutant in mutants for fault in faults
                    if not arguments.own or fault in own_faults(mutant)]
            jobs += [pool.submit(runs.cell, "control", fault, arguments.seed + i, control)
                     for i in range(arguments.seeds) for fault in faults]
            cells = []
            for job in concurrent.futures.as_completed(jobs):
                cells.append(job.result())
                say(cells[-1])
            return cells
        except BaseException:
            runs.end_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


# ---- what it means ------------------------------------------------------------------------------


def judged(mutant, cells):
    """What is wrong with how a mutant was caught; empty: nothing."""
    wrong = []
    for cell in cells:
        if cell["wanted"] and not cell["found"]:
            wrong.append("not found under %s, seeds tried: %d" % (cell["fault"], cell["tries"]))
        elif cell["found"] and cell["fault"] in NO_FAULT and not cell["wanted"]:
            wrong.append("found without any fault")
    missing = set(mutant.under) - {cell["fault"] for cell in cells}
    return wrong + ["not run under %s" % fault for fault in sorted(missing)]


def summed_up(arguments, mutants, faults, cells, started, seconds):
    """result.json"""
    rows = []
    for mutant in mutants:
        own = [cell for cell in cells if cell["mutant"] == mutant.name]
        rows.append({"name": mutant.name, "bug": mutant.bug, "finding": mutant.finding,
                     "under": mutant.under, "wrong": judged(mutant, own),
                     "cells": {cell["fault"]: cell for cell in own}})
    control = [cell for cell in cells if cell["mutant"] == "control"]
    bad = sorted({cell["seed"] for cell in control if cell["verdict"] != "valid"})
    passed = sum(not row["wrong"] for row in rows) + arguments.seeds - len(bad)
    return {"schema": 1, "started": started, "seconds": round(seconds), "seed": arguments.seed,
            "faults": [{"name": fault, "words": loads.words(conf_of(fault))} for fault in faults],
            "mutants": rows, "passed": passed,
            "failed": len(rows) + arguments.seeds - passed,
            "control": {"seeds": arguments.seeds, "runs": len(control), "bad_seeds": bad,
                        "bad": [cell for cell in control if cell["verdict"] != "valid"]}}


def publish(reports, result):
    """Write the three forms, and point `latest` to them."""
    for name, text in (("result.json", json.dumps(result, indent=1) + "\n"),
                       ("table.md", page.markdown(result)), ("index.html", page.page(result))):
        with open(os.path.join(reports, name), "w", encoding="utf-8") as out:
            out.write(text)
    latest = os.path.join(os.path.dirname(reports), "latest")
    if os.path.lexists(latest + ".new"):
        os.remove(latest + ".new")
    os.symlink(os.path.basename(reports), latest + ".new")
    os.replace(latest + ".new", latest)


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


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    arguments = parse()
    if arguments.readme:
        readme(arguments.readme)
        return 0
    begin = time.monotonic()
    started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    reports = os.path.join(REPORTS, "%s-%d" % (time.strftime("%Y%m%dT%H%M%S", time.gmtime()),
                                               os.getpid()))
    os.makedirs(reports)
    runs = Runs(reports)
    signal.signal(signal.SIGTERM, interrupted)
    mutants = chosen(arguments)
    cells = run_all(arguments, runs, mutants, arguments.faults)
    result = summed_up(arguments, mutants, arguments.faults, cells, started,
                       time.monotonic() - begin)
    publish(reports, result)
    print("\n" + page.text(result))
    print("report: %s" % os.path.relpath(os.path.join(reports, "index.html")))
    print("%d passed, %d failed" % (result["passed"], result["failed"]))
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except trees.Refused as why:
        print("run.py: %s" % why)
        print("0 passed, 1 failed")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
