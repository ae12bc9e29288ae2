/*
 * protocol_myqueue.c - what the broker is asked, and how its answers are checked.
 *
 * An answer is a success when its status is 200 and its body holds an offset. Of a list of
 * messages the first and the last offset are looked at: their distance is how many came. The
 * body is not parsed further, since that would be measured as well.
 *
 * Topics are named after --topic: NAME-0, NAME-1, … for producers and consumers, NAME-idle for
 * idle polls, NAME-PID-0, … (empty at the start) for deliveries.
 */
#include "bench/protocols.h"

#include "common/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 20000
#define HEAD_BYTES_MAX 8192
#define TOPIC_BYTES_MAX 256

/* The protocol's state of a run. */
struct shared {
    struct buffer *produce; /* a request for each topic */
    int topics;
    int64_t *consumer_ids; /* of each connection; in deliver: of each listener */
    int64_t *idle_ids;
};

/* A connection's state. */
struct position {
    int64_t next;  /* the offset that is wanted */
    int64_t start; /* where it began */
    bool done;     /* the log has ended */
    int64_t turn;  /* producers: which topic is next */
};

/* ---- HTTP ----------------------------------------------------------------------------------- */

struct http_answer {
    int status;
    struct slice body;
};

static bool number_after(struct slice text, const char *word, int64_t *out)
{
    const char *at = memmem(text.data, text.size, word, strlen(word));

    if (at == NULL) {
        return false;
    }
    at += strlen(word);
    /* What was received ends in a NUL, so this ends. */
    at += strspn(at, ": ");
    if (*at < '0' || *at > '9') {
        return false;
    }
    *out = strtoll(at, NULL, 10);
    return true;
}

/* The head and as much body as it says. REPLY_OK: it is whole. */
static enum reply read_http(struct slice received, struct answer *answer, struct http_answer *out)
{
    const char *end = memmem(received.data, received.size, "\r\n\r\n", 4);
    int64_t length;

    if (end == NULL) {
        return received.size > HEAD_BYTES_MAX ? REPLY_BROKEN : REPLY_MORE;
    }
    struct slice head = {received.data, (size_t)(end - received.data)};
    if (head.size < 12 || memcmp(head.data, "HTTP/1.1 ", 9) != 0 ||
        !number_after(head, "Content-Length", &length)) {
        return REPLY_BROKEN;
    }
    out->status = (int)strtol(head.data + 9, NULL, 10);
    out->body = (struct slice){end + 4, (size_t)length};
    answer->used = head.size + 4 + (size_t)length;
    answer->need = answer->used;
    return received.size >= answer->used ? REPLY_OK : REPLY_MORE;
}

static void append_post(struct buffer *out, const char *path, struct slice body)
{
    buffer_printf(out,
                  "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  path, body.size);
    buffer_append_slice(out, body);
}

/* Ask outside of the run, over a blocking connection; false: why, in `error`. */
static bool ask(int fd, struct slice request, const char *number, int64_t *out,
                char error[LOAD_ERROR_BYTES_MAX])
{
    struct buffer in = BUFFER_INIT;
    struct answer answer = {0, 0, 0};
    struct http_answer http = {0, {NULL, 0}};
    enum reply reply = REPLY_MORE;

    if (send(fd, request.data, request.size, MSG_NOSIGNAL) != (ssize_t)request.size) {
        reply = REPLY_BROKEN;
    }
    while (reply == REPLY_MORE && buffer_reserve(&in, HEAD_BYTES_MAX)) {
        ssize_t got = recv(fd, in.data + in.size, HEAD_BYTES_MAX, 0);
        if (got <= 0) {
            break;
        }
        in.size += (size_t)got;
        in.data[in.size] = '\0';
        reply = read_http(buffer_slice(&in), &answer, &http);
    }
    bool good = reply == REPLY_OK && http.status == 200 && number_after(http.body, number, out);
    if (!good) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "no %s in the answer: %.200s", number,
                 in.size > 0 ? in.data : "");
    }
    buffer_release(&in);
    return good;
}

/* ---- registration --------------------------------------------------------------------------- */

static bool register_one(int fd, const char *who, const char *topic, int64_t *id,
                         char error[LOAD_ERROR_BYTES_MAX])
{
    struct buffer request = BUFFER_INIT;
    char path[32];
    char number[32];
    char body[TOPIC_BYTES_MAX + 16];

    snprintf(path, sizeof path, "/%s/register", who);
    snprintf(number, sizeof number, "\"%s_id\"", who);
    snprintf(body, sizeof body, "{\"topic\":\"%s\"}", topic);
    append_post(&request, path, slice_of(body));
    bool good = ask(fd, buffer_slice(&request), number, id, error);
    buffer_release(&request);
    return good;
}

