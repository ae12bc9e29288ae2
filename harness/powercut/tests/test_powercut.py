#!/usr/bin/python3
"""Power cuts: each call that changes a file, then SQLite and PostgreSQL.

What a test's program does is Python that runs with the shim preloaded, in the folder that
loses its power. Databases are written to by several clients at once and killed in the middle,
POWERCUTS times (4 unless set); with the settings of a durable store nothing that was
acknowledged may be gone, and with the others something must be.
"""

import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import counted
BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
SHIM, TOOL = BUILD / "libpowercut.so", BUILD / "myqueue-powercut"
CUTS = int(os.environ.get("POWERCUTS", "4"))
LIMIT_S = 60
SECTOR = 512

PRELUDE = """
import ctypes, mmap, os, signal, sys
def sync(path):
    fd = os.open(path, os.O_RDONLY); os.fsync(fd); os.close(fd)
def put(path, data, at=0, flags=0):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags); os.pwrite(fd, data, at); return fd
"""


class Folder(unittest.TestCase):
    """A folder `data` that loses its power."""

    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="myqueue-powercut-"))
        self.top.chmod(0o755)  # PostgreSQL's user has to come through
        self.addCleanup(shutil.rmtree, self.top)
        self.data = self.top / "data"
        self.shim = self.top / SHIM.name  # where the build is, it perhaps has not
        shutil.copy(SHIM, self.shim)

    def environment(self):
        return dict(os.environ, LD_PRELOAD=str(self.shim), POWERCUT_FOLDER=str(self.data))

    def begin(self, files=None):
        self.data.mkdir(exist_ok=True)
        for name, text in (files or {}).items():
            (self.data / name).parent.mkdir(parents=True, exist_ok=True)
            (self.data / name).write_bytes(text)
        subprocess.run([TOOL, "begin", self.data], check=True)

    def run_code(self, code):
        done = subprocess.run([sys.executable, "-c", PRELUDE + code], cwd=self.data,
                              env=self.environment(), stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def cut(self, *seed):
        """(bytes, names, survived)"""
        printed = subprocess.run([TOOL, "cut", self.data, *map(str, seed)], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
        match = re.fullmatch(r"bytes=(\d+) names=(\d+) survived=(\d+)\n", printed)
        self.assertTrue(match, printed)
        return tuple(map(int, match.groups()))

    def look(self):
        """(bytes, names): what a cut would undo now."""
        printed = subprocess.run([TOOL, "look", self.data], check=True, timeout=LIMIT_S,
                                 stdout=subprocess.PIPE, text=True).stdout
        match = re.fullmatch(r"bytes=(\d+) names=(\d+) survived=0\n", printed)
        self.assertTrue(match, printed)
        return tuple(map(int, match.groups()))

    def files(self):
        return {str(path.relative_to(self.data)): path.read_bytes()
                for path in self.data.rglob("*") if path.is_file()}


class Writes(Folder):
    """Each way to write: lost without a sync, there with one."""

    WAYS = {
        "write": "os.lseek(fd, 2, 0); os.write(fd, b'NEW')",
        "pwrite": "os.pwrite(fd, b'NEW', 2)",
        "writev": "os.lseek(fd, 2, 0); os.writev(fd, [b'N', b'EW'])",
        "pwritev": "os.pwritev(fd, [b'N', b'EW'], 2)",
        "copy_file_range": "os.pwrite(other, b'NEW', 0); os.copy_file_range(other, fd, 3, 0, 2)",
        "sendfile": "os.pwrite(other, b'NEW', 0); os.lseek(fd, 2, 0); os.sendfile(fd, other, 0, 3)",
        "splice": "r, w = os.pipe(); os.write(w, b'NEW'); os.splice(r, fd, 3, offset_dst=2)",
        "file object": "with open('a', 'r+b') as f: f.seek(2); f.write(b'NEW')",
        "stdio": "libc = ctypes.CDLL(None); libc.fopen.restype = ctypes.c_void_p\n"
                 "f = ctypes.c_void_p(libc.fopen(b'a', b'r+'))\n"
                 "libc.fseek(f, 2, 0); libc.fwrite(b'NEW', 3, 1, f); libc.fclose(f)",
        "mmap": "m = mmap.mmap(fd, 10); m[2:5] = b'NEW'",
    }

    def way(self, code, after):
        self.begin({"a": b"0123456789", "other": b""})
        self.run_code("fd = os.open('a', os.O_RDWR)\nother = os.open('other', os.O_RDWR)\n"
                      f"{code}\nassert os.pread(fd, 10, 0) == b'01NEW56789'\n{after}\n")
        loss = self.cut()
        return (self.data / "a").read_bytes(), loss

    def test_every_way(self):
        for name, code in self.WAYS.items():
            with self.subTest(name):
                other = 3 if "other" in code else 0
                seen = 0 if name in ("stdio", "mmap") else 3
                self.assertEqual(self.way(code, ""), (b"0123456789", (seen + other, 0, 0)))
                self.assertEqual(self.way(code, "os.fsync(fd)"), (b"01NEW56789", (other, 0, 0)))
                self.assertEqual(self.way(code, "os.fdatasync(fd)")[0], b"01NEW56789")
                self.assertEqual(self.way(code, "os.sync()")[0], b"01NEW56789")
                self.assertEqual(self.way(code, "ctypes.CDLL(None).syncfs(fd)")[0], b"01NEW56789")
                self.assertEqual(self.way(code, "ctypes.CDLL(None).sync_file_range("
                                          "fd, ctypes.c_long(0), ctypes.c_long(0), 7)")[0],
                                 b"0123456789")

    def test_look(self):
        """What would be undone, of a program that is stopped where it is; nothing is changed."""
        self.begin({"a": b"0123456789"})
        self.assertEqual(self.look(), (0, 0))
        stop = "os.kill(os.getpid(), signal.SIGSTOP)\n"
        program = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + stop + "fd = put('a', b'NEW', 2)\n" + stop +
             "os.fsync(fd)\n" + stop + "put('new', b'12')\n" + stop + "sync('new')\n" + stop],
            cwd=self.data, env=self.environment())
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        for seen in ((0, 0), (3, 0), (0, 0), (2, 1), (0, 0)):
            self.assertTrue(os.WIFSTOPPED(os.waitpid(program.pid, os.WUNTRACED)[1]))
            self.assertEqual((self.look(), self.look()), (seen, seen))
            program.send_signal(signal.SIGCONT)
        self.assertEqual(program.wait(LIMIT_S), 0)
        self.assertEqual(self.cut(), (0, 0, 0))

    def test_a_new_stream(self):
        self.begin({})
        self.run_code("libc = ctypes.CDLL(None); libc.fopen.restype = ctypes.c_void_p\n"
                      "f = ctypes.c_void_p(libc.fopen(b'new', b'w'))\n"
                      "for part in (b'1', b'2', b'3'):\n"
                      "    libc.fwrite(part, 1, 1, f); libc.fflush(f)\n"
                      "    part == b'3' or os.fsync(libc.fileno(f))")
        self.cut()
        self.assertEqual(self.files(), {"new": b"12"})

    def test_locks_stay(self):
        """A closed descriptor drops a process' record locks on its file: none may be closed."""
        self.begin({"a": b"0123456789"})
        self.run_code("""
import fcntl
fd = os.open('a', os.O_RDWR | os.O_CREAT)
new = os.open('new', os.O_RDWR | os.O_CREAT)
for locked in (fd, new):
    fcntl.lockf(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
os.pwrite(fd, b'x', 0); os.fsync(fd); sync('.'); os.pwrite(new, b'x', 0); os.fdatasync(new)
if os.fork() == 0:
    for locked in (fd, new):
        try:
            fcntl.lockf(locked, fcntl.LOCK_EX | fcntl.LOCK_NB); os._exit(1)
        except OSError:
            pass
    os._exit(0)
assert os.wait()[1] == 0
""")

    def test_by_append(self):
        self.begin({"a": b"01"})
        self.run_code("fd = os.open('a', os.O_WRONLY | os.O_APPEND); os.write(fd, b'23')\n"
                      "os.fsync(fd); os.write(fd, b'456')")
        self.assertEqual(self.cut(), (3, 0, 0))
        self.assertEqual(self.files(), {"a": b"0123"})

    def test_synced_as_it_is_written(self):
        for flag in ("os.O_DSYNC", "os.O_SYNC"):
            with self.subTest(flag):
                self.begin({"a": b"0123456789"})
                self.run_code("os.pwrite(os.open('a', os.O_WRONLY), b'x', 9)\n"
                              f"os.pwrite(os.open('a', os.O_WRONLY | {flag}), b'NEW', 2)\n"
                              f"put('new', b'N', 0, {flag})")
                self.assertEqual(self.cut(), (1, 0, 0))
                self.assertEqual(self.files(), {"a": b"01NEW56789", "new": b"N"})
        self.begin({"a": b"0123456789"})
        self.run_code("os.pwritev(os.open('a', os.O_WRONLY), [b'NEW'], 2, os.RWF_DSYNC)")
        self.assertEqual(self.cut(), (0, 0, 0))

    def test_only_what_changed_after_the_sync(self):
        self.begin({"a": b"." * 100000})
        self.run_code("fd = os.open('a', os.O_RDWR); os.pwrite(fd, b'x', 70000); os.fsync(fd)\n"
                      "os.pwrite(fd, b'y', 5); os.pwrite(fd, b'z', 99999)")
        self.assertEqual(self.cut(), (2, 0, 0))
        self.assertEqual((self.data / "a").read_bytes(), b"." * 70000 + b"x" + b"." * 29999)

    def test_another_process_syncs(self):
        self.begin({"a": b"0123456789"})
        self.run_code("if os.fork() == 0:\n"
                      "    put('a', b'NEW', 2); os._exit(0)\n"
                      "os.wait(); sync('a')\n"
                      "if os.fork() == 0:\n"
                      "    put('a', b'!', 0); os._exit(0)\n"
                      "os.wait()")
        self.assertEqual(self.cut(), (1, 0, 0))
        self.assertEqual((self.data / "a").read_bytes(), b"01NEW56789")

    def test_outside_of_the_folder(self):
        self.begin({"a": b"1"})
        self.run_code("put('../outside', b'x'); os.write(1, b'')")
        self.assertEqual(self.cut(), (0, 0, 0))
        self.assertEqual((self.top / "outside").read_bytes(), b"x")

    def test_many_processes_at_once(self):
        """Each syncs its own blocks after writing them; what it said it synced is there."""
        code = """
import struct
fd = os.open('a', os.O_RDWR)
for worker in range(8):
    if os.fork() == 0:
        for i in range(1, 101):
            os.pwrite(fd, struct.pack('<I', i) * 1024, worker * 4096)
            if i <= 99:
                os.fsync(fd)
        os._exit(0)
for worker in range(8):
    os.wait()
"""
        self.begin({"a": bytes(8 * 4096)})
        self.run_code(code)
        self.cut()
        data = (self.data / "a").read_bytes()
        for worker in range(8):
            block = data[worker * 4096:(worker + 1) * 4096]
            self.assertIn(int.from_bytes(block[:4], "little"), (99, 100))
            self.assertEqual(block, block[:4] * 1024)


