/*
 * test_committer.c - queue, committer and readers together, over a store that fails.
 *
 * The faulty store fails on request; what is under it (memory, SQLite) tells the truth. The tests
 * wait for answers and counts, never for a time.
 */
#include "broker/core/queue.h"
#include "broker/store/committer.h"
#include "broker/store/readers.h"
#include "broker/store/stores.h"
#include "broker/store/tests/faulty.h"
#include "broker/store/tests/faulty_disk.h"
#include "broker/store/tests/scratch.h"
#include "common/clock.h"
#include "common/tests/suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_LIMIT_MS 60000 /* a test that gets there has failed */
#define HANG_MS 2000
#define BATCH_BYTES_MAX (1 << 20)
#define ROWS_OF_A_BATCH (BATCH_BYTES_MAX / STORE_ROW_BYTES)

/* How long a write waits for a store that is away; short where a test is about its end. */
static int store_timeout_ms = ANSWER_LIMIT_MS;

static bool on_sqlite; /* which store the test runs on, under the faulty one */
static const struct store_retention whole_log = {0};

struct fixture {
    struct faulty_store *faulty;
    struct scratch scratch; /* of SQLite */
    struct budget budget;
    struct queue *queue;
    struct committer *committer;
    struct readers *readers;
    atomic_int fenced;
    int64_t producer_id;
    int64_t consumer_id;
};

/* One asynchronous write and what came of it. */
struct answer {
    atomic_int count; /* how often it was answered */
    struct queue_write *write;
};

static void nothing(void *arg)
{
    (void)arg;
}

static void count_fenced(void *arg)
{
    atomic_fetch_add(&((struct fixture *)arg)->fenced, 1);
}

