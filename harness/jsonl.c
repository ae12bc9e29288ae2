/*
 * jsonl.c - a line in memory at a time, whatever the file's size.
 */
#include "harness/jsonl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSONL_REASON_BYTES_MAX 512

struct reader {
    const char *path;
    int64_t line;
    char *error;
    size_t error_size;
};

static bool complain(const struct reader *r, const char *reason)
{
    snprintf(r->error, r->error_size, "%s:%" PRId64 ": %s", r->path, r->line, reason);
    return false;
}

static bool line_take(const struct reader *r, struct slice text, jsonl_take *take, void *arg)
{
    char reason[JSONL_REASON_BYTES_MAX] = "";
    struct json_document document;
    bool whole = text.size > 0 && text.data[text.size - 1] == '\n';

    text.size -= whole;
    if (text.size == 0) {
        return true;
    }
    if (json_parse(&document, text) != JSON_OK) {
        json_release(&document);
        return !whole || complain(r, "not a JSON object");
    }
    const struct json_value *object = json_root(&document);
    bool ok = json_is_object(object) && take(arg, object, reason, sizeof reason);
    json_release(&document);
    return ok || complain(r, reason[0] == '\0' ? "not a JSON object" : reason);
}

enum jsonl_result jsonl_read(const char *path, jsonl_take *take, void *arg, char *error,
                             size_t error_size)
{
    struct reader r = {path, 0, error, error_size};
    char *line = NULL;
    size_t capacity = 0;
    bool ok = true;

    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT) {
        return JSONL_ABSENT;
    }
    if (file == NULL) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(errno));
        return JSONL_BAD;
    }
    while (ok) {
        ssize_t size = getline(&line, &capacity, file);
        if (size < 0) {
            break;
        }
        r.line++;
        ok = line_take(&r, (struct slice){line, (size_t)size}, take, arg);
    }
    if (ok && !feof(file)) {
        ok = complain(&r, strerror(errno));
    }
    free(line);
    fclose(file);
    return ok ? JSONL_OK : JSONL_BAD;
}

bool jsonl_int(const struct json_value *object, const char *key, int64_t *out)
{
    return json_int(json_get(object, key), out);
}

bool jsonl_string(const struct json_value *object, const char *key, struct slice *out)
{
    return json_string(json_get(object, key), out);
}

bool jsonl_time(const struct json_value *object, const char *key, int64_t *out)
{
    double value;
    if (!json_double(json_get(object, key), &value) || !(value >= 0 && value < 9e18)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

bool jsonl_is(const struct json_value *object, const char *key, const char *value)
{
    struct slice s;
    return jsonl_string(object, key, &s) && slice_equals(s, slice_of(value));
}
