/*
 * address.c - see address.h.
 */
#include "myqueue/src/address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_BYTES_MAX = 253, PORT_MAX = 65535 };

static const char host_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-._";
static const char ipv6_bytes[] = "0123456789abcdefABCDEF:.";

static enum myqueue_status address_refuse(const char *address, const char *why, char *error)
{
    snprintf(error, MYQUEUE_ERROR_BYTES,
             "bad broker address '%.200s': %s; expected HOST:PORT, such as localhost:5000", address,
             why);
    return MYQUEUE_BAD_ADDRESS;
}

/* The port that starts at `text` and ends the address, or -1. */
static long port_parse(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || (text[digits] != '\0' && strcmp(text + digits, "/") != 0)) {
        return -1;
    }
    long port = 0;
    for (size_t i = 0; i < digits; i++) {
        port = port * 10 + (text[i] - '0');
    }
    return port >= 1 && port <= PORT_MAX ? port : -1;
}

enum myqueue_status mq_address_parse(const char *address, char *url, char *error)
{
    const char *host = address;
    if (strncasecmp(host, "http://", 7) == 0) {
        host += 7;
    } else if (strstr(host, "://") != NULL) {
        return address_refuse(address, "only http:// is spoken", error);
    }
    bool ipv6 = *host == '[';
    size_t length = strspn(host + ipv6, ipv6 ? ipv6_bytes : host_bytes) + ipv6;
    if (ipv6) {
        if (host[length] != ']' || length < 3) {
            return address_refuse(address, "the IPv6 address in brackets is not one", error);
        }
        length++;
    }
    if (length == 0) {
        return address_refuse(address, "the host is missing", error);
    }
    if (length > HOST_BYTES_MAX) {
        return address_refuse(address, "the host is too long", error);
    }
    if (host[length] == '\0' || host[length] == '/') {
        return address_refuse(address, "the port is missing", error);
    }
    if (host[length] != ':') {
        return address_refuse(address,
                              "a host has letters, digits, '-', '.' and '_'; IPv6 stands "
                              "in brackets",
                              error);
    }
    long port = port_parse(host + length + 1);
    if (port < 0) {
        return address_refuse(address, "the port is not a number from 1 to 65535", error);
    }
    snprintf(url, MQ_ADDRESS_BYTES_MAX, "http://%.*s:%ld", (int)length, host, port);
    return MYQUEUE_OK;
}
