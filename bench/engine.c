/*
 * engine.c - workers, each with its share of the connections and an epoll of its own.
 *
 * Always: a driven connection is in flight (`owed` > 0), in `ready`, or done. Sockets are
 * watched edge-triggered: a read that fills its room is repeated, one that does not has
 * emptied the socket.
 *
 *   start          begin                          end
 *     |-- warm-up ---|--------- measured ----------|-- what is in flight is waited for --|
 *
 * An answer counts when it comes between begin and end; its latency counts also when it
 * comes later, so that a stall at the end is seen.
 */
#include "bench/engine.h"

#include "common/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define READ_BYTES_MIN 4096
#define ANSWER_BYTES_MAX (256 * 1024 * 1024)
#define DRAIN_MS 5000
#define SLEEP_NS_MAX 100000000 /* to look at `stop` */
#define NS_PER_MS 1000000

struct worker {
    struct load *load;
    int index;
    pthread_t thread;
    bool started;
    int epoll_fd;
    struct connection *connections; /* driven, then their listeners, then idle ones */
    int driven;
    int count;
    struct list ready; /* driven, waiting for their turn; open loop only */
    int live;          /* driven ones that are not done */
    int flying;        /* driven ones with a request under way */
    bool driving;      /* new requests are sent */
    int64_t begin_ns, end_ns, last_ns;
    double interval_ns, next_due_ns; /* open loop */
    struct histogram *latency;
    int64_t requests, messages, empty, errors;
    char error[LOAD_ERROR_BYTES_MAX];
};

/* What all workers of a run share. */
struct engine {
    struct load *load;
    struct worker *workers;
    pthread_barrier_t barrier; /* connected; then: started */
    int64_t start_ns;          /* set by the main thread between the two */
};

struct thread_start {
    struct engine *engine;
    struct worker *worker;
};

/* ---- a connection ------------------------------------------------------------------------ */

static void note_error(struct worker *w, const char *what, struct slice detail)
{
    w->errors++;
    if (w->error[0] == '\0') {
        int size = detail.size < 200 ? (int)detail.size : 200;
        snprintf(w->error, sizeof w->error, "%s%s%.*s", what, size > 0 ? ": " : "", size,
                 detail.size > 0 ? detail.data : "");
    }
}

static void connection_lose(struct connection *c, const char *why)
{
    struct worker *w = c->worker;

    note_error(w, why, (struct slice){NULL, 0});
    close(c->fd); /* epoll forgets it */
    c->fd = -1;
    struct connection *driven = c->listens ? c->partner : c;
    if (driven != NULL && !driven->done) {
        driven->done = true;
        w->live--;
        w->flying -= driven->owed > 0;
        driven->owed = 0;
        list_remove(&driven->node);
    }
}

/* false: the connection has been lost. */
static bool connection_write(struct connection *c)
{
    while (c->out.size > 0) {
        ssize_t sent = send(c->fd, c->out.data, c->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            return true; /* an event tells when there is room */
        }
        if (sent < 0) {
            connection_lose(c, strerror(errno));
            return false;
        }
        c->out.data += sent;
        c->out.size -= (size_t)sent;
    }
    return true;
}

