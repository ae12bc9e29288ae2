/*
 * check_strays.c - what did not find its partner gets its name.
 *
 * Gaps and extras are brought together where that explains both at once, the strictest
 * explanation first; what then remains alone stands for itself:
 *
 *   gap + extra, same topic, same message                out-of-order: moved
 *   gap + extra, same message, same place, two topics    misrouted
 *   gap + extra, same topic, same place                  corrupt: changed; or, when the text
 *                                                        is another message's of the topic,
 *                                                        inconsistent-offset; or, when it was
 *                                                        sent to others only, misrouted
 *   extra, message known to its topic, other offset      inconsistent-offset
 *   extra, message known to its topic                    redelivered
 *   extra, message known to other topics only            misrouted
 *   extra, message known to nobody                       phantom
 *   gap                                                  lost, skipped, or unseen
 *
 * "Same place" is what `low` and `high` of struct stray say; in a history the offset
 * must be the same besides. Each step sorts the strays and walks once, so it is n log n.
 */
#include "harness/check/check_plain.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct naming {
    struct checking *k;
    struct stream *stream;
    const struct stream *history; /* NULL, or see check_strays() */
    struct process_name consumer;
    int64_t *empty_ns; /* by topic: when it last asked and was told that there is nothing */
    unsigned char *replies_used; /* by request: a lost answer that explains a message */
    signed char *differs; /* by topic: 1 if its order is another's, -1 if not, 0: not asked yet */
    struct check_delivery nowhere; /* counts what belongs to no cell */
    struct stray **open;           /* not named yet; sorted anew by each step */
    size_t open_count;
};

/* ---- how strays are sorted --------------------------------------------------------- */

#define COMPARE(x, y)                                                                              \
    if ((x) != (y)) {                                                                              \
        return (x) < (y) ? -1 : 1;                                                                 \
    }

typedef int stray_compare(const struct stray *a, const struct stray *b);

/* Each orders by what must be the same; the place comes last, in sort_compare(). */
static int by_topic_message(const struct stray *a, const struct stray *b)
{
    COMPARE(a->topic, b->topic)
    COMPARE(a->message, b->message)
    COMPARE(a->key, b->key)
    return 0;
}

static int by_message(const struct stray *a, const struct stray *b)
{
    COMPARE(a->message, b->message)
    COMPARE(a->key, b->key)
    return 0;
}

static int by_topic(const struct stray *a, const struct stray *b)
{
    COMPARE(a->topic, b->topic)
    COMPARE(a->key, b->key)
    return 0;
}

static int sort_compare(const void *a, const void *b, void *group)
{
    const struct stray *x = *(struct stray *const *)a;
    const struct stray *y = *(struct stray *const *)b;
    int order = (*(stray_compare **)group)(x, y);

    if (order != 0) {
        return order;
    }
    COMPARE(x->low, y->low)
    COMPARE(x->high, y->high)
    COMPARE(x->index, y->index)
    return 0;
}

/* ---- what is said ------------------------------------------------------------------ */

static struct stream_item item_of(const struct naming *n, const struct stray *extra)
{
    return stream_item(n->k, n->stream, extra->index);
}

static const struct log_entry *entry_of(const struct naming *n, const struct stray *gap)
{
    return &n->k->logs[gap->topic].items[gap->index];
}

/* "P1 line 17" */
static struct shown_text sender_of(const struct naming *n, const struct log_entry *entry)
{
    struct line_ref at = {entry->producer, entry->line};
    struct shown_text shown;

    snprintf(shown.text, sizeof shown.text, "%s line %" PRId64 "%s",
             producer_name(n->k, at.producer).text, line_number(n->k, at),
             line_fate(n->k, at)->guessed ? ", or one like it" : "");
    return shown;
}

/* "offset 7 "; nothing where there are no offsets. */
static struct shown_text offset_of(const struct naming *n, const struct log_entry *entry)
{
    struct shown_text shown = {""};

    if (!n->k->plain) {
        snprintf(shown.text, sizeof shown.text, "offset %" PRId64 " ", entry->offset);
    }
    return shown;
}

/* "offset 7 ('c', P1 line 17)", or without offsets "'c' (P1 line 17)" */
struct shown_entry {
    char text[3 * sizeof(struct shown_text)];
};

static struct shown_entry entry_shown(const struct naming *n, const struct log_entry *entry)
{
    struct shown_entry shown;

