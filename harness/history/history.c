/*
 * history.c - the folder's files, one after the other, into one struct history.
 */
#include "harness/history/history.h"

#include "common/utf8.h"
#include "harness/history/history_events.h"
#include "harness/history/jsonl.h"
#include "harness/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_JSON_BYTES_MAX (1024 * 1024)
#define READ_BYTES (1024 * 1024)
#define OUTPUT_SEPARATOR "     " /* between topic and message */

/* ---- run.json ------------------------------------------------------------------- */

static char *member_copy(const struct json_value *object, const char *key)
{
    struct slice s;
    return jsonl_string(object, key, &s) ? memory_string(s) : NULL;
}

/* "claims":{"persistent":true,"persists":["messages","ids"],"start":"earliest"} */
static struct history_claims claims_of(const struct json_value *claims)
{
    struct history_claims all = {true, true, true, true, false};
    struct history_claims some = {false, false, false, false, false};
    const struct json_value *persists = json_get(claims, "persists");
    struct slice name;
    bool persistent;

    if (!json_is_object(claims)) {
        return all;
    }
    some.latest = jsonl_is(claims, "start", "latest");
    if (json_bool(json_get(claims, "persistent"), &persistent) && !persistent) {
        return some;
    }
    if (!json_is_array(persists)) {
        all.latest = some.latest;
        return all;
    }
    for (const struct json_value *v = json_first(persists); v != NULL; v = json_next(v)) {
        if (json_string(v, &name)) {
            some.messages |= slice_equals(name, slice_of("messages"));
            some.positions |= slice_equals(name, slice_of("positions"));
            some.ids |= slice_equals(name, slice_of("ids"));
            some.topics |= slice_equals(name, slice_of("topics"));
        }
    }
    return some;
}

static void run_take(struct history_run *run, const struct json_value *object)
{
    struct slice calls;
    run->seed = NUMBER_NONE;
    jsonl_int(object, "seed", &run->seed);
    run->plain = jsonl_string(object, "calls", &calls) && slice_equals(calls, slice_of("plain"));
    run->claims = claims_of(json_get(object, "claims"));
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

/* Does the line say what was received? */
static bool line_is(const struct texts *texts, struct slice line, const struct history_receive *r)
{
    const size_t gap = strlen(OUTPUT_SEPARATOR);
    struct slice topic = texts_get(texts, r->topic);
    struct slice message = texts_get(texts, r->message);

    return line.size == topic.size + gap + message.size &&
           memcmp(line.data, topic.data, topic.size) == 0 &&
           memcmp(line.data + topic.size, OUTPUT_SEPARATOR, gap) == 0 &&
           memcmp(line.data + topic.size + gap, message.data, message.size) == 0;
}

/* Returns whether it is what the receive of that place says. A receive that only the file knows
 * of gets its message from it. */
static bool line_compare(struct history *h, struct history_consumer *c, size_t at,
                         struct slice line)
{
    struct history_receive *r = &c->receives.items[at];

    if (at >= c->receives.count || r->line != at + 1) {
        return false;
    }
    if (r->message == TEXT_NONE) {
        struct history_output_line parsed = output_parse(&h->texts, line);
        r->message = parsed.topic == r->topic ? parsed.message : TEXT_NONE;
        return r->message != TEXT_NONE;
    }
    return line_is(&h->texts, line, r);
}

/* The lines in order: compared with the receives as long as they are the same, then kept. */
static bool lines_read(FILE *file, struct history *h, struct history_consumer *c)
{
    char *text = NULL;
    size_t capacity = 0;
    size_t count = 0;
    ssize_t size;

    setvbuf(file, NULL, _IOFBF, READ_BYTES);
    while ((size = getline(&text, &capacity, file)) >= 0) {
        size -= size > 0 && text[size - 1] == '\n';
        struct slice line = {text, (size_t)size};
        bool same = c->output.count == 0 && line_compare(h, c, count, line);
        for (size_t i = c->output.count; i < count && !same; i++) {
            const struct history_receive *r = &c->receives.items[i];
            MEMORY_PUSH(&c->output, (struct history_output_line){r->topic, r->message});
        }
        if (!same) {
            MEMORY_PUSH(&c->output, output_parse(&h->texts, line));
        }
        count++;
    }
    c->output_same = c->output.count == 0 && count == c->receives.count;
    for (size_t i = c->output.count; i < count && !c->output_same; i++) {
        const struct history_receive *r = &c->receives.items[i];
        MEMORY_PUSH(&c->output, (struct history_output_line){r->topic, r->message});
    }
    free(text);
    return feof(file) != 0;
}

/* A line that the file was said to hold and that is not there was not received. */
static void receives_prune(struct history_consumer *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->receives.count; i++) {
        if (c->receives.items[i].message != TEXT_NONE) {
            c->receives.items[kept++] = c->receives.items[i];
        }
    }
    c->receives.count = kept;
}

