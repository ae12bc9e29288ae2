"""comparison.py - systems side by side: as a page of HTML, and as a table for the terminal.

A column is a system. A state is told by a sign or a word, never by its colour alone. The HTML needs nothing else but the
runs' reports that it links to, which lie beside it.
"""

from html import escape

import page  # of the matrix: its style is this one's
import sut
from conformance import GROUPS

SIGNS = {"valid": "✓", "invalid": "✗", "unknown": "?", "pass": "✓", "odd": "~", "wrong": "✗",
         "tolerated": "yes", "not tolerated": "no", "kept": "✓", "forgotten": "✗",
         "not claimed": "forgets,"}
TONES = {"valid": "valid", "pass": "valid", "kept": "valid", "tolerated": "valid",
         "invalid": "invalid", "wrong": "invalid", "forgotten": "invalid", "odd": "unknown",
         "unknown": "unknown"}
WORDS = {"pass": "", "kept": "", "tolerated": "", "not tolerated": "", "odd": "said otherwise",
         "wrong": "wrong", "forgotten": "forgotten", "not claimed": "as it says",
         "unknown": "not seen"}
VERDICTS = {"valid": "keeps what it claims", "invalid": "does not keep what it should",
            "unknown": "could not be judged in full"}
STYLE = page.STYLE + """
td{min-width:9.5em}th[scope=row]{min-width:12em;font-weight:450}.plain{color:var(--muted)}
@media (max-width:600px){td{min-width:6.5em}th[scope=row]{min-width:8.5em}th,td{padding:6px}}
tr.group th{background:var(--panel);font-weight:650}
.figure{font-weight:650}details summary{cursor:pointer}
details p{margin:4px 0;font-size:.85rem;overflow-wrap:anywhere;color:var(--text);font-weight:400}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:14px}
.cards .verdict{margin:0}.cards h2{margin:0 0 4px;font-size:1.05rem}.cards p{font-size:.92rem}
.verdict.invalid{border-color:var(--bad);background:var(--bad-bg);color:inherit;font-weight:400}
.verdict.valid{color:inherit}
.verdict.unknown{border-color:var(--warn);background:var(--warn-bg);color:inherit;font-weight:400}
"""


# ---- what is counted ----------------------------------------------------------------------------

def counted(system):
    """(passed, all) of the checks of the contract; dialects and what is not claimed are not."""
    results = [one["result"] for one in system["conformance"]
               if one["result"] in ("pass", "odd", "wrong", "kept", "forgotten")]
    return sum(result in ("pass", "kept") for result in results), len(results)


def forgets(system):
    """What it does not claim to keep, and was seen to forget: of sut.PERSISTS, in order."""
    return restarted(system, "not claimed")


def restarted(system, *results):
    """What came out so after a restart: of sut.PERSISTS, in order."""
    found = {one["id"].rpartition("-")[2] for one in system["conformance"]
             if one["group"] == "restart" and one["result"] in results}
    return [what for what in sut.PERSISTS if what in found]


def forgets_words(system):
    """The same for a person, and what it forgets although it claims to keep it."""
    broken, said = restarted(system, "forgotten"), forgets(system)
    if not any(one["group"] == "restart" for one in system["conformance"]):
        return "not tried"
    parts = ["%s, and claims to keep them" % sut.listed(broken)] if broken else []
    parts += ["%s, and says so" % sut.listed(said)] if said else []
    return "; ".join(parts) or "nothing"


def tolerated(system):
    results = [one["result"] for one in system["conformance"] if one["group"] == "dialects"]
    return results.count("tolerated"), len(results)


def speed_of(system, call, connections):
    return next((one for one in system["speed"]
                 if one["call"] == call and one["connections"] == connections), None)


def number(value):
    return format(round(value), ",") if value >= 100 else "%.1f" % value


# ---- the terminal -------------------------------------------------------------------------------

