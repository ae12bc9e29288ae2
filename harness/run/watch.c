/*
 * watch.c - counting lines as they come.
 */
#include "harness/run/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define READ_BYTES 65536

struct watch {
    char *path;
    int fd; /* -1: not there yet */
    struct buffer partial;
    struct watch_counts counts;
};

static bool has(const char *line, size_t size, const char *what)
{
    return memmem(line, size, what, strlen(what)) != NULL;
}

static void count_line(struct watch_counts *counts, const char *line, size_t size)
{
    if (has(line, size, "\"op\":\"request\"")) {
        counts->open += has(line, size, "\"type\":\"invoke\"") ? 1 : -1;
    } else if (!has(line, size, "\"type\":\"ok\"")) {
        return;
    } else if (has(line, size, "\"op\":\"send\"")) {
        counts->acknowledged++;
    } else if (has(line, size, "\"op\":\"receive\"")) {
        counts->received++;
    } else if (has(line, size, "\"op\":\"register\"")) {
        counts->registered++;
    } else if (has(line, size, "\"op\":\"start\"")) {
        counts->lives++;
        counts->open = 0;
    }
}

void watch_count(struct watch_counts *counts, struct buffer *partial)
{
    size_t done = 0;

    while (done < partial->size) {
        const char *line = partial->data + done;
        const char *end = memchr(line, '\n', partial->size - done);
        if (end == NULL) {
            break;
        }
        count_line(counts, line, (size_t)(end - line));
        done += (size_t)(end - line) + 1;
    }
    if (done > 0) {
        memmove(partial->data, partial->data + done, partial->size - done);
        partial->size -= done;
    }
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? strndup(path, (size_t)(slash - path)) : strdup(".");
}

bool watch_open(struct watch **out, struct control *c, const char *path)
{
    struct watch *w = calloc(1, sizeof *w);
    char *folder = folder_of(path);

    if (w == NULL || folder == NULL || (w->path = strdup(path)) == NULL) {
        free(folder);
        watch_close(w);
        return control_fail(c, NULL, "out of memory");
    }
    w->fd = -1;
    /* Watching a folder twice is watching it once. */
    int watched = inotify_add_watch(c->inotify_fd, folder, IN_CREATE | IN_MODIFY);
    int error = errno;
    free(folder);
    if (watched < 0) {
        watch_close(w);
        return control_fail(c, NULL, "cannot watch %s: %s", path, strerror(error));
    }
    *out = w;
    return true;
}

void watch_close(struct watch *w)
{
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        close(w->fd);
    }
    buffer_release(&w->partial);
    free(w->path);
    free(w);
}

const struct watch_counts *watch_read(struct watch *w)
{
    char bytes[READ_BYTES];
    ssize_t size;

    if (w->fd < 0) {
        w->fd = open(w->path, O_RDONLY | O_CLOEXEC);
    }
    while (w->fd >= 0 && (size = read(w->fd, bytes, sizeof bytes)) > 0) {
        buffer_append(&w->partial, bytes, (size_t)size);
        watch_count(&w->counts, &w->partial);
    }
    return &w->counts;
}
