/*
 * result.c - written by hand, as there is nothing to it but commas and indentation.
 */
#include "harness/report/result.h"

#include "common/json.h"
#include "harness/faults/fault_kind.h"
#include "harness/report/promise.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS 1e6
#define NS_PER_S 1e9

/* Where the next member goes. */
struct writer {
    struct buffer *b;
    int depth;
    bool first; /* nothing was written yet at this depth */
};

const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_VALID:
        return "valid";
    case VERDICT_INVALID:
        return "invalid";
    case VERDICT_UNKNOWN:
        return "unknown";
    default:
        return "failed";
    }
}

static void member(struct writer *w, const char *key)
{
    buffer_append_string(w->b, w->first ? "\n" : ",\n");
    for (int i = 0; i < w->depth; i++) {
        buffer_append_string(w->b, "  ");
    }
    w->first = false;
    if (key != NULL) {
        json_append_string(w->b, slice_of(key));
        buffer_append_string(w->b, ": ");
    }
}

static void open_with(struct writer *w, const char *key, char bracket)
{
    member(w, key);
    buffer_append_char(w->b, bracket);
    w->depth++;
    w->first = true;
}

static void close_with(struct writer *w, char bracket)
{
    w->depth--;
    if (!w->first) {
        buffer_append_char(w->b, '\n');
        for (int i = 0; i < w->depth; i++) {
            buffer_append_string(w->b, "  ");
        }
    }
    buffer_append_char(w->b, bracket);
    w->first = false;
}

static void put_string(struct writer *w, const char *key, const char *value)
{
    member(w, key);
    if (value == NULL) {
        buffer_append_string(w->b, "null");
    } else {
        json_append_string(w->b, slice_of(value));
    }
}

static void put_int(struct writer *w, const char *key, int64_t value)
{
    member(w, key);
    buffer_append_int(w->b, value);
}

/* Where -1 says that there is none. */
static void put_maybe(struct writer *w, const char *key, int64_t value)
{
    member(w, key);
    if (value < 0) {
        buffer_append_string(w->b, "null");
    } else {
        buffer_append_int(w->b, value);
    }
}

static void put_ms(struct writer *w, const char *key, int64_t span_ns)
{
    member(w, key);
    if (span_ns < 0) {
        buffer_append_string(w->b, "null");
    } else {
        buffer_printf(w->b, "%.3f", (double)span_ns / NS_PER_MS);
    }
}

static void put_double(struct writer *w, const char *key, double value)
{
    member(w, key);
    buffer_printf(w->b, "%.3f", value);
}

double result_rate(const struct check *c, const struct scenario *s)
{
    int64_t last = TIME_NONE;

    for (size_t p = 0; p < s->producer_count; p++) {
        last = c->producers[p].last_ns > last ? c->producers[p].last_ns : last;
    }
    int64_t span = check_span_ns(c->begin_ns, last);
    return span <= 0 ? 0 : (double)c->acknowledged / ((double)span / NS_PER_S);
}

static void consumers_put(struct writer *w, const struct scenario *s, const struct check *c)
{
    open_with(w, "consumers", '{');
    for (size_t i = 0; i < c->delivery_count; i++) {
        const struct check_delivery *d = &c->deliveries[i];
        bool begins = i == 0 || c->deliveries[i - 1].consumer != d->consumer;
        bool ends = i + 1 == c->delivery_count || c->deliveries[i + 1].consumer != d->consumer;
        if (begins) {
            char name[32];
            snprintf(name, sizeof name, "C%" PRId64, s->consumers[d->consumer].id);
            open_with(w, name, '{');
        }
        open_with(w, s->topics[d->topic].name, '{');
        put_int(w, "expected", d->expected);
        put_int(w, "received", d->received);
        put_int(w, "missing", d->missing);
        put_int(w, "not_stored", d->not_stored);
        put_int(w, "duplicates", d->duplicates);
        put_int(w, "out_of_order", d->out_of_order);
        put_int(w, "foreign", d->foreign);
        put_int(w, "misrouted", d->misrouted);
        put_int(w, "corrupt", d->corrupt);
        close_with(w, '}');
        if (ends) {
            close_with(w, '}');
        }
    }
    close_with(w, '}');
}

