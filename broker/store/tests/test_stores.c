/*
 * test_stores.c - one suite for every store: memory, SQLite, PostgreSQL, and the faulty one
 * without faults. PostgreSQL's address is in MYQUEUE_TEST_POSTGRES; each test begins with
 * an empty database there, and with a new SQLite file in a folder of its own.
 */
#include "broker/store/stores.h"
#include "broker/store/tests/faulty.h"
#include "broker/store/tests/scratch.h"
#include "common/pg.h"
#include "common/tests/suite.h"

#include <stdlib.h>
#include <string.h>

enum kind { MEMORY, SQLITE, POSTGRES, FAULTY, KINDS };

/* What load() told, as text: "topic 1 a; partition 1 0 3 2; …". */
struct told {
    struct buffer text;
};

struct fixture {
    enum kind kind;
    struct scratch scratch; /* SQLite's */
    struct store *store;
    struct store_session *session;
    struct store_batch batch;
    struct store_range range;
    struct told told;
    char error[STORE_ERROR_BYTES_MAX];
};

static const char *postgres_url(void)
{
    const char *url = getenv("MYQUEUE_TEST_POSTGRES");

    if (url == NULL) {
        fprintf(stderr, "test_stores: MYQUEUE_TEST_POSTGRES is not set; run it by "
                        "tools/with-postgres\n");
        exit(1);
    }
    return url;
}

static void empty_database(void)
{
    char error[PG_ERROR_BYTES_MAX];
    struct pg *pg = pg_connect(postgres_url(), NULL, -1, 10000, error);

    CU_ASSERT_FATAL(pg != NULL);
    CU_ASSERT_EQUAL(pg_query(pg, "DROP SCHEMA IF EXISTS myqueue CASCADE", 10000, NULL), PG_DONE);
    pg_close(pg);
}

static enum status told_topic(void *arg, const struct store_topic *t)
{
    buffer_printf(arg, "topic %lld %.*s", (long long)t->id, (int)t->name.size, t->name.data);
    if (t->retention.bytes != RETENTION_DEFAULT || t->retention.age_s != RETENTION_DEFAULT ||
        t->retention.unread != RETENTION_DEFAULT) {
        buffer_printf(arg, " keeps %lld %lld %d", (long long)t->retention.bytes,
                      (long long)t->retention.age_s, t->retention.unread);
    }
    buffer_append_string(arg, "; ");
    return STATUS_OK;
}

static enum status told_partition(void *arg, const struct store_partition *p)
{
    buffer_printf(arg, "partition %lld %d %lld %lld", (long long)p->topic_id, p->number,
                  (long long)p->next_offset, (long long)p->epoch);
    if (p->first_offset > 0) {
        buffer_printf(arg, " from %lld", (long long)p->first_offset);
    }
    buffer_append_string(arg, "; ");
    return STATUS_OK;
}

static enum status told_segment(void *arg, const struct store_segment *s)
{
    buffer_printf(arg, "segment %lld %lld %d %lld %lld %lld; ", (long long)s->id,
                  (long long)s->topic_id, s->partition, (long long)s->first_offset,
                  (long long)s->first_bytes, (long long)s->opened_ms);
    return STATUS_OK;
}

static enum status told_producer(void *arg, int64_t id, int64_t topic_id)
{
    buffer_printf(arg, "producer %lld %lld; ", (long long)id, (long long)topic_id);
    return STATUS_OK;
}

static enum status told_sequence(void *arg, const struct store_sequence *s)
{
    buffer_printf(arg, "sequence %lld %d %lld %lld; ", (long long)s->producer_id, s->partition,
                  (long long)s->sequence, (long long)s->offset);
    return STATUS_OK;
}

static enum status told_consumer(void *arg, int64_t id, int64_t topic_id)
{
    buffer_printf(arg, "consumer %lld %lld; ", (long long)id, (long long)topic_id);
    return STATUS_OK;
}

static enum status told_position(void *arg, int64_t consumer_id, int32_t partition, int64_t offset)
{
    buffer_printf(arg, "position %lld %d %lld; ", (long long)consumer_id, partition,
                  (long long)offset);
    return STATUS_OK;
}

