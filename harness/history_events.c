/*
 * history_events.c - `invoke` opens an operation, the event with the same line (send) or
 * id (request) closes it.
 *
 * A line or an id that is begun again (a process that was started again) means the newest.
 */
#include "harness/history_events.h"

#include "harness/intmap.h"
#include "harness/jsonl.h"
#include "harness/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The file that is being read; which of these are set depends on whose it is. */
struct reading {
    struct texts *texts;
    struct history_producer *producer;
    struct history_consumer *consumer;
    struct history *history;
    struct intmap sends;    /* line -> index in producer->sends */
    struct intmap requests; /* id -> index in the requests */
};

struct event {
    const struct json_value *object;
    int64_t time_ns;
    bool begins; /* "invoke" */
    enum outcome outcome;
};

static uint32_t text_of(struct texts *t, const struct json_value *object, const char *key)
{
    struct slice s;
    return jsonl_string(object, key, &s) ? texts_add(t, s) : TEXT_NONE;
}

static bool lacks(char *reason, size_t reason_size, const char *what)
{
    snprintf(reason, reason_size, "%s", what);
    return false;
}

static bool event_parse(const struct json_value *object, struct event *e, char *reason,
                        size_t reason_size)
{
    static const struct {
        const char *name;
        bool begins;
        enum outcome outcome;
    } types[] = {{"invoke", true, OUTCOME_OPEN},
                 {"ok", false, OUTCOME_OK},
                 {"fail", false, OUTCOME_FAIL},
                 {"info", false, OUTCOME_INFO}};

    e->object = object;
    if (!jsonl_time(object, "t", &e->time_ns)) {
        return lacks(reason, reason_size, "an event without 't', its time in nanoseconds");
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (jsonl_is(object, "type", types[i].name)) {
            e->begins = types[i].begins;
            e->outcome = types[i].outcome;
            return true;
        }
    }
    return lacks(reason, reason_size, "an event whose 'type' is not invoke, ok, fail or info");
}

/* ---- operations ----------------------------------------------------------------- */

static bool send_take(struct reading *r, const struct event *e, char *reason, size_t reason_size)
{
    struct history_producer *p = r->producer;
    struct history_send *send;
    int64_t line;
    size_t index;

    if (!jsonl_int(e->object, "line", &line) || line < 1) {
        return lacks(reason, reason_size, "a send without 'line', its line in the log file");
    }
    if (e->begins) {
        uint32_t topic = text_of(r->texts, e->object, "topic");
        uint32_t message = text_of(r->texts, e->object, "message");
        if (topic == TEXT_NONE || message == TEXT_NONE) {
            return lacks(reason, reason_size, "a send without 'topic' or 'message'");
        }
        intmap_put(&r->sends, line, p->sends.count);
        MEMORY_PUSH(&p->sends, (struct history_send){e->time_ns, TIME_NONE, line, OFFSET_NONE,
                                                     topic, message, TEXT_NONE, OUTCOME_OPEN});
        return true;
    }
    if (!intmap_get(&r->sends, line, &index)) {
        return lacks(reason, reason_size, "the end of a send that never began");
    }
    send = &p->sends.items[index];
    send->end_ns = e->time_ns;
    send->outcome = e->outcome;
    send->code = text_of(r->texts, e->object, "code");
    if (e->outcome == OUTCOME_OK &&
        (!jsonl_int(e->object, "offset", &send->offset) || send->offset < 0)) {
        return lacks(reason, reason_size, "an acknowledged send without 'offset'");
    }
    return true;
}

static bool request_take(struct reading *r, const struct event *e, char *reason, size_t reason_size)
{
    int64_t id;
    size_t index;

    if (!jsonl_int(e->object, "id", &id) || id < 0) {
        return lacks(reason, reason_size, "a request without 'id'");
    }
    if (e->begins) {
        struct history_request request = {.begin_ns = e->time_ns,
                                          .end_ns = TIME_NONE,
                                          .sequence = NUMBER_NONE,
                                          .offset = OFFSET_NONE,
                                          .http = NUMBER_NONE,
                                          .code = TEXT_NONE};
        request.topic = text_of(r->texts, e->object, "topic");
        request.is_produce = jsonl_is(e->object, "path", "/producer/produce");
        jsonl_int(e->object, "sequence", &request.sequence);
        jsonl_int(e->object, "offset", &request.offset);
        size_t at = r->producer != NULL ? r->producer->requests.count : r->consumer->requests.count;
        intmap_put(&r->requests, id, at);
        if (r->producer != NULL) {
            MEMORY_PUSH(&r->producer->requests, request);
        } else {
            MEMORY_PUSH(&r->consumer->requests, request);
        }
        return true;
    }
    if (!intmap_get(&r->requests, id, &index)) {
        return lacks(reason, reason_size, "the end of a request that never began");
    }
    struct history_request *request = r->producer != NULL ? &r->producer->requests.items[index]
                                                          : &r->consumer->requests.items[index];
    request->end_ns = e->time_ns;
    request->outcome = e->outcome;
    request->code = text_of(r->texts, e->object, "code");
    jsonl_int(e->object, "http", &request->http);
    return true;
}

static bool registration_take(struct reading *r, const struct event *e, char *reason,
                              size_t reason_size)
{
    struct history_registration registration;

    if (e->outcome != OUTCOME_OK) {
        return true;
    }
    registration.topic = text_of(r->texts, e->object, "topic");
    if (registration.topic == TEXT_NONE ||
        !jsonl_int(e->object, "producer_id", &registration.producer_id)) {
        return lacks(reason, reason_size, "a registration without 'topic' or 'producer_id'");
    }
    MEMORY_PUSH(&r->producer->registrations, registration);
    return true;
}

