/*
 * logs.h - what the services said at a moment of the run.
 *
 * Lines of logs/broker-N.log and logs/postgres-N.log, or of system.log where another system is
 * judged, that begin with a time, as the broker (2026-11-21T08:59:18.027Z), PostgreSQL (2026-11-21
 * 08:59:17.928 UTC) and Python (2026-11-21 08:59:17,928) write them; a line without one belongs to
 * the line before it.
 *
 * Threads: logs belong to one thread at a time.
 */
#ifndef HARNESS_LOGS_H
#define HARNESS_LOGS_H

#include "harness/history/history.h"

struct log_line {
    int64_t time_ns;   /* by the history's clock */
    size_t number;     /* of the line, over all files: lines of one time keep their order */
    const char *file;  /* "broker-1.log", or who else it was; memory of the logs */
    struct slice text; /* … without its time; valid UTF-8 */
};

struct logs {
    struct log_line *items; /* by time */
    size_t count;
    size_t capacity;
    struct {
        char **items; /* the files' names and contents */
        size_t count;
        size_t capacity;
    } memory;
};

/* Read the run's logs; then lines of others may be added, and all are sorted. No log is read when
 * run.json does not say how the two clocks stand to each other. */
void logs_load(struct logs *l, const char *run_dir, const struct history_run *run);
void logs_add(struct logs *l, int64_t time_ns, const char *who, struct slice text);
void logs_sort(struct logs *l);
void logs_release(struct logs *l);

/* The lines up to `within_ns` from a moment, `lines_max` of them at most, those nearest to it:
 * the index of the first; their number in `count`. */
size_t logs_around(const struct logs *l, int64_t moment_ns, int64_t within_ns, size_t lines_max,
                   size_t *count);

#endif
