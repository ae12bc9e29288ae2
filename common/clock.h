/*
 * clock.h - time that only goes forward. All deadlines are in these units.
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

/* CLOCK_MONOTONIC, milliseconds. */
static inline int64_t clock_now_ms(void)
{
    return clock_now_ns() / 1000000;
}

#endif
