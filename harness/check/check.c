/*
 * check.c - the parts in their order, and the verdict from what they found.
 */
#include "harness/check/check.h"

#include "harness/check/check_parts.h"
#include "harness/check/median.h"
#include "harness/check/parallel.h"
#include "harness/faults/fault_kind.h"
#include "harness/memory.h"

#include <stdlib.h>

static void latency_take(struct check_producer *out, const struct history_producer *from)
{
    int64_t *spans = memory_zeroed(from->sends.count, sizeof *spans);
    size_t count = 0;

    for (size_t i = 0; i < from->sends.count; i++) {
        const struct history_send *send = &from->sends.items[i];
        if (send->outcome != OUTCOME_OK) {
            continue;
        }
        spans[count++] = send->end_ns - send->begin_ns;
        if (send->end_ns - send->begin_ns > out->slowest_ns) {
            out->slowest_ns = send->end_ns - send->begin_ns;
            out->slowest_line = send->line;
        }
        out->last_ns = send->end_ns > out->last_ns ? send->end_ns : out->last_ns;
    }
    if (count > 0) {
        out->median_ns = median_of(spans, count);
    }
    free(spans);
}

/* A request with the sequence of the topic's request before it is that one again. */
static void retries_take(const struct checking *k, struct check_producer *out,
                         const struct history_producer *from)
{
    int64_t *last = memory_zeroed(k->s->topic_count, sizeof *last); /* sequence + 1 */

    for (size_t i = 0; i < from->requests.count; i++) {
        const struct history_request *r = &from->requests.items[i];
        size_t topic = topic_of(k, r->topic);
        out->requests += r->is_produce;
        if (!r->is_produce || topic == FINDING_TOPIC_NONE || r->sequence == NUMBER_NONE) {
            continue;
        }
        out->retries += last[topic] == r->sequence + 1;
        last[topic] = r->sequence + 1;
    }
    free(last);
}

static void producer_round(void *arg, size_t p)
{
    const struct checking *k = arg;
    const struct history_producer *from = &k->h->producers[p];
    struct check_producer *out = &k->c->producers[p];

    *out = (struct check_producer){.lines = k->s->producers[p].expected,
                                   .acknowledged = k->acknowledged[p],
                                   .first_ns = TIME_NONE,
                                   .last_ns = TIME_NONE,
                                   .median_ns = TIME_NONE,
                                   .slowest_ns = TIME_NONE,
                                   .slowest_line = NUMBER_NONE};
    if (from->sends.count > 0) {
        out->first_ns = from->sends.items[0].begin_ns;
    }
    latency_take(out, from);
    retries_take(k, out, from);
}

static void producers_take(struct checking *k)
{
    k->c->producers = memory_zeroed(k->s->producer_count, sizeof *k->c->producers);
    parallel_each(k->s->producer_count, producer_round, k);
}

static void times_take(struct checking *k)
{
    struct check *c = k->c;

    c->begin_ns = TIME_NONE;
    c->end_ns = TIME_NONE;
    for (size_t p = 0; p < k->s->producer_count; p++) {
        const struct check_producer *producer = &c->producers[p];
        if (producer->first_ns != TIME_NONE &&
            (c->begin_ns == TIME_NONE || producer->first_ns < c->begin_ns)) {
            c->begin_ns = producer->first_ns;
        }
        c->end_ns = producer->last_ns > c->end_ns ? producer->last_ns : c->end_ns;
    }
    for (size_t i = 0; i < k->h->consumer_count; i++) {
        const struct history_consumer *consumer = &k->h->consumers[i];
        size_t count = consumer->receives.count;
        if (count > 0 && consumer->receives.items[count - 1].time_ns > c->end_ns) {
            c->end_ns = consumer->receives.items[count - 1].time_ns;
        }
    }
}

static void verdict_take(struct checking *k)
{
    struct findings *f = &k->c->findings;

    findings_sort(f);
    k->c->verdict = VERDICT_VALID;
    if (f->count > 0 && !f->items[0].excused) {
        k->c->verdict = finding_breaks(f->items[0].kind) ? VERDICT_INVALID : VERDICT_UNKNOWN;
    }
}

