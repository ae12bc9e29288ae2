/*
 * load.h - the load generator's parts: what a run is, and what a protocol has to offer.
 *
 * The engine (engine.c) drives connections over epoll, each with one request in flight,
 * and measures from the moment when a request was meant to be sent. It knows nothing of
 * what is sent. That is a protocol's: a row of functions that makes the next request of a
 * connection, and that says of received bytes what they answer. To add one, write
 * bench/protocol_NAME.c with a `const struct protocol`, name it in `protocols` of
 * load.c, and it is there as --protocol NAME --mode MODE. Requests are made beforehand
 * where they can be, since what the generator spends is taken from the server's machine.
 *
 * Threads: the functions of a protocol are called on the connection's worker thread, but
 * for prepare and release, which are called on the main thread while no worker runs.
 * `struct load` is fixed between the two, but for `stop`.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "common/histogram.h"
#include "common/list.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define LOAD_ERROR_BYTES_MAX 300
#define LOAD_THREADS_MAX 64
#define LOAD_CONNECTIONS_MAX 100000

struct load;
struct worker;
struct protocol;

/* One connection, with at most one request in flight. */
struct connection {
    const struct protocol *protocol;
    struct load *load;
    struct worker *worker;
    int index;   /* 0 to load->connections - 1; idle ones and listeners count from 0 again */
    void *state; /* the protocol's; what hello() puts there close() frees */
    struct buffer request; /* the protocol's, to make requests in; the engine frees it */

    /* the engine's: */
    int fd;              /* -1: lost */
    bool listens;        /* not driven: asks again by itself, see struct protocol */
    bool done;           /* driven: it has nothing more to send, or is lost */
    int owed;            /* driven: answers that it waits for, its own and its listener's */
    int64_t intended_ns; /* when its request was meant to be sent */
    int64_t messages_left;
    struct connection *partner; /* the listener of a producer, and the other way round */
    struct slice out;           /* what of the request is still to be written */
    struct buffer in;           /* what was received and not yet used */
    size_t need;                /* look at `in` again when it has so many bytes */
    struct list node;           /* in the worker's `ready` */
};

/* What received bytes were. */
enum reply {
    REPLY_MORE,   /* they are not the whole of it; `need` may say how many bytes there must be */
    REPLY_OK,     /* an answer to the request in flight: a success */
    REPLY_EMPTY,  /* the same, but there was nothing: the log's end, or a poll's time was over */
    REPLY_FAILED, /* the same, but no success; the bytes that were used are shown to the user */
    REPLY_ASIDE,  /* no answer to a request: a greeting, a keep-alive */
    REPLY_BROKEN  /* not this protocol at all; the connection is given up */
};

struct answer {
    size_t used;      /* bytes; not for REPLY_MORE */
    size_t need;      /* REPLY_MORE: bytes from the first on; 0: look when any have come */
    int64_t messages; /* REPLY_OK: stored or received by this request */
};

struct protocol {
    const char *name; /* --protocol */
    const char *mode; /* --mode */

    /* Once, before any connection: register, create, make requests. false: `error` says why.
     * May be NULL. */
    bool (*prepare)(struct load *load, char error[LOAD_ERROR_BYTES_MAX]);
    void (*release)(struct load *load); /* always after prepare, good or not; may be NULL */

    /* On a new connection: what is to be written before the first request, borrowed until
     * the next call; may be empty. May be NULL. */
    struct slice (*hello)(struct connection *c);
    void (*close)(struct connection *c); /* frees `state`; may be NULL */

    /* The next request, borrowed until its answer. An empty one: this connection is done. */
    struct slice (*request)(struct connection *c);

    /* What the first of the received bytes are; called again for the rest. They end in a NUL that
     * is not counted. */
    enum reply (*answer)(struct connection *c, struct slice received, struct answer *out);

    /* Who waits for messages. A connection of `idle` holds a long poll, whose end is not
     * counted (--idle); one of `listener` belongs to each connection, and the time from the
     * connection's request to the listener's answer is what counts as latency. Both send again
     * as soon as they are answered. NULL: there is none. */
    const struct protocol *idle;
    const struct protocol *listener;
};

/* A run: its settings (see --help of load), and what protocols share. */
struct load {
    const char *target; /* HOST:PORT */
    const struct protocol *protocol;
    int connections;
    int idle;
    int threads;
    int64_t rate; /* requests a second; 0: closed loop */
    int64_t duration_ms;
    int64_t warmup_ms;
    int64_t messages; /* end after so many, whatever the duration; 0: none */
    int batch;        /* messages a request; 0: the call for a single one */
    int max;          /* messages an answer; 0: the call for a single one */
    bool plain;       /* consume without offset= */
    int64_t offset;   /* where consumers begin */
    int topics;
    const char *topic; /* the first part of their names */
    int message_bytes;

    struct sockaddr_storage address; /* of the target */
    socklen_t address_size;
    void *state;      /* the protocol's, from prepare to release */
    atomic_bool stop; /* a signal asks for the end */
};

/* A blocking connection to the target, for prepare(); -1: `error` says why. */
int load_dial(const struct load *load, char error[LOAD_ERROR_BYTES_MAX]);

/* Write bytes outside of a request (the answer to a keep-alive), from answer(). They must be few
 * enough for the socket to take them at once; false: it did not. */
bool connection_send(struct connection *c, struct slice bytes);

/* The message that is sent: load->message_bytes of printable ASCII without quotes. */
void load_append_message(const struct load *load, struct buffer *out);

#endif
