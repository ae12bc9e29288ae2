/*
 * history.h - what a run left behind, loaded: who did what and when, what the store
 * holds, what the consumers wrote.
 *
 *   run.json            what was run, on what            struct history_run
 *   history/P1.jsonl    a producer's operations          sends, requests, registrations
 *   history/C1.jsonl    a consumer's operations          receives, requests, sizes, seeks
 *   history/harness.jsonl   the faults                   struct history_fault
 *   rows.jsonl          the store's own rows             struct history_row
 *   consumer_1.txt      what a consumer wrote            struct history_output_line
 *
 * An operation is one event when it begins (`invoke`) and one when its outcome is known
 * (`ok`; `fail`: certainly not executed; `info`: not known). One without an end stays
 * OUTCOME_OPEN. A process that was killed may leave a torn last line: it is left out. The rows
 * are written at once, and a torn line there is an error.
 * Operations and members that this page does not name are skipped.
 *
 *   {"t":1,"process":"P1","op":"start","type":"ok","incarnation":2}
 *   {"t":2,"process":"P1","op":"register","type":"invoke","topic":"T1"}
 *   {"t":3,"process":"P1","op":"register","type":"ok","topic":"T1","producer_id":7}
 *   {"t":4,"process":"P1","op":"send","type":"invoke","line":1,"topic":"T1","message":"INFO"}
 *   {"t":5,"process":"P1","op":"request","type":"invoke","id":1,"path":"/producer/produce",
 *    "topic":"T1","sequence":0,"count":1}
 *   {"t":6,"process":"P1","op":"request","type":"ok","id":1,"http":200}
 *   {"t":7,"process":"P1","op":"send","type":"ok","line":1,"topic":"T1","offset":0}
 *   {"t":8,"process":"C1","op":"start","type":"ok","incarnation":2,"lines":{"T1":123}}
 *   {"t":9,"process":"C1","op":"request","type":"invoke","id":1,"path":"/consumer/consume",
 *    "topic":"T1","offset":123}
 *   {"t":10,"process":"C1","op":"request","type":"fail","id":1,"http":400,"code":"no_message"}
 *   {"t":11,"process":"C1","op":"receive","type":"ok","line":124,"topic":"T1","offset":123,
 *    "message":"INFO"}
 *   {"t":12,"process":"C1","op":"size","type":"invoke","topic":"T1"}
 *   {"t":13,"process":"C1","op":"size","type":"ok","topic":"T1","size":0}
 *   {"t":13,"process":"C1","op":"saved","type":"invoke","topic":"T1"}
 *   {"t":13,"process":"C1","op":"saved","type":"ok","topic":"T1","size":0}
 *   {"t":14,"process":"C1","op":"seek","type":"invoke","topic":"T1","offset":7}
 *   {"t":15,"process":"C1","op":"seek","type":"ok","topic":"T1"}
 *
 * The `offset` of a send is -1 if it was answered as a repetition of one whose place the broker
 * no longer knows.
 *
 * `start` begins a life of the process: what its earlier life left open is then `info`. A
 * consumer writes its file before its history, so a kill can leave one line of the file that
 * the history has not; `lines` says how many lines of each topic the file held, and that one
 * is added to the receives.
 *
 * With `"calls":"plain"` in run.json (a system that is judged by the seven calls of the
 * assignment alone) `offset` may be missing from sends and receives.
 *
 * Nothing is judged here: what is loaded may well be wrong. That is check.h's business.
 *
 * Times are CLOCK_MONOTONIC in nanoseconds. TIME_NONE: it did not happen.
 * Threads: a history is not changed after it is loaded and may then be read by any.
 */
#ifndef HARNESS_HISTORY_H
#define HARNESS_HISTORY_H

#include "harness/scenario/scenario.h"
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

/* One line of a producer's log file on its way. A line that was sent by two lives is there
 * twice. */
struct history_send {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t offset; /* OUTCOME_OK: where it was stored; OFFSET_NONE: not said */
    uint32_t line;  /* of the log file, from 1 */
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
    int32_t http;     /* status of the answer; 0 or NUMBER_NONE: there was none */
    uint32_t count;   /* produce: messages */
    uint32_t path;    /* a text, or TEXT_NONE */
    uint32_t topic;
    uint32_t code;
    enum outcome outcome;
    bool is_produce;
    bool is_consume;
};

