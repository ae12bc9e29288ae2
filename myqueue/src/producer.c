/*
 * producer.c - MyProducer: a lane for each topic, in which messages wait and one batch at a
 * time is on its way.
 *
 * Always: a batch is sent again as it was, with its sequence, until the broker says what
 * became of it or its time is over. Then there are two cases.
 *   - The broker certainly did not store it: its sequence is free and goes to the next.
 *   - Nobody knows. Its sequence may be taken, now or when a request that is still under
 *     way arrives, and a message under a taken sequence would be called a duplicate and
 *     lost. So the lane registers anew, and counts from 0 under another id; or, with
 *     keep_identity, it ends there.
 *
 * A lane that was resumed does not know how much of what it sends is stored already. It finds
 * out by sending it: what is stored whole is called a duplicate; when only the beginning of a
 * batch is, the broker says which sequence it expects, and the batch is cut there. A duplicate
 * without an offset had been sent in other batches: each of its messages is sent again for its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "myqueue.h"
#include "myqueue/src/batch.h"
#include "myqueue/src/client.h"

enum {
    BATCH_MESSAGES_MAX = 10000,
    ATTEMPT_SHORTEST_MS = 1000, /* even a last attempt is given this long */
};

struct MyProducer {
    struct mq_client client; /* first: a client's role finds its producer */
    struct myproducer_options options;

    /* guarded by client.lock: */
    size_t queued_messages; /* in all lanes, waiting and on their way */
    size_t queued_bytes;
    size_t undelivered;                   /* in the whole life */
    enum myqueue_status first_failure;    /* in the whole life */
    enum myqueue_status failure_to_flush; /* the first since the last flush */
    enum myqueue_status latest;           /* how the latest message ended */
};

struct lane {
    struct mq_channel channel; /* first: a client's channel is a lane */

    /* guarded by client.lock: */
    struct mq_outgoing_list waiting;
    int64_t undelivered_sequence; /* of the first message that is not delivered */

    /* the thread's: */
    struct mq_outgoing_list batch; /* empty, or what must be sent (again) */
    bool maybe_stored;             /* an attempt at the batch had an unknown outcome */
    int64_t batch_sequence;
    int64_t next_sequence;
    int64_t counted_id;  /* the id under which the sequences count */
    int64_t progress_ms; /* when the broker last did something for this lane */
    size_t singles;      /* so many messages go alone, see lane_split */
    bool registered;     /* once, at least */
    bool resuming;       /* what is sent may be stored since an earlier life */
};

static struct MyProducer *lane_producer(struct lane *lane)
{
    return (struct MyProducer *)lane->channel.client;
}

/* ---- the end of a message's way --------------------------------------------------- */

/* `list` has ended; report it, then take it from the account, so that who waits for an
 * empty queue finds every callback returned. Frees the messages. MYQUEUE_OK: it is the batch. */
static void lane_settle(struct lane *lane, struct mq_outgoing_list *list,
                        enum myqueue_status status, int64_t offset, const char *error)
{
    struct MyProducer *producer = lane_producer(lane);
    size_t count = list->count;
    size_t bytes = list->bytes;
    if (count == 0) {
        return;
    }
    for (size_t i = 0; list->first != NULL; i++) {
        struct mq_outgoing *message = mq_outgoing_take(list);
        struct myqueue_delivery delivery = {
            .topic = lane->channel.topic,
            .tag = message->tag,
            .status = status,
            .offset = offset >= 0 ? offset + (int64_t)i : -1,
            .sequence = status == MYQUEUE_OK ? lane->batch_sequence + (int64_t)i : -1,
            .error = error,
        };
        if (producer->options.delivered != NULL) {
            producer->options.delivered(producer->options.delivered_arg, &delivery);
        }
        free(message);
    }
    pthread_mutex_lock(&producer->client.lock);
    producer->queued_messages -= count;
    producer->queued_bytes -= bytes;
    producer->latest = status;
    if (status == MYQUEUE_OK) {
        lane->undelivered_sequence = lane->batch_sequence + (int64_t)count;
    } else {
        producer->undelivered += count;
        if (producer->first_failure == MYQUEUE_OK) {
            producer->first_failure = status;
        }
        if (producer->failure_to_flush == MYQUEUE_OK) {
            producer->failure_to_flush = status;
        }
    }
    pthread_cond_broadcast(&producer->client.changed);
    pthread_mutex_unlock(&producer->client.lock);
}

