/*
 * fault.c - the faults' states and the one function that moves them.
 */
#include "harness/fault.h"

#include <assert.h>

/* In this time an answer that was sent reaches its producer and is in its history. */
#define SETTLE_MS 5

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
    static const unsigned legal[] = {
        [INJECTOR_ARMED] = 1U << INJECTOR_FROZEN,
        [INJECTOR_FROZEN] = 1U << INJECTOR_DYING | 1U << INJECTOR_ARMED,
        [INJECTOR_DYING] = 1U << INJECTOR_DOWN,
        [INJECTOR_DOWN] = 1U << INJECTOR_STARTING,
        [INJECTOR_STARTING] = 1U << INJECTOR_ARMED,
    };

    assert((legal[i->state] & 1U << to) != 0);
    i->state = to;
}

static enum injector_action step_armed(struct injector *i, const struct injector_view *view)
{
    if (view->acks < i->faults[i->current].after_acks || view->in_flight <= 0) {
        return INJECTOR_NOTHING;
    }
    i->until_ms = view->now_ms + SETTLE_MS;
    injector_move(i, INJECTOR_FROZEN);
    return INJECTOR_FREEZE;
}

static enum injector_action step_frozen(struct injector *i, const struct injector_view *view)
{
    if (view->now_ms < i->until_ms) {
        return INJECTOR_NOTHING;
    }
    injector_move(i, view->in_flight > 0 ? INJECTOR_DYING : INJECTOR_ARMED);
    return view->in_flight > 0 ? INJECTOR_KILL : INJECTOR_THAW;
}

static enum injector_action step_dying(struct injector *i, const struct injector_view *view)
{
    if (!view->dead) {
        return INJECTOR_NOTHING;
    }
    i->until_ms = view->now_ms + i->faults[i->current].restart_ms;
    injector_move(i, INJECTOR_DOWN);
    return INJECTOR_HIT;
}

enum injector_action injector_step(struct injector *i, const struct injector_view *view)
{
    if (i->current == i->fault_count) {
        return INJECTOR_NOTHING;
    }
    switch (i->state) {
    case INJECTOR_ARMED:
        return step_armed(i, view);
    case INJECTOR_FROZEN:
        return step_frozen(i, view);
    case INJECTOR_DYING:
        return step_dying(i, view);
    case INJECTOR_DOWN:
        if (view->now_ms < i->until_ms) {
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
    if (i->state != INJECTOR_DOWN && i->state != INJECTOR_FROZEN) {
        return -1;
    }
    return i->until_ms > now_ms ? i->until_ms - now_ms : 0;
}
