/*
 * tap.c - one line a test point; details in a block of YAML, each string of it quoted as JSON.
 */
#include "harness/report/tap.h"

#include "common/json.h"
#include "harness/report/promise.h"
#include "harness/report/result.h"
#include "harness/report/summary.h"
#include "harness/report/wording.h"

#include <inttypes.h>

static void details_append(struct buffer *b, const struct scenario *s, const struct check *c,
                           enum promise promise)
{
    struct buffer line = BUFFER_INIT;
    bool any = false;

    for (size_t i = 0; i < c->findings.count; i++) {
        const struct finding *f = &c->findings.items[i];
        if (finding_promise(f) == promise && !f->excused) {
            buffer_clear(&line);
            summary_finding(&line, s, f);
            buffer_append_string(b, any ? "    - " : "  ---\n  found:\n    - ");
            any = true;
            json_append_string(b, buffer_slice(&line));
            buffer_append_char(b, '\n');
        }
    }
    if (any) {
        buffer_append_string(b, "  ...\n");
    }
    buffer_release(&line);
}

static void promise_append(struct buffer *b, const struct scenario *s, const struct check *c,
                           enum promise promise)
{
    enum promise_state state = promise_state(&c->promises[promise]);
    bool fails = state == PROMISE_BROKEN || state == PROMISE_UNKNOWN;

    buffer_printf(b, "%s %d - %s", fails ? "not ok" : "ok", (int)promise + 1,
                  promise_sentence(promise));
    if (state == PROMISE_KEPT) {
        buffer_append_string(b, " (");
        word_count(b, c->promises[promise].checked, promise_noun(promise));
        buffer_append_char(b, ')');
    } else {
        buffer_printf(b, "%s%s", fails ? ": " : " # SKIP ", promise_state_name(state));
    }
    buffer_append_char(b, '\n');
    if (fails) {
        details_append(b, s, c, promise);
    }
}

/* The text's lines, each as a comment; empty ones are left out. */
static void comments_append(struct buffer *b, struct slice text)
{
    bool begins = true;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\n') {
            if (!begins) {
                buffer_append_char(b, '\n');
            }
            begins = true;
            continue;
        }
        if (begins) {
            buffer_append_string(b, "# ");
        }
        begins = false;
        buffer_append_char(b, text.data[i]);
    }
}

void tap_append(struct buffer *b, const struct scenario *s, const struct history *h,
                const struct check *c, const char *shown)
{
    struct buffer summary = BUFFER_INIT;

    buffer_printf(b, "TAP version 14\n1..%d\n", (int)PROMISES + 1);
    for (enum promise promise = 0; promise < PROMISES; promise++) {
        promise_append(b, s, c, promise);
    }
    buffer_printf(b, "%s %d - the run is %s\n", c->verdict == VERDICT_VALID ? "ok" : "not ok",
                  (int)PROMISES + 1, verdict_name(c->verdict));
    if (c->verdict != VERDICT_VALID) {
        details_append(b, s, c, PROMISES);
    }
    summary_append(&summary, s, h, c, shown);
    comments_append(b, buffer_slice(&summary));
    buffer_release(&summary);
}
