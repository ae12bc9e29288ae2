/*
 * check_batches.c - is every request's batch stored whole, and in one piece?
 *
 * What one request brings is one append: its rows are all there or none is, and nothing lies
 * between them. A request says its first sequence and its count, and a row its sequence, so one
 * walk over the requests and one over the rows are enough.
 *
 * A request that is sent again as it was is the same batch. What was sent once more in other
 * pieces (a producer that was killed and goes on cuts anew) is held to nothing: any of the
 * pieces may be what was stored. A request that certainly was not executed leaves its sequences
 * to the next.
 */
#include "harness/check/check_parts.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>

struct batch {
    int64_t sequence; /* of its first message */
    int64_t begin_ns; /* its first request */
    int64_t lowest;   /* sequence that is stored; its offset */
    int64_t lowest_offset;
    size_t first; /* index of its first row, and of its last */
    size_t last;
    uint32_t count;
    uint32_t stored;  /* how many of its sequences have a row */
    uint32_t copies;  /* rows of it, up to the last, that repeat one */
    uint32_t pending; /* the same behind the last */
    bool acked;
    bool in_pieces; /* it was sent again, cut otherwise */
};

CHECK_LIST_TYPE(batch_list, struct batch)

/* A producer's id in a topic, and what was sent under it. */
struct sender {
    size_t producer;
    size_t topic;
    int64_t id;
    int64_t next;              /* all sequences before it have been in a request */
    struct batch_list batches; /* of several messages, by sequence; they do not overlap */
    size_t cursor;             /* the batch of the last row that had one */
    unsigned char *seen;       /* a bit for each sequence before `next`: it has its row */
    bool shared;               /* somebody else was given the id, too */
};

CHECK_LIST_TYPE(sender_list, struct sender)

struct batches {
    struct checking *k;
    struct sender_list senders;
    struct intmap by_id; /* producer id -> index of its sender */
};

/* ---- what was sent ----------------------------------------------------------------- */

