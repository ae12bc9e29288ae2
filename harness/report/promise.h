/*
 * promise.h - what a check says of a promise, in a word: for the report, result.json,
 * junit.xml and TAP, so that all say the same.
 *
 * Threads: any.
 */
#ifndef HARNESS_PROMISE_H
#define HARNESS_PROMISE_H

#include "harness/check/check.h"

enum promise_state {
    PROMISE_KEPT,
    PROMISE_BROKEN,
    PROMISE_UNKNOWN,      /* not seen well enough to say */
    PROMISE_NOT_CLAIMED,  /* broken, but the system under test does not claim it */
    PROMISE_NOT_PROMISED, /* broken by a lost answer, which plain calls do not promise to survive */
    PROMISE_NOT_CHECKED,  /* nothing in this run could have broken it */
};

enum promise_state promise_state(const struct check_promise *promise);

/* "not checked" */
const char *promise_state_name(enum promise_state state);

/* How many items make it what it is; 0 of what is kept or was not checked. */
int64_t promise_items(const struct check_promise *promise);

#endif
