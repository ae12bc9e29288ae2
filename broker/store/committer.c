/*
 * committer.c - the thread of committer.h.
 *
 * What may break: a connection that dies inside the commit leaves its outcome unknown.
 * Then the batch is kept as it is (core's memory stays behind) until the store has told
 * whether it is there; no later batch may be tried before. Its writes can be answered
 * meanwhile, when their time is over, but they are freed only afterwards, since the batch
 * borrows their bytes.
 */
#include "broker/store/committer.h"

#include "common/clock.h"
#include "common/crashpoint.h"
#include "common/log.h"
#include "common/mutex.h"

#include <errno.h>
#include <stdlib.h>

#define REVIVE_PAUSE_MS 50 /* between two tries to reach a store that is away */
#define REVIVE_LIMIT_MS 2000
#define COMPANY_SKIP_MAX 64
#define COMPANY_WAIT_NS_MAX (20 * NS_PER_MS) /* a commit may have hung for long */

struct committer {
    struct committer_options options;
    pthread_t thread;
    struct store_batch batch; /* the thread's own, like the two lists below */
    struct list taken;        /* waiting to be prepared, in order */
    struct list prepared;     /* in the batch */
    bool away;                /* the store was away at the last try: for the log */
    bool fenced;
    bool gave_up;          /* a store that is away: nothing is tried any more */
    size_t finished_bytes; /* of writes that are over, to be given back as room */
    size_t finished_count;
    size_t round_count;     /* writes of the last round */
    int64_t commit_ns;      /* how long its commit took */
    int company_skip;       /* rounds that shall not wait for company, and */
    int company_skip_after; /* how many the next vain wait will cost */

    struct mutex lock; /* rank: MUTEX_COMMITTER */
    pthread_cond_t changed;
    /* guarded by lock: */
    struct list waiting;
    size_t waiting_bytes; /* of all writes that are not finished */
    size_t waiting_count;
    size_t
        wanted; /* fewer than these do not wake the thread; 1, but in wait_for_company_locked() */
    bool hurry;
    bool stop;
};

/* ---- ends of a write ----------------------------------------------------------------- */

static void answer(struct committer *c, struct store_write *write, enum status status)
{
    if (!write->answered) {
        write->answered = true;
        c->options.hooks.answer(c->options.hooks.arg, write, status);
    }
}

static void finish(struct committer *c, struct store_write *write)
{
    c->finished_bytes += write->bytes;
    c->finished_count++;
    list_remove(&write->node);
    c->options.hooks.finish(c->options.hooks.arg, write);
}

/* Room for new writes, a round's at once: a lock for each would be met by the submitters. */
static void give_back_room_locked(struct committer *c)
{
    c->waiting_bytes -= c->finished_bytes;
    c->waiting_count -= c->finished_count;
    c->finished_bytes = 0;
    c->finished_count = 0;
}

static void end_all(struct committer *c, struct list *writes, enum status status)
{
    LIST_FOREACH(node, writes) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        answer(c, write, status);
        finish(c, write);
    }
    mutex_lock(&c->lock);
    give_back_room_locked(c); /* before anybody hears that he may send again */
    mutex_unlock(&c->lock);
    CRASH_POINT(BATCH_ANSWERED);
    c->options.hooks.round_end(c->options.hooks.arg);
}

/* Is a store that is away not worth waiting for? */
static bool hurried(struct committer *c)
{
    mutex_lock(&c->lock);
    bool hurry = c->hurry || c->stop;
    mutex_unlock(&c->lock);
    return hurry;
}

/* What submitters have left since the last look joins the thread's own list. */
static void take_waiting(struct committer *c)
{
    mutex_lock(&c->lock);
    give_back_room_locked(c);
    list_move(&c->taken, &c->waiting);
    mutex_unlock(&c->lock);
}

