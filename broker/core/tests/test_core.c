/*
 * test_core.c - names, tails, and the steps of a consume, without threads or a store.
 *
 * A few lines stand in for the committer: what has been submitted is prepared, "committed"
 * and shown when the test says so.
 */
#include "broker/core/internal.h"
#include "common/tests/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a committer that commits when told ---------------------------------------------------- */

static const struct store_retention whole_log = {0};

struct fixture {
    struct budget budget;
    struct queue *queue;
    struct list submitted;
    struct store_batch batch;
    struct store_read *read; /* the last one that was submitted */
    int64_t next_id;
    int notified;
};

static void count(void *arg)
{
    (*(int *)arg)++;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void take_writes(void *arg, struct list *writes)
{
    list_move(&((struct fixture *)arg)->submitted, writes);
}

static bool take_read(void *arg, struct store_read *read)
{
    ((struct fixture *)arg)->read = read;
    return true;
}

static void commit(struct fixture *f)
{
    struct store_hooks hooks = queue_hooks(f->queue);
    struct list prepared;
    struct list *node;

    list_init(&prepared);
    queue_flush(f->queue, 0);
    while ((node = list_pop(&f->submitted)) != NULL) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        if (hooks.prepare(hooks.arg, write, &f->batch)) {
            list_append(&prepared, node);
        } else {
            hooks.finish(hooks.arg, write);
        }
    }
    for (size_t i = 0; i < f->batch.topic_count; i++) {
        f->batch.topics[i].id = f->next_id++;
    }
    for (size_t i = 0; i < f->batch.producer_count; i++) {
        f->batch.producers[i].id = f->next_id++;
    }
    for (size_t i = 0; i < f->batch.consumer_count; i++) {
        f->batch.consumers[i].id = f->next_id++;
    }
    hooks.applied(hooks.arg, &f->batch, &prepared);
    while ((node = list_pop(&prepared)) != NULL) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        hooks.answer(hooks.arg, write, STATUS_OK);
        hooks.finish(hooks.arg, write);
    }
    batch_clear(&f->batch);
}

static struct store_retention retention; /* what setup() gives the queue */

static void setup(struct fixture *f, size_t tail_bytes_max)
{
    memset(f, 0, sizeof *f);
    f->next_id = 1;
    list_init(&f->submitted);
    budget_init(&f->budget, 1 << 20);
    f->queue = queue_create(&(struct queue_options){.tail_bytes_max = tail_bytes_max,
                                                    .store_timeout_ms = 1000,
                                                    .retention = retention,
                                                    .topics_max = 2,
                                                    .producers_max = 3,
                                                    .consumers_max = 3,
                                                    .polls_max = 2,
                                                    .budget = &f->budget,
                                                    .wake = nothing,
                                                    .fenced = nothing});
    queue_connect(f->queue, &(struct store_queue){take_writes, f, take_read, f, false});
}

static void teardown(struct fixture *f)
{
    retention = (struct store_retention){0};
    batch_release(&f->batch);
    queue_destroy(f->queue);
}

static int64_t register_client(struct fixture *f, bool producer)
{
    struct queue_write *write;
    int answers = 0;
    enum status status =
        producer ? queue_register_producer(f->queue, 0, slice_of("t"), count, &answers, &write)
                 : queue_register_consumer(f->queue, 0, slice_of("t"), QUEUE_START_DEFAULT, count,
                                           &answers, &write);
    CU_ASSERT_EQUAL_FATAL(status, STATUS_OK);
    commit(f);
    CU_ASSERT_EQUAL(answers, 1);
    int64_t id = queue_write_result(write)->id;
    queue_write_release(write);
    return id;
}

static void append(struct fixture *f, int64_t producer_id, const char *text)
{
    struct queue_write *write;
    struct slice message = slice_of(text);
    int answers = 0;

    CU_ASSERT_EQUAL_FATAL(queue_append(f->queue, 0, slice_of("t"), producer_id, &message, 1,
                                       SEQUENCE_NONE, count, &answers, &write),
                          STATUS_OK);
    commit(f);
    CU_ASSERT_EQUAL(answers, 1);
    queue_write_release(write);
}

static struct consume *consume(struct fixture *f, int64_t consumer_id, int64_t offset, bool wait)
{
    struct consume *c;
    const struct consume_request request = {.topic = slice_of("t"),
                                            .consumer_id = consumer_id,
                                            .offset = offset,
                                            .count_max = 1,
                                            .may_wait = wait};

    CU_ASSERT_EQUAL_FATAL(consume_create(f->queue, 0, &request, count, &f->notified, &c),
                          STATUS_OK);
    return c;
}

