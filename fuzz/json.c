/*
 * json.c - our reader against cJSON, the general path that it took the place of.
 *
 * cJSON takes more than JSON, and four things have to be looked for apart from it: bytes that
 * are not UTF-8, raw control characters, U+0000 (where it cuts the string) and `\u` without four
 * hexadecimal digits (which it takes for U+0000). All else must be the same: what is refused,
 * and every value of what is taken.
 */
#include "fuzz/fuzz.h"

#include "common/json.h"
#include "common/utf8.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>

static bool is_hex(const char *p, size_t left)
{
    return left >= 4 && isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1]) &&
           isxdigit((unsigned char)p[2]) && isxdigit((unsigned char)p[3]);
}

/* What cJSON would let pass within strings. */
static enum json_result strings_check(struct slice text)
{
    bool inside = false;
    enum json_result result = JSON_OK;

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"') {
            inside = !inside;
        } else if (c == '\0' || (inside && c < 0x20)) {
            return JSON_BAD_SYNTAX;
        } else if (inside && c == '\\' && ++i < text.size && text.data[i] == 'u') {
            const char *digits = text.data + i + 1;
            if (!is_hex(digits, text.size - i - 1)) {
                return JSON_BAD_SYNTAX;
            }
            if (memcmp(digits, "0000", 4) == 0) {
                result = JSON_HAS_NUL; /* unless what follows is not JSON at all */
            }
        }
    }
    return result;
}

static enum json_result general_parse(struct slice text, struct cJSON **out)
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
    assert(!copy.failed);
    *out = cJSON_ParseWithLengthOpts(copy.data, copy.size + 1, NULL, 1);
    buffer_release(&copy);
    return *out == NULL ? JSON_BAD_SYNTAX : result;
}

/* ---- the same values ------------------------------------------------------------------------ */

static void compare(const struct json_value *ours, const cJSON *theirs);

static void compare_int(const struct json_value *ours, double theirs)
{
    bool whole = theirs == floor(theirs) && fabs(theirs) <= 9007199254740992.0;
    int64_t number = 0;

    assert(json_int(ours, &number) == whole);
    assert(!whole || number == (int64_t)theirs);
}

static void compare_members(const struct json_value *ours, const cJSON *theirs)
{
    for (const cJSON *member = theirs->child; member != NULL; member = member->next) {
        const cJSON *first = cJSON_GetObjectItemCaseSensitive(theirs, member->string);
        compare(json_get(ours, member->string), first);
    }
    assert(json_get(ours, "no such member, by its length at least") == NULL);
}

static void compare_elements(const struct json_value *ours, const cJSON *theirs)
{
    const struct json_value *element = json_first(ours);

    assert(json_count(ours) == (size_t)cJSON_GetArraySize(theirs));
    for (const cJSON *other = theirs->child; other != NULL; other = other->next) {
        assert(element != NULL);
        compare(element, other);
        element = json_next(element);
    }
    assert(element == NULL);
}

static void compare(const struct json_value *ours, const cJSON *theirs)
{
    struct slice string;
    double number;

    assert(ours != NULL && json_is_null(ours) == (bool)cJSON_IsNull(theirs));
    assert(json_is_array(ours) == (bool)cJSON_IsArray(theirs));
    assert(json_is_object(ours) == (bool)cJSON_IsObject(theirs));
    assert(json_string(ours, &string) == (bool)cJSON_IsString(theirs));
    assert(json_double(ours, &number) == (bool)cJSON_IsNumber(theirs));
    if (cJSON_IsString(theirs)) {
        assert(slice_equals(string, slice_of(theirs->valuestring)) && utf8_valid(string));
    } else if (cJSON_IsNumber(theirs)) {
        assert(number == theirs->valuedouble);
        compare_int(ours, theirs->valuedouble);
    } else if (cJSON_IsArray(theirs)) {
        compare_elements(ours, theirs);
    } else if (cJSON_IsObject(theirs)) {
        compare_members(ours, theirs);
    }
}

/* ---- there and back ------------------------------------------------------------------------- */

/* Any text without U+0000 is written so that both read it as it was. */
static void write_and_read(struct slice text)
{
    struct buffer json = BUFFER_INIT;
    struct json_document document;
    struct slice back;

    if (!utf8_valid(text) || memchr(text.data, '\0', text.size) != NULL) {
        return;
    }
    json_append_string(&json, text);
    assert(json_parse(&document, buffer_slice(&json)) == JSON_OK);
    assert(json_string(json_root(&document), &back) && slice_equals(back, text));
    cJSON *theirs = cJSON_Parse(json.data);
    assert(cJSON_IsString(theirs) && slice_equals(slice_of(theirs->valuestring), text));
    cJSON_Delete(theirs);
    json_release(&document);
    buffer_release(&json);
}

void fuzz_json(const uint8_t *data, size_t size)
{
    struct slice text = {size > 0 ? (const char *)data : "", size};
    struct json_document document;
    struct cJSON *theirs;

    enum json_result expected = general_parse(text, &theirs);
    assert(json_parse(&document, text) == expected);
    assert((json_root(&document) != NULL) == (expected == JSON_OK));
    if (expected == JSON_OK) {
        compare(json_root(&document), theirs);
    }
    json_release(&document);
    cJSON_Delete(theirs);
    write_and_read(text);
}
