/*
 * call.h - one request from the caller's own thread, for the functions that need no client.
 *
 * Threads: any.
 */
#ifndef MYQUEUE_SRC_CALL_H
#define MYQUEUE_SRC_CALL_H

#include "myqueue.h"
#include "myqueue/src/reply.h"

/*
 * POST `body` to url + target, or GET it when `body` is NULL, once. The reply is the
 * caller's to release. MYQUEUE_NO_MEMORY, or MYQUEUE_OK with any kind of reply.
 */
enum myqueue_status mq_call(const char *url, const char *target, const char *body, int limit_ms,
                            struct mq_reply *reply);

/* Told of every try, if not NULL: `reply` is NULL before it, and then what came of it. */
struct mq_call_watch {
    void (*tried)(void *arg, const struct mq_reply *reply);
    void *arg;
};

/*
 * The same until there is a success or a refusal. MYQUEUE_BROKER_AWAY, with one line in
 * `error`, when there was none for timeout_ms; then there is nothing to release.
 */
enum myqueue_status mq_call_until(const char *url, const char *target, const char *body,
                                  int timeout_ms, const struct mq_call_watch *watch,
                                  struct mq_reply *reply, char *error);

/* What came of GET /size, a success or a refusal, which is released: MYQUEUE_OK and the size, or
 * the reason why there is none, with one line in `error`. */
enum myqueue_status mq_call_size(struct mq_reply *reply, int64_t *size, char *error);

#endif
