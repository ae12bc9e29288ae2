/*
 * transport.c - see transport.h.
 *
 * A broker's host may vanish without a word (a container that is killed) or come back with
 * another address. So: no DNS cache; a connection attempt is short; data that nobody
 * acknowledges and connections that nobody keeps alive are noticed within seconds, however
 * long the request may take.
 */
#include "myqueue/src/transport.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "myqueue/src/text.h"

enum {
    CONNECT_LIMIT_MS = 3000,
    UNACKNOWLEDGED_LIMIT_MS = 6000,
    KEEPALIVE_IDLE_S = 3,
    KEEPALIVE_INTERVAL_S = 1,
    RETRY_AFTER_LONGEST_S = 3600,
};

struct mq_transport {
    CURLM *multi;
    struct curl_slist *headers; /* of a POST */
};

struct mq_exchange {
    struct mq_transport *transport;
    CURL *easy;
    mq_exchange_done *done;
    void *arg;
    bool active; /* in the multi handle */
    struct mq_text answer;
    size_t answer_bytes_max;
    bool too_large;
    char error[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct mq_transport *mq_transport_create(void)
{
    pthread_once(&curl_once, curl_start);
    struct mq_transport *transport = calloc(1, sizeof *transport);
    if (transport == NULL) {
        return NULL;
    }
    transport->multi = curl_multi_init();
    transport->headers = curl_slist_append(NULL, "Content-Type: application/json");
    /* Without this libcurl waits for a "100 Continue" before it sends a large body. */
    struct curl_slist *all = curl_slist_append(transport->headers, "Expect:");
    if (transport->multi == NULL || all == NULL) {
        mq_transport_destroy(transport);
        return NULL;
    }
    return transport;
}

void mq_transport_destroy(struct mq_transport *transport)
{
    if (transport == NULL) {
        return;
    }
    curl_multi_cleanup(transport->multi);
    curl_slist_free_all(transport->headers);
    free(transport);
}

/* Tell the owner what came of the exchange, which may be started again by that. */
static void exchange_finish(struct mq_exchange *exchange, CURLcode code)
{
    long http = 0;
    long sent = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &sent);
    curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (retry_after_s > RETRY_AFTER_LONGEST_S) {
        retry_after_s = RETRY_AFTER_LONGEST_S;
    }
    struct mq_answer answer = {
        .http = code == CURLE_OK ? (int)http : 0,
        .body = exchange->answer.bytes != NULL ? exchange->answer.bytes : "",
        .length = exchange->answer.length,
        .retry_after_ms = retry_after_s > 0 ? (int)retry_after_s * 1000 : -1,
        .too_large = exchange->too_large,
        .not_sent = code != CURLE_OK && sent == 0,
        .error = code == CURLE_OK             ? ""
                 : exchange->error[0] != '\0' ? exchange->error
                                              : curl_easy_strerror(code),
    };
    curl_multi_remove_handle(exchange->transport->multi, exchange->easy);
    exchange->active = false;
    exchange->done(exchange->arg, &answer);
}

/* Move all transfers on; true when some are finished. */
static bool transport_perform(struct mq_transport *transport)
{
    int running, left;
    bool finished = false;
    curl_multi_perform(transport->multi, &running);
    for (;;) {
        CURLMsg *message = curl_multi_info_read(transport->multi, &left);
        if (message == NULL) {
            return finished;
        }
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = message->data.result;
        struct mq_exchange *exchange = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
        exchange_finish(exchange, code);
        finished = true;
    }
}

void mq_transport_run(struct mq_transport *transport, int wait_ms)
{
    if (!transport_perform(transport)) {
        curl_multi_poll(transport->multi, NULL, 0, wait_ms, NULL);
        transport_perform(transport);
    }
}

void mq_transport_wake(struct mq_transport *transport)
{
    curl_multi_wakeup(transport->multi);
}

static size_t exchange_receive(char *bytes, size_t size, size_t count, void *arg)
{
    struct mq_exchange *exchange = arg;
    size_t length = size * count;
    if (length > exchange->answer_bytes_max - exchange->answer.length) {
        exchange->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    mq_text_append(&exchange->answer, bytes, length);
    return exchange->answer.failed ? CURL_WRITEFUNC_ERROR : length;
}

static int exchange_socket(void *arg, curl_socket_t socket, curlsocktype purpose)
{
    (void)arg;
    (void)purpose;
    unsigned limit_ms = UNACKNOWLEDGED_LIMIT_MS;
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
    return CURL_SOCKOPT_OK;
}

/* What holds for every request of the exchange. */
static bool exchange_configure(struct mq_exchange *exchange)
{
    CURL *easy = exchange->easy;
    CURLcode bad = CURLE_OK;
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, exchange_receive);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    bad |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, exchange_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "libmyqueue");
    bad |= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_LIMIT_MS);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    return bad == CURLE_OK;
}

struct mq_exchange *mq_exchange_create(struct mq_transport *transport, mq_exchange_done *done,
                                       void *arg)
{
    struct mq_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return NULL;
    }
    *exchange = (struct mq_exchange){.transport = transport, .done = done, .arg = arg};
    exchange->easy = curl_easy_init();
    if (exchange->easy == NULL || !exchange_configure(exchange)) {
        mq_exchange_destroy(exchange);
        return NULL;
    }
    return exchange;
}

void mq_exchange_destroy(struct mq_exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    mq_exchange_cancel(exchange);
    curl_easy_cleanup(exchange->easy);
    mq_text_release(&exchange->answer);
    free(exchange);
}

bool mq_exchange_start(struct mq_exchange *exchange, const struct mq_request *request)
{
    CURL *easy = exchange->easy;
    CURLcode bad = CURLE_OK;
    mq_text_clear(&exchange->answer);
    exchange->answer_bytes_max = request->answer_bytes_max;
    exchange->too_large = false;
    exchange->error[0] = '\0';
    bad |= curl_easy_setopt(easy, CURLOPT_URL, request->url);
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->limit_ms);
    if (request->body != NULL) {
        bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
        bad |=
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->transport->headers);
    } else {
        bad |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    }
    if (bad != CURLE_OK || curl_multi_add_handle(exchange->transport->multi, easy) != CURLM_OK) {
        return false;
    }
    exchange->active = true;
    return true;
}

void mq_exchange_cancel(struct mq_exchange *exchange)
{
    if (exchange->active) {
        curl_multi_remove_handle(exchange->transport->multi, exchange->easy);
        exchange->active = false;
    }
}
