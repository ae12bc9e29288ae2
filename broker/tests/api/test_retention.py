"""What is removed from a log, and what is not: limits, consumers in the way, crashes between.

A segment is an eighth of the limit, but 64 KiB at least, so with a limit of 64 KiB a log has two
or three. The keeper looks twice a second; the tests go on producing until it has acted.
"""

import signal

import requests

from driver import Together, check, same, sql, test, until

POSTGRES = ("postgres",)
LIMIT = 65536
SMALL = {"retention_bytes": LIMIT}
SMALL_FOR_ALL = dict(SMALL, retention_unread="remove")
MESSAGE = 1024  # bytes that each counts: 100 more than its text


def text(offset):
    return ("%08d" % offset).ljust(MESSAGE - 100, "x")


class Log:
    """A topic with one producer; every message tells its offset."""

    def __init__(self, api, topic, **retention):
        self.api, self.topic = api, topic
        same(api.create(topic, **retention).http, 200, "creation")
        self.producer_id = api.producer(topic)
        self.next = 0

    def grow(self, count=32):
        batch = [text(i) for i in range(self.next, self.next + count)]
        self.api.produce_batch(self.topic, self.producer_id, batch).succeeded(offset=self.next, count=count)
        self.next += count

    def bounds(self, consumer_id):
        """(first, next) offset; the consumer's position stays."""
        answer = self.api.consume(self.topic, consumer_id, offset=2 ** 53)
        answer.refused("offset_out_of_range")
        same(answer.body["next_offset"], self.next, "next_offset")
        return answer.body["first_offset"]

    def grow_until(self, condition, what):
        def grown():
            self.grow()
            return condition()
        until(grown, what)

    def grow_until_trimmed(self, consumer_id, beyond=0):
        self.grow_until(lambda: self.bounds(consumer_id) > beyond, "a first offset > %d" % beyond)
        return self.bounds(consumer_id)

    def read(self, consumer_id, begin):
        """Everything from `begin` to the end, each message where it belongs."""
        while begin < self.next:
            answer = self.api.consume(self.topic, consumer_id, offset=begin, max=1000)
            for item in answer["messages"]:
                same(item, {"offset": begin, "message": text(begin)}, "message")
                begin += 1


def segment_tables(url):
    return sql(url, "SELECT relname FROM pg_class WHERE relnamespace = 'myqueue'::regnamespace"
                    " AND relkind = 'r' AND relname ~ '^log_[1-9]' ORDER BY oid")


def segments_in_use(url):
    return sql(url, "SELECT 'log_' || id FROM myqueue.segment WHERE first_offset IS NOT NULL"
                    " ORDER BY id")


def nothing_is_left_over(url):
    """But for a segment that is not in use yet; one of a broker before stays until the next start."""
    return (segment_tables(url) == sql(url, "SELECT 'log_' || id FROM myqueue.segment ORDER BY id") and
            sql(url, "SELECT count(*) FROM myqueue.log_0 AS l JOIN myqueue.partition AS p"
                     " USING (topic_id) WHERE l.\"offset\" < p.first_offset") == ["0"])


class Reader:
    """Somebody's transaction that has read the whole log and does not end."""

    def __init__(self, machine, url):
        self.url = url
        self.process = machine.process(
            ["psql", "-X", "-q", "-c",
             "SET application_name = 'reader'; BEGIN; SELECT count(*) FROM myqueue.log;"
             " SELECT pg_sleep(3600)", url])
        until(lambda: sql(url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                               " AND application_name = 'reader'") == ["1"], "the long SELECT")

    def end(self):
        sql(self.url, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                      " WHERE application_name = 'reader'")
        self.process.wait()


