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
 *
 * A seek begins a new run: within each run the offsets ascend, and what was passed over
 * because a seek said so is not missing.
 */
#include "harness/check/check_parts.h"

#include "harness/check/diff.h"
#include "harness/check/parallel.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- streams ----------------------------------------------------------------------- */

static void stream_init(const struct checking *k, struct stream *stream, size_t consumer,
                        enum finding_source source)
{
    const struct history_consumer *from = &k->h->consumers[consumer];
    size_t count = source == SOURCE_HISTORY ? from->receives.count
                   : from->output_same      ? 0
                                            : from->output.count;

    *stream = (struct stream){.consumer = consumer,
                              .source = source,
                              .by_text = k->plain || source == SOURCE_FILE,
                              .from = from,
                              .count = count};
    stream->entries = memory_zeroed(count, sizeof *stream->entries);
    stream->reads = memory_zeroed(k->s->topic_count, 1);
    for (size_t i = 0; i < k->s->consumers[consumer].topic_count; i++) {
        stream->reads[k->s->consumers[consumer].topics[i]] = 1;
    }
    stream->cells = memory_zeroed(k->s->topic_count, sizeof *stream->cells);
    stream->received = memory_zeroed(k->s->topic_count, sizeof *stream->received);
    for (size_t t = 0; t < k->s->topic_count; t++) {
        stream->received[t] = memory_zeroed(stream->reads[t] ? k->logs[t].count : 0, 1);
        stream->cells[t].consumer = consumer;
        stream->cells[t].topic = t;
        stream->cells[t].expected = k->s->topics[t].expected;
        /* What never came into the log cannot be received. */
        stream->cells[t].missing = k->s->topics[t].expected - (int64_t)k->logs[t].owed;
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
    free(stream->entries);
    free(stream->strays.items);
}

static uint32_t topic_text_at(const struct stream *stream, size_t at)
{
    return stream->source == SOURCE_HISTORY ? stream->from->receives.items[at].topic
                                            : stream->from->output.items[at].topic;
}

static uint32_t message_at(const struct stream *stream, size_t at)
{
    return stream->source == SOURCE_HISTORY ? stream->from->receives.items[at].message
                                            : stream->from->output.items[at].message;
}

/* The topic of an item, if the consumer reads it. */
static size_t topic_at(const struct checking *k, const struct stream *stream, size_t at)
{
    size_t topic = topic_of(k, topic_text_at(stream, at));
    return topic != FINDING_TOPIC_NONE && stream->reads[topic] ? topic : FINDING_TOPIC_NONE;
}

struct stream_item stream_item(const struct checking *k, const struct stream *stream, size_t at)
{
    struct stream_item item = {.topic = topic_at(k, stream, at),
                               .topic_text = topic_text_at(stream, at),
                               .message = message_at(stream, at),
                               .offset = OFFSET_NONE,
                               .line = (int64_t)at + 1,
                               .time_ns = TIME_NONE,
                               .entry = stream->entries[at]};

