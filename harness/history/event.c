/*
 * event.c - the usual line in one pass.
 *
 * Lines of one kind have their members in the same order, so the members are looked for from
 * where the last one was found.
 */
#include "harness/history/event.h"

#include <math.h>
#include <string.h>

#define DIGITS_MAX 18 /* that many fit into an int64_t whatever they are */
#define EXACT_MAX 9e18

static const struct {
    const char *name;
    size_t size;
} members[] = {
#define EVENT_ROW(member, name) [member] = {name, sizeof name - 1},
    EVENT_MEMBERS(EVENT_ROW)
#undef EVENT_ROW
};

/* Where it reads; the line ends at `end`. */
struct scan {
    const char *p;
    const char *end;
};

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c) {
        return false;
    }
    s->p++;
    return true;
}

/* PostgreSQL writes spaces around colons and behind commas. */
static bool take_spaced(struct scan *s, char c)
{
    while (s->p < s->end && *s->p == ' ') {
        s->p++;
    }
    bool taken = take(s, c);
    while (s->p < s->end && *s->p == ' ') {
        s->p++;
    }
    return taken;
}

/* ASCII that stands for itself, with its quotes. */
static bool take_string(struct scan *s, struct slice *out)
{
    if (!take(s, '"')) {
        return false;
    }
    const char *from = s->p;
    while (s->p < s->end && (unsigned char)*s->p >= 0x20 && (unsigned char)*s->p < 0x80 &&
           *s->p != '"' && *s->p != '\\') {
        s->p++;
    }
    *out = (struct slice){from, (size_t)(s->p - from)};
    return take(s, '"');
}

static bool take_number(struct scan *s, int64_t *out)
{
    bool negative = take(s, '-');
    const char *from = s->p;
    int64_t value = 0;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - from < DIGITS_MAX) {
        value = value * 10 + (*s->p++ - '0');
    }
    *out = negative ? -value : value;
    return s->p > from && s->p < s->end && (*s->p == ',' || *s->p == '}' || *s->p == ' ');
}

/* The member's number, looked for from `at` on; EVENT_MEMBER_COUNT: one to be passed over. */
static size_t member_of(struct slice name, size_t at)
{
    for (size_t i = 0; i < EVENT_MEMBER_COUNT; i++) {
        size_t member = (at + i) % EVENT_MEMBER_COUNT;
        if (members[member].size == name.size &&
            memcmp(members[member].name, name.data, name.size) == 0) {
            return member;
        }
    }
    return EVENT_MEMBER_COUNT;
}

static bool take_member(struct scan *s, struct event *e, size_t *at)
{
    struct slice name;
    struct slice string;
    int64_t number;

    if (!take_string(s, &name) || !take_spaced(s, ':')) {
        return false;
    }
    size_t member = member_of(name, *at);
    bool is_string = s->p < s->end && *s->p == '"';
    if (is_string ? !take_string(s, &string) : !take_number(s, &number)) {
        return false;
    }
    if (member == EVENT_MEMBER_COUNT) {
        return true;
    }
    uint32_t bit = UINT32_C(1) << member;
    *at = member + 1;
    if ((e->has_string | e->has_number) & bit) {
        return true; /* of members with the same name the first counts */
    }
    if (is_string) {
        e->has_string |= bit;
        e->strings[member] = string;
    } else {
        e->has_number |= bit;
        e->numbers[member] = number;
    }
    return true;
}

bool event_scan(struct event *e, struct slice line)
{
    struct scan s = {line.data, line.data + line.size};
    size_t at = 0;

    e->has_number = 0;
    e->has_string = 0;
    e->object = NULL;
    if (!take(&s, '{')) {
        return false;
    }
    do {
        if (!take_member(&s, e, &at)) {
            return false;
        }
    } while (take_spaced(&s, ','));
    return take(&s, '}') && s.p == s.end;
}

void event_of_json(struct event *e, const struct json_value *object)
{
    e->has_number = 0;
    e->has_string = 0;
    e->object = object;
    for (size_t i = 0; i < EVENT_MEMBER_COUNT; i++) {
        const struct json_value *value = json_get(object, members[i].name);
        double number;
        if (json_string(value, &e->strings[i])) {
            e->has_string |= UINT32_C(1) << i;
        } else if (json_int(value, &e->numbers[i])) {
            e->has_number |= UINT32_C(1) << i;
        } else if (json_double(value, &number) && number == floor(number) &&
                   fabs(number) < EXACT_MAX) {
            /* Nanoseconds beyond 2^53: a machine that is up for more than 104 days. */
            e->numbers[i] = (int64_t)number;
            e->has_number |= UINT32_C(1) << i;
        }
    }
}

bool event_number(const struct event *e, enum event_member member, int64_t *out)
{
    if ((e->has_number >> member & 1) == 0) {
        return false;
    }
    *out = e->numbers[member];
    return true;
}

bool event_has_string(const struct event *e, enum event_member member)
{
    return (e->has_string >> member & 1) != 0;
}

struct slice event_string(const struct event *e, enum event_member member)
{
    return event_has_string(e, member) ? e->strings[member] : (struct slice){"", 0};
}

bool event_is(const struct event *e, enum event_member member, const char *value)
{
    return event_has_string(e, member) && slice_equals(e->strings[member], slice_of(value));
}
