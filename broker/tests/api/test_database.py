"""What only a durable store shows: kill -9; and PostgreSQL that goes away, two brokers on one."""

import os
import re
import signal

import requests

from driver import BROKER, DURABLE, Together, check, same, sql, test, until
from load import Load

POSTGRES = ("postgres",)
RIDDEN_OUT = {"store_away", "outcome_unknown"}


def killed(broker):
    broker.signal(signal.SIGKILL)
    same(broker.wait(), -signal.SIGKILL, "exit code")
    broker.check_sanitizers()


@test(DURABLE)
def kill_9_forgets_nothing(given):
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    api = broker.api
    names = ["b", "a", "ünï 😀"]
    for name in names:
        api.create(name)
    producer_id = api.producer("a")
    fresh, latest, half, back = [api.consumer("a") for _ in range(4)]
    for i in range(6):
        api.produce("a", producer_id, "m%d" % i, sequence=i)
    api.produce_batch("a", producer_id, ["m6", "", "é😀\n"], sequence=6)
    latest = api.consumer("a", start="latest")
    for i in range(3):
        api.consume("a", half)
    api.consume("a", back, offset=7)
    api.consume("a", back, offset=2, max=5)
    last_ids = api.producer("b"), api.consumer("b")
    killed(broker)

    broker = given.machine.broker(url)
    api = broker.api
    same(api.topics(), names, "topics")
    same([api.size("a", c) for c in (fresh, latest, half, back)], [9, 0, 6, 7], "sizes")
    messages = ["m%d" % i for i in range(7)] + ["", "é😀\n"]
    same(api.read_all("a"), messages, "messages")
    api.consume("a", half).succeeded(message="m3", offset=3)
    api.consume("a", back).succeeded(message="m2", offset=2)
    api.consume("a", latest).refused("no_message")
    api.create("a").refused("topic_exists")
    for i in range(6):
        api.produce("a", producer_id, "m%d" % i, sequence=i).succeeded(offset=i, duplicate=True)
    api.produce_batch("a", producer_id, ["m6", "", "é😀\n"], sequence=6
                      ).succeeded(offset=6, count=3, duplicate=True)
    api.produce("a", producer_id, "x", sequence=10).refused("out_of_sequence", expected=9)
    api.produce("a", producer_id, "m9", sequence=9).succeeded(offset=9)
    api.produce("b", producer_id, "x").refused("not_registered")
    check(api.producer("b") > last_ids[0] and api.consumer("b") > last_ids[1],
          "an id was given a second time")
    same(api.read_all("a"), messages + ["m9"], "messages")
    broker.stop()


@test(DURABLE)
def kill_9_again_and_again_under_load(given):
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    load = Load(broker.api, "t")
    for _ in range(4):
        until(load.acknowledged(60), "60 more messages")
        killed(broker)
        broker = given.machine.broker(url, listen=broker.address)
    until(load.acknowledged(60), "60 more messages")
    load.finish()
    broker.stop()


