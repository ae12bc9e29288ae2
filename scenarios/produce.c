/*
 * produce.c - myqueue-produce: a producer's log file, sent to the broker.
 *
 * The lines of a round are sent at once and waited for before the next round, as the label
 * in the file asks. Nothing is sent before the whole file was found good.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "myqueue.h"
#include "scenarios/history.h"
#include "scenarios/interrupt.h"
#include "scenarios/logfile.h"
#include "scenarios/progress.h"
#include "scenarios/settings.h"

enum {
    EXIT_DONE = 0,
    EXIT_UNDELIVERED = 1,
    EXIT_BAD_INPUT = 2,
    SLICE_MS = 100, /* waits are cut up, to show progress and to notice a signal */
    GATE_POLL_MS = 10,
    STOPPED_WAIT_MS = 1000, /* for what is on its way when a signal came */
    HALF_DAY_S = 12 * 3600,
};

struct produce {
    const struct settings *settings;
    char name[32]; /* "producer 1" */
    struct logfile file;
    struct history *history;
    struct progress progress;
    MyProducer *producer;
    atomic_bool failing; /* the last request was not answered, or not well */

    /* How messages ended. All others in the file never reached the broker's store. */
    atomic_long delivered;
    atomic_long unknown;
    atomic_long refused; /* by the broker */
};

static void on_delivered(void *arg, const struct myqueue_delivery *delivery)
{
    struct produce *produce = arg;
    history_sent(produce->history, delivery, myqueue_status_name(delivery->status));
    if (delivery->status == MYQUEUE_OK) {
        atomic_fetch_add(&produce->delivered, 1);
    } else if (delivery->status == MYQUEUE_OUTCOME_UNKNOWN) {
        atomic_fetch_add(&produce->unknown, 1);
    } else if (delivery->status != MYQUEUE_EXPIRED) {
        atomic_fetch_add(&produce->refused, 1);
    }
}

static void on_attempt(void *arg, const struct myqueue_attempt *attempt)
{
    struct produce *produce = arg;
    history_attempt(produce->history, attempt);
    if (attempt->phase == MYQUEUE_END) {
        atomic_store(&produce->failing, attempt->http == 0 || attempt->http >= 500);
    }
}

/* ---- before sending --------------------------------------------------------------- */

