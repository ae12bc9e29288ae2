/*
 * runtime.h - where a run's programs live: in containers, or as processes of this machine.
 *
 * A runtime is a table of functions. Both give the same: a broker, and a PostgreSQL if that
 * is the run's store, that can be started, killed without warning and started again with
 * their data and address kept, and clients that reach the broker. A program that runs is one child
 * process of the harness, which is the program itself or, for a container, the `docker` command
 * that is attached to it and ends with it.
 *
 * Always: everything is marked with the run's id, and stop() finds it by that mark alone,
 * so that it takes down all that a run started, also a run that has died, and nothing else.
 *
 * Threads: one.
 */
#ifndef HARNESS_RUNTIME_H
#define HARNESS_RUNTIME_H

#include "harness/runtime/line.h"
#include "harness/runtime/process.h"
#include "harness/scenario/scenario.h"

#include <limits.h>

#define RUNTIME_TARGETS 2 /* TARGET_BROKER, TARGET_POSTGRES */
#define RUNTIME_ID_BYTES_MAX 64
#define RUNTIME_ADDRESS_BYTES 64
#define VICTIMS_MAX 1024

struct runtime_settings {
    const char *root;              /* the project's folder: tools/, compose/ */
    const char *programs;          /* the folder of myqueue-broker and the others */
    const char *run_dir;           /* absolute */
    char id[RUNTIME_ID_BYTES_MAX]; /* lower-case letters, digits, '-': the mark */
    int port;                      /* of the broker, on 127.0.0.1 */
    enum scenario_store store;     /* said */
    const char *postgres;          /* the server's settings (scenario.h); NULL: none */
};

struct runtime {
    const struct runtime_ops *ops;
    const struct runtime_settings *settings;  /* borrowed */
    struct control *control;                  /* borrowed */
    struct process services[RUNTIME_TARGETS]; /* by enum fault_target: the latest incarnation */
    int incarnations[RUNTIME_TARGETS];
    char broker[RUNTIME_ADDRESS_BYTES];        /* the broker's address for the harness */
    char client_broker[RUNTIME_ADDRESS_BYTES]; /* … for clients */
    char client_run_dir[PATH_MAX];             /* the run folder as clients see it */
    char store_host[PATH_MAX]; /* the process runtime: libpq's host for the broker, as a rule
                                  the folder of PostgreSQL's socket; may be a proxy's */
    struct arguments environment[RUNTIME_TARGETS]; /* see runtime_set_environment() */
    struct line client_line;                       /* see runtime_break_into_clients() */
    struct line store_line;
    char
        folder[128]; /* for what is only needed while it runs; short: a socket's path has a limit */
};

/* What psql does. */
struct runtime_sql {
    const char *user;        /* "myqueue", or "postgres", who may do anything */
    const char *application; /* the session's name in pg_stat_activity */
    const char *statements;
    int output_fd; /* gets the rows; -1: runtime.log */
};

/* Functions that return bool: false says see control_fail(), or the interrupt. */
struct runtime_ops {
    const char *name; /* "docker" */

    /* Everything up to, and without, the first start. May take minutes the first time. */
    bool (*prepare)(struct runtime *rt);

    /* Start a service, first or again. It may not answer yet when this returns. */
    bool (*start)(struct runtime *rt, enum fault_target target);

    /* The service answers: find out what kill() needs to be quick. */
    bool (*started)(struct runtime *rt, enum fault_target target);

    /* Stop all of the service's processes, as SIGSTOP does; let them go on. Where that is
     * not possible nothing happens, and false. Either a thaw or a kill follows a freeze. */
    bool (*freeze)(struct runtime *rt, enum fault_target target);
    void (*thaw)(struct runtime *rt, enum fault_target target);

    /* SIGKILL to all of the service's processes; see dead(). */
    bool (*kill)(struct runtime *rt, enum fault_target target);

    /* After kill(): is the last of its processes certainly gone? */
    bool (*dead)(struct runtime *rt, enum fault_target target);

    /* After freeze(): what is stopped is now `*out`, and no longer the service's; start() starts
     * another one. NULL where that cannot be. */
    void (*set_aside)(struct runtime *rt, enum fault_target target, struct process *out);

    /* Send a signal to the first of the service's processes. */
    bool (*signal)(struct runtime *rt, enum fault_target target, int number);

    /* Take a service off its network, or put it back under its name. NULL: it has none. */
    bool (*network)(struct runtime *rt, enum fault_target target, bool connected);

