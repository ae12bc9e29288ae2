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
 * A seek begins a new run: a run begins at the seek's offset, its offsets ascend, and nothing is
 * missing within it; the last run goes on to the end of the log.
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
        stream->cells[t].expected = scenario_expected(k->s, &k->s->consumers[consumer], t);
        /* What never came into the log cannot be received. */
        stream->cells[t].not_stored = k->s->topics[t].expected - (int64_t)k->logs[t].owed;
        stream->cells[t].missing = stream->cells[t].not_stored;
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
    free(stream->ignored.items);
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

/* ---- between seeks --------------------------------------------------------------------- */

/* What a consumer was given of a topic until it seeks, or to the end. */
struct run {
    size_t first; /* of the lane's items, up to `end` */
    size_t end;
    const struct history_seek *seek;  /* which began it; NULL: none */
    const struct history_seek *since; /* the first one since it was given something */
    uint32_t before;                  /* the entry that it was given last before; ENTRY_NONE */
    bool is_last;
};

struct runs {
    const struct lane *lane;
    size_t seek;      /* the next to be looked at */
    struct run run;   /* the one that was taken */
    struct run after; /* the one behind it, without its end */
};

/* A seek that was refused moves nobody. */
static const struct history_seek *runs_next_seek(struct runs *r)
{
    const struct history_consumer *from = r->lane->stream->from;

    while (r->seek < from->seeks.count) {
        const struct history_seek *seek = &from->seeks.items[r->seek++];
        if (seek->topic == r->lane->topic && seek->outcome != OUTCOME_FAIL) {
            return seek;
        }
    }
    return NULL;
}

/* The entry that an item says it is, in its place or not; without offsets, where it has its place.
 */
static uint32_t run_entry(const struct lane *lane, size_t i)
{
    return lane->stream->by_text ? lane->stream->entries[lane->items[i]] : lane_entry(lane, i);
}

/* The first or the last entry that came in a run; ENTRY_NONE: there is none. */
static uint32_t run_edge(const struct lane *lane, const struct run *run, bool last)
{
    for (size_t i = 0; i < run->end - run->first; i++) {
        uint32_t entry = run_entry(lane, last ? run->end - 1 - i : run->first + i);
        if (entry != ENTRY_NONE) {
            return entry;
        }
    }
    return ENTRY_NONE;
}

static struct runs runs_of(const struct lane *lane)
{
    return (struct runs){.lane = lane, .after = {.before = ENTRY_NONE}};
}

/* The next run. What the one before it was given is settled. */
static struct run runs_take(struct runs *r)
{
    const struct history_seek *seek = runs_next_seek(r);
    uint32_t last = run_edge(r->lane, &r->run, true);
    struct run *run = &r->run;

    if (last != ENTRY_NONE) {
        r->after.before = last;
        r->after.since = r->after.seek;
    }
    *run = r->after;
    run->end = run->first;
    run->is_last = seek == NULL;
    while (run->end < r->lane->count &&
           (run->is_last || r->lane->items[run->end] < seek->receives)) {
        run->end++;
    }
    r->after = (struct run){.first = run->end,
                            .seek = seek,
                            .since = run->since == NULL ? seek : run->since,
                            .before = run->before};
    return *run;
}

/* The first entry that a seek is to give. */
static size_t seek_entry(const struct lane *lane, const struct history_seek *seek)
{
    size_t entry = 0;

    topic_log_find(lane->log, seek->offset, &entry);
    return entry;
}

/* Did the consumer go on after the seek as if it had not asked? */
static bool is_ignored(const struct lane *lane, const struct run *run)
{
    uint32_t first = run_edge(lane, run, false);

    if (run->seek == NULL || run->seek->outcome != OUTCOME_OK || first == ENTRY_NONE) {
        return false;
    }
    size_t wanted = seek_entry(lane, run->seek);
    return first < wanted || (first > wanted && first == run->before + 1); /* ENTRY_NONE + 1 is 0 */
}

/* From which entry on everything is owed in this run, up to the run's last one; what lies before
 * has no place in it. Where nobody knows whether a seek was done, it is the last of the places
 * where the consumer may have been that is not behind what came. */
static size_t run_begin(const struct lane *lane, const struct run *run)
{
    uint32_t first = run_edge(lane, run, false);
    size_t begin = (uint32_t)(run->before + 1); /* ENTRY_NONE + 1 is 0 */
    bool found = begin <= first;

    if (run->seek == NULL || is_ignored(lane, run)) {
        return run->seek == NULL ? 0 : first;
    }
    for (const struct history_seek *seek = run->since; seek <= run->seek; seek++) {
        if (seek->topic != lane->topic || seek->outcome == OUTCOME_FAIL) {
            continue;
        }
        size_t entry = seek_entry(lane, seek);
        found = found && seek->outcome != OUTCOME_OK;
        if (entry <= first && (!found || entry > begin)) {
            begin = entry;
            found = true;
        }
    }
    return found ? begin : first;
}

