/*
 * report_parts.h - what the parts of report.html share. Nobody but harness/report/ needs it.
 *
 *   report.c            head, first screen, files
 *   report_findings.c   the cards
 *   report_charts.c     what happened when, how long it took
 *   report_tables.c     matrix, faults, producers
 */
#ifndef HARNESS_REPORT_PARTS_H
#define HARNESS_REPORT_PARTS_H

#include "harness/check/check.h"
#include "harness/report/fates.h"

struct page {
    struct buffer *b;
    const struct scenario *s;
    const struct history *h;
    const struct check *c;
    const struct fates *fates;
    const char *run_dir;
};

void page_put(const struct page *p, const char *html);
void page_number(const struct page *p, int64_t number); /* a table's cell */
void page_span(const struct page *p, int64_t span_ns);  /* a table's cell */

void report_findings(const struct page *p);
void report_matrix(const struct page *p);
void report_timeline(const struct page *p);
void report_latency(const struct page *p);
void report_faults(const struct page *p);
void report_producers(const struct page *p);

#endif
