/*
 * fates.c - acknowledged offsets first, then who received them, then each send's fate.
 */
#include "harness/report/fates.h"

#include "harness/memory.h"

#include <stdlib.h>

/* Offsets count from 0 without gaps. One that is far beyond all that was sent is a finding of
 * the checker's; here it has no place, so that it costs no memory. */
#define OFFSETS_PER_SEND 4
#define OFFSETS_SPARE 1024

static void topics_take(struct fates *f, const struct history *h)
{
    f->text_count = 0;
    for (size_t t = 0; t < f->s->topic_count; t++) {
        uint32_t text = texts_find(&h->texts, slice_of(f->s->topics[t].name));
        if (text != TEXT_NONE && text >= f->text_count) {
            f->text_count = (size_t)text + 1;
        }
    }
    f->topics = memory_zeroed(f->text_count, sizeof *f->topics);
    for (size_t i = 0; i < f->text_count; i++) {
        f->topics[i] = SIZE_MAX;
    }
    for (size_t t = 0; t < f->s->topic_count; t++) {
        uint32_t text = texts_find(&h->texts, slice_of(f->s->topics[t].name));
        if (text != TEXT_NONE) {
            f->topics[text] = t;
        }
    }
}

size_t fates_topic(const struct fates *f, uint32_t text)
{
    return text < f->text_count ? f->topics[text] : SIZE_MAX;
}

/* NULL: this offset has no place. */
static struct fate_place *place_at(const struct fates *f, uint32_t topic_text, int64_t offset)
{
    size_t topic = fates_topic(f, topic_text);

    if (topic == SIZE_MAX || offset < 0 || (uint64_t)offset >= f->place_counts[topic]) {
        return NULL;
    }
    return &f->places[topic][offset];
}

static void places_make(struct fates *f, const struct history *h)
{
    size_t limit = OFFSETS_SPARE;

    for (size_t p = 0; p < h->producer_count; p++) {
        limit += OFFSETS_PER_SEND * h->producers[p].sends.count;
    }
    for (size_t p = 0; p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            const struct history_send *send = &h->producers[p].sends.items[i];
            size_t topic = fates_topic(f, send->topic);
            if (topic != SIZE_MAX && send->outcome == OUTCOME_OK && send->offset >= 0 &&
                (uint64_t)send->offset < limit &&
                (uint64_t)send->offset >= f->place_counts[topic]) {
                f->place_counts[topic] = (size_t)send->offset + 1;
            }
        }
    }
    for (size_t t = 0; t < f->s->topic_count; t++) {
        f->places[t] = memory_zeroed(f->place_counts[t], sizeof **f->places);
        for (size_t i = 0; i < f->place_counts[t]; i++) {
            f->places[t][i].sent_ns = TIME_NONE;
        }
    }
}

static void sends_take(struct fates *f, const struct history *h)
{
    for (size_t p = 0; p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            const struct history_send *send = &h->producers[p].sends.items[i];
            struct fate_place *place = place_at(f, send->topic, send->offset);
            if (send->outcome != OUTCOME_OK) {
                continue;
            }
            histogram_record(&f->acknowledged, send->end_ns - send->begin_ns);
            if (place != NULL) {
                place->sent_ns = send->begin_ns;
                place->message = send->message;
            }
        }
    }
}

static void receives_take(struct fates *f, const struct history *h)
{
    for (size_t c = 0; c < h->consumer_count; c++) {
        for (size_t i = 0; i < h->consumers[c].receives.count; i++) {
            const struct history_receive *receive = &h->consumers[c].receives.items[i];
            struct fate_place *place = place_at(f, receive->topic, receive->offset);
            if (place == NULL || place->sent_ns == TIME_NONE || place->latest == c + 1 ||
                place->message != receive->message) {
                continue;
            }
            place->latest = (uint16_t)(c + 1);
            place->consumers++;
            histogram_record(&f->delivered, receive->time_ns - place->sent_ns);
        }
    }
}

static void rows_take(struct fates *f, const struct history *h)
{
    f->rows_read = h->rows_read;
    for (size_t i = 0; i < h->rows.count; i++) {
        const struct history_row *row = &h->rows.items[i];
        struct fate_place *place = place_at(f, row->topic, row->offset);
        if (place != NULL && row->message == place->message) {
            place->stored = true;
        }
    }
}

enum fate fate_of(const struct fates *f, const struct history_send *send)
{
    const struct fate_place *place;

    switch (send->outcome) {
    case OUTCOME_FAIL:
        return FATE_REFUSED;
    case OUTCOME_OK:
        place = place_at(f, send->topic, send->offset);
        if (place == NULL) {
            return FATE_UNPLACED;
        }
        if (f->rows_read && (!place->stored || place->message != send->message)) {
            return FATE_NOT_STORED;
        }
        if (place->message != send->message) {
            return FATE_UNDELIVERED;
        }
        return place->consumers < f->s->topics[f->topics[send->topic]].consumer_count
                   ? FATE_UNDELIVERED
                   : FATE_DELIVERED;
    default:
        return FATE_UNKNOWN;
    }
}

void fates_take(struct fates *f, const struct scenario *s, const struct history *h)
{
    *f = (struct fates){.s = s};
    f->places = memory_zeroed(s->topic_count, sizeof *f->places);
    f->place_counts = memory_zeroed(s->topic_count, sizeof *f->place_counts);
    topics_take(f, h);
    places_make(f, h);
    sends_take(f, h);
    receives_take(f, h);
    rows_take(f, h);
    for (size_t p = 0; p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            f->counts[fate_of(f, &h->producers[p].sends.items[i])]++;
        }
    }
}

void fates_release(struct fates *f)
{
    for (size_t t = 0; f->places != NULL && t < f->s->topic_count; t++) {
        free(f->places[t]);
    }
    free(f->places);
    free(f->place_counts);
    free(f->topics);
}