static void load(struct fixture *f, struct store_session *session)
{
    const struct store_loader loader = {&f->told.text, told_topic,    told_partition,
                                        told_segment,  told_producer, told_sequence,
                                        told_consumer, told_position};

    buffer_clear(&f->told.text);
    CU_ASSERT_EQUAL_FATAL(f->store->ops->revive(session, 10000, f->error), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(f->store->ops->load(session, &loader, f->error), STATUS_OK);
}

static struct fixture setup(enum kind kind)
{
    struct fixture f = {.kind = kind};

    if (kind == SQLITE) {
        CU_ASSERT_FATAL(scratch_make(&f.scratch));
        f.store = scratch_store(&f.scratch);
    } else if (kind == POSTGRES) {
        empty_database();
        f.store = store_open(postgres_url(), 10000, f.error);
    } else {
        f.store = store_open("memory:", 10000, f.error);
    }
    CU_ASSERT_FATAL(f.store != NULL);
    if (kind == FAULTY) {
        f.store = &faulty_store_create(f.store)->store;
    }
    f.session = f.store->ops->session_open(f.store);
    CU_ASSERT_FATAL(f.session != NULL);
    range_init(&f.range);
    load(&f, f.session);
    return f;
}

static void teardown(struct fixture *f)
{
    f->store->ops->session_close(f->session);
    f->store->ops->destroy(f->store);
    if (f->kind == SQLITE) {
        CU_ASSERT_TRUE(scratch_remove(&f->scratch));
    }
    batch_release(&f->batch);
    range_release(&f->range);
    buffer_release(&f->told.text);
}

static void commit(struct fixture *f, enum status expected)
{
    CU_ASSERT_EQUAL(f->store->ops->assign_ids(f->session, &f->batch), STATUS_OK);
    CU_ASSERT_EQUAL(f->store->ops->commit(f->session, &f->batch), expected);
}

static void add_topic(struct fixture *f, const char *name)
{
    struct store_topic *topic = batch_add_topic(&f->batch);

    topic->name = slice_of(name);
    topic->retention =
        (struct store_retention){RETENTION_DEFAULT, RETENTION_DEFAULT, RETENTION_DEFAULT};
}

/* Topic 1 'a' with producer 1 and consumer 1, committed. */
static void make_topic(struct fixture *f)
{
    batch_clear(&f->batch);
    add_topic(f, "a");
    batch_add_producer(&f->batch)->topic_index = 0;
    batch_add_consumer(&f->batch)->topic_index = 0;
    commit(f, STATUS_OK);
    CU_ASSERT_EQUAL(f->batch.topics[0].id, 1);
    CU_ASSERT_EQUAL(f->batch.producers[0].id, 1);
    CU_ASSERT_EQUAL(f->batch.consumers[0].id, 1);
}

/* A batch of messages "0", "1", … for topic 1, with sequences from `base`. */
static char digits[1000][8];

static void add_messages(struct fixture *f, int64_t base, int64_t count)
{
    batch_clear(&f->batch);
    *batch_add_advance(&f->batch) = (struct store_advance){1, 0, 1, base, count, 0};
    for (int64_t i = 0; i < count; i++) {
        snprintf(digits[i], sizeof digits[i], "%d", (int)(base + i));
        *batch_add_message(&f->batch) =
            (struct store_message){1, 0, base + i, 1, base + i, slice_of(digits[i]), 0};
    }
    *batch_add_sequence(&f->batch) =
        (struct store_sequence){1, 0, base + count - 1, base + count - 1};
}

static void read_range(struct fixture *f, int64_t from, size_t count_max, size_t bytes_max)
{
    range_clear(&f->range, from);
    CU_ASSERT_EQUAL(f->store->ops->read(f->session, 1, 0, 0, from, count_max, bytes_max, &f->range),
                    STATUS_OK);
}

/* ---- the tests, for one kind of store each ------------------------------------------------ */

static void starts_empty(enum kind kind)
{
    struct fixture f = setup(kind);

    CU_ASSERT_EQUAL(f.told.text.size, 0);
    CU_ASSERT_EQUAL(f.store->ops->ping(f.session), STATUS_OK);
    teardown(&f);
}

static void gives_ids_from_one(enum kind kind)
{
    struct fixture f = setup(kind);

    make_topic(&f);
    batch_clear(&f.batch);
    add_topic(&f, "b");
    batch_add_producer(&f.batch)->topic_id = 1;
    batch_add_producer(&f.batch)->topic_index = 0;
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(f.batch.topics[0].id, 2);
    CU_ASSERT_EQUAL(f.batch.producers[0].id, 2);
    CU_ASSERT_EQUAL(f.batch.producers[1].id, 3);
    teardown(&f);
}

static void reads_what_was_committed(enum kind kind)
{
    struct fixture f = setup(kind);

    make_topic(&f);
    add_messages(&f, 0, 12);
    commit(&f, STATUS_OK);
    add_messages(&f, 12, 3);
    commit(&f, STATUS_OK);
    read_range(&f, 0, 100, 1000);
    CU_ASSERT_EQUAL(f.range.count, 15);
    CU_ASSERT(slice_equals(buffer_slice(&f.range.bytes), slice_of("01234567891011121314")));
    read_range(&f, 9, 3, 1000);
    CU_ASSERT_EQUAL(f.range.count, 3);
    CU_ASSERT(slice_equals(buffer_slice(&f.range.bytes), slice_of("91011")));
    uint32_t sizes[3];
    memcpy(sizes, f.range.sizes.data, sizeof sizes);
    CU_ASSERT(sizes[0] == 1 && sizes[1] == 2 && sizes[2] == 2);
    read_range(&f, 15, 100, 1000);
    CU_ASSERT_EQUAL(f.range.count, 0);
    teardown(&f);
}

static void keeps_to_the_byte_limit(enum kind kind)
{
    struct fixture f = setup(kind);

    make_topic(&f);
    add_messages(&f, 0, 10);
    commit(&f, STATUS_OK);
    read_range(&f, 0, 100, 4);
    CU_ASSERT_EQUAL(f.range.count, 4);
    read_range(&f, 3, 100, 1);
    CU_ASSERT_EQUAL(f.range.count, 1); /* one at least */
    teardown(&f);
}

static void keeps_every_text(enum kind kind)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "\n\t\r",
                                        "\x01\x1f\x7f",
                                        "h\xc3\xa9",
                                        "\xf0\x9f\x98\x80",
                                        "\\ ' \" $1 %s {}",
                                        "\xef\xbf\xbf\xf4\x8f\xbf\xbf"};
    size_t count = sizeof texts / sizeof *texts;
    struct fixture f = setup(kind);
    struct buffer expected = BUFFER_INIT;

    make_topic(&f);
    batch_clear(&f.batch);
    *batch_add_advance(&f.batch) = (struct store_advance){1, 0, 1, 0, (int64_t)count, 0};
    for (size_t i = 0; i < count; i++) {
        *batch_add_message(&f.batch) =
            (struct store_message){1, 0, (int64_t)i, 1, SEQUENCE_NONE, slice_of(texts[i]), 0};
        buffer_append_string(&expected, texts[i]);
    }
    commit(&f, STATUS_OK);
    read_range(&f, 0, 100, 1000);
    CU_ASSERT_EQUAL(f.range.count, count);
    CU_ASSERT(slice_equals(buffer_slice(&f.range.bytes), buffer_slice(&expected)));
    buffer_release(&expected);
    teardown(&f);
}

