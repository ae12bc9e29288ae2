"""driver.py - what the API tests are written with: a real broker, a client, expectations, a runner.

Always: every process and folder that a test starts belongs to `Machine`, which ends it when the
test ends, fails, runs out of time or is interrupted; every wait has a limit; every answer that any
test gets is held against what holds for all answers (see Api.examine).
"""

import collections
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import requests

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(TREE, os.environ.get("BUILD", "build"))
BROKER = os.path.join(BUILD, "myqueue-broker")
STORES = ("memory", "sqlite", "postgres")
DURABLE = ("sqlite", "postgres")

# Generous: a limit is there to end a hang, never to judge speed. (Sanitizers on two busy cores.)
START_LIMIT_S = 60
STOP_LIMIT_S = 60
REQUEST_LIMIT_S = 60
TEST_LIMIT_S = 180
LONG_POLL_MS = 20000  # the longest wait_ms that the broker grants

# Method, path, HTTP status and code (of a success: the body's fields) of every answer of this run;
# test_openapi.py holds it against the documentation.
seen = set()


class Failed(AssertionError):
    """A test's expectation was not met."""


def check(condition, *reason):
    if not condition:
        raise Failed(" ".join(str(part) for part in reason) or "expectation not met")


def same(got, wanted, what="value"):
    check(got == wanted and type(got) is type(wanted),
          "%s is %s, expected %s" % (what, brief(got), brief(wanted)))


def brief(value, width=300):
    text = repr(value)
    return text if len(text) <= width else "%s… (%d characters)" % (text[:width], len(text))


def until(condition, what, limit_s=REQUEST_LIMIT_S):
    """Ask `condition` again and again until it gives something true; return that."""
    deadline = time.monotonic() + limit_s
    while True:
        result = condition()
        if result:
            return result
        check(time.monotonic() < deadline, "waited %d s in vain for: %s" % (limit_s, what))
        time.sleep(0.01)


def together(*calls, limit_s=TEST_LIMIT_S):
    """Run the calls at once, a thread each; return their results, or raise the first failure."""
    return Together(*calls).join(limit_s)


class Together:
    """Calls that run while the test goes on; join() returns their results in order."""

    def __init__(self, *calls):
        self.results = [None] * len(calls)
        self.failures = []
        self.gate = threading.Barrier(len(calls))
        self.threads = [threading.Thread(target=self._run, args=(i, call), daemon=True)
                        for i, call in enumerate(calls)]
        for thread in self.threads:
            thread.start()

    def _run(self, i, call):
        try:
            self.gate.wait(REQUEST_LIMIT_S)
            self.results[i] = call()
        except BaseException as failure:  # it is raised again, in the test's own thread
            self.failures.append(failure)

    def running(self):
        return any(thread.is_alive() for thread in self.threads)

    def join(self, limit_s=TEST_LIMIT_S):
        deadline = time.monotonic() + limit_s
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.failures:
            raise self.failures[0]
        check(not self.running(), "clients still busy after %d s" % limit_s)
        return self.results


# --- the client --------------------------------------------------------------------------------

def status_map():
    """code -> HTTP status, as common/status.h has it; 200 is not a failure and is left out."""
    with open(os.path.join(TREE, "common", "status.h"), encoding="utf-8") as header:
        rows = re.findall(r'X\(\s*STATUS_\w+\s*,\s*(\d+)\s*,\s*"(\w+)"', header.read())
    check(rows, "no row X(STATUS_…, HTTP status, \"code\", …) found in common/status.h")
    return {code: int(http) for http, code in rows if int(http) != 200}


