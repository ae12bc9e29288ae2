/*
 * explain.c - looks everything up by walking through the history: there is little evidence.
 */
#include "harness/report/explain.h"

#include "harness/report/operations.h"
#include "harness/report/wording.h"

#include <inttypes.h>
#include <stdlib.h>

#define AROUND 2       /* neighbours on either side */
#define SHOWN_BYTES 60 /* of a message */
#define REQUESTS_MAX 4

struct explaining {
    struct buffer *b;
    const struct scenario *s;
    const struct history *h;
    const struct check *c;
};

static const char *const outcomes[] = {[OUTCOME_OPEN] = "no end recorded",
                                       [OUTCOME_OK] = "ok",
                                       [OUTCOME_FAIL] = "refused",
                                       [OUTCOME_INFO] = "unknown"};

/* ---- pieces of a line ----------------------------------------------------------------- */

static void line_begin(const struct explaining *x, const char *what)
{
    buffer_printf(x->b, "      %-9s ", what);
}

static void moment(const struct explaining *x, int64_t time_ns)
{
    if (time_ns == TIME_NONE || x->c->begin_ns == TIME_NONE) {
        buffer_append_string(x->b, "at no known time");
    } else {
        buffer_printf(x->b, "at %.3f ms", (double)(time_ns - x->c->begin_ns) / 1e6);
    }
}

/* Control characters are written out: a message must not be able to steer a terminal. */
static void text(const struct explaining *x, uint32_t number)
{
    struct slice s = texts_get(&x->h->texts, number);

    buffer_append_char(x->b, '\'');
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (i >= SHOWN_BYTES && (c & 0xC0) != 0x80) {
            buffer_append_string(x->b, "…");
            break;
        }
        if (c < 0x20 || c == 0x7F) {
            buffer_printf(x->b, "\\x%02X", c);
        } else {
            buffer_append_char(x->b, (char)c);
        }
    }
    buffer_append_char(x->b, '\'');
}

static void code(const struct explaining *x, uint32_t number)
{
    if (number != TEXT_NONE) {
        struct slice s = texts_get(&x->h->texts, number);
        buffer_printf(x->b, " (%.*s)", (int)s.size, s.data);
    }
}

static void offset(const struct explaining *x, int64_t number)
{
    if (number != OFFSET_NONE) {
        buffer_printf(x->b, ", offset %" PRId64, number);
    }
}

/* ---- producers -------------------------------------------------------------------------- */

/* A request to produce. */
static void request_line(const struct explaining *x, const struct history_request *r)
{
    line_begin(x, "request");
    moment(x, r->begin_ns);
    if (r->sequence != NUMBER_NONE) {
        buffer_printf(x->b, ", sequence %" PRId64 ", ", r->sequence);
        word_count(x->b, r->count, "message");
    }
    buffer_printf(x->b, ": %s", outcomes[r->outcome]);
    if (r->http > 0) {
        buffer_printf(x->b, ", HTTP %" PRId32, r->http);
    }
    code(x, r->code);
    if (r->end_ns != TIME_NONE) {
        buffer_append_string(x->b, " after ");
        word_span(x->b, r->end_ns - r->begin_ns);
    }
    buffer_append_char(x->b, '\n');
}

/* The produce requests that were on their way while the send was. */
static void send_requests(const struct explaining *x, const struct history_producer *producer,
                          const struct history_send *send)
{
    int shown = 0;

    for (size_t i = 0; i < producer->requests.count && shown < REQUESTS_MAX; i++) {
        const struct history_request *r = &producer->requests.items[i];
        if (r->is_produce && r->topic == send->topic && r->begin_ns >= send->begin_ns &&
            (send->end_ns == TIME_NONE || r->begin_ns <= send->end_ns)) {
            request_line(x, r);
            shown++;
        }
    }
}

static void send_line(const struct explaining *x, int64_t id, const struct history_send *send)
{
    line_begin(x, "send");
    buffer_printf(x->b, "P%" PRId64 " line %" PRIu32 " ", id, send->line);
    text(x, send->message);
    buffer_append_char(x->b, ' ');
    moment(x, send->begin_ns);
    buffer_printf(x->b, ": %s", outcomes[send->outcome]);
    code(x, send->code);
    offset(x, send->offset);
    if (send->end_ns != TIME_NONE) {
        buffer_append_string(x->b, " after ");
        word_span(x->b, send->end_ns - send->begin_ns);
    }
    buffer_append_char(x->b, '\n');
}

