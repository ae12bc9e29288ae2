/*
 * check_time.c - what the clock says about order, empty answers and sizes.
 *
 * Everybody's events carry the time of one clock, so of two events it is known which came
 * first, whoever recorded them. Three things follow, each by one walk over a topic's log:
 *
 *   real-time-order   a message that was known before another was sent lies before it
 *   false-empty       who asks from an offset on gets no "no message" once a message at that
 *                     offset or behind it is known, nor who waits for one then
 *   size-wrong        a size lies between the fewest and the most messages that the consumer
 *                     can have had left to take while it asked
 *
 * Known is what was acknowledged, and what anybody has received: see check_known.c.
 *
 * earliest[i] is since when any entry from i on was known: an entry that was sent after
 * earliest[i + 1] is stored before something that was there first.
 */
#include "harness/check/check_parts.h"

#include "harness/check/parallel.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An answer may be on its way for so long, on a slow machine, that it says what was then. */
#define LATE_NS INT64_C(10000000000)

/* An entry that producer-order or a finding at its offset has named says nothing more. */
static bool is_displaced(const struct checking *k, const struct log_entry *entry)
{
    return (entry->flags & (ENTRY_EXTRA | ENTRY_ACCUSED)) != 0 ||
           line_fate(k, (struct line_ref){entry->producer, entry->line})->displaced;
}

/* When was it sent? TIME_NONE also where it was guessed whose it is. */
static int64_t begin_of(const struct checking *k, const struct log_entry *entry)
{
    return line_fate(k, (struct line_ref){entry->producer, entry->line})->guessed
               ? TIME_NONE
               : entry_begin_ns(k, entry);
}

/* Was it held against others, whatever came of that? */
static bool is_compared(const struct checking *k, const struct log_entry *entry)
{
    return entry->producer != PRODUCER_NOBODY &&
           !line_fate(k, (struct line_ref){entry->producer, entry->line})->guessed;
}

/* One topic's times, made from the end of its log on. */
struct timing {
    const struct checking *k;
    int64_t *earliest; /* by entry, and one more behind the last; INT64_MAX: none was known */
    bool disorder;     /* an entry was sent after a later one was known */
    int64_t compared;  /* entries that have a place among others */
};

/* A round for each topic: they only read. */
static void earliest_make(void *arg, size_t topic)
{
    struct timing *t = &((struct timing *)arg)[topic];
    const struct topic_log *log = &t->k->logs[topic];
    int64_t earliest = INT64_MAX;

    t->earliest = memory_zeroed(log->count + 1, sizeof *t->earliest);
    t->earliest[log->count] = earliest;
    for (size_t i = log->count; i-- > 0;) {
        t->compared += is_compared(t->k, &log->items[i]);
        if (!is_displaced(t->k, &log->items[i])) {
            int64_t known_ns = log->known_ns[i];
            t->disorder = t->disorder || begin_of(t->k, &log->items[i]) > earliest;
            earliest = known_ns != TIME_NONE && known_ns < earliest ? known_ns : earliest;
        }
        t->earliest[i] = earliest;
    }
}

/* ---- order -------------------------------------------------------------------------- */

static const char *known_by(const struct checking *k, const struct topic_log *log, size_t at)
{
    return entry_acked_ns(k, &log->items[at]) == log->known_ns[at] ? "acknowledged" : "received";
}

