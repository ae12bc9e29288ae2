/*
 * test_scale.c - a long run, generated: read and checked, valid and with one message lost.
 *
 * Five producers, three topics, three consumers that read all of them. Messages are all
 * unlike, which costs most. MYQUEUE_SCALE_SENDS says how many are sent (default: 20,000);
 * with it the times and the memory are printed. Ten million sends need 9 GB in TMPDIR.
 */
#include "common/tests/suite.h"
#include "harness/tests/goodrun.h"

#include <sys/resource.h>
#include <time.h>

#define SENDS_DEFAULT 20000
#define LONG_PRODUCERS 5
#define LONG_CONSUMERS 3
#define LONG_TOPICS 3
#define BATCH 400 /* sends of a producer that are on their way at once */
#define NS_PER_SEND 2000

struct long_run {
    char dir[128];
    int64_t sends;
    int64_t lost; /* the send that has no row and was not delivered; -1: none */
    FILE *rows[LONG_TOPICS];
    FILE *producers[LONG_PRODUCERS];
    FILE *logs[LONG_PRODUCERS];
    FILE *consumers[LONG_CONSUMERS];
    FILE *outputs[LONG_CONSUMERS];
    int64_t offsets[LONG_TOPICS];
    int64_t lines[LONG_PRODUCERS];
    int64_t sequences[LONG_PRODUCERS][LONG_TOPICS];
    int64_t received[LONG_CONSUMERS];
};

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static FILE *file_open(const struct long_run *r, const char *format, int number)
{
    char name[64];
    char path[256];
    snprintf(name, sizeof name, format, number);
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        abort();
    }
    setvbuf(file, NULL, _IOFBF, 1024 * 1024);
    return file;
}

static void files_open(struct long_run *r)
{
    char path[256];
    snprintf(path, sizeof path, "%s/scenario", r->dir);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/history", r->dir);
    mkdir(path, 0777);
    FILE *run = file_open(r, "run.json", 0);
    fprintf(run, "{\"scenario\":\"long\",\"store\":\"postgres\"}\n");
    fclose(run);
    FILE *conf = file_open(r, "scenario/scenario.conf", 0);
    for (int t = 1; t <= LONG_TOPICS; t++) {
        fprintf(conf, "T%d: P1 P2 P3 P4 P5 : C1 C2 C3\n", t);
    }
    fclose(conf);
    for (int i = 0; i < LONG_PRODUCERS; i++) {
        r->producers[i] = file_open(r, "history/P%d.jsonl", i + 1);
        r->logs[i] = file_open(r, "scenario/producer_%d.txt", i + 1);
        for (int t = 0; t < LONG_TOPICS; t++) {
            fprintf(r->producers[i],
                    "{\"t\":1,\"process\":\"P%d\",\"op\":\"register\",\"type\":\"ok\","
                    "\"topic\":\"T%d\",\"producer_id\":%d}\n",
                    i + 1, t + 1, i * LONG_TOPICS + t + 1);
        }
    }
    for (int i = 0; i < LONG_CONSUMERS; i++) {
        r->consumers[i] = file_open(r, "history/C%d.jsonl", i + 1);
        r->outputs[i] = file_open(r, "consumer_%d.txt", i + 1);
    }
    for (int t = 0; t < LONG_TOPICS; t++) {
        r->rows[t] = file_open(r, "rows-%d", t + 1);
    }
}

/* A producer's batch goes out, and then is acknowledged. */
static void batch_sent(struct long_run *r, int p, int64_t first, int64_t count, bool ends)
{
    for (int64_t i = first; i < first + count; i++) {
        int topic = (int)(i % 7 % LONG_TOPICS);
        int64_t line = r->lines[p] + i - first + 1;
        int64_t t_ns = 1000 + (first + (ends ? count : 0)) * NS_PER_SEND + (i - first);
        if (!ends) {
            fprintf(r->logs[p], "21:52:23\tINFO %" PRId64 " of many\t\tP\t\tT%d\n", i, topic + 1);
            fprintf(r->producers[p],
                    "{\"t\":%" PRId64 ",\"process\":\"P%d\",\"op\":\"send\",\"type\":\"invoke\","
                    "\"line\":%" PRId64 ",\"topic\":\"T%d\",\"message\":\"INFO %" PRId64
                    " of many\"}\n",
                    t_ns, p + 1, line, topic + 1, i);
            continue;
        }
        int64_t offset = r->offsets[topic]++;
        fprintf(r->producers[p],
                "{\"t\":%" PRId64 ",\"process\":\"P%d\",\"op\":\"send\",\"type\":\"ok\","
                "\"line\":%" PRId64 ",\"topic\":\"T%d\",\"offset\":%" PRId64 "}\n",
                t_ns, p + 1, line, topic + 1, offset);
        int64_t sequence = r->sequences[p][topic]++;
        if (i == r->lost) {
            continue;
        }
        fprintf(r->rows[topic],
                "{\"topic\" : \"T%d\", \"partition\" : 0, \"offset\" : %" PRId64
                ", \"producer_id\" : %d, \"sequence\" : %" PRId64 ", \"message\" : \"INFO %" PRId64
                " of many\"}\n",
                topic + 1, offset, p * LONG_TOPICS + topic + 1, sequence, i);
        for (int c = 0; c < LONG_CONSUMERS; c++) {
            fprintf(r->outputs[c], "T%d     INFO %" PRId64 " of many\n", topic + 1, i);
            fprintf(r->consumers[c],
                    "{\"t\":%" PRId64 ",\"process\":\"C%d\",\"op\":\"receive\",\"type\":\"ok\","
                    "\"line\":%" PRId64 ",\"topic\":\"T%d\",\"offset\":%" PRId64
                    ",\"message\":\"INFO %" PRId64 " of many\"}\n",
                    t_ns + 500, c + 1, ++r->received[c], topic + 1, offset, i);
        }
    }
}

