/*
 * consume.c - myqueue-consume: what the topics hold, written to a file.
 *
 * A line is the topic, five spaces and the message. A message from elsewhere may hold a
 * newline; it is written as the two characters \n, so that a line stays a message. All other
 * bytes are written as they are.
 *
 * The end by --idle. Silence counts only when the broker itself says that there is nothing:
 * for every topic it has to answer "no message" so many seconds after the last message, and
 * after the last request that failed. A broker that is down or hangs therefore never ends a
 * consumer; --retry does.
 *
 * With --state a consumer that ended, however, goes on as the same: its file tells how far it was,
 * since a seek comes after so many lines of its topic.
 * A message is in the file before the next is asked for, so nothing is missed; a last line that is
 * not whole is cut off, and its message comes again.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "myqueue.h"
#include "scenarios/history.h"
#include "scenarios/interrupt.h"
#include "scenarios/progress.h"
#include "scenarios/settings.h"
#include "scenarios/state.h"

enum {
    EXIT_DONE = 0,
    EXIT_MISSING = 1,
    EXIT_BAD_INPUT = 2,
    SLICE_MS = 100,   /* waits are cut up, to show progress and to notice a signal */
    SIZE_EVERY = 100, /* messages, for a history */
    SAVED_MS = 500,   /* for an answer about the saved position; it is asked for again */
    POLL_MS = 500,    /* how long the broker holds a request; how fine --idle is measured */
};

#define BETWEEN "     " /* the topic and the message */

struct consume {
    const struct settings *settings;
    char name[32]; /* "consumer 1" */
    char path[4096];
    FILE *file;
    struct history *history;
    struct state state;
    int64_t lines[SETTINGS_TOPICS_MAX]; /* of each topic, that the file holds */
    struct progress progress;
    MyConsumer *consumer;
    int64_t received;

    pthread_mutex_t asking; /* the saved position; before lock */
    pthread_mutex_t lock;
    /* guarded by lock: */
    int64_t ids[SETTINGS_TOPICS_MAX]; /* of each topic, as it is registered; -1: not yet */
    bool unsure[SETTINGS_TOPICS_MAX]; /* of each topic: does the broker still know how far it is? */
    int64_t busy_ms;                  /* the last message or failed request */
    int64_t quiet_ms[SETTINGS_TOPICS_MAX]; /* the last "no message" for each topic */
};

/* ---- silence ---------------------------------------------------------------------- */

static void consume_busy(struct consume *consume)
{
    pthread_mutex_lock(&consume->lock);
    consume->busy_ms = interrupt_clock_ms();
    pthread_mutex_unlock(&consume->lock);
}

/* The index of one of its topics. */
static size_t topic_index(const struct consume *consume, const char *topic)
{
    size_t i = 0;
    while (strcmp(consume->settings->topics[i], topic) != 0) {
        i++;
    }
    return i;
}

static void consume_quiet(struct consume *consume, const char *topic)
{
    pthread_mutex_lock(&consume->lock);
    consume->quiet_ms[topic_index(consume, topic)] = interrupt_clock_ms();
    pthread_mutex_unlock(&consume->lock);
}

static bool consume_idle(struct consume *consume)
{
    const struct settings *settings = consume->settings;
    bool idle = true;
    pthread_mutex_lock(&consume->lock);
    for (size_t i = 0; i < settings->topic_count; i++) {
        idle &= consume->quiet_ms[i] - consume->busy_ms >= (int64_t)settings->idle_s * 1000;
    }
    pthread_mutex_unlock(&consume->lock);
    return idle;
}

/* ---- the position that the broker has saved ----------------------------------------- */

/* Each consume tells the broker the position anew. So what it had saved itself shows only before
 * the first one, after it may have been started again; for the history, that is asked then. */