static void say_too_early(struct checking *k, size_t topic, size_t at, const int64_t *earliest)
{
    const struct topic_log *log = &k->logs[topic];
    const struct log_entry *entry = &log->items[at];
    size_t other = at + 1;
    size_t finding =
        findings_get_between(&k->c->findings, FINDING_REAL_TIME_ORDER, SOURCE_HISTORY,
                             producer_name(k, entry->producer).text, topic, EXCUSE_NONE,
                             restarts_between(k, earliest[other], begin_of(k, entry)));
    struct evidence *e = findings_count(&k->c->findings, finding);

    if (e == NULL) {
        return;
    }
    while (earliest[other] == earliest[other + 1]) {
        other++;
    }
    const struct log_entry *first = &log->items[other];
    struct line_ref line = {entry->producer, entry->line};
    e->offset = entry->offset;
    e->line = line_number(k, line);
    e->text = entry->message;
    e->time_ns = entry_begin_ns(k, entry);
    evidence_say(e,
                 "line %" PRId64 " is at offset %" PRId64 ", before %s line %" PRId64 " at %" PRId64
                 ", which had been %s %.3f ms before this was sent",
                 e->line, e->offset, producer_name(k, first->producer).text,
                 line_number(k, (struct line_ref){first->producer, first->line}), first->offset,
                 known_by(k, log, other), (double)(e->time_ns - earliest[other]) / 1e6);
}

static void order_check(struct checking *k, size_t topic, const int64_t *earliest)
{
    const struct topic_log *log = &k->logs[topic];

    for (size_t i = 0; i < log->count; i++) {
        if (!is_displaced(k, &log->items[i]) && begin_of(k, &log->items[i]) > earliest[i + 1]) {
            say_too_early(k, topic, i, earliest);
        }
    }
}

/* ---- empty answers ------------------------------------------------------------------ */

/* The first entry with this offset or a larger one. */
static size_t entry_from(const struct topic_log *log, int64_t offset)
{
    size_t index;
    topic_log_find(log, offset, &index);
    return index;
}

static void say_false_empty(struct checking *k, size_t consumer, size_t topic,
                            const struct history_request *r, size_t at)
{
    const struct topic_log *log = &k->logs[topic];
    const struct log_entry *entry = &log->items[at];
    struct findings *f = &k->c->findings;
    size_t finding =
        findings_get(f, FINDING_FALSE_EMPTY, SOURCE_HISTORY, consumer_name(k, consumer).text, topic,
                     FINDING_ROOT, EXCUSE_NONE);
    struct evidence *e = findings_count(f, finding);

    MEMORY_PUSH(&k->false_empties, (struct false_empty){consumer, topic, r->begin_ns, finding});
    if (e != NULL) {
        e->time_ns = r->begin_ns;
        e->offset = entry->offset;
        e->text = entry->message;
        bool held = log->known_ns[at] > r->begin_ns;
        evidence_say(e,
                     "asked from offset %" PRId64 " on and was told that there is no message; "
                     "offset %" PRId64 " (%s) had been %s %.3f ms before%s",
                     r->offset, entry->offset, shown_text(k, entry->message).text,
                     known_by(k, log, at),
                     (double)((held ? r->end_ns : r->begin_ns) - log->known_ns[at]) / 1e6,
                     held ? " the answer, while it waited" : "");
    }
}

/* What was known until then had to be in the answer: before it asked; and if the broker
 * held it, and no fault came in between, also what came while it waited, LATE_NS before the
 * answer at least. */
static int64_t seen_until_ns(const struct checking *k, const struct history_request *r)
{
    if (k->plain || r->end_ns == TIME_NONE || r->end_ns - LATE_NS <= r->begin_ns) {
        return r->begin_ns;
    }
    for (size_t i = 0; i < k->h->faults.count; i++) {
        const struct history_fault *fault = &k->h->faults.items[i];
        if (fault->begin_ns <= r->end_ns &&
            (fault->end_ns == TIME_NONE || fault->end_ns >= r->begin_ns)) {
            return r->begin_ns;
        }
    }
    return r->end_ns - LATE_NS;
}

/* Only what is really there counts: an entry that the store lost is `lost`. */
static void empty_judge(struct checking *k, size_t consumer, size_t topic,
                        const struct history_request *r, const int64_t *earliest)
{
    const struct topic_log *log = &k->logs[topic];
    size_t from = entry_from(log, r->offset);
    int64_t until_ns = seen_until_ns(k, r);

    k->c->promises[PROMISE_NOT_EMPTY].checked++;
    if (earliest[from] > until_ns) {
        return;
    }
    for (size_t i = from; i < log->count && earliest[i] <= until_ns; i++) {
        if (log->known_ns[i] != TIME_NONE && log->known_ns[i] <= until_ns &&
            !is_displaced(k, &log->items[i])) {
            say_false_empty(k, consumer, topic, r, i);
            return;
        }
    }
}

