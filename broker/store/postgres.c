/*
 * postgres.c - the log in PostgreSQL's tables (schema.sql).
 *
 * A batch is one pipeline of calls, a function per kind of rows (commit_messages() and so
 * on), which is a transaction of its own: one round trip. The messages of a large batch come
 * behind it by COPY, which is faster per row, in the same transaction. Because the counter row is
 * advanced by the same transaction that inserts the rows, what a reader sees is dense and final.
 *
 * What may break: the connection can die before, inside or after the commit, and nobody
 * can tell which from here. Then commit() says STATUS_OUTCOME_UNKNOWN, and resolve()
 * asks the counter row, FOR UPDATE, so that it waits for a transaction that still runs.
 * The commit may even be in the network yet, and begin after that answer: so the server's
 * process that it was sent to is ended first.
 */
#include "broker/store/schema.h"
#include "broker/store/stores.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/log.h"
#include "common/pg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SCHEMA_VERSION 2
#define SCHEMA_LOCK "7526769304728101" /* any number that only this program locks */
#define STATEMENT_LIMIT_MS 10000       /* less when requests wait for less */
#define LOAD_LIMIT_MS 120000
#define LOCK_NOT_AVAILABLE "55P03"
#define TAKEOVER_LIMIT "2s" /* for which the owner before may hold what a new one needs */
#define SWEEP_ROWS_MAX 10000
#define COPY_MESSAGES_MIN 1000 /* COPY takes two more round trips: below they cost more */
#define SESSION_OPTIONS "-c search_path=myqueue -c idle_in_transaction_session_timeout=60s"

#define CLIENTS_SQL                                                                                \
    "SELECT commit_clients($1::bigint, $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],"      \
    " $6::bigint[], $7::bigint[], $8::bigint[])"
#define RETENTION_SQL                                                                              \
    "SELECT commit_retention($1::bigint[], $2::bigint[], $3::bigint[], $4::int[], $5::int[],"      \
    " $6::bigint[], $7::int[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],"          \
    " $12::bigint[], $13::int[], $14::bigint[], $15::bigint[])"
#define MESSAGES_SQL                                                                               \
    "SELECT commit_messages($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],"    \
    " $6::bigint[], $7::bigint[], $8::int[], $9::bigint[], $10::bigint[], $11::bigint[],"          \
    " $12::text[], $13::int[])"
#define SEQUENCES_SQL "SELECT commit_sequences($1::bigint[], $2::int[], $3::bigint[], $4::bigint[])"
#define POSITIONS_SQL                                                                              \
    "SELECT commit_positions($1::bigint[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[])"

#define COPY_SQL(table, more_columns)                                                              \
    "COPY " table " (topic_id, partition, \"offset\", producer_id, sequence, message" more_columns \
    ") FROM STDIN (FORMAT binary); COMMIT"

/* The committer's statements find their rows by index, with one plan for all arrays: planning
 * anew costs more than a small batch. */
#define PLAN_SQL                                                                                   \
    "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;"           \
    " SET enable_hashjoin = off; SET enable_mergejoin = off"

/* Of the table of one segment: the parent's plan would look at all of them. Rows up to the byte
 * limit, the first one always: `before` is what stands in front. */
#define READ_SQL(table)                                                                            \
    "SELECT \"offset\", message FROM ("                                                            \
    " SELECT \"offset\", message, sum(octet_length(message)) OVER (ORDER BY \"offset\")"           \
    "        - octet_length(message) AS before"                                                    \
    " FROM " table " WHERE topic_id = $1 AND partition = $2 AND \"offset\" >= $3"                  \
    "            AND \"offset\" < $3 + $4) AS rows"                                                \
    " WHERE before < $5 ORDER BY \"offset\""

#define FIND_SQL(table)                                                                            \
    "SELECT \"offset\" FROM " table " WHERE topic_id = $1 AND partition = $2 AND"                  \
    " \"offset\" <= $3 AND producer_id = $4 AND sequence = $5"                                     \
    " ORDER BY \"offset\" DESC LIMIT 1"

#define RESOLVE_SQL                                                                                \
    "SELECT next_offset, epoch FROM partition WHERE topic_id = $1 AND number = $2 FOR UPDATE"

struct postgres_store {
    struct store store;
    char *url;
    int statement_limit_ms;
    int give_up_fd; /* an eventfd */
};

/* The server's process behind a connection. Process ids come again, with another start. */
struct backend {
    int64_t pid; /* 0: none */
    int64_t start_us;
};

struct postgres_session {
    struct store_session session;
    struct pg *pg; /* NULL or lost: revive() connects anew */
    bool prepared;
    struct backend backend; /* of `pg` */
    struct backend lost;    /* one that may still do what it was sent, see end_lost() */
    int64_t owner_epoch;    /* from load(): under which this session may register */
    struct pg_parameters parameters;
};

static struct postgres_session *postgres_of(struct store_session *session)
{
    return (struct postgres_session *)(void *)session;
}

/* How long a statement may take before its connection is given up. */
static int limit_ms(const struct postgres_session *s)
{
    return ((const struct postgres_store *)(const void *)s->session.store)->statement_limit_ms;
}

/* ---- what went wrong ------------------------------------------------------------------ */

static bool state_in_class(const char *state, const char *class_name)
{
    return strncmp(state, class_name, 2) == 0;
}

