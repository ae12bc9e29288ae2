/*
 * supervisor.c - two processes that look after each other.
 */
#include "harness/run/supervisor.h"

#include "common/clock.h"
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
#define ORPHANS_LIMIT_MS 60000

/* Send a signal to what the dead child had started, and collect what has ended; false once
 * nothing is left. */
static bool signal_descendants(int number)
{
    static pid_t pids[DESCENDANTS_MAX];

    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    size_t count = process_descendants(getpid(), pids, DESCENDANTS_MAX);
    for (size_t i = 0; i < count; i++) {
        kill(pids[i], number);
    }
    return count > 0;
}

/*
 * Most of the descendants died with the child. Those that got another signal are waited for, also
 * when they were stopped: PostgreSQL gives back its shared memory. And the engine may still be
 * making what a command has asked for, even if the command is killed: so they are let alone,
 * and containers are looked for until all are gone. In the end they are killed, and more may turn
 * up meanwhile.
 */
static void clean_up(struct runtime *rt)
{
    struct control *c = rt->control;
    int64_t orphans_end_ms = clock_now_ms() + ORPHANS_LIMIT_MS;

    c->stopping = true;
    do {
        rt->ops->stop(rt);
        control_wait(c, WAIT_MS);
    } while (signal_descendants(SIGCONT) && clock_now_ms() < orphans_end_ms);
    for (int round = 0; round < CLEAN_ROUNDS_MAX && signal_descendants(SIGKILL); round++) {
        control_wait(c, WAIT_MS);
    }
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
