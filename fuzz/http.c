/*
 * http.c - one request with any parameters.
 *
 * The input is `METHOD TARGET TYPE`, a newline, and the body: what of that would not make one
 * HTTP request is replaced, so that there is exactly one answer. It is JSON and fits its HTTP
 * status (broker_ask() checks that); and a message that was taken is given out again.
 */
#include "fuzz/fuzz.h"

#include "fuzz/broker.h"

#include "common/utf8.h"

#include <assert.h>

#define FIELD_BYTES_MAX 2000

/* The next field of the first line. */
static struct slice take_field(struct slice *line, bool last)
{
    const char *space = last ? NULL : memchr(line->data, ' ', line->size);
    size_t size = space != NULL ? (size_t)(space - line->data) : line->size;
    struct slice field = {line->data, size < FIELD_BYTES_MAX ? size : FIELD_BYTES_MAX};

    size += space != NULL;
    *line = (struct slice){line->data + size, line->size - size};
    return field;
}

static void append_clean(struct buffer *b, struct slice field, char lowest)
{
    for (size_t i = 0; i < field.size; i++) {
        unsigned char c = (unsigned char)field.data[i];
        buffer_append_char(b, c < (unsigned char)lowest || c == 0x7F ? '_' : (char)c);
    }
}

static const char *method_of(struct slice field)
{
    char first = field.size > 0 ? field.data[0] : 'G';

    return first == 'P' ? "POST" : first == 'D' ? "DELETE" : "GET";
}

/* Of a consume or a size by anybody: the log's texts are what they have to be. */
static void check_messages(const struct answer *answer)
{
    const struct json_value *entry = json_first(json_get(answer->root, "messages"));
    struct slice text = answer_text(answer, "message");

    assert(answer->http != 200 || text.size <= FUZZ_MESSAGE_BYTES_MAX);
    for (; entry != NULL; entry = json_next(entry)) {
        bool is_text = json_string(json_get(entry, "message"), &text);
        assert(is_text && text.size <= FUZZ_MESSAGE_BYTES_MAX && utf8_valid(text));
    }
}

void fuzz_http(const uint8_t *data, size_t size)
{
    struct slice line = {size > 0 ? (const char *)data : "", size};
    struct slice body = {"", 0};
    struct buffer request = BUFFER_INIT;
    struct answer answer;
    const char *newline = memchr(line.data, '\n', line.size);

    if (newline != NULL) {
        line.size = (size_t)(newline - line.data);
        body = (struct slice){newline + 1, size - line.size - 1};
    }
    buffer_append_string(&request, method_of(take_field(&line, false)));
    buffer_append_string(&request, " /");
    append_clean(&request, take_field(&line, false), '!');
    buffer_append_string(&request, " HTTP/1.1\r\nHost: x\r\nContent-Type: x");
    request.size--; /* a header's value is never empty */
    append_clean(&request, take_field(&line, true), ' ');
    buffer_printf(&request, "\r\nContent-Length: %zu\r\n\r\n", body.size);
    buffer_append_slice(&request, body);
    broker_ask(buffer_slice(&request), &answer);
    check_messages(&answer);
    answer_release(&answer);
    buffer_release(&request);
}
