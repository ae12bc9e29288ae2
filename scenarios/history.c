/*
 * history.c - see history.h.
 */
#include "scenarios/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct history {
    int file;
    char process[16];
    char path[512];
    pthread_mutex_t lock; /* one event at a time */
    /* guarded by lock: */
    FILE *event; /* the event being made, in memory */
    char *bytes;
    size_t length;
    int failed; /* errno of the first write that failed, or 0 */
};

bool history_open(const char *path, const char *process, struct history **out)
{
    *out = NULL;
    if (path == NULL) {
        return true;
    }
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL) {
        fprintf(stderr, "out of memory for the history\n");
        return false;
    }
    snprintf(history->process, sizeof history->process, "%s", process);
    snprintf(history->path, sizeof history->path, "%s", path);
    history->event = open_memstream(&history->bytes, &history->length);
    history->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (history->event == NULL || history->file == -1) {
        fprintf(stderr, "cannot write the history %s: %s\n", path, strerror(errno));
        if (history->event != NULL) {
            fclose(history->event);
        }
        free(history->bytes);
        free(history);
        return false;
    }
    pthread_mutex_init(&history->lock, NULL);
    *out = history;
    return true;
}

bool history_close(struct history *history)
{
    if (history == NULL) {
        return true;
    }
    int failed = history->failed;
    if (failed != 0) {
        fprintf(stderr, "cannot write the history %s: %s\n", history->path, strerror(failed));
    }
    fclose(history->event);
    close(history->file);
    free(history->bytes);
    pthread_mutex_destroy(&history->lock);
    free(history);
    return failed == 0;
}

/* ---- an event --------------------------------------------------------------------- */

/* The text is UTF-8. */
static void event_quoted(struct history *history, const char *text, size_t length)
{
    FILE *event = history->event;
    fputc('"', event);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            fputc('\\', event);
            fputc(c, event);
        } else if (c < 0x20) {
            fprintf(event, "\\u%04x", c);
        } else {
            fputc(c, event);
        }
    }
    fputc('"', event);
}

static void event_string(struct history *history, const char *name, const char *text, size_t length)
{
    fprintf(history->event, ",\"%s\":", name);
    event_quoted(history, text, length);
}

static void event_text(struct history *history, const char *name, const char *text)
{
    event_string(history, name, text, strlen(text));
}

static void event_number(struct history *history, const char *name, int64_t number)
{
    fprintf(history->event, ",\"%s\":%" PRId64, name, number);
}

/* Takes the lock; event_end gives it back. */
static void event_begin(struct history *history, const char *op, const char *type)
{
    struct timespec t;
    pthread_mutex_lock(&history->lock);
    clock_gettime(CLOCK_MONOTONIC, &t);
    rewind(history->event);
    fprintf(history->event, "{\"t\":%" PRId64 ",\"process\":\"%s\",\"op\":\"%s\",\"type\":\"%s\"",
            (int64_t)t.tv_sec * 1000000000 + t.tv_nsec, history->process, op, type);
}

static void event_end(struct history *history)
{
    fputs("}\n", history->event);
    ssize_t written = -1;
    if (fflush(history->event) == 0) {
        written = write(history->file, history->bytes, history->length);
    }
    if (written != (ssize_t)history->length && history->failed == 0) {
        history->failed = written == -1 ? errno : ENOSPC;
    }
    pthread_mutex_unlock(&history->lock);
}

/* ---- the events ------------------------------------------------------------------- */

void history_start(struct history *history, int64_t life, const char *const *topics,
                   const int64_t *lines, size_t topic_count)
{
    if (history == NULL) {
        return;
    }
    event_begin(history, "start", "ok");
    event_number(history, "incarnation", life);
    if (lines != NULL) {
        fputs(",\"lines\":{", history->event);
        for (size_t i = 0; i < topic_count; i++) {
            fputs(i > 0 ? "," : "", history->event);
            event_quoted(history, topics[i], strlen(topics[i]));
            fprintf(history->event, ":%" PRId64, lines[i]);
        }
        fputc('}', history->event);
    }
    event_end(history);
}

void history_send(struct history *history, int line, const char *topic, const char *message,
                  size_t length)
{
    if (history == NULL) {
        return;
    }
    event_begin(history, "send", "invoke");
    event_number(history, "line", line);
    event_text(history, "topic", topic);
    event_string(history, "message", message, length);
    event_end(history);
}

void history_sent(struct history *history, const struct myqueue_delivery *delivery,
                  const char *code)
{
    if (history == NULL) {
        return;
    }
    bool ok = delivery->status == MYQUEUE_OK;
    bool unknown = delivery->status == MYQUEUE_OUTCOME_UNKNOWN;
    event_begin(history, "send", ok ? "ok" : unknown ? "info" : "fail");
    event_number(history, "line", (int64_t)delivery->tag);
    event_text(history, "topic", delivery->topic);
    if (ok) {
        event_number(history, "offset", delivery->offset);
    } else {
        event_text(history, "code", code);
        event_text(history, "error", delivery->error);
    }
    event_end(history);
}

