#!/usr/bin/python3
"""The judge: what a conf may say, what answers mean, that each flaw of flawed.py is named, and,
with the programs of $BUILD, whole judgements. Ends with `N passed, N failed`."""

import glob
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE, os.path.join(HERE, "..", "..", "tests"),
                os.path.join(HERE, "..", "..", "..", "tools")]

import browser
import calls
import conformance
import counted
import flawed
import logs
import sut

JUDGE = os.path.join(os.path.dirname(HERE), "judge.py")
AT_ONCE = 4

# The check that has to name a flaw. Flaws that show only in a run are in Judgements.
NAMED = {
    "loses-messages": "restart-kill-messages", "loses-positions": "restart-kill-positions",
    "loses-ids": "restart-kill-ids", "gives-twice": "one_id", "wrong-size": "sizes",
    "accepts-unknown-topic": "consumer_of_nothing", "checks-no-producer": "produce_elsewhere",
    "stores-twice": "one_id", "shares-position": "each_its_own", "same-ids": "unique_ids",
    "cuts": "texts", "stays-down": "restart-stop",
    "closes": "no_name", "drops-copies": "same_text", "drops-repeats": "same_text",
    "busy-again": "restart-stop", "creates-on-produce": "produce_nowhere",
    "checks-no-topic": "consume_elsewhere", "cuts-long": "texts", "escapes-lines": "texts",
    "races-for-places": "many_produce", "loses-last-at-stop": "restart-stop-messages",
    "registering-resets": "registering", "keeps-hundred": "one_id", "dies-of-no-json": "no_json",
}


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def flawed_conf(folder, flaw):
    claims = "persistent = no\nstart = latest\n" if flaw == "forgetful" else "persistent = yes\n"
    return write(folder, flaw + ".conf",
                 "title = flawed: %s\nrun = /usr/bin/python3 '%s' %s {port} {data}/queue.db\n%s" % (
                     flaw, os.path.join(HERE, "flawed.py"), flaw, claims))


