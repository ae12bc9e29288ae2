/*
 * http.c - libmicrohttpd in external mode inside loops of our own.
 *
 * Always: a request's fields are touched by its loop's thread alone, but for `posted` and
 * `posted_next`: posts come from any thread, onto a stack without locks (push: compare and
 * swap; the loop takes the whole stack at once), and an eventfd is written only for a loop
 * that says it sleeps. libmicrohttpd calls on_request() again and again for a
 * request that has no answer yet; once `response` is set, that call queues it.
 *
 * What breaks without care:
 * - libmicrohttpd's own epoll is edge-triggered and one MHD_run() reads a connection once,
 *   so there may be more to do without any new event. MHD_get_timeout() tells (0), but it
 *   says 0 as well for as long as any request waits in the loop. So: while none waits,
 *   what it says counts; while some wait, the loop sleeps when two passes in a row made no
 *   progress (after one, the last write of an answer may still be pending), and for
 *   WAITING_SLEEP_MS at most, since progress within headers cannot be seen from outside.
 * - MHD_stop_daemon() with a suspended connection aborts: http_server_drain() lets all
 *   parked requests end first, and http_server_destroy() resumes the rest.
 * - Answering in the first callback closes the connection, so that waits for the end
 *   of the body.
 * - Its own limits do not hold: beyond its number of connections it says nothing to anybody,
 *   each byte starts its idle timer anew, and a suspended connection does not notice that its
 *   client has left. So connections come through a door of ours (http_door.h), each has a
 *   deadline (struct peer), and our epoll tells when the client of a parked request closes.
 */
#include "common/http.h"

#include "common/clock.h"
#include "common/http_door.h"
#include "common/list.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMER_TICK_MS 8
#define TIMER_SLOTS 4096 /* x TIMER_TICK_MS must exceed HTTP_PARK_MS_MAX */
#define SWEEP_MS 1000    /* how often deadlines of connections are looked at */
#define NEVER INT64_MAX
#define WAITING_SLEEP_MS 1
#define LISTEN_BACKLOG 4096
#define EVENTS_MAX 64
#define BUSY_PASSES_MAX 16 /* then who is at the door gets in, however busy we are */
#define FILES_OF_OTHERS 64 /* descriptors that the rest of the program needs */
#define FILES_OF_LOOP (8 + HTTP_DOOR_TURNED_AWAY_MAX)
#define PARAMETERS_BYTES 1024

enum request_state {
    REQUEST_READING,
    REQUEST_RUNNING,
    REQUEST_WAITING,
    REQUEST_PARKED,
    REQUEST_ANSWERED
};

/* A connection. */
struct peer {
    struct list node; /* in its loop's peers */
    int fd;
    struct http_request *request; /* being read, under way, or being answered; else NULL */
    int64_t deadline_ms;          /* of its client; NEVER: it is our turn */
    bool watched;                 /* our epoll tells when the client closes its side */
    bool left;                    /* it has */
};

struct form_field {
    struct list node;
    struct buffer value;
    char name[64];
};

struct http_request {
    struct http_loop *loop;
    struct MHD_Connection *connection; /* NULL once the client is gone */
    struct peer *peer;                 /* as long as there is a connection */
    enum request_state state;
    const char *method;
    struct buffer path;
    struct buffer body;
    bool too_large;
    bool no_room;
    size_t charged; /* to the server's budget */
    bool timed_out;
    bool form_parsed;
    struct list form_fields;
    http_resume *resume;
    struct MHD_Response *response; /* set when answered, until it is queued */
    int http_status;
    struct list timer;  /* in a slot of the loop's wheel while parked */
    atomic_bool posted; /* to be resumed; the loop has not done it yet */
    struct http_request *posted_next;
    int64_t deadline_ms;
    void *handler_state;
    void (*handler_release)(void *);
};

struct http_loop {
    struct http_server *server;
    int index;
    pthread_t thread;
    bool running; /* there is a thread to join */
    struct MHD_Daemon *daemon;
    struct http_door *door; /* NULL once quiesced */
    int epoll_fd;
    int wake_fd;
    int64_t now_ms;      /* at the begin of this pass */
    int64_t sweep_at_ms; /* when to look at the deadlines again */
    struct list peers;
    int busy_passes; /* since it last looked at its epoll */
    int progress;    /* what the last pass over the daemon moved */
    int handled;     /* requests between the handler's call and their end */
    int waiting;     /* of these, in http_request_wait() with their client still there */
    int64_t tick;    /* the wheel's hand, in units of TIMER_TICK_MS */
    int timers;      /* how many requests are in the wheel */
    struct list wheel[TIMER_SLOTS];

