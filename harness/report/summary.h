/*
 * summary.h - the verdict for a terminal: about ten lines, the last of which names verdict,
 * runtime and report.
 *
 *   Valid: 4,965 messages from 5 producers arrived exactly once and in order at …
 *
 *          topic  expected  received  missing  twice  disorder  other
 *     C1   T1        1,821     1,821        0      0         0      0
 *     …
 *   kill broker, restart after 500 ms: at 1,003 acks, hit 12 requests in flight, lasted 640 ms, …
 *
 *   valid: 5p3c on docker with postgres, report: reports/5p3c/latest/report.html
 *
 * A scenario with many consumers and topics is summed up by consumer; findings are cut
 * after the first few, as the report has them all.
 *
 * Threads: any.
 */
#ifndef HARNESS_SUMMARY_H
#define HARNESS_SUMMARY_H

#include "harness/check/check.h"

/* `shown` is how the run folder is named. */
void summary_append(struct buffer *b, const struct scenario *s, const struct history *h,
                    const struct check *c, const char *shown);

/* One finding in a line, without its end: "lost C2 T1 ×3: the message at offset 17 …". */
void summary_finding(struct buffer *b, const struct scenario *s, const struct finding *f);

#endif
