/*
 * scratch.h - a folder of a test's own, with a new SQLite store in it.
 */
#ifndef BROKER_STORE_TESTS_SCRATCH_H
#define BROKER_STORE_TESTS_SCRATCH_H

#include "broker/store/store.h"

struct scratch {
    char folder[32];
};

/* false: the folder cannot be made. */
bool scratch_make(struct scratch *scratch);

/* A store in the folder's file; NULL when that fails. */
struct store *scratch_store(const struct scratch *scratch);

/* What a crash now would leave: the file and its write-ahead log, copied into a new folder. */
bool scratch_copy(const struct scratch *from, struct scratch *to);

/* Bytes of the write-ahead log; -1 when there is none. */
long scratch_wal_bytes(const struct scratch *scratch);

/* Remove the folder and what a store leaves in it; false when there is more. */
bool scratch_remove(const struct scratch *scratch);

#endif
