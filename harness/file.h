/*
 * file.h - a file that is replaced as a whole.
 *
 * Threads: any.
 */
#ifndef HARNESS_FILE_H
#define HARNESS_FILE_H

#include "common/buffer.h"

/* Written beside and renamed, so that a reader never sees half of it. 0, or an errno; then
 * the file is as it was. */
int file_replace(const char *path, const struct buffer *contents);

#endif