@test()
def beyond_the_limit_the_oldest_go(given):
    api = given.api
    log = Log(api, given.topic(), **SMALL_FOR_ALL)
    consumer_id = api.consumer(log.topic)
    first = log.grow_until_trimmed(consumer_id)
    check((log.next - first) * MESSAGE >= LIMIT, "less than the limit is left:", first, log.next)
    for offset in ({"offset": 0}, {"offset": first - 1}, {}):
        api.consume(log.topic, consumer_id, **offset).refused(
            "offset_out_of_range", first_offset=first, next_offset=log.next)
    same(api.size(log.topic, consumer_id), log.next - first, "size")
    answer = api.call("POST", "/consumer/register", json={"topic": log.topic})
    same(answer["offset"], first, "where a new consumer begins")
    log.read(answer["consumer_id"], first)
    api.consume(log.topic, consumer_id, offset=first).succeeded(offset=first, message=text(first))
    for offset in (first, first + 1):
        api.consume(log.topic, consumer_id).succeeded(offset=offset, message=text(offset))


@test()
def what_a_consumer_has_to_read_stays(given):
    api = given.api
    held = Log(api, given.topic(), **SMALL)
    free = Log(api, given.topic(), **SMALL_FOR_ALL)  # looked at after the one before
    consumer_id, probe = api.consumer(held.topic), api.consumer(free.topic)
    for _ in range(3):
        held.grow(64)
        free.grow_until_trimmed(probe, beyond=free.bounds(probe))
        same(held.bounds(consumer_id), 0, "first offset")
    held.read(consumer_id, 0)  # it has asked for the last one only: the position is below it
    held.grow(64)
    api.consume(held.topic, consumer_id, offset=held.next).refused("no_message")
    first = held.grow_until_trimmed(consumer_id)
    check(api.size(held.topic, consumer_id) <= held.next - first, "what was to be read is gone")


@test()
def a_topics_own_limits_win(given):
    broker = given.fresh_broker("--retention-bytes", str(LIMIT), "--retention-unread", "remove")
    api = broker.api
    whole, kept, plain = (Log(api, "whole", retention_bytes=0),
                          Log(api, "kept", retention_unread="keep"), Log(api, "plain"))
    consumers = {log: api.consumer(log.topic) for log in (whole, kept, plain)}
    for _ in range(2):
        whole.grow(64)
        kept.grow(64)
        plain.grow_until_trimmed(consumers[plain], beyond=plain.bounds(consumers[plain]))
    same((whole.bounds(consumers[whole]), kept.bounds(consumers[kept])), (0, 0), "first offsets")
    whole.read(consumers[whole], 0)
    kept.read(consumers[kept], 0)
    broker.stop()


@test()
def the_old_go(given):
    api = given.api
    log = Log(api, given.topic(), retention_age_s=1)
    log.grow(1)

    def first():
        """By a consumer that holds nothing back: it is at the end."""
        return log.bounds(api.consumer(log.topic, start="latest"))

    until(lambda: first() == 1, "an empty log")
    log.grow(1)
    log.read(api.consumer(log.topic), 1)


@test()
def bad_limits_are_refused(given):
    for wrong in ({"retention_bytes": -1}, {"retention_bytes": "1k"}, {"retention_bytes": 2 ** 60},
                  {"retention_age_s": -1}, {"retention_age_s": 1.5}, {"retention_unread": "yes"},
                  {"retention_unread": 1}):
        given.api.create(given.topic(), **wrong).refused("bad_request", list(wrong)[0])


@test(POSTGRES)
def the_disk_gets_smaller(given):
    url = given.machine.database()
    broker = given.machine.broker(url)
    log = Log(broker.api, "t", **SMALL_FOR_ALL)
    consumer_id = broker.api.consumer("t")
    log.grow_until_trimmed(consumer_id, beyond=1000)
    until(lambda: nothing_is_left_over(url), "tables and rows of what was trimmed to go")
    same(sql(url, "SELECT count(*) FROM myqueue.log_0"), ["0"], "rows in log_0")
    held = int(sql(url, "SELECT count(*) FROM myqueue.log")[0])
    same(held, log.next - log.bounds(consumer_id), "rows")
    broker.stop()


