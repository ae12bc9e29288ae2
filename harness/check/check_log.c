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
 *                                       another topic's: misrouted; of nobody's: phantom
 *
 * A row names its sender by the broker's producer id and the sequence, which counts the
 * producer's messages of that topic from 0 (a line that was refused takes none); when it has
 * none, the next unknown send with the same text is taken.
 *
 * When the rows were not read (a memory store has none), what consumers were given at
 * offsets that nobody was acknowledged stands in for them.
 */
#include "harness/check/check_parts.h"

#include "harness/check/parallel.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- witnesses ------------------------------------------------------------------- */

/* A line that was acknowledged at an offset. */
struct ack {
    int64_t offset;
    struct line_ref line;
};

CHECK_LIST_TYPE(acks, struct ack)
CHECK_LIST_TYPE(row_refs, const struct history_row *)
CHECK_LIST_TYPE(row_list, struct history_row)
CHECK_LIST_TYPE(line_refs, struct line_ref)

/* The broker's producer id belongs to one of ours, in one topic. */
struct identity {
    size_t producer;
    size_t topic;
    bool first; /* its sequences count from the producer's first line of the topic */
};

CHECK_LIST_TYPE(identities, struct identity)

/* An acknowledged line that the store has no row of. */
struct loss {
    int64_t offset;
    struct line_ref line;
    bool received;
    int64_t gone_ns; /* somebody read past it, and never got it; INT64_MAX: nobody did */
};

CHECK_LIST_TYPE(losses, struct loss)

/* One topic while its log is made. */
struct joining {
    struct checking *k;
    const struct joining *all; /* by topic */
    struct intmap *misrouted;  /* of all: line_key() -> finding */
    size_t topic;
    struct topic_log *log;
    struct acks acks;               /* by offset */
    struct acks placeless;          /* acknowledged, and nobody said where: OFFSET_NONE */
    const struct history_row *rows; /* by offset */
    size_t row_count;
    struct row_list deliveries; /* what stands in for rows */
    int64_t removed;         /* what lies before has been removed by the log's limits; 0: nothing */
    struct row_refs orphans; /* rows without an acknowledgement at their offset */
    struct losses losses;    /* by offset */
    struct line_refs maybe;  /* lines whose outcome is unknown; filled when first asked for */
    bool maybe_filled;
    const struct intmap *identity_of; /* producer id -> index into identities */
    const struct identity *identities;
    uint32_t *const *topic_lines; /* by producer: this topic's lines, indices, in order */
    const size_t *topic_line_counts;
    uint32_t *refused; /* by producer: how many of them were refused */
};

static int ack_compare(const void *a, const void *b)
{
    const struct ack *x = a;
    const struct ack *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    if (x->line.producer != y->line.producer) {
        return x->line.producer < y->line.producer ? -1 : 1;
    }
    return (x->line.line > y->line.line) - (x->line.line < y->line.line);
}

/* By offset, and as they were where that is the same. Offsets mostly count from 0 without gaps,
 * so it is known how many are before each. */
static void acks_sort(struct acks *acks)
{
    int64_t highest = -1;

    for (size_t i = 0; i < acks->count; i++) {
        highest = acks->items[i].offset > highest ? acks->items[i].offset : highest;
    }
    if (highest >= (int64_t)acks->count * 2) {
        qsort(acks->items, acks->count, sizeof *acks->items, ack_compare);
        return;
    }
    struct ack *sorted = memory_zeroed(acks->count, sizeof *sorted);
    uint32_t *before = memory_zeroed((size_t)highest + 2, sizeof *before);
    for (size_t i = 0; i < acks->count; i++) {
        before[acks->items[i].offset + 1]++;
    }
    for (int64_t offset = 0; offset < highest; offset++) {
        before[offset + 1] += before[offset];
    }
    for (size_t i = 0; i < acks->count; i++) {
        sorted[before[acks->items[i].offset]++] = acks->items[i];
    }
    free(before);
    free(acks->items);
    acks->items = sorted;
}

