/*
 * check_plain.c - the log of a topic when there are no offsets.
 *
 * A system that is judged by the seven calls of the assignment says neither where a message
 * is stored nor which one it gives: only texts are to be seen. So the order of a topic is what
 * its consumers saw:
 *
 *   - the consumer that got most, and least besides, gives the order; what others got besides
 *     is woven in where they got it, and where that leaves a choice, as it was sent. A text is
 *     taken as often as it was sent, no more, unless every consumer got it more often: then it
 *     is stored twice
 *   - each place gets a line with that text, acknowledged ones before others, and those that
 *     were sent first
 *   - what was acknowledged and nobody got comes before the first message that was sent after
 *     that acknowledgement
 *
 * The offset of an entry is its place in this order; no finding shows it. Where lines are
 * alike, which one is where is a guess; check_plain_order.c says what is certain all the same
 * of the order in which they were sent.
 */
#include "harness/check/check_plain.h"

#include "harness/check/diff.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One place in the order. */
struct place {
    uint32_t text;
    bool copy;              /* stored once more than it was sent */
    bool guessed;           /* nobody got it */
    bool misrouted;         /* sent to another topic */
    struct sent_line *line; /* NULL: not assigned */
};

CHECK_LIST_TYPE(places, struct place)
CHECK_LIST_TYPE(text_list, uint32_t)

struct weaving {
    struct checking *k;
    size_t topic;
    struct sent_lines lines; /* by text, then as they are to be taken */
    uint32_t *left;          /* by text: lines that no place has yet */
    uint32_t *least;         /* by text: how often every consumer got it */
    uint32_t *lines_of;      /* by text: lines that were sent */
    uint32_t *assigned;      /* by text: lines that have their place */
    const size_t *misrouted; /* plain_misrouted() */
    struct places order;
};

/* ---- what was sent and received ------------------------------------------------------- */

static int sent_compare(const void *a, const void *b)
{
    const struct sent_line *x = a;
    const struct sent_line *y = b;
    if (x->text != y->text) {
        return x->text < y->text ? -1 : 1;
    }
    if (x->refused != y->refused) {
        return x->refused ? 1 : -1;
    }
    if (x->acked_ns != y->acked_ns) {
        return x->acked_ns < y->acked_ns ? -1 : 1;
    }
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static void lines_collect(struct weaving *w)
{
    const struct checking *k = w->k;

    for (size_t p = 0; p < k->s->producer_count; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            struct line_ref at = {(uint32_t)p, (uint32_t)i};
            if (k->s->producers[p].lines[i].topic != w->topic ||
                line_fate(k, at)->first == SEND_NONE) {
                continue;
            }
            int64_t acked_ns = fate_acked_ns(k, at);
            line_fate(k, at)->offset = OFFSET_NONE; /* whatever it was said to be */
            MEMORY_PUSH(&w->lines,
                        (struct sent_line){.text = line_message(k, at),
                                           .refused = fate_outcome(k, at) == OUTCOME_FAIL,
                                           .begin_ns = fate_begin_ns(k, at),
                                           .acked_ns = acked_ns == TIME_NONE ? INT64_MAX : acked_ns,
                                           .at = at});
            w->left[line_message(k, at)]++;
            w->lines_of[line_message(k, at)]++;
        }
    }
    if (w->lines.count > 0) {
        qsort(w->lines.items, w->lines.count, sizeof *w->lines.items, sent_compare);
    }
}

static void received_collect(const struct weaving *w, size_t consumer, struct text_list *texts)
{
    const struct history_consumer *c = &w->k->h->consumers[consumer];

    texts->count = 0;
    for (size_t i = 0; i < c->receives.count; i++) {
        if (c->receives.items[i].topic == w->topic) {
            MEMORY_PUSH(texts, c->receives.items[i].message);
        }
    }
}

/* What a consumer was given again because its position went back is not stored twice. */
static void again_leave_out(const struct weaving *w, size_t consumer, uint32_t *counts)
{
    const struct history_consumer *c = &w->k->h->consumers[consumer];

    for (size_t i = 0; i < w->k->moved.count; i++) {
        const struct moved *m = &w->k->moved.items[i];
        bool is_it = m->consumer == consumer && m->topic == w->topic && m->told_apart;
        for (size_t r = m->copy; is_it && r < m->end; r++) {
            if (c->receives.items[r].topic == w->topic) {
                counts[c->receives.items[r].message]--;
            }
        }
    }
}

