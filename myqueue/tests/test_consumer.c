/*
 * test_consumer.c - MyConsumer, and the calls without a client, against a broker that loses
 * requests and answers, hangs, goes away and forgets. What must hold every time: every
 * message once, in order, and never a position that the program has not reached.
 */
#include <pthread.h>

#include "myqueue.h"
#include "myqueue/src/clock.h"
#include "myqueue/tests/broker.h"
#include "myqueue/tests/suite.h"

enum { PATIENCE_MS = 30000, BRIEF_MS = 2000, COUNT = 300 };

static struct broker broker;
static char error[MYQUEUE_ERROR_BYTES];
static const char *const topics[] = {"T1", "T2"};

static struct myconsumer_options options_for_tests(void)
{
    struct myconsumer_options options;
    myconsumer_options_init(&options);
    options.retry_ms = PATIENCE_MS;
    options.fetch_messages_max = 7;
    options.create_topics = true;
    return options;
}

/* A fresh broker, and a consumer of two topics. */
static MyConsumer *begin(const struct myconsumer_options *options)
{
    MyConsumer *consumer;
    broker_reserve(&broker);
    broker_start(&broker, 0);
    CU_ASSERT_EQUAL_FATAL(myconsumer_create(broker.address, topics, 2, options, &consumer, error),
                          MYQUEUE_OK);
    return consumer;
}

static void end(MyConsumer *consumer)
{
    myconsumer_stop(consumer);
    broker_release(&broker);
}

/* Fill both topics with the numbers from `from` up to `to`. */
static void produce_numbers(int from, int to)
{
    MyProducer *producer;
    char message[16];
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 2, NULL, &producer, error),
                          MYQUEUE_OK);
    for (int i = from; i < to; i++) {
        int length = snprintf(message, sizeof message, "%d", i);
        myproducer_send(producer, "T1", message, (size_t)length, 0);
        myproducer_send(producer, "T2", message, (size_t)length, 0);
    }
    CU_ASSERT_EQUAL(myproducer_stop(producer, PATIENCE_MS, NULL), MYQUEUE_OK);
}

/* Take `count` messages; each topic's are the numbers that follow `next` on. */
static void take_numbers(MyConsumer *consumer, int count, int next[2])
{
    for (int i = 0; i < count; i++) {
        MyMessage message;
        enum myqueue_status status = myconsumer_get_next(consumer, PATIENCE_MS, &message);
        CU_ASSERT_EQUAL_FATAL(status, MYQUEUE_OK);
        int *expected = &next[strcmp(message.topic, "T2") == 0];
        CU_ASSERT_EQUAL(strtol(message.message, NULL, 10), *expected);
        CU_ASSERT_EQUAL(message.offset, *expected);
        CU_ASSERT_EQUAL(message.length, strlen(message.message));
        (*expected)++;
    }
}

#define PLAN(action, times)                                                                        \
    "{\"path\":\"/consumer/consume\",\"do\":\"" action "\",\"times\":" #times "}"

static void run_through(const char *plan, const char *fault, int times)
{
    struct myconsumer_options options = options_for_tests();
    int next[2] = {0};
    options.wait_ms = 100;
    options.request_ms = strcmp(fault, "hang") == 0 ? 300 : options.request_ms;
    MyConsumer *consumer = begin(&options);
    broker_plan(&broker, plan);
    produce_numbers(0, COUNT);
    take_numbers(consumer, 2 * COUNT, next);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/consumer/consume", fault), times);
    cJSON_Delete(state);
    end(consumer);
}

static void receives_in_order(void)
{
    run_through("", "none", 0);
}

static void survives_lost_answers(void)
{
    run_through(PLAN("drop_reply", 9), "drop_reply", 9);
}

static void survives_lost_requests(void)
{
    run_through(PLAN("drop_request", 9), "drop_request", 9);
}

static void survives_a_store_that_is_away(void)
{
    run_through(PLAN("unavailable", 1) "," PLAN("unknown_lost", 2), "unavailable", 1);
}

static void survives_garbage(void)
{
    run_through(PLAN("garbage", 3), "garbage", 3);
}

static void survives_a_hanging_broker(void)
{
    run_through(PLAN("hang", 3), "hang", 3);
}

