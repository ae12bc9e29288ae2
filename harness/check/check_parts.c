/*
 * check_parts.c - small things that all parts of the check use.
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool topic_log_find(const struct topic_log *log, int64_t offset, size_t *index)
{
    if (offset >= 0 && (uint64_t)offset < log->count && log->items[offset].offset == offset) {
        *index = (size_t)offset; /* the usual case: offsets are dense from 0 */
        return true;
    }
    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low;
    return low < log->count && log->items[low].offset == offset;
}

static int accused_compare(const void *a, const void *b)
{
    const struct accused *x = a;
    const struct accused *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return (x->finding > y->finding) - (x->finding < y->finding);
}

void topic_log_accuse(struct topic_log *log, int64_t offset, size_t finding)
{
    MEMORY_PUSH(&log->accused, (struct accused){offset, finding});
}

void topic_log_close(struct topic_log *log)
{
    size_t index;

    if (log->accused.count > 0) {
        qsort(log->accused.items, log->accused.count, sizeof *log->accused.items, accused_compare);
    }
    for (size_t i = 0; i < log->accused.count; i++) {
        if (topic_log_find(log, log->accused.items[i].offset, &index)) {
            log->items[index].flags |= ENTRY_ACCUSED;
        }
    }
    log->owed = 0;
    for (size_t i = 0; i < log->count; i++) {
        log->owed += (log->items[i].flags & ENTRY_EXTRA) == 0;
    }
}

size_t topic_log_cause(const struct topic_log *log, int64_t offset)
{
    size_t low = 0;
    size_t high = log->accused.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->accused.items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < log->accused.count && log->accused.items[low].offset == offset
               ? log->accused.items[low].finding
               : FINDING_ROOT;
}

size_t topic_log_misrouted(const struct checking *k, size_t topic, size_t *cause)
{
    const struct topic_log *log = &k->logs[topic];
    size_t count = 0;

    *cause = FINDING_ROOT;
    for (size_t i = 0; i < log->accused.count; i++) {
        size_t finding = log->accused.items[i].finding;
        size_t entry;
        if (k->c->findings.items[finding].kind == FINDING_MISROUTED) {
            *cause = finding;
            count += topic_log_find(log, log->accused.items[i].offset, &entry) &&
                     (log->items[entry].flags & ENTRY_MISROUTED) == 0;
        }
    }
    return count;
}

size_t topic_of(const struct checking *k, uint32_t text)
{
    return text < k->s->topic_count ? text : FINDING_TOPIC_NONE;
}

/* ---- what was sent ----------------------------------------------------------------- */

/* A bit per text for each topic, and one row more for all of them. Only a delivery that does
 * not fit asks for it. */
static void sent_make(struct checking *k)
{
    k->sent_stride = (k->h->texts.count + 7) / 8;
    k->sent = memory_zeroed((k->s->topic_count + 1) * k->sent_stride, 1);
    for (size_t p = 0; p < k->s->producer_count; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            uint32_t text = k->h->producers[p].lines[i];
            unsigned char bit = (unsigned char)(1 << text % 8);
            k->sent[k->s->producers[p].lines[i].topic * k->sent_stride + text / 8] |= bit;
            k->sent[k->s->topic_count * k->sent_stride + text / 8] |= bit;
        }
    }
}

bool sent_to(struct checking *k, size_t topic, uint32_t message)
{
    if (k->sent == NULL) {
        sent_make(k);
    }
    return (k->sent[topic * k->sent_stride + message / 8] >> message % 8 & 1) != 0;
}

bool sent_anywhere(struct checking *k, uint32_t message)
{
    return sent_to(k, k->s->topic_count, message);
}

#define LINE_NONE UINT32_MAX
#define LINE_MANY (UINT32_MAX - 1)

static void once_make(struct checking *k)
{
    k->once = memory_zeroed(k->h->texts.count, sizeof *k->once);
    for (size_t i = 0; i < k->h->texts.count; i++) {
        k->once[i].line = LINE_NONE;
    }
    for (size_t p = 0; p < k->s->producer_count; p++) {
        for (size_t i = 0; i < k->s->producers[p].line_count; i++) {
            struct line_ref *once = &k->once[k->h->producers[p].lines[i]];
            bool first = once->line == LINE_NONE;
            *once = (struct line_ref){(uint32_t)p, first ? (uint32_t)i : LINE_MANY};
        }
    }
}

bool sent_once(struct checking *k, uint32_t message, struct line_ref *out)
{
    if (k->once == NULL) {
        once_make(k);
    }
    *out = k->once[message];
    return out->line != LINE_NONE && out->line != LINE_MANY && maybe_sent(k, *out);
}

/* ---- lines ------------------------------------------------------------------------- */

uint32_t line_message(const struct checking *k, struct line_ref at)
{
    return k->h->producers[at.producer].lines[at.line];
}

size_t line_topic(const struct checking *k, struct line_ref at)
{
    return k->s->producers[at.producer].lines[at.line].topic;
}

int64_t line_number(const struct checking *k, struct line_ref at)
{
    return k->s->producers[at.producer].lines[at.line].number;
}

struct line_fate *line_fate(const struct checking *k, struct line_ref at)
{
    return &k->fates[at.producer][at.line];
}

