/*
 * run.c - one run: bring up, let the clients run under faults, read the store, take down,
 * judge.
 *
 * Always: run_down() is passed on every way out of run_body(), and only the supervisor
 * stands behind it.
 */
#include "harness/run/run.h"

#include "common/clock.h"
#include "harness/run/clients.h"
#include "harness/run/driver.h"
#include "harness/report/index.h"
#include "harness/judge.h"
#include "harness/run/record.h"
#include "harness/run/rows.h"
#include "harness/runtime/ports.h"
#include "harness/runtime/runtime.h"
#include "harness/scenario/scenario.h"
#include "harness/run/settings.h"
#include "harness/run/supervisor.h"
#include "myqueue.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define HEALTHY_LIMIT_MS 90000
#define TOPIC_LIMIT_MS 20000
#define TOPIC_ATTEMPT_MS 500
#define REGISTERED_LIMIT_MS 90000
#define TICK_MS 100
#define CLIENTS_END_MS 3000 /* for clients that were asked to end */
#define DOWN_LIMIT_MS 60000
#define NAME_BYTES_MAX 100

struct run {
    const struct run_options *options;
    struct scenario *scenario;
    struct control control;
    struct record record;
    struct record_run about;
    struct runtime_settings settings;
    int ports_held;
    struct runtime *rt;
    struct clients clients;
    struct driver driver;
    struct watch_counts counts;
    int64_t began_ms; /* when the producers' gate opened; 0: not yet */
    int64_t alive_ms; /* when the counts changed last */
    char name[NAME_BYTES_MAX + 1];
    char reason[512];
    char command[PATH_MAX + 128];
    char ended_early[256];
};

/* ---- bringing up ---------------------------------------------------------------------- */

static bool start_services(struct run *run)
{
    struct runtime *rt = run->rt;
    struct control *c = &run->control;
    bool has_postgres = runtime_has(rt, TARGET_POSTGRES);
    int64_t deadline_ms = clock_now_ms() + HEALTHY_LIMIT_MS;
    char how[32];

    control_step(c, "starting %sthe broker", has_postgres ? "PostgreSQL and " : "");
    driver_starting(&run->driver);
    /* Both at once: the broker waits for its store. */
    if (!driver_step(&run->driver) || (has_postgres && !rt->ops->start(rt, TARGET_POSTGRES)) ||
        !rt->ops->start(rt, TARGET_BROKER)) {
        return false;
    }
    while (!driver_healthy(&run->driver)) {
        const struct process *ended = driver_ended_service(&run->driver);
        if (ended != NULL) {
            return control_fail(c, ended->log, "%s did not start: %s", ended->name,
                                process_end(ended, how, sizeof how));
        }
        if (clock_now_ms() > deadline_ms) {
            return control_fail(c, rt->services[TARGET_BROKER].log,
                                "the broker on %s was not healthy within %d s", rt->broker,
                                HEALTHY_LIMIT_MS / 1000);
        }
        if (!driver_step(&run->driver) || !control_wait(c, DRIVER_EVERY_MS)) {
            return false;
        }
    }
    record_phase(&run->record, "broker healthy");
    return (!has_postgres || rt->ops->started(rt, TARGET_POSTGRES)) &&
           rt->ops->started(rt, TARGET_BROKER);
}

/* While a fault is under way the call must not block: it is us who end the fault. */
static bool create_topic(struct run *run, const char *topic)
{
    char error[MYQUEUE_ERROR_BYTES];
    int64_t deadline_ms = clock_now_ms() + TOPIC_LIMIT_MS;

    for (;;) {
        bool busy = driver_busy(&run->driver);
        enum myqueue_status status = myqueue_create_topic(
            run->rt->broker, topic, busy ? TOPIC_ATTEMPT_MS : TOPIC_LIMIT_MS, error);
        /* The store is new: a topic that is there was created by a lost answer. */
        if (status == MYQUEUE_OK || status == MYQUEUE_TOPIC_EXISTS) {
            return true;
        }
        if (!busy || clock_now_ms() > deadline_ms) {
            return control_fail(&run->control, run->rt->services[TARGET_BROKER].log,
                                "topic '%s' could not be created: %s", topic, error);
        }
        if (!driver_step(&run->driver) || !control_wait(&run->control, DRIVER_EVERY_MS)) {
            return false;
        }
    }
}

static bool create_topics(struct run *run)
{
    control_step(&run->control, "creating %zu topics", run->scenario->topic_count);
    for (size_t i = 0; i < run->scenario->topic_count; i++) {
        if (!create_topic(run, run->scenario->topics[i].name) || !driver_step(&run->driver) ||
            !control_wait(&run->control, 0)) {
            return false;
        }
    }
    return true;
}