/* The store is away: answer the writes that can wait no longer. */
static void expire(struct committer *c, enum status prepared_status)
{
    bool hurry = hurried(c);
    int64_t now_ms = clock_now_ms();

    take_waiting(c);
    LIST_FOREACH(node, &c->prepared) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        if (hurry || write->deadline_ms <= now_ms) {
            answer(c, write, prepared_status); /* the batch still needs it */
        }
    }
    LIST_FOREACH(node, &c->taken) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        if (hurry || write->deadline_ms <= now_ms) {
            answer(c, write, STATUS_STORE_AWAY);
            finish(c, write);
        }
    }
    c->options.hooks.round_end(c->options.hooks.arg);
}

/* ---- a store that is away -------------------------------------------------------------- */

static void pause_ms(struct committer *c, int ms)
{
    int64_t until_ms = clock_now_ms() + ms;

    mutex_lock(&c->lock);
    while (!c->hurry && !c->stop && clock_now_ms() < until_ms) {
        mutex_wait(&c->lock, &c->changed, until_ms * NS_PER_MS);
    }
    mutex_unlock(&c->lock);
}

/* Try to reach the store until it answers; false when that is not to be waited for. */
static bool revive(struct committer *c, enum status prepared_status)
{
    char why[STORE_ERROR_BYTES_MAX] = "";

    while (c->options.store->ops->revive(c->options.session, REVIVE_LIMIT_MS, why) != STATUS_OK) {
        if (!c->away) {
            log_warn("store_away", LOG_STR("why", why));
            c->away = true;
        }
        expire(c, prepared_status);
        if (hurried(c)) {
            c->gave_up = true;
            return false;
        }
        pause_ms(c, REVIVE_PAUSE_MS);
    }
    if (c->away) {
        log_info("store_back", LOG_STR("store", c->options.store->ops->name));
        c->away = false;
    }
    return true;
}

/* ---- the ends of a batch --------------------------------------------------------------- */

static void batch_applied(struct committer *c)
{
    c->options.hooks.applied(c->options.hooks.arg, &c->batch, &c->prepared);
    CRASH_POINT(BATCH_SHOWN);
    end_all(c, &c->prepared, STATUS_OK);
    batch_clear(&c->batch);
}

/* Nothing was stored. Who waits still, is tried again, in the old order. */
static void batch_discarded(struct committer *c)
{
    c->options.hooks.discarded(c->options.hooks.arg, &c->prepared);
    batch_clear(&c->batch);
    LIST_FOREACH(node, &c->prepared) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        if (write->answered) {
            finish(c, write);
        }
    }
    list_move(&c->prepared, &c->taken);
    list_move(&c->taken, &c->prepared);
}

static void batch_failed(struct committer *c, enum status status)
{
    c->options.hooks.discarded(c->options.hooks.arg, &c->prepared);
    end_all(c, &c->prepared, status);
    batch_clear(&c->batch);
}

static void become_fenced(struct committer *c, enum status batch_status)
{
    log_error("fenced", LOG_STR("why", "another broker has taken over this log"));
    c->fenced = true;
    c->options.hooks.fenced(c->options.hooks.arg);
    batch_failed(c, batch_status);
}

/* A batch with messages is there whole or not at all, which its counter rows tell; a batch
 * without is simply committed once more. */
static enum status look_up(struct committer *c, bool *committed)
{
    const struct store_ops *ops = c->options.store->ops;

    if (c->batch.advance_count > 0) {
        return ops->resolve(c->options.session, &c->batch, committed);
    }
    enum status status = ops->commit(c->options.session, &c->batch);
    *committed = status == STATUS_OK;
    return status;
}

/* The commit's outcome is not known: ask until it is. */
static enum status find_out(struct committer *c)
{
    bool committed = false;

