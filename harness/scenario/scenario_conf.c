/*
 * scenario_conf.c - a line at a time; the first wrong one ends it.
 *
 * A line is a setting when a bare word and '=' begin it, else a topic. A topic's name
 * may hold anything that a log file's topic can, colons included: the last two colons
 * of the line are the notation's.
 */
#include "harness/scenario/scenario_conf.h"

#include "common/utf8.h"
#include "harness/faults/fault_kind.h"
#include "harness/memory.h"
#include "harness/scenario/tokens.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF_BYTES_MAX (1024 * 1024)
#define CONF_ID_MAX 1000000000
#define CONF_RECOVERY_MS_MAX 3600000
#define CONF_RETENTION_BYTES_MAX (INT64_C(1) << 50)
#define SETTINGS "title, logs, store, postgres, recovery_ms, retention_bytes, seed, seek, fault"
#define CONF_OFFSET_MAX (INT64_C(1) << 53)
#define CONF_SEEKS_MAX 64 /* as many as a consumer takes */
#define CONF_SEED_MAX INT64_C(999999999999999999)

struct parser {
    const char *path;
    int64_t line;
    struct scenario_conf *conf;
    int64_t title_line; /* 0: not seen yet */
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct parser *p, const char *format,
                                                         ...)
{
    char reason[SCENARIO_ERROR_BYTES_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    snprintf(p->error, p->error_size, "%s:%" PRId64 ": %s", p->path, p->line, reason);
    return false;
}

/* ---- topics --------------------------------------------------------------------- */

static int id_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool ids_parse(const struct parser *p, struct slice list, char letter, const char *noun,
                      struct conf_ids *out)
{
    for (struct slice word = token_take(&list); word.size > 0; word = token_take(&list)) {
        int64_t id = 0;
        struct slice digits = {word.data + 1, word.size - 1};
        if (word.data[0] != letter || !token_number(digits, CONF_ID_MAX, &id) || id == 0) {
            return refuse(p, "'%.*s' is not a %s: write %c1, %c2, …", (int)word.size, word.data,
                          noun, letter, letter);
        }
        if (out->count == SCENARIO_CLIENTS_MAX) {
            return refuse(p, "more than %d %ss", SCENARIO_CLIENTS_MAX, noun);
        }
        MEMORY_PUSH(out, id);
    }
    if (out->count == 0) {
        return refuse(p, "no %s: write 'topic: P1 P2 : C1 C2'", noun);
    }
    qsort(out->items, out->count, sizeof *out->items, id_compare);
    for (size_t i = 1; i < out->count; i++) {
        if (out->items[i] == out->items[i - 1]) {
            return refuse(p, "%c%" PRId64 " is named twice", letter, out->items[i]);
        }
    }
    return true;
}

static const char *last_colon(struct slice s)
{
    return s.size == 0 ? NULL : memrchr(s.data, ':', s.size);
}

static bool topic_parse(struct parser *p, struct slice line)
{
    const char *second = last_colon(line);
    struct slice before = {line.data, second == NULL ? 0 : (size_t)(second - line.data)};
    const char *first = last_colon(before);
    if (first == NULL) {
        return refuse(p,
                      "'%.*s' is neither a setting (" SETTINGS
                      ") nor a topic: write 'topic: P1 P2 : C1 "
                      "C2'",
                      (int)line.size, line.data);
    }
    struct slice name = token_trimmed((struct slice){line.data, (size_t)(first - line.data)});
    struct slice producers = {first + 1, (size_t)(second - first) - 1};
    struct slice consumers = {second + 1, (size_t)(line.data + line.size - second) - 1};
    if (name.size == 0) {
        return refuse(p, "no topic before the colon: write 'topic: P1 P2 : C1 C2'");
    }
    for (size_t i = 0; i < p->conf->topics.count; i++) {
        const struct conf_topic *other = &p->conf->topics.items[i];
        if (slice_equals(slice_of(other->name), name)) {
            return refuse(p, "topic '%s' again; it is already in line %" PRId64, other->name,
                          other->line);
        }
    }
    if (p->conf->topics.count == SCENARIO_TOPICS_MAX) {
        return refuse(p, "more than %d topics", SCENARIO_TOPICS_MAX);
    }
    MEMORY_PUSH(&p->conf->topics,
                (struct conf_topic){.name = memory_string(name), .line = p->line});
    struct conf_topic *topic = &p->conf->topics.items[p->conf->topics.count - 1];
    return ids_parse(p, producers, 'P', "producer", &topic->producers) &&
           ids_parse(p, consumers, 'C', "consumer", &topic->consumers);
}

/* ---- settings ------------------------------------------------------------------- */

static bool text_set(const struct parser *p, const char *key, struct slice value, char **out,
                     int64_t *seen_line)
{
    if (*seen_line != 0) {
        return refuse(p, "'%s' again; it is already in line %" PRId64, key, *seen_line);
    }
    if (value.size == 0) {
        return refuse(p, "'%s' has no value", key);
    }
    *seen_line = p->line;
    *out = memory_string(value);
    return true;
}

static bool recovery_set(const struct parser *p, struct slice value)
{
    struct scenario_conf *conf = p->conf;
    char *text = NULL;

    if (!text_set(p, "recovery_ms", value, &text, &conf->recovery_line)) {
        return false;
    }
    free(text);
    return (token_number(value, CONF_RECOVERY_MS_MAX, &conf->recovery_ms) &&
            conf->recovery_ms > 0) ||
           refuse(p, "'%.*s' is no time: write milliseconds, 1 to %d", (int)value.size, value.data,
                  CONF_RECOVERY_MS_MAX);
}

static bool store_set(const struct parser *p, struct slice value)
{
    struct scenario_conf *conf = p->conf;
    char *name = NULL;

    if (!text_set(p, "store", value, &name, &conf->store_line)) {
        return false;
    }
    conf->store = scenario_store_of(name);
    free(name);
    return conf->store != STORE_UNSAID ||
           refuse(p, "'%.*s' is no store: postgres, sqlite and memory are", (int)value.size,
                  value.data);
}

/* NAME=VALUE: the server knows which names there are. */
static bool is_server_setting(struct slice word)
{
    const char *equals = memchr(word.data, '=', word.size);

    if (equals == NULL || equals == word.data || equals + 1 == word.data + word.size) {
        return false;
    }
    for (const char *c = word.data; c < equals; c++) {
        if ((*c < 'a' || *c > 'z') && *c != '_' && *c != '.') {
            return false;
        }
    }
    return true;
}

static struct slice server_setting_name(struct slice word)
{
    return (struct slice){word.data,
                          (size_t)((const char *)memchr(word.data, '=', word.size) - word.data)};
}

/* Where the server keeps its data and listens is the run's own. */
static bool is_the_runs_own(struct slice name)
{
    static const char *const own[] = {
        "config_file", "data_directory",         "hba_file", "ident_file", "listen_addresses",
        "port",        "unix_socket_directories"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (slice_equals(name, slice_of(own[i]))) {
            return true;
        }
    }
    return false;
}

/* Is the setting among those of `rest`, too? */
static bool is_set_again(struct slice name, struct slice rest)
{
    for (struct slice word = token_take(&rest); word.size > 0; word = token_take(&rest)) {
        if (is_server_setting(word) && slice_equals(server_setting_name(word), name)) {
            return true;
        }
    }
    return false;
}

static bool postgres_set(const struct parser *p, struct slice value)
{
    struct slice rest = value;

    for (struct slice word = token_take(&rest); word.size > 0; word = token_take(&rest)) {
        if (!is_server_setting(word)) {
            return refuse(p,
                          "'%.*s' is no setting of PostgreSQL: write 'postgres = fsync=off "
                          "synchronous_commit=off'",
                          (int)word.size, word.data);
        }
        struct slice name = server_setting_name(word);
        if (is_the_runs_own(name)) {
            return refuse(p, "'%.*s' is set by the run itself: leave it out", (int)name.size,
                          name.data);
        }
        if (is_set_again(name, rest)) {
            return refuse(p, "'%.*s' is set twice", (int)name.size, name.data);
        }
    }
    return text_set(p, "postgres", value, &p->conf->postgres, &p->conf->postgres_line);
}

/* The next word must be this one. */
static bool word_take(struct slice *rest, const char *word)
{
    return slice_equals(token_take(rest), slice_of(word));
}

/* `C1 after 200 messages of T1: to 0` */
static bool seek_parse(struct slice value, struct conf_seek *seek)
{
    struct slice rest = value;
    struct slice who = token_take(&rest);
    struct slice digits = {who.data + 1, who.size > 0 ? who.size - 1 : 0};

    if (who.size == 0 || who.data[0] != 'C' ||
        !token_number(digits, CONF_ID_MAX, &seek->consumer) || !word_take(&rest, "after") ||
        !token_number(token_take(&rest), CONF_OFFSET_MAX, &seek->after) ||
        !word_take(&rest, "messages") || !word_take(&rest, "of")) {
        return false;
    }
    const char *colon = last_colon(rest);
    if (colon == NULL) {
        return false;
    }
    struct slice topic = token_trimmed((struct slice){rest.data, (size_t)(colon - rest.data)});
    rest = (struct slice){colon + 1, (size_t)(rest.data + rest.size - colon) - 1};
    if (topic.size == 0 || !word_take(&rest, "to") ||
        !token_number(token_take(&rest), CONF_OFFSET_MAX, &seek->offset) ||
        token_take(&rest).size > 0) {
        return false;
    }
    seek->topic = memory_string(topic);
    return true;
}

static bool seek_set(struct parser *p, struct slice value)
{
    struct conf_seek seek = {.line = p->line};

    if (!seek_parse(value, &seek)) {
        return refuse(p, "'%.*s' is no seek: write 'C1 after 200 messages of T1: to 0'",
                      (int)value.size, value.data);
    }
    if (p->conf->seeks.count == CONF_SEEKS_MAX) {
        free(seek.topic);
        return refuse(p, "more than %d seeks", CONF_SEEKS_MAX);
    }
    MEMORY_PUSH(&p->conf->seeks, seek);
    return true;
}

/* The latest fault before that has the same measure of time. */
static const struct scenario_fault *fault_before(const struct scenario_conf *conf,
                                                 enum fault_when when)
{
    for (size_t i = conf->faults.count; i-- > 0;) {
        if (conf->faults.items[i].fault.when == when) {
            return &conf->faults.items[i].fault;
        }
    }
    return NULL;
}

static bool fault_set(struct parser *p, struct slice value)
{
    struct conf_fault parsed = {.line = p->line};
    const struct scenario_fault *fault = &parsed.fault;
    char reason[SCENARIO_ERROR_BYTES_MAX];

    if (!fault_parse(value, &parsed.fault, reason, sizeof reason)) {
        return refuse(p, "%s", reason);
    }
    if (p->conf->faults.count == SCENARIO_FAULTS_MAX) {
        return refuse(p, "more than %d faults", SCENARIO_FAULTS_MAX);
    }
    const struct scenario_fault *before = fault_before(p->conf, fault->when);
    if (fault->when == WHEN_START && p->conf->faults.count > 0) {
        return refuse(p, "a fault without 'after N acks:' is armed from the start: write it first");
    }
    if (before != NULL && fault->after <= before->after) {
        const char *unit = fault->when == WHEN_ACKS ? "acks" : "ms";
        return refuse(p,
                      "faults must be in order: this one is after %" PRId64
                      " %s, the one before it after %" PRId64,
                      fault->after, unit, before->after);
    }
    MEMORY_PUSH(&p->conf->faults, parsed);
    return true;
}

static bool seed_set(const struct parser *p, struct slice value)
{
    char *text = NULL;

    if (!text_set(p, "seed", value, &text, &p->conf->seed_line)) {
        return false;
    }
    free(text);
    return token_number(value, CONF_SEED_MAX, &p->conf->seed) ||
           refuse(p, "'%.*s' is no seed: write a whole number of at most 18 digits",
                  (int)value.size, value.data);
}

static bool retention_set(const struct parser *p, struct slice value)
{
    struct scenario_conf *conf = p->conf;
    char *text = NULL;

    if (!text_set(p, "retention_bytes", value, &text, &conf->retention_line)) {
        return false;
    }
    free(text);
    return (token_number(value, CONF_RETENTION_BYTES_MAX, &conf->retention_bytes) &&
            conf->retention_bytes > 0) ||
           refuse(p, "'%.*s' is no limit of a log: write bytes, 1 to %" PRId64, (int)value.size,
                  value.data, CONF_RETENTION_BYTES_MAX);
}

static bool setting_parse(struct parser *p, struct slice key, struct slice value)
{
    if (slice_equals(key, slice_of("title"))) {
        return text_set(p, "title", value, &p->conf->title, &p->title_line);
    }
    if (slice_equals(key, slice_of("logs"))) {
        return text_set(p, "logs", value, &p->conf->logs, &p->conf->logs_line);
    }
    if (slice_equals(key, slice_of("store"))) {
        return store_set(p, value);
    }
    if (slice_equals(key, slice_of("recovery_ms"))) {
        return recovery_set(p, value);
    }
    if (slice_equals(key, slice_of("retention_bytes"))) {
        return retention_set(p, value);
    }
    if (slice_equals(key, slice_of("seed"))) {
        return seed_set(p, value);
    }
    if (slice_equals(key, slice_of("postgres"))) {
        return postgres_set(p, value);
    }
    if (slice_equals(key, slice_of("fault"))) {
        return fault_set(p, value);
    }
    if (slice_equals(key, slice_of("seek"))) {
        return seek_set(p, value);
    }
    return refuse(p, "no setting is called '%.*s': there are " SETTINGS, (int)key.size, key.data);
}

/* A bare word followed by '='. */
static bool setting_split(struct slice line, struct slice *key, struct slice *value)
{
    const char *equals = memchr(line.data, '=', line.size);
    if (equals == NULL) {
        return false;
    }
    *key = token_trimmed((struct slice){line.data, (size_t)(equals - line.data)});
    *value =
        token_trimmed((struct slice){equals + 1, (size_t)(line.data + line.size - equals) - 1});
    for (size_t i = 0; i < key->size; i++) {
        if ((key->data[i] < 'a' || key->data[i] > 'z') && key->data[i] != '_') {
            return false;
        }
    }
    return key->size > 0;
}

/* ---- the file ------------------------------------------------------------------- */

/* A '#' begins a comment at the line's start and behind a blank. */
static struct slice comment_cut(struct slice line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '#' && (i == 0 || token_is_blank(line.data[i - 1]))) {
            line.size = i;
        }
    }
    return line;
}

