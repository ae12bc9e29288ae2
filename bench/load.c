/*
 * load.c - the load generator's command line: settings in, one JSON object out.
 *
 * Exit codes: 0 when every answer was a success, 1 when one was not or the run could not be made
 * (the reason is on stderr, the figures are printed if there are any), 2 for bad usage.
 */
#include "bench/engine.h"
#include "bench/protocols.h"

#include "common/json.h"
#include "common/options.h"

#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define EXIT_USAGE 2

static const struct protocol *const protocols[] = {
    &myqueue_produce, &myqueue_consume,   &myqueue_deliver, &http_post,    &http_get,
    &redis_produce,   &beanstalk_produce, &nats_produce,    &amqp_produce,
};

static struct load load;

/* What options write: numbers come as int64_t. */
struct settings {
    const char *protocol, *mode, *plain;
    int64_t connections, idle, threads, batch, max, topics, message_bytes;
};

static enum options_result parse_options(struct settings *s, int argc, char **argv)
{
    const struct option_row rows[] = {
        {"target", OPTION_TEXT, &load.target, "127.0.0.1:5000", 0, 0, 0, NULL, "HOST:PORT",
         "the server", true},
        {"protocol", OPTION_TEXT, &s->protocol, "myqueue", 0, 0, 0, NULL, "NAME",
         "how to speak to it: see the end", true},
        {"mode", OPTION_TEXT, &s->mode, "produce", 0, 0, 0, NULL, "NAME", "what to do: see the end",
         true},
        {"connections", OPTION_INT, &s->connections, NULL, 64, 1, LOAD_CONNECTIONS_MAX, NULL,
         "connections", "each with one request in flight", false},
        {"idle", OPTION_INT, &s->idle, NULL, 0, 0, LOAD_CONNECTIONS_MAX, NULL, "connections",
         "consumers that wait in a long poll besides; not measured", false},
        {"threads", OPTION_INT, &s->threads, NULL, 1, 1, LOAD_THREADS_MAX, NULL, "threads",
         "that share the connections", false},
        {"rate", OPTION_INT, &load.rate, NULL, 0, 0, 100000000, NULL, "requests/s",
         "open loop: requests are due at even intervals, and measured from then on;\n"
         "0: closed loop, the next request as soon as the last is answered",
         false},
        {"duration-ms", OPTION_INT, &load.duration_ms, NULL, 5000, 1, 3600000, NULL, "milliseconds",
         "measured time", false},
        {"warmup-ms", OPTION_INT, &load.warmup_ms, NULL, 1000, 0, 3600000, NULL, "milliseconds",
         "time before it, which is not measured (not with --messages)", false},
        {"messages", OPTION_INT, &load.messages, NULL, 0, 0, (int64_t)1 << 40, NULL, "messages",
         "run until so many are stored or read (by whole requests), whatever the duration;\n"
         "consumers divide the log among them",
         false},
        {"batch", OPTION_INT, &s->batch, NULL, 0, 0, 100000, NULL, "messages",
         "messages a request; 0: the call for a single one", false},
        {"max", OPTION_INT, &s->max, NULL, 0, 0, 100000, NULL, "messages",
         "messages an answer, for consumers; 0: the call for a single one", false},
        {"consume", OPTION_CHOICE, &s->plain, "offset", 0, 0, 0, "offset|plain", NULL,
         "by position (at the log's end again from the start), or plainly", false},
        {"offset", OPTION_INT, &load.offset, NULL, 0, 0, (int64_t)1 << 53, NULL, "offset",
         "where consumers begin", false},
        {"topics", OPTION_INT, &s->topics, NULL, 1, 1, 1000000, NULL, "topics",
         "the load is spread over; each has one producer", false},
        {"topic", OPTION_TEXT, &load.topic, "bench", 0, 0, 0, NULL, "NAME",
         "the topics' names begin with it", true},
        {"message-bytes", OPTION_INT, &s->message_bytes, NULL, 100, 0, 1000000, NULL, "bytes",
         "of a message", false},
    };
    const struct options options = {
        .program = "load",
        .version = MYQUEUE_VERSION,
        .summary =
            "Loads a server and measures latency from the moment when a request was due.\n"
            "Prints one JSON object. --protocol and --mode:\n"
            "  myqueue produce   store messages in the broker\n"
            "  myqueue consume   read what is stored\n"
            "  myqueue deliver   pairs of a producer and a waiting consumer: the time from one\n"
            "                    to the other\n"
            "  http post         the produce request, for a server with a constant answer\n"
            "  http get          the consume request, for the same\n"
            "  redis produce     XADD to a stream of Redis\n"
            "  beanstalk produce put a job into beanstalkd\n"
            "  nats produce      publish to a stream of NATS JetStream\n"
            "  amqp produce      publish to a quorum queue of RabbitMQ (as guest), confirmed",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    return options_parse(&options, argc, argv, NULL);
}

static int usage(const char *what)
{
    fprintf(stderr, "load: %s; try --help\n", what);
    return EXIT_USAGE;
}

/* 0, or the exit code. */
static int take_settings(const struct settings *s)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (strcmp(protocols[i]->name, s->protocol) == 0 &&
            strcmp(protocols[i]->mode, s->mode) == 0) {
            load.protocol = protocols[i];
        }
    }
    if (load.protocol == NULL) {
        return usage("there is no such protocol, or it has no such mode");
    }
    if (s->idle > 0 && load.protocol->idle == NULL) {
        return usage("--idle: this protocol has no long poll");
    }
    if (strlen(load.topic) > 100 ||
        strspn(load.topic, "abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(load.topic)) {
        return usage("--topic: a name of up to 100 letters, digits, '-' and '_'");
    }
    load.connections = (int)s->connections;
    load.idle = (int)s->idle;
    load.threads = (int)(s->threads < s->connections ? s->threads : s->connections);
    load.batch = (int)s->batch;
    load.max = (int)s->max;
    load.plain = strcmp(s->plain, "plain") == 0;
    load.topics = (int)s->topics;
    load.message_bytes = (int)s->message_bytes;
    if (load.messages > 0) {
        load.warmup_ms = 0;
    }
    return 0;
}

