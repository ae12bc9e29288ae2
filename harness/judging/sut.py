"""sut.py - a system under test: its description, and its processes while it is judged.

harness/sut/NAME.conf has lines `key = value`; a `#` begins a comment. docs/judging.md lists the
keys. Every complaint is one line, `file:line: what is wrong and what would be right`.

A system that runs has a port, a folder for its data and, if its commands name {database}, a
PostgreSQL of its own. All three outlive a kill and are gone in the end. Its processes are a
session of their own, which is ended as a whole, always.
"""

import contextlib
import ctypes
import http.client
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from dataclasses import dataclass, replace

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
PERSISTS = ("messages", "positions", "ids", "topics")
PLACES = ("port", "data", "database", "build", "root", "pid")
PORTS = range(20000, 32000)  # below those that the kernel gives to clients
READY_S = 60          # unless its description says otherwise
READY_S_MAX = 3600
TELL_S = 3            # of waiting, before a person is told what for
HEALTH_LIMIT_S = 5    # for one answer
LOG_LINES = 12        # of the end of a log, for a person
STOP_LIMIT_S = 20
COMMAND_LIMIT_S = 60
BUILD_LIMIT_S = 900
POLL_S = 0.01
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # not loaded between fork and exec, where another thread may hold its lock


class Failed(Exception):
    """It cannot be judged; the text says why. `log`: the file that says more, or None."""

    def __init__(self, text, log=None):
        super().__init__(text)
        self.log = log


class NotBack(Failed):
    """It does not answer any more after it was ended and started again."""


# ---- the description ----------------------------------------------------------------------------

@dataclass
class Description:
    name: str            # of the file, without .conf
    path: str
    title: str
    folder: str          # where its commands run
    build: list          # commands as lists of words; []: there is none
    run: list
    stop: list           # []: SIGTERM
    kill: list           # []: SIGKILL to all of its processes
    address: str
    health: str
    persists: list       # of PERSISTS, what it claims to keep when it is started again
    start: str           # "earliest" | "latest"
    ready_s: int         # it has to be healthy by then
    programs: str = ""   # what {build} is, as it is: nothing is built; "": BUILD

    def wants_database(self):
        return any("{database}" in word for command in (self.run, self.stop, self.kill)
                   for word in command)

    def claims(self):
        return {"persistent": bool(self.persists), "persists": self.persists, "start": self.start}

    def may_forget(self):
        """Topics or ids, so that a client has to register again after a restart."""
        return not {"topics", "ids"} <= set(self.persists)

    def claims_words(self):
        kept = "keeps %s when it is started again" % listed(self.persists) if self.persists \
            else "keeps nothing when it is started again"
        return "%s; a new consumer begins at the %s message" % (kept, self.start)


def listed(words):
    return words[0] if len(words) == 1 else "%s and %s" % (", ".join(words[:-1]), words[-1])


def words_of(text):
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Failed("the command's quotes are not closed: %s" % error) from None
    for word in words:
        rest = word
        for place in PLACES:
            rest = rest.replace("{%s}" % place, "")
        if "{" in rest and "}" in rest.split("{", 1)[1]:
            unknown = rest.split("{", 1)[1].split("}", 1)[0]
            raise Failed("'{%s}' stands for nothing: %s do" % (
                unknown, ", ".join("{%s}" % place for place in PLACES)))
    return words


def choice_of(*values):
    def parse(text):
        if text not in values:
            raise Failed("'%s' is not %s" % (text, " or ".join(values)))
        return text
    return parse


def persists_of(text):
    for word in text.split():
        if word not in PERSISTS:
            raise Failed("'%s' is nothing that is kept: %s are" % (word, ", ".join(PERSISTS)))
    return [word for word in PERSISTS if word in text.split()]


def address_of(text):
    if not text.startswith("http://") or not urllib.parse.urlsplit(text).hostname:
        raise Failed("'%s' is no address: http://HOST:PORT is one" % text)
    return text.rstrip("/")


def health_of(text):
    if not text.startswith("/"):
        raise Failed("'%s' is no path: /topics is one" % text)
    return text


def seconds_of(text):
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= READY_S_MAX:
        raise Failed("'%s' is no whole number of seconds from 1 to %d" % (text, READY_S_MAX))
    return int(text)


KEYS = {"title": str, "folder": str, "build": words_of, "run": words_of, "stop": words_of,
        "kill": words_of, "address": address_of, "health": health_of,
        "persistent": choice_of("yes", "no"), "persists": persists_of,
        "start": choice_of("earliest", "latest"), "ready_s": seconds_of}


