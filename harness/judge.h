/*
 * judge.h - from a run folder to a verdict.
 *
 * The judge reads what a run left behind (run.json, scenario/, history/, rows.jsonl,
 * consumer_N.txt), checks the promises (check.h), and writes result.json and report.html
 * beside them. It needs nothing else, so a saved run can be judged again at any time.
 *
 * run.json may hold "ended_early": "what the run was waiting for when it was given up";
 * the verdict is then `unknown`, if nothing worse is found.
 */
#ifndef HARNESS_JUDGE_H
#define HARNESS_JUDGE_H

#include <stddef.h>
#include <stdio.h>

/* What judge_run() returns, and the harness' exit codes. */
enum verdict {
    VERDICT_VALID = 0,
    VERDICT_INVALID = 1, /* a promise was broken */
    VERDICT_UNKNOWN = 2, /* nothing broken was seen, but not enough was seen */
    VERDICT_FAILED = 255 /* the run folder cannot be read or written; see `error` */
};

/*
 * Judge a run folder.
 *
 * shown   how the printed summary names the folder (e.g. `reports/5p3c/latest`);
 *         NULL: `run_dir` itself
 * out     gets the summary of about ten lines; its last line names verdict, runtime, report
 * error   gets one line when VERDICT_FAILED is returned
 */
enum verdict judge_run(const char *run_dir, const char *shown, FILE *out, char *error,
                       size_t error_size);

#endif
