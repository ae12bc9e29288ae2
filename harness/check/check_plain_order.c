/*
 * check_plain_order.c - was what is sent later stored later? As far as texts alone can tell.
 *
 * What one consumer got of a topic is a part of its log, in order. A line that was sent only
 * after another one had been acknowledged lies behind that one. Where a text was sent once, it is
 * known which line a receipt is. Of lines that are alike nobody can say which one came, but some
 * orders fit none of them:
 *
 *   - a receipt is one of the lines with its text that have not come yet. It came too early if all
 *     of them were sent only after something was acknowledged that is certainly still to come
 *   - of those that it can be, the one that was acknowledged first is taken. If any choice leads
 *     to an order without a fault, this one does: the others are held back by less
 *   - certainly still to come: of a text that was sent n times and received m times, n - m did not
 *     come at all, and nobody knows which. So of the first n - m + 1 that have not come yet, by
 *     their acknowledgements, one is to come. This is what `waited_for` marks, from there on
 *
 * A text that was received more often than it was sent says nothing: which of the receipts are the
 * message and which are copies is not known. Where a restart may set positions back, what was
 * received before it and after it are two parts, which are not compared with each other.
 */
#include "harness/check/check_plain.h"

#include "harness/check/diff.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is known of a line while a part is walked. */
struct line_state {
    bool came;
    bool waited_for; /* it, or one like it that was acknowledged before it, is to come */
    bool compared;   /* what came too early named it */
};

/* The lines with one text: `first` and the `count` - 1 behind it. */
struct text_lines {
    uint32_t first;
    uint32_t count;
    uint32_t received;    /* in this part */
    uint32_t taken;       /* of these, until now */
    uint32_t next;        /* none before it is still to come */
    uint32_t next_waited; /* none before it is waited for */
    uint32_t waiting;     /* how many of its acknowledged lines are waited for */
    bool one_producer;    /* all lines are one producer's */
};

struct ordering {
    struct checking *k;
    size_t topic;
    size_t consumer;
    bool say;
    const struct sent_lines *lines;
    struct line_state *states; /* by line */
    uint32_t *by_ack;          /* indices of lines */
    size_t next_by_ack;        /* none before it is waited for */
    struct text_lines *texts;  /* by text */
    size_t waiting;            /* of all texts */
    size_t taken;
    int64_t compared;
    int64_t early;
};

static int by_ack_compare(const void *a, const void *b, void *lines)
{
    const struct sent_line *x = &((const struct sent_line *)lines)[*(const uint32_t *)a];
    const struct sent_line *y = &((const struct sent_line *)lines)[*(const uint32_t *)b];
    return (x->acked_ns > y->acked_ns) - (x->acked_ns < y->acked_ns);
}

static void ordering_init(struct ordering *o)
{
    const struct sent_line *lines = o->lines->items;

    o->states = memory_zeroed(o->lines->count, sizeof *o->states);
    o->by_ack = memory_zeroed(o->lines->count, sizeof *o->by_ack);
    o->texts = memory_zeroed(o->k->h->texts.count, sizeof *o->texts);
    for (uint32_t i = 0; i < o->lines->count; i++) {
        struct text_lines *t = &o->texts[lines[i].text];
        o->by_ack[i] = i;
        t->first = t->count == 0 ? i : t->first;
        t->one_producer = t->count == 0 ||
                          (t->one_producer && lines[i].at.producer == lines[t->first].at.producer);
        t->count++;
    }
    if (o->lines->count > 0) {
        qsort_r(o->by_ack, o->lines->count, sizeof *o->by_ack, by_ack_compare, o->lines->items);
    }
}

static void ordering_release(struct ordering *o)
{
    free(o->states);
    free(o->by_ack);
    free(o->texts);
}

/* ---- what is said ---------------------------------------------------------------------- */

/* `P1 line 4 ("d")`, or of lines that are alike `one of the lines that read "d"` */
struct shown_line {
    char text[128];
};

