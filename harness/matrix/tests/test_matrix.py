#!/usr/bin/python3
"""The matrix and the soak: what a seed draws, what a shrinker keeps, and, with the programs of
$BUILD, that a soak finds a planted failure and shrinks it."""

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import replace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(HERE, "..", "..", "..", "tools")]

import counted
import schedule
import shrink


def processes_naming(folder):
    """The command lines with it in them, our own left out."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read().decode(errors="replace")
        except OSError:
            continue
        if folder in words:
            found.append(words.replace("\0", " "))
    return found


def mixed(seed=7):
    return schedule.draw_mixed(seed, ("postgres", "sqlite"))


class Draw(unittest.TestCase):
    def test_a_seed_gives_the_same_again(self):
        self.assertEqual(mixed(), mixed())
        self.assertNotEqual(mixed(7), mixed(8))

    def test_every_drawn_fault_is_of_a_row(self):
        rows = {kind.name: kind for kind in schedule.KINDS}
        for seed in range(300):
            drawn = mixed(seed)
            for fault in drawn.faults:
                self.assertTrue(rows[fault.row].fits(drawn.store), fault)

    def test_every_row_is_drawn(self):
        drawn = {fault.row for seed in range(600) for fault in mixed(seed).faults}
        self.assertEqual(drawn, {kind.name for kind in schedule.KINDS
                                 if kind.runtime == "process"})

    def test_what_is_drawn_belongs_together(self):
        for seed in range(200):
            drawn = mixed(seed)
            moments = [fault.acks for fault in drawn.faults]
            self.assertEqual(moments, sorted(set(moments)))
            self.assertLess(moments[-1], drawn.lines())
            for topic, (producers, consumers) in drawn.topics.items():
                self.assertTrue(producers and consumers)
                self.assertEqual(producers, sorted(set(producers)))
            for producer, log in drawn.logs.items():
                self.assertEqual({topic for topic, _ in log},
                                 {t for t, (ps, _) in drawn.topics.items() if producer in ps})


    def test_seeks_are_drawn_and_fit(self):
        seeks = [(drawn, seek) for drawn in map(mixed, range(200)) for seek in drawn.seeks]
        self.assertTrue(any(seek.offset < seek.after for _, seek in seeks))
        self.assertTrue(any(seek.offset > seek.after for _, seek in seeks))
        for drawn, seek in seeks:
            self.assertIn(seek.consumer, drawn.topics[seek.topic][1])
            self.assertLessEqual(max(seek.after, seek.offset),
                                 schedule.messages(drawn.logs, seek.topic))
            self.assertIn(seek.line() + "\n", drawn.conf())


    def test_retention_is_drawn_without_seeks(self):
        retained = [drawn for drawn in map(mixed, range(200)) if drawn.retention]
        self.assertTrue(10 < len(retained) < 100, len(retained))
        for drawn in retained:
            self.assertEqual(drawn.seeks, ())
            self.assertIn("\nretention_bytes = %d\n" % drawn.retention, drawn.conf())


class Shrink(unittest.TestCase):
    """With failures that need no run."""

    def shrink(self, drawn, fails):
        self.told = []
        return shrink.shrink(drawn, fails, self.told.append, lambda: True)

    def test_to_the_fault_that_does_it(self):
        for seed in range(30):
            drawn = mixed(seed)
            culprit = drawn.faults[-1].words
            found = self.shrink(drawn, lambda s: any(f.words == culprit for f in s.faults))
            self.assertEqual([f.words for f in found.faults], [culprit])
            self.assertLess(found.lines(), 2 * shrink.LINES_MIN)

    def test_keeps_what_is_needed(self):
        for seed in range(30):
            drawn = mixed(seed)
            producer, topic = max(drawn.logs), drawn.logs[max(drawn.logs)][0][0]
            found = self.shrink(drawn, lambda s: producer in s.logs and topic in s.topics)
            self.assertIn(producer, found.logs)
            self.assertIn(topic, found.topics)
            self.assertEqual(len(found.logs), 1)

    def test_retention_goes_where_it_is_not_needed(self):
        drawn = next(drawn for drawn in map(mixed, range(200)) if drawn.retention)
        self.assertEqual(self.shrink(drawn, lambda s: bool(s.logs)).retention, 0)
        self.assertEqual(self.shrink(drawn, lambda s: bool(s.retention)).retention, drawn.retention)

    def test_seeks_are_kept_where_they_are_needed(self):
        drawn = next(drawn for drawn in map(mixed, range(200)) if drawn.seeks)
        found = self.shrink(drawn, lambda s: bool(s.seeks))
        self.assertEqual(len(found.seeks), 1)
        self.assertEqual(self.shrink(drawn, lambda s: True).seeks, ())

    def test_a_killed_client_is_not_left_out(self):
        fault = schedule.Fault(10, "kill producer 1, restart after 50 ms")
        drawn = replace(mixed(), faults=(fault,))
        found = self.shrink(drawn, lambda s: bool(s.faults))
        self.assertEqual((list(found.logs), len(found.faults)), ([1], 1))

    def test_what_fails_no_more_is_not_taken(self):
        drawn = mixed()
        self.assertEqual(self.shrink(drawn, lambda s: False), drawn)
        self.assertEqual(self.told, [])


class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.reports = folder.name

    def program(self, name, *arguments):
        return subprocess.run([sys.executable, os.path.join(HERE, "..", name), "--reports",
                               self.reports, *arguments], capture_output=True, text=True, check=False)

    def result(self):
        with open(os.path.join(self.reports, "latest", "result.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_a_soak_finds_and_shrinks_a_planted_failure(self):
        """The memory store forgets when its broker is killed."""
        done = self.program("soak.py", "--minutes", "1", "--stores", "memory", "--seed", "1",
                            "--faults", "kill broker", "--shrink-minutes", "1")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        result = self.result()
        self.assertEqual(result["verdict"], "invalid")
        self.assertEqual(result["shrunk"]["faults"], 1)
        self.assertLess(result["shrunk"]["messages"], result["failing"]["messages"])
        self.assertIn(result["failing"]["command"], done.stdout)
        command = result["shrunk"]["command"].split()
        again = subprocess.run([*command, "--reports", os.path.join(self.reports, "again")],
                               cwd=os.path.join(HERE, "..", "..", ".."), capture_output=True,
                               text=True, check=False)
        self.assertEqual(again.returncode, 1, again.stdout + again.stderr)

    def test_a_row_of_the_matrix(self):
        done = self.program("faults.py", "--seed", "3", "--seeds", "2", "--faults", "kill broker",
                            "--stores", "sqlite")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        cell, = self.result()["cells"]
        self.assertEqual([run["verdict"] for run in cell["runs"]], ["valid", "valid"])
        with open(os.path.join(self.reports, "latest", "index.html"), encoding="utf-8") as file:
            self.assertIn("kill broker", file.read())
        self.assertEqual(len(glob.glob(os.path.join(self.reports, "latest", "runs", "*", "*",
                                                    "report.html"))), 2)

    def test_a_few_rows_on_postgres(self):
        done = self.program("faults.py", "--stores", "postgres", "--faults", "replace broker,"
                            "lose-reply clients,reset clients,cut store,half-open store")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        hits = [set(cell["runs"][0]["hits"]) for cell in self.result()["cells"]]
        self.assertIn({"replies lost"}, hits)
        self.assertIn({"connections cut"}, hits)

    def test_what_fails_is_told_with_its_command(self):
        done = self.program("faults.py", "--faults", "kill broker", "--stores", "memory")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("repeat: ", done.stdout)

    def interrupted(self, number, done_one, name, *arguments):
        """Sent a signal once a run was done; its output, and its result.json."""
        child = subprocess.Popen([sys.executable, os.path.join(HERE, "..", name), "--reports",
                                  self.reports, *arguments], stdout=subprocess.PIPE, text=True)
        while not done_one(child):
            self.assertIsNone(child.poll())
        child.send_signal(number)
        output = child.communicate()[0]
        self.assertEqual(child.returncode, 130, output)
        self.assertEqual(processes_naming(self.reports), [])
        self.assertFalse(os.path.lexists(os.path.join(self.reports, "latest")))
        path, = glob.glob(os.path.join(self.reports, "*", "result.json"))
        with open(path, encoding="utf-8") as file:
            return output, json.load(file), os.path.dirname(path)

    def test_an_interrupted_matrix_tells_what_was_done(self):
        output, result, folder = self.interrupted(
            signal.SIGTERM, lambda child: child.stdout.readline().startswith("[1/"), "faults.py",
            "--seeds", "500", "--faults", "kill broker", "--stores", "sqlite")
        self.assertTrue(result["interrupted"])
        done = len(result["cells"][0]["runs"])
        self.assertTrue(1 <= done < 500)
        with open(os.path.join(folder, "index.html"), encoding="utf-8") as file:
            text = file.read()
        for words in "Valid so far", "interrupted, so %d of 500 runs are missing" % (500 - done):
            self.assertIn(words, text)
            self.assertIn(words, output)

    def test_an_interrupted_soak_tells_what_was_done(self):
        def done_one(_):
            for path in glob.glob(os.path.join(self.reports, "*", "result.json")):
                with open(path, encoding="utf-8") as file:
                    return json.load(file)["runs"] > 0
            return time.sleep(0.05)

        output, result, _ = self.interrupted(signal.SIGINT, done_one, "soak.py", "--stores", "sqlite",
                                             "--faults", "kill broker", "--minutes", "60")
        self.assertTrue(result["interrupted"])
        self.assertEqual(result["failed"], 0)
        self.assertIn("interrupted after 0 min: %d runs" % result["runs"], output)

    def test_complaints(self):
        for program, option, said in (
                ("faults.py", "--faults=spill coffee", "FAULTS=… (--faults): 'spill coffee' is no row"),
                ("soak.py", "--faults=spill coffee", "FAULTS=… (--faults): 'spill coffee' is no row"),
                ("soak.py", "--minutes=abc", "MINUTES=… (--minutes): 'abc' is no number of minutes: 60"),
                ("soak.py", "--minutes=0", "'0' is no number of minutes"),
                ("soak.py", "--stores=oracle", "STORE=… (--stores): 'oracle' is no store: postgres"),
                ("faults.py", "--seeds=0", "SEEDS=… (--seeds): '0' is no whole number from 1 "),
                ("faults.py", "--seed=-1", "SEED=… (--seed): '-1' is no whole number from 0 "),
                ("faults.py", "--jobs=1_0", "JOBS=… (--jobs): '1_0' is no whole number from 1 ")):
            with self.subTest(option=option):
                done = self.program(program, option)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertTrue(done.stderr.startswith(program + ": "), done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)


if __name__ == "__main__":
    sys.exit(counted.main(warnings="ignore"))
