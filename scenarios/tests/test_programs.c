/*
 * test_programs.c - myqueue-produce and myqueue-consume as a person or the harness runs them,
 * against the library's fake broker: exit codes, messages, files, histories, signals.
 *
 * The programs are taken from the build folder that this test lies in; it is started from the
 * top of the tree.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/tests/suite.h"
#include "scenarios/progress.h"

static char output[65536]; /* of the last command, stdout and stderr */
static char folder[64];    /* for this test's files */
static int broker_input = -1;
static int broker_port;
static pid_t broker_pid;

/* ---- the stage -------------------------------------------------------------------- */

/* Run a shell command with its output in `output`; its exit code. */
static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    fflush(stdout);
    FILE *stream = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    size_t length = fread(output, 1, sizeof output - 1, stream);
    output[length] = '\0';
    int status = pclose(stream);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHECK_RUN(expected, ...)                                                                   \
    do {                                                                                           \
        int code_ = run(__VA_ARGS__);                                                              \
        CU_ASSERT_EQUAL(code_, (expected));                                                        \
        if (code_ != (expected)) {                                                                 \
            printf("\n      exit code %d: %s\n", code_, output);                                   \
        }                                                                                          \
    } while (0)

static void check_output(const char *expected)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(output, expected));
    if (strstr(output, expected) == NULL) {
        printf("\n      expected '%s' in '%s'\n", expected, output);
    }
}

