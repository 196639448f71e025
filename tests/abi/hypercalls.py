#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every row of the hypervisor's table of hypercalls is called by a micro-guest, by the name the public headers have."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
table = (root / "hypervisor/hypercall/table.def").read_text()
rows = re.findall(r"^HYPERCALL\(\s*\d+,\s*(\w+),", table, re.MULTILINE)
guests = "".join(file.read_text() for file in (root / "tests/guests").glob("*/*.cpp"))
missing = [name for name in rows if not re.search(rf"\b__HYPERVISOR_{name}\b", guests)]
if len(rows) < 10:
    sys.exit(f"only {len(rows)} rows found in table.def: its form changed, and this test with it")
if missing:
    sys.exit("no micro-guest calls " + ", ".join(missing))
