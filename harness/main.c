/*
 * main.c - myqueue-harness: run a scenario, judge a saved run again, list the reports.
 */
#include "common/options.h"
#include "harness/report/index.h"
#include "harness/judge.h"
#include "harness/run/run.h"
#include "harness/scenario/scenario.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECONDS_MAX 86400

/* The row of run and check that says how the verdict is printed. */
#define OUTPUT_ROW(where)                                                                          \
    {                                                                                              \
        .name = "output", .type = OPTION_CHOICE, .value = (where), .text = "summary",              \
        .choices = "summary|tap",                                                                  \
        .help = "on standard output: about ten lines for a person, or TAP for a program"           \
    }

static const char usage[] =
    "Usage: myqueue-harness run [OPTION]... DIR    run the scenario in DIR\n"
    "       myqueue-harness check [--explain] RUN_DIR    judge a saved run again\n"
    "       myqueue-harness index [FOLDER]         list a folder's reports (reports) anew\n"
    "\n"
    "Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad usage, 255 a fault of the harness.\n"
    "`myqueue-harness run --help` lists the options.\n";

/* The folder of this program's file. */
static bool find_programs(char dir[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", dir, PATH_MAX - 1);
    if (size <= 0) {
        return false;
    }
    dir[size] = '\0';
    char *slash = strrchr(dir, '/');
    if (slash == dir) {
        return false;
    }
    *slash = '\0';
    return true;
}

/* The nearest folder above the programs' that has our tools; NULL when there is none. */
static char *find_root(const char *programs)
{
    char dir[PATH_MAX];
    char tool[PATH_MAX + 32];

    snprintf(dir, sizeof dir, "%s", programs);
    for (char *slash; (slash = strrchr(dir, '/')) != NULL;) {
        *slash = '\0';
        snprintf(tool, sizeof tool, "%s/tools/postgres", dir);
        if (access(tool, X_OK) == 0) {
            return strdup(dir[0] != '\0' ? dir : "/");
        }
    }
    return NULL;
}

/* tools/engine puts a `docker` there that goes through sudo, where that is needed. */
static void extend_path(const char *programs)
{
    char path[2 * PATH_MAX];
    const char *old = getenv("PATH");

    snprintf(path, sizeof path, "%s/bin:%s", programs,
             old != NULL ? old : "/usr/local/bin:/usr/bin:/bin");
    setenv("PATH", path, 1);
}

/* TAP has standard output for itself: what else is printed goes to standard error. */
static FILE *verdict_stream(const char *output)
{
    if (strcmp(output, "tap") != 0) {
        return stdout;
    }
    fflush(stdout);
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    FILE *stream = fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? NULL : fdopen(fd, "w");
    if (stream == NULL) {
        fprintf(stderr, "myqueue-harness: --output tap: standard output cannot be used: %s\n",
                strerror(errno));
    }
    return stream;
}

/* Of a command whose options are not to be followed: --help and --version are done, others bad. */
static int exit_code(enum options_result parsed)
{
    return parsed == OPTIONS_EXIT ? 0 : EXIT_USAGE;
}

/* The only operand, or NULL after a clear line. */
static const char *only_operand(int argc, char **argv, int first, const char *what)
{
    if (argc - first != 1) {
        fprintf(stderr, "myqueue-harness %s: give one %s, not %d; try --help\n", argv[0], what,
                argc - first);
        return NULL;
    }
    return argv[first];
}

/* By hand, since the table's numbers have a default, and this one may be absent. */
static bool parse_consumers(const char *text, int64_t *consumers)
{
    char *end;

    *consumers = 0;
    if (text == NULL) {
        return true;
    }
    *consumers = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end != '\0' || *consumers < 1 ||
        *consumers > SCENARIO_CLIENTS_MAX) {
        fprintf(stderr,
                "myqueue-harness run: --consumers: '%s' is not a whole number from 1 to %d\n", text,
                SCENARIO_CLIENTS_MAX);
        return false;
    }
    return true;
}

