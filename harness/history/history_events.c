/*
 * history_events.c - `invoke` opens an operation, the event with the same line (send), id
 * (request) or topic (size, seek) closes it.
 *
 * What is open is kept in maps that stay small. A line or an id that is begun again means the
 * newest; a new life closes what the last one left open.
 */
#include "harness/history/history_events.h"

#include "harness/intmap.h"
#include "harness/history/jsonl.h"
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
    bool plain;          /* offsets may be missing */
    uint32_t last_topic; /* texts, tried first */
    uint32_t last_message;
    struct intmap sends;    /* open: line -> index in producer->sends */
    struct intmap requests; /* open: id -> index in the requests */
    struct intmap sizes;    /* open: topic, a text -> index in consumer->sizes */
    struct intmap saved;    /* the same, of those of the saved position */
    struct intmap seeks;    /* the same in consumer->seeks */
};

/* When and how, of every event. */
struct moment {
    int64_t time_ns;
    bool begins; /* "invoke" */
    enum outcome outcome;
};

static bool lacks(char *reason, size_t reason_size, const char *what)
{
    snprintf(reason, reason_size, "%s", what);
    return false;
}

static uint32_t topic_of(struct reading *r, const struct event *e)
{
    struct slice name = event_string(e, EVENT_TOPIC);

    if (!event_has_string(e, EVENT_TOPIC)) {
        return TEXT_NONE;
    }
    if (r->last_topic == TEXT_NONE || !slice_equals(texts_get(r->texts, r->last_topic), name)) {
        r->last_topic = texts_add(r->texts, name);
    }
    return r->last_topic;
}

static uint32_t message_of(struct reading *r, const struct event *e)
{
    return event_has_string(e, EVENT_MESSAGE)
               ? texts_add_after(r->texts, &r->last_message, event_string(e, EVENT_MESSAGE))
               : TEXT_NONE;
}

static uint32_t code_of(struct reading *r, const struct event *e)
{
    return event_has_string(e, EVENT_CODE) ? texts_add(r->texts, event_string(e, EVENT_CODE))
                                           : TEXT_NONE;
}

static uint32_t path_of(struct reading *r, const struct event *e)
{
    return event_has_string(e, EVENT_PATH) ? texts_add(r->texts, event_string(e, EVENT_PATH))
                                           : TEXT_NONE;
}

static bool moment_of(const struct event *e, struct moment *m, char *reason, size_t reason_size)
{
    static const struct {
        const char *name;
        bool begins;
        enum outcome outcome;
    } types[] = {{"ok", false, OUTCOME_OK},
                 {"invoke", true, OUTCOME_OPEN},
                 {"fail", false, OUTCOME_FAIL},
                 {"info", false, OUTCOME_INFO}};

    if (!event_number(e, EVENT_T, &m->time_ns) || m->time_ns < 0) {
        return lacks(reason, reason_size, "an event without 't', its time in nanoseconds");
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (event_is(e, EVENT_TYPE, types[i].name)) {
            m->begins = types[i].begins;
            m->outcome = types[i].outcome;
            return true;
        }
    }
    return lacks(reason, reason_size, "an event whose 'type' is not invoke, ok, fail or info");
}

/* A line's number; they count from 1. */
static bool line_of(const struct event *e, uint32_t *line)
{
    int64_t number;

    if (!event_number(e, EVENT_LINE, &number) || number < 1 || number >= UINT32_MAX) {
        return false;
    }
    *line = (uint32_t)number;
    return true;
}

/* Where it was stored. A plain system need not say so. */
static bool offset_of(const struct reading *r, const struct event *e, int64_t *offset)
{
    *offset = OFFSET_NONE;
    return (event_number(e, EVENT_OFFSET, offset) && *offset >= 0) ||
           (r->plain && *offset == OFFSET_NONE);
}

/* The same of a send; -1 is said of a repetition whose place the broker no longer knows. */
static bool sent_offset_of(const struct reading *r, const struct event *e, int64_t *offset)
{
    return offset_of(r, e, offset) ||
           (event_number(e, EVENT_OFFSET, offset) && *offset == OFFSET_NONE);
}

