/*
 * suite.h - a test program in a few lines over CUnit's Basic mode.
 *
 *   SUITE("buffer", {"grows", test_grows}, {"refuses more than its limit", test_limit})
 *
 * makes a main() that runs the tests, prints CUnit's own report and, as its last line,
 * `N passed, N failed`, counted in tests. The exit code is 0 when all passed.
 */
#ifndef COMMON_TESTS_SUITE_H
#define COMMON_TESTS_SUITE_H

#include <CUnit/Basic.h>
#include <stdio.h>

struct suite_test {
    const char *name;
    void (*run)(void);
};

static inline int suite_run(const char *name, const struct suite_test *tests, size_t count)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 1;
    }
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        if (suite == NULL || CU_add_test(suite, tests[i].name, tests[i].run) == NULL) {
            fprintf(stderr, "%s: cannot add the test '%s'\n", name, tests[i].name);
            return 1;
        }
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_tests_failed();
    unsigned run = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    printf("%u passed, %u failed\n", run - failed, failed);
    return failed == 0 && run == count ? 0 : 1;
}

#define SUITE(name, ...)                                                                           \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct suite_test tests[] = {__VA_ARGS__};                                    \
        return suite_run((name), tests, sizeof tests / sizeof *tests);                             \
    }

#endif
