/*
 * call.c - parameters from wherever they are, and answers.
 */
#include "broker/api/call.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 400 /* of a failure's own message */

/* ---- answers --------------------------------------------------------------------------- */

void answer_begin(struct buffer *body)
{
    buffer_init(body);
    buffer_append_string(body, "{\"status\": \"success\"");
}

void answer_end(struct call *call, struct buffer *body)
{
    buffer_append_string(body, "}");
    http_request_answer(call->request, 200, body, NULL);
}

/* Where the log that was asked for begins, and where it ends. */
static void append_bounds(const struct call *call, struct buffer *body)
{
    int64_t first_offset;
    int64_t next_offset;

    consume_bounds(call->consume, &first_offset, &next_offset);
    buffer_append_string(body, ", \"first_offset\": ");
    buffer_append_int(body, first_offset);
    buffer_append_string(body, ", \"next_offset\": ");
    buffer_append_int(body, next_offset);
}

static void failure(struct call *call, enum status status, const char *words, const char *allow)
{
    struct buffer body = BUFFER_INIT;

    buffer_append_string(&body, "{\"status\": \"failure\", \"message\": ");
    json_append_string(&body, slice_of(words));
    buffer_append_string(&body, ", \"code\": \"");
    buffer_append_string(&body, status_code(status));
    buffer_append_string(&body, "\"");
    if (status == STATUS_OUT_OF_SEQUENCE) {
        buffer_append_string(&body, ", \"expected\": ");
        buffer_append_int(&body, queue_write_result(call->write)->expected);
    }
    if (status == STATUS_OFFSET_OUT_OF_RANGE) {
        append_bounds(call, &body);
    }
    buffer_append_string(&body, "}");
    http_request_answer(call->request, status_http(status), &body, allow);
}

void answer_failure(struct call *call, enum status status)
{
    char words[TEXT_BYTES_MAX];
    bool about_topic = status == STATUS_UNKNOWN_TOPIC || status == STATUS_TOPIC_EXISTS;

    if (about_topic && call->topic.size <= 200) {
        snprintf(words, sizeof words, "%s: '%.*s'", status_words(status), (int)call->topic.size,
                 call->topic.data);
        if (utf8_valid(slice_of(words))) {
            failure(call, status, words, NULL);
            return;
        }
    }
    failure(call, status, status_words(status), NULL);
}

void answer_wrong_method(struct call *call, const char *allow)
{
    failure(call, STATUS_WRONG_METHOD, status_words(STATUS_WRONG_METHOD), allow);
}

