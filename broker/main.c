/*
 * main.c - options, start, wait for a signal, drain, stop.
 *
 * The order at the end matters: no new connections; who waits for messages is told; what
 * has been taken is committed and answered; only then do the threads end.
 */
#include "broker/api/api.h"
#include "broker/core/queue.h"
#include "broker/store/committer.h"
#include "broker/store/keeper.h"
#include "broker/store/readers.h"
#include "broker/store/stores.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/http.h"
#include "common/log.h"
#include "common/options.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define READER_THREADS 4
#define READS_WAITING_MAX 100000
#define BATCH_BYTES_MAX (8 * 1024 * 1024)
#define BATCH_WRITES_MAX 10000
#define RETRY_PAUSE_MS 100
#define SILENCE_MS 2000      /* of waiting for the store, before a line in the log says so */
#define STOP_STORE_MS 2000   /* at the end, for the store to answer what it was asked */
#define STOP_ANSWERS_MS 5000 /* and for the clients to take their answers */
#define EXIT_USAGE 2
#define SQLITE "sqlite:"

_Static_assert(HTTP_LOOPS_MAX <= QUEUE_LOOPS_MAX, "the queue stages for every loop");

struct settings {
    const char *listen;
    const char *store;
    const char *consumer_start;
    const char *log_level;
    const char *crash_at; /* a build with CRASH_POINTS=1 alone has it */
    const char *retention_unread;
    int64_t retention_bytes;
    int64_t retention_age_s;
    int64_t store_wait_s;
    int64_t store_timeout_s;
    int64_t message_bytes_max;
    int64_t tail_bytes;
    int64_t waiting_bytes_max;
    int64_t waiting_writes_max;
    int64_t buffers_bytes_max;
    int64_t topics_max;
    int64_t producers_max;
    int64_t consumers_max;
    int64_t polls_max;
    int64_t http_threads;
    int64_t connections_max;
    int64_t idle_timeout_s;
    int64_t request_timeout_s;
    char
        unknown_variables[400]; /* MYQUEUE_… that are no options, see options_unknown_variables() */
};

/* The parts of a running broker, in the order in which they are made. */
struct broker {
    struct settings settings;
    struct store *store;
    struct queue *queue;
    struct committer *committer;
    struct readers *readers;
    struct keeper *keeper;
    struct api api;
    struct budget budget;               /* of the queue and the HTTP server together */
    _Atomic(struct http_server *) http; /* the committer asks for it from the start */
    int signal_fd;
    int fenced_fd; /* an eventfd */
    bool serving;
    bool stopped_early; /* by a signal, while it waited for the store */
};

