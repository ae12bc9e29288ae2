/*
 * api.h - the HTTP interface: parse, call core, answer. docs/openapi.yaml describes it.
 */
#ifndef BROKER_API_API_H
#define BROKER_API_API_H

#include "broker/core/queue.h"
#include "common/http.h"

struct api {
    struct queue *queue;
    size_t message_bytes_max;
    struct budget *budget; /* borrowed; of large requests and answers */
};

/* What a body may have: a message of message_bytes_max, each byte escaped as \u00xx. */
size_t api_body_bytes_max(size_t message_bytes_max);

/* For struct http_options; `arg` is a struct api. */
void api_handle(struct http_request *request, void *arg);
void api_pass_end(int loop, void *arg);

#endif
