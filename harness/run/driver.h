/*
 * driver.h - makes the faults of a run happen.
 *
 * It asks the injector (fault.h) what is due, does it by the functions of the fault's kind
 * (fault_kind.h), and writes it into the history. Who waits for anything while services run calls
 * driver_step() again and again, from before the first start on.
 *
 * Threads: one.
 */
#ifndef HARNESS_DRIVER_H
#define HARNESS_DRIVER_H

#include "harness/run/clients.h"
#include "harness/faults/fault.h"
#include "harness/faults/fault_kind.h"
#include "harness/run/record.h"
#include "harness/runtime/runtime.h"

#define DRIVER_EVERY_MS 5 /* how often to step while a fault is under way */

/* What stands before the injector is borrowed. */
struct driver {
    struct runtime *rt;
    struct clients *clients;
    struct record *record;
    const struct scenario *scenario;
    const struct watch_counts *counts; /* of the clients, as last read */
    const int64_t *gate_ms;            /* when the producers' gate was opened; 0: not yet */
    struct injector injector;
    struct fault_scene scene; /* of the fault that is next or under way */
    int64_t starting_ms;      /* when a service was started last */
    int64_t begun_ms;         /* when the fault that is under way began */
};

/* Its borrowed members are set. */
void driver_init(struct driver *d);

/* Before any service is started: what the faults need. false: see control_fail(). */
bool driver_prepare(struct driver *d);

/* The services are started now: healthy() has patience for so long as that takes. */
void driver_starting(struct driver *d);

/* Do what is due. false: see control_fail(), or the interrupt. */
bool driver_step(struct driver *d);

/* Does the broker answer? */
bool driver_healthy(const struct driver *d);

/* Which service has ended without a fault's doing? NULL: none has. */
struct process *driver_ended_service(struct driver *d);

/* Is a fault under way? */
bool driver_busy(const struct driver *d);

/* How far it is: "1 of 3 faults, healing after kill broker, restart after 500 ms". */
void driver_append(struct buffer *words, const struct driver *d);

/* The clients have ended: is nothing left to wait for? */
bool driver_is_done(const struct driver *d);

/* The number of the fault that is under way for so long that it will not end; 0: none is. */
size_t driver_endless(const struct driver *d);

/* How long nothing can be due but by what happens to the clients; at most `wait_ms`. */
int64_t driver_idle_ms(const struct driver *d, int64_t wait_ms);

/* The run ends, maybe in the midst of a fault: let go of what it holds. */
void driver_release(struct driver *d);

#endif
