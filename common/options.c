/*
 * options.c - the table turned into getopt_long's, the environment read first.
 */
#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTION_ROWS_MAX 40
#define OPTION_NAME_BYTES_MAX 64

enum { CODE_HELP = 1, CODE_VERSION, CODE_FIRST_ROW };

/* Where a value came from, for the error message. */
struct origin {
    const char *program;
    char name[OPTION_NAME_BYTES_MAX + 2]; /* "--tail-bytes" or "MYQUEUE_TAIL_BYTES" */
};

static bool is_choice(const char *choices, const char *value)
{
    size_t size = strcspn(value, "|");

    if (value[size] == '|') {
        return false;
    }
    for (const char *p = choices; p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strncmp(p, value, size) == 0 && (p[size] == '|' || p[size] == '\0')) {
            return size > 0;
        }
    }
    return false;
}

static bool set_int(const struct option_row *row, const struct origin *origin, const char *value)
{
    char *end;

    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || isspace((unsigned char)*value) ||
        number < row->smallest || number > row->largest) {
        fprintf(stderr, "%s: %s: '%s' is not a whole number from %lld to %lld%s%s\n",
                origin->program, origin->name, value, (long long)row->smallest,
                (long long)row->largest, row->unit != NULL ? " " : "",
                row->unit != NULL ? row->unit : "");
        return false;
    }
    *(int64_t *)row->value = number;
    return true;
}

static bool set_value(const struct option_row *row, const struct origin *origin, const char *value)
{
    if (row->type == OPTION_INT) {
        return set_int(row, origin, value);
    }
    if (row->type == OPTION_FLAG) {
        *(bool *)row->value = true;
        return true;
    }
    if (row->type == OPTION_CHOICE && !is_choice(row->choices, value)) {
        fprintf(stderr, "%s: %s: '%s' is not one of %s\n", origin->program, origin->name, value,
                row->choices);
        return false;
    }
    *(const char **)row->value = value;
    return true;
}

