/*
 * store.h - what the broker asks of a place that keeps its log.
 *
 * A store is a table of functions (store_ops): memory, SQLite and PostgreSQL implement it,
 * and so does the faulty store of the tests; one suite runs against all of them. This is
 * the only header of broker/store that broker/core sees.
 *
 *   store           what is shared: an address, or the rows themselves (any thread)
 *   store_session   one thread's connection to it
 *   store_batch     many writes that are committed together, or not at all
 *   store_write     one write on its way to a batch (see committer.h)
 *   store_read      one read on its way through the reader threads (see readers.h)
 *
 * Always: a partition's offsets are dense from 0. A batch names the offset at which each
 * partition stands (`base`) and the epoch under which its owner writes; a store that
 * finds another epoch commits nothing and says STATUS_FENCED.
 *
 * Where little is to be kept, a partition's log is in segments, so that its old end can be
 * removed in one piece. Segment 0 is all partitions' own; others belong to one partition:
 *
 *     segment 0 | segment 7 | segment 9 |      next_offset
 *                             first_offset of 9: every offset from here on is in 9
 *
 * A segment is made (create_segment), put into use (store_roll), and no longer the log's
 * (store_trim, which moves the partition's first offset); all that is left is removed from
 * the disk by sweep().
 */
#ifndef BROKER_STORE_STORE_H
#define BROKER_STORE_STORE_H

#include "common/buffer.h"
#include "common/list.h"
#include "common/status.h"

#define STORE_ERROR_BYTES_MAX 512
#define SEQUENCE_NONE ((int64_t)-1)

/* What a message counts besides its text, for limits on bytes: about what its row and the
 * index take on the disk. */
#define STORE_ROW_BYTES 100

struct store;
struct store_session;

/* ---- a batch ----------------------------------------------------------------------- */

/* How much of a topic's log is kept. */
struct store_retention {
    int64_t bytes; /* 0: no limit; RETENTION_DEFAULT: what the broker's options say */
    int64_t age_s; /* the same */
    int unread;    /* one of: */
};

enum { RETENTION_DEFAULT = -1 };
enum {
    RETENTION_KEEP_UNREAD,  /* what a registered consumer still has to read stays */
    RETENTION_REMOVE_UNREAD /* the limits hold, whoever has to read it still */
};

struct store_topic {
    int64_t id; /* 0 until assign_ids() */
    struct slice name;
    struct store_retention retention;
};

/* A producer or a consumer to be registered. */
struct store_client {
    int64_t id;       /* 0 until assign_ids() */
    int64_t topic_id; /* 0: the topic is in this batch, at topic_index */
    size_t topic_index;
    int64_t position; /* consumers: the first offset they want */
};

/* A partition that grows by `count` messages. */
struct store_advance {
    int64_t topic_id;
    int32_t partition;
    int64_t epoch;
    int64_t base; /* its next offset before */
    int64_t count;
    int64_t bytes; /* of these messages, STORE_ROW_BYTES each included */
};

struct store_message {
    int64_t topic_id;
    int32_t partition;
    int64_t offset;
    int64_t producer_id;
    int64_t sequence; /* or SEQUENCE_NONE */
    struct slice message;
    int64_t segment; /* in which it is kept */
};

/* The last sequence accepted from a producer, and the offset that it got. */
struct store_sequence {
    int64_t producer_id;
    int32_t partition;
    int64_t sequence;
    int64_t offset;
};

struct store_position {
    int64_t consumer_id;
    int64_t topic_id;
    int32_t partition;
    int64_t epoch;
    int64_t offset; /* of the next message that the consumer wants */
};

/* A piece of a partition's log that is removed as one. */
struct store_segment {
    int64_t id; /* 0: what all partitions share */
    int64_t topic_id;
    int32_t partition;
    int64_t first_offset;
    int64_t first_bytes; /* of the messages before it, since the partition's beginning */
    int64_t opened_ms;   /* clock_wall_ms() of the broker that put it into use; 0: unknown */
};

/* From its first offset on, the partition's messages are in this segment. */
struct store_roll {
    struct store_segment segment;
    int64_t epoch;
};

/* What lies before `first_offset`, the beginning of a segment, is removed. */
struct store_trim {
    int64_t topic_id;
    int32_t partition;
    int64_t epoch;
    int64_t first_offset;
};