/* ---- sends ---------------------------------------------------------------------- */

static bool send_begin(struct reading *r, const struct event *e, const struct moment *m,
                       uint32_t line, char *reason, size_t reason_size)
{
    struct history_producer *p = r->producer;
    uint32_t topic = topic_of(r, e);
    uint32_t message = message_of(r, e);

    if (topic == TEXT_NONE || message == TEXT_NONE) {
        return lacks(reason, reason_size, "a send without 'topic' or 'message'");
    }
    intmap_put(&r->sends, line, p->sends.count);
    MEMORY_PUSH(&p->sends, (struct history_send){.begin_ns = m->time_ns,
                                                 .end_ns = TIME_NONE,
                                                 .offset = OFFSET_NONE,
                                                 .line = line,
                                                 .topic = topic,
                                                 .message = message,
                                                 .code = TEXT_NONE,
                                                 .outcome = OUTCOME_OPEN});
    return true;
}

static bool send_take(struct reading *r, const struct event *e, const struct moment *m,
                      char *reason, size_t reason_size)
{
    uint32_t line;
    size_t index;

    if (!line_of(e, &line)) {
        return lacks(reason, reason_size, "a send without 'line', its line in the log file");
    }
    if (m->begins) {
        return send_begin(r, e, m, line, reason, reason_size);
    }
    if (!intmap_take(&r->sends, line, &index)) {
        return lacks(reason, reason_size, "the end of a send that never began");
    }
    struct history_send *send = &r->producer->sends.items[index];
    send->end_ns = m->time_ns;
    send->outcome = m->outcome;
    send->code = code_of(r, e);
    if (m->outcome == OUTCOME_OK && !sent_offset_of(r, e, &send->offset)) {
        return lacks(reason, reason_size, "an acknowledged send without 'offset'");
    }
    return true;
}

/* ---- requests ------------------------------------------------------------------- */

static void request_begin(struct reading *r, const struct event *e, const struct moment *m,
                          int64_t id)
{
    struct history_request request = {.begin_ns = m->time_ns,
                                      .end_ns = TIME_NONE,
                                      .sequence = NUMBER_NONE,
                                      .offset = OFFSET_NONE,
                                      .http = NUMBER_NONE,
                                      .path = path_of(r, e),
                                      .topic = topic_of(r, e),
                                      .code = TEXT_NONE,
                                      .is_produce = event_is(e, EVENT_PATH, "/producer/produce"),
                                      .is_consume = event_is(e, EVENT_PATH, "/consumer/consume")};
    int64_t count = 1;

    event_number(e, EVENT_SEQUENCE, &request.sequence);
    event_number(e, EVENT_OFFSET, &request.offset);
    event_number(e, EVENT_COUNT, &count);
    request.count = count > 0 && count < UINT32_MAX ? (uint32_t)count : 1;
    if (r->producer != NULL) {
        intmap_put(&r->requests, id, r->producer->requests.count);
        MEMORY_PUSH(&r->producer->requests, request);
    } else {
        intmap_put(&r->requests, id, r->consumer->requests.count);
        MEMORY_PUSH(&r->consumer->requests, request);
    }
}

static struct history_request *request_at(struct reading *r, size_t index)
{
    return r->producer != NULL ? &r->producer->requests.items[index]
                               : &r->consumer->requests.items[index];
}

static bool request_take(struct reading *r, const struct event *e, const struct moment *m,
                         char *reason, size_t reason_size)
{
    int64_t id;
    int64_t http;
    size_t index;

    if (!event_number(e, EVENT_ID, &id) || id < 0) {
        return lacks(reason, reason_size, "a request without 'id'");
    }
    if (m->begins) {
        request_begin(r, e, m, id);
        return true;
    }
    if (!intmap_take(&r->requests, id, &index)) {
        return lacks(reason, reason_size, "the end of a request that never began");
    }
    struct history_request *request = request_at(r, index);
    request->end_ns = m->time_ns;
    request->outcome = m->outcome;
    request->code = code_of(r, e);
    if (event_number(e, EVENT_HTTP, &http) && http >= 0 && http < 1000) {
        request->http = (int32_t)http;
    }
    return true;
}