    log_warn("commit_outcome_unknown", LOG_INT("messages", c->batch.message_count));
    expire(c, STATUS_OUTCOME_UNKNOWN); /* the commit may have taken all their time */
    for (;;) {
        if (!revive(c, STATUS_OUTCOME_UNKNOWN)) {
            return STATUS_OUTCOME_UNKNOWN;
        }
        enum status status = look_up(c, &committed);
        expire(c, STATUS_OUTCOME_UNKNOWN);
        if (status == STATUS_OK) {
            break;
        }
        if (status == STATUS_FENCED) {
            return status;
        }
        if (hurried(c)) {
            c->gave_up = true;
            return STATUS_OUTCOME_UNKNOWN;
        }
        /* To go on without knowing would leave memory behind the store. */
        pause_ms(c, REVIVE_PAUSE_MS);
    }
    log_info("commit_outcome_resolved", LOG_STR("found", committed ? "committed" : "not stored"));
    return committed ? STATUS_OK : STATUS_STORE_AWAY;
}

static bool registers(const struct store_batch *b)
{
    return b->topic_count + b->producer_count + b->consumer_count > 0;
}

static void commit(struct committer *c)
{
    const struct store_ops *ops = c->options.store->ops;

    int64_t begin_ns = clock_now_ns();
    enum status status = ops->assign_ids(c->options.session, &c->batch);
    if (status == STATUS_OK) {
        if (registers(&c->batch)) {
            CRASH_POINT(REGISTER_IDS);
        }
        status = ops->commit(c->options.session, &c->batch);
        if (status == STATUS_OUTCOME_UNKNOWN) {
            status = find_out(c);
            if (status == STATUS_FENCED) {
                become_fenced(c, STATUS_OUTCOME_UNKNOWN);
                return;
            }
        }
    }
    c->commit_ns = clock_now_ns() - begin_ns;
    if (status == STATUS_OK) {
        CRASH_POINT(COMMIT_DONE);
        batch_applied(c);
    } else if (status == STATUS_STORE_AWAY) {
        batch_discarded(c);
        pause_ms(c, REVIVE_PAUSE_MS); /* it may answer, and yet not commit: a full disk */
        if (!revive(c, STATUS_STORE_AWAY)) {
            end_all(c, &c->taken, STATUS_STORE_AWAY);
        }
        expire(c, STATUS_STORE_AWAY);
    } else if (status == STATUS_FENCED) {
        become_fenced(c, STATUS_FENCED);
    } else {
        batch_failed(c, status);
    }
}

/* ---- the thread ------------------------------------------------------------------------ */

static bool batch_full(const struct committer *c, const struct store_write *next, size_t count)
{
    return count >= c->options.batch_count_max ||
           (count > 0 && c->batch.bytes + next->bytes > c->options.batch_bytes_max);
}

static void prepare(struct committer *c)
{
    size_t count = 0;

    while (!list_empty(&c->taken)) {
        struct store_write *write = LIST_ENTRY(c->taken.next, struct store_write, node);
        if (batch_full(c, write, count)) {
            break;
        }
        list_remove(&write->node);
        if (c->options.hooks.prepare(c->options.hooks.arg, write, &c->batch)) {
            list_append(&c->prepared, &write->node);
            count++;
        } else {
            finish(c, write);
        }
    }
}

/*
 * Who has just been answered often comes straight back, and then one commit does for all what
 * would be a tiny one for the first and another for the rest. So a round waits until as many
 * are there as were in the last one, for as long as a commit takes at most, within a limit. A lone
 * writer never waits, and where the company does not come (clients with a pace of their own) it is
 * waited for more and more seldom.
 */