static void env_name(const struct options *options, const struct option_row *row,
                     char name[OPTION_NAME_BYTES_MAX])
{
    snprintf(name, OPTION_NAME_BYTES_MAX, "%s%s", options->env_prefix, row->name);
    for (char *p = name; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
}

static bool set_defaults(const struct options *options)
{
    for (size_t i = 0; i < options->row_count; i++) {
        const struct option_row *row = &options->rows[i];
        if (row->type == OPTION_FLAG) {
            *(bool *)row->value = false;
        } else if (row->type == OPTION_INT) {
            *(int64_t *)row->value = row->number;
        } else {
            *(const char **)row->value = row->text;
        }
        if (options->env_prefix == NULL || row->type == OPTION_FLAG) {
            continue;
        }
        struct origin origin = {.program = options->program};
        env_name(options, row, origin.name);
        const char *value = getenv(origin.name);
        if (value != NULL && *value != '\0' && !set_value(row, &origin, value)) {
            return false;
        }
    }
    return true;
}

/* Is `variable`, "NAME=value", one of the table's? */
static bool is_known(const struct options *options, const char *variable)
{
    char name[OPTION_NAME_BYTES_MAX];

    for (size_t i = 0; i < options->row_count; i++) {
        env_name(options, &options->rows[i], name);
        size_t size = strlen(name);
        if (strncmp(variable, name, size) == 0 && variable[size] == '=') {
            return true;
        }
    }
    return false;
}

void options_unknown_variables(const struct options *options, char *names, size_t size)
{
    size_t used = 0;

    names[0] = '\0';
    for (char **variable = environ; *variable != NULL; variable++) {
        size_t length = strcspn(*variable, "=");
        bool ours = strncmp(*variable, options->env_prefix, strlen(options->env_prefix)) == 0;
        if (!ours || is_known(options, *variable) || length + 1 >= size - used) {
            continue;
        }
        used += (size_t)snprintf(names + used, size - used, "%s%.*s", used > 0 ? " " : "",
                                 (int)length, *variable);
    }
}

static void print_row(const struct options *options, const struct option_row *row)
{
    char left[96];
    char env[OPTION_NAME_BYTES_MAX] = "";

    snprintf(left, sizeof left, "--%s%s%s", row->name, row->type == OPTION_FLAG ? "" : " ",
             row->type == OPTION_FLAG     ? ""
             : row->type == OPTION_CHOICE ? row->choices
             : row->unit != NULL          ? row->unit
                                          : "VALUE");
    printf("  %s\n", left);
    for (const char *p = row->help; p != NULL;) {
        const char *end = strchr(p, '\n');
        printf("      %.*s\n", end != NULL ? (int)(end - p) : (int)strlen(p), p);
        p = end != NULL ? end + 1 : NULL;
    }
    if (row->type == OPTION_FLAG) {
        return;
    }
    if (row->type == OPTION_INT) {
        printf("      %lld to %lld; default %lld", (long long)row->smallest,
               (long long)row->largest, (long long)row->number);
    } else {
        printf("      default: %s", row->text != NULL ? row->text : "none");
    }
    if (options->env_prefix != NULL) {
        env_name(options, row, env);
        printf("; environment: %s", env);
    }
    printf("\n");
}

static void print_help(const struct options *options)
{
    printf("Usage: %s [OPTION]...%s%s\n%s\n\nOptions:\n", options->program,
           options->operands != NULL ? " " : "", options->operands != NULL ? options->operands : "",
           options->summary);
    for (size_t i = 0; i < options->row_count; i++) {
        print_row(options, &options->rows[i]);
    }
    printf("  --help\n      print this and exit\n  --version\n      print the version and exit\n");
    if (options->env_prefix != NULL) {
        printf(
            "\nAn option wins over its environment variable; an empty variable counts as none.\n");
    }
}

static bool check_required(const struct options *options)
{
    for (size_t i = 0; i < options->row_count; i++) {
        const struct option_row *row = &options->rows[i];
        if (!row->required || row->type == OPTION_INT || row->type == OPTION_FLAG) {
            continue;
        }
        const char *value = *(const char **)row->value;
        if (value == NULL || *value == '\0') {
            fprintf(stderr, "%s: --%s is needed (%s); try --help\n", options->program, row->name,
                    row->unit != NULL ? row->unit : row->choices);
            return false;
        }
    }
    return true;
}

static void make_long_options(const struct options *options, struct option *out)
{
    for (size_t i = 0; i < options->row_count; i++) {
        bool flag = options->rows[i].type == OPTION_FLAG;
        *out++ = (struct option){options->rows[i].name, flag ? no_argument : required_argument,
                                 NULL, CODE_FIRST_ROW + (int)i};
    }
    *out++ = (struct option){"help", no_argument, NULL, CODE_HELP};
    *out++ = (struct option){"version", no_argument, NULL, CODE_VERSION};
    *out = (struct option){NULL, 0, NULL, 0};
}

static enum options_result bad_option(const struct options *options, int code, char **argv)
{
    /* getopt has moved past what it could not take. */
    fprintf(stderr, "%s: %s '%s'; try --help\n", options->program,
            code == ':' ? "a value is missing behind"
                        : "there is no option, or more than one, like",
            argv[optind - 1]);
    return OPTIONS_BAD;
}

static enum options_result parse_rows(const struct options *options, int argc, char **argv)
{
    struct option long_options[OPTION_ROWS_MAX + 3];
    int code;

    make_long_options(options, long_options);
    optind = 0; /* glibc: start afresh */
    opterr = 0; /* the messages are ours */
    while ((code = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (code == CODE_HELP) {
            print_help(options);
            return OPTIONS_EXIT;
        }
        if (code == CODE_VERSION) {
            printf("%s %s\n", options->program, options->version);
            return OPTIONS_EXIT;
        }
        if (code == '?' || code == ':') {
            return bad_option(options, code, argv);
        }
        const struct option_row *row = &options->rows[code - CODE_FIRST_ROW];
        struct origin origin = {.program = options->program};
        snprintf(origin.name, sizeof origin.name, "--%.*s", OPTION_NAME_BYTES_MAX - 2, row->name);
        if (!set_value(row, &origin, optarg)) {
            return OPTIONS_BAD;
        }
    }
    return OPTIONS_OK;
}

enum options_result options_parse(const struct options *options, int argc, char **argv,
                                  int *first_operand)
{
    if (options->row_count > OPTION_ROWS_MAX) {
        abort(); /* a table of ours that outgrew its limit */
    }
    /* --help must answer even where the environment is wrong, so the line comes first
     * for help, and once more for its values. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(options);
            return OPTIONS_EXIT;
        }
    }
    if (!set_defaults(options)) {
        return OPTIONS_BAD;
    }
    enum options_result result = parse_rows(options, argc, argv);
    if (result != OPTIONS_OK) {
        return result;
    }
    if (optind < argc && options->operands == NULL) {
        fprintf(stderr, "%s: '%s' is not expected here; try --help\n", options->program,
                argv[optind]);
        return OPTIONS_BAD;
    }
    if (!check_required(options)) {
        return OPTIONS_BAD;
    }
    if (first_operand != NULL) {
        *first_operand = optind;
    }
    return OPTIONS_OK;
}
