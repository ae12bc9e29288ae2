/*
 * fates.h - what became of every send, and how long it took.
 *
 * The picture of a run needs of each send more than the checker keeps: was its message seen
 * by every consumer of its topic, and when? Here it is counted by offset, in passes over the
 * history that cost a few nanoseconds an operation.
 *
 * Nothing is judged: a message that a consumer did not get may be lost, or unread as the run
 * was given up. The findings say which (check.h).
 *
 * Threads: fates belong to one thread at a time. They are large: not for the stack.
 */
#ifndef HARNESS_FATES_H
#define HARNESS_FATES_H

#include "common/histogram.h"
#include "harness/history/history.h"

enum fate {
    FATE_DELIVERED,   /* acknowledged, and with every consumer of its topic */
    FATE_UNPLACED,    /* acknowledged, but not where: a system that gives no offsets */
    FATE_UNKNOWN,     /* its producer was never told */
    FATE_REFUSED,     /* and so not to be stored */
    FATE_UNDELIVERED, /* acknowledged, and not with every consumer of its topic */
    FATE_NOT_STORED,  /* acknowledged, and the store has no row at its offset */
    FATES
};

/* A place in a topic's log, as far as an acknowledgement told of it. */
struct fate_place {
    int64_t sent_ns;    /* the send's begin; TIME_NONE: nobody was told of this offset */
    uint32_t message;   /* … and text: an offset that is given twice is the later one's */
    uint16_t consumers; /* that received it */
    uint16_t latest;    /* the last that did, from 1 */
    bool stored;        /* there is a row */
};

struct fates {
    const struct scenario *s;
    size_t *topics; /* by text: index into scenario.topics, or SIZE_MAX */
    size_t text_count;
    struct fate_place **places; /* by topic, then offset */
    size_t *place_counts;
    bool rows_read;
    int64_t counts[FATES];
    struct histogram acknowledged; /* from a send's begin to its acknowledgement */
    struct histogram delivered;    /* … to each consumer's receipt */
};

/* `s` and `h` are borrowed until fates_release(). */
void fates_take(struct fates *f, const struct scenario *s, const struct history *h);
void fates_release(struct fates *f);

/* The index in scenario.topics of a text, or SIZE_MAX. */
size_t fates_topic(const struct fates *f, uint32_t text);

enum fate fate_of(const struct fates *f, const struct history_send *send);

#endif
