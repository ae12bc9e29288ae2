"""A message is any UTF-8 text: what went in comes out byte for byte, or is refused clearly."""

import json

from driver import check, same, test

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def sent_and_read(given, messages):
    """Each message alone, by JSON escaped and raw, by form; then read one by one and by range."""
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    expected = []
    for message in messages:
        fields = {"topic": topic, "producer_id": producer_id, "message": message}
        raw = json.dumps(fields, ensure_ascii=False).encode()
        for how in (dict(json=fields), dict(data=raw), dict(data=fields)):
            api.call("POST", "/producer/produce", **how).succeeded(offset=len(expected))
            expected.append(message)
    for i, message in enumerate(expected):
        answer = api.consume(topic, consumer_id)
        check(answer["message"] == message and answer["offset"] == i,
              "message %d: %r came out as %r" % (i, message[:50], answer["message"][:50]))
    check(api.read_all(topic) == expected, "another text when read by range")


@test()
def usual_and_unusual(given):
    sent_and_read(given, ["", " ", "  \t leading and trailing \r\n", "null", "0", "{}", '"', "\\",
                          "\\u0041", "a\\", "/", "</script>", "%s%n%d", "a=b&c=d+e%20", "'", "''",
                          "--", "\ufeff", "\ufffd", "e\u0301", "é", "\u202e", "👩‍👩‍👧‍👦",
                          "\U0010ffff", "\ufffe", "\uffff", "\x7f", "\x80", "\u2028\u2029", "NaN",
                          "\\x00", "{1,2}"])


@test()
def control_characters(given):
    sent_and_read(given, [chr(c) for c in range(1, 32)] + ["".join(map(chr, range(1, 128)))])


@test()
def all_of_unicode(given):
    """Every code point but U+0000 and the surrogates, astral planes included."""
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    messages = ["".join(map(chr, points[i:i + 4096])) for i in range(0, len(points), 4096)]
    for i, message in enumerate(messages):
        fields = {"topic": topic, "producer_id": producer_id, "message": message}
        if i % 2 == 0:
            answer = api.call("POST", "/producer/produce", json=fields)  # \uXXXX and pairs
        else:
            answer = api.call("POST", "/producer/produce",
                              data=json.dumps(fields, ensure_ascii=False).encode())
        answer.succeeded(offset=i)
    got = api.read_all(topic, max_count=50)
    same(len(got), len(messages), "number of messages")
    for i, message in enumerate(messages):
        check(got[i] == message, "message %d came out differently" % i)


@test()
def answers_are_utf_8(given):
    """The bytes on the wire are strict JSON in UTF-8."""
    api, topic = given.api, given.topic("ünï😀")
    producer_id = api.producer(topic)
    api.produce(topic, producer_id, 'é😀\x01"\\\n')
    answer = api.consume(topic, api.consumer(topic))
    json.loads(answer.content.decode("utf-8", "strict"), strict=True)
    check(topic in api.topics(), "topic is not in the list")


@test()
def nul_is_refused(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    for message in ("\x00", "a\x00b", "a\x00", "\x00a"):
        fields = {"topic": topic, "producer_id": producer_id, "message": message}
        for where in ("json", "data", "params"):
            api.call("POST", "/producer/produce", **{where: fields}).refused("bad_message")
        api.produce_batch(topic, producer_id, ["fine", message]).refused("bad_message")
    same(api.size(topic, consumer_id), 0, "size")
    escaped = '{"topic": "%s", "producer_id": %d, "message": "a\\\\u0000b"}' % (topic, producer_id)
    api.call("POST", "/producer/produce", data=escaped).succeeded(offset=0)
    same(api.read_all(topic), ["a\\u0000b"], "messages: a backslash and u0000 is not U+0000")


@test()
def bytes_that_are_not_utf_8_are_refused(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    for raw in (b"\xff", b"\xfe", b"a\x80", b"\xc3", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80",
                b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80",
                b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"caf\xe9"):
        percent = "".join("%%%02X" % byte for byte in raw)
        where = "topic=%s&producer_id=%d&message=%s" % (topic, producer_id, percent)
        api.call("POST", "/producer/produce", data=where.encode(), headers=FORM
                 ).refused("bad_message")
        api.call("POST", "/producer/produce?" + where).refused("bad_message")
        body = b'{"topic": "%s", "producer_id": %d, "message": "%s"}' % (topic.encode(),
                                                                        producer_id, raw)
        answer = api.call("POST", "/producer/produce", data=body)
        answer.refused("bad_message", "UTF-8")
    same(api.size(topic, consumer_id), 0, "size")


@test()
def lone_surrogates_are_refused(given):
    api, topic = given.api, given.topic()
    producer_id, consumer_id = api.producer(topic), api.consumer(topic)
    for escape in ("\\ud800", "\\udfff", "\\ud800x", "\\udc00\\ud800", "\\ud83d\\u0041",
                   "\\ud83d\\ud83d"):
        body = '{"topic": "%s", "producer_id": %d, "message": "%s"}' % (topic, producer_id, escape)
        answer = api.call("POST", "/producer/produce", data=body)
        check(answer.http == 400 and answer.body["code"] in ("bad_request", "bad_message"), answer)
    same(api.size(topic, consumer_id), 0, "size")
