/*
 * timeline.c - panels over one time axis.
 *
 *           1 kill broker 525 ms     2     the faults, by their number in the table
 *   sends  | · ░░▒·                        one dot each, by how long it took
 *          |·.·░░▒ ·.·.·
 *   acks   |▟█▖░░▒▗▟██
 *   deliv. |▟█▖░░▒▗▟██
 *   lag    |╭╮ ░░▒╭──╮_
 *          +--------------
 *          0   0.5   1 s
 */
#include "harness/report/timeline.h"

#include "harness/report/chart.h"
#include "harness/report/dots.h"
#include "harness/faults/fault_kind.h"
#include "harness/memory.h"
#include "harness/report/svg.h"
#include "harness/report/wording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN_LEFT 62.0
#define MARGIN_RIGHT 14.0
#define FAULTS_HEIGHT 24.0
#define TITLE_HEIGHT 28.0
#define DOTS_HEIGHT 190.0
#define STEPS_HEIGHT 86.0
#define AXIS_HEIGHT 44.0
#define STEP_WIDTH 4.5     /* pixels that one step has at least */
#define TICK_WIDTH 80.0    /* pixels between ticks of the time axis, at least */
#define BAND_WIDTH_MIN 1.5 /* pixels */
#define LETTER_WIDTH 6.6   /* pixels, about */
#define NS_PER_S 1e9

struct timeline {
    struct buffer *b;
    const struct scenario *s;
    const struct history *h;
    const struct check *c;
    const struct fates *fates;
    double width;
    int64_t begin_ns;
    double span_s; /* of the whole axis */
    double step_s; /* of one step */
    size_t step_count;
    double *acks;       /* by step */
    double *deliveries; /* by step */
    double **lags;      /* by consumer, then step: messages it was behind when the step ended */
};

static double seconds_at(const struct timeline *t, int64_t time_ns)
{
    return (double)(time_ns - t->begin_ns) / NS_PER_S;
}

static double x_at(const struct timeline *t, double seconds)
{
    return MARGIN_LEFT + seconds / t->span_s * (t->width - MARGIN_LEFT - MARGIN_RIGHT);
}

/* ---- counting ---------------------------------------------------------------------- */

/* false: not on the axis. */
static bool step_of(const struct timeline *t, int64_t time_ns, size_t *step)
{
    double at = seconds_at(t, time_ns) / t->step_s;

    *step = at >= 0 && at < (double)t->step_count ? (size_t)at : 0;
    return at >= 0 && at < (double)t->step_count;
}

/* What is acknowledged puts every reader of its topic one message behind. */
static void acks_count(struct timeline *t)
{
    size_t topics = t->s->topic_count;
    double *counts =
        memory_zeroed(topics * t->step_count, sizeof *counts); /* by topic, then step */

    for (size_t p = 0; p < t->h->producer_count; p++) {
        for (size_t i = 0; i < t->h->producers[p].sends.count; i++) {
            const struct history_send *send = &t->h->producers[p].sends.items[i];
            size_t topic = fates_topic(t->fates, send->topic);
            size_t step;
            if (send->outcome == OUTCOME_OK && topic != SIZE_MAX &&
                step_of(t, send->end_ns, &step)) {
                counts[topic * t->step_count + step]++;
                t->acks[step]++;
            }
        }
    }
    for (size_t c = 0; c < t->s->consumer_count; c++) {
        for (size_t i = 0; i < t->s->consumers[c].topic_count; i++) {
            const double *of = &counts[t->s->consumers[c].topics[i] * t->step_count];
            for (size_t step = 0; step < t->step_count; step++) {
                t->lags[c][step] += of[step];
            }
        }
    }
    free(counts);
}

