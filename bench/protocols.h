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

/* protocol_peers.c and protocol_amqp.c: store a message a request in another server */
extern const struct protocol redis_produce;     /* XADD to a stream */
extern const struct protocol beanstalk_produce; /* put */
extern const struct protocol nats_produce;      /* publish to a JetStream stream, made before */
extern const struct protocol amqp_produce;      /* publish to a quorum queue, made before */

#endif
