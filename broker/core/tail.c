/*
 * tail.c - chunks of messages; an offset's chunk is found by halving, and its place in there by
 * the ends of the messages before it. So a read costs the same wherever it begins, which counts,
 * since it holds the partition's lock.
 */
#include "broker/core/tail.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536 /* a chunk that has this much takes no more */
#define ROOM_MIN 4

struct chunk {
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
    tail->chunks = NULL;
    tail->begin = tail->end = tail->room = 0;
    tail->first = next;
    tail->next = next;
}

/* The oldest chunk of its tail only: what is left must stay one piece. */
static void chunk_destroy(struct chunk *chunk)
{
    struct tail *tail = chunk->tail;

    tail->begin++;
    tail->first = chunk->first + (int64_t)chunk->count;
    tail->budget->bytes -= chunk->counted_bytes;
    list_remove(&chunk->in_budget);
    buffer_release(&chunk->bytes);
    buffer_release(&chunk->ends);
    free(chunk);
}

void tail_release(struct tail *tail)
{
    while (tail->begin < tail->end) {
        chunk_destroy(tail->chunks[tail->begin]);
    }
    free(tail->chunks);
    tail->chunks = NULL;
    tail->begin = tail->end = tail->room = 0;
}

/* Room for one more behind the last: what has been evicted in front gives some, too. */
static bool reserve_chunk(struct tail *tail)
{
    size_t count = tail->end - tail->begin;

    if (tail->end < tail->room) {
        return true;
    }
    if (count > tail->room / 2 || tail->room == 0) {
        size_t room = tail->room == 0 ? ROOM_MIN : 2 * tail->room;
        struct chunk **chunks = realloc(tail->chunks, room * sizeof(struct chunk *));
        if (chunks == NULL) {
            return false;
        }
        tail->chunks = chunks;
        tail->room = room;
    }
    memmove(tail->chunks, tail->chunks + tail->begin, count * sizeof(struct chunk *));
    tail->begin = 0;
    tail->end = count;
    return true;
}

static struct chunk *chunk_for_append(struct tail *tail)
{
    if (tail->begin < tail->end) {
        struct chunk *last = tail->chunks[tail->end - 1];
        if (last->bytes.size + last->ends.size < CHUNK_BYTES) {
            return last;
        }
    }
    struct chunk *chunk = reserve_chunk(tail) ? calloc(1, sizeof *chunk) : NULL;
    if (chunk != NULL) {
        chunk->tail = tail;
        chunk->first = tail->next;
        tail->chunks[tail->end++] = chunk;
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

/* The index of the chunk that has this offset, which is in the tail. */
static size_t find_chunk(const struct tail *tail, int64_t offset)
{
    size_t low = tail->begin;
    size_t high = tail->end;

    while (high - low > 1) { /* it is in [low, high) */
        size_t middle = low + (high - low) / 2;
        if (tail->chunks[middle]->first <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

bool tail_read_locked(const struct tail *tail, int64_t from, size_t count_max, size_t bytes_max,
                      struct store_range *range)
{
    if (from < tail->first || from >= tail->next) {
        return false;
    }
    for (size_t k = find_chunk(tail, from); k < tail->end; k++) {
        const struct chunk *chunk = tail->chunks[k];
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
