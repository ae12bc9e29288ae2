/*
 * protocol_amqp.c - what RabbitMQ is asked to store a message: AMQP 0-9-1.
 *
 * Of the protocol only what a producer with confirms needs. A connection's handshake is the
 * same for all and depends on nothing that the server says, so it is sent in one piece:
 *
 *   header, start-ok (PLAIN guest), tune-ok (no heartbeats), open "/",
 *   channel 1: open, confirm.select; in prepare: queue.declare (durable, quorum)
 *
 * A message is three frames (publish, content header, body); its answer is basic.ack. With
 * one message in flight on a channel every ack is for that one.
 *
 *   frame: type (1 byte), channel (2), size (4), payload, 0xCE
 *   method payload: class (2), method (2), arguments
 */
#include "bench/protocols.h"

#include "common/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME_METHOD 1
#define FRAME_HEADER 2
#define FRAME_BODY 3
#define FRAME_HEARTBEAT 8
#define FRAME_HEAD_BYTES 7
#define FRAME_END 0xCE
#define FRAME_BYTES_MAX 131072 /* the server's own default */

#define METHOD(class, method) ((uint32_t)(class) << 16 | (method))
#define CONNECTION_START_OK METHOD(10, 11)
#define CONNECTION_TUNE_OK METHOD(10, 31)
#define CONNECTION_OPEN METHOD(10, 40)
#define CONNECTION_CLOSE METHOD(10, 50)
#define CHANNEL_OPEN METHOD(20, 10)
#define CHANNEL_CLOSE METHOD(20, 40)
#define QUEUE_DECLARE METHOD(50, 10)
#define QUEUE_DECLARE_OK METHOD(50, 11)
#define BASIC_PUBLISH METHOD(60, 40)
#define BASIC_ACK METHOD(60, 80)
#define BASIC_NACK METHOD(60, 120)
#define CONFIRM_SELECT METHOD(85, 10)

#define CLASS_BASIC 60
#define PROPERTY_DELIVERY_MODE 0x1000
#define DELIVERY_PERSISTENT 2
#define QUEUE_DURABLE 2 /* a bit of queue.declare's */

/* The protocol's state of a run. */
struct amqp {
    struct buffer handshake;
    struct buffer publish;
};

/* ---- writing ----------------------------------------------------------------------------------
 */

static void put_number(struct buffer *b, uint64_t value, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        buffer_append_char(b, (char)(value >> shift & 0xFF));
    }
}

/* `bytes` for the size, then the text. */
static void put_text(struct buffer *b, struct slice text, int bytes)
{
    put_number(b, text.size, bytes);
    buffer_append_slice(b, text);
}

static void put_frame(struct buffer *out, int type, int channel, struct slice payload)
{
    put_number(out, (uint64_t)type, 1);
    put_number(out, (uint64_t)channel, 2);
    put_text(out, payload, 4);
    put_number(out, FRAME_END, 1);
}

/* `arguments` are released. */
static void put_method(struct buffer *out, int channel, uint32_t method, struct buffer *arguments)
{
    struct buffer payload = BUFFER_INIT;

    put_number(&payload, method, 4);
    buffer_append_slice(&payload, buffer_slice(arguments));
    put_frame(out, FRAME_METHOD, channel, buffer_slice(&payload));
    buffer_release(&payload);
    buffer_release(arguments);
}

static void put_handshake(struct buffer *out)
{
    struct buffer arguments = BUFFER_INIT;

    buffer_append(out, "AMQP\0\0\x09\x01", 8);
    put_number(&arguments, 0, 4); /* no properties of ours */
    put_text(&arguments, slice_of("PLAIN"), 1);
    put_text(&arguments, (struct slice){"\0guest\0guest", 12}, 4);
    put_text(&arguments, slice_of("en_US"), 1);
    put_method(out, 0, CONNECTION_START_OK, &arguments);
    put_number(&arguments, 1, 2); /* channels */
    put_number(&arguments, FRAME_BYTES_MAX, 4);
    put_number(&arguments, 0, 2); /* heartbeats */
    put_method(out, 0, CONNECTION_TUNE_OK, &arguments);
    put_text(&arguments, slice_of("/"), 1);
    put_number(&arguments, 0, 2); /* reserved */
    put_method(out, 0, CONNECTION_OPEN, &arguments);
    put_number(&arguments, 0, 1); /* reserved */
    put_method(out, 1, CHANNEL_OPEN, &arguments);
    put_number(&arguments, 0, 1); /* with an answer */
    put_method(out, 1, CONFIRM_SELECT, &arguments);
}

static void put_declare(struct buffer *out, const char *queue)
{
    struct buffer arguments = BUFFER_INIT;
    struct buffer table = BUFFER_INIT;

    put_number(&arguments, 0, 2); /* reserved */
    put_text(&arguments, slice_of(queue), 1);
    put_number(&arguments, QUEUE_DURABLE, 1);
    put_text(&table, slice_of("x-queue-type"), 1);
    buffer_append_char(&table, 'S');
    put_text(&table, slice_of("quorum"), 4);
    put_text(&arguments, buffer_slice(&table), 4);
    buffer_release(&table);
    put_method(out, 1, QUEUE_DECLARE, &arguments);
}

