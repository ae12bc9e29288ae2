"""What only the SQLite store shows: its file, and how a broker treats files that it cannot use."""

import contextlib
import os
import sqlite3

from driver import BROKER, Together, check, clean_environment, run_to_end, same, test, until

SQLITE = ("sqlite",)


def file_of(url):
    return url.split(":", 1)[1]


def query(url, statement):
    """As a person with the sqlite3 program would; the rows."""
    with contextlib.closing(sqlite3.connect(file_of(url))) as database, database:
        return database.execute(statement).fetchall()


def refuses(url, *words):
    """A broker on this store ends with one line that holds these words."""
    code, out, err = run_to_end([BROKER, "--listen", "127.0.0.1:0", "--store", url,
                                 "--store-wait", "0"], env=clean_environment(None))
    check(code == 1 and out == "", "exit code %d, stdout %r" % (code, out))
    last = err.splitlines()[-1]
    check(last.startswith("myqueue-broker: cannot use the store: "), "its last line:", last)
    for word in words:
        check(word in last, "%r is not said in %r" % (word, last))


@test(SQLITE)
def a_person_can_read_the_file(given):
    """While the broker writes, with the query that the schema names."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    api = broker.api
    producer_id = api.filled("a", 3)
    api.produce("a", producer_id, "é|😀", sequence=0)
    api.filled("b", 1)
    rows = query(url, 'SELECT t.name, l.partition, l."offset", l.producer_id, l.sequence, l.message'
                      ' FROM log l JOIN topic t ON t.id = l.topic_id ORDER BY t.name, l."offset"')
    same(rows, [("a", 0, 0, 1, None, "m0"), ("a", 0, 1, 1, None, "m1"), ("a", 0, 2, 1, None, "m2"),
                ("a", 0, 3, 1, 0, "é|😀"), ("b", 0, 0, 2, None, "m0")], "rows of the log")
    same(query(url, "SELECT next_offset FROM partition ORDER BY topic_id"), [(4,), (1,)],
         "counters")
    broker.stop()
    same(os.listdir(os.path.dirname(file_of(url))), [os.path.basename(file_of(url))], "files")
    same(query(url, "PRAGMA integrity_check"), [("ok",)], "integrity")


@test(SQLITE)
def the_default_is_a_file_in_the_working_folder(given):
    folder = given.machine.folder()
    broker = given.machine.broker(None, cwd=folder)
    broker.api.filled("t", 2)
    broker.kill()
    check("myqueue.db" in os.listdir(folder), "files:", os.listdir(folder))
    broker = given.machine.broker("sqlite:%s/myqueue.db" % folder)
    same(broker.api.read_all("t"), ["m0", "m1"], "messages")
    broker.stop()


@test(SQLITE)
def one_broker_at_a_time(given):
    """The second one says why it cannot start, and disturbs nobody."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    producer_id = broker.api.filled("t", 1)
    refuses(url, "in use by another broker")
    broker.api.produce("t", producer_id, "m1").succeeded(offset=1)
    broker.stop()
    broker = given.machine.broker(url)
    same(broker.api.read_all("t"), ["m0", "m1"], "messages")
    broker.stop()


@test(SQLITE)
def the_next_broker_waits_for_the_one_before(given):
    url = given.machine.store(given.kind)
    older = given.machine.broker(url)
    older.api.filled("t", 1)
    younger = given.machine.process([BROKER, "--listen", "127.0.0.1:0", "--store", url,
                                     "--store-wait", "60"])
    until(lambda: "waiting_for_store" in younger.said(), "the younger one to wait")
    check("in use by another broker" in younger.said(), younger.said())
    older.stop()
    until(lambda: "info serving" in younger.said(), "the younger one to serve")


@test(SQLITE)
def files_that_cannot_be_used(given):
    folder = given.machine.folder()
    path = os.path.join(folder, "x")
    refuses("sqlite:%s/none/x" % folder, "No such file or directory", "folder")
    refuses("sqlite:" + folder, "Is a directory")
    with open(path, "w", encoding="ascii") as file:
        file.write("This is a text, and no database at all.\n" * 100)
    refuses("sqlite:" + path, path, "not a database")
    with open(path, encoding="ascii") as file:
        check(file.read().startswith("This is a text"), "the text has been changed")


