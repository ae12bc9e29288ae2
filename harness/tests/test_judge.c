/*
 * test_judge.c - from a folder to files and a verdict.
 */
#include "common/json.h"
#include "common/tests/suite.h"
#include "common/utf8.h"
#include "harness/report/index.h"
#include "harness/judge.h"
#include "harness/tests/goodrun.h"
#include "harness/report/wording.h"

#define FILE_BYTES_MAX (16 * 1024 * 1024)

struct judged {
    char dir[128];
    char error[512];
    enum verdict verdict;
    struct buffer summary;
    struct buffer result;
    struct buffer report;
    struct buffer junit;
    struct buffer tap;
};

static void file_read(const struct judged *j, const char *name, struct buffer *b)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", j->dir, name);
    buffer_read_file(b, path, FILE_BYTES_MAX);
}

static struct judged folder_judge(const struct folder *f)
{
    struct judged j = {.error = ""};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    dir_make(j.dir, sizeof j.dir);
    folder_write(f, j.dir);
    struct judge_output output = {.out = out, .shown = "reports/good/latest"};
    j.verdict = judge_run(j.dir, &output, j.error, sizeof j.error);
    fclose(out);
    buffer_append(&j.summary, text, size);
    file_read(&j, "result.json", &j.result);
    file_read(&j, "report.html", &j.report);
    file_read(&j, "junit.xml", &j.junit);
    free(text);
    out = open_memstream(&text, &size);
    output = (struct judge_output){.out = out, .as_tap = true};
    CU_ASSERT_EQUAL(judge_run(j.dir, &output, j.error, sizeof j.error), j.verdict);
    fclose(out);
    buffer_append(&j.tap, text, size);
    free(text);
    return j;
}

static void judged_release(struct judged *j)
{
    buffer_release(&j->summary);
    buffer_release(&j->result);
    buffer_release(&j->report);
    buffer_release(&j->junit);
    buffer_release(&j->tap);
    dir_remove(j->dir);
}

/* A number within result.json, by its keys. */
static int64_t number_at(const struct json_value *json, const char *const *keys)
{
    int64_t number = -1;
    for (; *keys != NULL && json != NULL; keys++) {
        json = json_get(json, *keys);
    }
    return json_int(json, &number) ? number : -1;
}

#define NUMBER(json, ...) number_at((json), (const char *const[]){__VA_ARGS__, NULL})

/* Milliseconds that ascend. */
static void latency_check(const struct json_value *latency)
{
    static const char *const keys[] = {"p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"};
    double before = 0;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double now = -1;
        CU_ASSERT(json_double(json_get(latency, keys[i]), &now));
        CU_ASSERT(now > 0 && now >= before);
        before = now;
    }
}

