/*
 * batch.c - growing arrays of what a transaction will hold, and ranges of messages.
 */
#include "broker/store/store.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 16

/* Make room for one more element and return the place of it, zeroed. */
static void *grow(void **array, size_t *count, size_t *room, size_t element_bytes)
{
    if (*count == *room) {
        size_t more = *room == 0 ? ROOM_MIN : *room * 2;
        void *bigger = realloc(*array, more * element_bytes);
        if (bigger == NULL) {
            return NULL;
        }
        *array = bigger;
        *room = more;
    }
    void *element = (char *)*array + *count * element_bytes;
    memset(element, 0, element_bytes);
    (*count)++;
    return element;
}

#define BATCH_ADD(kind, field)                                                                     \
    struct store_##kind *batch_add_##field(struct store_batch *b)                                  \
    {                                                                                              \
        void *array = b->field##s;                                                                 \
        struct store_##kind *element =                                                             \
            grow(&array, &b->field##_count, &b->field##_room, sizeof *element);                    \
        b->field##s = array;                                                                       \
        return element;                                                                            \
    }

BATCH_ADD(topic, topic)
BATCH_ADD(client, producer)
BATCH_ADD(client, consumer)
BATCH_ADD(advance, advance)
BATCH_ADD(message, message)
BATCH_ADD(sequence, sequence)
BATCH_ADD(position, position)
BATCH_ADD(roll, roll)
BATCH_ADD(trim, trim)

bool batch_empty(const struct store_batch *b)
{
    return b->topic_count + b->producer_count + b->consumer_count + b->advance_count +
               b->position_count + b->roll_count + b->trim_count ==
           0;
}

void batch_clear(struct store_batch *b)
{
    b->topic_count = 0;
    b->producer_count = 0;
    b->consumer_count = 0;
    b->advance_count = 0;
    b->message_count = 0;
    b->sequence_count = 0;
    b->position_count = 0;
    b->roll_count = 0;
    b->trim_count = 0;
    b->bytes = 0;
}

void batch_release(struct store_batch *b)
{
    free(b->topics);
    free(b->producers);
    free(b->consumers);
    free(b->advances);
    free(b->messages);
    free(b->sequences);
    free(b->positions);
    free(b->rolls);
    free(b->trims);
    *b = (struct store_batch){0};
}

void range_init(struct store_range *range)
{
    *range = (struct store_range){.bytes = BUFFER_INIT, .sizes = BUFFER_INIT};
}

void range_release(struct store_range *range)
{
    buffer_release(&range->bytes);
    buffer_release(&range->sizes);
    range_init(range);
}

void range_clear(struct store_range *range, int64_t first)
{
    range->first = first;
    range->count = 0;
    buffer_clear(&range->bytes);
    buffer_clear(&range->sizes);
}

bool range_add(struct store_range *range, struct slice message)
{
    uint32_t size = (uint32_t)message.size;

    buffer_append_slice(&range->bytes, message);
    buffer_append(&range->sizes, &size, sizeof size);
    range->count++;
    return !range->bytes.failed && !range->sizes.failed;
}
