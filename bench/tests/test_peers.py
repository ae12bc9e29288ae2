#!/usr/bin/python3
"""test_peers.py - what load says to the peers, to servers made up here and to those that are
installed. No speed is asserted. Ends with `N passed, N failed`."""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

BENCH = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, BENCH)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import counted  # noqa: E402
import peer  # noqa: E402


def frame(method, arguments=b""):
    """An AMQP method on channel 1."""
    payload = struct.pack(">HH", *method) + arguments
    return struct.pack(">BHI", 1, 1, len(payload)) + payload + b"\xce"


CONFIRM = frame((60, 80), struct.pack(">QB", 1, 0))
PREPARED = frame((10, 10), bytes(20)) + frame((20, 11), bytes(4)) + frame((50, 11), bytes(13))
CREATED = b'{"type":"io.nats.jetstream.api.v1.stream_create_response","name":"bench"}'
GREETING = b'INFO {"server_id":"x"}\r\nPING\r\n'

# protocol: (what a request ends with, answer, answer that is no success, greeting, what asks for
# a stream or queue, its answer)
PROTOCOLS = {
    "redis": (b"uvwxyz\r\n", b"$15\r\n1526919030474-0\r\n", b"-ERR full\r\n", b"", None, b""),
    "beanstalk": (b"uvwxyz\r\n", b"INSERTED 7\r\n", b"OUT_OF_MEMORY\r\n", b"", None, b""),
    "nats": (b"uvwxyz\r\n", b'MSG _INBOX.0 1 26\r\n{"stream":"bench","seq":1}\r\n',
             b'MSG _INBOX.0 1 11\r\n{"error":1}\r\n', GREETING, b"$JS.API.STREAM.CREATE",
             b"MSG _INBOX.create 1 %d\r\n%s\r\n" % (len(CREATED), CREATED)),
    "amqp": (b"uvwxyz\xce", CONFIRM, frame((60, 120), struct.pack(">QB", 1, 0)),
             frame((10, 10), bytes(20)), struct.pack(">HH", 50, 10), PREPARED),
}


class Server(threading.Thread):
    """Answers each request of a protocol, in two pieces; then what `bad` says, if it says any."""

    def __init__(self, protocol, bad=None):
        super().__init__(daemon=True)
        self.end, self.good, _, self.greeting, self.creates, self.created = PROTOCOLS[protocol]
        self.bad = bad
        self.socket = socket.create_server((peer.HOST, 0))
        self.port = self.socket.getsockname()[1]

    def run(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        received = b""
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(self.greeting)
            while True:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
                if self.creates and self.creates in received:
                    connection.sendall(self.created)
                    received = b""
                if self.end in received:
                    received = received.split(self.end, 1)[1]
                    answer = self.bad or self.good
                    connection.sendall(answer[:9])
                    connection.sendall(answer[9:])

    def __exit__(self, *exception):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join()

    def __enter__(self):
        self.start()
        return self


def load(protocol, port):
    return subprocess.run(
        [peer.LOAD, "--target", "%s:%d" % (peer.HOST, port), "--protocol", protocol,
         "--message-bytes", "78", "--connections", "1", "--messages", "50", "--threads", "1"],
        capture_output=True, text=True, timeout=60)


class Protocols(unittest.TestCase):
    def test_every_answer_counts_once_though_it_comes_in_pieces(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol), Server(protocol) as server:
                done = load(protocol, server.port)
                self.assertEqual(done.returncode, 0, done.stderr)
                result = json.loads(done.stdout)
                self.assertEqual((result["messages"], result["errors"]), (50, 0))

    def test_a_refusal_makes_the_run_fail(self):
        for protocol, spoken in PROTOCOLS.items():
            with self.subTest(protocol), Server(protocol, bad=spoken[2]) as server:
                done = subprocess.run(
                    [peer.LOAD, "--target", "%s:%d" % (peer.HOST, server.port), "--protocol",
                     protocol, "--message-bytes", "78", "--connections", "1", "--duration-ms",
                     "100", "--warmup-ms", "0"], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 1, done.stdout[:300])
                self.assertIn("not a success", done.stderr)

    def test_what_is_not_the_protocol_is_given_up(self):
        for protocol in ("redis", "nats", "amqp"):
            with self.subTest(protocol), Server(protocol, bad=b"HTTP/1.1 400\r\n\r\n") as server:
                done = load(protocol, server.port)
                self.assertEqual(done.returncode, 1)
                self.assertIn("not understood", done.stderr)


class Absent(peer.Peer):
    name, program = "Absent", "no-such-program"


class Scripts(unittest.TestCase):
    def test_a_peer_that_is_not_installed_says_so(self):
        with self.assertRaises(peer.NotInstalled):
            Absent.check_installed()

    def run_one(self, name):
        """The script is to leave no process, whether or not it has anything to run."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o711)  # for servers that run as a user of their own
            done = subprocess.run(
                [os.path.join(BENCH, "peers", name), "--connections", "4", "--duration", "0.3",
                 "--data", os.path.join(folder, "data")],
                capture_output=True, text=True, timeout=180)
            if done.returncode == peer.EXIT_NOT_INSTALLED:
                self.skipTest(done.stderr.strip())
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(running_in(folder), [])
        result = json.loads(done.stdout)
        self.assertEqual((result["connections"], result["errors"]), (4, 0))
        self.assertGreater(result["messages"], 0)
        for field in ("name", "version", "setting", "histogram", "latency_us"):
            self.assertTrue(result[field], field)

    def test_redis(self):
        self.run_one("redis.py")

    def test_beanstalkd(self):
        self.run_one("beanstalkd.py")

    def test_nats(self):
        self.run_one("nats.py")

    def test_rabbitmq(self):
        self.run_one("rabbitmq.py")

    def test_pgq(self):
        self.run_one("pgq.py")


def running_in(folder):
    """Command lines of processes that name the folder or have it open as theirs."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid) as f:
                words = f.read()
            if folder in words or os.readlink("/proc/%s/cwd" % pid).startswith(folder):
                found.append(words)
        except OSError:
            pass  # it has just ended, or is not ours to look at
    return found


if __name__ == "__main__":
    sys.exit(counted.main(verbosity=2))
