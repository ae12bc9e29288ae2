/*
 * The assignment's producer:
 *
 *     producer = MyProducer(topics=['topic1', 'topic2'], broker='localhost:9092')
 *     try:
 *         while producer.can_send():
 *             producer.send("my_topic", b"DEBUG: This is a log message!")
 *     finally:
 *         producer.stop()   # wait for all messages to be delivered or expire
 *
 * It sends for ever, so this one ends with Ctrl-C. "my_topic" is not one of the two topics
 * that it registers for at the start: the library registers for it on the first message.
 */
#include <myqueue.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"topic1", "topic2"};
    static const char message[] = "DEBUG: This is a log message!";
    const char *broker = argc > 1 ? argv[1] : "localhost:9092";
    char error[MYQUEUE_ERROR_BYTES];
    MyProducer *producer;
    size_t undelivered;

    if (myproducer_create(broker, topics, 2, NULL, &producer, error) != MYQUEUE_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    signal(SIGINT, on_interrupt);
    while (!interrupted && myproducer_can_send(producer)) {
        if (myproducer_send(producer, "my_topic", message, strlen(message), 0) != MYQUEUE_OK) {
            break;
        }
    }
    enum myqueue_status status = myproducer_stop(producer, MYQUEUE_FOREVER, &undelivered);
    if (status != MYQUEUE_OK) {
        fprintf(stderr, "%zu messages were not delivered: %s\n", undelivered,
                myqueue_status_words(status));
        return 1;
    }
    return 0;
}
