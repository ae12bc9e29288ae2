/*
 * address.c - text to sockets.
 */
#include "harness/proxy/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024
#define PORT_MAX 65535
#define HOST_BYTES_MAX 64

static bool path_parse(struct address *out, const char *path)
{
    struct sockaddr_un *un = &out->at.path;

    if (path[0] == '\0' || strlen(path) >= sizeof un->sun_path) {
        return false;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    out->size = sizeof *un;
    return true;
}

static bool port_parse(struct address *out, const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    char host[HOST_BYTES_MAX];
    const char *colon = strrchr(text, ':');
    char *end;

    if (colon == NULL || colon - text >= (int)sizeof host || colon[1] < '0' || colon[1] > '9') {
        return false;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    long port = strtol(colon + 1, &end, 10);
    if (*end != '\0' || port < 1 || port > PORT_MAX ||
        inet_pton(AF_INET, host, &in.sin_addr) != 1) {
        return false;
    }
    in.sin_port = htons((uint16_t)port);
    memcpy(&out->at, &in, sizeof in);
    out->size = sizeof in;
    return true;
}

bool address_parse(struct address *out, const char *text)
{
    static const char prefix[] = "unix:";

    memset(out, 0, sizeof *out);
    return strncmp(text, prefix, strlen(prefix)) == 0 ? path_parse(out, text + strlen(prefix))
                                                      : port_parse(out, text);
}

void address_unlink(const struct address *a)
{
    if (a->at.any.sa_family == AF_UNIX) {
        unlink(a->at.path.sun_path);
    }
}

static int socket_of(const struct address *a, int type)
{
    int fd = socket(a->at.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd >= 0 && a->at.any.sa_family == AF_INET) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

static int close_failed(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

int address_listen(const struct address *a, int type)
{
    int fd = socket_of(a, type);

    if (fd < 0) {
        return -1;
    }
    address_unlink(a);
    return bind(fd, &a->at.any, a->size) == 0 && listen(fd, BACKLOG) == 0 ? fd : close_failed(fd);
}

int address_connect(const struct address *a, int type)
{
    int fd = socket_of(a, type);

    if (fd < 0) {
        return -1;
    }
    return connect(fd, &a->at.any, a->size) == 0 || errno == EINPROGRESS ? fd : close_failed(fd);
}
