/*
 * producer.c - POST /producer/register, POST /producer/produce.
 */
#include "broker/api/call.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCE_COUNT_MAX 100000
#define INT_MAX_EXACT ((int64_t)1 << 53)

static void registered(struct http_request *request)
{
    answer_registered(http_request_state(request), "producer_id", false);
}

void producer_register(struct call *call)
{
    if (!call_topic(call)) {
        return;
    }
    enum status status =
        queue_register_producer(call->api->queue, http_request_loop(call->request), call->topic,
                                call_done, call->request, &call->write);
    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    call_wait(call, registered);
}

static void produced(struct http_request *request)
{
    struct call *call = http_request_state(request);
    const struct queue_result *result = queue_write_result(call->write);
    struct buffer body;

    if (result->status == STATUS_OUT_OF_SEQUENCE) {
        answer_failure_text(call, result->status, "%s: sequence %lld is expected",
                            status_words(result->status), (long long)result->expected);
        return;
    }
    if (result->status != STATUS_OK) {
        answer_failure(call, result->status);
        return;
    }
    answer_begin(&body);
    if (result->offset >= 0) { /* a duplicate may have been removed since */
        buffer_append_string(&body, ", \"offset\": ");
        buffer_append_int(&body, result->offset);
    }
    if (call->count > 0) {
        buffer_append_string(&body, ", \"count\": ");
        buffer_append_int(&body, (int64_t)call->count);
    }
    if (result->duplicate) {
        buffer_append_string(&body, ", \"duplicate\": true");
    }
    answer_end(call, &body);
}

static bool check_size(struct call *call, struct slice message)
{
    if (message.size > call->api->message_bytes_max) {
        answer_failure_text(call, STATUS_TOO_LARGE, "a message may have %zu bytes at most",
                            call->api->message_bytes_max);
        return false;
    }
    return true;
}

/* From a form or the query string it may be anything. */
static bool check_text(struct call *call, struct slice message)
{
    if (message.size > 0 &&
        (memchr(message.data, '\0', message.size) != NULL || !utf8_valid(message))) {
        answer_failure(call, STATUS_BAD_MESSAGE);
        return false;
    }
    return true;
}

static void append(struct call *call, int64_t producer_id, const struct slice *messages,
                   size_t count, int64_t sequence)
{
    enum status status =
        queue_append(call->api->queue, http_request_loop(call->request), call->topic, producer_id,
                     messages, count, sequence, call_done, call->request, &call->write);
    if (status != STATUS_OK) {
        answer_failure(call, status);
        return;
    }
    call_wait(call, produced);
}

/* `messages`: an array of strings; to be freed. NULL: the call has been answered. */
static struct slice *take_messages(struct call *call, const struct json_value *array)
{
    size_t count = json_is_array(array) ? json_count(array) : 0;

    if (count < 1 || count > PRODUCE_COUNT_MAX) {
        answer_failure_text(call, STATUS_BAD_REQUEST,
                            "'messages' must be an array of 1 to %d strings", PRODUCE_COUNT_MAX);
        return NULL;
    }
    struct slice *messages = malloc(count * sizeof *messages);
    if (messages == NULL) {
        answer_failure(call, STATUS_NO_MEMORY);
        return NULL;
    }
    const struct json_value *element = json_first(array);
    for (size_t i = 0; i < count; i++, element = json_next(element)) {
        if (!json_string(element, &messages[i])) {
            answer_failure_text(call, STATUS_BAD_REQUEST, "'messages' must hold strings only");
        } else if (check_size(call, messages[i])) { /* a JSON string is text */
            continue;
        }
        free(messages);
        return NULL;
    }
    call->count = count;
    return messages;
}

static void produce_batch(struct call *call, int64_t producer_id, const struct json_value *array,
                          int64_t sequence)
{
    struct slice *messages = take_messages(call, array);

    if (messages != NULL) {
        append(call, producer_id, messages, call->count, sequence);
        free(messages);
    }
}

void producer_produce(struct call *call)
{
    int64_t producer_id;
    int64_t sequence = SEQUENCE_NONE;
    struct slice message;
    bool found;

    if (!call_topic(call) ||
        !call_int(call, "producer_id", -INT_MAX_EXACT, INT_MAX_EXACT, true, &producer_id) ||
        !call_int(call, "sequence", 0, INT_MAX_EXACT, false, &sequence) ||
        !call_text(call, "message", &message, &found)) {
        return;
    }
    const struct json_value *array = call_json(call, "messages");
    if (found && array != NULL) {
        answer_failure_text(call, STATUS_BAD_REQUEST, "'message' or 'messages', not both");
    } else if (array != NULL) {
        produce_batch(call, producer_id, array, sequence);
    } else if (!found) {
        answer_failure_text(call, STATUS_BAD_REQUEST,
                            "'message' is missing ('messages' is taken from a JSON body only)");
    } else if (check_size(call, message) && check_text(call, message)) {
        append(call, producer_id, &message, 1, sequence);
    }
}
