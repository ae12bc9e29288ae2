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

struct texts {
    struct slice *items; /* by number; memory of the pool */
    size_t count;
    size_t capacity;
    uint32_t *slots; /* open addressing; TEXT_NONE: free */
    size_t slot_count;
};

#define TEXTS_INIT                                                                                 \
    {                                                                                              \
        NULL, 0, 0, NULL, 0                                                                        \
    }

void texts_release(struct texts *t);

/* The number of `s`, which is copied when it is new. */
uint32_t texts_add(struct texts *t, struct slice s);

/* The number of `s`, or TEXT_NONE. */
uint32_t texts_find(const struct texts *t, struct slice s);

/* The string of a number; empty for TEXT_NONE. NUL-terminated; borrowed. */
struct slice texts_get(const struct texts *t, uint32_t number);

#endif
