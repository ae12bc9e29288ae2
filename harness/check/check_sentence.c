/*
 * check_sentence.c - the verdict in one sentence.
 *
 * Every kind of finding has its own words, with
 *   %p the process, or its file    %g got, or has           %n how many messages
 *   %t the topic                   %l did not get, or lacks %x how many times
 *   %e the first evidence          %c what all of it has in common
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"
#include "harness/report/wording.h"

#include <stdlib.h>
#include <string.h>

static const char *const words[FINDING_KINDS] = {
    [FINDING_FORGOTTEN] = "the broker no longer knew %p of %t",
    [FINDING_LOST] = "%p %l %n of %t",
    [FINDING_SKIPPED] = "%p read past %n of %t",
    [FINDING_SEEK_IGNORED] = "%p asked to go on elsewhere in %t, and went on as before, %x",
    [FINDING_FALSE_EMPTY] = "%p was told %x that there is no message of %t while one was there",
    [FINDING_REDELIVERED] = "%p %g %n of %t twice",
    [FINDING_OUT_OF_ORDER] = "%p %g %n of %t out of order",
    [FINDING_PHANTOM] = "%p %g %n under %t that nobody sent",
    [FINDING_MISROUTED] = "%p %g %n of another topic under %t",
    [FINDING_CORRUPT] = "%p %g %n of %t with another text than was sent",
    [FINDING_ORDER_DISAGREEMENT] = "%p saw %n of %t in another order than other consumers",
    [FINDING_FILE_DIFFERS] = "the file of %p is not what it received: %e",
    [FINDING_PRODUCER_ORDER] = "%t does not keep the order of %p: %e",
    [FINDING_INCONSISTENT_OFFSET] = "an offset of %t is not one message's alone: %e",
    [FINDING_NOT_DENSE] = "the offsets of %t have gaps: %e",
    [FINDING_TORN_BATCH] = "a batch of %p to %t is stored in pieces: %e",
    [FINDING_REAL_TIME_ORDER] = "%n of %t stored before what had been acknowledged first: %e",
    [FINDING_DUPLICATE] = "%n of %p to %t stored twice",
    [FINDING_ABORTED_READ] = "%n of %p to %t stored although refused",
    [FINDING_SIZE_WRONG] = "%p was told a size of %t that cannot be: %e",
    [FINDING_FALSE_AWAY] = "after %p the store was there, and the broker said that it is away: %e",
    [FINDING_NO_PROGRESS] = "not all got on after %p: %e",
    [FINDING_SLOW_RECOVERY] = "slow to recover from %p: %e",
    [FINDING_UNACKNOWLEDGED] = "%p gave up %n to %t",
    [FINDING_MISSENT] = "%p sent %n that its log file does not have there",
    [FINDING_UNSENT] = "%p left %n to %t unsent or without a known end",
    [FINDING_NO_HISTORY] = "%p left no history",
    [FINDING_UNSEEN] = "%p did not read %n of %t",
    [FINDING_HIT_NOTHING] = "%p hit nothing: %e",
    [FINDING_NOT_FIRED] = "%p was not injected: %e",
    [FINDING_NO_RECOVERY] = "%p did not end: %e",
    [FINDING_ROWS_UNREAD] = "the store's rows were not read",
    [FINDING_ENDED_EARLY] = "the run was given up: %e",
};

/* Of what one restart did to several. */
static const char *const words_of_all[FINDING_KINDS] = {
    [FINDING_LOST] = "the store lost %n, %c",
    [FINDING_DUPLICATE] = "%n stored twice, %c",
    [FINDING_REAL_TIME_ORDER] = "%n not in the order of time, %c",
    [FINDING_INCONSISTENT_OFFSET] = "the offsets of %n are not theirs alone, %c",
};

/* For the names that the store's rows have in common with the deliveries. */
static const char *words_of(const struct finding *f)
{
    if (f->kind == FINDING_FORGOTTEN && f->topic == FINDING_TOPIC_NONE) {
        return "the broker no longer knew %e";
    }
    if (f->kind == FINDING_NO_PROGRESS && f->process[0] == '\0') {
        return "%e";
    }
    if (f->common != NULL) {
        return words_of_all[f->kind];
    }
    if (f->kind == FINDING_MISROUTED && f->process[0] == 'P') {
        return "%n of %p to another topic stored under %t";
    }
    if (f->source != SOURCE_STORE) {
        return words[f->kind];
    }
    switch (f->kind) {
    case FINDING_LOST:
        return "the store lost %n of %p to %t after acknowledging";
    case FINDING_PHANTOM:
        return "the store has %n of %t that nobody sent";
    case FINDING_CORRUPT:
        return "the store has %n of %t with another text or sender than was sent";
    default:
        return words[f->kind];
    }
}

