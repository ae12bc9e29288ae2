#!/usr/bin/python3
"""The reports as a person sees them: opened in Chromium, wide and on a phone, light and dark.

    BUILD=build harness/tests/pages.py [-k PATTERN]

A good run, a bad one, one without a verdict, one in which nothing happened, and the list of all.
Each must open without a complaint of the browser's (no script, nothing fetched), need no
scrolling sideways, have its sections, text that can be read against its background, and no two
words of a picture upon each other. Without Chromium these are left out, and it says so.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import browser

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
HARNESS = BUILD / "myqueue-harness"
LIMIT_S = 120
SIZES = ((1200, 900), (390, 844))
CONTRAST_MIN = 4.5  # WCAG AA
TESTS = []

# Every text that is seen with a contrast below the limit: what it says, and its contrast.
FAINT = r"""
(() => {
  const parse = c => { const p = c.match(/[\d.]+/g).map(Number); return p.length < 4 ? [...p, 1] : p; };
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => {
      v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; }
    return [255, 255, 255, 1]; };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement, s = getComputedStyle(e);
    if (!n.data.trim() || !e.getClientRects().length || e.closest("title,.mark-text")) continue;
    const a = light(parse(e.closest("svg") ? s.fill : s.color)), b = light(behind(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < %f) faint.push([n.data.trim().slice(0, 40), contrast]);
  }
  return faint;
})()
""" % CONTRAST_MIN

# Words of a picture that lie upon each other or leave it.
CROWDED = """
[...document.querySelectorAll("svg[role=img]")].filter(s => s.getClientRects().length).flatMap(s => {
  const all = [...s.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
  const frame = s.getBoundingClientRect();
  return all.filter(([, r]) => r.left < frame.left - 1 || r.right > frame.right + 1).map(([w]) => w)
    .concat(all.flatMap(([w, r], i) => all.slice(i + 1).filter(([, q]) => r.left < q.right - 1 &&
      q.left < r.right - 1 && r.top < q.bottom - 3 && q.top < r.bottom - 3).map(([v]) => w + " | " + v)));
})
"""


def test(function):
    TESTS.append(function)
    return function


# ---- runs to look at ----------------------------------------------------------------------


def harness(*arguments, code):
    done = subprocess.run([HARNESS, *map(str, arguments)], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"


class Runs:
    """One real run with a kill, and copies of it that are broken by hand."""

    def __init__(self, folder):
        self.reports = Path(folder) / "reports"
        harness("run", "--root", ROOT, "--runtime", "process", "--store", "sqlite", "--reports",
                self.reports, ROOT / "scenarios/2p2c", code=0)
        self.good = (self.reports / "2p2c/latest").resolve()

    def copy(self, name):
        there = self.reports / "2p2c" / name
        shutil.copytree(self.good, there)
        return there


def edit(path, function):
    """Replace a JSON Lines file's records by what `function` gives for each; None: by nothing."""
    records = [function(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(r) + "\n" for r in records if r is not None))


# ---- looking ------------------------------------------------------------------------------


def look(window, page_path, sections):
    """The page in both sizes and both schemes."""
    for width, height in SIZES:
        for dark in (False, True):
            page = window.open(page_path, width, height, dark)
            where = f"{page_path.parent.name}/{page_path.name} at {width}, {'dark' if dark else 'light'}"
            assert not page.complaints, f"{where}: {page.complaints}"
            wide = page.value("document.documentElement.scrollWidth")
            assert wide <= width, f"{where}: {wide} pixels wide"
            for section in sections:
                tall = page.value(f"(document.getElementById('{section}') || document.createElement('p'))"
                                  ".getBoundingClientRect().height")
                assert tall > 20, f"{where}: no section '{section}'"
            base = page.value("getComputedStyle(document.body).backgroundColor")
            assert (int(re.search(r"\d+", base).group()) < 64) == dark, f"{where}: background {base}"
            faint = page.value(FAINT)
            assert not faint, f"{where}: too little contrast: {faint}"
            crowded = page.value(CROWDED)
            assert not crowded, f"{where}: words upon each other or beyond the picture: {crowded}"
            yield page


def first_screen(page, *selectors):
    """All of these are seen without scrolling."""
    for selector in selectors:
        bottom = page.value(f"document.querySelector('{selector}').getBoundingClientRect().bottom")
        assert 0 < bottom <= page.height, f"{selector} ends at {bottom}, below the first screen"


@test
def a_good_run(window, runs):
    sections = ["promises", "matrix", "timeline", "latency", "faults", "producers", "files"]
    for page in look(window, runs.good / "report.html", sections):
        first_screen(page, "h1", ".command", ".promises tbody tr")
        assert page.value("document.querySelector('.badge').textContent") == "✓ Valid"
        assert page.value("document.querySelectorAll('.band').length") > 0, "no fault in the picture"
        assert page.value("document.querySelectorAll('path.sent').length") > 0, "no send in the picture"


@test
def a_bad_run(window, runs):
    there = runs.copy("bad")
    edit(there / "rows.jsonl", lambda r: None if r["offset"] == 20 else r)
    edit(there / "history/C1.jsonl",
         lambda r: None if r.get("op") == "receive" and r["offset"] in (30, 31) else r)
    with open(there / "consumer_2.txt", "a") as file:
        file.write("T1     " + "<script>alert(1)</script>" + 300 * "x" + "\n")
    harness("check", there, code=1)
    for page in look(window, there / "report.html", ["promises", "findings", "matrix", "timeline"]):
        first_screen(page, "h1", ".command")
        assert page.value("document.querySelector('.badge').textContent") == "✗ Invalid"
        assert page.value("document.querySelectorAll('.promises .bad').length") > 0
        assert page.value("document.querySelectorAll('.around .here').length") > 0, "no surroundings"
        assert page.value("document.querySelectorAll('path.unstored').length") > 0, "no lost dot"


@test
def a_run_without_a_verdict(window, runs):
    there = runs.copy("unknown")
    edit_json = json.loads((there / "run.json").read_text())
    edit_json["ended_early"] = "nothing was sent or received for 90 s"
    (there / "run.json").write_text(json.dumps(edit_json))
    harness("check", there, code=2)
    for page in look(window, there / "report.html", ["promises", "findings", "timeline"]):
        assert page.value("document.querySelector('.badge').textContent") == "? Unknown"


@test
def a_run_in_which_nothing_happened(window, runs):
    there = runs.copy("nothing")
    for path in [*there.glob("history/*"), *there.glob("consumer_*"), there / "rows.jsonl"]:
        path.write_text("")
    harness("check", there, code=2)
    for page in look(window, there / "report.html", ["promises", "findings", "timeline"]):
        assert page.value("document.body.innerText.includes('Nothing was sent.')")


@test
def the_list_of_runs(window, runs):
    harness("index", runs.reports, code=0)
    for page in look(window, runs.reports / "index.html", ["runs"]):
        links = page.value("[...document.querySelectorAll('#runs a')].map(a => a.href)")
        assert links and all(os.path.exists(link.removeprefix("file://")) for link in links), links


@test
def every_member_of_result_json_is_described(_, runs):
    words = set(re.findall(r"`(\w+)`", (ROOT / "docs/result.md").read_text()))

    def members(value):
        if isinstance(value, list):
            return set().union(*map(members, value))
        if not isinstance(value, dict):
            return set()
        own = {key for key in value if not re.fullmatch(r"[CPT]\d+", key)}  # others are names
        return own.union(*map(members, value.values()))

    result = json.loads((runs.good / "result.json").read_text())
    missing = members(result) - words
    assert not missing, f"docs/result.md says nothing of {sorted(missing)}"


# ---- all of it ----------------------------------------------------------------------------


def run_all(pattern):
    failed = 0
    there = browser.find() is not None
    chosen = [t for t in TESTS if re.search(pattern, t.__name__) and (there or "window" not in
              t.__code__.co_varnames)]
    if not there:
        print("pages: no page is looked at, there is no Chromium here (tools/deps test installs it)")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="myqueue-pages-"))
        window = stack.enter_context(browser.Browser()) if there else None
        runs = Runs(folder)
        for function in chosen:
            try:
                function(window, runs)
                print(f"pages: {function.__name__} ok", flush=True)
            except (AssertionError, RuntimeError) as wrong:
                print(f"pages: {function.__name__} FAILED: {wrong}", flush=True)
                failed += 1
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="PATTERN", default="", help="only tests whose name matches")
    return run_all(parser.parse_args().k)


if __name__ == "__main__":
    sys.exit(main())
