/*
 * test_surroundings.c - what a card shows around a violation: places of the log, lines of the
 * services' logs, what the client did.
 */
#include "common/tests/suite.h"
#include "harness/report/logs.h"
#include "harness/report/operations.h"
#include "harness/report/places.h"
#include "harness/tests/goodrun.h"

#define WALL_NS INT64_C(1763708357000000000) /* 2025-11-21T06:59:17Z, at 0 of our clock */

static void test_places(void)
{
    struct folder *f = folder_good(false);
    struct file *c2 = file_of(f, "history/C2.jsonl");
    struct scenario *s = NULL;
    struct history *h = NULL;
    struct places l = {0};
    char dir[128];
    char path[256];
    char error[512];

    line_remove(c2, line_with(c2, "\"receive\"", "\"offset\":4,", 0));
    line_remove(file_of(f, "rows.jsonl"),
                line_with(file_of(f, "rows.jsonl"), "T1", "\"offset\":5,", 0));
    dir_make(dir, sizeof dir);
    folder_write(f, dir);
    snprintf(path, sizeof path, "%s/scenario", dir);
    CU_ASSERT_FATAL(scenario_load(path, 0, STORE_UNSAID, &s, error, sizeof error));
    CU_ASSERT_FATAL(history_load(dir, s, &h, error, sizeof error));
    places_want(&l, 0, 4);
    places_want(&l, 0, 5);
    places_want(&l, 0, 4);
    places_want(&l, 0, 1000);
    places_want(&l, 0, -1);
    places_want(&l, SIZE_MAX, 4);
    places_fill(&l, s, h);
    CU_ASSERT_EQUAL(l.count, 3);
    const struct place *four = places_get(&l, 0, 4);
    const struct place *five = places_get(&l, 0, 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(four);
    CU_ASSERT_PTR_NOT_NULL_FATAL(four->send);
    CU_ASSERT_EQUAL(four->send->offset, 4);
    CU_ASSERT_PTR_NOT_NULL(four->row);
    CU_ASSERT_NOT_EQUAL(four->received_ns[0], TIME_NONE);
    CU_ASSERT_EQUAL(four->received_ns[1], TIME_NONE);
    CU_ASSERT_PTR_NULL(five->row);
    CU_ASSERT_NOT_EQUAL(five->received_ns[1], TIME_NONE);
    CU_ASSERT_PTR_NULL(places_get(&l, 0, 1000)->send);
    CU_ASSERT_PTR_NULL(places_get(&l, 0, 6));
    CU_ASSERT_PTR_NULL(places_get(&l, SIZE_MAX, 4));
    places_release(&l);
    history_destroy(h);
    scenario_destroy(s);
    dir_remove(dir);
    folder_destroy(f);
}

static void logs_write(const char *dir)
{
    char path[256];

    snprintf(path, sizeof path, "%s/logs", dir);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/logs/broker-1.log", dir);
    FILE *file = fopen(path, "w");
    fputs("no time, and nothing before it\n"
          "2025-11-21T06:59:18.027Z info serving\n"
          "2025-11-21T06:59:20.000Z warn \xff odd\n",
          file);
    fclose(file);
    snprintf(path, sizeof path, "%s/logs/postgres-1.log", dir);
    file = fopen(path, "w");
    fputs("2025-11-21 06:59:19.500 UTC [7] ERROR:  broken\n\tat its second line\n", file);
    fclose(file);
    snprintf(path, sizeof path, "%s/logs/P1.log", dir);
    file = fopen(path, "w");
    fputs("2025-11-21 06:59:19.500 UTC a client's\n", file);
    fclose(file);
    snprintf(path, sizeof path, "%s/logs/system.log", dir);
    file = fopen(path, "w");
    fputs("2025-11-21 06:59:21,500 INFO another's\n", file);
    fclose(file);
}

static void test_logs(void)
{
    struct history_run run = {.wall_ns = WALL_NS};
    struct logs l;
    char dir[128];
    size_t count;

    dir_make(dir, sizeof dir);
    logs_write(dir);
    logs_load(&l, dir, &run);
    logs_add(&l, INT64_C(1500000000), "fault 1", slice_of("begins"));
    logs_sort(&l);
    CU_ASSERT_EQUAL_FATAL(l.count, 6);
    CU_ASSERT_EQUAL(l.items[0].time_ns, INT64_C(1027000000));
    CU_ASSERT_STRING_EQUAL(l.items[0].text.data, "info serving");
    CU_ASSERT_STRING_EQUAL(l.items[1].file, "fault 1");
    CU_ASSERT_STRING_EQUAL(l.items[2].text.data, "[7] ERROR:  broken");
    CU_ASSERT_STRING_EQUAL(l.items[3].text.data, "\tat its second line");
    CU_ASSERT_STRING_EQUAL(l.items[4].text.data, "warn ? odd");
    CU_ASSERT_STRING_EQUAL(l.items[5].text.data, " INFO another's");
    /* 2.4 s: within 0.2 s the error with both its lines, not the rest */
    CU_ASSERT_EQUAL(logs_around(&l, INT64_C(2400000000), INT64_C(200000000), 10, &count), 2);
    CU_ASSERT_EQUAL(count, 2);
    CU_ASSERT_EQUAL(logs_around(&l, INT64_C(2900000000), INT64_C(5000000000), 1, &count), 4);
    CU_ASSERT_EQUAL(count, 1);
    logs_release(&l);
    run.wall_ns = TIME_NONE;
    logs_load(&l, dir, &run);
    CU_ASSERT_EQUAL(l.count, 0);
    logs_release(&l);
    dir_remove(dir);
}

/* Every kind of operation by its name, in the order of time, and none from far away. */
static void test_operations(void)
{
    struct folder *f = folder_good(false);
    struct scenario *s = NULL;
    struct history *h = NULL;
    struct operation o[OPERATIONS_MAX];
    char dir[128];
    char path[256];
    char error[512] = "";
    size_t at;
    static const char *const events[] = {
        "\"op\":\"register\",\"type\":\"ok\",\"topic\":\"T1\",\"consumer_id\":77",
        "\"op\":\"seek\",\"type\":\"invoke\",\"topic\":\"T1\",\"offset\":3",
        "\"op\":\"request\",\"type\":\"invoke\",\"id\":900,\"path\":\"/consumer/seek\",\"topic\":"
        "\"T1\",\"offset\":3",
        "\"op\":\"request\",\"type\":\"ok\",\"id\":900,\"http\":200",
        "\"op\":\"seek\",\"type\":\"ok\",\"topic\":\"T1\"",
        "\"op\":\"receive\",\"type\":\"ok\",\"line\":37,\"topic\":\"T1\",\"offset\":3,\"message\":"
        "\"message 2-2\"",
        "\"op\":\"size\",\"type\":\"invoke\",\"topic\":\"T1\"",
        "\"op\":\"size\",\"type\":\"ok\",\"topic\":\"T1\",\"size\":26",
        "\"op\":\"request\",\"type\":\"invoke\",\"id\":901,\"path\":\"/size\",\"topic\":\"T1\"",
    };
    static const char *const names[] = {"register", "seek", "request",
                                        "receive",  "size", "request"};

    f->now_ns += INT64_C(1000000000);
    int64_t begin_ns = f->now_ns;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        add(f, "history/C1.jsonl", "{\"t\":%" PRId64 ",\"process\":\"C1\",%s}", tick(f), events[i]);
    }
    dir_make(dir, sizeof dir);
    folder_write(f, dir);
    snprintf(path, sizeof path, "%s/scenario", dir);
    CU_ASSERT_FATAL(scenario_load(path, 0, STORE_UNSAID, &s, error, sizeof error));
    CU_ASSERT_FATAL(history_load(dir, s, &h, error, sizeof error));

    size_t count = operations_around(h, "C1", begin_ns + 7000000, o, &at);
    CU_ASSERT_FATAL(count >= 6);
    for (size_t i = 0; i < 6; i++) {
        CU_ASSERT_STRING_EQUAL(o[count - 6 + i].name, names[i]);
    }
    CU_ASSERT_EQUAL(at, count - 2); /* the size has begun, the request not */
    CU_ASSERT_EQUAL(o[at].size, 26);
    CU_ASSERT(slice_equals(texts_get(&h->texts, o[count - 4].path), slice_of("/consumer/seek")));
    CU_ASSERT_EQUAL(o[count - 1].outcome, OUTCOME_OPEN);

    /* A producer's sends and requests, all of them near the moment. */
    int64_t moment_ns = h->producers[1].sends.items[6].begin_ns;
    count = operations_around(h, "P2", moment_ns, o, &at);
    CU_ASSERT_EQUAL(count, 7 + 4);
    CU_ASSERT_STRING_EQUAL(o[at].name, "send");
    CU_ASSERT_EQUAL(o[at].number, 7);
    CU_ASSERT_EQUAL(operations_around(h, "P9", moment_ns, o, &at), 0);
    CU_ASSERT_EQUAL(operations_around(h, "fault 1", moment_ns, o, &at), 0);
    CU_ASSERT_EQUAL(operations_around(h, "", moment_ns, o, &at), 0);
    history_destroy(h);
    scenario_destroy(s);
    dir_remove(dir);
    folder_destroy(f);
}

SUITE("surroundings", {"places of the log", test_places}, {"lines of the logs", test_logs},
      {"what a client did around a moment", test_operations})
