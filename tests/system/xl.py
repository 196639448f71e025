#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's own tools drive the hypervisor: xenstored, xenconsoled, xen-init-dom0 and xl as packaged, and no vmmd. A
guest comes, answers on its console, is stopped, shrunk, weighed and sent away; what it may know of the CPU is what
its configuration says; and the memory is all there again."""

import random
import re
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import DOM0, DOMU, Failed, bare_shell_of_dom0, number, scenario, wait_for

CONFIG = "/etc/vmm/demo.cfg"
free_before = None


def says(machine, command, pattern, seconds=60):
    """The match of `pattern` in what a command prints."""
    output = machine.shell(command, seconds)[1]
    match = re.search(pattern, output, re.MULTILINE)
    if not match:
        raise Failed(f"`{command}` should print /{pattern}/ but printed\n{output}")
    return match


def free_mib(machine):
    return int(says(machine, "xl info", r"^free_memory +: (\d+)").group(1))


def row(machine, name):
    """(memory in MiB, vCPUs, state, CPU seconds) in `xl list`, None when the domain is not there."""
    output = machine.shell("xl list")[1]
    match = re.search(rf"^{name} +\d+ +(\d+) +(\d+) +(\S+) +([0-9.]+)$", output, re.MULTILINE)
    return match and (int(match[1]), int(match[2]), match[3], float(match[4]))


def daemons(machine):
    for name in ("xenstored", "xenconsoled"):
        machine.shell(f"kill -0 $(cat /run/{name}.pid)")
    says(machine, "xenstore-read /local/domain/0/name", r"^Domain-0$")


def info(machine):
    global free_before
    free_before = free_mib(machine)
    for pattern in (r"^nr_cpus +: 1$", r"^xen_version +: 4\.17", r"^xen_caps +:.* hvm-3\.0-x86_64", r"^virt_caps +:.* hvm ",
                    r"^virt_caps +:.* hap ", r"^cpu_mhz +: [1-9]", r"^xen_scheduler +: credit2"):
        says(machine, "xl info", pattern)
    says(machine, "xl info -n", r"^cpu: +core +socket +node$")
    says(machine, "xl info -n", r"^ +0: +\d+ +\d+ +10$")
    says(machine, "xl list", r"^Domain-0 +0 +\d+ +1 +r----- ")


def hypervisor_log(machine):
    says(machine, "xl dmesg", r"TSC|tsc")


def on_console(machine, command, step, left="l-left"):
    """Runs xl with the guest's console on the terminal, does `step` in the guest's shell, and leaves with Ctrl-]."""
    machine.line(f"{command}; echo x''{left}=$?")
    if machine.expect(rf"^domU: Linux |x{left}=[0-9]+", 180, "the domU's banner").group(0).startswith("x"):
        raise Failed(f"`{command}` ended before the domU's banner:\n{machine.tail(12)}")
    machine.line()
    machine.expect(DOMU, 60, "the domU's shell")
    step(machine)
    machine.send("\x1d")
    machine.expect(rf"x{left}=0\n", 30, "dom0's shell after Ctrl-]")
    machine.expect(DOM0, 30, "dom0's shell")


def compute(machine):
    left, right = random.randrange(1000, 9999), random.randrange(1000, 9999)
    machine.line(f"echo $(hostname) says $(({left} * {right}))")
    machine.expect(rf"^domU says {left * right}\n", 30, "the domU's answer")


def create_with_console(machine):
    on_console(machine, f"xl create -c {CONFIG}", compute)
    if not row(machine, "demo"):
        raise Failed("`xl list` does not name demo:\n" + machine.tail())


def console_again(machine):
    machine.line("xl console demo; echo x''l-left=$?")
    machine.expect("^", 30, "the echo of the command")
    machine.line()
    compute(machine)
    machine.send("\x1d")
    machine.expect(r"xl-left=0\n", 30, "dom0's shell after Ctrl-]")
    machine.expect(DOM0, 30, "dom0's shell")


def pause(machine):
    says(machine, "xl vcpu-list demo", r"^demo +\d+ +0 +0 +\S+ +[0-9.]+ +all / all")
    machine.shell("xl pause demo")
    stopped = row(machine, "demo")
    if stopped[2] not in ("--p---", "-bp---"):
        raise Failed(f"a paused guest's state should be --p--- or -bp---, not {stopped[2]}")
    machine.shell("sleep 2")
    if row(machine, "demo")[3] != stopped[3]:
        raise Failed("a paused guest used the CPU")
    machine.shell("xl unpause demo")
    if "p" in row(machine, "demo")[2]:
        raise Failed("the guest is still paused after xl unpause")


def memory(machine):
    machine.shell("xl mem-set demo 96")
    wait_for(machine, "the guest's balloon at 96 MiB", 30, lambda m: row(m, "demo")[0] == 96)


def weight(machine):
    says(machine, "xl sched-credit2", r"^demo +\d+ +256 +0$")
    machine.shell("xl sched-credit2 -d demo -w 512")
    says(machine, "xl sched-credit2 -d demo", r"^demo +\d+ +512 +0$")
    machine.shell("xl sched-credit2 -d demo -c 40")
    says(machine, "xl sched-credit2 -d demo", r"^demo +\d+ +512 +40$")
    machine.shell("xl vcpu-pin demo 0 0 0; xl vcpu-pin demo all all all; xl sched-credit2 -d demo -c 0")


def uptime(machine):
    says(machine, "xl uptime", r"^demo +\d+ +0:0\d:\d\d$")


def shutdown(machine):
    machine.shell("xl shutdown -w demo", 120)
    wait_for(machine, "demo to be gone from xl list", 30, lambda m: row(m, "demo") is None)


def cpuid(machine):
    """A feature that the configuration takes away is not there for the guest's kernel, and nothing that needs it."""

    def flags(guest):
        guest.line("echo fl''ags: $(grep -m 1 ^flags /proc/cpuinfo) .")
        found = guest.expect(r"^flags: (.* \.)\n", 30, "the guest's CPU flags").group(1)
        if " ssse3 " not in found or re.search(r" sse4_[12] ", found):
            raise Failed(f"cpuid=\"host,sse4_1=0\" leaves the guest with:\n{found}")

    has = machine.shell("grep -c -m 1 ' sse4_2 ' /proc/cpuinfo", check=False)[1].strip()
    if has != "1":
        raise Failed("this machine has no SSE4.2 to take away")
    on_console(machine, f"xl create -c {CONFIG} 'name=\"narrow\"' 'cpuid=\"host,sse4_1=0\"'", flags)
    machine.shell("xl destroy narrow", 60)


