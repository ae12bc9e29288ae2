/*
 * myqueue.h - the client library of myqueue, a durable logging queue.
 *
 * MyProducer sends messages to topics, MyConsumer gets them. Both speak HTTP to a broker
 * and ride out one that is down: a request that was not answered is repeated, with a
 * number on everything that is stored, so that a repetition never makes a duplicate.
 *
 *     MyProducer *producer;
 *     char error[MYQUEUE_ERROR_BYTES];
 *     const char *topics[] = {"user_login"};
 *     if (myproducer_create("localhost:5000", topics, 1, NULL, &producer, error) != MYQUEUE_OK)
 *         ...
 *     myproducer_send(producer, "user_login", "INFO: hello", 11, 0);
 *     myproducer_stop(producer, MYQUEUE_FOREVER, NULL);
 *
 * What always holds
 *   - What one producer sends to one topic is stored in the order of sending, once each.
 *   - A consumer is given every message of a topic once, in the topic's order, unless it says
 *     itself where to go on (myconsumer_seek).
 *   - Nothing is unbounded: buffers, batches, repetitions and waits have limits, which are
 *     fields of the options.
 *   - What is not known is not called a failure: see MYQUEUE_OUTCOME_UNKNOWN.
 *
 * Words
 *   topic    1 to 200 bytes of UTF-8 without control characters; at most
 *            MYQUEUE_TOPICS_MAX of them in one producer or consumer
 *   message  UTF-8 text without U+0000, of 0 or more bytes
 *   broker   "HOST:PORT", "[IPV6]:PORT" or "http://HOST:PORT"
 *   error    room for MYQUEUE_ERROR_BYTES, or NULL; holds one line when the call did not
 *            return MYQUEUE_OK, and "" when it did
 *   _ms      milliseconds, by a clock that is never set back
 *
 * Threads: a producer may be used by any number of threads, a consumer by one at a time.
 * *_create and *_stop frame all other calls. Each producer and consumer has one thread of
 * its own for the network; callbacks run on it (those of what myproducer_stop gives up, on
 * the thread that stops), must return soon, and must not call back into the library. Signals
 * are blocked on that thread.
 */
#ifndef MYQUEUE_H
#define MYQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MYQUEUE_API __attribute__((visibility("default")))

#define MYQUEUE_ERROR_BYTES 512
#define MYQUEUE_TOPICS_MAX 1024
#define MYQUEUE_FOREVER (-1)  /* as a timeout_ms: no limit of its own */
#define MYQUEUE_LATEST (-1)   /* as an offset: behind the last message */
#define MYQUEUE_EARLIEST (-2) /* as an offset: the first message that is there */

/* X(name, code, words) */
#define MYQUEUE_STATUS_MAP(X)                                                                      \
    X(MYQUEUE_OK, "ok", "done")                                                                    \
    X(MYQUEUE_TIMEOUT, "timeout", "the time given to the call has passed")                         \
    X(MYQUEUE_BAD_ARGUMENT, "bad_argument", "an argument or an option is out of its range")        \
    X(MYQUEUE_BAD_ADDRESS, "bad_address", "the broker's address cannot be understood")             \
    X(MYQUEUE_BAD_MESSAGE, "bad_message", "a message is UTF-8 text without U+0000")                \
    X(MYQUEUE_TOO_LARGE, "too_large", "the message is larger than allowed")                        \
    X(MYQUEUE_FULL, "full", "the buffer is full of messages that wait for delivery")               \
    X(MYQUEUE_NO_MEMORY, "no_memory", "out of memory")                                             \
    X(MYQUEUE_UNKNOWN_TOPIC, "unknown_topic", "the broker has no such topic")                      \
    X(MYQUEUE_TOPIC_EXISTS, "topic_exists", "the topic exists already")                            \
    X(MYQUEUE_REFUSED, "refused", "the broker refused; nothing was stored")                        \
    X(MYQUEUE_EXPIRED, "expired", "the broker was away for too long; the message is not stored")   \
    X(MYQUEUE_OUTCOME_UNKNOWN, "outcome_unknown",                                                  \
      "the broker was away for too long; the message is stored or not")                            \
    X(MYQUEUE_BROKER_AWAY, "broker_away", "the broker does not answer")                            \
    X(MYQUEUE_FORGOTTEN, "forgotten",                                                              \
      "the broker no longer knows this client; its store was lost or replaced")                    \
    X(MYQUEUE_OFFSET_OUT_OF_RANGE, "offset_out_of_range",                                          \
      "the message that is due is not in the topic's log: removed by its limits, or lost")         \
    X(MYQUEUE_BAD_REPLY, "bad_reply", "the broker's answer cannot be right")

