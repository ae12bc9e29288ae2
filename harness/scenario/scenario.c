/*
 * scenario.c - the conf, or what a folder's log files say by themselves, made one.
 *
 * Both ways first make the topics with their producers and consumers, then read the log
 * files, then count who is to get how much.
 */
#include "harness/scenario/scenario.h"

#include "harness/faults/fault_kind.h"
#include "harness/memory.h"
#include "harness/scenario/scenario_conf.h"
#include "scenarios/logfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CONF_NAME "scenario.conf"
#define FILE_ID_MAX 1000000000 /* of producer_N.txt */
#define ALPHANUMERIC "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Names in a folder without a conf. */
struct names {
    char **items;
    size_t count;
    size_t capacity;
};

struct ids {
    int64_t *items;
    size_t count;
    size_t capacity;
};

struct loading {
    const char *dir;
    struct scenario *s;
    const struct scenario_conf *conf; /* NULL: there is none */
    char conf_path[PATH_MAX];
    char *error;
    size_t error_size;
};

static const char *const store_names[] = {[STORE_UNSAID] = "",
                                          [STORE_POSTGRES] = "postgres",
                                          [STORE_SQLITE] = "sqlite",
                                          [STORE_MEMORY] = "memory"};

const char *scenario_store_name(enum scenario_store store)
{
    return store_names[store];
}

enum scenario_store scenario_store_of(const char *name)
{
    for (int store = STORE_POSTGRES; name != NULL && store <= STORE_MEMORY; store++) {
        if (strcmp(name, store_names[store]) == 0) {
            return (enum scenario_store)store;
        }
    }
    return STORE_UNSAID;
}

__attribute__((format(printf, 2, 3))) static bool refuse(const struct loading *l,
                                                         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(l->error, l->error_size, format, args);
    va_end(args);
    return false;
}

/* ---- who is there ----------------------------------------------------------------- */

static int id_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The clients that any topic names, each once, ascending. */
static struct scenario_client *clients_make(struct ids *ids, size_t *count)
{
    *count = 0;
    if (ids->count > 0) {
        qsort(ids->items, ids->count, sizeof *ids->items, id_compare);
    }
    struct scenario_client *clients = memory_zeroed(ids->count, sizeof *clients);
    for (size_t i = 0; i < ids->count; i++) {
        if (i == 0 || ids->items[i] != ids->items[i - 1]) {
            clients[(*count)++].id = ids->items[i];
        }
    }
    return clients;
}

static size_t client_find(const struct scenario_client *clients, size_t count, int64_t id)
{
    size_t i = 0;
    while (i < count && clients[i].id != id) {
        i++;
    }
    return i;
}

/* Make the two-way links between a topic and its clients. */
static void clients_link(size_t topic, const struct conf_ids *ids, struct scenario_client *clients,
                         size_t client_count, size_t topic_count, size_t **out, size_t *out_count)
{
    *out = memory_zeroed(ids->count, sizeof **out);
    *out_count = ids->count;
    for (size_t i = 0; i < ids->count; i++) {
        (*out)[i] = client_find(clients, client_count, ids->items[i]);
        struct scenario_client *client = &clients[(*out)[i]];
        if (client->topics == NULL) {
            client->topics = memory_zeroed(topic_count, sizeof *client->topics);
        }
        client->topics[client->topic_count++] = topic;
    }
}

static void ids_add(struct ids *to, const struct conf_ids *from)
{
    for (size_t i = 0; i < from->count; i++) {
        MEMORY_PUSH(to, from->items[i]);
    }
}

static bool settings_check(const struct loading *l)
{
    return l->s->postgres == NULL || l->s->store == STORE_POSTGRES ||
           refuse(l,
                  "%s:%" PRId64 ": 'postgres' is for the store postgres, and it is %s: leave it "
                  "out, or run it with postgres",
                  l->conf_path, l->conf->postgres_line, scenario_store_name(l->s->store));
}

