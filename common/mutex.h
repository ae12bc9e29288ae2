/*
 * mutex.h - a mutex that knows its rank.
 *
 * A thread may lock a mutex only when every mutex that it holds has a smaller
 * rank; a debug build (-DMUTEX_CHECK) asserts this, so that a deadlock is found
 * by any run that takes the two locks, not by the run that deadlocks.
 */
#ifndef COMMON_MUTEX_H
#define COMMON_MUTEX_H

#include <pthread.h>
#include <stdint.h>

/* The ranks of the whole program, outermost first. */
enum mutex_rank {
    MUTEX_REGISTRY = 1, /* topics, producers and consumers by name and id */
    MUTEX_PARTITION,    /* one partition's tail, and the positions in it */
    MUTEX_AHEAD,        /* messages that were read ahead */
    MUTEX_COMMITTER,    /* the writes that wait for a commit */
    MUTEX_READERS,      /* the reads that wait for a reader */
    MUTEX_STORE,        /* what a store's sessions share */
};

struct mutex {
    pthread_mutex_t mutex;
    enum mutex_rank rank;
};

void mutex_init(struct mutex *m, enum mutex_rank rank);
void mutex_release(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* Wait on `condition` (CLOCK_MONOTONIC, see condition_init); deadline_ns (clock_now_ns()) < 0: no
 * limit. Returns 0, or ETIMEDOUT. Wakes without reason are possible: ask again. */
int mutex_wait(struct mutex *m, pthread_cond_t *condition, int64_t deadline_ns);
void condition_init(pthread_cond_t *condition);

#endif
