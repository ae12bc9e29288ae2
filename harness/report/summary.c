/*
 * summary.c - columns are padded by hand: widths count bytes, and all but names are ASCII.
 */
#include "harness/report/summary.h"

#include "harness/faults/fault_kind.h"
#include "harness/report/result.h"
#include "harness/report/wording.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX 12
#define FINDINGS_MAX 8
#define PARTS_MAX 8
#define COLUMN_WIDTH 10
#define NAME_WIDTH 8

static void column_number(struct buffer *b, int64_t number)
{
    struct buffer word = BUFFER_INIT;

    word_number(&word, number);
    for (size_t i = word.size; i < COLUMN_WIDTH; i++) {
        buffer_append_char(b, ' ');
    }
    buffer_append_slice(b, buffer_slice(&word));
    buffer_release(&word);
}

static void column_name(struct buffer *b, const char *name)
{
    buffer_append_string(b, "  ");
    buffer_append_string(b, name);
    for (size_t i = strlen(name); i < NAME_WIDTH; i++) {
        buffer_append_char(b, ' ');
    }
}

static void row_append(struct buffer *b, const struct scenario *s, const struct check_delivery *d,
                       const char *topic)
{
    char name[32];

    snprintf(name, sizeof name, "C%" PRId64, s->consumers[d->consumer].id);
    column_name(b, name);
    column_name(b, topic);
    column_number(b, d->expected);
    column_number(b, d->received);
    column_number(b, d->missing);
    column_number(b, d->duplicates);
    column_number(b, d->out_of_order);
    column_number(b, d->foreign + d->misrouted + d->corrupt);
    buffer_append_char(b, '\n');
}

static void delivery_sum(struct check_delivery *sum, const struct check_delivery *d)
{
    sum->consumer = d->consumer;
    sum->expected += d->expected;
    sum->received += d->received;
    sum->missing += d->missing;
    sum->duplicates += d->duplicates;
    sum->out_of_order += d->out_of_order;
    sum->foreign += d->foreign;
    sum->misrouted += d->misrouted;
    sum->corrupt += d->corrupt;
}

static void matrix_append(struct buffer *b, const struct scenario *s, const struct check *c)
{
    struct check_delivery sum = {0};
    bool by_topic = c->delivery_count <= ROWS_MAX;

    column_name(b, "");
    column_name(b, "topic");
    buffer_append_string(b, "  expected  received   missing     twice  disorder     other\n");
    for (size_t i = 0; i < c->delivery_count; i++) {
        const struct check_delivery *d = &c->deliveries[i];
        if (by_topic) {
            row_append(b, s, d, s->topics[d->topic].name);
            continue;
        }
        delivery_sum(&sum, d);
        if (i + 1 == c->delivery_count || c->deliveries[i + 1].consumer != d->consumer) {
            row_append(b, s, &sum, "all");
            sum = (struct check_delivery){0};
        }
    }
}

static void faults_append(struct buffer *b, const struct scenario *s, const struct history *h,
                          const struct check *c)
{
    for (size_t i = 0; i < s->fault_count && i < ROWS_MAX; i++) {
        const struct check_fault *f = &c->faults[i];
        buffer_append_string(b, "  ");
        fault_append_words(b, &f->planned);
        if (f->begin_ns == TIME_NONE) {
            buffer_append_string(b, ": did not happen\n");
            continue;
        }
        buffer_append_string(b, ": at ");
        word_count(b, f->acks, "ack");
        buffer_append_string(b, ", hit ");
        word_units(b, f->bit, fault_kind(f->planned.action)->unit);
        if (f->more != TEXT_NONE) {
            buffer_printf(b, " (%s)", texts_get(&h->texts, f->more).data);
        }
        buffer_append_string(b, ", lasted ");
        word_span(b, check_span_ns(f->struck_ns, f->end_ns));
        buffer_append_string(b, ", first ack after ");
        word_span(b, check_span_ns(f->struck_ns, f->first_ack_ns));
        buffer_append_char(b, '\n');
    }
    if (s->fault_count > ROWS_MAX) {
        buffer_printf(b, "  and %zu more\n", s->fault_count - ROWS_MAX);
    }
}

/* ", acknowledged before fault 1: P1 T1 ×3, P2 T1 ×4 and 2 more" */
static void parts_append(struct buffer *b, const struct scenario *s, const struct finding *f)
{
    buffer_printf(b, ", %s:", f->common);
    for (size_t i = 0; i < f->part_count && i < PARTS_MAX; i++) {
        const struct finding_part *part = &f->parts[i];
        buffer_printf(b, "%s %s %s ×%" PRId64, i == 0 ? "" : ",", part->process,
                      s->topics[part->topic].name, part->count);
    }
    if (f->part_count > PARTS_MAX) {
        buffer_printf(b, " and %zu more", f->part_count - PARTS_MAX);
    }
}

void summary_finding(struct buffer *b, const struct scenario *s, const struct finding *f)
{
    buffer_printf(b, "%s%s%s", excuse_name(f->excused), f->excused == EXCUSE_NONE ? "" : ": ",
                  finding_name(f->kind));
    if (f->process[0] != '\0') {
        buffer_printf(b, " %s", f->process);
    }
    if (f->topic != FINDING_TOPIC_NONE) {
        buffer_printf(b, " %s", s->topics[f->topic].name);
    }
    if (f->source == SOURCE_FILE) {
        buffer_append_string(b, " (its file)");
    }
    if (f->count > 1) {
        buffer_printf(b, " ×%" PRId64, f->count);
    }
    if (f->part_count > 0) {
        parts_append(b, s, f);
    } else {
        buffer_printf(b, ": %s", f->evidence[0].detail);
    }
}

static void findings_append(struct buffer *b, const struct scenario *s, const struct check *c)
{
    for (size_t i = 0; i < c->findings.count && i < FINDINGS_MAX; i++) {
        buffer_append_string(b, c->findings.items[i].cause == FINDING_ROOT ? "  " : "    so ");
        summary_finding(b, s, &c->findings.items[i]);
        buffer_append_char(b, '\n');
    }
    if (c->findings.count > FINDINGS_MAX) {
        buffer_printf(b, "  and %zu more\n", c->findings.count - FINDINGS_MAX);
    }
}

static const char *or_unknown(const char *string)
{
    return string == NULL ? "unknown" : string;
}

void summary_append(struct buffer *b, const struct scenario *s, const struct history *h,
                    const struct check *c, const char *shown)
{
    buffer_append_char(b, '\n');
    buffer_append_string(b, c->sentence);
    buffer_append_string(b, "\n\n");
    matrix_append(b, s, c);
    faults_append(b, s, h, c);
    findings_append(b, s, c);
    buffer_printf(b, "\n%s: %s on %s with %s", verdict_name(c->verdict),
                  h->run.scenario == NULL ? s->title : h->run.scenario, or_unknown(h->run.runtime),
                  or_unknown(h->run.store));
    if (s->postgres != NULL) {
        buffer_printf(b, " (%s)", s->postgres);
    }
    if (h->run.runtime_reason != NULL) {
        buffer_printf(b, " (%s)", h->run.runtime_reason);
    }
    buffer_printf(b, ", report: %s/report.html\n", shown);
}
