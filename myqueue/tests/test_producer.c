/*
 * test_producer.c - MyProducer against a broker that loses requests and answers, refuses,
 * hangs, dies and forgets. What must hold every time: nothing is lost, nothing is stored
 * twice, the order is the order of sending, and what is repeated is repeated as it was.
 */
#include <pthread.h>

#include "myqueue.h"
#include "myqueue/src/clock.h"
#include "myqueue/tests/broker.h"
#include "myqueue/tests/suite.h"

/* BRIEF_MS: for what must expire; long enough for what must not on a busy machine. */
enum { TAGS_MAX = 2000, PATIENCE_MS = 30000, BRIEF_MS = 2000 };

/* What the callbacks saw. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int delivered[TAGS_MAX]; /* calls for each tag */
    enum myqueue_status status[TAGS_MAX];
    int64_t offset[TAGS_MAX];
    int not_executed; /* attempts that ended as certainly not executed */
    int not_known;    /* attempts that failed otherwise */
    int open;         /* attempts begun and not ended */
};

static struct broker broker;
static struct seen seen;
static char error[MYQUEUE_ERROR_BYTES];
static const char *const topics[] = {"T1", "T2", "T3"};

static void on_delivered(void *arg, const struct myqueue_delivery *delivery)
{
    struct seen *s = arg;
    pthread_mutex_lock(&s->lock);
    s->delivered[delivery->tag]++;
    s->status[delivery->tag] = delivery->status;
    s->offset[delivery->tag] = delivery->offset;
    pthread_mutex_unlock(&s->lock);
}

static void on_attempt(void *arg, const struct myqueue_attempt *attempt)
{
    struct seen *s = arg;
    pthread_mutex_lock(&s->lock);
    s->open += attempt->phase == MYQUEUE_BEGIN ? 1 : -1;
    if (attempt->phase == MYQUEUE_END && attempt->error[0] != '\0') {
        s->not_executed += attempt->not_executed;
        s->not_known += !attempt->not_executed;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void seen_clear(void)
{
    pthread_condattr_t attributes;
    seen = (struct seen){.open = 0};
    pthread_mutex_init(&seen.lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&seen.changed, &attributes);
}

static void wait_for_failed_attempts(int count)
{
    int64_t until_ms = mq_clock_after(PATIENCE_MS);
    pthread_mutex_lock(&seen.lock);
    while (seen.not_executed + seen.not_known < count && mq_clock_ms() < until_ms) {
        mq_clock_wait(&seen.changed, &seen.lock, until_ms);
    }
    CU_ASSERT_FATAL(seen.not_executed + seen.not_known >= count);
    pthread_mutex_unlock(&seen.lock);
}

static struct myproducer_options options_for_tests(void)
{
    struct myproducer_options options;
    myproducer_options_init(&options);
    options.retry_ms = PATIENCE_MS;
    options.batch_messages_max = 10;
    options.delivered = on_delivered;
    options.delivered_arg = &seen;
    options.observer = on_attempt;
    options.observer_arg = &seen;
    return options;
}

/* A fresh broker, and a producer for three topics. */
static MyProducer *begin(const struct myproducer_options *options, int message_bytes_max)
{
    MyProducer *producer;
    seen_clear();
    broker_reserve(&broker);
    broker_start(&broker, message_bytes_max);
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 3, options, &producer, error),
                          MYQUEUE_OK);
    return producer;
}

/* Send the numbers `from` up to `to` as messages, to the three topics in turn. */
static void send_numbers(MyProducer *producer, int from, int to)
{
    char message[16];
    for (int i = from; i < to; i++) {
        int length = snprintf(message, sizeof message, "%d", i);
        CU_ASSERT_EQUAL(
            myproducer_send(producer, topics[i % 3], message, (size_t)length, (uint64_t)i),
            MYQUEUE_OK);
    }
}

/* The topics hold the numbers below `count`, each once and in order, and every delivery
 * named its place. */
