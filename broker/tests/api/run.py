#!/usr/bin/python3
"""run.py - the broker's HTTP interface, tested from outside against a real broker.

    tools/with-postgres broker/tests/api/run.py [-k PATTERN] [--store memory|sqlite|postgres] [--list]

Starts $BUILD/myqueue-broker (BUILD is `build` when unset) on a free port, on the memory store, on
SQLite files and on PostgreSQL (MYQUEUE_TEST_POSTGRES: the URL of a private server;
tools/with-postgres sets it), and prints a line per test: `ok NAME` or `FAIL NAME: reason`. The last
line is `N passed, N failed`; exit code 0 when none failed, 1 when one did, 2 when the tests could
not begin.
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True  # the tree stays clean

import driver  # noqa: E402

# In the order in which they are run.
import test_calls  # noqa: E402,F401
import test_positions  # noqa: E402,F401
import test_seek  # noqa: E402,F401
import test_sequences  # noqa: E402,F401
import test_leniency  # noqa: E402,F401
import test_refusals  # noqa: E402,F401
import test_text  # noqa: E402,F401
import test_waiting  # noqa: E402,F401
import test_limits  # noqa: E402,F401
import test_at_once  # noqa: E402,F401
import test_curl  # noqa: E402,F401
import test_lifetime  # noqa: E402,F401
import test_database  # noqa: E402,F401
import test_late  # noqa: E402,F401
import test_sqlite  # noqa: E402,F401
import test_retention  # noqa: E402,F401
import test_wire  # noqa: E402,F401
import test_command_line  # noqa: E402,F401
import test_openapi  # noqa: E402,F401


def main():
    parser = argparse.ArgumentParser(description="Test the broker's HTTP interface from outside.")
    parser.add_argument("-k", metavar="PATTERN", default="",
                        help="only tests whose name matches this regular expression")
    parser.add_argument("--store", choices=driver.STORES, help="only this store (default: all)")
    parser.add_argument("--list", action="store_true", help="print the tests' names and end")
    chosen = parser.parse_args()
    kinds = [chosen.store] if chosen.store else list(driver.STORES)
    if chosen.list:
        for one in driver.tests:
            for kind in one.stores or ("any",):
                print("%s/%s" % (kind, one.name))
        return 0
    if not os.access(driver.BROKER, os.X_OK):
        print("%s: no such program; build it first, or set BUILD" % driver.BROKER, file=sys.stderr)
        return 2
    server_url = os.environ.get("MYQUEUE_TEST_POSTGRES")
    if "postgres" in kinds and not server_url:
        print("MYQUEUE_TEST_POSTGRES is not set: run this by tools/with-postgres, "
              "or only another store: --store memory, --store sqlite", file=sys.stderr)
        return 2
    test_openapi.whole_run = not chosen.k and not chosen.store
    return driver.run(kinds, chosen.k, server_url)


if __name__ == "__main__":
    sys.exit(main())