/* Start all clients of a kind, and wait until each has registered for all its topics. */
static bool start_clients_of(struct run *run, enum client_kind kind)
{
    int64_t deadline_ms = clock_now_ms() + REGISTERED_LIMIT_MS;
    size_t all = 0;
    size_t registered = 0;

    if (!clients_start(&run->clients, kind)) {
        return false;
    }
    for (;;) {
        if (!clients_registered(&run->clients, kind, &all, &registered) ||
            !driver_step(&run->driver)) {
            return false;
        }
        if (registered == all) {
            return true;
        }
        control_detail(&run->control, "%zu of %zu registered", registered, all);
        if (clock_now_ms() > deadline_ms) {
            return control_fail(
                &run->control, NULL, "only %zu of %zu %s registered within %d s", registered, all,
                kind == CLIENT_PRODUCER ? "producers" : "consumers", REGISTERED_LIMIT_MS / 1000);
        }
        if (!control_wait(&run->control, driver_idle_ms(&run->driver, TICK_MS))) {
            return false;
        }
    }
}

static bool start_clients(struct run *run)
{
    struct control *c = &run->control;

    control_step(c, "starting %zu consumers", run->scenario->consumer_count);
    if (!start_clients_of(run, CLIENT_CONSUMER)) {
        return false;
    }
    record_phase(&run->record, "consumers registered");
    control_step(c, "starting %zu producers", run->scenario->producer_count);
    if (!start_clients_of(run, CLIENT_PRODUCER)) {
        return false;
    }
    record_phase(&run->record, "producers registered");
    return true;
}

/* The broker's options that the scenario asks for. */
static bool set_options(struct run *run)
{
    char bytes[24];

    if (run->scenario->retention_bytes == 0) {
        return true;
    }
    if (strcmp(run->rt->ops->name, "process") != 0) {
        return control_fail(&run->control, NULL,
                            "retention_bytes: only with RUNTIME=process, since a container's "
                            "environment cannot be changed");
    }
    snprintf(bytes, sizeof bytes, "%" PRId64, run->scenario->retention_bytes);
    runtime_set_environment(run->rt, TARGET_BROKER, "MYQUEUE_RETENTION_BYTES", bytes);
    return true;
}

static bool run_up(struct run *run)
{
    return set_options(run) && run->rt->ops->prepare(run->rt) && driver_prepare(&run->driver) &&
           start_services(run) && create_topics(run) && start_clients(run);
}

/* ---- the run -------------------------------------------------------------------------- */

static void show_progress(struct run *run, const char *running)
{
    struct buffer faults = BUFFER_INIT;

    driver_append(&faults, &run->driver);
    control_detail(&run->control, "%lld of %lld acknowledged, %lld received, %s%s%s",
                   (long long)run->counts.acknowledged, (long long)run->scenario->expected,
                   (long long)run->counts.received, faults.data,
                   running[0] != '\0' ? ", running: " : "", running);
    buffer_release(&faults);
}

/* Is there a reason to give the run up? It goes to ended_early. */
static bool give_up(struct run *run, const char *running)
{
    const struct run_options *o = run->options;
    int64_t now_ms = clock_now_ms();
    const struct process *ended = driver_ended_service(&run->driver);
    size_t endless = driver_endless(&run->driver);
    char how[32];

    if (ended != NULL) {
        snprintf(run->ended_early, sizeof run->ended_early, "%s ended by itself: %s", ended->name,
                 process_end(ended, how, sizeof how));
    } else if (endless != 0) {
        snprintf(run->ended_early, sizeof run->ended_early,
                 "fault %zu did not come to its end; still running: %.100s", endless, running);
    } else if (now_ms - run->began_ms > o->limit_s * 1000) {
        snprintf(run->ended_early, sizeof run->ended_early,
                 "the limit of %lld s was reached; still running: %.100s", (long long)o->limit_s,
                 running);
    } else if (now_ms - run->alive_ms > o->stall_s * 1000) {
        snprintf(run->ended_early, sizeof run->ended_early,
                 "nothing was sent or received for %lld s; still running: %.100s",
                 (long long)o->stall_s, running);
    }
    return run->ended_early[0] != '\0';
}

static void read_counts(struct run *run)
{
    struct watch_counts before = run->counts;

    run->counts = clients_read(&run->clients);
    if (run->counts.acknowledged != before.acknowledged ||
        run->counts.received != before.received || driver_busy(&run->driver)) {
        run->alive_ms = clock_now_ms();
    }
}

