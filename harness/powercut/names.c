/*
 * names.c - names are read from a folder and written beside it, whole, under one lock.
 */
#include "harness/powercut/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ------------------------------------------------------------------------- */

bool names_load(const struct disk *d, const char *key, struct names *out)
{
    char path[PATH_MAX];
    unsigned mode;

    *out = (struct names){.text = NULL};
    int fd = open(disk_path(d, "names", key, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return false;
    }
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0) {
        disk_fail("open", path);
    }
    out->size = (size_t)s.st_size;
    out->text = malloc(out->size + 1);
    if (out->text == NULL || read(fd, out->text, out->size) != (ssize_t)out->size) {
        disk_fail("read", path);
    }
    out->text[out->size] = '\0';
    close(fd);
    out->first = strlen(out->text) + 1;
    if (sscanf(out->text, "%o %u %u", &mode, &out->folder.owner, &out->folder.group) != 3) {
        disk_fail("understand", path);
    }
    out->folder.mode = mode;
    return true;
}

void names_release(struct names *n)
{
    free(n->text);
}

bool names_next(const struct names *n, size_t *at, struct names_entry *out)
{
    if (n->text == NULL || *at >= n->size) {
        return false;
    }
    out->type = n->text[*at];
    out->what = n->text + *at + 1;
    out->name = out->what + strlen(out->what) + 1;
    *at = (size_t)(out->name + strlen(out->name) + 1 - n->text);
    return true;
}

bool names_find(const struct names *n, const char *name, struct names_entry *out)
{
    size_t at = n->first;

    while (names_next(n, &at, out)) {
        if (strcmp(out->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static char type_of(mode_t mode)
{
    return S_ISREG(mode) ? 'f' : S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : '\0';
}

bool names_match(const struct names_entry *held, const struct disk_identity *seen)
{
    return held->type == type_of(seen->mode) &&
           (held->type == 'l' || strcmp(held->what, seen->key) == 0);
}

/* ---- writing ------------------------------------------------------------------------- */

/* A list that is being written beside its place. */
struct draft {
    FILE *file;
    char path[PATH_MAX];
};

static struct draft draft_begin(const struct disk *d, const struct disk_identity *folder)
{
    struct draft draft;

    snprintf(draft.path, sizeof draft.path, "%.4000s/draft", d->state);
    unlink(draft.path); /* a killed program's; its owner was perhaps another */
    draft.file = fopen(draft.path, "we");
    if (draft.file == NULL) {
        disk_fail("write", draft.path);
    }
    fprintf(draft.file, "%o %u %u%c", (unsigned)folder->mode, folder->owner, folder->group, '\0');
    return draft;
}

static void draft_add(struct draft *draft, char type, const char *what, const char *name)
{
    fprintf(draft->file, "%c%s%c%s%c", type, what, '\0', name, '\0');
}

static void draft_end(struct draft *draft, const struct disk *d, const char *key)
{
    char path[PATH_MAX];
    bool written = fflush(draft->file) == 0 && fchmod(fileno(draft->file), 0644) == 0;

    if (fclose(draft->file) != 0 || !written ||
        rename(draft->path, disk_path(d, "names", key, path)) != 0) {
        disk_fail("write", draft->path);
    }
}

static int lock_names(const struct disk *d)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%.4000s/lock", d->state);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        disk_fail("open", path);
    }
    disk_wait_for_lock(fd, path);
    return fd;
}

/* A folder whose name is on the disk is there, if empty. */
static void know_folder(const struct disk *d, const struct disk_identity *folder)
{
    struct names names;

    if (!names_load(d, folder->key, &names)) {
        struct draft draft = draft_begin(d, folder);
        draft_end(&draft, d, folder->key);
    }
    names_release(&names);
}

/* Add what the name stands for in the folder `at`, if it is something that a disk holds. */
static void add_seen(const struct disk *d, struct draft *draft, int at, const char *name,
                     const struct disk_identity *seen)
{
    char target[PATH_MAX];

    if (S_ISREG(seen->mode) && disk_know(d, at, name, seen)) {
        draft_add(draft, 'f', seen->key, name);
    } else if (S_ISDIR(seen->mode)) {
        draft_add(draft, 'd', seen->key, name);
    } else if (S_ISLNK(seen->mode)) {
        ssize_t length = readlinkat(at, name, target, sizeof target - 1);
        if (length > 0) {
            target[length] = '\0';
            draft_add(draft, 'l', target, name);
        }
    }
}

void names_sync(const struct disk *d, int folder_fd, const struct disk_identity *folder)
{
    int lock_fd = lock_names(d);
    struct disk_identity seen;
    DIR *entries = disk_read_folder(folder_fd);

    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        if (!disk_is_dots(e->d_name) && disk_identify(folder_fd, e->d_name, &seen) &&
            S_ISDIR(seen.mode)) {
            know_folder(d, &seen);
        }
    }
    rewinddir(entries);
    struct draft draft = draft_begin(d, folder);
    for (struct dirent *e = readdir(entries); e != NULL; e = readdir(entries)) {
        if (!disk_is_dots(e->d_name) && disk_identify(folder_fd, e->d_name, &seen)) {
            add_seen(d, &draft, folder_fd, e->d_name, &seen);
        }
    }
    draft_end(&draft, d, folder->key);
    closedir(entries);
    close(lock_fd);
}

/* Locked: one name of a folder, all others stay. */
static void sync_name(const struct disk *d, int at, const struct disk_identity *folder,
                      const char *name)
{
    struct disk_identity seen;
    struct names names;
    struct names_entry entry;

    if (!disk_identify(at, name, &seen)) {
        return; /* it has just been removed */
    }
    names_load(d, folder->key, &names);
    if (!names_find(&names, name, &entry) || !names_match(&entry, &seen)) {
        struct draft draft = draft_begin(d, folder);
        for (size_t i = names.first; names_next(&names, &i, &entry);) {
            if (strcmp(entry.name, name) != 0) {
                draft_add(&draft, entry.type, entry.what, entry.name);
            }
        }
        add_seen(d, &draft, at, name, &seen);
        draft_end(&draft, d, folder->key);
    }
    names_release(&names);
}

void names_sync_path(const struct disk *d, char *path)
{
    int lock_fd = lock_names(d);
    struct disk_identity folder;

    while (strlen(path) > strlen(d->folder)) {
        char *slash = strrchr(path, '/');
        *slash = '\0';
        int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (at < 0) {
            break; /* it has just been removed */
        }
        if (disk_identify(at, "", &folder)) {
            sync_name(d, at, &folder, slash + 1);
        }
        close(at);
    }
    close(lock_fd);
}
