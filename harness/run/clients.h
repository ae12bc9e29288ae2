/*
 * clients.h - the producers and consumers of a run: started, watched, ended.
 *
 * A client writes its history, and is known by it: that it has registered, what was
 * acknowledged, what it has received.
 *
 * Threads: one.
 */
#ifndef HARNESS_CLIENTS_H
#define HARNESS_CLIENTS_H

#include "harness/run/record.h"
#include "harness/runtime/runtime.h"
#include "harness/run/watch.h"

enum client_kind { CLIENT_CONSUMER, CLIENT_PRODUCER };

struct client {
    enum client_kind kind;
    const struct scenario_client *plan; /* borrowed from the scenario */
    char name[24];                      /* "P1" */
    struct process process;
    struct watch *history; /* NULL: not started */
    struct watch_counts counts;
    bool counted_out;     /* its end has been looked at */
    bool killed;          /* by a fault, that is not over */
    int64_t stopped_ms;   /* when a fault stopped it, to see what is on its way; 0: it is not */
    int64_t lives_before; /* it had begun when it was last started again */
};

struct clients {
    struct runtime *rt; /* borrowed, as all three */
    const struct scenario *scenario;
    const struct record *record;
    struct client *items; /* the consumers, then the producers */
    size_t count;
    const struct client *incomplete; /* the first that ended with something missing; or NULL */
};

/* Producers send nothing before this file is in the run folder. */
#define CLIENTS_GATE "gate"

bool clients_init(struct clients *clients, struct runtime *rt, const struct scenario *scenario,
                  const struct record *record);
void clients_release(struct clients *clients);

/* Start all clients of a kind. */
bool clients_start(struct clients *clients, enum client_kind kind);

/* The P1, or C1, of the scenario, which has it. */
struct client *clients_find(struct clients *clients, enum client_kind kind, int64_t id);

/* Start one that was killed, as the same: clients that a fault of the scenario kills keep their
 * state in RUN/history/P1.state. */
bool clients_start_again(struct clients *clients, struct client *client);

/* How many of a kind there are, and how many of these have registered for all their topics.
 * A client that has ended already is a failure. */
bool clients_registered(struct clients *clients, enum client_kind kind, size_t *all,
                        size_t *registered);

/* Read what is new in the histories, the producers' last, and sum up; but of the open
 * requests only the producers' count. */
struct watch_counts clients_read(struct clients *clients);

/* Notice who has ended: with exit code 1 (something was not delivered) that is said, and
 * kept in `incomplete`; in any other bad way it is a failure. */
bool clients_check(struct clients *clients);

/* How many still run; their names, as "P1 C2", go to `names`. */
size_t clients_running(struct clients *clients, char *names, size_t size);

/* Send a signal to all that run. */
void clients_signal(struct clients *clients, int number);

#endif
