"""conformance.py - do the seven calls do what the assignment says? One check each.

A check is a function that makes calls and complains: with Wrong when the contract is broken, with
Odd when what is meant can be understood but is said otherwise than the contract says it. What
comes of it:

  pass, odd, wrong          a check of the contract
  tolerated, not tolerated  a check of a dialect, which nobody has to speak
  kept, forgotten           after a restart; `forgotten` breaks a promise if it was claimed

Every check has topics of its own, so that none depends on another.
"""

import itertools
import re
import threading
from dataclasses import asdict, dataclass, replace

from calls import FORGOTTEN, Caller, fit, int_of, shape
from sut import NotBack

GROUPS = {"calls": "The seven calls", "refusals": "Refusals", "concurrency": "At once",
          "dialects": "Dialects", "restart": "After it was started again"}
REUSED = 40        # calls over one connection
THREADS = 8
EACH = 25          # messages of each thread
LIMIT_S = 120      # for threads to end
SILENT_MAX = 2     # checks in a row without an answer; if it is ill then, there are no more
TEXTS = ("plain", "  two  spaces  ", "tab\tand\nnew line", "quotes \" ' and back \\ slash",
         "grüße, 日本語, 🙂", "{\"json\": [1, 2]}", "<b>&amp;</b> %41+%20", "x" * 10000)
SAYS_CLOSE = "says_close"
CHECKS = []


class Wrong(Exception):
    pass


class Odd(Exception):
    pass


@dataclass
class Result:
    id: str
    group: str
    what: str      # what should be
    result: str
    evidence: str  # of anything but what should be


def check(group, what):
    def take(function):
        CHECKS.append((group, what, function))
        return function
    return take


class Given:
    """The ids that were given since the system was started, as (call, id)."""

    def __init__(self):
        self.ids, self.apart = set(), False

    def add(self, id):
        self.apart = self.apart or id in self.ids  # each topic counts its own
        self.ids.add(id)


class Probe:
    """What a check is made with."""

    numbers = itertools.count(1)

    def __init__(self, address, dialect, start, given):
        self.address, self.dialect, self.start = address, dialect, start
        self.given = given
        self.callers = []
        self.call = self.caller()

    def caller(self, **changes):
        self.callers.append(Caller(self.address, replace(self.dialect, **changes)))
        return self.callers[-1]

    def dropped(self):
        """The call that a connection took along when it was closed without a word, or the last one
        of a client that saw a connection closed so; if any."""
        hurt = [caller for caller in self.callers if caller.dropped]
        return next((caller.cut for caller in hurt if caller.cut), hurt[0].last if hurt else None)

    def name(self):
        return "judge-%d" % next(self.numbers)

    def done(self, call, caller=None, **fields):
        """The value of a call that has to succeed."""
        answer = (caller or self.call)(call, **fields)
        if answer.outcome != "ok":
            raise Wrong("what has to succeed did not: %s" % answer.words())
        return answer.value

    def id(self, call, topic, caller=None):
        value = self.done(call, caller, topic=topic)
        if int_of(value) is None:
            raise Wrong("an id that is no number: %r" % (value,))
        self.given.add((call, int_of(value)))
        return value

    def topic(self, consumers=1):
        """topic, producer id and consumer ids, all new."""
        topic = self.name()
        self.done("create_topic", topic=topic)
        ids = [self.id("register_consumer", topic) for _ in range(consumers)]
        return (topic, self.id("register_producer", topic), *ids)

    def produce(self, topic, producer, *messages, caller=None):
        for message in messages:
            self.done("produce", caller, topic=topic, producer_id=producer, message=message)

    def size(self, topic, consumer):
        value = self.done("size", topic=topic, consumer_id=consumer)
        if int_of(value) is None:
            raise Wrong("a size that is no number: %r" % (value,))
        return int_of(value)

    def drain(self, topic, consumer, limit, caller=None):
        """What the consumer gets until there is no message, or `limit` were taken."""
        got, caller = [], caller or self.call
        while len(got) < limit:
            answer = caller("consume", topic=topic, consumer_id=consumer)
            if answer.outcome == "empty":
                break
            if answer.outcome != "ok":
                raise Wrong("what has to succeed did not: %s" % answer.words())
            got.append(answer.value)
        return got

    def refused(self, call, caller=None, **fields):
        """A call that must not succeed."""
        self.is_refusal((caller or self.call)(call, **fields))

    def is_refusal(self, answer):
        if answer.status is None:
            raise Wrong(answer.words())
        if answer.outcome == "ok" or (answer.outcome == "empty" and answer.status < 300 and
                                      answer.field("status") == "success"):
            raise Wrong("it was accepted: %s" % answer.words())
        if not answer.properly_refused():
            raise Odd("not HTTP 400 with status failure and a message: %s" % answer.words())


