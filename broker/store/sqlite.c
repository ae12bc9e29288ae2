/*
 * sqlite.c - the log in an SQLite file beside the broker (sqlite_schema.sql).
 *
 * A batch is one transaction in the committer's session; the readers' sessions see it whole
 * or not at all, and neither side waits for the other (write-ahead log). With
 * synchronous=FULL each commit ends with an fdatasync of that log.
 *
 * One broker at a time has the file: it holds a flock(2) on it, which the kernel takes back
 * when the process is gone. Should that lock fail its purpose (a file system without locks), the
 * epochs are the second fence, as in PostgreSQL.
 *
 * What may break: a COMMIT that fails can have left its whole transaction in the write-ahead
 * log. This process does not see it, but who opens the file after a crash would. So its
 * outcome is unknown (STATUS_OUTCOME_UNKNOWN) until another transaction has been written over
 * the same place, which resolve() sees to. A full disk is the exception: then the
 * transaction's last page was not written, and nothing can come back.
 *
 * Who keeps an old state of the file in view (a long SELECT of a person) keeps the write-ahead
 * log from beginning anew: it grows meanwhile, and shrinks afterwards.
 */
#include "broker/store/schema.h"
#include "broker/store/stores.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/log.h"
#include "common/mutex.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_VERSION 2
#define SWEEP_ROWS_MIN 2000  /* in one transaction, for which the committer waits; more when */
#define SWEEP_ROWS_MAX 40000 /* this part of all that is to go is more, so that it ends: */
#define SWEEP_PART 32
#define SWEEP_PAUSE_US 2000       /* between two, so that the committer gets in, see on_busy() */
#define APPLICATION_ID 0x6d797175 /* "myqu": marks the file as ours */
#define BUSY_LIMIT_MS 10000 /* for a person's write transaction; less when requests wait less */
#define BUSY_QUICK_TRIES 10 /* whoever writes is mostly done soon; */
#define BUSY_QUICK_US 500   /* then between two looks whether he is: */
#define BUSY_PAUSE_US 10000
#define CHECKPOINT_PAGES 4000 /* 16 MiB: how much is written to the tables at once */
#define WAL_PAGES_LIMIT 16000 /* beyond it the committer waits for readers, a little: */
#define WAL_RESTART_WAIT_MS 100
#define SESSION_SQL                                                                                \
    "PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF; PRAGMA cache_size = -16384; PRAGMA "   \
    "journal_size_limit = 67108864;"

/* What version 1 had not. */
#define MIGRATE_SQL                                                                                \
    "ALTER TABLE topic ADD COLUMN retention_bytes INTEGER;"                                        \
    "ALTER TABLE topic ADD COLUMN retention_age_s INTEGER;"                                        \
    "ALTER TABLE topic ADD COLUMN retention_unread INTEGER;"                                       \
    "ALTER TABLE partition ADD COLUMN first_offset INTEGER NOT NULL DEFAULT 0;"                    \
    "ALTER TABLE partition ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"                           \
    "UPDATE partition SET bytes = (SELECT coalesce(sum(length(CAST(message AS BLOB)) + 100), 0)"   \
    " FROM log WHERE log.topic_id = partition.topic_id AND log.partition = partition.number)"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    DRAW_IDS,
    OWNED,
    ADD_TOPIC,
    ADD_PARTITION,
    ADD_PRODUCER,
    ADD_CONSUMER,
    ADD_POSITION,
    ADVANCE,
    ADD_MESSAGE,
    SET_SEQUENCE,
    SET_POSITION,
    SET_RETENTION,
    CREATE_SEGMENT,
    ROLL,
    TRIM,
    REMOVE_SEGMENTS,
    NEXT_SWEEP,
    SWEEP,
    WRITE_OVER,
    RESOLVE,
    READ,
    FIND,
    PING,
    STATEMENTS
};

