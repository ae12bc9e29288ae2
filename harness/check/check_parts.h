/*
 * check_parts.h - what the parts of the check share. Nobody but harness/check/ needs it.
 *
 * The parts run in this order, each reading what those before it made:
 *
 *   check_fates.c      fates            what the producers recorded of every line
 *   check_forgotten.c  forgotten        what the broker no longer knew, and since when
 *   check_progress.c   stuck            who did not get on, after a fault or without any
 *   check_log.c        logs             which message is at which offset
 *   check_batches.c                     what a request brought: stored whole, in one piece?
 *   check_plain.c      logs             the same without offsets, from what was delivered, and
 *                                       by check_plain_order.c the order of what was sent, by
 *                                       check_plain_misrouted.c what is under another topic
 *   check_known.c      logs             since when each message was known to be there
 *   check_fates.c      the lines again: what is still owed
 *   check_streams.c    streams          what every consumer got, beside the logs
 *   check_positions.c  positions        where the broker had a consumer after a restart
 *   check_time.c       what must come after what, by the clock: order, empty answers
 *   check_streams.c    deliveries       by check_strays.c, which names what is wrong
 *   check_time.c       sizes
 *   check_faults.c     faults
 *   check_roots.c      findings         what one restart did is one
 *   check_sentence.c   the verdict in words
 *
 * A run can hold ten million sends and thirty million receives: what is kept for each of them
 * is small, and indices of sends, lines, entries and items have 32 bits.
 */
#ifndef HARNESS_CHECK_PARTS_H
#define HARNESS_CHECK_PARTS_H

#include "harness/check/check.h"
#include "harness/intmap.h"

struct process_name {
    char text[24];
};

#define SENDS_MAX ((UINT32_C(1) << 30) - 1) /* of a producer */
#define SEND_NONE SENDS_MAX

/* What became of one line of a log file. */
struct line_fate {
    int64_t offset;      /* acknowledged, or found in the store; OFFSET_NONE */
    uint32_t first : 30; /* the first send of it, an index into the producer's sends; SEND_NONE */
    bool guessed : 1;    /* its offset may be that of a line that is alike: says nothing of order */
    bool refused : 1;    /* once, at least */
    uint32_t best : 30;  /* the send that tells its outcome */
    bool unplaced : 1;   /* acknowledged at an offset that the store gives to another message */
    bool displaced : 1;  /* not where its producer's order wants it */
};

/* A line of a log file, by indices. */
struct line_ref {
    uint32_t producer;
    uint32_t line;
};

enum {
    ENTRY_ROW = 1,        /* the store has it, or its rows were not read */
    ENTRY_EXTRA = 2,      /* a copy, or sent by nobody: no consumer has to get it */
    ENTRY_ACCUSED = 4,    /* topic_log.accused has a finding at its offset */
    ENTRY_GUESSED = 8,    /* nobody got it and there are no offsets: it lies here or before */
    ENTRY_MISROUTED = 16, /* sent to another topic: it is an extra here */
};

#define PRODUCER_NOBODY UINT16_MAX

/* A message at its place in the log. */
struct log_entry {
    int64_t offset;
    uint32_t message;
    uint32_t line;     /* index into the producer's lines */
    uint16_t producer; /* index into scenario.producers, or PRODUCER_NOBODY */
    uint8_t flags;
};

/* A growing list, see MEMORY_PUSH(). */
#define CHECK_LIST_TYPE(name, type)                                                                \
    struct name {                                                                                  \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    };

/* What was found at an offset: deliveries of it that are not right follow from that. */
struct accused {
    int64_t offset;
    size_t finding;
};

CHECK_LIST_TYPE(accused_list, struct accused)

/* One topic's messages by ascending offset. */
struct topic_log {
    struct log_entry *items;
    size_t count;
    size_t capacity;
    int64_t *known_ns;           /* by entry: acknowledged, or received by anybody; TIME_NONE */
    size_t owed;                 /* without ENTRY_EXTRA */
    struct accused_list accused; /* by offset, once the log is made */
};

