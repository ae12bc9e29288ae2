/*
 * judge.c - load, check, write, say.
 */
#include "harness/judge.h"

#include "harness/check/check.h"
#include "harness/report/explain.h"
#include "harness/report/fates.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/report/junit.h"
#include "harness/report/report.h"
#include "harness/report/result.h"
#include "harness/report/summary.h"
#include "harness/report/tap.h"

#include <limits.h>
#include <stdlib.h>
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

static bool file_write(const struct judging *j, const char *name, const struct buffer *b)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", j->run_dir, name);
    int error = file_replace(path, b);
    if (error != 0) {
        snprintf(j->error, j->error_size, "%s: cannot be written: %s", path, strerror(error));
    }
    return error == 0;
}

static bool run_write(const struct judging *j)
{
    struct buffer b = BUFFER_INIT;
    struct fates *fates = memory_zeroed(1, sizeof *fates);

    fates_take(fates, j->s, j->h);
    result_append(&b, j->s, j->h, j->c, fates);
    bool ok = file_write(j, "result.json", &b);
    buffer_clear(&b);
    junit_append(&b, j->s, j->h, j->c);
    ok = ok && file_write(j, "junit.xml", &b);
    buffer_clear(&b);
    report_append(&b, j->run_dir, j->s, j->h, j->c, fates);
    ok = ok && file_write(j, "report.html", &b);
    fates_release(fates);
    free(fates);
    buffer_release(&b);
    return ok;
}

static void run_say(const struct judging *j, const struct judge_output *output)
{
    struct buffer b = BUFFER_INIT;
    const char *shown = output->shown == NULL ? j->run_dir : output->shown;

    if (output->as_tap) {
        tap_append(&b, j->s, j->h, j->c, shown);
    } else {
        if (output->explains) {
            explain_append(&b, j->s, j->h, j->c);
        }
        summary_append(&b, j->s, j->h, j->c, shown);
    }
    fwrite(b.data, 1, b.size, output->out);
    fflush(output->out);
    buffer_release(&b);
}

enum verdict judge_run(const char *run_dir, const struct judge_output *output, char *error,
                       size_t error_size)
{
    struct judging j = {.run_dir = run_dir, .error = error, .error_size = error_size};
    enum verdict verdict = VERDICT_FAILED;

    if (run_load(&j)) {
        j.c = check_run(j.s, j.h);
        if (run_write(&j)) {
            run_say(&j, output);
            verdict = j.c->verdict;
        }
    }
    check_destroy(j.c);
    history_destroy(j.h);
    scenario_destroy(j.s);
    return verdict;
}