static enum options_result parse_options(struct settings *s, int argc, char **argv)
{
    const struct option_row rows[] = {
        {.name = "listen",
         .type = OPTION_TEXT,
         .value = &s->listen,
         .text = "127.0.0.1:5000",
         .unit = "HOST:PORT",
         .required = true,
         .help = "where to listen; port 0 picks a free one, which the log's first line names"},
        {.name = "store",
         .type = OPTION_TEXT,
         .value = &s->store,
         .text = "sqlite:myqueue.db",
         .unit = "URL",
         .required = true,
         .help = "where messages are kept: sqlite:PATH (a file), memory: (gone with the\n"
                 "broker) or postgres://USER@HOST:PORT/DATABASE"},
        {.name = "store-wait",
         .type = OPTION_INT,
         .value = &s->store_wait_s,
         .number = 30,
         .smallest = 0,
         .largest = 3600,
         .unit = "seconds",
         .help = "how long to try to reach the store at the start"},
        {.name = "store-timeout",
         .type = OPTION_INT,
         .value = &s->store_timeout_s,
         .number = 10,
         .smallest = 1,
         .largest = 300,
         .unit = "seconds",
         .help = "how long a request waits for a store that is away, before its 503"},
        {.name = "consumer-start",
         .type = OPTION_CHOICE,
         .value = &s->consumer_start,
         .text = "earliest",
         .choices = "earliest|latest",
         .help = "where a consumer begins that does not say so"},
        {.name = "retention-bytes",
         .type = OPTION_INT,
         .value = &s->retention_bytes,
         .number = 0,
         .smallest = 0,
         .largest = QUEUE_RETENTION_MAX,
         .unit = "bytes",
         .help = "what a topic keeps, the oldest messages go first, each counts 100 bytes more\n"
                 "than its text; 0: everything; a topic may have its own limits"},
        {.name = "retention-age",
         .type = OPTION_INT,
         .value = &s->retention_age_s,
         .number = 0,
         .smallest = 0,
         .largest = QUEUE_RETENTION_MAX,
         .unit = "seconds",
         .help = "how long a topic keeps a message, at least; 0: for ever"},
        {.name = "retention-unread",
         .type = OPTION_CHOICE,
         .value = &s->retention_unread,
         .text = "keep",
         .choices = "keep|remove",
         .help = "what a registered consumer still has to read: keep it beyond the limits, or\n"
                 "remove it all the same (the consumer gets offset_out_of_range)"},
        {.name = "message-bytes-max",
         .type = OPTION_INT,
         .value = &s->message_bytes_max,
         .number = 1024 * 1024,
         .smallest = 1,
         .largest = 64 * 1024 * 1024,
         .unit = "bytes",
         .help = "the largest message"},
        {.name = "tail-bytes",
         .type = OPTION_INT,
         .value = &s->tail_bytes,
         .number = 64 * 1024 * 1024,
         .smallest = 0,
         .largest = (int64_t)1 << 40,
         .unit = "bytes",
         .help = "memory for the newest messages of all topics; older ones come from the store"},
        {.name = "waiting-bytes-max",
         .type = OPTION_INT,
         .value = &s->waiting_bytes_max,
         .number = 256 * 1024 * 1024,
         .smallest = 1024 * 1024,
         .largest = (int64_t)1 << 40,
         .unit = "bytes",
         .help = "what may wait for a commit; beyond it requests get 503 overloaded"},
        {.name = "waiting-writes-max",
         .type = OPTION_INT,
         .value = &s->waiting_writes_max,
         .number = 100000,
         .smallest = 1,
         .largest = 100000000,
         .unit = "writes",
         .help = "the same, by count"},
        {.name = "buffers-bytes-max",
         .type = OPTION_INT,
         .value = &s->buffers_bytes_max,
         .number = 256 * 1024 * 1024,
         .smallest = 0,
         .largest = (int64_t)1 << 40,
         .unit = "bytes",
         .help = "memory for large requests and answers on their way; beyond it they get 503\n"
                 "overloaded. There is always room for two of the largest requests"},
        {.name = "topics-max",
         .type = OPTION_INT,
         .value = &s->topics_max,
         .number = 100000,
         .smallest = 1,
         .largest = 100000000,
         .unit = "topics",
         .help = "beyond it new ones get 429 too_many_topics"},
        {.name = "producers-max",
         .type = OPTION_INT,
         .value = &s->producers_max,
         .number = 1000000,
         .smallest = 1,
         .largest = 100000000,
         .unit = "producers",
         .help = "beyond it new ones get 429 too_many_producers"},
        {.name = "consumers-max",
         .type = OPTION_INT,
         .value = &s->consumers_max,
         .number = 1000000,
         .smallest = 1,
         .largest = 100000000,
         .unit = "consumers",
         .help = "beyond it new ones get 429 too_many_consumers"},
        {.name = "polls-max",
         .type = OPTION_INT,
         .value = &s->polls_max,
         .number = 10000,
         .smallest = 0,
         .largest = 1000000,
         .unit = "requests",
         .help = "consumes that wait for a message (wait_ms); beyond it they get 503 overloaded"},
        {.name = "http-threads",
         .type = OPTION_INT,
         .value = &s->http_threads,
         .number = 0,
         .smallest = 0,
         .largest = HTTP_LOOPS_MAX,
         .unit = "threads",
         .help = "loops that serve connections; 0: one for every four processors"},
        {.name = "connections-max",
         .type = OPTION_INT,
         .value = &s->connections_max,
         .number = 16000,
         .smallest = 1,
         .largest = 1000000,
         .unit = "connections",
         .help = "of all clients together; beyond it they get 503 too_many_connections. The limit\n"
                 "on open files counts as well"},
        {.name = "idle-timeout",
         .type = OPTION_INT,
         .value = &s->idle_timeout_s,
         .number = 75,
         .smallest = 1,
         .largest = 3600,
         .unit = "seconds",
         .help = "how long a connection may stay without a new request"},
        {.name = "request-timeout",
         .type = OPTION_INT,
         .value = &s->request_timeout_s,
         .number = 60,
         .smallest = 1,
         .largest = 3600,
         .unit = "seconds",
         .help = "how long a client may take to send a request, or to take its answer; then it is\n"
                 "cut off"},
        {.name = "log-level",
         .type = OPTION_CHOICE,
         .value = &s->log_level,
         .text = "info",
         .choices = "error|warn|info|debug",
         .help = "the least important lines to log"},
#ifdef CRASH_POINTS
        {.name = "crash-at",
         .type = OPTION_TEXT,
         .value = &s->crash_at,
         .unit = "STEP:HIT",
         .help = "for tests: kill this process when it passes STEP for the HIT-th time; list:\n"
                 "print the steps, a line each, with the stores that pass them and when"},
#endif
    };
    const struct options options = {
        .program = "myqueue-broker",
        .version = MYQUEUE_VERSION,
        .summary = "A durable logging queue over HTTP: a message is acknowledged when it is "
                   "committed.",
        .env_prefix = "MYQUEUE_",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    options_unknown_variables(&options, s->unknown_variables, sizeof s->unknown_variables);
    return options_parse(&options, argc, argv, NULL);
}

static void complain(const char *what, const char *why)
{
    fprintf(stderr, "myqueue-broker: %s%s%s\n", what, why != NULL ? ": " : "",
            why != NULL ? why : "");
}

/* ---- what others call ---------------------------------------------------------------------- */

static void wake_http(void *arg)
{
    struct broker *b = arg;
    struct http_server *http = atomic_load(&b->http);

    if (http != NULL) {
        http_server_wake(http);
    }
}

static void on_fenced(void *arg)
{
    struct broker *b = arg;
    uint64_t one = 1;
    ssize_t written = write(b->fenced_fd, &one, sizeof one);
    (void)written; /* a full counter is as good */
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Wait for `ms`, or less when a signal to stop comes; true when one has come. */
static bool stop_asked(struct broker *b, int ms)
{
    struct pollfd ready = {.fd = b->signal_fd, .events = POLLIN};

    return poll(&ready, 1, ms) > 0;
}

/* Connect and load, for as long as --store-wait says. NULL: it has been said why, or a signal
 * has come. */
static struct store_session *load(struct broker *b)
{
    const struct store_ops *ops = b->store->ops;
    struct store_session *session = ops->session_open(b->store);
    struct store_loader loader = queue_loader(b->queue);
    int64_t begin_ms = clock_now_ms();
    int64_t deadline_ms = begin_ms + b->settings.store_wait_s * 1000;
    char why[STORE_ERROR_BYTES_MAX] = "out of memory";
    enum status status = STATUS_NO_MEMORY;
    bool said = false;

    while (session != NULL) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        status = ops->revive(session,
                             left_ms > 2000  ? 2000
                             : left_ms > 200 ? (int)left_ms
                                             : 200,
                             why);
        if (status != STATUS_STORE_AWAY || clock_now_ms() >= deadline_ms) {
            break;
        }
        if (!said && clock_now_ms() - begin_ms > SILENCE_MS) {
            log_warn("waiting_for_store",
                     LOG_STR("listen", http_server_address(atomic_load(&b->http))),
                     LOG_STR("why", why), LOG_INT("store_wait_s", b->settings.store_wait_s));
            said = true;
        }
        if (stop_asked(b, RETRY_PAUSE_MS)) {
            b->stopped_early = true;
            ops->session_close(session);
            return NULL;
        }
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_CONNECTED);
        status = ops->load(session, &loader, why);
    }
    if (status != STATUS_OK) {
        complain("cannot use the store", why);
        ops->session_close(session);
        return NULL;
    }
    return session;
}

