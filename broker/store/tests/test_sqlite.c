/*
 * test_sqlite.c - the SQLite store on a disk that fails, and what a crash then would leave.
 */
#include "broker/store/stores.h"
#include "broker/store/tests/faulty_disk.h"
#include "broker/store/tests/scratch.h"
#include "common/tests/suite.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096
#define WAL_BYTES_LIMIT 67108864 /* it shrinks to that when it begins anew */

struct fixture {
    struct scratch scratch;
    struct store *store;
    struct store_session *session;
    struct store_batch batch;
    int64_t next_offset; /* of the only partition, as load() told it; -1: it did not */
    char error[STORE_ERROR_BYTES_MAX];
};

static enum status told_topic(void *arg, const struct store_topic *topic)
{
    (void)arg, (void)topic;
    return STATUS_OK;
}

static enum status told_partition(void *arg, const struct store_partition *partition)
{
    ((struct fixture *)arg)->next_offset = partition->next_offset;
    return STATUS_OK;
}

static enum status told_segment(void *arg, const struct store_segment *segment)
{
    (void)arg, (void)segment;
    return STATUS_OK;
}

static enum status told_client(void *arg, int64_t id, int64_t topic_id)
{
    (void)arg, (void)id, (void)topic_id;
    return STATUS_OK;
}

static enum status told_sequence(void *arg, const struct store_sequence *sequence)
{
    (void)arg, (void)sequence;
    return STATUS_OK;
}

static enum status told_position(void *arg, int64_t consumer_id, int32_t partition, int64_t offset)
{
    (void)arg, (void)consumer_id, (void)partition, (void)offset;
    return STATUS_OK;
}

static void load(struct fixture *f)
{
    const struct store_loader loader = {f,           told_topic,    told_partition, told_segment,
                                        told_client, told_sequence, told_client,    told_position};

    f->store = scratch_store(&f->scratch);
    CU_ASSERT_FATAL(f->store != NULL);
    f->session = f->store->ops->session_open(f->store);
    CU_ASSERT_FATAL(f->session != NULL);
    f->next_offset = -1;
    CU_ASSERT_EQUAL_FATAL(f->store->ops->revive(f->session, 10000, f->error), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(f->store->ops->load(f->session, &loader, f->error), STATUS_OK);
}

static void unload(struct fixture *f)
{
    f->store->ops->session_close(f->session);
    f->store->ops->destroy(f->store);
}

/* A store with topic 1 and producer 1. */
static void setup(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    faulty_disk_install();
    CU_ASSERT_FATAL(scratch_make(&f->scratch));
    load(f);
    batch_add_topic(&f->batch)->name = slice_of("a");
    batch_add_producer(&f->batch)->topic_index = 0;
    CU_ASSERT_EQUAL(f->store->ops->assign_ids(f->session, &f->batch), STATUS_OK);
    CU_ASSERT_EQUAL(f->store->ops->commit(f->session, &f->batch), STATUS_OK);
}

static void teardown(struct fixture *f)
{
    faulty_disk_fill(false);
    CU_ASSERT_EQUAL(faulty_disk_syncs_left(), 0);
    unload(f);
    CU_ASSERT_TRUE(scratch_remove(&f->scratch));
    batch_release(&f->batch);
}

static enum status append(struct fixture *f, int64_t base, struct slice message)
{
    batch_clear(&f->batch);
    *batch_add_advance(&f->batch) = (struct store_advance){1, 0, 1, base, 1, 0};
    *batch_add_message(&f->batch) =
        (struct store_message){1, 0, base, 1, SEQUENCE_NONE, message, 0};
    return f->store->ops->commit(f->session, &f->batch);
}

static void expect_count(struct fixture *f, size_t count)
{
    struct store_range range;

    range_init(&range);
    range_clear(&range, 0);
    CU_ASSERT_EQUAL(f->store->ops->read(f->session, 1, 0, 0, 0, 1000, 1000000, &range), STATUS_OK);
    CU_ASSERT_EQUAL(range.count, count);
    range_release(&range);
}

/* The counter as a broker would find it that starts after a crash here. */
static int64_t next_offset_after_crash(const struct fixture *f)
{
    struct fixture copy = {.next_offset = -1};

    CU_ASSERT_FATAL(scratch_copy(&f->scratch, &copy.scratch));
    load(&copy);
    unload(&copy);
    CU_ASSERT_TRUE(scratch_remove(&copy.scratch));
    return copy.next_offset;
}

/* ---- the tests ---------------------------------------------------------------------------- */

static void a_full_disk_takes_nothing_and_loses_nothing(void)
{
    struct fixture f;

    setup(&f);
    CU_ASSERT_EQUAL(append(&f, 0, slice_of("before")), STATUS_OK);
    faulty_disk_fill(true);
    CU_ASSERT_EQUAL(append(&f, 1, slice_of("refused")), STATUS_STORE_AWAY);
    CU_ASSERT_EQUAL(append(&f, 1, slice_of("refused")), STATUS_STORE_AWAY);
    expect_count(&f, 1);
    faulty_disk_fill(false);
    CU_ASSERT_EQUAL(next_offset_after_crash(&f), 1);
    CU_ASSERT_EQUAL(append(&f, 1, slice_of("after")), STATUS_OK);
    expect_count(&f, 2);
    teardown(&f);
}

static void no_id_is_given_on_a_full_disk(void)
{
    struct fixture f;

    setup(&f);
    batch_clear(&f.batch);
    batch_add_producer(&f.batch)->topic_id = 1;
    faulty_disk_fill(true);
    CU_ASSERT_EQUAL(f.store->ops->assign_ids(f.session, &f.batch), STATUS_STORE_AWAY);
    CU_ASSERT_EQUAL(f.batch.producers[0].id, 0);
    faulty_disk_fill(false);
    CU_ASSERT_EQUAL(f.store->ops->assign_ids(f.session, &f.batch), STATUS_OK);
    CU_ASSERT_EQUAL(f.batch.producers[0].id, 2);
    teardown(&f);
}

/* Nobody sees it any more, and yet a crash would bring it back: until it is resolved. */
static void a_commit_whose_sync_failed_is_unknown_until_resolved(void)
{
    struct fixture f;
    bool committed = true;

    setup(&f);
    faulty_disk_fail_syncs(1);
    CU_ASSERT_EQUAL(append(&f, 0, slice_of("unknown")), STATUS_OUTCOME_UNKNOWN);
    expect_count(&f, 0);
    CU_ASSERT_EQUAL(next_offset_after_crash(&f), 1);
    CU_ASSERT_EQUAL(f.store->ops->revive(f.session, 10000, f.error), STATUS_OK);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_FALSE(committed);
    CU_ASSERT_EQUAL(next_offset_after_crash(&f), 0);
    CU_ASSERT_EQUAL(f.store->ops->commit(f.session, &f.batch), STATUS_OK);
    CU_ASSERT_EQUAL(next_offset_after_crash(&f), 1);
    expect_count(&f, 1);
    teardown(&f);
}

static void what_cannot_be_resolved_stays_unknown(void)
{
    struct fixture f;
    bool committed = true;

    setup(&f);
    faulty_disk_fail_syncs(2);
    CU_ASSERT_EQUAL(append(&f, 0, slice_of("unknown")), STATUS_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OUTCOME_UNKNOWN);
    faulty_disk_fill(true);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_STORE_AWAY);
    faulty_disk_fill(false);
    CU_ASSERT_EQUAL(f.store->ops->resolve(f.session, &f.batch, &committed), STATUS_OK);
    CU_ASSERT_FALSE(committed);
    CU_ASSERT_EQUAL(next_offset_after_crash(&f), 0);
    teardown(&f);
}

