/*
 * stores.h - the stores that there are, by their address.
 */
#ifndef BROKER_STORE_STORES_H
#define BROKER_STORE_STORES_H

#include "broker/store/store.h"

/*
 * "memory:", "sqlite:PATH" or "postgres://…" ("postgresql://…", too). No connection is made
 * yet. NULL: `error` says in one line what would be right. `wait_ms` is how long requests wait
 * for a store that hangs.
 */
struct store *store_open(const char *url, int wait_ms, char error[STORE_ERROR_BYTES_MAX]);

/* Keeps everything in this process, and forgets it with it. */
struct store *memory_store_create(void);

/* In the SQLite file at `path` (copied), which is made when it is not there. NULL, and why in
 * `error`. */
struct store *sqlite_store_create(const char *path, int wait_ms, char error[STORE_ERROR_BYTES_MAX]);

/* `url` is copied. NULL, and why in `error`, when libpq cannot read it. */
struct store *postgres_store_create(const char *url, int wait_ms,
                                    char error[STORE_ERROR_BYTES_MAX]);

#endif