static void answered(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static bool wait_for(atomic_int *value, int at_least)
{
    int64_t deadline_ms = clock_now_ms() + ANSWER_LIMIT_MS;

    while (atomic_load(value) < at_least && clock_now_ms() < deadline_ms) {
        sched_yield();
    }
    return atomic_load(value) >= at_least;
}

static struct queue_result result_of(struct answer *a)
{
    CU_ASSERT_TRUE_FATAL(wait_for(&a->count, 1));
    struct queue_result result = *queue_write_result(a->write);
    queue_write_release(a->write);
    return result;
}

static void append(struct fixture *f, struct answer *a, const char *text, int64_t sequence)
{
    struct slice message = slice_of(text);

    atomic_init(&a->count, 0);
    CU_ASSERT_EQUAL_FATAL(queue_append(f->queue, 0, slice_of("t"), f->producer_id, &message, 1,
                                       sequence, answered, &a->count, &a->write),
                          STATUS_OK);
    queue_flush(f->queue, 0);
}

static enum status append_now(struct fixture *f, const char *text, int64_t sequence)
{
    struct answer a;

    append(f, &a, text, sequence);
    return result_of(&a).status;
}

static void start(struct fixture *f, size_t waiting_count_max)
{
    char error[STORE_ERROR_BYTES_MAX];

    memset(f, 0, sizeof *f);
    if (on_sqlite) {
        CU_ASSERT_FATAL(scratch_make(&f->scratch));
    }
    f->faulty = faulty_store_create(on_sqlite ? scratch_store(&f->scratch) : memory_store_create());
    budget_init(&f->budget, 1 << 20);
    f->queue = queue_create(&(struct queue_options){.tail_bytes_max = 1 << 20,
                                                    .store_timeout_ms = store_timeout_ms,
                                                    .topics_max = 100,
                                                    .producers_max = 100,
                                                    .consumers_max = 100,
                                                    .polls_max = 100,
                                                    .budget = &f->budget,
                                                    .wake = nothing,
                                                    .fenced = count_fenced,
                                                    .arg = f});
    struct store *store = &f->faulty->store;
    struct store_session *session = store->ops->session_open(store);
    CU_ASSERT_EQUAL(store->ops->revive(session, 0, error), STATUS_OK);
    struct store_loader loader = queue_loader(f->queue);
    CU_ASSERT_EQUAL_FATAL(store->ops->load(session, &loader, error), STATUS_OK);
    f->committer =
        committer_create(&(struct committer_options){.store = store,
                                                     .session = session,
                                                     .hooks = queue_hooks(f->queue),
                                                     .waiting_bytes_max = 1 << 20,
                                                     .waiting_count_max = waiting_count_max,
                                                     .batch_bytes_max = BATCH_BYTES_MAX,
                                                     .batch_count_max = 100});
    f->readers = readers_create(store, 2, 100);
    queue_connect(f->queue, &(struct store_queue){committer_submit, f->committer, readers_submit,
                                                  f->readers, false});
}

static void setup(struct fixture *f)
{
    struct answer producer = {.count = 0};
    struct answer consumer = {.count = 0};

    start(f, 1000);
    CU_ASSERT_EQUAL(queue_register_producer(f->queue, 0, slice_of("t"), answered, &producer.count,
                                            &producer.write),
                    STATUS_OK);
    queue_flush(f->queue, 0);
    f->producer_id = result_of(&producer).id;
    CU_ASSERT_EQUAL(queue_register_consumer(f->queue, 0, slice_of("t"), QUEUE_START_EARLIEST,
                                            answered, &consumer.count, &consumer.write),
                    STATUS_OK);
    queue_flush(f->queue, 0);
    f->consumer_id = result_of(&consumer).id;
}

static void teardown(struct fixture *f)
{
    committer_destroy(f->committer);
    readers_destroy(f->readers);
    queue_destroy(f->queue);
    f->faulty->store.ops->destroy(&f->faulty->store);
    if (on_sqlite) {
        CU_ASSERT_TRUE(scratch_remove(&f->scratch));
    }
    store_timeout_ms = ANSWER_LIMIT_MS;
}

/* All messages of the topic, one behind the other, as a consumer with an offset sees them. */
static void expect_log(struct fixture *f, const char *expected)
{
    struct buffer text = BUFFER_INIT;
    enum status status = STATUS_OK;

    for (int64_t offset = 0; status == STATUS_OK; offset++) {
        atomic_int notified = 0;
        struct consume *c;
        const struct consume_request request = {.topic = slice_of("t"),
                                                .consumer_id = f->consumer_id,
                                                .offset = offset,
                                                .count_max = 1};
        CU_ASSERT_EQUAL_FATAL(consume_create(f->queue, 0, &request, answered, &notified, &c),
                              STATUS_OK);
        for (int waits = 1; consume_step(c) == CONSUME_WAIT; waits++) {
            queue_flush(f->queue, 0);
            CU_ASSERT_TRUE_FATAL(wait_for(&notified, waits));
        }
        status = consume_status(c);
        if (status == STATUS_OK) {
            buffer_append_slice(&text, buffer_slice(&consume_range(c)->bytes));
        }
        consume_release(c);
    }
    CU_ASSERT_EQUAL(status, STATUS_NO_MESSAGE);
    if (text.size == 0) {
        buffer_append_string(&text, "");
    }
    CU_ASSERT_STRING_EQUAL(text.data, expected);
    buffer_release(&text);
}

/* ---- the tests ----------------------------------------------------------------------------- */

static void writes_are_committed_in_order(void)
{
    struct fixture f;
    struct answer answers[200];

    setup(&f);
    for (int i = 0; i < 200; i++) {
        append(&f, &answers[i], "x", i);
    }
    for (int i = 0; i < 200; i++) {
        struct queue_result result = result_of(&answers[i]);
        CU_ASSERT_EQUAL(result.status, STATUS_OK);
        CU_ASSERT_EQUAL(result.offset, i);
    }
    teardown(&f);
}

/* While one transaction commits, the next batch gathers: many writes, two commits. */
static void one_commit_for_what_has_gathered(void)
{
    struct fixture f;
    struct answer answers[51];

    setup(&f);
    atomic_store(&f.faulty->hold_commit, true);
    append(&f, &answers[0], "0", 0);
    CU_ASSERT_TRUE_FATAL(wait_for(&f.faulty->commits_held, 1));
    int before = atomic_load(&f.faulty->commits);
    for (int i = 1; i <= 50; i++) {
        append(&f, &answers[i], "x", i);
    }
    CU_ASSERT_EQUAL(atomic_load(&answers[0].count), 0); /* no answer before the commit */
    atomic_store(&f.faulty->hold_commit, false);
    for (int i = 0; i <= 50; i++) {
        CU_ASSERT_EQUAL(result_of(&answers[i]).status, STATUS_OK);
    }
    CU_ASSERT_EQUAL(atomic_load(&f.faulty->commits), before + 1);
    teardown(&f);
}

/* Rows cost, too: messages without text do not make a transaction that never ends. */
static void empty_messages_fill_a_batch(void)
{
    static const struct slice messages[ROWS_OF_A_BATCH];
    struct answer answers[5];
    struct fixture f;

    setup(&f);
    atomic_store(&f.faulty->hold_commit, true);
    append(&f, &answers[0], "", SEQUENCE_NONE);
    CU_ASSERT_TRUE_FATAL(wait_for(&f.faulty->commits_held, 1));
    int before = atomic_load(&f.faulty->commits);
    for (int i = 1; i < 5; i++) {
        atomic_init(&answers[i].count, 0);
        CU_ASSERT_EQUAL_FATAL(queue_append(f.queue, 0, slice_of("t"), f.producer_id, messages,
                                           ROWS_OF_A_BATCH, SEQUENCE_NONE, answered,
                                           &answers[i].count, &answers[i].write),
                              STATUS_OK);
        queue_flush(f.queue, 0);
    }
    atomic_store(&f.faulty->hold_commit, false);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(result_of(&answers[i]).status, STATUS_OK);
    }
    CU_ASSERT_EQUAL(atomic_load(&f.faulty->commits), before + 4);
    teardown(&f);
}

