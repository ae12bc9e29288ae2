"""Positions: plain consume moves them, offset=N sets them, max=K takes several."""

from driver import same, test


@test()
def offset_answers_the_same_again(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 10)
    consumer_id = api.consumer(topic)
    for _ in range(3):
        api.consume(topic, consumer_id, offset=4).succeeded(message="m4", offset=4)
        same(api.size(topic, consumer_id), 6, "size: all before 4 is taken, 4 is not")


@test()
def offset_is_saved(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 10)
    consumer_id = api.consumer(topic)
    api.consume(topic, consumer_id, offset=4)
    api.consume(topic, consumer_id).succeeded(message="m4", offset=4)
    api.consume(topic, consumer_id).succeeded(message="m5", offset=5)
    same(api.size(topic, consumer_id), 4, "size")


@test()
def offset_goes_back(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 5)
    consumer_id = api.consumer(topic)
    api.consume(topic, consumer_id, offset=4).succeeded(message="m4", offset=4)
    api.consume(topic, consumer_id, offset=1).succeeded(message="m1", offset=1)
    same(api.size(topic, consumer_id), 4, "size")
    api.consume(topic, consumer_id).succeeded(message="m1", offset=1)


@test()
def offset_at_the_end(given):
    api, topic = given.api, given.topic()
    producer_id = api.filled(topic, 3)
    consumer_id = api.consumer(topic)
    api.consume(topic, consumer_id, offset=3).refused("no_message")
    same(api.size(topic, consumer_id), 0, "size: the position 3 is saved though nothing came")
    api.produce(topic, producer_id, "next")
    api.consume(topic, consumer_id).succeeded(message="next", offset=3)


@test()
def offset_beyond_the_end(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 3)
    consumer_id = api.consumer(topic)
    for offset in (4, 5, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1):
        api.consume(topic, consumer_id, offset=offset).refused("offset_out_of_range")
    same(api.size(topic, consumer_id), 3, "size: the position has not moved")


@test()
def max_takes_several(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 7)
    consumer_id = api.consumer(topic)
    expected = [{"offset": i, "message": "m%d" % i} for i in range(7)]
    api.consume(topic, consumer_id, max=3).succeeded(messages=expected[:3])
    same(api.size(topic, consumer_id), 4, "size")
    api.consume(topic, consumer_id, max=1).succeeded(messages=expected[3:4])
    api.consume(topic, consumer_id).succeeded(message="m4", offset=4)
    api.consume(topic, consumer_id, max=10000).succeeded(messages=expected[5:])
    same(api.size(topic, consumer_id), 0, "size")
    api.consume(topic, consumer_id, max=10000).refused("no_message")


@test()
def max_with_offset(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 7)
    consumer_id = api.consumer(topic)
    expected = [{"offset": i, "message": "m%d" % i} for i in range(7)]
    for _ in range(2):
        api.consume(topic, consumer_id, offset=2, max=3).succeeded(messages=expected[2:5])
        same(api.size(topic, consumer_id), 5, "size: only what is before the offset is taken")
    api.consume(topic, consumer_id, offset=5, max=100).succeeded(messages=expected[5:])
    api.consume(topic, consumer_id, offset=7, max=100).refused("no_message")
    same(api.size(topic, consumer_id), 0, "size")


@test()
def older_than_memory(given):
    """Messages that no longer fit the broker's tail come from the store, the same."""
    broker = given.fresh_broker("--tail-bytes", "65536")
    api = broker.api
    producer_id = api.producer("t")
    messages = ["%04d %s" % (i, "x" * 1000) for i in range(400)]
    for i in range(0, 400, 50):
        api.produce_batch("t", producer_id, messages[i:i + 50]).succeeded(offset=i, count=50)
    same(api.read_all("t", max_count=90), messages, "messages")
    consumer_id = api.consumer("t")
    for i in range(20):
        api.consume("t", consumer_id).succeeded(message=messages[i], offset=i)
    api.consume("t", consumer_id, offset=399).succeeded(message=messages[399], offset=399)
    broker.stop()
