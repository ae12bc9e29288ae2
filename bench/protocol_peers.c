/*
 * protocol_peers.c - what Redis, beanstalkd and NATS are asked to store a message.
 *
 * Of each protocol only what a producer needs: one request, made once and the same for
 * all connections, but for NATS, where it names the connection's own inbox. The acknowledgement
 * is the server's word that the message is stored; how durably is the server's setting (see
 * bench/peers/).
 *
 *   redis     XADD topic * m MESSAGE            $<size> and an id: stored
 *   beanstalk put 0 0 60 <size>, MESSAGE        INSERTED <id>
 *   nats      PUB topic inbox <size>, MESSAGE   MSG inbox 1 <size>, {"stream":…,"seq":…}
 *
 * All three speak in lines; what follows a line is of a size that the line names.
 */
#include "bench/protocols.h"

#include "common/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES_MAX 65536 /* NATS greets with its settings in one line */
#define REPLY_BYTES_MAX 65536

static bool starts_with(struct slice text, const char *word)
{
    size_t size = strlen(word);

    return text.size >= size && memcmp(text.data, word, size) == 0;
}

/* The first line; false: it is not whole, `*reply` says what that means. `used` is past its end. */
static bool first_line(struct slice received, struct slice *line, struct answer *answer,
                       enum reply *reply)
{
    const char *end = memmem(received.data, received.size, "\r\n", 2);

    if (end == NULL) {
        *reply = received.size > LINE_BYTES_MAX ? REPLY_BROKEN : REPLY_MORE;
        return false;
    }
    *line = (struct slice){received.data, (size_t)(end - received.data)};
    answer->used = line->size + 2;
    return true;
}

/* The line is followed by `size` bytes and a line's end: take them, too. */
static enum reply take_payload(struct slice received, long size, struct answer *answer)
{
    if (size < 0 || size > REPLY_BYTES_MAX) {
        return REPLY_BROKEN;
    }
    answer->used += (size_t)size + 2;
    answer->need = answer->used;
    return received.size >= answer->used ? REPLY_OK : REPLY_MORE;
}

/* ---- one request for all connections --------------------------------------------------------- */

static bool prepare_request(struct load *load, struct buffer **out)
{
    load->state = calloc(1, sizeof(struct buffer));
    *out = load->state;
    return *out != NULL;
}

static void release_request(struct load *load)
{
    if (load->state != NULL) {
        buffer_release(load->state);
    }
    free(load->state);
    load->state = NULL;
}

static struct slice shared_request(struct connection *c)
{
    return buffer_slice(c->load->state);
}

/* ---- Redis ------------------------------------------------------------------------------------
 */

static bool redis_prepare(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    struct buffer *b;

    (void)error;
    if (!prepare_request(load, &b)) {
        return false;
    }
    buffer_printf(b, "*5\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$1\r\n*\r\n$1\r\nm\r\n$%d\r\n",
                  strlen(load->topic), load->topic, load->message_bytes);
    load_append_message(load, b);
    buffer_append_string(b, "\r\n");
    return !b->failed;
}

static enum reply redis_answer(struct connection *c, struct slice received, struct answer *answer)
{
    struct slice line;
    enum reply reply;

    (void)c;
    if (!first_line(received, &line, answer, &reply)) {
        return reply;
    }
    answer->messages = 1;
    switch (line.size > 0 ? line.data[0] : '\0') {
    case '$':
        return take_payload(received, strtol(line.data + 1, NULL, 10), answer);
    case '-':
        return REPLY_FAILED;
    default:
        return REPLY_BROKEN;
    }
}

const struct protocol redis_produce = {
    .name = "redis",
    .mode = "produce",
    .prepare = redis_prepare,
    .release = release_request,
    .request = shared_request,
    .answer = redis_answer,
};

/* ---- beanstalkd -------------------------------------------------------------------------------
 */

static bool beanstalk_prepare(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    struct buffer *b;

    (void)error;
    if (!prepare_request(load, &b)) {
        return false;
    }
    buffer_printf(b, "put 0 0 60 %d\r\n", load->message_bytes);
    load_append_message(load, b);
    buffer_append_string(b, "\r\n");
    return !b->failed;
}

static enum reply beanstalk_answer(struct connection *c, struct slice received,
                                   struct answer *answer)
{
    struct slice line;
    enum reply reply;

    (void)c;
    if (!first_line(received, &line, answer, &reply)) {
        return reply;
    }
    answer->messages = 1;
    return starts_with(line, "INSERTED ") ? REPLY_OK : REPLY_FAILED;
}

