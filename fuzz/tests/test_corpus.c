/*
 * test_corpus.c - every kept input through its target: what once was wrong stays right, and the
 * targets themselves keep working where there is no clang.
 */
#include "common/buffer.h"
#include "common/tests/suite.h"
#include "fuzz/fuzz.h"

#include <glob.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX (1024 * 1024)

static const char *at = ""; /* the input at hand */

static void tell(int number)
{
    (void)number;
    ssize_t written = write(STDERR_FILENO, at, strlen(at));
    written += write(STDERR_FILENO, ": aborted\n", 10);
    (void)written;
}

static void run_all(const char *pattern, fuzz_target *target)
{
    glob_t files;

    signal(SIGABRT, tell); /* it aborts all the same */
    CU_ASSERT_EQUAL_FATAL(glob(pattern, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct buffer input = BUFFER_INIT;
        CU_ASSERT_EQUAL(buffer_read_file(&input, files.gl_pathv[i], INPUT_BYTES_MAX), 0);
        at = files.gl_pathv[i];
        target((const uint8_t *)input.data, input.size);
        buffer_release(&input);
    }
    CU_PASS("none aborted");
    globfree(&files);
}

#define RUN(name)                                                                                  \
    static void run_##name(void)                                                                   \
    {                                                                                              \
        run_all("fuzz/corpus/" #name "/*", fuzz_##name);                                           \
    }
FUZZ_TARGETS(RUN)

#define ROW(name) {#name, run_##name},
SUITE("corpus", FUZZ_TARGETS(ROW))
