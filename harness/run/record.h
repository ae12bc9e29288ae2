/*
 * record.h - a run's folder, and what the harness itself writes into it.
 *
 *   REPORTS/NAME/<YYYYMMDDTHHMMSS>-<pid>/
 *     run.json            what was run, on what
 *     scenario/           scenario.conf and the producers' files, as run
 *     history/             one JSON Lines file per client, and harness.jsonl: faults and phases
 *     rows.jsonl          the store's own rows
 *     consumer_N.txt      what the consumers wrote
 *     logs/               everybody's output
 *   REPORTS/NAME/latest   a link to the newest finished run
 *
 * Always: a history line is written by one write(2), before what it announces happens or
 * once what it says is certain. Times are CLOCK_MONOTONIC, nanoseconds.
 *
 * Threads: one.
 */
#ifndef HARNESS_RECORD_H
#define HARNESS_RECORD_H

#include "harness/run/control.h"
#include "harness/scenario/scenario.h"

#include <limits.h>

struct record {
    char dir[PATH_MAX];    /* absolute */
    char latest[PATH_MAX]; /* the link, as the reader of our output can open it */
    int history_fd;
};

/* What run.json says. Borrowed. */
struct record_run {
    const char *scenario; /* the name of the reports' folder */
    const char *title;
    const char *logs;
    const char *runtime;        /* "docker" | "process" */
    const char *store;          /* "postgres" | "sqlite" | "memory" */
    const char *runtime_reason; /* why not docker; "": it was asked for */
    const char *command;        /* what repeats the run */
    int64_t seed;               /* what its schedule was drawn from; SEED_NONE: it was not */
    int64_t started_unix_s;
    int64_t started_ns;      /* the same moment by the clock of the history … */
    int64_t started_wall_ms; /* … and by that of the logs */
    const char *ended_early; /* what it was waiting for when it was given up; "": it was not */
};

/* Make the folder. false: see control_fail(). */
bool record_open(struct record *r, struct control *c, const char *reports, const char *name,
                 int64_t started_unix_s);
void record_close(struct record *r);

/* The path of something in the folder: record_path(r, path, "logs/%s.log", "P1"). */
const char *record_path(const struct record *r, char path[PATH_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Write run.json, anew when it is there. */
bool record_run(struct record *r, struct control *c, const struct record_run *run);

/* A phase of the run is reached: "consumers registered". */
void record_phase(struct record *r, const char *name);

/* Fault `number` (from 1) begins, after so many acks and with so many produce requests on their
 * way. */
void record_fault_begin(struct record *r, size_t number, const struct scenario_fault *fault,
                        int64_t acks, int64_t in_flight);

/* At this moment it has certainly happened, or, of a window, is about to be over, and has hit so
 * many of the unit: "requests in flight". `more` is what else is to be said; "": nothing. */
void record_fault_hit(struct record *r, size_t number, int64_t time_ns, int64_t bit,
                      const char *unit, const char *more);

/* type: "restart" (its target is started again, or it is undone), "end" (all is well again). */
void record_fault(struct record *r, size_t number, const char *type);

/* Point `latest` to this run. false: see control_fail(). */
bool record_publish(struct record *r, struct control *c);

/* Delete a folder with all that is in it, never following a link. Missing is fine. */
void remove_tree(const char *path);

#endif
