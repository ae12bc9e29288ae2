/*
 * fault_kind.c - the table of kinds, and its notation in both directions.
 *
 * A form is matched word by word; what it has in capitals is a field of the fault.
 */
#include "harness/faults/fault_kind.h"

#include "harness/scenario/tokens.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ACKS_MAX INT64_C(1000000000000)
#define MOMENT_MS_MAX 86400000
#define HOLD_MS_MAX 600000
#define ID_MAX 1000000000
#define PASS_MAX 1000000
#define SEED_MAX INT64_C(1000000000000000)
#define SECONDS_MAX 315360000 /* ten years */

#define DIGITS_OF(number) #number
#define DIGITS(number) DIGITS_OF(number)

#define BROKER (1U << TARGET_BROKER)
#define POSTGRES (1U << TARGET_POSTGRES)
#define STORE (1U << TARGET_STORE)
#define PRODUCER (1U << TARGET_PRODUCER)
#define CONSUMER (1U << TARGET_CONSUMER)
#define LINKS (1U << TARGET_CLIENT_LINK | 1U << TARGET_STORE_LINK)

#define IN_BETWEEN "only local processes are reached through the proxy"
#define IN_FLIGHT "requests in flight"
#define UNSYNCED "unsynced bytes and names"

/* clang-format off */
static const struct fault_kind kinds[FAULT_ACTIONS] = {
    [FAULT_KILL] = {
        .name = "kill", .form = "kill TARGET, restart after MS ms", .targets = BROKER | POSTGRES | STORE,
        .shape = SHAPE_DOWN, .freezes = true, .stores = ON_ANY_STORE, .unit = IN_FLIGHT, .ops = &fault_kill_ops},
    [FAULT_TERM] = {
        .name = "term", .form = "term broker, restart after MS ms", .targets = BROKER,
        .shape = SHAPE_DOWN, .freezes = true, .stores = ON_ANY_STORE, .unit = IN_FLIGHT, .ops = &fault_term_ops},
    [FAULT_STOP] = {
        .name = "stop", .form = "stop postgres, restart after MS ms", .targets = POSTGRES,
        .shape = SHAPE_DOWN, .stores = ON_POSTGRES, .unit = IN_FLIGHT, .ops = &fault_stop_ops},
    [FAULT_PAUSE] = {
        .name = "pause", .form = "pause TARGET for MS ms", .targets = BROKER | POSTGRES | STORE,
        .shape = SHAPE_WINDOW, .freezes = true, .stores = ON_ANY_STORE, .unit = IN_FLIGHT, .ops = &fault_pause_ops},
    [FAULT_REPLACE] = {
        .name = "replace", .form = "replace broker for MS ms", .targets = BROKER,
        .shape = SHAPE_WINDOW, .freezes = true, .stores = ON_POSTGRES, .runtime = "process", .why = IN_BETWEEN,
        .unit = IN_FLIGHT, .ops = &fault_replace_ops},
    [FAULT_CRASH] = {
        .name = "crash", .form = "crash broker at STEP hit PASS, restart after MS ms", .targets = BROKER,
        .shape = SHAPE_DOWN, .from_start = true, .stores = ON_ANY_STORE,
        .runtime = "process", .why = "a container's environment cannot be changed", .unit = "crashes",
        .ops = &fault_crash_ops},
    [FAULT_TERMINATE] = {
        .name = "terminate", .form = "terminate backends", .targets = POSTGRES,
        .shape = SHAPE_MOMENT, .stores = ON_POSTGRES, .unit = "sessions ended", .ops = &fault_terminate_ops},
    [FAULT_EXHAUST] = {
        .name = "exhaust", .form = "exhaust connections for MS ms", .targets = POSTGRES,
        .shape = SHAPE_WINDOW, .stores = ON_POSTGRES, .unit = "connections refused", .ops = &fault_exhaust_ops},
    [FAULT_LOCK] = {
        .name = "lock", .form = "lock counters for MS ms", .targets = POSTGRES,
        .shape = SHAPE_WINDOW, .stores = ON_POSTGRES, .unit = "sessions waiting for the lock", .ops = &fault_lock_ops},
    [FAULT_HOLD] = {
        .name = "hold", .form = "hold transaction for MS ms", .targets = POSTGRES,
        .shape = SHAPE_WINDOW, .stores = ON_POSTGRES, .unit = "messages committed beside it", .ops = &fault_hold_ops},
    [FAULT_FILL] = {
        .name = "fill", .form = "fill disk for MS ms", .targets = STORE,
        .shape = SHAPE_WINDOW, .freezes = true, .stores = ON_POSTGRES | ON_SQLITE,
        .runtime = "process", .why = "a container's volume has no size", .unit = "refused writes",
        .ops = &fault_fill_ops},
    [FAULT_POWER_CUT] = {
        .name = "power-cut", .form = "power-cut store, restart after MS ms", .targets = STORE,
        .shape = SHAPE_DOWN, .freezes = true, .stores = ON_POSTGRES | ON_SQLITE,
        .runtime = "process", .why = "a container's environment cannot be changed", .unit = UNSYNCED,
        .ops = &fault_power_ops},
    [FAULT_POWER_TEAR] = {
        .name = "power-cut", .form = "power-cut store torn by SEED, restart after MS ms", .targets = STORE,
        .shape = SHAPE_DOWN, .freezes = true, .stores = ON_POSTGRES | ON_SQLITE,
        .runtime = "process", .why = "a container's environment cannot be changed", .unit = UNSYNCED,
        .ops = &fault_power_ops},
    [FAULT_KILL_PRODUCER] = {
        .name = "kill", .form = "kill producer ID, restart after MS ms", .targets = PRODUCER,
        .shape = SHAPE_DOWN, .stores = ON_ANY_STORE, .unit = IN_FLIGHT, .ops = &fault_client_ops},
    [FAULT_KILL_CONSUMER] = {
        .name = "kill", .form = "kill consumer ID, restart after MS ms", .targets = CONSUMER,
        .shape = SHAPE_DOWN, .stores = ON_ANY_STORE, .unit = IN_FLIGHT, .ops = &fault_client_ops},
    [FAULT_LOSE_REPLY] = {
        .name = "lose-reply", .form = "lose-reply TARGET for MS ms", .targets = LINKS,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE, .runtime = "process", .why = IN_BETWEEN,
        .unit = "replies lost", .ops = &fault_network_ops},
    [FAULT_DELAY] = {
        .name = "delay", .form = "delay TARGET for MS ms", .targets = LINKS,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE, .runtime = "process", .why = IN_BETWEEN,
        .unit = "bytes delayed", .ops = &fault_network_ops},
    [FAULT_TRICKLE] = {
        .name = "trickle", .form = "trickle TARGET for MS ms", .targets = LINKS,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE, .runtime = "process", .why = IN_BETWEEN,
        .unit = "bytes trickled", .ops = &fault_network_ops},
    [FAULT_CUT] = {
        .name = "cut", .form = "cut TARGET for MS ms", .targets = LINKS,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE, .runtime = "process", .why = IN_BETWEEN,
        .unit = "connections cut", .ops = &fault_network_ops},
    [FAULT_HALF_OPEN] = {
        .name = "half-open", .form = "half-open TARGET for MS ms", .targets = LINKS,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE, .runtime = "process", .why = IN_BETWEEN,
        .unit = "bytes swallowed", .ops = &fault_network_ops},
    [FAULT_RESET] = {
        .name = "reset", .form = "reset TARGET for MS ms", .targets = LINKS,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE, .runtime = "process", .why = IN_BETWEEN,
        .unit = "connections reset", .ops = &fault_network_ops},
    [FAULT_DISCONNECT] = {
        .name = "disconnect", .form = "disconnect TARGET for MS ms", .targets = BROKER | POSTGRES | STORE,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE,
        .runtime = "docker", .why = "local processes have no network of their own", .unit = IN_FLIGHT, .ops = &fault_disconnect_ops},
    [FAULT_STEP_CLOCK] = {
        .name = "step", .form = "step clock by SECONDS s for MS ms", .targets = BROKER,
        .shape = SHAPE_WINDOW, .stores = ON_ANY_STORE,
        .runtime = "process", .why = "containers share the machine's clock",
        .unit = "seconds the broker's clock moved", .ops = &fault_step_clock_ops},
};
/* clang-format on */

