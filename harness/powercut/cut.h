/*
 * cut.h - the power cut itself: the folder becomes what the disk holds (disk.h).
 *
 * Nothing that writes to the folder may run, but for disk_look().
 *
 * A disk may have written more than it was asked to: with a seed, every sector that was not
 * synced, and every folder's names, come through or are lost by the throw of a coin, so pages
 * tear and files have holes. The same seed on the same folder throws the same coins.
 *
 * Threads: one.
 */
#ifndef HARNESS_POWERCUT_CUT_H
#define HARNESS_POWERCUT_CUT_H

#include "harness/powercut/disk.h"

#define CUT_SECTOR_BYTES 512 /* what a disk writes whole or not at all */

struct cut_loss {
    int64_t bytes;    /* written, and undone; not of files that are changed unseen (disk.h) */
    int64_t survived; /* not synced, but left by the coin; 0 without a seed */
    int64_t names;    /* made, removed or replaced, and undone */
};

/* What a cut without a seed would undo now. Whoever writes to the folder may run, if he is
 * stopped meanwhile; nothing is changed. */
void disk_look(const struct disk *d, struct cut_loss *out);

/* From now on what the folder holds is on the disk, and changes are kept apart. */
void disk_begin(const struct disk *d);

/* seed   0: all that was not synced is lost
 * Ends with a disk_begin(). */
void disk_cut(const struct disk *d, uint64_t seed, struct cut_loss *out);

#endif
