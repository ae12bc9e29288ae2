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

struct topic *topic_create(int64_t id, struct slice name)
{
    struct topic *topic = calloc(1, sizeof *topic);

    if (topic == NULL) {
        return NULL;
    }
    topic->name = strndup(name.data, name.size);
    if (topic->name == NULL) {
        free(topic);
        return NULL;
    }
    topic->id = id;
    topic->partition.topic = topic;
    mutex_init(&topic->partition.lock, MUTEX_PARTITION);
    list_init(&topic->partition.waiting);
    list_init(&topic->partition.tail.chunks);
    return topic;
}

void topic_destroy(struct topic *topic)
{
    if (topic == NULL) {
        return;
    }
    tail_release(&topic->partition.tail);
    mutex_release(&topic->partition.lock);
    free(topic->name);
    free(topic);
}

void partition_start(struct partition *p, struct tail_budget *budget, int64_t next_offset,
                     int64_t epoch)
{
    p->epoch = epoch;
    p->pending_next = next_offset;
    tail_init(&p->tail, budget, &p->lock, next_offset);
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
        list_init(&consumer->queued);
    }
    return consumer;
}
