#!/usr/bin/python3
"""test_rows.py - medians, ratios and targets of the bench's table. Ends with `N passed, N failed`."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import counted  # noqa: E402
import rows  # noqa: E402


def rates(*values):
    return [{"messages_per_s": value} for value in values]


def row_of(samples, row_id, skipped=None, notes=None):
    return {row["id"]: row for row in rows.table(samples, skipped or {}, notes or {})}[row_id]


class Rows(unittest.TestCase):
    def test_a_ratio_compares_medians(self):
        row = row_of({"memory.64": rates(80, 10, 90), "H.64": rates(100, 1000, 90)},
                     "produce-memory-64")
        self.assertEqual((row["figure"], row["repeats"]), (80, [80, 10, 90]))
        target = row["targets"][0]
        self.assertEqual((target["ratio"], target["wanted"], target["met"]), (0.8, 0.85, False))

    def test_at_least_is_met_at_the_mark(self):
        target = row_of({"memory.64": rates(85), "H.64": rates(100)},
                        "produce-memory-64")["targets"][0]
        self.assertTrue(target["met"])

    def test_at_most_is_missed_above_the_mark(self):
        samples = {"postgres.1": [{"latency_us": {"p50": 126}}], "I.1": [{"latency_us": {"p50": 60}}],
                   "H.1": [{"latency_us": {"p50": 40}}]}
        self.assertFalse(row_of(samples, "produce-postgres-1")["targets"][0]["met"])
        samples["postgres.1"] = [{"latency_us": {"p50": 125}}]
        self.assertTrue(row_of(samples, "produce-postgres-1")["targets"][0]["met"])

    def test_the_lesser_of_two_counts(self):
        for copy, of in ((300000, 1e6), (100000, 500000)):
            row = row_of({"postgres.tail500": rates(600000), "C": rates(copy)}, "consume-tail-500")
            self.assertEqual(row["targets"][0]["of_figure"], of)

    def test_a_stretch_is_marked(self):
        row = row_of({"postgres.64": rates(1)}, "produce-postgres-64")
        self.assertEqual([t["stretch"] for t in row["targets"]], [False, False, False, True])

    def test_a_missing_sample_is_no_figure(self):
        row = row_of({}, "produce-sqlite-64", {"sqlite.64": "no such store"})
        self.assertIsNone(row["figure"])
        self.assertEqual(row["note"], "not measured: no such store")

    def test_a_missing_ceiling_leaves_the_figure(self):
        row = row_of({"postgres.64": rates(50), "I": rates(20)}, "produce-postgres-64",
                     {"R": "redis-server is not installed"})
        self.assertEqual(row["figure"], 50)
        by_text = {target["text"]: target for target in row["targets"]}
        self.assertTrue(by_text["≥ 2.2 I"]["met"])
        self.assertIsNone(by_text["≥ 0.9 R"]["met"])
        self.assertEqual(by_text["≥ 0.9 R"]["note"], "not measured: redis-server is not installed")

    def test_every_row_is_there_without_any_sample(self):
        table = rows.table({}, {}, {})
        self.assertEqual([row["id"] for row in table], [row.id for row in rows.ROWS])
        for row, shown in zip(rows.ROWS, table):
            self.assertTrue(shown["note"].startswith("not measured: "), shown)
            self.assertEqual(len(shown["targets"]), len(row.targets))

    def test_every_expression_is_known(self):
        for row in rows.ROWS:
            for target in row.targets:
                self.assertIn(target.of, rows.EXPRESSIONS)

    def test_what_the_broker_took_is_shown(self):
        one = {"messages_per_s": 5, "broker": {"cpu_us_per_message": 9, "memory_mib_max": 30,
                                               "postgres_cpu_us_per_message": 1}}
        two = {"messages_per_s": 6, "broker": {"cpu_us_per_message": 11, "memory_mib_max": 20,
                                               "postgres_cpu_us_per_message": 3}}
        row = row_of({"memory.64": [one, two]}, "produce-memory-64")
        self.assertEqual(row["broker"], {"cpu_us_per_message": 10, "postgres_cpu_us_per_message": 2,
                                         "memory_mib_max": 30})


if __name__ == "__main__":
    sys.exit(counted.main(verbosity=2))