/*
 * A refused statement left nothing behind. These classes end by themselves: 40 (deadlock,
 * serialization), 53 (disk full, too many connections, memory), 55 (lock not available),
 * 57 (shutdown, cancelled), 58 (I/O error), 08 (connection).
 */
static enum status refused(struct postgres_session *s, const char *what)
{
    const char *state = pg_sqlstate(s->pg);

    if (strcmp(state, "MQ001") == 0) {
        return STATUS_FENCED;
    }
    if (strcmp(state, "25006") == 0) { /* a standby after a failover: look for the new primary */
        pg_close(s->pg);
        s->pg = NULL;
        log_warn("store_read_only", LOG_STR("what", what));
        return STATUS_STORE_AWAY;
    }
    bool passing = state_in_class(state, "40") || state_in_class(state, "53") ||
                   state_in_class(state, "55") || state_in_class(state, "57") ||
                   state_in_class(state, "58") || state_in_class(state, "08");
    log_write(passing ? LOG_WARN : LOG_ERROR, "store_refused",
              (const struct log_field[]){LOG_STR("what", what), LOG_STR("sqlstate", state),
                                         LOG_STR("why", pg_message(s->pg))},
              3);
    return passing ? STATUS_STORE_AWAY : STATUS_INTERNAL;
}

static enum status status_of(struct postgres_session *s, enum pg_outcome outcome, const char *what)
{
    switch (outcome) {
    case PG_DONE:
        return STATUS_OK;
    case PG_ERROR:
        return refused(s, what);
    case PG_LOST:
        log_warn("store_connection_lost", LOG_STR("what", what), LOG_STR("why", pg_message(s->pg)));
        return STATUS_STORE_AWAY;
    }
    return STATUS_INTERNAL;
}

/* ---- sessions -------------------------------------------------------------------------- */

static struct store_session *postgres_session_open(struct store *store)
{
    struct postgres_session *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->session.store = store;
    pg_parameters_init(&s->parameters);
    return &s->session;
}

static void postgres_session_close(struct store_session *session)
{
    if (session == NULL) {
        return;
    }
    struct postgres_session *s = postgres_of(session);
    pg_close(s->pg);
    pg_parameters_release(&s->parameters);
    free(s);
}

static int64_t text_int(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static enum pg_outcome note_backend(struct postgres_session *s, int limit_ms)
{
    PGresult *result = NULL;
    enum pg_outcome outcome =
        pg_query(s->pg,
                 "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint"
                 " FROM pg_stat_activity WHERE pid = pg_backend_pid()",
                 limit_ms, &result);

    s->backend = (struct backend){0, 0};
    if (outcome == PG_DONE && PQntuples(result) == 1) {
        s->backend = (struct backend){text_int(result, 0, 0), text_int(result, 0, 1)};
    }
    PQclear(result);
    return outcome;
}

/* After an unknown outcome: whatever the old connection's process has not begun, it never will. */
static enum status end_lost(struct postgres_session *s)
{
    char sql[256];
    PGresult *result = NULL;

    if (s->lost.pid == 0) {
        return STATUS_OK;
    }
    snprintf(sql, sizeof sql,
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %lld"
             " AND (extract(epoch FROM backend_start) * 1000000)::bigint = %lld",
             (long long)s->lost.pid, (long long)s->lost.start_us);
    enum pg_outcome outcome = pg_query(s->pg, sql, limit_ms(s), &result);
    enum status status = status_of(s, outcome, "end_lost");
    if (status == STATUS_OK && PQntuples(result) > 0 && PQgetvalue(result, 0, 0)[0] != 't') {
        status = STATUS_STORE_AWAY; /* it still runs: try again */
    } else if (status == STATUS_OK || status == STATUS_INTERNAL) {
        s->lost.pid = 0; /* or not allowed (it is in the log): go on without */
        status = STATUS_OK;
    }
    PQclear(result);
    return status;
}

static enum status postgres_revive(struct store_session *session, int limit_ms,
                                   char error[STORE_ERROR_BYTES_MAX])
{
    struct postgres_session *s = postgres_of(session);
    const struct postgres_store *store = (const struct postgres_store *)(void *)session->store;

    if (pg_connected(s->pg)) {
        return STATUS_OK;
    }
    pg_close(s->pg);
    s->prepared = false;
    s->pg = pg_connect(store->url, SESSION_OPTIONS, store->give_up_fd, limit_ms, error);
    if (s->pg == NULL) {
        return STATUS_STORE_AWAY;
    }
    /* Promise 1 hangs on it, whatever the server's or the role's default is. Stricter
     * settings (remote_apply) are left as they are. */
    if (pg_query(s->pg,
                 "SELECT set_config('synchronous_commit', 'on', false)"
                 " WHERE current_setting('synchronous_commit') IN ('off', 'local')",
                 limit_ms, NULL) != PG_DONE ||
        note_backend(s, limit_ms) != PG_DONE) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "%.500s", pg_message(s->pg));
        pg_close(s->pg);
        s->pg = NULL;
        return STATUS_STORE_AWAY;
    }
    return STATUS_OK;
}

