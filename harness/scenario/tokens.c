/*
 * tokens.c - blanks, words and numbers.
 */
#include "harness/scenario/tokens.h"

bool token_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct slice token_trimmed(struct slice s)
{
    while (s.size > 0 && token_is_blank(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && token_is_blank(s.data[s.size - 1])) {
        s.size--;
    }
    return s;
}

struct slice token_take(struct slice *rest)
{
    *rest = token_trimmed(*rest);
    struct slice word = {rest->data, 0};
    while (word.size < rest->size && !token_is_blank(rest->data[word.size])) {
        word.size++;
    }
    rest->data += word.size;
    rest->size -= word.size;
    return word;
}

bool token_number(struct slice s, int64_t largest, int64_t *out)
{
    int64_t value = 0;

    if (s.size == 0 || s.size > 18 || (s.size > 1 && s.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
        value = value * 10 + (s.data[i] - '0');
    }
    *out = value;
    return value <= largest;
}
