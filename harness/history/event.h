/*
 * event.h - one line of a client's history, or of rows.jsonl, as a struct.
 *
 *   {"t":17,"process":"P1","op":"send","type":"ok","line":3,"topic":"T1","offset":41}
 *
 * A line that is a flat object of whole numbers and of plain ASCII strings, as nearly all
 * are, is taken apart in one pass, without a document; any other one by the JSON reader. Both
 * ways give the same.
 *
 * Threads: any.
 */
#ifndef HARNESS_EVENT_H
#define HARNESS_EVENT_H

#include "common/json.h"

/* The members that are looked at, by their names. Others are passed over. */
#define EVENT_MEMBERS(X)                                                                           \
    X(EVENT_T, "t")                                                                                \
    X(EVENT_OP, "op")                                                                              \
    X(EVENT_TYPE, "type")                                                                          \
    X(EVENT_LINE, "line")                                                                          \
    X(EVENT_TOPIC, "topic")                                                                        \
    X(EVENT_MESSAGE, "message")                                                                    \
    X(EVENT_OFFSET, "offset")                                                                      \
    X(EVENT_ID, "id")                                                                              \
    X(EVENT_PATH, "path")                                                                          \
    X(EVENT_SEQUENCE, "sequence")                                                                  \
    X(EVENT_COUNT, "count")                                                                        \
    X(EVENT_HTTP, "http")                                                                          \
    X(EVENT_CODE, "code")                                                                          \
    X(EVENT_SIZE, "size")                                                                          \
    X(EVENT_PRODUCER_ID, "producer_id")                                                            \
    X(EVENT_CONSUMER_ID, "consumer_id")                                                            \
    X(EVENT_FIRST_OFFSET, "first_offset")                                                          \
    X(EVENT_PARTITION, "partition")                                                                \
    X(EVENT_INCARNATION, "incarnation")

#define EVENT_ENUM(member, name) member,
enum event_member { EVENT_MEMBERS(EVENT_ENUM) EVENT_MEMBER_COUNT };
#undef EVENT_ENUM

struct event {
    uint32_t has_number; /* a bit for each member */
    uint32_t has_string;
    int64_t numbers[EVENT_MEMBER_COUNT];
    struct slice strings[EVENT_MEMBER_COUNT];
    const struct json_value *object; /* NULL when it was taken apart in one pass */
};

/* From a line without its newline, which is borrowed. false: it is not such a flat object;
 * event_of_json() then takes it. */
bool event_scan(struct event *e, struct slice line);

/* From an object, which is borrowed. */
void event_of_json(struct event *e, const struct json_value *object);

/* A whole number; false, and `*out` as it was, when there is none. */
bool event_number(const struct event *e, enum event_member member, int64_t *out);

/* Empty when there is none. */
struct slice event_string(const struct event *e, enum event_member member);
bool event_has_string(const struct event *e, enum event_member member);
bool event_is(const struct event *e, enum event_member member, const char *value);

#endif