/* The statements need the schema, so they are prepared at their first use. */
static enum status prepare(struct postgres_session *s)
{
    static const struct {
        const char *name;
        const char *sql;
    } statements[] = {
        {"begin", "BEGIN"},           {"clients", CLIENTS_SQL},
        {"retention", RETENTION_SQL}, {"messages", MESSAGES_SQL},
        {"sequences", SEQUENCES_SQL}, {"positions", POSITIONS_SQL},
        {"read", READ_SQL("log_0")},  {"find", FIND_SQL("log_0")},
        {"resolve", RESOLVE_SQL},     {"create_segment", "SELECT create_segment($1, $2)"},
        {"sweep", "SELECT sweep($1)"}};

    if (!pg_connected(s->pg)) {
        return STATUS_STORE_AWAY;
    }
    if (s->prepared) {
        return STATUS_OK;
    }
    enum pg_outcome outcome = pg_query(s->pg, PLAN_SQL, limit_ms(s), NULL);
    for (size_t i = 0; outcome == PG_DONE && i < sizeof statements / sizeof *statements; i++) {
        outcome = pg_prepare(s->pg, statements[i].name, statements[i].sql, limit_ms(s));
    }
    if (outcome != PG_DONE) {
        enum status status = status_of(s, outcome, "prepare");
        pg_close(s->pg); /* half of them are there: begin afresh */
        s->pg = NULL;
        return status;
    }
    s->prepared = true;
    return STATUS_OK;
}

/* ---- load ------------------------------------------------------------------------------ */

static void load_error(struct postgres_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    snprintf(error, STORE_ERROR_BYTES_MAX, "%.500s", pg_message(s->pg));
}

static enum status load_query(struct postgres_session *s, const char *sql, PGresult **out,
                              char error[STORE_ERROR_BYTES_MAX])
{
    enum pg_outcome outcome = pg_query(s->pg, sql, LOAD_LIMIT_MS, out);

    if (outcome != PG_DONE) {
        load_error(s, error);
    }
    return outcome == PG_DONE   ? STATUS_OK
           : outcome == PG_LOST ? STATUS_STORE_AWAY
                                : refused(s, "load");
}

static enum status load_topic(const struct store_loader *l, const PGresult *r, int row)
{
    const struct store_topic topic = {
        .id = text_int(r, row, 0),
        .name = slice_of(PQgetvalue(r, row, 1)),
        .retention = {text_int(r, row, 2), text_int(r, row, 3), (int)text_int(r, row, 4)},
    };
    return l->topic(l->arg, &topic);
}

static enum status load_partition(const struct store_loader *l, const PGresult *r, int row)
{
    const struct store_partition partition = {
        .topic_id = text_int(r, row, 0),
        .number = (int32_t)text_int(r, row, 1),
        .next_offset = text_int(r, row, 2),
        .epoch = text_int(r, row, 3),
        .first_offset = text_int(r, row, 4),
        .bytes = text_int(r, row, 5),
    };
    return l->partition(l->arg, &partition);
}

static enum status load_segment(const struct store_loader *l, const PGresult *r, int row)
{
    const struct store_segment segment = {
        .id = text_int(r, row, 0),
        .topic_id = text_int(r, row, 1),
        .partition = (int32_t)text_int(r, row, 2),
        .first_offset = text_int(r, row, 3),
        .first_bytes = text_int(r, row, 4),
        .opened_ms = text_int(r, row, 5),
    };
    return l->segment(l->arg, &segment);
}

static enum status load_producer(const struct store_loader *l, const PGresult *r, int row)
{
    return l->producer(l->arg, text_int(r, row, 0), text_int(r, row, 1));
}

static enum status load_sequence(const struct store_loader *l, const PGresult *r, int row)
{
    struct store_sequence sequence = {text_int(r, row, 0), (int32_t)text_int(r, row, 1),
                                      text_int(r, row, 2), text_int(r, row, 3)};
    return l->sequence(l->arg, &sequence);
}

static enum status load_consumer(const struct store_loader *l, const PGresult *r, int row)
{
    return l->consumer(l->arg, text_int(r, row, 0), text_int(r, row, 1));
}

static enum status load_position(const struct store_loader *l, const PGresult *r, int row)
{
    return l->position(l->arg, text_int(r, row, 0), (int32_t)text_int(r, row, 1),
                       text_int(r, row, 2));
}

static enum status load_rows(struct postgres_session *s, const struct store_loader *loader,
                             char error[STORE_ERROR_BYTES_MAX])
{
    static const struct {
        const char *sql;
        enum status (*row)(const struct store_loader *loader, const PGresult *result, int row);
    } tables[] = {
        {"SELECT id, name, coalesce(retention_bytes, -1), coalesce(retention_age_s, -1),"
         " CASE retention_unread WHEN 'keep' THEN 0 WHEN 'remove' THEN 1 ELSE -1 END"
         " FROM topic ORDER BY id",
         load_topic},
        {"SELECT topic_id, number, next_offset, epoch, first_offset, bytes FROM partition",
         load_partition},
        {"SELECT id, topic_id, partition, first_offset, first_bytes,"
         " (extract(epoch FROM opened_at) * 1000)::bigint FROM segment ORDER BY first_offset",
         load_segment},
        {"SELECT id, topic_id FROM producer", load_producer},
        {"SELECT producer_id, partition, sequence, \"offset\" FROM producer_sequence",
         load_sequence},
        {"SELECT id, topic_id FROM consumer", load_consumer},
        {"SELECT consumer_id, partition, \"offset\" FROM consumer_position", load_position}};
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < sizeof tables / sizeof *tables; i++) {
        PGresult *result = NULL;
        status = load_query(s, tables[i].sql, &result, error);
        for (int row = 0; status == STATUS_OK && row < PQntuples(result); row++) {
            status = tables[i].row(loader, result, row);
            if (status != STATUS_OK) {
                snprintf(error, STORE_ERROR_BYTES_MAX, "loading: %s", status_words(status));
            }
        }
        PQclear(result);
    }
    return status;
}