def read_lines(path):
    """key -> (line number, value), each parsed."""
    values = {}
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, ValueError) as error:
        raise Failed("%s: cannot be read: %s" % (path, error)) from None
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, sign, value = (part.strip() for part in line.partition("="))
        where = "%s:%d: " % (path, number)
        if not sign or not value:
            raise Failed(where + "'%s' is not 'key = value'" % line)
        if key not in KEYS:
            raise Failed(where + "there is no key '%s': %s are" % (key, ", ".join(KEYS)))
        if key in values:
            raise Failed(where + "'%s' was said before, in line %d" % (key, values[key][0]))
        try:
            values[key] = number, KEYS[key](value)
        except Failed as error:
            raise Failed(where + "%s: %s" % (key, error)) from None
    return values


def load(path):
    """A Description, or Failed."""
    lines = read_lines(path)
    values = {key: value for key, (_, value) in lines.items()}
    for key in ("run", "persistent"):
        if key not in values:
            raise Failed("%s: '%s = …' is missing" % (path, key))
    persists = values.get("persists", list(PERSISTS))
    if values["persistent"] == "no":
        if "persists" in values:
            raise Failed("%s:%d: persists: what is not persistent keeps nothing; leave it out, or "
                         "say 'persistent = yes'" % (path, lines["persists"][0]))
        persists = []
    name = os.path.splitext(os.path.basename(path))[0]
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), values.get("folder", "."))
    if not os.path.isdir(folder):
        raise Failed("%s:%d: folder: there is no folder %s" % (path, lines["folder"][0], folder))
    return Description(name, path, values.get("title", name), os.path.abspath(folder),
                       values.get("build", []), values["run"], values.get("stop", []),
                       values.get("kill", []), values.get("address", "http://127.0.0.1:{port}"),
                       values.get("health", "/topics"), persists, values.get("start", "earliest"),
                       values.get("ready_s", READY_S))


def with_programs(description, folder):
    """The same system, with the programs that were built in `folder`."""
    folder = os.path.abspath(folder)
    if not os.path.isdir(folder):
        raise Failed("%s@%s: there is no such folder of programs" % (description.path, folder))
    if not any("{build}" in word for word in description.run):
        raise Failed("%s@%s: its 'run' has no {build}, so there are no programs to exchange" % (
            description.path, folder))
    what = os.path.basename(folder)
    return replace(description, programs=folder, name="%s@%s" % (description.name, what),
                   title="%s, %s" % (description.title, what))


def builds(description):
    return description.build and not description.programs


def build(description, log):
    """Run its build command, if it has one; Failed with the last of its output."""
    if not builds(description):
        return
    places = {"build": BUILD, "root": ROOT}
    with open(log, "wb") as output:
        child = subprocess.Popen(filled(description.build, places), cwd=description.folder,
                                 stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 start_new_session=True)
        try:
            code = child.wait(BUILD_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = "none within %d s" % BUILD_LIMIT_S
        finally:
            end_session(child)
    if code != 0:
        raise Failed("its build failed (exit code %s): %s" % (code, last_lines(log)), log)


# ---- processes ----------------------------------------------------------------------------------

def filled(words, places):
    """The command with its {places} filled in; what is not there stays."""
    for place, value in places.items():
        words = [word.replace("{%s}" % place, str(value)) for word in words]
    return words


def free_port():
    """
    (port, a socket). No other judge of this machine gets the port until the socket is closed: its
    name says that the port is taken, also while nobody listens at it.
    """
    for port in random.sample(PORTS, 100):
        held = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe, contextlib.suppress(OSError):
            held.bind("\0myqueue-judge-port-%d" % port)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port, held
        held.close()
    raise Failed("no free port found between %d and %d" % (PORTS[0], PORTS[-1]))


def last_lines(path, count=3, between=" / "):
    """What it said last; empty lines say nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip() for line in file if line.strip()]
    except OSError:
        lines = []
    return between.join(lines[-count:]) or "it said nothing"


def session(leader):
    """The processes of a session, those that have ended left out."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/stat" % pid, "rb") as file:
            state, _, _, of = file.read().rpartition(b")")[2].split()[:4]
            if int(of) == leader and state not in (b"Z", b"X"):
                found.append(int(pid))
    return found


