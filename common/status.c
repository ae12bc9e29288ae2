/*
 * status.c - the map of status.h as a table.
 */
#include "common/status.h"

#include <assert.h>
#include <stddef.h>

static const struct {
    int http;
    const char *code;
    const char *words;
} rows[] = {
#define STATUS_ROW_(name, http, code, words) {(http), (code), (words)},
    STATUS_MAP(STATUS_ROW_)
#undef STATUS_ROW_
};

#define STATUS_COUNT (sizeof rows / sizeof *rows)

int status_http(enum status status)
{
    assert((size_t)status < STATUS_COUNT);
    return rows[status].http;
}

const char *status_code(enum status status)
{
    assert((size_t)status < STATUS_COUNT);
    return rows[status].code;
}

const char *status_words(enum status status)
{
    assert((size_t)status < STATUS_COUNT);
    return rows[status].words;
}
