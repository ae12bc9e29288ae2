/*
 * junit.h - junit.xml: the verdict for build servers. A test suite is the run, a test case is a
 * promise, and one more is the run as a whole.
 *
 * <failure>: broken. <error>: unknown, as not enough was seen. <skipped>: not checked, or not
 * claimed.
 *
 * Threads: any.
 */
#ifndef HARNESS_JUNIT_H
#define HARNESS_JUNIT_H

#include "harness/check/check.h"

void junit_append(struct buffer *b, const struct scenario *s, const struct history *h,
                  const struct check *c);

#endif
