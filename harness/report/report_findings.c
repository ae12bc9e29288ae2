/*
 * report_findings.c - a card for every root cause: its evidence, the log and the operations
 * around the first of it, what the services said at that moment, and what followed from it.
 */
#include "harness/report/report_parts.h"

#include "harness/faults/fault_kind.h"
#include "harness/report/html.h"
#include "harness/report/logs.h"
#include "harness/report/operations.h"
#include "harness/memory.h"
#include "harness/report/places.h"
#include "harness/report/summary.h"
#include "harness/report/wording.h"

#include <inttypes.h>
#include <stdlib.h>

#define CARDS_MAX 30       /* the findings behind them have a line each */
#define SURROUNDED_MAX 12  /* cards that show what was around */
#define PLACES_EACH_SIDE 2 /* of the offset */
#define LOG_LINES_MAX 12
#define LOG_WITHIN_NS INT64_C(1000000000)
#define CONSUMERS_SHOWN 8
#define TEXT_BYTES_SHOWN 80
#define NS_PER_S 1e9

/* What the cards share. */
struct cards {
    const struct page *p;
    struct places places;
    struct logs logs;
};

/* ---- the moment ----------------------------------------------------------------------------- */

/* 1 for "P1", if `process` has this letter; 0: it has not. */
static int64_t process_id(const struct finding *f, char letter)
{
    return f->process[0] == letter ? strtoll(f->process + 1, NULL, 10) : 0;
}

/* The log that its first evidence is of; FINDING_TOPIC_NONE: none. */
static size_t topic_of(const struct finding *f)
{
    return evidence_topic(f, &f->evidence[0]);
}

static const struct history_producer *producer_of(const struct page *p, const struct finding *f)
{
    for (size_t i = 0; i < p->h->producer_count; i++) {
        if (p->h->producers[i].id == process_id(f, 'P')) {
            return &p->h->producers[i];
        }
    }
    return NULL;
}

static int64_t send_moment(const struct history_producer *producer, int64_t line)
{
    for (size_t i = 0; producer != NULL && i < producer->sends.count; i++) {
        const struct history_send *send = &producer->sends.items[i];
        if (send->line == line) {
            return send->outcome == OUTCOME_OPEN ? send->begin_ns : send->end_ns;
        }
    }
    return TIME_NONE;
}

/* When the first of a finding was seen or done; TIME_NONE: nobody knows. */
static int64_t moment_of(const struct cards *k, const struct finding *f)
{
    const struct evidence *e = &f->evidence[0];
    const struct place *place = places_get(&k->places, topic_of(f), e->offset);
    int64_t fault = 0;

    if (e->time_ns != TIME_NONE && f->part_count == 0) {
        return e->time_ns;
    }
    if (sscanf(f->process, "fault %" SCNd64, &fault) == 1 && fault >= 1 &&
        (uint64_t)fault <= k->p->s->fault_count) {
        return k->p->c->faults[fault - 1].begin_ns;
    }
    if (e->time_ns != TIME_NONE) {
        return e->time_ns;
    }
    if (place != NULL && place->send != NULL) {
        return place->send->end_ns;
    }
    return f->source == SOURCE_FILE ? TIME_NONE : send_moment(producer_of(k->p, f), e->line);
}

/* "1.234 s", since the first send. */
static void moment_put(const struct page *p, int64_t time_ns)
{
    buffer_printf(p->b, "%.3f s", (double)(time_ns - p->c->begin_ns) / NS_PER_S);
}

/* ---- the log around an offset -----------------------------------------------------------------
 */

static bool reads(const struct scenario_topic *topic, size_t consumer)
{
    for (size_t i = 0; i < topic->consumer_count; i++) {
        if (topic->consumers[i] == consumer) {
            return true;
        }
    }
    return false;
}

static void text_put(const struct page *p, uint32_t text)
{
    struct slice s = texts_get(&p->h->texts, text);
    bool cut = s.size > TEXT_BYTES_SHOWN;

    s.size = cut ? TEXT_BYTES_SHOWN : s.size;
    while (cut && s.size > 0 && ((unsigned char)s.data[s.size] & 0xC0) == 0x80) {
        s.size--;
    }
    html_slice(p->b, s);
    page_put(p, cut ? "…" : "");
}

static void row_put(const struct page *p, const struct place *place)
{
    const struct history_row *row = place->row;

    if (!p->h->rows_read) {
        page_put(p, "<td>not read</td>");
    } else if (row == NULL) {
        page_put(p, place->send == NULL ? "<td>no row</td>" : "<td class=\"bad\">✗ no row</td>");
    } else if (place->send != NULL && row->message != place->send->message) {
        page_put(p, "<td class=\"bad\">✗ ");
        text_put(p, row->message);
        page_put(p, "</td>");
    } else {
        page_put(p, "<td>✓ row</td>");
    }
}

