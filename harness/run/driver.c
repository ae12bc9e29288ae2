/*
 * driver.c - what the injector decides is done.
 */
#include "harness/run/driver.h"

#include "common/clock.h"
#include "myqueue.h"

#define HEALTH_REQUEST_MIN_MS 50
#define HEALTH_REQUEST_MAX_MS 1000
#define FAULT_LIMIT_MS 120000 /* beyond its own time */

void driver_init(struct driver *d)
{
    injector_init(&d->injector, d->scenario->faults, d->scenario->fault_count);
}

void driver_starting(struct driver *d)
{
    d->starting_ms = clock_now_ms();
}

bool driver_busy(const struct driver *d)
{
    return injector_busy(&d->injector);
}

/* A question to what is just coming up can hang, and while we wait for its answer we miss
 * the moment; a machine may also be slow. So the longer it takes, the more patience. */
bool driver_healthy(const struct driver *d)
{
    int64_t wait_ms = (clock_now_ms() - d->starting_ms) / 10;

    wait_ms = wait_ms < HEALTH_REQUEST_MIN_MS ? HEALTH_REQUEST_MIN_MS : wait_ms;
    wait_ms = wait_ms > HEALTH_REQUEST_MAX_MS ? HEALTH_REQUEST_MAX_MS : wait_ms;
    return myqueue_health(d->rt->broker, (int)wait_ms, NULL) == MYQUEUE_OK;
}

struct process *driver_ended_service(struct driver *d)
{
    const struct injector *i = &d->injector;

    for (int target = 0; target < RUNTIME_TARGETS; target++) {
        bool ours = injector_busy(i) && i->state != INJECTOR_HEALING &&
                    i->faults[i->current].target == (enum fault_target)target;
        if (!ours && runtime_has(d->rt, (enum fault_target)target) &&
            !process_runs(&d->rt->services[target])) {
            return &d->rt->services[target];
        }
    }
    return NULL;
}

/* As the functions of fault `number` see the run. */
static struct fault_scene *scene_of(struct driver *d, size_t number)
{
    struct fault_scene *scene = &d->scene;

    if (scene->number != number) {
        *scene = (struct fault_scene){.rt = d->rt,
                                      .clients = d->clients,
                                      .scenario = d->scenario,
                                      .fault = &d->scenario->faults[number - 1],
                                      .number = number};
    }
    scene->in_flight = d->counts->open;
    return scene;
}

static const struct fault_ops *ops_of(const struct fault_scene *scene)
{
    return fault_kind(scene->fault->action)->ops;
}

bool driver_prepare(struct driver *d)
{
    for (size_t number = 1; number <= d->scenario->fault_count; number++) {
        struct fault_scene *scene = scene_of(d, number);
        if (ops_of(scene)->prepare != NULL && !ops_of(scene)->prepare(scene)) {
            return false;
        }
    }
    return true;
}

void driver_release(struct driver *d)
{
    size_t number = d->injector.current + 1;

    if (number <= d->scenario->fault_count && injector_busy(&d->injector)) {
        struct fault_scene *scene = scene_of(d, number);
        if (ops_of(scene)->release != NULL) {
            ops_of(scene)->release(scene);
        }
    }
}

static bool fault_begin(struct driver *d, struct fault_scene *scene)
{
    record_fault_begin(d->record, scene->number, scene->fault, d->counts->acknowledged,
                       scene->in_flight);
    scene->bit = scene->in_flight;
    d->begun_ms = clock_now_ms();
    return ops_of(scene)->begin == NULL || ops_of(scene)->begin(scene);
}

/* What it has hit, as its kind counts it. */
static int64_t fault_bit(struct fault_scene *scene)
{
    if (ops_of(scene)->bitten != NULL) {
        scene->bit = ops_of(scene)->bitten(scene);
    }
    return scene->bit;
}

static void fault_record_hit(struct driver *d, struct fault_scene *scene)
{
    record_fault_hit(d->record, scene->number, scene->hit_ns == 0 ? clock_now_ns() : scene->hit_ns,
                     scene->bit, fault_kind(scene->fault->action)->unit, scene->more);
}

/* A window has hit something until it closes, the others when they happen. */
static void fault_hit(struct driver *d, struct fault_scene *scene)
{
    if (fault_kind(scene->fault->action)->shape != SHAPE_WINDOW) {
        fault_bit(scene);
        fault_record_hit(d, scene);
    }
}

static bool fault_undo(struct driver *d, struct fault_scene *scene)
{
    if (fault_kind(scene->fault->action)->shape == SHAPE_WINDOW) {
        fault_record_hit(d, scene);
    }
    record_fault(d->record, scene->number, "restart");
    d->starting_ms = clock_now_ms();
    return ops_of(scene)->end == NULL || ops_of(scene)->end(scene);
}

