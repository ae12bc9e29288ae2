/*
 * test_parts.c - the library's parts that need no broker: addresses, text, batches, answers,
 * waits, options.
 */
#include <stdlib.h>
#include <string.h>

#include "myqueue.h"
#include "myqueue/src/address.h"
#include "myqueue/src/batch.h"
#include "myqueue/src/reply.h"
#include "myqueue/src/retry.h"
#include "myqueue/src/text.h"
#include "myqueue/tests/suite.h"

/* ---- addresses -------------------------------------------------------------------- */

static void address_good(const char *address, const char *expected)
{
    char url[MQ_ADDRESS_BYTES_MAX];
    char error[MYQUEUE_ERROR_BYTES];
    CU_ASSERT_EQUAL(mq_address_parse(address, url, error), MYQUEUE_OK);
    CU_ASSERT_STRING_EQUAL(url, expected);
}

static void address_bad(const char *address, const char *why)
{
    char url[MQ_ADDRESS_BYTES_MAX];
    char error[MYQUEUE_ERROR_BYTES] = "";
    CU_ASSERT_EQUAL(mq_address_parse(address, url, error), MYQUEUE_BAD_ADDRESS);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, why));
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "HOST:PORT"));
}

static void addresses_that_are_good(void)
{
    address_good("localhost:9092", "http://localhost:9092");
    address_good("10.110.10.216:5000", "http://10.110.10.216:5000");
    address_good("http://broker_1.net:80/", "http://broker_1.net:80");
    address_good("HTTP://x:1", "http://x:1");
    address_good("[::1]:65535", "http://[::1]:65535");
    address_good("http://[fe80::1]:5000", "http://[fe80::1]:5000");
}

static void addresses_that_are_bad(void)
{
    char longest[400];
    address_bad("", "host is missing");
    address_bad(":5000", "host is missing");
    address_bad("localhost", "port is missing");
    address_bad("http://localhost/", "port is missing");
    address_bad("localhost:", "port is not a number");
    address_bad("localhost:0", "port is not a number");
    address_bad("localhost:65536", "port is not a number");
    address_bad("localhost:123456", "port is not a number");
    address_bad("localhost:50a", "port is not a number");
    address_bad("localhost:5000/topics", "port is not a number");
    address_bad("https://localhost:5000", "only http");
    address_bad("user@localhost:5000", "IPv6 stands");
    address_bad("::1:5000", "host is missing");
    address_bad("[::1:5000", "in brackets");
    address_bad("[]:5000", "in brackets");
    memset(longest, 'a', sizeof longest);
    memcpy(longest + sizeof longest - 6, ":5000", 6);
    address_bad(longest, "too long");
}

/* ---- text ------------------------------------------------------------------------- */

static void json_escapes_what_it_must(void)
{
    static const char message[] = "a\"b\\c\n\x01 \x7F é \xF0\x9F\x98\x80";
    struct mq_text text = {0};
    mq_text_json(&text, message, sizeof message - 1);
    CU_ASSERT_STRING_EQUAL(text.bytes, "\"a\\\"b\\\\c\\u000a\\u0001 \x7F é \xF0\x9F\x98\x80\"");
    mq_text_clear(&text);
    mq_text_json(&text, "", 0);
    CU_ASSERT_STRING_EQUAL(text.bytes, "\"\"");
    mq_text_release(&text);
}

static void query_escapes_what_it_must(void)
{
    struct mq_text text = {0};
    mq_text_query(&text, "T-1_a.b~/ &=%é");
    CU_ASSERT_STRING_EQUAL(text.bytes, "T-1_a.b~%2F%20%26%3D%25%C3%A9");
    mq_text_release(&text);
}

static void text_grows(void)
{
    struct mq_text text = {0};
    for (int i = 0; i < 1000; i++) {
        mq_text_format(&text, "%03d,", i);
    }
    CU_ASSERT_EQUAL(text.length, 4000);
    CU_ASSERT_EQUAL(memcmp(text.bytes + 3996, "999,", 5), 0);
    mq_text_release(&text);
}