static void finds_a_sequence(enum kind kind)
{
    struct fixture f = setup(kind);
    struct store_sequence wanted = {.producer_id = 1, .sequence = 4};
    int64_t offset = -1;

    make_topic(&f);
    add_messages(&f, 0, 9);
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 1, 0, 8, &offset), STATUS_OK);
    CU_ASSERT_EQUAL(offset, 4);
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 1, 0, 3, &offset),
                    STATUS_NO_MESSAGE);
    wanted.producer_id = 2;
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 1, 0, 8, &offset),
                    STATUS_NO_MESSAGE);
    /* Core's limit counts the batch that is being made: it may lie beyond what is stored. */
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 1, 0, 1000, &offset),
                    STATUS_NO_MESSAGE);
    teardown(&f);
}

static void resolves_by_the_counter(enum kind kind)
{
    struct fixture f = setup(kind);
    bool committed = true;

    make_topic(&f);
    add_messages(&f, 0, 5);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_FALSE(committed);
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_TRUE(committed);
    teardown(&f);
}

static void never_reuses_an_id(enum kind kind)
{
    struct fixture f = setup(kind);

    add_topic(&f, "lost");
    CU_ASSERT_EQUAL(f.store->ops->assign_ids(f.session, &f.batch), STATUS_OK);
    CU_ASSERT_EQUAL(f.batch.topics[0].id, 1);
    batch_clear(&f.batch); /* as after a crash: given out, never committed */
    add_topic(&f, "b");
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(f.batch.topics[0].id, 2);
    batch_clear(&f.batch);
    *batch_add_advance(&f.batch) = (struct store_advance){2, 0, 1, 0, 1, 0};
    *batch_add_message(&f.batch) =
        (struct store_message){2, 0, 0, 1, SEQUENCE_NONE, slice_of("after a gap"), 0};
    commit(&f, STATUS_OK);
    teardown(&f);
}

