/*
 * operations.h - what a client did around a moment: operations of every kind, by time.
 *
 * Requests set the frame, as they are what was really asked: a few before the moment and behind
 * it. Of the other kinds the next ones within that frame are shown.
 *
 * Threads: any.
 */
#ifndef HARNESS_OPERATIONS_H
#define HARNESS_OPERATIONS_H

#include "harness/history/history.h"

#define OPERATIONS_MAX 27 /* 7 requests, and 4 of each of the five other kinds */

struct operation {
    const char *name; /* "register", "send", "receive", "size", "seek", "request" */
    uint32_t path;    /* a request's, a text; TEXT_NONE: none */
    uint32_t topic;
    const char
        *noun; /* what `number` is: "offset", "sequence", "line", "id"; NULL: there is none */
    int64_t number;
    int64_t begin_ns;
    int64_t end_ns; /* TIME_NONE: no end was recorded */
    enum outcome outcome;
    int32_t http; /* status of the answer; 0: none, or it is no request */
    uint32_t code;
    int64_t size; /* that was told; NUMBER_NONE: none */
};

/*
 * Those of a process ("P1", "C2") around a moment, by when they began.
 *
 * out   has room for OPERATIONS_MAX
 * at    becomes the index of the last that had begun by then, or 0
 *
 * Returns how many there are; 0 for a process that is no client or did nothing.
 */
size_t operations_around(const struct history *h, const char *process, int64_t moment_ns,
                         struct operation *out, size_t *at);

#endif