class InFolder(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory(prefix="myqueue-test-")
        self.addCleanup(held.cleanup)
        self.folder = held.name


class Confs(InFolder):
    def refused(self, text, *words):
        with self.assertRaises(sut.Failed) as caught:
            sut.load(write(self.folder, "a.conf", text))
        for word in (os.path.join(self.folder, "a.conf"), *words):
            self.assertIn(word, str(caught.exception))

    def test_all_keys(self):
        found = sut.load(write(self.folder, "a.conf", (
            "# a comment\ntitle = A\nfolder = .\nbuild = make x\nrun = ./x '{port} {data}'\n"
            "stop = ./stop {pid}\nkill = ./kill\naddress = http://localhost:{port}/v1/\n"
            "health = /up\npersistent = yes\npersists = ids topics\nstart = latest\nready_s = 90\n")))
        self.assertEqual((found.name, found.title, found.folder), ("a", "A", self.folder))
        self.assertEqual(found.run, ["./x", "{port} {data}"])
        self.assertEqual((found.address, found.health), ("http://localhost:{port}/v1", "/up"))
        self.assertEqual((found.persists, found.start), (["ids", "topics"], "latest"))
        self.assertEqual(found.ready_s, 90)
        self.assertFalse(found.wants_database())

    def test_defaults(self):
        found = sut.load(write(self.folder, "a.conf", "run = x {database}\npersistent = yes\n"))
        self.assertEqual((found.title, found.persists, found.start),
                         ("a", list(sut.PERSISTS), "earliest"))
        self.assertTrue(found.wants_database())

    def test_complaints(self):
        good = "run = x\npersistent = no\n"
        self.refused("", "'run = …' is missing")
        self.refused("run = x\n", "'persistent = …' is missing")
        self.refused("run\n", ":1: ", "is not 'key = value'")
        self.refused(good + "speed = 1\n", ":3: ", "there is no key 'speed'")
        self.refused(good + "run = y\n", ":3: ", "said before, in line 1")
        self.refused("run = x {prt}\n", ":1: ", "'{prt}' stands for nothing")
        self.refused("run = 'x\n", ":1: ", "quotes")
        self.refused("run = x\npersistent = maybe\n", ":2: ", "yes or no")
        self.refused(good + "persists = ids\n", ":3: ", "persistent = yes")
        self.refused("run = x\npersistent = yes\npersists = id\n", ":3: ", "'id' is nothing")
        self.refused(good + "start = first\n", ":3: ", "earliest or latest")
        self.refused(good + "address = localhost\n", ":3: ", "no address")
        self.refused(good + "health = up\n", ":3: ", "no path")
        self.refused(good + "ready_s = 0\n", ":3: ", "seconds from 1 to 3600")
        self.refused(good + "folder = nowhere\n", ":3: ", "there is no folder")

    def test_the_confs_of_the_project_can_be_read(self):
        folder = os.path.join(sut.ROOT, "harness", "sut")
        for name in sorted(os.listdir(folder)):
            sut.load(os.path.join(folder, name))


class Systems(InFolder):
    def conf(self, run):
        return sut.load(write(self.folder, "a.conf", "run = %s\npersistent = no\n" % run))

    def failure(self, run):
        with self.assertRaises(sut.Failed) as caught:
            with sut.System(self.conf(run), os.path.join(self.folder, "log")):
                self.fail("it is there")
        return str(caught.exception)

    def test_what_cannot_be_started_is_told(self):
        self.assertIn("/nowhere/x", self.failure("/nowhere/x"))
        told = self.failure("sh -c 'echo no such thing >&2; exit 3'")
        self.assertIn("exit code 3", told)
        self.assertIn("no such thing", told)

    def test_no_port_is_given_twice_while_it_is_held(self):
        port, held = sut.free_port()
        with held, mock.patch.object(sut, "PORTS", [port] * 100):
            with self.assertRaisesRegex(sut.Failed, "no free port"):
                sut.free_port()
        with mock.patch.object(sut, "PORTS", [port] * 100):
            again, held = sut.free_port()
            held.close()
        self.assertEqual(again, port)

    def test_everything_that_it_started_is_ended(self):
        run = ("sh -c 'sh -c \"trap : TERM; while :; do sleep 1; done\" & "
               "exec /usr/bin/python3 %s none {port} {data}/q.db'" % os.path.join(HERE, "flawed.py"))
        with sut.System(self.conf(run), os.path.join(self.folder, "log")) as system:
            first = system.child.pid
            self.assertGreater(len(sut.session(first)), 1)
            system.stop()
            self.assertEqual(sut.session(first), [])
            system.start()
            second, data = system.child.pid, system.data
        self.assertEqual(sut.session(second), [])
        self.assertFalse(os.path.exists(data))


class Answers(unittest.TestCase):
    def answer(self, call, status, body):
        return calls.Answer(call, "", status, body if isinstance(body, str) else json.dumps(body))

    def test_outcomes(self):
        success, failure = {"status": "success"}, {"status": "failure", "message": "No message"}
        for call, status, body, outcome in (
                ("produce", 200, success, "ok"),
                ("produce", 201, success, "ok"),
                ("produce", 200, {"status": "failure", "message": "no"}, "refused"),
                ("produce", 400, failure, "refused"),
                ("produce", 404, "<html>", "refused"),
                ("produce", 500, {"status": "failure"}, "unknown"),
                ("produce", 200, "<html>", "refused"),
                ("consume", 200, {"status": "success", "message": ""}, "ok"),
                ("consume", 200, {"message": "m"}, "ok"),
                ("consume", 200, {"status": "success", "message": None}, "empty"),
                ("consume", 400, failure, "empty"),
                ("consume", 500, failure, "empty"),
                ("consume", 503, "", "unknown"),
                ("consume", 404, {"detail": "Consumer 7 not found"}, "refused"),
                ("size", 200, {"status": "success", "size": 0}, "ok")):
            with self.subTest(call=call, status=status, body=body):
                self.assertEqual(self.answer(call, status, body).outcome, outcome)

    def test_reasons_in_the_words_of_others(self):
        for call, words, code in (
                ("consume", "Queue is empty", "no_message"),
                ("consume", "No new messages for topic 'consumer not'", "no_message"),
                ("consume", "consumer 3 does not exist", "unknown_consumer"),
                ("consume", "Topic 'x' does not exist", "unknown_topic"),
                ("consume", "sorry", "refused"),
                ("consume", "No database connection", "refused"),
                ("consume", "Unexpected end of input", "refused"),
                ("produce", "Producer 3 is not registered with topic 'x'", "unknown_producer"),
                ("produce", "no such topic", "unknown_topic"),
                ("produce", "sorry", "refused")):
            with self.subTest(words=words):
                body = {"status": "failure", "message": words}
                self.assertEqual(calls.code_of(self.answer(call, 400, body)), code)
        body = {"status": "failure", "message": "?", "code": "not_registered"}
        self.assertEqual(self.answer("produce", 400, body).code, "not_registered")

    def test_no_message_in_the_words_that_were_heard(self):
        def consumed(words):
            return calls.Answer("consume", "", 400, json.dumps({"message": words}),
                                empty=("come again, consumer x of x",)).outcome

        self.assertEqual(consumed("Come again, consumer 12 of 'T1'"), "empty")
        self.assertEqual(consumed("Come again"), "refused")

    def test_one_that_hangs_is_asked_once(self):
        with socket.create_server(("127.0.0.1", 0)) as mute, \
                mock.patch.object(calls, "LIMIT_S", 0.1):
            found, last = calls.fit("http://127.0.0.1:%d" % mute.getsockname()[1])
        self.assertIsNone(found)
        self.assertIn('POST /topics {"name": "fit-1"}: no answer', last.words())

    def test_how_parameters_travel(self):
        fields = {"topic": "a b", "producer_id": 7}
        self.assertEqual(calls.Dialect().write("produce", fields)[3],
                         b'{"topic": "a b", "producer_id": 7}')
        self.assertEqual(calls.Dialect(post="form", id_text=True).write("produce", fields)[3],
                         b"topic=a+b&producer_id=7")
        self.assertEqual(calls.Dialect(post="query", topic="name", slash=True).write(
            "produce", fields)[1], "/producer/produce/?name=a+b&producer_id=7")


class Logs(InFolder):
    def test_a_folder_without_a_conf(self):
        write(self.folder, "producer_1.txt",
              "\ufeff09:00:00\tINFO  a b \tP1-1\tT2\r\n\n 9:00:01 x P1-1 T1")
        found = logs.load(self.folder)
        self.assertEqual(found.topics, {"T1": ([1], [1, 2, 3]), "T2": ([1], [1, 2, 3])})
        self.assertEqual([(l.number, l.topic, l.message) for l in found.logs[1]],
                         [(1, "T2", "INFO  a b"), (3, "T1", "x")])

    def test_what_is_written_reads_the_same(self):
        found = logs.load(os.path.join(sut.ROOT, "scenarios", "5p3c"))
        found.write(os.path.join(self.folder, "s"), ["after 9 acks: kill broker"])
        self.assertEqual(logs.load(os.path.join(self.folder, "s")), found)
        self.assertEqual((found.messages(), found.deliveries(1)), (4965, 4965))

    def test_a_conf_with_settings_of_our_own_harness(self):
        write(self.folder, "producer_1.txt", "09:00:00 x P1-1 T1\n")
        write(self.folder, "scenario.conf", "title = A\nrecovery_ms = 9\nT1: P1 : C1\n"
              "fault = after 1 acks: kill broker\n")
        self.assertEqual(logs.load(self.folder).topics, {"T1": ([1], [1])})
        write(self.folder, "scenario.conf", "T1 P1 C1\n")
        with self.assertRaisesRegex(sut.Failed, r"scenario.conf:1: 'T1 P1 C1' is not 'TOPIC"):
            logs.load(self.folder)

    def test_complaints(self):
        for text, words in (("09:00:00 x T1\n", ":1: a line is"), ("\nnine x P1 T1\n", ":2: "),
                            ("\n", "no line")):
            write(self.folder, "producer_1.txt", text)
            with self.assertRaises(sut.Failed) as caught:
                logs.load(self.folder)
            self.assertIn(words, str(caught.exception))


class Conformance(InFolder):
    def results(self, flaw):
        description = sut.load(flawed_conf(self.folder, flaw))
        with sut.System(description, os.path.join(self.folder, flaw + ".log")) as system:
            return conformance.run_all(system, description.start, description.persists,
                                       lambda result: None)[1]

    def test_each_flaw_is_named_and_nothing_is_found_without_one(self):
        flaws = ["none", *NAMED, "forgetful", "refuses-404", "other-words", "hangs-up",
                 "hangs-up-sometimes", "counts-apart", "text-ids", "crashes-on-no-json"]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for flaw, results in zip(flaws, pool.map(self.results, flaws)):
                bad = {one.id for one in results if one.result in ("wrong", "forgotten")}
                odd = {one.id for one in results if one.result == "odd"}
                with self.subTest(flaw=flaw):
                    if flaw in NAMED:
                        self.assertIn(NAMED[flaw], bad)
                    else:
                        self.assertEqual(bad, set())
                    self.assertEqual("produce_unknown" in odd, flaw == "refuses-404")
                    self.assertEqual("says_close" in odd, flaw.startswith("hangs-up"))
                    self.assertEqual("numbers" in odd, flaw == "text-ids")
                    self.assertEqual("no_json" in odd, flaw in ("refuses-404", "crashes-on-no-json"))
                    self.assertTrue(flaw in ("stays-down", "dies-of-no-json") or "running" not in bad, "it still answers")


class Judgements(InFolder):
    def judge(self, *arguments, reports="reports"):
        """What ended, and the systems of its result.json by name."""
        folder = os.path.join(self.folder, reports)
        ended = subprocess.run([sys.executable, JUDGE, "--reports", folder, *arguments],
                               capture_output=True, text=True)
        path = os.path.join(folder, "latest", "result.json")
        if not os.path.exists(path):
            return ended, {}
        with open(path, encoding="utf-8") as file:
            return ended, {one["name"]: one for one in json.load(file)["systems"]}

    def test_usage(self):
        for words, said in ((["nowhere.conf"], "there is no file nowhere.conf"), ([], "required: CONF"),
                            (["nothing"], "by name there are example-python, myqueue-memory"),
                            (["--quick=no", "myqueue-memory"], "QUICK=… (--quick): 'no' is no switch"),
                            (["--logs", self.folder, "myqueue-memory"], "no producer_N.txt"),
                            (["--logs", self.folder, "myqueue-memory"], "LOGS=… (--logs): "),
                            (["myqueue-memory", "harness/sut/myqueue-memory.conf"], "one name")):
            ended, _ = self.judge(*words)
            self.assertEqual(ended.returncode, 254)
            self.assertIn(said, ended.stderr)

    def test_what_cannot_be_started_is_unknown(self):
        conf = write(self.folder, "a.conf", "run = sh -c 'echo sorry; exit 3'\npersistent = no\n")
        ended, found = self.judge(conf)
        self.assertEqual((ended.returncode, found["a"]["verdict"]), (2, "unknown"))
        self.assertIn("sorry", found["a"]["reason"])

    def test_programs_that_are_judged_as_they_are(self):
        """CONF@DIR: {build} is DIR, and nothing is built; also where DIR is BUILD itself."""
        marker = os.path.join(self.folder, "built")
        conf = write(self.folder, "a.conf", "build = touch '%s'\nrun = {build}/queue {port}\n"
                     "persistent = no\n" % marker)
        programs = os.path.join(self.folder, "other")
        os.mkdir(programs)
        write(programs, "queue", "#!/bin/sh\necho it is me; exit 3\n")
        os.chmod(os.path.join(programs, "queue"), 0o755)
        ended, found = self.judge("%s@%s" % (conf, programs))
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertIn("it is me", found["a@other"]["reason"])
        self.assertEqual(found["a@other"]["title"], "a, other")
        with mock.patch.object(sut, "BUILD", programs):
            self.assertFalse(sut.builds(sut.with_programs(sut.load(conf), programs)))
        self.assertFalse(os.path.exists(marker))
        for word, said in ((conf + "@/nowhere", "no such folder"),
                           ("example-python@" + programs, "has no {build}")):
            ended, _ = self.judge(word)
            self.assertEqual(ended.returncode, 254)
            self.assertIn(said, ended.stderr)

    def test_one_that_never_answers(self):
        """It is told what is waited for, and the limit is the description's."""
        conf = write(self.folder, "mute.conf", "run = sh -c 'echo I am slow; exec sleep 1000'\n"
                     "persistent = no\nready_s = %d\n" % (sut.TELL_S + 1))
        ended, found = self.judge(conf)
        self.assertEqual((ended.returncode, found["mute"]["verdict"]), (2, "unknown"))
        self.assertRegex(ended.stdout, r"waiting for an answer from http://127.0.0.1:\d+/topics: "
                         r"the connection is refused; 4 s at most \(ready_s\)")
        self.assertIn("within 4 s (the connection is refused): I am slow", found["mute"]["reason"])
        self.assertRegex(ended.stdout, r"the end of \S+/mute/conformance.log:\n    I am slow\n")

    def test_one_that_ends_while_it_is_waited_for(self):
        """At once: its limit is an hour."""
        for code, words in ((3, "exit code 3 instead of answering: sorry"),
                            (0, "('run' has to stay in the foreground): sorry")):
            conf = write(self.folder, "ends%d.conf" % code, "run = sh -c 'echo sorry; sleep 1; exit %d'\n"
                         "persistent = no\nready_s = 3600\n" % code)
            ended, found = self.judge(conf, reports="ends%d" % code)
            self.assertEqual(ended.returncode, 2)
            self.assertIn(words, found["ends%d" % code]["reason"])

    def test_one_that_is_ill(self):
        """It answers, with an error of its own."""
        class Ill(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_error(500)

            def log_message(self, *_):
                pass

        system = sut.System(sut.load(os.path.join(sut.ROOT, "harness", "sut", "example-python.conf")),
                            os.path.join(self.folder, "log"))
        with http.server.HTTPServer(("127.0.0.1", 0), Ill) as server:
            system.address = "http://127.0.0.1:%d" % server.server_port
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            self.assertEqual(system.illness(), "HTTP 500")
            thread.join()
        self.assertEqual(system.illness(), "the connection is refused")

    def test_somebody_else_in_its_place(self):
        """A fixed address, where one answers that nobody has started."""
        example = sut.load(os.path.join(sut.ROOT, "harness", "sut", "example-python.conf"))
        with sut.System(example, os.path.join(self.folder, "log")) as other, \
                mock.patch.object(sut, "STOP_LIMIT_S", 0.1):
            fixed = replace(example, address="http://127.0.0.1:%d" % other.port)
            with self.assertRaisesRegex(sut.Failed, "somebody answers at .* while it does not run"):
                with sut.System(fixed, os.path.join(self.folder, "log")):
                    self.fail("the other one was taken for it")

    def test_what_forgets_and_says_so_is_valid(self):
        """The example is good; memory forgets. The page is one that can be read."""
        ended, found = self.judge("--quick", "example-python", "myqueue-memory")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertEqual({one["verdict"] for one in found.values()}, {"valid"})
        self.assertIn("forgets messages, positions, ids and topics, and says so",
                      found["myqueue-memory"]["reason"])
        for name in ("index", "example-python", "myqueue-memory"):
            self.look(os.path.join(self.folder, "reports", "latest", name + ".html"))

    def look(self, path):
        self.assertTrue(os.path.exists(path))
        if not browser.find():
            print("no Chromium: the page is not looked at")
            return
        with browser.Browser() as chromium:
            for width, dark in ((1200, False), (390, True)):
                page = chromium.open(path, width=width, dark=dark)
                self.assertEqual(page.complaints, [])
                self.assertLessEqual(page.value("document.documentElement.scrollWidth"), width)
                self.assertIn("Conformance", page.value("document.body.innerText"))

    def test_an_interrupted_judgement_tells_what_was_done(self):
        reports = os.path.join(self.folder, "reports")
        conf = write(self.folder, "quick.conf", "run = false\npersistent = no\n")
        slow = write(self.folder, "slow.conf", "run = sleep 1000\npersistent = no\n")
        child = subprocess.Popen([sys.executable, JUDGE, "--reports", reports, conf, slow],
                                 stdout=subprocess.PIPE, text=True)
        while not child.stdout.readline().startswith("  waiting for an answer"):
            self.assertIsNone(child.poll())
        child.send_signal(signal.SIGTERM)
        self.assertIn("interrupted: 1 of 2 systems were judged", child.communicate()[0])
        self.assertEqual(child.returncode, 130)
        self.assertFalse(os.path.lexists(os.path.join(reports, "latest")))
        page, = glob.glob(os.path.join(reports, "*", "index.html"))
        with open(page, encoding="utf-8") as file:
            self.assertIn("Interrupted: not all systems were judged", file.read())

    def test_what_only_a_run_shows(self):
        # Who is swapped with whom is by chance: one producer's messages, or those of two.
        orders = "producer-order", "real-time-order"
        wanted = {"answers-first": ("lost",), "swaps-order": orders, "forgetful": None,
                  "stores-refused": ("aborted-read",), "other-words": None,
                  "hangs-up": None, "hangs-up-late": None}

        def judge(flaw):
            return self.judge("--quick", flawed_conf(self.folder, flaw), reports=flaw)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for flaw, (ended, found) in zip(wanted, pool.map(judge, wanted)):
                with self.subTest(flaw=flaw):
                    self.assertEqual(ended.returncode, 1 if wanted[flaw] else 0,
                                     ended.stdout + ended.stderr)
                    names = {one["name"] for one in found[flaw]["runs"][0]["violations"]}
                    if wanted[flaw]:
                        self.assertTrue(names & set(wanted[flaw]), names)


if __name__ == "__main__":
    sys.exit(counted.main(warnings="ignore"))
