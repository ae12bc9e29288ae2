/*
 * fault_kind.h - the kinds of faults: one row each, with how it is written, what it needs,
 * and the functions that make it happen.
 *
 * A kind has one of three shapes, and all go through the same (fault.h says when):
 *
 *               begin()            hit()               after hold_ms: end()    healed()
 *   down        kills              certainly dead      starts it again         it answers
 *   window      opens              open                closes                  all is well
 *   moment      happens            has happened        (at once, nothing)      all is well
 *
 * Each proves that it bit: bitten() counts what it hit. A window stays open beyond its time,
 * for WINDOW_MORE_MS (fault.c), until it has bitten.
 *
 * To add a kind: an enum fault_action, a row in fault_kind.c, and a file fault_*.c with its
 * functions; a row in docs/faults.md.
 *
 * Threads: the harness' one.
 */
#ifndef HARNESS_FAULT_KIND_H
#define HARNESS_FAULT_KIND_H

#include "common/buffer.h"
#include "harness/scenario/scenario.h"

#include <stdbool.h>

struct clients;
struct record;
struct runtime;

/* The run that a fault happens in, as its functions see it. All borrowed. */
struct fault_scene {
    struct runtime *rt;
    struct clients *clients;
    const struct scenario *scenario;
    const struct scenario_fault *fault;
    size_t number;     /* of the fault, from 1 */
    int64_t in_flight; /* produce requests on their way, now */
    bool frozen;       /* the kind's target was, when it began: all its processes are stopped */
    int64_t bit;       /* what bitten() said last; before, the requests in flight at the begin */
    int64_t hit_ns;    /* when it happened, if hit() needed time after that; 0: when it said so */
    char more[128];    /* what else is to be said of it at the hit; "": nothing */
    void *state;       /* a kind's own, from begin() to end(); release() frees it */
};

/* Where bool is returned, false says see control_fail(), or the interrupt. NULL: nothing is to
 * be done; for hit(): at once; for healed(): the broker answers. */
struct fault_ops {
    /* Before any service is started, for each fault of the scenario in its order: what the
     * services need in between or in their environment. Again for the next fault of a kind. */
    bool (*prepare)(struct fault_scene *scene);

    bool (*begin)(struct fault_scene *scene);

    /* Its target is frozen, and requests are on their way: is there anything that it would hit?
     * Else the target goes on, and it is asked again a little later. NULL: there is. */
    bool (*ripe)(struct fault_scene *scene);

    /* After begin(): has it certainly happened? */
    bool (*hit)(struct fault_scene *scene);

    /* How much it has hit so far, in the row's unit. Asked at the hit and, of a window, until
     * it ends. NULL: the produce requests that were in flight when it began. */
    int64_t (*bitten)(struct fault_scene *scene);

    /* Start it again, or undo it. */
    bool (*end)(struct fault_scene *scene);

    /* After end(): is the target healthy? Asked beside the broker's health. */
    bool (*healed)(struct fault_scene *scene);

    /* The run ends in the midst of it, or it has ended: let go of what is left. */
    void (*release)(struct fault_scene *scene);
};

enum fault_shape { SHAPE_DOWN, SHAPE_WINDOW, SHAPE_MOMENT };

#define ON_POSTGRES (1U << STORE_POSTGRES)
#define ON_SQLITE (1U << STORE_SQLITE)
#define ON_MEMORY (1U << STORE_MEMORY)
#define ON_ANY_STORE (ON_POSTGRES | ON_SQLITE | ON_MEMORY)

struct fault_kind {
    const char *name; /* "kill": as it begins */

    /* As it is written; what is in capitals is filled in: TARGET (of `targets`), MS, ID,
     * STEP, PASS, SECONDS, SEED. */
    const char *form;
    unsigned targets; /* bits, 1 << enum fault_target; one bit where the form has no TARGET */
    enum fault_shape shape;

    bool freezes;        /* its target is stopped first, to see that requests are in flight */
    bool from_start;     /* may be written without its moment */
    unsigned stores;     /* ON_… */
    const char *runtime; /* "process" or "docker": only there; NULL: on both */
    const char *why;     /* … since: "a container's environment cannot be changed" */
    const char *unit;    /* of what bitten() counts: "requests in flight" */
    const struct fault_ops *ops; /* NULL: not built yet */
};

const struct fault_kind *fault_kind(enum fault_action action);

/*
 * Read what stands behind `fault =`.
 * false: `reason` says what is wrong and what would be right.
 */
bool fault_parse(struct slice text, struct scenario_fault *out, char *reason, size_t reason_size);

/* Choose the target that `store` makes of TARGET_STORE; false, with the reason, where the fault
 * cannot be had with that store. */
bool fault_settle(struct scenario_fault *fault, enum scenario_store store, char *reason,
                  size_t reason_size);

/* Append the fault as it is written: "after 60 acks: kill broker, restart after 500 ms"; and
 * without its moment. */
void fault_append(struct buffer *b, const struct scenario_fault *fault);
void fault_append_words(struct buffer *b, const struct scenario_fault *fault);

/* Can it be had on this runtime ("process", "docker")? Otherwise `reason` says why not. */
bool fault_runs_on(const struct scenario_fault *fault, const char *runtime, char *reason,
                   size_t reason_size);

/* Of a crash: has this build its step, and does the broker of this store pass it? In fault_crash.c
 */
bool fault_crash_can_be_had(const struct scenario_fault *fault, enum scenario_store store,
                            char *reason, size_t reason_size);

/* ---- for the table: each is described and found where it is built ------------------------- */

extern const struct fault_ops fault_crash_ops;  /* fault_crash.c */
extern const struct fault_ops fault_client_ops; /* fault_client.c: kill producer, consumer */
/* fault_process.c */
extern const struct fault_ops fault_kill_ops, fault_term_ops, fault_stop_ops, fault_pause_ops,
    fault_disconnect_ops;
/* fault_postgres.c */
extern const struct fault_ops fault_terminate_ops, fault_exhaust_ops, fault_lock_ops,
    fault_hold_ops;
extern const struct fault_ops fault_step_clock_ops; /* fault_clock.c */
extern const struct fault_ops fault_network_ops;    /* fault_network.c: all that the proxy does */
extern const struct fault_ops fault_fill_ops;       /* fault_disk.c */
extern const struct fault_ops fault_power_ops;      /* fault_power.c */
extern const struct fault_ops fault_replace_ops;    /* fault_replace.c */

#endif
