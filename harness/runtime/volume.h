/*
 * volume.h - a folder on a small volume of its own, which can be filled.
 *
 * The volume is memory (tmpfs), mounted where the folder is. Who mounts one leaves, with all
 * that it starts from then on, the mounts that the rest of the machine sees: so nobody else
 * sees the volume, and it goes with the last of them, however they end.
 *
 * Threads: the caller has one.
 */
#ifndef HARNESS_VOLUME_H
#define HARNESS_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Mount a volume where the folder is, with the folder's owner; what was in it is hidden.
 * Root can, and everybody where the system has user namespaces. 0, or an errno.
 */
int volume_mount(const char *folder, int64_t bytes);

/* What was hidden is there again; nothing if no volume is there. */
void volume_unmount(const char *folder);

bool volume_is(const char *folder);

/* Take all room that is left, with this file in it; 0, or an errno. Removing the file gives it
 * back. */
int volume_fill(const char *file);

#endif
