/*
 * faulty_disk.h - a disk that fails on request, under SQLite's write-ahead log.
 *
 * For the whole program; threads: any.
 */
#ifndef BROKER_STORE_TESTS_FAULTY_DISK_H
#define BROKER_STORE_TESTS_FAULTY_DISK_H

#include <stdbool.h>

/* Files that SQLite opens from now on lie on it. Once, before the first. */
void faulty_disk_install(void);

/* No room for another byte, until there is again. */
void faulty_disk_fill(bool full);

/* The next `count` syncs fail. What was written before them stays as it is. */
void faulty_disk_fail_syncs(int count);

/* How many of them have not come yet. */
int faulty_disk_syncs_left(void);

#endif
