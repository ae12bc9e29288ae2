#!/usr/bin/python3
"""draw.py [FOLDER] [--readme FILE] - from a run's result.json to what people read.

Writes FOLDER/report.html and FOLDER/table.md, the same table in Markdown (FOLDER:
reports/bench/latest, if not given). With --readme it also puts this table between <!-- bench -->
and <!-- /bench --> in FILE.
"""

import argparse
import json
import os
import sys

import page
import words

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


class Refused(Exception):
    pass


# ---- plots --------------------------------------------------------------------------------------


def drawn(result):
    """What page.page() wants: (heading, note, drawing, systems with their colours)."""
    import plots  # matplotlib takes a while, and not everybody who reads a result has it

    def colours(points):
        systems = dict.fromkeys(point["system"] for point in points)
        return [(system, plots.style(system)[0]) for system in systems]

    found = []
    points = result["series"]["throughput"]
    if points:
        found.append(("Throughput by connections",
                      "Messages a second, one a request, each acknowledged when it is durable "
                      "(memory and the bare server: never). Both scales are logarithmic.",
                      plots.throughput(points), colours(points)))
    for (connections, rate), points in by_load(result["series"]["latency"]).items():
        heading = "Latency: " + words.at(connections, rate)
        found.append((heading, "A point on a line: so many of the requests took no longer than "
                      "that. Logarithmic; further right is rarer.",
                      plots.latency(points, heading), colours(points)))
    return found


def by_load(points):
    """Only what was measured under the same load is comparable."""
    found = {}
    for point in points:
        if point.get("histogram"):
            found.setdefault((point["connections"], point["rate"]), []).append(point)
    return found


# ---- Markdown -----------------------------------------------------------------------------------


def markdown_text(text):
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def markdown_row(row):
    signs = {"met": "✓", "missed": "✗", "unknown": "?"}
    goals, ratios = [], []
    for target in row["targets"]:
        state, text = words.verdict(target)
        goals.append(markdown_text(target["text"]))
        ratios.append("%s %s" % (signs[state], markdown_text(
            "%.2f, %s" % (target["ratio"], text) if target["ratio"] is not None else text)))
    if row["figure"] is None:
        shown, ratios = "not measured", ["? " + markdown_text(row["note"])]
    else:
        shown = words.figure(row["figure"], row["unit"])
    return "| %s | %s | %s | %s |" % (markdown_text(row["what"]), shown, "<br>".join(goals),
                                      "<br>".join(ratios))


def markdown_peers(result):
    for peer in sorted(result["peers"], key=lambda peer: -(peer["messages_per_s"] or 0)):
        if peer["skipped"]:
            yield "| %s | skipped: %s | |" % (markdown_text(words.system(peer["name"])),
                                              markdown_text(peer["skipped"]))
        else:
            yield "| %s %s: %s | %s | %s |" % (
                markdown_text(peer["name"]), markdown_text(peer["version"]),
                markdown_text(peer["setting"]), words.number(peer["messages_per_s"]),
                words.figure(peer["latency_us"]["p50"], "µs"))


def markdown(result):
    lines = [words.headline(result), "",
             "%s. %s. %s." % (words.date(result), words.machine(result),
                              words.versions(result)), "",
             "%s. Plan: %s. Figures are medians, ratios are to figures of the same run:"
             % (words.badge(result)[1].lstrip("✓✗? "), words.plan(result)), "",
             "| what | figure | target | ratio |", "|---|---|---|---|"]
    lines += [markdown_row(row) for row in result["rows"]]
    lines += ["", "; ".join("%s: %s" % (name.replace("copy_out", "COPY OUT"), what)
                            for name, what in words.CEILINGS) + "."]
    if result["peers"]:
        lines += ["", "| peer, on the same work with 64 connections | messages/s | median |",
                  "|---|---|---|"]
        lines += list(markdown_peers(result))
    return "\n".join(lines) + "\n"


def with_table(text, table):
    """A README with the table between its markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise Refused("there has to be one %s and one %s after it" % (BEGIN, END))
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table + END + rest.split(END)[1]


# ---- files --------------------------------------------------------------------------------------


def write(path, text):
    """All of it or nothing of it."""
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=os.path.join(ROOT, "reports/bench/latest"))
    parser.add_argument("--readme", metavar="FILE")
    arguments = parser.parse_args()
    source = os.path.join(arguments.folder, "result.json")
    if not os.path.exists(source):
        raise Refused("there is no %s; `make bench` or `make bench-quick` writes one"
                      % os.path.relpath(source))
    with open(source, encoding="utf-8") as f:
        result = json.load(f)
    if result.get("schema") != 1:
        raise Refused("result.json is of schema %s, and this knows 1" % result.get("schema"))
    report = os.path.join(arguments.folder, "report.html")
    table = markdown(result)
    write(report, page.page(result, drawn(result)))
    write(os.path.join(arguments.folder, "table.md"), table)
    print("report: " + os.path.relpath(report))
    if arguments.readme:
        with open(arguments.readme, encoding="utf-8") as f:
            text = f.read()
        write(arguments.readme, with_table(text, table))


if __name__ == "__main__":
    try:
        main()
    except (Refused, OSError, ValueError) as why:
        sys.exit("draw.py: %s" % why)
    except ImportError as why:
        sys.exit("draw.py: %s; `tools/deps bench` installs what is missing" % why)
