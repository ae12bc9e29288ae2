"""The seven calls of the assignment, healthz, and what they answer when all is well."""

from driver import check, same, test


@test()
def fresh_broker_has_no_topics(given):
    broker = given.fresh_broker()
    broker.api.call("GET", "/topics").succeeded(topics=[])
    broker.stop()


@test()
def create_topic_and_list(given):
    broker = given.fresh_broker()
    api = broker.api
    names = ["b", "a", "T-1", "post_created", "a/b", "with space", "ünï", "😀", "it's"]
    for name in names:
        api.create(name).succeeded(message="Topic '%s' created successfully" % name)
    api.producer("made by a producer")
    same(api.topics(), names + ["made by a producer"], "topics, in the order of their creation")
    broker.stop()


@test()
def topic_exists(given):
    topic = given.topic()
    given.api.create(topic).succeeded(message="Topic '%s' created successfully" % topic)
    given.api.create(topic).refused("topic_exists", topic)
    same(given.api.topics().count(topic), 1, "times in the list")


@test()
def topic_names_are_case_sensitive(given):
    topic = given.topic("case")
    given.api.create(topic)
    given.api.create(topic.upper()).succeeded(message="Topic '%s' created successfully"
                                              % topic.upper())


@test()
def register_consumer_needs_the_topic(given):
    topic = given.topic()
    given.api.call("POST", "/consumer/register", json={"topic": topic}).refused("unknown_topic")
    check(topic not in given.api.topics(), "a refused registration has created the topic")


@test()
def register_producer_creates_the_topic(given):
    topic = given.topic()
    producer_id = given.api.producer(topic)
    check(topic in given.api.topics(), "not in the list:", topic)
    given.api.create(topic).refused("topic_exists")
    check(given.api.producer(topic) > producer_id, "a second producer's id is no larger")


@test()
def ids_are_integers_from_1(given):
    broker = given.fresh_broker()
    api = broker.api
    same([api.producer("a"), api.producer("b"), api.producer("a")], [1, 2, 3], "producer ids")
    same([api.consumer("a"), api.consumer("b"), api.consumer("a")], [1, 2, 3], "consumer ids")
    broker.stop()


@test()
def produce_and_consume(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    consumer_id = api.consumer(topic)
    same(api.size(topic, consumer_id), 0, "size of an empty topic")
    api.consume(topic, consumer_id).refused("no_message")
    for i in range(5):
        api.produce(topic, producer_id, "message %d" % i).succeeded(offset=i)
        same(api.size(topic, consumer_id), i + 1, "size")
    for i in range(5):
        api.consume(topic, consumer_id).succeeded(message="message %d" % i, offset=i)
        same(api.size(topic, consumer_id), 4 - i, "size")
    api.consume(topic, consumer_id).refused("no_message")


@test()
def every_consumer_has_its_own_position(given):
    api, topic = given.api, given.topic()
    api.create(topic)
    first = api.consumer(topic)
    api.filled(topic, 3)
    second = api.consumer(topic)
    for consumer_id in (first, second):
        for i in range(3):
            api.consume(topic, consumer_id).succeeded(message="m%d" % i, offset=i)
        api.consume(topic, consumer_id).refused("no_message")


@test()
def topics_do_not_mix(given):
    api, one, two = given.api, given.topic(), given.topic()
    producers = [api.producer(one), api.producer(two)]
    for i in range(3):
        api.produce(one, producers[0], "one %d" % i).succeeded(offset=i)
        api.produce(two, producers[1], "two %d" % i).succeeded(offset=i)
    same(api.read_all(one), ["one 0", "one 1", "one 2"], "messages of one")
    same(api.read_all(two), ["two 0", "two 1", "two 2"], "messages of two")


@test()
def batch(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    api.produce(topic, producer_id, "first")
    api.produce_batch(topic, producer_id, ["a", "", "b"]).succeeded(offset=1, count=3)
    api.produce_batch(topic, producer_id, ["alone"]).succeeded(offset=4, count=1)
    same(api.read_all(topic), ["first", "a", "", "b", "alone"], "messages")


@test()
def batch_of_many(given):
    api, topic = given.api, given.topic()
    messages = ["message %d of the batch" % i for i in range(5000)]
    api.produce_batch(topic, api.producer(topic), messages).succeeded(offset=0, count=5000)
    same(api.read_all(topic, max_count=10000), messages, "messages")


@test()
def healthz(given):
    given.api.call("GET", "/healthz").succeeded()


@test()
def start_earliest_and_latest(given):
    api, topic = given.api, given.topic()
    producer_id = api.filled(topic, 3)
    by_default = api.consumer(topic)
    earliest = api.consumer(topic, start="earliest")
    latest = api.consumer(topic, start="latest")
    same([api.size(topic, c) for c in (by_default, earliest, latest)], [3, 3, 0], "sizes")
    api.consume(topic, latest).refused("no_message")
    api.produce(topic, producer_id, "new")
    api.consume(topic, latest).succeeded(message="new", offset=3)
    api.consume(topic, earliest).succeeded(message="m0", offset=0)
    api.consume(topic, by_default).succeeded(message="m0", offset=0)


@test()
def consumer_start_of_the_broker(given):
    for broker in (given.fresh_broker(env={"MYQUEUE_CONSUMER_START": "latest"}),
                   given.fresh_broker("--consumer-start", "latest"),
                   given.fresh_broker("--consumer-start", "latest",
                                      env={"MYQUEUE_CONSUMER_START": "earliest"})):
        api = broker.api
        api.filled("t", 2)
        same(api.size("t", api.consumer("t")), 0, "size by the broker's default")
        same(api.size("t", api.consumer("t", start="earliest")), 2, "size from the earliest")
        broker.stop()
