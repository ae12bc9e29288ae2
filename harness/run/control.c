/*
 * control.c - waiting, with the clock running.
 *
 * Signals are blocked and read from a descriptor, so that nothing is interrupted in the
 * middle; children start with an empty mask again (process.c).
 */
#include "harness/run/control.h"

#include "common/buffer.h"
#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define REDRAW_MS 100
#define REPEAT_MS 5000 /* where nothing can be redrawn, a step's line comes again */
#define LOG_BYTES_MAX (16 << 20)
#define FAILURE_LOG_LINES 12

int control_open(struct control *c, int64_t started_ms)
{
    sigset_t signals;

    memset(c, 0, sizeof *c);
    c->started_ms = started_ms;
    c->terminal = isatty(STDOUT_FILENO) == 1;
    c->inotify_fd = -1;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    /* A reader of our output that has gone must not keep us from taking things down. */
    signal(SIGPIPE, SIG_IGN);
    c->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (c->signal_fd < 0) {
        return errno;
    }
    c->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (c->inotify_fd < 0) {
        int error = errno;
        control_close(c);
        return error;
    }
    return 0;
}

void control_close(struct control *c)
{
    if (c->signal_fd >= 0) {
        close(c->signal_fd);
    }
    if (c->inotify_fd >= 0) {
        close(c->inotify_fd);
    }
    c->signal_fd = -1;
    c->inotify_fd = -1;
}

static int terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* Where the last `lines` lines of the text begin. */
static const char *last_lines(const struct buffer *text, int lines)
{
    const char *p = text->data + text->size;

    if (p > text->data && p[-1] == '\n') {
        p--;
    }
    while (p > text->data) {
        if (p[-1] == '\n' && --lines == 0) {
            break;
        }
        p--;
    }
    return p;
}

static void read_followed(struct control *c)
{
    struct buffer text = BUFFER_INIT;

    if (buffer_read_file(&text, c->followed, LOG_BYTES_MAX) == 0 && text.size > 0) {
        const char *line = last_lines(&text, 1);
        control_detail(c, "%.*s", (int)strcspn(line, "\n"), line);
    }
    buffer_release(&text);
}

static void show(struct control *c)
{
    char line[2 * CONTROL_TEXT_BYTES_MAX + 32];

    if (c->followed[0] != '\0') {
        read_followed(c);
    }
    c->shown_ms = clock_now_ms();
    snprintf(line, sizeof line, "[%5.1f s] %s%s%s", (double)(c->shown_ms - c->started_ms) / 1000,
             c->step, c->detail[0] != '\0' ? ": " : "", c->detail);
    if (c->terminal) {
        /* A line that wraps cannot be redrawn. */
        printf("\r\033[K%.*s", terminal_columns() - 1, line);
    } else {
        puts(line);
    }
    fflush(stdout);
}

void control_end_steps(struct control *c)
{
    if (c->step[0] == '\0') {
        return;
    }
    if (c->terminal) {
        show(c);
        putchar('\n');
        fflush(stdout);
    }
    c->step[0] = '\0';
    c->detail[0] = '\0';
}

void control_step(struct control *c, const char *format, ...)
{
    va_list arguments;

    control_end_steps(c);
    va_start(arguments, format);
    vsnprintf(c->step, sizeof c->step, format, arguments);
    va_end(arguments);
    show(c);
}

void control_detail(struct control *c, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(c->detail, sizeof c->detail, format, arguments);
    va_end(arguments);
}

void control_note(struct control *c, const char *format, ...)
{
    va_list arguments;

    printf("%s", c->terminal ? "\r\033[K" : "");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

void control_follow(struct control *c, const char *path)
{
    snprintf(c->followed, sizeof c->followed, "%s", path != NULL ? path : "");
}

static void drain_signals(struct control *c)
{
    struct signalfd_siginfo info;

    while (read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD) {
            c->interrupted = true;
        }
    }
}

/* Which file grew does not matter: all are read. */
static void drain_inotify(struct control *c)
{
    _Alignas(struct inotify_event) char events[16384];

    while (read(c->inotify_fd, events, sizeof events) > 0) {
    }
}

bool control_wait(struct control *c, int64_t wait_ms)
{
    int64_t redraw_ms = c->terminal ? REDRAW_MS : REPEAT_MS;
    struct pollfd fds[] = {{.fd = c->signal_fd, .events = POLLIN},
                           {.fd = c->inotify_fd, .events = POLLIN}};

    poll(fds, 2, (int)(wait_ms < REDRAW_MS ? wait_ms : REDRAW_MS));
    drain_signals(c);
    drain_inotify(c);
    if (c->step[0] != '\0' && clock_now_ms() - c->shown_ms >= redraw_ms) {
        show(c);
    }
    return c->stopping || !c->interrupted;
}

bool control_fail(struct control *c, const char *log, const char *format, ...)
{
    va_list arguments;

    if (c->failed) {
        return false;
    }
    c->failed = true;
    va_start(arguments, format);
    vsnprintf(c->failure, sizeof c->failure, format, arguments);
    va_end(arguments);
    snprintf(c->failure_log, sizeof c->failure_log, "%s", log != NULL ? log : "");
    return false;
}

void control_print_failure(const struct control *c)
{
    struct buffer text = BUFFER_INIT;

    fprintf(stderr, "myqueue-harness: %s\n", c->failure);
    if (c->failure_log[0] != '\0' && buffer_read_file(&text, c->failure_log, LOG_BYTES_MAX) == 0 &&
        text.size > 0) {
        fprintf(stderr, "the end of %s:\n", c->failure_log);
        for (const char *p = last_lines(&text, FAILURE_LOG_LINES); *p != '\0';) {
            size_t size = strcspn(p, "\n");
            fprintf(stderr, "    %.*s\n", (int)size, p);
            p += size + (p[size] == '\n');
        }
    }
    buffer_release(&text);
}
