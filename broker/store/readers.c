/*
 * readers.c - the pool of readers.h: one queue, first come, first served.
 */
#include "broker/store/readers.h"

#include "common/clock.h"
#include "common/mutex.h"

#include <stdlib.h>

#define READERS_MAX 64
#define REVIVE_PAUSE_MS 50
#define REVIVE_LIMIT_MS 1000

struct readers {
    struct store *store;
    size_t waiting_max;
    int thread_count;
    pthread_t threads[READERS_MAX];

    struct mutex lock; /* rank: MUTEX_READERS */
    pthread_cond_t changed;
    /* guarded by lock: */
    struct list waiting;
    size_t waiting_count;
    bool hurry;
    bool stop;
};

static struct store_read *next_read(struct readers *readers)
{
    mutex_lock(&readers->lock);
    while (list_empty(&readers->waiting) && !readers->stop) {
        mutex_wait(&readers->lock, &readers->changed, -1);
    }
    struct list *node = list_pop(&readers->waiting);
    if (node != NULL) {
        readers->waiting_count--;
    }
    mutex_unlock(&readers->lock);
    return node == NULL ? NULL : LIST_ENTRY(node, struct store_read, node);
}

static enum status run_once(struct store_session *session, struct store_read *read)
{
    const struct store_ops *ops = session->store->ops;

    switch (read->kind) {
    case STORE_READ_RANGE:
        range_clear(read->range, read->from);
        return ops->read(session, read->topic_id, read->partition, read->segment, read->from,
                         read->count_max, read->bytes_max, read->range);
    case STORE_READ_SEQUENCE:
        return ops->find_sequence(session, &read->sequence, read->topic_id, read->segment,
                                  read->from, &read->sequence.offset);
    case STORE_READ_PING:
        return ops->ping(session);
    }
    return STATUS_INTERNAL;
}

/* Between two tries; true, and at once, when there is to be no other. */
static bool pause_or_stop(struct readers *readers)
{
    int64_t until_ms = clock_now_ms() + REVIVE_PAUSE_MS;

    mutex_lock(&readers->lock);
    while (!readers->hurry && !readers->stop && clock_now_ms() < until_ms) {
        mutex_wait(&readers->lock, &readers->changed, until_ms * NS_PER_MS);
    }
    bool stop = readers->hurry || readers->stop;
    mutex_unlock(&readers->lock);
    return stop;
}

static enum status run(struct readers *readers, struct store_session *session,
                       struct store_read *read)
{
    char why[STORE_ERROR_BYTES_MAX];

    /* Its time has passed in the queue. A try may last REVIVE_LIMIT_MS, and those behind it
     * would wait for each. */
    if (clock_now_ms() >= read->deadline_ms) {
        return STATUS_STORE_AWAY;
    }
    for (;;) {
        enum status status = session->store->ops->revive(session, REVIVE_LIMIT_MS, why);
        if (status == STATUS_OK) {
            status = run_once(session, read);
        }
        if (status != STATUS_STORE_AWAY) {
            return status;
        }
        if (clock_now_ms() >= read->deadline_ms || pause_or_stop(readers)) {
            return STATUS_STORE_AWAY;
        }
    }
}

static void *reader_main(void *arg)
{
    struct readers *readers = arg;
    struct store_session *session = readers->store->ops->session_open(readers->store);
    struct store_read *read;

    pthread_setname_np(pthread_self(), "reader");
    while ((read = next_read(readers)) != NULL) {
        read->status = session == NULL ? STATUS_NO_MEMORY : run(readers, session, read);
        read->done(read); /* `read` may be gone now */
    }
    readers->store->ops->session_close(session);
    return NULL;
}

bool readers_submit(void *arg, struct store_read *read)
{
    struct readers *readers = arg;

    mutex_lock(&readers->lock);
    bool room = !readers->stop && readers->waiting_count < readers->waiting_max;
    if (room) {
        list_append(&readers->waiting, &read->node);
        readers->waiting_count++;
        pthread_cond_signal(&readers->changed);
    }
    mutex_unlock(&readers->lock);
    return room;
}

struct readers *readers_create(struct store *store, int threads, size_t waiting_max)
{
    struct readers *readers = calloc(1, sizeof *readers);

    if (readers == NULL) {
        return NULL;
    }
    readers->store = store;
    readers->waiting_max = waiting_max;
    list_init(&readers->waiting);
    mutex_init(&readers->lock, MUTEX_READERS);
    condition_init(&readers->changed);
    for (int i = 0; i < threads && i < READERS_MAX; i++) {
        if (pthread_create(&readers->threads[i], NULL, reader_main, readers) != 0) {
            readers_destroy(readers);
            return NULL;
        }
        readers->thread_count++;
    }
    return readers;
}

void readers_hurry(struct readers *readers)
{
    mutex_lock(&readers->lock);
    readers->hurry = true;
    pthread_cond_broadcast(&readers->changed);
    mutex_unlock(&readers->lock);
}

void readers_destroy(struct readers *readers)
{
    if (readers == NULL) {
        return;
    }
    mutex_lock(&readers->lock);
    readers->stop = true;
    pthread_cond_broadcast(&readers->changed);
    mutex_unlock(&readers->lock);
    for (int i = 0; i < readers->thread_count; i++) {
        pthread_join(readers->threads[i], NULL);
    }
    mutex_release(&readers->lock);
    pthread_cond_destroy(&readers->changed);
    free(readers);
}