static void steps_count(struct timeline *t)
{
    acks_count(t);
    for (size_t c = 0; c < t->s->consumer_count; c++) {
        for (size_t i = 0; i < t->h->consumers[c].receives.count; i++) {
            size_t step;
            if (step_of(t, t->h->consumers[c].receives.items[i].time_ns, &step)) {
                t->deliveries[step]++;
                t->lags[c][step]--;
            }
        }
        double behind = 0;
        for (size_t step = 0; step < t->step_count; step++) {
            behind += t->lags[c][step];
            /* A message can be received before its producer is told. */
            t->lags[c][step] = fmax(behind, 0);
        }
    }
}

static void timeline_measure(struct timeline *t)
{
    int64_t end_ns = t->c->end_ns;

    for (size_t i = 0; i < t->s->fault_count; i++) {
        end_ns = t->c->faults[i].end_ns > end_ns ? t->c->faults[i].end_ns : end_ns;
    }
    double seconds = fmax((double)(end_ns - t->begin_ns) / NS_PER_S, 0.001);
    double room = t->width - MARGIN_LEFT - MARGIN_RIGHT;
    t->step_s = svg_nice_step(seconds, (int)(room / STEP_WIDTH));
    t->step_count = (size_t)ceil(seconds / t->step_s);
    t->span_s = (double)t->step_count * t->step_s;
    t->acks = memory_zeroed(t->step_count, sizeof *t->acks);
    t->deliveries = memory_zeroed(t->step_count, sizeof *t->deliveries);
    t->lags = memory_zeroed(t->s->consumer_count, sizeof *t->lags);
    for (size_t c = 0; c < t->s->consumer_count; c++) {
        t->lags[c] = memory_zeroed(t->step_count, sizeof **t->lags);
    }
}

/* ---- the faults ----------------------------------------------------------------------- */

static double fault_begin_x(const struct timeline *t, const struct check_fault *f)
{
    return x_at(t, seconds_at(t, f->struck_ns == TIME_NONE ? f->begin_ns : f->struck_ns));
}

/* From the hit to the end; one that never came lasts to the end of the picture. */
static double fault_end_x(const struct timeline *t, const struct check_fault *f)
{
    return f->end_ns == TIME_NONE ? x_at(t, t->span_s) : x_at(t, seconds_at(t, f->end_ns));
}

static void band_draw(const struct timeline *t, size_t i, double top, double height)
{
    const struct check_fault *f = &t->c->faults[i];
    struct buffer title = BUFFER_INIT;
    double x = fault_begin_x(t, f);
    double end = fmax(fault_end_x(t, f), x + BAND_WIDTH_MIN);

    buffer_printf(&title, "%zu: ", i + 1);
    fault_append_words(&title, &f->planned);
    buffer_append_string(&title, " at ");
    word_count(&title, f->acks, "ack");
    buffer_append_string(&title, ", lasted ");
    word_span(&title, check_span_ns(f->struck_ns, f->end_ns));
    buffer_append_string(&title, ", first acknowledgement after ");
    word_span(&title, check_span_ns(f->struck_ns, f->first_ack_ns));
    if (f->first_ack_ns != TIME_NONE && f->end_ns != TIME_NONE) {
        double first = x_at(t, seconds_at(t, f->first_ack_ns));
        svg_rect(t->b, "recovery", end, top, fmax(first - end, 0), height, title.data);
    }
    svg_rect(t->b, "band", x, top, end - x, height, title.data);
    svg_line(t->b, "hit", x, top, x, top + height);
    buffer_release(&title);
}

static void bands_draw(const struct timeline *t, double top, double height)
{
    for (size_t i = 0; i < t->s->fault_count; i++) {
        if (t->c->faults[i].begin_ns != TIME_NONE) {
            band_draw(t, i, top, height);
        }
    }
}

/* Where the labels of the faults behind `i` begin. */
static double label_limit(const struct timeline *t, size_t i)
{
    for (i++; i < t->s->fault_count; i++) {
        if (t->c->faults[i].begin_ns != TIME_NONE) {
            return fault_begin_x(t, &t->c->faults[i]) - 4;
        }
    }
    return t->width;
}