static struct consume *seek(struct fixture *f, int64_t consumer_id, int64_t offset,
                            enum queue_start start)
{
    struct consume *c;
    const struct consume_request request = {.topic = slice_of("t"),
                                            .consumer_id = consumer_id,
                                            .offset = offset,
                                            .seeks = true,
                                            .start = start};

    CU_ASSERT_EQUAL_FATAL(consume_create(f->queue, 0, &request, count, &f->notified, &c),
                          STATUS_OK);
    return c;
}

static void expect_text(struct consume *c, const char *text)
{
    CU_ASSERT_EQUAL(consume_status(c), STATUS_OK);
    CU_ASSERT_TRUE(slice_equals(buffer_slice(&consume_range(c)->bytes), slice_of(text)));
    consume_release(c);
}

/* ---- names and tails --------------------------------------------------------------------------
 */

static void names(void)
{
    char longest[TOPIC_NAME_BYTES_MAX + 2];

    memset(longest, 'x', sizeof longest);
    CU_ASSERT_EQUAL(topic_name_check((struct slice){longest, 200}), STATUS_OK);
    CU_ASSERT_EQUAL(topic_name_check((struct slice){longest, 201}), STATUS_BAD_TOPIC_NAME);
    static const char *const good[] = {"T-1",          "a/b",      " ",
                                       "post_created", "\xc2\xa0", "\xe2\x82\xac"};
    static const char *const bad[] = {"", "a\n", "\x7f", "\xc2\x85", "\xff", "a\x1f"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CU_ASSERT_EQUAL(topic_name_check(slice_of(good[i])), STATUS_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(topic_name_check(slice_of(bad[i])), STATUS_BAD_TOPIC_NAME);
    }
    CU_ASSERT_EQUAL(topic_name_check((struct slice){"a\0b", 3}), STATUS_BAD_TOPIC_NAME);
}

static void tail_gives_what_it_has(void)
{
    struct tail_budget budget;
    struct mutex lock;
    struct tail tail;
    struct store_range range;
    char text[24];

    mutex_init(&lock, MUTEX_PARTITION);
    tail_budget_init(&budget, 200000);
    tail_init(&tail, &budget, &lock, 1000);
    range_init(&range);
    for (int i = 1000; i < 31000; i++) {
        snprintf(text, sizeof text, "%d", i);
        tail_append_locked(&tail, slice_of(text));
    }
    CU_ASSERT_EQUAL(tail.first, 1000);
    tail_budget_evict(&budget);
    CU_ASSERT_TRUE(budget.bytes <= 200000 && budget.bytes > 0);
    CU_ASSERT_TRUE(tail.first > 1000);
    CU_ASSERT_EQUAL(tail.next, 31000);
    range_clear(&range, tail.first);
    CU_ASSERT_FALSE(tail_read_locked(&tail, tail.first - 1, 10, 1000, &range));
    CU_ASSERT_FALSE(tail_read_locked(&tail, tail.next, 10, 1000, &range));
    for (int64_t from = tail.first; from < tail.next; from += 997) {
        range_clear(&range, from);
        CU_ASSERT_TRUE(tail_read_locked(&tail, from, 1, 1000, &range));
        snprintf(text, sizeof text, "%lld", (long long)from);
        CU_ASSERT_TRUE(slice_equals(buffer_slice(&range.bytes), slice_of(text)));
    }
    range_clear(&range, tail.first);
    CU_ASSERT_TRUE(tail_read_locked(&tail, tail.first, SIZE_MAX, SIZE_MAX, &range));
    CU_ASSERT_EQUAL(range.count, (size_t)(tail.next - tail.first)); /* over all its chunks */
    range_release(&range);
    tail_release(&tail);
    CU_ASSERT_EQUAL(budget.bytes, 0);
    mutex_release(&lock);
}

/* ---- consume ------------------------------------------------------------------------------------
 */

static void plain_consume_moves_the_position(void)
{
    struct fixture f;
    int64_t size = -1;

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    append(&f, producer, "b");
    struct consume *c = consume(&f, consumer, -1, false);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_WAIT); /* for the position */
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
    CU_ASSERT_EQUAL(size, 2); /* not moved before the commit */
    commit(&f);
    CU_ASSERT_EQUAL(f.notified, 1);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    expect_text(c, "a");
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
    CU_ASSERT_EQUAL(size, 1);
    teardown(&f);
}

