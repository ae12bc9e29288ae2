/*
 * histogram.c - the buckets' arithmetic.
 *
 * Bucket i holds, for i < 2,048, the value i itself; above, shift = i / 1,024 - 1 and the
 * values from (i - 1,024 * shift) << shift on, as many as 1 << shift.
 */
#include "common/histogram.h"

#include <math.h>

#define SUB_BUCKETS (1 << HISTOGRAM_SUB_BITS)
#define MERGED 16 /* buckets to a pair of the JSON */

static int bucket_of(int64_t value_ns)
{
    int top_bit = 63 - __builtin_clzll((unsigned long long)value_ns | 1);
    int shift = top_bit > HISTOGRAM_SUB_BITS ? top_bit - HISTOGRAM_SUB_BITS : 0;

    return (shift << HISTOGRAM_SUB_BITS) + (int)(value_ns >> shift);
}

/* The largest value that lands in the bucket. */
static int64_t bucket_end(int bucket)
{
    int shift = bucket < 2 * SUB_BUCKETS ? 0 : (bucket >> HISTOGRAM_SUB_BITS) - 1;
    int64_t first = (int64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;

    return first + ((int64_t)1 << shift) - 1;
}

void histogram_record(struct histogram *h, int64_t value_ns)
{
    if (value_ns < 0) {
        value_ns = 0;
    } else if (value_ns > HISTOGRAM_NS_MAX) {
        value_ns = HISTOGRAM_NS_MAX;
    }
    h->count++;
    h->buckets[bucket_of(value_ns)]++;
    if (value_ns > h->max_ns) {
        h->max_ns = value_ns;
    }
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
    to->count += from->count;
    if (from->max_ns > to->max_ns) {
        to->max_ns = from->max_ns;
    }
}

int64_t histogram_percentile(const struct histogram *h, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)h->count);
    uint64_t seen = 0;

    if (h->count == 0) {
        return 0;
    }
    if (rank == 0) {
        rank = 1;
    }
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            int64_t end = bucket_end(i);
            return end < h->max_ns ? end : h->max_ns;
        }
    }
    return h->max_ns;
}

void histogram_append_json(const struct histogram *h, struct buffer *out)
{
    const char *separator = "";

    buffer_append_char(out, '[');
    for (int first = 0; first < HISTOGRAM_BUCKETS; first += MERGED) {
        uint64_t count = 0;
        for (int i = first; i < first + MERGED; i++) {
            count += h->buckets[i];
        }
        if (count > 0) {
            buffer_printf(out, "%s[%.2f,%llu]", separator,
                          (double)bucket_end(first + MERGED - 1) / 1000.0,
                          (unsigned long long)count);
            separator = ",";
        }
    }
    buffer_append_char(out, ']');
}
