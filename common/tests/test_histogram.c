/*
 * test_histogram.c - percentiles of latencies, and what the JSON says of them.
 */
#include "common/histogram.h"
#include "common/json.h"
#include "common/tests/suite.h"

#include <stdlib.h>

/* Known to three digits: at most 0.1 % above the exact value, never below. */
static bool close_to(int64_t value, int64_t exact)
{
    return value >= exact && (double)value <= (double)exact * 1.001;
}

static void an_empty_one_has_no_percentiles(void)
{
    struct histogram *h = calloc(1, sizeof *h);

    CU_ASSERT_EQUAL(histogram_percentile(h, 0.5), 0);
    CU_ASSERT_EQUAL(histogram_percentile(h, 1), 0);
    free(h);
}

static void percentiles_are_close_at_every_size(void)
{
    for (int64_t unit = 1; unit <= 1000000; unit *= 10) {
        struct histogram *h = calloc(1, sizeof *h);
        for (int64_t i = 1; i <= 10000; i++) {
            histogram_record(h, i * unit);
        }
        CU_ASSERT(close_to(histogram_percentile(h, 0.5), 5000 * unit));
        CU_ASSERT(close_to(histogram_percentile(h, 0.99), 9900 * unit));
        CU_ASSERT(close_to(histogram_percentile(h, 0.999), 9990 * unit));
        CU_ASSERT_EQUAL(histogram_percentile(h, 1), 10000 * unit);
        CU_ASSERT(close_to(histogram_percentile(h, 0), unit));
        free(h);
    }
}

static void values_beyond_the_ends_count_as_the_ends(void)
{
    struct histogram *h = calloc(1, sizeof *h);

    histogram_record(h, -5);
    histogram_record(h, INT64_MAX);
    CU_ASSERT_EQUAL(h->count, 2);
    CU_ASSERT_EQUAL(histogram_percentile(h, 0.5), 0);
    CU_ASSERT_EQUAL(histogram_percentile(h, 1), HISTOGRAM_NS_MAX);
    free(h);
}

static void added_ones_are_as_one(void)
{
    struct histogram *a = calloc(1, sizeof *a);
    struct histogram *b = calloc(1, sizeof *b);

    for (int i = 0; i < 99; i++) {
        histogram_record(a, 1000);
    }
    histogram_record(b, 1000000);
    histogram_add(a, b);
    CU_ASSERT_EQUAL(a->count, 100);
    CU_ASSERT(close_to(histogram_percentile(a, 0.99), 1000));
    CU_ASSERT_EQUAL(histogram_percentile(a, 0.995), 1000000);
    free(a);
    free(b);
}

static void json_holds_every_value_once(void)
{
    struct histogram *h = calloc(1, sizeof *h);
    struct buffer text = BUFFER_INIT;
    struct json_document document;
    int64_t sum = 0;
    double before_us = -1;

    for (int64_t i = 0; i < 5000; i++) {
        histogram_record(h, i * i * 37);
    }
    histogram_append_json(h, &text);
    CU_ASSERT_EQUAL_FATAL(json_parse(&document, buffer_slice(&text)), JSON_OK);
    const struct json_value *pair = json_first(json_root(&document));
    for (; pair != NULL; pair = json_next(pair)) {
        double us = 0;
        int64_t count = 0;
        CU_ASSERT(json_double(json_first(pair), &us));
        CU_ASSERT(json_int(json_next(json_first(pair)), &count));
        CU_ASSERT(us > before_us);
        before_us = us;
        sum += count;
    }
    CU_ASSERT_EQUAL(sum, 5000);
    json_release(&document);
    buffer_release(&text);
    free(h);
}

SUITE("histogram", {"an empty one has no percentiles", an_empty_one_has_no_percentiles},
      {"percentiles are close at every size", percentiles_are_close_at_every_size},
      {"values beyond the ends count as the ends", values_beyond_the_ends_count_as_the_ends},
      {"added ones are as one", added_ones_are_as_one},
      {"JSON holds every value once", json_holds_every_value_once})
