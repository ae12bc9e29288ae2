/*
 * clock.h - time that only goes forward, in which all deadlines are, and the time of day.
 * Threads: any.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, nanoseconds. */
static inline int64_t clock_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#define NS_PER_MS 1000000

/* CLOCK_MONOTONIC, milliseconds. */
static inline int64_t clock_now_ms(void)
{
    return clock_now_ns() / NS_PER_MS;
}

/* CLOCK_REALTIME, milliseconds since 1970: for what must mean the same after a restart. It
 * can be set, forward and back. */
static inline int64_t clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
