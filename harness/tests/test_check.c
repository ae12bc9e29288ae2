/*
 * test_check.c - a good run is valid; broken in one place, the break is found, named and
 * shown, and nothing else is said.
 *
 * Every test runs twice: with messages that are all unlike, and with messages that are
 * only ever INFO, DEBUG and ERROR, as in the course's logs.
 */
#include "common/tests/suite.h"
#include "harness/tests/judged.h"

/* Two neighbouring T1 lines of consumer 2 whose messages differ; only T1 is there. */
static size_t differing(const struct file *file)
{
    size_t i = 4;
    while (strcmp(file->lines[i], file->lines[i + 1]) == 0) {
        i++;
    }
    return i;
}

static size_t receive_at(const struct file *file, size_t n)
{
    return line_with(file, "\"receive\"", "", n);
}

/* ---- as it should be ------------------------------------------------------------------ */

static void good(struct folder *f)
{
    struct judged o = folder_check(f);
    if (o.c->verdict != VERDICT_VALID) {
        judged_print(&o);
    }
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(o.c->acknowledged, PRODUCERS * ROUND_COUNT);
    CU_ASSERT_EQUAL(o.c->delivery_count, 3);
    for (size_t i = 0; i < o.c->delivery_count; i++) {
        CU_ASSERT(o.c->deliveries[i].expected > 0);
        CU_ASSERT_EQUAL(o.c->deliveries[i].received, o.c->deliveries[i].expected);
        CU_ASSERT_EQUAL(o.c->deliveries[i].missing, 0);
    }
    CU_ASSERT_EQUAL(o.c->faults[0].in_flight, 1);
    CU_ASSERT_EQUAL(o.c->faults[0].interrupted, 1);
    CU_ASSERT_EQUAL(check_span_ns(o.c->faults[0].hit_ns, o.c->faults[0].end_ns), 3000000);
    CU_ASSERT_EQUAL(o.c->producers[1].retries, 1);
    CU_ASSERT_STRING_EQUAL(o.c->sentence,
                           "Valid: 36 messages from 3 producers arrived exactly once and in order "
                           "at 2 consumers, through 1 broker kill.");
    judged_release(&o);
}

static void test_good(void)
{
    WITH_BOTH(good)
}

/* ---- a consumer's file alone ------------------------------------------------------------ */

static void file_lost(struct folder *f)
{
    line_remove(file_of(f, "consumer_2.txt"), 7);
    FOUND(f, {FINDING_LOST, SOURCE_FILE, "C2", 1, 1, "it was received"});
}

static void file_lost_last(struct folder *f)
{
    struct file *file = file_of(f, "consumer_1.txt");
    line_remove(file, file->count - 1);
    FOUND(f, {FINDING_LOST, SOURCE_FILE, "C1", 1, 1, "it was received"});
}

static void file_doubled(struct folder *f)
{
    struct file *file = file_of(f, "consumer_2.txt");
    line_insert(file, 9, file->lines[8]);
    FOUND(f, {FINDING_REDELIVERED, SOURCE_FILE, "C2", 1, 1, "one more than was sent"});
}

static void file_doubled_last(struct folder *f)
{
    struct file *file = file_of(f, "consumer_2.txt");
    line_insert(file, file->count, file->lines[file->count - 1]);
    FOUND(f, {FINDING_REDELIVERED, SOURCE_FILE, "C2", 1, 1, "one more than was sent"});
}

static void file_swapped(struct folder *f)
{
    struct file *file = file_of(f, "consumer_2.txt");
    size_t at = differing(file);
    line_swap(file, at, at + 1);
    FOUND(f, {FINDING_OUT_OF_ORDER, SOURCE_FILE, "C2", 1, 1, "belongs"});
}

static void file_foreign(struct folder *f)
{
    line_insert(file_of(f, "consumer_2.txt"), 11, "T1     never sent by anyone");
    FOUND(f, {FINDING_PHANTOM, SOURCE_FILE, "C2", 1, 1, "line 12 reads 'never sent by anyone'"});
}

static void file_changed(struct folder *f)
{
    line_set(file_of(f, "consumer_2.txt"), 11, "T1     never sent by anyone");
    FOUND(f, {FINDING_CORRUPT, SOURCE_FILE, "C2", 1, 1,
              "line 12 reads 'never sent by anyone', which nobody sent; it should be offset 11 ("});
}

static void file_misrouted(struct folder *f)
{
    struct file *file = file_of(f, "consumer_1.txt");
    size_t at = line_with(file, "T1     ", "", 9);
    line_edit(file, at, "T1", "T2");
    FOUND(f, {FINDING_MISROUTED, SOURCE_FILE, "C1", 2, 1, "is under topic 'T2'"});
}

static void file_unread_topic(struct folder *f)
{
    line_edit(file_of(f, "consumer_2.txt"), 9, "T1", "T2");
    FOUND(f, {FINDING_MISROUTED, SOURCE_FILE, "C2", 0, 1, "is under topic 'T2'"});
}

static void file_not_a_line(struct folder *f)
{
    line_insert(file_of(f, "consumer_2.txt"), 3, "what is this?");
    FOUND(f, {FINDING_PHANTOM, SOURCE_FILE, "C2", 0, 1, "reads 'what is this?'"});
}

/* Between topics no order is promised; but the file must be what was received. */
static void file_interleaved(struct folder *f)
{
    struct file *file = file_of(f, "consumer_1.txt");
    size_t at = line_with(file, "T2     ", "", 1);
    line_swap(file, at, at + 1);
    FOUND(f, {FINDING_FILE_DIFFERS, SOURCE_FILE, "C1", 0, 1, "received was"});
}

static void file_absent(struct folder *f)
{
    struct file *file = file_of(f, "consumer_2.txt");
    while (file->count > 0) {
        line_remove(file, 0);
    }
    FOUND(f, {FINDING_LOST, SOURCE_FILE, "C2", 1, 30, "it was received"});
}

static void test_file(void)
{
    WITH_BOTH(file_lost)
    WITH_BOTH(file_lost_last)
    WITH_BOTH(file_doubled)
    WITH_BOTH(file_doubled_last)
    WITH_BOTH(file_swapped)
    WITH_BOTH(file_foreign)
    WITH_BOTH(file_changed)
    WITH_BOTH(file_misrouted)
    WITH_BOTH(file_unread_topic)
    WITH_BOTH(file_not_a_line)
    WITH_BOTH(file_interleaved)
    WITH_BOTH(file_absent)
}

/* ---- a consumer's file, and no history of it --------------------------------------------- */

static void history_forget(struct folder *f, int consumer)
{
    char name[48];
    snprintf(name, sizeof name, "history/C%d.jsonl", consumer);
    snprintf(file_of(f, name)->name, sizeof name, "history/lost-%d", consumer);
}

#define NO_HISTORY(process)                                                                        \
    {                                                                                              \
        FINDING_NO_HISTORY, SOURCE_HISTORY, process, 0, 1, "there is no"                           \
    }

static void alone_good(struct folder *f)
{
    history_forget(f, 2);
    FOUND(f, NO_HISTORY("C2"));
}

static void alone_lost(struct folder *f)
{
    history_forget(f, 2);
    line_remove(file_of(f, "consumer_2.txt"), 7);
    FOUND(f, NO_HISTORY("C2"), {FINDING_LOST, SOURCE_FILE, "C2", 1, 1, "later ones were"});
}

static void alone_doubled(struct folder *f)
{
    struct file *file = file_of(f, "consumer_2.txt");
    history_forget(f, 2);
    line_insert(file, 9, file->lines[8]);
    FOUND(f, NO_HISTORY("C2"), {FINDING_REDELIVERED, SOURCE_FILE, "C2", 1, 1, "one more"});
}

static void alone_swapped(struct folder *f)
{
    struct file *file = file_of(f, "consumer_2.txt");
    size_t at = differing(file);
    history_forget(f, 2);
    line_swap(file, at, at + 1);
    FOUND(f, NO_HISTORY("C2"), {FINDING_OUT_OF_ORDER, SOURCE_FILE, "C2", 1, 1, "belongs"});
}

static void alone_foreign(struct folder *f)
{
    history_forget(f, 2);
    line_insert(file_of(f, "consumer_2.txt"), 11, "T1     never sent by anyone");
    FOUND(f, NO_HISTORY("C2"), {FINDING_PHANTOM, SOURCE_FILE, "C2", 1, 1, "nobody sent"});
}

static void alone_misrouted(struct folder *f)
{
    struct file *file = file_of(f, "consumer_1.txt");
    history_forget(f, 1);
    line_edit(file, line_with(file, "T1     ", "", 9), "T1", "T2");
    FOUND(f, NO_HISTORY("C1"), {FINDING_MISROUTED, SOURCE_FILE, "C1", 2, 1, "topic 'T2'"});
}

static void test_file_alone(void)
{
    WITH_BOTH(alone_good)
    WITH_BOTH(alone_lost)
    WITH_BOTH(alone_doubled)
    WITH_BOTH(alone_swapped)
    WITH_BOTH(alone_foreign)
    WITH_BOTH(alone_misrouted)
}

/* ---- a consumer's history alone ----------------------------------------------------------- */

static void history_lost(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_remove(file, receive_at(file, 7));
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "later ones were"});
}

static void history_lost_last(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_remove(file, receive_at(file, 29));
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "the broker said"});
}

static void history_doubled(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_insert(file, receive_at(file, 8), file->lines[receive_at(file, 8)]);
    FOUND(f, {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "again"});
}

static void history_swapped(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_swap(file, receive_at(file, 8), receive_at(file, 9));
    FOUND(f, {FINDING_OUT_OF_ORDER, SOURCE_HISTORY, "C2", 1, 1, "belongs"},
          {FINDING_ORDER_DISAGREEMENT, SOURCE_HISTORY, "C2", 1, 1, "the other way round",
           "out-of-order"});
}

static void history_foreign_add(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_insert(file, receive_at(file, 8),
                "{\"t\":5000000,\"process\":\"C2\",\"op\":\"receive\",\"type\":\"ok\",\"line\":9,"
                "\"topic\":\"T1\",\"offset\":8,\"message\":\"never sent by anyone\"}");
}

static void history_foreign(struct folder *f)
{
    history_foreign_add(f);
    FOUND(f, {FINDING_PHANTOM, SOURCE_HISTORY, "C2", 1, 1, "which nobody sent"});
}

static void history_no_such_offset(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    size_t at = receive_at(file, 29);
    line_insert(file, at + 1, file->lines[at]);
    line_edit(file, at + 1, "\"offset\":29", "\"offset\":900");
    FOUND(f, {FINDING_PHANTOM, SOURCE_HISTORY, "C2", 1, 1, "offset 900, which no message"});
}

static void history_changed(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    size_t at = receive_at(file, 8);
    char *message = strstr(file->lines[at], "\"message\"");
    snprintf(message, strlen(message) + 1, "\"message\":\"x\"}");
    FOUND(f, {FINDING_CORRUPT, SOURCE_HISTORY, "C2", 1, 1,
              "reads 'x', which nobody sent; it should be offset 8 ("});
}

static void history_misrouted(struct folder *f)
{
    struct file *file = file_of(f, "history/C1.jsonl");
    size_t at = line_with(file, "\"receive\"", "\"topic\":\"T1\"", 20);
    line_edit(file, at, "\"topic\":\"T1\"", "\"topic\":\"T2\"");
    FOUND(f, {FINDING_MISROUTED, SOURCE_HISTORY, "C1", 2, 1, "is under topic 'T2'"});
}

/* The same, where the other topic has that offset too, and it is still to come. */
static void history_misrouted_early(struct folder *f)
{
    struct file *file = file_of(f, "history/C1.jsonl");
    size_t at = line_with(file, "\"receive\"", "\"topic\":\"T1\"", 5);
    line_edit(file, at, "\"topic\":\"T1\"", "\"topic\":\"T2\"");
    FOUND(f, {FINDING_MISROUTED, SOURCE_HISTORY, "C1", 2, 1, "is under topic 'T2'"});
}

static void test_history(void)
{
    WITH_BOTH(history_lost)
    WITH_BOTH(history_lost_last)
    WITH_BOTH(history_doubled)
    WITH_BOTH(history_swapped)
    WITH_BOTH(history_foreign)
    WITH_BOTH(history_no_such_offset)
    WITH_BOTH(history_changed)
    WITH_BOTH(history_misrouted)
    WITH_BOTH(history_misrouted_early)
}

/* ---- both the same: what a broker that is wrong would leave ------------------------------- */

/* Give the receive events of a consumer's history their line numbers again. */
static void lines_renumber(struct file *file)
{
    size_t number = 0;
    for (size_t i = 0; i < file->count; i++) {
        char *at = strstr(file->lines[i], "\"line\":");
        if (at == NULL || strstr(file->lines[i], "\"receive\"") == NULL) {
            continue;
        }
        char edited[1024];
        const char *rest = strchr(at, ',');
        snprintf(edited, sizeof edited, "%.*s\"line\":%zu%s", (int)(at - file->lines[i]),
                 file->lines[i], ++number, rest);
        line_set(file, i, edited);
    }
}

static void both_lost(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_remove(file, receive_at(file, 7));
    lines_renumber(file);
    line_remove(file_of(f, "consumer_2.txt"), 7);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "later ones were"});
}

static void both_unseen(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    line_remove(file, file->count - 1); /* it never asked again */
    line_remove(file, file->count - 1);
    line_remove(file, file->count - 1);
    line_remove(file_of(f, "consumer_2.txt"), 29);
    FOUND(f, {FINDING_UNSEEN, SOURCE_HISTORY, "C2", 1, 1, "nor was anything after it"});
}