/* ---- segments ------------------------------------------------------------------------------- */

/* Put a new segment of topic 1 into use from `first_offset` on: a row for the batch. */
static int64_t add_roll(struct fixture *f, int64_t first_offset)
{
    int64_t id = 0;

    CU_ASSERT_EQUAL(f->store->ops->create_segment(f->session, 1, 0, &id), STATUS_OK);
    *batch_add_roll(&f->batch) = (struct store_roll){
        {id, 1, 0, first_offset, first_offset * (STORE_ROW_BYTES + 1), 1700000000123 + id}, 1};
    return id;
}

static void sweep(struct fixture *f)
{
    bool done = false;

    for (int i = 0; i < 100 && !done; i++) {
        CU_ASSERT_EQUAL(f->store->ops->sweep(f->session, &done), STATUS_OK);
    }
    CU_ASSERT_TRUE(done);
}

/* Offsets 0 to 2 in segment 0, 3 to 5 in segment 1, which the same batch puts into use. */
static void make_segments(struct fixture *f)
{
    make_topic(f);
    add_messages(f, 0, 6);
    CU_ASSERT_EQUAL(add_roll(f, 3), 1);
    for (int i = 3; i < 6; i++) {
        f->batch.messages[i].segment = 1;
    }
    f->batch.advances[0].bytes = 6 * (STORE_ROW_BYTES + 1);
    commit(f, STATUS_OK);
}

static void read_segment(struct fixture *f, int64_t segment, int64_t from, const char *expected)
{
    range_clear(&f->range, from);
    CU_ASSERT_EQUAL(
        f->store->ops->read(f->session, 1, 0, segment, from, strlen(expected), 1000, &f->range),
        STATUS_OK);
    CU_ASSERT_TRUE(slice_equals(buffer_slice(&f->range.bytes), slice_of(expected)));
}

static void add_trim(struct fixture *f, int64_t first_offset)
{
    *batch_add_trim(&f->batch) = (struct store_trim){1, 0, 1, first_offset};
}

static void keeps_a_log_in_segments(enum kind kind)
{
    struct fixture f = setup(kind);
    struct store_sequence wanted = {.producer_id = 1, .sequence = 4};
    int64_t offset = -1;

    make_segments(&f);
    read_segment(&f, 0, 0, "012");
    read_segment(&f, 1, 3, "345");
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 1, 1, 5, &offset), STATUS_OK);
    CU_ASSERT_EQUAL(offset, 4);
    teardown(&f);
}

/* Also what lies in the segment that all topics share; and what comes after goes on. */
static void removes_the_oldest_segments(enum kind kind)
{
    struct fixture f = setup(kind);

    make_segments(&f);
    batch_clear(&f.batch);
    add_trim(&f, 3);
    commit(&f, STATUS_OK);
    sweep(&f);
    read_segment(&f, 1, 3, "345");
    range_clear(&f.range, 0);
    CU_ASSERT_NOT_EQUAL(f.store->ops->read(f.session, 1, 0, 0, 0, 3, 1000, &f.range) == STATUS_OK &&
                            f.range.count > 0,
                        true);
    add_messages(&f, 6, 2);
    CU_ASSERT_EQUAL(add_roll(&f, 6), 2);
    f.batch.messages[0].segment = f.batch.messages[1].segment = 2;
    add_trim(&f, 6);
    commit(&f, STATUS_OK);
    sweep(&f);
    read_segment(&f, 2, 6, "67");
    teardown(&f);
}

static void tells_its_segments_when_loaded_again(enum kind kind)
{
    struct fixture f = setup(kind);
    int64_t forgotten;

    make_segments(&f);
    batch_clear(&f.batch);
    add_topic(&f, "b");
    f.batch.topics[0].retention = (struct store_retention){7, 0, RETENTION_REMOVE_UNREAD};
    add_trim(&f, 3);
    commit(&f, STATUS_OK);
    commit(&f, STATUS_OK); /* without messages: again is harmless */
    CU_ASSERT_EQUAL(f.store->ops->create_segment(f.session, 1, 0, &forgotten), STATUS_OK);
    load(&f, f.session);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.told.text.data, "topic 1 a; topic 2 b keeps 7 0 1; "));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.told.text.data, "partition 1 0 6 2 from 3; "));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(f.told.text.data, "segment 1 1 0 3 303 1700000000124; producer 1 1; "));
    batch_clear(&f.batch);
    *batch_add_roll(&f.batch) = (struct store_roll){{forgotten, 1, 0, 6, 606, 1}, 2};
    commit(&f, STATUS_FENCED); /* that one is no longer */
    sweep(&f);
    read_segment(&f, 1, 3, "345");
    teardown(&f);
}

