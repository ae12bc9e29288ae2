/*
 * faulty_disk.c - SQLite's own file functions, two of them with a fault in front.
 *
 * A file keeps the structure that SQLite's "unix" functions made; only its table of
 * functions is replaced by a copy.
 */
#include "broker/store/tests/faulty_disk.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_bool disk_full;
static atomic_int failing_syncs;

static sqlite3_vfs faulty;
static const sqlite3_vfs *sound;
static sqlite3_io_methods faulty_file;
static const sqlite3_io_methods *sound_file;

static int faulty_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    return atomic_load(&disk_full) ? SQLITE_FULL : sound_file->xWrite(file, data, size, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    int left = atomic_load(&failing_syncs);

    while (left > 0 && !atomic_compare_exchange_weak(&failing_syncs, &left, left - 1)) {
    }
    return left > 0 ? SQLITE_IOERR_FSYNC : sound_file->xSync(file, flags);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *out_flags)
{
    (void)vfs;
    int code = sound->xOpen((sqlite3_vfs *)(size_t)sound, name, file, flags, out_flags);

    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        assert(file->pMethods == sound_file || sound_file == NULL);
        sound_file = file->pMethods;
        faulty_file = *sound_file;
        faulty_file.xWrite = faulty_write;
        faulty_file.xSync = faulty_sync;
        file->pMethods = &faulty_file;
    }
    return code;
}

void faulty_disk_install(void)
{
    if (sound == NULL) {
        sound = sqlite3_vfs_find(NULL);
        assert(sound != NULL);
        faulty = *sound;
        faulty.zName = "faulty";
        faulty.xOpen = faulty_open;
        sqlite3_vfs_register(&faulty, 1);
    }
}

void faulty_disk_fill(bool full)
{
    atomic_store(&disk_full, full);
}

void faulty_disk_fail_syncs(int count)
{
    atomic_store(&failing_syncs, count);
}

int faulty_disk_syncs_left(void)
{
    return atomic_load(&failing_syncs);
}
