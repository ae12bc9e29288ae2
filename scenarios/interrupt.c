/*
 * interrupt.c - see interrupt.h.
 *
 * A program is ended by our own handler, not by the default action, which the kernel does not
 * take on the first process of a container. All that a handler says is made ready before.
 */
#include "scenarios/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 512, EXIT_STOPPED = 1, WAIT_IS_LONG_S = 1 };

static char waiting_line[LINE_BYTES];
static char stopped_line[LINE_BYTES];
static volatile sig_atomic_t connecting;
static volatile sig_atomic_t caught;

static void say(const char *line)
{
    int before = errno;
    if (write(STDERR_FILENO, line, strlen(line)) == -1) {
        errno = before; /* a handler has nobody else to tell */
    }
}

static void on_alarm(int number)
{
    (void)number;
    if (connecting) {
        say(waiting_line);
    }
}

static void on_signal(int number)
{
    if (connecting) {
        say(stopped_line);
    }
    if (connecting || caught) {
        _exit(EXIT_STOPPED);
    }
    caught = number;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void interrupt_connecting(const char *name, const char *broker, int wait_s)
{
    snprintf(waiting_line, sizeof waiting_line,
             "%s: waiting for the broker at %.400s (up to %d s)\n", name, broker, wait_s);
    snprintf(stopped_line, sizeof stopped_line,
             "%s: stopped by a signal while it waited for the broker\n", name);
    connecting = 1;
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    handle(SIGALRM, on_alarm);
    alarm(WAIT_IS_LONG_S);
}

void interrupt_catch(void)
{
    connecting = 0;
    alarm(0);
}

bool interrupt_caught(void)
{
    return caught != 0;
}

int64_t interrupt_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void interrupt_sleep_until(int64_t until_ms)
{
    struct timespec t = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}
