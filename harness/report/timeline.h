/*
 * timeline.h - the run over time, in panels over one axis: every send by its fate and how
 * long it took, acknowledgements and deliveries a second, how far the consumers were behind.
 * The faults lie over all of them as bands, from when they were felt to the end, and paler until
 * the first acknowledgement that followed.
 *
 * Threads: any.
 */
#ifndef HARNESS_TIMELINE_H
#define HARNESS_TIMELINE_H

#include "harness/check/check.h"
#include "harness/report/fates.h"

/* More consumers than that share two lines: the one furthest behind, and the median. */
#define TIMELINE_LAGS_MAX 4

/* An inline SVG as wide as it is to be shown, in CSS pixels. Nothing when nothing was sent. */
void timeline_append(struct buffer *b, const struct scenario *s, const struct history *h,
                     const struct check *c, const struct fates *fates, int width);

#endif
