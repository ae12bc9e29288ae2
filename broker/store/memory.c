/*
 * memory.c - a store that keeps everything in this process and forgets it with it.
 *
 * A topic's log is an array of messages, from the first one that has not been removed. Ids
 * count from 1, so that an id is an index, too. Segments are numbers only. One mutex guards
 * all.
 */
#include "broker/store/stores.h"

#include "common/mutex.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct memory_row {
    int64_t producer_id;
    int64_t sequence;
    uint32_t size;
    char *message;
};

struct memory_topic {
    int64_t first; /* offset of the first row */
    struct memory_row *rows;
    size_t count;
    size_t room;
};

struct memory_store {
    struct store store;
    struct mutex lock; /* rank: MUTEX_STORE */
    /* guarded by lock: */
    struct memory_topic *topics; /* by id - 1 */
    size_t topic_count;
    size_t topic_room;
    int64_t next_topic_id;
    int64_t next_producer_id;
    int64_t next_consumer_id;
    int64_t next_segment_id;
};

static struct memory_store *memory_of(struct store_session *session)
{
    return (struct memory_store *)session->store;
}

static struct store_session *memory_session_open(struct store *store)
{
    struct store_session *session = calloc(1, sizeof *session);

    if (session != NULL) {
        session->store = store;
    }
    return session;
}

static void memory_session_close(struct store_session *session)
{
    free(session);
}

static enum status memory_revive(struct store_session *session, int limit_ms,
                                 char error[STORE_ERROR_BYTES_MAX])
{
    (void)session;
    (void)limit_ms;
    (void)error;
    return STATUS_OK;
}

/* A broker has one memory store, made with it: there is nothing to tell yet. */
static enum status memory_load(struct store_session *session, const struct store_loader *loader,
                               char error[STORE_ERROR_BYTES_MAX])
{
    (void)session;
    (void)loader;
    (void)error;
    return STATUS_OK;
}

static enum status memory_assign_ids(struct store_session *session, struct store_batch *batch)
{
    struct memory_store *m = memory_of(session);

    mutex_lock(&m->lock);
    for (size_t i = 0; i < batch->topic_count; i++) {
        if (batch->topics[i].id == 0) {
            batch->topics[i].id = m->next_topic_id++;
        }
    }
    for (size_t i = 0; i < batch->producer_count; i++) {
        if (batch->producers[i].id == 0) {
            batch->producers[i].id = m->next_producer_id++;
        }
    }
    for (size_t i = 0; i < batch->consumer_count; i++) {
        if (batch->consumers[i].id == 0) {
            batch->consumers[i].id = m->next_consumer_id++;
        }
    }
    mutex_unlock(&m->lock);
    return STATUS_OK;
}

/* Ids may be skipped (a batch that failed), so the room is for the largest one. */
static size_t topics_needed(const struct memory_store *m, const struct store_batch *batch)
{
    return batch->topic_count == 0 ? m->topic_count
                                   : (size_t)batch->topics[batch->topic_count - 1].id;
}

static bool reserve_topics(struct memory_store *m, size_t needed)
{
    if (needed <= m->topic_room) {
        return true;
    }
    struct memory_topic *topics = realloc(m->topics, 2 * needed * sizeof *topics);
    if (topics == NULL) {
        return false;
    }
    m->topics = topics;
    m->topic_room = 2 * needed;
    return true;
}

static bool reserve_rows(struct memory_topic *topic, size_t more)
{
    size_t needed = topic->count + more;

    if (needed <= topic->room) {
        return true;
    }
    struct memory_row *rows = realloc(topic->rows, 2 * needed * sizeof *rows);
    if (rows == NULL) {
        return false;
    }
    topic->rows = rows;
    topic->room = 2 * needed;
    return true;
}

/* Everything that may fail comes first, so that a batch is stored whole or not at all. */
static char **copy_messages(struct memory_store *m, const struct store_batch *batch)
{
    char **copies = calloc(batch->message_count + 1, sizeof *copies);

    for (size_t i = 0; copies != NULL && i < batch->advance_count; i++) {
        struct memory_topic *topic = &m->topics[batch->advances[i].topic_id - 1];
        assert(batch->advances[i].base == topic->first + (int64_t)topic->count);
        if (!reserve_rows(topic, (size_t)batch->advances[i].count)) {
            free(copies);
            return NULL;
        }
    }
    for (size_t i = 0; copies != NULL && i < batch->message_count; i++) {
        struct slice message = batch->messages[i].message;
        copies[i] = malloc(message.size + 1);
        if (copies[i] == NULL) {
            while (i > 0) {
                free(copies[--i]);
            }
            free(copies);
            return NULL;
        }
        if (message.size > 0) {
            memcpy(copies[i], message.data, message.size);
        }
    }
    return copies;
}

static void add_rows(struct memory_store *m, const struct store_batch *batch, char **copies)
{
    for (size_t i = 0; i < batch->message_count; i++) {
        const struct store_message *message = &batch->messages[i];
        struct memory_topic *topic = &m->topics[message->topic_id - 1];
        assert(message->offset == topic->first + (int64_t)topic->count);
        topic->rows[topic->count++] = (struct memory_row){
            message->producer_id, message->sequence, (uint32_t)message->message.size, copies[i]};
    }
}

