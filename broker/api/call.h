/*
 * call.h - one request on its way through the API.
 *
 * Parameters are taken from wherever clients put them: a JSON body, a form body, the query
 * string, on every method; what is in the body wins. A parameter that is null counts as
 * missing.
 *
 * Threads: its loop's.
 */
#ifndef BROKER_API_CALL_H
#define BROKER_API_CALL_H

#include "broker/api/api.h"
#include "common/json.h"

struct call {
    struct api *api;
    struct http_request *request;
    /* The body, when it is a JSON object; NULL again once the request has been read. */
    const struct json_value *json;
    bool is_form;
    /* What it waits for; released with the call. */
    struct queue_write *write;
    struct consume *consume;
    struct queue_ping *ping;
    struct slice topic;       /* as asked, for answers */
    struct buffer topic_copy; /* where it is: the query ends when the client leaves */
    size_t count;             /* produce: messages sent as a batch, or 0 */
    bool as_list;             /* consume: the answer is a list */
    void (*answer_consume)(struct call *call); /* of a success */
    int64_t wait_until_ms;                     /* consume: clock_now_ms() */
};

/* ---- parameters: false means that the call has been answered with a 400 ------------------ */

/* Look at the body. `json` is where it is read to, the caller's to release. */
bool call_parse(struct call *call, struct json_document *json);

/* The topic, by any of its names (topic, topic_name, name). */
bool call_topic(struct call *call);

/* A member of a JSON body, of any kind; NULL when there is none. */
const struct json_value *call_json(const struct call *call, const char *name);

/* A text; *found false when there is none. */
bool call_text(struct call *call, const char *name, struct slice *out, bool *found);

/* A whole number from `smallest` to `largest`; `out` is left alone when there is none and
 * it is not needed. */
bool call_int(struct call *call, const char *name, int64_t smallest, int64_t largest, bool needed,
              int64_t *out);

/* ---- answers: each ends the call ----------------------------------------------------------- */

/* `{"status": "success"` is in the buffer; what is added follows, without the last brace. */
void answer_begin(struct buffer *body);
void answer_end(struct call *call, struct buffer *body);

void answer_failure(struct call *call, enum status status);

/* `allow`: the methods that the path takes, for the header of that name. */
void answer_wrong_method(struct call *call, const char *allow);

/* A message of our own instead of the status' words. */
void answer_failure_text(struct call *call, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A producer or consumer has been registered, or not: call->write tells. with_offset: say
 * where it begins, when that is not the first message ever. */
void answer_registered(struct call *call, const char *id_name, bool with_offset);

/* The call waits: `done` has it resumed on its loop, with `resume`. */
void call_wait(struct call *call, http_resume *resume);
void call_done(void *request); /* a queue_done; arg is the call's http_request */

/* ---- one per resource ------------------------------------------------------------------------ */

void topics_create(struct call *call);
void topics_list(struct call *call);
void producer_register(struct call *call);
void producer_produce(struct call *call);
void consumer_register(struct call *call);
void consumer_consume(struct call *call);
void consumer_seek(struct call *call);
void consumer_size(struct call *call);
void health_get(struct call *call);

#endif