/* Neither rolls nor trims; what it still sweeps is nobody's. */
static void the_owner_before_removes_nothing(enum kind kind)
{
    struct fixture f = setup(kind);
    struct store_session *second = f.store->ops->session_open(f.store);

    make_segments(&f);
    load(&f, second);
    batch_clear(&f.batch);
    add_trim(&f, 3);
    commit(&f, STATUS_FENCED);
    batch_clear(&f.batch);
    add_roll(&f, 6);
    commit(&f, STATUS_FENCED);
    sweep(&f);
    read_segment(&f, 0, 0, "012");
    read_segment(&f, 1, 3, "345");
    f.store->ops->session_close(second);
    teardown(&f);
}

/* A table that has been dropped under a reader, and one that is read while it is to go. */
static void drops_tables_when_nobody_reads_them(void)
{
    struct fixture f = setup(POSTGRES);
    char error[PG_ERROR_BYTES_MAX];
    struct pg *reader = pg_connect(postgres_url(), NULL, -1, 10000, error);
    bool done = true;

    CU_ASSERT_FATAL(reader != NULL);
    make_segments(&f);
    add_messages(&f, 6, 1);
    add_roll(&f, 6);
    f.batch.messages[0].segment = 2;
    add_trim(&f, 6);
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(pg_query(reader, "BEGIN; SELECT count(*) FROM myqueue.log", 10000, NULL),
                    PG_DONE);
    CU_ASSERT_EQUAL(f.store->ops->sweep(f.session, &done), STATUS_STORE_AWAY);
    CU_ASSERT_FALSE(done);
    add_messages(&f, 7, 1); /* nobody waits for the reader */
    f.batch.messages[0].segment = 2;
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(pg_query(reader, "COMMIT", 10000, NULL), PG_DONE);
    sweep(&f);
    range_clear(&f.range, 3);
    CU_ASSERT_EQUAL(f.store->ops->read(f.session, 1, 0, 1, 3, 1, 1000, &f.range),
                    STATUS_OFFSET_OUT_OF_RANGE);
    read_segment(&f, 2, 6, "67");
    pg_close(reader);
    teardown(&f);
}

/* ---- batches so large that a store may take another way ------------------------------------- */

#define LARGE 2500

/* For topics 1 and 2 in turn, LARGE messages with numbers for texts, every seventh empty, those
 * of topic 1 with sequences. */
static void add_large(struct fixture *f, char (*texts)[8], int64_t base)
{
    batch_clear(&f->batch);
    for (int64_t topic = 1; topic <= 2; topic++) {
        *batch_add_advance(&f->batch) =
            (struct store_advance){topic, 0, 1, base, LARGE / 2, 100 * LARGE / 2};
    }
    for (int i = 0; i < LARGE; i++) {
        int64_t topic = 1 + i % 2;
        int64_t offset = base + i / 2;
        snprintf(texts[i], sizeof *texts, "%d", i);
        *batch_add_message(&f->batch) = (struct store_message){topic,
                                                               0,
                                                               offset,
                                                               topic,
                                                               topic == 1 ? offset : SEQUENCE_NONE,
                                                               slice_of(i % 7 == 0 ? "" : texts[i]),
                                                               0};
    }
    *batch_add_sequence(&f->batch) =
        (struct store_sequence){1, 0, base + LARGE / 2 - 1, base + LARGE / 2 - 1};
}

/* Topic 1's messages of add_large(), those of its offsets from..to-1, are in this segment. */
static void check_large(struct fixture *f, int64_t base, int64_t segment, int64_t from, int64_t to)
{
    struct buffer expected = BUFFER_INIT;

    for (int64_t offset = from; offset < to; offset++) {
        int i = 2 * (int)(offset - base);
        if (i % 7 != 0) {
            buffer_printf(&expected, "%d", i);
        }
    }
    range_clear(&f->range, from);
    CU_ASSERT_EQUAL(f->store->ops->read(f->session, 1, 0, segment, from, (size_t)(to - from),
                                        1000000, &f->range),
                    STATUS_OK);
    CU_ASSERT_EQUAL(f->range.count, (size_t)(to - from));
    CU_ASSERT_TRUE(slice_equals(buffer_slice(&f->range.bytes), buffer_slice(&expected)));
    buffer_release(&expected);
}

