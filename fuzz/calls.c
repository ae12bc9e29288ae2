/*
 * calls.c - sequences of calls on one topic, held against a model of the log.
 *
 * The input is a program: a byte for what is called, one for how its parameters are sent (JSON,
 * form, query), and some for the arguments. Every answer must be the one that the model gives:
 * offsets without gaps, sequences stored once, positions that move as promised, texts unchanged.
 */
#include "fuzz/fuzz.h"

#include "fuzz/broker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define CALLS_MAX 64
#define BATCH_MAX 4
#define LOG_MAX (CALLS_MAX * BATCH_MAX)
#define CLIENTS_MAX 4

enum way { WAY_JSON, WAY_FORM, WAY_QUERY, WAY_COUNT };

struct program {
    const uint8_t *p;
    const uint8_t *end;
};

struct producer {
    int64_t id;
    int64_t next;             /* the sequence that is expected */
    int64_t offsets[LOG_MAX]; /* by sequence */
};

struct consumer {
    int64_t id;
    int64_t position;
};

struct model {
    char topic[32];
    struct slice log[LOG_MAX];
    int64_t end;
    struct producer producers[CLIENTS_MAX];
    size_t producer_count;
    struct consumer consumers[CLIENTS_MAX];
    size_t consumer_count;
};

/* One request in the making. */
struct request {
    enum way way;
    const char *line; /* method and path */
    struct buffer parameters;
};

static const char *const texts[] = {"",
                                    "INFO user 17 signed in",
                                    "\"quoted\" and \\ and \t\r\n\b\f\x01\x1f",
                                    "é€😀",
                                    "a=b&c=%41+d",
                                    "{}",
                                    "exactly8",
                                    "0123456789abcde\n0123456789abcdef\""};

static unsigned take(struct program *p, unsigned below)
{
    return p->p < p->end ? *p->p++ % below : 0;
}

