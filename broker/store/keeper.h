/*
 * keeper.h - a thread that looks after the log, twice a second, or more while there is much to do.
 *
 * It has a session of its own, since what it does can take long: making and dropping tables,
 * deleting rows. What that is, core decides (queue_keep).
 */
#ifndef BROKER_STORE_KEEPER_H
#define BROKER_STORE_KEEPER_H

#include "broker/store/store.h"

struct keeper;

/* `keep` is called on the keeper's thread; the session may have to be revived. It returns
 * whether it should be called again soon. `store` must outlive the keeper. NULL when out of
 * memory or threads. */
struct keeper *keeper_create(struct store *store,
                             bool (*keep)(void *arg, struct store_session *session), void *arg);

/* End the thread, after what it is doing. Before the committer goes, to which `keep` gives
 * writes. NULL is fine. */
void keeper_destroy(struct keeper *keeper);

#endif
