/*
 * chart.c - lines of the grid stop at the plot area; their words stand left of it.
 */
#include "harness/report/chart.h"

#include "harness/report/svg.h"
#include "harness/report/wording.h"

#include <math.h>
#include <stddef.h>

#define TICK_HEIGHT 34.0 /* pixels between two lines of a linear grid, about */

static double part_of(double value, double low, double high)
{
    return high > low ? (value - low) / (high - low) : 0;
}

double chart_x(const struct chart *c, double value)
{
    return c->left + part_of(value, c->x_low, c->x_high) * (c->right - c->left);
}

double chart_y(const struct chart *c, double value)
{
    double part = c->y_log
                      ? part_of(log10(fmax(value, c->y_low)), log10(c->y_low), log10(c->y_high))
                      : part_of(value, c->y_low, c->y_high);
    return c->base - fmin(fmax(part, 0), 1) * (c->base - c->top);
}

void chart_word_number(struct buffer *b, double value)
{
    if (value == floor(value)) {
        word_number(b, (int64_t)value);
    } else {
        buffer_printf(b, "%g", value);
    }
}

void chart_word_ns(struct buffer *b, double value)
{
    static const struct {
        double ns;
        const char *unit;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}};
    size_t i = 0;

    while (value < units[i].ns && units[i].ns > 1) {
        i++;
    }
    buffer_printf(b, "%g %s", value / units[i].ns, units[i].unit);
}

static void grid_line(const struct chart *c, double value, bool axis, chart_word *word)
{
    struct buffer text = BUFFER_INIT;
    double y = chart_y(c, value);

    word(&text, value);
    svg_line(c->b, axis ? "axis" : "grid", c->left, y, c->right, y);
    svg_text(c->b, "tick", "end", c->left - 8, y + 4, text.data);
    buffer_release(&text);
}

void chart_linear_y(struct chart *c, double highest, chart_word *word)
{
    int parts = (int)fmax((c->base - c->top) / TICK_HEIGHT, 2);
    double tick = svg_nice_step(fmax(highest, 1), parts);

    c->y_log = false;
    c->y_low = 0;
    c->y_high = tick * ceil(fmax(highest, 1) / tick * 0.999999);
    for (double value = 0; value <= c->y_high * 1.0001; value += tick) {
        grid_line(c, value, value == 0, word);
    }
}

void chart_log_y(struct chart *c, double lowest, double highest, chart_word *word)
{
    c->y_log = true;
    c->y_low = pow(10, floor(log10(fmax(lowest, 1))));
    c->y_high = pow(10, ceil(log10(fmax(highest, c->y_low * 10)) - 1e-9));
    for (double value = c->y_low; value <= c->y_high * 1.0001; value *= 10) {
        grid_line(c, value, value == c->y_low, word);
    }
}

void chart_line(const struct chart *c, const char *class, const double *x, const double *y,
                size_t count)
{
    buffer_printf(c->b, "<path class=\"line %s\" d=\"", class);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(c->b, "%c%.1f %.1f", i == 0 ? 'M' : 'L', chart_x(c, x[i]), chart_y(c, y[i]));
    }
    buffer_append_string(c->b, "\"/>\n");
}
