/*
 * topics.c - POST /topics, GET /topics.
 */
#include "broker/api/call.h"

static void created(struct http_request *request)
{
    struct call *call = http_request_state(request);
    enum status status = queue_write_result(call->write)->status;
    struct buffer words = BUFFER_INIT;
    struct buffer body;

    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    buffer_append_string(&words, "Topic '");
    buffer_append_slice(&words, call->topic);
    buffer_append_string(&words, "' created successfully");
    answer_begin(&body);
    buffer_append_string(&body, ", \"message\": ");
    json_append_string(&body, buffer_slice(&words));
    buffer_release(&words);
    answer_end(call, &body);
}

void topics_create(struct call *call)
{
    if (!call_topic(call)) {
        return;
    }
    enum status status = queue_create_topic(call->api->queue, http_request_loop(call->request),
                                            call->topic, call_done, call->request, &call->write);
    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    call_wait(call, created);
}

void topics_list(struct call *call)
{
    struct buffer body;
    struct slice name;

    if (budget_exhausted(call->api->budget)) { /* the list may be long */
        answer_failure(call, STATUS_OVERLOADED);
        return;
    }
    answer_begin(&body);
    buffer_append_string(&body, ", \"topics\": [");
    for (size_t i = 0; queue_topic_name(call->api->queue, i, &name); i++) {
        buffer_append_string(&body, i > 0 ? ", " : "");
        json_append_string(&body, name);
    }
    buffer_append_string(&body, "]");
    answer_end(call, &body);
}
