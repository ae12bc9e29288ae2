/*
 * tail.c - chunks of messages; an offset's place in its chunk is found by the ends of the
 * messages before it.
 */
#include "broker/core/tail.h"

#include <stdlib.h>

#define CHUNK_BYTES 65536 /* a chunk that has this much takes no more */

struct chunk {
    struct list in_tail;
    struct list in_budget;
    struct tail *tail;
    int64_t first; /* offset of its first message */
    size_t count;
    size_t counted_bytes; /* what the budget believes it takes */
    struct buffer bytes;  /* the messages, one behind the other */
    struct buffer ends;   /* uint32_t for each: where it ends in `bytes` */
};

void tail_budget_init(struct tail_budget *budget, size_t bytes_max)
{
    list_init(&budget->chunks);
    budget->bytes = 0;
    budget->bytes_max = bytes_max;
}

void tail_init(struct tail *tail, struct tail_budget *budget, struct mutex *lock, int64_t next)
{
    tail->budget = budget;
    tail->lock = lock;
    list_init(&tail->chunks);
    tail->first = next;
    tail->next = next;
}

/* The oldest chunk of its tail only: what is left must stay one piece. */
static void chunk_destroy(struct chunk *chunk)
{
    struct tail *tail = chunk->tail;

    tail->first = chunk->first + (int64_t)chunk->count;
    tail->budget->bytes -= chunk->counted_bytes;
    list_remove(&chunk->in_tail);
    list_remove(&chunk->in_budget);
    buffer_release(&chunk->bytes);
    buffer_release(&chunk->ends);
    free(chunk);
}

void tail_release(struct tail *tail)
{
    LIST_FOREACH(node, &tail->chunks) {
        chunk_destroy(LIST_ENTRY(node, struct chunk, in_tail));
    }
}

static struct chunk *chunk_for_append(struct tail *tail)
{
    if (!list_empty(&tail->chunks)) {
        struct chunk *last = LIST_ENTRY(tail->chunks.previous, struct chunk, in_tail);
        if (last->bytes.size + last->ends.size < CHUNK_BYTES) {
            return last;
        }
    }
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk != NULL) {
        chunk->tail = tail;
        chunk->first = tail->next;
        list_append(&tail->chunks, &chunk->in_tail);
        list_append(&tail->budget->chunks, &chunk->in_budget);
    }
    return chunk;
}

void tail_append_locked(struct tail *tail, struct slice message)
{
    struct chunk *chunk = chunk_for_append(tail);

    if (chunk != NULL) {
        buffer_append_slice(&chunk->bytes, message);
        uint32_t end = (uint32_t)chunk->bytes.size;
        buffer_append(&chunk->ends, &end, sizeof end);
        chunk->count++;
        size_t bytes = sizeof *chunk + chunk->bytes.capacity + chunk->ends.capacity;
        tail->budget->bytes += bytes - chunk->counted_bytes;
        chunk->counted_bytes = bytes;
    }
    tail->next++;
    if (chunk == NULL || chunk->bytes.failed || chunk->ends.failed) {
        tail_release(tail); /* the store has it all */
        tail->first = tail->next;
    }
}

void tail_budget_evict(struct tail_budget *budget)
{
    while (budget->bytes > budget->bytes_max && !list_empty(&budget->chunks)) {
        struct chunk *oldest = LIST_ENTRY(budget->chunks.next, struct chunk, in_budget);
        struct mutex *lock = oldest->tail->lock;
        mutex_lock(lock);
        chunk_destroy(oldest);
        mutex_unlock(lock);
    }
}

static struct slice chunk_message(const struct chunk *chunk, size_t i)
{
    const uint32_t *ends = (const uint32_t *)(const void *)chunk->ends.data;
    uint32_t start = i == 0 ? 0 : ends[i - 1];

    return (struct slice){chunk->bytes.data + start, ends[i] - start};
}

/* Most readers are near the end, so the search begins there. */
static const struct list *find_chunk(const struct tail *tail, int64_t offset)
{
    const struct list *node = tail->chunks.previous;

    while (LIST_ENTRY(node, struct chunk, in_tail)->first > offset) {
        node = node->previous;
    }
    return node;
}

bool tail_read_locked(const struct tail *tail, int64_t from, size_t count_max, size_t bytes_max,
                      struct store_range *range)
{
    if (from < tail->first || from >= tail->next) {
        return false;
    }
    for (const struct list *node = find_chunk(tail, from); node != &tail->chunks;
         node = node->next) {
        const struct chunk *chunk = LIST_ENTRY(node, struct chunk, in_tail);
        for (size_t i = (size_t)(from - chunk->first); i < chunk->count; i++, from++) {
            if (range->count == count_max || (range->count > 0 && range->bytes.size >= bytes_max)) {
                return true;
            }
            if (!range_add(range, chunk_message(chunk, i))) {
                return false;
            }
        }
    }
    return true;
}