def same(got, wanted, what):
    if got != wanted:
        raise Wrong("%s: got %s, expected %s" % (what, brief(got), brief(wanted)))


def brief(value):
    text = repr(value)
    return text if len(text) < 160 else text[:160] + "…"


def together(count, work):
    """work(0) … work(count-1), at once; the results, or the first failure."""
    results, failures, gate = [None] * count, [], threading.Barrier(count)

    def run(i):
        try:
            gate.wait(LIMIT_S)
            results[i] = work(i)
        except Exception as failure:  # raised again below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    if failures:
        raise failures[0]
    if any(thread.is_alive() for thread in threads):
        raise Wrong("no end within %d s" % LIMIT_S)
    return results


# ---- the seven calls ----------------------------------------------------------------------------

@check("calls", "a topic that is created is listed")
def create_topic(p):
    topic = p.name()
    p.done("create_topic", topic=topic)
    if not isinstance(p.call.last.field("message"), str):
        raise Odd("no message: %s" % p.call.last.words())
    topics = p.done("list_topics")
    if not isinstance(topics, list) or topics.count(topic) != 1:
        raise Wrong(p.call.last.words())


@check("calls", "success is HTTP 200 with status success")
def success(p):
    topic, producer, consumer = p.topic()
    p.produce(topic, producer, "one")
    for call, fields in (("list_topics", {}), ("size", {"consumer_id": consumer}),
                         ("consume", {"consumer_id": consumer})):
        answer = p.call(call, **({"topic": topic, **fields} if fields else {}))
        if answer.status != 200 or answer.field("status") != "success":
            raise Odd(answer.words())


@check("calls", "ids are numbers")
def numbers(p):
    for value in p.topic()[1:]:
        if not isinstance(value, int):
            raise Odd("an id is a text: %r" % (value,))


@check("calls", "registering a producer creates its topic")
def producer_creates(p):
    topic = p.name()
    p.id("register_producer", topic)
    if topic not in p.done("list_topics"):
        raise Wrong(p.call.last.words())


@check("calls", "messages are consumed in the order in which they were produced")
def in_order(p):
    topic, producer, consumer = p.topic()
    sent = ["message %d" % i for i in range(30)]
    p.produce(topic, producer, *sent)
    same(p.drain(topic, consumer, 60), sent, "consumed")


@check("calls", "a message comes out as it went in, byte for byte")
def texts(p):
    topic, producer, consumer = p.topic()
    p.produce(topic, producer, *TEXTS)
    same(p.drain(topic, consumer, 2 * len(TEXTS)), list(TEXTS), "consumed")


@check("calls", "the same text twice is two messages")
def same_text(p):
    topic, producer, consumer = p.topic()
    other = p.id("register_producer", topic)
    sent = ["message %d" % i for i in range(EACH)]
    p.produce(topic, producer, *sent, "alike", "alike")
    p.produce(topic, other, "alike", sent[0])
    p.produce(topic, producer, sent[0])
    wanted = sent + ["alike"] * 3 + [sent[0]] * 2
    same(p.drain(topic, consumer, 2 * len(wanted))[EACH:], wanted[EACH:],
         "consumed after %d others" % EACH)


@check("calls", "every consumer gets every message")
def each_its_own(p):
    topic, producer, one, other = p.topic(2)
    p.produce(topic, producer, "a", "b")
    same((p.drain(topic, one, 5), p.drain(topic, other, 5)), (["a", "b"], ["a", "b"]), "consumed")


