#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each command of xm on a domain, with the JSON it prints, and each action that can follow a domain's end."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, guest_shell, scenario, wait_for, xm_json


def same(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what} should be {wanted!r} but is {found!r}")


def refused(machine, command, status, words):
    seen, output = machine.shell(f"xm {command} 2>&1", check=False)[:2]
    same(f"the exit status of `xm {command}`", seen, status)
    if words not in output:
        raise Failed(f"`xm {command}` should speak of {words!r} but printed {output!r}")


def created(machine):
    file = config(machine, "one")
    same("what create -n --json takes from KEY=VALUE", xm_json(machine, f"create -n {file} memory=128")["memory"], 128)
    same("domains after create -n", domains(machine), {})
    machine.shell(f"xm create -q -p {file} memory=128 vcpus=1", 60)
    same("its state after create -p", domains(machine)["one"]["state"], "--p---")
    xm_json(machine, "unpause one")
    with guest_shell(machine, "one"):
        machine.shell("true")


def looked_at(machine):
    same("domid", xm_json(machine, "domid one"), {"domid": 1})
    same("domname", xm_json(machine, "domname 1"), {"domid": 1, "name": "one"})
    same("vcpu-list", [row["vcpu"] for row in xm_json(machine, "vcpu-list one")["vcpus"]], [0])
    same("uptime", xm_json(machine, "uptime one")["domains"][0]["name"], "one")
    same("list -l", xm_json(machine, "list -l one")["domains"][0]["config"]["memory"], 128)
    if not xm_json(machine, "dmesg")["text"].strip():
        raise Failed("dmesg does not hold the hypervisor's log")


def shares(machine):
    """Where it runs and how much: at once, over a reboot, and with words for what cannot be."""
    def row(machine):
        return {key: value for key, value in xm_json(machine, "sched-credit -d share")["domains"][0].items()
                if key in ("weight", "cap")}

    start(machine, "share", cpus="0", cpu_weight=128, cap=90)
    same("its share", row(machine), {"weight": 128, "cap": 90})
    xm_json(machine, "sched-credit -d share -w 300 -c 80")
    xm_json(machine, "vcpu-pin share 0 0 all")
    xm_json(machine, "sched-credit2 -d Domain-0 -w 512")
    same("dom0's weight", xm_json(machine, "sched-credit -d 0")["domains"][0]["weight"], 512)
    refused(machine, "sched-credit -d share -w 65536", 1, "give 1 to 65535")
    refused(machine, "sched-credit -d share -c 101", 1, "give 0 to 100")
    refused(machine, "vcpu-pin share 1 0", 1, "no vCPU 1")
    same("vcpu-set", xm_json(machine, "vcpu-set share 1")["vcpus"], 1)
    refused(machine, "vcpu-set share 2", 1, "1 to 1 vCPUs")
    refused(machine, "vcpu-pin share all 77", 1, "no processor 77")
    machine.shell("xm reboot share", 60)
    wait_for(machine, "share again, after its reboot", 60, lambda m: domains(m).get("share", {}).get("domid", 0) == 3)
    same("its share after a reboot", row(machine), {"weight": 300, "cap": 80})
    pinned = xm_json(machine, "vcpu-list share")["vcpus"][0]
    if pinned["affinity"] not in ("0", "all") or pinned["soft_affinity"] != "all":  # one CPU is all, where there is one
        raise Failed(f"pinned to CPU 0, it may run on {pinned['affinity']} and rather runs on {pinned['soft_affinity']}")
    machine.shell("xm sched-credit; xm destroy share", 30)


def pools(machine):
    """A pool without CPUs, since dom0 keeps the first one's: it comes, is refused what it cannot do, and goes."""
    def listed(machine):
        return [(row["name"], len(row["cpus"]) > 0) for row in xm_json(machine, "cpupool-list")["pools"]]

    same("the pools at first", listed(machine), [("Pool-0", True)])
    xm_json(machine, "cpupool-create name=apart sched=credit2")
    xm_json(machine, "cpupool-rename apart alone")
    same("the pools", listed(machine), [("Pool-0", True), ("alone", False)])
    same("its name in the store", machine.shell("xenstore-read /local/pool/1/name")[1].strip(), "alone")
    refused(machine, f"create {config(machine, 'lost', pool='alone')}", 1, "has no CPUs")
    refused(machine, f"create {config(machine, 'lost', pool='none')}", 1, "there is no CPU pool")
    every = ",".join(str(cpu) for cpu in xm_json(machine, "cpupool-list")["pools"][0]["cpus"])
    refused(machine, f"cpupool-cpu-remove Pool-0 {every}", 1, "leave it one")
    refused(machine, "cpupool-cpu-add alone 0", 1, "in another pool")
    refused(machine, "cpupool-migrate Domain-0 alone", 1, "Domain-0")
    refused(machine, "cpupool-destroy Pool-0", 1, "stays")
    machine.shell("xm cpupool-list; xm cpupool-list -c; xm cpupool-destroy alone")
    same("the pools in the end", listed(machine), [("Pool-0", True)])