/* The largest position of the topic that the broker was told of. */
static long claimed(const char *topic)
{
    long largest = 0;
    cJSON *state = broker_state(&broker);
    const cJSON *request;
    cJSON_ArrayForEach(request, cJSON_GetObjectItemCaseSensitive(state, "requests"))
    {
        const cJSON *offset = cJSON_GetObjectItemCaseSensitive(request, "offset");
        const cJSON *of = cJSON_GetObjectItemCaseSensitive(request, "topic");
        if (offset != NULL && strcmp(of->valuestring, topic) == 0) {
            long position = strtol(offset->valuestring, NULL, 10);
            largest = position > largest ? position : largest;
        }
    }
    cJSON_Delete(state);
    return largest;
}

/* The broker is told "all before N is mine" only when the program has come back after N-1. */
static void claims_only_what_was_dealt_with(void)
{
    struct myconsumer_options options = options_for_tests();
    const char *const one[] = {"T1"};
    int next[2] = {0};
    MyConsumer *consumer;
    options.fetch_messages_max = 1;
    broker_reserve(&broker);
    broker_start(&broker, 0);
    CU_ASSERT_EQUAL_FATAL(myconsumer_create(broker.address, one, 1, &options, &consumer, error),
                          MYQUEUE_OK);
    produce_numbers(0, 5);
    for (int given = 1; given <= 5; given++) {
        take_numbers(consumer, 1, next);
        CU_ASSERT_EQUAL(claimed("T1"), given - 1);
    }
    end(consumer);
}

struct taking {
    MyConsumer *consumer;
    enum myqueue_status status;
    MyMessage message;
};

static void *take_main(void *arg)
{
    struct taking *taking = arg;
    taking->status = myconsumer_get_next(taking->consumer, PATIENCE_MS, &taking->message);
    return NULL;
}

static void a_waiting_consumer_wakes(void)
{
    struct myconsumer_options options = options_for_tests();
    struct taking taking = {.consumer = begin(&options)};
    pthread_t thread;
    int64_t began_ms = mq_clock_ms();
    pthread_create(&thread, NULL, take_main, &taking);
    produce_numbers(0, 1);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(taking.status, MYQUEUE_OK);
    CU_ASSERT(mq_clock_ms() - began_ms < 20000); /* not the end of the long poll */
    end(taking.consumer);
}

static void says_when_there_is_nothing(void)
{
    struct myconsumer_options options = options_for_tests();
    MyMessage message;
    options.wait_ms = 50;
    MyConsumer *consumer = begin(&options);
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, 0, &message), MYQUEUE_TIMEOUT);
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, 200, &message), MYQUEUE_TIMEOUT);
    CU_ASSERT_STRING_EQUAL(myconsumer_error(consumer), "");
    end(consumer);
}

static void creates_topics_only_when_asked_to(void)
{
    struct myconsumer_options options = options_for_tests();
    MyConsumer *consumer = begin(&options);
    MyConsumer *other;
    const char *const missing[] = {"T1", "nowhere"};
    cJSON *state = broker_state(&broker);
    CU_ASSERT_PTR_NOT_NULL(state_messages(state, "T2"));
    cJSON_Delete(state);
    options.create_topics = false;
    CU_ASSERT_EQUAL(myconsumer_create(broker.address, missing, 2, &options, &other, error),
                    MYQUEUE_UNKNOWN_TOPIC);
    CU_ASSERT_PTR_NULL(other);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "'nowhere'"));
    end(consumer);
}

static void rides_out_a_broker_that_is_away(void)
{
    struct myconsumer_options options = options_for_tests();
    MyMessage message;
    options.retry_ms = BRIEF_MS;
    MyConsumer *consumer = begin(&options);
    broker_plan(&broker, PLAN("drop_request", -1));
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, 100, &message), MYQUEUE_TIMEOUT);
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, PATIENCE_MS, &message), MYQUEUE_BROKER_AWAY);
    CU_ASSERT_PTR_NOT_NULL(strstr(myconsumer_error(consumer), broker.address));
    broker_plan(&broker, "");
    produce_numbers(0, 1);
    int next[2] = {0};
    take_numbers(consumer, 2, next); /* it was no final answer */
    end(consumer);
}

/* The plan is for later requests: those that wait at the broker are still answered. */
static enum myqueue_status take_until_failure(MyConsumer *consumer)
{
    MyMessage message;
    enum myqueue_status status;
    do {
        status = myconsumer_get_next(consumer, PATIENCE_MS, &message);
    } while (status == MYQUEUE_OK);
    return status;
}

