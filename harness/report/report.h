/*
 * report.h - report.html: what was run, what was found, and what happened when.
 *
 * Always: one file that needs nothing else (no script, no request), in light and dark, on
 * a phone and on paper; everything that came from outside is escaped.
 *
 * Threads: any.
 */
#ifndef HARNESS_REPORT_H
#define HARNESS_REPORT_H

#include "harness/check/check.h"
#include "harness/report/fates.h"

/* `run_dir` is read for the lines that the services logged around a violation. */
void report_append(struct buffer *b, const char *run_dir, const struct scenario *s,
                   const struct history *h, const struct check *c, const struct fates *f);

#endif
