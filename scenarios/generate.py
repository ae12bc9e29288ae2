#!/usr/bin/env python3
"""Write the producers' log files of 2p2c and 5p3c, the same bytes every time.

    generate.py           write scenarios/2p2c/producer_*.txt and scenarios/5p3c/...
    generate.py --check   write nothing; fail when a file differs from what would be written

The files have the shape of the course's: 993 lines for each of the five producers, who
write to the topics of the mapping in scenario.conf. Two things are different on purpose. A
message says who wrote it and in which line, so that a lost, doubled or swapped one can be
seen in a consumer's file without other help. And a round holds a few lines only, so that
every producer is busy until the end of the run and a kill finds all of them sending.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# scenario: (lines of a producer, {producer: what a round of it is})
SCENARIOS = {
    "2p2c": (300, {1: ["T1", "T2"], 2: ["T2", "T1", "T1"]}),
    "5p3c": (993, {
        1: ["T1", "T2", "T3"],
        2: ["T1", "T3"],
        3: ["T1", "T1", "T1"],
        4: ["T2", "T2"],
        5: ["T2", "T2", "T2"],
    }),
}
LEVELS = ["DEBUG"] * 6 + ["INFO"] * 6 + ["WARN"] * 2 + ["ERROR"]
EVENTS = [
    "user_login user={n} ok",
    "user_login user={n} wrong password",
    "user_signup user={n} welcome mail queued",
    "post_created post={n} by user={m}",
    "post_created post={n} rejected: too long ({m} bytes)",
    "feed rebuilt for user={n} in {m} ms",
    "cache miss key=profile:{n}",
    "GET /posts/{n} 200 {m} ms",
]


class Random:
    """Numbers that are the same for every version of Python (Knuth's MMIX generator)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


def producer_file(producer, count, topics):
    """The text of one producer's file, whose rounds go to `topics`."""
    random = Random(producer)
    second = 9 * 3600 + producer * 7
    lines = []
    for i in range(count):
        place = i % len(topics)
        if place == 0 and random.below(40) == 0:
            second += 1
        level = LEVELS[random.below(len(LEVELS))]
        event = EVENTS[random.below(len(EVENTS))]
        event = event.format(n=1000 + random.below(9000), m=1 + random.below(900))
        time = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        label = f"P{producer}-{i // len(topics) + 1}"
        message = f"{level} [{producer}:{i + 1}] {event}"
        lines.append(f"{time}\t{message}\t\t{label}\t\t{topics[place]}\n")
    return "".join(lines)


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    different = 0
    for name, (count, producers) in SCENARIOS.items():
        for producer, topics in producers.items():
            path = HERE / name / f"producer_{producer}.txt"
            text = producer_file(producer, count, topics)
            if not arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
            elif not path.exists() or path.read_bytes() != text.encode():
                print(f"{path.relative_to(HERE.parent)} is not what generate.py writes",
                      file=sys.stderr)
                different += 1
    return 1 if different else 0


sys.exit(main(sys.argv[1:]))