/* The conf's faults, on the targets that the store makes of them. */
static bool faults_take(struct loading *l)
{
    const struct scenario_conf *conf = l->conf;
    struct scenario *s = l->s;
    char reason[SCENARIO_ERROR_BYTES_MAX];

    s->faults = memory_zeroed(conf->faults.count, sizeof *s->faults);
    s->fault_count = conf->faults.count;
    s->recovery_ms = conf->recovery_ms;
    for (size_t i = 0; i < s->fault_count; i++) {
        const struct conf_fault *from = &conf->faults.items[i];
        s->faults[i] = from->fault;
        if (!fault_settle(&s->faults[i], s->store, reason, sizeof reason)) {
            return refuse(l, "%s:%" PRId64 ": %s", l->conf_path, from->line, reason);
        }
    }
    return true;
}

static bool conf_apply(struct loading *l)
{
    const struct scenario_conf *conf = l->conf;
    struct scenario *s = l->s;
    struct ids producers = {NULL, 0, 0};
    struct ids consumers = {NULL, 0, 0};

    for (size_t t = 0; t < conf->topics.count; t++) {
        ids_add(&producers, &conf->topics.items[t].producers);
        ids_add(&consumers, &conf->topics.items[t].consumers);
    }
    s->producers = clients_make(&producers, &s->producer_count);
    s->consumers = clients_make(&consumers, &s->consumer_count);
    free(producers.items);
    free(consumers.items);
    if (s->producer_count > SCENARIO_CLIENTS_MAX || s->consumer_count > SCENARIO_CLIENTS_MAX) {
        return refuse(l, "%s: more than %d producers or consumers", l->conf_path,
                      SCENARIO_CLIENTS_MAX);
    }
    s->topics = memory_zeroed(conf->topics.count, sizeof *s->topics);
    s->topic_count = conf->topics.count;
    for (size_t t = 0; t < s->topic_count; t++) {
        const struct conf_topic *from = &conf->topics.items[t];
        struct scenario_topic *topic = &s->topics[t];
        topic->name = memory_string(slice_of(from->name));
        clients_link(t, &from->producers, s->producers, s->producer_count, s->topic_count,
                     &topic->producers, &topic->producer_count);
        clients_link(t, &from->consumers, s->consumers, s->consumer_count, s->topic_count,
                     &topic->consumers, &topic->consumer_count);
    }
    return faults_take(l);
}

/* ---- the log files ---------------------------------------------------------------- */

static const struct conf_topic *first_topic_of(const struct scenario_conf *conf, int64_t producer)
{
    for (size_t t = 0; t < conf->topics.count; t++) {
        const struct conf_topic *topic = &conf->topics.items[t];
        if (bsearch(&producer, topic->producers.items, topic->producers.count, sizeof producer,
                    id_compare) != NULL) {
            return topic;
        }
    }
    return NULL;
}

static bool log_read(struct loading *l, struct scenario_client *producer)
{
    char path[PATH_MAX];
    char reason[LOGFILE_ERROR_BYTES];
    struct logfile log = {0};

    snprintf(path, sizeof path, "%s/producer_%" PRId64 ".txt", l->s->logs, producer->id);
    producer->path = memory_string(slice_of(path));
    if (l->conf != NULL && access(path, F_OK) != 0 && errno == ENOENT) {
        const struct conf_topic *topic = first_topic_of(l->conf, producer->id);
        return refuse(l, "%s:%" PRId64 ": P%" PRId64 " has no log file: there is no %s",
                      l->conf_path, topic->line, producer->id, path);
    }
    if (!logfile_read(path, &log, reason)) {
        return refuse(l, "%s", reason);
    }
    producer->log = memory_zeroed(1, sizeof *producer->log);
    *producer->log = log;
    return true;
}

/* The producer's topic of that name; false when it is not mapped to it. */
static bool mapped_find(const struct scenario *s, const struct scenario_client *producer,
                        const char *name, uint32_t *topic)
{
    for (size_t i = 0; i < producer->topic_count; i++) {
        if (strcmp(s->topics[producer->topics[i]].name, name) == 0) {
            *topic = (uint32_t)producer->topics[i];
            return true;
        }
    }
    return false;
}

