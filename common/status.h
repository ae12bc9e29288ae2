/*
 * status.h - every way in which a request can end: one map gives the code that
 * programs read, the HTTP status, and the words that people read. Nothing else in the
 * broker invents any of the three.
 */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

/* X(name, HTTP status, code, words) */
#define STATUS_MAP(X)                                                                              \
    X(STATUS_OK, 200, "ok", "success")                                                             \
    X(STATUS_NO_MESSAGE, 400, "no_message", "there is no message for this consumer yet")           \
    X(STATUS_UNKNOWN_TOPIC, 400, "unknown_topic", "there is no such topic")                        \
    X(STATUS_UNKNOWN_CONSUMER, 400, "unknown_consumer", "there is no consumer with this id")       \
    X(STATUS_UNKNOWN_PRODUCER, 400, "unknown_producer", "there is no producer with this id")       \
    X(STATUS_NOT_REGISTERED, 400, "not_registered", "this id is registered for another topic")     \
    X(STATUS_TOPIC_EXISTS, 400, "topic_exists", "the topic exists already")                        \
    X(STATUS_BAD_REQUEST, 400, "bad_request", "the request cannot be understood")                  \
    X(STATUS_BAD_TOPIC_NAME, 400, "bad_topic_name",                                                \
      "a topic's name is 1 to 200 bytes of UTF-8 without control characters")                      \
    X(STATUS_BAD_MESSAGE, 400, "bad_message", "a message is UTF-8 text without U+0000")            \
    X(STATUS_OUT_OF_SEQUENCE, 400, "out_of_sequence", "a message before this one is missing")      \
    X(STATUS_OFFSET_OUT_OF_RANGE, 400, "offset_out_of_range",                                      \
      "there is no such offset in the log: it has been removed, or is yet to come")                \
    X(STATUS_UNKNOWN_PATH, 404, "unknown_path", "there is no such path")                           \
    X(STATUS_WRONG_METHOD, 405, "wrong_method", "the path does not take this method")              \
    X(STATUS_REQUEST_TIMEOUT, 408, "request_timeout", "the request has taken too long to arrive")  \
    X(STATUS_TOO_LARGE, 413, "too_large", "the request is larger than this broker takes")          \
    X(STATUS_TOO_MANY_TOPICS, 429, "too_many_topics",                                              \
      "the broker has as many topics as it may have")                                              \
    X(STATUS_TOO_MANY_PRODUCERS, 429, "too_many_producers",                                        \
      "the broker has as many producers as it may have")                                           \
    X(STATUS_TOO_MANY_CONSUMERS, 429, "too_many_consumers",                                        \
      "the broker has as many consumers as it may have")                                           \
    X(STATUS_INTERNAL, 500, "internal", "the broker has met an error of its own; see its log")     \
    X(STATUS_OVERLOADED, 503, "overloaded",                                                        \
      "too many requests wait already; nothing was stored, try again")                             \
    X(STATUS_TOO_MANY_CONNECTIONS, 503, "too_many_connections",                                    \
      "the broker has as many connections as it may have; try again")                              \
    X(STATUS_STORE_AWAY, 503, "store_away",                                                        \
      "the store does not answer; nothing was stored, try again")                                  \
    X(STATUS_OUTCOME_UNKNOWN, 503, "outcome_unknown",                                              \
      "the store went away during the commit: it may have been stored or not")                     \
    X(STATUS_SHUTTING_DOWN, 503, "shutting_down", "the broker is shutting down; try again")        \
    X(STATUS_FENCED, 503, "fenced", "another broker has taken over this log; nothing was stored")  \
    X(STATUS_NO_MEMORY, 503, "no_memory", "the broker is out of memory; nothing was stored")

enum status {
#define STATUS_NAME_(name, http, code, words) name,
    STATUS_MAP(STATUS_NAME_)
#undef STATUS_NAME_
};

int status_http(enum status status);          /* 200, 400, … */
const char *status_code(enum status status);  /* "no_message": stable, for programs */
const char *status_words(enum status status); /* for people */

#endif
