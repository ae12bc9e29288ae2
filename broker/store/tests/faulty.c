/*
 * faulty.c - countdowns in front of another store's functions.
 */
#include "broker/store/tests/faulty.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct faulty_session {
    struct store_session session;
    struct store_session *under;
};

static struct faulty_store *faulty_of(struct store_session *session)
{
    return (struct faulty_store *)(void *)session->store;
}

static struct store_session *under_of(struct store_session *session)
{
    return ((struct faulty_session *)(void *)session)->under;
}

/* Has the countdown come to its end? */
static bool strikes(atomic_int *countdown)
{
    int left = atomic_load(countdown);

    while (left > 0 && !atomic_compare_exchange_weak(countdown, &left, left - 1)) {
    }
    return left == 1;
}

static struct store_session *faulty_session_open(struct store *store)
{
    struct faulty_store *f = (struct faulty_store *)(void *)store;
    struct faulty_session *session = calloc(1, sizeof *session);

    if (session != NULL) {
        session->session.store = store;
        session->under = f->under->ops->session_open(f->under);
    }
    return &session->session;
}

static void faulty_session_close(struct store_session *session)
{
    if (session != NULL) {
        faulty_of(session)->under->ops->session_close(under_of(session));
        free(session);
    }
}

static enum status faulty_revive(struct store_session *session, int limit_ms,
                                 char error[STORE_ERROR_BYTES_MAX])
{
    struct faulty_store *f = faulty_of(session);

    if (atomic_load(&f->away)) {
        atomic_fetch_add(&f->revives, 1);
        usleep((useconds_t)atomic_load(&f->revive_ms) * 1000);
        snprintf(error, STORE_ERROR_BYTES_MAX, "away, as the test wants it");
        return STATUS_STORE_AWAY;
    }
    return f->under->ops->revive(under_of(session), limit_ms, error);
}

static enum status faulty_load(struct store_session *session, const struct store_loader *loader,
                               char error[STORE_ERROR_BYTES_MAX])
{
    return faulty_of(session)->under->ops->load(under_of(session), loader, error);
}

static enum status faulty_assign_ids(struct store_session *session, struct store_batch *batch)
{
    return faulty_of(session)->under->ops->assign_ids(under_of(session), batch);
}

static enum status faulty_commit(struct store_session *session, const struct store_batch *batch)
{
    struct faulty_store *f = faulty_of(session);

    atomic_fetch_add(&f->commits, 1);
    atomic_fetch_add(&f->commits_held, 1);
    while (atomic_load(&f->hold_commit)) {
        sched_yield();
    }
    atomic_fetch_sub(&f->commits_held, 1);
    if (strikes(&f->refuse_commit)) {
        return STATUS_STORE_AWAY;
    }
    if (strikes(&f->fence_commit)) {
        return STATUS_FENCED;
    }
    if (strikes(&f->break_commit)) {
        return STATUS_INTERNAL;
    }
    if (strikes(&f->lose_commit)) {
        return STATUS_OUTCOME_UNKNOWN;
    }
    enum status status = f->under->ops->commit(under_of(session), batch);
    return strikes(&f->lose_reply) ? STATUS_OUTCOME_UNKNOWN : status;
}

static enum status faulty_resolve(struct store_session *session, const struct store_batch *batch,
                                  bool *committed)
{
    struct faulty_store *f = faulty_of(session);

    if (strikes(&f->break_resolve)) {
        return STATUS_INTERNAL;
    }
    return f->under->ops->resolve(under_of(session), batch, committed);
}

static enum status faulty_read(struct store_session *session, int64_t topic_id, int32_t partition,
                               int64_t segment, int64_t from, size_t count_max, size_t bytes_max,
                               struct store_range *range)
{
    struct faulty_store *f = faulty_of(session);

    if (strikes(&f->refuse_read)) {
        return STATUS_STORE_AWAY;
    }
    return f->under->ops->read(under_of(session), topic_id, partition, segment, from, count_max,
                               bytes_max, range);
}

static enum status faulty_find_sequence(struct store_session *session,
                                        const struct store_sequence *wanted, int64_t topic_id,
                                        int64_t segment, int64_t offset_max, int64_t *offset)
{
    return faulty_of(session)->under->ops->find_sequence(under_of(session), wanted, topic_id,
                                                         segment, offset_max, offset);
}

static enum status faulty_create_segment(struct store_session *session, int64_t topic_id,
                                         int32_t partition, int64_t *id)
{
    return faulty_of(session)->under->ops->create_segment(under_of(session), topic_id, partition,
                                                          id);
}

static enum status faulty_sweep(struct store_session *session, bool *done)
{
    return faulty_of(session)->under->ops->sweep(under_of(session), done);
}

static enum status faulty_ping(struct store_session *session)
{
    return faulty_of(session)->under->ops->ping(under_of(session));
}

static void faulty_destroy(struct store *store)
{
    struct faulty_store *f = (struct faulty_store *)(void *)store;

    f->under->ops->destroy(f->under);
    free(f);
}

static const struct store_ops faulty_ops = {
    .name = "faulty",
    .session_open = faulty_session_open,
    .session_close = faulty_session_close,
    .revive = faulty_revive,
    .load = faulty_load,
    .assign_ids = faulty_assign_ids,
    .commit = faulty_commit,
    .resolve = faulty_resolve,
    .read = faulty_read,
    .find_sequence = faulty_find_sequence,
    .create_segment = faulty_create_segment,
    .sweep = faulty_sweep,
    .ping = faulty_ping,
    .destroy = faulty_destroy,
};

struct faulty_store *faulty_store_create(struct store *under)
{
    struct faulty_store *f = calloc(1, sizeof *f);

    if (f != NULL) {
        f->store.ops = &faulty_ops;
        f->under = under;
    }
    return f;
}
