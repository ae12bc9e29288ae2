/*
 * clock.h - milliseconds that only go forward, and waiting by them. Threads: any.
 */
#ifndef MYQUEUE_SRC_CLOCK_H
#define MYQUEUE_SRC_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define MQ_NEVER INT64_MAX /* as a time: not before something else happens */

static inline int64_t mq_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The time `timeout_ms` from now; MQ_NEVER for a negative one. */
static inline int64_t mq_clock_after(int timeout_ms)
{
    return timeout_ms < 0 ? MQ_NEVER : mq_clock_ms() + timeout_ms;
}

/* Wait on a condition made with CLOCK_MONOTONIC until it is signalled or `until_ms`. */
static inline void mq_clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms)
{
    if (until_ms == MQ_NEVER) {
        pthread_cond_wait(condition, lock);
        return;
    }
    struct timespec t = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_cond_timedwait(condition, lock, &t);
}

#endif
