/*
 * fault_postgres.c - what PostgreSQL does to its clients without dying: sessions terminated,
 * all connections taken, a lock held, a transaction held open.
 *
 * The last three are held by a session of ours, whose last statement sleeps. psql is only its
 * parent: the session is found by its application's name, and ended by its server, since a
 * sleeping server process does not notice that its client is gone. While all connections are
 * taken, the superuser's questions use the ones that PostgreSQL keeps for him.
 */
#include "harness/faults/fault_kind.h"

#include "common/buffer.h"
#include "harness/memory.h"
#include "harness/runtime/runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLDER "myqueue-fault"
#define BROKER "myqueue-broker" /* common/pg.c names its sessions so */
#define SLEEP "SELECT pg_sleep(86400)"
#define END_LIMIT_MS 10000

/* Whom it names is settled first: conditions in a WHERE come in no order. */
#define TERMINATE(application)                                                                     \
    "WITH s AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE application_name = "           \
    "'" application "') SELECT count(pg_terminate_backend(pid)) FROM s"

/* What a fault keeps from its begin to its end. */
struct holder {
    struct process psql; /* of the session that holds something */
    int64_t count;       /* of the sessions that were terminated */
    bool counted;
    int64_t before; /* what was counted when it was first counted */
};

static int64_t ask(struct fault_scene *scene, const char *statements)
{
    int64_t number;

    return runtime_ask_postgres(scene->rt, statements, &number) ? number : 0;
}

/* ---- a session that holds something -------------------------------------------------------- */

static bool holder_begin(struct fault_scene *scene, const char *statements)
{
    struct runtime_sql sql = {"postgres", HOLDER, statements, -1};
    struct holder *holder = memory_zeroed(1, sizeof *holder);

    scene->state = holder;
    return scene->rt->ops->psql(scene->rt, &sql, &holder->psql);
}

/* It sleeps: what comes before that is done. */
static bool holder_holds(struct fault_scene *scene)
{
    struct holder *holder = scene->state;

    if (!process_runs(&holder->psql)) {
        control_fail(scene->rt->control, holder->psql.log,
                     "the session that makes the fault '%s' ended by itself",
                     fault_action_name(scene->fault->action));
        return false;
    }
    return ask(scene, "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" HOLDER
                      "' AND wait_event = 'PgSleep'") > 0;
}

static bool holder_end(struct fault_scene *scene)
{
    struct holder *holder = scene->state;

    ask(scene, TERMINATE(HOLDER));
    return !scene->rt->control->failed &&
           process_wait(&holder->psql, scene->rt->control, END_LIMIT_MS);
}