/* A time from which on the broker may have forgotten what it does not claim to keep. */
struct restart {
    int64_t fault;      /* its number */
    int64_t hit_ns;     /* it was certainly dead */
    int64_t restart_ns; /* it was started again */
    bool of_broker;     /* else what it keeps its messages in was, or another took its place */
};

/* A topic, or a client of it, that the broker no longer knew. */
struct forgotten {
    size_t topic;
    char process[24]; /* "": the topic itself */
    int64_t since_ns; /* the first request that was told so began */
    size_t finding;   /* the root */
};

/* A consumer was told that there is no message although one was. */
struct false_empty {
    size_t consumer;
    size_t topic;
    int64_t time_ns;
    size_t finding;
};

/* What a request brought is stored in part, or with others between. */
struct torn_batch {
    int64_t producer_id; /* the broker's */
    int64_t sequence;    /* of the first message */
    uint32_t count;
    size_t finding;
};

CHECK_LIST_TYPE(torn_list, struct torn_batch)

/*
 * Where a consumer without offsets went on after a restart, and whether it is where it had been.
 *
 * back            how many messages lie between where it was and where it went on, if that is
 *                 before: its receipts [copy, end) say what it was given from `first` on
 * behind, before  its last receipt before the restart and its first after it, counted from 1 as in
 *                 struct stray
 */
struct moved {
    size_t consumer;
    size_t topic;
    size_t restart;  /* index into checking.restarts */
    int64_t back;    /* 0: it did not go back */
    bool told_apart; /* chance does not make what it was given again */
    bool forward;    /* it went forward */
    size_t first;
    size_t copy;
    size_t end;
    int64_t behind;
    int64_t before;
    size_t finding; /* FINDING_ROOT: nothing shows that it went anywhere */
};

CHECK_LIST_TYPE(moved_list, struct moved)

/* A client that tried a topic for longer than it should have to. */
struct stuck {
    struct process_name client;
    size_t topic;
    size_t fault; /* the one that it did not get over, an index into history.faults; SIZE_MAX */
    bool in_vain; /* nothing succeeded before the next fault, or the end */
    int64_t begin_ns;
    int64_t tried_ns;
    int64_t refused; /* requests */
    int64_t unanswered;
    uint32_t code; /* of the last that was refused, or TEXT_NONE */
    size_t finding;
};

CHECK_LIST_TYPE(stuck_list, struct stuck)
CHECK_LIST_TYPE(restart_list, struct restart)
CHECK_LIST_TYPE(forgotten_list, struct forgotten)
CHECK_LIST_TYPE(false_empty_list, struct false_empty)

struct checking {
    const struct scenario *s;
    struct history *h;
    struct check *c;
    struct line_fate **fates;     /* by producer, then line; as in the scenario */
    int64_t *acknowledged;        /* by producer: lines */
    struct topic_log *logs;       /* by topic, as in the scenario */
    struct restart_list restarts; /* in order */
    struct forgotten_list forgotten;
    struct moved_list moved;
    struct stream *streams; /* by consumer, as in the scenario */
    struct stuck_list stuck;
    struct false_empty_list false_empties;
    struct torn_list torn;
    unsigned char *sent; /* by topic, then text: was it sent there? NULL until asked for */
    size_t sent_stride;
    struct line_ref *once; /* by text: the line that alone has it; NULL until asked for */
    size_t ended_early;    /* the finding that the run was given up, or why; FINDING_ROOT */
    /* No rows were read, and some sends may have been executed: what is at an offset that
     * nobody was acknowledged may be theirs, so it is held against nobody. */
    bool vague;
    bool plain; /* there are no offsets: the order of a topic is what consumers saw */
};

/* ---- streams: what a consumer got, by its history or by its file ------------------- */

#define ENTRY_NONE UINT32_MAX

/* One message of a stream. */
struct stream_item {
    size_t topic; /* index into scenario.topics; FINDING_TOPIC_NONE: not one it reads */
    uint32_t topic_text;
    uint32_t message;
    int64_t offset;  /* OFFSET_NONE in a file */
    int64_t line;    /* of consumer_N.txt */
    int64_t time_ns; /* TIME_NONE in a file */
    uint32_t entry;  /* index into the topic's log where it belongs, or ENTRY_NONE */
};

