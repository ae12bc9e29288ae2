/*
 * record.c - the run folder.
 */
#include "harness/run/record.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/json.h"
#include "harness/faults/fault_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TREE_DEPTH_FDS 16

/* Make a folder and the ones above it. Returns 0 or an errno. */
static int make_folders(const char *path)
{
    char part[PATH_MAX];

    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            return errno;
        }
    }
    return 0;
}

static bool make(struct control *c, const char *path)
{
    int error = make_folders(path);

    return error == 0 || control_fail(c, NULL, "cannot make %s: %s", path, strerror(error));
}

/* Compact, UTC: 20261121T070000. */
static void compact_time(int64_t unix_s, char text[32])
{
    struct tm tm;
    time_t t = (time_t)unix_s;

    gmtime_r(&t, &tm);
    strftime(text, 32, "%Y%m%dT%H%M%S", &tm);
}

const char *record_path(const struct record *r, char path[PATH_MAX], const char *format, ...)
{
    va_list values;
    size_t size = (size_t)snprintf(path, PATH_MAX, "%s/", r->dir);

    va_start(values, format);
    vsnprintf(path + size, PATH_MAX - size, format, values);
    va_end(values);
    return path;
}

bool record_open(struct record *r, struct control *c, const char *reports, const char *name,
                 int64_t started_unix_s)
{
    static const char *const folders[] = {"scenario", "history", "logs"};
    char parent[PATH_MAX];
    char path[PATH_MAX];
    char when[32];

    r->history_fd = -1;
    /* Room for what is appended: the names of files within. */
    if (strlen(reports) + strlen(name) > PATH_MAX / 2) {
        return control_fail(c, NULL, "--reports and --name together are too long");
    }
    snprintf(parent, sizeof parent, "%.2000s/%.2000s", reports, name);
    snprintf(r->latest, sizeof r->latest, "%.4000s/latest", parent);
    if (!make(c, parent)) {
        return false;
    }
    if (realpath(parent, path) == NULL || strlen(path) > PATH_MAX - 512) {
        return control_fail(c, NULL, "cannot use %s as a folder", parent);
    }
    compact_time(started_unix_s, when);
    snprintf(r->dir, sizeof r->dir, "%.3500s/%s-%d", path, when, (int)getpid());
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!make(c, record_path(r, path, "%s", folders[i]))) {
            return false;
        }
    }
    record_path(r, path, "history/harness.jsonl");
    r->history_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return r->history_fd >= 0 ||
           control_fail(c, NULL, "cannot write %s: %s", path, strerror(errno));
}

void record_close(struct record *r)
{
    if (r->history_fd >= 0) {
        close(r->history_fd);
        r->history_fd = -1;
    }
}

/* Append `"key": "value",\n` unless the value is empty. */
static void append_text(struct buffer *b, const char *key, const char *value)
{
    if (value[0] != '\0') {
        buffer_printf(b, "  \"%s\": ", key);
        json_append_string(b, slice_of(value));
        buffer_append_string(b, ",\n");
    }
}

static void append_started(struct buffer *b, const struct record_run *run)
{
    char when[32];
    struct tm tm;
    time_t t = (time_t)run->started_unix_s;

    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    append_text(b, "started", when);
    buffer_printf(b, "  \"started_unix_ms\": %lld,\n  \"started_monotonic_ns\": %lld\n}\n",
                  (long long)run->started_wall_ms, (long long)run->started_ns);
}

static int write_file(const char *path, const struct buffer *b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return errno;
    }
    ssize_t size = b->failed ? -1 : write(fd, b->data, b->size);
    int error = size == (ssize_t)b->size ? 0 : size < 0 ? errno : ENOSPC;
    close(fd);
    return error;
}

