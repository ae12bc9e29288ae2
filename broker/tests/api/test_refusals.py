"""Whatever is wrong is refused as JSON, with the right code, and changes nothing."""

import json
import socket

from driver import brief, check, same, test, until

CALLS = (("POST", "/topics"), ("POST", "/consumer/register"), ("POST", "/producer/register"),
         ("POST", "/producer/produce"), ("GET", "/consumer/consume"), ("POST", "/consumer/seek"),
         ("GET", "/size"), ("GET", "/topics"), ("GET", "/healthz"))
PATHS = {"/topics": {"GET", "POST"}, "/consumer/register": {"POST"},
         "/producer/register": {"POST"}, "/producer/produce": {"POST"},
         "/consumer/consume": {"GET"}, "/consumer/seek": {"POST"}, "/size": {"GET"}, "/healthz": {"GET"}}


@test()
def unknown_paths(given):
    for path in ("/", "/topic", "/topicss", "/Topics", "/topics/x/y", "/consumer", "/producer",
                 "/consumer/register/me", "/producer/consume", "//", "//topics", "/topics//",
                 "/topics%00", "/topics%00x", "/size;x", "/.", "/*", "/%ff", "/" + "x" * 2000):
        for method in ("GET", "POST", "PUT"):
            given.api.call(method, path).refused("unknown_path")


@test()
def wrong_methods(given):
    for path, allowed in PATHS.items():
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
            if method in allowed:
                continue
            for slash in ("", "/"):
                answer = given.api.call(method, path + slash, json={"topic": "x"})
                answer.refused("wrong_method")
                same({m.strip() for m in answer.headers["Allow"].split(",")}, allowed,
                     "Allow of %r" % answer)
        answer = given.api.call("HEAD", path)
        same(answer.http, 405, "HTTP status of HEAD %s" % path)
        same(answer.content, b"", "body of HEAD %s" % path)
        check(answer.headers.get("Allow"), "HEAD %s: no Allow" % path)


