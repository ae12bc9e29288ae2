/*
 * ahead.c - a few ranges of messages, found by their consumer.
 */
#include "broker/core/ahead.h"

#include <string.h>

void ahead_reader_init(struct ahead_reader *reader)
{
    *reader = (struct ahead_reader){.read_end = -1, .kept_end = -1, .skip_after = 1};
}

size_t ahead_count(struct ahead_reader *reader, int64_t from, size_t count_max)
{
    if (reader->read_end != from || count_max >= AHEAD_COUNT) {
        return count_max;
    }
    if (from < reader->kept_end) { /* it was kept, and others have taken the place */
        reader->skip = reader->skip_after;
        reader->skip_after =
            2 * reader->skip_after > AHEAD_SKIP_MAX ? AHEAD_SKIP_MAX : 2 * reader->skip_after;
        reader->kept_end = -1;
    } else if (reader->kept_end == from) {
        reader->skip_after = 1;
    }
    if (reader->skip > 0) {
        reader->skip--;
        return count_max;
    }
    return AHEAD_COUNT;
}

void ahead_init(struct ahead *a)
{
    mutex_init(&a->lock, MUTEX_AHEAD);
    a->calls = 0;
    for (int i = 0; i < AHEAD_PLACES; i++) {
        a->places[i] = (struct ahead_place){0};
        range_init(&a->places[i].range);
    }
}

void ahead_release(struct ahead *a)
{
    for (int i = 0; i < AHEAD_PLACES; i++) {
        range_release(&a->places[i].range);
    }
    mutex_release(&a->lock);
}

static size_t size_of(const struct store_range *range, size_t i)
{
    uint32_t size;

    memcpy(&size, range->sizes.data + i * sizeof size, sizeof size);
    return size;
}

/* The consumer's place, or else the one that was used longest ago. */
static struct ahead_place *find_place_locked(struct ahead *a, int64_t consumer_id)
{
    struct ahead_place *oldest = &a->places[0];

    for (int i = 0; i < AHEAD_PLACES; i++) {
        if (a->places[i].consumer_id == consumer_id) {
            oldest = &a->places[i];
            break;
        }
        if (a->places[i].used < oldest->used) {
            oldest = &a->places[i];
        }
    }
    oldest->used = ++a->calls;
    return oldest;
}

/* Go to this offset, which is in the range; forward from where the last request ended. */
static void seek(struct ahead_place *place, int64_t offset)
{
    if (offset < place->range.first + (int64_t)place->taken) {
        place->taken = 0;
        place->taken_bytes = 0;
    }
    while (place->range.first + (int64_t)place->taken < offset) {
        place->taken_bytes += size_of(&place->range, place->taken++);
    }
}

/* The messages from where the place stands. */
static bool copy(struct ahead_place *place, size_t count_max, size_t bytes_max,
                 struct store_range *out)
{
    while (place->taken < place->range.count && out->count < count_max &&
           (out->count == 0 || out->bytes.size < bytes_max)) {
        size_t size = size_of(&place->range, place->taken);
        struct slice message = {place->range.bytes.data + place->taken_bytes, size};
        if (!range_add(out, message)) {
            return false;
        }
        place->taken++;
        place->taken_bytes += size;
    }
    return out->count > 0;
}

bool ahead_take(struct ahead *a, int64_t consumer_id, int64_t from, size_t count_max,
                size_t bytes_max, struct store_range *out)
{
    bool found = false;

    mutex_lock(&a->lock);
    for (int i = 0; i < AHEAD_PLACES && !found; i++) {
        struct ahead_place *place = &a->places[i];
        if (place->consumer_id == consumer_id && from >= place->range.first &&
            from < place->range.first + (int64_t)place->range.count) {
            seek(place, from);
            found = copy(place, count_max, bytes_max, out);
            place->used = ++a->calls;
            break;
        }
    }
    mutex_unlock(&a->lock);
    return found;
}

static void truncate_range(struct store_range *range, size_t count, size_t bytes)
{
    range->count = count;
    range->bytes.size = bytes;
    range->sizes.size = count * sizeof(uint32_t);
}

void ahead_keep(struct ahead *a, int64_t consumer_id, struct store_range *range, size_t count)
{
    struct ahead_place all = {.range = *range};
    struct store_range first;

    range_init(&first);
    range_clear(&first, range->first);
    if (!copy(&all, count, SIZE_MAX, &first) ||
        range->bytes.size - all.taken_bytes > AHEAD_BYTES_MAX) {
        range_release(&first);
        seek(&all, range->first + (int64_t)count);
        truncate_range(range, count, all.taken_bytes); /* the rest is read again */
        return;
    }
    mutex_lock(&a->lock);
    struct ahead_place *place = find_place_locked(a, consumer_id);
    struct store_range before = place->range;
    place->consumer_id = consumer_id;
    place->range = *range;
    place->taken = all.taken;
    place->taken_bytes = all.taken_bytes;
    mutex_unlock(&a->lock);
    range_release(&before);
    *range = first;
}