enum myqueue_status {
#define MYQUEUE_STATUS_ITEM_(name, code, words) name,
    MYQUEUE_STATUS_MAP(MYQUEUE_STATUS_ITEM_)
#undef MYQUEUE_STATUS_ITEM_
};

/* "ok", "timeout", ...: stable, for programs. */
MYQUEUE_API const char *myqueue_status_name(enum myqueue_status status);

/* The same in words, for people. */
MYQUEUE_API const char *myqueue_status_words(enum myqueue_status status);

/* ---- watching the requests -------------------------------------------------------- */

/*
 * One HTTP request of a producer or consumer. The observer is called with MYQUEUE_BEGIN before a
 * byte of it goes out, and with MYQUEUE_END when it is over. A request that is repeated begins
 * again, with an id of its own. Everything is borrowed for the call.
 *
 * Threads: the producer's or consumer's own; for the requests of myconsumer_size and
 * myconsumer_seek, also at the same time, the one that called it.
 */
enum myqueue_attempt_phase { MYQUEUE_BEGIN, MYQUEUE_END };

struct myqueue_attempt {
    enum myqueue_attempt_phase phase;
    uint64_t id;      /* from 1, per producer and consumer */
    const char *path; /* "/producer/produce" */
    const char *topic;
    int64_t sequence; /* of the first message sent, or -1 */
    int count;        /* messages sent, or 0 */
    int64_t offset;   /* asked for by a consumer, or -1 */

    /* Meaningful at MYQUEUE_END: */
    int http;          /* status of the answer; 0: none came */
    const char *code;  /* the broker's reason for a refusal, or "" */
    const char *error; /* what went wrong, for people, or "" */
    bool not_executed; /* failed, and the broker has certainly done nothing */
    int64_t client_id; /* what a registration gave, or -1 */
};

typedef void myqueue_observer(void *arg, const struct myqueue_attempt *attempt);

/* ---- going on as the same --------------------------------------------------------- */

/*
 * Who a producer or a consumer is in one topic, and how far it is. A program that keeps this
 * (myproducer_identity, myconsumer_identity), and gives it as options.resume when it is started
 * again, goes on as the same, however it ended: what it sends again is not stored twice, and it
 * is given every message after those that it has dealt with.
 *
 * A producer must send the same messages again, in the same order, from sequence `next` on: up
 * to batch_messages_max of them may be stored already, and it must not be known of any before
 * `next` that it is not.
 */
struct myqueue_identity {
    const char *topic;
    int64_t client_id; /* what the registration gave, 0 to 2^53 */
    int64_t next;      /* producer: the sequence of the message that it sends next; consumer: the
                          offset of the first message that it has not dealt with; 0 to 2^53 */
};

/* ---- producer --------------------------------------------------------------------- */

typedef struct MyProducer MyProducer;