static bool registration_take(struct reading *r, const struct event *e, const struct moment *m,
                              char *reason, size_t reason_size)
{
    struct history_registration registration = {.time_ns = m->time_ns};
    enum event_member id = r->producer != NULL ? EVENT_PRODUCER_ID : EVENT_CONSUMER_ID;

    if (m->outcome != OUTCOME_OK) {
        return true;
    }
    registration.topic = topic_of(r, e);
    if (registration.topic == TEXT_NONE || !event_number(e, id, &registration.client_id)) {
        return lacks(reason, reason_size,
                     r->producer != NULL ? "a registration without 'topic' or 'producer_id'"
                                         : "a registration without 'topic' or 'consumer_id'");
    }
    if (r->producer != NULL) {
        MEMORY_PUSH(&r->producer->registrations, registration);
    } else {
        MEMORY_PUSH(&r->consumer->registrations, registration);
    }
    return true;
}

/* ---- consumers ------------------------------------------------------------------ */

static bool receive_take(struct reading *r, const struct event *e, const struct moment *m,
                         char *reason, size_t reason_size)
{
    struct history_receive receive = {.time_ns = m->time_ns};

    receive.topic = topic_of(r, e);
    receive.message = message_of(r, e);
    if (receive.topic == TEXT_NONE || receive.message == TEXT_NONE || !line_of(e, &receive.line) ||
        !offset_of(r, e, &receive.offset)) {
        return lacks(reason, reason_size,
                     "a receive without 'topic', 'message', 'line' or 'offset'");
    }
    MEMORY_PUSH(&r->consumer->receives, receive);
    return true;
}

static bool size_take(struct reading *r, const struct event *e, const struct moment *m, bool saved,
                      char *reason, size_t reason_size)
{
    struct history_consumer *c = r->consumer;
    struct intmap *open = saved ? &r->saved : &r->sizes;
    uint32_t topic = topic_of(r, e);
    size_t index;

    if (topic == TEXT_NONE) {
        return lacks(reason, reason_size, "a size without 'topic'");
    }
    if (m->begins) {
        intmap_put(open, topic, c->sizes.count);
        MEMORY_PUSH(&c->sizes, (struct history_size){.begin_ns = m->time_ns,
                                                     .end_ns = TIME_NONE,
                                                     .size = NUMBER_NONE,
                                                     .topic = topic,
                                                     .outcome = OUTCOME_OPEN,
                                                     .saved = saved});
        return true;
    }
    if (!intmap_take(open, topic, &index)) {
        return lacks(reason, reason_size, "the end of a size that never began");
    }
    c->sizes.items[index].end_ns = m->time_ns;
    c->sizes.items[index].outcome = m->outcome;
    if (m->outcome == OUTCOME_OK && !event_number(e, EVENT_SIZE, &c->sizes.items[index].size)) {
        return lacks(reason, reason_size, "a size that is ok without 'size'");
    }
    return true;
}

static bool seek_take(struct reading *r, const struct event *e, const struct moment *m,
                      char *reason, size_t reason_size)
{
    struct history_consumer *c = r->consumer;
    struct history_seek seek = {.begin_ns = m->time_ns,
                                .end_ns = TIME_NONE,
                                .receives = c->receives.count,
                                .topic = topic_of(r, e),
                                .outcome = OUTCOME_OPEN};
    size_t index;

    if (seek.topic == TEXT_NONE) {
        return lacks(reason, reason_size, "a seek without 'topic'");
    }
    if (m->begins) {
        if (!event_number(e, EVENT_OFFSET, &seek.offset)) {
            return lacks(reason, reason_size, "a seek without 'offset'");
        }
        intmap_put(&r->seeks, seek.topic, c->seeks.count);
        MEMORY_PUSH(&c->seeks, seek);
        return true;
    }
    if (!intmap_take(&r->seeks, seek.topic, &index)) {
        return lacks(reason, reason_size, "the end of a seek that never began");
    }
    c->seeks.items[index].end_ns = m->time_ns;
    c->seeks.items[index].outcome = m->outcome;
    return true;
}

