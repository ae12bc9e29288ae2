/*
 * buffer.h - bytes: a borrowed view (slice) and a growing string (buffer).
 *
 * Always: a buffer's bytes are followed by a NUL that is not counted, so `data`
 * may be handed to C functions that want a string. A buffer that could not grow
 * is marked `failed` and ignores what follows; its user asks once, at the end.
 *
 * Threads: a buffer belongs to one thread at a time.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else. `data` may be NULL when `size` is 0. */
struct slice {
    const char *data;
    size_t size; /* bytes */
};

struct buffer {
    char *data;      /* NULL until the first byte */
    size_t size;     /* bytes in use, without the NUL */
    size_t capacity; /* bytes allocated */
    bool failed;     /* an allocation failed: the contents are not whole */
};

#define BUFFER_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0, false                                                                          \
    }

struct slice slice_of(const char *string);
bool slice_equals(struct slice a, struct slice b);

void buffer_init(struct buffer *b);
void buffer_release(struct buffer *b);

/* Forget the contents, keep the memory. */
void buffer_clear(struct buffer *b);

/* Make room for `more` bytes beyond the present ones; false when out of memory. */
bool buffer_reserve(struct buffer *b, size_t more);

/* Inline, so that what is constant costs a few moves. */
static inline void buffer_append(struct buffer *b, const void *data, size_t size)
{
    /* What is in use is below the capacity; with none, or none left, it has to grow. */
    if (b->failed || (b->capacity - b->size <= size && !buffer_reserve(b, size))) {
        return;
    }
    if (size > 0) {
        memcpy(b->data + b->size, data, size);
    }
    b->size += size;
    b->data[b->size] = '\0';
}

static inline void buffer_append_string(struct buffer *b, const char *string)
{
    buffer_append(b, string, strlen(string));
}

static inline void buffer_append_slice(struct buffer *b, struct slice s)
{
    buffer_append(b, s.data, s.size);
}

static inline void buffer_append_char(struct buffer *b, char c)
{
    buffer_append(b, &c, 1);
}

void buffer_append_int(struct buffer *b, int64_t value);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The contents as a slice; borrowed until the buffer changes. */
struct slice buffer_slice(const struct buffer *b);

/* Read a whole file of at most `bytes_max` bytes; 0, or an errno (EFBIG when larger). */
int buffer_read_file(struct buffer *b, const char *path, size_t bytes_max);

#endif
