/*
 * ports.c - taken by a name, and tried by binding to them.
 */
#include "harness/runtime/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_FIRST 20000

/* -1: another run has it. */
static int hold(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "myqueue-port-%d", port);

    if (fd >= 0 &&
        bind(fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bool done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

static bool all_free(int first)
{
    for (int i = 0; i < RUNTIME_PORTS; i++) {
        if (!is_free(first + i * RUNTIME_PORTS_APART)) {
            return false;
        }
    }
    return true;
}

int ports_take(int *held)
{
    int begin = (int)getpid() % RUNTIME_PORTS_APART;

    for (int i = 0; i < RUNTIME_PORTS_APART; i++) {
        int first = PORT_FIRST + (begin + i) % RUNTIME_PORTS_APART;
        *held = hold(first);
        if (*held >= 0 && all_free(first)) {
            return first;
        }
        if (*held >= 0) {
            close(*held);
        }
    }
    *held = -1;
    return -1;
}
