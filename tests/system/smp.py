#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many CPUs: dom0 has all of the machine's, a guest has three vCPUs. Debian's kernels bring them up, work runs on each,
they interrupt each other, a CPU goes and comes back, the clock is right, and of what ends nothing stays."""

import re
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, free_mib, guest_shell, number, scenario, wait_for, xm_json
from seconds import sleeps, undisturbed

CPUS = 4
VCPUS = 3
seen = {}


def has_cpus(machine, count):
    online = machine.shell("cat /sys/devices/system/cpu/online")[1].strip()
    listed = int(machine.shell("grep -c ^processor /proc/cpuinfo")[1])
    if online != f"0-{count - 1}" or listed != count:
        raise Failed(f"CPUs {online} are online and /proc/cpuinfo lists {listed}; there should be {count}")
    complaints = machine.shell("dmesg | grep -iE 'TSC warp|clocksource.*(skew|watchdog)|lockup|rcu.*stall|BUG:|Oops:'",
                               check=False)[1].strip()
    if complaints:
        raise Failed(f"the kernel complains:\n{complaints}")
    return f"CPUs {online}"


def busy_ticks(machine):
    """How long each CPU has been in user mode."""
    return [int(ticks) for ticks in re.findall(r"^cpu[0-9]+ ([0-9]+)", machine.shell("cat /proc/stat")[1], re.M)]


def works_on_each(machine, count):
    before = busy_ticks(machine)
    for cpu in range(count):
        machine.shell(f"taskset {1 << cpu:x} sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'", 120)
    gained = [after - was for was, after in zip(before, busy_ticks(machine))]
    if min(gained) < 2:
        raise Failed(f"work that was sent to each CPU in turn used {gained} ticks of them")
    return f"{gained} ticks"


def interrupts(machine):
    """What the CPUs told each other, as a sum over all of them: reschedulings and function calls."""
    return sum(int(count) for line in machine.shell("cat /proc/interrupts")[1].splitlines()
               if re.search(r"resched|callfunc|Rescheduling|Function call", line)
               for count in re.findall(r"(?<= )[0-9]+(?= )", line))


def interrupt_each_other(machine, count):
    before = interrupts(machine)
    # Work that changes its CPU all the time, and memory that all have mapped and is taken away.
    machine.shell(f"for i in $(seq 40); do taskset {(1 << count) - 1:x} sh -c true & done; wait", 60)
    for i in range(2 * count):
        machine.shell(f"taskset {1 << i % count:x} sh -c true")
    gained = interrupts(machine) - before
    if gained < 1:
        raise Failed("the CPUs did not interrupt each other once")
    return f"{gained} interrupts"


def dom0_has_all(machine):
    info = xm_json(machine, "info")
    if info["nr_cpus"] != CPUS:
        raise Failed(f"xm info tells of {info['nr_cpus']} CPUs; the machine has {CPUS}")
    return has_cpus(machine, CPUS)


def dom0_works(machine):
    return works_on_each(machine, CPUS)


def dom0_interrupts(machine):
    return interrupt_each_other(machine, CPUS)


def create(machine):
    seen["free"] = free_mib(machine)
    machine.shell(f"xm create {config(machine, 'many', vcpus=VCPUS)}", 60)
    with guest_shell(machine, "many", 240):
        return has_cpus(machine, VCPUS)


def guest_works(machine):
    with guest_shell(machine, "many"):
        return works_on_each(machine, VCPUS)


def guest_interrupts(machine):
    with guest_shell(machine, "many"):
        return interrupt_each_other(machine, VCPUS)


def all_at_once(machine):
    """As many busy loops as vCPUs use more than one physical CPU."""
    with guest_shell(machine, "many"):
        machine.line(f"for i in $(seq {VCPUS}); do (while :; do :; done) & done")
        machine.shell("true")
    used = -domains(machine)["many"]["cpu_time_ns"] / 1e9
    passed = -number(r"([0-9.]+)", machine.shell("cut -d' ' -f1 /proc/uptime")[1])
    machine.shell("sleep 8", 60)
    used += domains(machine)["many"]["cpu_time_ns"] / 1e9
    passed += number(r"([0-9.]+)", machine.shell("cut -d' ' -f1 /proc/uptime")[1])
    with guest_shell(machine, "many"):
        machine.shell("kill $(jobs -p)")
    if used < 1.5 * passed:
        raise Failed(f"{VCPUS} busy vCPUs used {used:.1f} s of CPUs in {passed:.1f} s: no more than one or so")
    return f"{used:.1f} s of CPUs in {passed:.1f} s"


def hotplug(machine):
    """One goes and comes back, by INIT and a start-up message."""
    with guest_shell(machine, "many"):
        for _ in range(3):
            machine.shell("echo 0 > /sys/devices/system/cpu/cpu1/online", 60)
            online = machine.shell("cat /sys/devices/system/cpu/online")[1].strip()
            if online != "0,2":
                raise Failed(f"CPU 1 was sent away, and CPUs {online} are online")
            machine.shell("echo 1 > /sys/devices/system/cpu/cpu1/online", 60)
            has_cpus(machine, VCPUS)
        return works_on_each(machine, VCPUS)


def processor(machine):
    """One of the machine's CPUs goes and comes back, by xm and by dom0's kernel, while the guest works."""
    file = f"/sys/devices/system/xen_cpu/xen_cpu{CPUS - 1}/online"
    with guest_shell(machine, "many"):
        machine.line("(while :; do :; done) &")
        machine.shell("true")
    for go, come in (f"xm cpu-offline {CPUS - 1}", f"xm cpu-online {CPUS - 1}"), (f"echo 0 > {file}", f"echo 1 > {file}"):
        machine.shell(go, 60)
        wait_for(machine, "the CPU is gone", 20, lambda m: xm_json(m, "info")["nr_cpus"] == CPUS - 1)
        wait_for(machine, "dom0's kernel knows it", 20, lambda m: m.shell(f"cat {file}")[1].strip() == "0")
        running = {vcpu["cpu"] for vcpu in xm_json(machine, "vcpu-list")["vcpus"] if vcpu["state"].startswith("r")}
        if CPUS - 1 in running:
            raise Failed(f"a vCPU runs on CPU {CPUS - 1}, which is offline")
        # All vCPUs go on without it, wherever it was taken from: seen once with each of the two.
        if go.startswith("xm"):
            with guest_shell(machine, "many"):
                works_on_each(machine, VCPUS)
        else:
            works_on_each(machine, CPUS)
        machine.shell(come, 60)
        wait_for(machine, "it is back", 20, lambda m: xm_json(m, "info")["nr_cpus"] == CPUS)
    refusal = machine.shell("xm cpu-offline 0", 60, check=False)[1].strip()
    if "stays online" not in refusal:
        raise Failed(f"xm cpu-offline 0 says: {refusal}")
    with guest_shell(machine, "many"):
        machine.shell("kill $(jobs -p)")
    return refusal


def clock(machine):
    with guest_shell(machine, "many"):
        slept = [undisturbed(lambda on=cpu: sleeps(machine, 3.0, f"taskset {1 << on:x}")) for cpu in range(VCPUS)]
    return ", ".join(f"{seconds:.2f} s" for seconds in slept)


def pause(machine):
    for _ in range(10):
        machine.shell("xm pause many; xm unpause many", 60)
    with guest_shell(machine, "many"):
        return has_cpus(machine, VCPUS)


def end(machine):
    machine.shell("xm shutdown many", 60)
    wait_for(machine, "the guest is gone", 60, lambda m: not domains(m))
    wait_for(machine, "its memory is back", 20, lambda m: free_mib(m) >= seen["free"] - 1)


scenario("smp", __doc__, [
    ("dom0 has all CPUs", dom0_has_all),
    ("work runs on each of dom0's CPUs", dom0_works),
    ("they interrupt each other", dom0_interrupts),
    ("a guest with three vCPUs", create),
    ("work runs on each of the guest's", guest_works),
    ("they interrupt each other", guest_interrupts),
    ("busy vCPUs run side by side", all_at_once),
    ("a CPU of the guest goes and comes back", hotplug),
    ("a CPU of the machine goes and comes back", processor),
    ("sleep takes as long as it says, on each", clock),
    ("paused and resumed", pause),
    ("shut down; its memory is back", end),
], cpus=CPUS)
