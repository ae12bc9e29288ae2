/*
 * disk.c - files, and what of them was changed, carried over to the disk.
 */
#include "harness/powercut/disk.h"

#include "harness/powercut/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES 32768 /* on the stack */

void disk_fail(const char *what, const char *path)
{
    dprintf(STDERR_FILENO, "powercut: cannot %s %s: %s\n", what, path, strerror(errno));
    _exit(255);
}

void disk_open(struct disk *d, const char *folder)
{
    if (realpath(folder, d->folder) == NULL) {
        disk_fail("find", folder);
    }
    /* Room for names behind it: see disk_path(). */
    if (strlen(d->folder) + 2 * NAME_MAX > PATH_MAX - 32) {
        errno = ENAMETOOLONG;
        disk_fail("use", folder);
    }
    snprintf(d->state, sizeof d->state, "%.*s.disk", PATH_MAX - 8, d->folder);
}

const char *disk_path(const struct disk *d, const char *part, const char *key, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.3500s/%s/%s", d->state, part, key);
    return path;
}

bool disk_identify(int at, const char *path, struct disk_identity *out)
{
    struct statx s;

    if (statx(at, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT,
              STATX_BASIC_STATS | STATX_BTIME, &s) != 0) {
        return false;
    }
    snprintf(out->key, sizeof out->key, "%x.%x-%llx-%llx.%x", s.stx_dev_major, s.stx_dev_minor,
             (unsigned long long)s.stx_ino, (unsigned long long)s.stx_btime.tv_sec,
             s.stx_btime.tv_nsec);
    out->mode = s.stx_mode;
    out->owner = s.stx_uid;
    out->group = s.stx_gid;
    out->size = (int64_t)s.stx_size;
    out->links = s.stx_nlink;
    return true;
}

bool disk_is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool disk_holds(const struct disk *d, int fd, char path[PATH_MAX])
{
    char link[64];
    size_t size = strlen(d->folder);

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) {
        return false;
    }
    path[length] = '\0';
    return strncmp(path, d->folder, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

/* ---- files ------------------------------------------------------------------------- */

/* As the original, so that what is left after a cut can be used by who used it before. */
static void take_owner(int fd, const struct disk_identity *original)
{
    if (fchmod(fd, original->mode & 07777) != 0 ||
        (geteuid() == 0 && fchown(fd, original->owner, original->group) != 0)) {
        disk_fail("give", original->key);
    }
}

/* An own file for the content, with the file's owner; it is not yet in its place. */
static int make_content(const struct disk *d, const struct disk_identity *file,
                        char draft[PATH_MAX])
{
    snprintf(draft, PATH_MAX, "%.3800s/content/%s.draft", d->state, file->key);
    unlink(draft); /* a killed program's; its owner was perhaps another */
    int fd = open(draft, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        disk_fail("make", draft);
    }
    take_owner(fd, file);
    return fd;
}

static void copy(int from_fd, int to_fd, int64_t from, int64_t to, const char *key)
{
    char bytes[COPY_BYTES];

    while (from < to) {
        size_t wanted = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        ssize_t size = pread(from_fd, bytes, wanted, from);
        if (size == 0) {
            return; /* it was cut shorter behind our back */
        }
        if (size < 0 || pwrite(to_fd, bytes, (size_t)size, from) != size) {
            disk_fail("carry over", key);
        }
        from += size;
    }
}

/* A descriptor that reads what `fd` writes. Only if need be another one than `fd`: closing it
 * takes from the program the record locks (fcntl) that it has on the file. */
static int reader_of(int fd)
{
    char own[64];

    int flags = fcntl(fd, F_GETFL);
    if ((flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_WRONLY) {
        return fd;
    }
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    int reader = open(own, O_RDONLY | O_CLOEXEC);
    if (reader < 0) {
        disk_fail("read", own);
    }
    return reader;
}

void disk_mark(struct disk_file *f)
{
    struct disk_mark mark = f->mark;

    if (pwrite(f->mark_fd, &mark, sizeof mark, 0) != (ssize_t)sizeof mark) {
        disk_fail("mark", f->key);
    }
}

/* The mark's descriptor; -1: the file was never marked, and is not to be. */
static int open_mark(const struct disk *d, int fd, const char *key)
{
    char path[PATH_MAX];
    char own[PATH_MAX];

    int mark_fd = open(disk_path(d, "marks", key, path), O_RDWR | O_CLOEXEC);
    if (mark_fd >= 0 || !disk_holds(d, fd, own)) {
        return mark_fd;
    }
    mark_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (mark_fd < 0) {
        disk_fail("make", path);
    }
    fchmod(mark_fd, 0666); /* root and the store's own user share it */
    return mark_fd;
}

void disk_wait_for_lock(int fd, const char *name)
{
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            disk_fail("lock", name);
        }
    }
}

