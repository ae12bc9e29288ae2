/*
 * test_check_log.c - the log of a topic, by runs of a few lines each, written event by event.
 *
 * One topic; two producers, whose ids at the broker are 10 and 20, and two consumers. Times ascend
 * as a test goes on.
 */
#include "harness/tests/judged.h"

static struct folder *run_begin(const char *store)
{
    struct folder *f = folder_empty();

    add(f, "run.json", "{\"scenario\":\"small\",\"runtime\":\"process\",\"store\":\"%s\"}", store);
    add(f, "scenario/scenario.conf", "T1: P1 P2 : C1 C2");
    registered(f, 0, 0);
    registered(f, 1, 0);
    return f;
}

/* A line of producer p (from 0) in its log file. */
static void line_is(struct folder *f, int p, const char *text)
{
    char name[48];
    snprintf(name, sizeof name, "scenario/producer_%d.txt", p + 1);
    add(f, name, "21:52:23\t%s\t\tx%" PRId64 "\t\tT1", text, tick(f));
}

static void send_begin(struct folder *f, int p, int line, const char *text)
{
    char name[48];
    snprintf(name, sizeof name, "history/P%d.jsonl", p + 1);
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"P%d\",\"op\":\"send\",\"type\":\"invoke\",\"line\":%d,\"topic\":\"T1\","
        "\"message\":\"%s\"}",
        tick(f), p + 1, line, text);
}

/* `type` is ok (then `offset` counts), info or fail. */
static void send_ends(struct folder *f, int p, int line, const char *type, int64_t offset)
{
    char name[48];
    char rest[48] = "\"code\":\"why\"";

    snprintf(name, sizeof name, "history/P%d.jsonl", p + 1);
    if (strcmp(type, "ok") == 0) {
        snprintf(rest, sizeof rest, "\"offset\":%" PRId64, offset);
    }
    add(f, name,
        "{\"t\":%" PRId64
        ",\"process\":\"P%d\",\"op\":\"send\",\"type\":\"%s\",\"line\":%d,\"topic\":\"T1\",%s}",
        tick(f), p + 1, type, line, rest);
}

static void sent(struct folder *f, int p, int line, const char *text, const char *type,
                 int64_t offset)
{
    line_is(f, p, text);
    send_begin(f, p, line, text);
    send_ends(f, p, line, type, offset);
}

static void stored(struct folder *f, int64_t offset, int p, int64_t sequence, const char *text)
{
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":%" PRId64
        ",\"producer_id\":%d,\"sequence\":%" PRId64 ",\"message\":\"%s\"}",
        offset, 10 * (p + 1), sequence, text);
}

static void told_empty(struct folder *f, int c, int64_t offset)
{
    f->next_offset[0] = offset;
    drained(f, c, 0);
}

/* Both consumers get these, and ask for more. */
static void delivered(struct folder *f, const char *const *texts, int64_t count)
{
    for (int c = 0; c < 2; c++) {
        for (int64_t i = 0; i < count; i++) {
            received(f, c, 0, i, texts[i]);
        }
        told_empty(f, c, count);
    }
}

/* ---- lines that are alike, and no rows -------------------------------------------------- */

/* Which of the two is stored nobody knows: it may well be the second. */
static void test_guessed(void)
{
    struct folder *f = run_begin("memory");

    sent(f, 0, 1, "INFO", "info", 0);
    sent(f, 0, 2, "DEBUG", "ok", 0);
    sent(f, 0, 3, "INFO", "info", 0);
    sent(f, 1, 1, "end", "ok", 2);
    delivered(f, (const char *const[]){"DEBUG", "INFO", "end"}, 3);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 2, "ended as unknown"});
    folder_destroy(f);
}

/* There is but one that it can be. */
static void test_not_guessed(void)
{
    struct folder *f = run_begin("memory");

    sent(f, 0, 1, "INFO", "info", 0);
    sent(f, 0, 2, "DEBUG", "ok", 0);
    sent(f, 1, 1, "end", "ok", 2);
    delivered(f, (const char *const[]){"DEBUG", "INFO", "end"}, 3);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 1, "ended as unknown"},
          {FINDING_PRODUCER_ORDER, SOURCE_HISTORY, "P1", 1, 1, "before line 1 at 1"});
    folder_destroy(f);
}

