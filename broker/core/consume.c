/*
 * consume.c - a consumer's request for messages, step by step.
 *
 * With an offset ("all before it is mine") the position is saved first, if it moves, and
 * the messages follow; asking again gives the same. Without one (the assignment's call)
 * the broker moves the position itself: it reads, saves the position behind what it read,
 * and only then answers, so a lost answer is a lost message.
 *
 *   offset given:     LOOK -> [SAVING ->] FETCH -> [READING ->] done
 *   no offset:        LOOK -> FETCH -> [READING ->] SAVING -> done
 *   a seek:           LOOK -> SAVING -> done
 *
 * A store that forgets positions (memory) has nothing to save: SAVING then is over at once.
 *
 * While a consume moves its consumer's position the consumer is busy, and others of the same
 * consumer queue behind it; so two plain consumes never get the same message. Waiting for
 * a first message happens before that, so a long poll blocks nobody. Who waits while another
 * moves the position looks again: a plain one goes on from there, one with an offset has
 * lost its place and ends without a message.
 *
 * A seek saves the position even when it is there already: a save before it, of which the
 * outcome is unknown, may still be on its way to the store.
 */
#include "broker/core/internal.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/log.h"

#include <assert.h>
#include <stdlib.h>

enum consume_state { CONSUME_LOOK, CONSUME_FETCH, CONSUME_READING, CONSUME_SAVING, CONSUME_OVER };

struct consume {
    struct queue *queue;
    int loop;
    struct consumer *consumer;
    struct partition *partition;
    int64_t offset; /* as asked, or -1 */
    size_t count_max;
    bool may_wait;
    bool seeks;
    enum queue_start start;
    queue_done *notify;
    void *arg;

    enum consume_state state;
    bool busy;    /* this one has made the consumer busy */
    bool waited;  /* it has been in partition.waiting */
    int64_t from; /* the first offset of the answer; a seek: where it goes */
    enum status status;
    int64_t first_offset, next_offset; /* STATUS_OFFSET_OUT_OF_RANGE: what is there */
    struct store_range range;
    size_t charged; /* to the queue's budget, for the range */
    struct store_read read;
    struct queue_write *save;

    /* guarded by the partition's lock: */
    struct list node; /* in partition.waiting or consumer.queued */
    bool parked;      /* in partition.waiting */
};

enum status consume_create(struct queue *queue, int loop, const struct consume_request *request,
                           queue_done *notify, void *arg, struct consume **out)
{
    struct consumer *consumer;
    enum status status = find_consumer(queue, request->topic, request->consumer_id, &consumer);

    if (status != STATUS_OK) {
        return status;
    }
    struct consume *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    c->queue = queue;
    c->loop = loop;
    c->consumer = consumer;
    c->partition = &consumer->topic->partition;
    c->offset = request->offset;
    c->count_max = request->count_max;
    c->may_wait = request->may_wait;
    c->seeks = request->seeks;
    c->start = request->start;
    c->notify = notify;
    c->arg = arg;
    list_init(&c->node);
    range_init(&c->range);
    *out = c;
    return STATUS_OK;
}

void consume_release(struct consume *c)
{
    if (c == NULL) {
        return;
    }
    assert(c->state == CONSUME_OVER);
    queue_write_release(c->save);
    range_release(&c->range);
    budget_give(c->queue->options.budget, c->charged);
    free(c);
}

enum status consume_status(const struct consume *c)
{
    return c->status;
}

void consume_bounds(const struct consume *c, int64_t *first_offset, int64_t *next_offset)
{
    *first_offset = c->first_offset;
    *next_offset = c->next_offset;
}

const struct store_range *consume_range(const struct consume *c)
{
    return &c->range;
}

int64_t consume_position(const struct consume *c)
{
    return c->from;
}

/* Let the next one of this consumer go on, unless the consumer is busy with another. Who was
 * let go on and does not make the consumer busy has to call this, too, or the rest of the
 * queue would wait for ever. */
