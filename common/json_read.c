/*
 * json_read.c - a document in one pass.
 *
 * The pass checks everything: syntax, UTF-8, control characters, escapes, depth. Only a text
 * that is no JSON is looked at again, to tell whether it is UTF-8 at all.
 */
#include "common/json.h"

#include "common/utf8.h"

#include <math.h>
#include <stdlib.h>

#define INT_MAX_EXACT 9007199254740992.0 /* 2^53: beyond it a double skips integers */
#define INT_DIGITS_MAX 15                /* below 2^53 whatever they are */
#define NUMBER_BYTES_FEW 64              /* beyond, a copy is allocated */

enum kind { KIND_NULL, KIND_FALSE, KIND_TRUE, KIND_NUMBER, KIND_STRING, KIND_ARRAY, KIND_OBJECT };

/* What it reads from; `result` is JSON_OK or JSON_HAS_NUL until something is wrong. */
struct reader {
    const char *p;
    const char *end;
    struct json_document *document;
    int depth;
    enum json_result result;
};

static bool wrong(struct reader *r, enum json_result result)
{
    r->result = result;
    return false;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (unsigned char)*r->p <= ' ' && *r->p != '\0') {
        r->p++;
    }
}

/* Is `c` next? Then it is taken. */
static bool take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c) {
        return false;
    }
    r->p++;
    return true;
}

static bool grow(struct json_document *d)
{
    size_t capacity = d->capacity * 2 < JSON_VALUES_MAX ? d->capacity * 2 : JSON_VALUES_MAX;
    bool first = d->values == d->few;

    if (d->capacity == JSON_VALUES_MAX) {
        return false;
    }
    struct json_value *values = realloc(first ? NULL : d->values, capacity * sizeof *values);
    if (values == NULL) {
        return false;
    }
    if (first) {
        memcpy(values, d->few, sizeof d->few);
    }
    d->values = values;
    d->capacity = capacity;
    return true;
}

/* A new value; NULL when there is no room. The next one may move it. */
static struct json_value *add(struct reader *r, enum kind kind)
{
    struct json_document *d = r->document;

    if (d->count == d->capacity && !grow(d)) {
        wrong(r, JSON_NO_MEMORY);
        return NULL;
    }
    struct json_value *value = &d->values[d->count++];
    value->kind = (unsigned char)kind;
    value->last = false;
    value->span = 1;
    return value;
}

/* ---- strings ----------------------------------------------------------------------------- */

/* Over ASCII that stands for itself. */
static const char *skip_plain(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t word = utf8_word(p);
        uint64_t found = utf8_below(word, 0x20) | utf8_equal(word, '"') | utf8_equal(word, '\\') |
                         (word & UTF8_HIGH);
        if (found != 0) {
            return p + utf8_before(found);
        }
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\') {
        p++;
    }
    return p;
}

/* Four digits behind `\u`; -1 when they are none. */
static int32_t take_hex(struct reader *r)
{
    int32_t value = 0;

    if (r->end - r->p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        if (c >= '0' && c <= '9') {
            value = value * 16 + (c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = value * 16 + ((c | 0x20) - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

static void append_code_point(struct buffer *b, uint32_t c)
{
    if (c < 0x80) {
        buffer_append(b, (char[]){(char)c}, 1);
    } else if (c < 0x800) {
        buffer_append(b, (char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))}, 2);
    } else if (c < 0x10000) {
        buffer_append(b,
                      (char[]){(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3F)),
                               (char)(0x80 | (c & 0x3F))},
                      3);
    } else {
        buffer_append(b,
                      (char[]){(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)),
                               (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F))},
                      4);
    }
}

/* Behind `\u`: a character, of two escapes when it is above U+FFFF. */
static bool take_code_point(struct reader *r)
{
    int32_t high = take_hex(r);
    int32_t low = 0;

    if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF)) {
        return wrong(r, JSON_BAD_SYNTAX);
    }
    if (high == 0) {
        r->result = JSON_HAS_NUL; /* unless what follows is not JSON at all */
    }
    if (high >= 0xD800 && high <= 0xDBFF) {
        low = take(r, '\\') && take(r, 'u') ? take_hex(r) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return wrong(r, JSON_BAD_SYNTAX);
        }
        high = 0x10000 + ((high & 0x3FF) << 10 | (low & 0x3FF));
    }
    append_code_point(&r->document->unescaped, (uint32_t)high);
    return true;
}

/* Behind a backslash. */
static bool take_escape(struct reader *r)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    char c = r->p < r->end ? *r->p++ : '\0';

    if (c == 'u') {
        return take_code_point(r);
    }
    const char *found = c == '\0' ? NULL : strchr(names, c);
    if (found == NULL) {
        return wrong(r, JSON_BAD_SYNTAX);
    }
    buffer_append_char(&r->document->unescaped, meant[found - names]);
    return true;
}

