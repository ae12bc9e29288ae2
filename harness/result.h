/*
 * result.h - result.json: the verdict and what it rests on, for machines.
 *
 *   verdict, reason       "valid" | "invalid" | "unknown", and why, in words
 *   scenario, title, runtime, runtime_reason, store, version, started, command
 *   seconds               from the first send to the last acknowledgement or receipt
 *   messages_per_second   acknowledged messages over the time in which they were
 *   expected, acknowledged, received
 *   consumers             C1 -> topic -> expected, received, missing, duplicates,
 *                         out_of_order, foreign, misrouted, corrupt
 *   producers             P1 -> lines, acknowledged, requests, retries, median_ack_ms,
 *                         slowest_ack_ms
 *   faults                number, action, target, after_acks, acks, in_flight, interrupted,
 *                         down_ms, recovered_ms
 *   violations, unknowns, not_claimed
 *                         name, title, source, process, topic, count, evidence: a list of
 *                         offset, line, message, detail; and consequences: a list of such,
 *                         which follow from it. not_claimed: what the system under test
 *                         does not claim to keep, so it does not count
 *
 * What did not happen is null.
 * Threads: any.
 */
#ifndef HARNESS_RESULT_H
#define HARNESS_RESULT_H

#include "harness/check.h"

void result_append(struct buffer *b, const struct scenario *s, const struct history *h,
                   const struct check *c);

/* "valid" | "invalid" | "unknown" */
const char *verdict_name(enum verdict verdict);

/* Acknowledged messages a second, over the time from the first send to the last
 * acknowledgement; 0 when there were none. */
double result_rate(const struct check *c, const struct scenario *s);

#endif