static bool topic_given(const struct settings *settings, const char *topic)
{
    for (size_t i = 0; i < settings->topic_count; i++) {
        if (strcmp(settings->topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

/* Read the file and check it against --topics; false: one line is on stderr. */
static bool produce_read(struct produce *produce)
{
    char path[4096];
    char error[LOGFILE_ERROR_BYTES];
    const struct settings *settings = produce->settings;
    snprintf(path, sizeof path, "%s/producer_%d.txt", settings->logs, settings->id);
    if (!logfile_read(path, &produce->file, error)) {
        fprintf(stderr, "%s: %s\n", produce->name, error);
        return false;
    }
    for (size_t i = 0; i < produce->file.count; i++) {
        const struct logfile_line *line = &produce->file.lines[i];
        if (!topic_given(settings, line->topic)) {
            fprintf(stderr, "%s: %s:%d: topic '%s' is not one of --topics\n", produce->name, path,
                    line->number, line->topic);
            return false;
        }
    }
    return true;
}

/* Register; returns the program's exit code. */
static int produce_connect(struct produce *produce)
{
    char error[MYQUEUE_ERROR_BYTES];
    const struct settings *settings = produce->settings;
    struct myproducer_options options;
    myproducer_options_init(&options);
    options.retry_ms = settings->retry_s * 1000;
    options.block_ms = SLICE_MS;
    options.delivered = on_delivered;
    options.delivered_arg = produce;
    options.observer = on_attempt;
    options.observer_arg = produce;
    interrupt_connecting(produce->name, settings->broker, settings->retry_s);
    enum myqueue_status status =
        myproducer_create(settings->broker, settings->topics, settings->topic_count, &options,
                          &produce->producer, error);
    interrupt_catch();
    if (status == MYQUEUE_OK) {
        return EXIT_DONE;
    }
    fprintf(stderr, "%s: %s\n", produce->name, error);
    bool input = status == MYQUEUE_BAD_ARGUMENT || status == MYQUEUE_BAD_ADDRESS;
    return input ? EXIT_BAD_INPUT : EXIT_UNDELIVERED;
}

static void produce_wait_for_gate(const struct produce *produce)
{
    const char *gate = produce->settings->gate;
    while (gate != NULL && access(gate, F_OK) != 0 && !interrupt_caught()) {
        interrupt_sleep_until(interrupt_clock_ms() + GATE_POLL_MS);
    }
}

/* ---- sending ---------------------------------------------------------------------- */

/* Seconds from one line to the next: over midnight time starts again, and a clock that was
 * set back a little makes no wait. */
static int line_pause_s(const struct logfile_line *before, const struct logfile_line *after)
{
    int pause_s = after->time_s - before->time_s;
    if (pause_s < -HALF_DAY_S) {
        return pause_s + 2 * HALF_DAY_S;
    }
    return pause_s > 0 ? pause_s : 0;
}

static void produce_wait_until(struct produce *produce, int64_t until_ms)
{
    while (!interrupt_caught() && interrupt_clock_ms() < until_ms) {
        int64_t slice_ms = interrupt_clock_ms() + SLICE_MS;
        interrupt_sleep_until(slice_ms < until_ms ? slice_ms : until_ms);
        progress_show(&produce->progress, atomic_load(&produce->delivered));
    }
}

/* False when the library did not take the line. */
static bool produce_send(struct produce *produce, const struct logfile_line *line)
{
    enum myqueue_status status;
    history_send(produce->history, line->number, line->topic, line->message, line->message_length);
    do {
        status = myproducer_send(produce->producer, line->topic, line->message,
                                 line->message_length, (uint64_t)line->number);
        progress_show(&produce->progress, atomic_load(&produce->delivered));
    } while (status == MYQUEUE_FULL && !interrupt_caught());
    if (status == MYQUEUE_OK) {
        return true;
    }
    struct myqueue_delivery refused = {.topic = line->topic,
                                       .tag = (uint64_t)line->number,
                                       .status = status,
                                       .offset = -1,
                                       .error = myqueue_status_words(status)};
    history_sent(produce->history, &refused, myqueue_status_name(status));
    if (status != MYQUEUE_FULL) {
        progress_clear(&produce->progress);
        fprintf(stderr, "%s: line %d: %s\n", produce->name, line->number, refused.error);
    }
    return false;
}

static void produce_flush(struct produce *produce)
{
    enum myqueue_status status;
    do {
        status = myproducer_flush(produce->producer, SLICE_MS);
        progress_show(&produce->progress, atomic_load(&produce->delivered));
    } while (status == MYQUEUE_TIMEOUT && !interrupt_caught());
}

static void produce_all(struct produce *produce)
{
    const struct logfile *file = &produce->file;
    int64_t due_ms = interrupt_clock_ms();
    for (size_t i = 0; i < file->count; i++) {
        const struct logfile_line *line = &file->lines[i];
        if (i > 0 && line->round != line[-1].round) {
            produce_flush(produce);
        }
        if (i > 0 && produce->settings->pace_real) {
            due_ms += (int64_t)line_pause_s(&line[-1], line) * 1000;
            produce_wait_until(produce, due_ms);
        }
        if (interrupt_caught() || !myproducer_can_send(produce->producer) ||
            !produce_send(produce, line)) {
            return;
        }
    }
    produce_flush(produce);
}

/* Wait for what is on its way; after a signal only a moment, and not for a broker that is
 * away. What is left is given up. */
static enum myqueue_status produce_stop(struct produce *produce)
{
    int64_t until_ms = INT64_MAX;
    while (myproducer_flush(produce->producer, SLICE_MS) == MYQUEUE_TIMEOUT) {
        progress_show(&produce->progress, atomic_load(&produce->delivered));
        if (interrupt_caught() && until_ms == INT64_MAX) {
            until_ms = interrupt_clock_ms() + STOPPED_WAIT_MS;
        }
        if (interrupt_caught() &&
            (atomic_load(&produce->failing) || interrupt_clock_ms() >= until_ms)) {
            break;
        }
    }
    enum myqueue_status reason = myproducer_stop(produce->producer, 0, NULL);
    progress_show(&produce->progress, atomic_load(&produce->delivered));
    progress_clear(&produce->progress);
    return reason;
}

/* The totals, after all is over: every line of the file is in one of the numbers. */
static int produce_report(const struct produce *produce, enum myqueue_status reason)
{
    char words[PROGRESS_WORDS_BYTES];
    long count = (long)produce->file.count;
    long delivered = atomic_load(&produce->delivered);
    long unknown = atomic_load(&produce->unknown);
    long refused = atomic_load(&produce->refused);
    long not_sent = count - delivered - unknown - refused;
    progress_words(&produce->progress, words);
    printf("%s: %ld of %ld messages delivered%s", produce->name, delivered, count, words);
    if (unknown > 0) {
        printf(", %ld unknown (stored or not)", unknown);
    }
    if (refused > 0) {
        printf(", %ld refused", refused);
    }
    if (not_sent > 0) {
        printf(", %ld not sent", not_sent);
    }
    if (interrupt_caught()) {
        printf(", stopped by a signal");
    } else if (reason != MYQUEUE_OK) {
        printf(": %s", myqueue_status_words(reason));
    }
    printf("\n");
    return delivered == count ? EXIT_DONE : EXIT_UNDELIVERED;
}

static int produce_run(struct produce *produce)
{
    int code = produce_connect(produce);
    if (code != EXIT_DONE) {
        return code;
    }
    produce_wait_for_gate(produce);
    progress_start(&produce->progress, produce->name, (int64_t)produce->file.count);
    produce_all(produce);
    enum myqueue_status reason = produce_stop(produce);
    return produce_report(produce, reason);
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static struct produce produce = {.settings = &settings};
    char process[16];
    enum settings_result result = settings_parse(SETTINGS_PRODUCE, argc, argv, &settings);
    if (result != SETTINGS_RUN) {
        return result == SETTINGS_EXIT ? EXIT_DONE : EXIT_BAD_INPUT;
    }
    int code = EXIT_BAD_INPUT;
    snprintf(produce.name, sizeof produce.name, "producer %d", settings.id);
    snprintf(process, sizeof process, "P%d", settings.id);
    if (produce_read(&produce)) {
        if (history_open(settings.history, process, &produce.history)) {
            code = produce_run(&produce);
        }
        if (!history_close(produce.history) && code == EXIT_DONE) {
            code = EXIT_UNDELIVERED;
        }
        logfile_release(&produce.file);
    }
    settings_release(&settings);
    return code;
}
