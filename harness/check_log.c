/*
 * check_log.c - which message is at which offset, and is that as it should be?
 *
 * Two witnesses tell where a message is: the acknowledgement that its producer got, and
 * the store's row. Where both speak of an offset they must agree. Where only one does:
 *
 *   an acknowledgement without a row    the row is elsewhere (inconsistent-offset),
 *                                       or there is none (lost)
 *   a row without an acknowledgement    of a send whose outcome is unknown: fine, that is
 *                                       how it ended; of a message that has its row
 *                                       already: duplicate; of a refused one: aborted-read;
 *                                       of nobody's: phantom
 *
 * A row names its sender by the broker's producer id and the sequence, which counts the
 * producer's messages of that topic from 0; when it has none, the next unknown send with
 * the same text is taken.
 */
#include "harness/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- witnesses ------------------------------------------------------------------- */

/* A line that was acknowledged at an offset. */
struct ack {
    int64_t offset;
    size_t producer;
    size_t line; /* index */
};

struct acks {
    struct ack *items;
    size_t count;
    size_t capacity;
};

struct rows {
    const struct history_row **items;
    size_t count;
    size_t capacity;
};

/* The broker's producer id belongs to one of ours, in one topic. */
struct identity {
    size_t producer;
    size_t topic;
    bool first; /* its sequences count from the producer's first line of the topic */
};

/* One topic while its log is made. */
struct joining {
    struct checking *k;
    size_t topic;
    struct acks acks;                 /* by offset */
    struct rows rows;                 /* by offset */
    struct rows orphans;              /* rows without an acknowledgement at their offset */
    struct topic_log phantoms;        /* entries that nobody sent: they only count as offsets */
    const struct intmap *identity_of; /* producer id -> index into identities */
    const struct identity *identities;
    size_t *const *topic_lines; /* by producer: this topic's lines, indices, in order */
    const size_t *topic_line_counts;
    size_t *cursors; /* by producer: where the search for an unknown send goes on */
};

static int ack_compare(const void *a, const void *b)
{
    const struct ack *x = a;
    const struct ack *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    if (x->producer != y->producer) {
        return x->producer < y->producer ? -1 : 1;
    }
    return (x->line > y->line) - (x->line < y->line);
}

