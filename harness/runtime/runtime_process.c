/*
 * runtime_process.c - the programs as processes of this machine.
 *
 * The store lies in a temporary folder, below TMPDIR. PostgreSQL is a private cluster there,
 * reached by its Unix socket. Its server is many processes, each in a session of its own. To kill
 * it: stop the postmaster, so that it makes no more of them, then all its descendants, and kill
 * all. The harness is their subreaper (see supervisor.h), so it can wait for each.
 */
#include "harness/runtime/runtime.h"

#include "common/clock.h"
#include "harness/run/record.h"
#include "harness/scenario/tokens.h"
#include "harness/runtime/volume.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INIT_LIMIT_MS 60000
#define KILLED_MS 10000
#define QUIT_MS 30000 /* PostgreSQL itself gives its processes 5 s, then kills them */
#define SWEEP_LIMIT_MS 30000

struct process_runtime {
    struct runtime base;
    struct victims victims; /* of the service that is frozen, or is killed and not yet gone */
};

static struct process_runtime *of(struct runtime *rt)
{
    return (struct process_runtime *)rt;
}

/* `env NAME=value …`, if anything is set for the service: it becomes what stands behind it. */
static struct arguments environment(struct runtime *rt, enum fault_target target)
{
    const struct arguments *set = &rt->environment[target];
    struct arguments a = ARGUMENTS_INIT;

    if (set->count > 0) {
        arguments_add(&a, "env");
    }
    for (size_t i = 0; i < set->count; i++) {
        arguments_add(&a, "%s", set->items[i]);
    }
    return a;
}

/* `tools/postgres COMMAND FOLDER`. */
static struct arguments postgres_command(struct runtime *rt, const char *command)
{
    struct arguments a = environment(rt, TARGET_POSTGRES);

    arguments_add(&a, "%s/tools/postgres", rt->settings->root);
    arguments_add(&a, "%s", command);
    arguments_add(&a, "%s", rt->folder);
    return a;
}

static bool make_data(struct runtime *rt)
{
    char path[PATH_MAX];

    return mkdir(runtime_data(rt, path), 0700) == 0 ||
           control_fail(rt->control, NULL, "cannot make %s: %s", path, strerror(errno));
}

static bool prepare(struct runtime *rt)
{
    char log[PATH_MAX];

    if (!runtime_has(rt, TARGET_POSTGRES)) {
        control_step(rt->control, "making the folder %s", rt->folder);
        return runtime_make_folder(rt) && make_data(rt);
    }
    struct arguments a = postgres_command(rt, "init");
    control_step(rt->control, "making a PostgreSQL cluster in %s", rt->folder);
    bool done = process_run(rt->control, "tools/postgres init", &a, runtime_log(rt, log), NULL,
                            INIT_LIMIT_MS);
    arguments_release(&a);
    return done;
}

static struct arguments broker_command(struct runtime *rt)
{
    struct arguments a = environment(rt, TARGET_BROKER);
    char data[PATH_MAX];

    arguments_add(&a, "%s/myqueue-broker", rt->settings->programs);
    arguments_add(&a, "--listen");
    arguments_add(&a, "%s", rt->broker);
    arguments_add(&a, "--store");
    switch (rt->settings->store) {
    case STORE_SQLITE:
        arguments_add(&a, "sqlite:%s/" RUNTIME_DATABASE, runtime_data(rt, data));
        break;
    case STORE_MEMORY:
        arguments_add(&a, "memory:");
        break;
    default:
        arguments_add(&a, "postgres://myqueue@/myqueue?host=%s&port=5432", rt->store_host);
    }
    return a;
}

/* With the scenario's settings, each as `-c NAME=VALUE`. An orphan shuts down at once, as in
 * end_postgres(). */
static struct arguments server_command(struct runtime *rt)
{
    struct arguments a = postgres_command(rt, "run");
    struct slice settings = slice_of(rt->settings->postgres != NULL ? rt->settings->postgres : "");

    a.orphan_signal = SIGQUIT;
    arguments_add(&a, "%s", ""); /* no address: its socket alone */
    for (struct slice s = token_take(&settings); s.size > 0; s = token_take(&settings)) {
        arguments_add(&a, "-c");
        arguments_add(&a, "%.*s", (int)s.size, s.data);
    }
    return a;
}

static bool start(struct runtime *rt, enum fault_target target)
{
    char log[PATH_MAX];
    struct arguments a = target == TARGET_BROKER ? broker_command(rt) : server_command(rt);
    const char *name = fault_target_name(target);

    bool done = process_start(&rt->services[target], rt->control, name, &a,
                              runtime_next_log(rt, target, log), -1);
    arguments_release(&a);
    return done;
}

static bool started(struct runtime *rt, enum fault_target target)
{
    (void)rt;
    (void)target;
    return true; /* a child's process id is all that is needed */
}

static bool freeze(struct runtime *rt, enum fault_target target)
{
    bool runs = process_runs(&rt->services[target]);

    if (runs) {
        victims_freeze(&of(rt)->victims, rt->services[target].pid);
    }
    return runs;
}

static void thaw(struct runtime *rt, enum fault_target target)
{
    (void)target;
    victims_signal(&of(rt)->victims, SIGCONT);
    of(rt)->victims.count = 0;
}

static bool kill_service(struct runtime *rt, enum fault_target target)
{
    if (of(rt)->victims.count == 0) {
        freeze(rt, target);
    }
    victims_signal(&of(rt)->victims, SIGKILL);
    return true;
}

/* A process that was never ours to collect is gone when it cannot be signalled. */
static bool is_gone(pid_t pid)
{
    pid_t collected = waitpid(pid, NULL, WNOHANG);

    return collected == pid || (collected < 0 && kill(pid, 0) != 0 && errno == ESRCH);
}