/* The batch will not be delivered. `status` is for the case that it is not stored. */
static void lane_fail_batch(struct lane *lane, enum myqueue_status status, const char *error)
{
    if (lane->batch.count == 0) {
        return;
    }
    if (lane->maybe_stored || (lane->resuming && status == MYQUEUE_EXPIRED)) {
        status = MYQUEUE_OUTCOME_UNKNOWN;
    }
    if (status == MYQUEUE_OUTCOME_UNKNOWN && lane_producer(lane)->options.keep_identity) {
        mq_channel_kill(&lane->channel, status, error);
    } else if (status == MYQUEUE_OUTCOME_UNKNOWN) {
        pthread_mutex_lock(&lane->channel.client->lock);
        lane->channel.id = -1;
        pthread_mutex_unlock(&lane->channel.client->lock);
    } else {
        lane->next_sequence = lane->batch_sequence;
    }
    lane_settle(lane, &lane->batch, status, -1, error);
}

static void lane_fail_waiting(struct lane *lane, enum myqueue_status status, const char *error)
{
    struct mq_outgoing_list waiting;
    pthread_mutex_lock(&lane->channel.client->lock);
    waiting = lane->waiting;
    lane->waiting = (struct mq_outgoing_list){0};
    pthread_mutex_unlock(&lane->channel.client->lock);
    lane_settle(lane, &waiting, status, -1, error);
}

/* ---- time ------------------------------------------------------------------------- */

static int64_t lane_expiry_ms(const struct lane *lane, const struct mq_outgoing *message)
{
    const struct MyProducer *producer = (const struct MyProducer *)lane->channel.client;
    int64_t from_ms = message->sent_ms > lane->progress_ms ? message->sent_ms : lane->progress_ms;
    return from_ms + producer->options.retry_ms;
}

/* Give up what has waited for too long; when the next will have. A batch ends as a whole,
 * with its youngest message. */
static int64_t lane_expire(struct lane *lane, int64_t now_ms)
{
    if (lane->batch.count > 0) {
        int64_t expiry_ms = lane_expiry_ms(lane, lane->batch.last);
        if (now_ms < expiry_ms) {
            return expiry_ms;
        }
        lane_fail_batch(lane, MYQUEUE_EXPIRED, lane->channel.error);
    }
    struct mq_outgoing_list expired = {0};
    int64_t expiry_ms = MQ_NEVER;
    pthread_mutex_lock(&lane->channel.client->lock);
    while (lane->waiting.first != NULL) {
        expiry_ms = lane_expiry_ms(lane, lane->waiting.first);
        if (now_ms < expiry_ms) {
            break;
        }
        mq_outgoing_append(&expired, mq_outgoing_take(&lane->waiting));
        expiry_ms = MQ_NEVER;
    }
    pthread_mutex_unlock(&lane->channel.client->lock);
    lane_settle(lane, &expired, MYQUEUE_EXPIRED, -1, lane->channel.error);
    return expiry_ms;
}

/* ---- a batch's way ---------------------------------------------------------------- */

/* The batch goes back and is sent one by one: the broker finds it too large, or something in it
 * bad, and the others must not suffer; or it was stored in an earlier life in several batches, and
 * the place of each is to be known. */
static void lane_split(struct lane *lane)
{
    lane->next_sequence = lane->batch_sequence;
    lane->singles = lane->batch.count;
    pthread_mutex_lock(&lane->channel.client->lock);
    mq_outgoing_return(&lane->waiting, &lane->batch);
    pthread_mutex_unlock(&lane->channel.client->lock);
}

