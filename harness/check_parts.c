/*
 * check_parts.c - small things that all parts of the check use.
 */
#include "harness/check_parts.h"

#include <inttypes.h>
#include <stdio.h>

bool topic_log_find(const struct topic_log *log, int64_t offset, size_t *index)
{
    if (offset >= 0 && (uint64_t)offset < log->count && log->items[offset].offset == offset) {
        *index = (size_t)offset; /* the usual case: offsets are dense from 0 */
        return true;
    }
    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low;
    return low < log->count && log->items[low].offset == offset;
}

size_t topic_of(const struct checking *k, uint32_t text)
{
    size_t topic;
    return intmap_get(&k->topics, text, &topic) ? topic : FINDING_TOPIC_NONE;
}

int64_t sent_key(size_t topic, uint32_t message)
{
    return (int64_t)((uint64_t)topic << 32 | message);
}

struct process_name process_name(const char *prefix, int64_t id)
{
    struct process_name name;
    snprintf(name.text, sizeof name.text, "%s%" PRId64, prefix, id);
    return name;
}

struct shown_text shown_text(const struct checking *k, uint32_t text)
{
    struct shown_text shown;
    struct slice s = texts_get(&k->h->texts, text);
    size_t most = sizeof shown.text - sizeof "''…";
    size_t size = s.size;

    if (size > most) {
        size = most;
        while (size > 0 && ((unsigned char)s.data[size] & 0xC0) == 0x80) {
            size--; /* do not cut within a character */
        }
    }
    snprintf(shown.text, sizeof shown.text, "'%.*s%s'", (int)size, s.data,
             size < s.size ? "…" : "");
    return shown;
}

struct process_name producer_name(const struct checking *k, size_t producer)
{
    return process_name("P", k->s->producers[producer].id);
}

bool maybe_executed(const struct line_fate *fate)
{
    return fate->sent && fate->offset == OFFSET_NONE &&
           (fate->outcome == OUTCOME_OPEN || fate->outcome == OUTCOME_INFO);
}