static void wait_for_company_locked(struct committer *c)
{
    int64_t wait_ns = c->commit_ns < COMPANY_WAIT_NS_MAX ? c->commit_ns : COMPANY_WAIT_NS_MAX;
    int64_t until_ns = clock_now_ns() + wait_ns;

    if (c->round_count < 2 || c->waiting_count >= c->round_count || !list_empty(&c->taken)) {
        return;
    }
    if (c->company_skip > 0) {
        c->company_skip--;
        return;
    }
    c->wanted = c->round_count;
    while (c->waiting_count < c->wanted && !c->stop) {
        if (mutex_wait(&c->lock, &c->changed, until_ns) == ETIMEDOUT) {
            break;
        }
    }
    bool came = c->waiting_count >= c->wanted;
    c->company_skip = came ? 0 : c->company_skip_after;
    c->company_skip_after = came ? 1 : c->company_skip_after * 2;
    if (c->company_skip_after > COMPANY_SKIP_MAX) {
        c->company_skip_after = COMPANY_SKIP_MAX;
    }
    c->wanted = 1;
}

/* Wait for work; false when there is none and the committer is to stop. */
static bool wait_for_work(struct committer *c)
{
    mutex_lock(&c->lock);
    give_back_room_locked(c);
    while (list_empty(&c->taken) && list_empty(&c->waiting) && !c->stop) {
        mutex_wait(&c->lock, &c->changed, -1);
    }
    wait_for_company_locked(c);
    list_move(&c->taken, &c->waiting);
    c->round_count = c->waiting_count;
    mutex_unlock(&c->lock);
    return !list_empty(&c->taken);
}

static void *committer_main(void *arg)
{
    struct committer *c = arg;

    pthread_setname_np(pthread_self(), "committer");
    while (wait_for_work(c)) {
        if (c->fenced) {
            end_all(c, &c->taken, STATUS_FENCED);
            continue;
        }
        if (c->gave_up) {
            end_all(c, &c->taken, STATUS_STORE_AWAY);
            continue;
        }
        CRASH_POINT(BATCH_TAKEN);
        prepare(c);
        CRASH_POINT(BATCH_PREPARED);
        if (batch_empty(&c->batch)) {
            batch_applied(c); /* duplicates only: nothing to commit */
        } else {
            commit(c);
        }
    }
    return NULL;
}

void committer_submit(void *committer, struct list *writes)
{
    struct committer *c = committer;

    mutex_lock(&c->lock);
    LIST_FOREACH(node, writes) {
        struct store_write *write = LIST_ENTRY(node, struct store_write, node);
        if (c->stop || c->waiting_count >= c->options.waiting_count_max ||
            (c->waiting_count > 0 &&
             c->waiting_bytes + write->bytes > c->options.waiting_bytes_max)) {
            break;
        }
        list_remove(node);
        list_append(&c->waiting, node);
        c->waiting_bytes += write->bytes;
        c->waiting_count++;
    }
    if (c->waiting_count >= c->wanted) {
        pthread_cond_signal(&c->changed);
    }
    mutex_unlock(&c->lock);
    CRASH_POINT(WRITE_QUEUED);
}

struct committer *committer_create(const struct committer_options *options)
{
    struct committer *c = calloc(1, sizeof *c);

    if (c == NULL) {
        options->store->ops->session_close(options->session);
        return NULL;
    }
    c->options = *options;
    c->wanted = 1;
    c->company_skip_after = 1;
    list_init(&c->taken);
    list_init(&c->prepared);
    list_init(&c->waiting);
    mutex_init(&c->lock, MUTEX_COMMITTER);
    condition_init(&c->changed);
    if (pthread_create(&c->thread, NULL, committer_main, c) != 0) {
        options->store->ops->session_close(options->session);
        mutex_release(&c->lock);
        pthread_cond_destroy(&c->changed);
        free(c);
        return NULL;
    }
    return c;
}

void committer_hurry(struct committer *c)
{
    mutex_lock(&c->lock);
    c->hurry = true;
    pthread_cond_signal(&c->changed);
    mutex_unlock(&c->lock);
}

void committer_destroy(struct committer *c)
{
    if (c == NULL) {
        return;
    }
    mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->changed);
    mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->options.store->ops->session_close(c->options.session);
    batch_release(&c->batch);
    mutex_release(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c);
}