class Answer:
    def __init__(self, request, http, headers, content):
        self.request = request
        self.http = http
        self.headers = headers
        self.content = content
        try:
            self.body = json.loads(content.decode("utf-8")) if content else None
        except ValueError:
            self.body = None

    def __repr__(self):
        return "%s answered %d %s" % (brief(self.request), self.http, brief(self.content))

    def __getitem__(self, key):
        check(self.http == 200, "expected success, but", self)
        check(key in self.body, "no %r in:" % key, self)
        return self.body[key]

    def succeeded(self, **fields):
        """200, and the body is "status": "success" and exactly these fields."""
        check(self.http == 200, "expected success, but", self)
        same(self.body, dict(fields, status="success"), "body")
        return self

    def refused(self, code, *words, **fields):
        """The failure `code` with its HTTP status (see examine), and these words in the message."""
        check(self.http != 200, "expected failure %s, but" % code, self)
        same(self.body["code"], code, "code of %r" % self)
        for word in words:
            check(word in self.body["message"], "%r is not said in:" % word, self)
        for name, value in fields.items():
            same(self.body.get(name), value, name)
        return self


class Api:
    """The seven calls, and any other request, against one broker. Threads: any."""

    def __init__(self, address):
        self.address = address
        self.url = "http://" + address
        self.local = threading.local()
        self.codes = status_map()

    def session(self):
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.trust_env = False  # no proxy may come between
        return self.local.session

    def call(self, method, path, limit_s=REQUEST_LIMIT_S, **how):
        """`how` is what requests takes: json, params, data, files, headers, cookies."""
        got = self.session().request(method, self.url + path, timeout=limit_s, **how)
        return self.examine(method, path, got.status_code, got.headers, got.content)

    def examine(self, method, path, http, headers, content):
        """What holds for every answer, whatever was asked."""
        answer = Answer("%s %s" % (method, path), http, headers, content)
        same(headers.get("Content-Type", "").split(";")[0], "application/json",
             "Content-Type of %r" % answer)
        if method == "HEAD":
            return answer
        body = answer.body
        check(isinstance(body, dict), "not a JSON object:", answer)
        if http == 200:
            same(body.get("status"), "success", "status of %r" % answer)
            seen.add((method, path, http, frozenset(body)))
            return answer
        same(body.get("status"), "failure", "status of %r" % answer)
        check(isinstance(body.get("message"), str) and body["message"], "no message:", answer)
        check(body.get("code") in self.codes, "code is not in common/status.h:", answer)
        same(http, self.codes[body["code"]], "HTTP status of %r" % answer)
        extra = {"out_of_sequence": {"expected"},
                 "offset_out_of_range": {"first_offset", "next_offset"}}.get(body["code"], set())
        same(set(body), {"status", "message", "code"} | extra, "fields of %r" % answer)
        if http == 405:
            check(headers.get("Allow"), "405 without Allow:", answer)
        if http in (429, 503):
            same(headers.get("Retry-After"), "60" if http == 429 else "1",
                 "Retry-After of %r" % answer)
        seen.add((method, path, http, body["code"]))
        return answer

    # The calls, the way most clients make them: JSON for POST, the query for GET.

    def create(self, topic, **more):
        return self.call("POST", "/topics", json=dict(more, name=topic))

    def topics(self):
        return self.call("GET", "/topics")["topics"]

    def producer(self, topic):
        return self.call("POST", "/producer/register", json={"topic": topic})["producer_id"]

    def consumer(self, topic, **more):
        return self.call("POST", "/consumer/register",
                         json=dict(more, topic=topic))["consumer_id"]

    def produce(self, topic, producer_id, message, **more):
        return self.call("POST", "/producer/produce",
                         json=dict(more, topic=topic, producer_id=producer_id, message=message))

    def produce_batch(self, topic, producer_id, messages, **more):
        return self.call("POST", "/producer/produce",
                         json=dict(more, topic=topic, producer_id=producer_id, messages=messages))

    def consume(self, topic, consumer_id, **more):
        return self.call("GET", "/consumer/consume",
                         params=dict(more, topic=topic, consumer_id=consumer_id))

    def seek(self, topic, consumer_id, offset):
        return self.call("POST", "/consumer/seek",
                         json=dict(topic=topic, consumer_id=consumer_id, offset=offset))

    def size(self, topic, consumer_id):
        return self.call("GET", "/size",
                         params={"topic": topic, "consumer_id": consumer_id})["size"]

    # What several tests need.

    def filled(self, topic, count):
        """A topic with the messages m0, m1, …; returns the producer's id."""
        producer_id = self.producer(topic)
        if count > 0:
            self.produce_batch(topic, producer_id, ["m%d" % i for i in range(count)])
        return producer_id

    def read_all(self, topic, max_count=500):
        """Every message of the topic, read by a new consumer by position; checks the offsets."""
        consumer_id = self.consumer(topic, start="earliest")
        messages = []
        while True:
            answer = self.consume(topic, consumer_id, offset=len(messages), max=max_count)
            if answer.http == 400:
                answer.refused("no_message")
                same(self.size(topic, consumer_id), 0, "size at the end of %s" % topic)
                return messages
            for item in answer["messages"]:
                same(item["offset"], len(messages), "offset")
                messages.append(item["message"])


