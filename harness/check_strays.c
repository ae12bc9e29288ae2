/*
 * check_strays.c - what did not find its partner gets its name.
 *
 * Gaps and extras are brought together where that explains both at once, the strictest
 * explanation first; what then remains alone stands for itself:
 *
 *   gap + extra, same topic, same message                out-of-order: moved
 *   gap + extra, same message, same place, two topics    misrouted
 *   gap + extra, same topic, same place                  corrupt: changed
 *   extra, message known to its topic                    redelivered
 *   extra, message known to other topics only            misrouted
 *   extra, message known to nobody                       phantom
 *   gap                                                  lost, or unseen
 *
 * "Same place" is what `low` and `high` of struct stray say; in a history the offset
 * must be the same besides. Each step sorts the strays and walks once, so it is n log n.
 */
#include "harness/check_parts.h"

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

static const struct stream_item *item_of(const struct naming *n, const struct stray *extra)
{
    return &n->stream->items[extra->index];
}

static const struct log_entry *entry_of(const struct naming *n, const struct stray *gap)
{
    return &n->k->logs[gap->topic].items[gap->index];
}

/* "P1 line 17" */
static struct shown_text sender_of(const struct naming *n, const struct log_entry *entry)
{
    const struct scenario_client *producer = &n->k->s->producers[entry->producer];
    struct shown_text shown;
    snprintf(shown.text, sizeof shown.text, "P%" PRId64 " line %" PRId64, producer->id,
             producer->lines[entry->line].number);
    return shown;
}

/* Which line of consumer_N.txt item number `at` (from 1) is. */
static int64_t line_at(const struct naming *n, int64_t at)
{
    return n->stream->items[at - 1].line;
}

static struct evidence *accuse(struct naming *n, enum finding_kind kind, size_t topic,
                               int64_t offset, int64_t line, uint32_t text)
{
    struct evidence *e =
        findings_add(&n->k->c->findings, kind, n->stream->source, n->consumer.text, topic);
    if (e != NULL) {
        e->offset = offset;
        e->line = line;
        e->text = text;
    }
    return e;
}

/* ---- pairs ------------------------------------------------------------------------- */

/* The consumer's cell of a topic; those of topics that it does not read are not shown. */
static struct check_delivery *cell_of(struct naming *n, size_t topic)
{
    return topic == FINDING_TOPIC_NONE ? &n->nowhere : &n->stream->cells[topic];
}

static void say_moved(struct naming *n, struct stray *gap, struct stray *extra)
{
    const struct stream_item *item = item_of(n, extra);
    const struct log_entry *entry = entry_of(n, gap);

    cell_of(n, gap->topic)->out_of_order++;
    n->stream->items[extra->index].entry = gap->index;
    n->stream->received[gap->topic][gap->index] = 1;
    struct evidence *e =
        accuse(n, FINDING_OUT_OF_ORDER, gap->topic, entry->offset, item->line, item->message);
    struct shown_text text = shown_text(n->k, item->message);
    bool before = gap->high != INT64_MAX;
    if (!before && gap->low == 0) {
        evidence_say(e, "line %" PRId64 " (%s, offset %" PRId64 ") is not in its place", item->line,
                     text.text, entry->offset);
    } else {
        evidence_say(e, "line %" PRId64 " (%s, offset %" PRId64 ") belongs %s line %" PRId64,
                     item->line, text.text, entry->offset, before ? "before" : "after",
                     line_at(n, before ? gap->high : gap->low));
    }
}

static void say_misrouted(struct naming *n, struct stray *gap, struct stray *extra)
{
    const struct stream_item *item = item_of(n, extra);

    cell_of(n, gap->topic)->missing++;
    cell_of(n, extra->topic)->misrouted++;
    struct evidence *e = accuse(n, FINDING_MISROUTED, extra->topic, entry_of(n, gap)->offset,
                                item->line, item->message);
    evidence_say(e, "line %" PRId64 " (%s) is under topic %s; it is offset %" PRId64 " of %s (%s)",
                 item->line, shown_text(n->k, item->message).text,
                 shown_text(n->k, item->topic_text).text, entry_of(n, gap)->offset,
                 n->k->s->topics[gap->topic].name, sender_of(n, entry_of(n, gap)).text);
}

/* Was it sent, but to other topics only? */
static bool belongs_elsewhere(const struct naming *n, const struct stray *extra)
{
    size_t ignored;
    return intmap_get(&n->k->sent_texts, extra->message, &ignored) &&
           (extra->topic == FINDING_TOPIC_NONE ||
            !intmap_get(&n->k->sent, sent_key(extra->topic, extra->message), &ignored));
}

