/*
 * produce.c - myqueue-produce: a producer's log file, sent to the broker.
 *
 * The lines of a round are sent at once and waited for before the next round, as the label
 * in the file asks. Nothing is sent before the whole file was found good.
 *
 * With --state a producer that ended, however, goes on as the same: with the first line of each
 * topic of which it had not noted the end. That line, and some behind it, may be stored already;
 * the broker knows them by their sequences.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "myqueue.h"
#include "scenarios/history.h"
#include "scenarios/interrupt.h"
#include "scenarios/logfile.h"
#include "scenarios/progress.h"
#include "scenarios/settings.h"
#include "scenarios/state.h"

enum {
    EXIT_DONE = 0,
    EXIT_UNDELIVERED = 1,
    EXIT_BAD_INPUT = 2,
    SLICE_MS = 100, /* waits are cut up, to show progress and to notice a signal */
    GATE_POLL_MS = 10,
    STOPPED_WAIT_MS = 1000, /* for what is on its way when a signal came */
    HALF_DAY_S = 12 * 3600,
};

/* Where a line stands among those of its topic. */
struct place {
    size_t topic; /* index in the settings */
    int64_t nth;  /* from 0 */
};

struct produce {
    const struct settings *settings;
    char name[32]; /* "producer 1" */
    struct logfile file;
    struct place *places; /* by line number: of a line that is sent */
    struct history *history;
    struct state state; /* the library's thread writes it while it runs */
    struct progress progress;
    int64_t before[SETTINGS_TOPICS_MAX]; /* lines of each topic dealt with in earlier lives */
    long delivered_before;               /* those of them that are stored */
    MyProducer *producer;
    atomic_bool failing; /* the last request was not answered, or not well */

    /* How messages ended. All others in the file never reached the broker's store. */
    atomic_long delivered;
    atomic_long unknown;
    atomic_long refused; /* by the broker */
};

/* Its line need not be sent again. What expired, or may be stored or not, is not dealt with. */
static void note_dealt_with(struct produce *produce, const struct myqueue_delivery *delivery)
{
    const struct place *place = &produce->places[delivery->tag];
    struct state_topic *topic = &produce->state.topics[place->topic];
    if (delivery->status == MYQUEUE_EXPIRED || delivery->status == MYQUEUE_OUTCOME_UNKNOWN ||
        delivery->status == MYQUEUE_FORGOTTEN) {
        return;
    }
    topic->lines = place->nth + 1;
    if (delivery->status == MYQUEUE_OK) {
        topic->next = delivery->sequence + 1;
    }
    state_note(&produce->state, place->topic);
}

static void on_delivered(void *arg, const struct myqueue_delivery *delivery)
{
    struct produce *produce = arg;
    history_sent(produce->history, delivery, myqueue_status_name(delivery->status));
    note_dealt_with(produce, delivery);
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

/* The topic's index; topic_count: it is not given. */
static size_t topic_find(const struct settings *settings, const char *topic)
{
    size_t i = 0;
    while (i < settings->topic_count && strcmp(settings->topics[i], topic) != 0) {
        i++;
    }
    return i;
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
    const struct logfile *file = &produce->file;
    int last = file->count > 0 ? file->lines[file->count - 1].number : 0;
    produce->places = calloc((size_t)last + 1, sizeof *produce->places);
    if (produce->places == NULL) {
        fprintf(stderr, "%s: out of memory\n", produce->name);
        return false;
    }
    int64_t counts[SETTINGS_TOPICS_MAX] = {0};
    for (size_t i = 0; i < file->count; i++) {
        const struct logfile_line *line = &file->lines[i];
        size_t topic = topic_find(settings, line->topic);
        if (topic < settings->topic_count) {
            produce->places[line->number] = (struct place){topic, counts[topic]++};
        } else {
            fprintf(stderr, "%s: %s:%d: topic '%s' is not one of --topics\n", produce->name, path,
                    line->number, line->topic);
            return false;
        }
    }
    return true;
}

/* Who it was in an earlier life; how many topics it was registered for. */
static size_t produce_identities(const struct produce *produce, struct myqueue_identity *resume)
{
    size_t count = 0;
    for (size_t i = 0; i < produce->state.topic_count; i++) {
        const struct state_topic *topic = &produce->state.topics[i];
        if (topic->client_id >= 0) {
            resume[count++] =
                (struct myqueue_identity){topic->topic, topic->client_id, topic->next};
        }
    }
    return count;
}

/* Nothing has been sent under the ids that are new. */
static void produce_keep_identities(struct produce *produce)
{
    for (size_t i = 0; i < produce->state.topic_count; i++) {
        struct state_topic *topic = &produce->state.topics[i];
        struct myqueue_identity who;
        if (topic->client_id < 0 &&
            myproducer_identity(produce->producer, topic->topic, &who) == MYQUEUE_OK) {
            topic->client_id = who.client_id;
            state_note(&produce->state, i);
        }
    }
    state_sync(&produce->state);
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
    struct myqueue_identity resume[SETTINGS_TOPICS_MAX];
    options.keep_identity = settings->state != NULL;
    options.resume = resume;
    options.resume_count = produce_identities(produce, resume);
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
        produce_keep_identities(produce);
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

/* In an earlier life. */
static bool produce_dealt_with(const struct produce *produce, const struct logfile_line *line)
{
    const struct place *place = &produce->places[line->number];
    return place->nth < produce->before[place->topic];
}

static void produce_all(struct produce *produce)
{
    const struct logfile *file = &produce->file;
    int64_t due_ms = interrupt_clock_ms();
    for (size_t i = 0; i < file->count; i++) {
        const struct logfile_line *line = &file->lines[i];
        if (produce_dealt_with(produce, line)) {
            continue;
        }
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
    if (produce->delivered_before > 0) {
        printf(", %ld of them before", produce->delivered_before);
    }
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

/* What earlier lives dealt with is not done again: as many lines were delivered as there are
 * sequences, and the others were refused. */
static void produce_begin_life(struct produce *produce)
{
    for (size_t i = 0; i < produce->state.topic_count; i++) {
        const struct state_topic *topic = &produce->state.topics[i];
        produce->before[i] = topic->lines;
        produce->delivered_before += (long)topic->next;
        atomic_fetch_add(&produce->refused, (long)(topic->lines - topic->next));
    }
    atomic_store(&produce->delivered, produce->delivered_before);
    history_start(produce->history, produce->state.life, NULL, NULL, 0);
}

static int produce_run(struct produce *produce)
{
    produce_begin_life(produce);
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
    char owner[32];
    enum settings_result result = settings_parse(SETTINGS_PRODUCE, argc, argv, &settings);
    if (result != SETTINGS_RUN) {
        return result == SETTINGS_EXIT ? EXIT_DONE : EXIT_BAD_INPUT;
    }
    int code = EXIT_BAD_INPUT;
    snprintf(produce.name, sizeof produce.name, "producer %d", settings.id);
    snprintf(process, sizeof process, "P%d", settings.id);
    snprintf(owner, sizeof owner, "myqueue-produce %d", settings.id);
    if (produce_read(&produce)) {
        if (state_open(&produce.state, &settings, owner) &&
            history_open(settings.history, process, &produce.history)) {
            code = produce_run(&produce);
        }
        if (!history_close(produce.history) && code == EXIT_DONE) {
            code = EXIT_UNDELIVERED;
        }
        if (!state_close(&produce.state) && code == EXIT_DONE) {
            code = EXIT_UNDELIVERED;
        }
        logfile_release(&produce.file);
        free(produce.places);
    }
    settings_release(&settings);
    return code;
}
