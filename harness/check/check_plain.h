/*
 * check_plain.h - what check_plain.c asks of its two helpers: a topic's lines as they were sent,
 * did a consumer get them in that order (check_plain_order.c), and which messages are under another
 * topic than they were sent to (check_plain_misrouted.c)?
 */
#ifndef HARNESS_CHECK_PLAIN_H
#define HARNESS_CHECK_PLAIN_H

#include "harness/check/check_parts.h"

/* A line that was sent to the topic. */
struct sent_line {
    uint32_t text;
    bool refused;
    bool used; /* it has its place */
    int64_t begin_ns;
    int64_t acked_ns; /* INT64_MAX: never, or nobody knows */
    struct line_ref at;
};

/* By text; those with one text as they were acknowledged, then the unknown, then the refused. */
CHECK_LIST_TYPE(sent_lines, struct sent_line)

/*
 * Did a consumer get a topic's messages in the order in which they were sent? The number of its
 * receipts that certainly came too early. `say`: also add the findings, and count what was
 * compared.
 */
int64_t plain_order_check(struct checking *k, size_t topic, size_t consumer,
                          const struct sent_lines *lines, bool say);

/* The messages that are under another topic than they were sent to, by text: 1 + the finding, or 0.
 * free() it. */
size_t *plain_misrouted(struct checking *k);

/* Does a consumer's order of a topic's messages differ from another one's, so that no order of what
 * was sent explains both? */
bool plain_orders_differ(const struct checking *k, size_t topic, size_t consumer);

#endif