static void leave(struct consume *c)
{
    struct list *node = NULL;

    mutex_lock(&c->partition->lock);
    if (c->busy) {
        c->busy = false;
        c->consumer->busy = false;
    }
    if (!c->consumer->busy) {
        node = list_pop(&c->consumer->queued);
    }
    mutex_unlock(&c->partition->lock);
    if (node != NULL) {
        struct consume *next = LIST_ENTRY(node, struct consume, node);
        next->notify(next->arg);
        c->queue->options.wake(c->queue->options.arg);
    }
}

static enum consume_step over(struct consume *c, enum status status)
{
    c->status = status;
    c->state = CONSUME_OVER;
    if (c->busy) {
        leave(c);
    }
    return CONSUME_DONE;
}

/* ---- steps ----------------------------------------------------------------------------- */

static void saved(void *arg)
{
    struct consume *c = arg;

    c->notify(c->arg);
}

/* The position is where it is to be. */
static enum consume_step moved(struct consume *c)
{
    if (c->offset < 0 || c->seeks) {
        return over(c, STATUS_OK);
    }
    leave(c);
    c->state = CONSUME_LOOK;
    return CONSUME_DONE;
}

static enum consume_step begin_save(struct consume *c, int64_t position)
{
    if (c->queue->store.forgets_positions) {
        consumer_move(c->queue, c->consumer, position);
        return moved(c);
    }
    CRASH_POINT(POSITION_ASKED);
    c->state = CONSUME_SAVING;
    enum status status =
        position_save(c->queue, c->loop, c->consumer, position, saved, c, &c->save);
    return status == STATUS_OK ? CONSUME_WAIT : over(c, status);
}

static void read_done(struct store_read *read)
{
    struct consume *c = LIST_ENTRY(read, struct consume, read);
    struct queue *queue = c->queue;

    c->notify(c->arg); /* `c` may be gone now */
    queue->options.wake(queue->options.arg);
}

/* Up to `end`: the store may hold more already, of a commit that is not told of yet, and who
 * was given that would next ask for an offset that the partition does not know. */
static enum consume_step begin_read(struct consume *c, int64_t segment, int64_t end, int64_t wanted)
{
    int64_t count = end - c->from;

    c->state = CONSUME_READING;
    c->read = (struct store_read){
        .kind = STORE_READ_RANGE,
        .deadline_ms = clock_now_ms() + c->queue->options.store_timeout_ms,
        .topic_id = c->partition->topic->id,
        .partition = c->partition->number,
        .segment = segment,
        .from = c->from,
        .count_max = (size_t)(count < wanted ? count : wanted),
        .bytes_max = QUEUE_CONSUME_BYTES_MAX,
        .range = &c->range,
        .done = read_done,
    };
    if (!c->queue->store.submit_read(c->queue->store.readers, &c->read)) {
        return over(c, STATUS_OVERLOADED);
    }
    return CONSUME_WAIT;
}

/* The messages are in `range`. Where there is no room for them they are not taken: the position
 * of a plain consume has not moved yet. */
static enum consume_step got_range(struct consume *c)
{
    size_t due = budget_due(c->range.bytes.size + c->range.sizes.size);

    if (due > 0 && !budget_take(c->queue->options.budget, due)) {
        return over(c, STATUS_OVERLOADED);
    }
    c->charged = due;
    if (c->offset < 0) {
        return begin_save(c, c->from + (int64_t)c->range.count);
    }
    return over(c, STATUS_OK);
}

static enum consume_step park_locked(struct consume *c)
{
    struct queue *queue = c->queue;

    if (atomic_fetch_add(&queue->polls, 1) >= queue->options.polls_max) {
        atomic_fetch_sub(&queue->polls, 1);
        c->status = STATUS_OVERLOADED;
        c->state = CONSUME_OVER;
        return CONSUME_DONE;
    }
    c->parked = true;
    c->waited = true;
    c->consumer->parked++;
    list_append(&c->partition->waiting, &c->node);
    return CONSUME_PARK;
}

