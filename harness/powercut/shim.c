/*
 * shim.c - libpowercut.so: tells the disk (disk.h) what a program does to its files.
 *
 * Preloaded into a store's process and inherited by all that it starts. Of the C library's
 * functions that change a file or sync it, each first does what it always did, and the disk
 * learns of it: changes are marked beforehand, what is synced is carried over. What is not
 * below POWERCUT_FOLDER is passed on untouched.
 *
 * Not seen, and so lost unless the file is synced afterwards: stdio and shared mappings write
 * where we do not look. A file that was opened or mapped so for writing counts as changed all
 * over, always. Not handled at all: io_uring and system calls made without the C library.
 * A program loses its record locks (fcntl) on a file when it syncs it by a descriptor that is
 * for writing only, and by sync() and syncfs().
 *
 * The disk's own calls come here too, and are passed on (`inside`).
 *
 * Threads: any; also in signal handlers, as nothing is allocated but when a folder is synced.
 */
#include "harness/powercut/disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define SAME_AS(name) __attribute__((visibility("default"), alias(#name)))

/* Where a write begins whose offset is the descriptor's own. */
#define AT_POSITION (-1)

static struct disk disk;
static bool on; /* there is a POWERCUT_FOLDER */
static _Thread_local bool inside;

/* That we are here: without us a cut would take what the program had synced. */
static void sign_leave(void)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%.4000s/loaded", disk.state);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        disk_fail("make", path);
    }
    close(fd);
}

__attribute__((constructor)) static void shim_begin(void)
{
    const char *folder = getenv("POWERCUT_FOLDER");

    if (folder == NULL) {
        return;
    }
    inside = true;
    disk_open(&disk, folder);
    if (access(disk.state, F_OK) != 0) {
        disk_fail("find (run `myqueue-powercut begin FOLDER` first)", disk.state);
    }
    sign_leave();
    inside = false;
    on = true;
}

/* ---- a change ------------------------------------------------------------------------ */

/* From before a change to after it: the file's lock is held. */
struct change {
    bool ours;    /* it is a file of the folder */
    bool durable; /* O_SYNC, O_DSYNC: it is synced as it is made */
    struct disk_file file;
    struct disk_mark before;
    int64_t from;
};

/* [from, to) of `fd` is about to change; AT_POSITION, `to` is then how many bytes. */
static struct change change_begin(int fd, int64_t from, int64_t to)
{
    struct change c = {.ours = false};
    int error = errno;

    if (!on || inside) {
        return c;
    }
    inside = true;
    c.ours = disk_lock(&disk, fd, &c.file);
    if (c.ours) {
        int flags = fcntl(fd, F_GETFL);
        bool at_position = from == AT_POSITION;
        c.from = (flags & O_APPEND) != 0 ? c.file.size
                 : at_position           ? lseek(fd, 0, SEEK_CUR)
                                         : from;
        c.durable = (flags & O_DSYNC) != 0; /* O_SYNC holds that bit */
        c.before = c.file.mark;
        disk_changes(&c.file, c.from,
                     to == DISK_END ? to : c.from + (at_position ? to : to - from));
    }
    inside = c.ours; /* until its end */
    errno = error;
    return c;
}

/* `written` bytes were, or -1. */
static ssize_t change_end(struct change *c, int fd, ssize_t written)
{
    int error = errno;

    if (!c->ours) {
        return written;
    }
    if (c->durable && written > 0) {
        disk_carry(&disk, &c->file, fd, c->from, c->from + written);
        c->file.mark = c->before;
        disk_mark(&c->file);
    }
    disk_unlock(&c->file);
    if (c->durable && written > 0) {
        disk_sync_new_name(&disk, &c->file, fd);
    }
    inside = false;
    errno = error;
    return written;
}

static size_t total(const struct iovec *parts, int count)
{
    size_t size = 0;

    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    return size;
}

