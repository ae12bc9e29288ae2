/*
 * runtime.c - what the two runtimes share.
 */
#include "harness/runtime.h"

#include <signal.h>
#include <stdio.h>

#define QUERY_LIMIT_MS 120000

const char *runtime_next_log(struct runtime *rt, enum fault_target target, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.4000s/logs/%s-%d.log", rt->settings->run_dir,
             fault_target_name(target), ++rt->incarnations[target]);
    return path;
}

const char *runtime_log(const struct runtime *rt, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.4000s/logs/runtime.log", rt->settings->run_dir);
    return path;
}

void victims_freeze(struct victims *v, pid_t pid)
{
    v->pids[0] = pid;
    kill(pid, SIGSTOP);
    v->count = 1 + process_descendants(pid, v->pids + 1, VICTIMS_MAX - 1);
    victims_signal(v, SIGSTOP);
}

void victims_signal(const struct victims *v, int number)
{
    for (size_t i = 0; i < v->count; i++) {
        kill(v->pids[i], number);
    }
}

bool runtime_psql(struct runtime *rt, struct arguments *a, const char *folder, const char *sql,
                  int output_fd)
{
    struct control *c = rt->control;
    struct process p;
    char log[PATH_MAX];
    char how[32];

    arguments_add(a, "psql");
    arguments_add(a, "--no-psqlrc");
    arguments_add(a, "--tuples-only");
    arguments_add(a, "--no-align");
    arguments_add(a, "--set=FETCH_COUNT=10000"); /* or psql holds all rows in memory */
    arguments_add(a, "--command=%s", sql);
    arguments_add(a, "postgres://myqueue@/myqueue?host=%s&port=5432", folder);
    bool done = process_start(&p, c, "psql", a, runtime_log(rt, log), output_fd);
    arguments_release(a);
    if (!done) {
        return false;
    }
    if (!process_wait(&p, c, QUERY_LIMIT_MS)) {
        process_signal(&p, SIGKILL);
        return (!c->interrupted || c->stopping) &&
               control_fail(c, log, "the store's rows could not be read within %d s",
                            QUERY_LIMIT_MS / 1000);
    }
    return process_succeeded(&p) ||
           control_fail(c, log, "psql failed: %s", process_end(&p, how, sizeof how));
}
