/*
 * ports.h - the ports of a run, which no other run takes.
 *
 * A run needs RUNTIME_PORTS of them, RUNTIME_PORTS_APART from each other. They lie below the
 * ports that Linux gives to outgoing connections (32768 and up): from those, a client that
 * connects to a broker that is down can be given that very port, connect to itself, and keep
 * the broker from coming back.
 *
 * Always: who has taken ports holds a Unix socket in the abstract namespace that is named after
 * them. So of two runs that choose at once only one gets them, also while nobody listens there,
 * and the kernel gives them back however the run ends.
 *
 * Threads: any.
 */
#ifndef HARNESS_PORTS_H
#define HARNESS_PORTS_H

#define RUNTIME_PORTS_APART 4000
#define RUNTIME_PORTS 3

/*
 * Take ports on 127.0.0.1 that nobody listens on and no other run has taken.
 *
 * held   gets the socket that holds them: close() gives them back
 *
 * Returns the first of them, or -1 when there are none.
 */
int ports_take(int *held);

#endif
