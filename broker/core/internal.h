/*
 * internal.h - what the files of broker/core share and nobody else sees.
 *
 *   queue.c     creation, loading, shutdown, the small questions
 *   write.c     queue_write: from a request to the committer's queue
 *   batch.c     queue_write: what the committer makes of it (store_hooks)
 *   consume.c   the steps of a consume
 *   retention.c what is removed, and when
 */
#ifndef BROKER_CORE_INTERNAL_H
#define BROKER_CORE_INTERNAL_H

#include "broker/core/ahead.h"
#include "broker/core/queue.h"
#include "broker/core/registry.h"

#include <stdatomic.h>

struct queue {
    struct queue_options options;
    struct registry registry;
    struct store_queue store;
    struct tail_budget tail_budget;      /* the committer's own */
    struct list staged[QUEUE_LOOPS_MAX]; /* queue_write, each its loop's own */
    struct ahead ahead;
    atomic_int polls; /* consumes that are parked */
    atomic_bool shutting_down;
    atomic_bool fenced;
    atomic_bool sweep_wanted; /* the store may have something on its disk that is nobody's */
    int64_t sweep_after_ms;   /* the keeper's own: clock_now_ms(), not before */
};

enum write_kind {
    WRITE_TOPIC,
    WRITE_PRODUCER,
    WRITE_CONSUMER,
    WRITE_APPEND,
    WRITE_POSITION,
    WRITE_ROLL,
    WRITE_TRIM,
};

/*
 * One write. It has two owners, who asked for it and the committer, since it may be
 * answered (the store is away) long before the committer is done with its bytes.
 */
struct queue_write {
    struct store_write write;
    atomic_int references;
    struct queue *queue;
    enum write_kind kind;
    queue_done *done;
    void *arg;
    struct queue_result result; /* fixed once done has been called */

    struct topic *topic;              /* CONSUMER, APPEND, POSITION, ROLL, TRIM */
    struct producer *producer;        /* APPEND */
    struct consumer *consumer;        /* POSITION */
    enum queue_start start;           /* CONSUMER */
    int64_t position;                 /* POSITION; TRIM: the first offset to be */
    int64_t segment;                  /* ROLL */
    struct store_retention retention; /* TOPIC */
    int64_t sequence;                 /* APPEND: of the first message, or SEQUENCE_NONE */
    size_t count;                     /* APPEND */
    struct slice *messages;           /* APPEND: in `bytes` */
    struct slice name;                /* TOPIC, PRODUCER: in `bytes` */
    struct store_read read;           /* APPEND: to find the offset of an old sequence */
    int64_t read_begin;               /* and where the segment begins in which it looks */

    /* Set by prepare(), for the batch that is under way. */
    const struct store_batch *batch;
    size_t index;                 /* PRODUCER, CONSUMER: which row of the batch */
    enum status status_if_stored; /* what the answer is when the batch is stored */
    int64_t base;                 /* APPEND: offset of the first message; of a repeated batch, if
                                     its messages lie next to each other */
    bool appended;                /* APPEND: has rows in the batch */

    _Alignas(struct slice) char bytes[]; /* a name, or slices and then messages */
};

struct queue_write *write_of(struct store_write *write);
void write_acquire(struct queue_write *w);

/* A write with room for `size` bytes; two references: the caller's and the committer's. NULL:
 * out of memory. */
struct queue_write *write_create(struct queue *queue, enum write_kind kind, size_t size,
                                 queue_done *done, void *arg);

/* Give the result to who asked; once. */
void write_answer(struct queue_write *w, enum status status);

/* STATUS_OK when requests are taken. */
enum status queue_open(const struct queue *queue);

/* Stage the save of a consumer's position. */
enum status position_save(struct queue *queue, int loop, struct consumer *consumer,
                          int64_t position, queue_done *done, void *arg, struct queue_write **out);

/* Topic and consumer of a request; the consumer must belong to the topic. */
enum status find_consumer(struct queue *queue, struct slice topic_name, int64_t consumer_id,
                          struct consumer **out);

/* A ROLL or TRIM is over. */
void keep_finished(struct queue_write *w);

/* What holds for the topic, with the broker's defaults. */
struct store_retention retention_of(const struct queue *queue, const struct topic *topic);

/* The consumer's position is committed (or need not be): who waits for messages from where it was
 * looks again. No locks. */
void consumer_move(struct queue *queue, struct consumer *consumer, int64_t position);

/* Have everybody who waits for messages of this partition look again. No locks. */
void partition_wake(struct partition *p);

/* store_hooks */
bool batch_prepare(void *arg, struct store_write *write, struct store_batch *batch);
void batch_applied(void *arg, const struct store_batch *batch, const struct list *writes);
void batch_discarded(void *arg, const struct list *writes);

#endif
