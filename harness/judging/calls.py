"""calls.py - the assignment's seven calls, in the dialect that a system understands.

The assignment leaves open how parameters travel, and contradicts itself on the name of one. A
Dialect is one way to write them; `fit()` finds one that a system understands. A Caller makes the
calls over a connection of its own and never sends anything twice.
"""

import http.client
import json
import re
import select
import urllib.parse
from dataclasses import dataclass, replace

LIMIT_S = 30  # for one answer
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

    def write(self, call, fields):
        """method, path with query, headers, body of a call."""
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
        return "POST with %s, GET with %s, a new topic's name as '%s', else '%s'" % (
            TOKENS[self.post], TOKENS[self.get], self.created, self.topic)


class Answer:
    """
    What came back. `outcome`:

      ok       it was done, and `value` is what the call is made for
      empty    a consume found no message (`code` is no_message)
      refused  certainly not done; `code` says why, as far as it can be told
      away     nothing was sent: the connection was refused
      unknown  whether it was done: no answer, or an error of the system's own
    """

    def __init__(self, call, shown, status=None, text="", error=None):
        self.call, self.shown = call, shown
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
                   r"no (data|logs?|entr)|up.to.date|end of"),
    ("unknown_producer", r"producer.*(not|n't|unknown|invalid|no such|exist)|"
                         r"(not|unknown|invalid|no such|no).*producer"),
    ("unknown_consumer", r"consumer.*(not|n't|unknown|invalid|no such|exist)|"
                         r"(not|unknown|invalid|no such|no).*consumer"),
    ("unknown_topic", r"topic.*(not|n't|unknown|invalid|no such|exist)|"
                      r"(not|unknown|invalid|no such|no).*topic"),
    ("not_registered", r"(not|un).?(registered|subscribed)|subscri"),
)
CODES = {code for code, _ in WORDINGS}


def code_of(answer):
    """Why it was refused, as our own broker would name it. When that cannot be told it is
    "refused", and no_message of a consume: that is what is mostly meant."""
    if answer.field("code") in CODES:
        return answer.field("code")
    said = (answer.field("message") or answer.field("error") or answer.field("detail") or
            answer.text)
    said = re.sub(r"'[^']*'|\"[^\"]*\"", "x", str(said)).lower()
    for code, wording in WORDINGS:
        if (code == "no_message") <= (answer.call == "consume") and re.search(wording, said):
            return code
    return "no_message" if answer.call == "consume" and answer.status < 500 else "refused"


class Caller:
    """One client's connection. Threads: one."""

    def __init__(self, address, dialect=Dialect()):
        where = urllib.parse.urlsplit(address)
        self.prefix, self.dialect = where.path, dialect
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=LIMIT_S)
        self.last = None  # the last Answer, for evidence

    def __call__(self, call, **fields):
        method, path, headers, body = self.dialect.write(call, fields)
        shown = "%s %s%s" % (method, path, " " + body.decode() if body else "")
        self.last = self.exchange(call, shown if len(shown) < 200 else shown[:200] + "…", method,
                                  path, headers, body)
        return self.last

    def exchange(self, call, shown, method, path, headers, body):
        try:
            self.connect()
        except ConnectionRefusedError:
            return Answer(call, shown, error="refused")
        except OSError as error:
            return Answer(call, shown, error=str(error) or "no connection")
        try:
            self.connection.request(method, self.prefix + path, body, headers)
            response = self.connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            return Answer(call, shown, response.status, text)
        except TimeoutError:
            self.connection.close()
            return Answer(call, shown, error=TIMED_OUT)
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return Answer(call, shown, error=str(error) or type(error).__name__)

    def connect(self):
        """A connection that the other side has closed meanwhile is not used again."""
        held = self.connection.sock
        if held is not None and select.select([held], [], [], 0)[0]:
            self.connection.close()
        if self.connection.sock is None:
            self.connection.connect()

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
    caller, number = Caller(address), 0
    for post in CARRIERS:
        for created in ("name", "topic_name", "topic"):
            number += 1
            topic = "fit-%d" % number
            caller.dialect = Dialect(post=post, created=created)
            if caller("create_topic", topic=topic).outcome != "ok":
                if caller.last.error == TIMED_OUT:
                    return None, caller.last  # it hangs: so would the other calls
                continue
            if topic in (caller("list_topics").value or []):
                fitted = fit_rest(caller, topic)
                if fitted:
                    return fitted, caller.last
    return None, caller.last


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
                return caller.dialect
    return None