static void topic_name(const struct load *load, bool fresh, int index, char out[TOPIC_BYTES_MAX])
{
    if (fresh) {
        snprintf(out, TOPIC_BYTES_MAX, "%s-%d-%d", load->topic, (int)getpid(), index);
    } else {
        snprintf(out, TOPIC_BYTES_MAX, "%s-%d", load->topic, index);
    }
}

static void make_produce(const struct load *load, const char *topic, int64_t producer_id,
                         struct buffer *out)
{
    struct buffer body = BUFFER_INIT;

    buffer_printf(&body, "{\"topic\":\"%s\",\"producer_id\":%lld,\"message", topic,
                  (long long)producer_id);
    buffer_append_string(&body, load->batch > 0 ? "s\":[" : "\":");
    for (int i = 0; i < load->batch || i == 0; i++) {
        buffer_append_string(&body, i > 0 ? ",\"" : "\"");
        load_append_message(load, &body);
        buffer_append_string(&body, "\"");
    }
    buffer_append_string(&body, load->batch > 0 ? "]}" : "}");
    append_post(out, "/producer/produce", buffer_slice(&body));
    buffer_release(&body);
}

/* A producer and its request for each of `topics` topics; without a descriptor the ids are made
 * up. */
static bool make_producers(struct load *load, int fd, bool fresh, int topics,
                           char error[LOAD_ERROR_BYTES_MAX])
{
    struct shared *shared = load->state;
    char topic[TOPIC_BYTES_MAX];

    shared->produce = calloc((size_t)topics, sizeof *shared->produce);
    if (shared->produce == NULL) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "out of memory");
        return false;
    }
    shared->topics = topics;
    for (int i = 0; i < topics; i++) {
        int64_t id = 1;
        topic_name(load, fresh, i, topic);
        if (fd >= 0 && !register_one(fd, "producer", topic, &id, error)) {
            return false;
        }
        make_produce(load, topic, id, &shared->produce[i]);
    }
    return true;
}

static bool make_consumers(struct load *load, int fd, bool fresh, int topics,
                           char error[LOAD_ERROR_BYTES_MAX])
{
    struct shared *shared = load->state;
    char topic[TOPIC_BYTES_MAX];

    shared->consumer_ids = calloc((size_t)load->connections, sizeof *shared->consumer_ids);
    for (int i = 0; shared->consumer_ids != NULL && i < load->connections; i++) {
        topic_name(load, fresh, i % topics, topic);
        if (!register_one(fd, "consumer", topic, &shared->consumer_ids[i], error)) {
            return false;
        }
    }
    return shared->consumer_ids != NULL;
}

/* A consumer needs its topic: registering a producer makes it. */
static bool make_idle(struct load *load, int fd, char error[LOAD_ERROR_BYTES_MAX])
{
    struct shared *shared = load->state;
    char topic[TOPIC_BYTES_MAX];
    int64_t id;

    if (load->idle == 0) {
        return true;
    }
    snprintf(topic, sizeof topic, "%s-idle", load->topic);
    shared->idle_ids = calloc((size_t)load->idle, sizeof *shared->idle_ids);
    if (shared->idle_ids == NULL || !register_one(fd, "producer", topic, &id, error)) {
        return false;
    }
    for (int i = 0; i < load->idle; i++) {
        if (!register_one(fd, "consumer", topic, &shared->idle_ids[i], error)) {
            return false;
        }
    }
    return true;
}

enum wanted { PRODUCERS = 1, CONSUMERS = 2, FRESH = 4, TOPIC_EACH = 8 };

