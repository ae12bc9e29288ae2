/*
 * broker.c - what main.c of the broker puts together, and a client that believes nothing.
 */
#include "fuzz/broker.h"

#include "broker/api/api.h"
#include "broker/store/committer.h"
#include "broker/store/readers.h"
#include "broker/store/stores.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_BYTES_MAX (16 * 1024 * 1024)
#define WAITING_COUNT_MAX 1000
#define TAIL_BYTES_MAX 1024 /* so that the store is read from as well */
#define STORE_TIMEOUT_MS 10000
#define CLIENT_TIMEOUT_MS 3600000 /* it may stand in a debugger */
#define CLIENTS_MAX 100000000

static struct {
    struct store *store;
    struct budget budget;
    struct queue *queue;
    struct committer *committer;
    struct readers *readers;
    struct api api;
    struct http_server *http;
    int connection;
} broker;

/* ---- the broker ------------------------------------------------------------------------------ */

static void wake(void *arg)
{
    (void)arg;
    if (broker.http != NULL) {
        http_server_wake(broker.http);
    }
}

static void fenced(void *arg)
{
    (void)arg;
    abort();
}

static void start_store(void)
{
    char why[STORE_ERROR_BYTES_MAX];

    broker.store = store_open("memory:", STORE_TIMEOUT_MS, why);
    broker.queue = queue_create(&(struct queue_options){.tail_bytes_max = TAIL_BYTES_MAX,
                                                        .store_timeout_ms = STORE_TIMEOUT_MS,
                                                        .topics_max = CLIENTS_MAX,
                                                        .producers_max = CLIENTS_MAX,
                                                        .consumers_max = CLIENTS_MAX,
                                                        .polls_max = 0, /* no input takes long */
                                                        .budget = &broker.budget,
                                                        .wake = wake,
                                                        .fenced = fenced});
    assert(broker.store != NULL && broker.queue != NULL);
    struct store_session *session = broker.store->ops->session_open(broker.store);
    struct store_loader loader = queue_loader(broker.queue);
    assert(session != NULL &&
           broker.store->ops->revive(session, STORE_TIMEOUT_MS, why) == STATUS_OK);
    assert(broker.store->ops->load(session, &loader, why) == STATUS_OK);
    broker.committer =
        committer_create(&(struct committer_options){.store = broker.store,
                                                     .session = session,
                                                     .hooks = queue_hooks(broker.queue),
                                                     .waiting_bytes_max = WAITING_BYTES_MAX,
                                                     .waiting_count_max = WAITING_COUNT_MAX,
                                                     .batch_bytes_max = WAITING_BYTES_MAX,
                                                     .batch_count_max = WAITING_COUNT_MAX});
    broker.readers = readers_create(broker.store, 1, WAITING_COUNT_MAX);
    assert(broker.committer != NULL && broker.readers != NULL);
    queue_connect(broker.queue,
                  &(struct store_queue){committer_submit, broker.committer, readers_submit,
                                        broker.readers, broker.store->ops->forgets_positions});
}

static void stop(void)
{
    close(broker.connection);
    http_server_quiesce(broker.http);
    queue_shutdown(broker.queue);
    http_server_drain(broker.http, STORE_TIMEOUT_MS);
    committer_destroy(broker.committer);
    readers_destroy(broker.readers);
    http_server_destroy(broker.http);
    queue_destroy(broker.queue);
    broker.store->ops->destroy(broker.store);
}

static void start(void)
{
    char why[HTTP_ERROR_BYTES_MAX];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    budget_init(&broker.budget, WAITING_BYTES_MAX);
    broker.api =
        (struct api){.message_bytes_max = FUZZ_MESSAGE_BYTES_MAX, .budget = &broker.budget};
    bool created = http_server_create(
        &(struct http_options){.listen = "127.0.0.1:0",
                               .loops = 1,
                               .connections_max = 10,
                               .idle_ms_max = CLIENT_TIMEOUT_MS,
                               .request_ms_max = CLIENT_TIMEOUT_MS,
                               .budget = &broker.budget,
                               .body_bytes_max = api_body_bytes_max(FUZZ_MESSAGE_BYTES_MAX),
                               .handle = api_handle,
                               .pass_end = api_pass_end,
                               .arg = &broker.api},
        &broker.http, why);
    assert(created);
    start_store();
    broker.api.queue = broker.queue;
    bool started = http_server_start(broker.http, why);
    assert(started);
    address.sin_port = htons((uint16_t)atoll(strrchr(http_server_address(broker.http), ':') + 1));
    broker.connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(broker.connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int connected = connect(broker.connection, (struct sockaddr *)&address, sizeof address);
    assert(connected == 0);
    atexit(stop);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void receive(struct buffer *b)
{
    bool room = buffer_reserve(b, 65536);
    assert(room);
    ssize_t got;
    do { /* libFuzzer's timer interrupts */
        got = recv(broker.connection, b->data + b->size, 65536, 0);
    } while (got < 0 && errno == EINTR);
    assert(got > 0);
    b->size += (size_t)got;
    b->data[b->size] = '\0';
}

static void check(struct answer *answer)
{
    answer->root = json_root(&answer->json);
    assert(json_is_object(answer->root));
    assert(slice_equals(answer_text(answer, "status"),
                        slice_of(answer->http == 200 ? "success" : "failure")));
    assert(answer->http == 200 ||
           (answer_text(answer, "message").size > 0 && answer_text(answer, "code").size > 0));
    /* Nothing else of what these are for can be met here. */
    assert(answer->http < 500 || slice_equals(answer_text(answer, "code"), slice_of("overloaded")));
}

void broker_ask(struct slice request, struct answer *out)
{
    struct buffer all = BUFFER_INIT;
    char *end;

    if (broker.http == NULL) {
        start();
    }
    ssize_t sent = send(broker.connection, request.data, request.size, MSG_NOSIGNAL);
    assert(sent == (ssize_t)request.size);
    do {
        receive(&all);
        end = strstr(all.data, "\r\n\r\n");
    } while (end == NULL);
    size_t head = (size_t)(end - all.data) + 4;
    const char *length = strcasestr(all.data, "\r\nContent-Length: ");
    assert(strncmp(all.data, "HTTP/1.1 ", 9) == 0 && length != NULL && length < end);
    size_t size = (size_t)strtoull(length + 18, NULL, 10);
    out->http = (int)strtol(all.data + 9, NULL, 10);
    while (all.size < head + size) {
        receive(&all);
    }
    assert(all.size == head + size);
    buffer_init(&out->text);
    buffer_append(&out->text, all.data + head, size);
    buffer_release(&all);
    enum json_result parsed = json_parse(&out->json, buffer_slice(&out->text));
    assert(parsed == JSON_OK);
    check(out);
}

void answer_release(struct answer *answer)
{
    json_release(&answer->json);
    buffer_release(&answer->text);
}

int64_t answer_int(const struct answer *answer, const char *key)
{
    int64_t value;

    return json_int(json_get(answer->root, key), &value) ? value : -1;
}

struct slice answer_text(const struct answer *answer, const char *key)
{
    struct slice text;

    return json_string(json_get(answer->root, key), &text) ? text : slice_of("");
}
