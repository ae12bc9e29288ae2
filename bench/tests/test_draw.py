#!/usr/bin/python3
"""test_draw.py - the bench's report and table, from a result made up here. Ends with
`N passed, N failed`."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, BENCH)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import counted  # noqa: E402
import draw  # noqa: E402
import page  # noqa: E402
import words  # noqa: E402


def target(of, wanted, of_figure, figure, at_most=False, stretch=False):
    ratio = figure / of_figure
    return {"text": "≥ %s %s" % (wanted, of), "of": of, "wanted": wanted, "at_most": at_most,
            "stretch": stretch, "of_figure": of_figure, "ratio": ratio, "note": None,
            "met": ratio <= wanted if at_most else ratio >= wanted}


def sample():
    unmeasured = {"text": "≥ 0.5 COPY OUT", "of": "COPY OUT", "wanted": 0.5, "at_most": False,
                  "stretch": False, "of_figure": None, "ratio": None, "met": None,
                  "note": "not measured: no <long> log"}
    return {
        "schema": 1, "repeats": 3, "date": "2026-11-21T10:40:12+00:00", "duration_s": 613, "plan": "full",
        "machine": {"cpu": "A & B", "cores": 2, "memory": "23 GiB", "kernel": "6.1",
                    "filesystem": "ext4", "fdatasync_us": 57.2},
        "versions": {"myqueue": "myqueue-broker 0.1.0", "postgres": "15.20", "redis": None},
        "settings": {"postgres": {"fsync": "on"}, "message_bytes": 100},
        "ceilings": {"H": {"64": {"messages_per_s": 126000, "setting": "--mode external",
                                  "repeats": [125000, 126000]}},
                     "I": {"messages_per_s": 28000, "repeats": [28000], "note": None}},
        "rows": [
            {"id": "produce-postgres-64", "what": "produce, PostgreSQL", "unit": "messages/s",
             "figure": 60000, "repeats": [59000, 60000, 61000], "note": None,
             "broker": {"cpu_us_per_message": 10.25, "memory_mib_max": 31},
             "targets": [target("I", 2.0, 28000, 60000), target("R", 1.0, 64000, 60000),
                         target("H", 0.6, 126000, 60000, stretch=True)]},
            {"id": "deliver", "what": "deliver <fast>", "unit": "µs", "figure": 812,
             "repeats": [812], "targets": [target("5 ms", 1, 5000, 812, at_most=True)],
             "note": None},
            {"id": "backlog", "what": "consume | a backlog", "unit": "messages/s", "figure": None,
             "repeats": [], "targets": [unmeasured], "note": "not measured: no <long> log"},
            {"id": "sqlite", "what": "produce, SQLite", "unit": "messages/s", "figure": 70000,
             "repeats": [70000], "targets": [], "note": None}],
        "series": {
            "throughput": [{"system": system, "connections": c, "messages_per_s": c * 900}
                           for system in ("H", "myqueue-postgres", "redis", "unheard-of")
                           for c in (1, 64)],
            "latency": [{"system": "myqueue-postgres", "connections": 64, "rate": rate, "p50": 900,
                         "p90": 1000, "p99": 2000, "p99_9": 3000, "max": 4000,
                         "histogram": [[900, 500], [2000, 490], [4000, 10]]}
                        for rate in (0, 10000)]},
        "peers": [
            {"name": "Redis streams", "version": "7.0.15", "setting": "appendfsync always",
             "connections": 64, "messages_per_s": 61000, "skipped": None,
             "latency_us": {"p50": 900, "p90": 1, "p99": 2, "p99_9": 3, "max": 4}},
            {"name": "pgq", "version": None, "setting": None, "connections": 64,
             "messages_per_s": None, "latency_us": None, "skipped": "not <installed>"}],
    }


def row_in(html, words_in_it):
    """The lines of the table's row that holds these words, without tags."""
    body = next(b for b in html.split("<tbody>") if words_in_it in b).split("</tbody>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


class Page(unittest.TestCase):
    def setUp(self):
        self.result = sample()
        self.html = page.page(self.result, [])

    def test_every_row_has_target_figure_and_ratio(self):
        row = row_in(self.html, "Produce, PostgreSQL")
        for shown in ("60,000 messages/s", "59,000 to 61,000", "≥ 2.0 I", "2.14 × 28,000",
                      "✓ met, 7 % to spare", "0.94 × 64,000", "✗ missed by 6 %"):
            self.assertIn(shown, row)
        self.assertIn("no target", row_in(self.html, "Produce, SQLite"))

    def test_at_most_is_read_the_other_way_round(self):
        row = row_in(self.html, "Deliver")
        self.assertIn("0.16 × 5 ms", row)
        self.assertIn("✓ met, 84 % to spare", row)

    def test_not_measured_is_said_and_why(self):
        row = row_in(self.html, "Consume | a backlog")
        self.assertIn("? not measured", row)
        self.assertIn("no &lt;long&gt; log", row)
        self.assertNotIn(" 0 ", row)

    def test_text_is_escaped(self):
        self.assertIn("Deliver &lt;fast&gt;", self.html)
        self.assertIn("A &amp; B", self.html)
        self.assertNotIn("<long>", self.html)
        self.assertNotIn("<installed>", self.html)

    def test_the_badge_counts_goals_but_no_stretch(self):
        self.assertIn("2 of 4 targets met, 1 missed, 1 not measured", self.html)
        self.result["rows"] = self.result["rows"][1:2]
        self.assertEqual(words.badge(self.result), ("met", "✓ All 1 targets are met"))

    def test_the_sentence_compares(self):
        self.assertIn("60,000 messages a second over HTTP", words.headline(self.result))
        self.assertIn("2.14 × pgbench's inserts, 0.94 × Redis and 0.48 × a bare HTTP server.",
                      words.headline(self.result))
        self.result["rows"][0]["figure"] = None
        self.assertIn("not measured", words.headline(self.result))

    def test_peers_are_named_with_their_setting_or_why_not(self):
        self.assertIn("Redis streams 7.0.15", self.html)
        self.assertIn("appendfsync always", self.html)
        self.assertIn("? skipped: not &lt;installed&gt;", self.html)

    def test_a_ceiling_that_is_missing_is_said_to_be(self):
        self.assertIn("H, 64 connections", self.html)
        self.assertIn("? not measured", self.html[self.html.index("<h2>Ceilings"):])

    def test_nothing_is_loaded_from_elsewhere(self):
        self.assertNotRegex(self.html, r"(src|href)=\"(?!#)|url\((?!#)|<script")


class Numbers(unittest.TestCase):
    def test_three_digits_count(self):
        for value, shown in ((58123, "58,100"), (999.6, "1,000"), (123.4, "123"), (12.34, "12.3"),
                             (1.234, "1.23"), (0.5, "0.50"), (0, "0"), (1900000, "1,900,000")):
            self.assertEqual(words.number(value), shown)

    def test_times_change_their_unit(self):
        self.assertEqual(words.figure(812, "µs"), "812 µs")
        self.assertEqual(words.figure(1500, "µs"), "1.50 ms")
        self.assertEqual(words.figure(2000, "ms"), "2 s")
        self.assertEqual(words.figure(5000, "messages/s"), "5,000 messages/s")


class Readme(unittest.TestCase):
    def test_what_stands_between_the_markers_is_replaced(self):
        text = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n"
        once = draw.with_table(text, "new\n")
        self.assertEqual(once, "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n")
        self.assertEqual(draw.with_table(once, "new\n"), once)

    def test_without_markers_it_is_refused(self):
        for text in ("", "<!-- bench -->", "<!-- /bench --><!-- bench -->"):
            with self.assertRaises(draw.Refused):
                draw.with_table(text, "new")

    def test_every_row_is_in_the_table(self):
        table = draw.markdown(sample())
        for row in sample()["rows"]:
            self.assertIn(row["what"].replace("|", "\\|").replace("<", "&lt;"), table)
        self.assertIn("✗ 0.94, missed by 6 %", table)
        self.assertIn("? not measured: no &lt;long> log", table)
        self.assertIn("| PgQ | skipped: not &lt;installed> | |", table)
        rows = [line for line in table.splitlines() if line.startswith("| ")]
        self.assertEqual({line.replace("\\|", "").count("|") for line in rows}, {4, 5})


def has_matplotlib():
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


@unittest.skipUnless(has_matplotlib(), "python3-matplotlib is not installed")
class Plots(unittest.TestCase):
    def test_every_system_is_drawn_in_the_page_s_colours(self):
        drawn = draw.drawn(sample())
        self.assertEqual([one[0] for one in drawn],
                         ["Throughput by connections",
                          "Latency: 64 connections, the next request as soon as the last is "
                          "answered", "Latency: 10,000 messages a second over 64 connections"])
        wide = drawn[0][2]["wide"]
        for shown in ("bare HTTP server", "myqueue, PostgreSQL", "Redis streams", "unheard-of",
                      "var(--s-postgres)", "var(--s-redis)"):
            self.assertTrue(shown in wide, shown)
        self.assertFalse("#0102" in wide or "<metadata" in wide)

    def test_names_at_the_ends_do_not_overlap(self):
        import plots
        placed = plots.spread([10, 11, 12, 50], 15)
        self.assertTrue(all(b - a >= 14.99 for a, b in zip(placed, placed[1:])), placed)
        self.assertEqual(plots.spread([10, 50], 15), [10, 50])

    def test_a_folder_gets_its_report_and_table_and_a_readme_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "result.json"), "w") as out:
                json.dump(sample(), out)
            readme = os.path.join(folder, "README.md")
            with open(readme, "w") as out:
                out.write("<!-- bench -->\n<!-- /bench -->\n")
            subprocess.run([sys.executable, os.path.join(BENCH, "draw.py"), folder, "--readme",
                            readme], check=True)
            with open(os.path.join(folder, "report.html")) as made:
                self.assertIn("<svg", made.read())
            with open(os.path.join(folder, "table.md")) as made:
                table = made.read()
            self.assertIn("| produce, PostgreSQL |", table)
            with open(readme) as made:
                self.assertIn(table, made.read())

    def test_without_a_result_it_says_what_makes_one(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, os.path.join(BENCH, "draw.py"), folder],
                                  capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("make bench", done.stderr)

    def test_a_result_of_another_schema_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "result.json"), "w") as out:
                json.dump({"schema": 2}, out)
            done = subprocess.run([sys.executable, os.path.join(BENCH, "draw.py"), folder],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("schema 2", done.stderr)


if __name__ == "__main__":
    sys.exit(counted.main(verbosity=2))
