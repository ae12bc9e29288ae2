/*
 * link.c - accept, connect, and move bytes, as the mode allows.
 *
 * Always: a connection is in one of two lists, `connections` or, with its sockets closed, `dead`,
 * until link_tick() frees it: events of the same round may still point to it. And a side that has
 * hung up is no longer watched, since epoll would tell of it again and again.
 */
#include "harness/proxy/link.h"

#include "common/clock.h"
#include "harness/memory.h"
#include "harness/proxy/flow.h"
#include "harness/proxy/watched.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_BYTES 65536
#define READS_AT_ONCE_MAX 16 /* then others get a turn */
#define TICK_MS 2            /* while bytes wait for their time */

struct side {
    struct watched watched; /* first */
    struct connection *connection;
    struct side *other;
    int fd;          /* -1: none yet, or none any more */
    uint32_t events; /* that epoll watches for */
    bool watching;   /* epoll knows the socket */
    bool ended;      /* it sends nothing more */
    bool gone;       /* it takes nothing more either */
    bool told;       /* that the other one sends nothing more */
    struct flow out; /* to it */
};

struct connection {
    struct list node;
    struct link *link;
    struct side client;
    struct side server;
    bool connecting; /* the server's side is not there yet */
    bool asked;      /* in flight */
    bool lost;       /* bytes of it were lost: it can never go on */
    bool abandoned;  /* there is no client any more */
};

struct link {
    struct watched watched; /* first: of the listener */
    int epoll_fd;
    int listen_fd; /* -1 while cut */
    struct address listen;
    struct address to;
    enum link_mode mode;
    int64_t parameter;
    int64_t hit;
    int64_t accepted;
    struct list connections;
    struct list dead;
};

static const char *const modes[LINK_MODES] = {
    [LINK_PASS] = "pass",   [LINK_LOSE_REPLY] = "lose-reply",
    [LINK_DELAY] = "delay", [LINK_TRICKLE] = "trickle",
    [LINK_CUT] = "cut",     [LINK_HALF_OPEN] = "half-open",
    [LINK_RESET] = "reset",
};

enum link_mode link_mode_of(const char *name)
{
    int mode = 0;

    while (mode < LINK_MODES && strcmp(modes[mode], name) != 0) {
        mode++;
    }
    return (enum link_mode)mode;
}

/* ---- sides ------------------------------------------------------------------------- */

static void side_close(struct side *s, bool reset)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (s->fd < 0) {
        return;
    }
    if (reset) {
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(s->fd); /* epoll forgets it with that */
    s->fd = -1;
    s->watching = false;
    flow_clear(&s->out);
}

static void side_watch(struct side *s, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &s->watched};
    int epoll_fd = s->connection->link->epoll_fd;

    if (s->gone) {
        if (s->watching) {
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        }
        s->watching = false;
        return;
    }
    if (!s->watching || s->events != events) {
        epoll_ctl(epoll_fd, s->watching ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &event);
    }
    s->watching = true;
    s->events = events;
}

/* ---- connections ------------------------------------------------------------------- */

static bool is_dead(const struct connection *c)
{
    return c->client.fd < 0 && c->server.fd < 0;
}

static void connection_end(struct connection *c, bool reset)
{
    side_close(&c->client, reset);
    side_close(&c->server, reset);
    list_remove(&c->node);
    list_append(&c->link->dead, &c->node);
}

static void connection_free(struct connection *c)
{
    flow_clear(&c->client.out);
    flow_clear(&c->server.out);
    free(c);
}

/* Bytes have come from a side. */
static void connection_take(struct side *from, const char *data, size_t size)
{
    struct connection *c = from->connection;
    struct link *l = c->link;
    bool answer = from == &c->server;

    if (answer && c->abandoned) {
        c->asked = false;
        return;
    }
    switch (l->mode) {
    case LINK_LOSE_REPLY:
        if (answer && c->asked) {
            l->hit++;
            connection_end(c, false);
            return;
        }
        break;
    case LINK_DELAY:
    case LINK_TRICKLE:
        l->hit += (int64_t)size;
        break;
    case LINK_HALF_OPEN:
        l->hit += (int64_t)size;
        c->lost = true;
        return;
    case LINK_RESET:
        l->hit++;
        connection_end(c, true);
        return;
    default:
        break;
    }
    c->asked = !answer;
    flow_put(&from->other->out, data, size,
             l->mode == LINK_DELAY ? clock_now_ns() + l->parameter * NS_PER_MS : 0);
}