#define VALID(text) mq_text_valid((text), sizeof(text) - 1)

static void utf8_is_told_from_what_is_not(void)
{
    CU_ASSERT(VALID(""));
    CU_ASSERT(VALID("plain \t\n"));
    CU_ASSERT(VALID("\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"));
    CU_ASSERT(VALID("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
    CU_ASSERT_FALSE(VALID("a\0b"));
    CU_ASSERT_FALSE(VALID("\x80"));
    CU_ASSERT_FALSE(VALID("\xC0\x80"));
    CU_ASSERT_FALSE(VALID("\xC3"));
    CU_ASSERT_FALSE(VALID("\xE0\x9F\xBF"));
    CU_ASSERT_FALSE(VALID("\xED\xA0\x80"));
    CU_ASSERT_FALSE(VALID("\xF0\x8F\xBF\xBF"));
    CU_ASSERT_FALSE(VALID("\xF4\x90\x80\x80"));
    CU_ASSERT_FALSE(VALID("\xF5\x80\x80\x80"));
    CU_ASSERT_FALSE(VALID("\xE2\x82"));
    CU_ASSERT_FALSE(VALID("\xE2\x82"
                          "A"));
}

static void topics_are_told_from_what_is_not(void)
{
    char name[202];
    memset(name, 'a', sizeof name);
    name[200] = '\0';
    CU_ASSERT(mq_topic_valid(name));
    name[200] = 'a';
    name[201] = '\0';
    CU_ASSERT_FALSE(mq_topic_valid(name));
    CU_ASSERT(mq_topic_valid("a/b ü"));
    CU_ASSERT_FALSE(mq_topic_valid(""));
    CU_ASSERT_FALSE(mq_topic_valid("a\tb"));
    CU_ASSERT_FALSE(mq_topic_valid("a\x7F"));
    CU_ASSERT_FALSE(mq_topic_valid("\xFF"));
}

/* ---- batches ---------------------------------------------------------------------- */

static void list_add(struct mq_outgoing_list *list, const char *message, uint64_t tag)
{
    mq_outgoing_append(list, mq_outgoing_create(message, strlen(message), tag, 0));
}

static void list_free(struct mq_outgoing_list *list)
{
    while (list->first != NULL) {
        free(mq_outgoing_take(list));
    }
    CU_ASSERT_PTR_NULL(list->last);
    CU_ASSERT_EQUAL(list->count, 0);
    CU_ASSERT_EQUAL(list->bytes, 0);
}

static void batch_keeps_its_limits(void)
{
    struct mq_outgoing_list waiting = {0};
    struct mq_outgoing_list batch = {0};
    list_add(&waiting, "0123456789", 1);
    list_add(&waiting, "abc", 2);
    list_add(&waiting, "def", 3);
    list_add(&waiting, "g", 4);
    mq_batch_fill(&batch, &waiting, 10, 5); /* the first is too large, but goes alone */
    CU_ASSERT_EQUAL(batch.count, 1);
    list_free(&batch);
    mq_batch_fill(&batch, &waiting, 10, 6);
    CU_ASSERT_EQUAL(batch.count, 2);
    list_free(&batch);
    list_add(&waiting, "h", 5);
    mq_batch_fill(&batch, &waiting, 1, 1000);
    CU_ASSERT_EQUAL(batch.count, 1);
    CU_ASSERT_EQUAL(batch.first->tag, 4);
    CU_ASSERT_EQUAL(waiting.count, 1);
    list_free(&batch);
    list_free(&waiting);
    mq_batch_fill(&batch, &waiting, 10, 10);
    CU_ASSERT_EQUAL(batch.count, 0);
}

static void batch_returns_to_the_front(void)
{
    struct mq_outgoing_list waiting = {0};
    struct mq_outgoing_list batch = {0};
    for (uint64_t tag = 1; tag <= 4; tag++) {
        list_add(&waiting, "m", tag);
    }
    mq_batch_fill(&batch, &waiting, 2, 100);
    mq_outgoing_return(&waiting, &batch);
    mq_outgoing_return(&waiting, &batch); /* empty: changes nothing */
    mq_batch_fill(&batch, &waiting, 4, 100);
    mq_outgoing_return(&waiting, &batch); /* to an empty list */
    for (uint64_t tag = 1; tag <= 4; tag++) {
        struct mq_outgoing *message = mq_outgoing_take(&waiting);
        CU_ASSERT_EQUAL(message->tag, tag);
        free(message);
    }
    list_add(&waiting, "m", 5);
    CU_ASSERT_EQUAL(waiting.count, 1);
    list_free(&waiting);
}

static void batch_becomes_a_body(void)
{
    struct mq_outgoing_list batch = {0};
    struct mq_text body = {0};
    list_add(&batch, "say \"hi\"", 1);
    list_add(&batch, "", 2);
    mq_batch_write(&batch, "T/1", 7, 40, &body);
    CU_ASSERT_STRING_EQUAL(body.bytes, "{\"topic\":\"T/1\",\"producer_id\":7,\"sequence\":40,"
                                       "\"messages\":[\"say \\\"hi\\\"\",\"\"]}");
    mq_text_release(&body);
    list_free(&batch);
}

/* ---- answers ---------------------------------------------------------------------- */

static struct mq_reply reply_of(int http, const char *body)
{
    struct mq_reply reply;
    struct mq_answer answer = {
        .http = http, .body = body, .length = strlen(body), .retry_after_ms = -1, .error = ""};
    mq_reply_read(&reply, &answer);
    return reply;
}

static enum mq_reply_kind kind_of(int http, const char *body)
{
    struct mq_reply reply = reply_of(http, body);
    enum mq_reply_kind kind = reply.kind;
    CU_ASSERT((kind == MQ_REPLY_SUCCESS) == (reply.error[0] == '\0'));
    mq_reply_release(&reply);
    return kind;
}

#define FAILURE(code) "{\"status\":\"failure\",\"message\":\"m\",\"code\":\"" code "\"}"

static void answers_have_a_meaning(void)
{
    CU_ASSERT_EQUAL(kind_of(200, "{\"status\":\"success\"}"), MQ_REPLY_SUCCESS);
    CU_ASSERT_EQUAL(kind_of(200, " {\"status\":\"success\"} \n"), MQ_REPLY_SUCCESS);
    CU_ASSERT_EQUAL(kind_of(200, "{\"status\":\"success\"} x"), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(200, "{\"status\":\"failure\"}"), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(200, "[]"), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(200, "<html>"), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(200, ""), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(400, FAILURE("no_message")), MQ_REPLY_REFUSED);
    CU_ASSERT_EQUAL(kind_of(404, "<html>"), MQ_REPLY_REFUSED);
    CU_ASSERT_EQUAL(kind_of(408, ""), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(429, ""), MQ_REPLY_AGAIN);
    CU_ASSERT_EQUAL(kind_of(500, FAILURE("internal")), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(503, FAILURE("store_away")), MQ_REPLY_AGAIN);
    CU_ASSERT_EQUAL(kind_of(503, FAILURE("outcome_unknown")), MQ_REPLY_UNKNOWN);
    CU_ASSERT_EQUAL(kind_of(503, "not the broker's word"), MQ_REPLY_UNKNOWN);
}

static void no_answer_has_a_meaning(void)
{
    struct mq_reply reply;
    struct mq_answer answer = {.body = "", .retry_after_ms = -1, .error = "refused"};
    answer.not_sent = true;
    mq_reply_read(&reply, &answer);
    CU_ASSERT_EQUAL(reply.kind, MQ_REPLY_AGAIN);
    CU_ASSERT_STRING_EQUAL(reply.error, "refused");
    answer.not_sent = false;
    mq_reply_read(&reply, &answer);
    CU_ASSERT_EQUAL(reply.kind, MQ_REPLY_UNKNOWN);
}

static int64_t number_of(const char *body)
{
    struct mq_reply reply = reply_of(200, body);
    int64_t number = mq_reply_number(&reply, "n");
    mq_reply_release(&reply);
    return number;
}

static void numbers_are_whole_and_exact(void)
{
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":0}"), 0);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":4294967297}"), 4294967297);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":9007199254740992}"), 9007199254740992);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":9007199254740994}"), -1);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":1.5}"), -1);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":-1}"), -1);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"n\":\"1\"}"), -1);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\",\"N\":1}"), -1);
    CU_ASSERT_EQUAL(number_of("{\"status\":\"success\"}"), -1);
}