static void make_two_topics(struct fixture *f)
{
    make_topic(f);
    batch_clear(&f->batch);
    add_topic(f, "b");
    batch_add_producer(&f->batch)->topic_index = 0;
    commit(f, STATUS_OK);
}

static void keeps_a_large_batch(enum kind kind)
{
    struct fixture f = setup(kind);
    char(*texts)[8] = calloc(LARGE, sizeof *texts);
    struct store_sequence wanted = {.producer_id = 1, .sequence = LARGE / 4};
    int64_t offset = -1;
    bool committed = false;

    make_two_topics(&f);
    add_large(&f, texts, 0);
    add_topic(&f, "c"); /* beside the messages, and in one piece with them */
    *batch_add_position(&f.batch) = (struct store_position){1, 1, 0, 1, 9};
    commit(&f, STATUS_OK);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_TRUE(committed);
    check_large(&f, 0, 0, 0, LARGE / 2);
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 1, 0, LARGE, &offset),
                    STATUS_OK);
    CU_ASSERT_EQUAL(offset, LARGE / 4);
    wanted = (struct store_sequence){.producer_id = 2, .sequence = 0};
    CU_ASSERT_EQUAL(f.store->ops->find_sequence(f.session, &wanted, 2, 0, LARGE, &offset),
                    STATUS_NO_MESSAGE);
    add_large(&f, texts, LARGE / 2);
    commit(&f, STATUS_OK);
    check_large(&f, LARGE / 2, 0, LARGE / 2, LARGE);
    free(texts);
    teardown(&f);
}

static void keeps_a_large_batch_in_segments(enum kind kind)
{
    struct fixture f = setup(kind);
    char(*texts)[8] = calloc(LARGE, sizeof *texts);

    make_two_topics(&f);
    add_large(&f, texts, 0);
    CU_ASSERT_EQUAL(add_roll(&f, 500), 1);
    for (int i = 1000; i < LARGE; i += 2) {
        f.batch.messages[i].segment = 1;
    }
    commit(&f, STATUS_OK);
    check_large(&f, 0, 0, 0, 500);
    check_large(&f, 0, 1, 500, LARGE / 2);
    free(texts);
    teardown(&f);
}

/* Refused before its messages or by one of them (which PostgreSQL alone looks at): nothing of it
 * remains, and the session is as good as before. */
static void refuses_a_large_batch_whole(enum kind kind)
{
    static const char not_utf8[] = "\xff";
    struct fixture f = setup(kind);
    char(*texts)[8] = calloc(LARGE, sizeof *texts);
    bool committed = true;

    make_two_topics(&f);
    add_large(&f, texts, 0);
    add_topic(&f, "c");
    f.batch.advances[1].epoch = 7;
    commit(&f, STATUS_FENCED);
    if (kind == POSTGRES) {
        add_large(&f, texts, 0);
        f.batch.messages[LARGE - 1].message = slice_of(not_utf8);
        commit(&f, STATUS_INTERNAL);
    }
    add_large(&f, texts, 0);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_FALSE(committed);
    read_range(&f, 0, 10, 1000);
    CU_ASSERT_EQUAL(f.range.count, 0);
    commit(&f, STATUS_OK);
    check_large(&f, 0, 0, 0, LARGE / 2);
    load(&f, f.session);
    CU_ASSERT_PTR_NULL(strstr(f.told.text.data, "topic 3"));
    free(texts);
    teardown(&f);
}

/* ---- what only a store that remembers can do ------------------------------------------------ */

static void tells_all_when_loaded_again(enum kind kind)
{
    struct fixture f = setup(kind);

    make_topic(&f);
    add_messages(&f, 0, 5);
    *batch_add_position(&f.batch) = (struct store_position){1, 1, 0, 1, 3};
    commit(&f, STATUS_OK);
    load(&f, f.session);
    CU_ASSERT_STRING_EQUAL(f.told.text.data, "topic 1 a; partition 1 0 5 2; producer 1 1; "
                                             "sequence 1 0 4 4; consumer 1 1; position 1 0 3; ");
    teardown(&f);
}

