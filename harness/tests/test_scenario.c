/*
 * test_scenario.c - what a scenario.conf may say, and how it is told that it is wrong.
 */
#include "common/tests/suite.h"
#include "harness/faults/fault_kind.h"
#include "harness/scenario/scenario.h"
#include "harness/tests/goodrun.h"

struct temp {
    char dir[128];
    char error[SCENARIO_ERROR_BYTES_MAX];
};

static void temp_make(struct temp *t)
{
    dir_make(t->dir, sizeof t->dir);
}

static void temp_write(const struct temp *t, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

#define LOG_1 "21:52:23\tINFO\t\tP1-1\t\tT1\n21:52:23\tDEBUG\t\tP1-1\t\tT2\n"
#define LOG_2 "21:52:24\tERROR of two words\t\tP2-1\t\tT1\n"

static struct temp temp_with(const char *conf)
{
    struct temp t;
    temp_make(&t);
    temp_write(&t, "producer_1.txt", LOG_1);
    temp_write(&t, "producer_2.txt", LOG_2);
    if (conf != NULL) {
        temp_write(&t, "scenario.conf", conf);
    }
    return t;
}

static void test_whole(void)
{
    struct temp t = temp_with("# a comment\n"
                              "title = two # and this is one too\r\n"
                              "\n"
                              "T2: P1:C2\n"
                              "T1: P2 P1 : C2 C1\n"
                              "fault = after 1 acks: kill broker, restart after 500 ms\n"
                              "fault = after 2 acks: kill postgres, restart after 0 ms");
    struct scenario *s = NULL;

    CU_ASSERT_FATAL(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_STRING_EQUAL(s->title, "two");
    CU_ASSERT_EQUAL(s->expected, 3);
    CU_ASSERT_EQUAL(s->topic_count, 2);
    CU_ASSERT_STRING_EQUAL(s->topics[0].name, "T2");
    CU_ASSERT_EQUAL(s->topics[1].expected, 2);
    CU_ASSERT_EQUAL(s->topics[1].producer_count, 2);
    CU_ASSERT_EQUAL(s->producers[s->topics[1].producers[0]].id, 1);
    CU_ASSERT_EQUAL(s->consumer_count, 2);
    CU_ASSERT_EQUAL(s->consumers[0].id, 1);
    CU_ASSERT_EQUAL(s->consumers[0].expected, 2);
    CU_ASSERT_EQUAL(s->consumers[1].expected, 3);
    CU_ASSERT_EQUAL(s->producers[0].line_count, 2);
    CU_ASSERT_EQUAL(s->producers[0].lines[1].number, 2);
    CU_ASSERT(slice_equals(s->producers[1].lines[0].message, slice_of("ERROR of two words")));
    CU_ASSERT_EQUAL(s->fault_count, 2);
    CU_ASSERT_EQUAL(s->faults[0].hold_ms, 500);
    CU_ASSERT_EQUAL(s->faults[1].target, TARGET_POSTGRES);
    scenario_destroy(s);
    dir_remove(t.dir);
}

/* Saved as it is run, it is the same again, wherever its logs came from. */
static void test_save(void)
{
    struct temp logs = temp_with(NULL);
    struct temp t;
    struct temp saved;
    char conf[512];
    struct scenario *s = NULL;
    struct scenario *again = NULL;

    temp_make(&t);
    temp_make(&saved);
    snprintf(conf, sizeof conf,
             "logs = ..%s\nseed = 17\nT1: P1 P2 : C1\nT2: P1 : C7\n"
             "postgres = fsync=off full_page_writes=off\n"
             "seek = C1 after 2 messages of T1: to 0\n"
             "seek = C1 after 3 messages of T1: to 2\n"
             "fault = after 1 acks: kill postgres, restart after 20 ms\n"
             "fault = after 2 acks: power-cut store torn by 77, restart after 20 ms\n",
             strrchr(logs.dir, '/'));
    temp_write(&t, "scenario.conf", conf);
    CU_ASSERT_FATAL(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_FATAL(scenario_save(s, saved.dir, t.error, sizeof t.error));
    CU_ASSERT_FATAL(scenario_load(saved.dir, 0, STORE_UNSAID, &again, t.error, sizeof t.error));
    CU_ASSERT_STRING_EQUAL(again->title, s->title);
    CU_ASSERT_EQUAL(s->seed, 17);
    CU_ASSERT_EQUAL(again->seed, 17);
    CU_ASSERT_EQUAL(again->expected, 3);
    CU_ASSERT_EQUAL(again->consumers[1].id, 7);
    CU_ASSERT_STRING_EQUAL(again->postgres, "fsync=off full_page_writes=off");
    CU_ASSERT_EQUAL_FATAL(again->consumers[0].seek_count, 2);
    CU_ASSERT_EQUAL(again->consumers[0].seeks[1].after, 3);
    CU_ASSERT_EQUAL(again->consumers[0].seeks[1].offset, 2);
    CU_ASSERT_EQUAL(again->consumers[0].expected, 3); /* 0 1, 0 */
    CU_ASSERT_EQUAL(scenario_expected(s, &s->consumers[0], 0), 3);
    CU_ASSERT_EQUAL(again->consumers[1].seek_count, 0);
    CU_ASSERT_EQUAL_FATAL(again->fault_count, 2);
    CU_ASSERT_EQUAL(again->faults[0].hold_ms, 20);
    CU_ASSERT_EQUAL(again->faults[1].action, FAULT_POWER_TEAR);
    CU_ASSERT_EQUAL(again->faults[1].seed, 77);
    scenario_destroy(s);
    scenario_destroy(again);
    dir_remove(logs.dir);
    dir_remove(t.dir);
    dir_remove(saved.dir);
}

#define TOPICS "T1: P1 P2 : C1\nT2: P1 : C1\n"

/* The store: asked for, else the conf's, else PostgreSQL; a kill of it finds who holds it. */
static void test_stores(void)
{
    static const char fault[] = TOPICS "fault = after 1 acks: kill store, restart after 20 ms\n";
    static const char sqlite[] =
        TOPICS "fault = after 1 acks: kill store, restart after 20 ms\nstore = sqlite\n";
    static const struct {
        const char *conf; /* NULL: none */
        enum scenario_store asked;
        enum scenario_store store;
        enum fault_target target;
    } cases[] = {
        {fault, STORE_UNSAID, STORE_POSTGRES, TARGET_POSTGRES},
        {fault, STORE_MEMORY, STORE_MEMORY, TARGET_BROKER},
        {sqlite, STORE_UNSAID, STORE_SQLITE, TARGET_BROKER},
        {sqlite, STORE_POSTGRES, STORE_POSTGRES, TARGET_POSTGRES},
        {NULL, STORE_UNSAID, STORE_POSTGRES, TARGET_BROKER},
        {NULL, STORE_SQLITE, STORE_SQLITE, TARGET_BROKER},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct temp t = temp_with(cases[i].conf);
        struct temp saved;
        struct scenario *s = NULL;
        struct scenario *again = NULL;
        temp_make(&saved);
        CU_ASSERT_FATAL(scenario_load(t.dir, 0, cases[i].asked, &s, t.error, sizeof t.error));
        CU_ASSERT_FATAL(scenario_save(s, saved.dir, t.error, sizeof t.error));
        CU_ASSERT_FATAL(scenario_load(saved.dir, 0, STORE_UNSAID, &again, t.error, sizeof t.error));
        CU_ASSERT_EQUAL(s->store, cases[i].store);
        CU_ASSERT_EQUAL(again->store, cases[i].store);
        CU_ASSERT_EQUAL(s->fault_count, cases[i].conf != NULL);
        for (size_t k = 0; k < s->fault_count; k++) {
            CU_ASSERT_EQUAL(s->faults[k].target, cases[i].target);
            CU_ASSERT_EQUAL(again->faults[k].target, cases[i].target);
        }
        scenario_destroy(s);
        scenario_destroy(again);
        dir_remove(t.dir);
        dir_remove(saved.dir);
    }
}

static void test_no_conf(void)
{
    struct temp t = temp_with(NULL);
    struct scenario *s = NULL;

    temp_write(&t, "producer_x.txt", "not one of ours\n");
    CU_ASSERT_FATAL(scenario_load(t.dir, 2, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_EQUAL(s->topic_count, 2);
    CU_ASSERT_STRING_EQUAL(s->topics[0].name, "T1");
    CU_ASSERT_EQUAL(s->topics[0].producer_count, 2);
    CU_ASSERT_EQUAL(s->topics[1].producer_count, 1);
    CU_ASSERT_EQUAL(s->consumer_count, 2);
    CU_ASSERT_EQUAL(s->consumers[1].expected, 3);
    CU_ASSERT_EQUAL(s->fault_count, 0);
    CU_ASSERT_EQUAL(s->seed, SEED_NONE);
    CU_ASSERT_STRING_EQUAL(s->title, strrchr(t.dir, '/') + 1);
    scenario_destroy(s);
    dir_remove(t.dir);
}

static void test_nothing_there(void)
{
    struct temp t;
    struct scenario *s = NULL;

    temp_make(&t);
    CU_ASSERT_FALSE(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.error, "neither a scenario.conf nor a log file"));
    dir_remove(t.dir);
    CU_ASSERT_FALSE(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.error, "cannot be read"));
}

/* Each conf is refused with its line and these words. */
static void test_refused(void)
{
#define SEEK(text) TOPICS "seek = " text "\n", ":3: "
#define FAULT(text) TOPICS "fault = " text "\n", ":3: "
    static const struct {
        const char *conf;
        const char *line;
        const char *words;
    } cases[] = {
        {"", ":1: ", "without a topic"},
        {"nonsense\n", ":1: ", "neither a setting"},
        {"tittle = x\n", ":1: ", "no setting is called 'tittle'"},
        {"title = a\ntitle = b\n", ":2: ", "already in line 1"},
        {"title =\n", ":1: ", "has no value"},
        {"seed = -1\n", ":1: ", "'-1' is no seed"},
        {"seed = 1\nseed = 1\n", ":2: ", "already in line 1"},
        {"T1: P0 : C1\n", ":1: ", "'P0' is not a producer"},
        {"T1: P1x : C1\n", ":1: ", "'P1x' is not a producer"},
        {"T1: P01 : C1\n", ":1: ", "'P01' is not a producer"},
        {"T1: C1 : C1\n", ":1: ", "'C1' is not a producer"},
        {"T1: P1 : P1\n", ":1: ", "'P1' is not a consumer"},
        {"T1: P1 P1 : C1\n", ":1: ", "P1 is named twice"},
        {"T1: : C1\n", ":1: ", "no producer"},
        {"T1: P1 :\n", ":1: ", "no consumer"},
        {": P1 : C1\n", ":1: ", "no topic before the colon"},
        {TOPICS "T1: P1 : C2\n", ":3: ", "topic 'T1' again; it is already in line 1"},
        {TOPICS "T3: P1 P3 : C2\n", ":3: ", "P3 has no log file"},
        {"T1: P1 P2 : C1\n", "producer_1.txt:2: ", "P1 does not produce to topic 'T2'"},
        {FAULT("after 1 acks: kill"), "its end should be one of those; write"},
        {FAULT("after 1 ack: kill broker, restart after 1 ms"),
         "'ack:' should be 'acks:' or 'ms:'"},
        {FAULT("after -1 acks: kill broker, restart after 1 ms"),
         "'-1' should be a number, at most"},
        {FAULT("after 1 acks: kill brocker, restart after 1 ms"),
         "'brocker' should be one of those"},
        {FAULT("after 1 acks: kill broker restart after 1 ms"),
         "'broker' should be followed by a comma"},
        {FAULT("after 1 acks: kill broker, restart in 1 ms"), "'in' should be 'after'; write"},
        {FAULT("after 1 acks: kill producer P1, restart after 1 ms"),
         "'P1' should be 1 to 1000000000"},
        {FAULT("after 1 acks: lock counters for 1 s"), "'s' should be 'ms'; write"},
        {FAULT("after 1 acks: lock counters for 1 ms now"), "'now' is too much; write"},
        {FAULT("kill broker, restart after 1 ms"), "'kill' should be behind the moment when"},
        {FAULT("after 1 acks: kill"),
         "write 'after N acks|ms: kill broker|postgres|store, restart after N ms'"},
        {FAULT("after 1 acks: smash broker"),
         "is not a fault: write 'after N acks|ms: FAULT'; there are kill, term, stop, pause,"},
        {FAULT("after 1 acks: pause broker"),
         "write 'after N acks|ms: pause broker|postgres|store for N ms'"},
        {FAULT("pause broker for 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: step clock by 0 s for 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: step clock by --1 s for 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: kill producer 0, restart after 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: kill producer 9, restart after 1 ms"), "there is no producer 9"},
        {FAULT("after 1 acks: kill consumer 9, restart after 1 ms"), "there is no consumer 9"},
        {FAULT("after 1 acks: crash broker at A hit 1, restart after 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: crash broker at a hit 0, restart after 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: terminate backends for 1 ms"), "is not a fault"},
        {TOPICS "fault = after 2 ms: terminate backends\n"
                "fault = after 2 ms: terminate backends\n",
         ":4: ", "in order: this one is after 2 ms"},
        {TOPICS "fault = after 1 acks: terminate backends\n"
                "fault = crash broker at a hit 1, restart after 1 ms\n",
         ":4: ", "armed from the start: write it first"},
        {TOPICS "fault = after 1 acks: lock counters for 1 ms\nstore = sqlite\n",
         ":3: ", "'lock' needs the store postgres, and it is sqlite: run it with postgres"},
        {TOPICS "fault = after 1 acks: fill disk for 1 ms\nstore = memory\n",
         ":3: ", "'fill' needs the store postgres or sqlite, and it is memory"},
        {TOPICS "fault = after 1 acks: delay store for 1 ms\nstore = sqlite\n",
         ":3: ", "'delay' needs the store postgres, and it is sqlite"},
        {SEEK("C1 after 1 message of T1: to 0"), "write 'C1 after 200 messages of T1: to 0'"},
        {SEEK("C after 1 messages of T1: to 0"), "is no seek"},
        {SEEK("1 after 1 messages of T1: to 0"), "is no seek"},
        {SEEK("C1 after -1 messages of T1: to 0"), "is no seek"},
        {SEEK("C1 after 1 messages of T1: to 0x"), "is no seek"},
        {SEEK("C1 after 1 messages of T1: to 0 or so"), "is no seek"},
        {SEEK("C1 after 1 messages of T1 to 0"), "is no seek"},
        {SEEK("C1 after 1 messages of : to 0"), "is no seek"},
        {SEEK("C1 after 1 messages of T3: to 0"), "C1 does not read a topic 'T3'"},
        {SEEK("C2 after 1 messages of T1: to 0"), "C2 does not read a topic 'T1'"},
        {SEEK("C1 after 3 messages of T1: to 0"), "is given 2 messages of 'T1'"},
        {SEEK("C1 after 1 messages of T1: to 3"), "its log has 2"},
        {TOPICS "seek = C1 after 1 messages of T1: to 0\n"
                "seek = C1 after 1 messages of T1: to 1\n",
         ":4: ", "the seek before it is after 1 messages"},
        {TOPICS "seek = C1 after 1 messages of T1: to 0\nretention_bytes = 9\n",
         ":3: ", "with retention_bytes"},
        {TOPICS "recovery_ms = 0\n", ":3: ", "'0' is no time: write milliseconds, 1 to"},
        {FAULT("after 1 acks: kill mysql, restart after 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: kill store restart after 1 ms"), "is not a fault"},
        {FAULT("after x acks: kill broker, restart after 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: kill broker, restart after 1 s"), "is not a fault"},
        {FAULT("after 1 acks: kill broker, restart after 1 ms or so"), "is not a fault"},
        {FAULT("after 1 acks: kill broker, restart after 999999 ms"),
         "'999999' should be 0 to 600000; write 'after N"},
        {FAULT("after 0 acks: kill broker, restart after 1 ms"), "would hit nothing"},
        {FAULT("after 3 acks: kill broker, restart after 1 ms"), "hold 3 messages"},
        {TOPICS "fault = after 2 acks: kill broker, restart after 1 ms\n"
                "fault = after 1 acks: kill broker, restart after 1 ms\n",
         ":4: ", "in order"},
        {"logs = nowhere\n" TOPICS, ":2: ", "P1 has no log file"},
        {"store = mysql\n" TOPICS, ":1: ", "'mysql' is no store: postgres, sqlite and memory are"},
        {"store = memory\nstore = sqlite\n" TOPICS, ":2: ", "already in line 1"},
        {TOPICS "fault = after 1 acks: kill postgres, restart after 1 ms\nstore = sqlite\n",
         ":3: ", "'kill' needs the store postgres, and it is sqlite: write 'kill store'"},
        {FAULT("after 1 acks: power-cut store torn by 0, restart after 1 ms"), "is not a fault"},
        {FAULT("after 1 acks: power-cut broker, restart after 1 ms"), "is not a fault"},
        {TOPICS "fault = after 1 acks: power-cut store, restart after 1 ms\nstore = memory\n",
         ":3: ", "'power-cut' needs the store postgres or sqlite, and it is memory"},
        {"postgres = fsync\n" TOPICS, ":1: ", "'fsync' is no setting of PostgreSQL"},
        {"postgres = fsync=off -x=1\n" TOPICS, ":1: ", "'-x=1' is no setting of PostgreSQL"},
        {"postgres =\n" TOPICS, ":1: ", "has no value"},
        {"postgres = port=1\n" TOPICS, ":1: ", "'port' is set by the run itself"},
        {"postgres = fsync=off a=1 fsync=on\n" TOPICS, ":1: ", "'fsync' is set twice"},
        {TOPICS "retention_bytes = 64k\n", ":3: ", "write bytes, 1 to 1125899906842624"},
        {"postgres = fsync=off\nstore = sqlite\n" TOPICS,
         ":1: ", "for the store postgres, and it is sqlite"},
        {"title = \xff\n" TOPICS, ":1: ", "not UTF-8"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct temp t = temp_with(cases[i].conf);
        struct scenario *s = NULL;
        bool loaded = scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error);
        bool right = !loaded && strstr(t.error, cases[i].line) != NULL &&
                     strstr(t.error, cases[i].words) != NULL && strchr(t.error, '\n') == NULL;
        if (!right) {
            printf("\n    %s    gave: %s\n", cases[i].conf, loaded ? "(loaded)" : t.error);
        }
        CU_ASSERT(right);
        scenario_destroy(s);
        dir_remove(t.dir);
    }
}

/* A log file that nobody would read is refused, whichever it is, and wherever `logs` are. */
static void test_unread(void)
{
    static const struct {
        const char *conf;  /* NULL: none */
        const char *extra; /* a file beside producer_1.txt and producer_2.txt; NULL: none */
        const char *words; /* NULL: loaded */
    } cases[] = {
        {"T1: P1 : C1\nT2: P1 : C1\n", NULL, "/producer_2.txt is not used: no topic of "},
        {TOPICS, "producer_10.txt", "names P10; map it or move it away"},
        {TOPICS, "producer_02.txt", "/producer_02.txt: not named producer_N.txt (N from 1"},
        {NULL, "producer_02.txt", "/producer_02.txt: not named producer_N.txt (N from 1"},
        {NULL, "Producer_3.txt", "/Producer_3.txt: not named"},
        {NULL, "producer_4.log", "/producer_4.log: not named"},
        {NULL, "producer_0.txt", "/producer_0.txt: not named"},
        {NULL, "producer5.txt", "/producer5.txt: not named"},
        {NULL, "producer-6", "/producer-6: not named"},
        {NULL, "producer_99999999999.txt", "/producer_99999999999.txt: not named"},
        {NULL, "producer_1.txt~", NULL},
        {NULL, "producers.md", NULL},
        {NULL, "consumer_1.txt", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct temp t = temp_with(cases[i].conf);
        struct scenario *s = NULL;
        if (cases[i].extra != NULL) {
            temp_write(&t, cases[i].extra, LOG_2);
        }
        bool loaded = scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error);
        bool right = loaded ? cases[i].words == NULL
                            : cases[i].words != NULL && strstr(t.error, cases[i].words) != NULL;
        if (!right) {
            printf("\n    case %zu gave: %s\n", i, loaded ? "(loaded)" : t.error);
        }
        CU_ASSERT(right);
        scenario_destroy(s);
        dir_remove(t.dir);
    }
}

static void test_unread_elsewhere(void)
{
    struct temp logs = temp_with(NULL);
    struct temp t;
    char conf[512];
    struct scenario *s = NULL;

    temp_make(&t);
    snprintf(conf, sizeof conf, "logs = %s\nT1: P1 : C1\nT2: P1 : C1\n", logs.dir);
    temp_write(&t, "scenario.conf", conf);
    CU_ASSERT_FALSE(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.error, logs.dir));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.error, "/producer_2.txt is not used"));
    dir_remove(logs.dir);
    dir_remove(t.dir);
}

