/*
 * retention.c - what is removed from the log, and when.
 *
 * The keeper looks at each partition a few times a second and takes one step where one is due:
 *
 *   roll   the newest segment has its share of the limit, in bytes or in time: make another
 *          one, and have the messages that follow go there
 *   trim   the oldest segment is beyond the limit, and no consumer has to read it still: move
 *          the partition's first offset behind it
 *   sweep  have the store remove from its disk what no partition has any more
 *
 * Rolls and trims are writes like any other, so the committer puts them in order with the
 * messages and positions, and a broker that has been replaced can do neither.
 *
 * Always: after a step the limits are kept but for one segment, which is an eighth of them:
 * what lies between the limit and the end of the segment stays until the segment can go whole.
 * What may break: a crash between two steps leaves a table that is nobody's. Nothing refers to
 * it, and the first sweep after the next start drops it.
 */
#include "broker/core/internal.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/log.h"

#define SEGMENTS_PER_LIMIT 8
#define SEGMENT_BYTES_MIN (64 * 1024)
#define SEGMENT_BYTES_MAX (256 * 1024 * 1024)
#define SWEEPS_MAX 10       /* in one pass */
#define SWEEP_PAUSE_MS 5000 /* after one that could not be done: it has stopped others */
#define REVIVE_LIMIT_MS 1000

enum step { STEP_NONE, STEP_ROLL, STEP_TRIM };

struct store_retention retention_of(const struct queue *queue, const struct topic *topic)
{
    const struct store_retention *own = &topic->retention;
    struct store_retention r = queue->options.retention;

    r.bytes = own->bytes != RETENTION_DEFAULT ? own->bytes : r.bytes;
    r.age_s = own->age_s != RETENTION_DEFAULT ? own->age_s : r.age_s;
    r.unread = own->unread != RETENTION_DEFAULT ? own->unread : r.unread;
    return r;
}

/* ---- what is due ------------------------------------------------------------------------- */

static int64_t segment_bytes(int64_t limit)
{
    int64_t share = limit / SEGMENTS_PER_LIMIT;

    return share < SEGMENT_BYTES_MIN   ? SEGMENT_BYTES_MIN
           : share > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX
                                       : share;
}

/* Where the log may begin, for all the limits. */
static int64_t trim_target_locked(const struct partition *p, const struct store_retention *r,
                                  int64_t now_ms)
{
    int64_t slowest = r->unread == RETENTION_KEEP_UNREAD ? partition_slowest_locked(p) : INT64_MAX;
    int64_t target = p->first_offset;

    for (size_t i = 1; i < p->segment_count; i++) {
        const struct store_segment *next = &p->segments[i];
        bool too_much = r->bytes > 0 && p->bytes - next->first_bytes >= r->bytes;
        bool too_old = r->age_s > 0 && now_ms - next->opened_ms >= r->age_s * 1000;
        if (!(too_much || too_old) || next->first_offset > slowest) {
            break;
        }
        target = next->first_offset;
    }
    return target;
}

static bool roll_due_locked(const struct partition *p, const struct store_retention *r,
                            int64_t now_ms)
{
    const struct store_segment *last = &p->segments[p->segment_count - 1];

    if (p->tail.next == last->first_offset) {
        return false; /* empty */
    }
    if (last->id == 0) {
        return true; /* segment 0 is shared, and cannot be dropped */
    }
    return (r->bytes > 0 && p->bytes - last->first_bytes >= segment_bytes(r->bytes)) ||
           (r->age_s > 0 && now_ms - last->opened_ms >= r->age_s * 1000 / SEGMENTS_PER_LIMIT);
}

/* The partition is `keeping` from then on, if there is a step. */
static enum step next_step(struct partition *p, const struct store_retention *r,
                           int64_t *first_offset)
{
    int64_t now_ms = clock_wall_ms();
    enum step step = STEP_NONE;

    mutex_lock(&p->lock);
    if (!p->keeping) {
        *first_offset = trim_target_locked(p, r, now_ms);
        step = *first_offset > p->first_offset ? STEP_TRIM
               : roll_due_locked(p, r, now_ms) ? STEP_ROLL
                                               : STEP_NONE;
        p->keeping = step != STEP_NONE;
    }
    mutex_unlock(&p->lock);
    return step;
}

