/*
 * fault_clock.c - the broker's wall clock is stepped, forward or back, and later set right.
 *
 * By libfaketime, preloaded into the broker: it adds what stands in a file to every time that
 * is asked for, but for CLOCK_MONOTONIC. That the clock moved is seen in the Date header of an
 * answer.
 */
#include "harness/faults/fault_kind.h"

#include "harness/run/control.h"
#include "harness/memory.h"
#include "harness/runtime/runtime.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LIBRARY "/usr/lib/*/faketime/libfaketimeMT.so.1"
#define ANSWER_LIMIT_S 2
#define ANSWER_BYTES_MAX 4096
/* The header has whole seconds, and the answer takes its time. */
#define TOLERANCE_S 3
#define DATE_NONE INT64_MIN

/* ---- the broker's clock ------------------------------------------------------------------- */

static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10));
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The broker's answer to a GET, as much of it as is read in the time limit. */
static void answer_read(const char *address, char answer[ANSWER_BYTES_MAX])
{
    static const char request[] = "GET /healthz HTTP/1.0\r\nHost: broker\r\n\r\n";
    size_t used = 0;
    ssize_t size = 0;
    int fd = connect_to(address);

    if (fd >= 0 && write(fd, request, sizeof request - 1) == (ssize_t)sizeof request - 1) {
        while (used < ANSWER_BYTES_MAX - 1 &&
               (size = read(fd, answer + used, ANSWER_BYTES_MAX - 1 - used)) > 0) {
            used += (size_t)size;
        }
    }
    answer[used] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

/* How far its Date header is ahead of this machine's clock, in seconds. */
static int64_t clock_ahead_s(const char *address)
{
    char answer[ANSWER_BYTES_MAX];
    struct tm tm = {0};

    answer_read(address, answer);
    const char *date = strcasestr(answer, "\r\nDate: ");
    if (date == NULL || strptime(date + 8, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL) {
        return DATE_NONE;
    }
    return (int64_t)(timegm(&tm) - time(NULL));
}

static bool clock_is_ahead_by(const struct fault_scene *scene, int64_t seconds)
{
    int64_t ahead_s = clock_ahead_s(scene->rt->broker);

    return ahead_s != DATE_NONE && llabs(ahead_s - seconds) <= TOLERANCE_S;
}

/* ---- step clock ---------------------------------------------------------------------------- */

/* Never half a file: libfaketime may read it at any time. */
static bool step_write(struct fault_scene *scene, int64_t seconds)
{
    char path[PATH_MAX];
    char fresh[PATH_MAX];

    snprintf(path, sizeof path, "%s/clock", scene->rt->folder);
    snprintf(fresh, sizeof fresh, "%s/clock.new", scene->rt->folder);
    FILE *file = fopen(fresh, "we");
    bool done = file != NULL && fprintf(file, "%+" PRId64 "\n", seconds) > 0;
    if (file != NULL && fclose(file) != 0) {
        done = false;
    }
    return (done && rename(fresh, path) == 0) ||
           control_fail(scene->rt->control, NULL, "cannot write %s: %s", path, strerror(errno));
}

static bool step_prepare(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    char path[PATH_MAX];
    glob_t found = {0};

    if (glob(LIBRARY, 0, NULL, &found) != 0) {
        globfree(&found);
        return control_fail(rt->control, NULL,
                            "'step clock' needs libfaketime, and there is no " LIBRARY
                            ": install the package libfaketime");
    }
    snprintf(path, sizeof path, "%s/clock", rt->folder);
    runtime_preload(rt, TARGET_BROKER, found.gl_pathv[0]);
    runtime_set_environment(rt, TARGET_BROKER, "FAKETIME_TIMESTAMP_FILE", path);
    runtime_set_environment(rt, TARGET_BROKER, "FAKETIME_NO_CACHE", "1");
    runtime_set_environment(rt, TARGET_BROKER, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
    globfree(&found);
    return step_write(scene, 0);
}

static bool step_begin(struct fault_scene *scene)
{
    return step_write(scene, scene->fault->seconds);
}

static bool step_hit(struct fault_scene *scene)
{
    return clock_is_ahead_by(scene, scene->fault->seconds);
}

static int64_t step_bitten(struct fault_scene *scene)
{
    return clock_is_ahead_by(scene, scene->fault->seconds) ? llabs(scene->fault->seconds) : 0;
}

static bool step_end(struct fault_scene *scene)
{
    return step_write(scene, 0);
}

static bool step_healed(struct fault_scene *scene)
{
    return clock_is_ahead_by(scene, 0);
}

const struct fault_ops fault_step_clock_ops = {.prepare = step_prepare,
                                               .begin = step_begin,
                                               .hit = step_hit,
                                               .bitten = step_bitten,
                                               .end = step_end,
                                               .healed = step_healed};
