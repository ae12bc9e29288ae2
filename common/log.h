/*
 * log.h - one line of key=value per event, on stderr.
 *
 *   2026-11-21T07:00:00.123Z info listening listen=127.0.0.1:5000 store=postgres
 *
 * A line is one write(2), so lines of several threads never mix. Values that hold
 * spaces, quotes or control characters are quoted. A message's body is never
 * logged above debug.
 * Threads: any. Locks: none may be held (it writes to a file).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One key=value pair; use LOG_STR and LOG_INT to make one. */
struct log_field {
    const char *key;
    const char *string; /* NULL: the integer counts */
    int64_t integer;
};

#define LOG_STR(key, value) ((struct log_field){(key), (value), 0})
#define LOG_INT(key, value) ((struct log_field){(key), NULL, (int64_t)(value)})

/* Lines above this level are dropped; LOG_INFO at first. Set before the threads start. */
void log_set_level(enum log_level level);

/* "error" | "warn" | "info" | "debug"; false when it is none of them. */
bool log_level_parse(const char *name, enum log_level *out);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

#define LOG_FIELDS_(...) ((const struct log_field[]){__VA_ARGS__})
#define LOG_EVENT_(level, event, ...)                                                              \
    log_write((level), (event), LOG_FIELDS_(__VA_ARGS__),                                          \
              sizeof LOG_FIELDS_(__VA_ARGS__) / sizeof(struct log_field))

/* log_info("event", LOG_STR("key", value), …): at least one field. */
#define log_error(event, ...) LOG_EVENT_(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) LOG_EVENT_(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) LOG_EVENT_(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) LOG_EVENT_(LOG_DEBUG, event, __VA_ARGS__)

#endif
