/*
 * utf8.h - well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates,
 * nothing above U+10FFFF), and eight bytes of ASCII at a time.
 *
 * Threads: any.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/buffer.h"

#include <endian.h>
#include <string.h>

bool utf8_valid(struct slice s);

/* How many bytes of well-formed UTF-8, one character, begin at `p`; 0 when they are not.
 * `left` is 1 at least. */
size_t utf8_sequence(const char *p, size_t left);

/* A byte of `word` meets a condition where the function below has the byte's highest bit set.
 * Only the lowest such bit is exact, which is the one that a scan stops at. */
#define UTF8_EACH(byte) ((uint64_t)(byte)*UINT64_C(0x0101010101010101))
#define UTF8_HIGH UTF8_EACH(0x80)

static inline uint64_t utf8_below(uint64_t word, unsigned char limit) /* at most 0x80 */
{
    return (word - UTF8_EACH(limit)) & ~word & UTF8_HIGH;
}

static inline uint64_t utf8_equal(uint64_t word, unsigned char byte)
{
    return utf8_below(word ^ UTF8_EACH(byte), 1);
}

/* The next eight bytes, the first one lowest. */
static inline uint64_t utf8_word(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

/* How many of the eight bytes come before the lowest bit of `found`, which is not 0. */
static inline size_t utf8_before(uint64_t found)
{
    return (size_t)__builtin_ctzll(found) / 8;
}

#endif