def refused(machine):
    """What cannot be is refused, and nothing of it stays."""
    if machine.shell(f"xl create {CONFIG} memory=90000", 120, check=False)[0] == 0:
        raise Failed("xl created a guest of 90000 MiB")
    if row(machine, "demo"):
        raise Failed("a guest that could not be created stays in xl list")


def two_at_once(machine):
    names = ("one", "two")
    for name in names:
        machine.shell(f"xl create {CONFIG} 'name=\"{name}\"' memory=96", 120)
    for name in names:
        wait_for(machine, f"the banner of {name} in xenconsoled's log", 120, lambda m: m.shell(
            f"grep -q '^domU: Linux' /var/log/xen/console/guest-{name}.log", check=False)[0] == 0)
    for name in names:
        machine.shell(f"xl destroy {name}", 60)


def nothing_lost(machine):
    free = wait_for(machine, f"{free_before} MiB free again", 20, lambda m: free_mib(m) >= free_before and free_mib(m))
    return f"{free} MiB free"


scenario("xl", __doc__, [
    ("xenstored and xenconsoled run, the store knows dom0", daemons),
    ("xl info, xl list", info),
    ("xl dmesg", hypervisor_log),
    ("xl create -c, a command on the console", create_with_console),
    ("xl console", console_again),
    ("xl vcpu-list, pause, unpause", pause),
    ("xl mem-set", memory),
    ("xl sched-credit2, vcpu-pin", weight),
    ("xl uptime", uptime),
    ("xl shutdown -w", shutdown),
    ("a CPUID policy of the configuration's", cpuid),
    ("a guest that cannot be", refused),
    ("two guests at once, xl destroy", two_at_once),
    ("all memory is free again", nothing_lost),
], boot=bare_shell_of_dom0, image="-xl")
