/*
 * check_plain_misrouted.c - what a system without offsets has under another topic.
 *
 * A message whose text was sent once only is under another topic if two consumers of that one got
 * it there, or its only one, and nobody got it where it was sent. Then it is a message of that
 * topic's log which nobody owes, and missing in its own. Else it is the consumer that was given it
 * under the wrong name, and if lines are alike nobody can say which of them came: check_strays.c
 * names what is certain of these.
 */
#include "harness/check/check_plain.h"

#include "harness/memory.h"

#include <inttypes.h>
#include <stdlib.h>

struct searching {
    struct checking *k;
    unsigned char *came; /* by text: somebody got it under its own topic */
    uint32_t *got;       /* by text: how many consumers of the topic in question got it */
    uint32_t *last;      /* by text: the last of them, counted from 1 */
    size_t *findings;    /* by text: 1 + the finding */
};

/* Of what a consumer got under a topic: the line of another one that it must be. */
static bool is_strange(const struct searching *s, const struct history_receive *r, size_t topic,
                       struct line_ref *line)
{
    return r->topic == topic && !sent_to(s->k, topic, r->message) &&
           sent_once(s->k, r->message, line) && fate_outcome(s->k, *line) != OUTCOME_FAIL;
}

static void came_collect(struct searching *s)
{
    struct checking *k = s->k;

    for (size_t c = 0; c < k->h->consumer_count; c++) {
        for (size_t i = 0; i < k->h->consumers[c].receives.count; i++) {
            const struct history_receive *r = &k->h->consumers[c].receives.items[i];
            size_t topic = topic_of(k, r->topic);
            s->came[r->message] |= topic != FINDING_TOPIC_NONE && sent_to(k, topic, r->message);
        }
    }
}

static void say_misrouted(struct searching *s, size_t topic, struct line_ref at)
{
    struct checking *k = s->k;
    uint32_t text = line_message(k, at);
    size_t finding =
        findings_get(&k->c->findings, FINDING_MISROUTED, SOURCE_HISTORY,
                     producer_name(k, at.producer).text, topic, FINDING_ROOT, EXCUSE_NONE);
    struct evidence *e = findings_count(&k->c->findings, finding);

    s->findings[text] = finding + 1;
    if (e != NULL) {
        e->line = line_number(k, at);
        e->text = text;
        e->time_ns = fate_acked_ns(k, at);
        evidence_say(e,
                     "line %" PRId64 " (%s) was sent to %s, where nobody got it; it came under %s",
                     e->line, shown_text(k, text).text, k->s->topics[line_topic(k, at)].name,
                     k->s->topics[topic].name);
    }
}

static void topic_search(struct searching *s, size_t topic)
{
    const struct scenario_topic *t = &s->k->s->topics[topic];
    uint32_t enough = t->consumer_count < 2 ? 1 : 2;
    struct line_ref line;

    for (size_t c = 0; c < t->consumer_count; c++) {
        const struct history_consumer *from = &s->k->h->consumers[t->consumers[c]];
        for (size_t i = 0; i < from->receives.count; i++) {
            const struct history_receive *r = &from->receives.items[i];
            if (!is_strange(s, r, topic, &line) || s->last[r->message] == c + 1) {
                continue;
            }
            s->last[r->message] = (uint32_t)c + 1;
            s->got[r->message]++;
            if (s->got[r->message] == enough && !s->came[r->message] &&
                s->findings[r->message] == 0) {
                say_misrouted(s, topic, line);
            }
        }
    }
}

/* For the next topic. */
static void topic_forget(struct searching *s, size_t topic)
{
    const struct scenario_topic *t = &s->k->s->topics[topic];

    for (size_t c = 0; c < t->consumer_count; c++) {
        const struct history_consumer *from = &s->k->h->consumers[t->consumers[c]];
        for (size_t i = 0; i < from->receives.count; i++) {
            s->got[from->receives.items[i].message] = 0;
            s->last[from->receives.items[i].message] = 0;
        }
    }
}

size_t *plain_misrouted(struct checking *k)
{
    size_t texts = k->h->texts.count;
    struct searching s = {.k = k,
                          .came = memory_zeroed(texts, 1),
                          .got = memory_zeroed(texts, sizeof *s.got),
                          .last = memory_zeroed(texts, sizeof *s.last),
                          .findings = memory_zeroed(texts, sizeof *s.findings)};

    came_collect(&s);
    for (size_t t = 0; t < k->s->topic_count; t++) {
        topic_search(&s, t);
        topic_forget(&s, t);
    }
    free(s.came);
    free(s.got);
    free(s.last);
    return s.findings;
}
