/*
 * runtime_docker.c - the programs in containers.
 *
 * compose/docker-compose.yml makes PostgreSQL's and the broker's containers, network and
 * volumes, under a project of the run's own; they are then started one by one, each with a
 * `docker start --attach` as our child, which carries the output and ends with the
 * container. Clients are `docker run` children on the same network, with the run folder
 * mounted. All carry the project's label, and are found by it when they are taken down.
 *
 * The engine goes on with what a command has asked for when the command is killed. So one that
 * makes things is never killed, by an interrupt or with the harness: its end is waited for.
 *
 * A kill must hit within a millisecond or two, and `docker kill` takes fifty times that:
 * where we may (root, and the engine's processes can be seen) the container's first
 * process gets its SIGKILL from us. It is found in /proc by its control group, which has
 * the container's id in its name, and by being number 1 in its own namespace. The kernel
 * ends all of a container's processes with the first, before that counts as gone.
 */
#include "harness/runtime/runtime.h"

#include "common/clock.h"
#include "harness/run/record.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROJECT_LABEL "com.docker.compose.project"
#define SERVICE_LABEL "com.docker.compose.service"
#define CLIENT_DIR "/run/myqueue"
#define STORE_DIR "/var/lib/myqueue" /* of both images: the volume */

#define PROBE_LIMIT_MS 15000
#define IMAGE_LIMIT_MS 900000
#define COMMAND_LIMIT_MS 120000
#define ENDED_LIMIT_MS 30000
#define REMOVALS_AT_ONCE 16
#define REMOVE_LIMIT_MS 60000
#define REMOVE_AGAIN_MS 500

struct container {
    char id[72];           /* all 64 digits; "": not made */
    pid_t pid;             /* of its first process, as we see it; 0: not known */
    struct process killer; /* the `docker kill`, where we cannot do it ourselves */
};

struct docker_runtime {
    struct runtime base;
    struct container containers[RUNTIME_TARGETS];
    struct victims victims; /* of the container that is frozen */
    char broker_image[256];
    char postgres_image[256];
};

static struct docker_runtime *of(struct runtime *rt)
{
    return (struct docker_runtime *)rt;
}

/* ---- commands ----------------------------------------------------------------------- */

static bool command(struct runtime *rt, const char *name, struct arguments *a,
                    struct buffer *output, int64_t limit_ms)
{
    char log[PATH_MAX];

    bool done = process_run(rt->control, name, a, runtime_log(rt, log), output, limit_ms);
    arguments_release(a);
    return done;
}

/* A command that makes things in the engine. */
static struct arguments making(void)
{
    struct arguments a = ARGUMENTS_INIT;

    a.orphan_signal = SIGCONT;
    return a;
}

/* The next word of `*text`, cut out of it; NULL at its end. */
static char *next_word(char **text)
{
    char *word = *text != NULL ? *text + strspn(*text, " \n") : NULL;

    if (word == NULL || *word == '\0') {
        return NULL;
    }
    char *end = word + strcspn(word, " \n");
    *text = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

/* The reason that tools/engine left, if it ran before us. */
static void engine_reason(const struct runtime_settings *settings, char *reason, size_t size)
{
    char path[PATH_MAX];
    struct buffer text = BUFFER_INIT;

    snprintf(path, sizeof path, "%.4000s/engine", settings->programs);
    if (buffer_read_file(&text, path, 4096) == 0 && text.size > 0) {
        snprintf(reason, size, "%.*s", (int)strcspn(text.data, "\n"), text.data);
    } else {
        snprintf(reason, size, "no container engine answers (docker version)");
    }
    buffer_release(&text);
}

bool runtime_docker_answers(const struct runtime_settings *settings, struct control *c,
                            char *reason, size_t reason_size)
{
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "docker");
    arguments_add(&a, "version");
    arguments_add(&a, "--format={{.Server.Version}}");
    bool answers = process_probe(c, &a, PROBE_LIMIT_MS);
    arguments_release(&a);
    if (!answers) {
        engine_reason(settings, reason, reason_size);
    }
    return answers;
}

/* ---- before the first start ---------------------------------------------------------- */