# --- processes ---------------------------------------------------------------------------------

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    # Else a killed driver would leave its broker behind. The kernel looks at the thread that
    # forked: processes are started by the main thread only.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program of ours with its stderr kept, line by line."""

    def __init__(self, command, env=None, cwd=TREE):
        self.lines = []
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, env=env, cwd=cwd,
                                      preexec_fn=_die_with_parent)
        self.hung_up = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with self.child.stderr as stderr:
            for line in stderr:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                if self.hung_up.is_set():
                    return

    def hang_up(self):
        """Stop reading its stderr: after its next line the pipe is closed."""
        self.hung_up.set()

    def alive(self):
        return self.child.poll() is None

    def said(self):
        return "\n".join(self.lines)

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, limit_s=STOP_LIMIT_S):
        """Its exit code, once it has ended by itself."""
        try:
            code = self.child.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Failed("still running after %d s; it said:\n%s" % (limit_s, self.said()))
        self.reader.join(STOP_LIMIT_S)
        return code

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()
        self.reader.join(STOP_LIMIT_S)


class Broker(Process):
    """A broker that serves. `listen` or `store_url` None: the environment or the default says it."""

    def __init__(self, store_url, *arguments, listen="127.0.0.1:0", env=None, cwd=TREE):
        where = ["--listen", listen] if listen is not None else []
        where += ["--store", store_url] if store_url is not None else []
        super().__init__([BROKER, *where, *arguments], env=clean_environment(env), cwd=cwd)
        try:
            self.address = until(self._serving, "the broker to serve", START_LIMIT_S)
        except BaseException:
            self.kill()
            raise
        self.api = Api(self.address)

    def _serving(self):
        """The address, once a line says that the store is open, too."""
        for line in self.lines:
            if re.search(r"\bserving\b", line):
                found = re.search(r"\blisten=(\S+)", line)
                check(found, "no listen=HOST:PORT in:", line)
                return found.group(1)
        check(self.alive(), "the broker ended before it served; it said:\n" + self.said())
        return None

    def stop(self):
        """SIGTERM; it must drain, exit with 0, and have nothing to complain about."""
        self.signal(signal.SIGTERM)
        code = self.wait()
        self.check_sanitizers()
        check(code == 0, "exit code %d after SIGTERM; it said:\n%s" % (code, self.last_words()))

    def check_sanitizers(self):
        for i, line in enumerate(self.lines):
            check("Sanitizer" not in line and "runtime error:" not in line,
                  "a sanitizer's report:\n" + "\n".join(self.lines[i:i + 30]))

    def last_words(self):
        return "\n".join(self.lines[-10:])


