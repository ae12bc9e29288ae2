/*
 * suite.h - a test program over CUnit's Basic mode, whose last line is `N passed, N failed`,
 * counted in tests, and whose exit code is 0 when all passed.
 *
 * The tree's other suites have their own of this; the library includes nothing of the tree.
 */
#ifndef MYQUEUE_TESTS_SUITE_H
#define MYQUEUE_TESTS_SUITE_H

#include <CUnit/Basic.h>
#include <stdio.h>

static inline int suite_end(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned run = CU_get_number_of_tests_run();
    unsigned failed = CU_get_number_of_tests_failed();
    CU_cleanup_registry();
    printf("%u passed, %u failed\n", run - failed, failed);
    return run > 0 && failed == 0 ? 0 : 1;
}

/* SUITE_BEGIN("name"); SUITE_TEST(function); ... return suite_end(); */
#define SUITE_BEGIN(name)                                                                          \
    if (CU_initialize_registry() != CUE_SUCCESS) {                                                 \
        return 1;                                                                                  \
    }                                                                                              \
    CU_pSuite suite = CU_add_suite((name), NULL, NULL)

#define SUITE_TEST(function)                                                                       \
    if (CU_add_test(suite, #function, (function)) == NULL) {                                       \
        return 1;                                                                                  \
    }

#endif