/* The clients work, the faults hit, until every client has ended. */
static bool run_clients(struct run *run)
{
    struct control *c = &run->control;
    char running[64];

    run->began_ms = clock_now_ms();
    run->alive_ms = run->began_ms;
    for (;;) {
        read_counts(run);
        if (!driver_step(&run->driver) || !clients_check(&run->clients)) {
            return false;
        }
        if (clients_running(&run->clients, running, sizeof running) == 0 &&
            driver_is_done(&run->driver)) {
            break;
        }
        if (give_up(run, running)) {
            return true;
        }
        show_progress(run, running);
        if (!control_wait(c, driver_idle_ms(&run->driver, TICK_MS))) {
            return false;
        }
    }
    read_counts(run);
    show_progress(run, "");
    record_phase(&run->record, "drained");
    return true;
}

static bool open_gate(struct run *run)
{
    char path[PATH_MAX];

    control_step(&run->control, "running");
    record_phase(&run->record, "gate opened");
    record_path(&run->record, path, "%s", CLIENTS_GATE);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return control_fail(&run->control, NULL, "cannot write %s: %s", path, strerror(errno));
    }
    close(fd);
    return true;
}

/* End the clients of a run that was given up; what the store holds is read all the same. */
static void end_clients(struct run *run)
{
    int64_t deadline_ms = clock_now_ms() + CLIENTS_END_MS;
    char names[64];

    clients_signal(&run->clients, SIGTERM);
    while (clients_running(&run->clients, names, sizeof names) > 0 &&
           clock_now_ms() < deadline_ms) {
        control_wait(&run->control, TICK_MS);
    }
}

static bool run_through(struct run *run)
{
    if (!run_up(run) || !open_gate(run) || !run_clients(run)) {
        return false;
    }
    if (run->ended_early[0] != '\0') {
        control_note(&run->control, "given up: %s", run->ended_early);
        end_clients(run);
    } else if (run->clients.incomplete != NULL) {
        snprintf(run->ended_early, sizeof run->ended_early, "%s ended with exit code 1",
                 run->clients.incomplete->name);
    }
    return rows_read(run->rt, &run->record) && record_run(&run->record, &run->control, &run->about);
}

/* ---- taking down ---------------------------------------------------------------------- */

static void run_down(struct run *run)
{
    struct control *c = &run->control;
    int64_t deadline_ms = clock_now_ms() + DOWN_LIMIT_MS;
    char names[64];

    c->stopping = true;
    control_step(c, "taking everything down");
    driver_release(&run->driver);
    end_clients(run);
    for (;;) {
        run->rt->ops->stop(run->rt);
        /* A command that still makes its container ends with it, once it is found. */
        if (clients_running(&run->clients, names, sizeof names) == 0) {
            break;
        }
        if (clock_now_ms() > deadline_ms || strcmp(run->rt->ops->name, "process") == 0) {
            clients_signal(&run->clients, SIGKILL);
        }
        control_wait(c, TICK_MS);
    }
    for (int target = 0; target < RUNTIME_TARGETS; target++) {
        if (!process_wait(&run->rt->services[target], c, CLIENTS_END_MS)) {
            process_signal(&run->rt->services[target], SIGKILL);
        }
    }
    run->rt->ops->remove(run->rt);
    char path[PATH_MAX];
    unlink(record_path(&run->record, path, "%s", CLIENTS_GATE));
}

static int judge(struct run *run)
{
    char error[1024] = "";

    struct judge_output output = {
        .out = run->options->out, .as_tap = run->options->as_tap, .shown = run->record.latest};
    enum verdict verdict = judge_run(run->record.dir, &output, error, sizeof error);
    if (verdict == VERDICT_FAILED) {
        fprintf(stderr, "myqueue-harness: %s\n", error);
    } else if (!record_publish(&run->record, &run->control)) {
        control_print_failure(&run->control);
        return EXIT_HARNESS;
    } else if (!index_write(run->options->reports, error, sizeof error)) {
        fprintf(stderr, "myqueue-harness: %s\n", error);
        return EXIT_HARNESS;
    }
    return (int)verdict;
}

/* The whole run, in the supervisor's child. */
static int run_body(void *arg)
{
    struct run *run = arg;

    bool done =
        clients_init(&run->clients, run->rt, run->scenario, &run->record) && run_through(run);
    run_down(run);
    control_end_steps(&run->control);
    clients_release(&run->clients);
    if (run->control.failed) {
        control_print_failure(&run->control);
        fprintf(stderr, "myqueue-harness: the logs are in %s\n", run->record.dir);
        return EXIT_HARNESS;
    }
    if (!done) {
        fprintf(stderr,
                "myqueue-harness: interrupted; everything is taken down, what was written is "
                "in %s\n",
                run->record.dir);
        return EXIT_HARNESS;
    }
    return judge(run);
}

