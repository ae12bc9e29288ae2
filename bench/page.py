"""page.py - the bench's report.html: from top to bottom the verdict, every row of the table, plots,
peers, ceilings, how it was measured. Self-contained; in the look of the harness' reports.

Colours are variables, in light and dark; a state is always told by a sign and a word, too.
"""

from html import escape

import words

SIGNS = {"met": "✓", "missed": "✗", "unknown": "?"}

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--panel:#f5f6f8;--text:#1b1f24;--muted:#59626e;
--line:#dfe3e8;--good:#12703f;--good-bg:#e6f5ec;--bad:#b3261e;--warn:#8a5200;--warn-bg:#fdf3e1;
--s-postgres:#1f5fd0;--s-sqlite:#7a3fc0;--s-memory:#00806f;--s-bare:#59626e;--s-redis:#c4312a;
--s-nats:#3b8021;--s-rabbitmq:#cc5a00;--s-beanstalkd:#847400;--s-pgq:#b3307f}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--panel:#1d2127;--text:#e7eaee;
--muted:#9aa4b1;--line:#333a43;--good:#5fd08f;--good-bg:#15301f;--bad:#ff8a80;--warn:#f2b85c;
--warn-bg:#36280f;--s-postgres:#6ea3ff;--s-sqlite:#b696f5;--s-memory:#3fd0bb;--s-bare:#9aa4b1;
--s-redis:#ff8a80;--s-nats:#8fd16f;--s-rabbitmq:#ff9a4a;--s-beanstalkd:#d6cb4b;--s-pgq:#f48bc6}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}
main{max-width:1080px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.6rem;line-height:1.3;margin:0;font-weight:650;text-wrap:balance}
h2{font-size:1.15rem;margin:40px 0 10px}
h3{font-size:1rem;margin:24px 0 4px}
p{margin:6px 0 12px;max-width:72ch}
.note{color:var(--muted);font-size:.92rem}
code{font:.9em/1.4 ui-monospace,'Liberation Mono',Menlo,Consolas,monospace;overflow-wrap:anywhere}
.over{color:var(--muted);margin:0 0 10px}
.verdict{border-left:6px solid;border-radius:6px;padding:16px 18px;margin-bottom:18px}
.badge{font-weight:700;letter-spacing:.02em;margin:0 0 4px}
.all-met{border-color:var(--good);background:var(--good-bg)}.all-met .badge{color:var(--good)}
.not-all{border-color:var(--warn);background:var(--warn-bg)}.not-all .badge{color:var(--warn)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px 20px;margin:0}
dt{color:var(--muted);font-size:.85rem}dd{margin:0;overflow-wrap:anywhere}
dl .wide{grid-column:1/-1}
.scroll{overflow-x:auto;margin:0 -16px;padding:0 16px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:7px 10px;text-align:right;vertical-align:top}
th{font-weight:600;font-size:.88rem}thead th{color:var(--muted);vertical-align:bottom}
tbody,.plain tr{border-bottom:1px solid var(--line)}thead{border-bottom:1px solid var(--line)}
th:first-child,td:first-child,.left{text-align:left}
th:first-child,td.what{padding-left:0}
.of,.small{color:var(--muted);font-size:.86rem;font-weight:400}.of{display:block}
.what{width:38%}.goal{width:20%}
.figure{font-weight:600;white-space:nowrap}.ratio,.nowrap{white-space:nowrap}
.wish{white-space:nowrap;color:var(--muted)}
.met{color:var(--good);white-space:nowrap}
.missed{white-space:nowrap;color:var(--bad);font-weight:650}.unknown{color:var(--warn)}
.ours th,.ours td{background:var(--panel);font-weight:650}
.narrow,.legend.narrow{display:none}
svg{display:block;width:100%;height:auto}
svg text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;padding:0;margin:6px 0 0;list-style:none;
font-size:.85rem}
.swatch{display:inline-block;width:16px;border-top:3px solid;vertical-align:middle;margin-right:6px}
summary{cursor:pointer;color:var(--muted);font-size:.92rem;margin-top:8px}
footer{margin-top:44px;color:var(--muted);font-size:.88rem}
@media (max-width:640px){h1{font-size:1.25rem}.wide-only{display:none}.narrow{display:block}
.legend.narrow{display:flex}table{font-size:.9rem}th,td{padding:6px 5px}
dl{grid-template-columns:1fr 1fr}
.stack{width:100%}.stack tr{display:grid;grid-template-columns:repeat(4,1fr);padding:4px 0}
.stack .left{grid-column:1/-1;padding-bottom:0}.stack thead .left{display:none}
.stack td,.stack th{padding-left:0;text-align:left}.two tr{grid-template-columns:1fr 2fr}
.rows thead{display:none}.rows tr{display:flex;flex-wrap:wrap;column-gap:14px}
.rows tbody{display:block;padding:10px 0}.rows td{padding:1px 0;text-align:left}
.rows .what,.rows .figure{flex:0 0 100%;width:auto}.rows .figure .of{display:inline;margin-left:8px}
.rows .goal{width:auto}}
@media print{:root{color-scheme:light}main{max-width:none;padding:0}tr,svg{break-inside:avoid}}
"""


def cell(text, kind=None, tag="td", more=""):
    return "<%s%s%s>%s</%s>" % (tag, ' class="%s"' % kind if kind else "", more, text, tag)


def facts(pairs):
    return "<dl>\n%s</dl>\n" % "".join(
        '<div%s><dt>%s</dt><dd>%s</dd></div>\n' % (
            ' class="wide"' if len(str(value)) > 60 else "", escape(name), escape(str(value)))
        for name, value in pairs if value)


def header(result):
    state, badge = words.badge(result)
    m = result["machine"]
    version = result["versions"].get("myqueue") or "myqueue"
    return """<header>
