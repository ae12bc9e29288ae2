/*
 * test_history.c - events become operations: which end belongs to which begin.
 */
#include "common/tests/suite.h"
#include "harness/tests/goodrun.h"

#define CONSUMER "history/C1.jsonl"

/* One event of a size or a seek, behind all others of C1. */
static void event_add(struct folder *f, const char *op, const char *type, const char *members)
{
    int64_t t_ns = tick(f);
    add(f, CONSUMER, "{\"t\":%" PRId64 ",\"process\":\"C1\",\"op\":\"%s\",\"type\":\"%s\"%s}", t_ns,
        op, type, members);
}

static bool folder_load(const struct folder *f, struct scenario **s, struct history **h,
                        char *error, size_t error_size)
{
    char dir[128];
    char path[160];

    dir_make(dir, sizeof dir);
    folder_write(f, dir);
    snprintf(path, sizeof path, "%s/scenario", dir);
    bool ok = scenario_load(path, 0, STORE_UNSAID, s, error, error_size) &&
              history_load(dir, *s, h, error, error_size);
    dir_remove(dir);
    return ok;
}

/* Two topics' operations are open at once, and a killed consumer leaves some open. */
static void test_ends(void)
{
    struct folder *f = folder_good(false);
    struct scenario *s = NULL;
    struct history *h = NULL;
    char error[512] = "";

    event_add(f, "size", "invoke", ",\"topic\":\"T1\"");
    event_add(f, "size", "invoke", ",\"topic\":\"T2\"");
    event_add(f, "size", "ok", ",\"topic\":\"T1\",\"size\":11");
    event_add(f, "size", "invoke", ",\"topic\":\"T1\"");
    event_add(f, "seek", "invoke", ",\"topic\":\"T1\",\"offset\":3");
    event_add(f, "size", "ok", ",\"topic\":\"T2\",\"size\":22");
    event_add(f, "start", "ok", ",\"incarnation\":2");
    event_add(f, "seek", "invoke", ",\"topic\":\"T1\",\"offset\":4");
    event_add(f, "seek", "fail", ",\"topic\":\"T1\"");
    event_add(f, "seek", "invoke", ",\"topic\":\"T2\",\"offset\":5");
    CU_ASSERT_FATAL(folder_load(f, &s, &h, error, sizeof error));
    const struct history_consumer *c = &h->consumers[0];
    CU_ASSERT_FATAL(c->sizes.count >= 3 && c->seeks.count == 3);
    const struct history_size *sizes = &c->sizes.items[c->sizes.count - 3];
    const struct history_seek *seeks = c->seeks.items;
    CU_ASSERT(sizes[0].outcome == OUTCOME_OK && sizes[0].size == 11);
    CU_ASSERT(sizes[1].outcome == OUTCOME_OK && sizes[1].size == 22);
    CU_ASSERT(sizes[2].outcome == OUTCOME_INFO && sizes[2].end_ns == TIME_NONE);
    CU_ASSERT(seeks[0].outcome == OUTCOME_INFO && seeks[0].offset == 3);
    CU_ASSERT(seeks[1].outcome == OUTCOME_FAIL && seeks[1].offset == 4);
    CU_ASSERT(seeks[2].outcome == OUTCOME_OPEN && seeks[2].offset == 5);
    history_destroy(h);
    scenario_destroy(s);
    folder_destroy(f);
}

static void test_refused(void)
{
    static const struct {
        const char *op;
        const char *type;
        const char *members;
        const char *reason;
    } cases[] = {
        {"size", "ok", ",\"topic\":\"T1\",\"size\":1", "the end of a size that never began"},
        {"seek", "ok", ",\"topic\":\"T1\"", "the end of a seek that never began"},
        {"size", "invoke", "", "a size without 'topic'"},
        {"seek", "invoke", ",\"offset\":1", "a seek without 'topic'"},
        {"seek", "invoke", ",\"topic\":\"T1\"", "a seek without 'offset'"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct folder *f = folder_good(false);
        struct scenario *s = NULL;
        struct history *h = NULL;
        char error[512] = "";
        char line[32];
        event_add(f, cases[i].op, cases[i].type, cases[i].members);
        event_add(f, "receive", "torn", "");
        CU_ASSERT(!folder_load(f, &s, &h, error, sizeof error));
        snprintf(line, sizeof line, "C1.jsonl:%zu: ", file_of(f, CONSUMER)->count - 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, line));
        CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].reason));
        scenario_destroy(s);
        folder_destroy(f);
    }
}

SUITE("history", {"ends of sizes and seeks", test_ends},
      {"what cannot be is refused", test_refused})
