/*
 * fault_power.c - the power of the store's machine is cut: its process dies, and all that it had
 * not synced is gone, or, with a seed, some of it.
 *
 * The store runs with libpowercut.so, which keeps apart what is on the disk, and once it is dead
 * myqueue-powercut leaves no more than that (harness/powercut/disk.h). Its beginning is the
 * store's: an empty folder, or PostgreSQL's new cluster.
 */
#include "harness/faults/fault_kind.h"

#include "harness/run/control.h"
#include "harness/runtime/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define TOOL_LIMIT_MS 60000

static bool run_tool(struct runtime *rt, struct arguments *a, struct buffer *output)
{
    char log[PATH_MAX];
    bool done = process_run(rt->control, "myqueue-powercut", a, runtime_log(rt, log), output,
                            TOOL_LIMIT_MS);

    arguments_release(a);
    return done;
}

static bool power_prepare(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    enum fault_target target = scene->fault->target;
    struct arguments a = ARGUMENTS_INIT;
    char data[PATH_MAX];
    char library[PATH_MAX];

    snprintf(library, sizeof library, "%.4000s/libpowercut.so", rt->settings->programs);
    if (access(library, R_OK) != 0) {
        return control_fail(rt->control, NULL, "%s is missing: `make` builds it", library);
    }
    runtime_set_environment(rt, target, "POWERCUT_FOLDER", runtime_data(rt, data));
    runtime_preload(rt, target, library);
    arguments_add(&a, "%s/myqueue-powercut", rt->settings->programs);
    arguments_add(&a, "begin");
    arguments_add(&a, "%s", data);
    return run_tool(rt, &a, NULL);
}

static bool power_begin(struct fault_scene *scene)
{
    return scene->rt->ops->kill(scene->rt, scene->fault->target);
}

/* Nobody writes any more: what the disk does not hold is gone. */
static bool lose(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    struct arguments a = ARGUMENTS_INIT;
    struct buffer said = BUFFER_INIT;
    char data[PATH_MAX];
    int64_t bytes;
    int64_t names;
    int64_t survived;

    arguments_add(&a, "%s/myqueue-powercut", rt->settings->programs);
    arguments_add(&a, "cut");
    arguments_add(&a, "%s", runtime_data(rt, data));
    if (scene->fault->seed > 0) {
        arguments_add(&a, "%" PRId64, scene->fault->seed);
    }
    bool done = run_tool(rt, &a, &said);
    if (done && (said.data == NULL ||
                 sscanf(said.data, "bytes=%" SCNd64 " names=%" SCNd64 " survived=%" SCNd64, &bytes,
                        &names, &survived) != 3)) {
        done = control_fail(rt->control, NULL, "myqueue-powercut said something else");
    }
    if (done) {
        snprintf(scene->more, sizeof scene->more,
                 "%" PRId64 " bytes and %" PRId64 " names undone, %" PRId64 " unsynced bytes kept",
                 bytes, names, survived);
    }
    buffer_release(&said);
    return done;
}

static bool power_hit(struct fault_scene *scene)
{
    return scene->rt->ops->dead(scene->rt, scene->fault->target) && lose(scene);
}

static bool power_end(struct fault_scene *scene)
{
    return scene->rt->ops->start(scene->rt, scene->fault->target);
}

const struct fault_ops fault_power_ops = {
    .prepare = power_prepare, .begin = power_begin, .hit = power_hit, .end = power_end};