def changed(machine):
    same("mem-set", xm_json(machine, "mem-set one 112")["target_kib"], 112 * 1024)
    wait_for(machine, "112 MiB", 20, lambda m: domains(m)["one"]["memory_kib"] < 113 * 1024)
    same("mem-max", xm_json(machine, "mem-max one 118")["max_kib"], 118 * 1024)
    refused(machine, "mem-set one 119", 1, "maxmem of 118 MiB")
    refused(machine, "mem-max one 129", 1, "128 MiB it was created with")
    xm_json(machine, "sysrq one h")
    same("rename", xm_json(machine, "rename one uno"), {"domid": 1, "name": "uno"})
    refused(machine, "domid one", 4, "no domain is called")
    xm_json(machine, "pause uno")
    refused(machine, "shutdown uno", 1, "xm unpause it first")
    xm_json(machine, "unpause uno")
    end = xm_json(machine, "shutdown -w uno", 60)["domains"][0]
    same("shutdown -w", (end["outcome"], end["reason"]), ("gone", "poweroff"))


def start(machine, name, **keys):
    machine.shell(f"xm create {config(machine, name, **keys)}", 60)
    with guest_shell(machine, name):
        machine.shell("true")


def processor(machine):
    """A domain sees less of the processor, and none is made that asks for more."""
    machine.shell("xm cpu-policy > /tmp/host.cpu; xm cpu-policy -w /tmp/host.cpu | cmp - /tmp/host.cpu")
    if "popcnt" not in xm_json(machine, "cpu-policy")["features"]:
        raise Failed("this processor has no POPCNT to take away")
    file = config(machine, "less", cpuid="host,popcnt=0")
    machine.shell(f"xm create {file}", 60)
    with guest_shell(machine, "less") as guest:
        guest.shell("grep -qw sse2 /proc/cpuinfo && ! grep -qw popcnt /proc/cpuinfo")
    same("whether cpu-policy tells of it", "popcnt" in xm_json(machine, "cpu-policy less")["features"], False)
    machine.shell("xm destroy less", 30)
    refused(machine, f"create {file} cpuid=host,avx512pf=1", 1, "this host does not offer avx512pf")
    same("domains after that", domains(machine), {})


def preserve(machine):
    start(machine, "kept", on_poweroff="preserve")
    same("the outcome", xm_json(machine, "shutdown -w kept", 60)["domains"][0]["outcome"], "preserved")
    same("its reason", domains(machine)["kept"]["shutdown_reason"], "poweroff")
    machine.shell("xm destroy kept", 30)


def rename_restart(machine):
    start(machine, "twin", on_reboot="rename-restart")
    machine.shell("xm reboot twin", 60)
    wait_for(machine, "twin and twin-1", 60, lambda m: set(domains(m)) == {"twin", "twin-1"})
    same("why the old one ended", domains(machine)["twin-1"]["shutdown_reason"], "reboot")
    machine.shell("xm destroy twin; xm destroy twin-1", 60)


def destroy(machine):
    start(machine, "crasher", on_crash="destroy")
    machine.shell("xm sysrq crasher c", 30)
    wait_for(machine, "nothing left of it", 30, lambda m: not domains(m))


scenario("verbs", __doc__, [
    ("create -n -p -q, unpause", created),
    ("domid, domname, vcpu-list, uptime, list -l, dmesg", looked_at),
    ("mem-set, mem-max, sysrq, rename, pause, shutdown -w", changed),
    ("cpus, cpu_weight, cap, sched-credit, vcpu-pin", shares),
    ("cpupool-*", pools),
    ("cpu-policy, cpuid =", processor),
    ("on_poweroff = preserve", preserve),
    ("on_reboot = rename-restart", rename_restart),
    ("on_crash = destroy", destroy),
])