/* Read what is there. Who has gone is read to the end, whatever there is room for. */
static void side_read(struct side *s)
{
    static char data[READ_BYTES];
    struct connection *c = s->connection;

    for (int reads = 0; !s->ended && (s->gone || reads < READS_AT_ONCE_MAX); reads++) {
        if (!s->gone && flow_full(&s->other->out)) {
            return;
        }
        ssize_t size = recv(s->fd, data, sizeof data, 0);
        if (size < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                connection_end(c, true);
            }
            return;
        }
        if (size == 0) {
            s->ended = true;
            c->lost = c->lost || c->link->mode == LINK_HALF_OPEN;
            return;
        }
        connection_take(s, data, (size_t)size);
        if (is_dead(c)) {
            return;
        }
    }
}

/* Send a side what may go to it, and tell it of the other's end behind the last byte. */
static enum flow_state side_send(struct side *s, int64_t now_ns)
{
    const struct connection *c = s->connection;
    const struct link *l = c->link;
    struct pace pace = {.delayed = l->mode == LINK_DELAY,
                        .rate = l->mode == LINK_TRICKLE ? l->parameter : 0};

    if (s->gone) {
        flow_clear(&s->out);
    }
    if (s->fd < 0 || (c->connecting && s == &c->server)) {
        return FLOW_BLOCKED;
    }
    enum flow_state state = flow_send(&s->out, s->fd, pace, now_ns);
    if (state == FLOW_EMPTY && s->other->ended && !s->told && l->mode != LINK_HALF_OPEN) {
        s->told = true;
        shutdown(s->fd, SHUT_WR);
    }
    return state;
}

static void side_rewatch(struct side *s, enum flow_state state)
{
    bool reads = !s->ended && !flow_full(&s->other->out);

    if (s->fd >= 0) {
        side_watch(s, (reads ? EPOLLIN : 0) | (state == FLOW_BLOCKED ? EPOLLOUT : 0));
    }
}

/* Move what can be moved, and end what has come to its end. */
static void connection_move(struct connection *c, int64_t now_ns)
{
    enum flow_state to_client = side_send(&c->client, now_ns);
    enum flow_state to_server = side_send(&c->server, now_ns);

    if (to_client == FLOW_BROKEN || to_server == FLOW_BROKEN) {
        connection_end(c, true);
    } else if (c->client.ended && c->server.ended && c->link->mode != LINK_HALF_OPEN &&
               c->client.out.bytes == 0 && c->server.out.bytes == 0) {
        connection_end(c, false);
    } else {
        side_rewatch(&c->client, to_client);
        side_rewatch(&c->server, to_server);
    }
}

/* Has the connecting come to its end, and well? */
static bool connection_connected(struct connection *c)
{
    int error = 0;
    socklen_t size = sizeof error;

    c->connecting = false;
    return getsockopt(c->server.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

static void side_ready(struct watched *w, uint32_t events)
{
    struct side *s = (struct side *)w;
    struct connection *c = s->connection;

    if (s->fd < 0) {
        return;
    }
    if ((c->connecting && s == &c->server && !connection_connected(c)) || (events & EPOLLERR)) {
        connection_end(c, true);
        return;
    }
    s->gone = s->gone || (events & EPOLLHUP);
    if (events & (EPOLLIN | EPOLLHUP)) {
        side_read(s);
    }
    if (!is_dead(c)) {
        connection_move(c, clock_now_ns());
    }
}

static void side_init(struct side *s, struct connection *c, struct side *other, int fd)
{
    *s = (struct side){.watched.ready = side_ready, .connection = c, .other = other, .fd = fd};
    flow_init(&s->out);
}

/* Connect to the server; who cannot be connected is reset. */
static void connection_connect(struct connection *c)
{
    c->server.fd = address_connect(&c->link->to, SOCK_STREAM);
    c->connecting = c->server.fd >= 0;
    if (c->connecting) {
        connection_move(c, clock_now_ns());
    } else {
        connection_end(c, true);
    }
}

/* ---- the link ---------------------------------------------------------------------- */

static void link_accept(struct link *l, int fd)
{
    struct connection *c = memory_zeroed(1, sizeof *c);
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* no harm to a path */
    c->link = l;
    side_init(&c->client, c, &c->server, fd);
    side_init(&c->server, c, &c->client, -1);
    list_append(&l->connections, &c->node);
    l->accepted++;
    if (l->mode == LINK_HALF_OPEN || l->mode == LINK_RESET) {
        connection_move(c, clock_now_ns()); /* there is no way to the server */
    } else {
        connection_connect(c);
    }
}

static void link_ready(struct watched *w, uint32_t events)
{
    struct link *l = (struct link *)w;

    (void)events;
    while (l->listen_fd >= 0) {
        int fd = accept4(l->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        link_accept(l, fd);
    }
}

static bool link_listen(struct link *l)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &l->watched};

    l->listen_fd = address_listen(&l->listen, SOCK_STREAM);
    return l->listen_fd >= 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->listen_fd, &event) == 0;
}

