/*
 * ahead.h - messages that were read from the store before they were asked for.
 *
 * A consumer that is far behind goes through the log in order, and a query for each of its
 * requests costs more than the messages do. So one that goes on where its last read ended is
 * read more than it asked for (see consume.c), and the rest waits here for its next request.
 *
 * There are AHEAD_PLACES for all consumers together, each with AHEAD_BYTES_MAX at most: who has
 * not used his for longest loses it, and is read ahead more seldom from then on. The log never
 * changes, so what is here is right; whether it is still in the log (retention) is the caller's
 * to know.
 *
 * Threads: any. Locks: none may be held.
 */
#ifndef BROKER_CORE_AHEAD_H
#define BROKER_CORE_AHEAD_H

#include "broker/store/store.h"
#include "common/mutex.h"

#define AHEAD_PLACES 64
#define AHEAD_BYTES_MAX ((size_t)256 * 1024)
#define AHEAD_COUNT 2048 /* messages a read, for one that goes on */
#define AHEAD_SKIP_MAX 64

/* How a consumer goes through the store; its caller's lock guards it. */
struct ahead_reader {
    int64_t read_end; /* behind what it was last given; -1: nothing yet */
    int64_t kept_end; /* behind what was last kept for it */
    int skip;         /* reads that shall not go ahead, and */
    int skip_after;   /* how many the next loss of its place will cost */
};

struct ahead_place {
    int64_t consumer_id; /* 0: free */
    int64_t used;        /* when, in calls */
    struct store_range range;
    size_t taken;       /* messages of the range that the consumer has got, */
    size_t taken_bytes; /* and their bytes: the next request begins there */
};

struct ahead {
    struct mutex lock; /* rank: MUTEX_AHEAD */
    /* guarded by lock: */
    int64_t calls;
    struct ahead_place places[AHEAD_PLACES];
};

void ahead_reader_init(struct ahead_reader *reader);

/* The consumer asks for `count_max` messages from `from` on, which are not here: how many shall
 * be read from the store? */
size_t ahead_count(struct ahead_reader *reader, int64_t from, size_t count_max);

void ahead_init(struct ahead *a);
void ahead_release(struct ahead *a);

/* Add to `out`, which has been cleared, the consumer's messages from offset `from` on: at most
 * `count_max`, and no more once there are `bytes_max` bytes. false: there are none, or no memory.
 */
bool ahead_take(struct ahead *a, int64_t consumer_id, int64_t from, size_t count_max,
                size_t bytes_max, struct store_range *out);

/* Leave in `range` its first `count` messages, fewer than it has, and keep the rest, unless that
 * is more than AHEAD_BYTES_MAX. */
void ahead_keep(struct ahead *a, int64_t consumer_id, struct store_range *range, size_t count);

#endif
