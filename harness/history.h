/*
 * history.h - what a run left behind, loaded: who did what and when, what the store
 * holds, what the consumers wrote.
 *
 *   run.json            what was run, on what            struct history_run
 *   history/P1.jsonl    a producer's operations          sends, requests, registrations
 *   history/C1.jsonl    a consumer's operations          receives, requests
 *   history/harness.jsonl   the faults                   struct history_fault
 *   rows.jsonl          the store's own rows             struct history_row
 *   consumer_1.txt      what a consumer wrote            struct history_output_line
 *
 * An operation is one event when it begins (`invoke`) and one when its outcome is known;
 * one without an end stays OUTCOME_OPEN. A process that was killed may leave a torn last
 * line: it is left out. Operations and members that this page does not name are skipped.
 *
 * Nothing is judged here: what is loaded may well be wrong. That is check.h's business.
 *
 * Times are CLOCK_MONOTONIC in nanoseconds. TIME_NONE: it did not happen.
 * Threads: a history is not changed after it is loaded and may then be read by any.
 */
#ifndef HARNESS_HISTORY_H
#define HARNESS_HISTORY_H

#include "harness/scenario.h"
#include "harness/texts.h"

#define TIME_NONE INT64_C(-1)
#define OFFSET_NONE INT64_C(-1)
#define NUMBER_NONE INT64_C(-1)

enum outcome {
    OUTCOME_OPEN, /* no end was recorded */
    OUTCOME_OK,
    OUTCOME_FAIL, /* certainly not executed */
    OUTCOME_INFO, /* unknown whether it was executed */
};

/* One line of a producer's log file on its way. */
struct history_send {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t line;   /* of the log file, from 1 */
    int64_t offset; /* OUTCOME_OK: where it was stored */
    uint32_t topic; /* a text */
    uint32_t message;
    uint32_t code; /* why it did not end well, or TEXT_NONE */
    enum outcome outcome;
};

/* One HTTP attempt. */
struct history_request {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t sequence; /* produce: of its first message */
    int64_t offset;   /* consume: "all before is mine" */
    int64_t http;     /* status of the answer; 0 or NUMBER_NONE: there was none */
    uint32_t topic;
    uint32_t code;
    bool is_produce; /* else another call */
    enum outcome outcome;
};

/* A producer registered with a topic. */
struct history_registration {
    uint32_t topic;
    int64_t producer_id; /* the broker's */
};

/* A message that a consumer was handed, in the order of its history. */
struct history_receive {
    int64_t time_ns;
    int64_t line; /* of the consumer's file, from 1 */
    int64_t offset;
    uint32_t topic;
    uint32_t message;
};

#define HISTORY_LIST(type)                                                                         \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

struct history_producer {
    int64_t id;
    bool recorded;                           /* it has a history file */
    HISTORY_LIST(struct history_send) sends; /* in the order in which they began */
    HISTORY_LIST(struct history_request) requests;
    HISTORY_LIST(struct history_registration) registrations;
};

struct history_output_line {
    uint32_t topic;   /* TEXT_NONE: the line is not `topic, five spaces, message` */
    uint32_t message; /* then the whole line */
};

struct history_consumer {
    int64_t id;
    bool recorded; /* it has a history file */
    HISTORY_LIST(struct history_receive) receives;
    HISTORY_LIST(struct history_request) requests;
    HISTORY_LIST(struct history_output_line) output;
};

struct history_row {
    int64_t offset;
    int64_t producer_id;
    int64_t sequence; /* NUMBER_NONE: the message had none */
    uint32_t topic;
    uint32_t message;
};

struct history_fault {
    int64_t number; /* from 1, as in the scenario */
    int64_t acks;   /* when it began */
    int64_t begin_ns;
    int64_t hit_ns; /* the target is certainly dead */
    int64_t restart_ns;
    int64_t end_ns; /* it answers again */
    int64_t bit;    /* how much it hit, as its kind counts; NUMBER_NONE: not said */
};

/* Strings are NULL when run.json has none. */
struct history_run {
    char *scenario;
    char *runtime;
    char *runtime_reason; /* why not another one */
    char *store;
    char *started; /* ISO 8601, UTC */
    char *version;
    char *command;     /* repeats the run */
    char *ended_early; /* what it was waiting for when it was given up */
    int64_t wall_ns;   /* what makes CLOCK_REALTIME of our times; TIME_NONE: not recorded */
};

struct history {
    struct history_run run;
    struct texts texts;                 /* every topic, message and code */
    struct history_producer *producers; /* as in the scenario, same indices */
    size_t producer_count;
    struct history_consumer *consumers; /* as in the scenario, same indices */
    size_t consumer_count;
    HISTORY_LIST(struct history_fault) faults; /* in the order in which they began */
    bool rows_read;                            /* rows.jsonl is there */
    HISTORY_LIST(struct history_row) rows;
};

/*
 * Load a run folder. A file that is missing is simply not there; one that cannot be
 * read or understood is an error: one line, `file:line: what is wrong`.
 *
 * true gives a history that history_destroy() frees.
 */
bool history_load(const char *run_dir, const struct scenario *s, struct history **out, char *error,
                  size_t error_size);

void history_destroy(struct history *h); /* NULL is fine */

#endif