static bool fetch_of(const char *messages, int64_t offset, struct mq_fetch *fetch)
{
    struct mq_text body = {0};
    mq_text_format(&body, "{\"status\":\"success\",\"messages\":%s}", messages);
    struct mq_reply reply = reply_of(200, body.bytes);
    bool taken = mq_fetch_take(fetch, &reply, offset);
    CU_ASSERT(taken == (reply.error[0] == '\0'));
    mq_reply_release(&reply);
    mq_text_release(&body);
    return taken;
}

static void messages_are_taken_without_gaps(void)
{
    struct mq_fetch fetch;
    CU_ASSERT_FATAL(fetch_of("[{\"offset\":5,\"message\":\"a\\nb\"},"
                             "{\"offset\":6,\"message\":\"\"}]",
                             5, &fetch));
    CU_ASSERT_EQUAL(fetch.count, 2);
    CU_ASSERT_STRING_EQUAL(fetch.messages[0].bytes, "a\nb");
    CU_ASSERT_EQUAL(fetch.messages[0].length, 3);
    CU_ASSERT_EQUAL(fetch.messages[1].length, 0);
    mq_fetch_release(&fetch);
    CU_ASSERT_EQUAL(fetch.count, 0);
    CU_ASSERT_FALSE(fetch_of("[{\"offset\":6,\"message\":\"a\"}]", 5, &fetch));
    CU_ASSERT_FALSE(fetch_of("[{\"offset\":4,\"message\":\"a\"}]", 5, &fetch));
    CU_ASSERT_FALSE(fetch_of("[{\"offset\":5,\"message\":\"a\"},"
                             "{\"offset\":7,\"message\":\"b\"}]",
                             5, &fetch));
    CU_ASSERT_FALSE(fetch_of("[{\"offset\":5,\"message\":1}]", 5, &fetch));
    CU_ASSERT_FALSE(fetch_of("[{\"offset\":5}]", 5, &fetch));
    CU_ASSERT_FALSE(fetch_of("[]", 5, &fetch));
    CU_ASSERT_FALSE(fetch_of("{}", 5, &fetch));
}