static void check_numbers(const cJSON *state, int count)
{
    const cJSON *next[3];
    int64_t offset[3] = {0};
    for (int t = 0; t < 3; t++) {
        const cJSON *messages = state_messages(state, topics[t]);
        CU_ASSERT_EQUAL(cJSON_GetArraySize(messages), (count + 2 - t) / 3);
        next[t] = messages != NULL ? messages->child : NULL;
    }
    for (int i = 0; i < count; i++) {
        int t = i % 3;
        CU_ASSERT_PTR_NOT_NULL_FATAL(next[t]);
        CU_ASSERT_EQUAL(strtol(next[t]->valuestring, NULL, 10), i);
        CU_ASSERT_EQUAL(seen.delivered[i], 1);
        CU_ASSERT_EQUAL(seen.status[i], MYQUEUE_OK);
        CU_ASSERT_EQUAL(seen.offset[i], offset[t]);
        next[t] = next[t]->next;
        offset[t]++;
    }
}

/* Two requests of one producer with one sequence have the same messages. */
static void check_repetitions(const cJSON *state, int at_least)
{
    int repetitions = 0;
    const cJSON *requests = cJSON_GetObjectItemCaseSensitive(state, "requests");
    for (const cJSON *a = requests->child; a != NULL; a = a->next) {
        for (const cJSON *b = a->next; b != NULL; b = b->next) {
            const cJSON *first = cJSON_GetObjectItemCaseSensitive(a, "sequence");
            const cJSON *second = cJSON_GetObjectItemCaseSensitive(b, "sequence");
            if (first == NULL || second == NULL || !cJSON_Compare(first, second, 1) ||
                !cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, "producer_id"),
                               cJSON_GetObjectItemCaseSensitive(b, "producer_id"), 1)) {
                continue;
            }
            repetitions++;
            CU_ASSERT(cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, "messages"),
                                    cJSON_GetObjectItemCaseSensitive(b, "messages"), 1));
        }
    }
    CU_ASSERT(repetitions >= at_least);
}

/* Send 300 numbers through the plan, and find all of them. */
static void run_through(const char *plan, const char *fault, int times)
{
    struct myproducer_options options = options_for_tests();
    size_t undelivered = 99;
    options.request_ms = strcmp(fault, "hang") == 0 ? 300 : options.request_ms;
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, plan);
    send_numbers(producer, 0, 300);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    CU_ASSERT(myproducer_can_send(producer));
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, &undelivered), MYQUEUE_OK);
    CU_ASSERT_EQUAL(undelivered, 0);
    CU_ASSERT_EQUAL(seen.open, 0);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/producer/produce", fault), times);
    check_numbers(state, 300);
    check_repetitions(state, times);
    cJSON_Delete(state);
    broker_release(&broker);
}

#define PLAN(action, times)                                                                        \
    "{\"path\":\"/producer/produce\",\"do\":\"" action "\",\"times\":" #times "}"

static void delivers_in_order(void)
{
    struct myproducer_options options = options_for_tests();
    MyProducer *producer = begin(&options, 0);
    send_numbers(producer, 0, 1000);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    check_numbers(state, 1000);
    int requests = state_count(state, "/producer/produce", NULL);
    CU_ASSERT(requests >= 100 && requests < 1000); /* at most ten in one; batches were made */
    CU_ASSERT_EQUAL(state_count(state, "/producer/register", NULL), 3);
    cJSON_Delete(state);
    broker_release(&broker);
}

static void survives_lost_answers(void)
{
    run_through(PLAN("drop_reply", 7), "drop_reply", 7);
    CU_ASSERT_EQUAL(seen.not_executed, 0);
}

static void survives_lost_requests(void)
{
    run_through(PLAN("drop_request", 7), "drop_request", 7);
}

static void survives_unknown_outcomes(void)
{
    run_through(PLAN("unknown", 3) "," PLAN("unknown_lost", 3), "unknown", 3);
    CU_ASSERT_EQUAL(seen.not_known, 6);
}

static void survives_garbage(void)
{
    run_through(PLAN("garbage", 3), "garbage", 3);
}

static void survives_a_hanging_broker(void)
{
    run_through(PLAN("hang", 2), "hang", 2);
}

static void waits_as_long_as_it_is_told_to(void)
{
    int64_t began_ms = mq_clock_ms();
    run_through(PLAN("unavailable", 1), "unavailable", 1);
    CU_ASSERT(mq_clock_ms() - began_ms >= 1000);
    CU_ASSERT_EQUAL(seen.not_executed, 1);
    CU_ASSERT_EQUAL(seen.not_known, 0);
}

