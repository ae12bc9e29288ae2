/*
 * median.h - the value in the middle of many, without sorting them.
 *
 * Threads: any.
 */
#ifndef HARNESS_MEDIAN_H
#define HARNESS_MEDIAN_H

#include <stddef.h>
#include <stdint.h>

/* What would stand at count / 2 if the values were sorted; there is one at least. They are
 * moved about. Linear, as a rule. */
int64_t median_of(int64_t *values, size_t count);

#endif