/* ---- before it ------------------------------------------------------------------------ */

/* The reports' folder's name: given, or that of the scenario's folder. */
static void choose_name(struct run *run)
{
    char path[PATH_MAX];
    const char *name = run->options->name;

    if (name == NULL) {
        name = realpath(run->options->dir, path) != NULL ? strrchr(path, '/') + 1 : "";
    }
    snprintf(run->name, sizeof run->name, "%.*s", NAME_BYTES_MAX, name[0] != '\0' ? name : "run");
    for (char *p = run->name; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' && *p != '.') {
            *p = '-';
        }
    }
    if (run->name[0] == '.') {
        run->name[0] = '-';
    }
}

/* What a person types to run it again. */
static void choose_command(struct run *run)
{
    const struct run_options *o = run->options;
    char scenarios[PATH_MAX];
    char dir[PATH_MAX];
    char settings[64];
    size_t size;

    if (o->command != NULL) {
        snprintf(run->command, sizeof run->command, "%s", o->command);
        return;
    }
    snprintf(scenarios, sizeof scenarios, "%.4000s/scenarios/", o->root);
    size = strlen(scenarios);
    bool ours = realpath(o->dir, dir) != NULL && strncmp(dir, scenarios, size) == 0;
    snprintf(settings, sizeof settings, "%s%s%s%s",
             strcmp(o->runtime, "auto") == 0 ? "" : " RUNTIME=",
             strcmp(o->runtime, "auto") == 0 ? "" : o->runtime,
             o->store == STORE_UNSAID ? "" : " STORE=", scenario_store_name(o->store));
    if (ours) {
        snprintf(run->command, sizeof run->command, "make scenario-%s%s", dir + size, settings);
    } else if (o->consumers > 0) {
        snprintf(run->command, sizeof run->command, "make scenario LOGS=%s CONSUMERS=%" PRId64 "%s",
                 o->dir, o->consumers, settings);
    } else {
        snprintf(run->command, sizeof run->command, "make scenario LOGS=%s%s", o->dir, settings);
    }
}

/* Can every fault be had on this runtime, and the server's settings? Otherwise `reason` says
 * which cannot, and why. */
static bool faults_run_on(const struct run *run, const char *runtime, char *reason, size_t size)
{
    if (run->scenario->postgres != NULL && strcmp(runtime, "docker") == 0) {
        snprintf(
            reason, size,
            "postgres = %s: only with RUNTIME=process, since a container's server is set up by "
            "its compose file",
            run->scenario->postgres);
        return false;
    }
    for (size_t i = 0; i < run->scenario->fault_count; i++) {
        const struct scenario_fault *fault = &run->scenario->faults[i];
        if (!fault_runs_on(fault, runtime, reason, size) ||
            (fault->action == FAULT_CRASH &&
             !fault_crash_can_be_had(fault, run->scenario->store, reason, size))) {
            return false;
        }
    }
    return true;
}

/* Is there a runtime, among those that are wanted, that has all the faults? */
static bool faults_can_be_had(const struct run *run, char *reason, size_t size)
{
    const char *wanted = run->options->runtime;

    if (strcmp(wanted, "auto") != 0) {
        return faults_run_on(run, wanted, reason, size);
    }
    return faults_run_on(run, "docker", reason, size) ||
           faults_run_on(run, "process", reason, size);
}

static bool choose_runtime(struct run *run)
{
    struct control *c = &run->control;
    const char *wanted = run->options->runtime;
    bool docker = strcmp(wanted, "process") != 0;
    char refused[sizeof run->reason];

    if (docker && strcmp(wanted, "auto") == 0) {
        docker = faults_run_on(run, "docker", run->reason, sizeof run->reason);
    }
    if (docker) {
        control_step(c, "looking for a container engine");
        docker = runtime_docker_answers(&run->settings, c, run->reason, sizeof run->reason);
        control_end_steps(c);
        if (!control_wait(c, 0)) {
            return false;
        }
    }
    if (!docker && strcmp(wanted, "docker") == 0) {
        return control_fail(c, NULL, "--runtime docker: %s", run->reason);
    }
    if (!faults_run_on(run, docker ? "docker" : "process", refused, sizeof refused)) {
        return control_fail(c, NULL, "%s", refused);
    }
    if (!docker && run->reason[0] != '\0') {
        control_note(c, "on the process runtime, not in containers: %s", run->reason);
    }
    run->rt = docker ? runtime_docker_create(&run->settings, c)
                     : runtime_process_create(&run->settings, c);
    return run->rt != NULL;
}