/* An older version is migrated by schema.sql. */
static enum status check_version(struct postgres_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    PGresult *result = NULL;

    enum status status =
        load_query(s, "SELECT to_regclass('myqueue.schema_version') IS NULL", &result, error);
    bool fresh = status == STATUS_OK && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    if (status != STATUS_OK || fresh) {
        return status;
    }
    status = load_query(s, "SELECT max(version) FROM schema_version", &result, error);
    if (status == STATUS_OK && text_int(result, 0, 0) > SCHEMA_VERSION) {
        snprintf(error, STORE_ERROR_BYTES_MAX,
                 "the database has schema version %lld, made by a newer broker; this one knows %d",
                 (long long)text_int(result, 0, 0), SCHEMA_VERSION);
        status = STATUS_INTERNAL;
    }
    PQclear(result);
    return status;
}

static enum status take_ownership(struct postgres_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    PGresult *result = NULL;
    char host[65] = "?";
    char sql[256];

    /* This row first: it waits for what the owner before is just registering, so that the
     * partitions of that are seen below, and what that one begins later finds another epoch. */
    enum status status =
        load_query(s, "UPDATE ownership SET epoch = epoch + 1 RETURNING epoch", &result, error);
    if (status == STATUS_OK) {
        s->owner_epoch = text_int(result, 0, 0);
    }
    PQclear(result);
    if (status != STATUS_OK) {
        return status;
    }
    gethostname(host, sizeof host - 1);
    for (char *p = host; *p != '\0'; p++) {
        *p = *p == '\'' || *p == '\\' ? '_' : *p;
    }
    snprintf(sql, sizeof sql, "UPDATE partition SET epoch = epoch + 1, owner = '%s:%ld'", host,
             (long)getpid());
    status = load_query(s, sql, NULL, error);
    if (status == STATUS_OK) { /* made by the owner before, who can no longer use it */
        status = load_query(s, "DELETE FROM segment WHERE first_offset IS NULL", NULL, error);
    }
    return status;
}

/* In another encoding a character that it lacks would fail a whole batch. */
static enum status check_encoding(struct postgres_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    PGresult *result = NULL;

    enum status status = load_query(s, "SHOW server_encoding", &result, error);
    if (status == STATUS_OK && strcmp(PQgetvalue(result, 0, 0), "UTF8") != 0) {
        snprintf(error, STORE_ERROR_BYTES_MAX,
                 "the database has encoding %.40s; create one with ENCODING 'UTF8'",
                 PQgetvalue(result, 0, 0));
        status = STATUS_INTERNAL;
    }
    PQclear(result);
    return status;
}

static void warn_unsafe(struct postgres_session *s)
{
    PGresult *result = NULL;
    char unused[STORE_ERROR_BYTES_MAX];

    if (load_query(s, "SHOW fsync", &result, unused) == STATUS_OK &&
        strcmp(PQgetvalue(result, 0, 0), "on") != 0) {
        log_warn("store_unsafe", LOG_STR("why", "fsync is off in PostgreSQL: a power cut may "
                                                "lose what was acknowledged"));
    }
    PQclear(result);
}

/* LOCK_NOT_AVAILABLE: the owner before holds something, for too long. */
static enum status load_transaction(struct postgres_session *s, const struct store_loader *loader,
                                    char error[STORE_ERROR_BYTES_MAX])
{
    /* The lock lasts as long as the transaction: brokers that start at once take turns. */
    enum status status = load_query(s,
                                    "BEGIN; SELECT pg_advisory_xact_lock(" SCHEMA_LOCK "); "
                                    "SET LOCAL lock_timeout = '" TAKEOVER_LIMIT "'",
                                    NULL, error);
    if (status == STATUS_OK) {
        CRASH_POINT(START_BEGUN);
        status = check_encoding(s, error);
    }
    if (status == STATUS_OK) {
        status = check_version(s, error);
    }
    if (status == STATUS_OK) {
        status = load_query(s, schema_sql, NULL, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_SCHEMA);
        status = take_ownership(s, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_OWNED);
        status = load_query(s, "SET LOCAL lock_timeout = 0", NULL, error);
    }
    if (status == STATUS_OK) {
        status = load_rows(s, loader, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_LOADED);
        status = load_query(s, "COMMIT", NULL, error);
    }
    return status;
}

/*
 * The owner before may have been stopped with half of a commit sent: then it holds the counter
 * rows for as long as it is not killed, and no timeout of PostgreSQL's ends that. So the sessions
 * of brokers that have been in a transaction for so long are ended; one that goes on learns by its
 * epoch that it is fenced.
 */