/* A commit took long (a store that hung). Who comes alone afterwards does not wait as long for
 * those who were in it. */
static void company_is_not_waited_for_long(void)
{
    struct slice message = slice_of("x");
    struct answer answers[2];
    struct fixture f;

    setup(&f);
    atomic_store(&f.faulty->hold_commit, true);
    for (int i = 0; i < 2; i++) {
        atomic_init(&answers[i].count, 0);
        CU_ASSERT_EQUAL_FATAL(queue_append(f.queue, 0, slice_of("t"), f.producer_id, &message, 1, i,
                                           answered, &answers[i].count, &answers[i].write),
                              STATUS_OK);
    }
    queue_flush(f.queue, 0);
    usleep(HANG_MS * 1000);
    atomic_store(&f.faulty->hold_commit, false);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(result_of(&answers[i]).status, STATUS_OK);
    }
    int64_t begin_ms = clock_now_ms();
    CU_ASSERT_EQUAL(append_now(&f, "y", 2), STATUS_OK);
    CU_ASSERT(clock_now_ms() - begin_ms < HANG_MS / 2);
    teardown(&f);
}

static void a_refused_commit_is_tried_again(void)
{
    struct fixture f;

    setup(&f);
    atomic_store(&f.faulty->refuse_commit, 1);
    CU_ASSERT_EQUAL(append_now(&f, "a", 0), STATUS_OK);
    CU_ASSERT_EQUAL(append_now(&f, "b", 1), STATUS_OK);
    expect_log(&f, "ab");
    teardown(&f);
}

/* The outcome is unknown, and it was stored: found on the counter, and not stored twice. */
static void a_lost_reply_is_resolved(void)
{
    struct fixture f;

    setup(&f);
    CU_ASSERT_EQUAL(append_now(&f, "a", SEQUENCE_NONE), STATUS_OK);
    atomic_store(&f.faulty->lose_reply, 1);
    CU_ASSERT_EQUAL(append_now(&f, "b", SEQUENCE_NONE), STATUS_OK);
    CU_ASSERT_EQUAL(append_now(&f, "c", SEQUENCE_NONE), STATUS_OK);
    expect_log(&f, "abc");
    teardown(&f);
}

/* The outcome is unknown, and it was not stored: it is, then. */
static void a_lost_commit_is_resolved(void)
{
    struct fixture f;

    setup(&f);
    CU_ASSERT_EQUAL(append_now(&f, "a", 0), STATUS_OK);
    atomic_store(&f.faulty->lose_commit, 1);
    CU_ASSERT_EQUAL(append_now(&f, "b", 1), STATUS_OK);
    CU_ASSERT_EQUAL(append_now(&f, "c", 2), STATUS_OK);
    expect_log(&f, "abc");
    teardown(&f);
}

/* Going on without knowing would leave memory behind the store: the next append would find a
 * counter that is not where it believes, and be fenced. */
static void what_cannot_be_looked_up_is_looked_up_again(void)
{
    struct fixture f;

    setup(&f);
    atomic_store(&f.faulty->break_resolve, 1);
    atomic_store(&f.faulty->lose_reply, 1);
    CU_ASSERT_EQUAL(append_now(&f, "a", SEQUENCE_NONE), STATUS_OK);
    CU_ASSERT_EQUAL(append_now(&f, "b", SEQUENCE_NONE), STATUS_OK);
    expect_log(&f, "ab");
    teardown(&f);
}