static bool output_read(const char *path, struct history *h, struct history_consumer *c,
                        char *error, size_t error_size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL && errno != ENOENT) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(errno));
        return false;
    }
    c->output_same = c->receives.count == 0;
    bool ok = file == NULL || lines_read(file, h, c);
    if (!ok) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (file != NULL) {
        fclose(file);
    }
    receives_prune(c);
    return ok;
}

/* ---- the folder ----------------------------------------------------------------- */

/* The topics' names and the log files' messages come first, in the scenario's order. */
static void scenario_take(const struct scenario *s, struct history *h)
{
    h->topic_count = s->topic_count;
    for (size_t t = 0; t < s->topic_count; t++) {
        texts_add(&h->texts, slice_of(s->topics[t].name));
    }
    for (size_t p = 0; p < s->producer_count; p++) {
        const struct scenario_client *producer = &s->producers[p];
        uint32_t last = TEXT_NONE;
        h->producers[p].lines = memory_zeroed(producer->line_count, sizeof(uint32_t));
        for (size_t i = 0; i < producer->line_count; i++) {
            h->producers[p].lines[i] =
                texts_lend_after(&h->texts, &last, producer->lines[i].message);
        }
    }
}

static bool clients_read(const char *dir, const struct scenario *s, struct history *h, char *error,
                         size_t error_size)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < s->producer_count; i++) {
        h->producers[i].id = s->producers[i].id;
        snprintf(path, sizeof path, "%s/history/P%" PRId64 ".jsonl", dir, s->producers[i].id);
        if (!history_read_producer(path, h, &h->producers[i], error, error_size)) {
            return false;
        }
    }
    for (size_t i = 0; i < s->consumer_count; i++) {
        struct history_consumer *c = &h->consumers[i];
        c->id = s->consumers[i].id;
        snprintf(path, sizeof path, "%s/history/C%" PRId64 ".jsonl", dir, c->id);
        if (!history_read_consumer(path, h, c, error, error_size)) {
            return false;
        }
        snprintf(path, sizeof path, "%s/consumer_%" PRId64 ".txt", dir, c->id);
        if (!output_read(path, h, c, error, error_size)) {
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
    if (!run_read(path, &h->run, error, error_size)) {
        return false;
    }
    scenario_take(s, h);
    if (!clients_read(dir, s, h, error, error_size)) {
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
        free(h->producers[i].lives.items);
        free(h->producers[i].lines);
    }
    for (size_t i = 0; i < h->consumer_count; i++) {
        free(h->consumers[i].receives.items);
        free(h->consumers[i].requests.items);
        free(h->consumers[i].registrations.items);
        free(h->consumers[i].sizes.items);
        free(h->consumers[i].seeks.items);
        free(h->consumers[i].lives.items);
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
    free(h->removed.items);
    texts_release(&h->texts);
    free(h);
}