void history_receive(struct history *history, int64_t line, const MyMessage *message)
{
    if (history == NULL) {
        return;
    }
    event_begin(history, "receive", "ok");
    event_number(history, "line", line);
    event_text(history, "topic", message->topic);
    event_number(history, "offset", message->offset);
    event_string(history, "message", message->message, message->length);
    event_end(history);
}

static void size_begin(struct history *history, const char *op, const char *topic)
{
    if (history == NULL) {
        return;
    }
    event_begin(history, op, "invoke");
    event_text(history, "topic", topic);
    event_end(history);
}

static void size_end(struct history *history, const char *op, const char *topic, int64_t size)
{
    if (history == NULL) {
        return;
    }
    event_begin(history, op, size >= 0 ? "ok" : "info");
    event_text(history, "topic", topic);
    if (size >= 0) {
        event_number(history, "size", size);
    }
    event_end(history);
}

void history_size(struct history *history, const char *topic)
{
    size_begin(history, "size", topic);
}

void history_sized(struct history *history, const char *topic, int64_t size)
{
    size_end(history, "size", topic, size);
}

void history_saved(struct history *history, const char *topic)
{
    size_begin(history, "saved", topic);
}

void history_saved_told(struct history *history, const char *topic, int64_t size)
{
    size_end(history, "saved", topic, size);
}

void history_seek(struct history *history, const char *topic, int64_t offset)
{
    if (history == NULL) {
        return;
    }
    event_begin(history, "seek", "invoke");
    event_text(history, "topic", topic);
    event_number(history, "offset", offset);
    event_end(history);
}

void history_sought(struct history *history, const char *topic, enum myqueue_status status,
                    const char *code)
{
    if (history == NULL) {
        return;
    }
    bool refused = status == MYQUEUE_OFFSET_OUT_OF_RANGE || status == MYQUEUE_REFUSED ||
                   status == MYQUEUE_FORGOTTEN;
    event_begin(history, "seek", status == MYQUEUE_OK ? "ok" : refused ? "fail" : "info");
    event_text(history, "topic", topic);
    if (status != MYQUEUE_OK) {
        event_text(history, "code", code);
    }
    event_end(history);
}

/* How an attempt ended. A refusal has a code or an error, and so has what got no answer. */
static const char *attempt_type(const struct myqueue_attempt *attempt)
{
    if (attempt->phase == MYQUEUE_BEGIN) {
        return "invoke";
    }
    if (attempt->http == 200 && attempt->error[0] == '\0') {
        return "ok";
    }
    return attempt->not_executed ? "fail" : "info";
}

static void attempt_end(struct history *history, const struct myqueue_attempt *attempt)
{
    if (attempt->code[0] != '\0') {
        event_text(history, "code", attempt->code);
    }
    if (attempt->error[0] != '\0') {
        event_text(history, "error", attempt->error);
    }
}

static void history_registration(struct history *history, const struct myqueue_attempt *attempt)
{
    event_begin(history, "register", attempt_type(attempt));
    event_text(history, "topic", attempt->topic);
    if (attempt->phase == MYQUEUE_END) {
        if (attempt->client_id >= 0) {
            bool producer = strncmp(attempt->path, "/producer/", 10) == 0;
            event_number(history, producer ? "producer_id" : "consumer_id", attempt->client_id);
        }
        attempt_end(history, attempt);
    }
    event_end(history);
}

static void history_request(struct history *history, const struct myqueue_attempt *attempt)
{
    event_begin(history, "request", attempt_type(attempt));
    event_number(history, "id", (int64_t)attempt->id);
    if (attempt->phase == MYQUEUE_END) {
        event_number(history, "http", attempt->http);
        attempt_end(history, attempt);
    } else {
        event_text(history, "path", attempt->path);
        event_text(history, "topic", attempt->topic);
        if (attempt->sequence >= 0) {
            event_number(history, "sequence", attempt->sequence);
            event_number(history, "count", attempt->count);
        }
        if (attempt->offset >= 0) {
            event_number(history, "offset", attempt->offset);
        }
    }
    event_end(history);
}

void history_attempt(struct history *history, const struct myqueue_attempt *attempt)
{
    if (history == NULL) {
        return;
    }
    const char *last = strrchr(attempt->path, '/');
    bool registration = last != NULL && strcmp(last, "/register") == 0;
    if (registration && attempt->phase == MYQUEUE_BEGIN) {
        history_registration(history, attempt);
    }
    history_request(history, attempt);
    if (registration && attempt->phase == MYQUEUE_END) {
        history_registration(history, attempt);
    }
}
