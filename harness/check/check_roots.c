/*
 * check_roots.c - what one restart did is one finding, to however many producers and topics.
 *
 * A store that goes down and comes back without its last second has lost messages of everybody.
 * While the logs are made such items are kept apart by producer and topic, and by the restarts
 * that each may come from: a message that was acknowledged before the second restart, and that a
 * consumer read past after it, was lost by the second one or by an earlier one, not by the third.
 *
 * Here they are brought together: the fewest restarts that explain all items of one kind. What only
 * one process and topic has seen of a restart, or what comes from none, stays as it was.
 *
 * That they come from the restart, nobody can prove; that all lie across it is what is said.
 */
#include "harness/check/check_parts.h"

#include "harness/faults/fault_kind.h"
#include "harness/memory.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

struct restart_span restarts_between(const struct checking *k, int64_t from_ns, int64_t to_ns)
{
    struct restart_span span = {1, k->restarts.count};

    while (span.first <= span.last && k->restarts.items[span.first - 1].restart_ns < from_ns) {
        span.first++;
    }
    while (span.last >= span.first && k->restarts.items[span.last - 1].hit_ns > to_ns) {
        span.last--;
    }
    return span.first <= span.last ? span : (struct restart_span){0, 0};
}

/* ---- which restart -------------------------------------------------------------------- */

/* Of the items of one kind. */
static bool is_alike(const struct finding *a, const struct finding *b)
{
    return a->kind == b->kind && a->source == b->source && a->excused == b->excused;
}

/* The restart of each finding, from 1; 0: of none. What was whole for longest decides: all that may
 * come from the restart after it do. */
static size_t *restarts_choose(const struct findings *f)
{
    size_t *chosen = memory_zeroed(f->count, sizeof *chosen);

    for (;;) {
        const struct finding *latest = NULL;
        for (size_t i = 0; i < f->count; i++) {
            const struct finding *one = &f->items[i];
            if (chosen[i] == 0 && one->cause == FINDING_ROOT &&
                one->span.first > (latest == NULL ? 0 : latest->span.first)) {
                latest = one;
            }
        }
        if (latest == NULL) {
            return chosen;
        }
        for (size_t i = 0; i < f->count; i++) {
            const struct finding *one = &f->items[i];
            if (chosen[i] == 0 && one->cause == FINDING_ROOT && is_alike(one, latest) &&
                one->span.first > 0 && one->span.last >= latest->span.first) {
                chosen[i] = latest->span.first;
            }
        }
    }
}

/* ---- one finding for each ---------------------------------------------------------------- */

struct rooting {
    struct checking *k;
    struct findings *from;
    struct findings to;
    const size_t *chosen; /* by finding of `from`: its restart, or 0 */
    size_t *order;        /* of `from`: by producer, then topic */
    size_t *became;       /* by finding of `from`: its index in `to` */
};

static int order_compare(const void *a, const void *b, void *items)
{
    size_t i = *(const size_t *)a;
    size_t j = *(const size_t *)b;
    const struct finding *x = &((const struct finding *)items)[i];
    const struct finding *y = &((const struct finding *)items)[j];
    size_t x_size = strlen(x->process); /* P2 before P10 */
    size_t y_size = strlen(y->process);
    int names =
        x_size != y_size ? (x_size > y_size) - (x_size < y_size) : strcmp(x->process, y->process);

    if (names != 0) {
        return names;
    }
    return x->topic != y->topic ? (x->topic > y->topic) - (x->topic < y->topic) : (i > j) - (i < j);
}

/* Has another process or topic seen the same of its restart? `topic` becomes the topic of all, or
 * FINDING_TOPIC_NONE. */
static bool is_shared(const struct rooting *r, size_t at, size_t *topic)
{
    const struct finding *one = &r->from->items[at];
    bool shared = false;

    *topic = one->topic;
    for (size_t i = 0; i < r->from->count && r->chosen[at] > 0; i++) {
        const struct finding *other = &r->from->items[i];
        if (r->chosen[i] == r->chosen[at] && is_alike(one, other)) {
            shared =
                shared || other->topic != one->topic || strcmp(other->process, one->process) != 0;
            *topic = other->topic == *topic ? *topic : FINDING_TOPIC_NONE;
        }
    }
    return shared;
}