static int row_compare(const void *a, const void *b)
{
    const struct history_row *x = *(const struct history_row *const *)a;
    const struct history_row *y = *(const struct history_row *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int entry_compare(const void *a, const void *b)
{
    const struct log_entry *x = a;
    const struct log_entry *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static struct line_fate *fate_of(const struct joining *j, struct ack at)
{
    return &j->k->fates[at.producer][at.line];
}

static void entry_add(struct joining *j, int64_t offset, struct ack at, bool has_row)
{
    struct line_fate *fate = fate_of(j, at);

    fate->offset = offset;
    MEMORY_PUSH(&j->k->logs[j->topic],
                (struct log_entry){offset, fate->message, at.producer, at.line, fate->acked_ns,
                                   has_row || !j->k->h->rows_read});
}

static struct evidence *accuse(struct joining *j, enum finding_kind kind, size_t producer,
                               int64_t offset, uint32_t text)
{
    struct process_name process = {""};
    if (producer != SIZE_MAX) {
        process = producer_name(j->k, producer);
    }
    struct evidence *e =
        findings_add(&j->k->c->findings, kind, j->k->h->rows_read ? SOURCE_STORE : SOURCE_HISTORY,
                     process.text, j->topic);
    if (e != NULL) {
        e->offset = offset;
        e->text = text;
    }
    return e;
}

static int64_t number_of(const struct joining *j, struct ack at)
{
    return j->k->s->producers[at.producer].lines[at.line].number;
}

/* ---- rows without an acknowledgement --------------------------------------------- */

static const struct identity *identity_of(const struct joining *j, const struct history_row *row)
{
    size_t index;
    if (!intmap_get(j->identity_of, row->producer_id, &index) ||
        j->identities[index].topic != j->topic) {
        return NULL;
    }
    return &j->identities[index];
}

/* The line that a row's sequence names, if its text is the row's. */
static bool line_by_sequence(const struct joining *j, const struct identity *who,
                             const struct history_row *row, struct ack *out)
{
    if (!who->first || row->sequence < 0 ||
        (uint64_t)row->sequence >= j->topic_line_counts[who->producer]) {
        return false;
    }
    *out = (struct ack){row->offset, who->producer, j->topic_lines[who->producer][row->sequence]};
    return fate_of(j, *out)->message == row->message;
}

/* The producer's next line whose send may have been executed, if its text is the row's. */
static bool line_by_text(struct joining *j, const struct identity *who,
                         const struct history_row *row, struct ack *out)
{
    size_t *cursor = &j->cursors[who->producer];

    for (; *cursor < j->topic_line_counts[who->producer]; ++*cursor) {
        *out = (struct ack){row->offset, who->producer, j->topic_lines[who->producer][*cursor]};
        struct line_fate *fate = fate_of(j, *out);
        if (maybe_executed(fate) && fate->message == row->message) {
            return true;
        }
    }
    return false;
}

static void phantom_add(struct joining *j, const struct history_row *row)
{
    MEMORY_PUSH(&j->phantoms, (struct log_entry){.offset = row->offset});
}

/* A row that names a line of ours. */
static void orphan_place(struct joining *j, const struct history_row *row, struct ack at)
{
    struct line_fate *fate = fate_of(j, at);
    struct evidence *e;

    if (fate->unplaced) {
        fate->unplaced = false;
        e = accuse(j, FINDING_INCONSISTENT_OFFSET, at.producer, row->offset, row->message);
        evidence_say(e,
                     "line %" PRId64 " was acknowledged at offset %" PRId64
                     ", but the store has it at %" PRId64,
                     number_of(j, at), fate->offset, row->offset);
        entry_add(j, row->offset, at, true);
    } else if (fate->offset != OFFSET_NONE) {
        e = accuse(j, FINDING_DUPLICATE, at.producer, row->offset, row->message);
        evidence_say(e, "line %" PRId64 " is at offset %" PRId64 " and again at %" PRId64,
                     number_of(j, at), fate->offset, row->offset);
        phantom_add(j, row);
    } else if (!fate->sent) {
        e = accuse(j, FINDING_PHANTOM, at.producer, row->offset, row->message);
        evidence_say(e, "line %" PRId64 " is at offset %" PRId64 ", but was never sent",
                     number_of(j, at), row->offset);
        phantom_add(j, row);
    } else {
        if (fate->outcome == OUTCOME_FAIL) {
            e = accuse(j, FINDING_ABORTED_READ, at.producer, row->offset, row->message);
            evidence_say(e, "line %" PRId64 " was refused (%.*s), but is at offset %" PRId64,
                         number_of(j, at), (int)texts_get(&j->k->h->texts, fate->code).size,
                         texts_get(&j->k->h->texts, fate->code).data, row->offset);
        }
        entry_add(j, row->offset, at, true);
    }
}

static void orphan_take(struct joining *j, const struct history_row *row)
{
    const struct identity *who = identity_of(j, row);
    struct ack at;

    if (who != NULL && (line_by_sequence(j, who, row, &at) || line_by_text(j, who, row, &at))) {
        orphan_place(j, row, at);
        return;
    }
    struct evidence *e = accuse(j, FINDING_PHANTOM, who == NULL ? SIZE_MAX : who->producer,
                                row->offset, row->message);
    evidence_say(e,
                 "offset %" PRId64 " holds %s of producer id %" PRId64 "; no send accounts for it",
                 row->offset, shown_text(j->k, row->message).text, row->producer_id);
    phantom_add(j, row);
}

/* ---- one offset ------------------------------------------------------------------- */

static bool row_is_of(const struct joining *j, const struct history_row *row, struct ack at)
{
    const struct identity *who = identity_of(j, row);
    return fate_of(j, at)->message == row->message && who != NULL && who->producer == at.producer;
}

/* An acknowledged offset and its row: the same message of the same producer? */
static void row_compare_to_ack(struct joining *j, const struct history_row *row, struct ack at)
{
    const struct identity *who = identity_of(j, row);
    struct evidence *e;

    if (fate_of(j, at)->message != row->message) {
        e = accuse(j, FINDING_CORRUPT, at.producer, row->offset, row->message);
        evidence_say(e, "offset %" PRId64 " holds %s, but line %" PRId64 " was %s", row->offset,
                     shown_text(j->k, row->message).text, number_of(j, at),
                     shown_text(j->k, fate_of(j, at)->message).text);
    } else if (who == NULL || who->producer != at.producer) {
        e = accuse(j, FINDING_CORRUPT, at.producer, row->offset, row->message);
        evidence_say(e,
                     "offset %" PRId64 " is stored as producer id %" PRId64 ", which is not %s's",
                     row->offset, row->producer_id, producer_name(j->k, at.producer).text);
    }
}

/* All acknowledgements at one offset, and its row (or NULL). */
static void offset_join(struct joining *j, const struct ack *acks, size_t count,
                        const struct history_row *row)
{
    size_t chosen = 0;

    if (row != NULL) {
        while (chosen < count && !row_is_of(j, row, acks[chosen])) {
            chosen++;
        }
        chosen = chosen < count ? chosen : 0;
        row_compare_to_ack(j, row, acks[chosen]);
        entry_add(j, row->offset, acks[chosen], true);
    } else if (!j->k->h->rows_read) {
        entry_add(j, acks[0].offset, acks[0], false);
    } else {
        chosen = count; /* none has its row here */
    }
    for (size_t i = 0; i < count; i++) {
        fate_of(j, acks[i])->unplaced = i != chosen;
    }
}

/* The store's primary key forbids it; who else would notice? */
static void row_twice(struct joining *j, const struct history_row *row)
{
    struct evidence *e =
        accuse(j, FINDING_INCONSISTENT_OFFSET, SIZE_MAX, row->offset, row->message);
    evidence_say(e, "the store has more than one row at offset %" PRId64, row->offset);
}

static void witnesses_merge(struct joining *j)
{
    size_t a = 0;
    size_t r = 0;

    while (a < j->acks.count || r < j->rows.count) {
        const struct history_row *row = r < j->rows.count ? j->rows.items[r] : NULL;
        int64_t offset = a < j->acks.count ? j->acks.items[a].offset : INT64_MAX;
        if (row != NULL && row->offset < offset) {
            offset = row->offset;
        }
        size_t first = a;
        while (a < j->acks.count && j->acks.items[a].offset == offset) {
            a++;
        }
        if (row != NULL && row->offset != offset) {
            row = NULL;
        }
        for (size_t n = 0; r < j->rows.count && j->rows.items[r]->offset == offset; n++, r++) {
            if (n == 1) {
                row_twice(j, j->rows.items[r]);
            }
        }
        if (a > first) {
            offset_join(j, &j->acks.items[first], a - first, row);
        } else {
            MEMORY_PUSH(&j->orphans, row);
        }
    }
}

/* Acknowledged, and no row of it anywhere; or it shares its offset with another. */
static void unplaced_report(struct joining *j)
{
    for (size_t i = 0; i < j->acks.count; i++) {
        struct ack at = j->acks.items[i];
        struct line_fate *fate = fate_of(j, at);
        bool shared = (i > 0 && j->acks.items[i - 1].offset == at.offset) ||
                      (i + 1 < j->acks.count && j->acks.items[i + 1].offset == at.offset);
        if (!fate->unplaced) {
            continue;
        }
        if (shared) {
            struct evidence *e =
                accuse(j, FINDING_INCONSISTENT_OFFSET, at.producer, at.offset, fate->message);
            evidence_say(e,
                         "line %" PRId64 " was acknowledged at offset %" PRId64
                         ", which belongs to another message",
                         number_of(j, at), at.offset);
        } else {
            struct evidence *e = accuse(j, FINDING_LOST, at.producer, at.offset, fate->message);
            evidence_say(e,
                         "line %" PRId64 " (%s) was acknowledged at offset %" PRId64
                         "; the store has no row of it",
                         number_of(j, at), shown_text(j->k, fate->message).text, at.offset);
            entry_add(j, at.offset, at, false);
        }
    }
}

/* ---- the log ---------------------------------------------------------------------- */

/* `offset` should have been `expected`: those between are missing. */
static void gap_report(struct joining *j, int64_t expected, int64_t offset)
{
    struct evidence *e = accuse(j, FINDING_NOT_DENSE, SIZE_MAX, expected, TEXT_NONE);
    if (offset - expected == 1) {
        evidence_say(e, "offset %" PRId64 " does not exist, %" PRId64 " does", expected, offset);
    } else {
        evidence_say(e, "offsets %" PRId64 " to %" PRId64 " do not exist, %" PRId64 " does",
                     expected, offset - 1, offset);
    }
}

static void density_check(struct joining *j)
{
    const struct topic_log *log = &j->k->logs[j->topic];
    int64_t expected = 0;
    size_t a = 0;
    size_t b = 0;

    if (j->k->vague) {
        return;
    }
    while (a < log->count || b < j->phantoms.count) {
        bool from_log = b == j->phantoms.count ||
                        (a < log->count && log->items[a].offset <= j->phantoms.items[b].offset);
        int64_t offset = from_log ? log->items[a++].offset : j->phantoms.items[b++].offset;
        if (offset > expected) {
            gap_report(j, expected, offset);
        }
        if (offset >= expected) {
            expected = offset + 1;
        }
    }
}

static void log_sort(struct topic_log *log)
{
    if (log->count > 0) {
        qsort(log->items, log->count, sizeof *log->items, entry_compare);
    }
}

static void log_join(struct joining *j)
{
    if (j->acks.count > 0) {
        qsort(j->acks.items, j->acks.count, sizeof *j->acks.items, ack_compare);
    }
    if (j->rows.count > 0) {
        qsort(j->rows.items, j->rows.count, sizeof *j->rows.items, row_compare);
    }
    witnesses_merge(j);
    for (size_t i = 0; i < j->orphans.count; i++) {
        orphan_take(j, j->orphans.items[i]);
    }
    unplaced_report(j);
    log_sort(&j->k->logs[j->topic]);
    log_sort(&j->phantoms);
    density_check(j);
    free(j->orphans.items);
    free(j->phantoms.items);
}

/* ---- all topics ------------------------------------------------------------------- */

struct identities {
    struct identity *items;
    size_t count;
    size_t capacity;
};

static void identities_collect(const struct checking *k, struct identities *list,
                               struct intmap *by_id)
{
    for (size_t p = 0; p < k->h->producer_count; p++) {
        bool *seen = memory_zeroed(k->s->topic_count, sizeof *seen);
        for (size_t i = 0; i < k->h->producers[p].registrations.count; i++) {
            const struct history_registration *r = &k->h->producers[p].registrations.items[i];
            size_t topic = topic_of(k, r->topic);
            if (topic == FINDING_TOPIC_NONE || r->producer_id < 0) {
                continue;
            }
            intmap_put(by_id, r->producer_id, list->count);
            MEMORY_PUSH(list, (struct identity){p, topic, !seen[topic]});
            seen[topic] = true;
        }
        free(seen);
    }
}

/* Per topic and producer: which lines go there. Filled from two arrays, no more. */
struct topic_lines {
    size_t *indices; /* all lines of all producers, grouped */
    size_t **by_topic_producer;
    size_t *counts;
};

static void topic_lines_collect(const struct scenario *s, struct topic_lines *lines)
{
    size_t used = 0;

    lines->indices = memory_zeroed((size_t)s->expected, sizeof *lines->indices);
    lines->counts = memory_zeroed(s->topic_count * s->producer_count, sizeof *lines->counts);
    lines->by_topic_producer =
        memory_zeroed(s->topic_count * s->producer_count, sizeof *lines->by_topic_producer);
    for (size_t p = 0; p < s->producer_count; p++) {
        for (size_t i = 0; i < s->producers[p].line_count; i++) {
            lines->counts[s->producers[p].lines[i].topic * s->producer_count + p]++;
        }
    }
    for (size_t at = 0; at < s->topic_count * s->producer_count; at++) {
        lines->by_topic_producer[at] = lines->indices + used;
        used += lines->counts[at];
        lines->counts[at] = 0;
    }
    for (size_t p = 0; p < s->producer_count; p++) {
        for (size_t i = 0; i < s->producers[p].line_count; i++) {
            size_t at = s->producers[p].lines[i].topic * s->producer_count + p;
            lines->by_topic_producer[at][lines->counts[at]++] = i;
        }
    }
}

static void acks_collect(const struct checking *k, struct acks *by_topic)
{
    for (size_t p = 0; p < k->s->producer_count; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            if (k->fates[p][i].outcome == OUTCOME_OK) {
                MEMORY_PUSH(&by_topic[k->s->producers[p].lines[i].topic],
                            (struct ack){k->fates[p][i].offset, p, i});
            }
        }
    }
}

static void rows_collect(struct checking *k, struct rows *by_topic)
{
    for (size_t i = 0; i < k->h->rows.count; i++) {
        const struct history_row *row = &k->h->rows.items[i];
        size_t topic = topic_of(k, row->topic);
        if (topic != FINDING_TOPIC_NONE) {
            MEMORY_PUSH(&by_topic[topic], row);
            continue;
        }
        struct evidence *e =
            findings_add(&k->c->findings, FINDING_PHANTOM, SOURCE_STORE, "", FINDING_TOPIC_NONE);
        evidence_say(e, "a row of topic %s, which no producer sends to",
                     shown_text(k, row->topic).text);
    }
}

static void logs_make(struct checking *k)
{
    size_t topics = k->s->topic_count;
    struct acks *acks = memory_zeroed(topics, sizeof *acks);
    struct rows *rows = memory_zeroed(topics, sizeof *rows);
    size_t *cursors = memory_zeroed(topics * k->s->producer_count, sizeof *cursors);
    struct identities identities = {NULL, 0, 0};
    struct intmap by_id = INTMAP_INIT;
    struct topic_lines lines;

    identities_collect(k, &identities, &by_id);
    topic_lines_collect(k->s, &lines);
    acks_collect(k, acks);
    rows_collect(k, rows);
    for (size_t t = 0; t < topics; t++) {
        struct joining j = {.k = k,
                            .topic = t,
                            .acks = acks[t],
                            .rows = rows[t],
                            .identity_of = &by_id,
                            .identities = identities.items,
                            .topic_lines = &lines.by_topic_producer[t * k->s->producer_count],
                            .topic_line_counts = &lines.counts[t * k->s->producer_count],
                            .cursors = &cursors[t * k->s->producer_count]};
        log_join(&j);
        free(acks[t].items);
        free(rows[t].items);
    }
    intmap_release(&by_id);
    free(identities.items);
    free(lines.indices);
    free(lines.counts);
    free(lines.by_topic_producer);
    free(cursors);
    free(acks);
    free(rows);
}

void check_log(struct checking *k)
{
    logs_make(k);
    bool has_rows = k->h->run.store == NULL || strcmp(k->h->run.store, "memory") != 0;
    if (!k->h->rows_read && has_rows) {
        evidence_say(findings_add(&k->c->findings, FINDING_ROWS_UNREAD, SOURCE_STORE, "",
                                  FINDING_TOPIC_NONE),
                     "there is no rows.jsonl: what was acknowledged was not compared with the "
                     "store");
    }
}