@test(POSTGRES)
def limits_survive_kill_9(given):
    url = given.machine.database()
    broker = given.machine.broker(url)
    log = Log(broker.api, "t", **SMALL_FOR_ALL)
    consumer_id = broker.api.consumer("t")
    for _ in range(4):
        first = log.grow_until_trimmed(consumer_id, beyond=log.bounds(consumer_id))
        broker.signal(signal.SIGKILL)
        broker.wait()
        broker = given.machine.broker(url)
        log.api = broker.api
        found = log.bounds(consumer_id)
        check(found >= first, "what was removed came back:", first, found)
        log.read(consumer_id, found)
    until(lambda: nothing_is_left_over(url), "what crashes have left to go")
    broker.stop()


@test(POSTGRES)
def a_crash_after_a_segment_was_made(given):
    """It was never put into use: its table goes, and nobody misses it."""
    url = given.machine.database()
    broker = given.machine.broker(url)
    log = Log(broker.api, "t", **SMALL)
    log.grow(1)
    until(lambda: segments_in_use(url) == ["log_1"], "the first segment")
    broker.signal(signal.SIGKILL)
    broker.wait()
    same(sql(url, "SET search_path = myqueue; SELECT create_segment(1, 0)"), ["2"], "segment")
    sql(url, "CREATE TABLE myqueue.log_99 (LIKE myqueue.log INCLUDING DEFAULTS); ALTER TABLE"
             " myqueue.log ATTACH PARTITION myqueue.log_99 FOR VALUES IN (99)")
    broker = given.machine.broker(url)
    log.api = broker.api
    until(lambda: segment_tables(url) == ["log_1"], "the other tables to go")
    log.grow(1)
    log.read(broker.api.consumer("t"), 0)
    broker.stop()


@test(POSTGRES)
def a_long_select_stops_nobody(given):
    """Tables wait for it to be dropped, also over a crash; produces and consumes do not."""
    url = given.machine.database()
    broker = given.machine.broker(url)
    log = Log(broker.api, "t", **SMALL_FOR_ALL)
    consumer_id = broker.api.consumer("t")
    log.grow(64)
    until(lambda: segments_in_use(url), "the first segment")
    reader = Reader(given.machine, url)
    before = segment_tables(url)
    first = log.grow_until_trimmed(consumer_id, beyond=512)
    log.read(consumer_id, first)
    check(set(before) <= set(segment_tables(url)), "a table went that is being read")
    broker.signal(signal.SIGKILL)
    broker.wait()
    reader.end()
    broker = given.machine.broker(url)
    until(lambda: nothing_is_left_over(url), "what waited to go")
    log.api = broker.api
    log.grow()
    log.read(consumer_id, log.bounds(consumer_id))
    broker.stop()


@test(POSTGRES)
def the_broker_before_removes_nothing(given):
    url = given.machine.database()
    old = given.machine.broker(url)
    log = Log(old.api, "t", **SMALL_FOR_ALL)
    consumer_id = old.api.consumer("t")
    log.grow_until_trimmed(consumer_id)
    new = given.machine.broker(url)
    try:
        old.api.produce("t", log.producer_id, "late").refused("fenced")
    except requests.ConnectionError:
        pass  # a roll or a trim of its own has told it already
    same(old.wait(), 1, "exit code")
    log.api = new.api
    first = log.grow_until_trimmed(consumer_id, beyond=log.bounds(consumer_id))
    log.read(consumer_id, first)
    until(lambda: nothing_is_left_over(url), "tables and rows of what was trimmed to go")
    new.stop()


@test(POSTGRES)
def old_sequences_are_found_in_their_segments(given):
    """Two producers in turn, so that memory does not know the offsets; then a restart."""
    url = given.machine.database()
    broker = given.machine.broker(url, "--retention-unread", "remove")
    api = broker.api
    same(api.create("t", retention_bytes=4 * LIMIT).http, 200, "creation")
    producers = [api.producer("t") for _ in range(2)]
    consumer_id = api.consumer("t")
    offsets = []

    def both():
        for producer_id in producers:
            answer = api.produce_batch("t", producer_id, [text(0)] * 8, sequence=8 * len(offsets))
        offsets.append(answer["offset"])

    def first():
        return api.consume("t", consumer_id, offset=2 ** 53).body["first_offset"]

    def trimmed():
        both()
        return first() > 0

    until(trimmed, "segments behind the first offset")
    both()
    begin = first()
    for i, offset in enumerate(offsets[:-2]):
        answer = api.produce_batch("t", producers[1], [text(0)] * 8, sequence=8 * i)
        same(answer["duplicate"], True, "duplicate")
        now = first()
        check(answer.body.get("offset", offset) == offset, "another offset:", answer, offset)
        check("offset" in answer.body or offset < now, "not found:", answer, offset, now)
        check("offset" not in answer.body or offset >= begin, "found after its end:", answer)
    broker.stop()


