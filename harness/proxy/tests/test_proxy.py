#!/usr/bin/python3
"""myqueue-proxy alone, between a client and a small server, both of this file: what passes, what
is lost, delayed and broken in each mode, and that what it hit is counted."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tools"))

import counted

PROXY = os.path.abspath(os.path.join(os.environ.get("BUILD", "build"), "myqueue-proxy"))
LIMIT_S = 20  # for what must happen at all


class Server:
    """Answers a line with `NAME:` and the line. It notes what it was asked, and who left."""

    def __init__(self, address, name):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.name, self.asked, self.left = name, [], []
        self.changed = threading.Condition()
        self.answering = threading.Event()
        self.answering.set()
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def note(self, notes, what):
        with self.changed:
            notes.append(what)
            self.changed.notify_all()

    def wait(self, notes, what):
        with self.changed:
            return self.changed.wait_for(lambda: what in notes, LIMIT_S)

    def serve(self, connection):
        line = b""
        try:
            for line in connection.makefile("rb"):
                self.note(self.asked, line)
                self.answering.wait(LIMIT_S)
                connection.sendall(self.name + b":" + line)
            self.note(self.left, "end")
        except ConnectionResetError:
            self.note(self.left, "reset")
        connection.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy(unittest.TestCase):
    paths = False  # are both sides sockets in the file system?

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.server = self.make_server("server", b"one")
        self.listen = self.address("proxy")
        self.process = subprocess.Popen(
            [PROXY, "--listen", self.text(self.listen), "--to", self.text(self.to),
             "--control", "unix:" + self.path("control")])
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.until(self.try_control)

    def tearDown(self):
        self.process.kill()
        self.process.wait()
        self.control.close()
        self.server.listener.close()
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def address(self, name):
        return self.path(name) if self.paths else ("127.0.0.1", free_port())

    def text(self, address):
        return "unix:" + address if self.paths else "%s:%d" % address

    def make_server(self, path, name):
        self.to = self.address(path)
        return Server(self.to, name)

    def until(self, condition):
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, condition)
            time.sleep(0.002)

    def try_control(self):
        try:
            self.control.connect(self.path("control"))
            return True
        except OSError:
            return False

    def say(self, command):
        """Its counters."""
        self.control.send(command.encode())
        answer = self.control.recv(1000).decode()
        self.assertTrue(answer.startswith("ok"), answer)
        return {key: int(value) for key, value in (w.split("=") for w in answer.split()[1:])}

    def connect(self):
        client = socket.socket(socket.AF_UNIX if self.paths else socket.AF_INET)
        self.addCleanup(client.close)
        client.settimeout(LIMIT_S)
        client.connect(self.listen)
        return client

    def ask(self, client, line):
        client.sendall(line)
        return self.answer(client)

    @staticmethod
    def answer(client):
        answer = b""
        while not answer.endswith(b"\n"):
            part = client.recv(65536)
            if not part:
                return answer
            answer += part
        return answer

    def broken(self, client):
        """How a client learns that its connection is no more."""
        try:
            return "end" if client.recv(1) == b"" else "bytes"
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "silence"

    def test_passes_both_ways_and_counts(self):
        clients = [self.connect() for _ in range(3)]
        for client in clients:
            self.assertEqual(self.ask(client, b"a\n"), b"one:a\n")
        counts = self.say("counters")
        self.assertEqual((counts["open"], counts["in_flight"], counts["accepted"]), (3, 0, 3))

    def test_passes_much(self):
        client = self.connect()
        line = os.urandom(2_000_000).replace(b"\n", b" ") + b"\n"
        sender = threading.Thread(target=client.sendall, args=(line,))
        sender.start()
        self.assertEqual(self.answer(client), b"one:" + line)
        sender.join()

    def test_passes_the_end_of_one_side(self):
        client = self.connect()
        client.sendall(b"last\n")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.answer(client), b"one:last\n")
        self.assertEqual(self.broken(client), "end")
        self.assertTrue(self.server.wait(self.server.left, "end"))
        self.until(lambda: self.say("counters")["open"] == 0)

    def test_a_server_that_is_away_is_a_reset(self):
        self.server.listener.close()
        if self.paths:
            os.unlink(self.to)
        else:
            self.say("to 127.0.0.1:%d" % free_port())
        try:
            self.assertEqual(self.broken(self.connect()), "end" if self.paths else "reset")
        except ConnectionResetError:  # as early as that
            pass

    def test_lose_reply(self):
        client = self.connect()
        self.ask(client, b"a\n")
        self.say("lose-reply")
        client.sendall(b"b\n")
        self.assertEqual(self.broken(client), "end")
        self.assertIn(b"b\n", self.server.asked)
        self.assertEqual(self.say("pass")["hit"], 1)
        self.assertEqual(self.ask(self.connect(), b"c\n"), b"one:c\n")

    def test_lose_reply_hits_what_was_asked_before(self):
        client = self.connect()
        self.server.answering.clear()
        client.sendall(b"a\n")
        self.server.wait(self.server.asked, b"a\n")
        self.assertEqual(self.say("lose-reply")["in_flight"], 1)
        self.server.answering.set()
        self.assertEqual(self.broken(client), "end")
        self.assertEqual(self.say("pass")["hit"], 1)

    def test_delay(self):
        client = self.connect()
        self.say("delay 60")
        begin = time.monotonic()
        self.assertEqual(self.ask(client, b"a\n"), b"one:a\n")
        self.assertGreaterEqual(time.monotonic() - begin, 0.12)
        self.assertEqual(self.say("pass")["hit"], len(b"a\none:a\n"))

    def test_what_is_delayed_goes_at_once_when_it_ends(self):
        client = self.connect()
        self.say("delay 1000000")
        client.sendall(b"a\n")
        self.until(lambda: self.say("counters")["hit"] > 0)
        self.say("pass")
        self.assertEqual(self.answer(client), b"one:a\n")

    def test_trickle(self):
        client = self.connect()
        self.say("trickle 10000")
        line = b"x" * 1999 + b"\n"
        begin = time.monotonic()
        self.assertEqual(self.ask(client, line), b"one:" + line)
        # 2,000 bytes and 2,004, of which 500 each may come at once.
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)
        self.assertEqual(self.say("pass")["hit"], 2 * len(line) + 4)

    def test_cut(self):
        client = self.connect()
        self.ask(client, b"a\n")
        self.say("cut")
        self.assertEqual(self.broken(client), "end")
        with self.assertRaises(OSError) as refused:
            self.connect()
        self.assertIsInstance(refused.exception, (ConnectionRefusedError, FileNotFoundError))
        self.assertEqual(self.say("pass")["hit"], 1)
        self.assertEqual(self.ask(self.connect(), b"b\n"), b"one:b\n")

    def test_half_open(self):
        client, other = self.connect(), self.connect()
        self.ask(client, b"a\n")
        self.ask(other, b"a\n")
        self.say("half-open")
        client.sendall(b"b\n")
        late = self.connect()
        late.sendall(b"c\n")
        self.until(lambda: self.say("counters")["hit"] == 4)
        client.settimeout(0.05)
        self.assertEqual(self.broken(client), "silence")
        client.settimeout(LIMIT_S)
        self.say("pass")
        self.assertEqual(self.broken(client), "reset" if not self.paths else "end")
        self.assertEqual(self.broken(late), "reset" if not self.paths else "end")
        self.assertEqual(self.ask(other, b"d\n"), b"one:d\n")
        self.assertNotIn(b"b\n", self.server.asked)

    def test_reset(self):
        client = self.connect()
        self.ask(client, b"a\n")
        self.say("reset")
        self.assertIn(self.broken(client), ["reset"] if not self.paths else ["end", "reset"])
        late = self.connect()
        late.sendall(b"b\n")
        self.assertIn(self.broken(late), ["reset"] if not self.paths else ["end", "reset"])
        quiet = self.connect()
        self.until(lambda: self.say("counters")["accepted"] == 3)
        self.assertEqual(self.say("pass")["hit"], 2)
        self.assertEqual(self.ask(quiet, b"c\n"), b"one:c\n")
        self.assertNotIn(b"b\n", self.server.asked)

    def test_to_another_server(self):
        old = self.connect()
        self.ask(old, b"a\n")
        second = self.make_server("second", b"two")
        self.say("to " + self.text(self.to))
        self.assertEqual(self.ask(self.connect(), b"b\n"), b"two:b\n")
        self.assertEqual(self.ask(old, b"c\n"), b"one:c\n")
        second.listener.close()

    def test_abandon_leaves_the_server_alone(self):
        busy, idle = self.connect(), self.connect()
        self.ask(idle, b"a\n")
        self.server.answering.clear()
        busy.sendall(b"b\n")
        self.server.wait(self.server.asked, b"b\n")
        self.assertEqual(self.say("abandon")["hit"], 1)
        for client in busy, idle:
            self.assertIn(self.broken(client), ["reset"] if not self.paths else ["end", "reset"])
        self.assertEqual(self.say("counters")["in_flight"], 1)
        self.server.answering.set()
        self.until(lambda: self.say("counters")["in_flight"] == 0)
        self.assertEqual(self.say("counters")["open"], 2)
        self.assertEqual(self.server.left, [])

    def test_what_is_no_command_is_told_so(self):
        for command in "fly", "delay", "delay x", "delay 0", "cut 5", "to nowhere", "counters 1":
            self.control.send(command.encode())
            answer = self.control.recv(1000).decode()
            self.assertTrue(answer.startswith("error "), (command, answer))


class ProxyOfPaths(Proxy):
    paths = True


class Usage(unittest.TestCase):
    def test_bad_addresses(self):
        for address in "nowhere", "127.0.0.1:0", "127.0.0.1:70000", "localhost:80", "unix:":
            done = subprocess.run([PROXY, "--listen", address, "--to", "127.0.0.1:1", "--control",
                                   "unix:/nowhere/x"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 254, address)
            self.assertIn("'%s' is no address" % address, done.stderr)


if __name__ == "__main__":
    sys.exit(counted.main(warnings="ignore"))