/* The broker has the first of the batch, since an earlier life, and not the others: those go
 * back, and the first are sent as they were then, for their offsets. */
static void lane_cut(struct lane *lane, int64_t expected)
{
    struct mq_outgoing_list rest;
    mq_outgoing_cut(&lane->batch, (size_t)(expected - lane->batch_sequence), &rest);
    lane->next_sequence = expected;
    lane->maybe_stored = true;
    pthread_mutex_lock(&lane->channel.client->lock);
    mq_outgoing_return(&lane->waiting, &rest);
    pthread_mutex_unlock(&lane->channel.client->lock);
}

static void lane_refused(struct lane *lane, struct mq_reply *reply)
{
    enum myqueue_status status = mq_reply_status(reply, true);
    lane->progress_ms = mq_clock_ms();
    if (lane->resuming && mq_reply_is(reply, "out_of_sequence") &&
        reply->expected > lane->batch_sequence && reply->expected < lane->next_sequence) {
        lane_cut(lane, reply->expected);
    } else if (status == MYQUEUE_FORGOTTEN) {
        mq_channel_kill(&lane->channel, status, reply->error);
        lane_fail_batch(lane, status, reply->error);
    } else if (lane->batch.count > 1 && !lane->maybe_stored) {
        lane_split(lane);
    } else {
        lane_fail_batch(lane, status, reply->error);
    }
}

static void lane_answered(struct mq_channel *channel, struct mq_reply *reply)
{
    struct lane *lane = (struct lane *)channel;
    int64_t offset = reply->kind == MQ_REPLY_SUCCESS ? mq_reply_number(reply, "offset") : -1;
    if (offset >= 0 || mq_reply_true(reply, "duplicate")) {
        mq_retry_reset(&channel->retry);
        lane->progress_ms = mq_clock_ms();
        lane->resuming = lane->resuming && mq_reply_true(reply, "duplicate");
        if (lane->resuming && offset < 0 && lane->batch.count > 1) {
            lane_split(lane);
        } else {
            lane_settle(lane, &lane->batch, MYQUEUE_OK, offset, "");
        }
        return;
    }
    if (reply->kind == MQ_REPLY_REFUSED) {
        lane_refused(lane, reply);
        return;
    }
    if (reply->kind == MQ_REPLY_SUCCESS) {
        snprintf(reply->error, sizeof reply->error, "the broker answered without an offset");
    }
    lane->maybe_stored |= reply->kind != MQ_REPLY_AGAIN;
    mq_channel_retry_later(channel, reply);
}

/* Make the next batch of what waits; false when nothing does. */
static bool lane_fill(struct lane *lane)
{
    const struct myproducer_options *options = &lane_producer(lane)->options;
    size_t messages_max = lane->singles > 0 ? 1 : (size_t)options->batch_messages_max;
    pthread_mutex_lock(&lane->channel.client->lock);
    mq_batch_fill(&lane->batch, &lane->waiting, messages_max, options->batch_bytes_max);
    pthread_mutex_unlock(&lane->channel.client->lock);
    if (lane->batch.count == 0) {
        return false;
    }
    lane->singles -= lane->singles > 0;
    lane->maybe_stored = false;
    lane->batch_sequence = lane->next_sequence;
    lane->next_sequence += (int64_t)lane->batch.count;
    return true;
}

static void lane_send(struct lane *lane, int64_t now_ms)
{
    struct mq_channel *channel = &lane->channel;
    int64_t left_ms = lane_expiry_ms(lane, lane->batch.last) - now_ms;
    int limit_ms = channel->client->request_ms;
    left_ms = left_ms > ATTEMPT_SHORTEST_MS ? left_ms : ATTEMPT_SHORTEST_MS;
    limit_ms = left_ms < limit_ms ? (int)left_ms : limit_ms;
    mq_batch_write(&lane->batch, channel->topic, channel->id, lane->batch_sequence, &channel->body);
    channel->attempt.sequence = lane->batch_sequence;
    channel->attempt.count = (int)lane->batch.count;
    channel->attempt.offset = -1;
    mq_channel_request(channel, "/producer/produce", "", limit_ms, MQ_CONTROL_ANSWER_BYTES_MAX,
                       lane_answered);
}