/* How many consumers: asked for or three; a conf that says it suffers no second word. */
static void test_consumers(void)
{
    struct temp t = temp_with(NULL);
    struct scenario *s = NULL;

    CU_ASSERT_FATAL(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_EQUAL(s->consumer_count, 3);
    scenario_destroy(s);
    temp_write(&t, "scenario.conf", TOPICS);
    CU_ASSERT_FALSE(scenario_load(t.dir, 5, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.error, "scenario.conf says how many consumers there are"));
    dir_remove(t.dir);
}

static void test_bad_log(void)
{
    struct temp t = temp_with(NULL);
    struct scenario *s = NULL;

    temp_write(&t, "producer_2.txt", LOG_2 "half a line\n");
    CU_ASSERT_FALSE(scenario_load(t.dir, 0, STORE_UNSAID, &s, t.error, sizeof t.error));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.error, "producer_2.txt:2: "));
    dir_remove(t.dir);
}

/* Every form of the grammar is read, and written again as it was. */
static void test_grammar(void)
{
    static const char *const lines[] = {
        "crash broker at commit.sent hit 3, restart after 10 ms",
        "after 1 acks: kill broker, restart after 500 ms",
        "after 7 ms: kill postgres, restart after 500 ms",
        "after 7 ms: term broker, restart after 1 ms",
        "after 7 ms: stop postgres, restart after 1 ms",
        "after 7 ms: pause broker for 600000 ms",
        "after 7 ms: replace broker for 1 ms",
        "after 0 ms: terminate backends",
        "after 7 ms: exhaust connections for 1 ms",
        "after 7 ms: lock counters for 1 ms",
        "after 7 ms: hold transaction for 1 ms",
        "after 7 ms: fill disk for 1 ms",
        "after 7 ms: power-cut store, restart after 1 ms",
        "after 7 ms: kill producer 2, restart after 1 ms",
        "after 7 ms: kill consumer 1, restart after 1 ms",
        "after 7 ms: lose-reply clients for 1 ms",
        "after 7 ms: delay store for 1 ms",
        "after 7 ms: trickle clients for 1 ms",
        "after 7 ms: cut store for 1 ms",
        "after 7 ms: half-open clients for 1 ms",
        "after 7 ms: reset store for 1 ms",
        "after 7 ms: disconnect broker for 1 ms",
        "after 7 ms: step clock by -3600 s for 1 ms",
        "after 7 ms: step clock by 60 s for 1 ms",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct scenario_fault fault;
        struct buffer again = BUFFER_INIT;
        char reason[SCENARIO_ERROR_BYTES_MAX] = "";
        CU_ASSERT_TRUE_FATAL(fault_parse(slice_of(lines[i]), &fault, reason, sizeof reason));
        CU_ASSERT_TRUE_FATAL(fault_settle(&fault, STORE_POSTGRES, reason, sizeof reason));
        fault_append(&again, &fault);
        CU_ASSERT_STRING_EQUAL(again.data, lines[i]);
        buffer_release(&again);
    }
}