/* With rows their numbers tell: it is the first. */
static void test_numbered(void)
{
    struct folder *f = run_begin("sqlite");

    sent(f, 0, 1, "INFO", "info", 0);
    sent(f, 0, 2, "DEBUG", "ok", 0);
    sent(f, 0, 3, "INFO", "info", 0);
    sent(f, 1, 1, "end", "ok", 2);
    stored(f, 0, 0, 1, "DEBUG");
    stored(f, 1, 0, 0, "INFO");
    stored(f, 2, 1, 0, "end");
    delivered(f, (const char *const[]){"DEBUG", "INFO", "end"}, 3);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 2, "ended as unknown"},
          {FINDING_PRODUCER_ORDER, SOURCE_HISTORY, "P1", 1, 1, "before line 1 at 1"});
    folder_destroy(f);
}

/* ---- what is unknown -------------------------------------------------------------------- */

/* Nobody knows how the first send ended; that the second was refused does not change that. */
static void test_unknown_then_refused(void)
{
    struct folder *f = run_begin("sqlite");

    sent(f, 0, 1, "a", "info", 0);
    send_begin(f, 0, 1, "a");
    send_ends(f, 0, 1, "fail", 0);
    sent(f, 1, 1, "b", "ok", 1);
    stored(f, 0, 0, 0, "a");
    stored(f, 1, 1, 0, "b");
    delivered(f, (const char *const[]){"a", "b"}, 2);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 1, "ended as unknown"});
    folder_destroy(f);
}

/* And if it was not stored, its number went to the next. */
static void test_unknown_then_free(void)
{
    struct folder *f = run_begin("sqlite");

    sent(f, 0, 1, "a", "info", 0);
    send_begin(f, 0, 1, "a");
    send_ends(f, 0, 1, "fail", 0);
    sent(f, 0, 2, "c", "ok", 0);
    sent(f, 1, 1, "b", "ok", 1);
    stored(f, 0, 0, 0, "c");
    stored(f, 1, 1, 0, "b");
    delivered(f, (const char *const[]){"c", "b"}, 2);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 1, "ended as unknown"});
    folder_destroy(f);
}

/* The text is that of an unknown send, the number is not. */
static void test_unknown_misnumbered(void)
{
    struct folder *f = run_begin("sqlite");

    sent(f, 0, 1, "a", "info", 0);
    sent(f, 1, 1, "b", "ok", 1);
    stored(f, 0, 0, 4, "a");
    stored(f, 1, 1, 0, "b");
    delivered(f, (const char *const[]){"a", "b"}, 2);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 1, "ended as unknown"},
          {FINDING_PHANTOM, SOURCE_STORE, "P1", 1, 1, "no send accounts for it"},
          {FINDING_PHANTOM, SOURCE_HISTORY, "C1", 1, 1, "what nobody sent", "phantom"},
          {FINDING_PHANTOM, SOURCE_HISTORY, "C2", 1, 1, "what nobody sent", "phantom"});
    folder_destroy(f);
}

/* ---- rows.jsonl ------------------------------------------------------------------------------ */

/* What is behind the cut was not lost by the store: nobody can say. */
static void test_rows_torn(void)
{
    struct folder *f = folder_good(false);
    struct file *rows = file_of(f, "rows.jsonl");
    char dir[128];
    char path[160];
    char error[SCENARIO_ERROR_BYTES_MAX] = "";
    struct scenario *s = NULL;
    struct history *h = NULL;

    dir_make(dir, sizeof dir);
    folder_write(f, dir);
    snprintf(path, sizeof path, "%s/rows.jsonl", dir);
    FILE *file = fopen(path, "w");
    fprintf(file, "%s\n%.20s", rows->lines[0], rows->lines[1]);
    fclose(file);
    snprintf(path, sizeof path, "%s/scenario", dir);
    CU_ASSERT(scenario_load(path, 0, STORE_UNSAID, &s, error, sizeof error));
    CU_ASSERT_FALSE(history_load(dir, s, &h, error, sizeof error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "rows.jsonl:2: the line is cut off"));
    scenario_destroy(s);
    dir_remove(dir);
    folder_destroy(f);
}

/* ---- batches ---------------------------------------------------------------------------- */