static void producers_put(struct writer *w, const struct scenario *s, const struct check *c)
{
    open_with(w, "producers", '{');
    for (size_t p = 0; p < s->producer_count; p++) {
        const struct check_producer *from = &c->producers[p];
        char name[32];
        snprintf(name, sizeof name, "P%" PRId64, s->producers[p].id);
        open_with(w, name, '{');
        put_int(w, "lines", from->lines);
        put_int(w, "acknowledged", from->acknowledged);
        put_int(w, "requests", from->requests);
        put_int(w, "retries", from->retries);
        put_ms(w, "median_ack_ms", from->median_ns);
        put_ms(w, "slowest_ack_ms", from->slowest_ns);
        close_with(w, '}');
    }
    close_with(w, '}');
}

static void latency_put(struct writer *w, const char *key, const struct histogram *h)
{
    static const struct {
        const char *key;
        double share;
    } parts[] = {{"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}, {"p999_ms", 0.999}};

    open_with(w, key, '{');
    put_int(w, "count", (int64_t)h->count);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        put_ms(w, parts[i].key,
               h->count == 0 ? TIME_NONE : histogram_percentile(h, parts[i].share));
    }
    put_ms(w, "max_ms", h->count == 0 ? TIME_NONE : h->max_ns);
    close_with(w, '}');
}

static void latencies_put(struct writer *w, const struct fates *f)
{
    open_with(w, "latency", '{');
    latency_put(w, "acknowledged", &f->acknowledged);
    latency_put(w, "delivered", &f->delivered);
    close_with(w, '}');
}

static void faults_put(struct writer *w, const struct scenario *s, const struct history *h,
                       const struct check *c)
{
    struct buffer words = BUFFER_INIT;

    open_with(w, "faults", '[');
    for (size_t i = 0; i < s->fault_count; i++) {
        const struct check_fault *f = &c->faults[i];
        open_with(w, NULL, '{');
        put_int(w, "number", (int64_t)i + 1);
        buffer_clear(&words);
        fault_append_words(&words, &f->planned);
        put_string(w, "words", words.data);
        put_string(w, "action", fault_action_name(f->planned.action));
        put_string(w, "target", fault_target_name(f->planned.target));
        if (f->planned.when != WHEN_START) {
            put_int(w, f->planned.when == WHEN_MS ? "after_ms" : "after_acks", f->planned.after);
        }
        put_maybe(w, "acks", f->begin_ns == TIME_NONE ? NUMBER_NONE : f->acks);
        put_maybe(w, "bit", f->begin_ns == TIME_NONE ? NUMBER_NONE : f->bit);
        put_string(w, "unit", fault_kind(f->planned.action)->unit);
        if (f->more != TEXT_NONE) {
            put_string(w, "more", texts_get(&h->texts, f->more).data);
        }
        put_int(w, "in_flight", f->in_flight);
        put_int(w, "interrupted", f->interrupted);
        put_ms(w, "down_ms", check_span_ns(f->struck_ns, f->end_ns));
        put_ms(w, "recovered_ms", check_span_ns(f->struck_ns, f->first_ack_ns));
        close_with(w, '}');
    }
    close_with(w, ']');
    buffer_release(&words);
}

static void promises_put(struct writer *w, const struct check *c)
{
    open_with(w, "promises", '[');
    for (enum promise i = 0; i < PROMISES; i++) {
        const struct check_promise *promise = &c->promises[i];
        open_with(w, NULL, '{');
        put_string(w, "promise", promise_sentence(i));
        put_string(w, "state", promise_state_name(promise_state(promise)));
        put_int(w, "checked", promise->checked);
        put_string(w, "unit", promise_noun(i));
        put_int(w, "broken", promise->broken);
        put_int(w, "unknown", promise->unknown);
        put_int(w, "not_claimed", promise->not_claimed);
        put_int(w, "not_promised", promise->not_promised);
        close_with(w, '}');
    }
    close_with(w, ']');
}

static void evidence_put(struct writer *w, const struct history *h, const struct evidence *e)
{
    open_with(w, NULL, '{');
    put_maybe(w, "offset", e->offset);
    put_maybe(w, "line", e->line);
    member(w, "message");
    if (e->text == TEXT_NONE) {
        buffer_append_string(w->b, "null");
    } else {
        json_append_string(w->b, texts_get(&h->texts, e->text));
    }
    put_string(w, "detail", e->detail);
    close_with(w, '}');
}

/* What one restart did to several. */
static void parts_put(struct writer *w, const struct scenario *s, const struct finding *f)
{
    struct buffer words = BUFFER_INIT;

    put_string(w, "common", f->common);
    open_with(w, "parts", '[');
    for (size_t i = 0; i < f->part_count; i++) {
        const struct finding_part *part = &f->parts[i];
        open_with(w, NULL, '{');
        put_string(w, "process", part->process);
        put_string(w, "topic", s->topics[part->topic].name);
        put_int(w, "count", part->count);
        put_maybe(w, "lowest_offset", part->extent.lowest);
        put_maybe(w, "highest_offset", part->extent.highest);
        buffer_clear(&words);
        extent_append_words(&words, &part->extent);
        put_string(w, "where", words.size == 0 ? NULL : words.data);
        close_with(w, '}');
    }
    close_with(w, ']');
    buffer_release(&words);
}

static void finding_put(struct writer *w, const struct scenario *s, const struct history *h,
                        const struct check *c, size_t at)
{
    const struct finding *f = &c->findings.items[at];

    open_with(w, NULL, '{');
    put_string(w, "name", finding_name(f->kind));
    put_string(w, "title", finding_title(f->kind));
    put_string(w, "source", finding_source_name(f->source));
    put_string(w, "process", f->process[0] == '\0' ? NULL : f->process);
    put_string(w, "topic", f->topic == FINDING_TOPIC_NONE ? NULL : s->topics[f->topic].name);
    put_int(w, "count", f->count);
    if (f->part_count > 0) {
        parts_put(w, s, f);
    }
    open_with(w, "evidence", '[');
    for (size_t k = 0; k < f->evidence_count; k++) {
        evidence_put(w, h, &f->evidence[k]);
    }
    close_with(w, ']');
    if (f->cause == FINDING_ROOT) {
        open_with(w, "consequences", '[');
        for (size_t i = at + 1; i < c->findings.count && c->findings.items[i].cause == at; i++) {
            finding_put(w, s, h, c, i);
        }
        close_with(w, ']');
    }
    close_with(w, '}');
}

/* Those that break a promise, or were not seen, or are excused, by their causes. */
static void findings_put(struct writer *w, const char *key, bool breaking, enum excuse excused,
                         const struct scenario *s, const struct history *h, const struct check *c)
{
    open_with(w, key, '[');
    for (size_t i = 0; i < c->findings.count; i++) {
        const struct finding *f = &c->findings.items[i];
        if (f->cause == FINDING_ROOT && f->excused == excused &&
            (excused != EXCUSE_NONE || finding_breaks(f->kind) == breaking)) {
            finding_put(w, s, h, c, i);
        }
    }
    close_with(w, ']');
}

void result_append(struct buffer *b, const struct scenario *s, const struct history *h,
                   const struct check *c, const struct fates *f)
{
    struct writer w = {b, 1, true};
    int64_t span = check_span_ns(c->begin_ns, c->end_ns);

    buffer_append_char(b, '{');
    put_int(&w, "schema", RESULT_SCHEMA);
    put_string(&w, "verdict", verdict_name(c->verdict));
    put_string(&w, "reason", c->reason);
    put_string(&w, "scenario", h->run.scenario);
    put_string(&w, "title", s->title);
    put_string(&w, "runtime", h->run.runtime);
    put_string(&w, "runtime_reason", h->run.runtime_reason);
    put_string(&w, "store", h->run.store);
    put_string(&w, "postgres", s->postgres);
    put_string(&w, "version", h->run.version);
    put_string(&w, "started", h->run.started);
    put_string(&w, "command", h->run.command);
    put_maybe(&w, "seed", s->seed);
    put_double(&w, "seconds", span < 0 ? 0 : (double)span / NS_PER_S);
    put_double(&w, "messages_per_second", result_rate(c, s));
    put_int(&w, "expected", s->expected);
    put_int(&w, "acknowledged", c->acknowledged);
    put_int(&w, "received", c->received);
    latencies_put(&w, f);
    promises_put(&w, c);
    consumers_put(&w, s, c);
    producers_put(&w, s, c);
    faults_put(&w, s, h, c);
    findings_put(&w, "violations", true, EXCUSE_NONE, s, h, c);
    findings_put(&w, "unknowns", false, EXCUSE_NONE, s, h, c);
    findings_put(&w, "not_claimed", true, EXCUSE_NOT_CLAIMED, s, h, c);
    findings_put(&w, "not_promised", true, EXCUSE_NOT_PROMISED, s, h, c);
    buffer_append_string(b, "\n}\n");
}
