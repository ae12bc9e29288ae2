/*
 * fault_replace.c - a broker that is silent for a while, is replaced, and wakes up.
 *
 *   clients --> proxy --> broker 1, stopped          --> broker 1, stopped    (woken: must end)
 *                                           becomes
 *                                                        broker 2  <-- proxy <-- clients
 *
 * The first one keeps its connections and the requests that it was sent: their clients are gone
 * when it wakes, and the second one has taken over the log. Whatever it then does must be refused,
 * and it must end. A broker that has nothing to write would not notice; so it is asked to create a
 * topic until it has ended.
 */
#include "harness/faults/fault_kind.h"

#include "harness/runtime/line.h"
#include "harness/runtime/runtime.h"
#include "myqueue.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_LIMIT_MS 100
#define ASKED_TOPIC "asked-of-a-replaced-broker"

struct replaced {
    struct process process;
    char broker[RUNTIME_ADDRESS_BYTES]; /* its address */
};

static bool prepare(struct fault_scene *scene)
{
    return runtime_break_into_clients(scene->rt);
}

static bool begin(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    struct replaced *old = calloc(1, sizeof *old);
    char command[RUNTIME_ADDRESS_BYTES + 8];

    if (old == NULL) {
        return control_fail(rt->control, NULL, "out of memory");
    }
    scene->state = old;
    snprintf(old->broker, sizeof old->broker, "%s", rt->broker);
    rt->ops->set_aside(rt, TARGET_BROKER, &old->process);
    runtime_move_broker(rt);
    snprintf(command, sizeof command, "to %s", rt->broker);
    return line_tell(&rt->client_line, rt->control, command, NULL) &&
           rt->ops->start(rt, TARGET_BROKER) &&
           line_tell(&rt->client_line, rt->control, "abandon", NULL);
}

/* The other one answers, so it has taken over. */
static bool hit(struct fault_scene *scene)
{
    return myqueue_health(scene->rt->broker, ASK_LIMIT_MS, NULL) == MYQUEUE_OK;
}

static bool end(struct fault_scene *scene)
{
    struct replaced *old = scene->state;

    process_signal(&old->process, SIGCONT);
    return true;
}

static bool healed(struct fault_scene *scene)
{
    struct replaced *old = scene->state;
    char error[MYQUEUE_ERROR_BYTES];

    if (!process_runs(&old->process)) {
        return true;
    }
    myqueue_create_topic(old->broker, ASKED_TOPIC, ASK_LIMIT_MS, error);
    return false;
}

static void release(struct fault_scene *scene)
{
    struct replaced *old = scene->state;

    if (old != NULL) {
        process_signal(&old->process, SIGKILL);
    }
    free(old);
    scene->state = NULL;
}

const struct fault_ops fault_replace_ops = {.prepare = prepare,
                                            .begin = begin,
                                            .hit = hit,
                                            .end = end,
                                            .healed = healed,
                                            .release = release};
