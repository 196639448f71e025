#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest's kernel panics: on_crash decides what follows, and the hypervisor and the other domains go on."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, free_mib, guest_shell, scenario, wait_for

before = {}


def create(machine, action):
    """A guest that has booted, with on_crash = action; returns its domain id."""
    file = config(machine, "crasher", on_crash=action)
    machine.shell(f"xm create {file}", 60)
    with guest_shell(machine, "crasher"):
        machine.shell("test -e /proc/sysrq-trigger")
    return domains(machine)["crasher"]["domid"]


def panic(machine):
    machine.shell("xm sysrq crasher c")


def bystander(machine):
    before["free"] = free_mib(machine)
    machine.shell(f"xm create {config(machine, 'bystander')}", 60)
    with guest_shell(machine, "bystander"):
        machine.shell("echo alive > /tmp/note")


def restart(machine):
    first = create(machine, "restart")
    panic(machine)
    wait_for(machine, "a new crasher", 60, lambda m: domains(m).get("crasher", {"domid": first})["domid"] > first)
    with guest_shell(machine, "crasher"):
        uptime = float(machine.shell("cut -d' ' -f1 /proc/uptime")[1])
    machine.shell("xm destroy crasher", 30)
    return f"domain {first} was started again; up {uptime} s"


def destroy(machine):
    create(machine, "destroy")
    panic(machine)
    wait_for(machine, "crasher is gone", 60, lambda m: "crasher" not in domains(m))


def preserve(machine):
    first = create(machine, "preserve")
    panic(machine)
    row = wait_for(machine, "crasher is shown as crashed", 60,
                   lambda m: domains(m)["crasher"]["shutdown_reason"] == "crash" and domains(m)["crasher"])
    if row["domid"] != first or "c" not in row["state"]:
        raise Failed(f"a preserved crashed domain {first} is listed as {row}")
    machine.shell("xm destroy crasher", 30)


def rename_restart(machine):
    first = create(machine, "rename-restart")
    panic(machine)

    def both(booted):
        rows = domains(booted)
        old = [row for row in rows.values() if row["domid"] == first and row["name"] != "crasher"]
        new = [row for row in rows.values() if row["domid"] > first and row["name"] == "crasher"]
        return (old, new) if old and new else None

    old, _ = wait_for(machine, "the old one renamed, a new crasher", 60, both)
    machine.shell("xm destroy crasher", 30)
    machine.shell(f"xm destroy {first}", 30)
    return f"the old one became {old[0]['name']}"


def others_live(machine):
    with guest_shell(machine, "bystander"):
        if machine.shell("cat /tmp/note")[1].strip() != "alive":
            raise Failed("the bystander lost its memory")
    machine.shell("xm destroy bystander", 30)
    wait_for(machine, "the same free memory as before", 30, lambda m: free_mib(m) == before["free"])


scenario("crash", __doc__, [
    ("a bystander", bystander),
    ("on_crash = restart", restart),
    ("on_crash = destroy", destroy),
    ("on_crash = preserve", preserve),
    ("on_crash = rename-restart", rename_restart),
    ("the bystander noticed nothing; all memory is back", others_live),
])
