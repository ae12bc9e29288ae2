/*
 * readers.h - a few threads that read from the store, so that no HTTP loop has to.
 *
 * Each has its own session. A read that finds the store away is tried again until its
 * time is over; then it ends with STATUS_STORE_AWAY.
 */
#ifndef BROKER_STORE_READERS_H
#define BROKER_STORE_READERS_H

#include "broker/store/store.h"

struct readers;

/* `store` must outlive the readers. NULL when out of memory or threads. */
struct readers *readers_create(struct store *store, int threads, size_t waiting_max);

/* Queue a read; its done() is called once on a reader's thread. false: too many wait
 * already, and done() is not called. Any thread. */
bool readers_submit(void *readers, struct store_read *read);

/* From now on no read waits for a store that is away. Any thread. */
void readers_hurry(struct readers *readers);

/* Finish what waits and end the threads. NULL is fine. */
void readers_destroy(struct readers *readers);

#endif
