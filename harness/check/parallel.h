/*
 * parallel.h - a loop whose rounds do not touch each other, on all processors.
 *
 * Threads: any; the loop's own threads have ended when it returns.
 */
#ifndef HARNESS_PARALLEL_H
#define HARNESS_PARALLEL_H

#include <stddef.h>

/* Round number `i` of the loop. Rounds run at the same time, in any order. */
typedef void parallel_round(void *arg, size_t i);

/* Every round from 0 to count - 1, once. Where no thread is to be had, it does without. */
void parallel_each(size_t count, parallel_round *round, void *arg);

#endif
