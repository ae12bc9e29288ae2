/*
 * scenario_conf.h - scenario.conf as it is written, before any log file is looked at.
 *
 * The notation is described in scenario.h. Every complaint is one line,
 * `file:line: what is wrong and what would be right`.
 *
 * Threads: a conf belongs to one thread at a time.
 */
#ifndef HARNESS_SCENARIO_CONF_H
#define HARNESS_SCENARIO_CONF_H

#include "harness/scenario/scenario.h"

struct conf_ids {
    int64_t *items; /* ascending, none twice */
    size_t count;
    size_t capacity;
};

struct conf_topic {
    char *name;
    int64_t line; /* of the conf, from 1 */
    struct conf_ids producers;
    struct conf_ids consumers;
};

struct conf_fault {
    struct scenario_fault fault; /* its target may still be TARGET_STORE */
    int64_t line;
};

struct conf_seek {
    char *topic;
    int64_t consumer; /* the 1 of C1 */
    int64_t after;
    int64_t offset;
    int64_t line;
};

struct scenario_conf {
    char *title; /* NULL: none given */
    char *logs;  /* NULL: none given */
    int64_t logs_line;
    enum scenario_store store; /* STORE_UNSAID: none given */
    int64_t store_line;
    int64_t recovery_ms; /* 0: none given */
    int64_t recovery_line;
    int64_t retention_bytes; /* 0: none given */
    int64_t retention_line;
    int64_t seed; /* SEED_NONE: none given */
    int64_t seed_line;
    char *postgres; /* NULL: none given */
    int64_t postgres_line;
    struct {
        struct conf_topic *items;
        size_t count;
        size_t capacity;
    } topics;
    struct {
        struct conf_seek *items;
        size_t count;
        size_t capacity;
    } seeks;
    struct {
        struct conf_fault *items;
        size_t count;
        size_t capacity;
    } faults;
};

bool scenario_conf_load(const char *path, struct scenario_conf **out, char *error,
                        size_t error_size);

void scenario_conf_destroy(struct scenario_conf *conf); /* NULL is fine */

#endif
