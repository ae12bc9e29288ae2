#!/usr/bin/python3
"""test_mutants.py - what is a mutant, when is it caught, and what the table says; no broker runs.
Ends with `N passed, N failed`."""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
import unittest

MUTANTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [MUTANTS, os.path.join(MUTANTS, "..", "..", "tools")]
import counted  # noqa: E402
import loads  # noqa: E402
import page  # noqa: E402
import run  # noqa: E402
import trees  # noqa: E402

HEADER = "Bug: A one is\n  a two.\nFinding: lost\nUnder: kill-broker\n\n"
DIFF = "--- a/broker/x.c\n+++ b/broker/x.c\n@@ -1 +1 @@\n-int one = 1;\n+int one = 2;\n"
# Makes each program out of broker/x.c, as a compiler would.
MAKEFILE = """programs: build/myqueue-broker build/myqueue-produce build/myqueue-consume build/myqueue-harness
build/%: broker/x.c
	@mkdir -p build
	@grep -q '^int one = [0-9];$$' $<
	@cp $< $@
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def cell(fault, found, wanted=True, tries=1):
    return {"mutant": "m", "fault": fault, "found": found, "wanted": wanted, "tries": tries,
            "seed": 1, "page": "runs/x/latest/report.html" if found else None, "seconds": 1.0, "unknowns": [],
            "findings": ["lost"] if found else [], "verdict": "invalid" if found else "valid"}


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def mutant(self, text):
        return trees.Mutant(write(os.path.join(self.folder, "a-bug.patch"), text))


class Patches(Folder):
    def test_a_header(self):
        mutant = self.mutant(HEADER + DIFF)
        self.assertEqual((mutant.name, mutant.bug, mutant.finding, mutant.under),
                         ("a-bug", "A one is a two.", "lost", ["kill-broker"]))

    def test_a_header_that_lacks_something(self):
        with self.assertRaisesRegex(trees.Refused, "must have Bug, Finding and Under"):
            self.mutant("Bug: none\n\n" + DIFF)

    def test_a_header_with_a_stray_line(self):
        with self.assertRaisesRegex(trees.Refused, "neither"):
            self.mutant("what?\n\n" + DIFF)

    def test_nothing_but_the_product_may_be_changed(self):
        with self.assertRaisesRegex(trees.Refused, "harness/check/check.c, which is not the product's"):
            self.mutant(HEADER + DIFF.replace("broker/x.c", "harness/check/check.c"))

    def test_all_that_we_have(self):
        faults = run.named(os.path.join(MUTANTS, "faults"), ".conf")
        for path in glob.glob(os.path.join(MUTANTS, "*.patch")):
            mutant = trees.Mutant(path)
            for fault in mutant.under:
                self.assertIn(fault, faults, path)
    def test_all_that_we_have_apply(self):
        """Told here at once, and not when somebody runs all mutants."""
        for path in glob.glob(os.path.join(MUTANTS, "*.patch")):
            with self.subTest(patch=os.path.basename(path)):
                done = subprocess.run(["patch", "--dry-run", *trees.PATCH, path], cwd=run.ROOT,
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_quick_ones_are_there(self):
        for name in run.QUICK:
            self.assertTrue(os.path.exists(os.path.join(MUTANTS, name + ".patch")), name)


class Trees(Folder):
    def setUp(self):
        super().setUp()
        self.source = write(os.path.join(self.folder, "root/broker/x.c"), "int one = 1;\n")
        write(os.path.join(self.folder, "root/Makefile"), MAKEFILE)
        self.trees = trees.Trees(os.path.join(self.folder, "root"),
                                 os.path.join(self.folder, "root/build/mutants"))

    def text(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as f:
            return f.read()

    def test_a_mutant_is_built_beside_the_product(self):
        control = self.trees.build_base()
        programs = self.trees.build_mutant(self.mutant(HEADER + DIFF))
        self.assertEqual(self.text(control, "myqueue-broker"), "int one = 1;\n")
        self.assertEqual(self.text(programs, "myqueue-broker"), "int one = 2;\n")
        self.assertEqual(self.text(programs, "myqueue-harness"), "int one = 1;\n")
        self.assertEqual(self.text(self.source), "int one = 1;\n")

    def test_the_base_follows_the_product(self):
        self.trees.build_base()
        write(self.source, "int one = 3;\n")
        extra = write(os.path.join(self.trees.base, "broker/gone.c"), "")
        control = self.trees.build_base()
        self.assertEqual(self.text(control, "myqueue-broker"), "int one = 3;\n")
        self.assertFalse(os.path.exists(extra))

    def test_a_patch_that_no_longer_applies(self):
        write(self.source, "int one = 3;\n")
        self.trees.build_base()
        with self.assertRaisesRegex(trees.Refused, "no longer applies"):
            self.trees.build_mutant(self.mutant(HEADER + DIFF))

    def test_a_patch_that_does_not_compile(self):
        self.trees.build_base()
        with self.assertRaisesRegex(trees.Refused, "does not compile"):
            self.trees.build_mutant(self.mutant(HEADER + DIFF.replace("= 2;", "= two;")))


class Loads(Folder):
    def test_a_seed_draws_the_moments(self):
        conf = write(os.path.join(self.folder, "x.conf"), "# words\nfault = after {10-99} acks\n")
        texts = []
        for i, seed in enumerate((1, 1, 2)):
            folder = os.path.join(self.folder, "s%d" % i)
            loads.write(folder, conf, seed)
            with open(os.path.join(folder, "scenario.conf"), encoding="utf-8") as f:
                texts.append(f.read())
        self.assertRegex(texts[0], r"after \d\d acks")
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])
        self.assertEqual(loads.words(conf), "words")


class Judged(Folder):
    def judged(self, header, *cells):
        return run.judged(self.mutant(header + DIFF), cells)

    def test_caught(self):
        self.assertEqual(self.judged(HEADER, cell("kill-broker", True), cell("none", False, False)),
                         [])

    def test_not_found(self):
        self.assertEqual(self.judged(HEADER, cell("kill-broker", False, tries=3)),
                         ["not found under kill-broker, seeds tried: 3"])

    def test_found_without_the_fault(self):
        self.assertEqual(self.judged(HEADER, cell("kill-broker", True), cell("none", True, False)),
                         ["without any fault (none): lost"])

    def test_something_else_is_found_without_the_fault(self):
        """The fault's merit is not known: what shows the bug may be the load alone."""
        for other in (dict(findings=["duplicate"], verdict="invalid"),
                      dict(unknowns=["unseen"], verdict="unknown"), dict(verdict="failed")):
            bare = dict(cell("plain", False, False), **other)
            wrong, = self.judged(HEADER, cell("kill-broker", True), bare)
            self.assertRegex(wrong, r"^without any fault \(plain\): (duplicate|unseen|failed)$")

    def test_what_may_show_without_the_fault(self):
        header = HEADER.rstrip("\n") + "\nAlso: duplicate\n\n"
        for more, wrong in (([], []), (["lost"], ["without any fault (none): duplicate, lost"])):
            bare = dict(cell("none", False, False), findings=["duplicate", *more], verdict="invalid")
            self.assertEqual(self.judged(header, cell("kill-broker", True), bare), wrong)

    def test_something_else_is_found_where_no_fault_is_needed(self):
        bare = dict(cell("plain", False, False), findings=["duplicate"], verdict="invalid")
        self.assertEqual(self.judged(HEADER.replace("kill-broker", "none"), cell("none", True), bare),
                         [])

    def test_something_else_under_another_fault(self):
        other = dict(cell("kill-postgres", False, False), findings=["duplicate"], verdict="invalid")
        self.assertEqual(self.judged(HEADER, cell("kill-broker", True), other), [])

    def test_needs_no_fault(self):
        self.assertEqual(self.judged(HEADER.replace("kill-broker", "none"), cell("none", True)), [])

    def test_not_run(self):
        self.assertEqual(self.judged(HEADER), ["not run under kill-broker"])