/* Names first (?1 is the text where there is one), so that all integers follow in order. */
static const char *const statement_sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [DRAW_IDS] = "UPDATE id_counter SET last_id = last_id + ?2 WHERE kind = ?1 RETURNING last_id",
    [OWNED] = "SELECT 1 FROM ownership WHERE epoch = ?2",
    [ADD_TOPIC] = "INSERT INTO topic (name, id, created_at_ms) VALUES (?1, ?2, ?3)"
                  " ON CONFLICT (id) DO NOTHING",
    [ADD_PARTITION] = "INSERT INTO partition (topic_id, number) VALUES (?2, 0)"
                      " ON CONFLICT DO NOTHING",
    [ADD_PRODUCER] = "INSERT INTO producer (id, topic_id, registered_at_ms) VALUES (?2, ?3, ?4)"
                     " ON CONFLICT DO NOTHING",
    [ADD_CONSUMER] = "INSERT INTO consumer (id, topic_id, registered_at_ms) VALUES (?2, ?3, ?4)"
                     " ON CONFLICT DO NOTHING",
    [ADD_POSITION] = "INSERT INTO consumer_position (consumer_id, partition, \"offset\")"
                     " VALUES (?2, 0, ?3) ON CONFLICT DO NOTHING",
    [ADVANCE] = "UPDATE partition SET next_offset = next_offset + ?6, bytes = bytes + ?7"
                " WHERE topic_id = ?2 AND number = ?3 AND epoch = ?4 AND next_offset = ?5",
    [ADD_MESSAGE] = "INSERT INTO log (message, topic_id, partition, \"offset\", producer_id,"
                    " sequence, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, -1), ?7)",
    [SET_SEQUENCE] =
        "INSERT INTO producer_sequence (producer_id, partition, sequence, \"offset\")"
        " VALUES (?2, ?3, ?4, ?5) ON CONFLICT (producer_id, partition)"
        " DO UPDATE SET sequence = excluded.sequence, \"offset\" = excluded.\"offset\"",
    [SET_POSITION] = "UPDATE consumer_position SET \"offset\" = ?6"
                     " WHERE consumer_id = ?2 AND partition = ?4 AND EXISTS (SELECT 1"
                     " FROM partition WHERE topic_id = ?3 AND number = ?4 AND epoch = ?5)",
    [SET_RETENTION] = "UPDATE topic SET retention_bytes = nullif(?3, -1),"
                      " retention_age_s = nullif(?4, -1), retention_unread = nullif(?5, -1)"
                      " WHERE id = ?2",
    [CREATE_SEGMENT] = "INSERT INTO segment (id, topic_id, partition) VALUES (?2, ?3, ?4)",
    [ROLL] = "UPDATE segment SET first_offset = ?6, first_bytes = ?7, opened_at_ms = ?8"
             " WHERE id = ?2 AND EXISTS (SELECT 1 FROM partition"
             " WHERE topic_id = ?3 AND number = ?4 AND epoch = ?5)",
    [TRIM] = "UPDATE partition SET first_offset = ?5"
             " WHERE topic_id = ?2 AND number = ?3 AND epoch = ?4",
    [REMOVE_SEGMENTS] = "DELETE FROM segment WHERE topic_id = ?2 AND partition = ?3"
                        " AND first_offset < ?4",
    [NEXT_SWEEP] = "SELECT topic_id, number, first_offset, low FROM (SELECT topic_id, number,"
                   " first_offset, (SELECT min(\"offset\") FROM log WHERE topic_id = p.topic_id"
                   " AND partition = p.number) AS low FROM partition AS p WHERE first_offset > 0)"
                   " WHERE low < first_offset LIMIT 1",
    [SWEEP] = "DELETE FROM log WHERE topic_id = ?2 AND partition = ?3 AND \"offset\" < ?4",
    [WRITE_OVER] = "UPDATE ownership SET written_over = written_over + 1",
    [RESOLVE] = "SELECT next_offset, epoch FROM partition WHERE topic_id = ?2 AND number = ?3",
    [READ] = "SELECT \"offset\", message FROM log WHERE topic_id = ?2 AND partition = ?3"
             " AND \"offset\" >= ?4 ORDER BY \"offset\" LIMIT ?5",
    [FIND] = "SELECT \"offset\" FROM log WHERE topic_id = ?2 AND partition = ?3"
             " AND \"offset\" <= ?4 AND producer_id = ?5 AND sequence = ?6"
             " ORDER BY \"offset\" DESC LIMIT 1",
    [PING] = "SELECT epoch FROM ownership",
};

struct sqlite_store {
    struct store store;
    char *path; /* begins with '/' or "./": SQLite gives other beginnings a meaning of their own */
    int busy_limit_ms;
    atomic_bool given_up; /* nobody waits for another's lock any more */
    struct mutex lock;    /* rank: MUTEX_STORE */
    int lock_fd;          /* -1 until the first revive(), which is guarded by lock; then fixed */
};

struct sqlite_session {
    struct store_session session;
    sqlite3 *db;                          /* NULL: revive() opens it */
    sqlite3_stmt *statements[STATEMENTS]; /* prepared at their first use */
    int64_t owner_epoch;                  /* from load(): under which this session may register */
    int64_t now_ms;                       /* since 1970, when the transaction began */
    int64_t busy_until_ms;                /* clock_now_ms(): how long to wait for another's lock */
    int wal_pages;                        /* after the last commit */
    int checkpoint_at_pages;
};

static struct sqlite_session *sqlite_of(struct store_session *session)
{
    return (struct sqlite_session *)(void *)session;
}

static struct sqlite_store *store_of(const struct sqlite_session *s)
{
    return (struct sqlite_store *)(void *)s->session.store;
}

/* ---- what went wrong ------------------------------------------------------------------ */

/* Of a failure that has left nothing behind. */
static enum status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STATUS_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        return STATUS_STORE_AWAY;
    case SQLITE_NOMEM:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_INTERNAL;
    }
}

static enum status refused(struct sqlite_session *s, int code, const char *what)
{
    enum status status = status_of(code);

    if (status != STATUS_OK) {
        log_write(status == STATUS_STORE_AWAY ? LOG_WARN : LOG_ERROR, "store_refused",
                  (const struct log_field[]){LOG_STR("what", what), LOG_INT("sqlite", code),
                                             LOG_STR("why", sqlite3_errmsg(s->db))},
                  3);
    }
    return status;
}

/* One line for a person who starts a broker. */
static enum status explain(struct sqlite_session *s, int code, char error[STORE_ERROR_BYTES_MAX])
{
    int system_errno = s->db == NULL ? 0 : sqlite3_system_errno(s->db);
    const char *why = s->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(s->db);
    bool add_errno = system_errno != 0 && status_of(code) == STATUS_STORE_AWAY;

    snprintf(error, STORE_ERROR_BYTES_MAX, "'%.300s': %.100s%s%.60s", store_of(s)->path, why,
             add_errno ? ": " : "", add_errno ? strerror(system_errno) : "");
    return status_of(code);
}

/* ---- statements -------------------------------------------------------------------------- */

