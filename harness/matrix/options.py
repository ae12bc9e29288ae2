"""options.py - what a person gives to make soak, faults, crash-points, mutants and judge.

A make variable is an option of the program that its target runs: MINUTES=60 is --minutes 60. A
complaint is one line that names both, what was given, and what would be right.
"""

import argparse
import os
import re

VARIABLES = {"--stores": "STORE", "CONF": "SUT"}  # where the name is not the option's own
JOBS_MAX = 256


class Parser(argparse.ArgumentParser):
    def error(self, message):
        """`argument NAME: why` is argparse's; the rest it says in its own words."""
        match = re.fullmatch(r"argument ([^:]+): (.*)", message, re.S)
        if match:
            option = match[1].split("/")[-1]
            why = re.sub(r"^ignored explicit argument (.*)$", r"\1 is no switch: 1 is on, and nothing is off",
                         match[2])
            message = "%s=… (%s): %s" % (variable_of(option), option, why)
        self.exit(2, "%s: %s\n" % (self.prog, message))


def variable_of(option):
    """The make variable of `--option`."""
    return VARIABLES.get(option, option.lstrip("-").replace("-", "_").upper())


def list_of(known, what):
    """For argparse: words with commas between, each one of the known."""

    def parse(text):
        words = [word.strip() for word in text.split(",") if word.strip()]
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError("'%s' is no %s: %s are" % (word, what,
                                                                            ", ".join(known)))
        return words or list(known)

    return parse


def whole(smallest, largest=10**9):
    """For argparse: a whole number."""

    def parse(text):
        if not re.fullmatch(r"[0-9]{1,10}", text) or not smallest <= int(text) <= largest:
            raise argparse.ArgumentTypeError("'%s' is no whole number from %d to %d" % (
                text, smallest, largest))
        return int(text)

    return parse


def minutes(text):
    """For argparse."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) or float(text) == 0:
        raise argparse.ArgumentTypeError("'%s' is no number of minutes: 60 and 0.5 are" % text)
    return float(text)


def of_runs(description, stores, faults):
    """What the programs that run many schedules take."""
    parser = Parser(description=description)
    parser.add_argument("--stores", default="postgres,sqlite",
                        type=list_of([*stores, "memory"], "store"),
                        help="with commas between (default: %(default)s)")
    parser.add_argument("--faults", default="", type=list_of(faults, "row of the matrix"),
                        help="rows of the matrix, with commas between (default: all)")
    add_jobs(parser)
    parser.add_argument("--reports", required=True, help="where this one's folder is made")
    return parser


def add_jobs(parser):
    parser.add_argument("--jobs", type=whole(1, JOBS_MAX), default=os.cpu_count(),
                        help="runs at a time (default: %(default)s)")
