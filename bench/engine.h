/*
 * engine.h - drives the connections of a run and counts what comes back.
 *
 * Closed loop (rate 0): every connection sends its next request as soon as the last is
 * answered. Open loop: requests are due at even intervals, whether or not there is a
 * connection free to send them; one that has to wait counts from when it was due, so a
 * server that stalls is charged for all that it kept waiting.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "bench/load.h"

struct outcome {
    struct histogram *latency; /* ns, of all requests from the end of the warm-up on */
    int64_t requests;          /* answered with success in the measured time */
    int64_t messages;
    int64_t empty; /* answers that said that there was nothing */
    int64_t errors;
    double duration_s;                /* the measured time */
    char error[LOAD_ERROR_BYTES_MAX]; /* the first error; empty: none */
};

/* Run it to its end: connect, warm up, measure, wait for what is in flight. false: it could not
 * be started, `outcome->error` says why. To be released either way. Threads: the main one. */
bool engine_run(struct load *load, struct outcome *outcome);
void outcome_release(struct outcome *outcome);

#endif