/* A run that is not in order: the longest that ascends from entry `begin` on. What should not be in
 * the log has no place to be in, and is what it is wherever it came. */
static void lane_align_disorder(const struct lane *lane, const struct run *run, size_t begin)
{
    size_t first = run->first;
    size_t end = run->end;
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
        } else if (entry != ENTRY_NONE && !extra && entry >= begin) {
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

/* The items of a run beside the log, from entry `begin` on; nearly all are in order. */
static void lane_align_run(const struct lane *lane, const struct run *run, size_t begin)
{
    uint32_t last = ENTRY_NONE;

    for (size_t i = run->first; i < run->end; i++) {
        uint32_t entry = lane_entry(lane, i);
        if (entry != ENTRY_NONE && (entry < begin || (last != ENTRY_NONE && entry <= last))) {
            lane_align_disorder(lane, run, begin);
            return;
        }
        last = entry != ENTRY_NONE ? entry : last;
    }
    for (size_t i = run->first; i < run->end; i++) {
        uint32_t entry = lane_entry(lane, i);
        if (entry != ENTRY_NONE) {
            lane_keep(lane, i, entry);
        }
    }
}

/* The items of a run beside the log, by their texts. */
static void lane_align_texts(const struct lane *lane, const struct run *run)
{
    bool known = run->seek != NULL && run->seek->outcome == OUTCOME_OK;
    size_t begin = known ? seek_entry(lane, run->seek) : 0;
    size_t sent_count = lane->log->count - begin;
    size_t got_count = run->end - run->first;
    uint32_t *sent = memory_zeroed(sent_count, sizeof *sent);
    uint32_t *got = memory_zeroed(got_count, sizeof *got);
    size_t *match = memory_zeroed(sent_count, sizeof *match);

    for (size_t i = 0; i < sent_count; i++) {
        sent[i] = lane->log->items[begin + i].message;
    }
    for (size_t i = 0; i < got_count; i++) {
        got[i] = message_at(lane->stream, lane->items[run->first + i]);
    }
    diff_match(sent, sent_count, got, got_count, match);
    for (size_t i = 0; i < sent_count; i++) {
        if (match[i] != DIFF_NONE) {
            lane_keep(lane, run->first + match[i], (uint32_t)(begin + i));
        }
    }
    free(sent);
    free(got);
    free(match);
}

static void lane_align(const struct lane *lane)
{
    struct runs runs = runs_of(lane);
    struct run run;

    do {
        run = runs_take(&runs);
        if (lane->stream->by_text) {
            lane_align_texts(lane, &run);
        } else {
            lane_align_run(lane, &run, run_begin(lane, &run));
        }
    } while (!run.is_last);
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

static bool lane_is_whole(const struct lane *lane)
{
    for (size_t i = 0; i < lane->log->count; i++) {
        if (!lane->stream->received[lane->topic][i] &&
            (lane->log->items[i].flags & ENTRY_EXTRA) == 0) {
            return false;
        }
    }
    return lane->stream->from->seeks.count == 0;
}

/* One behind the last entry that came in this run, in its place or not. */
static size_t run_reach(const struct lane *lane, const struct run *run)
{
    size_t reach = 0;

    for (size_t i = run->first; i < run->end; i++) {
        uint32_t entry = run_entry(lane, i);
        reach = entry != ENTRY_NONE && entry >= reach ? (size_t)entry + 1 : reach;
    }
    return reach;
}

/*
 * Entries from `begin` on, up to `end`, without an item in the run. Where there are no offsets,
 * nobody can say which one of alike neighbours is missing, so a gap may be anywhere within its run
 * of equal messages: it lies between the last item before the run and the first one behind it.
 */
static void run_gaps(const struct lane *lane, const struct run *run, size_t begin, size_t end)
{
    const struct topic_log *log = lane->log;
    struct stream *stream = lane->stream;
    uint32_t *position = memory_zeroed(log->count, sizeof *position); /* item from 1; 0: none */
    size_t first = stream->strays.count;
    size_t reach =
        stream->by_text ? 0 : run_reach(lane, run); /* of alike ones none is surely later */
    int64_t last = 0;
    int64_t low = 0;

    for (size_t i = run->first; i < run->end; i++) {
        if (stream->entries[lane->items[i]] != ENTRY_NONE) {
            position[stream->entries[lane->items[i]]] = lane->items[i] + 1;
        }
    }
    for (size_t i = begin; i < end; i++) {
        low = i > begin && is_alike(stream, &log->items[i], &log->items[i - 1]) ? low : last;
        if (position[i] == 0 && (log->items[i].flags & ENTRY_EXTRA) == 0) {
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
    for (size_t i = end; i-- > begin && stray > first;) {
        high = i + 1 < end && is_alike(stream, &log->items[i], &log->items[i + 1]) ? high : next;
        if (stream->strays.items[stray - 1].index == i) {
            stream->strays.items[--stray].high = high;
            stream->strays.items[stray].passed = high != INT64_MAX || i + 1 < reach;
        } else if (position[i] != 0) {
            next = position[i];
        }
    }
    free(position);
}

static void lane_gaps(const struct lane *lane)
{
    struct runs runs = runs_of(lane);
    struct run run;

    do {
        run = runs_take(&runs);
        if (is_ignored(lane, &run) && lane->stream->source == SOURCE_HISTORY) {
            MEMORY_PUSH(&lane->stream->ignored,
                        (struct ignored_seek){run.seek, run_edge(lane, &run, false)});
        }
        run_gaps(lane, &run, run_begin(lane, &run),
                 run.is_last ? lane->log->count : run_reach(lane, &run));
    } while (!run.is_last);
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
        if (!placed) {
            lane_align(&lanes[t]);
        }
        if (!lane_is_whole(&lanes[t])) {
            lane_gaps(&lanes[t]);
        }
    }
    for (size_t t = 0; t <= topics; t++) {
        lane_extras(&lanes[t]);
    }
    free(lanes);
    free(indices);
}

/* The seeks that changed nothing. */
static void ignored_take(struct checking *k, const struct stream *stream)
{
    for (size_t i = 0; i < stream->ignored.count; i++) {
        const struct history_seek *seek = stream->ignored.items[i].seek;
        const struct log_entry *got = &k->logs[seek->topic].items[stream->ignored.items[i].got];
        struct evidence *e = findings_add(&k->c->findings, FINDING_SEEK_IGNORED, SOURCE_HISTORY,
                                          consumer_name(k, stream->consumer).text, seek->topic);
        if (e != NULL) {
            e->offset = seek->offset;
            e->time_ns = seek->end_ns;
            evidence_say(e, "asked to go on at offset %" PRId64 " and was given offset %" PRId64,
                         seek->offset, got->offset);
        }
    }
}

/* What is an extra of the log: a copy, another topic's, or nobody's. */
static enum finding_kind extra_kind(const struct log_entry *entry)
{
    return entry->producer != PRODUCER_NOBODY      ? FINDING_REDELIVERED
           : (entry->flags & ENTRY_MISROUTED) != 0 ? FINDING_MISROUTED
                                                   : FINDING_PHANTOM;
}

static const char *extra_words(enum finding_kind kind)
{
    return kind == FINDING_REDELIVERED ? "the copy"
           : kind == FINDING_MISROUTED ? "of another topic"
                                       : "what nobody sent";
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
        enum finding_kind kind = extra_kind(entry);
        stream->cells[topic].duplicates += kind == FINDING_REDELIVERED;
        stream->cells[topic].misrouted += kind == FINDING_MISROUTED;
        stream->cells[topic].foreign += kind == FINDING_PHANTOM;
        size_t finding = findings_get(&k->c->findings, kind, stream->source,
                                      consumer_name(k, stream->consumer).text, topic,
                                      topic_log_cause(&k->logs[topic], entry->offset), EXCUSE_NONE);
        struct evidence *e = findings_count(&k->c->findings, finding);
        if (e != NULL) {
            struct stream_item item = stream_item(k, stream, i);
            e->offset = item.offset;
            e->line = item.line;
            e->text = item.message;
            e->time_ns = item.time_ns;
            evidence_say(e, "line %" PRId64 " (%s) is %s", item.line,
                         shown_text(k, item.message).text, extra_words(kind));
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
                              consumer_name(k, guilty->consumer).text, topic, FINDING_ROOT,
                              EXCUSE_NONE);
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
                                      order_cause(k, topic, one, other), EXCUSE_NONE);
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

static bool has_sought(const struct stream *stream, size_t topic)
{
    for (size_t i = 0; i < stream->from->seeks.count; i++) {
        if (stream->from->seeks.items[i].topic == topic) {
            return true;
        }
    }
    return false;
}

/* Who reads something again has no one order of its own, and is left out.
 * Against the topic's first consumer: who agrees with it agrees with the others. Consumers that
 * got everything in the log's order agree. */
static void orders_check(struct checking *k, const struct stream *streams, size_t topic)
{
    const struct scenario_topic *t = &k->s->topics[topic];
    const struct stream *one = &streams[t->consumers[0]];
    bool disorder = false;

    for (size_t c = 0; c < t->consumer_count; c++) {
        disorder = disorder || streams[t->consumers[c]].cells[topic].out_of_order > 0;
    }
    if (!disorder || has_sought(one, topic)) {
        return;
    }
    uint32_t *place = memory_zeroed(k->logs[topic].count, sizeof *place);
    for (size_t i = 0; i < one->count; i++) {
        if (topic_at(k, one, i) == topic && one->entries[i] != ENTRY_NONE) {
            place[one->entries[i]] = (uint32_t)i + 1;
        }
    }
    for (size_t c = 1; c < t->consumer_count; c++) {
        if (!has_sought(&streams[t->consumers[c]], topic)) {
            order_compare(k, topic, one, place, &streams[t->consumers[c]]);
        }
    }
    free(place);
}

/* ---- what nobody got ------------------------------------------------------------------- */

/* When a consumer had read past it; INT64_MAX: it did not, or where it belongs is a guess. */
static int64_t gone_ns(const struct checking *k, const struct stream *stream,
                       const struct stray *gap)
{
    const struct log_entry *entry = &k->logs[gap->topic].items[gap->index];
    bool guessed = (entry->flags & ENTRY_GUESSED) != 0 ||
                   line_fate(k, (struct line_ref){entry->producer, entry->line})->guessed;

    return guessed || gap->high == INT64_MAX
               ? INT64_MAX
               : stream_item(k, stream, (size_t)gap->high - 1).time_ns;
}

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
    size_t finding = findings_get_between(
        f, FINDING_LOST, SOURCE_STORE, producer_name(k, entry->producer).text, topic,
        entry_loss_excused(k, entry),
        restarts_between(k, acked_ns, gone_ns(k, &streams[t->consumers[0]], gap)));
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
            moved_cause(k, one->consumer, gap) == FINDING_ROOT &&
            !(k->plain && check_lost_reply(k, one, gap, used))) {
            unstored_accuse(k, streams, topic, gap);
        }
    }
    topic_log_close(&k->logs[topic]);
    free(used);
    free(empty_ns);
}