static enum myqueue_status status_of(int http, const char *body, bool registered)
{
    struct mq_reply reply = reply_of(http, body);
    return mq_reply_status(&reply, registered);
}

static void refusals_have_a_status(void)
{
    CU_ASSERT_EQUAL(status_of(400, FAILURE("unknown_topic"), false), MYQUEUE_UNKNOWN_TOPIC);
    CU_ASSERT_EQUAL(status_of(400, FAILURE("unknown_topic"), true), MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(status_of(400, FAILURE("unknown_producer"), true), MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(status_of(400, FAILURE("not_registered"), true), MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(status_of(400, FAILURE("out_of_sequence"), true), MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(status_of(400, FAILURE("offset_out_of_range"), true),
                    MYQUEUE_OFFSET_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(status_of(413, FAILURE("too_large"), true), MYQUEUE_TOO_LARGE);
    CU_ASSERT_EQUAL(status_of(413, "<html>", true), MYQUEUE_TOO_LARGE);
    CU_ASSERT_EQUAL(status_of(400, FAILURE("bad_topic_name"), false), MYQUEUE_REFUSED);
}

/* ---- waits, names, options -------------------------------------------------------- */

static void waits_grow_and_have_a_limit(void)
{
    struct mq_retry retry;
    mq_retry_init(&retry, 42);
    int step_ms = MQ_RETRY_FIRST_MS;
    for (int i = 0; i < 100; i++) {
        int wait_ms = mq_retry_next_ms(&retry, -1);
        CU_ASSERT(wait_ms >= step_ms / 2 && wait_ms <= step_ms);
        step_ms = step_ms * 2 < MQ_RETRY_LONGEST_MS ? step_ms * 2 : MQ_RETRY_LONGEST_MS;
    }
    mq_retry_reset(&retry);
    CU_ASSERT(mq_retry_next_ms(&retry, -1) <= MQ_RETRY_FIRST_MS);
    for (int i = 0; i < 100; i++) {
        int wait_ms = mq_retry_next_ms(&retry, 1000);
        CU_ASSERT(wait_ms >= 1000 && wait_ms <= 1100);
    }
    CU_ASSERT_EQUAL(mq_retry_next_ms(&retry, 3600000), MQ_RETRY_AFTER_LONGEST_MS);
}

static void statuses_have_names(void)
{
    CU_ASSERT_STRING_EQUAL(myqueue_status_name(MYQUEUE_OK), "ok");
    CU_ASSERT_STRING_EQUAL(myqueue_status_name(MYQUEUE_BAD_REPLY), "bad_reply");
    CU_ASSERT_STRING_EQUAL(myqueue_status_name((enum myqueue_status)1000), "unknown_status");
    CU_ASSERT(strlen(myqueue_status_words(MYQUEUE_EXPIRED)) > 10);
}

static void bad_options_are_named(void)
{
    static const char *const topics[] = {"T1", "T2", "T1"};
    static const char *const bad[] = {"T1", "a\nb"};
    char error[MYQUEUE_ERROR_BYTES];
    MyProducer *producer;
    MyConsumer *consumer;
    struct myproducer_options produce;
    struct myconsumer_options consume;
    myproducer_options_init(&produce);
    produce.batch_messages_max = 0;
    CU_ASSERT_EQUAL(myproducer_create("x:1", topics, 1, &produce, &producer, error),
                    MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "batch_messages_max is 0; it must be 1 to 10000"));
    CU_ASSERT_PTR_NULL(producer);
    myconsumer_options_init(&consume);
    consume.wait_ms = 20001;
    CU_ASSERT_EQUAL(myconsumer_create("x:1", topics, 1, &consume, &consumer, error),
                    MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "wait_ms"));
    CU_ASSERT_EQUAL(myconsumer_create("x:1", topics, 3, NULL, &consumer, error),
                    MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "'T1' is given twice"));
    CU_ASSERT_EQUAL(myproducer_create("x:1", bad, 2, NULL, &producer, error), MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "topic 2"));
    CU_ASSERT_EQUAL(myproducer_create("x", topics, 1, NULL, &producer, NULL), MYQUEUE_BAD_ADDRESS);
}

int main(void)
{
    SUITE_BEGIN("myqueue parts");
    SUITE_TEST(addresses_that_are_good);
    SUITE_TEST(addresses_that_are_bad);
    SUITE_TEST(json_escapes_what_it_must);
    SUITE_TEST(query_escapes_what_it_must);
    SUITE_TEST(text_grows);
    SUITE_TEST(utf8_is_told_from_what_is_not);
    SUITE_TEST(topics_are_told_from_what_is_not);
    SUITE_TEST(batch_keeps_its_limits);
    SUITE_TEST(batch_returns_to_the_front);
    SUITE_TEST(batch_becomes_a_body);
    SUITE_TEST(answers_have_a_meaning);
    SUITE_TEST(no_answer_has_a_meaning);
    SUITE_TEST(numbers_are_whole_and_exact);
    SUITE_TEST(messages_are_taken_without_gaps);
    SUITE_TEST(refusals_have_a_status);
    SUITE_TEST(waits_grow_and_have_a_limit);
    SUITE_TEST(statuses_have_names);
    SUITE_TEST(bad_options_are_named);
    return suite_end();
}