static void remove_rows(struct memory_topic *topic, int64_t first_offset)
{
    size_t gone = (size_t)(first_offset - topic->first);

    assert(gone <= topic->count);
    for (size_t i = 0; i < gone; i++) {
        free(topic->rows[i].message);
    }
    if (gone > 0) {
        memmove(topic->rows, topic->rows + gone, (topic->count - gone) * sizeof *topic->rows);
    }
    topic->count -= gone;
    topic->first = first_offset;
}

/* Positions and sequences live in core: without a restart nobody asks for them. */
static enum status memory_commit(struct store_session *session, const struct store_batch *batch)
{
    struct memory_store *m = memory_of(session);
    enum status status = STATUS_NO_MEMORY;

    mutex_lock(&m->lock);
    size_t topics = topics_needed(m, batch);
    if (reserve_topics(m, topics)) {
        char **copies = copy_messages(m, batch);
        if (copies != NULL) {
            memset(m->topics + m->topic_count, 0, (topics - m->topic_count) * sizeof *m->topics);
            m->topic_count = topics;
            add_rows(m, batch, copies);
            free(copies);
            for (size_t i = 0; i < batch->trim_count; i++) {
                remove_rows(&m->topics[batch->trims[i].topic_id - 1], batch->trims[i].first_offset);
            }
            status = STATUS_OK;
        }
    }
    mutex_unlock(&m->lock);
    return status;
}

static enum status memory_resolve(struct store_session *session, const struct store_batch *batch,
                                  bool *committed)
{
    struct memory_store *m = memory_of(session);
    const struct store_advance *advance = &batch->advances[0];

    mutex_lock(&m->lock);
    const struct memory_topic *topic = &m->topics[advance->topic_id - 1];
    *committed = topic->first + (int64_t)topic->count == advance->base + advance->count;
    mutex_unlock(&m->lock);
    return STATUS_OK;
}

static enum status memory_read(struct store_session *session, int64_t topic_id, int32_t partition,
                               int64_t segment, int64_t from, size_t count_max, size_t bytes_max,
                               struct store_range *range)
{
    struct memory_store *m = memory_of(session);
    enum status status = STATUS_OK;
    (void)partition;
    (void)segment;

    mutex_lock(&m->lock);
    const struct memory_topic *topic = &m->topics[topic_id - 1];
    if (from < topic->first) {
        mutex_unlock(&m->lock);
        return STATUS_OFFSET_OUT_OF_RANGE;
    }
    for (size_t i = (size_t)(from - topic->first); i < topic->count && range->count < count_max;
         i++) {
        if (range->count > 0 && range->bytes.size >= bytes_max) {
            break;
        }
        if (!range_add(range, (struct slice){topic->rows[i].message, topic->rows[i].size})) {
            status = STATUS_NO_MEMORY;
            break;
        }
    }
    mutex_unlock(&m->lock);
    return status;
}

static enum status memory_find_sequence(struct store_session *session,
                                        const struct store_sequence *wanted, int64_t topic_id,
                                        int64_t segment, int64_t offset_max, int64_t *offset)
{
    struct memory_store *m = memory_of(session);
    enum status status = STATUS_NO_MESSAGE;
    (void)segment;

    mutex_lock(&m->lock);
    const struct memory_topic *topic = &m->topics[topic_id - 1];
    int64_t last = offset_max - topic->first; /* may lie beyond the end: a batch is on its way */
    int64_t end = (int64_t)topic->count;
    for (int64_t i = last < end ? last : end - 1; i >= 0; i--) {
        if (topic->rows[i].producer_id == wanted->producer_id &&
            topic->rows[i].sequence == wanted->sequence) {
            *offset = topic->first + i;
            status = STATUS_OK;
            break;
        }
    }
    mutex_unlock(&m->lock);
    return status;
}

static enum status memory_create_segment(struct store_session *session, int64_t topic_id,
                                         int32_t partition, int64_t *id)
{
    struct memory_store *m = memory_of(session);
    (void)topic_id;
    (void)partition;

    mutex_lock(&m->lock);
    *id = m->next_segment_id++;
    mutex_unlock(&m->lock);
    return STATUS_OK;
}

/* A trim has freed all there was. */
static enum status memory_sweep(struct store_session *session, bool *done)
{
    (void)session;
    *done = true;
    return STATUS_OK;
}

static enum status memory_ping(struct store_session *session)
{
    (void)session;
    return STATUS_OK;
}

static void memory_destroy(struct store *store)
{
    struct memory_store *m = (struct memory_store *)store;

    for (size_t i = 0; i < m->topic_count; i++) {
        for (size_t k = 0; k < m->topics[i].count; k++) {
            free(m->topics[i].rows[k].message);
        }
        free(m->topics[i].rows);
    }
    free(m->topics);
    mutex_release(&m->lock);
    free(m);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .forgets_positions = true,
    .session_open = memory_session_open,
    .session_close = memory_session_close,
    .revive = memory_revive,
    .load = memory_load,
    .assign_ids = memory_assign_ids,
    .commit = memory_commit,
    .resolve = memory_resolve,
    .read = memory_read,
    .find_sequence = memory_find_sequence,
    .create_segment = memory_create_segment,
    .sweep = memory_sweep,
    .ping = memory_ping,
    .destroy = memory_destroy,
};

struct store *memory_store_create(void)
{
    struct memory_store *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return NULL;
    }
    m->store.ops = &memory_ops;
    m->next_topic_id = 1;
    m->next_producer_id = 1;
    m->next_consumer_id = 1;
    m->next_segment_id = 1;
    mutex_init(&m->lock, MUTEX_STORE);
    return &m->store;
}