@check("calls", "topics are apart")
def apart(p):
    (here, producer, consumer), (there, other, listener) = p.topic(), p.topic()
    p.produce(here, producer, "here")
    p.produce(there, other, "there")
    same((p.drain(here, consumer, 5), p.drain(there, listener, 5)), (["here"], ["there"]),
         "consumed")


@check("calls", "an empty topic has no message, and gives the next one once it is there")
def empty(p):
    topic, producer, consumer = p.topic()
    same(p.drain(topic, consumer, 5), [], "consumed")
    p.produce(topic, producer, "late")
    same(p.drain(topic, consumer, 5), ["late"], "consumed")
    same(p.drain(topic, consumer, 5), [], "consumed")


@check("calls", "size is what the consumer has not taken yet")
def sizes(p):
    topic, producer, consumer, other = p.topic(2)
    same(p.size(topic, consumer), 0, "size of an empty topic")
    p.produce(topic, producer, "a", "b", "c")
    same(p.size(topic, consumer), 3, "size after three messages")
    p.done("consume", topic=topic, consumer_id=consumer)
    same((p.size(topic, consumer), p.size(topic, other)), (2, 3), "sizes after one was taken")
    p.drain(topic, consumer, 5)
    same(p.size(topic, consumer), 0, "size after all were taken")


@check("calls", "a new consumer begins where it is claimed")
def begins(p):
    topic, producer, _ = p.topic()
    p.produce(topic, producer, "before")
    consumer = p.id("register_consumer", topic)
    p.produce(topic, producer, "after")
    same(p.drain(topic, consumer, 5), ["before", "after"] if p.start == "earliest" else ["after"],
         "consumed by one that was registered in between")


@check("calls", "who registers changes nothing for the others")
def registering(p):
    topic, producer, consumer = p.topic()
    p.produce(topic, producer, "a", "b", "c")
    same(p.drain(topic, consumer, 1), ["a"], "consumed")
    p.id("register_consumer", topic)
    other = p.id("register_producer", topic)
    p.call("create_topic", topic=topic)  # refused, or another check says so
    p.produce(topic, other, "d")
    same(p.drain(topic, consumer, 8), ["b", "c", "d"], "consumed after others registered")


# ---- refusals -----------------------------------------------------------------------------------

@check("refusals", "a topic that exists is not created again")
def twice(p):
    p.refused("create_topic", topic=p.topic()[0])


@check("refusals", "creating a topic without a name")
def no_name(p):
    p.refused("create_topic")


@check("refusals", "registering a consumer for an unknown topic")
def consumer_of_nothing(p):
    p.refused("register_consumer", topic=p.name())


@check("refusals", "registering without a topic")
def no_topic(p):
    p.refused("register_consumer")
    p.refused("register_producer")


@check("refusals", "producing to an unknown topic")
def produce_nowhere(p):
    _, producer, _ = p.topic()
    p.refused("produce", topic=p.name(), producer_id=producer, message="x")


@check("refusals", "producing with an id that nobody has")
def produce_unknown(p):
    topic, _, consumer = p.topic()
    p.refused("produce", topic=topic, producer_id=987654321, message="x")
    same(p.size(topic, consumer), 0, "size after a produce was refused")


def stranger(p, call, topic, own):
    """An id of another topic that `topic` does not have: ids may be counted for each one apart."""
    elsewhere = p.topic()[0]
    for _ in range(THREADS):
        id = p.id(call, elsewhere)
        if id not in own:
            return id
    raise Wrong("the same id again and again: %s" % p.call.last.words())


@check("refusals", "producing with the id of another topic")
def produce_elsewhere(p):
    topic, producer, consumer = p.topic()
    other = stranger(p, "register_producer", topic, (producer, consumer))
    p.refused("produce", topic=topic, producer_id=other, message="x")
    same(p.size(topic, consumer), 0, "size after a produce was refused")


@check("refusals", "producing without a message, or without an id")
def produce_half(p):
    topic, producer, _ = p.topic()
    p.refused("produce", topic=topic, producer_id=producer)
    p.refused("produce", topic=topic, message="x")


@check("refusals", "consuming when there is no message")
def consume_empty(p):
    topic, _, consumer = p.topic()
    p.refused("consume", topic=topic, consumer_id=consumer)


