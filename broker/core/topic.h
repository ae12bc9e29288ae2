/*
 * topic.h - what the broker knows of topics, partitions, producers and consumers.
 *
 * None of them is ever removed while the broker runs, so a pointer to one stays good.
 * Everything that has been committed to the store is here, but for messages, of which only
 * the newest are (tail.h).
 */
#ifndef BROKER_CORE_TOPIC_H
#define BROKER_CORE_TOPIC_H

#include "broker/core/ahead.h"
#include "broker/core/tail.h"

#define TOPIC_NAME_BYTES_MAX 200

struct topic;

struct partition {
    struct topic *topic; /* fixed */
    int32_t number;      /* fixed */
    int64_t epoch;       /* fixed: under which this broker owns it */
    /* The committer's own: what is committed, with the batch that it makes. */
    int64_t pending_next;    /* offset */
    int64_t pending_first;   /* offset */
    int64_t pending_bytes;   /* as `bytes` */
    int64_t pending_segment; /* where messages go */
    size_t advance_index;    /* its row in that batch, if it has one */

    struct mutex lock; /* rank: MUTEX_PARTITION */
    /* guarded by lock: */
    struct tail tail;               /* tail.next is the committed end of the log */
    struct list waiting;            /* struct consume, in a long poll */
    struct list consumers;          /* struct consumer: all of them */
    int64_t first_offset;           /* what lies before has been removed */
    int64_t bytes;                  /* of all messages ever, STORE_ROW_BYTES each included */
    struct store_segment *segments; /* in order, one at least; the last one grows */
    size_t segment_count;
    int64_t spare_segment; /* made and not in use yet; 0: none (see retention.c) */
    bool keeping;          /* a write of retention.c is under way */
};

struct topic {
    int64_t id; /* fixed, like all of it */
    char *name; /* UTF-8, TOPIC_NAME_BYTES_MAX at most */
    struct store_retention retention;
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
    struct list node; /* in partition.consumers */
    int64_t position; /* committed: the offset of the next message that it wants */
    bool busy;        /* one consume moves the position: others queue behind it */
    int parked;       /* how many of its consumes are in partition.waiting */
    struct ahead_reader reader;
    struct list queued; /* struct consume */
};

/* STATUS_OK or STATUS_BAD_TOPIC_NAME: 1 to TOPIC_NAME_BYTES_MAX bytes of UTF-8 without
 * control characters (U+0000 to U+001F, U+007F to U+009F). */
enum status topic_name_check(struct slice name);

/* NULL when out of memory. */
struct topic *topic_create(const struct store_topic *row);
void topic_destroy(struct topic *topic); /* NULL is fine */

/* Where the log stands, before anything else happens to the partition. */
void partition_start(struct partition *p, struct tail_budget *budget,
                     const struct store_partition *row);

/* The partition knows all its consumers. Without its lock. */
void partition_add_consumer(struct partition *p, struct consumer *consumer);

/* From its first offset on, the log is in this segment. false: out of memory. Locked, like the
 * next three. */
bool partition_roll_locked(struct partition *p, const struct store_segment *segment);

/* What lies before `first_offset` (of a segment) is no longer there. */
void partition_trim_locked(struct partition *p, int64_t first_offset);

/* The segment that has this offset, or would have it; where it begins, and where the next one
 * does (INT64_MAX: there is none). */
int64_t partition_segment_locked(const struct partition *p, int64_t offset, int64_t *begin,
                                 int64_t *end);

/* The smallest position of a registered consumer; INT64_MAX: there is none. */
int64_t partition_slowest_locked(const struct partition *p);

/* No batch is being made: pending is what is committed. The committer's. */
void partition_reset_pending(struct partition *p);

struct producer *producer_create(int64_t id, struct topic *topic);
struct consumer *consumer_create(int64_t id, struct topic *topic, int64_t position);

#endif
