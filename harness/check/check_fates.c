/*
 * check_fates.c - what became of every line of the log files.
 *
 * check_fates() takes what the producers recorded. Only when the logs are made is it known
 * what the store did with sends whose outcome is unknown; check_debts() then says which
 * lines were not dealt with as they should have been.
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- fates: what became of every line -------------------------------------------- */

static void fates_prepare(struct checking *k)
{
    for (size_t p = 0; p < k->s->producer_count; p++) {
        size_t count = k->s->producers[p].line_count;
        k->fates[p] = memory_zeroed(count, sizeof **k->fates);
        for (size_t i = 0; i < count; i++) {
            k->fates[p][i] =
                (struct line_fate){.offset = OFFSET_NONE, .first = SEND_NONE, .best = SEND_NONE};
        }
    }
}

/* The index of a log file's line by its number in the file; `*index` is tried first. */
static bool line_find(const struct scenario_client *producer, int64_t number, size_t *index)
{
    size_t low = 0;
    size_t high = producer->line_count;

    if (*index < high && producer->lines[*index].number == number) {
        return true;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (producer->lines[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low;
    return low < producer->line_count && producer->lines[low].number == number;
}

static void say_missent(struct checking *k, size_t p, const struct history_send *send)
{
    struct evidence *e = findings_add(&k->c->findings, FINDING_MISSENT, SOURCE_HISTORY,
                                      producer_name(k, p).text, topic_of(k, send->topic));
    if (e != NULL) {
        e->line = send->line;
        e->text = send->message;
        e->time_ns = send->begin_ns;
        evidence_say(e, "sent %s to %s, which is not line %" PRIu32 " of its log file",
                     shown_text(k, send->message).text, shown_text(k, send->topic).text,
                     send->line);
    }
}

static void say_acked_twice(struct checking *k, size_t p, const struct history_send *send,
                            int64_t offset)
{
    struct evidence *e = findings_add(&k->c->findings, FINDING_DUPLICATE, SOURCE_HISTORY,
                                      producer_name(k, p).text, topic_of(k, send->topic));
    if (e != NULL) {
        e->line = send->line;
        e->offset = send->offset;
        e->text = send->message;
        e->time_ns = send->end_ns;
        evidence_say(e,
                     "line %" PRIu32 " was acknowledged at offset %" PRId64
                     ", sent again, and acknowledged at %" PRId64,
                     send->line, offset, send->offset);
    }
}

static void send_take(struct checking *k, size_t p, uint32_t at, size_t *index)
{
    const struct history_send *send = &k->h->producers[p].sends.items[at];
    const struct scenario_client *producer = &k->s->producers[p];

    if (!line_find(producer, send->line, index) || send->topic != producer->lines[*index].topic ||
        send->message != k->h->producers[p].lines[*index]) {
        say_missent(k, p, send);
        return;
    }
    struct line_ref line = {(uint32_t)p, (uint32_t)*index};
    struct line_fate *fate = line_fate(k, line);
    fate->first = fate->first == SEND_NONE ? at : fate->first;
    if (fate_outcome(k, line) == OUTCOME_OK) {
        if (send->outcome == OUTCOME_OK && send->offset != fate->offset) {
            say_acked_twice(k, p, send, fate->offset);
        }
        return;
    }
    fate->refused |= send->outcome == OUTCOME_FAIL;
    /* Refused now, but nobody knows how it went before: that is still so. */
    if (send->outcome != OUTCOME_FAIL || fate->best == SEND_NONE ||
        fate_outcome(k, line) == OUTCOME_FAIL) {
        fate->best = at;
    }
    if (send->outcome == OUTCOME_OK) {
        fate->offset = send->offset;
        k->acknowledged[p]++;
    }
}

/* Is there a send of which nothing tells whether it was executed? */
static bool is_vague(const struct checking *k)
{
    for (size_t p = 0; p < k->s->producer_count && !k->h->rows_read; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            if (maybe_executed(k, (struct line_ref){(uint32_t)p, (uint32_t)i})) {
                return true;
            }
        }
    }
    return false;
}

/* What it sent, and when, nobody knows: its lines may be in the log, and owe nothing. */
static void history_demand(struct checking *k, size_t p)
{
    if (!k->h->producers[p].recorded && k->s->producers[p].line_count > 0) {
        evidence_say(findings_add(&k->c->findings, FINDING_NO_HISTORY, SOURCE_HISTORY,
                                  producer_name(k, p).text, FINDING_TOPIC_NONE),
                     "there is no history/%s.jsonl", producer_name(k, p).text);
    }
}

void check_fates(struct checking *k)
{
    fates_prepare(k);
    for (size_t p = 0; p < k->h->producer_count; p++) {
        size_t index = 0;
        history_demand(k, p);
        assert(k->h->producers[p].sends.count <= SENDS_MAX);
        for (size_t i = 0; i < k->h->producers[p].sends.count; i++) {
            send_take(k, p, (uint32_t)i, &index);
            index++;
        }
    }
    k->vague = is_vague(k);
}

/* ---- what every line owes ---------------------------------------------------------- */

/* While a fault lasts, a plain client may be refused or left without an answer, and does not
 * send again. */
static bool during_fault(const struct checking *k, struct line_ref at)
{
    const struct line_fate *fate = line_fate(k, at);
    const struct history_send *send = &k->h->producers[at.producer].sends.items[fate->best];

    for (size_t i = 0; i < k->h->faults.count; i++) {
        const struct history_fault *fault = &k->h->faults.items[i];
        if ((send->end_ns == TIME_NONE || send->end_ns >= fault->begin_ns) &&
            (fault->end_ns == TIME_NONE || send->begin_ns <= fault->end_ns)) {
            return true;
        }
    }
    return false;
}

static void say_unacknowledged(struct evidence *e, const struct checking *k, struct line_ref at)
{
    const char *stored =
        line_fate(k, at)->offset == OFFSET_NONE ? "" : "; it is stored all the same";
    enum outcome outcome = fate_outcome(k, at);

    if (line_fate(k, at)->first == SEND_NONE) {
        evidence_say(e, "line %" PRId64 " was never sent", line_number(k, at));
    } else if (outcome == OUTCOME_OPEN) {
        evidence_say(e, "line %" PRId64 " was sent, and no end of that was recorded%s",
                     line_number(k, at), stored);
    } else {
        struct slice code = texts_get(&k->h->texts, fate_code(k, at));
        evidence_say(e, "line %" PRId64 " ended as %s (%.*s)%s", line_number(k, at),
                     outcome == OUTCOME_FAIL ? "refused" : "unknown",
                     code.size > 0 ? (int)code.size : 9, code.size > 0 ? code.data : "no reason",
                     stored);
    }
}

/* The finding for a line that was not acknowledged. */
static size_t unacknowledged_of(struct checking *k, struct line_ref at)
{
    enum outcome outcome = fate_outcome(k, at);
    bool gave_up = outcome == OUTCOME_FAIL || outcome == OUTCOME_INFO;
    size_t topic = k->s->producers[at.producer].lines[at.line].topic;
    struct process_name name = producer_name(k, at.producer);

    if (gave_up && k->plain && during_fault(k, at)) {
        return findings_get(&k->c->findings, FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, name.text,
                            topic, FINDING_ROOT, EXCUSE_NOT_PROMISED);
    }
    /* When the run was given up, so were the producers. */
    bool broken = gave_up && k->ended_early == FINDING_ROOT;
    size_t cause = forgotten_cause(k, topic, name.text, 0);
    if (cause == FINDING_ROOT) {
        cause = progress_cause(k, topic, name.text);
    }
    if (cause == FINDING_ROOT && !broken) {
        cause = k->ended_early;
    }
    k->c->promises[PROMISE_ACKNOWLEDGED].checked++;
    return findings_get(&k->c->findings, broken ? FINDING_UNACKNOWLEDGED : FINDING_UNSENT,
                        SOURCE_HISTORY, name.text, topic, cause,
                        cause == FINDING_ROOT ? EXCUSE_NONE : k->c->findings.items[cause].excused);
}

static void line_end_check(struct checking *k, struct line_ref at)
{
    if (fate_outcome(k, at) == OUTCOME_OK) {
        return;
    }
    struct evidence *e = findings_count(&k->c->findings, unacknowledged_of(k, at));
    if (e != NULL) {
        e->line = line_number(k, at);
        e->text = line_message(k, at);
        e->offset = k->plain ? OFFSET_NONE : line_fate(k, at)->offset;
        e->time_ns = fate_begin_ns(k, at);
        say_unacknowledged(e, k, at);
    }
}

static void say_producer_order(struct checking *k, size_t topic, struct line_ref before,
                               struct line_ref at)
{
    struct evidence *e = findings_add(&k->c->findings, FINDING_PRODUCER_ORDER, SOURCE_HISTORY,
                                      producer_name(k, at.producer).text, topic);

    line_fate(k, before)->displaced = true;
    line_fate(k, at)->displaced = true;
    if (e != NULL) {
        e->line = line_number(k, at);
        e->offset = line_fate(k, at)->offset;
        e->text = line_message(k, at);
        e->time_ns = fate_begin_ns(k, at);
        evidence_say(
            e, "line %" PRId64 " is at offset %" PRId64 ", before line %" PRId64 " at %" PRId64,
            e->line, e->offset, line_number(k, before), line_fate(k, before)->offset);
    }
}

/* What one producer sends in sequence is stored in that sequence, where there are offsets. */
static void producer_order_check(struct checking *k, size_t p)
{
    const struct scenario_client *producer = &k->s->producers[p];
    size_t *last = memory_zeroed(k->s->topic_count, sizeof *last); /* line index + 1 */

    for (size_t i = 0; i < producer->line_count; i++) {
        struct line_ref at = {(uint32_t)p, (uint32_t)i};
        size_t topic = producer->lines[i].topic;
        const struct line_fate *fate = line_fate(k, at);
        if (fate->offset == OFFSET_NONE || fate->unplaced || fate->guessed) {
            continue;
        }
        struct line_ref before = {(uint32_t)p, (uint32_t)(last[topic] - 1)};
        if (last[topic] > 0 && line_fate(k, before)->offset > fate->offset) {
            say_producer_order(k, topic, before, at);
        }
        last[topic] = i + 1;
    }
    free(last);
}

void check_debts(struct checking *k)
{
    for (size_t p = 0; p < k->s->producer_count; p++) {
        size_t count = k->s->producers[p].line_count;
        bool recorded = k->h->producers[p].recorded;
        for (size_t i = 0; i < count && recorded && k->acknowledged[p] < (int64_t)count; i++) {
            line_end_check(k, (struct line_ref){(uint32_t)p, (uint32_t)i});
        }
        k->c->acknowledged += k->acknowledged[p];
        k->c->promises[PROMISE_ACKNOWLEDGED].checked += k->acknowledged[p];
        if (!k->plain) {
            producer_order_check(k, p);
        }
    }
}
