/*
 * texts.c - a hash table with open addressing, at most half full.
 */
#include "harness/texts.h"

#include "harness/memory.h"

#include <stdlib.h>

#define TEXTS_SLOTS_MIN 64

/* FNV-1a, 64 bits. */
static uint64_t hash_of(struct slice s)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < s.size; i++) {
        hash = (hash ^ (unsigned char)s.data[i]) * UINT64_C(1099511628211);
    }
    return hash ^ (hash >> 32);
}

/* The slot that holds `s`, or the free one where it belongs. */
static uint32_t *slot_of(const struct texts *t, struct slice s)
{
    size_t i = hash_of(s) & (t->slot_count - 1);

    while (t->slots[i] != TEXT_NONE && !slice_equals(t->items[t->slots[i]], s)) {
        i = (i + 1) & (t->slot_count - 1);
    }
    return &t->slots[i];
}

static void slots_grow(struct texts *t)
{
    size_t wanted = t->slot_count == 0 ? TEXTS_SLOTS_MIN : t->slot_count * 2;

    free(t->slots);
    t->slots = memory_zeroed(wanted, sizeof *t->slots);
    t->slot_count = wanted;
    for (size_t i = 0; i < wanted; i++) {
        t->slots[i] = TEXT_NONE;
    }
    for (size_t i = 0; i < t->count; i++) {
        *slot_of(t, t->items[i]) = (uint32_t)i;
    }
}

uint32_t texts_add(struct texts *t, struct slice s)
{
    if (t->count * 2 >= t->slot_count) {
        slots_grow(t);
    }
    uint32_t *slot = slot_of(t, s);
    if (*slot == TEXT_NONE) {
        *slot = (uint32_t)t->count;
        MEMORY_PUSH(t, (struct slice){memory_string(s), s.size});
    }
    return *slot;
}

uint32_t texts_find(const struct texts *t, struct slice s)
{
    return t->slot_count == 0 ? TEXT_NONE : *slot_of(t, s);
}

struct slice texts_get(const struct texts *t, uint32_t number)
{
    return number == TEXT_NONE ? (struct slice){"", 0} : t->items[number];
}

void texts_release(struct texts *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free((void *)(uintptr_t)t->items[i].data);
    }
    free(t->items);
    free(t->slots);
    *t = (struct texts)TEXTS_INIT;
}
