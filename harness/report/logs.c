/*
 * logs.c - all files whole, cut into lines, sorted by time.
 */
#include "harness/report/logs.h"

#include "common/utf8.h"
#include "harness/memory.h"

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FILE_BYTES_MAX (64 * 1024 * 1024) /* a larger log is left out */
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* The time that a line begins with, and what stands behind it. false: it has none. */
static bool time_parse(char *line, int64_t *unix_ns, char **rest)
{
    struct tm tm = {0};
    int ms;
    int size = 0;

    if (sscanf(line, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%*1[.,]%3d%n", &tm.tm_year, &tm.tm_mon,
               &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &size) != 7 ||
        size == 0) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *unix_ns = (int64_t)timegm(&tm) * NS_PER_S + ms * NS_PER_MS;
    line += size;
    line += strncmp(line, "Z ", 2) == 0 ? 2 : strncmp(line, " UTC ", 5) == 0 ? 5 : 0;
    *rest = line;
    return true;
}

/* A byte that is no text becomes a question mark. */
static void text_mend(char *line)
{
    if (!utf8_valid(slice_of(line))) {
        for (char *c = line; *c != '\0'; c++) {
            *c = (unsigned char)*c < 0x80 ? *c : '?';
        }
    }
}

static void line_push(struct logs *l, int64_t time_ns, const char *file, const char *text)
{
    struct log_line line = {time_ns, l->count, file, slice_of(text)};

    MEMORY_PUSH(l, line);
}

static void file_take(struct logs *l, const char *path, const char *name, int64_t wall_ns)
{
    struct buffer text = BUFFER_INIT;
    int64_t time_ns = TIME_NONE;

    if (buffer_read_file(&text, path, FILE_BYTES_MAX) != 0) {
        buffer_release(&text);
        return;
    }
    char *contents = memory_string(buffer_slice(&text));
    char *file = memory_string(slice_of(name));
    buffer_release(&text);
    MEMORY_PUSH(&l->memory, contents);
    MEMORY_PUSH(&l->memory, file);
    char *rest = NULL;
    for (char *line = strtok_r(contents, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        int64_t unix_ns;
        if (time_parse(line, &unix_ns, &line)) {
            time_ns = unix_ns - wall_ns;
        }
        if (time_ns != TIME_NONE) {
            text_mend(line);
            line_push(l, time_ns, file, line);
        }
    }
}

static int line_compare(const void *a, const void *b)
{
    const struct log_line *x = a;
    const struct log_line *y = b;

    if (x->time_ns != y->time_ns) {
        return x->time_ns < y->time_ns ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static int is_service(const struct dirent *entry)
{
    return fnmatch("broker-*.log", entry->d_name, 0) == 0 ||
           fnmatch("postgres-*.log", entry->d_name, 0) == 0 ||
           strcmp("system.log", entry->d_name) == 0;
}

void logs_load(struct logs *l, const char *run_dir, const struct history_run *run)
{
    char path[2 * PATH_MAX];
    struct dirent **entries;

    *l = (struct logs){0};
    if (run->wall_ns == TIME_NONE) {
        return;
    }
    snprintf(path, sizeof path, "%s/logs", run_dir);
    int count = scandir(path, &entries, is_service, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/logs/%s", run_dir, entries[i]->d_name);
        file_take(l, path, entries[i]->d_name, run->wall_ns);
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

void logs_add(struct logs *l, int64_t time_ns, const char *who, struct slice text)
{
    char *name = memory_string(slice_of(who));
    char *line = memory_string(text);

    MEMORY_PUSH(&l->memory, name);
    MEMORY_PUSH(&l->memory, line);
    line_push(l, time_ns, name, line);
}

void logs_sort(struct logs *l)
{
    if (l->count > 0) {
        qsort(l->items, l->count, sizeof *l->items, line_compare);
    }
}

void logs_release(struct logs *l)
{
    for (size_t i = 0; i < l->memory.count; i++) {
        free(l->memory.items[i]);
    }
    free(l->memory.items);
    free(l->items);
}

static int64_t distance_ns(const struct logs *l, size_t i, int64_t moment_ns)
{
    return llabs(l->items[i].time_ns - moment_ns);
}

size_t logs_around(const struct logs *l, int64_t moment_ns, int64_t within_ns, size_t lines_max,
                   size_t *count)
{
    size_t first = 0;
    size_t end = l->count;

    while (first < end && l->items[first].time_ns < moment_ns - within_ns) {
        first++;
    }
    while (end > first && l->items[end - 1].time_ns > moment_ns + within_ns) {
        end--;
    }
    /* The outermost that is further away goes. */
    while (end - first > lines_max) {
        if (distance_ns(l, first, moment_ns) > distance_ns(l, end - 1, moment_ns)) {
            first++;
        } else {
            end--;
        }
    }
    *count = end - first;
    return first;
}
