/*
 * interrupt.h - SIGINT and SIGTERM ask a program to finish; a second one ends it at once.
 */
#ifndef SCENARIOS_INTERRUPT_H
#define SCENARIOS_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* Call before the first thread is started. */
void interrupt_catch(void);

bool interrupt_caught(void);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t interrupt_clock_ms(void);

/* Sleep until that clock shows `until_ms`; a signal ends it early. */
void interrupt_sleep_until(int64_t until_ms);

#endif