static void link_refuse(struct link *l)
{
    if (l->listen_fd >= 0) {
        close(l->listen_fd);
        address_unlink(&l->listen);
    }
    l->listen_fd = -1;
}

struct link *link_open(int epoll_fd, const struct address *listen, const struct address *to)
{
    struct link *l = memory_zeroed(1, sizeof *l);

    l->watched.ready = link_ready;
    l->epoll_fd = epoll_fd;
    l->listen_fd = -1;
    l->listen = *listen;
    l->to = *to;
    list_init(&l->connections);
    list_init(&l->dead);
    if (!link_listen(l)) {
        int error = errno;
        link_close(l);
        errno = error;
        return NULL;
    }
    return l;
}

static void free_dead(struct link *l)
{
    for (struct list *node = list_pop(&l->dead); node != NULL; node = list_pop(&l->dead)) {
        connection_free(LIST_ENTRY(node, struct connection, node));
    }
}

static void end_all(struct link *l, bool reset)
{
    LIST_FOREACH(node, &l->connections) {
        l->hit++;
        connection_end(LIST_ENTRY(node, struct connection, node), reset);
    }
}

void link_close(struct link *l)
{
    if (l == NULL) {
        return;
    }
    end_all(l, false);
    free_dead(l);
    link_refuse(l);
    free(l);
}

/* A mode without a way to the server has ended: who can go on is connected, the others are
 * reset. */
static void restore(struct link *l)
{
    LIST_FOREACH(node, &l->connections) {
        struct connection *c = LIST_ENTRY(node, struct connection, node);
        if (c->lost) {
            connection_end(c, true);
        } else if (c->server.fd < 0) {
            connection_connect(c);
        }
    }
}

static void move_all(struct link *l)
{
    int64_t now_ns = clock_now_ns();

    LIST_FOREACH(node, &l->connections) {
        connection_move(LIST_ENTRY(node, struct connection, node), now_ns);
    }
}

bool link_set(struct link *l, enum link_mode mode, int64_t parameter)
{
    l->mode = mode;
    l->parameter = parameter;
    restore(l);
    if (mode != LINK_PASS) {
        l->hit = 0;
    }
    if (mode == LINK_CUT) {
        link_refuse(l);
    }
    if (mode == LINK_CUT || mode == LINK_RESET) {
        end_all(l, mode == LINK_RESET);
    }
    move_all(l);
    return mode == LINK_CUT || l->listen_fd >= 0 || link_listen(l);
}

void link_to(struct link *l, const struct address *to)
{
    l->to = *to;
}

int64_t link_abandon(struct link *l)
{
    int64_t in_flight = 0;

    LIST_FOREACH(node, &l->connections) {
        struct connection *c = LIST_ENTRY(node, struct connection, node);
        if (c->server.fd < 0 || c->abandoned) {
            continue;
        }
        in_flight += c->asked;
        c->abandoned = true;
        c->client.ended = true;
        c->server.told = true; /* so it never is */
        side_close(&c->client, true);
        connection_move(c, clock_now_ns());
    }
    return in_flight;
}

int link_tick(struct link *l)
{
    bool waiting = false;

    free_dead(l);
    if (l->mode != LINK_DELAY && l->mode != LINK_TRICKLE) {
        return -1;
    }
    move_all(l);
    LIST_FOREACH(node, &l->connections) {
        const struct connection *c = LIST_ENTRY(node, struct connection, node);
        waiting = waiting || c->client.out.bytes > 0 || c->server.out.bytes > 0;
    }
    return waiting ? TICK_MS : -1;
}

struct link_counts link_counts(const struct link *l)
{
    struct link_counts counts = {.hit = l->hit, .accepted = l->accepted};

    LIST_FOREACH(node, &l->connections) {
        const struct connection *c = LIST_ENTRY(node, struct connection, node);
        counts.open++;
        counts.in_flight += c->asked;
    }
    return counts;
}