/* ---- writing --------------------------------------------------------------------------- */

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    struct change c = change_begin(fd, AT_POSITION, (int64_t)size);

    return change_end(&c, fd, syscall(SYS_write, fd, data, size));
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    struct change c = change_begin(fd, at, at + (int64_t)size);

    return change_end(&c, fd, syscall(SYS_pwrite64, fd, data, size, at));
}
SAME_AS(pwrite) ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at);

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct change c = change_begin(fd, AT_POSITION, (int64_t)total(parts, count));

    return change_end(&c, fd, syscall(SYS_writev, fd, parts, count));
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    int64_t size = (int64_t)total(parts, count);
    struct change c =
        at == -1 ? change_begin(fd, AT_POSITION, size) : change_begin(fd, at, at + size);

    c.durable = c.durable || (flags & (RWF_DSYNC | RWF_SYNC)) != 0;
    if (c.ours && (flags & RWF_APPEND) != 0) {
        c.from = c.file.size;
        disk_changes(&c.file, c.from, c.from + size);
    }
    return change_end(&c, fd, syscall(SYS_pwritev2, fd, parts, count, at, 0L, flags));
}
SAME_AS(pwritev2)
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags);

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    if (at < 0) {
        errno = EINVAL;
        return -1;
    }
    return pwritev2(fd, parts, count, at, 0);
}
SAME_AS(pwritev) ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at);

EXPORT ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size,
                               unsigned flags)
{
    struct change c = out_at == NULL ? change_begin(out, AT_POSITION, (int64_t)size)
                                     : change_begin(out, *out_at, *out_at + (int64_t)size);

    return change_end(&c, out, syscall(SYS_copy_file_range, in, in_at, out, out_at, size, flags));
}

EXPORT ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags)
{
    struct change c = out_at == NULL ? change_begin(out, AT_POSITION, (int64_t)size)
                                     : change_begin(out, *out_at, *out_at + (int64_t)size);

    return change_end(&c, out, syscall(SYS_splice, in, in_at, out, out_at, size, flags));
}

EXPORT ssize_t sendfile(int out, int in, off_t *in_at, size_t size)
{
    struct change c = change_begin(out, AT_POSITION, (int64_t)size);

    return change_end(&c, out, syscall(SYS_sendfile, out, in, in_at, size));
}
SAME_AS(sendfile) ssize_t sendfile64(int out, int in, off64_t *in_at, size_t size);

/* ---- lengths --------------------------------------------------------------------------- */

/* From where on a file changes when it is given this length. What lies behind it is gone,
 * even when the file grows again; so it counts as changed to the end. */
static struct change change_length(int fd, int64_t length)
{
    struct stat s;

    return change_begin(fd, fstat(fd, &s) == 0 && s.st_size < length ? s.st_size : length,
                        DISK_END);
}

EXPORT int ftruncate(int fd, off_t length)
{
    struct change c = change_length(fd, length);

    return (int)change_end(&c, fd, syscall(SYS_ftruncate, fd, length));
}
SAME_AS(ftruncate) int ftruncate64(int fd, off64_t length);

EXPORT int truncate(const char *path, off_t length)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);

    if (fd < 0) {
        return -1;
    }
    int result = ftruncate(fd, length);
    close(fd);
    return result;
}
SAME_AS(truncate) int truncate64(const char *path, off64_t length);

EXPORT int fallocate(int fd, int mode, off_t from, off_t size)
{
    /* Collapsing and inserting move all that is behind. */
    struct change c = change_begin(fd, from, mode == 0 ? from + size : DISK_END);

    return (int)change_end(&c, fd, syscall(SYS_fallocate, fd, mode, from, size));
}
SAME_AS(fallocate) int fallocate64(int fd, int mode, off64_t from, off64_t size);

EXPORT int posix_fallocate(int fd, off_t from, off_t size)
{
    int error = errno;
    int result = fallocate(fd, 0, from, size) == 0 ? 0 : errno;

    errno = error;
    return result;
}
SAME_AS(posix_fallocate) int posix_fallocate64(int fd, off64_t from, off64_t size);

/* ---- opening --------------------------------------------------------------------------- */

