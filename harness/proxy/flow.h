/*
 * flow.h - the bytes on their way to one side of a connection.
 *
 *   read from one side -> flow_put() -> [chunk due 17.2 s][chunk due 17.3 s] -> flow_send()
 *
 * Always: bytes leave in the order in which they came, and whoever puts asks flow_full() first,
 * so that a side that does not read holds up the other one and does not fill the memory.
 *
 * Threads: one.
 */
#ifndef HARNESS_PROXY_FLOW_H
#define HARNESS_PROXY_FLOW_H

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_BYTES_MAX ((size_t)1 << 20)

struct flow {
    struct list chunks;
    size_t bytes;    /* in all chunks */
    int64_t next_ns; /* at a rate: when the next byte may go */
};

/* How fast bytes may leave. */
struct pace {
    bool delayed; /* not before they are due */
    int64_t rate; /* bytes a second; 0: as fast as it goes */
};

enum flow_state {
    FLOW_EMPTY,   /* all has been sent */
    FLOW_WAITS,   /* for its time */
    FLOW_BLOCKED, /* for room in the socket */
    FLOW_BROKEN,  /* the socket takes nothing more */
};

void flow_init(struct flow *f);
void flow_clear(struct flow *f);
bool flow_full(const struct flow *f);
void flow_put(struct flow *f, const void *data, size_t size, int64_t due_ns);

/* Send what may go now. */
enum flow_state flow_send(struct flow *f, int fd, struct pace pace, int64_t now_ns);

#endif
