/*
 * main.c - myqueue-powercut: what a folder's programs wrote and had not yet synced is lost.
 *
 *   myqueue-powercut begin FOLDER
 *   LD_PRELOAD=libpowercut.so POWERCUT_FOLDER=FOLDER PROGRAM...      and kill it
 *   myqueue-powercut look FOLDER                                     while it is stopped
 *   myqueue-powercut cut FOLDER [SEED]
 */
#include "harness/powercut/cut.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 254

static const char help[] =
    "usage: myqueue-powercut begin FOLDER\n"
    "       myqueue-powercut look FOLDER\n"
    "       myqueue-powercut cut FOLDER [SEED]\n"
    "\n"
    "Take from FOLDER what was not yet on the disk, as a power cut does.\n"
    "\n"
    "begin   what FOLDER holds now is on the disk; from now on its programs run with\n"
    "        LD_PRELOAD=libpowercut.so and POWERCUT_FOLDER=FOLDER\n"
    "look    while they are stopped (SIGSTOP): what a cut would undo now; changes nothing.\n"
    "cut     once they were killed: all that they had not synced is gone, and FOLDER is as\n"
    "        after a begin. With a SEED (1 or more) some of it is not, sector by sector.\n"
    "        Both print it: `bytes=N names=N survived=N`.\n"
    "\n"
    "What the disk holds is kept in FOLDER.disk. harness/powercut/disk.h tells how.\n";

static bool seed_parse(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out > 0;
}

int main(int argc, char **argv)
{
    struct disk disk;
    struct cut_loss loss;
    uint64_t seed = 0;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    bool begins = argc == 3 && strcmp(argv[1], "begin") == 0;
    bool looks = argc == 3 && strcmp(argv[1], "look") == 0;
    bool cuts = (argc == 3 || argc == 4) && strcmp(argv[1], "cut") == 0;
    if ((!begins && !looks && !cuts) || (argc == 4 && !seed_parse(argv[3], &seed))) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    disk_open(&disk, argv[2]);
    if (begins) {
        disk_begin(&disk);
        return 0;
    }
    if (looks) {
        disk_look(&disk, &loss);
    } else {
        disk_cut(&disk, seed, &loss);
    }
    printf("bytes=%" PRId64 " names=%" PRId64 " survived=%" PRId64 "\n", loss.bytes, loss.names,
           loss.survived);
    return 0;
}