def clean_environment(more=None):
    """Ours without MYQUEUE_*, which would be options of the broker."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MYQUEUE_")}
    env.update(more or {})
    return env


def run_to_end(command, env=None, limit_s=START_LIMIT_S, stdin=None):
    """(exit code, stdout, stderr) of a program that ends by itself."""
    try:
        done = subprocess.run(command, env=env, cwd=TREE, input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=limit_s, preexec_fn=_die_with_parent)
    except subprocess.TimeoutExpired:
        raise Failed("%s did not end within %d s" % (command[0], limit_s))
    return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")


# --- PostgreSQL --------------------------------------------------------------------------------

def database_url(server_url, name):
    """The same server's other database."""
    found = re.match(r"^(postgres(?:ql)?://[^/?]*)(?:/[^?]*)?(\?.*)?$", server_url)
    check(found, "not a postgres:// URL:", server_url)
    return "%s/%s%s" % (found.group(1), name, found.group(2) or "")


def sql(url, statement):
    """Rows of the statement's result, columns separated by '|'."""
    code, out, err = run_to_end(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                                 "-c", statement, url])
    check(code == 0, "psql:", err.strip())
    return out.split("\n")[:-1]


class Cluster:
    """A private PostgreSQL that a test may kill; tools/postgres does the work."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="myqueue-api-")
        os.chmod(self.folder, 0o755)  # the server may run as another user
        self.process = None
        try:
            self.tool("init", self.folder)
            self.start()
            self.url = self.tool("url", self.folder)
        except BaseException:
            self.destroy()
            raise

    def tool(self, *arguments):
        code, out, err = run_to_end([os.path.join(TREE, "tools", "postgres"), *arguments])
        check(code == 0, "tools/postgres %s: exit %d: %s" % (arguments[0], code, err.strip()))
        return out.strip()

    def start(self):
        self.process = Process([os.path.join(TREE, "tools", "postgres"), "run", self.folder])
        self.tool("wait", self.folder)

    def kill(self):
        """kill -9: the postmaster goes, and its backends as soon as they notice."""
        self.process.kill()

    def destroy(self):
        if self.process is not None:
            if self.process.alive():
                self.process.signal(signal.SIGINT)  # PostgreSQL's fast shutdown
                with contextlib.suppress(Failed):
                    self.process.wait(STOP_LIMIT_S)
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


# --- what a test is given ----------------------------------------------------------------------

class Machine:
    """Everything that was started; the last started is ended first."""

    def __init__(self, server_url):
        self.server_url = server_url
        self.endings = []
        self.databases = 0

    def database(self):
        """The URL of a new, empty database."""
        check(self.server_url, "MYQUEUE_TEST_POSTGRES is not set")
        self.databases += 1
        name = "api_%d_%d" % (os.getpid(), self.databases)
        sql(self.server_url, "CREATE DATABASE %s" % name)
        self.endings.append(lambda: sql(self.server_url,
                                        "DROP DATABASE IF EXISTS %s WITH (FORCE)" % name))
        return database_url(self.server_url, name)

    def folder(self):
        """A new, empty folder, gone with the test."""
        folder = tempfile.mkdtemp(prefix="myqueue-api-")
        self.endings.append(lambda: shutil.rmtree(folder, ignore_errors=True))
        return folder

    def store(self, kind):
        """The URL of an empty store."""
        if kind == "sqlite":
            return "sqlite:" + os.path.join(self.folder(), "log.db")
        return "memory:" if kind == "memory" else self.database()

    def broker(self, store_url, *arguments, **more):
        broker = Broker(store_url, *arguments, **more)
        self.endings.append(broker.kill)
        return broker

    def process(self, command, **more):
        process = Process(command, **more)
        self.endings.append(process.kill)
        return process

    def cluster(self):
        cluster = Cluster()
        self.endings.append(cluster.destroy)
        return cluster

    def own(self, thing):
        """Anything else that has a close()."""
        self.endings.append(thing.close)
        return thing

    def end_since(self, mark):
        """End what was started after there were `mark` things; one failing keeps none alive."""
        while len(self.endings) > mark:
            try:
                self.endings[-1]()
            except Exception as failure:
                print("note: while ending what a test started: %s" % failure, file=sys.stderr)
            self.endings.pop()  # only now: an interrupted ending is tried again


class Given:
    """A test's argument: which store, the run's shared broker, and what it may start."""

    topics_named = 0

    def __init__(self, machine, kind, broker):
        self.machine = machine
        self.kind = kind
        self.broker = broker
        self.api = broker.api if broker is not None else None

    def topic(self, stem="t"):
        """A name that no other test uses."""
        Given.topics_named += 1
        return "%s-%d" % (stem, Given.topics_named)

    def fresh_broker(self, *arguments, **more):
        """A broker on an empty store of this run's kind."""
        return self.machine.broker(self.machine.store(self.kind), *arguments, **more)