static bool open_store(struct broker *b)
{
    char why[STORE_ERROR_BYTES_MAX] = "";

    b->store = store_open(b->settings.store, (int)(b->settings.store_timeout_s * 1000), why);
    if (b->store == NULL) {
        complain("--store", why);
    }
    return b->store != NULL;
}

static bool start_store(struct broker *b)
{
    const struct settings *s = &b->settings;

    size_t body_bytes_max = api_body_bytes_max((size_t)s->message_bytes_max);
    size_t buffers_bytes_max = (size_t)s->buffers_bytes_max;
    budget_init(&b->budget,
                buffers_bytes_max > 2 * body_bytes_max ? buffers_bytes_max : 2 * body_bytes_max);
    b->queue = queue_create(&(struct queue_options){
        .tail_bytes_max = (size_t)s->tail_bytes,
        .store_timeout_ms = (int)(s->store_timeout_s * 1000),
        .start_latest = strcmp(s->consumer_start, "latest") == 0,
        .topics_max = (size_t)s->topics_max,
        .producers_max = (size_t)s->producers_max,
        .consumers_max = (size_t)s->consumers_max,
        .polls_max = (int)s->polls_max,
        .budget = &b->budget,
        .retention = {.bytes = s->retention_bytes,
                      .age_s = s->retention_age_s,
                      .unread = strcmp(s->retention_unread, "keep") == 0 ? RETENTION_KEEP_UNREAD
                                                                         : RETENTION_REMOVE_UNREAD},
        .wake = wake_http,
        .fenced = on_fenced,
        .arg = b,
    });
    if (b->queue == NULL) {
        complain("out of memory", NULL);
        return false;
    }
    struct store_session *session = load(b);
    if (session == NULL) {
        return false;
    }
    b->committer = committer_create(&(struct committer_options){
        .store = b->store,
        .session = session,
        .hooks = queue_hooks(b->queue),
        .waiting_bytes_max = (size_t)s->waiting_bytes_max,
        .waiting_count_max = (size_t)s->waiting_writes_max,
        .batch_bytes_max = BATCH_BYTES_MAX,
        .batch_count_max = BATCH_WRITES_MAX,
    });
    b->readers = readers_create(b->store, READER_THREADS, READS_WAITING_MAX);
    if (b->committer == NULL || b->readers == NULL) {
        complain("out of memory or threads", NULL);
        return false;
    }
    queue_connect(b->queue, &(struct store_queue){committer_submit, b->committer, readers_submit,
                                                  b->readers, b->store->ops->forgets_positions});
    CRASH_POINT(START_THREADS);
    b->keeper = keeper_create(b->store, queue_keep, b->queue);
    if (b->keeper == NULL) {
        complain("out of memory or threads", NULL);
        return false;
    }
    return true;
}

