/*
 * texts.c - a hash table with open addressing, at most half full; the bytes in large blocks.
 */
#include "harness/texts.h"

#include "harness/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS_SLOTS_MIN 64
#define BLOCK_BYTES (1024 * 1024)

struct texts_block {
    struct texts_block *older;
    size_t used;
    size_t size;
    char bytes[];
};

/* Eight bytes at a time, each mixed in by a multiplication. */
static uint64_t hash_of(struct slice s)
{
    uint64_t hash = s.size;
    size_t i = 0;

    for (; i + 8 <= s.size; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    for (; i < s.size; i++) {
        hash = (hash ^ (unsigned char)s.data[i]) * UINT64_C(1099511628211);
    }
    hash *= UINT64_C(0x9E3779B97F4A7C15);
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
    memset(t->slots, 0xFF, wanted * sizeof *t->slots);
    for (size_t i = 0; i < t->count; i++) {
        *slot_of(t, t->items[i]) = (uint32_t)i;
    }
}

/* A copy of `s` with a NUL behind it. */
static struct slice bytes_keep(struct texts *t, struct slice s)
{
    if (t->blocks == NULL || t->blocks->size - t->blocks->used < s.size + 1) {
        size_t size = s.size + 1 > BLOCK_BYTES ? s.size + 1 : BLOCK_BYTES;
        struct texts_block *block = memory_zeroed(sizeof *block + size, 1);
        block->older = t->blocks;
        block->size = size;
        t->blocks = block;
    }
    char *bytes = t->blocks->bytes + t->blocks->used;
    if (s.size > 0) {
        memcpy(bytes, s.data, s.size);
    }
    bytes[s.size] = '\0';
    t->blocks->used += s.size + 1;
    return (struct slice){bytes, s.size};
}

static uint32_t text_add(struct texts *t, struct slice s, bool lent)
{
    if (t->count * 2 >= t->slot_count) {
        slots_grow(t);
    }
    uint32_t *slot = slot_of(t, s);
    if (*slot == TEXT_NONE) {
        *slot = (uint32_t)t->count;
        t->next = memory_room(t->next, t->count, &t->next_capacity, sizeof *t->next);
        t->next[t->count] = (uint32_t)t->count + 1; /* files tend to begin alike */
        MEMORY_PUSH(t, lent ? s : bytes_keep(t, s));
    }
    return *slot;
}

static uint32_t text_add_after(struct texts *t, uint32_t *last, struct slice s, bool lent)
{
    uint32_t guess = *last == TEXT_NONE ? 0 : t->next[*last];
    bool right = guess < t->count && slice_equals(t->items[guess], s);
    uint32_t number = right ? guess : text_add(t, s, lent);

    if (*last != TEXT_NONE) {
        t->next[*last] = number;
    }
    *last = number;
    return number;
}

uint32_t texts_add(struct texts *t, struct slice s)
{
    return text_add(t, s, false);
}

uint32_t texts_add_after(struct texts *t, uint32_t *last, struct slice s)
{
    return text_add_after(t, last, s, false);
}

uint32_t texts_lend_after(struct texts *t, uint32_t *last, struct slice s)
{
    return text_add_after(t, last, s, true);
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
    while (t->blocks != NULL) {
        struct texts_block *older = t->blocks->older;
        free(t->blocks);
        t->blocks = older;
    }
    free(t->items);
    free(t->slots);
    free(t->next);
    *t = (struct texts)TEXTS_INIT;
}