/* It left off, and the last of all came before two others: what is missing was passed over. */
static void both_passed_over(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    struct file *output = file_of(f, "consumer_2.txt");
    line_remove(file, file->count - 1); /* it never asked again */
    line_remove(file, file->count - 1);
    line_remove(file, receive_at(file, 28));
    line_remove(output, 28);
    line_swap(file, receive_at(file, 27), receive_at(file, 28));
    line_swap(file, receive_at(file, 26), receive_at(file, 27));
    line_swap(output, 27, 28);
    line_swap(output, 26, 27);
    lines_renumber(file);
    FOUND(f, {FINDING_OUT_OF_ORDER, SOURCE_HISTORY, "C2", 1, 1, "belongs after"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "in the middle; later ones were"},
          {FINDING_ORDER_DISAGREEMENT, SOURCE_HISTORY, "C2", 1, 2, "the other way round",
           "out-of-order"});
}

static void both_doubled(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    struct file *output = file_of(f, "consumer_2.txt");
    line_insert(file, receive_at(file, 8), file->lines[receive_at(file, 8)]);
    lines_renumber(file);
    line_insert(output, 8, output->lines[8]);
    FOUND(f, {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "line 10"});
}

static void both_swapped(struct folder *f)
{
    struct file *file = file_of(f, "history/C2.jsonl");
    struct file *output = file_of(f, "consumer_2.txt");
    size_t at = differing(output);
    line_swap(file, receive_at(file, at), receive_at(file, at + 1));
    lines_renumber(file);
    line_swap(output, at, at + 1);
    FOUND(f, {FINDING_OUT_OF_ORDER, SOURCE_HISTORY, "C2", 1, 1, "belongs"},
          {FINDING_ORDER_DISAGREEMENT, SOURCE_HISTORY, "C2", 1, 1, "the other way round",
           "out-of-order"});
}

static void both_foreign(struct folder *f)
{
    history_foreign_add(f);
    lines_renumber(file_of(f, "history/C2.jsonl"));
    line_insert(file_of(f, "consumer_2.txt"), 8, "T1     never sent by anyone");
    FOUND(f, {FINDING_PHANTOM, SOURCE_HISTORY, "C2", 1, 1, "line 9 reads 'never sent"});
}

static void both_misrouted(struct folder *f)
{
    struct file *file = file_of(f, "history/C1.jsonl");
    struct file *output = file_of(f, "consumer_1.txt");
    line_edit(file, line_with(file, "\"receive\"", "\"topic\":\"T1\"", 20), "T1", "T2");
    line_edit(output, line_with(output, "T1     ", "", 20), "T1", "T2");
    FOUND(f, {FINDING_MISROUTED, SOURCE_HISTORY, "C1", 2, 1, "is under topic 'T2'"});
}

static void test_both(void)
{
    WITH_BOTH(both_lost)
    WITH_BOTH(both_unseen)
    WITH_BOTH(both_passed_over)
    WITH_BOTH(both_doubled)
    WITH_BOTH(both_swapped)
    WITH_BOTH(both_foreign)
    WITH_BOTH(both_misrouted)
}

/* ---- the store ---------------------------------------------------------------------------- */

static size_t row_at(const struct file *rows, int topic, int64_t offset)
{
    char one[32];
    char two[32];
    snprintf(one, sizeof one, "\"topic\":\"T%d\"", topic);
    snprintf(two, sizeof two, "\"offset\":%" PRId64 ",", offset);
    return line_with(rows, one, two, 0);
}

static void row_missing(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_remove(rows, row_at(rows, 1, 3)); /* P2's second line */
    FOUND(f, {FINDING_LOST, SOURCE_STORE, "P2", 1, 1, "acknowledged at offset 3;"});
}

/* The log's limits have removed the first three; the fourth is missing without that. */
static void rows_removed(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    for (int64_t offset = 0; offset < 3; offset++) {
        line_remove(rows, row_at(rows, 1, offset));
    }
    line_insert(rows, 0, "{\"topic\":\"T1\",\"first_offset\":3}");
    found(f, NULL, 0);
    row_missing(f);
}

/* Its outcome was unknown, all have taken it, and the log's limits removed it. */
static void rows_removed_unknown(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    int64_t offset = 0;
    struct file *p1 = file_of(f, "history/P1.jsonl");
    size_t end = line_with(p1, "\"send\",\"type\":\"ok\"", "\"topic\":\"T1\"", 0);
    const char *at = strstr(p1->lines[end], "\"offset\":");

    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    sscanf(at, "\"offset\":%" SCNd64, &offset);
    line_edit(p1, end, "\"ok\"", "\"info\"");
    for (int64_t i = 0; i <= offset; i++) {
        line_remove(rows, row_at(rows, 1, i));
    }
    char limits[64];
    snprintf(limits, sizeof limits, "{\"topic\":\"T1\",\"first_offset\":%" PRId64 "}", offset + 1);
    line_insert(rows, 0, limits);
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P1", 1, 1, "ended as unknown"});
}

static void row_extra(struct folder *f)
{
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":20,"
        "\"sequence\":999,\"message\":\"INFO\"}");
    FOUND(f, {FINDING_PHANTOM, SOURCE_STORE, "P2", 1, 1, "offset 30 holds 'INFO'"});
}

static void row_of_nobody(struct folder *f)
{
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":77,"
        "\"sequence\":0,\"message\":\"INFO\"}");
    FOUND(f, {FINDING_PHANTOM, SOURCE_STORE, "", 1, 1, "producer id 77"});
}

static void row_text(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    size_t at = row_at(rows, 1, 3);
    char *message = strstr(rows->lines[at], "\"message\"");
    snprintf(message, strlen(message) + 1, "\"message\":\"x\"}");
    FOUND(f, {FINDING_CORRUPT, SOURCE_STORE, "P2", 1, 1, "offset 3 holds 'x'"});
}

static void row_producer(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_edit(rows, row_at(rows, 1, 3), "\"producer_id\":20", "\"producer_id\":30");
    FOUND(f, {FINDING_CORRUPT, SOURCE_STORE, "P2", 1, 1, "stored as producer id 30"});
}

/* The number names no line. */
static void row_misnumbered(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_edit(rows, row_at(rows, 1, 3), "\"sequence\":1,", "\"sequence\":77,");
    FOUND(f, {FINDING_CORRUPT, SOURCE_STORE, "P2", 1, 1,
              "offset 3 is stored with sequence 77, which is not line 2's"});
}

/* The number is that of P2's first line, which has the third's text when texts are alike: then it
 * is stored twice, and the third not at all. */
static void row_with_number_of_other(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_edit(rows, row_at(rows, 1, 6), "\"sequence\":2,", "\"sequence\":0,");
    if (!f->plain) {
        FOUND(f, {FINDING_CORRUPT, SOURCE_STORE, "P2", 1, 1, "with sequence 0"});
        return;
    }
    FOUND(f, {FINDING_DUPLICATE, SOURCE_STORE, "P2", 1, 1, "line 1 is at offset 1 and again at 6"},
          {FINDING_INCONSISTENT_OFFSET, SOURCE_STORE, "P2", 1, 1, "acknowledged at offset 6"},
          {FINDING_LOST, SOURCE_STORE, "P2", 1, 1, "no row of it", "inconsistent-offset"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C1", 1, 1, "is the copy", "duplicate"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "is the copy", "duplicate"});
}

/* Alike lines have changed places: only their numbers tell. */
static void rows_with_exchanged_numbers(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_edit(rows, row_at(rows, 1, 6), "\"sequence\":2,", "\"sequence\":0,");
    line_edit(rows, row_at(rows, 1, 1), "\"sequence\":0,", "\"sequence\":2,");
    if (!f->plain) {
        FOUND(f, {FINDING_CORRUPT, SOURCE_STORE, "P2", 1, 2, "with sequence 2"});
        return;
    }
    FOUND(f, {FINDING_INCONSISTENT_OFFSET, SOURCE_STORE, "P2", 1, 2, "but the store has it at"},
          {FINDING_PRODUCER_ORDER, SOURCE_HISTORY, "P2", 1, 2, "before line 1 at 6"});
}

/* A refused line takes no number: those behind it have one less. */
static void numbers_after_refusal(struct folder *f)
{
    add(f, "scenario/producer_2.txt", "21:52:23\tDEBUG\t\tP2-13\t\tT1");
    line_swap(file_of(f, "scenario/producer_2.txt"), 11, 12); /* P2's 12th line is the new one */
    struct file *p2 = file_of(f, "history/P2.jsonl");
    for (size_t i = 0; i < p2->count; i++) {
        if (strstr(p2->lines[i], "\"line\":12,") != NULL) {
            line_edit(p2, i, "\"line\":12,", "\"line\":13,");
        }
    }
    add(f, "history/P2.jsonl",
        "{\"t\":900000000,\"process\":\"P2\",\"op\":\"send\",\"type\":\"invoke\",\"line\":12,"
        "\"topic\":\"T1\",\"message\":\"DEBUG\"}");
    add(f, "history/P2.jsonl",
        "{\"t\":900000001,\"process\":\"P2\",\"op\":\"send\",\"type\":\"fail\",\"line\":12,"
        "\"topic\":\"T1\",\"code\":\"refused\"}");
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P2", 1, 1, "line 12 ended as refused"});
}

/* A retry that was not recognised: consumers are given it too. */
static void row_twice(struct folder *f)
{
    char message[64];
    message_make(f, 1, 12, message, sizeof message);
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":20,"
        "\"sequence\":11,\"message\":\"%s\"}",
        message);
    FOUND(f, {FINDING_DUPLICATE, SOURCE_STORE, "P2", 1, 1, "line 12 is at offset"});
}

/* The same of a producer that sends no sequences: only the text tells which line it is. */
static void row_twice_unnumbered(struct folder *f)
{
    char message[64];
    message_make(f, 1, 12, message, sizeof message);
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":20,"
        "\"sequence\":null,\"message\":\"%s\"}",
        message);
    FOUND(f, {FINDING_DUPLICATE, SOURCE_STORE, "P2", 1, 1, "is at offset"});
}

static void row_same_offset(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    size_t at = row_at(rows, 1, 4);
    line_insert(rows, at, rows->lines[at]);
    FOUND(f, {FINDING_INCONSISTENT_OFFSET, SOURCE_STORE, "", 1, 1, "more than one row"});
}

/* The topic, or the producer, was there when it registered. */
static void forgotten(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    line_edit(p2, line_with(p2, "\"type\":\"info\"", "request", 0), "\"info\"", "\"fail\"");
    line_edit(p2, line_with(p2, "\"type\":\"fail\"", "request", 0), "\"http\":0",
              "\"http\":400,\"code\":\"unknown_producer\"");
    struct file *c1 = file_of(f, "history/C1.jsonl");
    line_edit(c1, c1->count - 1, "no_message", "unknown_topic");
    FOUND(f, {FINDING_FORGOTTEN, SOURCE_HISTORY, "fault 1", 0, 2, "producer id 20, which is P2's"},
          {FINDING_FORGOTTEN, SOURCE_HISTORY, "P2", 1, 1, "HTTP 400 unknown_producer", "forgotten"},
          {FINDING_FORGOTTEN, SOURCE_HISTORY, "C1", 2, 1, "HTTP 400 unknown_topic", "forgotten"});
}

static void rows_absent(struct folder *f)
{
    snprintf(file_of(f, "rows.jsonl")->name, 32, "no-rows");
    FOUND(f, {FINDING_ROWS_UNREAD, SOURCE_STORE, "", 0, 1, "no rows.jsonl"});
}

/* The last message of T1 is at 31 everywhere, and nothing is at 30 and 29. */
static void not_dense(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    struct file *p3 = file_of(f, "history/P3.jsonl");
    line_edit(rows, row_at(rows, 1, 29), "\"offset\":29", "\"offset\":31");
    line_edit(p3, line_with(p3, "\"send\"", "\"offset\":29", 0), "\"offset\":29", "\"offset\":31");
    for (int c = 1; c <= 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        line_edit(file, line_with(file, "\"topic\":\"T1\",\"offset\":29", "receive", 0),
                  "\"offset\":29", "\"offset\":31");
        line_edit(file, line_with(file, "\"topic\":\"T1\",\"offset\":30", "consume", 0),
                  "\"offset\":30", "\"offset\":32");
    }
    FOUND(f, {FINDING_NOT_DENSE, SOURCE_STORE, "", 1, 1, "offsets 29 to 30 do not exist"});
}

static void test_store(void)
{
    WITH_BOTH(row_missing)
    WITH_BOTH(rows_removed)
    WITH_BOTH(rows_removed_unknown)
    WITH_BOTH(row_extra)
    WITH_BOTH(row_of_nobody)
    WITH_BOTH(row_text)
    WITH_BOTH(row_producer)
    WITH_BOTH(row_misnumbered)
    WITH_BOTH(row_with_number_of_other)
    WITH_BOTH(rows_with_exchanged_numbers)
    WITH_BOTH(numbers_after_refusal)
    WITH_BOTH(row_twice)
    WITH_BOTH(row_twice_unnumbered)
    WITH_BOTH(row_same_offset)
    WITH_BOTH(forgotten)
    WITH_BOTH(rows_absent)
    WITH_BOTH(not_dense)
}

/* ---- producers ----------------------------------------------------------------------------- */

static size_t send_end(const struct file *file, int64_t line)
{
    char text[48];
    snprintf(text, sizeof text, "\"line\":%" PRId64 ",", line);
    return line_with(file, "\"op\":\"send\",\"type\":\"ok\"", text, 0);
}

