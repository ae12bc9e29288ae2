/*
 * jsonl.h - a file of JSON objects, one a line.
 *
 * Threads: any; a file belongs to one call.
 */
#ifndef HARNESS_JSONL_H
#define HARNESS_JSONL_H

#include "harness/history/event.h"

enum jsonl_result {
    JSONL_OK,
    JSONL_ABSENT, /* there is no such file */
    JSONL_BAD,    /* one line is in `error` */
};

/* Takes one object; false with a reason in `reason` when it makes no sense. */
typedef bool jsonl_take(void *arg, const struct json_value *object, char *reason,
                        size_t reason_size);

/*
 * Hand every line's object to `take`, in order. Empty lines are skipped. A last line
 * that has no newline and is not JSON is what a killed process leaves: it is skipped too.
 */
enum jsonl_result jsonl_read(const char *path, jsonl_take *take, void *arg, char *error,
                             size_t error_size);

/* Takes one line as an event, like jsonl_take. */
typedef bool jsonl_take_event(void *arg, const struct event *event, char *reason,
                              size_t reason_size);

/* The same for events: see event.h. */
enum jsonl_result jsonl_read_events(const char *path, jsonl_take_event *take, void *arg,
                                    char *error, size_t error_size);

/* The same of a file that is written at once: a torn last line is an error. */
enum jsonl_result jsonl_read_whole(const char *path, jsonl_take_event *take, void *arg, char *error,
                                   size_t error_size);

/* Typed members; false when there is none or it is of another kind. */
bool jsonl_int(const struct json_value *object, const char *key, int64_t *out);
bool jsonl_string(const struct json_value *object, const char *key, struct slice *out);

/* Nanoseconds, also beyond 2^53 (a machine that is up for more than 104 days). */
bool jsonl_time(const struct json_value *object, const char *key, int64_t *out);

/* true when the member is exactly this string. */
bool jsonl_is(const struct json_value *object, const char *key, const char *value);

#endif