/* A producer or a consumer registered with a topic. */
struct history_registration {
    int64_t time_ns;
    int64_t client_id; /* the broker's */
    uint32_t topic;
};

/* A message that a consumer was handed, in the order of its history. */
struct history_receive {
    int64_t time_ns;
    int64_t offset; /* OFFSET_NONE: not said */
    uint32_t line;  /* of the consumer's file, from 1 */
    uint32_t topic;
    uint32_t message;
};

/* A consumer asked how many messages it has not taken. `saved`: from the position that the broker
 * had saved itself, with no consume since the last one that failed or since it was started. */
struct history_size {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t size; /* OUTCOME_OK */
    uint32_t topic;
    enum outcome outcome;
    bool saved;
};

/* A consumer set its position. */
struct history_seek {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t offset;
    size_t receives; /* how many there were before it */
    uint32_t topic;
    enum outcome outcome;
};

/* A process was started: the first time, or again. */
struct history_life {
    int64_t begin_ns;
    int64_t incarnation; /* from 1 */
    size_t receives;     /* how many there were before it */
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
    HISTORY_LIST(struct history_life) lives;
    uint32_t *lines; /* the message of each line of its log file; as in the scenario */
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
    HISTORY_LIST(struct history_registration) registrations;
    HISTORY_LIST(struct history_size) sizes;
    HISTORY_LIST(struct history_seek) seeks;
    HISTORY_LIST(struct history_life) lives;
    bool output_same; /* the file holds just what the receives say; then `output` is empty */
    HISTORY_LIST(struct history_output_line) output;
};

struct history_row {
    int64_t offset;
    int64_t producer_id;
    int64_t sequence; /* NUMBER_NONE: the message had none */
    uint32_t topic;
    uint32_t message;
};

/* A topic whose log has limits: what lies before this offset has been removed, rightly. */
struct history_removed {
    uint32_t topic;
    int64_t first_offset;
};

struct history_fault {
    int64_t number; /* from 1, as in the scenario */
    int64_t acks;   /* when it began */
    int64_t begin_ns;
    int64_t hit_ns; /* the target is certainly dead */
    int64_t restart_ns;
    int64_t end_ns; /* it answers again */
    int64_t bit;    /* how much it hit, as its kind counts; NUMBER_NONE: not said */
    uint32_t more;  /* what else was said of it, or TEXT_NONE */
};

/* What the system under test says of itself; all of it where run.json says nothing. */
struct history_claims {
    bool messages; /* kept when the broker is started again */
    bool positions;
    bool ids;
    bool topics;
    bool latest; /* a new consumer begins behind the messages that there are */
};

/* Strings are NULL when run.json has none. */
struct history_run {
    bool plain; /* only the assignment's seven calls: no offsets, no sequences */
    struct history_claims claims;
    int64_t seed; /* of the schedule; NUMBER_NONE: it has none */
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
    struct texts texts; /* every topic, message and code; the scenario's topics are the first,
                         * so a topic's text is its index there */
    size_t topic_count;
    struct history_producer *producers; /* as in the scenario, same indices */
    size_t producer_count;
    struct history_consumer *consumers; /* as in the scenario, same indices */
    size_t consumer_count;
    HISTORY_LIST(struct history_fault) faults; /* in the order in which they began */
    bool rows_read;                            /* rows.jsonl is there */
    HISTORY_LIST(struct history_row) rows;
    HISTORY_LIST(struct history_removed) removed; /* one per topic at most */
};

/*
 * Load a run folder. A file that is missing is simply not there; one that cannot be
 * read or understood is an error: one line, `file:line: what is wrong`.
 *
 * true gives a history that history_destroy() frees. It borrows the scenario's messages, so it
 * goes before the scenario.
 */
bool history_load(const char *run_dir, const struct scenario *s, struct history **out, char *error,
                  size_t error_size);

void history_destroy(struct history *h); /* NULL is fine */

#endif
