/*
 * html.h - text into HTML.
 *
 * Threads: any.
 */
#ifndef HARNESS_HTML_H
#define HARNESS_HTML_H

#include "common/buffer.h"

/* Text from outside, for content and for attributes in double quotes. Control characters
 * are shown as their symbols (␀ … ␟, ␡). NULL is empty. */
void html_text(struct buffer *b, const char *text);
void html_slice(struct buffer *b, struct slice text);

#endif