/* ---- lives ---------------------------------------------------------------------- */

static void open_release(struct reading *r)
{
    intmap_release(&r->sends);
    intmap_release(&r->requests);
    intmap_release(&r->sizes);
    intmap_release(&r->saved);
    intmap_release(&r->seeks);
}

static void sizes_close(struct reading *r, const struct intmap *open)
{
    for (size_t i = 0; i < open->slot_count; i++) {
        if (open->slots[i].key != -1) {
            r->consumer->sizes.items[open->slots[i].value].outcome = OUTCOME_INFO;
        }
    }
}

/* What the last life had begun and never ended: nobody knows how it went. */
static void open_close(struct reading *r)
{
    for (size_t i = 0; i < r->sends.slot_count; i++) {
        if (r->sends.slots[i].key != -1) {
            r->producer->sends.items[r->sends.slots[i].value].outcome = OUTCOME_INFO;
        }
    }
    for (size_t i = 0; i < r->requests.slot_count; i++) {
        if (r->requests.slots[i].key != -1) {
            request_at(r, r->requests.slots[i].value)->outcome = OUTCOME_INFO;
        }
    }
    sizes_close(r, &r->sizes);
    sizes_close(r, &r->saved);
    for (size_t i = 0; i < r->seeks.slot_count; i++) {
        if (r->seeks.slots[i].key != -1) {
            r->consumer->seeks.items[r->seeks.slots[i].value].outcome = OUTCOME_INFO;
        }
    }
    open_release(r);
}

/* The file held one line more of this topic than the history: it was received. */
static void receive_supply(struct reading *r, const struct moment *m, uint32_t topic, int64_t lines)
{
    struct history_consumer *c = r->consumer;
    int64_t count = 0;
    int64_t offset = 0;
    size_t last = 0; /* the topic's last receive */

    for (size_t i = 0; i < c->receives.count; i++) {
        if (c->receives.items[i].topic == topic) {
            count++;
            offset = c->receives.items[i].offset + 1;
            last = i;
        }
    }
    for (size_t i = 0; i < c->seeks.count; i++) {
        const struct history_seek *seek = &c->seeks.items[i];
        if (seek->topic == topic && seek->outcome == OUTCOME_OK &&
            (count == 0 || seek->receives > last)) {
            offset = seek->offset; /* nothing of the topic was received since */
        }
    }
    if (lines == count + 1) {
        struct history_receive receive = {.time_ns = m->time_ns,
                                          .offset = r->plain ? OFFSET_NONE : offset,
                                          .line = (uint32_t)c->receives.count + 1,
                                          .topic = topic,
                                          .message = TEXT_NONE}; /* the file has it */
        MEMORY_PUSH(&c->receives, receive);
    }
}

static void life_take(struct reading *r, const struct event *e, const struct moment *m)
{
    struct history_life life = {m->time_ns, 1, 0};

    event_number(e, EVENT_INCARNATION, &life.incarnation);
    open_close(r);
    if (r->producer != NULL) {
        MEMORY_PUSH(&r->producer->lives, life);
        return;
    }
    const struct json_value *lines = e->object == NULL ? NULL : json_get(e->object, "lines");
    for (size_t t = 0; t < r->history->topic_count; t++) {
        int64_t count;
        if (json_int(json_get(lines, texts_get(r->texts, (uint32_t)t).data), &count)) {
            receive_supply(r, m, (uint32_t)t, count);
        }
    }
    life.receives = r->consumer->receives.count;
    MEMORY_PUSH(&r->consumer->lives, life);
}

