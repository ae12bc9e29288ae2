/*
 * client.h - what a producer and a consumer have in common.
 *
 * A client has one thread, which does all of its HTTP, and one channel for each topic. A
 * channel has at most one request in flight: that is what keeps the order. Round after
 * round the thread lets each channel take its next step, which may start a request, and
 * then works until an answer, a wake or the time that a channel asked for.
 *
 * A channel first registers for its topic; the role (producer or consumer) does the rest.
 *
 * Threads: "the thread's" is touched by the client's thread only (and before it starts and
 * after it ended). What the thread alone writes, under the lock, it reads without.
 */
#ifndef MYQUEUE_SRC_CLIENT_H
#define MYQUEUE_SRC_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "myqueue.h"
#include "myqueue/src/address.h"
#include "myqueue/src/clock.h"
#include "myqueue/src/reply.h"
#include "myqueue/src/retry.h"
#include "myqueue/src/text.h"
#include "myqueue/src/transport.h"

struct mq_client;
struct mq_channel;

/* Called on the client's thread, without the lock. */
struct mq_role {
    const char *register_path; /* "/producer/register" */
    const char *id_name;       /* "producer_id" */
    bool start_earliest;       /* register with start=earliest */

    /* The registration's answer; the lock is held. May be NULL. */
    void (*registered_locked)(struct mq_channel *channel, const struct mq_reply *reply);

    /* The channel goes on as one that was registered before; nothing runs yet. */
    void (*resumed)(struct mq_channel *channel, int64_t next);

    /* Do what is due for the channel at `now_ms`; when to call again at the latest. The
     * channel has no request in flight and its status is MYQUEUE_OK. */
    int64_t (*step)(struct mq_channel *channel, int64_t now_ms);

    /* Is the request in flight of no use any more? Called every round, may be NULL. If so it is
     * given up, and the channel takes its next step. */
    bool (*unwanted)(struct mq_channel *channel);

    /* The channel's status is no longer MYQUEUE_OK; called every round, may be NULL. */
    void (*dead)(struct mq_channel *channel);
};

struct mq_client {
    const struct mq_role *role;
    char url[MQ_ADDRESS_BYTES_MAX];
    int request_ms;
    bool create_topics;         /* when a registration does not find the topic */
    myqueue_observer *observer; /* may be NULL */
    void *observer_arg;

    struct mq_transport *transport; /* the thread's; others only wake it */
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;   /* the library's only one; no callback and no wait under it */
    pthread_cond_t changed; /* anything that is guarded by the lock */
    /* guarded by lock: */
    bool stopping;
    bool woken;                                      /* the thread will make another round */
    struct mq_channel *channels[MYQUEUE_TOPICS_MAX]; /* set once each, never moved */
    size_t channel_count;
    uint64_t attempts; /* requests that the observer was told of */
};

typedef void mq_channel_answered(struct mq_channel *channel, struct mq_reply *reply);

struct mq_channel {
    struct mq_client *client;
    char *topic;

    /* the thread's: */
    struct mq_exchange *exchange;
    bool in_flight;
    mq_channel_answered *answered;  /* for the request in flight */
    struct myqueue_attempt attempt; /* as the observer sees it */
    struct mq_text url, body;       /* of the request */
    int64_t started_ms;
    int64_t due_ms; /* no request before this time */
    struct mq_retry retry;

    /* guarded by lock, written by the thread: */
    int64_t id;                      /* what the registration gave, or -1 */
    enum myqueue_status status;      /* MYQUEUE_OK, or why the channel is dead */
    char error[MYQUEUE_ERROR_BYTES]; /* what went wrong last, or "" */
};

/* Check the broker's address and the topics' names, and set up a zeroed client: everything
 * but the channels and the thread. On failure nothing is left. */
enum myqueue_status mq_client_init(struct mq_client *client, const struct mq_role *role,
                                   const char *broker, const char *const *topics,
                                   size_t topic_count, char *error);

/* Give the channels that `resume` names their ids; MYQUEUE_BAD_ARGUMENT when it cannot be right. */
enum myqueue_status mq_client_resume(struct mq_client *client,
                                     const struct myqueue_identity *resume, size_t count,
                                     char *error);

/* Start the thread and wait until every channel is registered; otherwise the first reason
 * why not. */
enum myqueue_status mq_client_start(struct mq_client *client, int timeout_ms, char *error);

/* End the thread; requests in flight are given up. What it owned is the caller's now. */
void mq_client_end(struct mq_client *client);

/* Free what mq_client_init made. The thread has ended, the channels are released. */
void mq_client_release(struct mq_client *client);

/* Make the thread take another round. The lock is held. */
void mq_client_wake_locked(struct mq_client *client);

/* The topic's channel, or NULL. The lock is held. */
struct mq_channel *mq_client_find_locked(struct mq_client *client, const char *topic);

/* A request of the client to `path` begins, and ends with `reply`: number it, and tell the
 * observer if there is one. Sequence, count and offset are set before. The lock is not held. */
void mq_client_attempt_begins(struct mq_client *client, struct myqueue_attempt *attempt,
                              const char *path, const char *topic);
void mq_client_attempt_ends(struct mq_client *client, struct myqueue_attempt *attempt,
                            const struct mq_reply *reply);

/* Set up a zeroed channel; false: out of memory, nothing is left. */
bool mq_channel_init(struct mq_channel *channel, struct mq_client *client, const char *topic);
void mq_channel_release(struct mq_channel *channel);

/* Give the client the channel, which there is room for. The lock is held, or the client is
 * not started. */
void mq_client_add_locked(struct mq_client *client, struct mq_channel *channel);

/* ---- on the client's thread ------------------------------------------------------- */

/*
 * Start a request: `channel->body` to `path` when it is not empty, otherwise a GET of `path`
 * with `query`. `channel->attempt` holds sequence, count and offset for the observer.
 * `answered` runs later, always: a request that cannot be started is MQ_REPLY_AGAIN.
 */
void mq_channel_request(struct mq_channel *channel, const char *path, const char *query,
                        int limit_ms, size_t answer_bytes_max, mq_channel_answered *answered);

/* Register, creating the topic where that is wanted: sets `id`, or `status`. */
void mq_channel_register(struct mq_channel *channel);

/* The request failed: no other before the time that retry.h and the broker say. */
void mq_channel_retry_later(struct mq_channel *channel, const struct mq_reply *reply);

/* The channel is dead from now on. */
void mq_channel_kill(struct mq_channel *channel, enum myqueue_status status, const char *error);

/* ---- for both roles --------------------------------------------------------------- */

enum { MQ_CONTROL_ANSWER_BYTES_MAX = 64 * 1024 }; /* answers that hold no messages */

/* Where `error` holds no line yet, the status's words; returns the status. */
enum myqueue_status mq_error_complete(enum myqueue_status status, char *error);

/* An option's value and what it may be, both ends included. */
struct mq_option_range {
    const char *name;
    int64_t value, smallest, largest;
};

/* MYQUEUE_BAD_ARGUMENT with a line about the first option that is out of its range. */
enum myqueue_status mq_options_check(const struct mq_option_range *rows, size_t count, char *error);

#endif
