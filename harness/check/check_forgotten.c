/*
 * check_forgotten.c - topics, producers and consumers that the broker no longer knew.
 *
 * The harness makes every topic before a client starts, and a client asks only with what it
 * was given when it registered. So an answer that there is no such thing means that it was
 * there and is gone. What one restart made the broker forget is one finding; the clients that
 * were told so stand under it.
 *
 * An id that is given twice is forgotten, too: the broker no longer knew that it had a owner.
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum forgotten_what { FORGOTTEN_NOTHING, FORGOTTEN_TOPIC, FORGOTTEN_PRODUCER, FORGOTTEN_CONSUMER };

/* A request that was told so. */
struct refusal {
    const struct history_request *request;
    const char *process;
    const struct history_registration *registrations;
    size_t registration_count;
    bool is_producer;
};

static enum forgotten_what what_of(const struct checking *k, const struct refusal *r)
{
    struct slice code = texts_get(&k->h->texts, r->request->code);

    if (r->request->outcome != OUTCOME_FAIL || r->request->code == TEXT_NONE) {
        return FORGOTTEN_NOTHING;
    }
    if (slice_equals(code, slice_of("unknown_topic"))) {
        return FORGOTTEN_TOPIC;
    }
    if (slice_equals(code, slice_of("unknown_producer"))) {
        return FORGOTTEN_PRODUCER;
    }
    if (slice_equals(code, slice_of("unknown_consumer"))) {
        return FORGOTTEN_CONSUMER;
    }
    if (slice_equals(code, slice_of("not_registered"))) {
        return r->is_producer ? FORGOTTEN_PRODUCER : FORGOTTEN_CONSUMER;
    }
    return FORGOTTEN_NOTHING;
}

/* When the answer came; what was forgotten then was so before. */
static int64_t told_ns(const struct refusal *r)
{
    return r->request->end_ns == TIME_NONE ? r->request->begin_ns : r->request->end_ns;
}

/* The number of the fault before a moment; 0: there was none. */
static int64_t fault_before(const struct checking *k, int64_t time_ns)
{
    int64_t fault = 0;

    for (size_t i = 0; i < k->restarts.count && k->restarts.items[i].hit_ns <= time_ns; i++) {
        fault = k->restarts.items[i].fault;
    }
    return fault;
}

static enum excuse what_excused(const struct checking *k, enum forgotten_what what)
{
    const struct history_claims *claims = &k->h->run.claims;
    bool claimed = what == FORGOTTEN_TOPIC ? claims->topics : claims->ids;
    return claimed ? EXCUSE_NONE : EXCUSE_NOT_CLAIMED;
}

/* The broker's id of the client, as it was registered last before a moment. */
static int64_t id_of(const struct refusal *r)
{
    int64_t id = NUMBER_NONE;

    for (size_t i = 0; i < r->registration_count; i++) {
        const struct history_registration *from = &r->registrations[i];
        if (from->topic == r->request->topic && from->time_ns <= r->request->begin_ns) {
            id = from->client_id;
        }
    }
    return id;
}

static void say_forgotten(struct evidence *e, const struct checking *k, const struct refusal *r,
                          enum forgotten_what what, int64_t fault)
{
    struct process_name after = process_name("fault ", fault);
    struct shown_text topic = shown_text(k, r->request->topic);

    if (e == NULL) {
        return;
    }
    e->time_ns = r->request->begin_ns;
    if (what == FORGOTTEN_TOPIC) {
        evidence_say(e, "topic %s, after %s", topic.text, fault == 0 ? "no fault" : after.text);
    } else {
        evidence_say(e, "%s id %" PRId64 ", which is %s's on topic %s, after %s",
                     what == FORGOTTEN_PRODUCER ? "producer" : "consumer", id_of(r), r->process,
                     topic.text, fault == 0 ? "no fault" : after.text);
    }
}

/* The root for what is forgotten, counted once for each thing. */
static size_t root_of(struct checking *k, const struct refusal *r, enum forgotten_what what)
{
    const char *process = what == FORGOTTEN_TOPIC ? "" : r->process;
    int64_t fault = fault_before(k, told_ns(r));
    size_t finding = findings_get(&k->c->findings, FINDING_FORGOTTEN, SOURCE_HISTORY,
                                  fault == 0 ? "the broker" : process_name("fault ", fault).text,
                                  FINDING_TOPIC_NONE, FINDING_ROOT, what_excused(k, what));
    size_t topic = topic_of(k, r->request->topic);

    for (size_t i = 0; i < k->forgotten.count; i++) {
        struct forgotten *f = &k->forgotten.items[i];
        if (f->finding == finding && f->topic == topic && strcmp(f->process, process) == 0) {
            f->since_ns = r->request->begin_ns < f->since_ns ? r->request->begin_ns : f->since_ns;
            return finding;
        }
    }
    struct forgotten new = {.topic = topic, .since_ns = r->request->begin_ns, .finding = finding};
    snprintf(new.process, sizeof new.process, "%s", process);
    MEMORY_PUSH(&k->forgotten, new);
    say_forgotten(findings_count(&k->c->findings, finding), k, r, what, fault);
    return finding;
}

