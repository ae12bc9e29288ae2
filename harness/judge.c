/*
 * judge.c - load, check, write, say.
 */
#include "harness/judge.h"

#include "harness/check.h"
#include "harness/report.h"
#include "harness/result.h"
#include "harness/summary.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct judging {
    const char *run_dir;
    struct scenario *s;
    struct history *h;
    struct check *c;
    char *error;
    size_t error_size;
};

static bool run_load(struct judging *j)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/scenario", j->run_dir);
    return scenario_load(path, 0, STORE_UNSAID, &j->s, j->error, j->error_size) &&
           history_load(j->run_dir, j->s, &j->h, j->error, j->error_size);
}

/* Written beside and renamed, so that a reader never sees half of it. */
static bool file_write(const struct judging *j, const char *name, const struct buffer *b)
{
    char path[PATH_MAX];
    char beside[PATH_MAX + 8];

    snprintf(path, sizeof path, "%s/%s", j->run_dir, name);
    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *file = b->failed ? NULL : fopen(beside, "we");
    bool ok = file != NULL && fwrite(b->data, 1, b->size, file) == b->size;
    if (file != NULL && fclose(file) != 0) {
        ok = false;
    }
    if (!ok || rename(beside, path) != 0) {
        snprintf(j->error, j->error_size, "%s: cannot be written: %s", path,
                 b->failed ? "out of memory" : strerror(errno));
        return false;
    }
    return true;
}

static bool run_report(struct judging *j, const char *shown, FILE *out)
{
    struct buffer b = BUFFER_INIT;

    result_append(&b, j->s, j->h, j->c);
    bool ok = file_write(j, "result.json", &b);
    buffer_clear(&b);
    report_append(&b, j->s, j->h, j->c);
    ok = ok && file_write(j, "report.html", &b);
    if (ok) {
        buffer_clear(&b);
        summary_append(&b, j->s, j->h, j->c, shown);
        fwrite(b.data, 1, b.size, out);
        fflush(out);
    }
    buffer_release(&b);
    return ok;
}

enum verdict judge_run(const char *run_dir, const char *shown, FILE *out, char *error,
                       size_t error_size)
{
    struct judging j = {.run_dir = run_dir, .error = error, .error_size = error_size};
    enum verdict verdict = VERDICT_FAILED;

    if (run_load(&j)) {
        j.c = check_run(j.s, j.h);
        if (run_report(&j, shown == NULL ? run_dir : shown, out)) {
            verdict = j.c->verdict;
        }
    }
    check_destroy(j.c);
    history_destroy(j.h);
    scenario_destroy(j.s);
    return verdict;
}
