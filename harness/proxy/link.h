/*
 * link.h - the line between those who connect to the proxy and what it stands before, and what
 * is wrong with it.
 *
 * A connection has two sides, the client's and the server's. It is *in flight* from the moment
 * that the client has sent bytes to the server until the server has answered with some: true of
 * HTTP/1.1 and of PostgreSQL's protocol, where one side speaks at a time.
 *
 *   pass        all goes through at once
 *   lose-reply  requests go through. When the server answers, both sides are closed: the answer is
 *               lost, after the server has done what was asked
 *   delay       each way takes so many milliseconds longer
 *   trickle     each way of a connection takes so many bytes a second
 *   cut         all connections are closed and new ones refused
 *   half-open   all that is sent is lost, and nobody is told: both sides believe. When it ends,
 *               connections that have lost something are reset, for they can never go on
 *   reset       all connections are reset (RST). New ones are, too, when they send something
 *
 * Each counts what it hit, so that a fault that did nothing is found out.
 *
 * Threads: one.
 */
#ifndef HARNESS_PROXY_LINK_H
#define HARNESS_PROXY_LINK_H

#include "harness/proxy/address.h"

#include <stdbool.h>
#include <stdint.h>

enum link_mode {
    LINK_PASS,
    LINK_LOSE_REPLY,
    LINK_DELAY,
    LINK_TRICKLE,
    LINK_CUT,
    LINK_HALF_OPEN,
    LINK_RESET,
    LINK_MODES, /* how many there are */
};

struct link_counts {
    int64_t hit;       /* by the last mode that was not to pass: replies lost (lose-reply), bytes
                          held (delay, trickle) or lost (half-open), connections (cut, reset) */
    int64_t open;      /* connections now */
    int64_t in_flight; /* of these */
    int64_t accepted;  /* connections since the start */
};

struct link;

/* Listen at `listen`, and connect to `to`. NULL: see errno. `epoll_fd` is borrowed; its events'
 * pointers are to `struct watched` (watched.h). */
struct link *link_open(int epoll_fd, const struct address *listen, const struct address *to);
void link_close(struct link *l); /* NULL is fine */

/* Change the mode. `parameter` is delay's milliseconds and trickle's bytes a second. false when
 * the address cannot be listened at again; see errno. */
bool link_set(struct link *l, enum link_mode mode, int64_t parameter);

/* New connections go there; the others stay. */
void link_to(struct link *l, const struct address *to);

/* Reset the clients' sides. The servers' stay open: they do not notice, and their answers come to
 * nobody. Gives how many were in flight. */
int64_t link_abandon(struct link *l);

/* Do what is due by time. Gives how long until the next is, in milliseconds, or -1. To be called
 * after each round of events, as closed connections are freed here. */
int link_tick(struct link *l);

struct link_counts link_counts(const struct link *l);

/* "lose-reply"; LINK_MODES for another name. */
enum link_mode link_mode_of(const char *name);

#endif
