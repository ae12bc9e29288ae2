#!/usr/bin/python3
"""test_load.py - the load generator against real servers: it counts what it is told to do, and
whatever is no success makes it fail. No speed is asserted. Ends with `N passed, N failed`."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import counted  # noqa: E402
from servers import BUILD, Bare, Broker  # noqa: E402

LOAD = os.path.join(BUILD, "bench/load")
SHORT = ("--duration-ms", "200", "--warmup-ms", "50")


def load(address, *words):
    """Exit code, the object that it printed (None: nothing), and what it complained of."""
    done = subprocess.run([LOAD, "--target", address, *words], capture_output=True, text=True,
                          timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


class Answers:
    """A server that answers whatever comes with the given bytes, and then closes."""

    def __init__(self, answer):
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="myqueue-test-load-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.broker = Broker(cls.folder.name, "memory:")
        cls.enterClassContext(cls.broker)

    def good(self, *words):
        code, outcome, complaint = load(self.broker.address, *words)
        self.assertEqual((code, complaint), (0, ""), outcome)
        self.assertEqual(outcome["errors"], 0)
        if "--messages" in words:
            measured = sum(count for _, count in outcome["histogram"])
            self.assertEqual(measured, outcome["requests"])
        return outcome

    def topics(self):
        with urllib.request.urlopen("http://%s/topics" % self.broker.address) as reply:
            return json.load(reply)["topics"]

    def test_so_many_messages_are_stored_and_read(self):
        outcome = self.good("--topic", "count", "--messages", "1000", "--connections", "7")
        self.assertEqual((outcome["messages"], outcome["requests"]), (1000, 1000))
        outcome = self.good("--topic", "count", "--mode", "consume", "--messages", "1000",
                            "--connections", "3")
        self.assertEqual((outcome["messages"], outcome["requests"]), (1000, 1000))

    def test_batches_count_by_their_messages(self):
        outcome = self.good("--topic", "batch", "--batch", "50", "--messages", "1000",
                            "--connections", "4")
        self.assertEqual((outcome["messages"], outcome["requests"]), (1000, 20))
        outcome = self.good("--topic", "batch", "--mode", "consume", "--max", "100",
                            "--messages", "1000", "--connections", "1")
        self.assertEqual((outcome["messages"], outcome["requests"]), (1000, 10))

    def test_plain_consumers_read_to_the_end(self):
        self.good("--topic", "plain", "--messages", "300", "--connections", "3")
        outcome = self.good("--topic", "plain", "--mode", "consume", "--consume", "plain",
                            "--messages", "300", "--connections", "1")
        self.assertEqual(outcome["messages"], 300)

    def test_a_log_that_ends_early_is_told(self):
        self.good("--topic", "early", "--messages", "10", "--connections", "1")
        code, outcome, complaint = load(self.broker.address, "--topic", "early", "--mode",
                                        "consume", "--messages", "20", "--connections", "1")
        self.assertEqual((code, outcome["messages"]), (1, 10))
        self.assertIn("ended early", complaint)

    def test_topics_share_the_load(self):
        self.good("--topic", "many", "--topics", "20", "--messages", "40", "--connections", "4")
        self.assertEqual(len([t for t in self.topics() if t.startswith("many-")]), 20)
        outcome = self.good("--topic", "many", "--topics", "20", "--mode", "consume",
                            "--messages", "40", "--connections", "20")
        self.assertEqual(outcome["messages"], 40)

    def test_every_delivery_is_measured_once(self):
        outcome = self.good("--mode", "deliver", "--connections", "5", "--messages", "200",
                            "--idle", "20")
        self.assertEqual((outcome["messages"], outcome["requests"]), (200, 200))

    def test_an_open_loop_keeps_its_schedule(self):
        outcome = self.good("--topic", "open", "--rate", "500", "--messages", "200",
                            "--threads", "2", "--connections", "8")
        self.assertEqual(outcome["requests"], 200)
        self.assertGreaterEqual(outcome["duration_s"], 0.39)  # the last is due 398 ms after the first

    def test_timed_runs_end_without_errors(self):
        for words in ((), ("--idle", "10"), ("--threads", "3"), ("--rate", "1000"),
                      ("--mode", "deliver", "--rate", "200")):
            self.assertGreaterEqual(self.good("--topic", "timed", *SHORT, *words)["duration_s"],
                                    0.2)

    def test_the_bare_server_answers_both_ways(self):
        for mode in (("--mode", "internal"), ("--mode", "external")):
            with Bare(self.folder.name, mode) as server:
                for request in ("post", "get"):
                    code, outcome, complaint = load(server.address, "--protocol", "http", "--mode",
                                                    request, "--messages", "500",
                                                    "--connections", "5")
                    self.assertEqual((code, complaint, outcome["requests"]), (0, "", 500))

    def test_what_is_no_success_fails_the_run(self):
        body = b'{"status": "failure"}'
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n"
        answers = {b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}": "success",
                   head % (b"200 OK", len(body)) + body: "success",  # no offset
                   b"SSH-2.0-OpenSSH\r\n\r\n": "not understood",
                   b"": "closed"}
        for answer, words in answers.items():
            with Answers(answer) as server:
                code, outcome, complaint = load(server.address, "--protocol", "http", "--mode",
                                                "post", "--connections", "1", *SHORT)
            self.assertEqual((code, outcome["messages"]), (1, 0), answer)
            self.assertGreater(outcome["errors"], 0)
            self.assertIn(words, complaint)

    def test_nobody_there_is_one_clear_line(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
        code, outcome, complaint = load(address)
        self.assertEqual((code, outcome), (1, None))
        self.assertIn("cannot connect to " + address, complaint)

    def test_bad_usage_is_told(self):
        for words in (("--mode", "nonsense"), ("--protocol", "nonsense"), ("--topic", "a b"),
                      ("--connections", "0"), ("--protocol", "http", "--mode", "post", "--idle",
                                               "1")):
            code, outcome, complaint = load(self.broker.address, *words)
            self.assertEqual((code, outcome), (2, None), words)
            self.assertEqual(len(complaint.splitlines()), 1, complaint)


if __name__ == "__main__":
    sys.exit(counted.main(verbosity=2))
