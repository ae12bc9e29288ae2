"""Seek: a consumer is somewhere else from now on, durably; who waits meanwhile is told."""

import signal

from driver import DURABLE, LONG_POLL_MS, Together, check, same, test, until
from test_retention import SMALL_FOR_ALL, Log, text


@test()
def seek_goes_anywhere_in_the_log(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 6)
    consumer_id = api.consumer(topic)
    for offset in (5, 0, 3, 3, 6, 1):
        api.seek(topic, consumer_id, offset).succeeded(offset=offset)
        same(api.size(topic, consumer_id), 6 - offset, "size after a seek to %d" % offset)
    for offset in (1, 2, 3):
        api.consume(topic, consumer_id).succeeded(message="m%d" % offset, offset=offset)
    api.seek(topic, consumer_id, "earliest").succeeded(offset=0)
    api.consume(topic, consumer_id).succeeded(message="m0", offset=0)
    api.seek(topic, consumer_id, "latest").succeeded(offset=6)
    same(api.size(topic, consumer_id), 0, "size")
    api.consume(topic, consumer_id).refused("no_message")


@test()
def seek_in_an_empty_topic(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    for offset in (0, "earliest", "latest"):
        api.seek(topic, consumer_id, offset).succeeded(offset=0)
    api.seek(topic, consumer_id, 1).refused("offset_out_of_range", first_offset=0, next_offset=0)
    api.produce(topic, producer_id, "m0")
    api.consume(topic, consumer_id).succeeded(message="m0", offset=0)


@test()
def seek_is_one_consumers_own(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 3)
    one, other = api.consumer(topic), api.consumer(topic)
    api.consume(topic, other).succeeded(message="m0", offset=0)
    api.seek(topic, one, 3).succeeded(offset=3)
    api.consume(topic, other).succeeded(message="m1", offset=1)


@test()
def seek_beyond_the_end(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 3)
    consumer_id = api.consumer(topic)
    for offset in (4, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1):
        api.seek(topic, consumer_id, offset).refused("offset_out_of_range",
                                                     first_offset=0, next_offset=3)
    same(api.size(topic, consumer_id), 3, "size: the position has not moved")


@test()
def seek_to_what_is_no_offset(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 1)
    consumer_id = api.consumer(topic)
    where = {"topic": topic, "consumer_id": consumer_id}
    for word in ("", "Latest", "last", "x", " 0", "٣", "end"):
        for way in ("json", "params", "data"):
            api.call("POST", "/consumer/seek", **{way: dict(where, offset=word)}
                     ).refused("bad_request", "offset", "earliest", "latest")
    for wrong in (-1, "-1", 1.5, "1.5", "1x", 2 ** 54, "9" * 30, True, [], [0], {}):
        api.seek(topic, consumer_id, wrong).refused("bad_request", "offset")
    api.call("POST", "/consumer/seek", json=where).refused("bad_request", "offset")
    same(api.size(topic, consumer_id), 1, "size")


@test()
def seek_where_the_beginning_has_been_removed(given):
    api = given.api
    log = Log(api, given.topic(), **SMALL_FOR_ALL)
    consumer_id = api.consumer(log.topic)
    first = log.grow_until_trimmed(consumer_id)
    for offset in (0, first - 1):
        api.seek(log.topic, consumer_id, offset).refused(
            "offset_out_of_range", first_offset=first, next_offset=log.next)
    api.seek(log.topic, consumer_id, "earliest").succeeded(offset=first)
    api.consume(log.topic, consumer_id).succeeded(offset=first, message=text(first))
    api.seek(log.topic, consumer_id, "latest").succeeded(offset=log.next)


@test(DURABLE)
def seek_survives_kill_9(given):
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    broker.api.filled("t", 9)
    consumer_id = broker.api.consumer("t")
    for offset in (7, 2, "latest", "earliest", 4):
        where = broker.api.seek("t", consumer_id, offset)["offset"]
        broker.signal(signal.SIGKILL)
        broker.wait()
        broker = given.machine.broker(url)
        same(broker.api.size("t", consumer_id), 9 - where, "size after a seek to %s" % offset)
    broker.api.consume("t", consumer_id).succeeded(message="m4", offset=4)
    broker.stop()


def parked(given, topic, consumer_id, count, **more):
    """`count` long polls, which the broker has put to wait; it lets no more than these."""
    def poll(wait_ms):
        return given.api.consume(topic, consumer_id, wait_ms=wait_ms, **more)

    def held():
        answer = poll(LONG_POLL_MS)
        while answer.http == 503:  # the one that looks, below, was in its place
            answer = poll(LONG_POLL_MS)
        return answer

    waiting = Together(*[held for _ in range(count)])
    until(lambda: poll(1).http == 503, "%d polls to wait" % count)
    return waiting


@test()
def who_waits_goes_on_where_the_seek_says(given):
    """A plain consume that waits is given the message there, at once."""
    given.broker = given.fresh_broker("--polls-max", "2")
    given.api = api = given.broker.api
    api.filled("t", 3)
    one, other = api.consumer("t", start="latest"), api.consumer("t", start="latest")
    held = parked(given, "t", one, 2)
    api.seek("t", other, 0).succeeded(offset=0)
    check(held.running(), "a seek of another consumer woke them")
    api.seek("t", one, 1).succeeded(offset=1)
    same(sorted(answer["offset"] for answer in held.join()), [1, 2], "offsets")
    given.broker.stop()


@test()
def who_waits_by_offset_has_lost_the_place(given):
    """It ends with no message, and the position is where the seek put it."""
    given.broker = given.fresh_broker("--polls-max", "1")
    given.api = api = given.broker.api
    api.filled("t", 3)
    consumer_id = api.consumer("t")
    held = parked(given, "t", consumer_id, 1, offset=3)
    api.seek("t", consumer_id, 3).succeeded(offset=3)
    check(held.running(), "the position did not move, yet the poll has ended")
    api.seek("t", consumer_id, 1).succeeded(offset=1)
    held.join()[0].refused("no_message")
    same(api.size("t", consumer_id), 2, "size")
    api.consume("t", consumer_id).succeeded(message="m1", offset=1)
    given.broker.stop()


@test()
def seeks_and_plain_consumes_at_once(given):
    """Every plain consume after the last seek goes on from there, whatever ran beside it."""
    api, topic = given.api, given.topic()
    api.filled(topic, 50)
    consumer_id = api.consumer(topic)
    for _ in range(10):
        Together(*[lambda: api.consume(topic, consumer_id) for _ in range(4)],
                 *[lambda o=o: api.seek(topic, consumer_id, o).succeeded(offset=o)
                   for o in (40, 10, 20)]).join()
        api.seek(topic, consumer_id, 5).succeeded(offset=5)
        for offset in (5, 6):
            api.consume(topic, consumer_id).succeeded(message="m%d" % offset, offset=offset)
