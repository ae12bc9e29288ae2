/*
 * line.c - starts the proxy, one packet for each command.
 */
#include "harness/runtime/line.h"

#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UP_LIMIT_MS 20000
#define UP_EVERY_MS 2
#define ANSWER_LIMIT_S 20
#define ANSWER_BYTES_MAX 512
#define PROXY_NAME "proxy"

/* Nobody is there yet: try again. */
static bool try_connect(struct line *line, const char *control)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};

    snprintf(at.sun_path, sizeof at.sun_path, "%s", control);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return false;
    }
    line->control_fd = fd;
    return true;
}

bool line_open(struct line *line, struct control *c, const char *programs, const char *listen,
               const char *to, const char *control, const char *log)
{
    int64_t deadline_ms = clock_now_ms() + UP_LIMIT_MS;
    struct arguments a = ARGUMENTS_INIT;
    char how[32];

    arguments_add(&a, "%s/myqueue-proxy", programs);
    arguments_add(&a, "--listen");
    arguments_add(&a, "%s", listen);
    arguments_add(&a, "--to");
    arguments_add(&a, "%s", to);
    arguments_add(&a, "--control");
    arguments_add(&a, "unix:%s", control);
    bool started = process_start(&line->process, c, PROXY_NAME, &a, log, -1);
    arguments_release(&a);
    if (!started) {
        return false;
    }
    while (!try_connect(line, control)) {
        if (!process_runs(&line->process)) {
            return control_fail(c, log, "the proxy at %s did not start: %s", listen,
                                process_end(&line->process, how, sizeof how));
        }
        if (clock_now_ms() > deadline_ms) {
            return control_fail(c, log, "the proxy at %s does not take commands", listen);
        }
        if (!control_wait(c, UP_EVERY_MS)) {
            return false;
        }
    }
    return true;
}

bool line_is_open(const struct line *line)
{
    return line->control_fd >= 0;
}

static int64_t count_of(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    int64_t count = 0;

    return at != NULL && sscanf(at + strlen(name), "=%" SCNd64, &count) == 1 ? count : 0;
}

bool line_tell(struct line *line, struct control *c, const char *command,
               struct line_counts *counts)
{
    char answer[ANSWER_BYTES_MAX + 1];

    if (send(line->control_fd, command, strlen(command), MSG_NOSIGNAL) < 0) {
        return control_fail(c, line->process.log, "the proxy has gone: %s", strerror(errno));
    }
    ssize_t size = recv(line->control_fd, answer, ANSWER_BYTES_MAX, 0);
    if (size <= 0) {
        return control_fail(c, line->process.log, "the proxy did not answer '%s'", command);
    }
    answer[size] = '\0';
    if (strncmp(answer, "ok", 2) != 0) {
        return control_fail(c, line->process.log, "the proxy refused '%s': %s", command, answer);
    }
    if (counts != NULL) {
        *counts = (struct line_counts){.hit = count_of(answer, " hit"),
                                       .in_flight = count_of(answer, " in_flight")};
    }
    return true;
}

void line_close(struct line *line)
{
    if (line->control_fd >= 0) {
        close(line->control_fd);
    }
    line->control_fd = -1;
    process_signal(&line->process, SIGKILL);
}