static int output_lines(void)
{
    int lines = 0;
    for (const char *c = output; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    return lines;
}

static void broker_start(void)
{
    int input[2], ready[2];
    CU_ASSERT_EQUAL_FATAL(pipe2(input, O_CLOEXEC), 0);
    CU_ASSERT_EQUAL_FATAL(pipe2(ready, O_CLOEXEC), 0);
    broker_pid = fork();
    CU_ASSERT_NOT_EQUAL_FATAL(broker_pid, -1);
    if (broker_pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(ready[1], STDOUT_FILENO);
        execl("/usr/bin/python3", "python3", "myqueue/tests/fake_broker.py", "0", (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(ready[1]);
    broker_input = input[1];
    FILE *stream = fdopen(ready[0], "r");
    CU_ASSERT_EQUAL_FATAL(fscanf(stream, "%d", &broker_port), 1);
    fclose(stream);
}

static void broker_stop(void)
{
    close(broker_input); /* which ends it */
    waitpid(broker_pid, NULL, 0);
}

/* A folder of our own, with the programs' names and the broker in the environment. */
static void begin(void)
{
    char port[32];
    broker_start();
    snprintf(folder, sizeof folder, "/tmp/myqueue-programs.XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(port, sizeof port, "localhost:%d", broker_port);
    setenv("MYQUEUE_BROKER", port, 1);
    setenv("DIR", folder, 1);
}

static void end(void)
{
    broker_stop();
    unsetenv("MYQUEUE_BROKER");
    run("rm -r $DIR");
}

static void write_log(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/producer_1.txt", folder);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

/* The broker's faults from now on; see fake_broker.py. */
static void make_plan(const char *faults)
{
    CHECK_RUN(0, "curl -sf -d '{\"faults\":[%s]}' http://$MYQUEUE_BROKER/fake/plan", faults);
}

/* ---- options ---------------------------------------------------------------------- */

static void refuses_bad_usage(void)
{
    static const struct {
        const char *arguments;
        const char *expected;
    } rows[] = {
        {"", "--id N is missing"},
        {"--id 1 --logs x", "--topics TOPIC... is missing"},
        {"--id 1 --topics --logs x", "there is no value for '--topics'"},
        {"--id one --topics T1 --logs x", "bad value 'one' for --id; expected a number"},
        {"--id -1 --topics T1 --logs x", "bad value '-1' for --id"},
        {"--id 1 --topics T1 --logs x --retry 1.5", "for --retry; expected seconds"},
        {"--id 1 --topics T1 --logs x --bogus", "unknown option '--bogus'"},
        {"--id 1 --topics T1 --logs", "there is no value for '--logs'"},
        {"--id 1 extra --topics T1 --logs x", "unexpected argument 'extra'"},
        {"--id 1 --topics T1 --logs x -- more", "unexpected argument 'more'"},
        {"--id 1 --topics T1 --logs x --broker ''", "for --broker; expected HOST:PORT"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_RUN(2, "$PRODUCE %s 2>&1", rows[i].arguments);
        check_output(rows[i].expected);
        CU_ASSERT_EQUAL(output_lines(), 1);
        CHECK_RUN(2, "$CONSUME %s 2>&1", rows[i].arguments);
        check_output(rows[i].expected);
    }
    CHECK_RUN(2, "$PRODUCE --id 1 --topics T1 --logs x --pace slow 2>&1");
    check_output("bad value 'slow' for --pace; expected 'fast' or 'real'");
    CHECK_RUN(2, "MYQUEUE_IDLE=0 $CONSUME --id 1 --topics T1 --logs x 2>&1");
    check_output("bad value '0' for MYQUEUE_IDLE; expected seconds from 1");
    CHECK_RUN(2, "$CONSUME --id 1 --topics T1 --logs x --gate y 2>&1"); /* produce has it */
    static const char *const seeks[] = {"1",       "1:0",    "1:0:",   ":0:T1",
                                        "-1:0:T1", "1:x:T1", "1:0x:T1"};
    for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
        CHECK_RUN(2, "$CONSUME --id 1 --topics T1 --logs x --seek %s 2>&1", seeks[i]);
        check_output("for --seek; expected N:OFFSET:TOPIC, such as 200:0:T1");
    }
    CHECK_RUN(2, "$CONSUME --id 1 --topics T1 --logs x --seek 1:0:T2 2>&1");
    check_output("--seek in topic 'T2', which is not one of --topics");
    CHECK_RUN(2, "$CONSUME --id 1 --topics T1 --logs x --seek 1:0:T1 --seek 1:0:T1 2>&1");
    check_output("each must be after more lines than the one before it");
}

static void says_what_it_is(void)
{
    CHECK_RUN(0, "$PRODUCE --help");
    check_output("--pace fast|real");
    check_output("MYQUEUE_PACE");
    CHECK_RUN(0, "$CONSUME --help");
    check_output("--expect MESSAGES");
    check_output("one that does not exist");
    CHECK_RUN(0, "$CONSUME --version");
    check_output("myqueue-consume ");
}

/* ---- before anything is sent ------------------------------------------------------ */

static void a_bad_line_stops_it_before_anything_is_sent(void)
{
    begin();
    write_log("21:52:23\tINFO\tP1-1\tT1\n21:52\tINFO\tP1-1\tT1\n");
    CHECK_RUN(2, "$PRODUCE --id 1 --topics T1 --logs $DIR --history $DIR/h 2>&1");
    check_output("producer_1.txt:2: '21:52' is not a time");
    CU_ASSERT_EQUAL(output_lines(), 1);
    write_log("21:52:23\tINFO\tP1-1\tT1\n21:52:23\tINFO\tP1-1\tT2\n");
    CHECK_RUN(2, "$PRODUCE --id 1 --topics T1 --logs $DIR --history $DIR/h 2>&1");
    check_output("producer_1.txt:2: topic 'T2' is not one of --topics");
    CHECK_RUN(1, "test -e $DIR/h");
    CHECK_RUN(2, "$PRODUCE --id 7 --topics T1 --logs $DIR 2>&1");
    check_output("producer_7.txt: No such file");
    CHECK_RUN(2, "$PRODUCE --id 1 --topics T1 T2 T1 --logs $DIR 2>&1");
    check_output("topic 'T1' is given twice");
    CHECK_RUN(2, "$PRODUCE --id 1 --topics T1 T2 --logs $DIR --broker localhost 2>&1");
    check_output("bad broker address 'localhost': the port is missing");
    CHECK_RUN(2, "$CONSUME --id 1 --topics T1 --logs $DIR/none 2>&1");
    check_output("cannot write");
    end();
}

static void a_broker_that_is_down_is_given_up(void)
{
    begin();
    write_log("21:52:23\tINFO\tP1-1\tT1\n");
    CHECK_RUN(1, "$PRODUCE --id 1 --topics T1 --logs $DIR --broker localhost:1 --retry 0 2>&1");
    check_output("did not answer for 0 ms");
    CHECK_RUN(1, "$CONSUME --id 1 --topics T1 --logs $DIR --broker localhost:1 --retry 0 2>&1");
    check_output("did not answer for 0 ms");
    end();
}

/* The broker takes the registration and is silent from then on. */
static void a_wait_for_the_broker_is_told_and_a_signal_ends_it(void)
{
    begin();
    write_log("21:52:23\tINFO\tP1-1\tT1\n");
    make_plan("{\"path\":\"/producer/register\",\"do\":\"hang\",\"times\":-1},"
              "{\"path\":\"/consumer/register\",\"do\":\"hang\",\"times\":-1}");
    static const char *const programs[] = {"$PRODUCE", "$CONSUME"};
    static const char *const names[] = {"producer 1", "consumer 1"};
    for (size_t i = 0; i < 2; i++) {
        char expected[128];
        CHECK_RUN(1,
                  "echo kept > $DIR/consumer_1.txt; "
                  "%s --id 1 --topics T1 --logs $DIR --retry 90 2> $DIR/err & p=$!; "
                  "until grep -qs waiting $DIR/err || ! kill -0 $p; do sleep 0.02; done; "
                  "kill -TERM $p; wait $p; code=$?; cat $DIR/err; rm $DIR/err; exit $code",
                  programs[i]);
        snprintf(expected, sizeof expected,
                 "%s: waiting for the broker at localhost:%d (up to 90 s)\n", names[i],
                 broker_port);
        check_output(expected);
        snprintf(expected, sizeof expected,
                 "%s: stopped by a signal while it waited for the broker\n", names[i]);
        check_output(expected);
        CU_ASSERT_EQUAL(output_lines(), 2);
        CHECK_RUN(0, "echo kept | diff - $DIR/consumer_1.txt");
    }
    end();
}

static void what_was_received_before_is_kept_until_the_broker_answers(void)
{
    begin();
    CHECK_RUN(0, "echo kept > $DIR/consumer_1.txt");
    CHECK_RUN(1, "$CONSUME --id 1 --topics T1 --logs $DIR --broker localhost:1 --retry 0 2>&1");
    CHECK_RUN(0, "echo kept | diff - $DIR/consumer_1.txt");
    CHECK_RUN(0, "$CONSUME --id 1 --topics T1 --logs $DIR --expect 0 2>&1");
    CHECK_RUN(0, "test -f $DIR/consumer_1.txt -a ! -s $DIR/consumer_1.txt");
    end();
}

static void a_consumer_tells_which_topics_it_created(void)
{
    static const char told[] = "consumer 1: topic TYPO did not exist and was created\n";
    begin();
    CHECK_RUN(0, "$CONSUME --id 1 --topics TYPO --logs $DIR --expect 0 2>&1");
    check_output(told);
    CHECK_RUN(0, "$CONSUME --id 1 --topics TYPO --logs $DIR --expect 0 2>&1");
    CU_ASSERT_PTR_NULL(strstr(output, "created"));
    end();
}

/* ---- runs ------------------------------------------------------------------------- */

/* What the producers' files hold for the topics is what a consumer wrote, as a set of lines. */
static void check_received(int id, const char *topics)
{
    CHECK_RUN(0,
              "cat $DIR/producer_*.txt | sed -E 's/^[^\t]*\t+(.*[^\t])\t+[^\t]+\t+([^\t]+)$/"
              "\\2     \\1/' | grep -E '^(%s) ' | sort > $DIR/sent; "
              "sort $DIR/consumer_%d.txt | diff $DIR/sent -",
              topics, id);
}

static void a_whole_scenario_is_delivered(void)
{
    begin();
    CHECK_RUN(0, "cp scenarios/2p2c/producer_*.txt $DIR; cd $DIR; "
                 "MYQUEUE_TOPICS='T1 T2' $CONSUME --id 1 --logs . --expect 600 --idle 60 "
                 "--history C1 & c=$!; "
                 "$PRODUCE --id 1 --topics T1 T2 --logs . --history P1 --gate gate & p=$!; "
                 "$PRODUCE --topics T2 T1 --id 2 --logs . --history P2 --gate gate & q=$!; "
                 "touch gate; wait $p && wait $q && wait $c");
    check_output("producer 1: 300 of 300 messages delivered in ");
    check_output("producer 2: 300 of 300 messages delivered in ");
    check_output("consumer 1: 600 of 600 messages received in ");
    CU_ASSERT_EQUAL(output_lines(), 3);
    check_received(1, "T1|T2");
    /* A consumer of one topic that comes later sees the same, in the same order. */
    CHECK_RUN(0, "cd $DIR && $CONSUME --id 2 --topics T1 --logs . --idle 1 && "
                 "grep '^T1 ' consumer_1.txt | diff - consumer_2.txt");
    end();
}

static void histories_tell_all(void)
{
    begin();
    write_log("21:52:23\tsay \"hi\"\\\tP1-1\tT1\n\n21:52:23\tf\xC3\xBCnf\tP1-1\tT1\n");
    CHECK_RUN(0, "cd $DIR && $PRODUCE --id 1 --topics T1 --logs . --history P1 && "
                 "$CONSUME --id 1 --topics T1 --logs . --expect 2 --history C1");
    CHECK_RUN(0, "cd $DIR && /usr/bin/python3 - <<'END'\n"
                 "import json\n"
                 "p = [json.loads(line) for line in open('P1')]\n"
                 "c = [json.loads(line) for line in open('C1')]\n"
                 "kinds = [(e['op'], e['type']) for e in p if e['op'] != 'request']\n"
                 "assert kinds[:3] == [('start', 'ok'), ('register', 'invoke'),\n"
                 "                     ('register', 'ok')], kinds\n"
                 "assert (p[0]['incarnation'], c[0]['lines']) == (1, {'T1': 0}), (p[0], c[0])\n"
                 "assert sorted(kinds[3:]) == [('send', 'invoke')] * 2 + [('send', 'ok')] * 2\n"
                 "sent = [e for e in p if (e['op'], e['type']) == ('send', 'invoke')]\n"
                 "assert [e['line'] for e in sent] == [1, 3]\n"
                 "assert [e['message'] for e in sent] == ['say \"hi\"\\\\', 'f\\u00fcnf']\n"
                 "done = [e for e in p if (e['op'], e['type']) == ('send', 'ok')]\n"
                 "assert [e['offset'] for e in done] == [0, 1]\n"
                 "open_ = {e['id'] for e in p if e['op'] == 'request' and e['type'] == 'invoke'}\n"
                 "shut = {e['id'] for e in p if e['op'] == 'request' and e['type'] == 'ok'}\n"
                 "assert open_ == shut and len(open_) >= 2, (open_, shut)\n"
                 "got = [e for e in c if e['op'] == 'receive']\n"
                 "assert [(e['line'], e['offset'], e['message']) for e in got] == [\n"
                 "    (1, 0, 'say \"hi\"\\\\'), (2, 1, 'f\\u00fcnf')], got\n"
                 "assert all(e['process'] == 'C1' for e in c)\n"
                 "assert [e['t'] for e in c] == sorted(e['t'] for e in c)\n"
                 "assert 'consumer_id' in [e for e in c if e['op'] == 'register'][-1]\n"
                 "END\n");
    end();
}

static void too_few_messages_are_a_failure(void)
{
    begin();
    write_log("21:52:23\tINFO\tP1-1\tT1\n");
    CHECK_RUN(0, "$PRODUCE --id 1 --topics T1 --logs $DIR");
    CHECK_RUN(1, "$CONSUME --id 1 --topics T1 --logs $DIR --expect 2 --idle 1");
    check_output("consumer 1: 1 of 2 messages received");
    CHECK_RUN(0, "$CONSUME --id 1 --topics T1 --logs $DIR --expect 0");
    end();
}

static void a_newline_in_a_message_makes_no_line(void)
{
    begin();
    CHECK_RUN(0, "ask() { curl -sf -d \"$2\" http://$MYQUEUE_BROKER$1 > $DIR/answer; }; "
                 "ask /producer/register '{\"topic\":\"T1\"}' && "
                 "ask /producer/produce '{\"topic\":\"T1\",\"producer_id\":1,\"sequence\":0,"
                 "\"messages\":[\"two\\nlines\",\"\"]}' && "
                 "$CONSUME --id 1 --topics T1 --logs $DIR --expect 2 && "
                 "printf 'T1     two\\\\nlines\\nT1     \\n' | diff - $DIR/consumer_1.txt");
    end();
}

static void the_time_stamps_can_be_followed(void)
{
    begin();
    write_log("23:59:59\ta\tP1-1\tT1\n00:00:00\tb\tP1-2\tT1\n00:00:00\tc\tP1-3\tT1\n");
    CHECK_RUN(0, "$PRODUCE --id 1 --topics T1 --logs $DIR --pace real --history $DIR/h");
    CHECK_RUN(0, "/usr/bin/python3 - <<'END'\n"
                 "import json, os\n"
                 "h = [json.loads(line) for line in open(os.environ['DIR'] + '/h')]\n"
                 "t = [e['t'] for e in h if (e['op'], e['type']) == ('send', 'invoke')]\n"
                 "assert len(t) == 3 and t[1] - t[0] >= 9e8, t\n"
                 "END\n");
    end();
}

static void a_signal_ends_them_cleanly(void)
{
    begin();
    write_log("00:00:00\ta\tP1-1\tT1\n11:00:00\tb\tP1-2\tT1\n");
    CHECK_RUN(1, "$PRODUCE --id 1 --topics T1 --logs $DIR --pace real --history $DIR/h & p=$!; "
                 "until grep -qs '\"send\",\"type\":\"ok\"' $DIR/h; do sleep 0.02; done; "
                 "kill -TERM $p; wait $p");
    check_output("producer 1: 1 of 2 messages delivered");
    check_output("1 not sent, stopped by a signal");
    CHECK_RUN(0, "$CONSUME --id 1 --topics T1 --logs $DIR --idle 600 --history $DIR/c & c=$!; "
                 "until grep -qs receive $DIR/c; do sleep 0.02; done; kill -TERM $c; wait $c");
    check_output("consumer 1: 1 messages received");
    check_output("stopped by a signal");
    CHECK_RUN(1, "$PRODUCE --id 1 --topics T1 --logs $DIR --gate $DIR/never --history $DIR/g & "
                 "p=$!; until grep -qs producer_id $DIR/g; do sleep 0.02; done; "
                 "kill -TERM $p; wait $p");
    check_output("0 of 2 messages delivered");
    end();
}

/* The first message was stored, but the answer never arrives; the second was not sent. */
static void a_stopped_producer_accounts_for_every_message(void)
{
    static const char *const faults[] = {"drop_reply", "hang"};
    for (size_t i = 0; i < 2; i++) {
        char plan[128];
        begin();
        write_log("00:00:00\ta\tP1-1\tT1\n00:00:00\tb\tP1-2\tT1\n00:00:00\tc\tP1-3\tT1\n");
        snprintf(plan, sizeof plan, "{\"path\":\"/producer/produce\",\"do\":\"%s\",\"times\":-1}",
                 faults[i]);
        make_plan(plan);
        CHECK_RUN(1, "$PRODUCE --id 1 --topics T1 --logs $DIR --history $DIR/h & p=$!; "
                     "until curl -sf http://$MYQUEUE_BROKER/fake/state | "
                     "grep -q 'producer/produce'; do sleep 0.02; done; "
                     "kill -TERM $p; wait $p");
        check_output("producer 1: 0 of 3 messages delivered, 1 unknown (stored or not), "
                     "2 not sent, stopped by a signal\n");
        CHECK_RUN(0, "grep '\"op\":\"send\",\"type\":\"info\",\"line\":1,' $DIR/h");
        end();
    }
}

/* ---- going on as the same --------------------------------------------------------- */

/* The first requests are answered, then one is done and its answer never comes. */
static void let_hang(const char *path, int answered)
{
    char plan[256];
    snprintf(plan, sizeof plan,
             "{\"path\":\"%s\",\"do\":\"nothing else\",\"times\":%d},"
             "{\"path\":\"%s\",\"do\":\"hang\"}",
             path, answered, path);
    make_plan(plan);
}

/* Run a program until its request number `hung` of the test hangs; then kill it. */
static void kill_when_it_hangs(const char *command, int hung)
{
    CHECK_RUN(137,
              "%s & p=$!; until test $(curl -sf http://$MYQUEUE_BROKER/fake/state | "
              "grep -o '\"fault\": \"hang\"' | wc -l) = %d; do sleep 0.02; done; "
              "kill -KILL $p; wait $p",
              command, hung);
}

static void a_killed_producer_goes_on_as_the_same(void)
{
    static const char command[] = "$PRODUCE --id 1 --topics T1 T2 --logs scenarios/2p2c "
                                  "--state $DIR/state --history $DIR/h 2>&1";
    begin();
    for (int life = 1; life <= 3; life++) {
        let_hang("/producer/produce", 10 * (life - 1));
        kill_when_it_hangs(command, life);
    }
    CHECK_RUN(0, "%s", command);
    check_output("producer 1: 300 of 300 messages delivered");
    check_output(" of them before");
    CHECK_RUN(0, "%s", command); /* there is nothing left to do */
    CHECK_RUN(0, "grep -c '\"op\":\"start\"' $DIR/h | grep -x 5; "
                 "tail -n 1 $DIR/h | grep '\"incarnation\":5}'");
    CHECK_RUN(0, "cp scenarios/2p2c/producer_1.txt $DIR; "
                 "$CONSUME --id 1 --topics T1 T2 --logs $DIR --idle 1");
    check_received(1, "T1|T2");
    for (int t = 1; t <= 2; t++) {
        CHECK_RUN(
            0,
            "cd $DIR; grep '^T%d ' consumer_1.txt > got; "
            "awk -F '\t+' '$NF == \"T%d\" {print \"T%d     \" $2}' producer_1.txt | diff - got",
            t, t, t);
    }
    end();
}

/* What was refused in an earlier life is not sent again, nor was it delivered. */
static void refused_in_an_earlier_life_is_not_delivered(void)
{
    static const char command[] = "$PRODUCE --id 1 --topics T1 --logs $DIR --state $DIR/state 2>&1";
    begin();
    write_log("00:00:00\ta\tP1-1\tT1\n00:00:00\tb\tP1-2\tT1\n"
              "00:00:00\tc\tP1-3\tT1\n00:00:00\td\tP1-4\tT1\n");
    make_plan("{\"path\":\"/producer/produce\",\"do\":\"nothing else\"},"
              "{\"path\":\"/producer/produce\",\"do\":\"refuse\"},"
              "{\"path\":\"/producer/produce\",\"do\":\"hang\"}");
    kill_when_it_hangs(command, 1);
    CHECK_RUN(1, "%s", command);
    check_output("producer 1: 3 of 4 messages delivered");
    check_output(", 1 of them before, 1 refused\n");
    CHECK_RUN(1, "%s", command);
    check_output(", 3 of them before, 1 refused\n");
    end();
}

static void a_killed_consumer_goes_on_as_the_same(void)
{
    static const char command[] = "$CONSUME --id 1 --topics T1 T2 --logs $DIR --expect 600 "
                                  "--state $DIR/state --history $DIR/h 2>&1";
    begin();
    CHECK_RUN(0, "cp scenarios/2p2c/producer_*.txt $DIR; echo old > $DIR/consumer_1.txt; "
                 "$PRODUCE --id 1 --topics T1 T2 --logs $DIR");
    for (int life = 1; life <= 2; life++) {
        /* Not all of it. The first life gets two answers and asks for two sizes, each with a
         * consume of its own, and hangs in the next size; the second has one answer. */
        let_hang("/consumer/consume", life == 1 ? 4 : 1);
        kill_when_it_hangs(command, life);
        CHECK_RUN(0, "printf 'T1     not a whole li' >> $DIR/consumer_1.txt");
        if (life == 1) {
            CHECK_RUN(0, "$PRODUCE --id 2 --topics T1 T2 --logs $DIR");
        }
    }
    CHECK_RUN(0, "%s", command);
    check_received(1, "T1|T2");
    CHECK_RUN(0, "cd $DIR && $CONSUME --id 2 --topics T1 --logs . --idle 1 && "
                 "grep '^T1 ' consumer_1.txt | diff - consumer_2.txt");
    CHECK_RUN(0, "grep '\"incarnation\":2,\"lines\":{\"T1\":[1-9][0-9]*,\"T2\":[1-9]' $DIR/h");
    /* Before its first consume it asks what the broker has saved. */
    for (int topic = 1; topic <= 2; topic++) {
        CHECK_RUN(0,
                  "sed -n '/\"incarnation\":2/,/\"incarnation\":3/p' $DIR/h | "
                  "grep '\"op\":\"\\(saved\",\"type\":\"ok\\|request\",\"type\":\"invoke\\)\",.*"
                  "\"topic\":\"T%d\"' | head -1 | grep '\"op\":\"saved\".*\"size\":'",
                  topic);
    }
    CHECK_RUN(0, "%s", command); /* it has all */
    end();
}

/* T1 has 350 messages: 100 of them, all from the first on, then the last 10 again. */
static void a_consumer_seeks(void)
{
    static const char command[] =
        "$CONSUME --id 1 --topics T1 --logs $DIR --seek 100:0:T1 --seek 450:340:T1 "
        "--state $DIR/state --history $DIR/h --expect 460";
    static const char right[] =
        "cd $DIR && (head -100 whole; cat whole; tail -10 whole) | diff - consumer_1.txt";
    begin();
    CHECK_RUN(0, "cp scenarios/2p2c/producer_*.txt $DIR; for p in 1 2; do "
                 "$PRODUCE --id $p --topics T1 T2 --logs $DIR; done; "
                 "$CONSUME --id 2 --topics T1 --logs $DIR --idle 1 && "
                 "mv $DIR/consumer_2.txt $DIR/whole");
    CHECK_RUN(0, "%s", command);
    CHECK_RUN(0, "%s", right);
    CHECK_RUN(0, "test $(grep -c '\"op\":\"seek\",\"type\":\"ok\"' $DIR/h) = 2");
    /* Wherever it was killed, it goes on as the same: behind a seek, at one, before one. */
    for (int lines = 50; lines <= 450; lines += 50) {
        CHECK_RUN(0, "cd $DIR && head -%d consumer_1.txt > cut && cat cut > consumer_1.txt", lines);
        CHECK_RUN(0, "%s", command);
        CHECK_RUN(0, "%s", right);
    }
    CHECK_RUN(1, "$CONSUME --id 3 --topics T1 --logs $DIR --seek 1:351:T1 --retry 1 2>&1");
    check_output("cannot go on at offset 351 of topic T1");
    end();
}

/* Behind an outcome that stays unknown nothing is sent, so that all can be sent again. */
static void a_producer_that_gives_up_goes_on_as_the_same(void)
{
    static const char command[] = "$PRODUCE --id 1 --topics T1 --logs $DIR --state $DIR/state";
    begin();
    write_log("00:00:00\ta\tP1-1\tT1\n00:00:00\tb\tP1-2\tT1\n00:00:00\tc\tP1-3\tT1\n");
    make_plan("{\"path\":\"/producer/produce\",\"do\":\"drop_reply\",\"times\":-1}");
    CHECK_RUN(1, "%s --retry 1", command);
    check_output("0 of 3 messages delivered, 1 unknown (stored or not), 2 not sent");
    make_plan("");
    CHECK_RUN(0, "%s", command);
    CHECK_RUN(
        0,
        "curl -sf http://$MYQUEUE_BROKER/fake/state | grep -F '{\"T1\": [\"a\", \"b\", \"c\"]}'");
    end();
}

static void a_state_that_is_not_its_own_is_refused(void)
{
    static const struct {
        const char *state;
        const char *expected;
    } rows[] = {
        {"myqueue-produce 2\n", "/state:1: 'myqueue-produce 2' is not what myqueue-produce 1 with"},
        {"myqueue-produce 1\n7 0 0 T2\n", "/state:2: '7 0 0 T2' is not what"},
        {"myqueue-produce 1\nlife\n7 x 0 T1\n", "/state:3: '7 x 0 T1' is not what"},
    };
    begin();
    write_log("00:00:00\ta\tP1-1\tT1\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_RUN(0, "printf '%s' > $DIR/state", rows[i].state);
        CHECK_RUN(2, "$PRODUCE --id 1 --topics T1 --logs $DIR --state $DIR/state 2>&1");
        check_output(rows[i].expected);
        CU_ASSERT_EQUAL(output_lines(), 1);
    }
    CHECK_RUN(0, "printf 'myqueue-produce 1\nlife\n7 1' > $DIR/state"); /* a torn line is none */
    CHECK_RUN(0, "$PRODUCE --id 1 --topics T1 --logs $DIR --state $DIR/state 2>&1");
    CHECK_RUN(0, "flock $DIR/state sh -c '! $PRODUCE --id 1 --topics T1 --logs $DIR "
                 "--state $DIR/state' 2>&1");
    check_output("another program keeps its state there");
    end();
}

static void a_rate_is_of_a_time_that_can_be_measured(void)
{
    static const struct {
        int64_t done, took_us;
        const char *words;
    } rows[] = {
        {994, 2000000, " in 2.00 s (497/s)"},
        {100, 10000, " in 0.01 s (10000/s)"},
        {997, 1000, " in under 0.01 s"},
        {1, 0, " in under 0.01 s"},
        {0, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct progress progress = {.done = rows[i].done, .done_us = rows[i].took_us};
        char words[PROGRESS_WORDS_BYTES];
        progress_words(&progress, words);
        CU_ASSERT_STRING_EQUAL(words, rows[i].words);
    }
}

static void the_generator_writes_what_is_committed(void)
{
    CHECK_RUN(0, "/usr/bin/python3 scenarios/generate.py --check 2>&1");
}

static const struct suite_test tests[] = {
    {"refuses bad usage", refuses_bad_usage},
    {"says what it is", says_what_it_is},
    {"a bad line stops it before anything is sent", a_bad_line_stops_it_before_anything_is_sent},
    {"a broker that is down is given up", a_broker_that_is_down_is_given_up},
    {"a wait for the broker is told, and a signal ends it",
     a_wait_for_the_broker_is_told_and_a_signal_ends_it},
    {"what was received before is kept until the broker answers",
     what_was_received_before_is_kept_until_the_broker_answers},
    {"a consumer tells which topics it created", a_consumer_tells_which_topics_it_created},
    {"a whole scenario is delivered", a_whole_scenario_is_delivered},
    {"histories tell all", histories_tell_all},
    {"too few messages are a failure", too_few_messages_are_a_failure},
    {"a newline in a message makes no line", a_newline_in_a_message_makes_no_line},
    {"the time stamps can be followed", the_time_stamps_can_be_followed},
    {"a signal ends them cleanly", a_signal_ends_them_cleanly},
    {"a killed producer goes on as the same", a_killed_producer_goes_on_as_the_same},
    {"a killed consumer goes on as the same", a_killed_consumer_goes_on_as_the_same},
    {"a consumer seeks", a_consumer_seeks},
    {"a producer that gives up goes on as the same", a_producer_that_gives_up_goes_on_as_the_same},
    {"refused in an earlier life is not delivered", refused_in_an_earlier_life_is_not_delivered},
    {"a state that is not its own is refused", a_state_that_is_not_its_own_is_refused},
    {"a stopped producer accounts for every message",
     a_stopped_producer_accounts_for_every_message},
    {"a rate is of a time that can be measured", a_rate_is_of_a_time_that_can_be_measured},
    {"the generator writes what is committed", the_generator_writes_what_is_committed},
};

int main(void)
{
    char self[PATH_MAX];
    char program[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length == -1) {
        perror("/proc/self/exe");
        return 1;
    }
    self[length] = '\0';
    const char *build = dirname(dirname(dirname(dirname(self)))); /* over tests/scenarios/tests */
    snprintf(program, sizeof program, "%s/myqueue-produce", build);
    setenv("PRODUCE", program, 1);
    snprintf(program, sizeof program, "%s/myqueue-consume", build);
    setenv("CONSUME", program, 1);
    return suite_run("programs", tests, sizeof tests / sizeof *tests);
}
