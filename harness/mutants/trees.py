"""trees.py - the product with one deliberate bug: patched, built, ready to run.

The product's sources are never touched. A copy of them is built once (`base`, kept from one run to
the next); each mutant is a copy of that built copy, with its time stamps, in which make builds
only what the patch has changed. Of the mutant only its programs are kept.

The harness is never a mutant: it is the base's, put next to the mutant's programs, since it runs
those that lie in its own folder.
"""

import os
import re
import shutil
import subprocess

SOURCES = ("common", "broker", "myqueue", "scenarios", "harness", "Makefile")
PRODUCT = ("myqueue-broker", "myqueue-produce", "myqueue-consume")
MAY_CHANGE = ("broker/", "common/", "myqueue/", "scenarios/")  # what a patch is for
# With crash points, which are nothing unless a fault arms one.
MAKE = ["make", "-s", "-j%d" % os.cpu_count(), "BUILD=build", "CRASH_POINTS=1", "programs"]
PATCH = ("-p1", "--batch", "--fuzz=0", "--no-backup-if-mismatch", "-r", "-", "-i")
HEADER = re.compile(r"^([A-Z][a-z]+): *(.*)$")


class Refused(Exception):
    """A mutant that is not one, and why; or a tree that cannot be built."""


class Mutant:
    """A patch file: its header says what the bug is, and what must find it.

    Bug: what is wrong, in a sentence or two; it may go on in lines that begin with a space
    Finding: the name of the finding that must be there
    Under: the faults (faults/NAME.conf) under each of which it must be; `none`: it needs none
    Also: what else may show it, perhaps without any fault; may be left out
    """

    def __init__(self, path):
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.path = path
        with open(path, encoding="utf-8") as f:
            header, _, self.diff = f.read().partition("\n\n")
        fields = {}
        last = None
        for line in header.split("\n"):
            match = HEADER.match(line)
            if match:
                last = match[1]
                fields[last] = match[2]
            elif last and line.startswith(" "):
                fields[last] += " " + line.strip()
            else:
                raise Refused("%s: %r is neither `Name: text` nor a line that goes on with one"
                              % (path, line))
        also = fields.pop("Also", "")
        if sorted(fields) != ["Bug", "Finding", "Under"]:
            raise Refused("%s: the header must have Bug, Finding and Under, and has %s"
                          % (path, ", ".join(fields)))
        self.bug = fields["Bug"]
        self.finding = fields["Finding"]
        self.under = fields["Under"].split()
        self.also = also.split()
        self.check_files()

    def check_files(self):
        changed = re.findall(r"^\+\+\+ b/(\S+)", self.diff, re.M)
        if not changed:
            raise Refused("%s: there is no `+++ b/FILE` in it" % self.path)
        for name in changed:
            if not name.startswith(MAY_CHANGE):
                raise Refused("%s: it changes %s, which is not the product's" % (self.path, name))


def run(command, folder, what):
    # A make that runs this has options and a build folder that are not for the trees.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD", "SANITIZE",
                                   "CRASH_POINTS")}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = done.stdout.strip().split("\n")
        raise Refused("%s:\n    %s" % (what, "\n    ".join(lines[-12:])))


def differs(source, copy):
    try:
        a, b = os.stat(source), os.stat(copy)
    except FileNotFoundError:
        return True
    return (a.st_size, a.st_mtime_ns) != (b.st_size, b.st_mtime_ns)


def refresh(root, base):
    """Make the copy's sources those of the product; what is as it was keeps its time stamp."""
    wanted = set()
    for top in SOURCES:
        path = os.path.join(root, top)
        if os.path.isfile(path):
            wanted.add(top)
        for folder, _, names in os.walk(path):
            wanted.update(os.path.relpath(os.path.join(folder, name), root) for name in names
                          if not name.endswith(".pyc"))
    for name in wanted:
        source, copy = os.path.join(root, name), os.path.join(base, name)
        if differs(source, copy):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy2(source, copy)
    for folder, folders, names in os.walk(base):
        if folder == base:
            folders[:] = [name for name in folders if name != "build"]
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, base) not in wanted:
                os.remove(path)


class Trees:
    """Where the trees and the programs are."""

    def __init__(self, root, folder):
        self.root = root
        self.folder = folder
        self.base = os.path.join(folder, "base")
        self.control = os.path.join(folder, "programs", "control")

    def build_base(self):
        """The unchanged product; the folder with its programs."""
        refresh(self.root, self.base)
        run(MAKE, self.base, "the product does not compile")
        built = os.path.join(self.base, "build")
        shutil.rmtree(os.path.join(self.folder, "programs"), ignore_errors=True)
        os.makedirs(self.control)
        for name in os.listdir(built):
            if os.path.isfile(os.path.join(built, name)):
                shutil.copy2(os.path.join(built, name), self.control)
        return self.control

    def build_mutant(self, mutant):
        """Patch and build it; the folder with its programs."""
        tree = os.path.join(self.folder, "tree-" + mutant.name)
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.base, tree, symlinks=True)  # with its time stamps
        try:
            run(["patch", *PATCH, mutant.path], tree, "%s no longer applies" % mutant.path)
            run(MAKE, tree, "%s does not compile" % mutant.path)
            return self.keep_programs(mutant.name, os.path.join(tree, "build"))
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    def keep_programs(self, name, built):
        """The mutant's own, and all others as in the base."""
        kept = os.path.join(self.folder, "programs", name)
        shutil.copytree(self.control, kept)
        for program in PRODUCT:
            shutil.copy2(os.path.join(built, program), kept)
        return kept
