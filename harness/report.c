/*
 * report.c - the page from top to bottom: verdict, findings, matrix, timeline, faults,
 * producers, what was checked, files.
 */
#include "harness/report.h"

#include "harness/html.h"
#include "harness/report_style.h"
#include "harness/result.h"
#include "harness/timeline.h"
#include "harness/wording.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_WIDE 1048  /* CSS pixels: the page's, without its padding */
#define WIDTH_NARROW 343 /* the same on a phone that is 375 wide */
#define NS_PER_S 1e9

struct page {
    struct buffer *b;
    const struct scenario *s;
    const struct history *h;
    const struct check *c;
};

static void put(const struct page *p, const char *html)
{
    buffer_append_string(p->b, html);
}

static void td_number(const struct page *p, int64_t number)
{
    put(p, "<td>");
    word_number(p->b, number);
    put(p, "</td>");
}

static void td_span(const struct page *p, int64_t span_ns)
{
    put(p, "<td>");
    word_span(p->b, span_ns);
    put(p, "</td>");
}

/* ---- the first screen ---------------------------------------------------------------- */

static const char *verdict_badge(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_VALID:
        return "✓ Valid";
    case VERDICT_INVALID:
        return "✗ Invalid";
    default:
        return "? Unknown";
    }
}

static void fact_open(const struct page *p, const char *name)
{
    buffer_printf(p->b, "<div><dt>%s</dt><dd>", name);
}

static void fact(const struct page *p, const char *name, const char *value)
{
    fact_open(p, name);
    html_text(p->b, value == NULL ? "not recorded" : value);
    put(p, "</dd></div>\n");
}

/* The sentence without the verdict, which stands above it; its first letter is large. */
static void sentence_put(const struct page *p)
{
    char first[2] = {p->c->reason[0], '\0'};

    if (first[0] >= 'a' && first[0] <= 'z') {
        first[0] = (char)(first[0] - 'a' + 'A');
    }
    html_text(p->b, first);
    html_text(p->b, p->c->reason + strlen(first));
    put(p, ".");
}

/* 2026-11-21T07:00:00Z as a person writes it. */
static void started_put(const struct page *p)
{
    const char *started = p->h->run.started;

    fact_open(p, "Started, UTC");
    for (const char *c = started == NULL ? "not recorded" : started; *c != '\0'; c++) {
        if (started == NULL || (*c != 'T' && *c != 'Z')) {
            html_slice(p->b, (struct slice){c, 1});
        } else if (*c == 'T') {
            buffer_append_char(p->b, ' ');
        }
    }
    put(p, "</dd></div>\n");
}

static void facts_put(const struct page *p)
{
    const struct history_run *run = &p->h->run;
    int64_t span = check_span_ns(p->c->begin_ns, p->c->end_ns);

    put(p, "<dl>\n");
    fact(p, "Runtime", run->runtime);
    fact(p, "Store", run->store);
    started_put(p);
    fact_open(p, "Took");
    word_span(p->b, span);
    put(p, ", ");
    word_number(p->b, (int64_t)(result_rate(p->c, p->s) + 0.5));
    put(p, " messages/s</dd></div>\n");
    fact(p, "Version", run->version);
    if (run->runtime_reason != NULL) {
        put(p, "<div class=\"wide\"><dt>Why this runtime</dt><dd>");
        html_text(p->b, run->runtime_reason);
        put(p, "</dd></div>\n");
    }
    if (run->command != NULL) {
        put(p, "<div class=\"wide\"><dt>The command that repeats it</dt><dd><code>");
        html_text(p->b, run->command);
        put(p, "</code></dd></div>\n");
    }
    put(p, "</dl>\n");
}

