/*
 * text.h - a string that grows, and the two ways in which text is written for the broker:
 * as a JSON string and as a part of a URL's query.
 *
 * An allocation that fails is remembered in `failed`, and everything appended after it is
 * dropped: check once, at the end. A zeroed struct is an empty text.
 *
 * Threads: one at a time.
 */
#ifndef MYQUEUE_SRC_TEXT_H
#define MYQUEUE_SRC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct mq_text {
    char *bytes; /* `length` of them and a NUL; NULL before the first append */
    size_t length;
    size_t size;
    bool failed;
};

void mq_text_append(struct mq_text *text, const void *bytes, size_t length);
void mq_text_format(struct mq_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Append as a JSON string with its quotes. The bytes are valid UTF-8. */
void mq_text_json(struct mq_text *text, const char *bytes, size_t length);

/* Append, with all but letters, digits and -._~ as %XX. */
void mq_text_query(struct mq_text *text, const char *bytes);

/* Make it empty and whole again; the room is kept. */
void mq_text_clear(struct mq_text *text);

void mq_text_release(struct mq_text *text);

/* Is it UTF-8 as of RFC 3629 (no overlong form, no surrogate, nothing above U+10FFFF),
 * without U+0000? */
bool mq_text_valid(const char *bytes, size_t length);

/* Can it be a topic's name: 1 to 200 bytes of such UTF-8 without control characters? */
bool mq_topic_valid(const char *topic);

#endif