@test(SQLITE)
def another_programs_database_stays_as_it_is(given):
    url = given.machine.store(given.kind)
    query(url, "CREATE TABLE topic (mine)")
    with open(file_of(url), "rb") as file:
        before = file.read()
    refuses(url, "another program")
    with open(file_of(url), "rb") as file:
        check(file.read() == before, "the file has been changed")


@test(SQLITE)
def a_newer_file_is_not_touched(given):
    url = given.machine.store(given.kind)
    given.machine.broker(url).stop()
    query(url, "PRAGMA user_version = 999")
    refuses(url, "999", "newer")
    same(query(url, "PRAGMA user_version"), [(999,)], "version")


@test(SQLITE)
def a_damaged_file(given):
    """Reading what is damaged fails; the broker lives, and takes what it can."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    producer_id = broker.api.filled("t", 2000)
    broker.stop()
    size = os.path.getsize(file_of(url))
    with open(file_of(url), "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 4096 * 3)
    broker = given.machine.broker(url)
    api = broker.api
    consumer_id = api.consumer("t")
    answers = [api.consume("t", consumer_id, offset=i, max=1) for i in range(0, 2000, 10)]
    codes = {answer.body.get("code", "success") for answer in answers}
    same(codes, {"success", "internal"}, "codes")
    check(api.produce("t", producer_id, "x").http in (200, 500), "produce")
    broker.kill()


@test(SQLITE)
def a_file_that_was_deleted(given):
    """What nobody would find again is not acknowledged."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url, "--store-timeout", "1")
    producer_id = broker.api.filled("t", 1)
    os.unlink(file_of(url))
    broker.api.produce("t", producer_id, "m1").refused("store_away")
    broker.api.call("GET", "/healthz").refused("store_away")
    until(lambda: "has been deleted" in broker.said(), "its log to say why")
    broker.stop()


@test(SQLITE)
def a_person_who_writes_holds_writers_up(given):
    """Within the time limit they wait; after it they are told that nothing was stored."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url, "--store-timeout", "1")
    api = broker.api
    producer_id, consumer_id = api.filled("t", 1), api.consumer("t")
    with contextlib.closing(sqlite3.connect(file_of(url), isolation_level=None)) as person:
        person.execute("BEGIN IMMEDIATE")
        api.produce("t", producer_id, "too early").refused("store_away")
        api.consume("t", consumer_id, offset=0).succeeded(message="m0", offset=0)
        person.execute("ROLLBACK")
    api.produce("t", producer_id, "m1").succeeded(offset=1)
    same(api.read_all("t"), ["m0", "m1"], "messages")
    broker.stop()


@test(SQLITE)
def rows_that_a_person_has_deleted(given):
    """Reading there fails, the broker lives."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url, "--tail-bytes", "0")
    api = broker.api
    api.filled("t", 10)
    consumer_id = api.consumer("t")
    query(url, 'DELETE FROM log WHERE "offset" IN (0, 1, 2, 5)')
    api.consume("t", consumer_id).refused("internal")
    api.consume("t", consumer_id, offset=3, max=100).refused("internal")
    api.consume("t", consumer_id, offset=6).succeeded(message="m6", offset=6)
    broker.stop()


@test(SQLITE)
def sigterm_waits_for_nobody(given):
    """Somebody has a write transaction open: who waits for its end is told so."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url, "--store-timeout", "300")
    api = broker.api
    producer_id = api.filled("t", 1)
    with contextlib.closing(sqlite3.connect(file_of(url), isolation_level=None)) as person:
        person.execute("BEGIN IMMEDIATE")
        waiting = Together(*[lambda i=i: api.produce("t", producer_id, "m%d" % i)
                             for i in range(8)])
        for _ in range(100):  # what was sent before them has been taken by now
            api.topics()
        check(waiting.running(), "nobody waits")
        broker.stop()
        for answer in waiting.join():
            answer.refused("store_away")
        person.execute("ROLLBACK")
