/*
 * topic.h - what the broker knows of topics, partitions, producers and consumers.
 *
 * None of them is ever removed while the broker runs, so a pointer to one stays good.
 * Everything that has been committed to the store is here, but for messages, of which only
 * the newest are (tail.h).
 */
#ifndef BROKER_CORE_TOPIC_H
#define BROKER_CORE_TOPIC_H

#include "broker/core/tail.h"

#define TOPIC_NAME_BYTES_MAX 200

struct topic;

struct partition {
    struct topic *topic;  /* fixed */
    int32_t number;       /* fixed */
    int64_t epoch;        /* fixed: under which this broker owns it */
    int64_t pending_next; /* the committer's own: next offset, with the batch that it makes */
    size_t advance_index; /* the committer's own: its row in that batch, if it has one */

    struct mutex lock; /* rank: MUTEX_PARTITION */
    /* guarded by lock: */
    struct tail tail;    /* tail.next is the committed end of the log */
    struct list waiting; /* struct consume, in a long poll */
};

struct topic {
    int64_t id;                 /* fixed, like all of it */
    char *name;                 /* UTF-8, TOPIC_NAME_BYTES_MAX at most */
    struct partition partition; /* number 0 */
};

/*
 * Where a producer stands. Its last messages, from sequence `run_first` to `last`, have
 * successive offsets, the last one `last_offset`: so the offset of each is known without
 * asking the store.
 */
struct sequence_state {
    int64_t last; /* SEQUENCE_NONE: none yet */
    int64_t last_offset;
    int64_t run_first;
};

struct producer {
    int64_t id;                      /* fixed */
    struct topic *topic;             /* fixed */
    struct sequence_state committed; /* the committer's own, like the next */
    struct sequence_state pending;   /* with the batch that it makes */
    size_t sequence_index;           /* its row in that batch, if it has one */
};

struct consumer {
    int64_t id;          /* fixed */
    struct topic *topic; /* fixed */
    /* guarded by its topic's partition's lock: */
    int64_t position;   /* committed: the offset of the next message that it wants */
    bool busy;          /* one consume moves the position: others queue behind it */
    struct list queued; /* struct consume */
};

/* STATUS_OK or STATUS_BAD_TOPIC_NAME: 1 to TOPIC_NAME_BYTES_MAX bytes of UTF-8 without
 * control characters (U+0000 to U+001F, U+007F to U+009F). */
enum status topic_name_check(struct slice name);

/* NULL when out of memory. */
struct topic *topic_create(int64_t id, struct slice name);
void topic_destroy(struct topic *topic); /* NULL is fine */

/* Where the log stands, before anything else happens to the partition. */
void partition_start(struct partition *p, struct tail_budget *budget, int64_t next_offset,
                     int64_t epoch);

struct producer *producer_create(int64_t id, struct topic *topic);
struct consumer *consumer_create(int64_t id, struct topic *topic, int64_t position);

#endif
