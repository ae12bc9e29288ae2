#!/usr/bin/python3
"""plain.py SCENARIO RUN PROGRAMS STORE - a scenario with nothing but the assignment's seven calls.

The library tells the broker where a consumer is; the plain calls trust the broker to know. So some
bugs show in them alone. The clients are the judge's (harness/judging); PROGRAMS holds the broker,
STORE is the SUT of harness/sut that says how it is started. Leaves the run folder RUN, for
`myqueue-harness check`. Of the scenario's faults there may be kills of the broker only.
"""

import os
import re
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
JUDGING = os.path.join(os.path.dirname(HERE), "judging")
KILL = re.compile(r"^fault = after (\d+) acks: kill broker, restart after \d+ ms$")


def kills_of(conf):
    with open(conf, encoding="utf-8") as f:
        faults = [line.strip() for line in f if line.startswith("fault")]
    kills = [KILL.match(fault) for fault in faults]
    if None in kills:
        raise SystemExit("%s: with plain calls only the broker can be killed" % conf)
    return [int(kill[1]) for kill in kills]


def interrupted(number, frame):
    raise KeyboardInterrupt  # what was started is ended on the way out


def main(scenario, folder, programs, store):
    os.environ["BUILD"] = programs
    sys.path.insert(0, JUDGING)
    import calls
    import logs
    import run
    import sut
    description = sut.load(os.path.join(os.path.dirname(HERE), "sut", store + ".conf"))
    signal.signal(signal.SIGTERM, interrupted)
    run.Run(folder, os.path.basename(scenario), logs.load(scenario), description, calls.Dialect(),
            kills_of(os.path.join(scenario, "scenario.conf")), "make mutants").go()


if __name__ == "__main__":
    main(*sys.argv[1:])
