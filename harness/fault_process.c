/*
 * fault_process.c - faults of a service's processes: killed, told to end, paused.
 *
 * A target that has been frozen (fault.h) is killed or goes on from there.
 */
#include "harness/fault_kind.h"

#include "harness/runtime.h"

/* ---- kill broker|postgres|store --------------------------------------------------------- */

static bool kill_begin(struct fault_scene *scene)
{
    return scene->rt->ops->kill(scene->rt, scene->fault->target);
}

static bool is_dead(struct fault_scene *scene)
{
    return scene->rt->ops->dead(scene->rt, scene->fault->target);
}

static bool start_again(struct fault_scene *scene)
{
    return scene->rt->ops->start(scene->rt, scene->fault->target);
}

const struct fault_ops fault_kill_ops = {.begin = kill_begin, .hit = is_dead, .end = start_again};
