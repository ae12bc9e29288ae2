/*
 * judge.h - from a run folder to a verdict.
 *
 * The judge reads what a run left behind (run.json, scenario/, history/, rows.jsonl,
 * consumer_N.txt), checks the promises (check.h), and writes result.json, junit.xml and
 * report.html beside them. It needs nothing else, so a saved run can be judged again at any time.
 *
 * run.json may hold "ended_early": "what the run was waiting for when it was given up";
 * the verdict is then `unknown`, if nothing worse is found.
 */
#ifndef HARNESS_JUDGE_H
#define HARNESS_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What judge_run() returns, and the harness' exit codes. */
enum verdict {
    VERDICT_VALID = 0,
    VERDICT_INVALID = 1, /* a promise was broken */
    VERDICT_UNKNOWN = 2, /* nothing broken was seen, but not enough was seen */
    VERDICT_FAILED = 255 /* the run folder cannot be read or written; see `error` */
};

/* Where the verdict is said, once it is written. */
struct judge_output {
    FILE *out;
    bool as_tap;       /* tap.h; else the summary of about ten lines, the last of which names
                        * verdict, runtime and report */
    bool explains;     /* the evidence in full before the summary: explain.h */
    const char *shown; /* how the folder is named (e.g. `reports/5p3c/latest`); NULL: as given */
};

/* Judge a run folder. `error` gets one line when VERDICT_FAILED is returned. */
enum verdict judge_run(const char *run_dir, const struct judge_output *output, char *error,
                       size_t error_size);

#endif
