/*
 * client.c - see client.h.
 */
#include "myqueue/src/client.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUND_LONGEST_MS = 60000 };

static const int64_t IDENTITY_MAX = INT64_C(1) << 53; /* as in JSON */

/* ---- the thread ------------------------------------------------------------------- */

/* End the request in flight, if there is one, and tell the observer. `in_flight` stays: who stops
 * has to know what may have been done. */
static void channel_abandon(struct mq_channel *channel, const char *why)
{
    struct mq_client *client = channel->client;
    if (!channel->in_flight) {
        return;
    }
    mq_exchange_cancel(channel->exchange);
    if (client->observer != NULL) {
        channel->attempt.phase = MYQUEUE_END;
        channel->attempt.error = why;
        client->observer(client->observer_arg, &channel->attempt);
    }
}

static int64_t client_round(struct mq_client *client, size_t count)
{
    int64_t next_ms = MQ_NEVER;
    int64_t now_ms = mq_clock_ms();
    for (size_t i = 0; i < count; i++) {
        struct mq_channel *channel = client->channels[i];
        int64_t again_ms = MQ_NEVER;
        if (channel->in_flight && client->role->unwanted != NULL &&
            client->role->unwanted(channel)) {
            channel_abandon(channel, "given up, since something else is wanted now");
            channel->in_flight = false;
        }
        if (channel->status == MYQUEUE_OK && !channel->in_flight) {
            again_ms = client->role->step(channel, now_ms);
        }
        if (channel->status != MYQUEUE_OK && client->role->dead != NULL) {
            client->role->dead(channel);
        }
        next_ms = again_ms < next_ms ? again_ms : next_ms;
    }
    return next_ms;
}

static void *client_main(void *arg)
{
    struct mq_client *client = arg;
    size_t count;
    for (;;) {
        pthread_mutex_lock(&client->lock);
        bool stopping = client->stopping;
        client->woken = false;
        count = client->channel_count;
        pthread_mutex_unlock(&client->lock);
        if (stopping) {
            break;
        }
        int64_t next_ms = client_round(client, count);
        int64_t wait_ms = next_ms == MQ_NEVER ? ROUND_LONGEST_MS : next_ms - mq_clock_ms();
        wait_ms = wait_ms < 0 ? 0 : wait_ms > ROUND_LONGEST_MS ? ROUND_LONGEST_MS : wait_ms;
        mq_transport_run(client->transport, (int)wait_ms);
    }
    for (size_t i = 0; i < count; i++) {
        channel_abandon(client->channels[i], "given up, since the client was stopped");
    }
    return NULL;
}

/* ---- the client ------------------------------------------------------------------- */

/* Is every topic a name, and none there twice? */
static enum myqueue_status topics_check(const char *const *topics, size_t count, char *error)
{
    if (count > MYQUEUE_TOPICS_MAX) {
        snprintf(error, MYQUEUE_ERROR_BYTES, "%zu topics are too many; at most %d", count,
                 MYQUEUE_TOPICS_MAX);
        return MYQUEUE_BAD_ARGUMENT;
    }
    for (size_t i = 0; i < count; i++) {
        if (!mq_topic_valid(topics[i])) {
            snprintf(error, MYQUEUE_ERROR_BYTES,
                     "topic %zu: a topic's name is 1 to 200 bytes of UTF-8 without control "
                     "characters",
                     i + 1);
            return MYQUEUE_BAD_ARGUMENT;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(topics[k], topics[i]) == 0) {
                snprintf(error, MYQUEUE_ERROR_BYTES, "topic '%s' is given twice", topics[i]);
                return MYQUEUE_BAD_ARGUMENT;
            }
        }
    }
    return MYQUEUE_OK;
}

enum myqueue_status mq_error_complete(enum myqueue_status status, char *error)
{
    if (error[0] == '\0') {
        snprintf(error, MYQUEUE_ERROR_BYTES, "%s", myqueue_status_words(status));
    }
    return status;
}

enum myqueue_status mq_options_check(const struct mq_option_range *rows, size_t count, char *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct mq_option_range *row = &rows[i];
        if (row->value < row->smallest || row->value > row->largest) {
            snprintf(error, MYQUEUE_ERROR_BYTES,
                     "option %s is %" PRId64 "; it must be %" PRId64 " to %" PRId64, row->name,
                     row->value, row->smallest, row->largest);
            return MYQUEUE_BAD_ARGUMENT;
        }
    }
    return MYQUEUE_OK;
}