/*
 * What did not find its partner when a stream was laid beside the logs: a gap is an entry
 * that no item is, an extra is an item that no entry is.
 *
 * low, high   gap: it belongs behind item `low` and before item `high` (counted from 1; 0
 *             and INT64_MAX: none). Extra: it may just as well be any of the items from
 *             `low` to `high`, as they are alike.
 */
struct stray {
    bool is_gap;
    bool taken;  /* named */
    bool passed; /* gap: a later one was received, in its place or not */
    size_t topic;
    uint32_t message;
    uint32_t index; /* gap: of the entry in the topic's log; extra: of the item */
    int64_t key;    /* must be the same to belong together: the offset; 0 without offsets */
    int64_t low;
    int64_t high;
};

CHECK_LIST_TYPE(strays, struct stray)

/* A seek after which the consumer went on as before, at this entry. */
struct ignored_seek {
    const struct history_seek *seek;
    uint32_t got;
};

struct stream {
    size_t consumer; /* index into scenario.consumers */
    enum finding_source source;
    bool by_text; /* there are no offsets to go by */
    const struct history_consumer *from;
    size_t count;
    uint32_t *entries; /* by item: where it belongs */
    struct strays strays;
    HISTORY_LIST(struct ignored_seek) ignored;
    struct check_delivery *cells; /* by topic; counted here */
    unsigned char *reads;         /* by topic: 1 if the consumer reads it */
    unsigned char **received;     /* by topic, then entry: 1 if it has its item */
};

struct stream_item stream_item(const struct checking *k, const struct stream *stream, size_t at);

/* Name every stray: count it in its cell and add it to the findings. `history` is the
 * consumer's other stream when this one is its file and the history is not empty. */
void check_strays(struct checking *k, struct stream *stream, const struct stream *history);

/* When the consumer last asked for each topic and was told that there is nothing; free() it. */
int64_t *check_empty_times(const struct checking *k, size_t consumer);

/* Name what a history has before it was sent (check_known.c). */
void check_too_soon(struct checking *k, struct stream *stream);

/* Was the consumer to get this entry: did it read past it, or was it told after its
 * acknowledgement that there is nothing more? NULL: not that anybody saw. */
const char *check_proof_of_loss(const struct checking *k, const struct stray *gap,
                                const int64_t *empty_ns);

/* A consume without an answer, while the message was to come: it may have been in the answer.
 * Each explains one message: `used`, a byte for each of the consumer's requests, remembers. */
bool check_lost_reply(const struct checking *k, const struct stream *stream,
                      const struct stray *gap, unsigned char *used);

/* Look where the consumers of a topic went on after restarts; `lines_of` says how often each text
 * was sent there. For check_plain(). */
void check_moves(struct checking *k, size_t topic, const uint32_t *lines_of);

/* The finding that the consumer's position was moved which explains what it was given again or not
 * at all; the last one on a topic before a moment. FINDING_ROOT: none. */
size_t moved_cause(const struct checking *k, size_t consumer, const struct stray *stray);
size_t moved_before(const struct checking *k, size_t consumer, size_t topic, int64_t time_ns);

/* A size showed that a consumer's position was moved by a restart: by `more` messages too many are
 * left, or, if it is negative, too few. The finding. */
size_t moved_show(struct checking *k, size_t consumer, size_t topic, size_t restart, int64_t more);

/* ---- the parts -------------------------------------------------------------------- */

void check_fates(struct checking *k);
void check_forgotten(struct checking *k);
void check_progress(struct checking *k);
void check_log(struct checking *k);
void check_batches(struct checking *k); /* by check_log(), once the rows are in order */
void check_plain(struct checking *k);
void check_known(struct checking *k);
void check_debts(struct checking *k);
void check_streams(struct checking *k);
void check_positions(struct checking *k);
void check_time(struct checking *k);
void check_deliveries(struct checking *k);
void check_sizes(struct checking *k);
void check_faults(struct checking *k);
void check_roots(struct checking *k);
void check_sentence(struct checking *k);

/* ---- what they ask each other ------------------------------------------------------ */

/* The index of a topic's entry with this offset; false when there is none. */
bool topic_log_find(const struct topic_log *log, int64_t offset, size_t *index);