const struct protocol beanstalk_produce = {
    .name = "beanstalk",
    .mode = "produce",
    .prepare = beanstalk_prepare,
    .release = release_request,
    .request = shared_request,
    .answer = beanstalk_answer,
};

/* ---- NATS JetStream ---------------------------------------------------------------------------
 */

#define NATS_GREETING "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n"

/* Ask for the stream, over a connection of its own: on disk, one copy, nothing else. */
static void nats_append_create(const struct load *load, struct buffer *out)
{
    struct buffer body = BUFFER_INIT;

    buffer_printf(&body,
                  "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"retention\":\"limits\","
                  "\"storage\":\"file\",\"num_replicas\":1,\"discard\":\"old\","
                  "\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"max_consumers\":-1}",
                  load->topic, load->topic);
    buffer_printf(out,
                  NATS_GREETING "SUB _INBOX.create 1\r\n"
                                "PUB $JS.API.STREAM.CREATE.%s _INBOX.create %zu\r\n%s\r\n",
                  load->topic, body.size, body.data);
    buffer_release(&body);
}

static bool nats_prepare(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    struct buffer request = BUFFER_INIT;
    struct buffer in = BUFFER_INIT;
    bool good = false;
    bool answered = false;
    int fd = load_dial(load, error);

    if (fd < 0) {
        return false;
    }
    nats_append_create(load, &request);
    ssize_t sent = send(fd, request.data, request.size, MSG_NOSIGNAL);
    while (sent == (ssize_t)request.size && !answered && in.size < REPLY_BYTES_MAX &&
           buffer_reserve(&in, REPLY_BYTES_MAX)) {
        ssize_t got = recv(fd, in.data + in.size, REPLY_BYTES_MAX, 0);
        if (got <= 0) {
            break;
        }
        in.size += (size_t)got;
        in.data[in.size] = '\0';
        answered = strstr(in.data, "stream_create_response") != NULL;
        good = answered && strstr(in.data, "\"error\"") == NULL;
    }
    if (!good) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "no stream could be made: %.200s",
                 in.size > 0 ? in.data : "no answer");
    }
    buffer_release(&request);
    buffer_release(&in);
    close(fd);
    return good;
}

/* The greeting, and a request that names this connection's inbox. */
static struct slice nats_hello(struct connection *c)
{
    struct buffer *greeting = calloc(1, sizeof *greeting);

    if (greeting == NULL) {
        return (struct slice){NULL, 0};
    }
    c->state = greeting;
    buffer_printf(greeting, NATS_GREETING "SUB _INBOX.%d 1\r\n", c->index);
    buffer_printf(&c->request, "PUB %s _INBOX.%d %d\r\n", c->load->topic, c->index,
                  c->load->message_bytes);
    load_append_message(c->load, &c->request);
    buffer_append_string(&c->request, "\r\n");
    return buffer_slice(greeting);
}

static void nats_close(struct connection *c)
{
    if (c->state != NULL) {
        buffer_release(c->state);
    }
    free(c->state);
    c->state = NULL;
}

static struct slice nats_request(struct connection *c)
{
    return buffer_slice(&c->request);
}

static enum reply nats_answer(struct connection *c, struct slice received, struct answer *answer)
{
    struct slice line;
    enum reply reply;

    if (!first_line(received, &line, answer, &reply)) {
        return reply;
    }
    if (starts_with(line, "PING")) {
        return connection_send(c, slice_of("PONG\r\n")) ? REPLY_ASIDE : REPLY_BROKEN;
    }
    if (starts_with(line, "INFO ") || starts_with(line, "+OK")) {
        return REPLY_ASIDE;
    }
    const char *size = memrchr(line.data, ' ', line.size);
    if (!starts_with(line, "MSG ") || size == NULL) {
        return starts_with(line, "-ERR") ? REPLY_FAILED : REPLY_BROKEN;
    }
    size_t head = answer->used;
    reply = take_payload(received, strtol(size, NULL, 10), answer);
    if (reply != REPLY_OK) {
        return reply;
    }
    answer->messages = 1;
    const char *payload = received.data + head;
    return memmem(payload, answer->used - head, "\"seq\":", 6) != NULL ? REPLY_OK : REPLY_FAILED;
}

const struct protocol nats_produce = {
    .name = "nats",
    .mode = "produce",
    .prepare = nats_prepare,
    .hello = nats_hello,
    .close = nats_close,
    .request = nats_request,
    .answer = nats_answer,
};
