/*
 * check_streams.c - what every consumer received, and what its file holds, beside the logs.
 *
 * A history has offsets: the longest run of items that ascends and whose messages are
 * right is what was delivered well. A file has only texts: there a longest common
 * subsequence says which lines are which entries. What is left over on either side are
 * strays, which check_strays.c names.
 *
 * A file that says line by line what the history says needs no look of its own. One that
 * does not is laid beside the logs too, and what is wrong with it is named by itself.
 */
#include "harness/check_parts.h"

#include "harness/diff.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- streams ----------------------------------------------------------------------- */

static void stream_init(const struct checking *k, struct stream *stream, size_t consumer,
                        enum finding_source source, size_t count)
{
    *stream = (struct stream){.consumer = consumer, .source = source, .count = count};
    stream->items = memory_zeroed(count, sizeof *stream->items);
    stream->reads = memory_zeroed(k->s->topic_count, 1);
    for (size_t i = 0; i < k->s->consumers[consumer].topic_count; i++) {
        stream->reads[k->s->consumers[consumer].topics[i]] = 1;
    }
    stream->cells = memory_zeroed(k->s->topic_count, sizeof *stream->cells);
    stream->received = memory_zeroed(k->s->topic_count, sizeof *stream->received);
    for (size_t t = 0; t < k->s->topic_count; t++) {
        stream->received[t] = memory_zeroed(k->logs[t].count, 1);
        stream->cells[t].consumer = consumer;
        stream->cells[t].topic = t;
        stream->cells[t].expected = k->s->topics[t].expected;
        /* What never came into the log cannot be received. */
        stream->cells[t].missing = k->s->topics[t].expected - (int64_t)k->logs[t].count;
    }
}

static void stream_release(const struct checking *k, struct stream *stream)
{
    for (size_t t = 0; t < k->s->topic_count && stream->received != NULL; t++) {
        free(stream->received[t]);
    }
    free(stream->received);
    free(stream->reads);
    free(stream->cells);
    free(stream->items);
    free(stream->strays.items);
}

static size_t topic_read(const struct checking *k, const struct stream *stream, uint32_t text)
{
    size_t topic = topic_of(k, text);
    return topic != FINDING_TOPIC_NONE && stream->reads[topic] ? topic : FINDING_TOPIC_NONE;
}

static void history_stream(const struct checking *k, size_t consumer, struct stream *stream)
{
    const struct history_consumer *c = &k->h->consumers[consumer];

    stream_init(k, stream, consumer, SOURCE_HISTORY, c->receives.count);
    for (size_t i = 0; i < c->receives.count; i++) {
        const struct history_receive *r = &c->receives.items[i];
        stream->items[i] = (struct stream_item){
            topic_read(k, stream, r->topic), r->topic, r->message, r->offset, r->line, ENTRY_NONE};
    }
}

static void file_stream(const struct checking *k, size_t consumer, struct stream *stream)
{
    const struct history_consumer *c = &k->h->consumers[consumer];

    stream_init(k, stream, consumer, SOURCE_FILE, c->output.count);
    for (size_t i = 0; i < c->output.count; i++) {
        const struct history_output_line *line = &c->output.items[i];
        stream->items[i] = (struct stream_item){topic_read(k, stream, line->topic),
                                                line->topic,
                                                line->message,
                                                OFFSET_NONE,
                                                (int64_t)i + 1,
                                                ENTRY_NONE};
    }
}

/* ---- one topic beside its log ------------------------------------------------------- */

/* The items of one topic. */
struct lane {
    const struct checking *k;
    struct stream *stream;
    size_t topic;
    const struct topic_log *log;
    size_t *items; /* indices into stream->items */
    size_t count;
};

static struct stream_item *lane_item(const struct lane *lane, size_t i)
{
    return &lane->stream->items[lane->items[i]];
}

static void lane_keep(const struct lane *lane, size_t i, size_t entry)
{
    lane_item(lane, i)->entry = entry;
    lane->stream->received[lane->topic][entry] = 1;
}

static void lane_align_by_offset(const struct lane *lane)
{
    size_t *entries = memory_zeroed(lane->count, sizeof *entries);
    size_t *from = memory_zeroed(lane->count, sizeof *from); /* lane index of each candidate */
    unsigned char *kept = memory_zeroed(lane->count, 1);
    size_t count = 0;

    for (size_t i = 0; i < lane->count; i++) {
        size_t entry;
        if (topic_log_find(lane->log, lane_item(lane, i)->offset, &entry) &&
            lane->log->items[entry].message == lane_item(lane, i)->message) {
            entries[count] = entry;
            from[count++] = i;
        }
    }
    diff_ascending(entries, count, kept);
    for (size_t i = 0; i < count; i++) {
        if (kept[i]) {
            lane_keep(lane, from[i], entries[i]);
        }
    }
    free(entries);
    free(from);
    free(kept);
}