@test(DURABLE)
def a_plain_consume_is_taken_for_good(given):
    """At most once: what was handed out is not handed out again after kill -9."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    broker.api.filled("t", 40)
    consumer_id = broker.api.consumer("t")
    taken = 0
    while taken < 40:
        for _ in range(10):
            broker.api.consume("t", consumer_id).succeeded(message="m%d" % taken, offset=taken)
            taken += 1
        killed(broker)
        broker = given.machine.broker(url)
    broker.api.consume("t", consumer_id).refused("no_message")
    broker.stop()


@test(POSTGRES)
def a_person_can_read_the_log(given):
    url = given.machine.database()
    broker = given.machine.broker(url)
    api = broker.api
    producer_id = api.filled("a", 3)
    api.produce("a", producer_id, "é|😀", sequence=0)
    api.filled("b", 1)
    rows = sql(url, 'SELECT t.name, l.partition, l."offset", l.producer_id, l.sequence, l.message '
                    'FROM myqueue.log l JOIN myqueue.topic t ON t.id = l.topic_id '
                    'ORDER BY t.name, l."offset"')
    same(rows, ["a|0|0|1||m0", "a|0|1|1||m1", "a|0|2|1||m2", "a|0|3|1|0|é|😀", "b|0|0|2||m0"],
         "rows of the log")
    same(sql(url, "SELECT next_offset FROM myqueue.partition ORDER BY topic_id"), ["4", "1"],
         "counters")
    broker.stop()


@test(POSTGRES)
def postgres_killed_under_load(given):
    cluster = given.machine.cluster()
    broker = given.machine.broker(cluster.url, "--store-timeout", "1")
    api = broker.api
    load = Load(api, "t")
    producer_id, consumer_id = api.producer("other"), api.consumer("other")
    for i in range(2):
        until(load.acknowledged(60), "60 more messages")
        cluster.kill()
        until(lambda: api.call("GET", "/healthz").http == 503, "healthz to tell")
        api.call("GET", "/healthz").refused("store_away")
        # The first to find the connection broken cannot know what became of its commit.
        answer = api.produce("other", producer_id, "m%d" % i, sequence=i)
        check(answer.http == 503 and answer.body["code"] in RIDDEN_OUT, answer)
        api.produce("other", producer_id, "m%d" % i, sequence=i).refused("store_away")
        api.create("refused").refused("store_away")
        cluster.start()
        until(lambda: api.call("GET", "/healthz").http == 200, "healthz to tell")
        same(api.produce("other", producer_id, "m%d" % i, sequence=i)["offset"], i, "offset")
        api.consume("other", consumer_id).succeeded(message="m%d" % i, offset=i)
    until(load.acknowledged(60), "60 more messages")
    load.finish()
    check(load.codes <= RIDDEN_OUT, "ridden out:", load.codes)
    same(api.read_all("other"), ["m0", "m1"], "messages")
    check("refused" not in api.topics(), "a refused topic is in the list")
    broker.stop()


@test(POSTGRES)
def requests_wait_for_postgres(given):
    """With time enough a request that comes while the store is away is served when it is back."""
    cluster = given.machine.cluster()
    broker = given.machine.broker(cluster.url, "--store-timeout", "120")
    api = broker.api
    producer_id, consumer_id = api.filled("t", 1), api.consumer("t")
    cluster.kill()
    until(lambda: api.call("GET", "/healthz").http == 503, "healthz to tell")
    waiting = Together(lambda: api.produce("t", producer_id, "waited"),
                       lambda: api.consume("t", consumer_id),
                       lambda: api.create("waited"),
                       lambda: api.call("POST", "/consumer/register", json={"topic": "t"}))
    cluster.start()
    produced, consumed, created, registered = waiting.join()
    produced.succeeded(offset=1)
    consumed.succeeded(message="m0", offset=0)
    created.succeeded(message="Topic 'waited' created successfully")
    check(registered["consumer_id"] > consumer_id, registered)
    broker.stop()


@test(POSTGRES)
def connections_cut_by_the_server(given):
    """PostgreSQL lives, but ends our connections: the broker makes new ones."""
    url = given.machine.database()
    broker = given.machine.broker(url)
    load = Load(broker.api, "t")
    for _ in range(5):
        until(load.acknowledged(30), "30 more messages")
        sql(given.machine.server_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = '%s'" % re.search(r"/(\w+)(\?|$)", url).group(1))
    until(load.acknowledged(30), "30 more messages")
    load.finish()
    broker.stop()


@test(POSTGRES)
def sigterm_while_postgres_is_away(given):
    cluster = given.machine.cluster()
    broker = given.machine.broker(cluster.url, "--store-timeout", "5")
    api = broker.api
    producer_id = api.filled("t", 1)
    cluster.kill()
    until(lambda: api.call("GET", "/healthz").http == 503, "healthz to tell")
    waiting = Together(lambda: api.produce("t", producer_id, "x"))
    broker.signal(signal.SIGTERM)
    broker.wait()
    broker.check_sanitizers()
    try:
        answer = waiting.join()[0]
    except requests.ConnectionError:
        return  # it came too late to be accepted
    check(answer.http == 503, answer)


@test(POSTGRES)
def two_brokers_on_one_database(given):
    """The younger one owns the log; the older one is refused and ends."""
    url = given.machine.database()
    older = given.machine.broker(url)
    producer_id = older.api.producer("t")
    older.api.produce("t", producer_id, "by the older", sequence=0).succeeded(offset=0)
    younger = given.machine.broker(url)
    younger.api.produce("t", producer_id, "by the younger", sequence=1).succeeded(offset=1)
    try:
        older.api.produce("t", producer_id, "too late", sequence=1).refused("fenced")
    except requests.ConnectionError:
        pass  # it has noticed by itself
    check(older.wait() != 0, "the fenced broker ended with exit code 0")
    check("another broker" in older.lines[-1], "its last line:", older.lines[-1])
    older.check_sanitizers()
    same(younger.api.read_all("t"), ["by the older", "by the younger"], "messages")
    younger.stop()


@test(POSTGRES)
def a_fenced_broker_changes_nothing(given):
    """Whatever it is asked first: what it said yes to, the younger one would not know of."""
    asked_first = {
        "create a topic": lambda api, p, c: api.create("late"),
        "register a producer": lambda api, p, c: api.call("POST", "/producer/register",
                                                          json={"topic": "t"}),
        "register a producer of a new topic": lambda api, p, c: api.call(
            "POST", "/producer/register", json={"topic": "late"}),
        "register a consumer": lambda api, p, c: api.call("POST", "/consumer/register",
                                                          json={"topic": "t"}),
        "produce": lambda api, p, c: api.produce("t", p, "late"),
        "consume": lambda api, p, c: api.consume("t", c),
        "consume by offset": lambda api, p, c: api.consume("t", c, offset=1),
    }
    for what, ask in asked_first.items():
        url = given.machine.database()
        older = given.machine.broker(url)
        producer_id, consumer_id = older.api.filled("t", 2), older.api.consumer("t")
        younger = given.machine.broker(url)
        try:
            answer = ask(older.api, producer_id, consumer_id)
            check(answer.http == 503 and answer.body["code"] == "fenced", "%s:" % what, answer)
        except requests.ConnectionError:
            pass  # it has noticed by itself
        check(older.wait() != 0, "the fenced broker ended with exit code 0")
        younger.api.create("late").succeeded(message="Topic 'late' created successfully")
        same(younger.api.size("t", consumer_id), 2, "size")
        younger.stop()


@test(POSTGRES)
def takeover_under_load(given):
    """The younger broker takes the older one's log while clients write: nothing is lost."""
    url = given.machine.database()
    older = given.machine.broker(url)
    load = Load(older.api, "t", consumers=0)
    until(load.acknowledged(60), "60 more messages")
    given.machine.broker(url)
    check(older.wait() != 0, "the fenced broker ended with exit code 0")
    successor = given.machine.broker(url, listen=older.address)  # the clients know this address
    until(load.acknowledged(60), "60 more messages")
    load.finish()
    check("fenced" in load.codes, "nobody was told `fenced`:", load.codes)
    successor.stop()


