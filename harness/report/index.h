/*
 * index.h - reports/index.html: the runs that a folder of reports holds, the newest first.
 *
 * Always: it is made from the folders that are there, so a run that was deleted is gone from
 * it the next time; and it is replaced as a whole, also when two runs end at once.
 *
 * A run is REPORTS/NAME/RUN with a run.json and a result.json. Where REPORTS/NAME/latest is none
 * (a bench, a matrix, the mutants), its index.html or report.html is named below the runs.
 *
 * Threads: any.
 */
#ifndef HARNESS_INDEX_H
#define HARNESS_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#define INDEX_RUNS_MAX 1000 /* that are listed; older ones are counted */

/* Write REPORTS/index.html. false: one line is in `error`. */
bool index_write(const char *reports, char *error, size_t error_size);

/* … of the folder that a run's folder lies in, if there is one already. */
bool index_update(const char *run_dir, char *error, size_t error_size);

#endif
