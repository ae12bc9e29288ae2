/*
 * shim.c - libstepclock.so: a program whose wall clock is some seconds ahead, or behind.
 *
 * Preloaded into the broker. Of the C library's functions that tell the wall clock's time, each
 * adds the seconds that stand in STEPCLOCK_FILE: an int64_t, which may change at any time. It is
 * mapped, so that a change counts at once, and nothing of it outlives a killed program.
 * CLOCK_MONOTONIC and its like are passed on.
 *
 * Not handled: waiting until a moment of the wall clock (pthread_cond_timedwait without
 * CLOCK_MONOTONIC and the like), as the broker waits by CLOCK_MONOTONIC alone; and the times of
 * files, which the kernel writes.
 *
 * Threads: any; also in signal handlers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const _Atomic int64_t *ahead_s; /* NULL: there is no STEPCLOCK_FILE */

__attribute__((constructor)) static void shim_begin(void)
{
    const char *path = getenv("STEPCLOCK_FILE");

    if (path == NULL) {
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        fprintf(stderr, "libstepclock: cannot map %s: %s\n", path, strerror(errno));
        _exit(1);
    }
    close(fd);
    ahead_s = mapped;
}

static bool is_wall_clock(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, clock, out);

    if (result == 0 && ahead_s != NULL && is_wall_clock(clock)) {
        out->tv_sec += *ahead_s;
    }
    return (int)result;
}

EXPORT int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone; /* obsolete */

    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

EXPORT time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

EXPORT int timespec_get(struct timespec *out, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, out) == 0 ? base : 0;
}
