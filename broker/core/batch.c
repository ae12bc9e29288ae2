/*
 * batch.c - what the committer makes of the writes; all of it on the committer's thread.
 *
 * prepare() decides with the `pending` state, which runs ahead of what is committed by the
 * batch that is being made. applied() makes the batch visible and pending becomes
 * committed; discarded() takes pending back.
 *
 * Always: what memory shows to others has been committed before.
 */
#include "broker/core/internal.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/log.h"

#include <stdlib.h>

/* The batch is committed, but memory cannot follow. A restart loads what is true. */
static void give_up(void)
{
    log_error("out_of_memory", LOG_STR("why", "a committed batch cannot be shown; giving up"));
    abort();
}

static bool refuse(struct queue_write *w, enum status status)
{
    w->write.answered = true;
    w->batch = NULL;
    write_answer(w, status);
    return false;
}

/* ---- prepare: topics and clients --------------------------------------------------------- */

/* Is a topic of this name in the batch? */
static bool find_in_batch(const struct store_batch *batch, struct slice name, size_t *index)
{
    for (size_t i = 0; i < batch->topic_count; i++) {
        if (slice_equals(batch->topics[i].name, name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Would one more, with those in the batch, be too many? */
static bool is_full(size_t registered, size_t in_batch, size_t max)
{
    return registered + in_batch >= max;
}

static bool topics_full(struct queue *queue, const struct store_batch *batch)
{
    return is_full(registry_topic_count(&queue->registry), batch->topic_count,
                   queue->options.topics_max);
}

static bool prepare_topic(struct queue_write *w, struct store_batch *batch)
{
    size_t index;

    if (registry_topic(&w->queue->registry, w->name) != NULL) {
        return refuse(w, STATUS_TOPIC_EXISTS);
    }
    if (find_in_batch(batch, w->name, &index)) {
        w->status_if_stored = STATUS_TOPIC_EXISTS;
        return true;
    }
    if (topics_full(w->queue, batch)) {
        return refuse(w, STATUS_TOO_MANY_TOPICS);
    }
    struct store_topic *topic = batch_add_topic(batch);
    if (topic == NULL) {
        return refuse(w, STATUS_NO_MEMORY);
    }
    topic->name = w->name;
    topic->retention = w->retention;
    return true;
}

static bool prepare_producer(struct queue_write *w, struct store_batch *batch)
{
    struct topic *topic = registry_topic(&w->queue->registry, w->name);
    size_t topics_before = batch->topic_count;
    size_t topic_index = 0;

    if (is_full(registry_producer_count(&w->queue->registry), batch->producer_count,
                w->queue->options.producers_max)) {
        return refuse(w, STATUS_TOO_MANY_PRODUCERS);
    }
    if (topic == NULL && !find_in_batch(batch, w->name, &topic_index)) {
        if (topics_full(w->queue, batch)) {
            return refuse(w, STATUS_TOO_MANY_TOPICS);
        }
        topic_index = batch->topic_count;
        struct store_topic *row = batch_add_topic(batch);
        if (row == NULL) {
            return refuse(w, STATUS_NO_MEMORY);
        }
        row->name = w->name;
        row->retention = w->retention;
    }
    w->index = batch->producer_count;
    struct store_client *client = batch_add_producer(batch);
    if (client == NULL) {
        batch->topic_count = topics_before; /* its name is this write's */
        return refuse(w, STATUS_NO_MEMORY);
    }
    client->topic_id = topic != NULL ? topic->id : 0;
    client->topic_index = topic_index;
    return true;
}

static bool prepare_consumer(struct queue_write *w, struct store_batch *batch)
{
    if (is_full(registry_consumer_count(&w->queue->registry), batch->consumer_count,
                w->queue->options.consumers_max)) {
        return refuse(w, STATUS_TOO_MANY_CONSUMERS);
    }
    w->index = batch->consumer_count;
    struct store_client *client = batch_add_consumer(batch);
    if (client == NULL) {
        return refuse(w, STATUS_NO_MEMORY);
    }
    client->topic_id = w->topic->id;
    client->position = w->start == QUEUE_START_LATEST ? w->topic->partition.pending_next
                                                      : w->topic->partition.pending_first;
    return true;
}

static bool prepare_position(struct queue_write *w, struct store_batch *batch)
{
    struct store_position *position = batch_add_position(batch);

    if (position == NULL) {
        return refuse(w, STATUS_NO_MEMORY);
    }
    position->consumer_id = w->consumer->id;
    position->topic_id = w->topic->id;
    position->partition = w->topic->partition.number;
    position->epoch = w->topic->partition.epoch;
    position->offset = w->position;
    return true;
}

/* ---- prepare: segments ------------------------------------------------------------------- */

static bool prepare_roll(struct queue_write *w, struct store_batch *batch)
{
    struct partition *p = &w->topic->partition;
    struct store_roll *roll = batch_add_roll(batch);

    if (roll == NULL) {
        return refuse(w, STATUS_NO_MEMORY);
    }
    *roll = (struct store_roll){
        .segment = {.id = w->segment,
                    .topic_id = w->topic->id,
                    .partition = p->number,
                    .first_offset = p->pending_next,
                    .first_bytes = p->pending_bytes,
                    .opened_ms = clock_wall_ms()},
        .epoch = p->epoch,
    };
    w->index = batch->roll_count - 1;
    p->pending_segment = w->segment;
    CRASH_POINT(ROLL_PREPARED);
    return true;
}

/* Does this batch, or what was committed since the keeper looked, hold the messages back? */
static bool held_back(struct queue_write *w, const struct store_batch *batch)
{
    struct partition *p = &w->topic->partition;

    if (retention_of(w->queue, w->topic).unread == RETENTION_REMOVE_UNREAD) {
        return false;
    }
    mutex_lock(&p->lock);
    int64_t slowest = partition_slowest_locked(p);
    mutex_unlock(&p->lock);
    for (size_t i = 0; i < batch->consumer_count; i++) {
        const struct store_client *c = &batch->consumers[i];
        slowest = c->topic_id == w->topic->id && c->position < slowest ? c->position : slowest;
    }
    for (size_t i = 0; i < batch->position_count; i++) {
        const struct store_position *s = &batch->positions[i];
        slowest = s->topic_id == w->topic->id && s->offset < slowest ? s->offset : slowest;
    }
    return slowest < w->position;
}

static bool prepare_trim(struct queue_write *w, struct store_batch *batch)
{
    struct partition *p = &w->topic->partition;

    if (held_back(w, batch)) {
        return refuse(w, STATUS_NO_MESSAGE); /* the keeper looks again */
    }
    struct store_trim *trim = batch_add_trim(batch);
    if (trim == NULL) {
        return refuse(w, STATUS_NO_MEMORY);
    }
    *trim = (struct store_trim){w->topic->id, p->number, p->epoch, w->position};
    p->pending_first = w->position;
    CRASH_POINT(TRIM_PREPARED);
    return true;
}

/* ---- prepare: messages ------------------------------------------------------------------- */

/* Search in the segment that has offset `from`. false: it has been removed. */
static bool place_search(struct queue_write *w, int64_t from)
{
    struct partition *p = &w->topic->partition;
    int64_t end;

    mutex_lock(&p->lock);
    w->read.from = from;
    w->read.segment = partition_segment_locked(p, from, &w->read_begin, &end);
    bool there = from >= p->first_offset;
    mutex_unlock(&p->lock);
    return there;
}

/*
 * A reader has looked in one segment for the offset of a sequence that was stored long ago: the
 * batch's last, unless that was known, and then the first. The answer has one offset for the
 * batch, so it has none when others' messages lie between, or when it has been removed.
 */
static void found_sequence(struct store_read *read)
{
    struct queue_write *w = LIST_ENTRY(read, struct queue_write, read);
    struct queue *queue = w->queue;
    enum status status = read->status;
    int64_t next = w->read_begin - 1; /* where to look on */

    if (status == STATUS_OK && read->sequence.sequence == w->sequence + (int64_t)w->count - 1) {
        w->base = read->sequence.offset - ((int64_t)w->count - 1);
        if (w->count > 1) {
            read->sequence.sequence = w->sequence;
            next = w->base;
            status = STATUS_NO_MESSAGE;
        }
    }
    if (status == STATUS_NO_MESSAGE && place_search(w, next)) {
        if (queue->store.submit_read(queue->store.readers, read)) {
            return;
        }
        status = STATUS_OVERLOADED;
    }
    bool found = status == STATUS_OK && read->sequence.offset == w->base;
    w->result.offset = found ? w->base : -1;
    write_answer(w, status == STATUS_NO_MESSAGE ? STATUS_OK : status);
    queue_write_release(w);
    queue->options.wake(queue->options.arg);
}

/* All of it is committed. */
static bool look_for_sequence(struct queue_write *w)
{
    const struct sequence_state *state = &w->producer->committed;
    int64_t last = w->sequence + (int64_t)w->count - 1;
    int64_t last_offset_max = state->last_offset - (state->last - last);
    bool is_known = last >= state->run_first; /* the last one's offset: then it is that */

    w->batch = NULL;
    w->write.answered = true; /* by the reader */
    w->base = last_offset_max - (last - w->sequence);
    w->read = (struct store_read){
        .kind = STORE_READ_SEQUENCE,
        .deadline_ms = w->write.deadline_ms,
        .topic_id = w->topic->id,
        .partition = w->topic->partition.number,
        .sequence = {.producer_id = w->producer->id,
                     .partition = w->topic->partition.number,
                     .sequence = is_known ? w->sequence : last},
        .done = found_sequence,
    };
    if (!place_search(w, is_known ? w->base : last_offset_max)) {
        w->result.offset = -1;
        write_answer(w, STATUS_OK);
        return false;
    }
    write_acquire(w);
    if (!w->queue->store.submit_read(w->queue->store.readers, &w->read)) {
        write_answer(w, STATUS_OVERLOADED);
        queue_write_release(w);
    }
    return false;
}

/*
 * A sequence that is not the next one. Answered at once, or, when it repeats what is in
 * this very batch, with the batch.
 */
static bool prepare_repeated(struct queue_write *w)
{
    const struct sequence_state *state = &w->producer->pending;
    int64_t last = w->sequence + (int64_t)w->count - 1;

    if (last > state->last) {
        w->result.expected = state->last + 1;
        return refuse(w, STATUS_OUT_OF_SEQUENCE);
    }
    w->result.duplicate = true;
    if (w->sequence >= state->run_first) {
        w->base = state->last_offset - (state->last - w->sequence);
        return true;
    }
    if (last > w->producer->committed.last) {
        w->base = -1; /* partly in this very batch: where its beginning lies is not known */
        return true;
    }
    return look_for_sequence(w);
}

static void note_sequence(struct queue_write *w)
{
    struct sequence_state *state = &w->producer->pending;
    int64_t last = w->sequence + (int64_t)w->count - 1;

    if (state->last == SEQUENCE_NONE || state->last_offset + 1 != w->base) {
        state->run_first = w->sequence;
    }
    state->last = last;
    state->last_offset = w->base + (int64_t)w->count - 1;
}

/* The row of this partition, if the batch has one: where it was put is remembered, and that it
 * is there still is checked, since every batch begins anew. */
static struct store_advance *advance_of(const struct store_batch *batch, const struct topic *topic)
{
    size_t i = topic->partition.advance_index;

    return i < batch->advance_count && batch->advances[i].topic_id == topic->id
               ? &batch->advances[i]
               : NULL;
}

static struct store_sequence *sequence_of(const struct store_batch *batch,
                                          const struct producer *producer)
{
    size_t i = producer->sequence_index;

    return i < batch->sequence_count && batch->sequences[i].producer_id == producer->id
               ? &batch->sequences[i]
               : NULL;
}

static bool add_messages(struct queue_write *w, struct store_batch *batch)
{
    for (size_t i = 0; i < w->count; i++) {
        struct store_message *row = batch_add_message(batch);
        if (row == NULL) {
            batch->message_count -= i;
            return false;
        }
        row->topic_id = w->topic->id;
        row->partition = w->topic->partition.number;
        row->offset = w->base + (int64_t)i;
        row->producer_id = w->producer->id;
        row->sequence = w->sequence == SEQUENCE_NONE ? SEQUENCE_NONE : w->sequence + (int64_t)i;
        row->message = w->messages[i];
        row->segment = w->topic->partition.pending_segment;
    }
    return true;
}

/* The rows that an append needs besides its messages; false when out of memory. */
static bool add_counters(struct queue_write *w, struct store_batch *batch,
                         struct store_advance **advance, struct store_sequence **sequence)
{
    struct partition *p = &w->topic->partition;

    *advance = advance_of(batch, w->topic);
    if (*advance == NULL) {
        p->advance_index = batch->advance_count;
        *advance = batch_add_advance(batch);
        if (*advance == NULL) {
            return false;
        }
        **advance =
            (struct store_advance){w->topic->id, p->number, p->epoch, p->pending_next, 0, 0};
    }
    *sequence = NULL;
    if (w->sequence == SEQUENCE_NONE) {
        return true;
    }
    *sequence = sequence_of(batch, w->producer);
    if (*sequence == NULL) {
        w->producer->sequence_index = batch->sequence_count;
        *sequence = batch_add_sequence(batch);
        if (*sequence == NULL) {
            batch->advance_count -= (*advance)->count == 0; /* it was added for this write */
            return false;
        }
        **sequence = (struct store_sequence){w->producer->id, p->number, w->producer->pending.last,
                                             w->producer->pending.last_offset};
    }
    return true;
}

static int64_t bytes_of(const struct queue_write *w)
{
    int64_t bytes = (int64_t)w->count * STORE_ROW_BYTES;

    for (size_t i = 0; i < w->count; i++) {
        bytes += (int64_t)w->messages[i].size;
    }
    return bytes;
}

static bool prepare_append(struct queue_write *w, struct store_batch *batch)
{
    struct store_advance *advance;
    struct store_sequence *sequence;
    struct partition *p = &w->topic->partition;

    if (w->sequence != SEQUENCE_NONE && w->sequence != w->producer->pending.last + 1) {
        return prepare_repeated(w);
    }
    w->base = p->pending_next;
    if (!add_messages(w, batch)) {
        return refuse(w, STATUS_NO_MEMORY);
    }
    if (!add_counters(w, batch, &advance, &sequence)) {
        batch->message_count -= w->count;
        return refuse(w, STATUS_NO_MEMORY);
    }
    int64_t bytes = bytes_of(w);
    advance->count += (int64_t)w->count;
    advance->bytes += bytes;
    batch->bytes += (size_t)bytes;
    p->pending_next += (int64_t)w->count;
    p->pending_bytes += bytes;
    w->appended = true;
    if (sequence != NULL) {
        note_sequence(w);
        sequence->sequence = w->producer->pending.last;
        sequence->offset = w->producer->pending.last_offset;
    }
    return true;
}

bool batch_prepare(void *arg, struct store_write *write, struct store_batch *batch)
{
    struct queue_write *w = write_of(write);
    (void)arg;

    w->batch = batch;
    w->status_if_stored = STATUS_OK;
    w->appended = false;
    switch (w->kind) {
    case WRITE_TOPIC:
        return prepare_topic(w, batch);
    case WRITE_PRODUCER:
        return prepare_producer(w, batch);
    case WRITE_CONSUMER:
        return prepare_consumer(w, batch);
    case WRITE_APPEND:
        return prepare_append(w, batch);
    case WRITE_POSITION:
        return prepare_position(w, batch);
    case WRITE_ROLL:
        return prepare_roll(w, batch);
    case WRITE_TRIM:
        return prepare_trim(w, batch);
    }
    return refuse(w, STATUS_INTERNAL);
}

/* ---- applied ----------------------------------------------------------------------------- */

static void show_topics(struct queue *queue, const struct store_batch *batch)
{
    for (size_t i = 0; i < batch->topic_count; i++) {
        struct topic *topic = topic_create(&batch->topics[i]);
        if (topic == NULL) {
            give_up();
        }
        partition_start(&topic->partition, &queue->tail_budget,
                        &(struct store_partition){.topic_id = topic->id, .epoch = 1});
        if (!registry_add_topic(&queue->registry, topic)) {
            give_up();
        }
    }
}

static struct topic *topic_of(struct queue *queue, const struct store_batch *batch,
                              const struct store_client *client)
{
    int64_t id = client->topic_id != 0 ? client->topic_id : batch->topics[client->topic_index].id;

    return registry_topic_by_id(&queue->registry, id);
}

static void show_clients(struct queue *queue, const struct store_batch *batch)
{
    for (size_t i = 0; i < batch->producer_count; i++) {
        const struct store_client *row = &batch->producers[i];
        struct producer *producer = producer_create(row->id, topic_of(queue, batch, row));
        if (producer == NULL || !registry_add_producer(&queue->registry, producer)) {
            give_up();
        }
    }
    for (size_t i = 0; i < batch->consumer_count; i++) {
        const struct store_client *row = &batch->consumers[i];
        struct consumer *consumer =
            consumer_create(row->id, topic_of(queue, batch, row), row->position);
        if (consumer == NULL || !registry_add_consumer(&queue->registry, consumer)) {
            give_up();
        }
        partition_add_consumer(&consumer->topic->partition, consumer);
    }
    if (batch->producer_count + batch->consumer_count > 0) {
        CRASH_POINT(REGISTER_SHOWN);
    }
}

static void show_append(struct queue_write *w)
{
    struct partition *p = &w->topic->partition;

    mutex_lock(&p->lock);
    for (size_t i = 0; i < w->count; i++) {
        tail_append_locked(&p->tail, w->messages[i]);
    }
    p->bytes += bytes_of(w);
    mutex_unlock(&p->lock);
    if (w->sequence != SEQUENCE_NONE) {
        w->producer->committed = w->producer->pending;
    }
}

static void show_roll(struct queue_write *w)
{
    struct partition *p = &w->topic->partition;

    mutex_lock(&p->lock);
    if (!partition_roll_locked(p, &w->batch->rolls[w->index].segment)) {
        give_up();
    }
    p->spare_segment = 0;
    mutex_unlock(&p->lock);
}

static void show_trim(struct queue_write *w)
{
    struct partition *p = &w->topic->partition;

    mutex_lock(&p->lock);
    partition_trim_locked(p, w->position);
    mutex_unlock(&p->lock);
    atomic_store(&w->queue->sweep_wanted, true);
    log_info("log_trimmed", LOG_STR("topic", w->topic->name), LOG_INT("first_offset", w->position));
}

void batch_applied(void *arg, const struct store_batch *batch, const struct list *writes)
{
    struct queue *queue = arg;

    show_topics(queue, batch);
    show_clients(queue, batch);
    LIST_FOREACH(node, writes) {
        struct queue_write *w = write_of(LIST_ENTRY(node, struct store_write, node));
        if (w->appended) {
            show_append(w);
            CRASH_POINT(APPEND_SHOWN);
        } else if (w->kind == WRITE_POSITION) {
            consumer_move(w->queue, w->consumer, w->position);
            CRASH_POINT(POSITION_SHOWN);
        } else if (w->kind == WRITE_ROLL) {
            show_roll(w);
            CRASH_POINT(ROLL_SHOWN);
        } else if (w->kind == WRITE_TRIM) {
            show_trim(w);
            CRASH_POINT(TRIM_SHOWN);
        }
    }
    tail_budget_evict(&queue->tail_budget);
    for (size_t i = 0; i < batch->advance_count; i++) {
        partition_wake(
            &registry_topic_by_id(&queue->registry, batch->advances[i].topic_id)->partition);
    }
}

void batch_discarded(void *arg, const struct list *writes)
{
    (void)arg;
    LIST_FOREACH(node, writes) {
        struct queue_write *w = write_of(LIST_ENTRY(node, struct store_write, node));
        w->batch = NULL;
        w->result.duplicate = false;
        if (w->appended) {
            w->appended = false;
            w->producer->pending = w->producer->committed;
        }
        if (w->topic != NULL) {
            partition_reset_pending(&w->topic->partition);
        }
    }
}