static void finding_append(struct buffer *b, const struct checking *k, const struct finding *f)
{
    for (const char *w = words_of(f); *w != '\0'; w++) {
        if (*w != '%') {
            buffer_append_char(b, *w);
            continue;
        }
        switch (*++w) {
        case 'p':
            if (f->source == SOURCE_FILE && f->kind != FINDING_FILE_DIFFERS) {
                buffer_append_string(b, "the file of ");
            }
            buffer_append_string(b, f->process[0] == '\0' ? "somebody" : f->process);
            break;
        case 'g':
            buffer_append_string(b, f->source == SOURCE_FILE ? "has" : "got");
            break;
        case 'l':
            buffer_append_string(b, f->source == SOURCE_FILE ? "lacks" : "did not get");
            break;
        case 'n':
            word_count(b, f->count, "message");
            break;
        case 'c':
            buffer_append_string(b, f->common);
            break;
        case 'x':
            word_count(b, f->count, "time");
            break;
        case 't':
            buffer_append_string(b, f->topic == FINDING_TOPIC_NONE ? "an unknown topic"
                                                                   : k->s->topics[f->topic].name);
            break;
        default:
            buffer_append_string(b, f->evidence[0].detail);
        }
    }
}

static void findings_append(struct buffer *b, const struct checking *k)
{
    const struct findings *f = &k->c->findings;
    int64_t more = 0;

    finding_append(b, k, &f->items[0]);
    for (size_t i = 1; i < f->count; i++) {
        more += f->items[i].cause == FINDING_ROOT && !f->items[i].excused;
    }
    if (more > 0) {
        buffer_append_string(b, ", and ");
        word_count(b, more, "more finding");
    }
}

enum fault_group { BROKER_KILLS, POSTGRES_KILLS, OTHERS, FAULT_GROUPS };

static enum fault_group group_of(const struct scenario_fault *fault)
{
    if (fault->action != FAULT_KILL) {
        return OTHERS;
    }
    return fault->target == TARGET_BROKER ? BROKER_KILLS : POSTGRES_KILLS;
}

/* "2 broker kills, 1 PostgreSQL kill and 3 other faults" */
static void faults_append(struct buffer *b, const struct scenario *s)
{
    int64_t counts[FAULT_GROUPS] = {0};
    int left = 0;
    int done = 0;

    for (size_t i = 0; i < s->fault_count; i++) {
        counts[group_of(&s->faults[i])]++;
    }
    for (int i = 0; i < FAULT_GROUPS; i++) {
        left += counts[i] > 0;
    }
    const char *const names[] = {"broker kill", "PostgreSQL kill",
                                 left == 1 ? "fault" : "other fault"};
    for (int i = 0; i < FAULT_GROUPS; i++) {
        if (counts[i] > 0) {
            left--;
            buffer_append_string(b, done++ == 0 ? "" : left == 0 ? " and " : ", ");
            word_count(b, counts[i], names[i]);
        }
    }
}

/* Causes with this excuse: such things may be broken in a valid run. */
static int64_t excused_of(const struct findings *f, enum excuse excuse)
{
    int64_t count = 0;

    for (size_t i = 0; i < f->count; i++) {
        count += f->items[i].cause == FINDING_ROOT && f->items[i].excused == excuse;
    }
    return count;
}

/* "2 findings are of what it does not claim" */
static void excused_append(struct buffer *b, int64_t count, const char *what)
{
    if (count > 0) {
        buffer_append_string(b, "; ");
        word_count(b, count, "finding");
        buffer_append_string(b, count == 1 ? " is of " : " are of ");
        buffer_append_string(b, what);
    }
}

/* Nobody can see the order of lines that are alike. */
static const char *arrival_words(const struct check *c)
{
    return c->promises[PROMISE_STORED_ORDER].checked == 0 ? " arrived exactly once at "
           : c->order_unknown > 0
               ? " arrived exactly once and, as far as they are unlike, in order at "
               : " arrived exactly once and in order at ";
}

static void success_append(struct buffer *b, const struct checking *k)
{
    int64_t unclaimed = excused_of(&k->c->findings, EXCUSE_NOT_CLAIMED);
    int64_t unpromised = excused_of(&k->c->findings, EXCUSE_NOT_PROMISED);

    buffer_append_string(b, unclaimed > 0    ? "all that it claims was kept, for "
                            : unpromised > 0 ? "all that plain calls promise was kept, for "
                                             : "");
    word_count(b, k->c->acknowledged, "message");
    buffer_append_string(b, " from ");
    word_count(b, (int64_t)k->s->producer_count, "producer");
    buffer_append_string(b, unclaimed + unpromised > 0 ? " to " : arrival_words(k->c));
    word_count(b, (int64_t)k->s->consumer_count, "consumer");
    if (k->s->fault_count > 0) {
        buffer_append_string(b, ", through ");
        faults_append(b, k->s);
    }
    excused_append(b, unclaimed, "what it does not claim");
    excused_append(b, unpromised, "lost answers, after which plain calls promise nothing");
}

void check_sentence(struct checking *k)
{
    static const char *const names[] = {[VERDICT_VALID] = "Valid: ",
                                        [VERDICT_INVALID] = "Invalid: ",
                                        [VERDICT_UNKNOWN] = "Unknown: "};
    struct buffer b = BUFFER_INIT;

    if (k->c->verdict == VERDICT_VALID) {
        success_append(&b, k);
    } else {
        findings_append(&b, k);
    }
    k->c->reason = memory_string(buffer_slice(&b));
    buffer_clear(&b);
    buffer_append_string(&b, names[k->c->verdict]);
    buffer_append_string(&b, k->c->reason);
    buffer_append_char(&b, '.');
    k->c->sentence = memory_string(buffer_slice(&b));
    buffer_release(&b);
}