static void lost_registrations_are_repeated(void)
{
    struct fixture f;
    struct answer topic = {.count = 0};

    setup(&f);
    atomic_store(&f.faulty->lose_commit, 1);
    CU_ASSERT_EQUAL(queue_create_topic(f.queue, 0, slice_of("new"), &whole_log, answered,
                                       &topic.count, &topic.write),
                    STATUS_OK);
    queue_flush(f.queue, 0);
    CU_ASSERT_EQUAL(result_of(&topic).status, STATUS_OK);
    struct slice name;
    CU_ASSERT_TRUE(queue_topic_name(f.queue, 1, &name));
    CU_ASSERT_FALSE(queue_topic_name(f.queue, 2, &name));
    teardown(&f);
}

/* Away for longer than a request waits: what certainly was not stored is told so, what may
 * have been is unknown; and when the store is back, memory and store agree. */
static void an_away_store_answers_unknown_and_away(bool stored)
{
    struct fixture f;
    struct answer unknown;
    struct answer away;
    struct answer next;

    store_timeout_ms = 200;
    setup(&f);
    CU_ASSERT_EQUAL(append_now(&f, "a", SEQUENCE_NONE), STATUS_OK);
    atomic_store(&f.faulty->hold_commit, true);
    append(&f, &unknown, "b", SEQUENCE_NONE);
    CU_ASSERT_TRUE_FATAL(wait_for(&f.faulty->commits_held, 1));
    append(&f, &away, "c", SEQUENCE_NONE);
    atomic_store(&f.faulty->away, true);
    atomic_store(stored ? &f.faulty->lose_reply : &f.faulty->lose_commit, 1);
    atomic_store(&f.faulty->hold_commit, false);
    CU_ASSERT_EQUAL(result_of(&unknown).status, STATUS_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(result_of(&away).status, STATUS_STORE_AWAY);
    atomic_store(&f.faulty->away, false);
    append(&f, &next, "d", SEQUENCE_NONE);
    struct queue_result result = result_of(&next);
    CU_ASSERT_EQUAL(result.status, STATUS_OK);
    CU_ASSERT_EQUAL(result.offset, stored ? 2 : 1);
    expect_log(&f, stored ? "abd" : "ad");
    teardown(&f);
}

static void away_and_stored(void)
{
    an_away_store_answers_unknown_and_away(true);
}

static void away_and_not_stored(void)
{
    an_away_store_answers_unknown_and_away(false);
}

/* A retry of what was answered "unknown": once in the log, whichever it was. */
static void a_retry_after_unknown_is_stored_once(bool stored)
{
    struct fixture f;
    struct answer first;
    struct answer again;

    store_timeout_ms = 200;
    setup(&f);
    atomic_store(&f.faulty->hold_commit, true);
    append(&f, &first, "a", 0);
    CU_ASSERT_TRUE_FATAL(wait_for(&f.faulty->commits_held, 1));
    atomic_store(&f.faulty->away, true);
    atomic_store(stored ? &f.faulty->lose_reply : &f.faulty->lose_commit, 1);
    atomic_store(&f.faulty->hold_commit, false);
    CU_ASSERT_EQUAL(result_of(&first).status, STATUS_OUTCOME_UNKNOWN);
    append(&f, &again, "a", 0);
    atomic_store(&f.faulty->away, false);
    struct queue_result result = result_of(&again);
    CU_ASSERT_EQUAL(result.status, STATUS_OK);
    CU_ASSERT_EQUAL(result.offset, 0);
    CU_ASSERT_EQUAL(result.duplicate, stored);
    expect_log(&f, "a");
    teardown(&f);
}

static void retry_after_stored(void)
{
    a_retry_after_unknown_is_stored_once(true);
}

static void retry_after_not_stored(void)
{
    a_retry_after_unknown_is_stored_once(false);
}

static void repeated_sequences_keep_their_offsets(void)
{
    struct fixture f;
    struct answer a;

    setup(&f);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(append_now(&f, "x", i), STATUS_OK);
        CU_ASSERT_EQUAL(append_now(&f, "-", SEQUENCE_NONE), STATUS_OK);
    }
    for (int i = 3; i >= 0; i--) { /* the older ones are looked up in the store */
        append(&f, &a, "x", i);
        struct queue_result result = result_of(&a);
        CU_ASSERT_EQUAL(result.status, STATUS_OK);
        CU_ASSERT_TRUE(result.duplicate);
        CU_ASSERT_EQUAL(result.offset, 2 * i);
    }
    append(&f, &a, "x", 5);
    struct queue_result gap = result_of(&a);
    CU_ASSERT_EQUAL(gap.status, STATUS_OUT_OF_SEQUENCE);
    CU_ASSERT_EQUAL(gap.expected, 4);
    expect_log(&f, "x-x-x-x-");
    teardown(&f);
}

