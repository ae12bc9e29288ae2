/*
 * test_logfile.c - what the parser of producers' log files takes, and how it refuses.
 */
#include "scenarios/logfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tests/suite.h"

static struct logfile file;
static char error[LOGFILE_ERROR_BYTES];

static bool parse_bytes(const char *text, size_t length)
{
    char *bytes = malloc(length + 1);
    memcpy(bytes, text, length);
    return logfile_parse("p.txt", bytes, length, &file, error);
}

static bool parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void check_line(size_t index, int number, size_t round, const char *message,
                       const char *label, const char *topic)
{
    CU_ASSERT_FATAL(index < file.count);
    const struct logfile_line *line = &file.lines[index];
    CU_ASSERT_EQUAL(line->number, number);
    CU_ASSERT_EQUAL(line->round, round);
    CU_ASSERT_STRING_EQUAL(line->message, message);
    CU_ASSERT_EQUAL(line->message_length, strlen(message));
    CU_ASSERT_STRING_EQUAL(line->label, label);
    CU_ASSERT_STRING_EQUAL(line->topic, topic);
}

static void check_refused(const char *text, const char *expected)
{
    CU_ASSERT_FALSE(parse(text));
    CU_ASSERT_PTR_NOT_NULL(strstr(error, expected));
    if (strstr(error, expected) == NULL) {
        printf("\n      expected '%s' in '%s'\n", expected, error);
    }
    CU_ASSERT_PTR_NULL(file.lines);
    CU_ASSERT_PTR_NULL(file.bytes);
}

static void takes_the_courses_lines(void)
{
    CU_ASSERT_FATAL(parse("21:52:23\tINFO\t\tP1-1\t\tT1\n"
                          "21:52:23\tDEBUG\t\tP1-1\t\tT-2\n"
                          "21:52:24\tINFO\t\tP1-2\t\tT1\n"
                          "00:00:00\tINFO\t\tP1-1\t\tT1\n"));
    CU_ASSERT_EQUAL(file.count, 4);
    CU_ASSERT_EQUAL(file.rounds, 3);
    check_line(0, 1, 0, "INFO", "P1-1", "T1");
    check_line(1, 2, 0, "DEBUG", "P1-1", "T-2");
    check_line(2, 3, 1, "INFO", "P1-2", "T1");
    check_line(3, 4, 2, "INFO", "P1-1", "T1"); /* not a neighbour of the other P1-1 */
    CU_ASSERT_EQUAL(file.lines[0].time_s, (21 * 60 + 52) * 60 + 23);
    CU_ASSERT_EQUAL(file.lines[3].time_s, 0);
    logfile_release(&file);
}

static void takes_any_blanks_between_fields(void)
{
    CU_ASSERT_FATAL(parse("21:52:23 INFO P1-1 T1\n"
                          "  21:52:23\t user 17\tsigned  in \t P1-1  T1 \t\n"));
    check_line(0, 1, 0, "INFO", "P1-1", "T1");
    check_line(1, 2, 0, "user 17\tsigned  in", "P1-1", "T1");
    logfile_release(&file);
}

static void takes_files_from_elsewhere(void)
{
    CU_ASSERT_FATAL(parse("\xEF\xBB\xBF"
                          "21:52:23\tINFO\tP1-1\tT1\r\n"
                          "\r\n"
                          "   \n"
                          "\n"
                          "21:52:23\tf\xC3\xBCnf \"\\\x07\tP1-1\tT1")); /* no newline */
    CU_ASSERT_EQUAL(file.count, 2);
    check_line(0, 1, 0, "INFO", "P1-1", "T1");
    check_line(1, 5, 0, "f\xC3\xBCnf \"\\\x07", "P1-1", "T1");
    logfile_release(&file);
}

static void refuses_a_bad_time(void)
{
    check_refused("21:52\tINFO\tP1-1\tT1\n", "p.txt:1: '21:52' is not a time; expected HH:MM:SS");
    check_refused("24:00:00\tINFO\tP1-1\tT1\n", "is not a time");
    check_refused("23:60:00\tINFO\tP1-1\tT1\n", "is not a time");
    check_refused("23:00:60\tINFO\tP1-1\tT1\n", "is not a time");
    check_refused("23:00:000\tINFO\tP1-1\tT1\n", "is not a time");
    check_refused("2a:00:00\tINFO\tP1-1\tT1\n", "is not a time");
    check_refused("INFO\tP1-1\tT1\n", "'INFO' is not a time");
    check_refused("x\n", "'x' is not a time");
}

static void refuses_a_missing_field(void)
{
    check_refused("21:52:23\tINFO\tP1-1\tT1\n\n21:52:23\tP1-1\tT1\n",
                  "p.txt:3: a field is missing; expected time, message, label and topic");
    check_refused("21:52:23\tT1\n", "a field is missing");
    check_refused("21:52:23\n", "a field is missing");
    check_refused("21:52:23 \t \n", "a field is missing");
}

