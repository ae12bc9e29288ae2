/*
 * chart.h - a panel of a picture: a plot area, its two scales, its grid.
 *
 * Threads: any.
 */
#ifndef HARNESS_CHART_H
#define HARNESS_CHART_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

/* Pixels of the plot area, and the values at its edges. */
struct chart {
    struct buffer *b;
    double left, right;
    double top, base;
    double x_low, x_high;
    double y_low, y_high; /* at base and top; with y_log both are above 0 */
    bool y_log;
};

double chart_x(const struct chart *c, double value);
double chart_y(const struct chart *c, double value); /* kept within the plot area */

/* How a tick's value is written. */
typedef void chart_word(struct buffer *b, double value);
void chart_word_number(struct buffer *b, double value);
void chart_word_ns(struct buffer *b, double value); /* "1 ms" */

/* Make the scale from 0 to a nice value at or above `highest`, and draw its lines. */
void chart_linear_y(struct chart *c, double highest, chart_word *word);

/* … powers of ten that hold `lowest` to `highest`. */
void chart_log_y(struct chart *c, double lowest, double highest, chart_word *word);

/* A line of points, whose x and y are values. */
void chart_line(const struct chart *c, const char *class, const double *x, const double *y,
                size_t count);

#endif