static void lane_align_by_text(const struct lane *lane)
{
    uint32_t *sent = memory_zeroed(lane->log->count, sizeof *sent);
    uint32_t *got = memory_zeroed(lane->count, sizeof *got);
    size_t *match = memory_zeroed(lane->log->count, sizeof *match);

    for (size_t i = 0; i < lane->log->count; i++) {
        sent[i] = lane->log->items[i].message;
    }
    for (size_t i = 0; i < lane->count; i++) {
        got[i] = lane_item(lane, i)->message;
    }
    diff_match(sent, lane->log->count, got, lane->count, match);
    for (size_t i = 0; i < lane->log->count; i++) {
        if (match[i] != DIFF_NONE) {
            lane_keep(lane, match[i], i);
        }
    }
    free(sent);
    free(got);
    free(match);
}

static int64_t stray_key(const struct stream *stream, int64_t offset)
{
    return stream->source == SOURCE_FILE ? 0 : offset;
}

static bool is_alike(const struct stream *stream, const struct log_entry *a,
                     const struct log_entry *b)
{
    return stream->source == SOURCE_FILE && a->message == b->message;
}

/*
 * Entries without an item. Where there are no offsets, nobody can say which one of alike
 * neighbours is missing, so a gap may be anywhere within its run of equal messages: it lies
 * between the last item before the run and the first one behind it.
 */
static void lane_gaps(const struct lane *lane)
{
    const struct topic_log *log = lane->log;
    struct stream *stream = lane->stream;
    int64_t *position = memory_zeroed(log->count, sizeof *position); /* item from 1; 0: none */
    size_t first = stream->strays.count;
    int64_t last = 0;
    int64_t low = 0;

    for (size_t i = 0; i < lane->count; i++) {
        if (lane_item(lane, i)->entry != ENTRY_NONE) {
            position[lane_item(lane, i)->entry] = (int64_t)lane->items[i] + 1;
        }
    }
    for (size_t i = 0; i < log->count; i++) {
        low = i > 0 && is_alike(stream, &log->items[i], &log->items[i - 1]) ? low : last;
        if (position[i] == 0) {
            MEMORY_PUSH(&stream->strays,
                        (struct stray){.is_gap = true,
                                       .topic = lane->topic,
                                       .message = log->items[i].message,
                                       .key = stray_key(stream, log->items[i].offset),
                                       .low = low,
                                       .index = i});
        } else {
            last = position[i];
        }
    }
    int64_t next = INT64_MAX;
    int64_t high = INT64_MAX;
    size_t stray = stream->strays.count;
    for (size_t i = log->count; i-- > 0 && stray > first;) {
        high = i + 1 < log->count && is_alike(stream, &log->items[i], &log->items[i + 1]) ? high
                                                                                          : next;
        if (position[i] == 0) {
            stream->strays.items[--stray].high = high;
        } else {
            next = position[i];
        }
    }
    free(position);
}

/* Items that are no entry; without offsets it may be any of its alike neighbours. */
static void lane_extras(const struct lane *lane)
{
    struct stream *stream = lane->stream;

    for (size_t from = 0; from < lane->count;) {
        size_t to = from + 1;
        while (to < lane->count && stream->source == SOURCE_FILE &&
               lane_item(lane, to)->message == lane_item(lane, from)->message) {
            to++;
        }
        for (size_t i = from; i < to; i++) {
            const struct stream_item *item = lane_item(lane, i);
            if (item->entry == ENTRY_NONE) {
                MEMORY_PUSH(&stream->strays,
                            (struct stray){.topic = lane->topic,
                                           .message = item->message,
                                           .key = stray_key(stream, item->offset),
                                           .low = (int64_t)lane->items[from] + 1,
                                           .high = (int64_t)lane->items[to - 1] + 1,
                                           .index = lane->items[i]});
            }
        }
        from = to;
    }
}

/* ---- all topics --------------------------------------------------------------------- */