static void refuses_what_is_no_text(void)
{
    static const char nul[] = "21:52:23\tIN\0FO\tP1-1\tT1\n";
    check_refused("21:52:23\tIN\xFF"
                  "FO\tP1-1\tT1\n",
                  "p.txt:1: byte 12 (0xFF) is not UTF-8");
    check_refused("21:52:23\tI\xED\xA0\x80\tP1-1\tT1\n", "is not UTF-8");
    check_refused("21:52:23\tI\xC0\x80\tP1-1\tT1\n", "is not UTF-8");
    check_refused("21:52:23\tI\xE2\x82\tP1-1\tT1\n", "is not UTF-8");
    check_refused("21:52:23\tINFO\tP1-1\tT\x01\n", "control character 0x01");
    CU_ASSERT_FALSE(parse_bytes(nul, sizeof nul - 1));
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "p.txt:1: the line holds a NUL"));
}

static void refuses_an_empty_file(void)
{
    check_refused("", "p.txt: the file has no line to send");
    check_refused("\n \n", "no line to send");
}

/* A line of `length` bytes, all but a few of them message, then a newline. */
static char *long_line(size_t length)
{
    static const char head[] = "21:52:23\t";
    static const char tail[] = "\tP1-1\tT1\n";
    char *line = malloc(length + 2);
    memset(line, 'm', length + 1);
    memcpy(line, head, sizeof head - 1);
    memcpy(line + length + 1 - (sizeof tail - 1), tail, sizeof tail);
    return line;
}

static void knows_the_limit_of_a_line(void)
{
    char *line = long_line(LOGFILE_LINE_BYTES_MAX);
    CU_ASSERT(parse(line));
    logfile_release(&file);
    free(line);
    line = long_line(LOGFILE_LINE_BYTES_MAX + 1);
    check_refused(line, "p.txt:1: the line has 1049601 bytes; at most 1049600 are allowed");
    free(line);
}

static void knows_the_limit_of_a_topic(void)
{
    char line[300];
    int head = snprintf(line, sizeof line, "21:52:23\tINFO\tP1-1\t");
    memset(line + head, 't', LOGFILE_TOPIC_BYTES_MAX + 1);
    line[head + LOGFILE_TOPIC_BYTES_MAX + 1] = '\0';
    check_refused(line, "the topic has 201 bytes; at most 200 are allowed");
    line[head + LOGFILE_TOPIC_BYTES_MAX] = '\0';
    CU_ASSERT(parse(line));
    logfile_release(&file);
}

static void says_why_a_file_cannot_be_read(void)
{
    CU_ASSERT_FALSE(logfile_read("no/such/file", &file, error));
    CU_ASSERT_STRING_EQUAL(error, "cannot read no/such/file: No such file or directory");
    CU_ASSERT_FALSE(logfile_read("scenarios", &file, error));
    CU_ASSERT_STRING_EQUAL(error, "cannot read scenarios: Is a directory");
}

/* The scenarios' own files: how many lines, rounds, and lines of each topic. */
static void reads_the_scenarios_files(void)
{
    static const char *const names[] = {"T1", "T2", "T3"};
    size_t lines = 0;
    size_t topics[3] = {0};
    for (int producer = 1; producer <= 5; producer++) {
        char path[64];
        snprintf(path, sizeof path, "scenarios/5p3c/producer_%d.txt", producer);
        CU_ASSERT_FATAL(logfile_read(path, &file, error));
        CU_ASSERT_EQUAL(file.count, 993);
        CU_ASSERT(file.rounds >= 331);
        lines += file.count;
        for (size_t i = 0; i < file.count; i++) {
            for (int t = 0; t < 3; t++) {
                topics[t] += strcmp(file.lines[i].topic, names[t]) == 0;
            }
        }
        logfile_release(&file);
    }
    CU_ASSERT_EQUAL(lines, 4965);
    CU_ASSERT_EQUAL(topics[0], 1821);
    CU_ASSERT_EQUAL(topics[1], 2317);
    CU_ASSERT_EQUAL(topics[2], 827);
}

SUITE("logfile", {"takes the course's lines", takes_the_courses_lines},
      {"takes any blanks between fields", takes_any_blanks_between_fields},
      {"takes files from elsewhere", takes_files_from_elsewhere},
      {"refuses a bad time", refuses_a_bad_time},
      {"refuses a missing field", refuses_a_missing_field},
      {"refuses what is no text", refuses_what_is_no_text},
      {"refuses an empty file", refuses_an_empty_file},
      {"knows the limit of a line", knows_the_limit_of_a_line},
      {"knows the limit of a topic", knows_the_limit_of_a_topic},
      {"says why a file cannot be read", says_why_a_file_cannot_be_read},
      {"reads the scenarios' files", reads_the_scenarios_files})
