/*
 * pg.c - libpq's asynchronous calls, each followed by a poll() with a deadline.
 *
 * Binary arrays (src/backend/utils/adt/arrayfuncs.c, array_recv): int32 dimensions, int32
 * has-nulls, int32 element type; per dimension int32 size, int32 lower bound; then each
 * element as int32 size and its bytes; all in network order. No elements: 0 dimensions.
 *
 * Rows for COPY (the manual, COPY, "Binary Format"): a header of 19 bytes; each row as int16
 * columns, and its values like the elements of an array; int16 -1.
 */
#include "common/pg.h"

#include "common/clock.h"
#include "common/crashpoint.h"

#include <assert.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_CHUNK_BYTES 65536 /* libpq copies what it is given: so much at a time */

#define OID_INT8 20
#define OID_INT4 23
#define OID_TEXT 25

struct pg {
    PGconn *connection; /* NULL once lost */
    int stop_fd;        /* -1: none */
    char sqlstate[6];
    char message[PG_ERROR_BYTES_MAX];
    bool pipeline_failed; /* before its end: nothing of it may count */
};

/* libpq's messages have several lines; ours have one. */
static void one_line(char out[PG_ERROR_BYTES_MAX], const char *message)
{
    size_t size = 0;

    for (const char *p = message; *p != '\0' && size < PG_ERROR_BYTES_MAX - 1; p++) {
        out[size++] = *p == '\n' || *p == '\t' ? ' ' : *p;
    }
    while (size > 0 && out[size - 1] == ' ') {
        size--;
    }
    out[size] = '\0';
}

static const char *find_port(const PQconninfoOption *options)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, "port") == 0) {
            return options->val;
        }
    }
    return NULL;
}

bool pg_url_valid(const char *url, char error[PG_ERROR_BYTES_MAX])
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &message);

    if (options == NULL) {
        one_line(error, message != NULL ? message : "out of memory");
        PQfreemem(message);
        return false;
    }
    const char *port = find_port(options);
    bool valid = port == NULL || strspn(port, "0123456789,") == strlen(port);
    if (!valid) { /* libpq would find out only when it connects */
        snprintf(error, PG_ERROR_BYTES_MAX, "'%.100s' is no port number", port);
    }
    PQconninfoFree(options);
    return valid;
}

/* Wait until the socket is ready; false when the time is over, or nobody wants to wait. */
static bool wait_socket(const struct pg *pg, short events, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_now_ms();
    struct pollfd ready[] = {{.fd = PQsocket(pg->connection), .events = events},
                             {.fd = pg->stop_fd, .events = POLLIN}};

    return left_ms > 0 && ready[0].fd >= 0 && poll(ready, 2, (int)left_ms) != 0 &&
           ready[1].revents == 0;
}

static bool connect_poll(const struct pg *pg, int64_t deadline_ms)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED ||
            !wait_socket(pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms)) {
            return false;
        }
        state = PQconnectPoll(pg->connection);
    }
    return true;
}

/* The server's notices (a table that exists already) are of no use in our log. */
static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

struct pg *pg_connect(const char *url, const char *options, int stop_fd, int limit_ms,
                      char error[PG_ERROR_BYTES_MAX])
{
    /* What comes first is a default that the URL, behind it, may override. */
    const char *keywords[] = {
        "application_name", "client_encoding", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "options",         "dbname",          NULL};
    const char *values[] = {"myqueue-broker", "UTF8", "5", "2", "3", options, url, NULL};
    int64_t deadline_ms = clock_now_ms() + limit_ms;
    struct pg *pg = calloc(1, sizeof *pg);

    if (pg == NULL) {
        snprintf(error, PG_ERROR_BYTES_MAX, "out of memory");
        return NULL;
    }
    pg->stop_fd = stop_fd;
    pg->connection = PQconnectStartParams(keywords, values, 1);
    if (pg->connection == NULL || PQstatus(pg->connection) == CONNECTION_BAD ||
        !connect_poll(pg, deadline_ms)) {
        const char *message =
            pg->connection == NULL ? "out of memory" : PQerrorMessage(pg->connection);
        one_line(error, message);
        if (*error == '\0' || error[strlen(error) - 1] == ':') { /* libpq was still trying */
            strncat(error, " the server does not answer", PG_ERROR_BYTES_MAX - strlen(error) - 1);
        }
        pg_close(pg);
        return NULL;
    }
    PQsetNoticeReceiver(pg->connection, ignore_notice, NULL);
    PQsetnonblocking(pg->connection, 1);
    return pg;
}

