/*
 * crashpoint.c - the table of crashpoint.h, and the end of a process that was armed.
 *
 * What is said of the crash goes out by one write(2), before the signal: in the log of a process
 * that died so, the step is the last line.
 */
#include "common/crashpoint.h"

#include <string.h>

#ifdef CRASH_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#endif

const struct crash_step_row crash_steps[CRASH_STEP_COUNT] = {
#define CRASH_STEP_ROW_(step, name, stores, when, words) {(name), (stores), (when), (words)},
    CRASH_STEPS(CRASH_STEP_ROW_)
#undef CRASH_STEP_ROW_
};

enum crash_step crashpoint_find(const char *name, size_t length)
{
    int step = 0;

    while (step < CRASH_STEP_COUNT && (strlen(crash_steps[step].name) != length ||
                                       memcmp(crash_steps[step].name, name, length) != 0)) {
        step++;
    }
    return (enum crash_step)step;
}

#ifndef CRASH_POINTS

bool crashpoints_built(void)
{
    return false;
}

#else

static enum crash_step armed = CRASH_STEP_COUNT; /* none */
static long armed_hit;
static atomic_long hits;

bool crashpoints_built(void)
{
    return true;
}

static void list_steps(char *out, size_t size)
{
    for (int i = 0; i < CRASH_STEP_COUNT; i++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "\n  %-18s %s", crash_steps[i].name,
                 crash_steps[i].words);
    }
}

bool crashpoint_arm(const char *words, char *error, size_t size)
{
    if (words == NULL || words[0] == '\0') {
        return true;
    }
    const char *colon = strchr(words, ':');
    char *end = NULL;
    armed = crashpoint_find(words, colon != NULL ? (size_t)(colon - words) : strlen(words));
    armed_hit = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
    if (armed < CRASH_STEP_COUNT && armed_hit > 0 && *end == '\0') {
        return true;
    }
    armed = CRASH_STEP_COUNT;
    snprintf(error, size, "'%s' is not STEP:HIT, HIT from 1, STEP one of", words);
    list_steps(error, size);
    return false;
}

void crashpoints_print(void)
{
    for (int i = 0; i < CRASH_STEP_COUNT; i++) {
        const struct crash_step_row *row = &crash_steps[i];
        printf("%s\t%s\t%s\t%s\n", row->name, row->stores, row->when, row->words);
    }
}

void crashpoint_pass(enum crash_step step)
{
    char line[80];

    if (step != armed || atomic_fetch_add(&hits, 1) + 1 != armed_hit) {
        return;
    }
    int length = snprintf(line, sizeof line, "crash_point step=%s hit=%ld\n",
                          crash_steps[step].name, armed_hit);
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written; /* it ends here anyhow */
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

#endif