#define INTS(...)                                                                                  \
    (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

/* The statement with its text (data NULL: it has none) and integers, ready to step. The text
 * is borrowed until then. NULL: *code says why. */
static sqlite3_stmt *bound(struct sqlite_session *s, enum statement which, struct slice text,
                           const int64_t *ints, size_t count, int *code)
{
    sqlite3_stmt **statement = &s->statements[which];

    *code = SQLITE_OK;
    if (*statement == NULL) {
        *code = sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                   statement, NULL);
    }
    if (*code == SQLITE_OK && text.data != NULL) {
        *code =
            sqlite3_bind_text64(*statement, 1, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
    }
    for (size_t i = 0; *code == SQLITE_OK && i < count; i++) {
        *code = sqlite3_bind_int64(*statement, (int)i + 2, ints[i]);
    }
    return *code == SQLITE_OK ? *statement : NULL;
}

/* Run a statement to its end. `first` (may be NULL) is its first row's first column; *rows
 * (may be NULL) how many rows it gave or changed. SQLITE_OK or why not. */
static int run(struct sqlite_session *s, enum statement which, struct slice text,
               const int64_t *ints, size_t count, int64_t *first, int *rows)
{
    int code;
    int given = 0;
    sqlite3_stmt *statement = bound(s, which, text, ints, count, &code);

    while (statement != NULL && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (given++ == 0 && first != NULL) {
            *first = sqlite3_column_int64(statement, 0);
        }
    }
    if (statement != NULL && rows != NULL) {
        *rows = sqlite3_column_count(statement) > 0 ? given : sqlite3_changes(s->db);
    }
    if (statement != NULL) {
        sqlite3_reset(statement);
    }
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static const struct slice no_text = {NULL, 0};

/* A statement of a transaction that gives no rows. */
static enum status change(struct sqlite_session *s, enum statement which, struct slice text,
                          const int64_t *ints, size_t count)
{
    int code = run(s, which, text, ints, count, NULL, NULL);

    return code == SQLITE_OK ? STATUS_OK : refused(s, code, statement_sql[which]);
}

/* One that changes one row, unless another broker has become the owner. */
static enum status change_owned(struct sqlite_session *s, enum statement which, const int64_t *ints,
                                size_t count)
{
    int rows = 0;
    int code = run(s, which, no_text, ints, count, NULL, &rows);

    if (code != SQLITE_OK) {
        return refused(s, code, statement_sql[which]);
    }
    return rows == 1 ? STATUS_OK : STATUS_FENCED;
}

/* What goes into a file that was deleted meanwhile, nobody would find again. */
static bool deleted(const struct sqlite_session *s)
{
    struct stat file;

    return fstat(store_of(s)->lock_fd, &file) != 0 || file.st_nlink == 0;
}

static enum status begin(struct sqlite_session *s)
{
    struct timespec now;

    if (s->db == NULL || deleted(s)) {
        return STATUS_STORE_AWAY; /* revive() says why */
    }
    clock_gettime(CLOCK_REALTIME, &now);
    s->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return change(s, BEGIN, no_text, NULL, 0);
}

static void close_file(struct sqlite_session *s)
{
    for (size_t i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

/* Whatever happens, no transaction is open afterwards. Many failures have rolled back. */
static void roll_back(struct sqlite_session *s)
{
    if (s->db != NULL && !sqlite3_get_autocommit(s->db)) {
        run(s, ROLLBACK, no_text, NULL, 0, NULL, NULL);
        if (!sqlite3_get_autocommit(s->db)) {
            close_file(s);
        }
    }
}

/* ---- others' locks -------------------------------------------------------------------------- */

/* Somebody else holds the lock that a call needs: 1 to try again. */
static int on_busy(void *arg, int tries)
{
    struct sqlite_session *s = arg;
    int64_t now_ms = clock_now_ms();

    if (tries == 0) {
        s->busy_until_ms = now_ms + store_of(s)->busy_limit_ms;
    }
    if (now_ms >= s->busy_until_ms || atomic_load(&store_of(s)->given_up)) {
        return 0;
    }
    usleep(tries < BUSY_QUICK_TRIES ? BUSY_QUICK_US : BUSY_PAUSE_US);
    return 1;
}

/* ---- the write-ahead log ------------------------------------------------------------------- */

/*
 * Called after each commit with the size of the write-ahead log: write it to the tables from
 * time to time, so that it can begin anew. Passive, that takes no longer than the disk does.
 * But where readers follow each other closely it never comes to an end, so beyond the limit
 * wait for them. A failure costs nothing but that the log grows; the next try mends it.
 */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_session *s = arg;

    if (pages < s->wal_pages) { /* it has begun anew */
        s->checkpoint_at_pages = CHECKPOINT_PAGES;
    }
    s->wal_pages = pages;
    if (pages < s->checkpoint_at_pages) {
        return SQLITE_OK;
    }
    s->checkpoint_at_pages = pages + CHECKPOINT_PAGES; /* not again at every commit */
    if (pages < WAL_PAGES_LIMIT) {
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    } else {
        sqlite3_busy_timeout(db, WAL_RESTART_WAIT_MS);
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        sqlite3_busy_handler(db, on_busy, s);
    }
    return SQLITE_OK;
}

/* ---- sessions -------------------------------------------------------------------------- */

static struct store_session *sqlite_session_open(struct store *store)
{
    struct sqlite_session *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->session.store = store;
    return &s->session;
}

static void sqlite_session_close(struct store_session *session)
{
    if (session != NULL) {
        close_file(sqlite_of(session));
        free(session);
    }
}

/* Make the file if there is none, and become its only broker. */
static enum status lock_file(struct sqlite_store *store, char error[STORE_ERROR_BYTES_MAX])
{
    enum status status = STATUS_OK;

    mutex_lock(&store->lock);
    if (store->lock_fd < 0) {
        int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) {
            snprintf(error, STORE_ERROR_BYTES_MAX, "'%.300s' cannot be opened: %.100s%s",
                     store->path, strerror(errno),
                     errno == ENOENT ? " (its folder must exist)" : "");
            status = STATUS_INTERNAL;
        } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            snprintf(error, STORE_ERROR_BYTES_MAX, "'%.300s' %s%.100s", store->path,
                     errno == EWOULDBLOCK ? "is in use by another broker" : "cannot be locked: ",
                     errno == EWOULDBLOCK ? "" : strerror(errno));
            status = errno == EWOULDBLOCK ? STATUS_STORE_AWAY : STATUS_INTERNAL;
            close(fd); /* no session is open yet, whose locks this would drop */
        } else {
            store->lock_fd = fd;
        }
    }
    mutex_unlock(&store->lock);
    return status;
}

static enum status sqlite_revive(struct store_session *session, int limit_ms,
                                 char error[STORE_ERROR_BYTES_MAX])
{
    struct sqlite_session *s = sqlite_of(session);
    struct sqlite_store *store = store_of(s);
    (void)limit_ms; /* opening does not wait */

    if (s->db != NULL && deleted(s)) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "'%.300s' has been deleted", store->path);
        return STATUS_STORE_AWAY;
    }
    if (s->db != NULL) {
        return STATUS_OK;
    }
    enum status status = lock_file(store, error);
    if (status != STATUS_OK) {
        return status;
    }
    int code =
        sqlite3_open_v2(store->path, &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_handler(s->db, on_busy, s);
        code = sqlite3_exec(s->db, SESSION_SQL, NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        status = explain(s, code, error);
        close_file(s);
        return status;
    }
    s->wal_pages = 0;
    s->checkpoint_at_pages = CHECKPOINT_PAGES;
    sqlite3_wal_hook(s->db, on_commit, s);
    return STATUS_OK;
}