/* A person's SELECT keeps the write-ahead log from beginning anew; after it, it shrinks. */
static void the_write_ahead_log_shrinks_again(void)
{
    struct fixture f;
    struct slice message = {calloc(1, 1 << 20), 1 << 20};
    char path[64];
    sqlite3 *person = NULL;
    int64_t next = 0;

    setup(&f);
    memset((char *)(size_t)message.data, 'x', message.size);
    snprintf(path, sizeof path, "%s/log.db", f.scratch.folder);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &person), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(person, "BEGIN; SELECT count(*) FROM log", NULL, NULL, NULL),
                    SQLITE_OK);
    while (scratch_wal_bytes(&f.scratch) < WAL_BYTES_LIMIT + 4 * 4000 * PAGE_BYTES) {
        CU_ASSERT_EQUAL_FATAL(append(&f, next++, message), STATUS_OK);
    }
    CU_ASSERT_EQUAL(sqlite3_exec(person, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(person);
    for (int i = 0; i < 20; i++) { /* one of them is the 4,000 pages' checkpoint */
        CU_ASSERT_EQUAL_FATAL(append(&f, next++, message), STATUS_OK);
    }
    CU_ASSERT(scratch_wal_bytes(&f.scratch) <= WAL_BYTES_LIMIT);
    expect_count(&f, 1);
    free((char *)(size_t)message.data);
    teardown(&f);
}

SUITE("sqlite",
      {"a_full_disk_takes_nothing_and_loses_nothing", a_full_disk_takes_nothing_and_loses_nothing},
      {"no_id_is_given_on_a_full_disk", no_id_is_given_on_a_full_disk},
      {"a_commit_whose_sync_failed_is_unknown_until_resolved",
       a_commit_whose_sync_failed_is_unknown_until_resolved},
      {"what_cannot_be_resolved_stays_unknown", what_cannot_be_resolved_stays_unknown},
      {"the_write_ahead_log_shrinks_again", the_write_ahead_log_shrinks_again})