/* The store has it where it belongs, so the acknowledgement is what is wrong. */
static void acked_twice(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    size_t at = send_end(p2, 2);
    line_edit(p2, at, "\"offset\":3}", "\"offset\":1}"); /* P2's first line is there */
    FOUND(f, {FINDING_INCONSISTENT_OFFSET, SOURCE_STORE, "P2", 1, 1,
              "acknowledged at offset 1, but the store has it at 3"});
}

/* Without rows nobody knows which of the two is right, and what the other's offset holds. */
static void acked_twice_no_rows(struct folder *f)
{
    struct file *p3 = file_of(f, "history/P3.jsonl");
    line_edit(p3, send_end(p3, 12), "\"offset\":29}", "\"offset\":28}"); /* P2's last line */
    snprintf(file_of(f, "rows.jsonl")->name, 32, "no-rows");
    line_edit(file_of(f, "run.json"), 0, "postgres", "memory");
    for (int c = 1; c <= 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        line_remove(file, line_with(file, "\"topic\":\"T1\",\"offset\":29", "receive", 0));
        snprintf(name, sizeof name, "consumer_%d.txt", c);
        line_remove(file_of(f, name), file_of(f, name)->count - 1);
    }
    FOUND(f, {FINDING_INCONSISTENT_OFFSET, SOURCE_HISTORY, "P3", 1, 1, "belongs to another"});
}

/* It ended as unknown, but is stored and was delivered: only the producer gave up. */
static void unacknowledged(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    line_set(p2, send_end(p2, 4),
             "{\"t\":60000000,\"process\":\"P2\",\"op\":\"send\",\"type\":\"info\",\"line\":4,"
             "\"topic\":\"T1\",\"code\":\"outcome_unknown\"}");
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P2", 1, 1,
              "line 4 ended as unknown (outcome_unknown); it is stored"});
}

static void refused_but_stored(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    line_set(p2, send_end(p2, 4),
             "{\"t\":60000000,\"process\":\"P2\",\"op\":\"send\",\"type\":\"fail\",\"line\":4,"
             "\"topic\":\"T1\",\"code\":\"bad_message\"}");
    FOUND(f, {FINDING_ABORTED_READ, SOURCE_STORE, "P2", 1, 1, "line 4 was refused (bad_message)"},
          {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P2", 1, 1, "line 4 ended as refused"});
}

static void end_unknown(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    line_remove(p2, send_end(p2, 4));
    FOUND(f, {FINDING_UNSENT, SOURCE_HISTORY, "P2", 1, 1, "no end of that was recorded"});
}

static void missent(struct folder *f)
{
    struct file *p2 = file_of(f, "scenario/producer_2.txt");
    char line[64];
    snprintf(line, sizeof line, "21:52:23\tsomething else\t\tP2-12\t\tT1");
    line_insert(p2, p2->count, line); /* and a line that was never sent */
    line_edit(p2, p2->count - 1, "something else", "another");
    FOUND(f, {FINDING_UNSENT, SOURCE_HISTORY, "P2", 1, 1, "line 13 was never sent"});
}

static void sent_otherwise(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    add(f, "history/P2.jsonl",
        "{\"t\":900000000,\"process\":\"P2\",\"op\":\"send\",\"type\":\"invoke\",\"line\":77,"
        "\"topic\":\"T1\",\"message\":\"made up\"}");
    CU_ASSERT(p2->count > 0);
    FOUND(f, {FINDING_MISSENT, SOURCE_HISTORY, "P2", 1, 1, "sent 'made up'"});
}

/* The consumers come when all has been sent: where messages change places, none of them is then
 * received before it was sent. */
static void consumers_come_late(struct folder *f)
{
    for (int c = 1; c <= 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        for (size_t i = 0; i < file->count; i++) {
            char edited[1024];
            char *rest;
            long long t = strtoll(file->lines[i] + strlen("{\"t\":"), &rest, 10);
            snprintf(edited, sizeof edited, "{\"t\":%lld%s", t + 500000000, rest);
            line_set(file, i, edited);
        }
    }
}

/* Lines 2 and 3 of P2 change places in the log; consumers agree with the log. */
static void producer_order(struct folder *f)
{
    consumers_come_late(f);
    struct file *p2 = file_of(f, "history/P2.jsonl");
    struct file *rows = file_of(f, "rows.jsonl");
    size_t a = send_end(p2, 2);
    size_t b = send_end(p2, 3);
    line_edit(p2, a, "\"offset\":3}", "\"offset\":6}");
    line_edit(p2, b, "\"offset\":6}", "\"offset\":3}");
    a = row_at(rows, 1, 3);
    b = row_at(rows, 1, 6);
    line_edit(rows, a, "\"offset\":3,", "\"offset\":6,");
    line_edit(rows, b, "\"offset\":6,", "\"offset\":3,");
    for (int c = 1; c <= 2; c++) {
        char name[48];
        char two[64];
        char three[64];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        a = line_with(file, "\"topic\":\"T1\",\"offset\":3,", "receive", 0);
        b = line_with(file, "\"topic\":\"T1\",\"offset\":6,", "receive", 0);
        message_make(f, 1, 2, two, sizeof two);
        message_make(f, 1, 3, three, sizeof three);
        line_edit(file, a, two, three);
        line_edit(file, b, three, two);
        snprintf(name, sizeof name, "consumer_%d.txt", c);
        file = file_of(f, name);
        if (strcmp(two, three) != 0) {
            line_edit(file, line_with(file, "T1     ", "", 3), two, three);
            line_edit(file, line_with(file, "T1     ", "", 6), three, two);
        }
    }
    FOUND(f, {FINDING_PRODUCER_ORDER, SOURCE_HISTORY, "P2", 1, 1,
              "line 3 is at offset 3, before line 2 at 6"});
}

/* Its messages are there, and were delivered; nobody knows what it was told of them. */
static void producer_unrecorded(struct folder *f)
{
    snprintf(file_of(f, "history/P3.jsonl")->name, 48, "history/lost");
    FOUND(f, NO_HISTORY("P3"));
}

static void test_producers(void)
{
    WITH_BOTH(producer_unrecorded)
    WITH_BOTH(acked_twice)
    WITH_BOTH(acked_twice_no_rows)
    WITH_BOTH(unacknowledged)
    WITH_BOTH(refused_but_stored)
    WITH_BOTH(end_unknown)
    WITH_BOTH(missent)
    WITH_BOTH(sent_otherwise)
    WITH_BOTH(producer_order)
}

/* ---- the store is broken, and consumers get what it has -------------------------------------- */

/* Both consumers' receipt of an offset of T1, in history and file. */
static void receipts_remove(struct folder *f, int64_t offset)
{
    for (int c = 1; c <= 2; c++) {
        char name[48];
        char text[64];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        snprintf(text, sizeof text, "\"topic\":\"T1\",\"offset\":%" PRId64 ",", offset);
        struct file *file = file_of(f, name);
        line_remove(file, line_with(file, text, "receive", 0));
        lines_renumber(file);
        snprintf(name, sizeof name, "consumer_%d.txt", c);
        file = file_of(f, name);
        line_remove(file, line_with(file, "T1     ", "", (size_t)offset));
    }
}

/* Both consumers get one message more of T1, and have asked for what is behind it. */
static void receipts_add(struct folder *f, int64_t offset, const char *message)
{
    for (int c = 0; c < 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c + 1);
        struct file *file = file_of(f, name);
        line_edit(file, line_with(file, "\"topic\":\"T1\",\"offset\":30", "consume", 0),
                  "\"offset\":30", "\"offset\":31");
        received(f, c, 0, offset, message);
    }
}

static void row_lost(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_remove(rows, row_at(rows, 1, 3)); /* P2's second line */
    receipts_remove(f, 3);
    FOUND(f, {FINDING_LOST, SOURCE_STORE, "P2", 1, 1, "in the middle of the log"},
          {FINDING_LOST, SOURCE_HISTORY, "C1", 1, 1, "later ones were", "lost"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "later ones were", "lost"});
}

/* Not a false empty answer: what it should have given is gone. */
static void row_lost_last(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    line_remove(rows, row_at(rows, 1, 29));
    receipts_remove(f, 29);
    for (int c = 1; c <= 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        line_edit(file, line_with(file, "\"topic\":\"T1\",\"offset\":30", "consume", 0),
                  "\"offset\":30", "\"offset\":29");
    }
    FOUND(f, {FINDING_LOST, SOURCE_STORE, "P3", 1, 1, "at the end of the log"},
          {FINDING_LOST, SOURCE_HISTORY, "C1", 1, 1, "at the end; the broker said", "lost"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "at the end; the broker said", "lost"});
}

/* No rows, but nobody got it. */
static void lost_for_all(struct folder *f)
{
    snprintf(file_of(f, "rows.jsonl")->name, 32, "no-rows");
    line_edit(file_of(f, "run.json"), 0, "postgres", "memory");
    receipts_remove(f, 3);
    FOUND(f, {FINDING_LOST, SOURCE_STORE, "P2", 1, 1, "no consumer was given it"},
          {FINDING_LOST, SOURCE_HISTORY, "C1", 1, 1, "later ones were", "lost"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "later ones were", "lost"});
}

static void copy_delivered(struct folder *f)
{
    char message[64];
    message_make(f, 1, 12, message, sizeof message);
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":20,"
        "\"sequence\":11,\"message\":\"%s\"}",
        message);
    receipts_add(f, 30, message);
    FOUND(f, {FINDING_DUPLICATE, SOURCE_STORE, "P2", 1, 1, "by the broker: it was sent once"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C1", 1, 1, "is the copy", "duplicate"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "is the copy", "duplicate"});
}

/* The line that was on its way when the broker was killed was sent twice. */
static void copy_by_retry(struct folder *f)
{
    char message[64];
    message_make(f, 1, FAULT_ROUND, message, sizeof message);
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":20,"
        "\"sequence\":%d,\"message\":\"%s\"}",
        FAULT_ROUND - 1, message);
    receipts_add(f, 30, message);
    FOUND(f, {FINDING_DUPLICATE, SOURCE_STORE, "P2", 1, 1, "by a retry"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C1", 1, 1, "is the copy", "duplicate"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "is the copy", "duplicate"});
}

/* Without rows it is the deliveries that show it. */
static void copy_without_rows(struct folder *f)
{
    char message[64];
    message_make(f, 1, 12, message, sizeof message);
    snprintf(file_of(f, "rows.jsonl")->name, 32, "no-rows");
    line_edit(file_of(f, "run.json"), 0, "postgres", "memory");
    receipts_add(f, 30, message);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_INVALID);
    CU_ASSERT_EQUAL(o.c->findings.count, 3);
    CU_ASSERT_EQUAL(o.c->findings.items[0].kind, FINDING_DUPLICATE);
    judged_release(&o);
}

static void phantom_delivered(struct folder *f)
{
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":77,"
        "\"sequence\":0,\"message\":\"made up\"}");
    receipts_add(f, 30, "made up");
    FOUND(f, {FINDING_PHANTOM, SOURCE_STORE, "", 1, 1, "producer id 77"},
          {FINDING_PHANTOM, SOURCE_HISTORY, "C1", 1, 1, "what nobody sent", "phantom"},
          {FINDING_PHANTOM, SOURCE_HISTORY, "C2", 1, 1, "what nobody sent", "phantom"});
}

static void text_delivered(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    size_t at = row_at(rows, 1, 3);
    char message[64];
    message_make(f, 1, 2, message, sizeof message);
    line_edit(rows, at, message, "changed");
    for (int c = 1; c <= 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        at = line_with(file, "\"topic\":\"T1\",\"offset\":3,", "receive", 0);
        line_edit(file, at, message, "changed");
        snprintf(name, sizeof name, "consumer_%d.txt", c);
        file = file_of(f, name);
        line_edit(file, line_with(file, "T1     ", "", 3), message, "changed");
    }
    FOUND(f, {FINDING_CORRUPT, SOURCE_STORE, "P2", 1, 1, "offset 3 holds 'changed'"},
          {FINDING_CORRUPT, SOURCE_HISTORY, "C1", 1, 1, "reads 'changed'", "corrupt"},
          {FINDING_CORRUPT, SOURCE_HISTORY, "C2", 1, 1, "reads 'changed'", "corrupt"});
}

/* One offset, two messages: C2 was given another one there, which was sent, too. */
static void offset_of_two(struct folder *f)
{
    if (f->plain) {
        return; /* alike */
    }
    struct file *file = file_of(f, "history/C2.jsonl");
    line_edit(file, receive_at(file, 3), "message 2-2", "message 2-9");
    FOUND(f, {FINDING_INCONSISTENT_OFFSET, SOURCE_HISTORY, "C2", 1, 1, "sent to this topic, too"});
}

/* Its outcome was never known; it is stored, and C2 was given later ones, but not it. */
static void skipped(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    struct file *c2 = file_of(f, "history/C2.jsonl");
    line_remove(p2, send_end(p2, 2));
    line_remove(c2, line_with(c2, "\"offset\":3,", "receive", 0));
    lines_renumber(c2);
    line_remove(file_of(f, "consumer_2.txt"), 3);
    FOUND(f, {FINDING_UNSENT, SOURCE_HISTORY, "P2", 1, 1, "no end of that"},
          {FINDING_SKIPPED, SOURCE_HISTORY, "C2", 1, 1, "offset 3"});
}

static void sized(struct folder *f, int64_t size)
{
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64
        ",\"process\":\"C2\",\"op\":\"size\",\"type\":\"invoke\",\"topic\":\"T1\"}",
        tick(f));
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"size\",\"type\":\"ok\",\"topic\":\"T1\","
        "\"size\":%" PRId64 "}",
        tick(f), size);
}

