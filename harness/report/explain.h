/*
 * explain.h - the evidence of every finding in full, as text for a terminal.
 *
 * For each item that a finding keeps as evidence: its line's sends and the requests that
 * carried them, the store's rows around its offset, what every consumer was given there, what
 * the consumer did at that moment, and the fault before it. Times are from the first send.
 *
 * Threads: any.
 */
#ifndef HARNESS_EXPLAIN_H
#define HARNESS_EXPLAIN_H

#include "harness/check/check.h"

void explain_append(struct buffer *b, const struct scenario *s, const struct history *h,
                    const struct check *c);

#endif
