/*
 * consumer.c - MyConsumer: for each topic a position and the messages of one answer.
 *
 * Always: a request with offset=N goes out only when the program has taken everything
 * before N and came back for more, since it tells the broker that all of that is dealt
 * with. It may be repeated as often as it takes: asking again for N gives the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "myqueue.h"
#include "myqueue/src/call.h"
#include "myqueue/src/client.h"

enum { WAIT_LONGEST_MS = 20000, FETCH_MESSAGES_MAX = 10000 };

static const int64_t OFFSET_MAX = INT64_C(1) << 53; /* as in JSON */

struct MyConsumer {
    struct mq_client client; /* first: a client's role finds its consumer */
    struct myconsumer_options options;

    /* the program's: */
    struct stream *current; /* whose message the program is dealing with, or NULL */
    size_t turn;            /* index of the stream that is asked first */
    char error[MYQUEUE_ERROR_BYTES];
};

struct stream {
    struct mq_channel channel; /* first: a client's channel is a stream */

    /* the thread's: */
    int messages_max; /* asked for at once */

    /* guarded by client.lock: */
    struct mq_fetch fetch; /* the answer that is being read; empty while asking */
    int64_t position;      /* the first offset that the program has not taken */
    int64_t failing_ms;    /* since when every request failed; MQ_NEVER: the last did not */
    bool seeking;          /* the program is about to change the position: ask for nothing */
    bool quiet;            /* then: no request is in flight */
};

/* ---- asking: on the client's thread ----------------------------------------------- */

static void stream_note(struct stream *stream, bool failed)
{
    struct mq_client *client = stream->channel.client;
    pthread_mutex_lock(&client->lock);
    if (!failed) {
        stream->failing_ms = MQ_NEVER;
    } else if (stream->failing_ms == MQ_NEVER) {
        stream->failing_ms = mq_clock_ms();
        pthread_cond_broadcast(&client->changed);
    }
    pthread_mutex_unlock(&client->lock);
}