static void refusal_take(struct checking *k, const struct refusal *r)
{
    enum forgotten_what what = what_of(k, r);
    bool answered = r->request->outcome == OUTCOME_OK || r->request->code != TEXT_NONE;

    k->c->promises[PROMISE_REMEMBERED].checked += answered;
    if (what == FORGOTTEN_NOTHING) {
        return;
    }
    size_t root = root_of(k, r, what);
    size_t finding =
        findings_get(&k->c->findings, FINDING_FORGOTTEN, SOURCE_HISTORY, r->process,
                     topic_of(k, r->request->topic), root, k->c->findings.items[root].excused);
    struct evidence *e = findings_count(&k->c->findings, finding);
    if (e != NULL) {
        struct slice code = texts_get(&k->h->texts, r->request->code);
        e->time_ns = r->request->begin_ns;
        evidence_say(e, "HTTP %" PRId32 " %.*s, after it had registered", r->request->http,
                     (int)code.size, code.data);
    }
}

/* ---- ids ---------------------------------------------------------------------------- */

/* An id is given to one client on one topic. */
struct owner {
    const struct history_registration *registration;
    struct process_name process;
};

CHECK_LIST_TYPE(owners, struct owner)

static int owner_compare(const void *a, const void *b)
{
    const struct history_registration *x = ((const struct owner *)a)->registration;
    const struct history_registration *y = ((const struct owner *)b)->registration;
    if (x->client_id != y->client_id) {
        return x->client_id < y->client_id ? -1 : 1;
    }
    return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* Of the seven calls none says that an id is unique beyond its topic. */
static bool is_same_id(const struct checking *k, const struct owner *a, const struct owner *b)
{
    return a->registration->client_id == b->registration->client_id &&
           (!k->plain || a->registration->topic == b->registration->topic);
}

static void owners_judge(struct checking *k, struct owners *owners, const char *what)
{
    if (owners->count > 0) {
        qsort(owners->items, owners->count, sizeof *owners->items, owner_compare);
    }
    for (size_t i = 1; i < owners->count; i++) {
        const struct owner *first = &owners->items[i - 1];
        const struct owner *second = &owners->items[i];
        if (!is_same_id(k, first, second)) {
            continue;
        }
        int64_t fault = fault_before(k, second->registration->time_ns);
        enum excuse excused =
            !k->h->run.claims.ids && fault != 0 ? EXCUSE_NOT_CLAIMED : EXCUSE_NONE;
        struct evidence *e = findings_count(
            &k->c->findings,
            findings_get(&k->c->findings, FINDING_FORGOTTEN, SOURCE_HISTORY, second->process.text,
                         topic_of(k, second->registration->topic), FINDING_ROOT, excused));
        if (e != NULL) {
            e->time_ns = second->registration->time_ns;
            evidence_say(e, "%s id %" PRId64 " was given to it on %s; %s has it on %s", what,
                         second->registration->client_id,
                         shown_text(k, second->registration->topic).text, first->process.text,
                         shown_text(k, first->registration->topic).text);
        }
    }
    free(owners->items);
}

static void ids_check(struct checking *k)
{
    struct owners producers = {NULL, 0, 0};
    struct owners consumers = {NULL, 0, 0};

    for (size_t p = 0; p < k->h->producer_count; p++) {
        for (size_t i = 0; i < k->h->producers[p].registrations.count; i++) {
            MEMORY_PUSH(&producers, (struct owner){&k->h->producers[p].registrations.items[i],
                                                   producer_name(k, p)});
        }
    }
    for (size_t c = 0; c < k->h->consumer_count; c++) {
        for (size_t i = 0; i < k->h->consumers[c].registrations.count; i++) {
            MEMORY_PUSH(&consumers, (struct owner){&k->h->consumers[c].registrations.items[i],
                                                   consumer_name(k, c)});
        }
    }
    owners_judge(k, &producers, "producer");
    owners_judge(k, &consumers, "consumer");
}

void check_forgotten(struct checking *k)
{
    for (size_t p = 0; p < k->h->producer_count; p++) {
        const struct history_producer *producer = &k->h->producers[p];
        struct process_name name = producer_name(k, p);
        for (size_t i = 0; i < producer->requests.count; i++) {
            struct refusal r = {&producer->requests.items[i], name.text,
                                producer->registrations.items, producer->registrations.count, true};
            refusal_take(k, &r);
        }
    }
    for (size_t c = 0; c < k->h->consumer_count; c++) {
        const struct history_consumer *consumer = &k->h->consumers[c];
        struct process_name name = consumer_name(k, c);
        for (size_t i = 0; i < consumer->requests.count; i++) {
            struct refusal r = {&consumer->requests.items[i], name.text,
                                consumer->registrations.items, consumer->registrations.count,
                                false};
            refusal_take(k, &r);
        }
    }
    ids_check(k);
}