static void test_valid(void)
{
    struct folder *f = folder_good(false);
    struct judged j = folder_judge(f);
    struct json_document document;
    struct slice verdict;

    CU_ASSERT_EQUAL(j.verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL_FATAL(json_parse(&document, buffer_slice(&j.result)), JSON_OK);
    const struct json_value *json = json_root(&document);
    CU_ASSERT(json_string(json_get(json, "verdict"), &verdict));
    CU_ASSERT(slice_equals(verdict, slice_of("valid")));
    CU_ASSERT_EQUAL(NUMBER(json, "acknowledged"), 36);
    CU_ASSERT_EQUAL(NUMBER(json, "consumers", "C1", "T2", "expected"), 6);
    CU_ASSERT_EQUAL(NUMBER(json, "consumers", "C2", "T1", "received"), 30);
    CU_ASSERT_EQUAL(NUMBER(json, "consumers", "C2", "T1", "missing"), 0);
    CU_ASSERT_EQUAL(NUMBER(json, "producers", "P2", "retries"), 1);
    CU_ASSERT_EQUAL(json_count(json_get(json, "violations")), 0);
    CU_ASSERT_EQUAL(NUMBER(json, "latency", "acknowledged", "count"), 36);
    CU_ASSERT_EQUAL(NUMBER(json, "latency", "delivered", "count"), 66);
    latency_check(json_get(json_get(json, "latency"), "acknowledged"));
    latency_check(json_get(json_get(json, "latency"), "delivered"));
    CU_ASSERT_EQUAL(NUMBER(json_first(json_get(json, "faults")), "in_flight"), 1);
    CU_ASSERT_EQUAL(NUMBER(json_first(json_get(json, "faults")), "down_ms"), 3);
    const char *last =
        "\nvalid: good on process with postgres, report: reports/good/latest/report.html\n";
    CU_ASSERT(j.summary.size > strlen(last) &&
              strcmp(j.summary.data + j.summary.size - strlen(last), last) == 0);
    json_release(&document);
    judged_release(&j);
    folder_destroy(f);
}

/* How often `part` is in `text`. */
static int times_in(const struct buffer *text, const char *part)
{
    int count = 0;
    for (const char *at = text->data; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        count++;
    }
    return count;
}

/* Build servers and TAP's readers are told the same as a person. */
static void test_machines_valid(void)
{
    struct folder *f = folder_good(false);
    struct judged j = folder_judge(f);
    char plan[32];

    snprintf(plan, sizeof plan, "TAP version 14\n1..%d\n", PROMISES + 1);
    CU_ASSERT_EQUAL(strncmp(j.tap.data, plan, strlen(plan)), 0);
    CU_ASSERT_EQUAL(times_in(&j.tap, "\nok "), PROMISES + 1);
    CU_ASSERT_EQUAL(times_in(&j.tap, "not ok"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(j.tap.data, "\n# Valid: 36 messages"));
    CU_ASSERT_EQUAL(times_in(&j.junit, "<testcase"), PROMISES + 1);
    CU_ASSERT_EQUAL(times_in(&j.junit, "<failure"), 0);
    CU_ASSERT_EQUAL(times_in(&j.junit, "<error"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(j.junit.data, " failures=\"0\" errors=\"0\""));
    judged_release(&j);
    folder_destroy(f);
}

static void test_machines_invalid(void)
{
    struct folder *f = folder_good(false);

    line_insert(file_of(f, "consumer_2.txt"), 11, "T1     <script>alert('\"&\"')</script>");
    struct judged j = folder_judge(f);
    CU_ASSERT_EQUAL(times_in(&j.tap, "\nnot ok "), 2); /* the promise, and the run */
    CU_ASSERT_PTR_NOT_NULL(strstr(j.tap.data, "    - \"phantom C2 T1 (its file): line 12 reads"));
    CU_ASSERT_EQUAL(times_in(&j.junit, "<failure"), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(j.junit.data, " failures=\"2\" errors=\"0\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(j.junit.data, "&lt;script&gt;alert(&#39;&quot;&amp;"));
    CU_ASSERT_PTR_NOT_NULL(strstr(j.result.data, "\"state\": \"broken\""));
    judged_release(&j);
    folder_destroy(f);
}

static void test_machines_unknown(void)
{
    struct folder *f = folder_good(false);

    line_edit(file_of(f, "run.json"), 0, "\"runtime\"", "\"ended_early\":\"waiting\",\"runtime\"");
    struct judged j = folder_judge(f);
    CU_ASSERT_EQUAL(j.verdict, VERDICT_UNKNOWN);
    CU_ASSERT_EQUAL(times_in(&j.tap, "\nnot ok "), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(j.tap.data, "    - \"ended-early: waiting\""));
    CU_ASSERT_EQUAL(times_in(&j.junit, "<failure"), 0);
    CU_ASSERT_EQUAL(times_in(&j.junit, "<error"), 1);
    judged_release(&j);
    folder_destroy(f);
}

/* NAME/latest with a page of its own, which is no run. */
static void page_make(const char *reports, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", reports, name);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/latest", reports, name);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/latest/report.html", reports, name);
    fclose(fopen(path, "w"));
}

/* The index has what is there, without links and what is no run. */
static void test_index(void)
{
    struct folder *f = folder_good(false);
    struct judged runs = {.error = ""};
    struct buffer page = BUFFER_INIT;
    char path[256];
    char error[256];
    struct judge_output nowhere = {.out = fopen("/dev/null", "w")};

    dir_make(runs.dir, sizeof runs.dir);
    snprintf(path, sizeof path, "%s/<good>", runs.dir);
    mkdir(path, 0777);
    for (int i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "%s/<good>/20261121T08000%d-1", runs.dir, i);
        mkdir(path, 0777);
        folder_write(f, path);
        CU_ASSERT_EQUAL(judge_run(path, &nowhere, error, sizeof error), VERDICT_VALID);
        CU_ASSERT(index_update(path, error, sizeof error)); /* there is none, so none is made */
    }
    snprintf(path, sizeof path, "%s/<good>/latest", runs.dir);
    CU_ASSERT_EQUAL(symlink("20261121T080002-1", path), 0);
    page_make(runs.dir, "bench");
    file_read(&runs, "index.html", &page);
    CU_ASSERT_EQUAL(page.size, 0);
    CU_ASSERT(index_write(runs.dir, error, sizeof error));
    file_read(&runs, "index.html", &page);
    CU_ASSERT_EQUAL(times_in(&page, "<tr><td>"), 2);
    CU_ASSERT_EQUAL(times_in(&page, "href=\"bench/latest/report.html\""), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(page.data, "2 runs: 2 valid, 0 invalid, 0 unknown"));
    CU_ASSERT_PTR_NOT_NULL(strstr(page.data, "href=\"&lt;good&gt;/20261121T080002-1/report.html"));
    CU_ASSERT(strstr(page.data, "080002-1/report") < strstr(page.data, "080001-1/report"));
    /* one is deleted */
    snprintf(path, sizeof path, "%s/<good>/20261121T080002-1", runs.dir);
    dir_remove(path);
    snprintf(path, sizeof path, "%s/<good>/20261121T080001-1", runs.dir);
    CU_ASSERT(index_update(path, error, sizeof error));
    buffer_clear(&page);
    file_read(&runs, "index.html", &page);
    CU_ASSERT_EQUAL(times_in(&page, "<tr><td>"), 1);
    CU_ASSERT_FALSE(index_write("/nowhere", error, sizeof error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "/nowhere/index.html cannot be written"));
    fclose(nowhere.out);
    buffer_release(&page);
    dir_remove(runs.dir);
    folder_destroy(f);
}

/* What comes from outside is shown, never run; and nothing is fetched. */
static void test_escaped(void)
{
    struct folder *f = folder_good(false);

    line_insert(file_of(f, "consumer_2.txt"), 11, "T1     <script>alert('\"&\"')</script>");
    line_edit(file_of(f, "run.json"), 0, "make scenario-good", "make <b>\\u0007</b>");
    struct judged j = folder_judge(f);
    CU_ASSERT_EQUAL(j.verdict, VERDICT_INVALID);
    CU_ASSERT_PTR_NULL(strstr(j.report.data, "<script"));
    CU_ASSERT_PTR_NULL(strstr(j.report.data, "<b>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(j.report.data, "&lt;script&gt;alert(&#39;&quot;&amp;"));
    CU_ASSERT_PTR_NULL(strstr(j.report.data, "http://"));
    CU_ASSERT_PTR_NULL(strstr(j.report.data, "https://"));
    CU_ASSERT_PTR_NULL(strstr(j.report.data, "src="));
    CU_ASSERT_PTR_NOT_NULL(strstr(j.summary.data, "phantom C2 T1 (its file): line 12 reads"));
    judged_release(&j);
    folder_destroy(f);
}

/* Whatever bytes a consumer's file holds, what is written is text. */
static void test_bytes(void)
{
    struct folder *f = folder_good(false);
    struct json_document document;

    line_insert(file_of(f, "consumer_2.txt"), 3, "T1     \xff\xfe\x1b[31m");
    struct judged j = folder_judge(f);
    CU_ASSERT_EQUAL(j.verdict, VERDICT_INVALID);
    CU_ASSERT_EQUAL(json_parse(&document, buffer_slice(&j.result)), JSON_OK);
    CU_ASSERT(utf8_valid(buffer_slice(&j.report)));
    CU_ASSERT_PTR_NOT_NULL(strstr(j.summary.data, "'\\xFF\\xFE\\x1B[31m', which nobody sent"));
    json_release(&document);
    judged_release(&j);
    folder_destroy(f);
}

/* A run that broke off before anything was sent. */
static void test_nothing_sent(void)
{
    struct folder *f = folder_good(false);
    static const char *const names[] = {
        "history/P1.jsonl", "history/P2.jsonl", "history/P3.jsonl",
        "history/C1.jsonl", "history/C2.jsonl", "history/harness.jsonl",
        "consumer_1.txt",   "consumer_2.txt",   "rows.jsonl"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file *file = file_of(f, names[i]);
        while (file->count > 0) {
            line_remove(file, 0);
        }
    }
    struct judged j = folder_judge(f);
    CU_ASSERT_EQUAL(j.verdict, VERDICT_UNKNOWN);
    CU_ASSERT_PTR_NOT_NULL(strstr(j.report.data, "Nothing was sent."));
    judged_release(&j);
    folder_destroy(f);
}

/* A killed process may leave half a line at the end, and nowhere else. */
static void test_torn(void)
{
    struct folder *f = folder_good(false);
    char path[256];
    struct judged j = folder_judge(f);
    struct judge_output nowhere = {.out = fopen("/dev/null", "w")};

    snprintf(path, sizeof path, "%s/history/P3.jsonl", j.dir);
    FILE *file = fopen(path, "a");
    fputs("{\"t\":77,\"process\":\"P3\",\"op\":\"se", file);
    fclose(file);
    CU_ASSERT_EQUAL(judge_run(j.dir, &nowhere, j.error, sizeof j.error), VERDICT_VALID);
    file = fopen(path, "a");
    fputs("\n", file);
    fclose(file);
    CU_ASSERT_EQUAL(judge_run(j.dir, &nowhere, j.error, sizeof j.error), VERDICT_FAILED);
    fclose(nowhere.out);
    CU_ASSERT_PTR_NOT_NULL(strstr(j.error, "P3.jsonl:50: not a JSON object"));
    judged_release(&j);
    folder_destroy(f);
}

/* Files that cannot be understood: one line that says which and why. */
static void test_failed(void)
{
    static const struct {
        const char *file;
        const char *line;
        const char *words;
    } cases[] = {
        {"run.json", "nonsense", "run.json: not a JSON object"},
        {"scenario/scenario.conf", "nonsense", "scenario.conf:1: "},
        {"history/P1.jsonl", "{\"type\":\"ok\"}", "without 't'"},
        {"history/P1.jsonl", "{\"t\":1,\"type\":\"okay\"}", "'type' is not"},
        {"history/P1.jsonl", "{\"t\":1,\"type\":\"ok\",\"op\":\"send\",\"line\":99}",
         "a send that never began"},
        {"history/C1.jsonl", "{\"t\":1,\"type\":\"ok\",\"op\":\"receive\"}", "a receive without"},
        {"history/harness.jsonl", "{\"t\":1,\"type\":\"hit\",\"op\":\"fault\",\"fault\":9}",
         "a fault that never began"},
        {"rows.jsonl", "{\"topic\":\"T1\"}", "a row without"},
        {"rows.jsonl", "[]", "not a JSON object"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct folder *f = folder_good(false);
        line_set(file_of(f, cases[i].file), 0, cases[i].line);
        struct judged j = folder_judge(f);
        CU_ASSERT_EQUAL(j.verdict, VERDICT_FAILED);
        CU_ASSERT_PTR_NOT_NULL(strstr(j.error, cases[i].words));
        CU_ASSERT_EQUAL(j.summary.size, 0);
        judged_release(&j);
        folder_destroy(f);
    }
}

static void test_wording(void)
{
    struct buffer b = BUFFER_INIT;

    word_number(&b, 0);
    buffer_append_char(&b, ' ');
    word_number(&b, 999);
    buffer_append_char(&b, ' ');
    word_number(&b, 1234567);
    buffer_append_char(&b, ' ');
    word_number(&b, -1234);
    buffer_append_char(&b, ' ');
    word_count(&b, 1, "ack");
    buffer_append_char(&b, ' ');
    word_count(&b, 2, "ack");
    buffer_append_char(&b, ' ');
    word_span(&b, 3240000);
    buffer_append_char(&b, ' ');
    word_span(&b, 525300000);
    buffer_append_char(&b, ' ');
    word_span(&b, 4120000000);
    CU_ASSERT_STRING_EQUAL(b.data, "0 999 1,234,567 -1,234 1 ack 2 acks 3.2 ms 525 ms 4.1 s");
    buffer_release(&b);
}

/* A row is gone: who sent it, what lies around it, and who was given it. */
static void test_explained(void)
{
    struct folder *f = folder_good(false);
    char error[512] = "";
    char dir[128];
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    struct file *rows = file_of(f, "rows.jsonl");
    line_remove(rows, line_with(rows, "\"T1\"", "\"offset\":3,", 0));
    dir_make(dir, sizeof dir);
    folder_write(f, dir);
    struct judge_output output = {.out = out, .explains = true};
    CU_ASSERT_EQUAL(judge_run(dir, &output, error, sizeof error), VERDICT_INVALID);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "lost (store) P2 T1 ×1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "send      P2 line 2 'message 2-2' at "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "row       offset 4, producer id 30"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "row       none at offset 3"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "received  C2 line 4, offset 3 <-- 'message 2-2'"));
    free(text);
    dir_remove(dir);
    folder_destroy(f);
}

static void test_units(void)
{
    static const struct {
        int64_t count;
        const char *plural;
        const char *words;
    } cases[] = {
        {8, "requests in flight", "8 requests in flight"},
        {1, "requests in flight", "1 request in flight"},
        {1, "replies lost", "1 reply lost"},
        {1, "crashes", "1 crash"},
        {1, "refused writes", "1 refused write"},
        {0, "bytes delayed", "0 bytes delayed"},
        {1, "seconds the broker's clock moved", "1 second the broker's clock moved"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = BUFFER_INIT;
        word_units(&b, cases[i].count, cases[i].plural);
        CU_ASSERT_STRING_EQUAL(b.data, cases[i].words);
        buffer_release(&b);
    }
}

SUITE("judge", {"a valid run", test_valid}, {"what was found is explained", test_explained},
      {"a valid run for machines", test_machines_valid},
      {"an invalid run for machines", test_machines_invalid},
      {"an unknown run for machines", test_machines_unknown}, {"the list of runs", test_index},
      {"what comes from outside is escaped", test_escaped}, {"bytes that are no text", test_bytes},
      {"a run in which nothing was sent", test_nothing_sent}, {"a torn last line", test_torn},
      {"files that cannot be understood", test_failed}, {"numbers in words", test_wording},
      {"units in words", test_units})
