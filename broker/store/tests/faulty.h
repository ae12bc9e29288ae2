/*
 * faulty.h - a store over another store, which fails when it is told to.
 *
 * Each fault is a countdown: 0 never, 1 the next call, 2 the one after it, … What is
 * under it keeps the truth, so a test can look whether a failed commit is there.
 * Threads: any; the countdowns are atomic.
 */
#ifndef BROKER_STORE_TESTS_FAULTY_H
#define BROKER_STORE_TESTS_FAULTY_H

#include "broker/store/store.h"

#include <stdatomic.h>

struct faulty_store {
    struct store store;
    struct store *under;      /* owned */
    atomic_int refuse_commit; /* STATUS_STORE_AWAY, nothing is stored */
    atomic_int lose_commit;   /* STATUS_OUTCOME_UNKNOWN, nothing is stored */
    atomic_int lose_reply;    /* STATUS_OUTCOME_UNKNOWN, and yet it is stored */
    atomic_int fence_commit;  /* STATUS_FENCED */
    atomic_int break_commit;  /* STATUS_INTERNAL */
    atomic_int break_resolve; /* STATUS_INTERNAL */
    atomic_int refuse_read;   /* STATUS_STORE_AWAY */
    atomic_bool away;         /* revive() fails for as long as this is set */
    atomic_int revive_ms;     /* how long a revive() takes to fail */
    atomic_bool hold_commit;  /* commit() waits for as long as this is set */
    atomic_int commits_held;  /* how many wait */
    atomic_int commits;       /* how many have been tried */
    atomic_int revives;       /* how many have been tried while away */
};

/* Takes `under` over. NULL when out of memory. */
struct faulty_store *faulty_store_create(struct store *under);

#endif