    /* Start a client program; `arguments` are those behind its name. */
    bool (*client)(struct runtime *rt, struct process *out, const char *name, const char *program,
                   const struct arguments *arguments);

    /* Send a signal to a client, wherever it runs. */
    bool (*signal_client)(struct runtime *rt, struct process *client, const char *name, int number);

    /* With PostgreSQL, which runs: start psql on it, as runtime_psql() describes. */
    bool (*psql)(struct runtime *rt, const struct runtime_sql *sql, struct process *out);

    /* With SQLite, once the broker has ended: where its file, or a copy of it, is. */
    bool (*database)(struct runtime *rt, char path[PATH_MAX]);

    /* End all services, and all containers of the run; may be called again and again. */
    void (*stop)(struct runtime *rt);

    /* Once nothing runs: remove what is left (network, volume, temporary folder). */
    void (*remove)(struct runtime *rt);
};

struct runtime *runtime_docker_create(const struct runtime_settings *settings, struct control *c);
struct runtime *runtime_process_create(const struct runtime_settings *settings, struct control *c);

/* Does a container engine answer? Otherwise `reason` says in one line why not. */
bool runtime_docker_answers(const struct runtime_settings *settings, struct control *c,
                            char *reason, size_t reason_size);

void runtime_destroy(struct runtime *rt); /* NULL is fine */

/* Is there such a service in this run? */
bool runtime_has(const struct runtime *rt, enum fault_target target);

/* Ask the broker to end, if it runs. It does so, and well: a sanitizer speaks last of all. */
bool runtime_end_broker(struct runtime *rt);

/* Run statements of PostgreSQL's superuser, the first of which gives one number. */
bool runtime_ask_postgres(struct runtime *rt, const char *statements, int64_t *number);

/* Run statements of the broker's own user; the rows go to `output_fd`. */
bool runtime_query(struct runtime *rt, const char *statements, int output_fd);

/* Start a service with NAME=value from its next start on; value NULL: no longer. The process
 * runtime only: a container's environment cannot be changed. */
void runtime_set_environment(struct runtime *rt, enum fault_target target, const char *name,
                             const char *value);

/* The folder that the store keeps its files in. The process runtime only; there is none with the
 * store memory. */
const char *runtime_data(const struct runtime *rt, char path[PATH_MAX]);

/* Before any service is started: put a proxy between the clients and the broker, or between the
 * broker and PostgreSQL, once. The process runtime only. false: see control_fail(). */
bool runtime_break_into_clients(struct runtime *rt);
bool runtime_break_into_store(struct runtime *rt);

/* From its next start on the broker has another address than the one that it has now. The process
 * runtime only. */
void runtime_move_broker(struct runtime *rt);

/* … with a library preloaded, once however often it is said. */
void runtime_preload(struct runtime *rt, enum fault_target target, const char *library);

/* ---- for the runtimes --------------------------------------------------------------- */

#define RUNTIME_DATABASE "myqueue.db" /* the name of SQLite's file */

/* Make a runtime, which is the first member of the `size` bytes; NULL: see control_fail(). */
struct runtime *runtime_create(size_t size, const struct runtime_ops *ops,
                               const struct runtime_settings *settings, struct control *c);

/* Make its folder. */
bool runtime_make_folder(struct runtime *rt);

/* The processes of one service, as they are stopped and killed. */
struct victims {
    pid_t pids[VICTIMS_MAX]; /* the first process and then its descendants */
    size_t count;            /* 0: none are frozen or being killed */
};

/* Stop `pid`, so that it makes no more processes, then all that it has made. */
void victims_freeze(struct victims *v, pid_t pid);

/* Send a signal to all. */
void victims_signal(const struct victims *v, int number);

/* The log of a service's incarnation that is about to start: RUN/logs/broker-2.log. */
const char *runtime_next_log(struct runtime *rt, enum fault_target target, char path[PATH_MAX]);

/* Start psql, on the store whose socket is in `folder`. `a` is what comes before `psql` on the
 * command line (how to get to where the store is), and is released. */
bool runtime_psql(struct runtime *rt, struct arguments *a, const char *folder,
                  const struct runtime_sql *sql, struct process *out);

/* The log of the commands that the runtime uses: RUN/logs/runtime.log. */
const char *runtime_log(const struct runtime *rt, char path[PATH_MAX]);

#endif