bool connection_send(struct connection *c, struct slice bytes)
{
    return c->out.size == 0 &&
           send(c->fd, bytes.data, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes.size;
}

/* Send the next request, or find that there is none. */
static void connection_start(struct connection *c, int64_t intended_ns)
{
    struct slice request = {NULL, 0};

    if (c->messages_left > 0) {
        request = c->protocol->request(c);
    }
    if (!c->listens) {
        if (request.size == 0) {
            c->done = true;
            c->worker->live--;
            return;
        }
        c->owed = c->partner != NULL ? 2 : 1;
        c->worker->flying++;
    }
    c->intended_ns = intended_ns;
    c->out = request;
    connection_write(c);
}

/* ---- what has come ------------------------------------------------------------------------ */

static void count_answer(struct worker *w, int64_t intended_ns, int64_t messages, int64_t now_ns)
{
    if (now_ns < w->begin_ns) {
        return;
    }
    histogram_record(w->latency, now_ns - intended_ns);
    if (now_ns < w->end_ns) {
        w->requests++;
        w->messages += messages;
        w->last_ns = now_ns;
    }
}

/* One of the answers that a driven connection waits for is here. */
static void connection_settle(struct connection *c, int64_t now_ns)
{
    struct worker *w = c->worker;

    if (c->owed == 0 || --c->owed > 0) {
        return;
    }
    w->flying--;
    if (!w->driving || w->interval_ns > 0) {
        list_append(&w->ready, &c->node);
    } else {
        connection_start(c, now_ns);
    }
}

static void on_answer(struct connection *c, enum reply reply, const struct answer *answer,
                      int64_t now_ns)
{
    struct worker *w = c->worker;
    struct connection *measured = c->listens ? c->partner : c;

    if (reply == REPLY_FAILED) {
        note_error(w, "not a success", (struct slice){c->in.data, answer->used});
    } else if (reply == REPLY_OK && measured != NULL && (c->partner == NULL || c->listens)) {
        measured->messages_left -= answer->messages;
        count_answer(w, measured->intended_ns, answer->messages, now_ns);
    } else if (reply == REPLY_EMPTY && !c->listens) {
        w->empty++;
    }
    if (c->listens) {
        connection_start(c, now_ns);
    }
    if (measured != NULL && !measured->done && (reply != REPLY_EMPTY || !c->listens)) {
        connection_settle(measured, now_ns);
    }
}

static void take_answers(struct connection *c)
{
    while (c->in.size >= c->need && c->in.size > 0) {
        struct answer answer = {0, 0, 0};
        enum reply reply = c->protocol->answer(c, (struct slice){c->in.data, c->in.size}, &answer);
        if (reply == REPLY_MORE) {
            c->need = answer.need;
            return;
        }
        if (reply == REPLY_BROKEN) {
            note_error(c->worker, "not understood", (struct slice){c->in.data, c->in.size});
            connection_lose(c, "connection given up");
            return;
        }
        c->need = 0;
        if (reply != REPLY_ASIDE) {
            on_answer(c, reply, &answer, clock_now_ns());
        }
        c->in.size -= answer.used;
        memmove(c->in.data, c->in.data + answer.used, c->in.size + 1); /* and the NUL */
    }
}

static void connection_read(struct connection *c, bool until_closed)
{
    while (c->fd >= 0) {
        size_t wanted = c->need > c->in.size ? c->need - c->in.size : 1;
        if (wanted > ANSWER_BYTES_MAX || !buffer_reserve(&c->in, wanted + READ_BYTES_MIN)) {
            connection_lose(c, "an answer is too large");
            return;
        }
        size_t room = c->in.capacity - c->in.size - 1;
        ssize_t got = recv(c->fd, c->in.data + c->in.size, room, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            connection_lose(c, got == 0 ? "the server closed a connection" : strerror(errno));
            return;
        }
        c->in.size += (size_t)got;
        c->in.data[c->in.size] = '\0';
        take_answers(c);
        if ((size_t)got < room && !until_closed) {
            return;
        }
    }
}

/* ---- a worker ----------------------------------------------------------------------------- */

int load_dial(const struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    int one = 1;
    int fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&load->address, load->address_size) != 0) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "cannot connect to %.100s: %s", load->target,
                 strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

void load_append_message(const struct load *load, struct buffer *out)
{
    for (int i = 0; i < load->message_bytes; i++) {
        buffer_append_char(out, (char)('a' + i % 26));
    }
}

static bool connection_open(struct connection *c)
{
    struct worker *w = c->worker;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};

    c->fd = load_dial(w->load, w->error);
    if (c->fd < 0) {
        return false;
    }
    if (c->protocol->hello != NULL) {
        c->out = c->protocol->hello(c);
        if (!connection_write(c)) {
            return false;
        }
    }
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

static bool worker_connect(struct worker *w)
{
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < w->count; i++) {
        if (!connection_open(&w->connections[i])) {
            if (w->error[0] == '\0') {
                snprintf(w->error, sizeof w->error, "cannot connect: %s", strerror(errno));
            }
            w->errors++;
            return false;
        }
    }
    return true;
}

static void send_due(struct worker *w, int64_t now_ns)
{
    struct list *node;

    while ((double)now_ns >= w->next_due_ns && (node = list_pop(&w->ready)) != NULL) {
        connection_start(LIST_ENTRY(node, struct connection, node), (int64_t)w->next_due_ns);
        w->next_due_ns += w->interval_ns;
    }
}

