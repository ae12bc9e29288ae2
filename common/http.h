/*
 * http.h - an HTTP server whose threads never wait for anybody.
 *
 * A server is a few loops on one listening address. A loop is one thread with its own
 * epoll; libmicrohttpd runs inside it in external mode. A request is read whole and
 * then handed to `handle`, on its loop's thread. The handler does one of:
 *
 *   http_request_answer()  the answer is known;
 *   http_request_wait()    another thread will http_request_post() it soon (a commit):
 *                          the request stays in the loop, which is cheap for waits of
 *                          a millisecond;
 *   http_request_park()    it may take long (a long poll): the connection is suspended
 *                          until it is posted or its time is over.
 *
 * After wait and park the `resume` function runs on the loop's thread and again does
 * one of the three. So a request is only ever touched by its loop's thread, and needs
 * no lock; what other threads do is to post it.
 *
 *      handle ---> answered                        (posted, or park's time is over)
 *        |  \----> waiting ----\                        |
 *        \-------> parked ------+---> resume -----------+---> answered | waiting | parked
 *
 * A client that closes its side ends the wait of its parked request at once, as if its time
 * were over; while a request waits for a commit it is noticed when the request is resumed. An
 * answer that nobody takes goes nowhere.
 *
 * A client costs one connection, and that not for ever:
 *
 *   connections_max   the excess is answered 503 and closed (http_door.h)
 *   idle_ms_max       from an answer, or the begin, to the end of the next request line
 *   request_ms_max    from there to the end of the request, however the bytes trickle: else it
 *                     is answered 408 and closed; the same again for the client to take its
 *                     answer: else it is cut off
 *   budget            of large bodies and answers of all connections together
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include "common/budget.h"
#include "common/buffer.h"
#include "common/status.h"

struct http_server;
struct http_request;

#define HTTP_ERROR_BYTES_MAX 256
#define HTTP_LOOPS_MAX 64
#define HTTP_PARK_MS_MAX 20000

typedef void http_handler(struct http_request *request, void *arg);
typedef void http_pass_end(int loop, void *arg);

struct http_options {
    const char *listen;      /* "HOST:PORT", "[::1]:PORT"; port 0 picks a free one */
    int loops;               /* 1 to HTTP_LOOPS_MAX */
    int connections_max;     /* of all loops together */
    int64_t idle_ms_max;     /* see above */
    int64_t request_ms_max;  /* see above */
    size_t body_bytes_max;   /* a larger body is read, dropped, and told to the handler */
    struct budget *budget;   /* borrowed; a body it has no room for is dropped likewise */
    http_handler *handle;    /* a request has been read */
    http_pass_end *pass_end; /* a loop has handled all that was there; before it sleeps */
    void *arg;               /* for both */
};

/* Bind the address; connections are refused until http_server_start(). false: `error` has
 * one line that says why. */
bool http_server_create(const struct http_options *options, struct http_server **out,
                        char error[HTTP_ERROR_BYTES_MAX]);

/* "127.0.0.1:5000": what was bound, with the port that was picked. */
const char *http_server_address(const struct http_server *server);

/* What was asked for, or less where the system grants fewer open files. */
int http_server_connections_max(const struct http_server *server);

/* Start the loops. false: why, in `error`. */
bool http_server_start(struct http_server *server, char error[HTTP_ERROR_BYTES_MAX]);

/* Accept no more connections; what is connected goes on. Any thread. */
void http_server_quiesce(struct http_server *server);

/* Let every request that was handed to the handler be answered, and end the loops. false: some
 * are still under way after `limit_ms`; it may be called again. Posts still do no harm. */
bool http_server_drain(struct http_server *server, int limit_ms);

/* End the loops, whatever is under way. Returns how many requests were cut off. */
int http_server_end(struct http_server *server);

/* Close what is connected, free all; ends the loops first. No request may be posted any
 * more. NULL is fine. */
void http_server_destroy(struct http_server *server);

/* ---- a request; on its loop's thread only, but for post --------------------------- */

struct slice http_request_method(const struct http_request *r);
struct slice http_request_path(const struct http_request *r); /* decoded, without query */
struct slice http_request_body(const struct http_request *r);
bool http_request_too_large(const struct http_request *r); /* the body was dropped */
bool http_request_no_room(const struct http_request *r);   /* likewise, for want of memory */
int http_request_loop(const struct http_request *r);       /* 0 to loops - 1 */

/* The first value of a query parameter, decoded; may hold NUL bytes. false: none. */
bool http_request_query(struct http_request *r, const char *name, struct slice *out);

/* Does the content type say that the body is a form, urlencoded or multipart? */
bool http_request_is_form(struct http_request *r);

/* The first value of a field of an urlencoded or multipart body. false: none. */
bool http_request_form(struct http_request *r, const char *name, struct slice *out);

/* What the handler keeps with the request; freed by `release` when the request ends. */
void http_request_set_state(struct http_request *r, void *state, void (*release)(void *));
void *http_request_state(const struct http_request *r);

/* Answer with JSON. `body` is consumed. `allow` is for a 405, else NULL. */
void http_request_answer(struct http_request *r, int http_status, struct buffer *body,
                         const char *allow);

typedef void http_resume(struct http_request *request);

void http_request_wait(struct http_request *r, http_resume *resume);

/* `wait_ms` is at most HTTP_PARK_MS_MAX. Resumed by a post or at the end of the time;
 * then http_request_timed_out() tells which. After a time-out the request may still be
 * posted by somebody who did not know: the handler sees to it that nobody does. */
void http_request_park(struct http_request *r, int64_t wait_ms, http_resume *resume);
bool http_request_timed_out(const struct http_request *r);

/* Have `r` resumed on its loop. Once per wait or park. Any thread. The loop may sleep
 * on until http_server_wake(), so that a batch of posts costs one wake. */
void http_request_post(struct http_request *r);
void http_server_wake(struct http_server *server);

#endif