/* A request for P1's messages from `sequence` on. */
static void requested(struct folder *f, int64_t sequence, int64_t count, const char *type)
{
    int64_t id = f->next_request++;

    add(f, "history/P1.jsonl",
        "{\"t\":%" PRId64
        ",\"process\":\"P1\",\"op\":\"request\",\"type\":\"invoke\",\"id\":%" PRId64
        ",\"path\":\"/producer/produce\",\"topic\":\"T1\",\"sequence\":%" PRId64
        ",\"count\":%" PRId64 "}",
        tick(f), id, sequence, count);
    request_end(f, 0, id, type, strcmp(type, "ok") == 0 ? 200 : 0);
}

/* P1 sends a, b and c, P2 d; all four are under way at once. */
static struct folder *batch_begin(void)
{
    struct folder *f = run_begin("sqlite");

    for (int i = 0; i < 3; i++) {
        char text[] = {(char)('a' + i), '\0'};
        line_is(f, 0, text);
        send_begin(f, 0, i + 1, text);
    }
    line_is(f, 1, "d");
    send_begin(f, 1, 1, "d");
    return f;
}

/* Where P1's three messages are, and P2's; and so they are acknowledged. */
static void batch_stored(struct folder *f, const int64_t offsets[3], int64_t other)
{
    const char *texts[4];

    for (int i = 0; i < 3; i++) {
        static const char *const letters[] = {"a", "b", "c"};
        stored(f, offsets[i], 0, i, letters[i]);
        send_ends(f, 0, i + 1, "ok", offsets[i]);
        texts[offsets[i]] = letters[i];
    }
    stored(f, other, 1, 0, "d");
    send_ends(f, 1, 1, "ok", other);
    texts[other] = "d";
    delivered(f, texts, 4);
}

static void test_batch_whole(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 3, "info");
    requested(f, 0, 3, "ok"); /* again, as it was */
    batch_stored(f, (const int64_t[]){0, 1, 2}, 3);
    found(f, NULL, 0);
    folder_destroy(f);
}

static void test_batch_between(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 3, "ok");
    batch_stored(f, (const int64_t[]){0, 2, 3}, 1);
    FOUND(f, {FINDING_TORN_BATCH, SOURCE_STORE, "P1", 1, 1,
              "at the offsets 0 to 3, with 1 of others between them"});
    folder_destroy(f);
}

/* Whoever goes on after a kill may have sent less at once before. */
static void test_batch_cut_anew(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 1, "info");
    requested(f, 1, 2, "info");
    requested(f, 0, 3, "ok");
    batch_stored(f, (const int64_t[]){0, 2, 3}, 1);
    found(f, NULL, 0);
    folder_destroy(f);
}

/* What was certainly not executed is no batch. */
static void test_batch_refused(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 3, "fail");
    requested(f, 0, 1, "ok");
    requested(f, 1, 2, "ok");
    batch_stored(f, (const int64_t[]){0, 2, 3}, 1);
    found(f, NULL, 0);
    folder_destroy(f);
}

/* The broker says where the first is, and the library takes the others to be behind it. */
static void test_batch_places(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 3, "ok");
    stored(f, 0, 0, 0, "a");
    stored(f, 1, 1, 0, "d");
    stored(f, 2, 0, 1, "b");
    stored(f, 3, 0, 2, "c");
    for (int i = 0; i < 3; i++) {
        send_ends(f, 0, i + 1, "ok", i);
    }
    send_ends(f, 1, 1, "ok", 1);
    delivered(f, (const char *const[]){"a", "d", "b", "c"}, 4);
    FOUND(f, {FINDING_TORN_BATCH, SOURCE_STORE, "P1", 1, 1, "with 1 of others"},
          {FINDING_INCONSISTENT_OFFSET, SOURCE_STORE, "P1", 1, 2, "but the store has it at",
           "torn-batch"});
    folder_destroy(f);
}

/* Nobody knows how it ended, but a batch is stored whole or not at all. */
static void test_batch_in_part(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 3, "info");
    stored(f, 0, 0, 0, "a");
    stored(f, 1, 1, 0, "d");
    send_ends(f, 1, 1, "ok", 1);
    for (int i = 0; i < 3; i++) {
        send_ends(f, 0, i + 1, "info", 0);
    }
    delivered(f, (const char *const[]){"a", "d"}, 2);
    FOUND(f, {FINDING_TORN_BATCH, SOURCE_STORE, "P1", 1, 1, "1 of these 3 are stored"},
          {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 3, "ended as unknown"});
    folder_destroy(f);
}

