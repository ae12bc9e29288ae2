/*
 * bare.c - the ceiling H: libmicrohttpd that reads a request and answers a constant.
 *
 * The answer has the shape and the size of the broker's to a produce. Two ways of running:
 * `internal`, libmicrohttpd's own threads, each with an epoll; `external`, as common/http
 * does it: a thread of ours that runs the daemon when its epoll descriptor has something.
 * Prints `listening HOST:PORT` when connections are accepted; SIGTERM ends it.
 */
#include "common/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16000
#define EXIT_USAGE 2

static char answer_text[] = "{\"status\": \"success\", \"offset\": 1234567}";
static struct MHD_Response *answer;
static int request_seen; /* its address marks a request whose headers have been read */

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **cls)
{
    (void)arg;
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    if (*cls == NULL) { /* the headers: an answer here would close the connection */
        *cls = &request_seen;
        return MHD_YES;
    }
    if (*data_size > 0) {
        *data_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, answer);
}

struct settings {
    const char *mode;
    int64_t threads;
    int64_t port;
};

static struct MHD_Daemon *start_daemon(const struct settings *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    bool internal = strcmp(s->mode, "internal") == 0;
    unsigned flags = internal ? MHD_USE_EPOLL_INTERNAL_THREAD : MHD_USE_EPOLL;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* A pool of one is refused: 0 means one thread. */
    unsigned pool = internal && s->threads > 1 ? (unsigned)s->threads : 0;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &address,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                            MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096U, MHD_OPTION_THREAD_POOL_SIZE,
                            pool, MHD_OPTION_END);
}

/* External mode. The daemon's epoll is edge-triggered and one MHD_run() reads a connection once:
 * what MHD_get_timeout() says counts. Ends with the process. */
static void *run_daemon(void *arg)
{
    struct MHD_Daemon *daemon = arg;
    int daemon_fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};

    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, daemon_fd, &event);
    for (;;) {
        MHD_UNSIGNED_LONG_LONG ms;
        MHD_run(daemon);
        int wait_ms = MHD_get_timeout(daemon, &ms) == MHD_YES && ms < 1000 ? (int)ms : 1000;
        epoll_wait(epoll_fd, &event, 1, wait_ms);
    }
    return NULL;
}

static enum options_result parse_options(struct settings *s, int argc, char **argv)
{
    const struct option_row rows[] = {
        {"mode", OPTION_CHOICE, &s->mode, "internal", 0, 0, 0, "internal|external", NULL,
         "libmicrohttpd's own threads, or one of ours that runs it", false},
        {"threads", OPTION_INT, &s->threads, NULL, 1, 1, 64, NULL, "threads",
         "with --mode internal", false},
        {"port", OPTION_INT, &s->port, NULL, 0, 0, 65535, NULL, NULL,
         "on 127.0.0.1; 0 picks a free one", false},
    };
    const struct options options = {
        .program = "bare",
        .version = MYQUEUE_VERSION,
        .summary = "Answers every HTTP request with a constant, for the bench to compare with.",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    return options_parse(&options, argc, argv, NULL);
}

static int complain(const char *what)
{
    fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
    return 1;
}

static int serve(const struct settings *s, int signal_fd)
{
    struct pollfd asked = {.fd = signal_fd, .events = POLLIN};
    pthread_t thread;

    answer =
        MHD_create_response_from_buffer(strlen(answer_text), answer_text, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon = answer != NULL ? start_daemon(s) : NULL;
    if (daemon == NULL || MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE,
                                                  "application/json") != MHD_YES) {
        return complain("cannot start");
    }
    if (strcmp(s->mode, "external") == 0 &&
        pthread_create(&thread, NULL, run_daemon, daemon) != 0) {
        return complain("cannot start a thread");
    }
    printf("listening 127.0.0.1:%u\n",
           (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (poll(&asked, 1, -1) < 0 && errno == EINTR) {
    }
    return 0; /* the process ends, and the threads with it */
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct rlimit files;
    sigset_t signals;

    enum options_result parsed = parse_options(&settings, argc, argv);
    if (parsed != OPTIONS_OK) {
        return parsed == OPTIONS_EXIT ? 0 : EXIT_USAGE;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0) {
        return complain("cannot block signals");
    }
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return signal_fd < 0 ? complain("cannot wait for signals") : serve(&settings, signal_fd);
}