static struct shown_line line_shown(const struct ordering *o, const struct sent_line *line)
{
    struct shown_line shown;
    struct shown_text text = shown_text(o->k, line->text);

    if (o->texts[line->text].count > 1) {
        snprintf(shown.text, sizeof shown.text, "one of the lines that read %s", text.text);
    } else {
        snprintf(shown.text, sizeof shown.text, "%s line %" PRId64 " (%s)",
                 producer_name(o->k, line->at.producer).text, line_number(o->k, line->at),
                 text.text);
    }
    return shown;
}

/* `line` came while `other` was still to come, which had been acknowledged before it was sent. Of
 * lines that are alike, those of several producers, it is nobody's. */
static void say_early(const struct ordering *o, const struct sent_line *line,
                      const struct sent_line *other)
{
    const struct text_lines *t = &o->texts[line->text];
    bool known = t->one_producer && o->texts[other->text].one_producer;
    bool own = known && line->at.producer == other->at.producer;
    struct process_name process = {""};

    if (known) {
        process = producer_name(o->k, line->at.producer);
    }
    struct evidence *e =
        findings_add(&o->k->c->findings, own ? FINDING_PRODUCER_ORDER : FINDING_REAL_TIME_ORDER,
                     SOURCE_HISTORY, process.text, o->topic);
    if (e != NULL) {
        e->line = t->count == 1 ? line_number(o->k, line->at) : NUMBER_NONE;
        e->text = line->text;
        e->time_ns = line->begin_ns;
        evidence_say(e,
                     "%s got %s before %s, which had been acknowledged %.3f ms before the other "
                     "was sent",
                     consumer_name(o->k, o->consumer).text, line_shown(o, line).text,
                     line_shown(o, other).text, (double)(line->begin_ns - other->acked_ns) / 1e6);
    }
}

/* ---- one part ---------------------------------------------------------------------------- */

/* Whoever waits for a line that was not acknowledged has nothing to compare with. */
static bool is_compared_with(const struct ordering *o, uint32_t line)
{
    return o->states[line].waited_for && o->lines->items[line].acked_ns != INT64_MAX;
}

/* True: there is something less to compare with. */
static bool line_wait_end(struct ordering *o, uint32_t line)
{
    bool compared = is_compared_with(o, line);

    o->texts[o->lines->items[line].text].waiting -= compared;
    o->waiting -= compared;
    o->states[line].waited_for = false;
    return compared;
}

/* What is certainly to come, at the beginning of a part. */
static void waiting_mark(struct ordering *o)
{
    o->waiting = 0;
    o->taken = 0;
    o->next_by_ack = 0;
    for (uint32_t i = 0; i < o->lines->count; i++) {
        const struct sent_line *line = &o->lines->items[i];
        struct text_lines *t = &o->texts[line->text];
        if (i == t->first) {
            t->waiting = 0;
            t->taken = 0;
            t->next = i;
            t->next_waited = i;
        }
        o->states[i] = (struct line_state){.waited_for = t->received <= t->count &&
                                                         i - t->first >= t->count - t->received};
        t->waiting += is_compared_with(o, i);
        o->waiting += is_compared_with(o, i);
    }
}

/* Of what is certainly to come, the line that was acknowledged first; NULL: there is none. */
static const struct sent_line *first_waited(struct ordering *o, uint32_t *index)
{
    while (o->next_by_ack < o->lines->count && !o->states[o->by_ack[o->next_by_ack]].waited_for) {
        o->next_by_ack++;
    }
    if (o->next_by_ack == o->lines->count) {
        return NULL;
    }
    *index = o->by_ack[o->next_by_ack];
    return is_compared_with(o, *index) ? &o->lines->items[*index] : NULL;
}

/* The line that a receipt is: the first that was sent before `until_ns`, else (`*early`) the one
 * that was sent first. */