static void says_that_it_was_forgotten(void)
{
    struct myconsumer_options options = options_for_tests();
    MyMessage message;
    MyConsumer *consumer = begin(&options);
    broker_plan(&broker, PLAN("forget", -1));
    produce_numbers(0, 1);
    CU_ASSERT_EQUAL(take_until_failure(consumer), MYQUEUE_FORGOTTEN);
    CU_ASSERT_PTR_NOT_NULL(strstr(myconsumer_error(consumer), "unknown_consumer"));
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, PATIENCE_MS, &message), MYQUEUE_FORGOTTEN);
    end(consumer);
}

/* A log whose beginning has been removed is read from its first message. */
static void begins_where_the_log_begins(void)
{
    struct myconsumer_options options = options_for_tests();
    MyConsumer *consumer;
    MyMessage message;
    int64_t size;
    broker_reserve(&broker);
    broker_start(&broker, 0);
    produce_numbers(0, 5);
    broker_plan(&broker, "{\"path\":\"/consumer/register\",\"do\":\"trim\",\"times\":2}");
    CU_ASSERT_EQUAL_FATAL(myconsumer_create(broker.address, topics, 2, &options, &consumer, error),
                          MYQUEUE_OK);
    produce_numbers(5, 6);
    CU_ASSERT_EQUAL(myconsumer_size(consumer, "T1", &size, error), MYQUEUE_OK);
    CU_ASSERT_EQUAL(size, 1);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(myconsumer_get_next(consumer, PATIENCE_MS, &message), MYQUEUE_OK);
        CU_ASSERT_EQUAL(message.offset, 5);
        CU_ASSERT_STRING_EQUAL(message.message, "5");
    }
    end(consumer);
}

static void what_was_removed_is_said_to_be(void)
{
    struct myconsumer_options options = options_for_tests();
    options.fetch_messages_max = 1;
    MyConsumer *consumer = begin(&options);
    broker_plan(&broker, PLAN("trim", -1));
    produce_numbers(0, 3);
    CU_ASSERT_EQUAL(take_until_failure(consumer), MYQUEUE_OFFSET_OUT_OF_RANGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(myconsumer_error(consumer), "offset_out_of_range"));
    end(consumer);
}

static void a_wrong_offset_is_an_error(void)
{
    struct myconsumer_options options = options_for_tests();
    options.fetch_messages_max = 1;
    MyConsumer *consumer = begin(&options);
    broker_plan(&broker, PLAN("shift", -1));
    produce_numbers(0, 3);
    CU_ASSERT_EQUAL(take_until_failure(consumer), MYQUEUE_BAD_REPLY);
    CU_ASSERT_PTR_NOT_NULL(strstr(myconsumer_error(consumer), "was due"));
    end(consumer);
}

static void a_large_answer_is_asked_for_in_parts(void)
{
    struct myconsumer_options options = options_for_tests();
    int next[2] = {0};
    options.fetch_messages_max = 10000;
    options.fetch_bytes_max = 1000;
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, COUNT);
    take_numbers(consumer, 2 * COUNT, next);
    myconsumer_stop(consumer);
    options.fetch_bytes_max = 20; /* too small for one message */
    MyMessage message;
    CU_ASSERT_EQUAL_FATAL(myconsumer_create(broker.address, topics, 2, &options, &consumer, error),
                          MYQUEUE_OK);
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, PATIENCE_MS, &message), MYQUEUE_TOO_LARGE);
    end(consumer);
}

static void size_counts_what_was_not_given(void)
{
    struct myconsumer_options options = options_for_tests();
    const char *const one[] = {"T1"};
    int next[2] = {0};
    int64_t size = -1;
    MyConsumer *consumer;
    broker_reserve(&broker);
    broker_start(&broker, 0);
    CU_ASSERT_EQUAL_FATAL(myconsumer_create(broker.address, one, 1, &options, &consumer, error),
                          MYQUEUE_OK);
    CU_ASSERT_EQUAL(myconsumer_size(consumer, "T1", &size, error), MYQUEUE_OK);
    CU_ASSERT_EQUAL(size, 0);
    produce_numbers(0, 20);
    CU_ASSERT_EQUAL(myconsumer_size(consumer, "T1", &size, error), MYQUEUE_OK);
    CU_ASSERT_EQUAL(size, 20);
    for (int taken = 1; taken <= 20; taken++) {
        take_numbers(consumer, 1, next);
        CU_ASSERT_EQUAL(myconsumer_size(consumer, "T1", &size, error), MYQUEUE_OK);
        CU_ASSERT_EQUAL(size, 20 - taken);
    }
    CU_ASSERT_EQUAL(myconsumer_size(consumer, "T2", &size, error), MYQUEUE_BAD_ARGUMENT);
    end(consumer);
}