static void takes_a_batch_without_messages_twice(enum kind kind)
{
    struct fixture f = setup(kind);

    make_topic(&f);
    *batch_add_position(&f.batch) = (struct store_position){1, 1, 0, 1, 0};
    CU_ASSERT_EQUAL(f.store->ops->commit(f.session, &f.batch), STATUS_OK);
    CU_ASSERT_EQUAL(f.store->ops->commit(f.session, &f.batch), STATUS_OK);
    load(&f, f.session);
    CU_ASSERT_STRING_EQUAL(f.told.text.data, "topic 1 a; partition 1 0 0 2; producer 1 1; "
                                             "consumer 1 1; position 1 0 0; ");
    teardown(&f);
}

/* A second owner loads: whatever the first one still sends is refused, whole. */
static void fences_the_owner_before(enum kind kind)
{
    struct fixture f = setup(kind);
    struct store_session *second = f.store->ops->session_open(f.store);
    bool committed = false;

    make_topic(&f);
    load(&f, second);
    add_messages(&f, 0, 5);
    commit(&f, STATUS_FENCED);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_FENCED);
    batch_clear(&f.batch);
    *batch_add_position(&f.batch) = (struct store_position){1, 1, 0, 1, 1};
    commit(&f, STATUS_FENCED);
    batch_clear(&f.batch);
    add_topic(&f, "b");
    commit(&f, STATUS_FENCED);
    batch_clear(&f.batch);
    batch_add_consumer(&f.batch)->topic_id = 1;
    commit(&f, STATUS_FENCED);
    add_messages(&f, 0, 1);
    f.batch.advances[0].epoch = 2;
    CU_ASSERT_EQUAL(f.store->ops->commit(second, &f.batch), STATUS_OK);
    read_range(&f, 0, 100, 1000);
    CU_ASSERT_EQUAL(f.range.count, 1);
    f.store->ops->session_close(second);
    teardown(&f);
}

/* Not even rows of other partitions in the same batch. */
static void commits_whole_or_not_at_all(enum kind kind)
{
    struct fixture f = setup(kind);

    make_topic(&f);
    add_messages(&f, 0, 5);
    add_topic(&f, "b");
    f.batch.advances[0].base = 7;
    commit(&f, STATUS_FENCED);
    load(&f, f.session);
    CU_ASSERT_STRING_EQUAL(f.told.text.data, "topic 1 a; partition 1 0 0 2; producer 1 1; "
                                             "consumer 1 1; position 1 0 0; ");
    teardown(&f);
}