static bool dead(struct runtime *rt, enum fault_target target)
{
    struct victims *v = &of(rt)->victims;

    if (process_runs(&rt->services[target])) {
        return false; /* it is the first of the victims, and collected here */
    }
    while (v->count > 1 && is_gone(v->pids[v->count - 1])) {
        v->count--;
    }
    if (v->count > 1) {
        return false;
    }
    v->count = 0;
    return true;
}

static void set_aside(struct runtime *rt, enum fault_target target, struct process *out)
{
    *out = rt->services[target];
    rt->services[target] = (struct process){0};
    of(rt)->victims.count = 0;
}

static bool signal_service(struct runtime *rt, enum fault_target target, int number)
{
    thaw(rt, target);
    process_signal(&rt->services[target], number);
    return true;
}

static bool client(struct runtime *rt, struct process *out, const char *name, const char *program,
                   const struct arguments *arguments)
{
    char log[PATH_MAX];
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "%s/%s", rt->settings->programs, program);
    for (size_t i = 0; i < arguments->count; i++) {
        arguments_add(&a, "%s", arguments->items[i]);
    }
    snprintf(log, sizeof log, "%.4000s/logs/%s.log", rt->settings->run_dir, name);
    bool done = process_start(out, rt->control, name, &a, log, -1);
    arguments_release(&a);
    return done;
}

static bool signal_client(struct runtime *rt, struct process *process, const char *name, int number)
{
    (void)rt;
    (void)name;
    process_signal(process, number);
    return true;
}

static bool psql(struct runtime *rt, const struct runtime_sql *sql, struct process *out)
{
    struct arguments a = ARGUMENTS_INIT;

    return runtime_psql(rt, &a, rt->folder, sql, out);
}

static bool database(struct runtime *rt, char path[PATH_MAX])
{
    char data[PATH_MAX];

    snprintf(path, PATH_MAX, "%.4000s/" RUNTIME_DATABASE, runtime_data(rt, data));
    return true;
}

static void close_line(struct runtime *rt, struct line *line)
{
    line_close(line);
    process_wait(&line->process, rt->control, KILLED_MS);
}

/* By its immediate shutdown: a killed server leaves its shared memory behind, a megabyte and one of
 * the few segments that a system has, which only its next start removes; see sweep_postgres(). */
static void end_postgres(struct runtime *rt)
{
    thaw(rt, TARGET_POSTGRES);
    process_signal(&rt->services[TARGET_POSTGRES], SIGQUIT);
    process_wait(&rt->services[TARGET_POSTGRES], rt->control, QUIT_MS);
}

static void stop(struct runtime *rt)
{
    runtime_end_broker(rt);
    end_postgres(rt);
    for (int target = 0; target < RUNTIME_TARGETS; target++) {
        int64_t deadline_ms = clock_now_ms() + KILLED_MS;
        of(rt)->victims.count = 0;
        kill_service(rt, (enum fault_target)target);
        while (!dead(rt, (enum fault_target)target) && clock_now_ms() < deadline_ms) {
            control_wait(rt->control, 5);
        }
    }
    close_line(rt, &rt->client_line);
    close_line(rt, &rt->store_line);
}

/* Was the last server killed? One that ended by itself has removed its postmaster.pid; a power cut
 * may have undone the one of a server that we saw die. */
static bool postgres_was_killed(const struct runtime *rt)
{
    const struct process *server = &rt->services[TARGET_POSTGRES];
    char data[PATH_MAX];
    char path[PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/postmaster.pid", runtime_data(rt, data));
    return access(path, F_OK) == 0 || (server->ended && WIFSIGNALED(server->status));
}

/* Whatever comes of it is told in the log: the run has been what it was. */
static void sweep_postgres(struct runtime *rt)
{
    struct arguments a = ARGUMENTS_INIT;
    struct process p;
    char log[PATH_MAX];

    arguments_add(&a, "%s/tools/postgres", rt->settings->root);
    arguments_add(&a, "sweep");
    arguments_add(&a, "%s", rt->folder);
    if (process_start(&p, rt->control, "tools/postgres sweep", &a, runtime_log(rt, log), -1) &&
        !process_wait(&p, rt->control, SWEEP_LIMIT_MS)) {
        process_signal(&p, SIGKILL);
        process_wait(&p, rt->control, KILLED_MS);
    }
    arguments_release(&a);
}

static void remove_all(struct runtime *rt)
{
    char data[PATH_MAX];

    if (runtime_has(rt, TARGET_POSTGRES) && postgres_was_killed(rt)) {
        sweep_postgres(rt);
    }
    volume_unmount(runtime_data(rt, data));
    remove_tree(rt->folder);
}

static const struct runtime_ops process_ops = {
    .name = "process",
    .prepare = prepare,
    .start = start,
    .started = started,
    .freeze = freeze,
    .thaw = thaw,
    .kill = kill_service,
    .dead = dead,
    .set_aside = set_aside,
    .signal = signal_service,
    .client = client,
    .signal_client = signal_client,
    .psql = psql,
    .database = database,
    .stop = stop,
    .remove = remove_all,
};

struct runtime *runtime_process_create(const struct runtime_settings *settings, struct control *c)
{
    struct runtime *rt = runtime_create(sizeof(struct process_runtime), &process_ops, settings, c);

    if (rt != NULL) {
        snprintf(rt->client_broker, sizeof rt->client_broker, "%s", rt->broker);
        snprintf(rt->client_run_dir, sizeof rt->client_run_dir, "%s", settings->run_dir);
        snprintf(rt->store_host, sizeof rt->store_host, "%s", rt->folder);
    }
    return rt;
}
