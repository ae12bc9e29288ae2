/*
 * process.c - fork and exec, with the failure of exec told to the parent.
 */
#include "harness/runtime/process.h"

#include "common/clock.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_BYTES_MAX (64 << 20)
#define POLL_MS 100
#define OUTPUT_BYTES_MAX (1 << 20)
#define TERMINATE_MS 10000
#define PROCESSES_MAX 32768

extern char **environ;

void arguments_add(struct arguments *a, const char *format, ...)
{
    va_list values;
    char *item;

    char **items = realloc(a->items, (a->count + 2) * sizeof *items);
    assert(items != NULL);
    va_start(values, format);
    int size = vasprintf(&item, format, values);
    va_end(values);
    assert(size >= 0);
    a->items = items;
    a->items[a->count++] = item;
    a->items[a->count] = NULL;
}

void arguments_release(struct arguments *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->items[i]);
    }
    free(a->items);
    *a = (struct arguments)ARGUMENTS_INIT;
}

/* The environment without what would configure the programs behind our back. */
static void clean_environment(void)
{
    char name[256];

    for (char **e = environ; *e != NULL;) {
        size_t size = strcspn(*e, "=");
        if (strncmp(*e, "MYQUEUE_", 8) == 0 && size < sizeof name) {
            memcpy(name, *e, size);
            name[size] = '\0';
            unsetenv(name);
            e = environ;
        } else {
            e++;
        }
    }
}

/* In the child. Only returns when exec failed; `failure_fd` then gets the errno. */
static void become(const struct arguments *arguments, int output_fd, int error_fd, pid_t parent,
                   int failure_fd)
{
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, arguments->orphan_signal != 0 ? arguments->orphan_signal : SIGKILL);
    if (getppid() != parent) {
        _exit(127); /* it died before it could have told us */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int null_fd = open("/dev/null", O_RDONLY);
    dup2(null_fd, STDIN_FILENO);
    dup2(output_fd, STDOUT_FILENO);
    dup2(error_fd, STDERR_FILENO);
    clean_environment();
    execvp(arguments->items[0], arguments->items);
    int error = errno;
    ssize_t written = write(failure_fd, &error, sizeof error);
    _exit(written == (ssize_t)sizeof error ? 127 : 126);
}

/* The errno of the child's exec, 0 when the program runs. */
static int exec_result(int fd)
{
    int error = 0;
    ssize_t size;

    do {
        size = read(fd, &error, sizeof error);
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof error ? error : 0;
}

static int start(struct process *p, const struct arguments *arguments, int output_fd, int error_fd)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return errno;
    }
    pid_t parent = getpid();
    fflush(NULL);
    p->pid = fork();
    if (p->pid == 0) {
        become(arguments, output_fd, error_fd, parent, fds[1]);
    }
    int error = p->pid < 0 ? errno : 0;
    close(fds[1]);
    if (error == 0) {
        setpgid(p->pid, p->pid); /* whoever of the two is first */
        error = exec_result(fds[0]);
        if (error != 0) {
            waitpid(p->pid, &p->status, 0);
        }
    }
    close(fds[0]);
    if (error != 0) {
        p->pid = 0;
    }
    return error;
}

bool process_start(struct process *p, struct control *c, const char *name,
                   const struct arguments *arguments, const char *log, int output_fd)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->log, sizeof p->log, "%s", log);
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0) {
        return control_fail(c, NULL, "cannot write %s: %s", log, strerror(errno));
    }
    int error = start(p, arguments, output_fd >= 0 ? output_fd : log_fd, log_fd);
    close(log_fd);
    if (error != 0) {
        p->ended = true;
        return control_fail(c, NULL, "cannot start %s (%s): %s", name, arguments->items[0],
                            strerror(error));
    }
    return true;
}

bool process_runs(struct process *p)
{
    if (p->pid != 0 && waitpid(p->pid, &p->status, WNOHANG) == p->pid) {
        p->pid = 0;
        p->ended = true;
    }
    return p->pid != 0;
}

bool process_succeeded(const struct process *p)
{
    assert(p->ended);
    return WIFEXITED(p->status) && WEXITSTATUS(p->status) == 0;
}

const char *process_end(const struct process *p, char *text, size_t size)
{
    assert(p->ended);
    if (WIFSIGNALED(p->status)) {
        snprintf(text, size, "signal %d", WTERMSIG(p->status));
    } else {
        snprintf(text, size, "exit code %d", WEXITSTATUS(p->status));
    }
    return text;
}