    snprintf(shown.text, sizeof shown.text, n->k->plain ? "%s%s (%s)" : "%s(%s, %s)",
             offset_of(n, entry).text, shown_text(n->k, entry->message).text,
             sender_of(n, entry).text);
    return shown;
}

/* Which line of consumer_N.txt item number `at` (from 1) is. */
static int64_t line_at(const struct naming *n, int64_t at)
{
    return stream_item(n->k, n->stream, (size_t)at - 1).line;
}

static struct evidence *accuse(struct naming *n, enum finding_kind kind, size_t topic, size_t cause,
                               enum excuse excused, const struct stream_item *item)
{
    struct findings *f = &n->k->c->findings;
    excused = excused == EXCUSE_NONE && cause != FINDING_ROOT ? f->items[cause].excused : excused;
    struct evidence *e = findings_count(
        f, findings_get(f, kind, n->stream->source, n->consumer.text, topic, cause, excused));
    if (e != NULL) {
        e->offset = item->offset;
        e->line = item->line;
        e->time_ns = item->time_ns;
        e->text = item->message;
    }
    return e;
}

/* The finding that explains what became of an entry, or FINDING_ROOT. */
static size_t cause_of(const struct naming *n, size_t topic, const struct log_entry *entry)
{
    return (entry->flags & ENTRY_ACCUSED) == 0 ? FINDING_ROOT
                                               : topic_log_cause(&n->k->logs[topic], entry->offset);
}

/* The same of what the consumer's position explains: its history shows that, not its file. */
static size_t moved_of(const struct naming *n, const struct stray *stray)
{
    return n->stream->source == SOURCE_HISTORY ? moved_cause(n->k, n->stream->consumer, stray)
                                               : FINDING_ROOT;
}

/* ---- pairs ------------------------------------------------------------------------- */

/* The consumer's cell of a topic; those of topics that it does not read are not shown. */
static struct check_delivery *cell_of(struct naming *n, size_t topic)
{
    return topic == FINDING_TOPIC_NONE ? &n->nowhere : &n->stream->cells[topic];
}

/* Asked once for each topic. */
static bool order_differs(struct naming *n, size_t topic)
{
    if (n->differs[topic] == 0) {
        bool differs = plain_orders_differ(n->k, topic, n->stream->consumer);
        n->differs[topic] = differs ? 1 : -1;
    }
    return n->differs[topic] > 0;
}

/* Without offsets the order is what most consumers saw: who differs disagrees with them, where it
 * is certain that no order of what was sent explains both. */
static void say_moved(struct naming *n, struct stray *gap, struct stray *extra)
{
    struct stream_item item = item_of(n, extra);
    const struct log_entry *entry = entry_of(n, gap);
    bool disagrees = n->k->plain && n->stream->source == SOURCE_HISTORY;

    if (disagrees && !order_differs(n, gap->topic)) {
        n->stream->entries[extra->index] = gap->index;
        n->stream->received[gap->topic][gap->index] = 1;
        return;
    }
    cell_of(n, gap->topic)->out_of_order++;
    n->stream->entries[extra->index] = gap->index;
    n->stream->received[gap->topic][gap->index] = 1;
    item.offset = n->k->plain ? OFFSET_NONE : entry->offset;
    struct evidence *e = accuse(n, disagrees ? FINDING_ORDER_DISAGREEMENT : FINDING_OUT_OF_ORDER,
                                gap->topic, FINDING_ROOT, EXCUSE_NONE, &item);
    if (e == NULL) {
        return;
    }
    struct shown_text text = shown_text(n->k, item.message);
    bool before = gap->high != INT64_MAX;
    struct shown_text place = offset_of(n, entry);
    if (!before && gap->low == 0) {
        evidence_say(e, "line %" PRId64 " (%s%s) is not in its place", item.line, place.text,
                     text.text);
    } else {
        evidence_say(e, "line %" PRId64 " (%s%s) belongs %s line %" PRId64, item.line, place.text,
                     text.text, before ? "before" : "after",
                     line_at(n, before ? gap->high : gap->low));
    }
}

static void say_misrouted(struct naming *n, struct stray *gap, struct stray *extra)
{
    struct stream_item item = item_of(n, extra);
    const struct log_entry *entry = entry_of(n, gap);

    cell_of(n, gap->topic)->missing++;
    cell_of(n, extra->topic)->misrouted++;
    item.offset = n->k->plain ? OFFSET_NONE : entry->offset;
    struct evidence *e =
        accuse(n, FINDING_MISROUTED, extra->topic, FINDING_ROOT, EXCUSE_NONE, &item);
    evidence_say(e, "line %" PRId64 " (%s) is under topic %s; it is %sof %s (%s)", item.line,
                 shown_text(n->k, item.message).text, shown_text(n->k, item.topic_text).text,
                 offset_of(n, entry).text, n->k->s->topics[gap->topic].name,
                 sender_of(n, entry).text);
}

