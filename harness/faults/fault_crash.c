/*
 * fault_crash.c - the broker dies by itself, at a named step of its code.
 *
 * The broker's own build decides where that is (common/crashpoint.h): it is started with the step
 * in its environment, for one life. From the first start on that is the first life; after N acks,
 * or N ms, the broker is killed for it, so that the step can be one of its start.
 */
#include "harness/faults/fault_kind.h"

#include "common/crashpoint.h"
#include "harness/run/control.h"
#include "harness/runtime/runtime.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define VARIABLE "MYQUEUE_CRASH_AT"

bool fault_crash_can_be_had(const struct scenario_fault *fault, enum scenario_store store,
                            char *reason, size_t reason_size)
{
    enum crash_step step = crashpoint_find(fault->step, strlen(fault->step));
    const char *wrong = NULL;

    if (step == CRASH_STEP_COUNT) {
        wrong = "there is no such step; common/crashpoint.h has them all";
    } else if (strstr(crash_steps[step].stores, scenario_store_name(store)) == NULL) {
        wrong = "this store's broker does not pass that step";
    } else if (!crashpoints_built()) {
        wrong = "this build has no crash points: make BUILD=build/crash CRASH_POINTS=1";
    }
    if (wrong != NULL) {
        snprintf(reason, reason_size, "crash broker at %s: %s", fault->step, wrong);
    }
    return wrong == NULL;
}

static void arm(struct fault_scene *scene)
{
    char words[FAULT_STEP_BYTES_MAX + 32];

    snprintf(words, sizeof words, "%s:%" PRId64, scene->fault->step, scene->fault->pass);
    runtime_set_environment(scene->rt, TARGET_BROKER, VARIABLE, words);
    scene->state = scene; /* the life that begins next is the armed one */
}

static bool crash_begin(struct fault_scene *scene)
{
    if (scene->rt->services[TARGET_BROKER].pid != 0) {
        return scene->rt->ops->kill(scene->rt, TARGET_BROKER);
    }
    arm(scene); /* nothing is started yet */
    return true;
}

/* Its last words: it was not somebody else who killed it. */
static bool died_at_its_step(const struct fault_scene *scene, const struct process *broker)
{
    char words[FAULT_STEP_BYTES_MAX + 64];

    snprintf(words, sizeof words, "crash_point step=%s hit=%" PRId64 "\n", scene->fault->step,
             scene->fault->pass);
    return WIFSIGNALED(broker->status) && WTERMSIG(broker->status) == SIGKILL &&
           process_said(broker, words) > 0;
}

/* Has the armed life ended, and at its step? */
static bool crash_hit(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    struct process *broker = &rt->services[TARGET_BROKER];
    char how[32];

    if (scene->state == NULL) {
        if (rt->ops->dead(rt, TARGET_BROKER)) {
            arm(scene);
            rt->ops->start(rt, TARGET_BROKER);
        }
        return false;
    }
    if (rt->incarnations[TARGET_BROKER] == 0 || process_runs(broker)) {
        return false;
    }
    if (died_at_its_step(scene, broker)) {
        return true;
    }
    return control_fail(rt->control, broker->log, "the broker was to crash at %s, and ended: %s",
                        scene->fault->step, process_end(broker, how, sizeof how));
}

static int64_t crash_bitten(struct fault_scene *scene)
{
    (void)scene;
    return 1;
}

static bool crash_end(struct fault_scene *scene)
{
    runtime_set_environment(scene->rt, TARGET_BROKER, VARIABLE, NULL);
    return scene->rt->ops->start(scene->rt, TARGET_BROKER);
}

const struct fault_ops fault_crash_ops = {
    .begin = crash_begin, .hit = crash_hit, .bitten = crash_bitten, .end = crash_end};
