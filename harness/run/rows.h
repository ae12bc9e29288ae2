/*
 * rows.h - the store's own rows, as the run's last witness.
 *
 * What the store holds is read beside the broker: with psql while PostgreSQL runs, or, with
 * SQLite, from its file after the broker has ended. A memory store has no rows.
 *
 * Threads: one.
 */
#ifndef HARNESS_ROWS_H
#define HARNESS_ROWS_H

#include "harness/run/record.h"
#include "harness/runtime/runtime.h"

/* Write rows.jsonl, once the clients have ended; no such file where there is no store to
 * read any more. false: see control_fail(), or the interrupt. */
bool rows_read(struct runtime *rt, const struct record *record);

#endif
