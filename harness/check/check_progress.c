/*
 * check_progress.c - did everybody get on: after each fault, and without any?
 *
 * Judged for each producer and each consumer on each of its topics, by its own requests: a
 * client that asks nothing says nothing. While a fault lasts anything may fail, and so may what
 * was begun before it was over. From then on a client tries, until a request of it succeeds:
 * it counts how long its refused and unanswered requests took, and the pauses between them,
 * each as long as the library makes them at most. That is all that may not be longer than
 * recovery_ms; so a machine that is slow to run a client does no harm.
 *
 * After a fault the first request may meet a connection that the fault has broken, and nobody
 * was told. If it has no answer, it does not count. Of a refusal that came after the fault was
 * over, what lies behind that counts.
 */
#include "harness/check/check_parts.h"

#include "harness/check/parallel.h"
#include "harness/faults/fault_kind.h"
#include "harness/memory.h"
#include "harness/report/wording.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000
#define PAUSE_NS (INT64_C(1000) * NS_PER_MS) /* the library's are shorter (myqueue/src/retry.h) */
#define POLL_NS (INT64_C(20000) * NS_PER_MS) /* so long the broker may hold a consume */
#define NO_FAULT SIZE_MAX

/* One client's requests to one topic since its last success. */
struct trying {
    size_t fault;     /* the one before them, an index into history.faults; NO_FAULT */
    bool recovers;    /* nothing has succeeded since that fault */
    bool answered;    /* … but one was answered, or left without an answer */
    int64_t begin_ns; /* of the first; TIME_NONE: there was none */
    int64_t last_ns;  /* since when it pauses; TIME_NONE: it does not */
    int64_t tried_ns;
    int64_t refused;
    int64_t unanswered;
    uint32_t code; /* of the last that was refused, or TEXT_NONE */
};

/* A client on its way through its requests. */
struct client {
    const struct checking *k;
    struct process_name name;
    uint32_t no_message;
    uint32_t refused;      /* the judge's code of a refusal whose reason it cannot tell */
    struct trying *topics; /* by topic */
    struct stuck_list stuck;
};

/* From when on all must be well again; INT64_MAX: never. What the scenario did is undone then.
 * Of a restart by others it is known only when the system answered again. */
static int64_t fault_over_ns(const struct checking *k, const struct history_fault *fault)
{
    bool planned = fault->number >= 1 && (uint64_t)fault->number <= k->s->fault_count;
    int64_t over_ns = planned ? fault->restart_ns : fault->end_ns;

    return over_ns == TIME_NONE ? INT64_MAX : over_ns;
}

/* The last fault that began before a moment, or NO_FAULT. */
static size_t fault_before(const struct checking *k, int64_t time_ns)
{
    size_t low = 0;
    size_t high = k->h->faults.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->h->faults.items[middle].begin_ns <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NO_FAULT : low - 1;
}

/* May a system that is judged by plain calls, and does not claim to keep its topics, have forgotten
 * this one? Who has to register anew makes it again. */
static bool maybe_gone(const struct checking *k, const struct history_request *r)
{
    const struct history_claims *claims = &k->h->run.claims;

    return !claims->topics && claims->ids && restarted_before(k, r->end_ns);
}

/* Did it succeed, or is it no matter that it did not? A plain produce that is refused ends there,
 * and has its own name. A plain consume that is told that it, or its topic, is not known registers;
 * any other refusal, and an error of the system's own, is neither a message nor "no message". */
static bool is_answered(const struct client *c, const struct history_request *r)
{
    if (c->k->plain && r->http >= 400) {
        bool refused = r->code == TEXT_NONE || r->code == c->refused;
        return r->is_consume ? !refused || maybe_gone(c->k, r) : r->http < 500;
    }
    return r->outcome == OUTCOME_OK || (r->code != TEXT_NONE && r->code == c->no_message);
}

/* It has tried for some time, and has succeeded or not. */
static void trying_judge(struct client *c, size_t topic, bool in_vain)
{
    const struct trying *t = &c->topics[topic];

    if (t->tried_ns > c->k->s->recovery_ms * NS_PER_MS) {
        MEMORY_PUSH(&c->stuck, (struct stuck){.client = c->name,
                                              .topic = topic,
                                              .fault = t->recovers ? t->fault : NO_FAULT,
                                              .in_vain = in_vain,
                                              .begin_ns = t->begin_ns,
                                              .tried_ns = t->tried_ns,
                                              .refused = t->refused,
                                              .unanswered = t->unanswered,
                                              .code = t->code});
    }
}

