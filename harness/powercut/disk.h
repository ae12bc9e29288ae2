/*
 * disk.h - what would still be there after a power cut.
 *
 * The folder is what programs see: the page cache. Beside it, in FOLDER.disk, lies what a disk
 * would hold of it. A write changes the folder alone; fsync carries it over. So a power cut is
 * simple: the folder becomes what FOLDER.disk says (cut.h).
 *
 *   FOLDER.disk/content/KEY      a file as it was when it was last synced
 *   FOLDER.disk/marks/KEY        which part of it was changed since; also its lock
 *   FOLDER.disk/names/KEY        a folder's entries as they were when it was last synced (names.h)
 *   FOLDER.disk/lock             held while names are carried over
 *   FOLDER.disk/loaded           the shim was loaded by a program since the last cut
 *
 * A KEY is a file's or a folder's identity: its inode with the time at which it was made, as
 * inode numbers are given again. So no descriptor or name has to be followed: a file that was
 * made, renamed or removed behind our back is noticed when its folder is synced.
 *
 * At first a file has no mark, and its content is a link to the file itself: they are the same.
 * Before its first change the content becomes a copy. A file that has neither is new.
 *
 * The model, which is what POSIX and fsync(2) promise, and no more:
 *  - What is not synced is lost. fsync, fdatasync and a write with O_DSYNC, O_SYNC or
 *    RWF_DSYNC carry over the file; sync_file_range carries over nothing.
 *  - Names (made, renamed, removed) are lost until their folder is synced. One exception: the
 *    first fsync of a file that has no name on the disk carries over its name too, as ext4, XFS
 *    and btrfs do and as PostgreSQL needs it for a table's new file.
 *  - What fsync carries over is what was written before it began. What is written while it
 *    runs may be carried over or not.
 *
 * Always: a part is marked as changed before it is changed, and both happen under the file's
 * lock, as does carrying over; so a process may be killed anywhere and nothing is forgotten.
 * Locks go with their process. They rank: names before a file.
 *
 * What cannot be done here ends the program with one line on standard error: a store that ran
 * on would blame itself for what we lost.
 *
 * Threads: any, in any number of processes; a struct is its caller's.
 */
#ifndef HARNESS_POWERCUT_DISK_H
#define HARNESS_POWERCUT_DISK_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DISK_KEY_BYTES 64
#define DISK_END INT64_MAX /* the end of a file, however long it gets */

struct disk {
    char folder[PATH_MAX]; /* without links in it */
    char state[PATH_MAX];  /* FOLDER.disk */
};

/* Which bytes of a file were changed since it was synced: [from, to), none if from >= to. */
struct disk_mark {
    int64_t from;
    int64_t to;
    int64_t unseen; /* not 0: it is also changed by ways that we do not see (stdio, mmap) */
    int64_t named;  /* not 0: it has or had a name on the disk */
};

/* A file whose lock is held. */
struct disk_file {
    char key[DISK_KEY_BYTES];
    int mark_fd;
    struct disk_mark mark;
    int64_t size; /* when the lock was taken */
};

/* What a path or a descriptor is. */
struct disk_identity {
    char key[DISK_KEY_BYTES];
    mode_t mode;
    uid_t owner;
    gid_t group;
    int64_t size;
    int64_t links; /* its names in the folder, and our own */
};

/* Name a folder, which exists. */
void disk_open(struct disk *d, const char *folder);

/* Say one line and end the program. `path` and `why` name what failed. */
void disk_fail(const char *what, const char *path) __attribute__((noreturn));

/* The entries of an open folder, from the first on; closedir() ends it. Ends the program when
 * they cannot be read. */
DIR *disk_read_folder(int folder_fd);

/* Identify what `path` is, from `at` (AT_FDCWD, or a folder's descriptor; with "" that
 * descriptor itself). false: there is no such thing. */
bool disk_identify(int at, const char *path, struct disk_identity *out);

bool disk_is_dots(const char *name); /* "." or ".." */

/* FOLDER.disk/PART/KEY; `part` is "content", "marks" or "names". */
const char *disk_path(const struct disk *d, const char *part, const char *key, char path[PATH_MAX]);

/* The path of what is behind a descriptor; false unless it is the folder or in it. */
bool disk_holds(const struct disk *d, int fd, char path[PATH_MAX]);

/* Is the file's content on the disk what it holds, for it was never changed? */
bool disk_is_untouched(const struct disk *d, const struct disk_identity *file);

/* Lock a regular file of the folder, to change it or its mark; false when `fd` is something
 * else. */
bool disk_lock(const struct disk *d, int fd, struct disk_file *out);
void disk_unlock(struct disk_file *f);

/* A marked file of the folder, without its lock: whoever may change it is stopped, and perhaps
 * holds it. false: it has no mark. */
bool disk_peek(const struct disk *d, int fd, struct disk_file *out);

/* Locked: [from, to) is about to be changed. */
void disk_changes(struct disk_file *f, int64_t from, int64_t to);

/* Locked: the mark is what `f` says. */
void disk_mark(struct disk_file *f);

/* Locked: from now on it is changed by ways that we do not see. */
void disk_changes_unseen(struct disk_file *f);

/* Locked: carry [from, to) over, and the length. The mark stays. */
void disk_carry(const struct disk *d, const struct disk_file *f, int fd, int64_t from, int64_t to);

/* A file's name is being carried over: know it from now on. false: it has just been removed. */
bool disk_know(const struct disk *d, int at, const char *name, const struct disk_identity *file);

/* Carry over the name of a file that never had one on the disk. */
void disk_sync_new_name(const struct disk *d, struct disk_file *f, int fd);

void disk_wait_for_lock(int fd, const char *name);

/* fsync of a file, or of a folder; nothing when `fd` is neither, or not of the folder. */
void disk_sync(const struct disk *d, int fd);

/* fsync of everything below the folder. */
void disk_sync_all(const struct disk *d);

#endif