/* ---- load ------------------------------------------------------------------------------ */

static enum status load_exec(struct sqlite_session *s, const char *sql,
                             char error[STORE_ERROR_BYTES_MAX])
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? STATUS_OK : explain(s, code, error);
}

/* The first column of the first row, as a number and as text. */
static enum status load_value(struct sqlite_session *s, const char *sql, int64_t *number,
                              char text[16], char error[STORE_ERROR_BYTES_MAX])
{
    sqlite3_stmt *statement = NULL;

    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        snprintf(text, 16, "%s", (const char *)sqlite3_column_text(statement, 0));
        code = SQLITE_OK;
    }
    enum status status = code == SQLITE_OK ? STATUS_OK : explain(s, code, error);
    sqlite3_finalize(statement);
    return status;
}

/* Another program's database stays as it is. */
static enum status check_ours(struct sqlite_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    char text[16];

    enum status status = load_value(s, "PRAGMA application_id", &application, text, error);
    if (status == STATUS_OK) {
        status = load_value(s, "PRAGMA user_version", &version, text, error);
    }
    if (status == STATUS_OK) {
        status = load_value(s, "SELECT count(*) FROM sqlite_schema", &tables, text, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (application != APPLICATION_ID && (application != 0 || tables != 0)) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "'%.300s' is another program's SQLite database",
                 store_of(s)->path);
        return STATUS_INTERNAL;
    }
    if (version > SCHEMA_VERSION) {
        snprintf(error, STORE_ERROR_BYTES_MAX,
                 "'%.300s' has schema version %lld, made by a newer broker; this one knows %d",
                 store_of(s)->path, (long long)version, SCHEMA_VERSION);
        return STATUS_INTERNAL;
    }
    if (sqlite3_db_readonly(s->db, "main") != 0) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "'%.300s' may not be written", store_of(s)->path);
        return STATUS_INTERNAL;
    }
    return STATUS_OK;
}

static enum status use_write_ahead_log(struct sqlite_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    int64_t number;
    char mode[16];

    enum status status = load_value(s, "PRAGMA journal_mode = WAL", &number, mode, error);
    if (status == STATUS_OK && strcmp(mode, "wal") != 0) {
        snprintf(error, STORE_ERROR_BYTES_MAX,
                 "'%.300s': its file system cannot hold SQLite's write-ahead log",
                 store_of(s)->path);
        status = STATUS_INTERNAL;
    }
    return status;
}

static enum status make_schema(struct sqlite_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    char sql[128];
    char text[16];
    int64_t version = 0;

    enum status status = load_value(s, "PRAGMA user_version", &version, text, error);
    if (status == STATUS_OK && version == 1) {
        status = load_exec(s, MIGRATE_SQL, error);
    }
    if (status == STATUS_OK) {
        status = load_exec(s, sqlite_schema_sql, error);
    }
    if (status == STATUS_OK) {
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 APPLICATION_ID, SCHEMA_VERSION);
        status = load_exec(s, sql, error);
    }
    return status;
}

static enum status take_ownership(struct sqlite_session *s, char error[STORE_ERROR_BYTES_MAX])
{
    char host[65] = "?";
    char text[16];
    char *sql;

