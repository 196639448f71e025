#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing of the hypervisor above arch/ names a CPU vendor or its virtualisation: not in code, not in a comment, not
in a message, which comes from arch/ too. Manuals are cited by their own names (SDM, APM).

    seam.py HYPERVISOR_FOLDER
"""
import pathlib
import re
import sys

WORDS = ("amd", "intel", "svm", "vmx", "vmcb", "vmcs", "npt", "ept", "vt-x", "vpid", "asid")
NAMED = re.compile(r"(?<![a-z])(?:" + "|".join(WORDS) + r")(?![a-z])", re.IGNORECASE)
SOURCES = {".cpp", ".hpp", ".S", ".h", ".def"}


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCES)


def main():
    hypervisor = pathlib.Path(sys.argv[1])
    arch = sources(hypervisor / "arch")
    found = 0
    for path in sources(hypervisor):
        if path in arch:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if name := NAMED.search(line):
                print(f"{path}:{number}: {name[0]}: {line.strip()}")
                found += 1
    below = "\n".join(path.read_text(encoding="utf-8") for path in arch)
    known = {name.lower() for name in NAMED.findall(below)}
    if missing := set(WORDS) - known:
        print(f"arch/ does not say {', '.join(sorted(missing))}: is this the right folder, and the right list?")
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
