/*
 * junit.c - the form that Jenkins, GitLab and others read. HTML's references are XML's.
 */
#include "harness/report/junit.h"

#include "harness/report/html.h"
#include "harness/report/promise.h"
#include "harness/report/result.h"
#include "harness/report/summary.h"

#include <string.h>

#define NS_PER_S 1e9

static void attribute(struct buffer *b, const char *name, const char *value)
{
    buffer_printf(b, " %s=\"", name);
    html_text(b, value);
    buffer_append_char(b, '"');
}

/* Every finding of a promise, a line each; PROMISES: of the run as a whole. */
static void lines_append(struct buffer *b, const struct scenario *s, const struct check *c,
                         enum promise promise)
{
    struct buffer line = BUFFER_INIT;

    for (size_t i = 0; i < c->findings.count; i++) {
        if (finding_promise(&c->findings.items[i]) == promise) {
            buffer_clear(&line);
            summary_finding(&line, s, &c->findings.items[i]);
            html_slice(b, buffer_slice(&line));
            buffer_append_char(b, '\n');
        }
    }
    buffer_release(&line);
}

/* `element` is NULL for a case that went well. */
static void case_append(struct buffer *b, const struct scenario *s, const struct history *h,
                        const struct check *c, enum promise promise, const char *element,
                        const char *message)
{
    buffer_append_string(b, "    <testcase");
    attribute(b, "classname", h->run.scenario != NULL ? h->run.scenario : s->title);
    attribute(b, "name", promise < PROMISES ? promise_sentence(promise) : "The run as a whole");
    if (element == NULL) {
        buffer_append_string(b, "/>\n");
        return;
    }
    buffer_printf(b, ">\n      <%s", element);
    attribute(b, "message", message);
    if (strcmp(element, "skipped") == 0) {
        buffer_append_string(b, "/>\n    </testcase>\n");
        return;
    }
    attribute(b, "type", promise < PROMISES ? "promise" : "run");
    buffer_append_char(b, '>');
    lines_append(b, s, c, promise);
    buffer_printf(b, "</%s>\n    </testcase>\n", element);
}

static const char *element_of(enum promise_state state)
{
    static const char *const elements[] = {[PROMISE_KEPT] = NULL,
                                           [PROMISE_BROKEN] = "failure",
                                           [PROMISE_UNKNOWN] = "error",
                                           [PROMISE_NOT_CLAIMED] = "skipped",
                                           [PROMISE_NOT_PROMISED] = "skipped",
                                           [PROMISE_NOT_CHECKED] = "skipped"};
    return elements[state];
}

static int count_of(const struct check *c, const char *element)
{
    int count = 0;

    for (enum promise promise = 0; promise < PROMISES; promise++) {
        const char *its = element_of(promise_state(&c->promises[promise]));
        count += its != NULL && strcmp(its, element) == 0;
    }
    return count;
}

static void suite_open(struct buffer *b, const struct scenario *s, const struct history *h,
                       const struct check *c)
{
    int64_t span = check_span_ns(c->begin_ns, c->end_ns);

    buffer_append_string(b, "  <testsuite");
    attribute(b, "name", h->run.scenario != NULL ? h->run.scenario : s->title);
    attribute(b, "timestamp", h->run.started);
    buffer_printf(b,
                  " time=\"%.3f\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\">\n"
                  "    <properties>\n",
                  span < 0 ? 0 : (double)span / NS_PER_S, (int)PROMISES + 1,
                  count_of(c, "failure") + (c->verdict == VERDICT_INVALID),
                  count_of(c, "error") + (c->verdict == VERDICT_UNKNOWN), count_of(c, "skipped"));
    const char *const properties[][2] = {{"runtime", h->run.runtime},
                                         {"store", h->run.store},
                                         {"version", h->run.version},
                                         {"command", h->run.command}};
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        buffer_append_string(b, "      <property");
        attribute(b, "name", properties[i][0]);
        attribute(b, "value", properties[i][1]);
        buffer_append_string(b, "/>\n");
    }
    buffer_append_string(b, "    </properties>\n");
}

void junit_append(struct buffer *b, const struct scenario *s, const struct history *h,
                  const struct check *c)
{
    buffer_append_string(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                            "<testsuites name=\"myqueue\">\n");
    suite_open(b, s, h, c);
    for (enum promise promise = 0; promise < PROMISES; promise++) {
        enum promise_state state = promise_state(&c->promises[promise]);
        case_append(b, s, h, c, promise, element_of(state), promise_state_name(state));
    }
    case_append(b, s, h, c, PROMISES,
                c->verdict == VERDICT_VALID     ? NULL
                : c->verdict == VERDICT_INVALID ? "failure"
                                                : "error",
                c->sentence);
    buffer_append_string(b, "  </testsuite>\n</testsuites>\n");
}