static bool fault_end(struct driver *d, struct fault_scene *scene)
{
    record_fault(d->record, scene->number, "end");
    if (ops_of(scene)->release != NULL) {
        ops_of(scene)->release(scene);
    }
    return scene->fault->target >= RUNTIME_TARGETS ||
           d->rt->ops->started(d->rt, scene->fault->target);
}

/* Since the gate was opened; -1: not yet. */
static int64_t running_ms(const struct driver *d)
{
    return *d->gate_ms == 0 ? -1 : clock_now_ms() - *d->gate_ms;
}

static struct injector_view fault_view(struct driver *d)
{
    struct injector *i = &d->injector;
    struct injector_view view = {
        .acks = d->counts->acknowledged,
        .in_flight = d->counts->open,
        .now_ms = clock_now_ms(),
        .running_ms = running_ms(d),
    };

    if (!injector_busy(i)) {
        return view;
    }
    struct fault_scene *scene = scene_of(d, i->current + 1);
    const struct fault_ops *ops = ops_of(scene);
    view.ripe = i->state == INJECTOR_FROZEN && view.now_ms >= i->until_ms && view.in_flight > 0 &&
                (ops->ripe == NULL || ops->ripe(scene));
    view.hit = i->state == INJECTOR_BEGUN && (ops->hit == NULL || ops->hit(scene));
    if (i->state == INJECTOR_HELD && view.now_ms >= i->until_ms) {
        view.bit = fault_kind(scene->fault->action)->shape == SHAPE_WINDOW ? fault_bit(scene) : 0;
    }
    view.healthy = i->state == INJECTOR_HEALING && (ops->healed == NULL || ops->healed(scene)) &&
                   driver_healthy(d);
    return view;
}

/* Do what is due about the faults. */
bool driver_step(struct driver *d)
{
    struct injector *i = &d->injector;

    while (i->current < i->fault_count) {
        struct injector_view view = fault_view(d);
        struct fault_scene *scene = scene_of(d, i->current + 1);
        bool done = true;

        switch (injector_step(i, &view)) {
        case INJECTOR_NOTHING:
            return !d->rt->control->failed;
        case INJECTOR_FREEZE:
            d->begun_ms = view.now_ms;
            scene->frozen = d->rt->ops->freeze(d->rt, scene->fault->target);
            break;
        case INJECTOR_THAW:
            scene->frozen = false;
            d->rt->ops->thaw(d->rt, scene->fault->target);
            break;
        case INJECTOR_BEGIN:
            done = fault_begin(d, scene);
            break;
        case INJECTOR_HIT:
            fault_hit(d, scene);
            break;
        case INJECTOR_UNDO:
            done = fault_undo(d, scene);
            break;
        case INJECTOR_END:
            done = fault_end(d, scene);
            break;
        }
        if (!done || d->rt->control->failed) {
            return false;
        }
    }
    return true;
}

/* ---- what a run asks ------------------------------------------------------------------- */

void driver_append(struct buffer *words, const struct driver *d)
{
    const struct injector *i = &d->injector;

    buffer_printf(words, "%zu of %zu faults", i->current, i->fault_count);
    if (injector_busy(i)) {
        buffer_append_string(words, i->state == INJECTOR_HEALING ? ", healing after " : ", ");
        fault_append_words(words, &i->faults[i->current]);
    }
}

/* It may wait for its step for as long as the clients work. */
static bool waits_for_step(const struct injector *i)
{
    return i->state == INJECTOR_BEGUN && fault_kind(i->faults[i->current].action)->from_start;
}

/* Once the clients have ended it waits in vain. */
bool driver_is_done(const struct driver *d)
{
    return !injector_busy(&d->injector) || waits_for_step(&d->injector);
}

size_t driver_endless(const struct driver *d)
{
    const struct injector *i = &d->injector;

    if (!injector_busy(i) || i->state == INJECTOR_FROZEN || waits_for_step(i)) {
        return 0;
    }
    int64_t limit_ms = i->faults[i->current].hold_ms + FAULT_LIMIT_MS;
    return clock_now_ms() - d->begun_ms > limit_ms ? i->current + 1 : 0;
}

int64_t driver_idle_ms(const struct driver *d, int64_t wait_ms)
{
    struct injector_view view = {.now_ms = clock_now_ms(), .running_ms = running_ms(d)};
    int64_t idle_ms = injector_idle_ms(&d->injector, &view);

    if (idle_ms >= 0) {
        return idle_ms < wait_ms ? idle_ms : wait_ms;
    }
    /* Neither a dead stranger nor a healthy broker wakes us. */
    return driver_busy(d) ? DRIVER_EVERY_MS : wait_ms;
}
