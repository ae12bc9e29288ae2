"""Clients in the wild differ; all of these are served alike."""

import http.client
import itertools
import json
import socket

from driver import Answer, check, same, test

TOPIC_NAMES = ("topic", "topic_name", "name")


def ways_to_send(fields):
    """The same parameters in every way that is taken, as arguments of Api.call."""
    text = json.dumps(fields)
    form = "application/x-www-form-urlencoded"
    return {
        "JSON body": dict(json=fields),
        "JSON body with a charset": dict(
            data=text, headers={"Content-Type": "application/json; charset=utf-8"}),
        "JSON body, type in capitals": dict(
            data=text, headers={"Content-Type": "Application/JSON"}),
        "JSON body without a type": dict(data=text.encode()),
        "JSON body as curl -d sends it": dict(data=text, headers={"Content-Type": form}),
        "JSON body as text": dict(data=text, headers={"Content-Type": "text/plain"}),
        "JSON body with space around": dict(data=" \r\n\t" + text + "\n\n"),
        "JSON body in chunks": dict(data=iter([text[:7].encode(), text[7:].encode()]),
                                    headers={"Content-Type": "application/json"}),
        "form body": dict(data=fields),
        "multipart form body": dict(files={k: (None, str(v)) for k, v in fields.items()}),
        "query": dict(params=fields),
        "query with an empty body": dict(params=fields, data=b""),
        "query with an empty JSON object": dict(params=fields, json={}),
    }


@test()
def every_way_on_every_call(given):
    api = given.api
    for method, path, more in (("POST", "/topics", None),
                               ("POST", "/consumer/register", {}),
                               ("POST", "/producer/register", {}),
                               ("POST", "/producer/produce", {"message": "a b+c&d=é%"}),
                               ("GET", "/consumer/consume", {}),
                               ("POST", "/consumer/seek", {"offset": 1}),
                               ("POST", "/consumer/seek", {"offset": "latest"}),
                               ("GET", "/size", {})):
        for way in ways_to_send({"x": 1}):
            topic = given.topic()
            fields = dict(more or {}, topic=topic)
            if more is not None:
                producer_id = api.filled(topic, 1)
            if path == "/producer/produce":
                fields["producer_id"] = producer_id
            elif path in ("/consumer/consume", "/consumer/seek", "/size"):
                fields["consumer_id"] = api.consumer(topic)
            answer = api.call(method, path, **ways_to_send(fields)[way])
            check(answer.http == 200, "%s:" % way, answer)
            if path == "/producer/produce":
                same(api.read_all(topic)[1], "a b+c&d=é%", "message sent as %s" % way)
            elif path == "/consumer/consume":
                same(answer["message"], "m0", "message")
            elif path == "/consumer/seek":
                same(answer["offset"], 1, "offset")
            elif path == "/size":
                same(answer["size"], 1, "size")


@test()
def every_name_of_the_topic_on_every_call(given):
    api = given.api
    for key, where in itertools.product(TOPIC_NAMES, ("json", "params", "data")):
        topic = given.topic()

        def call(method, path, **fields):
            answer = api.call(method, path, **{where: dict(fields, **{key: topic})})
            check(answer.http == 200, "with %r in %s:" % (key, where), answer)
            return answer

        call("POST", "/topics")
        consumer_id = call("POST", "/consumer/register")["consumer_id"]
        producer_id = call("POST", "/producer/register")["producer_id"]
        call("POST", "/producer/produce", producer_id=producer_id, message="x")
        same(call("GET", "/size", consumer_id=consumer_id)["size"], 1, "size")
        same(call("GET", "/consumer/consume", consumer_id=consumer_id)["message"], "x", "message")
        same(call("POST", "/consumer/seek", consumer_id=consumer_id, offset="0")["offset"], 0,
             "offset")


