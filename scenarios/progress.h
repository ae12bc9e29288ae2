/*
 * progress.h - how far a program is: one line on stderr, on a terminal only; and the time and
 * the rate, the same ones, for its totals.
 *
 * The time ends when the last message was done. What a program waits for after that is not
 * in the rate.
 *
 * Threads: one at a time.
 */
#ifndef SCENARIOS_PROGRESS_H
#define SCENARIOS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum { PROGRESS_WORDS_BYTES = 96 };

struct progress {
    const char *name; /* "producer 1" */
    int64_t total;    /* -1: not known */
    bool terminal;
    int64_t done;
    int64_t started_us;
    int64_t done_us; /* when `done` grew last */
    int64_t shown_us;
};

/* The clock of the rate starts. `name` is borrowed. */
void progress_start(struct progress *progress, const char *name, int64_t total);

/* So many are done; shown a few times a second at most. */
void progress_show(struct progress *progress, int64_t done);

/* " in 2.00 s (497/s)"; without a rate when the time is too short for one; "" when nothing
 * was done. `words` has room for PROGRESS_WORDS_BYTES. */
void progress_words(const struct progress *progress, char *words);

/* Take the line away. */
void progress_clear(struct progress *progress);

#endif