    /* any thread: */
    _Atomic(struct http_request *) posted; /* newest first, by posted_next */
    atomic_bool wake_needed;               /* something was posted since the last wake */
    atomic_bool asleep;                    /* in epoll_wait(), or just about to be */
};

struct http_server {
    struct http_options options;
    char address[300];
    int listen_fd; /* bound; each loop listens on a copy */
    atomic_int connections;
    int ended_fd;          /* an eventfd: how many loops have ended */
    int ended;             /* of these, seen by http_server_drain() */
    atomic_int loop_count; /* of those in `loops` */
    struct http_loop *loops[HTTP_LOOPS_MAX];
    atomic_bool quiesce;
    atomic_bool stop;
    atomic_bool cut_off_now; /* stop, whatever is under way */
    atomic_int cut_off;
};

/* ---- requests ---------------------------------------------------------------------- */

static void request_destroy(struct http_request *r)
{
    if (r->handler_release != NULL) {
        r->handler_release(r->handler_state);
    }
    if (r->response != NULL) {
        MHD_destroy_response(r->response);
    }
    LIST_FOREACH(node, &r->form_fields) {
        struct form_field *field = LIST_ENTRY(node, struct form_field, node);
        buffer_release(&field->value);
        free(field);
    }
    buffer_release(&r->path);
    buffer_release(&r->body);
    budget_give(r->loop->server->options.budget, r->charged);
    free(r);
}

/* The body has `bytes` now: false when there is no room for that. */
static bool charge_body(struct http_request *r, size_t bytes)
{
    size_t due = budget_due(bytes);

    if (due > r->charged) {
        if (!budget_take(r->loop->server->options.budget, due - r->charged)) {
            return false;
        }
        r->charged = due;
    }
    return true;
}

/* An answer has been made: it counts, room or not. */
static void charge_answer(struct http_request *r, size_t bytes)
{
    size_t due = budget_due(bytes);

    if (due > 0) {
        budget_force(r->loop->server->options.budget, due);
        r->charged += due;
    }
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* libmicrohttpd has the raw URI only here; what is returned comes back as `*cls`. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct peer *peer = peer_of(connection);
    struct http_request *r = peer == NULL ? NULL : calloc(1, sizeof *r);

    if (r == NULL) {
        return NULL; /* on_request() then closes the connection */
    }
    r->loop = arg;
    r->connection = connection;
    r->peer = peer;
    peer->request = r;
    peer->deadline_ms = r->loop->now_ms + r->loop->server->options.request_ms_max;
    list_init(&r->form_fields);
    list_init(&r->timer);
    r->loop->progress++;
    /* The library decodes %00 and so cuts the path there: such a path is kept as it was
     * sent, which no route matches. */
    const char *query = strchr(uri, '?');
    size_t size = query != NULL ? (size_t)(query - uri) : strlen(uri);
    if (memmem(uri, size, "%00", 3) != NULL) {
        buffer_append(&r->path, uri, size);
    }
    return r;
}

static void take_body(struct http_request *r, const char *data, size_t size)
{
    size_t limit = r->loop->server->options.body_bytes_max;

    r->too_large = r->too_large || size > limit - r->body.size;
    r->no_room = r->no_room || (!r->too_large && !charge_body(r, r->body.size + size));
    if (r->too_large || r->no_room) { /* read on to the end, so that the answer can be read */
        buffer_release(&r->body);
        budget_give(r->loop->server->options.budget, r->charged);
        r->charged = 0;
        return;
    }
    buffer_append(&r->body, data, size);
}

static enum MHD_Result queue_answer(struct http_request *r)
{
    enum MHD_Result result =
        MHD_queue_response(r->connection, (unsigned)r->http_status, r->response);