/* The mark of all that this run starts. */
static void choose_id(struct run *run)
{
    uint16_t salt = 0;
    ssize_t size = getrandom(&salt, sizeof salt, GRND_NONBLOCK);

    snprintf(run->settings.id, sizeof run->settings.id, "myqueue-%llx-%d-%04x",
             (unsigned long long)run->about.started_unix_s, (int)getpid(),
             size == (ssize_t)sizeof salt ? salt : 0);
}

static bool choose_ports(struct run *run)
{
    run->settings.port = ports_take(&run->ports_held);
    return run->settings.port > 0 ||
           control_fail(&run->control, NULL,
                        "no ports are left between 20000 and 32000 for another run");
}

static bool prepare_folder(struct run *run)
{
    char path[PATH_MAX];
    char error[SCENARIO_ERROR_BYTES_MAX];

    if (!record_open(&run->record, &run->control, run->options->reports, run->name,
                     run->about.started_unix_s)) {
        return false;
    }
    if (!scenario_save(run->scenario, record_path(&run->record, path, "scenario"), error,
                       sizeof error)) {
        return control_fail(&run->control, NULL, "%s", error);
    }
    run->settings.run_dir = run->record.dir;
    return true;
}

static bool prepare(struct run *run)
{
    const struct run_options *o = run->options;

    choose_name(run);
    choose_command(run);
    run->about = (struct record_run){.scenario = run->name,
                                     .title = run->scenario->title,
                                     .logs = o->dir,
                                     .seed = run->scenario->seed,
                                     .store = scenario_store_name(run->scenario->store),
                                     .runtime_reason = run->reason,
                                     .command = run->command,
                                     .started_unix_s = (int64_t)time(NULL),
                                     .started_ns = clock_now_ns(),
                                     .started_wall_ms = clock_wall_ms(),
                                     .ended_early = run->ended_early};
    run->settings.root = o->root;
    run->settings.programs = o->programs;
    run->settings.store = run->scenario->store;
    run->settings.postgres = run->scenario->postgres;
    choose_id(run);
    if (!choose_ports(run) || !prepare_folder(run) || !choose_runtime(run)) {
        return false;
    }
    run->about.runtime = run->rt->ops->name;
    run->driver = (struct driver){.rt = run->rt,
                                  .clients = &run->clients,
                                  .record = &run->record,
                                  .scenario = run->scenario,
                                  .counts = &run->counts,
                                  .gate_ms = &run->began_ms};
    driver_init(&run->driver);
    return record_run(&run->record, &run->control, &run->about);
}

static bool check_settings(struct run *run)
{
    const struct scenario *s = run->scenario;
    char reason[SCENARIO_ERROR_BYTES_MAX];

    if (s->postgres == NULL ||
        settings_fit(&run->control, run->options->root, s->postgres, reason, sizeof reason)) {
        return true;
    }
    fprintf(stderr, "myqueue-harness: %s/scenario.conf:%" PRId64 ": %s\n", run->options->dir,
            s->postgres_line, reason);
    return false;
}

static int run_loaded(struct run *run)
{
    int code = EXIT_HARNESS;

    if (control_open(&run->control, clock_now_ms()) != 0) {
        fprintf(stderr, "myqueue-harness: no descriptors to wait with: %s\n", strerror(errno));
        return EXIT_HARNESS;
    }
    run->record.history_fd = -1;
    run->ports_held = -1;
    if (!check_settings(run)) {
        code = EXIT_USAGE;
    } else if (prepare(run)) {
        code = supervisor_run(run->rt, run_body, run);
    } else if (run->control.failed) {
        control_print_failure(&run->control);
    }
    runtime_destroy(run->rt);
    record_close(&run->record);
    control_close(&run->control);
    if (run->ports_held >= 0) {
        close(run->ports_held);
    }
    return code;
}

int run_scenario(const struct run_options *options)
{
    char error[SCENARIO_ERROR_BYTES_MAX];
    struct run *run = calloc(1, sizeof *run);

    if (run == NULL) {
        fprintf(stderr, "myqueue-harness: out of memory\n");
        return EXIT_HARNESS;
    }
    run->options = options;
    int code = EXIT_USAGE;
    if (scenario_load(options->dir, options->consumers, options->store, &run->scenario, error,
                      sizeof error) &&
        faults_can_be_had(run, error, sizeof error)) {
        code = run_loaded(run);
    } else {
        fprintf(stderr, "myqueue-harness: %s\n", error);
    }
    scenario_destroy(run->scenario);
    free(run);
    return code;
}