static void head_put(const struct page *p)
{
    put(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<meta name=\"color-scheme\" content=\"light dark\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" "
           "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
    buffer_printf(p->b, "%s: ", verdict_name(p->c->verdict));
    html_text(p->b, p->h->run.scenario == NULL ? p->s->title : p->h->run.scenario);
    put(p, "</title>\n<style>");
    put(p, report_style);
    put(p, "</style>\n</head>\n<body>\n<main>\n");
    put(p, "<header>\n<p class=\"over\">");
    html_text(p->b, p->h->run.scenario);
    put(p, p->h->run.scenario == NULL ? "" : " · ");
    html_text(p->b, p->s->title);
    put(p, "</p>\n");
    buffer_printf(p->b, "<div class=\"verdict %s\">\n<p class=\"badge\">%s</p>\n<h1>",
                  verdict_name(p->c->verdict), verdict_badge(p->c->verdict));
    sentence_put(p);
    put(p, "</h1>\n</div>\n");
    facts_put(p);
    put(p, "</header>\n");
}

/* ---- findings ------------------------------------------------------------------------- */

static void evidence_put(const struct page *p, const struct evidence *e)
{
    put(p, "<li>");
    html_text(p->b, e->detail);
    put(p, "</li>\n");
}

static void finding_put(const struct page *p, const struct finding *f)
{
    bool breaks = finding_breaks(f->kind);

    buffer_printf(p->b, "<section class=\"card%s\">\n<h3>%s %s", breaks ? "" : " warn",
                  breaks ? "✗" : "?", finding_title(f->kind));
    if (f->process[0] != '\0') {
        put(p, ": ");
        html_text(p->b, f->process);
    }
    if (f->topic != FINDING_TOPIC_NONE) {
        put(p, ", topic ");
        html_text(p->b, p->s->topics[f->topic].name);
    }
    buffer_printf(p->b, "</h3>\n<p class=\"note\"><code>%s</code> · seen in the %s · ",
                  finding_name(f->kind),
                  f->source == SOURCE_FILE    ? "consumer’s file"
                  : f->source == SOURCE_STORE ? "store"
                                              : "history");
    word_count(p->b, f->count, "time");
    put(p, "</p>\n<ul>\n");
    for (size_t i = 0; i < f->evidence_count; i++) {
        evidence_put(p, &f->evidence[i]);
    }
    if (f->count > (int64_t)f->evidence_count) {
        put(p, "<li>and ");
        word_number(p->b, f->count - (int64_t)f->evidence_count);
        put(p, " more</li>\n");
    }
    put(p, "</ul>\n</section>\n");
}

static void findings_put(const struct page *p)
{
    if (p->c->findings.count == 0) {
        return;
    }
    put(p, "<h2>What was found</h2>\n<div class=\"cards\">\n");
    for (size_t i = 0; i < p->c->findings.count; i++) {
        finding_put(p, &p->c->findings.items[i]);
    }
    put(p, "</div>\n");
}

/* ---- the matrix ----------------------------------------------------------------------- */

static bool delivery_is_whole(const struct check_delivery *d)
{
    return d->received == d->expected &&
           d->missing + d->duplicates + d->out_of_order + d->foreign + d->misrouted + d->corrupt ==
               0;
}

/* `always`: also when there is none. */
static void count_put(const struct page *p, int64_t count, const char *what, bool always)
{
    if (count == 0 && !always) {
        return;
    }
    put(p, count == 0 ? "<span>" : "<span class=\"bad\">");
    word_number(p->b, count);
    buffer_printf(p->b, " %s</span> ", what);
}

static void cell_put(const struct page *p, const struct check_delivery *d)
{
    bool whole = delivery_is_whole(d);

    buffer_printf(p->b, "<td><span class=\"cell\"><span class=\"%s\">%s</span> ",
                  whole ? "good" : "bad", whole ? "✓" : "✗");
    word_number(p->b, d->received);
    put(p, " <span class=\"of\">of ");
    word_number(p->b, d->expected);
    put(p, "</span></span><span class=\"counts\">");
    count_put(p, d->missing, "missing", true);
    count_put(p, d->duplicates, "twice", true);
    count_put(p, d->out_of_order, "out of order", true);
    count_put(p, d->foreign, "foreign", false);
    count_put(p, d->misrouted, "misrouted", false);
    count_put(p, d->corrupt, "changed", false);
    put(p, "</span></td>");
}

static const struct check_delivery *delivery_of(const struct check *c, size_t consumer,
                                                size_t topic)
{
    for (size_t i = 0; i < c->delivery_count; i++) {
        if (c->deliveries[i].consumer == consumer && c->deliveries[i].topic == topic) {
            return &c->deliveries[i];
        }
    }
    return NULL;
}

static void matrix_put(const struct page *p)
{
    put(p, "<h2>What every consumer received</h2>\n<div class=\"scroll\"><table class=\"matrix\">\n"
           "<thead><tr><th>Topic</th>");
    for (size_t i = 0; i < p->s->consumer_count; i++) {
        int64_t id = p->s->consumers[i].id;
        buffer_printf(
            p->b, "<th scope=\"col\"><a href=\"consumer_%" PRId64 ".txt\">C%" PRId64 "</a></th>",
            id, id);
    }
    put(p, "</tr></thead>\n<tbody>\n");
    for (size_t t = 0; t < p->s->topic_count; t++) {
        put(p, "<tr><th scope=\"row\">");
        html_text(p->b, p->s->topics[t].name);
        put(p, "</th>");
        for (size_t i = 0; i < p->s->consumer_count; i++) {
            const struct check_delivery *d = delivery_of(p->c, i, t);
            if (d == NULL) {
                put(p, "<td class=\"note\">does not read it</td>");
            } else {
                cell_put(p, d);
            }
        }
        put(p, "</tr>\n");
    }
    put(p, "</tbody></table></div>\n");
}

/* ---- over time ------------------------------------------------------------------------ */

static void timeline_put(const struct page *p)
{
    put(p, "<h2>What happened when</h2>\n");
    if (p->c->begin_ns == TIME_NONE) {
        put(p, "<p>Nothing was sent.</p>\n");
        return;
    }
    if (p->s->fault_count > 0) {
        put(p, "<p class=\"note\">A band is the time from a kill, when the target was certainly "
               "dead, until it answered again. The numbers are those of the table below.</p>\n");
    }
    put(p, "<div class=\"wide-only\">\n");
    timeline_append(p->b, p->s, p->h, p->c, WIDTH_WIDE);
    put(p, "</div>\n<div class=\"narrow\">\n");
    timeline_append(p->b, p->s, p->h, p->c, WIDTH_NARROW);
    put(p, "</div>\n");
}

static void fault_put(const struct page *p, size_t i)
{
    const struct check_fault *f = &p->c->faults[i];

    buffer_printf(p->b, "<tr><td>%zu</td><td class=\"left\">%s %s</td>", i + 1,
                  fault_action_name(f->planned.action), fault_target_name(f->planned.target));
    if (f->begin_ns == TIME_NONE) {
        put(p, "<td class=\"left warn\" colspan=\"5\">? did not happen</td></tr>\n");
        return;
    }
    td_number(p, f->acks);
    td_span(p, check_span_ns(f->hit_ns, f->end_ns));
    td_span(p, check_span_ns(f->hit_ns, f->first_ack_ns));
    if (f->in_flight == 0) {
        put(p, "<td class=\"warn\">? 0</td>");
    } else {
        td_number(p, f->in_flight);
    }
    td_number(p, f->interrupted);
    put(p, "</tr>\n");
}

static void faults_put(const struct page *p)
{
    if (p->s->fault_count == 0) {
        return;
    }
    put(p,
        "<h2>Faults</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>#</th>"
        "<th class=\"left\">Fault</th><th>At acks</th><th>Down for</th>"
        "<th>First ack after</th><th>In flight</th><th>Interrupted</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->s->fault_count; i++) {
        fault_put(p, i);
    }
    put(p, "</tbody></table></div>\n<p class=\"note\">In flight: produce requests that were on "
           "their way when the target died. Interrupted: those of them that got no good answer, "
           "and were sent again. Times are from the hit.</p>\n");
}

/* ---- producers ------------------------------------------------------------------------- */

static void producer_put(const struct page *p, size_t i)
{
    const struct check_producer *from = &p->c->producers[i];
    int64_t span = check_span_ns(from->first_ns, from->last_ns);
    bool whole = from->acknowledged == from->lines;

    buffer_printf(p->b, "<tr><td>P%" PRId64 "</td>", p->s->producers[i].id);
    td_number(p, from->lines);
    buffer_printf(p->b, "<td class=\"%s\">%s ", whole ? "good" : "bad", whole ? "✓" : "✗");
    word_number(p->b, from->acknowledged);
    put(p, "</td>");
    td_number(p, from->requests);
    td_number(p, from->retries);
    td_number(
        p, span <= 0 ? 0 : (int64_t)((double)from->acknowledged / ((double)span / NS_PER_S) + 0.5));
    td_span(p, from->median_ns);
    put(p, "<td>");
    word_span(p->b, from->slowest_ns);
    if (from->slowest_line != NUMBER_NONE) {
        buffer_printf(p->b, " <span class=\"of\">line %" PRId64 "</span>", from->slowest_line);
    }
    put(p, "</td></tr>\n");
}

static void producers_put(const struct page *p)
{
    put(p, "<h2>Producers</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th></th><th>Lines</th>"
           "<th>Acknowledged</th><th>Requests</th><th>Sent again</th><th>Messages/s</th>"
           "<th>Median ack</th><th>Slowest ack</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->s->producer_count; i++) {
        producer_put(p, i);
    }
    put(p, "</tbody></table></div>\n");
}

/* ---- what was checked ------------------------------------------------------------------- */

static void promise_put(const struct page *p, enum promise which)
{
    const struct check_promise *promise = &p->c->promises[which];

    buffer_printf(p->b, "<tr><td>%s</td><td>", promise_sentence(which));
    word_count(p->b, promise->checked, promise_noun(which));
    if (promise->broken > 0) {
        put(p, "</td><td class=\"bad\">✗ ");
        word_number(p->b, promise->broken);
    } else if (promise->unknown > 0) {
        put(p, "</td><td class=\"warn\">? not known");
    } else if (promise->excused > 0) {
        put(p, "</td><td>not claimed: ");
        word_number(p->b, promise->excused);
    } else if (promise->checked == 0) {
        put(p, "</td><td class=\"warn\">? not checked");
    } else {
        put(p, "</td><td class=\"good\">✓ none");
    }
    put(p, "</td></tr>\n");
}

static void promises_put(const struct page *p)
{
    put(p,
        "<h2>What was checked</h2>\n<div class=\"scroll\"><table class=\"promises\">\n<thead><tr>"
        "<th>Promise</th><th>Checked</th><th>Broken</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < PROMISES; i++) {
        bool used = i != PROMISE_SIZES || p->c->promises[i].checked > 0;
        if (used && (i != PROMISE_FAULTS || p->s->fault_count > 0)) {
            promise_put(p, (enum promise)i);
        }
    }
    put(p, "</tbody></table></div>\n");
}

/* ---- files ------------------------------------------------------------------------------ */

static void files_put(const struct page *p)
{
    put(p, "<h2>Files of this run</h2>\n<ul class=\"files\">\n");
    for (size_t i = 0; i < p->s->consumer_count; i++) {
        int64_t id = p->s->consumers[i].id;
        buffer_printf(
            p->b, "<li><a href=\"consumer_%" PRId64 ".txt\">consumer_%" PRId64 ".txt</a></li>\n",
            id, id);
    }
    put(p, "<li><a href=\"result.json\">result.json</a></li>\n"
           "<li><a href=\"logs/\">logs of all processes</a></li>\n"
           "<li><a href=\"history/\">history of all operations</a></li>\n");
    if (p->h->rows_read) {
        put(p, "<li><a href=\"rows.jsonl\">the store’s rows</a></li>\n");
    }
    put(p, "<li><a href=\"scenario/\">the scenario as it was run</a></li>\n</ul>\n"
           "<footer>Made by <code>myqueue-harness</code> from the files beside this page; "
           "<code>myqueue-harness check</code> with this folder makes it again.</footer>\n");
}

void report_append(struct buffer *b, const struct scenario *s, const struct history *h,
                   const struct check *c)
{
    struct page p = {b, s, h, c};

    head_put(&p);
    findings_put(&p);
    matrix_put(&p);
    timeline_put(&p);
    faults_put(&p);
    producers_put(&p);
    promises_put(&p);
    files_put(&p);
    put(&p, "</main>\n</body>\n</html>\n");
}