static void unpark_locked(struct consume *c)
{
    c->parked = false;
    c->consumer->parked--;
    atomic_fetch_sub(&c->queue->polls, 1);
}

/* Is this offset neither in the log nor its end? */
static bool out_of_range_locked(struct consume *c, int64_t offset)
{
    c->first_offset = c->partition->first_offset;
    c->next_offset = c->partition->tail.next;
    return offset < c->first_offset || offset > c->next_offset;
}

/* The offset from which this one is to go on. */
static int64_t aim_locked(const struct consume *c)
{
    if (c->start != QUEUE_START_DEFAULT) {
        return c->start == QUEUE_START_LATEST ? c->partition->tail.next
                                              : c->partition->first_offset;
    }
    return c->offset < 0 ? c->consumer->position : c->offset;
}

/*
 * Where to go from what the partition and the consumer are now. CONSUME_DONE with
 * state FETCH or SAVING means: go on there.
 */
static enum consume_step look_locked(struct consume *c)
{
    struct partition *p = c->partition;
    int64_t from = aim_locked(c);
    bool moves = c->seeks || c->offset < 0 || from != c->consumer->position;

    c->status = queue_open(c->queue);
    if (c->status == STATUS_OK && out_of_range_locked(c, from)) {
        c->status = STATUS_OFFSET_OUT_OF_RANGE;
    } else if (c->status == STATUS_OK && c->waited && c->offset >= 0 && moves) {
        c->status = STATUS_NO_MESSAGE; /* its position was taken away */
    }
    if (c->status != STATUS_OK) {
        c->state = CONSUME_OVER;
        return CONSUME_DONE;
    }
    if (moves && c->consumer->busy) {
        list_append(&c->consumer->queued, &c->node);
        return CONSUME_WAIT;
    }
    if (from == p->tail.next && !c->seeks && (c->offset < 0 || !moves)) {
        c->status = STATUS_NO_MESSAGE;
        c->state = c->may_wait ? CONSUME_LOOK : CONSUME_OVER;
        return c->may_wait ? park_locked(c) : CONSUME_DONE;
    }
    c->busy = moves;
    c->consumer->busy = c->consumer->busy || moves;
    c->from = from;
    c->state = c->seeks || (moves && c->offset >= 0) ? CONSUME_SAVING : CONSUME_FETCH;
    return CONSUME_DONE;
}

static enum consume_step look(struct consume *c)
{
    mutex_lock(&c->partition->lock);
    enum consume_step step = look_locked(c);
    mutex_unlock(&c->partition->lock);
    if (!c->busy) {
        leave(c);
    }
    if (step == CONSUME_DONE && c->state == CONSUME_SAVING) {
        return begin_save(c, c->from);
    }
    return step;
}

/* The answer's messages came from the store, now or earlier; those up to `kept_end` are kept. */
static void note_read(struct consume *c, int64_t kept_end)
{
    mutex_lock(&c->partition->lock);
    c->consumer->reader.read_end = c->from + (int64_t)c->range.count;
    if (kept_end >= 0) {
        c->consumer->reader.kept_end = kept_end;
    }
    mutex_unlock(&c->partition->lock);
}

static enum consume_step fetch_from_store(struct consume *c)
{
    int64_t begin;
    int64_t end;

    if (ahead_take(&c->queue->ahead, c->consumer->id, c->from, c->count_max,
                   QUEUE_CONSUME_BYTES_MAX, &c->range)) {
        note_read(c, -1);
        return got_range(c);
    }
    range_clear(&c->range, c->from);
    mutex_lock(&c->partition->lock);
    int64_t segment = partition_segment_locked(c->partition, c->from, &begin, &end);
    end = c->partition->tail.next < end ? c->partition->tail.next : end;
    size_t count = ahead_count(&c->consumer->reader, c->from, c->count_max);
    mutex_unlock(&c->partition->lock);
    return begin_read(c, segment, end, (int64_t)count);
}

