/*
 * settings.c - see settings.h.
 */
#include "scenarios/settings.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t OFFSET_MAX = INT64_C(1) << 53;

enum { ROWS_MAX = 16, ID_MAX = 999999, SECONDS_MAX = 86400, NAME_BYTES_MAX = 32 };

enum { PRODUCE = SETTINGS_PRODUCE, CONSUME = SETTINGS_CONSUME, BOTH = PRODUCE | CONSUME };

/* Set one value; on failure what would be right is in `expected`. */
typedef bool setting_set(struct settings *settings, const char *value, const char **expected);

struct setting {
    const char *name;
    int programs;
    const char *unit;
    const char *fallback; /* NULL: none */
    bool required;
    setting_set *set;
    const char *help;
};

static bool number_parse(const char *text, int64_t smallest, int64_t largest, int64_t *number)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < smallest ||
        value > largest) {
        return false;
    }
    *number = value;
    return true;
}

static bool int_parse(const char *text, int smallest, int largest, int *number)
{
    int64_t value;
    bool good = number_parse(text, smallest, largest, &value);
    *number = good ? (int)value : 0;
    return good;
}

static bool set_id(struct settings *settings, const char *value, const char **expected)
{
    *expected = "a number from 0 to 999999";
    return int_parse(value, 0, ID_MAX, &settings->id);
}

static bool set_broker(struct settings *settings, const char *value, const char **expected)
{
    *expected = "HOST:PORT";
    settings->broker = value;
    return value[0] != '\0';
}

static bool set_logs(struct settings *settings, const char *value, const char **expected)
{
    *expected = "a folder";
    settings->logs = value;
    return value[0] != '\0';
}

static bool set_history(struct settings *settings, const char *value, const char **expected)
{
    *expected = "a file";
    settings->history = value;
    return value[0] != '\0';
}

static bool set_state(struct settings *settings, const char *value, const char **expected)
{
    *expected = "a file";
    settings->state = value;
    return value[0] != '\0';
}

static bool set_gate(struct settings *settings, const char *value, const char **expected)
{
    *expected = "a file";
    settings->gate = value;
    return value[0] != '\0';
}

static bool set_retry(struct settings *settings, const char *value, const char **expected)
{
    *expected = "seconds from 0 to 86400";
    return int_parse(value, 0, SECONDS_MAX, &settings->retry_s);
}

static bool set_idle(struct settings *settings, const char *value, const char **expected)
{
    *expected = "seconds from 1 to 86400";
    return int_parse(value, 1, SECONDS_MAX, &settings->idle_s);
}

static bool set_expect(struct settings *settings, const char *value, const char **expected)
{
    *expected = "a number of messages, 0 or more";
    return number_parse(value, 0, INT64_MAX, &settings->expect);
}

/* "200:0:T1"; the topic may hold colons, too. */
static bool set_seek(struct settings *settings, const char *value, const char **expected)
{
    *expected = "N:OFFSET:TOPIC, such as 200:0:T1; at most 64 of them";
    if (settings->seek_count == SETTINGS_SEEKS_MAX) {
        return false;
    }
    struct settings_seek *seek = &settings->seeks[settings->seek_count];
    const char *offset = strchr(value, ':');
    const char *topic = offset != NULL ? strchr(offset + 1, ':') : NULL;
    char numbers[2][24];
    if (topic == NULL || topic[1] == '\0' || offset - value >= (ptrdiff_t)sizeof numbers[0] ||
        topic - offset > (ptrdiff_t)sizeof numbers[0]) {
        return false;
    }
    snprintf(numbers[0], sizeof numbers[0], "%.*s", (int)(offset - value), value);
    snprintf(numbers[1], sizeof numbers[1], "%.*s", (int)(topic - offset - 1), offset + 1);
    seek->topic = topic + 1;
    settings->seek_count++;
    return number_parse(numbers[0], 0, OFFSET_MAX, &seek->after) &&
           number_parse(numbers[1], 0, OFFSET_MAX, &seek->offset);
}

static bool set_pace(struct settings *settings, const char *value, const char **expected)
{
    *expected = "'fast' or 'real'";
    settings->pace_real = strcmp(value, "real") == 0;
    return settings->pace_real || strcmp(value, "fast") == 0;
}

/* One name on the command line, or several with blanks between them in the environment. */
static bool set_topics(struct settings *settings, const char *value, const char **expected)
{
    *expected = "names of topics";
    if (value[0] == '\0' || settings->topic_count == SETTINGS_TOPICS_MAX) {
        return false;
    }
    settings->topics[settings->topic_count++] = value;
    return true;
}

static bool set_topics_list(struct settings *settings, const char *value, const char **expected)
{
    *expected = "names of topics with blanks between them";
    settings->topics_text = strdup(value);
    char *rest = settings->topics_text;
    for (char *name; rest != NULL && (name = strsep(&rest, " \t")) != NULL;) {
        if (name[0] != '\0' && !set_topics(settings, name, expected)) {
            return false;
        }
    }
    return settings->topic_count > 0;
}

