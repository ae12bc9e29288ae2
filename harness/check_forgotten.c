/*
 * check_forgotten.c - topics, producers and consumers that the broker no longer knew.
 *
 * The harness makes every topic before a client starts, and a client asks only with what it
 * was given when it registered. So an answer that there is no such thing means that it was
 * there and is gone.
 */
#include "harness/check_parts.h"

#include <inttypes.h>
#include <string.h>

static bool is_forgotten(const struct checking *k, const struct history_request *request)
{
    static const char *const codes[] = {"unknown_topic", "unknown_producer", "unknown_consumer",
                                        "not_registered"};

    if (request->outcome != OUTCOME_FAIL || request->code == TEXT_NONE) {
        return false;
    }
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (slice_equals(texts_get(&k->h->texts, request->code), slice_of(codes[i]))) {
            return true;
        }
    }
    return false;
}

static void requests_take(struct checking *k, const char *process,
                          const struct history_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_forgotten(k, &requests[i])) {
            struct slice code = texts_get(&k->h->texts, requests[i].code);
            evidence_say(findings_add(&k->c->findings, FINDING_FORGOTTEN, SOURCE_HISTORY, process,
                                      topic_of(k, requests[i].topic)),
                         "HTTP %" PRId64 " %.*s, after it had registered", requests[i].http,
                         (int)code.size, code.data);
        }
    }
}

void check_forgotten(struct checking *k)
{
    for (size_t p = 0; p < k->h->producer_count; p++) {
        const struct history_producer *producer = &k->h->producers[p];
        requests_take(k, process_name("P", producer->id).text, producer->requests.items,
                      producer->requests.count);
    }
    for (size_t c = 0; c < k->h->consumer_count; c++) {
        const struct history_consumer *consumer = &k->h->consumers[c];
        requests_take(k, process_name("C", consumer->id).text, consumer->requests.items,
                      consumer->requests.count);
    }
}
