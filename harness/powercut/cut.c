/*
 * cut.c - what was not synced is counted, some of it is let through, and the folder is
 * built anew from the disk's names and contents.
 *
 * The folder itself stays: by its inode PostgreSQL finds, and removes, the shared memory that
 * a killed server left behind.
 */
#include "harness/powercut/cut.h"

#include "harness/powercut/names.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_DESCRIPTORS_MAX 32

struct cut {
    const struct disk *disk;
    bool looks;    /* only: nothing is changed, and no lock is waited for */
    uint64_t seed; /* of the coins; 0: none are thrown */
    struct cut_loss loss;
};

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *where)
{
    (void)s;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_tree(const char *path)
{
    if (nftw(path, remove_entry, TREE_DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) != 0 &&
        errno != ENOENT) {
        disk_fail("remove", path);
    }
}

/* ---- the beginning ------------------------------------------------------------------ */

static void make_folder(const char *path, const struct disk_identity *like)
{
    if (mkdir(path, 0700) != 0 || chmod(path, like->mode & 07777) != 0 ||
        (geteuid() == 0 && chown(path, like->owner, like->group) != 0)) {
        disk_fail("make", path);
    }
}

static struct disk_identity identify(const char *path)
{
    struct disk_identity what;

    if (!disk_identify(AT_FDCWD, path, &what)) {
        disk_fail("find", path);
    }
    return what;
}

/* The content of each file is the file itself, until it is changed. */
static void begin_below(const struct disk *d, int folder_fd)
{
    char content[PATH_MAX];
    struct disk_identity entry;
    DIR *entries = disk_read_folder(folder_fd);

    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        if (disk_is_dots(e->d_name) || !disk_identify(folder_fd, e->d_name, &entry)) {
            continue;
        }
        if (S_ISREG(entry.mode) &&
            linkat(folder_fd, e->d_name, AT_FDCWD, disk_path(d, "content", entry.key, content),
                   0) != 0 &&
            errno != EEXIST) { /* two names of one file */
            disk_fail("link", e->d_name);
        }
        int fd = S_ISDIR(entry.mode)
                     ? openat(folder_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                     : -1;
        if (fd >= 0) {
            begin_below(d, fd);
            close(fd);
        }
    }
    closedir(entries);
    disk_sync(d, folder_fd);
}

void disk_begin(const struct disk *d)
{
    static const char *const parts[] = {"", "/content", "/marks", "/names"};
    struct disk_identity folder = identify(d->folder);
    char path[PATH_MAX];

    remove_tree(d->state);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "%.4000s%s", d->state, parts[i]);
        make_folder(path, &folder);
    }
    snprintf(path, sizeof path, "%.4000s/lock", d->state);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fchmod(fd, 0666) != 0) {
        disk_fail("make", path);
    }
    close(fd);
    fd = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        disk_fail("open", d->folder);
    }
    begin_below(d, fd);
    close(fd);
}

/* ---- what was not synced -------------------------------------------------------------- */

/* splitmix64's step. */
static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* A place is a path's hash: coins must not depend on the order in which names are read. */
static uint64_t place_in(uint64_t folder, const char *name)
{
    for (; *name != '\0'; name++) {
        folder = mix(folder ^ (unsigned char)*name);
    }
    return mix(folder);
}

/* Does what was not synced here come through? */
static bool coin(const struct cut *c, uint64_t place, int64_t at)
{
    return c->seed != 0 && (mix(mix(c->seed ^ place) ^ (uint64_t)at) & 1) != 0;
}

/* The bytes that differ, of a sector of the file and of its content on the disk. */
static int64_t differing(const char *seen, ssize_t seen_size, const char *held, ssize_t held_size)
{
    ssize_t both = seen_size < held_size ? seen_size : held_size;
    int64_t count = seen_size > held_size ? seen_size - held_size : held_size - seen_size;

    for (ssize_t i = 0; i < both; i++) {
        count += seen[i] != held[i];
    }
    return count;
}

static void cut_sector(struct cut *c, uint64_t place, int seen_fd, int held_fd, int64_t at,
                       const char *key)
{
    char seen[CUT_SECTOR_BYTES];
    char held[CUT_SECTOR_BYTES];
    ssize_t seen_size = pread(seen_fd, seen, sizeof seen, at);
    ssize_t held_size = pread(held_fd, held, sizeof held, at);

    if (seen_size < 0 || held_size < 0) {
        disk_fail("read", key);
    }
    int64_t count = differing(seen, seen_size, held, held_size);
    if (count == 0) {
        return;
    }
    if (seen_size == 0 || !coin(c, place, at)) {
        c->loss.bytes += count;
    } else if (pwrite(held_fd, seen, (size_t)seen_size, at) != seen_size) {
        disk_fail("carry over", key);
    } else {
        c->loss.survived += count;
    }
}