static void place_put(const struct page *p, const struct place *place, bool here)
{
    const struct scenario_topic *topic = &p->s->topics[place->topic];
    const struct history_send *send = place->send;

    buffer_printf(p->b, "<tr%s><td>%" PRId64 "</td><td>", here ? " class=\"here\"" : "",
                  place->offset);
    if (send != NULL) {
        text_put(p, send->message);
        buffer_printf(p->b, "</td><td>P%" PRId64 ", line %" PRIu32 "</td><td>",
                      p->s->producers[place->producer].id, send->line);
        moment_put(p, send->end_ns);
    } else {
        text_put(p, place->row != NULL ? place->row->message : TEXT_NONE);
        page_put(p, "</td><td>–</td><td>nobody was told");
    }
    page_put(p, "</td>");
    row_put(p, place);
    for (size_t c = 0; c < p->s->consumer_count && c < CONSUMERS_SHOWN; c++) {
        if (!reads(topic, c)) {
            continue;
        }
        page_put(p, place->received_ns[c] == TIME_NONE ? "<td class=\"bad\">✗ never" : "<td>");
        if (place->received_ns[c] != TIME_NONE) {
            moment_put(p, place->received_ns[c]);
        }
        page_put(p, "</td>");
    }
    page_put(p, "</tr>\n");
}

static void log_put(const struct cards *k, const struct finding *f)
{
    const struct page *p = k->p;
    size_t of = topic_of(f);
    const struct scenario_topic *topic = &p->s->topics[of];
    int64_t offset = f->evidence[0].offset;

    page_put(p, "<h4>The log of ");
    html_text(p->b, topic->name);
    buffer_printf(p->b,
                  " around offset %" PRId64 "</h4>\n<div class=\"scroll\"><table "
                  "class=\"around\">\n<thead><tr><th>Offset</th><th>Message</th><th>Sent by</th>"
                  "<th>Acknowledged</th><th>Store</th>",
                  offset);
    for (size_t c = 0; c < p->s->consumer_count && c < CONSUMERS_SHOWN; c++) {
        if (reads(topic, c)) {
            buffer_printf(p->b, "<th>C%" PRId64 "</th>", p->s->consumers[c].id);
        }
    }
    page_put(p, "</tr></thead>\n<tbody>\n");
    for (int64_t at = offset - PLACES_EACH_SIDE; at <= offset + PLACES_EACH_SIDE; at++) {
        const struct place *place = places_get(&k->places, of, at);
        if (place != NULL && (place->send != NULL || place->row != NULL || at == offset)) {
            place_put(p, place, at == offset);
        }
    }
    page_put(p, "</tbody></table></div>\n");
}

/* ---- the operations around a moment ------------------------------------------------------------
 */

static void operation_put(const struct page *p, const struct operation *o, bool here)
{
    static const char *const outcomes[] = {[OUTCOME_OPEN] = "no end recorded",
                                           [OUTCOME_OK] = "ok",
                                           [OUTCOME_FAIL] = "refused",
                                           [OUTCOME_INFO] = "outcome unknown"};

    buffer_printf(p->b, "<tr%s><td>", here ? " class=\"here\"" : "");
    moment_put(p, o->begin_ns);
    buffer_printf(p->b, "</td><td>%s%s", o->name, o->path != TEXT_NONE ? " " : "");
    text_put(p, o->path);
    page_put(p, "</td><td>");
    text_put(p, o->topic);
    page_put(p, "</td><td>");
    if (o->noun != NULL) {
        buffer_printf(p->b, "%s %" PRId64, o->noun, o->number);
    }
    page_put(p, "</td><td>");
    word_span(p->b, check_span_ns(o->begin_ns, o->end_ns));
    buffer_printf(p->b, "</td><td>%s", outcomes[o->outcome]);
    if (o->size != NUMBER_NONE) {
        buffer_printf(p->b, ", size %" PRId64, o->size);
    }
    if (o->http > 0) {
        buffer_printf(p->b, ", HTTP %" PRId32, o->http);
    }
    page_put(p, o->code != TEXT_NONE ? " " : "");
    text_put(p, o->code);
    page_put(p, "</td></tr>\n");
}

static void operations_put(const struct page *p, const struct finding *f, int64_t moment_ns)
{
    struct operation operations[OPERATIONS_MAX];
    size_t at;
    size_t count = operations_around(p->h, f->process, moment_ns, operations, &at);

    if (count == 0) {
        return;
    }
    buffer_printf(p->b, "<h4>What %s did around ", f->process);
    moment_put(p, moment_ns);
    page_put(p, "</h4>\n<div class=\"scroll\"><table class=\"around\">\n<thead><tr><th>Begun</th>"
                "<th>Operation</th><th>Topic</th><th></th><th>Took</th><th>Outcome</th></tr>"
                "</thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        operation_put(p, &operations[i], i == at);
    }
    page_put(p, "</tbody></table></div>\n");
}

