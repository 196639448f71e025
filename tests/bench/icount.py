# SPDX-License-Identifier: Apache-2.0
"""The machine that figures are taken on: QEMU under -icount, where the time-stamp counter counts emulated instructions,
one virtual nanosecond each, the same in every run."""

# Features that TCG lacks are named away so that invtsc can be forced: without it Xen traps RDTSC.
CPU = ("EPYC,+svm,+npt,-rdtscp,-monitor,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,"
       "-nrip-save,-xsavec,+invtsc,x-force-features=on")
ICOUNT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
COMMAND_LINE = {
    "plinth": "console=com1 com1=115200,8n1 loglvl=warning dom0_mem=768M noreboot",
    "xen": "console=com1 com1=115200,8n1 loglvl=warning dom0=pvh dom0_mem=768M,max:768M noreboot",
}


def command(kind, image, guest, memory=1024, cpus=1, more=""):
    """`more` is added to the hypervisor's command line. The same machine for all: what stock Xen needs for a PVH dom0 does not hurt Plinth."""
    return ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35,kernel-irqchip=split", "-cpu", CPU,
            "-device", "intel-iommu,intremap=on", "-m", str(memory), "-smp", str(cpus), "-display", "none", "-nic", "none",
            "-no-reboot", *ICOUNT, "-kernel", image, "-append", COMMAND_LINE[kind] + more, "-initrd", guest]