/* What is done to what: the fault's words up to how long: "kill broker", "delay clients". */
static void label_words(struct buffer *b, const struct check_fault *f)
{
    static const char *const ends[] = {", restart after", " for "};
    struct buffer words = BUFFER_INIT;

    fault_append_words(&words, &f->planned);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const char *end = strstr(words.data, ends[i]);
        words.size = end != NULL ? (size_t)(end - words.data) : words.size;
        words.data[words.size] = '\0';
    }
    buffer_append_slice(b, buffer_slice(&words));
    buffer_release(&words);
}

/* The number, unless it would lie upon the one before; behind it as much as has room. */
static double label_draw(const struct timeline *t, size_t i, double free_x)
{
    const struct check_fault *f = &t->c->faults[i];
    struct buffer number = BUFFER_INIT;
    struct buffer words = BUFFER_INIT;
    double x = fault_begin_x(t, f) - 1;

    buffer_printf(&number, "%zu", i + 1);
    double mark = 9 + 7.0 * (double)number.size;
    double room = label_limit(t, i) - (x + mark + 4);
    if (x >= free_x && x + mark <= t->width) {
        svg_rect(t->b, "mark", x, 2, mark, 16, NULL);
        svg_text(t->b, "mark-text", "start", x + 4.5, 14, number.data);
        free_x = x + mark + 1;
        label_words(&words, f);
        size_t what = words.size;
        buffer_append_char(&words, ' ');
        word_span(&words, check_span_ns(f->struck_ns, f->end_ns));
        if (room <= LETTER_WIDTH * (double)words.size) {
            words.data[what] = '\0';
        }
        if (room > LETTER_WIDTH * (double)what) {
            svg_text(t->b, "label", "start", x + mark + 4, 14, words.data);
        }
    }
    buffer_release(&number);
    buffer_release(&words);
    return free_x;
}

static void labels_draw(const struct timeline *t)
{
    double free_x = 0;

    for (size_t i = 0; i < t->s->fault_count; i++) {
        if (t->c->faults[i].begin_ns != TIME_NONE) {
            free_x = label_draw(t, i, free_x);
        }
    }
}

/* ---- the panels ------------------------------------------------------------------------ */

/* The next panel's plot area, `height` high, below its title; `top` moves below it. */
static struct chart panel_open(const struct timeline *t, double *top, double height,
                               const char *title)
{
    struct chart c = {.b = t->b,
                      .left = MARGIN_LEFT,
                      .right = t->width - MARGIN_RIGHT,
                      .top = *top + TITLE_HEIGHT,
                      .base = *top + TITLE_HEIGHT + height,
                      .x_low = 0,
                      .x_high = t->span_s};

    svg_text(t->b, "title", "start", MARGIN_LEFT, *top + 18, title);
    bands_draw(t, c.top, height);
    *top = c.base;
    return c;
}

static void dots_panel(const struct timeline *t, double *top)
{
    struct chart c = panel_open(t, top, DOTS_HEIGHT, "Every send, by its time to the answer");

    dots_draw(&c, t->h, t->fates, t->begin_ns);
}

