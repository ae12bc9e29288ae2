/*
 * memory.c - calloc and realloc, with one way of giving up.
 */
#include "harness/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_ITEMS_MIN 16
#define MEMORY_EXIT 255 /* the harness' exit code for its own faults */

static _Noreturn void memory_out(size_t count, size_t item_size)
{
    fprintf(stderr, "myqueue-harness: out of memory (wanted %zu items of %zu bytes)\n", count,
            item_size);
    exit(MEMORY_EXIT);
}

void *memory_zeroed(size_t count, size_t item_size)
{
    void *items = calloc(count > 0 ? count : 1, item_size);
    if (items == NULL) {
        memory_out(count, item_size);
    }
    return items;
}

char *memory_string(struct slice s)
{
    char *string = memory_zeroed(s.size + 1, 1);
    if (s.size > 0) {
        memcpy(string, s.data, s.size);
    }
    return string;
}

void *memory_room(void *array, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) {
        return array;
    }
    size_t wanted = *capacity < MEMORY_ITEMS_MIN ? MEMORY_ITEMS_MIN : *capacity * 2;
    void *items = wanted > SIZE_MAX / 2 / item_size ? NULL : realloc(array, wanted * item_size);
    if (items == NULL) {
        memory_out(wanted, item_size);
    }
    *capacity = wanted;
    return items;
}
