/*
 * queue.c - the queue's beginning and end, and the questions that memory answers.
 */
#include "broker/core/internal.h"

#include "common/clock.h"

#include <stdlib.h>

#define PING_LIMIT_MS 2000

struct queue *queue_create(const struct queue_options *options)
{
    struct queue *queue = calloc(1, sizeof *queue);

    if (queue == NULL) {
        return NULL;
    }
    queue->options = *options;
    atomic_init(&queue->sweep_wanted, true); /* what a crash has left */
    registry_init(&queue->registry);
    ahead_init(&queue->ahead);
    tail_budget_init(&queue->tail_budget, options->tail_bytes_max);
    for (int i = 0; i < QUEUE_LOOPS_MAX; i++) {
        list_init(&queue->staged[i]);
    }
    return queue;
}

void queue_destroy(struct queue *queue)
{
    if (queue == NULL) {
        return;
    }
    registry_release(&queue->registry);
    ahead_release(&queue->ahead);
    free(queue);
}

void queue_connect(struct queue *queue, const struct store_queue *store)
{
    queue->store = *store;
}

enum status queue_open(const struct queue *queue)
{
    if (atomic_load(&queue->fenced)) {
        return STATUS_FENCED;
    }
    return atomic_load(&queue->shutting_down) ? STATUS_SHUTTING_DOWN : STATUS_OK;
}

/* ---- loading --------------------------------------------------------------------------- */

static enum status load_topic(void *arg, const struct store_topic *row)
{
    struct queue *queue = arg;
    struct topic *topic = topic_create(row);