<p class="over">myqueue bench · %s</p>
<div class="verdict %s">
<p class="badge">%s</p>
<h1>%s</h1>
</div>
%s</header>
""" % (escape(words.date(result)), "all-met" if state == "met" else "not-all", escape(badge),
       escape(words.headline(result)), facts([
           ("Processor", "%s, %s cores" % (m.get("cpu"), m.get("cores"))),
           ("Memory", m.get("memory")),
           ("Kernel", m.get("kernel")),
           ("Disk", "%s, fdatasync %s" % (m.get("filesystem"),
                                          words.figure(m["fdatasync_us"], "µs")
                                          if m.get("fdatasync_us") else "not measured")),
           ("Version", version),
           ("PostgreSQL", result["versions"].get("postgres")),
           ("Took", words.took(result)),
           ("Plan", words.plan(result)),
       ]))


# ---- the rows -----------------------------------------------------------------------------------


def target_cells(target, row):
    state, text = words.verdict(target)
    if text == row.get("note"):
        text = "not measured"  # the row says why
    sign = SIGNS[state]
    if state == "missed" and target.get("stretch"):
        state = "wish"
    ratio = ""
    if target["ratio"] is not None:
        ratio = '%.2f <span class="small">× %s</span>' % (
            target["ratio"], words.brief(target["of_figure"], row["unit"]))
    return (cell(escape(target["text"]), "left goal") + cell(ratio, "ratio") +
            cell("%s %s" % (sign, escape(text)), "left " + state))


def row_body(row):
    """A row is a body of its own: its targets are lines of it."""
    measured = row["figure"] is not None
    what = escape(row["what"][:1].upper() + row["what"][1:])
    if row.get("note"):
        what += '<span class="of">%s</span>' % escape(row["note"])
    if measured:
        shown = escape(words.figure(row["figure"], row["unit"]))
        between = words.span(row["repeats"], row["unit"])
        if between:
            shown += '<span class="of">%s</span>' % escape(between)
    else:
        shown = '<span class="unknown">? not measured</span>'
    lines = [target_cells(target, row) for target in row["targets"]]
    if not lines:
        lines = [cell("no target", "left goal") + cell("") + cell("", "left")]
    many = ' rowspan="%d"' % len(lines)
    lines[0] = cell(what, "what", more=many) + cell(shown, "figure", more=many) + lines[0]
    return "<tbody>\n%s</tbody>\n" % "".join("<tr>%s</tr>\n" % line for line in lines)


def rows(result):
    return """<section>