static int http_loops(const struct settings *s)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (s->http_threads > 0) {
        return (int)s->http_threads;
    }
    return processors < 8                    ? 1
           : processors / 4 > HTTP_LOOPS_MAX ? HTTP_LOOPS_MAX
                                             : (int)(processors / 4);
}

/* Before the store: a port in use must be told at once, and without having taken the log from
 * the broker that serves there. */
static bool bind_http(struct broker *b)
{
    char why[HTTP_ERROR_BYTES_MAX];
    struct http_server *http;

    if (!http_server_create(
            &(struct http_options){
                .listen = b->settings.listen,
                .loops = http_loops(&b->settings),
                .connections_max = (int)b->settings.connections_max,
                .idle_ms_max = b->settings.idle_timeout_s * 1000,
                .request_ms_max = b->settings.request_timeout_s * 1000,
                .budget = &b->budget,
                .body_bytes_max = api_body_bytes_max((size_t)b->settings.message_bytes_max),
                .handle = api_handle,
                .pass_end = api_pass_end,
                .arg = &b->api,
            },
            &http, why)) {
        complain(why, NULL);
        return false;
    }
    atomic_store(&b->http, http);
    CRASH_POINT(START_BOUND);
    return true;
}

/* The kind of store; and SQLite's file, since what it is by default depends on the folder. */
static const char *store_in_words(const struct broker *b, char words[PATH_MAX + sizeof SQLITE])
{
    const char *url = b->settings.store;

    if (strncmp(url, SQLITE, strlen(SQLITE)) != 0) {
        return b->store->ops->name; /* an address may hold a password */
    }
    memcpy(words, SQLITE, sizeof SQLITE);
    return realpath(url + strlen(SQLITE), words + strlen(SQLITE)) != NULL ? words : url;
}

