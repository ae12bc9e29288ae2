/*
 * fault.c - the faults' states and the one function that moves them.
 */
#include "harness/fault.h"

#include <assert.h>

void injector_init(struct injector *i, const struct scenario_fault *faults, size_t fault_count)
{
    *i = (struct injector){.faults = faults, .fault_count = fault_count, .state = INJECTOR_ARMED};
}

bool injector_busy(const struct injector *i)
{
    return i->state != INJECTOR_ARMED;
}

static void injector_move(struct injector *i, enum injector_state to)
{
    assert(to == (i->state + 1) % (INJECTOR_STARTING + 1));
    i->state = to;
}

enum injector_action injector_step(struct injector *i, const struct injector_view *view)
{
    if (i->current == i->fault_count) {
        return INJECTOR_NOTHING;
    }
    const struct scenario_fault *fault = &i->faults[i->current];
    switch (i->state) {
    case INJECTOR_ARMED:
        if (view->acks < fault->after_acks || view->in_flight <= 0) {
            return INJECTOR_NOTHING;
        }
        injector_move(i, INJECTOR_DYING);
        return INJECTOR_KILL;
    case INJECTOR_DYING:
        if (!view->dead) {
            return INJECTOR_NOTHING;
        }
        i->down_until_ms = view->now_ms + fault->restart_ms;
        injector_move(i, INJECTOR_DOWN);
        return INJECTOR_HIT;
    case INJECTOR_DOWN:
        if (view->now_ms < i->down_until_ms) {
            return INJECTOR_NOTHING;
        }
        injector_move(i, INJECTOR_STARTING);
        return INJECTOR_RESTART;
    case INJECTOR_STARTING:
        if (!view->healthy) {
            return INJECTOR_NOTHING;
        }
        injector_move(i, INJECTOR_ARMED);
        i->current++;
        return INJECTOR_END;
    }
    return INJECTOR_NOTHING;
}

int64_t injector_idle_ms(const struct injector *i, int64_t now_ms)
{
    if (i->state != INJECTOR_DOWN) {
        return -1;
    }
    return i->down_until_ms > now_ms ? i->down_until_ms - now_ms : 0;
}
