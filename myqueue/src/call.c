/*
 * call.c - see call.h; and the public functions that are one call.
 */
#include "myqueue/src/call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "myqueue/src/address.h"
#include "myqueue/src/clock.h"
#include "myqueue/src/retry.h"
#include "myqueue/src/text.h"
#include "myqueue/src/transport.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024, CALL_LONGEST_MS = 15000, ROUND_LONGEST_MS = 1000 };

struct call {
    struct mq_reply *reply;
    bool done;
};

static void call_done(void *arg, const struct mq_answer *answer)
{
    struct call *call = arg;
    mq_reply_read(call->reply, answer);
    call->done = true;
}

enum myqueue_status mq_call(const char *url, const char *target, const char *body, int limit_ms,
                            struct mq_reply *reply)
{
    enum myqueue_status status = MYQUEUE_NO_MEMORY;
    struct call call = {.reply = reply};
    struct mq_text whole = {0};
    struct mq_exchange *exchange = NULL;
    struct mq_transport *transport = mq_transport_create();
    if (transport == NULL) {
        return MYQUEUE_NO_MEMORY;
    }
    mq_text_format(&whole, "%s%s", url, target);
    struct mq_request request = {.url = whole.bytes,
                                 .body = body,
                                 .body_length = body != NULL ? strlen(body) : 0,
                                 .limit_ms = limit_ms > 0 ? limit_ms : 1,
                                 .answer_bytes_max = ANSWER_BYTES_MAX};
    exchange = mq_exchange_create(transport, call_done, &call);
    if (exchange != NULL && !whole.failed && mq_exchange_start(exchange, &request)) {
        while (!call.done) {
            mq_transport_run(transport, ROUND_LONGEST_MS);
        }
        status = MYQUEUE_OK;
    }
    mq_exchange_destroy(exchange);
    mq_transport_destroy(transport);
    mq_text_release(&whole);
    return status;
}

static void call_pause(int wait_ms)
{
    struct timespec t = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) == -1 && errno == EINTR) {
    }
}

static void call_watched(const struct mq_call_watch *watch, const struct mq_reply *reply)
{
    if (watch != NULL) {
        watch->tried(watch->arg, reply);
    }
}

enum myqueue_status mq_call_until(const char *url, const char *target, const char *body,
                                  int timeout_ms, const struct mq_call_watch *watch,
                                  struct mq_reply *reply, char *error)
{
    int64_t until_ms = mq_clock_after(timeout_ms);
    struct mq_retry retry;
    const struct mq_reply not_started = {.kind = MQ_REPLY_AGAIN, .error = "out of memory"};
    mq_retry_init(&retry, (uint64_t)mq_clock_ms());
    for (;;) {
        int64_t left_ms = until_ms == MQ_NEVER ? CALL_LONGEST_MS : until_ms - mq_clock_ms();
        int limit_ms = left_ms < CALL_LONGEST_MS ? (int)left_ms : CALL_LONGEST_MS;
        call_watched(watch, NULL);
        enum myqueue_status status = mq_call(url, target, body, limit_ms, reply);
        call_watched(watch, status == MYQUEUE_OK ? reply : &not_started);
        if (status != MYQUEUE_OK) {
            snprintf(error, MYQUEUE_ERROR_BYTES, "out of memory");
            return status;
        }
        if (reply->kind == MQ_REPLY_SUCCESS || reply->kind == MQ_REPLY_REFUSED) {
            return MYQUEUE_OK;
        }
        int wait_ms = mq_retry_next_ms(&retry, reply->retry_after_ms);
        if (until_ms != MQ_NEVER && mq_clock_ms() + wait_ms >= until_ms) {
            snprintf(error, MYQUEUE_ERROR_BYTES, "the broker at %.250s did not answer: %.200s", url,
                     reply->error);
            return MYQUEUE_BROKER_AWAY;
        }
        call_pause(wait_ms);
    }
}