struct creation {
    struct myproducer_options options;
    MyProducer *producer;
    enum myqueue_status status;
};

static void *create_main(void *arg)
{
    struct creation *creation = arg;
    creation->status = myproducer_create(broker.address, topics, 3, &creation->options,
                                         &creation->producer, error);
    return NULL;
}

static void waits_for_a_broker_that_starts_late(void)
{
    struct creation creation = {.options = options_for_tests()};
    pthread_t thread;
    seen_clear();
    broker_reserve(&broker);
    pthread_create(&thread, NULL, create_main, &creation);
    wait_for_failed_attempts(6);
    broker_start(&broker, 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL_FATAL(creation.status, MYQUEUE_OK);
    CU_ASSERT_EQUAL(seen.not_known, 0); /* nobody was there: certainly not executed */
    send_numbers(creation.producer, 0, 30);
    CU_ASSERT_EQUAL(myproducer_stop(creation.producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    check_numbers(state, 30);
    cJSON_Delete(state);
    broker_release(&broker);
}

static void gives_up_a_broker_that_never_starts(void)
{
    struct myproducer_options options = options_for_tests();
    MyProducer *producer;
    options.retry_ms = 100;
    seen_clear();
    broker_reserve(&broker);
    CU_ASSERT_EQUAL(myproducer_create(broker.address, topics, 3, &options, &producer, error),
                    MYQUEUE_BROKER_AWAY);
    CU_ASSERT_PTR_NULL(producer);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, broker.address));
    CU_ASSERT_EQUAL(seen.open, 0);
    broker_release(&broker);
}

/* The broker reads a request on a connection that was used before, and is gone. libcurl
 * sends it again by itself and finds nobody; still it is not certain that nothing was done. */
static void a_request_that_was_read_is_not_called_unsent(void)
{
    struct myproducer_options options = options_for_tests();
    size_t undelivered;
    options.retry_ms = BRIEF_MS;
    MyProducer *producer = begin(&options, 0);
    send_numbers(producer, 0, 1);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    broker_plan(&broker, PLAN("die", 1));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "x", 1, 1), MYQUEUE_OK);
    wait_for_failed_attempts(1);
    CU_ASSERT_EQUAL(seen.not_known, 1);
    broker_wait(&broker);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, &undelivered),
                    MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(undelivered, 1);
    CU_ASSERT_EQUAL(seen.status[1], MYQUEUE_OUTCOME_UNKNOWN);
    broker_release(&broker);
}

static void expires_when_the_broker_stays_away(void)
{
    struct myproducer_options options = options_for_tests();
    size_t undelivered;
    options.retry_ms = BRIEF_MS;
    MyProducer *producer = begin(&options, 0);
    send_numbers(producer, 0, 3);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    broker_kill(&broker);
    send_numbers(producer, 3, 63);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_EXPIRED);
    CU_ASSERT_FALSE(myproducer_can_send(producer));
    CU_ASSERT_EQUAL(myproducer_flush(producer, 0), MYQUEUE_OK); /* nothing new since */
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, &undelivered), MYQUEUE_EXPIRED);
    CU_ASSERT_EQUAL(undelivered, 60);
    for (int i = 3; i < 63; i++) {
        CU_ASSERT_EQUAL(seen.delivered[i], 1);
        CU_ASSERT_EQUAL(seen.status[i], MYQUEUE_EXPIRED);
        CU_ASSERT_EQUAL(seen.offset[i], -1);
    }
    broker_release(&broker);
}

/* A batch that certainly was not stored gives its sequence to the next. */
static void goes_on_after_expiry(void)
{
    struct myproducer_options options = options_for_tests();
    options.retry_ms = BRIEF_MS;
    MyProducer *producer = begin(&options, 0);
    send_numbers(producer, 0, 1);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    broker_plan(&broker, PLAN("unavailable", -1));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "gone", 4, 100), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_EXPIRED);
    broker_plan(&broker, "");
    send_numbers(producer, 1, 30);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    CU_ASSERT(myproducer_can_send(producer));
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_EXPIRED);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/producer/register", NULL), 3);
    check_numbers(state, 30);
    cJSON_Delete(state);
    broker_release(&broker);
}

