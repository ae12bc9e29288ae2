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

/* How much of the log is kept: what is not said is as the broker's options say. */
static bool take_retention(struct call *call, struct store_retention *retention)
{
    struct slice unread;
    bool found;

    *retention = (struct store_retention){RETENTION_DEFAULT, RETENTION_DEFAULT, RETENTION_DEFAULT};
    if (!call_int(call, "retention_bytes", 0, QUEUE_RETENTION_MAX, false, &retention->bytes) ||
        !call_int(call, "retention_age_s", 0, QUEUE_RETENTION_MAX, false, &retention->age_s) ||
        !call_text(call, "retention_unread", &unread, &found)) {
        return false;
    }
    if (found && slice_equals(unread, slice_of("keep"))) {
        retention->unread = RETENTION_KEEP_UNREAD;
    } else if (found && slice_equals(unread, slice_of("remove"))) {
        retention->unread = RETENTION_REMOVE_UNREAD;
    } else if (found) {
        answer_failure_text(call, STATUS_BAD_REQUEST,
                            "'retention_unread' must be 'keep' or 'remove'");
        return false;
    }
    return true;
}

void topics_create(struct call *call)
{
    struct store_retention retention;

    if (!call_topic(call) || !take_retention(call, &retention)) {
        return;
    }
    enum status status =
        queue_create_topic(call->api->queue, http_request_loop(call->request), call->topic,
                           &retention, call_done, call->request, &call->write);
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
