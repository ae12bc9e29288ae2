/*
 * report_tables.c - who received what, what the faults did, how the producers fared.
 */
#include "harness/report/report_parts.h"

#include "harness/faults/fault_kind.h"
#include "harness/report/html.h"
#include "harness/report/wording.h"
#include <inttypes.h>
#include <stddef.h>

#define NS_PER_S 1e9

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
    page_put(p, count == 0 ? "<span>" : "<span class=\"bad\">");
    word_number(p->b, count);
    buffer_printf(p->b, " %s</span> ", what);
}

static void cell_put(const struct page *p, const struct check_delivery *d)
{
    bool whole = delivery_is_whole(d);

    buffer_printf(p->b, "<td><span class=\"cell\"><span class=\"%s\">%s</span> ",
                  whole ? "good" : "bad", whole ? "✓" : "✗");
    word_number(p->b, d->received);
    page_put(p, " <span class=\"of\">of ");
    word_number(p->b, d->expected);
    page_put(p, "</span></span><span class=\"counts\">");
    count_put(p, d->missing, "missing", true);
    count_put(p, d->not_stored, "of them never stored", false);
    count_put(p, d->duplicates, "twice", true);
    count_put(p, d->out_of_order, "out of order", true);
    count_put(p, d->foreign, "foreign", false);
    count_put(p, d->misrouted, "misrouted", false);
    count_put(p, d->corrupt, "changed", false);
    page_put(p, "</span></td>");
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

void report_matrix(const struct page *p)
{
    page_put(p, "<section id=\"matrix\">\n<h2>What every consumer received</h2>\n<div "
                "class=\"scroll\"><table class=\"matrix\">\n"
                "<thead><tr><th>Topic</th>");
    for (size_t i = 0; i < p->s->consumer_count; i++) {
        int64_t id = p->s->consumers[i].id;
        buffer_printf(
            p->b, "<th scope=\"col\"><a href=\"consumer_%" PRId64 ".txt\">C%" PRId64 "</a></th>",
            id, id);
    }
    page_put(p, "</tr></thead>\n<tbody>\n");
    for (size_t t = 0; t < p->s->topic_count; t++) {
        page_put(p, "<tr><th scope=\"row\">");
        html_text(p->b, p->s->topics[t].name);
        page_put(p, "</th>");
        for (size_t i = 0; i < p->s->consumer_count; i++) {
            const struct check_delivery *d = delivery_of(p->c, i, t);
            if (d == NULL) {
                page_put(p, "<td class=\"note\">does not read it</td>");
            } else {
                cell_put(p, d);
            }
        }
        page_put(p, "</tr>\n");
    }
    page_put(p, "</tbody></table></div>\n</section>\n");
}

/* ---- faults ----------------------------------------------------------------------------- */

static void fault_put(const struct page *p, size_t i)
{
    const struct check_fault *f = &p->c->faults[i];

    buffer_printf(p->b, "<tr><td>%zu</td><td class=\"left words\">", i + 1);
    fault_append_words(p->b, &f->planned);
    page_put(p, "</td>");
    if (f->begin_ns == TIME_NONE) {
        page_put(p, "<td class=\"left warn\" colspan=\"5\">? did not happen</td></tr>\n");
        return;
    }
    page_number(p, f->acks);
    page_span(p, check_span_ns(f->struck_ns, f->end_ns));
    page_span(p, check_span_ns(f->struck_ns, f->first_ack_ns));
    page_put(p, f->bit == 0 ? "<td class=\"left warn\">? " : "<td class=\"left\">");
    word_units(p->b, f->bit, fault_kind(f->planned.action)->unit);
    if (f->more != TEXT_NONE) {
        page_put(p, ": ");
        html_slice(p->b, texts_get(&p->h->texts, f->more));
    }
    page_put(p, "</td>");
    page_number(p, f->interrupted);
    page_put(p, "</tr>\n");
}

void report_faults(const struct page *p)
{
    if (p->s->fault_count == 0) {
        return;
    }
    page_put(p,
             "<section id=\"faults\">\n<h2>Faults</h2>\n<div "
             "class=\"scroll\"><table>\n<thead><tr><th>#</th>"
             "<th class=\"left\">Fault</th><th>At acks</th><th>Lasted</th><th>First ack after</th>"
             "<th class=\"left\">It hit</th><th>Interrupted</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->s->fault_count; i++) {
        fault_put(p, i);
    }
    page_put(p,
             "</tbody></table></div>\n<p class=\"note\">Lasted: from when it was felt until all "
             "answered "
             "again. Interrupted: produce requests that were on their way when it hit, got no good "
             "answer, and were sent again.</p>\n</section>\n");
}

/* ---- producers ------------------------------------------------------------------------- */

static void producer_put(const struct page *p, size_t i)
{
    const struct check_producer *from = &p->c->producers[i];
    int64_t span = check_span_ns(from->first_ns, from->last_ns);
    bool whole = from->acknowledged == from->lines;

    buffer_printf(p->b, "<tr><td>P%" PRId64 "</td>", p->s->producers[i].id);
    page_number(p, from->lines);
    buffer_printf(p->b, "<td class=\"%s\">%s ", whole ? "good" : "bad", whole ? "✓" : "✗");
    word_number(p->b, from->acknowledged);
    page_put(p, "</td>");
    page_number(p, from->requests);
    page_number(p, from->retries);
    page_number(
        p, span <= 0 ? 0 : (int64_t)((double)from->acknowledged / ((double)span / NS_PER_S) + 0.5));
    page_span(p, from->median_ns);
    page_put(p, "<td>");
    word_span(p->b, from->slowest_ns);
    if (from->slowest_line != NUMBER_NONE) {
        buffer_printf(p->b, " <span class=\"of\">line %" PRId64 "</span>", from->slowest_line);
    }
    page_put(p, "</td></tr>\n");
}

void report_producers(const struct page *p)
{
    page_put(p, "<section id=\"producers\">\n<h2>Producers</h2>\n<div "
                "class=\"scroll\"><table>\n<thead><tr><th></th><th>Lines</th>"
                "<th>Acknowledged</th><th>Requests</th><th>Sent again</th><th>Messages/s</th>"
                "<th>Median ack</th><th>Slowest ack</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->s->producer_count; i++) {
        producer_put(p, i);
    }
    page_put(p, "</tbody></table></div>\n</section>\n");
}
