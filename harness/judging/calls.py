"""calls.py - the assignment's seven calls, in the dialect that a system understands.

The assignment leaves open how parameters travel, and contradicts itself on the name of one. A
Dialect is one way to write them; `fit()` finds one that a system understands, and hears by which
words it says that there is no message. A Caller makes the calls over a connection of its own and
never sends anything twice.
"""

import http.client
import itertools
import json
import re
import select
import time
import urllib.parse
from dataclasses import dataclass, replace

LIMIT_S = 30  # for one answer
IDLE_S = 1    # who closes a connection that was used less long ago does not do so as it is idle
TIMED_OUT = "none within %d s" % LIMIT_S

CALLS = {
    "create_topic": ("POST", "/topics"),
    "list_topics": ("GET", "/topics"),
    "register_consumer": ("POST", "/consumer/register"),
    "register_producer": ("POST", "/producer/register"),
    "produce": ("POST", "/producer/produce"),
    "consume": ("GET", "/consumer/consume"),
    "size": ("GET", "/size"),
}
RESULTS = {"create_topic": None, "list_topics": "topics", "register_consumer": "consumer_id",
           "register_producer": "producer_id", "produce": None, "consume": "message",
           "size": "size"}
CARRIERS = ("json", "form", "query")
TOPIC_NAMES = ("topic", "topic_name", "name")
TOKENS = {"json": "a JSON body", "form": "a form body", "query": "the query string"}


@dataclass(frozen=True)
class Dialect:
    post: str = "json"        # how a POST carries its parameters
    get: str = "query"        # how a GET does
    created: str = "name"     # what the topic is called when it is created
    topic: str = "topic"      # and in every other call
    id_text: bool = False     # ids as strings
    slash: bool = False       # paths end with one
    empty: tuple = ()         # the shapes of "no message", where it was sure that there was none
    fresh: bool = False       # a connection for each request: it closes them without a word

    def write(self, call, fields):
        """method, path with query, headers, body of a call."""
        method, path, headers, body = self.carry(call, fields)
        return method, path, {**headers, **({"Connection": "close"} if self.fresh else {})}, body

    def carry(self, call, fields):
        method, path = CALLS[call]
        path += "/" if self.slash else ""
        carrier = self.post if method == "POST" else self.get
        named = {}
        for key, value in fields.items():
            if key == "topic":
                key = self.created if call == "create_topic" else self.topic
            named[key] = str(value) if self.id_text and key.endswith("_id") else value
        if not named:
            return method, path, {}, None
        if carrier == "json":
            return (method, path, {"Content-Type": "application/json"},
                    json.dumps(named).encode())
        encoded = urllib.parse.urlencode(named, encoding="utf-8", errors="surrogatepass")
        if carrier == "form":
            return (method, path, {"Content-Type": "application/x-www-form-urlencoded"},
                    encoded.encode())
        return method, "%s?%s" % (path, encoded), {}, None if method == "GET" else b""

    def words(self):
        return "POST with %s, GET with %s, a new topic's name as '%s', else '%s'%s" % (
            TOKENS[self.post], TOKENS[self.get], self.created, self.topic,
            ", a connection for each request" * self.fresh)


class Answer:
    """
    What came back. `outcome`:

      ok       it was done, and `value` is what the call is made for
      empty    a consume found no message (`code` is no_message)
      refused  certainly not done; `code` says why, as far as it can be told
      away     nothing was sent: the connection was refused
      unknown  whether it was done: no answer, or an error of the system's own
    """

    def __init__(self, call, shown, status=None, text="", error=None, empty=()):
        self.call, self.shown, self.empty = call, shown, empty
        self.status, self.text, self.error = status, text, error
        self.value, self.code = None, None
        try:
            self.body = json.loads(text)
        except ValueError:
            self.body = None
        self.outcome = self.judge()

    def field(self, key):
        return self.body.get(key) if isinstance(self.body, dict) else None

    def judge(self):
        if self.status is None:
            return "away" if self.error == "refused" else "unknown"
        said = self.field("status")
        wanted = RESULTS[self.call]
        self.value = self.field(wanted) if wanted else True
        if 200 <= self.status < 300 and said != "failure" and (
                self.value is not None or said == "success") and self.body is not None:
            if self.value is None and self.call == "consume":
                self.code = "no_message"
                return "empty"
            return "ok"
        self.code = code_of(self)
        if self.call == "consume" and self.code == "no_message":
            return "empty"
        return "refused" if self.status < 500 else "unknown"

    def properly_refused(self):
        """As the contract wants it: 400, and a body that says so with a reason."""
        message = self.field("message")
        return self.status == 400 and self.field("status") == "failure" and \
            isinstance(message, str) and message != ""

    def words(self):
        if self.status is None:
            return "%s: %s" % (self.shown, "the connection was refused" if self.error == "refused"
                               else "no answer (%s)" % self.error)
        text = " ".join(self.text.split())
        return "%s was answered %d %s" % (self.shown, self.status,
                                          text if len(text) < 200 else text[:200] + "…")


# How implementations word their refusals; the first that fits tells. `code` is ours, where a
# system has one.
WORDINGS = (
    ("no_message", r"no (more |new |log )*(log )?messages?\b|\bempty\b|nothing (new|to|left)|"
                   r"no (data|logs?|entry|entries)\b(?! ?base)|up.to.date|end of (the )?(topic|queue|log)"),
    ("unknown_producer", r"producer.*(not|n't|unknown|invalid|no such|exist)|"
                         r"(not|unknown|invalid|no such|no).*producer"),
    ("unknown_consumer", r"consumer.*(not|n't|unknown|invalid|no such|exist)|"
                         r"(not|unknown|invalid|no such|no).*consumer"),
    ("unknown_topic", r"topic.*(not|n't|unknown|invalid|no such|exist)|"
                      r"(not|unknown|invalid|no such|no).*topic"),
    ("not_registered", r"(not|un).?(registered|subscribed)|subscri"),
)
CODES = {code for code, _ in WORDINGS}
FORGOTTEN = CODES - {"no_message"}  # what a client is told that is not known, or its topic


