/*
 * reply.h - the broker's answer: what it means for the request, and what it holds.
 *
 * Threads: one at a time.
 */
#ifndef MYQUEUE_SRC_REPLY_H
#define MYQUEUE_SRC_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "myqueue.h"
#include "myqueue/src/transport.h"

struct cJSON;

enum mq_reply_kind {
    MQ_REPLY_SUCCESS,
    MQ_REPLY_REFUSED, /* nothing was done, and asking again would not help */
    MQ_REPLY_AGAIN,   /* nothing was done; ask again */
    MQ_REPLY_UNKNOWN, /* it was done or not; ask again */
};

struct mq_reply {
    enum mq_reply_kind kind;
    int http;                        /* 0: no answer */
    char code[48];                   /* the broker's reason, or "" */
    char error[MYQUEUE_ERROR_BYTES]; /* one line, "" on success */
    int retry_after_ms;              /* -1: the broker did not say */
    bool too_large;                  /* the answer, for the limit that the request gave */
    int64_t expected;                /* refused as out_of_sequence: what would be right; or -1 */
    struct cJSON *body;              /* of a success; owned */
};

/* Never fails: what cannot be understood is MQ_REPLY_UNKNOWN, or refused for a 4xx. */
void mq_reply_read(struct mq_reply *reply, const struct mq_answer *answer);

void mq_reply_release(struct mq_reply *reply);

bool mq_reply_is(const struct mq_reply *reply, const char *code);

/* A whole number from 0 to 2^53 of a success's body; -1 when there is none of this name. */
int64_t mq_reply_number(const struct mq_reply *reply, const char *name);

/* Is this a success with `true` of this name? */
bool mq_reply_true(const struct mq_reply *reply, const char *name);

/* The library's word for a refusal. `registered`: the broker knew this client before, so
 * that not to know it, its topic or its sequence means that it was forgotten. */
enum myqueue_status mq_reply_status(const struct mq_reply *reply, bool registered);

/* The messages of one answer: `count` of them, the first at `offset`, without gaps. */
struct mq_fetch {
    int64_t offset;
    size_t count;
    size_t next; /* index of the first that was not handed on; kept by the user */
    struct mq_fetched {
        const char *bytes;
        size_t length;
    } * messages;
    struct cJSON *body; /* where the bytes are */
};

/*
 * Move the messages of a success to `fetch`. False, with reply->error set, when they are
 * none, do not start at `offset` or have a gap, or there is no memory.
 */
bool mq_fetch_take(struct mq_fetch *fetch, struct mq_reply *reply, int64_t offset);

/* Leaves an empty one. */
void mq_fetch_release(struct mq_fetch *fetch);

#endif
