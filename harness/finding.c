/*
 * finding.c - there are few findings, however many items: they are searched from the newest.
 */
#include "harness/finding.h"

#include "harness/history.h"
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

const char *finding_source_name(enum finding_source source)
{
    static const char *const names[] = {
        [SOURCE_HISTORY] = "history", [SOURCE_FILE] = "file", [SOURCE_STORE] = "store"};
    return names[source];
}

static struct finding *finding_of(struct findings *f, enum finding_kind kind,
                                  enum finding_source source, const char *process, size_t topic)
{
    for (size_t i = f->count; i-- > 0;) {
        struct finding *old = &f->items[i];
        if (old->kind == kind && old->source == source && old->topic == topic &&
            strcmp(old->process, process) == 0) {
            return old;
        }
    }
    struct finding new = {.kind = kind, .source = source, .topic = topic};
    snprintf(new.process, sizeof new.process, "%s", process);
    MEMORY_PUSH(f, new);
    return &f->items[f->count - 1];
}

struct evidence *findings_add(struct findings *f, enum finding_kind kind,
                              enum finding_source source, const char *process, size_t topic)
{
    struct finding *finding = finding_of(f, kind, source, process, topic);

    finding->count++;
    if (finding->evidence_count == EVIDENCE_MAX) {
        return NULL;
    }
    struct evidence *e = &finding->evidence[finding->evidence_count++];
    *e = (struct evidence){OFFSET_NONE, NUMBER_NONE, TEXT_NONE, NULL};
    return e;
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