static void rate_panel(const struct timeline *t, double *top, const char *title, const char *class,
                       const double *counts)
{
    struct chart c = panel_open(t, top, STEPS_HEIGHT, title);
    double highest = 0;

    for (size_t i = 0; i < t->step_count; i++) {
        highest = fmax(highest, counts[i] / t->step_s);
    }
    chart_linear_y(&c, highest, chart_word_number);
    svg_steps(t->b, class, c.left, c.base, (c.right - c.left) / (double)t->step_count,
              (c.base - c.top) / c.y_high / t->step_s, counts, t->step_count);
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What `part` of the consumers (1: all) are not further behind than, by step. */
static void lag_part(const struct timeline *t, double part, double *out)
{
    size_t count = t->s->consumer_count;
    double *sorted = memory_zeroed(count, sizeof *sorted);

    for (size_t step = 0; step < t->step_count; step++) {
        for (size_t c = 0; c < count; c++) {
            sorted[c] = t->lags[c][step];
        }
        qsort(sorted, count, sizeof *sorted, double_compare);
        out[step] = sorted[(size_t)(part * (double)(count - 1))];
    }
    free(sorted);
}

static void lag_draw(const struct timeline *t, const struct chart *c, const double *x,
                     size_t number, const double *y)
{
    char class[24];

    snprintf(class, sizeof class, "lag%zu", number);
    chart_line(c, class, x, y, t->step_count);
}

static void lag_panel(const struct timeline *t, double *top)
{
    bool few = t->s->consumer_count <= TIMELINE_LAGS_MAX;
    struct chart c = panel_open(t, top, STEPS_HEIGHT, "Acknowledged, but not yet received");
    double *x = memory_zeroed(t->step_count, sizeof *x);
    double *furthest = memory_zeroed(t->step_count, sizeof *furthest);
    double highest = 0;

    lag_part(t, 1, furthest);
    for (size_t i = 0; i < t->step_count; i++) {
        x[i] = (double)(i + 1) * t->step_s;
        highest = fmax(highest, furthest[i]);
    }
    chart_linear_y(&c, highest, chart_word_number);
    for (size_t i = 0; few && i < t->s->consumer_count; i++) {
        lag_draw(t, &c, x, i, t->lags[i]);
    }
    if (!few) {
        lag_draw(t, &c, x, 0, furthest);
        lag_part(t, 0.5, furthest);
        lag_draw(t, &c, x, 1, furthest);
    }
    free(x);
    free(furthest);
}

static void time_axis_draw(const struct timeline *t, double base)
{
    double room = t->width - MARGIN_LEFT - MARGIN_RIGHT;
    double tick = svg_nice_step(t->span_s, (int)fmax(room / TICK_WIDTH, 2));
    int count = (int)floor(t->span_s / tick * 1.0001);

    for (int i = 0; i <= count; i++) {
        struct buffer word = BUFFER_INIT;
        double x = x_at(t, i * tick);
        chart_word_number(&word, i * tick);
        svg_line(t->b, "axis", x, base, x, base + 5);
        svg_text(t->b, "tick", "middle", x, base + 19, word.data);
        buffer_release(&word);
    }
    svg_text(t->b, "tick", "end", t->width - MARGIN_RIGHT, base + 38,
             "seconds since the first send");
}

static void timeline_draw(const struct timeline *t)
{
    double top = t->s->fault_count > 0 ? FAULTS_HEIGHT : 0;
    double height = top + 4 * TITLE_HEIGHT + DOTS_HEIGHT + 3 * STEPS_HEIGHT + AXIS_HEIGHT;
    struct buffer label = BUFFER_INIT;

    buffer_append_string(&label, "Every send, acknowledgements and deliveries a second, and the "
                                 "consumers' lag over ");
    word_span(&label, (int64_t)(t->span_s * NS_PER_S));
    buffer_append_string(&label, ", with ");
    word_count(&label, (int64_t)t->s->fault_count, "fault");
    svg_open(t->b, t->width, height, label.data);
    labels_draw(t);
    dots_panel(t, &top);
    rate_panel(t, &top, "Acknowledged, a second", "acks", t->acks);
    rate_panel(t, &top, "Delivered to all consumers, a second", "deliveries", t->deliveries);
    lag_panel(t, &top);
    time_axis_draw(t, top);
    svg_close(t->b);
    buffer_release(&label);
}

void timeline_append(struct buffer *b, const struct scenario *s, const struct history *h,
                     const struct check *c, const struct fates *fates, int width)
{
    struct timeline t = {
        .b = b, .s = s, .h = h, .c = c, .fates = fates, .width = width, .begin_ns = c->begin_ns};

    if (c->begin_ns == TIME_NONE) {
        return;
    }
    timeline_measure(&t);
    steps_count(&t);
    timeline_draw(&t);
    for (size_t i = 0; i < s->consumer_count; i++) {
        free(t.lags[i]);
    }
    free(t.lags);
    free(t.acks);
    free(t.deliveries);
}
