/*
 * index.c - look for folders, read their result.json, write one table.
 */
#include "harness/report/index.h"

#include "common/json.h"
#include "harness/file.h"
#include "harness/report/html.h"
#include "harness/memory.h"
#include "harness/report/report_style.h"
#include "harness/report/wording.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESULT_BYTES_MAX (16 * 1024 * 1024)

/* What a row shows; strings are owned, "" where result.json has none. */
struct listed {
    char *path; /* from the reports' folder: "5p3c/20261121T080214-1135" */
    char *time; /* the last part of it, which sorts */
    char *verdict;
    char *reason;
    char *scenario;
    char *setting; /* "process · postgres" */
    char *started;
    int64_t acknowledged;
    double rate; /* messages a second */
    int64_t faults;
};

struct listing {
    const char *reports;
    struct listed *items;
    size_t count;
    size_t capacity;
    struct buffer others; /* list items: pages that are no run's */
};

/* ---- what there is ----------------------------------------------------------------------- */

static char *string_at(const struct json_value *json, const char *key)
{
    struct slice text = {"", 0};

    json_string(json_get(json, key), &text);
    return memory_string(text);
}

static char *setting_of(const struct json_value *json)
{
    struct slice runtime = {"", 0};
    struct slice store = {"", 0};
    struct buffer b = BUFFER_INIT;

    json_string(json_get(json, "runtime"), &runtime);
    json_string(json_get(json, "store"), &store);
    buffer_append_slice(&b, runtime);
    buffer_append_string(&b, " · ");
    buffer_append_slice(&b, store);
    char *setting = memory_string(buffer_slice(&b));
    buffer_release(&b);
    return setting;
}

static void run_take(struct listing *l, const char *path, const struct json_value *json)
{
    struct listed run = {.path = memory_string(slice_of(path)),
                         .time = memory_string(slice_of(strrchr(path, '/') + 1)),
                         .verdict = string_at(json, "verdict"),
                         .reason = string_at(json, "reason"),
                         .scenario = string_at(json, "scenario"),
                         .setting = setting_of(json),
                         .started = string_at(json, "started"),
                         .faults = (int64_t)json_count(json_get(json, "faults"))};
    json_int(json_get(json, "acknowledged"), &run.acknowledged);
    json_double(json_get(json, "messages_per_second"), &run.rate);
    MEMORY_PUSH(l, run);
}

static bool has_file(const struct listing *l, const char *path, const char *name)
{
    char file[2 * PATH_MAX];

    snprintf(file, sizeof file, "%s/%s/%s", l->reports, path, name);
    return access(file, F_OK) == 0;
}

/* A folder that is no run, or not a finished one, is passed over. */
static void run_look(struct listing *l, const char *path)
{
    char file[2 * PATH_MAX];
    struct buffer text = BUFFER_INIT;
    struct json_document json;

    json_init(&json);
    snprintf(file, sizeof file, "%s/%s/result.json", l->reports, path);
    if (has_file(l, path, "run.json") && buffer_read_file(&text, file, RESULT_BYTES_MAX) == 0 &&
        json_parse(&json, buffer_slice(&text)) == JSON_OK) {
        run_take(l, path, json_root(&json));
    }
    json_release(&json);
    buffer_release(&text);
}

/* false: there is no such page. */
static bool other_add(struct listing *l, const char *path, const char *page)
{
    if (!has_file(l, path, page)) {
        return false;
    }
    buffer_append_string(&l->others, "<li><a href=\"");
    html_text(&l->others, path);
    buffer_append_char(&l->others, '/');
    buffer_append_string(&l->others, page);
    buffer_append_string(&l->others, "\">");
    html_slice(&l->others, (struct slice){path, strcspn(path, "/")});
    buffer_append_string(&l->others, "</a></li>\n");
    return true;
}

