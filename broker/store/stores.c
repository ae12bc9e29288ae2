/*
 * stores.c - from an address to a store.
 */
#include "broker/store/stores.h"

#include <stdio.h>
#include <string.h>

static bool starts_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

struct store *store_open(const char *url, int wait_ms, char error[STORE_ERROR_BYTES_MAX])
{
    if (strcmp(url, "memory:") == 0) {
        struct store *store = memory_store_create();
        if (store == NULL) {
            snprintf(error, STORE_ERROR_BYTES_MAX, "out of memory");
        }
        return store;
    }
    if (starts_with(url, "sqlite:")) {
        return sqlite_store_create(url + strlen("sqlite:"), wait_ms, error);
    }
    if (starts_with(url, "postgres://") || starts_with(url, "postgresql://")) {
        return postgres_store_create(url, wait_ms, error);
    }
    snprintf(
        error, STORE_ERROR_BYTES_MAX,
        "'%.200s' is no store: 'sqlite:PATH', 'postgres://USER@HOST/DATABASE' and 'memory:' are",
        url);
    return NULL;
}
