/*
 * file.c - the name beside has the process id: two of us may write the same file.
 */
#include "harness/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

int file_replace(const char *path, const struct buffer *contents)
{
    char beside[PATH_MAX + 32];

    if (contents->failed) {
        return ENOMEM;
    }
    snprintf(beside, sizeof beside, "%s.%d", path, (int)getpid());
    FILE *file = fopen(beside, "we");
    if (file == NULL) {
        return errno;
    }
    int error = fwrite(contents->data, 1, contents->size, file) == contents->size ? 0 : errno;
    if (fclose(file) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename(beside, path) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlink(beside);
    }
    return error;
}
