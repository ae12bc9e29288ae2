/*
 * logfile.c - see logfile.h. The file is read whole and cut up in place.
 */
#include "scenarios/logfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char blanks[] = " \t";

struct parser {
    const char *path;
    char *error;
    int number; /* of the line at hand */
    struct logfile *file;
    size_t room; /* lines that fit */
};

static bool parser_refuse(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool parser_refuse(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    int length =
        snprintf(parser->error, LOGFILE_ERROR_BYTES, "%.200s:%d: ", parser->path, parser->number);
    va_start(arguments, format);
    vsnprintf(parser->error + length, LOGFILE_ERROR_BYTES - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- one line --------------------------------------------------------------------- */

/* Index of the first byte that is not UTF-8, or `length`. */
static size_t utf8_valid_length(const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < length) {
        unsigned char c = p[i];
        size_t size = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
        if (size == 0 || size > length - i) {
            return i;
        }
        for (size_t k = 1; k < size; k++) {
            if ((p[i + k] & 0xC0) != 0x80) {
                return i;
            }
        }
        /* Overlong forms, surrogates, above U+10FFFF: all show in the second byte. */
        if ((c == 0xE0 && p[i + 1] < 0xA0) || (c == 0xED && p[i + 1] > 0x9F) ||
            (c == 0xF0 && p[i + 1] < 0x90) || (c == 0xF4 && p[i + 1] > 0x8F)) {
            return i;
        }
        i += size;
    }
    return length;
}

/* Cut off the last field of the text that ends at `*end`, and the blanks before it. NULL
 * when nothing comes before the field. */
static char *field_cut_last(char *start, char **end)
{
    char *field = *end;
    while (field > start && strchr(blanks, field[-1]) == NULL) {
        field--;
    }
    char *before = field;
    while (before > start && strchr(blanks, before[-1]) != NULL) {
        before--;
    }
    if (before == start || field == *end) {
        return NULL;
    }
    *before = '\0';
    *end = before;
    return field;
}

static bool two_digits(const char *text, int below, int *value)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') {
        return false;
    }
    *value = (text[0] - '0') * 10 + (text[1] - '0');
    return *value < below;
}

/* "HH:MM:SS" at the start of a line, with a blank behind it. */
static bool time_parse(const char *text, int *time_s)
{
    int hours, minutes, seconds;
    if (strcspn(text, blanks) != 8 || text[2] != ':' || text[5] != ':' ||
        !two_digits(text, 24, &hours) || !two_digits(text + 3, 60, &minutes) ||
        !two_digits(text + 6, 60, &seconds)) {
        return false;
    }
    *time_s = (hours * 60 + minutes) * 60 + seconds;
    return true;
}

static bool topic_check(struct parser *parser, const char *topic)
{
    size_t length = strlen(topic);
    if (length > LOGFILE_TOPIC_BYTES_MAX) {
        return parser_refuse(parser, "the topic has %zu bytes; at most %d are allowed", length,
                             LOGFILE_TOPIC_BYTES_MAX);
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)topic[i] < 0x20 || topic[i] == 0x7F) {
            return parser_refuse(parser, "the topic holds the control character 0x%02X",
                                 (unsigned char)topic[i]);
        }
    }
    return true;
}

/* The fields of a line without blanks around it. */
static bool line_parse(struct parser *parser, char *start, size_t length, struct logfile_line *line)
{
    size_t valid = utf8_valid_length(start, length);
    if (valid < length) {
        return parser_refuse(parser, "byte %zu (0x%02X) is not UTF-8", valid + 1,
                             (unsigned char)start[valid]);
    }
    if (!time_parse(start, &line->time_s)) {
        return parser_refuse(parser, "'%.*s' is not a time; expected HH:MM:SS",
                             (int)(strcspn(start, blanks) < 40 ? strcspn(start, blanks) : 40),
                             start);
    }
    char *message = start + 8;
    message += strspn(message, blanks);
    char *end = start + length;
    line->topic = field_cut_last(message, &end);
    line->label = line->topic != NULL ? field_cut_last(message, &end) : NULL;
    if (line->label == NULL) {
        return parser_refuse(parser, "a field is missing; expected time, message, label and "
                                     "topic, with tabs between them");
    }
    line->number = parser->number;
    line->message = message;
    line->message_length = (size_t)(end - message);
    return topic_check(parser, line->topic);
}