/* In all files the offsets of a topic, from this one on, are others. */
static void offsets_shift(struct folder *f, int topic, int64_t from, int64_t last, int64_t by)
{
    char name[32];
    char old[32];
    char new[32];

    snprintf(name, sizeof name, "\"topic\":\"T%d\"", topic);
    for (int64_t n = 0; n <= last - from; n++) {
        int64_t offset = by > 0 ? last - n : from + n;
        for (size_t i = 0; i < f->count; i++) {
            for (size_t l = 0; l < f->files[i].count; l++) {
                const char *line = f->files[i].lines[l];
                for (const char *end = ",}"; *end != '\0' && strstr(line, name) != NULL; end++) {
                    snprintf(old, sizeof old, "\"offset\":%" PRId64 "%c", offset, *end);
                    snprintf(new, sizeof new, "\"offset\":%" PRId64 "%c", offset + by, *end);
                    if (strstr(line, old) != NULL) {
                        line_edit(&f->files[i], l, old, new);
                        break;
                    }
                }
            }
        }
    }
}

/* P3's line 5, of T1, is stored as T2's offset 2, and C1 is given it there. It was acknowledged at
 * that offset, or at its own. */
static void message_misroute(struct folder *f, bool acked_there)
{
    char message[64];
    char name[48];
    struct file *p3 = file_of(f, "history/P3.jsonl");
    size_t sent = line_with(p3, "\"op\":\"send\",\"type\":\"ok\"", "\"line\":5,", 0);
    int64_t own = strtoll(strstr(p3->lines[sent], "\"offset\":") + 9, NULL, 10);
    char offset[32];

    message_make(f, 2, 5, message, sizeof message);
    offsets_shift(f, 2, 2, 6, 1);
    snprintf(offset, sizeof offset, "\"offset\":%" PRId64, own);
    for (int c = 2; c >= 1; c--) {
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *history = file_of(f, name);
        size_t at = line_with(history, offset, "\"receive\",\"type\":\"ok\"", 0);
        for (size_t n = 0; strstr(history->lines[at], "\"T1\"") == NULL;) {
            at = line_with(history, offset, "\"receive\",\"type\":\"ok\"", ++n);
        }
        size_t line = strtoul(strstr(history->lines[at], "\"line\":") + 7, NULL, 10);
        snprintf(name, sizeof name, "consumer_%d.txt", c);
        if (c == 1) {
            line_edit(history, at, "\"T1\"", "\"T2\"");
            line_edit(history, at, offset, "\"offset\":2");
            line_edit(file_of(f, name), line - 1, "T1", "T2");
        } else {
            line_remove(history, at);
            lines_renumber(history);
            line_remove(file_of(f, name), line - 1);
        }
    }
    struct file *rows = file_of(f, "rows.jsonl");
    size_t row = row_at(rows, 1, own);
    line_edit(rows, row, "\"T1\"", "\"T2\"");
    line_edit(rows, row, offset, "\"offset\":2");
    if (acked_there) {
        line_edit(p3, sent, "\"T1\"", "\"T3\""); /* not with the others of T1 */
        offsets_shift(f, 1, own + 1, 30, -1);
        line_edit(p3, sent, "\"T3\"", "\"T1\"");
        line_edit(p3, sent, offset, "\"offset\":2");
    }
}

#define MISROUTED_STORED                                                                           \
    {                                                                                              \
        FINDING_MISROUTED, SOURCE_STORE, "P3", 2, 1,                                               \
            "was sent to T1, but is stored at offset 2 of "                                        \
            "T2"                                                                                   \
    }
#define MISROUTED_DELIVERED                                                                        \
    {                                                                                              \
        FINDING_MISROUTED, SOURCE_HISTORY, "C1", 2, 1, "is of another topic", "misrouted"          \
    }

#define MISROUTED_LOST                                                                             \
    {FINDING_LOST, SOURCE_HISTORY, "C1", 1, 1, "was not received", "misrouted"},                   \
    {                                                                                              \
        FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "was not received", "misrouted"                  \
    }

/* The offset that it was given in its own topic is nobody's. */
static void row_misrouted(struct folder *f)
{
    message_misroute(f, false);
    sized(f, 1);
    FOUND(f, MISROUTED_STORED, MISROUTED_DELIVERED, MISROUTED_LOST,
          {FINDING_LOST, SOURCE_STORE, "P3", 1, 1, "no row of it", "misrouted"},
          {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 1", "misrouted"});
}

/* The same of a message whose outcome nobody knows: it is owed to nobody. */
static void row_misrouted_unacknowledged(struct folder *f)
{
    message_misroute(f, true);
    struct file *p3 = file_of(f, "history/P3.jsonl");
    size_t sent = line_with(p3, "\"op\":\"send\",\"type\":\"ok\"", "\"line\":5,", 0);
    line_edit(p3, sent, "\"ok\"", "\"info\"");
    FOUND(f, MISROUTED_STORED, MISROUTED_DELIVERED,
          {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P3", 1, 1, "line 5 ended as unknown"});
}

/* It was acknowledged at the offset that it has there, which is another message's in its topic. */
static void row_misrouted_throughout(struct folder *f)
{
    message_misroute(f, true);
    FOUND(f, MISROUTED_STORED, MISROUTED_DELIVERED,
          {FINDING_INCONSISTENT_OFFSET, SOURCE_STORE, "P3", 1, 1, "another message", "misrouted"},
          {FINDING_LOST, SOURCE_STORE, "P3", 1, 1, "no row of it", "misrouted"});
}

/* The row alone, which the log's end shows: what consumers were given was right. */
static void row_misrouted_alone(struct folder *f)
{
    struct file *rows = file_of(f, "rows.jsonl");
    size_t at = row_at(rows, 1, 29);

    line_edit(rows, at, "\"T1\"", "\"T2\"");
    line_edit(rows, at, "\"offset\":29", "\"offset\":6");
    FOUND(f, {FINDING_MISROUTED, SOURCE_STORE, "P3", 2, 1, "stored at offset 6 of T2"},
          {FINDING_LOST, SOURCE_STORE, "P3", 1, 1, "no row of it", "misrouted"});
}

/* Of C1 there is its file alone. */
static void row_misrouted_to_file(struct folder *f)
{
    message_misroute(f, false);
    history_forget(f, 1);
    FOUND(f, NO_HISTORY("C1"), MISROUTED_STORED,
          {FINDING_LOST, SOURCE_FILE, "C1", 1, 1, "is not in the file", "misrouted"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "was not received", "misrouted"},
          {FINDING_LOST, SOURCE_STORE, "P3", 1, 1, "no row of it", "misrouted"});
}

/* Without rows its text tells, if it is like no other. */
static void misrouted_in_memory(struct folder *f)
{
    message_misroute(f, false);
    snprintf(file_of(f, "rows.jsonl")->name, 32, "no-rows");
    line_edit(file_of(f, "run.json"), 0, "postgres", "memory");
    if (!f->plain) {
        FOUND(f, MISROUTED_DELIVERED, MISROUTED_LOST,
              {FINDING_MISROUTED, SOURCE_HISTORY, "P3", 2, 1, "is delivered at offset 2 of T2"});
    }
}

/* A row of its own has it, too: then nothing is missing. */
static void row_misrouted_copy(struct folder *f)
{
    char message[64];

    message_make(f, 2, 5, message, sizeof message);
    add(f, "rows.jsonl",
        "{\"topic\":\"T2\",\"partition\":0,\"offset\":6,\"producer_id\":30,\"sequence\":4,"
        "\"message\":\"%s\"}",
        message);
    FOUND(f, {FINDING_MISROUTED, SOURCE_STORE, "P3", 2, 1, "stored at offset 6 of T2"});
}

static void test_misrouted(void)
{
    WITH_BOTH(row_misrouted)
    WITH_BOTH(row_misrouted_unacknowledged)
    WITH_BOTH(row_misrouted_throughout)
    WITH_BOTH(row_misrouted_alone)
    WITH_BOTH(row_misrouted_to_file)
    WITH_BOTH(misrouted_in_memory)
    WITH_BOTH(row_misrouted_copy)
}

static void test_causes(void)
{
    WITH_BOTH(row_lost)
    WITH_BOTH(row_lost_last)
    WITH_BOTH(lost_for_all)
    WITH_BOTH(copy_delivered)
    WITH_BOTH(copy_by_retry)
    WITH_BOTH(copy_without_rows)
    WITH_BOTH(phantom_delivered)
    WITH_BOTH(text_delivered)
    WITH_BOTH(offset_of_two)
    WITH_BOTH(skipped)
}

/* ---- time ------------------------------------------------------------------------------------ */

/* P3's line 2 and P1's line 3, which was sent when that was acknowledged, change places in T1. */
static void real_time_order(struct folder *f)
{
    char three[64];
    char one[64];
    consumers_come_late(f);
    message_make(f, 2, 2, three, sizeof three);
    message_make(f, 0, 3, one, sizeof one);
    struct file *p3 = file_of(f, "history/P3.jsonl");
    struct file *p1 = file_of(f, "history/P1.jsonl");
    struct file *rows = file_of(f, "rows.jsonl");
    line_edit(p3, send_end(p3, 2), "\"offset\":4}", "\"offset\":5}");
    line_edit(p1, send_end(p1, 3), "\"offset\":5}", "\"offset\":4}");
    size_t a = row_at(rows, 1, 4);
    size_t b = row_at(rows, 1, 5);
    line_edit(rows, a, "\"offset\":4,", "\"offset\":5,");
    line_edit(rows, b, "\"offset\":5,", "\"offset\":4,");
    for (int c = 1; c <= 2; c++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", c);
        struct file *file = file_of(f, name);
        line_edit(file, line_with(file, "\"topic\":\"T1\",\"offset\":4,", "receive", 0), three,
                  one);
        line_edit(file, line_with(file, "\"topic\":\"T1\",\"offset\":5,", "receive", 0), one,
                  three);
        snprintf(name, sizeof name, "consumer_%d.txt", c);
        file = file_of(f, name);
        line_edit(file, line_with(file, "T1     ", "", 4), three, one);
        line_edit(file, line_with(file, "T1     ", "", 5), one, three);
    }
    FOUND(f, {FINDING_REAL_TIME_ORDER, SOURCE_HISTORY, "P1", 1, 1,
              "line 3 is at offset 4, before P3 line 2 at 5, which had been acknowledged"});
}

static void asked(struct folder *f, int64_t offset)
{
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"invoke\",\"id\":900,"
        "\"path\":\"/consumer/consume\",\"topic\":\"T1\",\"offset\":%" PRId64 "}",
        tick(f), offset);
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"fail\",\"id\":900,"
        "\"http\":400,\"code\":\"no_message\"}",
        tick(f));
}

static void false_empty(struct folder *f)
{
    asked(f, 20);
    FOUND(f, {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1, "asked from offset 20 on"});
}

/* What it did not get after that follows from it. */
static void false_empty_last(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    line_remove(c2, receive_at(c2, 29));
    line_edit(c2, line_with(c2, "\"offset\":30", "consume", 0), "\"offset\":30", "\"offset\":29");
    line_remove(file_of(f, "consumer_2.txt"), 29);
    FOUND(f, {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1, "asked from offset 29 on"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "the broker said", "false-empty"});
}

static void size_right(struct folder *f)
{
    sized(f, 0);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(o.c->promises[PROMISE_SIZES].checked, 1);
    judged_release(&o);
}

/* The broker may get a consume late, long after the consumer gave it up. */
static void size_after_late_consume(struct folder *f)
{
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"invoke\","
        "\"id\":9001,\"path\":\"/consumer/consume\",\"topic\":\"T1\",\"offset\":28}",
        tick(f));
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"info\","
        "\"id\":9001,\"http\":0,\"error\":\"no answer\"}",
        tick(f));
    sized(f, 2);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    judged_release(&o);
}

static void size_wrong(struct folder *f)
{
    sized(f, 3);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 3; there were 0 to 0"});
}

