/*
 * supervisor.h - takes down what a run left behind when the harness itself died.
 *
 * The harness is two processes that look after each other: the supervisor, which only
 * waits, and its child, which does the run and takes everything down in the end. When the
 * child is killed or aborts, the supervisor takes down in its place; when the supervisor
 * is killed, the child is told by a SIGTERM, as by Ctrl-C.
 *
 * Both are subreapers: a process that lost its parent becomes theirs, so that none escapes.
 */
#ifndef HARNESS_SUPERVISOR_H
#define HARNESS_SUPERVISOR_H

#include "harness/runtime/runtime.h"

/*
 * Run `body` in a child process; it returns the exit code. If the child did not get that
 * far, everything with the mark of `rt` is taken down here.
 * Returns the child's exit code, or EXIT_HARNESS.
 */
int supervisor_run(struct runtime *rt, int (*body)(void *), void *arg);

#endif