/* Was it sent, but to other topics only? */
static bool belongs_elsewhere(const struct naming *n, const struct stray *extra)
{
    return sent_anywhere(n->k, extra->message) &&
           (extra->topic == FINDING_TOPIC_NONE || !sent_to(n->k, extra->topic, extra->message));
}

/* Another text than was sent at that place: of another topic, of another message of this one
 * (then the offset has two), or of nobody. */
static void say_changed(struct naming *n, struct stray *gap, struct stray *extra)
{
    struct stream_item item = item_of(n, extra);
    const struct log_entry *entry = entry_of(n, gap);
    bool elsewhere = belongs_elsewhere(n, extra);
    bool known = sent_anywhere(n->k, extra->message);
    enum finding_kind kind = elsewhere                      ? FINDING_MISROUTED
                             : known && !n->stream->by_text ? FINDING_INCONSISTENT_OFFSET
                                                            : FINDING_CORRUPT;

    cell_of(n, gap->topic)->missing += elsewhere;
    cell_of(n, gap->topic)->misrouted += elsewhere;
    cell_of(n, gap->topic)->corrupt += !elsewhere;
    item.offset = n->k->plain ? OFFSET_NONE : entry->offset;
    struct evidence *e =
        accuse(n, kind, gap->topic, cause_of(n, gap->topic, entry), EXCUSE_NONE, &item);
    evidence_say(e, "line %" PRId64 " reads %s%s; it should be %s", item.line,
                 shown_text(n->k, item.message).text,
                 elsewhere ? ", which was sent to another topic"
                 : known   ? ", which was sent to this topic, too"
                           : ", which nobody sent",
                 entry_shown(n, entry).text);
}

typedef void say_pair(struct naming *n, struct stray *gap, struct stray *extra);

/* Pair the gaps and extras of one group, which are sorted by place. */
static void group_pair(struct naming *n, struct stray **group, size_t count, bool anywhere,
                       say_pair *say)
{
    size_t g = 0;

    for (size_t x = 0; x < count; x++) {
        struct stray *extra = group[x];
        if (extra->is_gap) {
            continue;
        }
        while (g < count && (!group[g]->is_gap || group[g]->taken ||
                             (!anywhere && group[g]->high <= extra->low))) {
            g++;
        }
        if (g < count && (anywhere || group[g]->low < extra->high)) {
            group[g]->taken = true;
            extra->taken = true;
            say(n, group[g], extra);
        }
    }
}

/* One step: those that `same` calls equal are a group. */
static void strays_pair(struct naming *n, stray_compare *same, bool anywhere, say_pair *say)
{
    size_t kept = 0;

    qsort_r(n->open, n->open_count, sizeof(struct stray *), sort_compare, &same);
    for (size_t from = 0; from < n->open_count;) {
        size_t to = from + 1;
        while (to < n->open_count && same(n->open[from], n->open[to]) == 0) {
            to++;
        }
        group_pair(n, n->open + from, to - from, anywhere, say);
        from = to;
    }
    for (size_t i = 0; i < n->open_count; i++) {
        if (!n->open[i]->taken) {
            n->open[kept++] = n->open[i];
        }
    }
    n->open_count = kept;
}

/* ---- alone ------------------------------------------------------------------------- */

/* What the broker gives again after a restart, it may not claim to know. */
static enum excuse redelivery_excused(const struct naming *n, const struct stream_item *item)
{
    const struct history_claims *claims = &n->k->h->run.claims;
    bool unclaimed = !(claims->positions && claims->ids) && item->time_ns != TIME_NONE &&
                     restarted_before(n->k, item->time_ns);
    return unclaimed ? EXCUSE_NOT_CLAIMED : EXCUSE_NONE;
}

static void say_again(struct naming *n, const struct stream_item *item, size_t cause)
{
    cell_of(n, item->topic)->duplicates++;
    struct evidence *e =
        accuse(n, FINDING_REDELIVERED, item->topic, cause, redelivery_excused(n, item), item);
    if (n->stream->by_text) {
        evidence_say(e, "line %" PRId64 " (%s) is one more than was sent here", item->line,
                     shown_text(n->k, item->message).text);
    } else {
        evidence_say(e, "line %" PRId64 " (%s) is offset %" PRId64 " again", item->line,
                     shown_text(n->k, item->message).text, item->offset);
    }
}

