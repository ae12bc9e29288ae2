/*
 * keeper.c - the thread of keeper.h.
 */
#include "broker/store/keeper.h"

#include "common/clock.h"
#include "common/mutex.h"

#include <stdlib.h>

#define KEEPER_PAUSE_MS 500
#define KEEPER_SOON_MS 50

struct keeper {
    struct store_session *session;
    bool (*keep)(void *arg, struct store_session *session);
    void *arg;
    pthread_t thread;

    struct mutex lock; /* rank: MUTEX_READERS */
    pthread_cond_t changed;
    bool stop; /* guarded by lock */
};

/* Wait for the next look; false: stop. */
static bool pause_or_stop(struct keeper *k, int ms)
{
    int64_t until_ms = clock_now_ms() + ms;

    mutex_lock(&k->lock);
    while (!k->stop && clock_now_ms() < until_ms) {
        mutex_wait(&k->lock, &k->changed, until_ms * NS_PER_MS);
    }
    bool stop = k->stop;
    mutex_unlock(&k->lock);
    return !stop;
}

static void *keeper_main(void *arg)
{
    struct keeper *k = arg;
    bool soon = false;

    while (pause_or_stop(k, soon ? KEEPER_SOON_MS : KEEPER_PAUSE_MS)) {
        soon = k->keep(k->arg, k->session);
    }
    return NULL;
}

static void keeper_free(struct keeper *k)
{
    k->session->store->ops->session_close(k->session);
    mutex_release(&k->lock);
    pthread_cond_destroy(&k->changed);
    free(k);
}

struct keeper *keeper_create(struct store *store,
                             bool (*keep)(void *arg, struct store_session *session), void *arg)
{
    struct keeper *k = calloc(1, sizeof *k);

    if (k == NULL) {
        return NULL;
    }
    k->session = store->ops->session_open(store);
    if (k->session == NULL) {
        free(k);
        return NULL;
    }
    k->keep = keep;
    k->arg = arg;
    mutex_init(&k->lock, MUTEX_READERS);
    condition_init(&k->changed);
    if (pthread_create(&k->thread, NULL, keeper_main, k) != 0) {
        keeper_free(k);
        return NULL;
    }
    return k;
}

void keeper_destroy(struct keeper *k)
{
    if (k == NULL) {
        return;
    }
    mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_signal(&k->changed);
    mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    keeper_free(k);
}
