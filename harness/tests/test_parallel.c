/*
 * test_parallel.c - every round runs once, whatever their number.
 */
#include "common/tests/suite.h"
#include "harness/check/parallel.h"

#include <stdatomic.h>
#include <stdlib.h>

static void round_count(void *arg, size_t i)
{
    atomic_fetch_add(&((atomic_int *)arg)[i], 1);
}

static void test_rounds(void)
{
    static const size_t counts[] = {0, 1, 2, 3, 16, 17, 1000};

    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        atomic_int *ran = calloc(counts[n] + 1, sizeof *ran);
        parallel_each(counts[n], round_count, ran);
        for (size_t i = 0; i < counts[n]; i++) {
            CU_ASSERT_EQUAL(ran[i], 1);
        }
        CU_ASSERT_EQUAL(ran[counts[n]], 0);
        free(ran);
    }
}

SUITE("parallel", {"every round once", test_rounds})