/* The entry that the item says it is, and that is another message; NULL: there is none. */
static const struct log_entry *other_entry(const struct naming *n, const struct stream_item *item)
{
    size_t index;

    if (n->stream->by_text || item->topic == FINDING_TOPIC_NONE ||
        !topic_log_find(&n->k->logs[item->topic], item->offset, &index) ||
        n->k->logs[item->topic].items[index].message == item->message) {
        return NULL;
    }
    return &n->k->logs[item->topic].items[index];
}

/* The entry itself was received as well, or nobody owes it. */
static void say_second(struct naming *n, const struct stream_item *item,
                       const struct log_entry *entry)
{
    cell_of(n, item->topic)->corrupt++;
    struct evidence *e = accuse(n, FINDING_INCONSISTENT_OFFSET, item->topic,
                                cause_of(n, item->topic, entry), EXCUSE_NONE, item);
    evidence_say(e, "line %" PRId64 " reads %s; offset %" PRId64 " is %s", item->line,
                 shown_text(n->k, item->message).text, item->offset,
                 shown_text(n->k, entry->message).text);
}

static void say_foreign(struct naming *n, const struct stream_item *item, bool known)
{
    struct shown_text text = shown_text(n->k, item->message);

    cell_of(n, item->topic)->foreign++;
    struct evidence *e = accuse(n, FINDING_PHANTOM, item->topic, FINDING_ROOT, EXCUSE_NONE, item);
    if (known) {
        evidence_say(e, "line %" PRId64 " (%s) is offset %" PRId64 ", which no message was given",
                     item->line, text.text, item->offset);
    } else {
        evidence_say(e, "line %" PRId64 " reads %s, which nobody sent", item->line, text.text);
    }
}

/* It came in none of its places, and where it came a seek had passed over it. */
static bool say_misplaced(struct naming *n, const struct stray *extra,
                          const struct stream_item *item)
{
    size_t entry;

    if (n->stream->by_text || !topic_log_find(&n->k->logs[extra->topic], item->offset, &entry) ||
        n->stream->received[extra->topic][entry]) {
        return false;
    }
    n->stream->entries[extra->index] = (uint32_t)entry;
    n->stream->received[extra->topic][entry] = 1;
    cell_of(n, extra->topic)->out_of_order++;
    struct evidence *e =
        accuse(n, FINDING_OUT_OF_ORDER, extra->topic, FINDING_ROOT, EXCUSE_NONE, item);
    evidence_say(e, "line %" PRId64 " (offset %" PRId64 " %s) lies before what was sought",
                 item->line, item->offset, shown_text(n->k, item->message).text);
    return true;
}

static void say_extra(struct naming *n, const struct stray *extra)
{
    struct stream_item item = item_of(n, extra);
    bool known = extra->topic != FINDING_TOPIC_NONE && sent_to(n->k, extra->topic, extra->message);
    size_t ignored;
    bool at_entry =
        n->stream->by_text || (extra->topic != FINDING_TOPIC_NONE &&
                               topic_log_find(&n->k->logs[extra->topic], item.offset, &ignored));

    const struct log_entry *other = other_entry(n, &item);
    if (known && other != NULL) {
        say_second(n, &item, other);
    } else if (known && at_entry) {
        if (!say_misplaced(n, extra, &item)) {
            say_again(n, &item, moved_of(n, extra));
        }
    } else if (known && n->k->vague) {
        return;
    } else if (belongs_elsewhere(n, extra)) {
        cell_of(n, extra->topic)->misrouted++;
        struct evidence *e =
            accuse(n, FINDING_MISROUTED, extra->topic, FINDING_ROOT, EXCUSE_NONE, &item);
        evidence_say(e, "line %" PRId64 " (%s) is under topic %s; it was sent to another",
                     item.line, shown_text(n->k, item.message).text,
                     shown_text(n->k, item.topic_text).text);
    } else {
        say_foreign(n, &item, known);
    }
}

const char *check_proof_of_loss(const struct checking *k, const struct stray *gap,
                                const int64_t *empty_ns)
{
    int64_t acked_ns = entry_acked_ns(k, &k->logs[gap->topic].items[gap->index]);

    if (gap->passed) {
        return "; later ones were";
    }
    if (acked_ns != TIME_NONE && empty_ns[gap->topic] >= acked_ns) {
        return "; the broker said that there was nothing more";
    }
    return NULL;
}