bool disk_is_untouched(const struct disk *d, const struct disk_identity *file)
{
    char path[PATH_MAX];

    return access(disk_path(d, "marks", file->key, path), F_OK) != 0 &&
           access(disk_path(d, "content", file->key, path), F_OK) == 0;
}

/* Locked, for the first time: from now on file and content are two. */
static void part(const struct disk *d, int fd, const struct disk_identity *file,
                 struct disk_file *out)
{
    char draft[PATH_MAX];
    char path[PATH_MAX];
    bool is_new = access(disk_path(d, "content", file->key, path), F_OK) != 0;
    int content_fd = make_content(d, file, draft);

    if (!is_new) {
        int from_fd = reader_of(fd);
        copy(from_fd, content_fd, 0, file->size, file->key);
        if (from_fd != fd) {
            close(from_fd);
        }
    }
    close(content_fd);
    if (rename(draft, path) != 0) {
        disk_fail("make", path);
    }
    out->mark = (struct disk_mark){.to = is_new ? DISK_END : 0, .named = !is_new};
    disk_mark(out);
}

bool disk_lock(const struct disk *d, int fd, struct disk_file *out)
{
    struct disk_identity file;

    if (!disk_identify(fd, "", &file) || !S_ISREG(file.mode)) {
        return false;
    }
    memcpy(out->key, file.key, sizeof out->key);
    out->mark_fd = open_mark(d, fd, file.key);
    if (out->mark_fd < 0) {
        return false;
    }
    disk_wait_for_lock(out->mark_fd, file.key);
    disk_identify(fd, "", &file); /* its size may have changed while we waited */
    out->size = file.size;
    if (pread(out->mark_fd, &out->mark, sizeof out->mark, 0) != (ssize_t)sizeof out->mark) {
        part(d, fd, &file, out);
    }
    return true;
}

void disk_unlock(struct disk_file *f)
{
    close(f->mark_fd);
}

bool disk_peek(const struct disk *d, int fd, struct disk_file *out)
{
    struct disk_identity file;
    char path[PATH_MAX];

    if (!disk_identify(fd, "", &file) || !S_ISREG(file.mode)) {
        return false;
    }
    memcpy(out->key, file.key, sizeof out->key);
    out->size = file.size;
    out->mark_fd = open(disk_path(d, "marks", file.key, path), O_RDONLY | O_CLOEXEC);
    if (out->mark_fd < 0) {
        return false;
    }
    bool whole = pread(out->mark_fd, &out->mark, sizeof out->mark, 0) == (ssize_t)sizeof out->mark;
    close(out->mark_fd);
    return whole;
}

void disk_changes(struct disk_file *f, int64_t from, int64_t to)
{
    struct disk_mark *m = &f->mark;
    bool clean = m->from >= m->to;

    if (from >= to || (!clean && m->from <= from && to <= m->to)) {
        return;
    }
    m->from = clean || from < m->from ? from : m->from;
    m->to = clean || to > m->to ? to : m->to;
    disk_mark(f);
}