    enum status status = load_value(s, "UPDATE ownership SET epoch = epoch + 1 RETURNING epoch",
                                    &s->owner_epoch, text, error);
    if (status != STATUS_OK) {
        return status;
    }
    gethostname(host, sizeof host - 1);
    sql = sqlite3_mprintf("UPDATE partition SET epoch = epoch + 1, owner = '%q:%d'", host,
                          (int)getpid());
    status = sql == NULL ? STATUS_NO_MEMORY : load_exec(s, sql, error);
    sqlite3_free(sql);
    if (status == STATUS_OK) { /* made by the owner before, who can no longer use it */
        status = load_exec(s, "DELETE FROM segment WHERE first_offset IS NULL", error);
    }
    return status;
}

static enum status load_topic(const struct store_loader *l, sqlite3_stmt *r)
{
    const char *name = (const char *)sqlite3_column_text(r, 1);
    const struct store_topic topic = {
        .id = sqlite3_column_int64(r, 0),
        .name = {name, (size_t)sqlite3_column_bytes(r, 1)},
        .retention = {sqlite3_column_int64(r, 2), sqlite3_column_int64(r, 3),
                      sqlite3_column_int(r, 4)},
    };

    return name == NULL ? STATUS_NO_MEMORY : l->topic(l->arg, &topic);
}

static enum status load_partition(const struct store_loader *l, sqlite3_stmt *r)
{
    const struct store_partition partition = {
        .topic_id = sqlite3_column_int64(r, 0),
        .number = sqlite3_column_int(r, 1),
        .next_offset = sqlite3_column_int64(r, 2),
        .epoch = sqlite3_column_int64(r, 3),
        .first_offset = sqlite3_column_int64(r, 4),
        .bytes = sqlite3_column_int64(r, 5),
    };

    return l->partition(l->arg, &partition);
}

static enum status load_segment(const struct store_loader *l, sqlite3_stmt *r)
{
    const struct store_segment segment = {
        .id = sqlite3_column_int64(r, 0),
        .topic_id = sqlite3_column_int64(r, 1),
        .partition = sqlite3_column_int(r, 2),
        .first_offset = sqlite3_column_int64(r, 3),
        .first_bytes = sqlite3_column_int64(r, 4),
        .opened_ms = sqlite3_column_int64(r, 5),
    };

    return l->segment(l->arg, &segment);
}

static enum status load_producer(const struct store_loader *l, sqlite3_stmt *r)
{
    return l->producer(l->arg, sqlite3_column_int64(r, 0), sqlite3_column_int64(r, 1));
}

static enum status load_sequence(const struct store_loader *l, sqlite3_stmt *r)
{
    struct store_sequence sequence = {sqlite3_column_int64(r, 0), sqlite3_column_int(r, 1),
                                      sqlite3_column_int64(r, 2), sqlite3_column_int64(r, 3)};
    return l->sequence(l->arg, &sequence);
}

static enum status load_consumer(const struct store_loader *l, sqlite3_stmt *r)
{
    return l->consumer(l->arg, sqlite3_column_int64(r, 0), sqlite3_column_int64(r, 1));
}

static enum status load_position(const struct store_loader *l, sqlite3_stmt *r)
{
    return l->position(l->arg, sqlite3_column_int64(r, 0), sqlite3_column_int(r, 1),
                       sqlite3_column_int64(r, 2));
}

static enum status load_rows(struct sqlite_session *s, const struct store_loader *loader,
                             char error[STORE_ERROR_BYTES_MAX])
{
    static const struct {
        const char *sql;
        enum status (*row)(const struct store_loader *loader, sqlite3_stmt *row);
    } tables[] = {
        {"SELECT id, name, coalesce(retention_bytes, -1), coalesce(retention_age_s, -1),"
         " coalesce(retention_unread, -1) FROM topic ORDER BY id",
         load_topic},
        {"SELECT topic_id, number, next_offset, epoch, first_offset, bytes FROM partition",
         load_partition},
        {"SELECT id, topic_id, partition, first_offset, first_bytes, opened_at_ms FROM segment"
         " ORDER BY first_offset",
         load_segment},
        {"SELECT id, topic_id FROM producer", load_producer},
        {"SELECT producer_id, partition, sequence, \"offset\" FROM producer_sequence",
         load_sequence},
        {"SELECT id, topic_id FROM consumer", load_consumer},
        {"SELECT consumer_id, partition, \"offset\" FROM consumer_position", load_position}};
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < sizeof tables / sizeof *tables; i++) {
        sqlite3_stmt *rows = NULL;
        int code = sqlite3_prepare_v2(s->db, tables[i].sql, -1, &rows, NULL);
        while (code == SQLITE_OK && status == STATUS_OK &&
               (code = sqlite3_step(rows)) == SQLITE_ROW) {
            code = SQLITE_OK;
            status = tables[i].row(loader, rows);
            if (status != STATUS_OK) {
                snprintf(error, STORE_ERROR_BYTES_MAX, "loading: %s", status_words(status));
            }
        }
        if (status == STATUS_OK && code != SQLITE_DONE) {
            status = explain(s, code, error);
        }
        sqlite3_finalize(rows);
    }
    return status;
}

static enum status sqlite_load(struct store_session *session, const struct store_loader *loader,
                               char error[STORE_ERROR_BYTES_MAX])
{
    struct sqlite_session *s = sqlite_of(session);

    enum status status = check_ours(s, error);
    if (status == STATUS_OK) {
        status = use_write_ahead_log(s, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_JOURNAL);
        status = load_exec(s, "BEGIN IMMEDIATE", error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_BEGUN);
        status = make_schema(s, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_SCHEMA);
        status = take_ownership(s, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_OWNED);
        status = load_rows(s, loader, error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_LOADED);
        status = load_exec(s, "COMMIT", error);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(START_COMMITTED);
    }
    if (status != STATUS_OK) {
        close_file(s); /* rolls back */
    }
    return status;
}