    MHD_destroy_response(r->response); /* the daemon keeps its own reference */
    r->response = NULL;
    r->loop->progress++;
    return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **cls)
{
    struct http_loop *loop = arg;
    struct http_request *r = *cls;
    (void)connection;
    (void)version;

    if (r == NULL) {
        return MHD_NO;
    }
    if (r->method == NULL) { /* the headers; an answer must wait for the body's end */
        r->method = method;
        if (r->path.size == 0) {
            buffer_append_string(&r->path, url);
        }
        loop->progress++;
        return r->path.failed ? MHD_NO : MHD_YES;
    }
    if (*data_size > 0) {
        take_body(r, data, *data_size);
        *data_size = 0;
        loop->progress++;
        return r->body.failed ? MHD_NO : MHD_YES;
    }
    if (r->state == REQUEST_READING) {
        r->state = REQUEST_RUNNING;
        r->peer->deadline_ms = NEVER;
        loop->handled++;
        loop->progress++;
        loop->server->options.handle(r, loop->server->options.arg);
    }
    return r->response != NULL ? queue_answer(r) : MHD_YES;
}

/* The answer is out, or the client is gone. */
static void on_completed(void *arg, struct MHD_Connection *connection, void **cls,
                         enum MHD_RequestTerminationCode code)
{
    struct http_loop *loop = arg;
    struct http_request *r = *cls;
    (void)connection;
    (void)code;

    if (r == NULL) {
        return;
    }
    *cls = NULL;
    loop->progress++;
    r->peer->request = NULL;
    r->peer->deadline_ms = loop->now_ms + loop->server->options.idle_ms_max;
    r->peer = NULL;
    r->connection = NULL;
    if (r->state == REQUEST_WAITING || r->state == REQUEST_PARKED) {
        loop->waiting -= r->state == REQUEST_WAITING;
        return; /* somebody will post it: it ends then */
    }
    if (r->state != REQUEST_READING) {
        loop->handled--;
    }
    request_destroy(r);
}

struct slice http_request_method(const struct http_request *r)
{
    return slice_of(r->method);
}

struct slice http_request_path(const struct http_request *r)
{
    return buffer_slice(&r->path);
}

struct slice http_request_body(const struct http_request *r)
{
    return buffer_slice(&r->body);
}

bool http_request_too_large(const struct http_request *r)
{
    return r->too_large;
}

bool http_request_no_room(const struct http_request *r)
{
    return r->no_room;
}

int http_request_loop(const struct http_request *r)
{
    return r->loop->index;
}

bool http_request_query(struct http_request *r, const char *name, struct slice *out)
{
    const char *value = NULL;
    size_t size = 0;

    if (r->connection == NULL ||
        MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &size) != MHD_YES) {
        return false;
    }
    *out = (struct slice){value != NULL ? value : "", size};
    return true;
}

bool http_request_is_form(struct http_request *r)
{
    const char *type = r->connection == NULL
                           ? NULL
                           : MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                                         MHD_HTTP_HEADER_CONTENT_TYPE);

    return type != NULL && (strncasecmp(type, MHD_HTTP_POST_ENCODING_FORM_URLENCODED,
                                        strlen(MHD_HTTP_POST_ENCODING_FORM_URLENCODED)) == 0 ||
                            strncasecmp(type, MHD_HTTP_POST_ENCODING_MULTIPART_FORMDATA,
                                        strlen(MHD_HTTP_POST_ENCODING_MULTIPART_FORMDATA)) == 0);
}

static enum MHD_Result on_form_field(void *arg, enum MHD_ValueKind kind, const char *key,
                                     const char *filename, const char *content_type,
                                     const char *transfer_encoding, const char *data,
                                     uint64_t offset, size_t size)
{
    struct http_request *r = arg;
    struct form_field *field = NULL;
    (void)kind;
    (void)filename;
    (void)content_type;
    (void)transfer_encoding;

    if (offset > 0 && !list_empty(&r->form_fields)) { /* the value goes on */
        field = LIST_ENTRY(r->form_fields.previous, struct form_field, node);
    } else {
        field = calloc(1, sizeof *field);
        if (field == NULL || key == NULL || strlen(key) >= sizeof field->name) {
            free(field);
            return key == NULL ? MHD_YES : MHD_NO;
        }
        memcpy(field->name, key, strlen(key) + 1);
        list_append(&r->form_fields, &field->node);
    }
    buffer_append(&field->value, data, size);
    return field->value.failed ? MHD_NO : MHD_YES;
}

