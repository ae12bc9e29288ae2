"""page.py - what a matrix says, as one page of HTML and as Markdown.

A row is a fault, a column a store, a cell the runs of all seeds. A state is always told by a word
too. The HTML needs nothing else but the runs' reports that it links to, which lie beside it.
"""

from html import escape

SIGNS = {"valid": "✓", "invalid": "✗", "unknown": "?", "refused": "–", "failed": "!", "": ""}

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--panel:#f5f6f8;--text:#1b1f24;--muted:#59626e;
--line:#dfe3e8;--good:#12703f;--good-bg:#e6f5ec;--bad:#b3261e;--bad-bg:#fdeceb;--warn:#8a5200;
--warn-bg:#fdf3e1}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--panel:#1d2127;--text:#e7eaee;
--muted:#9aa4b1;--line:#333a43;--good:#5fd08f;--good-bg:#15301f;--bad:#ff8a80;--bad-bg:#3a1a19;
--warn:#f2b85c;--warn-bg:#36280f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}
main{max-width:1000px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.5rem;line-height:1.3;margin:0;font-weight:650;text-wrap:balance}
h2{font-size:1.15rem;margin:36px 0 10px}
p{margin:6px 0 12px;max-width:72ch}
a{color:inherit;text-decoration-color:var(--muted);text-underline-offset:3px}
code{font:.9em/1.4 ui-monospace,'Liberation Mono',Menlo,Consolas,monospace;overflow-wrap:anywhere}
.verdict{border-left:6px solid;border-radius:6px;padding:14px 18px;margin-bottom:18px}
.verdict.valid{border-color:var(--good);background:var(--good-bg)}
.verdict.not{border-color:var(--bad);background:var(--bad-bg)}
.note{color:var(--muted);font-size:.92rem}
.scroll{overflow-x:auto;margin:0 -16px;padding:0 16px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 10px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}thead th{color:var(--muted);font-size:.88rem}
td ul{margin:6px 0 0;padding-left:18px}
.valid{color:var(--good)}.invalid,.failed,.refused{color:var(--bad);font-weight:650}
.unknown{color:var(--warn);font-weight:650}
"""


def state_of(cell):
    """The worst of a cell's runs: '' when it has none."""
    states = {run["verdict"] for run in cell["runs"]}
    ranks = ("failed", "invalid", "refused", "unknown", "valid")
    return next((state for state in ranks if state in states), "")


def told(cell):
    """`20 of 20 valid`."""
    valid = sum(run["verdict"] == "valid" for run in cell["runs"])
    return "%d of %d valid" % (valid, len(cell["runs"])) if cell["runs"] else "not run"


def problems(cell):
    """The runs that were not valid, and what to say of each."""
    return [(run, "seed %d %s: %s" % (run["seed"], run["verdict"], run["reason"]))
            for run in cell["runs"] if run["verdict"] != "valid"]


def hits(cell):
    """What its faults hit, added up by their units: `212 requests in flight`."""
    sums = {}
    for run in cell["runs"]:
        for unit, count in run["hits"].items():
            sums[unit] = sums.get(unit, 0) + count
    return ", ".join("%s %s" % (format(count, ","), unit) for unit, count in sums.items())


def sentence(result):
    cells = [cell for cell in result["cells"] if cell["runs"]]
    runs = [run for cell in cells for run in cell["runs"]]
    valid = sum(run["verdict"] == "valid" for run in runs)
    totals = "%d runs of %d faults on %d stores, %s messages" % (
        len(runs), len({c["fault"] for c in cells}), len({c["store"] for c in cells}),
        format(sum(run["messages"] for run in runs), ","))
    again = sum(run["tries"] > 1 for run in runs)
    if again:
        totals += "; %d were tried again with a longer load, since a fault had come too late" % again
    if not runs:
        return "Interrupted before any run had ended" if result["interrupted"] else "Nothing was run"
    if result["interrupted"]:
        planned = len(result["cells"]) * result["seeds"]
        totals += "; interrupted, so %d of %d runs are missing" % (planned - len(runs), planned)
    if result["notes"]:
        totals += "; not all rows could be run here"
    if valid == len(runs):
        return ("Valid so far: " if result["interrupted"] else "All valid: ") + totals
    return "%d of %d runs are not valid: %s" % (len(runs) - valid, len(runs), totals)


