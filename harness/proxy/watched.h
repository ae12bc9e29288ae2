/*
 * watched.h - what an epoll event of the proxy points to: first a function.
 * Threads: one.
 */
#ifndef HARNESS_PROXY_WATCHED_H
#define HARNESS_PROXY_WATCHED_H

#include <stdint.h>

struct watched {
    void (*ready)(struct watched *w, uint32_t events);
};

#endif