static void parse_form(struct http_request *r)
{
    r->form_parsed = true;
    if (r->body.size == 0 || r->connection == NULL) {
        return;
    }
    /* NULL when the content type is no form's */
    struct MHD_PostProcessor *processor =
        MHD_create_post_processor(r->connection, PARAMETERS_BYTES, on_form_field, r);
    if (processor != NULL) {
        MHD_post_process(processor, r->body.data, r->body.size);
        MHD_destroy_post_processor(processor);
    }
}

bool http_request_form(struct http_request *r, const char *name, struct slice *out)
{
    if (!r->form_parsed) {
        parse_form(r);
    }
    LIST_FOREACH(node, &r->form_fields) {
        struct form_field *field = LIST_ENTRY(node, struct form_field, node);
        if (strcmp(field->name, name) == 0) {
            *out = field->value.size > 0 ? buffer_slice(&field->value) : slice_of("");
            return true;
        }
    }
    return false;
}

void http_request_set_state(struct http_request *r, void *state, void (*release)(void *))
{
    r->handler_state = state;
    r->handler_release = release;
}

void *http_request_state(const struct http_request *r)
{
    return r->handler_state;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    enum MHD_Result added = MHD_add_response_header(response, name, value);
    (void)added; /* out of memory only: the answer goes out without it */
}

void http_request_answer(struct http_request *r, int http_status, struct buffer *body,
                         const char *allow)
{
    assert(r->state == REQUEST_RUNNING);
    r->state = REQUEST_ANSWERED;
    r->http_status = body->failed ? 503 : http_status;
    if (r->peer != NULL) {
        r->peer->deadline_ms = r->loop->now_ms + r->loop->server->options.request_ms_max;
    }
    charge_answer(r, body->size);
    r->response = MHD_create_response_from_buffer(body->failed ? 0 : body->size, body->data,
                                                  MHD_RESPMEM_MUST_FREE);
    if (r->response == NULL) {
        buffer_release(body);
        if (r->peer != NULL) {
            r->peer->deadline_ms = 0; /* the next sweep closes the connection */
        }
        return;
    }
    buffer_init(body);
    add_header(r->response, "Content-Type", "application/json");
    if (allow != NULL) {
        add_header(r->response, "Allow", allow);
    }
    if (http_status == 503 || http_status == 429) {
        add_header(r->response, "Retry-After", http_status == 503 ? "1" : "60");
    }
    if (atomic_load(&r->loop->server->quiesce)) {
        add_header(r->response, "Connection", "close");
    }
}

void http_request_wait(struct http_request *r, http_resume *resume)
{
    assert(r->state == REQUEST_RUNNING);
    r->state = REQUEST_WAITING;
    r->resume = resume;
    r->loop->waiting += r->connection != NULL;
}

/* Have our epoll tell when the client closes its side: nobody else looks while the connection
 * is suspended. It stays watched. */
static void watch_peer(struct http_loop *loop, struct peer *peer)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = peer};

    if (!peer->watched) {
        peer->watched = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) == 0;
    }
}

void http_request_park(struct http_request *r, int64_t wait_ms, http_resume *resume)
{
    struct http_loop *loop = r->loop;

    assert(r->state == REQUEST_RUNNING && wait_ms <= HTTP_PARK_MS_MAX);
    r->state = REQUEST_PARKED;
    r->resume = resume;
    r->timed_out = false;
    bool nobody_waits = r->peer == NULL || r->peer->left;
    r->deadline_ms = clock_now_ms() + (nobody_waits ? 0 : wait_ms);
    if (loop->timers == 0) {
        loop->tick = clock_now_ms() / TIMER_TICK_MS;
    }
    int64_t tick = r->deadline_ms / TIMER_TICK_MS + 1;
    list_append(&loop->wheel[tick % TIMER_SLOTS], &r->timer);
    loop->timers++;
    if (r->connection != NULL) {
        MHD_suspend_connection(r->connection);
        watch_peer(loop, r->peer);
    }
}

bool http_request_timed_out(const struct http_request *r)
{
    return r->timed_out;
}

