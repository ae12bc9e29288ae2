/*
 * json_write.c - strings are copied in runs, from one character that needs an escape to the next.
 */
#include "common/json.h"

#include "common/utf8.h"

/* How many bytes of `s` from `from` on need no escape. */
static size_t plain_size(struct slice s, size_t from)
{
    size_t i = from;

    for (; s.size - i >= 8; i += 8) {
        uint64_t word = utf8_word(s.data + i);
        uint64_t found = utf8_below(word, 0x20) | utf8_equal(word, '"') | utf8_equal(word, '\\');
        if (found != 0) {
            return i - from + utf8_before(found);
        }
    }
    for (; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
    }
    return i - from;
}

static void append_escaped(struct buffer *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                    {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (c == (unsigned char)names[i][0]) {
            buffer_append(b, (char[]){'\\', names[i][1]}, 2);
            return;
        }
    }
    buffer_append(b, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

void json_append_string(struct buffer *b, struct slice s)
{
    size_t i = 0;

    buffer_append_char(b, '"');
    while (i < s.size) {
        size_t size = plain_size(s, i);
        buffer_append(b, s.data + i, size);
        i += size;
        if (i < s.size) {
            append_escaped(b, (unsigned char)s.data[i]);
            i++;
        }
    }
    buffer_append_char(b, '"');
}
