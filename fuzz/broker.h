/*
 * broker.h - a whole broker within the target: HTTP server, API, core, committer, memory store.
 *
 * It starts at the first use and ends with the process. Requests go over one connection, whose
 * answers are read whole; a broker that does not answer as HTTP, or closes, aborts.
 */
#ifndef FUZZ_BROKER_H
#define FUZZ_BROKER_H

#include "common/json.h"

#define FUZZ_MESSAGE_BYTES_MAX 1000

struct answer {
    int http;
    struct buffer text; /* the body */
    struct json_document json;
    const struct json_value *root;
};

/* `request` is one request with its head and body. `out` is to be released; its body has been
 * checked to be a JSON object with a "status" that fits the HTTP status. */
void broker_ask(struct slice request, struct answer *out);
void answer_release(struct answer *answer);

/* A member of the answer; -1 and "" when there is none. */
int64_t answer_int(const struct answer *answer, const char *key);
struct slice answer_text(const struct answer *answer, const char *key);

#endif