static void seek(MyConsumer *consumer, const char *topic, int64_t offset, int64_t expected)
{
    int64_t position = -1;
    CU_ASSERT_EQUAL(myconsumer_seek(consumer, topic, offset, &position, error), MYQUEUE_OK);
    CU_ASSERT_EQUAL(position, expected);
    CU_ASSERT_STRING_EQUAL(error, "");
}

/* What was fetched ahead is forgotten, of this topic only. */
static void goes_on_where_it_seeks(void)
{
    struct myconsumer_options options = options_for_tests();
    struct myqueue_identity who;
    int next[2] = {0};
    int64_t size;
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, 20);
    take_numbers(consumer, 20, next);
    static const int offsets[] = {3, 19, 0, 11};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        next[0] = offsets[i];
        seek(consumer, "T1", next[0], next[0]);
        CU_ASSERT_EQUAL(myconsumer_identity(consumer, "T1", &who), MYQUEUE_OK);
        CU_ASSERT_EQUAL(who.next, next[0]);
        CU_ASSERT_EQUAL(myconsumer_size(consumer, "T1", &size, error), MYQUEUE_OK);
        CU_ASSERT_EQUAL(size, 20 - next[0]);
        take_numbers(consumer, 2, next);
    }
    CU_ASSERT_EQUAL(myconsumer_seek(consumer, "T1", MYQUEUE_LATEST, NULL, NULL), MYQUEUE_OK);
    next[0] = 20;
    take_numbers(consumer, 20 - next[1], next);
    MyMessage message;
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, 0, &message), MYQUEUE_TIMEOUT);
    next[0] = next[1] = 0;
    seek(consumer, "T1", MYQUEUE_EARLIEST, 0);
    seek(consumer, "T2", 0, 0);
    take_numbers(consumer, 40, next);
    end(consumer);
}

/* The message that was given last stays dealt with or not, as if nobody had asked. */
static void a_seek_that_fails_changes_nothing(void)
{
    struct myconsumer_options options = options_for_tests();
    int next[2] = {0};
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, 20);
    static const int64_t no_offsets[] = {-3, INT64_MIN, (INT64_C(1) << 53) + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof no_offsets / sizeof *no_offsets; i++) {
        CU_ASSERT_EQUAL(myconsumer_seek(consumer, "T1", no_offsets[i], NULL, error),
                        MYQUEUE_BAD_ARGUMENT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, "MYQUEUE_EARLIEST"));
    }
    CU_ASSERT_EQUAL(myconsumer_seek(consumer, "T3", 0, NULL, error), MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "T3"));
    for (int i = 0; i < 20; i++) {
        take_numbers(consumer, 1, next);
        CU_ASSERT_EQUAL(myconsumer_seek(consumer, "T1", 21, NULL, error),
                        MYQUEUE_OFFSET_OUT_OF_RANGE);
    }
    take_numbers(consumer, 20, next);
    end(consumer);
}

static void wait_for_hanging(int count)
{
    int seen;
    do {
        cJSON *state = broker_state(&broker);
        seen = state_count(state, "/consumer/consume", "hang");
        cJSON_Delete(state);
    } while (seen < count);
}

/* A request that waits for what the consumer no longer wants is given up. */
static void a_seek_does_not_wait_for_a_waiting_request(void)
{
    struct myconsumer_options options = options_for_tests();
    int next[2] = {0};
    options.request_ms = INT32_MAX - 20000;
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, 20);
    take_numbers(consumer, 40, next);
    for (int round = 1; round <= 5; round++) {
        broker_plan(&broker, PLAN("hang", -1));
        seek(consumer, "T1", 20, 20);
        seek(consumer, "T2", 20, 20);
        wait_for_hanging(2 * round);
        broker_plan(&broker, "");
        next[0] = next[1] = round;
        seek(consumer, "T1", round, round);
        seek(consumer, "T2", round, round);
        take_numbers(consumer, 2 * (20 - round), next);
    }
    end(consumer);
}

