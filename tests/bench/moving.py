# SPDX-License-Identifier: Apache-2.0
"""How long a guest stands still when it moves to another host, and how much crosses the wire, against its memory and
what it writes of it each second. The two machines of tests/system run on the clock on the wall, since two -icount clocks
do not keep pace: the figures are for comparison with each other. Beside what `xm migrate` says stands for how long a
third party, which pings the guest all the time, has no answer."""

import json
import os
import sys
import time
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))
import dom0  # noqa: E402
from two_hosts import ADDRESS_THERE, Two_hosts, takes_once  # noqa: E402

SIZES = (128, 256, 512)         # MiB, of which three eighths are filled with random data
RATES = (0, 256, 2048)          # KiB that it writes each second, always the same
MOST_WRITTEN = max(RATES) // 1024
SIZE_FOR_RATES, RATE_FOR_SIZES = 128, 256
MAX_DOWNTIME = 300              # ms
ADDRESS = "10.9.0.7"
BETWEEN_PINGS = 0.05            # seconds
# Prints the longest time between two answers, in ms, once ping ends.
GAP = ("/seq=/ { getline up < \"/proc/uptime\"; close(\"/proc/uptime\"); split(up, at, \" \"); "
       "if (last && at[1] - last > most) most = at[1] - last; last = at[1] } END { print most * 1000 }")


def guest(here, size, rate):
    name = f"g{size}"
    file = dom0.config(here, name, memory=size)
    here.shell(f"echo \"vif = [ 'bridge=br0' ]\" >> {file}; xm create {file}", 120)
    with dom0.guest_shell(here, name) as shell:
        dom0.wait_in(shell, "test -e /sys/class/net/eth0")
        shell.shell(f"ip addr add {ADDRESS}/24 dev eth0; ip link set eth0 up; mkdir -p /mnt; mount -t tmpfs -o size=100% tmpfs /mnt; "
                    "cd /mnt", 60)
        shell.shell(f"dd if=/dev/urandom of=filled bs=1M count={size * 3 // 8 - MOST_WRITTEN} 2>/dev/null; "
                    f"dd if=/dev/urandom of=written bs=1M count={MOST_WRITTEN} 2>/dev/null", 300)
        if rate:
            shell.shell(f"(while :; do dd if=filled of=written bs=1k count={rate} conv=notrunc 2>/dev/null; sleep 1; done &)")
    return name


def move(hosts, size, rate):
    here, there = hosts.here, hosts.there
    name = guest(here, size, rate)
    takes_once(there)
    here.shell(f"(ping -i {BETWEEN_PINGS} {ADDRESS} | awk '{GAP}' > /tmp/gap 2>&1 &); sleep 3", 60)
    began = time.monotonic()
    said = json.loads(here.shell(f"xm migrate --json --max-downtime {MAX_DOWNTIME} -s '' {name} 'nc {ADDRESS_THERE} 7000' "
                                 "2>/dev/null", 400)[1])
    seconds = time.monotonic() - began
    here.shell("sleep 5; kill -INT $(pidof ping); sleep 1", 60)
    silent = float(here.shell("cat /tmp/gap")[1])
    there.shell(f"xm destroy {name}", 60)
    hosts.nothing_left(here)
    hosts.nothing_left(there)
    return {"still-ms": said["downtime_ms"], "silent-ms": silent, "sent-percent": said["bytes"] * 100 / (size << 20),
            "rounds": said["rounds"], "wire-kib-per-s": said["bytes"] / 1024 / seconds}


def measure(build):
    """{"move-SIZE-RATE WHAT": figure}"""
    figures = {}
    cases = [(size, RATE_FOR_SIZES) for size in SIZES]
    cases += [(SIZE_FOR_RATES, rate) for rate in RATES if rate != RATE_FOR_SIZES]
    with Two_hosts(types.SimpleNamespace(build=build, hypervisor="plinth"), "bench.moving") as hosts:
        hosts.boot()
        for size, rate in cases:
            for what, value in move(hosts, size, rate).items():
                figures[f"move-{size}-{rate} {what}"] = value
    return figures
