/*
 * The assignment's consumer:
 *
 *     consumer = MyConsumer(topics=['topic1', 'topic2'], broker='localhost:9092')
 *     try:
 *         for msg in consumer.get_next():
 *             print("consumed: ", msg.topic)
 *     finally:
 *         consumer.stop()
 *
 * It waits for messages for ever; Ctrl-C ends it. The topics must exist.
 */
#include <myqueue.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"topic1", "topic2"};
    const char *broker = argc > 1 ? argv[1] : "localhost:9092";
    char error[MYQUEUE_ERROR_BYTES];
    enum myqueue_status status = MYQUEUE_OK;
    MyConsumer *consumer;
    MyMessage message;

    if (myconsumer_create(broker, topics, 2, NULL, &consumer, error) != MYQUEUE_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    signal(SIGINT, on_interrupt);
    while (!interrupted && (status == MYQUEUE_OK || status == MYQUEUE_TIMEOUT)) {
        status = myconsumer_get_next(consumer, 1000, &message);
        if (status == MYQUEUE_OK) {
            printf("consumed: %s\n", message.topic);
        }
    }
    if (!interrupted) {
        fprintf(stderr, "%s\n", myconsumer_error(consumer));
    }
    myconsumer_stop(consumer);
    return interrupted ? 0 : 1;
}
