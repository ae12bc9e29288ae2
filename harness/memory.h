/*
 * memory.h - allocation that does not fail, and arrays that grow.
 *
 * The harness loads whole runs. When memory is out there is no verdict to give: one
 * line on stderr and exit code 255, a fault of the harness itself.
 *
 * Threads: any.
 */
#ifndef HARNESS_MEMORY_H
#define HARNESS_MEMORY_H

#include "common/buffer.h"

#include <stddef.h>

/* `count` zeroed items; free() frees them. Never NULL. */
void *memory_zeroed(size_t count, size_t item_size);

/* The bytes of `s` and a NUL behind them; free() frees it. */
char *memory_string(struct slice s);

/*
 * Room for one more item behind `count`: returns `array` or where it moved to, and
 * raises `*capacity` (items) by doubling.
 */
void *memory_room(void *array, size_t count, size_t *capacity, size_t item_size);

/* MEMORY_PUSH(list, item) appends to a struct {T *items; size_t count, capacity;}. */
#define MEMORY_PUSH(list, ...)                                                                     \
    ((list)->items =                                                                               \
         memory_room((list)->items, (list)->count, &(list)->capacity, sizeof *(list)->items),      \
     (list)->items[(list)->count++] = (__VA_ARGS__))

#endif