/* ---- commit ---------------------------------------------------------------------------- */

/* *first = the first of `count` new ids. */
static enum status draw_ids(struct sqlite_session *s, const char *kind, size_t count,
                            int64_t *first)
{
    int64_t last = 0;

    if (count == 0) {
        return STATUS_OK;
    }
    int code = run(s, DRAW_IDS, slice_of(kind), INTS((int64_t)count), &last, NULL);
    *first = last - (int64_t)count + 1;
    return refused(s, code, "assign_ids");
}

/* A batch gets its ids at once, so the first tells of all. In a transaction of its own: an id
 * that has been given out stays so, whatever becomes of the batch. */
static enum status sqlite_assign_ids(struct store_session *session, struct store_batch *b)
{
    struct sqlite_session *s = sqlite_of(session);
    size_t topics = b->topic_count > 0 && b->topics[0].id == 0 ? b->topic_count : 0;
    size_t producers = b->producer_count > 0 && b->producers[0].id == 0 ? b->producer_count : 0;
    size_t consumers = b->consumer_count > 0 && b->consumers[0].id == 0 ? b->consumer_count : 0;
    int64_t topic_id = 0;
    int64_t producer_id = 0;
    int64_t consumer_id = 0;

    if (topics + producers + consumers == 0) {
        return STATUS_OK;
    }
    enum status status = begin(s);
    if (status == STATUS_OK) {
        status = draw_ids(s, "topic", topics, &topic_id);
    }
    if (status == STATUS_OK) {
        status = draw_ids(s, "producer", producers, &producer_id);
    }
    if (status == STATUS_OK) {
        status = draw_ids(s, "consumer", consumers, &consumer_id);
    }
    if (status == STATUS_OK) {
        status = change(s, COMMIT, no_text, NULL, 0);
    }
    if (status != STATUS_OK) {
        roll_back(s);
        return status;
    }
    for (size_t i = 0; i < topics; i++) {
        b->topics[i].id = topic_id + (int64_t)i;
    }
    for (size_t i = 0; i < producers; i++) {
        b->producers[i].id = producer_id + (int64_t)i;
    }
    for (size_t i = 0; i < consumers; i++) {
        b->consumers[i].id = consumer_id + (int64_t)i;
    }
    return STATUS_OK;
}

static int64_t topic_of(const struct store_batch *b, const struct store_client *client)
{
    return client->topic_id != 0 ? client->topic_id : b->topics[client->topic_index].id;
}

/* Slices without bytes may have no address; SQLite would take that for NULL. */
static struct slice text_of(struct slice text)
{
    return text.size > 0 ? text : (struct slice){"", 0};
}

static enum status add_registrations(struct sqlite_session *s, const struct store_batch *b)
{
    enum status status = STATUS_OK;

    if (b->topic_count + b->producer_count + b->consumer_count > 0) {
        status = change_owned(s, OWNED, INTS(s->owner_epoch));
    }
    for (size_t i = 0; status == STATUS_OK && i < b->topic_count; i++) {
        status = change(s, ADD_TOPIC, text_of(b->topics[i].name), INTS(b->topics[i].id, s->now_ms));
        if (status == STATUS_OK) {
            status = change(s, ADD_PARTITION, no_text, INTS(b->topics[i].id));
        }
        if (status == STATUS_OK) {
            const struct store_retention *r = &b->topics[i].retention;
            status = change(s, SET_RETENTION, no_text,
                            INTS(b->topics[i].id, r->bytes, r->age_s, r->unread));
        }
    }
    for (size_t i = 0; status == STATUS_OK && i < b->producer_count; i++) {
        const struct store_client *c = &b->producers[i];
        status = change(s, ADD_PRODUCER, no_text, INTS(c->id, topic_of(b, c), s->now_ms));
        CRASH_POINT(COMMIT_CLIENTS);
    }
    for (size_t i = 0; status == STATUS_OK && i < b->consumer_count; i++) {
        const struct store_client *c = &b->consumers[i];
        status = change(s, ADD_CONSUMER, no_text, INTS(c->id, topic_of(b, c), s->now_ms));
        if (status == STATUS_OK) {
            status = change(s, ADD_POSITION, no_text, INTS(c->id, c->position));
        }
        CRASH_POINT(COMMIT_CLIENTS);
    }
    return status;
}

static enum status add_messages(struct sqlite_session *s, const struct store_batch *b)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < b->advance_count; i++) {
        const struct store_advance *a = &b->advances[i];
        status = change_owned(
            s, ADVANCE, INTS(a->topic_id, a->partition, a->epoch, a->base, a->count, a->bytes));
        CRASH_POINT(COMMIT_COUNTERS);
    }
    for (size_t i = 0; status == STATUS_OK && i < b->message_count; i++) {
        const struct store_message *m = &b->messages[i];
        status = change(
            s, ADD_MESSAGE, text_of(m->message),
            INTS(m->topic_id, m->partition, m->offset, m->producer_id, m->sequence, s->now_ms));
        CRASH_POINT(COMMIT_MESSAGES);
    }
    for (size_t i = 0; status == STATUS_OK && i < b->sequence_count; i++) {
        const struct store_sequence *q = &b->sequences[i];
        status = change(s, SET_SEQUENCE, no_text,
                        INTS(q->producer_id, q->partition, q->sequence, q->offset));
        CRASH_POINT(COMMIT_SEQUENCES);
    }
    for (size_t i = 0; status == STATUS_OK && i < b->position_count; i++) {
        const struct store_position *p = &b->positions[i];
        status = change_owned(s, SET_POSITION,
                              INTS(p->consumer_id, p->topic_id, p->partition, p->epoch, p->offset));
    }
    return status;
}

