/*
 * options.h - a program's options as rows of one table.
 *
 * A row is the option's parser, its range check and its documentation: it is read
 * from the command line (`--tail-bytes 1048576`, by getopt_long) and from the
 * environment (MYQUEUE_TAIL_BYTES), and --help prints it. The command line wins
 * over the environment, the environment over the default; an empty variable counts as none.
 *
 * Threads: call before the first thread is started.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,   /* const char **; borrowed from argv, the environment or the table */
    OPTION_INT,    /* int64_t * between `smallest` and `largest` */
    OPTION_CHOICE, /* const char **; one of the words in `choices` */
    OPTION_FLAG,   /* bool *; without a value, and only on the command line */
};

struct option_row {
    const char *name; /* without the dashes: "tail-bytes" */
    enum option_type type;
    void *value;               /* where the value goes, see option_type */
    const char *text;          /* the default of TEXT and CHOICE; NULL: none */
    int64_t number;            /* the default of INT */
    int64_t smallest, largest; /* INT: both included */
    const char *choices;       /* CHOICE: words separated by '|' */
    const char *unit;          /* shown in --help: "HOST:PORT", "bytes", "seconds" */
    const char *help;          /* what it does; one or two lines, '\n' between them */
    bool required;             /* an empty value or none is an error */
};

struct options {
    const char *program;    /* "myqueue-broker" */
    const char *version;    /* what --version prints behind the name */
    const char *summary;    /* the first lines of --help */
    const char *env_prefix; /* "MYQUEUE_"; NULL: the environment is not read */
    const char *operands;   /* how --help names what is not an option; NULL: none allowed */
    const struct option_row *rows;
    size_t row_count;
};

enum options_result {
    OPTIONS_OK,
    OPTIONS_EXIT, /* --help or --version has been printed: exit with 0 */
    OPTIONS_BAD,  /* one clear line is on stderr: exit with the program's usage code */
};

/*
 * Fill in every row's value. On OPTIONS_OK `*first_operand` (may be NULL when no
 * operands are allowed) is the index in argv of the first operand; argv is permuted
 * so that operands come last.
 */
enum options_result options_parse(const struct options *options, int argc, char **argv,
                                  int *first_operand);

/*
 * The environment's variables that begin with the prefix and are no option of this program, such
 * as a misspelled one: their names into `names`, separated by spaces, as many as have room. "" when
 * there are none. A program warns of them, and goes on: they may be meant for another.
 */
void options_unknown_variables(const struct options *options, char *names, size_t size);

#endif