static enum status end_older_sessions(struct postgres_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    PGresult *result = NULL;

    enum status status = load_query(s, "ROLLBACK", NULL, error);
    if (status == STATUS_OK) {
        status = load_query(s,
                            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE application_name = current_setting('application_name') "
                            "AND datname = current_database() AND usename = current_user "
                            "AND pid <> pg_backend_pid() "
                            "AND xact_start < now() - interval '" TAKEOVER_LIMIT "'",
                            &result, error);
    }
    for (int row = 0; status == STATUS_OK && row < PQntuples(result); row++) {
        log_warn("ended_older_session", LOG_INT("backend", text_int(result, row, 0)));
    }
    PQclear(result);
    return status;
}

static enum status postgres_load(struct store_session *session, const struct store_loader *loader,
                                 char error[STORE_ERROR_BYTES_MAX])
{
    struct postgres_session *s = postgres_of(session);
    int64_t deadline_ms = clock_now_ms() + LOAD_LIMIT_MS;

    enum status status = load_transaction(s, loader, error);
    while (status == STATUS_STORE_AWAY && strcmp(pg_sqlstate(s->pg), LOCK_NOT_AVAILABLE) == 0 &&
           clock_now_ms() < deadline_ms) {
        status = end_older_sessions(s, error);
        if (status == STATUS_OK) {
            status = load_transaction(s, loader, error);
        }
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_COMMITTED);
        warn_unsafe(s);
        return prepare(s);
    }
    pg_close(s->pg); /* rolls back */
    s->pg = NULL;
    return status;
}

/* ---- commit ---------------------------------------------------------------------------- */

static enum status assign(struct postgres_session *s, const char *sequence, size_t count,
                          int64_t *(*id_at)(struct store_batch *batch, size_t i),
                          struct store_batch *batch)
{
    PGresult *result = NULL;
    char sql[128];
    enum status status = STATUS_OK;

    if (count == 0 || *id_at(batch, 0) != 0) {
        return STATUS_OK; /* a batch gets its ids at once, so the first tells of all */
    }
    snprintf(sql, sizeof sql, "SELECT nextval('%s') FROM generate_series(1, %zu)", sequence, count);
    status = status_of(s, pg_query(s->pg, sql, limit_ms(s), &result), "assign_ids");
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        *id_at(batch, i) = text_int(result, (int)i, 0);
    }
    PQclear(result);
    return status;
}

static int64_t *topic_id_at(struct store_batch *batch, size_t i)
{
    return &batch->topics[i].id;
}

static int64_t *producer_id_at(struct store_batch *batch, size_t i)
{
    return &batch->producers[i].id;
}

static int64_t *consumer_id_at(struct store_batch *batch, size_t i)
{
    return &batch->consumers[i].id;
}

static enum status postgres_assign_ids(struct store_session *session, struct store_batch *batch)
{
    struct postgres_session *s = postgres_of(session);

    enum status status = prepare(s);
    if (status == STATUS_OK) {
        status = assign(s, "topic_id", batch->topic_count, topic_id_at, batch);
    }
    if (status == STATUS_OK) {
        status = assign(s, "producer_id", batch->producer_count, producer_id_at, batch);
    }
    if (status == STATUS_OK) {
        status = assign(s, "consumer_id", batch->consumer_count, consumer_id_at, batch);
    }
    return status;
}

/* One array parameter: `field` of each element of `array`. */
#define ADD_ARRAY(p, type, array, count, field)                                                    \
    do {                                                                                           \
        pg_begin_##type##_array((p), (count));                                                     \
        for (size_t i_ = 0; i_ < (count); i_++) {                                                  \
            pg_element_##type((p), (array)[i_].field);                                             \
        }                                                                                          \
    } while (0)

static void add_clients(struct pg_parameters *p, const struct store_batch *b,
                        const struct store_client *clients, size_t count)
{
    ADD_ARRAY(p, int8, clients, count, id);
    pg_begin_int8_array(p, count);
    for (size_t i = 0; i < count; i++) {
        pg_element_int8(p, clients[i].topic_id != 0 ? clients[i].topic_id
                                                    : b->topics[clients[i].topic_index].id);
    }
}

/* Is any message in another segment than 0? */
static bool segmented(const struct store_batch *b)
{
    for (size_t i = 0; i < b->message_count; i++) {
        if (b->messages[i].segment != 0) {
            return true;
        }
    }
    return false;
}

static void fill_clients(struct pg_parameters *p, int64_t owner_epoch, const struct store_batch *b)
{
    pg_add_int8(p, owner_epoch);
    ADD_ARRAY(p, int8, b->topics, b->topic_count, id);
    ADD_ARRAY(p, text, b->topics, b->topic_count, name);
    add_clients(p, b, b->producers, b->producer_count);
    add_clients(p, b, b->consumers, b->consumer_count);
    ADD_ARRAY(p, int8, b->consumers, b->consumer_count, position);
}

static void add_sequence(struct pg_parameters *p, int64_t sequence)
{
    if (sequence == SEQUENCE_NONE) {
        pg_element_null(p);
    } else {
        pg_element_int8(p, sequence);
    }
}