static bool lines_take(struct loading *l, struct scenario_client *producer)
{
    struct logfile *log = producer->log;

    producer->lines = memory_zeroed(log->count, sizeof *producer->lines);
    for (size_t i = 0; i < log->count; i++) {
        const struct logfile_line *from = &log->lines[i];
        struct scenario_line *line = &producer->lines[producer->line_count];
        if (!mapped_find(l->s, producer, from->topic, &line->topic)) {
            return refuse(l,
                          "%s:%d: P%" PRId64 " does not produce to topic '%s': add it to that "
                          "topic in %s",
                          producer->path, from->number, producer->id, from->topic, l->conf_path);
        }
        line->number = (uint32_t)from->number;
        line->message = (struct slice){from->message, from->message_length};
        producer->line_count++;
        l->s->topics[line->topic].expected++;
    }
    producer->expected = (int64_t)producer->line_count;
    l->s->expected += producer->expected;
    /* Only the bytes are needed any longer: in a long log the lines are the larger part. */
    free(log->lines);
    log->lines = NULL;
    log->count = 0;
    return true;
}

static bool logs_load(struct loading *l)
{
    for (size_t p = 0; p < l->s->producer_count; p++) {
        struct scenario_client *producer = &l->s->producers[p];
        if ((producer->log == NULL && !log_read(l, producer)) || !lines_take(l, producer)) {
            return false;
        }
    }
    return true;
}

/* ---- which log files there are ---------------------------------------------------- */

/* The N of producer_N.txt. */
static bool file_id(const char *name, int64_t *id)
{
    static const char prefix[] = "producer_";
    char *end;

    if (strncmp(name, prefix, sizeof prefix - 1) != 0 || name[sizeof prefix - 1] < '1' ||
        name[sizeof prefix - 1] > '9') {
        return false;
    }
    errno = 0;
    *id = strtoll(name + sizeof prefix - 1, &end, 10);
    return errno == 0 && *id <= FILE_ID_MAX && strcmp(end, ".txt") == 0;
}

/* Does it look like a log file's name: Producer_2.txt, producer_02.txt, producer_2.log?
 * An editor's copy, producer_2.txt~, does not. */
static bool file_is_like_log(const char *name)
{
    static const char prefix[] = "producer";

    if (strncasecmp(name, prefix, sizeof prefix - 1) != 0 || name[strlen(name) - 1] == '~') {
        return false;
    }
    name += sizeof prefix - 1;
    return isdigit((unsigned char)name[strcspn(name, ALPHANUMERIC)]);
}

/* The log files of a folder by their ids, in no order. One that would be passed over because
 * of its name is refused: its messages would be missing, and the run be valid nonetheless. */
static bool files_list(const struct loading *l, const char *dir, struct ids *ids)
{
    char misnamed[NAME_MAX + 1] = "";
    int64_t id;

    DIR *folder = opendir(dir);
    if (folder == NULL) {
        return refuse(l, "%s: cannot be read: %s", dir, strerror(errno));
    }
    for (struct dirent *file = readdir(folder); file != NULL; file = readdir(folder)) {
        if (file_id(file->d_name, &id)) {
            MEMORY_PUSH(ids, id);
        } else if (file_is_like_log(file->d_name) &&
                   (misnamed[0] == '\0' || strcmp(file->d_name, misnamed) < 0)) {
            snprintf(misnamed, sizeof misnamed, "%s", file->d_name);
        }
    }
    closedir(folder);
    return misnamed[0] == '\0' ||
           refuse(l,
                  "%s/%s: not named producer_N.txt (N from 1, without zeros in front), so nobody "
                  "would read it: rename it or move it away",
                  dir, misnamed);
}

/* Every log file beside those that the conf's producers read is one of them. */
static bool files_are_used(const struct loading *l)
{
    const struct scenario *s = l->s;
    struct ids ids = {NULL, 0, 0};
    int64_t unused = INT64_MAX;

    bool ok = files_list(l, s->logs, &ids);
    for (size_t i = 0; ok && i < ids.count; i++) {
        if (ids.items[i] < unused &&
            client_find(s->producers, s->producer_count, ids.items[i]) == s->producer_count) {
            unused = ids.items[i];
        }
    }
    free(ids.items);
    if (ok && unused != INT64_MAX) {
        return refuse(l,
                      "%s/producer_%" PRId64 ".txt is not used: no topic of %s names P%" PRId64
                      "; map it or move it away",
                      s->logs, unused, l->conf_path, unused);
    }
    return ok;
}

