/*
 * progress.h - one line on stderr that says how far a program is, on a terminal only.
 *
 * Threads: one at a time.
 */
#ifndef SCENARIOS_PROGRESS_H
#define SCENARIOS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *name; /* "producer 1" */
    int64_t total;    /* -1: not known */
    bool terminal;
    int64_t started_ms;
    int64_t shown_ms;
};

/* The clock of the rate starts. `name` is borrowed. */
void progress_start(struct progress *progress, const char *name, int64_t total);

/* So many are done; shown a few times a second at most. */
void progress_show(struct progress *progress, int64_t done);

/* Take the line away. */
void progress_clear(struct progress *progress);

#endif