/* tools/image prints the images' names on its last line. */
static bool make_images(struct runtime *rt)
{
    struct docker_runtime *d = of(rt);
    char log[PATH_MAX];
    struct buffer output = BUFFER_INIT;
    struct arguments a = ARGUMENTS_INIT;

    control_step(rt->control, "making the images, where the sources have changed");
    arguments_add(&a, "env");
    arguments_add(&a, "BUILD=%s", rt->settings->programs);
    arguments_add(&a, "%s/tools/image", rt->settings->root);
    control_follow(rt->control, runtime_log(rt, log));
    bool done = command(rt, "tools/image", &a, &output, IMAGE_LIMIT_MS);
    control_follow(rt->control, NULL);
    for (char *word, *rest = output.data; done && (word = next_word(&rest)) != NULL;) {
        if (strncmp(word, "myqueue-broker:", 15) == 0) {
            snprintf(d->broker_image, sizeof d->broker_image, "%s", word);
        } else if (strncmp(word, "myqueue-postgres:", 17) == 0) {
            snprintf(d->postgres_image, sizeof d->postgres_image, "%s", word);
        }
    }
    buffer_release(&output);
    if (done && (d->broker_image[0] == '\0' || d->postgres_image[0] == '\0')) {
        done = control_fail(rt->control, NULL, "tools/image did not name the images it made");
    }
    return done;
}

/* The newer `docker compose` where it is there, otherwise `docker-compose`. */
static void add_compose(struct runtime *rt, struct arguments *a)
{
    struct arguments probe = ARGUMENTS_INIT;

    arguments_add(&probe, "docker");
    arguments_add(&probe, "compose");
    arguments_add(&probe, "version");
    bool newer = process_probe(rt->control, &probe, PROBE_LIMIT_MS);
    arguments_release(&probe);
    if (newer) {
        arguments_add(a, "docker");
        arguments_add(a, "compose");
    } else {
        arguments_add(a, "docker-compose");
    }
}

/* For the broker in its container. */
static const char *store_url(const struct runtime *rt)
{
    switch (rt->settings->store) {
    case STORE_SQLITE:
        return "sqlite:" STORE_DIR "/" RUNTIME_DATABASE;
    case STORE_MEMORY:
        return "memory:";
    default:
        return "postgres://myqueue@postgres/myqueue";
    }
}

static bool create_containers(struct runtime *rt)
{
    struct docker_runtime *d = of(rt);
    struct control *c = rt->control;
    struct arguments a = making();

    control_step(c, "making the containers, project %s", rt->settings->id);
    arguments_add(&a, "env");
    arguments_add(&a, "MYQUEUE_BROKER_IMAGE=%s", d->broker_image);
    arguments_add(&a, "MYQUEUE_POSTGRES_IMAGE=%s", d->postgres_image);
    arguments_add(&a, "MYQUEUE_PORT=%d", rt->settings->port);
    arguments_add(&a, "MYQUEUE_STORE=%s", store_url(rt));
    add_compose(rt, &a);
    arguments_add(&a, "--file");
    arguments_add(&a, "%s/compose/docker-compose.yml", rt->settings->root);
    arguments_add(&a, "--project-name");
    arguments_add(&a, "%s", rt->settings->id);
    if (runtime_has(rt, TARGET_POSTGRES)) {
        arguments_add(&a, "--profile");
        arguments_add(&a, "persist");
    }
    arguments_add(&a, "up");
    arguments_add(&a, "--no-start");
    c->stopping = true; /* an interrupt comes after its end */
    bool done = command(rt, "docker compose up", &a, NULL, COMMAND_LIMIT_MS);
    c->stopping = false;
    return done && control_wait(c, 0);
}

/* `docker KIND ls` of what carries the run's label, in the given format; `kind` is "container",
 * "network" or "volume". */
static bool list(struct runtime *rt, const char *kind, const char *format, struct buffer *output)
{
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "docker");
    arguments_add(&a, "%s", kind);
    arguments_add(&a, "ls");
    if (strcmp(kind, "container") == 0) {
        arguments_add(&a, "--all"); /* also those that do not run */
    }
    if (strcmp(kind, "volume") != 0) {
        arguments_add(&a, "--no-trunc");
    }
    arguments_add(&a, "--filter=label=" PROJECT_LABEL "=%s", rt->settings->id);
    arguments_add(&a, "--format=%s", format);
    return command(rt, "docker ls", &a, output, COMMAND_LIMIT_MS);
}

static bool find_containers(struct runtime *rt)
{
    struct docker_runtime *d = of(rt);
    struct buffer output = BUFFER_INIT;
    bool done = list(rt, "container", "{{.ID}} {{.Label \"" SERVICE_LABEL "\"}}", &output);

    for (char *id, *rest = output.data; done && (id = next_word(&rest)) != NULL;) {
        const char *service = next_word(&rest);
        for (int target = 0; service != NULL && target < RUNTIME_TARGETS; target++) {
            if (strcmp(service, fault_target_name((enum fault_target)target)) == 0) {
                snprintf(d->containers[target].id, sizeof d->containers[target].id, "%s", id);
            }
        }
    }
    buffer_release(&output);
    for (int target = 0; done && target < RUNTIME_TARGETS; target++) {
        if (runtime_has(rt, (enum fault_target)target) && d->containers[target].id[0] == '\0') {
            done = control_fail(rt->control, NULL, "compose/docker-compose.yml made no '%s'",
                                fault_target_name((enum fault_target)target));
        }
    }
    return done;
}