static bool start_http(struct broker *b)
{
    char why[HTTP_ERROR_BYTES_MAX];
    char store[PATH_MAX + sizeof SQLITE];

    b->api = (struct api){b->queue, (size_t)b->settings.message_bytes_max, &b->budget};
    if (!http_server_start(atomic_load(&b->http), why)) {
        complain(why, NULL);
        return false;
    }
    b->serving = true;
    CRASH_POINT(START_SERVING);
    log_info("serving", LOG_STR("listen", http_server_address(atomic_load(&b->http))),
             LOG_STR("store", store_in_words(b, store)), LOG_STR("version", MYQUEUE_VERSION),
             LOG_INT("pid", getpid()));
    if (b->settings.unknown_variables[0] != '\0') {
        log_warn("unknown_variables", LOG_STR("names", b->settings.unknown_variables),
                 LOG_STR("why", "no option is set by them; --help names those there are"));
    }
    int connections_max = http_server_connections_max(atomic_load(&b->http));
    if (connections_max < b->settings.connections_max) {
        log_warn("connections_max_lowered", LOG_INT("connections_max", connections_max),
                 LOG_STR("why", "the limit on open files (ulimit -Hn) allows no more"));
    }
    return true;
}

/* ---- run and stop ------------------------------------------------------------------------------
 */

/* false: another broker has taken over. */
static bool wait_for_end(struct broker *b)
{
    struct pollfd ready[] = {{.fd = b->signal_fd, .events = POLLIN},
                             {.fd = b->fenced_fd, .events = POLLIN}};

    while (poll(ready, 2, -1) < 0 && errno == EINTR) {
    }
    if (ready[1].revents != 0) {
        return false;
    }
    struct signalfd_siginfo info = {0};
    ssize_t got = read(b->signal_fd, &info, sizeof info);
    log_info("stopping", LOG_STR("signal", got > 0 ? strsignal((int)info.ssi_signo) : "?"));
    return true;
}

/*
 * Every request is answered: what can be committed now is, and who waits for a store that is
 * away, or hangs, is told that (the outcome of a commit that hangs is unknown).
 */
static int drain(struct broker *b)
{
    struct http_server *http = atomic_load(&b->http);

    committer_hurry(b->committer);
    readers_hurry(b->readers);
    if (!http_server_drain(http, STOP_STORE_MS)) {
        if (b->store->ops->give_up != NULL) {
            b->store->ops->give_up(b->store);
        }
        http_server_drain(http, STOP_ANSWERS_MS);
    }
    return http_server_end(http);
}

static void stop(struct broker *b)
{
    struct http_server *http = atomic_load(&b->http);
    int cut_off = 0;

    if (b->serving) {
        http_server_quiesce(http);
        queue_shutdown(b->queue);
        cut_off = drain(b);
    }
    keeper_destroy(b->keeper); /* it gives writes to the committer */
    committer_destroy(b->committer);
    readers_destroy(b->readers);
    http_server_destroy(http);
    queue_destroy(b->queue);
    if (b->store != NULL) {
        b->store->ops->destroy(b->store);
    }
    if (b->serving) {
        log_info("stopped", LOG_INT("requests_cut_off", cut_off));
    }
}

/* Blocked before the first thread, so that no thread but this one gets them. */
static int block_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0) {
        return -1;
    }
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    struct broker b = {.signal_fd = -1, .fenced_fd = -1};
    enum log_level level;

    enum options_result parsed = parse_options(&b.settings, argc, argv);
    if (parsed != OPTIONS_OK) {
        return parsed == OPTIONS_EXIT ? 0 : EXIT_USAGE;
    }
    if (log_level_parse(b.settings.log_level, &level)) {
        log_set_level(level);
    }
#ifdef CRASH_POINTS
    char why[CRASH_ERROR_BYTES_MAX];
    if (b.settings.crash_at != NULL && strcmp(b.settings.crash_at, "list") == 0) {
        crashpoints_print();
        return 0;
    }
    if (!crashpoint_arm(b.settings.crash_at, why, sizeof why)) {
        complain("--crash-at", why);
        return EXIT_USAGE;
    }
#endif
    b.signal_fd = block_signals();
    b.fenced_fd = eventfd(0, EFD_CLOEXEC);
    if (b.signal_fd < 0 || b.fenced_fd < 0) {
        complain("cannot start", strerror(errno));
        return 1;
    }
    bool good =
        open_store(&b) && bind_http(&b) && start_store(&b) && start_http(&b) && wait_for_end(&b);
    bool fenced = b.serving && !good;
    stop(&b);
    if (fenced) {
        complain("another broker has taken over this log; stopped", NULL);
    }
    close(b.signal_fd);
    close(b.fenced_fd);
    return good || b.stopped_early ? 0 : 1;
}