/* Those of one consumer queue up; one that finds nothing lets the next one go on. */
static void plain_consumes_queue_up(void)
{
    struct fixture f;
    struct consume *c[4];

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    for (int i = 0; i < 4; i++) {
        c[i] = consume(&f, consumer, -1, false);
        CU_ASSERT_EQUAL(consume_step(c[i]), CONSUME_WAIT);
    }
    commit(&f);
    CU_ASSERT_EQUAL(f.notified, 1);
    CU_ASSERT_EQUAL(consume_step(c[0]), CONSUME_DONE);
    expect_text(c[0], "a");
    for (int i = 1; i < 4; i++) {
        CU_ASSERT_EQUAL(f.notified, i + 1);
        CU_ASSERT_EQUAL(consume_step(c[i]), CONSUME_DONE);
        CU_ASSERT_EQUAL(consume_status(c[i]), STATUS_NO_MESSAGE);
        consume_release(c[i]);
    }
    teardown(&f);
}

static void consume_by_offset_gives_the_same_again(void)
{
    struct fixture f;

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    append(&f, producer, "b");
    for (int i = 0; i < 2; i++) {
        struct consume *c = consume(&f, consumer, 1, false);
        if (i == 0) {
            CU_ASSERT_EQUAL(consume_step(c), CONSUME_WAIT); /* the position moves to 1 */
            commit(&f);
        }
        CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
        expect_text(c, "b");
    }
    struct consume *beyond = consume(&f, consumer, 3, true);
    CU_ASSERT_EQUAL(consume_step(beyond), CONSUME_DONE);
    CU_ASSERT_EQUAL(consume_status(beyond), STATUS_OFFSET_OUT_OF_RANGE);
    consume_release(beyond);
    teardown(&f);
}

static void expect_sought(struct consume *c, int64_t position)
{
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    CU_ASSERT_EQUAL(consume_status(c), STATUS_OK);
    CU_ASSERT_EQUAL(consume_position(c), position);
    consume_release(c);
}

/* Also one to where the consumer is already: a save before it may still be on its way. */
static void a_seek_is_over_when_it_is_committed(void)
{
    struct fixture f;
    int64_t size = -1;
    static const struct {
        int64_t offset;
        enum queue_start start;
        int64_t position;
    } seeks[] = {{1, QUEUE_START_DEFAULT, 1},
                 {1, QUEUE_START_DEFAULT, 1},
                 {-1, QUEUE_START_LATEST, 3},
                 {-1, QUEUE_START_EARLIEST, 0}};

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    append(&f, producer, "b");
    append(&f, producer, "c");
    for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
        int64_t before = size;
        struct consume *c = seek(&f, consumer, seeks[i].offset, seeks[i].start);
        CU_ASSERT_EQUAL(consume_step(c), CONSUME_WAIT);
        CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
        CU_ASSERT_EQUAL(size, i == 0 ? 3 : before); /* not moved before the commit */
        commit(&f);
        expect_sought(c, seeks[i].position);
        CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
        CU_ASSERT_EQUAL(size, 3 - seeks[i].position);
    }
    struct consume *beyond = seek(&f, consumer, 4, QUEUE_START_DEFAULT);
    CU_ASSERT_EQUAL(consume_step(beyond), CONSUME_DONE);
    CU_ASSERT_EQUAL(consume_status(beyond), STATUS_OFFSET_OUT_OF_RANGE);
    consume_release(beyond);
    teardown(&f);
}

/* Or what the consume saves after the seek would take the consumer away again. */
static void a_seek_waits_for_a_consume_that_moves(void)
{
    struct fixture f;
    int64_t size;

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    append(&f, producer, "b");
    struct consume *plain = consume(&f, consumer, -1, false);
    struct consume *back = seek(&f, consumer, 0, QUEUE_START_DEFAULT);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_WAIT); /* for the position */
    CU_ASSERT_EQUAL(consume_step(back), CONSUME_WAIT);  /* for the one before */
    commit(&f);
    CU_ASSERT_EQUAL(f.notified, 1);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_DONE);
    expect_text(plain, "a");
    CU_ASSERT_EQUAL(f.notified, 2);
    CU_ASSERT_EQUAL(consume_step(back), CONSUME_WAIT);
    commit(&f);
    expect_sought(back, 0);
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
    CU_ASSERT_EQUAL(size, 2);
    teardown(&f);
}

