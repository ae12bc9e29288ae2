/*
 * finding.c - there are few findings, however many items: they are searched from the newest.
 */
#include "harness/check/finding.h"

#include "harness/history/history.h"
#include "harness/memory.h"

#include <inttypes.h>
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
    case FINDING_MISROUTED:
    case FINDING_CORRUPT:
        return finding->source == SOURCE_STORE ? PROMISE_STORED : of[finding->kind];
    default:
        return of[finding->kind];
    }
}

/* The index of the finding that has what `like` says, made when there is none. */
static size_t finding_of(struct findings *f, const struct finding *like, const char *process)
{
    for (size_t i = f->count; i-- > 0;) {
        const struct finding *old = &f->items[i];
        if (old->kind == like->kind && old->source == like->source && old->topic == like->topic &&
            old->cause == like->cause && old->excused == like->excused &&
            old->span.first == like->span.first && old->span.last == like->span.last &&
            strcmp(old->process, process) == 0) {
            return i;
        }
    }
    struct finding new = *like;
    new.extent = (struct extent){.lowest = OFFSET_NONE, .highest = OFFSET_NONE};
    snprintf(new.process, sizeof new.process, "%s", process);
    MEMORY_PUSH(f, new);
    return f->count - 1;
}

size_t findings_get(struct findings *f, enum finding_kind kind, enum finding_source source,
                    const char *process, size_t topic, size_t cause, enum excuse excused)
{
    return finding_of(
        f,
        &(struct finding){
            .kind = kind, .source = source, .topic = topic, .cause = cause, .excused = excused},
        process);
}

size_t findings_get_between(struct findings *f, enum finding_kind kind, enum finding_source source,
                            const char *process, size_t topic, enum excuse excused,
                            struct restart_span span)
{
    return finding_of(f,
                      &(struct finding){.kind = kind,
                                        .source = source,
                                        .topic = topic,
                                        .cause = FINDING_ROOT,
                                        .excused = excused,
                                        .span = span},
                      process);
}

struct evidence *findings_add(struct findings *f, enum finding_kind kind,
                              enum finding_source source, const char *process, size_t topic)
{
    return findings_count(f,
                          findings_get(f, kind, source, process, topic, FINDING_ROOT, EXCUSE_NONE));
}

struct evidence *findings_count(struct findings *f, size_t at)
{
    struct finding *finding = &f->items[at];

    finding->count++;
    if (finding->evidence_count == EVIDENCE_MAX) {
        return NULL;
    }
    struct evidence *e = &finding->evidence[finding->evidence_count++];
    *e = (struct evidence){OFFSET_NONE, NUMBER_NONE, TIME_NONE, TEXT_NONE, 0, NULL};
    return e;
}

/* ---- parts ----------------------------------------------------------------------- */

const char *evidence_process(const struct finding *f, const struct evidence *e)
{
    return f->part_count > 0 ? f->parts[e->part].process : f->process;
}

size_t evidence_topic(const struct finding *f, const struct evidence *e)
{
    return f->part_count > 0 ? f->parts[e->part].topic : f->topic;
}

const char *log_place_words(enum log_place place)
{
    static const char *const words[] = {[LOG_START] = "at the start of the log",
                                        [LOG_MIDDLE] = "in the middle of the log",
                                        [LOG_END] = "at the end of the log",
                                        [LOG_NOTHING_LEFT] = "in a log that has no rows left"};
    return words[place];
}

void extent_append_words(struct buffer *b, const struct extent *extent)
{
    const char *separator = "";
    int64_t all = 0;

    for (enum log_place i = 0; i < LOG_PLACES; i++) {
        all += extent->at[i];
    }
    for (enum log_place i = 0; i < LOG_PLACES; i++) {
        if (extent->at[i] == all) {
            buffer_append_string(b, all > 0 ? log_place_words(i) : "");
            return;
        }
        if (extent->at[i] > 0) {
            buffer_printf(b, "%s%" PRId64 " %s", separator, extent->at[i], log_place_words(i));
            separator = ", ";
        }
    }
}

static void extent_widen(struct extent *extent, int64_t lowest, int64_t highest)
{
    if (lowest != OFFSET_NONE && (extent->lowest == OFFSET_NONE || lowest < extent->lowest)) {
        extent->lowest = lowest;
    }
    extent->highest = highest > extent->highest ? highest : extent->highest;
}

void extent_take(struct extent *extent, int64_t offset, enum log_place place)
{
    extent_widen(extent, offset, offset);
    if (place < LOG_PLACES) {
        extent->at[place]++;
    }
}

static void extent_add(struct extent *to, const struct extent *from)
{
    extent_widen(to, from->lowest, from->highest);
    for (size_t i = 0; i < LOG_PLACES; i++) {
        to->at[i] += from->at[i];
    }
}

/* The part of a process and topic, made when there is none. */
static size_t part_of(struct finding *f, const struct finding *from)
{
    for (size_t i = 0; i < f->part_count; i++) {
        if (f->parts[i].topic == from->topic && strcmp(f->parts[i].process, from->process) == 0) {
            return i;
        }
    }
    struct finding_part new = {.topic = from->topic,
                               .extent = {.lowest = OFFSET_NONE, .highest = OFFSET_NONE}};
    snprintf(new.process, sizeof new.process, "%s", from->process);
    f->parts = memory_room(f->parts, f->part_count, &f->part_capacity, sizeof *f->parts);
    f->parts[f->part_count] = new;
    return f->part_count++;
}

/* Where evidence of a moment belongs: parts have theirs by time, others as it comes. */
static size_t evidence_place(const struct finding *f, int64_t time_ns, bool by_time)
{
    size_t at = f->evidence_count;

    while (by_time && at > 0 && f->evidence[at - 1].time_ns > time_ns) {
        at--;
    }
    return at;
}

/* The evidence becomes the finding's if it is among the first; else nobody's. */
static void evidence_absorb(struct finding *f, struct evidence *e, bool by_time)
{
    size_t at = evidence_place(f, e->time_ns, by_time);

    if (at == EVIDENCE_MAX) {
        free(e->detail);
        return;
    }
    if (f->evidence_count == EVIDENCE_MAX) {
        free(f->evidence[--f->evidence_count].detail);
    }
    memmove(&f->evidence[at + 1], &f->evidence[at], (f->evidence_count - at) * sizeof *f->evidence);
    f->evidence[at] = *e;
    f->evidence_count++;
}

void finding_absorb(struct finding *into, struct finding *from, bool part)
{
    size_t at = part ? part_of(into, from) : 0;

    into->count += from->count;
    extent_add(&into->extent, &from->extent);
    if (part) {
        into->parts[at].count += from->count;
        extent_add(&into->parts[at].extent, &from->extent);
    }
    for (size_t i = 0; i < from->evidence_count; i++) {
        from->evidence[i].part = at;
        evidence_absorb(into, &from->evidence[i], part);
    }
    from->evidence_count = 0;
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
        free(f->items[i].parts);
        free(f->items[i].common);
    }
    free(f->items);
    *f = (struct findings){NULL, 0, 0};
}
