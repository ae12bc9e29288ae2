/*
 * fault.h - when a fault is due, and what comes next in it.
 *
 * The faults of a scenario happen in its order, one at a time. Each goes through
 *
 *   armed --acks--> frozen --settled--> dying --dead--> down --restart_ms--> starting
 *     ^                |                                                        |
 *     +--nothing-was-on-its-way                                  healthy: the next is armed
 *
 * A kill between two requests would prove nothing. So the target is first stopped for an
 * instant: what had been answered by then reaches its producer, the rest is surely on its
 * way, and is hit. If there is nothing on its way, the target goes on, until there is.
 *
 * The injector only decides; whoever asks it kills, restarts and writes the history, so
 * that it can be tested without a process.
 *
 * Threads: one.
 */
#ifndef HARNESS_FAULT_H
#define HARNESS_FAULT_H

#include "harness/scenario.h"

enum injector_state {
    INJECTOR_ARMED,
    INJECTOR_FROZEN,
    INJECTOR_DYING,
    INJECTOR_DOWN,
    INJECTOR_STARTING,
};

struct injector {
    const struct scenario_fault *faults; /* borrowed */
    size_t fault_count;
    size_t current; /* index of the fault that is next or under way */
    enum injector_state state;
    int64_t until_ms; /* frozen, down: for how long */
};

/* What the injector looks at. */
struct injector_view {
    int64_t acks;      /* sends acknowledged so far */
    int64_t in_flight; /* produce requests that are on their way */
    int64_t now_ms;
    bool dead;    /* the target is certainly dead; looked at while dying */
    bool healthy; /* the target answers; looked at while starting */
};

/* What is to be done now, about the fault `current`. */
enum injector_action {
    INJECTOR_NOTHING,
    INJECTOR_FREEZE,  /* its moment may have come: stop the target */
    INJECTOR_THAW,    /* it had not: let the target go on */
    INJECTOR_KILL,    /* it has come: kill the target */
    INJECTOR_HIT,     /* the target is certainly dead */
    INJECTOR_RESTART, /* it was down for long enough */
    INJECTOR_END,     /* it answers again; `current` is the next one when this returns */
};

void injector_init(struct injector *i, const struct scenario_fault *faults, size_t fault_count);

/* Is a fault under way: its target frozen, killed, or not yet healthy again? */
bool injector_busy(const struct injector *i);

/* Ask what is to be done; ask again until it says nothing. */
enum injector_action injector_step(struct injector *i, const struct injector_view *view);

/* How long nothing can become due by time alone; -1: only what happens counts. */
int64_t injector_idle_ms(const struct injector *i, int64_t now_ms);

#endif
