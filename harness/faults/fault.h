/*
 * fault.h - when a fault is due, and what comes next in it.
 *
 * The faults of a scenario happen in its order, one at a time. Each goes through
 *
 *   armed --its moment--> frozen --settled--> begun --hit--> held --hold_ms--> healing
 *     ^ ^                    |                                                    |
 *     | +-----not ripe-------+                             healthy: the next is armed
 *     +---------------------------------------------------------------------------+
 *
 * whatever its shape (fault_kind.h): `held` is down, or an open window, and no time at all for a
 * moment.
 *
 * A fault between two requests would prove nothing. So it waits until there is one, and a
 * target that is killed or paused is first stopped for an instant: what had been answered by
 * then reaches its producer, the rest is surely on its way, and is hit. If there is nothing on
 * its way, or nothing that a fault of its kind would hit (what is not synced, for a power cut), the
 * target goes on, until there is. A window stays open until it has bitten, for
 * WINDOW_MORE_MS beyond its time at most.
 *
 * The injector only decides; whoever asks it does what it says and writes the history, so
 * that it can be tested without a process.
 *
 * Threads: one.
 */
#ifndef HARNESS_FAULT_H
#define HARNESS_FAULT_H

#include "harness/scenario/scenario.h"

#define WINDOW_MORE_MS 10000

enum injector_state {
    INJECTOR_ARMED,
    INJECTOR_FROZEN,
    INJECTOR_BEGUN,
    INJECTOR_HELD,
    INJECTOR_HEALING,
};

struct injector {
    const struct scenario_fault *faults; /* borrowed */
    size_t fault_count;
    size_t current; /* index of the fault that is next or under way */
    enum injector_state state;
    int64_t until_ms; /* frozen, held: for how long; armed: not before, or 0 */
    int tries;        /* how often it was frozen, and would have hit nothing */
};

/* What the injector looks at. */
struct injector_view {
    int64_t acks;      /* sends acknowledged so far */
    int64_t in_flight; /* produce requests that are on their way */
    int64_t now_ms;
    int64_t running_ms; /* since the producers may send; -1: not yet */
    int64_t bit;        /* what the fault has hit so far; looked at while held */
    bool ripe;          /* it would hit something now; looked at while frozen */
    bool hit;           /* it has certainly happened; looked at while begun */
    bool healthy;       /* all is well again; looked at while healing */
};

/* What is to be done now, about the fault `current`. */
enum injector_action {
    INJECTOR_NOTHING,
    INJECTOR_FREEZE, /* its moment may have come: stop the target */
    INJECTOR_THAW,   /* it had not: let the target go on */
    INJECTOR_BEGIN,  /* it has come */
    INJECTOR_HIT,    /* it has certainly happened */
    INJECTOR_UNDO,   /* it lasted long enough: start the target again, or undo it */
    INJECTOR_END,    /* all is well again; `current` is the next one when this returns */
};

void injector_init(struct injector *i, const struct scenario_fault *faults, size_t fault_count);

/* Is a fault under way: from its target being frozen until it is healthy again? */
bool injector_busy(const struct injector *i);

/* Ask what is to be done; ask again until it says nothing. */
enum injector_action injector_step(struct injector *i, const struct injector_view *view);

/* How long nothing can become due by time alone; -1: only what happens counts. */
int64_t injector_idle_ms(const struct injector *i, const struct injector_view *view);

#endif
