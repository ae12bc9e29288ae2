/*
 * jsonl.c - a line in memory at a time, whatever the file's size.
 */
#include "harness/history/jsonl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSONL_REASON_BYTES_MAX 512

#define READ_BYTES (1024 * 1024)

struct reader {
    bool whole;       /* the file must end with a whole line */
    jsonl_take *take; /* or */
    jsonl_take_event *take_event;
    void *arg;
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

static bool object_take(const struct reader *r, const struct json_value *object, char *reason,
                        size_t reason_size)
{
    struct event event;

    if (!json_is_object(object)) {
        return false;
    }
    if (r->take != NULL) {
        return r->take(r->arg, object, reason, reason_size);
    }
    event_of_json(&event, object);
    return r->take_event(r->arg, &event, reason, reason_size);
}

static bool line_take(const struct reader *r, struct slice text)
{
    char reason[JSONL_REASON_BYTES_MAX] = "";
    struct json_document document;
    struct event event;
    bool whole = text.size > 0 && text.data[text.size - 1] == '\n';

    text.size -= whole;
    if (text.size == 0) {
        return true;
    }
    if (r->whole && !whole) {
        return complain(r, "the line is cut off: the file was not written to its end");
    }
    if (r->take_event != NULL && event_scan(&event, text)) {
        return r->take_event(r->arg, &event, reason, sizeof reason) || complain(r, reason);
    }
    if (json_parse(&document, text) != JSON_OK) {
        json_release(&document);
        return !whole || complain(r, "not a JSON object");
    }
    bool ok = object_take(r, json_root(&document), reason, sizeof reason);
    json_release(&document);
    return ok || complain(r, reason[0] == '\0' ? "not a JSON object" : reason);
}

static enum jsonl_result lines_read(struct reader *r)
{
    char *line = NULL;
    size_t capacity = 0;
    bool ok = true;

    FILE *file = fopen(r->path, "re");
    if (file == NULL && errno == ENOENT) {
        return JSONL_ABSENT;
    }
    if (file == NULL) {
        snprintf(r->error, r->error_size, "%s: cannot be read: %s", r->path, strerror(errno));
        return JSONL_BAD;
    }
    setvbuf(file, NULL, _IOFBF, READ_BYTES);
    while (ok) {
        ssize_t size = getline(&line, &capacity, file);
        if (size < 0) {
            break;
        }
        r->line++;
        ok = line_take(r, (struct slice){line, (size_t)size});
    }
    if (ok && !feof(file)) {
        ok = complain(r, strerror(errno));
    }
    free(line);
    fclose(file);
    return ok ? JSONL_OK : JSONL_BAD;
}

enum jsonl_result jsonl_read(const char *path, jsonl_take *take, void *arg, char *error,
                             size_t error_size)
{
    struct reader r = {
        .take = take, .arg = arg, .path = path, .error = error, .error_size = error_size};
    return lines_read(&r);
}

enum jsonl_result jsonl_read_events(const char *path, jsonl_take_event *take, void *arg,
                                    char *error, size_t error_size)
{
    struct reader r = {
        .take_event = take, .arg = arg, .path = path, .error = error, .error_size = error_size};
    return lines_read(&r);
}

enum jsonl_result jsonl_read_whole(const char *path, jsonl_take_event *take, void *arg, char *error,
                                   size_t error_size)
{
    struct reader r = {.whole = true,
                       .take_event = take,
                       .arg = arg,
                       .path = path,
                       .error = error,
                       .error_size = error_size};
    return lines_read(&r);
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
