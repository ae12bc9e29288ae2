/*
 * line.h - a line of the run with our proxy in it (harness/proxy/), and what the harness tells it.
 *
 *   clients --[line]--> broker --[line]--> PostgreSQL
 *
 * A run has such a line only where its faults break one; else nothing is in between.
 *
 * Threads: one.
 */
#ifndef HARNESS_LINE_H
#define HARNESS_LINE_H

#include "harness/runtime/process.h"

#include <stdbool.h>
#include <stdint.h>

struct line {
    struct process process;
    int control_fd; /* -1: not connected */
};

/* What the proxy counts; see harness/proxy/link.h. */
struct line_counts {
    int64_t hit;
    int64_t in_flight;
};

#define LINE_INIT                                                                                  \
    {                                                                                              \
        .control_fd = -1                                                                           \
    }

/*
 * Start the proxy, and wait until it listens.
 *
 * programs     the folder that it is in
 * listen, to   `127.0.0.1:PORT` or `unix:PATH`
 * control      the path of its control socket
 *
 * false: see control_fail(), or the interrupt.
 */
bool line_open(struct line *line, struct control *c, const char *programs, const char *listen,
               const char *to, const char *control, const char *log);

bool line_is_open(const struct line *line);

/* Tell it something: "delay 50". `counts` may be NULL. false: see control_fail(). */
bool line_tell(struct line *line, struct control *c, const char *command,
               struct line_counts *counts);

/* End the proxy, if it runs. */
void line_close(struct line *line);

#endif
