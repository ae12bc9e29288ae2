/*
 * timeline.c - two panels over one time axis.
 *
 *        (1) 525 ms          the faults, by their number in the table
 *   acks |  ░░
 *        |▟█░░▁▟██
 *        +--------------
 *   deliv|  ░░
 *        |▟█░░▁▟██
 *        +--------------
 *        0   0.5   1 s
 */
#include "harness/timeline.h"

#include "harness/memory.h"
#include "harness/svg.h"
#include "harness/wording.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MARGIN_LEFT 58.0
#define MARGIN_RIGHT 14.0
#define FAULTS_HEIGHT 26.0
#define TITLE_HEIGHT 24.0
#define PANEL_HEIGHT 130.0
#define AXIS_HEIGHT 44.0
#define TICKS_Y 4
#define STEP_WIDTH 4.5     /* pixels that one step has at least */
#define TICK_WIDTH 80.0    /* pixels between ticks of the time axis, at least */
#define BAND_WIDTH_MIN 2.0 /* a fault of no length is seen all the same */
#define LABEL_WIDTH 62.0   /* a fault's number and how long it lasted */
#define NS_PER_S 1e9

struct timeline {
    struct buffer *b;
    const struct check *c;
    size_t fault_count;
    double width;
    int64_t begin_ns;
    double span_s; /* of the whole axis */
    double step_s; /* of one step */
    size_t step_count;
    double *acks;       /* per step, a second */
    double *deliveries; /* per step, a second */
};

static double x_at(const struct timeline *t, double seconds)
{
    return MARGIN_LEFT + seconds / t->span_s * (t->width - MARGIN_LEFT - MARGIN_RIGHT);
}

static double seconds_at(const struct timeline *t, int64_t time_ns)
{
    return (double)(time_ns - t->begin_ns) / NS_PER_S;
}

/* ---- counting ---------------------------------------------------------------------- */

static void count_at(const struct timeline *t, double *steps, int64_t time_ns)
{
    double step = seconds_at(t, time_ns) / t->step_s;
    if (step >= 0 && step < (double)t->step_count) {
        steps[(size_t)step] += 1 / t->step_s;
    }
}

static void steps_count(struct timeline *t, const struct history *h)
{
    for (size_t p = 0; p < h->producer_count; p++) {
        for (size_t i = 0; i < h->producers[p].sends.count; i++) {
            const struct history_send *send = &h->producers[p].sends.items[i];
            if (send->outcome == OUTCOME_OK) {
                count_at(t, t->acks, send->end_ns);
            }
        }
    }
    for (size_t p = 0; p < h->consumer_count; p++) {
        for (size_t i = 0; i < h->consumers[p].receives.count; i++) {
            count_at(t, t->deliveries, h->consumers[p].receives.items[i].time_ns);
        }
    }
}

static void timeline_measure(struct timeline *t)
{
    int64_t end_ns = t->c->end_ns;

    for (size_t i = 0; i < t->fault_count; i++) {
        end_ns = t->c->faults[i].end_ns > end_ns ? t->c->faults[i].end_ns : end_ns;
    }
    double seconds = fmax((double)(end_ns - t->begin_ns) / NS_PER_S, 0.001);
    double room = t->width - MARGIN_LEFT - MARGIN_RIGHT;
    t->step_s = svg_nice_step(seconds, (int)(room / STEP_WIDTH));
    t->step_count = (size_t)ceil(seconds / t->step_s);
    t->span_s = (double)t->step_count * t->step_s;
    t->acks = memory_zeroed(t->step_count, sizeof *t->acks);
    t->deliveries = memory_zeroed(t->step_count, sizeof *t->deliveries);
}

/* ---- drawing ------------------------------------------------------------------------ */

static void number_text(struct buffer *b, const char *class, const char *anchor, double x, double y,
                        double number)
{
    struct buffer word = BUFFER_INIT;

    if (number == floor(number)) {
        word_number(&word, (int64_t)number);
    } else {
        buffer_printf(&word, "%g", number);
    }
    svg_text(b, class, anchor, x, y, word.data);
    buffer_release(&word);
}

/* From the hit to the first healthy answer; one that never came lasts to the end. */
static void band_get(const struct timeline *t, size_t i, double *x, double *width)
{
    const struct check_fault *f = &t->c->faults[i];
    double from = seconds_at(t, f->hit_ns == TIME_NONE ? f->begin_ns : f->hit_ns);
    double to = f->end_ns == TIME_NONE ? t->span_s : seconds_at(t, f->end_ns);

    *x = x_at(t, from);
    *width = fmax(x_at(t, to) - *x, BAND_WIDTH_MIN);
}

static void band_draw(const struct timeline *t, size_t i, double top)
{
    const struct check_fault *f = &t->c->faults[i];
    struct buffer title = BUFFER_INIT;
    double x;
    double width;

    band_get(t, i, &x, &width);
    buffer_printf(&title, "%zu: %s %s at ", i + 1, fault_action_name(f->planned.action),
                  fault_target_name(f->planned.target));
    word_count(&title, f->acks, "ack");
    buffer_append_string(&title, ", down for ");
    word_span(&title, check_span_ns(f->hit_ns, f->end_ns));
    svg_rect(t->b, "band", x, top, width, PANEL_HEIGHT, title.data);
    svg_line(t->b, "hit", x, top, x, top + PANEL_HEIGHT);
    buffer_release(&title);
}

