"""runs.py - a scenario folder run by the harness, and what came out, for programs that run many.

A run's folder is RUNS/NAME/TIME-PID, as the harness makes it.

Such a program that is interrupted (SIGINT, SIGTERM) takes down what it has started, writes what was
done by then and says that it is not all, leaves `latest` as it was, and ends with INTERRUPTED.
"""

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
CLIENTS_LIMIT_S = 300  # what hangs is noticed by STALL_S; a machine that is busy takes its time
STALL_S = 40
RUN_LIMIT_S = 600  # the harness gives up long before
INTERRUPTED = 130
VERDICTS = {0: "valid", 1: "invalid", 2: "unknown", 254: "refused"}


@dataclass
class Outcome:
    verdict: str             # valid, invalid, unknown, refused (by the harness), failed (itself)
    reason: str
    folder: str = ""         # of the run; "": there is none
    result: dict = field(default_factory=dict)  # its result.json

    def names(self):
        """Of what was found, the violations first."""
        return [one["name"] for part in ("violations", "unknowns")
                for one in self.result.get(part, [])]

    def failed(self):
        """Is it more than that a fault came too late or hit nothing?"""
        return self.verdict != "valid" and (
            self.verdict != "unknown" or not set(self.names()) <= {"hit-nothing", "not-fired"})

    def hits(self):
        """What each fault hit: [(count, unit)], in their order."""
        path = os.path.join(self.folder, "history", "harness.jsonl")
        try:
            with open(path, encoding="utf-8") as file:
                events = [json.loads(line) for line in file]
        except (OSError, ValueError):
            return []
        return [(event["bit"], event["unit"]) for event in events
                if event.get("op") == "fault" and event["type"] == "hit"]

    def remove(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Runner:
    """Runs scenarios, also several at a time, and ends them all when it is told to."""

    def __init__(self, runs):
        self.runs = os.path.abspath(runs)
        # Reentrant, since end() may be called by a signal's handler.
        self.lock, self.children, self.ended = threading.RLock(), set(), False
        # One run in containers at a time: the engine makes each one's network and volume alone.
        self.engine = threading.Lock()

    def run(self, folder, name, repeat="", runtime="process"):
        """`repeat` is what its report says to repeat it."""
        command = [os.path.join(BUILD, "myqueue-harness"), "run", "--root", ROOT,
                   "--runtime", runtime, "--reports", self.runs, "--name", name,
                   "--limit", str(CLIENTS_LIMIT_S), "--stall", str(STALL_S),
                   *(["--command", repeat] if repeat else []), folder]
        with self.engine if runtime == "docker" else contextlib.nullcontext():
            return self.run_command(command, name)

    def run_command(self, command, name):
        with self.lock:
            if self.ended:
                return Outcome("failed", "ended before it began")
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                     text=True, cwd=ROOT, start_new_session=True)
            self.children.add(child)
            if self.ended:  # meanwhile
                child.send_signal(signal.SIGTERM)
        try:
            _, errors = child.communicate(timeout=RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)  # it takes down what it has started
            _, errors = child.communicate()
            errors = "no end within %d s\n%s" % (RUN_LIMIT_S, errors)
        finally:
            with self.lock:
                self.children.discard(child)
        return self.outcome(child.pid, child.returncode, errors, name)

    def outcome(self, pid, code, errors, name):
        folder = self.folder_of(name, pid)
        verdict = VERDICTS.get(code, "failed")
        reason = (errors.strip().splitlines() or ["exit code %d" % code])[0]
        try:
            with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
                result = json.load(file)
        except (OSError, ValueError):
            return Outcome(verdict if verdict == "refused" else "failed", reason, folder)
        return Outcome(verdict, reason if verdict == "failed" else result["reason"], folder, result)

    def folder_of(self, name, pid):
        """Its name ends with the process id of who made it."""
        found = glob.glob(os.path.join(glob.escape(os.path.join(self.runs, name)), "*-%d" % pid))
        return max(found, default="")

    def end(self):
        """No run begins any more, and those under way are taken down."""
        with self.lock:
            self.ended = True
            for child in self.children:
                child.send_signal(signal.SIGTERM)


def raise_when_interrupted():
    """KeyboardInterrupt, once, in the main thread; the way out is not interrupted."""

    def interrupted(number, frame):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)


def from_root(path):
    """As it is written in the project's folder."""
    path = os.path.abspath(path)
    return os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path


def repeat_command(folder, runtime="process"):
    """What runs a scenario folder again, in the project's folder."""
    harness = from_root(os.path.join(BUILD, "myqueue-harness"))
    root = "--root . " if os.path.isabs(harness) else ""
    return "%s run %s--runtime %s %s" % (harness, root, runtime, from_root(folder))


@contextlib.contextmanager
def cluster_made_once(stores):
    """One PostgreSQL cluster is made, if any store needs it, and each run begins with a copy."""
    if "postgres" not in stores:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="myqueue-template-",
                                     dir=os.environ.get("TMPDIR")) as template:
        os.chmod(template, 0o755)
        subprocess.run([os.path.join(ROOT, "tools", "postgres"), "init", template], check=True)
        os.environ["POSTGRES_TEMPLATE"] = template
        yield
        del os.environ["POSTGRES_TEMPLATE"]


def engine_answers():
    """Is there a container engine? The harness says more when it is asked to use it."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def new_folder(reports):
    """REPORTS/TIME-PID, for what a program writes."""
    folder = os.path.abspath(os.path.join(reports, "%s-%d" % (
        time.strftime("%Y%m%dT%H%M%S", time.gmtime()), os.getpid())))
    os.makedirs(folder)
    return folder


def point_latest(folder):
    latest = os.path.join(os.path.dirname(folder), "latest")
    os.symlink(os.path.basename(folder), latest + ".new")
    os.replace(latest + ".new", latest)


def write_json(path, value):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    os.replace(path + ".new", path)
