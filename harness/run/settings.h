/*
 * settings.h - does PostgreSQL take a scenario's settings? Asked before anything is started.
 *
 * Threads: one.
 */
#ifndef HARNESS_SETTINGS_H
#define HARNESS_SETTINGS_H

#include "harness/run/control.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Ask the server of this machine.
 *
 * root       of the project, with tools/
 * settings   "fsync=off synchronous_commit=off"
 * reason     gets one line: the first setting that it would not take, why, and what would be right
 *
 * true also where it cannot be asked: its start will tell.
 */
bool settings_fit(struct control *c, const char *root, const char *settings, char *reason,
                  size_t reason_size);

#endif