/* The finding that explains what was delivered of an offset, or FINDING_ROOT. */
size_t topic_log_cause(const struct topic_log *log, int64_t offset);

/* How many of a topic's messages are under another one; `*cause` is the finding of that, or of
 * others' messages under this one, or FINDING_ROOT. */
size_t topic_log_misrouted(const struct checking *k, size_t topic, size_t *cause);

/* Note a finding at an offset. */
void topic_log_accuse(struct topic_log *log, int64_t offset, size_t finding);

/* Sort what was noted, mark its entries and count what is owed: the log is made. */
void topic_log_close(struct topic_log *log);

/* The scenario's topic that a text names, or FINDING_TOPIC_NONE. */
size_t topic_of(const struct checking *k, uint32_t text);

/* Is there a line with this message for the topic; for any topic? */
bool sent_to(struct checking *k, size_t topic, uint32_t message);
bool sent_anywhere(struct checking *k, uint32_t message);

/* The line that has this message, if there is one only, to any topic, and it may have been sent. */
bool sent_once(struct checking *k, uint32_t message, struct line_ref *out);

/* "P1", "C2", "fault 3" */
struct process_name process_name(const char *prefix, int64_t id);
struct process_name producer_name(const struct checking *k, size_t producer);
struct process_name consumer_name(const struct checking *k, size_t consumer);

/* A line's message; its topic; the number of the line in its file. */
uint32_t line_message(const struct checking *k, struct line_ref at);
size_t line_topic(const struct checking *k, struct line_ref at);
int64_t line_number(const struct checking *k, struct line_ref at);

/* What lies before this offset has been removed by the log's limits; 0: nothing. */
int64_t log_removed(const struct history *h, size_t topic);

struct line_fate *line_fate(const struct checking *k, struct line_ref at);
enum outcome fate_outcome(const struct checking *k, struct line_ref at);
uint32_t fate_code(const struct checking *k, struct line_ref at);
int64_t fate_begin_ns(const struct checking *k, struct line_ref at); /* TIME_NONE: never sent */
int64_t fate_acked_ns(const struct checking *k, struct line_ref at); /* TIME_NONE: never */

/* It was sent, or its producer left no history, so that nobody knows. */
bool maybe_sent(const struct checking *k, struct line_ref at);

/* Its outcome is not known, or its place was not said, and it was not found in the store (yet). */
bool maybe_executed(const struct checking *k, struct line_ref at);

/* The same of an entry; TIME_NONE for one that nobody sent. */
int64_t entry_begin_ns(const struct checking *k, const struct log_entry *entry);
int64_t entry_acked_ns(const struct checking *k, const struct log_entry *entry);

/* Was the broker started again at or after a moment? */
bool restarted_after(const struct checking *k, int64_t time_ns);
bool restarted_before(const struct checking *k, int64_t time_ns);

/* The restarts of which each can have come between two moments: it was up again not before the one,
 * and dead not after the other. INT64_MAX: nobody knows. */
struct restart_span restarts_between(const struct checking *k, int64_t from_ns, int64_t to_ns);

/* A message that was acknowledged then (TIME_NONE: never) need not be there now, nor be given to a
 * consumer. */
enum excuse loss_excused(const struct checking *k, int64_t acked_ns);

/* The same of an entry. */
enum excuse entry_loss_excused(const struct checking *k, const struct log_entry *entry);

/* What follows from the broker's having forgotten a topic, or this process' id there (NULL:
 * the topic only) after `time_ns`: the finding, or FINDING_ROOT. */
size_t forgotten_cause(const struct checking *k, size_t topic, const char *process,
                       int64_t time_ns);

/* The finding about the batch that a row belongs to, or FINDING_ROOT. */
size_t torn_cause(const struct checking *k, const struct history_row *row);

/* The finding that this client did not get on with the topic, or FINDING_ROOT. */
size_t progress_cause(const struct checking *k, size_t topic, const char *process);

/* A message for a sentence: in quotes, cut when it is long. */
struct shown_text {
    char text[72];
};
struct shown_text shown_text(const struct checking *k, uint32_t text);

#endif
