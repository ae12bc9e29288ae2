/*
 * finding.h - what can be found wrong, by name, with its evidence.
 *
 * docs/checker.md says of each name what it means and how it is found. A name that fits what
 * the store did as well as what a consumer got (`lost`, `phantom`, `corrupt`) has the source
 * to tell: the store's rows, or a history or file.
 *
 * One root cause is one finding. What follows from it (a row that the store lost is then
 * missing at every consumer) stands right behind it, as its consequences.
 *
 * Always: items of one kind, process, topic, source and cause are one finding, which counts
 * them all and keeps the first few as evidence. A cause is never itself a consequence. What one
 * restart did to several processes or topics is one finding as well, with a part for each.
 *
 * Threads: findings belong to one thread at a time.
 */
#ifndef HARNESS_FINDING_H
#define HARNESS_FINDING_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVIDENCE_MAX 5
#define FINDING_TOPIC_NONE SIZE_MAX

/* kind, name, whether it breaks a promise (else: not enough was seen), title */
#define FINDING_MAP(X)                                                                             \
    X(FINDING_FORGOTTEN, "forgotten", true, "The broker no longer knew it")                        \
    X(FINDING_LOST, "lost", true, "Lost")                                                          \
    X(FINDING_SKIPPED, "skipped", true, "Read past")                                               \
    X(FINDING_FALSE_EMPTY, "false-empty", true, "\"No message\" while one was there")              \
    X(FINDING_SEEK_IGNORED, "seek-ignored", true, "A seek that changed nothing")                   \
    X(FINDING_REDELIVERED, "redelivered", true, "Delivered twice")                                 \
    X(FINDING_OUT_OF_ORDER, "out-of-order", true, "Out of order")                                  \
    X(FINDING_PHANTOM, "phantom", true, "Sent by nobody")                                          \
    X(FINDING_MISROUTED, "misrouted", true, "Under another topic")                                 \
    X(FINDING_CORRUPT, "corrupt", true, "Text changed")                                            \
    X(FINDING_ORDER_DISAGREEMENT, "order-disagreement", true, "Consumers saw different orders")    \
    X(FINDING_FILE_DIFFERS, "file-differs", true, "The file is not what was received")             \
    X(FINDING_PRODUCER_ORDER, "producer-order", true, "A producer's order was not kept")           \
    X(FINDING_REAL_TIME_ORDER, "real-time-order", true, "Not stored in the order of time")         \
    X(FINDING_INCONSISTENT_OFFSET, "inconsistent-offset", true, "One offset, two messages")        \
    X(FINDING_NOT_DENSE, "not-dense", true, "Gaps in the offsets")                                 \
    X(FINDING_TORN_BATCH, "torn-batch", true, "A batch stored in pieces")                          \
    X(FINDING_DUPLICATE, "duplicate", true, "Stored twice")                                        \
    X(FINDING_ABORTED_READ, "aborted-read", true, "Refused, but stored")                           \
    X(FINDING_SIZE_WRONG, "size-wrong", true, "A size that cannot be")                             \
    X(FINDING_FALSE_AWAY, "false-away", true, "\"Store away\" while it was there")                 \
    X(FINDING_NO_PROGRESS, "no-progress", true, "A client did not get on")                         \
    X(FINDING_SLOW_RECOVERY, "slow-recovery", true, "Slow to recover")                             \
    X(FINDING_UNACKNOWLEDGED, "unacknowledged", true, "Given up by the producer")                  \
    X(FINDING_MISSENT, "missent", true, "Sent otherwise than the log file says")                   \
    X(FINDING_UNSENT, "unsent", false, "Not sent, or its end is not known")                        \
    X(FINDING_NO_HISTORY, "no-history", false, "Left no history")                                  \
    X(FINDING_UNSEEN, "unseen", false, "Not read by the consumer")                                 \
    X(FINDING_HIT_NOTHING, "hit-nothing", false, "A fault that hit nothing")                       \
    X(FINDING_NOT_FIRED, "not-fired", false, "A fault that was not injected")                      \
    X(FINDING_NO_RECOVERY, "no-recovery", false, "Not seen to answer again")                       \
    X(FINDING_ROWS_UNREAD, "rows-unread", false, "The store's rows were not read")                 \
    X(FINDING_ENDED_EARLY, "ended-early", false, "The run was given up")

#define FINDING_ENUM(kind, name, breaks, title) kind,
enum finding_kind { FINDING_MAP(FINDING_ENUM) FINDING_KINDS };
#undef FINDING_ENUM

const char *finding_name(enum finding_kind kind);
const char *finding_title(enum finding_kind kind);
bool finding_breaks(enum finding_kind kind); /* a promise; else the verdict is unknown */

/* Where it was seen. */
enum finding_source {
    SOURCE_HISTORY, /* the operations that were recorded */
    SOURCE_FILE,    /* consumer_N.txt */
    SOURCE_STORE,   /* the store's rows */
};

const char *finding_source_name(enum finding_source source);

/* What is promised, in the report's order: a sentence, and what is counted as checked. */
#define PROMISE_MAP(X)                                                                             \
    X(PROMISE_ACKNOWLEDGED, "Every line of the log files is acknowledged", "line")                 \
    X(PROMISE_STORED, "What is acknowledged is in the store, and nothing else is", "row")          \
    X(PROMISE_OFFSETS, "Offsets have no gaps, and each is one message’s", "acknowledgement")       \
    X(PROMISE_STORED_ORDER, "What is sent later is stored later", "message")                       \
    X(PROMISE_REMEMBERED, "No topic, producer, consumer or position is forgotten", "request")      \
    X(PROMISE_DELIVERED, "Every consumer gets everything", "due message")                          \
    X(PROMISE_ONCE, "Nothing twice", "receipt")                                                    \
    X(PROMISE_ONE_ORDER, "In one order, the same for all", "receipt")                              \
    X(PROMISE_GENUINE, "Nothing foreign, changed or of another topic", "receipt")                  \
    X(PROMISE_NOT_EMPTY, "No empty answer while a message is there", "empty answer")               \
    X(PROMISE_SIZES, "A size is what is left to take", "size")                                     \
    X(PROMISE_FAULTS, "Every fault hits something, and everybody gets on", "fault")

