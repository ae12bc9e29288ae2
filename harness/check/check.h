/*
 * check.h - was every promise kept? From a scenario and its history to findings.
 *
 *   log      per topic: which message is at which offset, from the acknowledgements and
 *            the store's rows; on the way: producers' order, dense offsets, rows that agree
 *   streams  per consumer: what it received, and what its file holds, against the log
 *   faults   did each hit requests in flight, and what came after
 *
 * Always: the verdict is invalid if a finding breaks a promise, else unknown if there is
 * any finding, else valid.
 *
 * It only computes: no files, no clock, nothing printed.
 * Threads: any; one check belongs to one thread. It starts threads of its own and ends them.
 */
#ifndef HARNESS_CHECK_H
#define HARNESS_CHECK_H

#include "harness/check/finding.h"
#include "harness/history/history.h"
#include "harness/judge.h"

/* One topic at one consumer. When the file is not what was received, the worse of both. */
struct check_delivery {
    size_t consumer;      /* index into scenario.consumers */
    size_t topic;         /* index into scenario.topics */
    int64_t expected;     /* messages of the log files */
    int64_t received;     /* lines of this topic, whatever they are */
    int64_t missing;      /* not received: lost, unseen, or never stored */
    int64_t not_stored;   /* of these: they are not in the log, so nobody could receive them */
    int64_t duplicates;   /* received more than once */
    int64_t out_of_order; /* received, but not in its place */
    int64_t foreign;      /* received, but sent by nobody */
    int64_t misrouted;    /* received here, but sent to another topic */
    int64_t corrupt;      /* received with another text than was sent at its offset */
};

struct check_producer {
    int64_t lines; /* of its log file */
    int64_t acknowledged;
    int64_t requests;  /* HTTP attempts to produce */
    int64_t retries;   /* of these, a sequence that had been sent before */
    int64_t first_ns;  /* the first send's begin; TIME_NONE: none */
    int64_t last_ns;   /* the last acknowledgement; TIME_NONE: none */
    int64_t median_ns; /* from a send's begin to its acknowledgement */
    int64_t slowest_ns;
    int64_t slowest_line; /* of the log file */
};

/* One fault of the scenario; times are TIME_NONE where it did not happen. */
struct check_fault {
    struct scenario_fault planned;
    int64_t acks; /* when it began */
    int64_t begin_ns, hit_ns, restart_ns, end_ns;
    int64_t struck_ns;    /* since when it was felt: its hit, but of a window its begin */
    int64_t in_flight;    /* produce requests on their way when it hit */
    int64_t interrupted;  /* of these, ended without success */
    int64_t bit;          /* what it hit, as its kind counts (fault_kind.h) */
    uint32_t more;        /* what else the harness said of it, or TEXT_NONE */
    int64_t first_ack_ns; /* the first acknowledgement after it was started again, or undone */
};

/* How often a promise was looked at, counted where that is done, and the items of its findings. */
struct check_promise {
    int64_t checked; /* 0: not checked */
    int64_t broken;
    int64_t unknown;      /* not seen well enough to say */
    int64_t not_claimed;  /* broken, but the system under test does not claim it */
    int64_t not_promised; /* broken by a lost answer, which plain calls do not promise to survive */
};

struct check {
    enum verdict verdict;
    char *sentence; /* the verdict in one sentence */
    char *reason;   /* the same without the verdict's name in front */
    int64_t acknowledged;
    int64_t received;                  /* by all consumers together */
    int64_t order_unknown;             /* messages of which nothing tells whether they came in the
                                        * order in which they were sent: others are alike */
    int64_t begin_ns;                  /* the first send's begin; TIME_NONE: none */
    int64_t end_ns;                    /* the last acknowledgement or receipt */
    struct check_delivery *deliveries; /* by consumer, then topic */
    size_t delivery_count;
    struct check_producer *producers; /* as in the scenario */
    struct check_fault *faults;       /* as in the scenario */
    struct findings findings;         /* those that break a promise first */
    struct check_promise promises[PROMISES];
};

/* Never fails; check_destroy() frees the result. The history's texts may grow. */
struct check *check_run(const struct scenario *s, struct history *h);

void check_destroy(struct check *c); /* NULL is fine */

/* Nanoseconds from `from` to `to`, or TIME_NONE when either did not happen. */
int64_t check_span_ns(int64_t from_ns, int64_t to_ns);

#endif