/* Slices are borrowed: they must stay until the batch has been cleared. */
struct store_batch {
    struct store_topic *topics;
    struct store_client *producers;
    struct store_client *consumers;
    struct store_advance *advances;   /* one per partition at most */
    struct store_message *messages;   /* in order of offset within a partition */
    struct store_sequence *sequences; /* one per producer and partition at most */
    struct store_position *positions; /* one per consumer and partition at most */
    struct store_roll *rolls;         /* one per partition at most */
    struct store_trim *trims;         /* one per partition at most */
    size_t topic_count, producer_count, consumer_count, advance_count, message_count,
        sequence_count, position_count, roll_count, trim_count;
    size_t topic_room, producer_room, consumer_room, advance_room, message_room, sequence_room,
        position_room, roll_room, trim_room;
    size_t bytes; /* of all messages, STORE_ROW_BYTES each included */
};

/* A new zeroed element at the end; NULL when out of memory. */
struct store_topic *batch_add_topic(struct store_batch *b);
struct store_client *batch_add_producer(struct store_batch *b);
struct store_client *batch_add_consumer(struct store_batch *b);
struct store_advance *batch_add_advance(struct store_batch *b);
struct store_message *batch_add_message(struct store_batch *b);
struct store_sequence *batch_add_sequence(struct store_batch *b);
struct store_position *batch_add_position(struct store_batch *b);
struct store_roll *batch_add_roll(struct store_batch *b);
struct store_trim *batch_add_trim(struct store_batch *b);
bool batch_empty(const struct store_batch *b);
void batch_clear(struct store_batch *b);   /* forget the elements, keep the memory */
void batch_release(struct store_batch *b); /* free the memory */

/* ---- a range of messages ------------------------------------------------------------ */

/* Messages with successive offsets, their bytes one behind the other. */
struct store_range {
    int64_t first; /* offset of the first one */
    size_t count;
    struct buffer bytes;
    struct buffer sizes; /* uint32_t for each message */
};

void range_init(struct store_range *range);
void range_release(struct store_range *range);
void range_clear(struct store_range *range, int64_t first);
bool range_add(struct store_range *range, struct slice message); /* false: out of memory */

/* ---- what load() tells: each row once, topics before what belongs to them ------------ */

struct store_partition {
    int64_t topic_id;
    int32_t number;
    int64_t next_offset;
    int64_t epoch;
    int64_t first_offset; /* what lies before has been removed */
    int64_t bytes;        /* of all messages since its beginning, STORE_ROW_BYTES each included */
};

struct store_loader {
    void *arg;
    enum status (*topic)(void *arg, const struct store_topic *topic);
    enum status (*partition)(void *arg, const struct store_partition *partition);
    /* Those in use but segment 0, in order of first_offset. */
    enum status (*segment)(void *arg, const struct store_segment *segment);
    enum status (*producer)(void *arg, int64_t id, int64_t topic_id);
    enum status (*sequence)(void *arg, const struct store_sequence *sequence);
    enum status (*consumer)(void *arg, int64_t id, int64_t topic_id);
    enum status (*position)(void *arg, int64_t consumer_id, int32_t partition, int64_t offset);
};

/* ---- the table ------------------------------------------------------------------------ */

struct store_ops {
    const char *name; /* "memory", "sqlite", "postgres" */

    /* load() never tells positions, so core need not have them committed. */
    bool forgets_positions;

    /* A session; it is connected by revive(). NULL when out of memory. Any thread. */
    struct store_session *(*session_open)(struct store *store);
    void (*session_close)(struct store_session *session); /* NULL is fine */

    /* Connect when not connected; at most about `limit_ms`. STATUS_STORE_AWAY, and why in
     * `error`, when the store cannot be reached. Free of cost when connected. */
    enum status (*revive)(struct store_session *session, int limit_ms,
                          char error[STORE_ERROR_BYTES_MAX]);

    /* Make sure of the schema, become the owner of every partition (its epoch grows by one,
     * which fences the owner before), and tell all there is but messages. */
    enum status (*load)(struct store_session *session, const struct store_loader *loader,
                        char error[STORE_ERROR_BYTES_MAX]);

    /* Give ids to the topics and clients of a batch that have none. Ids are never reused. */
    enum status (*assign_ids)(struct store_session *session, struct store_batch *batch);

    /*
     * Commit the whole batch durably. STATUS_OK: it is committed. STATUS_OUTCOME_UNKNOWN:
     * the connection died on the way, or the disk failed; see resolve(). Anything else: nothing was
     * stored (STATUS_STORE_AWAY: try again; STATUS_FENCED: never again; STATUS_INTERNAL). Repeating
     * a batch without messages, ids assigned, is harmless.
     */
    enum status (*commit)(struct store_session *session, const struct store_batch *batch);