static void empties_check(struct checking *k, size_t topic, const int64_t *earliest)
{
    uint32_t no_message = texts_find(&k->h->texts, slice_of("no_message"));

    for (size_t c = 0; c < k->h->consumer_count && no_message != TEXT_NONE; c++) {
        const struct history_consumer *consumer = &k->h->consumers[c];
        for (size_t i = 0; i < consumer->requests.count; i++) {
            const struct history_request *r = &consumer->requests.items[i];
            if (r->is_consume && r->code == no_message && r->topic == topic && r->offset >= 0) {
                empty_judge(k, c, topic, r, earliest);
            }
        }
    }
}

/* ---- sizes, and empty answers without offsets ------------------------------------------ */

/* What a consumer's consumes of a topic had said up to a moment, by when they began or by when
 * they were answered. */
struct consumes {
    int64_t time_ns;
    int64_t highest; /* offset */
    int64_t begun;   /* when the last of them began */
    int64_t lost;    /* how many are without an answer */
};

CHECK_LIST_TYPE(consumes_list, struct consumes)

/* One topic at one consumer, as times that ascend. */
struct counting {
    int64_t *known; /* of the log's messages */
    size_t known_count;
    int64_t *begun; /* of all sends that may have been executed */
    size_t begun_count;
    int64_t *taken; /* receives */
    size_t taken_count;
    struct consumes_list given; /* receives, and the offset behind each */
    struct consumes_list asked; /* by begin */
    struct consumes_list heard; /* those that were done, by end */
    struct consumes_list lost;  /* those without an answer */
};

static int time_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How many are not later. */
static int64_t count_until(const int64_t *times, size_t count, int64_t time_ns)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (times[middle] <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (int64_t)low;
}

/* Since when the message of a line was certainly there; TIME_NONE: nobody knows that it was. */
static int64_t line_known_ns(const struct checking *k, size_t topic, struct line_ref at)
{
    const struct topic_log *log = &k->logs[topic];
    const struct line_fate *fate = line_fate(k, at);
    size_t entry;

    if (k->plain || fate->offset == OFFSET_NONE || fate_outcome(k, at) == OUTCOME_FAIL ||
        !topic_log_find(log, fate->offset, &entry) || log->items[entry].line != at.line ||
        log->items[entry].producer != at.producer) {
        return fate_acked_ns(k, at);
    }
    return log->known_ns[entry];
}

static void topic_count(const struct checking *k, size_t topic, struct counting *n)
{
    const struct scenario_topic *t = &k->s->topics[topic];

    n->known = memory_zeroed((size_t)t->expected, sizeof *n->known);
    n->begun = memory_zeroed((size_t)t->expected, sizeof *n->begun);
    for (size_t i = 0; i < t->producer_count; i++) {
        const struct scenario_client *producer = &k->s->producers[t->producers[i]];
        for (size_t l = 0; l < producer->line_count; l++) {
            struct line_ref at = {(uint32_t)t->producers[i], (uint32_t)l};
            if (producer->lines[l].topic != topic || !maybe_sent(k, at)) {
                continue;
            }
            int64_t known_ns = line_known_ns(k, topic, at);
            if (known_ns != TIME_NONE) {
                n->known[n->known_count++] = known_ns;
            }
            if (fate_outcome(k, at) != OUTCOME_FAIL) {
                n->begun[n->begun_count++] = fate_begin_ns(k, at);
            }
        }
    }
    qsort(n->known, n->known_count, sizeof *n->known, time_compare);
    qsort(n->begun, n->begun_count, sizeof *n->begun, time_compare);
}