static const char *const target_names[FAULT_TARGETS] = {
    [TARGET_BROKER] = "broker",     [TARGET_POSTGRES] = "postgres",
    [TARGET_STORE] = "store",       [TARGET_PRODUCER] = "producer",
    [TARGET_CONSUMER] = "consumer", [TARGET_CLIENT_LINK] = "clients",
    [TARGET_STORE_LINK] = "store",
};

const struct fault_kind *fault_kind(enum fault_action action)
{
    return &kinds[action];
}

const char *fault_action_name(enum fault_action action)
{
    return kinds[action].name;
}

const char *fault_target_name(enum fault_target target)
{
    return target_names[target];
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The first word of a fault that its form has not. */
struct wrong {
    struct slice word;     /* NULL: not found; empty: the text ends too early */
    struct slice expected; /* a word or a field of the form; empty: the fault has its end there */
    const char *words;     /* NULL, or what it should be, in words */
};

static enum fault_target target_first(unsigned targets)
{
    int target = 0;

    while ((targets & 1U << target) == 0) {
        target++;
    }
    return (enum fault_target)target;
}

static bool target_read(struct slice word, unsigned targets, enum fault_target *out)
{
    for (int target = 0; target < FAULT_TARGETS; target++) {
        if ((targets & 1U << target) != 0 && slice_equals(word, slice_of(target_names[target]))) {
            *out = (enum fault_target)target;
            return true;
        }
    }
    return false;
}

/* A step's name: "commit.sent". */
static bool step_read(struct slice word, char step[FAULT_STEP_BYTES_MAX + 1])
{
    if (word.size == 0 || word.size > FAULT_STEP_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        char c = word.data[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_') {
            return false;
        }
    }
    memcpy(step, word.data, word.size);
    step[word.size] = '\0';
    return true;
}

static bool seconds_read(struct slice word, int64_t *out)
{
    bool back = word.size > 0 && word.data[0] == '-';
    struct slice digits = {word.data + back, word.size - back};

    if (!token_number(digits, SECONDS_MAX, out) || *out == 0) {
        return false;
    }
    *out = back ? -*out : *out;
    return true;
}

static bool field_read(struct slice name, struct slice word, unsigned targets,
                       struct scenario_fault *out)
{
    if (slice_equals(name, slice_of("TARGET"))) {
        return target_read(word, targets, &out->target);
    }
    if (slice_equals(name, slice_of("MS"))) {
        return token_number(word, HOLD_MS_MAX, &out->hold_ms);
    }
    if (slice_equals(name, slice_of("ID"))) {
        return token_number(word, ID_MAX, &out->client) && out->client > 0;
    }
    if (slice_equals(name, slice_of("PASS"))) {
        return token_number(word, PASS_MAX, &out->pass) && out->pass > 0;
    }
    if (slice_equals(name, slice_of("SEED"))) {
        return token_number(word, SEED_MAX, &out->seed) && out->seed > 0;
    }
    if (slice_equals(name, slice_of("SECONDS"))) {
        return seconds_read(word, &out->seconds);
    }
    assert(slice_equals(name, slice_of("STEP")));
    return step_read(word, out->step);
}

static bool is_field(struct slice word)
{
    return word.size > 1 && word.data[0] >= 'A' && word.data[0] <= 'Z';
}

/* What a field may be, for who wrote something else. */
static const char *field_words(struct slice name)
{
    static const struct {
        const char *name;
        const char *words;
    } fields[] = {
        {"MS", "0 to " DIGITS(HOLD_MS_MAX)},
        {"ID", "1 to " DIGITS(ID_MAX)},
        {"PASS", "1 to " DIGITS(PASS_MAX)},
        {"SEED", "1 to 1000000000000000"},
        {"SECONDS", "a number of seconds, not 0, " DIGITS(SECONDS_MAX) " at most, or with a '-'"},
        {"STEP", "a step like commit.sent"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (slice_equals(name, slice_of(fields[i].name))) {
            return fields[i].words;
        }
    }
    return "one of those"; /* TARGET: the form names them */
}

/* Take the comma off a word's end. */
static bool comma_take(struct slice *word)
{
    bool has = word->size > 0 && word->data[word->size - 1] == ',';

    word->size -= has;
    return has;
}

/* Note that `word` is wrong, unless a later word of the text was in another form. */
static void wrong_note(struct wrong *wrong, struct slice word, struct slice expected,
                       const char *words)
{
    if (wrong->word.data == NULL || word.data > wrong->word.data) {
        *wrong = (struct wrong){word, expected, words};
    }
}

static bool form_match(const struct fault_kind *kind, struct slice text, struct scenario_fault *out,
                       struct wrong *wrong)
{
    struct slice form = slice_of(kind->form);
    struct slice expected;

    out->target = target_first(kind->targets);
    while ((expected = token_take(&form)).size > 0) {
        struct slice word = token_take(&text);
        bool has_comma = comma_take(&expected);
        bool same_commas = comma_take(&word) == has_comma;
        if (is_field(expected) ? !field_read(expected, word, kind->targets, out)
                               : !slice_equals(expected, word)) {
            wrong_note(wrong, word, expected, NULL);
            return false;
        }
        if (!same_commas) {
            wrong_note(wrong, word, expected,
                       has_comma ? "followed by a comma" : "without a comma");
            return false;
        }
    }
    struct slice more = token_take(&text);
    if (more.size > 0) {
        wrong_note(wrong, more, (struct slice){NULL, 0}, NULL);
    }
    return more.size == 0;
}

/* "after N acks:" or "after N ms:", if it is there; then `*text` is behind it. */
static bool moment_take(struct slice *text, struct scenario_fault *out, struct wrong *wrong)
{
    struct slice rest = *text;

    if (!slice_equals(token_take(&rest), slice_of("after"))) {
        out->when = WHEN_START;
        return true;
    }
    struct slice number = token_take(&rest);
    struct slice unit = token_take(&rest);
    *text = rest;
    out->when = slice_equals(unit, slice_of("acks:")) ? WHEN_ACKS : WHEN_MS;
    if (out->when == WHEN_MS && !slice_equals(unit, slice_of("ms:"))) {
        *wrong = (struct wrong){.word = unit, .words = "'acks:' or 'ms:'"};
    }
    if (!token_number(number, out->when == WHEN_ACKS ? ACKS_MAX : MOMENT_MS_MAX, &out->after)) {
        *wrong = (struct wrong){
            .word = number,
            .words = "a number, at most 1000000000000 acks or " DIGITS(MOMENT_MS_MAX) " ms"};
    }
    return wrong->word.data == NULL;
}

/* ---- what would be right ------------------------------------------------------------------ */

static void targets_append(struct buffer *b, unsigned targets)
{
    const char *separator = "";

    for (int target = 0; target < FAULT_TARGETS; target++) {
        if ((targets & 1U << target) != 0) {
            buffer_printf(b, "%s%s", separator, target_names[target]);
            separator = "|";
        }
    }
}

/* As a person would be told to write it. */
static void form_append(struct buffer *b, const struct fault_kind *kind)
{
    struct slice form = slice_of(kind->form);
    const char *separator = "";

    for (struct slice word = token_take(&form); word.size > 0; word = token_take(&form)) {
        bool comma = comma_take(&word);
        buffer_append_string(b, separator);
        if (slice_equals(word, slice_of("TARGET"))) {
            targets_append(b, kind->targets);
        } else if (slice_equals(word, slice_of("STEP"))) {
            buffer_append_string(b, "STEP");
        } else {
            buffer_append(b, is_field(word) ? "N" : word.data, is_field(word) ? 1 : word.size);
        }
        buffer_append_string(b, comma ? "," : "");
        separator = " ";
    }
}

/* Is there a row before it that begins with the same word? */
static bool named_before(int row)
{
    int i = 0;

    while (i < row && strcmp(kinds[i].name, kinds[row].name) != 0) {
        i++;
    }
    return i < row;
}

/* The forms that begin with `first`; all names, if none does. */
static void forms_append(struct buffer *b, struct slice first)
{
    const char *separator = "";
    size_t found = 0;

    for (int i = 0; i < FAULT_ACTIONS; i++) {
        if (slice_equals(first, slice_of(kinds[i].name))) {
            buffer_append_string(b, found++ == 0 ? "write 'after N acks|ms: " : "' or '");
            form_append(b, &kinds[i]);
        }
    }
    if (found > 0) {
        buffer_append_char(b, '\'');
        return;
    }
    buffer_append_string(b, "write 'after N acks|ms: FAULT'; there are ");
    for (int i = 0; i < FAULT_ACTIONS; i++) {
        if (named_before(i)) {
            continue;
        }
        buffer_append_string(b, separator);
        buffer_append_string(b, kinds[i].name);
        separator = ", ";
    }
}

static bool refuse(struct buffer *b, char *reason, size_t reason_size)
{
    snprintf(reason, reason_size, "%.*s", (int)b->size, b->data != NULL ? b->data : "");
    buffer_release(b);
    return false;
}

static void wrong_append(struct buffer *b, const struct wrong *wrong)
{
    const struct slice *word = &wrong->word;
    const struct slice *expected = &wrong->expected;

    if (word->size > 0) {
        buffer_printf(b, "'%.*s' ", (int)word->size, word->data);
    } else {
        buffer_append_string(b, "its end ");
    }
    if (wrong->words != NULL) {
        buffer_printf(b, "should be %s; ", wrong->words);
    } else if (expected->size == 0) {
        buffer_append_string(b, "is too much; ");
    } else if (is_field(*expected)) {
        buffer_printf(b, "should be %s; ", field_words(*expected));
    } else {
        buffer_printf(b, "should be '%.*s'; ", (int)expected->size, expected->data);
    }
}

static bool refuse_form(struct slice text, struct slice first, const struct wrong *wrong,
                        char *reason, size_t reason_size)
{
    struct buffer b = BUFFER_INIT;

    buffer_append_char(&b, '\'');
    buffer_append(&b, text.data, text.size);
    buffer_append_string(&b, "' is not a fault: ");
    if (wrong->word.data != NULL) {
        wrong_append(&b, wrong);
    }
    forms_append(&b, first);
    return refuse(&b, reason, reason_size);
}

bool fault_parse(struct slice text, struct scenario_fault *out, char *reason, size_t reason_size)
{
    struct slice what = text;
    struct scenario_fault fault = {.after = 0};
    struct wrong wrong = {.words = NULL};

    bool timed = moment_take(&what, &fault, &wrong);
    struct slice rest = what;
    struct slice first = token_take(&rest);
    for (int i = 0; timed && i < FAULT_ACTIONS; i++) {
        struct scenario_fault candidate = fault;
        candidate.action = (enum fault_action)i;
        if (!slice_equals(first, slice_of(kinds[i].name)) ||
            !form_match(&kinds[i], what, &candidate, &wrong)) {
            continue;
        }
        if (fault.when == WHEN_START && !kinds[i].from_start) {
            wrong = (struct wrong){.word = first, .words = "behind the moment when it happens"};
            break;
        }
        if (fault.when == WHEN_ACKS && fault.after == 0) {
            snprintf(reason, reason_size,
                     "a fault after 0 acks would hit nothing: write 1 or more");
            return false;
        }
        *out = candidate;
        return true;
    }
    return refuse_form(text, first, &wrong, reason, reason_size);
}

/* ---- what a store and a runtime allow ------------------------------------------------------ */

bool fault_settle(struct scenario_fault *fault, enum scenario_store store, char *reason,
                  size_t reason_size)
{
    const struct fault_kind *kind = &kinds[fault->action];
    bool of_postgres = fault->target == TARGET_POSTGRES || fault->target == TARGET_STORE_LINK;
    bool has_postgres = store == STORE_POSTGRES;

    if (fault->target == TARGET_STORE) {
        fault->target = has_postgres ? TARGET_POSTGRES : TARGET_BROKER;
    }
    if ((kind->stores & 1U << store) != 0 && (has_postgres || !of_postgres)) {
        return true;
    }
    const char *needed =
        of_postgres || (kind->stores & ON_SQLITE) == 0 ? "postgres" : "postgres or sqlite";
    bool has_other = (kind->targets & STORE) != 0 && fault->target == TARGET_POSTGRES;
    snprintf(reason, reason_size, "'%s' needs the store %s, and it is %s: %s%s%srun it with %s",
             kind->name, needed, scenario_store_name(store), has_other ? "write '" : "",
             has_other ? kind->name : "", has_other ? " store', or " : "", needed);
    return false;
}

bool fault_runs_on(const struct scenario_fault *fault, const char *runtime, char *reason,
                   size_t reason_size)
{
    const struct fault_kind *kind = &kinds[fault->action];
    struct buffer words = BUFFER_INIT;

    if (kind->ops != NULL && (kind->runtime == NULL || strcmp(kind->runtime, runtime) == 0)) {
        return true;
    }
    fault_append_words(&words, fault);
    if (kind->ops == NULL) {
        buffer_append_string(&words, ": not built yet");
    } else {
        buffer_printf(&words, ": only with RUNTIME=%s, since %s", kind->runtime, kind->why);
    }
    return refuse(&words, reason, reason_size);
}

/* ---- writing ------------------------------------------------------------------------------ */

static void field_append(struct buffer *b, struct slice name, const struct scenario_fault *fault)
{
    if (slice_equals(name, slice_of("TARGET"))) {
        buffer_append_string(b, target_names[fault->target]);
    } else if (slice_equals(name, slice_of("MS"))) {
        buffer_printf(b, "%" PRId64, fault->hold_ms);
    } else if (slice_equals(name, slice_of("ID"))) {
        buffer_printf(b, "%" PRId64, fault->client);
    } else if (slice_equals(name, slice_of("PASS"))) {
        buffer_printf(b, "%" PRId64, fault->pass);
    } else if (slice_equals(name, slice_of("SEED"))) {
        buffer_printf(b, "%" PRId64, fault->seed);
    } else if (slice_equals(name, slice_of("SECONDS"))) {
        buffer_printf(b, "%" PRId64, fault->seconds);
    } else {
        buffer_append_string(b, fault->step);
    }
}

void fault_append_words(struct buffer *b, const struct scenario_fault *fault)
{
    struct slice form = slice_of(kinds[fault->action].form);
    const char *separator = "";

    for (struct slice word = token_take(&form); word.size > 0; word = token_take(&form)) {
        bool comma = comma_take(&word);
        buffer_append_string(b, separator);
        if (is_field(word)) {
            field_append(b, word, fault);
        } else {
            buffer_append(b, word.data, word.size);
        }
        buffer_append_string(b, comma ? "," : "");
        separator = " ";
    }
}

void fault_append(struct buffer *b, const struct scenario_fault *fault)
{
    if (fault->when != WHEN_START) {
        buffer_printf(b, "after %" PRId64 " %s: ", fault->after,
                      fault->when == WHEN_ACKS ? "acks" : "ms");
    }
    fault_append_words(b, fault);
}