@check("refusals", "consuming from an unknown topic")
def consume_nowhere(p):
    _, _, consumer = p.topic()
    p.refused("consume", topic=p.name(), consumer_id=consumer)


@check("refusals", "consuming with an id that nobody has")
def consume_unknown(p):
    topic, producer, _ = p.topic()
    p.produce(topic, producer, "x")
    p.refused("consume", topic=topic, consumer_id=987654321)


@check("refusals", "consuming with the id of another topic")
def consume_elsewhere(p):
    topic, producer, consumer = p.topic()
    other = stranger(p, "register_consumer", topic, (producer, consumer))
    p.produce(topic, producer, "x")
    p.refused("consume", topic=topic, consumer_id=other)


@check("refusals", "consuming without an id")
def consume_half(p):
    topic, producer, _ = p.topic()
    p.produce(topic, producer, "x")
    p.refused("consume", topic=topic)


@check("refusals", "a body that is no JSON")
def no_json(p):
    p.is_refusal(p.call.raw("create_topic", b'{"name": "jud'))
    p.topic()


@check("refusals", "the size of an unknown topic, or for an unknown consumer")
def size_unknown(p):
    topic, _, consumer = p.topic()
    p.refused("size", topic=p.name(), consumer_id=consumer)
    p.refused("size", topic=topic, consumer_id=987654321)


# ---- at once ------------------------------------------------------------------------------------

@check("concurrency", "no id is given twice")
def unique_ids(p):
    topic = p.topic()[0]

    def register(i):
        call = p.caller()
        kind = "register_consumer" if i % 2 else "register_producer"
        return [(kind, p.id(kind, topic, call)) for _ in range(EACH)]

    ids = sum(together(THREADS, register), [])
    same(len(set(ids)), len(ids), "different ids")


@check("concurrency", "one of many that create a topic at once succeeds")
def one_creates(p):
    for topic in (p.name(), p.name(), p.name()):
        answers = together(THREADS, lambda i: p.caller()("create_topic", topic=topic))
        same(sum(answer.outcome == "ok" for answer in answers), 1, "successes")
        same(p.done("list_topics").count(topic), 1, "times that it is listed")


@check("concurrency", "many producers at once: all is there, once, in each one's order")
def many_produce(p):
    topic, _, one, other = p.topic(2)
    producers = [p.id("register_producer", topic) for _ in range(THREADS)]
    together(THREADS, lambda i: p.produce(
        topic, producers[i], *("%d %d" % (i, n) for n in range(EACH)), caller=p.caller()))
    first, second = (p.drain(topic, consumer, 2 * THREADS * EACH) for consumer in (one, other))
    for i in range(THREADS):
        same([text for text in first if text.startswith("%d " % i)],
             ["%d %d" % (i, n) for n in range(EACH)], "of one producer, consumed")
    same(len(first), THREADS * EACH, "messages consumed")
    same(second, first, "consumed by a second consumer")


@check("concurrency", "two who consume with one id never get the same message")
def one_id(p):
    topic, producer, consumer = p.topic()
    sent = ["message %d" % i for i in range(THREADS * EACH)]
    p.produce(topic, producer, *sent)
    got = sum(together(THREADS, lambda i: p.drain(topic, consumer, len(sent), p.caller())), [])
    same(len(got) - len(set(got)), 0, "messages given twice")
    same(sorted(got, key=by_number), sent, "consumed")


def by_number(text):
    return int(re.sub(r"\D", "", str(text)) or 0)


# ---- dialects: nobody has to speak them ---------------------------------------------------------

def speaks(p, **changes):
    """Does a whole little conversation work in this dialect?"""
    p.call = p.caller(**changes)
    topic, producer, consumer = p.topic()
    p.produce(topic, producer, "x")
    same(p.size(topic, consumer), 1, "size")
    same(p.drain(topic, consumer, 5), ["x"], "consumed")


def dialect(what, **changes):
    def conversation(p):
        speaks(p, **changes)
    conversation.__name__ = "dialect_" + "_".join("%s_%s" % item for item in changes.items())
    CHECKS.append(("dialects", what, conversation))


