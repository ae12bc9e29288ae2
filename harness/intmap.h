/*
 * intmap.h - from a non-negative number to an index.
 *
 * Threads: a map belongs to one thread at a time.
 */
#ifndef HARNESS_INTMAP_H
#define HARNESS_INTMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intmap_slot {
    int64_t key; /* -1: free */
    size_t value;
};

struct intmap {
    struct intmap_slot *slots; /* open addressing, at most half full */
    size_t slot_count;
    size_t count;
};

#define INTMAP_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void intmap_release(struct intmap *m);

/* Set a key's value; an earlier one is replaced. */
void intmap_put(struct intmap *m, int64_t key, size_t value);

/* false when there is no such key (a negative one is never there). */
bool intmap_get(const struct intmap *m, int64_t key, size_t *value);

/* The same, and the key is there no longer. */
bool intmap_take(struct intmap *m, int64_t key, size_t *value);

#endif
