/*
 * report_style.h - the style sheet of report.html.
 */
#ifndef HARNESS_REPORT_STYLE_H
#define HARNESS_REPORT_STYLE_H

extern const char report_style[];

#endif