static bool client_event(void *arg, const struct event *e, char *reason, size_t reason_size)
{
    struct reading *r = arg;
    struct moment m;

    if (!moment_of(e, &m, reason, reason_size)) {
        return false;
    }
    if (event_is(e, EVENT_OP, "request")) {
        return request_take(r, e, &m, reason, reason_size);
    }
    if (event_is(e, EVENT_OP, "register")) {
        return registration_take(r, e, &m, reason, reason_size);
    }
    if (event_is(e, EVENT_OP, "start")) {
        life_take(r, e, &m);
        return true;
    }
    if (r->producer != NULL) {
        return !event_is(e, EVENT_OP, "send") || send_take(r, e, &m, reason, reason_size);
    }
    if (event_is(e, EVENT_OP, "receive")) {
        return receive_take(r, e, &m, reason, reason_size);
    }
    if (event_is(e, EVENT_OP, "size") || event_is(e, EVENT_OP, "saved")) {
        return size_take(r, e, &m, event_is(e, EVENT_OP, "saved"), reason, reason_size);
    }
    return !event_is(e, EVENT_OP, "seek") || seek_take(r, e, &m, reason, reason_size);
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
    struct slice more;
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
        struct history_fault new = {number,    0,         time_ns,     TIME_NONE,
                                    TIME_NONE, TIME_NONE, NUMBER_NONE, TEXT_NONE};
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
        if (jsonl_string(object, "more", &more)) {
            fault->more = texts_add(&h->texts, more);
        }
    } else if (jsonl_is(object, "type", "restart")) {
        fault->restart_ns = time_ns;
    } else if (jsonl_is(object, "type", "end")) {
        fault->end_ns = time_ns;
    }
    return true;
}

/* ---- rows ----------------------------------------------------------------------- */

static bool row_take(void *arg, const struct event *e, char *reason, size_t reason_size)
{
    struct reading *r = arg;
    struct history_row row = {.sequence = NUMBER_NONE, .producer_id = NUMBER_NONE};
    int64_t partition = 0;

    row.topic = topic_of(r, e);
    if (row.topic != TEXT_NONE && event_number(e, EVENT_FIRST_OFFSET, &row.offset)) {
        MEMORY_PUSH(&r->history->removed, (struct history_removed){row.topic, row.offset});
        return true;
    }
    row.message = message_of(r, e);
    event_number(e, EVENT_PARTITION, &partition);
    event_number(e, EVENT_SEQUENCE, &row.sequence);
    event_number(e, EVENT_PRODUCER_ID, &row.producer_id);
    if (row.topic == TEXT_NONE || row.message == TEXT_NONE ||
        !event_number(e, EVENT_OFFSET, &row.offset)) {
        return lacks(reason, reason_size, "a row without 'topic', 'offset' or 'message'");
    }
    if (partition != 0) {
        return lacks(reason, reason_size, "a row of a partition other than 0");
    }
    MEMORY_PUSH(&r->history->rows, row);
    return true;
}

/* ---- files ---------------------------------------------------------------------- */

static struct reading reading_of(struct history *h)
{
    return (struct reading){.texts = &h->texts,
                            .history = h,
                            .plain = h->run.plain,
                            .last_topic = TEXT_NONE,
                            .last_message = TEXT_NONE};
}

bool history_read_producer(const char *path, struct history *h, struct history_producer *p,
                           char *error, size_t error_size)
{
    struct reading r = reading_of(h);

    r.producer = p;
    enum jsonl_result result = jsonl_read_events(path, client_event, &r, error, error_size);
    open_release(&r);
    p->recorded = result == JSONL_OK;
    return result != JSONL_BAD;
}

bool history_read_consumer(const char *path, struct history *h, struct history_consumer *c,
                           char *error, size_t error_size)
{
    struct reading r = reading_of(h);

    r.consumer = c;
    enum jsonl_result result = jsonl_read_events(path, client_event, &r, error, error_size);
    open_release(&r);
    c->recorded = result == JSONL_OK;
    return result != JSONL_BAD;
}

bool history_read_harness(const char *path, struct history *h, char *error, size_t error_size)
{
    return jsonl_read(path, fault_event, h, error, error_size) != JSONL_BAD;
}

bool history_read_rows(const char *path, struct history *h, char *error, size_t error_size)
{
    struct reading r = reading_of(h);
    enum jsonl_result result = jsonl_read_whole(path, row_take, &r, error, error_size);

    h->rows_read = result == JSONL_OK;
    return result != JSONL_BAD;
}
