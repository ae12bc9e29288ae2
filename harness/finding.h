/*
 * finding.h - what can be found wrong, by name, with its evidence.
 *
 * docs/checker.md says of each name what it means and how it is found.
 *
 * Always: items of one kind, process, topic and source are one finding, which counts
 * them all and keeps the first few as evidence.
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
    X(FINDING_REDELIVERED, "redelivered", true, "Delivered twice")                                 \
    X(FINDING_OUT_OF_ORDER, "out-of-order", true, "Out of order")                                  \
    X(FINDING_PHANTOM, "phantom", true, "Sent by nobody")                                          \
    X(FINDING_MISROUTED, "misrouted", true, "Delivered under another topic")                       \
    X(FINDING_CORRUPT, "corrupt", true, "Text changed")                                            \
    X(FINDING_ORDER_DISAGREEMENT, "order-disagreement", true, "Consumers saw different orders")    \
    X(FINDING_FILE_DIFFERS, "file-differs", true, "The file is not what was received")             \
    X(FINDING_PRODUCER_ORDER, "producer-order", true, "A producer's order was not kept")           \
    X(FINDING_INCONSISTENT_OFFSET, "inconsistent-offset", true, "One offset, two messages")        \
    X(FINDING_NOT_DENSE, "not-dense", true, "Gaps in the offsets")                                 \
    X(FINDING_LOST_ROW, "lost-row", true, "Acknowledged, but not in the store")                    \
    X(FINDING_PHANTOM_ROW, "phantom-row", true, "In the store, but sent by nobody")                \
    X(FINDING_CORRUPT_ROW, "corrupt-row", true, "Stored otherwise than it was sent")               \
    X(FINDING_DUPLICATE, "duplicate", true, "Stored twice")                                        \
    X(FINDING_ABORTED, "aborted", true, "Refused, but stored")                                     \
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

struct evidence {
    int64_t offset; /* OFFSET_NONE: none */
    int64_t line;   /* of the log file or the consumer's file; NUMBER_NONE: none */
    uint32_t text;  /* the message, or TEXT_NONE */
    char *detail;   /* one sentence */
};

struct finding {
    enum finding_kind kind;
    enum finding_source source;
    char process[24]; /* "P1", "C2", "fault 1"; "" when it is nobody's */
    size_t topic;     /* index into scenario.topics, or FINDING_TOPIC_NONE */
    int64_t count;
    struct evidence evidence[EVIDENCE_MAX];
    size_t evidence_count;
};

struct findings {
    struct finding *items;
    size_t count;
    size_t capacity;
};

/*
 * Count one item. NULL when its finding has enough evidence already; else the evidence
 * to fill in (offset, line, text are set to none), with evidence_say() for `detail`.
 */
struct evidence *findings_add(struct findings *f, enum finding_kind kind,
                              enum finding_source source, const char *process, size_t topic);

/* Set the detail; NULL is fine. */
void evidence_say(struct evidence *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void findings_release(struct findings *f);

#endif
