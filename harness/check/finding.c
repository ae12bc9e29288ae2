/*
 * finding.c - there are few findings, however many items: they are searched from the newest.
 */
#include "harness/check/finding.h"

#include "harness/history/history.h"
#include "harness/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool breaks;
    const char *title;
} kinds[] = {
#define FINDING_ROW(kind, name, breaks, title) [kind] = {name, breaks, title},
    FINDING_MAP(FINDING_ROW)
#undef FINDING_ROW
};

const char *finding_name(enum finding_kind kind)
{
    return kinds[kind].name;
}

const char *finding_title(enum finding_kind kind)
{
    return kinds[kind].title;
}

bool finding_breaks(enum finding_kind kind)
{
    return kinds[kind].breaks;
}

const char *excuse_name(enum excuse excuse)
{
    static const char *const names[] = {[EXCUSE_NONE] = "",
                                        [EXCUSE_NOT_CLAIMED] = "not claimed",
                                        [EXCUSE_NOT_PROMISED] = "not promised"};
    return names[excuse];
}

const char *finding_source_name(enum finding_source source)
{
    static const char *const names[] = {
        [SOURCE_HISTORY] = "history", [SOURCE_FILE] = "file", [SOURCE_STORE] = "store"};
    return names[source];
}

static const struct {
    const char *sentence;
    const char *noun;
} promises[] = {
#define PROMISE_ROW(promise, sentence, noun) [promise] = {sentence, noun},
    PROMISE_MAP(PROMISE_ROW)
#undef PROMISE_ROW
};

const char *promise_sentence(enum promise promise)
{
    return promises[promise].sentence;
}

const char *promise_noun(enum promise promise)
{
    return promises[promise].noun;
}

enum promise finding_promise(const struct finding *finding)
{
    static const enum promise of[FINDING_KINDS] = {
        [FINDING_FORGOTTEN] = PROMISE_REMEMBERED,
        [FINDING_LOST] = PROMISE_DELIVERED,
        [FINDING_SKIPPED] = PROMISE_DELIVERED,
        [FINDING_FALSE_EMPTY] = PROMISE_NOT_EMPTY,
        [FINDING_SEEK_IGNORED] = PROMISE_REMEMBERED,
        [FINDING_REDELIVERED] = PROMISE_ONCE,
        [FINDING_OUT_OF_ORDER] = PROMISE_ONE_ORDER,
        [FINDING_PHANTOM] = PROMISE_GENUINE,
        [FINDING_MISROUTED] = PROMISE_GENUINE,
        [FINDING_CORRUPT] = PROMISE_GENUINE,
        [FINDING_ORDER_DISAGREEMENT] = PROMISE_ONE_ORDER,
        [FINDING_FILE_DIFFERS] = PROMISE_GENUINE,
        [FINDING_PRODUCER_ORDER] = PROMISE_STORED_ORDER,
        [FINDING_REAL_TIME_ORDER] = PROMISE_STORED_ORDER,
        [FINDING_INCONSISTENT_OFFSET] = PROMISE_OFFSETS,
        [FINDING_NOT_DENSE] = PROMISE_OFFSETS,
        [FINDING_TORN_BATCH] = PROMISE_STORED_ORDER,
        [FINDING_DUPLICATE] = PROMISE_STORED,
        [FINDING_ABORTED_READ] = PROMISE_STORED,
        [FINDING_SIZE_WRONG] = PROMISE_SIZES,
        [FINDING_FALSE_AWAY] = PROMISE_FAULTS,
        [FINDING_NO_PROGRESS] = PROMISE_FAULTS,
        [FINDING_SLOW_RECOVERY] = PROMISE_FAULTS,
        [FINDING_UNACKNOWLEDGED] = PROMISE_ACKNOWLEDGED,
        [FINDING_MISSENT] = PROMISE_ACKNOWLEDGED,
        [FINDING_UNSENT] = PROMISE_ACKNOWLEDGED,
        [FINDING_NO_HISTORY] = PROMISE_DELIVERED,
        [FINDING_UNSEEN] = PROMISE_DELIVERED,
        [FINDING_HIT_NOTHING] = PROMISE_FAULTS,
        [FINDING_NOT_FIRED] = PROMISE_FAULTS,
        [FINDING_NO_RECOVERY] = PROMISE_FAULTS,
        [FINDING_ROWS_UNREAD] = PROMISE_STORED,
        [FINDING_ENDED_EARLY] = PROMISES,
    };

