/*
 * history.c - the folder's files, one after the other, into one struct history.
 */
#include "harness/history.h"

#include "common/utf8.h"
#include "harness/history_events.h"
#include "harness/jsonl.h"
#include "harness/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_JSON_BYTES_MAX (1024 * 1024)
#define OUTPUT_SEPARATOR "     " /* between topic and message */

/* ---- run.json ------------------------------------------------------------------- */

static char *member_copy(const struct json_value *object, const char *key)
{
    struct slice s;
    return jsonl_string(object, key, &s) ? memory_string(s) : NULL;
}

static void run_take(struct history_run *run, const struct json_value *object)
{
    run->scenario = member_copy(object, "scenario");
    run->runtime = member_copy(object, "runtime");
    run->runtime_reason = member_copy(object, "runtime_reason");
    run->store = member_copy(object, "store");
    run->started = member_copy(object, "started");
    run->version = member_copy(object, "version");
    run->command = member_copy(object, "command");
    run->ended_early = member_copy(object, "ended_early");
    int64_t wall_ms;
    int64_t monotonic_ns;
    bool both = jsonl_int(object, "started_unix_ms", &wall_ms) &&
                jsonl_time(object, "started_monotonic_ns", &monotonic_ns);
    run->wall_ns = both ? wall_ms * 1000000 - monotonic_ns : TIME_NONE;
}

static bool run_read(const char *path, struct history_run *run, char *error, size_t error_size)
{
    struct buffer text = BUFFER_INIT;
    struct json_document document;

    json_init(&document);
    int failure = buffer_read_file(&text, path, RUN_JSON_BYTES_MAX);
    bool ok = failure == 0 && json_parse(&document, buffer_slice(&text)) == JSON_OK &&
              json_is_object(json_root(&document));
    if (ok) {
        run_take(run, json_root(&document));
    } else if (failure != 0) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(failure));
    } else {
        snprintf(error, error_size, "%s: not a JSON object", path);
    }
    json_release(&document);
    buffer_release(&text);
    return ok;
}

/* ---- consumer_N.txt ------------------------------------------------------------- */

/* A line that is not UTF-8 was sent by nobody; its bad bytes are written out, so that it can
 * be shown. */
static uint32_t line_text(struct texts *texts, struct slice line)
{
    struct buffer shown = BUFFER_INIT;

    if (utf8_valid(line)) {
        return texts_add(texts, line);
    }
    for (size_t i = 0; i < line.size; i++) {
        unsigned char c = (unsigned char)line.data[i];
        if (c < 0x80) {
            buffer_append_char(&shown, (char)c);
        } else {
            buffer_printf(&shown, "\\x%02X", c);
        }
    }
    uint32_t text = texts_add(texts, buffer_slice(&shown));
    buffer_release(&shown);
    return text;
}

static struct history_output_line output_parse(struct texts *texts, struct slice line)
{
    const size_t gap = strlen(OUTPUT_SEPARATOR);
    const char *at = line.size == 0 ? NULL : memmem(line.data, line.size, OUTPUT_SEPARATOR, gap);

    if (at == NULL || at == line.data) {
        return (struct history_output_line){TEXT_NONE, line_text(texts, line)};
    }
    struct slice topic = {line.data, (size_t)(at - line.data)};
    struct slice message = {at + gap, line.size - topic.size - gap};
    return (struct history_output_line){line_text(texts, topic), line_text(texts, message)};
}

static bool output_read(const char *path, struct texts *texts, struct history_consumer *c,
                        char *error, size_t error_size)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT) {
        return true;
    }
    if (file == NULL) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(errno));
        return false;
    }
    while ((size = getline(&line, &capacity, file)) >= 0) {
        size -= size > 0 && line[size - 1] == '\n';
        MEMORY_PUSH(&c->output, output_parse(texts, (struct slice){line, (size_t)size}));
    }
    bool ok = feof(file) != 0;
    if (!ok) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(errno));
    }
    free(line);
    fclose(file);
    return ok;
}

/* ---- the folder ----------------------------------------------------------------- */

static bool clients_read(const char *dir, const struct scenario *s, struct history *h, char *error,
                         size_t error_size)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < s->producer_count; i++) {
        h->producers[i].id = s->producers[i].id;
        snprintf(path, sizeof path, "%s/history/P%" PRId64 ".jsonl", dir, s->producers[i].id);
        if (!history_read_producer(path, &h->texts, &h->producers[i], error, error_size)) {
            return false;
        }
    }
    for (size_t i = 0; i < s->consumer_count; i++) {
        struct history_consumer *c = &h->consumers[i];
        c->id = s->consumers[i].id;
        snprintf(path, sizeof path, "%s/history/C%" PRId64 ".jsonl", dir, c->id);
        if (!history_read_consumer(path, &h->texts, c, error, error_size)) {
            return false;
        }
        snprintf(path, sizeof path, "%s/consumer_%" PRId64 ".txt", dir, c->id);
        if (!output_read(path, &h->texts, c, error, error_size)) {
            return false;
        }
    }
    return true;
}

static bool folder_read(const char *dir, const struct scenario *s, struct history *h, char *error,
                        size_t error_size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/run.json", dir);
    if (!run_read(path, &h->run, error, error_size) ||
        !clients_read(dir, s, h, error, error_size)) {
        return false;
    }
    snprintf(path, sizeof path, "%s/history/harness.jsonl", dir);
    if (!history_read_harness(path, h, error, error_size)) {
        return false;
    }
    snprintf(path, sizeof path, "%s/rows.jsonl", dir);
    return history_read_rows(path, h, error, error_size);
}

bool history_load(const char *run_dir, const struct scenario *s, struct history **out, char *error,
                  size_t error_size)
{
    struct history *h = memory_zeroed(1, sizeof *h);

    *out = NULL;
    h->producers = memory_zeroed(s->producer_count, sizeof *h->producers);
    h->producer_count = s->producer_count;
    h->consumers = memory_zeroed(s->consumer_count, sizeof *h->consumers);
    h->consumer_count = s->consumer_count;
    if (!folder_read(run_dir, s, h, error, error_size)) {
        history_destroy(h);
        return false;
    }
    *out = h;
    return true;
}

void history_destroy(struct history *h)
{
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->producer_count; i++) {
        free(h->producers[i].sends.items);
        free(h->producers[i].requests.items);
        free(h->producers[i].registrations.items);
    }
    for (size_t i = 0; i < h->consumer_count; i++) {
        free(h->consumers[i].receives.items);
        free(h->consumers[i].requests.items);
        free(h->consumers[i].output.items);
    }
    char *strings[] = {h->run.scenario, h->run.runtime, h->run.runtime_reason, h->run.store,
                       h->run.started,  h->run.version, h->run.command,        h->run.ended_early};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        free(strings[i]);
    }
    free(h->producers);
    free(h->consumers);
    free(h->faults.items);
    free(h->rows.items);
    texts_release(&h->texts);
    free(h);
}