/* "fault 1 (power-cut store) at 3.1 s"; of the fault's words only what is done to whom. */
static void restart_append(struct buffer *b, const struct checking *k, size_t number)
{
    const struct restart *restart = &k->restarts.items[number - 1];

    buffer_append_string(b, process_name("fault ", restart->fault).text);
    if (restart->fault >= 1 && (uint64_t)restart->fault <= k->s->fault_count) {
        struct buffer words = BUFFER_INIT;
        fault_append_words(&words, &k->s->faults[restart->fault - 1]);
        buffer_printf(b, " (%.*s)", (int)strcspn(words.data, ","), words.data);
        buffer_release(&words);
    }
    if (k->c->begin_ns != TIME_NONE) {
        buffer_printf(b, " at %.1f s", (double)(restart->hit_ns - k->c->begin_ns) / NS_PER_S);
    }
}

static char *common_make(const struct checking *k, enum finding_kind kind, size_t number)
{
    struct buffer b = BUFFER_INIT;

    switch (kind) {
    case FINDING_LOST:
        buffer_append_string(&b, "acknowledged before ");
        restart_append(&b, k, number);
        break;
    case FINDING_DUPLICATE:
        buffer_append_string(&b, "sent before ");
        restart_append(&b, k, number);
        buffer_append_string(&b, " and not acknowledged until after it");
        break;
    case FINDING_REAL_TIME_ORDER:
        buffer_append_string(&b, "sent after ");
        restart_append(&b, k, number);
        buffer_append_string(&b, ", and stored before what was known before it");
        break;
    default:
        buffer_append_string(&b, "given before ");
        restart_append(&b, k, number);
        buffer_append_string(&b, " and again after it");
    }
    char *words = memory_string(buffer_slice(&b));
    buffer_release(&b);
    return words;
}

static void root_move(struct rooting *r, size_t at)
{
    struct finding *one = &r->from->items[at];
    size_t topic;
    bool shared = is_shared(r, at, &topic);
    struct process_name process = {""};

    if (shared) {
        process = process_name("fault ", r->k->restarts.items[r->chosen[at] - 1].fault);
    }
    size_t into = findings_get(&r->to, one->kind, one->source, shared ? process.text : one->process,
                               shared ? topic : one->topic, FINDING_ROOT, one->excused);
    if (shared && r->to.items[into].common == NULL) {
        r->to.items[into].common = common_make(r->k, one->kind, r->chosen[at]);
    }
    finding_absorb(&r->to.items[into], one, shared);
    r->became[at] = into;
}

/* Once all of it is there: where it lies, and whose each piece of evidence is. */
static void parts_tell(const struct checking *k, struct finding *f)
{
    struct buffer words = BUFFER_INIT;
    struct buffer where = BUFFER_INIT;

    extent_append_words(&where, &f->extent);
    if (f->part_count > 0 && where.size > 0) {
        buffer_printf(&words, "%s, %s%s", f->common,
                      isdigit((unsigned char)where.data[0]) ? "" : "all ", where.data);
        free(f->common);
        f->common = memory_string(buffer_slice(&words));
    }
    buffer_release(&words);
    buffer_release(&where);
    for (size_t i = 0; i < f->evidence_count && f->part_count > 0; i++) {
        struct evidence *e = &f->evidence[i];
        char *detail = e->detail;
        evidence_say(e, "%s to %s: %s", evidence_process(f, e),
                     k->s->topics[evidence_topic(f, e)].name, detail);
        free(detail);
    }
}

static void consequence_move(struct rooting *r, size_t at)
{
    struct finding *one = &r->from->items[at];
    size_t into = findings_get(&r->to, one->kind, one->source, one->process, one->topic,
                               r->became[one->cause], one->excused);

    finding_absorb(&r->to.items[into], one, false);
}

void check_roots(struct checking *k)
{
    struct findings *f = &k->c->findings;
    size_t *chosen = restarts_choose(f);
    struct rooting r = {.k = k,
                        .from = f,
                        .chosen = chosen,
                        .order = memory_zeroed(f->count, sizeof *r.order),
                        .became = memory_zeroed(f->count, sizeof *r.became)};

    for (size_t i = 0; i < f->count; i++) {
        r.order[i] = i;
    }
    if (f->count > 0) {
        qsort_r(r.order, f->count, sizeof *r.order, order_compare, f->items);
    }
    for (size_t i = 0; i < f->count; i++) {
        if (f->items[r.order[i]].cause == FINDING_ROOT) {
            root_move(&r, r.order[i]);
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        if (f->items[i].cause != FINDING_ROOT) {
            consequence_move(&r, i);
        }
    }
    for (size_t i = 0; i < r.to.count; i++) {
        parts_tell(k, &r.to.items[i]);
    }
    findings_release(f);
    *f = r.to;
    free(chosen);
    free(r.order);
    free(r.became);
}
