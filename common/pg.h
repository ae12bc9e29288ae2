/*
 * pg.h - a PostgreSQL connection on which every wait has an end.
 *
 * libpq's blocking calls wait for as long as the server likes. Here every call has a
 * deadline; when it passes, the connection is closed, and what it was doing has an
 * unknown outcome.
 *
 * Threads: a connection belongs to one thread at a time.
 */
#ifndef COMMON_PG_H
#define COMMON_PG_H

#include "common/buffer.h"

#include <libpq-fe.h>

#define PG_ERROR_BYTES_MAX 512
#define PG_PARAMETERS_MAX 48

struct pg;

enum pg_outcome {
    PG_DONE,  /* the statement was executed */
    PG_ERROR, /* the server refused it: nothing of it remains; see pg_sqlstate() */
    PG_LOST,  /* the connection is gone, with or without having executed it */
};

/* Can libpq read this address? false: why, in `error`. No connection is made. */
bool pg_url_valid(const char *url, char error[PG_ERROR_BYTES_MAX]);

/* Connect within `limit_ms`. Once `stop_fd` (-1: none) can be read from, every wait for the server
 * ends as if its time were over. `options` (may be NULL) are the session's settings in
 * libpq's notation, "-c name=value". NULL: why, in `error`, in one line. */
struct pg *pg_connect(const char *url, const char *options, int stop_fd, int limit_ms,
                      char error[PG_ERROR_BYTES_MAX]);
void pg_close(struct pg *pg);           /* NULL is fine */
bool pg_connected(const struct pg *pg); /* false for NULL and after PG_LOST */

/* One or more statements, without parameters. `*out` (if not NULL) is the last one's
 * result, for PQclear(). */
enum pg_outcome pg_query(struct pg *pg, const char *sql, int limit_ms, PGresult **out);

enum pg_outcome pg_prepare(struct pg *pg, const char *name, const char *sql, int limit_ms);

/* Parameters of a prepared statement, in binary; sizes in bytes. */
struct pg_parameters {
    struct buffer bytes; /* all values, one behind the other */
    size_t starts[PG_PARAMETERS_MAX];
    int count;
};

void pg_parameters_init(struct pg_parameters *p);
void pg_parameters_clear(struct pg_parameters *p); /* keeps the memory */
void pg_parameters_release(struct pg_parameters *p);
void pg_add_int8(struct pg_parameters *p, int64_t value);
void pg_add_int4(struct pg_parameters *p, int32_t value);

/* An array of `count` elements: begin, then exactly `count` elements. */
void pg_begin_int8_array(struct pg_parameters *p, size_t count);
void pg_begin_int4_array(struct pg_parameters *p, size_t count);
void pg_begin_text_array(struct pg_parameters *p, size_t count);
void pg_element_int8(struct pg_parameters *p, int64_t value);
void pg_element_int4(struct pg_parameters *p, int32_t value);
void pg_element_null(struct pg_parameters *p);
void pg_element_text(struct pg_parameters *p, struct slice value);

/* Run a prepared statement; results come in binary. */
enum pg_outcome pg_execute(struct pg *pg, const char *name, const struct pg_parameters *parameters,
                           int limit_ms, PGresult **out);

/*
 * Prepared statements as one transaction in one round trip: begin, add each, end. When one is
 * refused, the ones behind it are not executed, and nothing remains (PG_ERROR). What goes
 * wrong on the way is told by the end.
 */
void pg_pipeline_begin(struct pg *pg);
void pg_pipeline_add(struct pg *pg, const char *name, const struct pg_parameters *parameters);
enum pg_outcome pg_pipeline_end(struct pg *pg, int limit_ms);

/*
 * Rows for COPY in binary: begin, then for each row its begin and exactly `columns` elements as
 * above, end. pg_copy() runs `sql`, which begins with a COPY FROM STDIN (FORMAT binary), with
 * them; what follows it there (COMMIT) is executed when all rows are in. PG_ERROR: the COPY or
 * what follows was refused; a transaction that was open then waits for its ROLLBACK. It cannot
 * be part of a pipeline.
 */
void pg_copy_begin(struct pg_parameters *p);
void pg_copy_begin_row(struct pg_parameters *p, int columns);
void pg_copy_end(struct pg_parameters *p);
enum pg_outcome pg_copy(struct pg *pg, const char *sql, const struct pg_parameters *rows,
                        int limit_ms);

/* An int8 or int4 column of a binary result. */
int64_t pg_get_int(const PGresult *result, int row, int column);

/* The last failure: five characters ("" when the connection was lost), and one line. */
const char *pg_sqlstate(const struct pg *pg);
const char *pg_message(const struct pg *pg);

#endif