static const struct history_send *best_of(const struct checking *k, struct line_ref at)
{
    uint32_t best = line_fate(k, at)->best;
    return best == SEND_NONE ? NULL : &k->h->producers[at.producer].sends.items[best];
}

enum outcome fate_outcome(const struct checking *k, struct line_ref at)
{
    const struct history_send *send = best_of(k, at);
    return send == NULL ? OUTCOME_OPEN : send->outcome;
}

uint32_t fate_code(const struct checking *k, struct line_ref at)
{
    const struct history_send *send = best_of(k, at);
    return send == NULL ? TEXT_NONE : send->code;
}

int64_t fate_begin_ns(const struct checking *k, struct line_ref at)
{
    uint32_t first = line_fate(k, at)->first;
    return first == SEND_NONE ? TIME_NONE
                              : k->h->producers[at.producer].sends.items[first].begin_ns;
}

int64_t fate_acked_ns(const struct checking *k, struct line_ref at)
{
    const struct history_send *send = best_of(k, at);
    return send == NULL || send->outcome != OUTCOME_OK ? TIME_NONE : send->end_ns;
}

bool maybe_sent(const struct checking *k, struct line_ref at)
{
    return line_fate(k, at)->first != SEND_NONE || !k->h->producers[at.producer].recorded;
}

bool maybe_executed(const struct checking *k, struct line_ref at)
{
    const struct line_fate *fate = line_fate(k, at);
    enum outcome outcome = fate_outcome(k, at);
    return maybe_sent(k, at) && fate->offset == OFFSET_NONE &&
           (outcome == OUTCOME_OPEN || outcome == OUTCOME_INFO ||
            (outcome == OUTCOME_OK && !k->plain));
}

int64_t entry_begin_ns(const struct checking *k, const struct log_entry *entry)
{
    return entry->producer == PRODUCER_NOBODY
               ? TIME_NONE
               : fate_begin_ns(k, (struct line_ref){entry->producer, entry->line});
}

int64_t entry_acked_ns(const struct checking *k, const struct log_entry *entry)
{
    return entry->producer == PRODUCER_NOBODY
               ? TIME_NONE
               : fate_acked_ns(k, (struct line_ref){entry->producer, entry->line});
}

/* ---- what is claimed --------------------------------------------------------------- */

bool restarted_after(const struct checking *k, int64_t time_ns)
{
    return k->restarts.count > 0 && k->restarts.items[k->restarts.count - 1].restart_ns >= time_ns;
}

bool restarted_before(const struct checking *k, int64_t time_ns)
{
    return k->restarts.count > 0 && k->restarts.items[0].hit_ns <= time_ns;
}

/* A consumer whose position or id is forgotten, and who then begins at the end, misses what
 * was there. */
enum excuse loss_excused(const struct checking *k, int64_t acked_ns)
{
    const struct history_claims *claims = &k->h->run.claims;
    bool kept = claims->messages && ((claims->positions && claims->ids) || !claims->latest);
    return !kept && acked_ns != TIME_NONE && restarted_after(k, acked_ns) ? EXCUSE_NOT_CLAIMED
                                                                          : EXCUSE_NONE;
}

/* Which of several lines that are alike was lost is a guess: it may be the first. */
enum excuse entry_loss_excused(const struct checking *k, const struct log_entry *entry)
{
    int64_t acked_ns = entry_acked_ns(k, entry);
    bool guessed = acked_ns != TIME_NONE &&
                   line_fate(k, (struct line_ref){entry->producer, entry->line})->guessed;
    return loss_excused(k, guessed ? 0 : acked_ns);
}

size_t forgotten_cause(const struct checking *k, size_t topic, const char *process, int64_t time_ns)
{
    for (size_t i = 0; i < k->forgotten.count; i++) {
        const struct forgotten *f = &k->forgotten.items[i];
        bool is_it = f->process[0] == '\0' || (process != NULL && strcmp(f->process, process) == 0);
        if (f->topic == topic && is_it && f->since_ns >= time_ns) {
            return f->finding;
        }
    }
    return FINDING_ROOT;
}

/* ---- words ------------------------------------------------------------------------- */

struct process_name process_name(const char *prefix, int64_t id)
{
    struct process_name name;
    snprintf(name.text, sizeof name.text, "%s%" PRId64, prefix, id);
    return name;
}

/* Control characters are written out: a message must not be able to steer a terminal. */
struct shown_text shown_text(const struct checking *k, uint32_t text)
{
    static const char ending[] = "…'";
    struct shown_text shown = {"'"};
    struct slice s = texts_get(&k->h->texts, text);
    size_t used = 1;

    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool begins = (c & 0xC0) != 0x80; /* a character; never cut within one */
        if (begins && used + 4 + sizeof ending > sizeof shown.text) {
            snprintf(shown.text + used, sizeof ending, "%s", ending);
            return shown;
        }
        if (c < 0x20 || c == 0x7F) {
            used += (size_t)snprintf(shown.text + used, 5, "\\x%02X", c);
        } else {
            shown.text[used++] = (char)c;
        }
    }
    shown.text[used] = '\'';
    return shown;
}

struct process_name producer_name(const struct checking *k, size_t producer)
{
    return process_name("P", k->s->producers[producer].id);
}

struct process_name consumer_name(const struct checking *k, size_t consumer)
{
    return process_name("C", k->s->consumers[consumer].id);
}