static void consume_ask_saved(struct consume *consume, const char *topic)
{
    size_t i = topic_index(consume, topic);
    int64_t size = -1;
    pthread_mutex_lock(&consume->asking); /* nobody consumes meanwhile */
    pthread_mutex_lock(&consume->lock);
    int64_t id = consume->ids[i];
    bool ask = consume->unsure[i] && id >= 0;
    pthread_mutex_unlock(&consume->lock);
    if (ask) {
        history_saved(consume->history, topic);
        if (myqueue_size(consume->settings->broker, topic, id, SAVED_MS, &size, NULL) !=
            MYQUEUE_OK) {
            size = -1;
        }
        history_saved_told(consume->history, topic, size);
        pthread_mutex_lock(&consume->lock);
        consume->unsure[i] = size < 0;
        pthread_mutex_unlock(&consume->lock);
    }
    pthread_mutex_unlock(&consume->asking);
}

static void consume_note(struct consume *consume, const struct myqueue_attempt *attempt)
{
    size_t i = topic_index(consume, attempt->topic);
    pthread_mutex_lock(&consume->lock);
    if (attempt->client_id >= 0) {
        consume->ids[i] = attempt->client_id;
    } else if (strcmp(attempt->path, "/consumer/consume") == 0) {
        consume->unsure[i] = attempt->http == 0 || attempt->http >= 500;
    }
    pthread_mutex_unlock(&consume->lock);
}

static void on_attempt(void *arg, const struct myqueue_attempt *attempt)
{
    struct consume *consume = arg;
    if (consume->history != NULL && attempt->phase == MYQUEUE_BEGIN &&
        strcmp(attempt->path, "/consumer/consume") == 0) {
        consume_ask_saved(consume, attempt->topic);
    }
    history_attempt(consume->history, attempt);
    if (attempt->phase == MYQUEUE_BEGIN) {
        return;
    }
    consume_note(consume, attempt);
    if (strcmp(attempt->path, "/topics") == 0 && attempt->http == 200) {
        fprintf(stderr, "%s: topic %s did not exist and was created\n", consume->name,
                attempt->topic);
    }
    if (strcmp(attempt->code, "no_message") == 0) {
        consume_quiet(consume, attempt->topic);
    } else if (attempt->http != 200) {
        consume_busy(consume);
    }
}

/* ---- receiving -------------------------------------------------------------------- */

/* False: the file cannot be written. */
static bool consume_write(struct consume *consume, const MyMessage *message)
{
    fprintf(consume->file, "%s" BETWEEN, message->topic);
    const char *rest = message->message;
    const char *end = rest + message->length;
    for (;;) {
        const char *newline = memchr(rest, '\n', (size_t)(end - rest));
        const char *stop = newline != NULL ? newline : end;
        fwrite(rest, 1, (size_t)(stop - rest), consume->file);
        if (newline == NULL) {
            break;
        }
        fputs("\\n", consume->file);
        rest = newline + 1;
    }
    fputc('\n', consume->file);
    return fflush(consume->file) == 0;
}

static bool consume_take(struct consume *consume, const MyMessage *message)
{
    consume_busy(consume);
    if (consume->received == 0) {
        progress_start(&consume->progress, consume->name, consume->settings->expect);
    }
    consume->received++;
    if (!consume_write(consume, message)) {
        progress_clear(&consume->progress);
        fprintf(stderr, "%s: cannot write %s: %s\n", consume->name, consume->path, strerror(errno));
        return false;
    }
    consume->lines[topic_index(consume, message->topic)]++;
    history_receive(consume->history, consume->received, message);
    progress_show(&consume->progress, consume->received);
    return true;
}

/* How many are left? Only the history wants to know: whether the broker counts right. */
static void consume_ask_size(struct consume *consume, const char *topic)
{
    int64_t size = -1;
    if (consume->history == NULL) {
        return;
    }
    history_size(consume->history, topic);
    if (myconsumer_size(consume->consumer, topic, &size, NULL) != MYQUEUE_OK) {
        size = -1;
    }
    history_sized(consume->history, topic, size);
}