/* ---- a folder without a conf ------------------------------------------------------ */

static bool files_find(struct loading *l)
{
    struct ids ids = {NULL, 0, 0};

    if (!files_list(l, l->dir, &ids)) {
        free(ids.items);
        return false;
    }
    l->s->producers = clients_make(&ids, &l->s->producer_count);
    free(ids.items);
    if (l->s->producer_count == 0) {
        return refuse(l, "%s: neither a " CONF_NAME " nor a log file (producer_1.txt, …) is in it",
                      l->dir);
    }
    if (l->s->producer_count > SCENARIO_CLIENTS_MAX) {
        return refuse(l, "%s: %zu log files; at most %d are allowed", l->dir, l->s->producer_count,
                      SCENARIO_CLIENTS_MAX);
    }
    return true;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void name_add(struct names *names, const char *name)
{
    for (size_t i = names->count; i-- > 0;) {
        if (strcmp(names->items[i], name) == 0) {
            return;
        }
    }
    MEMORY_PUSH(names, memory_string(slice_of(name)));
}

/* A conf that says what the log files say: who sends to what, everybody reads all. */
static struct scenario_conf *conf_of_logs(const struct scenario *s, const struct names *names,
                                          int64_t consumers)
{
    struct scenario_conf *conf = memory_zeroed(1, sizeof *conf);

    for (size_t t = 0; t < names->count; t++) {
        struct conf_topic topic = {.name = memory_string(slice_of(names->items[t]))};
        for (size_t p = 0; p < s->producer_count; p++) {
            const struct logfile *log = s->producers[p].log;
            size_t i = 0;
            while (i < log->count && strcmp(log->lines[i].topic, names->items[t]) != 0) {
                i++;
            }
            if (i < log->count) {
                MEMORY_PUSH(&topic.producers, s->producers[p].id);
            }
        }
        for (int64_t id = 1; id <= consumers; id++) {
            MEMORY_PUSH(&topic.consumers, id);
        }
        MEMORY_PUSH(&conf->topics, topic);
    }
    return conf;
}

static bool names_collect(struct loading *l, struct names *names)
{
    for (size_t p = 0; p < l->s->producer_count; p++) {
        if (!log_read(l, &l->s->producers[p])) {
            return false;
        }
        const struct logfile *log = l->s->producers[p].log;
        for (size_t i = 0; i < log->count; i++) {
            name_add(names, log->lines[i].topic);
            if (names->count > SCENARIO_TOPICS_MAX) {
                return refuse(l, "%s: more than %d topics", l->s->producers[p].path,
                              SCENARIO_TOPICS_MAX);
            }
        }
    }
    qsort(names->items, names->count, sizeof *names->items, name_compare);
    return true;
}

/* The clients that conf_apply() makes anew take over the log files that are read already. */
static void logs_keep(struct scenario *s, struct scenario_client *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t p = client_find(s->producers, s->producer_count, from[i].id);
        s->producers[p].log = from[i].log;
        s->producers[p].path = from[i].path;
    }
    free(from);
}

static bool folder_load(struct loading *l, int64_t consumers)
{
    struct names names = {NULL, 0, 0};
    struct scenario *s = l->s;

    s->logs = memory_string(slice_of(l->dir));
    s->store = s->store != STORE_UNSAID ? s->store : STORE_POSTGRES;
    bool ok = files_find(l) && names_collect(l, &names);
    if (ok) {
        struct scenario_conf *conf = conf_of_logs(s, &names, consumers);
        struct scenario_client *read = s->producers;
        size_t read_count = s->producer_count;
        l->conf = conf;
        ok = conf_apply(l);
        l->conf = NULL;
        scenario_conf_destroy(conf);
        logs_keep(s, read, read_count);
        ok = ok && logs_load(l);
    }
    for (size_t i = 0; i < names.count; i++) {
        free(names.items[i]);
    }
    free(names.items);
    return ok;
}