/* Open on the first card; the others are mostly of the same moment. */
static void lines_put(const struct cards *k, int64_t moment_ns, bool open)
{
    const struct page *p = k->p;
    size_t count;
    size_t first = logs_around(&k->logs, moment_ns, LOG_WITHIN_NS, LOG_LINES_MAX, &count);

    if (count == 0) {
        return;
    }
    buffer_printf(p->b, "<details%s><summary>What broker, store and faults did around ",
                  open ? " open" : "");
    moment_put(p, moment_ns);
    page_put(p, "</summary>\n<pre class=\"lines\">");
    for (size_t i = first; i < first + count; i++) {
        const struct log_line *line = &k->logs.items[i];
        buffer_printf(p->b, "%8.3f s  ", (double)(line->time_ns - p->c->begin_ns) / NS_PER_S);
        html_text(p->b, line->file);
        page_put(p, ": ");
        html_slice(p->b, line->text);
        page_put(p, "\n");
    }
    page_put(p, "</pre></details>\n");
}

/* ---- the cards ---------------------------------------------------------------------------------
 */

static void surroundings_put(const struct cards *k, const struct finding *f, bool first)
{
    int64_t moment_ns = moment_of(k, f);

    if (places_get(&k->places, topic_of(f), f->evidence[0].offset) != NULL) {
        log_put(k, f);
    } else if (moment_ns != TIME_NONE) {
        operations_put(k->p, f, moment_ns);
    }
    if (moment_ns != TIME_NONE) {
        lines_put(k, moment_ns, first);
    }
}

/* What one restart did to several. */
static void parts_put(const struct page *p, const struct finding *f)
{
    struct buffer where = BUFFER_INIT;

    page_put(p, "<div class=\"scroll\"><table class=\"around\">\n<thead><tr><th>Messages</th>"
                "<th>Producer</th><th>Topic</th><th>Offsets</th><th>Where</th></tr></thead>\n"
                "<tbody>\n");
    for (size_t i = 0; i < f->part_count; i++) {
        const struct finding_part *part = &f->parts[i];
        page_put(p, "<tr><td>");
        word_number(p->b, part->count);
        page_put(p, "</td><td>");
        html_text(p->b, part->process);
        page_put(p, "</td><td>");
        html_text(p->b, p->s->topics[part->topic].name);
        page_put(p, "</td><td>");
        if (part->extent.lowest != OFFSET_NONE) {
            buffer_printf(p->b, "%" PRId64 " – %" PRId64, part->extent.lowest,
                          part->extent.highest);
        }
        page_put(p, "</td><td>");
        buffer_clear(&where);
        extent_append_words(&where, &part->extent);
        html_slice(p->b, buffer_slice(&where));
        page_put(p, "</td></tr>\n");
    }
    page_put(p, "</tbody></table></div>\n");
    buffer_release(&where);
}

static void evidence_put(const struct page *p, const struct finding *f)
{
    page_put(p, "<ul>\n");
    for (size_t i = 0; i < f->evidence_count; i++) {
        page_put(p, "<li>");
        html_text(p->b, f->evidence[i].detail);
        page_put(p, "</li>\n");
    }
    if (f->count > (int64_t)f->evidence_count) {
        page_put(p, "<li>and ");
        word_number(p->b, f->count - (int64_t)f->evidence_count);
        page_put(p, " more</li>\n");
    }
    page_put(p, "</ul>\n");
}

static void line_put(const struct page *p, const struct finding *f)
{
    struct buffer line = BUFFER_INIT;

    summary_finding(&line, p->s, f);
    page_put(p, "<li>");
    html_slice(p->b, buffer_slice(&line));
    page_put(p, "</li>\n");
    buffer_release(&line);
}

static void consequences_put(const struct page *p, size_t root)
{
    const struct findings *all = &p->c->findings;
    size_t end = root + 1;

    while (end < all->count && all->items[end].cause == root) {
        end++;
    }
    if (end == root + 1) {
        return;
    }
    page_put(p, "<details><summary>What followed from it: ");
    word_count(p->b, (int64_t)(end - root - 1), "finding");
    page_put(p, "</summary>\n<ul>\n");
    for (size_t i = root + 1; i < end; i++) {
        line_put(p, &all->items[i]);
    }
    page_put(p, "</ul></details>\n");
}