class Lengths(Folder):
    def test_each(self):
        ways = {
            "shorter": ("os.ftruncate(fd, 4)", b"0123"),
            "longer": ("os.ftruncate(fd, 12)", b"0123456789\0\0"),
            "by path": ("os.truncate('a', 4)", b"0123"),
            "allocated": ("os.posix_fallocate(fd, 8, 4)", b"0123456789\0\0"),
            "emptied": ("os.open('a', os.O_WRONLY | os.O_TRUNC)", b""),
            "emptied by stdio": ("open('a', 'w').close()", b""),
            "a hole": ("os.ftruncate(fd, 4); os.pwrite(fd, b'x', 8)", b"0123\0\0\0\0x"),
        }
        for name, (code, after) in ways.items():
            for synced in (False, True):
                with self.subTest(name, synced=synced):
                    self.begin({"a": b"0123456789"})
                    self.run_code("fd = os.open('a', os.O_RDWR)\n" + code +
                                  ("\nos.fsync(fd)" if synced else ""))
                    self.cut()
                    self.assertEqual((self.data / "a").read_bytes(),
                                     after if synced else b"0123456789")


class Names(Folder):
    FILES = {"a": b"A", "b": b"B", "sub/c": b"C"}

    def both(self, code, lost, kept, folders=("'.'",)):
        """The files after a cut, without and with the folders' sync."""
        self.begin(self.FILES)
        self.run_code(code)
        self.cut()
        self.assertEqual(self.files(), lost)
        shutil.rmtree(self.data)
        self.begin(self.FILES)
        self.run_code(code + "".join(f"\nsync({folder})" for folder in folders))
        self.cut()
        self.assertEqual(self.files(), kept)
        shutil.rmtree(self.data)

    def test_made(self):
        self.both("put('new', b'N')", self.FILES, {**self.FILES, "new": b""})

    def test_made_and_synced(self):
        kept = {**self.FILES, "new": b"N"}
        self.both("os.fsync(put('new', b'N'))", kept, kept)

    def test_renamed(self):
        self.both("os.rename('a', 'z')", self.FILES, {"z": b"A", "b": b"B", "sub/c": b"C"})

    def test_replaced(self):
        self.both("os.rename('a', 'b')", self.FILES, {"b": b"A", "sub/c": b"C"})

    def test_replaced_by_a_new_file(self):
        code = "os.fsync(put('new', b'N')); os.rename('new', 'a')"
        self.both(code, {**self.FILES, "new": b"N"}, {**self.FILES, "a": b"N"})

    def test_removed(self):
        self.both("os.unlink('a')", self.FILES, {"b": b"B", "sub/c": b"C"})

    def test_removed_after_a_write(self):
        self.both("put('a', b'X'); os.unlink('a')", self.FILES, {"b": b"B", "sub/c": b"C"})

    def test_removed_and_made_again(self):
        self.both("os.unlink('a'); put('a', b'N')", self.FILES, {**self.FILES, "a": b""})

    def test_linked(self):
        self.both("os.link('a', 'z')", self.FILES, {**self.FILES, "z": b"A"})

    def test_a_new_folder(self):
        code = "os.mkdir('d'); os.mkdir('d/e'); os.fsync(put('d/e/f', b'F'))"
        kept = {**self.FILES, "d/e/f": b"F"}
        self.both(code, kept, kept)
        self.both("os.mkdir('d'); put('d/f', b'F')", self.FILES, {**self.FILES, "d/f": b""},
                  ("'d'", "'.'"))

    def test_a_removed_folder(self):
        self.both("os.unlink('sub/c'); os.rmdir('sub')", self.FILES, {"a": b"A", "b": b"B"})

    def test_a_renamed_folder(self):
        self.both("os.rename('sub', 'bus')", self.FILES, {"a": b"A", "b": b"B", "bus/c": b"C"})

    def test_moved_between_folders(self):
        self.both("os.rename('a', 'sub/a')", self.FILES, {"b": b"B", "sub/a": b"A", "sub/c": b"C"},
                  ("'sub'", "'.'"))

    def test_links(self):
        self.begin(self.FILES)
        self.run_code("os.symlink('a', 'to-a'); os.symlink('b', 'to-b'); sync('.')\n"
                      "os.unlink('to-a'); os.symlink('nowhere', 'lost')")
        self.assertEqual(self.cut()[1], 2)
        self.assertEqual({path.name for path in self.data.iterdir()},
                         {"a", "b", "sub", "to-a", "to-b"})
        self.assertEqual(os.readlink(self.data / "to-a"), "a")

    def test_behind_our_back(self):
        """Names that were changed by a program without the shim are noticed by a sync."""
        self.begin(self.FILES)
        self.run_code("import subprocess\n"
                      "subprocess.run(['mv', 'a', 'z'], env={}, check=True)\nsync('.')")
        self.cut()
        self.assertEqual(self.files(), {"z": b"A", "b": b"B", "sub/c": b"C"})

    def test_owner_and_mode_stay(self):
        self.begin(self.FILES)
        (self.data / "a").chmod(0o640)
        self.data.chmod(0o750)
        self.begin()
        self.run_code("os.fsync(os.open('n', os.O_CREAT | os.O_WRONLY, 0o600))")
        self.cut()
        modes = {name: (self.data / name).stat().st_mode & 0o777 for name in ("a", "n", ".")}
        self.assertEqual(modes, {"a": 0o640, "n": 0o600, ".": 0o750})


