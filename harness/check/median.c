/*
 * median.c - Hoare's selection: the part in which the middle lies is divided by one of its values,
 * until only equal ones are left.
 */
#include "harness/check/median.h"

int64_t median_of(int64_t *values, size_t count)
{
    ptrdiff_t wanted = (ptrdiff_t)(count / 2);
    ptrdiff_t low = 0;
    ptrdiff_t high = (ptrdiff_t)count - 1;

    while (low < high) {
        int64_t pivot = values[low + (high - low) / 2];
        ptrdiff_t i = low;
        ptrdiff_t j = high;
        while (i <= j) {
            while (values[i] < pivot) {
                i++;
            }
            while (values[j] > pivot) {
                j--;
            }
            if (i <= j) {
                int64_t value = values[i];
                values[i++] = values[j];
                values[j--] = value;
            }
        }
        if (wanted > j && wanted < i) {
            break; /* between the halves: equal to the pivot */
        }
        low = wanted > j ? i : low;
        high = wanted > j ? high : j;
    }
    return values[wanted];
}
