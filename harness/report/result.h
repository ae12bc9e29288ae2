/*
 * result.h - result.json: the verdict and what it rests on, for machines.
 *
 * docs/result.md says what every member means.
 *
 * Threads: any.
 */
#ifndef HARNESS_RESULT_H
#define HARNESS_RESULT_H

#include "harness/check/check.h"
#include "harness/report/fates.h"

/* Grows when a member goes or changes its meaning; new members do not change it. */
#define RESULT_SCHEMA 1

void result_append(struct buffer *b, const struct scenario *s, const struct history *h,
                   const struct check *c, const struct fates *f);

/* "valid" | "invalid" | "unknown" */
const char *verdict_name(enum verdict verdict);

/* Acknowledged messages a second, over the time from the first send to the last
 * acknowledgement; 0 when there were none. */
double result_rate(const struct check *c, const struct scenario *s);

#endif