/* The log's limits have removed the beginning of a batch. */
static void test_batch_removed(void)
{
    struct folder *f = batch_begin();

    requested(f, 0, 3, "info");
    add(f, "rows.jsonl", "{\"topic\":\"T1\",\"first_offset\":1}");
    stored(f, 1, 0, 1, "b");
    stored(f, 2, 0, 2, "c");
    stored(f, 3, 1, 0, "d");
    send_ends(f, 1, 1, "ok", 3);
    for (int i = 0; i < 3; i++) {
        send_ends(f, 0, i + 1, "info", 0);
    }
    for (int c = 0; c < 2; c++) {
        received(f, c, 0, 1, "b");
        received(f, c, 0, 2, "c");
        received(f, c, 0, 3, "d");
        told_empty(f, c, 4);
    }
    struct judged o = folder_check(f);
    for (size_t i = 0; i < o.c->findings.count; i++) {
        CU_ASSERT_NOT_EQUAL(o.c->findings.items[i].kind, FINDING_TORN_BATCH);
    }
    judged_release(&o);
    folder_destroy(f);
}

/* ---- what is known, and since when -------------------------------------------------------- */

/* P1's a at 0, which C1 is given while nobody has been told yet that it is stored. */
static struct folder *seen_begin(void)
{
    struct folder *f = run_begin("sqlite");

    line_is(f, 0, "a");
    line_is(f, 1, "b");
    stored(f, 0, 0, 0, "a");
    send_begin(f, 0, 1, "a");
    received(f, 0, 0, 0, "a");
    return f;
}

/* It is acknowledged, C2 gets it, and P2's b comes behind. */
static void seen_end(struct folder *f)
{
    send_ends(f, 0, 1, "ok", 0);
    received(f, 1, 0, 0, "a");
    send_begin(f, 1, 1, "b");
    send_ends(f, 1, 1, "ok", 1);
    stored(f, 1, 1, 0, "b");
    for (int c = 0; c < 2; c++) {
        received(f, c, 0, 1, "b");
        told_empty(f, c, 2);
    }
}

static void test_seen(void)
{
    struct folder *f = seen_begin();

    seen_end(f);
    found(f, NULL, 0);
    folder_destroy(f);
}

static void test_seen_then_empty(void)
{
    struct folder *f = seen_begin();

    told_empty(f, 1, 0);
    seen_end(f);
    FOUND(f, {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1, "('a') had been received"});
    folder_destroy(f);
}

static void test_seen_then_not_counted(void)
{
    struct folder *f = seen_begin();

    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64
        ",\"process\":\"C2\",\"op\":\"size\",\"type\":\"invoke\",\"topic\":\"T1\"}",
        tick(f));
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64
        ",\"process\":\"C2\",\"op\":\"size\",\"type\":\"ok\",\"topic\":\"T1\",\"size\":0}",
        tick(f));
    seen_end(f);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "told 0; there were 1 to 1"});
    folder_destroy(f);
}

/* b is sent when C1 has a already, but lies before it. */
static void test_seen_then_overtaken(void)
{
    struct folder *f = run_begin("sqlite");

    line_is(f, 0, "a");
    line_is(f, 1, "b");
    send_begin(f, 0, 1, "a");
    received(f, 0, 0, 1, "a");
    send_begin(f, 1, 1, "b");
    send_ends(f, 1, 1, "ok", 0);
    send_ends(f, 0, 1, "ok", 1);
    stored(f, 0, 1, 0, "b");
    stored(f, 1, 0, 0, "a");
    received(f, 1, 0, 0, "b");
    received(f, 1, 0, 1, "a");
    told_empty(f, 1, 2);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C1", 1, 1, "later ones were"},
          {FINDING_REAL_TIME_ORDER, SOURCE_HISTORY, "P2", 1, 1, "which had been received"});
    folder_destroy(f);
}