static bool is_folder(const char *reports, const char *path)
{
    char full[2 * PATH_MAX];
    struct stat st;

    snprintf(full, sizeof full, "%s/%s", reports, path);
    return lstat(full, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Call `take` with the path of each folder within `path`, by name; links are left out. */
static void folders_each(struct listing *l, const char *path,
                         void (*take)(struct listing *l, const char *path))
{
    char full[2 * PATH_MAX];
    struct dirent **entries;

    snprintf(full, sizeof full, "%s/%s", l->reports, path);
    int count = scandir(full, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[PATH_MAX];
        snprintf(inner, sizeof inner, "%.2000s%s%s", path, path[0] != '\0' ? "/" : "",
                 entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && is_folder(l->reports, inner)) {
            take(l, inner);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

static void name_look(struct listing *l, const char *path)
{
    char latest[PATH_MAX];

    folders_each(l, path, run_look);
    snprintf(latest, sizeof latest, "%.2000s/latest", path);
    if (!has_file(l, latest, "run.json") && !other_add(l, latest, "index.html")) {
        other_add(l, latest, "report.html");
    }
}

static int newer_first(const void *a, const void *b)
{
    const struct listed *x = a;
    const struct listed *y = b;
    int order = strcmp(y->time, x->time);
    return order != 0 ? order : strcmp(x->path, y->path);
}

/* ---- the page ------------------------------------------------------------------------------ */

/* 2026-11-21T07:00:00Z as a person writes it. */
static void started_put(struct buffer *b, const char *started)
{
    html_slice(b, (struct slice){started, strcspn(started, "T")});
    started += strcspn(started, "T");
    if (*started == 'T') {
        buffer_append_char(b, ' ');
        html_slice(b, (struct slice){started + 1, strcspn(started + 1, "Z")});
    }
}

static const char *class_of(const struct listed *run)
{
    return strcmp(run->verdict, "valid") == 0     ? "good"
           : strcmp(run->verdict, "invalid") == 0 ? "bad"
                                                  : "warn";
}

static void run_put(struct buffer *b, const struct listed *run)
{
    const char *class = class_of(run);

    buffer_printf(b, "<tr><td><span class=\"%s\">%s ", class,
                  class[0] == 'g'   ? "✓"
                  : class[0] == 'b' ? "✗"
                                    : "?");
    html_text(b, run->verdict);
    buffer_append_string(b, "</span></td><td><a href=\"");
    html_text(b, run->path);
    buffer_append_string(b, "/report.html\">");
    html_text(b, run->scenario[0] != '\0' ? run->scenario : run->path);
    buffer_append_string(b, "</a>");
    if (class[0] != 'g') {
        buffer_append_string(b, "<div class=\"note\">");
        html_text(b, run->reason);
        buffer_append_string(b, "</div>");
    }
    buffer_append_string(b, "</td><td>");
    html_text(b, run->setting);
    buffer_append_string(b, "</td><td>");
    started_put(b, run->started);
    buffer_append_string(b, "</td><td>");
    word_number(b, run->acknowledged);
    buffer_append_string(b, "</td><td>");
    word_number(b, (int64_t)(run->rate + 0.5));
    buffer_append_string(b, "</td><td>");
    word_number(b, run->faults);
    buffer_append_string(b, "</td></tr>\n");
}

static void counts_put(struct buffer *b, const struct listing *l)
{
    static const char *const verdicts[] = {"valid", "invalid", "unknown"};

    word_count(b, (int64_t)l->count, "run");
    for (size_t v = 0; v < sizeof verdicts / sizeof *verdicts; v++) {
        int64_t count = 0;
        for (size_t i = 0; i < l->count; i++) {
            count += strcmp(l->items[i].verdict, verdicts[v]) == 0;
        }
        buffer_append_string(b, v == 0 ? ": " : ", ");
        word_number(b, count);
        buffer_printf(b, " %s", verdicts[v]);
    }
}

static void page_write(struct buffer *b, const struct listing *l)
{
    buffer_append_string(b,
                         "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, "
                         "initial-scale=1\">\n<meta name=\"color-scheme\" "
                         "content=\"light dark\">\n"
                         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                         "'none'; style-src 'unsafe-inline'\">\n"
                         "<title>myqueue: reports</title>\n<style>");
    buffer_append_string(b, report_style);
    buffer_append_string(b, "</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"over\">myqueue"
                            "</p>\n<h1>Reports</h1>\n<p class=\"note\">");
    counts_put(b, l);
    buffer_append_string(b,
                         "</p>\n</header>\n<section id=\"runs\">\n<table class=\"runs\">\n<thead>"
                         "<tr><th>Verdict</th><th>Scenario</th><th>Runtime, store</th>"
                         "<th>Started, UTC</th><th>Messages</th><th>a second</th><th>Faults</th>"
                         "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < l->count && i < INDEX_RUNS_MAX; i++) {
        run_put(b, &l->items[i]);
    }
    buffer_append_string(b, "</tbody></table>\n");
    if (l->count > INDEX_RUNS_MAX) {
        buffer_append_string(b, "<p class=\"note\">and ");
        word_number(b, (int64_t)l->count - INDEX_RUNS_MAX);
        buffer_append_string(b, " older ones</p>\n");
    }
    buffer_append_string(b, "</section>\n");
    if (l->others.size > 0) {
        buffer_append_string(b, "<section id=\"others\">\n<h2>Other reports</h2>\n<ul "
                                "class=\"files\">\n");
        buffer_append_slice(b, buffer_slice(&l->others));
        buffer_append_string(b, "</ul>\n</section>\n");
    }
    buffer_append_string(b, "</main>\n</body>\n</html>\n");
}

static void listing_release(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        struct listed *run = &l->items[i];
        free(run->path);
        free(run->time);
        free(run->verdict);
        free(run->reason);
        free(run->scenario);
        free(run->setting);
        free(run->started);
    }
    free(l->items);
    buffer_release(&l->others);
}

/* 0, or an errno. */
static int page_make(const char *reports)
{
    struct listing l = {.reports = reports};
    struct buffer b = BUFFER_INIT;
    char path[PATH_MAX];

    folders_each(&l, "", name_look);
    if (l.count > 0) {
        qsort(l.items, l.count, sizeof *l.items, newer_first);
    }
    page_write(&b, &l);
    listing_release(&l);
    snprintf(path, sizeof path, "%s/index.html", reports);
    int error = file_replace(path, &b);
    buffer_release(&b);
    return error;
}

bool index_write(const char *reports, char *error, size_t error_size)
{
    /* Whoever looks later must write later, or a run would be missing. */
    int fd = open(reports, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || flock(fd, LOCK_EX) != 0 ? errno : page_make(reports);

    if (fd >= 0) {
        close(fd);
    }
    if (failed != 0) {
        snprintf(error, error_size, "%s/index.html cannot be written: %s", reports,
                 strerror(failed));
    }
    return failed == 0;
}

bool index_update(const char *run_dir, char *error, size_t error_size)
{
    char reports[PATH_MAX];
    char path[PATH_MAX + 16];

    snprintf(path, sizeof path, "%.4000s/../..", run_dir);
    if (realpath(path, reports) == NULL) {
        return true;
    }
    snprintf(path, sizeof path, "%s/index.html", reports);
    return access(path, F_OK) != 0 || index_write(reports, error, error_size);
}