/* A batch of which nobody knows keeps its sequence: were the next message sent under it,
 * the broker would call it a duplicate, and it would be lost. */
static void goes_on_as_another_after_an_unknown_outcome(void)
{
    struct myproducer_options options = options_for_tests();
    options.retry_ms = BRIEF_MS;
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("drop_reply", -1));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "who knows", 9, 100), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_FALSE(myproducer_can_send(producer));
    broker_plan(&broker, "");
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "next", 4, 101), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    CU_ASSERT(myproducer_can_send(producer));
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(seen.status[100], MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(seen.status[101], MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    const cJSON *messages = state_messages(state, "T1");
    CU_ASSERT_EQUAL(state_count(state, "/producer/register", NULL), 4);
    CU_ASSERT_EQUAL_FATAL(cJSON_GetArraySize(messages), 2);
    CU_ASSERT_STRING_EQUAL(cJSON_GetArrayItem(messages, 1)->valuestring, "next");
    cJSON_Delete(state);
    broker_release(&broker);
}

static void says_that_it_was_forgotten(void)
{
    struct myproducer_options options = options_for_tests();
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("forget", 1));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "x", 1, 1), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_FORGOTTEN);
    CU_ASSERT_FALSE(myproducer_can_send(producer));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "y", 1, 2), MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(seen.status[1], MYQUEUE_FORGOTTEN);
    CU_ASSERT_EQUAL(seen.delivered[2], 0);
    broker_release(&broker);
}

/* One message is too large for the broker; those in the same batch are delivered. */
static void a_refused_message_harms_no_other(void)
{
    struct myproducer_options options = options_for_tests();
    size_t undelivered;
    MyProducer *producer = begin(&options, 10);
    for (uint64_t tag = 0; tag < 30; tag++) {
        const char *message = tag == 17 ? "far too large" : "small";
        CU_ASSERT_EQUAL(myproducer_send(producer, "T1", message, strlen(message), tag), MYQUEUE_OK);
    }
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, &undelivered), MYQUEUE_TOO_LARGE);
    CU_ASSERT_EQUAL(undelivered, 1);
    for (int tag = 0; tag < 30; tag++) {
        CU_ASSERT_EQUAL(seen.delivered[tag], 1);
        CU_ASSERT_EQUAL(seen.status[tag], tag == 17 ? MYQUEUE_TOO_LARGE : MYQUEUE_OK);
        CU_ASSERT_EQUAL(seen.offset[tag], tag < 17 ? tag : tag == 17 ? -1 : tag - 1);
    }
    broker_release(&broker);
}

static void refuses_what_no_broker_takes(void)
{
    struct myproducer_options options = options_for_tests();
    options.message_bytes_max = 4;
    MyProducer *producer = begin(&options, 0);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "12345", 5, 0), MYQUEUE_TOO_LARGE);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "\xFF", 1, 0), MYQUEUE_BAD_MESSAGE);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "a\0b", 3, 0), MYQUEUE_BAD_MESSAGE);
    CU_ASSERT_EQUAL(myproducer_send(producer, "", "a", 1, 0), MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", NULL, 0, 1), MYQUEUE_OK); /* empty */
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(state_messages(state, "T1")), 1);
    cJSON_Delete(state);
    broker_release(&broker);
}

static void registers_a_new_topic_on_its_first_message(void)
{
    struct myproducer_options options = options_for_tests();
    MyProducer *producer = begin(&options, 0);
    CU_ASSERT_EQUAL(myproducer_send(producer, "my_topic/ä", "x", 1, 0), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(state_messages(state, "my_topic/ä")), 1);
    cJSON_Delete(state);
    broker_release(&broker);
}

static void a_full_buffer_is_said_or_waited_for(void)
{
    struct myproducer_options options = options_for_tests();
    options.buffer_messages_max = 5;
    options.block_ms = 0;
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("unavailable", 1));
    send_numbers(producer, 0, 5);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "x", 1, 5), MYQUEUE_FULL);
    CU_ASSERT_EQUAL(myproducer_flush(producer, 0), MYQUEUE_TIMEOUT);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    broker_release(&broker);

    options.block_ms = MYQUEUE_FOREVER;
    producer = begin(&options, 0);
    send_numbers(producer, 0, 300);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    check_numbers(state, 300);
    cJSON_Delete(state);
    broker_release(&broker);
}