#define PROMISE_ENUM(promise, sentence, noun) promise,
enum promise { PROMISE_MAP(PROMISE_ENUM) PROMISES };
#undef PROMISE_ENUM

const char *promise_sentence(enum promise promise);
const char *promise_noun(enum promise promise);

/* Where in the log of a topic, seen from what the store still has of it. */
enum log_place { LOG_START, LOG_MIDDLE, LOG_END, LOG_NOTHING_LEFT, LOG_PLACES };

/* Which part of the logs. */
struct extent {
    int64_t lowest; /* offset; OFFSET_NONE: not said */
    int64_t highest;
    int64_t at[LOG_PLACES]; /* how many; all 0: not said */
};

/* What of a finding is of one process and topic. */
struct finding_part {
    char process[24];
    size_t topic;
    int64_t count;
    struct extent extent;
};

/* The restarts, counted from 1, of which each may be what did it; first 0: none. */
struct restart_span {
    size_t first;
    size_t last;
};

struct evidence {
    int64_t offset;  /* OFFSET_NONE: none */
    int64_t line;    /* of the log file or the consumer's file; NUMBER_NONE: none */
    int64_t time_ns; /* when it was seen; TIME_NONE: at no moment of the run */
    uint32_t text;   /* the message, or TEXT_NONE */
    size_t part;     /* whose it is, if the finding has parts */
    char *detail;    /* one sentence */
};

#define FINDING_ROOT SIZE_MAX

/* Why something is not held against the system under test. */
enum excuse {
    EXCUSE_NONE,
    EXCUSE_NOT_CLAIMED,  /* it does not claim to keep that when it is started again */
    EXCUSE_NOT_PROMISED, /* an answer was lost, and plain calls promise nothing then */
};

/* "not claimed"; of EXCUSE_NONE "" */
const char *excuse_name(enum excuse excuse);

struct finding {
    enum finding_kind kind;
    enum finding_source source;
    char process[24];    /* "P1", "C2", "fault 1"; "" when it is nobody's */
    size_t topic;        /* index into scenario.topics, or FINDING_TOPIC_NONE */
    size_t cause;        /* index of the finding that this one follows from, or FINDING_ROOT */
    enum excuse excused; /* if it has one, it is no matter for the verdict */
    int64_t count;
    struct evidence evidence[EVIDENCE_MAX];
    size_t evidence_count;
    struct restart_span span;
    struct extent extent;
    /* What one restart did to several (check_roots.c): then there are two parts or more, the
     * process is the "fault 1" before it, the topic theirs if they have one. */
    struct finding_part *parts;
    size_t part_count;
    size_t part_capacity;
    char *common; /* what all of them have in common: "acknowledged before fault 1"; or NULL */
};

/* Whose a piece of evidence is: the finding's, or its part's. */
const char *evidence_process(const struct finding *f, const struct evidence *e);
size_t evidence_topic(const struct finding *f, const struct evidence *e);

/* "at the end of the log" */
const char *log_place_words(enum log_place place);

/* "at the end of the log", or "3 in the middle of the log, 10 at the end of the log"; nothing where
 * it is not said. */
void extent_append_words(struct buffer *b, const struct extent *extent);

/* The promise that a finding is about; PROMISES: none of them (the run as a whole). */
enum promise finding_promise(const struct finding *finding);

struct findings {
    struct finding *items;
    size_t count;
    size_t capacity;
};

/*
 * Count one item, which is a cause of its own. NULL when its finding has enough evidence
 * already; else the evidence to fill in (all but `detail` is set to none), with
 * evidence_say() for `detail`.
 */
struct evidence *findings_add(struct findings *f, enum finding_kind kind,
                              enum finding_source source, const char *process, size_t topic);

/* The index of the finding for such items, made when there is none; `cause` is the index of
 * one that is a root, or FINDING_ROOT. Indices hold until findings_sort(). */
size_t findings_get(struct findings *f, enum finding_kind kind, enum finding_source source,
                    const char *process, size_t topic, size_t cause, enum excuse excused);

/* The same for items that are a root, and that one of these restarts may have done. */
size_t findings_get_between(struct findings *f, enum finding_kind kind, enum finding_source source,
                            const char *process, size_t topic, enum excuse excused,
                            struct restart_span span);

/* Put a finding's items to another one, which takes its evidence; as a part of it, or (`part`
 * false) as if they had been counted there. */
void finding_absorb(struct finding *into, struct finding *from, bool part);

/* Note where an item lies; LOG_PLACES: only its offset. */
void extent_take(struct extent *extent, int64_t offset, enum log_place place);

/* Count one item of a finding, like findings_add(). */
struct evidence *findings_count(struct findings *f, size_t finding);

/* What breaks a promise first, then what was not seen, then what is excused; each kind by
 * FINDING_MAP; consequences behind their cause. */
void findings_sort(struct findings *f);

/* Set the detail; NULL is fine. */
void evidence_say(struct evidence *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void findings_release(struct findings *f);

#endif