/* The rows are ordered by topic. */
static void rows_join(struct long_run *r)
{
    FILE *all = file_open(r, "rows.jsonl", 0);
    char bytes[65536];
    for (int t = 1; t <= LONG_TOPICS; t++) {
        char path[256];
        size_t size;
        snprintf(path, sizeof path, "%s/rows-%d", r->dir, t);
        FILE *rows = fopen(path, "r");
        while ((size = fread(bytes, 1, sizeof bytes, rows)) > 0) {
            fwrite(bytes, 1, size, all);
        }
        fclose(rows);
        remove(path);
    }
    fclose(all);
}

static void long_run_make(struct long_run *r)
{
    dir_make(r->dir, sizeof r->dir);
    files_open(r);
    for (int64_t first = 0, turn = 0; first < r->sends; first += BATCH, turn++) {
        int p = (int)(turn % LONG_PRODUCERS);
        int64_t count = r->sends - first < BATCH ? r->sends - first : BATCH;
        batch_sent(r, p, first, count, false);
        batch_sent(r, p, first, count, true);
        r->lines[p] += count;
    }
    for (int i = 0; i < LONG_PRODUCERS; i++) {
        fclose(r->producers[i]);
        fclose(r->logs[i]);
    }
    for (int i = 0; i < LONG_CONSUMERS; i++) {
        fclose(r->consumers[i]);
        fclose(r->outputs[i]);
    }
    for (int t = 0; t < LONG_TOPICS; t++) {
        fclose(r->rows[t]);
    }
    rows_join(r);
}

static int64_t sends_wanted(void)
{
    const char *text = getenv("MYQUEUE_SCALE_SENDS");
    return text == NULL ? SENDS_DEFAULT : strtoll(text, NULL, 10);
}

static double seconds_since(int64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) / 1e9;
}

static void measured(const char *what, int64_t begin_ns)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (getenv("MYQUEUE_SCALE_SENDS") != NULL) {
        printf("\n    %s: %.2f s, at most %.2f GiB so far", what, seconds_since(begin_ns),
               (double)usage.ru_maxrss / (1 << 20));
        fflush(stdout);
    }
}

static struct check *long_run_check(struct long_run *r, int64_t *received)
{
    char path[160];
    char error[SCENARIO_ERROR_BYTES_MAX] = "";
    struct scenario *s = NULL;
    struct history *h = NULL;

    int64_t begin_ns = clock_ns();
    long_run_make(r);
    measured("generated", begin_ns);
    begin_ns = clock_ns();
    snprintf(path, sizeof path, "%s/scenario", r->dir);
    if (!scenario_load(path, 0, STORE_UNSAID, &s, error, sizeof error) ||
        !history_load(r->dir, s, &h, error, sizeof error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    measured("read", begin_ns);
    dir_remove(r->dir);
    begin_ns = clock_ns();
    struct check *c = check_run(s, h);
    measured("checked", begin_ns);
    *received = c->received;
    history_destroy(h);
    scenario_destroy(s);
    return c;
}

static void test_valid(void)
{
    struct long_run r = {.sends = sends_wanted(), .lost = -1};
    int64_t received;
    struct check *c = long_run_check(&r, &received);
    CU_ASSERT_EQUAL(c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(c->acknowledged, r.sends);
    CU_ASSERT_EQUAL(received, r.sends * LONG_CONSUMERS);
    check_destroy(c);
}

static void test_lost(void)
{
    struct long_run r = {.sends = sends_wanted(), .lost = sends_wanted() / 2};
    int64_t received;
    struct check *c = long_run_check(&r, &received);
    CU_ASSERT_EQUAL(c->verdict, VERDICT_INVALID);
    CU_ASSERT_EQUAL(c->findings.count, 1 + LONG_CONSUMERS);
    CU_ASSERT_EQUAL(c->findings.items[0].kind, FINDING_LOST);
    CU_ASSERT_EQUAL(c->findings.items[0].count, 1);
    CU_ASSERT_EQUAL(c->findings.items[LONG_CONSUMERS].cause, 0);
    check_destroy(c);
}

SUITE("scale", {"a long valid run", test_valid}, {"one message of many is lost", test_lost})