/* An empty answer that was false is why the last ones did not come. */
static size_t empty_cause(const struct naming *n, const struct stray *gap)
{
    for (size_t i = 0; i < n->k->false_empties.count && !gap->passed; i++) {
        const struct false_empty *f = &n->k->false_empties.items[i];
        if (f->consumer == n->stream->consumer && f->topic == gap->topic) {
            return f->finding;
        }
    }
    return FINDING_ROOT;
}

/* Is it missing here since it is under another topic? */
static bool is_elsewhere(const struct naming *n, const struct stray *gap)
{
    size_t cause = cause_of(n, gap->topic, entry_of(n, gap));

    return cause != FINDING_ROOT && n->k->c->findings.items[cause].kind == FINDING_MISROUTED;
}

/* Which of several messages with one text is missing, nobody can tell. */
static bool has_twin(const struct checking *k, const struct stray *gap)
{
    const struct topic_log *log = &k->logs[gap->topic];
    size_t alike = 0;

    for (size_t i = 0; i < log->count && alike < 2; i++) {
        alike += log->items[i].message == log->items[gap->index].message;
    }
    return alike > 1;
}

/* Is it known which message this item is? Of lines that are alike it may be another one. */
static bool is_known(const struct checking *k, const struct stream *stream,
                     const struct stream_item *item)
{
    if (item->topic == FINDING_TOPIC_NONE || item->entry == ENTRY_NONE) {
        return false;
    }
    const struct log_entry *entry = &k->logs[item->topic].items[item->entry];
    return !stream->by_text ||
           (entry->producer != PRODUCER_NOBODY &&
            !line_fate(k, (struct line_ref){entry->producer, entry->line})->guessed);
}

/* The time of the topic's `count`th item that is known, from the stream's item `at` on, which
 * counts itself, backwards or forwards; 0 or INT64_MAX: there are not so many. */
static int64_t item_time(const struct checking *k, const struct stream *stream, size_t topic,
                         int64_t at, int step, size_t count)
{
    for (; at >= 0 && at < (int64_t)stream->count; at += step) {
        struct stream_item item = stream_item(k, stream, (size_t)at);
        if (item.topic == topic && is_known(k, stream, &item) && --count == 0) {
            return item.time_ns;
        }
    }
    return step < 0 ? 0 : INT64_MAX;
}

bool check_lost_reply(const struct checking *k, const struct stream *stream,
                      const struct stray *gap, unsigned char *used)
{
    const struct history_consumer *c = &k->h->consumers[stream->consumer];
    const struct log_entry *entry = &k->logs[gap->topic].items[gap->index];
    bool at_any_time = has_twin(k, gap);
    /* Other consumers may have lost a reply just then as well: its place is a guess. */
    size_t slack = k->s->topics[gap->topic].consumer_count;
    int64_t from_ns = at_any_time ? 0
                      : (entry->flags & ENTRY_GUESSED) != 0
                          ? entry_begin_ns(k, entry)
                          : item_time(k, stream, gap->topic, gap->low - 1, -1, slack);
    int64_t to_ns = gap->high == INT64_MAX || at_any_time
                        ? INT64_MAX
                        : item_time(k, stream, gap->topic, gap->high - 1, 1, slack);

    for (size_t i = 0; i < c->requests.count; i++) {
        const struct history_request *r = &c->requests.items[i];
        bool lost = r->outcome == OUTCOME_INFO || r->outcome == OUTCOME_OPEN;
        if (lost && r->is_consume && r->topic == gap->topic && !used[i] && r->begin_ns <= to_ns &&
            (r->end_ns == TIME_NONE || r->end_ns >= from_ns)) {
            used[i] = 1;
            return true;
        }
    }
    return false;
}

static const char *place_of(const struct stray *gap)
{
    return gap->low == 0 ? ", at the start" : gap->passed ? ", in the middle" : ", at the end";
}

/* What kept it from asking on. */
static size_t unseen_cause(const struct naming *n, size_t topic)
{
    size_t cause = progress_cause(n->k, topic, consumer_name(n->k, n->stream->consumer).text);

    return cause != FINDING_ROOT ? cause : n->k->ended_early;
}