static void a_seek_wakes_who_waits_as_the_same_consumer(void)
{
    struct fixture f;

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    struct consume *to_end = seek(&f, consumer, -1, QUEUE_START_LATEST);
    CU_ASSERT_EQUAL(consume_step(to_end), CONSUME_WAIT);
    commit(&f);
    expect_sought(to_end, 1);
    struct consume *plain = consume(&f, consumer, -1, true);
    struct consume *by_offset = consume(&f, consumer, 1, true);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_PARK);
    CU_ASSERT_EQUAL(consume_step(by_offset), CONSUME_PARK);
    f.notified = 0;
    struct consume *back = seek(&f, consumer, 0, QUEUE_START_DEFAULT);
    CU_ASSERT_EQUAL(consume_step(back), CONSUME_WAIT);
    commit(&f);
    CU_ASSERT_EQUAL(f.notified, 3);
    CU_ASSERT_EQUAL(consume_step(by_offset), CONSUME_DONE); /* its place is gone */
    CU_ASSERT_EQUAL(consume_status(by_offset), STATUS_NO_MESSAGE);
    consume_release(by_offset);
    expect_sought(back, 0);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_WAIT); /* for the position */
    commit(&f);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_DONE);
    expect_text(plain, "a");
    teardown(&f);
}

/* Where the store forgets positions, moving one waits for nobody. */
static void a_position_that_is_not_kept_needs_no_write(void)
{
    struct fixture f;
    int64_t size;

    setup(&f, 1 << 20);
    queue_connect(f.queue, &(struct store_queue){take_writes, &f, take_read, &f, true});
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    append(&f, producer, "b");
    append(&f, producer, "c");
    struct consume *plain = consume(&f, consumer, -1, false);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_DONE);
    expect_text(plain, "a");
    struct consume *by_offset = consume(&f, consumer, 2, false);
    CU_ASSERT_EQUAL(consume_step(by_offset), CONSUME_DONE);
    expect_text(by_offset, "c");
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
    CU_ASSERT_EQUAL(size, 1); /* it is at 2 */
    struct consume *at_end = consume(&f, consumer, 3, true);
    CU_ASSERT_EQUAL(consume_step(at_end), CONSUME_PARK);
    CU_ASSERT_TRUE(consume_timeout(at_end));
    consume_release(at_end);
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
    CU_ASSERT_EQUAL(size, 0);
    expect_sought(seek(&f, consumer, 1, QUEUE_START_DEFAULT), 1);
    CU_ASSERT_TRUE(list_empty(&f.submitted));
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), consumer, &size), STATUS_OK);
    CU_ASSERT_EQUAL(size, 2);
    teardown(&f);
}

static void a_parked_consume_is_woken_by_a_message(void)
{
    struct fixture f;

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    struct consume *woken = consume(&f, consumer, 0, true);
    struct consume *late = consume(&f, consumer, 0, true);
    CU_ASSERT_EQUAL(consume_step(woken), CONSUME_PARK);
    CU_ASSERT_EQUAL(consume_step(late), CONSUME_PARK);
    CU_ASSERT_TRUE(consume_timeout(late));
    CU_ASSERT_EQUAL(consume_status(late), STATUS_NO_MESSAGE);
    consume_release(late);
    append(&f, producer, "a");
    CU_ASSERT_EQUAL(f.notified, 1);
    CU_ASSERT_FALSE(consume_timeout(woken)); /* too late: it has been woken */
    CU_ASSERT_EQUAL(consume_step(woken), CONSUME_DONE);
    expect_text(woken, "a");
    teardown(&f);
}

static void only_so_many_wait(void)
{
    struct fixture f;

    setup(&f, 1 << 20); /* two polls at most */
    register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    for (int round = 0; round < 3; round++) {
        struct consume *first = consume(&f, consumer, 0, true);
        struct consume *second = consume(&f, consumer, 0, true);
        struct consume *third = consume(&f, consumer, 0, true);
        CU_ASSERT_EQUAL(consume_step(first), CONSUME_PARK);
        CU_ASSERT_EQUAL(consume_step(second), CONSUME_PARK);
        CU_ASSERT_EQUAL(consume_step(third), CONSUME_DONE);
        CU_ASSERT_EQUAL(consume_status(third), STATUS_OVERLOADED);
        CU_ASSERT_TRUE(consume_timeout(first));
        CU_ASSERT_TRUE(consume_timeout(second));
        consume_release(first);
        consume_release(second);
        consume_release(third);
    }
    teardown(&f);
}

static void what_finds_no_room_is_not_taken(void)
{
    struct fixture f;
    struct buffer text = BUFFER_INIT;

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    for (int i = 0; i < 2 * BUDGET_FREE_BYTES; i++) {
        buffer_append_char(&text, 'x');
    }
    append(&f, producer, text.data);
    budget_force(&f.budget, f.budget.max);
    struct consume *plain = consume(&f, consumer, -1, false);
    CU_ASSERT_EQUAL(consume_step(plain), CONSUME_DONE);
    CU_ASSERT_EQUAL(consume_status(plain), STATUS_OVERLOADED);
    consume_release(plain);
    budget_give(&f.budget, f.budget.max);
    CU_ASSERT_EQUAL(atomic_load(&f.budget.used), 0);
    struct consume *again = consume(&f, consumer, 0, false);
    CU_ASSERT_EQUAL(consume_step(again), CONSUME_DONE);
    CU_ASSERT_TRUE(atomic_load(&f.budget.used) > 2 * BUDGET_FREE_BYTES);
    expect_text(again, text.data);
    CU_ASSERT_EQUAL(atomic_load(&f.budget.used), 0);
    buffer_release(&text);
    teardown(&f);
}

