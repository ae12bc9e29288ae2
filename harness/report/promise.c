/*
 * promise.c - the worst that is known of a promise is its state.
 */
#include "harness/report/promise.h"

enum promise_state promise_state(const struct check_promise *promise)
{
    return promise->broken > 0     ? PROMISE_BROKEN
           : promise->unknown > 0  ? PROMISE_UNKNOWN
           : promise->excused > 0  ? PROMISE_NOT_CLAIMED
           : promise->checked == 0 ? PROMISE_NOT_CHECKED
                                   : PROMISE_KEPT;
}

const char *promise_state_name(enum promise_state state)
{
    static const char *const names[] = {[PROMISE_KEPT] = "kept",
                                        [PROMISE_BROKEN] = "broken",
                                        [PROMISE_UNKNOWN] = "unknown",
                                        [PROMISE_NOT_CLAIMED] = "not claimed",
                                        [PROMISE_NOT_CHECKED] = "not checked"};
    return names[state];
}
