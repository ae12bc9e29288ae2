/*
 * address.h - where a broker is. Threads: any.
 */
#ifndef MYQUEUE_SRC_ADDRESS_H
#define MYQUEUE_SRC_ADDRESS_H

#include <stddef.h>

#include "myqueue.h"

enum { MQ_ADDRESS_BYTES_MAX = 280 }; /* the longest host name and what stands around it */

/*
 * "HOST:PORT", "[IPV6]:PORT" or either with "http://" before and at most a "/" behind, to
 * "http://HOST:PORT" in `url` (MQ_ADDRESS_BYTES_MAX). MYQUEUE_BAD_ADDRESS with one line in
 * `error` (MYQUEUE_ERROR_BYTES) for anything else.
 */
enum myqueue_status mq_address_parse(const char *address, char *url, char *error);

#endif