class Torn(Folder):
    """With a seed, some of what was not synced is there."""

    def tear(self, seed):
        shutil.rmtree(self.data, ignore_errors=True)
        self.begin({"a": b"." * 64 * SECTOR})
        self.run_code(f"put('a', b'x' * {64 * SECTOR}); put('new', b'N')")
        loss = self.cut(seed)
        return loss, self.files()

    def test_sector_by_sector(self):
        (lost, _, survived), files = self.tear(1)
        sectors = {files["a"][i:i + SECTOR] for i in range(0, 64 * SECTOR, SECTOR)}
        self.assertEqual(sectors, {b"." * SECTOR, b"x" * SECTOR})
        self.assertEqual(files["a"].count(b"x"), survived - files.get("new", b"").count(b"N"))
        self.assertEqual(lost + survived, 64 * SECTOR + 1)

    def test_a_seed_repeats(self):
        self.assertEqual(self.tear(7), self.tear(7))
        self.assertGreater(len({self.tear(seed)[1]["a"] for seed in range(1, 5)}), 1)

    def test_names_too(self):
        self.assertEqual({"new" in self.tear(seed)[1] for seed in range(1, 9)}, {True, False})

    def test_what_was_synced_stays(self):
        for seed in range(1, 6):
            self.begin({"a": b"." * 8 * SECTOR})
            self.run_code(f"fd = put('a', b'x' * {4 * SECTOR}); os.fsync(fd)\n"
                          f"os.pwrite(fd, b'y' * {4 * SECTOR}, {4 * SECTOR})")
            self.cut(seed)
            self.assertEqual((self.data / "a").read_bytes()[:4 * SECTOR], b"x" * 4 * SECTOR)


