/*
 * runtime.c - what the two runtimes share.
 */
#include "harness/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define QUERY_LIMIT_MS 120000
#define DRAIN_MS 5000 /* for a broker that is asked to end */

struct runtime *runtime_create(size_t size, const struct runtime_ops *ops,
                               const struct runtime_settings *settings, struct control *c)
{
    struct runtime *rt = calloc(1, size);

    if (rt == NULL) {
        control_fail(c, NULL, "out of memory");
        return NULL;
    }
    rt->ops = ops;
    rt->settings = settings;
    rt->control = c;
    snprintf(rt->broker, sizeof rt->broker, "127.0.0.1:%d", settings->port);
    snprintf(rt->folder, sizeof rt->folder, "/tmp/%s", settings->id);
    return rt;
}

void runtime_destroy(struct runtime *rt)
{
    for (int target = 0; rt != NULL && target < RUNTIME_TARGETS; target++) {
        arguments_release(&rt->environment[target]);
    }
    free(rt);
}

void runtime_set_environment(struct runtime *rt, enum fault_target target, const char *name,
                             const char *value)
{
    struct arguments *old = &rt->environment[target];
    struct arguments kept = ARGUMENTS_INIT;
    size_t size = strlen(name);

    for (size_t i = 0; i < old->count; i++) {
        if (strncmp(old->items[i], name, size) != 0 || old->items[i][size] != '=') {
            arguments_add(&kept, "%s", old->items[i]);
        }
    }
    if (value != NULL) {
        arguments_add(&kept, "%s=%s", name, value);
    }
    arguments_release(old);
    *old = kept;
}

bool runtime_has(const struct runtime *rt, enum fault_target target)
{
    return target == TARGET_BROKER || rt->settings->store == STORE_POSTGRES;
}

bool runtime_make_folder(struct runtime *rt)
{
    return mkdir(rt->folder, 0700) == 0 ||
           control_fail(rt->control, NULL, "cannot make %s: %s", rt->folder, strerror(errno));
}

bool runtime_end_broker(struct runtime *rt)
{
    struct process *broker = &rt->services[TARGET_BROKER];
    char how[32];

    if (!process_runs(broker)) {
        return true;
    }
    if (!rt->ops->ask_to_end(rt, TARGET_BROKER)) {
        return false;
    }
    bool ended = process_wait(broker, rt->control, DRAIN_MS);
    if (rt->control->interrupted) {
        return ended; /* it may have been told before it could listen */
    }
    if (!ended) {
        return control_fail(rt->control, broker->log,
                            "the broker did not end within %d s of SIGTERM", DRAIN_MS / 1000);
    }
    return process_succeeded(broker) ||
           control_fail(rt->control, broker->log, "the broker ended badly on SIGTERM: %s",
                        process_end(broker, how, sizeof how));
}

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
