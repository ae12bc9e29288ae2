/*
 * fault_network.c - what can be wrong with a network: lost replies, delay, a trickle, connections
 * that are cut, half open or reset. Our proxy does it (line.h), between the clients and the broker
 * or between the broker and PostgreSQL.
 *
 * The harness' own questions, and psql's, do not go through it.
 */
#include "harness/faults/fault_kind.h"

#include "harness/runtime/line.h"
#include "harness/runtime/runtime.h"
#include "myqueue.h"

#include <stdio.h>

#define HEALTH_LIMIT_MS 200

/* Slow, but so that what is asked still comes to an answer in time. */
#define DELAY_MS 40              /* each way */
#define TRICKLE_BYTES_PER_S 4000 /* each way of each connection */

static struct line *line_of(struct fault_scene *scene)
{
    return scene->fault->target == TARGET_STORE_LINK ? &scene->rt->store_line
                                                     : &scene->rt->client_line;
}

static bool tell(struct fault_scene *scene, const char *command, struct line_counts *counts)
{
    return line_tell(line_of(scene), scene->rt->control, command, counts);
}

static bool begin(struct fault_scene *scene)
{
    char command[64];

    switch (scene->fault->action) {
    case FAULT_DELAY:
        snprintf(command, sizeof command, "delay %d", DELAY_MS);
        break;
    case FAULT_TRICKLE:
        snprintf(command, sizeof command, "trickle %d", TRICKLE_BYTES_PER_S);
        break;
    default: /* the proxy's words are ours */
        snprintf(command, sizeof command, "%s", fault_action_name(scene->fault->action));
    }
    return tell(scene, command, NULL);
}

static int64_t bitten(struct fault_scene *scene)
{
    struct line_counts counts = {0};

    tell(scene, "counters", &counts);
    return counts.hit;
}

static bool end(struct fault_scene *scene)
{
    return tell(scene, "pass", NULL);
}

/* The broker's health is asked for on the straight way; this is the clients'. */
static bool healed(struct fault_scene *scene)
{
    return scene->fault->target == TARGET_STORE_LINK ||
           myqueue_health(scene->rt->client_broker, HEALTH_LIMIT_MS, NULL) == MYQUEUE_OK;
}

static bool prepare(struct fault_scene *scene)
{
    return scene->fault->target == TARGET_STORE_LINK ? runtime_break_into_store(scene->rt)
                                                     : runtime_break_into_clients(scene->rt);
}

const struct fault_ops fault_network_ops = {
    .prepare = prepare, .begin = begin, .bitten = bitten, .end = end, .healed = healed};
