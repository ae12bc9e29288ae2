/*
 * test_surroundings.c - what a card shows around a violation: places of the log, lines of the
 * services' logs.
 */
#include "common/tests/suite.h"
#include "harness/report/logs.h"
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

SUITE("surroundings", {"places of the log", test_places}, {"lines of the logs", test_logs})