/* The rest of a string that has an escape at `r->p`; what came before begins at `start`. */
static bool take_unescaped(struct reader *r, const char *start, struct slice *out)
{
    struct buffer *b = &r->document->unescaped;

    /* Room for all that follows, at the first escape: earlier strings' slices point into it. */
    if (b->data == NULL && !buffer_reserve(b, (size_t)(r->end - start))) {
        return wrong(r, JSON_NO_MEMORY);
    }
    size_t from = b->size;
    while (r->p < r->end && *r->p != '"') {
        if (*r->p == '\\') {
            buffer_append(b, start, (size_t)(r->p - start));
            r->p++;
            if (!take_escape(r)) {
                return false;
            }
            start = r->p;
        } else if ((unsigned char)*r->p >= 0x80) {
            size_t size = utf8_sequence(r->p, (size_t)(r->end - r->p));
            if (size == 0) {
                return wrong(r, JSON_BAD_UTF8);
            }
            r->p += size;
        } else if ((unsigned char)*r->p < 0x20) {
            return wrong(r, JSON_BAD_SYNTAX);
        }
        r->p = skip_plain(r->p, r->end);
    }
    buffer_append(b, start, (size_t)(r->p - start));
    *out = (struct slice){b->data + from, b->size - from};
    return take(r, '"') || wrong(r, JSON_BAD_SYNTAX);
}

static bool take_string(struct reader *r, struct slice *out)
{
    if (!take(r, '"')) {
        return wrong(r, JSON_BAD_SYNTAX);
    }
    const char *start = r->p;
    for (;;) {
        r->p = skip_plain(r->p, r->end);
        if (r->p == r->end) {
            return wrong(r, JSON_BAD_SYNTAX);
        }
        if (*r->p == '"') {
            *out = (struct slice){start, (size_t)(r->p - start)};
            r->p++;
            return true;
        }
        if (*r->p == '\\') {
            return take_unescaped(r, start, out);
        }
        if ((unsigned char)*r->p < 0x20) {
            return wrong(r, JSON_BAD_SYNTAX);
        }
        size_t size = utf8_sequence(r->p, (size_t)(r->end - r->p));
        if (size == 0) {
            return wrong(r, JSON_BAD_UTF8);
        }
        r->p += size;
    }
}

/* ---- values ------------------------------------------------------------------------------ */

static bool take_value(struct reader *r);

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

/* Whatever is not a few digits. */
static bool take_any_number(struct reader *r, double *out)
{
    char few[NUMBER_BYTES_FEW];
    size_t size = 0;
    char *end;

    while (r->p + size < r->end && is_number_byte(r->p[size])) {
        size++;
    }
    char *copy = size < sizeof few ? few : malloc(size + 1);
    if (copy == NULL) {
        return wrong(r, JSON_NO_MEMORY);
    }
    memcpy(copy, r->p, size);
    copy[size] = '\0';
    *out = strtod(copy, &end);
    size_t taken = (size_t)(end - copy);
    if (copy != few) {
        free(copy);
    }
    r->p += taken;
    return taken > 0 || wrong(r, JSON_BAD_SYNTAX);
}

static bool take_number(struct reader *r, double *out)
{
    const char *p = r->p + (*r->p == '-');
    const char *digits = p;
    int64_t value = 0;

    while (p < r->end && p - digits < INT_DIGITS_MAX && *p >= '0' && *p <= '9') {
        value = value * 10 + (*p++ - '0');
    }
    if (p == digits || (p < r->end && is_number_byte(*p))) {
        return take_any_number(r, out);
    }
    *out = (double)(*r->p == '-' ? -value : value);
    r->p = p;
    return true;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(r->end - r->p) < size || memcmp(r->p, word, size) != 0) {
        return wrong(r, JSON_BAD_SYNTAX);
    }
    r->p += size;
    return true;
}

/* Behind the bracket; `place` is the array's own in the document. */
static bool take_elements(struct reader *r, size_t place)
{
    struct json_document *d = r->document;
    size_t element = 0; /* the last one's place */
    size_t count = 0;

    skip_space(r);
    if (!take(r, ']')) {
        do {
            element = d->count;
            count++;
            if (!take_value(r)) {
                return false;
            }
        } while (take(r, ','));
        if (!take(r, ']')) {
            return wrong(r, JSON_BAD_SYNTAX);
        }
        d->values[element].last = true;
    }
    d->values[place].count = count;
    return true;
}

static bool take_members(struct reader *r, size_t place)
{
    struct json_document *d = r->document;
    size_t count = 0;

    skip_space(r);
    if (!take(r, '}')) {
        do {
            struct json_value *key = add(r, KIND_STRING);
            skip_space(r);
            if (key == NULL || !take_string(r, &key->string)) {
                return false;
            }
            skip_space(r);
            if (!take(r, ':')) {
                return wrong(r, JSON_BAD_SYNTAX);
            }
            count++;
            if (!take_value(r)) {
                return false;
            }
        } while (take(r, ','));
        if (!take(r, '}')) {
            return wrong(r, JSON_BAD_SYNTAX);
        }
    }
    d->values[place].count = count;
    return true;
}