bool record_run(struct record *r, struct control *c, const struct record_run *run)
{
    struct buffer b = BUFFER_INIT;
    char path[PATH_MAX];

    buffer_append_string(&b, "{\n");
    append_text(&b, "scenario", run->scenario);
    append_text(&b, "title", run->title);
    append_text(&b, "logs", run->logs);
    append_text(&b, "runtime", run->runtime);
    append_text(&b, "runtime_reason", run->runtime_reason);
    append_text(&b, "store", run->store);
    append_text(&b, "version", MYQUEUE_VERSION);
    append_text(&b, "command", run->command);
    if (run->seed != SEED_NONE) {
        buffer_printf(&b, "  \"seed\": %lld,\n", (long long)run->seed);
    }
    append_text(&b, "ended_early", run->ended_early);
    append_started(&b, run);
    int error = write_file(record_path(r, path, "run.json"), &b);
    buffer_release(&b);
    return error == 0 || control_fail(c, NULL, "cannot write %s: %s", path, strerror(error));
}

/* A history that cannot be written is seen by the judge, who misses the line. */
static void record_line(struct record *r, struct buffer *line)
{
    buffer_append_string(line, "}\n");
    ssize_t size = write(r->history_fd, line->data, line->size);
    if (size != (ssize_t)line->size) {
        fprintf(stderr, "myqueue-harness: cannot write the history in %s: %s\n", r->dir,
                strerror(size < 0 ? errno : ENOSPC));
    }
    buffer_release(line);
}

void record_phase(struct record *r, const char *name)
{
    struct buffer line = BUFFER_INIT;

    buffer_printf(&line,
                  "{\"t\":%lld,\"process\":\"harness\",\"op\":\"phase\",\"type\":\"ok\",\"name\":",
                  (long long)clock_now_ns());
    json_append_string(&line, slice_of(name));
    record_line(r, &line);
}

/* Begin a fault's line. */
static void fault_line(struct buffer *line, size_t number, const char *type, int64_t time_ns)
{
    buffer_printf(line,
                  "{\"t\":%lld,\"process\":\"harness\",\"op\":\"fault\",\"type\":\"%s\","
                  "\"fault\":%zu",
                  (long long)time_ns, type, number);
}

void record_fault_begin(struct record *r, size_t number, const struct scenario_fault *fault,
                        int64_t acks, int64_t in_flight)
{
    struct buffer line = BUFFER_INIT;
    struct buffer words = BUFFER_INIT;

    fault_append_words(&words, fault);
    fault_line(&line, number, "begin", clock_now_ns());
    buffer_printf(&line, ",\"action\":\"%s\",\"target\":\"%s\",\"words\":",
                  fault_action_name(fault->action), fault_target_name(fault->target));
    json_append_string(&line, buffer_slice(&words));
    buffer_printf(&line, ",\"acks\":%lld,\"in_flight\":%lld", (long long)acks,
                  (long long)in_flight);
    record_line(r, &line);
    buffer_release(&words);
}

void record_fault_hit(struct record *r, size_t number, int64_t time_ns, int64_t bit,
                      const char *unit, const char *more)
{
    struct buffer line = BUFFER_INIT;

    fault_line(&line, number, "hit", time_ns);
    buffer_printf(&line, ",\"bit\":%lld,\"unit\":", (long long)bit);
    json_append_string(&line, slice_of(unit));
    if (more[0] != '\0') {
        buffer_append_string(&line, ",\"more\":");
        json_append_string(&line, slice_of(more));
    }
    record_line(r, &line);
}

void record_fault(struct record *r, size_t number, const char *type)
{
    struct buffer line = BUFFER_INIT;

    fault_line(&line, number, type, clock_now_ns());
    record_line(r, &line);
}

bool record_publish(struct record *r, struct control *c)
{
    char fresh[PATH_MAX];
    const char *folder = strrchr(r->dir, '/') + 1;

    /* A link cannot be changed, only replaced: nobody sees it missing. */
    snprintf(fresh, sizeof fresh, "%.4000s.%d", r->latest, (int)getpid());
    if (symlink(folder, fresh) != 0 || rename(fresh, r->latest) != 0) {
        int error = errno;
        unlink(fresh);
        return control_fail(c, NULL, "cannot make the link %s: %s", r->latest, strerror(error));
    }
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    remove(path); /* what cannot be removed makes its folder's removal fail, too */
    return 0;
}

void remove_tree(const char *path)
{
    nftw(path, remove_one, TREE_DEPTH_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