    if (stream->source == SOURCE_HISTORY) {
        const struct history_receive *r = &stream->from->receives.items[at];
        item.offset = stream->by_text ? OFFSET_NONE : r->offset;
        item.line = r->line;
        item.time_ns = r->time_ns;
    }
    return item;
}

/* ---- one topic beside its log ------------------------------------------------------- */

/* The items of one topic. */
struct lane {
    const struct checking *k;
    struct stream *stream;
    size_t topic;
    const struct topic_log *log;
    uint32_t *items; /* indices into the stream's items */
    size_t count;
};

static void lane_keep(const struct lane *lane, size_t i, uint32_t entry)
{
    lane->stream->entries[lane->items[i]] = entry;
    lane->stream->received[lane->topic][entry] = 1;
}

/* The entry that a receive says it is, if the text is right; else ENTRY_NONE. */
static uint32_t lane_entry(const struct lane *lane, size_t i)
{
    const struct history_receive *r = &lane->stream->from->receives.items[lane->items[i]];
    size_t entry;

    return topic_log_find(lane->log, r->offset, &entry) &&
                   lane->log->items[entry].message == r->message
               ? (uint32_t)entry
               : ENTRY_NONE;
}

/* Items from `first` on that are not in order: the longest run that ascends. What should not be in
 * the log has no place to be in, and is what it is wherever it came. */
static void lane_align_disorder(const struct lane *lane, size_t first, size_t end)
{
    uint32_t *entries = memory_zeroed(end - first, sizeof *entries);
    size_t *from = memory_zeroed(end - first, sizeof *from); /* lane index of each candidate */
    unsigned char *kept = memory_zeroed(end - first, 1);
    unsigned char *extras = memory_zeroed(lane->log->count, 1); /* that came in this run */
    size_t count = 0;

    for (size_t i = first; i < end; i++) {
        uint32_t entry = lane_entry(lane, i);
        bool extra = entry != ENTRY_NONE && (lane->log->items[entry].flags & ENTRY_EXTRA) != 0;
        if (extra && !extras[entry]) {
            extras[entry] = 1;
            lane_keep(lane, i, entry);
        } else if (entry != ENTRY_NONE && !extra) {
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
    free(extras);
}

/* One run between seeks; nearly all are in order. */
static void lane_align_run(const struct lane *lane, size_t first, size_t end)
{
    uint32_t last = ENTRY_NONE;

    for (size_t i = first; i < end; i++) {
        uint32_t entry = lane_entry(lane, i);
        if (entry != ENTRY_NONE && last != ENTRY_NONE && entry <= last) {
            lane_align_disorder(lane, first, end);
            return;
        }
        last = entry != ENTRY_NONE ? entry : last;
    }
    for (size_t i = first; i < end; i++) {
        uint32_t entry = lane_entry(lane, i);
        if (entry != ENTRY_NONE) {
            lane_keep(lane, i, entry);
        }
    }
}

static void lane_align_by_offset(const struct lane *lane)
{
    const struct history_consumer *from = lane->stream->from;
    size_t first = 0;

    for (size_t s = 0; s < from->seeks.count; s++) {
        size_t end = first;
        if (from->seeks.items[s].topic != lane->topic) {
            continue;
        }
        while (end < lane->count && lane->items[end] < from->seeks.items[s].receives) {
            end++;
        }
        lane_align_run(lane, first, end);
        first = end;
    }
    lane_align_run(lane, first, lane->count);
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
        got[i] = message_at(lane->stream, lane->items[i]);
    }
    diff_match(sent, lane->log->count, got, lane->count, match);
    for (size_t i = 0; i < lane->log->count; i++) {
        if (match[i] != DIFF_NONE) {
            lane_keep(lane, match[i], (uint32_t)i);
        }
    }
    free(sent);
    free(got);
    free(match);
}

static int64_t stray_key(const struct stream *stream, int64_t offset)
{
    return stream->by_text ? 0 : offset;
}

static bool is_alike(const struct stream *stream, const struct log_entry *a,
                     const struct log_entry *b)
{
    return stream->by_text && a->message == b->message;
}

/* An entry that the consumer has to get, and did not; a seek passes over all before it. */
static bool is_gap(const struct lane *lane, size_t entry)
{
    const struct history_consumer *from = lane->stream->from;
    int64_t offset = lane->log->items[entry].offset;

    if (lane->stream->received[lane->topic][entry] ||
        (lane->log->items[entry].flags & ENTRY_EXTRA) != 0) {
        return false;
    }
    for (size_t s = 0; s < from->seeks.count; s++) {
        if (from->seeks.items[s].topic == lane->topic && from->seeks.items[s].offset > offset &&
            from->seeks.items[s].outcome != OUTCOME_FAIL) {
            return false;
        }
    }
    return true;
}

static bool lane_has_gap(const struct lane *lane)
{
    for (size_t i = 0; i < lane->log->count; i++) {
        if (is_gap(lane, i)) {
            return true;
        }
    }
    return false;
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
    uint32_t *position = memory_zeroed(log->count, sizeof *position); /* item from 1; 0: none */
    size_t first = stream->strays.count;
    int64_t last = 0;
    int64_t low = 0;

    for (size_t i = 0; i < lane->count; i++) {
        if (stream->entries[lane->items[i]] != ENTRY_NONE) {
            position[stream->entries[lane->items[i]]] = lane->items[i] + 1;
        }
    }
    for (size_t i = 0; i < log->count; i++) {
        low = i > 0 && is_alike(stream, &log->items[i], &log->items[i - 1]) ? low : last;
        if (is_gap(lane, i)) {
            MEMORY_PUSH(&stream->strays,
                        (struct stray){.is_gap = true,
                                       .topic = lane->topic,
                                       .message = log->items[i].message,
                                       .key = stray_key(stream, log->items[i].offset),
                                       .low = low,
                                       .index = (uint32_t)i});
        } else if (position[i] != 0) {
            last = position[i];
        }
    }
    int64_t next = INT64_MAX;
    int64_t high = INT64_MAX;
    size_t stray = stream->strays.count;
    for (size_t i = log->count; i-- > 0 && stray > first;) {
        high = i + 1 < log->count && is_alike(stream, &log->items[i], &log->items[i + 1]) ? high
                                                                                          : next;
        if (stream->strays.items[stray - 1].index == i) {
            stream->strays.items[--stray].high = high;
        } else if (position[i] != 0) {
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
        while (to < lane->count && stream->by_text &&
               message_at(stream, lane->items[to]) == message_at(stream, lane->items[from])) {
            to++;
        }
        for (size_t i = from; i < to; i++) {
            if (stream->entries[lane->items[i]] == ENTRY_NONE) {
                struct stream_item item = stream_item(lane->k, stream, lane->items[i]);
                MEMORY_PUSH(&stream->strays,
                            (struct stray){.topic = lane->topic,
                                           .message = item.message,
                                           .key = stray_key(stream, item.offset),
                                           .low = (int64_t)lane->items[from] + 1,
                                           .high = (int64_t)lane->items[to - 1] + 1,
                                           .index = lane->items[i]});
            }
        }
        from = to;
    }
}

/* ---- all topics --------------------------------------------------------------------- */

/* The entry that a receive is, when it is not before `next`; else ENTRY_NONE. */
static uint32_t entry_from(const struct topic_log *log, const struct history_receive *r,
                           uint32_t next)
{
    size_t entry = next;

    if ((next < log->count && log->items[next].offset == r->offset) ||
        (topic_log_find(log, r->offset, &entry) && entry >= next)) {
        return log->items[entry].message == r->message ? (uint32_t)entry : ENTRY_NONE;
    }
    return ENTRY_NONE;
}

/* The usual history in one walk: every item is at its offset what the log has, and they ascend.
 * False: it is not like that. */
static bool stream_place(const struct checking *k, struct stream *stream)
{
    uint32_t *next = memory_zeroed(k->s->topic_count, sizeof *next);
    bool right = !stream->by_text && stream->from->seeks.count == 0;

    for (size_t i = 0; i < stream->count && right; i++) {
        const struct history_receive *r = &stream->from->receives.items[i];
        size_t topic = topic_at(k, stream, i);
        uint32_t entry =
            topic == FINDING_TOPIC_NONE ? ENTRY_NONE : entry_from(&k->logs[topic], r, next[topic]);
        right = entry != ENTRY_NONE;
        if (right) {
            stream->entries[i] = entry;
            stream->received[topic][entry] = 1;
            stream->cells[topic].received++;
            next[topic] = entry + 1;
        }
    }
    free(next);
    return right;
}

static void stream_displace(const struct checking *k, struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        stream->entries[i] = ENTRY_NONE;
    }
    for (size_t t = 0; t < k->s->topic_count; t++) {
        memset(stream->received[t], 0, stream->reads[t] ? k->logs[t].count : 0);
        stream->cells[t].received = 0;
    }
}

/* Did it get as many as there are, of every topic that it reads? */
static bool is_whole(const struct checking *k, const struct stream *stream)
{
    for (size_t t = 0; t < k->s->topic_count; t++) {
        if (stream->reads[t] && stream->cells[t].received != (int64_t)k->logs[t].count) {
            return false;
        }
    }
    return true;
}

/* Group the items by topic, in order; those of a topic that it does not read come last. */
static void lanes_fill(const struct checking *k, struct stream *stream, struct lane *lanes,
                       uint32_t *indices)
{
    size_t topics = k->s->topic_count;
    size_t used = 0;

    for (size_t i = 0; i < stream->count; i++) {
        size_t topic = topic_at(k, stream, i);
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
        size_t topic = topic_at(k, stream, i);
        struct lane *lane = &lanes[topic < topics ? topic : topics];
        lane->items[lane->count++] = (uint32_t)i;
    }
}

static void stream_align(const struct checking *k, struct stream *stream)
{
    size_t topics = k->s->topic_count;
    bool placed = stream_place(k, stream);

    if (placed && is_whole(k, stream)) {
        return;
    }
    if (!placed) {
        stream_displace(k, stream);
    }
    struct lane *lanes = memory_zeroed(topics + 1, sizeof *lanes);
    uint32_t *indices = memory_zeroed(stream->count, sizeof *indices);
    lanes_fill(k, stream, lanes, indices);
    for (size_t t = 0; t < topics; t++) {
        stream->cells[t].received = (int64_t)lanes[t].count;
        if (!stream->reads[t]) {
            continue;
        }
        if (!placed && stream->by_text) {
            lane_align_by_text(&lanes[t]);
        } else if (!placed) {
            lane_align_by_offset(&lanes[t]);
        }
        if (lane_has_gap(&lanes[t])) {
            lane_gaps(&lanes[t]);
        }
    }
    for (size_t t = 0; t <= topics; t++) {
        lane_extras(&lanes[t]);
    }
    free(lanes);
    free(indices);
}

/* What is in the log and should not be was delivered as it is there. */
static void extras_take(struct checking *k, struct stream *stream)
{
    bool any = false;

    for (size_t t = 0; t < k->s->topic_count; t++) {
        any = any || k->logs[t].owed < k->logs[t].count;
    }
    for (size_t i = 0; i < stream->count && any; i++) {
        size_t topic = topic_at(k, stream, i);
        if (stream->entries[i] == ENTRY_NONE ||
            (k->logs[topic].items[stream->entries[i]].flags & ENTRY_EXTRA) == 0) {
            continue;
        }
        const struct log_entry *entry = &k->logs[topic].items[stream->entries[i]];
        bool copy = entry->producer != PRODUCER_NOBODY;
        stream->cells[topic].duplicates += copy;
        stream->cells[topic].foreign += !copy;
        size_t finding =
            findings_get(&k->c->findings, copy ? FINDING_REDELIVERED : FINDING_PHANTOM,
                         stream->source, consumer_name(k, stream->consumer).text, topic,
                         topic_log_cause(&k->logs[topic], entry->offset), false);
        struct evidence *e = findings_count(&k->c->findings, finding);
        if (e != NULL) {
            struct stream_item item = stream_item(k, stream, i);
            e->offset = item.offset;
            e->line = item.line;
            e->text = item.message;
            e->time_ns = item.time_ns;
            evidence_say(e, "line %" PRId64 " (%s) is %s", item.line,
                         shown_text(k, item.message).text, copy ? "the copy" : "what nobody sent");
        }
    }
}

/* ---- the file beside the history ---------------------------------------------------- */

/* The first line (from 1) where they do not say the same; 0: there is none. */
static int64_t file_difference(const struct checking *k, const struct stream *history,
                               const struct stream *file)
{
    size_t both = history->count < file->count ? history->count : file->count;

    if (history->from->output_same) {
        return 0;
    }
    for (size_t i = 0; i < both; i++) {
        struct stream_item a = stream_item(k, history, i);
        struct stream_item b = stream_item(k, file, i);
        if (a.line != b.line || a.topic_text != b.topic_text || a.message != b.message) {
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
    return line > (int64_t)stream->count ? none
                                         : shown_text(k, message_at(stream, (size_t)line - 1));
}

static void say_file_differs(struct checking *k, const struct stream *history,
                             const struct stream *file, int64_t line)
{
    struct evidence *e = findings_add(&k->c->findings, FINDING_FILE_DIFFERS, SOURCE_FILE,
                                      consumer_name(k, file->consumer).text, FINDING_TOPIC_NONE);
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
    int64_t difference = file_difference(k, history, file);

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

/* No history of it: the file is the only witness. */
static bool is_file_alone(const struct stream *history)
{
    return history->count == 0 && history->from->output.count > 0;
}

static void consumer_file_check(struct checking *k, struct stream *history)
{
    struct stream file;

    stream_init(k, &file, history->consumer, SOURCE_FILE);
    file_check(k, history, &file);
    if (is_file_alone(history)) {
        for (size_t t = 0; t < k->s->topic_count; t++) {
            history->cells[t] = file.cells[t];
        }
    }
    stream_release(k, &file);
}

/* ---- every consumer sees the same order ---------------------------------------------- */

/* Who got something out of order differs from who did not: that follows from it. */
static size_t order_cause(struct checking *k, size_t topic, const struct stream *one,
                          const struct stream *other)
{
    const struct stream *guilty = other->cells[topic].out_of_order > 0 ? other : one;
    return guilty->cells[topic].out_of_order == 0
               ? FINDING_ROOT
               : findings_get(&k->c->findings, FINDING_OUT_OF_ORDER, SOURCE_HISTORY,
                              consumer_name(k, guilty->consumer).text, topic, FINDING_ROOT, false);
}

static void order_compare(struct checking *k, size_t topic, const struct stream *one,
                          const uint32_t *place_in_one, const struct stream *other)
{
    uint32_t highest = 0;
    uint32_t highest_entry = 0;

    for (size_t i = 0; i < other->count; i++) {
        uint32_t entry = other->entries[i];
        if (topic_at(k, other, i) != topic || entry == ENTRY_NONE || place_in_one[entry] == 0) {
            continue;
        }
        if (place_in_one[entry] > highest) {
            highest = place_in_one[entry];
            highest_entry = entry;
            continue;
        }
        size_t finding = findings_get(&k->c->findings, FINDING_ORDER_DISAGREEMENT, SOURCE_HISTORY,
                                      consumer_name(k, other->consumer).text, topic,
                                      order_cause(k, topic, one, other), false);
        struct evidence *e = findings_count(&k->c->findings, finding);
        int64_t first = k->logs[topic].items[highest_entry].offset;
        if (e != NULL) {
            struct stream_item item = stream_item(k, other, i);
            e->offset = k->logs[topic].items[entry].offset;
            e->line = item.line;
            e->text = item.message;
            e->time_ns = item.time_ns;
            evidence_say(e,
                         "C%" PRId64 " received offset %" PRId64 " before %" PRId64 ", C%" PRId64
                         " the other way round",
                         k->s->consumers[other->consumer].id, first, e->offset,
                         k->s->consumers[one->consumer].id);
        }
    }
}

/* Against the topic's first consumer: who agrees with it agrees with the others. Consumers that
 * got everything in the log's order agree. */
static void orders_check(struct checking *k, const struct stream *streams, size_t topic)
{
    const struct scenario_topic *t = &k->s->topics[topic];
    const struct stream *one = &streams[t->consumers[0]];
    bool disorder = false;

    for (size_t c = 0; c < t->consumer_count; c++) {
        disorder = disorder || streams[t->consumers[c]].cells[topic].out_of_order > 0;
    }
    if (!disorder) {
        return;
    }
    uint32_t *place = memory_zeroed(k->logs[topic].count, sizeof *place);
    for (size_t i = 0; i < one->count; i++) {
        if (topic_at(k, one, i) == topic && one->entries[i] != ENTRY_NONE) {
            place[one->entries[i]] = (uint32_t)i + 1;
        }
    }
    for (size_t c = 1; c < t->consumer_count; c++) {
        order_compare(k, topic, one, place, &streams[t->consumers[c]]);
    }
    free(place);
}

/* ---- what nobody got ------------------------------------------------------------------- */

/* When no rows tell: what the store lost is what no consumer got, of several that should have
 * (or of one, after the broker was started again). */
static void unstored_accuse(struct checking *k, const struct stream *streams, size_t topic,
                            const struct stray *gap)
{
    struct findings *f = &k->c->findings;
    const struct scenario_topic *t = &k->s->topics[topic];
    struct topic_log *log = &k->logs[topic];
    const struct log_entry *entry = &log->items[gap->index];
    int64_t acked_ns = entry_acked_ns(k, entry);

    if (acked_ns == TIME_NONE || (entry->flags & ENTRY_ACCUSED) != 0 ||
        (t->consumer_count < 2 && !restarted_after(k, acked_ns))) {
        return;
    }
    for (size_t c = 0; c < t->consumer_count; c++) {
        if (streams[t->consumers[c]].received[topic][gap->index]) {
            return;
        }
    }
    struct line_ref at = {entry->producer, entry->line};
    size_t finding =
        findings_get(f, FINDING_LOST, SOURCE_STORE, producer_name(k, entry->producer).text, topic,
                     FINDING_ROOT, loss_excused(k, topic, acked_ns));
    topic_log_accuse(log, entry->offset, finding);
    struct evidence *e = findings_count(f, finding);
    if (e != NULL) {
        e->line = line_number(k, at);
        e->offset = k->plain ? OFFSET_NONE : entry->offset;
        e->text = entry->message;
        e->time_ns = acked_ns;
        evidence_say(e, "line %" PRId64 " (%s) was acknowledged, and no consumer was given it",
                     e->line, shown_text(k, entry->message).text);
    }
}

/* Its first reader's gaps are enough to look at: what somebody got is not lost for all, nor is
 * what may have been in an answer that it did not get. */
static void unstored_check(struct checking *k, const struct stream *streams, size_t topic)
{
    const struct stream *one = &streams[k->s->topics[topic].consumers[0]];
    int64_t *empty_ns = check_empty_times(k, one->consumer);
    unsigned char *used = memory_zeroed(k->h->consumers[one->consumer].requests.count, 1);

    for (size_t i = 0; i < one->strays.count; i++) {
        const struct stray *gap = &one->strays.items[i];
        if (gap->is_gap && gap->topic == topic && check_proof_of_loss(k, gap, empty_ns) != NULL &&
            !(k->plain && check_lost_reply(k, one, gap, used))) {
            unstored_accuse(k, streams, topic, gap);
        }
    }
    topic_log_close(&k->logs[topic]);
    free(used);
    free(empty_ns);
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

struct aligning {
    const struct checking *k;
    struct stream *streams;
};

/* Streams do not touch each other, and the logs only are read. */
static void align_round(void *arg, size_t i)
{
    const struct aligning *a = arg;

    if (!is_file_alone(&a->streams[i])) {
        stream_align(a->k, &a->streams[i]);
    }
}

static void streams_align(struct checking *k, struct stream *streams)
{
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        stream_init(k, &streams[i], i, SOURCE_HISTORY);
        k->c->received += (int64_t)streams[i].count;
        if (!k->h->consumers[i].recorded) {
            evidence_say(findings_add(&k->c->findings, FINDING_NO_HISTORY, SOURCE_HISTORY,
                                      consumer_name(k, i).text, FINDING_TOPIC_NONE),
                         "there is no history/C%" PRId64 ".jsonl", k->s->consumers[i].id);
        }
    }
    parallel_each(k->s->consumer_count, align_round, &(struct aligning){k, streams});
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        extras_take(k, &streams[i]);
    }
}

void check_streams(struct checking *k)
{
    struct stream *streams = memory_zeroed(k->s->consumer_count, sizeof *streams);

    streams_align(k, streams);
    for (size_t t = 0; t < k->s->topic_count && !k->h->rows_read; t++) {
        unstored_check(k, streams, t);
    }
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        check_strays(k, &streams[i], NULL);
    }
    for (size_t t = 0; t < k->s->topic_count && !k->plain; t++) {
        orders_check(k, streams, t);
    }
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        consumer_file_check(k, &streams[i]);
    }
    deliveries_take(k, streams);
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        stream_release(k, &streams[i]);
    }
    free(streams);
}