/* Group the items by topic, in order; those of a topic that it does not read come last. */
static void lanes_fill(const struct checking *k, struct stream *stream, struct lane *lanes,
                       size_t *indices)
{
    size_t topics = k->s->topic_count;
    size_t used = 0;

    for (size_t i = 0; i < stream->count; i++) {
        size_t topic = stream->items[i].topic;
        lanes[topic < topics ? topic : topics].count++;
    }
    for (size_t t = 0; t <= topics; t++) {
        lanes[t].k = k;
        lanes[t].stream = stream;
        lanes[t].topic = t < topics ? t : FINDING_TOPIC_NONE;
        lanes[t].log = t < topics ? &k->logs[t] : NULL;
        lanes[t].items = indices + used;
        used += lanes[t].count;
        lanes[t].count = 0;
    }
    for (size_t i = 0; i < stream->count; i++) {
        size_t topic = stream->items[i].topic;
        struct lane *lane = &lanes[topic < topics ? topic : topics];
        lane->items[lane->count++] = i;
    }
}

static void stream_align(const struct checking *k, struct stream *stream)
{
    size_t topics = k->s->topic_count;
    struct lane *lanes = memory_zeroed(topics + 1, sizeof *lanes);
    size_t *indices = memory_zeroed(stream->count, sizeof *indices);

    lanes_fill(k, stream, lanes, indices);
    for (size_t t = 0; t < topics; t++) {
        stream->cells[t].received = (int64_t)lanes[t].count;
        if (!stream->reads[t]) {
            continue;
        }
        if (stream->source == SOURCE_FILE) {
            lane_align_by_text(&lanes[t]);
        } else {
            lane_align_by_offset(&lanes[t]);
        }
        lane_gaps(&lanes[t]);
    }
    for (size_t t = 0; t <= topics; t++) {
        lane_extras(&lanes[t]);
    }
    free(lanes);
    free(indices);
}

/* ---- the file beside the history ---------------------------------------------------- */

/* The first line (from 1) where they do not say the same; 0: there is none. */
static int64_t file_difference(const struct stream *history, const struct stream *file)
{
    size_t both = history->count < file->count ? history->count : file->count;

    for (size_t i = 0; i < both; i++) {
        const struct stream_item *a = &history->items[i];
        const struct stream_item *b = &file->items[i];
        if (a->line != b->line || a->topic_text != b->topic_text || a->message != b->message) {
            return (int64_t)i + 1;
        }
    }
    return history->count == file->count ? 0 : (int64_t)both + 1;
}

/* A consumer that was stopped may have written a line and not yet recorded it. */
static bool is_cut_off(const struct checking *k, const struct stream *history,
                       const struct stream *file, int64_t difference)
{
    return file->count == history->count + 1 && difference == (int64_t)file->count &&
           (int64_t)history->count < k->s->consumers[history->consumer].expected;
}

static struct shown_text item_shown(const struct checking *k, const struct stream *stream,
                                    int64_t line)
{
    struct shown_text none = {"nothing"};
    return line > (int64_t)stream->count ? none : shown_text(k, stream->items[line - 1].message);
}