/* The first `count` messages, and where all partitions stand. */
static void fill_messages(struct pg_parameters *p, const struct store_batch *b, size_t count)
{
    ADD_ARRAY(p, int8, b->advances, b->advance_count, topic_id);
    ADD_ARRAY(p, int4, b->advances, b->advance_count, partition);
    ADD_ARRAY(p, int8, b->advances, b->advance_count, epoch);
    ADD_ARRAY(p, int8, b->advances, b->advance_count, base);
    ADD_ARRAY(p, int8, b->advances, b->advance_count, count);
    ADD_ARRAY(p, int8, b->advances, b->advance_count, bytes);
    ADD_ARRAY(p, int8, b->messages, count, topic_id);
    ADD_ARRAY(p, int4, b->messages, count, partition);
    ADD_ARRAY(p, int8, b->messages, count, offset);
    ADD_ARRAY(p, int8, b->messages, count, producer_id);
    pg_begin_int8_array(p, count);
    for (size_t i = 0; i < count; i++) {
        add_sequence(p, b->messages[i].sequence);
    }
    ADD_ARRAY(p, text, b->messages, count, message);
    ADD_ARRAY(p, int4, b->messages, segmented(b) ? count : 0, segment);
}

static void fill_sequences(struct pg_parameters *p, const struct store_batch *b)
{
    ADD_ARRAY(p, int8, b->sequences, b->sequence_count, producer_id);
    ADD_ARRAY(p, int4, b->sequences, b->sequence_count, partition);
    ADD_ARRAY(p, int8, b->sequences, b->sequence_count, sequence);
    ADD_ARRAY(p, int8, b->sequences, b->sequence_count, offset);
}

static void fill_positions(struct pg_parameters *p, const struct store_batch *b)
{
    ADD_ARRAY(p, int8, b->positions, b->position_count, consumer_id);
    ADD_ARRAY(p, int8, b->positions, b->position_count, topic_id);
    ADD_ARRAY(p, int4, b->positions, b->position_count, partition);
    ADD_ARRAY(p, int8, b->positions, b->position_count, epoch);
    ADD_ARRAY(p, int8, b->positions, b->position_count, offset);
}

/* Does commit_retention() have anything to do? */
static bool changes_retention(const struct store_batch *b)
{
    bool changes = b->roll_count + b->trim_count > 0;

    for (size_t i = 0; i < b->topic_count; i++) {
        const struct store_retention *r = &b->topics[i].retention;
        changes = changes || r->bytes != RETENTION_DEFAULT || r->age_s != RETENTION_DEFAULT ||
                  r->unread != RETENTION_DEFAULT;
    }
    return changes;
}

static void fill_retention(struct pg_parameters *p, const struct store_batch *b)
{
    ADD_ARRAY(p, int8, b->topics, b->topic_count, id);
    ADD_ARRAY(p, int8, b->topics, b->topic_count, retention.bytes);
    ADD_ARRAY(p, int8, b->topics, b->topic_count, retention.age_s);
    ADD_ARRAY(p, int4, b->topics, b->topic_count, retention.unread);
    ADD_ARRAY(p, int4, b->rolls, b->roll_count, segment.id);
    ADD_ARRAY(p, int8, b->rolls, b->roll_count, segment.topic_id);
    ADD_ARRAY(p, int4, b->rolls, b->roll_count, segment.partition);
    ADD_ARRAY(p, int8, b->rolls, b->roll_count, epoch);
    ADD_ARRAY(p, int8, b->rolls, b->roll_count, segment.first_offset);
    ADD_ARRAY(p, int8, b->rolls, b->roll_count, segment.first_bytes);
    ADD_ARRAY(p, int8, b->rolls, b->roll_count, segment.opened_ms);
    ADD_ARRAY(p, int8, b->trims, b->trim_count, topic_id);
    ADD_ARRAY(p, int4, b->trims, b->trim_count, partition);
    ADD_ARRAY(p, int8, b->trims, b->trim_count, epoch);
    ADD_ARRAY(p, int8, b->trims, b->trim_count, first_offset);
}

/* Run a prepared statement with the session's parameters. */
static enum status execute(struct postgres_session *s, const char *name, PGresult **result)
{
    return status_of(s, pg_execute(s->pg, name, &s->parameters, limit_ms(s), result), name);
}

/* All of the batch, but for its messages when those are copied. */
static enum pg_outcome send_batch(struct postgres_session *s, const struct store_batch *batch,
                                  bool copies)
{
    struct pg_parameters *p = &s->parameters;

    pg_pipeline_begin(s->pg);
    pg_parameters_clear(p);
    if (copies) {
        pg_pipeline_add(s->pg, "begin", p);
    }
    if (batch->topic_count + batch->producer_count + batch->consumer_count > 0) {
        pg_parameters_clear(p);
        fill_clients(p, s->owner_epoch, batch);
        pg_pipeline_add(s->pg, "clients", p);
    }
    if (changes_retention(batch)) {
        pg_parameters_clear(p);
        fill_retention(p, batch);
        pg_pipeline_add(s->pg, "retention", p);
    }
    if (batch->advance_count > 0) {
        pg_parameters_clear(p);
        fill_messages(p, batch, copies ? 0 : batch->message_count);
        pg_pipeline_add(s->pg, "messages", p);
    }
    if (batch->sequence_count > 0) {
        pg_parameters_clear(p);
        fill_sequences(p, batch);
        pg_pipeline_add(s->pg, "sequences", p);
    }
    if (batch->position_count > 0) {
        pg_parameters_clear(p);
        fill_positions(p, batch);
        pg_pipeline_add(s->pg, "positions", p);
    }
    return pg_pipeline_end(s->pg, limit_ms(s));
}