void http_request_post(struct http_request *r)
{
    struct http_loop *loop = r->loop; /* `r` may be gone once it is on the stack */
    struct http_request *newest = atomic_load(&loop->posted);

    atomic_store(&r->posted, true);
    do {
        r->posted_next = newest;
    } while (!atomic_compare_exchange_weak(&loop->posted, &newest, r));
    atomic_store(&loop->wake_needed, true);
}

/* ---- the loop ---------------------------------------------------------------------- */

static void loop_resume(struct http_loop *loop, struct http_request *r)
{
    if (r->state == REQUEST_PARKED) {
        list_remove(&r->timer);
        loop->timers--;
        if (r->connection != NULL) {
            MHD_resume_connection(r->connection);
        }
    } else {
        loop->waiting -= r->connection != NULL;
    }
    r->state = REQUEST_RUNNING;
    loop->progress++;
    r->resume(r);
    if (r->connection == NULL && r->state == REQUEST_ANSWERED) {
        loop->handled--; /* the client left while it waited */
        request_destroy(r);
    }
}

/* In the order in which they were posted. */
static struct http_request *take_posted(struct http_loop *loop)
{
    struct http_request *oldest = NULL;
    struct http_request *r = atomic_exchange(&loop->posted, NULL);

    while (r != NULL) {
        struct http_request *next = r->posted_next;
        r->posted_next = oldest;
        oldest = r;
        r = next;
    }
    return oldest;
}

static void loop_run_posted(struct http_loop *loop)
{
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL) {
        return;
    }
    for (struct http_request *r = take_posted(loop), *next; r != NULL; r = next) {
        next = r->posted_next;
        atomic_store(&r->posted, false);
        r->timed_out = false;
        loop_resume(loop, r);
    }
}

static void loop_run_timers(struct http_loop *loop)
{
    int64_t now_ms = loop->now_ms;

    if (loop->timers == 0) {
        return;
    }
    for (; loop->tick <= now_ms / TIMER_TICK_MS; loop->tick++) {
        LIST_FOREACH(node, &loop->wheel[loop->tick % TIMER_SLOTS]) {
            struct http_request *r = LIST_ENTRY(node, struct http_request, timer);
            /* posted meanwhile: then the post counts */
            if (r->deadline_ms <= now_ms && !atomic_load(&r->posted)) {
                r->timed_out = true;
                loop_resume(loop, r);
            }
        }
    }
}

static void on_peer_left(struct http_loop *loop, struct peer *peer)
{
    struct http_request *r = peer->request;

    peer->left = true;
    if (r != NULL && r->state == REQUEST_PARKED && !atomic_load(&r->posted)) {
        r->timed_out = true;
        loop_resume(loop, r);
    }
}

/*
 * The client has taken too long. Nothing has been answered to a request that is still being
 * read, so there is room in the stream for a last word; where an answer is being sent there is
 * none, and what the client has not taken is dropped, here and in the kernel.
 */
static void cut_off(struct peer *peer)
{
    char answer[HTTP_CLOSING_ANSWER_BYTES_MAX];
    struct linger drop = {.l_onoff = 1, .l_linger = 0};

    if (peer->request != NULL && peer->request->state == REQUEST_READING) {
        int size = http_closing_answer(STATUS_REQUEST_TIMEOUT, answer);
        ssize_t sent = send(peer->fd, answer, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent; /* who does not take it does not get it */
    } else if (peer->request != NULL) {
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    }
    peer->deadline_ms = NEVER;
    shutdown(peer->fd, SHUT_RDWR); /* libmicrohttpd sees that, and closes it */
}

static void loop_sweep(struct http_loop *loop)
{
    if (loop->now_ms < loop->sweep_at_ms) {
        return;
    }
    loop->sweep_at_ms = loop->now_ms + SWEEP_MS;
    LIST_FOREACH(node, &loop->peers) {
        struct peer *peer = LIST_ENTRY(node, struct peer, node);
        if (peer->deadline_ms <= loop->now_ms) {
            cut_off(peer);
        }
    }
    if (loop->door != NULL) {
        http_door_sweep(loop->door, loop->now_ms);
    }
}

/* libmicrohttpd has taken a connection, or is about to close it. */
static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_loop *loop = arg;
    struct peer *peer = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (peer != NULL) {
            list_remove(&peer->node);
            free(peer);
        }
        atomic_fetch_sub(&loop->server->connections, 1);
        return;
    }
    peer = calloc(1, sizeof *peer);
    *socket_context = peer; /* NULL: on_uri() will refuse what comes */
    if (peer != NULL) {
        peer->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        peer->deadline_ms = loop->now_ms + loop->server->options.idle_ms_max;
        list_append(&loop->peers, &peer->node);
    }
}