/* ---- seeks ------------------------------------------------------------------------ */

static bool reads_topic(const struct scenario_client *consumer, size_t topic)
{
    size_t i = 0;

    while (i < consumer->topic_count && consumer->topics[i] != topic) {
        i++;
    }
    return i < consumer->topic_count;
}

/* The consumer's last seek in a topic; NULL: there is none. */
static const struct scenario_seek *seek_last(const struct scenario_client *consumer, size_t topic)
{
    for (size_t i = consumer->seek_count; i-- > 0;) {
        if (consumer->seeks[i].topic == topic) {
            return &consumer->seeks[i];
        }
    }
    return NULL;
}

int64_t scenario_expected(const struct scenario *s, const struct scenario_client *consumer,
                          size_t topic)
{
    const struct scenario_seek *last = seek_last(consumer, topic);
    int64_t all = s->topics[topic].expected;

    return last == NULL ? all : last->after + all - last->offset;
}

/* ---- a folder with one ------------------------------------------------------------ */

static bool fault_client_is_there(const struct scenario *s, const struct scenario_fault *fault)
{
    bool producer = fault->target == TARGET_PRODUCER;
    const struct scenario_client *clients = producer ? s->producers : s->consumers;
    size_t count = producer ? s->producer_count : s->consumer_count;

    if (!producer && fault->target != TARGET_CONSUMER) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (clients[i].id == fault->client) {
            return true;
        }
    }
    return false;
}

static bool faults_check(const struct loading *l)
{
    for (size_t i = 0; i < l->s->fault_count; i++) {
        const struct scenario_fault *fault = &l->s->faults[i];
        int64_t line = l->conf->faults.items[i].line;
        if (fault->when == WHEN_ACKS && fault->after >= l->s->expected) {
            return refuse(l,
                          "%s:%" PRId64 ": a fault after %" PRId64 " acks would hit nothing: "
                          "the log files hold %" PRId64 " messages",
                          l->conf_path, line, fault->after, l->s->expected);
        }
        if (!fault_client_is_there(l->s, fault)) {
            return refuse(l, "%s:%" PRId64 ": there is no %s %" PRId64 " in this scenario",
                          l->conf_path, line, fault_target_name(fault->target), fault->client);
        }
    }
    return true;
}

/* One seek of the conf, which comes after those that the consumer has. */
static bool seek_add(const struct loading *l, const struct conf_seek *from)
{
    struct scenario *s = l->s;
    size_t c = client_find(s->consumers, s->consumer_count, from->consumer);
    size_t t = 0;

    while (t < s->topic_count && strcmp(s->topics[t].name, from->topic) != 0) {
        t++;
    }
    if (c == s->consumer_count || t == s->topic_count || !reads_topic(&s->consumers[c], t)) {
        return refuse(l, "%s:%" PRId64 ": C%" PRId64 " does not read a topic '%s'", l->conf_path,
                      from->line, from->consumer, from->topic);
    }
    if (s->retention_bytes > 0) {
        return refuse(l,
                      "%s:%" PRId64 ": with retention_bytes the offset may be gone: leave one of "
                      "the two out",
                      l->conf_path, from->line);
    }
    struct scenario_client *consumer = &s->consumers[c];
    int64_t given = scenario_expected(s, consumer, t);
    if (from->after > given || from->offset > s->topics[t].expected) {
        return refuse(l,
                      "%s:%" PRId64 ": C%" PRId64 " is given %" PRId64 " messages of '%s' without "
                      "this seek, and its log has %" PRId64 ": a seek is after so many at most, "
                      "and to that offset at most",
                      l->conf_path, from->line, from->consumer, given, from->topic,
                      s->topics[t].expected);
    }
    if (seek_last(consumer, t) != NULL && seek_last(consumer, t)->after >= from->after) {
        return refuse(l,
                      "%s:%" PRId64 ": the seek before it is after %" PRId64 " messages, and this "
                      "one not after more",
                      l->conf_path, from->line, seek_last(consumer, t)->after);
    }
    consumer->seeks[consumer->seek_count++] = (struct scenario_seek){t, from->after, from->offset};
    return true;
}

