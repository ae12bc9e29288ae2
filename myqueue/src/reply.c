/*
 * reply.c - see reply.h.
 *
 * cJSON's traps: `valueint` saturates, trailing garbage is accepted unless the end is
 * asked for, and names are compared without case unless told otherwise.
 */
#include "myqueue/src/reply.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double NUMBER_MAX = 9007199254740992.0; /* 2^53 */

static cJSON *reply_parse(const struct mq_answer *answer)
{
    const char *end;
    cJSON *body = cJSON_ParseWithLengthOpts(answer->body, answer->length + 1, &end, 1);
    if (body != NULL && !cJSON_IsObject(body)) {
        cJSON_Delete(body);
        return NULL;
    }
    return body;
}

static const char *body_text(const cJSON *body, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, name));
    return text != NULL ? text : "";
}

static int64_t body_number(const cJSON *body, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > NUMBER_MAX ||
        floor(item->valuedouble) != item->valuedouble) {
        return -1;
    }
    return (int64_t)item->valuedouble;
}

/* What a failure means: by its code where the broker gives one, for only then is it known
 * to be the broker's word and not that of something in between. */
static enum mq_reply_kind failure_kind(int http, const char *code)
{
    if (http == 429) {
        return MQ_REPLY_AGAIN;
    }
    if (http >= 400 && http < 500 && http != 408) {
        return MQ_REPLY_REFUSED;
    }
    if (http == 503 && code[0] != '\0' && strcmp(code, "outcome_unknown") != 0) {
        return MQ_REPLY_AGAIN;
    }
    return MQ_REPLY_UNKNOWN;
}

void mq_reply_read(struct mq_reply *reply, const struct mq_answer *answer)
{
    *reply = (struct mq_reply){.http = answer->http,
                               .retry_after_ms = answer->retry_after_ms,
                               .too_large = answer->too_large,
                               .expected = -1};
    if (answer->http == 0) {
        reply->kind = answer->not_sent ? MQ_REPLY_AGAIN : MQ_REPLY_UNKNOWN;
        snprintf(reply->error, sizeof reply->error, "%s", answer->error);
        return;
    }
    cJSON *body = reply_parse(answer);
    if (body == NULL) {
        reply->kind = failure_kind(answer->http, "");
        snprintf(reply->error, sizeof reply->error,
                 "HTTP %d without the JSON object that a broker answers", answer->http);
        return;
    }
    if (answer->http == 200 && strcmp(body_text(body, "status"), "success") == 0) {
        reply->kind = MQ_REPLY_SUCCESS;
        reply->body = body;
        return;
    }
    snprintf(reply->code, sizeof reply->code, "%s", body_text(body, "code"));
    reply->kind = failure_kind(answer->http, reply->code);
    snprintf(reply->error, sizeof reply->error, "HTTP %d %s: %s", answer->http, reply->code,
             body_text(body, "message"));
    reply->expected = body_number(body, "expected");
    cJSON_Delete(body);
}

void mq_reply_release(struct mq_reply *reply)
{
    cJSON_Delete(reply->body);
    reply->body = NULL;
}

bool mq_reply_is(const struct mq_reply *reply, const char *code)
{
    return strcmp(reply->code, code) == 0;
}

int64_t mq_reply_number(const struct mq_reply *reply, const char *name)
{
    return body_number(reply->body, name);
}

bool mq_reply_true(const struct mq_reply *reply, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply->body, name));
}

enum myqueue_status mq_reply_status(const struct mq_reply *reply, bool registered)
{
    static const struct {
        const char *code;
        enum myqueue_status before, after; /* the registration */
    } rows[] = {
        {"unknown_topic", MYQUEUE_UNKNOWN_TOPIC, MYQUEUE_FORGOTTEN},
        {"unknown_producer", MYQUEUE_REFUSED, MYQUEUE_FORGOTTEN},
        {"unknown_consumer", MYQUEUE_REFUSED, MYQUEUE_FORGOTTEN},
        {"not_registered", MYQUEUE_REFUSED, MYQUEUE_FORGOTTEN},
        {"out_of_sequence", MYQUEUE_REFUSED, MYQUEUE_FORGOTTEN},
        {"offset_out_of_range", MYQUEUE_REFUSED, MYQUEUE_OFFSET_OUT_OF_RANGE},
        {"topic_exists", MYQUEUE_TOPIC_EXISTS, MYQUEUE_REFUSED},
        {"too_large", MYQUEUE_TOO_LARGE, MYQUEUE_TOO_LARGE},
        {"bad_message", MYQUEUE_BAD_MESSAGE, MYQUEUE_BAD_MESSAGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (mq_reply_is(reply, rows[i].code)) {
            return registered ? rows[i].after : rows[i].before;
        }
    }
    return reply->http == 413 ? MYQUEUE_TOO_LARGE : MYQUEUE_REFUSED;
}

/* Fill in the messages of `list`, as far as they are what they should be. */
static bool fetch_fill(struct mq_fetch *fetch, const cJSON *list, char *error)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int64_t expected = fetch->offset + (int64_t)fetch->count;
        int64_t offset = body_number(item, "offset");
        const char *message =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "message"));
        if (message == NULL || offset != expected) {
            snprintf(error, MYQUEUE_ERROR_BYTES,
                     "the broker answered %s at offset %lld where offset %lld was due",
                     message == NULL ? "no message" : "a message", (long long)offset,
                     (long long)expected);
            return false;
        }
        fetch->messages[fetch->count++] = (struct mq_fetched){message, strlen(message)};
    }
    return true;
}

bool mq_fetch_take(struct mq_fetch *fetch, struct mq_reply *reply, int64_t offset)
{
    *fetch = (struct mq_fetch){.offset = offset};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(reply->body, "messages");
    size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0;
    if (count == 0) {
        snprintf(reply->error, sizeof reply->error, "the broker answered without messages");
        return false;
    }
    fetch->messages = malloc(count * sizeof *fetch->messages);
    if (fetch->messages == NULL) {
        snprintf(reply->error, sizeof reply->error, "out of memory");
        return false;
    }
    if (!fetch_fill(fetch, list, reply->error)) {
        mq_fetch_release(fetch);
        return false;
    }
    fetch->body = reply->body;
    reply->body = NULL;
    return true;
}

void mq_fetch_release(struct mq_fetch *fetch)
{
    cJSON_Delete(fetch->body);
    free(fetch->messages);
    *fetch = (struct mq_fetch){0};
}
