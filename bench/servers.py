"""servers.py - the servers that the bench runs, each a context that leaves nothing behind.

Every server is a child in a session of its own, so that Ctrl-C reaches only the bench, which
then ends its children one by one.
"""

import os
import re
import signal
import socket
import subprocess
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
START_S_MAX = 60
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something cannot be measured; the text says why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A child process; `command` is set by who inherits."""

    name = "server"
    stop_signal = signal.SIGTERM

    def __init__(self, folder):
        self.log = os.path.join(folder, self.name + ".log")
        self.child = None

    def start(self, command, stdout=None, **more):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or log,
                                          stderr=log, start_new_session=True, **more)

    def wait_until(self, ready):
        deadline = time.monotonic() + START_S_MAX
        while not ready():
            if self.child.poll() is not None:
                raise Failed("%s has ended: %s" % (self.name, self.last_words()))
            if time.monotonic() > deadline:
                raise Failed("%s does not answer: %s" % (self.name, self.last_words()))
            time.sleep(0.002)

    def last_words(self):
        with open(self.log, errors="replace") as log:
            lines = log.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def listens(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.child is None or self.child.poll() is not None:
            return
        self.child.send_signal(self.stop_signal)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def __enter__(self):
        try:
            self.run()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception):
        self.stop()

    def cpu_s(self):
        return cpu_s(self.child.pid)

    def memory_kb_max(self):
        """VmHWM: the most memory that it has ever held."""
        with open("/proc/%d/status" % self.child.pid) as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read())[1])


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


class Broker(Server):
    name = "broker"

    def __init__(self, folder, store, *options):
        super().__init__(folder)
        self.store = store
        self.options = options
        self.address = None

    def run(self):
        self.begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.start([os.path.join(BUILD, "myqueue-broker"), "--listen", "127.0.0.1:0",
                    "--store", self.store, *self.options])
        self.wait_until(self.serving)

    def serving(self):
        with open(self.log) as log:
            log.seek(self.begin)
            found = re.search(r" serving listen=(\S+)", log.read())
        self.address = found[1] if found else None
        return found is not None


class Bare(Server):
    """H: see bare.c."""

    name = "bare"

    def __init__(self, folder, mode):
        super().__init__(folder)
        self.mode = mode
        self.address = None

    def run(self):
        self.start([os.path.join(BUILD, "bench/bare"), *self.mode], stdout=subprocess.PIPE)
        words = self.child.stdout.readline().decode().split()
        if not words:
            raise Failed("bare has ended: " + self.last_words())
        self.address = words[1]


class Redis(Server):
    """Strict: every command waits for its fsync."""

    name = "redis"
    setting = "appendonly yes, appendfsync always"

    def __init__(self, folder):
        super().__init__(folder)
        self.folder = os.path.join(folder, "redis")
        self.port = None

    def run(self):
        os.makedirs(self.folder, exist_ok=True)
        self.port = free_port()
        self.start(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
                    self.folder, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                    "--auto-aof-rewrite-percentage", "0", "--daemonize", "no"])
        self.wait_until(self.answers)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.sendall(b"PING\r\n")
                return s.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Postgres(Server):
    """A cluster with fsync and synchronous_commit on, and WAL segments to recycle."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast: clients are cut off
    tool = os.path.join(ROOT, "tools/postgres")
    settings = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": "512MB",
        "max_connections": "300",
        # A checkpoint comes between two measurements, when the bench asks for it.
        "checkpoint_timeout": "1h",
        "max_wal_size": "16GB",
    }

    def __init__(self, folder, warm_wal_mb):
        super().__init__(folder)
        self.folder = os.path.join(folder, "postgres")
        self.warm_wal_mb = warm_wal_mb
        self.settings = dict(self.settings, min_wal_size="%dMB" % warm_wal_mb)

    def run(self):
        made = subprocess.run([self.tool, "init", self.folder], capture_output=True, text=True)
        if made.returncode != 0:
            raise Failed(made.stderr.strip())
        self.resume()
        self.warm()

    def resume(self):
        words = [word for setting in self.settings.items() for word in ("-c", "%s=%s" % setting)]
        self.start([self.tool, "run", self.folder, "", *words])
        waited = subprocess.run([self.tool, "wait", self.folder], capture_output=True, text=True)
        if waited.returncode != 0:
            raise Failed(waited.stderr.strip())

    def restart(self):
        self.stop()
        self.resume()

    def warm(self):
        """Write as much WAL as is kept; the checkpoints make it into segments to write again."""
        self.sql("CHECKPOINT")
        for _ in range(self.warm_wal_mb // 64):
            self.sql("SELECT count(pg_logical_emit_message(true, 'warm', repeat('x', 1 << 20))) "
                     "FROM generate_series(1, 64)")
        self.sql("CHECKPOINT")

    def url(self, database="myqueue"):
        return "postgres://myqueue@/%s?host=%s" % (database, self.folder.replace("/", "%2F"))

    def conninfo(self, database="myqueue"):
        return "host=%s user=postgres dbname=%s" % (self.folder, database)

    def psql(self, *words, database="myqueue"):
        """What psql prints, unaligned and without headings."""
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.conninfo(database),
                               *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed("psql: " + done.stderr.strip())
        return done.stdout

    def sql(self, statement, database="myqueue"):
        return self.psql("-c", statement, database=database).strip()

    def cpu_s(self):
        """Of the server and the processes that it has now."""
        total = super().cpu_s()
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % name) as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
                if parent == self.child.pid:
                    total += cpu_s(int(name))
            except (OSError, ValueError, IndexError):
                pass  # not a process, or one that has just ended
        return total