void pg_close(struct pg *pg)
{
    if (pg == NULL) {
        return;
    }
    PQfinish(pg->connection);
    free(pg);
}

bool pg_connected(const struct pg *pg)
{
    return pg != NULL && pg->connection != NULL;
}

static enum pg_outcome lost(struct pg *pg, const char *message)
{
    pg->sqlstate[0] = '\0';
    one_line(pg->message, message);
    PQfinish(pg->connection);
    pg->connection = NULL;
    return PG_LOST;
}

static enum pg_outcome note_error(struct pg *pg, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    one_line(pg->message, PQresultErrorMessage(result));
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", state != NULL ? state : "");
    if (PQstatus(pg->connection) == CONNECTION_BAD || state == NULL) {
        char message[PG_ERROR_BYTES_MAX];
        memcpy(message, pg->message, sizeof message);
        return lost(pg, message);
    }
    return PG_ERROR;
}

static bool flush(struct pg *pg, int64_t deadline_ms)
{
    int left;

    while ((left = PQflush(pg->connection)) == 1) {
        /* Read while writing: a server that wants to be heard first would block us. */
        if (!wait_socket(pg, POLLOUT | POLLIN, deadline_ms) || !PQconsumeInput(pg->connection)) {
            return false;
        }
    }
    return left == 0;
}

/* The next result of what was sent; NULL at the end of a statement's. false: lost. */
static bool next_result(struct pg *pg, int64_t deadline_ms, PGresult **out)
{
    while (PQisBusy(pg->connection)) {
        if (!wait_socket(pg, POLLIN, deadline_ms)) {
            lost(pg, "the server does not answer in time");
            return false;
        }
        if (!PQconsumeInput(pg->connection)) {
            lost(pg, PQerrorMessage(pg->connection));
            return false;
        }
    }
    *out = PQgetResult(pg->connection);
    return true;
}

static bool succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_PIPELINE_SYNC;
}

/* All results of what was sent; the last one, or the first failure, counts. */
static enum pg_outcome collect(struct pg *pg, int64_t deadline_ms, PGresult **out)
{
    enum pg_outcome outcome = PG_DONE;
    PGresult *last = NULL;
    PGresult *result = NULL;

    while (outcome != PG_LOST) {
        if (!next_result(pg, deadline_ms, &result)) {
            PQclear(last);
            return PG_LOST;
        }
        if (result == NULL) {
            break;
        }
        if (outcome == PG_DONE && !succeeded(result)) {
            outcome = note_error(pg, result);
        }
        PQclear(last);
        last = result;
    }
    if (outcome == PG_DONE && out != NULL) {
        *out = last;
    } else {
        PQclear(last);
    }
    return outcome;
}

/* As above, until the pipeline's end: there a NULL follows each statement. */
static enum pg_outcome collect_pipeline(struct pg *pg, int64_t deadline_ms)
{
    enum pg_outcome outcome = PG_DONE;
    bool end = false;

    while (!end && outcome != PG_LOST) {
        PGresult *result = NULL;
        if (!next_result(pg, deadline_ms, &result)) {
            return PG_LOST;
        }
        end = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        if (result != NULL && outcome == PG_DONE && !succeeded(result)) {
            outcome = note_error(pg, result);
        }
        PQclear(result);
    }
    return outcome;
}

static enum pg_outcome not_sent(struct pg *pg)
{
    const char *message = PQerrorMessage(pg->connection);

    return lost(pg, *message != '\0' ? message : "the server does not answer in time");
}

static enum pg_outcome finish(struct pg *pg, int sent, int limit_ms, PGresult **out)
{
    int64_t deadline_ms = clock_now_ms() + limit_ms;

    if (out != NULL) {
        *out = NULL;
    }
    return sent && flush(pg, deadline_ms) ? collect(pg, deadline_ms, out) : not_sent(pg);
}

enum pg_outcome pg_query(struct pg *pg, const char *sql, int limit_ms, PGresult **out)
{
    return finish(pg, PQsendQuery(pg->connection, sql), limit_ms, out);
}

