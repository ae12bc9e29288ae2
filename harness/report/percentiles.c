/*
 * percentiles.c - x is how many nines there are: 0 for none, 1 for 90 %, 2 for 99 %.
 */
#include "harness/report/percentiles.h"

#include "harness/report/chart.h"
#include "harness/memory.h"
#include "harness/report/svg.h"

#include <math.h>
#include <stdlib.h>

#define MARGIN_LEFT 62.0
#define MARGIN_RIGHT 26.0
#define TOP 10.0
#define HEIGHT 210.0
#define AXIS_HEIGHT 30.0
#define POINTS 200

static void curve_draw(const struct chart *c, const struct histogram *h, const char *class)
{
    double x[POINTS + 1];
    double y[POINTS + 1];
    double last = h->count > 0 ? log10((double)h->count) : 0;

    for (int i = 0; i <= POINTS; i++) {
        x[i] = last * i / POINTS;
        y[i] = (double)histogram_percentile(h, 1 - pow(10, -x[i]));
    }
    if (h->count > 0) {
        y[POINTS] = (double)h->max_ns;
        chart_line(c, class, x, y, POINTS + 1);
    }
}

static void nines_axis(const struct chart *c)
{
    static const struct {
        double nines;
        const char *words;
    } ticks[] = {{0.30103, "50 %"}, {1, "90 %"},     {2, "99 %"},      {3, "99.9 %"},
                 {4, "99.99 %"},    {5, "99.999 %"}, {6, "99.9999 %"}, {7, "99.99999 %"}};

    for (size_t i = 0; i < sizeof ticks / sizeof *ticks && ticks[i].nines <= c->x_high; i++) {
        double x = chart_x(c, ticks[i].nines);
        svg_line(c->b, "grid", x, c->top, x, c->base);
        svg_text(c->b, "tick", "middle", x, c->base + 19, ticks[i].words);
    }
}

void percentiles_append(struct buffer *b, const struct fates *f, int width)
{
    int64_t count =
        f->delivered.count > f->acknowledged.count ? f->delivered.count : f->acknowledged.count;
    int64_t lowest = histogram_percentile(&f->acknowledged, 0);
    int64_t highest =
        f->acknowledged.max_ns > f->delivered.max_ns ? f->acknowledged.max_ns : f->delivered.max_ns;
    struct chart c = {.b = b,
                      .left = MARGIN_LEFT,
                      .right = width - MARGIN_RIGHT,
                      .top = TOP,
                      .base = TOP + HEIGHT,
                      .x_low = 0,
                      .x_high = fmax(log10(count), 1)};

    if (f->acknowledged.count == 0) {
        return;
    }
    svg_open(b, width, TOP + HEIGHT + AXIS_HEIGHT,
             "Time to the acknowledgement and to a consumer, by percentile");
    chart_log_y(&c, (double)lowest, (double)highest, chart_word_ns);
    nines_axis(&c);
    curve_draw(&c, &f->delivered, "deliveries");
    curve_draw(&c, &f->acknowledged, "acks");
    svg_close(b);
}