static void test_too_soon(void)
{
    struct folder *f = run_begin("sqlite");

    line_is(f, 0, "a");
    line_is(f, 1, "b");
    received(f, 0, 0, 0, "a");
    send_begin(f, 0, 1, "a");
    stored(f, 0, 0, 0, "a");
    seen_end(f);
    FOUND(f, {FINDING_PHANTOM, SOURCE_HISTORY, "C1", 1, 1, "before anybody had sent it"});
    folder_destroy(f);
}

static void test_refused_but_seen(void)
{
    struct folder *f = run_begin("sqlite");

    line_is(f, 0, "a");
    line_is(f, 1, "b");
    send_begin(f, 0, 1, "a");
    send_ends(f, 0, 1, "fail", 0);
    received(f, 0, 0, 0, "a");
    send_begin(f, 0, 1, "a");
    stored(f, 0, 0, 0, "a");
    seen_end(f);
    FOUND(f, {FINDING_ABORTED_READ, SOURCE_STORE, "P1", 1, 1, "before it was sent again"});
    folder_destroy(f);
}

/* The same, but it came after the second send had begun. */
static void test_refused_then_seen(void)
{
    struct folder *f = run_begin("sqlite");

    line_is(f, 0, "a");
    line_is(f, 1, "b");
    send_begin(f, 0, 1, "a");
    send_ends(f, 0, 1, "fail", 0);
    send_begin(f, 0, 1, "a");
    received(f, 0, 0, 0, "a");
    stored(f, 0, 0, 0, "a");
    seen_end(f);
    found(f, NULL, 0);
    folder_destroy(f);
}

/* ---- what one restart did -------------------------------------------------------------- */

/* The broker is killed and started again, for the number-th time. */
static void restarted(struct folder *f, int number)
{
    static const char *const types[] = {"begin", "hit", "restart", "end"};

    add(f, "scenario/scenario.conf", "fault = after %d acks: kill broker, restart after 1 ms",
        number);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        add(f, "history/harness.jsonl",
            "{\"t\":%" PRId64 ",\"process\":\"harness\",\"op\":\"fault\",\"type\":\"%s\","
            "\"fault\":%d,\"action\":\"kill\",\"target\":\"broker\",\"acks\":%d}",
            tick(f), types[i], number, number);
    }
}

/* Sent and acknowledged at an offset by a producer (from 0) as its line; received by both. */
static void kept(struct folder *f, int p, int line, int64_t offset)
{
    char text[24];
    snprintf(text, sizeof text, "m%d-%d", p + 1, line);
    sent(f, p, line, text, "ok", offset);
    stored(f, offset, p, line - 1, text);
    received(f, 0, 0, offset, text);
    received(f, 1, 0, offset, text);
}

/* The same, and the store has no row of it. */
static void vanished(struct folder *f, int p, int line, int64_t offset, bool was_received)
{
    char text[24];
    snprintf(text, sizeof text, "m%d-%d", p + 1, line);
    sent(f, p, line, text, "ok", offset);
    for (int c = 0; c < 2 && was_received; c++) {
        received(f, c, 0, offset, text);
    }
}

static const struct finding *root_of(const struct judged *o, enum finding_kind kind,
                                     const char *process)
{
    for (size_t i = 0; i < o->c->findings.count; i++) {
        const struct finding *f = &o->c->findings.items[i];
        if (f->kind == kind && f->cause == FINDING_ROOT && strcmp(f->process, process) == 0) {
            return f;
        }
    }
    judged_print(o);
    return NULL;
}

static size_t roots_of(const struct judged *o, enum finding_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < o->c->findings.count; i++) {
        count +=
            o->c->findings.items[i].kind == kind && o->c->findings.items[i].cause == FINDING_ROOT;
    }
    return count;
}

/* A finding of this restart: how many, and the parts' own counts. */
static void restart_did(const struct judged *o, enum finding_kind kind, const char *fault,
                        int64_t of_p1, int64_t of_p2, const char *common)
{
    const struct finding *f = root_of(o, kind, fault);

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(f->count, of_p1 + of_p2);
    CU_ASSERT_EQUAL_FATAL(f->part_count, 2);
    CU_ASSERT_STRING_EQUAL(f->parts[0].process, "P1");
    CU_ASSERT_EQUAL(f->parts[0].count, of_p1);
    CU_ASSERT_STRING_EQUAL(f->parts[1].process, "P2");
    CU_ASSERT_EQUAL(f->parts[1].count, of_p2);
    CU_ASSERT_EQUAL(f->topic, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->common, common));
    CU_ASSERT_PTR_NOT_NULL(strstr(f->evidence[0].detail, " to T1: line "));
}

