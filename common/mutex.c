/*
 * mutex.c - ranks are kept in a small stack per thread, in debug builds only.
 */
#include "common/mutex.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#ifdef MUTEX_CHECK
#define MUTEX_DEPTH_MAX 8
static _Thread_local enum mutex_rank held[MUTEX_DEPTH_MAX];
static _Thread_local int held_count;

static void rank_push(enum mutex_rank rank)
{
    assert(held_count < MUTEX_DEPTH_MAX);
    assert(held_count == 0 || held[held_count - 1] < rank);
    held[held_count++] = rank;
}

static void rank_pop(enum mutex_rank rank)
{
    assert(held_count > 0 && held[held_count - 1] == rank);
    held_count--;
}
#else
static void rank_push(enum mutex_rank rank)
{
    (void)rank;
}

static void rank_pop(enum mutex_rank rank)
{
    (void)rank;
}
#endif

void mutex_init(struct mutex *m, enum mutex_rank rank)
{
    int error = pthread_mutex_init(&m->mutex, NULL);
    assert(error == 0);
    (void)error;
    m->rank = rank;
}

void mutex_release(struct mutex *m)
{
    pthread_mutex_destroy(&m->mutex);
}

void mutex_lock(struct mutex *m)
{
    rank_push(m->rank);
    int error = pthread_mutex_lock(&m->mutex);
    assert(error == 0);
    (void)error;
}

void mutex_unlock(struct mutex *m)
{
    rank_pop(m->rank);
    int error = pthread_mutex_unlock(&m->mutex);
    assert(error == 0);
    (void)error;
}

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int mutex_wait(struct mutex *m, pthread_cond_t *condition, int64_t deadline_ns)
{
    if (deadline_ns < 0) {
        return pthread_cond_wait(condition, &m->mutex);
    }
    struct timespec until = {
        .tv_sec = deadline_ns / 1000000000,
        .tv_nsec = deadline_ns % 1000000000,
    };
    return pthread_cond_timedwait(condition, &m->mutex, &until);
}
