/*
 * history.h - what a program did and what came of it, as JSON Lines, for the checker.
 *
 * Every event is one line and one write(2) to a file that is opened for appending: what a
 * killed program had begun is there, whole. An `invoke` is written before the operation goes
 * out; its end is `ok`, `fail` (certainly not executed) or `info` (not known). `t` is
 * CLOCK_MONOTONIC in nanoseconds.
 *
 * A NULL history takes events and writes nothing. Needs the library's types only. Threads:
 * any.
 */
#ifndef SCENARIOS_HISTORY_H
#define SCENARIOS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "myqueue.h"

struct history;

/* `process` is "P1" or "C2". With `path` NULL, `*history` is NULL. False: one line is on
 * stderr. */
bool history_open(const char *path, const char *process, struct history **history);

/* False when an event could not be written; one line is on stderr. */
bool history_close(struct history *history);

/* A life begins, the first or another one: the first event of each. A consumer says how many lines
 * of each topic its file holds; a producer gives `lines` NULL. */
void history_start(struct history *history, int64_t life, const char *const *topics,
                   const int64_t *lines, size_t topic_count);

/* A producer is about to send line `line` of its file. */
void history_send(struct history *history, int line, const char *topic, const char *message,
                  size_t length);

/* What became of it; the delivery's tag is the line, `code` the status's name. */
void history_sent(struct history *history, const struct myqueue_delivery *delivery,
                  const char *code);

/* A consumer has written `message` as line `line` of its file. */
void history_receive(struct history *history, int64_t line, const MyMessage *message);

/* A consumer is about to ask how many messages of the topic it has not taken; and what it was told,
 * -1: it was not. */
void history_size(struct history *history, const char *topic);
void history_sized(struct history *history, const char *topic, int64_t size);

/* The same of the position that the broker has saved: no consume has told it since the last one
 * that failed, or since the consumer was started again. */
void history_saved(struct history *history, const char *topic);
void history_saved_told(struct history *history, const char *topic, int64_t size);

/* A consumer is about to go on at `offset` of the topic; and what came of it: `code` is the
 * status's name. */
void history_seek(struct history *history, const char *topic, int64_t offset);
void history_sought(struct history *history, const char *topic, enum myqueue_status status,
                    const char *code);

/* A request begins or ends. A registration is also an operation of its own. */
void history_attempt(struct history *history, const struct myqueue_attempt *attempt);

#endif