static void stops_without_waiting_when_asked_to(void)
{
    struct myproducer_options options = options_for_tests();
    size_t undelivered;
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("unavailable", -1));
    send_numbers(producer, 0, 9);
    wait_for_failed_attempts(3);
    CU_ASSERT_EQUAL(myproducer_stop(producer, 0, &undelivered), MYQUEUE_EXPIRED);
    CU_ASSERT_EQUAL(undelivered, 9);
    CU_ASSERT_EQUAL(seen.open, 0);
    for (int i = 0; i < 9; i++) {
        CU_ASSERT_EQUAL(seen.delivered[i], 1);
    }
    CU_ASSERT_EQUAL(myproducer_stop(NULL, 0, NULL), MYQUEUE_OK);
    broker_release(&broker);
}

struct sender {
    pthread_t thread;
    MyProducer *producer;
    int number;
};

enum { SENDERS = 4, EACH = 200 };

static void *sender_main(void *arg)
{
    struct sender *sender = arg;
    char message[16];
    for (int i = 0; i < EACH; i++) {
        int length = snprintf(message, sizeof message, "%d:%d", sender->number, i);
        if (myproducer_send(sender->producer, "shared", message, (size_t)length,
                            (uint64_t)(sender->number * EACH + i)) != MYQUEUE_OK) {
            return sender;
        }
    }
    return NULL;
}

/* Several threads send to one topic that none has registered: each one's order holds. */
static void threads_may_share_a_producer(void)
{
    struct myproducer_options options = options_for_tests();
    struct sender senders[SENDERS];
    int next[SENDERS] = {0};
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("drop_reply", 3));
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.producer = producer, .number = i};
        pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]);
    }
    for (int i = 0; i < SENDERS; i++) {
        void *failed;
        pthread_join(senders[i].thread, &failed);
        CU_ASSERT_PTR_NULL(failed);
    }
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    const cJSON *message;
    cJSON_ArrayForEach(message, state_messages(state, "shared"))
    {
        int number = -1;
        int i = -1;
        CU_ASSERT_EQUAL_FATAL(sscanf(message->valuestring, "%d:%d", &number, &i), 2);
        CU_ASSERT_EQUAL(i, next[number]);
        next[number] = i + 1;
    }
    for (int i = 0; i < SENDERS; i++) {
        CU_ASSERT_EQUAL(next[i], EACH);
    }
    cJSON_Delete(state);
    broker_release(&broker);
}

/* The answer is lost, and before the message is sent again, its place is: it is delivered. */
static void a_removed_duplicate_is_delivered(void)
{
    struct myproducer_options options = options_for_tests();
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("drop_reply", 1) "," PLAN("trim", 1));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "gone", 4, 100), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    CU_ASSERT_EQUAL(seen.status[100], MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/producer/produce", "trim"), 1);
    cJSON_Delete(state);
    broker_release(&broker);
}

/* ---- going on as the same ---------------------------------------------------------- */

/* A producer has sent the numbers below `sent`, `delivered` of which it knows to be there; of the
 * others the first batches are stored, and no answer has come. Who it was goes to `who`. */
static void live_and_die(int delivered, int sent, struct myqueue_identity who[3])
{
    struct myproducer_options options = options_for_tests();
    options.keep_identity = true;
    MyProducer *producer = begin(&options, 0);
    send_numbers(producer, 0, delivered);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    broker_plan(&broker, PLAN("drop_reply", -1));
    send_numbers(producer, delivered, sent);
    wait_for_failed_attempts(6);
    for (int t = 0; t < 3; t++) {
        CU_ASSERT_EQUAL(myproducer_identity(producer, topics[t], &who[t]), MYQUEUE_OK);
        CU_ASSERT_EQUAL(who[t].next, delivered / 3);
        who[t].topic = topics[t];
    }
    CU_ASSERT_EQUAL(myproducer_identity(producer, "T4", &who[0]), MYQUEUE_BAD_ARGUMENT);
    CU_ASSERT_EQUAL(myproducer_stop(producer, 0, NULL), MYQUEUE_OUTCOME_UNKNOWN);
    broker_plan(&broker, "");
    memset(seen.delivered, 0, sizeof seen.delivered);
    for (int i = 0; i < delivered; i++) {
        seen.delivered[i] = 1;
    }
}