@test(POSTGRES)
def rows_that_a_person_has_deleted(given):
    """Reading there fails, the broker lives."""
    url = given.machine.database()
    broker = given.machine.broker(url, "--tail-bytes", "0")
    api = broker.api
    api.filled("t", 10)
    consumer_id = api.consumer("t")
    sql(url, 'DELETE FROM myqueue.log WHERE "offset" IN (0, 1, 2, 5)')
    api.consume("t", consumer_id).refused("internal")
    api.consume("t", consumer_id, offset=3, max=100).refused("internal")
    api.consume("t", consumer_id, offset=6).succeeded(message="m6", offset=6)
    broker.stop()


@test(POSTGRES)
def a_newer_schema_is_not_touched(given):
    url = given.machine.database()
    given.machine.broker(url).stop()
    sql(url, "UPDATE myqueue.schema_version SET version = 999")
    process = given.machine.process([BROKER, "--listen", "127.0.0.1:0", "--store", url,
                                     "--store-wait", "1"])
    check(process.wait() != 0, "it has started on a schema that it cannot know")
    check("999" in process.lines[-1], "its last line:", process.lines[-1:])
    same(sql(url, "SELECT version FROM myqueue.schema_version"), ["999"], "version")


@test(POSTGRES)
def a_topic_that_is_created_during_the_takeover(given):
    """The older broker's transaction ends while the younger one starts: its topic is fenced, too."""
    url = given.machine.database()
    given.machine.broker(url).stop()
    older = given.machine.process(["psql", "-X", "-c", "BEGIN; SET search_path = myqueue; "
        "SELECT commit_clients(o.epoch, '{77}', '{new}'%s) FROM ownership o;" % (5 * ", '{}'") +
        " SELECT pg_sleep(3); COMMIT", url])
    until(lambda: sql(url, "SELECT 1 FROM pg_locks WHERE mode = 'RowShareLock' AND granted AND "
                      "relation = 'myqueue.ownership'::regclass"), "the older one's transaction")
    younger = given.machine.broker(url)
    same(older.wait(), 0, "exit code of psql")
    same(younger.api.topics(), ["new"], "topics")
    same(sql(url, "SELECT epoch FROM myqueue.partition"), ["2"], "epoch")
    younger.stop()


@test(POSTGRES)
def a_takeover_from_one_that_hangs(given):
    """The older broker was stopped in the midst of a transaction: it holds the log no longer."""
    url = given.machine.database()
    given.machine.broker(url).stop()
    older = given.machine.process(
        ["psql", "-X", "-c", "BEGIN; UPDATE myqueue.partition SET owner = owner;"
         " UPDATE myqueue.ownership SET epoch = epoch; SELECT pg_sleep(86400)", url],
        env=dict(os.environ, PGAPPNAME="myqueue-broker"))
    until(lambda: sql(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
          "the older one's transaction")
    younger = given.machine.broker(url)
    check(older.wait() != 0, "the older one's transaction was left to itself")
    until(lambda: any("ended_older_session" in line for line in younger.lines), "it to be told")
    younger.stop()
