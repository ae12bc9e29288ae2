/*
 * places.h - some places of the topics' logs, and all that is known of each: who sent what is
 * there, what the store has, who received it when.
 *
 * First every place is wanted, then one pass over the history fills them all.
 *
 * Threads: places belong to one thread at a time.
 */
#ifndef HARNESS_PLACES_H
#define HARNESS_PLACES_H

#include "harness/history/history.h"
#include "harness/intmap.h"

#define PLACE_OFFSET_MAX ((INT64_C(1) << 40) - 1) /* beyond it there are no places */

struct place {
    size_t topic; /* index into scenario.topics */
    int64_t offset;
    const struct history_send *send; /* acknowledged here; NULL: none */
    size_t producer;                 /* … its index */
    const struct history_row *row;   /* NULL: none */
    int64_t *received_ns;            /* by consumer: first time; TIME_NONE: never */
};

struct places {
    struct place *items;
    size_t count;
    size_t capacity;
    struct intmap index;
};

/* The place is wanted; one that cannot be is not taken. */
void places_want(struct places *l, size_t topic, int64_t offset);

void places_fill(struct places *l, const struct scenario *s, const struct history *h);
void places_release(struct places *l);

/* NULL: it was not wanted. */
const struct place *places_get(const struct places *l, size_t topic, int64_t offset);

#endif
