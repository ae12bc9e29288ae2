/*
 * http_door.h - where connections come in, and where the excess is turned away.
 *
 * A connection beyond the limit is not left to wait: it gets an answer that was made before
 * (503 with Retry-After, and JSON), without its request being read, and is closed a moment
 * later, so that the answer is not lost to the reset that closing at once would cause.
 *
 * Threads: a door belongs to one loop; what they share is the count of connections.
 */
#ifndef COMMON_HTTP_DOOR_H
#define COMMON_HTTP_DOOR_H

#include "common/status.h"

#include <stdatomic.h>
#include <stdint.h>

struct http_door;

#define HTTP_DOOR_TURNED_AWAY_MAX 32 /* descriptors of those who are about to be closed */

/* A whole answer, headers and all, after which the connection is closed. */
#define HTTP_CLOSING_ANSWER_BYTES_MAX 512
int http_closing_answer(enum status status, char out[HTTP_CLOSING_ANSWER_BYTES_MAX]);

/*
 * Watch a listening socket with `epoll_fd`; its events carry the door as `data.ptr`. The
 * socket is the door's from now on. NULL: out of memory or descriptors.
 *
 * connections   how many are open now, of all doors: who is let in is added; whoever closes
 *               it subtracts
 */
struct http_door *http_door_open(int listen_fd, int epoll_fd, atomic_int *connections,
                                 int connections_max);

/* The next one that may come in: a socket, non-blocking; -1: nobody. */
int http_door_accept(struct http_door *door);

/* About once a second: close those that were turned away. */
void http_door_sweep(struct http_door *door, int64_t now_ms);

void http_door_close(struct http_door *door); /* NULL is fine */

#endif