enum pg_outcome pg_prepare(struct pg *pg, const char *name, const char *sql, int limit_ms)
{
    return finish(pg, PQsendPrepare(pg->connection, name, sql, 0, NULL), limit_ms, NULL);
}

static void note_no_memory(struct pg *pg)
{
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "53200"); /* out_of_memory */
    snprintf(pg->message, sizeof pg->message, "out of memory");
}

static int send_prepared(struct pg *pg, const char *name, const struct pg_parameters *parameters)
{
    const char *values[PG_PARAMETERS_MAX];
    int sizes[PG_PARAMETERS_MAX];
    int formats[PG_PARAMETERS_MAX];

    for (int i = 0; i < parameters->count; i++) {
        size_t end = i + 1 < parameters->count ? parameters->starts[i + 1] : parameters->bytes.size;
        values[i] = parameters->bytes.data + parameters->starts[i];
        sizes[i] = (int)(end - parameters->starts[i]);
        formats[i] = 1;
    }
    return PQsendQueryPrepared(pg->connection, name, parameters->count, values, sizes, formats, 1);
}

enum pg_outcome pg_execute(struct pg *pg, const char *name, const struct pg_parameters *parameters,
                           int limit_ms, PGresult **out)
{
    if (parameters->bytes.failed) {
        note_no_memory(pg);
        return PG_ERROR;
    }
    return finish(pg, send_prepared(pg, name, parameters), limit_ms, out);
}

/* Out of memory before all was sent: without a connection nothing of it remains. */
static enum pg_outcome abandon(struct pg *pg)
{
    lost(pg, "");
    note_no_memory(pg);
    return PG_ERROR;
}

void pg_pipeline_begin(struct pg *pg)
{
    pg->pipeline_failed = PQenterPipelineMode(pg->connection) != 1;
}

void pg_pipeline_add(struct pg *pg, const char *name, const struct pg_parameters *parameters)
{
    pg->pipeline_failed =
        pg->pipeline_failed || parameters->bytes.failed || send_prepared(pg, name, parameters) != 1;
}

enum pg_outcome pg_pipeline_end(struct pg *pg, int limit_ms)
{
    int64_t deadline_ms = clock_now_ms() + limit_ms;

    if (pg->pipeline_failed) {
        /* Only the end commits: without it the server drops what it has got. */
        return abandon(pg);
    }
#ifdef CRASH_POINTS
    flush(pg, deadline_ms); /* else the server would have none of it yet */
#endif
    CRASH_POINT(COMMIT_HALF_SENT);
    if (PQpipelineSync(pg->connection) != 1 || !flush(pg, deadline_ms)) {
        return not_sent(pg);
    }
    CRASH_POINT(COMMIT_SENT);
    enum pg_outcome outcome = collect_pipeline(pg, deadline_ms);
    if (outcome != PG_LOST && PQexitPipelineMode(pg->connection) != 1) {
        return lost(pg, PQerrorMessage(pg->connection));
    }
    return outcome;
}

/* A refusal on the way is heard after the end: libpq looks at no answer before. */
static bool send_rows(struct pg *pg, const struct buffer *rows, int64_t deadline_ms)
{
    for (size_t at = 0; at < rows->size; at += COPY_CHUNK_BYTES) {
        size_t left = rows->size - at;
        int size = (int)(left < COPY_CHUNK_BYTES ? left : COPY_CHUNK_BYTES);
        /* With everything before flushed there is always room, but for lack of memory. */
        if (PQputCopyData(pg->connection, rows->data + at, size) != 1 || !flush(pg, deadline_ms)) {
            return false;
        }
        CRASH_POINT(COPY_HALF_SENT);
    }
    return PQputCopyEnd(pg->connection, NULL) == 1 && flush(pg, deadline_ms);
}

enum pg_outcome pg_copy(struct pg *pg, const char *sql, const struct pg_parameters *rows,
                        int limit_ms)
{
    int64_t deadline_ms = clock_now_ms() + limit_ms;
    PGresult *ready = NULL;

    if (rows->bytes.failed) {
        return abandon(pg);
    }
    if (!PQsendQuery(pg->connection, sql) || !flush(pg, deadline_ms)) {
        return not_sent(pg);
    }
    if (!next_result(pg, deadline_ms, &ready)) {
        return PG_LOST;
    }
    bool refused = PQresultStatus(ready) != PGRES_COPY_IN;
    enum pg_outcome outcome = refused ? note_error(pg, ready) : PG_DONE;
    PQclear(ready);
    if (outcome == PG_LOST) {
        return PG_LOST;
    }
    if (!refused && !send_rows(pg, &rows->bytes, deadline_ms)) {
        return not_sent(pg);
    }
    CRASH_POINT(COPY_SENT);
    enum pg_outcome end = collect(pg, deadline_ms, NULL);
    return end == PG_DONE ? outcome : end;
}

