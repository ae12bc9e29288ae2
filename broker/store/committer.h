/*
 * committer.h - many writes, one transaction.
 *
 * One thread with one session. It takes all writes that wait, has core make a batch of
 * them, commits it, and tells core. While one transaction commits, the next batch
 * gathers: there is no linger timer, so a lone producer never waits for company.
 *
 *     submit --> waiting --prepare--> batch --commit--> OK: applied, answer, finish
 *                   ^                   |
 *                   |                   +-- not stored: discarded, back to waiting
 *                   +-------------------+-- unknown: revive, resolve, then one of the two
 *
 * Always: no write is answered with STATUS_OK before the COMMIT's result has been read.
 * A write whose time is over while the store is away is answered: STATUS_STORE_AWAY while
 * it is certain that nothing was stored, STATUS_OUTCOME_UNKNOWN else.
 */
#ifndef BROKER_STORE_COMMITTER_H
#define BROKER_STORE_COMMITTER_H

#include "broker/store/store.h"

struct committer;

struct committer_options {
    struct store *store;           /* must outlive the committer */
    struct store_session *session; /* revived and loaded; the committer's from now on */
    struct store_hooks hooks;
    size_t waiting_bytes_max; /* more than this, and submit takes no more; one alone always fits */
    size_t waiting_count_max;
    size_t batch_bytes_max; /* store_batch.bytes of one transaction; a larger write goes alone */
    size_t batch_count_max;
};

/* Start the thread. NULL when out of memory or threads. The session is consumed either way. */
struct committer *committer_create(const struct committer_options *options);

/* Take what there is room for out of `writes` (store_write.node). Any thread; no locks of
 * rank MUTEX_COMMITTER or above may be held. */
void committer_submit(void *committer, struct list *writes);

/* From now on no write waits for a store that is away: it is answered at once, as if its time
 * were over. Any thread. */
void committer_hurry(struct committer *committer);

/* Commit what waits (or answer it, when the store is away), end the thread. NULL is fine. */
void committer_destroy(struct committer *committer);

#endif