enum myqueue_status mq_client_init(struct mq_client *client, const struct mq_role *role,
                                   const char *broker, const char *const *topics,
                                   size_t topic_count, char *error)
{
    enum myqueue_status status = mq_address_parse(broker, client->url, error);
    if (status == MYQUEUE_OK) {
        status = topics_check(topics, topic_count, error);
    }
    if (status != MYQUEUE_OK) {
        return status;
    }
    client->transport = mq_transport_create();
    if (client->transport == NULL) {
        snprintf(error, MYQUEUE_ERROR_BYTES, "out of memory");
        return MYQUEUE_NO_MEMORY;
    }
    client->role = role;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&client->lock, NULL);
    return MYQUEUE_OK;
}

enum myqueue_status mq_client_resume(struct mq_client *client,
                                     const struct myqueue_identity *resume, size_t count,
                                     char *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct myqueue_identity *identity = &resume[i];
        struct mq_channel *channel = mq_client_find_locked(client, identity->topic);
        const char *wrong = NULL;
        if (channel == NULL) {
            wrong = "is not one of the topics";
        } else if (channel->id >= 0) {
            wrong = "is given twice";
        } else if (identity->client_id < 0 || identity->client_id > IDENTITY_MAX ||
                   identity->next < 0 || identity->next > IDENTITY_MAX) {
            wrong = "has an id or a next that is not 0 to 2^53";
        }
        if (wrong != NULL) {
            snprintf(error, MYQUEUE_ERROR_BYTES, "resume %zu: topic '%.200s' %s", i + 1,
                     identity->topic, wrong);
            return MYQUEUE_BAD_ARGUMENT;
        }
        channel->id = identity->client_id;
        client->role->resumed(channel, identity->next);
    }
    return MYQUEUE_OK;
}

