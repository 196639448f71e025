#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's xenstore clients work on vmmd's store: through its socket in dom0, and what a guest writes over its ring
is seen."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, guest_shell, scenario


def answers(machine, command, wanted):
    output = machine.shell(command)[1].strip()
    if output != wanted:
        raise Failed(f"`{command}` should print {wanted!r} but printed {output!r}")


def values(machine):
    machine.shell("xenstore-write /test/a/b one /test/a/c two")
    answers(machine, "xenstore-read /test/a/b", "one")
    answers(machine, "xenstore-list /test/a | sort | xargs", "b c")
    machine.shell("xenstore-exists /test/a/c")
    machine.shell("xenstore-rm /test/a/b")
    if machine.shell("xenstore-read /test/a/b", check=False)[0] == 0:
        raise Failed("a removed node can still be read")
    answers(machine, "xenstore-list /test/a", "c")


def many(machine):
    """More names than one message holds: the clients need directory-part."""
    machine.shell("seq 1 400 | sed 's|.*|/test/many/a-rather-long-name-for-a-node-& v|' | xargs -n 100 xenstore-write", 60)
    answers(machine, "xenstore-list /test/many | wc -l", "400")


def permissions(machine):
    machine.shell("xenstore-write /test/p x; xenstore-chmod /test/p n7 r8")
    answers(machine, "xenstore-ls -p /test | sed -n 's/^p = \"x\" [. ]*//p'", "(n7,r8)")


def watches(machine):
    machine.shell("(timeout 20 xenstore-watch -n 3 /test/w > /tmp/watched) & sleep 1; xenstore-write /test/w/x 1; "
                  "xenstore-rm /test/w/x; wait", 40)
    answers(machine, "xargs < /tmp/watched", "/test/w /test/w/x /test/w/x")


def guest(machine):
    machine.shell(f"xm create {config(machine, 'writer')}", 60)
    with guest_shell(machine, "writer"):
        machine.shell("true")
    home = f"/local/domain/{domains(machine)['writer']['domid']}"
    answers(machine, f"xenstore-read {home}/name", "writer")
    answers(machine, f"xenstore-read {home}/control/feature-poweroff", "1")
    machine.shell("(timeout 30 xenstore-watch -n 2 @releaseDomain > /tmp/watched) & sleep 1; xm destroy writer; wait", 60)
    answers(machine, "sort -u /tmp/watched", "@releaseDomain")
    if machine.shell(f"xenstore-exists {home}", check=False)[0] == 0:
        raise Failed("a destroyed domain still has a home in the store")


scenario("store", __doc__, [
    ("read, write, list, remove", values),
    ("a directory of 400 names", many),
    ("permissions", permissions),
    ("watches", watches),
    ("a guest's nodes, @releaseDomain", guest),
])