static void a_seek_survives(const char *plan, int times)
{
    struct myconsumer_options options = options_for_tests();
    int next[2] = {0};
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, 20);
    take_numbers(consumer, 10, next);
    broker_plan(&broker, plan);
    next[0] = 2;
    seek(consumer, "T1", 2, 2);
    take_numbers(consumer, 18 + 20 - next[1], next);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/consumer/seek", NULL), times + 1);
    cJSON_Delete(state);
    end(consumer);
}

#define SEEK_PLAN(action) "{\"path\":\"/consumer/seek\",\"do\":\"" action "\",\"times\":2}"

static void a_seek_survives_lost_requests_and_answers(void)
{
    a_seek_survives(SEEK_PLAN("drop_request"), 2);
    a_seek_survives(SEEK_PLAN("drop_reply"), 2);
    a_seek_survives(SEEK_PLAN("unknown_lost"), 2);
    a_seek_survives(SEEK_PLAN("garbage"), 2);
}

/* It says so, and the consumer goes on where it was when the broker is back. */
static void a_seek_gives_up_when_the_broker_is_away(void)
{
    struct myconsumer_options options = options_for_tests();
    int next[2] = {0};
    options.retry_ms = BRIEF_MS;
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, 20);
    take_numbers(consumer, 40, next);
    broker_plan(&broker, "{\"path\":\"/consumer/seek\",\"do\":\"drop_request\",\"times\":-1}");
    CU_ASSERT_EQUAL(myconsumer_seek(consumer, "T1", 0, NULL, error), MYQUEUE_BROKER_AWAY);
    CU_ASSERT_STRING_NOT_EQUAL(error, "");
    produce_numbers(20, 25);
    take_numbers(consumer, 10, next);
    end(consumer);
}

static void a_topic_that_has_ended_is_not_mended_by_a_seek(void)
{
    struct myconsumer_options options = options_for_tests();
    MyMessage message;
    MyConsumer *consumer = begin(&options);
    broker_plan(&broker, PLAN("forget", 1));
    produce_numbers(0, 1);
    while (myconsumer_get_next(consumer, PATIENCE_MS, &message) == MYQUEUE_OK) {
    }
    enum myqueue_status first = myconsumer_seek(consumer, "T1", 0, NULL, error);
    enum myqueue_status second = myconsumer_seek(consumer, "T2", 0, NULL, error);
    CU_ASSERT(first == MYQUEUE_FORGOTTEN && second == MYQUEUE_FORGOTTEN);
    end(consumer);
}

/* What was given and not dealt with is given again, and nothing else. */
static void goes_on_as_the_same(void)
{
    struct myconsumer_options options = options_for_tests();
    struct myqueue_identity who[2];
    int next[2] = {0};
    MyConsumer *consumer = begin(&options);
    produce_numbers(0, COUNT);
    take_numbers(consumer, COUNT, next);
    for (int t = 0; t < 2; t++) {
        CU_ASSERT_EQUAL(myconsumer_identity(consumer, topics[t], &who[t]), MYQUEUE_OK);
        CU_ASSERT(who[t].next == next[t] || who[t].next == next[t] - 1);
        who[t].topic = topics[t];
        next[t] = (int)who[t].next;
    }
    CU_ASSERT_EQUAL(next[0] + next[1], COUNT - 1);
    CU_ASSERT_EQUAL(myconsumer_identity(consumer, "T3", &who[0]), MYQUEUE_BAD_ARGUMENT);
    myconsumer_stop(consumer);
    options.resume = who;
    options.resume_count = 2;
    CU_ASSERT_EQUAL_FATAL(myconsumer_create(broker.address, topics, 2, &options, &consumer, error),
                          MYQUEUE_OK);
    take_numbers(consumer, COUNT + 1, next);
    MyMessage message;
    CU_ASSERT_EQUAL(myconsumer_get_next(consumer, 0, &message), MYQUEUE_TIMEOUT);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/consumer/register", NULL), 4); /* two found no topic */
    cJSON_Delete(state);
    end(consumer);
}