static void worker_wait(struct worker *w, int64_t now_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t wait_ns = SLEEP_NS_MAX;

    if (w->driving && w->end_ns - now_ns < wait_ns) {
        wait_ns = w->end_ns - now_ns;
    }
    if (w->driving && w->interval_ns > 0 && !list_empty(&w->ready) &&
        (int64_t)w->next_due_ns - now_ns < wait_ns) {
        wait_ns = (int64_t)w->next_due_ns - now_ns;
    }
    struct timespec limit = {0, wait_ns > 0 ? wait_ns : 0};
    int ready = epoll_pwait2(w->epoll_fd, events, EVENTS_MAX, &limit, NULL);
    for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->fd >= 0 && c->out.size > 0 && (events[i].events & EPOLLOUT) != 0) {
            connection_write(c);
        }
        if (c->fd >= 0) {
            connection_read(c, (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
        }
    }
}

/* Listeners and idle ones first, so that they wait when the first message comes. */
static void worker_begin(struct worker *w, int64_t start_ns)
{
    const struct load *load = w->load;

    w->begin_ns = start_ns + load->warmup_ms * NS_PER_MS;
    w->end_ns = load->messages > 0 ? INT64_MAX : w->begin_ns + load->duration_ms * NS_PER_MS;
    w->last_ns = start_ns;
    w->driving = true;
    w->live = w->driven;
    if (load->rate > 0) {
        w->interval_ns = 1e9 * load->threads / (double)load->rate;
        w->next_due_ns = (double)start_ns + w->interval_ns * w->index / load->threads;
    }
    for (int i = w->driven; i < w->count; i++) {
        connection_start(&w->connections[i], start_ns);
    }
    for (int i = 0; i < w->driven; i++) {
        if (load->rate > 0) {
            list_append(&w->ready, &w->connections[i].node);
        } else {
            connection_start(&w->connections[i], start_ns);
        }
    }
}

static void worker_run(struct worker *w, int64_t start_ns)
{
    int64_t now_ns = clock_now_ns();

    worker_begin(w, start_ns);
    while (w->live > 0 && now_ns < w->end_ns && !atomic_load(&w->load->stop)) {
        if (w->interval_ns > 0) {
            send_due(w, now_ns);
        }
        worker_wait(w, now_ns);
        now_ns = clock_now_ns();
    }
    w->driving = false;
    if (w->end_ns > now_ns) {
        w->end_ns = now_ns;
    }
    int64_t limit_ns = now_ns + (int64_t)DRAIN_MS * NS_PER_MS;
    while (w->flying > 0 && now_ns < limit_ns) {
        worker_wait(w, now_ns);
        now_ns = clock_now_ns();
    }
    if (w->flying > 0) {
        note_error(w, "requests were never answered", (struct slice){NULL, 0});
        w->errors += w->flying - 1;
    }
}

static void *worker_main(void *arg)
{
    struct thread_start *start = arg;
    struct engine *engine = start->engine;
    struct worker *w = start->worker;
    free(start);

    prctl(PR_SET_TIMERSLACK, 1UL);
    bool good = worker_connect(w);
    pthread_barrier_wait(&engine->barrier); /* all are connected */
    pthread_barrier_wait(&engine->barrier); /* the start is set */
    if (good) {
        worker_run(w, engine->start_ns);
    }
    return NULL;
}

/* ---- a run -------------------------------------------------------------------------------- */

static int share(int total, int parts, int index)
{
    return total / parts + (index < total % parts);
}

static void connection_init(struct connection *c, struct worker *w, const struct protocol *protocol,
                            int index, bool listens)
{
    c->protocol = protocol;
    c->load = w->load;
    c->worker = w;
    c->index = index;
    c->fd = -1;
    c->listens = listens;
    c->messages_left = INT64_MAX;
    list_init(&c->node);
}

/* What the k-th of all connections has to do of `messages`. */
static int64_t messages_of(const struct load *load, int index)
{
    return load->messages / load->connections + (index < load->messages % load->connections);
}