static int row_compare(const void *a, const void *b)
{
    const struct history_row *x = a;
    const struct history_row *y = b;
    if (x->topic != y->topic) {
        return x->topic < y->topic ? -1 : 1;
    }
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int entry_compare(const void *a, const void *b)
{
    const struct log_entry *x = a;
    const struct log_entry *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void entry_add(struct joining *j, int64_t offset, struct line_ref at, bool has_row)
{
    bool row = has_row || !j->k->h->rows_read;

    line_fate(j->k, at)->offset = offset;
    MEMORY_PUSH(j->log, (struct log_entry){.offset = offset,
                                           .message = line_message(j->k, at),
                                           .line = at.line,
                                           .producer = (uint16_t)at.producer,
                                           .flags = row ? ENTRY_ROW : 0});
}

/* A row that no consumer has to get: a copy of the line, or (NULL) nobody's. */
static void extra_add(struct joining *j, const struct history_row *row, const struct line_ref *of)
{
    MEMORY_PUSH(j->log, (struct log_entry){.offset = row->offset,
                                           .message = row->message,
                                           .line = of == NULL ? 0 : of->line,
                                           .producer = of == NULL ? PRODUCER_NOBODY
                                                                  : (uint16_t)of->producer,
                                           .flags = ENTRY_ROW | ENTRY_EXTRA});
}

static enum finding_source source_of(const struct joining *j)
{
    return j->k->h->rows_read ? SOURCE_STORE : SOURCE_HISTORY;
}

/* What is delivered of this offset follows from the finding, or from its cause. */
static struct evidence *accuse_by(struct joining *j, size_t finding, int64_t offset, uint32_t text)
{
    struct findings *f = &j->k->c->findings;
    size_t cause = f->items[finding].cause;
    struct evidence *e = findings_count(f, finding);

    topic_log_accuse(j->log, offset, cause != FINDING_ROOT ? cause : finding);
    if (e != NULL) {
        e->offset = offset;
        e->text = text;
    }
    return e;
}

static struct evidence *accuse_under(struct joining *j, enum finding_kind kind, size_t producer,
                                     int64_t offset, uint32_t text, size_t cause)
{
    struct process_name process = {""};

    if (producer != PRODUCER_NOBODY) {
        process = producer_name(j->k, producer);
    }
    size_t finding = findings_get(&j->k->c->findings, kind, source_of(j), process.text, j->topic,
                                  cause, EXCUSE_NONE);
    return accuse_by(j, finding, offset, text);
}

static struct evidence *accuse(struct joining *j, enum finding_kind kind, size_t producer,
                               int64_t offset, uint32_t text)
{
    return accuse_under(j, kind, producer, offset, text, FINDING_ROOT);
}

static struct evidence *say_where(const struct joining *j, struct evidence *e, struct line_ref at)
{
    if (e != NULL) {
        e->line = line_number(j->k, at);
        e->time_ns = fate_acked_ns(j->k, at);
    }
    return e;
}

static struct evidence *accuse_line(struct joining *j, enum finding_kind kind, struct line_ref at,
                                    int64_t offset, uint32_t text)
{
    return say_where(j, accuse(j, kind, at.producer, offset, text), at);
}

/* The same of what one of these restarts may have done. */
static struct evidence *accuse_line_between(struct joining *j, enum finding_kind kind,
                                            struct line_ref at, int64_t offset, uint32_t text,
                                            struct restart_span span)
{
    size_t finding =
        findings_get_between(&j->k->c->findings, kind, source_of(j),
                             producer_name(j->k, at.producer).text, j->topic, EXCUSE_NONE, span);

    extent_take(&j->k->c->findings.items[finding].extent, offset, LOG_PLACES);
    return say_where(j, accuse_by(j, finding, offset, text), at);
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

/* The first row at an offset, or NULL. */
static const struct history_row *row_find(const struct joining *j, int64_t offset)
{
    size_t low = 0;
    size_t high = j->row_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->rows[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < j->row_count && j->rows[low].offset == offset ? &j->rows[low] : NULL;
}

/* The lines that a sequence may name: the producer's nth of the topic, or one behind it for each
 * line that was refused, as such a line took no sequence. */
static size_t sequence_lines(const struct joining *j, size_t producer, int64_t sequence,
                             const uint32_t **out)
{
    size_t count = j->topic_line_counts[producer];
    size_t most = (size_t)j->refused[producer] + 1;

    if (sequence < 0 || (uint64_t)sequence >= count) {
        return 0;
    }
    *out = j->topic_lines[producer] + sequence;
    return count - (size_t)sequence < most ? count - (size_t)sequence : most;
}

/* How well a row fits to a line that its sequence may name; the most: it is a copy. */
static int fit_of(const struct joining *j, const struct history_row *row, struct line_ref at)
{
    const struct line_fate *fate = line_fate(j->k, at);

    if (fate->offset == OFFSET_NONE || fate->unplaced) {
        return fate->first != SEND_NONE && fate_outcome(j->k, at) != OUTCOME_FAIL ? 3 : 2;
    }
    const struct history_row *placed = row_find(j, fate->offset);
    return placed != NULL && placed != row && placed->producer_id == row->producer_id &&
                   placed->sequence == row->sequence
               ? 4
               : 1;
}

/* The line that a row's sequence names, if its text is the row's. */
static bool line_by_sequence(const struct joining *j, const struct identity *who,
                             const struct history_row *row, struct line_ref *out)
{
    const uint32_t *lines = NULL;
    size_t count =
        who != NULL && who->first ? sequence_lines(j, who->producer, row->sequence, &lines) : 0;
    int best = 0;

    for (size_t i = 0; i < count; i++) {
        struct line_ref at = {(uint32_t)who->producer, lines[i]};
        int fit = line_message(j->k, at) == row->message ? fit_of(j, row, at) : 0;
        if (fit > best) {
            *out = at;
            best = fit;
        }
    }
    return best > 0;
}

static void maybe_fill(struct joining *j)
{
    for (size_t p = 0; p < j->k->s->producer_count && !j->maybe_filled; p++) {
        for (size_t i = 0; i < j->topic_line_counts[p]; i++) {
            struct line_ref at = {(uint32_t)p, j->topic_lines[p][i]};
            if (maybe_executed(j->k, at)) {
                MEMORY_PUSH(&j->maybe, at);
            }
        }
    }
    j->maybe_filled = true;
}

/* May the row's sequence be this line's? Where it has none, or under an id that the producer got
 * later, nothing says no. */
static bool sequence_is_of(const struct joining *j, const struct identity *who,
                           const struct history_row *row, struct line_ref at)
{
    const uint32_t *lines = NULL;
    bool is_it = !who->first || row->sequence < 0;
    size_t count = is_it ? 0 : sequence_lines(j, at.producer, row->sequence, &lines);

    for (size_t i = 0; i < count && !is_it; i++) {
        is_it = lines[i] == at.line;
    }
    return is_it;
}

/* By its text and who sent it. A row under an id that is nobody's may be of a producer that left no
 * history. */
static bool may_be_of(const struct joining *j, const struct identity *who,
                      const struct history_row *row, struct line_ref at)
{
    bool may = who != NULL ? who->producer == at.producer && sequence_is_of(j, who, row, at)
                           : !j->k->h->rows_read || row->offset < j->removed ||
                                 !j->k->h->producers[at.producer].recorded;
    return may && line_message(j->k, at) == row->message;
}

/* The next line whose send may have been executed and has the row's text: the producer's, or
 * anybody's when nobody says whose row it is. Where there are several, the row may be of each. */
static bool line_by_text(struct joining *j, const struct identity *who,
                         const struct history_row *row, struct line_ref *out)
{
    size_t alike = 0;
    bool found = false;

    maybe_fill(j);
    for (size_t i = 0; i < j->maybe.count && (!found || alike < 2); i++) {
        struct line_ref at = j->maybe.items[i];
        if (!may_be_of(j, who, row, at)) {
            continue;
        }
        alike++;
        if (!found && maybe_executed(j->k, at)) {
            *out = at;
            found = true;
        }
    }
    if (found) {
        line_fate(j->k, *out)->guessed = alike > 1;
    }
    return found;
}

/* Without rows, or of a row that has no sequence: a line with the text, refused or already placed;
 * the producer's, or anybody's when nobody says whose it is. */
static bool line_by_any(struct joining *j, const struct identity *who,
                        const struct history_row *row, struct line_ref *out)
{
    bool found = false;

    for (size_t p = 0; p < j->k->s->producer_count; p++) {
        for (size_t i = 0; i < j->topic_line_counts[p] && (who == NULL || who->producer == p);
             i++) {
            struct line_ref at = {(uint32_t)p, j->topic_lines[p][i]};
            if (line_message(j->k, at) != row->message || line_fate(j->k, at)->first == SEND_NONE) {
                continue;
            }
            if (!found || line_fate(j->k, at)->offset == OFFSET_NONE) {
                *out = at;
                found = true;
            }
        }
    }
    return found;
}

/* Was the line, or the request that held it, sent more than once? */
static bool was_retried(const struct joining *j, struct line_ref at)
{
    const struct history_producer *producer = &j->k->h->producers[at.producer];
    const struct line_fate *fate = line_fate(j->k, at);
    const uint32_t *lines = j->topic_lines[at.producer];
    int64_t sequence = 0;
    int64_t sent = 0;

    while (lines[sequence] != at.line) {
        sequence++;
    }
    for (size_t i = 0; i < producer->requests.count; i++) {
        const struct history_request *r = &producer->requests.items[i];
        sent += r->is_produce && r->topic == j->topic && r->sequence >= 0 &&
                r->sequence <= sequence && sequence < r->sequence + r->count;
    }
    return sent > 1 || fate->first != fate->best;
}

static void say_copy(struct joining *j, const struct history_row *row, struct line_ref at)
{
    int64_t acked_ns = fate_acked_ns(j->k, at);
    struct evidence *e =
        accuse_line_between(j, FINDING_DUPLICATE, at, row->offset, row->message,
                            restarts_between(j->k, fate_begin_ns(j->k, at),
                                             acked_ns == TIME_NONE ? INT64_MAX : acked_ns));
    extra_add(j, row, &at);
    if (e == NULL) {
        return;
    }
    evidence_say(e, "line %" PRId64 " is at offset %" PRId64 " and again at %" PRId64 ", %s",
                 line_number(j->k, at), line_fate(j->k, at)->offset, row->offset,
                 was_retried(j, at) ? "by a retry" : "by the broker: it was sent once");
}

/* A row that names a line of ours. */
static void orphan_place(struct joining *j, const struct history_row *row, struct line_ref at)
{
    struct line_fate *fate = line_fate(j->k, at);
    struct evidence *e;

    if (fate->unplaced) {
        fate->unplaced = false;
        e = accuse_under(j, FINDING_INCONSISTENT_OFFSET, at.producer, row->offset, row->message,
                         torn_cause(j->k, row));
        evidence_say(say_where(j, e, at),
                     "line %" PRId64 " was acknowledged at offset %" PRId64
                     ", but the store has it at %" PRId64,
                     line_number(j->k, at), fate->offset, row->offset);
        entry_add(j, row->offset, at, true);
    } else if (fate->offset != OFFSET_NONE) {
        say_copy(j, row, at);
    } else if (!maybe_sent(j->k, at)) {
        e = accuse_line(j, FINDING_PHANTOM, at, row->offset, row->message);
        evidence_say(e, "line %" PRId64 " is at offset %" PRId64 ", but was never sent",
                     line_number(j->k, at), row->offset);
        extra_add(j, row, NULL);
    } else {
        if (fate_outcome(j->k, at) == OUTCOME_FAIL) {
            struct slice code = texts_get(&j->k->h->texts, fate_code(j->k, at));
            e = accuse_line(j, FINDING_ABORTED_READ, at, row->offset, row->message);
            evidence_say(e, "line %" PRId64 " was refused (%.*s), but is at offset %" PRId64,
                         line_number(j->k, at), (int)code.size, code.data, row->offset);
        }
        entry_add(j, row->offset, at, true);
    }
}

/* The line of another topic that a row is: by its producer id, which is the sender's there, and its
 * sequence. Without rows by a text that was sent once, and there. */
static bool line_elsewhere(const struct joining *j, const struct history_row *row,
                           struct line_ref *out)
{
    size_t index;

    if (!j->k->h->rows_read) {
        return sent_once(j->k, row->message, out) && line_topic(j->k, *out) != j->topic;
    }
    if (!intmap_get(j->identity_of, row->producer_id, &index) ||
        j->identities[index].topic == j->topic) {
        return false;
    }
    const struct identity *who = &j->identities[index];
    return line_by_sequence(&j->all[who->topic], who, row, out) && maybe_sent(j->k, *out);
}

static int64_t line_key(struct line_ref at)
{
    return (int64_t)at.producer << 32 | at.line;
}

/* That the line is missing where it belongs follows from this. */
static void misrouted_take(struct joining *j, const struct history_row *row, struct line_ref at)
{
    struct evidence *e = accuse_line(j, FINDING_MISROUTED, at, row->offset, row->message);
    size_t finding = j->log->accused.items[j->log->accused.count - 1].finding;

    evidence_say(e, "line %" PRId64 " (%s) was sent to %s, but is %s at offset %" PRId64 " of %s",
                 line_number(j->k, at), shown_text(j->k, row->message).text,
                 j->k->s->topics[line_topic(j->k, at)].name,
                 j->k->h->rows_read ? "stored" : "delivered", row->offset,
                 j->k->s->topics[j->topic].name);
    extra_add(j, row, NULL);
    j->log->items[j->log->count - 1].flags |= ENTRY_MISROUTED;
    intmap_put(j->misrouted, line_key(at), finding);
    if (!j->k->h->rows_read && line_fate(j->k, at)->offset != OFFSET_NONE) {
        topic_log_accuse(j->all[line_topic(j->k, at)].log, line_fate(j->k, at)->offset, finding);
    }
}

/* The finding that the line is under another topic, or FINDING_ROOT. */
static size_t misrouted_cause(const struct joining *j, struct line_ref at)
{
    size_t finding;

    return intmap_get(j->misrouted, line_key(at), &finding) ? finding : FINDING_ROOT;
}

static void orphan_take(struct joining *j, const struct history_row *row)
{
    const struct identity *who = identity_of(j, row);
    bool rows_read = j->k->h->rows_read;
    struct line_ref at;

    bool found = line_by_sequence(j, who, row, &at) || line_by_text(j, who, row, &at);

    if (found ||
        (((who != NULL && row->sequence < 0) || !rows_read) && line_by_any(j, who, row, &at))) {
        orphan_place(j, row, at);
        return;
    }
    if (line_elsewhere(j, row, &at)) {
        misrouted_take(j, row, at);
        return;
    }
    struct evidence *e = accuse(j, FINDING_PHANTOM, who == NULL ? PRODUCER_NOBODY : who->producer,
                                row->offset, row->message);
    if (rows_read) {
        evidence_say(
            e, "offset %" PRId64 " holds %s of producer id %" PRId64 "; no send accounts for it",
            row->offset, shown_text(j->k, row->message).text, row->producer_id);
    } else {
        evidence_say(e, "offset %" PRId64 " was delivered as %s, which nobody sent", row->offset,
                     shown_text(j->k, row->message).text);
    }
    extra_add(j, row, NULL);
}

/* ---- one offset ------------------------------------------------------------------- */

static bool row_is_of(const struct joining *j, const struct history_row *row, struct line_ref at)
{
    const struct identity *who = identity_of(j, row);
    return who != NULL && may_be_of(j, who, row, at);
}

/* The row of an acknowledged offset is not the same message: another text, number or sender. */
static void say_changed(struct joining *j, const struct history_row *row, struct line_ref at)
{
    const struct identity *who = identity_of(j, row);
    struct evidence *e = accuse_line(j, FINDING_CORRUPT, at, row->offset, row->message);

    if (line_message(j->k, at) != row->message) {
        evidence_say(e, "offset %" PRId64 " holds %s, but line %" PRId64 " was %s", row->offset,
                     shown_text(j->k, row->message).text, line_number(j->k, at),
                     shown_text(j->k, line_message(j->k, at)).text);
    } else if (who != NULL && who->producer == at.producer) {
        evidence_say(e,
                     "offset %" PRId64 " is stored with sequence %" PRId64
                     ", which is not line %" PRId64 "'s",
                     row->offset, row->sequence, line_number(j->k, at));
    } else {
        evidence_say(e,
                     "offset %" PRId64 " is stored as producer id %" PRId64 ", which is not %s's",
                     row->offset, row->producer_id, producer_name(j->k, at.producer).text);
    }
}

/* Is the row another topic's message, and not the text that was acknowledged here, as another's? */
static bool is_misrouted(const struct joining *j, const struct history_row *row, struct line_ref at)
{
    struct line_ref other;

    return line_message(j->k, at) != row->message && line_elsewhere(j, row, &other);
}

/* All acknowledgements at one offset, and its row (or NULL). A row that is another line's as it
 * was sent is that line's; else it is what became of the first that was acknowledged. */
static void offset_join(struct joining *j, const struct ack *acks, size_t count,
                        const struct history_row *row)
{
    size_t chosen = 0;
    struct line_ref other;

    while (row != NULL && chosen < count && !row_is_of(j, row, acks[chosen].line)) {
        chosen++;
    }
    if (row != NULL && chosen == count &&
        (line_by_sequence(j, identity_of(j, row), row, &other) ||
         is_misrouted(j, row, acks[0].line))) {
        MEMORY_PUSH(&j->orphans, row);
    } else if (row != NULL) {
        if (chosen == count) {
            chosen = 0;
            say_changed(j, row, acks[0].line);
        }
        entry_add(j, row->offset, acks[chosen].line, true);
    } else if (!j->k->h->rows_read) {
        entry_add(j, acks[0].offset, acks[0].line, false);
    } else {
        chosen = count; /* none has its row here */
    }
    for (size_t i = 0; i < count; i++) {
        line_fate(j->k, acks[i].line)->unplaced = i != chosen;
    }
}

/* The store's primary key forbids it; who else would notice? */
static void row_twice(struct joining *j, const struct history_row *first,
                      const struct history_row *row)
{
    struct evidence *e =
        accuse(j, FINDING_INCONSISTENT_OFFSET, PRODUCER_NOBODY, row->offset, row->message);
    if (j->k->h->rows_read) {
        evidence_say(e, "the store has more than one row at offset %" PRId64, row->offset);
    } else {
        evidence_say(e, "offset %" PRId64 " was delivered as %s and as %s", row->offset,
                     shown_text(j->k, first->message).text, shown_text(j->k, row->message).text);
    }
}

static void witnesses_merge(struct joining *j)
{
    size_t a = 0;
    size_t r = 0;

    while (a < j->acks.count || r < j->row_count) {
        const struct history_row *row = r < j->row_count ? &j->rows[r] : NULL;
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
        for (size_t n = 0; r < j->row_count && j->rows[r].offset == offset; n++, r++) {
            if (n == 1) {
                row_twice(j, row, &j->rows[r]);
            }
        }
        if (a > first) {
            offset_join(j, &j->acks.items[first], a - first, row);
        } else {
            MEMORY_PUSH(&j->orphans, row);
        }
    }
}

/* Where in the log it was: what the store lost at the end was perhaps never written. */
static enum log_place place_in_rows(const struct joining *j, int64_t offset)
{
    if (j->row_count == 0) {
        return LOG_NOTHING_LEFT;
    }
    return offset < j->rows[0].offset                  ? LOG_START
           : offset > j->rows[j->row_count - 1].offset ? LOG_END
                                                       : LOG_MIDDLE;
}

static void say_lost(struct joining *j, const struct loss *loss)
{
    struct findings *f = &j->k->c->findings;
    struct line_ref at = loss->line;
    int64_t acked_ns = fate_acked_ns(j->k, at);
    size_t misrouted = misrouted_cause(j, at);
    size_t cause =
        misrouted != FINDING_ROOT ? misrouted : forgotten_cause(j->k, j->topic, NULL, acked_ns);
    struct process_name name = producer_name(j->k, at.producer);
    size_t finding = cause != FINDING_ROOT
                         ? findings_get(f, FINDING_LOST, SOURCE_STORE, name.text, j->topic, cause,
                                        f->items[cause].excused)
                         : findings_get_between(f, FINDING_LOST, SOURCE_STORE, name.text, j->topic,
                                                loss_excused(j->k, acked_ns),
                                                restarts_between(j->k, acked_ns, loss->gone_ns));
    struct evidence *e = findings_count(f, finding);
    enum log_place place = place_in_rows(j, loss->offset);

    extent_take(&f->items[finding].extent, loss->offset, place);
    topic_log_accuse(j->log, loss->offset, cause != FINDING_ROOT ? cause : finding);
    if (e != NULL) {
        e->line = line_number(j->k, at);
        e->offset = loss->offset;
        e->text = line_message(j->k, at);
        e->time_ns = acked_ns;
        evidence_say(e,
                     "line %" PRId64 " (%s) was acknowledged at offset %" PRId64
                     "; the store has no row of it%s%s",
                     e->line, shown_text(j->k, e->text).text, loss->offset,
                     place == LOG_NOTHING_LEFT ? "; the store has nothing of the topic" : ", ",
                     place == LOG_NOTHING_LEFT ? "" : log_place_words(place));
    }
    entry_add(j, loss->offset, at, false);
}

/* The first loss at this offset or behind it. */
static size_t loss_from(const struct losses *losses, int64_t offset)
{
    size_t low = 0;
    size_t high = losses->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (losses->items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What a consumer did not get it has read past with its first message from behind. */
static void losses_pass(struct losses *losses, const struct history_consumer *c, size_t topic)
{
    size_t passed = 0;

    for (size_t i = 0; i < losses->count; i++) {
        losses->items[i].received = false;
    }
    for (size_t i = 0; i < c->receives.count; i++) {
        const struct history_receive *r = &c->receives.items[i];
        size_t at = r->topic == topic ? loss_from(losses, r->offset) : losses->count;
        if (at < losses->count && losses->items[at].offset == r->offset) {
            losses->items[at].received = true;
        }
    }
    for (size_t i = 0; i < c->receives.count && passed < losses->count; i++) {
        const struct history_receive *r = &c->receives.items[i];
        while (r->topic == topic && passed < losses->count &&
               losses->items[passed].offset < r->offset) {
            struct loss *loss = &losses->items[passed++];
            if (!loss->received && r->time_ns < loss->gone_ns) {
                loss->gone_ns = r->time_ns;
            }
        }
    }
}

/* Who seeks passes over what is there, and who begins at the end misses what came before. */
static bool reads_through(const struct checking *k, const struct history_consumer *c, size_t topic)
{
    bool sought = k->h->run.claims.latest;

    for (size_t i = 0; i < c->seeks.count && !sought; i++) {
        sought = c->seeks.items[i].topic == topic;
    }
    return !sought;
}

static void losses_report(struct joining *j)
{
    const struct scenario_topic *topic = &j->k->s->topics[j->topic];

    for (size_t i = 0; i < topic->consumer_count && j->losses.count > 0 && j->k->restarts.count > 0;
         i++) {
        const struct history_consumer *c = &j->k->h->consumers[topic->consumers[i]];
        if (reads_through(j->k, c, j->topic)) {
            losses_pass(&j->losses, c, j->topic);
        }
    }
    for (size_t i = 0; i < j->losses.count; i++) {
        say_lost(j, &j->losses.items[i]);
    }
    free(j->losses.items);
}

/* Where it should be is another one, and it is nowhere else. */
static void say_displaced(struct joining *j, struct line_ref at, int64_t offset, size_t cause)
{
    struct findings *f = &j->k->c->findings;
    size_t finding =
        findings_get(f, FINDING_LOST, SOURCE_STORE, producer_name(j->k, at.producer).text, j->topic,
                     cause, EXCUSE_NONE);
    struct evidence *e = findings_count(f, finding);

    if (e != NULL) {
        e->line = line_number(j->k, at);
        e->offset = offset;
        e->text = line_message(j->k, at);
        e->time_ns = fate_acked_ns(j->k, at);
        evidence_say(e, "line %" PRId64 " (%s) was acknowledged; the store has no row of it",
                     e->line, shown_text(j->k, e->text).text);
    }
}

/* The other line that has this acknowledgement's offset. */
static bool sharer_of(const struct joining *j, size_t i, struct line_ref *other)
{
    const struct ack *acks = j->acks.items;
    const struct history_row *row = row_find(j, acks[i].offset);

    if (row != NULL && line_by_sequence(j, identity_of(j, row), row, other)) {
        return true;
    }
    bool before = i > 0 && acks[i - 1].offset == acks[i].offset;
    bool behind = i + 1 < j->acks.count && acks[i + 1].offset == acks[i].offset;
    *other = acks[before ? i - 1 : behind ? i + 1 : i].line;
    return before || behind;
}

/* The restarts before which one of two got an offset, and after which the other got it. */
static struct restart_span sharing_span(const struct joining *j, size_t i)
{
    struct line_ref other;
    int64_t acked_ns = fate_acked_ns(j->k, j->acks.items[i].line);

    if (!sharer_of(j, i, &other)) {
        return (struct restart_span){0, 0};
    }
    int64_t other_ns = fate_acked_ns(j->k, other);
    if (other_ns == TIME_NONE && fate_begin_ns(j->k, other) > acked_ns) {
        other_ns = fate_begin_ns(j->k, other);
    }
    if (other_ns == TIME_NONE) {
        return (struct restart_span){0, 0};
    }
    return other_ns < acked_ns ? restarts_between(j->k, other_ns, acked_ns)
                               : restarts_between(j->k, acked_ns, other_ns);
}

/* Its offset is another's: because its own row, or that one, is another topic's? */
static size_t sharing_cause(const struct joining *j, struct line_ref at, int64_t offset)
{
    const struct history_row *row = row_find(j, offset);
    size_t cause = misrouted_cause(j, at);
    struct line_ref other;

    return cause == FINDING_ROOT && row != NULL && line_elsewhere(j, row, &other)
               ? misrouted_cause(j, other)
               : cause;
}

static void say_shared(struct joining *j, size_t i)
{
    struct line_ref at = j->acks.items[i].line;
    int64_t offset = j->acks.items[i].offset;
    uint32_t text = line_message(j->k, at);
    size_t first = j->log->accused.count;
    size_t cause = sharing_cause(j, at, offset);
    struct evidence *e =
        cause == FINDING_ROOT
            ? accuse_line_between(j, FINDING_INCONSISTENT_OFFSET, at, offset, text,
                                  sharing_span(j, i))
            : say_where(
                  j, accuse_under(j, FINDING_INCONSISTENT_OFFSET, at.producer, offset, text, cause),
                  at);

    evidence_say(e,
                 "line %" PRId64 " was acknowledged at offset %" PRId64
                 ", which belongs to another message",
                 line_number(j->k, at), offset);
    if (j->k->h->rows_read) {
        say_displaced(j, at, offset, j->log->accused.items[first].finding);
    }
}

/* Acknowledged, and no row of it anywhere; or it shares its offset with another. */
static void unplaced_report(struct joining *j)
{
    for (size_t i = 0; i < j->acks.count; i++) {
        struct line_ref at = j->acks.items[i].line;
        int64_t offset = j->acks.items[i].offset;
        if (!line_fate(j->k, at)->unplaced) {
            continue;
        }
        bool shared = (i > 0 && j->acks.items[i - 1].offset == offset) ||
                      (i + 1 < j->acks.count && j->acks.items[i + 1].offset == offset) ||
                      row_find(j, offset) != NULL;
        if (!shared && offset < j->removed) {
            entry_add(j, offset, at, false);
            continue;
        }
        if (!shared) {
            MEMORY_PUSH(&j->losses, (struct loss){offset, at, false, INT64_MAX});
            continue;
        }
        say_shared(j, i);
    }
}

/* Acknowledged as what the store has already, and there is no row of it. */
static void placeless_report(struct joining *j)
{
    for (size_t i = 0; i < j->placeless.count && j->k->h->rows_read && j->removed == 0; i++) {
        struct line_ref at = j->placeless.items[i].line;
        if (line_fate(j->k, at)->offset != OFFSET_NONE) {
            continue; /* a row named it */
        }
        int64_t acked_ns = fate_acked_ns(j->k, at);
        size_t cause = forgotten_cause(j->k, j->topic, NULL, acked_ns);
        struct findings *f = &j->k->c->findings;
        struct evidence *e = findings_count(
            f, findings_get(f, FINDING_LOST, SOURCE_STORE, producer_name(j->k, at.producer).text,
                            j->topic, cause, loss_excused(j->k, acked_ns)));
        if (e != NULL) {
            e->line = line_number(j->k, at);
            e->text = line_message(j->k, at);
            e->time_ns = acked_ns;
            evidence_say(e,
                         "line %" PRId64 " (%s) was acknowledged as one that is stored already; "
                         "the store has no row of it",
                         e->line, shown_text(j->k, e->text).text);
        }
    }
}

/* ---- what stands in for rows ------------------------------------------------------- */

static bool offset_is_acked(const struct acks *acks, int64_t offset)
{
    size_t low = 0;
    size_t high = acks->count;

    if (offset >= 0 && (uint64_t)offset < high && acks->items[offset].offset == offset) {
        return true;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (acks->items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < acks->count && acks->items[low].offset == offset;
}

/* What consumers were given before an offset and where nobody was acknowledged, each message once
 * an offset. */
static void deliveries_collect(struct joining *j, int64_t before, struct row_list *rows)
{
    size_t kept = 0;

    for (size_t c = 0; c < j->k->h->consumer_count; c++) {
        for (size_t i = 0; i < j->k->h->consumers[c].receives.count; i++) {
            const struct history_receive *r = &j->k->h->consumers[c].receives.items[i];
            if (r->topic == j->topic && r->offset < before &&
                !offset_is_acked(&j->acks, r->offset)) {
                MEMORY_PUSH(rows, (struct history_row){r->offset, NUMBER_NONE, NUMBER_NONE,
                                                       r->topic, r->message});
            }
        }
    }
    if (rows->count > 0) {
        qsort(rows->items, rows->count, sizeof *rows->items, row_compare);
    }
    for (size_t i = 0; i < rows->count; i++) {
        bool again = false;
        for (size_t at = kept; at > 0 && rows->items[at - 1].offset == rows->items[i].offset;
             at--) {
            again = again || rows->items[at - 1].message == rows->items[i].message;
        }
        if (!again) {
            rows->items[kept++] = rows->items[i];
        }
    }
    rows->count = kept;
}

/* What was of a send of unknown outcome, was delivered, and has been removed since. */
static void removed_take(struct joining *j)
{
    struct row_list rows = {NULL, 0, 0};
    int64_t last = OFFSET_NONE;
    struct line_ref at;

    deliveries_collect(j, j->removed, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        int64_t offset = rows.items[i].offset;
        if (offset != last && row_find(j, offset) == NULL &&
            line_by_text(j, NULL, &rows.items[i], &at)) {
            entry_add(j, offset, at, false);
            last = offset;
        }
    }
    free(rows.items);
}

/* ---- the log ---------------------------------------------------------------------- */

/* `offset` should have been `expected`: those between are missing. */
static void gap_report(struct joining *j, int64_t expected, int64_t offset)
{
    struct evidence *e = accuse(j, FINDING_NOT_DENSE, PRODUCER_NOBODY, expected, TEXT_NONE);
    if (offset - expected == 1) {
        evidence_say(e, "offset %" PRId64 " does not exist, %" PRId64 " does", expected, offset);
    } else {
        evidence_say(e, "offsets %" PRId64 " to %" PRId64 " do not exist, %" PRId64 " does",
                     expected, offset - 1, offset);
    }
}

/* What the log's limits removed may have been of sends of unknown outcome. */
static bool may_lack_removed(struct joining *j)
{
    bool may = false;

    if (j->removed > 0) {
        maybe_fill(j);
    }
    for (size_t i = 0; i < j->maybe.count && j->removed > 0; i++) {
        may = may || maybe_executed(j->k, j->maybe.items[i]);
    }
    return may;
}

static void density_check(struct joining *j)
{
    int64_t expected = may_lack_removed(j) ? j->removed : 0;

    for (size_t i = 0; i < j->log->count && !j->k->vague; i++) {
        int64_t offset = j->log->items[i].offset;
        if (offset > expected) {
            gap_report(j, expected, offset);
        }
        expected = offset >= expected ? offset + 1 : expected;
    }
}

static void log_sort(struct topic_log *log)
{
    bool sorted = true;

    for (size_t i = 1; i < log->count && sorted; i++) {
        sorted = log->items[i - 1].offset <= log->items[i].offset;
    }
    if (!sorted) {
        qsort(log->items, log->count, sizeof *log->items, entry_compare);
    }
}

/* Without rows: what was acknowledged before the broker forgot the topic is gone with it. */
static void forgotten_accuse(struct joining *j)
{
    bool any = !j->k->h->rows_read && j->k->forgotten.count > 0;

    for (size_t i = 0; i < j->log->count && any; i++) {
        int64_t acked_ns = entry_acked_ns(j->k, &j->log->items[i]);
        size_t cause = forgotten_cause(j->k, j->topic, NULL, acked_ns);
        if (acked_ns != TIME_NONE && cause != FINDING_ROOT) {
            topic_log_accuse(j->log, j->log->items[i].offset, cause);
        }
    }
}

static void orphans_take(struct joining *j)
{
    for (size_t i = 0; i < j->orphans.count; i++) {
        orphan_take(j, j->orphans.items[i]);
    }
    if (j->removed > 0) {
        removed_take(j);
    }
}

static void log_finish(struct joining *j)
{
    unplaced_report(j);
    losses_report(j);
    placeless_report(j);
    log_sort(j->log);
    density_check(j);
    forgotten_accuse(j);
    topic_log_close(j->log);
    free(j->orphans.items);
    free(j->maybe.items);
}

/* ---- all topics ------------------------------------------------------------------- */

static void identities_collect(const struct checking *k, struct identities *list,
                               struct intmap *by_id)
{
    for (size_t p = 0; p < k->h->producer_count; p++) {
        bool *seen = memory_zeroed(k->s->topic_count, sizeof *seen);
        for (size_t i = 0; i < k->h->producers[p].registrations.count; i++) {
            const struct history_registration *r = &k->h->producers[p].registrations.items[i];
            size_t topic = topic_of(k, r->topic);
            size_t ignored;
            if (topic == FINDING_TOPIC_NONE || r->client_id < 0 ||
                intmap_get(by_id, r->client_id, &ignored)) {
                continue; /* who has an id first keeps it: see check_forgotten.c */
            }
            intmap_put(by_id, r->client_id, list->count);
            MEMORY_PUSH(list, (struct identity){p, topic, !seen[topic]});
            seen[topic] = true;
        }
        free(seen);
    }
}

/* Per topic and producer: which lines go there. Filled from two arrays, no more. */
struct topic_lines {
    const struct scenario *s;
    uint32_t *indices; /* all lines: by producer, then topic */
    uint32_t **by_topic_producer;
    size_t *counts;
};

/* A round for each producer. */
static void lines_group(void *arg, size_t p)
{
    const struct topic_lines *lines = arg;
    const struct scenario_client *producer = &lines->s->producers[p];
    size_t topics = lines->s->topic_count;
    size_t producers = lines->s->producer_count;
    size_t *counts = memory_zeroed(topics, sizeof *counts);
    uint32_t **ends = memory_zeroed(topics, sizeof *ends);
    uint32_t *at = lines->indices;

    for (size_t i = 0; i < p; i++) {
        at += lines->s->producers[i].line_count;
    }
    for (size_t i = 0; i < producer->line_count; i++) {
        counts[producer->lines[i].topic]++;
    }
    for (size_t t = 0; t < topics; t++) {
        lines->by_topic_producer[t * producers + p] = at;
        lines->counts[t * producers + p] = counts[t];
        ends[t] = at;
        at += counts[t];
    }
    for (size_t i = 0; i < producer->line_count; i++) {
        *ends[producer->lines[i].topic]++ = (uint32_t)i;
    }
    free(counts);
    free(ends);
}

static void topic_lines_collect(const struct scenario *s, struct topic_lines *lines)
{
    size_t groups = s->topic_count * s->producer_count;

    *lines = (struct topic_lines){
        .s = s,
        .indices = memory_zeroed((size_t)s->expected, sizeof *lines->indices),
        .by_topic_producer = memory_zeroed(groups, sizeof *lines->by_topic_producer),
        .counts = memory_zeroed(groups, sizeof *lines->counts)};
    parallel_each(s->producer_count, lines_group, lines);
}

/* A round for each topic. */
static void acks_collect(void *arg, size_t topic)
{
    struct joining *j = &((struct joining *)arg)[topic];

    j->refused = memory_zeroed(j->k->s->producer_count, sizeof *j->refused);
    for (size_t p = 0; p < j->k->s->producer_count; p++) {
        for (size_t i = 0; i < j->topic_line_counts[p]; i++) {
            struct line_ref at = {(uint32_t)p, j->topic_lines[p][i]};
            enum outcome outcome = fate_outcome(j->k, at);
            struct ack ack = {line_fate(j->k, at)->offset, at};
            if (outcome == OUTCOME_OK && ack.offset == OFFSET_NONE) {
                MEMORY_PUSH(&j->placeless, ack);
            } else if (outcome == OUTCOME_OK) {
                MEMORY_PUSH(&j->acks, ack);
            }
            j->refused[p] += outcome != OUTCOME_OK && line_fate(j->k, at)->refused;
        }
    }
    acks_sort(&j->acks);
}

/* The rows by topic and offset, as the query orders them: by the topics' names, which need not
 * be the scenario's order. */
static void rows_order(struct checking *k)
{
    bool sorted = true;

    for (size_t i = 1; i < k->h->rows.count && sorted; i++) {
        sorted = row_compare(&k->h->rows.items[i - 1], &k->h->rows.items[i]) <= 0;
    }
    if (!sorted) {
        qsort(k->h->rows.items, k->h->rows.count, sizeof *k->h->rows.items, row_compare);
    }
}

static void rows_find(struct joining *j, size_t *next)
{
    const struct history *h = j->k->h;

    j->rows = h->rows.items + *next;
    while (*next < h->rows.count && h->rows.items[*next].topic == j->topic) {
        ++*next;
    }
    j->row_count = (size_t)(h->rows.items + *next - j->rows);
}

/* Rows of no topic of the scenario come last. */
static void rows_strange(struct checking *k, size_t next)
{
    for (; next < k->h->rows.count; next++) {
        struct evidence *e =
            findings_add(&k->c->findings, FINDING_PHANTOM, SOURCE_STORE, "", FINDING_TOPIC_NONE);
        evidence_say(e, "a row of topic %s, which no producer sends to",
                     shown_text(k, k->h->rows.items[next].topic).text);
    }
}

int64_t log_removed(const struct history *h, size_t topic)
{
    int64_t offset = 0;

    for (size_t i = 0; i < h->removed.count; i++) {
        offset = h->removed.items[i].topic == topic ? h->removed.items[i].first_offset : offset;
    }
    return offset;
}

static struct joining *joinings_make(struct checking *k, const struct topic_lines *lines,
                                     const struct intmap *by_id,
                                     const struct identities *identities, struct intmap *misrouted)
{
    struct joining *joinings = memory_zeroed(k->s->topic_count, sizeof *joinings);

    for (size_t t = 0; t < k->s->topic_count; t++) {
        joinings[t] =
            (struct joining){.k = k,
                             .all = joinings,
                             .misrouted = misrouted,
                             .topic = t,
                             .log = &k->logs[t],
                             .removed = log_removed(k->h, t),
                             .identity_of = by_id,
                             .identities = identities->items,
                             .topic_lines = &lines->by_topic_producer[t * k->s->producer_count],
                             .topic_line_counts = &lines->counts[t * k->s->producer_count]};
    }
    return joinings;
}

static void rows_stand_in(struct joining *j)
{
    deliveries_collect(j, INT64_MAX, &j->deliveries);
    j->rows = j->deliveries.items;
    j->row_count = j->deliveries.count;
}

static void joining_release(struct joining *j)
{
    free(j->acks.items);
    free(j->placeless.items);
    free(j->refused);
    free(j->deliveries.items);
}

/* All topics in step: what is missing in one may be found in another. */
static void topics_join(struct checking *k, struct joining *joinings)
{
    size_t next_row = 0;

    for (size_t t = 0; t < k->s->topic_count; t++) {
        if (k->h->rows_read) {
            rows_find(&joinings[t], &next_row);
        } else {
            rows_stand_in(&joinings[t]);
        }
        witnesses_merge(&joinings[t]);
    }
    for (size_t t = 0; t < k->s->topic_count; t++) {
        orphans_take(&joinings[t]);
    }
    for (size_t t = 0; t < k->s->topic_count; t++) {
        struct joining *j = &joinings[t];
        log_finish(j);
        k->c->promises[PROMISE_STORED].checked += k->h->rows_read ? (int64_t)j->row_count : 0;
        k->c->promises[PROMISE_OFFSETS].checked += (int64_t)j->acks.count;
        joining_release(j);
    }
    rows_strange(k, next_row);
}

void check_log(struct checking *k)
{
    struct identities identities = {NULL, 0, 0};
    struct intmap by_id = INTMAP_INIT;
    struct intmap misrouted = INTMAP_INIT;
    struct topic_lines lines;

    identities_collect(k, &identities, &by_id);
    topic_lines_collect(k->s, &lines);
    rows_order(k);
    check_batches(k);
    struct joining *joinings = joinings_make(k, &lines, &by_id, &identities, &misrouted);
    parallel_each(k->s->topic_count, acks_collect, joinings);
    topics_join(k, joinings);
    free(joinings);
    intmap_release(&misrouted);
    intmap_release(&by_id);
    free(identities.items);
    free(lines.indices);
    free(lines.counts);
    free(lines.by_topic_producer);
    bool has_rows = k->h->run.store == NULL || (strcmp(k->h->run.store, "memory") != 0 &&
                                                strcmp(k->h->run.store, "none") != 0);
    if (!k->h->rows_read && has_rows) {
        evidence_say(findings_add(&k->c->findings, FINDING_ROWS_UNREAD, SOURCE_STORE, "",
                                  FINDING_TOPIC_NONE),
                     "there is no rows.jsonl: what was acknowledged was not compared with the "
                     "store");
    }
}
