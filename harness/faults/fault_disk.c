/*
 * fault_disk.c - the store's disk is full: all room of its small volume is taken, and given back
 * when the window closes. A server that gave up meanwhile is started again.
 *
 * The store is stopped while its volume is filled, which takes long. It may go on for a while
 * then, in the room that its files have already.
 */
#include "harness/faults/fault_kind.h"

#include "harness/run/control.h"
#include "harness/memory.h"
#include "harness/run/record.h"
#include "harness/runtime/runtime.h"
#include "harness/runtime/volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VOLUME_BYTES (INT64_C(192) << 20) /* a new cluster is 46 MiB of it */
#define COPY_LIMIT_MS 60000

/* How PostgreSQL, and SQLite by the broker, say it. */
#define POSTGRES_FULL "No space left on device"
#define SQLITE_FULL "database or disk is full"

struct filled {
    int64_t before; /* writes that had been refused by other faults */
};

static const char *ballast(const struct fault_scene *scene, char path[PATH_MAX])
{
    char data[PATH_MAX];

    snprintf(path, PATH_MAX, "%.4000s/ballast", runtime_data(scene->rt, data));
    return path;
}

static int64_t refused(const struct fault_scene *scene)
{
    const struct process *store = &scene->rt->services[scene->fault->target];

    return process_said(store, POSTGRES_FULL) + process_said(store, SQLITE_FULL);
}

static bool has_power_cut(const struct scenario *s)
{
    for (size_t i = 0; i < s->fault_count; i++) {
        if (s->faults[i].action == FAULT_POWER_CUT || s->faults[i].action == FAULT_POWER_TEAR) {
            return true;
        }
    }
    return false;
}

/* The store's files, as they are before its first start, move to the volume. */
static bool move_to_volume(struct runtime *rt, const char *data)
{
    struct arguments a = ARGUMENTS_INIT;
    char first[PATH_MAX];
    char log[PATH_MAX];

    snprintf(first, sizeof first, "%.4000s.first", data);
    arguments_add(&a, "cp");
    arguments_add(&a, "-a");
    arguments_add(&a, "%s", data);
    arguments_add(&a, "%s", first);
    bool done = process_run(rt->control, "cp", &a, runtime_log(rt, log), NULL, COPY_LIMIT_MS);
    arguments_release(&a);
    if (!done) {
        return false;
    }
    int error = volume_mount(data, VOLUME_BYTES);
    if (error != 0) {
        return control_fail(rt->control, NULL,
                            "fill disk: a small volume cannot be mounted on %s: %s; run it as "
                            "root, or where user namespaces are allowed",
                            data, strerror(error));
    }
    a = (struct arguments)ARGUMENTS_INIT;
    arguments_add(&a, "cp");
    arguments_add(&a, "-a");
    arguments_add(&a, "%s/.", first);
    arguments_add(&a, "%s", data);
    done = process_run(rt->control, "cp", &a, log, NULL, COPY_LIMIT_MS);
    arguments_release(&a);
    remove_tree(first);
    return done;
}

static bool fill_prepare(struct fault_scene *scene)
{
    char data[PATH_MAX];

    if (has_power_cut(scene->scenario)) {
        return control_fail(scene->rt->control, NULL,
                            "fill disk and power-cut cannot be in one scenario: what the disk "
                            "holds lies beside the folder, and would fill up with it");
    }
    return volume_is(runtime_data(scene->rt, data)) || move_to_volume(scene->rt, data);
}

static bool fill_begin(struct fault_scene *scene)
{
    struct filled *filled = memory_zeroed(1, sizeof *filled);
    char path[PATH_MAX];

    scene->state = filled;
    filled->before = refused(scene);
    int error = volume_fill(ballast(scene, path));
    scene->rt->ops->thaw(scene->rt, scene->fault->target); /* it was stopped while it filled */
    return error == 0 || control_fail(scene->rt->control, NULL, "cannot fill the disk by %s: %s",
                                      path, strerror(error));
}

static int64_t fill_bitten(struct fault_scene *scene)
{
    const struct filled *filled = scene->state;

    return refused(scene) - filled->before;
}

static bool fill_end(struct fault_scene *scene)
{
    enum fault_target target = scene->fault->target;
    char path[PATH_MAX];

    if (unlink(ballast(scene, path)) != 0) {
        return control_fail(scene->rt->control, NULL, "cannot remove %s: %s", path,
                            strerror(errno));
    }
    return process_runs(&scene->rt->services[target]) || scene->rt->ops->start(scene->rt, target);
}

static void fill_release(struct fault_scene *scene)
{
    free(scene->state);
    scene->state = NULL;
}

const struct fault_ops fault_fill_ops = {.prepare = fill_prepare,
                                         .begin = fill_begin,
                                         .bitten = fill_bitten,
                                         .end = fill_end,
                                         .release = fill_release};