/* As large batches as can be, and as small ones: the broker has a part of the first batch, or
 * all of several. */
static void resume_after(int delivered, int batch_messages_max)
{
    struct myproducer_options options = options_for_tests();
    struct myqueue_identity who[3];
    MyProducer *producer;
    live_and_die(delivered, delivered + 60, who);
    options.batch_messages_max = batch_messages_max;
    options.resume = who;
    options.resume_count = 3;
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 3, &options, &producer, error),
                          MYQUEUE_OK);
    broker_plan(&broker, PLAN("unavailable", 3)); /* so that what follows waits together */
    send_numbers(producer, delivered, 300);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OK);
    for (int t = 0; t < 3; t++) {
        CU_ASSERT_EQUAL(myproducer_identity(producer, topics[t], &who[t]), MYQUEUE_OK);
        CU_ASSERT_EQUAL(who[t].next, 100);
    }
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/producer/register", NULL), 3);
    check_numbers(state, 300);
    cJSON_Delete(state);
    broker_release(&broker);
}

static void goes_on_as_the_same(void)
{
    resume_after(0, 500);
    resume_after(30, 500);
    resume_after(30, 1);
}

/* What it had sent in two requests, with another's message between, it sends again in one. */
static void who_resumes_learns_each_place(void)
{
    struct myproducer_options options = options_for_tests();
    struct myqueue_identity who;
    MyProducer *others;
    options.keep_identity = true;
    MyProducer *producer = begin(&options, 0);
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 1, &options, &others, error),
                          MYQUEUE_OK);
    for (int i = 0; i < 3; i++) {
        MyProducer *sender = i == 1 ? others : producer;
        CU_ASSERT_EQUAL(myproducer_send(sender, "T1", "x", 1, 100), MYQUEUE_OK);
        CU_ASSERT_EQUAL(myproducer_flush(sender, PATIENCE_MS), MYQUEUE_OK);
    }
    CU_ASSERT_EQUAL(myproducer_identity(producer, "T1", &who), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_stop(others, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    who = (struct myqueue_identity){"T1", who.client_id, 0};
    options.resume = &who;
    options.resume_count = 1;
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 1, &options, &producer, error),
                          MYQUEUE_OK);
    broker_plan(&broker, PLAN("unavailable", 1)); /* so that they wait together */
    for (unsigned tag = 100; tag <= 102; tag++) {
        CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "x", 1, tag), MYQUEUE_OK);
    }
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OK);
    CU_ASSERT_EQUAL(seen.offset[100], 0);
    CU_ASSERT_EQUAL(seen.offset[101], 2);
    CU_ASSERT_EQUAL(seen.offset[102], 3);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(state_messages(state, "T1")), 4);
    cJSON_Delete(state);
    broker_release(&broker);
}

/* With keep_identity nothing is sent behind an unknown outcome. */
static void an_unknown_outcome_ends_who_keeps_its_identity(void)
{
    struct myproducer_options options = options_for_tests();
    options.retry_ms = BRIEF_MS;
    options.batch_messages_max = 1;
    options.keep_identity = true;
    MyProducer *producer = begin(&options, 0);
    broker_plan(&broker, PLAN("drop_reply", -1));
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "who knows", 9, 100), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "not sent", 8, 101), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_flush(producer, PATIENCE_MS), MYQUEUE_OUTCOME_UNKNOWN);
    broker_plan(&broker, "");
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "next", 4, 102), MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(seen.status[100], MYQUEUE_OUTCOME_UNKNOWN);
    CU_ASSERT_EQUAL(seen.status[101], MYQUEUE_EXPIRED);
    cJSON *state = broker_state(&broker);
    CU_ASSERT_EQUAL(state_count(state, "/producer/register", NULL), 3);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(state_messages(state, "T1")), 1);
    cJSON_Delete(state);
    broker_release(&broker);
}

/* What was sent in an earlier life may be stored: a broker that stays away is no proof of the
 * contrary. */
