/*
 * report_charts.c - each picture twice, for a desk and for a phone, of which one is shown.
 */
#include "harness/report/report_parts.h"

#include "harness/report/dots.h"
#include "harness/report/percentiles.h"
#include "harness/report/timeline.h"
#include "harness/report/wording.h"

#include <inttypes.h>

#define WIDTH_WIDE 1048  /* CSS pixels: the page's, without its padding */
#define WIDTH_NARROW 343 /* the same on a phone that is 375 wide */

static void dots_key(const struct page *p)
{
    int64_t sends = 0;

    page_put(p, "<p class=\"legend\">");
    for (enum fate fate = 0; fate < FATES; fate++) {
        sends += p->fates->counts[fate];
        if (p->fates->counts[fate] > 0) {
            page_put(p, "<span>");
            dots_legend(p->b, fate);
            word_number(p->b, p->fates->counts[fate]);
            buffer_printf(p->b, " %s</span> ", fate_words(fate));
        }
    }
    page_put(p, "</p>\n<p class=\"note\">A dot is one of ");
    word_count(p->b, sends, "send");
    page_put(p, "; where dots of one kind would cover each other, one is drawn.");
    if (p->s->fault_count > 0) {
        page_put(p,
                 " A band is a fault, from when it was felt to its end, and paler until the first "
                 "acknowledgement after it; the numbers are those of the faults below.");
    }
    page_put(p, "</p>\n");
}

/* The lines of the last panel. */
static void lag_key(const struct page *p)
{
    page_put(p, "<p class=\"legend\">");
    if (p->s->consumer_count > TIMELINE_LAGS_MAX) {
        page_put(p, "<span><i class=\"swatch lag0\"></i>the consumer furthest behind</span> "
                    "<span><i class=\"swatch lag1\"></i>the median of all</span>");
    }
    for (size_t c = 0; p->s->consumer_count <= TIMELINE_LAGS_MAX && c < p->s->consumer_count; c++) {
        buffer_printf(p->b, "<span><i class=\"swatch lag%zu\"></i>C%" PRId64 "</span> ", c,
                      p->s->consumers[c].id);
    }
    page_put(p, "</p>\n");
}

void report_timeline(const struct page *p)
{
    page_put(p, "<section id=\"timeline\">\n<h2>What happened when</h2>\n");
    if (p->c->begin_ns == TIME_NONE) {
        page_put(p, "<p>Nothing was sent.</p>\n</section>\n");
        return;
    }
    dots_key(p);
    page_put(p, "<div class=\"wide-only\">\n");
    timeline_append(p->b, p->s, p->h, p->c, p->fates, WIDTH_WIDE);
    page_put(p, "</div>\n<div class=\"narrow\">\n");
    timeline_append(p->b, p->s, p->h, p->c, p->fates, WIDTH_NARROW);
    page_put(p, "</div>\n");
    lag_key(p);
    page_put(p, "</section>\n");
}

static void latency_row(const struct page *p, const char *class, const char *words,
                        const struct histogram *h)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999, 1};

    if (h->count == 0) {
        return;
    }
    buffer_printf(p->b, "<tr><th scope=\"row\"><i class=\"swatch %s\"></i>%s</th>", class, words);
    page_number(p, (int64_t)h->count);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        page_span(p, histogram_percentile(h, parts[i]));
    }
    page_put(p, "</tr>\n");
}

void report_latency(const struct page *p)
{
    if (p->fates->acknowledged.count == 0) {
        return;
    }
    page_put(p, "<section id=\"latency\">\n<h2>How long it took</h2>\n<div class=\"scroll\"><table>"
                "\n<thead><tr><th>From the send to</th><th>Number</th><th>Median</th><th>90 %</th>"
                "<th>99 %</th><th>99.9 %</th><th>Longest</th></tr></thead>\n<tbody>\n");
    latency_row(p, "acks", "its acknowledgement", &p->fates->acknowledged);
    latency_row(p, "deliveries", "a consumer", &p->fates->delivered);
    page_put(p, "</tbody></table></div>\n<div class=\"wide-only\">\n");
    percentiles_append(p->b, p->fates, WIDTH_WIDE);
    page_put(p, "</div>\n<div class=\"narrow\">\n");
    percentiles_append(p->b, p->fates, WIDTH_NARROW);
    page_put(p, "</div>\n</section>\n");
}
