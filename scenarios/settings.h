/*
 * settings.h - the options of myqueue-produce and myqueue-consume: one table for both, read
 * from the command line and, where that is silent, from the environment.
 *
 * Threads: call before the first thread is started.
 */
#ifndef SCENARIOS_SETTINGS_H
#define SCENARIOS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum settings_program { SETTINGS_PRODUCE = 1, SETTINGS_CONSUME = 2 };

enum { SETTINGS_TOPICS_MAX = 1024, SETTINGS_SEEKS_MAX = 64 };

/* Once its file has `after` lines of the topic, the consumer goes on at `offset` of it. */
struct settings_seek {
    const char *topic; /* one of the topics */
    int64_t after;     /* ascending for each topic */
    int64_t offset;
};

/* Texts are borrowed from argv and the environment. */
struct settings {
    int id;
    const char *topics[SETTINGS_TOPICS_MAX];
    size_t topic_count;
    char *topics_text; /* where topics from the environment are; owned */
    const char *broker;
    const char *logs;
    const char *history; /* NULL: none */
    const char *state;   /* NULL: none */
    int retry_s;
    bool pace_real;                                 /* produce */
    const char *gate;                               /* produce; NULL: none */
    int idle_s;                                     /* consume */
    int64_t expect;                                 /* consume; -1: not known */
    struct settings_seek seeks[SETTINGS_SEEKS_MAX]; /* consume */
    size_t seek_count;
};

enum settings_result {
    SETTINGS_RUN,
    SETTINGS_EXIT, /* --help or --version was printed */
    SETTINGS_BAD,  /* one line is on stderr */
};

enum settings_result settings_parse(enum settings_program program, int argc, char **argv,
                                    struct settings *settings);

void settings_release(struct settings *settings);

#endif