static void test_runtimes(void)
{
    struct scenario_fault fault = {.action = FAULT_DISCONNECT};
    char reason[256];

    CU_ASSERT_TRUE(fault_runs_on(&fault, "docker", reason, sizeof reason));
    CU_ASSERT_FALSE(fault_runs_on(&fault, "process", reason, sizeof reason));
    CU_ASSERT_STRING_EQUAL(reason, "disconnect broker for 0 ms: only with RUNTIME=docker, since "
                                   "local processes have no network of their own");
    fault.action = FAULT_STEP_CLOCK;
    CU_ASSERT_FALSE(fault_runs_on(&fault, "docker", reason, sizeof reason));
    CU_ASSERT_TRUE(fault_runs_on(&fault, "process", reason, sizeof reason));
}

SUITE("scenario", {"every form of a fault", test_grammar}, {"what a runtime has", test_runtimes},
      {"a whole conf", test_whole}, {"saved and loaded again", test_save},
      {"which store", test_stores}, {"a folder without a conf", test_no_conf},
      {"nothing is there", test_nothing_there}, {"wrong confs are refused", test_refused},
      {"a log file that nobody reads is refused", test_unread},
      {"also where the conf takes its logs from", test_unread_elsewhere},
      {"how many consumers", test_consumers}, {"a bad log file is refused", test_bad_log})