/* What both producers had been acknowledged before the restart is gone after it. */
static void test_restart_lost(void)
{
    struct folder *f = run_begin("postgres");

    kept(f, 0, 1, 0);
    vanished(f, 0, 2, 1, true);
    vanished(f, 1, 1, 2, true);
    vanished(f, 1, 2, 3, false);
    restarted(f, 1);
    kept(f, 0, 3, 4);
    struct judged o = folder_check(f);
    restart_did(&o, FINDING_LOST, "fault 1", 1, 2,
                "acknowledged before fault 1 (kill broker) at 0.0 s, all in the middle of the log");
    CU_ASSERT_EQUAL(roots_of(&o, FINDING_LOST), 1);
    CU_ASSERT_EQUAL(o.c->promises[PROMISE_STORED].broken, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(o.c->sentence, "the store lost 3 messages, acknowledged before"));
    judged_release(&o);
    folder_destroy(f);
}

/* Nobody restarted anything after it was acknowledged, or a consumer was past it before: then it
 * is its producer's alone. */
static void test_restart_not_lost(void)
{
    struct folder *f = run_begin("postgres");

    vanished(f, 0, 1, 0, false);
    vanished(f, 1, 1, 1, false);
    kept(f, 0, 2, 2);
    restarted(f, 1);
    vanished(f, 0, 3, 3, true);
    vanished(f, 1, 2, 4, true);
    kept(f, 0, 4, 5);
    struct judged o = folder_check(f);
    const struct finding *p1 = root_of(&o, FINDING_LOST, "P1");
    const struct finding *p2 = root_of(&o, FINDING_LOST, "P2");
    CU_ASSERT_EQUAL(roots_of(&o, FINDING_LOST), 2);
    CU_ASSERT(p1 != NULL && p1->count == 2 && p1->part_count == 0);
    CU_ASSERT(p2 != NULL && p2->count == 2 && p2->part_count == 0);
    judged_release(&o);
    folder_destroy(f);
}

/* A consumer that read past what the first restart lost tells it from what the second lost. */
static void test_restarts_told_apart(void)
{
    struct folder *f = run_begin("postgres");

    vanished(f, 0, 1, 0, false);
    vanished(f, 1, 1, 1, false);
    restarted(f, 1);
    kept(f, 0, 2, 2);
    vanished(f, 0, 3, 3, true);
    vanished(f, 1, 2, 4, true);
    vanished(f, 1, 3, 5, true);
    restarted(f, 2);
    kept(f, 0, 4, 6);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(roots_of(&o, FINDING_LOST), 2);
    restart_did(&o, FINDING_LOST, "fault 1", 1, 1, "acknowledged before fault 1");
    restart_did(&o, FINDING_LOST, "fault 2", 1, 2, "acknowledged before fault 2");
    judged_release(&o);
    folder_destroy(f);
}

/* Where nothing tells which of two restarts it was, the fewest are named: the first kill lost
 * nothing, as what the second lost includes all of it. */
static void test_restarts_fewest(void)
{
    struct folder *f = run_begin("postgres");

    vanished(f, 0, 1, 0, true);
    restarted(f, 1);
    vanished(f, 0, 2, 1, true);
    vanished(f, 1, 1, 2, true);
    restarted(f, 2);
    kept(f, 0, 3, 3);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(roots_of(&o, FINDING_LOST), 1);
    restart_did(&o, FINDING_LOST, "fault 2", 2, 1, "acknowledged before fault 2");
    judged_release(&o);
    folder_destroy(f);
}

/* Both were on their way when it was killed, sent again, and stored a second time. */
static void test_restart_twice(void)
{
    struct folder *f = run_begin("postgres");

    for (int p = 0; p < 2; p++) {
        char text[8];
        snprintf(text, sizeof text, "m%d-1", p + 1);
        line_is(f, p, text);
        send_begin(f, p, 1, text);
        stored(f, p, p, 0, text);
        stored(f, p + 2, p, 0, text);
    }
    restarted(f, 1);
    for (int p = 0; p < 2; p++) {
        send_ends(f, p, 1, "ok", p + 2);
    }
    struct judged o = folder_check(f);
    restart_did(&o, FINDING_DUPLICATE, "fault 1", 1, 1, "sent before fault 1 (kill broker)");
    judged_release(&o);
    folder_destroy(f);
}