static void shutdown_wakes_who_waits(void)
{
    struct fixture f;

    setup(&f, 1 << 20);
    register_client(&f, true);
    struct consume *c = consume(&f, register_client(&f, false), 0, true);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_PARK);
    queue_shutdown(f.queue);
    CU_ASSERT_EQUAL(f.notified, 1);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    CU_ASSERT_EQUAL(consume_status(c), STATUS_SHUTTING_DOWN);
    consume_release(c);
    teardown(&f);
}

static void what_the_tail_has_not_comes_from_the_store(void)
{
    struct fixture f;

    setup(&f, 0); /* the tail keeps nothing */
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    struct consume *c = consume(&f, consumer, 0, false);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_WAIT);
    CU_ASSERT_FATAL(f.read != NULL);
    CU_ASSERT_EQUAL(f.read->from, 0);
    range_add(f.read->range, slice_of("from the store"));
    f.read->status = STATUS_OK;
    f.read->done(f.read);
    CU_ASSERT_EQUAL(f.notified, 1);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    expect_text(c, "from the store");
    teardown(&f);
}

/* The store may hold a commit already that the partition has not been told of. Who was given
 * it would next ask for an offset beyond the end. */
static void the_store_is_not_read_beyond_the_known_end(void)
{
    struct fixture f;
    struct consume *c;

    setup(&f, 0);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    append(&f, producer, "a");
    append(&f, producer, "b");
    const struct consume_request request = {
        .topic = slice_of("t"), .consumer_id = consumer, .count_max = 10};
    CU_ASSERT_EQUAL_FATAL(consume_create(f.queue, 0, &request, count, &f.notified, &c), STATUS_OK);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_WAIT);
    CU_ASSERT_EQUAL(f.read->count_max, 2);
    range_add(f.read->range, slice_of("a"));
    f.read->status = STATUS_OK;
    f.read->done(f.read);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    consume_release(c);
    teardown(&f);
}

/* Answer the read that was submitted with "m<offset>" for each message that it wants. */
static void serve_read(struct fixture *f)
{
    char text[16];

    for (size_t i = 0; i < f->read->count_max; i++) {
        snprintf(text, sizeof text, "m%d", (int)(f->read->from + (int64_t)i));
        range_add(f->read->range, slice_of(text));
    }
    f->read->status = STATUS_OK;
    f->read->done(f->read);
    f->read = NULL;
}

/* One message from `offset` on, with or without asking the store. */
static void expect_message(struct fixture *f, int64_t consumer, int64_t offset, size_t count_max,
                           const char *text)
{
    struct consume *c = consume(f, consumer, offset, false);

    enum consume_step step = consume_step(c);
    if (f->read == NULL && step == CONSUME_WAIT) {
        commit(f); /* the position */
        step = consume_step(c);
    }
    CU_ASSERT_EQUAL(step, count_max > 0 ? CONSUME_WAIT : CONSUME_DONE);
    CU_ASSERT_FATAL((f->read != NULL) == (count_max > 0));
    if (count_max > 0) {
        CU_ASSERT_EQUAL(f->read->count_max, count_max);
        serve_read(f);
        CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    }
    CU_ASSERT_EQUAL(consume_range(c)->first, offset);
    CU_ASSERT_EQUAL(consume_range(c)->count, 1);
    expect_text(c, text);
}

static void who_goes_on_is_read_ahead(void)
{
    struct fixture f;

    setup(&f, 0); /* the tail keeps nothing */
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    int64_t other = register_client(&f, false);
    for (int i = 0; i < 6; i++) {
        append(&f, producer, "x");
    }
    expect_message(&f, consumer, 0, 1, "m0"); /* 0: without a read */
    expect_message(&f, consumer, 1, 5, "m1"); /* it goes on: all there is */
    expect_message(&f, consumer, 2, 0, "m2");
    expect_message(&f, consumer, 3, 0, "m3");
    expect_message(&f, consumer, 2, 0, "m2"); /* back: still there */
    expect_message(&f, consumer, 0, 1, "m0"); /* elsewhere: read as asked */
    expect_message(&f, consumer, 3, 0, "m3");
    expect_message(&f, other, 4, 1, "m4");
    expect_message(&f, consumer, 4, 0, "m4");
    expect_message(&f, consumer, 5, 0, "m5");
    teardown(&f);
}

