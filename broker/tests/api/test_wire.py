"""The wire to PostgreSQL breaks at the worst instants: before a commit, and right after it."""

from driver import Together, check, same, test, until
from proxy import LOSE_REPLY, LOSE_REQUEST, Proxy

POSTGRES = ("postgres",)
FAULTS = (LOSE_REPLY, LOSE_REQUEST)


def wired(given, *arguments):
    proxy = given.machine.own(Proxy(given.machine.database()))
    return proxy, given.machine.broker(proxy.url, *arguments)


@test(POSTGRES)
def produce_is_stored_once(given):
    """The broker finds out by itself what became of the commit; the client sees a success."""
    proxy, broker = wired(given)
    api = broker.api
    producer_id = api.producer("t")
    sent = []
    for i, fault in enumerate(FAULTS * 5):
        proxy.strike(fault)
        if i % 3 == 0:
            api.produce("t", producer_id, "m%d" % i).succeeded(offset=len(sent))
            sent.append("m%d" % i)
        else:
            batch = ["m%d a" % i, "m%d b" % i]
            api.produce_batch("t", producer_id, batch).succeeded(offset=len(sent), count=2)
            sent += batch
        check(proxy.struck.is_set(), "the fault has hit nothing")
    same(api.read_all("t"), sent, "messages")
    broker.stop()


@test(POSTGRES)
def registrations_happen_once(given):
    proxy, broker = wired(given)
    api = broker.api
    api.filled("t", 4)
    ids = set()
    for i, fault in enumerate(FAULTS * 3):
        for ask in (lambda: api.create("topic %d" % i),
                    lambda: api.call("POST", "/producer/register", json={"topic": "new %d" % i}),
                    lambda: api.call("POST", "/consumer/register", json={"topic": "t"})):
            proxy.strike(fault)
            answer = ask()
            check(answer.http == 200, "%s:" % fault, answer)
            check(proxy.struck.is_set(), "the fault has hit nothing")
        ids.add(answer["consumer_id"])
    same(len(ids), 6, "different consumer ids")
    names = sum([["topic %d" % i, "new %d" % i] for i in range(6)], ["t"])
    same(api.topics(), names, "topics")
    same([api.size("t", c) for c in sorted(ids)], [4] * 6, "sizes")
    broker.stop()


@test(POSTGRES)
def positions_move_once(given):
    proxy, broker = wired(given)
    api = broker.api
    api.filled("t", 20)
    consumer_id = api.consumer("t")
    for i, fault in enumerate(FAULTS * 3):
        proxy.strike(fault)
        api.consume("t", consumer_id).succeeded(message="m%d" % i, offset=i)
        check(proxy.struck.is_set(), "the fault has hit nothing")
    proxy.strike(LOSE_REPLY)
    api.consume("t", consumer_id, offset=15).succeeded(message="m15", offset=15)
    same(api.size("t", consumer_id), 5, "size")
    broker.stop()


@test(POSTGRES)
def old_messages_are_read_all_the_same(given):
    """The readers' connections break, too; a read is simply done again."""
    proxy, broker = wired(given, "--tail-bytes", "0")
    api = broker.api
    api.filled("t", 20)
    consumer_id = api.consumer("t")
    api.consume("t", consumer_id, offset=5)
    for fault in FAULTS * 2:
        proxy.strike(fault)
        api.consume("t", consumer_id, offset=5).succeeded(message="m5", offset=5)
        check(proxy.struck.is_set(), "the fault has hit nothing")
    broker.stop()


@test(POSTGRES)
def unknown_is_said_to_be_unknown(given):
    """The commit's reply is lost, and the store stays away: nobody can know."""
    proxy, broker = wired(given, "--store-timeout", "1")
    api = broker.api
    producer_id = api.producer("t")
    for i, fault in enumerate(FAULTS):
        proxy.refusing = True
        proxy.strike(fault)
        api.produce("t", producer_id, "m%d" % i, sequence=i).refused("outcome_unknown")
        api.produce("t", producer_id, "m%d" % i, sequence=i).refused("store_away")
        proxy.refusing = False
        until(lambda: api.call("GET", "/healthz").http == 200, "the store to be back")
        answer = api.produce("t", producer_id, "m%d" % i, sequence=i)
        if fault == LOSE_REPLY:
            answer.succeeded(offset=i, duplicate=True)
        else:
            answer.succeeded(offset=i)
    same(api.read_all("t"), ["m0", "m1"], "messages")
    broker.stop()


@test(POSTGRES)
def silence_ends(given):
    """The store neither answers nor breaks the connection: requests end all the same."""
    proxy, broker = wired(given, "--store-timeout", "1")
    api = broker.api
    producer_id = api.producer("t")
    api.produce("t", producer_id, "m0", sequence=0)
    proxy.thawed.clear()
    answer = api.produce("t", producer_id, "m1", sequence=1)
    check(answer.http == 503 and answer.body["code"] in ("outcome_unknown", "store_away"), answer)
    api.call("GET", "/healthz").refused("store_away")
    same(api.topics(), ["t"], "topics")
    proxy.thawed.set()
    until(lambda: api.call("GET", "/healthz").http == 200, "the store to be back")
    until(lambda: api.produce("t", producer_id, "m1", sequence=1).http == 200, "a success")
    same(api.read_all("t"), ["m0", "m1"], "messages")
    broker.stop()


@test(POSTGRES)
def sigterm_waits_for_no_store(given):
    """Whether it is gone or only silent: who waits for it is told, long before their time is over
    (which is more than the broker is given to end)."""
    for silent in (False, True):
        proxy, broker = wired(given, "--store-timeout", "300", "--tail-bytes", "0")
        api = broker.api
        producer_id = api.filled("t", 1)
        consumer_id = api.consumer("t")
        if silent:
            proxy.thawed.clear()
        else:
            proxy.refusing = True
            proxy.strike(LOSE_REQUEST)
        waiting = Together(*[lambda i=i: api.produce("t", producer_id, "m%d" % i)
                             for i in range(8)],
                           lambda: api.consume("t", consumer_id, offset=0))
        until(lambda: proxy.struck.is_set() or silent, "the fault to hit")
        for _ in range(100):  # what was sent before them has been taken by now
            api.topics()
        check(waiting.running(), "nobody waits")
        broker.stop()
        for answer in waiting.join():
            check(answer.body["code"] in ("store_away", "outcome_unknown"), answer)
        proxy.thawed.set()
