/*
 * check_faults.c - did each fault bite, and how long did it last?
 *
 * A fault proves that it bit by what its kind counts (fault_kind.h), as the harness saw it; or,
 * where that is requests in flight, by the produce requests that were on their way when it hit:
 * begun before the target was certainly dead, and neither answered well before that, nor over
 * before the fault began, nor refused before a byte was sent. Whether all went on after it is
 * check_progress.c's.
 */
#include "harness/check/check_parts.h"

#include "harness/faults/fault_kind.h"
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
    fault->more = f->more;
    fault->struck_ns =
        fault_kind(fault->planned.action)->shape == SHAPE_WINDOW ? f->begin_ns : f->hit_ns;
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

/* The finding about a fault; false: there is none. */
static bool fault_judge(const struct check_fault *fault, enum finding_kind *kind)
{
    if (fault->begin_ns == TIME_NONE) {
        *kind = FINDING_NOT_FIRED;
        return true;
    }
    if (fault->hit_ns == TIME_NONE || fault->end_ns == TIME_NONE) {
        *kind = FINDING_NO_RECOVERY;
        return true;
    }
    if (fault->bit == 0) {
        *kind = FINDING_HIT_NOTHING;
        return true;
    }
    return false;
}

/* Is it begun only when there is something that it would hit? */
static bool waits_until_ripe(const struct scenario_fault *fault)
{
    const struct fault_ops *ops = fault_kind(fault->action)->ops;

    return ops != NULL && ops->ripe != NULL;
}

static void evidence_put(struct checking *k, struct evidence *e, enum finding_kind kind,
                         const struct check_fault *fault)
{
    struct buffer b = BUFFER_INIT;

    fault_append(&b, &fault->planned);
    switch (kind) {
    case FINDING_NOT_FIRED:
        buffer_printf(&b, ": it did not happen; there were %" PRId64 " acks", k->c->acknowledged);
        if (waits_until_ripe(&fault->planned)) {
            buffer_printf(&b, ", and no %s seen from its moment on",
                          fault_kind(fault->planned.action)->unit);
        }
        break;
    case FINDING_NO_RECOVERY:
        buffer_printf(&b, ": the target was not seen %s",
                      fault->hit_ns == TIME_NONE ? "to be hit" : "to answer again");
        break;
    case FINDING_HIT_NOTHING:
        buffer_printf(&b, ": it hit 0 %s", fault_kind(fault->planned.action)->unit);
        break;
    default:
        break;
    }
    evidence_say(e, "%s", b.data);
    buffer_release(&b);
}

/* The finding that somebody did not get over a fault, or FINDING_ROOT. */
static size_t stuck_after(const struct checking *k, size_t fault)
{
    for (size_t i = 0; i < k->stuck.count; i++) {
        size_t after = k->stuck.items[i].fault;
        if (after < k->h->faults.count && k->h->faults.items[after].number == (int64_t)fault + 1) {
            return k->stuck.items[i].finding;
        }
    }
    return FINDING_ROOT;
}

static void fault_report(struct checking *k, size_t i)
{
    struct check_fault *fault = &k->c->faults[i];
    enum finding_kind kind;

    if (fault->bit == NUMBER_NONE || !counts_itself(&fault->planned)) {
        fault->bit = fault->in_flight;
    }
    if (fault_judge(fault, &kind)) {
        size_t cause = kind == FINDING_NO_RECOVERY ? stuck_after(k, i)
                       : kind == FINDING_NOT_FIRED ? k->ended_early
                                                   : FINDING_ROOT;
        size_t finding = findings_get(&k->c->findings, kind, SOURCE_HISTORY,
                                      process_name("fault ", (int64_t)i + 1).text,
                                      FINDING_TOPIC_NONE, cause, EXCUSE_NONE);
        evidence_put(k, findings_count(&k->c->findings, finding), kind, fault);
    }
}

void check_faults(struct checking *k)
{
    struct check *c = k->c;

    c->faults = memory_zeroed(k->s->fault_count, sizeof *c->faults);
    for (size_t i = 0; i < k->s->fault_count; i++) {
        c->faults[i] = (struct check_fault){.planned = k->s->faults[i],
                                            .begin_ns = TIME_NONE,
                                            .struck_ns = TIME_NONE,
                                            .hit_ns = TIME_NONE,
                                            .restart_ns = TIME_NONE,
                                            .end_ns = TIME_NONE,
                                            .more = TEXT_NONE,
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
        fault_report(k, i);
    }
}