/* Only O_TRUNC changes what was there. That a file is new is seen when it is used. */
static int open_at(int at, const char *path, int flags, mode_t mode)
{
    int probe = -1;
    struct change c = {.ours = false};

    if (on && !inside && (flags & O_TRUNC) != 0) {
        probe = (int)syscall(SYS_openat, at, path, O_PATH | O_CLOEXEC | (flags & O_NOFOLLOW));
    }
    if (probe >= 0) {
        c = change_begin(probe, 0, DISK_END);
    }
    int fd = (int)change_end(&c, probe, syscall(SYS_openat, at, path, flags, mode));
    if (probe >= 0) {
        int error = errno;
        syscall(SYS_close, probe);
        errno = error;
    }
    return fd;
}

static mode_t mode_of(int flags, va_list *more)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(*more, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    int fd = open_at(AT_FDCWD, path, flags, mode_of(flags, &more));
    va_end(more);
    return fd;
}
SAME_AS(open) int open64(const char *path, int flags, ...);

EXPORT int openat(int at, const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    int fd = open_at(at, path, flags, mode_of(flags, &more));
    va_end(more);
    return fd;
}
SAME_AS(openat) int openat64(int at, const char *path, int flags, ...);

EXPORT int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
SAME_AS(creat) int creat64(const char *path, mode_t mode);

/* ---- where we do not look ---------------------------------------------------------------- */

static void changes_unseen(int fd)
{
    struct disk_file file;
    int error = errno;

    if (!on || inside) {
        return;
    }
    inside = true;
    if (disk_lock(&disk, fd, &file)) {
        disk_changes_unseen(&file);
        disk_unlock(&file);
    }
    inside = false;
    errno = error;
}

static bool is_written(const char *stream_mode)
{
    return strpbrk(stream_mode, "wa+") != NULL;
}

/* It is open, and perhaps new. */
static FILE *stream_opened(FILE *stream, const char *mode)
{
    if (stream != NULL && is_written(mode)) {
        changes_unseen(fileno(stream));
    }
    return stream;
}

/* Before it is opened, which may empty it. */
static void stream_opens(const char *path, const char *mode)
{
    int error = errno;
    int fd = on && !inside && path != NULL && is_written(mode)
                 ? (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC)
                 : -1;

    if (fd >= 0) {
        changes_unseen(fd);
        syscall(SYS_close, fd);
    }
    errno = error;
}

static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL) {
        disk_fail("find the C library's", name);
    }
    return function;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = next("fopen");

    stream_opens(path, mode);
    return stream_opened(real(path, mode), mode);
}
SAME_AS(fopen) FILE *fopen64(const char *path, const char *mode);

EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    FILE *(*real)(const char *, const char *, FILE *) = next("freopen");

    stream_opens(path, mode);
    return stream_opened(real(path, mode, stream), mode);
}
SAME_AS(freopen) FILE *freopen64(const char *path, const char *mode, FILE *stream);

EXPORT FILE *fdopen(int fd, const char *mode)
{
    FILE *(*real)(int, const char *) = next("fdopen");

    return stream_opened(real(fd, mode), mode);
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    if ((protection & PROT_WRITE) != 0 && (flags & MAP_TYPE) != MAP_PRIVATE &&
        (flags & MAP_ANONYMOUS) == 0) {
        changes_unseen(fd);
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, at);
}
SAME_AS(mmap)
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t at);

/* ---- syncing --------------------------------------------------------------------------- */

/* Carried over once the real one is done: it takes longest, so most cuts that hit a sync hit
 * it before it is done. What failed carries over nothing. */
static int synced(int fd, int result)
{
    int error = errno;

    if (on && !inside && result == 0) {
        inside = true;
        disk_sync(&disk, fd);
        inside = false;
    }
    errno = error;
    return result;
}

static int synced_all(int result)
{
    int error = errno;

    if (on && !inside && result == 0) {
        inside = true;
        disk_sync_all(&disk);
        inside = false;
    }
    errno = error;
    return result;
}

EXPORT int fsync(int fd)
{
    return synced(fd, (int)syscall(SYS_fsync, fd));
}

EXPORT int fdatasync(int fd)
{
    return synced(fd, (int)syscall(SYS_fdatasync, fd));
}

EXPORT void sync(void)
{
    synced_all((int)syscall(SYS_sync));
}

EXPORT int syncfs(int fd)
{
    return synced_all((int)syscall(SYS_syncfs, fd)); /* of any file system: there is one disk */
}
