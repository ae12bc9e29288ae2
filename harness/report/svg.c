/*
 * svg.c - a tenth of a pixel is fine enough.
 */
#include "harness/report/svg.h"

#include "harness/report/html.h"

#include <math.h>

void svg_open(struct buffer *b, double width, double height, const char *label)
{
    buffer_printf(b, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", width, height);
    html_text(b, label);
    buffer_append_string(b, "\">\n");
}

void svg_close(struct buffer *b)
{
    buffer_append_string(b, "</svg>\n");
}

void svg_line(struct buffer *b, const char *class, double x1, double y1, double x2, double y2)
{
    buffer_printf(b, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                  class, x1, y1, x2, y2);
}

void svg_rect(struct buffer *b, const char *class, double x, double y, double width, double height,
              const char *title)
{
    buffer_printf(b, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">",
                  class, x, y, width, height);
    if (title != NULL) {
        buffer_append_string(b, "<title>");
        html_text(b, title);
        buffer_append_string(b, "</title>");
    }
    buffer_append_string(b, "</rect>\n");
}

void svg_text(struct buffer *b, const char *class, const char *anchor, double x, double y,
              const char *text)
{
    buffer_printf(b, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, anchor,
                  x, y);
    html_text(b, text);
    buffer_append_string(b, "</text>\n");
}

void svg_steps(struct buffer *b, const char *class, double x, double base, double step_width,
               double scale, const double *values, size_t count)
{
    buffer_printf(b, "<path class=\"%s\" d=\"M%.1f %.1f", class, x, base);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(b, "V%.1fH%.1f", base - values[i] * scale, x + (double)(i + 1) * step_width);
    }
    buffer_printf(b, "V%.1fZ\"/>\n", base);
}

double svg_nice_step(double range, int parts)
{
    static const double factors[] = {1, 2, 5, 10};
    double wanted = range / parts;
    double power = wanted > 0 ? pow(10, floor(log10(wanted))) : 1;

    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        if (factors[i] * power >= wanted * 0.999999) {
            return factors[i] * power;
        }
    }
    return 10 * power;
}
