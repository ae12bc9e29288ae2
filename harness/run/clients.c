/*
 * clients.c - the scenario's programs, with their command lines.
 */
#include "harness/run/clients.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* A consumer that misses a message ends after so long without any, and the judge sees
 * what it has. Longer than a restart of PostgreSQL and the broker on a busy machine. */
#define IDLE_S 20
#define EXIT_INCOMPLETE 1

static void client_init(struct client *client, enum client_kind kind,
                        const struct scenario_client *plan)
{
    client->kind = kind;
    client->plan = plan;
    snprintf(client->name, sizeof client->name, "%c%lld", kind == CLIENT_PRODUCER ? 'P' : 'C',
             (long long)plan->id);
}

bool clients_init(struct clients *clients, struct runtime *rt, const struct scenario *scenario,
                  const struct record *record)
{
    size_t count = scenario->producer_count + scenario->consumer_count;

    *clients = (struct clients){.rt = rt, .scenario = scenario, .record = record};
    clients->items = calloc(count, sizeof *clients->items);
    if (clients->items == NULL) {
        return control_fail(rt->control, NULL, "out of memory");
    }
    for (size_t i = 0; i < scenario->consumer_count; i++) {
        client_init(&clients->items[clients->count++], CLIENT_CONSUMER, &scenario->consumers[i]);
    }
    for (size_t i = 0; i < scenario->producer_count; i++) {
        client_init(&clients->items[clients->count++], CLIENT_PRODUCER, &scenario->producers[i]);
    }
    return true;
}

void clients_release(struct clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        watch_close(clients->items[i].history);
    }
    free(clients->items);
    clients->items = NULL;
    clients->count = 0;
}

/* Is there a fault that kills it? */
static bool is_killed(const struct scenario *s, const struct client *client)
{
    enum fault_action action =
        client->kind == CLIENT_PRODUCER ? FAULT_KILL_PRODUCER : FAULT_KILL_CONSUMER;

    for (size_t i = 0; i < s->fault_count; i++) {
        if (s->faults[i].action == action && s->faults[i].client == client->plan->id) {
            return true;
        }
    }
    return false;
}

static struct arguments client_arguments(const struct clients *clients, const struct client *client)
{
    const char *dir = clients->rt->client_run_dir;
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "--id");
    arguments_add(&a, "%lld", (long long)client->plan->id);
    arguments_add(&a, "--broker");
    arguments_add(&a, "%s", clients->rt->client_broker);
    arguments_add(&a, "--history");
    arguments_add(&a, "%s/history/%s.jsonl", dir, client->name);
    if (is_killed(clients->scenario, client)) {
        arguments_add(&a, "--state");
        arguments_add(&a, "%s/history/%s.state", dir, client->name);
    }
    arguments_add(&a, "--logs");
    if (client->kind == CLIENT_PRODUCER) {
        arguments_add(&a, "%s/scenario", dir);
        arguments_add(&a, "--gate");
        arguments_add(&a, "%s/" CLIENTS_GATE, dir);
    } else {
        arguments_add(&a, "%s", dir);
        arguments_add(&a, "--expect");
        arguments_add(&a, "%lld", (long long)client->plan->expected);
        arguments_add(&a, "--idle");
        arguments_add(&a, "%d", IDLE_S);
        for (size_t i = 0; i < client->plan->seek_count; i++) {
            const struct scenario_seek *seek = &client->plan->seeks[i];
            arguments_add(&a, "--seek");
            arguments_add(&a, "%lld:%lld:%s", (long long)seek->after, (long long)seek->offset,
                          clients->scenario->topics[seek->topic].name);
        }
    }
    arguments_add(&a, "--topics");
    for (size_t i = 0; i < client->plan->topic_count; i++) {
        arguments_add(&a, "%s", clients->scenario->topics[client->plan->topics[i]].name);
    }
    return a;
}

static bool client_run(struct clients *clients, struct client *client)
{
    static const char *const programs[] = {
        [CLIENT_PRODUCER] = "myqueue-produce", [CLIENT_CONSUMER] = "myqueue-consume"};
    struct runtime *rt = clients->rt;

    struct arguments a = client_arguments(clients, client);
    bool done = rt->ops->client(rt, &client->process, client->name, programs[client->kind], &a);
    arguments_release(&a);
    return done;
}

static bool client_start(struct clients *clients, struct client *client)
{
    char path[PATH_MAX];

    record_path(clients->record, path, "history/%s.jsonl", client->name);
    return watch_open(&client->history, clients->rt->control, path) && client_run(clients, client);
}

struct client *clients_find(struct clients *clients, enum client_kind kind, int64_t id)
{
    size_t i = 0;

    while (clients->items[i].kind != kind || clients->items[i].plan->id != id) {
        i++;
        assert(i < clients->count);
    }
    return &clients->items[i];
}

bool clients_start_again(struct clients *clients, struct client *client)
{
    client->counted_out = false;
    client->lives_before = client->counts.lives;
    return client_run(clients, client);
}

bool clients_start(struct clients *clients, enum client_kind kind)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];
        if (client->kind == kind && !client_start(clients, client)) {
            return false;
        }
    }
    return true;
}

bool clients_registered(struct clients *clients, enum client_kind kind, size_t *all,
                        size_t *registered)
{
    char how[32];

    *all = 0;
    *registered = 0;
    clients_read(clients);
    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];
        if (client->history != NULL && !process_runs(&client->process)) {
            return control_fail(clients->rt->control, client->process.log,
                                "%s ended before the run began: %s", client->name,
                                process_end(&client->process, how, sizeof how));
        }
        if (client->kind == kind) {
            *all += 1;
            *registered += client->counts.registered >= (int64_t)client->plan->topic_count;
        }
    }
    return true;
}

struct watch_counts clients_read(struct clients *clients)
{
    struct watch_counts sum = {0};

    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];
        if (client->history == NULL) {
            continue;
        }
        client->counts = *watch_read(client->history);
        sum.registered += client->counts.registered;
        sum.acknowledged += client->counts.acknowledged;
        sum.received += client->counts.received;
        if (client->kind == CLIENT_PRODUCER) {
            sum.open += client->counts.open;
        }
    }
    return sum;
}

static bool check_end(struct clients *clients, struct client *client)
{
    const struct process *p = &client->process;
    struct control *c = clients->rt->control;
    char how[32];

    if (WIFEXITED(p->status) && WEXITSTATUS(p->status) == EXIT_INCOMPLETE) {
        control_note(c, "%s ended incomplete; its log is %s", client->name, p->log);
        if (clients->incomplete == NULL) {
            clients->incomplete = client;
        }
        return true;
    }
    return process_succeeded(p) || control_fail(c, p->log, "%s ended badly: %s", client->name,
                                                process_end(p, how, sizeof how));
}

bool clients_check(struct clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];
        if (client->counted_out || client->killed || process_runs(&client->process)) {
            continue;
        }
        client->counted_out = true;
        if (!check_end(clients, client)) {
            return false;
        }
    }
    return true;
}

size_t clients_running(struct clients *clients, char *names, size_t size)
{
    size_t running = 0;
    size_t used = 0;

    names[0] = '\0';
    for (size_t i = 0; i < clients->count; i++) {
        if (!process_runs(&clients->items[i].process)) {
            continue;
        }
        running++;
        if (used < size) {
            used += (size_t)snprintf(names + used, size - used, "%s%s", used > 0 ? " " : "",
                                     clients->items[i].name);
        }
    }
    return running;
}

void clients_signal(struct clients *clients, int number)
{
    for (size_t i = 0; i < clients->count; i++) {
        process_signal(&clients->items[i].process, number);
    }
}