def grid(result):
    """(stores, [(fault, {store: cell})]) in the order of the result."""
    stores, rows = [], {}
    for cell in result["cells"]:
        if cell["store"] not in stores:
            stores.append(cell["store"])
        rows.setdefault(cell["fault"], {})[cell["store"]] = cell
    return stores, rows.items()


def link(run, text):
    return '<a href="%s">%s</a>' % (escape(run["report"]), text) if run["report"] else text


def html_cell(cell):
    if cell is None:
        return '<td class="note" title="does not apply">–</td>'
    state = state_of(cell)
    last = next((run for run in reversed(cell["runs"]) if run["report"]), {"report": ""})
    wrong = "".join('<li>%s<br><code>%s</code></li>' % (link(run, escape(words)),
                                                       escape(run["command"]))
                    for run, words in problems(cell))
    return '<td><span class="%s">%s %s</span> <span class="note">%s</span>%s</td>' % (
        state, SIGNS[state], link(last, told(cell)), escape(hits(cell)),
        "<ul>%s</ul>" % wrong if wrong else "")


def html(result):
    stores, rows = grid(result)
    good = not result["interrupted"] and \
        {run["verdict"] for cell in result["cells"] for run in cell["runs"]} == {"valid"}
    table = "".join('<tr><th scope="row">%s</th>%s</tr>' % (
        escape(fault), "".join(html_cell(cells.get(store)) for store in stores))
        for fault, cells in rows)
    notes = "".join("<li>%s</li>" % escape(note) for note in result["notes"])
    return """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Faults: %(title)s</title>
<style>%(style)s</style></head><body><main>
<div class="verdict %(state)s"><h1>%(title)s</h1></div>
<p class="note">Seeds %(first)d to %(last)d, %(seconds).0f s, %(started)s. Repeat:
<code>%(command)s</code></p>
<p>Each row is a kind of fault, injected once or twice in each run, at moments and for times that
the seed draws. Each fault had to prove that it hit something: what it hit is counted in the cell. A
cell links to the last of its runs' reports, and to those of all runs that were not valid.</p>
<div class="scroll"><table><thead><tr><th>fault</th>%(heads)s</tr></thead><tbody>%(table)s</tbody>
</table></div>%(notes)s</main></body></html>
""" % {"title": escape(sentence(result)), "style": STYLE, "state": "valid" if good else "not",
       "first": result["seed"], "last": result["seed"] + result["seeds"] - 1,
       "seconds": result["seconds"], "started": escape(result["started"]),
       "command": escape(result["command"]), "table": table,
       "heads": "".join("<th>%s</th>" % escape(store) for store in stores),
       "notes": "<h2>Notes</h2><ul>%s</ul>" % notes if notes else ""}


def markdown(result):
    stores, rows = grid(result)
    lines = [sentence(result) + ".", "",
             "| fault | %s |" % " | ".join(stores), "|---|%s" % ("---|" * len(stores))]
    for fault, cells in rows:
        shown = []
        for store in stores:
            cell = cells.get(store)
            if cell is None:
                shown.append("")
                continue
            wrong = [words.replace("|", "\\|") for _, words in problems(cell)]
            shown.append("%s %s" % (SIGNS[state_of(cell)], "; ".join(
                part for part in (told(cell), hits(cell), *wrong) if part)))
        lines.append("| %s | %s |" % (fault, " | ".join(shown)))
    return "\n".join([*lines, "", *("- " + note for note in result["notes"]), ""])