/* Connections are dealt out like cards: worker w has the numbers w, w + threads, … */
static bool worker_init(struct worker *w, struct load *load, int index)
{
    const struct protocol *listener = load->protocol->listener;
    int idle = share(load->idle, load->threads, index);

    w->load = load;
    w->index = index;
    w->epoll_fd = -1;
    list_init(&w->ready);
    w->driven = share(load->connections, load->threads, index);
    w->count = w->driven * (listener != NULL ? 2 : 1) + idle;
    w->connections = calloc((size_t)w->count + 1, sizeof *w->connections);
    w->latency = calloc(1, sizeof *w->latency);
    if (w->connections == NULL || w->latency == NULL) {
        return false;
    }
    int at = 0;
    for (; at < w->driven; at++) {
        struct connection *c = &w->connections[at];
        connection_init(c, w, load->protocol, index + at * load->threads, false);
        if (load->messages > 0) {
            c->messages_left = messages_of(load, c->index);
        }
    }
    for (int i = 0; listener != NULL && i < w->driven; i++, at++) {
        connection_init(&w->connections[at], w, listener, w->connections[i].index, true);
        w->connections[at].partner = &w->connections[i];
        w->connections[i].partner = &w->connections[at];
    }
    for (int i = 0; i < idle; i++, at++) {
        connection_init(&w->connections[at], w, load->protocol->idle, index + i * load->threads,
                        true);
    }
    return true;
}

static void worker_release(struct worker *w)
{
    for (int i = 0; w->connections != NULL && i < w->count; i++) {
        struct connection *c = &w->connections[i];
        if (c->fd >= 0) {
            close(c->fd);
        }
        if (c->protocol->close != NULL) {
            c->protocol->close(c);
        }
        buffer_release(&c->request);
        buffer_release(&c->in);
    }
    if (w->epoll_fd >= 0) {
        close(w->epoll_fd);
    }
    free(w->connections);
    free(w->latency);
}

static bool engine_start(struct engine *engine)
{
    for (int i = 0; i < engine->load->threads; i++) {
        struct worker *w = &engine->workers[i];
        struct thread_start *start = malloc(sizeof *start);
        if (start == NULL || !worker_init(w, engine->load, i)) {
            free(start);
            return false;
        }
        *start = (struct thread_start){engine, w};
        w->started = pthread_create(&w->thread, NULL, worker_main, start) == 0;
        if (!w->started) {
            free(start);
            return false;
        }
    }
    return true;
}

static void gather(struct engine *engine, struct outcome *outcome)
{
    for (int i = 0; i < engine->load->threads; i++) {
        const struct worker *w = &engine->workers[i];
        double duration_s =
            (double)((engine->load->messages > 0 ? w->last_ns : w->end_ns) - w->begin_ns) / 1e9;
        histogram_add(outcome->latency, w->latency);
        outcome->requests += w->requests;
        outcome->messages += w->messages;
        outcome->empty += w->empty;
        outcome->errors += w->errors;
        if (duration_s > outcome->duration_s) {
            outcome->duration_s = duration_s;
        }
        if (outcome->error[0] == '\0') {
            memcpy(outcome->error, w->error, sizeof outcome->error);
        }
    }
}

bool engine_run(struct load *load, struct outcome *outcome)
{
    struct engine engine = {.load = load};

    *outcome = (struct outcome){.latency = calloc(1, sizeof *outcome->latency)};
    engine.workers = calloc((size_t)load->threads, sizeof *engine.workers);
    if (engine.workers == NULL || outcome->latency == NULL ||
        pthread_barrier_init(&engine.barrier, NULL, (unsigned)load->threads + 1) != 0 ||
        !engine_start(&engine)) {
        /* Started workers wait at the barrier for ever; the process ends with this. */
        snprintf(outcome->error, sizeof outcome->error, "out of memory or threads");
        return false;
    }
    pthread_barrier_wait(&engine.barrier);
    engine.start_ns = clock_now_ns();
    pthread_barrier_wait(&engine.barrier);
    for (int i = 0; i < load->threads; i++) {
        pthread_join(engine.workers[i].thread, NULL);
    }
    gather(&engine, outcome);
    for (int i = 0; i < load->threads; i++) {
        worker_release(&engine.workers[i]);
    }
    pthread_barrier_destroy(&engine.barrier);
    free(engine.workers);
    return true;
}

void outcome_release(struct outcome *outcome)
{
    free(outcome->latency);
    outcome->latency = NULL;
}
