/*
 * wording.h - numbers and counts as a person reads them.
 *
 * Threads: any.
 */
#ifndef HARNESS_WORDING_H
#define HARNESS_WORDING_H

#include "common/buffer.h"

/* "4,965" */
void word_number(struct buffer *b, int64_t number);

/* "1 message", "4,965 messages" */
void word_count(struct buffer *b, int64_t count, const char *noun);

/* The same of words in the plural: "1 reply lost", "75 replies lost"; the first word that ends
 * in s is the noun. */
void word_units(struct buffer *b, int64_t count, const char *plural);

/* "3.2 ms", "512 ms", "4.1 s"; "–" for a negative one (it did not happen) */
void word_span(struct buffer *b, int64_t span_ns);

#endif
