/*
 * check_positions.c - where the broker had a consumer after it was started again.
 *
 * Without offsets a position shows in what a consumer is given next. One that went back gives again
 * what came before the restart; one that went forward leaves out what lies behind the last message
 * before it. What is given again, left out and counted wrongly then follows from that one thing,
 * and the store has done nothing.
 *
 * A consumer went back when it was given more than there is, and what it got first after a restart
 * repeats what it got before: that is looked for in its own receipts (the longest repetition),
 * before anybody knows the topic's log. It counts once the log shows that it was given too much
 * there.
 *
 * It went forward when more is missing just there than answers were lost, and the store had some of
 * it: another consumer was given it. What nobody was given may as well have been lost.
 *
 * With offsets a consumer says its own position, and the broker's shows in a size that is asked for
 * before that: check_time.c judges it, and what is wrong is said here.
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MIN 8 /* so many alike messages are not the same again by chance */

/* ---- what is given again ---------------------------------------------------------------- */

/* A consumer's receipts of a topic, by their index among all. */
struct receipts {
    const struct history_consumer *consumer;
    uint32_t *items;
    size_t count;
};

static struct receipts receipts_of(const struct checking *k, size_t consumer, size_t topic)
{
    struct receipts r = {.consumer = &k->h->consumers[consumer]};

    r.items = memory_zeroed(r.consumer->receives.count, sizeof *r.items);
    for (size_t i = 0; i < r.consumer->receives.count; i++) {
        if (r.consumer->receives.items[i].topic == topic) {
            r.items[r.count++] = (uint32_t)i;
        }
    }
    return r;
}

static uint32_t text_at(const struct receipts *r, size_t i)
{
    return r->consumer->receives.items[r->items[i]].message;
}

/* The first receipt at or after a moment. */
static size_t receipt_from(const struct receipts *r, int64_t time_ns)
{
    size_t i = 0;
    while (i < r->count && r->consumer->receives.items[r->items[i]].time_ns < time_ns) {
        i++;
    }
    return i;
}

/* How far a pattern, of which `matched` have matched, goes on with a text: as Knuth, Morris and
 * Pratt do it. */
static size_t pattern_step(const struct receipts *r, size_t pattern, const size_t *fall,
                           size_t matched, uint32_t text)
{
    while (matched > 0 && text_at(r, pattern + matched) != text) {
        matched = fall[matched - 1];
    }
    return matched + (text_at(r, pattern + matched) == text);
}

/* The receipts [after, end) repeat some before `after`: the longest beginning of them that ends
 * there, or all of them anywhere; `most` at most. The index of the first that is repeated; `after`:
 * none is. */
static size_t repeated_from(const struct receipts *r, size_t after, size_t end, size_t most)
{
    size_t *fall = memory_zeroed(end - after, sizeof *fall);
    size_t whole = after;
    size_t matched = 0;

    for (size_t i = 1; i < end - after; i++) {
        fall[i] = pattern_step(r, after, fall, fall[i - 1], text_at(r, after + i));
    }
    for (size_t i = 0; i < after && after < end; i++) {
        matched = matched == end - after ? fall[matched - 1] : matched;
        matched = pattern_step(r, after, fall, matched, text_at(r, i));
        whole = matched == end - after && matched <= most ? i + 1 - matched : whole;
    }
    while (matched > most) {
        matched = fall[matched - 1];
    }
    free(fall);
    return matched > 0 ? after - matched : whole;
}

/* How many it was given more often than they were sent. */
static size_t surplus_of(const struct checking *k, const struct receipts *r,
                         const uint32_t *lines_of)
{
    uint32_t *got = memory_zeroed(k->h->texts.count, sizeof *got);
    size_t surplus = 0;

    for (size_t i = 0; i < r->count; i++) {
        surplus += ++got[text_at(r, i)] > lines_of[text_at(r, i)];
    }
    free(got);
    return surplus;
}