static void say_changed(struct naming *n, struct stray *gap, struct stray *extra)
{
    const struct stream_item *item = item_of(n, extra);
    const struct log_entry *entry = entry_of(n, gap);
    bool elsewhere = belongs_elsewhere(n, extra);
    size_t ignored;
    bool known = intmap_get(&n->k->sent_texts, extra->message, &ignored);

    if (elsewhere) {
        cell_of(n, gap->topic)->missing++;
        cell_of(n, gap->topic)->misrouted++;
    } else {
        cell_of(n, gap->topic)->corrupt++;
    }
    struct evidence *e = accuse(n, elsewhere ? FINDING_MISROUTED : FINDING_CORRUPT, gap->topic,
                                entry->offset, item->line, item->message);
    evidence_say(e, "line %" PRId64 " reads %s%s; offset %" PRId64 " is %s (%s)", item->line,
                 shown_text(n->k, item->message).text,
                 elsewhere ? ", which was sent to another topic"
                 : known   ? ""
                           : ", which nobody sent",
                 entry->offset, shown_text(n->k, entry->message).text, sender_of(n, entry).text);
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

static void say_extra(struct naming *n, const struct stray *extra)
{
    const struct stream_item *item = item_of(n, extra);
    struct shown_text shown = shown_text(n->k, item->message);
    const char *text = shown.text;
    size_t ignored;
    struct evidence *e;
    bool known = extra->topic != FINDING_TOPIC_NONE &&
                 intmap_get(&n->k->sent, sent_key(extra->topic, extra->message), &ignored);
    bool at_entry = item->offset == OFFSET_NONE ||
                    (extra->topic != FINDING_TOPIC_NONE &&
                     topic_log_find(&n->k->logs[extra->topic], item->offset, &ignored));

    if (known && at_entry) {
        cell_of(n, extra->topic)->duplicates++;
        e = accuse(n, FINDING_REDELIVERED, extra->topic, item->offset, item->line, item->message);
        if (item->offset == OFFSET_NONE) {
            evidence_say(e, "line %" PRId64 " (%s) is one more than was sent here", item->line,
                         text);
        } else {
            evidence_say(e, "line %" PRId64 " (%s) is offset %" PRId64 " again", item->line, text,
                         item->offset);
        }
    } else if (known && n->k->vague) {
        return;
    } else if (belongs_elsewhere(n, extra)) {
        cell_of(n, extra->topic)->misrouted++;
        e = accuse(n, FINDING_MISROUTED, extra->topic, item->offset, item->line, item->message);
        evidence_say(e, "line %" PRId64 " (%s) is under topic %s; it was sent to another",
                     item->line, text, shown_text(n->k, item->topic_text).text);
    } else {
        cell_of(n, extra->topic)->foreign++;
        e = accuse(n, FINDING_PHANTOM, extra->topic, item->offset, item->line, item->message);
        if (known) {
            evidence_say(e,
                         "line %" PRId64 " (%s) is offset %" PRId64 ", which no message was given",
                         item->line, text, item->offset);
        } else {
            evidence_say(e, "line %" PRId64 " reads %s, which nobody sent", item->line, text);
        }
    }
}

/* Did the consumer read past the gap, or was it told that there was nothing more? */
static const char *proof_of_loss(const struct naming *n, const struct stray *gap)
{
    const struct log_entry *entry = entry_of(n, gap);

    if (n->history != NULL && n->history->received[gap->topic][gap->index]) {
        return "; it was received";
    }
    if (gap->high != INT64_MAX) {
        return "; later ones were";
    }
    if (entry->acked_ns != TIME_NONE && n->empty_ns[gap->topic] >= entry->acked_ns) {
        return "; the broker said that there was nothing more";
    }
    return NULL;
}

static void say_gap(struct naming *n, const struct stray *gap)
{
    const struct log_entry *entry = entry_of(n, gap);
    const char *proof = proof_of_loss(n, gap);

    cell_of(n, gap->topic)->missing++;
    struct evidence *e = accuse(n, proof != NULL ? FINDING_LOST : FINDING_UNSEEN, gap->topic,
                                entry->offset, NUMBER_NONE, entry->message);
    evidence_say(e, "offset %" PRId64 " (%s, %s) %s%s%s", entry->offset,
                 shown_text(n->k, entry->message).text, sender_of(n, entry).text,
                 n->stream->source == SOURCE_FILE ? "is not in the file" : "was not received",
                 proof != NULL ? proof : ", nor was anything after it",
                 entry->has_row ? "" : "; the store has no row of it");
}

/* ---- all --------------------------------------------------------------------------- */

static int64_t *empty_times(const struct checking *k, size_t consumer)
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
        if (r->code == no_message && topic != FINDING_TOPIC_NONE && r->begin_ns > times[topic]) {
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
                       .consumer = process_name("C", k->s->consumers[stream->consumer].id),
                       .open_count = stream->strays.count};

    if (stream->strays.count == 0) {
        return;
    }
    n.empty_ns = empty_times(k, stream->consumer);
    n.open = memory_zeroed(n.open_count, sizeof *n.open);
    for (size_t i = 0; i < n.open_count; i++) {
        n.open[i] = &stream->strays.items[i];
    }
    strays_pair(&n, by_topic_message, true, say_moved);
    strays_pair(&n, by_message, false, say_misrouted);
    strays_pair(&n, by_topic, false, say_changed);
    for (size_t i = 0; i < n.open_count; i++) {
        if (n.open[i]->is_gap) {
            say_gap(&n, n.open[i]);
        } else {
            say_extra(&n, n.open[i]);
        }
    }
    free(n.open);
    free(n.empty_ns);
}
