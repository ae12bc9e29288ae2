/*
 * test_median.c - against sorting.
 */
#include "common/tests/suite.h"
#include "harness/check/median.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 40
#define ROUNDS 5000

static int value_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void test_random(void)
{
    uint32_t state = 1;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t values[VALUES_MAX];
        int64_t sorted[VALUES_MAX];
        size_t count = (size_t)round % VALUES_MAX + 1;
        for (size_t i = 0; i < count; i++) {
            state = state * 1664525 + 1013904223;
            values[i] = state >> 8 & (round % 2 == 0 ? 7 : 0xFFFF);
        }
        memcpy(sorted, values, sizeof values);
        qsort(sorted, count, sizeof *sorted, value_compare);
        CU_ASSERT_EQUAL(median_of(values, count), sorted[count / 2]);
    }
}

static void test_ordered(void)
{
    for (size_t count = 1; count <= VALUES_MAX; count++) {
        int64_t up[VALUES_MAX];
        int64_t down[VALUES_MAX];
        for (size_t i = 0; i < count; i++) {
            up[i] = (int64_t)i;
            down[i] = (int64_t)(count - 1 - i);
        }
        CU_ASSERT_EQUAL(median_of(up, count), (int64_t)(count / 2));
        CU_ASSERT_EQUAL(median_of(down, count), (int64_t)(count / 2));
    }
}

SUITE("median", {"random values, many equal or few", test_random},
      {"ascending and descending", test_ordered})