static const struct setting rows[] = {
    {"id", BOTH, "N", NULL, true, set_id, "which of the producers or consumers this one is"},
    {"topics", BOTH, "TOPIC...", NULL, true, set_topics,
     "the topics, with blanks between them; one that does not exist\n"
     "is created"},
    {"broker", BOTH, "HOST:PORT", "localhost:5000", false, set_broker, "where the broker listens"},
    {"logs", BOTH, "DIR", NULL, true, set_logs,
     "the folder with producer_N.txt to send, or consumer_N.txt to write"},
    {"pace", PRODUCE, "fast|real", "fast", false, set_pace,
     "as fast as possible, or as the time stamps say"},
    {"idle", CONSUME, "SECONDS", "5", false, set_idle,
     "end when the broker had no message for so long; time during\n"
     "which the broker does not answer is not counted"},
    {"expect", CONSUME, "MESSAGES", NULL, false, set_expect,
     "end after so many, and fail when there are fewer"},
    {"seek", CONSUME, "N:OFFSET:TOPIC", NULL, false, set_seek,
     "after N lines of TOPIC in the file, go on at OFFSET of it; may\n"
     "be given several times; waits (--retry) for an offset to come"},
    {"retry", BOTH, "SECONDS", "60", false, set_retry,
     "ride out a broker that is down for so long"},
    {"gate", PRODUCE, "FILE", NULL, false, set_gate,
     "register, then wait until FILE exists before sending, so that\n"
     "several producers start at once"},
    {"history", BOTH, "FILE", NULL, false, set_history,
     "append every operation to FILE, one JSON object a line"},
    {"state", BOTH, "FILE", NULL, false, set_state,
     "keep in FILE who this one is and how far; started again with it,\n"
     "it goes on as the same, however it ended"},
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };
_Static_assert((int)ROW_COUNT + 3 <= (int)ROWS_MAX, "getopt's table has room for all rows");

static const char *program_name(enum settings_program program)
{
    return program == SETTINGS_PRODUCE ? "myqueue-produce" : "myqueue-consume";
}

/* "MYQUEUE_RETRY" for "retry". */
static const char *row_env(const struct setting *row, char *name)
{
    int length = snprintf(name, NAME_BYTES_MAX, "MYQUEUE_");
    for (const char *c = row->name; *c != '\0' && length < NAME_BYTES_MAX - 1; c++) {
        name[length++] = (char)toupper((unsigned char)*c);
    }
    name[length] = '\0';
    return name;
}

static void print_help(enum settings_program program)
{
    printf("usage: %s --id N --topics TOPIC... --logs DIR [--broker HOST:PORT] [...]\n\n%s\n\n",
           program_name(program),
           program == SETTINGS_PRODUCE
               ? "Send DIR/producer_N.txt to the broker. A line of it is: time, message, label,\n"
                 "topic. Neighbouring lines with one label are sent at once, then waited for."
               : "Write what the topics hold, from their first message on, to DIR/consumer_N.txt:\n"
                 "the topic, five spaces, the message. A newline in a message is written as \\n.");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct setting *row = &rows[i];
        char option[NAME_BYTES_MAX * 2];
        char env[NAME_BYTES_MAX];
        if ((row->programs & (int)program) == 0) {
            continue;
        }
        snprintf(option, sizeof option, "--%s %s", row->name, row->unit);
        printf("  %-22s ", option);
        for (const char *c = row->help; *c != '\0'; c++) {
            putchar(*c);
            if (*c == '\n') {
                printf("%25s", "");
            }
        }
        const char *fallback = row->fallback != NULL ? row->fallback : "none";
        printf("\n%25s%s%s (%s)\n", "",
               row->required ? "required" : "default: ", row->required ? "" : fallback,
               row_env(row, env));
    }
    printf(
        "  --help, --version\n\nThe names in brackets are environment variables that give the "
        "value when the option\nis not there.\n\nExit codes: 0 all done; 1 something was not %s; "
        "2 bad usage or input.\n",
        program == SETTINGS_PRODUCE ? "delivered" : "received");
}

static enum settings_result refuse_value(enum settings_program program, const char *name,
                                         const char *value, const char *expected)
{
    fprintf(stderr, "%s: bad value '%s' for %s; expected %s\n", program_name(program), value, name,
            expected);
    return SETTINGS_BAD;
}

/* ---- the sources ------------------------------------------------------------------ */

static int getopt_rows(enum settings_program program, struct option *options)
{
    int count = 0;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((rows[i].programs & (int)program) != 0) {
            options[count++] = (struct option){rows[i].name, required_argument, NULL, 256 + (int)i};
        }
    }
    options[count++] = (struct option){"help", no_argument, NULL, 'h'};
    options[count++] = (struct option){"version", no_argument, NULL, 'v'};
    options[count] = (struct option){0};
    return count;
}