static bool seeks_take(const struct loading *l)
{
    for (size_t c = 0; c < l->s->consumer_count; c++) {
        l->s->consumers[c].seeks =
            memory_zeroed(l->conf->seeks.count, sizeof(struct scenario_seek));
    }
    for (size_t i = 0; i < l->conf->seeks.count; i++) {
        if (!seek_add(l, &l->conf->seeks.items[i])) {
            return false;
        }
    }
    return true;
}

static bool conf_load(struct loading *l)
{
    struct scenario_conf *conf;

    if (!scenario_conf_load(l->conf_path, &conf, l->error, l->error_size)) {
        return false;
    }
    char path[PATH_MAX];
    const char *logs = conf->logs == NULL ? l->dir : conf->logs;
    if (conf->logs != NULL && logs[0] != '/') {
        snprintf(path, sizeof path, "%s/%s", l->dir, conf->logs);
        logs = path;
    }
    l->s->logs = memory_string(slice_of(logs));
    l->s->seed = conf->seed;
    l->s->retention_bytes = conf->retention_bytes;
    l->s->title = conf->title == NULL ? NULL : memory_string(slice_of(conf->title));
    l->s->store = l->s->store != STORE_UNSAID   ? l->s->store
                  : conf->store != STORE_UNSAID ? conf->store
                                                : STORE_POSTGRES;
    l->s->postgres = conf->postgres == NULL ? NULL : memory_string(slice_of(conf->postgres));
    l->s->postgres_line = conf->postgres_line;
    l->conf = conf;
    bool ok = conf_apply(l) && settings_check(l) && logs_load(l) && files_are_used(l) &&
              faults_check(l) && seeks_take(l);
    l->conf = NULL;
    scenario_conf_destroy(conf);
    return ok;
}

/* The folder's name, also when it was given as `.` */
static char *title_of(const char *dir)
{
    char *real = realpath(dir, NULL);
    const char *slash = real == NULL ? NULL : strrchr(real, '/');
    char *title = memory_string(slice_of(slash == NULL ? dir : slash + 1));
    free(real);
    return title;
}

static void consumers_count(struct scenario *s)
{
    for (size_t c = 0; c < s->consumer_count; c++) {
        for (size_t i = 0; i < s->consumers[c].topic_count; i++) {
            s->consumers[c].expected +=
                scenario_expected(s, &s->consumers[c], s->consumers[c].topics[i]);
        }
    }
}

/* Whoever asks for a number of consumers is not given another one without a word. */
static bool load(struct loading *l, int64_t consumers)
{
    if (access(l->conf_path, F_OK) != 0) {
        return folder_load(l, consumers > 0 ? consumers : SCENARIO_CONSUMERS_DEFAULT);
    }
    if (consumers > 0) {
        return refuse(l,
                      "%s says how many consumers there are: leave out --consumers (CONSUMERS=), "
                      "or move %s away",
                      l->conf_path, CONF_NAME);
    }
    return conf_load(l);
}

bool scenario_load(const char *dir, int64_t consumers, enum scenario_store store,
                   struct scenario **out, char *error, size_t error_size)
{
    struct loading l = {.dir = dir, .error = error, .error_size = error_size};

    *out = NULL;
    l.s = memory_zeroed(1, sizeof *l.s);
    l.s->seed = SEED_NONE;
    l.s->store = store;
    snprintf(l.conf_path, sizeof l.conf_path, "%s/" CONF_NAME, dir);
    if (!load(&l, consumers)) {
        scenario_destroy(l.s);
        return false;
    }
    if (l.s->title == NULL) {
        l.s->title = title_of(dir);
    }
    if (l.s->recovery_ms == 0) {
        l.s->recovery_ms = SCENARIO_RECOVERY_MS_DEFAULT;
    }
    consumers_count(l.s);
    *out = l.s;
    return true;
}

/* ---- saving ----------------------------------------------------------------------- */