static void cut_file(struct cut *c, uint64_t place, int fd)
{
    char path[PATH_MAX];
    struct cut_loss before = c->loss;
    struct disk_file file;
    struct disk_identity seen;

    if (!disk_identify(fd, "", &seen) || disk_is_untouched(c->disk, &seen) ||
        !(c->looks ? disk_peek(c->disk, fd, &file) : disk_lock(c->disk, fd, &file))) {
        return;
    }
    int held_fd = open(disk_path(c->disk, "content", file.key, path), O_RDWR | O_CLOEXEC);
    if (held_fd < 0) {
        disk_fail("open", path);
    }
    struct disk_identity held;
    disk_identify(held_fd, "", &held);
    int64_t end = file.size > held.size ? file.size : held.size;
    int64_t to = file.mark.to < end ? file.mark.to : end;
    for (int64_t at = file.mark.from - file.mark.from % CUT_SECTOR_BYTES; at < to;
         at += CUT_SECTOR_BYTES) {
        cut_sector(c, place, fd, held_fd, at, file.key);
    }
    if (file.mark.unseen != 0) {
        c->loss.bytes = before.bytes; /* SQLite's -shm is always another, and means nothing */
        c->loss.survived = before.survived;
    }
    close(held_fd);
    if (!c->looks) {
        disk_unlock(&file);
    }
}

/* How many names of a folder the disk has not, or has and they are gone. */
static int64_t names_lost(const struct cut *c, int folder_fd, const struct disk_identity *folder)
{
    struct disk_identity seen;
    struct names names;
    struct names_entry entry;
    int64_t count = 0;
    DIR *entries = disk_read_folder(folder_fd);

    names_load(c->disk, folder->key, &names);
    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        if (!disk_is_dots(e->d_name) && disk_identify(folder_fd, e->d_name, &seen) &&
            (S_ISREG(seen.mode) || S_ISDIR(seen.mode) || S_ISLNK(seen.mode))) {
            count += !names_find(&names, e->d_name, &entry) || !names_match(&entry, &seen);
        }
    }
    for (size_t at = names.first; names_next(&names, &at, &entry);) {
        count += !disk_identify(folder_fd, entry.name, &seen);
    }
    closedir(entries);
    names_release(&names);
    return count;
}

static void cut_folder(struct cut *c, uint64_t place, int folder_fd)
{
    struct disk_identity folder;

    disk_identify(folder_fd, "", &folder);
    int64_t lost = names_lost(c, folder_fd, &folder);
    if (lost > 0 && coin(c, place, 0)) {
        disk_sync(c->disk, folder_fd);
        lost = 0;
    }
    c->loss.names += lost;
    DIR *entries = disk_read_folder(folder_fd);
    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        int fd = disk_is_dots(e->d_name)
                     ? -1
                     : openat(folder_fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct disk_identity entry;
        if (fd < 0 || !disk_identify(fd, "", &entry)) {
            continue;
        }
        if (S_ISDIR(entry.mode)) {
            cut_folder(c, place_in(place, e->d_name), fd);
        } else {
            cut_file(c, place_in(place, e->d_name), fd);
        }
        close(fd);
    }
    closedir(entries);
}

/* ---- what is left --------------------------------------------------------------------- */

static void build(const struct disk *d, const char *key, const char *path)
{
    char content[PATH_MAX];
    char made[PATH_MAX];
    struct names names;
    struct names_entry entry;

    if (!names_load(d, key, &names)) {
        disk_fail("find the names of", path);
    }
    make_folder(path, &names.folder);
    for (size_t at = names.first; names_next(&names, &at, &entry);) {
        snprintf(made, sizeof made, "%.3800s/%.255s", path, entry.name);
        if (entry.type == 'd') {
            build(d, entry.what, made);
        } else if (entry.type == 'l'
                       ? symlink(entry.what, made) != 0
                       : link(disk_path(d, "content", entry.what, content), made) != 0) {
            disk_fail("make", made);
        }
    }
    names_release(&names);
}

/* Move all that is in `from` to `to`; `to` NULL: remove it. */
static void clear_into(const char *from, const char *to)
{
    char path[PATH_MAX];
    char moved[PATH_MAX];
    int fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        disk_fail("open", from);
    }
    DIR *entries = disk_read_folder(fd);
    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        if (disk_is_dots(e->d_name)) {
            continue;
        }
        snprintf(path, sizeof path, "%.3800s/%.255s", from, e->d_name);
        if (to == NULL) {
            remove_tree(path);
            continue;
        }
        snprintf(moved, sizeof moved, "%.3800s/%.255s", to, e->d_name);
        if (rename(path, moved) != 0) {
            disk_fail("put back", moved);
        }
    }
    closedir(entries);
    close(fd);
}

/* All of the folder. */
static void cut_all(struct cut *c)
{
    int fd = open(c->disk->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        disk_fail("open", c->disk->folder);
    }
    cut_folder(c, 0, fd);
    close(fd);
}

void disk_look(const struct disk *d, struct cut_loss *out)
{
    struct cut c = {.disk = d, .looks = true};

    cut_all(&c);
    *out = c.loss;
}

void disk_cut(const struct disk *d, uint64_t seed, struct cut_loss *out)
{
    struct cut c = {.disk = d, .seed = seed};
    struct disk_identity folder = identify(d->folder);
    char made[PATH_MAX];

    cut_all(&c);
    snprintf(made, sizeof made, "%.4000s/folder", d->state);
    build(d, folder.key, made);
    clear_into(d->folder, NULL);
    clear_into(made, d->folder);
    disk_begin(d);
    *out = c.loss;
}
