/*
 * diff.c - Myers' greedy algorithm ("An O(ND) Difference Algorithm and Its Variations",
 * 1986), in pieces.
 *
 * A path goes through a grid: right drops an element of `a`, down takes one of `b`, and a
 * diagonal step is a match. For d = 0, 1, … differences the furthest end on every
 * diagonal k = x - y is kept; walking back through what was kept gives the matches.
 *
 * What is kept grows with d squared, so the search gives up at a limit: the furthest path so
 * far is accepted, and a new search begins at its end, with a lower limit, so that two long
 * sequences with nothing in common do not take forever.
 */
#include "harness/check/diff.h"

#include "harness/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIFFERENCES_MAX 4000
#define DIFFERENCES_MAX_LATER 400
#define OUTSIDE (PTRDIFF_MIN / 2) /* an end that nothing continues from; + 1 stays outside */

struct grid {
    const uint32_t *a;
    const uint32_t *b;
    ptrdiff_t a_count;
    ptrdiff_t b_count;
};

/* x of the furthest end per diagonal, for every d: row d holds diagonals -d … d. */
struct trace {
    ptrdiff_t *ends;
    size_t rows; /* allocated */
};

static size_t trace_index(ptrdiff_t d, ptrdiff_t k)
{
    return (size_t)(d * d + d + k); /* the rows before hold 1 + 3 + 5 + … = d * d ends */
}

static void trace_grow(struct trace *t, ptrdiff_t d)
{
    if ((size_t)d < t->rows) {
        return;
    }
    size_t rows = t->rows == 0 ? 32 : t->rows * 2;
    ptrdiff_t *ends = memory_zeroed(rows * rows, sizeof *ends);
    if (t->rows > 0) {
        memcpy(ends, t->ends, t->rows * t->rows * sizeof *ends);
    }
    free(t->ends);
    *t = (struct trace){ends, rows};
}

static ptrdiff_t trace_get(const struct trace *t, ptrdiff_t d, ptrdiff_t k)
{
    return k < -d || k > d ? OUTSIDE : t->ends[trace_index(d, k)];
}

/* Where the path with d differences enters diagonal k, before its diagonal steps; and
 * the diagonal that it comes from. */
static ptrdiff_t step_into(const struct trace *t, ptrdiff_t d, ptrdiff_t k, ptrdiff_t *from)
{
    if (d == 0) {
        *from = 0;
        return 0;
    }
    ptrdiff_t down = trace_get(t, d - 1, k + 1);      /* x stays */
    ptrdiff_t right = trace_get(t, d - 1, k - 1) + 1; /* x + 1 */
    *from = down >= right ? k + 1 : k - 1;
    return down >= right ? down : right;
}

static void path_record(const struct trace *t, ptrdiff_t d, ptrdiff_t k, size_t a_base,
                        size_t b_base, size_t *match)
{
    for (; d >= 0; d--) {
        ptrdiff_t from;
        ptrdiff_t enter = step_into(t, d, k, &from);
        for (ptrdiff_t x = trace_get(t, d, k); x > enter; x--) {
            match[a_base + (size_t)x - 1] = b_base + (size_t)(x - 1 - k);
        }
        k = from;
    }
}

/* Of two ends with as many steps, the one nearer to the middle: it favours no side. */
static bool is_better(ptrdiff_t steps, ptrdiff_t k, ptrdiff_t best_steps, ptrdiff_t best_k)
{
    return steps > best_steps || (steps == best_steps && labs(k) < labs(best_k));
}

/* Search from the grid's corner. Gives the end of the path that was accepted. */
static void piece_match(const struct grid *g, struct trace *t, ptrdiff_t limit, size_t a_base,
                        size_t b_base, size_t *match, ptrdiff_t *end_x, ptrdiff_t *end_y)
{
    ptrdiff_t best_k = 0;

    for (ptrdiff_t d = 0;; d++) {
        ptrdiff_t furthest = -1;
        trace_grow(t, d);
        for (ptrdiff_t k = -d; k <= d; k += 2) {
            ptrdiff_t from;
            ptrdiff_t x = step_into(t, d, k, &from);
            ptrdiff_t y = x - k;
            if (x < 0 || x > g->a_count || y < 0 || y > g->b_count) {
                t->ends[trace_index(d, k)] = OUTSIDE;
                continue;
            }
            while (x < g->a_count && y < g->b_count && g->a[x] == g->b[y]) {
                x++;
                y++;
            }
            t->ends[trace_index(d, k)] = x;
            if (is_better(x + y, k, furthest, best_k)) {
                furthest = x + y;
                best_k = k;
            }
        }
        if (furthest == g->a_count + g->b_count || d == limit) {
            *end_x = trace_get(t, d, best_k);
            *end_y = *end_x - best_k;
            path_record(t, d, best_k, a_base, b_base, match);
            return;
        }
    }
}

void diff_match(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count, size_t *match)
{
    size_t x = 0;
    size_t y = 0;
    ptrdiff_t limit = DIFFERENCES_MAX;
    struct trace t = {NULL, 0};

    for (size_t i = 0; i < a_count; i++) {
        match[i] = DIFF_NONE;
    }
    while (a_count > 0 && b_count > 0 && a[a_count - 1] == b[b_count - 1]) {
        match[--a_count] = --b_count;
    }
    while (x < a_count && y < b_count) {
        struct grid g = {a + x, b + y, (ptrdiff_t)(a_count - x), (ptrdiff_t)(b_count - y)};
        ptrdiff_t end_x;
        ptrdiff_t end_y;
        piece_match(&g, &t, limit, x, y, match, &end_x, &end_y);
        x += (size_t)end_x;
        y += (size_t)end_y;
        limit = DIFFERENCES_MAX_LATER;
    }
    free(t.ends);
}

/* ---- ascending numbers ------------------------------------------------------------ */

/*
 * Patience sorting: tails[n] is where the best subsequence of n + 1 members ends (the one
 * with the smallest last value), before[i] the member in front of values[i].
 */
void diff_ascending(const uint32_t *values, size_t count, unsigned char *kept)
{
    size_t *tails = memory_zeroed(count, sizeof *tails);
    size_t *before = memory_zeroed(count, sizeof *before);
    size_t length = 0;

    memset(kept, 0, count);
    for (size_t i = 0; i < count; i++) {
        size_t low = length > 0 && values[tails[length - 1]] < values[i] ? length : 0;
        size_t high = length;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (values[tails[middle]] < values[i]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low < length && values[tails[low]] == values[i]) {
            continue; /* of equals, the first */
        }
        before[i] = low == 0 ? DIFF_NONE : tails[low - 1];
        tails[low] = i;
        length += low == length;
    }
    for (size_t i = length == 0 ? DIFF_NONE : tails[length - 1]; i != DIFF_NONE; i = before[i]) {
        kept[i] = 1;
    }
    free(tails);
    free(before);
}