class Pages(Folder):
    def result(self, found):
        """Of the mutant a-bug and the control, under two faults."""
        mutant = self.mutant(HEADER + DIFF)
        own = [dict(cell("kill-broker", found), mutant="a-bug"),
               dict(cell("none", False, False), mutant="a-bug")]
        control = [dict(cell(fault, False), mutant="control", seed=seed)
                   for fault in ("none", "kill-broker") for seed in (1, 2)]
        return run.summed_up(argparse.Namespace(seeds=2, seed=1), [mutant],
                             ["none", "kill-broker"], own + control, "2026-01-01", 12)

    def test_caught(self):
        result = self.result(True)
        self.assertEqual((result["passed"], result["failed"]), (1 + 2, 0))
        self.assertIn("1 of 1 mutants were caught", page.text(result))
        self.assertIn("| a bug | · | ✓ lost |", page.markdown(result))
        self.assertIn("valid in 4 runs (2 seeds, 2 faults)", page.markdown(result))
        self.assertIn('<a href="runs/x/latest/report.html">✓ lost</a>', page.page(result))

    def test_not_caught(self):
        result = self.result(False)
        self.assertEqual((result["passed"], result["failed"]), (2, 1))
        self.assertIn("| a bug | · | ✗ lost |", page.markdown(result))
        self.assertIn("not found under kill-broker, seeds tried: 1", page.page(result))

    def test_into_readme(self):
        path = write(os.path.join(self.folder, "R.md"), "a\n<!-- mutants -->\nold\n"
                     "<!-- /mutants -->\nb\n")
        page.into_readme(path, "new\n")
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), "a\n<!-- mutants -->\nnew\n<!-- /mutants -->\nb\n")

    def test_a_readme_without_the_markers(self):
        with self.assertRaisesRegex(ValueError, "there has to be one"):
            page.into_readme(write(os.path.join(self.folder, "R.md"), "a\n"), "new\n")


if __name__ == "__main__":
    sys.exit(counted.main())
