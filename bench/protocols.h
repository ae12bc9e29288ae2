/*
 * protocols.h - the protocols that there are; load.c has them in a table.
 */
#ifndef BENCH_PROTOCOLS_H
#define BENCH_PROTOCOLS_H

#include "bench/load.h"

/* protocol_myqueue.c */
extern const struct protocol myqueue_produce; /* a message, or --batch of them, a request */
extern const struct protocol myqueue_consume; /* what lies in the log, by position or plainly */
extern const struct protocol myqueue_deliver; /* from produce to a consumer that waits */
extern const struct protocol http_post;       /* the produce request, to a constant answer */
extern const struct protocol http_get;        /* the consume request, to a constant answer */

#endif