static void topics_are_created_and_health_is_asked(void)
{
    broker_reserve(&broker);
    CU_ASSERT_EQUAL(myqueue_health(broker.address, 1000, error), MYQUEUE_BROKER_AWAY);
    CU_ASSERT_NOT_EQUAL(error[0], '\0');
    CU_ASSERT_EQUAL(myqueue_create_topic(broker.address, "T1", 100, error), MYQUEUE_BROKER_AWAY);
    broker_start(&broker, 0);
    CU_ASSERT_EQUAL(myqueue_health(broker.address, PATIENCE_MS, error), MYQUEUE_OK);
    CU_ASSERT_STRING_EQUAL(error, "");
    CU_ASSERT_EQUAL(myqueue_create_topic(broker.address, "T1", PATIENCE_MS, error), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myqueue_create_topic(broker.address, "T1", PATIENCE_MS, error),
                    MYQUEUE_TOPIC_EXISTS);
    CU_ASSERT_EQUAL(myqueue_create_topic(broker.address, "a\nb", PATIENCE_MS, NULL),
                    MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_EQUAL(myqueue_health("nonsense", 1, error), MYQUEUE_BAD_ADDRESS);
    broker_release(&broker);
}

/* Nothing tells the broker of the position: it counts from the one that it has. */
static void a_saved_size_is_asked(void)
{
    struct myconsumer_options options = options_for_tests();
    int64_t size = -1;
    MyConsumer *consumer = begin(&options);
    struct myqueue_identity who;
    CU_ASSERT_EQUAL(myconsumer_identity(consumer, "T1", &who), MYQUEUE_OK);
    myconsumer_stop(consumer);
    CU_ASSERT_EQUAL(myqueue_size(broker.address, "T1", who.client_id, PATIENCE_MS, &size, error),
                    MYQUEUE_OK);
    CU_ASSERT(size >= 0);
    CU_ASSERT_EQUAL(
        myqueue_size(broker.address, "T1", who.client_id + 999, PATIENCE_MS, &size, error),
        MYQUEUE_FORGOTTEN);
    CU_ASSERT_NOT_EQUAL(error[0], '\0');
    broker_release(&broker);
    CU_ASSERT_EQUAL(myqueue_size(broker.address, "T1", who.client_id, 1000, &size, NULL),
                    MYQUEUE_BROKER_AWAY);
    CU_ASSERT_EQUAL(myqueue_size("nonsense", "T1", 1, 1, &size, error), MYQUEUE_BAD_ADDRESS);
}

static void stops_at_once_while_it_waits(void)
{
    struct myconsumer_options options = options_for_tests();
    MyConsumer *consumer = begin(&options);
    int64_t began_ms = mq_clock_ms();
    myconsumer_stop(consumer);
    CU_ASSERT(mq_clock_ms() - began_ms < 20000); /* not the end of the long poll */
    myconsumer_stop(NULL);
    broker_release(&broker);
}

int main(void)
{
    SUITE_BEGIN("MyConsumer");
    SUITE_TEST(receives_in_order);
    SUITE_TEST(survives_lost_answers);
    SUITE_TEST(survives_lost_requests);
    SUITE_TEST(survives_a_store_that_is_away);
    SUITE_TEST(survives_garbage);
    SUITE_TEST(survives_a_hanging_broker);
    SUITE_TEST(claims_only_what_was_dealt_with);
    SUITE_TEST(a_waiting_consumer_wakes);
    SUITE_TEST(says_when_there_is_nothing);
    SUITE_TEST(creates_topics_only_when_asked_to);
    SUITE_TEST(rides_out_a_broker_that_is_away);
    SUITE_TEST(says_that_it_was_forgotten);
    SUITE_TEST(begins_where_the_log_begins);
    SUITE_TEST(what_was_removed_is_said_to_be);
    SUITE_TEST(a_wrong_offset_is_an_error);
    SUITE_TEST(a_large_answer_is_asked_for_in_parts);
    SUITE_TEST(size_counts_what_was_not_given);
    SUITE_TEST(goes_on_where_it_seeks);
    SUITE_TEST(a_seek_that_fails_changes_nothing);
    SUITE_TEST(a_seek_does_not_wait_for_a_waiting_request);
    SUITE_TEST(a_seek_survives_lost_requests_and_answers);
    SUITE_TEST(a_seek_gives_up_when_the_broker_is_away);
    SUITE_TEST(a_topic_that_has_ended_is_not_mended_by_a_seek);
    SUITE_TEST(a_saved_size_is_asked);
    SUITE_TEST(goes_on_as_the_same);
    SUITE_TEST(topics_are_created_and_health_is_asked);
    SUITE_TEST(stops_at_once_while_it_waits);
    return suite_end();
}
