/*
 * broker.h - fake_broker.py as a child of the test: start it, tell it how to misbehave, ask
 * what it saw. Every function fails the running test when it cannot do its work.
 */
#ifndef MYQUEUE_TESTS_BROKER_H
#define MYQUEUE_TESTS_BROKER_H

#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "myqueue/src/call.h"
#include "myqueue/src/text.h"

struct broker {
    pid_t pid;    /* 0: not running */
    int input;    /* it ends when this is closed */
    int reserved; /* a socket that keeps the port from others */
    int port;
    char address[32];
};

enum { CONTROL_LIMIT_MS = 10000 };

/* Where the script is when a test is started from the top of the tree. */
static const char script[] = "myqueue/tests/fake_broker.py";

/* Find a port at which nothing listens and keep it. */
static inline void broker_reserve(struct broker *broker)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int on = 1;
    *broker = (struct broker){.reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CU_ASSERT_NOT_EQUAL_FATAL(broker->reserved, -1);
    setsockopt(broker->reserved, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CU_ASSERT_EQUAL_FATAL(bind(broker->reserved, (struct sockaddr *)&address, length), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(broker->reserved, (struct sockaddr *)&address, &length), 0);
    broker->port = ntohs(address.sin_port);
    snprintf(broker->address, sizeof broker->address, "127.0.0.1:%d", broker->port);
}

static inline void broker_exec(int input, int output, int port, int message_bytes_max)
{
    char port_text[16];
    char limit_text[16];
    snprintf(port_text, sizeof port_text, "%d", port);
    snprintf(limit_text, sizeof limit_text, "%d", message_bytes_max);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    execl("/usr/bin/python3", "python3", script, port_text,
          message_bytes_max > 0 ? limit_text : NULL, (char *)NULL);
    _exit(127);
}

/* Start it at the reserved port; it listens when this returns.
 * message_bytes_max 0: its default. */
static inline void broker_start(struct broker *broker, int message_bytes_max)
{
    int input[2], output[2];
    CU_ASSERT_EQUAL_FATAL(pipe2(input, O_CLOEXEC), 0);
    CU_ASSERT_EQUAL_FATAL(pipe2(output, O_CLOEXEC), 0);
    broker->pid = fork();
    CU_ASSERT_NOT_EQUAL_FATAL(broker->pid, -1);
    if (broker->pid == 0) {
        broker_exec(input[0], output[1], broker->port, message_bytes_max);
    }
    close(input[0]);
    close(output[1]);
    broker->input = input[1];
    FILE *stream = fdopen(output[0], "r");
    int port = 0;
    CU_ASSERT_EQUAL_FATAL(fscanf(stream, "%d", &port), 1);
    fclose(stream);
    CU_ASSERT_EQUAL(port, broker->port);
}

/* Wait until it has ended by itself. */
static inline void broker_wait(struct broker *broker)
{
    if (broker->pid > 0) {
        CU_ASSERT_EQUAL(waitpid(broker->pid, NULL, 0), broker->pid);
        close(broker->input);
        broker->pid = 0;
    }
}

/* End it at once. */
static inline void broker_kill(struct broker *broker)
{
    if (broker->pid > 0) {
        kill(broker->pid, SIGKILL);
        broker_wait(broker);
    }
}

/* Kill it and give the port back. */
static inline void broker_release(struct broker *broker)
{
    broker_kill(broker);
    close(broker->reserved);
}

/* One request that the library does not make; the reply is the caller's to release. */
static inline void broker_ask(const struct broker *broker, const char *path, const char *body,
                              struct mq_reply *reply)
{
    char url[64];
    snprintf(url, sizeof url, "http://%s", broker->address);
    CU_ASSERT_EQUAL_FATAL(mq_call(url, path, body, CONTROL_LIMIT_MS, reply), MYQUEUE_OK);
    CU_ASSERT_EQUAL_FATAL(reply->kind, MQ_REPLY_SUCCESS);
}

/* Replace the plan: `faults` is the list of it, in JSON. */
static inline void broker_plan(const struct broker *broker, const char *faults)
{
    struct mq_text body = {0};
    struct mq_reply reply;
    mq_text_format(&body, "{\"faults\":[%s]}", faults);
    broker_ask(broker, "/fake/plan", body.bytes, &reply);
    mq_reply_release(&reply);
    mq_text_release(&body);
}

/* Everything that it saw; the caller deletes it. */
static inline cJSON *broker_state(const struct broker *broker)
{
    struct mq_reply reply;
    broker_ask(broker, "/fake/state", NULL, &reply);
    return reply.body;
}

/* The messages of a topic, or NULL; part of the state. */
static inline const cJSON *state_messages(const cJSON *state, const char *topic)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(state, "topics"),
                                            topic);
}

/* How many requests to `path` met the fault ("" for none; NULL for any). */
static inline int state_count(const cJSON *state, const char *path, const char *fault)
{
    int count = 0;
    const cJSON *request;
    cJSON_ArrayForEach(request, cJSON_GetObjectItemCaseSensitive(state, "requests"))
    {
        const char *met = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "fault"));
        const char *to = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "path"));
        count += strcmp(to, path) == 0 && (fault == NULL || strcmp(met, fault) == 0);
    }
    return count;
}

#endif