static bool line_parse(struct parser *p, struct slice line)
{
    struct slice key;
    struct slice value;

    if (memchr(line.data, '\0', line.size) != NULL || !utf8_valid(line)) {
        return refuse(p, "not UTF-8 text");
    }
    line = token_trimmed(comment_cut(line));
    if (line.size == 0) {
        return true;
    }
    return setting_split(line, &key, &value) ? setting_parse(p, key, value) : topic_parse(p, line);
}

static bool text_parse(struct parser *p, struct slice text)
{
    while (text.size > 0) {
        const char *newline = memchr(text.data, '\n', text.size);
        size_t size = newline == NULL ? text.size : (size_t)(newline - text.data);
        p->line++;
        if (!line_parse(p, (struct slice){text.data, size})) {
            return false;
        }
        size_t used = newline == NULL ? size : size + 1;
        text.data += used;
        text.size -= used;
    }
    if (p->conf->topics.count == 0) {
        p->line += p->line == 0; /* an empty file has no line to name */
        return refuse(p, "the file ends without a topic: write 'topic: P1 P2 : C1 C2'");
    }
    return true;
}

bool scenario_conf_load(const char *path, struct scenario_conf **out, char *error,
                        size_t error_size)
{
    struct buffer text = BUFFER_INIT;
    struct parser p = {.path = path, .error = error, .error_size = error_size};

    *out = NULL;
    int failure = buffer_read_file(&text, path, CONF_BYTES_MAX);
    if (failure != 0) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(failure));
        buffer_release(&text);
        return false;
    }
    p.conf = memory_zeroed(1, sizeof *p.conf);
    p.conf->seed = SEED_NONE;
    bool ok = text_parse(&p, buffer_slice(&text));
    buffer_release(&text);
    if (!ok) {
        scenario_conf_destroy(p.conf);
        return false;
    }
    *out = p.conf;
    return true;
}

void scenario_conf_destroy(struct scenario_conf *conf)
{
    if (conf == NULL) {
        return;
    }
    for (size_t i = 0; i < conf->topics.count; i++) {
        free(conf->topics.items[i].name);
        free(conf->topics.items[i].producers.items);
        free(conf->topics.items[i].consumers.items);
    }
    free(conf->topics.items);
    for (size_t i = 0; i < conf->seeks.count; i++) {
        free(conf->seeks.items[i].topic);
    }
    free(conf->seeks.items);
    free(conf->faults.items);
    free(conf->title);
    free(conf->logs);
    free(conf->postgres);
    free(conf);
}