static void fill_rows(struct pg_parameters *p, const struct store_batch *b, bool with_segment)
{
    pg_copy_begin(p);
    for (size_t i = 0; i < b->message_count; i++) {
        const struct store_message *m = &b->messages[i];
        pg_copy_begin_row(p, with_segment ? 7 : 6);
        pg_element_int8(p, m->topic_id);
        pg_element_int4(p, m->partition);
        pg_element_int8(p, m->offset);
        pg_element_int8(p, m->producer_id);
        add_sequence(p, m->sequence);
        pg_element_text(p, m->message);
        if (with_segment) {
            pg_element_int4(p, (int32_t)m->segment);
        }
    }
    pg_copy_end(p);
}

/* The messages of the transaction that send_batch() has begun, and its end. */
static enum pg_outcome copy_messages(struct postgres_session *s, const struct store_batch *batch)
{
    bool with_segment = segmented(batch);

    pg_parameters_clear(&s->parameters);
    fill_rows(&s->parameters, batch, with_segment);
    return pg_copy(s->pg, with_segment ? COPY_SQL("log", ", segment") : COPY_SQL("log_0", ""),
                   &s->parameters, limit_ms(s));
}

/* After a refusal within a transaction: nothing of it remains. */
static void roll_back(struct postgres_session *s)
{
    if (pg_connected(s->pg) && pg_query(s->pg, "ROLLBACK", limit_ms(s), NULL) != PG_DONE) {
        pg_close(s->pg);
        s->pg = NULL;
    }
}

static enum status postgres_commit(struct store_session *session, const struct store_batch *batch)
{
    struct postgres_session *s = postgres_of(session);
    bool copies = batch->message_count >= COPY_MESSAGES_MIN;

    enum status status = prepare(s);
    if (status == STATUS_OK) {
        status = end_lost(s);
    }
    if (status != STATUS_OK) {
        return status;
    }
    CRASH_POINT(COMMIT_BEGUN);
    enum pg_outcome outcome = send_batch(s, batch, copies);
    if (copies && outcome == PG_DONE) {
        CRASH_POINT(COPY_BEGUN);
        outcome = copy_messages(s, batch);
    }
    status = status_of(s, outcome, "commit");
    if (outcome == PG_LOST) {
        s->lost = s->backend;
        return STATUS_OUTCOME_UNKNOWN;
    }
    if (copies && outcome == PG_ERROR) {
        roll_back(s);
    }
    return status;
}

static enum status postgres_resolve(struct store_session *session, const struct store_batch *batch,
                                    bool *committed)
{
    struct postgres_session *s = postgres_of(session);
    const struct store_advance *advance = &batch->advances[0];
    PGresult *result = NULL;

    assert(batch->advance_count > 0);
    enum status status = prepare(s);
    if (status == STATUS_OK) {
        status = end_lost(s);
    }
    if (status != STATUS_OK) {
        return status;
    }
    pg_parameters_clear(&s->parameters);
    pg_add_int8(&s->parameters, advance->topic_id);
    pg_add_int4(&s->parameters, advance->partition);
    status = execute(s, "resolve", &result);
    if (status == STATUS_OK) {
        bool ours = PQntuples(result) == 1 && pg_get_int(result, 0, 1) == advance->epoch;
        int64_t next_offset = ours ? pg_get_int(result, 0, 0) : 0;
        *committed = next_offset == advance->base + advance->count;
        if (!ours || (!*committed && next_offset != advance->base)) {
            status = STATUS_FENCED;
        }
    }
    PQclear(result);
    return status;
}

/* ---- reading --------------------------------------------------------------------------- */