static void say_gap(struct naming *n, const struct stray *gap)
{
    const struct log_entry *entry = entry_of(n, gap);
    bool received = n->history != NULL && n->history->received[gap->topic][gap->index];
    int64_t acked_ns = entry_acked_ns(n->k, entry);
    const char *proof =
        received ? "; it was received" : check_proof_of_loss(n->k, gap, n->empty_ns);
    size_t moved = moved_of(n, gap);
    bool by_call = n->k->plain && !received && moved == FINDING_ROOT && !is_elsewhere(n, gap) &&
                   check_lost_reply(n->k, n->stream, gap, n->replies_used);
    enum excuse excused = by_call    ? EXCUSE_NOT_PROMISED
                          : received ? EXCUSE_NONE
                                     : entry_loss_excused(n->k, entry);
    enum finding_kind kind = proof == NULL           ? FINDING_UNSEEN
                             : acked_ns != TIME_NONE ? FINDING_LOST
                                                     : FINDING_SKIPPED;
    size_t cause = received || by_call     ? FINDING_ROOT
                   : moved != FINDING_ROOT ? moved
                                           : cause_of(n, gap->topic, entry);
    struct stream_item at = {.offset = n->k->plain ? OFFSET_NONE : entry->offset,
                             .line = NUMBER_NONE,
                             .time_ns = acked_ns,
                             .message = entry->message};

    cell_of(n, gap->topic)->missing++;
    if (cause == FINDING_ROOT && excused == EXCUSE_NONE && !received) {
        cause = empty_cause(n, gap);
    }
    if (cause == FINDING_ROOT && kind == FINDING_UNSEEN) {
        cause = unseen_cause(n, gap->topic);
    }
    struct evidence *e = accuse(n, kind, gap->topic, cause, excused, &at);
    evidence_say(e, "%s %s%s%s%s", entry_shown(n, entry).text,
                 n->stream->source == SOURCE_FILE ? "is not in the file" : "was not received",
                 proof == NULL ? ", nor was anything after it" : place_of(gap),
                 proof == NULL ? "" : proof,
                 by_call                           ? "; a consume got no answer then"
                 : (entry->flags & ENTRY_ROW) != 0 ? ""
                                                   : "; the store has no row of it");
}

/* ---- all --------------------------------------------------------------------------- */

/* Was it before the consumer's last seek in the topic? Then it says nothing of what came after. */
static bool before_seek(const struct history_consumer *c, size_t topic, int64_t time_ns)
{
    for (size_t i = c->seeks.count; i-- > 0;) {
        if (c->seeks.items[i].topic == topic && c->seeks.items[i].outcome != OUTCOME_FAIL) {
            return time_ns < c->seeks.items[i].begin_ns;
        }
    }
    return false;
}

int64_t *check_empty_times(const struct checking *k, size_t consumer)
{
    const struct history_consumer *c = &k->h->consumers[consumer];
    uint32_t no_message = texts_find(&k->h->texts, slice_of("no_message"));
    int64_t *times = memory_zeroed(k->s->topic_count, sizeof *times);

    for (size_t t = 0; t < k->s->topic_count; t++) {
        times[t] = TIME_NONE;
    }
    for (size_t i = 0; i < c->requests.count && no_message != TEXT_NONE; i++) {
        const struct history_request *r = &c->requests.items[i];
        size_t topic = topic_of(k, r->topic);
        if (r->code == no_message && topic != FINDING_TOPIC_NONE && r->begin_ns > times[topic] &&
            !before_seek(c, topic, r->begin_ns)) {
            times[topic] = r->begin_ns;
        }
    }
    return times;
}

void check_strays(struct checking *k, struct stream *stream, const struct stream *history)
{
    struct naming n = {.k = k,
                       .stream = stream,
                       .history = history,
                       .consumer = consumer_name(k, stream->consumer),
                       .open_count = stream->strays.count};

    if (stream->strays.count == 0) {
        return;
    }
    n.empty_ns = check_empty_times(k, stream->consumer);
    n.replies_used = memory_zeroed(k->h->consumers[stream->consumer].requests.count, 1);
    n.differs = memory_zeroed(k->s->topic_count, 1);
    n.open = memory_zeroed(n.open_count, sizeof *n.open);
    for (size_t i = 0; i < n.open_count; i++) {
        n.open[i] = &stream->strays.items[i];
    }
    strays_pair(&n, by_topic_message, true, say_moved);
    strays_pair(&n, by_message, false, say_misrouted);
    strays_pair(&n, by_topic, !stream->by_text, say_changed);
    for (size_t i = 0; i < n.open_count; i++) {
        if (n.open[i]->is_gap) {
            say_gap(&n, n.open[i]);
        } else {
            say_extra(&n, n.open[i]);
        }
    }
    free(n.open);
    free(n.empty_ns);
    free(n.replies_used);
    free(n.differs);
}
