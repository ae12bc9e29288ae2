/*
 * test_ports.c - of two runs that choose at once, only one gets a port.
 */
#include "harness/runtime/ports.h"

#include "common/tests/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
    return fd;
}

static void two_runs_get_different_ports(void)
{
    int first_held;
    int second_held;

    int first = ports_take(&first_held);
    int second = ports_take(&second_held);
    CU_ASSERT_TRUE(first > 0 && second > 0);
    CU_ASSERT_NOT_EQUAL(first, second);
    close(first_held);
    close(second_held);
}

static void what_is_given_back_can_be_taken(void)
{
    int held;

    int first = ports_take(&held);
    close(held);
    CU_ASSERT_EQUAL(ports_take(&held), first);
    close(held);
}

/* On any of a run's ports. */
static void who_listens_is_passed_over(void)
{
    for (int i = 0; i < RUNTIME_PORTS; i++) {
        int held;
        int port = ports_take(&held);
        close(held);
        int listener = listen_on(port + i * RUNTIME_PORTS_APART);
        CU_ASSERT_NOT_EQUAL(ports_take(&held), port);
        close(held);
        close(listener);
    }
}

SUITE("ports", {"two runs get different ports", two_runs_get_different_ports},
      {"what is given back can be taken", what_is_given_back_can_be_taken},
      {"who listens is passed over", who_listens_is_passed_over})
