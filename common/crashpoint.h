/*
 * crashpoint.h - named places in a program at which it can be made to die.
 *
 * A crash point is a line, CRASH_POINT(COMMIT_SENT), that is nothing at all in the product. In a
 * build for tests (make BUILD=build/crash CRASH_POINTS=1) the program can be armed with one step:
 * when a thread passes it for the HIT-th time, the process sends itself SIGKILL. So what a crash
 * between two statements leaves behind can be seen, for each pair of statements.
 *
 * Always: the steps are the rows of one table, here; a name that is not in it does not compile.
 *
 * Threads: crashpoint_arm() before the first thread; any may pass a point.
 */
#ifndef COMMON_CRASHPOINT_H
#define COMMON_CRASHPOINT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * X(step, name, stores, when, words)
 *
 * stores  the broker's stores that pass it
 * when    what a run has to do to get there: "start" (no more than start), "load" (messages are
 *         produced and consumed), "bulk" (thousands of messages in one commit), "retention"
 *         (the log is limited, and grows beyond its limit)
 * words   what has happened by then, and what not
 */
#define CRASH_STEPS(X)                                                                             \
    X(START_BOUND, "start.bound", "postgres sqlite", "start", "address bound, store not opened")   \
    X(START_CONNECTED, "start.connected", "postgres sqlite", "start",                              \
      "store reached, nothing asked of it")                                                        \
    X(START_JOURNAL, "start.journal", "sqlite", "start", "write-ahead log in use, no tables yet")  \
    X(START_BEGUN, "start.begun", "postgres sqlite", "start", "the start's transaction is open")   \
    X(START_SCHEMA, "start.schema", "postgres sqlite", "start", "tables made, not committed")      \
    X(START_OWNED, "start.owned", "postgres sqlite", "start", "ownership taken, not committed")    \
    X(START_LOADED, "start.loaded", "postgres sqlite", "start", "rows read, not committed")        \
    X(START_COMMITTED, "start.committed", "postgres sqlite", "start",                              \
      "ownership committed, no thread started")                                                    \
    X(START_THREADS, "start.threads", "postgres sqlite", "start", "threads run, nobody is served") \
    X(START_SERVING, "start.serving", "postgres sqlite", "start", "requests are let in")           \
    X(APPEND_READ, "append.read", "postgres sqlite", "load", "a produce is read, nothing kept")    \
    X(WRITE_QUEUED, "write.queued", "postgres sqlite", "load", "writes wait for the committer")    \
    X(BATCH_TAKEN, "batch.taken", "postgres sqlite", "load", "the committer has taken the writes") \
    X(BATCH_PREPARED, "batch.prepared", "postgres sqlite", "load",                                 \
      "offsets are given, the store knows nothing of them")                                        \
    X(REGISTER_IDS, "register.ids", "postgres sqlite", "load", "ids are drawn, nobody has them")   \
    X(COMMIT_BEGUN, "commit.begun", "postgres sqlite", "load",                                     \
      "nothing of the batch is in the store")                                                      \
    X(COMMIT_CLIENTS, "commit.clients", "sqlite", "load",                                          \
      "one client is in the transaction, the next not")                                            \
    X(COMMIT_COUNTERS, "commit.counters", "sqlite", "load",                                        \
      "one counter is advanced, no message there")                                                 \
    X(COMMIT_MESSAGES, "commit.messages", "sqlite", "load", "one message is there, the next not")  \
    X(COMMIT_SEQUENCES, "commit.sequences", "sqlite", "load",                                      \
      "one sequence is there, positions not")                                                      \
    X(COMMIT_ROWS, "commit.rows", "sqlite", "load", "all rows are there, COMMIT is not begun")     \
    X(COMMIT_HALF_SENT, "commit.half-sent", "postgres", "load",                                    \
      "the server has the first statements, and no end of the transaction")                        \
    X(COMMIT_SENT, "commit.sent", "postgres", "load", "all is sent, no answer is read")            \
    X(COPY_BEGUN, "copy.begun", "postgres", "bulk", "counters advanced, no message is copied")     \
    X(COPY_HALF_SENT, "copy.half-sent", "postgres", "bulk", "some of the messages are copied")     \
    X(COPY_SENT, "copy.sent", "postgres", "bulk", "all copied, COMMIT's answer is not read")       \
    X(COMMIT_DONE, "commit.done", "postgres sqlite", "load", "committed, memory knows nothing")    \
    X(REGISTER_SHOWN, "register.shown", "postgres sqlite", "load",                                 \
      "a registration is committed and in memory, and not answered")                               \
    X(APPEND_SHOWN, "append.shown", "postgres sqlite", "load",                                     \
      "the first of a batch's appends is in memory, others are not")                               \
    X(BATCH_SHOWN, "batch.shown", "postgres sqlite", "load", "all in memory, nobody is answered")  \
    X(BATCH_ANSWERED, "batch.answered", "postgres sqlite", "load",                                 \
      "the answers are made, none has left")                                                       \
    X(REPLY_SENT, "reply.sent", "postgres sqlite", "load", "one answer has left, the next not")    \
    X(POSITION_ASKED, "position.asked", "postgres sqlite", "load",                                 \
      "a consumer has moved on, the store does not know")                                          \
    X(POSITION_SHOWN, "position.shown", "postgres sqlite", "load",                                 \
      "a position is committed and in memory, its consumer not answered")                          \
    X(POSITION_SAVED, "position.saved", "postgres sqlite", "load",                                 \
      "the consumer's request goes on, no message is read for it")                                 \
    X(SEGMENT_CREATED, "segment.created", "postgres sqlite", "retention",                          \
      "a segment is made, and in no use")                                                          \
    X(ROLL_PREPARED, "roll.prepared", "postgres sqlite", "retention", "a roll is in the batch")    \
    X(ROLL_SHOWN, "roll.shown", "postgres sqlite", "retention",                                    \
      "a roll is committed and in memory")                                                         \
    X(TRIM_PREPARED, "trim.prepared", "postgres sqlite", "retention", "a trim is in the batch")    \
    X(TRIM_SHOWN, "trim.shown", "postgres sqlite", "retention",                                    \
      "a trim is committed and in memory, the old messages lie in the store")                      \
    X(SWEEP_BEGUN, "sweep.begun", "sqlite", "retention", "messages removed, not committed")        \
    X(SWEEP_DONE, "sweep.done", "postgres sqlite", "retention", "old messages are off the disk")

