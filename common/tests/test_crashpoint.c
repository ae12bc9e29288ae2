/*
 * test_crashpoint.c - the table of crash points, and what arms one.
 */
#include "common/crashpoint.h"
#include "common/tests/suite.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void every_step_is_found_by_its_name_alone(void)
{
    for (int i = 0; i < CRASH_STEP_COUNT; i++) {
        const char *name = crash_steps[i].name;
        CU_ASSERT_EQUAL((int)crashpoint_find(name, strlen(name)), i);
        CU_ASSERT_EQUAL(crashpoint_find(name, strlen(name) - 1), CRASH_STEP_COUNT);
    }
    CU_ASSERT_EQUAL(crashpoint_find("", 0), CRASH_STEP_COUNT);
}

static void the_product_dies_at_no_point(void)
{
    CRASH_POINT(COMMIT_SENT);
    CU_ASSERT_TRUE(true);
}

#ifdef CRASH_POINTS

static void what_is_no_step_is_refused_with_a_list(void)
{
    static const char *const bad[] = {"commit.sent",    "commit.sent:",  "commit.sent:0",
                                      "commit.sent:1x", "commit.send:1", ":1"};
    char error[CRASH_ERROR_BYTES_MAX];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error[0] = '\0';
        CU_ASSERT_FALSE(crashpoint_arm(bad[i], error, sizeof error));
        CU_ASSERT_PTR_NOT_NULL(strstr(error, crash_steps[0].name));
        CU_ASSERT_PTR_NOT_NULL(strstr(error, crash_steps[CRASH_STEP_COUNT - 1].words));
    }
    CU_ASSERT_TRUE(crashpoint_arm(NULL, error, sizeof error));
    CU_ASSERT_TRUE(crashpoint_arm("", error, sizeof error));
}

/* How a child ends that passes COMMIT_SENT so many times, armed for its second pass. */
static int end_after(int passes)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        char error[CRASH_ERROR_BYTES_MAX];
        if (!crashpoint_arm("commit.sent:2", error, sizeof error)) {
            _exit(1);
        }
        for (int i = 0; i < passes; i++) {
            CRASH_POINT(COMMIT_SENT);
            CRASH_POINT(COMMIT_DONE);
        }
        _exit(0);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

static void an_armed_process_dies_at_its_hit(void)
{
    CU_ASSERT_EQUAL(end_after(1), 0);
    int status = end_after(2);
    CU_ASSERT_TRUE(WIFSIGNALED(status));
    CU_ASSERT_EQUAL(WTERMSIG(status), 9);
}

SUITE("crashpoint",
      {"every step is found by its name alone", every_step_is_found_by_its_name_alone},
      {"unarmed, nobody dies", the_product_dies_at_no_point},
      {"what is no step is refused with a list", what_is_no_step_is_refused_with_a_list},
      {"an armed process dies at its hit", an_armed_process_dies_at_its_hit})

#else

SUITE("crashpoint",
      {"every step is found by its name alone", every_step_is_found_by_its_name_alone},
      {"the product dies at no point", the_product_dies_at_no_point})

#endif
