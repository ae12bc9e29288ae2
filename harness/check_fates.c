/*
 * check_fates.c - what became of every line of the log files.
 *
 * check_fates() takes what the producers recorded. Only when the logs are made is it known
 * what the store did with sends whose outcome is unknown; check_debts() then says which
 * lines were not dealt with as they should have been.
 */
#include "harness/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- fates: what became of every line -------------------------------------------- */

static void fates_prepare(struct checking *k)
{
    for (size_t t = 0; t < k->s->topic_count; t++) {
        k->logs[t].name = texts_add(&k->h->texts, slice_of(k->s->topics[t].name));
        intmap_put(&k->topics, k->logs[t].name, t);
    }
    for (size_t p = 0; p < k->s->producer_count; p++) {
        const struct scenario_client *producer = &k->s->producers[p];
        k->fates[p] = memory_zeroed(producer->line_count, sizeof **k->fates);
        for (size_t i = 0; i < producer->line_count; i++) {
            struct line_fate *fate = &k->fates[p][i];
            fate->message = texts_add(&k->h->texts, producer->lines[i].message);
            fate->offset = OFFSET_NONE;
            fate->acked_ns = TIME_NONE;
            fate->code = TEXT_NONE;
            intmap_put(&k->sent, sent_key(producer->lines[i].topic, fate->message), 1);
            intmap_put(&k->sent_texts, fate->message, 1);
        }
    }
}

/* The index of a log file's line by its number in the file. */
static bool line_find(const struct scenario_client *producer, int64_t number, size_t *index)
{
    size_t low = 0;
    size_t high = producer->line_count;

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

static bool send_fits(const struct checking *k, size_t p, const struct history_send *send,
                      size_t *index)
{
    const struct scenario_client *producer = &k->s->producers[p];

    return line_find(producer, send->line, index) &&
           topic_of(k, send->topic) == producer->lines[*index].topic &&
           send->message == k->fates[p][*index].message;
}

static void send_take(struct checking *k, size_t p, const struct history_send *send)
{
    struct findings *f = &k->c->findings;
    size_t index;

    if (!send_fits(k, p, send, &index)) {
        struct evidence *e = findings_add(f, FINDING_MISSENT, SOURCE_HISTORY,
                                          producer_name(k, p).text, topic_of(k, send->topic));
        if (e != NULL) {
            e->line = send->line;
            e->text = send->message;
            evidence_say(e, "sent %s to %s, which is not line %" PRId64 " of its log file",
                         shown_text(k, send->message).text, shown_text(k, send->topic).text,
                         send->line);
        }
        return;
    }
    struct line_fate *fate = &k->fates[p][index];
    if (fate->outcome == OUTCOME_OK) {
        if (send->outcome == OUTCOME_OK && send->offset != fate->offset) {
            struct evidence *e = findings_add(f, FINDING_DUPLICATE, SOURCE_HISTORY,
                                              producer_name(k, p).text, topic_of(k, send->topic));
            evidence_say(
                e, "line %" PRId64 " was acknowledged at offset %" PRId64 " and again at %" PRId64,
                send->line, fate->offset, send->offset);
        }
        return;
    }
    fate->sent = true;
    fate->outcome = send->outcome;
    fate->code = send->code;
    if (send->outcome == OUTCOME_OK) {
        fate->offset = send->offset;
        fate->acked_ns = send->end_ns;
    }
}

/* Is there a send of which nothing tells whether it was executed? */
static bool is_vague(const struct checking *k)
{
    for (size_t p = 0; p < k->s->producer_count && !k->h->rows_read; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            if (maybe_executed(&k->fates[p][i])) {
                return true;
            }
        }
    }
    return false;
}

void check_fates(struct checking *k)
{
    fates_prepare(k);
    for (size_t p = 0; p < k->h->producer_count; p++) {
        for (size_t i = 0; i < k->h->producers[p].sends.count; i++) {
            send_take(k, p, &k->h->producers[p].sends.items[i]);
        }
    }
    k->vague = is_vague(k);
}

/* ---- what every line owes ---------------------------------------------------------- */

static void line_end_check(struct checking *k, size_t p, size_t i)
{
    const struct line_fate *fate = &k->fates[p][i];
    const struct scenario_line *line = &k->s->producers[p].lines[i];
    bool gave_up = fate->outcome == OUTCOME_FAIL || fate->outcome == OUTCOME_INFO;
    /* When the run was given up, so were the producers. */
    bool broken = gave_up && k->h->run.ended_early == NULL;

    if (fate->outcome == OUTCOME_OK) {
        return;
    }
    struct evidence *e =
        findings_add(&k->c->findings, broken ? FINDING_UNACKNOWLEDGED : FINDING_UNSENT,
                     SOURCE_HISTORY, producer_name(k, p).text, line->topic);
    if (e == NULL) {
        return;
    }
    e->line = line->number;
    e->text = fate->message;
    e->offset = fate->offset;
    const char *stored = fate->offset == OFFSET_NONE ? "" : "; it is stored all the same";
    if (!fate->sent) {
        evidence_say(e, "line %" PRId64 " was never sent", line->number);
    } else if (!gave_up) {
        evidence_say(e, "line %" PRId64 " was sent, and no end of that was recorded%s",
                     line->number, stored);
    } else {
        struct slice code = texts_get(&k->h->texts, fate->code);
        evidence_say(e, "line %" PRId64 " ended as %s (%.*s)%s", line->number,
                     fate->outcome == OUTCOME_FAIL ? "refused" : "unknown",
                     code.size > 0 ? (int)code.size : 9, code.size > 0 ? code.data : "no reason",
                     stored);
    }
}

/* What one producer sends in sequence is stored in that sequence. */
static void producer_order_check(struct checking *k, size_t p)
{
    const struct scenario_client *producer = &k->s->producers[p];
    size_t *last = memory_zeroed(k->s->topic_count, sizeof *last); /* line index + 1 */

    for (size_t i = 0; i < producer->line_count; i++) {
        size_t topic = producer->lines[i].topic;
        const struct line_fate *fate = &k->fates[p][i];
        if (fate->offset == OFFSET_NONE) {
            continue;
        }
        if (last[topic] > 0 && k->fates[p][last[topic] - 1].offset > fate->offset) {
            struct evidence *e = findings_add(&k->c->findings, FINDING_PRODUCER_ORDER,
                                              SOURCE_HISTORY, producer_name(k, p).text, topic);
            if (e != NULL) {
                e->line = producer->lines[i].number;
                e->offset = fate->offset;
                e->text = fate->message;
                evidence_say(e,
                             "line %" PRId64 " is at offset %" PRId64 ", before line %" PRId64
                             " at %" PRId64,
                             e->line, e->offset, producer->lines[last[topic] - 1].number,
                             k->fates[p][last[topic] - 1].offset);
            }
        }
        last[topic] = i + 1;
    }
    free(last);
}

void check_debts(struct checking *k)
{
    for (size_t p = 0; p < k->s->producer_count; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            line_end_check(k, p, i);
            k->c->acknowledged += k->fates[p][i].outcome == OUTCOME_OK;
        }
        producer_order_check(k, p);
    }
}
