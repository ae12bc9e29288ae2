/*
 * progress.c - see progress.h.
 */
#include "scenarios/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    SHOW_EVERY_US = 100000,
    RATE_SHORTEST_US = 10000, /* a rate over less is noise */
};

static int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void progress_start(struct progress *progress, const char *name, int64_t total)
{
    int64_t now_us = clock_us();
    *progress = (struct progress){.name = name,
                                  .total = total,
                                  .terminal = isatty(STDERR_FILENO) == 1,
                                  .started_us = now_us,
                                  .done_us = now_us,
                                  .shown_us = now_us};
}

void progress_show(struct progress *progress, int64_t done)
{
    char words[PROGRESS_WORDS_BYTES];
    int64_t now_us = clock_us();
    if (done > progress->done) {
        progress->done = done;
        progress->done_us = now_us;
    }
    if (!progress->terminal || now_us - progress->shown_us < SHOW_EVERY_US) {
        return;
    }
    progress->shown_us = now_us;
    fprintf(stderr, "\r%s: %" PRId64, progress->name, done);
    if (progress->total >= 0) {
        fprintf(stderr, " of %" PRId64, progress->total);
    }
    progress_words(progress, words);
    fprintf(stderr, " messages%s\033[K", words);
    fflush(stderr);
}

void progress_words(const struct progress *progress, char *words)
{
    int64_t took_us = progress->done_us - progress->started_us;
    double seconds = (double)took_us / 1e6;
    if (progress->done == 0) {
        words[0] = '\0';
    } else if (took_us < RATE_SHORTEST_US) {
        snprintf(words, PROGRESS_WORDS_BYTES, " in under 0.01 s");
    } else {
        snprintf(words, PROGRESS_WORDS_BYTES, " in %.2f s (%.0f/s)", seconds,
                 (double)progress->done / seconds);
    }
}

void progress_clear(struct progress *progress)
{
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K");
    }
}
