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

SUITE("check of a log", {"alike lines with rows are told apart", test_numbered},
      {"alike lines without rows are not held to an order", test_guessed},
      {"a line that is like no other is", test_not_guessed})