static bool take_container(struct reader *r, enum kind kind)
{
    struct json_document *d = r->document;
    size_t place = d->count;

    r->p++;
    if (r->depth == JSON_DEPTH_MAX) {
        return wrong(r, JSON_BAD_SYNTAX);
    }
    if (add(r, kind) == NULL) {
        return false;
    }
    r->depth++;
    if (!(kind == KIND_ARRAY ? take_elements(r, place) : take_members(r, place))) {
        return false;
    }
    r->depth--;
    d->values[place].span = (uint32_t)(d->count - place);
    return true;
}

/* A value with the white space around it. */
static bool take_value(struct reader *r)
{
    struct json_value *value;
    bool taken;

    skip_space(r);
    char c = r->p < r->end ? *r->p : '\0';
    if (c == '"') {
        value = add(r, KIND_STRING);
        taken = value != NULL && take_string(r, &value->string);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        value = add(r, KIND_NUMBER);
        taken = value != NULL && take_number(r, &value->number);
    } else if (c == '[') {
        taken = take_container(r, KIND_ARRAY);
    } else if (c == '{') {
        taken = take_container(r, KIND_OBJECT);
    } else if (c == 'n') {
        taken = add(r, KIND_NULL) != NULL && take_word(r, "null");
    } else if (c == 't') {
        taken = add(r, KIND_TRUE) != NULL && take_word(r, "true");
    } else if (c == 'f') {
        taken = add(r, KIND_FALSE) != NULL && take_word(r, "false");
    } else {
        taken = wrong(r, JSON_BAD_SYNTAX);
    }
    skip_space(r);
    return taken;
}

/* ---- documents --------------------------------------------------------------------------- */

void json_init(struct json_document *document)
{
    document->values = document->few; /* which stay as they are */
    document->count = 0;
    document->capacity = JSON_VALUES_INLINE;
    buffer_init(&document->unescaped);
}

enum json_result json_parse(struct json_document *out, struct slice text)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    struct reader r = {.document = out};

    r.p = text.size > 0 ? text.data : ""; /* it may be NULL */
    r.end = r.p + text.size;
    json_init(out);
    if (text.size >= 3 && memcmp(text.data, byte_order_mark, 3) == 0) {
        r.p += 3;
    }
    if (take_value(&r) && r.p < r.end) {
        wrong(&r, JSON_BAD_SYNTAX);
    }
    if (r.result == JSON_BAD_SYNTAX && !utf8_valid(text)) {
        r.result = JSON_BAD_UTF8;
    }
    if (r.result != JSON_OK) {
        out->count = 0;
    }
    return r.result;
}

void json_release(struct json_document *document)
{
    if (document->values != document->few) {
        free(document->values);
    }
    buffer_release(&document->unescaped);
    json_init(document);
}

const struct json_value *json_root(const struct json_document *document)
{
    return document->count > 0 ? document->values : NULL;
}

static bool is(const struct json_value *value, enum kind kind)
{
    return value != NULL && value->kind == (unsigned char)kind;
}

bool json_is_object(const struct json_value *value)
{
    return is(value, KIND_OBJECT);
}

bool json_is_array(const struct json_value *value)
{
    return is(value, KIND_ARRAY);
}

bool json_bool(const struct json_value *value, bool *out)
{
    if (value == NULL || (value->kind != KIND_TRUE && value->kind != KIND_FALSE)) {
        return false;
    }
    *out = value->kind == KIND_TRUE;
    return true;
}

bool json_is_null(const struct json_value *value)
{
    return is(value, KIND_NULL);
}

const struct json_value *json_get(const struct json_value *object, const char *key)
{
    struct slice wanted = slice_of(key);

    if (!json_is_object(object)) {
        return NULL;
    }
    const struct json_value *name = object + 1;
    for (size_t i = 0; i < object->count; i++) {
        if (slice_equals(name->string, wanted)) {
            return name + 1;
        }
        name += 1 + name[1].span;
    }
    return NULL;
}

size_t json_count(const struct json_value *array)
{
    return json_is_array(array) ? array->count : 0;
}

const struct json_value *json_first(const struct json_value *array)
{
    return json_count(array) > 0 ? array + 1 : NULL;
}

const struct json_value *json_next(const struct json_value *element)
{
    return element->last ? NULL : element + element->span;
}

bool json_string(const struct json_value *value, struct slice *out)
{
    if (!is(value, KIND_STRING)) {
        return false;
    }
    *out = value->string;
    return true;
}

bool json_int(const struct json_value *value, int64_t *out)
{
    if (!is(value, KIND_NUMBER) || value->number != floor(value->number) ||
        fabs(value->number) > INT_MAX_EXACT) {
        return false;
    }
    *out = (int64_t)value->number;
    return true;
}

bool json_double(const struct json_value *value, double *out)
{
    if (!is(value, KIND_NUMBER)) {
        return false;
    }
    *out = value->number;
    return true;
}