enum crash_step {
#define CRASH_STEP_ITEM_(step, name, stores, when, words) CRASH_##step,
    CRASH_STEPS(CRASH_STEP_ITEM_)
#undef CRASH_STEP_ITEM_
        CRASH_STEP_COUNT
};

struct crash_step_row {
    const char *name; /* "commit.sent" */
    const char *stores;
    const char *when;
    const char *words;
};

extern const struct crash_step_row crash_steps[CRASH_STEP_COUNT];

/* The step of this name; CRASH_STEP_COUNT: there is none. */
enum crash_step crashpoint_find(const char *name, size_t length);

/* Were this build's programs made with CRASH_POINTS=1? */
bool crashpoints_built(void);

#ifdef CRASH_POINTS

#define CRASH_ERROR_BYTES_MAX 8192

/*
 * Arm this process by the words "STEP:HIT", HIT from 1. NULL or "": it is not armed. false: `error`
 * (CRASH_ERROR_BYTES_MAX) says in some lines what is wrong, and which steps there are.
 */
bool crashpoint_arm(const char *words, char *error, size_t size);

/* Print the table, a line for each step: name, stores, when, words, with tabs between them. */
void crashpoints_print(void);

/* A thread passes the step; it may not return. */
void crashpoint_pass(enum crash_step step);

#define CRASH_POINT(step) crashpoint_pass(CRASH_##step)

#else

#define CRASH_POINT(step) ((void)CRASH_##step)

#endif

#endif