enum myqueue_status myqueue_create_topic(const char *broker, const char *topic, int timeout_ms,
                                         char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    char url[MQ_ADDRESS_BYTES_MAX];
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    enum myqueue_status status = mq_address_parse(broker, url, error);
    if (status != MYQUEUE_OK) {
        return status;
    }
    if (!mq_topic_valid(topic)) {
        snprintf(error, MYQUEUE_ERROR_BYTES,
                 "a topic's name is 1 to 200 bytes of UTF-8 without control characters");
        return MYQUEUE_BAD_ARGUMENT;
    }
    struct mq_text body = {0};
    struct mq_reply reply;
    mq_text_format(&body, "{\"name\":");
    mq_text_json(&body, topic, strlen(topic));
    mq_text_append(&body, "}", 1);
    status = body.failed
                 ? MYQUEUE_NO_MEMORY
                 : mq_call_until(url, "/topics", body.bytes, timeout_ms, NULL, &reply, error);
    if (status == MYQUEUE_OK) {
        if (reply.kind == MQ_REPLY_REFUSED) {
            status = mq_reply_status(&reply, false);
            snprintf(error, MYQUEUE_ERROR_BYTES, "%s", reply.error);
        }
        mq_reply_release(&reply);
    }
    mq_text_release(&body);
    return status;
}

enum myqueue_status mq_call_size(struct mq_reply *reply, int64_t *size, char *error)
{
    enum myqueue_status status = MYQUEUE_OK;
    if (reply->kind == MQ_REPLY_REFUSED) {
        status = mq_reply_status(reply, true);
        snprintf(error, MYQUEUE_ERROR_BYTES, "%s", reply->error);
    } else {
        *size = mq_reply_number(reply, "size");
        if (*size < 0) {
            status = MYQUEUE_BAD_REPLY;
            snprintf(error, MYQUEUE_ERROR_BYTES, "the broker answered without a size");
        }
    }
    mq_reply_release(reply);
    return status;
}

/* Ask once. MYQUEUE_BROKER_AWAY, with one line in `error`, for what is neither a success nor a
 * refusal; then there is nothing to release. */
static enum myqueue_status call_once(const char *url, const char *target, int timeout_ms,
                                     struct mq_reply *reply, char *error)
{
    int limit_ms = timeout_ms >= 0 ? timeout_ms : CALL_LONGEST_MS;
    enum myqueue_status status = mq_call(url, target, NULL, limit_ms, reply);
    if (status != MYQUEUE_OK) {
        snprintf(error, MYQUEUE_ERROR_BYTES, "out of memory");
    } else if (reply->kind != MQ_REPLY_SUCCESS && reply->kind != MQ_REPLY_REFUSED) {
        status = MYQUEUE_BROKER_AWAY;
        snprintf(error, MYQUEUE_ERROR_BYTES, "%s", reply->error);
        mq_reply_release(reply);
    }
    return status;
}

enum myqueue_status myqueue_size(const char *broker, const char *topic, int64_t consumer_id,
                                 int timeout_ms, int64_t *size, char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    char url[MQ_ADDRESS_BYTES_MAX];
    struct mq_reply reply;
    struct mq_text target = {0};
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    enum myqueue_status status = mq_address_parse(broker, url, error);
    if (status != MYQUEUE_OK) {
        return status;
    }
    mq_text_format(&target, "/size?topic=");
    mq_text_query(&target, topic);
    mq_text_format(&target, "&consumer_id=%" PRId64, consumer_id);
    if (target.failed) {
        status = MYQUEUE_NO_MEMORY;
        snprintf(error, MYQUEUE_ERROR_BYTES, "out of memory");
    } else {
        status = call_once(url, target.bytes, timeout_ms, &reply, error);
        status = status == MYQUEUE_OK ? mq_call_size(&reply, size, error) : status;
    }
    mq_text_release(&target);
    return status;
}

enum myqueue_status myqueue_health(const char *broker, int timeout_ms, char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    char url[MQ_ADDRESS_BYTES_MAX];
    struct mq_reply reply;
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    enum myqueue_status status = mq_address_parse(broker, url, error);
    if (status != MYQUEUE_OK) {
        return status;
    }
    int limit_ms = timeout_ms >= 0 ? timeout_ms : CALL_LONGEST_MS;
    status = mq_call(url, "/healthz", NULL, limit_ms, &reply);
    if (status != MYQUEUE_OK) {
        snprintf(error, MYQUEUE_ERROR_BYTES, "out of memory");
        return status;
    }
    if (reply.kind != MQ_REPLY_SUCCESS) {
        status = MYQUEUE_BROKER_AWAY;
        snprintf(error, MYQUEUE_ERROR_BYTES, "%s", reply.error);
    }
    mq_reply_release(&reply);
    return status;
}