static bool find_target(char error[LOAD_ERROR_BYTES_MAX])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[200];
    const char *colon = strrchr(load.target, ':');

    if (colon == NULL || colon == load.target || (size_t)(colon - load.target) >= sizeof host) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "'%.100s' is not HOST:PORT", load.target);
        return false;
    }
    memcpy(host, load.target, (size_t)(colon - load.target));
    host[colon - load.target] = '\0';
    int code = getaddrinfo(host, colon + 1, &hints, &found);
    if (code != 0) {
        snprintf(error, LOAD_ERROR_BYTES_MAX, "%.100s: %s", load.target, gai_strerror(code));
        return false;
    }
    memcpy(&load.address, found->ai_addr, found->ai_addrlen);
    load.address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static double cpu_s(void)
{
    struct rusage usage_now;

    getrusage(RUSAGE_SELF, &usage_now);
    return (double)(usage_now.ru_utime.tv_sec + usage_now.ru_stime.tv_sec) +
           (double)(usage_now.ru_utime.tv_usec + usage_now.ru_stime.tv_usec) / 1e6;
}

static void append_percentile(struct buffer *b, const struct outcome *o, const char *name,
                              double share)
{
    buffer_printf(b, "\"%s\":%.1f,", name,
                  (double)histogram_percentile(o->latency, share) / 1000.0);
}

static void print_outcome(const struct outcome *o, double cpu_spent_s)
{
    struct buffer b = BUFFER_INIT;
    double duration_s = o->duration_s > 0 ? o->duration_s : 1e-9;

    buffer_printf(&b, "{\"tool\":\"load\",\"protocol\":\"%s\",\"mode\":\"%s\",\"target\":",
                  load.protocol->name, load.protocol->mode);
    json_append_string(&b, slice_of(load.target));
    buffer_printf(&b,
                  ",\"connections\":%d,\"idle\":%d,\"threads\":%d,\"topics\":%d,\"batch\":%d,"
                  "\"max\":%d,\"message_bytes\":%d,\"rate\":%lld,",
                  load.connections, load.idle, load.threads, load.topics, load.batch, load.max,
                  load.message_bytes, (long long)load.rate);
    buffer_printf(&b,
                  "\"duration_s\":%.3f,\"messages\":%lld,\"requests\":%lld,\"empty\":%lld,"
                  "\"errors\":%lld,\"messages_per_s\":%.1f,\"requests_per_s\":%.1f,"
                  "\"cpu_s\":%.2f,\"latency_us\":{",
                  o->duration_s, (long long)o->messages, (long long)o->requests,
                  (long long)o->empty, (long long)o->errors, (double)o->messages / duration_s,
                  (double)o->requests / duration_s, cpu_spent_s);
    append_percentile(&b, o, "p50", 0.5);
    append_percentile(&b, o, "p90", 0.9);
    append_percentile(&b, o, "p99", 0.99);
    append_percentile(&b, o, "p99_9", 0.999);
    buffer_printf(&b, "\"max\":%.1f},\"histogram\":", (double)o->latency->max_ns / 1000.0);
    histogram_append_json(o->latency, &b);
    buffer_append_string(&b, "}\n");
    fputs(b.failed ? "{\"errors\":1}\n" : b.data, stdout);
    buffer_release(&b);
}

static int complain(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
    return 1;
}

static int run(void)
{
    struct outcome outcome;
    double cpu_before_s = cpu_s();

    if (!engine_run(&load, &outcome)) {
        return complain(outcome.error);
    }
    print_outcome(&outcome, cpu_s() - cpu_before_s);
    int code = outcome.errors > 0 ? complain(outcome.error) : 0;
    if (code == 0 && outcome.messages < load.messages && !atomic_load(&load.stop)) {
        code = complain("the log ended early");
    }
    outcome_release(&outcome);
    return code;
}

/* Every connection is a descriptor: the limit is raised to what the system grants. */
static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&load.stop, true);
}

int main(int argc, char **argv)
{
    struct settings settings;
    char error[LOAD_ERROR_BYTES_MAX] = "out of memory";

    enum options_result parsed = parse_options(&settings, argc, argv);
    if (parsed != OPTIONS_OK) {
        return parsed == OPTIONS_EXIT ? 0 : EXIT_USAGE;
    }
    int code = take_settings(&settings);
    if (code != 0) {
        return code;
    }
    raise_limits();
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (!find_target(error)) {
        return complain(error);
    }
    bool good = load.protocol->prepare == NULL || load.protocol->prepare(&load, error);
    code = good ? run() : complain(error);
    if (load.protocol->release != NULL) {
        load.protocol->release(&load);
    }
    return code;
}