    /* After an unknown outcome, on a revived session: is the batch there? Only for batches
     * with messages. Waits for a transaction that still runs. */
    enum status (*resolve)(struct store_session *session, const struct store_batch *batch,
                           bool *committed);

    /* Messages of this segment from offset `from` on: at least one if there is one, at most
     * `count_max`, and no more once `bytes_max` bytes are reached. `range` has been cleared.
     * STATUS_OFFSET_OUT_OF_RANGE: the segment has been removed. */
    enum status (*read)(struct store_session *session, int64_t topic_id, int32_t partition,
                        int64_t segment, int64_t from, size_t count_max, size_t bytes_max,
                        struct store_range *range);

    /* The offset of a producer's message with this sequence, at most `offset_max`, in this
     * segment. STATUS_NO_MESSAGE when there is none. */
    enum status (*find_sequence)(struct store_session *session, const struct store_sequence *wanted,
                                 int64_t topic_id, int64_t segment, int64_t offset_max,
                                 int64_t *offset);

    /* Make a segment for a partition, not in use yet, and give its id, which is larger than
     * those before. One that is in use never is forgotten at the next load(). */
    enum status (*create_segment)(struct store_session *session, int64_t topic_id,
                                  int32_t partition, int64_t *id);

    /* Remove from the disk some of what is no longer any partition's log; `*done`: nothing is
     * left of it. STATUS_STORE_AWAY: somebody uses it still, or the store is away; try again
     * later (`*done` is false then). An owner of before may call it: it removes what nobody has. */
    enum status (*sweep)(struct store_session *session, bool *done);

    /* Does the store answer? */
    enum status (*ping)(struct store_session *session);

    /* Every call that waits for the store, now and later, ends at once as if the store had gone.
     * Any thread. NULL: the store's calls do not hang. */
    void (*give_up)(struct store *store);

    void (*destroy)(struct store *store); /* after all sessions are closed */
};

/* Every store begins with this. */
struct store {
    const struct store_ops *ops;
};

struct store_session {
    struct store *store;
};

/* ---- writes and reads on their way --------------------------------------------------- */

/* Embedded in whatever core wants written. */
struct store_write {
    struct list node;
    size_t bytes;        /* what it holds, for the limit on what waits */
    int64_t deadline_ms; /* clock_now_ms(): no answer later than about this */
    bool answered;       /* it had to be answered before its outcome was known */
};

enum store_read_kind { STORE_READ_RANGE, STORE_READ_SEQUENCE, STORE_READ_PING };

/* Embedded in whatever core wants read. */
struct store_read {
    struct list node;
    enum store_read_kind kind;
    int64_t deadline_ms;
    int64_t topic_id;
    int32_t partition;
    int64_t segment;
    int64_t from;                   /* RANGE; SEQUENCE: the largest offset that is possible */
    size_t count_max;               /* RANGE */
    size_t bytes_max;               /* RANGE */
    struct store_sequence sequence; /* SEQUENCE: producer and sequence in, offset out */
    struct store_range *range;      /* RANGE: filled */
    enum status status;             /* when done */
    /* Called once, on a reader's thread, without locks. */
    void (*done)(struct store_read *read);
};

/* How core hands over writes and reads; the committer and the readers are behind it, or a
 * test. */
struct store_queue {
    /* Take what there is room for out of `writes`; what is left found none. Any thread. */
    void (*submit_writes)(void *committer, struct list *writes);
    void *committer;
    /* false: too many reads wait. Any thread. */
    bool (*submit_read)(void *readers, struct store_read *read);
    void *readers;
    bool forgets_positions; /* as store_ops */
};

/* What the committer asks of core, always on the committer's thread. */
struct store_hooks {
    void *arg;
    /* Add the write to the batch (true), or finish it at once (false). */
    bool (*prepare)(void *arg, struct store_write *write, struct store_batch *batch);
    /* The batch is committed: make its writes (store_write.node, in order) visible. */
    void (*applied)(void *arg, const struct store_batch *batch, const struct list *writes);
    /* The batch was not stored: undo what prepare() noted. */
    void (*discarded)(void *arg, const struct list *writes);
    /* Answer a write; it may be followed by finish() much later when `write->answered`. */
    void (*answer)(void *arg, struct store_write *write, enum status status);
    /* The write is over: free it. */
    void (*finish)(void *arg, struct store_write *write);
    /* A round of answers has been given: wake those who wait for them. */
    void (*round_end)(void *arg);
    /* Another broker owns the log now. */
    void (*fenced)(void *arg);
};

#endif
