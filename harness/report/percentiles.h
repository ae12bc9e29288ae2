/*
 * percentiles.h - how long acknowledgements and deliveries took, by percentile.
 *
 * Both scales are logarithmic: to the right each step has a tenth of the messages of the one
 * before, upwards each is ten times as long.
 *
 * Threads: any.
 */
#ifndef HARNESS_PERCENTILES_H
#define HARNESS_PERCENTILES_H

#include "harness/report/fates.h"

/* An inline SVG, `width` CSS pixels wide. Nothing when nothing was acknowledged. */
void percentiles_append(struct buffer *b, const struct fates *f, int width);

#endif
