/*
 * volume.c - mounts of our own, and the file that fills one.
 */
#include "harness/runtime/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define BLOCK_BYTES 4096 /* of a tmpfs: a page */

static bool write_text(const char *path, const char *text, int size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, (size_t)size) == size;

    if (fd >= 0) {
        close(fd);
    }
    return done;
}

/* Who is not root becomes one who may mount, in a user namespace with only himself in it. */
static int leave_users(void)
{
    char map[64];
    unsigned user = geteuid();
    unsigned group = getegid();

    if (unshare(CLONE_NEWUSER) != 0) {
        return errno;
    }
    int size = snprintf(map, sizeof map, "%u %u 1", user, user);
    bool done = write_text("/proc/self/setgroups", "deny", 4) &&
                write_text("/proc/self/uid_map", map, size);
    size = snprintf(map, sizeof map, "%u %u 1", group, group);
    return done && write_text("/proc/self/gid_map", map, size) ? 0 : EPERM;
}

static int leave_mounts(void)
{
    int error = geteuid() == 0 ? 0 : leave_users();

    if (error == 0 &&
        (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)) {
        error = errno;
    }
    return error;
}

int volume_mount(const char *folder, int64_t bytes)
{
    char options[128];
    struct stat s;

    if (stat(folder, &s) != 0) {
        return errno;
    }
    int error = leave_mounts();
    if (error != 0) {
        return error;
    }
    snprintf(options, sizeof options, "size=%lld,mode=%o,uid=%u,gid=%u", (long long)bytes,
             (unsigned)(s.st_mode & 07777), s.st_uid, s.st_gid);
    return mount("none", folder, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0 : errno;
}

void volume_unmount(const char *folder)
{
    if (volume_is(folder)) {
        umount2(folder, MNT_DETACH);
    }
}

bool volume_is(const char *folder)
{
    char above[4096];
    struct stat in;
    struct stat out;
    struct statfs fs;

    snprintf(above, sizeof above, "%s/..", folder);
    return stat(folder, &in) == 0 && stat(above, &out) == 0 && in.st_dev != out.st_dev &&
           statfs(folder, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

int volume_fill(const char *file)
{
    struct statfs fs;
    off_t size = 0;
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        return errno;
    }
    int error = fstatfs(fd, &fs) == 0 ? 0 : errno;
    /* By halves, since others take and give back room meanwhile. */
    off_t step = error == 0 ? (off_t)fs.f_bavail * (off_t)fs.f_bsize : 0;
    for (; step >= BLOCK_BYTES; step /= 2) {
        while (fallocate(fd, 0, size, step) == 0) {
            size += step;
        }
        error = errno == ENOSPC ? 0 : errno;
    }
    close(fd);
    return error;
}
