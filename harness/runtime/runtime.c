/*
 * runtime.c - what the two runtimes share.
 */
#include "harness/runtime/runtime.h"

#include "harness/runtime/ports.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMPDIR_BYTES_MAX 48
#define QUERY_LIMIT_MS 120000
#define POSTGRES_SOCKET ".s.PGSQL.5432"
#define DRAIN_MS 5000 /* for a broker that is asked to end */

/* The run's ports. */
enum { PORT_BROKER, PORT_PROXY, PORT_OTHER_BROKER };

static void port_address(const struct runtime *rt, int which, char address[RUNTIME_ADDRESS_BYTES])
{
    snprintf(address, RUNTIME_ADDRESS_BYTES, "127.0.0.1:%d",
             rt->settings->port + which * RUNTIME_PORTS_APART);
}

/* As everywhere, TMPDIR says where what is temporary goes; but the socket's path has to be short.
 */
static const char *folder_above(void)
{
    const char *above = getenv("TMPDIR");

    return above != NULL && above[0] == '/' && strlen(above) <= TMPDIR_BYTES_MAX ? above : "/tmp";
}

struct runtime *runtime_create(size_t size, const struct runtime_ops *ops,
                               const struct runtime_settings *settings, struct control *c)
{
    struct runtime *rt = calloc(1, size);

    if (rt == NULL) {
        control_fail(c, NULL, "out of memory");
        return NULL;
    }
    rt->ops = ops;
    rt->settings = settings;
    rt->control = c;
    rt->client_line = rt->store_line = (struct line)LINE_INIT;
    port_address(rt, PORT_BROKER, rt->broker);
    snprintf(rt->folder, sizeof rt->folder, "%s/%s", folder_above(), settings->id);
    return rt;
}

void runtime_destroy(struct runtime *rt)
{
    for (int target = 0; rt != NULL && target < RUNTIME_TARGETS; target++) {
        arguments_release(&rt->environment[target]);
    }
    free(rt);
}

void runtime_set_environment(struct runtime *rt, enum fault_target target, const char *name,
                             const char *value)
{
    struct arguments *old = &rt->environment[target];
    struct arguments kept = ARGUMENTS_INIT;
    size_t size = strlen(name);

    for (size_t i = 0; i < old->count; i++) {
        if (strncmp(old->items[i], name, size) != 0 || old->items[i][size] != '=') {
            arguments_add(&kept, "%s", old->items[i]);
        }
    }
    if (value != NULL) {
        arguments_add(&kept, "%s=%s", name, value);
    }
    arguments_release(old);
    *old = kept;
}

const char *runtime_data(const struct runtime *rt, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/data", rt->folder); /* tools/postgres calls it so, too */
    return path;
}

/* ---- proxies ---------------------------------------------------------------------------- */

static bool break_in(struct runtime *rt, struct line *line, const char *name, const char *listen,
                     const char *to)
{
    char control[PATH_MAX];
    char log[PATH_MAX];

    snprintf(control, sizeof control, "%s/%s.control", rt->folder, name);
    snprintf(log, sizeof log, "%.4000s/logs/proxy-%s.log", rt->settings->run_dir, name);
    return line_open(line, rt->control, rt->settings->programs, listen, to, control, log);
}

bool runtime_break_into_clients(struct runtime *rt)
{
    if (line_is_open(&rt->client_line)) {
        return true;
    }
    port_address(rt, PORT_PROXY, rt->client_broker);
    return break_in(rt, &rt->client_line, "clients", rt->client_broker, rt->broker);
}

/* libpq finds a socket of this name in the folder that it is given as the host. */
bool runtime_break_into_store(struct runtime *rt)
{
    char listen[PATH_MAX];
    char to[PATH_MAX];

    if (line_is_open(&rt->store_line)) {
        return true;
    }
    snprintf(rt->store_host, sizeof rt->store_host, "%s/proxy", rt->folder);
    if (mkdir(rt->store_host, 0755) != 0) {
        return control_fail(rt->control, NULL, "cannot make %s: %s", rt->store_host,
                            strerror(errno));
    }
    snprintf(listen, sizeof listen, "unix:%.*s/" POSTGRES_SOCKET, (int)sizeof rt->folder + 8,
             rt->store_host);
    snprintf(to, sizeof to, "unix:%s/" POSTGRES_SOCKET, rt->folder);
    return break_in(rt, &rt->store_line, "store", listen, to);
}

void runtime_move_broker(struct runtime *rt)
{
    char first[RUNTIME_ADDRESS_BYTES];

    port_address(rt, PORT_BROKER, first);
    port_address(rt, strcmp(rt->broker, first) == 0 ? PORT_OTHER_BROKER : PORT_BROKER, rt->broker);
}

