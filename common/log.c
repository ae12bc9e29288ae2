/*
 * log.c - a line is put together in a buffer of its thread's stack and written at once.
 * A line that is too long is cut at LOG_LINE_BYTES_MAX.
 */
#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES_MAX 2048

static enum log_level level_max = LOG_INFO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct line {
    char bytes[LOG_LINE_BYTES_MAX];
    size_t size;
};

static void line_char(struct line *line, char c)
{
    if (line->size < sizeof line->bytes - 1) {
        line->bytes[line->size++] = c;
    }
}

static void line_string(struct line *line, const char *string)
{
    for (const char *p = string; *p != '\0'; p++) {
        line_char(line, *p);
    }
}

static bool needs_quotes(const char *value)
{
    if (*value == '\0') {
        return true;
    }
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
        if (*p <= ' ' || *p == '"' || *p == '\\' || *p == '=' || *p == 127) {
            return true;
        }
    }
    return false;
}

static void line_value(struct line *line, const char *value)
{
    if (!needs_quotes(value)) {
        line_string(line, value);
        return;
    }
    line_char(line, '"');
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            line_char(line, '\\');
            line_char(line, (char)*p);
        } else if (*p < ' ' || *p == 127) {
            line_char(line, ' '); /* libpq's messages end with a newline */
        } else {
            line_char(line, (char)*p);
        }
    }
    line_char(line, '"');
}

static void line_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char text[40];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + size, sizeof text - size, ".%03dZ ", (int)(now.tv_nsec / 1000000));
    line_string(line, text);
}

void log_set_level(enum log_level level)
{
    level_max = level;
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    if (level > level_max) {
        return;
    }
    struct line line = {.size = 0};
    line_time(&line);
    line_string(&line, level_names[level]);
    line_char(&line, ' ');
    line_string(&line, event);
    for (size_t i = 0; i < count; i++) {
        char digits[24];
        line_char(&line, ' ');
        line_string(&line, fields[i].key);
        line_char(&line, '=');
        if (fields[i].string == NULL) {
            snprintf(digits, sizeof digits, "%lld", (long long)fields[i].integer);
        }
        line_value(&line, fields[i].string != NULL ? fields[i].string : digits);
    }
    line.bytes[line.size++] = '\n';
    /* Nobody is left to be told when stderr cannot be written. */
    ssize_t written = write(STDERR_FILENO, line.bytes, line.size);
    (void)written;
}
