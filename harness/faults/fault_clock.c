/*
 * fault_clock.c - the broker's wall clock is stepped, forward or back, and later set right.
 *
 * By libstepclock.so (harness/clock/shim.c), preloaded into the broker: it adds what stands in a
 * file to the wall clock's time. That the clock moved is seen in the Date header of an answer.
 */
#include "harness/faults/fault_kind.h"

#include "harness/run/control.h"
#include "harness/memory.h"
#include "harness/runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

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

static const char *clock_path(const struct fault_scene *scene, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/clock", scene->rt->folder);
    return path;
}

/* The broker has the file mapped: it is overwritten, never another one. */
static bool step_write(struct fault_scene *scene, int64_t seconds)
{
    char path[PATH_MAX];
    int fd = open(clock_path(scene, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    bool done = fd >= 0 && pwrite(fd, &seconds, sizeof seconds, 0) == (ssize_t)sizeof seconds;
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    return done ||
           control_fail(scene->rt->control, NULL, "cannot write %s: %s", path, strerror(error));
}

static bool step_prepare(struct fault_scene *scene)
{
    struct runtime *rt = scene->rt;
    char library[PATH_MAX];
    char path[PATH_MAX];

    snprintf(library, sizeof library, "%.4000s/libstepclock.so", rt->settings->programs);
    if (access(library, R_OK) != 0) {
        return control_fail(rt->control, NULL, "%s is missing: `make` builds it", library);
    }
    runtime_preload(rt, TARGET_BROKER, library);
    runtime_set_environment(rt, TARGET_BROKER, "STEPCLOCK_FILE", clock_path(scene, path));
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