/* A copy in the store that nobody has read yet is counted, and is the cause. */
static void size_wrong_by_a_copy(struct folder *f)
{
    char message[64];
    message_make(f, 1, 12, message, sizeof message);
    add(f, "rows.jsonl",
        "{\"topic\":\"T1\",\"partition\":0,\"offset\":30,\"producer_id\":20,"
        "\"sequence\":11,\"message\":\"%s\"}",
        message);
    sized(f, 1);
    FOUND(f, {FINDING_DUPLICATE, SOURCE_STORE, "P2", 1, 1, "line 12 is at offset"},
          {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 1", "duplicate"});
}

/* P3 is given the id that P2 has. */
static void id_twice(struct folder *f)
{
    add(f, "history/P3.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"P3\",\"op\":\"register\",\"type\":\"ok\","
        "\"topic\":\"T1\",\"producer_id\":20}",
        tick(f));
    FOUND(f, {FINDING_FORGOTTEN, SOURCE_HISTORY, "P3", 1, 1, "producer id 20 was given to it"});
}

/* C2 waits for what P2 sends next, and is told after so long that there is nothing. */
static void held(struct folder *f, int64_t ms, bool fault)
{
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"invoke\",\"id\":950,"
        "\"path\":\"/consumer/consume\",\"topic\":\"T1\",\"offset\":30}",
        tick(f));
    line_is_sent(f, 1, 0, 13, false);
    if (fault) {
        add(f, "scenario/scenario.conf", "fault = after 36 acks: pause broker for 1 ms");
        int64_t id = request_begin(f, 1, 0);
        static const char *const types[] = {"begin", "hit", "restart", "end"};
        for (size_t i = 0; i < 4; i++) {
            add(f, "history/harness.jsonl",
                "{\"t\":%" PRId64 ",\"process\":\"harness\",\"op\":\"fault\",\"type\":\"%s\","
                "\"fault\":2,\"acks\":36}",
                tick(f), types[i]);
        }
        request_end(f, 1, id, "info", 0);
    }
    f->now_ns += ms * 1000000;
    add(f, "history/C2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"fail\",\"id\":950,"
        "\"http\":400,\"code\":\"no_message\"}",
        tick(f));
    drained(f, 0, 0);
}

static void held_and_not_woken(struct folder *f)
{
    held(f, 11000, false);
    FOUND(f, {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1,
              "had been acknowledged 11003.000 ms before the answer, while it waited"});
}

/* What was decided before may arrive late, and a fault may hold it up for long. */
static void held_and_answered_late(struct folder *f)
{
    held(f, 9000, false);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    judged_release(&o);
}

static void held_through_a_fault(struct folder *f)
{
    held(f, 30000, true);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    judged_release(&o);
}

static void test_time(void)
{
    WITH_BOTH(held_and_not_woken)
    WITH_BOTH(held_and_answered_late)
    WITH_BOTH(held_through_a_fault)
    WITH_BOTH(real_time_order)
    WITH_BOTH(false_empty)
    WITH_BOTH(false_empty_last)
    WITH_BOTH(size_right)
    WITH_BOTH(size_after_late_consume)
    WITH_BOTH(size_wrong)
    WITH_BOTH(size_wrong_by_a_copy)
    WITH_BOTH(id_twice)
}

/* ---- lives -------------------------------------------------------------------------------------
 */

/* It was killed when it had written line 8 of its file and not yet said so. */
static void consumer_resumed(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    size_t at = receive_at(c2, 7);
    char start[160];
    snprintf(start, sizeof start,
             "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"start\",\"type\":\"ok\","
             "\"incarnation\":2,\"lines\":{\"T1\":8}}",
             (int64_t)strtoll(c2->lines[at] + strlen("{\"t\":"), NULL, 10));
    line_set(c2, at, start);
    is_valid(f);
}

/* And if the file does not have it after all, it was not received. */
static void consumer_resumed_wrongly(struct folder *f)
{
    consumer_resumed(f);
    line_remove(file_of(f, "consumer_2.txt"), 7);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_INVALID);
    judged_release(&o);
}

/* It was killed before line 4 was acknowledged, and sent it again. */
static void producer_resumed(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    char message[64];
    size_t at = send_end(p2, 4);
    char *end = strdup(p2->lines[at]);
    message_make(f, 1, 4, message, sizeof message);
    line_set(p2, at,
             "{\"t\":20000000,\"process\":\"P2\",\"op\":\"start\",\"type\":\"ok\","
             "\"incarnation\":2}");
    char again[256];
    snprintf(again, sizeof again,
             "{\"t\":20000001,\"process\":\"P2\",\"op\":\"send\",\"type\":\"invoke\",\"line\":4,"
             "\"topic\":\"T1\",\"message\":\"%s\"}",
             message);
    line_insert(p2, at + 1, again);
    line_insert(p2, at + 2, end);
    free(end);
    is_valid(f);
}

/* What a life left open is unknown, not without an end. */
static void producer_ended(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    line_remove(p2, send_end(p2, 4));
    add(f, "history/P2.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"P2\",\"op\":\"start\",\"type\":\"ok\","
        "\"incarnation\":2}",
        tick(f));
    FOUND(f, {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P2", 1, 1, "line 4 ended as unknown"});
}

static void test_lives(void)
{
    WITH_BOTH(consumer_resumed)
    WITH_BOTH(consumer_resumed_wrongly)
    WITH_BOTH(producer_resumed)
    WITH_BOTH(producer_ended)
}

/* ---- a consumer seeks ------------------------------------------------------------------- */

/* C2 asks to go on at `offset` of T1, before its receive number `at`; the end is of this type. */
static void sought(struct folder *f, size_t at, int64_t offset, const char *type)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    char line[256];
    size_t place = at < f->received[1] ? receive_at(c2, at) : c2->count;

    snprintf(line, sizeof line,
             "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"seek\",\"type\":\"invoke\","
             "\"topic\":\"T1\",\"offset\":%" PRId64 "}",
             tick(f), offset);
    line_insert(c2, place, line);
    snprintf(line, sizeof line,
             "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"seek\",\"type\":\"%s\","
             "\"topic\":\"T1\"}",
             tick(f), type);
    line_insert(c2, place + 1, line);
}

/* C2 is given these messages of T1 once more. */
static void read_again(struct folder *f, int64_t from, int64_t to)
{
    for (int64_t offset = from; offset < to; offset++) {
        const char *line = file_of(f, "consumer_2.txt")->lines[offset];
        char message[64];
        snprintf(message, sizeof message, "%s", line + strlen("T1     "));
        received(f, 1, 0, offset, message);
    }
}

/* C2 was given nothing from its receive number `from` on up to `to`. */
static void passed_over(struct folder *f, size_t from, size_t to)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    struct file *file = file_of(f, "consumer_2.txt");

    for (size_t i = from; i < to; i++) {
        line_remove(c2, receive_at(c2, from));
        line_remove(file, from);
    }
    for (size_t i = from; i < file->count; i++) {
        char before[32];
        char after[32];
        snprintf(before, sizeof before, "\"line\":%zu,", i + 1 + to - from);
        snprintf(after, sizeof after, "\"line\":%zu,", i + 1);
        line_edit(c2, receive_at(c2, i), before, after);
    }
}

static void begin_again(struct folder *f)
{
    add(f, "scenario/scenario.conf", "seek = C2 after 30 messages of T1: to 0");
    sought(f, 30, 0, "ok");
}

static void seek_back(struct folder *f)
{
    begin_again(f);
    read_again(f, 0, 30);
    drained(f, 1, 0);
    good(f);
}

static void seek_back_and_skip(struct folder *f)
{
    begin_again(f);
    read_again(f, 0, 11);
    read_again(f, 12, 30);
    drained(f, 1, 0);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "offset 11"});
}

static void seek_back_and_skip_the_first(struct folder *f)
{
    begin_again(f);
    read_again(f, 2, 30);
    drained(f, 1, 0);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 2, "at the start"});
}

/* What came too early is out of order, even if the consumer sought before its turn came. */
static void seek_before_its_turn(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    struct file *file = file_of(f, "consumer_2.txt");

    sought(f, 28, 28, "ok");
    line_swap(c2, receive_at(c2, 26), receive_at(c2, 27));
    line_swap(c2, receive_at(c2, 25), receive_at(c2, 26));
    line_swap(file, 26, 27);
    line_swap(file, 25, 26);
    lines_renumber(c2);
    FOUND(f, {FINDING_OUT_OF_ORDER, SOURCE_HISTORY, "C2", 1, 1, "belongs after"});
}

static void seek_back_and_repeat(struct folder *f)
{
    begin_again(f);
    read_again(f, 0, 20);
    read_again(f, 19, 30);
    drained(f, 1, 0);
    FOUND(f, {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "offset 19 again"});
}

/* What it was told before it sought says nothing of what it reads again. */
static void seek_back_unread(struct folder *f)
{
    begin_again(f);
    read_again(f, 0, 20);
    FOUND(f, {FINDING_UNSEEN, SOURCE_HISTORY, "C2", 1, 10, "nor was anything after it"});
}

static void seek_back_lost(struct folder *f)
{
    begin_again(f);
    read_again(f, 0, 20);
    drained(f, 1, 0);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 10, "at the end"});
}

static void seek_ignored(struct folder *f)
{
    sought(f, 10, 0, "ok");
    FOUND(f, {FINDING_SEEK_IGNORED, SOURCE_HISTORY, "C2", 1, 1,
              "asked to go on at offset 0 and was given offset 10"});
}

static void seek_forward_ignored(struct folder *f)
{
    sought(f, 10, 20, "ok");
    FOUND(f, {FINDING_SEEK_IGNORED, SOURCE_HISTORY, "C2", 1, 1,
              "asked to go on at offset 20 and was given offset 10"});
}

static void seek_forward(struct folder *f)
{
    sought(f, 10, 20, "ok");
    passed_over(f, 10, 20);
    is_valid(f);
}

/* A seek explains what lies between, and nothing else. */
static void seek_forward_and_skip(struct folder *f)
{
    sought(f, 10, 20, "ok");
    passed_over(f, 10, 20);
    passed_over(f, 5, 6);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "offset 5"});
}

/* There are 30, and all have been taken once. */
static void seek_and_size(struct folder *f)
{
    sized(f, 0);
    begin_again(f);
    sized(f, 30);
    read_again(f, 0, 30);
    drained(f, 1, 0);
    is_valid(f);
    sized(f, 31);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 31"});
}

static void seek_and_size_wrong(struct folder *f)
{
    sought(f, 30, 20, "ok");
    read_again(f, 20, 30);
    drained(f, 1, 0);
    sized(f, 11);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 11"});
}

/* What it passed over is not to be taken any more. Of its last message it has not said yet that it
 * has it: it was given message 29 for asking from 29 on. */
static void seek_forward_and_size(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");

    line_edit(c2, c2->count - 2, "\"offset\":30", "\"offset\":29");
    line_edit(c2, c2->count - 1, "\"fail\"", "\"ok\"");
    line_edit(c2, c2->count - 1, "400,\"code\":\"no_message\"", "200");
    sought(f, 10, 20, "ok");
    passed_over(f, 10, 20);
    sized(f, 0);
    is_valid(f);
    sized(f, 11);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 11"});
}

/* Done or not, the next message is not the one that it was given. */
static void seek_unknown_and_skip(struct folder *f)
{
    sought(f, 10, 20, "info");
    passed_over(f, 10, 12);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 2, "offset 10"});
}

static void seeks_unknown_and_skip(struct folder *f)
{
    sought(f, 10, 20, "info");
    sought(f, 10, 0, "info");
    passed_over(f, 10, 20);
    is_valid(f);
    passed_over(f, 10, 13);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 3, "offset 20"});
}

/* One that got no answer may come to the broker after one that was done. */
static void seek_late(struct folder *f)
{
    sought(f, 30, 0, "info");
    sought(f, 30, 20, "ok");
    sized(f, 30);
    read_again(f, 20, 30);
    drained(f, 1, 0);
    is_valid(f);
}

/* It passed over ten, and was given one of them all the same. */
static void seek_forward_and_before(struct folder *f)
{
    sought(f, 10, 20, "ok");
    read_again(f, 15, 16);
    passed_over(f, 10, 20);
    FOUND(f, {FINDING_OUT_OF_ORDER, SOURCE_HISTORY, "C2", 1, 1, "lies before what was sought"});
}

static void seek_refused(struct folder *f)
{
    sought(f, 10, 20, "fail");
    is_valid(f);
    passed_over(f, 10, 20);
    FOUND(f, {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 10, "offset 10"});
}

/* Nobody knows whether it was done. */
static void seek_unknown(struct folder *f)
{
    sought(f, 10, 20, "info");
    is_valid(f);
    passed_over(f, 10, 20);
    is_valid(f);
}

/* The file's lines are laid beside the log as it was read: in two runs. */
static void seek_file(struct folder *f)
{
    begin_again(f);
    read_again(f, 0, 30);
    drained(f, 1, 0);
    line_remove(file_of(f, "consumer_2.txt"), 45);
    FOUND(f, {FINDING_LOST, SOURCE_FILE, "C2", 1, 1, "it was received"});
}

/* It was killed when it had written the first line after the seek and not yet said so. */
static void seek_resumed(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");

    begin_again(f);
    read_again(f, 0, 30);
    line_set(c2, receive_at(c2, 30),
             "{\"t\":20000000,\"process\":\"C2\",\"op\":\"start\",\"type\":\"ok\","
             "\"incarnation\":2,\"lines\":{\"T1\":31}}");
    drained(f, 1, 0);
    is_valid(f);
}

static void test_seeks(void)
{
    WITH_BOTH(seek_back)
    WITH_BOTH(seek_back_and_skip)
    WITH_BOTH(seek_back_and_skip_the_first)
    WITH_BOTH(seek_back_and_repeat)
    WITH_BOTH(seek_before_its_turn)
    WITH_BOTH(seek_back_unread)
    WITH_BOTH(seek_back_lost)
    WITH_BOTH(seek_ignored)
    WITH_BOTH(seek_forward_ignored)
    WITH_BOTH(seek_forward)
    WITH_BOTH(seek_forward_and_skip)
    WITH_BOTH(seek_and_size)
    WITH_BOTH(seek_and_size_wrong)
    WITH_BOTH(seek_forward_and_size)
    WITH_BOTH(seek_late)
    WITH_BOTH(seek_forward_and_before)
    WITH_BOTH(seek_refused)
    WITH_BOTH(seek_unknown)
    WITH_BOTH(seek_unknown_and_skip)
    WITH_BOTH(seeks_unknown_and_skip)
    WITH_BOTH(seek_file)
    WITH_BOTH(seek_resumed)
}

/* ---- a system that has the seven calls only
 * ------------------------------------------------------ */