class Usage(Folder):
    def fails(self, *arguments):
        done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True,
                              check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_refusals(self):
        self.assertIn("usage:", self.fails())
        self.assertIn("usage:", self.fails("cut"))
        self.assertIn("usage:", self.fails("cut", self.top, "0"))
        self.assertIn("usage:", self.fails("cut", self.top, "1x"))
        self.assertIn("cannot find", self.fails("begin", self.top / "nowhere"))

    def test_without_a_begin(self):
        self.data.mkdir()
        done = subprocess.run(["true"], env=self.environment(), capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 255)
        self.assertIn("myqueue-powercut begin", done.stderr)


# ---- databases --------------------------------------------------------------------------


class Clients:
    """Processes that write numbers to a database, and what they say was committed."""

    def __init__(self, commands, environment=None):
        self.acknowledged = []
        self.grown = threading.Condition()
        self.processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, text=True)
                          for command in commands]
        self.threads = [threading.Thread(target=self.read, args=(process,))
                        for process in self.processes]
        for thread in self.threads:
            thread.start()

    def read(self, process):
        for line in process.stdout:
            if line.endswith("\n") and line.strip().isdigit():
                with self.grown:
                    self.acknowledged.append(int(line))
                    self.grown.notify_all()

    def wait(self, count):
        with self.grown:
            assert self.grown.wait_for(lambda: len(self.acknowledged) >= count, LIMIT_S)

    def end(self, number=None):
        """Wait for their end, or end them; all that they said is read."""
        for process in self.processes:
            if number is not None:
                process.send_signal(number)
        for process, thread in zip(self.processes, self.threads):
            process.wait(LIMIT_S)
            thread.join(LIMIT_S)
            process.stdout.close()
        return set(self.acknowledged)


