/*
 * test_common.c - buffers, lists, UTF-8, JSON, options, the door.
 */
#include "common/buffer.h"
#include "common/http_door.h"
#include "common/json.h"
#include "common/list.h"
#include "common/options.h"
#include "common/status.h"
#include "common/tests/suite.h"
#include "common/utf8.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void buffer_grows_and_ends_in_nul(void)
{
    struct buffer b = BUFFER_INIT;

    for (int i = 0; i < 1000; i++) {
        buffer_append_int(&b, i % 10);
    }
    CU_ASSERT_EQUAL(b.size, 1000);
    CU_ASSERT_EQUAL(strlen(b.data), 1000);
    buffer_clear(&b);
    buffer_append_int(&b, INT64_MIN);
    buffer_append_char(&b, ' ');
    buffer_append_int(&b, INT64_MAX);
    buffer_printf(&b, " %s", "x");
    CU_ASSERT_STRING_EQUAL(b.data, "-9223372036854775808 9223372036854775807 x");
    buffer_release(&b);
}

static void buffer_refuses_what_overflows(void)
{
    struct buffer b = BUFFER_INIT;

    buffer_append_string(&b, "kept");
    CU_ASSERT_FALSE(buffer_reserve(&b, SIZE_MAX - 1));
    CU_ASSERT_TRUE(b.failed);
    buffer_append_string(&b, " and nothing after a failure");
    CU_ASSERT_STRING_EQUAL(b.data, "kept");
    buffer_release(&b);
}

static void buffer_reads_files_up_to_a_limit(void)
{
    char path[] = "/tmp/myqueue-test.XXXXXX";
    struct buffer b = BUFFER_INIT;
    int fd = mkstemp(path);

    CU_ASSERT_EQUAL_FATAL(write(fd, "0123456789", 10), 10);
    close(fd);
    CU_ASSERT_EQUAL(buffer_read_file(&b, path, 10), 0);
    CU_ASSERT_STRING_EQUAL(b.data, "0123456789");
    buffer_clear(&b);
    CU_ASSERT_EQUAL(buffer_read_file(&b, path, 9), EFBIG);
    unlink(path);
    buffer_clear(&b);
    CU_ASSERT_EQUAL(buffer_read_file(&b, path, 9), ENOENT);
    buffer_release(&b);
}

struct item {
    int number;
    struct list node;
};

static void lists_keep_order(void)
{
    struct item items[5];
    struct list first;
    struct list second;
    int sum = 0;

    list_init(&first);
    list_init(&second);
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_append(i < 3 ? &first : &second, &items[i].node);
    }
    list_remove(&items[1].node);
    list_remove(&items[1].node); /* twice does no harm */
    list_move(&first, &second);
    CU_ASSERT_TRUE(list_empty(&second));
    list_move(&first, &second);
    LIST_FOREACH(node, &first) {
        sum = sum * 10 + LIST_ENTRY(node, struct item, node)->number;
        list_remove(node);
    }
    CU_ASSERT_EQUAL(sum, 234); /* 0, 2, 3, 4 */
    CU_ASSERT_TRUE(list_pop(&first) == NULL);
}

static void utf8_takes_what_unicode_takes(void)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xe9z"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CU_ASSERT_TRUE(utf8_valid(slice_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_FALSE(utf8_valid(slice_of(bad[i])));
    }
}

static void expect_json(const char *text, enum json_result expected)
{
    struct json_document document;
    enum json_result result = json_parse(&document, slice_of(text));

    if (result != expected) {
        printf("\n    %s: %d, expected %d\n", text, result, expected);
    }
    CU_ASSERT_EQUAL(result, expected);
    CU_ASSERT_EQUAL(json_root(&document) != NULL, expected == JSON_OK);
    json_release(&document);
}