@test()
def ids_as_numeric_strings(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    api.call("POST", "/producer/produce", json={"topic": topic, "producer_id": str(producer_id),
                                                "message": "x"}).succeeded(offset=0)
    fields = {"topic": topic, "consumer_id": str(consumer_id)}
    api.call("GET", "/size", json=fields).succeeded(size=1)
    api.call("GET", "/consumer/consume", json=dict(fields, offset="0", max="5", wait_ms="0")
             ).succeeded(messages=[{"offset": 0, "message": "x"}])
    api.call("GET", "/consumer/consume", json=fields).succeeded(message="x", offset=0)


@test()
def whole_numbers_written_as_floats(given):
    api, topic = given.api, given.topic()
    api.filled(topic, 1)
    body = json.dumps({"topic": topic, "consumer_id": float(api.consumer(topic))})
    check(".0" in body, "the number is not written as a float:", body)
    api.call("GET", "/size", data=body).succeeded(size=1)


@test()
def trailing_slash(given):
    api, topic = given.api, given.topic()
    api.call("POST", "/topics/", json={"name": topic}).succeeded(
        message="Topic '%s' created successfully" % topic)
    check(topic in api.call("GET", "/topics/")["topics"], "not in the list")
    producer_id = api.call("POST", "/producer/register/", json={"topic": topic})["producer_id"]
    consumer_id = api.call("POST", "/consumer/register/", json={"topic": topic})["consumer_id"]
    api.call("POST", "/producer/produce/", json={"topic": topic, "producer_id": producer_id,
                                                 "message": "x"}).succeeded(offset=0)
    where = {"topic": topic, "consumer_id": consumer_id}
    api.call("GET", "/size/", params=where).succeeded(size=1)
    api.call("GET", "/consumer/consume/", params=where).succeeded(message="x", offset=0)
    api.call("GET", "/healthz/").succeeded()


@test()
def percent_encoding(given):
    api = given.api
    for i, name in enumerate(("a/b", "a+b", "a b", "a&b=c", "é", "😀", "100%", "a?b#c", "%41")):
        topic = name + given.topic()
        consumer_id = api.filled(topic, 1) and api.consumer(topic)
        everything = "".join("%%%02X" % byte for byte in topic.encode())
        api.call("GET", "/size?topic=%s&consumer_id=%d" % (everything, consumer_id)
                 ).succeeded(size=1)
        api.call("GET", "/size?consumer%%5Fid=%d&topic=%s" % (consumer_id, everything.lower())
                 ).succeeded(size=1)
        same(api.size(topic, consumer_id), 1, "size of %r" % topic)
    topic = given.topic("plus in the query means a space")
    api.create(topic)
    api.call("POST", "/consumer/register?topic=" + topic.replace(" ", "+"))["consumer_id"]


@test()
def long_query_and_headers(given):
    """Up to 30 KB. Were each read a piece per second, the test's limit would end it."""
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    message = "x" * 29000
    for i in range(15):
        api.call("POST", "/producer/produce", params={
            "topic": topic, "producer_id": producer_id, "message": message}).succeeded(offset=i)
        api.call("GET", "/topics", headers={"X-Long": message})["topics"]
    same(api.read_all(topic), [message] * 15, "messages")


@test()
def unknown_parameters_are_ignored(given):
    api, topic = given.api, given.topic()
    api.call("POST", "/topics", params={"verbose": "1"},
             json={"name": topic, "partitions_wanted": None, "x": [1, {"y": "z"}]}
             ).succeeded(message="Topic '%s' created successfully" % topic)
    api.call("GET", "/topics", params={"topic": "no such topic"})["topics"]


@test()
def null_counts_as_missing(given):
    api, topic = given.api, given.topic()
    api.call("POST", "/topics", json={"topic": None, "topic_name": None, "name": topic}
             ).succeeded(message="Topic '%s' created successfully" % topic)
    producer_id = api.producer(topic)
    api.produce(topic, producer_id, "x", messages=None, sequence=None).succeeded(offset=0)
    api.produce_batch(topic, producer_id, ["y"], message=None).succeeded(offset=1, count=1)
    consumer_id = api.consumer(topic, start=None)
    api.call("GET", "/consumer/consume", json={"topic": topic, "consumer_id": consumer_id,
                                               "offset": None, "max": None, "wait_ms": None}
             ).succeeded(message="x", offset=0)


@test()
def body_wins_over_the_query(given):
    api, right, wrong = given.api, given.topic(), given.topic()
    producer_id, consumer_id = api.filled(right, 2), api.consumer(right)
    for body in ("json", "data"):
        api.call("GET", "/size", params={"topic": wrong, "consumer_id": 0},
                 **{body: {"topic": right, "consumer_id": consumer_id}}).succeeded(size=2)
    api.call("POST", "/producer/produce", params={"topic": right, "message": "from the query"},
             json={"producer_id": producer_id, "message": "from the body"}).succeeded(offset=2)
    same(api.read_all(right)[2], "from the body", "message")


@test()
def duplicate_keys_are_one_value_or_refused(given):
    """Whichever is taken, it is one of the two, whole; never both, never a third."""
    api, one, two = given.api, given.topic(), given.topic()
    api.create(one), api.create(two)
    for how in (dict(data='{"topic": "%s", "topic": "%s"}' % (one, two)),
                dict(data="topic=%s&topic=%s" % (one, two),
                     headers={"Content-Type": "application/x-www-form-urlencoded"}),
                dict(params=[("topic", one), ("topic", two)])):
        answer = api.call("POST", "/consumer/register", **how)
        if answer.http != 200:
            answer.refused("bad_request")
            continue
        sizes = [api.call("GET", "/size", params={"topic": t, "consumer_id": answer["consumer_id"]})
                 for t in (one, two)]
        same(sorted(s.http for s in sizes), [200, 400], "HTTP status for the two topics")


@test()
def keep_alive_goes_on_after_refusals(given):
    """One connection serves refused and served requests, in every order."""
    topic = given.topic()
    given.api.create(topic)
    host, port = given.broker.address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.connect()
    socket_before = connection.sock
    json_type = {"Content-Type": "application/json"}
    for method, path, body, status in (
            ("GET", "/topics", None, 200),
            ("GET", "/nowhere", None, 404),
            ("POST", "/nowhere", '{"some": "body"}', 404),
            ("DELETE", "/topics", None, 405),
            ("PUT", "/topics", '{"name": "x"}', 405),
            ("POST", "/topics", "{broken", 400),
            ("POST", "/topics", "", 400),
            ("POST", "/topics", json.dumps({"name": topic}), 400),
            ("GET", "/size?topic=%s&consumer_id=0" % topic, None, 400),
            ("HEAD", "/topics", None, 405),
            ("POST", "/consumer/register", json.dumps({"topic": topic}), 200),
            ("GET", "/consumer/consume", "[]", 400),
            ("GET", "/topics", None, 200)):
        connection.request(method, path, body=body, headers=json_type)
        response = connection.getresponse()
        answer = Answer("%s %s" % (method, path), response.status, response.headers,
                        response.read())
        same(response.status, status, "HTTP status of %r" % answer)
        check(connection.sock is socket_before, "the connection was closed after", answer)
    connection.close()


@test()
def requests_sent_ahead_are_answered_in_order(given):
    """Pipelining: several requests in one write."""
    api, topic = given.api, given.topic()
    api.filled(topic, 3)
    consumer_id = api.consumer(topic)
    request = ("GET /consumer/consume?topic=%s&consumer_id=%d HTTP/1.1\r\nHost: x\r\n%s\r\n")
    text = "".join(request % (topic, consumer_id, "Connection: close\r\n" if i == 2 else "")
                   for i in range(3))
    host, port = given.broker.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(text.encode())
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    places = [got.find(b'"m%d"' % i) for i in range(3)]
    check(-1 not in places and places == sorted(places), "answers:", got)


@test()
def expect_100_continue(given):
    """curl asks before it sends a body above a megabyte."""
    api, topic = given.api, given.topic()
    body = json.dumps({"topic": topic, "producer_id": api.producer(topic), "message": "x" * 5000})
    host, port = given.broker.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(("POST /producer/produce HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            "Content-Length: %d\r\nExpect: 100-continue\r\n\r\n"
                            % len(body)).encode())
        check(connection.recv(65536).startswith(b"HTTP/1.1 100"), "no 100 Continue")
        connection.sendall(body.encode())
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    check(got.startswith(b"HTTP/1.1 200"), "answer:", got)
    same(api.read_all(topic), ["x" * 5000], "messages")


@test()
def http_1_0(given):
    host, port = given.broker.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"GET /topics HTTP/1.0\r\n\r\n")
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    check(b" 200 " in got.split(b"\r\n")[0], "answer:", got)
    check(isinstance(json.loads(got.split(b"\r\n\r\n", 1)[1].decode())["topics"], list),
          "no topics in:", got)
