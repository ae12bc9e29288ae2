/*
 * wording.c - thousands are separated by commas; spans have two or three digits.
 */
#include "harness/report/wording.h"

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

/* The noun's end: the first s before a blank or the end; NULL: there is none. */
static const char *noun_end(const char *words)
{
    for (const char *at = words; (at = strchr(at, 's')) != NULL; at++) {
        if (at[1] == ' ' || at[1] == '\0') {
            return at;
        }
    }
    return NULL;
}

void word_units(struct buffer *b, int64_t count, const char *plural)
{
    const char *end = count == 1 ? noun_end(plural) : NULL;
    size_t size = end != NULL ? (size_t)(end - plural) : strlen(plural);

    word_number(b, count);
    buffer_append_char(b, ' ');
    if (end != NULL && size > 2 && memcmp(end - 2, "ie", 2) == 0) {
        buffer_append(b, plural, size - 2);
        buffer_append_char(b, 'y');
    } else if (end != NULL && size > 3 && memcmp(end - 3, "she", 3) == 0) {
        buffer_append(b, plural, size - 1);
    } else {
        buffer_append(b, plural, size);
    }
    if (end != NULL) {
        buffer_append_string(b, end + 1);
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
