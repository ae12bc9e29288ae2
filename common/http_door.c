/*
 * http_door.c - accept, count, turn away.
 *
 * What breaks without care: a socket that is closed while bytes of the client's request are
 * unread sends a reset, which may overtake the answer. So those turned away are kept for
 * LINGER_MS, HTTP_DOOR_TURNED_AWAY_MAX of them; one more, and the oldest has lingered long enough.
 */
#include "common/http_door.h"

#include "common/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_MS 1000
#define ACCEPTS_AT_ONCE_MAX 256 /* then others get a turn */

struct turned_away {
    int fd;
    int64_t close_at_ms;
};

struct http_door {
    int listen_fd;
    int epoll_fd;
    bool watching; /* not while descriptors are short */
    atomic_int *connections;
    int connections_max;
    int accepted; /* since nobody was there */
    int full_size;
    char full[HTTP_CLOSING_ANSWER_BYTES_MAX];
    int first; /* a ring */
    int count;
    struct turned_away turned_away[HTTP_DOOR_TURNED_AWAY_MAX];
};

int http_closing_answer(enum status status, char out[HTTP_CLOSING_ANSWER_BYTES_MAX])
{
    char body[HTTP_CLOSING_ANSWER_BYTES_MAX / 2];
    int http = status_http(status);
    int size = snprintf(body, sizeof body,
                        "{\"status\": \"failure\", \"message\": \"%s\", \"code\": \"%s\"}",
                        status_words(status), status_code(status));

    return snprintf(out, HTTP_CLOSING_ANSWER_BYTES_MAX,
                    "HTTP/1.1 %d %s\r\n%sConnection: close\r\nContent-Type: application/json\r\n"
                    "Content-Length: %d\r\n\r\n%s",
                    http, http == 408 ? "Request Timeout" : "Service Unavailable",
                    http == 503 ? "Retry-After: 1\r\n" : "", size, body);
}

static void watch(struct http_door *door)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = door};

    door->watching = epoll_ctl(door->epoll_fd, EPOLL_CTL_ADD, door->listen_fd, &event) == 0;
}

struct http_door *http_door_open(int listen_fd, int epoll_fd, atomic_int *connections,
                                 int connections_max)
{
    struct http_door *door = calloc(1, sizeof *door);

    if (door == NULL) {
        close(listen_fd);
        return NULL;
    }
    door->listen_fd = listen_fd;
    door->epoll_fd = epoll_fd;
    door->connections = connections;
    door->connections_max = connections_max;
    door->full_size = http_closing_answer(STATUS_TOO_MANY_CONNECTIONS, door->full);
    watch(door);
    if (!door->watching) {
        http_door_close(door);
        return NULL;
    }
    return door;
}

static void close_first(struct http_door *door)
{
    close(door->turned_away[door->first].fd);
    door->first = (door->first + 1) % HTTP_DOOR_TURNED_AWAY_MAX;
    door->count--;
}

static void turn_away(struct http_door *door, int fd)
{
    /* It fits into the empty buffer of a new socket; where not, there is nobody to tell. */
    ssize_t sent = send(fd, door->full, (size_t)door->full_size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
    shutdown(fd, SHUT_WR);
    if (door->count == HTTP_DOOR_TURNED_AWAY_MAX) {
        close_first(door);
    }
    door->turned_away[(door->first + door->count) % HTTP_DOOR_TURNED_AWAY_MAX] =
        (struct turned_away){fd, clock_now_ms() + LINGER_MS};
    door->count++;
}

/* While descriptors or memory are short: those who wait at the door would wake us again and
 * again. And at the end: the other loops have copies of the socket, and as long as one of these
 * is open the epoll would go on to tell of ours. */
static void stop_watching(struct http_door *door)
{
    epoll_ctl(door->epoll_fd, EPOLL_CTL_DEL, door->listen_fd, NULL);
    door->watching = false;
}

int http_door_accept(struct http_door *door)
{
    while (door->accepted++ < ACCEPTS_AT_ONCE_MAX) {
        int fd = accept4(door->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            if (errno != EAGAIN) {
                stop_watching(door);
            }
            break;
        }
        if (atomic_fetch_add(door->connections, 1) < door->connections_max) {
            return fd;
        }
        atomic_fetch_sub(door->connections, 1);
        turn_away(door, fd);
    }
    door->accepted = 0;
    return -1;
}

void http_door_sweep(struct http_door *door, int64_t now_ms)
{
    while (door->count > 0 && door->turned_away[door->first].close_at_ms <= now_ms) {
        close_first(door);
    }
    if (!door->watching) {
        watch(door);
    }
}

void http_door_close(struct http_door *door)
{
    if (door == NULL) {
        return;
    }
    while (door->count > 0) {
        close_first(door);
    }
    stop_watching(door);
    close(door->listen_fd);
    free(door);
}
