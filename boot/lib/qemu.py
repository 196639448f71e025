#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The QEMU command line, in one place: for people (run as a program: serial console on this terminal) and for
tests (command()). It picks KVM by itself where nested AMD-V works; TCG is the floor that every machine can run. The
machine named vt-x is q35 on nested VT-x, which TCG does not have: only where nested_kvm("intel")."""

import argparse
import os
import shlex

import on_one_cpu

# Stock Xen needs more of the emulator than Plinth does: an IOMMU for a PVH dom0, and no RDTSCP and MWAIT, which
# it intercepts under TCG without being able to decode them.
CPU = {
    ("plinth", "tcg"): "EPYC,+svm,+npt",
    ("xen", "tcg"): "EPYC,+svm,+npt,-rdtscp,-monitor",
    ("plinth", "kvm"): "host",
    ("xen", "kvm"): "host",
}
XEN_MACHINE = ",kernel-irqchip=split"
XEN_DEVICES = ["-device", "intel-iommu,intremap=on"]

# One thread for all CPUs: with a thread for each, VMRUN and #VMEXIT change interrupt_request without a lock while
# another CPU's IPI sets a bit in it (target/i386/tcg/sysemu/svm_helper.c), and now and then the IPI is lost. So is,
# for the same reason, an interrupt of a timer or a device, whose bits the main thread sets: the CPU sleeps on with a
# vector in its APIC's IRR until the next one comes. On one CPU of the host the change is one instruction, which
# nothing interrupts: see on_one_cpu.py.
TCG = "tcg,thread=single"

# TCG shows what it does not have when forced; then what the model has and it lacks is named away. Here: what a guest
# protects itself with against leaks by speculation.
HARDENED = CPU["plinth", "tcg"] + (
    ",-rdtscp,-monitor,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec,+md-clear,"
    "+spec-ctrl,+stibp,+ssbd,+ibpb,+amd-ssbd,x-force-features=on")

# What the oldest VT-x that guests can do with lacks of a newer CPU's.
OLDEST_VT_X = "host,-vmx-apicv-vid,-vmx-apicv-register,-vmx-apicv-x2apic,-vmx-ept-1gb,-vmx-eptad"


def nested_kvm(vendor="amd"):
    """True where /dev/kvm can be used and its guests get that vendor's virtualisation."""
    try:
        with open(f"/sys/module/kvm_{vendor}/parameters/nested", encoding="ascii") as flag:
            nested = flag.read().strip() in ("1", "Y")
    except OSError:
        return False
    return nested and os.access("/dev/kvm", os.R_OK | os.W_OK)


def command(boot, hypervisor="plinth", memory=2048, cpus=1, machine="q35", cpu=None, extra=()):
    """`boot` is what to start from: ["-cdrom", FILE] or ["-kernel", IMAGE, ...]."""
    accel = "kvm" if machine == "vt-x" or nested_kvm() else "tcg"
    machine = "q35" if machine == "vt-x" else machine
    words = on_one_cpu.COMMAND if accel == "tcg" else []
    words = [*words, "qemu-system-x86_64", "-accel", TCG if accel == "tcg" else accel]
    words += ["-machine", machine + (XEN_MACHINE if hypervisor == "xen" else "")]
    words += ["-cpu", cpu or CPU[hypervisor, accel], "-m", str(memory), "-smp", str(cpus), "-display", "none"]
    words += ["-nic", "none"]
    if hypervisor == "xen":
        words += XEN_DEVICES
    return words + list(boot) + list(extra)


def add_options(parser):
    parser.add_argument("--iso", required=True)
    parser.add_argument("--hypervisor", choices=["plinth", "xen"], default="plinth")
    parser.add_argument("--memory", type=int, default=2048)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--machine", default="q35")
    parser.add_argument("--qemu-args", default="")


def command_from(options):
    return command(["-cdrom", options.iso], options.hypervisor, options.memory, options.cpus, options.machine,
                   extra=shlex.split(options.qemu_args))


def main():
    parser = argparse.ArgumentParser(description="boots an image with its serial console on this terminal")
    add_options(parser)
    words = command_from(parser.parse_args()) + ["-serial", "mon:stdio"]
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
