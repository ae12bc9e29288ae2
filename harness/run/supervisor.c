/*
 * supervisor.c - two processes that look after each other.
 */
#include "harness/run/supervisor.h"

#include "harness/run/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCENDANTS_MAX 4096
#define WAIT_MS 100
#define CLEAN_ROUNDS_MAX 100

/* Kill what the dead child had started, and collect it; more may turn up meanwhile. */
static void kill_descendants(struct control *c)
{
    static pid_t pids[DESCENDANTS_MAX];

    for (int round = 0; round < CLEAN_ROUNDS_MAX; round++) {
        size_t count = process_descendants(getpid(), pids, DESCENDANTS_MAX);
        if (count == 0) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            kill(pids[i], SIGKILL);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        control_wait(c, WAIT_MS);
    }
}

/* The engine may still be making a container that a killed command has asked for, so
 * containers are looked for until all those commands are gone, and then once more. */
static void clean_up(struct runtime *rt)
{
    rt->control->stopping = true;
    rt->ops->stop(rt);
    kill_descendants(rt->control);
    rt->ops->stop(rt);
    rt->ops->remove(rt);
}

static int wait_for(pid_t pid, struct control *c)
{
    bool told = false;
    int status;

    c->stopping = true; /* the child decides what an interrupt means */
    while (waitpid(pid, &status, WNOHANG) == 0) {
        control_wait(c, WAIT_MS);
        if (c->interrupted && !told) {
            told = true;
            kill(pid, SIGTERM);
        }
    }
    return status;
}

/* What both waited on, one of the two would miss. */
static bool reopen(struct control *c)
{
    int64_t started_ms = c->started_ms;

    control_close(c);
    return control_open(c, started_ms) == 0;
}

int supervisor_run(struct runtime *rt, int (*body)(void *), void *arg)
{
    pid_t parent = getpid();

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        control_fail(rt->control, NULL, "cannot make a process: %s", strerror(errno));
        return EXIT_HARNESS;
    }
    if (pid == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        exit(getppid() == parent && reopen(rt->control) ? body(arg) : EXIT_HARNESS);
    }
    int status = wait_for(pid, rt->control);
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    fprintf(stderr, "myqueue-harness: died of signal %d; taking down what it left behind\n",
            WTERMSIG(status));
    clean_up(rt);
    return EXIT_HARNESS;
}