static void json_refuses_what_is_not_json(void)
{
    static const char *const bad[] = {"",           "{",           "{}x",     "{} {}",
                                      "{\"a\":1,}", "'a'",         "{a:1}",   "\"a\nb\"",
                                      "\"\x01\"",   "\"\\ud800\"", "\"\\x\"", "nul"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect_json(bad[i], JSON_BAD_SYNTAX);
    }
    expect_json("\"a\\uzzzzb\"", JSON_BAD_SYNTAX);
    expect_json("\"a\\u00\"", JSON_BAD_SYNTAX);
    expect_json("\"\xff\"", JSON_BAD_UTF8);
    expect_json("{\"a\": \"\xff", JSON_BAD_UTF8); /* which goes before syntax */
    expect_json("\"a\\u0000b\"", JSON_HAS_NUL);
    expect_json("\"a\\\\u0000b\"", JSON_OK); /* a backslash, and then letters */
    expect_json("\"a\\\\\\u0000b\"", JSON_HAS_NUL);
    expect_json(" {\"a\": [1, \"\\ud83d\\ude00\"]} \n", JSON_OK);
}

static void json_ints_are_whole_and_exact(void)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {{"0", true, 0},
                {"-7", true, -7},
                {"1e3", true, 1000},
                {"9007199254740992", true, 9007199254740992},
                {"2147483648", true, 2147483648},
                {"9007199254740994", false, 0},
                {"1.5", false, 0},
                {"\"1\"", false, 0},
                {"true", false, 0},
                {"null", false, 0}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_document document;
        int64_t value = 0;
        CU_ASSERT_EQUAL_FATAL(json_parse(&document, slice_of(rows[i].text)), JSON_OK);
        CU_ASSERT_EQUAL(json_int(json_root(&document), &value), rows[i].good);
        CU_ASSERT_EQUAL(value, rows[i].value);
        json_release(&document);
    }
    CU_ASSERT_FALSE(json_int(NULL, &(int64_t){0}));
}

