/*
 * test_process.c - children: their output, their end, their descendants.
 */
#include "common/tests/suite.h"
#include "harness/runtime/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LIMIT_MS 20000

static struct control control;
static char log_path[64];

static struct arguments shell(const char *script)
{
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "sh");
    arguments_add(&a, "-c");
    arguments_add(&a, "%s", script);
    return a;
}

static void open_all(void)
{
    snprintf(log_path, sizeof log_path, "/tmp/test_process-%d.log", (int)getpid());
    CU_ASSERT_EQUAL_FATAL(control_open(&control, 0), 0);
}

static void close_all(void)
{
    control_close(&control);
    unlink(log_path);
}

static bool run(const char *script, struct buffer *output)
{
    struct arguments a = shell(script);
    bool done = process_run(&control, "the script", &a, log_path, output, LIMIT_MS);

    arguments_release(&a);
    return done;
}

static void test_output(void)
{
    struct buffer output = BUFFER_INIT;
    struct buffer log = BUFFER_INIT;

    open_all();
    CU_ASSERT_TRUE(run("echo to-output; echo to-log >&2", &output));
    CU_ASSERT_STRING_EQUAL(output.data, "to-output\n");
    CU_ASSERT_EQUAL(buffer_read_file(&log, log_path, 1000), 0);
    CU_ASSERT_STRING_EQUAL(log.data, "to-log\n");
    buffer_release(&output);
    buffer_release(&log);
    close_all();
}

static void test_failures_are_told(void)
{
    struct arguments a = ARGUMENTS_INIT;
    struct process p;

    open_all();
    CU_ASSERT_FALSE(run("exit 3", NULL));
    CU_ASSERT_STRING_EQUAL(control.failure, "the script failed: exit code 3");
    control.failed = false;
    CU_ASSERT_FALSE(run("kill -9 $$", NULL));
    CU_ASSERT_STRING_EQUAL(control.failure, "the script failed: signal 9");
    control.failed = false;
    arguments_add(&a, "/nonexistent/program");
    CU_ASSERT_FALSE(process_start(&p, &control, "it", &a, log_path, -1));
    CU_ASSERT_STRING_EQUAL(control.failure,
                           "cannot start it (/nonexistent/program): No such file or directory");
    CU_ASSERT_FALSE(process_runs(&p));
    control.failed = false;
    CU_ASSERT_FALSE(process_probe(&control, &a, LIMIT_MS));
    CU_ASSERT_FALSE(control.failed);
    arguments_release(&a);
    close_all();
}

/* What configures a broker must not reach one that is started by its arguments. */
static void test_environment(void)
{
    struct buffer output = BUFFER_INIT;

    open_all();
    setenv("MYQUEUE_STORE", "memory:", 1);
    setenv("MYQUEUE_LISTEN", "127.0.0.1:1", 1);
    setenv("OTHER", "kept", 1);
    CU_ASSERT_TRUE(run("echo \"$MYQUEUE_STORE$MYQUEUE_LISTEN$OTHER\"", &output));
    CU_ASSERT_STRING_EQUAL(output.data, "kept\n");
    unsetenv("MYQUEUE_STORE");
    unsetenv("MYQUEUE_LISTEN");
    buffer_release(&output);
    close_all();
}

/* An interrupt ends a wait, but not while things are being taken down. */
static void test_interrupt(void)
{
    struct arguments a = shell("exec sleep 1000");
    struct process p;

    open_all();
    CU_ASSERT_TRUE_FATAL(process_start(&p, &control, "it", &a, log_path, -1));
    kill(getpid(), SIGINT);
    CU_ASSERT_FALSE(process_wait(&p, &control, LIMIT_MS));
    CU_ASSERT_TRUE(control.interrupted);
    CU_ASSERT_FALSE(control_wait(&control, 0));
    control.stopping = true;
    CU_ASSERT_TRUE(control_wait(&control, 0));
    process_signal(&p, SIGKILL);
    CU_ASSERT_TRUE(process_wait(&p, &control, LIMIT_MS));
    CU_ASSERT_FALSE(process_succeeded(&p));
    arguments_release(&a);
    close_all();
}

/* All of a tree is found, also who made a session of its own. */
static void test_descendants(void)
{
    struct arguments a = shell("setsid sh -c 'sleep 1000 & wait' & wait");
    struct process p;
    pid_t pids[16];
    size_t count;

    open_all();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    CU_ASSERT_TRUE_FATAL(process_start(&p, &control, "it", &a, log_path, -1));
    do {
        count = process_descendants(p.pid, pids, 16);
    } while (count < 2 && control_wait(&control, 10));
    CU_ASSERT_EQUAL(count, 2);
    process_signal(&p, SIGKILL);
    for (size_t i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
    }
    CU_ASSERT_TRUE(process_wait(&p, &control, LIMIT_MS));
    arguments_release(&a);
    close_all();
}

SUITE("process", {"output and log", test_output}, {"failures are told", test_failures_are_told},
      {"MYQUEUE_* stays behind", test_environment}, {"interrupts", test_interrupt},
      {"descendants", test_descendants})
