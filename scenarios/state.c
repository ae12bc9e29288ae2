/*
 * state.c - see state.h.
 */
#include "scenarios/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { ROW_BYTES_MAX = 320 }; /* three numbers and a topic of 200 bytes */

static const char life_line[] = "life";

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    return false;
}

static void append(struct state *state, const char *text, size_t size)
{
    if (write(state->file, text, size) != (ssize_t)size && state->failed == 0) {
        state->failed = errno != 0 ? errno : ENOSPC;
    }
}

static void append_line(struct state *state, const char *text)
{
    char line[ROW_BYTES_MAX];
    int size = snprintf(line, sizeof line, "%s\n", text);

    append(state, line, (size_t)size);
}

/* ---- reading ---------------------------------------------------------------------- */

/* "7 12 12 T1" */
static bool row_read(struct state *state, const char *line)
{
    struct state_topic row;
    int behind = 0;

    if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %n", &row.client_id, &row.lines,
               &row.next, &behind) != 3 ||
        behind == 0 || row.client_id < 0 || row.lines < 0 || row.next < 0) {
        return false;
    }
    for (size_t i = 0; i < state->topic_count; i++) {
        if (strcmp(state->topics[i].topic, line + behind) == 0) {
            row.topic = state->topics[i].topic;
            state->topics[i] = row;
            return true;
        }
    }
    return false;
}

static bool line_read(struct state *state, const char *owner, size_t number, const char *line)
{
    if (number == 1) {
        return strcmp(line, owner) == 0;
    }
    if (strcmp(line, life_line) == 0) {
        state->life++;
        return true;
    }
    return row_read(state, line);
}

/* All whole lines; `*whole` is where they end. */
static bool lines_read(struct state *state, FILE *file, const char *owner, off_t *whole)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool good = true;

    *whole = 0;
    for (size_t number = 1; good && (size = getline(&line, &room, file)) > 0; number++) {
        if (line[size - 1] != '\n') {
            break;
        }
        line[size - 1] = '\0';
        *whole += size;
        good = line_read(state, owner, number, line);
        if (!good) {
            fprintf(stderr,
                    "%s:%zu: '%.200s' is not what %s with these --topics has kept: give another "
                    "file, or remove this one to begin anew\n",
                    state->path, number, line, owner);
        }
    }
    free(line);
    return good;
}

static bool read_back(struct state *state, const char *owner)
{
    off_t whole = 0;
    int copy = dup(state->file);
    FILE *file = copy >= 0 ? fdopen(copy, "r") : NULL;

    if (file == NULL) {
        if (copy >= 0) {
            close(copy);
        }
        return complain(state->path, strerror(errno));
    }
    bool good = lines_read(state, file, owner, &whole);
    fclose(file);
    if (good && ftruncate(state->file, whole) != 0) {
        return complain(state->path, strerror(errno));
    }
    if (good && whole == 0) {
        append_line(state, owner);
    }
    return good;
}

/* ---- the state -------------------------------------------------------------------- */

bool state_open(struct state *state, const struct settings *settings, const char *owner)
{
    *state = (struct state){.file = -1, .path = settings->state, .life = 1};
    state->topic_count = settings->topic_count;
    for (size_t i = 0; i < settings->topic_count; i++) {
        state->topics[i] = (struct state_topic){.topic = settings->topics[i], .client_id = -1};
    }
    if (state->path == NULL) {
        return true;
    }
    state->file = open(state->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (state->file < 0) {
        return complain(state->path, strerror(errno));
    }
    if (flock(state->file, LOCK_EX | LOCK_NB) != 0) {
        complain(state->path,
                 errno == EWOULDBLOCK ? "another program keeps its state there" : strerror(errno));
    } else if (read_back(state, owner)) {
        append_line(state, life_line);
        return true;
    }
    close(state->file);
    state->file = -1;
    return false;
}

void state_note(struct state *state, size_t topic)
{
    const struct state_topic *row = &state->topics[topic];
    char line[ROW_BYTES_MAX];

    if (state->file >= 0) {
        snprintf(line, sizeof line, "%" PRId64 " %" PRId64 " %" PRId64 " %s", row->client_id,
                 row->lines, row->next, row->topic);
        append_line(state, line);
    }
}

void state_sync(struct state *state)
{
    if (state->file >= 0 && fdatasync(state->file) != 0 && state->failed == 0) {
        state->failed = errno;
    }
}

bool state_registered(const struct state *state)
{
    for (size_t i = 0; i < state->topic_count; i++) {
        if (state->topics[i].client_id >= 0) {
            return true;
        }
    }
    return false;
}

bool state_close(struct state *state)
{
    if (state->file < 0) {
        return true;
    }
    close(state->file);
    state->file = -1;
    return state->failed == 0 || complain(state->path, strerror(state->failed));
}
