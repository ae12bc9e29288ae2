/*
 * batch.h - messages that wait to be sent, and the one request that a run of them becomes.
 *
 * A batch keeps its composition and its sequence for life: whatever became of a request, the
 * same bytes are sent again, and the broker tells a repetition by its sequence.
 *
 * Threads: none of its own; the user guards it.
 */
#ifndef MYQUEUE_SRC_BATCH_H
#define MYQUEUE_SRC_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "myqueue/src/text.h"

struct mq_outgoing {
    struct mq_outgoing *next;
    uint64_t tag;
    int64_t sent_ms; /* when the program sent it */
    size_t length;
    char bytes[];
};

/* First in, first out. Zeroed, it is empty. It owns its messages. */
struct mq_outgoing_list {
    struct mq_outgoing *first, *last;
    size_t count;
    size_t bytes;
};

/* NULL: out of memory. */
struct mq_outgoing *mq_outgoing_create(const void *message, size_t length, uint64_t tag,
                                       int64_t sent_ms);

void mq_outgoing_append(struct mq_outgoing_list *list, struct mq_outgoing *message);

/* Take out the first; NULL when empty. The caller frees it. */
struct mq_outgoing *mq_outgoing_take(struct mq_outgoing_list *list);

/* Put all of `back` before the first of `list`. */
void mq_outgoing_return(struct mq_outgoing_list *list, struct mq_outgoing_list *back);

/* Keep the first `count` of the list; the others go to the empty `rest`. */
void mq_outgoing_cut(struct mq_outgoing_list *list, size_t count, struct mq_outgoing_list *rest);

/* Move from `waiting` to the empty `batch` what one request may hold: at most messages_max,
 * and as many as fit into bytes_max, but always one. */
void mq_batch_fill(struct mq_outgoing_list *batch, struct mq_outgoing_list *waiting,
                   size_t messages_max, size_t bytes_max);

/* The request's body. */
void mq_batch_write(const struct mq_outgoing_list *batch, const char *topic, int64_t producer_id,
                    int64_t sequence, struct mq_text *body);

#endif
