/*
 * judged.h - check a run folder that is in memory, and compare what is found with what should be.
 */
#ifndef HARNESS_TESTS_JUDGED_H
#define HARNESS_TESTS_JUDGED_H

#include "common/tests/suite.h"
#include "harness/tests/goodrun.h"

/* What an expected finding leaves out is nothing: it is a root. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* A loaded and checked run. */
struct judged {
    struct scenario *s;
    struct history *h;
    struct check *c;
};

static inline struct judged folder_check(const struct folder *f)
{
    struct judged o = {NULL, NULL, NULL};
    char dir[128];
    char path[160];
    char error[SCENARIO_ERROR_BYTES_MAX] = "";

    dir_make(dir, sizeof dir);
    folder_write(f, dir);
    snprintf(path, sizeof path, "%s/scenario", dir);
    if (!scenario_load(path, 0, STORE_UNSAID, &o.s, error, sizeof error) ||
        !history_load(dir, o.s, &o.h, error, sizeof error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    o.c = check_run(o.s, o.h);
    dir_remove(dir);
    return o;
}

static inline void judged_release(struct judged *o)
{
    check_destroy(o->c);
    history_destroy(o->h);
    scenario_destroy(o->s);
}

static inline void judged_print(const struct judged *o)
{
    printf("\n    %s\n", o->c->sentence);
    for (size_t i = 0; i < o->c->findings.count; i++) {
        const struct finding *f = &o->c->findings.items[i];
        printf("    %s (%s) %s topic %d: %" PRId64 "\n", finding_name(f->kind),
               finding_source_name(f->source), f->process,
               f->topic == FINDING_TOPIC_NONE ? 0 : (int)f->topic + 1, f->count);
        for (size_t k = 0; k < f->evidence_count; k++) {
            printf("      %s\n", f->evidence[k].detail);
        }
    }
}

/* What a test expects to be found; its evidence must hold `text`. */
struct expected {
    enum finding_kind kind;
    enum finding_source source;
    const char *process;
    int topic; /* 1 for T1; 0: none */
    int64_t count;
    const char *text;
    const char *under; /* the name of its cause; NULL: it is a root */
};

static inline bool is_under(const struct judged *o, const struct finding *f, const char *name)
{
    return f->cause == FINDING_ROOT
               ? name == NULL
               : name != NULL &&
                     strcmp(finding_name(o->c->findings.items[f->cause].kind), name) == 0;
}

static inline const struct finding *finding_get(const struct judged *o, const struct expected *e)
{
    for (size_t i = 0; i < o->c->findings.count; i++) {
        const struct finding *f = &o->c->findings.items[i];
        size_t topic = e->topic == 0 ? FINDING_TOPIC_NONE : (size_t)e->topic - 1;
        if (f->kind == e->kind && f->source == e->source && f->topic == topic &&
            is_under(o, f, e->under) && strcmp(f->process, e->process) == 0) {
            return f;
        }
    }
    return NULL;
}

/* Where there are no offsets, nothing says any. */
static inline bool shows_offset(const struct judged *o)
{
    bool shows = false;

    for (size_t i = 0; i < o->c->findings.count && o->h->run.plain; i++) {
        const struct finding *f = &o->c->findings.items[i];
        for (size_t k = 0; k < f->evidence_count; k++) {
            shows = shows || f->evidence[k].offset != OFFSET_NONE ||
                    strstr(f->evidence[k].detail, "offset") != NULL;
        }
    }
    return shows;
}

/* Exactly these findings, no others, and the verdict that follows. */
static inline void found(const struct folder *f, const struct expected *list, size_t count)
{
    struct judged o = folder_check(f);
    enum verdict verdict = VERDICT_VALID;
    bool right = o.c->findings.count == count && !shows_offset(&o);

    for (size_t i = 0; i < count; i++) {
        const struct finding *finding = finding_get(&o, &list[i]);
        right = right && finding != NULL && finding->count == list[i].count &&
                strstr(finding->evidence[0].detail, list[i].text) != NULL;
        if (finding_breaks(list[i].kind)) {
            verdict = VERDICT_INVALID;
        } else if (verdict == VERDICT_VALID) {
            verdict = VERDICT_UNKNOWN;
        }
    }
    if (!right || o.c->verdict != verdict) {
        judged_print(&o);
    }
    CU_ASSERT(right);
    CU_ASSERT_EQUAL(o.c->verdict, verdict);
    judged_release(&o);
}

#define FOUND(f, ...)                                                                              \
    found((f), (const struct expected[]){__VA_ARGS__},                                             \
          sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

/* Run a test's body with both kinds of messages. */
#define WITH_BOTH(body)                                                                            \
    for (int plain = 0; plain < 2; plain++) {                                                      \
        struct folder *f = folder_good(plain == 1);                                                \
        body(f);                                                                                   \
        folder_destroy(f);                                                                         \
    }

static inline void is_valid(const struct folder *f)
{
    struct judged o = folder_check(f);
    if (o.c->verdict != VERDICT_VALID) {
        judged_print(&o);
    }
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    judged_release(&o);
}

#endif