static void say_file_differs(struct checking *k, const struct stream *history,
                             const struct stream *file, int64_t line)
{
    struct evidence *e = findings_add(&k->c->findings, FINDING_FILE_DIFFERS, SOURCE_FILE,
                                      process_name("C", k->s->consumers[file->consumer].id).text,
                                      FINDING_TOPIC_NONE);
    if (e != NULL) {
        e->line = line;
        evidence_say(e,
                     "line %" PRId64 " of the file is %s, received was %s; the file has %zu "
                     "lines, received were %zu",
                     line, item_shown(k, file, line).text, item_shown(k, history, line).text,
                     file->count, history->count);
    }
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The worse of what the history and the file say. */
static void cells_merge(struct check_delivery *cell, const struct check_delivery *file)
{
    cell->received = file->received;
    cell->missing = larger(cell->missing, file->missing);
    cell->duplicates = larger(cell->duplicates, file->duplicates);
    cell->out_of_order = larger(cell->out_of_order, file->out_of_order);
    cell->foreign = larger(cell->foreign, file->foreign);
    cell->misrouted = larger(cell->misrouted, file->misrouted);
    cell->corrupt = larger(cell->corrupt, file->corrupt);
}

static void file_check(struct checking *k, struct stream *history, struct stream *file)
{
    size_t strays = history->strays.count;
    int64_t difference = file_difference(history, file);

    if (difference == 0) {
        return;
    }
    stream_align(k, file);
    if (file->strays.count == 0 && strays == 0 && k->h->consumers[file->consumer].recorded &&
        !is_cut_off(k, history, file, difference)) {
        say_file_differs(k, history, file, difference); /* only the topics' interleaving */
    }
    check_strays(k, file, history->count > 0 ? history : NULL);
    for (size_t t = 0; t < k->s->topic_count; t++) {
        cells_merge(&history->cells[t], &file->cells[t]);
    }
}

static void consumer_check(struct checking *k, size_t consumer, struct stream *history)
{
    struct stream file;

    history_stream(k, consumer, history);
    file_stream(k, consumer, &file);
    if (!k->h->consumers[consumer].recorded) {
        evidence_say(findings_add(&k->c->findings, FINDING_NO_HISTORY, SOURCE_HISTORY,
                                  process_name("C", k->s->consumers[consumer].id).text,
                                  FINDING_TOPIC_NONE),
                     "there is no history/C%" PRId64 ".jsonl", k->s->consumers[consumer].id);
    }
    if (history->count == 0 && file.count > 0) {
        file_check(k, history, &file); /* no history of it: the file is the only witness */
        for (size_t t = 0; t < k->s->topic_count; t++) {
            history->cells[t] = file.cells[t];
        }
    } else {
        stream_align(k, history);
        check_strays(k, history, NULL);
        file_check(k, history, &file);
    }
    stream_release(k, &file);
}

/* ---- every consumer sees the same order ---------------------------------------------- */

static void order_compare(struct checking *k, size_t topic, const struct stream *one,
                          const int64_t *place_in_one, const struct stream *other)
{
    int64_t highest = 0;
    size_t highest_entry = 0;

    for (size_t i = 0; i < other->count; i++) {
        const struct stream_item *item = &other->items[i];
        if (item->topic != topic || item->entry == ENTRY_NONE || place_in_one[item->entry] == 0) {
            continue;
        }
        if (place_in_one[item->entry] > highest) {
            highest = place_in_one[item->entry];
            highest_entry = item->entry;
            continue;
        }
        struct evidence *e =
            findings_add(&k->c->findings, FINDING_ORDER_DISAGREEMENT, SOURCE_HISTORY,
                         process_name("C", k->s->consumers[other->consumer].id).text, topic);
        int64_t first = k->logs[topic].items[highest_entry].offset;
        int64_t second = k->logs[topic].items[item->entry].offset;
        if (e != NULL) {
            e->offset = second;
            e->line = item->line;
            evidence_say(e,
                         "C%" PRId64 " received offset %" PRId64 " before %" PRId64 ", C%" PRId64
                         " the other way round",
                         k->s->consumers[other->consumer].id, first, second,
                         k->s->consumers[one->consumer].id);
        }
    }
}

/* Against the topic's first consumer: who agrees with it agrees with the others. */
static void orders_check(struct checking *k, const struct stream *streams, size_t topic)
{
    const struct scenario_topic *t = &k->s->topics[topic];
    const struct stream *one = &streams[t->consumers[0]];
    int64_t *place = memory_zeroed(k->logs[topic].count, sizeof *place);

    for (size_t i = 0; i < one->count; i++) {
        if (one->items[i].topic == topic && one->items[i].entry != ENTRY_NONE) {
            place[one->items[i].entry] = (int64_t)i + 1;
        }
    }
    for (size_t c = 1; c < t->consumer_count; c++) {
        order_compare(k, topic, one, place, &streams[t->consumers[c]]);
    }
    free(place);
}

/* ---- all consumers ------------------------------------------------------------------- */

static void deliveries_take(struct checking *k, const struct stream *streams)
{
    struct check *c = k->c;
    size_t most = k->s->consumer_count * k->s->topic_count;

    c->deliveries = memory_zeroed(most, sizeof *c->deliveries);
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        for (size_t t = 0; t < k->s->topic_count; t++) {
            if (streams[i].reads[t]) {
                c->deliveries[c->delivery_count++] = streams[i].cells[t];
            }
        }
    }
}

void check_streams(struct checking *k)
{
    struct stream *streams = memory_zeroed(k->s->consumer_count, sizeof *streams);

    for (size_t i = 0; i < k->s->consumer_count; i++) {
        consumer_check(k, i, &streams[i]);
        k->c->received += (int64_t)streams[i].count;
    }
    for (size_t t = 0; t < k->s->topic_count; t++) {
        orders_check(k, streams, t);
    }
    deliveries_take(k, streams);
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        stream_release(k, &streams[i]);
    }
    free(streams);
}
