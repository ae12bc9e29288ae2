/*
 * retry.h - how long to wait before a request is repeated: from about 20 ms, doubling up to
 * 500 ms, with jitter so that clients that lost the same broker do not come back as one.
 *
 * The upper bound is small on purpose: a broker that is back should be found at once, and
 * a refused connection costs next to nothing.
 *
 * Threads: one at a time.
 */
#ifndef MYQUEUE_SRC_RETRY_H
#define MYQUEUE_SRC_RETRY_H

#include <stdint.h>

enum { MQ_RETRY_FIRST_MS = 20, MQ_RETRY_LONGEST_MS = 500, MQ_RETRY_AFTER_LONGEST_MS = 30000 };

struct mq_retry {
    uint64_t random; /* state of the jitter, never 0 */
    int step_ms;     /* the next wait before jitter */
};

/* `seed` should differ between clients. */
void mq_retry_init(struct mq_retry *retry, uint64_t seed);

/* It went well: the next wait is a short one. */
void mq_retry_reset(struct mq_retry *retry);

/*
 * The wait before the next repetition: half to all of the step. When the broker named a
 * time (`retry_after_ms`, -1 if not) it is that, or MQ_RETRY_AFTER_LONGEST_MS if less, and
 * up to a tenth more.
 */
int mq_retry_next_ms(struct mq_retry *retry, int retry_after_ms);

#endif
