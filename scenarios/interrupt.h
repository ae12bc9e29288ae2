/*
 * interrupt.h - SIGINT and SIGTERM, and the clock that waits which a signal ends go by.
 *
 * While a program connects, a signal ends it at once, with one line on stderr and exit code
 * 1: there is nothing to finish, and the library's call that connects returns only with the
 * broker or when it gives up. From interrupt_catch on, a signal asks the program to finish,
 * and a second one ends it at once.
 */
#ifndef SCENARIOS_INTERRUPT_H
#define SCENARIOS_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* `name` ("producer 1") is about to connect, and waits for up to `wait_s` seconds; stderr is
 * told when it takes long. Call before the first thread is started. */
void interrupt_connecting(const char *name, const char *broker, int wait_s);

/* Connecting is over, well or not. */
void interrupt_catch(void);

bool interrupt_caught(void);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t interrupt_clock_ms(void);

/* Sleep until that clock shows `until_ms`; a signal ends it early. */
void interrupt_sleep_until(int64_t until_ms);

#endif
