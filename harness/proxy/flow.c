/*
 * flow.c - a list of chunks, sent from the front.
 */
#include "harness/proxy/flow.h"

#include "harness/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NS_PER_S INT64_C(1000000000)
/* What a flow at a rate may make up for, if it was not looked at for long. */
#define BURST_NS (NS_PER_S / 20)

struct chunk {
    struct list node;
    int64_t due_ns;
    size_t size;
    size_t sent;
    char data[];
};

void flow_init(struct flow *f)
{
    *f = (struct flow){0};
    list_init(&f->chunks);
}

void flow_clear(struct flow *f)
{
    for (struct list *node = list_pop(&f->chunks); node != NULL; node = list_pop(&f->chunks)) {
        free(LIST_ENTRY(node, struct chunk, node));
    }
    f->bytes = 0;
}

bool flow_full(const struct flow *f)
{
    return f->bytes >= FLOW_BYTES_MAX;
}

void flow_put(struct flow *f, const void *data, size_t size, int64_t due_ns)
{
    struct chunk *chunk = memory_zeroed(1, sizeof *chunk + size);

    chunk->due_ns = due_ns;
    chunk->size = size;
    memcpy(chunk->data, data, size);
    list_append(&f->chunks, &chunk->node);
    f->bytes += size;
}

/* How many bytes of the first chunk may go now. */
static size_t allowed(struct flow *f, const struct chunk *chunk, struct pace pace, int64_t now_ns)
{
    size_t size = chunk->size - chunk->sent;

    if (pace.delayed && chunk->due_ns > now_ns) {
        return 0;
    }
    if (pace.rate == 0) {
        return size;
    }
    if (f->next_ns < now_ns - BURST_NS) {
        f->next_ns = now_ns - BURST_NS;
    }
    int64_t budget = f->next_ns > now_ns ? 0 : (now_ns - f->next_ns) * pace.rate / NS_PER_S;
    return (size_t)budget < size ? (size_t)budget : size;
}

enum flow_state flow_send(struct flow *f, int fd, struct pace pace, int64_t now_ns)
{
    while (!list_empty(&f->chunks)) {
        struct chunk *chunk = LIST_ENTRY(f->chunks.next, struct chunk, node);
        size_t size = allowed(f, chunk, pace, now_ns);
        if (size == 0) {
            return FLOW_WAITS;
        }
        ssize_t sent = send(fd, chunk->data + chunk->sent, size, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR ? FLOW_BLOCKED : FLOW_BROKEN;
        }
        chunk->sent += (size_t)sent;
        f->bytes -= (size_t)sent;
        if (pace.rate > 0) {
            f->next_ns += sent * NS_PER_S / pace.rate;
        }
        if (chunk->sent == chunk->size) {
            list_remove(&chunk->node);
            free(chunk);
        }
    }
    return FLOW_EMPTY;
}
