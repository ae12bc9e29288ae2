/*
 * check_faults.c - did each fault bite, and how long did it last?
 *
 * A fault proves that it bit by what its kind counts (fault_kind.h), as the harness saw it; or,
 * where that is requests in flight, by the produce requests that were on their way when it hit:
 * begun before the target was certainly dead, and neither answered well before that, nor over
 * before the fault began, nor refused before a byte was sent.
 */
#include "harness/check_parts.h"

#include "harness/fault_kind.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>

int64_t check_span_ns(int64_t from_ns, int64_t to_ns)
{
    return from_ns == TIME_NONE || to_ns == TIME_NONE ? TIME_NONE : to_ns - from_ns;
}

static void fault_take(struct checking *k, const struct history_fault *f)
{
    if (f->number < 1 || (uint64_t)f->number > k->s->fault_count) {
        return; /* not one of this scenario's */
    }
    struct check_fault *fault = &k->c->faults[f->number - 1];
    fault->acks = f->acks;
    fault->begin_ns = f->begin_ns;
    fault->hit_ns = f->hit_ns;
    fault->restart_ns = f->restart_ns;
    fault->end_ns = f->end_ns;
    fault->bit = f->bit;
}

static bool was_in_flight(const struct history_request *r, const struct check_fault *fault)
{
    bool open = r->end_ns == TIME_NONE;

    if (fault->hit_ns == TIME_NONE || r->begin_ns >= fault->hit_ns) {
        return false;
    }
    if (!open &&
        (r->end_ns < fault->begin_ns || (r->outcome == OUTCOME_OK && r->end_ns < fault->hit_ns))) {
        return false;
    }
    return r->outcome != OUTCOME_FAIL || r->http > 0;
}

/* Faults follow each other, so a request meets those from the first that hit after it
 * began to the last that began before it ended. */
static void request_take(struct checking *k, const struct history_request *r)
{
    size_t low = 0;
    size_t high = k->s->fault_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->c->faults[middle].hit_ns != TIME_NONE &&
            k->c->faults[middle].hit_ns <= r->begin_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < k->s->fault_count; low++) {
        struct check_fault *fault = &k->c->faults[low];
        if (fault->begin_ns == TIME_NONE ||
            (r->end_ns != TIME_NONE && fault->begin_ns > r->end_ns)) {
            return;
        }
        if (was_in_flight(r, fault)) {
            fault->in_flight++;
            fault->interrupted += r->outcome != OUTCOME_OK;
        }
    }
}

/* An acknowledgement is the first one after the latest fault before it, if any is. */
static void ack_take(struct checking *k, int64_t acked_ns)
{
    size_t low = 0;
    size_t high = k->s->fault_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->c->faults[middle].restart_ns != TIME_NONE &&
            k->c->faults[middle].restart_ns <= acked_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return;
    }
    struct check_fault *fault = &k->c->faults[low - 1];
    if (fault->first_ack_ns == TIME_NONE || acked_ns < fault->first_ack_ns) {
        fault->first_ack_ns = acked_ns;
    }
}

static void producer_take(struct checking *k, size_t p)
{
    const struct history_producer *producer = &k->h->producers[p];

    for (size_t i = 0; i < producer->requests.count; i++) {
        if (producer->requests.items[i].is_produce) {
            request_take(k, &producer->requests.items[i]);
        }
    }
    for (size_t i = 0; i < producer->sends.count; i++) {
        if (producer->sends.items[i].outcome == OUTCOME_OK) {
            ack_take(k, producer->sends.items[i].end_ns);
        }
    }
}

/* Does its kind count something else than requests in flight? */
static bool counts_itself(const struct scenario_fault *fault)
{
    const struct fault_ops *ops = fault_kind(fault->action)->ops;

    return ops != NULL && ops->bitten != NULL;
}

static void fault_judge(struct checking *k, size_t i)
{
    struct check_fault *fault = &k->c->faults[i];
    enum finding_kind kind;

    if (fault->bit == NUMBER_NONE || !counts_itself(&fault->planned)) {
        fault->bit = fault->in_flight;
    }
    if (fault->begin_ns == TIME_NONE) {
        kind = FINDING_NOT_FIRED;
    } else if (fault->hit_ns == TIME_NONE || fault->end_ns == TIME_NONE) {
        kind = FINDING_NO_RECOVERY;
    } else if (fault->bit == 0) {
        kind = FINDING_HIT_NOTHING;
    } else {
        return;
    }
    struct evidence *e =
        findings_add(&k->c->findings, kind, SOURCE_HISTORY,
                     process_name("fault ", (int64_t)i + 1).text, FINDING_TOPIC_NONE);
    const char *action = fault_action_name(fault->planned.action);
    const char *target = fault_target_name(fault->planned.target);
    switch (kind) {
    case FINDING_NOT_FIRED:
        evidence_say(e, "%s %s after %" PRId64 " %s did not happen; there were %" PRId64 " acks",
                     action, target, fault->planned.after,
                     fault->planned.when == WHEN_MS ? "ms" : "acks", k->c->acknowledged);
        break;
    case FINDING_NO_RECOVERY:
        evidence_say(e, "%s %s at %" PRId64 " acks: the target was not seen %s", action, target,
                     fault->acks, fault->hit_ns == TIME_NONE ? "dead" : "to answer again");
        break;
    default:
        evidence_say(e, "%s %s at %" PRId64 " acks: it hit 0 %s", action, target, fault->acks,
                     fault_kind(fault->planned.action)->unit);
    }
}

void check_faults(struct checking *k)
{
    struct check *c = k->c;

    c->faults = memory_zeroed(k->s->fault_count, sizeof *c->faults);
    for (size_t i = 0; i < k->s->fault_count; i++) {
        c->faults[i] = (struct check_fault){.planned = k->s->faults[i],
                                            .begin_ns = TIME_NONE,
                                            .hit_ns = TIME_NONE,
                                            .restart_ns = TIME_NONE,
                                            .end_ns = TIME_NONE,
                                            .first_ack_ns = TIME_NONE};
    }
    for (size_t i = 0; i < k->h->faults.count; i++) {
        fault_take(k, &k->h->faults.items[i]);
    }
    for (size_t p = 0; p < k->h->producer_count && k->s->fault_count > 0; p++) {
        producer_take(k, p);
    }
    for (size_t i = k->s->fault_count; i-- > 1;) {
        if (c->faults[i - 1].first_ack_ns == TIME_NONE) {
            c->faults[i - 1].first_ack_ns = c->faults[i].first_ack_ns;
        }
    }
    for (size_t i = 0; i < k->s->fault_count; i++) {
        fault_judge(k, i);
    }
}