static enum status change_segments(struct sqlite_session *s, const struct store_batch *b)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < b->roll_count; i++) {
        const struct store_segment *g = &b->rolls[i].segment;
        status = change_owned(s, ROLL,
                              INTS(g->id, g->topic_id, g->partition, b->rolls[i].epoch,
                                   g->first_offset, g->first_bytes, g->opened_ms));
    }
    for (size_t i = 0; status == STATUS_OK && i < b->trim_count; i++) {
        const struct store_trim *t = &b->trims[i];
        status = change_owned(s, TRIM, INTS(t->topic_id, t->partition, t->epoch, t->first_offset));
        if (status == STATUS_OK) {
            status = change(s, REMOVE_SEGMENTS, no_text,
                            INTS(t->topic_id, t->partition, t->first_offset));
        }
    }
    return status;
}

/* A failed COMMIT may lie in the write-ahead log whole, but for a disk that is full. */
static enum status end_commit(struct sqlite_session *s)
{
    int code = run(s, COMMIT, no_text, NULL, 0, NULL, NULL);
    enum status status = refused(s, code, "commit");

    return status == STATUS_OK || (code & 0xff) == SQLITE_FULL ? status : STATUS_OUTCOME_UNKNOWN;
}

static enum status sqlite_commit(struct store_session *session, const struct store_batch *batch)
{
    struct sqlite_session *s = sqlite_of(session);

    enum status status = begin(s);
    if (status == STATUS_OK) {
        CRASH_POINT(COMMIT_BEGUN);
        status = add_registrations(s, batch);
    }
    if (status == STATUS_OK) {
        status = add_messages(s, batch);
    }
    if (status == STATUS_OK) {
        status = change_segments(s, batch);
    }
    if (status == STATUS_OK) {
        CRASH_POINT(COMMIT_ROWS);
        status = end_commit(s);
    }
    if (status != STATUS_OK) {
        roll_back(s);
    }
    return status;
}

/* Not before a transaction of its own has been written where the unknown one lies. */
static enum status sqlite_resolve(struct store_session *session, const struct store_batch *batch,
                                  bool *committed)
{
    struct sqlite_session *s = sqlite_of(session);
    const struct store_advance *a = &batch->advances[0];
    int64_t next_offset = 0;
    int64_t epoch = 0;
    int code = SQLITE_OK;

    assert(batch->advance_count > 0);
    enum status status = begin(s);
    if (status != STATUS_OK) {
        return status;
    }
    status = change(s, WRITE_OVER, no_text, NULL, 0);
    sqlite3_stmt *row = status == STATUS_OK
                            ? bound(s, RESOLVE, no_text, INTS(a->topic_id, a->partition), &code)
                            : NULL;
    if (row != NULL) {
        code = sqlite3_step(row);
        next_offset = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
        epoch = code == SQLITE_ROW ? sqlite3_column_int64(row, 1) : 0;
        sqlite3_reset(row);
    }
    if (status == STATUS_OK) {
        status = refused(s, code, "resolve");
    }
    if (status == STATUS_OK) {
        status = end_commit(s);
    }
    if (status != STATUS_OK) {
        roll_back(s);
        return status;
    }
    *committed = next_offset == a->base + a->count;
    return epoch == a->epoch && (*committed || next_offset == a->base) ? STATUS_OK : STATUS_FENCED;
}

/* ---- reading --------------------------------------------------------------------------- */

static enum status take_row(sqlite3_stmt *row, int64_t expected, struct store_range *range)
{
    const char *message = sqlite3_column_blob(row, 1); /* NULL when empty */
    size_t size = (size_t)sqlite3_column_bytes(row, 1);

    if (sqlite3_column_int64(row, 0) != expected) { /* not by us: offsets are dense */
        log_error("rows_missing", LOG_INT("offset", expected));
        return STATUS_INTERNAL;
    }
    return range_add(range, (struct slice){message, size}) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status sqlite_read(struct store_session *session, int64_t topic_id, int32_t partition,
                               int64_t segment, int64_t from, size_t count_max, size_t bytes_max,
                               struct store_range *range)
{
    struct sqlite_session *s = sqlite_of(session);
    (void)segment; /* all are in one table */
    enum status status = STATUS_OK;
    int code = SQLITE_DONE;