/* The number always; how long it lasted where the next label leaves room. */
static void faults_label(const struct timeline *t)
{
    for (size_t i = 0; i < t->fault_count; i++) {
        const struct check_fault *f = &t->c->faults[i];
        struct buffer word = BUFFER_INIT;
        double x;
        double next = t->width;
        double width;
        if (f->begin_ns == TIME_NONE) {
            continue;
        }
        band_get(t, i, &x, &width);
        if (i + 1 < t->fault_count && t->c->faults[i + 1].begin_ns != TIME_NONE) {
            band_get(t, i + 1, &next, &width);
        }
        buffer_printf(&word, "%zu", i + 1);
        svg_rect(t->b, "mark", x - 1, 4, 9.0 + 7.0 * (double)word.size, 16, NULL);
        svg_text(t->b, "mark-text", "start", x + 3.5, 16, word.data);
        double after = x + 12.0 + 7.0 * (double)word.size;
        buffer_clear(&word);
        word_span(&word, check_span_ns(f->hit_ns, f->end_ns));
        if (next - x > LABEL_WIDTH) {
            svg_text(t->b, "label", "start", after, 16, word.data);
        }
        buffer_release(&word);
    }
}

static void panel_draw(const struct timeline *t, double top, const char *title, const char *class,
                       const double *values)
{
    double highest = 0;
    double base = top + TITLE_HEIGHT + PANEL_HEIGHT;
    double right = t->width - MARGIN_RIGHT;

    for (size_t i = 0; i < t->step_count; i++) {
        highest = fmax(highest, values[i]);
    }
    double tick = svg_nice_step(fmax(highest, 1), TICKS_Y);
    double limit = tick * ceil(fmax(highest, 1) / tick);
    double scale = PANEL_HEIGHT / limit;
    svg_text(t->b, "title", "start", MARGIN_LEFT, top + 15, title);
    for (double value = 0; value <= limit * 1.0001; value += tick) {
        svg_line(t->b, value > 0 ? "grid" : "axis", MARGIN_LEFT, base - value * scale, right,
                 base - value * scale);
        number_text(t->b, "tick", "end", MARGIN_LEFT - 8, base - value * scale + 4, value);
    }
    svg_steps(t->b, class, MARGIN_LEFT, base, x_at(t, t->step_s) - MARGIN_LEFT, scale, values,
              t->step_count);
    for (size_t i = 0; i < t->fault_count; i++) {
        if (t->c->faults[i].begin_ns != TIME_NONE) {
            band_draw(t, i, top + TITLE_HEIGHT);
        }
    }
}

static void time_axis_draw(const struct timeline *t, double base)
{
    double room = t->width - MARGIN_LEFT - MARGIN_RIGHT;
    double tick = svg_nice_step(t->span_s, (int)fmax(room / TICK_WIDTH, 2));
    int count = (int)floor(t->span_s / tick * 1.0001);

    for (int i = 0; i <= count; i++) {
        double x = x_at(t, i * tick);
        svg_line(t->b, "axis", x, base, x, base + 5);
        number_text(t->b, "tick", "middle", x, base + 19, i * tick);
    }
    svg_text(t->b, "tick", "end", t->width - MARGIN_RIGHT, base + 38,
             "seconds since the first send");
}

static void timeline_draw(const struct timeline *t)
{
    double second = FAULTS_HEIGHT + TITLE_HEIGHT + PANEL_HEIGHT;
    double base = second + TITLE_HEIGHT + PANEL_HEIGHT;
    struct buffer label = BUFFER_INIT;

    buffer_append_string(&label, "Acknowledgements and deliveries a second over ");
    word_span(&label, (int64_t)(t->span_s * NS_PER_S));
    buffer_append_string(&label, ", with ");
    word_count(&label, (int64_t)t->fault_count, "fault");
    svg_open(t->b, t->width, base + AXIS_HEIGHT, label.data);
    faults_label(t);
    panel_draw(t, FAULTS_HEIGHT, "Acknowledged, a second", "acks", t->acks);
    panel_draw(t, second, "Delivered to all consumers, a second", "deliveries", t->deliveries);
    time_axis_draw(t, base);
    svg_close(t->b);
    buffer_release(&label);
}

void timeline_append(struct buffer *b, const struct scenario *s, const struct history *h,
                     const struct check *c, int width)
{
    struct timeline t = {
        .b = b, .c = c, .fault_count = s->fault_count, .width = width, .begin_ns = c->begin_ns};

    if (c->begin_ns == TIME_NONE) {
        return;
    }
    timeline_measure(&t);
    steps_count(&t, h);
    timeline_draw(&t);
    free(t.acks);
    free(t.deliveries);
}