def code_of(answer):
    """Why it was refused, as our own broker would name it; "refused": that cannot be told. A consume
    is told that there is no message by the words that `fit()` heard for an empty topic, or by
    ones that can mean nothing else; anything else may be an error of any kind."""
    if answer.field("code") in CODES:
        return answer.field("code")
    consume, said = answer.call == "consume", shape(answer)
    if consume and said in answer.empty:
        return "no_message"
    for code, wording in WORDINGS:
        if (code == "no_message") <= consume and re.search(wording, said):
            return code
    return "refused"


def shape(answer):
    """What a refusal says, without what is different each time: names in quotes, and numbers."""
    said = (answer.field("message") or answer.field("error") or answer.field("detail") or
            answer.text)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "x", str(said)).lower()


class Caller:
    """
    One client's connection. Threads: one.

    `dropped`: a connection ended after an answer that did not say so with Connection: close, as it
    has to (RFC 9112, 9.6). `cut` is the latest call that got no answer by that; nobody knows
    whether it was done.
    """

    def __init__(self, address, dialect=Dialect()):
        where = urllib.parse.urlsplit(address)
        self.prefix, self.dialect = where.path, dialect
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=LIMIT_S)
        self.last = None  # the last Answer, for evidence
        self.dropped, self.cut = False, None
        self.heard_s = 0.0  # when the last answer came

    def __call__(self, call, **fields):
        method, path, headers, body = self.dialect.write(call, fields)
        shown = "%s %s%s" % (method, path, " " + body.decode() if body else "")
        self.last = self.exchange(call, shown if len(shown) < 200 else shown[:200] + "…", method,
                                  path, headers, body)
        return self.last

    def raw(self, call, body):
        """The call with this body, which says that it is JSON."""
        method, path, headers, _ = self.dialect.write(call, {})
        self.last = self.exchange(call, "%s %s %s" % (method, path, body.decode()), method, path,
                                  {**headers, "Content-Type": "application/json"}, body)
        return self.last

    def exchange(self, call, shown, method, path, headers, body):
        try:
            reused = self.connect()
        except ConnectionRefusedError:
            return Answer(call, shown, error="refused")
        except OSError as error:
            return Answer(call, shown, error=str(error) or "no connection")
        response = None
        try:
            self.connection.request(method, self.prefix + path, body, headers)
            response = self.connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            self.heard_s = time.monotonic()
            return Answer(call, shown, response.status, text, empty=self.dialect.empty)
        except TimeoutError:
            self.connection.close()
            return Answer(call, shown, error=TIMED_OUT)
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            answer = Answer(call, shown, error=str(error) or type(error).__name__)
            if reused and response is None and isinstance(error, ConnectionError):
                self.dropped, self.cut = True, answer
            return answer

    def connect(self):
        """A connection that the other side has closed meanwhile is not used again. True: it has
        answered before."""
        held = self.connection.sock
        if held is not None and (self.dialect.fresh or select.select([held], [], [], 0)[0]):
            at_once = time.monotonic() - self.heard_s < IDLE_S
            self.dropped = self.dropped or at_once and not self.dialect.fresh
            self.connection.close()
        if self.connection.sock is not None:
            return True
        self.connection.connect()
        return False

    def close(self):
        self.connection.close()


def int_of(value):
    """An id or a size; some write them as strings. None: it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    return value if isinstance(value, int) else None


def fit(address):
    """The first dialect in which all seven calls are understood, nearest to the assignment's, or
    None; and the last answer, which tells why."""
    caller, names = Caller(address), ("fit-%d" % number for number in itertools.count(1))
    for fresh in (False, True):
        found = fit_all(caller, names, fresh)
        if caller.cut is None:
            break
        caller.cut = None
    return found, caller.last


def fit_all(caller, names, fresh):
    for post in CARRIERS:
        for created in ("name", "topic_name", "topic"):
            topic = next(names)
            caller.dialect = Dialect(post=post, created=created, fresh=fresh)
            if caller("create_topic", topic=topic).outcome != "ok":
                if caller.last.error == TIMED_OUT or caller.cut:
                    return None  # it hangs: so would the other calls
                continue
            if topic in (caller("list_topics").value or []):
                fitted = fit_rest(caller, topic)
                if fitted or caller.cut:
                    return fitted
    return None


def fit_rest(caller, topic):
    """The same for the other calls, once a topic is there."""
    for named in TOPIC_NAMES:
        caller.dialect = replace(caller.dialect, topic=named)
        consumer = caller("register_consumer", topic=topic)
        if consumer.outcome != "ok":
            continue
        for get in ("query", "json", "form"):
            caller.dialect = replace(caller.dialect, get=get)
            if caller("size", topic=topic, consumer_id=consumer.value).outcome == "ok":
                return replace(caller.dialect, empty=heard_empty(caller, topic, consumer.value))
    return None


def heard_empty(caller, topic, consumer):
    """How a consume is refused in an empty topic, and once all is taken; if it works at all."""
    empty = caller("consume", topic=topic, consumer_id=consumer)
    producer = caller("register_producer", topic=topic).value
    caller("produce", topic=topic, producer_id=producer, message="fit")
    if caller("consume", topic=topic, consumer_id=consumer).outcome != "ok":
        return ()
    drained = caller("consume", topic=topic, consumer_id=consumer)
    return tuple(sorted({shape(answer) for answer in (empty, drained)
                         if answer.outcome == "refused"}))