def text(whole):
    heads = ("system", "verdict", "checks", "dialects", "forgets", "runs", "produce/s 16")
    rows = [heads]
    for system in whole["systems"]:
        speed = speed_of(system, "produce", 16)
        runs = system["runs"]
        rows.append((system["name"], system["verdict"], "%d of %d" % counted(system),
                     "%d of %d" % tolerated(system), ", ".join(restarted(system, "forgotten", "not claimed")) or "-",
                     "%d of %d valid" % (sum(r["verdict"] == "valid" for r in runs), len(runs)),
                     number(speed["per_s"]) if speed and "per_s" in speed else "-"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    lines += ["%s: %s" % (system["name"], system["reason"]) for system in whole["systems"]]
    return "\n".join(lines)


# ---- the page -----------------------------------------------------------------------------------

def card(system, alone):
    name = escape(system["title"])
    if not alone:
        name = '<a href="%s.html">%s</a>' % (escape(system["name"]), name)
    spoken = "<p class=note>Spoken to by: %s.</p>" % escape(system["dialect"]) \
        if system["dialect"] else ""
    log = ' What it said meanwhile is in <a href="%s">its log</a>.' % escape(system["log"]) \
        if system["log"] else ""
    return """<div class="verdict %s"><h2>%s %s: %s</h2><p>%s</p>
<p class="note">It claims: %s.%s</p>%s</div>""" % (
        system["verdict"], SIGNS[system["verdict"]], name, VERDICTS[system["verdict"]],
        escape(system["reason"]), escape(system["claims_words"]), log, spoken)


def cell(state, words="", details=(), shown_open=False):
    shown = '<span class="%s">%s</span>' % (TONES.get(state, "plain"),
                                            escape(" ".join(filter(None, (SIGNS[state], words)))))
    more = "".join("<p>%s</p>" % escape(one) for one in details if one)
    return "<td>%s</td>" % ("<details%s><summary>%s</summary>%s</details>" % (
        " open" * shown_open, shown, more) if more else shown)


def row(title, cells):
    return '<tr><th scope="row">%s</th>%s</tr>' % (escape(title), "".join(cells))


def table(systems, rows):
    return """<div class="scroll"><table><thead><tr><th></th>%s</tr></thead><tbody>%s</tbody></table>
</div>""" % ("".join("<th>%s</th>" % escape(system["title"]) for system in systems),
             "".join(rows))


def checks(systems, groups):
    rows = []
    for group in groups:
        rows.append('<tr class="group"><th colspan="%d">%s</th></tr>' % (len(systems) + 1,
                                                                       escape(GROUPS[group])))
        whats = dict.fromkeys((one["id"], one["what"]) for system in systems
                              for one in system["conformance"] if one["group"] == group)
        for id, what in whats:
            found = [next((one for one in system["conformance"] if one["id"] == id), None)
                     for system in systems]
            rows.append(row(what, [
                cell(one["result"], WORDS[one["result"]], [one["evidence"]],
                     len(systems) == 1 and TONES.get(one["result"]) == "invalid")
                if one else "<td class=note>not tried</td>" for one in found]))
    return table(systems, rows)


def finding_words(found):
    return "%s: %s" % (found["name"], " ".join(filter(None, (
        found["process"], found["topic"], "%s time%s" % (found["count"], "s" * (found["count"] != 1)),
        "– " + found["detail"] if found["detail"] else ""))))


def run_cell(one):
    if one is None:
        return "<td class=note>not run</td>"
    found = [finding_words(f)
             for part in ("violations", "unknowns") for f in one[part]]
    excused = ["%s: %s" % (part.replace("_", " "), finding_words(f))
               for part in ("not_claimed", "not_promised") for f in one[part]]
    shown = cell(one["verdict"], one["verdict"], [one["reason"], *found, *excused])
    link = '<span class="note"><a href="%s">report</a></span>' % escape(one["report"]) \
        if one["report"] else ""
    return shown.replace("</td>", link + "</td>")


def guarantees(systems):
    names = dict.fromkeys((run["name"], run["title"], run["kills"]) for system in systems
                          for run in system["runs"])
    return table(systems, [
        row("%s: %s" % (title, "killed %d times" % kills if kills else "no faults"),
            [run_cell(next((run for run in system["runs"] if run["name"] == name), None))
             for system in systems]) for name, title, kills in names])


def speed_cell(figure):
    if figure is None:
        return "<td class=note>not measured</td>"
    if "error" in figure:
        return "<td class=unknown>? %s</td>" % escape(figure["error"])
    notes = ["median %s ms, 99 %% %s ms" % (figure["p50_ms"], figure["p99_ms"])]
    if figure["busy"] > 0.8:
        notes.append("the probe itself was at its limit")
    if figure["failures"]:
        notes.append("%d failures: %s" % (figure["failures"], figure["failure"]))
    return '<td><span class="figure">%s/s</span>%s</td>' % (
        number(figure["per_s"]),
        "".join('<span class="note">%s</span>' % escape(note) for note in notes))


def speeds(systems):
    work = dict.fromkeys((one["call"], one["connections"]) for system in systems
                         for one in system["speed"])
    if not work:
        return ""
    return """<h2>Speed</h2><p class="note">Messages of 100 bytes, one in each request, by plain calls,
for two seconds each. One probe on the same machine; a figure, not a judgement.</p>""" + table(
        systems, [row("%s, %d connection%s" % (call, n, "" if n == 1 else "s"),
                      [speed_cell(speed_of(system, call, n)) for system in systems])
                  for call, n in work])


def html(whole, alone):
    systems = whole["systems"]
    title = systems[0]["title"] if alone else "%d system%s, side by side" % (
        len(systems), "" if len(systems) == 1 else "s")
    summary = table(systems, [
        row("Checks of the contract", ["<td>%d of %d</td>" % counted(s) for s in systems]),
        row("Runs", ["<td>%d of %d valid</td>" % (
            sum(r["verdict"] == "valid" for r in s["runs"]), len(s["runs"])) for s in systems]),
        row("Forgets when started again", [
            '<td%s>%s</td>' % (" class=invalid" * bool(restarted(s, "forgotten")), forgets_words(s))
            for s in systems]),
        row("Dialects tolerated", ["<td>%d of %d</td>" % tolerated(s) for s in systems])])
    return """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Judged: %(title)s</title>
<style>%(style)s</style></head><body><main>
<h1>%(title)s</h1><p class="note">%(started)s, %(seconds)s s. Repeat:
<code>%(command)s</code>%(interrupted)s</p>
<div class="cards">%(cards)s</div>
<h2>In short</h2>%(summary)s
<h2>Guarantees</h2><p class="note">Producers and consumers at work, judged by what was acknowledged
and delivered, and only by what the system claims to keep.</p>%(guarantees)s%(restart)s
<h2>Conformance</h2><p class="note">“Said otherwise” is understood, but is not what the contract
says. Open a cell for the calls that were made.</p>%(checks)s
<h2>Dialects</h2><p class="note">The assignment leaves these open, and clients differ. Nobody has to
speak them all.</p>%(dialects)s%(speeds)s</main></body></html>
""" % {"title": escape(title), "style": STYLE, "started": escape(whole["started"]),
       "interrupted": "<br>Interrupted: not all systems were judged." if whole["interrupted"] else "",
       "seconds": whole["seconds"], "command": escape(whole["command"]),
       "cards": "".join(card(system, alone) for system in systems), "summary": summary,
       "guarantees": guarantees(systems), "restart": checks(systems, ["restart"]),
       "checks": checks(systems, ["calls", "refusals", "concurrency"]),
       "dialects": checks(systems, ["dialects"]), "speeds": speeds(systems)}
