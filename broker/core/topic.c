/*
 * topic.c - names, creation, release.
 */
#include "broker/core/topic.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

enum status topic_name_check(struct slice name)
{
    if (name.size == 0 || name.size > TOPIC_NAME_BYTES_MAX || !utf8_valid(name)) {
        return STATUS_BAD_TOPIC_NAME;
    }
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        unsigned char next = i + 1 < name.size ? (unsigned char)name.data[i + 1] : 0;
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0)) {
            return STATUS_BAD_TOPIC_NAME;
        }
    }
    return STATUS_OK;
}

struct topic *topic_create(const struct store_topic *row)
{
    struct topic *topic = calloc(1, sizeof *topic);

    if (topic == NULL) {
        return NULL;
    }
    struct partition *p = &topic->partition;
    topic->name = strndup(row->name.data, row->name.size);
    p->segments = calloc(1, sizeof *p->segments); /* segment 0, from offset 0 */
    if (topic->name == NULL || p->segments == NULL) {
        free(topic->name);
        free(p->segments);
        free(topic);
        return NULL;
    }
    topic->id = row->id;
    topic->retention = row->retention;
    p->topic = topic;
    p->segment_count = 1;
    mutex_init(&p->lock, MUTEX_PARTITION);
    list_init(&p->waiting);
    list_init(&p->consumers);
    return topic;
}

void topic_destroy(struct topic *topic)
{
    if (topic == NULL) {
        return;
    }
    tail_release(&topic->partition.tail);
    mutex_release(&topic->partition.lock);
    free(topic->partition.segments);
    free(topic->name);
    free(topic);
}

void partition_start(struct partition *p, struct tail_budget *budget,
                     const struct store_partition *row)
{
    p->epoch = row->epoch;
    p->first_offset = row->first_offset;
    p->bytes = row->bytes;
    tail_init(&p->tail, budget, &p->lock, row->next_offset);
    partition_reset_pending(p);
}

void partition_add_consumer(struct partition *p, struct consumer *consumer)
{
    mutex_lock(&p->lock);
    list_append(&p->consumers, &consumer->node);
    mutex_unlock(&p->lock);
}

void partition_reset_pending(struct partition *p)
{
    p->pending_next = p->tail.next;
    p->pending_first = p->first_offset;
    p->pending_bytes = p->bytes;
    p->pending_segment = p->segments[p->segment_count - 1].id;
}

bool partition_roll_locked(struct partition *p, const struct store_segment *segment)
{
    if (segment->first_offset <= p->first_offset) { /* nothing is in front of it */
        p->segment_count = 0;
    }
    size_t bytes = (p->segment_count + 1) * sizeof *p->segments;
    struct store_segment *segments = realloc(p->segments, bytes);
    if (segments == NULL) {
        return false;
    }
    segments[p->segment_count++] = *segment;
    p->segments = segments;
    return true;
}

void partition_trim_locked(struct partition *p, int64_t first_offset)
{
    size_t gone = 0;

    while (gone + 1 < p->segment_count && p->segments[gone + 1].first_offset <= first_offset) {
        gone++;
    }
    p->segment_count -= gone;
    memmove(p->segments, p->segments + gone, p->segment_count * sizeof *p->segments);
    p->first_offset = first_offset;
}

int64_t partition_segment_locked(const struct partition *p, int64_t offset, int64_t *begin,
                                 int64_t *end)
{
    size_t i = p->segment_count - 1;

    *end = INT64_MAX;
    while (i > 0 && p->segments[i].first_offset > offset) {
        *end = p->segments[i].first_offset;
        i--;
    }
    *begin = p->segments[i].first_offset;
    return p->segments[i].id;
}

int64_t partition_slowest_locked(const struct partition *p)
{
    int64_t slowest = INT64_MAX;

    for (const struct list *node = p->consumers.next; node != &p->consumers; node = node->next) {
        int64_t position = LIST_ENTRY(node, struct consumer, node)->position;
        slowest = position < slowest ? position : slowest;
    }
    return slowest;
}

struct producer *producer_create(int64_t id, struct topic *topic)
{
    struct producer *producer = calloc(1, sizeof *producer);

    if (producer != NULL) {
        producer->id = id;
        producer->topic = topic;
        producer->committed.last = SEQUENCE_NONE;
        producer->pending.last = SEQUENCE_NONE;
    }
    return producer;
}

struct consumer *consumer_create(int64_t id, struct topic *topic, int64_t position)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);

    if (consumer != NULL) {
        consumer->id = id;
        consumer->topic = topic;
        consumer->position = position;
        ahead_reader_init(&consumer->reader);
        list_init(&consumer->queued);
        list_init(&consumer->node);
    }
    return consumer;
}
