/*
 * transport.h - HTTP requests, many at a time, on one thread. The only user of libcurl.
 *
 * A transport runs exchanges; an exchange is one request and its answer, and can be used
 * again for the next, which then reuses the connection.
 *
 * libcurl sends a request again by itself when a connection that it reuses turns out to be
 * dead: an exchange can reach the broker twice, and `not_sent` is about all of it.
 *
 * Threads: a transport and its exchanges belong to one thread; only mq_transport_wake and
 * mq_exchange_create may be called by others.
 */
#ifndef MYQUEUE_SRC_TRANSPORT_H
#define MYQUEUE_SRC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mq_transport;
struct mq_exchange;

struct mq_request {
    const char *url;
    const char *body; /* JSON for a POST, NULL for a GET; borrowed until the answer */
    size_t body_length;
    int limit_ms; /* the whole exchange, at least 1 */
    size_t answer_bytes_max;
};

/* What came of a request; borrowed for the call of `done`. */
struct mq_answer {
    int http;         /* status; 0: no whole answer came */
    const char *body; /* `length` bytes and a NUL */
    size_t length;
    int retry_after_ms; /* the answer's Retry-After, or -1 */
    bool too_large;     /* there is no answer because it passed answer_bytes_max */
    bool not_sent;      /* there is no answer, and no byte of the request left */
    const char *error;  /* why there is no answer, or "" */
};

typedef void mq_exchange_done(void *arg, const struct mq_answer *answer);

/* NULL: out of memory. */
struct mq_transport *mq_transport_create(void);

/* Destroy the exchanges first. `transport` may be NULL. */
void mq_transport_destroy(struct mq_transport *transport);

/* Work until something happened, a wake, or wait_ms. Runs `done` of what is finished;
 * `done` may start exchanges. */
void mq_transport_run(struct mq_transport *transport, int wait_ms);

/* End a mq_transport_run that waits, or the next one. */
void mq_transport_wake(struct mq_transport *transport);

/* NULL: out of memory. `done` runs once for every start that returned true and was not
 * cancelled. */
struct mq_exchange *mq_exchange_create(struct mq_transport *transport, mq_exchange_done *done,
                                       void *arg);

/* Cancels. `exchange` may be NULL. */
void mq_exchange_destroy(struct mq_exchange *exchange);

/* Start a request; the exchange is not in use. False: out of memory, nothing was sent. */
bool mq_exchange_start(struct mq_exchange *exchange, const struct mq_request *request);

/* Forget the request, if there is one; `done` will not run. Its connection is closed. */
void mq_exchange_cancel(struct mq_exchange *exchange);

#endif
