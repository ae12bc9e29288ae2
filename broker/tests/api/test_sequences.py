"""Sequences: a produce that carries one is stored once, however often it is sent."""

from driver import same, test


@test()
def repeated_is_stored_once(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    api.produce(topic, producer_id, "zero", sequence=0).succeeded(offset=0)
    for _ in range(3):
        api.produce(topic, producer_id, "zero", sequence=0).succeeded(offset=0, duplicate=True)
    api.produce(topic, producer_id, "one", sequence=1).succeeded(offset=1)
    same(api.read_all(topic), ["zero", "one"], "messages")


@test()
def repeated_answers_the_original_offset(given):
    """Also an older one than the last, and where others' messages lie between."""
    api, topic = given.api, given.topic()
    a, b = api.producer(topic), api.producer(topic)
    offsets = []
    for i in range(6):
        offsets.append(api.produce(topic, a, "a%d" % i, sequence=i)["offset"])
        api.produce_batch(topic, b, ["b", "b"][:1 + i % 2], sequence=i + i // 2)
    for i in (5, 0, 3, 5):
        api.produce(topic, a, "a%d" % i, sequence=i).succeeded(offset=offsets[i], duplicate=True)
    same(len(api.read_all(topic)), 6 + 9, "messages")


@test()
def gap_is_refused(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    api.produce(topic, producer_id, "x", sequence=1).refused("out_of_sequence", "0", expected=0)
    api.produce(topic, producer_id, "x", sequence=0).succeeded(offset=0)
    api.produce(topic, producer_id, "x", sequence=2).refused("out_of_sequence", "1", expected=1)
    api.produce(topic, producer_id, "x", sequence=2 ** 53 - 1).refused("out_of_sequence",
                                                                       expected=1)
    api.produce(topic, producer_id, "x", sequence=1).succeeded(offset=1)
    same(len(api.read_all(topic)), 2, "messages")


@test()
def batch_counts_from_its_first_message(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    api.produce_batch(topic, producer_id, ["a", "b", "c"], sequence=0).succeeded(offset=0, count=3)
    api.produce_batch(topic, producer_id, ["d"], sequence=1).succeeded(offset=1, count=1,
                                                                       duplicate=True)
    api.produce_batch(topic, producer_id, ["d", "e"], sequence=4).refused("out_of_sequence",
                                                                          expected=3)
    api.produce_batch(topic, producer_id, ["d", "e"], sequence=3).succeeded(offset=3, count=2)
    api.produce(topic, producer_id, "f", sequence=5).succeeded(offset=5)
    same(api.read_all(topic), ["a", "b", "c", "d", "e", "f"], "messages")


@test()
def batch_repeated_is_stored_once(given):
    api, topic = given.api, given.topic()
    a, b = api.producer(topic), api.producer(topic)
    api.produce(topic, b, "first")
    api.produce_batch(topic, a, ["a", "b"], sequence=0).succeeded(offset=1, count=2)
    api.produce(topic, b, "between")
    api.produce_batch(topic, a, ["c", "d"], sequence=2).succeeded(offset=4, count=2)
    for sequence, messages, offset in ((0, ["a", "b"], 1), (2, ["c", "d"], 4), (3, ["d"], 5)):
        api.produce_batch(topic, a, messages, sequence=sequence).succeeded(
            offset=offset, count=len(messages), duplicate=True)
    same(api.read_all(topic), ["first", "a", "b", "between", "c", "d"], "messages")


@test()
def batch_over_several_old_ones_has_an_offset_if_they_are_neighbours(given):
    """One offset would be wrong for the messages behind others'."""
    api, topic = given.api, given.topic()
    a, b = api.producer(topic), api.producer(topic)
    for sequence, message in enumerate("abcd"):
        api.produce(topic, a, message, sequence=sequence)
        if message in "bd":
            api.produce(topic, b, "between")
    api.produce(topic, a, "e", sequence=4).succeeded(offset=6)

    def repeated(sequence, messages, offset):
        where = {} if offset is None else {"offset": offset}
        api.produce_batch(topic, a, list(messages), sequence=sequence).succeeded(
            count=len(messages), duplicate=True, **where)

    repeated(0, "ab", 0)
    repeated(2, "cd", 3)
    repeated(0, "abcd", None)
    repeated(1, "bc", None)
    repeated(3, "de", None)
    for sequence, offset in enumerate((0, 1, 3, 4, 6)):
        repeated(sequence, "abcde"[sequence], offset)


@test()
def batch_that_overlaps_in_part_is_refused(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    api.produce_batch(topic, producer_id, ["a", "b"], sequence=0)
    for sequence, messages in ((1, ["b", "c"]), (0, ["a", "b", "c"])):
        api.produce_batch(topic, producer_id, messages, sequence=sequence).refused(
            "out_of_sequence", expected=2)
    same(api.read_all(topic), ["a", "b"], "messages")


@test()
def producers_count_for_themselves(given):
    api, topic, other = given.api, given.topic(), given.topic()
    for name in (topic, topic, other):
        producer_id = api.producer(name)
        for sequence in range(3):
            answer = api.produce(name, producer_id, "m", sequence=sequence)
            same(set(answer.body), {"status", "offset"}, "fields")
    same(len(api.read_all(topic)), 6, "messages")


@test()
def without_sequence_every_send_is_stored(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    for i in range(3):
        api.produce(topic, producer_id, "same").succeeded(offset=i)
    same(api.read_all(topic), ["same"] * 3, "messages")


@test()
def sequence_must_be_a_whole_number_from_0(given):
    api, topic = given.api, given.topic()
    producer_id = api.producer(topic)
    for wrong in (-1, 1.5, "x", "", True, [0], {}, 2 ** 63, 1e300):
        api.produce(topic, producer_id, "x", sequence=wrong).refused("bad_request", "sequence")
    api.produce(topic, producer_id, "x", sequence="0").succeeded(offset=0)
    same(api.read_all(topic), ["x"], "messages")