<h2>Every row</h2>
<div class="scroll"><table class="rows">
<thead><tr><th>What</th><th>Median</th><th class="left">Target</th><th>Ratio</th>
<th class="left">Met?</th></tr></thead>
%s</table></div>
<p class="note">Medians; a ratio compares medians of this one run. %s.</p>
</section>
""" % ("".join(row_body(row) for row in result["rows"]),
       escape("; ".join("%s: %s" % (name.replace("copy_out", "COPY OUT"), what)
                        for name, what in words.CEILINGS)))


# ---- plots --------------------------------------------------------------------------------------


def legend(systems):
    """Under the narrow plots, which have no names at their lines' ends."""
    items = "".join('<li><span class="swatch" style="border-color:var(%s)"></span>%s</li>\n'
                    % (variable, escape(words.system(system))) for system, variable in systems)
    return '<ul class="legend narrow">\n%s</ul>\n' % items


def plot(heading, note, drawn, systems):
    return """<h3>%s</h3>
<p class="note">%s</p>
<div class="wide-only">%s</div>
<div class="narrow">%s</div>
%s""" % (escape(heading), escape(note), drawn["wide"], drawn["narrow"], legend(systems))


def throughput_table(points):
    """The plot's numbers, for who wants to read them."""
    counts = sorted({point["connections"] for point in points})
    found = {}
    for point in points:
        found.setdefault(point["system"], {})[point["connections"]] = point["messages_per_s"]
    body = "".join("<tr>%s%s</tr>\n" % (
        cell(escape(words.system(system)), tag="th"),
        "".join(cell(words.number(by[count]) if count in by else "–") for count in counts))
        for system, by in found.items())
    return """<details><summary>Throughput in numbers</summary>
<div class="scroll"><table class="plain"><thead><tr><th>connections</th>%s</tr></thead>
<tbody>%s</tbody></table></div></details>
""" % ("".join(cell(count, tag="th") for count in counts), body)


# ---- peers --------------------------------------------------------------------------------------


def latency_cells(latency):
    return "".join(cell(escape(words.figure(latency[name], "µs")) if latency else "", "nowrap")
                   for name in ("p50", "p99", "p99_9"))


def peer_line(name, setting, rate, latency, ours=False):
    shown = escape(name) + ('<span class="of">%s</span>' % escape(setting) if setting else "")
    return "<tr%s>%s%s%s</tr>\n" % (' class="ours"' if ours else "",
                                    cell(shown, "left", tag="th"), cell(words.number(rate)),
                                    latency_cells(latency))


def our_line(result):
    """The broker on the same work, from the series."""
    rate = [p["messages_per_s"] for p in result["series"]["throughput"]
            if (p["system"], p["connections"]) == ("myqueue-postgres", 64)]
    latency = [p for p in result["series"]["latency"]
               if (p["system"], p["connections"], p["rate"]) == ("myqueue-postgres", 64, 0)]
    if not rate:
        return ""
    return peer_line("myqueue, PostgreSQL", "fsync and synchronous_commit on; over HTTP", rate[0],
                     latency[0] if latency else None, ours=True)


