/*
 * retry.c - see retry.h.
 */
#include "myqueue/src/retry.h"

/* xorshift64: jitter needs no more. */
static int random_below(struct mq_retry *retry, int bound)
{
    uint64_t x = retry->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    retry->random = x;
    return (int)((x >> 32) % (uint64_t)bound);
}

void mq_retry_init(struct mq_retry *retry, uint64_t seed)
{
    retry->random = (seed * UINT64_C(0x9E3779B97F4A7C15)) | 1;
    mq_retry_reset(retry);
}

void mq_retry_reset(struct mq_retry *retry)
{
    retry->step_ms = MQ_RETRY_FIRST_MS;
}

int mq_retry_next_ms(struct mq_retry *retry, int retry_after_ms)
{
    if (retry_after_ms >= MQ_RETRY_AFTER_LONGEST_MS) {
        return MQ_RETRY_AFTER_LONGEST_MS;
    }
    if (retry_after_ms >= 0) {
        return retry_after_ms + random_below(retry, retry_after_ms / 10 + 1);
    }
    int step_ms = retry->step_ms;
    retry->step_ms = step_ms < MQ_RETRY_LONGEST_MS / 2 ? step_ms * 2 : MQ_RETRY_LONGEST_MS;
    return step_ms / 2 + random_below(retry, step_ms / 2 + 1);
}