static void loop_accept(struct http_loop *loop)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC}; /* who it is is of no use to us */
    int fd;

    while (loop->door != NULL && (fd = http_door_accept(loop->door)) >= 0) {
        if (MHD_add_connection(loop->daemon, fd, &nobody, sizeof nobody) != MHD_YES) {
            atomic_fetch_sub(&loop->server->connections, 1); /* it has closed it */
        }
    }
}

static void loop_quiesce(struct http_loop *loop)
{
    http_door_close(loop->door);
    loop->door = NULL;
}

static void loop_run_daemon(struct http_loop *loop)
{
    loop->progress = 0;
    MHD_run(loop->daemon);
    if (loop->server->options.pass_end != NULL) {
        loop->server->options.pass_end(loop->index, loop->server->options.arg);
    }
}

/* Until libmicrohttpd or the next parked request wants to be looked at. */
static int sleep_ms(const struct http_loop *loop)
{
    MHD_UNSIGNED_LONG_LONG daemon_ms;
    int limit_ms = SWEEP_MS;

    if (loop->waiting > 0) {
        limit_ms = WAITING_SLEEP_MS;
    } else if (MHD_get_timeout(loop->daemon, &daemon_ms) == MHD_YES && daemon_ms < SWEEP_MS) {
        limit_ms = (int)daemon_ms;
    }
    int ms = 0;
    for (int64_t tick = loop->tick; loop->timers > 0 && ms < limit_ms; tick++) {
        if (!list_empty(&loop->wheel[tick % TIMER_SLOTS])) {
            return ms;
        }
        ms += TIMER_TICK_MS;
    }
    return limit_ms;
}

/* See what has happened meanwhile; wait for it, for `limit_ms`. */
static void loop_look(struct http_loop *loop, int limit_ms)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t count;

    /* First say so, then look: who posts does it the other way round. */
    atomic_store(&loop->asleep, true);
    int ready = epoll_wait(loop->epoll_fd, events, EVENTS_MAX,
                           atomic_load(&loop->posted) != NULL ? 0 : limit_ms);
    atomic_store(&loop->asleep, false);
    for (int i = 0; i < ready; i++) {
        if (events[i].data.ptr == &loop->wake_fd) {
            ssize_t got = read(loop->wake_fd, &count, sizeof count);
            (void)got; /* it only resets the counter */
        } else if (events[i].data.ptr == loop->door) {
            loop_accept(loop);
        } else if (events[i].data.ptr != &loop->daemon) {
            on_peer_left(loop, events[i].data.ptr);
        }
    }
    loop->busy_passes = 0;
}

/* To an eventfd. */
static void add_one(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    (void)written; /* a full counter is as good */
}

static bool loop_may_stop(const struct http_loop *loop)
{
    struct http_server *server = loop->server;

    return atomic_load(&server->stop) && (loop->handled == 0 || atomic_load(&server->cut_off_now));
}

static void *loop_main(void *arg)
{
    struct http_loop *loop = arg;
    int idle = 0;
    char name[16];

    snprintf(name, sizeof name, "http-%d", loop->index);
    pthread_setname_np(pthread_self(), name);
    while (!loop_may_stop(loop)) {
        if (atomic_load(&loop->server->quiesce)) {
            loop_quiesce(loop);
        }
        loop->now_ms = clock_now_ms();
        loop_run_posted(loop);
        loop_run_timers(loop);
        loop_sweep(loop);
        loop_run_daemon(loop);
        idle = loop->progress == 0 ? idle + 1 : 0;
        if (idle == 2) { /* see the file's head for why two */
            loop_look(loop, sleep_ms(loop));
            idle = 0;
        } else if (++loop->busy_passes == BUSY_PASSES_MAX) {
            loop_look(loop, 0);
        }
    }
    atomic_fetch_add(&loop->server->cut_off, loop->handled);
    add_one(loop->server->ended_fd);
    return NULL;
}

/* ---- the server -------------------------------------------------------------------- */

