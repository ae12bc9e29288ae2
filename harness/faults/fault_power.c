/*
 * fault_power.c - the power of the store's machine is cut: its process dies, and all that it had
 * not synced is gone, or, with a seed, some of it.
 *
 * The store runs with libpowercut.so, which keeps apart what is on the disk, and once it is dead
 * myqueue-powercut leaves no more than that (harness/powercut/disk.h). Its beginning is the
 * store's: an empty folder, or PostgreSQL's new cluster.
 */
#include "harness/faults/fault_kind.h"

#include "common/clock.h"
#include "harness/run/control.h"
#include "harness/runtime/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define TOOL_LIMIT_MS 60000

/* What a cut undoes. */
struct loss {
    int64_t bytes;
    int64_t names;
    int64_t survived; /* bytes that the coin let through */
};

/* `myqueue-powercut WHAT DATA [SEED]`; `loss` NULL: it says nothing. */
static bool run_tool(struct runtime *rt, const char *what, int64_t seed, struct loss *loss)
{
    struct arguments a = ARGUMENTS_INIT;
    struct buffer said = BUFFER_INIT;
    char path[PATH_MAX];

    arguments_add(&a, "%s/myqueue-powercut", rt->settings->programs);
    arguments_add(&a, "%s", what);
    arguments_add(&a, "%s", runtime_data(rt, path));
    if (seed > 0) {
        arguments_add(&a, "%" PRId64, seed);
    }
    bool done = process_run(rt->control, "myqueue-powercut", &a, runtime_log(rt, path),
                            loss != NULL ? &said : NULL, TOOL_LIMIT_MS);
    if (done && loss != NULL &&
        (said.data == NULL ||
         sscanf(said.data, "bytes=%" SCNd64 " names=%" SCNd64 " survived=%" SCNd64, &loss->bytes,
                &loss->names, &loss->survived) != 3)) {
        done = control_fail(rt->control, NULL, "myqueue-powercut said something else");
    }
    buffer_release(&said);
    arguments_release(&a);
    return done;
}

/* Into the run's folder: the server's user need not be able to come through to the programs', and
 * a library that cannot be opened is left out without a failure. */
static bool library_copy(struct runtime *rt, const char *library, const char *copy)
{
    struct arguments a = ARGUMENTS_INIT;
    char path[PATH_MAX];

    arguments_add(&a, "install");
    arguments_add(&a, "--mode=644");
    arguments_add(&a, "%s", library);
    arguments_add(&a, "%s", copy);
    bool done = process_run(rt->control, "install", &a, runtime_log(rt, path), NULL, TOOL_LIMIT_MS);
    arguments_release(&a);
    return done;
}

static bool power_prepare(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    enum fault_target target = scene->fault->target;
    char data[PATH_MAX];
    char library[PATH_MAX];
    char copy[PATH_MAX];

    snprintf(library, sizeof library, "%.4000s/libpowercut.so", rt->settings->programs);
    if (access(library, R_OK) != 0) {
        return control_fail(rt->control, NULL, "%s is missing: `make` builds it", library);
    }
    snprintf(copy, sizeof copy, "%s/libpowercut.so", rt->folder);
    if (!library_copy(rt, library, copy)) {
        return false;
    }
    runtime_set_environment(rt, target, "POWERCUT_FOLDER", runtime_data(rt, data));
    runtime_preload(rt, target, copy);
    return run_tool(rt, "begin", 0, NULL);
}

/* Has the store left the sign that it is seen? */
static bool is_loaded(struct runtime *rt)
{
    char data[PATH_MAX];
    char sign[PATH_MAX];

    snprintf(sign, sizeof sign, "%.4000s.disk/loaded", runtime_data(rt, data));
    return access(sign, F_OK) == 0;
}

/* A commit's bytes are unsynced for an instant only; a cut at any other is just a kill. */
static bool power_ripe(struct fault_scene *scene)
{
    struct loss loss;

    if (!is_loaded(scene->rt)) {
        return control_fail(
            scene->rt->control, NULL,
            "the store runs without libpowercut.so, although it is to be preloaded: "
            "a power cut would take what was synced");
    }
    return run_tool(scene->rt, "look", 0, &loss) && loss.bytes + loss.names > 0;
}

static bool power_begin(struct fault_scene *scene)
{
    return scene->rt->ops->kill(scene->rt, scene->fault->target);
}

/* Nobody writes any more: what the disk does not hold is gone. */
static bool power_hit(struct fault_scene *scene)
{
    struct loss loss;

    if (!scene->rt->ops->dead(scene->rt, scene->fault->target)) {
        return false;
    }
    scene->hit_ns = clock_now_ns();
    if (!run_tool(scene->rt, "cut", scene->fault->seed, &loss)) {
        return false;
    }
    scene->bit = loss.bytes + loss.survived + loss.names;
    snprintf(scene->more, sizeof scene->more,
             "%" PRId64 " bytes and %" PRId64 " names undone, %" PRId64 " unsynced bytes kept",
             loss.bytes, loss.names, loss.survived);
    return true;
}

static int64_t power_bitten(struct fault_scene *scene)
{
    return scene->bit;
}

static bool power_end(struct fault_scene *scene)
{
    return scene->rt->ops->start(scene->rt, scene->fault->target);
}

const struct fault_ops fault_power_ops = {
    .prepare = power_prepare,
    .ripe = power_ripe,
    .begin = power_begin,
    .hit = power_hit,
    .bitten = power_bitten,
    .end = power_end,
};
