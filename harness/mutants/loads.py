"""loads.py - a fault's scenario folder: the load that all have in common, and the fault's moments.

faults/NAME.conf is a scenario.conf in which {150-250} stands for a number that the seed draws. Its
first line, a comment, says in a few words what happens. The log files are the seed's, too: lines
that are sent alone, and rounds of a few at once, so that batches of one and of several occur.
"""

import os
import random
import re

PRODUCERS = 4
TOPICS = ("T1", "T2")
ROUNDS = 120
PLAIN_ROUNDS = 45  # a request for each message takes its time
ROUND_LINES_MAX = 6
MOMENT = re.compile(r"\{(\d+)-(\d+)\}")


def write_log(path, producer, rounds, draw):
    with open(path, "w", encoding="utf-8") as out:
        number = 0
        for round_number in range(1, rounds + 1):
            topic = draw.choice(TOPICS)
            for _ in range(draw.choice((1, 1, 2, ROUND_LINES_MAX))):
                number += 1
                out.write("09:00:00\tINFO [%d:%d] order=%d paid\t\tP%d-%d\t\t%s\n" % (
                    producer, number, draw.randrange(10 ** 6), producer, round_number, topic))


def write(folder, conf, seed, rounds=ROUNDS):
    """The scenario of a faults/NAME.conf, as this seed has it."""
    draw = random.Random("%s %d" % (os.path.basename(conf), seed))
    os.makedirs(folder)
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    text = MOMENT.sub(lambda span: str(draw.randint(int(span[1]), int(span[2]))), text)
    with open(os.path.join(folder, "scenario.conf"), "w", encoding="utf-8") as out:
        out.write(text)
    for producer in range(1, PRODUCERS + 1):
        write_log(os.path.join(folder, "producer_%d.txt" % producer), producer, rounds, draw)


def words(conf):
    """What a faults/NAME.conf says of itself."""
    with open(conf, encoding="utf-8") as f:
        return f.readline().lstrip("# ").strip()
