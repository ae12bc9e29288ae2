/*
 * registry.c - the C library's balanced trees under one mutex.
 */
#include "broker/core/registry.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Every registered object begins with its id, which is what the trees compare. */
_Static_assert(offsetof(struct topic, id) == 0, "a topic begins with its id");
_Static_assert(offsetof(struct producer, id) == 0, "a producer begins with its id");
_Static_assert(offsetof(struct consumer, id) == 0, "a consumer begins with its id");

static int compare_ids(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return left < right ? -1 : left > right;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct topic *)a)->name, ((const struct topic *)b)->name);
}

static void keep(void *object)
{
    (void)object; /* another tree owns it */
}

static void destroy_topic(void *topic)
{
    topic_destroy(topic);
}

void registry_init(struct registry *r)
{
    memset(r, 0, sizeof *r);
    mutex_init(&r->lock, MUTEX_REGISTRY);
}

void registry_release(struct registry *r)
{
    tdestroy(r->producers, free);
    tdestroy(r->consumers, free);
    tdestroy(r->topics_by_name, keep);
    tdestroy(r->topics_by_id, destroy_topic);
    free(r->topics);
    mutex_release(&r->lock);
}

static bool add(void **root, void *object, int (*compare)(const void *, const void *))
{
    return tsearch(object, root, compare) != NULL;
}

static bool add_topic_locked(struct registry *r, struct topic *topic)
{
    if (r->topic_count == r->topic_room) {
        size_t room = r->topic_room == 0 ? 16 : r->topic_room * 2;
        struct topic **topics = realloc(r->topics, room * sizeof *topics);
        if (topics == NULL) {
            return false;
        }
        r->topics = topics;
        r->topic_room = room;
    }
    if (!add(&r->topics_by_name, topic, compare_names)) {
        return false;
    }
    if (!add(&r->topics_by_id, topic, compare_ids)) {
        tdelete(topic, &r->topics_by_name, compare_names);
        return false;
    }
    r->topics[r->topic_count++] = topic;
    return true;
}

bool registry_add_topic(struct registry *r, struct topic *topic)
{
    mutex_lock(&r->lock);
    bool added = add_topic_locked(r, topic);
    mutex_unlock(&r->lock);
    return added;
}

bool registry_add_producer(struct registry *r, struct producer *producer)
{
    mutex_lock(&r->lock);
    bool added = add(&r->producers, producer, compare_ids);
    r->producer_count += added;
    mutex_unlock(&r->lock);
    return added;
}

bool registry_add_consumer(struct registry *r, struct consumer *consumer)
{
    mutex_lock(&r->lock);
    bool added = add(&r->consumers, consumer, compare_ids);
    r->consumer_count += added;
    mutex_unlock(&r->lock);
    return added;
}

static size_t count(struct registry *r, const size_t *which)
{
    mutex_lock(&r->lock);
    size_t number = *which;
    mutex_unlock(&r->lock);
    return number;
}

size_t registry_topic_count(struct registry *r)
{
    return count(r, &r->topic_count);
}

size_t registry_producer_count(struct registry *r)
{
    return count(r, &r->producer_count);
}

size_t registry_consumer_count(struct registry *r)
{
    return count(r, &r->consumer_count);
}

static void *find(struct registry *r, void **root, const void *key,
                  int (*compare)(const void *, const void *))
{
    mutex_lock(&r->lock);
    void **found = tfind(key, root, compare);
    void *object = found == NULL ? NULL : *found;
    mutex_unlock(&r->lock);
    return object;
}

struct topic *registry_topic(struct registry *r, struct slice name)
{
    char text[TOPIC_NAME_BYTES_MAX + 1];
    struct topic key = {.name = text};

    if (name.size == 0 || name.size > TOPIC_NAME_BYTES_MAX ||
        memchr(name.data, '\0', name.size) != NULL) {
        return NULL;
    }
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return find(r, &r->topics_by_name, &key, compare_names);
}

struct topic *registry_topic_by_id(struct registry *r, int64_t id)
{
    return find(r, &r->topics_by_id, &id, compare_ids);
}

struct producer *registry_producer(struct registry *r, int64_t id)
{
    return find(r, &r->producers, &id, compare_ids);
}

struct consumer *registry_consumer(struct registry *r, int64_t id)
{
    return find(r, &r->consumers, &id, compare_ids);
}

struct topic *registry_topic_at(struct registry *r, size_t i)
{
    mutex_lock(&r->lock);
    struct topic *topic = i < r->topic_count ? r->topics[i] : NULL;
    mutex_unlock(&r->lock);
    return topic;
}
