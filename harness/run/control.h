/*
 * control.h - the one place where the harness waits.
 *
 * The harness is one thread. Whatever it waits for (a child's end, a history that
 * grows, a moment), it waits in control_wait(), which keeps the clock on the screen
 * running and notices Ctrl-C. Every wait is a loop of `is it so? else control_wait()`.
 *
 * What is done is shown as steps: on a terminal one line, redrawn; elsewhere a line per
 * step, and again every few seconds while the step lasts.
 *
 *   [  3.2 s] starting PostgreSQL and the broker
 *
 * Threads: the harness' own, alone. There is one control in a process.
 */
#ifndef HARNESS_CONTROL_H
#define HARNESS_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define CONTROL_TEXT_BYTES_MAX 200
#define CONTROL_FAILURE_BYTES_MAX 1024

struct control {
    int signal_fd;
    int inotify_fd;   /* what wakes the harness when a history grows */
    bool terminal;    /* standard output is one */
    bool interrupted; /* SIGINT, SIGTERM or SIGHUP has come */
    bool stopping;    /* things are being taken down: an interrupt changes nothing now */
    bool failed;      /* `failure` says why */
    int64_t started_ms;
    int64_t shown_ms; /* when the step's line was last printed */
    char step[CONTROL_TEXT_BYTES_MAX];
    char detail[CONTROL_TEXT_BYTES_MAX];
    char followed[PATH_MAX]; /* the detail is the last line of this file; "": of none */
    char failure[CONTROL_FAILURE_BYTES_MAX];
    char failure_log[PATH_MAX]; /* its end explains the failure; "": none does */
};

/*
 * Open it: from here on the signals that end a program only set `interrupted`.
 * started_ms   when the clock on the screen began
 * Returns 0 or an errno.
 */
int control_open(struct control *c, int64_t started_ms);
void control_close(struct control *c);

/* Begin a step: "starting PostgreSQL". Ends the one before. */
void control_step(struct control *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How far the step is: "1,203 of 4,965 acknowledged"; shown behind it. */
void control_detail(struct control *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* From now on the last line of this file is the step's detail: it says how far a command
 * is. NULL: no longer. */
void control_follow(struct control *c, const char *path);

/* Say something beside the step, which goes on. */
void control_note(struct control *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last step is done: its line is complete, and what is printed now stands below. */
void control_end_steps(struct control *c);

/* Wait until something happens, at most `wait_ms`. false when the harness was
 * interrupted and is not yet taking things down. */
bool control_wait(struct control *c, int64_t wait_ms);

/* Keep why the harness cannot go on; the first reason stays. `log` may be NULL.
 * Always false, so that a function can end with it. */
bool control_fail(struct control *c, const char *log, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Print the failure, with the end of its log, on standard error. */
void control_print_failure(const struct control *c);

#endif