/* `number` counts the cards from 0. */
static void card_put(const struct cards *k, size_t at, size_t number)
{
    const struct page *p = k->p;
    const struct finding *f = &p->c->findings.items[at];
    bool breaks = finding_breaks(f->kind);

    buffer_printf(p->b, "<article class=\"card%s\">\n<h3>%s %s",
                  f->excused ? " none"
                  : breaks   ? ""
                             : " warn",
                  f->excused ? "–"
                  : breaks   ? "✗"
                             : "?",
                  finding_title(f->kind));
    if (f->process[0] != '\0') {
        page_put(p, ": ");
        html_text(p->b, f->common != NULL ? f->common : f->process);
    }
    if (f->topic != FINDING_TOPIC_NONE) {
        page_put(p, ", topic ");
        html_text(p->b, p->s->topics[f->topic].name);
    }
    buffer_printf(p->b, "</h3>\n<p class=\"note\"><code>%s</code> · seen in the %s · ",
                  finding_name(f->kind),
                  f->source == SOURCE_FILE    ? "consumer’s file"
                  : f->source == SOURCE_STORE ? "store"
                                              : "history");
    word_count(p->b, f->count, "time");
    page_put(p, f->excused == EXCUSE_NONE ? "" : " · not held against it: ");
    page_put(p, excuse_name(f->excused));
    page_put(p, "</p>\n");
    if (f->part_count > 0) {
        parts_put(p, f);
    }
    evidence_put(p, f);
    if (number < SURROUNDED_MAX) {
        surroundings_put(k, f, number == 0);
    }
    consequences_put(p, at);
    page_put(p, "</article>\n");
}

static bool is_card(const struct page *p, size_t i)
{
    return p->c->findings.items[i].cause == FINDING_ROOT;
}

/* The last `count` causes. */
static void rest_put(const struct page *p, size_t count)
{
    page_put(p, "<details><summary>");
    word_count(p->b, (int64_t)count, "more finding");
    page_put(p, "</summary>\n<ul>\n");
    for (size_t i = 0, seen = 0; i < p->c->findings.count; i++) {
        if (is_card(p, i) && seen++ >= CARDS_MAX) {
            line_put(p, &p->c->findings.items[i]);
        }
    }
    page_put(p, "</ul></details>\n");
}

static void places_take(struct cards *k)
{
    size_t cards = 0;

    for (size_t i = 0; i < k->p->c->findings.count && cards < SURROUNDED_MAX; i++) {
        const struct finding *f = &k->p->c->findings.items[i];
        int64_t offset = f->evidence[0].offset;
        if (!is_card(k->p, i)) {
            continue;
        }
        cards++;
        for (int64_t at = offset - PLACES_EACH_SIDE;
             offset != OFFSET_NONE && topic_of(f) != FINDING_TOPIC_NONE &&
             at <= offset + PLACES_EACH_SIDE;
             at++) {
            places_want(&k->places, topic_of(f), at);
        }
    }
    places_fill(&k->places, k->p->s, k->p->h);
}

static void fault_event(struct cards *k, size_t i, int64_t time_ns, const char *event)
{
    struct buffer line = BUFFER_INIT;
    char who[32];

    if (time_ns != TIME_NONE) {
        snprintf(who, sizeof who, "fault %zu", i + 1);
        buffer_append_string(&line, event);
        fault_append_words(&line, &k->p->c->faults[i].planned);
        logs_add(&k->logs, time_ns, who, buffer_slice(&line));
    }
    buffer_release(&line);
}

/* What the services logged, and what the harness did to them in between. */
static void logs_take(struct cards *k)
{
    logs_load(&k->logs, k->p->run_dir, &k->p->h->run);
    for (size_t i = 0; i < k->p->s->fault_count; i++) {
        const struct check_fault *f = &k->p->c->faults[i];
        fault_event(k, i, f->begin_ns, "begins: ");
        fault_event(k, i, f->end_ns, "is over: ");
    }
    logs_sort(&k->logs);
}

void report_findings(const struct page *p)
{
    struct cards k = {.p = p};
    size_t cards = 0;

    if (p->c->findings.count == 0) {
        return;
    }
    places_take(&k);
    logs_take(&k);
    page_put(p, "<section id=\"findings\">\n<h2>What was found</h2>\n<div class=\"cards\">\n");
    for (size_t i = 0; i < p->c->findings.count; i++) {
        if (is_card(p, i) && cards++ < CARDS_MAX) {
            card_put(&k, i, cards - 1);
        }
    }
    page_put(p, "</div>\n");
    if (cards > CARDS_MAX) {
        rest_put(p, cards - CARDS_MAX);
    }
    page_put(p, "</section>\n");
    places_release(&k.places);
    logs_release(&k.logs);
}
