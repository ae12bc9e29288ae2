/*
 * status.c - the names and words of enum myqueue_status, from its one map.
 */
#include "myqueue.h"

static const struct {
    const char *name;
    const char *words;
} statuses[] = {
#define STATUS_ROW(name, code, words) {(code), (words)},
    MYQUEUE_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

static bool status_known(enum myqueue_status status)
{
    return (unsigned)status < sizeof statuses / sizeof *statuses;
}

const char *myqueue_status_name(enum myqueue_status status)
{
    return status_known(status) ? statuses[status].name : "unknown_status";
}

const char *myqueue_status_words(enum myqueue_status status)
{
    return status_known(status) ? statuses[status].words : "not a status of this library";
}
