/*
 * dots.c - one path per fate, of dots that are lines without a length.
 */
#include "harness/report/dots.h"

#include "harness/memory.h"
#include "harness/report/svg.h"

#include <math.h>
#include <stdlib.h>

#define CELL 2.5 /* pixels: dots of one fate that share a cell are drawn once */
#define NS_PER_S 1e9

/* A dot has a diameter by the style; the others are drawn around their place. */
static const struct {
    const char *words;
    const char *class;
    const char *shape;
} looks[FATES] = {
    [FATE_DELIVERED] = {"acknowledged, and with every consumer", "sent", "h0"},
    [FATE_UNPLACED] = {"acknowledged, without saying where", "sent", "h0"},
    [FATE_UNKNOWN] = {"its producer was never told", "untold", "m-3 0l3 -3l3 3l-3 3z"},
    [FATE_REFUSED] = {"refused", "refused", "m-3 0h6"},
    [FATE_UNDELIVERED] = {"acknowledged, but not with every consumer", "undelivered",
                          "m-3 -3l6 6m0 -6l-6 6"},
    [FATE_NOT_STORED] = {"acknowledged, but not in the store", "unstored", "m-4 0h8m-4 -4v8"},
};

const char *fate_words(enum fate fate)
{
    return looks[fate].words;
}

const char *fate_class(enum fate fate)
{
    return looks[fate].class;
}

void dots_legend(struct buffer *b, enum fate fate)
{
    buffer_printf(b,
                  "<svg class=\"key\" viewBox=\"0 0 12 12\" aria-hidden=\"true\">"
                  "<path class=\"dots %s\" d=\"M6 6%s\"/></svg>",
                  looks[fate].class, looks[fate].shape);
}

/* The dots of one picture. */
struct dots {
    struct chart chart;
    const struct history *h;
    const struct fates *fates;
    int64_t begin_ns;
    double lane_y;
    unsigned char *cells; /* by row, then column: a bit for each fate that has a dot there */
    size_t columns;
    size_t rows;
    struct buffer paths[FATES];
};

static void dot_draw(struct dots *d, const struct history_send *send)
{
    enum fate fate = fate_of(d->fates, send);
    double x = chart_x(&d->chart, (double)(send->begin_ns - d->begin_ns) / NS_PER_S);
    bool timed = send->end_ns != TIME_NONE && send->outcome != OUTCOME_OPEN;
    double y = timed ? chart_y(&d->chart, (double)(send->end_ns - send->begin_ns)) : d->lane_y;
    double column = (x - d->chart.left) / CELL;
    double row = (d->chart.base - y) / CELL;

    if (column < 0 || row < 0 || column >= (double)d->columns || row >= (double)d->rows) {
        return;
    }
    unsigned char *cell = &d->cells[(size_t)row * d->columns + (size_t)column];
    if ((*cell & 1U << fate) == 0) {
        *cell = (unsigned char)(*cell | 1U << fate);
        buffer_printf(&d->paths[fate], "M%.1f %.1f%s", x, y, looks[fate].shape);
    }
}

/* What went well first, so that the rest lies upon it. */
static void paths_put(struct dots *d)
{
    for (enum fate fate = 0; fate < FATES; fate++) {
        if (d->paths[fate].size > 0) {
            buffer_printf(d->chart.b, "<path class=\"dots %s\" d=\"", looks[fate].class);
            buffer_append_slice(d->chart.b, buffer_slice(&d->paths[fate]));
            buffer_append_string(d->chart.b, "\"/>\n");
        }
        buffer_release(&d->paths[fate]);
    }
}

/* The shortest and the longest span that a send took; false: one took no end. */
static bool spans_find(const struct history *h, double *lowest, double *highest)
{
    bool all = true;

    *lowest = INFINITY;
    *highest = 1;
    for (size_t p = 0; p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            const struct history_send *send = &h->producers[p].sends.items[i];
            all = all && send->end_ns != TIME_NONE;
            if (send->end_ns != TIME_NONE) {
                *lowest = fmin(*lowest, (double)(send->end_ns - send->begin_ns));
                *highest = fmax(*highest, (double)(send->end_ns - send->begin_ns));
            }
        }
    }
    *lowest = *lowest > *highest ? 1e6 : *lowest;
    return all;
}

void dots_draw(const struct chart *c, const struct history *h, const struct fates *fates,
               int64_t begin_ns)
{
    struct dots d = {.chart = *c, .h = h, .fates = fates, .begin_ns = begin_ns};
    double lowest;
    double highest;

    d.lane_y = c->top + DOTS_LANE_HEIGHT / 2 - 3;
    d.columns = (size_t)((c->right - c->left) / CELL) + 2;
    d.rows = (size_t)((c->base - c->top) / CELL) + 2;
    d.cells = memory_zeroed(d.columns * d.rows, 1);
    d.chart.top += DOTS_LANE_HEIGHT;
    bool all = spans_find(h, &lowest, &highest);
    chart_log_y(&d.chart, lowest, highest, chart_word_ns);
    if (!all) {
        svg_text(c->b, "tick", "end", c->left - 8, d.lane_y + 4, "no answer");
    }
    for (size_t p = 0; p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            dot_draw(&d, &h->producers[p].sends.items[i]);
        }
    }
    paths_put(&d);
    free(d.cells);
}
