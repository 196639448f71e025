#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tools die, domains go on: `kill -9` of vmmd leaves a running guest as it is, and the next vmmd finds it again with
all the guest had in the store, its watches included; `kill -9` of `xm create` at any moment leaves a whole domain or
none, and no memory is lost."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, free_mib, guest_shell, scenario, wait_for

KILLED_AFTER_MS = (0, 10, 30, 60, 100, 200, 400, 1000, 4000)
before = {}


def running_guest(machine):
    before["free"] = free_mib(machine)
    machine.shell(f"xm create {config(machine, 'survivor')}", 60)
    with guest_shell(machine, "survivor"):
        machine.shell("echo alive > /tmp/note")
    before["row"] = domains(machine)["survivor"]


def store_tree(machine):
    """All nodes with permissions, but for the consoles' terminals, which are vmmd's own."""
    return machine.shell("xenstore-ls -fp | grep -v /console/tty")[1]


def next_vmmd(machine):
    first = machine.shell("pidof vmmd")[1].split()[0]
    machine.shell(f"kill -9 {first}")
    wait_for(machine, "another vmmd that answers", 30,
             lambda m: m.shell(f'test "$(pidof vmmd)" != {first} && xm list', check=False)[0] == 0)


def kill_vmmd(machine):
    tree = store_tree(machine)
    next_vmmd(machine)
    row = domains(machine).get("survivor")
    if row is None or any(row[key] != before["row"][key] for key in ("domid", "uuid", "vcpus")):
        raise Failed(f"the next vmmd should list {before['row']} but lists {row}")
    now = store_tree(machine)
    if now != tree:
        raise Failed(f"the store should still hold\n{tree}\nbut holds\n{now}")
    return f"{len(tree.splitlines())} nodes and their permissions are the same"


def guest_goes_on(machine):
    with guest_shell(machine, "survivor"):
        if machine.shell("cat /tmp/note")[1].strip() != "alive":
            raise Failed("the guest lost its memory")


def still_rules(machine):
    machine.shell("xm pause survivor")
    if "p" not in domains(machine)["survivor"]["state"]:
        raise Failed("`xm pause` did not pause it")
    machine.shell("xm unpause survivor")


def reboot(machine):
    """The guest hears of the request by the watch it set in the former vmmd's store, and on_reboot holds."""
    machine.shell("xm reboot survivor", 60)
    old = before["row"]
    row = wait_for(machine, "the guest made again", 60,
                   lambda m: next((d for d in domains(m).values() if d["domid"] != old["domid"]), None))
    if row["name"] != "survivor" or row["uuid"] != old["uuid"]:
        raise Failed(f"on_reboot should have made {old} again but there is {row}")
    with guest_shell(machine, "survivor"):
        if machine.shell("test -e /tmp/note", check=False)[0] == 0:
            raise Failed("the guest was not started anew")


def shut_down(machine):
    next_vmmd(machine)
    machine.shell("xm shutdown -w survivor", 60)
    if domains(machine):
        raise Failed("it is still listed")
    if machine.shell("xenstore-list /local/domain")[1].split() != ["0"]:
        raise Failed("the store still has a home for it")


def whole_or_none(machine):
    """Whether there is the domain "half", running, or nothing of it; neither as long as it is being made or undone."""
    rows = domains(machine)
    if "half" in rows and set(rows["half"]["state"]) <= set("rb-"):
        return "whole"
    return "none" if not rows and free_mib(machine) == before["free"] else None


def kill_xm(machine):
    file = config(machine, "half")
    left = []
    for milliseconds in KILLED_AFTER_MS:
        machine.shell(f"xm create {file} > /dev/null 2>&1 & sleep {milliseconds / 1000}; kill -9 $! 2>/dev/null; wait", 60)
        if wait_for(machine, "a domain that is complete, or none", 30, whole_or_none) == "whole":
            left.append(milliseconds)
            with guest_shell(machine, "half"):
                machine.shell("true")
            machine.shell("xm destroy half", 30)
    return f"complete when killed after {left} ms, undone otherwise"


def same_memory(machine):
    wait_for(machine, f"{before['free']} MiB free again", 30, lambda m: free_mib(m) == before["free"])


scenario("daemon", __doc__, [
    ("a guest that runs", running_guest),
    ("kill -9 of vmmd", kill_vmmd),
    ("the guest's memory and console", guest_goes_on),
    ("pause and unpause by the next vmmd", still_rules),
    ("reboot by the next vmmd", reboot),
    ("kill -9 again, and shutdown -w", shut_down),
    ("kill -9 of xm create", kill_xm),
    ("the same free memory", same_memory),
])