/* The end of one message's way; each message that send took has exactly one. */
struct myqueue_delivery {
    const char *topic;
    uint64_t tag;               /* as given to send */
    enum myqueue_status status; /* MYQUEUE_OK: the broker's store has committed it */
    int64_t offset;             /* its place in the topic; -1 when it has none, or when the
                                   message was sent again and has been removed since */
    int64_t sequence;           /* of an MYQUEUE_OK: its number, for myqueue_identity.next of
                                   the message after it; else -1 */
    const char *error;          /* what went wrong, for people, or "" */
};

typedef void myqueue_delivered(void *arg, const struct myqueue_delivery *delivery);

/*
 * retry_ms   counts from the message's sending, or from the last answer of the broker for
 *            its topic if that is later: a broker that is slow but works expires nothing.
 * request_ms must be longer than the broker needs to find out that its store is away.
 * keep_identity: after an outcome that stays unknown a topic goes on under another id, so that
 * the next message can be sent. A program that means to be resumed wants the opposite: its topic
 * ends there, and what waits for it is given up as MYQUEUE_EXPIRED, so that all of it can be sent
 * again under the old id.
 */
struct myproducer_options {
    int retry_ms;                          /* ride out a broker that is down; 60,000 */
    int request_ms;                        /* limit of one HTTP request; 15,000 */
    int block_ms;                          /* how long send waits for room in the buffer before it
                                              returns MYQUEUE_FULL; MYQUEUE_FOREVER */
    int batch_messages_max;                /* in one request, 1 to 10,000; 500 */
    size_t batch_bytes_max;                /* in one request, but always one message; 256 KiB */
    size_t buffer_messages_max;            /* waiting or on their way; 100,000 */
    size_t buffer_bytes_max;               /* the same in bytes; 64 MiB */
    size_t message_bytes_max;              /* send refuses a longer one; 1 MiB */
    bool keep_identity;                    /* false */
    const struct myqueue_identity *resume; /* go on as these; borrowed for myproducer_create */
    size_t resume_count;                   /* each of another of its topics; 0 */
    myqueue_delivered *delivered;          /* may be NULL */
    void *delivered_arg;
    myqueue_observer *observer; /* may be NULL */
    void *observer_arg;
};

/* Fill in the defaults. */
MYQUEUE_API void myproducer_options_init(struct myproducer_options *options);

/*
 * Register with the broker for each of the topics, which are created where they do not
 * exist. Returns when that is done; a broker that is down is waited for (retry_ms). For the
 * topics in options.resume nothing is asked of the broker: whether it knows them still turns
 * out later, as MYQUEUE_FORGOTTEN.
 * `options` may be NULL for the defaults. On MYQUEUE_OK `*producer` must be given to
 * myproducer_stop in the end; otherwise it is NULL.
 */
MYQUEUE_API enum myqueue_status myproducer_create(const char *broker, const char *const *topics,
                                                  size_t topic_count,
                                                  const struct myproducer_options *options,
                                                  MyProducer **producer, char *error);

/*
 * Is there any sense in sending? False while the latest news is that messages cannot be
 * delivered: the broker was away for longer than retry_ms, or has forgotten this producer.
 * A buffer that is full is no reason; send waits.
 */
MYQUEUE_API bool myproducer_can_send(MyProducer *producer);

/*
 * Take a copy of the message, queue it and return. It waits only when the buffer is full
 * (block_ms). A topic that was not given to myproducer_create is registered (and created)
 * on its first message.
 *
 * tag  comes back in the delivery callback; the library makes no use of it
 *
 * Returns MYQUEUE_OK; MYQUEUE_BAD_ARGUMENT for a topic that cannot be or is one too many;
 * MYQUEUE_BAD_MESSAGE, MYQUEUE_TOO_LARGE, MYQUEUE_FULL, MYQUEUE_NO_MEMORY; or, when the
 * topic can take no more messages, the reason. Only after MYQUEUE_OK is there a delivery.
 */
MYQUEUE_API enum myqueue_status myproducer_send(MyProducer *producer, const char *topic,
                                                const void *message, size_t length, uint64_t tag);