    if (s->db == NULL) {
        return STATUS_STORE_AWAY;
    }
    sqlite3_stmt *rows =
        bound(s, READ, no_text, INTS(topic_id, partition, from, (int64_t)count_max), &code);
    while (rows != NULL && status == STATUS_OK &&
           (range->count == 0 || range->bytes.size < bytes_max) &&
           (code = sqlite3_step(rows)) == SQLITE_ROW) {
        status = take_row(rows, from + (int64_t)range->count, range);
    }
    if (status == STATUS_OK) {
        status = refused(s, code, "read");
    }
    if (rows != NULL) {
        sqlite3_reset(rows);
    }
    return status;
}

static enum status sqlite_find_sequence(struct store_session *session,
                                        const struct store_sequence *wanted, int64_t topic_id,
                                        int64_t segment, int64_t offset_max, int64_t *offset)
{
    struct sqlite_session *s = sqlite_of(session);
    int64_t found = -1;
    (void)segment;

    if (s->db == NULL) {
        return STATUS_STORE_AWAY;
    }
    int code =
        run(s, FIND, no_text,
            INTS(topic_id, wanted->partition, offset_max, wanted->producer_id, wanted->sequence),
            &found, NULL);
    if (code != SQLITE_OK) {
        return refused(s, code, "find");
    }
    if (found < 0) {
        return STATUS_NO_MESSAGE;
    }
    *offset = found;
    return STATUS_OK;
}

/* ---- segments -------------------------------------------------------------------------- */

static enum status sqlite_create_segment(struct store_session *session, int64_t topic_id,
                                         int32_t partition, int64_t *id)
{
    struct sqlite_session *s = sqlite_of(session);

    enum status status = begin(s);
    if (status == STATUS_OK) {
        status = draw_ids(s, "segment", 1, id);
    }
    if (status == STATUS_OK) {
        status = change(s, CREATE_SEGMENT, no_text, INTS(*id, topic_id, partition));
    }
    if (status == STATUS_OK) {
        status = end_commit(s);
    }
    if (status != STATUS_OK) {
        roll_back(s);
    }
    return status;
}

/* Rows before their partition's first offset, as many as should go at once: topic, partition
 * and the offset behind them; false: there are none. */
static bool next_to_sweep(struct sqlite_session *s, int64_t where[3], int *code)
{
    sqlite3_stmt *row = bound(s, NEXT_SWEEP, no_text, NULL, 0, code);
    bool found = false;

    if (row != NULL) {
        *code = sqlite3_step(row);
        found = *code == SQLITE_ROW;
        if (found) {
            int64_t end = sqlite3_column_int64(row, 2);
            int64_t low = sqlite3_column_int64(row, 3);
            int64_t rows = (end - low) / SWEEP_PART;
            rows = rows < SWEEP_ROWS_MIN ? SWEEP_ROWS_MIN : rows;
            rows = rows > SWEEP_ROWS_MAX ? SWEEP_ROWS_MAX : rows;
            where[0] = sqlite3_column_int64(row, 0);
            where[1] = sqlite3_column_int64(row, 1);
            where[2] = end - low > rows ? low + rows : end;
        }
        sqlite3_reset(row);
    }
    return found;
}

static enum status sqlite_sweep(struct store_session *session, bool *done)
{
    struct sqlite_session *s = sqlite_of(session);
    int64_t where[3];
    int code = SQLITE_OK;

    *done = false;
    enum status status = begin(s);
    if (status != STATUS_OK) {
        return status;
    }
    bool found = next_to_sweep(s, where, &code);
    status = refused(s, code, "sweep");
    if (found) {
        status = change(s, SWEEP, no_text, INTS(where[0], where[1], where[2]));
        CRASH_POINT(SWEEP_BEGUN);
    }
    if (status == STATUS_OK) {
        status = end_commit(s);
    }
    if (status != STATUS_OK) {
        roll_back(s);
    }
    *done = status == STATUS_OK && !found;
    usleep(SWEEP_PAUSE_US);
    return status;
}

static enum status sqlite_ping(struct store_session *session)
{
    struct sqlite_session *s = sqlite_of(session);

    return s->db == NULL ? STATUS_STORE_AWAY
                         : refused(s, run(s, PING, no_text, NULL, 0, NULL, NULL), "ping");
}

static void sqlite_give_up(struct store *store)
{
    atomic_store(&((struct sqlite_store *)(void *)store)->given_up, true);
}

static void sqlite_destroy(struct store *store)
{
    struct sqlite_store *s = (struct sqlite_store *)(void *)store;

    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    mutex_release(&s->lock);
    free(s->path);
    free(s);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .session_open = sqlite_session_open,
    .session_close = sqlite_session_close,
    .revive = sqlite_revive,
    .load = sqlite_load,
    .assign_ids = sqlite_assign_ids,
    .commit = sqlite_commit,
    .resolve = sqlite_resolve,
    .read = sqlite_read,
    .find_sequence = sqlite_find_sequence,
    .create_segment = sqlite_create_segment,
    .sweep = sqlite_sweep,
    .ping = sqlite_ping,
    .give_up = sqlite_give_up,
    .destroy = sqlite_destroy,
};

struct store *sqlite_store_create(const char *path, int wait_ms, char error[STORE_ERROR_BYTES_MAX])
{
    size_t size = strlen(path) + sizeof "./";
    struct sqlite_store *store = NULL;
    char *copy = NULL;

    if (path[0] == '\0') {
        snprintf(error, STORE_ERROR_BYTES_MAX, "'sqlite:' needs a file: sqlite:PATH");
        return NULL;
    }
    store = calloc(1, sizeof *store);
    copy = malloc(size);
    if (store == NULL || copy == NULL) {
        snprintf(error, STORE_ERROR_BYTES_MAX, "out of memory");
        free(store);
        free(copy);
        return NULL;
    }
    snprintf(copy, size, "%s%s", path[0] == '/' ? "" : "./", path);
    store->store.ops = &sqlite_ops;
    store->path = copy;
    store->busy_limit_ms = wait_ms < BUSY_LIMIT_MS ? wait_ms : BUSY_LIMIT_MS;
    store->lock_fd = -1;
    mutex_init(&store->lock, MUTEX_STORE);
    return &store->store;
}
