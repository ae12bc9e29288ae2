/*
 * fault_client.c - a producer or a consumer is killed, and started again as the same.
 *
 * It has kept its state in the run folder (clients.h), and its history shows where a life ends
 * and the next begins. It is killed while a request of its own is on its way: for that it is first
 * stopped for an instant, in which its history, which nobody else writes, tells how many there are.
 */
#include "harness/faults/fault_kind.h"

#include "common/clock.h"
#include "harness/run/clients.h"
#include "harness/run/control.h"

#include <signal.h>

/* In this time a process that was told to stop has stopped. */
#define SETTLE_MS 5

static struct client *victim(const struct fault_scene *scene)
{
    return clients_find(scene->clients,
                        scene->fault->action == FAULT_KILL_PRODUCER ? CLIENT_PRODUCER
                                                                    : CLIENT_CONSUMER,
                        scene->fault->client);
}

static void send_signal(struct fault_scene *scene, int number)
{
    struct client *client = victim(scene);

    scene->rt->ops->signal_client(scene->rt, &client->process, client->name, number);
}

/* Nothing is on its way, or it is stopped and has been looked at: kill it, or let it go on. */
static void client_step(struct fault_scene *scene)
{
    struct client *client = victim(scene);

    if (client->stopped_ms == 0 && client->counts.open > 0) {
        client->stopped_ms = clock_now_ms();
        send_signal(scene, SIGSTOP);
    } else if (client->stopped_ms > 0 && clock_now_ms() >= client->stopped_ms + SETTLE_MS) {
        clients_read(scene->clients);
        client->stopped_ms = 0;
        client->killed = client->counts.open > 0;
        send_signal(scene, client->killed ? SIGKILL : SIGCONT);
    }
}

/* One that has ended is not killed any more, and the fault hits nothing. */
static bool client_hit(struct fault_scene *scene)
{
    struct client *client = victim(scene);

    if (!process_runs(&client->process)) {
        clients_read(scene->clients);
        return true;
    }
    if (!client->killed) {
        client_step(scene);
    }
    return false;
}

static int64_t client_bitten(struct fault_scene *scene)
{
    const struct client *client = victim(scene);

    return client->killed ? client->counts.open : 0;
}

static bool client_end(struct fault_scene *scene)
{
    struct client *client = victim(scene);

    return !client->killed || clients_start_again(scene->clients, client);
}

/* Its next life has begun. */
static bool client_healed(struct fault_scene *scene)
{
    const struct client *client = victim(scene);

    return !client->killed || client->counts.lives > client->lives_before;
}

/* In the midst of it: one that is stopped could not end. */
static void client_release(struct fault_scene *scene)
{
    struct client *client = victim(scene);

    if (client->stopped_ms > 0) {
        send_signal(scene, SIGCONT);
    }
    client->stopped_ms = 0;
    client->killed = false;
}

const struct fault_ops fault_client_ops = {.hit = client_hit,
                                           .bitten = client_bitten,
                                           .end = client_end,
                                           .healed = client_healed,
                                           .release = client_release};