static int64_t lane_step(struct mq_channel *channel, int64_t now_ms)
{
    struct lane *lane = (struct lane *)channel;
    int64_t expiry_ms = lane_expire(lane, now_ms);
    if (now_ms < channel->due_ms) {
        return channel->due_ms < expiry_ms ? channel->due_ms : expiry_ms;
    }
    if (channel->id < 0) {
        if (lane->registered && expiry_ms == MQ_NEVER) {
            return MQ_NEVER; /* nothing to send: no reason to have an id */
        }
        mq_channel_register(channel);
        return MQ_NEVER;
    }
    if (channel->id != lane->counted_id) {
        lane->counted_id = channel->id;
        lane->next_sequence = 0;
        lane->resuming = false;
        lane->registered = true;
        lane->progress_ms = now_ms;
    }
    if (lane->batch.count == 0 && !lane_fill(lane)) {
        return MQ_NEVER;
    }
    lane_send(lane, now_ms);
    return MQ_NEVER;
}

static void lane_dead(struct mq_channel *channel)
{
    bool unknown = channel->status == MYQUEUE_OUTCOME_UNKNOWN; /* of those before */
    lane_fail_waiting((struct lane *)channel, unknown ? MYQUEUE_EXPIRED : channel->status,
                      channel->error);
}

static void lane_registered_locked(struct mq_channel *channel, const struct mq_reply *reply)
{
    (void)reply;
    ((struct lane *)channel)->undelivered_sequence = 0;
}

static void lane_resumed(struct mq_channel *channel, int64_t next)
{
    struct lane *lane = (struct lane *)channel;
    lane->counted_id = channel->id;
    lane->next_sequence = next;
    lane->undelivered_sequence = next;
    lane->registered = true;
    lane->resuming = true;
}

static const struct mq_role producer_role = {
    .register_path = "/producer/register",
    .id_name = "producer_id",
    .registered_locked = lane_registered_locked,
    .resumed = lane_resumed,
    .step = lane_step,
    .dead = lane_dead,
};

/* ---- the producer ----------------------------------------------------------------- */

void myproducer_options_init(struct myproducer_options *options)
{
    *options = (struct myproducer_options){
        .retry_ms = 60000,
        .request_ms = 15000,
        .block_ms = MYQUEUE_FOREVER,
        .batch_messages_max = 500,
        .batch_bytes_max = 256 * 1024,
        .buffer_messages_max = 100000,
        .buffer_bytes_max = 64 * 1024 * 1024,
        .message_bytes_max = 1024 * 1024,
    };
}

static enum myqueue_status options_check(const struct myproducer_options *o, char *error)
{
    const struct mq_option_range rows[] = {
        {"retry_ms", o->retry_ms, 0, INT32_MAX},
        {"request_ms", o->request_ms, 1, INT32_MAX},
        {"block_ms", o->block_ms, MYQUEUE_FOREVER, INT32_MAX},
        {"batch_messages_max", o->batch_messages_max, 1, BATCH_MESSAGES_MAX},
        {"batch_bytes_max", (int64_t)o->batch_bytes_max, 1, INT32_MAX},
        {"buffer_messages_max", (int64_t)o->buffer_messages_max, 1, INT32_MAX},
        {"message_bytes_max", (int64_t)o->message_bytes_max, 1, INT32_MAX},
        {"buffer_bytes_max", (int64_t)o->buffer_bytes_max, (int64_t)o->message_bytes_max,
         INT64_MAX},
    };
    return mq_options_check(rows, sizeof rows / sizeof *rows, error);
}

