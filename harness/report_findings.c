/*
 * report_findings.c - a card for every finding.
 */
#include "harness/report_parts.h"

#include "harness/html.h"
#include "harness/wording.h"

static void evidence_put(const struct page *p, const struct evidence *e)
{
    page_put(p, "<li>");
    html_text(p->b, e->detail);
    page_put(p, "</li>\n");
}

static void finding_put(const struct page *p, const struct finding *f)
{
    bool breaks = finding_breaks(f->kind);

    buffer_printf(p->b, "<article class=\"card%s\">\n<h3>%s %s", breaks ? "" : " warn",
                  breaks ? "✗" : "?", finding_title(f->kind));
    if (f->process[0] != '\0') {
        page_put(p, ": ");
        html_text(p->b, f->process);
    }
    if (f->topic != FINDING_TOPIC_NONE) {
        page_put(p, ", topic ");
        html_text(p->b, p->s->topics[f->topic].name);
    }
    buffer_printf(p->b, "</h3>\n<p class=\"note\"><code>%s</code> · seen in the %s · ",
                  finding_name(f->kind),
                  f->source == SOURCE_FILE    ? "consumer’s file"
                  : f->source == SOURCE_STORE ? "store"
                                              : "history");
    word_count(p->b, f->count, "time");
    page_put(p, "</p>\n<ul>\n");
    for (size_t i = 0; i < f->evidence_count; i++) {
        evidence_put(p, &f->evidence[i]);
    }
    if (f->count > (int64_t)f->evidence_count) {
        page_put(p, "<li>and ");
        word_number(p->b, f->count - (int64_t)f->evidence_count);
        page_put(p, " more</li>\n");
    }
    page_put(p, "</ul>\n</article>\n");
}

void report_findings(const struct page *p)
{
    if (p->c->findings.count == 0) {
        return;
    }
    page_put(p, "<section id=\"findings\">\n<h2>What was found</h2>\n<div class=\"cards\">\n");
    for (size_t i = 0; i < p->c->findings.count; i++) {
        finding_put(p, &p->c->findings.items[i]);
    }
    page_put(p, "</div>\n</section>\n");
}
