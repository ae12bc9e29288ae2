/*
 * html.c - what could be markup becomes a reference; what would not be seen, a symbol.
 */
#include "harness/report/html.h"

void html_slice(struct buffer *b, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '&') {
            buffer_append_string(b, "&amp;");
        } else if (c == '<') {
            buffer_append_string(b, "&lt;");
        } else if (c == '>') {
            buffer_append_string(b, "&gt;");
        } else if (c == '"') {
            buffer_append_string(b, "&quot;");
        } else if (c == '\'') {
            buffer_append_string(b, "&#39;");
        } else if (c < 0x20 || c == 0x7F) {
            buffer_printf(b, "&#x%X;", c == 0x7F ? 0x2421U : 0x2400U + c);
        } else {
            buffer_append_char(b, (char)c);
        }
    }
}

void html_text(struct buffer *b, const char *text)
{
    if (text != NULL) {
        html_slice(b, slice_of(text));
    }
}
