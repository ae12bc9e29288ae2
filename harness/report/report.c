/*
 * report.c - the page from top to bottom: verdict, promises and the command that repeats it;
 * matrix, timeline, findings, latencies, faults, producers, files.
 */
#include "harness/report/report.h"

#include "harness/report/html.h"
#include "harness/report/promise.h"
#include "harness/report/report_parts.h"
#include "harness/report/report_style.h"
#include "harness/report/result.h"
#include "harness/report/wording.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void page_put(const struct page *p, const char *html)
{
    buffer_append_string(p->b, html);
}

void page_number(const struct page *p, int64_t number)
{
    page_put(p, "<td>");
    word_number(p->b, number);
    page_put(p, "</td>");
}

void page_span(const struct page *p, int64_t span_ns)
{
    page_put(p, "<td>");
    word_span(p->b, span_ns);
    page_put(p, "</td>");
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

/* The sentence without the verdict, which stands above it; its first letter is large. */
static void sentence_put(const struct page *p)
{
    char first[2] = {p->c->reason[0], '\0'};

    if (first[0] >= 'a' && first[0] <= 'z') {
        first[0] = (char)(first[0] - 'a' + 'A');
    }
    html_text(p->b, first);
    html_text(p->b, p->c->reason + strlen(first));
    page_put(p, ".");
}

static void fact_open(const struct page *p, const char *name)
{
    buffer_printf(p->b, "<div><dt>%s</dt><dd>", name);
}

static void fact(const struct page *p, const char *name, const char *value)
{
    fact_open(p, name);
    html_text(p->b, value == NULL ? "not recorded" : value);
    page_put(p, "</dd></div>\n");
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
    page_put(p, "</dd></div>\n");
}

static void facts_put(const struct page *p)
{
    const struct history_run *run = &p->h->run;
    int64_t span = check_span_ns(p->c->begin_ns, p->c->end_ns);

    page_put(p, "<dl>\n");
    fact(p, "Runtime", run->runtime);
    fact_open(p, "Store");
    html_text(p->b, run->store == NULL ? "not recorded" : run->store);
    if (p->s->postgres != NULL) {
        page_put(p, " with ");
        html_text(p->b, p->s->postgres);
    }
    page_put(p, "</dd></div>\n");
    started_put(p);
    fact_open(p, "Took");
    word_span(p->b, span);
    page_put(p, ", ");
    word_number(p->b, (int64_t)(result_rate(p->c, p->s) + 0.5));
    page_put(p, " messages/s</dd></div>\n");
    if (p->s->seed != SEED_NONE) {
        fact_open(p, "Seed");
        buffer_printf(p->b, "%" PRId64 "</dd></div>\n", p->s->seed);
    }
    fact(p, "Version", run->version);
    if (run->runtime_reason != NULL) {
        page_put(p, "<div class=\"wide\"><dt>Why this runtime</dt><dd>");
        html_text(p->b, run->runtime_reason);
        page_put(p, "</dd></div>\n");
    }
    if (run->command != NULL) {
        page_put(p, "<div class=\"wide\"><dt>Repeat it with</dt><dd><code class=\"command\">");
        html_text(p->b, run->command);
        page_put(p, "</code></dd></div>\n");
    }
    page_put(p, "</dl>\n");
}

static void head_put(const struct page *p)
{
    page_put(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" "
                "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
    buffer_printf(p->b, "%s: ", verdict_name(p->c->verdict));
    html_text(p->b, p->h->run.scenario == NULL ? p->s->title : p->h->run.scenario);
    page_put(p, "</title>\n<style>");
    page_put(p, report_style);
    page_put(p, "</style>\n</head>\n<body>\n<main>\n");
    page_put(p, "<header>\n<p class=\"over\">");
    html_text(p->b, p->h->run.scenario);
    page_put(p, p->h->run.scenario == NULL ? "" : " · ");
    html_text(p->b, p->s->title);
    page_put(p, "</p>\n");
    buffer_printf(p->b, "<div class=\"verdict %s\">\n<p class=\"badge\">%s</p>\n<h1>",
                  verdict_name(p->c->verdict), verdict_badge(p->c->verdict));
    sentence_put(p);
    page_put(p, "</h1>\n</div>\n");
    facts_put(p);
    page_put(p, "</header>\n");
}

/* ---- the promises ------------------------------------------------------------------------ */

static void promise_put(const struct page *p, enum promise which)
{
    static const struct {
        const char *class;
        const char *sign;
    } looks[] = {[PROMISE_KEPT] = {"good", "✓"},         [PROMISE_BROKEN] = {"bad", "✗"},
                 [PROMISE_UNKNOWN] = {"warn", "?"},      [PROMISE_NOT_CLAIMED] = {"none", "–"},
                 [PROMISE_NOT_PROMISED] = {"none", "–"}, [PROMISE_NOT_CHECKED] = {"none", "–"}};
    const struct check_promise *promise = &p->c->promises[which];
    enum promise_state state = promise_state(promise);
    int64_t items = promise_items(promise);

    buffer_printf(p->b, "<tr class=\"%s\"><td>%s</td><td>%s</td><td>", looks[state].class,
                  looks[state].sign, promise_sentence(which));
    if (promise->checked > 0) {
        word_count(p->b, promise->checked, promise_noun(which));
    }
    page_put(p, items > 0 ? "</td><td><a href=\"#findings\">" : "</td><td>");
    page_put(p, promise_state_name(state));
    if (items > 0 && state != PROMISE_UNKNOWN) {
        page_put(p, ", ");
        word_count(p->b, items, "time");
    }
    page_put(p, items > 0 ? "</a></td></tr>\n" : "</td></tr>\n");
}

static void promises_put(const struct page *p)
{
    page_put(p, "<section id=\"promises\">\n<table class=\"promises\">\n<thead><tr><th></th>"
                "<th>Promise</th><th>Checked</th><th>Found</th></tr></thead>\n<tbody>\n");
    for (enum promise i = 0; i < PROMISES; i++) {
        promise_put(p, i);
    }
    page_put(p, "</tbody></table>\n</section>\n");
}

/* ---- files ------------------------------------------------------------------------------ */

static void files_put(const struct page *p)
{
    page_put(p, "<section id=\"files\">\n<h2>Files of this run</h2>\n<ul class=\"files\">\n");
    for (size_t i = 0; i < p->s->consumer_count; i++) {
        int64_t id = p->s->consumers[i].id;
        buffer_printf(
            p->b, "<li><a href=\"consumer_%" PRId64 ".txt\">consumer_%" PRId64 ".txt</a></li>\n",
            id, id);
    }
    page_put(p, "<li><a href=\"result.json\">result.json</a></li>\n"
                "<li><a href=\"logs/\">logs of all processes</a></li>\n"
                "<li><a href=\"history/\">history of all operations</a></li>\n");
    if (p->h->rows_read) {
        page_put(p, "<li><a href=\"rows.jsonl\">the store’s rows</a></li>\n");
    }
    page_put(p, "<li><a href=\"scenario/\">the scenario as it was run</a></li>\n</ul>\n</section>\n"
                "<footer>Made by <code>myqueue-harness</code> from the files beside this page; "
                "<code>myqueue-harness check</code> with this folder makes it again.</footer>\n");
}

void report_append(struct buffer *b, const char *run_dir, const struct scenario *s,
                   const struct history *h, const struct check *c, const struct fates *f)
{
    struct page p = {b, s, h, c, f, run_dir};

    head_put(&p);
    promises_put(&p);
    report_matrix(&p);
    report_timeline(&p);
    report_findings(&p);
    report_latency(&p);
    report_faults(&p);
    report_producers(&p);
    files_put(&p);
    page_put(&p, "</main>\n</body>\n</html>\n");
}