static bool receive_take(struct reading *r, const struct event *e, char *reason, size_t reason_size)
{
    struct history_receive receive = {.time_ns = e->time_ns};

    receive.topic = text_of(r->texts, e->object, "topic");
    receive.message = text_of(r->texts, e->object, "message");
    if (receive.topic == TEXT_NONE || receive.message == TEXT_NONE ||
        !jsonl_int(e->object, "line", &receive.line) ||
        !jsonl_int(e->object, "offset", &receive.offset)) {
        return lacks(reason, reason_size,
                     "a receive without 'topic', 'message', 'line' or 'offset'");
    }
    MEMORY_PUSH(&r->consumer->receives, receive);
    return true;
}

static bool client_event(void *arg, const struct json_value *object, char *reason,
                         size_t reason_size)
{
    struct reading *r = arg;
    struct event e;

    if (!event_parse(object, &e, reason, reason_size)) {
        return false;
    }
    if (jsonl_is(object, "op", "request")) {
        return request_take(r, &e, reason, reason_size);
    }
    if (r->producer != NULL && jsonl_is(object, "op", "send")) {
        return send_take(r, &e, reason, reason_size);
    }
    if (r->producer != NULL && jsonl_is(object, "op", "register")) {
        return registration_take(r, &e, reason, reason_size);
    }
    if (r->consumer != NULL && jsonl_is(object, "op", "receive")) {
        return receive_take(r, &e, reason, reason_size);
    }
    return true;
}

/* ---- faults --------------------------------------------------------------------- */

static struct history_fault *fault_of(struct history *h, int64_t number)
{
    for (size_t i = 0; i < h->faults.count; i++) {
        if (h->faults.items[i].number == number) {
            return &h->faults.items[i];
        }
    }
    return NULL;
}

static bool fault_event(void *arg, const struct json_value *object, char *reason,
                        size_t reason_size)
{
    struct history *h = arg;
    int64_t time_ns;
    int64_t number;

    if (!jsonl_is(object, "op", "fault")) {
        return true;
    }
    if (!jsonl_time(object, "t", &time_ns) || !jsonl_int(object, "fault", &number)) {
        return lacks(reason, reason_size, "a fault's event without 't' or 'fault', its number");
    }
    struct history_fault *fault = fault_of(h, number);
    if (jsonl_is(object, "type", "begin")) {
        struct history_fault new = {number,    0,         time_ns,    TIME_NONE,
                                    TIME_NONE, TIME_NONE, NUMBER_NONE};
        jsonl_int(object, "acks", &new.acks);
        if (fault != NULL) {
            return lacks(reason, reason_size, "a fault that begins twice");
        }
        MEMORY_PUSH(&h->faults, new);
        return true;
    }
    if (fault == NULL) {
        return lacks(reason, reason_size, "an event of a fault that never began");
    }
    if (jsonl_is(object, "type", "hit")) {
        fault->hit_ns = time_ns;
        jsonl_int(object, "bit", &fault->bit);
    } else if (jsonl_is(object, "type", "restart")) {
        fault->restart_ns = time_ns;
    } else if (jsonl_is(object, "type", "end")) {
        fault->end_ns = time_ns;
    }
    return true;
}

/* ---- rows ----------------------------------------------------------------------- */

static bool row_take(void *arg, const struct json_value *object, char *reason, size_t reason_size)
{
    struct history *h = arg;
    struct history_row row = {.sequence = NUMBER_NONE, .producer_id = NUMBER_NONE};
    int64_t partition = 0;

    row.topic = text_of(&h->texts, object, "topic");
    row.message = text_of(&h->texts, object, "message");
    jsonl_int(object, "partition", &partition);
    jsonl_int(object, "sequence", &row.sequence);
    jsonl_int(object, "producer_id", &row.producer_id);
    if (row.topic == TEXT_NONE || row.message == TEXT_NONE ||
        !jsonl_int(object, "offset", &row.offset)) {
        return lacks(reason, reason_size, "a row without 'topic', 'offset' or 'message'");
    }
    if (partition != 0) {
        return lacks(reason, reason_size, "a row of a partition other than 0");
    }
    MEMORY_PUSH(&h->rows, row);
    return true;
}

/* ---- files ---------------------------------------------------------------------- */

bool history_read_producer(const char *path, struct texts *texts, struct history_producer *p,
                           char *error, size_t error_size)
{
    struct reading r = {.texts = texts, .producer = p};
    enum jsonl_result result = jsonl_read(path, client_event, &r, error, error_size);

    intmap_release(&r.sends);
    intmap_release(&r.requests);
    p->recorded = result == JSONL_OK;
    return result != JSONL_BAD;
}

bool history_read_consumer(const char *path, struct texts *texts, struct history_consumer *c,
                           char *error, size_t error_size)
{
    struct reading r = {.texts = texts, .consumer = c};
    enum jsonl_result result = jsonl_read(path, client_event, &r, error, error_size);

    intmap_release(&r.requests);
    c->recorded = result == JSONL_OK;
    return result != JSONL_BAD;
}

bool history_read_harness(const char *path, struct history *h, char *error, size_t error_size)
{
    return jsonl_read(path, fault_event, h, error, error_size) != JSONL_BAD;
}

bool history_read_rows(const char *path, struct history *h, char *error, size_t error_size)
{
    enum jsonl_result result = jsonl_read(path, row_take, h, error, error_size);

    h->rows_read = result == JSONL_OK;
    return result != JSONL_BAD;
}
