/*
 * queue.h - the queue as the API sees it.
 *
 * Nothing here waits. What needs the store is a struct that comes back through a callback:
 *
 *   queue_write   something to be committed: a topic, a client, messages, a position
 *   consume       a consumer's request for messages, or to be somewhere else: a small machine
 *                 of steps
 *
 * The calls that take a `loop` are for the HTTP loop of that number, on its thread only:
 * what it wants written is staged and handed to the committer by queue_flush(), once a
 * pass, so that a pass costs one hand-over.
 *
 * The callbacks (`done`, `notify`) come on any thread, without locks held; they hand the
 * request back to its loop. `wake` follows when a round of them is over.
 */
#ifndef BROKER_CORE_QUEUE_H
#define BROKER_CORE_QUEUE_H

#include "broker/store/store.h"
#include "common/budget.h"

struct queue;

#define QUEUE_LOOPS_MAX 64
#define QUEUE_CONSUME_MAX 10000
#define QUEUE_RETENTION_MAX ((int64_t)1 << 50) /* bytes or seconds */
#define QUEUE_CONSUME_BYTES_MAX (1024 * 1024)

struct queue_options {
    size_t tail_bytes_max;            /* of all partitions together */
    int store_timeout_ms;             /* how long a request waits for a store that is away */
    bool start_latest;                /* where a consumer starts that does not say so */
    struct store_retention retention; /* of topics without their own; no RETENTION_DEFAULT */
    size_t topics_max;                /* more are refused; what the store has already is not */
    size_t producers_max;
    size_t consumers_max;
    int polls_max;             /* consumes that wait for a first message */
    struct budget *budget;     /* borrowed; for messages on their way to consumers */
    void (*wake)(void *arg);   /* answers have been given */
    void (*fenced)(void *arg); /* another broker owns the log: this one is of no use */
    void *arg;
};

/* NULL when out of memory. */
struct queue *queue_create(const struct queue_options *options);
void queue_destroy(struct queue *queue); /* after all writes and reads have ended */

/* What a store's load() tells goes here, before anything else. */
struct store_loader queue_loader(struct queue *queue);

/* The two directions between the queue and the committer and readers. */
struct store_hooks queue_hooks(struct queue *queue);
void queue_connect(struct queue *queue, const struct store_queue *store);

/* No more requests are taken, and who waits for messages is told so. Any thread. */
void queue_shutdown(struct queue *queue);

/* ---- writes --------------------------------------------------------------------------- */

struct queue_write;
typedef void queue_done(void *arg);

/* When done, and until release: */
struct queue_result {
    enum status status;
    int64_t id;       /* a client's; 0 for a topic */
    int64_t offset;   /* of the first message, or -1: a duplicate that has been removed since, or
                         whose messages do not lie next to each other;
                         of a consumer: where it begins */
    bool duplicate;   /* its sequence had been stored before */
    int64_t expected; /* for STATUS_OUT_OF_SEQUENCE */
};

enum queue_start { QUEUE_START_DEFAULT, QUEUE_START_EARLIEST, QUEUE_START_LATEST };

/*
 * Each returns STATUS_OK when the write is under way: then `done` is called once, and
 * `*out` is the caller's to release afterwards. Anything else is the answer at once.
 * Slices are copied.
 */
enum status queue_create_topic(struct queue *queue, int loop, struct slice name,
                               const struct store_retention *retention, queue_done *done, void *arg,
                               struct queue_write **out);
enum status queue_register_producer(struct queue *queue, int loop, struct slice topic,
                                    queue_done *done, void *arg, struct queue_write **out);
enum status queue_register_consumer(struct queue *queue, int loop, struct slice topic,
                                    enum queue_start start, queue_done *done, void *arg,
                                    struct queue_write **out);

/* `sequence` of the first message, or SEQUENCE_NONE; count >= 1; UTF-8 without NUL. */
enum status queue_append(struct queue *queue, int loop, struct slice topic, int64_t producer_id,
                         const struct slice *messages, size_t count, int64_t sequence,
                         queue_done *done, void *arg, struct queue_write **out);

const struct queue_result *queue_write_result(const struct queue_write *write);
void queue_write_release(struct queue_write *write); /* NULL is fine */

/* Hand what the loop has staged to the committer. */
void queue_flush(struct queue *queue, int loop);

/* ---- reads ---------------------------------------------------------------------------- */

struct consume;

enum consume_step {
    CONSUME_DONE, /* consume_status() and, for STATUS_OK, consume_range() */
    CONSUME_WAIT, /* notify will come soon; then step again */
    CONSUME_PARK, /* notify may take long; then step again, or consume_timeout() */
};

struct consume_request {
    struct slice topic;
    int64_t consumer_id;
    int64_t offset;   /* all before it is taken; -1: go on at the position, and move it */
    size_t count_max; /* 1 to QUEUE_CONSUME_MAX */
    bool may_wait;    /* for a first message */
    bool seeks;       /* only move the position: to `offset`, or where `start` says */
    enum queue_start start;
};

/* STATUS_OK gives `*out`, for consume_step() and consume_release(). */
enum status consume_create(struct queue *queue, int loop, const struct consume_request *request,
                           queue_done *notify, void *arg, struct consume **out);
enum consume_step consume_step(struct consume *c);

/* The time of a parked one is over: true, and it is done (STATUS_NO_MESSAGE); false:
 * notify is on its way. */
bool consume_timeout(struct consume *c);
enum status consume_status(const struct consume *c);

/* STATUS_OFFSET_OUT_OF_RANGE: the first offset that is there, and the next one that will be. */
void consume_bounds(const struct consume *c, int64_t *first_offset, int64_t *next_offset);
const struct store_range *consume_range(const struct consume *c);
int64_t consume_position(const struct consume *c); /* of one that seeks: where it went */
void consume_release(struct consume *c);           /* when done; NULL is fine */

/* How many messages the consumer has not taken yet, of those that are there. */
enum status queue_size(struct queue *queue, struct slice topic, int64_t consumer_id, int64_t *size);

/* ---- retention -------------------------------------------------------------------------- */

/* One look at every partition: have what is beyond its limits removed. The keeper's thread, a
 * few times a second; unlike everything else here it may wait for the store. true: there was
 * something to do, so look again soon. */
bool queue_keep(void *queue, struct store_session *session);

/* ---- small questions -------------------------------------------------------------------- */

/* The name of the i-th topic in order of creation; false at the end. */
bool queue_topic_name(struct queue *queue, size_t i, struct slice *name);

/* Ask the store whether it answers: like the writes above. */
struct queue_ping;
enum status queue_ping_create(struct queue *queue, queue_done *done, void *arg,
                              struct queue_ping **out);
enum status queue_ping_status(const struct queue_ping *ping);
void queue_ping_release(struct queue_ping *ping); /* NULL is fine */

#endif
