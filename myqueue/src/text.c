/*
 * text.c - see text.h.
 */
#include "myqueue/src/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPIC_BYTES_MAX = 200 };

/* Room for `more` bytes and a NUL. */
static bool text_reserve(struct mq_text *text, size_t more)
{
    if (text->failed) {
        return false;
    }
    if (text->size - text->length > more) {
        return true;
    }
    size_t size = text->size == 0 ? 256 : text->size;
    while (size - text->length <= more) {
        if (size > SIZE_MAX / 2) {
            text->failed = true;
            return false;
        }
        size *= 2;
    }
    char *bytes = realloc(text->bytes, size);
    if (bytes == NULL) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->size = size;
    return true;
}

void mq_text_append(struct mq_text *text, const void *bytes, size_t length)
{
    if (!text_reserve(text, length)) {
        return;
    }
    if (length > 0) {
        memcpy(text->bytes + text->length, bytes, length);
    }
    text->length += length;
    text->bytes[text->length] = '\0';
}

void mq_text_format(struct mq_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && text_reserve(text, (size_t)length)) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void mq_text_json(struct mq_text *text, const char *bytes, size_t length)
{
    mq_text_append(text, "\"", 1);
    size_t plain = 0; /* start of what can be copied as it is */
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        mq_text_append(text, bytes + plain, i - plain);
        plain = i + 1;
        if (c == '"' || c == '\\') {
            mq_text_format(text, "\\%c", c);
        } else {
            mq_text_format(text, "\\u%04x", c);
        }
    }
    mq_text_append(text, bytes + plain, length - plain);
    mq_text_append(text, "\"", 1);
}

static bool query_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

void mq_text_query(struct mq_text *text, const char *bytes)
{
    for (const char *c = bytes; *c != '\0'; c++) {
        if (query_plain(*c)) {
            mq_text_append(text, c, 1);
        } else {
            mq_text_format(text, "%%%02X", (unsigned char)*c);
        }
    }
}

void mq_text_clear(struct mq_text *text)
{
    text->length = 0;
    text->failed = false;
    if (text->bytes != NULL) {
        text->bytes[0] = '\0';
    }
}

void mq_text_release(struct mq_text *text)
{
    free(text->bytes);
    *text = (struct mq_text){0};
}

/* The length of the character that starts with `lead`, and the bounds of its second byte,
 * which is where overlong forms, surrogates and too large numbers show. 0: no such lead. */
static size_t utf8_sequence(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0x80) {
        return lead == 0 ? 0 : 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

bool mq_text_valid(const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < length) {
        unsigned char low, high;
        size_t size = utf8_sequence(p[i], &low, &high);
        if (size == 0 || size > length - i) {
            return false;
        }
        for (size_t k = 1; k < size; k++) {
            if (p[i + k] < low || p[i + k] > high) {
                return false;
            }
            low = 0x80;
            high = 0xBF;
        }
        i += size;
    }
    return true;
}

bool mq_topic_valid(const char *topic)
{
    size_t length = strnlen(topic, TOPIC_BYTES_MAX + 1);
    if (length == 0 || length > TOPIC_BYTES_MAX || !mq_text_valid(topic, length)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)topic[i] < 0x20 || topic[i] == 0x7F) {
            return false;
        }
    }
    return true;
}