void answer_failure_text(struct call *call, enum status status, const char *format, ...)
{
    char words[TEXT_BYTES_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    failure(call, status, words, NULL);
}

void answer_registered(struct call *call, const char *id_name, bool with_offset)
{
    const struct queue_result *result = queue_write_result(call->write);
    struct buffer body;

    if (result->status != STATUS_OK) {
        answer_failure(call, result->status);
        return;
    }
    answer_begin(&body);
    buffer_printf(&body, ", \"%s\": ", id_name);
    buffer_append_int(&body, result->id);
    if (with_offset && result->offset > 0) { /* the assignment's clients know the id alone */
        buffer_append_string(&body, ", \"offset\": ");
        buffer_append_int(&body, result->offset);
    }
    answer_end(call, &body);
}

void call_wait(struct call *call, http_resume *resume)
{
    http_request_wait(call->request, resume);
}

void call_done(void *request)
{
    http_request_post(request);
}

/* ---- parameters ------------------------------------------------------------------------- */

static char first_character(struct slice body)
{
    for (size_t i = 0; i < body.size; i++) {
        if (strchr(" \t\r\n", body.data[i]) == NULL) {
            return body.data[i];
        }
    }
    return '\0';
}

bool call_parse(struct call *call, struct json_document *json)
{
    struct slice body = http_request_body(call->request);
    char first = first_character(body);

    if (first == '\0' && memchr(body.size > 0 ? body.data : "", '\0', body.size) == NULL) {
        return true; /* nothing but white space */
    }
    if (first != '{') { /* whatever the content type says: curl -d calls JSON a form */
        call->is_form = http_request_is_form(call->request);
        if (!call->is_form) {
            answer_failure_text(call, STATUS_BAD_REQUEST,
                                "the body is neither a JSON object nor a form");
        }
        return call->is_form;
    }
    switch (json_parse(json, body)) {
    case JSON_OK:
        call->json = json_root(json);
        return true;
    case JSON_BAD_SYNTAX:
        answer_failure_text(call, STATUS_BAD_REQUEST, "the body is not valid JSON");
        return false;
    case JSON_BAD_UTF8:
        answer_failure_text(call, STATUS_BAD_MESSAGE, "the body is not valid UTF-8");
        return false;
    case JSON_HAS_NUL:
        answer_failure_text(call, STATUS_BAD_MESSAGE,
                            "the body holds U+0000, which cannot be stored");
        return false;
    case JSON_NO_MEMORY:
        answer_failure(call, STATUS_NO_MEMORY);
        return false;
    }
    return false;
}

const struct json_value *call_json(const struct call *call, const char *name)
{
    const struct json_value *value = json_get(call->json, name);

    return json_is_null(value) ? NULL : value;
}

/* From a form or the query string. */
static bool plain_parameter(struct call *call, const char *name, struct slice *out)
{
    return (call->is_form && http_request_form(call->request, name, out)) ||
           http_request_query(call->request, name, out);
}

bool call_text(struct call *call, const char *name, struct slice *out, bool *found)
{
    const struct json_value *value = call_json(call, name);

    *found = true;
    if (value == NULL) {
        *found = plain_parameter(call, name, out);
        return true;
    }
    if (!json_string(value, out)) {
        answer_failure_text(call, STATUS_BAD_REQUEST, "'%s' must be a string", name);
        return false;
    }
    return true;
}

bool call_topic(struct call *call)
{
    static const char *const names[] = {"topic", "topic_name", "name"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct slice name;
        bool found;
        if (!call_text(call, names[i], &name, &found)) {
            return false;
        }
        if (found) {
            buffer_append_slice(&call->topic_copy, name);
            if (call->topic_copy.failed) {
                answer_failure(call, STATUS_NO_MEMORY);
                return false;
            }
            call->topic = buffer_slice(&call->topic_copy);
            return true;
        }
    }
    answer_failure_text(call, STATUS_BAD_REQUEST,
                        "'topic' is missing (also taken as 'topic_name' or 'name')");
    return false;
}

/* Digits with a sign at most; nothing around them. */
static bool parse_int(struct slice text, int64_t *out)
{
    char digits[24];
    char *end;

    if (text.size == 0 || text.size >= sizeof digits ||
        strchr("+-0123456789", text.data[0]) == NULL) {
        return false;
    }
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    errno = 0;
    *out = strtoll(digits, &end, 10);
    return errno == 0 && end == digits + text.size;
}

bool call_int(struct call *call, const char *name, int64_t smallest, int64_t largest, bool needed,
              int64_t *out)
{
    const struct json_value *value = call_json(call, name);
    struct slice text = {NULL, 0};
    int64_t number = 0;
    bool good;

    if (value == NULL && !plain_parameter(call, name, &text)) {
        if (needed) {
            answer_failure_text(call, STATUS_BAD_REQUEST, "'%s' is missing", name);
        }
        return !needed;
    }
    if (value == NULL || json_string(value, &text)) {
        good = parse_int(text, &number);
    } else {
        good = json_int(value, &number);
    }
    if (!good || number < smallest || number > largest) {
        answer_failure_text(call, STATUS_BAD_REQUEST,
                            "'%s' must be a whole number from %lld to %lld", name,
                            (long long)smallest, (long long)largest);
        return false;
    }
    *out = number;
    return true;
}
