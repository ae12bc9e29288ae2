/*
 * dots.h - a dot for every send: where it began, how high its acknowledgement took, and its
 * fate by colour and shape. Sends without an answer lie in a lane above the scale.
 *
 * Always: where dots of one fate would cover each other one is drawn, so a picture of ten
 * million sends is not larger than its pixels, and none of a fate disappears.
 *
 * Threads: any.
 */
#ifndef HARNESS_DOTS_H
#define HARNESS_DOTS_H

#include "harness/report/chart.h"
#include "harness/report/fates.h"

#define DOTS_LANE_HEIGHT 22.0

/* `c` has its plot area and its x scale, in seconds since `begin_ns`; the y scale is made
 * here. The lane is within the plot area, at its top. */
void dots_draw(const struct chart *c, const struct history *h, const struct fates *fates,
               int64_t begin_ns);

/* "delivered", as the legend names it; the class of its dots. */
const char *fate_words(enum fate fate);
const char *fate_class(enum fate fate);

/* One dot of this fate, for a legend. */
void dots_legend(struct buffer *b, enum fate fate);

#endif
