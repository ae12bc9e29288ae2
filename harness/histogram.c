/*
 * histogram.c - buckets as wide as a 64th of the power of two that they lie in:
 *
 *   spans        0 … 63    64 … 127    128 … 255    256 … 511
 *   width             1           1            2            4
 *   power             0           1            2            3
 */
#include "harness/histogram.h"

#include <math.h>

#define PARTS_LOG2 6

static int bucket_of(int64_t span)
{
    if (span < HISTOGRAM_PARTS) {
        return (int)span;
    }
    int power = 63 - __builtin_clzll((unsigned long long)span) - PARTS_LOG2 + 1;
    return power * HISTOGRAM_PARTS + (int)(span >> (power - 1)) - HISTOGRAM_PARTS;
}

/* The largest span that a bucket has. */
static int64_t bucket_high(int bucket)
{
    int power = bucket / HISTOGRAM_PARTS;
    int64_t part = bucket % HISTOGRAM_PARTS;

    return power == 0 ? part : ((part + HISTOGRAM_PARTS + 1) << (power - 1)) - 1;
}

void histogram_add(struct histogram *h, int64_t span)
{
    span = span < 0 ? 0 : span;
    h->count++;
    h->largest = span > h->largest ? span : h->largest;
    h->buckets[bucket_of(span)]++;
}

int64_t histogram_at(const struct histogram *h, double part)
{
    int64_t wanted = (int64_t)ceil(part * (double)h->count);
    int64_t seen = 0;

    if (h->count == 0) {
        return -1;
    }
    for (int i = 0; i < HISTOGRAM_POWERS * HISTOGRAM_PARTS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted && seen > 0) {
            return bucket_high(i) < h->largest ? bucket_high(i) : h->largest;
        }
    }
    return h->largest;
}
