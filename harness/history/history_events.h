/*
 * history_events.h - the history files' events become operations. Part of history.h's
 * loading; nobody else needs it.
 */
#ifndef HARNESS_HISTORY_EVENTS_H
#define HARNESS_HISTORY_EVENTS_H

#include "harness/history/history.h"

/* Each reads one file if it is there; false with one line in `error`. */
bool history_read_producer(const char *path, struct history *h, struct history_producer *p,
                           char *error, size_t error_size);
bool history_read_consumer(const char *path, struct history *h, struct history_consumer *c,
                           char *error, size_t error_size);
bool history_read_harness(const char *path, struct history *h, char *error, size_t error_size);
bool history_read_rows(const char *path, struct history *h, char *error, size_t error_size);

#endif