/* Without offsets, sequences and rows. */
static void plain_make(struct folder *f, const char *claims)
{
    char run[256];

    for (size_t i = 0; i < f->count; i++) {
        for (size_t l = 0; l < f->files[i].count; l++) {
            char *line = f->files[i].lines[l];
            char *from;
            while (strncmp(f->files[i].name, "history/", 8) == 0 &&
                   (from = strstr(line, ",\"offset\":")) != NULL) {
                const char *to = from + strcspn(from + 1, ",}") + 1;
                memmove(from, to, strlen(to) + 1);
            }
        }
    }
    snprintf(file_of(f, "rows.jsonl")->name, 32, "no-rows");
    snprintf(run, sizeof run, "\"none\",\"calls\":\"plain\",\"claims\":%s", claims);
    line_edit(file_of(f, "run.json"), 0, "\"postgres\"", run);
}

#define CLAIMS_ALL                                                                                 \
    "{\"persistent\":true,\"persists\":[\"messages\",\"positions\",\"ids\",\"topics\"]}"
#define CLAIMS_NONE "{\"persistent\":false}"

static void plain_good(struct folder *f)
{
    plain_make(f, CLAIMS_ALL);
    is_valid(f);
}

static void plain_lost(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    line_remove(c2, receive_at(c2, 7));
    lines_renumber(c2);
    line_remove(file_of(f, "consumer_2.txt"), 7);
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1, "told that there is no message"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "later ones were"});
}

/* Instead of the message that this line of C's history receives, its consume got no answer. */
static void reply_lost(struct folder *f, int consumer, size_t at)
{
    char name[48];
    char time[32];
    char invoke[256];
    char info[256];

    snprintf(name, sizeof name, "history/C%d.jsonl", consumer);
    struct file *c = file_of(f, name);
    size_t line = strtoul(strstr(c->lines[at], "\"line\":") + 7, NULL, 10);
    snprintf(time, sizeof time, "%.*s", (int)strcspn(c->lines[at] + 5, ","), c->lines[at] + 5);
    snprintf(invoke, sizeof invoke,
             "{\"t\":%s,\"process\":\"C%d\",\"op\":\"request\",\"type\":\"invoke\",\"id\":800,"
             "\"path\":\"/consumer/consume\",\"topic\":\"T1\"}",
             time, consumer);
    snprintf(info, sizeof info,
             "{\"t\":%s,\"process\":\"C%d\",\"op\":\"request\",\"type\":\"info\",\"id\":800}", time,
             consumer);
    line_set(c, at, invoke);
    line_insert(c, at + 1, info);
    lines_renumber(c);
    snprintf(name, sizeof name, "consumer_%d.txt", consumer);
    line_remove(file_of(f, name), line - 1);
}

/* A consume got no answer just then: it took the message with it. */
static void plain_reply_lost(struct folder *f)
{
    reply_lost(f, 2, receive_at(file_of(f, "history/C2.jsonl"), 7));
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    if (o.c->verdict != VERDICT_VALID) {
        judged_print(&o);
    }
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(o.c->findings.count, 1);
    CU_ASSERT_EQUAL(o.c->findings.items[0].excused, EXCUSE_NOT_PROMISED);
    CU_ASSERT_EQUAL(o.c->promises[PROMISE_DELIVERED].not_promised, 1);
    CU_ASSERT_EQUAL(o.c->promises[PROMISE_DELIVERED].not_claimed, 0);
    CU_ASSERT_STRING_EQUAL(
        o.c->sentence,
        "Valid: all that plain calls promise was kept, for 36 messages from 3 producers to 2 "
        "consumers, through 1 broker kill; 1 finding is of lost answers, after which plain calls "
        "promise nothing.");
    judged_release(&o);
}

/* A lost answer explains a message, and no size that cannot be. */
static void plain_size_after_reply_lost(struct folder *f)
{
    reply_lost(f, 2, receive_at(file_of(f, "history/C2.jsonl"), 7));
    sized(f, 7);
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 7"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 1, "a consume got no answer then"});
}

/* The same message, of all its consumers: a kill can take an answer from each. */
static void plain_replies_lost(struct folder *f)
{
    struct file *c1 = file_of(f, "history/C1.jsonl");

    reply_lost(f, 1, line_with(c1, "\"topic\":\"T1\",\"offset\":7,", "receive", 0));
    reply_lost(f, 2, receive_at(file_of(f, "history/C2.jsonl"), 7));
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    if (o.c->verdict != VERDICT_VALID) {
        judged_print(&o);
    }
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(o.c->findings.count, 2);
    judged_release(&o);
}

/* An early send was never answered, and nobody got it; that there are lines like it, which were
 * acknowledged, makes no difference. */
static void plain_unknown_send(struct folder *f)
{
    struct file *p1 = file_of(f, "history/P1.jsonl");
    size_t end = line_with(p1, "\"op\":\"send\",\"type\":\"ok\"", "\"topic\":\"T1\"", 1);
    char offset[32];

    snprintf(offset, sizeof offset, "\"topic\":\"T1\",%.*s,",
             (int)strcspn(strstr(p1->lines[end], "\"offset\""), ",}"),
             strstr(p1->lines[end], "\"offset\""));
    line_edit(p1, end, "\"ok\"", "\"info\"");
    for (int consumer = 1; consumer <= 2; consumer++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", consumer);
        struct file *c = file_of(f, name);
        size_t at = line_with(c, offset, "receive", 0);
        size_t line = strtoul(strstr(c->lines[at], "\"line\":") + 7, NULL, 10);
        line_remove(c, at);
        lines_renumber(c);
        snprintf(name, sizeof name, "consumer_%d.txt", consumer);
        line_remove(file_of(f, name), line - 1);
    }
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    for (size_t i = 0; i < o.c->findings.count; i++) {
        CU_ASSERT_NOT_EQUAL(o.c->findings.items[i].kind, FINDING_LOST);
    }
    judged_release(&o);
}

/* Two neighbours, each lost by another consumer: nobody saw which of them was first. */
static void plain_neighbours_lost(struct folder *f)
{
    reply_lost(f, 1, receive_at(file_of(f, "history/C1.jsonl"), 7));
    reply_lost(f, 2, receive_at(file_of(f, "history/C2.jsonl"), 7));
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    if (o.c->verdict != VERDICT_VALID) {
        judged_print(&o);
    }
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(o.c->findings.count, 2);
    judged_release(&o);
}

/* Before the kill at the fifth round; whoever keeps messages is blamed, who does not is not. */
static void plain_forgotten(struct folder *f)
{
    receipts_remove(f, 3);
    plain_make(f, f->plain ? CLAIMS_NONE : CLAIMS_ALL);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, f->plain ? VERDICT_VALID : VERDICT_INVALID);
    CU_ASSERT(o.c->findings.count > 0);
    judged_release(&o);
}

static void plain_twice(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    struct file *output = file_of(f, "consumer_2.txt");
    line_insert(c2, receive_at(c2, 8), c2->lines[receive_at(c2, 8)]);
    lines_renumber(c2);
    line_insert(output, 8, output->lines[8]);
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "one more than was sent here"});
}

static void plain_swapped(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    struct file *output = file_of(f, "consumer_2.txt");
    size_t at = differing(output);
    line_swap(c2, receive_at(c2, at), receive_at(c2, at + 1));
    lines_renumber(c2);
    line_swap(output, at, at + 1);
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_ORDER_DISAGREEMENT, SOURCE_HISTORY, "C2", 1, 1, "belongs"});
}

/* Everybody got one message twice: that is no common order of the others. */
static void plain_swapped_beside_copy(struct folder *f)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    struct file *output = file_of(f, "consumer_2.txt");
    size_t at = differing(output);
    char message[64];
    size_t disagreements = 0;

    line_swap(c2, receive_at(c2, at), receive_at(c2, at + 1));
    line_swap(output, at, at + 1);
    message_make(f, 1, 12, message, sizeof message);
    receipts_add(f, 30, message);
    lines_renumber(c2);
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    for (size_t i = 0; i < o.c->findings.count; i++) {
        disagreements += o.c->findings.items[i].kind == FINDING_ORDER_DISAGREEMENT;
    }
    CU_ASSERT(f->plain || disagreements == 1); /* alike ones may be any */
    judged_release(&o);
}

static void plain_foreign(struct folder *f)
{
    history_foreign_add(f);
    lines_renumber(file_of(f, "history/C2.jsonl"));
    line_insert(file_of(f, "consumer_2.txt"), 8, "T1     never sent by anyone");
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_PHANTOM, SOURCE_HISTORY, "C2", 1, 1, "which nobody sent"});
}

static void ended_early_is_said(struct folder *f)
{
    line_edit(file_of(f, "run.json"), 0, "\"store\"",
              "\"ended_early\":\"waited for C2\",\"store\"");
}

/* C2 asks T1 seven times more, each time in 1 ms, and 1 ms later again. */
static void consumes_fail(struct folder *f, const char *type, int http, const char *code)
{
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    for (int i = 0; i < 7; i++) {
        add(f, "history/C2.jsonl",
            "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"invoke\",\"id\":"
            "%d,\"path\":\"/consumer/consume\",\"topic\":\"T1\"}",
            tick(f), 900 + i);
        add(f, "history/C2.jsonl",
            "{\"t\":%" PRId64 ",\"process\":\"C2\",\"op\":\"request\",\"type\":\"%s\",\"id\":%d,"
            "\"http\":%d%s}",
            tick(f), type, 900 + i, http, code);
    }
}

#define CODE(name) ",\"code\":\"" name "\""

/* "Database is busy" is not "no message", and nor is an error of the system's own. */
static void plain_consume_refused(struct folder *f)
{
    consumes_fail(f, "fail", 400, CODE("refused"));
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_NO_PROGRESS, SOURCE_HISTORY, "", 0, 1,
              "C2 tried T1 for 13 ms while no fault lasted, in vain: 7 requests refused "
              "('refused')"});
}

static void plain_consume_errs(struct folder *f)
{
    consumes_fail(f, "info", 500, "");
    ended_early_is_said(f);
    plain_make(f, CLAIMS_NONE);
    FOUND(f,
          {FINDING_NO_PROGRESS, SOURCE_HISTORY, "", 0, 1,
           "C2 tried T1 for 13 ms while no fault lasted, in vain: 7 requests refused, 0 without"},
          {FINDING_ENDED_EARLY, SOURCE_HISTORY, "", 0, 1, "waited for C2", "no-progress"});
}

/* Who may have forgotten the topic may refuse to give of it; who is not known has another name. */
static void plain_consume_may_be_refused(struct folder *f)
{
    consumes_fail(f, "fail", 400, f->plain ? CODE("refused") : CODE("unknown_topic"));
    plain_make(f, f->plain ? "{\"persists\":[\"messages\",\"positions\",\"ids\"]}" : CLAIMS_NONE);
    struct judged o = folder_check(f);
    for (size_t i = 0; i < o.c->findings.count; i++) {
        CU_ASSERT_NOT_EQUAL(o.c->findings.items[i].kind, FINDING_NO_PROGRESS);
    }
    judged_release(&o);
}

/* Everybody gets one message twice: it was stored twice. */
static void plain_copy(struct folder *f)
{
    char message[64];
    message_make(f, 1, 12, message, sizeof message);
    receipts_add(f, 30, message);
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_DUPLICATE, SOURCE_HISTORY, "", 1, 1, "every consumer got"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C1", 1, 1, "is the copy", "duplicate"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 1, "is the copy", "duplicate"});
}