static void put_publish(struct buffer *out, const struct load *load)
{
    struct buffer arguments = BUFFER_INIT;
    struct buffer payload = BUFFER_INIT;

    put_number(&arguments, 0, 2);                   /* reserved */
    put_text(&arguments, slice_of(""), 1);          /* the default exchange: */
    put_text(&arguments, slice_of(load->topic), 1); /* straight to this queue */
    put_number(&arguments, 0, 1);                   /* neither mandatory nor immediate */
    put_method(out, 1, BASIC_PUBLISH, &arguments);

    put_number(&payload, CLASS_BASIC, 2);
    put_number(&payload, 0, 2); /* weight: unused */
    put_number(&payload, (uint64_t)load->message_bytes, 8);
    put_number(&payload, PROPERTY_DELIVERY_MODE, 2);
    put_number(&payload, DELIVERY_PERSISTENT, 1);
    put_frame(out, FRAME_HEADER, 1, buffer_slice(&payload));
    buffer_clear(&payload);
    load_append_message(load, &payload);
    if (payload.size > 0) { /* an empty message has no body frame */
        put_frame(out, FRAME_BODY, 1, buffer_slice(&payload));
    }
    buffer_release(&payload);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static uint32_t get_number(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;

    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

/* One frame. REPLY_OK: it is whole; `*method` is 0 if it is none. */
static enum reply read_frame(struct slice received, struct answer *answer, uint32_t *method)
{
    *method = 0;
    if (received.size > 0 && received.data[0] != FRAME_METHOD &&
        received.data[0] != FRAME_HEARTBEAT) {
        return REPLY_BROKEN;
    }
    if (received.size < FRAME_HEAD_BYTES) {
        answer->need = FRAME_HEAD_BYTES;
        return REPLY_MORE;
    }
    uint32_t size = get_number(received.data + 3);
    if (size > FRAME_BYTES_MAX) {
        return REPLY_BROKEN;
    }
    answer->used = FRAME_HEAD_BYTES + size + 1;
    answer->need = answer->used;
    if (received.size < answer->used) {
        return REPLY_MORE;
    }
    if (received.data[0] == FRAME_METHOD && size >= 4) {
        *method = get_number(received.data + FRAME_HEAD_BYTES);
    }
    return REPLY_OK;
}

static enum reply amqp_answer(struct connection *c, struct slice received, struct answer *answer)
{
    uint32_t method;
    enum reply reply = read_frame(received, answer, &method);

    (void)c;
    answer->messages = 1;
    if (reply != REPLY_OK || method == BASIC_ACK) {
        return reply;
    }
    if (method == CONNECTION_CLOSE || method == CHANNEL_CLOSE) {
        return REPLY_BROKEN;
    }
    return method == BASIC_NACK ? REPLY_FAILED : REPLY_ASIDE; /* else: of the handshake */
}

/* ---- a run ------------------------------------------------------------------------------------
 */

/* Frames until `wanted`; false: the server closes, or says something else. */
static bool wait_for(int fd, uint32_t wanted)
{
    struct buffer in = BUFFER_INIT;
    uint32_t method = 0;
    enum reply reply = REPLY_MORE;

    while (method != wanted && reply != REPLY_BROKEN && method != CONNECTION_CLOSE &&
           method != CHANNEL_CLOSE) {
        struct answer answer = {0, 0, 0};
        reply = read_frame(buffer_slice(&in), &answer, &method);
        if (reply == REPLY_OK) {
            in.size -= answer.used;
            memmove(in.data, in.data + answer.used, in.size);
        } else if (reply == REPLY_MORE) {
            ssize_t got = buffer_reserve(&in, FRAME_BYTES_MAX)
                              ? recv(fd, in.data + in.size, FRAME_BYTES_MAX, 0)
                              : -1;
            if (got <= 0) {
                break;
            }
            in.size += (size_t)got;
        }
    }
    buffer_release(&in);
    return method == wanted;
}

static bool declare(const struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    const struct amqp *amqp = load->state;
    struct buffer request = BUFFER_INIT;
    int fd = load_dial(load, error);

    if (fd < 0) {
        return false;
    }
    buffer_append_slice(&request, buffer_slice(&amqp->handshake));
    put_declare(&request, load->topic);
    bool good = send(fd, request.data, request.size, MSG_NOSIGNAL) == (ssize_t)request.size &&
                wait_for(fd, QUEUE_DECLARE_OK);
    if (!good) {
        snprintf(error, LOAD_ERROR_BYTES_MAX,
                 "no quorum queue could be made: the server closes the connection");
    }
    buffer_release(&request);
    close(fd);
    return good;
}

static bool amqp_prepare(struct load *load, char error[LOAD_ERROR_BYTES_MAX])
{
    struct amqp *amqp = calloc(1, sizeof *amqp);

    load->state = amqp;
    if (amqp == NULL) {
        return false;
    }
    if (load->message_bytes > FRAME_BYTES_MAX - FRAME_HEAD_BYTES - 1) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "amqp: a message has to fit into one frame");
        return false;
    }
    put_handshake(&amqp->handshake);
    put_publish(&amqp->publish, load);
    return !amqp->handshake.failed && !amqp->publish.failed && declare(load, error);
}

static void amqp_release(struct load *load)
{
    struct amqp *amqp = load->state;

    if (amqp != NULL) {
        buffer_release(&amqp->handshake);
        buffer_release(&amqp->publish);
    }
    free(amqp);
    load->state = NULL;
}

static struct slice amqp_hello(struct connection *c)
{
    const struct amqp *amqp = c->load->state;

    return buffer_slice(&amqp->handshake);
}

static struct slice amqp_request(struct connection *c)
{
    const struct amqp *amqp = c->load->state;

    return buffer_slice(&amqp->publish);
}

const struct protocol amqp_produce = {
    .name = "amqp",
    .mode = "produce",
    .prepare = amqp_prepare,
    .release = amqp_release,
    .hello = amqp_hello,
    .request = amqp_request,
    .answer = amqp_answer,
};