# --- the runner --------------------------------------------------------------------------------

Test = collections.namedtuple("Test", "name run stores limit_s")
tests = []


def test(stores=STORES, limit_s=TEST_LIMIT_S):
    """Register a function f(given); its name is module.function without the test_ in front.

    With stores=() it is run once and given no broker.
    """
    def register(function):
        module = function.__module__.replace("test_", "", 1)
        tests.append(Test("%s.%s" % (module, function.__name__), function, stores, limit_s))
        return function
    return register


class OutOfTime(Exception):
    pass


def _out_of_time(_number, _frame):
    raise OutOfTime()


def _interrupted(_number, _frame):
    raise KeyboardInterrupt()


def run(kinds, pattern, server_url):
    """Run the chosen tests, print a line for each and the totals; return the exit code."""
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, _interrupted)
    machine = Machine(server_url)
    tally = collections.Counter()
    try:
        # The tests of no store come last: test_openapi.py looks back on the others' answers.
        for kind in [*kinds, None]:
            chosen = [t for t in tests if (kind in t.stores if kind else not t.stores)
                      and re.search(pattern, "%s/%s" % (kind or "any", t.name))]
            if chosen:
                run_kind(machine, kind, chosen, tally)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        tally["failed"] += 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the ending itself is not interrupted
        machine.end_since(0)
    print("%d passed, %d failed" % (tally["passed"], tally["failed"]), flush=True)
    return 0 if tally["failed"] == 0 and tally["passed"] > 0 else 1


def run_kind(machine, kind, chosen, tally):
    """All tests of a kind share a broker; one that a test has ended is replaced by a new one."""
    broker = None
    for one in chosen:
        if kind is not None and (broker is None or not broker.alive()):
            broker = machine.broker(machine.store(kind))
        run_one(machine, kind, broker, one, tally)
    if broker is not None:
        last = Test("shared_broker_ends_well", lambda given: broker.stop(), (), STOP_LIMIT_S)
        run_one(machine, kind, broker, last, tally)


def run_one(machine, kind, broker, one, tally):
    name = "%s/%s" % (kind or "any", one.name)
    mark = len(machine.endings)
    began = time.monotonic()
    try:
        signal.alarm(one.limit_s)
        one.run(Given(machine, kind, broker))
        signal.alarm(0)
        tally["passed"] += 1
        print("ok %s (%.1f s)" % (name, time.monotonic() - began), flush=True)
    except (Exception, OutOfTime) as failure:
        signal.alarm(0)
        tally["failed"] += 1
        print("FAIL %s: %s" % (name, reason(failure, one)), flush=True)
        if broker is not None and not broker.alive():
            print("the shared broker has ended; it said:\n%s" % broker.said()[:2000], flush=True)
    finally:
        signal.alarm(0)
        machine.end_since(mark)


def reason(failure, one):
    where = ""
    for frame in traceback.extract_tb(failure.__traceback__):
        if os.path.basename(frame.filename) != "driver.py":
            where = " (%s:%d)" % (os.path.basename(frame.filename), frame.lineno)
    if isinstance(failure, OutOfTime):
        return "did not end within %d s%s" % (one.limit_s, where)
    words = str(failure) if isinstance(failure, Failed) else "%s: %s" % (type(failure).__name__,
                                                                         failure)
    return words + where