static bool holder_is_gone(struct fault_scene *scene)
{
    return ask(scene,
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" HOLDER "'") == 0;
}

static void holder_release(struct fault_scene *scene)
{
    struct holder *holder = scene->state;

    if (holder != NULL) {
        process_signal(&holder->psql, SIGKILL);
        process_wait(&holder->psql, scene->rt->control, END_LIMIT_MS);
        free(holder);
        scene->state = NULL;
    }
}

/* ---- terminate backends ---------------------------------------------------------------------- */

static bool terminate_begin(struct fault_scene *scene)
{
    struct holder *holder = memory_zeroed(1, sizeof *holder);

    scene->state = holder;
    holder->count = ask(scene, TERMINATE(BROKER));
    return !scene->rt->control->failed;
}

static int64_t terminate_bitten(struct fault_scene *scene)
{
    const struct holder *holder = scene->state;

    return holder->count;
}

const struct fault_ops fault_terminate_ops = {
    .begin = terminate_begin, .bitten = terminate_bitten, .release = holder_release};

/* ---- lock counters ----------------------------------------------------------------------------
 */

/*
 * The rows are locked one after the other, as the broker locks its own, so the two can deadlock.
 * PostgreSQL ends the statement of whichever looks first: the broker's, which has to stand it.
 */
static bool lock_begin(struct fault_scene *scene)
{
    return holder_begin(scene, "SET deadlock_timeout = '1h'; BEGIN; "
                               "SELECT FROM myqueue.partition FOR UPDATE; " SLEEP);
}

static int64_t lock_bitten(struct fault_scene *scene)
{
    return ask(scene,
               "SELECT count(*) FROM pg_stat_activity AS waiting, pg_stat_activity AS holder "
               "WHERE holder.application_name = '" HOLDER
               "' AND holder.pid = ANY (pg_blocking_pids(waiting.pid))");
}

const struct fault_ops fault_lock_ops = {.begin = lock_begin,
                                         .hit = holder_holds,
                                         .bitten = lock_bitten,
                                         .end = holder_end,
                                         .healed = holder_is_gone,
                                         .release = holder_release};

/* ---- hold transaction --------------------------------------------------------------------------
 */

/* Its snapshot is taken by what it reads. */
static bool hold_begin(struct fault_scene *scene)
{
    return holder_begin(scene, "BEGIN ISOLATION LEVEL REPEATABLE READ; "
                               "SELECT count(*) FROM myqueue.partition; " SLEEP);
}

/* Messages since it was open. */
static int64_t hold_count(struct fault_scene *scene)
{
    struct holder *holder = scene->state;
    int64_t now = ask(scene, "SELECT sum(next_offset) FROM myqueue.partition");

    if (!holder->counted) {
        holder->counted = true;
        holder->before = now;
    }
    return now - holder->before;
}

static bool hold_is_open(struct fault_scene *scene)
{
    return holder_holds(scene) && hold_count(scene) >= 0;
}

const struct fault_ops fault_hold_ops = {.begin = hold_begin,
                                         .hit = hold_is_open,
                                         .bitten = hold_count,
                                         .end = holder_end,
                                         .healed = holder_is_gone,
                                         .release = holder_release};

/* ---- exhaust connections ------------------------------------------------------------------------
 */

/* Takes connections until there is none left and the broker has none: a session of the broker's
 * that is just beginning has no name yet, so the last look is repeated. */
#define TAKE_ALL                                                                                   \
    "DO $$ DECLARE taken int := 0; quiet int := 0; BEGIN LOOP BEGIN taken := taken + 1; "          \
    "PERFORM dblink_connect('taken' || taken, format("                                             \
    "'host=%s port=%s dbname=myqueue user=myqueue application_name=" HOLDER "', "                  \
    "current_setting('unix_socket_directories'), current_setting('port'))); "                      \
    "EXCEPTION WHEN OTHERS THEN PERFORM pg_stat_clear_snapshot(); "                                \
    "PERFORM pg_terminate_backend(pid) FROM pg_stat_activity "                                     \
    "WHERE application_name = '" BROKER "'; "                                                      \
    "quiet := CASE WHEN FOUND THEN 0 ELSE quiet + 1 END; EXIT WHEN quiet = 5; "                    \
    "PERFORM pg_sleep(0.01); END; END LOOP; END $$; "

static bool exhaust_begin(struct fault_scene *scene)
{
    return holder_begin(scene, "CREATE EXTENSION IF NOT EXISTS dblink; " TAKE_ALL SLEEP);
}

/* How often PostgreSQL's log says that there is no connection left. */
static int64_t refusals(struct fault_scene *scene)
{
    const struct process *server = &scene->rt->services[TARGET_POSTGRES];

    return process_said(server, "FATAL:  remaining connection slots are reserved") +
           process_said(server, "FATAL:  sorry, too many clients already");
}

/* Without those that the session itself met with. */
static int64_t exhaust_count(struct fault_scene *scene)
{
    struct holder *holder = scene->state;
    int64_t now = refusals(scene);

    if (!holder->counted) {
        holder->counted = true;
        holder->before = now;
    }
    return now - holder->before;
}

static bool exhaust_holds(struct fault_scene *scene)
{
    return holder_holds(scene) && exhaust_count(scene) >= 0;
}

const struct fault_ops fault_exhaust_ops = {.begin = exhaust_begin,
                                            .hit = exhaust_holds,
                                            .bitten = exhaust_count,
                                            .end = holder_end,
                                            .healed = holder_is_gone,
                                            .release = holder_release};
