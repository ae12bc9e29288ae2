/*
 * state.h - what lets a program that was killed go on as the same, kept in a file as it runs.
 *
 *   myqueue-produce 1      whose it is
 *   life                   a line for each time that it was started
 *   7 12 12 T1             id, lines dealt with, next sequence or offset, topic; the last counts
 *
 * Every change is one write(2) at the end, so what a killed program had noted is there; a last
 * line that is not whole is cut off. The ids are on the disk before anything is done under them;
 * the rest need not be: what is noted too late is sent again, and is known by its sequence.
 *
 * Threads: one at a time.
 */
#ifndef SCENARIOS_STATE_H
#define SCENARIOS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scenarios/settings.h"

struct state_topic {
    const char *topic; /* borrowed */
    int64_t client_id; /* -1: not registered yet */
    int64_t lines;     /* a producer's: of its file, for this topic, that are dealt with */
    int64_t next;      /* a producer's: the next sequence; a consumer's: its first offset */
};

struct state {
    int file; /* -1: nothing is kept */
    const char *path;
    int64_t life;                                   /* from 1 */
    int failed;                                     /* errno of the first write that failed, or 0 */
    struct state_topic topics[SETTINGS_TOPICS_MAX]; /* as in the settings, same indices */
    size_t topic_count;
};

/* Begin a life. `settings->state` NULL: it is the first, and nothing is kept. `owner` is the
 * file's first line. false: one line is on stderr. */
bool state_open(struct state *state, const struct settings *settings, const char *owner);

/* Keep what `state->topics[topic]` says now. */
void state_note(struct state *state, size_t topic);

/* What is noted is on the disk when this returns. */
void state_sync(struct state *state);

/* Has any topic been registered for, in this life or one before? */
bool state_registered(const struct state *state);

/* false when something could not be kept; one line is on stderr. */
bool state_close(struct state *state);

#endif
