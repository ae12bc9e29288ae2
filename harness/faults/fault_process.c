/*
 * fault_process.c - faults of a service's processes: killed, told to end, stopped, paused, cut
 * off.
 *
 * A target that has been frozen (fault.h) is killed, or goes on, from there.
 */
#include "harness/faults/fault_kind.h"

#include "harness/runtime/runtime.h"

#include <signal.h>

#define END_LIMIT_MS 10000

static enum fault_target target_of(const struct fault_scene *scene)
{
    return scene->fault->target;
}

static bool is_dead(struct fault_scene *scene)
{
    return scene->rt->ops->dead(scene->rt, target_of(scene));
}

static bool start_again(struct fault_scene *scene)
{
    return scene->rt->ops->start(scene->rt, target_of(scene));
}

/* ---- kill broker|postgres|store ----------------------------------------------------------- */

static bool kill_begin(struct fault_scene *scene)
{
    return scene->rt->ops->kill(scene->rt, target_of(scene));
}

const struct fault_ops fault_kill_ops = {.begin = kill_begin, .hit = is_dead, .end = start_again};

/* ---- term broker --------------------------------------------------------------------------- */

static bool term_begin(struct fault_scene *scene)
{
    return scene->rt->ops->signal(scene->rt, target_of(scene), SIGTERM);
}

/* It answers what is on its way before it ends, so that the history does not show what was
 * interrupted: what it was frozen with counts. */
static int64_t term_bitten(struct fault_scene *scene)
{
    return scene->bit;
}

/* Who is asked to end, ends well. */
static bool term_end(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    struct process *broker = &rt->services[target_of(scene)];
    char how[32];

    if (!process_wait(broker, rt->control, END_LIMIT_MS)) {
        return false; /* interrupted, or start_again() will say so */
    }
    if (!process_succeeded(broker)) {
        return control_fail(rt->control, broker->log, "the broker ended badly on SIGTERM: %s",
                            process_end(broker, how, sizeof how));
    }
    return start_again(scene);
}

const struct fault_ops fault_term_ops = {
    .begin = term_begin, .hit = is_dead, .bitten = term_bitten, .end = term_end};

/* ---- stop postgres: immediate shutdown ------------------------------------------------------ */

static bool stop_begin(struct fault_scene *scene)
{
    return scene->rt->ops->signal(scene->rt, target_of(scene), SIGQUIT);
}

const struct fault_ops fault_stop_ops = {.begin = stop_begin, .hit = is_dead, .end = start_again};

/* ---- pause broker|postgres|store ------------------------------------------------------------ */

static bool pause_begin(struct fault_scene *scene)
{
    return scene->frozen ||
           control_fail(scene->rt->control, NULL,
                        "'pause' needs to signal the processes of the containers: run it as root, "
                        "on the engine's machine");
}

static bool pause_end(struct fault_scene *scene)
{
    scene->rt->ops->thaw(scene->rt, target_of(scene));
    return true;
}

const struct fault_ops fault_pause_ops = {.begin = pause_begin, .end = pause_end};

/* ---- disconnect broker|postgres|store ------------------------------------------------------- */

static bool disconnect_begin(struct fault_scene *scene)
{
    return scene->rt->ops->network(scene->rt, target_of(scene), false);
}

static bool disconnect_end(struct fault_scene *scene)
{
    return scene->rt->ops->network(scene->rt, target_of(scene), true);
}

const struct fault_ops fault_disconnect_ops = {.begin = disconnect_begin, .end = disconnect_end};