static void stream_received(struct stream *stream, struct mq_reply *reply)
{
    struct mq_client *client = stream->channel.client;
    struct mq_fetch fetch;
    mq_retry_reset(&stream->channel.retry);
    stream_note(stream, false);
    if (!mq_fetch_take(&fetch, reply, stream->channel.attempt.offset)) {
        mq_channel_kill(&stream->channel, MYQUEUE_BAD_REPLY, reply->error);
        return;
    }
    pthread_mutex_lock(&client->lock);
    stream->fetch = fetch;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

/* The broker holds the request for wait_ms when there is no message; one that does not
 * must not be asked in a tight loop. */
static void stream_found_nothing(struct stream *stream, struct mq_reply *reply)
{
    const struct MyConsumer *consumer = (struct MyConsumer *)stream->channel.client;
    int64_t waited_ms = mq_clock_ms() - stream->channel.started_ms;
    stream_note(stream, false);
    if (waited_ms < consumer->options.wait_ms / 2) {
        mq_channel_retry_later(&stream->channel, reply);
    } else {
        mq_retry_reset(&stream->channel.retry);
    }
}

static void stream_answered(struct mq_channel *channel, struct mq_reply *reply)
{
    struct stream *stream = (struct stream *)channel;
    if (reply->kind == MQ_REPLY_SUCCESS) {
        stream_received(stream, reply);
    } else if (mq_reply_is(reply, "no_message")) {
        stream_found_nothing(stream, reply);
    } else if (reply->kind == MQ_REPLY_REFUSED) {
        mq_channel_kill(channel, mq_reply_status(reply, true), reply->error);
    } else if (reply->too_large && stream->messages_max > 1) {
        stream->messages_max /= 2; /* and ask again at once */
    } else if (reply->too_large) {
        mq_channel_kill(channel, MYQUEUE_TOO_LARGE, "a message is larger than fetch_bytes_max");
    } else {
        stream_note(stream, true);
        mq_channel_retry_later(channel, reply);
    }
}

/* "?topic=..&consumer_id=..", with which every question about a position begins. */
static void stream_query(const struct stream *stream, struct mq_text *query)
{
    mq_text_format(query, "?topic=");
    mq_text_query(query, stream->channel.topic);
    mq_text_format(query, "&consumer_id=%" PRId64, stream->channel.id);
}

/* Is the program seeking? No request is in flight: let it know. */
static bool stream_yields(struct stream *stream)
{
    struct mq_client *client = stream->channel.client;
    pthread_mutex_lock(&client->lock);
    bool seeking = stream->seeking;
    if (seeking && !stream->quiet) {
        stream->quiet = true;
        pthread_cond_broadcast(&client->changed);
    }
    pthread_mutex_unlock(&client->lock);
    return seeking;
}

/* What is asked for now would be answered for a place that the program is leaving. */
static bool stream_unwanted(struct mq_channel *channel)
{
    pthread_mutex_lock(&channel->client->lock);
    bool seeking = ((struct stream *)channel)->seeking;
    pthread_mutex_unlock(&channel->client->lock);
    return seeking;
}

static int64_t stream_step(struct mq_channel *channel, int64_t now_ms)
{
    struct stream *stream = (struct stream *)channel;
    const struct myconsumer_options *options = &((struct MyConsumer *)channel->client)->options;
    if (stream_yields(stream)) {
        return MQ_NEVER;
    }
    if (now_ms < channel->due_ms) {
        return channel->due_ms;
    }
    if (channel->id < 0) {
        mq_channel_register(channel);
        return MQ_NEVER;
    }
    pthread_mutex_lock(&channel->client->lock);
    bool reading = stream->fetch.count > 0;
    int64_t position = stream->position;
    pthread_mutex_unlock(&channel->client->lock);
    if (reading) {
        return MQ_NEVER;
    }
    struct mq_text query = {0};
    stream_query(stream, &query);
    mq_text_format(&query, "&offset=%" PRId64 "&max=%d&wait_ms=%d", position, stream->messages_max,
                   options->wait_ms);
    if (query.failed) {
        mq_text_release(&query);
        channel->due_ms = now_ms + MQ_RETRY_LONGEST_MS;
        return channel->due_ms;
    }
    mq_text_clear(&channel->body);
    channel->attempt.sequence = -1;
    channel->attempt.count = 0;
    channel->attempt.offset = position;
    mq_channel_request(channel, "/consumer/consume", query.bytes,
                       options->request_ms + options->wait_ms, options->fetch_bytes_max,
                       stream_answered);
    mq_text_release(&query);
    return MQ_NEVER;
}

/* A log whose beginning has been removed begins later; 0 is not said. */
static void stream_registered_locked(struct mq_channel *channel, const struct mq_reply *reply)
{
    int64_t offset = mq_reply_number(reply, "offset");
    ((struct stream *)channel)->position = offset > 0 ? offset : 0;
}

static void stream_resumed(struct mq_channel *channel, int64_t next)
{
    ((struct stream *)channel)->position = next;
}

static const struct mq_role consumer_role = {
    .register_path = "/consumer/register",
    .id_name = "consumer_id",
    .start_earliest = true,
    .registered_locked = stream_registered_locked,
    .resumed = stream_resumed,
    .step = stream_step,
    .unwanted = stream_unwanted,
};

/* ---- giving: on the program's thread ---------------------------------------------- */

/* The program came back: what it was given last is dealt with. */
static void consumer_dealt_with_locked(struct MyConsumer *consumer)
{
    struct stream *stream = consumer->current;
    if (stream == NULL) {
        return;
    }
    consumer->current = NULL;
    stream->position++;
    stream->fetch.next++;
    if (stream->fetch.next == stream->fetch.count) {
        mq_fetch_release(&stream->fetch);
        mq_client_wake_locked(&consumer->client);
    }
}

/* The next message that is here, or false. Topics take turns. */
static bool consumer_pick_locked(struct MyConsumer *consumer, MyMessage *message)
{
    size_t count = consumer->client.channel_count;
    for (size_t i = 0; i < count; i++) {
        struct stream *stream =
            (struct stream *)consumer->client.channels[(consumer->turn + i) % count];
        if (stream->fetch.count == 0) {
            continue;
        }
        const struct mq_fetched *fetched = &stream->fetch.messages[stream->fetch.next];
        *message = (MyMessage){.topic = stream->channel.topic,
                               .message = fetched->bytes,
                               .length = fetched->length,
                               .offset = stream->position};
        consumer->current = stream;
        consumer->turn = (consumer->turn + i + 1) % count;
        return true;
    }
    return false;
}

/* The broker was away for retry_ms: say so, and let the next wait be as long. */
static enum myqueue_status consumer_away_locked(struct MyConsumer *consumer, int64_t now_ms,
                                                const char *why)
{
    snprintf(consumer->error, sizeof consumer->error,
             "the broker at %.200s did not answer for %d ms: %.200s", consumer->client.url,
             consumer->options.retry_ms, why);
    for (size_t i = 0; i < consumer->client.channel_count; i++) {
        struct stream *stream = (struct stream *)consumer->client.channels[i];
        if (stream->failing_ms != MQ_NEVER) {
            stream->failing_ms = now_ms;
        }
    }
    return MYQUEUE_BROKER_AWAY;
}

/* Why nothing more can come now: a dead topic, or a broker that is away for too long.
 * `until_ms` is drawn near to the time when it will be. */
static enum myqueue_status consumer_trouble_locked(struct MyConsumer *consumer, int64_t now_ms,
                                                   int64_t *until_ms)
{
    for (size_t i = 0; i < consumer->client.channel_count; i++) {
        const struct stream *stream = (struct stream *)consumer->client.channels[i];
        const struct mq_channel *channel = &stream->channel;
        if (channel->status != MYQUEUE_OK) {
            snprintf(consumer->error, sizeof consumer->error, "topic '%.200s': %.280s",
                     channel->topic, channel->error);
            return channel->status;
        }
        if (stream->failing_ms == MQ_NEVER) {
            continue;
        }
        int64_t away_ms = stream->failing_ms + consumer->options.retry_ms;
        if (now_ms >= away_ms) {
            return consumer_away_locked(consumer, now_ms, channel->error);
        }
        *until_ms = away_ms < *until_ms ? away_ms : *until_ms;
    }
    return MYQUEUE_OK;
}

enum myqueue_status myconsumer_get_next(MyConsumer *consumer, int timeout_ms, MyMessage *message)
{
    enum myqueue_status status;
    int64_t until_ms = mq_clock_after(timeout_ms);
    consumer->error[0] = '\0';
    pthread_mutex_lock(&consumer->client.lock);
    consumer_dealt_with_locked(consumer);
    for (;;) {
        if (consumer_pick_locked(consumer, message)) {
            status = MYQUEUE_OK;
            break;
        }
        int64_t now_ms = mq_clock_ms();
        int64_t wake_ms = until_ms;
        status = consumer_trouble_locked(consumer, now_ms, &wake_ms);
        if (status != MYQUEUE_OK) {
            break;
        }
        if (now_ms >= until_ms) {
            status = MYQUEUE_TIMEOUT;
            break;
        }
        mq_clock_wait(&consumer->client.changed, &consumer->client.lock, wake_ms);
    }
    pthread_mutex_unlock(&consumer->client.lock);
    return status;
}

const char *myconsumer_error(MyConsumer *consumer)
{
    return consumer->error;
}

/* The topic's; NULL, with a line in `error`, when there is none. */
static struct stream *consumer_stream(struct MyConsumer *consumer, const char *topic, char *error)
{
    pthread_mutex_lock(&consumer->client.lock);
    struct stream *stream = (struct stream *)mq_client_find_locked(&consumer->client, topic);
    pthread_mutex_unlock(&consumer->client.lock);
    if (stream == NULL) {
        snprintf(error, MYQUEUE_ERROR_BYTES, "topic '%.200s' is not one of the consumer's", topic);
    }
    return stream;
}

/* A question that the caller's own thread asks, as the observer sees it. */
struct question {
    struct stream *stream;
    const char *path;
    struct myqueue_attempt attempt;
};

static void question_tried(void *arg, const struct mq_reply *reply)
{
    struct question *question = arg;
    const struct mq_channel *channel = &question->stream->channel;
    if (reply == NULL) {
        mq_client_attempt_begins(channel->client, &question->attempt, question->path,
                                 channel->topic);
    } else {
        mq_client_attempt_ends(channel->client, &question->attempt, reply);
    }
}

/* A GET of `path` about the stream's position, with "&offset=.." and what follows it in `more`
 * when `offset` is not -1. */
static enum myqueue_status stream_call(struct stream *stream, const char *path, int64_t offset,
                                       const char *more, struct mq_reply *reply, char *error)
{
    const struct MyConsumer *consumer = (struct MyConsumer *)stream->channel.client;
    enum myqueue_status status = MYQUEUE_NO_MEMORY;
    struct question question = {stream, path, {.sequence = -1, .offset = offset}};
    const struct mq_call_watch watch = {question_tried, &question};
    struct mq_text target = {0};
    mq_text_format(&target, "%s", path);
    stream_query(stream, &target);
    if (offset >= 0) {
        mq_text_format(&target, "&offset=%" PRId64 "%s", offset, more);
    }
    if (!target.failed) {
        status = mq_call_until(consumer->client.url, target.bytes, NULL, consumer->options.retry_ms,
                               &watch, reply, error);
    }
    mq_text_release(&target);
    return status;
}

/*
 * The broker counts from the position that it knows, so tell it first. The request in
 * flight, if there is one, asks for the same position and does not disturb that.
 */
static enum myqueue_status stream_save_position(struct stream *stream, int64_t position,
                                                char *error)
{
    struct mq_reply reply;
    enum myqueue_status status =
        stream_call(stream, "/consumer/consume", position, "&max=1&wait_ms=0", &reply, error);
    if (status != MYQUEUE_OK) {
        return status;
    }
    if (reply.kind == MQ_REPLY_REFUSED && !mq_reply_is(&reply, "no_message")) {
        status = mq_reply_status(&reply, true);
        snprintf(error, MYQUEUE_ERROR_BYTES, "%s", reply.error);
    }
    mq_reply_release(&reply);
    return status;
}

static enum myqueue_status stream_size(struct stream *stream, int64_t *size, char *error)
{
    struct mq_reply reply;
    enum myqueue_status status = stream_call(stream, "/size", -1, "", &reply, error);
    return status == MYQUEUE_OK ? mq_call_size(&reply, size, error) : status;
}

enum myqueue_status myconsumer_size(MyConsumer *consumer, const char *topic, int64_t *size,
                                    char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    struct stream *stream = consumer_stream(consumer, topic, error);
    if (stream == NULL) {
        return MYQUEUE_BAD_ARGUMENT;
    }
    /* Only the program moves the position, and this is the program. */
    enum myqueue_status status = stream_save_position(stream, stream->position, error);
    if (status == MYQUEUE_OK) {
        status = stream_size(stream, size, error);
    }
    if (status == MYQUEUE_OK && consumer->current == stream) {
        (*size)--; /* given, though not dealt with */
    }
    return status;
}

/* ---- seeking: on the program's thread --------------------------------------------- */

/* Wait until the thread asks for nothing; else the reason why the topic has ended. */
static enum myqueue_status stream_quieten(struct stream *stream, char *error)
{
    struct mq_channel *channel = &stream->channel;
    struct mq_client *client = channel->client;
    pthread_mutex_lock(&client->lock);
    stream->seeking = true;
    mq_client_wake_locked(client);
    while (!stream->quiet && channel->status == MYQUEUE_OK) {
        mq_clock_wait(&client->changed, &client->lock, MQ_NEVER);
    }
    enum myqueue_status status = channel->status;
    if (status != MYQUEUE_OK) {
        stream->seeking = false;
        snprintf(error, MYQUEUE_ERROR_BYTES, "topic '%.200s': %.280s", channel->topic,
                 channel->error);
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* Let the thread go on at `position`; -1: where it was. */
static void stream_go_on(struct stream *stream, int64_t position)
{
    struct MyConsumer *consumer = (struct MyConsumer *)stream->channel.client;
    pthread_mutex_lock(&consumer->client.lock);
    if (position >= 0) {
        consumer->current = consumer->current == stream ? NULL : consumer->current;
        mq_fetch_release(&stream->fetch);
        stream->position = position;
    }
    stream->failing_ms = MQ_NEVER; /* who seeks has waited for the broker by itself */
    stream->seeking = false;
    stream->quiet = false;
    mq_client_wake_locked(&consumer->client);
    pthread_mutex_unlock(&consumer->client.lock);
}

static void seek_text(struct mq_text *body, const struct stream *stream, int64_t offset)
{
    mq_text_format(body, "{\"topic\":");
    mq_text_json(body, stream->channel.topic, strlen(stream->channel.topic));
    mq_text_format(body, ",\"consumer_id\":%" PRId64 ",\"offset\":", stream->channel.id);
    if (offset == MYQUEUE_EARLIEST || offset == MYQUEUE_LATEST) {
        mq_text_format(body, "\"%s\"}", offset == MYQUEUE_EARLIEST ? "earliest" : "latest");
    } else {
        mq_text_format(body, "%" PRId64 "}", offset);
    }
}

/* Asking again is harmless: a seek that was done is done again. */
static enum myqueue_status stream_seek(struct stream *stream, int64_t offset, int64_t *position,
                                       char *error)
{
    const struct MyConsumer *consumer = (struct MyConsumer *)stream->channel.client;
    struct question question = {
        stream, "/consumer/seek", {.sequence = -1, .offset = offset >= 0 ? offset : -1}};
    const struct mq_call_watch watch = {question_tried, &question};
    struct mq_text body = {0};
    struct mq_reply reply;
    enum myqueue_status status = MYQUEUE_NO_MEMORY;
    seek_text(&body, stream, offset);
    if (!body.failed) {
        status = mq_call_until(consumer->client.url, question.path, body.bytes,
                               consumer->options.retry_ms, &watch, &reply, error);
    }
    mq_text_release(&body);
    if (status != MYQUEUE_OK) {
        return mq_error_complete(status, error);
    }
    *position = mq_reply_number(&reply, "offset");
    if (reply.kind == MQ_REPLY_REFUSED) {
        status = mq_reply_status(&reply, true);
        snprintf(error, MYQUEUE_ERROR_BYTES, "%s", reply.error);
    } else if (*position < 0) {
        status = MYQUEUE_BAD_REPLY;
        snprintf(error, MYQUEUE_ERROR_BYTES, "the broker answered without an offset");
    }
    mq_reply_release(&reply);
    return status;
}

enum myqueue_status myconsumer_seek(MyConsumer *consumer, const char *topic, int64_t offset,
                                    int64_t *position, char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    int64_t there = -1;
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    if ((offset < 0 && offset != MYQUEUE_EARLIEST && offset != MYQUEUE_LATEST) ||
        offset > OFFSET_MAX) {
        snprintf(error, MYQUEUE_ERROR_BYTES,
                 "offset %" PRId64 " is not 0 to 2^53, MYQUEUE_EARLIEST or MYQUEUE_LATEST", offset);
        return MYQUEUE_BAD_ARGUMENT;
    }
    struct stream *stream = consumer_stream(consumer, topic, error);
    if (stream == NULL) {
        return MYQUEUE_BAD_ARGUMENT;
    }
    enum myqueue_status status = stream_quieten(stream, error);
    if (status != MYQUEUE_OK) {
        return status;
    }
    status = stream_seek(stream, offset, &there, error);
    stream_go_on(stream, status == MYQUEUE_OK ? there : -1);
    if (status == MYQUEUE_OK && position != NULL) {
        *position = there;
    }
    return status;
}

enum myqueue_status myconsumer_identity(MyConsumer *consumer, const char *topic,
                                        struct myqueue_identity *identity)
{
    pthread_mutex_lock(&consumer->client.lock);
    struct stream *stream = (struct stream *)mq_client_find_locked(&consumer->client, topic);
    if (stream != NULL) {
        *identity = (struct myqueue_identity){.topic = stream->channel.topic,
                                              .client_id = stream->channel.id,
                                              .next = stream->position};
    }
    pthread_mutex_unlock(&consumer->client.lock);
    return stream != NULL ? MYQUEUE_OK : MYQUEUE_BAD_ARGUMENT;
}

/* ---- the consumer ----------------------------------------------------------------- */

void myconsumer_options_init(struct myconsumer_options *options)
{
    *options = (struct myconsumer_options){
        .retry_ms = 60000,
        .request_ms = 15000,
        .wait_ms = WAIT_LONGEST_MS,
        .fetch_messages_max = 500,
        .fetch_bytes_max = 16 * 1024 * 1024,
    };
}

static enum myqueue_status options_check(const struct myconsumer_options *o, char *error)
{
    const struct mq_option_range rows[] = {
        {"retry_ms", o->retry_ms, 0, INT32_MAX},
        {"request_ms", o->request_ms, 1, INT32_MAX - WAIT_LONGEST_MS},
        {"wait_ms", o->wait_ms, 1, WAIT_LONGEST_MS},
        {"fetch_messages_max", o->fetch_messages_max, 1, FETCH_MESSAGES_MAX},
        {"fetch_bytes_max", (int64_t)o->fetch_bytes_max, 1, INT32_MAX},
    };
    return mq_options_check(rows, sizeof rows / sizeof *rows, error);
}

static bool consumer_add(struct MyConsumer *consumer, const char *topic)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return false;
    }
    stream->messages_max = consumer->options.fetch_messages_max;
    stream->failing_ms = MQ_NEVER;
    if (!mq_channel_init(&stream->channel, &consumer->client, topic)) {
        free(stream);
        return false;
    }
    mq_client_add_locked(&consumer->client, &stream->channel);
    return true;
}

enum myqueue_status myconsumer_create(const char *broker, const char *const *topics,
                                      size_t topic_count, const struct myconsumer_options *options,
                                      MyConsumer **consumer_out, char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    *consumer_out = NULL;
    struct MyConsumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        return mq_error_complete(MYQUEUE_NO_MEMORY, error);
    }
    myconsumer_options_init(&consumer->options);
    if (options != NULL) {
        consumer->options = *options;
    }
    enum myqueue_status status = options_check(&consumer->options, error);
    if (status == MYQUEUE_OK) {
        status =
            mq_client_init(&consumer->client, &consumer_role, broker, topics, topic_count, error);
    }
    if (status != MYQUEUE_OK) {
        free(consumer);
        return status;
    }
    consumer->client.request_ms = consumer->options.request_ms;
    consumer->client.create_topics = consumer->options.create_topics;
    consumer->client.observer = consumer->options.observer;
    consumer->client.observer_arg = consumer->options.observer_arg;
    for (size_t i = 0; i < topic_count && status == MYQUEUE_OK; i++) {
        status = consumer_add(consumer, topics[i]) ? MYQUEUE_OK : MYQUEUE_NO_MEMORY;
    }
    if (status == MYQUEUE_OK) {
        status = mq_client_resume(&consumer->client, consumer->options.resume,
                                  consumer->options.resume_count, error);
    }
    if (status == MYQUEUE_OK) {
        status = mq_client_start(&consumer->client, consumer->options.retry_ms, error);
    }
    if (status != MYQUEUE_OK) {
        myconsumer_stop(consumer);
        return mq_error_complete(status, error);
    }
    *consumer_out = consumer;
    return MYQUEUE_OK;
}

void myconsumer_stop(MyConsumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    mq_client_end(&consumer->client);
    for (size_t i = 0; i < consumer->client.channel_count; i++) {
        struct stream *stream = (struct stream *)consumer->client.channels[i];
        mq_fetch_release(&stream->fetch);
        mq_channel_release(&stream->channel);
        free(stream);
    }
    mq_client_release(&consumer->client);
    free(consumer);
}
