#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns structures.txt into a program that prints the size of every structure and the offset and size of
each field named there. The same text compiles as C and as C++; both have to print what golden.txt says."""
import sys


def statements(lines):
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "include":
            yield f"#include <{words[1]}>"
            continue
        if words[0] not in ("struct", "union", "type"):
            sys.exit(f"structures.txt:{number}: a line begins with include, struct, union or type, not '{words[0]}'")
        kind, name, fields = words[0], words[1], words[2:]
        spelled = name if kind == "type" else f"{kind} {name}"
        yield f'    printf("{spelled} %zu\\n", sizeof({spelled}));'
        for field in fields:
            yield (f'    printf("    {field} %zu %zu\\n", offsetof({spelled}, {field}), '
                   f"sizeof((({spelled} *)0)->{field}));")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        made = list(statements(file))
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write("/* made from structures.txt */\n#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n")
        out.write("\n".join(line for line in made if line.startswith("#")))
        out.write("\n\nint main(void)\n{\n")
        out.write("\n".join(line for line in made if not line.startswith("#")))
        out.write("\n    return 0;\n}\n")


if __name__ == "__main__":
    main()