/* How often each text came to the consumer that got it least. */
static void least_count(struct weaving *w)
{
    const struct scenario_topic *t = &w->k->s->topics[w->topic];
    size_t texts = w->k->h->texts.count;
    struct text_list got = {NULL, 0, 0};

    for (size_t c = 0; c < t->consumer_count && t->consumer_count > 1; c++) {
        uint32_t *counts = memory_zeroed(texts, sizeof *counts);
        received_collect(w, t->consumers[c], &got);
        for (size_t i = 0; i < got.count; i++) {
            counts[got.items[i]]++;
        }
        again_leave_out(w, t->consumers[c], counts);
        for (size_t i = 0; i < texts; i++) {
            w->least[i] = c == 0 || counts[i] < w->least[i] ? counts[i] : w->least[i];
        }
        free(counts);
    }
    free(got.items);
}

/* Of lines that are alike no more have a place than were acknowledged, or than one consumer got:
 * that one whose outcome is unknown was stored, too, nobody saw. */
static void lines_limit(struct weaving *w)
{
    const struct scenario_topic *t = &w->k->s->topics[w->topic];
    size_t texts = w->k->h->texts.count;
    uint32_t *seen = memory_zeroed(texts, sizeof *seen);
    struct text_list got = {NULL, 0, 0};

    for (size_t i = 0; i < w->lines.count; i++) {
        seen[w->lines.items[i].text] += w->lines.items[i].acked_ns != INT64_MAX;
    }
    for (size_t c = 0; c < t->consumer_count; c++) {
        uint32_t *counts = memory_zeroed(texts, sizeof *counts);
        received_collect(w, t->consumers[c], &got);
        for (size_t i = 0; i < got.count; i++) {
            uint32_t text = got.items[i];
            counts[text]++;
            seen[text] = counts[text] > seen[text] ? counts[text] : seen[text];
        }
        free(counts);
    }
    for (size_t i = 0; i < texts; i++) {
        w->left[i] = seen[i] < w->left[i] ? seen[i] : w->left[i];
    }
    free(got.items);
    free(seen);
}

/* ---- the order ------------------------------------------------------------------------- */

/* Another topic's message that is under this one. */
static bool is_misrouted(const struct weaving *w, uint32_t text)
{
    return w->misrouted[text] > 0 &&
           w->k->c->findings.items[w->misrouted[text] - 1].topic == w->topic;
}

/* One more of this text, if there is a line for it or everybody got it more often. */
static void place_add(struct weaving *w, struct places *order, uint32_t text)
{
    if (w->left[text] > 0) {
        w->left[text]--;
        MEMORY_PUSH(order, (struct place){.text = text});
    } else if (w->lines_of[text] > 0 && w->least[text] > w->lines_of[text]) {
        w->least[text]--;
        MEMORY_PUSH(order, (struct place){.text = text, .copy = true});
    } else if (is_misrouted(w, text) && w->assigned[text] == 0) {
        w->assigned[text] = 1;
        MEMORY_PUSH(order, (struct place){.text = text, .misrouted = true});
    }
}

/* The first line with this text, which there is. */
static struct sent_line *line_with(const struct weaving *w, uint32_t text)
{
    size_t low = 0;
    size_t high = w->lines.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->lines.items[middle].text < text) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &w->lines.items[low];
}

/* Are both one line's each, and was this one sent first? */
static bool sent_before(const struct weaving *w, uint32_t text, uint32_t other)
{
    return w->lines_of[text] == 1 && w->lines_of[other] == 1 &&
           line_with(w, text)->begin_ns < line_with(w, other)->begin_ns;
}

/* Between two messages that both got, each got some that the other did not: nobody saw which of
 * them came first, so those that were sent first do. */
static void between_weave(struct weaving *w, struct places *woven, const struct place *ours,
                          size_t our_count, const uint32_t *theirs, size_t their_count)
{
    size_t a = 0;
    size_t b = 0;

    while (a < our_count || b < their_count) {
        if (a == our_count || (b < their_count && sent_before(w, theirs[b], ours[a].text))) {
            place_add(w, woven, theirs[b++]);
        } else {
            MEMORY_PUSH(woven, ours[a++]);
        }
    }
}

