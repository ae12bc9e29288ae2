/*
 * intmap.c - open addressing; keys mostly ascend, so they are spread by a multiplication.
 */
#include "harness/intmap.h"

#include "harness/memory.h"

#include <assert.h>
#include <stdlib.h>

#define INTMAP_SLOTS_MIN 16

static size_t home_of(const struct intmap *m, int64_t key)
{
    uint64_t hash = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 20) & (m->slot_count - 1);
}

static struct intmap_slot *slot_of(const struct intmap *m, int64_t key)
{
    size_t i = home_of(m, key);

    while (m->slots[i].key != -1 && m->slots[i].key != key) {
        i = (i + 1) & (m->slot_count - 1);
    }
    return &m->slots[i];
}

static void slots_grow(struct intmap *m)
{
    struct intmap old = *m;

    m->slot_count = old.slot_count == 0 ? INTMAP_SLOTS_MIN : old.slot_count * 2;
    m->slots = memory_zeroed(m->slot_count, sizeof *m->slots);
    for (size_t i = 0; i < m->slot_count; i++) {
        m->slots[i].key = -1;
    }
    for (size_t i = 0; i < old.slot_count; i++) {
        if (old.slots[i].key != -1) {
            *slot_of(m, old.slots[i].key) = old.slots[i];
        }
    }
    free(old.slots);
}

void intmap_put(struct intmap *m, int64_t key, size_t value)
{
    assert(key >= 0);
    if (m->count * 2 >= m->slot_count) {
        slots_grow(m);
    }
    struct intmap_slot *slot = slot_of(m, key);
    m->count += slot->key == -1;
    *slot = (struct intmap_slot){key, value};
}

bool intmap_get(const struct intmap *m, int64_t key, size_t *value)
{
    if (key < 0 || m->slot_count == 0) {
        return false;
    }
    const struct intmap_slot *slot = slot_of(m, key);
    *value = slot->value;
    return slot->key == key;
}

/* What follows in the row of used slots moves up, where that brings it nearer to its home. */
bool intmap_take(struct intmap *m, int64_t key, size_t *value)
{
    if (!intmap_get(m, key, value)) {
        return false;
    }
    size_t mask = m->slot_count - 1;
    size_t hole = (size_t)(slot_of(m, key) - m->slots);
    for (size_t i = (hole + 1) & mask; m->slots[i].key != -1; i = (i + 1) & mask) {
        size_t home = home_of(m, m->slots[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].key = -1;
    m->count--;
    return true;
}

void intmap_release(struct intmap *m)
{
    free(m->slots);
    *m = (struct intmap)INTMAP_INIT;
}
