/*
 * test_watch.c - counting acknowledgements in a history that grows.
 */
#include "common/tests/suite.h"
#include "harness/run/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char sent[] = "{\"t\":1,\"process\":\"P1\",\"op\":\"send\",\"type\":\"invoke\","
                           "\"line\":1,\"topic\":\"T1\",\"message\":\"INFO\"}\n";
static const char acked[] = "{\"t\":2,\"process\":\"P1\",\"op\":\"send\",\"type\":\"ok\","
                            "\"line\":1,\"topic\":\"T1\",\"offset\":0}\n";
static const char failed[] = "{\"t\":2,\"process\":\"P1\",\"op\":\"send\",\"type\":\"fail\","
                             "\"line\":1,\"topic\":\"T1\",\"code\":\"expired\"}\n";
static const char registered[] = "{\"t\":2,\"process\":\"P1\",\"op\":\"register\",\"type\":\"ok\","
                                 "\"topic\":\"T1\",\"producer_id\":7}\n";
static const char received[] = "{\"t\":2,\"process\":\"C1\",\"op\":\"receive\",\"type\":\"ok\","
                               "\"line\":1,\"topic\":\"T1\",\"offset\":0,\"message\":\"INFO\"}\n";
static const char begun[] = "{\"t\":1,\"process\":\"P1\",\"op\":\"request\",\"type\":\"invoke\","
                            "\"id\":5,\"path\":\"/producer/produce\",\"topic\":\"T1\"}\n";
static const char request[] = "{\"t\":2,\"process\":\"P1\",\"op\":\"request\",\"type\":\"ok\","
                              "\"id\":5,\"http\":200}\n";

static const char lost[] = "{\"t\":3,\"process\":\"P1\",\"op\":\"request\",\"type\":\"info\","
                           "\"id\":6,\"http\":0,\"error\":\"reset\"}\n";

static struct watch_counts count(const char *text)
{
    struct watch_counts counts = {0};
    struct buffer partial = BUFFER_INIT;

    buffer_append_string(&partial, text);
    watch_count(&counts, &partial);
    buffer_release(&partial);
    return counts;
}

static void test_kinds(void)
{
    struct buffer text = BUFFER_INIT;

    buffer_append_string(&text, sent);
    buffer_append_string(&text, failed);
    buffer_append_string(&text, acked);
    buffer_append_string(&text, acked);
    buffer_append_string(&text, registered);
    buffer_append_string(&text, request);
    buffer_append_string(&text, received);
    struct watch_counts counts = count(text.data);
    CU_ASSERT_EQUAL(counts.acknowledged, 2);
    CU_ASSERT_EQUAL(counts.registered, 1);
    CU_ASSERT_EQUAL(counts.received, 1);
    buffer_release(&text);
}

/* A message may hold what a history line looks like; in JSON its quotes are escaped. */
static void test_text_is_not_taken_for_more(void)
{
    struct watch_counts counts = count(
        "{\"t\":1,\"process\":\"C1\",\"op\":\"receive\",\"type\":\"ok\",\"line\":1,\"topic\":"
        "\"T1\",\"offset\":0,\"message\":\"{\\\"op\\\":\\\"send\\\",\\\"type\\\":\\\"ok\\\"}\"}\n");

    CU_ASSERT_EQUAL(counts.acknowledged, 0);
    CU_ASSERT_EQUAL(counts.received, 1);
}

static void test_open_requests(void)
{
    struct watch_counts counts = {0};
    struct buffer partial = BUFFER_INIT;

    buffer_append_string(&partial, begun);
    buffer_append_string(&partial, begun);
    watch_count(&counts, &partial);
    CU_ASSERT_EQUAL(counts.open, 2);
    buffer_append_string(&partial, request);
    watch_count(&counts, &partial);
    CU_ASSERT_EQUAL(counts.open, 1);
    buffer_append_string(&partial, lost);
    watch_count(&counts, &partial);
    CU_ASSERT_EQUAL(counts.open, 0);
    CU_ASSERT_EQUAL(counts.acknowledged, 0);
    buffer_release(&partial);
}

/* What a life that ended had begun is not on its way any more. */
static void test_lives(void)
{
    static const char start[] =
        "{\"t\":9,\"process\":\"P1\",\"op\":\"start\",\"type\":\"ok\",\"incarnation\":2}\n";
    struct watch_counts counts = {0};
    struct buffer partial = BUFFER_INIT;

    buffer_append_string(&partial, begun);
    buffer_append_string(&partial, acked);
    buffer_append_string(&partial, start);
    watch_count(&counts, &partial);
    CU_ASSERT_EQUAL(counts.open, 0);
    CU_ASSERT_EQUAL(counts.lives, 1);
    CU_ASSERT_EQUAL(counts.acknowledged, 1);
    buffer_release(&partial);
}

static void test_unfinished_lines_wait(void)
{
    struct watch_counts counts = {0};
    struct buffer partial = BUFFER_INIT;
    const char *text = acked;

    for (size_t i = 0; text[i] != '\0'; i++) {
        CU_ASSERT_EQUAL(counts.acknowledged, 0);
        buffer_append_char(&partial, text[i]);
        watch_count(&counts, &partial);
    }
    CU_ASSERT_EQUAL(counts.acknowledged, 1);
    CU_ASSERT_EQUAL(partial.size, 0);
    buffer_release(&partial);
}

/* The file appears after it is watched, and every append wakes the harness. */
static void test_follows_a_file(void)
{
    char dir[] = "/tmp/test_watch-XXXXXX";
    char path[64];
    struct control c;
    struct watch *w = NULL;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/P1.jsonl", dir);
    CU_ASSERT_EQUAL_FATAL(control_open(&c, 0), 0);
    CU_ASSERT_TRUE_FATAL(watch_open(&w, &c, path));
    CU_ASSERT_EQUAL(watch_read(w)->acknowledged, 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    CU_ASSERT_FATAL(fd >= 0);
    for (int64_t i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(write(fd, acked, strlen(acked)), (ssize_t)strlen(acked));
        while (watch_read(w)->acknowledged < i) {
            control_wait(&c, 100);
        }
        CU_ASSERT_EQUAL(watch_read(w)->acknowledged, i);
    }
    close(fd);
    watch_close(w);
    control_close(&c);
    unlink(path);
    rmdir(dir);
}

static void test_missing_folder(void)
{
    struct control c;
    struct watch *w = NULL;

    CU_ASSERT_EQUAL_FATAL(control_open(&c, 0), 0);
    CU_ASSERT_FALSE(watch_open(&w, &c, "/nonexistent/P1.jsonl"));
    CU_ASSERT_TRUE(c.failed);
    CU_ASSERT_PTR_NOT_NULL(strstr(c.failure, "/nonexistent/P1.jsonl"));
    control_close(&c);
}

SUITE("watch", {"each kind of line", test_kinds},
      {"a message's text is not taken for more", test_text_is_not_taken_for_more},
      {"requests that are open", test_open_requests}, {"lives", test_lives},
      {"unfinished lines wait", test_unfinished_lines_wait},
      {"follows a file", test_follows_a_file}, {"a missing folder", test_missing_folder})