/* More consumers than places: who has not come for longest has lost his. */
static void what_is_read_ahead_has_few_places(void)
{
    static char much[AHEAD_BYTES_MAX + 1];
    struct ahead ahead;
    struct store_range range;
    struct store_range out;

    ahead_init(&ahead);
    range_init(&range);
    range_init(&out);
    for (int64_t consumer = 1; consumer <= AHEAD_PLACES + 1; consumer++) {
        range_clear(&range, 10);
        range_add(&range, slice_of("first"));
        range_add(&range, slice_of("second"));
        range_add(&range, slice_of("third"));
        ahead_keep(&ahead, consumer, &range, 1);
        CU_ASSERT_TRUE(slice_equals(buffer_slice(&range.bytes), slice_of("first")));
    }
    range_clear(&out, 10);
    CU_ASSERT_FALSE(ahead_take(&ahead, 1, 10, 9, 9, &out));
    CU_ASSERT_TRUE(ahead_take(&ahead, 2, 10, 1, 9, &out));
    range_clear(&range, 20); /* too much to be kept: what is left is whole */
    range_add(&range, slice_of("first"));
    range_add(&range, (struct slice){much, sizeof much});
    ahead_keep(&ahead, 3, &range, 1);
    CU_ASSERT_EQUAL(range.count, 1);
    CU_ASSERT_EQUAL(range.sizes.size, sizeof(uint32_t));
    CU_ASSERT_TRUE(slice_equals(buffer_slice(&range.bytes), slice_of("first")));
    range_clear(&out, 11);
    CU_ASSERT_FALSE(ahead_take(&ahead, 3, 9, 9, 9, &out));
    CU_ASSERT_FALSE(ahead_take(&ahead, 3, 13, 9, 9, &out));
    CU_ASSERT_TRUE(ahead_take(&ahead, 3, 11, 9, 6, &out)); /* 6 bytes are enough */
    CU_ASSERT_TRUE(slice_equals(buffer_slice(&out.bytes), slice_of("second")));
    range_clear(&out, 12);
    CU_ASSERT_TRUE(ahead_take(&ahead, 3, 12, 9, 1, &out));
    CU_ASSERT_TRUE(slice_equals(buffer_slice(&out.bytes), slice_of("third")));
    range_release(&range);
    range_release(&out);
    ahead_release(&ahead);
}

/* Too many go on at once: reading ahead for those who lose it would be in vain. */
static void who_loses_his_place_is_read_ahead_more_seldom(void)
{
    struct ahead_reader reader;

    ahead_reader_init(&reader);
    CU_ASSERT_EQUAL(ahead_count(&reader, 0, 1), 1); /* the first */
    reader.read_end = 1;
    CU_ASSERT_EQUAL(ahead_count(&reader, 5, 1), 1); /* elsewhere */
    CU_ASSERT_EQUAL(ahead_count(&reader, 1, AHEAD_COUNT + 1), AHEAD_COUNT + 1);
    for (int skip = 1; skip <= 2 * AHEAD_SKIP_MAX; skip *= 2) {
        CU_ASSERT_EQUAL(ahead_count(&reader, 1, 1), AHEAD_COUNT);
        reader.kept_end = 1 + AHEAD_COUNT; /* and lost */
        for (int i = 0; i < (skip < AHEAD_SKIP_MAX ? skip : AHEAD_SKIP_MAX); i++) {
            CU_ASSERT_EQUAL(ahead_count(&reader, 1, 1), 1);
        }
    }
    CU_ASSERT_EQUAL(ahead_count(&reader, 1, 1), AHEAD_COUNT);
    reader.kept_end = reader.read_end = 1 + AHEAD_COUNT; /* all of it was used */
    CU_ASSERT_EQUAL(ahead_count(&reader, 1 + AHEAD_COUNT, 1), AHEAD_COUNT);
    CU_ASSERT_EQUAL(reader.skip_after, 1);
}