static struct trying trying_after(size_t fault, bool recovers, int64_t last_ns)
{
    return (struct trying){.fault = fault,
                           .recovers = recovers,
                           .begin_ns = TIME_NONE,
                           .last_ns = last_ns,
                           .code = TEXT_NONE};
}

/* How long a request took, from `from_ns` on at the earliest. */
static int64_t took_ns(const struct history_request *r, int64_t from_ns)
{
    return r->end_ns - (r->begin_ns > from_ns ? r->begin_ns : from_ns);
}

/* Count a request with the pause before it, and so much of itself. */
static void trying_count(struct trying *t, const struct history_request *r, int64_t counted_ns)
{
    int64_t pause_ns = t->last_ns == TIME_NONE ? 0 : r->begin_ns - t->last_ns;

    pause_ns = pause_ns < 0 ? 0 : pause_ns;
    t->tried_ns += (pause_ns < PAUSE_NS ? pause_ns : PAUSE_NS) + (counted_ns < 0 ? 0 : counted_ns);
    t->begin_ns = t->begin_ns == TIME_NONE ? r->begin_ns : t->begin_ns;
    t->last_ns = r->end_ns;
}

static void failed_take(struct trying *t, const struct history_request *r, int64_t over_ns)
{
    int64_t counted_ns = took_ns(r, over_ns);

    if (r->outcome == OUTCOME_FAIL || r->http > 0) {
        t->refused++;
        t->code = r->code;
        t->answered = true;
    } else {
        t->unanswered++;
        counted_ns -= r->is_consume ? POLL_NS : 0;
        counted_ns = t->recovers && !t->answered ? 0 : counted_ns;
        t->answered = true; /* the next has a connection of its own */
    }
    trying_count(t, r, counted_ns);
}

/* How long a consumer's success took says nothing: it may have waited for a message. */
static void succeeded_take(struct client *c, size_t topic, const struct history_request *r,
                           int64_t over_ns)
{
    struct trying *t = &c->topics[topic];

    if (t->recovers || t->begin_ns != TIME_NONE) {
        trying_count(t, r, r->is_produce ? took_ns(r, over_ns) : 0);
        trying_judge(c, topic, false);
    }
    *t = trying_after(t->fault, false, TIME_NONE);
}

static void request_take(struct client *c, const struct history_request *r)
{
    size_t topic = topic_of(c->k, r->topic);

    if (topic == FINDING_TOPIC_NONE || !(r->is_produce || r->is_consume) ||
        r->end_ns == TIME_NONE) {
        return;
    }
    struct trying *t = &c->topics[topic];
    size_t fault = fault_before(c->k, r->end_ns);
    int64_t over_ns =
        fault == NO_FAULT ? TIME_NONE : fault_over_ns(c->k, &c->k->h->faults.items[fault]);
    if (fault != t->fault) {
        trying_judge(c, topic, true);
        *t = trying_after(fault, true, TIME_NONE);
    }
    bool was_hit = r->begin_ns < over_ns;
    if (is_answered(c, r)) {
        if (!was_hit || r->end_ns > over_ns) {
            succeeded_take(c, topic, r, over_ns);
        }
    } else if (was_hit && (r->end_ns <= over_ns || r->http <= 0)) {
        t->last_ns = r->end_ns > over_ns ? r->end_ns : over_ns; /* now it waits to ask again */
    } else {
        failed_take(t, r, over_ns);
    }
}

/* A round for each client, the producers first. */
static void client_round(void *arg, size_t i)
{
    struct client *c = &((struct client *)arg)[i];
    const struct history *h = c->k->h;
    size_t topics = c->k->s->topic_count;
    bool produces = i < h->producer_count;
    const struct history_request *items = produces
                                              ? h->producers[i].requests.items
                                              : h->consumers[i - h->producer_count].requests.items;
    size_t count = produces ? h->producers[i].requests.count
                            : h->consumers[i - h->producer_count].requests.count;

    c->topics = memory_zeroed(topics, sizeof *c->topics);
    for (size_t t = 0; t < topics; t++) {
        c->topics[t] = trying_after(NO_FAULT, false, TIME_NONE);
    }
    for (size_t r = 0; r < count; r++) {
        request_take(c, &items[r]);
    }
    for (size_t t = 0; t < topics; t++) {
        trying_judge(c, t, true);
    }
    free(c->topics);
}

/* ---- findings ------------------------------------------------------------------------------ */