static int main_run(int argc, char **argv)
{
    char programs[PATH_MAX];
    const char *given_root = NULL;
    const char *consumers = NULL;
    const char *store = NULL;
    const char *output = NULL;
    struct run_options o = {0};
    const struct option_row rows[] = {
        {.name = "runtime",
         .type = OPTION_CHOICE,
         .value = &o.runtime,
         .text = "auto",
         .choices = "auto|docker|process",
         .help = "where the programs run; auto: in containers if an engine answers"},
        {.name = "store",
         .type = OPTION_CHOICE,
         .value = &store,
         .choices = "postgres|sqlite|memory",
         .help = "where the broker keeps the messages; default: as DIR's scenario.conf says,\n"
                 "or postgres"},
        {.name = "consumers",
         .type = OPTION_TEXT,
         .value = &consumers,
         .unit = "NUMBER",
         .help = "how many consumers read every topic: 1 to 256, 3 if not given;\n"
                 "not for a DIR with a scenario.conf, which says so itself"},
        {.name = "reports",
         .type = OPTION_TEXT,
         .value = &o.reports,
         .text = "reports",
         .unit = "FOLDER",
         .required = true,
         .help = "where the run's folder is made"},
        {.name = "name",
         .type = OPTION_TEXT,
         .value = &o.name,
         .unit = "NAME",
         .help = "of the scenario, in the reports; default: the name of DIR"},
        {.name = "command",
         .type = OPTION_TEXT,
         .value = &o.command,
         .unit = "TEXT",
         .help = "what a person types to repeat the run, as its report says;\n"
                 "default: make scenario…"},
        {.name = "limit",
         .type = OPTION_INT,
         .value = &o.limit_s,
         .number = 600,
         .smallest = 1,
         .largest = SECONDS_MAX,
         .unit = "seconds",
         .help = "how long the clients may run; then the run is given up"},
        {.name = "stall",
         .type = OPTION_INT,
         .value = &o.stall_s,
         .number = 90,
         .smallest = 1,
         .largest = SECONDS_MAX,
         .unit = "seconds",
         .help = "how long nothing may be sent or received; then the run is given up"},
        OUTPUT_ROW(&output),
        {.name = "root",
         .type = OPTION_TEXT,
         .value = &given_root,
         .unit = "FOLDER",
         .help =
             "of the project, with tools/ and compose/; default: the nearest above this program"},
    };
    const struct options options = {
        .program = "myqueue-harness run",
        .version = MYQUEUE_VERSION,
        .summary = "Run the scenario in DIR, judge it, and write a report.",
        .operands = "DIR",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    int first;

    enum options_result parsed = options_parse(&options, argc, argv, &first);
    if (parsed != OPTIONS_OK) {
        return exit_code(parsed);
    }
    o.dir = only_operand(argc, argv, first, "scenario folder");
    if (o.dir == NULL || !parse_consumers(consumers, &o.consumers)) {
        return EXIT_USAGE;
    }
    o.store = scenario_store_of(store);
    if (!find_programs(programs)) {
        fprintf(stderr, "myqueue-harness: cannot tell which folder it is in (/proc/self/exe)\n");
        return EXIT_HARNESS;
    }
    char *root = given_root != NULL ? realpath(given_root, NULL) : find_root(programs);
    if (root == NULL) {
        fprintf(stderr, "myqueue-harness run: %s; give the project's folder with --root\n",
                given_root != NULL ? "--root: there is no such folder"
                                   : "no folder above this program has tools/postgres");
        return EXIT_USAGE;
    }
    o.root = root;
    o.programs = programs;
    o.out = verdict_stream(output);
    o.as_tap = strcmp(output, "tap") == 0;
    extend_path(programs);
    int code = o.out != NULL ? run_scenario(&o) : EXIT_HARNESS;
    free(root);
    return code;
}

/* run.json is written before anything is started, so every run that began has one. */
static bool is_run_folder(const char *dir)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/run.json", dir);
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static int check_folder(const char *dir, const char *output, bool explains)
{
    char error[1024] = "";
    struct judge_output to = {
        .out = verdict_stream(output), .as_tap = strcmp(output, "tap") == 0, .explains = explains};

    if (to.out == NULL) {
        return EXIT_HARNESS;
    }
    enum verdict verdict = judge_run(dir, &to, error, sizeof error);
    if (verdict == VERDICT_FAILED || !index_update(dir, error, sizeof error)) {
        fprintf(stderr, "myqueue-harness: %s\n", error);
        return EXIT_HARNESS;
    }
    return (int)verdict;
}

static int main_check(int argc, char **argv)
{
    const char *output = NULL;
    bool explains = false;
    const struct option_row rows[] = {
        OUTPUT_ROW(&output),
        {.name = "explain",
         .type = OPTION_FLAG,
         .value = &explains,
         .help = "also print, for each finding, the operations around it, the store's rows and\n"
                 "the faults of that moment; not with --output tap"},
    };
    const struct options options = {
        .program = "myqueue-harness check",
        .version = MYQUEUE_VERSION,
        .summary = "Judge a saved run again, and write its report anew.",
        .operands = "RUN_DIR",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    int first;

    enum options_result parsed = options_parse(&options, argc, argv, &first);
    if (parsed != OPTIONS_OK) {
        return exit_code(parsed);
    }
    const char *dir = only_operand(argc, argv, first, "run folder");
    if (dir == NULL) {
        return EXIT_USAGE;
    }
    if (explains && strcmp(output, "tap") == 0) {
        fprintf(stderr, "myqueue-harness check: --explain is for a person, --output tap for a "
                        "program: give one of them\n");
        return EXIT_USAGE;
    }
    if (!is_run_folder(dir)) {
        fprintf(stderr,
                "myqueue-harness check: '%s' is not a run's folder, there is no run.json in it; "
                "give one like reports/5p3c/latest\n",
                dir);
        return EXIT_USAGE;
    }
    return check_folder(dir, output, explains);
}

static int main_index(int argc, char **argv)
{
    char error[1024] = "";
    const struct options options = {
        .program = "myqueue-harness index",
        .version = MYQUEUE_VERSION,
        .summary = "List the reports of a folder in its index.html; every run does so, too.",
        .operands = "[FOLDER]",
    };
    int first;

    enum options_result parsed = options_parse(&options, argc, argv, &first);
    if (parsed != OPTIONS_OK) {
        return exit_code(parsed);
    }
    const char *reports =
        first == argc ? "reports" : only_operand(argc, argv, first, "folder of reports");
    if (reports == NULL) {
        return EXIT_USAGE;
    }
    if (!index_write(reports, error, sizeof error)) {
        fprintf(stderr, "myqueue-harness index: %s\n", error);
        return EXIT_USAGE;
    }
    printf("%s/index.html\n", reports);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "myqueue-harness: a command is needed: run, check or index; try --help\n");
        return EXIT_USAGE;
    }
    const char *command = argv[1];
    if (strcmp(command, "run") == 0) {
        return main_run(argc - 1, argv + 1);
    }
    if (strcmp(command, "check") == 0) {
        return main_check(argc - 1, argv + 1);
    }
    if (strcmp(command, "index") == 0) {
        return main_index(argc - 1, argv + 1);
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        printf("myqueue-harness %s\n", MYQUEUE_VERSION);
        return 0;
    }
    fprintf(stderr, "myqueue-harness: '%s' is not a command: run, check or index; try --help\n",
            command);
    return EXIT_USAGE;
}