/* What this consumer got and those before it did not comes in where it got it. */
static void consumer_weave(struct weaving *w, const struct text_list *got)
{
    struct places woven = {NULL, 0, 0};
    uint32_t *texts = memory_zeroed(w->order.count, sizeof *texts);
    size_t *match = memory_zeroed(w->order.count, sizeof *match);
    size_t ours = 0;   /* of the order: what comes next */
    size_t theirs = 0; /* of `got` */

    for (size_t i = 0; i < w->order.count; i++) {
        texts[i] = w->order.items[i].text;
    }
    diff_match(texts, w->order.count, got->items, got->count, match);
    for (size_t i = 0; i < w->order.count; i++) {
        if (match[i] != DIFF_NONE) {
            between_weave(w, &woven, w->order.items + ours, i - ours, got->items + theirs,
                          match[i] - theirs);
            MEMORY_PUSH(&woven, w->order.items[i]);
            ours = i + 1;
            theirs = match[i] + 1;
        }
    }
    between_weave(w, &woven, w->order.items + ours, w->order.count - ours, got->items + theirs,
                  got->count - theirs);
    free(texts);
    free(match);
    free(w->order.items);
    w->order = woven;
}

/* How many of these texts there are lines for. */
static size_t right_count(const struct weaving *w, const struct text_list *got)
{
    uint32_t *left = memory_zeroed(w->k->h->texts.count, sizeof *left);
    size_t right = 0;

    memcpy(left, w->lines_of, w->k->h->texts.count * sizeof *left);
    for (size_t i = 0; i < got->count; i++) {
        right += left[got->items[i]] > 0;
        left[got->items[i]] -= left[got->items[i]] > 0;
    }
    free(left);
    return right;
}

/* The consumer that got most as it should be, and least besides. */
static size_t consumer_choose(struct weaving *w)
{
    const struct scenario_topic *t = &w->k->s->topics[w->topic];
    struct text_list got = {NULL, 0, 0};
    int64_t most = 0;
    int64_t least = 0;
    size_t chosen = t->consumers[0];

    for (size_t c = 0; c < t->consumer_count; c++) {
        received_collect(w, t->consumers[c], &got);
        size_t known = right_count(w, &got);
        int64_t early = plain_order_check(w->k, w->topic, t->consumers[c], &w->lines, false);
        int64_t right = (int64_t)known - early;
        int64_t wrong = (int64_t)(got.count - known) + early;
        if (c == 0 || right > most || (right == most && wrong < least)) {
            most = right;
            least = wrong;
            chosen = t->consumers[c];
        }
    }
    free(got.items);
    return chosen;
}

static void order_weave(struct weaving *w)
{
    const struct scenario_topic *t = &w->k->s->topics[w->topic];
    struct text_list got = {NULL, 0, 0};
    size_t first = consumer_choose(w);

    plain_order_check(w->k, w->topic, first, &w->lines, true);
    received_collect(w, first, &got);
    consumer_weave(w, &got);
    for (size_t c = 0; c < t->consumer_count; c++) {
        if (t->consumers[c] != first) {
            received_collect(w, t->consumers[c], &got);
            consumer_weave(w, &got);
        }
    }
    free(got.items);
}

/* ---- whose line is where ---------------------------------------------------------------- */

static void lines_assign(struct weaving *w)
{
    for (size_t i = 0; i < w->order.count; i++) {
        struct place *place = &w->order.items[i];
        if (!place->copy && !place->misrouted) {
            place->line = line_with(w, place->text) + w->assigned[place->text]++;
            place->line->used = true;
        }
    }
}

static int acked_compare(const void *a, const void *b)
{
    const struct sent_line *x = *(const struct sent_line *const *)a;
    const struct sent_line *y = *(const struct sent_line *const *)b;
    if (x->acked_ns != y->acked_ns) {
        return x->acked_ns < y->acked_ns ? -1 : 1;
    }
    return (x->at.line > y->at.line) - (x->at.line < y->at.line);
}

static struct place unseen_place(struct sent_line *line)
{
    return (struct place){.text = line->text, .guessed = true, .line = line};
}