/* ---- steps ------------------------------------------------------------------------------- */

static void not_keeping(struct partition *p)
{
    mutex_lock(&p->lock);
    p->keeping = false;
    mutex_unlock(&p->lock);
}

void keep_finished(struct queue_write *w)
{
    not_keeping(&w->topic->partition);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Hand a roll or a trim to the committer; nobody waits for it. */
static void submit(struct queue *queue, struct topic *topic, enum write_kind kind, int64_t segment,
                   int64_t first_offset)
{
    struct queue_write *w = write_create(queue, kind, 0, nothing, NULL);
    struct list writes;

    if (w == NULL) {
        not_keeping(&topic->partition);
        return;
    }
    w->topic = topic;
    w->segment = segment;
    w->position = first_offset;
    list_init(&writes);
    list_append(&writes, &w->write.node);
    queue->store.submit_writes(queue->store.committer, &writes);
    if (list_pop(&writes) != NULL) { /* too many writes wait */
        not_keeping(&topic->partition);
        queue_write_release(w);
    }
    queue_write_release(w);
}

static bool reach(struct store_session *session)
{
    char why[STORE_ERROR_BYTES_MAX];

    return session->store->ops->revive(session, REVIVE_LIMIT_MS, why) == STATUS_OK;
}

/* One that was made for a roll that did not come about is taken for the next. */
static bool make_spare(struct partition *p, struct store_session *session, int64_t *segment)
{
    mutex_lock(&p->lock);
    *segment = p->spare_segment;
    mutex_unlock(&p->lock);
    if (*segment != 0) {
        return true;
    }
    if (!reach(session) || session->store->ops->create_segment(session, p->topic->id, p->number,
                                                               segment) != STATUS_OK) {
        return false;
    }
    CRASH_POINT(SEGMENT_CREATED);
    mutex_lock(&p->lock);
    p->spare_segment = *segment;
    mutex_unlock(&p->lock);
    return true;
}

/* Was a step due? */
static bool keep_topic(struct queue *queue, struct topic *topic, struct store_session *session)
{
    const struct store_retention r = retention_of(queue, topic);
    int64_t first_offset = 0;
    int64_t segment = 0;

    if (r.bytes == 0 && r.age_s == 0) {
        return false;
    }
    switch (next_step(&topic->partition, &r, &first_offset)) {
    case STEP_NONE:
        return false;
    case STEP_TRIM:
        submit(queue, topic, WRITE_TRIM, 0, first_offset);
        break;
    case STEP_ROLL:
        if (make_spare(&topic->partition, session, &segment)) {
            submit(queue, topic, WRITE_ROLL, segment, 0);
            return true;
        }
        not_keeping(&topic->partition); /* the store is away, or busy */
        return false;
    }
    return true;
}

/* Is there more to do? */
static bool sweep(struct queue *queue, struct store_session *session)
{
    bool done = false;
    enum status status = STATUS_STORE_AWAY;

    if (clock_now_ms() < queue->sweep_after_ms || !atomic_exchange(&queue->sweep_wanted, false)) {
        return false;
    }
    if (reach(session)) {
        status = STATUS_OK;
        for (int i = 0; i < SWEEPS_MAX && status == STATUS_OK && !done; i++) {
            status = session->store->ops->sweep(session, &done);
            if (!done) {
                CRASH_POINT(SWEEP_DONE);
            }
        }
    }
    if (!done) {
        atomic_store(&queue->sweep_wanted, true);
    }
    if (status != STATUS_OK) {
        queue->sweep_after_ms = clock_now_ms() + SWEEP_PAUSE_MS;
    }
    return status == STATUS_OK && !done;
}

bool queue_keep(void *arg, struct store_session *session)
{
    struct queue *queue = arg;
    struct topic *topic;
    bool soon = false;

    for (size_t i = 0; (topic = registry_topic_at(&queue->registry, i)) != NULL; i++) {
        if (queue_open(queue) != STATUS_OK) {
            return false;
        }
        soon = keep_topic(queue, topic, session) || soon;
    }
    return sweep(queue, session) || soon;
}
