/*
 * histogram.h - how long things took, in little memory and to within one per cent.
 *
 * A span is counted in one of 64 buckets of its power of two, so millions of spans need no
 * sorting, and any percentile can be asked for.
 *
 * Threads: a histogram belongs to one thread at a time.
 */
#ifndef HARNESS_HISTOGRAM_H
#define HARNESS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_POWERS 58 /* of two; the first has the spans below 64 ns */
#define HISTOGRAM_PARTS 64  /* of each power */

struct histogram {
    int64_t count;
    int64_t largest;
    int64_t buckets[HISTOGRAM_POWERS * HISTOGRAM_PARTS];
};

/* A negative span counts as 0: two clocks' readings that were taken out of turn. */
void histogram_add(struct histogram *h, int64_t span);

/* What `part` of the spans (0.5: half of them) do not exceed; -1 when there are none. */
int64_t histogram_at(const struct histogram *h, double part);

#endif
