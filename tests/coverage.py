#!/usr/bin/env python3
"""coverage.py BUILD - what a coverage build has run of shared/mqtt and worker/mqtt

Prints lines and branches of each file, and writes those that nothing reached to BUILD/unreached.
Fails when less than 95 % of the lines of shared/mqtt have been reached.

A file is compiled into more than one object: headers everywhere, a module once more into a test that
takes its memory away. A line is reached if it is in one of them; so is a branch, as long as the
object has the branches that the broker's own has.
"""
import json
import os
import subprocess
import sys

FOLDERS = ("shared/mqtt/", "worker/mqtt/")
DEMANDED = {"shared/mqtt/": 95.0}


class File:
    def __init__(self):
        self.lines = {}  # number: how often
        self.branches = {}  # (number, function): how often each

    def add(self, lines):
        for line in lines:
            number, at = line["line_number"], (line["line_number"], line.get("function_name"))
            self.lines[number] = self.lines.get(number, 0) + line["count"]
            new = [b["count"] for b in line["branches"]]
            old = self.branches.setdefault(at, new)
            if old is not new and len(old) == len(new):
                self.branches[at] = [a + b for a, b in zip(old, new)]

    def count(self):
        """Lines, those reached, branches, those reached."""
        branches = [n for of_line in self.branches.values() for n in of_line]
        return [len(self.lines), sum(n > 0 for n in self.lines.values()),
                len(branches), sum(n > 0 for n in branches)]


def objects(build):
    """Tests come last: their branches count as far as they are the broker's."""
    found = [os.path.join(d, name) for d, _, names in os.walk(os.path.join(build, "obj"))
             for name in names if name.endswith(".gcno")]
    return sorted(found, key=lambda path: (path.startswith(os.path.join(build, "obj/tests")), path))


def read(build):
    files = {}
    out = subprocess.run([os.environ.get("GCOV", "gcov"), "--json-format", "--stdout",
                          "--branch-probabilities", *objects(build)],
                         check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    for report in out.splitlines():
        for f in json.loads(report)["files"]:
            if f["file"].startswith(FOLDERS):
                files.setdefault(f["file"], File()).add(f["lines"])
    return files


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def row(name, counts):
    lines, ran, branches, taken = counts
    print(f"{name:<28}{lines:>7}{percent(ran, lines):>8.1f} %{branches:>9}{percent(taken, branches):>8.1f} %")


def main(build):
    files = read(build)
    bad = False
    with open(os.path.join(build, "unreached"), "w", encoding="utf-8") as unreached:
        for path in sorted(files):
            with open(path, encoding="utf-8") as f:
                source = f.read().split("\n")
            for number in sorted(n for n, count in files[path].lines.items() if count == 0):
                unreached.write(f"{path}:{number}: {source[number - 1]}\n")
    print(f"{'':<28}{'lines':>7}{'reached':>10}{'branches':>9}{'taken':>10}")
    for folder in FOLDERS:
        total = [0, 0, 0, 0]
        for path in sorted(p for p in files if p.startswith(folder)):
            counts = files[path].count()
            total = [a + b for a, b in zip(total, counts)]
            row(path, counts)
        row(folder, total)
        if percent(total[1], total[0]) < DEMANDED.get(folder, 0):
            print(f"coverage.py: {DEMANDED[folder]} % of the lines of {folder} have to be reached",
                  file=sys.stderr)
            bad = True
    return bad


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
