/*
 * buffer.c - growth is by doubling; the one NUL behind the contents is always there.
 */
#include "common/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES_MIN 64

struct slice slice_of(const char *string)
{
    return (struct slice){string, strlen(string)};
}

bool slice_equals(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void buffer_init(struct buffer *b)
{
    *b = (struct buffer)BUFFER_INIT;
}

void buffer_release(struct buffer *b)
{
    free(b->data);
    buffer_init(b);
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
    b->failed = false;
    if (b->data != NULL) {
        b->data[0] = '\0';
    }
}

bool buffer_reserve(struct buffer *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 2 - b->size - 1) {
        b->failed = true;
        return false;
    }
    size_t needed = b->size + more + 1;
    if (needed <= b->capacity) {
        return true;
    }
    size_t capacity = b->capacity < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : b->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    b->data[b->size] = '\0';
    return true;
}

void buffer_append_int(struct buffer *b, int64_t value)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    char digits[24];
    char *end = digits + sizeof digits;
    char *p = end;
    uint64_t rest = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;

    for (; rest >= 100; rest /= 100) { /* a division for two digits */
        p -= 2;
        memcpy(p, &pairs[rest % 100 * 2], 2);
    }
    if (rest >= 10) {
        *--p = pairs[rest * 2 + 1];
    }
    *--p = rest >= 10 ? pairs[rest * 2] : (char)('0' + rest);
    if (value < 0) {
        *--p = '-';
    }
    buffer_append(b, p, (size_t)(end - p));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0 || !buffer_reserve(b, (size_t)size)) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(b->data + b->size, (size_t)size + 1, format, args);
    va_end(args);
    b->size += (size_t)size;
}

struct slice buffer_slice(const struct buffer *b)
{
    return (struct slice){b->data, b->size};
}

int buffer_read_file(struct buffer *b, const char *path, size_t bytes_max)
{
    int error = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    for (;;) {
        if (!buffer_reserve(b, 65536)) {
            error = ENOMEM;
            break;
        }
        ssize_t got = read(fd, b->data + b->size, b->capacity - b->size - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            error = got < 0 ? errno : 0;
            break;
        }
        b->size += (size_t)got;
        b->data[b->size] = '\0';
        if (b->size > bytes_max) {
            error = EFBIG;
            break;
        }
    }
    close(fd);
    return error;
}