static void ids_append(struct buffer *b, char letter, const struct scenario_client *clients,
                       const size_t *indices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_printf(b, " %c%" PRId64, letter, clients[indices[i]].id);
    }
}

static void conf_append(struct buffer *b, const struct scenario *s)
{
    buffer_printf(b, "title = %s\nstore = %s\n", s->title, scenario_store_name(s->store));
    if (s->retention_bytes > 0) {
        buffer_printf(b, "retention_bytes = %" PRId64 "\n", s->retention_bytes);
    }
    if (s->seed != SEED_NONE) {
        buffer_printf(b, "seed = %" PRId64 "\n", s->seed);
    }
    if (s->postgres != NULL) {
        buffer_printf(b, "postgres = %s\n", s->postgres);
    }
    for (size_t t = 0; t < s->topic_count; t++) {
        const struct scenario_topic *topic = &s->topics[t];
        buffer_printf(b, "%s:", topic->name);
        ids_append(b, 'P', s->producers, topic->producers, topic->producer_count);
        buffer_append_string(b, " :");
        ids_append(b, 'C', s->consumers, topic->consumers, topic->consumer_count);
        buffer_append_char(b, '\n');
    }
    if (s->recovery_ms != SCENARIO_RECOVERY_MS_DEFAULT) {
        buffer_printf(b, "recovery_ms = %" PRId64 "\n", s->recovery_ms);
    }
    for (size_t c = 0; c < s->consumer_count; c++) {
        for (size_t i = 0; i < s->consumers[c].seek_count; i++) {
            const struct scenario_seek *seek = &s->consumers[c].seeks[i];
            buffer_printf(
                b, "seek = C%" PRId64 " after %" PRId64 " messages of %s: to %" PRId64 "\n",
                s->consumers[c].id, seek->after, s->topics[seek->topic].name, seek->offset);
        }
    }
    for (size_t i = 0; i < s->fault_count; i++) {
        buffer_append_string(b, "fault = ");
        fault_append(b, &s->faults[i]);
        buffer_append_char(b, '\n');
    }
}

static bool file_write(const char *path, const struct buffer *b, char *error, size_t error_size)
{
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && fwrite(b->data, 1, b->size, file) == b->size;
    if (file != NULL && fclose(file) != 0) {
        ok = false;
    }
    if (!ok) {
        snprintf(error, error_size, "%s: cannot be written: %s", path, strerror(errno));
    }
    return ok;
}

bool scenario_save(const struct scenario *s, const char *dir, char *error, size_t error_size)
{
    struct buffer b = BUFFER_INIT;
    char path[PATH_MAX];

    conf_append(&b, s);
    snprintf(path, sizeof path, "%s/" CONF_NAME, dir);
    bool ok = file_write(path, &b, error, error_size);
    for (size_t p = 0; ok && p < s->producer_count; p++) {
        buffer_clear(&b);
        int failure = buffer_read_file(&b, s->producers[p].path, LOGFILE_BYTES_MAX);
        snprintf(path, sizeof path, "%s/producer_%" PRId64 ".txt", dir, s->producers[p].id);
        if (failure != 0) {
            snprintf(error, error_size, "%s: cannot be read: %s", s->producers[p].path,
                     strerror(failure));
            ok = false;
        } else {
            ok = file_write(path, &b, error, error_size);
        }
    }
    buffer_release(&b);
    return ok;
}

static void clients_destroy(struct scenario_client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (clients[i].log != NULL) {
            logfile_release(clients[i].log);
        }
        free(clients[i].log);
        free(clients[i].topics);
        free(clients[i].path);
        free(clients[i].lines);
        free(clients[i].seeks);
    }
    free(clients);
}

void scenario_destroy(struct scenario *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t t = 0; t < s->topic_count; t++) {
        free(s->topics[t].name);
        free(s->topics[t].producers);
        free(s->topics[t].consumers);
    }
    free(s->topics);
    clients_destroy(s->producers, s->producer_count);
    clients_destroy(s->consumers, s->consumer_count);
    free(s->faults);
    free(s->title);
    free(s->logs);
    free(s->postgres);
    free(s);
}