static bool prepare(struct load *load, int wanted, char error[LOAD_ERROR_BYTES_MAX])
{
    bool fresh = (wanted & FRESH) != 0;
    int topics = (wanted & TOPIC_EACH) != 0 ? load->connections : load->topics;

    load->state = calloc(1, sizeof(struct shared));
    int fd = load_dial(load, error);
    bool good = fd >= 0 && load->state != NULL && make_idle(load, fd, error);
    if (good && (wanted & PRODUCERS) != 0) {
        good = make_producers(load, fd, fresh, topics, error);
    }
    if (good && (wanted & CONSUMERS) != 0) {
        good = make_consumers(load, fd, fresh, topics, error);
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

static bool prepare_produce(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    return prepare(load, PRODUCERS, error);
}

static bool prepare_consume(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    return prepare(load, CONSUMERS, error);
}

static bool prepare_deliver(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    return prepare(load, PRODUCERS | CONSUMERS | FRESH | TOPIC_EACH, error);
}

/* For a server that answers all the same: nothing is registered. */
static bool prepare_constant(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    load->state = calloc(1, sizeof(struct shared));
    return load->state != NULL && make_producers(load, -1, false, load->topics, error);
}

static void release(struct load *load)
{
    struct shared *shared = load->state;

    if (shared == NULL) {
        return;
    }
    for (int i = 0; shared->produce != NULL && i < shared->topics; i++) {
        buffer_release(&shared->produce[i]);
    }
    free(shared->produce);
    free(shared->consumer_ids);
    free(shared->idle_ids);
    free(shared);
    load->state = NULL;
}

/* ---- produce -------------------------------------------------------------------------------- */

static struct slice open_producer(struct connection *c)
{
    const struct shared *shared = c->load->state;
    struct position *p = calloc(1, sizeof *p);

    if (p != NULL) { /* the connections start evenly spread over the topics */
        p->turn = (int64_t)c->index * shared->topics / c->load->connections;
    }
    c->state = p;
    return (struct slice){NULL, 0};
}

static void close_state(struct connection *c)
{
    free(c->state);
    c->state = NULL;
}

static struct slice produce_request(struct connection *c)
{
    const struct shared *shared = c->load->state;
    struct position *p = c->state;

    return p == NULL ? (struct slice){NULL, 0}
                     : buffer_slice(&shared->produce[p->turn++ % shared->topics]);
}

/* Each producer of deliver has a topic of its own. */
static struct slice deliver_request(struct connection *c)
{
    const struct shared *shared = c->load->state;

    return buffer_slice(&shared->produce[c->index]);
}

static enum reply stored(struct connection *c, struct slice received, struct answer *answer)
{
    struct http_answer http;
    int64_t offset;
    enum reply reply = read_http(received, answer, &http);

    if (reply != REPLY_OK) {
        return reply;
    }
    answer->messages = c->load->batch > 0 ? c->load->batch : 1;
    return http.status == 200 && number_after(http.body, "\"offset\"", &offset) ? REPLY_OK
                                                                                : REPLY_FAILED;
}

/* ---- consume -------------------------------------------------------------------------------- */

/* With --messages every connection reads its own part of the log. Who waits does so in an empty
 * one. */
static struct slice open_consumer(struct connection *c)
{
    const struct load *load = c->load;
    struct position *p = calloc(1, sizeof *p);

    if (p != NULL && !c->listens) {
        p->start = load->offset;
        if (load->messages > 0 && load->topics == 1) {
            int64_t each = load->messages / load->connections;
            int64_t more = load->messages % load->connections;
            p->start += c->index * each + (c->index < more ? c->index : more);
        }
        p->next = p->start;
    }
    c->state = p;
    return (struct slice){NULL, 0};
}

static void begin_consume(struct connection *c, const char *topic, int64_t consumer_id)
{
    buffer_clear(&c->request);
    buffer_append_string(&c->request, "GET /consumer/consume?topic=");
    buffer_append_string(&c->request, topic);
    buffer_append_string(&c->request, "&consumer_id=");
    buffer_append_int(&c->request, consumer_id);
}

static void append_number(struct buffer *b, const char *name, int64_t value)
{
    buffer_append_string(b, name);
    buffer_append_int(b, value);
}

static struct slice end_consume(struct connection *c)
{
    buffer_append_string(&c->request, " HTTP/1.1\r\nHost: bench\r\n\r\n");
    return buffer_slice(&c->request);
}

static struct slice consume_request(struct connection *c)
{
    const struct load *load = c->load;
    const struct shared *shared = load->state;
    const struct position *p = c->state;
    char topic[TOPIC_BYTES_MAX];

    if (p == NULL || p->done) {
        return (struct slice){NULL, 0};
    }
    topic_name(load, false, c->index % load->topics, topic);
    begin_consume(c, topic, shared->consumer_ids != NULL ? shared->consumer_ids[c->index] : 1);
    if (!load->plain) {
        append_number(&c->request, "&offset=", p->next);
    }
    if (load->max > 0) {
        append_number(&c->request, "&max=", load->max);
    }
    return end_consume(c);
}

static struct slice poll_request(struct connection *c, const char *topic, int64_t consumer_id)
{
    const struct position *p = c->state;

    if (p == NULL) {
        return (struct slice){NULL, 0};
    }
    begin_consume(c, topic, consumer_id);
    append_number(&c->request, "&offset=", p->next);
    append_number(&c->request, "&wait_ms=", POLL_MS);
    return end_consume(c);
}

static struct slice listener_request(struct connection *c)
{
    const struct shared *shared = c->load->state;
    char topic[TOPIC_BYTES_MAX];

    topic_name(c->load, true, c->index, topic);
    return poll_request(c, topic, shared->consumer_ids[c->index]);
}

static struct slice idle_request(struct connection *c)
{
    const struct shared *shared = c->load->state;
    char topic[TOPIC_BYTES_MAX];

    snprintf(topic, sizeof topic, "%s-idle", c->load->topic);
    return poll_request(c, topic, shared->idle_ids[c->index]);
}

static bool contains(struct slice text, const char *word)
{
    return memmem(text.data, text.size, word, strlen(word)) != NULL;
}

/* The last offset of a list: a message is of a known size, so it is near the end. */
static bool last_offset(const struct load *load, struct slice body, int64_t *out)
{
    size_t near = (size_t)load->message_bytes + 128;

    if (body.size > near) {
        body.data += body.size - near;
        body.size = near;
    }
    const char *last = NULL;
    const char *at = body.data;
    size_t size = strlen("\"offset\"");
    while ((at = memmem(at, (size_t)(body.data + body.size - at), "\"offset\"", size)) != NULL) {
        last = at;
        at += size;
    }
    return last != NULL &&
           number_after((struct slice){last, (size_t)(body.data + body.size - last)}, "\"offset\"",
                        out);
}

static enum reply received(struct connection *c, struct slice bytes, struct answer *answer)
{
    struct position *p = c->state;
    struct http_answer http;
    int64_t first, last;
    enum reply reply = read_http(bytes, answer, &http);

    if (reply != REPLY_OK) {
        return reply;
    }
    bool found = number_after(http.body, "\"offset\"", &first);
    if ((http.status == 400 && contains(http.body, "\"no_message\"")) ||
        (http.status == 200 && !found && contains(http.body, "\"messages\""))) {
        p->done = !c->listens && (c->load->plain || c->load->messages > 0 || p->next == p->start);
        p->next = c->listens ? p->next : p->start; /* read it once more */
        return REPLY_EMPTY;
    }
    if (http.status != 200 || !found || !last_offset(c->load, http.body, &last) || last < first ||
        (!c->load->plain && first != p->next)) {
        return REPLY_FAILED;
    }
    answer->messages = last - first + 1;
    p->next = last + 1;
    return REPLY_OK;
}

static const struct protocol myqueue_idle = {
    .name = "myqueue",
    .mode = "idle",
    .hello = open_consumer,
    .close = close_state,
    .request = idle_request,
    .answer = received,
};

static const struct protocol myqueue_listener = {
    .name = "myqueue",
    .mode = "listen",
    .hello = open_consumer,
    .close = close_state,
    .request = listener_request,
    .answer = received,
};

const struct protocol myqueue_produce = {
    .name = "myqueue",
    .mode = "produce",
    .prepare = prepare_produce,
    .release = release,
    .hello = open_producer,
    .close = close_state,
    .request = produce_request,
    .answer = stored,
    .idle = &myqueue_idle,
};

const struct protocol myqueue_consume = {
    .name = "myqueue",
    .mode = "consume",
    .prepare = prepare_consume,
    .release = release,
    .hello = open_consumer,
    .close = close_state,
    .request = consume_request,
    .answer = received,
    .idle = &myqueue_idle,
};

const struct protocol myqueue_deliver = {
    .name = "myqueue",
    .mode = "deliver",
    .prepare = prepare_deliver,
    .release = release,
    .request = deliver_request,
    .answer = stored,
    .idle = &myqueue_idle,
    .listener = &myqueue_listener,
};

const struct protocol http_post = {
    .name = "http",
    .mode = "post",
    .prepare = prepare_constant,
    .release = release,
    .hello = open_producer,
    .close = close_state,
    .request = produce_request,
    .answer = stored,
};

const struct protocol http_get = {
    .name = "http",
    .mode = "get",
    .prepare = prepare_constant,
    .release = release,
    .hello = open_consumer,
    .close = close_state,
    .request = consume_request,
    .answer = stored,
};