int64_t process_said(const struct process *p, const char *words)
{
    struct buffer log = BUFFER_INIT;
    int64_t count = 0;

    if (buffer_read_file(&log, p->log, LOG_BYTES_MAX) == 0 && log.size > 0) {
        for (const char *at = log.data; (at = strstr(at, words)) != NULL; at++) {
            count++;
        }
    }
    buffer_release(&log);
    return count;
}

void process_signal(struct process *p, int number)
{
    if (process_runs(p)) {
        kill(p->pid, number);
    }
}

bool process_wait(struct process *p, struct control *c, int64_t wait_ms)
{
    int64_t deadline_ms = clock_now_ms() + wait_ms;

    while (process_runs(p)) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        if (left_ms <= 0 || !control_wait(c, left_ms < POLL_MS ? left_ms : POLL_MS)) {
            return !process_runs(p);
        }
    }
    return true;
}

/* A command that is stopped gets time to take back what it has begun. */
static void process_end_now(struct process *p, struct control *c)
{
    bool stopping = c->stopping;

    c->stopping = true;
    process_signal(p, SIGTERM);
    if (!process_wait(p, c, TERMINATE_MS)) {
        process_signal(p, SIGKILL);
        process_wait(p, c, TERMINATE_MS);
    }
    c->stopping = stopping;
}

static bool run(struct control *c, const char *name, const struct arguments *arguments,
                const char *log, int output_fd, int64_t limit_ms)
{
    struct process p;
    char how[32];

    if (!process_start(&p, c, name, arguments, log, output_fd)) {
        return false;
    }
    if (!process_wait(&p, c, limit_ms)) {
        process_end_now(&p, c);
        if (c->interrupted && !c->stopping) {
            return false;
        }
        return control_fail(c, log, "%s was not done within %lld s", name,
                            (long long)(limit_ms / 1000));
    }
    if (!process_succeeded(&p)) {
        return control_fail(c, log, "%s failed: %s", name, process_end(&p, how, sizeof how));
    }
    return true;
}

bool process_run(struct control *c, const char *name, const struct arguments *arguments,
                 const char *log, struct buffer *output, int64_t limit_ms)
{
    char path[64];
    bool done;

    if (output == NULL) {
        return run(c, name, arguments, log, -1, limit_ms);
    }
    int fd = memfd_create("output", MFD_CLOEXEC);
    if (fd < 0) {
        return control_fail(c, NULL, "no memory for the output of %s", name);
    }
    done = run(c, name, arguments, log, fd, limit_ms);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (done && buffer_read_file(output, path, OUTPUT_BYTES_MAX) != 0) {
        done = control_fail(c, log, "cannot read what %s printed", name);
    }
    close(fd);
    return done;
}

bool process_probe(struct control *c, const struct arguments *arguments, int64_t limit_ms)
{
    struct process p;

    if (!process_start(&p, c, arguments->items[0], arguments, "/dev/null", -1)) {
        c->failed = false;
        return false;
    }
    if (!process_wait(&p, c, limit_ms)) {
        process_end_now(&p, c);
        return false;
    }
    return process_succeeded(&p);
}

struct relation {
    pid_t pid;
    pid_t parent;
};

/* /proc/PID/stat is `PID (name) state parent …`, and a name may hold anything. */
static bool read_relation(const char *pid, struct relation *out)
{
    char path[64];
    char text[512];
    int parent;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *end = strrchr(text, ')');
    if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1) {
        return false;
    }
    out->pid = (pid_t)strtol(pid, NULL, 10);
    out->parent = parent;
    return true;
}

static size_t read_relations(struct relation *relations, size_t max)
{
    size_t count = 0;
    DIR *proc = opendir("/proc");

    for (struct dirent *e; proc != NULL && count < max && (e = readdir(proc)) != NULL;) {
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
            read_relation(e->d_name, &relations[count])) {
            count++;
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return count;
}

size_t process_descendants(pid_t root, pid_t *pids, size_t max)
{
    size_t found = 0;
    struct relation *relations = calloc(PROCESSES_MAX, sizeof *relations);
    assert(relations != NULL);
    size_t count = read_relations(relations, PROCESSES_MAX);

    for (size_t parent = 0; parent <= found; parent++) {
        pid_t pid = parent == 0 ? root : pids[parent - 1];
        for (size_t i = 0; i < count && found < max; i++) {
            if (relations[i].parent == pid) {
                pids[found++] = relations[i].pid;
            }
        }
    }
    free(relations);
    return found;
}