static void say_stuck(struct checking *k, struct evidence *e, const struct stuck *stuck)
{
    struct buffer b = BUFFER_INIT;
    int64_t number = stuck->fault == NO_FAULT ? 0 : k->h->faults.items[stuck->fault].number;

    if (number >= 1 && (uint64_t)number <= k->s->fault_count) {
        fault_append(&b, &k->s->faults[number - 1]);
        buffer_append_string(&b, ": ");
    }
    buffer_printf(&b, "%s tried %s for %" PRId64 " ms %s%s: ", stuck->client.text,
                  k->s->topics[stuck->topic].name, stuck->tried_ns / NS_PER_MS,
                  stuck->fault == NO_FAULT ? "while no fault lasted" : "after it was over",
                  stuck->in_vain ? ", in vain" : " until something succeeded");
    word_count(&b, stuck->refused, "request");
    buffer_append_string(&b, " refused");
    if (stuck->code != TEXT_NONE) {
        buffer_printf(&b, " (%s)", shown_text(k, stuck->code).text);
    }
    buffer_printf(&b, ", %" PRId64 " without an answer; recovery_ms is %" PRId64, stuck->unanswered,
                  k->s->recovery_ms);
    evidence_say(e, "%s", b.data);
    buffer_release(&b);
}

/* The harness had seen that all was well again, and it was told that the store is away. */
static bool is_false_away(const struct checking *k, const struct stuck *stuck)
{
    return stuck->fault != NO_FAULT && k->h->faults.items[stuck->fault].end_ns != TIME_NONE &&
           slice_equals(texts_get(&k->h->texts, stuck->code), slice_of("store_away"));
}

/* Of what followed a fault the worst is the finding's name. */
static enum finding_kind kind_after(const struct checking *k, size_t fault)
{
    enum finding_kind kind = fault == NO_FAULT ? FINDING_NO_PROGRESS : FINDING_SLOW_RECOVERY;

    for (size_t i = 0; i < k->stuck.count; i++) {
        const struct stuck *stuck = &k->stuck.items[i];
        if (stuck->fault == fault && is_false_away(k, stuck)) {
            return FINDING_FALSE_AWAY;
        }
        kind = stuck->fault == fault && stuck->in_vain ? FINDING_NO_PROGRESS : kind;
    }
    return kind;
}

static void stuck_report(struct checking *k, struct stuck *stuck)
{
    int64_t number = stuck->fault == NO_FAULT ? 0 : k->h->faults.items[stuck->fault].number;

    stuck->finding = findings_get(&k->c->findings, kind_after(k, stuck->fault), SOURCE_HISTORY,
                                  number == 0 ? "" : process_name("fault ", number).text,
                                  FINDING_TOPIC_NONE, FINDING_ROOT, EXCUSE_NONE);
    struct evidence *e = findings_count(&k->c->findings, stuck->finding);
    if (e != NULL) {
        e->time_ns = stuck->begin_ns;
        say_stuck(k, e, stuck);
    }
    /* Who does not get on keeps the run from its end. */
    if (stuck->in_vain && k->ended_early != FINDING_ROOT) {
        if (k->c->findings.items[k->ended_early].kind == FINDING_ENDED_EARLY) {
            k->c->findings.items[k->ended_early].cause = stuck->finding;
        }
        k->ended_early = stuck->finding;
    }
}

size_t progress_cause(const struct checking *k, size_t topic, const char *process)
{
    for (size_t i = 0; i < k->stuck.count; i++) {
        if (k->stuck.items[i].topic == topic &&
            strcmp(k->stuck.items[i].client.text, process) == 0) {
            return k->stuck.items[i].finding;
        }
    }
    return FINDING_ROOT;
}

void check_progress(struct checking *k)
{
    size_t count = k->h->producer_count + k->h->consumer_count;
    uint32_t no_message = texts_find(&k->h->texts, slice_of("no_message"));
    uint32_t refused = texts_find(&k->h->texts, slice_of("refused"));
    struct client *clients = memory_zeroed(count, sizeof *clients);

    for (size_t i = 0; i < count; i++) {
        clients[i].k = k;
        clients[i].no_message = no_message;
        clients[i].refused = refused;
        clients[i].name = i < k->h->producer_count ? producer_name(k, i)
                                                   : consumer_name(k, i - k->h->producer_count);
    }
    parallel_each(count, client_round, clients);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < clients[i].stuck.count; j++) {
            const struct stuck *stuck = &clients[i].stuck.items[j];
            if (forgotten_cause(k, stuck->topic, stuck->client.text, 0) == FINDING_ROOT) {
                MEMORY_PUSH(&k->stuck, *stuck);
            }
        }
        free(clients[i].stuck.items);
    }
    free(clients);
    for (size_t i = 0; i < k->stuck.count; i++) {
        stuck_report(k, &k->stuck.items[i]);
    }
}
