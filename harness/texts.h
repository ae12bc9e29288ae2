/*
 * texts.h - every different string once, as a small number.
 *
 * A run holds millions of messages and most of them are alike. Kept as numbers they
 * take four bytes each and are compared in one step.
 *
 * Always: two strings have the same number exactly if their bytes are the same.
 * Numbers count from 0 in the order of arrival.
 *
 * Threads: a pool belongs to one thread at a time.
 */
#ifndef HARNESS_TEXTS_H
#define HARNESS_TEXTS_H

#include "common/buffer.h"

#include <stdint.h>

#define TEXT_NONE UINT32_MAX

struct texts_block;

struct texts {
    struct slice *items; /* by number; memory of the pool, or lent to it */
    size_t count;
    size_t capacity;
    uint32_t *slots; /* open addressing; TEXT_NONE: free */
    size_t slot_count;
    uint32_t *next; /* by number: what was asked for after it the last time */
    size_t next_capacity;
    struct texts_block *blocks; /* the strings' bytes; the newest first */
};

#define TEXTS_INIT                                                                                 \
    {                                                                                              \
        NULL, 0, 0, NULL, 0, NULL, 0, NULL                                                         \
    }

void texts_release(struct texts *t);

/* The number of `s`, which is copied when it is new. */
uint32_t texts_add(struct texts *t, struct slice s);

/*
 * The same for a file in which texts follow each other as in the files before: what came
 * after `*last` the last time is tried first, so a long pool need not be searched. `*last` is
 * TEXT_NONE in the beginning, and becomes the number.
 */
uint32_t texts_add_after(struct texts *t, uint32_t *last, struct slice s);

/* The same for a string that outlives the pool and has a NUL behind it: it is not copied. */
uint32_t texts_lend_after(struct texts *t, uint32_t *last, struct slice s);

/* The number of `s`, or TEXT_NONE. */
uint32_t texts_find(const struct texts *t, struct slice s);

/* The string of a number; empty for TEXT_NONE. NUL-terminated; borrowed. */
struct slice texts_get(const struct texts *t, uint32_t number);

#endif
