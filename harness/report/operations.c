/*
 * operations.c - each kind's list is in the order of time, so its place is found by halving.
 */
#include "harness/report/operations.h"

#include <assert.h>
#include <stdlib.h>

#define REQUESTS_BEFORE 4 /* the last that had begun among them */
#define REQUESTS_BEHIND 3
#define OTHERS_EACH_SIDE 2

/* ---- every kind as an operation ---------------------------------------------------- */

/* Item `i` of a list. */
typedef struct operation operation_make(const void *items, size_t i);

static struct operation of_registration(const void *items, size_t i)
{
    const struct history_registration *r = (const struct history_registration *)items + i;
    return (struct operation){.name = "register",
                              .path = TEXT_NONE,
                              .topic = r->topic,
                              .noun = "id",
                              .number = r->client_id,
                              .begin_ns = r->time_ns,
                              .end_ns = r->time_ns,
                              .outcome = OUTCOME_OK,
                              .code = TEXT_NONE,
                              .size = NUMBER_NONE};
}

static struct operation of_send(const void *items, size_t i)
{
    const struct history_send *s = (const struct history_send *)items + i;
    return (struct operation){.name = "send",
                              .path = TEXT_NONE,
                              .topic = s->topic,
                              .noun = "line",
                              .number = s->line,
                              .begin_ns = s->begin_ns,
                              .end_ns = s->end_ns,
                              .outcome = s->outcome,
                              .code = s->code,
                              .size = NUMBER_NONE};
}

static struct operation of_receive(const void *items, size_t i)
{
    const struct history_receive *r = (const struct history_receive *)items + i;
    bool has_offset = r->offset != OFFSET_NONE;
    return (struct operation){.name = "receive",
                              .path = TEXT_NONE,
                              .topic = r->topic,
                              .noun = has_offset ? "offset" : "line",
                              .number = has_offset ? r->offset : r->line,
                              .begin_ns = r->time_ns,
                              .end_ns = r->time_ns,
                              .outcome = OUTCOME_OK,
                              .code = TEXT_NONE,
                              .size = NUMBER_NONE};
}

static struct operation of_size(const void *items, size_t i)
{
    const struct history_size *s = (const struct history_size *)items + i;
    return (struct operation){.name = s->saved ? "saved size" : "size",
                              .path = TEXT_NONE,
                              .topic = s->topic,
                              .begin_ns = s->begin_ns,
                              .end_ns = s->end_ns,
                              .outcome = s->outcome,
                              .code = TEXT_NONE,
                              .size = s->outcome == OUTCOME_OK ? s->size : NUMBER_NONE};
}

static struct operation of_seek(const void *items, size_t i)
{
    const struct history_seek *s = (const struct history_seek *)items + i;
    return (struct operation){.name = "seek",
                              .path = TEXT_NONE,
                              .topic = s->topic,
                              .noun = "offset",
                              .number = s->offset,
                              .begin_ns = s->begin_ns,
                              .end_ns = s->end_ns,
                              .outcome = s->outcome,
                              .code = TEXT_NONE,
                              .size = NUMBER_NONE};
}

static struct operation of_request(const void *items, size_t i)
{
    const struct history_request *r = (const struct history_request *)items + i;
    bool has_sequence = r->sequence != NUMBER_NONE;
    bool has_offset = r->offset != OFFSET_NONE;
    return (struct operation){.name = "request",
                              .path = r->path,
                              .topic = r->topic,
                              .noun = has_sequence ? "sequence"
                                      : has_offset ? "offset"
                                                   : NULL,
                              .number = has_sequence ? r->sequence : r->offset,
                              .begin_ns = r->begin_ns,
                              .end_ns = r->end_ns,
                              .outcome = r->outcome,
                              .http = r->http > 0 ? r->http : 0,
                              .code = r->code,
                              .size = NUMBER_NONE};
}

/* ---- around a moment ---------------------------------------------------------------- */

struct gathering {
    struct operation *out;
    size_t count;
    int64_t moment_ns;
    int64_t from_ns; /* the frame */
    int64_t to_ns;
};

/* From a list those that are next to the moment: so many that had begun by then, and so many
 * behind it. */
static void gather(struct gathering *g, operation_make *make, const void *items, size_t count,
                   size_t before, size_t behind)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (make(items, middle).begin_ns <= g->moment_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low > before ? low - before : 0; i < count && i < low + behind; i++) {
        struct operation operation = make(items, i);
        if (operation.begin_ns >= g->from_ns && operation.begin_ns <= g->to_ns) {
            assert(g->count < OPERATIONS_MAX);
            g->out[g->count++] = operation;
        }
    }
}

#define GATHER(g, make, list, before, behind)                                                      \
    gather((g), (make), (list).items, (list).count, (before), (behind))
#define GATHER_OTHERS(g, make, list) GATHER(g, make, list, OTHERS_EACH_SIDE, OTHERS_EACH_SIDE)

/* The requests that were gathered frame the rest. Without any, all is within. */
static void frame_set(struct gathering *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct operation *o = &g->out[i];
        int64_t end_ns = o->end_ns == TIME_NONE ? o->begin_ns : o->end_ns;
        g->from_ns = i == 0 || o->begin_ns < g->from_ns ? o->begin_ns : g->from_ns;
        g->to_ns = i == 0 || end_ns > g->to_ns ? end_ns : g->to_ns;
    }
    g->from_ns = g->from_ns < g->moment_ns ? g->from_ns : g->moment_ns;
    g->to_ns = g->to_ns > g->moment_ns ? g->to_ns : g->moment_ns;
}

static int operation_compare(const void *a, const void *b)
{
    const struct operation *x = a;
    const struct operation *y = b;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

size_t operations_around(const struct history *h, const char *process, int64_t moment_ns,
                         struct operation *out, size_t *at)
{
    struct gathering g = {
        .out = out, .moment_ns = moment_ns, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    int64_t id = process[0] == '\0' ? 0 : strtoll(process + 1, NULL, 10);

    for (size_t i = 0; i < h->producer_count && process[0] == 'P'; i++) {
        const struct history_producer *p = &h->producers[i];
        if (p->id == id) {
            GATHER(&g, of_request, p->requests, REQUESTS_BEFORE, REQUESTS_BEHIND);
            frame_set(&g);
            GATHER_OTHERS(&g, of_registration, p->registrations);
            GATHER_OTHERS(&g, of_send, p->sends);
        }
    }
    for (size_t i = 0; i < h->consumer_count && process[0] == 'C'; i++) {
        const struct history_consumer *c = &h->consumers[i];
        if (c->id == id) {
            GATHER(&g, of_request, c->requests, REQUESTS_BEFORE, REQUESTS_BEHIND);
            frame_set(&g);
            GATHER_OTHERS(&g, of_registration, c->registrations);
            GATHER_OTHERS(&g, of_receive, c->receives);
            GATHER_OTHERS(&g, of_size, c->sizes);
            GATHER_OTHERS(&g, of_seek, c->seeks);
        }
    }
    if (g.count > 0) {
        qsort(out, g.count, sizeof *out, operation_compare);
    }
    *at = 0;
    while (*at + 1 < g.count && out[*at + 1].begin_ns <= moment_ns) {
        ++*at;
    }
    return g.count;
}
