/*
 * utf8.c - the table of well-formed sequences.
 */
#include "common/utf8.h"

size_t utf8_sequence(const char *start, size_t left)
{
    const unsigned char *p = (const unsigned char *)start;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t size;

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        size = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        size = 3;
        low = p[0] == 0xE0 ? 0xA0 : 0x80;  /* overlong */
        high = p[0] == 0xED ? 0x9F : 0xBF; /* surrogates */
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        size = 4;
        low = p[0] == 0xF0 ? 0x90 : 0x80;  /* overlong */
        high = p[0] == 0xF4 ? 0x8F : 0xBF; /* above U+10FFFF */
    } else {
        return 0;
    }
    if (left < size || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (p[i] < 0x80 || p[i] > 0xBF) {
            return 0;
        }
    }
    return size;
}

bool utf8_valid(struct slice s)
{
    size_t i = 0;

    while (i < s.size) {
        if (s.size - i >= 8 && (utf8_word(s.data + i) & UTF8_HIGH) == 0) {
            i += 8;
            continue;
        }
        size_t size = utf8_sequence(s.data + i, s.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}