/* A new lane in the client; NULL: out of memory. The lock is held, or nothing runs yet. */
static struct lane *producer_add_locked(struct MyProducer *producer, const char *topic)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return NULL;
    }
    lane->counted_id = -1;
    if (!mq_channel_init(&lane->channel, &producer->client, topic)) {
        free(lane);
        return NULL;
    }
    mq_client_add_locked(&producer->client, &lane->channel);
    return lane;
}

/* Nothing is queued, or was given up. */
static void producer_destroy(struct MyProducer *producer)
{
    for (size_t i = 0; i < producer->client.channel_count; i++) {
        mq_channel_release(producer->client.channels[i]);
        free(producer->client.channels[i]);
    }
    mq_client_release(&producer->client);
    free(producer);
}

enum myqueue_status myproducer_create(const char *broker, const char *const *topics,
                                      size_t topic_count, const struct myproducer_options *options,
                                      MyProducer **producer_out, char *error)
{
    char unwanted[MYQUEUE_ERROR_BYTES];
    error = error != NULL ? error : unwanted;
    error[0] = '\0';
    *producer_out = NULL;
    struct MyProducer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        return mq_error_complete(MYQUEUE_NO_MEMORY, error);
    }
    myproducer_options_init(&producer->options);
    if (options != NULL) {
        producer->options = *options;
    }
    enum myqueue_status status = options_check(&producer->options, error);
    if (status == MYQUEUE_OK) {
        status =
            mq_client_init(&producer->client, &producer_role, broker, topics, topic_count, error);
    }
    if (status != MYQUEUE_OK) {
        free(producer);
        return status;
    }
    producer->client.request_ms = producer->options.request_ms;
    producer->client.observer = producer->options.observer;
    producer->client.observer_arg = producer->options.observer_arg;
    for (size_t i = 0; i < topic_count && status == MYQUEUE_OK; i++) {
        status = producer_add_locked(producer, topics[i]) != NULL ? MYQUEUE_OK : MYQUEUE_NO_MEMORY;
    }
    if (status == MYQUEUE_OK) {
        status = mq_client_resume(&producer->client, producer->options.resume,
                                  producer->options.resume_count, error);
    }
    if (status == MYQUEUE_OK) {
        status = mq_client_start(&producer->client, producer->options.retry_ms, error);
    }
    if (status != MYQUEUE_OK) {
        mq_client_end(&producer->client);
        producer_destroy(producer);
        return mq_error_complete(status, error);
    }
    *producer_out = producer;
    return MYQUEUE_OK;
}

bool myproducer_can_send(MyProducer *producer)
{
    pthread_mutex_lock(&producer->client.lock);
    enum myqueue_status latest = producer->latest;
    pthread_mutex_unlock(&producer->client.lock);
    return latest != MYQUEUE_EXPIRED && latest != MYQUEUE_OUTCOME_UNKNOWN &&
           latest != MYQUEUE_FORGOTTEN;
}

/* Wait for room for a message of `length` bytes. */
static enum myqueue_status producer_wait_for_room_locked(struct MyProducer *producer, size_t length)
{
    const struct myproducer_options *options = &producer->options;
    int64_t until_ms = mq_clock_after(options->block_ms);
    while (producer->queued_messages >= options->buffer_messages_max ||
           producer->queued_bytes + length > options->buffer_bytes_max) {
        if (until_ms != MQ_NEVER && mq_clock_ms() >= until_ms) {
            return MYQUEUE_FULL;
        }
        mq_clock_wait(&producer->client.changed, &producer->client.lock, until_ms);
    }
    return MYQUEUE_OK;
}

/* The topic's lane, made if it is not there yet. */
static enum myqueue_status producer_lane_locked(struct MyProducer *producer, const char *topic,
                                                struct lane **lane)
{
    *lane = (struct lane *)mq_client_find_locked(&producer->client, topic);
    if (*lane != NULL) {
        return (*lane)->channel.status;
    }
    if (!mq_topic_valid(topic) || producer->client.channel_count == MYQUEUE_TOPICS_MAX) {
        return MYQUEUE_BAD_ARGUMENT;
    }
    *lane = producer_add_locked(producer, topic);
    return *lane != NULL ? MYQUEUE_OK : MYQUEUE_NO_MEMORY;
}