/* "HOST:PORT" or "[HOST]:PORT" in two. */
static bool split_address(const char *address, char host[256], char port[16])
{
    const char *colon = strrchr(address, ':');

    if (colon == NULL || colon == address || strlen(colon + 1) == 0 || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtol(colon + 1, NULL, 10) > 65535) {
        return false;
    }
    size_t size = (size_t)(colon - address);
    if (address[0] == '[' && address[size - 1] == ']') {
        address++;
        size -= 2;
    } else if (memchr(address, ':', size) != NULL) {
        return false; /* an IPv6 address wants its brackets */
    }
    if (size == 0 || size >= 256) {
        return false;
    }
    memcpy(host, address, size);
    host[size] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static int bind_one(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* A bound socket, or -1 with `error` filled. */
static int bind_address(const char *address, char error[HTTP_ERROR_BYTES_MAX])
{
    char host[256];
    char port[16];
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};

    if (!split_address(address, host, port)) {
        snprintf(error, HTTP_ERROR_BYTES_MAX,
                 "cannot listen on '%.100s': an address is HOST:PORT, for example 127.0.0.1:5000, "
                 "with a port from 0 to 65535",
                 address);
        return -1;
    }
    int code = getaddrinfo(host, port, &hints, &found);
    if (code != 0) {
        snprintf(error, HTTP_ERROR_BYTES_MAX, "cannot listen on '%.100s': %s", address,
                 gai_strerror(code));
        return -1;
    }
    int fd = bind_one(found);
    if (fd < 0) {
        snprintf(error, HTTP_ERROR_BYTES_MAX, "cannot listen on %.100s: %s", address,
                 strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}

static void note_address(struct http_server *server, int fd)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char host[200] = "?";
    char port[16] = "?";

    if (getsockname(fd, (struct sockaddr *)&bound, &size) == 0) {
        getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    snprintf(server->address, sizeof server->address,
             bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* Every connection is a descriptor: the limit on these is raised to what the system grants, and
 * where that is too little there will be fewer connections. */
static int grantable_connections(int wanted, int loops)
{
    struct rlimit files;
    rlim_t reserved = FILES_OF_OTHERS + (rlim_t)loops * FILES_OF_LOOP;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return wanted;
    }
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY ||
        files.rlim_cur >= (rlim_t)wanted + reserved) {
        return wanted;
    }
    return files.rlim_cur > reserved ? (int)(files.rlim_cur - reserved) : 1;
}

/* `which` tells its events from others. */
static bool loop_watch(struct http_loop *loop, int fd, void *which)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = which};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void loop_destroy(struct http_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    http_door_close(loop->door);
    if (loop->daemon != NULL) {
        MHD_stop_daemon(loop->daemon);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    free(loop);
}

static struct http_loop *loop_create(struct http_server *server, int index, int listen_fd)
{
    struct http_loop *loop = calloc(1, sizeof *loop);
    int own_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);

    if (loop == NULL || own_fd < 0) {
        free(loop);
        return NULL;
    }
    loop->server = server;
    loop->index = index;
    list_init(&loop->peers);
    for (int i = 0; i < TIMER_SLOTS; i++) {
        list_init(&loop->wheel[i]);
    }
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->door = http_door_open(own_fd, loop->epoll_fd, &server->connections,
                                server->options.connections_max);
    /* clang-format off: an option and its values a line */
    loop->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, loop, MHD_OPTION_CONNECTION_LIMIT, (unsigned)server->options.connections_max,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, loop, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, loop, MHD_OPTION_URI_LOG_CALLBACK, on_uri, loop, MHD_OPTION_END);
    /* clang-format on */
    if (loop->daemon == NULL || loop->door == NULL || loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        !loop_watch(loop, MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                    &loop->daemon) ||
        !loop_watch(loop, loop->wake_fd, &loop->wake_fd)) {
        loop_destroy(loop);
        return NULL;
    }
    return loop;
}

/* All loops are made before any runs: from then on other threads may look at them. */
static bool start_loops(struct http_server *server)
{
    int made = 0;

    for (; made < server->options.loops; made++) {
        server->loops[made] = loop_create(server, made, server->listen_fd);
        if (server->loops[made] == NULL) {
            break;
        }
    }
    atomic_store(&server->loop_count, made);
    for (int i = 0; i < made; i++) {
        struct http_loop *loop = server->loops[i];
        loop->running = pthread_create(&loop->thread, NULL, loop_main, loop) == 0;
        if (!loop->running) {
            return false;
        }
    }
    return made == server->options.loops;
}

bool http_server_create(const struct http_options *options, struct http_server **out,
                        char error[HTTP_ERROR_BYTES_MAX])
{
    assert(options->loops >= 1 && options->loops <= HTTP_LOOPS_MAX);
    *out = NULL;
    int listen_fd = bind_address(options->listen, error);
    if (listen_fd < 0) {
        return false;
    }
    struct http_server *server = calloc(1, sizeof *server);
    int ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server == NULL || ended_fd < 0) {
        snprintf(error, HTTP_ERROR_BYTES_MAX,
                 "cannot make the HTTP server: out of memory or descriptors");
        free(server);
        close(listen_fd);
        return false;
    }
    server->options = *options;
    server->options.connections_max =
        grantable_connections(options->connections_max, options->loops);
    server->listen_fd = listen_fd;
    server->ended_fd = ended_fd;
    note_address(server, listen_fd);
    *out = server;
    return true;
}

