/*
 * parallel.c - who is free takes the next round, so that long and short ones even out.
 */
#include "harness/check/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 16

struct loop {
    size_t count;
    parallel_round *round;
    void *arg;
    atomic_size_t next;
};

static void *loop_run(void *arg)
{
    struct loop *loop = arg;

    for (size_t i = atomic_fetch_add(&loop->next, 1); i < loop->count;
         i = atomic_fetch_add(&loop->next, 1)) {
        loop->round(loop->arg, i);
    }
    return NULL;
}

void parallel_each(size_t count, parallel_round *round, void *arg)
{
    struct loop loop = {.count = count, .round = round, .arg = arg, .next = 0};
    pthread_t threads[THREADS_MAX];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = processors > 0 && (size_t)processors < count ? (size_t)processors : count;
    size_t started = 0;

    wanted = wanted < THREADS_MAX ? wanted : THREADS_MAX;
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, loop_run, &loop) == 0) {
        started++;
    }
    loop_run(&loop);
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}