    switch (finding->kind) {
    case FINDING_LOST:
    case FINDING_PHANTOM:
    case FINDING_CORRUPT:
        return finding->source == SOURCE_STORE ? PROMISE_STORED : of[finding->kind];
    default:
        return of[finding->kind];
    }
}

size_t findings_get(struct findings *f, enum finding_kind kind, enum finding_source source,
                    const char *process, size_t topic, size_t cause, enum excuse excused)
{
    for (size_t i = f->count; i-- > 0;) {
        const struct finding *old = &f->items[i];
        if (old->kind == kind && old->source == source && old->topic == topic &&
            old->cause == cause && old->excused == excused && strcmp(old->process, process) == 0) {
            return i;
        }
    }
    struct finding new = {
        .kind = kind, .source = source, .topic = topic, .cause = cause, .excused = excused};
    snprintf(new.process, sizeof new.process, "%s", process);
    MEMORY_PUSH(f, new);
    return f->count - 1;
}

struct evidence *findings_add(struct findings *f, enum finding_kind kind,
                              enum finding_source source, const char *process, size_t topic)
{
    return findings_count(f, findings_get(f, kind, source, process, topic, FINDING_ROOT, false));
}

struct evidence *findings_count(struct findings *f, size_t at)
{
    struct finding *finding = &f->items[at];

    finding->count++;
    if (finding->evidence_count == EVIDENCE_MAX) {
        return NULL;
    }
    struct evidence *e = &finding->evidence[finding->evidence_count++];
    *e = (struct evidence){OFFSET_NONE, NUMBER_NONE, TIME_NONE, TEXT_NONE, NULL};
    return e;
}

/* ---- the order ------------------------------------------------------------------- */

/* How much it matters: 0 breaks a promise, 1 was not seen, 2 is excused. */
static int weight_of(const struct finding *f)
{
    return f->excused ? 2 : finding_breaks(f->kind) ? 0 : 1;
}

static int finding_compare(const void *a, const void *b, void *all)
{
    const struct finding *items = all;
    size_t i = *(const size_t *)a;
    size_t j = *(const size_t *)b;
    const struct finding *x = &items[i];
    const struct finding *y = &items[j];

    if (weight_of(x) != weight_of(y)) {
        return weight_of(x) - weight_of(y);
    }
    if (x->kind != y->kind) {
        return (int)x->kind - (int)y->kind;
    }
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return i < j ? -1 : i > j;
}

/* Roots in their order, each followed by its consequences in theirs. */
void findings_sort(struct findings *f)
{
    size_t *order = memory_zeroed(f->count, sizeof *order);
    struct finding *sorted = memory_zeroed(f->count, sizeof *sorted);
    size_t count = 0;

    for (size_t i = 0; i < f->count; i++) {
        order[i] = i;
    }
    if (f->count > 0) {
        qsort_r(order, f->count, sizeof *order, finding_compare, f->items);
    }
    for (size_t i = 0; i < f->count; i++) {
        size_t root = count;
        if (f->items[order[i]].cause != FINDING_ROOT) {
            continue;
        }
        sorted[count++] = f->items[order[i]];
        for (size_t k = 0; k < f->count; k++) {
            if (f->items[order[k]].cause == order[i]) {
                sorted[count] = f->items[order[k]];
                sorted[count++].cause = root;
            }
        }
    }
    free(order);
    free(f->items);
    f->items = sorted;
    f->capacity = f->count;
}

void evidence_say(struct evidence *e, const char *format, ...)
{
    va_list args;

    if (e == NULL) {
        return;
    }
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    e->detail = memory_zeroed((size_t)size + 1, 1);
    va_start(args, format);
    vsnprintf(e->detail, (size_t)size + 1, format, args);
    va_end(args);
}

void findings_release(struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        for (size_t k = 0; k < f->items[i].evidence_count; k++) {
            free(f->items[i].evidence[k].detail);
        }
    }
    free(f->items);
    *f = (struct findings){NULL, 0, 0};
}