enum myqueue_status myproducer_send(MyProducer *producer, const char *topic, const void *message,
                                    size_t length, uint64_t tag)
{
    if (length > producer->options.message_bytes_max) {
        return MYQUEUE_TOO_LARGE;
    }
    if (!mq_text_valid(message, length)) {
        return MYQUEUE_BAD_MESSAGE;
    }
    struct mq_outgoing *outgoing = mq_outgoing_create(message, length, tag, 0);
    if (outgoing == NULL) {
        return MYQUEUE_NO_MEMORY;
    }
    struct lane *lane;
    pthread_mutex_lock(&producer->client.lock);
    enum myqueue_status status = producer_wait_for_room_locked(producer, length);
    if (status == MYQUEUE_OK) {
        status = producer_lane_locked(producer, topic, &lane);
    }
    if (status == MYQUEUE_OK) {
        outgoing->sent_ms = mq_clock_ms();
        mq_outgoing_append(&lane->waiting, outgoing);
        producer->queued_messages++;
        producer->queued_bytes += length;
        mq_client_wake_locked(&producer->client);
    }
    pthread_mutex_unlock(&producer->client.lock);
    if (status != MYQUEUE_OK) {
        free(outgoing);
    }
    return status;
}

enum myqueue_status myproducer_flush(MyProducer *producer, int timeout_ms)
{
    int64_t until_ms = mq_clock_after(timeout_ms);
    enum myqueue_status status = MYQUEUE_TIMEOUT;
    pthread_mutex_lock(&producer->client.lock);
    while (producer->queued_messages > 0 && (until_ms == MQ_NEVER || mq_clock_ms() < until_ms)) {
        mq_clock_wait(&producer->client.changed, &producer->client.lock, until_ms);
    }
    if (producer->queued_messages == 0) {
        status = producer->failure_to_flush;
        producer->failure_to_flush = MYQUEUE_OK;
    }
    pthread_mutex_unlock(&producer->client.lock);
    return status;
}

enum myqueue_status myproducer_identity(MyProducer *producer, const char *topic,
                                        struct myqueue_identity *identity)
{
    pthread_mutex_lock(&producer->client.lock);
    struct lane *lane = (struct lane *)mq_client_find_locked(&producer->client, topic);
    bool registered = lane != NULL && lane->channel.id >= 0;
    if (registered) {
        *identity = (struct myqueue_identity){.topic = lane->channel.topic,
                                              .client_id = lane->channel.id,
                                              .next = lane->undelivered_sequence};
    }
    pthread_mutex_unlock(&producer->client.lock);
    return registered ? MYQUEUE_OK : MYQUEUE_BAD_ARGUMENT;
}

/* The thread has ended; what is still queued was not delivered. */
static void producer_give_up(struct MyProducer *producer)
{
    static const char *const why = "the producer was stopped before it was delivered";
    for (size_t i = 0; i < producer->client.channel_count; i++) {
        struct lane *lane = (struct lane *)producer->client.channels[i];
        lane->maybe_stored |= lane->channel.in_flight;
        lane_fail_batch(lane, MYQUEUE_EXPIRED, why);
        lane_fail_waiting(lane, MYQUEUE_EXPIRED, why);
    }
}

enum myqueue_status myproducer_stop(MyProducer *producer, int timeout_ms, size_t *undelivered)
{
    if (producer == NULL) {
        return MYQUEUE_OK;
    }
    myproducer_flush(producer, timeout_ms);
    mq_client_end(&producer->client);
    producer_give_up(producer);
    if (undelivered != NULL) {
        *undelivered = producer->undelivered;
    }
    enum myqueue_status status = producer->first_failure;
    producer_destroy(producer);
    return status;
}
