"""page.py - the mutants' table: on a terminal, in Markdown, and as a page with links to the runs.

A cell says what was found under a fault: ✓ and the mutant's own finding where its patch demands
it, ✗ where that was not found, other findings as they are, · for a valid run.
"""

import os
from html import escape

BEGIN, END = "<!-- mutants -->", "<!-- /mutants -->"

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--panel:#f5f6f8;--text:#1b1f24;--muted:#59626e;
--line:#dfe3e8;--good:#12703f;--good-bg:#e6f5ec;--bad:#b3261e;--bad-bg:#fdecea;--link:#1f5fd0}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--panel:#1d2127;--text:#e7eaee;
--muted:#9aa4b1;--line:#333a43;--good:#5fd08f;--good-bg:#15301f;--bad:#ff8a80;--bad-bg:#3a1a18;
--link:#6ea3ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}
main{max-width:1280px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.5rem;line-height:1.3;margin:0;font-weight:650;text-wrap:balance}
h2{font-size:1.15rem;margin:36px 0 10px}
p{margin:6px 0 12px;max-width:76ch}a{color:var(--link)}
.over,.note,footer{color:var(--muted);font-size:.92rem}
.verdict{border-left:6px solid;border-radius:6px;padding:16px 18px;margin:10px 0 18px}
.badge{font-weight:700;margin:0 0 4px}
.good{border-color:var(--good);background:var(--good-bg)}.good .badge{color:var(--good)}
.bad{border-color:var(--bad);background:var(--bad-bg)}.bad .badge{color:var(--bad)}
.scroll{overflow-x:auto;margin:0 -16px;padding:0 16px}
table{border-collapse:collapse;font-size:.88rem}
th,td{padding:8px 10px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{color:var(--muted);font-weight:600;vertical-align:bottom;min-width:7em}
tbody th{font-weight:600;min-width:15em;max-width:22em;position:sticky;left:0;background:var(--bg)}
tbody th span{display:block;font-weight:400;color:var(--muted);font-size:.85rem}
.caught{color:var(--good);font-weight:650;white-space:nowrap}
.missed{color:var(--bad);font-weight:650;white-space:nowrap}
.none{color:var(--muted)}td a{color:inherit}
footer{margin-top:40px}
@media (max-width:640px){h1{font-size:1.2rem}tbody th{position:static;min-width:12em}}
"""


def caught(result):
    return sum(not row["wrong"] for row in result["mutants"])


def sentence(result):
    control = result["control"]
    rows = len(result["mutants"])
    words = "%d of %d mutants were caught, each by the finding and under the faults that it names" % (
        caught(result), rows)
    if result["interrupted"]:
        return "Interrupted, so this is not all: " + words
    if control["bad_seeds"]:
        return words + "; the unchanged product was not valid in all runs: seeds %s." % ", ".join(
            map(str, control["bad_seeds"]))
    return words + "; the unchanged product was valid in %d runs (%d seed%s, %d faults)." % (
        control["runs"], control["seeds"], "s" * (control["seeds"] != 1), len(result["faults"]))


def cell_words(row, fault):
    """(class, text) of a cell."""
    cell = row["cells"].get(fault)
    if cell is None:
        return "none", ""
    if cell["wanted"]:
        return ("caught", "✓ " + row["finding"]) if cell["found"] else ("missed",
                                                                       "✗ " + row["finding"])
    found = cell["findings"] or ["(%s)" % name for name in cell["unknowns"]]
    if row["finding"] in found:  # more than was demanded
        found = [row["finding"]] + [name for name in found if name != row["finding"]]
    return ("", ", ".join(found[:2]) + (", …" if len(found) > 2 else "")) if found else ("none", "·")


def text(result):
    """For a terminal: a line for each mutant."""
    lines = []
    for row in result["mutants"]:
        under = ", ".join("%s (%s)" % (fault, "yes" if (row["cells"].get(fault) or {}).get("found")
                                       else "no") for fault in row["under"])
        lines.append("%s %-28s %-20s %s" % ("ok  " if not row["wrong"] else "FAIL", row["name"],
                                            row["finding"], under))
        lines += ["     " + wrong for wrong in row["wrong"]]
    for cell in result["control"]["bad"]:
        lines.append("FAIL control under %s, seed %d: %s" % (
            cell["fault"], cell["seed"], ", ".join(cell["findings"] + cell["unknowns"])))
    return "\n".join(lines + ["", sentence(result)])


# ---- Markdown -----------------------------------------------------------------------------------


def markdown(result):
    names = [fault["name"] for fault in result["faults"]]
    lines = [sentence(result), "",
             "| mutant | " + " | ".join(name.replace("-", " ") for name in names) + " |",
             "|---|" + "---|" * len(names)]
    for row in result["mutants"]:
        cells = " | ".join(cell_words(row, name)[1] for name in names)
        lines.append("| %s | %s |" % (row["name"].replace("-", " "), cells))
    control = {cell["fault"] for cell in result["control"]["bad"]}
    lines.append("| *unchanged* | %s |" % " | ".join("✗" if name in control else "·"
                                                     for name in names))
    lines += ["", "✓ its own finding, where its patch demands it; · a valid run. %s, seed %d." % (
        result["started"], result["seed"])]
    return "\n".join(lines) + "\n"


def into_readme(path, table):
    """Put the table between its markers."""
    with open(path, encoding="utf-8") as f:
        readme = f.read()
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("%s: there has to be one %s and one %s after it" % (path, BEGIN, END))
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(before + begin + "\n" + table + end + after)
    os.replace(path + ".new", path)


# ---- HTML ---------------------------------------------------------------------------------------


def html_cell(row, fault):
    kind, words = cell_words(row, fault)
    shown = escape(words)
    cell = row["cells"].get(fault)
    if cell and cell["page"]:
        shown = '<a href="%s">%s</a>' % (escape(cell["page"]), shown)
    return '<td class="%s">%s</td>' % (kind, shown)


def html_row(row, faults):
    name = escape(row["name"].replace("-", " "))
    wrong = "".join('<span class="missed">✗ %s</span>' % escape(words) for words in row["wrong"])
    return "<tr><th>%s<span>%s</span>%s</th>%s</tr>\n" % (
        name, escape(row["bug"]), wrong,
        "".join(html_cell(row, fault["name"]) for fault in faults))


def html_control(result):
    """The unchanged product, by fault."""
    bad = {}
    for cell in result["control"]["bad"]:
        bad.setdefault(cell["fault"], []).append(cell)
    cells = ""
    for fault in result["faults"]:
        links = "".join('<a href="%s">✗ %s, seed %d</a><br>' % (
            escape(cell["page"] or "."), escape(", ".join(cell["findings"] + cell["unknowns"])),
            cell["seed"]) for cell in bad.get(fault["name"], []))
        cells += '<td class="%s">%s</td>' % ("missed" if links else "caught",
                                            links or "valid × %d" % result["control"]["seeds"])
    return "<tr><th>unchanged<span>The product as it is, the control.</span></th>%s</tr>\n" % cells


def page(result):
    good = not result["failed"]
    heads = "".join("<th>%s</th>" % escape(fault["words"]) for fault in result["faults"])
    rows = "".join(html_row(row, result["faults"]) for row in result["mutants"])
    return """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>myqueue mutants: %d passed, %d failed</title>
<style>%s</style>
</head>
<body>
<main>
<p class="over">myqueue mutants · %s · took %d s</p>
<div class="verdict %s">
<p class="badge">%s</p>
<h1>%s</h1>
</div>
<p>Each mutant is the product with one deliberate bug. It is run under every fault; where its patch
says that the harness must find it, the cell has a ✓ or a ✗ with the finding's name. Other findings
are shown as they came; · is a valid run.</p>
<div class="scroll"><table>
<thead><tr><th>mutant</th>%s</tr></thead>
<tbody>
%s%s</tbody></table></div>
<footer>Made by <code>make mutants</code>; the same in <code>result.json</code> and
<code>table.md</code> beside this file. Runs that were valid are not kept.</footer>
</main>
</body>
</html>
""" % (result["passed"], result["failed"], STYLE, escape(result["started"]), result["seconds"],
       "good" if good else "bad", "✓ All caught" if good else "✗ Not all caught",
       escape(sentence(result)), heads, rows, html_control(result))
