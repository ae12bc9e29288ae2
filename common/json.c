/*
 * json.c - a strict scan in front of cJSON, typed getters, and a string writer.
 */
#include "common/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define JSON_INT_MAX 9007199254740992.0 /* 2^53: beyond it a double skips integers */

/* How many bytes of well-formed UTF-8 begin at `p`; 0 when they are not. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
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
    const unsigned char *p = (const unsigned char *)s.data;

    for (size_t i = 0; i < s.size;) {
        size_t size = utf8_sequence(p + i, s.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

/* What cJSON would let pass: control characters within strings, and \u0000. */
static enum json_result strings_check(struct slice text)
{
    bool inside = false;
    enum json_result result = JSON_OK;

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"') {
            inside = !inside;
        } else if (inside && c < 0x20) {
            return JSON_BAD_SYNTAX;
        } else if (inside && c == '\\') {
            if (text.size - i > 5 && memcmp(text.data + i + 1, "u0000", 5) == 0) {
                result = JSON_HAS_NUL; /* unless what follows is not JSON at all */
            }
            i++;
        } else if (c == '\0') {
            return JSON_BAD_SYNTAX;
        }
    }
    return result;
}

enum json_result json_parse(struct slice text, struct cJSON **out)
{
    *out = NULL;
    if (!utf8_valid(text)) {
        return JSON_BAD_UTF8;
    }
    enum json_result result = strings_check(text);
    if (result == JSON_BAD_SYNTAX) {
        return result;
    }
    /* cJSON wants a NUL behind the text to see that nothing follows the value. */
    struct buffer copy = BUFFER_INIT;
    buffer_append_slice(&copy, text);
    struct cJSON *document =
        copy.failed ? NULL : cJSON_ParseWithLengthOpts(copy.data, copy.size + 1, NULL, 1);
    buffer_release(&copy);
    if (document == NULL) {
        return JSON_BAD_SYNTAX;
    }
    if (result != JSON_OK) {
        cJSON_Delete(document);
        return result;
    }
    *out = document;
    return JSON_OK;
}

void json_free(struct cJSON *document)
{
    cJSON_Delete(document);
}

bool json_is_object(const struct cJSON *value)
{
    return cJSON_IsObject(value);
}

bool json_is_array(const struct cJSON *value)
{
    return cJSON_IsArray(value);
}

bool json_is_null(const struct cJSON *value)
{
    return cJSON_IsNull(value);
}

const struct cJSON *json_get(const struct cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

size_t json_count(const struct cJSON *array)
{
    return (size_t)cJSON_GetArraySize(array);
}

const struct cJSON *json_first(const struct cJSON *array)
{
    return array == NULL ? NULL : array->child;
}

const struct cJSON *json_next(const struct cJSON *element)
{
    return element->next;
}

bool json_string(const struct cJSON *value, struct slice *out)
{
    if (!cJSON_IsString(value)) {
        return false;
    }
    *out = slice_of(value->valuestring);
    return true;
}

bool json_int(const struct cJSON *value, int64_t *out)
{
    if (!cJSON_IsNumber(value) || value->valuedouble != floor(value->valuedouble) ||
        fabs(value->valuedouble) > JSON_INT_MAX) {
        return false;
    }
    *out = (int64_t)value->valuedouble;
    return true;
}

bool json_double(const struct cJSON *value, double *out)
{
    if (!cJSON_IsNumber(value)) {
        return false;
    }
    *out = value->valuedouble;
    return true;
}

static void append_escaped(struct buffer *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                    {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (c == (unsigned char)names[i][0]) {
            buffer_append(b, (char[]){'\\', names[i][1]}, 2);
            return;
        }
    }
    buffer_append(b, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

void json_append_string(struct buffer *b, struct slice s)
{
    size_t from = 0; /* what is not written yet */

    buffer_append_char(b, '"');
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        buffer_append(b, s.data + from, i - from);
        append_escaped(b, c);
        from = i + 1;
    }
    if (from < s.size) {
        buffer_append(b, s.data + from, s.size - from);
    }
    buffer_append_char(b, '"');
}
