/*
 * goodrun.h - a run folder in memory in which everything went well, to be broken.
 *
 * Three producers, two topics, two consumers; T1: P1 P2 P3 : C1 C2, T2: P1 : C1. The
 * producers take turns, a line each. The broker is killed once, while a request of P2 is
 * on its way; that one is sent again.
 *
 * Files are lists of lines, so a test breaks a run as a text editor would.
 */
#ifndef HARNESS_TESTS_GOODRUN_H
#define HARNESS_TESTS_GOODRUN_H

#include "harness/check/check.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUND_COUNT 12 /* lines of each producer */
#define FAULT_ROUND 5
#define FILES_MAX 16
#define LINES_MAX 400
#define PRODUCERS 3

struct file {
    char name[48];
    char *lines[LINES_MAX];
    size_t count;
};

struct folder {
    struct file files[FILES_MAX];
    size_t count;
    bool plain; /* messages are INFO, DEBUG and ERROR; else each is unlike all others */
    int64_t now_ns;
    int64_t next_offset[2]; /* T1, T2 */
    int64_t next_sequence[PRODUCERS][2];
    int64_t next_request;
    size_t received[2]; /* C1, C2: lines so far */
};

/* ---- editing ----------------------------------------------------------------------- */

static inline struct file *file_of(struct folder *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->files[i].name, name) == 0) {
            return &f->files[i];
        }
    }
    struct file *file = &f->files[f->count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    return file;
}

static inline void line_insert(struct file *file, size_t at, const char *line)
{
    memmove(&file->lines[at + 1], &file->lines[at], (file->count - at) * sizeof *file->lines);
    file->lines[at] = strdup(line);
    file->count++;
}

static inline void line_remove(struct file *file, size_t at)
{
    free(file->lines[at]);
    file->count--;
    memmove(&file->lines[at], &file->lines[at + 1], (file->count - at) * sizeof *file->lines);
}

static inline void line_set(struct file *file, size_t at, const char *line)
{
    char *copy = strdup(line);
    free(file->lines[at]);
    file->lines[at] = copy;
}

static inline void line_swap(struct file *file, size_t a, size_t b)
{
    char *line = file->lines[a];
    file->lines[a] = file->lines[b];
    file->lines[b] = line;
}

/* Replace the first `old` in a line. */
static inline void line_edit(struct file *file, size_t at, const char *old, const char *new)
{
    char edited[1024];
    char *found = strstr(file->lines[at], old);
    if (found == NULL) {
        fprintf(stderr, "'%s' is not in '%s'\n", old, file->lines[at]);
        abort();
    }
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(found - file->lines[at]), file->lines[at],
             new, found + strlen(old));
    line_set(file, at, edited);
}

/* The n-th line, from 0, that holds both strings. */
static inline size_t line_with(const struct file *file, const char *one, const char *two, size_t n)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strstr(file->lines[i], one) != NULL && strstr(file->lines[i], two) != NULL &&
            n-- == 0) {
            return i;
        }
    }
    fprintf(stderr, "%s: no such line: %s … %s\n", file->name, one, two);
    abort();
}

static inline void add(struct folder *f, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline void add(struct folder *f, const char *name, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    struct file *file = file_of(f, name);
    line_insert(file, file->count, line);
}

/* ---- a run that goes well ------------------------------------------------------------ */

static inline int64_t tick(struct folder *f)
{
    f->now_ns += 1000000;
    return f->now_ns;
}

static inline void message_make(const struct folder *f, int p, int64_t line, char *out, size_t size)
{
    static const char *const levels[] = {"INFO", "DEBUG", "ERROR"};
    if (f->plain) {
        snprintf(out, size, "%s", levels[(line * 7 + p * 5 + line / 3) % 3]);
    } else {
        snprintf(out, size, "message %d-%" PRId64, p + 1, line);
    }
}

static inline void received(struct folder *f, int c, int topic, int64_t offset, const char *message)
{
    char name[48];
    snprintf(name, sizeof name, "consumer_%d.txt", c + 1);
    add(f, name, "T%d     %s", topic + 1, message);
    snprintf(name, sizeof name, "history/C%d.jsonl", c + 1);
    add(f, name,
        "{\"t\":%" PRId64 ",\"process\":\"C%d\",\"op\":\"receive\",\"type\":\"ok\",\"line\":%zu,"
        "\"topic\":\"T%d\",\"offset\":%" PRId64 ",\"message\":\"%s\"}",
        tick(f), c + 1, ++f->received[c], topic + 1, offset, message);
}

static inline int64_t request_begin(struct folder *f, int p, int topic)
{
    char name[48];
    snprintf(name, sizeof name, "history/P%d.jsonl", p + 1);
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"P%d\",\"op\":\"request\",\"type\":\"invoke\",\"id\":%" PRId64
        ",\"path\":\"/producer/produce\",\"topic\":\"T%d\",\"sequence\":%" PRId64 ",\"count\":1}",
        tick(f), p + 1, f->next_request, topic + 1, f->next_sequence[p][topic]);
    return f->next_request++;
}

static inline void request_end(struct folder *f, int p, int64_t id, const char *type, int http)
{
    char name[48];
    snprintf(name, sizeof name, "history/P%d.jsonl", p + 1);
    add(f, name,
        "{\"t\":%" PRId64 ",\"process\":\"P%d\",\"op\":\"request\",\"type\":\"%s\",\"id\":%" PRId64
        ",\"http\":%d}",
        tick(f), p + 1, type, id, http);
}

