/*
 * address.h - where the proxy listens and what it stands before: `127.0.0.1:8080`, or
 * `unix:/path/of/a/socket`.
 *
 * All sockets that are made here are non-blocking and close on exec.
 * Threads: any.
 */
#ifndef HARNESS_PROXY_ADDRESS_H
#define HARNESS_PROXY_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
        struct sockaddr_un path;
    } at;
    socklen_t size; /* bytes of `at` in use */
};

/* false: `text` is none of the two forms. */
bool address_parse(struct address *out, const char *text);

/* A socket of `type` (SOCK_STREAM, SOCK_SEQPACKET) that listens there; what lies at the path is
 * replaced. -1: see errno. */
int address_listen(const struct address *a, int type);

/* Nobody can connect to a closed listener's path. Nothing for a port. */
void address_unlink(const struct address *a);

/* A socket that is connected or, for a port, about to be. -1: see errno. */
int address_connect(const struct address *a, int type);

#endif