static struct slice take_text(struct program *p)
{
    return slice_of(texts[take(p, sizeof texts / sizeof *texts)]);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void begin(struct request *r, const struct model *m, struct program *p, const char *line)
{
    *r = (struct request){.way = (enum way)take(p, WAY_COUNT), .line = line};
    buffer_append_string(&r->parameters, r->way == WAY_JSON ? "{\"topic\": " : "topic=");
    if (r->way == WAY_JSON) {
        json_append_string(&r->parameters, slice_of(m->topic));
    } else {
        buffer_append_string(&r->parameters, m->topic);
    }
}

static void add_name(struct request *r, const char *name)
{
    bool json = r->way == WAY_JSON;

    buffer_printf(&r->parameters, json ? ", \"%s\": " : "&%s=", name);
}

static void add_text(struct request *r, const char *name, struct slice text)
{
    add_name(r, name);
    if (r->way == WAY_JSON) {
        json_append_string(&r->parameters, text);
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        buffer_printf(&r->parameters, "%%%02x", (unsigned char)text.data[i]);
    }
}

static void add_int(struct request *r, const char *name, int64_t value)
{
    add_name(r, name);
    buffer_append_int(&r->parameters, value);
}

static void ask(struct request *r, struct answer *out)
{
    static const char *const types[] = {"application/json", "application/x-www-form-urlencoded",
                                        "text/plain"};
    struct buffer all = BUFFER_INIT;
    bool query = r->way == WAY_QUERY;

    if (r->way == WAY_JSON) {
        buffer_append_char(&r->parameters, '}');
    }
    buffer_append_string(&all, r->line);
    if (query) {
        buffer_append_char(&all, '?');
        buffer_append_slice(&all, buffer_slice(&r->parameters));
    }
    buffer_printf(&all, " HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                  types[r->way], query ? 0 : r->parameters.size);
    if (!query) {
        buffer_append_slice(&all, buffer_slice(&r->parameters));
    }
    broker_ask(buffer_slice(&all), out);
    buffer_release(&all);
    buffer_release(&r->parameters);
}

static bool refused(const struct answer *answer, const char *code)
{
    return answer->http == 400 && slice_equals(answer_text(answer, "code"), slice_of(code));
}

/* ---- registrations --------------------------------------------------------------------------- */

static void register_producer(struct model *m, struct program *p)
{
    struct request r;
    struct answer answer;

    if (m->producer_count == CLIENTS_MAX) {
        return;
    }
    begin(&r, m, p, "POST /producer/register");
    ask(&r, &answer);
    struct producer *producer = &m->producers[m->producer_count++];
    producer->id = answer_int(&answer, "producer_id");
    producer->next = 0;
    assert(answer.http == 200 && producer->id >= 0);
    answer_release(&answer);
}

static void register_consumer(struct model *m, struct program *p)
{
    bool latest = take(p, 2) == 1;
    struct request r;
    struct answer answer;

    if (m->consumer_count == CLIENTS_MAX) {
        return;
    }
    begin(&r, m, p, "POST /consumer/register");
    add_text(&r, "start", slice_of(latest ? "latest" : "earliest"));
    ask(&r, &answer);
    struct consumer *consumer = &m->consumers[m->consumer_count++];
    consumer->id = answer_int(&answer, "consumer_id");
    consumer->position = latest ? m->end : 0;
    assert(answer.http == 200 && consumer->id >= 0);
    answer_release(&answer);
}

/* ---- produce -----------------------------------------------------------------------------------
 */

static void add_messages(struct request *r, const struct slice *messages, size_t count)
{
    if (r->way != WAY_JSON) { /* a batch is taken from JSON only */
        add_text(r, "message", messages[0]);
        return;
    }
    add_name(r, "messages");
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(&r->parameters, i == 0 ? "[" : ", ");
        json_append_string(&r->parameters, messages[i]);
    }
    buffer_append_char(&r->parameters, ']');
}

static void note_messages(struct model *m, struct producer *producer, const struct slice *messages,
                          int64_t count, bool numbered)
{
    for (int64_t i = 0; i < count; i++) {
        if (numbered) {
            producer->offsets[producer->next++] = m->end;
        }
        m->log[m->end++] = messages[i];
    }
}

static void produce(struct model *m, struct program *p)
{
    struct producer *producer = &m->producers[take(p, (unsigned)m->producer_count)];
    int64_t shift = (int64_t)take(p, 8); /* 7: no sequence */
    int64_t sequence = producer->next + 2 - shift;
    bool numbered = shift != 7 && sequence >= 0;
    struct slice messages[BATCH_MAX];
    struct request r;
    struct answer answer;

    begin(&r, m, p, "POST /producer/produce");
    int64_t count = r.way == WAY_JSON ? 1 + (int64_t)take(p, BATCH_MAX) : 1;
    for (int64_t i = 0; i < count; i++) {
        messages[i] = take_text(p);
    }
    add_int(&r, "producer_id", producer->id);
    add_messages(&r, messages, (size_t)count);
    if (numbered) {
        add_int(&r, "sequence", sequence);
    }
    ask(&r, &answer);
    bool duplicate = json_get(answer.root, "duplicate") != NULL;
    if (!numbered || sequence == producer->next) {
        assert(answer.http == 200 && answer_int(&answer, "offset") == m->end && !duplicate);
        note_messages(m, producer, messages, count, numbered);
    } else if (sequence + count <= producer->next) {
        const int64_t *offsets = &producer->offsets[sequence];
        assert(answer.http == 200 && duplicate);
        if (offsets[count - 1] - offsets[0] == count - 1) {
            assert(answer_int(&answer, "offset") == offsets[0]);
        } else {
            assert(json_get(answer.root, "offset") == NULL);
        }
    } else {
        assert(refused(&answer, "out_of_sequence"));
        assert(answer_int(&answer, "expected") == producer->next);
    }
    answer_release(&answer);
}

/* ---- consume -----------------------------------------------------------------------------------
 */

static void check_entry(const struct model *m, const struct json_value *entry, int64_t offset)
{
    struct slice text;
    int64_t number;
    bool is_text = json_string(json_get(entry, "message"), &text);
    bool is_int = json_int(json_get(entry, "offset"), &number);

    assert(is_text && is_int && number == offset && slice_equals(text, m->log[offset]));
}

/* How many messages it gave, which begin at `from`. */
static int64_t check_messages(const struct model *m, const struct answer *answer, int64_t from,
                              int64_t max)
{
    const struct json_value *list = json_get(answer->root, "messages");
    int64_t count = 0;

    assert((list != NULL) == (max > 0));
    if (max == 0) {
        check_entry(m, answer->root, from);
        return 1;
    }
    for (const struct json_value *e = json_first(list); e != NULL; e = json_next(e)) {
        assert(from + count < m->end);
        check_entry(m, e, from + count);
        count++;
    }
    /* All texts together are far below what one answer may have. */
    assert(count == (m->end - from < max ? m->end - from : max));
    return count;
}

static void consume(struct model *m, struct program *p)
{
    struct consumer *consumer = &m->consumers[take(p, (unsigned)m->consumer_count)];
    bool has_offset = take(p, 2) == 1;
    int64_t offset = (int64_t)take(p, (unsigned)m->end + 2);
    int64_t max = (int64_t)take(p, 6);
    int64_t from = has_offset ? offset : consumer->position;
    struct request r;
    struct answer answer;

    begin(&r, m, p, "GET /consumer/consume");
    add_int(&r, "consumer_id", consumer->id);
    if (has_offset) {
        add_int(&r, "offset", offset);
    }
    if (max > 0) {
        add_int(&r, "max", max);
    }
    ask(&r, &answer);
    if (from > m->end) {
        assert(refused(&answer, "offset_out_of_range"));
    } else if (from == m->end) {
        assert(refused(&answer, "no_message"));
        consumer->position = from;
    } else {
        assert(answer.http == 200);
        int64_t count = check_messages(m, &answer, from, max);
        consumer->position = has_offset ? from : from + count;
    }
    answer_release(&answer);
}

static void seek(struct model *m, struct program *p)
{
    struct consumer *consumer = &m->consumers[take(p, (unsigned)m->consumer_count)];
    int64_t offset = (int64_t)take(p, (unsigned)m->end + 2);
    struct request r;
    struct answer answer;

    begin(&r, m, p, "POST /consumer/seek");
    add_int(&r, "consumer_id", consumer->id);
    add_int(&r, "offset", offset);
    ask(&r, &answer);
    if (offset > m->end) {
        assert(refused(&answer, "offset_out_of_range"));
    } else {
        assert(answer.http == 200 && answer_int(&answer, "offset") == offset);
        consumer->position = offset;
    }
    answer_release(&answer);
}

static void get_size(struct model *m, struct program *p)
{
    struct consumer *consumer = &m->consumers[take(p, (unsigned)m->consumer_count)];
    struct request r;
    struct answer answer;

    begin(&r, m, p, "GET /size");
    add_int(&r, "consumer_id", consumer->id);
    ask(&r, &answer);
    assert(answer.http == 200 && answer_int(&answer, "size") == m->end - consumer->position);
    answer_release(&answer);
}

void fuzz_calls(const uint8_t *data, size_t size)
{
    static int64_t runs;
    static struct model m;
    struct program p = {data, data + size};

    m = (struct model){.end = 0};
    snprintf(m.topic, sizeof m.topic, "run-%" PRId64, runs++);
    register_producer(&m, &p);
    register_consumer(&m, &p);
    for (int i = 0; i < CALLS_MAX && p.p < p.end; i++) {
        switch (take(&p, 8)) {
        case 0:
            register_producer(&m, &p);
            break;
        case 1:
            register_consumer(&m, &p);
            break;
        case 2:
            get_size(&m, &p);
            break;
        case 3:
        case 4:
            consume(&m, &p);
            break;
        case 5:
            seek(&m, &p);
            break;
        default:
            produce(&m, &p);
        }
    }
}