/* Those that were acknowledged and that nobody got. */
static void unseen_insert(struct weaving *w)
{
    struct sent_line **unseen = memory_zeroed(w->lines.count, sizeof *unseen);
    struct places woven = {NULL, 0, 0};
    size_t count = 0;
    size_t next = 0;

    for (size_t i = 0; i < w->lines.count; i++) {
        if (!w->lines.items[i].used && w->lines.items[i].acked_ns != INT64_MAX) {
            unseen[count++] = &w->lines.items[i];
        }
    }
    qsort(unseen, count, sizeof *unseen, acked_compare);
    for (size_t i = 0; i < w->order.count; i++) {
        const struct place *place = &w->order.items[i];
        for (;
             next < count && place->line != NULL && unseen[next]->acked_ns < place->line->begin_ns;
             next++) {
            MEMORY_PUSH(&woven, unseen_place(unseen[next]));
        }
        MEMORY_PUSH(&woven, *place);
    }
    for (; next < count; next++) {
        MEMORY_PUSH(&woven, unseen_place(unseen[next]));
    }
    free(unseen);
    free(w->order.items);
    w->order = woven;
}

/* ---- the log ----------------------------------------------------------------------------- */

static void accuse_place(struct weaving *w, enum finding_kind kind, const struct place *place,
                         int64_t offset)
{
    struct findings *f = &w->k->c->findings;
    struct process_name process = {""};
    struct shown_text text = shown_text(w->k, place->text);

    if (place->line != NULL) {
        process = producer_name(w->k, place->line->at.producer);
    }
    size_t finding =
        findings_get(f, kind, SOURCE_HISTORY, process.text, w->topic, FINDING_ROOT, EXCUSE_NONE);
    topic_log_accuse(&w->k->logs[w->topic], offset, finding);
    struct evidence *e = findings_count(f, finding);
    if (e != NULL) {
        e->text = place->text;
        if (kind == FINDING_DUPLICATE) {
            evidence_say(e, "every consumer got %s more often than it was sent", text.text);
        } else {
            e->line = line_number(w->k, place->line->at);
            evidence_say(e, "line %" PRId64 " (%s) was refused, but delivered", e->line, text.text);
        }
    }
}

static void log_fill(struct weaving *w)
{
    struct topic_log *log = &w->k->logs[w->topic];

    for (size_t i = 0; i < w->order.count; i++) {
        const struct place *place = &w->order.items[i];
        struct log_entry entry = {.offset = (int64_t)i,
                                  .message = place->text,
                                  .producer = PRODUCER_NOBODY,
                                  .flags = ENTRY_ROW};
        if (place->copy) {
            const struct sent_line *of = line_with(w, place->text);
            entry.line = of->at.line;
            entry.producer = (uint16_t)of->at.producer;
            entry.flags |= ENTRY_EXTRA;
            accuse_place(w, FINDING_DUPLICATE, place, (int64_t)i);
        } else if (place->misrouted) {
            entry.flags |= ENTRY_EXTRA | ENTRY_MISROUTED;
        } else {
            entry.flags |= place->guessed ? ENTRY_GUESSED : 0;
            entry.line = place->line->at.line;
            entry.producer = (uint16_t)place->line->at.producer;
            line_fate(w->k, place->line->at)->offset = (int64_t)i;
            line_fate(w->k, place->line->at)->guessed = w->lines_of[place->text] > 1;
            if (place->line->refused) {
                accuse_place(w, FINDING_ABORTED_READ, place, (int64_t)i);
            }
        }
        if (w->misrouted[place->text] > 0) {
            topic_log_accuse(log, (int64_t)i, w->misrouted[place->text] - 1);
        }
        MEMORY_PUSH(log, entry);
    }
    topic_log_close(log);
}

void check_plain(struct checking *k)
{
    size_t texts = k->h->texts.count;
    size_t *misrouted = plain_misrouted(k);

    for (size_t t = 0; t < k->s->topic_count; t++) {
        struct weaving w = {.k = k,
                            .topic = t,
                            .left = memory_zeroed(texts, sizeof *w.left),
                            .least = memory_zeroed(texts, sizeof *w.least),
                            .lines_of = memory_zeroed(texts, sizeof *w.lines_of),
                            .assigned = memory_zeroed(texts, sizeof *w.assigned),
                            .misrouted = misrouted};
        lines_collect(&w);
        check_moves(k, t, w.lines_of);
        least_count(&w);
        lines_limit(&w);
        order_weave(&w);
        lines_assign(&w);
        unseen_insert(&w);
        log_fill(&w);
        free(w.left);
        free(w.least);
        free(w.lines_of);
        free(w.assigned);
        free(w.lines.items);
        free(w.order.items);
    }
    free(misrouted);
}