/* ---- all consumers ------------------------------------------------------------------- */

/* Is there anything to compare the order of a stream with? Without offsets that takes messages
 * that are unlike, and in a plain run another consumer that got some. */
static bool has_order(const struct checking *k, const struct stream *streams,
                      const struct stream *stream, size_t topic)
{
    const struct topic_log *log = &k->logs[topic];
    const struct scenario_topic *t = &k->s->topics[topic];
    bool unlike = false;
    size_t others = 0;

    for (size_t i = 1; i < log->count && !unlike; i++) {
        unlike = log->items[i].message != log->items[0].message;
    }
    for (size_t c = 0; c < t->consumer_count; c++) {
        others += t->consumers[c] != stream->consumer &&
                  streams[t->consumers[c]].cells[topic].received > 0;
    }
    bool by_text = stream->by_text || is_file_alone(stream);
    return (!by_text || unlike) && (!k->plain || others > 0);
}

/* What was looked at, by what each promise is about. */
static void promises_count(struct checking *k, const struct stream *streams)
{
    struct check_promise *promises = k->c->promises;

    for (size_t i = 0; i < k->s->consumer_count; i++) {
        for (size_t t = 0; t < k->s->topic_count; t++) {
            int64_t received = streams[i].cells[t].received;
            if (!streams[i].reads[t]) {
                continue;
            }
            promises[PROMISE_DELIVERED].checked += (int64_t)k->logs[t].owed;
            promises[PROMISE_ONCE].checked += received;
            promises[PROMISE_GENUINE].checked += received;
            promises[PROMISE_ONE_ORDER].checked +=
                has_order(k, streams, &streams[i], t) ? received : 0;
        }
    }
}

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

void check_streams(struct checking *k)
{
    struct stream *streams = memory_zeroed(k->s->consumer_count, sizeof *streams);

    k->streams = streams;
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
        check_too_soon(k, &streams[i]);
        ignored_take(k, &streams[i]);
    }
}

void check_deliveries(struct checking *k)
{
    struct stream *streams = k->streams;

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
    promises_count(k, streams);
    deliveries_take(k, streams);
    for (size_t i = 0; i < k->s->consumer_count; i++) {
        stream_release(k, &streams[i]);
    }
    free(streams);
    k->streams = NULL;
}
