/*
 * run.h - one run of a scenario, from nothing to a verdict and back to nothing.
 */
#ifndef HARNESS_RUN_H
#define HARNESS_RUN_H

#include "harness/scenario/scenario.h"

#include <stdio.h>

/* Exit codes beside the verdicts' 0, 1, 2 (judge.h). */
enum { EXIT_USAGE = 254, EXIT_HARNESS = 255 };

struct run_options {
    const char *dir;           /* the scenario's folder */
    const char *runtime;       /* "auto" | "docker" | "process" */
    enum scenario_store store; /* STORE_UNSAID: as the scenario says */
    const char *reports;       /* where the reports' folders are */
    const char *name;          /* of the reports' folder; NULL: the scenario's folder's name */
    const char *command;       /* what repeats the run; NULL: as make is told to run `dir` */
    const char *root;          /* the project's folder */
    const char *programs;      /* the folder of myqueue-broker and the others */
    FILE *out;                 /* gets the verdict */
    bool as_tap;               /* … as TAP, not as a summary */
    int64_t consumers;         /* of every topic; 0: not given, see scenario_load() */
    int64_t limit_s;           /* for the whole run, once the images are made */
    int64_t stall_s;           /* … without any sign of life of the clients */
};

/*
 * Run it, judge it, say how it went. Everything that was started has ended and everything
 * that was made, but for the run's folder, is gone when this returns.
 * Returns the program's exit code.
 */
int run_scenario(const struct run_options *options);

#endif