def signal_session(leader, number):
    for pid in session(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_session(child):
    """All of it is dead when this returns; a process that is just being forked as well."""
    while session(child.pid):
        signal_session(child.pid, signal.SIGKILL)
        time.sleep(POLL_S)
    child.wait()


def die_with_us():
    """In the child: it is killed when the thread that started it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Database:
    """A PostgreSQL server of its own, reached by TCP, in a folder that goes with it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="myqueue-judge-")
        self.port, self.held = free_port()
        self.url = "postgres://myqueue@127.0.0.1:%d/myqueue" % self.port
        self.child = None
        self.tool = os.path.join(ROOT, "tools", "postgres")
        try:
            self.begin()
        except BaseException:
            self.end()
            raise

    def begin(self):
        made = subprocess.run([self.tool, "init", self.folder], capture_output=True, text=True)
        if made.returncode != 0:
            raise Failed("no database for it: %s" % made.stderr.strip())
        with open(os.path.join(self.folder, "server.log"), "wb") as log:
            self.child = subprocess.Popen(
                [self.tool, "run", self.folder, "127.0.0.1:%d" % self.port], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        ready = subprocess.run([self.tool, "wait", self.folder], capture_output=True, text=True)
        if ready.returncode != 0:
            raise Failed("no database for it: %s" % ready.stderr.strip())

    def end(self):
        if self.child is not None:
            self.child.send_signal(signal.SIGINT)  # fast: clients are cut off
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(STOP_LIMIT_S)
            end_session(self.child)
        self.held.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class System:
    """
    One that runs, from nothing: `with System(description, log) as system`. `tell` gets a line for
    a person when it is waited for.

    Its methods belong to the thread that made it, since it dies with that; `port` and `address`
    may be read by any.
    """

    def __init__(self, description, log, tell=lambda line: None):
        self.description, self.log, self.tell = description, log, tell
        self.child, self.database, self.data = None, None, None

    def __enter__(self):
        self.data = tempfile.mkdtemp(prefix="myqueue-judge-")
        os.chmod(self.data, 0o755)
        self.port, self.held = free_port()
        self.places = {"port": self.port, "data": self.data, "root": ROOT,
                       "build": self.description.programs or BUILD}
        try:
            if self.description.wants_database():
                self.database = Database()
                self.places["database"] = self.database.url
            self.address = filled([self.description.address], self.places)[0]
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.child is not None:
            with contextlib.suppress(Failed):
                self.command(self.description.kill)
            end_session(self.child)
        if self.database is not None:
            self.database.end()
        self.held.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def command(self, words):
        """Its own command for something, if it has one."""
        if not words:
            return
        words = filled(words, dict(self.places, pid=self.child.pid))
        try:
            with open(self.log, "ab") as log:
                subprocess.run(words, cwd=self.description.folder, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, timeout=COMMAND_LIMIT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed("its own command failed: %s" % error) from None

    def start(self):
        """Start it and wait until it is healthy."""
        self.wait_nobody()
        self.spawn()
        self.wait_healthy()

    def start_again(self):
        """The same, after it was stopped or killed: NotBack if it does not come up."""
        self.wait_nobody()
        try:
            self.spawn()
            self.wait_healthy()
        except Failed as failure:
            raise NotBack("it does not come back: %s" % failure, failure.log) from None

    def spawn(self):
        words = filled(self.description.run, self.places)
        with open(self.log, "ab") as log:
            try:
                self.child = subprocess.Popen(
                    words, cwd=self.description.folder, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True, preexec_fn=die_with_us)
            except OSError as error:
                raise Failed("it cannot be run: %s" % error) from None

    def wait_nobody(self):
        """Nobody else answers in its place; one that was just killed may take a moment to be gone."""
        end = time.monotonic() + STOP_LIMIT_S
        while self.illness() == "":
            if time.monotonic() > end:
                raise Failed("somebody answers at %s while it does not run: another one, or 'kill' "
                             "does not kill it" % self.address)
            time.sleep(POLL_S)

    def wait_healthy(self):
        begin, told = time.monotonic(), False
        limit_s, health = self.description.ready_s, self.address + self.description.health
        while True:
            illness = self.illness()
            ended = self.child.poll()
            if ended is not None:
                raise Failed("it ended with exit code %d instead of answering%s: %s" % (
                    ended, "" if ended else " ('run' has to stay in the foreground)",
                    last_lines(self.log)), self.log)
            if illness == "":
                return
            waited = time.monotonic() - begin
            if waited > limit_s:
                raise Failed("no good answer from %s within %d s (%s): %s" % (
                    health, limit_s, illness, last_lines(self.log)), self.log)
            if waited > TELL_S and not told:
                self.tell("  waiting for an answer from %s: %s; %d s at most (ready_s)" % (
                    health, illness, limit_s))
                told = True
            time.sleep(POLL_S)

    def illness(self):
        """Why it is not healthy; "": it is. Anything but an error of its own is a good answer."""
        where = urllib.parse.urlsplit(self.address)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=HEALTH_LIMIT_S)
        try:
            connection.request("GET", where.path + self.description.health)
            status = connection.getresponse().status
            return "" if status < 500 else "HTTP %d" % status
        except ConnectionRefusedError:
            return "the connection is refused"
        except TimeoutError:
            return "no answer within %d s" % HEALTH_LIMIT_S
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()

    def running(self):
        return self.child.poll() is None

    def freeze(self):
        """Nothing of it runs until it is killed; with a kill command of its own: nothing happens."""
        if not self.description.kill:
            signal_session(self.child.pid, signal.SIGSTOP)

    def kill(self):
        self.command(self.description.kill)
        end_session(self.child)

    def stop(self):
        """As one asks it to end; whoever does not within STOP_LIMIT_S is killed."""
        if self.description.stop:
            self.command(self.description.stop)
        elif self.running():
            self.child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(STOP_LIMIT_S)
        end_session(self.child)
