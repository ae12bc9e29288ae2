#!/usr/bin/python3
"""The harness from outside: whole runs, and what is left when they end in any way.

    BUILD=build harness/tests/runs.py [-k PATTERN]

Runs on the process runtime always; the tests of containers are left out with
RUNTIME=process, and, unless RUNTIME=docker, where no engine answers. Every wait is for a
condition and has a limit. The last line is `N passed, N failed`.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", "build")).resolve()
HARNESS = BUILD / "myqueue-harness"
LIMIT_S = 300
PROJECT = "com.docker.compose.project"
TESTS = []


class Skip(Exception):
    """This test cannot be run here, and why."""


def test(function):
    TESTS.append(function)
    return function


# ---- a run ------------------------------------------------------------------------------


class OwnMemory:
    """Shared memory of its own (/dev/shm, System V), where that may be had: what a run leaves in
    it is that run's, whoever else runs here."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--ipc", "--mount", "sh", "-c",
             "mount -t tmpfs none /dev/shm && echo ready && exec sleep infinity"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.is_had = self.holder.stdout.readline() == b"ready\n"

    def enter(self, folder="/"):
        """What stands before a command that is to use it: the process becomes that command."""
        return ["nsenter", f"--target={self.holder.pid}", "--ipc", "--mount",
                "env", f"--chdir={folder}"] if self.is_had else []

    def held(self):
        """What is in it."""
        if not self.is_had:
            return []
        segments = subprocess.run([*self.enter(), "cat", "/proc/sysvipc/shm"], check=True,
                                  capture_output=True, text=True).stdout.splitlines()[1:]
        return [f"shared memory {path.name}"
                for path in Path(f"/proc/{self.holder.pid}/root/dev/shm").iterdir()] + [
                    f"shared memory segment {line.split()[1]}" for line in segments]

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Run:
    """A harness that runs, its output so far, and what belongs to it."""

    started = []  # of the present test

    def __init__(self, folder, *arguments, harness=HARNESS):
        self.folder = Path(folder)
        if arguments[:1] == ("run",) and "--root" not in arguments:
            arguments = ("run", "--root", ROOT, *arguments[1:])
        self.output = self.folder / f"output-{len(list(self.folder.iterdir()))}"
        self.memory = OwnMemory()
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [*self.memory.enter(folder), harness, *map(str, arguments)], stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder,
                start_new_session=True)
        Run.started.append(self)

    @classmethod
    def end_all(cls):
        """Whatever a test has left running takes down what it has started, and ends."""
        for run in cls.started:
            if not run.ended():
                run.process.terminate()
                run.process.wait(LIMIT_S)
            run.memory.end()
        cls.started = []

    def text(self):
        return self.output.read_text(errors="replace")

    def ended(self):
        return self.process.poll() is not None

    def wait(self):
        """Its exit code."""
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not done within {LIMIT_S} s:\n{self.text()}") from None

    def wait_for(self, text):
        """Until it has printed this."""
        wait_until(lambda: text in self.text() or self.ended(), f"'{text}'")
        assert text in self.text(), f"it ended without '{text}':\n{self.text()}"

    def id(self):
        found = re.search(r"myqueue-[0-9a-f]+-\d+-[0-9a-f]{4}", self.text())
        assert found, f"no run id in:\n{self.text()}"
        return found.group()

    def dir(self):
        """Its folder in the reports."""
        found = list((self.folder / "reports").glob(f"*/*-{self.process.pid}"))
        return found[0] if found else None

    def wait_for_fault(self, kind):
        def happened():
            history = self.dir() and self.dir() / "history" / "harness.jsonl"
            return history and history.exists() and f'"type":"{kind}"' in history.read_text()

        wait_until(lambda: happened() or self.ended(), f"a fault's {kind}")
        assert happened(), f"it ended without a fault's {kind}:\n{self.text()}"

    def worker(self):
        """The process that does the run; self.process looks after it."""
        for pid, parent, _ in processes():
            if parent == self.process.pid:
                return pid
        raise AssertionError("the harness has no child")


