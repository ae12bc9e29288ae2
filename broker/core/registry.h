/*
 * registry.h - topics by name and id, producers and consumers by id.
 *
 * Threads: any may look up; only the committer adds (or the loading thread, before there
 * are others). What is found stays good for as long as the registry.
 */
#ifndef BROKER_CORE_REGISTRY_H
#define BROKER_CORE_REGISTRY_H

#include "broker/core/topic.h"

struct registry {
    struct mutex lock; /* rank: MUTEX_REGISTRY */
    /* guarded by lock; trees of tsearch(3): */
    void *topics_by_name;
    void *topics_by_id;
    void *producers;
    void *consumers;
    struct topic **topics; /* in order of creation */
    size_t topic_count;
    size_t topic_room;
    size_t producer_count;
    size_t consumer_count;
};

void registry_init(struct registry *r);
void registry_release(struct registry *r); /* destroys what is in it */

/* Takes the object over; false when out of memory, then it stays the caller's. */
bool registry_add_topic(struct registry *r, struct topic *topic);
bool registry_add_producer(struct registry *r, struct producer *producer);
bool registry_add_consumer(struct registry *r, struct consumer *consumer);

/* How many there are: for the committer, who alone adds. */
size_t registry_topic_count(struct registry *r);
size_t registry_producer_count(struct registry *r);
size_t registry_consumer_count(struct registry *r);

/* NULL when there is none. */
struct topic *registry_topic(struct registry *r, struct slice name);
struct topic *registry_topic_by_id(struct registry *r, int64_t id);
struct producer *registry_producer(struct registry *r, int64_t id);
struct consumer *registry_consumer(struct registry *r, int64_t id);

/* The i-th topic in order of creation; NULL at the end. */
struct topic *registry_topic_at(struct registry *r, size_t i);

#endif
