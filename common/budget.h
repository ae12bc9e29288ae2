/*
 * budget.h - a bound on the bytes that many hold together.
 *
 * Large things only: what has BUDGET_FREE_BYTES at most is not counted, so that a small
 * request is served while large ones use the budget up, and pays nothing for the count. How
 * many small things there can be has another bound (the number of connections).
 *
 * Threads: any.
 */
#ifndef COMMON_BUDGET_H
#define COMMON_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define BUDGET_FREE_BYTES 16384

struct budget {
    atomic_size_t used;
    size_t max;
};

static inline void budget_init(struct budget *budget, size_t max)
{
    atomic_init(&budget->used, 0);
    budget->max = max;
}

/* What something of `bytes` bytes has to take. */
static inline size_t budget_due(size_t bytes)
{
    return bytes > BUDGET_FREE_BYTES ? bytes : 0;
}

/* false: there is no room, and nothing was taken. */
static inline bool budget_take(struct budget *budget, size_t bytes)
{
    if (atomic_fetch_add(&budget->used, bytes) + bytes <= budget->max) {
        return true;
    }
    atomic_fetch_sub(&budget->used, bytes);
    return false;
}

/* For what is there already and cannot be refused any more. */
static inline void budget_force(struct budget *budget, size_t bytes)
{
    atomic_fetch_add(&budget->used, bytes);
}

static inline void budget_give(struct budget *budget, size_t bytes)
{
    if (bytes > 0) {
        atomic_fetch_sub(&budget->used, bytes);
    }
}

static inline bool budget_exhausted(struct budget *budget)
{
    return atomic_load(&budget->used) >= budget->max;
}

#endif