dialect("POST: parameters in a JSON body", post="json")
dialect("POST: in a form body", post="form")
dialect("POST: in the query string", post="query")
dialect("GET: parameters in the query string", get="query")
dialect("GET: in a JSON body", get="json")
dialect("GET: in a form body", get="form")
dialect("a new topic's name as 'name'", created="name")
dialect("as 'topic_name'", created="topic_name")
dialect("as 'topic'", created="topic")
dialect("the topic of every other call as 'topic'", topic="topic")
dialect("as 'topic_name', in every other call", topic="topic_name")
dialect("as 'name', in every other call", topic="name")
dialect("ids as strings", id_text=True)
dialect("a slash at the path's end", slash=True)


# ---- after a restart ----------------------------------------------------------------------------

def restarts(p, again):
    """
    What is there after it was started again: a Result's (result, evidence) for each of RESTARTS.
    """
    topic, producer, consumer = p.topic()
    p.produce(topic, producer, "taken", "left", "last")
    same(p.drain(topic, consumer, 1), ["taken"], "consumed")
    before = set(p.given.ids) if not p.given.apart else {
        ("register_producer", int_of(producer)), ("register_consumer", int_of(consumer))}
    again()
    p.given.ids.clear()
    p.call = p.caller()
    found = {"topics": remembered(topic in (p.call("list_topics").value or []), p)}
    produced, sender = known(p, "produce", topic, producer_id=producer, message="new")
    taken, reader = known(p, "consume", topic, consumer_id=consumer)
    found["ids"] = remembered(sender and reader, p, taken if sender else produced)
    found["positions"] = ("kept", "") if taken.value == "left" else (
        "unknown" if reader and taken.value != "taken" else "forgotten", taken.words())
    found["messages"] = messages_left(p, topic, consumer if reader else None, taken)
    found["new ids"] = new_ids(p, topic, before)
    return found


def known(p, call, topic, **fields):
    """
    The answer of a call with an id of before, and whether the id was known. A refusal is understood
    if its words say so, or are the ones for an id that nobody has; any other is Wrong.
    """
    answer = p.call(call, topic=topic, **fields)
    if answer.outcome in ("ok", "empty"):
        return answer, True
    nobody = {key: 987654321 if key.endswith("_id") else value for key, value in fields.items()}
    if answer.status is not None and (answer.code in FORGOTTEN or shape(answer) in (
            shape(p.call(call, topic=topic, **nobody)), shape(p.call(call, topic=p.name(), **nobody)))):
        return answer, False
    raise Wrong("what has to succeed, or to say why not, did not: %s" % answer.words())


def remembered(yes, p, answer=None):
    return ("kept", "") if yes else ("forgotten", (answer or p.call.last).words())


def messages_left(p, topic, consumer, taken):
    """By a new consumer, if the old one is not known any more."""
    got = [taken.value] if taken.outcome == "ok" else []
    if consumer is None:
        if p.call("register_consumer", topic=topic).outcome != "ok":
            return "forgotten", p.call.last.words()
        consumer = p.call.last.value
    got += p.drain(topic, consumer, 10)
    if [text for text in got if text in ("left", "last")] == ["left", "last"]:
        return "kept", ""
    if p.start == "latest":
        return "unknown", "a new consumer begins behind them: it got %s" % brief(got)
    return "forgotten", "of 'left' and 'last', which were not taken yet, came %s" % brief(got)


def new_ids(p, topic, before):
    """No id of before may be given to somebody else. (Where ids are counted for each topic apart,
    only those of this topic are before.)"""
    p.call("create_topic", topic=topic)
    for call in ("register_producer", "register_consumer"):
        if (call, int_of(p.id(call, topic))) in before:
            return "forgotten", "an id of before was given again: %s" % p.call.last.words()
    return "kept", ""


RESTARTS = {"topics": "keeps the topics", "ids": "keeps the ids of producers and consumers",
            "positions": "keeps the consumers' positions",
            "messages": "keeps the messages that were not taken yet",
            "new ids": "gives no id of before to somebody else"}


