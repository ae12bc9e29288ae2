/*
 * process.h - a child process: started, watched, ended.
 *
 * A child leads a process group of its own, so that Ctrl-C reaches the harness alone,
 * which then takes things down in order. When the harness dies it gets SIGKILL, or what
 * its arguments say instead (a child that changes its user loses that: see supervisor.h).
 * It reads nothing, and inherits no descriptor but its output's and no MYQUEUE_* variable:
 * what a run does is decided by its arguments.
 *
 * Threads: one.
 */
#ifndef HARNESS_PROCESS_H
#define HARNESS_PROCESS_H

#include "common/buffer.h"
#include "harness/run/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_NAME_BYTES_MAX 64

/* A command line that is being put together. */
struct arguments {
    char **items; /* NULL-terminated once there is one */
    size_t count;
    int orphan_signal; /* what it gets when the harness dies; 0: SIGKILL */
};

#define ARGUMENTS_INIT                                                                             \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void arguments_add(struct arguments *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void arguments_release(struct arguments *a);

struct process {
    char name[PROCESS_NAME_BYTES_MAX]; /* for messages: "P1" */
    char log[PATH_MAX];                /* where its output goes; "": nowhere */
    pid_t pid;                         /* 0: never started, or ended */
    bool ended;
    int status; /* waitpid's, once it has ended */
};

/*
 * Start a program.
 *
 * log         standard error is appended here, and standard output too
 * output_fd   >= 0: standard output goes here instead; borrowed
 *
 * false: see control_fail(); nothing runs.
 */
bool process_start(struct process *p, struct control *c, const char *name,
                   const struct arguments *arguments, const char *log, int output_fd);

/* Has it been started, and not ended? Collects the child when it has. */
bool process_runs(struct process *p);

/* Once it has ended: with exit code 0? And how, in words: "exit code 3", "signal 9". */
bool process_succeeded(const struct process *p);
const char *process_end(const struct process *p, char *text, size_t size);

/* How often these words stand in its log, which may be that of others before it, too. */
int64_t process_said(const struct process *p, const char *words);

void process_signal(struct process *p, int number); /* nothing when it does not run */

/* Wait for its end; false when interrupted, or not ended within `wait_ms`. */
bool process_wait(struct process *p, struct control *c, int64_t wait_ms);

/*
 * Run a command to its end; it must succeed within `limit_ms`.
 *
 * output   gets what it prints on standard output; NULL: that goes to the log too
 *
 * false: see control_fail(), but for an interrupt.
 */
bool process_run(struct control *c, const char *name, const struct arguments *arguments,
                 const char *log, struct buffer *output, int64_t limit_ms);

/* Does this command run, and succeed within `limit_ms`? That it does not is no failure. */
bool process_probe(struct control *c, const struct arguments *arguments, int64_t limit_ms);

/* All descendants of `root`, each behind its parent; at most `max` of them. Reads /proc. */
size_t process_descendants(pid_t root, pid_t *pids, size_t max);

#endif