static inline void fault_event(struct folder *f, const char *type, int acks)
{
    add(f, "history/harness.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"harness\",\"op\":\"fault\",\"type\":\"%s\",\"fault\":1,"
        "\"action\":\"kill\",\"target\":\"broker\",\"acks\":%d}",
        tick(f), type, acks);
}

static inline void fault_happens(struct folder *f, int p, int topic)
{
    int64_t id = request_begin(f, p, topic);
    fault_event(f, "begin", 10);
    fault_event(f, "hit", 10);
    request_end(f, p, id, "info", 0);
    fault_event(f, "restart", 10);
    fault_event(f, "end", 10);
}

static inline void line_is_sent(struct folder *f, int p, int topic, int64_t line, bool fault)
{
    char name[48];
    char message[64];

    message_make(f, p, line, message, sizeof message);
    snprintf(name, sizeof name, "scenario/producer_%d.txt", p + 1);
    add(f, name, "21:52:23\t%s\t\tP%d-%" PRId64 "\t\tT%d", message, p + 1, line, topic + 1);
    snprintf(name, sizeof name, "history/P%d.jsonl", p + 1);
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"P%d\",\"op\":\"send\",\"type\":\"invoke\",\"line\":%" PRId64
        ",\"topic\":\"T%d\",\"message\":\"%s\"}",
        tick(f), p + 1, line, topic + 1, message);
    if (fault) {
        fault_happens(f, p, topic);
    }
    request_end(f, p, request_begin(f, p, topic), "ok", 200);
    int64_t offset = f->next_offset[topic]++;
    add(f, name,
        "{\"t\":%" PRId64 ",\"process\":\"P%d\",\"op\":\"send\",\"type\":\"ok\",\"line\":%" PRId64
        ",\"topic\":\"T%d\",\"offset\":%" PRId64 "}",
        tick(f), p + 1, line, topic + 1, offset);
    add(f, "rows.jsonl",
        "{\"topic\":\"T%d\",\"partition\":0,\"offset\":%" PRId64
        ",\"producer_id\":%d,\"sequence\":%" PRId64 ",\"message\":\"%s\"}",
        topic + 1, offset, 10 * (p + 1) + topic, f->next_sequence[p][topic]++, message);
    received(f, 0, topic, offset, message);
    if (topic == 0) {
        received(f, 1, topic, offset, message);
    }
}

static inline void drained(struct folder *f, int c, int topic)
{
    char name[48];
    snprintf(name, sizeof name, "history/C%d.jsonl", c + 1);
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"C%d\",\"op\":\"request\",\"type\":\"invoke\",\"id\":%" PRId64
        ",\"path\":\"/consumer/consume\",\"topic\":\"T%d\",\"offset\":%" PRId64 "}",
        tick(f), c + 1, f->next_request, topic + 1, f->next_offset[topic]);
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"C%d\",\"op\":\"request\",\"type\":\"fail\",\"id\":%" PRId64
        ",\"http\":400,\"code\":\"no_message\"}",
        tick(f), c + 1, f->next_request++);
}

static inline void registered(struct folder *f, int p, int topic)
{
    char name[48];
    snprintf(name, sizeof name, "history/P%d.jsonl", p + 1);
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"P%d\",\"op\":\"register\",\"type\":\"ok\",\"topic\":\"T%d\","
        "\"producer_id\":%d}",
        tick(f), p + 1, topic + 1, 10 * (p + 1) + topic);
}

static inline struct folder *folder_empty(void)
{
    return calloc(1, sizeof(struct folder));
}

static inline struct folder *folder_good(bool plain)
{
    struct folder *f = folder_empty();

    f->plain = plain;
    add(f, "run.json",
        "{\"scenario\":\"good\",\"runtime\":\"process\",\"store\":\"postgres\","
        "\"started\":\"2026-11-21T07:00:00Z\",\"command\":\"make scenario-good\"}");
    add(f, "scenario/scenario.conf", "title = a good run");
    add(f, "scenario/scenario.conf", "T1: P1 P2 P3 : C1 C2");
    add(f, "scenario/scenario.conf", "T2: P1 : C1");
    add(f, "scenario/scenario.conf", "fault = after 10 acks: kill broker, restart after 300 ms");
    for (int p = 0; p < PRODUCERS; p++) {
        registered(f, p, 0);
    }
    registered(f, 0, 1);
    for (int64_t line = 1; line <= ROUND_COUNT; line++) {
        for (int p = 0; p < PRODUCERS; p++) {
            line_is_sent(f, p, p == 0 && line % 2 == 0, line, p == 1 && line == FAULT_ROUND);
        }
    }
    drained(f, 0, 0);
    drained(f, 0, 1);
    drained(f, 1, 0);
    return f;
}

static inline void folder_destroy(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        while (f->files[i].count > 0) {
            line_remove(&f->files[i], f->files[i].count - 1);
        }
    }
    free(f);
}

/* ---- on disk ------------------------------------------------------------------------- */

static inline void folder_write(const struct folder *f, const char *dir)
{
    char path[512];

    snprintf(path, sizeof path, "%s/scenario", dir);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/history", dir);
    mkdir(path, 0777);
    for (size_t i = 0; i < f->count; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, f->files[i].name);
        FILE *file = fopen(path, "w");
        for (size_t k = 0; k < f->files[i].count; k++) {
            fprintf(file, "%s\n", f->files[i].lines[k]);
        }
        fclose(file);
    }
}

static inline int entry_remove(const char *path, const struct stat *info, int type,
                               struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void dir_make(char *dir, size_t size)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, size, "%s/myqueue-test-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        abort();
    }
}

static inline void dir_remove(const char *dir)
{
    nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