static int consumes_compare(const void *a, const void *b)
{
    const struct consumes *x = a;
    const struct consumes *y = b;
    return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* From what each said to what all had said until then. */
static void consumes_sum(struct consumes_list *list)
{
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof *list->items, consumes_compare);
    }
    for (size_t i = 1; i < list->count; i++) {
        const struct consumes *before = &list->items[i - 1];
        struct consumes *now = &list->items[i];
        now->highest = before->highest > now->highest ? before->highest : now->highest;
        now->begun = before->begun > now->begun ? before->begun : now->begun;
        now->lost += before->lost;
    }
}

static struct consumes consumes_until(const struct consumes_list *list, int64_t time_ns)
{
    size_t low = 0;
    size_t high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle].time_ns <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? (struct consumes){TIME_NONE, 0, TIME_NONE, 0} : list->items[low - 1];
}

static void consumes_count(const struct checking *k, const struct history_consumer *c, size_t topic,
                           struct counting *n)
{
    uint32_t no_message = texts_find(&k->h->texts, slice_of("no_message"));

    for (size_t i = 0; i < c->requests.count; i++) {
        const struct history_request *r = &c->requests.items[i];
        bool lost = r->outcome == OUTCOME_INFO || r->outcome == OUTCOME_OPEN;
        bool done = r->outcome == OUTCOME_OK || (r->code != TEXT_NONE && r->code == no_message);
        if (!r->is_consume || r->topic != topic) {
            continue;
        }
        MEMORY_PUSH(&n->asked, (struct consumes){r->begin_ns, r->offset, r->begin_ns, lost});
        if (done && r->end_ns != TIME_NONE) {
            MEMORY_PUSH(&n->heard, (struct consumes){r->end_ns, r->offset, r->begin_ns, 0});
        } else if (lost && r->offset >= 0) {
            MEMORY_PUSH(&n->lost, (struct consumes){r->begin_ns, r->offset, r->begin_ns, 1});
        }
    }
    consumes_sum(&n->asked);
    consumes_sum(&n->heard);
}

static void consumer_count(const struct checking *k, size_t consumer, size_t topic,
                           struct counting *n)
{
    const struct history_consumer *c = &k->h->consumers[consumer];

    n->taken = memory_zeroed(c->receives.count, sizeof *n->taken);
    for (size_t i = 0; i < c->receives.count; i++) {
        const struct history_receive *r = &c->receives.items[i];
        if (r->topic == topic) {
            n->taken[n->taken_count++] = r->time_ns;
            MEMORY_PUSH(&n->given, (struct consumes){r->time_ns, r->offset + 1, r->time_ns, 0});
        }
    }
    consumes_sum(&n->given);
    consumes_count(k, c, topic, n);
}

static void consumer_forget(struct counting *n)
{
    free(n->taken);
    n->taken = NULL;
    n->taken_count = 0;
    n->given.count = 0;
    n->asked.count = 0;
    n->heard.count = 0;
    n->lost.count = 0;
}

/* The lowest offset of the consumes without an answer that may have come to the broker after those
 * that were done; INT64_MAX: none. What was on its way to a broker that died before one of these
 * began never comes. */
static int64_t late_low(const struct checking *k, const struct counting *n, int64_t done_begun_ns,
                        int64_t end_ns)
{
    int64_t low = INT64_MAX;
    int64_t died_ns = TIME_NONE;

    for (size_t i = 0; i < k->restarts.count; i++) {
        const struct restart *restart = &k->restarts.items[i];
        if (restart->of_broker && restart->restart_ns <= done_begun_ns) {
            died_ns = restart->hit_ns;
        }
    }
    for (size_t i = n->lost.count; i-- > 0;) {
        const struct consumes *lost = &n->lost.items[i];
        if (lost->time_ns >= died_ns && lost->time_ns <= end_ns && lost->highest < low) {
            low = lost->highest;
        }
    }
    return low;
}

/* How many messages the broker may think that the consumer has taken. With offsets it is told
 * so by each request; one without an answer may come late, and set the position back. Without
 * offsets each request without an answer may have taken one. */