/*
 * Wait until nothing is queued: every message was delivered, or given up, and its callback
 * has returned. MYQUEUE_OK when all since the last flush were delivered, MYQUEUE_TIMEOUT
 * when some are still queued, otherwise the reason of the first that was not delivered.
 */
MYQUEUE_API enum myqueue_status myproducer_flush(MyProducer *producer, int timeout_ms);

/*
 * Wait until nothing is queued, at most timeout_ms, give up what is left, free everything.
 * `*undelivered` (may be NULL) is how many messages were not delivered in the producer's
 * whole life. Returns MYQUEUE_OK when that is 0, otherwise the reason of the first. With
 * MYQUEUE_FOREVER it ends too, since messages expire. `producer` may be NULL.
 */
MYQUEUE_API enum myqueue_status myproducer_stop(MyProducer *producer, int timeout_ms,
                                                size_t *undelivered);

/*
 * Who the producer is in one of its topics: `identity->next` is the sequence of the first message
 * that has not been delivered, so all from that on must be sent again. `identity->topic` lives as
 * long as the producer. MYQUEUE_BAD_ARGUMENT: it is not registered for this topic.
 */
MYQUEUE_API enum myqueue_status myproducer_identity(MyProducer *producer, const char *topic,
                                                    struct myqueue_identity *identity);

/* ---- consumer --------------------------------------------------------------------- */

typedef struct MyConsumer MyConsumer;

typedef struct MyMessage {
    const char *topic;
    const char *message; /* `length` bytes, and a NUL behind them */
    size_t length;
    int64_t offset; /* its place in the topic, without gaps */
} MyMessage;

/*
 * A consumer that registers starts at the first message that is in each topic, whatever the
 * broker does for those who do not ask for it. Where a topic has limits (--retention-bytes,
 * --retention-age), what a consumer has yet to read is kept for it, unless the broker was
 * told otherwise (--retention-unread=remove); then a consumer that is too slow ends with
 * MYQUEUE_OFFSET_OUT_OF_RANGE, and a new one starts at what is left.
 *
 * create_topics  a topic that does not exist is created; otherwise myconsumer_create
 *                returns MYQUEUE_UNKNOWN_TOPIC. For consumers started before producers.
 */
struct myconsumer_options {
    int retry_ms;                          /* ride out a broker that is down; 60,000 */
    int request_ms;                        /* limit of one HTTP request, beyond wait_ms; 15,000 */
    int wait_ms;                           /* how long the broker holds a request when there is no
                                              message, 1 to 20,000; 20,000 */
    int fetch_messages_max;                /* in one answer, 1 to 10,000; 500 */
    size_t fetch_bytes_max;                /* in one answer; a larger one is asked for in smaller
                                              parts; 16 MiB */
    bool create_topics;                    /* false */
    const struct myqueue_identity *resume; /* as with a producer */
    size_t resume_count;
    myqueue_observer *observer; /* may be NULL */
    void *observer_arg;
};

/* Fill in the defaults. */
MYQUEUE_API void myconsumer_options_init(struct myconsumer_options *options);

/* As myproducer_create, but that topics are created only with create_topics. */
MYQUEUE_API enum myqueue_status myconsumer_create(const char *broker, const char *const *topics,
                                                  size_t topic_count,
                                                  const struct myconsumer_options *options,
                                                  MyConsumer **consumer, char *error);

/*
 * The next message of any of the topics; they take turns.
 *
 * Coming back for more says that the message before was dealt with. Messages are fetched
 * ahead, but the broker is told "all before this one is mine" only of what was dealt with.
 *
 * message   belongs to the consumer and lives until the next call
 *
 * Returns MYQUEUE_OK; MYQUEUE_TIMEOUT when there was none for timeout_ms; MYQUEUE_BROKER_AWAY
 * when the broker did not answer for retry_ms (asking again waits again); otherwise the
 * reason why a topic can be read no further, which is final: see myconsumer_error.
 */
