/*
 * scratch.c - the files "log.db" and what SQLite puts beside it.
 */
#include "broker/store/tests/scratch.h"

#include "broker/store/stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 64
#define FILE_BYTES_MAX ((size_t)1 << 30)

static const char *const names[] = {"log.db", "log.db-wal", "log.db-shm"};

static const char *path_of(const struct scratch *scratch, const char *name,
                           char path[PATH_BYTES_MAX])
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", scratch->folder, name);
    return path;
}

bool scratch_make(struct scratch *scratch)
{
    strncpy(scratch->folder, "/tmp/myqueue-stores-XXXXXX", sizeof scratch->folder - 1);
    scratch->folder[sizeof scratch->folder - 1] = '\0';
    return mkdtemp(scratch->folder) != NULL;
}

struct store *scratch_store(const struct scratch *scratch)
{
    char path[PATH_BYTES_MAX];
    char error[STORE_ERROR_BYTES_MAX];

    return sqlite_store_create(path_of(scratch, names[0], path), 10000, error);
}

static bool copy_file(const char *from, const char *to)
{
    struct buffer bytes = BUFFER_INIT;
    bool done = buffer_read_file(&bytes, from, FILE_BYTES_MAX) == 0;
    FILE *out = done ? fopen(to, "we") : NULL;

    done = out != NULL && fwrite(bytes.data, 1, bytes.size, out) == bytes.size;
    if (out != NULL) {
        done = fclose(out) == 0 && done;
    }
    buffer_release(&bytes);
    return done;
}

bool scratch_copy(const struct scratch *from, struct scratch *to)
{
    char path[PATH_BYTES_MAX];
    char copy[PATH_BYTES_MAX];
    bool done = scratch_make(to);

    for (size_t i = 0; i < 2; i++) { /* the third is shared memory, gone with a crash */
        done = done && copy_file(path_of(from, names[i], path), path_of(to, names[i], copy));
    }
    return done;
}

long scratch_wal_bytes(const struct scratch *scratch)
{
    char path[PATH_BYTES_MAX];
    struct stat file;

    return stat(path_of(scratch, names[1], path), &file) == 0 ? (long)file.st_size : -1;
}

bool scratch_remove(const struct scratch *scratch)
{
    char path[PATH_BYTES_MAX];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(path_of(scratch, names[i], path));
    }
    return rmdir(scratch->folder) == 0;
}