static enum status take_range(const PGresult *result, int64_t from, struct store_range *range)
{
    for (int row = 0; row < PQntuples(result); row++) {
        struct slice message = {PQgetvalue(result, row, 1), (size_t)PQgetlength(result, row, 1)};
        if (pg_get_int(result, row, 0) != from + row) { /* not by us: offsets are dense */
            log_error("rows_missing", LOG_INT("offset", from + row));
            return STATUS_INTERNAL;
        }
        if (!range_add(range, message)) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

/* With the session's parameters: the prepared statement for segment 0, or this SQL, with the
 * segment's number put in, for others, of which there are many, each read for a short time. */
static enum status execute_in(struct postgres_session *s, int64_t segment, const char *name,
                              const char *sql_format, PGresult **result)
{
    char sql[512];

    if (segment == 0) {
        return execute(s, name, result);
    }
    snprintf(sql, sizeof sql, sql_format, (long long)segment);
    enum pg_outcome outcome = pg_prepare(s->pg, "", sql, limit_ms(s));
    if (outcome == PG_DONE) {
        outcome = pg_execute(s->pg, "", &s->parameters, limit_ms(s), result);
    }
    if (outcome == PG_ERROR && strcmp(pg_sqlstate(s->pg), "42P01") == 0) { /* no such table */
        return STATUS_OFFSET_OUT_OF_RANGE;
    }
    return status_of(s, outcome, name);
}

static enum status postgres_read(struct store_session *session, int64_t topic_id, int32_t partition,
                                 int64_t segment, int64_t from, size_t count_max, size_t bytes_max,
                                 struct store_range *range)
{
    struct postgres_session *s = postgres_of(session);
    PGresult *result = NULL;

    enum status status = prepare(s);
    if (status != STATUS_OK) {
        return status;
    }
    pg_parameters_clear(&s->parameters);
    pg_add_int8(&s->parameters, topic_id);
    pg_add_int4(&s->parameters, partition);
    pg_add_int8(&s->parameters, from);
    pg_add_int8(&s->parameters, (int64_t)count_max);
    pg_add_int8(&s->parameters, (int64_t)bytes_max);
    status = execute_in(s, segment, "read", READ_SQL("log_%lld"), &result);
    if (status == STATUS_OK) {
        status = take_range(result, from, range);
    }
    PQclear(result);
    return status;
}

static enum status postgres_find_sequence(struct store_session *session,
                                          const struct store_sequence *wanted, int64_t topic_id,
                                          int64_t segment, int64_t offset_max, int64_t *offset)
{
    struct postgres_session *s = postgres_of(session);
    PGresult *result = NULL;

    enum status status = prepare(s);
    if (status != STATUS_OK) {
        return status;
    }
    pg_parameters_clear(&s->parameters);
    pg_add_int8(&s->parameters, topic_id);
    pg_add_int4(&s->parameters, wanted->partition);
    pg_add_int8(&s->parameters, offset_max);
    pg_add_int8(&s->parameters, wanted->producer_id);
    pg_add_int8(&s->parameters, wanted->sequence);
    status = execute_in(s, segment, "find", FIND_SQL("log_%lld"), &result);
    if (status == STATUS_OFFSET_OUT_OF_RANGE || (status == STATUS_OK && PQntuples(result) == 0)) {
        status = STATUS_NO_MESSAGE;
    } else if (status == STATUS_OK) {
        *offset = pg_get_int(result, 0, 0);
    }
    PQclear(result);
    return status;
}

/* ---- segments -------------------------------------------------------------------------- */

static enum status postgres_create_segment(struct store_session *session, int64_t topic_id,
                                           int32_t partition, int64_t *id)
{
    struct postgres_session *s = postgres_of(session);
    PGresult *result = NULL;

    enum status status = prepare(s);
    if (status != STATUS_OK) {
        return status;
    }
    pg_parameters_clear(&s->parameters);
    pg_add_int8(&s->parameters, topic_id);
    pg_add_int4(&s->parameters, partition);
    status = execute(s, "create_segment", &result);
    if (status == STATUS_OK) {
        *id = pg_get_int(result, 0, 0);
    }
    PQclear(result);
    return status;
}

static enum status postgres_sweep(struct store_session *session, bool *done)
{
    struct postgres_session *s = postgres_of(session);
    PGresult *result = NULL;

    *done = false;
    enum status status = prepare(s);
    if (status != STATUS_OK) {
        return status;
    }
    pg_parameters_clear(&s->parameters);
    pg_add_int4(&s->parameters, SWEEP_ROWS_MAX);
    enum pg_outcome outcome = pg_execute(s->pg, "sweep", &s->parameters, limit_ms(s), &result);
    if (outcome == PG_ERROR && strcmp(pg_sqlstate(s->pg), LOCK_NOT_AVAILABLE) == 0) {
        return STATUS_STORE_AWAY; /* somebody reads the log for long: no news for the broker's log
                                   */
    }
    status = status_of(s, outcome, "sweep");
    *done = status == STATUS_OK && pg_get_int(result, 0, 0) == 0;
    PQclear(result);
    return status;
}

static enum status postgres_ping(struct store_session *session)
{
    struct postgres_session *s = postgres_of(session);

    return status_of(s, pg_query(s->pg, "SELECT 1", limit_ms(s), NULL), "ping");
}

static void postgres_give_up(struct store *store)
{
    uint64_t one = 1;
    ssize_t written = write(((struct postgres_store *)(void *)store)->give_up_fd, &one, sizeof one);
    (void)written; /* a full counter is as good */
}

static void postgres_destroy(struct store *store)
{
    struct postgres_store *s = (struct postgres_store *)(void *)store;

    if (s->give_up_fd >= 0) {
        close(s->give_up_fd);
    }
    free(s->url);
    free(s);
}

static const struct store_ops postgres_ops = {
    .name = "postgres",
    .session_open = postgres_session_open,
    .session_close = postgres_session_close,
    .revive = postgres_revive,
    .load = postgres_load,
    .assign_ids = postgres_assign_ids,
    .commit = postgres_commit,
    .resolve = postgres_resolve,
    .read = postgres_read,
    .find_sequence = postgres_find_sequence,
    .create_segment = postgres_create_segment,
    .sweep = postgres_sweep,
    .ping = postgres_ping,
    .give_up = postgres_give_up,
    .destroy = postgres_destroy,
};

struct store *postgres_store_create(const char *url, int wait_ms, char error[STORE_ERROR_BYTES_MAX])
{
    if (!pg_url_valid(url, error)) {
        return NULL;
    }
    struct postgres_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "out of memory");
        return NULL;
    }
    store->store.ops = &postgres_ops;
    store->url = strdup(url);
    store->give_up_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (store->url == NULL || store->give_up_fd < 0) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "out of memory or descriptors");
        postgres_destroy(&store->store);
        return NULL;
    }
    store->statement_limit_ms = wait_ms < STATEMENT_LIMIT_MS ? wait_ms : STATEMENT_LIMIT_MS;
    return &store->store;
}
