/*
 * promise.c - the worst that is known of a promise is its state.
 */
#include "harness/report/promise.h"

enum promise_state promise_state(const struct check_promise *promise)
{
    return promise->broken > 0         ? PROMISE_BROKEN
           : promise->unknown > 0      ? PROMISE_UNKNOWN
           : promise->not_claimed > 0  ? PROMISE_NOT_CLAIMED
           : promise->not_promised > 0 ? PROMISE_NOT_PROMISED
           : promise->checked == 0     ? PROMISE_NOT_CHECKED
                                       : PROMISE_KEPT;
}

int64_t promise_items(const struct check_promise *promise)
{
    return promise->broken > 0        ? promise->broken
           : promise->unknown > 0     ? promise->unknown
           : promise->not_claimed > 0 ? promise->not_claimed
                                      : promise->not_promised;
}

const char *promise_state_name(enum promise_state state)
{
    static const char *const names[] = {[PROMISE_KEPT] = "kept",
                                        [PROMISE_BROKEN] = "broken",
                                        [PROMISE_UNKNOWN] = "unknown",
                                        [PROMISE_NOT_CLAIMED] = "not claimed",
                                        [PROMISE_NOT_PROMISED] = "not promised",
                                        [PROMISE_NOT_CHECKED] = "not checked"};
    return names[state];
}