static uint32_t line_choose(const struct ordering *o, struct text_lines *t, int64_t until_ns,
                            bool *early)
{
    const struct sent_line *lines = o->lines->items;
    uint32_t chosen = UINT32_MAX;

    while (o->states[t->next].came) {
        t->next++;
    }
    *early = false;
    for (uint32_t i = t->next; i < t->first + t->count; i++) {
        if (!o->states[i].came && lines[i].begin_ns <= until_ns) {
            return i;
        }
        if (!o->states[i].came &&
            (chosen == UINT32_MAX || lines[i].begin_ns < lines[chosen].begin_ns)) {
            chosen = i;
        }
    }
    *early = true;
    return chosen;
}

/* One line less is to come: this one, or else the first of those like it. */
static bool line_come(struct ordering *o, struct text_lines *t, uint32_t line)
{
    uint32_t end = t->first + t->count;

    o->states[line].came = true;
    while (t->next_waited < end && !o->states[t->next_waited].waited_for) {
        t->next_waited++;
    }
    line = o->states[line].waited_for ? line : t->next_waited;
    return line < end && line_wait_end(o, line);
}

static void receipt_take(struct ordering *o, uint32_t text)
{
    struct text_lines *t = &o->texts[text];
    uint32_t waited = 0;
    bool early = false;

    if (t->received > t->count) {
        return;
    }
    const struct sent_line *other = first_waited(o, &waited);
    uint32_t line = line_choose(o, t, other == NULL ? INT64_MAX : other->acked_ns, &early);
    if (early) {
        o->early++;
        if (o->say) {
            say_early(o, &o->lines->items[line], other);
        }
        line_wait_end(o, waited); /* said once */
        o->states[waited].compared = true;
        o->compared++;
    }
    bool was_waited_for = line_come(o, t, line);
    bool before_others = o->waiting > t->waiting;
    bool behind_others = was_waited_for && o->taken > t->taken;
    o->compared += !o->states[line].compared && (early || before_others || behind_others);
    o->taken++;
    t->taken++;
}

static bool is_of(const struct ordering *o, const struct history_receive *r)
{
    return r->topic == o->topic && o->texts[r->message].count > 0;
}

/* The consumer's receipts from `from` on, and not from `to` on. */
static void part_walk(struct ordering *o, size_t from, size_t to)
{
    const struct history_receive *items = o->k->h->consumers[o->consumer].receives.items;

    for (uint32_t i = 0; i < o->lines->count; i++) {
        o->texts[o->lines->items[i].text].received = 0;
    }
    for (size_t i = from; i < to; i++) {
        o->texts[items[i].message].received += is_of(o, &items[i]);
    }
    waiting_mark(o);
    for (size_t i = from; i < to; i++) {
        if (is_of(o, &items[i])) {
            receipt_take(o, items[i].message);
        }
    }
}

/* ---- all parts ----------------------------------------------------------------------------- */

static int64_t receipts_count(const struct ordering *o)
{
    const struct history_consumer *c = &o->k->h->consumers[o->consumer];
    int64_t count = 0;

    for (size_t i = 0; i < c->receives.count; i++) {
        count += is_of(o, &c->receives.items[i]);
    }
    return count;
}

int64_t plain_order_check(struct checking *k, size_t topic, size_t consumer,
                          const struct sent_lines *lines, bool say)
{
    const struct history_consumer *c = &k->h->consumers[consumer];
    bool keeps_positions = k->h->run.claims.positions && k->h->run.claims.ids;
    struct ordering o = {.k = k, .topic = topic, .consumer = consumer, .say = say, .lines = lines};
    size_t from = 0;

    ordering_init(&o);
    for (size_t r = 0; r < k->restarts.count && !keeps_positions; r++) {
        size_t to = from;
        while (to < c->receives.count &&
               c->receives.items[to].time_ns < k->restarts.items[r].restart_ns) {
            to++;
        }
        part_walk(&o, from, to);
        from = to;
    }
    part_walk(&o, from, c->receives.count);
    if (say) {
        int64_t count = receipts_count(&o);
        k->c->promises[PROMISE_STORED_ORDER].checked += o.compared;
        k->c->order_unknown += count > 1 ? count - o.compared : 0;
    }
    ordering_release(&o);
    return o.early;
}

