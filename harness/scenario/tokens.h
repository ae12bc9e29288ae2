/*
 * tokens.h - a line of scenario.conf, word by word.
 *
 * Threads: any; nothing is kept.
 */
#ifndef HARNESS_TOKENS_H
#define HARNESS_TOKENS_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

bool token_is_blank(char c); /* space, tab, or the '\r' of a Windows line */

/* Without the blanks around it. */
struct slice token_trimmed(struct slice s);

/* Take the first word, up to a blank; empty at the end. */
struct slice token_take(struct slice *rest);

/* A whole number in plain digits, without leading zeros, at most `largest`. */
bool token_number(struct slice s, int64_t largest, int64_t *out);

#endif