static void consume_ask_sizes(struct consume *consume)
{
    for (size_t i = 0; i < consume->settings->topic_count; i++) {
        consume_ask_size(consume, consume->settings->topics[i]);
    }
}

/* ---- going on elsewhere ------------------------------------------------------------ */

/* Tried again while there is no such offset: it may be yet to come. False: one line is on stderr.
 */
static bool consume_seek(struct consume *consume, const struct settings_seek *seek)
{
    char error[MYQUEUE_ERROR_BYTES];
    int64_t until_ms = interrupt_clock_ms() + (int64_t)consume->settings->retry_s * 1000;
    const struct timespec pause = {.tv_nsec = SLICE_MS * 1000000L};
    while (!interrupt_caught()) {
        history_seek(consume->history, seek->topic, seek->offset);
        enum myqueue_status status =
            myconsumer_seek(consume->consumer, seek->topic, seek->offset, NULL, error);
        history_sought(consume->history, seek->topic, status, myqueue_status_name(status));
        consume_busy(consume);
        if (status == MYQUEUE_OK) {
            return true;
        }
        if (status != MYQUEUE_OFFSET_OUT_OF_RANGE || interrupt_clock_ms() >= until_ms) {
            progress_clear(&consume->progress);
            fprintf(stderr, "%s: cannot go on at offset %" PRId64 " of topic %s: %s\n",
                    consume->name, seek->offset, seek->topic, error);
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

/* The seeks that are due now in a topic. One that was due when an earlier life ended is done again:
 * nothing was received since. */
static bool consume_seek_if_due(struct consume *consume, const char *topic)
{
    for (size_t i = 0; i < consume->settings->seek_count; i++) {
        const struct settings_seek *seek = &consume->settings->seeks[i];
        if (strcmp(seek->topic, topic) == 0 &&
            consume->lines[topic_index(consume, topic)] == seek->after) {
            return consume_seek(consume, seek);
        }
    }
    return true;
}

static bool consume_seek_at_start(struct consume *consume)
{
    bool good = true;
    for (size_t i = 0; i < consume->settings->topic_count && good; i++) {
        good = consume_seek_if_due(consume, consume->settings->topics[i]);
    }
    return good;
}

/* The offset that follows the lines of a topic that the file holds; `first` began them. */
static int64_t consume_position(const struct consume *consume, size_t topic, int64_t first)
{
    int64_t lines = consume->lines[topic];
    int64_t position = first + lines;
    for (size_t i = 0; i < consume->settings->seek_count; i++) {
        const struct settings_seek *seek = &consume->settings->seeks[i];
        if (topic_index(consume, seek->topic) == topic && seek->after < lines) {
            position = seek->offset + lines - seek->after;
        }
    }
    return position;
}

/* ---- until the end ------------------------------------------------------------------ */

/* Until one of the ends; false when something went wrong, with one line on stderr. */
static bool consume_all(struct consume *consume)
{
    int64_t expect = consume->settings->expect;
    while (!interrupt_caught() && consume->received != expect) {
        MyMessage message;
        enum myqueue_status status = myconsumer_get_next(consume->consumer, SLICE_MS, &message);
        if (status == MYQUEUE_OK) {
            if (!consume_take(consume, &message) || !consume_seek_if_due(consume, message.topic)) {
                return false;
            }
            if (consume->received == expect) {
                consume_ask_sizes(consume);
            } else if (consume->received % SIZE_EVERY == 0) {
                consume_ask_size(consume, message.topic);
            }
        } else if (status != MYQUEUE_TIMEOUT) {
            progress_clear(&consume->progress);
            fprintf(stderr, "%s: %s: %s\n", consume->name, myqueue_status_words(status),
                    myconsumer_error(consume->consumer));
            return false;
        } else if (consume_idle(consume)) {
            break;
        } else {
            progress_show(&consume->progress, consume->received);
        }
    }
    return true;
}

static int consume_report(const struct consume *consume, bool good)
{
    int64_t expect = consume->settings->expect;
    char words[PROGRESS_WORDS_BYTES];
    progress_words(&consume->progress, words);
    printf("%s: %" PRId64, consume->name, consume->received);
    if (expect >= 0) {
        printf(" of %" PRId64, expect);
    }
    printf(" messages received%s%s\n", words, interrupt_caught() ? ", stopped by a signal" : "");
    return good && (expect < 0 || consume->received == expect) ? EXIT_DONE : EXIT_MISSING;
}

/* ---- the program ------------------------------------------------------------------ */

/* Who it was in an earlier life, and which message of each topic is the next for its file; how
 * many topics it was registered for. */
static size_t consume_identities(const struct consume *consume, struct myqueue_identity *resume)
{
    size_t count = 0;
    for (size_t i = 0; i < consume->state.topic_count; i++) {
        const struct state_topic *topic = &consume->state.topics[i];
        if (topic->client_id >= 0) {
            resume[count++] = (struct myqueue_identity){topic->topic, topic->client_id,
                                                        consume_position(consume, i, topic->next)};
        }
    }
    return count;
}

/* What an earlier life has been, the broker may have forgotten meanwhile. */
static void consume_begin_unsure(struct consume *consume)
{
    for (size_t i = 0; i < SETTINGS_TOPICS_MAX; i++) {
        bool registered = i < consume->state.topic_count && consume->state.topics[i].client_id >= 0;
        consume->ids[i] = registered ? consume->state.topics[i].client_id : -1;
        consume->unsure[i] = registered;
    }
}

/* The file is empty of what is not of these ids. */
static void consume_keep_identities(struct consume *consume)
{
    for (size_t i = 0; i < consume->state.topic_count; i++) {
        struct state_topic *topic = &consume->state.topics[i];
        struct myqueue_identity who;
        if (topic->client_id < 0 &&
            myconsumer_identity(consume->consumer, topic->topic, &who) == MYQUEUE_OK) {
            topic->client_id = who.client_id;
            topic->next = who.next;
            state_note(&consume->state, i);
        }
    }
    state_sync(&consume->state);
}

/* Register; returns the program's exit code. */
static int consume_connect(struct consume *consume)
{
    char error[MYQUEUE_ERROR_BYTES];
    const struct settings *settings = consume->settings;
    struct myconsumer_options options;
    myconsumer_options_init(&options);
    options.retry_ms = settings->retry_s * 1000;
    options.wait_ms = POLL_MS;
    options.create_topics = true; /* consumers are started before producers */
    struct myqueue_identity resume[SETTINGS_TOPICS_MAX];
    options.resume = resume;
    options.resume_count = consume_identities(consume, resume);
    options.observer = on_attempt;
    options.observer_arg = consume;
    interrupt_connecting(consume->name, settings->broker, settings->retry_s);
    enum myqueue_status status =
        myconsumer_create(settings->broker, settings->topics, settings->topic_count, &options,
                          &consume->consumer, error);
    interrupt_catch();
    if (status == MYQUEUE_OK) {
        return EXIT_DONE;
    }
    fprintf(stderr, "%s: %s\n", consume->name, error);
    bool input = status == MYQUEUE_BAD_ARGUMENT || status == MYQUEUE_BAD_ADDRESS;
    return input ? EXIT_BAD_INPUT : EXIT_MISSING;
}

/* Open the file as it is, so that one that cannot be written is found at once. What an earlier
 * run received goes only when there is something new to come: see consume_empty. */
static bool consume_open(struct consume *consume)
{
    const struct settings *settings = consume->settings;
    snprintf(consume->path, sizeof consume->path, "%s/consumer_%d.txt", settings->logs,
             settings->id);
    consume->file = fopen(consume->path, "a+");
    if (consume->file == NULL) {
        fprintf(stderr, "%s: cannot write %s: %s\n", consume->name, consume->path, strerror(errno));
    }
    return consume->file != NULL;
}

static bool consume_empty(struct consume *consume)
{
    bool good = ftruncate(fileno(consume->file), 0) == 0;
    if (!good) {
        fprintf(stderr, "%s: cannot empty %s: %s\n", consume->name, consume->path, strerror(errno));
    }
    return good;
}

/* Count a line of the file; false: it is of no topic of ours. */
static bool consume_count(struct consume *consume, const char *line)
{
    for (size_t i = 0; i < consume->settings->topic_count; i++) {
        size_t size = strlen(consume->settings->topics[i]);
        if (strncmp(line, consume->settings->topics[i], size) == 0 &&
            strncmp(line + size, BETWEEN, strlen(BETWEEN)) == 0) {
            consume->lines[i]++;
            consume->received++;
            return true;
        }
    }
    fprintf(stderr, "%s: %s:%" PRId64 ": the line is of no topic of --topics\n", consume->name,
            consume->path, consume->received + 1);
    return false;
}

/* What an earlier life has left in the file: count it, and cut off what is not a whole line. */
static bool consume_read_back(struct consume *consume)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    off_t whole = 0;
    bool good = true;
    rewind(consume->file);
    while (good && (size = getline(&line, &room, consume->file)) > 0 && line[size - 1] == '\n') {
        whole += size;
        good = consume_count(consume, line);
    }
    free(line);
    if (good && ftruncate(fileno(consume->file), whole) != 0) {
        fprintf(stderr, "%s: cannot cut %s: %s\n", consume->name, consume->path, strerror(errno));
        good = false;
    }
    fseek(consume->file, 0, SEEK_END); /* from reading to writing */
    return good;
}

static int consume_run(struct consume *consume)
{
    bool resumed = state_registered(&consume->state);
    if (resumed && !consume_read_back(consume)) {
        return EXIT_BAD_INPUT;
    }
    history_start(consume->history, consume->state.life, consume->settings->topics, consume->lines,
                  consume->settings->topic_count);
    pthread_mutex_init(&consume->asking, NULL);
    pthread_mutex_init(&consume->lock, NULL);
    consume_begin_unsure(consume);
    int code = consume_connect(consume);
    if (code == EXIT_DONE) {
        bool good = resumed || consume_empty(consume);
        if (good) {
            consume_keep_identities(consume);
        }
        consume_busy(consume);
        progress_start(&consume->progress, consume->name, consume->settings->expect);
        if (good) {
            consume_ask_sizes(consume);
            good = consume_seek_at_start(consume) && consume_all(consume);
        }
        myconsumer_stop(consume->consumer);
        progress_clear(&consume->progress);
        code = consume_report(consume, good);
    }
    pthread_mutex_destroy(&consume->lock);
    pthread_mutex_destroy(&consume->asking);
    return code;
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static struct consume consume = {.settings = &settings};
    char process[16];
    char owner[32];
    enum settings_result result = settings_parse(SETTINGS_CONSUME, argc, argv, &settings);
    if (result != SETTINGS_RUN) {
        return result == SETTINGS_EXIT ? EXIT_DONE : EXIT_BAD_INPUT;
    }
    int code = EXIT_BAD_INPUT;
    snprintf(consume.name, sizeof consume.name, "consumer %d", settings.id);
    snprintf(process, sizeof process, "C%d", settings.id);
    snprintf(owner, sizeof owner, "myqueue-consume %d", settings.id);
    if (consume_open(&consume)) {
        if (state_open(&consume.state, &settings, owner) &&
            history_open(settings.history, process, &consume.history)) {
            code = consume_run(&consume);
        }
        if (!history_close(consume.history) && code == EXIT_DONE) {
            code = EXIT_MISSING;
        }
        if (!state_close(&consume.state) && code == EXIT_DONE) {
            code = EXIT_MISSING;
        }
        if (fclose(consume.file) != 0 && code == EXIT_DONE) {
            code = EXIT_MISSING;
        }
    }
    settings_release(&settings);
    return code;
}