MYQUEUE_API enum myqueue_status myconsumer_get_next(MyConsumer *consumer, int timeout_ms,
                                                    MyMessage *message);

/*
 * How many messages of the topic get_next has not given yet, as the broker counts them.
 * `topic` is one of the consumer's. Waits for the broker (retry_ms). It tells the broker first
 * how far the consumer is, by a consume that does not wait.
 */
MYQUEUE_API enum myqueue_status myconsumer_size(MyConsumer *consumer, const char *topic,
                                                int64_t *size, char *error);

/*
 * Go on somewhere else in a topic: the next of its messages that get_next gives is the one at
 * `offset`. What was fetched ahead is dropped, and the message given last, if it is of this
 * topic, has ended its life; other topics go on as they are.
 *
 * topic     one of the consumer's
 * offset    0 to 2^53, but no more than the topic has messages; or MYQUEUE_EARLIEST, or
 *           MYQUEUE_LATEST: the message that comes next
 * position  the offset where it goes on; may be NULL
 *
 * Waits for the broker (retry_ms). On MYQUEUE_OK the broker's store has committed it. Otherwise
 * get_next goes on where it was: MYQUEUE_BAD_ARGUMENT; MYQUEUE_OFFSET_OUT_OF_RANGE when there is
 * no such offset, removed by the topic's limits or yet to come; MYQUEUE_BROKER_AWAY; or the
 * reason why the topic can be read no further, which a seek does not mend.
 */
MYQUEUE_API enum myqueue_status myconsumer_seek(MyConsumer *consumer, const char *topic,
                                                int64_t offset, int64_t *position, char *error);

/* As myproducer_identity: `identity->next` is the offset of the message given last, until
 * get_next is called again, and then of the one behind it. */
MYQUEUE_API enum myqueue_status myconsumer_identity(MyConsumer *consumer, const char *topic,
                                                    struct myqueue_identity *identity);

/* What went wrong last, in one line; "" when nothing did. Lives until the next call. */
MYQUEUE_API const char *myconsumer_error(MyConsumer *consumer);

/* End a waiting request, free everything. `consumer` may be NULL. */
MYQUEUE_API void myconsumer_stop(MyConsumer *consumer);

/* ---- without a producer or consumer ----------------------------------------------- */

/*
 * Create a topic. MYQUEUE_OK, MYQUEUE_TOPIC_EXISTS, MYQUEUE_BROKER_AWAY when there was no
 * answer for timeout_ms, MYQUEUE_REFUSED. A repetition after a lost answer can find its own
 * topic and then says MYQUEUE_TOPIC_EXISTS.
 */
MYQUEUE_API enum myqueue_status myqueue_create_topic(const char *broker, const char *topic,
                                                     int timeout_ms, char *error);

/*
 * Ask once how many messages of a topic a consumer has left, from the position that the broker has
 * saved: where a consumer of this library was when it last asked for more, as it tells the broker
 * its position only then. myconsumer_size tells it first.
 *
 * consumer_id  what the registration gave, see struct myqueue_identity
 *
 * MYQUEUE_OK, MYQUEUE_BROKER_AWAY when there was no good answer within timeout_ms,
 * MYQUEUE_FORGOTTEN when the broker knows no such consumer, MYQUEUE_REFUSED, MYQUEUE_BAD_REPLY.
 */
MYQUEUE_API enum myqueue_status myqueue_size(const char *broker, const char *topic,
                                             int64_t consumer_id, int timeout_ms, int64_t *size,
                                             char *error);

/*
 * Ask once whether the broker and its store work. MYQUEUE_OK, or MYQUEUE_BROKER_AWAY when
 * there was no good answer within timeout_ms.
 */
MYQUEUE_API enum myqueue_status myqueue_health(const char *broker, int timeout_ms, char *error);

#ifdef __cplusplus
}
#endif

#endif
