# SPDX-License-Identifier: Apache-2.0
"""A guest's disks, one request at a time and past the guest's cache: virtual microseconds for each MiB in pieces of
1 MiB from the start on, and in pieces of 4 KiB at random places; and what it takes of exits, hypercalls and grant
operations, those of all domains together. What is behind the disks lies in dom0's memory (files on tmpfs, a RAM
disk), so that the paravirtual path is measured and not an emulated controller."""

from domains import counted, dom0, insisted, make_images, start

DISK_MIB = 32
RANDOM_MIB = 4
RAW, PHY, QCOW2 = "/dev/shm/raw", "/dev/ram0", "/dev/shm/qcow2"
# What the guest sees as which device, and how dom0 is told to serve it: as it likes best, and by the kernel's blkback.
# One guest has one set, since an image has one user.
DISKS = (
    {
        "raw": ("xvda", f"vdev=xvda,target={RAW}"),
        "phy": ("xvdb", f"vdev=xvdb,target={PHY}"),
        "qcow2": ("xvdc", f"format=qcow2,vdev=xvdc,target={QCOW2}"),
    },
    {
        "raw-kernel": ("xvda", f"backendtype=phy,vdev=xvda,target={RAW}"),
        "phy-kernel": ("xvdb", f"backendtype=phy,vdev=xvdb,target={PHY}"),
    },
)
SET_UP = (f"modprobe brd rd_nr=1 rd_size={DISK_MIB * 1024}; "
          f"for to in {RAW} {PHY}; do dd if=/dev/zero of=$to bs=1M count={DISK_MIB}; done 2>/dev/null; "
          f"qemu-img create -q -f qcow2 {QCOW2} {DISK_MIB}M")


def lines(disks):
    return "disk = [ " + ", ".join(f"'{spec}'" for _, spec in disks.values()) + " ]"


def served(machine, guest, disks):
    """The lines of one guest and its disks, in a machine of their own."""
    machine.shell(SET_UP, 300)
    address = start(machine, guest)[guest]
    figures = {}
    for name, (device, _) in disks.items():
        for job in ("write", "read"):
            figures[f"{name}-{job}-1m"] = counted(machine, f"{job} /dev/{device} 1024 {DISK_MIB}", DISK_MIB, address)
            figures[f"{name}-random-{job}-4k"] = counted(machine, f"rand{job} /dev/{device} 4 {RANDOM_MIB}", RANDOM_MIB,
                                                         address)
    return figures


def measure(kind, image, images, probe, log):
    """{line: {"us": ..., "exits": ..., "hypercalls": ..., "grants": ...} for each MiB}"""
    guests = {f"g{number}": lines(disks) for number, disks in enumerate(DISKS)}
    modules = make_images(images, probe, guests)

    def job(guest, disks):
        with dom0(kind, image, modules, log) as machine:
            return served(machine, guest, disks)

    figures = {}
    for guest, disks in zip(guests, DISKS):
        figures |= insisted(kind, lambda guest=guest, disks=disks: job(guest, disks))
    return figures