def restart_results(p, name, words, again, persists):
    """The results of a restart, `again`, by what is claimed to be kept."""
    try:
        found = restarts(p, again)
    except (Wrong, NotBack) as wrong:
        return [Result("restart-%s" % name, "restart", "%s, it works as before" % words, "wrong",
                       str(wrong))]
    results = []
    for what, title in RESTARTS.items():
        result, evidence = found[what]
        claimed = ("ids" if what == "new ids" else what) in persists
        if result == "forgotten" and not claimed:
            result = "not claimed"
        results.append(Result("restart-%s-%s" % (name, what.replace(" ", "-")), "restart",
                              "%s, it %s" % (words, title), result, evidence))
    return results


# ---- all of it ----------------------------------------------------------------------------------

def run_check(p, group, function):
    """(result, evidence)"""
    is_dialect = group == "dialects"
    try:
        function(p)
        return ("tolerated" if is_dialect else "pass"), ""
    except Odd as odd:
        return "odd", str(odd)
    except Wrong as wrong:
        return ("not tolerated" if is_dialect else "wrong"), str(wrong)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # An answer of a shape that no check foresees.
        last = p.call.last.words() if p.call.last else ""
        return ("not tolerated" if is_dialect else "wrong"), "%s; %s" % (last, error)


def says_close(address, found):
    """Before the checks, which reuse connections: (Result, the dialect to go on with)."""
    caller = Caller(address, replace(found, fresh=False))
    for _ in range(REUSED):
        caller("list_topics")
    result = Result(SAYS_CLOSE, "calls", "an answer says when its connection is closed", "pass", "")
    if caller.dropped:
        dropped(result, (caller.cut or caller.last).words())
    return result, replace(found, fresh=caller.dropped)


def dropped(result, words):
    result.result, result.evidence = "odd", dropped_words(words)


def dropped_words(words):
    return ("a connection was closed, and its last answer had no 'Connection: close' "
            "(RFC 9112, 9.6), so calls get lost: %s" % words)


def run_one(p, group, function):
    """
    (result, evidence, a call whose connection was closed without a word). If the check went wrong
    then, it is made once more, with a connection for each call.
    """
    result, evidence = run_check(p, group, function)
    cut = p.dropped()
    if cut is None or result not in ("wrong", "not tolerated"):
        return result, evidence, cut
    again = run_check(Probe(p.address, replace(p.dialect, fresh=True), p.start, p.given), group,
                      function)
    if again[0] in ("wrong", "not tolerated"):
        return result, evidence, None
    return *again, cut


def first_list(address):
    """Before there is anything: no topics is an empty list."""
    answer = Caller(address)("list_topics")
    good = answer.outcome == "ok" and answer.value == []
    return Result("list_empty", "calls", "without topics the list is empty",
                  "pass" if good else "odd", "" if good else answer.words())


def run_all(system, start, persists, tell, restarts_too=True):
    """
    All checks, on a system that has just begun: (dialect, results); the dialect is None when it
    understands none, and the results tell why. Without restarts it is never stopped.
    """
    results = [first_list(system.address)]
    found, last = fit(system.address)
    if found is None:
        return None, results + [Result("fit", "calls", "the seven calls are understood", "wrong",
                                       last.words())]
    closing, found = says_close(system.address, found)
    results.append(closing)
    tell(closing)
    given, silent = Given(), 0
    for group, what, function in CHECKS:
        p = Probe(system.address, found, start, given)
        result, evidence, cut = run_one(p, group, function)
        if cut:
            found = replace(found, fresh=True)
            dropped(closing, cut.words())
            tell(closing)
        results.append(Result(function.__name__, group, what, result, evidence))
        tell(results[-1])
        silent = silent + 1 if p.call.last and p.call.last.status is None else 0
        if not system.running() or silent >= SILENT_MAX and system.illness():
            results.append(Result("running", "calls", "it goes on answering", "wrong",
                                  "no answer any more after the check: %s" % what))
            tell(results[-1])
            return found, results
    if not restarts_too:
        return found, results
    for name, words, again in (("stop", "stopped and started", lambda: restart(system.stop, system)),
                               ("kill", "killed and started", lambda: restart(system.kill, system))):
        for result in restart_results(Probe(system.address, found, start, given), name, words, again,
                                      persists):
            results.append(result)
            tell(result)
    return found, results


def restart(end, system):
    end()
    system.start_again()


def as_dicts(results):
    return [asdict(result) for result in results]
