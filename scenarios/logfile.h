/*
 * logfile.h - a producer's log file: what it sends, where, and what may go together.
 *
 * A line is
 *
 *     21:52:23    INFO user 17 signed in    P1-1    T1
 *     time        message                   label   topic
 *
 * with any run of spaces and tabs between the fields. The first field is the time, the last
 * the topic, the last but one the label; the message is all between them, with its own
 * spaces and tabs inside. So label and topic have no spaces. Lines that follow each other
 * with one label are a round, which may be sent at once.
 *
 * What is tolerated: CRLF, a missing newline at the end, blanks around a line, blank lines,
 * a byte order mark. What is refused, before anything is sent: a line with fewer than four
 * fields, a time that is none, a NUL, a topic that cannot be one, text that is not UTF-8,
 * lines and files over the limits below, a file without a line.
 *
 * Needs nothing of this project. Threads: one at a time.
 */
#ifndef SCENARIOS_LOGFILE_H
#define SCENARIOS_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    LOGFILE_LINE_BYTES_MAX = 1024 * 1024 + 1024, /* the longest message, and what is around it */
    LOGFILE_BYTES_MAX = 1024 * 1024 * 1024,
    LOGFILE_TOPIC_BYTES_MAX = 200,
    LOGFILE_ERROR_BYTES = 512,
};

struct logfile_line {
    int number;          /* in the file, from 1, counting blank lines too */
    int time_s;          /* since midnight */
    size_t round;        /* from 0; the same for neighbours with the same label */
    const char *message; /* `message_length` bytes and a NUL */
    size_t message_length;
    const char *label;
    const char *topic;
};

struct logfile {
    struct logfile_line *lines;
    size_t count;
    size_t rounds;
    char *bytes; /* what the lines point into */
};

/*
 * Read a whole file. False, with "FILE:LINE: reason; what would be right" in `error`
 * (LOGFILE_ERROR_BYTES), when it cannot be read or one line is bad; then nothing is left to
 * release.
 */
bool logfile_read(const char *path, struct logfile *file, char *error);

/* The same for bytes in memory; `path` is for the error. Takes over `bytes`, which is from
 * malloc and has room for one more byte than `length`. */
bool logfile_parse(const char *path, char *bytes, size_t length, struct logfile *file, char *error);

void logfile_release(struct logfile *file);

#endif
