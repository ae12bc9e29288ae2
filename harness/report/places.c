/*
 * places.c - a topic and an offset make one key.
 */
#include "harness/report/places.h"

#include "harness/memory.h"

#include <stdlib.h>

static int64_t key_of(size_t topic, int64_t offset)
{
    return (int64_t)topic * (PLACE_OFFSET_MAX + 1) + offset;
}

static struct place *place_find(const struct places *l, size_t topic, int64_t offset)
{
    size_t index;

    if (topic >= SCENARIO_TOPICS_MAX || offset < 0 || offset > PLACE_OFFSET_MAX ||
        !intmap_get(&l->index, key_of(topic, offset), &index)) {
        return NULL;
    }
    return &l->items[index];
}

const struct place *places_get(const struct places *l, size_t topic, int64_t offset)
{
    return place_find(l, topic, offset);
}

void places_want(struct places *l, size_t topic, int64_t offset)
{
    if (topic >= SCENARIO_TOPICS_MAX || offset < 0 || offset > PLACE_OFFSET_MAX ||
        place_find(l, topic, offset) != NULL) {
        return;
    }
    intmap_put(&l->index, key_of(topic, offset), l->count);
    MEMORY_PUSH(l, (struct place){.topic = topic, .offset = offset});
}

/* The texts of the topics, in the scenario's order. */
static uint32_t *topic_texts(const struct scenario *s, const struct history *h)
{
    uint32_t *texts = memory_zeroed(s->topic_count, sizeof *texts);

    for (size_t t = 0; t < s->topic_count; t++) {
        texts[t] = texts_find(&h->texts, slice_of(s->topics[t].name));
    }
    return texts;
}

static size_t topic_of_text(const uint32_t *texts, size_t count, uint32_t text)
{
    size_t t = 0;

    while (t < count && texts[t] != text) {
        t++;
    }
    return t < count ? t : SIZE_MAX;
}

void places_fill(struct places *l, const struct scenario *s, const struct history *h)
{
    uint32_t *texts = topic_texts(s, h);

    for (size_t i = 0; i < l->count; i++) {
        l->items[i].received_ns = memory_zeroed(h->consumer_count, sizeof *l->items->received_ns);
        for (size_t c = 0; c < h->consumer_count; c++) {
            l->items[i].received_ns[c] = TIME_NONE;
        }
    }
    for (size_t p = 0; l->count > 0 && p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            const struct history_send *send = &h->producers[p].sends.items[i];
            struct place *place =
                send->outcome != OUTCOME_OK
                    ? NULL
                    : place_find(l, topic_of_text(texts, s->topic_count, send->topic),
                                 send->offset);
            if (place != NULL) {
                place->send = send;
                place->producer = p;
            }
        }
    }
    for (size_t i = 0; l->count > 0 && i < h->rows.count; i++) {
        const struct history_row *row = &h->rows.items[i];
        struct place *place =
            place_find(l, topic_of_text(texts, s->topic_count, row->topic), row->offset);
        if (place != NULL) {
            place->row = row;
        }
    }
    for (size_t c = 0; l->count > 0 && c < h->consumer_count; c++) {
        for (size_t i = h->consumers[c].receives.count; i-- > 0;) {
            const struct history_receive *receive = &h->consumers[c].receives.items[i];
            struct place *place = place_find(
                l, topic_of_text(texts, s->topic_count, receive->topic), receive->offset);
            if (place != NULL) {
                place->received_ns[c] = receive->time_ns;
            }
        }
    }
    free(texts);
}

void places_release(struct places *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].received_ns);
    }
    free(l->items);
    intmap_release(&l->index);
}