/* Everybody who reads T2 gets it there, and nobody in T1. */
static void plain_misrouted(struct folder *f)
{
    message_misroute(f, true);
    plain_make(f, CLAIMS_ALL);
    if (!f->plain) {
        FOUND(f, MISROUTED_DELIVERED, MISROUTED_LOST,
              {FINDING_MISROUTED, SOURCE_HISTORY, "P3", 2, 1,
               "was sent to T1, where nobody got it; it came under T2"},
              {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C1", 1, 1, "no message", "misrouted"},
              {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1, "no message", "misrouted"});
    }
}

/* P1 sends `sent`, a letter after the other; C1 and C2 both get `got`, and then no more. */
static struct folder *letters(const char *sent, const char *got)
{
    struct folder *f = calloc(1, sizeof *f);

    add(f, "run.json", "{\"scenario\":\"letters\",\"store\":\"none\",\"calls\":\"plain\"}");
    add(f, "scenario/scenario.conf", "T1: P1 : C1 C2");
    registered(f, 0, 0);
    for (int64_t i = 0; sent[i] != '\0'; i++) {
        add(f, "scenario/producer_1.txt", "21:52:23\t%c\t\tP1\t\tT1", sent[i]);
        add(f, "history/P1.jsonl",
            "{\"t\":%" PRId64
            ",\"process\":\"P1\",\"op\":\"send\",\"type\":\"invoke\",\"line\":%" PRId64
            ",\"topic\":\"T1\",\"message\":\"%c\"}",
            tick(f), i + 1, sent[i]);
        add(f, "history/P1.jsonl",
            "{\"t\":%" PRId64
            ",\"process\":\"P1\",\"op\":\"send\",\"type\":\"ok\",\"line\":%" PRId64
            ",\"topic\":\"T1\"}",
            tick(f), i + 1);
    }
    for (int c = 0; c < 2; c++) {
        for (size_t i = 0; got[i] != '\0'; i++) {
            received(f, c, 0, OFFSET_NONE, (char[]){got[i], '\0'});
        }
        drained(f, c, 0);
    }
    return f;
}

/* What is certain of the order of lines that are alike: no choice among them would be right. */
static void test_plain_order(void)
{
    static const struct {
        const char *sent;
        const char *got;
        int64_t count;    /* 0: nothing is wrong with it */
        const char *text; /* of the finding, else of the sentence */
        int64_t compared;
    } cases[] = {
        {"abcdef", "abcdef", 0, "arrived exactly once and in order at", 6},
        {"abcdef", "abdcef", 1, "P1 line 4 ('d') before P1 line 3 ('c')", 6},
        {"abcd", "bcda", 1, "P1 line 2 ('b') before P1 line 1 ('a')", 4},
        {"aabcd", "aadcb", 1, "P1 line 5 ('d') before P1 line 3 ('b')", 5},
        {"aabcc", "ccbaa", 2,
         "one of the lines that read 'c' before one of the lines that read 'a'", 5},
        {"abab", "abba", 1, "one of the lines that read 'b' before one of the lines that read 'a'",
         4},
        {"aaab", "aaab", 0, "arrived exactly once and in order at", 4},
        {"aaaa", "aaaa", 0, "arrived exactly once at", 0},
        {"a", "a", 0, "arrived exactly once at", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct folder *f = letters(cases[i].sent, cases[i].got);
        if (cases[i].count > 0) {
            FOUND(f,
                  {FINDING_PRODUCER_ORDER, SOURCE_HISTORY, "P1", 1, cases[i].count, cases[i].text});
        } else {
            is_valid(f);
        }
        struct judged o = folder_check(f);
        CU_ASSERT_EQUAL(o.c->promises[PROMISE_STORED_ORDER].checked, cases[i].compared);
        if (cases[i].count == 0) {
            CU_ASSERT_PTR_NOT_NULL(strstr(o.c->sentence, cases[i].text));
        }
        judged_release(&o);
        folder_destroy(f);
    }
}

/* Everybody gets two neighbours the other way round. Who sent which of alike ones, nobody knows. */
static void plain_exchanged(struct folder *f)
{
    struct file *output = file_of(f, "consumer_2.txt");
    size_t at = differing(output);
    char first[32];
    char second[32];

    snprintf(first, sizeof first, "\"topic\":\"T1\",\"offset\":%zu,", at);
    snprintf(second, sizeof second, "\"topic\":\"T1\",\"offset\":%zu,", at + 1);
    for (int consumer = 1; consumer <= 2; consumer++) {
        char name[48];
        snprintf(name, sizeof name, "history/C%d.jsonl", consumer);
        struct file *c = file_of(f, name);
        size_t a = line_with(c, first, "receive", 0);
        size_t b = line_with(c, second, "receive", 0);
        size_t line = strtoul(strstr(c->lines[a], "\"line\":") + 7, NULL, 10);
        size_t next = strtoul(strstr(c->lines[b], "\"line\":") + 7, NULL, 10);
        line_swap(c, a, b);
        lines_renumber(c);
        snprintf(name, sizeof name, "consumer_%d.txt", consumer);
        line_swap(file_of(f, name), line - 1, next - 1);
    }
    plain_make(f, CLAIMS_ALL);
    FOUND(f, {FINDING_REAL_TIME_ORDER, SOURCE_HISTORY, f->plain ? "" : "P1", 1, 1, "C1 got "});
}

/* ---- where a consumer was before the kill, without offsets ------------------------------------
 */

/* The line of a consumer's history by which it receives this offset of T1. */
static size_t receive_of(const struct file *file, int64_t offset)
{
    char text[64];
    snprintf(text, sizeof text, "\"topic\":\"T1\",\"offset\":%" PRId64 ",", offset);
    return line_with(file, "\"receive\"", text, 0);
}

/* The line of its file where that is, from 0. */
static size_t output_of(const struct file *file, int64_t offset)
{
    return strtoul(strstr(file->lines[receive_of(file, offset)], "\"line\":") + 7, NULL, 10) - 1;
}

#define FIRST_AFTER_KILL 11 /* offset of T1 that was stored first after the kill */

/* After the kill a consumer is given these of T1 again. */
static void given_again(struct folder *f, int consumer, int64_t from, int64_t to)
{
    char name[48];
    char output[48];

    snprintf(name, sizeof name, "history/C%d.jsonl", consumer);
    snprintf(output, sizeof output, "consumer_%d.txt", consumer);
    for (int64_t offset = from; offset < to; offset++) {
        struct file *c = file_of(f, name);
        size_t after = receive_of(c, FIRST_AFTER_KILL);
        size_t line = output_of(c, FIRST_AFTER_KILL);
        size_t again = output_of(c, offset);
        char copy[512];
        snprintf(copy, sizeof copy, "%.*s%s", (int)strcspn(c->lines[after], ","), c->lines[after],
                 strchr(c->lines[receive_of(c, offset)], ','));
        line_insert(c, after, copy);
        line_insert(file_of(f, output), line, file_of(f, output)->lines[again]);
        lines_renumber(c);
    }
}

/* A consumer is not given these of T1. */
static void not_given(struct folder *f, int consumer, int64_t from, int64_t to)
{
    char name[48];
    char output[48];

    snprintf(name, sizeof name, "history/C%d.jsonl", consumer);
    snprintf(output, sizeof output, "consumer_%d.txt", consumer);
    for (int64_t offset = from; offset < to; offset++) {
        struct file *c = file_of(f, name);
        line_remove(file_of(f, output), output_of(c, offset));
        line_remove(c, receive_of(c, offset));
        lines_renumber(c);
    }
}

static void position_back(struct folder *f)
{
    given_again(f, 2, 8, 11);
    sized(f, 0);
    plain_make(f, CLAIMS_ALL);
    FOUND(f,
          {FINDING_FORGOTTEN, SOURCE_HISTORY, "fault 1", 0, 1,
           "the position of C2 on topic 'T1', which was 3 too low after fault 1"},
          {FINDING_REDELIVERED, SOURCE_HISTORY, "C2", 1, 3, "one more than was sent here",
           "forgotten"});
}

/* Both of them: what both got twice is not stored twice. */
static void positions_back(struct folder *f)
{
    given_again(f, 1, 7, 11);
    given_again(f, 2, 8, 11);
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    size_t roots = 0;
    for (size_t i = 0; i < o.c->findings.count; i++) {
        roots += o.c->findings.items[i].cause == FINDING_ROOT;
    }
    CU_ASSERT_EQUAL(o.c->findings.items[0].kind, FINDING_FORGOTTEN);
    if (!f->plain) { /* which of several alike ones came again is a guess */
        CU_ASSERT_EQUAL(o.c->findings.items[0].count, 2);
        CU_ASSERT_EQUAL(roots, 1);
    }
    judged_release(&o);
}

/* Who does not claim to keep positions may. */
static void position_unclaimed(struct folder *f)
{
    given_again(f, 2, 8, 11);
    plain_make(f, "{\"persistent\":true,\"persists\":[\"messages\",\"ids\",\"topics\"]}");
    is_valid(f);
}

static void position_forward(struct folder *f)
{
    not_given(f, 2, 8, 11);
    sized(f, 0);
    plain_make(f, CLAIMS_ALL);
    FOUND(f,
          {FINDING_FORGOTTEN, SOURCE_HISTORY, "fault 1", 0, 1,
           "the position of C2 on topic 'T1', which was 3 too high after fault 1"},
          {FINDING_LOST, SOURCE_HISTORY, "C2", 1, 3, "later ones were", "forgotten"},
          {FINDING_FALSE_EMPTY, SOURCE_HISTORY, "C2", 1, 1, "after it had taken", "forgotten"},
          {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 0", "forgotten"});
}

/* Each went on behind what there was; of that, nobody was given the last ones. */
static void positions_forward(struct folder *f)
{
    not_given(f, 1, 8, 11);
    not_given(f, 2, 7, 11);
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->findings.items[0].kind, FINDING_FORGOTTEN);
    for (size_t i = 1; i < o.c->findings.count && !f->plain; i++) { /* alike: which ones? */
        CU_ASSERT(o.c->findings.items[i].cause == 0);
        CU_ASSERT(o.c->findings.items[i].source != SOURCE_STORE);
    }
    judged_release(&o);
}

/* ---- the same with offsets: what the broker had saved ------------------------------------------
 */

/* Before C2's receive of an offset of T1, at that time: its operation with these members. */
static void operation_insert(struct folder *f, int64_t offset, const char *op, const char *type,
                             const char *members)
{
    struct file *c2 = file_of(f, "history/C2.jsonl");
    size_t at = receive_of(c2, offset);
    char line[512];

    snprintf(line, sizeof line, "%.*s,\"process\":\"C2\",\"op\":\"%s\",\"type\":\"%s\",%s}",
             (int)strcspn(c2->lines[at], ","), c2->lines[at], op, type, members);
    line_insert(c2, at, line);
}

static void consumed(struct folder *f, int64_t before, int64_t offset, const char *type)
{
    char members[256];

    snprintf(members, sizeof members,
             "\"id\":%" PRId64
             ",\"path\":\"/consumer/consume\",\"topic\":\"T1\",\"offset\":%" PRId64,
             7000 + before, offset);
    operation_insert(f, before, "request", "invoke", members);
    snprintf(members, sizeof members, "\"id\":%" PRId64 ",\"http\":%d", 7000 + before,
             strcmp(type, "ok") == 0 ? 200 : 0);
    operation_insert(f, before, "request", type, members);
}

/* C2 asks what the broker has saved, before its receive of an offset of T1. */
static void saved_told(struct folder *f, int64_t before, int64_t size)
{
    char members[64];

    operation_insert(f, before, "saved", "invoke", "\"topic\":\"T1\"");
    snprintf(members, sizeof members, "\"topic\":\"T1\",\"size\":%" PRId64, size);
    operation_insert(f, before, "saved", "ok", members);
}

/* It was answered at 8 and had asked for 10 when the broker was killed: any of these is right. */
static void saved_right(struct folder *f)
{
    consumed(f, 8, 8, "ok");
    consumed(f, 10, 10, "info");
    saved_told(f, FIRST_AFTER_KILL, 2);
    is_valid(f);
}

static void saved_low(struct folder *f)
{
    consumed(f, 8, 8, "ok");
    consumed(f, 10, 10, "info");
    saved_told(f, FIRST_AFTER_KILL, 12);
    FOUND(f,
          {FINDING_FORGOTTEN, SOURCE_HISTORY, "fault 1", 0, 1,
           "the position of C2 on topic 'T1', which was 8 too low after fault 1"},
          {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 12; there were 0 to 4",
           "forgotten"});
}

static void saved_high(struct folder *f)
{
    passed_over(f, 4, 11);
    consumed(f, 3, 3, "ok");
    saved_told(f, FIRST_AFTER_KILL, 1);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->findings.items[0].kind, FINDING_FORGOTTEN);
    CU_ASSERT_PTR_NOT_NULL(strstr(o.c->findings.items[0].evidence[0].detail,
                                  "the position of C2 on topic 'T1', which was 6 too high"));
    judged_release(&o);
}

/* A consume that the broker has done since says where the consumer is. */
static void saved_again(struct folder *f)
{
    consumed(f, 8, 8, "ok");
    consumed(f, FIRST_AFTER_KILL, 11, "ok");
    saved_told(f, FIRST_AFTER_KILL, 12);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 12; there were 0 to 1"});
}

/* A consume that was lost with the broker that was killed does not come to the next one. */
static void saved_after_death(struct folder *f)
{
    consumed(f, 3, 3, "info");
    consumed(f, 8, 8, "ok");
    consumed(f, FIRST_AFTER_KILL + 2, 11, "ok");
    saved_told(f, FIRST_AFTER_KILL + 4, 10);
    FOUND(f, {FINDING_SIZE_WRONG, SOURCE_HISTORY, "C2", 1, 1, "was told 10; there were 0 to 5"});
}

static void test_saved(void)
{
    WITH_BOTH(saved_right)
    WITH_BOTH(saved_low)
    WITH_BOTH(saved_high)
    WITH_BOTH(saved_again)
    WITH_BOTH(saved_after_death)
}

static void test_positions(void)
{
    WITH_BOTH(position_back)
    WITH_BOTH(positions_back)
    WITH_BOTH(position_unclaimed)
    WITH_BOTH(position_forward)
    WITH_BOTH(positions_forward)
}

/* The last line's answer was lost in the fault, and nobody got it: it owes nothing, and is not said
 * to have been acknowledged. */
static void plain_given_up(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    size_t end =
        line_with(p2, "\"op\":\"send\",\"type\":\"ok\"", "\"topic\":\"T1\"", FAULT_ROUND - 1);

    line_edit(p2, end, "\"ok\"", "\"info\"");
    plain_make(f, CLAIMS_ALL);
    struct judged o = folder_check(f);
    if (o.c->verdict != VERDICT_VALID) {
        judged_print(&o);
    }
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_VALID);
    CU_ASSERT_EQUAL(o.c->findings.count, 1);
    CU_ASSERT_EQUAL(o.c->findings.items[0].kind, FINDING_UNACKNOWLEDGED);
    CU_ASSERT_EQUAL(o.c->findings.items[0].excused, EXCUSE_NOT_PROMISED);
    CU_ASSERT_EQUAL(o.c->promises[PROMISE_ACKNOWLEDGED].checked, PRODUCERS * ROUND_COUNT - 1);
    CU_ASSERT_EQUAL(o.c->promises[PROMISE_ACKNOWLEDGED].not_promised, 1);
    CU_ASSERT_EQUAL(o.c->deliveries[0].not_stored, 0); /* it was stored, and all got it */
    judged_release(&o);
}

/* How often each promise was looked at. */
static void checked_is(const struct folder *f, const int64_t counts[static PROMISES])
{
    struct judged o = folder_check(f);

    for (enum promise i = 0; i < PROMISES; i++) {
        if (o.c->promises[i].checked != counts[i]) {
            printf("\n    %s: %" PRId64 "\n", promise_sentence(i), o.c->promises[i].checked);
        }
        CU_ASSERT_EQUAL(o.c->promises[i].checked, counts[i]);
    }
    judged_release(&o);
}

/* What was not looked at is not said to be kept: of two that get what one sends, all alike, nothing
 * tells the order, and nothing is known of offsets and of the store. */
static void test_promises(void)
{
    struct folder *f = folder_good(false);
    checked_is(f, (int64_t[PROMISES]){[PROMISE_ACKNOWLEDGED] = 36,
                                      [PROMISE_STORED] = 36,
                                      [PROMISE_OFFSETS] = 36,
                                      [PROMISE_STORED_ORDER] = 36,
                                      [PROMISE_REMEMBERED] = 39,
                                      [PROMISE_DELIVERED] = 66,
                                      [PROMISE_ONCE] = 66,
                                      [PROMISE_ONE_ORDER] = 66,
                                      [PROMISE_GENUINE] = 66,
                                      [PROMISE_NOT_EMPTY] = 3,
                                      [PROMISE_FAULTS] = 1});
    folder_destroy(f);
    f = letters("abc", "abc");
    checked_is(f, (int64_t[PROMISES]){[PROMISE_ACKNOWLEDGED] = 3,
                                      [PROMISE_STORED_ORDER] = 3,
                                      [PROMISE_REMEMBERED] = 2,
                                      [PROMISE_DELIVERED] = 6,
                                      [PROMISE_ONCE] = 6,
                                      [PROMISE_ONE_ORDER] = 6,
                                      [PROMISE_GENUINE] = 6,
                                      [PROMISE_NOT_EMPTY] = 2});
    folder_destroy(f);
    f = letters("aaa", "aaa");
    checked_is(f, (int64_t[PROMISES]){[PROMISE_ACKNOWLEDGED] = 3,
                                      [PROMISE_REMEMBERED] = 2,
                                      [PROMISE_DELIVERED] = 6,
                                      [PROMISE_ONCE] = 6,
                                      [PROMISE_GENUINE] = 6,
                                      [PROMISE_NOT_EMPTY] = 2});
    folder_destroy(f);
}

static void test_plain(void)
{
    WITH_BOTH(plain_good)
    WITH_BOTH(plain_lost)
    WITH_BOTH(plain_reply_lost)
    WITH_BOTH(plain_replies_lost)
    WITH_BOTH(plain_size_after_reply_lost)
    WITH_BOTH(plain_neighbours_lost)
    WITH_BOTH(plain_unknown_send)
    WITH_BOTH(plain_forgotten)
    WITH_BOTH(plain_twice)
    WITH_BOTH(plain_swapped)
    WITH_BOTH(plain_swapped_beside_copy)
    WITH_BOTH(plain_foreign)
    WITH_BOTH(plain_copy)
    WITH_BOTH(plain_misrouted)
    WITH_BOTH(plain_consume_refused)
    WITH_BOTH(plain_consume_errs)
    WITH_BOTH(plain_consume_may_be_refused)
    WITH_BOTH(plain_exchanged)
    WITH_BOTH(plain_given_up)
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* Any request that was on its way, refused before a byte was sent: it never got there. */
static void fault_hit_nothing(struct folder *f)
{
    struct file *p2 = file_of(f, "history/P2.jsonl");
    line_edit(p2, line_with(p2, "\"type\":\"info\"", "request", 0), "info", "fail");
    FOUND(f, {FINDING_HIT_NOTHING, SOURCE_HISTORY, "fault 1", 0, 1,
              "after 10 acks: kill broker, restart after 300 ms: it hit 0 requests in flight"});
}

static void fault_not_fired(struct folder *f)
{
    struct file *harness = file_of(f, "history/harness.jsonl");
    while (harness->count > 0) {
        line_remove(harness, 0);
    }
    FOUND(f, {FINDING_NOT_FIRED, SOURCE_HISTORY, "fault 1", 0, 1, "did not happen"});
}

static void fault_no_recovery(struct folder *f)
{
    struct file *harness = file_of(f, "history/harness.jsonl");
    line_remove(harness, harness->count - 1);
    FOUND(f, {FINDING_NO_RECOVERY, SOURCE_HISTORY, "fault 1", 0, 1, "not seen to answer again"});
}

/* ---- does everybody get on? ------------------------------------------------------------------ */

/* A line that P3 has yet to send begins its send. */
static void last_line_begins(struct folder *f)
{
    add(f, "scenario/producer_3.txt", "21:52:23\tthe last\t\tP3-13\t\tT1");
    add(f, "history/P3.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"P3\",\"op\":\"send\",\"type\":\"invoke\",\"line\":13,"
        "\"topic\":\"T1\",\"message\":\"the last\"}",
        tick(f));
}

/* P3 asks so often, in vain: each request takes 2 ms, and 1 ms later comes the next. */
static void refused(struct folder *f, int times, const char *type, int http)
{
    for (int i = 0; i < times; i++) {
        int64_t id = request_begin(f, 2, 0);
        tick(f);
        request_end(f, 2, id, type, http);
    }
}

/* A fault that hits what is on its way. */
static void second_fault(struct folder *f)
{
    add(f, "scenario/scenario.conf", "fault = after 36 acks: pause broker for 1 ms");
    int64_t id = request_begin(f, 2, 0);
    static const char *const types[] = {"begin", "hit", "restart", "end"};
    for (size_t i = 0; i < 4; i++) {
        add(f, "history/harness.jsonl",
            "{\"t\":%" PRId64 ",\"process\":\"harness\",\"op\":\"fault\",\"type\":\"%s\","
            "\"fault\":2,\"acks\":36}",
            tick(f), types[i]);
        if (i == 1) {
            request_end(f, 2, id, "info", 0);
        }
    }
}

/* From its restart to the end of the next request it takes 3 ms. */
static void fault_slow_recovery(struct folder *f)
{
    add(f, "scenario/scenario.conf", "recovery_ms = 3");
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->findings.count, 0);
    judged_release(&o);
    struct file *conf = file_of(f, "scenario/scenario.conf");
    line_edit(conf, conf->count - 1, "3", "2");
    FOUND(f, {FINDING_SLOW_RECOVERY, SOURCE_HISTORY, "fault 1", 0, 1,
              "P2 tried T1 for 3 ms after it was over until something succeeded: 0 requests"});
}

/* A last line is sent through a second fault, and tried again after it, in vain. */
static void fault_no_progress(struct folder *f)
{
    last_line_begins(f);
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    second_fault(f);
    refused(f, 4, "fail", 503);
    FOUND(f,
          {FINDING_NO_PROGRESS, SOURCE_HISTORY, "fault 2", 0, 1,
           "P3 tried T1 for 13 ms after it was over, in vain: 4 requests refused, 0 without"},
          {FINDING_UNSENT, SOURCE_HISTORY, "P3", 1, 1, "line 13 was sent", "no-progress"});
}

/* What the others do is no matter, and what it gave up follows from it. */
static void fault_one_stuck(struct folder *f)
{
    last_line_begins(f);
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    second_fault(f);
    refused(f, 2, "fail", 503);
    line_is_sent(f, 0, 0, 13, false);
    drained(f, 0, 0);
    drained(f, 1, 0);
    refused(f, 2, "fail", 503);
    add(f, "history/P3.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"P3\",\"op\":\"send\",\"type\":\"info\",\"line\":13,"
        "\"topic\":\"T1\",\"code\":\"timeout\"}",
        tick(f));
    FOUND(f, {FINDING_NO_PROGRESS, SOURCE_HISTORY, "fault 2", 0, 1, "P3 tried T1 for"},
          {FINDING_UNACKNOWLEDGED, SOURCE_HISTORY, "P3", 1, 1, "(timeout)", "no-progress"});
}

/* A connection that the fault broke may cost one request its answer, however long it waits. */
static void fault_leaves_a_dead_connection(struct folder *f)
{
    last_line_begins(f);
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    second_fault(f);
    int64_t id = request_begin(f, 2, 0);
    f->now_ns += INT64_C(40000000);
    request_end(f, 2, id, "info", 0);
    FOUND(f, {FINDING_UNSENT, SOURCE_HISTORY, "P3", 1, 1, "line 13 was sent"});
}

/* Refused again and again while no fault lasts; it need not end badly. */
static void refused_without_fault(struct folder *f)
{
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    last_line_begins(f);
    refused(f, 3, "fail", 503);
    refused(f, 1, "info", 0);
    struct judged o = folder_check(f);
    CU_ASSERT_EQUAL(o.c->verdict, VERDICT_INVALID);
    judged_release(&o);
    FOUND(f,
          {FINDING_NO_PROGRESS, SOURCE_HISTORY, "", 0, 1,
           "P3 tried T1 for 11 ms while no fault lasted, in vain: 3 requests refused, 1 without"},
          {FINDING_UNSENT, SOURCE_HISTORY, "P3", 1, 1, "line 13 was sent", "no-progress"});
}

/* The run that waits for it is given up because of that. */
static void refused_until_the_end(struct folder *f)
{
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    for (int i = 0; i < 7; i++) {
        add(f, "history/C1.jsonl",
            "{\"t\":%" PRId64 ",\"process\":\"C1\",\"op\":\"request\",\"type\":\"invoke\",\"id\":"
            "%d,\"path\":\"/consumer/consume\",\"topic\":\"T2\",\"offset\":6}",
            tick(f), 900 + i);
        add(f, "history/C1.jsonl",
            "{\"t\":%" PRId64 ",\"process\":\"C1\",\"op\":\"request\",\"type\":\"fail\",\"id\":%d,"
            "\"http\":503,\"code\":\"overloaded\"}",
            tick(f), 900 + i);
    }
    ended_early_is_said(f);
    FOUND(f,
          {FINDING_NO_PROGRESS, SOURCE_HISTORY, "", 0, 1,
           "C1 tried T2 for 13 ms while no fault lasted, in vain: 7 requests refused "
           "('overloaded')"},
          {FINDING_ENDED_EARLY, SOURCE_HISTORY, "", 0, 1, "waited for C2", "no-progress"});
}

/* Who asks nothing for long, says nothing: each pause counts for a second at most. */
static void rarely_asked(struct folder *f)
{
    add(f, "scenario/scenario.conf", "recovery_ms = 5000");
    last_line_begins(f);
    for (int i = 0; i < 5; i++) {
        refused(f, 1, "fail", 503);
        f->now_ns += INT64_C(60000000000);
    }
    FOUND(f, {FINDING_UNSENT, SOURCE_HISTORY, "P3", 1, 1, "line 13 was sent"});
}

/* The broker says that its store is away; after the fault, and ms later. */
static void fault_denied(struct folder *f, int64_t ms)
{
    last_line_begins(f);
    add(f, "scenario/scenario.conf", "recovery_ms = 10");
    second_fault(f);
    int64_t id = request_begin(f, 2, 0);
    f->now_ns += ms * 1000000;
    add(f, "history/P3.jsonl",
        "{\"t\":%" PRId64 ",\"process\":\"P3\",\"op\":\"request\",\"type\":\"fail\",\"id\":%" PRId64
        ",\"http\":503,\"code\":\"store_away\"}",
        tick(f), id);
}

static void fault_false_away(struct folder *f)
{
    fault_denied(f, 20);
    FOUND(f,
          {FINDING_FALSE_AWAY, SOURCE_HISTORY, "fault 2", 0, 1,
           "P3 tried T1 for 23 ms after it was over, in vain: 1 request refused ('store_away')"},
          {FINDING_UNSENT, SOURCE_HISTORY, "P3", 1, 1, "line 13 was sent", "false-away"});
}

/* Within recovery_ms, when it may not know better. */
static void fault_away_at_first(struct folder *f)
{
    fault_denied(f, 5);
    FOUND(f, {FINDING_UNSENT, SOURCE_HISTORY, "P3", 1, 1, "line 13 was sent"});
}

static void ended_early(struct folder *f)
{
    ended_early_is_said(f);
    FOUND(f, {FINDING_ENDED_EARLY, SOURCE_HISTORY, "", 0, 1, "waited for C2"});
}

static void test_faults(void){
    WITH_BOTH(fault_hit_nothing) WITH_BOTH(fault_not_fired) WITH_BOTH(fault_no_recovery)
        WITH_BOTH(ended_early) WITH_BOTH(fault_slow_recovery) WITH_BOTH(fault_no_progress)
            WITH_BOTH(fault_one_stuck) WITH_BOTH(fault_leaves_a_dead_connection)
                WITH_BOTH(refused_without_fault) WITH_BOTH(refused_until_the_end)
                    WITH_BOTH(rarely_asked) WITH_BOTH(fault_false_away)
                        WITH_BOTH(fault_away_at_first)}

SUITE("check", {"a good run is valid", test_good}, {"a consumer's file is broken", test_file},
      {"a consumer's file is broken and there is no history of it", test_file_alone},
      {"a consumer's history is broken", test_history},
      {"history and file are broken alike", test_both}, {"the store is broken", test_store},
      {"a producer is broken", test_producers},
      {"what consumers get of a broken store follows from it", test_causes},
      {"a message is under another topic", test_misrouted}, {"time is not kept", test_time},
      {"clients have several lives", test_lives}, {"a consumer seeks", test_seeks},
      {"a system without offsets", test_plain},
      {"the order of what is sent to a system without offsets", test_plain_order},
      {"each promise counts what was looked at", test_promises},
      {"a system forgets where a consumer was", test_positions},
      {"a broker forgets where a consumer was", test_saved},
      {"a fault did not do its work", test_faults})