def peers(result):
    if not result["peers"]:
        return "<section>\n<h2>Peers</h2>\n<p>The peers were not run.</p>\n</section>\n"
    ran = [peer for peer in result["peers"] if not peer["skipped"]]
    ran.sort(key=lambda peer: -peer["messages_per_s"])
    body = our_line(result)
    for peer in ran:
        body += peer_line("%s %s" % (peer["name"], peer["version"]), peer["setting"],
                          peer["messages_per_s"], peer["latency_us"])
    for peer in result["peers"]:
        if peer["skipped"]:
            body += "<tr>%s%s</tr>\n" % (
                cell(escape(words.system(peer["name"])), "left", tag="th"),
                cell("? skipped: " + escape(peer["skipped"]), "left unknown", more=' colspan="4"'))
    return """<section>
<h2>Peers on the same work</h2>
<p class="note">One message of 100 bytes a request, acknowledged when durable, 64 connections with
one in flight each; every peer with its strictest durable setting, which is named.</p>
<div class="scroll"><table class="plain stack">
<thead><tr><th class="left">Peer</th><th>messages/s</th><th>median</th><th>99 %%</th>
<th>99.9 %%</th></tr></thead>
<tbody>%s</tbody></table></div>
</section>
""" % body


# ---- ceilings, method ---------------------------------------------------------------------------


def ceiling_lines(name, found):
    """H is measured by connections; the others once."""
    if found and "messages_per_s" not in found:
        return [("%s, %s connection%s" % (name, count, "s" * (count != "1")), found[count])
                for count in found]
    return [(name, found)]


def ceilings(result):
    body = ""
    for name, what in words.CEILINGS:
        found = result["ceilings"].get(name) or {}
        for shown, one in ceiling_lines(name.replace("copy_out", "COPY OUT"), found):
            rate = one.get("messages_per_s")
            setting = one.get("setting") or one.get("note") or ""
            body += "<tr>%s%s%s</tr>\n" % (
                cell("%s<span class=\"of\">%s</span>" % (
                    escape(shown), escape("; ".join(filter(None, (what, setting))))), "left",
                     tag="th"),
                cell(escape(words.number(rate)) if rate else "? not measured",
                     None if rate else "unknown"),
                cell(escape(words.span(one.get("repeats") or [], "messages/s")), "small nowrap"))
    return """<section>
<h2>Ceilings</h2>
<div class="scroll"><table class="plain stack two">
<thead><tr><th class="left">Ceiling</th><th>messages/s</th><th>lowest and highest</th></tr></thead>
<tbody>%s</tbody></table></div>
</section>
""" % body


def spent(result):
    """What the broker itself took, row by row."""
    body = "".join("<tr>%s%s%s</tr>\n" % (
        cell(escape(row["what"][:1].upper() + row["what"][1:]), "left", tag="th"),
        cell(escape(words.figure(row["broker"]["cpu_us_per_message"], "µs")), "nowrap"),
        cell(escape(words.figure(row["broker"]["memory_mib_max"], "MiB")), "nowrap"))
        for row in result["rows"] if row.get("broker"))
    if not body:
        return ""
    return """<section>
<h2>What the broker took</h2>
<div class="scroll"><table class="plain stack two">
<thead><tr><th class="left">Row</th><th>CPU a message</th><th>memory at most</th></tr></thead>
<tbody>%s</tbody></table></div>
</section>
""" % body


def method(result):
    return """<section>
<h2>How it was measured</h2>
<p>All of it in one run on one machine, repeats interleaved. Latency counts from the moment when a
request was due, not from when it could be sent.</p>
%s</section>
""" % facts(words.settings(result) + [("versions", words.versions(result))])


def page(result, plots):
    """The whole file. `plots`: lists of (heading, note, drawn, systems), see draw.py."""
    drawn = "".join(plot(*one) for one in plots)
    if result["series"]["throughput"]:
        drawn += throughput_table(result["series"]["throughput"])
    return """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>%s</title>
<style>%s</style>
</head>
<body>
<main>
%s</main>
</body>
</html>
""" % (escape("myqueue bench: " + words.badge(result)[1]), STYLE,
       header(result) + rows(result) +
       ("<section>\n<h2>Plots</h2>\n%s</section>\n" % drawn if drawn else "") +
       peers(result) + ceilings(result) + spent(result) + method(result) +
       '<footer>Made by <code>make bench</code>; the figures are in <code>result.json</code>, the '
       'table in Markdown in <code>table.md</code> beside this file.</footer>\n')