/* A reader would find the first message, which is stored, while the second is on its way. */
static void what_repeats_also_this_very_batch_waits_for_it(void)
{
    struct fixture f;
    struct queue_write *writes[2];
    struct slice messages[] = {slice_of("a"), slice_of("c")};
    int answers = 0;

    setup(&f, 1 << 20);
    int64_t a = register_client(&f, true);
    int64_t b = register_client(&f, true);
    queue_append(f.queue, 0, slice_of("t"), a, &messages[0], 1, 0, count, &answers, &writes[0]);
    commit(&f);
    queue_write_release(writes[0]);
    append(&f, b, "b");
    queue_append(f.queue, 0, slice_of("t"), a, &messages[1], 1, 1, count, &answers, &writes[0]);
    queue_append(f.queue, 0, slice_of("t"), a, messages, 2, 0, count, &answers, &writes[1]);
    commit(&f);
    CU_ASSERT_PTR_NULL(f.read);
    CU_ASSERT_EQUAL(answers, 3);
    CU_ASSERT_EQUAL(queue_write_result(writes[0])->offset, 2);
    CU_ASSERT_EQUAL(queue_write_result(writes[1])->status, STATUS_OK);
    CU_ASSERT_TRUE(queue_write_result(writes[1])->duplicate);
    CU_ASSERT_EQUAL(queue_write_result(writes[1])->offset, -1);
    queue_write_release(writes[0]);
    queue_write_release(writes[1]);
    teardown(&f);
}

static void ids_belong_to_one_topic(void)
{
    struct fixture f;
    struct queue_write *write;
    struct consume *c;
    int answers = 0;
    struct slice message = slice_of("x");

    setup(&f, 1 << 20);
    int64_t producer = register_client(&f, true);
    int64_t consumer = register_client(&f, false);
    CU_ASSERT_EQUAL(
        queue_create_topic(f.queue, 0, slice_of("u"), &whole_log, count, &answers, &write),
        STATUS_OK);
    commit(&f);
    queue_write_release(write);
    CU_ASSERT_EQUAL(queue_append(f.queue, 0, slice_of("u"), producer, &message, 1, SEQUENCE_NONE,
                                 count, &answers, &write),
                    STATUS_NOT_REGISTERED);
    CU_ASSERT_EQUAL(queue_append(f.queue, 0, slice_of("t"), 99, &message, 1, SEQUENCE_NONE, count,
                                 &answers, &write),
                    STATUS_UNKNOWN_PRODUCER);
    struct consume_request request = {
        .topic = slice_of("u"), .consumer_id = consumer, .offset = -1, .count_max = 1};
    CU_ASSERT_EQUAL(consume_create(f.queue, 0, &request, count, &answers, &c),
                    STATUS_NOT_REGISTERED);
    request.topic = slice_of("none");
    CU_ASSERT_EQUAL(consume_create(f.queue, 0, &request, count, &answers, &c),
                    STATUS_UNKNOWN_TOPIC);
    teardown(&f);
}

/* ---- retention ----------------------------------------------------------------------------------
 */

/* What retention asks of a store's session: segments are numbers, and nothing has to be swept. */
static enum status no_revive(struct store_session *session, int limit_ms, char *error)
{
    (void)session, (void)limit_ms, (void)error;
    return STATUS_OK;
}

static enum status next_segment(struct store_session *session, int64_t topic_id, int32_t partition,
                                int64_t *id)
{
    static int64_t last;

    (void)session, (void)topic_id, (void)partition;
    *id = ++last;
    return STATUS_OK;
}

static enum status nothing_to_sweep(struct store_session *session, bool *done)
{
    (void)session;
    *done = true;
    return STATUS_OK;
}

static const struct store_ops segment_ops = {
    .revive = no_revive, .create_segment = next_segment, .sweep = nothing_to_sweep};

static void keep(struct fixture *f)
{
    struct store store = {&segment_ops};
    struct store_session session = {&store};

    queue_keep(f->queue, &session);
}

/* Three messages in a segment each, of which the limit allows two. */
static void setup_segments(struct fixture *f, size_t tail_bytes_max, int64_t *producer)
{
    static char text[70000];

    retention = (struct store_retention){.bytes = 100000};
    setup(f, tail_bytes_max);
    memset(text, 'x', sizeof text - 1);
    *producer = register_client(f, true);
    append(f, *producer, text);
    keep(f); /* the first segment is put into use, then it is full */
    commit(f);
    append(f, *producer, text);
    keep(f);
    commit(f);
    append(f, *producer, text);
}

/* Registered in the same batch, in front of the trim: it holds everything back. */
static void a_trim_sees_who_has_just_registered(void)
{
    struct fixture f;
    struct queue_write *write;
    int64_t producer;
    int64_t size = -1;
    int answers = 0;

    setup_segments(&f, 1 << 20, &producer);
    CU_ASSERT_EQUAL_FATAL(queue_register_consumer(f.queue, 0, slice_of("t"), QUEUE_START_EARLIEST,
                                                  count, &answers, &write),
                          STATUS_OK);
    queue_flush(f.queue, 0);
    keep(&f);
    commit(&f);
    CU_ASSERT_EQUAL(queue_write_result(write)->offset, 0);
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), queue_write_result(write)->id, &size),
                    STATUS_OK);
    CU_ASSERT_EQUAL(size, 3);
    queue_write_release(write);
    teardown(&f);
}