static bool prepare(struct runtime *rt)
{
    return make_images(rt) && create_containers(rt) && find_containers(rt);
}

/* ---- starting ------------------------------------------------------------------------ */

static bool start(struct runtime *rt, enum fault_target target)
{
    struct process *attached = &rt->services[target];
    const char *name = fault_target_name(target);
    char log[PATH_MAX];
    struct arguments a = making();

    /* The engine must have noticed the end of the one before, or it starts nothing. */
    if (!process_wait(attached, rt->control, ENDED_LIMIT_MS)) {
        return (rt->control->interrupted && !rt->control->stopping) ||
               control_fail(rt->control, attached->log, "the engine did not notice that %s died",
                            name);
    }
    of(rt)->containers[target].pid = 0;
    arguments_add(&a, "docker");
    arguments_add(&a, "start");
    arguments_add(&a, "--attach");
    arguments_add(&a, "%s", of(rt)->containers[target].id);
    bool done =
        process_start(attached, rt->control, name, &a, runtime_next_log(rt, target, log), -1);
    arguments_release(&a);
    return done;
}

static bool client(struct runtime *rt, struct process *out, const char *name, const char *program,
                   const struct arguments *arguments)
{
    const struct runtime_settings *settings = rt->settings;
    char log[PATH_MAX];
    struct arguments a = making();

    arguments_add(&a, "docker");
    arguments_add(&a, "run");
    arguments_add(&a, "--rm");
    arguments_add(&a, "--name=%s-%s", settings->id, name);
    arguments_add(&a, "--label=" PROJECT_LABEL "=%s", settings->id);
    arguments_add(&a, "--label=myqueue.run=%s", settings->id);
    arguments_add(&a, "--network=%s_default", settings->id);
    /* While the broker is down the engine does not know its name, and would ask the
     * machine's own name servers, which may be slow to answer or not there. */
    arguments_add(&a, "--dns-opt=timeout:1");
    arguments_add(&a, "--dns-opt=attempts:1");
    /* What it writes belongs to the user who runs the harness. */
    arguments_add(&a, "--user=%d:%d", (int)geteuid(), (int)getegid());
    arguments_add(&a, "--mount=type=bind,\"source=%s\",target=" CLIENT_DIR, settings->run_dir);
    arguments_add(&a, "%s", of(rt)->broker_image);
    arguments_add(&a, "%s", program);
    for (size_t i = 0; i < arguments->count; i++) {
        arguments_add(&a, "%s", arguments->items[i]);
    }
    snprintf(log, sizeof log, "%.4000s/logs/%s.log", settings->run_dir, name);
    bool done = process_start(out, rt->control, name, &a, log, -1);
    arguments_release(&a);
    return done;
}

/* ---- killing ------------------------------------------------------------------------- */

static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* `NSpid:<tab>4711<tab>1`: the process' number in each namespace, the innermost last. */
static bool is_first_of_namespace(const char *status)
{
    const char *line = strstr(status, "\nNSpid:");
    if (line == NULL) {
        return false;
    }
    line += strlen("\nNSpid:");
    const char *end = line + strcspn(line, "\n");
    return end - line > 2 && end[-1] == '1' && isspace((unsigned char)end[-2]);
}

static bool is_container(const char *pid, const char *id)
{
    char path[64];
    char text[8192];

    snprintf(path, sizeof path, "/proc/%.20s/cgroup", pid);
    if (!read_text(path, text, sizeof text) || strstr(text, id) == NULL) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    return read_text(path, text, sizeof text) && is_first_of_namespace(text);
}

