/*
 * settings.c - tools/postgres check, and the first line that it prints.
 */
#include "harness/run/settings.h"

#include "harness/runtime/process.h"
#include "harness/scenario/tokens.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK_LIMIT_MS 15000

bool settings_fit(struct control *c, const char *root, const char *settings, char *reason,
                  size_t reason_size)
{
    struct arguments a = ARGUMENTS_INIT;
    struct slice rest = slice_of(settings);
    struct process p;
    int fd = memfd_create("complaints", MFD_CLOEXEC);

    if (fd < 0) {
        return true;
    }
    arguments_add(&a, "%s/tools/postgres", root);
    arguments_add(&a, "check");
    arguments_add(&a, "/");
    for (struct slice s = token_take(&rest); s.size > 0; s = token_take(&rest)) {
        arguments_add(&a, "%.*s", (int)s.size, s.data);
    }
    if (process_start(&p, c, "tools/postgres check", &a, "/dev/null", fd) &&
        !process_wait(&p, c, CHECK_LIMIT_MS)) {
        process_signal(&p, SIGKILL);
    }
    c->failed = false;
    arguments_release(&a);
    ssize_t size = pread(fd, reason, reason_size - 1, 0);
    close(fd);
    reason[size > 0 ? size : 0] = '\0';
    reason[strcspn(reason, "\n")] = '\0';
    return reason[0] == '\0';
}