/* Offsets that were given before are given again: what had them is nowhere. */
static void test_restart_offsets(void)
{
    struct folder *f = run_begin("postgres");

    sent(f, 0, 1, "m1-1", "ok", 0);
    sent(f, 1, 1, "m2-1", "ok", 1);
    restarted(f, 1);
    kept(f, 0, 2, 0);
    kept(f, 1, 2, 1);
    struct judged o = folder_check(f);
    restart_did(&o, FINDING_INCONSISTENT_OFFSET, "fault 1", 1, 1, "given before fault 1");
    CU_ASSERT_EQUAL(roots_of(&o, FINDING_LOST), 0);
    judged_release(&o);
    folder_destroy(f);
}

/* ---- acknowledged as a repetition, without a place ----------------------------------------- */

static struct folder *repeated_begin(void)
{
    struct folder *f = run_begin("sqlite");

    sent(f, 0, 1, "a", "ok", -1);
    sent(f, 1, 1, "b", "ok", 1);
    return f;
}

static void test_placeless(void)
{
    struct folder *f = repeated_begin();

    stored(f, 0, 0, 0, "a");
    stored(f, 1, 1, 0, "b");
    delivered(f, (const char *const[]){"a", "b"}, 2);
    is_valid(f);
    folder_destroy(f);
}

static void test_placeless_lost(void)
{
    struct folder *f = run_begin("sqlite");

    sent(f, 1, 1, "b", "ok", 0);
    sent(f, 0, 1, "a", "ok", -1);
    stored(f, 0, 1, 0, "b");
    delivered(f, (const char *const[]){"b"}, 1);
    FOUND(f,
          {FINDING_LOST, SOURCE_STORE, "P1", 1, 1, "acknowledged as one that is stored already"});
    folder_destroy(f);
}

/* Its place is not known for that reason. */
static void test_placeless_removed(void)
{
    struct folder *f = repeated_begin();

    add(f, "rows.jsonl", "{\"topic\":\"T1\",\"partition\":0,\"first_offset\":1}");
    stored(f, 1, 1, 0, "b");
    delivered(f, (const char *const[]){"a", "b"}, 2);
    is_valid(f);
    folder_destroy(f);
}

SUITE("check of a log", {"alike lines with rows are told apart", test_numbered},
      {"alike lines without rows are not held to an order", test_guessed},
      {"a line that is like no other is", test_not_guessed},
      {"a send is unknown, and then refused", test_unknown_then_refused},
      {"and its number is free", test_unknown_then_free},
      {"an unknown send has another number", test_unknown_misnumbered},
      {"rows that are cut off are not rows that are missing", test_rows_torn},
      {"a batch is sent again as it was", test_batch_whole},
      {"a batch has another message in its midst", test_batch_between},
      {"and the acknowledgements do not know", test_batch_places},
      {"a batch is sent again in other pieces", test_batch_cut_anew},
      {"a refused batch is none", test_batch_refused},
      {"a batch is stored in part", test_batch_in_part},
      {"limits have removed a part of a batch", test_batch_removed},
      {"a message is received before it is acknowledged", test_seen},
      {"and then it is not there", test_seen_then_empty},
      {"and then it is not counted", test_seen_then_not_counted},
      {"and then one is stored before it", test_seen_then_overtaken},
      {"a message is received before it is sent", test_too_soon},
      {"a message is refused, and received", test_refused_but_seen},
      {"a message is refused, sent again, and received", test_refused_then_seen},
      {"what a restart lost of several is one finding", test_restart_lost},
      {"what it cannot have lost is not its", test_restart_not_lost},
      {"a reader tells restarts apart", test_restarts_told_apart},
      {"else it is the fewest", test_restarts_fewest},
      {"what a restart stored twice", test_restart_twice},
      {"offsets that a restart gave again", test_restart_offsets},
      {"a repetition has no place", test_placeless}, {"and no row", test_placeless_lost},
      {"and limits have removed it", test_placeless_removed})
