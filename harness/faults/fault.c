/*
 * fault.c - the faults' states and the one function that moves them.
 */
#include "harness/faults/fault.h"

#include "harness/faults/fault_kind.h"

#include <assert.h>

/* In this time an answer that was sent reaches its producer and is in its history. */
#define SETTLE_MS 5

/* Nothing to hit: its target goes on for 1 to TRY_MS_MAX ms, each time another while, or we would
 * stop it at the same place of its work again and again. */
#define TRY_MS_MAX 7

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
        [INJECTOR_ARMED] = 1U << INJECTOR_FROZEN | 1U << INJECTOR_BEGUN,
        [INJECTOR_FROZEN] = 1U << INJECTOR_BEGUN | 1U << INJECTOR_ARMED,
        [INJECTOR_BEGUN] = 1U << INJECTOR_HELD,
        [INJECTOR_HELD] = 1U << INJECTOR_HEALING,
        [INJECTOR_HEALING] = 1U << INJECTOR_ARMED,
    };

    assert((legal[i->state] & 1U << to) != 0);
    i->state = to;
}

/* Its moment is there, as far as it can be foreseen. */
static bool is_due(const struct scenario_fault *fault, const struct injector_view *view)
{
    switch (fault->when) {
    case WHEN_ACKS:
        return view->acks >= fault->after && view->in_flight > 0;
    case WHEN_MS:
        return view->running_ms >= fault->after && view->in_flight > 0;
    case WHEN_START:
        break;
    }
    return true;
}

static enum injector_action step_armed(struct injector *i, const struct injector_view *view)
{
    const struct scenario_fault *fault = &i->faults[i->current];

    if (view->now_ms < i->until_ms || !is_due(fault, view)) {
        return INJECTOR_NOTHING;
    }
    if (!fault_kind(fault->action)->freezes) {
        injector_move(i, INJECTOR_BEGUN);
        return INJECTOR_BEGIN;
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
    i->until_ms = 0;
    if (view->in_flight > 0 && view->ripe) {
        injector_move(i, INJECTOR_BEGUN);
        return INJECTOR_BEGIN;
    }
    if (view->in_flight > 0) {
        i->until_ms = view->now_ms + 1 + i->tries % TRY_MS_MAX;
        i->tries++;
    }
    injector_move(i, INJECTOR_ARMED);
    return INJECTOR_THAW;
}

static enum injector_action step_begun(struct injector *i, const struct injector_view *view)
{
    if (!view->hit) {
        return INJECTOR_NOTHING;
    }
    i->until_ms = view->now_ms + i->faults[i->current].hold_ms;
    injector_move(i, INJECTOR_HELD);
    return INJECTOR_HIT;
}

static enum injector_action step_held(struct injector *i, const struct injector_view *view)
{
    bool is_window = fault_kind(i->faults[i->current].action)->shape == SHAPE_WINDOW;

    if (view->now_ms < i->until_ms ||
        (is_window && view->bit == 0 && view->now_ms < i->until_ms + WINDOW_MORE_MS)) {
        return INJECTOR_NOTHING;
    }
    injector_move(i, INJECTOR_HEALING);
    return INJECTOR_UNDO;
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
    case INJECTOR_BEGUN:
        return step_begun(i, view);
    case INJECTOR_HELD:
        return step_held(i, view);
    case INJECTOR_HEALING:
        if (!view->healthy) {
            return INJECTOR_NOTHING;
        }
        injector_move(i, INJECTOR_ARMED);
        i->until_ms = 0;
        i->current++;
        return INJECTOR_END;
    }
    return INJECTOR_NOTHING;
}

/* Armed: until the moment that a clock tells, or it is tried again. */
static int64_t armed_idle_ms(const struct injector *i, const struct injector_view *view)
{
    const struct scenario_fault *fault = &i->faults[i->current];

    if (i->until_ms > view->now_ms) {
        return i->until_ms - view->now_ms;
    }
    if (i->current == i->fault_count || fault->when != WHEN_MS || view->running_ms < 0 ||
        view->running_ms >= fault->after) {
        return -1;
    }
    return fault->after - view->running_ms;
}

int64_t injector_idle_ms(const struct injector *i, const struct injector_view *view)
{
    if (i->state == INJECTOR_ARMED) {
        return armed_idle_ms(i, view);
    }
    if ((i->state != INJECTOR_HELD && i->state != INJECTOR_FROZEN) || i->until_ms <= view->now_ms) {
        return i->state == INJECTOR_FROZEN ? 0 : -1;
    }
    return i->until_ms - view->now_ms;
}
