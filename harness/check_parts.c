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

/* Control characters are written out: a message must not be able to steer a terminal. */
struct shown_text shown_text(const struct checking *k, uint32_t text)
{
    static const char ending[] = "…'";
    struct shown_text shown = {"'"};
    struct slice s = texts_get(&k->h->texts, text);
    size_t used = 1;

    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool begins = (c & 0xC0) != 0x80; /* a character; never cut within one */
        if (begins && used + 4 + sizeof ending > sizeof shown.text) {
            snprintf(shown.text + used, sizeof ending, "%s", ending);
            return shown;
        }
        if (c < 0x20 || c == 0x7F) {
            used += (size_t)snprintf(shown.text + used, 5, "\\x%02X", c);
        } else {
            shown.text[used++] = (char)c;
        }
    }
    shown.text[used] = '\'';
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
