/*
 * consumer.c - POST /consumer/register, GET /consumer/consume, POST /consumer/seek, GET /size.
 */
#include "broker/api/call.h"

#include "common/clock.h"

#include <string.h>

#define INT_MAX_EXACT ((int64_t)1 << 53)
#define ENTRY_BYTES 64 /* of a list: what is around a message */

static void registered(struct http_request *request)
{
    answer_registered(http_request_state(request), "consumer_id", true);
}

static bool is_start(struct slice text, enum queue_start *start)
{
    if (slice_equals(text, slice_of("earliest"))) {
        *start = QUEUE_START_EARLIEST;
    } else if (slice_equals(text, slice_of("latest"))) {
        *start = QUEUE_START_LATEST;
    } else {
        return false;
    }
    return true;
}

static bool take_start(struct call *call, enum queue_start *start)
{
    struct slice text;
    bool found;

    *start = QUEUE_START_DEFAULT;
    if (!call_text(call, "start", &text, &found)) {
        return false;
    }
    if (found && !is_start(text, start)) {
        answer_failure_text(call, STATUS_BAD_REQUEST, "'start' must be 'earliest' or 'latest'");
        return false;
    }
    return true;
}

void consumer_register(struct call *call)
{
    enum queue_start start;

    if (!call_topic(call) || !take_start(call, &start)) {
        return;
    }
    enum status status =
        queue_register_consumer(call->api->queue, http_request_loop(call->request), call->topic,
                                start, call_done, call->request, &call->write);
    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    call_wait(call, registered);
}

/* ---- consume ----------------------------------------------------------------------------- */

static void append_list(struct buffer *body, const struct store_range *range)
{
    const char *bytes = range->bytes.data;

    /* Enough unless much has to be escaped. */
    buffer_reserve(body, range->bytes.size + range->count * ENTRY_BYTES);
    buffer_append_string(body, ", \"messages\": [");
    for (size_t i = 0; i < range->count; i++) {
        uint32_t size;
        memcpy(&size, range->sizes.data + i * sizeof size, sizeof size);
        buffer_append_string(body, i > 0 ? ", {\"offset\": " : "{\"offset\": ");
        buffer_append_int(body, range->first + (int64_t)i);
        buffer_append_string(body, ", \"message\": ");
        json_append_string(body, (struct slice){bytes, size});
        buffer_append_string(body, "}");
        bytes += size;
    }
    buffer_append_string(body, "]");
}

static void answer_range(struct call *call)
{
    const struct store_range *range = consume_range(call->consume);
    struct buffer body;

    answer_begin(&body);
    if (call->as_list) {
        append_list(&body, range);
    } else {
        buffer_append_string(&body, ", \"message\": ");
        json_append_string(&body, buffer_slice(&range->bytes));
        buffer_append_string(&body, ", \"offset\": ");
        buffer_append_int(&body, range->first);
    }
    consume_release(call->consume); /* the answer may take its time: one copy is enough */
    call->consume = NULL;
    answer_end(call, &body);
}

static void step(struct http_request *request);

/* A parked request has been posted, or its time is over. */
static void unparked(struct http_request *request)
{
    struct call *call = http_request_state(request);

    if (http_request_timed_out(request) && !consume_timeout(call->consume)) {
        call_wait(call, step); /* a message has come in this moment: the post is on its way */
        return;
    }
    step(request);
}

/* For what is left of its time: who is woken in vain parks again. */
static void park(struct http_request *request, int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_now_ms();

    http_request_park(request, left_ms > 0 ? left_ms : 0, unparked);
}

static void step(struct http_request *request)
{
    struct call *call = http_request_state(request);

    switch (consume_step(call->consume)) {
    case CONSUME_WAIT:
        call_wait(call, step);
        return;
    case CONSUME_PARK:
        park(request, call->wait_until_ms);
        return;
    case CONSUME_DONE:
        break;
    }
    enum status status = consume_status(call->consume);
    if (status == STATUS_OK) {
        call->answer_consume(call);
    } else {
        answer_failure(call, status);
    }
}

static void begin(struct call *call, const struct consume_request *request,
                  void (*answer)(struct call *call))
{
    enum status status = consume_create(call->api->queue, http_request_loop(call->request), request,
                                        call_done, call->request, &call->consume);

    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    call->answer_consume = answer;
    step(call->request);
}

void consumer_consume(struct call *call)
{
    struct consume_request request = {.offset = -1, .count_max = 1};
    int64_t max = 0;
    int64_t wait_ms = 0;

    if (!call_topic(call) ||
        !call_int(call, "consumer_id", -INT_MAX_EXACT, INT_MAX_EXACT, true, &request.consumer_id) ||
        !call_int(call, "offset", 0, INT_MAX_EXACT, false, &request.offset) ||
        !call_int(call, "max", 1, QUEUE_CONSUME_MAX, false, &max) ||
        !call_int(call, "wait_ms", 0, INT_MAX_EXACT, false, &wait_ms)) {
        return;
    }
    if (wait_ms > HTTP_PARK_MS_MAX) {
        wait_ms = HTTP_PARK_MS_MAX;
    }
    call->wait_until_ms = clock_now_ms() + wait_ms;
    request.topic = call->topic;
    request.may_wait = wait_ms > 0;
    if (max > 0) {
        request.count_max = (size_t)max;
        call->as_list = true;
    }
    begin(call, &request, answer_range);
}

/* ---- seek ------------------------------------------------------------------------------------ */

static void answer_position(struct call *call)
{
    struct buffer body;

    answer_begin(&body);
    buffer_append_string(&body, ", \"offset\": ");
    buffer_append_int(&body, consume_position(call->consume));
    answer_end(call, &body);
}

static bool is_number(struct slice text)
{
    return text.size > 0 && strchr("+-0123456789", text.data[0]) != NULL;
}

/* `offset`: a number, or a word. */
static bool take_target(struct call *call, struct consume_request *request)
{
    const struct json_value *value = call_json(call, "offset");
    struct slice text;
    bool found = false;

    if ((value == NULL || json_string(value, &text)) && !call_text(call, "offset", &text, &found)) {
        return false;
    }
    if (found && is_start(text, &request->start)) {
        return true;
    }
    if (found && !is_number(text)) {
        answer_failure_text(call, STATUS_BAD_REQUEST,
                            "'offset' must be a whole number, 'earliest' or 'latest'");
        return false;
    }
    return call_int(call, "offset", 0, INT_MAX_EXACT, true, &request->offset);
}

void consumer_seek(struct call *call)
{
    struct consume_request request = {.offset = -1, .seeks = true};

    if (call_topic(call) &&
        call_int(call, "consumer_id", -INT_MAX_EXACT, INT_MAX_EXACT, true, &request.consumer_id) &&
        take_target(call, &request)) {
        request.topic = call->topic;
        begin(call, &request, answer_position);
    }
}

void consumer_size(struct call *call)
{
    int64_t consumer_id;
    int64_t size;
    struct buffer body;

    if (!call_topic(call) ||
        !call_int(call, "consumer_id", -INT_MAX_EXACT, INT_MAX_EXACT, true, &consumer_id)) {
        return;
    }
    enum status status = queue_size(call->api->queue, call->topic, consumer_id, &size);
    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    answer_begin(&body);
    buffer_append_string(&body, ", \"size\": ");
    buffer_append_int(&body, size);
    answer_end(call, &body);
}