/* The server ends the session: the outcome is unknown, revive() mends it. */
static void says_unknown_when_the_connection_dies(void)
{
    struct fixture f = setup(POSTGRES);
    char error[PG_ERROR_BYTES_MAX];
    struct pg *other = pg_connect(postgres_url(), NULL, -1, 10000, error);

    make_topic(&f);
    CU_ASSERT_FATAL(other != NULL);
    CU_ASSERT_EQUAL(pg_query(other,
                             "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                             " WHERE application_name = 'myqueue-broker'"
                             " AND pid <> pg_backend_pid()",
                             20000, NULL),
                    PG_DONE);
    pg_close(other);
    add_messages(&f, 0, 5);
    CU_ASSERT_EQUAL(f.store->ops->commit(f.session, &f.batch), STATUS_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(f.store->ops->revive(f.session, 10000, f.error), STATUS_OK);
    commit(&f, STATUS_OK);
    teardown(&f);
}

/* The COPY waits for a lock, and its time is over: the outcome is unknown, and it is none. */
static void says_unknown_when_a_copy_hangs(void)
{
    struct fixture f = setup(POSTGRES);
    char error[PG_ERROR_BYTES_MAX];
    struct pg *other = pg_connect(postgres_url(), NULL, -1, 10000, error);
    char(*texts)[8] = calloc(LARGE, sizeof *texts);
    bool committed = true;

    make_two_topics(&f);
    f.store->ops->session_close(f.session);
    f.store->ops->destroy(f.store);
    f.store = store_open(postgres_url(), 1000, f.error);
    f.session = f.store->ops->session_open(f.store);
    load(&f, f.session);
    CU_ASSERT_FATAL(other != NULL);
    CU_ASSERT_EQUAL(pg_query(other, "BEGIN; LOCK myqueue.log_0 IN SHARE MODE", 10000, NULL),
                    PG_DONE);
    add_large(&f, texts, 0);
    f.batch.advances[0].epoch = f.batch.advances[1].epoch = 2;
    CU_ASSERT_EQUAL(f.store->ops->commit(f.session, &f.batch), STATUS_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(f.store->ops->revive(f.session, 10000, f.error), STATUS_OK);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_FALSE(committed);
    CU_ASSERT_EQUAL(pg_query(other, "COMMIT", 10000, NULL), PG_DONE);
    commit(&f, STATUS_OK);
    check_large(&f, 0, 0, 0, LARGE / 2);
    pg_close(other);
    free(texts);
    teardown(&f);
}

static void refuses_what_is_no_store(void)
{
    static const char *const wrong[] = {
        "", "memory", "mysql://x", "postgres://h:port/d", "postgres://[::1/d", "sqlite", "sqlite:"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char error[STORE_ERROR_BYTES_MAX] = "";
        CU_ASSERT(store_open(wrong[i], 10000, error) == NULL);
        CU_ASSERT(strlen(error) > 10);
    }
}

#define EACH_DURABLE_KIND(name)                                                                    \
    static void name##_sqlite(void)                                                                \
    {                                                                                              \
        name(SQLITE);                                                                              \
    }                                                                                              \
    static void name##_postgres(void)                                                              \
    {                                                                                              \
        name(POSTGRES);                                                                            \
    }

#define EACH_KIND(name)                                                                            \
    static void name##_memory(void)                                                                \
    {                                                                                              \
        name(MEMORY);                                                                              \
    }                                                                                              \
    EACH_DURABLE_KIND(name)                                                                        \
    static void name##_faulty(void)                                                                \
    {                                                                                              \
        name(FAULTY);                                                                              \
    }

#define DURABLE_ROWS(name)                                                                         \
    {#name ", sqlite", name##_sqlite},                                                             \
    {                                                                                              \
#name ", postgres", name##_postgres                                                        \
    }

#define ROWS(name)                                                                                 \
    {#name ", memory", name##_memory}, DURABLE_ROWS(name),                                         \
    {                                                                                              \
#name ", faulty", name##_faulty                                                            \
    }

EACH_KIND(starts_empty)
EACH_KIND(gives_ids_from_one)
EACH_KIND(reads_what_was_committed)
EACH_KIND(keeps_to_the_byte_limit)
EACH_KIND(keeps_every_text)
EACH_KIND(finds_a_sequence)
EACH_KIND(resolves_by_the_counter)
EACH_KIND(never_reuses_an_id)
EACH_KIND(keeps_a_log_in_segments)
EACH_KIND(removes_the_oldest_segments)
EACH_KIND(keeps_a_large_batch)
EACH_KIND(keeps_a_large_batch_in_segments)
EACH_DURABLE_KIND(refuses_a_large_batch_whole)
EACH_DURABLE_KIND(tells_its_segments_when_loaded_again)
EACH_DURABLE_KIND(the_owner_before_removes_nothing)
EACH_DURABLE_KIND(tells_all_when_loaded_again)
EACH_DURABLE_KIND(takes_a_batch_without_messages_twice)
EACH_DURABLE_KIND(fences_the_owner_before)
EACH_DURABLE_KIND(commits_whole_or_not_at_all)

SUITE("stores", ROWS(starts_empty), ROWS(gives_ids_from_one), ROWS(reads_what_was_committed),
      ROWS(keeps_to_the_byte_limit), ROWS(keeps_every_text), ROWS(finds_a_sequence),
      ROWS(resolves_by_the_counter), ROWS(never_reuses_an_id), ROWS(keeps_a_log_in_segments),
      ROWS(removes_the_oldest_segments), ROWS(keeps_a_large_batch),
      ROWS(keeps_a_large_batch_in_segments), DURABLE_ROWS(refuses_a_large_batch_whole),
      DURABLE_ROWS(tells_its_segments_when_loaded_again),
      DURABLE_ROWS(the_owner_before_removes_nothing),
      {"drops_tables_when_nobody_reads_them", drops_tables_when_nobody_reads_them},
      DURABLE_ROWS(tells_all_when_loaded_again), DURABLE_ROWS(takes_a_batch_without_messages_twice),
      DURABLE_ROWS(fences_the_owner_before), DURABLE_ROWS(commits_whole_or_not_at_all),
      {"says_unknown_when_the_connection_dies", says_unknown_when_the_connection_dies},
      {"says_unknown_when_a_copy_hangs", says_unknown_when_a_copy_hangs},
      {"refuses_what_is_no_store", refuses_what_is_no_store})