    if (topic == NULL || !registry_add_topic(&queue->registry, topic)) {
        topic_destroy(topic);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static enum status load_partition(void *arg, const struct store_partition *row)
{
    struct queue *queue = arg;
    struct topic *topic = registry_topic_by_id(&queue->registry, row->topic_id);

    if (topic == NULL || row->number != 0) {
        return STATUS_INTERNAL;
    }
    partition_start(&topic->partition, &queue->tail_budget, row);
    return STATUS_OK;
}

static enum status load_segment(void *arg, const struct store_segment *row)
{
    struct queue *queue = arg;
    struct topic *topic = registry_topic_by_id(&queue->registry, row->topic_id);

    if (topic == NULL || row->partition != 0) {
        return STATUS_INTERNAL;
    }
    struct partition *p = &topic->partition;
    mutex_lock(&p->lock);
    bool good = partition_roll_locked(p, row);
    mutex_unlock(&p->lock);
    if (!good) {
        return STATUS_NO_MEMORY;
    }
    partition_reset_pending(p);
    return STATUS_OK;
}

static enum status load_producer(void *arg, int64_t id, int64_t topic_id)
{
    struct queue *queue = arg;
    struct topic *topic = registry_topic_by_id(&queue->registry, topic_id);

    if (topic == NULL) {
        return STATUS_INTERNAL;
    }
    struct producer *producer = producer_create(id, topic);
    if (producer == NULL || !registry_add_producer(&queue->registry, producer)) {
        free(producer);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static enum status load_sequence(void *arg, const struct store_sequence *sequence)
{
    struct queue *queue = arg;
    struct producer *producer = registry_producer(&queue->registry, sequence->producer_id);

    if (producer == NULL) {
        return STATUS_INTERNAL;
    }
    producer->committed = (struct sequence_state){
        .last = sequence->sequence,
        .last_offset = sequence->offset,
        .run_first = sequence->sequence,
    };
    producer->pending = producer->committed;
    return STATUS_OK;
}

static enum status load_consumer(void *arg, int64_t id, int64_t topic_id)
{
    struct queue *queue = arg;
    struct topic *topic = registry_topic_by_id(&queue->registry, topic_id);

    if (topic == NULL) {
        return STATUS_INTERNAL;
    }
    struct consumer *consumer = consumer_create(id, topic, 0);
    if (consumer == NULL || !registry_add_consumer(&queue->registry, consumer)) {
        free(consumer);
        return STATUS_NO_MEMORY;
    }
    partition_add_consumer(&topic->partition, consumer);
    return STATUS_OK;
}

static enum status load_position(void *arg, int64_t consumer_id, int32_t partition, int64_t offset)
{
    struct queue *queue = arg;
    struct consumer *consumer = registry_consumer(&queue->registry, consumer_id);

    if (consumer == NULL || partition != 0) {
        return STATUS_INTERNAL;
    }
    consumer->position = offset;
    return STATUS_OK;
}

struct store_loader queue_loader(struct queue *queue)
{
    return (struct store_loader){
        .arg = queue,
        .topic = load_topic,
        .partition = load_partition,
        .segment = load_segment,
        .producer = load_producer,
        .sequence = load_sequence,
        .consumer = load_consumer,
        .position = load_position,
    };
}

/* ---- shutdown -------------------------------------------------------------------------- */

static void wake_everybody(struct queue *queue)
{
    struct topic *topic;

    for (size_t i = 0; (topic = registry_topic_at(&queue->registry, i)) != NULL; i++) {
        partition_wake(&topic->partition);
    }
    queue->options.wake(queue->options.arg);
}

void queue_shutdown(struct queue *queue)
{
    atomic_store(&queue->shutting_down, true);
    wake_everybody(queue);
}

/* ---- the committer's hooks that are not about batches ------------------------------------ */

static void hook_answer(void *arg, struct store_write *write, enum status status)
{
    (void)arg;
    write_answer(write_of(write), status);
}

static void hook_finish(void *arg, struct store_write *write)
{
    struct queue_write *w = write_of(write);

    (void)arg;
    if (w->kind == WRITE_ROLL || w->kind == WRITE_TRIM) {
        keep_finished(w);
    }
    queue_write_release(w);
}

static void hook_round_end(void *arg)
{
    struct queue *queue = arg;

    queue->options.wake(queue->options.arg);
}

static void hook_fenced(void *arg)
{
    struct queue *queue = arg;

    atomic_store(&queue->fenced, true);
    wake_everybody(queue);
    queue->options.fenced(queue->options.arg);
}

struct store_hooks queue_hooks(struct queue *queue)
{
    return (struct store_hooks){
        .arg = queue,
        .prepare = batch_prepare,
        .applied = batch_applied,
        .discarded = batch_discarded,
        .answer = hook_answer,
        .finish = hook_finish,
        .round_end = hook_round_end,
        .fenced = hook_fenced,
    };
}

/* ---- small questions --------------------------------------------------------------------- */

enum status find_consumer(struct queue *queue, struct slice topic_name, int64_t consumer_id,
                          struct consumer **out)
{
    struct topic *topic = registry_topic(&queue->registry, topic_name);
    struct consumer *consumer = registry_consumer(&queue->registry, consumer_id);

    if (topic == NULL) {
        return STATUS_UNKNOWN_TOPIC;
    }
    if (consumer == NULL) {
        return STATUS_UNKNOWN_CONSUMER;
    }
    *out = consumer;
    return consumer->topic == topic ? STATUS_OK : STATUS_NOT_REGISTERED;
}

enum status queue_size(struct queue *queue, struct slice topic, int64_t consumer_id, int64_t *size)
{
    struct consumer *consumer;
    enum status status = queue_open(queue);

    if (status == STATUS_OK) {
        status = find_consumer(queue, topic, consumer_id, &consumer);
    }
    if (status == STATUS_OK) {
        struct partition *p = &consumer->topic->partition;
        mutex_lock(&p->lock);
        int64_t from = consumer->position > p->first_offset ? consumer->position : p->first_offset;
        *size = p->tail.next - from;
        mutex_unlock(&p->lock);
    }
    return status;
}

bool queue_topic_name(struct queue *queue, size_t i, struct slice *name)
{
    struct topic *topic = registry_topic_at(&queue->registry, i);

    if (topic != NULL) {
        *name = slice_of(topic->name);
    }
    return topic != NULL;
}

struct queue_ping {
    struct store_read read;
    struct queue *queue;
    queue_done *done;
    void *arg;
};

static void ping_done(struct store_read *read)
{
    struct queue_ping *ping = LIST_ENTRY(read, struct queue_ping, read);
    struct queue *queue = ping->queue;

    ping->done(ping->arg); /* `ping` may be gone now */
    queue->options.wake(queue->options.arg);
}

enum status queue_ping_create(struct queue *queue, queue_done *done, void *arg,
                              struct queue_ping **out)
{
    enum status status = queue_open(queue);

    if (status != STATUS_OK) {
        return status;
    }
    struct queue_ping *ping = calloc(1, sizeof *ping);
    if (ping == NULL) {
        return STATUS_NO_MEMORY;
    }
    ping->queue = queue;
    ping->done = done;
    ping->arg = arg;
    ping->read.kind = STORE_READ_PING;
    ping->read.deadline_ms = clock_now_ms() + PING_LIMIT_MS;
    ping->read.done = ping_done;
    *out = ping;
    if (!queue->store.submit_read(queue->store.readers, &ping->read)) {
        *out = NULL;
        free(ping);
        return STATUS_OVERLOADED;
    }
    return STATUS_OK;
}

enum status queue_ping_status(const struct queue_ping *ping)
{
    return ping->read.status;
}

void queue_ping_release(struct queue_ping *ping)
{
    free(ping);
}
