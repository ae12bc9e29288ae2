/*
 * svg.h - shapes of an inline picture. Colours and fonts are the page's: every shape has a
 * class. Coordinates are CSS pixels from the upper left corner.
 *
 * Threads: any.
 */
#ifndef HARNESS_SVG_H
#define HARNESS_SVG_H

#include "common/buffer.h"

/* `label` says in words what the picture shows. */
void svg_open(struct buffer *b, double width, double height, const char *label);
void svg_close(struct buffer *b);

void svg_line(struct buffer *b, const char *class, double x1, double y1, double x2, double y2);

/* `title` is shown when one points at it; NULL: none. */
void svg_rect(struct buffer *b, const char *class, double x, double y, double width, double height,
              const char *title);

/* `anchor` is start, middle or end. */
void svg_text(struct buffer *b, const char *class, const char *anchor, double x, double y,
              const char *text);

/* Steps of equal width from `x`, each as high as its value times `scale` above `base`. */
void svg_steps(struct buffer *b, const char *class, double x, double base, double step_width,
               double scale, const double *values, size_t count);

/* 1, 2 or 5 times a power of ten: the smallest that divides `range` into at most `parts`. */
double svg_nice_step(double range, int parts);

#endif
