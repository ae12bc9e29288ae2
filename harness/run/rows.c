/*
 * rows.c - what the store has, in the two stores' dialects of JSON: first where the log begins of
 * topics whose old messages have been removed, then the messages.
 *
 * They have the name rows.jsonl only once they are all there: what is missing in it was not in
 * the store.
 */
#include "harness/run/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS_SQL(json_object)                                                                      \
    "SELECT " json_object "('topic', t.name, 'partition', l.partition, 'offset', l.\"offset\", "   \
    "'producer_id', l.producer_id, 'sequence', l.sequence, 'message', l.message) "

#define REMOVED_SQL(json_object)                                                                   \
    "SELECT " json_object "('topic', t.name, 'first_offset', p.first_offset) "

#define POSTGRES_REMOVED_SQL                                                                       \
    REMOVED_SQL("json_build_object")                                                               \
    "FROM myqueue.partition p JOIN myqueue.topic t ON t.id = p.topic_id WHERE p.first_offset > 0"

#define POSTGRES_SQL                                                                               \
    ROWS_SQL("json_build_object")                                                                  \
    "FROM myqueue.log l JOIN myqueue.topic t ON t.id = l.topic_id "                                \
    "ORDER BY t.name, l.partition, l.\"offset\""

#define SQLITE_REMOVED_SQL                                                                         \
    REMOVED_SQL("json_object")                                                                     \
    "FROM partition p JOIN topic t ON t.id = p.topic_id WHERE p.first_offset > 0"

#define SQLITE_SQL                                                                                 \
    ROWS_SQL("json_object")                                                                        \
    "FROM log l JOIN topic t ON t.id = l.topic_id ORDER BY t.name, l.partition, l.\"offset\""

static bool rows_write(sqlite3 *db, const char *sql, FILE *out, int *code)
{
    sqlite3_stmt *rows = NULL;

    *code = sqlite3_prepare_v2(db, sql, -1, &rows, NULL);
    while (*code == SQLITE_OK || *code == SQLITE_ROW) {
        *code = sqlite3_step(rows);
        const unsigned char *row = *code == SQLITE_ROW ? sqlite3_column_text(rows, 0) : NULL;
        if (*code == SQLITE_ROW && (row == NULL || fprintf(out, "%s\n", row) < 0)) {
            break;
        }
    }
    sqlite3_finalize(rows);
    return *code == SQLITE_DONE;
}

/* The broker has ended, or was killed: what it had not moved from the write-ahead log into
 * the file is found by SQLite as a broker would find it. */
static bool sqlite_read(struct runtime *rt, const char *path, FILE *out)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    bool done = code == SQLITE_OK && rows_write(db, SQLITE_REMOVED_SQL, out, &code) &&
                rows_write(db, SQLITE_SQL, out, &code);

    if (!done) {
        control_fail(rt->control, NULL, "the rows of %s cannot be read: %s", path,
                     db != NULL && code != SQLITE_ROW ? sqlite3_errmsg(db) : strerror(errno));
    }
    sqlite3_close(db);
    return done;
}

/* A server that synced nothing may have forgotten the whole log: then there are no rows. */
static bool postgres_read(struct runtime *rt, FILE *out)
{
    struct stat s;

    if (!runtime_query(rt, "SELECT 'none' WHERE to_regclass('myqueue.log') IS NULL", fileno(out)) ||
        fstat(fileno(out), &s) != 0) {
        return false;
    }
    return s.st_size > 0 ? ftruncate(fileno(out), 0) == 0
                         : runtime_query(rt, POSTGRES_REMOVED_SQL, fileno(out)) &&
                               runtime_query(rt, POSTGRES_SQL, fileno(out));
}

static bool rows_to(struct runtime *rt, FILE *out)
{
    char path[PATH_MAX];

    if (rt->settings->store == STORE_POSTGRES) {
        return postgres_read(rt, out);
    }
    return runtime_end_broker(rt) && rt->ops->database(rt, path) && sqlite_read(rt, path, out);
}

bool rows_read(struct runtime *rt, const struct record *record)
{
    enum scenario_store store = rt->settings->store;
    char path[PATH_MAX];
    char part[PATH_MAX];

    if (store == STORE_MEMORY ||
        (store == STORE_POSTGRES && !process_runs(&rt->services[TARGET_POSTGRES]))) {
        return true; /* it has none; or the run was given up because of that */
    }
    control_step(rt->control, "reading the store's rows");
    record_path(record, path, "rows.jsonl");
    record_path(record, part, "rows.jsonl.part");
    FILE *out = fopen(part, "we");
    if (out == NULL) {
        return control_fail(rt->control, NULL, "cannot write %s: %s", part, strerror(errno));
    }
    bool done = rows_to(rt, out);
    if (fclose(out) != 0 && done) {
        done = control_fail(rt->control, NULL, "cannot write %s: %s", part, strerror(errno));
    }
    if (!done) {
        unlink(part);
        return false;
    }
    return rename(part, path) == 0 ||
           control_fail(rt->control, NULL, "cannot write %s: %s", path, strerror(errno));
}