static void move_take(struct checking *k, const struct receipts *r, struct moved *m,
                      const uint32_t *lines_of, size_t surplus)
{
    bool is_last = m->restart + 1 == k->restarts.count;
    size_t after = receipt_from(r, k->restarts.items[m->restart].restart_ns);
    size_t end = is_last ? r->count : receipt_from(r, k->restarts.items[m->restart + 1].restart_ns);
    size_t from = repeated_from(r, after, end, surplus);
    size_t again = after - from < end - after ? after - from : end - after;

    m->back = (int64_t)(after - from);
    m->behind = after == 0 ? 0 : (int64_t)r->items[after - 1] + 1;
    m->before = after == r->count ? INT64_MAX : (int64_t)r->items[after] + 1;
    if (again > 0) {
        m->first = r->items[from];
        m->copy = r->items[after];
        m->end = (size_t)r->items[after + again - 1] + 1;
        m->told_apart = again >= AGAIN_MIN;
    }
    for (size_t i = 0; i < again; i++) {
        m->told_apart |= lines_of[text_at(r, after + i)] == 1;
    }
    MEMORY_PUSH(&k->moved, *m);
}

void check_moves(struct checking *k, size_t topic, const uint32_t *lines_of)
{
    const struct scenario_topic *t = &k->s->topics[topic];

    for (size_t c = 0; c < t->consumer_count && k->restarts.count > 0; c++) {
        struct receipts r = receipts_of(k, t->consumers[c], topic);
        size_t surplus = surplus_of(k, &r, lines_of);
        for (size_t i = 0; i < k->restarts.count; i++) {
            struct moved m = {
                .consumer = t->consumers[c], .topic = topic, .restart = i, .finding = FINDING_ROOT};
            move_take(k, &r, &m, lines_of, surplus);
        }
        free(r.items);
    }
}

/* ---- what shows it ---------------------------------------------------------------------- */

static bool is_again(const struct moved *m, const struct stray *stray)
{
    return !stray->is_gap && stray->topic == m->topic && stray->low <= (int64_t)m->end &&
           stray->high > (int64_t)m->first;
}

/* What was sent after the restart it did not pass over. */
static bool is_past(const struct checking *k, const struct moved *m, const struct stray *stray)
{
    return stray->is_gap && stray->topic == m->topic && stray->low <= m->behind &&
           stray->high >= m->before &&
           entry_begin_ns(k, &k->logs[stray->topic].items[stray->index]) <
               k->restarts.items[m->restart].restart_ns;
}

static bool is_given_to_another(const struct checking *k, const struct moved *m, size_t entry)
{
    const struct scenario_topic *t = &k->s->topics[m->topic];

    for (size_t c = 0; c < t->consumer_count; c++) {
        if (t->consumers[c] != m->consumer &&
            k->streams[t->consumers[c]].received[m->topic][entry]) {
            return true;
        }
    }
    return false;
}

/* How many of its consumes had no answer: each may have taken a message along. */
static size_t lost_replies(const struct checking *k, const struct moved *m)
{
    const struct history_consumer *c = &k->h->consumers[m->consumer];
    size_t count = 0;

    for (size_t i = 0; i < c->requests.count; i++) {
        const struct history_request *r = &c->requests.items[i];
        count += r->is_consume && r->topic == m->topic &&
                 (r->outcome == OUTCOME_INFO || r->outcome == OUTCOME_OPEN);
    }
    return count;
}

/* What a consumer missed where the restart was. */
struct missed {
    size_t count;
    bool stored;    /* another consumer was given some of it */
    bool unclaimed; /* some of it need not have been kept */
};

static struct missed missed_count(const struct checking *k, const struct moved *m)
{
    const struct stream *stream = &k->streams[m->consumer];
    int64_t *empty_ns = check_empty_times(k, m->consumer);
    struct missed missed = {0, false, false};

    for (size_t i = 0; i < stream->strays.count; i++) {
        const struct stray *gap = &stream->strays.items[i];
        if (!is_past(k, m, gap) || check_proof_of_loss(k, gap, empty_ns) == NULL) {
            continue;
        }
        const struct log_entry *entry = &k->logs[m->topic].items[gap->index];
        missed.count++;
        missed.stored |= is_given_to_another(k, m, gap->index);
        missed.unclaimed |= entry_loss_excused(k, entry) != EXCUSE_NONE;
    }
    free(empty_ns);
    return missed;
}

static size_t again_count(const struct checking *k, const struct moved *m)
{
    const struct stream *stream = &k->streams[m->consumer];
    size_t count = 0;

    for (size_t i = 0; i < stream->strays.count; i++) {
        count += is_again(m, &stream->strays.items[i]);
    }
    return count;
}

