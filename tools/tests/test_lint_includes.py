#!/usr/bin/python3
"""tools/lint-includes must find what it is there to find: each violation is planted in a
tree of its own and must be named with its line, and what is allowed must pass."""

import os
import subprocess
import sys
import tempfile

LINT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lint-includes")

# Headers that every tree has.
HEADERS = [
    "common/buffer.h",
    "common/tests/suite.h",
    "broker/core/queue.h",
    "broker/api/api.h",
    "broker/store/store.h",
    "broker/store/stores.h",
    "myqueue/include/myqueue.h",
    "myqueue/src/batch.h",
    "scenarios/logfile.h",
    "harness/check/check.h",
]

ALLOWED = [
    ("common/http.c", "<microhttpd.h>"),
    ("common/pg.c", "<libpq-fe.h>"),
    ("fuzz/json.c", "<cjson/cJSON.h>"),
    ("harness/run/rows.c", "<sqlite3.h>"),
    ("common/tests/test_buffer.c", "<CUnit/Basic.h>"),
    ("common/tests/test_buffer.c", '"common/tests/suite.h"'),
    ("broker/store/postgres_log.c", "<libpq-fe.h>"),
    ("broker/core/topic.c", '"broker/store/store.h"'),
    ("broker/core/tests/test_core.c", '"broker/store/stores.h"'),
    ("broker/api/topics.c", '"broker/core/queue.h"'),
    ("broker/main.c", '"broker/store/stores.h"'),
    ("myqueue/src/transport.c", "<curl/curl.h>"),
    ("myqueue/src/reply.c", "<cjson/cJSON.h>"),
    ("myqueue/examples/producer.c", '"myqueue.h"'),
    ("scenarios/produce.c", '"scenarios/logfile.h"'),
    ("harness/run/run.c", '"scenarios/logfile.h"'),
    ("harness/run/run.c", '"myqueue.h"'),
    ("harness/tests/test_check.c", '"common/tests/suite.h"'),
    ("scenarios/tests/test_logfile.c", '"common/tests/suite.h"'),
    ("myqueue/tests/broker.h", "<cjson/cJSON.h>"),
    ("common/list.c", '<stdio.h> /* not "broker/core/queue.h" */'),
    ("build/gen/schema.c", '"nowhere.h"'),
]

REFUSED = [
    ("common/list.c", '"broker/core/queue.h"', "common/ may not include"),
    ("common/list.c", "<microhttpd.h>", "may only be seen by common/http*"),
    ("common/list.c", '"cjson/cJSON.h"', "may only be seen by fuzz/json*"),
    ("common/list.c", '"common/tests/suite.h"', "belongs to tests"),
    ("common/list.c", '"buffer.h"', "written from its root"),
    ("common/list.c", "<common/buffer.h>", "write it in quotes"),
    ("common/list.c", "<CUnit/Basic.h>", "may only be seen by */tests/*"),
    ("broker/core/topic.c", '"broker/store/stores.h"', "broker/core/ may not include"),
    ("broker/core/topic.c", '"broker/api/api.h"', "broker/core/ may not include"),
    ("harness/run/run.c", "<sqlite3.h>", "may only be seen by broker/store/sqlite*, "
     "broker/store/tests/test_sqlite.c, broker/store/tests/faulty_disk.c, harness/run/rows.c"),
    ("broker/core/topic.c", "<libpq-fe.h>", "may only be seen by common/pg*"),
    ("broker/store/memory.c", '"broker/core/queue.h"', "broker/store/ may not include"),
    ("broker/store/memory.c", "<libpq-fe.h>", "may only be seen by"),
    ("broker/api/topics.c", '"broker/store/store.h"', "broker/api/ may not include"),
    ("myqueue/src/batch.c", '"common/buffer.h"', "myqueue/ may not include"),
    ("myqueue/src/batch.c", "<curl/curl.h>", "may only be seen by myqueue/src/transport*"),
    ("myqueue/examples/producer.c", '"myqueue/src/batch.h"', "may not include"),
    ("scenarios/produce.c", '"myqueue/src/batch.h"', "scenarios/ may not include"),
    ("scenarios/produce.c", '"common/buffer.h"', "scenarios/ may not include"),
    ("myqueue/tests/test_batch.c", '"common/tests/suite.h"', "myqueue/ may not include"),
    ("harness/run/run.c", '"broker/core/queue.h"', "harness/ may not include"),
    ("harness/run/run.c", "<cjson/cJSON.h>", "may only be seen by"),
    ("elsewhere/a.c", "<stdio.h>", "has no row"),
]


def lint(path, include):
    """Plants one include on line 3 of `path`; gives lint's exit code and output."""
    with tempfile.TemporaryDirectory() as root:
        for name in HEADERS + [path]:
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(f"\n\n#include {include}\n" if name == path else "")
        done = subprocess.run([LINT, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    passed = failed = 0
    for path, include, *words in ALLOWED + REFUSED:
        code, output = lint(path, include)
        if words:
            line = 1 if "no row" in words[0] else 3
            good = code == 1 and output.startswith(f"{path}:{line}: ") and words[0] in output
        else:
            good = code == 0 and output == ""
        passed += good
        failed += not good
        if not good:
            print(f"FAIL {path} with {include}: exit code {code}, {output!r}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
