/*
 * watch.h - what the clients have done so far, counted from their growing histories.
 *
 * The clients write one JSON object a line with a single write, and always in the same
 * form ("op":"send" … "type":"ok", no spaces between). A message's text cannot look like
 * that: its quotes are escaped. So a line is counted without being parsed, which keeps
 * the harness within a fraction of a millisecond of the run.
 *
 * Threads: one.
 */
#ifndef HARNESS_WATCH_H
#define HARNESS_WATCH_H

#include "common/buffer.h"
#include "harness/run/control.h"

#include <stddef.h>
#include <stdint.h>

struct watch_counts {
    int64_t registered;   /* topics */
    int64_t acknowledged; /* sends */
    int64_t received;     /* messages */
    int64_t open;         /* HTTP requests that have begun and not ended, in its latest life */
    int64_t lives;        /* that have begun */
};

struct watch; /* one client's history */

/* Count the whole lines of `partial`, and leave the unfinished one in it. */
void watch_count(struct watch_counts *counts, struct buffer *partial);

/*
 * Watch the history at `path`, which need not exist yet; its folder must.
 * `c` is woken when anything in that folder grows.
 * false: see control_fail().
 */
bool watch_open(struct watch **out, struct control *c, const char *path);
void watch_close(struct watch *w); /* NULL is fine */

/* Read what is new. The counts are those of the whole file so far. */
const struct watch_counts *watch_read(struct watch *w);

#endif
