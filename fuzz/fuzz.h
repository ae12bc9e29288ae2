/*
 * fuzz.h - what any bytes may be given to.
 *
 * A target takes whatever it is given, and aborts when something is wrong: an assertion, or what
 * a sanitizer finds. The same targets run under libFuzzer (`make fuzz`) and, with gcc, over the
 * kept corpus (tests/test_corpus.c): corpus/NAME has a folder's worth of inputs for fuzz_NAME.
 *
 * Threads: one at a time.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

typedef void fuzz_target(const uint8_t *data, size_t size);

fuzz_target fuzz_json;    /* our JSON against cJSON, and there and back */
fuzz_target fuzz_http;    /* one request with any parameters, on a broker */
fuzz_target fuzz_calls;   /* a program of calls, on a broker, against a model */
fuzz_target fuzz_logfile; /* a producer's log file */

/* X(name): all of them. */
#define FUZZ_TARGETS(X) X(json) X(http) X(calls) X(logfile)

#endif
