/*
 * test_diff.c - matches against a slow and simple longest common subsequence.
 */
#include "common/tests/suite.h"
#include "harness/check/diff.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_MAX 24
#define ROUNDS 3000

/* A generator of our own, so that a failing round can be repeated anywhere. */
static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static size_t slow_length(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
    size_t best[SMALL_MAX + 1][SMALL_MAX + 1] = {{0}};

    for (size_t i = 1; i <= a_count; i++) {
        for (size_t j = 1; j <= b_count; j++) {
            size_t skip = best[i - 1][j] > best[i][j - 1] ? best[i - 1][j] : best[i][j - 1];
            best[i][j] = a[i - 1] == b[j - 1] ? best[i - 1][j - 1] + 1 : skip;
        }
    }
    return best[a_count][b_count];
}

/* The number of matches; 0 also when they are not matches at all. */
static size_t matches_count(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
                            const size_t *match)
{
    size_t count = 0;
    size_t next = 0;

    for (size_t i = 0; i < a_count; i++) {
        if (match[i] == DIFF_NONE) {
            continue;
        }
        if (match[i] < next || match[i] >= b_count || a[i] != b[match[i]]) {
            return 0;
        }
        next = match[i] + 1;
        count++;
    }
    return count;
}

static void test_random(void)
{
    uint32_t state = 7;
    size_t wrong = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint32_t a[SMALL_MAX];
        uint32_t b[SMALL_MAX];
        size_t match[SMALL_MAX];
        size_t a_count = random_next(&state) % (SMALL_MAX + 1);
        size_t b_count = random_next(&state) % (SMALL_MAX + 1);
        uint32_t letters = 1 + random_next(&state) % 5;
        for (size_t i = 0; i < SMALL_MAX; i++) {
            a[i] = random_next(&state) % letters;
            b[i] = random_next(&state) % letters;
        }
        diff_match(a, a_count, b, b_count, match);
        wrong +=
            matches_count(a, a_count, b, b_count, match) != slow_length(a, a_count, b, b_count);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Nothing alike over more than one piece, then everything alike. */
static void test_pieces(void)
{
    enum { STRANGE = 3000, ALIKE = 3000, ALL = STRANGE + ALIKE };
    uint32_t *a = calloc(ALL + 1, sizeof *a);
    uint32_t *b = calloc(ALL + 1, sizeof *b);
    size_t *match = calloc(ALL, sizeof *match);

    for (uint32_t i = 0; i < ALL; i++) {
        a[i] = i;
        b[i] = i < STRANGE ? ALL + i : i;
    }
    a[ALL - 1] = 1; /* so that no common end is cut off */
    diff_match(a, ALL, b, ALL, match);
    CU_ASSERT_EQUAL(matches_count(a, ALL, b, ALL, match), ALIKE - 1);
    free(a);
    free(b);
    free(match);
}

/* A long block that only one side has. */
static void test_block(void)
{
    enum { BLOCK = 3000, ALL = 10000 };
    uint32_t *a = calloc(ALL, sizeof *a);
    uint32_t *b = calloc(ALL, sizeof *b);
    size_t *match = calloc(ALL, sizeof *match);

    for (uint32_t i = 0; i < ALL; i++) {
        a[i] = i;
        b[i] = i < 50 ? i : i + BLOCK;
    }
    a[ALL - 1] = 1;
    diff_match(a, ALL, b, ALL - BLOCK, match);
    CU_ASSERT_EQUAL(matches_count(a, ALL, b, ALL - BLOCK, match), ALL - BLOCK - 1);
    free(a);
    free(b);
    free(match);
}

static void test_ascending(void)
{
    const uint32_t values[] = {0, 1, 5, 2, 2, 3, 9, 4, 5};
    const unsigned char expected[] = {1, 1, 0, 1, 0, 1, 0, 1, 1};
    unsigned char kept[sizeof expected];

    diff_ascending(values, sizeof expected, kept);
    CU_ASSERT_EQUAL(memcmp(kept, expected, sizeof expected), 0);
    diff_ascending(values, 0, kept);
}

SUITE("diff", {"as long as a slow one finds", test_random},
      {"long differences are cut into pieces", test_pieces},
      {"a long block is skipped", test_block},
      {"ascending numbers, the first of equals", test_ascending})
