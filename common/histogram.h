/*
 * histogram.h - latencies in buckets whose width grows with the value.
 *
 * Every power of two is cut into 1,024 buckets, so a value is known to three digits
 * whatever its size (0.1 %), and recording is an increment. Values are nanoseconds;
 * those above HISTOGRAM_NS_MAX count as HISTOGRAM_NS_MAX.
 *
 * Threads: a histogram belongs to one thread at a time.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include "common/buffer.h"

#define HISTOGRAM_SUB_BITS 10
#define HISTOGRAM_NS_MAX (((int64_t)1 << 40) - 1) /* 18 minutes */
#define HISTOGRAM_BUCKETS ((40 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    int64_t max_ns; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A histogram starts as all zeros (calloc). A negative value counts as 0. */
void histogram_record(struct histogram *h, int64_t value_ns);
void histogram_add(struct histogram *to, const struct histogram *from);

/* The value that `share` (0 to 1) of all values do not exceed; 0 when there are none. */
int64_t histogram_percentile(const struct histogram *h, double share);

/* Append `[[microseconds,count],...]`, where a pair is all values up to that one and above the
 * pair before; the buckets are merged to 64 a power of two. */
void histogram_append_json(const struct histogram *h, struct buffer *out);

#endif