/* Each part has counted what it looked at; this is what was found. */
static void promises_take(struct checking *k)
{
    struct check *c = k->c;
    struct check_promise *p = c->promises;

    for (size_t i = 0; i < k->s->fault_count; i++) {
        p[PROMISE_FAULTS].checked += c->faults[i].bit > 0;
    }
    for (size_t i = 0; i < c->findings.count; i++) {
        const struct finding *f = &c->findings.items[i];
        enum promise promise = finding_promise(f);
        if (promise == PROMISES) {
            continue;
        }
        *(f->excused == EXCUSE_NOT_CLAIMED    ? &p[promise].not_claimed
          : f->excused == EXCUSE_NOT_PROMISED ? &p[promise].not_promised
          : finding_breaks(f->kind)           ? &p[promise].broken
                                              : &p[promise].unknown) += f->count;
    }
}

static void checking_release(struct checking *k)
{
    for (size_t p = 0; p < k->s->producer_count; p++) {
        free(k->fates[p]);
    }
    for (size_t t = 0; t < k->s->topic_count; t++) {
        free(k->logs[t].items);
        free(k->logs[t].accused.items);
        free(k->logs[t].known_ns);
    }
    free(k->fates);
    free(k->acknowledged);
    free(k->logs);
    free(k->restarts.items);
    free(k->forgotten.items);
    free(k->moved.items);
    free(k->stuck.items);
    free(k->false_empties.items);
    free(k->torn.items);
    free(k->sent);
    free(k->once);
}

/* Of the broker or of what it keeps its messages in; not of a client, or of a link. */
static bool is_restart(const struct checking *k, const struct history_fault *fault)
{
    if (fault->number < 1 || (uint64_t)fault->number > k->s->fault_count) {
        return true; /* by who runs the system under test */
    }
    const struct scenario_fault *planned = &k->s->faults[fault->number - 1];
    return (planned->target == TARGET_BROKER || planned->target == TARGET_POSTGRES) &&
           (fault_kind(planned->action)->shape == SHAPE_DOWN || planned->action == FAULT_REPLACE);
}

/* Is the broker's process gone, and with it what was on its way there? */
static bool is_death(const struct checking *k, const struct history_fault *fault)
{
    const struct scenario_fault *planned;

    if (fault->number < 1 || (uint64_t)fault->number > k->s->fault_count) {
        return false;
    }
    planned = &k->s->faults[fault->number - 1];
    return planned->target == TARGET_BROKER && fault_kind(planned->action)->shape == SHAPE_DOWN;
}

/* What the run as a whole says: was it given up, when was the broker started again? */
static void run_take(struct checking *k)
{
    struct findings *f = &k->c->findings;

    k->plain = k->h->run.plain;
    k->ended_early = FINDING_ROOT;
    if (k->h->run.ended_early != NULL) {
        k->ended_early = findings_get(f, FINDING_ENDED_EARLY, SOURCE_HISTORY, "",
                                      FINDING_TOPIC_NONE, FINDING_ROOT, EXCUSE_NONE);
        evidence_say(findings_count(f, k->ended_early), "%s", k->h->run.ended_early);
    }
    for (size_t i = 0; i < k->h->faults.count; i++) {
        const struct history_fault *fault = &k->h->faults.items[i];
        if (fault->hit_ns != TIME_NONE && fault->restart_ns != TIME_NONE && is_restart(k, fault)) {
            MEMORY_PUSH(&k->restarts, (struct restart){fault->number, fault->hit_ns,
                                                       fault->restart_ns, is_death(k, fault)});
        }
    }
}

struct check *check_run(const struct scenario *s, struct history *h)
{
    struct checking k = {.s = s, .h = h, .c = memory_zeroed(1, sizeof *k.c)};

    k.fates = memory_zeroed(s->producer_count, sizeof *k.fates);
    k.acknowledged = memory_zeroed(s->producer_count, sizeof *k.acknowledged);
    k.logs = memory_zeroed(s->topic_count, sizeof *k.logs);
    run_take(&k);
    check_fates(&k);
    check_forgotten(&k);
    check_progress(&k);
    if (k.plain) {
        check_plain(&k);
    } else {
        check_log(&k);
    }
    check_known(&k);
    check_debts(&k);
    check_streams(&k);
    check_positions(&k);
    check_time(&k);
    check_deliveries(&k);
    check_sizes(&k);
    check_faults(&k);
    producers_take(&k);
    times_take(&k);
    check_roots(&k);
    verdict_take(&k);
    promises_take(&k);
    check_sentence(&k);
    checking_release(&k);
    return k.c;
}

void check_destroy(struct check *c)
{
    if (c == NULL) {
        return;
    }
    findings_release(&c->findings);
    free(c->sentence);
    free(c->reason);
    free(c->deliveries);
    free(c->producers);
    free(c->faults);
    free(c);
}