void disk_changes_unseen(struct disk_file *f)
{
    f->mark.from = 0;
    f->mark.to = DISK_END;
    f->mark.unseen = 1;
    disk_mark(f);
}

void disk_carry(const struct disk *d, const struct disk_file *f, int fd, int64_t from, int64_t to)
{
    char path[PATH_MAX];
    struct disk_identity now;
    int from_fd = reader_of(fd);
    int to_fd = open(disk_path(d, "content", f->key, path), O_WRONLY | O_CLOEXEC);

    if (to_fd < 0 || !disk_identify(from_fd, "", &now)) {
        disk_fail("open", path);
    }
    copy(from_fd, to_fd, from, to < now.size ? to : now.size, f->key);
    if (ftruncate(to_fd, now.size) != 0) {
        disk_fail("shorten", path);
    }
    if (from_fd != fd) {
        close(from_fd);
    }
    close(to_fd);
}

bool disk_know(const struct disk *d, int at, const char *name, const struct disk_identity *file)
{
    struct disk_file locked;

    if (disk_is_untouched(d, file)) {
        return true;
    }
    /* O_PATH: as in reader_of(). */
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool known = disk_lock(d, fd, &locked);
    if (known && locked.mark.named == 0) {
        locked.mark.named = 1;
        disk_mark(&locked);
    }
    if (known) {
        disk_unlock(&locked);
    }
    close(fd);
    return known;
}

void disk_sync_new_name(const struct disk *d, struct disk_file *f, int fd)
{
    char path[PATH_MAX];
    struct disk_identity file;

    if (f->mark.named == 0 && disk_identify(fd, "", &file) && file.links > 0 &&
        disk_holds(d, fd, path)) {
        names_sync_path(d, path);
    }
}

static void sync_file(const struct disk *d, int fd, const struct disk_identity *what)
{
    struct disk_file file;

    if (disk_is_untouched(d, what) || !disk_lock(d, fd, &file)) {
        return;
    }
    if (file.mark.from < file.mark.to) {
        disk_carry(d, &file, fd, file.mark.from, file.mark.to);
    }
    if (file.mark.from < file.mark.to && file.mark.unseen == 0) {
        file.mark.from = file.mark.to = 0;
        disk_mark(&file);
    }
    disk_unlock(&file);
    disk_sync_new_name(d, &file, fd);
}

/* ---- both -------------------------------------------------------------------------- */

void disk_sync(const struct disk *d, int fd)
{
    char path[PATH_MAX];
    struct disk_identity what;

    if (!disk_identify(fd, "", &what)) {
        return;
    }
    if (S_ISREG(what.mode)) {
        sync_file(d, fd, &what);
    } else if (S_ISDIR(what.mode) && disk_holds(d, fd, path)) {
        names_sync(d, fd, &what);
    }
}

DIR *disk_read_folder(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);

    if (entries == NULL) {
        disk_fail("read", "a folder");
    }
    return entries;
}

static void sync_below(const struct disk *d, int folder_fd)
{
    DIR *entries = disk_read_folder(folder_fd);

    disk_sync(d, folder_fd);
    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        struct disk_identity entry;
        if (disk_is_dots(e->d_name) || !disk_identify(folder_fd, e->d_name, &entry) ||
            (!S_ISREG(entry.mode) && !S_ISDIR(entry.mode))) {
            continue;
        }
        int fd = openat(folder_fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            continue; /* it has just been removed */
        }
        if (S_ISDIR(entry.mode)) {
            sync_below(d, fd);
        } else {
            sync_file(d, fd, &entry);
        }
        close(fd);
    }
    closedir(entries);
}

void disk_sync_all(const struct disk *d)
{
    int fd = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        disk_fail("open", d->folder);
    }
    sync_below(d, fd);
    close(fd);
}