static void a_fenced_broker_stores_nothing_more(void)
{
    struct fixture f;
    struct answer late = {.count = 0};
    struct slice message = slice_of("x");

    setup(&f);
    CU_ASSERT_EQUAL(append_now(&f, "a", 0), STATUS_OK);
    atomic_store(&f.faulty->fence_commit, 1);
    CU_ASSERT_EQUAL(append_now(&f, "b", 1), STATUS_FENCED);
    CU_ASSERT_EQUAL(atomic_load(&f.fenced), 1);
    CU_ASSERT_EQUAL(queue_append(f.queue, 0, slice_of("t"), f.producer_id, &message, 1, 1, answered,
                                 &late.count, &late.write),
                    STATUS_FENCED);
    teardown(&f);
}

static void an_error_of_the_store_is_told(void)
{
    struct fixture f;

    setup(&f);
    atomic_store(&f.faulty->break_commit, 1);
    CU_ASSERT_EQUAL(append_now(&f, "a", 0), STATUS_INTERNAL);
    CU_ASSERT_EQUAL(append_now(&f, "a", 0), STATUS_OK);
    expect_log(&f, "a");
    teardown(&f);
}

static void what_finds_no_room_is_refused(void)
{
    struct fixture f;
    struct answer answers[6];
    int refused = 0;

    setup(&f);
    committer_destroy(f.committer);
    struct store *store = &f.faulty->store;
    f.committer = committer_create(&(struct committer_options){
        store, store->ops->session_open(store), queue_hooks(f.queue), 1 << 20, 4, 1 << 20, 100});
    queue_connect(f.queue, &(struct store_queue){committer_submit, f.committer, readers_submit,
                                                 f.readers, false});
    atomic_store(&f.faulty->hold_commit, true);
    for (int i = 0; i < 6; i++) {
        append(&f, &answers[i], "x", SEQUENCE_NONE);
    }
    atomic_store(&f.faulty->hold_commit, false);
    for (int i = 0; i < 6; i++) {
        refused += result_of(&answers[i]).status == STATUS_OVERLOADED;
    }
    CU_ASSERT_EQUAL(refused, 2);
    expect_log(&f, "xxxx");
    teardown(&f);
}

/* A committer that is stopped commits what it has taken first. */
static void stopping_commits_what_waits(void)
{
    struct fixture f;
    struct answer answers[20];

    setup(&f);
    for (int i = 0; i < 20; i++) {
        append(&f, &answers[i], "x", i);
    }
    committer_destroy(f.committer);
    f.committer = NULL;
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(atomic_load(&answers[i].count), 1);
        CU_ASSERT_EQUAL(result_of(&answers[i]).status, STATUS_OK);
    }
    teardown(&f);
}

static void reads_wait_for_the_store(void)
{
    struct fixture f;
    struct answer a;

    setup(&f);
    CU_ASSERT_EQUAL(append_now(&f, "x", 0), STATUS_OK);
    CU_ASSERT_EQUAL(append_now(&f, "-", SEQUENCE_NONE), STATUS_OK);
    CU_ASSERT_EQUAL(append_now(&f, "x", 1), STATUS_OK);
    atomic_store(&f.faulty->away, true);
    append(&f, &a, "x", 0); /* its offset is looked up by a reader */
    CU_ASSERT_TRUE(wait_for(&f.faulty->revives, 2));
    atomic_store(&f.faulty->away, false);
    CU_ASSERT_EQUAL(result_of(&a).status, STATUS_OK);
    teardown(&f);
}

