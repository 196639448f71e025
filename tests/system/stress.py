#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eight guests of two vCPUs each on four CPUs, all busy with interrupts to each other, timers, events and grants
(tests/guests/domu_stress), while domains are created, paused, pinned, capped, moved between CPU pools and destroyed,
some while their peer has their memory mapped, and CPUs go and come back. Nothing is lost, everybody gets on, and nothing is left."""

import os
import random
import re
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, domains, free_mib, options, play, shell_of_dom0, start, wait_for
from small_guest import Small_guest, disk_with

CPUS = 4
PAIRS = 4
ROUNDS = 1      # of the short form
DEEDS = ["ipi", "port", "loop", "peer", "timer", "mapped", "copied", "granted", "nap", "yield", "poll"]
LOGS = "/var/log/vmm/console"
COMPLAINTS = r"BUG|Oops|WARNING: CPU|blocked for more|lockup|rcu.*stall|TSC warp|clocksource.*(skew|watchdog)"


# --minutes: goes on for so long, in dom0's time; 0: rounds
chosen = options(__doc__, minutes=0)
chance = random.Random(5)
seen = {}
mortals = 0


def said(machine, names):
    """The last heartbeat of each guest, as counts by name; {} if there was none yet."""
    text = machine.shell(f"for n in {' '.join(names)}; do echo \"== $n\"; tail -n 4 {LOGS}/$n.log; done", 120)[1]
    if "TROUBLE" in text or "exception" in text:
        cpus = machine.shell("xm vcpu-list; sleep 3; xm vcpu-list; xm sched-credit; xm cpupool-list", 120)[1]
        raise Failed(f"a guest has noticed that something is wrong:\n{text}\n{cpus}")
    beats = dict.fromkeys(names, {})
    for block in text.split("== ")[1:]:
        name, lines = block.split("\n", 1)
        whole = re.findall(r"^(beat|EVEN) (\d+) (.*late-us \d+)$", lines, re.M)
        if whole:
            words = whole[-1][2].split()
            beats[name.strip()] = {"beat": int(whole[-1][1]), "even": whole[-1][0] == "EVEN"} | {
                key: int(value) for key, value in zip(words[::2], words[1::2])}
    return beats


def get_on(machine, names, deeds=("beat", *DEEDS), seconds=240):
    """From now on each of them does more of everything. A crash ends the wait, how slow it is does not."""
    before = said(machine, names)

    def further(_):
        now = said(machine, names)
        return all(now[name] and all(now[name][deed] > before[name].get(deed, 0) for deed in deeds) for name in names)
    wait_for(machine, f"{' '.join(names)} get on", seconds, further)


def name_peer(machine, guest, peer, mortal=False):
    at = f"/local/domain/{guest.domid}/data"
    machine.shell((f"xenstore-write {at}/mortal 1; " if mortal else "") + f"xenstore-write {at}/peer {peer.domid}", 60)


def create(machine, name):
    guest = Small_guest(name, "/root/stress.elf")
    guest.create(machine, vcpus=2, memory=32, on_crash="'preserve'")
    guest.domid = guest.row(machine)["domid"]
    return guest


def dyn_irqs(machine):
    """How many event channels dom0 has: those of its kernel and, as `evtchn:...`, of its programs."""
    return int(machine.shell("grep -c xen-dyn /proc/interrupts", check=False)[1])


def prepare(machine):
    machine.shell("cp /dev/vda /root/stress.elf; xm sched-credit -d Domain-0 -w 2048; xm dmesg -c > /dev/null; "
                  "dmesg -c > /dev/null", 60)
    seen["free"] = free_mib(machine)
    seen["irqs"] = dyn_irqs(machine)
    seen["began"] = uptime(machine)
    return f"{seen['free']} MiB free, {seen['irqs']} event channels in dom0"


def uptime(machine):
    return float(machine.shell("cut -d' ' -f1 /proc/uptime")[1])


guests = []


def names():
    return [guest.name for guest in guests]


def begin(machine):
    for pair in range(PAIRS):
        two = [create(machine, f"s{2 * pair + i}") for i in range(2)]
        name_peer(machine, two[0], two[1])
        name_peer(machine, two[1], two[0])
        guests.extend(two)
    get_on(machine, names())


def mortal(machine):
    global mortals
    mortals += 1
    return create(machine, f"m{mortals}")


def die_mapped(machine):
    """One of two peers is destroyed with its memory mapped by the other, which goes on with a successor; then that is
    destroyed as well, and last the one that saw both go."""
    survivor, first = mortal(machine), mortal(machine)
    name_peer(machine, survivor, first, True)
    name_peer(machine, first, survivor, True)
    get_on(machine, [survivor.name, first.name])
    machine.shell(f"xm destroy {first.name}", 120)
    get_on(machine, [survivor.name], ("beat", "ipi", "port", "loop", "timer"))
    second = mortal(machine)
    name_peer(machine, second, survivor, True)
    name_peer(machine, survivor, second, True)
    get_on(machine, [survivor.name, second.name])
    for name in chance.sample([survivor.name, second.name], 2):
        machine.shell(f"xm destroy {name}", 120)


def pause(machine):
    for name in chance.sample(names(), 3):
        machine.shell(f"for i in 1 2 3; do xm pause {name}; xm unpause {name}; done", 120)


def pin(machine):
    for name in chance.sample(names(), 4):
        cpus = [chance.randrange(CPUS) for _ in range(2)]
        machine.shell(f"xm vcpu-pin {name} 0 {cpus[0]}; xm vcpu-pin {name} 1 {cpus[1]}", 120)


def unpin(machine):
    machine.shell("; ".join(f"xm vcpu-pin {name} all all" for name in names()), 240)


def cap(machine):
    some = chance.sample(names(), 3)
    for name in some:
        machine.shell(f"xm sched-credit -d {name} -c {chance.choice([20, 50, 120])} -w {chance.choice([64, 512])}", 60)
    get_on(machine, some, ("beat", "ipi", "port", "loop", "timer"))


def uncap(machine):
    machine.shell("; ".join(f"xm sched-credit -d {name} -c 0 -w 256" for name in names()), 240)


def pools(machine):
    """One has two CPUs to itself, with the scheduler that needs no decisions, and comes back."""
    name = chance.choice(names())
    cpu = chance.randrange(1, CPUS - 1)
    two = f"{cpu}-{cpu + 1}"
    machine.shell(f"xm cpupool-cpu-remove Pool-0 {two} && xm cpupool-create name=apart sched=null cpus={two} && "
                  f"xm cpupool-migrate {name} apart", 120)
    get_on(machine, [name])
    machine.shell(f"xm cpupool-migrate {name} Pool-0 && xm cpupool-destroy apart && xm cpupool-cpu-add Pool-0 {two}", 120)


def offline(machine):
    cpu = chance.randrange(1, CPUS)
    machine.shell(f"xm cpu-offline {cpu}", 60)
    get_on(machine, chance.sample(names(), 2))
    machine.shell(f"xm cpu-online {cpu}", 60)


def one_round(machine):
    for disturb in (pause, pin, die_mapped, unpin, cap, die_mapped, uncap, offline, pools):
        disturb(machine)
    get_on(machine, names())


def rounds(machine):
    done = 0
    while done < ROUNDS if chosen.minutes == 0 else uptime(machine) - seen["began"] < 60 * chosen.minutes:
        one_round(machine)
        done += 1
    return f"{done} rounds, {mortals} domains made and destroyed, {uptime(machine) - seen['began']:.0f} s of dom0's time"


def come_out_even(machine):
    for guest in guests:
        machine.shell(f"xenstore-write /local/domain/{guest.domid}/data/stop 1", 60)
    wait_for(machine, "every guest's counts come out even", 240,
             lambda m: all(counts.get("even") for counts in said(m, names()).values()))
    wait_for(machine, "the guests end", 60, lambda m: not domains(m))
    last = said(machine, names())
    return ", ".join(f"{sum(counts[deed] for counts in last.values())} {deed}" for deed in DEEDS)


def nothing_left(machine):
    wait_for(machine, f"{seen['free']} MiB free again", 60, lambda m: free_mib(m) == seen["free"])
    wait_for(machine, f"{seen['irqs']} event channels in dom0 again", 60, lambda m: dyn_irqs(m) == seen["irqs"])


def no_complaint(machine):
    log = machine.shell("xm dmesg")[1]
    kernel = machine.shell("dmesg")[1]
    bad = re.findall(rf"^.*(?:warning|error|WRN|ERR|{COMPLAINTS}).*$", log, re.M) + \
        [match.group(0) for match in re.finditer(rf"^.*(?:{COMPLAINTS}).*$", kernel, re.M)]
    if bad:
        raise Failed("complaints:\n" + "\n".join(bad))


elf = os.path.join(chosen.build, "tests", "guests", "domu_stress.elf")
with start(chosen, "stress", extra=["-no-reboot"] + disk_with(elf), cpus=CPUS) as booted:
    went = play(booted, [("boot to dom0's shell", shell_of_dom0), ("what there is before", prepare),
                         (f"{2 * PAIRS} guests begin", begin), ("disturbed in every way", rounds),
                         ("all counts come out even", come_out_even), ("nothing is left", nothing_left),
                         ("nobody complained", no_complaint)])
sys.exit(0 if went else 1)
