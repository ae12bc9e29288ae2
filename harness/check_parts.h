/*
 * check_parts.h - what the parts of the check share. Nobody but harness/check*.c needs it.
 *
 * The parts run in this order, each reading what those before it made:
 *
 *   check_fates.c      fates                what the producers recorded of every line
 *   check_log.c        logs                 which message is at which offset
 *   check_fates.c      the lines again: what is still owed
 *   check_streams.c    deliveries           by check_strays.c, which names what is wrong
 *   check_faults.c     faults
 *   check_sentence.c   the verdict in words
 */
#ifndef HARNESS_CHECK_PARTS_H
#define HARNESS_CHECK_PARTS_H

#include "harness/check.h"
#include "harness/intmap.h"

/* What became of one line of a log file. */
struct line_fate {
    uint32_t message;     /* a text */
    bool sent;            /* a send of it began */
    bool unplaced;        /* acknowledged at an offset that the store gives to another message */
    enum outcome outcome; /* of its best send */
    int64_t offset;       /* acknowledged, or found in the store; OFFSET_NONE */
    int64_t acked_ns;     /* TIME_NONE: never */
    uint32_t code;
};

/* A message at its place in the log. */
struct log_entry {
    int64_t offset;
    uint32_t message;
    size_t producer;  /* index into scenario.producers */
    size_t line;      /* index into that producer's lines */
    int64_t acked_ns; /* TIME_NONE: stored, but never acknowledged */
    bool has_row;     /* or the rows were not read */
};

/* One topic's messages, each sent by somebody, by ascending offset. */
struct topic_log {
    uint32_t name; /* a text */
    struct log_entry *items;
    size_t count;
    size_t capacity;
};

struct checking {
    const struct scenario *s;
    struct history *h;
    struct check *c;
    struct line_fate **fates; /* by producer, then line; as in the scenario */
    struct topic_log *logs;   /* by topic, as in the scenario */
    struct intmap topics;     /* a text -> index into scenario.topics */
    struct intmap sent;       /* sent_key() of every line of every log file */
    struct intmap sent_texts; /* the messages of all log files */
    /* No rows were read, and some sends may have been executed: what is at an offset that
     * nobody was acknowledged may be theirs, so it is held against nobody. */
    bool vague;
};

/* ---- streams: what a consumer got, by its history or by its file ------------------- */

struct stream_item {
    size_t topic; /* index into scenario.topics; FINDING_TOPIC_NONE: not one it reads */
    uint32_t topic_text;
    uint32_t message;
    int64_t offset; /* OFFSET_NONE in a file */
    int64_t line;   /* of consumer_N.txt */
    size_t entry;   /* index into the topic's log where it belongs, or ENTRY_NONE */
};

#define ENTRY_NONE SIZE_MAX

/*
 * What did not find its partner when a stream was laid beside the logs: a gap is an entry
 * that no item is, an extra is an item that no entry is.
 *
 * low, high   gap: it belongs behind item `low` and before item `high` (counted from 1; 0
 *             and INT64_MAX: none). Extra: it may just as well be any of the items from
 *             `low` to `high`, as they are alike.
 */
struct stray {
    bool is_gap;
    bool taken; /* named */
    size_t topic;
    uint32_t message;
    int64_t key; /* must be the same to belong together: the offset; 0 in a file */
    int64_t low;
    int64_t high;
    size_t index; /* gap: of the entry in the topic's log; extra: of the item */
};

struct strays {
    struct stray *items;
    size_t count;
    size_t capacity;
};

struct stream {
    size_t consumer; /* index into scenario.consumers */
    enum finding_source source;
    struct stream_item *items;
    size_t count;
    struct strays strays;
    struct check_delivery *cells; /* by topic; counted here */
    unsigned char *reads;         /* by topic: 1 if the consumer reads it */
    unsigned char **received;     /* by topic, then entry: 1 if it has its item */
};

/* Name every stray: count it in its cell and add it to the findings. `history` is the
 * consumer's other stream when this one is its file and the history is not empty. */
void check_strays(struct checking *k, struct stream *stream, const struct stream *history);

/* ---- the parts -------------------------------------------------------------------- */

void check_fates(struct checking *k);
void check_log(struct checking *k);
void check_debts(struct checking *k);
void check_streams(struct checking *k);
void check_faults(struct checking *k);
void check_forgotten(struct checking *k);
void check_sentence(struct checking *k);

/* The index of a topic's entry with this offset; false when there is none. */
bool topic_log_find(const struct topic_log *log, int64_t offset, size_t *index);

/* The scenario's topic that a text names, or FINDING_TOPIC_NONE. */
size_t topic_of(const struct checking *k, uint32_t text);

/* A key of `sent`: was this message sent to this topic? */
int64_t sent_key(size_t topic, uint32_t message);

/* "P1", "C2", "fault 3" */
struct process_name {
    char text[24];
};
struct process_name process_name(const char *prefix, int64_t id);
struct process_name producer_name(const struct checking *k, size_t producer);

/* Its outcome is not known, and it was not found in the store (yet). */
bool maybe_executed(const struct line_fate *fate);

/* A message for a sentence: in quotes, cut when it is long. */
struct shown_text {
    char text[72];
};
struct shown_text shown_text(const struct checking *k, uint32_t text);

#endif