/* ---- parameters ---------------------------------------------------------------------- */

static void put_int4(struct pg_parameters *p, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    buffer_append(&p->bytes, &big, sizeof big);
}

static void put_int8(struct pg_parameters *p, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    buffer_append(&p->bytes, &big, sizeof big);
}

static void begin_value(struct pg_parameters *p)
{
    assert(p->count < PG_PARAMETERS_MAX);
    p->starts[p->count++] = p->bytes.size;
}

static void begin_array(struct pg_parameters *p, int32_t element_type, size_t count)
{
    begin_value(p);
    put_int4(p, count > 0 ? 1 : 0); /* dimensions */
    put_int4(p, 0);                 /* no nulls */
    put_int4(p, element_type);
    if (count > 0) {
        put_int4(p, (int32_t)count);
        put_int4(p, 1); /* lower bound */
    }
}

void pg_parameters_init(struct pg_parameters *p)
{
    *p = (struct pg_parameters){.bytes = BUFFER_INIT};
}

void pg_parameters_clear(struct pg_parameters *p)
{
    buffer_clear(&p->bytes);
    p->count = 0;
}

void pg_parameters_release(struct pg_parameters *p)
{
    buffer_release(&p->bytes);
    p->count = 0;
}

void pg_add_int8(struct pg_parameters *p, int64_t value)
{
    begin_value(p);
    put_int8(p, value);
}

void pg_add_int4(struct pg_parameters *p, int32_t value)
{
    begin_value(p);
    put_int4(p, value);
}

void pg_begin_int8_array(struct pg_parameters *p, size_t count)
{
    begin_array(p, OID_INT8, count);
}

void pg_begin_int4_array(struct pg_parameters *p, size_t count)
{
    begin_array(p, OID_INT4, count);
}

void pg_begin_text_array(struct pg_parameters *p, size_t count)
{
    begin_array(p, OID_TEXT, count);
}

void pg_element_int8(struct pg_parameters *p, int64_t value)
{
    put_int4(p, sizeof value);
    put_int8(p, value);
}

void pg_element_int4(struct pg_parameters *p, int32_t value)
{
    put_int4(p, sizeof value);
    put_int4(p, value);
}

void pg_element_null(struct pg_parameters *p)
{
    put_int4(p, -1);
}

void pg_element_text(struct pg_parameters *p, struct slice value)
{
    put_int4(p, (int32_t)value.size);
    buffer_append_slice(&p->bytes, value);
}

static void put_int2(struct pg_parameters *p, int value)
{
    uint16_t big = htobe16((uint16_t)value);
    buffer_append(&p->bytes, &big, sizeof big);
}

void pg_copy_begin(struct pg_parameters *p)
{
    static const char signature[11] = "PGCOPY\n\377\r\n"; /* its 0 included */

    buffer_append(&p->bytes, signature, sizeof signature);
    put_int4(p, 0); /* flags */
    put_int4(p, 0); /* bytes of more header */
}

void pg_copy_begin_row(struct pg_parameters *p, int columns)
{
    put_int2(p, columns);
}

void pg_copy_end(struct pg_parameters *p)
{
    put_int2(p, -1);
}

int64_t pg_get_int(const PGresult *result, int row, int column)
{
    const char *bytes = PQgetvalue(result, row, column);
    uint64_t big8;
    uint32_t big4;

    if (PQgetlength(result, row, column) == (int)sizeof big8) {
        memcpy(&big8, bytes, sizeof big8);
        return (int64_t)be64toh(big8);
    }
    assert(PQgetlength(result, row, column) == (int)sizeof big4);
    memcpy(&big4, bytes, sizeof big4);
    return (int32_t)be32toh(big4);
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

const char *pg_message(const struct pg *pg)
{
    return pg->message;
}
