/*
 * tap.h - the verdict as TAP (testanything.org, version 14): a test point for each promise and
 * one for the run as a whole.
 *
 * `ok`: kept. `not ok`: broken, or unknown, with what was found below it as YAML. What was not
 * checked, not claimed or not promised is `ok … # SKIP why`. What a person reads of the same run
 * stands in comments at the end.
 *
 * Threads: any.
 */
#ifndef HARNESS_TAP_H
#define HARNESS_TAP_H

#include "harness/check/check.h"

/* `shown` is how the run folder is named. */
void tap_append(struct buffer *b, const struct scenario *s, const struct history *h,
                const struct check *c, const char *shown);

#endif