/* The container's first process, if we see it and may kill it; otherwise 0. */
static pid_t find_pid(const char *id)
{
    pid_t found = 0;
    DIR *proc = opendir("/proc");

    for (struct dirent *e; proc != NULL && found == 0 && (e = readdir(proc)) != NULL;) {
        if (isdigit((unsigned char)e->d_name[0]) && is_container(e->d_name, id)) {
            found = (pid_t)strtol(e->d_name, NULL, 10);
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return found != 0 && kill(found, 0) == 0 ? found : 0;
}

static bool started(struct runtime *rt, enum fault_target target)
{
    struct container *container = &of(rt)->containers[target];

    container->pid = find_pid(container->id);
    return true;
}

/* Is its first process known, and still that? Its number may have become another's since,
 * if the container ended by itself. */
static bool knows_pid(const struct container *container)
{
    char number[16];

    snprintf(number, sizeof number, "%d", (int)container->pid);
    return container->pid != 0 && is_container(number, container->id);
}

static bool freeze(struct runtime *rt, enum fault_target target)
{
    struct container *container = &of(rt)->containers[target];
    bool known = knows_pid(container);

    if (known) {
        victims_freeze(&of(rt)->victims, container->pid);
    }
    return known;
}

static void thaw(struct runtime *rt, enum fault_target target)
{
    (void)target;
    victims_signal(&of(rt)->victims, SIGCONT);
    of(rt)->victims.count = 0;
}

static bool kill_service(struct runtime *rt, enum fault_target target)
{
    struct container *container = &of(rt)->containers[target];
    char log[PATH_MAX];
    struct arguments a = ARGUMENTS_INIT;

    of(rt)->victims.count = 0;
    if (knows_pid(container)) {
        kill(container->pid, SIGKILL);
        return true;
    }
    container->pid = 0;
    arguments_add(&a, "docker");
    arguments_add(&a, "kill");
    arguments_add(&a, "--signal=KILL");
    arguments_add(&a, "%s", container->id);
    bool done =
        process_start(&container->killer, rt->control, "docker kill", &a, runtime_log(rt, log), -1);
    arguments_release(&a);
    return done;
}

/* Where we cannot see its processes, the engine's word counts. */
static bool dead(struct runtime *rt, enum fault_target target)
{
    struct container *container = &of(rt)->containers[target];

    if (container->pid != 0) {
        return kill(container->pid, 0) != 0 && errno == ESRCH;
    }
    return !process_runs(&container->killer) && !process_runs(&rt->services[target]);
}

/* One to `docker start` would reach the container, too, but not through sudo. */
static bool signal_service(struct runtime *rt, enum fault_target target, int number)
{
    struct arguments a = ARGUMENTS_INIT;

    thaw(rt, target);
    arguments_add(&a, "docker");
    arguments_add(&a, "kill");
    arguments_add(&a, "--signal=%d", number);
    arguments_add(&a, "%s", of(rt)->containers[target].id);
    return command(rt, "docker kill", &a, NULL, COMMAND_LIMIT_MS);
}

static bool network(struct runtime *rt, enum fault_target target, bool connected)
{
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "docker");
    arguments_add(&a, "network");
    arguments_add(&a, connected ? "connect" : "disconnect");
    if (connected) {
        arguments_add(&a, "--alias=%s", fault_target_name(target));
    }
    arguments_add(&a, "%s_default", rt->settings->id);
    arguments_add(&a, "%s", of(rt)->containers[target].id);
    return command(rt, "docker network", &a, NULL, COMMAND_LIMIT_MS);
}

/* The process that is attached to the container ends with it. */
static bool signal_client(struct runtime *rt, struct process *process, const char *name, int number)
{
    struct arguments a = ARGUMENTS_INIT;
    (void)process;

    arguments_add(&a, "docker");
    arguments_add(&a, "kill");
    arguments_add(&a, "--signal=%d", number);
    arguments_add(&a, "%s-%s", rt->settings->id, name);
    return command(rt, "docker kill", &a, NULL, COMMAND_LIMIT_MS);
}

/* ---- the store's rows ---------------------------------------------------------------- */

static bool psql(struct runtime *rt, const struct runtime_sql *sql, struct process *out)
{
    struct arguments a = ARGUMENTS_INIT;

    arguments_add(&a, "docker");
    arguments_add(&a, "exec");
    arguments_add(&a, "%s", of(rt)->containers[TARGET_POSTGRES].id);
    return runtime_psql(rt, &a, STORE_DIR, sql, out);
}

/* The volume may be out of our reach (another user's, another machine's), a copy never is. */
static bool database(struct runtime *rt, char path[PATH_MAX])
{
    char log[PATH_MAX];
    struct arguments a = ARGUMENTS_INIT;

    if (!runtime_make_folder(rt)) {
        return false;
    }
    arguments_add(&a, "sh");
    arguments_add(&a, "-c");
    arguments_add(&a, "docker cp \"$1:" STORE_DIR "/.\" - | tar -xf - --no-same-owner -C \"$2\"");
    arguments_add(&a, "sh");
    arguments_add(&a, "%s", of(rt)->containers[TARGET_BROKER].id);
    arguments_add(&a, "%s", rt->folder);
    snprintf(path, PATH_MAX, "%s/" RUNTIME_DATABASE, rt->folder);
    bool done = command(rt, "docker cp", &a, NULL, COMMAND_LIMIT_MS);
    return done && (access(path, R_OK) == 0 ||
                    control_fail(rt->control, runtime_log(rt, log),
                                 "the broker's container has no " STORE_DIR "/" RUNTIME_DATABASE));
}

/* ---- taking down --------------------------------------------------------------------- */

/* `docker KIND rm` of some, all at the same time; were all removed? */
static bool remove_some(struct runtime *rt, const char *kind, char **names, size_t count)
{
    struct process removers[REMOVALS_AT_ONCE];
    char log[PATH_MAX];
    bool all = true;

    assert(count <= REMOVALS_AT_ONCE);
    for (size_t i = 0; i < count; i++) {
        struct arguments a = ARGUMENTS_INIT;
        arguments_add(&a, "docker");
        arguments_add(&a, "%s", kind);
        arguments_add(&a, "rm");
        if (strcmp(kind, "container") == 0) {
            arguments_add(&a, "--force");
            arguments_add(&a, "--volumes");
        }
        arguments_add(&a, "%s", names[i]);
        process_start(&removers[i], rt->control, "docker rm", &a, runtime_log(rt, log), -1);
        arguments_release(&a);
    }
    for (size_t i = 0; i < count; i++) {
        all = process_wait(&removers[i], rt->control, COMMAND_LIMIT_MS) &&
              process_succeeded(&removers[i]) && all;
    }
    return all;
}

/* Remove what of a kind carries the run's label; was it found out, and did all of it go? */
static bool remove_listed(struct runtime *rt, const char *kind)
{
    struct buffer output = BUFFER_INIT;
    char *names[REMOVALS_AT_ONCE];
    size_t count = 0;
    const char *format = strcmp(kind, "volume") == 0 ? "{{.Name}}" : "{{.ID}}";

    bool all = list(rt, kind, format, &output);
    for (char *name, *rest = output.data; all && (name = next_word(&rest)) != NULL;) {
        names[count++] = name;
        if (count == REMOVALS_AT_ONCE) {
            all = remove_some(rt, kind, names, count);
            count = 0;
        }
    }
    all = remove_some(rt, kind, names, count) && all;
    buffer_release(&output);
    return all;
}

static void pause_ms(struct control *c, int64_t wait_ms)
{
    for (int64_t end_ms = clock_now_ms() + wait_ms; clock_now_ms() < end_ms;) {
        control_wait(c, end_ms - clock_now_ms());
    }
}

/* … again and again, since an engine that is busy may refuse. What it had refused does not count
 * once all is gone. */
static void remove_kind(struct runtime *rt, const char *kind)
{
    struct control *c = rt->control;
    int64_t deadline_ms = clock_now_ms() + REMOVE_LIMIT_MS;
    bool failed = c->failed;
    bool gone = remove_listed(rt, kind);

    while (!gone && clock_now_ms() < deadline_ms) {
        pause_ms(c, REMOVE_AGAIN_MS);
        gone = remove_listed(rt, kind);
    }
    c->failed = failed;
    if (!gone) {
        char log[PATH_MAX];
        control_fail(c, runtime_log(rt, log),
                     "the engine does not remove this run's %ss; see `docker %s ls "
                     "--filter=label=" PROJECT_LABEL "=%s`",
                     kind, kind, rt->settings->id);
    }
}

/* What cannot be removed yet is tried again by the next call, and by remove_all(). */
static void stop(struct runtime *rt)
{
    bool failed = rt->control->failed;

    remove_listed(rt, "container");
    rt->control->failed = failed;
}

static void remove_all(struct runtime *rt)
{
    remove_kind(rt, "container");
    remove_kind(rt, "network");
    remove_kind(rt, "volume");
    remove_tree(rt->folder);
}

static const struct runtime_ops docker_ops = {
    .name = "docker",
    .prepare = prepare,
    .start = start,
    .started = started,
    .freeze = freeze,
    .thaw = thaw,
    .kill = kill_service,
    .dead = dead,
    .signal = signal_service,
    .network = network,
    .client = client,
    .signal_client = signal_client,
    .psql = psql,
    .database = database,
    .stop = stop,
    .remove = remove_all,
};

struct runtime *runtime_docker_create(const struct runtime_settings *settings, struct control *c)
{
    struct runtime *rt = runtime_create(sizeof(struct docker_runtime), &docker_ops, settings, c);

    if (rt != NULL) {
        snprintf(rt->client_broker, sizeof rt->client_broker, "broker:5000");
        snprintf(rt->client_run_dir, sizeof rt->client_run_dir, CLIENT_DIR);
    }
    return rt;
}
