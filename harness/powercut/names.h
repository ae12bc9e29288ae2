/*
 * names.h - a folder's entries as they are on the disk: FOLDER.disk/names/KEY (disk.h).
 *
 *   40700 108 114 \0  fKEY \0 postgresql.conf \0  dKEY \0 base \0  l/elsewhere \0 pg_wal \0
 *
 * First the folder's mode, owner and group, then what each name stands for and the name: a file
 * or a folder by its key, a symbolic link by its target. It is replaced as a whole.
 *
 * Threads: as disk.h.
 */
#ifndef HARNESS_POWERCUT_NAMES_H
#define HARNESS_POWERCUT_NAMES_H

#include "harness/powercut/disk.h"

struct names {
    char *text; /* NULL: the disk does not know this folder */
    size_t size;
    struct disk_identity folder; /* mode, owner, group */
    size_t first;                /* where the entries begin */
};

struct names_entry {
    char type;        /* 'f', 'd', 'l' */
    const char *what; /* a key, or a target */
    const char *name;
};

/* What the disk knows of a folder; names_release() in any case. */
bool names_load(const struct disk *d, const char *key, struct names *out);
void names_release(struct names *n);

/* The entry at `*at`, which is names.first at first, and moves on; false: there is no more. */
bool names_next(const struct names *n, size_t *at, struct names_entry *out);

bool names_find(const struct names *n, const char *name, struct names_entry *out);

/* Do they stand for the same? */
bool names_match(const struct names_entry *held, const struct disk_identity *seen);

/* fsync of a folder: all its names are on the disk. */
void names_sync(const struct disk *d, int folder_fd, const struct disk_identity *folder);

/* This path's name, and those of the folders above it, are on the disk. `path` is changed. */
void names_sync_path(const struct disk *d, char *path);

#endif
