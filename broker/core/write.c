/*
 * write.c - from a request to the committer's queue.
 *
 * What can be refused without asking the store is refused here, on the loop's thread.
 * What a write holds is copied into it, so that the request may end before the committer
 * does.
 */
#include "broker/core/internal.h"

#include "common/clock.h"
#include "common/crashpoint.h"

#include <stdlib.h>
#include <string.h>

struct queue_write *write_of(struct store_write *write)
{
    return LIST_ENTRY(write, struct queue_write, write);
}

void write_acquire(struct queue_write *w)
{
    atomic_fetch_add(&w->references, 1);
}

void queue_write_release(struct queue_write *w)
{
    if (w != NULL && atomic_fetch_sub(&w->references, 1) == 1) {
        free(w);
    }
}

const struct queue_result *queue_write_result(const struct queue_write *w)
{
    return &w->result;
}

void write_answer(struct queue_write *w, enum status status)
{
    bool stored = status == STATUS_OK;

    if (stored && w->batch != NULL) {
        status = w->status_if_stored;
        if (w->kind == WRITE_PRODUCER) {
            w->result.id = w->batch->producers[w->index].id;
        } else if (w->kind == WRITE_CONSUMER) {
            w->result.id = w->batch->consumers[w->index].id;
            w->result.offset = w->batch->consumers[w->index].position;
        } else if (w->kind == WRITE_APPEND) {
            w->result.offset = w->base;
        }
    }
    w->result.status = status;
    w->done(w->arg);
}

struct queue_write *write_create(struct queue *queue, enum write_kind kind, size_t size,
                                 queue_done *done, void *arg)
{
    struct queue_write *w = calloc(1, sizeof *w + size);

    if (w == NULL) {
        return NULL;
    }
    atomic_init(&w->references, 2);
    w->queue = queue;
    w->kind = kind;
    w->done = done;
    w->arg = arg;
    w->write.bytes = sizeof *w + size;
    w->write.deadline_ms = clock_now_ms() + queue->options.store_timeout_ms;
    return w;
}

static enum status stage(struct queue_write *w, int loop, struct queue_write **out)
{
    list_append(&w->queue->staged[loop], &w->write.node);
    *out = w;
    return STATUS_OK;
}

void queue_flush(struct queue *queue, int loop)
{
    struct list *staged = &queue->staged[loop];
    struct list *node;

    if (list_empty(staged)) {
        return;
    }
    queue->store.submit_writes(queue->store.committer, staged);
    if (list_empty(staged)) {
        return;
    }
    while ((node = list_pop(staged)) != NULL) { /* no room was left for these */
        struct queue_write *w = write_of(LIST_ENTRY(node, struct store_write, node));
        write_answer(w, STATUS_OVERLOADED);
        queue_write_release(w);
    }
    queue->options.wake(queue->options.arg);
}

static const struct store_retention retention_default = {RETENTION_DEFAULT, RETENTION_DEFAULT,
                                                         RETENTION_DEFAULT};

static enum status stage_name(struct queue *queue, int loop, enum write_kind kind,
                              struct slice name, const struct store_retention *retention,
                              queue_done *done, void *arg, struct queue_write **out)
{
    enum status status = queue_open(queue);

    if (status == STATUS_OK) {
        status = topic_name_check(name);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct queue_write *w = write_create(queue, kind, name.size, done, arg);
    if (w == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(w->bytes, name.data, name.size);
    w->name = (struct slice){w->bytes, name.size};
    w->retention = *retention;
    return stage(w, loop, out);
}

enum status queue_create_topic(struct queue *queue, int loop, struct slice name,
                               const struct store_retention *retention, queue_done *done, void *arg,
                               struct queue_write **out)
{
    return stage_name(queue, loop, WRITE_TOPIC, name, retention, done, arg, out);
}

enum status queue_register_producer(struct queue *queue, int loop, struct slice topic,
                                    queue_done *done, void *arg, struct queue_write **out)
{
    return stage_name(queue, loop, WRITE_PRODUCER, topic, &retention_default, done, arg, out);
}

enum status queue_register_consumer(struct queue *queue, int loop, struct slice topic,
                                    enum queue_start start, queue_done *done, void *arg,
                                    struct queue_write **out)
{
    enum status status = queue_open(queue);
    struct topic *found = registry_topic(&queue->registry, topic);

    if (status == STATUS_OK && found == NULL) {
        status = STATUS_UNKNOWN_TOPIC;
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct queue_write *w = write_create(queue, WRITE_CONSUMER, 0, done, arg);
    if (w == NULL) {
        return STATUS_NO_MEMORY;
    }
    w->topic = found;
    w->start = start != QUEUE_START_DEFAULT  ? start
               : queue->options.start_latest ? QUEUE_START_LATEST
                                             : QUEUE_START_EARLIEST;
    return stage(w, loop, out);
}

enum status position_save(struct queue *queue, int loop, struct consumer *consumer,
                          int64_t position, queue_done *done, void *arg, struct queue_write **out)
{
    struct queue_write *w = write_create(queue, WRITE_POSITION, 0, done, arg);

    if (w == NULL) {
        return STATUS_NO_MEMORY;
    }
    w->topic = consumer->topic;
    w->consumer = consumer;
    w->position = position;
    return stage(w, loop, out);
}

static enum status find_producer(struct queue *queue, struct slice topic_name, int64_t producer_id,
                                 struct producer **out)
{
    struct topic *topic = registry_topic(&queue->registry, topic_name);
    struct producer *producer = registry_producer(&queue->registry, producer_id);

    if (topic == NULL) {
        return STATUS_UNKNOWN_TOPIC;
    }
    if (producer == NULL) {
        return STATUS_UNKNOWN_PRODUCER;
    }
    *out = producer;
    return producer->topic == topic ? STATUS_OK : STATUS_NOT_REGISTERED;
}

/* `bytes` holds the slices first, then the messages that they point to. */
static void copy_messages(struct queue_write *w, const struct slice *messages, size_t count)
{
    struct slice *slices = (struct slice *)(void *)w->bytes;
    char *end = w->bytes + count * sizeof *slices;

    for (size_t i = 0; i < count; i++) {
        slices[i] = (struct slice){end, messages[i].size};
        if (messages[i].size > 0) {
            memcpy(end, messages[i].data, messages[i].size);
        }
        end += messages[i].size;
    }
    w->messages = slices;
    w->count = count;
}

enum status queue_append(struct queue *queue, int loop, struct slice topic, int64_t producer_id,
                         const struct slice *messages, size_t count, int64_t sequence,
                         queue_done *done, void *arg, struct queue_write **out)
{
    struct producer *producer;
    size_t size = count * sizeof *messages;
    enum status status = queue_open(queue);

    CRASH_POINT(APPEND_READ);
    if (status == STATUS_OK) {
        status = find_producer(queue, topic, producer_id, &producer);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        size += messages[i].size;
    }
    struct queue_write *w = write_create(queue, WRITE_APPEND, size, done, arg);
    if (w == NULL) {
        return STATUS_NO_MEMORY;
    }
    w->producer = producer;
    w->topic = producer->topic;
    w->sequence = sequence;
    copy_messages(w, messages, count);
    return stage(w, loop, out);
}