static void taken_bounds(const struct checking *k, const struct counting *n, int64_t begin_ns,
                         int64_t end_ns, int64_t *low, int64_t *high)
{
    struct consumes asked = consumes_until(&n->asked, end_ns);
    struct consumes heard = consumes_until(&n->heard, begin_ns);

    *high = count_until(n->taken, n->taken_count, end_ns) + asked.lost;
    if (k->plain) {
        *low = count_until(n->taken, n->taken_count, begin_ns);
        *high += 1; /* one that was answered and is recorded only afterwards */
        return;
    }
    *low = heard.highest > 0 ? heard.highest : 0;
    int64_t late = late_low(k, n, heard.begun, end_ns);
    *low = late < *low ? late : *low;
    *high = asked.highest > *high ? asked.highest : *high;
}

/* Is the log wrong, so that it has too many or too few? */
static bool is_of_log(const struct finding *f)
{
    return (f->kind == FINDING_LOST && f->source == SOURCE_STORE) || f->kind == FINDING_DUPLICATE ||
           (f->kind == FINDING_PHANTOM && f->source == SOURCE_STORE) ||
           f->kind == FINDING_ABORTED_READ || f->kind == FINDING_NOT_DENSE ||
           (f->kind == FINDING_INCONSISTENT_OFFSET && f->source == SOURCE_STORE);
}

/* Without offsets, a consumer that was given too much or too little has taken so much. What may
 * have been in a lost answer is in the bounds already. */
static bool is_of_taking(const struct checking *k, const struct finding *f, const char *consumer)
{
    return k->plain && f->source == SOURCE_HISTORY && strcmp(f->process, consumer) == 0 &&
           f->excused != EXCUSE_NOT_PROMISED &&
           (f->kind == FINDING_LOST || f->kind == FINDING_SKIPPED ||
            f->kind == FINDING_REDELIVERED || f->kind == FINDING_PHANTOM);
}

/* What was forgotten, or what there are too many or too few of: then no size is right. */
static size_t size_cause(const struct checking *k, size_t consumer, size_t topic, int64_t time_ns)
{
    const struct findings *f = &k->c->findings;
    struct process_name name = consumer_name(k, consumer);
    size_t cause = forgotten_cause(k, topic, name.text, 0);

    if (cause == FINDING_ROOT) {
        cause = moved_before(k, consumer, topic, time_ns);
    }
    if (cause == FINDING_ROOT) {
        topic_log_misrouted(k, topic, &cause);
    }
    for (size_t i = 0; i < f->count && cause == FINDING_ROOT; i++) {
        if (f->items[i].topic == topic && f->items[i].cause == FINDING_ROOT &&
            (is_of_log(&f->items[i]) || is_of_taking(k, &f->items[i], name.text))) {
            cause = i;
        }
    }
    return cause;
}

/* What seeks can have left the consumer's position at: one that was not seen done may come late. */
static void sought_bounds(const struct history_consumer *c, const struct history_size *size,
                          int64_t *low, int64_t *high)
{
    int64_t sought = INT64_MAX;
    int64_t unsure = INT64_MAX;

    for (size_t i = 0; i < c->seeks.count; i++) {
        const struct history_seek *seek = &c->seeks.items[i];
        if (seek->topic != size->topic || seek->outcome == OUTCOME_FAIL ||
            seek->begin_ns > size->end_ns) {
            continue;
        }
        bool done = seek->outcome == OUTCOME_OK && seek->end_ns <= size->begin_ns;
        sought = done ? seek->offset : sought;
        unsure = !done && seek->offset < unsure ? seek->offset : unsure;
        *high = seek->offset > *high ? seek->offset : *high;
    }
    sought = unsure < sought ? unsure : sought;
    *low = sought < *low ? sought : *low;
}

/* What follows from what is excused is, too; and after what is forgotten the count begins anew. */
static enum excuse counts_excused(const struct checking *k, int64_t end_ns, size_t cause)
{
    const struct history_claims *claims = &k->h->run.claims;

