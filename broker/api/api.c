/*
 * api.c - from a path and a method to the resource.
 */
#include "broker/api/api.h"

#include "broker/api/call.h"

#include "common/crashpoint.h"

#include <stdlib.h>
#include <string.h>

#define BODY_OVERHEAD_BYTES 65536
#define ESCAPED_BYTE_BYTES 6 /* \u001f */

static const struct route {
    const char *path;
    const char *method;
    void (*run)(struct call *call);
} routes[] = {
    {"/topics", "POST", topics_create},
    {"/topics", "GET", topics_list},
    {"/producer/register", "POST", producer_register},
    {"/producer/produce", "POST", producer_produce},
    {"/consumer/register", "POST", consumer_register},
    {"/consumer/consume", "GET", consumer_consume},
    {"/consumer/seek", "POST", consumer_seek},
    {"/size", "GET", consumer_size},
    {"/healthz", "GET", health_get},
};

#define ROUTE_COUNT (sizeof routes / sizeof *routes)

size_t api_body_bytes_max(size_t message_bytes_max)
{
    return message_bytes_max * ESCAPED_BYTE_BYTES + BODY_OVERHEAD_BYTES;
}

static void call_destroy(void *state)
{
    struct call *call = state;

    if (call->write != NULL) {
        CRASH_POINT(REPLY_SENT);
    }
    buffer_release(&call->topic_copy);
    queue_write_release(call->write);
    consume_release(call->consume);
    queue_ping_release(call->ping);
    free(call);
}

static bool path_matches(struct slice path, const char *route)
{
    return slice_equals(path, slice_of(route));
}

static void no_route(struct call *call, struct slice path)
{
    struct buffer allow = BUFFER_INIT;

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (path_matches(path, routes[i].path)) {
            buffer_append_string(&allow, allow.size > 0 ? ", " : "");
            buffer_append_string(&allow, routes[i].method);
        }
    }
    if (allow.size > 0) {
        answer_wrong_method(call, allow.data);
    } else {
        answer_failure(call, STATUS_UNKNOWN_PATH);
    }
    buffer_release(&allow);
}

static const struct route *find_route(struct slice path, struct slice method)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (path_matches(path, routes[i].path) &&
            slice_equals(method, slice_of(routes[i].method))) {
            return &routes[i];
        }
    }
    return NULL;
}

/* What the request says is of use until it has been handed on: core copies what it keeps. */
static void run(struct call *call, const struct route *route)
{
    struct json_document json;

    json_init(&json);
    if (call_parse(call, &json)) {
        route->run(call);
    }
    call->json = NULL;
    json_release(&json);
}

void api_handle(struct http_request *request, void *arg)
{
    struct slice path = http_request_path(request);
    struct call *call = calloc(1, sizeof *call);

    if (call == NULL) {
        struct buffer none = {.failed = true}; /* an answer of 503 without a body */
        http_request_answer(request, 503, &none, NULL);
        return;
    }
    call->api = arg;
    call->request = request;
    http_request_set_state(request, call, call_destroy);
    if (path.size > 1 && path.data[path.size - 1] == '/') {
        path.size--;
    }
    const struct route *route = find_route(path, http_request_method(request));
    if (route == NULL) {
        no_route(call, path);
    } else if (http_request_too_large(request)) {
        answer_failure_text(call, STATUS_TOO_LARGE, "a body may have %zu bytes at most",
                            api_body_bytes_max(call->api->message_bytes_max));
    } else if (http_request_no_room(request)) {
        answer_failure(call, STATUS_OVERLOADED);
    } else {
        run(call, route);
    }
}

void api_pass_end(int loop, void *arg)
{
    struct api *api = arg;

    queue_flush(api->queue, loop);
}