/* Registered behind the trim: it begins at what is left. */
static void who_registers_after_a_trim_begins_behind_it(void)
{
    struct fixture f;
    struct queue_write *write;
    int64_t producer;
    int64_t size = -1;
    int answers = 0;

    setup_segments(&f, 1 << 20, &producer);
    keep(&f);
    CU_ASSERT_EQUAL_FATAL(queue_register_consumer(f.queue, 0, slice_of("t"), QUEUE_START_EARLIEST,
                                                  count, &answers, &write),
                          STATUS_OK);
    commit(&f);
    CU_ASSERT_EQUAL(queue_write_result(write)->offset, 1);
    CU_ASSERT_EQUAL(queue_size(f.queue, slice_of("t"), queue_write_result(write)->id, &size),
                    STATUS_OK);
    CU_ASSERT_EQUAL(size, 2);
    queue_write_release(write);
    teardown(&f);
}

/* Removed while a reader is on its way to it. */
static void what_is_removed_under_a_reader_is_out_of_range(void)
{
    struct fixture f;
    int64_t producer;
    int64_t first_offset;
    int64_t next_offset;

    setup_segments(&f, 0, &producer);
    int64_t consumer = register_client(&f, false);
    struct consume *c = consume(&f, consumer, 0, false);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_WAIT);
    CU_ASSERT_EQUAL(f.read->segment, 0);
    CU_ASSERT_EQUAL(f.read->count_max, 1);                 /* of this segment */
    struct consume *end = consume(&f, consumer, 3, false); /* "all before it is mine" */
    CU_ASSERT_EQUAL(consume_step(end), CONSUME_WAIT);
    commit(&f);
    CU_ASSERT_EQUAL(consume_step(end), CONSUME_DONE);
    consume_release(end);
    keep(&f);
    commit(&f);
    f.read->status = STATUS_OFFSET_OUT_OF_RANGE;
    f.read->done(f.read);
    CU_ASSERT_EQUAL(consume_step(c), CONSUME_DONE);
    CU_ASSERT_EQUAL(consume_status(c), STATUS_OFFSET_OUT_OF_RANGE);
    consume_bounds(c, &first_offset, &next_offset);
    CU_ASSERT_TRUE(first_offset == 1 && next_offset == 3);
    consume_release(c);
    teardown(&f);
}

SUITE("core", {"names", names}, {"tail_gives_what_it_has", tail_gives_what_it_has},
      {"plain_consume_moves_the_position", plain_consume_moves_the_position},
      {"plain_consumes_queue_up", plain_consumes_queue_up},
      {"consume_by_offset_gives_the_same_again", consume_by_offset_gives_the_same_again},
      {"a_seek_is_over_when_it_is_committed", a_seek_is_over_when_it_is_committed},
      {"a_seek_waits_for_a_consume_that_moves", a_seek_waits_for_a_consume_that_moves},
      {"a_seek_wakes_who_waits_as_the_same_consumer", a_seek_wakes_who_waits_as_the_same_consumer},
      {"a_position_that_is_not_kept_needs_no_write", a_position_that_is_not_kept_needs_no_write},
      {"a_parked_consume_is_woken_by_a_message", a_parked_consume_is_woken_by_a_message},
      {"only_so_many_wait", only_so_many_wait},
      {"what_finds_no_room_is_not_taken", what_finds_no_room_is_not_taken},
      {"shutdown_wakes_who_waits", shutdown_wakes_who_waits},
      {"what_the_tail_has_not_comes_from_the_store", what_the_tail_has_not_comes_from_the_store},
      {"the_store_is_not_read_beyond_the_known_end", the_store_is_not_read_beyond_the_known_end},
      {"who_goes_on_is_read_ahead", who_goes_on_is_read_ahead},
      {"what_is_read_ahead_has_few_places", what_is_read_ahead_has_few_places},
      {"who_loses_his_place_is_read_ahead_more_seldom",
       who_loses_his_place_is_read_ahead_more_seldom},
      {"what_repeats_also_this_very_batch_waits_for_it",
       what_repeats_also_this_very_batch_waits_for_it},
      {"ids_belong_to_one_topic", ids_belong_to_one_topic},
      {"a_trim_sees_who_has_just_registered", a_trim_sees_who_has_just_registered},
      {"who_registers_after_a_trim_begins_behind_it", who_registers_after_a_trim_begins_behind_it},
      {"what_is_removed_under_a_reader_is_out_of_range",
       what_is_removed_under_a_reader_is_out_of_range})
