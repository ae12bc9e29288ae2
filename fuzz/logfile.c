/*
 * logfile.c - a producer's log file: every line that is taken is within the limits, and the file
 * that is written from the lines is taken again, as the same.
 */
#include "fuzz/fuzz.h"

#include "common/buffer.h"
#include "scenarios/logfile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool parse(struct slice text, struct logfile *file)
{
    char error[LOGFILE_ERROR_BYTES];
    char *bytes = malloc(text.size + 1);

    assert(bytes != NULL);
    if (text.size > 0) {
        memcpy(bytes, text.data, text.size);
    }
    bool taken = logfile_parse("p.txt", bytes, text.size, file, error);
    assert(taken || (strncmp(error, "p.txt", 5) == 0 && strlen(error) < sizeof error));
    return taken;
}

static void check_lines(const struct logfile *file)
{
    size_t rounds = 0;

    assert(file->count > 0);
    for (size_t i = 0; i < file->count; i++) {
        const struct logfile_line *line = &file->lines[i];
        assert(line->time_s >= 0 && line->time_s < 24 * 60 * 60);
        assert(line->message_length > 0 && strlen(line->message) == line->message_length);
        assert(line->label[0] != '\0' && strpbrk(line->label, " \t") == NULL);
        assert(line->topic[0] != '\0' && strpbrk(line->topic, " \t") == NULL);
        assert(strlen(line->topic) <= LOGFILE_TOPIC_BYTES_MAX);
        assert(i == 0 || line->number > line[-1].number);
        rounds += i == 0 || strcmp(line->label, line[-1].label) != 0;
        assert(line->round == rounds - 1);
    }
    assert(file->rounds == rounds);
}

static void write_lines(const struct logfile *file, struct buffer *text)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct logfile_line *line = &file->lines[i];
        buffer_printf(text, "%02d:%02d:%02d\t%s\t%s\t%s\n", line->time_s / 3600,
                      line->time_s / 60 % 60, line->time_s % 60, line->message, line->label,
                      line->topic);
    }
    assert(!text->failed);
}

static void check_same(const struct logfile *a, const struct logfile *b)
{
    assert(a->count == b->count && a->rounds == b->rounds);
    for (size_t i = 0; i < a->count; i++) {
        assert(a->lines[i].time_s == b->lines[i].time_s);
        assert(strcmp(a->lines[i].message, b->lines[i].message) == 0);
        assert(strcmp(a->lines[i].label, b->lines[i].label) == 0);
        assert(strcmp(a->lines[i].topic, b->lines[i].topic) == 0);
    }
}

void fuzz_logfile(const uint8_t *data, size_t size)
{
    struct logfile file;
    struct logfile again;
    struct buffer text = BUFFER_INIT;

    if (!parse((struct slice){(const char *)data, size}, &file)) {
        return;
    }
    check_lines(&file);
    write_lines(&file, &text);
    bool taken = parse(buffer_slice(&text), &again);
    assert(taken);
    check_same(&file, &again);
    logfile_release(&again);
    logfile_release(&file);
    buffer_release(&text);
}