def wait_until(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"no {what} within {LIMIT_S} s"
        time.sleep(0.01)


def processes():
    """(pid, parent, command line) of all that live."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if stat[0] != "Z":
                yield int(entry.name), int(stat[1]), line


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120,
                          check=True).stdout.split()


def left_behind(run):
    """Everything with the run's mark that is still there."""
    run_id = run.id()
    left = [f"process {line}" for pid, _, line in processes()
            if run_id in line or (run.dir() and str(run.dir()) in line)]
    left += [str(path) for path in Path("/tmp").glob(f"{run_id}*")]
    left += run.memory.held()
    if shutil.which("docker") and "making the containers" in run.text():
        marked = f"--filter=label={PROJECT}={run_id}"
        left += [f"container {i}" for i in docker("ps", "-aq", marked)]
        left += [f"network {i}" for i in docker("network", "ls", "-q", marked)]
        left += [f"volume {i}" for i in docker("volume", "ls", "-q", marked)]
    return left


def check_nothing_left(run):
    left = left_behind(run)
    assert not left, f"left behind: {left}\n{run.text()}"


def run_to_end(folder, *arguments, harness=HARNESS):
    run = Run(folder, *arguments, harness=harness)
    return run.wait(), run


# ---- scenarios ----------------------------------------------------------------------------


def make_scenario(folder, *conf, lines=200, producers=2):
    """A small scenario; `conf` are the lines of its scenario.conf, none: no such file."""
    scenario = Path(folder) / "small"
    scenario.mkdir()
    for producer in range(1, producers + 1):
        (scenario / f"producer_{producer}.txt").write_text("".join(
            f"21:52:{i // 60 % 60:02}\tline {i} of {producer}\t\tP{producer}-{i // 3}\t\tT{1 + i % 2}\n"
            for i in range(lines)))
    if conf:
        (scenario / "scenario.conf").write_text("\n".join(conf) + "\n")
    return scenario


MAPPING = ("T1: P1 P2 : C1 C2", "T2: P1 P2 : C1")
KILL = "fault = after 60 acks: kill broker, restart after 200 ms"
KILL_STORE = "fault = after 150 acks: kill store, restart after 200 ms"
KILL_POSTGRES = "fault = after 200 acks: kill postgres, restart after 200 ms"
STAY_DOWN = "fault = after 60 acks: kill broker, restart after 600000 ms"


def make_programs(folder, **replaced):
    """A folder with the harness and scripts in place of some programs; its harness."""
    programs = Path(folder) / "programs"
    programs.mkdir()
    for name in ("harness", "broker", "produce", "consume"):
        path = programs / f"myqueue-{name}"
        if name in replaced:
            path.write_text(replaced[name])
            path.chmod(0o755)
        else:
            shutil.copy(BUILD / path.name, path)
    return programs / "myqueue-harness"


# It registers, with ids that nobody else has, and that was that.
NEVER_ENDS = """#!/bin/sh
while [ "$1" != --history ]; do shift; done
for topic in 1 2; do
    echo '{"t":1,"process":"C1","op":"register","type":"ok","topic":"T'$topic'","consumer_id":'$$$topic'}'
done >>"$2"
exec sleep 3600
"""


# ---- bad usage ----------------------------------------------------------------------------


def refused(folder, *arguments, says):
    code, run = run_to_end(folder, *arguments)
    text = run.text()
    assert code == 254, f"exit code {code}: {text}"
    assert len(text.splitlines()) == 1, f"not one line: {text}"
    for part in says:
        assert part in text, f"'{part}' is missing in: {text}"
    assert not (Path(folder) / "reports").exists(), "a refused run made a folder"


@test
def bad_usage(folder):
    scenario = make_scenario(folder, *MAPPING)
    refused(folder, says=["a command is needed: run, check or index", "--help"])
    refused(folder, "walk", says=["walk", "run, check or index", "--help"])
    refused(folder, "run", says=["scenario folder"])
    refused(folder, "run", scenario, scenario, says=["one scenario folder", "2"])
    refused(folder, "run", "--runtime", "podman", scenario, says=["podman", "auto|docker|process"])
    refused(folder, "run", "--store", "mysql", scenario, says=["mysql", "postgres|sqlite|memory"])
    refused(folder, "run", "--consumers", "0", scenario, says=["consumers", "'0'", "1 to"])
    refused(folder, "run", "--consumers", "5x", scenario, says=["consumers", "'5x'", "1 to"])
    refused(folder, "run", "--consumers", "3", scenario, says=["scenario.conf", "--consumers"])
    refused(folder, "run", "--root", "/nonexistent", scenario, says=["--root", "no such folder"])
    refused(folder, "check", says=["run folder"])


@test
def broken_scenarios(folder):
    refused(folder, "run", "nowhere", says=["nowhere"])
    scenario = make_scenario(folder, *MAPPING, "fault = after lunch: kill broker")
    refused(folder, "run", scenario, says=["scenario.conf:3"])
    (scenario / "scenario.conf").write_text("T1: P1 P2 P9 : C1\nT2: P1 P2 : C1\n")
    refused(folder, "run", scenario, says=["producer_9.txt"])
    (scenario / "scenario.conf").write_text("\n".join(MAPPING) + "\n")
    with open(scenario / "producer_2.txt", "a") as log:
        log.write("neither here nor there\n")
    refused(folder, "run", scenario, says=["producer_2.txt:201"])


@test
def no_postgres_to_kill(folder):
    scenario = make_scenario(folder, *MAPPING, KILL_POSTGRES)
    refused(folder, "run", "--store", "memory", scenario,
            says=["scenario.conf:3", "needs the store postgres", "memory"])


@test
def settings_that_postgres_does_not_take(folder):
    """Said before anything is started."""
    scenario = make_scenario(folder)
    for setting, says in (("fsynk=off", "no setting 'fsynk'; the nearest is 'fsync'"),
                          ("synchronous_commit=offf", "Available values: local"),
                          ("max_connections=0", "outside the valid range")):
        (scenario / "scenario.conf").write_text("\n".join(
            ("title = x", f"postgres = work_mem=1MB {setting}", *MAPPING)) + "\n")
        refused(folder, "run", "--runtime", "process", scenario, says=["scenario.conf:2: ", says])


@test
def unread_logs(folder):
    scenario = make_scenario(folder, "T1: P1 : C1", "T2: P1 : C1")
    refused(folder, "run", scenario, says=["producer_2.txt is not used", "P2"])
    (scenario / "scenario.conf").unlink()
    (scenario / "producer_2.txt").rename(scenario / "Producer_2.txt")
    refused(folder, "run", scenario, says=["Producer_2.txt", "producer_N.txt"])


@test
def help_is_short_too(folder):
    texts = [run_to_end(folder, argument) for argument in ("-h", "--help")]
    assert [code for code, _ in texts] == [0, 0] and texts[0][1].text() == texts[1][1].text()


@test
def check_wants_a_run(folder):
    refused(folder, "check", folder, says=[folder, "run.json"])
    refused(folder, "check", "nowhere", says=["nowhere", "run.json"])
    (Path(folder) / "run.json").write_text("{}")  # one, but broken
    code, run = run_to_end(folder, "check", folder)
    assert code == 255 and folder in run.text(), f"{code}: {run.text()}"


# ---- runs that end well -------------------------------------------------------------------


def check_valid(code, run, runtime, name="small", acknowledged=400, store="postgres"):
    assert code == 0, f"exit code {code}:\n{run.text()}"
    check_nothing_left(run)
    report = run.folder / "reports" / name / "latest"
    assert report.is_symlink() and not os.path.isabs(os.readlink(report))
    result = json.loads((report / "result.json").read_text())
    assert result["verdict"] == "valid" and result["runtime"] == runtime, result
    assert result["store"] == store, result
    assert result["acknowledged"] == acknowledged, result
    assert "</html>" in (report / "report.html").read_text()
    if store == "memory":
        assert not (report / "rows.jsonl").exists()
    else:
        rows = (report / "rows.jsonl").read_text().splitlines()
        assert len(rows) == acknowledged, f"{len(rows)} rows"
    last = run.text().splitlines()[-1]
    assert f"on {runtime} with {store}" in last and "valid" in last, last
    owners = {path.stat().st_uid for path in report.rglob("*")}
    assert owners == {os.getuid()}, f"files belong to {owners}"


def run_with_kills(folder, runtime):
    scenario = make_scenario(folder, "title = a small one", *MAPPING, KILL, KILL_POSTGRES)
    code, run = run_to_end(folder, "run", "--runtime", runtime, scenario)
    check_valid(code, run, runtime)
    logs = {path.name for path in (run.dir() / "logs").iterdir()}
    assert {"broker-1.log", "broker-2.log", "postgres-2.log", "P1.log", "C2.log"} <= logs, logs
    lines = (run.dir() / "consumer_1.txt").read_text().splitlines()
    assert len(lines) == 400 and "T1     line 0 of 1" in lines, lines[:3]
    again, check = run_to_end(folder, "check", run.dir())
    assert again == 0, check.text()


@test
def kills_on_processes(folder):
    run_with_kills(folder, "process")


@test
def kills_in_containers(folder):
    need_docker()
    run_with_kills(folder, "docker")


def run_with_faults(folder, runtime, *faults, store="postgres"):
    """What each fault hit, by its unit."""
    lines = 5000 if runtime == "docker" else 1500  # there it takes longer to undo a fault
    scenario = make_scenario(folder, *MAPPING, *(f"fault = {fault}" for fault in faults),
                             f"store = {store}", lines=lines)
    code, run = run_to_end(folder, "run", "--runtime", runtime, scenario)
    check_valid(code, run, runtime, acknowledged=2 * lines, store=store)
    result = json.loads((run.dir() / "result.json").read_text())
    assert all(fault["bit"] > 0 for fault in result["faults"]), result["faults"]
    assert len(result["faults"]) == len(faults), result["faults"]
    return [(fault["words"].split()[0], fault["unit"]) for fault in result["faults"]]


FAULTS_OF_POSTGRES = (
    "after 50 acks: terminate backends", "after 150 acks: stop postgres, restart after 50 ms",
    "after 250 acks: pause postgres for 100 ms", "after 350 acks: lock counters for 100 ms",
    "after 500 acks: hold transaction for 50 ms", "after 900 acks: exhaust connections for 50 ms")


def faults_of_postgres(folder, runtime):
    assert run_with_faults(folder, runtime, *FAULTS_OF_POSTGRES) == [
        ("terminate", "sessions ended"), ("stop", "requests in flight"),
        ("pause", "requests in flight"), ("lock", "sessions waiting for the lock"),
        ("hold", "messages committed beside it"), ("exhaust", "connections refused")]


@test
def faults_of_postgres_on_processes(folder):
    faults_of_postgres(folder, "process")


@test
def faults_of_postgres_in_containers(folder):
    need_docker()
    faults_of_postgres(folder, "docker")


FAULTS_OF_THE_BROKER = ("after 50 ms: term broker, restart after 50 ms",
                        "after 200 acks: pause store for 100 ms")


@test
def faults_of_the_broker_on_processes(folder):
    clock = ("after 300 acks: step clock by -86400 s for 50 ms",
             "after 400 acks: step clock by 3600 s for 50 ms")
    found = run_with_faults(folder, "process", *FAULTS_OF_THE_BROKER, *clock, store="sqlite")
    assert found[2:] == [("step", "seconds the broker's clock moved")] * 2, found


@test
def faults_of_the_broker_in_containers(folder):
    need_docker()
    run_with_faults(folder, "docker", *FAULTS_OF_THE_BROKER,
                    "after 300 acks: disconnect broker for 100 ms",
                    "after 500 acks: disconnect postgres for 100 ms")


FAULTS_OF_CLIENTS = ("after 50 acks: kill producer 1, restart after 20 ms",
                     "after 250 acks: kill consumer 2, restart after 20 ms",
                     "after 450 acks: kill producer 2, restart after 20 ms",
                     "after 650 acks: kill consumer 1, restart after 0 ms")


@test
def faults_of_clients_on_processes(folder):
    run_with_faults(folder, "process", *FAULTS_OF_CLIENTS)


@test
def faults_of_clients_in_containers(folder):
    need_docker()
    run_with_faults(folder, "docker", *FAULTS_OF_CLIENTS[:2], store="sqlite")


@test
def a_crash_needs_a_build_with_crash_points(folder):
    scenario = make_scenario(folder)
    for step, says in (("commit.done", "CRASH_POINTS=1"), ("commit.typo", "no such step"),
                       ("commit.rows", "this store's broker")):
        (scenario / "scenario.conf").write_text("\n".join(
            (*MAPPING, f"fault = crash broker at {step} hit 1, restart after 9 ms")) + "\n")
        refused(folder, "run", "--runtime", "process", scenario, says=[step, says])


@test
def faults_that_cannot_be_had(folder):
    """Refused before anything is started, with the reason."""
    scenario = make_scenario(folder, *MAPPING, "fault = after 9 acks: disconnect broker for 9 ms")
    refused(folder, "run", "--runtime", "process", scenario,
            says=["disconnect broker for 9 ms", "only with RUNTIME=docker", "no network"])
    (scenario / "scenario.conf").write_text("\n".join(
        (*MAPPING, "fault = after 9 acks: step clock by 9 s for 9 ms")) + "\n")
    refused(folder, "run", "--runtime", "docker", scenario,
            says=["step clock by 9 s for 9 ms", "only with RUNTIME=process", "clock"])


def run_embedded(folder, runtime, store, *faults):
    """A store within the broker: there is no PostgreSQL."""
    scenario = make_scenario(folder, *MAPPING, *faults, f"store = {store}")
    code, run = run_to_end(folder, "run", "--runtime", runtime, scenario)
    logs = {path.name for path in (run.dir() / "logs").iterdir()}
    assert "broker-1.log" in logs and "postgres-1.log" not in logs, logs
    return code, run


@test
def sqlite_on_processes(folder):
    check_valid(*run_embedded(folder, "process", "sqlite", KILL, KILL_STORE), "process",
                store="sqlite")


@test
def sqlite_in_containers(folder):
    need_docker()
    check_valid(*run_embedded(folder, "docker", "sqlite", KILL, KILL_STORE), "docker",
                store="sqlite")


@test
def memory_on_processes(folder):
    check_valid(*run_embedded(folder, "process", "memory"), "process", store="memory")


@test
def memory_in_containers(folder):
    need_docker()
    check_valid(*run_embedded(folder, "docker", "memory"), "docker", store="memory")


@test
def memory_is_lost_by_a_kill(folder):
    """As it must be, and the judge says so."""
    code, run = run_embedded(folder, "process", "memory", KILL)
    assert code == 1, f"exit code {code}:\n{run.text()}"
    check_nothing_left(run)
    result = json.loads((run.dir() / "result.json").read_text())
    found = {finding["name"] for finding in result["violations"]}
    assert result["verdict"] == "invalid" and "forgotten" in found, result
    assert "the broker no longer knew" in result["reason"], result


@test
def tap_has_standard_output_for_itself(folder):
    """And the run is in the list of reports."""
    scenario = make_scenario(folder, *MAPPING, KILL)
    done = subprocess.run(
        [HARNESS, "run", "--root", ROOT, "--runtime", "process", "--store", "sqlite", "--output",
         "tap", scenario], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "TAP version 14" and re.fullmatch(r"1\.\.\d+", lines[1]), done.stdout
    points = [line for line in lines[2:] if not line.startswith("# ")]
    assert len(points) == int(lines[1][3:]), done.stdout
    assert all(re.match(rf"ok {i} - ", line) for i, line in enumerate(points, 1)), done.stdout
    assert "running" in done.stderr, done.stderr
    assert "small/" in (Path(folder) / "reports/index.html").read_text()


POWER_CUTS = ("fault = after 60 acks: power-cut store, restart after 20 ms",
              "fault = after 200 acks: power-cut store torn by 3, restart after 20 ms")


def run_with_power_cuts(folder, store):
    scenario = make_scenario(folder, *MAPPING, f"store = {store}", *POWER_CUTS)
    code, run = run_to_end(folder, "run", "--runtime", "process", scenario)
    check_valid(code, run, "process", store=store)
    history = (run.dir() / "history" / "harness.jsonl").read_text()
    assert len(re.findall(r'"more":"\d+ bytes and \d+ names undone', history)) == 2, history
    faults = json.loads((run.dir() / "result.json").read_text())["faults"]
    page = (run.dir() / "report.html").read_text()
    for fault in faults:
        assert fault["unit"] == "unsynced bytes and names" and fault["bit"] > 0, fault
        assert fault["more"] in page and fault["more"] in run.text(), fault


@test
def power_cuts_of_postgres(folder):
    run_with_power_cuts(folder, "postgres")


@test
def power_cuts_of_sqlite(folder):
    run_with_power_cuts(folder, "sqlite")


@test
def a_power_cut_needs_the_shim_in_the_store(folder):
    """Without it the broker would be blamed for what the cut takes."""
    programs = Path(folder) / "programs"
    programs.mkdir()
    for path in [*BUILD.glob("myqueue-*"), *BUILD.glob("*.so")]:
        shutil.copy(BUILD / "libstepclock.so" if path.name == "libpowercut.so" else path,
                    programs / path.name)
    scenario = make_scenario(folder, *MAPPING, "store = sqlite", *POWER_CUTS)
    done = subprocess.run([programs / "myqueue-harness", "run", "--root", ROOT, "--runtime", "process",
                           scenario], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 255, done.stdout + done.stderr
    assert "runs without libpowercut.so" in done.stderr + done.stdout, done.stderr


# Each incarnation of PostgreSQL has a segment of the few that a system has, and files in /dev/shm.
def no_shared_memory_is_left(folder, *faults, end=None):
    scenario = make_scenario(folder, *MAPPING, *faults, lines=400)
    run = Run(folder, "run", "--runtime", "process", scenario)
    if not run.memory.is_had:
        raise Skip("no IPC and mount namespaces may be made here")
    wait_until(lambda: run.memory.held() or run.ended(), "shared memory")
    if end is not None:
        run.wait_for_fault("hit")
        end(run)
    code = run.wait()
    assert code == (0 if end is None else 255), run.text()
    check_nothing_left(run)


@test
def no_shared_memory_is_left_by_kills(folder):
    no_shared_memory_is_left(folder, KILL_STORE.replace("150", "30"), *POWER_CUTS,
                             "fault = after 300 ms: step clock by 9 s for 10 ms",
                             KILL.replace("60", "300"))


@test
def no_shared_memory_is_left_when_the_worker_is_killed(folder):
    no_shared_memory_is_left(folder, STAY_DOWN, end=lambda run: os.kill(run.worker(), signal.SIGKILL))


@test
def no_shared_memory_is_left_by_a_killed_server(folder):
    """Its next start would remove it, and there is none."""
    for i, end in enumerate((lambda run: run.process.terminate(),
                             lambda run: os.kill(run.worker(), signal.SIGKILL))):
        inner = Path(folder) / str(i)
        inner.mkdir()
        no_shared_memory_is_left(inner, STAY_DOWN.replace("broker", "postgres"), end=end)


FULL_DISK = "fault = after 60 acks: fill disk for 100 ms"


def run_with_a_full_disk(folder, store):
    scenario = make_scenario(folder, *MAPPING, f"store = {store}", FULL_DISK, lines=2000)
    code, run = run_to_end(folder, "run", "--runtime", "process", scenario)
    check_valid(code, run, "process", acknowledged=4000, store=store)
    history = (run.dir() / "history" / "harness.jsonl").read_text()
    assert re.search(r'"bit":[1-9]\d*,"unit":"refused writes"', history), history


@test
def a_full_disk_of_postgres(folder):
    run_with_a_full_disk(folder, "postgres")


@test
def a_full_disk_of_sqlite(folder):
    run_with_a_full_disk(folder, "sqlite")


@test
def worker_killed_with_a_full_disk(folder):
    """Its volume goes with it."""
    scenario = make_scenario(folder, *MAPPING, FULL_DISK.replace("100 ms", "600000 ms"), lines=2000)
    run = Run(folder, "run", "--runtime", "process", scenario)
    run.wait_for_fault("begin")
    os.kill(run.worker(), signal.SIGKILL)
    assert run.wait() == 255, run.text()
    check_nothing_left(run)
    assert run.id() not in Path("/proc/self/mounts").read_text()


@test
def a_full_disk_and_a_power_cut(folder):
    scenario = make_scenario(folder, *MAPPING, POWER_CUTS[0], POWER_CUTS[1].replace(
        "power-cut store torn by 3, restart after", "fill disk for"))
    code, run = run_to_end(folder, "run", "--runtime", "process", scenario)
    assert code == 255 and "cannot be in one scenario" in run.text(), run.text()
    check_nothing_left(run)


@test
def power_cut_without_fsync_is_caught(folder):
    """A kill would not tell: the page cache outlives it."""
    settings = ("title = sloppy", "postgres = fsync=off", *MAPPING)
    kill = POWER_CUTS[0].replace("power-cut", "kill")
    scenario = make_scenario(folder, *settings, kill)
    code, run = run_to_end(folder, "run", "--runtime", "process", scenario)
    assert code == 0, f"exit code {code}:\n{run.text()}"
    assert "postgres (fsync=off)" in run.text(), run.text()
    conf = scenario / "scenario.conf"
    conf.write_text(conf.read_text().replace(kill, POWER_CUTS[0]))
    code, run = run_to_end(folder, "run", "--runtime", "process", "--stall", "3", scenario)
    assert code == 1, f"exit code {code}:\n{run.text()}"
    assert "the store lost" in run.text(), run.text()
    assert "fsync=off" in (run.dir() / "report.html").read_text()
    assert json.loads((run.dir() / "result.json").read_text())["postgres"] == "fsync=off"
    check_nothing_left(run)


@test
def store_is_asked_for(folder):
    """The command line wins over the conf, and the command that repeats the run has it."""
    scenario = make_scenario(folder, *MAPPING, "store = postgres")
    code, run = run_to_end(folder, "run", "--runtime", "process", "--store", "memory", scenario)
    check_valid(code, run, "process", store="memory")
    result = json.loads((run.dir() / "result.json").read_text())
    assert "STORE=memory" in result["command"], result


@test
def logs_without_a_conf(folder):
    scenario = make_scenario(folder)
    code, run = run_to_end(folder, "run", "--runtime", "process", "--consumers", "2", "--name",
                           "my own", "--reports", Path(folder) / "reports", scenario)
    check_valid(code, run, "process", name="my-own")
    assert sorted(path.name for path in run.dir().glob("consumer_*")) == [
        "consumer_1.txt", "consumer_2.txt"]


@test
def a_path_with_blanks(folder):
    inner = Path(folder) / 'a "quoted" place, with blanks'
    inner.mkdir()
    code, run = run_to_end(inner, "run", "--runtime", "process", make_scenario(inner, *MAPPING))
    check_valid(code, run, "process")


def two_at_once(folder, runtime):
    scenario = make_scenario(folder, *MAPPING, KILL)
    runs = [Run(folder, "run", "--runtime", runtime, scenario) for _ in range(2)]
    for run in runs:
        check_valid(run.wait(), run, runtime)
    assert runs[0].dir() != runs[1].dir() and runs[0].id() != runs[1].id()


@test
def two_at_once_on_processes(folder):
    two_at_once(folder, "process")


@test
def two_at_once_in_containers(folder):
    need_docker()
    two_at_once(folder, "docker")


def load_image(folder, name, labels):
    """An empty image, two years old, with these labels."""
    folder = Path(folder) / name
    folder.mkdir()
    with tarfile.open(folder / "layer.tar", "w"):
        pass
    layer = hashlib.sha256((folder / "layer.tar").read_bytes()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
              "config": {"Labels": labels},
              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "manifest.json").write_text(json.dumps(
        [{"Config": "config.json", "RepoTags": [f"{name}:test"], "Layers": ["layer.tar"]}]))
    with tarfile.open(folder / "image.tar", "w") as image:
        for part in ("config.json", "layer.tar", "manifest.json"):
            image.add(folder / part, part)
    docker("load", "--quiet", "--input", str(folder / "image.tar"))


@test
def images_of_trees_that_are_gone(folder):
    """Only those go: not a living tree's, not one in use, and nothing that is not ours."""
    need_docker()
    prefix = f"myqueue-test-{os.getpid()}"
    images = {"gone": {"myqueue.tree": f"{folder}/gone"}, "used": {"myqueue.tree": f"{folder}/used"},
              "there": {"myqueue.tree": folder}, "other": {"other.tree": f"{folder}/gone"}}
    try:
        for name, labels in images.items():
            load_image(folder, f"{prefix}-{name}", {**labels, "myqueue.test": name})
        docker("create", "--name", prefix, f"{prefix}-used:test", "/none")
        subprocess.run([ROOT / "tools/image"], env={**os.environ, "BUILD": str(BUILD)}, check=True,
                       capture_output=True, timeout=LIMIT_S)
        left = docker("image", "ls", "--format", "{{.Repository}}", f"--filter=reference={prefix}-*")
        assert sorted(left) == [f"{prefix}-{name}" for name in ("other", "there", "used")], left
    finally:
        subprocess.run(["docker", "rm", prefix], capture_output=True, check=False)
        subprocess.run(["docker", "image", "rm", *(f"{prefix}-{name}:test" for name in images)],
                       capture_output=True, check=False)


# ---- runs that are ended ------------------------------------------------------------------


def interrupted(folder, runtime, number, when):
    """Send the signal to the harness at that moment."""
    scenario = make_scenario(folder, *MAPPING, STAY_DOWN)
    run = Run(folder, "run", "--runtime", runtime, scenario)
    when(run)
    run.process.send_signal(number)
    code = run.wait()
    assert code == 255 and "interrupted" in run.text(), f"{code}: {run.text()}"
    check_nothing_left(run)
    assert not (run.dir().parent / "latest").exists(), "a run without a verdict is the latest"


def in_the_middle(run):
    run.wait_for_fault("hit")


@test
def ctrl_c_on_processes(folder):
    interrupted(folder, "process", signal.SIGINT, in_the_middle)


@test
def sigterm_at_the_start(folder):
    interrupted(folder, "process", signal.SIGTERM,
                lambda run: run.wait_for("making a PostgreSQL cluster"))


@test
def ctrl_c_in_containers(folder):
    need_docker()
    interrupted(folder, "docker", signal.SIGINT, in_the_middle)


@test
def ctrl_c_while_containers_are_made(folder):
    need_docker()
    interrupted(folder, "docker", signal.SIGINT,
                lambda run: run.wait_for("making the containers"))


@test
def ctrl_c_while_clients_start(folder):
    need_docker()
    interrupted(folder, "docker", signal.SIGINT, lambda run: run.wait_for("starting 2 consumers"))


# An engine that goes on with what a killed command has asked for, in its own time.
SLOW_COMMAND = """#!/bin/sh
PATH={path}
case " $* " in
    *" up "*|*" run "*) setsid sh -c 'sleep 1; exec "$@"' sh {name} "$@" & wait $! ;;
    *) exec {name} "$@" ;;
esac
"""


@test
def ctrl_c_with_a_slow_engine(folder):
    need_docker()
    harness = make_programs(folder)
    commands = harness.parent / "bin"
    commands.mkdir()
    for name in ("docker", "docker-compose"):
        (commands / name).write_text(SLOW_COMMAND.format(path=os.environ["PATH"], name=name))
        (commands / name).chmod(0o755)
    for step in ("making the containers", "starting 2 consumers"):
        for number in (signal.SIGINT, signal.SIGKILL):
            inner = Path(folder) / f"{step.split()[0]}-{number}"
            inner.mkdir()
            run = Run(inner, "run", "--runtime", "docker", make_scenario(inner, *MAPPING, "store = sqlite"),
                      harness=harness)
            run.wait_for(step)
            os.kill(run.worker(), number)
            assert run.wait() == 255, run.text()
            wait_until(lambda: not any("docker" in line and run.id() in line
                                       for _, _, line in processes()), "end of the engine's work")
            check_nothing_left(run)


OPEN_WINDOWS = ("pause postgres", "exhaust connections", "half-open clients")


@test
def interrupted_in_a_window(folder):
    """What is paused, held or in between then goes with the rest."""
    for i, window in enumerate(OPEN_WINDOWS):
        inner = Path(folder) / str(i)
        inner.mkdir()
        scenario = make_scenario(inner, *MAPPING, f"fault = after 60 acks: {window} for 600000 ms")
        run = Run(inner, "run", "--runtime", "process", scenario)
        run.wait_for_fault("begin")
        run.process.terminate()
        assert run.wait() == 255 and "interrupted" in run.text(), run.text()
        check_nothing_left(run)


@test
def worker_killed_in_a_window(folder):
    killed(folder, "process", "fault = after 60 acks: pause postgres for 600000 ms", "begin")


def killed(folder, runtime, fault=STAY_DOWN, moment="hit"):
    """The harness itself dies, in the middle of a run."""
    scenario = make_scenario(folder, *MAPPING, fault)
    run = Run(folder, "run", "--runtime", runtime, scenario)
    run.wait_for_fault(moment)
    os.kill(run.worker(), signal.SIGKILL)
    code = run.wait()
    assert code == 255 and "signal 9" in run.text(), f"{code}: {run.text()}"
    check_nothing_left(run)


@test
def worker_killed_on_processes(folder):
    killed(folder, "process")


@test
def worker_killed_in_containers(folder):
    need_docker()
    killed(folder, "docker")


@test
def supervisor_killed(folder):
    scenario = make_scenario(folder, *MAPPING, STAY_DOWN)
    run = Run(folder, "run", "--runtime", "process", scenario)
    run.wait_for_fault("hit")
    run.process.kill()
    wait_until(lambda: not left_behind(run), "clean end")


# ---- things that break --------------------------------------------------------------------


def breaks(folder, harness, *says, root=ROOT):
    scenario = make_scenario(folder, *MAPPING)
    code, run = run_to_end(folder, "run", "--root", root, "--runtime", "process", scenario,
                           harness=harness)
    assert code == 255, f"exit code {code}: {run.text()}"
    for part in says:
        assert part in run.text(), f"'{part}' is missing in:\n{run.text()}"
    check_nothing_left(run)


@test
def broker_does_not_start(folder):
    harness = make_programs(folder, broker="#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    breaks(folder, harness, "broker did not start: exit code 3", "no such luck")


@test
def broker_is_missing(folder):
    harness = make_programs(folder)
    (harness.parent / "myqueue-broker").unlink()
    breaks(folder, harness, "cannot start broker", "myqueue-broker", "No such file")


@test
def postgres_does_not_start(folder):
    tools = Path(folder) / "root" / "tools"
    tools.mkdir(parents=True)
    script = tools / "postgres"
    script.write_text('#!/bin/sh\nif [ "$1" = run ]; then echo "disk on fire" >&2; exit 4; fi\n')
    script.chmod(0o755)
    breaks(folder, make_programs(folder), "postgres did not start: exit code 4", "disk on fire",
           root=tools.parent)


@test
def client_ends_badly(folder):
    harness = make_programs(folder, produce="#!/bin/sh\necho 'cannot read' >&2\nexit 2\n")
    breaks(folder, harness, "ended before the run began: exit code 2", "cannot read")


def given_up(folder, run, reason):
    code = run.wait()
    assert code == 2, f"exit code {code}: {run.text()}"
    assert reason in run.text(), f"'{reason}' is missing in:\n{run.text()}"
    about = json.loads((run.dir() / "run.json").read_text())
    assert reason in about["ended_early"], about
    check_nothing_left(run)


@test
def limit(folder):
    scenario = make_scenario(folder, *MAPPING, STAY_DOWN)
    run = Run(folder, "run", "--runtime", "process", "--limit", "1", scenario)
    given_up(folder, run, "the limit of 1 s was reached; still running: C1 C2")


@test
def stall(folder):
    harness = make_programs(folder, consume=NEVER_ENDS)
    scenario = make_scenario(folder, *MAPPING)
    run = Run(folder, "run", "--runtime", "process", "--stall", "1", scenario,
              harness=harness)
    given_up(folder, run, "nothing was sent or received for 1 s; still running: C1 C2")


@test
def broker_dies_by_itself(folder):
    harness = make_programs(folder, consume=NEVER_ENDS)
    scenario = make_scenario(folder, *MAPPING)
    run = Run(folder, "run", "--runtime", "process", scenario, harness=harness)
    run.wait_for("running")
    for pid, _, line in processes():
        if line.startswith(str(harness.parent / "myqueue-broker")):
            os.kill(pid, signal.SIGKILL)
    given_up(folder, run, "broker ended by itself: signal 9")


@test
def broker_ends_badly(folder):
    harness = make_programs(folder, broker=f"""#!/bin/sh
trap 'kill $broker; wait $broker; echo "a leak" >&2; exit 23' TERM
{BUILD}/myqueue-broker "$@" &
broker=$!
wait $broker
""")
    breaks(folder, harness, "the broker ended badly on SIGTERM: exit code 23", "a leak")


@test
def client_ends_incomplete(folder):
    """It says that something is missing, though nothing is: that is not valid."""
    harness = make_programs(folder, consume=f"""#!/bin/sh
{BUILD}/myqueue-consume "$@"
exit 1
""")
    scenario = make_scenario(folder, *MAPPING)
    run = Run(folder, "run", "--runtime", "process", scenario, harness=harness)
    given_up(folder, run, "ended with exit code 1")


# ---- the runner ---------------------------------------------------------------------------


def need_docker():
    runtime = os.environ.get("RUNTIME", "auto")
    if runtime == "process":
        raise Skip("RUNTIME=process")
    answers = shutil.which("docker") and subprocess.run(
        ["docker", "version"], capture_output=True, timeout=60, check=False).returncode == 0
    if not answers and runtime == "auto":
        raise Skip("no container engine answers")
    assert answers, "RUNTIME=docker, and no container engine answers"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="PATTERN", default="", help="only tests with this in the name")
    pattern = parser.parse_args().k
    os.environ["PATH"] = f"{BUILD / 'bin'}:{os.environ['PATH']}"
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    passed = failed = 0
    for function in TESTS:
        if not re.search(pattern, function.__name__):
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="myqueue-runs-") as folder:
            try:
                function(folder)
                passed += 1
                result = "ok"
            except Skip as reason:
                result = f"skipped ({reason})"
            except Exception as error:  # whatever it is, the others go on
                failed += 1
                result = f"FAIL: {type(error).__name__}: {error}"
            finally:
                Run.end_all()
        print(f"runs: {function.__name__} {result}, {time.monotonic() - started:.1f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