/* Every code point, written and parsed again, is what it was. */
static void json_strings_come_back(void)
{
    struct buffer text = BUFFER_INIT;
    struct buffer json = BUFFER_INIT;
    struct json_document document;
    struct slice back;

    for (int c = 1; c < 128; c++) {
        buffer_append_char(&text, (char)c);
    }
    buffer_append_string(&text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    json_append_string(&json, buffer_slice(&text));
    CU_ASSERT_EQUAL_FATAL(json_parse(&document, buffer_slice(&json)), JSON_OK);
    CU_ASSERT_TRUE(json_string(json_root(&document), &back));
    CU_ASSERT_TRUE(slice_equals(back, buffer_slice(&text)));
    json_release(&document);
    buffer_release(&text);
    buffer_release(&json);
}

/* ---- options --------------------------------------------------------------------------- */

static const char *option_name;
static const char *option_color;
static int64_t option_count;
static bool option_loud;

static enum options_result parse(char *one, char *two)
{
    static const struct option_row rows[] = {
        {.name = "name", .type = OPTION_TEXT, .value = &option_name, .text = "x", .help = "name"},
        {.name = "color",
         .type = OPTION_CHOICE,
         .value = &option_color,
         .text = "red",
         .choices = "red|green",
         .help = "color"},
        {.name = "item-count",
         .type = OPTION_INT,
         .value = &option_count,
         .number = 3,
         .smallest = 1,
         .largest = 9,
         .unit = "items",
         .help = "count"},
        {.name = "loud", .type = OPTION_FLAG, .value = &option_loud, .help = "loud"}};
    const struct options options = {.program = "test",
                                    .version = "1",
                                    .summary = "",
                                    .env_prefix = "TEST_",
                                    .rows = rows,
                                    .row_count = sizeof rows / sizeof *rows};
    char *argv[] = {(char[]){"test"}, one, two, NULL};

    return options_parse(&options, one == NULL ? 1 : two == NULL ? 2 : 3, argv, NULL);
}

static void options_default_environment_line(void)
{
    unsetenv("TEST_ITEM_COUNT");
    CU_ASSERT_EQUAL(parse(NULL, NULL), OPTIONS_OK);
    CU_ASSERT_EQUAL(option_count, 3);
    CU_ASSERT_STRING_EQUAL(option_color, "red");
    setenv("TEST_ITEM_COUNT", "5", 1);
    CU_ASSERT_EQUAL(parse(NULL, NULL), OPTIONS_OK);
    CU_ASSERT_EQUAL(option_count, 5);
    CU_ASSERT_EQUAL(parse((char[]){"--item-count"}, (char[]){"7"}), OPTIONS_OK);
    CU_ASSERT_EQUAL(option_count, 7);
    setenv("TEST_ITEM_COUNT", "", 1); /* as good as none */
    CU_ASSERT_EQUAL(parse(NULL, NULL), OPTIONS_OK);
    CU_ASSERT_EQUAL(option_count, 3);
    unsetenv("TEST_ITEM_COUNT");
}

/* A flag has no value, and is not taken from the environment. */
static void options_flags(void)
{
    setenv("TEST_LOUD", "1", 1);
    CU_ASSERT_EQUAL(parse(NULL, NULL), OPTIONS_OK);
    CU_ASSERT_FALSE(option_loud);
    unsetenv("TEST_LOUD");
    CU_ASSERT_EQUAL(parse((char[]){"--loud"}, NULL), OPTIONS_OK);
    CU_ASSERT_TRUE(option_loud);
    CU_ASSERT_EQUAL(parse((char[]){"--loud=1"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse(NULL, NULL), OPTIONS_OK);
    CU_ASSERT_FALSE(option_loud);
}

static void options_refuse_bad_values(void)
{
    char green[] = "--color=green"; /* the value borrows from it */

    CU_ASSERT_EQUAL(parse((char[]){"--item-count=0"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--item-count=10"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--item-count=2x"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--item-count="}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--color=re"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--color=red|green"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--colour=red"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"--name"}, NULL), OPTIONS_BAD);
    CU_ASSERT_EQUAL(parse((char[]){"operand"}, NULL), OPTIONS_BAD);
    setenv("TEST_COLOR", "blue", 1);
    CU_ASSERT_EQUAL(parse(NULL, NULL), OPTIONS_BAD);
    unsetenv("TEST_COLOR");
    CU_ASSERT_EQUAL(parse(green, NULL), OPTIONS_OK);
    CU_ASSERT_STRING_EQUAL(option_color, "green");
}

/* Two loops' doors at one address. The first is closed while somebody knocks: the second still
 * listens, and nobody is told of a door that is gone. */
static void a_closed_door_is_quiet(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct http_door *doors[2];
    struct epoll_event event;
    atomic_int connections = 0;
    int epolls[2];

    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_EQUAL_FATAL(bind(listening, (struct sockaddr *)&address, size), 0);
    CU_ASSERT_EQUAL_FATAL(listen(listening, 8), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(listening, (struct sockaddr *)&address, &size), 0);
    for (int i = 0; i < 2; i++) {
        epolls[i] = epoll_create1(0);
        doors[i] = http_door_open(i == 0 ? dup(listening) : listening, epolls[i], &connections, 8);
        CU_ASSERT_PTR_NOT_NULL_FATAL(doors[i]);
    }
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(connect(client, (struct sockaddr *)&address, size), 0);
    http_door_close(doors[0]);
    CU_ASSERT_EQUAL(epoll_wait(epolls[0], &event, 1, 0), 0);
    CU_ASSERT_EQUAL(epoll_wait(epolls[1], &event, 1, 0), 1);
    http_door_close(doors[1]);
    close(client);
    close(epolls[0]);
    close(epolls[1]);
}

static void statuses_have_code_and_words(void)
{
    CU_ASSERT_EQUAL(status_http(STATUS_OK), 200);
    CU_ASSERT_EQUAL(status_http(STATUS_NO_MESSAGE), 400);
    CU_ASSERT_STRING_EQUAL(status_code(STATUS_OUTCOME_UNKNOWN), "outcome_unknown");
    CU_ASSERT_TRUE(strlen(status_words(STATUS_FENCED)) > 0);
}

SUITE("common", {"buffer_grows_and_ends_in_nul", buffer_grows_and_ends_in_nul},
      {"buffer_refuses_what_overflows", buffer_refuses_what_overflows},
      {"buffer_reads_files_up_to_a_limit", buffer_reads_files_up_to_a_limit},
      {"lists_keep_order", lists_keep_order},
      {"utf8_takes_what_unicode_takes", utf8_takes_what_unicode_takes},
      {"json_refuses_what_is_not_json", json_refuses_what_is_not_json},
      {"json_ints_are_whole_and_exact", json_ints_are_whole_and_exact},
      {"json_strings_come_back", json_strings_come_back},
      {"options_default_environment_line", options_default_environment_line},
      {"a flag has no value", options_flags},
      {"options_refuse_bad_values", options_refuse_bad_values},
      {"a_closed_door_is_quiet", a_closed_door_is_quiet},
      {"statuses_have_code_and_words", statuses_have_code_and_words})
