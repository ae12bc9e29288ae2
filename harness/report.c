/*
 * report.c - the page from top to bottom.
 */
#include "harness/report.h"

#include "harness/html.h"

void report_append(struct buffer *b, const struct scenario *s, const struct history *h,
                   const struct check *c)
{
    (void)s;
    (void)h;
    buffer_append_string(b, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>");
    html_text(b, c->sentence);
    buffer_append_string(b, "</title>\n<p>");
    html_text(b, c->sentence);
    buffer_append_string(b, "</p>\n");
}