/* ---- all lines -------------------------------------------------------------------- */

static bool lines_reserve(struct parser *parser)
{
    struct logfile *file = parser->file;
    if (file->count < parser->room) {
        return true;
    }
    size_t room = parser->room == 0 ? 1024 : parser->room * 2;
    struct logfile_line *lines = realloc(file->lines, room * sizeof *lines);
    if (lines == NULL) {
        return parser_refuse(parser, "out of memory");
    }
    file->lines = lines;
    parser->room = room;
    return true;
}

static bool parser_take(struct parser *parser, char *start, size_t length)
{
    struct logfile *file = parser->file;
    if (length > LOGFILE_LINE_BYTES_MAX) {
        return parser_refuse(parser, "the line has %zu bytes; at most %d are allowed", length,
                             LOGFILE_LINE_BYTES_MAX);
    }
    if (memchr(start, '\0', length) != NULL) {
        return parser_refuse(parser, "the line holds a NUL byte; a log file is text");
    }
    if (length > 0 && start[length - 1] == '\r') {
        length--;
    }
    while (length > 0 && strchr(blanks, start[length - 1]) != NULL) {
        length--;
    }
    start[length] = '\0';
    size_t indent = strspn(start, blanks);
    if (indent == length) {
        return true; /* a blank line */
    }
    if (!lines_reserve(parser)) {
        return false;
    }
    struct logfile_line *line = &file->lines[file->count];
    if (!line_parse(parser, start + indent, length - indent, line)) {
        return false;
    }
    if (file->count == 0 || strcmp(line[-1].label, line->label) != 0) {
        file->rounds++;
    }
    line->round = file->rounds - 1;
    file->count++;
    return true;
}

bool logfile_parse(const char *path, char *bytes, size_t length, struct logfile *file, char *error)
{
    struct parser parser = {.path = path, .error = error, .file = file};
    *file = (struct logfile){.bytes = bytes};
    error[0] = '\0';
    char *end = bytes + length;
    char *next = bytes;
    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        next += 3;
    }
    while (next < end) {
        char *newline = memchr(next, '\n', (size_t)(end - next));
        char *stop = newline != NULL ? newline : end;
        parser.number++;
        if (!parser_take(&parser, next, (size_t)(stop - next))) {
            logfile_release(file);
            return false;
        }
        next = stop + 1;
    }
    if (file->count == 0) {
        snprintf(error, LOGFILE_ERROR_BYTES, "%.200s: the file has no line to send", path);
        logfile_release(file);
        return false;
    }
    return true;
}

/* The whole file in memory, with room for one byte more; NULL with errno set. */
static char *file_load(const char *path, size_t *length)
{
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        return NULL;
    }
    struct stat info;
    char *bytes = NULL;
    errno = 0;
    if (fstat(fileno(stream), &info) == -1) {
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        goto done;
    }
    if (info.st_size > LOGFILE_BYTES_MAX) {
        errno = EFBIG;
        goto done;
    }
    bytes = malloc((size_t)info.st_size + 1);
    if (bytes == NULL) {
        goto done;
    }
    *length = fread(bytes, 1, (size_t)info.st_size, stream);
    if (ferror(stream) != 0) {
        free(bytes);
        bytes = NULL;
    }
done:;
    int failed = errno;
    fclose(stream);
    errno = failed;
    return bytes;
}

bool logfile_read(const char *path, struct logfile *file, char *error)
{
    size_t length;
    char *bytes = file_load(path, &length);
    if (bytes == NULL) {
        snprintf(error, LOGFILE_ERROR_BYTES, "cannot read %.200s: %s", path, strerror(errno));
        return false;
    }
    return logfile_parse(path, bytes, length, file, error);
}

void logfile_release(struct logfile *file)
{
    free(file->lines);
    free(file->bytes);
    *file = (struct logfile){0};
}
