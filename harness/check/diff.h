/*
 * diff.h - which elements of two sequences belong together.
 *
 * Threads: any.
 */
#ifndef HARNESS_DIFF_H
#define HARNESS_DIFF_H

#include <stddef.h>
#include <stdint.h>

#define DIFF_NONE SIZE_MAX

/*
 * Find a longest common subsequence of `a` and `b`: match[i] is the element of `b` that
 * a[i] belongs to, or DIFF_NONE. Matches ascend.
 *
 * Time and memory are linear where the two are nearly alike. Where more than some hundred
 * differences follow each other the subsequence may be shorter than the longest.
 */
void diff_match(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
                size_t *match);

/*
 * The same for numbers that should ascend: find a longest strictly ascending subsequence
 * of `values`; kept[i] becomes 1 for its members, else 0. Of equal values the first is
 * kept. Linear when they ascend, else n log n.
 */
void diff_ascending(const uint32_t *values, size_t count, unsigned char *kept);

#endif
