#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running guest is forked: the new one has its processes and its memory, both run on separately, and each ends when
it likes. What cannot be forked is refused in words and leaves nothing."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from busy_guest import VCPUS, begin_calls, begin_count, calls_go_on
from dom0 import Failed, config, domains, free_mib, guest_shell, refused, scenario, wait_for, wait_in, xm_json
from generation import begin_watching, generation, guest_has_heard

before = {}
TROUBLE = "dmesg | grep -E 'BUG:|WARNING: CPU|Call Trace|blocked for more|clocksource.*unstable'"


def long_list(machine, name):
    return xm_json(machine, f"list -l {name}")["domains"][0]


def busy_guest(machine):
    """A process that counts, a pattern in memory, a network."""
    before["free"] = free_mib(machine)
    file = config(machine, "a", memory=160, vcpus=VCPUS, ms_vm_genid="generate")
    machine.shell(f"echo \"vif = [ 'nat' ]\" >> {file}; xm create {file}", 120)
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "ip route | grep -q default")
        begin_calls(guest)
        begin_watching(guest)
        begin_count(guest)
        before["pattern"] = guest.shell("dd if=/dev/urandom of=/tmp/pattern bs=1M count=8 2>/dev/null; sha256sum < /tmp/pattern", 60)[1]
        before["boot"] = guest.shell("cat /proc/sys/kernel/random/boot_id")[1].strip()
        wait_in(guest, "test $(cat /tmp/count) -ge 2")
        before["count"] = int(guest.shell("cat /tmp/count")[1])
    before["generation"] = generation(machine, "a")


def inherited(machine, name, pattern=True):
    """The guest has what the parent had, and works."""
    with guest_shell(machine, name) as guest:
        if guest.shell("cat /proc/sys/kernel/random/boot_id")[1].strip() != before["boot"]:
            raise Failed(f"{name} has booted by itself")
        if pattern and guest.shell("sha256sum < /tmp/pattern", 60)[1] != before["pattern"]:
            raise Failed(f"the memory of {name} is not what the parent's was")
        wait_in(guest, f"test $(cat /tmp/count) -gt {before['count'] + 2}")
        calls_go_on(guest)
        trouble = guest.shell(TROUBLE, check=False)[1]
        if trouble.strip():
            raise Failed(f"the kernel of {name} complains:\n{trouble}")


def fork(machine):
    free = free_mib(machine)
    said = machine.shell("xm fork a b", 120)[1]
    if "a has been forked into b with id" not in said:
        raise Failed(f"`xm fork` says:\n{said}")
    inherited(machine, "b")
    inherited(machine, "a")
    shared = long_list(machine, "b")["shared_kib"]
    if shared < 80 * 1024:
        raise Failed(f"only {shared} KiB of b's memory are in common with a")
    return f"{shared >> 10} MiB in common, {free - free_mib(machine)} MiB less free"


def own_identity(machine):
    a, b = long_list(machine, "a"), long_list(machine, "b")
    if a["uuid"] == b["uuid"] or a["config"]["vif"] == b["config"]["vif"]:
        raise Failed(f"a and b share what is to be their own:\n{a}\n{b}")
    addresses = []
    for name in ("a", "b"):
        with guest_shell(machine, name) as guest:
            addresses.append(guest.shell("cat /sys/class/net/eth0/address")[1].strip())
    if addresses[0] == addresses[1]:
        raise Failed(f"both guests use the address {addresses[0]}")


def own_generation(machine):
    """What runs in the fork hears that it is one, and what runs in the parent hears nothing."""
    old, new = (generation(machine, name) for name in ("a", "b"))
    if old != before["generation"] or new == old:
        raise Failed(f"a was of the generation {before['generation']} and is of {old}, b is of {new}")
    with guest_shell(machine, "b") as guest:
        guest_has_heard(guest, old, new)
    with guest_shell(machine, "a") as guest:
        guest_has_heard(guest, old)


