/*
 * wording.c - thousands are separated by commas; spans have two or three digits.
 */
#include "harness/wording.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void word_number(struct buffer *b, int64_t number)
{
    char digits[32];
    int size = snprintf(digits, sizeof digits, "%" PRId64, number);

    for (int i = 0; i < size; i++) {
        bool first = i == 0 || digits[i - 1] == '-';
        if (!first && (size - i) % 3 == 0) {
            buffer_append_char(b, ',');
        }
        buffer_append_char(b, digits[i]);
    }
}

void word_count(struct buffer *b, int64_t count, const char *noun)
{
    word_number(b, count);
    buffer_append_char(b, ' ');
    buffer_append_string(b, noun);
    if (count != 1) {
        buffer_append_char(b, 's');
    }
}

void word_span(struct buffer *b, int64_t span_ns)
{
    double ms = (double)span_ns / 1e6;

    if (span_ns < 0) {
        buffer_append_string(b, "–");
    } else if (ms < 9.95) {
        buffer_printf(b, "%.1f ms", ms);
    } else if (ms < 999.5) {
        buffer_printf(b, "%.0f ms", ms);
    } else {
        buffer_printf(b, "%.1f s", ms / 1e3);
    }
}
