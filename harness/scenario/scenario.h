/*
 * scenario.h - who produces what to whom, and what is broken on the way.
 *
 * A scenario is a folder: the producers' log files (producer_1.txt, …) and scenario.conf:
 *
 *   title = 5 producers, 3 consumers, 3 topics
 *   logs = ../5p3c                        optional: where the log files are, from the conf
 *   store = sqlite                        optional: where the broker keeps the messages
 *   seed = 17                             optional: what the rest was drawn from, if it was
 *   postgres = fsync=off                  optional: settings of the server, to see what they cost
 *   T1: P1 P2 P3 : C1 C2 C3               topic: who produces : who consumes
 *   T2: P1 P4 P5 : C1
 *   seek = C1 after 200 messages of T1: to 0
 *   fault = after 1500 acks: kill broker, restart after 500 ms
 *   fault = after 2000 acks: kill store, restart after 300 ms
 *   fault = after 900 ms: pause broker for 2000 ms
 *   retention_bytes = 65536               optional: about how much the broker keeps of a topic
 *   recovery_ms = 5000                    optional: so long a client may be refused while no
 *                                         fault lasts; longer is `slow-recovery`, `no-progress`
 *   # a comment; also behind a line
 *
 * A seek has a consumer go on at that offset once it has been given so many messages of the topic,
 * again ones counted again: to read them again, or to pass over some. Several are in order.
 *
 * What faults there are, and what each needs, is the table of fault_kind.h. They happen in
 * order, one at a time; `ms` count from when the producers may send.
 *
 * `kill store` kills the process that holds the messages: PostgreSQL, or, with the other
 * stores, the broker itself. A fault of PostgreSQL is refused where there is none.
 *
 * Without a scenario.conf it is every producer_N.txt of the folder, every topic found
 * in them, each read by C1 … Cn, and no faults.
 *
 * No log file is passed over: one whose producer no topic names is refused, and so is one
 * whose name is nearly right (producer_02.txt), in the folder of `logs` as well.
 *
 * Always, once loaded: ids are positive and ascend, as do the faults' moments;
 * every producer has a readable log file whose lines all go to topics that it is mapped
 * to; every topic has a producer and a consumer; its store is said, and no fault is on
 * a target that it does not have.
 *
 * Threads: a scenario is not changed after it is loaded and may then be read by any.
 */
#ifndef HARNESS_SCENARIO_H
#define HARNESS_SCENARIO_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENARIO_TOPICS_MAX 256
#define SCENARIO_CONSUMERS_DEFAULT 3
#define SCENARIO_CLIENTS_MAX 256 /* producers, and consumers, each */
#define SCENARIO_FAULTS_MAX 1000
#define SCENARIO_RECOVERY_MS_DEFAULT 30000
#define FAULT_STEP_BYTES_MAX 47
#define SCENARIO_ERROR_BYTES_MAX 1024
#define SEED_NONE (-1)

/* Where the broker keeps the messages. */
enum scenario_store {
    STORE_UNSAID,   /* not once a scenario is loaded */
    STORE_POSTGRES, /* a server of its own; what is not said otherwise */
    STORE_SQLITE,   /* a file, within the broker */
    STORE_MEMORY,   /* the broker's; gone with it */
};

/* A row of the table of kinds (fault_kind.c), each. */
enum fault_action {
    FAULT_KILL,
    FAULT_TERM,
    FAULT_STOP,
    FAULT_PAUSE,
    FAULT_REPLACE,
    FAULT_CRASH,
    FAULT_TERMINATE,
    FAULT_EXHAUST,
    FAULT_LOCK,
    FAULT_HOLD,
    FAULT_FILL,
    FAULT_POWER_CUT,
    FAULT_POWER_TEAR,
    FAULT_KILL_PRODUCER,
    FAULT_KILL_CONSUMER,
    FAULT_LOSE_REPLY,
    FAULT_DELAY,
    FAULT_TRICKLE,
    FAULT_CUT,
    FAULT_HALF_OPEN,
    FAULT_RESET,
    FAULT_DISCONNECT,
    FAULT_STEP_CLOCK,
    FAULT_ACTIONS
};

enum fault_target {
    TARGET_BROKER,
    TARGET_POSTGRES,
    TARGET_STORE, /* not once a scenario is loaded: one of the two above */
    TARGET_PRODUCER,
    TARGET_CONSUMER,
    TARGET_CLIENT_LINK, /* "clients": what lies between them and the broker */
    TARGET_STORE_LINK,  /* "store": … between the broker and PostgreSQL */
    FAULT_TARGETS
};