def apart(machine):
    """What one writes the other does not see."""
    for name in ("a", "b"):
        with guest_shell(machine, name) as guest:
            guest.shell(f"echo {name} > /tmp/name; dd if=/tmp/pattern of=/tmp/of-{name} bs=1M count=4 2>/dev/null")
    for name, other in (("a", "b"), ("b", "a")):
        with guest_shell(machine, name) as guest:
            guest.shell(f"test $(cat /tmp/name) = {name} && ! test -e /tmp/of-{other}")
            guest.shell("printf x | dd of=/tmp/pattern bs=1 seek=1000000 conv=notrunc 2>/dev/null" if name == "a" else ":")
    inherited(machine, "b")
    with guest_shell(machine, "a") as guest:
        if guest.shell("sha256sum < /tmp/pattern", 60)[1] == before["pattern"]:
            raise Failed("what a wrote is not there")


def of_a_fork(machine):
    """A fork of a fork, left paused; and the first parent ends before both."""
    machine.shell("xm fork -p b c", 120)
    if "p" not in domains(machine)["c"]["state"]:
        raise Failed("c is not paused")
    machine.shell("xm destroy a", 120)
    inherited(machine, "b")
    machine.shell("xm unpause c")
    inherited(machine, "c")
    generations = [before["generation"], generation(machine, "b"), generation(machine, "c")]
    with guest_shell(machine, "c") as guest:
        guest_has_heard(guest, *generations)


def paused_parent(machine):
    machine.shell("xm pause b; xm fork --overcommit b d", 120)
    if "p" not in domains(machine)["b"]["state"]:
        raise Failed("b was paused and is so no longer")
    inherited(machine, "d")
    machine.shell("xm unpause b; xm destroy d", 60)
    inherited(machine, "b")


def refusals(machine):
    mac = long_list(machine, "b")["config"]["vif"][0].split("mac=")[1].split(",")[0]
    refused(machine, "xm fork b c", 'is already called "c"')
    refused(machine, "xm fork b e memory=100", "only name, uuid, disk")
    refused(machine, f"xm fork b e \"vif=['mac={mac}']\"", "leave mac= out")
    refused(machine, "xm fork Domain-0 e", "was not made by vmmd")
    refused(machine, "xm fork nobody e", "nobody")
    room = int(free_mib(machine)) - 100
    machine.shell(f"xm create -p {config(machine, 'big', memory=room)}", 120)
    refused(machine, "xm fork b e", "not enough memory")
    machine.shell("xm fork --overcommit -p b e; xm destroy e big", 120)
    inherited(machine, "b")


def killed(machine):
    """A vmmd that dies in the middle leaves the parent running and nothing else."""
    first = machine.shell("pidof vmmd")[1].split()[0]
    machine.shell(f"(xm fork b e >/dev/null 2>&1 &); sleep 0.2; kill -9 {first}", 60)
    wait_for(machine, "another vmmd that answers", 60,
             lambda m: m.shell(f'test "$(pidof vmmd)" != {first} && xm list', check=False)[0] == 0)
    inherited(machine, "b")
    if "e" in domains(machine):
        machine.shell("xm destroy e", 60)  # it was complete before


def memory_is_the_same(machine):
    machine.shell("xm destroy b c", 120)
    wait_for(machine, f"{before['free']} MiB free again", 60, lambda m: free_mib(m) >= before["free"])


scenario("fork", __doc__, [
    ("a guest with something of everything", busy_guest),
    ("xm fork: both go on", fork),
    ("each has its own identity", own_identity),
    ("the fork hears that it is of another generation", own_generation),
    ("each writes for itself", apart),
    ("a fork of a fork, and the parent ends first", of_a_fork),
    ("a paused parent", paused_parent),
    ("what cannot be forked", refusals),
    ("kill -9 of vmmd while it forks: the parent goes on", killed),
    ("memory is the same", memory_is_the_same),
])
