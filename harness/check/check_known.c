/*
 * check_known.c - since when was it known that a message is in the log?
 *
 * Since it was acknowledged, or since somebody was given it, whichever was first: from then on
 * nobody may be told that it is not there, and what is sent comes behind it. All clients take
 * their times from one clock, so a receipt also tells what cannot be:
 *
 *   phantom        received before its line was ever sent
 *   aborted-read   received after its send was refused, and before it was sent again
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- since when --------------------------------------------------------------------- */

static void receive_take(struct checking *k, size_t topic, const struct history_receive *r)
{
    struct topic_log *log = &k->logs[topic];
    size_t at;

    if (!topic_log_find(log, r->offset, &at) || log->items[at].message != r->message ||
        (log->known_ns[at] != TIME_NONE && log->known_ns[at] <= r->time_ns) ||
        (log->items[at].flags & ENTRY_EXTRA) != 0) {
        return;
    }
    struct line_ref line = {log->items[at].producer, log->items[at].line};
    if (line_fate(k, line)->guessed || r->time_ns >= fate_begin_ns(k, line)) {
        log->known_ns[at] = r->time_ns;
    }
}

static void receives_take(struct checking *k)
{
    for (size_t c = 0; c < k->h->consumer_count; c++) {
        const struct history_consumer *consumer = &k->h->consumers[c];
        for (size_t i = 0; i < consumer->receives.count; i++) {
            size_t topic = topic_of(k, consumer->receives.items[i].topic);
            if (topic != FINDING_TOPIC_NONE) {
                receive_take(k, topic, &consumer->receives.items[i]);
            }
        }
    }
}

/* ---- refused, and there ------------------------------------------------------------- */

/* Had all sends of the line that began before a moment been refused? */
static const struct history_send *refused_until(const struct checking *k, struct line_ref at,
                                                int64_t time_ns)
{
    const struct line_fate *fate = line_fate(k, at);
    const struct history_send *sends = k->h->producers[at.producer].sends.items;
    const struct history_send *last = NULL;

    for (size_t i = fate->first; i <= fate->best; i++) {
        if (sends[i].line != sends[fate->first].line || sends[i].begin_ns > time_ns) {
            continue;
        }
        if (sends[i].outcome != OUTCOME_FAIL) {
            return NULL;
        }
        last = &sends[i];
    }
    return last;
}

static void say_refused(struct checking *k, size_t topic, struct line_ref at,
                        const struct log_entry *entry, const struct history_send *refused,
                        int64_t time_ns)
{
    struct evidence *e = findings_add(&k->c->findings, FINDING_ABORTED_READ,
                                      k->h->rows_read ? SOURCE_STORE : SOURCE_HISTORY,
                                      producer_name(k, at.producer).text, topic);
    struct slice code = texts_get(&k->h->texts, refused->code);

    if (e != NULL) {
        e->offset = entry->offset;
        e->line = line_number(k, at);
        e->text = entry->message;
        e->time_ns = time_ns;
        evidence_say(e,
                     "line %" PRId64 " was refused (%.*s), and delivered at offset %" PRId64
                     " before it was sent again",
                     e->line, (int)code.size, code.data, entry->offset);
    }
}

/* Who was sent more than once, and delivered before the send that tells how it ended? */
static void refusals_check(struct checking *k, size_t topic)
{
    const struct topic_log *log = &k->logs[topic];

    for (size_t i = 0; i < log->count; i++) {
        const struct log_entry *entry = &log->items[i];
        struct line_ref at = {entry->producer, entry->line};
        if ((entry->flags & (ENTRY_EXTRA | ENTRY_ACCUSED)) != 0 || log->known_ns[i] == TIME_NONE) {
            continue;
        }
        const struct line_fate *fate = line_fate(k, at);
        if (fate->first == fate->best || fate->guessed ||
            log->known_ns[i] >= k->h->producers[at.producer].sends.items[fate->best].begin_ns) {
            continue;
        }
        const struct history_send *refused = refused_until(k, at, log->known_ns[i]);
        if (refused != NULL) {
            say_refused(k, topic, at, entry, refused, log->known_ns[i]);
        }
    }
}

/* Where it is a guess whose the entry is, its acknowledgement may be of another one. */
static int64_t acked_ns(const struct checking *k, const struct log_entry *entry)
{
    return entry->producer != PRODUCER_NOBODY &&
                   line_fate(k, (struct line_ref){entry->producer, entry->line})->guessed
               ? TIME_NONE
               : entry_acked_ns(k, entry);
}

void check_known(struct checking *k)
{
    for (size_t t = 0; t < k->s->topic_count; t++) {
        struct topic_log *log = &k->logs[t];
        log->known_ns = memory_zeroed(log->count, sizeof *log->known_ns);
        for (size_t i = 0; i < log->count; i++) {
            log->known_ns[i] = acked_ns(k, &log->items[i]);
        }
    }
    if (k->plain) {
        return; /* which line a receipt is, is a guess */
    }
    receives_take(k);
    for (size_t t = 0; t < k->s->topic_count; t++) {
        refusals_check(k, t);
    }
}

/* ---- received before it was sent ----------------------------------------------------- */

/* Had any line with this text been sent? */
static bool is_sent_until(const struct checking *k, size_t topic, uint32_t message, int64_t time_ns)
{
    const struct scenario_topic *t = &k->s->topics[topic];

    for (size_t i = 0; i < t->producer_count; i++) {
        const struct scenario_client *producer = &k->s->producers[t->producers[i]];
        for (size_t l = 0; l < producer->line_count; l++) {
            struct line_ref at = {(uint32_t)t->producers[i], (uint32_t)l};
            if (producer->lines[l].topic == topic && line_message(k, at) == message &&
                fate_begin_ns(k, at) <= time_ns && maybe_sent(k, at)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_too_soon(const struct checking *k, size_t topic, uint32_t entry, int64_t time_ns)
{
    const struct topic_log *log = &k->logs[topic];
    struct line_ref at = {log->items[entry].producer, log->items[entry].line};

    if ((log->known_ns[entry] != TIME_NONE && log->known_ns[entry] <= time_ns) ||
        (log->items[entry].flags & (ENTRY_EXTRA | ENTRY_ACCUSED)) != 0 ||
        fate_begin_ns(k, at) <= time_ns) {
        return false;
    }
    return !line_fate(k, at)->guessed ||
           !is_sent_until(k, topic, log->items[entry].message, time_ns);
}

void check_too_soon(struct checking *k, struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct history_receive *r = &stream->from->receives.items[i];
        size_t topic = topic_of(k, r->topic);
        uint32_t entry = stream->entries[i];
        if (entry == ENTRY_NONE || !is_too_soon(k, topic, entry, r->time_ns)) {
            continue;
        }
        struct evidence *e = findings_add(&k->c->findings, FINDING_PHANTOM, SOURCE_HISTORY,
                                          consumer_name(k, stream->consumer).text, topic);
        stream->cells[topic].foreign++;
        if (e != NULL) {
            e->offset = stream->by_text ? OFFSET_NONE : r->offset;
            e->line = r->line;
            e->text = r->message;
            e->time_ns = r->time_ns;
            evidence_say(e, "line %" PRIu32 " (%s) was received before anybody had sent it",
                         r->line, shown_text(k, r->message).text);
        }
    }
}