VERSION_1 = """
CREATE SCHEMA myqueue; SET search_path = myqueue;
CREATE TABLE schema_version (version int NOT NULL); INSERT INTO schema_version VALUES (1);
CREATE SEQUENCE topic_id START 2; CREATE SEQUENCE producer_id START 2; CREATE SEQUENCE consumer_id;
CREATE TABLE topic (id bigint PRIMARY KEY, name text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE partition (topic_id bigint NOT NULL REFERENCES topic, number int NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0, epoch bigint NOT NULL DEFAULT 1, owner text,
    PRIMARY KEY (topic_id, number)) WITH (fillfactor = 50);
CREATE TABLE producer (id bigint PRIMARY KEY, topic_id bigint NOT NULL REFERENCES topic,
    registered_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE log (topic_id bigint NOT NULL, partition int NOT NULL, "offset" bigint NOT NULL,
    producer_id bigint NOT NULL, sequence bigint, message text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (topic_id, partition, "offset"));
CREATE FUNCTION commit_batch(bigint) RETURNS void LANGUAGE sql AS $$ $$;
INSERT INTO topic VALUES (1, 't'); INSERT INTO partition VALUES (1, 0, 200, 3, 'x:1');
INSERT INTO producer VALUES (1, 1);
INSERT INTO log SELECT 1, 0, i, 1, NULL, rpad(to_char(i, 'FM00000000'), 924, 'x')
    FROM generate_series(0, 199) AS i;
"""


@test(POSTGRES)
def a_database_of_version_1_is_taken_over(given):
    url = given.machine.database()
    sql(url, VERSION_1)
    broker = given.machine.broker(url)
    api = broker.api
    log = object.__new__(Log)
    log.api, log.topic, log.producer_id, log.next = api, "t", 1, 200
    log.grow()
    log.read(api.consumer("t"), 0)
    same(sql(url, "SELECT version, bytes FROM myqueue.schema_version, myqueue.partition"),
         ["2|%d" % (log.next * MESSAGE)], "version and bytes")
    broker.stop()
    broker = given.machine.broker(url, "--retention-bytes", str(LIMIT), "--retention-unread",
                                  "remove")
    log.api = broker.api
    first = log.grow_until_trimmed(broker.api.consumer("t"))
    check(first >= 200, "segment 0 goes as one:", first)
    until(lambda: nothing_is_left_over(url), "rows of what was trimmed to go")
    broker.stop()


@test(POSTGRES)
def consumers_register_while_the_log_is_trimmed(given):
    """Each finds the message that it was told it begins with, until it has read it."""
    broker = given.machine.broker(given.machine.database())
    log = Log(broker.api, "t", **SMALL)

    def register(_):
        for _ in range(60):
            answer = broker.api.call("POST", "/consumer/register", json={"topic": "t"})
            begin = answer.body.get("offset", 0)
            got = broker.api.consume("t", answer["consumer_id"])
            if got.http == 200:
                got.succeeded(offset=begin, message=text(begin))
            broker.api.consume("t", answer["consumer_id"], offset=2 ** 53
                               ).refused("offset_out_of_range")
            end = log_end(broker.api, answer["consumer_id"])
            check(end >= begin, "an end before the beginning")

    def log_end(api, consumer_id):
        """And go there, so that nothing is held back."""
        end = api.consume("t", consumer_id, offset=2 ** 53).body["next_offset"]
        api.consume("t", consumer_id, offset=end)
        return end

    def produce(_):
        for _ in range(150):
            log.grow(16)

    Together(*[lambda i=i: register(i) for i in range(3)], lambda: produce(0)).join()
    broker.stop()
