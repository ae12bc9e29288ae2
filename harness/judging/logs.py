"""logs.py - who sends what to whom: a scenario's folder, as harness/scenario/scenario.h describes it.

Only what a judged run needs: topics, producers with their log files, consumers. The scenario's own
faults are left out; a run has its own.
"""

import os
import re
from dataclasses import dataclass, replace

from sut import Failed

LINE = re.compile(r"[ \t]*(\S+)[ \t]+(\S(?:.*\S)?)[ \t]+(\S+)[ \t]+(\S+)[ \t]*")
TIME = re.compile(r"\d{1,2}:\d{2}:\d{2}")
TOPIC = re.compile(r"(.+?)\s*:((?:\s*P[1-9]\d*)+)\s*:((?:\s*C[1-9]\d*)+)")
SETTING = re.compile(r"[a-z_]+\s*=")  # of our own harness: title and logs are for all
CONSUMERS_DEFAULT = 3
ALIKE_EVERY = 50


@dataclass
class Line:
    number: int  # in the file, from 1
    topic: str
    message: str


@dataclass
class Scenario:
    title: str
    topics: dict   # name -> ([producers' numbers], [consumers' numbers])
    logs: dict     # producer's number -> [Line]

    def messages(self):
        return sum(map(len, self.logs.values()))

    def topics_of(self, kind, number):
        """The topics of a client; kind: 0 producers, 1 consumers."""
        return [topic for topic, clients in self.topics.items() if number in clients[kind]]

    def clients(self, kind):
        return sorted({number for clients in self.topics.values() for number in clients[kind]})

    def deliveries(self, consumer):
        """How many messages the consumer is to get."""
        mine = set(self.topics_of(1, consumer))
        return sum(line.topic in mine for log in self.logs.values() for line in log)

    def repeating(self):
        """The same, but that every ALIKE_EVERYth line of a producer has the text of its one before
        in that topic: who takes it for a copy is found out."""
        logs = {}
        for producer, log in self.logs.items():
            last, logs[producer] = {}, []
            for count, line in enumerate(log, 1):
                if count % ALIKE_EVERY == 0 and line.topic in last:
                    line = replace(line, message=last[line.topic])
                last[line.topic] = line.message
                logs[producer].append(line)
        return replace(self, logs=logs)

    def write(self, folder, faults):
        """The scenario as it is run, for the checker: its topics, these faults, the log files."""
        os.makedirs(folder)
        with open(os.path.join(folder, "scenario.conf"), "w", encoding="utf-8") as file:
            file.write("title = %s\n" % self.title)
            for topic, (producers, consumers) in self.topics.items():
                file.write("%s: %s : %s\n" % (topic, " ".join("P%d" % p for p in producers),
                                              " ".join("C%d" % c for c in consumers)))
            file.writelines("fault = %s\n" % fault for fault in faults)
        for producer, log in self.logs.items():
            with open(os.path.join(folder, "producer_%d.txt" % producer), "w", encoding="utf-8",
                      newline="") as file:
                number = 1
                for line in log:
                    file.write("\n" * (line.number - number))  # blank lines count
                    file.write("00:00:00\t%s\tP%d-%d\t%s\n" % (line.message, producer, line.number,
                                                               line.topic))
                    number = line.number + 1


def read_log(path):
    lines = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            texts = file.read().split("\n")
    except (OSError, ValueError) as error:
        raise Failed("%s: cannot be read: %s" % (path, error)) from None
    for number, text in enumerate(texts, 1):
        text = text.removesuffix("\r")
        if not text.strip(" \t"):
            continue
        fields = LINE.fullmatch(text)
        if fields is None or not TIME.match(fields[1]):
            raise Failed("%s:%d: a line is: time, message, label, topic, with blanks between" % (
                path, number))
        lines.append(Line(number, fields[4], fields[2]))
    if not lines:
        raise Failed("%s: there is no line in it" % path)
    return lines


def read_conf(path):
    """title, logs folder, topics of a scenario.conf."""
    title, logs, topics = "", ".", {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.partition("#")[0].strip()
            match = TOPIC.fullmatch(line)
            key, _, value = (part.strip() for part in line.partition("="))
            if match:
                topics[match[1]] = tuple(sorted(int(word[1:]) for word in group.split())
                                         for group in (match[2], match[3]))
            elif key == "title":
                title = value
            elif key == "logs":
                logs = value
            elif line and not SETTING.match(line):
                raise Failed("%s:%d: '%s' is not 'TOPIC: P1 P2 : C1 C2'" % (path, number, line))
    return title, logs, topics


def load(folder):
    """A Scenario, or Failed."""
    conf = os.path.join(folder, "scenario.conf")
    if os.path.exists(conf):
        title, logs, topics = read_conf(conf)
        wanted = {p for producers, _ in topics.values() for p in producers}
        files = {p: os.path.join(folder, logs, "producer_%d.txt" % p) for p in sorted(wanted)}
        return Scenario(title, topics, {p: read_log(path) for p, path in files.items()})
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise Failed("%s: cannot be read: %s" % (folder, error)) from None
    found = filter(None, (re.fullmatch(r"producer_([1-9]\d*)\.txt", name) for name in names))
    read = {int(match[1]): read_log(os.path.join(folder, match[0])) for match in found}
    if not read:
        raise Failed("%s: no scenario.conf and no producer_N.txt in it" % folder)
    topics = {}
    for producer in sorted(read):
        for line in read[producer]:
            producers = topics.setdefault(line.topic, ([], list(range(1, CONSUMERS_DEFAULT + 1))))[0]
            if producer not in producers:
                producers.append(producer)
    title = "%d producers, %d consumers, %d topics" % (len(read), CONSUMERS_DEFAULT, len(topics))
    return Scenario(title, dict(sorted(topics.items())), dict(sorted(read.items())))
