/*
 * health.c - GET /healthz: 200 when the store answers.
 */
#include "broker/api/call.h"

static void answered(struct http_request *request)
{
    struct call *call = http_request_state(request);
    enum status status = queue_ping_status(call->ping);
    struct buffer body;

    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    answer_begin(&body);
    answer_end(call, &body);
}

void health_get(struct call *call)
{
    enum status status = queue_ping_create(call->api->queue, call_done, call->request, &call->ping);

    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    call_wait(call, answered);
}
