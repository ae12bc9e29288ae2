/*
 * batch.c - see batch.h.
 */
#include "myqueue/src/batch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct mq_outgoing *mq_outgoing_create(const void *message, size_t length, uint64_t tag,
                                       int64_t sent_ms)
{
    struct mq_outgoing *outgoing = malloc(sizeof *outgoing + length);
    if (outgoing == NULL) {
        return NULL;
    }
    *outgoing = (struct mq_outgoing){.tag = tag, .sent_ms = sent_ms, .length = length};
    if (length > 0) {
        memcpy(outgoing->bytes, message, length);
    }
    return outgoing;
}

void mq_outgoing_append(struct mq_outgoing_list *list, struct mq_outgoing *message)
{
    message->next = NULL;
    if (list->last != NULL) {
        list->last->next = message;
    } else {
        list->first = message;
    }
    list->last = message;
    list->count++;
    list->bytes += message->length;
}

struct mq_outgoing *mq_outgoing_take(struct mq_outgoing_list *list)
{
    struct mq_outgoing *message = list->first;
    if (message == NULL) {
        return NULL;
    }
    list->first = message->next;
    if (list->first == NULL) {
        list->last = NULL;
    }
    list->count--;
    list->bytes -= message->length;
    return message;
}

void mq_outgoing_return(struct mq_outgoing_list *list, struct mq_outgoing_list *back)
{
    if (back->first == NULL) {
        return;
    }
    back->last->next = list->first;
    if (list->last == NULL) {
        list->last = back->last;
    }
    list->first = back->first;
    list->count += back->count;
    list->bytes += back->bytes;
    *back = (struct mq_outgoing_list){0};
}

void mq_outgoing_cut(struct mq_outgoing_list *list, size_t count, struct mq_outgoing_list *rest)
{
    struct mq_outgoing_list kept = {0};
    while (kept.count < count && list->first != NULL) {
        mq_outgoing_append(&kept, mq_outgoing_take(list));
    }
    *rest = *list;
    *list = kept;
}

void mq_batch_fill(struct mq_outgoing_list *batch, struct mq_outgoing_list *waiting,
                   size_t messages_max, size_t bytes_max)
{
    while (waiting->first != NULL && batch->count < messages_max) {
        if (batch->count > 0 && batch->bytes + waiting->first->length > bytes_max) {
            return;
        }
        mq_outgoing_append(batch, mq_outgoing_take(waiting));
    }
}

void mq_batch_write(const struct mq_outgoing_list *batch, const char *topic, int64_t producer_id,
                    int64_t sequence, struct mq_text *body)
{
    mq_text_clear(body);
    mq_text_format(body, "{\"topic\":");
    mq_text_json(body, topic, strlen(topic));
    mq_text_format(body, ",\"producer_id\":%" PRId64 ",\"sequence\":%" PRId64 ",\"messages\":[",
                   producer_id, sequence);
    for (const struct mq_outgoing *m = batch->first; m != NULL; m = m->next) {
        mq_text_json(body, m->bytes, m->length);
        mq_text_append(body, ",", m->next != NULL);
    }
    mq_text_append(body, "]}", 2);
}
