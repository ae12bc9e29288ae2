"""run.py - producers and consumers with a system that is killed on the way, recorded.

Makes a run folder as harness/run/record.h describes it (run.json with "calls": "plain", scenario/,
history/, consumer_N.txt), which `myqueue-harness check` judges.

Always: an event is on disk before the request that it announces is sent. A produce whose outcome
is unknown is not sent again, and a consume whose answer was lost is not either: plain calls have
no way to say "the same again". Nor is one that was refused, but by a system that may have forgotten
its topic or its producer and says that this is why. A client that is no longer known registers
again and goes on; so does every client of a system that does not claim to keep ids, since after a
restart its id may be somebody else's.

Threads: one for each client, and the caller's own, which injects the faults and watches.
"""

import json
import os
import threading
import time

import sut
from calls import FORGOTTEN, Caller, int_of

STALL_S = 60          # without any progress; then the run is given up
STALL_TOLD_S = 5      # … and a person is told, once
PAUSE_S = 0.005       # of a consumer that found nothing, and of whoever found nobody there
IN_FLIGHT_S = 2       # how long a kill waits for a produce to be on its way
RESTART_MS = 300
SIZE_EVERY = 40       # messages between two questions for the size
EXCESS = 3            # a consumer that got this many times what there is gives up
ENROLS_MAX = 2        # of one send


