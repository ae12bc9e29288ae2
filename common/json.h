/*
 * json.h - reading and writing JSON (RFC 8259), over cJSON.
 *
 * cJSON accepts more than JSON: raw control characters, bytes that are not UTF-8,
 * and a \u0000 that ends the string early. json_parse() refuses all of these, so
 * that what went in can come out byte for byte.
 *
 * Threads: a document belongs to one thread at a time.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/buffer.h"

/* A value within a document; valid until the document is freed. (A cJSON.) */
struct cJSON;

enum json_result {
    JSON_OK,
    JSON_BAD_SYNTAX, /* not JSON, or something behind the value */
    JSON_BAD_UTF8,
    JSON_HAS_NUL, /* well-formed, but a string holds U+0000 */
};

/* Parse the whole of `text`; JSON_OK gives a document that json_free() frees. */
enum json_result json_parse(struct slice text, struct cJSON **out);
void json_free(struct cJSON *document); /* NULL is fine */

bool json_is_object(const struct cJSON *value);
bool json_is_array(const struct cJSON *value);
bool json_is_null(const struct cJSON *value); /* the null of JSON */

/* A member of an object, by its exact name; NULL when there is none. */
const struct cJSON *json_get(const struct cJSON *object, const char *key);

/* Elements of an array, in order: first, then next until NULL. */
size_t json_count(const struct cJSON *array);
const struct cJSON *json_first(const struct cJSON *array);
const struct cJSON *json_next(const struct cJSON *element);

/* false when the value is NULL, of another kind, not whole or beyond +-2^53. */
bool json_string(const struct cJSON *value, struct slice *out);
bool json_int(const struct cJSON *value, int64_t *out);
bool json_double(const struct cJSON *value, double *out);

/* Append `s` (UTF-8) as a JSON string, with its quotes. */
void json_append_string(struct buffer *b, struct slice s);

/* true when `s` is well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms,
 * no surrogates, nothing above U+10FFFF). */
bool utf8_valid(struct slice s);

#endif