bool http_server_start(struct http_server *server, char error[HTTP_ERROR_BYTES_MAX])
{
    if (listen(server->listen_fd, LISTEN_BACKLOG) != 0 || !start_loops(server)) {
        snprintf(error, HTTP_ERROR_BYTES_MAX, "cannot listen on %.100s: %s", server->address,
                 strerror(errno));
        return false;
    }
    close(server->listen_fd); /* the loops have theirs */
    server->listen_fd = -1;
    return true;
}

int http_server_connections_max(const struct http_server *server)
{
    return server->options.connections_max;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

void http_server_wake(struct http_server *server)
{
    for (int i = 0; i < atomic_load(&server->loop_count); i++) {
        struct http_loop *loop = server->loops[i];
        if (atomic_exchange(&loop->wake_needed, false) && atomic_load(&loop->asleep)) {
            add_one(loop->wake_fd);
        }
    }
}

static void wake_all(struct http_server *server)
{
    for (int i = 0; i < atomic_load(&server->loop_count); i++) {
        add_one(server->loops[i]->wake_fd);
    }
}

void http_server_quiesce(struct http_server *server)
{
    atomic_store(&server->quiesce, true);
    wake_all(server);
}

/* Suspended connections that nobody will post any more. */
static void resume_all(struct http_loop *loop)
{
    for (int i = 0; i < TIMER_SLOTS; i++) {
        LIST_FOREACH(node, &loop->wheel[i]) {
            struct http_request *r = LIST_ENTRY(node, struct http_request, timer);
            list_remove(&r->timer);
            if (r->connection != NULL) {
                MHD_resume_connection(r->connection);
            }
        }
    }
    MHD_run(loop->daemon);
}

bool http_server_drain(struct http_server *server, int limit_ms)
{
    struct pollfd ready = {.fd = server->ended_fd, .events = POLLIN};
    int64_t deadline_ms = clock_now_ms() + limit_ms;
    int64_t left_ms;

    atomic_store(&server->stop, true);
    wake_all(server);
    while (server->ended < atomic_load(&server->loop_count) &&
           (left_ms = deadline_ms - clock_now_ms()) > 0) {
        uint64_t count;
        if (poll(&ready, 1, (int)left_ms) > 0 && read(ready.fd, &count, sizeof count) > 0) {
            server->ended += (int)count;
        }
    }
    return server->ended == atomic_load(&server->loop_count);
}

int http_server_end(struct http_server *server)
{
    atomic_store(&server->cut_off_now, true);
    atomic_store(&server->stop, true);
    wake_all(server);
    for (int i = 0; i < atomic_load(&server->loop_count); i++) {
        if (server->loops[i]->running) {
            pthread_join(server->loops[i]->thread, NULL);
            server->loops[i]->running = false;
        }
    }
    return atomic_load(&server->cut_off);
}

void http_server_destroy(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    http_server_end(server);
    for (int i = 0; i < atomic_load(&server->loop_count); i++) {
        resume_all(server->loops[i]);
        loop_destroy(server->loops[i]);
    }
    if (server->listen_fd >= 0) {
        close(server->listen_fd);
    }
    close(server->ended_fd);
    free(server);
}