/* Of the line that the evidence names, or else of whoever was acknowledged at its offset. */
static void sends_append(const struct explaining *x, const struct finding *f,
                         const struct evidence *e)
{
    const char *process = evidence_process(f, e);
    int64_t id = process[0] == 'P' ? strtoll(process + 1, NULL, 10) : NUMBER_NONE;

    for (size_t p = 0; p < x->h->producer_count; p++) {
        const struct history_producer *producer = &x->h->producers[p];
        for (size_t i = 0; i < producer->sends.count; i++) {
            const struct history_send *send = &producer->sends.items[i];
            bool by_line = id == producer->id && e->line == send->line;
            bool by_offset = id == NUMBER_NONE && e->offset != OFFSET_NONE &&
                             e->offset == send->offset && evidence_topic(f, e) == send->topic;
            if (by_line || by_offset) {
                send_line(x, producer->id, send);
                send_requests(x, producer, send);
            }
        }
    }
}

/* ---- the store -------------------------------------------------------------------------- */

static void rows_append(const struct explaining *x, const struct finding *f,
                        const struct evidence *e)
{
    size_t topic = evidence_topic(f, e);
    bool found = false;

    if (!x->h->rows_read || e->offset == OFFSET_NONE || topic == FINDING_TOPIC_NONE) {
        return;
    }
    for (size_t i = 0; i < x->h->rows.count; i++) {
        const struct history_row *row = &x->h->rows.items[i];
        if (row->topic != topic || row->offset < e->offset - AROUND ||
            row->offset > e->offset + AROUND) {
            continue;
        }
        found = found || row->offset == e->offset;
        line_begin(x, "row");
        buffer_printf(x->b, "offset %" PRId64 "%s, producer id %" PRId64 ", sequence %" PRId64 ", ",
                      row->offset, row->offset == e->offset ? " <--" : "", row->producer_id,
                      row->sequence);
        text(x, row->message);
        buffer_append_char(x->b, '\n');
    }
    if (!found) {
        line_begin(x, "row");
        buffer_printf(x->b, "none at offset %" PRId64 "\n", e->offset);
    }
}

/* ---- consumers -------------------------------------------------------------------------- */

static void receive_line(const struct explaining *x, int64_t id, const struct history_receive *r,
                         bool here)
{
    line_begin(x, "received");
    buffer_printf(x->b, "C%" PRId64 " line %" PRIu32, id, r->line);
    offset(x, r->offset);
    buffer_printf(x->b, "%s ", here ? " <--" : "");
    text(x, r->message);
    buffer_append_char(x->b, ' ');
    moment(x, r->time_ns);
    buffer_append_char(x->b, '\n');
}

/* Around every receipt of the offset; where there is none, what was received behind it first. */
static void receives_of(const struct explaining *x, const struct history_consumer *c, size_t topic,
                        int64_t wanted)
{
    int64_t last = NUMBER_NONE; /* index of the last one of this topic before */
    bool found = false;

    for (size_t i = 0; i < c->receives.count; i++) {
        const struct history_receive *r = &c->receives.items[i];
        bool here = r->offset == wanted;
        if (r->topic != topic) {
            continue;
        }
        if (here || (r->offset > wanted && !found)) {
            if (last != NUMBER_NONE) {
                receive_line(x, c->id, &c->receives.items[last], false);
            }
            receive_line(x, c->id, r, here);
            found = true;
        }
        last = (int64_t)i;
    }
    if (!found) {
        line_begin(x, "received");
        buffer_printf(x->b, "C%" PRId64 ": nothing at or behind offset %" PRId64 "\n", c->id,
                      wanted);
    }
}

static void receives_append(const struct explaining *x, const struct finding *f,
                            const struct evidence *e)
{
    size_t topic = evidence_topic(f, e);

    if (e->offset == OFFSET_NONE || topic == FINDING_TOPIC_NONE) {
        return;
    }
    for (size_t i = 0; i < x->s->topics[topic].consumer_count; i++) {
        receives_of(x, &x->h->consumers[x->s->topics[topic].consumers[i]], topic, e->offset);
    }
}

/* ---- the moment ------------------------------------------------------------------------- */

