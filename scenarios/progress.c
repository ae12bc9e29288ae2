/*
 * progress.c - see progress.h.
 */
#include "scenarios/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "scenarios/interrupt.h"

enum { SHOW_EVERY_MS = 100 };

void progress_start(struct progress *progress, const char *name, int64_t total)
{
    int64_t now_ms = interrupt_clock_ms();
    *progress = (struct progress){.name = name,
                                  .total = total,
                                  .terminal = isatty(STDERR_FILENO) == 1,
                                  .started_ms = now_ms,
                                  .shown_ms = now_ms};
}

void progress_show(struct progress *progress, int64_t done)
{
    int64_t now_ms = interrupt_clock_ms();
    if (!progress->terminal || now_ms - progress->shown_ms < SHOW_EVERY_MS) {
        return;
    }
    progress->shown_ms = now_ms;
    double seconds = (double)(now_ms - progress->started_ms) / 1000.0;
    fprintf(stderr, "\r%s: %" PRId64, progress->name, done);
    if (progress->total >= 0) {
        fprintf(stderr, " of %" PRId64, progress->total);
    }
    fprintf(stderr, " messages, %.1f s, %.0f/s\033[K", seconds, (double)done / seconds);
    fflush(stderr);
}

void progress_clear(struct progress *progress)
{
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K");
    }
}