/* ---- two consumers --------------------------------------------------------------------------- */

/* Of a topic: by text, how often it was sent. */
static uint32_t *sent_count(const struct checking *k, size_t topic)
{
    uint32_t *counts = memory_zeroed(k->h->texts.count, sizeof *counts);

    for (size_t p = 0; p < k->s->producer_count; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            counts[k->h->producers[p].lines[i]] += k->s->producers[p].lines[i].topic == topic;
        }
    }
    return counts;
}

/* What a consumer got of a topic; free() it. */
static uint32_t *texts_of(const struct checking *k, size_t topic, size_t consumer, size_t *count)
{
    const struct history_consumer *c = &k->h->consumers[consumer];
    uint32_t *texts = memory_zeroed(c->receives.count, sizeof *texts);

    *count = 0;
    for (size_t i = 0; i < c->receives.count; i++) {
        if (c->receives.items[i].topic == topic) {
            texts[(*count)++] = c->receives.items[i].message;
        }
    }
    return texts;
}

/* Leave out the texts that one of them got more often than they were sent; how many are left. */
static size_t surplus_drop(uint32_t *texts, size_t count, const uint32_t *sent,
                           const uint32_t *in_a, const uint32_t *in_b)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (in_a[texts[i]] <= sent[texts[i]] && in_b[texts[i]] <= sent[texts[i]]) {
            texts[kept++] = texts[i];
        }
    }
    return kept;
}

/* Of n lines that are alike one got a and the other b: then a + b - n at least are the same ones.
 * If no common part of both is as long as that of all texts together, they differ. What came too
 * often says nothing. */
static bool orders_differ(const uint32_t *sent, size_t text_count, uint32_t *a, size_t a_count,
                          uint32_t *b, size_t b_count)
{
    uint32_t *in_a = memory_zeroed(text_count, sizeof *in_a);
    uint32_t *in_b = memory_zeroed(text_count, sizeof *in_b);
    size_t *match = memory_zeroed(a_count, sizeof *match);
    size_t needed = 0;
    size_t common = 0;

    for (size_t i = 0; i < a_count; i++) {
        in_a[a[i]]++;
    }
    for (size_t i = 0; i < b_count; i++) {
        in_b[b[i]]++;
    }
    a_count = surplus_drop(a, a_count, sent, in_a, in_b);
    b_count = surplus_drop(b, b_count, sent, in_a, in_b);
    for (size_t i = 0; i < text_count; i++) {
        bool surplus = in_a[i] > sent[i] || in_b[i] > sent[i];
        needed += !surplus && in_a[i] + in_b[i] > sent[i] ? in_a[i] + in_b[i] - sent[i] : 0;
    }
    diff_match(a, a_count, b, b_count, match);
    for (size_t i = 0; i < a_count; i++) {
        common += match[i] != DIFF_NONE;
    }
    free(in_a);
    free(in_b);
    free(match);
    return common < needed;
}

bool plain_orders_differ(const struct checking *k, size_t topic, size_t consumer)
{
    const struct scenario_topic *t = &k->s->topics[topic];
    uint32_t *sent = sent_count(k, topic);
    bool differ = false;

    for (size_t c = 0; c < t->consumer_count && !differ; c++) {
        size_t count;
        size_t other_count;
        uint32_t *texts = texts_of(k, topic, consumer, &count);
        uint32_t *other = texts_of(k, topic, t->consumers[c], &other_count);
        differ = orders_differ(sent, k->h->texts.count, texts, count, other, other_count);
        free(texts);
        free(other);
    }
    free(sent);
    return differ;
}