enum fault_when {
    WHEN_ACKS,  /* once so many sends are acknowledged */
    WHEN_MS,    /* so long after the producers may send */
    WHEN_START, /* from the first start on */
};

struct scenario_fault {
    enum fault_when when;
    int64_t after; /* acks, or milliseconds */
    enum fault_action action;
    enum fault_target target;
    int64_t hold_ms; /* from certainly dead to started again; how long a window is open */
    int64_t client;  /* the 1 of P1 or C1 */
    int64_t seconds; /* by which the clock is stepped */
    int64_t seed;    /* of a torn power cut, from 1 */
    int64_t pass;    /* a crash: at which pass of `step`, from 1 */
    char step[FAULT_STEP_BYTES_MAX + 1];
};

/* One message of a log file. */
struct scenario_line {
    struct slice message; /* within the scenario's memory, with a NUL behind it */
    uint32_t number;      /* of the line in the file, from 1 */
    uint32_t topic;       /* index into scenario.topics */
};

struct logfile; /* scenarios/logfile.h */

/* A consumer goes on elsewhere. */
struct scenario_seek {
    size_t topic;  /* index into scenario.topics */
    int64_t after; /* messages of the topic that it was given; ascending for each topic */
    int64_t offset;
};

/* A producer, or a consumer. */
struct scenario_client {
    int64_t id;     /* the 1 of P1 or C1 */
    size_t *topics; /* indices into scenario.topics, ascending */
    size_t topic_count;
    char *path;                  /* producers: its log file; consumers: NULL */
    struct scenario_line *lines; /* producers: what it sends, in the file's order */
    size_t line_count;
    struct logfile *log; /* producers: what the lines' messages point into */
    int64_t expected;    /* producers: lines; consumers: messages of all its topics, as its seeks
                            have it read some again or pass over some */
    struct scenario_seek *seeks; /* consumers */
    size_t seek_count;
};

struct scenario_topic {
    char *name;
    size_t *producers; /* indices into scenario.producers, ascending */
    size_t producer_count;
    size_t *consumers; /* indices into scenario.consumers, ascending */
    size_t consumer_count;
    int64_t expected; /* messages that the producers' files hold for it */
};

struct scenario {
    char *title; /* the folder's name when the conf has none */
    enum scenario_store store;
    int64_t seed;                  /* SEED_NONE: it was not drawn */
    char *logs;                    /* the folder that the log files are in */
    char *postgres;                /* settings, "fsync=off synchronous_commit=off"; NULL: none */
    int64_t postgres_line;         /* of the conf, that says so */
    struct scenario_topic *topics; /* in the conf's order; without one, by name */
    size_t topic_count;
    struct scenario_client *producers;
    size_t producer_count;
    struct scenario_client *consumers;
    size_t consumer_count;
    struct scenario_fault *faults;
    size_t fault_count;
    int64_t retention_bytes; /* the broker keeps about so much of each topic; 0: all */
    int64_t recovery_ms;     /* so long a client may try in vain while no fault lasts */
    int64_t expected;        /* messages that all producers send together */
};

/*
 * Load the scenario of a folder.
 *
 * consumers   how many read every topic; 0: not given. Not with a scenario.conf: it says so
 * store       wins over the conf's; STORE_UNSAID: the conf's, or PostgreSQL
 * error       gets one line, `file:line: what is wrong and what would be right`
 *
 * true gives a scenario that scenario_destroy() frees.
 */
bool scenario_load(const char *dir, int64_t consumers, enum scenario_store store,
                   struct scenario **out, char *error, size_t error_size);

/*
 * Save a scenario as it is run into an existing folder, so that scenario_load() gives the
 * same again: a scenario.conf without `logs`, and copies of the log files.
 */
bool scenario_save(const struct scenario *s, const char *dir, char *error, size_t error_size);

void scenario_destroy(struct scenario *s); /* NULL is fine */

/* How many messages of a topic a consumer of it is to be given. */
int64_t scenario_expected(const struct scenario *s, const struct scenario_client *consumer,
                          size_t topic);

/* As the conf writes it: "sqlite". STORE_UNSAID for another name, or NULL. */
const char *scenario_store_name(enum scenario_store store);
enum scenario_store scenario_store_of(const char *name);

/* "kill"; "broker", "postgres", "clients": as the conf and the history write them. */
const char *fault_action_name(enum fault_action action);
const char *fault_target_name(enum fault_target target);

#endif