static void who_resumes_cannot_know_that_nothing_is_stored(void)
{
    struct myproducer_options options = options_for_tests();
    struct myqueue_identity who[3];
    MyProducer *producer;
    live_and_die(0, 60, who);
    broker_kill(&broker);
    options.retry_ms = BRIEF_MS;
    options.resume = who;
    options.resume_count = 3;
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 3, &options, &producer, error),
                          MYQUEUE_OK);
    send_numbers(producer, 0, 1);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_OUTCOME_UNKNOWN);
    broker_release(&broker);
}

static void refuses_an_identity_that_cannot_be(void)
{
    static const struct {
        struct myqueue_identity resume[2];
        size_t count;
        const char *expected;
    } rows[] = {
        {{{"T4", 1, 0}}, 1, "resume 1: topic 'T4' is not one of the topics"},
        {{{"T1", 1, 0}, {"T1", 2, 0}}, 2, "resume 2: topic 'T1' is given twice"},
        {{{"T1", -1, 0}}, 1, "resume 1: topic 'T1' has an id or a next that is not 0 to 2^53"},
        {{{"T1", 1, -1}}, 1, "resume 1: topic 'T1' has an id or a next that is not 0 to 2^53"},
    };
    struct myproducer_options options = options_for_tests();
    MyProducer *producer;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        options.resume = rows[i].resume;
        options.resume_count = rows[i].count;
        CU_ASSERT_EQUAL(myproducer_create("localhost:1", topics, 3, &options, &producer, error),
                        MYQUEUE_BAD_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error, rows[i].expected);
    }
}

static void a_resumed_producer_may_be_forgotten(void)
{
    struct myproducer_options options = options_for_tests();
    const struct myqueue_identity who = {"T1", 99, 5};
    MyProducer *producer;
    seen_clear();
    broker_reserve(&broker);
    broker_start(&broker, 0);
    options.resume = &who;
    options.resume_count = 1;
    CU_ASSERT_EQUAL_FATAL(myproducer_create(broker.address, topics, 3, &options, &producer, error),
                          MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_send(producer, "T1", "x", 1, 1), MYQUEUE_OK);
    CU_ASSERT_EQUAL(myproducer_stop(producer, MYQUEUE_FOREVER, NULL), MYQUEUE_FORGOTTEN);
    broker_release(&broker);
}

int main(void)
{
    SUITE_BEGIN("MyProducer");
    SUITE_TEST(delivers_in_order);
    SUITE_TEST(survives_lost_answers);
    SUITE_TEST(survives_lost_requests);
    SUITE_TEST(survives_unknown_outcomes);
    SUITE_TEST(survives_garbage);
    SUITE_TEST(survives_a_hanging_broker);
    SUITE_TEST(waits_as_long_as_it_is_told_to);
    SUITE_TEST(waits_for_a_broker_that_starts_late);
    SUITE_TEST(gives_up_a_broker_that_never_starts);
    SUITE_TEST(a_request_that_was_read_is_not_called_unsent);
    SUITE_TEST(expires_when_the_broker_stays_away);
    SUITE_TEST(goes_on_after_expiry);
    SUITE_TEST(goes_on_as_another_after_an_unknown_outcome);
    SUITE_TEST(says_that_it_was_forgotten);
    SUITE_TEST(a_refused_message_harms_no_other);
    SUITE_TEST(refuses_what_no_broker_takes);
    SUITE_TEST(registers_a_new_topic_on_its_first_message);
    SUITE_TEST(a_full_buffer_is_said_or_waited_for);
    SUITE_TEST(stops_without_waiting_when_asked_to);
    SUITE_TEST(threads_may_share_a_producer);
    SUITE_TEST(a_removed_duplicate_is_delivered);
    SUITE_TEST(goes_on_as_the_same);
    SUITE_TEST(an_unknown_outcome_ends_who_keeps_its_identity);
    SUITE_TEST(who_resumes_learns_each_place);
    SUITE_TEST(who_resumes_cannot_know_that_nothing_is_stored);
    SUITE_TEST(refuses_an_identity_that_cannot_be);
    SUITE_TEST(a_resumed_producer_may_be_forgotten);
    return suite_end();
}
