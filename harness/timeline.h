/*
 * timeline.h - the run over time: acknowledgements and deliveries a second, with the faults
 * as bands from the hit to the first healthy answer.
 *
 * Threads: any.
 */
#ifndef HARNESS_TIMELINE_H
#define HARNESS_TIMELINE_H

#include "harness/check.h"

/* An inline SVG as wide as it is to be shown, in CSS pixels. */
void timeline_append(struct buffer *b, const struct scenario *s, const struct history *h,
                     const struct check *c, int width);

#endif