    if (cause != FINDING_ROOT && k->c->findings.items[cause].excused != EXCUSE_NONE) {
        return k->c->findings.items[cause].excused;
    }
    return restarted_before(k, end_ns) && !(claims->messages && claims->positions)
               ? EXCUSE_NOT_CLAIMED
               : EXCUSE_NONE;
}

/* A saved size that cannot be is the first that shows the position after a restart: that is what
 * was forgotten. FINDING_ROOT: it is not, a consume came between. */
static size_t saved_cause(struct checking *k, size_t consumer, size_t topic,
                          const struct counting *n, const struct history_size *size, int64_t more)
{
    struct consumes heard = consumes_until(&n->heard, size->begin_ns);
    size_t last = k->restarts.count;

    for (size_t i = 0; i < k->restarts.count && size->saved; i++) {
        const struct restart *restart = &k->restarts.items[i];
        if (restart->restart_ns <= size->end_ns && heard.time_ns < restart->restart_ns) {
            last = i;
        }
    }
    return last == k->restarts.count ? FINDING_ROOT : moved_show(k, consumer, topic, last, more);
}

static void size_judge(struct checking *k, size_t consumer, size_t topic, const struct counting *n,
                       const struct history_size *size)
{
    int64_t low;
    int64_t high;

    taken_bounds(k, n, size->begin_ns, size->end_ns, &low, &high);
    sought_bounds(&k->h->consumers[consumer], size, &low, &high);
    if (!size->saved) { /* what it was given it has taken, and what its seeks passed over */
        struct consumes given = consumes_until(&n->given, size->begin_ns);
        high = given.highest > high ? given.highest : high;
    }
    int64_t removed = log_removed(k->h, topic);
    high = removed > high ? removed : high;
    int64_t least = count_until(n->known, n->known_count, size->begin_ns) - high;
    int64_t most = count_until(n->begun, n->begun_count, size->end_ns) - low;
    /* Who begins at the end is owed nothing of what was there before. */
    least = least < 0 || k->h->run.claims.latest ? 0 : least;
    most = most < least ? least : most; /* who was given too much has not taken so much */
    k->c->promises[PROMISE_SIZES].checked++;
    if (size->size >= least && size->size <= most) {
        return;
    }
    size_t cause = size_cause(k, consumer, topic, size->end_ns);
    if (cause == FINDING_ROOT) {
        cause = saved_cause(k, consumer, topic, n, size,
                            size->size > most ? size->size - most : size->size - least);
    }
    size_t finding = findings_get(&k->c->findings, FINDING_SIZE_WRONG, SOURCE_HISTORY,
                                  consumer_name(k, consumer).text, topic, cause,
                                  counts_excused(k, size->end_ns, cause));
    struct evidence *e = findings_count(&k->c->findings, finding);
    if (e != NULL) {
        e->time_ns = size->begin_ns;
        evidence_say(e, "was told %" PRId64 "; there were %" PRId64 " to %" PRId64 " to take",
                     size->size, least, most);
    }
}

/* Without offsets: more was acknowledged before it asked than it can have taken until the end
 * of the answer. */
static void plain_empty_judge(struct checking *k, size_t consumer, size_t topic,
                              const struct counting *n, const struct history_request *r)
{
    int64_t low;
    int64_t high;

    taken_bounds(k, n, r->begin_ns, r->end_ns, &low, &high);
    int64_t acked = count_until(n->known, n->known_count, r->begin_ns);
    k->c->promises[PROMISE_NOT_EMPTY].checked++;
    high--; /* a client asks for one message after the other */
    if (acked <= high) {
        return;
    }
    size_t cause = moved_before(k, consumer, topic, r->end_ns);
    size_t misrouted;
    if (acked - (int64_t)topic_log_misrouted(k, topic, &misrouted) <= high) {
        cause = misrouted;
    }
    size_t finding = findings_get(&k->c->findings, FINDING_FALSE_EMPTY, SOURCE_HISTORY,
                                  consumer_name(k, consumer).text, topic, cause,
                                  counts_excused(k, r->end_ns, cause));
    struct evidence *e = findings_count(&k->c->findings, finding);
    MEMORY_PUSH(&k->false_empties, (struct false_empty){consumer, topic, r->begin_ns, finding});
    if (e != NULL) {
        e->time_ns = r->begin_ns;
        evidence_say(e,
                     "was told that there is no message after it had taken %" PRId64 "; %" PRId64
                     " had been acknowledged",
                     high, acked);
    }
}

