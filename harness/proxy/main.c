/*
 * main.c - myqueue-proxy: a line between two programs, with its faults, told what to do over a
 * control socket.
 *
 * A command is one packet on the socket (SOCK_SEQPACKET), its answer another one:
 *
 *   lose-reply                ok hit=0 open=8 in_flight=3 accepted=40
 *   counters                  ok hit=3 open=5 in_flight=0 accepted=43
 *   delay 50                  ok …
 *   fly                       error 'fly' is no command: …
 */
#include "common/options.h"
#include "harness/proxy/address.h"
#include "harness/proxy/link.h"
#include "harness/proxy/watched.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_USAGE 254
#define COMMAND_BYTES_MAX 256
#define ANSWER_BYTES_MAX 512
#define EVENTS_MAX 128
#define PARAMETER_MAX 1000000000

struct proxy {
    struct watched watched; /* first: of the control socket */
    int epoll_fd;
    int listen_fd;
    struct link *link;
};

/* Somebody who gives commands. */
struct commander {
    struct watched watched; /* first */
    struct proxy *proxy;
    int fd;
};

/* ---- commands ---------------------------------------------------------------------- */

static void answer_counts(const struct proxy *p, char answer[ANSWER_BYTES_MAX])
{
    struct link_counts n = link_counts(p->link);

    snprintf(answer, ANSWER_BYTES_MAX,
             "ok hit=%" PRId64 " open=%" PRId64 " in_flight=%" PRId64 " accepted=%" PRId64, n.hit,
             n.open, n.in_flight, n.accepted);
}

static void set_mode(struct proxy *p, enum link_mode mode, const char *argument,
                     char answer[ANSWER_BYTES_MAX])
{
    bool wants = mode == LINK_DELAY || mode == LINK_TRICKLE;
    char *end = NULL;
    long parameter = argument == NULL ? 0 : strtol(argument, &end, 10);

    if (wants != (argument != NULL) ||
        (wants && (*end != '\0' || parameter < 1 || parameter > PARAMETER_MAX))) {
        snprintf(answer, ANSWER_BYTES_MAX,
                 "error delay takes milliseconds, trickle bytes a second (1 to %d), the others "
                 "nothing",
                 PARAMETER_MAX);
    } else if (!link_set(p->link, mode, parameter)) {
        snprintf(answer, ANSWER_BYTES_MAX, "error cannot listen again: %s", strerror(errno));
    } else {
        answer_counts(p, answer);
    }
}

static void obey(struct proxy *p, char *command, char answer[ANSWER_BYTES_MAX])
{
    char *argument = strchr(command, ' ');
    struct address to;

    if (argument != NULL) {
        *argument++ = '\0';
    }
    enum link_mode mode = link_mode_of(command);
    if (mode != LINK_MODES) {
        set_mode(p, mode, argument, answer);
    } else if (strcmp(command, "counters") == 0 && argument == NULL) {
        answer_counts(p, answer);
    } else if (strcmp(command, "abandon") == 0 && argument == NULL) {
        snprintf(answer, ANSWER_BYTES_MAX, "ok hit=%" PRId64, link_abandon(p->link));
    } else if (strcmp(command, "to") == 0 && argument != NULL && address_parse(&to, argument)) {
        link_to(p->link, &to);
        answer_counts(p, answer);
    } else {
        snprintf(answer, ANSWER_BYTES_MAX,
                 "error '%s' is no command: pass, lose-reply, delay MS, trickle BYTES_PER_S, cut, "
                 "half-open, reset, to ADDRESS, abandon and counters are",
                 command);
    }
}

static void commander_ready(struct watched *w, uint32_t events)
{
    struct commander *commander = (struct commander *)w;
    char command[COMMAND_BYTES_MAX + 1];
    char answer[ANSWER_BYTES_MAX];

    (void)events;
    ssize_t size = recv(commander->fd, command, COMMAND_BYTES_MAX, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        close(commander->fd);
        free(commander);
        return;
    }
    command[size] = '\0';
    obey(commander->proxy, command, answer);
    ssize_t sent = send(commander->fd, answer, strlen(answer), MSG_NOSIGNAL);
    (void)sent; /* who has left needs no answer */
}

static void control_ready(struct watched *w, uint32_t events)
{
    struct proxy *p = (struct proxy *)w;
    struct commander *commander = calloc(1, sizeof *commander);

    (void)events;
    int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (commander == NULL || fd < 0) {
        free(commander);
        return;
    }
    *commander = (struct commander){.watched.ready = commander_ready, .proxy = p, .fd = fd};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &commander->watched};
    epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* ---- the program ------------------------------------------------------------------- */

static bool proxy_open(struct proxy *p, const char *listen, const char *to, const char *control)
{
    struct address addresses[3];
    const char *texts[] = {listen, to, control};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &p->watched};

    for (int i = 0; i < 3; i++) {
        if (!address_parse(&addresses[i], texts[i])) {
            fprintf(stderr,
                    "myqueue-proxy: '%s' is no address: write 127.0.0.1:PORT or unix:PATH\n",
                    texts[i]);
            exit(EXIT_USAGE);
        }
    }
    p->watched.ready = control_ready;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->link = link_open(p->epoll_fd, &addresses[0], &addresses[1]);
    if (p->link == NULL) {
        fprintf(stderr, "myqueue-proxy: cannot listen at %s: %s\n", listen, strerror(errno));
        return false;
    }
    p->listen_fd = address_listen(&addresses[2], SOCK_SEQPACKET);
    if (p->listen_fd < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->listen_fd, &event) != 0) {
        fprintf(stderr, "myqueue-proxy: cannot listen at %s: %s\n", control, strerror(errno));
        return false;
    }
    return true;
}

/* Until a signal ends it. */
static void proxy_run(struct proxy *p)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int count = epoll_wait(p->epoll_fd, events, EVENTS_MAX, link_tick(p->link));
        for (int i = 0; i < count; i++) {
            struct watched *w = events[i].data.ptr;
            w->ready(w, events[i].events);
        }
    }
}

/* Two sockets a connection: as many as the system lets us have. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    const char *listen;
    const char *to;
    const char *control;
    const struct option_row rows[] = {
        {.name = "listen",
         .type = OPTION_TEXT,
         .value = &listen,
         .unit = "ADDRESS",
         .required = true,
         .help = "where clients connect: 127.0.0.1:PORT or unix:PATH"},
        {.name = "to",
         .type = OPTION_TEXT,
         .value = &to,
         .unit = "ADDRESS",
         .required = true,
         .help = "the server that they mean"},
        {.name = "control",
         .type = OPTION_TEXT,
         .value = &control,
         .unit = "ADDRESS",
         .required = true,
         .help = "unix:PATH of the socket (SOCK_SEQPACKET) that takes commands:\n"
                 "pass, lose-reply, delay MS, trickle BYTES_PER_S, cut, half-open, reset,\n"
                 "to ADDRESS, abandon, counters"},
    };
    const struct options options = {
        .program = "myqueue-proxy",
        .version = MYQUEUE_VERSION,
        .summary = "A line between two programs that can be told to break.",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    struct proxy proxy = {.listen_fd = -1};

    switch (options_parse(&options, argc, argv, NULL)) {
    case OPTIONS_OK:
        break;
    case OPTIONS_EXIT:
        return 0;
    case OPTIONS_BAD:
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    if (!proxy_open(&proxy, listen, to, control)) {
        return 1;
    }
    proxy_run(&proxy);
}