/* Each try takes its time: who stands in the queue when his time is over does not get one. */
static void reads_do_not_outlive_their_time(void)
{
    struct fixture f;
    struct queue_ping *pings[40];
    atomic_int count = 0;

    setup(&f);
    atomic_store(&f.faulty->revive_ms, 500);
    atomic_store(&f.faulty->away, true);
    int64_t begin_ms = clock_now_ms();
    for (int i = 0; i < 40; i++) {
        CU_ASSERT_EQUAL_FATAL(queue_ping_create(f.queue, answered, &count, &pings[i]), STATUS_OK);
    }
    CU_ASSERT_TRUE(wait_for(&count, 40)); /* two seconds each, together; not 10 */
    CU_ASSERT(clock_now_ms() - begin_ms < 6000);
    for (int i = 0; i < 40; i++) {
        CU_ASSERT_EQUAL(queue_ping_status(pings[i]), STATUS_STORE_AWAY);
        queue_ping_release(pings[i]);
    }
    teardown(&f);
}

/* Below the store: the outcome is looked up, and what was not stored is stored again. */
static void a_disk_that_fails_loses_nothing(void)
{
    struct fixture f;

    on_sqlite = true;
    faulty_disk_install();
    setup(&f);
    CU_ASSERT_EQUAL(append_now(&f, "a", 0), STATUS_OK);
    faulty_disk_fail_syncs(3);
    CU_ASSERT_EQUAL(append_now(&f, "b", 1), STATUS_OK);
    CU_ASSERT_EQUAL(faulty_disk_syncs_left(), 0);
    faulty_disk_fill(true);
    struct answer waits;
    append(&f, &waits, "c", 2);
    faulty_disk_fill(false);
    CU_ASSERT_EQUAL(result_of(&waits).status, STATUS_OK);
    expect_log(&f, "abc");
    teardown(&f);
}

/* Each test on both stores that are here without a server. */
#define BOTH(name)                                                                                 \
    static void name##_memory(void)                                                                \
    {                                                                                              \
        on_sqlite = false;                                                                         \
        name();                                                                                    \
    }                                                                                              \
    static void name##_sqlite(void)                                                                \
    {                                                                                              \
        on_sqlite = true;                                                                          \
        name();                                                                                    \
    }

#define ROWS(name)                                                                                 \
    {#name ", memory", name##_memory},                                                             \
    {                                                                                              \
#name ", sqlite", name##_sqlite                                                            \
    }

BOTH(writes_are_committed_in_order)
BOTH(one_commit_for_what_has_gathered)
BOTH(company_is_not_waited_for_long)
BOTH(empty_messages_fill_a_batch)
BOTH(a_refused_commit_is_tried_again)
BOTH(a_lost_reply_is_resolved)
BOTH(a_lost_commit_is_resolved)
BOTH(what_cannot_be_looked_up_is_looked_up_again)
BOTH(lost_registrations_are_repeated)
BOTH(away_and_stored)
BOTH(away_and_not_stored)
BOTH(retry_after_stored)
BOTH(retry_after_not_stored)
BOTH(repeated_sequences_keep_their_offsets)
BOTH(a_fenced_broker_stores_nothing_more)
BOTH(an_error_of_the_store_is_told)
BOTH(what_finds_no_room_is_refused)
BOTH(stopping_commits_what_waits)
BOTH(reads_wait_for_the_store)
BOTH(reads_do_not_outlive_their_time)

SUITE("committer", ROWS(writes_are_committed_in_order), ROWS(one_commit_for_what_has_gathered),
      ROWS(company_is_not_waited_for_long), ROWS(empty_messages_fill_a_batch),
      ROWS(a_refused_commit_is_tried_again), ROWS(a_lost_reply_is_resolved),
      ROWS(a_lost_commit_is_resolved), ROWS(what_cannot_be_looked_up_is_looked_up_again),
      ROWS(lost_registrations_are_repeated), ROWS(away_and_stored), ROWS(away_and_not_stored),
      ROWS(retry_after_stored), ROWS(retry_after_not_stored),
      ROWS(repeated_sequences_keep_their_offsets), ROWS(a_fenced_broker_stores_nothing_more),
      ROWS(an_error_of_the_store_is_told), ROWS(what_finds_no_room_is_refused),
      ROWS(stopping_commits_what_waits), ROWS(reads_wait_for_the_store),
      ROWS(reads_do_not_outlive_their_time),
      {"a_disk_that_fails_loses_nothing", a_disk_that_fails_loses_nothing})
