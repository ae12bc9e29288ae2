#!/usr/bin/python3
"""judge.py CONF... - what is an implementation of the assignment's seven calls worth?

Each CONF describes a system (docs/judging.md); one of harness/sut may be given by its name alone.
Each is held against the contract call by call, then runs scenarios with producers and consumers,
without and with kills, which the harness' checker judges by what the system claims; then its speed
is measured. Nothing but the seven calls is used.

Writes REPORTS/TIME-PID/: index.html (all side by side), NAME.html, result.json, NAME/RUN/ (run
folders), and points REPORTS/latest to it. Exit codes: 0 all keep the contract and what they claim,
1 one does not, 2 one could not be judged in full, 254 bad usage, 255 a fault of the judge.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "matrix"))

import comparison
import conformance
import logs
import options
import run
import runs as matrix
import sut

SUTS = os.path.join(os.path.dirname(HERE), "sut")
SCENARIOS = ("2p2c", "5p3c")
SPEED_LIMIT_S = 120
EXITS = {"valid": 0, "invalid": 1, "unknown": 2}
USAGE = 254
FAULT = 255
CHECKER = os.path.join(sut.BUILD, "myqueue-harness")
BAD = ("wrong", "forgotten")
LOG = "conformance.log"  # what it said while it was checked, in its folder
NAMED_MAX = 3  # checks that the verdict names


class Judging:
    """One system, from its build to its verdict. `told` gets lines for a person."""

    def __init__(self, description, folder, args, told):
        self.description, self.args, self.told = description, args, told
        self.folder = os.path.join(folder, description.name)
        os.makedirs(self.folder)
        self.result = {"name": description.name, "title": description.title,
                       "claims": description.claims(), "claims_words": description.claims_words(),
                       "dialect": None, "error": "", "log": "", "conformance": [], "runs": [], "speed": []}
        self.dialect = None

    def judge(self):
        try:
            if sut.builds(self.description):
                self.told("  building     %s" % " ".join(self.description.build))
            sut.build(self.description, os.path.join(self.folder, "build.log"))
            self.conform()
            if self.dialect is not None:
                for name, scenario in self.args.scenarios:
                    if self.args.no_kills or not self.args.quick:
                        self.run(name, scenario, [])
                    if not self.args.no_kills:
                        self.run(name + "-kills", scenario, run.kills_of(scenario))
                if not self.args.quick:
                    self.measure()
        except sut.Failed as failure:
            self.result["error"] = str(failure)
            self.told("  %s" % failure)
            self.tell_log(failure)
        if os.path.exists(os.path.join(self.folder, LOG)):
            self.result["log"] = os.path.join(self.description.name, LOG)
        self.conclude()
        return self.result

    def tell_log(self, failure):
        if failure.log:
            self.told("  the end of %s:\n    %s" % (
                matrix.from_root(failure.log),
                sut.last_lines(failure.log, sut.LOG_LINES, "\n    ")))

    def conform(self):
        def tell(result):
            if result.result in BAD or result.result == "odd":
                self.told("  %-12s %s%s" % (result.result, result.what, "\n    %s" % result.evidence
                                            if result.evidence else ""))

        with sut.System(self.description, os.path.join(self.folder, LOG), self.told) as system:
            self.dialect, results = conformance.run_all(
                system, self.description.start, self.description.persists, tell,
                not self.args.no_kills)
        if any(result.result in BAD for result in results):
            self.told("  what it said meanwhile: %s" % matrix.from_root(system.log))
        self.result["conformance"] = conformance.as_dicts(results)
        self.result["dialect"] = self.dialect and self.dialect.words()

    def run(self, name, scenario, kills):
        folder = os.path.join(self.folder, name)
        one = {"name": name, "title": scenario.title, "kills": len(kills),
               "messages": scenario.messages(), "verdict": "unknown", "reason": "", "folder": folder,
               "violations": [], "unknowns": [], "not_claimed": [], "not_promised": []}
        self.result["runs"].append(one)
        try:
            lost = self.go(folder, name, scenario, kills)
            if lost and not self.dialect.fresh:
                self.told("  %s once more, with a connection for each request: %s" % (name, lost))
                os.rename(folder, folder + "-closed")
                self.say_dropped(lost)
                self.go(folder, name, scenario, kills)
            self.check(folder, one)
        except sut.Failed as failure:
            one["verdict"] = "invalid" if isinstance(failure, sut.NotBack) else "unknown"
            one["reason"] = str(failure)
            self.tell_log(failure)
        self.told("  %-12s %s: %s" % (name, one["verdict"], one["reason"]))

    def go(self, folder, name, scenario, kills):
        return run.Run(folder, name, scenario, self.description, self.dialect, kills,
                       self.args.command, self.told).go()

    def say_dropped(self, lost):
        """It closes connections without a word, so rarely that the checks did not see it."""
        says = next(one for one in self.result["conformance"] if one["id"] == conformance.SAYS_CLOSE)
        says.update(result="odd", evidence=conformance.dropped_words(lost))
        self.dialect = replace(self.dialect, fresh=True)
        self.result["dialect"] = self.dialect.words()

    def check(self, folder, one):
        checked = subprocess.run([CHECKER, "check", folder], capture_output=True, text=True)
        verdict = matrix.VERDICTS.get(checked.returncode)
        if verdict not in EXITS:
            raise sut.Failed("the run could not be checked: %s" % checked.stderr.strip())
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        one["verdict"], one["reason"] = verdict, result["reason"]
        one["messages_per_second"] = result.get("messages_per_second")
        for part in ("violations", "unknowns", "not_claimed", "not_promised"):
            one[part] = [{key: found.get(key) for key in ("name", "process", "topic", "count")} |
                         {"detail": next((e.get("detail") for e in found.get("evidence", [])), "")}
                         for found in result.get(part) or []]

    def measure(self):
        with sut.System(self.description, os.path.join(self.folder, "speed.log"),
                        self.told) as system:
            try:
                probe = subprocess.run(
                    [sys.executable, os.path.join(HERE, "speed.py"), system.address,
                     json.dumps(vars(self.dialect))], capture_output=True, text=True,
                    timeout=SPEED_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.result["speed_error"] = "no end within %d s" % SPEED_LIMIT_S
                return
        if probe.returncode != 0:
            self.result["speed_error"] = (probe.stderr.strip().splitlines() or ["no reason"])[-1]
        else:
            self.result["speed"] = json.loads(probe.stdout)

    def conclude(self):
        """The verdict, and why, in one sentence."""
        result = self.result
        bad = [one["what"] for one in result["conformance"] if one["result"] in BAD]
        failed = [one for one in result["runs"] if one["verdict"] == "invalid"]
        unsure = [one for one in result["runs"] if one["verdict"] == "unknown"]
        if bad or failed:
            result["verdict"] = "invalid"
            parts = ["%d of %d checks went wrong: %s" % (
                len(bad), comparison.counted(result)[1],
                ", ".join("“%s”" % what for what in bad[:NAMED_MAX]) +
                (" and %d more" % (len(bad) - NAMED_MAX) if len(bad) > NAMED_MAX else ""))
                     ] if bad else []
            parts += ["%s: %s" % (one["name"], one["reason"]) for one in failed[:1]]
        elif result["error"] or unsure or not result["runs"]:
            result["verdict"] = "unknown"
            parts = [result["error"]] if result["error"] else []
            parts += ["%s: %s" % (one["name"], one["reason"]) for one in unsure[:1]]
        else:
            result["verdict"] = "valid"
            parts = ["keeps the contract and what it claims"]
            forgets = comparison.forgets(result)
            if forgets:
                parts.append("forgets %s, and says so" % sut.listed(forgets))
        result["reason"] = "; ".join(parts)


def describe(words):
    """The Descriptions of the confs, or Failed."""
    found = {}
    for word in words:
        description = described(word)
        if description.name in found:
            raise sut.Failed("%s and %s have one name: rename one of the files" % (
                found[description.name].path, description.path))
        found[description.name] = description
    return list(found.values())


def described(word):
    """CONF, or CONF@PROGRAMS."""
    conf, _, programs = (word, "", "") if os.path.exists(word) else word.partition("@")
    named = os.path.join(SUTS, conf.removesuffix(".conf") + ".conf")
    path = conf if os.path.exists(conf) else named
    if not os.path.exists(path):
        raise sut.Failed("SUT=… (CONF): there is no file %s; by name there are %s" % (
            conf, ", ".join(names())))
    description = sut.load(path)
    return sut.with_programs(description, programs) if programs else description


def names():
    """Those that need no path."""
    return sorted(name.removesuffix(".conf") for name in os.listdir(SUTS) if name.endswith(".conf"))


def parse(arguments):
    parser = options.Parser(description=__doc__.split("\n\n")[0])
    parser.add_argument("confs", nargs="+", metavar="CONF", help="harness/sut/NAME.conf, or NAME; with @DIR its {build} is "
                        "DIR, as it is, and nothing is built")
    parser.add_argument("--logs", help="a scenario's folder, or one with producer_N.txt, to run "
                        "instead of 2p2c and 5p3c")
    parser.add_argument("--quick", action="store_true",
                        help="the contract, and 2p2c (or --logs), with kills only; no speed")
    parser.add_argument("--no-kills", action="store_true",
                        help="it runs all the time: no restarts, and no runs with kills")
    parser.add_argument("--reports", default=os.path.join(sut.ROOT, "reports", "judge"),
                        help="where this one's folder is made (default: reports/judge)")
    try:
        args = parser.parse_args(arguments)
    except SystemExit as ended:
        sys.exit(USAGE if ended.code else 0)
    folders = [args.logs] if args.logs else [
        os.path.join(sut.ROOT, "scenarios", name) for name in SCENARIOS[:1 if args.quick else None]]
    try:
        args.scenarios = [(os.path.basename(os.path.abspath(folder)),
                           logs.load(folder) if args.logs else logs.load(folder).repeating())
                          for folder in folders]
    except sut.Failed as failure:
        raise sut.Failed("LOGS=… (--logs): %s" % failure) from None
    args.command = 'make judge SUT="%s"%s%s' % (
        " ".join(map(matrix.from_root, args.confs)),
        " LOGS=%s" % matrix.from_root(args.logs) if args.logs else "",
        " QUICK=1" if args.quick else "")
    return args


def write_pages(folder, whole):
    matrix.write_json(os.path.join(folder, "result.json"), whole)
    for name, systems in [("index", whole["systems"]),
                          *((system["name"], [system]) for system in whole["systems"])]:
        with open(os.path.join(folder, name + ".html"), "w", encoding="utf-8") as file:
            file.write(comparison.html(dict(whole, systems=systems), alone=name != "index"))


def main(arguments):
    try:
        args = parse(arguments)
        descriptions = describe(args.confs)
    except sut.Failed as failure:
        print("judge: %s" % failure, file=sys.stderr)
        return USAGE
    if not os.access(CHECKER, os.X_OK):
        print("judge: there is no %s to check the runs: run make" % CHECKER, file=sys.stderr)
        return FAULT
    whole = {"schema": 1, "command": args.command, "systems": [], "interrupted": False,
             "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    folder = matrix.new_folder(args.reports)
    matrix.raise_when_interrupted()
    try:
        judge_all(descriptions, folder, args, whole)
        matrix.point_latest(folder)
        shown = os.path.join(args.reports, "latest")
    except KeyboardInterrupt:
        whole["interrupted"] = True
        if not whole["systems"]:
            print("\ninterrupted before the first system was judged")
            return matrix.INTERRUPTED
        write_pages(folder, whole)
        shown = folder
    print("\n%s\n%s" % (comparison.text(whole), os.path.join(matrix.from_root(shown), "index.html")))
    if whole["interrupted"]:
        print("interrupted: %d of %d systems were judged" % (len(whole["systems"]), len(descriptions)))
        return matrix.INTERRUPTED
    verdicts = {system["verdict"] for system in whole["systems"]}
    return EXITS[next(one for one in ("invalid", "unknown", "valid") if one in verdicts)]


def judge_all(descriptions, folder, args, whole):
    """One by one; what there is so far is on the pages."""
    began = time.monotonic()
    for description in descriptions:
        print("%s (%s)" % (description.title, description.name), flush=True)
        result = Judging(description, folder, args, lambda line: print(line, flush=True)).judge()
        for one in result["runs"]:
            report = os.path.join(one.pop("folder"), "report.html")
            one["report"] = os.path.relpath(report, folder) if os.path.exists(report) else ""
        whole["systems"].append(result)
        whole["seconds"] = round(time.monotonic() - began, 1)
        write_pages(folder, whole)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