/* The first batch that ends behind a sequence. */
static size_t batch_find(const struct sender *s, int64_t sequence)
{
    size_t low = 0;
    size_t high = s->batches.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct batch *b = &s->batches.items[middle];
        if (b->sequence + b->count <= sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Some of its sequences have been in a request before: the same one, or another. */
static void request_again(struct sender *s, const struct history_request *r)
{
    int64_t end = r->sequence + r->count;

    for (size_t i = batch_find(s, r->sequence);
         i < s->batches.count && s->batches.items[i].sequence < end; i++) {
        struct batch *b = &s->batches.items[i];
        bool same = b->sequence == r->sequence && b->count == r->count;
        b->acked = b->acked || (same && r->outcome == OUTCOME_OK);
        b->in_pieces = b->in_pieces || !same;
    }
    s->next = end > s->next ? end : s->next;
}

static void request_take(struct sender *s, const struct history_request *r)
{
    if (r->sequence < s->next) {
        request_again(s, r);
        return;
    }
    s->next = r->sequence + r->count;
    if (r->count > 1) {
        MEMORY_PUSH(&s->batches, (struct batch){.sequence = r->sequence,
                                                .begin_ns = r->begin_ns,
                                                .lowest = INT64_MAX,
                                                .count = r->count,
                                                .acked = r->outcome == OUTCOME_OK});
    }
}

static size_t sender_of(struct batches *b, size_t producer,
                        const struct history_registration *registration)
{
    size_t topic = topic_of(b->k, registration->topic);
    size_t at;

    if (topic == FINDING_TOPIC_NONE || registration->client_id < 0) {
        return SIZE_MAX;
    }
    if (intmap_get(&b->by_id, registration->client_id, &at)) {
        struct sender *s = &b->senders.items[at];
        s->shared = s->shared || s->producer != producer || s->topic != topic;
        return at;
    }
    intmap_put(&b->by_id, registration->client_id, b->senders.count);
    MEMORY_PUSH(
        &b->senders,
        (struct sender){.producer = producer, .topic = topic, .id = registration->client_id});
    return b->senders.count - 1;
}

/* There are not more sequences than lines. */
static bool is_sequence(const struct checking *k, size_t producer, const struct history_request *r)
{
    return r->sequence >= 0 &&
           (uint64_t)r->sequence + r->count <= k->s->producers[producer].line_count;
}

/* A request goes out under the id that the producer was given last. */
static void producer_take(struct batches *b, size_t producer)
{
    const struct history_producer *from = &b->k->h->producers[producer];
    size_t *current = memory_zeroed(b->k->s->topic_count, sizeof *current); /* sender + 1 */
    size_t next = 0;

    for (size_t i = 0; i < from->requests.count; i++) {
        const struct history_request *r = &from->requests.items[i];
        size_t topic = topic_of(b->k, r->topic);
        for (; next < from->registrations.count &&
               from->registrations.items[next].time_ns <= r->begin_ns;
             next++) {
            size_t at = sender_of(b, producer, &from->registrations.items[next]);
            if (at != SIZE_MAX) {
                current[b->senders.items[at].topic] = at + 1;
            }
        }
        if (r->is_produce && r->outcome != OUTCOME_FAIL && topic != FINDING_TOPIC_NONE &&
            current[topic] > 0 && is_sequence(b->k, producer, r)) {
            request_take(&b->senders.items[current[topic] - 1], r);
        }
    }
    free(current);
}

/* ---- what is stored ---------------------------------------------------------------- */

static struct batch *batch_of(struct sender *s, int64_t sequence)
{
    for (size_t i = s->cursor; i < s->batches.count && i < s->cursor + 2; i++) {
        struct batch *b = &s->batches.items[i];
        if (sequence >= b->sequence && sequence < b->sequence + b->count) {
            s->cursor = i;
            return b;
        }
    }
    size_t i = batch_find(s, sequence);
    if (i == s->batches.count || sequence < s->batches.items[i].sequence) {
        return NULL;
    }
    s->cursor = i;
    return &s->batches.items[i];
}

static void row_take(struct sender *s, const struct history_row *row, size_t at)
{
    struct batch *b =
        row->sequence < 0 || row->sequence >= s->next ? NULL : batch_of(s, row->sequence);
    if (b == NULL) {
        return;
    }
    unsigned char bit = (unsigned char)(1 << row->sequence % 8);
    if ((s->seen[row->sequence / 8] & bit) != 0) {
        b->pending++;
        return;
    }
    s->seen[row->sequence / 8] |= bit;
    b->first = b->stored == 0 ? at : b->first;
    b->last = at;
    b->stored++;
    b->copies += b->pending;
    b->pending = 0;
    if (row->sequence < b->lowest) {
        b->lowest = row->sequence;
        b->lowest_offset = row->offset;
    }
}

static void rows_take(struct batches *b)
{
    const struct history *h = b->k->h;
    int64_t id = NUMBER_NONE;
    struct sender *s = NULL;
    size_t at;

    for (size_t i = 0; i < h->rows.count; i++) {
        const struct history_row *row = &h->rows.items[i];
        if (s == NULL || row->producer_id != id) {
            id = row->producer_id;
            s = intmap_get(&b->by_id, id, &at) ? &b->senders.items[at] : NULL;
        }
        if (s != NULL && row->topic == s->topic) {
            row_take(s, row, i);
        }
    }
}

/* ---- what is wrong ----------------------------------------------------------------- */

/* The log's limits have removed its beginning. */
static bool is_rest(const struct checking *k, const struct sender *s, const struct batch *b)
{
    int64_t before = b->lowest - b->sequence;

    return b->lowest_offset - before < log_removed(k->h, s->topic) &&
           b->stored == (uint64_t)((int64_t)b->count - before);
}

static void say_torn(struct checking *k, const struct sender *s, const struct batch *b,
                     size_t others)
{
    struct findings *f = &k->c->findings;
    size_t finding =
        findings_get(f, FINDING_TORN_BATCH, SOURCE_STORE, producer_name(k, s->producer).text,
                     s->topic, FINDING_ROOT, EXCUSE_NONE);
    struct evidence *e = findings_count(f, finding);

    MEMORY_PUSH(&k->torn, (struct torn_batch){s->id, b->sequence, b->count, finding});
    if (e == NULL) {
        return;
    }
    e->offset = k->h->rows.items[b->first].offset;
    e->time_ns = b->begin_ns;
    if (others > 0) {
        evidence_say(e,
                     "one request brought the sequences %" PRId64 " to %" PRId64
                     " of producer id %" PRId64 "; they are at the offsets %" PRId64 " to %" PRId64
                     ", with %zu of others between them",
                     b->sequence, b->sequence + b->count - 1, s->id, e->offset,
                     k->h->rows.items[b->last].offset, others);
    } else {
        evidence_say(e,
                     "one request brought the sequences %" PRId64 " to %" PRId64
                     " of producer id %" PRId64 "; %" PRIu32 " of these %" PRIu32 " are stored",
                     b->sequence, b->sequence + b->count - 1, s->id, b->stored, b->count);
    }
}

/* Of what was acknowledged, the rows that are not there are lost: check_log.c says so. */
static void batch_judge(struct checking *k, const struct sender *s, const struct batch *b)
{
    if (b->in_pieces || b->stored == 0) {
        return;
    }
    size_t others = b->last - b->first + 1 - b->stored - b->copies;
    if (others > 0 || (b->stored < b->count && !b->acked && !is_rest(k, s, b))) {
        say_torn(k, s, b, others);
    }
}

void check_batches(struct checking *k)
{
    struct batches b = {.k = k, .by_id = INTMAP_INIT};

    for (size_t p = 0; p < k->h->producer_count && k->h->rows_read; p++) {
        producer_take(&b, p);
    }
    for (size_t i = 0; i < b.senders.count; i++) {
        b.senders.items[i].seen = memory_zeroed((size_t)b.senders.items[i].next / 8 + 1, 1);
    }
    rows_take(&b);
    for (size_t i = 0; i < b.senders.count; i++) {
        struct sender *s = &b.senders.items[i];
        for (size_t n = 0; n < s->batches.count && !s->shared; n++) {
            batch_judge(k, s, &s->batches.items[n]);
        }
        free(s->batches.items);
        free(s->seen);
    }
    free(b.senders.items);
    intmap_release(&b.by_id);
}

size_t torn_cause(const struct checking *k, const struct history_row *row)
{
    for (size_t i = 0; i < k->torn.count; i++) {
        const struct torn_batch *torn = &k->torn.items[i];
        if (torn->producer_id == row->producer_id && row->sequence >= torn->sequence &&
            row->sequence - torn->sequence < torn->count) {
            return torn->finding;
        }
    }
    return FINDING_ROOT;
}