@test()
def missing_parameters(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.filled(topic, 1), api.consumer(topic)
    complete = {
        ("POST", "/topics"): {"name": topic},
        ("POST", "/consumer/register"): {"topic": topic},
        ("POST", "/producer/register"): {"topic": topic},
        ("POST", "/producer/produce"): {"topic": topic, "producer_id": producer_id,
                                        "message": "x"},
        ("GET", "/consumer/consume"): {"topic": topic, "consumer_id": consumer_id},
        ("POST", "/consumer/seek"): {"topic": topic, "consumer_id": consumer_id, "offset": 0},
        ("GET", "/size"): {"topic": topic, "consumer_id": consumer_id},
    }
    for (method, path), fields in complete.items():
        for missing in fields:
            rest = {k: v for k, v in fields.items() if k != missing}
            word = "topic" if missing == "name" else missing
            for where in ("json", "params", "data"):
                api.call(method, path, **{where: rest}).refused("bad_request", word)
            api.call(method, path, json=dict(rest, **{missing: None})).refused("bad_request", word)
        api.call(method, path).refused("bad_request")
    same(api.size(topic, consumer_id), 1, "size")


@test()
def bodies_that_are_not_an_object(given):
    api = given.api
    topics = api.topics()
    bodies = [b"{", b"}", b"[", b"[]", b"[1,2]", b"{}{}", b'{"name": "x"} x', b'{"name": "x"',
              b'{"name": "x",}', b"{'name': 'x'}", b'{name: "x"}', b'{"name" "x"}', b'{"name": }',
              b'{"name": "x}', b'{"name": "\\x"}', b'{"name": "x\\uzzzzy"}',
              b'{"name": "\\u00"}', b'{"name": "a\nb"}', b'{"name": "\x00"}',
              b'{"name": "\xff"}', b'{"name": "x"}\x00', b"\xff\xfe", b"\x00",
              b'"name"', b"1", b"null", b"true", b"[" * 100000, b'{"a":' * 100000]
    for method, path in CALLS:
        for body in bodies:
            answer = api.call(method, path, data=body, headers={"Content-Type": "application/json"})
            # Text that is not UTF-8, or holds U+0000, is no message whatever the call.
            check(answer.body["code"] in ("bad_request", "bad_message"), brief(body), answer)
        api.call(method, path, data=b'{"a": "\xff"}').refused("bad_message", "UTF-8")
        api.call(method, path, data=b'{"a": "\\u0000"}').refused("bad_message", "U+0000")
    same(api.topics(), topics, "topics")


@test()
def bodies_that_claim_json_but_are_forms(given):
    given.api.call("POST", "/topics", data=b"name=x",
                   headers={"Content-Type": "application/json"}).refused("bad_request", "JSON")


@test()
def wrong_types(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.filled(topic, 1), api.consumer(topic)
    not_text = (1, 1.5, True, False, [], ["x"], {}, {"x": "y"})
    not_id = (1.5, True, False, [], [1], {}, "", "x", "1x", "0x1", " 1", "1 ", "1.5", "1e0", "٣",
              1e300, "9" * 30)
    for wrong in not_text:
        for method, path in CALLS[:7]:
            api.call(method, path, json={"topic": wrong, "producer_id": producer_id,
                                         "consumer_id": consumer_id, "message": "x"}
                     ).refused("bad_request", "topic")
        api.produce(topic, producer_id, wrong).refused("bad_request", "message")
        api.call("POST", "/consumer/register", json={"topic": topic, "start": wrong}
                 ).refused("bad_request", "start")
    for wrong in not_id:
        api.produce(topic, wrong, "x").refused("bad_request", "producer_id")
        for method, path in CALLS[4:7]:
            where = {"topic": topic, "consumer_id": wrong, "offset": 0}
            api.call(method, path, json=where).refused("bad_request", "consumer_id")
            if isinstance(wrong, str):
                api.call(method, path, params=where).refused("bad_request", "consumer_id")
        for name in ("offset", "max", "wait_ms"):
            api.call("GET", "/consumer/consume",
                     json={"topic": topic, "consumer_id": consumer_id, name: wrong}
                     ).refused("bad_request", name)
    for start in ("", "Latest", "last", "0"):
        api.call("POST", "/consumer/register", json={"topic": topic, "start": start}
                 ).refused("bad_request", "start", "earliest", "latest")
    same(api.size(topic, consumer_id), 1, "size")


@test()
def numbers_that_are_not_json(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 1)
    consumer_id = api.consumer(topic)
    for number in ("NaN", "Infinity", "0x1", "--1", "+1", ".5", "1_000", "'1'"):
        api.call("GET", "/size", data='{"topic": "%s", "consumer_id": %s}' % (topic, number)
                 ).refused("bad_request")
    same(api.size(topic, consumer_id), 1, "size")


@test()
def ids_that_nobody_has(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.filled(topic, 1), api.consumer(topic)
    for wrong in (0, -1, -2 ** 31, 10 ** 9, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1):
        for number in (wrong, str(wrong)):
            api.produce(topic, number, "x").refused("unknown_producer")
            for method, path in CALLS[4:7]:
                api.call(method, path, json={"topic": topic, "consumer_id": number, "offset": 0}
                         ).refused("unknown_consumer")
    # 2^32 + a real id must not be cut to that id.
    api.produce(topic, 2 ** 32 + producer_id, "x").refused("unknown_producer")
    api.consume(topic, 2 ** 32 + consumer_id).refused("unknown_consumer")
    same(api.size(topic, consumer_id), 1, "size")


@test()
def ids_of_another_topic(given):
    api, topic, other = given.api, given.topic(), given.topic()
    producer_id, consumer_id = api.filled(topic, 1), api.consumer(topic)
    api.filled(other, 1)
    api.produce(other, producer_id, "x").refused("not_registered")
    api.consume(other, consumer_id).refused("not_registered")
    api.consume(other, consumer_id, offset=0, max=5).refused("not_registered")
    api.seek(other, consumer_id, 0).refused("not_registered")
    api.call("GET", "/size", params={"topic": other, "consumer_id": consumer_id}
             ).refused("not_registered")
    same(api.read_all(other), ["m0"], "messages")


@test()
def topics_that_nobody_made(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.filled(topic, 1), api.consumer(topic)
    nobody = given.topic()
    for _ in range(2):
        api.produce(nobody, producer_id, "x").refused("unknown_topic", nobody)
        api.consume(nobody, consumer_id).refused("unknown_topic", nobody)
        api.seek(nobody, consumer_id, 0).refused("unknown_topic", nobody)
        api.call("GET", "/size", params={"topic": nobody, "consumer_id": consumer_id}
                 ).refused("unknown_topic", nobody)
    check(nobody not in api.topics(), "a refused request has created the topic")


@test()
def topic_names(given):
    api = given.api
    stem = given.topic()
    for name in ("é" * 95, "x" * (200 - len(stem)), "a\u00a0b", "\u2028", "'; DROP TABLE topic;",
                 "../..", "\\", '"', "\ufffd", "\U0010ffff"):
        topic = name + stem
        check(len(topic.encode()) <= 200, "the test's own name is too long")
        api.create(topic).succeeded(message="Topic '%s' created successfully" % topic)
        check(topic in api.topics(), "not in the list:", topic)
        same(api.call("POST", "/producer/register", data={"topic": topic}).http, 200, "HTTP status")
    for name in ("", "x" * 201, "é" * 100 + "x", "a\x00b", "\x00", "a\nb", "\t", "\x1f",
                 "a\x7f", "\x80", "\x9f", "x" * 100000):
        for path in ("/topics", "/producer/register"):
            codes = {api.call("POST", path, json={"topic": name}).body["code"],
                     api.call("POST", path, data={"topic": name}).body["code"]}
            # A JSON string with \u0000 is refused before it is known to be the topic.
            allowed = {"bad_topic_name"} | ({"bad_message"} if "\x00" in name else set())
            check(codes <= allowed, "topic %r: refused as %s" % (name[:300], codes))
        check(name not in api.topics(), "in the list:", name)
    for raw in (b"%FF", b"a%C0%80", b"%ED%A0%80", b"%F4%90%80%80", b"a%80"):
        api.call("POST", "/topics", data=b"topic=" + raw,
                 headers={"Content-Type": "application/x-www-form-urlencoded"}
                 ).refused("bad_topic_name")
        api.call("POST", "/topics?topic=" + raw.decode()).refused("bad_topic_name")


@test()
def topic_name_is_never_cut(given):
    """A NUL must not make one topic's name into another's."""
    api, topic = given.api, given.topic()
    api.filled(topic, 1)
    consumer_id = api.consumer(topic)
    for call in (dict(params={"topic": topic + "\x00x", "consumer_id": consumer_id}),
                 dict(data={"topic": topic + "\x00x", "consumer_id": consumer_id}),
                 dict(json={"topic": topic + "\x00x", "consumer_id": consumer_id})):
        same(api.call("GET", "/consumer/consume", **call).http, 400, "HTTP status")
    same(api.size(topic, consumer_id), 1, "size")


@test()
def batches(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    consumer_id = api.consumer(topic)
    api.produce_batch(topic, producer_id, []).refused("bad_request", "messages")
    for wrong in ("x", 1, True, {}, {"0": "x"}, [1], ["a", 1], ["a", None], ["a", ["b"]], [{}]):
        api.produce_batch(topic, producer_id, wrong).refused("bad_request", "messages")
    for wrong in (["y"], [], "y"):
        api.produce(topic, producer_id, "x", messages=wrong).refused("bad_request", "message",
                                                                     "messages")
    for where in ("params", "data"):
        api.call("POST", "/producer/produce", **{where: {
            "topic": topic, "producer_id": producer_id, "messages": '["x"]'}}
                 ).refused("bad_request", "messages")
    same(api.size(topic, consumer_id), 0, "size: a refused batch stores nothing")


@test()
def consume_options(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 3)
    consumer_id = api.consumer(topic)
    for name, wrongs in (("max", (0, -1, 10001, 2 ** 32 + 1)), ("wait_ms", (-1, -20000)),
                         ("offset", (-1, -2 ** 40))):
        for wrong in wrongs:
            api.consume(topic, consumer_id, **{name: wrong}).refused("bad_request", name)
    same(api.size(topic, consumer_id), 3, "size")


@test()
def message_limit(given):
    broker = given.fresh_broker("--message-bytes-max", "1000")
    api = broker.api
    producer_id, consumer_id = api.producer("t"), api.consumer("t")
    fits = ["x" * 1000, "é" * 500, "😀" * 250, '"' * 1000, "\x01" * 1000]
    for i, message in enumerate(fits):
        api.produce("t", producer_id, message).succeeded(offset=i)
    for message in ("x" * 1001, "é" * 500 + "x", "😀" * 251, "x" * 100000):
        for where in ("json", "data", "params"):
            if where == "params" and len(message) > 2000:
                continue
            api.call("POST", "/producer/produce", **{where: {
                "topic": "t", "producer_id": producer_id, "message": message}}
                     ).refused("too_large")
        api.produce_batch("t", producer_id, ["fits", message, "fits"]).refused("too_large")
    same(api.size("t", consumer_id), len(fits), "size: nothing of a refused batch is stored")
    same(api.read_all("t"), fits, "messages")
    broker.stop()


@test()
def message_limit_of_the_environment(given):
    broker = given.fresh_broker(env={"MYQUEUE_MESSAGE_BYTES_MAX": "10"})
    producer_id = broker.api.producer("t")
    broker.api.produce("t", producer_id, "x" * 10).succeeded(offset=0)
    broker.api.produce("t", producer_id, "x" * 11).refused("too_large", "10")
    broker.stop()


@test()
def a_mebibyte_is_the_default_limit(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    fits = ["x" * 2 ** 20, "😀" * 2 ** 18, "\x01" * 2 ** 20]
    for i, message in enumerate(fits):
        api.produce(topic, producer_id, message).succeeded(offset=i)
    api.produce(topic, producer_id, "x" * 2 ** 20 + "y").refused("too_large")
    api.produce(topic, producer_id, "é" * 2 ** 19 + "y").refused("too_large")
    check(api.read_all(topic, max_count=10) == fits, "what came out is not what went in")


@test()
def body_beyond_every_limit(given):
    """It is read to its end and answered, and the connection goes on."""
    api, topic = given.api, given.topic()
    body = b'{"topic": "%s", "x": "' % topic.encode() + b"x" * (64 * 2 ** 20) + b'"}'
    for method, path in CALLS:
        api.call(method, path, data=body).refused("too_large")
    api.create(topic).succeeded(message="Topic '%s' created successfully" % topic)


@test()
def http_that_is_broken(given):
    """Not HTTP at all, and the client leaves: the broker goes on."""
    host, port = given.broker.address.rsplit(":", 1)
    for data in (b"\r\n", b"hello\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
                 b"GET /topics HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
                 b"POST /topics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                 b"POST /topics HTTP/1.1\r\nHost: x\r\nContent-Length: 9" + b"9" * 20 + b"\r\n\r\n",
                 b"POST /topics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"POST /topics HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"):
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                connection.sendall(data)
            given.api.call("GET", "/healthz").succeeded()


@test()
def clients_that_leave(given):
    """Half a request, or a whole one whose answer nobody waits for."""
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    consumer_id = api.consumer(topic)
    host, port = given.broker.address.rsplit(":", 1)
    body = json.dumps({"topic": topic, "producer_id": producer_id, "message": "left"}).encode()
    head = b"POST /producer/produce HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    for i in range(50):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head + (body if i % 2 == 0 else body[:-5]))
    until(lambda: api.size(topic, consumer_id) == 25, "the 25 whole requests to be stored")
    api.produce(topic, producer_id, "stayed").succeeded(offset=25)
    same(api.read_all(topic), ["left"] * 25 + ["stayed"], "messages")