void runtime_preload(struct runtime *rt, enum fault_target target, const char *library)
{
    static const char name[] = "LD_PRELOAD=";
    const struct arguments *set = &rt->environment[target];
    char both[PATH_MAX];

    snprintf(both, sizeof both, "%s", library);
    for (size_t i = 0; i < set->count; i++) {
        const char *old = set->items[i];
        if (strncmp(old, name, sizeof name - 1) == 0) {
            bool has = strstr(old, library) != NULL;
            snprintf(both, sizeof both, "%s%s%s", old + sizeof name - 1, has ? "" : ":",
                     has ? "" : library);
        }
    }
    runtime_set_environment(rt, target, "LD_PRELOAD", both);
}

bool runtime_has(const struct runtime *rt, enum fault_target target)
{
    return target == TARGET_BROKER || rt->settings->store == STORE_POSTGRES;
}

bool runtime_make_folder(struct runtime *rt)
{
    return mkdir(rt->folder, 0700) == 0 ||
           control_fail(rt->control, NULL, "cannot make %s: %s", rt->folder, strerror(errno));
}

bool runtime_end_broker(struct runtime *rt)
{
    struct process *broker = &rt->services[TARGET_BROKER];
    char how[32];

    if (!process_runs(broker)) {
        return true;
    }
    if (!rt->ops->signal(rt, TARGET_BROKER, SIGTERM)) {
        return false;
    }
    bool ended = process_wait(broker, rt->control, DRAIN_MS);
    if (rt->control->interrupted) {
        return ended; /* it may have been told before it could listen */
    }
    if (!ended) {
        return control_fail(rt->control, broker->log,
                            "the broker did not end within %d s of SIGTERM", DRAIN_MS / 1000);
    }
    return process_succeeded(broker) ||
           control_fail(rt->control, broker->log, "the broker ended badly on SIGTERM: %s",
                        process_end(broker, how, sizeof how));
}

const char *runtime_next_log(struct runtime *rt, enum fault_target target, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.4000s/logs/%s-%d.log", rt->settings->run_dir,
             fault_target_name(target), ++rt->incarnations[target]);
    return path;
}

const char *runtime_log(const struct runtime *rt, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.4000s/logs/runtime.log", rt->settings->run_dir);
    return path;
}

void victims_freeze(struct victims *v, pid_t pid)
{
    v->pids[0] = pid;
    kill(pid, SIGSTOP);
    v->count = 1 + process_descendants(pid, v->pids + 1, VICTIMS_MAX - 1);
    victims_signal(v, SIGSTOP);
}

void victims_signal(const struct victims *v, int number)
{
    for (size_t i = 0; i < v->count; i++) {
        kill(v->pids[i], number);
    }
}

bool runtime_psql(struct runtime *rt, struct arguments *a, const char *folder,
                  const struct runtime_sql *sql, struct process *out)
{
    char log[PATH_MAX];

    arguments_add(a, "psql");
    arguments_add(a, "--no-psqlrc");
    arguments_add(a, "--tuples-only");
    arguments_add(a, "--no-align");
    arguments_add(a, "--quiet");
    arguments_add(a, "--set=FETCH_COUNT=10000"); /* or psql holds all rows in memory */
    arguments_add(a, "--command=%s", sql->statements);
    arguments_add(a, "postgres://%s@/myqueue?host=%s&port=5432&application_name=%s", sql->user,
                  folder, sql->application);
    bool done = process_start(out, rt->control, "psql", a, runtime_log(rt, log), sql->output_fd);
    arguments_release(a);
    return done;
}

static bool run_psql(struct runtime *rt, const struct runtime_sql *sql)
{
    struct control *c = rt->control;
    struct process p;
    char log[PATH_MAX];
    char how[32];

    if (!rt->ops->psql(rt, sql, &p)) {
        return false;
    }
    runtime_log(rt, log);
    if (!process_wait(&p, c, QUERY_LIMIT_MS)) {
        process_signal(&p, SIGKILL);
        return (!c->interrupted || c->stopping) &&
               control_fail(c, log, "psql had no answer within %d s", QUERY_LIMIT_MS / 1000);
    }
    return process_succeeded(&p) ||
           control_fail(c, log, "psql failed: %s", process_end(&p, how, sizeof how));
}

bool runtime_query(struct runtime *rt, const char *statements, int output_fd)
{
    struct runtime_sql sql = {"myqueue", "myqueue-harness", statements, output_fd};

    return run_psql(rt, &sql);
}

bool runtime_ask_postgres(struct runtime *rt, const char *statements, int64_t *number)
{
    struct runtime_sql sql = {"postgres", "myqueue-harness", statements, -1};
    char text[32] = "";

    *number = 0;
    sql.output_fd = memfd_create("answer", MFD_CLOEXEC);
    if (sql.output_fd < 0) {
        return control_fail(rt->control, NULL, "no memory for psql's answer");
    }
    bool done = run_psql(rt, &sql);
    ssize_t size = done ? pread(sql.output_fd, text, sizeof text - 1, 0) : 0;
    close(sql.output_fd);
    *number = strtoll(text, NULL, 10);
    return done && (size > 0 || control_fail(rt->control, NULL, "psql gave no number"));
}