static enum myqueue_status client_start_thread(struct mq_client *client, char *error)
{
    /* Signals are the program's: its handlers run on its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&client->thread, NULL, client_main, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        snprintf(error, MYQUEUE_ERROR_BYTES, "cannot start a thread: %s", strerror(failed));
        return MYQUEUE_NO_MEMORY;
    }
    client->started = true;
    return MYQUEUE_OK;
}

/* The first channel that is dead, else the first that is not registered, else NULL. */
static struct mq_channel *client_unregistered_locked(struct mq_client *client)
{
    struct mq_channel *waiting = NULL;
    for (size_t i = 0; i < client->channel_count; i++) {
        struct mq_channel *channel = client->channels[i];
        if (channel->status != MYQUEUE_OK) {
            return channel;
        }
        if (waiting == NULL && channel->id < 0) {
            waiting = channel;
        }
    }
    return waiting;
}

static enum myqueue_status client_wait_registered(struct mq_client *client, int timeout_ms,
                                                  char *error)
{
    int64_t until_ms = mq_clock_after(timeout_ms);
    enum myqueue_status status = MYQUEUE_OK;
    pthread_mutex_lock(&client->lock);
    for (;;) {
        struct mq_channel *channel = client_unregistered_locked(client);
        if (channel == NULL) {
            break;
        }
        if (channel->status != MYQUEUE_OK) {
            status = channel->status;
            snprintf(error, MYQUEUE_ERROR_BYTES, "cannot register for topic '%.200s': %.250s",
                     channel->topic, channel->error);
            break;
        }
        if (mq_clock_ms() >= until_ms) {
            status = MYQUEUE_BROKER_AWAY;
            snprintf(error, MYQUEUE_ERROR_BYTES,
                     "the broker at %.250s did not answer for %d ms: %.180s", client->url,
                     timeout_ms, channel->error[0] != '\0' ? channel->error : "no answer yet");
            break;
        }
        mq_clock_wait(&client->changed, &client->lock, until_ms);
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum myqueue_status mq_client_start(struct mq_client *client, int timeout_ms, char *error)
{
    enum myqueue_status status = client_start_thread(client, error);
    return status == MYQUEUE_OK ? client_wait_registered(client, timeout_ms, error) : status;
}

void mq_client_end(struct mq_client *client)
{
    if (!client->started) {
        return;
    }
    pthread_mutex_lock(&client->lock);
    client->stopping = true;
    mq_client_wake_locked(client);
    pthread_mutex_unlock(&client->lock);
    pthread_join(client->thread, NULL);
    client->started = false;
}

void mq_client_release(struct mq_client *client)
{
    mq_transport_destroy(client->transport);
    pthread_mutex_destroy(&client->lock);
    pthread_cond_destroy(&client->changed);
}

void mq_client_wake_locked(struct mq_client *client)
{
    if (!client->woken) {
        client->woken = true;
        mq_transport_wake(client->transport);
    }
}

struct mq_channel *mq_client_find_locked(struct mq_client *client, const char *topic)
{
    for (size_t i = 0; i < client->channel_count; i++) {
        if (strcmp(client->channels[i]->topic, topic) == 0) {
            return client->channels[i];
        }
    }
    return NULL;
}

void mq_client_add_locked(struct mq_client *client, struct mq_channel *channel)
{
    client->channels[client->channel_count++] = channel;
}

void mq_client_attempt_begins(struct mq_client *client, struct myqueue_attempt *attempt,
                              const char *path, const char *topic)
{
    pthread_mutex_lock(&client->lock);
    attempt->id = ++client->attempts;
    pthread_mutex_unlock(&client->lock);
    attempt->phase = MYQUEUE_BEGIN;
    attempt->path = path;
    attempt->topic = topic;
    attempt->http = 0;
    attempt->code = "";
    attempt->error = "";
    attempt->not_executed = false;
    attempt->client_id = -1;
    if (client->observer != NULL) {
        client->observer(client->observer_arg, attempt);
    }
}

void mq_client_attempt_ends(struct mq_client *client, struct myqueue_attempt *attempt,
                            const struct mq_reply *reply)
{
    if (client->observer == NULL) {
        return;
    }
    attempt->phase = MYQUEUE_END;
    attempt->http = reply->http;
    attempt->code = reply->code;
    attempt->error = reply->error;
    attempt->not_executed = reply->kind == MQ_REPLY_REFUSED || reply->kind == MQ_REPLY_AGAIN;
    if (reply->kind == MQ_REPLY_SUCCESS &&
        strcmp(attempt->path, client->role->register_path) == 0) {
        attempt->client_id = mq_reply_number(reply, client->role->id_name);
    }
    client->observer(client->observer_arg, attempt);
}

/* ---- a channel -------------------------------------------------------------------- */

static void channel_done(void *arg, const struct mq_answer *answer)
{
    struct mq_channel *channel = arg;
    struct mq_client *client = channel->client;
    struct mq_reply reply;
    mq_reply_read(&reply, answer);
    channel->in_flight = false;
    mq_client_attempt_ends(client, &channel->attempt, &reply);
    channel->answered(channel, &reply);
    mq_reply_release(&reply);
}

bool mq_channel_init(struct mq_channel *channel, struct mq_client *client, const char *topic)
{
    channel->client = client;
    channel->id = -1;
    channel->topic = strdup(topic);
    channel->exchange = mq_exchange_create(client->transport, channel_done, channel);
    if (channel->topic == NULL || channel->exchange == NULL) {
        mq_channel_release(channel);
        return false;
    }
    mq_retry_init(&channel->retry, (uint64_t)mq_clock_ms() ^ ((uint64_t)getpid() << 32) ^
                                       (uint64_t)(uintptr_t)channel);
    return true;
}

void mq_channel_release(struct mq_channel *channel)
{
    mq_exchange_destroy(channel->exchange);
    mq_text_release(&channel->url);
    mq_text_release(&channel->body);
    free(channel->topic);
}

static void channel_set_error(struct mq_channel *channel, const char *error)
{
    pthread_mutex_lock(&channel->client->lock);
    snprintf(channel->error, sizeof channel->error, "%s", error);
    pthread_mutex_unlock(&channel->client->lock);
}

/* A request that could not be started ends like one that found nobody. */
static void channel_not_started(struct mq_channel *channel)
{
    struct mq_answer answer = {.body = "",
                               .retry_after_ms = MQ_RETRY_LONGEST_MS,
                               .not_sent = true,
                               .error = "out of memory for the request"};
    channel_done(channel, &answer);
}

void mq_channel_request(struct mq_channel *channel, const char *path, const char *query,
                        int limit_ms, size_t answer_bytes_max, mq_channel_answered *answered)
{
    struct mq_client *client = channel->client;
    mq_text_clear(&channel->url);
    mq_text_format(&channel->url, "%s%s%s", client->url, path, query);
    channel->answered = answered;
    channel->in_flight = true;
    channel->started_ms = mq_clock_ms();
    mq_client_attempt_begins(client, &channel->attempt, path, channel->topic);
    struct mq_request request = {.url = channel->url.bytes,
                                 .body = channel->body.length > 0 ? channel->body.bytes : NULL,
                                 .body_length = channel->body.length,
                                 .limit_ms = limit_ms,
                                 .answer_bytes_max = answer_bytes_max};
    if (channel->url.failed || channel->body.failed ||
        !mq_exchange_start(channel->exchange, &request)) {
        channel_not_started(channel);
    }
}

void mq_channel_retry_later(struct mq_channel *channel, const struct mq_reply *reply)
{
    channel->due_ms = mq_clock_ms() + mq_retry_next_ms(&channel->retry, reply->retry_after_ms);
    channel_set_error(channel, reply->error);
}

void mq_channel_kill(struct mq_channel *channel, enum myqueue_status status, const char *error)
{
    pthread_mutex_lock(&channel->client->lock);
    channel->status = status;
    snprintf(channel->error, sizeof channel->error, "%s", error);
    pthread_cond_broadcast(&channel->client->changed);
    pthread_mutex_unlock(&channel->client->lock);
}

/* ---- registration ----------------------------------------------------------------- */

static void channel_begin_control(struct mq_channel *channel)
{
    channel->attempt.sequence = -1;
    channel->attempt.count = 0;
    channel->attempt.offset = -1;
    mq_text_clear(&channel->body);
}

static void topic_created(struct mq_channel *channel, struct mq_reply *reply)
{
    if (reply->kind == MQ_REPLY_SUCCESS || mq_reply_is(reply, "topic_exists")) {
        mq_channel_register(channel);
    } else if (reply->kind == MQ_REPLY_REFUSED) {
        mq_channel_kill(channel, mq_reply_status(reply, false), reply->error);
    } else {
        mq_channel_retry_later(channel, reply); /* which begins with a registration */
    }
}

static void channel_create_topic(struct mq_channel *channel)
{
    channel_begin_control(channel);
    mq_text_format(&channel->body, "{\"name\":");
    mq_text_json(&channel->body, channel->topic, strlen(channel->topic));
    mq_text_append(&channel->body, "}", 1);
    mq_channel_request(channel, "/topics", "", channel->client->request_ms,
                       MQ_CONTROL_ANSWER_BYTES_MAX, topic_created);
}

static void channel_registered(struct mq_channel *channel, struct mq_reply *reply)
{
    struct mq_client *client = channel->client;
    if (reply->kind == MQ_REPLY_SUCCESS) {
        int64_t id = mq_reply_number(reply, client->role->id_name);
        if (id < 0) {
            mq_channel_kill(channel, MYQUEUE_BAD_REPLY, "the broker registered without an id");
            return;
        }
        mq_retry_reset(&channel->retry);
        pthread_mutex_lock(&client->lock);
        channel->id = id;
        if (client->role->registered_locked != NULL) {
            client->role->registered_locked(channel, reply);
        }
        channel->error[0] = '\0';
        pthread_cond_broadcast(&client->changed);
        pthread_mutex_unlock(&client->lock);
    } else if (client->create_topics && mq_reply_is(reply, "unknown_topic")) {
        channel_create_topic(channel);
    } else if (reply->kind == MQ_REPLY_REFUSED) {
        mq_channel_kill(channel, mq_reply_status(reply, false), reply->error);
    } else {
        mq_channel_retry_later(channel, reply);
    }
}

void mq_channel_register(struct mq_channel *channel)
{
    channel_begin_control(channel);
    mq_text_format(&channel->body, "{\"topic\":");
    mq_text_json(&channel->body, channel->topic, strlen(channel->topic));
    mq_text_format(&channel->body, "%s}",
                   channel->client->role->start_earliest ? ",\"start\":\"earliest\"" : "");
    mq_channel_request(channel, channel->client->role->register_path, "",
                       channel->client->request_ms, MQ_CONTROL_ANSWER_BYTES_MAX,
                       channel_registered);
}
