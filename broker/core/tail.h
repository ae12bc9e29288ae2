/*
 * tail.h - the newest messages of a partition, in memory.
 *
 *   first                                                      next
 *     | chunk: offsets 0..611 | chunk: 612..1203 | chunk: 1204..1290 |
 *
 * A message is appended to the last chunk; a chunk that is full is followed by a new one.
 * All tails share one budget: when their bytes exceed it, the oldest chunk of all goes,
 * whosever it is. What is no longer here is read from the store.
 *
 * Threads: append and evict by the committer alone. A partition's lock guards its tail:
 * the committer holds it while it changes the tail, readers while they read.
 */
#ifndef BROKER_CORE_TAIL_H
#define BROKER_CORE_TAIL_H

#include "broker/store/store.h"
#include "common/list.h"
#include "common/mutex.h"

/* Of all tails; the committer's own. */
struct tail_budget {
    struct list chunks; /* oldest first */
    size_t bytes;
    size_t bytes_max;
};

struct chunk;

struct tail {
    struct tail_budget *budget;
    struct mutex *lock;    /* the partition's */
    struct chunk **chunks; /* oldest first: from `begin` to `end` of `room` */
    size_t begin, end, room;
    int64_t first; /* the oldest offset that is here; == next: empty */
    int64_t next;  /* the offset that the next append gets */
};

void tail_budget_init(struct tail_budget *budget, size_t bytes_max);

/* Empty; the first append gets offset `next`. */
void tail_init(struct tail *tail, struct tail_budget *budget, struct mutex *lock, int64_t next);
void tail_release(struct tail *tail);

/* Append; when memory is short, what the tail holds is dropped instead. Locked. */
void tail_append_locked(struct tail *tail, struct slice message);

/* Free the oldest chunks until the budget holds. Locks the tails one by one; no partition's
 * lock may be held. */
void tail_budget_evict(struct tail_budget *budget);

/* Copy messages from `from` on into a cleared range, like store_ops.read. false: `from` is
 * not here (older, or beyond the end), or memory is short. Locked. */
bool tail_read_locked(const struct tail *tail, int64_t from, size_t count_max, size_t bytes_max,
                      struct store_range *range);

#endif