/* ---- what is said ----------------------------------------------------------------------- */

/* Who no longer knew the consumer, or its topic, knew no position either. */
static bool is_known_forgotten(const struct checking *k, const struct moved *m, size_t finding)
{
    for (size_t i = 0; i < k->forgotten.count; i++) {
        const struct forgotten *f = &k->forgotten.items[i];
        if (f->finding == finding && f->topic == m->topic &&
            (f->process[0] == '\0' ||
             strcmp(f->process, consumer_name(k, m->consumer).text) == 0)) {
            return true;
        }
    }
    return false;
}

static void say_moved_position(struct checking *k, struct moved *m, bool unclaimed, int64_t count,
                               const char *where)
{
    const struct restart *restart = &k->restarts.items[m->restart];
    const struct history_claims *claims = &k->h->run.claims;
    struct process_name after = process_name("fault ", restart->fault);

    m->finding = findings_get(&k->c->findings, FINDING_FORGOTTEN, SOURCE_HISTORY, after.text,
                              FINDING_TOPIC_NONE, FINDING_ROOT,
                              unclaimed || !(claims->positions && claims->ids) ? EXCUSE_NOT_CLAIMED
                                                                               : EXCUSE_NONE);
    if (is_known_forgotten(k, m, m->finding)) {
        return;
    }
    struct evidence *e = findings_count(&k->c->findings, m->finding);
    if (e != NULL) {
        e->time_ns = restart->restart_ns;
        evidence_say(e, "the position of %s on topic '%s', which was %" PRId64 " too %s after %s",
                     consumer_name(k, m->consumer).text, k->s->topics[m->topic].name, count, where,
                     after.text);
    }
}

/* Those that went forward after one restart: when the store had what one of them missed, it had
 * what the others missed, too. */
static void forward_check(struct checking *k, size_t restart)
{
    bool stored = false;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < k->moved.count; i++) {
            struct moved *m = &k->moved.items[i];
            if (m->restart != restart || m->finding != FINDING_ROOT) {
                continue;
            }
            struct missed missed = missed_count(k, m);
            if (missed.count <= lost_replies(k, m)) {
                continue;
            }
            stored |= missed.stored;
            if (pass == 1 && stored) {
                m->forward = true;
                say_moved_position(k, m, missed.unclaimed, (int64_t)missed.count, "high");
            }
        }
    }
}

void check_positions(struct checking *k)
{
    for (size_t i = 0; i < k->moved.count; i++) {
        struct moved *m = &k->moved.items[i];
        if (m->back > 0 && again_count(k, m) > 0) {
            say_moved_position(k, m, false, m->back, "low");
        }
    }
    for (size_t r = 0; r < k->restarts.count; r++) {
        forward_check(k, r);
    }
}

size_t moved_cause(const struct checking *k, size_t consumer, const struct stray *stray)
{
    for (size_t i = 0; i < k->moved.count; i++) {
        const struct moved *m = &k->moved.items[i];
        if (m->consumer == consumer && m->finding != FINDING_ROOT &&
            (m->forward ? is_past(k, m, stray) : is_again(m, stray))) {
            return m->finding;
        }
    }
    return FINDING_ROOT;
}

size_t moved_before(const struct checking *k, size_t consumer, size_t topic, int64_t time_ns)
{
    size_t finding = FINDING_ROOT;

    for (size_t i = 0; i < k->moved.count; i++) {
        const struct moved *m = &k->moved.items[i];
        if (m->consumer == consumer && m->topic == topic && m->finding != FINDING_ROOT &&
            k->restarts.items[m->restart].hit_ns <= time_ns) {
            finding = m->finding;
        }
    }
    return finding;
}

size_t moved_show(struct checking *k, size_t consumer, size_t topic, size_t restart, int64_t more)
{
    struct moved m = {
        .consumer = consumer, .topic = topic, .restart = restart, .finding = FINDING_ROOT};

    for (size_t i = 0; i < k->moved.count; i++) {
        const struct moved *old = &k->moved.items[i];
        if (old->consumer == consumer && old->topic == topic && old->restart == restart &&
            old->finding != FINDING_ROOT) {
            return old->finding;
        }
    }
    say_moved_position(k, &m, false, more < 0 ? -more : more, more < 0 ? "high" : "low");
    MEMORY_PUSH(&k->moved, m);
    return m.finding;
}
