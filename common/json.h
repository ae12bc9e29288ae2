/*
 * json.h - reading and writing JSON (RFC 8259).
 *
 * A document is read in one pass into a flat array of its values, each behind what holds it;
 * there is no tree, and a small document needs no memory of its own:
 *
 *   {"a": "x", "b": [1, 2]}   ->   object 2 | "a" | "x" | "b" | array 2 | 1 | 2
 *
 * Strings are slices of the text, but for those with escapes, which are unescaped into a buffer
 * of the document. A string is well-formed UTF-8 without U+0000, and never cut.
 *
 * More lenient than the RFC in three things: a number is what strtod(3) takes of a run of
 * `0-9+-.eE` (so 01 and 1. pass), any control character but U+0000 counts as white space
 * between tokens, and a byte order mark may lead. Of members with the same name the first counts.
 *
 * Threads: a document belongs to one thread at a time.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/buffer.h"

#define JSON_DEPTH_MAX 1000                /* of arrays and objects within each other */
#define JSON_VALUES_MAX (16 * 1024 * 1024) /* of a document: 384 MiB of memory */
#define JSON_VALUES_INLINE 24

/* A value within a document; valid until the document is released. Its fields are json_read.c's
 * own. */
struct json_value {
    unsigned char kind;
    bool last;     /* no element of its array follows */
    uint32_t span; /* values from this one to what follows all that it holds */
    union {
        struct slice string;
        double number;
        size_t count; /* elements or members */
    };
};

struct json_document {
    struct json_value *values; /* `few`, or allocated */
    size_t count;
    size_t capacity;
    struct buffer unescaped;
    struct json_value few[JSON_VALUES_INLINE];
};

/* Empty: for json_release() when nothing has been read. */
void json_init(struct json_document *document);

enum json_result {
    JSON_OK,
    JSON_BAD_SYNTAX, /* not JSON, or something behind the value */
    JSON_BAD_UTF8,
    JSON_HAS_NUL,   /* well-formed, but a string holds U+0000 */
    JSON_NO_MEMORY, /* none left, or the document has more than JSON_VALUES_MAX values */
};

/* Read the whole of `text`, which is borrowed until the document's release. Whatever the result,
 * `out` is to be released; it must not be moved. */
enum json_result json_parse(struct json_document *out, struct slice text);
void json_release(struct json_document *document);

/* The whole; NULL unless json_parse() said JSON_OK. */
const struct json_value *json_root(const struct json_document *document);

/* false for NULL, too. */
bool json_is_object(const struct json_value *value);
bool json_is_array(const struct json_value *value);
bool json_is_null(const struct json_value *value); /* the null of JSON */

/* A member of an object, by its exact name; NULL when there is none, or it is no object. */
const struct json_value *json_get(const struct json_value *object, const char *key);

/* Elements of an array, in order: first, then next until NULL. 0 and NULL for what is none. */
size_t json_count(const struct json_value *array);
const struct json_value *json_first(const struct json_value *array);
const struct json_value *json_next(const struct json_value *element);

/* false when the value is NULL, of another kind, not whole or beyond +-2^53. */
bool json_string(const struct json_value *value, struct slice *out);
bool json_int(const struct json_value *value, int64_t *out);
bool json_double(const struct json_value *value, double *out);
bool json_bool(const struct json_value *value, bool *out);

/* Append `s` (UTF-8) as a JSON string, with its quotes. */
void json_append_string(struct buffer *b, struct slice s);

#endif