static bool has_sizes(const struct history_consumer *c, size_t topic)
{
    for (size_t i = 0; i < c->sizes.count; i++) {
        if (c->sizes.items[i].topic == topic && c->sizes.items[i].outcome == OUTCOME_OK) {
            return true;
        }
    }
    return false;
}

/* What is said of one consumer's counts of a topic. */
typedef void judge_counts(struct checking *k, size_t consumer, size_t topic,
                          const struct counting *n);

static void sizes_judge(struct checking *k, size_t consumer, size_t topic, const struct counting *n)
{
    const struct history_consumer *c = &k->h->consumers[consumer];

    for (size_t i = 0; i < c->sizes.count; i++) {
        if (c->sizes.items[i].topic == topic && c->sizes.items[i].outcome == OUTCOME_OK) {
            size_judge(k, consumer, topic, n, &c->sizes.items[i]);
        }
    }
}

static void plain_empties_judge(struct checking *k, size_t consumer, size_t topic,
                                const struct counting *n)
{
    const struct history_consumer *c = &k->h->consumers[consumer];
    uint32_t no_message = texts_find(&k->h->texts, slice_of("no_message"));

    for (size_t i = 0; i < c->requests.count && no_message != TEXT_NONE; i++) {
        const struct history_request *r = &c->requests.items[i];
        if (r->is_consume && r->code == no_message && r->topic == topic) {
            plain_empty_judge(k, consumer, topic, n, r);
        }
    }
}

static void counts_check(struct checking *k, size_t topic, judge_counts *judge)
{
    struct counting n = {.known = NULL};

    for (size_t i = 0; i < k->s->topics[topic].consumer_count; i++) {
        size_t consumer = k->s->topics[topic].consumers[i];
        if (judge == sizes_judge && !has_sizes(&k->h->consumers[consumer], topic)) {
            continue;
        }
        if (n.known == NULL) {
            topic_count(k, topic, &n);
        }
        consumer_count(k, consumer, topic, &n);
        judge(k, consumer, topic, &n);
        consumer_forget(&n);
    }
    free(n.known);
    free(n.begun);
    free(n.given.items);
    free(n.asked.items);
    free(n.heard.items);
    free(n.lost.items);
}

void check_sizes(struct checking *k)
{
    for (size_t t = 0; t < k->s->topic_count; t++) {
        counts_check(k, t, sizes_judge);
    }
}

/* With offsets: order and empty answers. */
static void places_check(struct checking *k)
{
    struct timing *timings = memory_zeroed(k->s->topic_count, sizeof *timings);

    for (size_t t = 0; t < k->s->topic_count; t++) {
        timings[t].k = k;
    }
    parallel_each(k->s->topic_count, earliest_make, timings);
    for (size_t t = 0; t < k->s->topic_count; t++) {
        if (timings[t].disorder) {
            order_check(k, t, timings[t].earliest);
        }
        k->c->promises[PROMISE_STORED_ORDER].checked +=
            timings[t].compared > 1 ? timings[t].compared : 0;
        empties_check(k, t, timings[t].earliest);
        free(timings[t].earliest);
    }
    free(timings);
}

void check_time(struct checking *k)
{
    if (!k->plain) {
        places_check(k);
    }
    for (size_t t = 0; t < k->s->topic_count && k->plain; t++) {
        counts_check(k, t, plain_empties_judge);
    }
}