SQLITE_CLIENT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
db.execute('PRAGMA journal_mode = ' + sys.argv[2]); db.execute('PRAGMA synchronous = ' + sys.argv[3])
db.execute('PRAGMA wal_autocheckpoint = ' + ('40' if sys.argv[3] == 'FULL' else '1000'))
for i in range(int(sys.argv[4]), 1 << 40, 2):
    db.execute('INSERT INTO t VALUES (?, ?)', (i, 'x' * 300))
    print(i, flush=True)
"""


class SQLite(Folder):
    def lost(self, journal, synchronous, cuts=CUTS, torn=False):
        """How many acknowledged rows are gone after some cuts; the file is sound each time."""
        chance = random.Random(5)
        path = self.data / "db"
        self.data.mkdir(exist_ok=True)
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = " + journal)
        db.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, text TEXT)")
        db.commit()
        db.close()
        self.begin()
        there, gone = set(), 0
        for number in range(1, cuts + 1):
            first = max(there, default=0) + 1000
            clients = Clients([[sys.executable, "-c", SQLITE_CLIENT, path, journal, synchronous,
                                str(first + k)] for k in (0, 1)], self.environment())
            clients.wait(chance.randrange(20, 150))
            acknowledged = clients.end(signal.SIGKILL) | there
            self.cut(*([number] if torn else []))
            db = sqlite3.connect(path)
            if synchronous in ("FULL", "EXTRA"):
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            try:
                there = {i for i, in db.execute("SELECT i FROM t")}
            except sqlite3.DatabaseError:
                return gone + len(acknowledged)  # it is broken: all is gone
            finally:
                db.close()
            self.begin()
            gone += len(acknowledged - there)
        return gone

    def test_full_loses_nothing(self):
        self.assertEqual(self.lost("WAL", "FULL"), 0)

    def test_extra_with_a_journal_loses_nothing(self):
        self.assertEqual(self.lost("DELETE", "EXTRA"), 0)

    def test_full_with_a_journal_loses_the_last(self):
        """A commit is then the removal of the journal, which FULL, unlike EXTRA, does not sync."""
        self.assertGreater(self.lost("DELETE", "FULL", cuts=2), 0)

    def test_loses_nothing_when_torn(self):
        self.assertEqual(self.lost("WAL", "FULL", torn=True), 0)
        shutil.rmtree(self.data)
        self.assertEqual(self.lost("DELETE", "EXTRA", torn=True), 0)

    def test_normal_loses_the_last(self):
        self.assertGreater(self.lost("WAL", "NORMAL", cuts=2), 0)

    def test_off_loses(self):
        self.assertGreater(self.lost("DELETE", "OFF", cuts=2), 0)


class PostgreSQL(Folder):
    """One server for a test: tools/postgres, its data in the folder."""

    def setUp(self):
        super().setUp()
        subprocess.run([ROOT / "tools/postgres", "init", self.top], check=True)
        self.server = None
        self.addCleanup(self.quit)

    def start(self, *settings):
        log = open(self.top / "log", "ab")
        arguments = [argument for setting in settings for argument in ("-c", setting)]
        self.server = subprocess.Popen(
            [ROOT / "tools/postgres", "run", self.top, "", *arguments], stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, env=self.environment())
        log.close()
        subprocess.run([ROOT / "tools/postgres", "wait", self.top], check=True)

    def quit(self):
        """A killed server would leave its shared memory behind."""
        if self.server:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait(LIMIT_S)

    def kill(self):
        """All at once: first nobody runs any more, then nobody is."""
        if self.server is None:
            return
        pids = [self.server.pid]
        os.kill(self.server.pid, signal.SIGSTOP)
        for pid in pids:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pids += map(int, children)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)
        self.server.wait()
        self.server = None
        # Held by each of its processes until it is gone.
        subprocess.run(["flock", "-w", str(LIMIT_S), self.top / "lock", "true"], check=True)

    def psql(self, *arguments):
        return ["psql", "-XqAt", "-h", str(self.top), "-U", "myqueue", "-d", "myqueue",
                "-v", "ON_ERROR_STOP=1", *arguments]

    def ask(self, sql):
        return subprocess.run(self.psql("-c", sql), check=True, stdout=subprocess.PIPE, text=True,
                              timeout=LIMIT_S).stdout.split()

    def clients(self, first, count):
        """Each inserts a number, is told that it was committed, and inserts the next."""
        sql = self.top / "sql"
        sql.mkdir(exist_ok=True)
        for k in range(4):
            (sql / str(k)).write_text("".join(
                f"INSERT INTO t VALUES ({first + 4 * i + k}, repeat('x', 300)) RETURNING i;\n"
                for i in range(count)))
        return Clients([self.psql("-f", str(sql / str(k))) for k in range(4)])

    def lost(self, *settings, cuts=CUTS, torn=False):
        chance = random.Random(6)
        self.begin()
        self.start(*settings)
        self.ask("CREATE TABLE t (i bigint PRIMARY KEY, text text)")
        there, gone = set(), 0
        for number in range(1, cuts + 1):
            clients = self.clients(max(there, default=0) + 1000, 100000)
            clients.wait(chance.randrange(50, 1500))
            if number % 3 == 0:
                subprocess.run(self.psql("-U", "postgres", "-c", "CHECKPOINT"), check=True)
            self.kill()
            acknowledged = clients.end() | there
            self.cut(*([number] if torn else []))
            self.start(*settings)
            if not self.ask("SELECT 1 FROM pg_class WHERE relname = 't'"):
                return gone + len(acknowledged)
            there = set(map(int, self.ask("SELECT i FROM t")))
            gone += len(acknowledged - there)
        return gone

    def test_loses_nothing(self):
        self.assertEqual(self.lost(), 0)

    def test_loses_nothing_when_torn(self):
        self.assertEqual(self.lost(torn=True), 0)

    def test_without_synchronous_commit(self):
        self.assertGreater(self.lost("synchronous_commit=off", cuts=2), 0)

    def test_without_fsync(self):
        self.assertGreater(self.lost("fsync=off", cuts=1), 0)


if __name__ == "__main__":
    sys.exit(counted.main(warnings="ignore"))
