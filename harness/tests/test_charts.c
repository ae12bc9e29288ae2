/*
 * test_charts.c - what the pictures are drawn from: the fates of sends.
 */
#include "common/tests/suite.h"
#include "harness/report/fates.h"
#include "harness/memory.h"
#include "harness/tests/goodrun.h"

/* The fates of a run that is loaded from a folder. */
struct loaded {
    char dir[128];
    struct scenario *s;
    struct history *h;
    struct fates *fates;
};

static struct loaded folder_load(const struct folder *f)
{
    struct loaded l = {.s = NULL};
    char path[256];
    char error[512];

    dir_make(l.dir, sizeof l.dir);
    folder_write(f, l.dir);
    snprintf(path, sizeof path, "%s/scenario", l.dir);
    CU_ASSERT_FATAL(scenario_load(path, 0, STORE_UNSAID, &l.s, error, sizeof error));
    CU_ASSERT_FATAL(history_load(l.dir, l.s, &l.h, error, sizeof error));
    l.fates = memory_zeroed(1, sizeof *l.fates);
    fates_take(l.fates, l.s, l.h);
    return l;
}

static void loaded_release(struct loaded *l)
{
    fates_release(l->fates);
    free(l->fates);
    history_destroy(l->h);
    scenario_destroy(l->s);
    dir_remove(l->dir);
}

static void test_fates_good(void)
{
    struct folder *f = folder_good(false);
    struct loaded l = folder_load(f);

    CU_ASSERT_EQUAL(l.fates->counts[FATE_DELIVERED], PRODUCERS * ROUND_COUNT);
    CU_ASSERT_EQUAL(l.fates->acknowledged.count, PRODUCERS * ROUND_COUNT);
    /* T1 has two consumers, T2 one */
    CU_ASSERT_EQUAL(l.fates->delivered.count, 2 * 30 + 6);
    loaded_release(&l);
    folder_destroy(f);
}

static void test_fates_bad(void)
{
    struct folder *f = folder_good(false);
    struct file *p1 = file_of(f, "history/P1.jsonl");
    struct file *p3 = file_of(f, "history/P3.jsonl");
    struct file *c2 = file_of(f, "history/C2.jsonl");

    line_remove(file_of(f, "rows.jsonl"), 0);                         /* one not stored */
    line_remove(c2, line_with(c2, "\"receive\"", "\"offset\":3", 0)); /* one not delivered */
    line_remove(p3, line_with(p3, "\"send\"", "\"type\":\"ok\"", 4)); /* one without an end */
    line_edit(p1, line_with(p1, "\"send\"", "\"type\":\"ok\"", 8), "\"ok\"", "\"fail\"");
    struct loaded l = folder_load(f);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_NOT_STORED], 1);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_UNDELIVERED], 1);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_UNKNOWN], 1);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_REFUSED], 1);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_DELIVERED], PRODUCERS * ROUND_COUNT - 4);
    loaded_release(&l);
    folder_destroy(f);
}

/* The offsets began again: of two messages at one place only the later can be there. */
static void test_fates_offset_twice(void)
{
    struct folder *f = folder_good(false);
    struct file *p2 = file_of(f, "history/P2.jsonl");

    line_edit(p2, line_with(p2, "\"send\"", "\"type\":\"ok\"", 6),
              "\"offset\":", "\"offset\":0,\"was\":");
    struct loaded l = folder_load(f);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_NOT_STORED], 2); /* it, and the one that was there */
    loaded_release(&l);
    folder_destroy(f);
}

/* A system that gives no offsets: what was acknowledged is known, not who received it. */
static void test_fates_plain(void)
{
    struct folder *f = folder_good(false);

    line_edit(file_of(f, "run.json"), 0, "\"runtime\"", "\"calls\":\"plain\",\"runtime\"");
    for (size_t i = 0; i < f->count; i++) {
        struct file *file = &f->files[i];
        for (size_t k = 0; strstr(file->name, "history/") != NULL && k < file->count; k++) {
            if (strstr(file->lines[k], "\"offset\"") != NULL) {
                line_edit(file, k, "\"offset\"", "\"another\"");
            }
        }
    }
    struct loaded l = folder_load(f);
    CU_ASSERT_EQUAL(l.fates->counts[FATE_UNPLACED], PRODUCERS * ROUND_COUNT);
    CU_ASSERT_EQUAL(l.fates->acknowledged.count, PRODUCERS * ROUND_COUNT);
    CU_ASSERT_EQUAL(l.fates->delivered.count, 0);
    loaded_release(&l);
    folder_destroy(f);
}

SUITE("charts",

      {"fates of a good run", test_fates_good}, {"fates of a bad run", test_fates_bad},
      {"fates at an offset that is given twice", test_fates_offset_twice},
      {"fates without offsets", test_fates_plain})