static enum settings_result refuse_argument(enum settings_program program, const char *argument)
{
    fprintf(stderr, "%s: unexpected argument '%s'; see --help\n", program_name(program), argument);
    return SETTINGS_BAD;
}

/* The value of an option on the command line; false: one line is on stderr. */
static bool read_value(enum settings_program program, const struct setting *row, const char *value,
                       struct settings *settings)
{
    const char *expected;
    char option[NAME_BYTES_MAX];
    snprintf(option, sizeof option, "--%s", row->name);
    if (strncmp(value, "--", 2) == 0) {
        fprintf(stderr, "%s: there is no value for '%s'; see --help\n", program_name(program),
                option);
        return false;
    }
    if (!row->set(settings, value, &expected)) {
        refuse_value(program, option, value, expected);
        return false;
    }
    return true;
}

/* `given` notes which rows have a value. */
static enum settings_result read_arguments(enum settings_program program, int argc, char **argv,
                                           struct settings *settings, bool *given)
{
    struct option options[ROWS_MAX];
    const struct setting *row = NULL; /* the option that was read last */
    getopt_rows(program, options);
    opterr = 0;
    for (;;) {
        /* '-': what is no option comes in its place, as 1; ':': tell a missing value apart. */
        int found = getopt_long(argc, argv, "-:", options, NULL);
        if (found == -1) {
            break;
        }
        if (found == 'h') {
            print_help(program);
            return SETTINGS_EXIT;
        }
        if (found == 'v') {
            printf("%s %s\n", program_name(program), MYQUEUE_VERSION);
            return SETTINGS_EXIT;
        }
        if (found == '?' || found == ':') {
            fprintf(stderr, "%s: %s '%s'; see --help\n", program_name(program),
                    found == ':' ? "there is no value for" : "unknown option", argv[optind - 1]);
            return SETTINGS_BAD;
        }
        bool more = found == 1 && row != NULL && row->set == set_topics;
        if (found == 1 && !more) {
            return refuse_argument(program, optarg);
        }
        row = more ? row : &rows[found - 256];
        given[row - rows] = true;
        if (!read_value(program, row, optarg, settings)) {
            return SETTINGS_BAD;
        }
    }
    return optind < argc ? refuse_argument(program, argv[optind]) : SETTINGS_RUN;
}

/* The environment, then the default, for a row that the command line was silent about. */
static enum settings_result read_rest(enum settings_program program, const struct setting *row,
                                      struct settings *settings)
{
    char env[NAME_BYTES_MAX];
    const char *expected;
    const char *value = getenv(row_env(row, env));
    if (value != NULL && value[0] != '\0') {
        setting_set *set = row->set == set_topics ? set_topics_list : row->set;
        return set(settings, value, &expected) ? SETTINGS_RUN
                                               : refuse_value(program, env, value, expected);
    }
    if (row->required) {
        fprintf(stderr, "%s: --%s %s is missing; see --help\n", program_name(program), row->name,
                row->unit);
        return SETTINGS_BAD;
    }
    if (row->fallback != NULL) {
        row->set(settings, row->fallback, &expected);
    }
    return SETTINGS_RUN;
}

/* What can be said of seeks only once all topics are known. */
static enum settings_result seeks_check(enum settings_program program,
                                        const struct settings *settings)
{
    for (size_t i = 0; i < settings->seek_count; i++) {
        const struct settings_seek *seek = &settings->seeks[i];
        size_t t = 0;
        while (t < settings->topic_count && strcmp(settings->topics[t], seek->topic) != 0) {
            t++;
        }
        if (t == settings->topic_count) {
            fprintf(stderr, "%s: --seek in topic '%s', which is not one of --topics\n",
                    program_name(program), seek->topic);
            return SETTINGS_BAD;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(settings->seeks[k].topic, seek->topic) == 0 &&
                settings->seeks[k].after >= seek->after) {
                fprintf(stderr,
                        "%s: --seek in topic '%s': each must be after more lines than the "
                        "one before it\n",
                        program_name(program), seek->topic);
                return SETTINGS_BAD;
            }
        }
    }
    return SETTINGS_RUN;
}

enum settings_result settings_parse(enum settings_program program, int argc, char **argv,
                                    struct settings *settings)
{
    bool given[ROW_COUNT] = {false};
    *settings = (struct settings){.expect = -1};
    enum settings_result result = read_arguments(program, argc, argv, settings, given);
    for (size_t i = 0; i < ROW_COUNT && result == SETTINGS_RUN; i++) {
        if (!given[i] && (rows[i].programs & (int)program) != 0) {
            result = read_rest(program, &rows[i], settings);
        }
    }
    if (result == SETTINGS_RUN) {
        result = seeks_check(program, settings);
    }
    if (result != SETTINGS_RUN) {
        settings_release(settings);
    }
    return result;
}

void settings_release(struct settings *settings)
{
    free(settings->topics_text);
    settings->topics_text = NULL;
}