static void operation_line(const struct explaining *x, const struct operation *o)
{
    line_begin(x, o->name);
    if (o->path != TEXT_NONE) {
        struct slice path = texts_get(&x->h->texts, o->path);
        buffer_printf(x->b, "%.*s ", (int)path.size, path.data);
    }
    moment(x, o->begin_ns);
    if (o->noun != NULL) {
        buffer_printf(x->b, ", %s %" PRId64, o->noun, o->number);
    }
    buffer_printf(x->b, ": %s", outcomes[o->outcome]);
    if (o->size != NUMBER_NONE) {
        buffer_printf(x->b, ", size %" PRId64, o->size);
    }
    if (o->http > 0) {
        buffer_printf(x->b, ", HTTP %" PRId32, o->http);
    }
    code(x, o->code);
    if (o->end_ns > o->begin_ns) {
        buffer_append_string(x->b, " after ");
        word_span(x->b, o->end_ns - o->begin_ns);
    }
    buffer_append_char(x->b, '\n');
}

/* What a consumer did in the topic around the moment. */
static void operations_append(const struct explaining *x, const struct finding *f,
                              const struct evidence *e)
{
    struct operation operations[OPERATIONS_MAX];
    size_t at;

    if (e->time_ns == TIME_NONE || f->process[0] != 'C') {
        return;
    }
    size_t count = operations_around(x->h, f->process, e->time_ns, operations, &at);
    for (size_t i = 0; i < count; i++) {
        if (f->topic == FINDING_TOPIC_NONE || operations[i].topic == f->topic) {
            operation_line(x, &operations[i]);
        }
    }
}

static void fault_append_before(const struct explaining *x, const struct evidence *e)
{
    const struct history_fault *last = NULL;

    for (size_t i = 0; i < x->h->faults.count && e->time_ns != TIME_NONE; i++) {
        last = x->h->faults.items[i].begin_ns <= e->time_ns ? &x->h->faults.items[i] : last;
    }
    if (last != NULL) {
        line_begin(x, "fault");
        buffer_printf(x->b, "%" PRId64 " began ", last->number);
        moment(x, last->begin_ns);
        buffer_append_string(x->b, ", ended ");
        moment(x, last->end_ns);
        buffer_append_char(x->b, '\n');
    }
}

/* ---- all -------------------------------------------------------------------------------- */

/* What one restart did to several, a line each. */
static void parts_append(const struct explaining *x, const struct finding *f)
{
    if (f->part_count > 0) {
        buffer_printf(x->b, "    %s:\n", f->common);
    }
    for (size_t i = 0; i < f->part_count; i++) {
        const struct finding_part *part = &f->parts[i];
        struct buffer where = BUFFER_INIT;
        buffer_printf(x->b, "      %-4s %-8s ×", part->process, x->s->topics[part->topic].name);
        word_number(x->b, part->count);
        if (part->extent.lowest != OFFSET_NONE) {
            buffer_printf(x->b, ", offsets %" PRId64 " to %" PRId64, part->extent.lowest,
                          part->extent.highest);
        }
        extent_append_words(&where, &part->extent);
        buffer_printf(x->b, "%s%s\n", where.size > 0 ? ": " : "", where.size > 0 ? where.data : "");
        buffer_release(&where);
    }
}

static void finding_explain(const struct explaining *x, const struct finding *f)
{
    bool follows = f->cause != FINDING_ROOT;

    buffer_printf(x->b, "%s%s (%s) %s%s%s ×", follows ? "  so " : "", finding_name(f->kind),
                  finding_source_name(f->source), f->process,
                  f->topic == FINDING_TOPIC_NONE ? "" : " ",
                  f->topic == FINDING_TOPIC_NONE ? "" : x->s->topics[f->topic].name);
    word_number(x->b, f->count);
    buffer_printf(x->b, "%s%s\n", f->excused == EXCUSE_NONE ? "" : ", ", excuse_name(f->excused));
    parts_append(x, f);
    for (size_t i = 0; i < f->evidence_count; i++) {
        const struct evidence *e = &f->evidence[i];
        buffer_printf(x->b, "    %s\n", e->detail);
        sends_append(x, f, e);
        rows_append(x, f, e);
        receives_append(x, f, e);
        operations_append(x, f, e);
        fault_append_before(x, e);
    }
    if (f->count > (int64_t)f->evidence_count) {
        buffer_append_string(x->b, "    and ");
        word_number(x->b, f->count - (int64_t)f->evidence_count);
        buffer_append_string(x->b, " more\n");
    }
}

void explain_append(struct buffer *b, const struct scenario *s, const struct history *h,
                    const struct check *c)
{
    struct explaining x = {b, s, h, c};

    for (size_t i = 0; i < c->findings.count; i++) {
        buffer_append_string(b, c->findings.items[i].cause == FINDING_ROOT ? "\n" : "");
        finding_explain(&x, &c->findings.items[i]);
    }
    if (c->findings.count == 0) {
        buffer_append_string(b, "\nNothing was found; there is nothing to explain.\n");
    }
}
