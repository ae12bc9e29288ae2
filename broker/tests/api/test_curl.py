"""The assignment's own examples, sent by curl, get the assignment's own answers."""

import json

from driver import check, run_to_end, same, test


def curl(address, *arguments, stdin=None):
    code, out, err = run_to_end(["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "60",
                                 "-w", "\n%{http_code} %{content_type}",
                                 *[a.replace("BROKER", address) for a in arguments]], stdin=stdin)
    check(code == 0, "curl: exit %d: %s" % (code, err.strip()))
    body, _, end = out.rpartition("\n")
    http, content_type = end.split(" ", 1)
    same(content_type.split(";")[0], "application/json", "Content-Type")
    return int(http), json.loads(body)


def refused(answer, code):
    http, body = answer
    same(http, 400, "HTTP status")
    same(set(body), {"status", "message", "code"}, "fields")
    same((body["status"], body["code"]), ("failure", code), "status and code")


JSON_TYPE = ("-H", "Content-Type: application/json")


@test()
def examples_of_the_assignment(given):
    for extra in (JSON_TYPE, ()):  # with curl -d alone the type is that of a form
        broker = given.fresh_broker()

        def call(*arguments):
            return curl(broker.address, *extra, *arguments)

        same(call("BROKER/topics", "-d", '{\n  "topic_name": "example_topic"\n}'),
             (200, {"status": "success",
                    "message": "Topic 'example_topic' created successfully"}), "CreateTopic")
        refused(call("BROKER/topics", "-d", '{"name": "example_topic"}'), "topic_exists")
        same(call("BROKER/topics"), (200, {"status": "success", "topics": ["example_topic"]}),
             "ListTopics")
        same(call("BROKER/consumer/register", "-d", '{"topic": "example_topic"}'),
             (200, {"status": "success", "consumer_id": 1}), "RegisterConsumer")
        refused(call("BROKER/consumer/register", "-d", '{"topic": "no_such_topic"}'),
                "unknown_topic")
        same(call("BROKER/producer/register", "-d", '{"topic": "example_topic"}'),
             (200, {"status": "success", "producer_id": 1}), "RegisterProducer")
        same(call("BROKER/producer/register", "-d", '{"topic": "post_created"}'),
             (200, {"status": "success", "producer_id": 2}), "RegisterProducer, creating the topic")
        same(call("BROKER/topics"),
             (200, {"status": "success", "topics": ["example_topic", "post_created"]}),
             "ListTopics")
        same(call("BROKER/producer/produce", "-d", '{"topic": "example_topic", "producer_id": 1, '
                  '"message": "DEBUG: This is a log message!"}'),
             (200, {"status": "success", "offset": 0}), "Enqueue")
        query = "?topic=example_topic&consumer_id=1"
        body = '{"topic": "example_topic", "consumer_id": 1}'
        same(call("BROKER/size" + query), (200, {"status": "success", "size": 1}), "Size")
        same(call("-X", "GET", "BROKER/size", "-d", body), (200, {"status": "success", "size": 1}),
             "Size, with a JSON body")
        same(call("-X", "GET", "BROKER/consumer/consume", "-d", body),
             (200, {"status": "success", "message": "DEBUG: This is a log message!", "offset": 0}),
             "Dequeue, with a JSON body")
        refused(call("BROKER/consumer/consume" + query), "no_message")
        same(call("BROKER/size" + query), (200, {"status": "success", "size": 0}), "Size")
        broker.stop()


@test()
def forms_of_curl(given):
    """-d key=value, --data-urlencode, -F and -G."""
    topic = given.topic()
    address = given.broker.address
    same(curl(address, "BROKER/topics", "-d", "name=" + topic)[0], 200, "HTTP status of -d")
    _, body = curl(address, "BROKER/producer/register", "-F", "topic=" + topic)
    producer = "producer_id=%d" % body["producer_id"]
    same(curl(address, "BROKER/producer/produce", "-d", "topic=" + topic, "-d", producer,
              "--data-urlencode", "message=a b&c=d + é%"),
         (200, {"status": "success", "offset": 0}), "-d and --data-urlencode")
    same(curl(address, "BROKER/producer/produce", "-F", "topic=" + topic, "-F", producer,
              "-F", "message=x\r\ny"), (200, {"status": "success", "offset": 1}), "-F")
    _, body = curl(address, "BROKER/consumer/register", "-d", "topic=" + topic)
    consumer = "consumer_id=%d" % body["consumer_id"]
    for message, offset in (("a b&c=d + é%", 0), ("x\r\ny", 1)):
        same(curl(address, "-G", "BROKER/consumer/consume", "-d", "topic=" + topic, "-d", consumer),
             (200, {"status": "success", "message": message, "offset": offset}), "-G")


@test()
def a_large_body_of_curl(given):
    """curl asks with Expect: 100-continue before it sends this much."""
    topic = given.topic()
    producer_id = given.api.producer(topic)
    body = json.dumps({"topic": topic, "producer_id": producer_id, "message": "é" * 2 ** 19})
    same(curl(given.broker.address, *JSON_TYPE, "BROKER/producer/produce", "--data-binary", "@-",
              stdin=body.encode()), (200, {"status": "success", "offset": 0}), "answer")
    same(given.api.read_all(topic) == ["é" * 2 ** 19], True, "what went in comes out")