class History:
    """One process' events, each one write. Threads: any one at a time."""

    def __init__(self, folder, process):
        self.process = process
        self.file = os.open(os.path.join(folder, "history", process + ".jsonl"),
                            os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, op, kind, **fields):
        event = {"t": time.monotonic_ns(), "process": self.process, "op": op, "type": kind,
                 **fields}
        os.write(self.file, json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace") + b"\n")

    def close(self):
        os.close(self.file)


class Client(threading.Thread):
    """What producers and consumers share. `run` is the Run."""

    KIND = {"ok": "ok", "empty": "fail", "refused": "fail", "away": "fail", "unknown": "info"}
    register, id_name = None, None  # the call, and what its answer holds

    def __init__(self, run, process, topics):
        super().__init__(name=process, daemon=True)
        self.owner, self.topics = run, topics
        self.history = History(run.folder, process)
        self.caller = Caller(run.system.address, run.dialect)
        self.ids, self.requests = {}, 0
        self.life = 0  # of the system, in which the ids were given
        self.history.write("start", "ok", incarnation=1)

    def request(self, call, path, topic, **fields):
        """One attempt, recorded."""
        self.requests += 1
        number = self.requests
        self.history.write("request", "invoke", id=number, path=path, topic=topic)
        life = self.owner.life
        answer = self.caller(call, topic=topic, **fields)
        if answer is self.caller.cut:
            self.owner.lose(answer, life)
        said = {"http": answer.status or 0}
        if answer.outcome not in ("ok", "unknown"):
            said["code"] = answer.code or "not_connected"
        if answer.outcome == "unknown":
            said["error"] = answer.words()[:300]
        self.history.write("request", self.KIND[answer.outcome], id=number, **said)
        return answer

    def enrol_again(self):
        """After a restart, with a system that may have forgotten the ids."""
        life = self.owner.life
        if self.life != life and "ids" not in self.owner.description.persists:
            for topic in self.topics:
                self.enrol(topic)
            self.life = life

    def enrol(self, topic):
        """Register with a topic; false when the run is over before that worked."""
        path = "/consumer/register" if self.register == "register_consumer" else "/producer/register"
        while not self.owner.over:
            self.history.write("register", "invoke", topic=topic)
            answer = self.request(self.register, path, topic)
            known = answer.outcome == "ok" and int_of(answer.value) is not None
            said = {self.id_name: int_of(answer.value)} if known else {"code": answer.code or ""}
            self.history.write("register", "ok" if known else
                               "info" if answer.outcome == "ok" else self.KIND[answer.outcome],
                               topic=topic, **said)
            if known:
                self.ids[topic] = answer.value
                return True
            if answer.outcome == "refused":  # the topic is forgotten: make it again
                self.caller("create_topic", topic=topic)
            time.sleep(PAUSE_S)
        return False

    def run(self):
        try:
            self.work()
        except Exception as error:  # the run cannot go on without it
            self.owner.give_up("%s to work: %r" % (self.name, error))
        finally:
            self.caller.close()
            self.history.close()

    def work(self):
        raise NotImplementedError


class Producer(Client):
    register, id_name = "register_producer", "producer_id"

    def __init__(self, run, number):
        super().__init__(run, "P%d" % number, run.scenario.topics_of(0, number))
        self.lines = run.scenario.logs[number]

    def work(self):
        if all(self.enrol(topic) for topic in self.topics):
            self.owner.ready(self)
            for line in self.lines:
                if not self.send(line):
                    return

    def enrol_again(self):
        """After the consumers: they may begin at the latest message."""
        if "ids" not in self.owner.description.persists:
            while not self.owner.over and not self.owner.consumers_settled():
                time.sleep(PAUSE_S)
        super().enrol_again()

    def send(self, line):
        """False when the run is over."""
        self.history.write("send", "invoke", line=line.number, topic=line.topic,
                           message=line.message)
        enrolled = 0
        while not self.owner.over:
            self.enrol_again()
            answer = self.produce(line)
            if answer.outcome == "away":
                time.sleep(PAUSE_S)
                continue
            if answer.outcome == "refused" and answer.code in FORGOTTEN:
                self.enrol(line.topic)
                enrolled += 1
                if self.owner.description.may_forget() and enrolled <= ENROLS_MAX:
                    continue
            self.ended(line, answer)
            return True
        return False

    def produce(self, line):
        self.owner.flying(1)
        try:
            return self.request("produce", "/producer/produce", line.topic,
                                producer_id=self.ids[line.topic], message=line.message)
        finally:
            self.owner.flying(-1)

    def ended(self, line, answer):
        said = {"line": line.number, "topic": line.topic}
        if answer.outcome == "ok":
            if isinstance(answer.field("offset"), int):
                said["offset"] = answer.field("offset")
            self.history.write("send", "ok", **said)
            self.owner.acknowledged()
        else:
            self.history.write("send", self.KIND[answer.outcome], code=answer.code or "no_answer",
                               error=answer.words()[:300], **said)
            self.owner.progress()


class Consumer(Client):
    register, id_name = "register_consumer", "consumer_id"

    def __init__(self, run, number):
        super().__init__(run, "C%d" % number, run.scenario.topics_of(1, number))
        self.lines, self.lines_max = 0, EXCESS * run.scenario.deliveries(number) + 100
        self.file = open(os.path.join(run.folder, "consumer_%d.txt" % number), "w",
                         encoding="utf-8", errors="replace", newline="")

    def work(self):
        with self.file:
            if all(self.enrol(topic) for topic in self.topics):
                self.owner.ready(self)
                self.drain()
                for topic in self.topics:
                    self.size(topic)

    def drain(self):
        """Take turns, until nothing was left in any topic after the last was produced."""
        while not self.owner.over and self.lines < self.lines_max:
            last = self.owner.all_sent.is_set()
            taken = [self.take(topic) for topic in self.topics]
            if last and not any(taken):
                return
            if not any(taken):
                time.sleep(PAUSE_S)

    def take(self, topic):
        """One message; false when the answer was that there is none."""
        self.enrol_again()
        answer = self.request("consume", "/consumer/consume", topic, consumer_id=self.ids[topic])
        if answer.outcome == "ok":
            self.received(topic, str(answer.value), answer.field("offset"))
        elif answer.outcome == "refused" and answer.code in FORGOTTEN:
            self.enrol(topic)
        elif answer.outcome != "empty":
            time.sleep(PAUSE_S)
        return answer.outcome != "empty"

    def received(self, topic, message, offset):
        """The file first, then the history."""
        self.lines += 1
        self.file.write("%s     %s\n" % (topic, message))
        self.file.flush()
        said = {"offset": offset} if isinstance(offset, int) else {}
        self.history.write("receive", "ok", line=self.lines, topic=topic, message=message, **said)
        self.owner.progress()
        if self.lines % SIZE_EVERY == 0:
            self.size(topic)

    def size(self, topic):
        self.enrol_again()
        self.history.write("size", "invoke", topic=topic)
        answer = self.request("size", "/size", topic, consumer_id=self.ids[topic])
        size = int_of(answer.value) if answer.outcome == "ok" else None
        kind = "ok" if size is not None else "info" if answer.outcome == "ok" else \
            self.KIND[answer.outcome]
        self.history.write("size", kind, topic=topic, **({} if size is None else {"size": size}))


class Run:
    """One scenario on one system. `faults`: after how many acks it is killed, ascending. `tell`
    gets lines for a person."""

    def __init__(self, folder, name, scenario, description, dialect, faults, command, tell):
        self.folder, self.name, self.scenario = folder, name, scenario
        self.description, self.dialect, self.faults = description, dialect, faults
        self.command, self.tell = command, tell
        self.lock = threading.Condition()
        # guarded by lock:
        self.acks, self.in_flight, self.progress_s = 0, 0, time.monotonic()
        self.waiting = 0           # clients that are registered and wait at the gate
        self.open = False
        self.stall_told = False
        self.ended_early = ""      # what it was waiting for when it was given up
        self.killing = False       # from before a kill until it answers again
        self.lost = ""             # a call that went with its connection, not by a kill
        # read by all:
        self.consumers = []
        self.over = False
        self.life = 0              # how often the system was killed
        self.all_sent = threading.Event()

    # ---- from the clients' threads --------------------------------------------------------------

    def ready(self, client):
        """Wait until all are registered. Consumers go on at once."""
        with self.lock:
            self.waiting += 1
            self.lock.notify_all()
            while isinstance(client, Producer) and not self.open and not self.over:
                self.lock.wait(1)

    def flying(self, change):
        with self.lock:
            self.in_flight += change
            self.lock.notify_all()

    def acknowledged(self):
        with self.lock:
            self.acks += 1
            self.progress_s = time.monotonic()
            self.lock.notify_all()

    def progress(self):
        with self.lock:
            self.progress_s = time.monotonic()

    def consumers_settled(self):
        """Are all registered since the system was killed?"""
        return all(consumer.life == self.life or not consumer.is_alive()
                   for consumer in self.consumers)

    def lose(self, answer, life):
        """A call that began in this life went with its connection: not by a kill?"""
        with self.lock:
            if not self.killing and life == self.life:
                self.lost = self.lost or answer.words()

    def give_up(self, waited_for):
        with self.lock:
            self.ended_early = self.ended_early or waited_for
            self.over = True
            self.lock.notify_all()

    # ---- the run itself -------------------------------------------------------------------------

    def go(self):
        """Run it, and leave its folder behind. The words of a call that was lost as its connection
        was closed without a word, if there was one; then the run says nothing of the rest."""
        self.begun = time.time(), time.monotonic_ns()
        for part in ("history", "logs"):
            os.makedirs(os.path.join(self.folder, part))
        self.scenario.write(os.path.join(self.folder, "scenario"), [
            "after %d acks: kill broker, restart after %d ms" % (acks, RESTART_MS)
            for acks in self.faults])
        self.write_run()
        self.history = History(self.folder, "harness")
        try:
            with sut.System(self.description,
                            os.path.join(self.folder, "logs", "system.log"),
                            self.tell) as self.system:
                self.with_system()
        finally:
            self.over = True
            self.history.close()
            self.write_run()
        return "" if self.ended_early else self.lost

    def with_system(self):
        self.progress()
        setup = Caller(self.system.address, self.dialect)
        for topic in self.scenario.topics:
            answer = setup("create_topic", topic=topic)
            if answer.outcome != "ok":
                raise sut.Failed("no topic, no run: %s" % answer.words())
        setup.close()
        producers = [Producer(self, number) for number in self.scenario.clients(0)]
        consumers = [Consumer(self, number) for number in self.scenario.clients(1)]
        self.consumers = consumers
        for client in (*consumers, *producers):
            client.start()
        try:
            self.wait(lambda: self.waiting == len(producers) + len(consumers),
                      "all clients to be registered")
            with self.lock:
                self.open = True
                self.lock.notify_all()
            self.phase("producers may send")
            self.inject(producers)
            self.wait_ended(producers, "the producers to end")
            self.all_sent.set()
            self.phase("all is sent")
            self.wait_ended(consumers, "the consumers to have everything")
        finally:
            self.over = True
            for client in (*producers, *consumers):
                client.join(sut.STOP_LIMIT_S)

    def phase(self, name):
        self.history.write("phase", "ok", name=name)

    def wait(self, condition, what):
        """False when the run is given up before that."""
        while True:
            with self.lock:
                if self.over or condition():
                    return not self.over
                self.lock.wait(0.05)
                stalled_s = time.monotonic() - self.progress_s
            if not self.system.running():
                self.give_up("the system to answer; it has ended by itself with exit code %s" %
                             self.system.child.returncode)
            elif stalled_s > STALL_TOLD_S and not self.stall_told:
                self.stall_told = True
                self.tell("  waiting for %s: nothing goes on; %d s at most" % (what, STALL_S))
            elif stalled_s > STALL_S:
                self.give_up("%s; nothing went on for %d s" % (what, STALL_S))

    def wait_ended(self, clients, what):
        self.wait(lambda: not any(client.is_alive() for client in clients), what)

    def inject(self, producers):
        for number, acks in enumerate(self.faults, 1):
            sending = self.wait(lambda: self.acks >= acks or not any(
                p.is_alive() for p in producers), "%d acks" % acks)
            if not sending or self.acks < acks:
                return
            self.kill(number)

    def kill(self, number):
        """Stopped first, and killed only once a produce is on its way."""
        words = {"action": "kill", "target": "broker",
                 "words": "kill broker, restart after %d ms" % RESTART_MS}
        with self.lock:
            self.killing = True
        self.system.freeze()
        with self.lock:
            self.lock.wait_for(lambda: self.in_flight > 0, IN_FLIGHT_S)
            hit, acks = self.in_flight, self.acks
        self.history.write("fault", "begin", fault=number, **words, acks=acks, in_flight=hit)
        self.system.kill()
        self.life += 1
        self.history.write("fault", "hit", fault=number, bit=hit, unit="requests in flight")
        time.sleep(RESTART_MS / 1000)
        self.history.write("fault", "restart", fault=number)
        self.system.start_again()
        self.history.write("fault", "end", fault=number)
        with self.lock:
            self.killing = False
        self.progress()

    def write_run(self):
        run = {"scenario": self.name, "title": self.scenario.title, "runtime": "process",
               "store": "none", "calls": "plain", "claims": self.description.claims(),
               "version": self.description.title, "command": self.command,
               "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.begun[0])),
               "started_unix_ms": int(self.begun[0] * 1000), "started_monotonic_ns": self.begun[1]}
        if self.ended_early:
            run["ended_early"] = self.ended_early
        with open(os.path.join(self.folder, "run.json"), "w", encoding="utf-8") as file:
            json.dump(run, file, indent=2)
            file.write("\n")


def kills_of(scenario):
    """After a third and after two thirds of the messages."""
    return [scenario.messages() // 3, scenario.messages() * 2 // 3]