static enum consume_step fetch(struct consume *c)
{
    range_clear(&c->range, c->from);
    mutex_lock(&c->partition->lock);
    bool found = tail_read_locked(&c->partition->tail, c->from, c->count_max,
                                  QUEUE_CONSUME_BYTES_MAX, &c->range);
    mutex_unlock(&c->partition->lock);
    return found ? got_range(c) : fetch_from_store(c);
}

static enum consume_step after_save(struct consume *c)
{
    enum status status = queue_write_result(c->save)->status;

    CRASH_POINT(POSITION_SAVED);
    queue_write_release(c->save);
    c->save = NULL;
    return status == STATUS_OK ? moved(c) : over(c, status);
}

static enum consume_step after_read(struct consume *c)
{
    mutex_lock(&c->partition->lock);
    bool gone = out_of_range_locked(c, c->from);
    mutex_unlock(&c->partition->lock);
    if (gone) { /* removed meanwhile */
        return over(c, STATUS_OFFSET_OUT_OF_RANGE);
    }
    if (c->read.status != STATUS_OK) {
        return over(c, c->read.status);
    }
    if (c->range.count == 0) { /* below the committed end of the log: not by us */
        log_error("rows_missing", LOG_INT("topic_id", c->partition->topic->id),
                  LOG_INT("offset", c->from));
        return over(c, STATUS_INTERNAL);
    }
    int64_t kept_end = c->from + (int64_t)c->range.count;
    if (c->range.count > c->count_max) {
        ahead_keep(&c->queue->ahead, c->consumer->id, &c->range, c->count_max);
    }
    note_read(c, kept_end);
    return got_range(c);
}

enum consume_step consume_step(struct consume *c)
{
    enum consume_step step = CONSUME_DONE;

    while (step == CONSUME_DONE && c->state != CONSUME_OVER) {
        switch (c->state) {
        case CONSUME_LOOK:
            step = look(c);
            break;
        case CONSUME_FETCH:
            step = fetch(c);
            break;
        case CONSUME_READING:
            step = after_read(c);
            break;
        case CONSUME_SAVING:
            step = after_save(c);
            break;
        case CONSUME_OVER:
            break;
        }
    }
    return step;
}

bool consume_timeout(struct consume *c)
{
    mutex_lock(&c->partition->lock);
    bool was_parked = c->parked;
    if (was_parked) {
        unpark_locked(c);
        list_remove(&c->node);
    }
    mutex_unlock(&c->partition->lock);
    if (was_parked) {
        over(c, STATUS_NO_MESSAGE);
    }
    return was_parked;
}

static void notify_all(struct list *woken)
{
    struct list *node;

    while ((node = list_pop(woken)) != NULL) {
        struct consume *c = LIST_ENTRY(node, struct consume, node);
        c->notify(c->arg);
    }
}

void partition_wake(struct partition *p)
{
    struct list woken;

    list_init(&woken);
    mutex_lock(&p->lock);
    LIST_FOREACH(waiting, &p->waiting) {
        unpark_locked(LIST_ENTRY(waiting, struct consume, node));
    }
    list_move(&woken, &p->waiting);
    mutex_unlock(&p->lock);
    notify_all(&woken);
}

void consumer_move(struct queue *queue, struct consumer *consumer, int64_t position)
{
    struct partition *p = &consumer->topic->partition;
    struct list woken;

    list_init(&woken);
    mutex_lock(&p->lock);
    if (consumer->parked > 0 && consumer->position != position) {
        LIST_FOREACH(waiting, &p->waiting) {
            struct consume *c = LIST_ENTRY(waiting, struct consume, node);
            if (c->consumer == consumer) {
                unpark_locked(c);
                list_remove(waiting);
                list_append(&woken, waiting);
            }
        }
    }
    consumer->position = position;
    mutex_unlock(&p->lock);
    if (!list_empty(&woken)) {
        notify_all(&woken);
        queue->options.wake(queue->options.arg);
    }
}
