# SPDX-License-Identifier: Apache-2.0
"""A guest's disks, one request at a time and past the guest's cache: virtual microseconds for each MiB in pieces of
1 MiB from the start on, and in pieces of 4 KiB at random places; and what it takes of exits, hypercalls and grant
operations, those of all domains together. What is behind the disks lies in dom0's memory (a file on tmpfs, a RAM
disk), so that the paravirtual path is measured and not an emulated controller."""

from domains import counted, dom0, make_images, start

DISK_MIB = 48
RANDOM_MIB = 6
# What the guest sees as which device, and how dom0 is told to serve it.
DISKS = {
    "raw": ("xvda", "file:/dev/shm/raw,xvda,w"),
    "phy": ("xvdb", "phy:/dev/ram0,xvdb,w"),
}
SET_UP = (f"modprobe brd rd_nr=1 rd_size={DISK_MIB * 1024}; "
          f"for to in /dev/shm/raw /dev/ram0; do dd if=/dev/zero of=$to bs=1M count={DISK_MIB}; done 2>/dev/null")


def measure(kind, image, images, probe, log):
    """{line: {"us": ..., "exits": ..., "hypercalls": ..., "grants": ...} for each MiB}"""
    figures = {}
    lines = "disk = [ " + ", ".join(f"'{spec}'" for _, spec in DISKS.values()) + " ]"
    with dom0(kind, image, make_images(images, probe, {"a": lines}), log) as machine:
        machine.shell(SET_UP, 300)
        guest = start(machine, "a")["a"]
        for name, (device, _) in DISKS.items():
            for job in ("write", "read"):
                figures[f"{name}-{job}-1m"] = counted(machine, f"{job} /dev/{device} 1024 {DISK_MIB}", DISK_MIB, guest)
                figures[f"{name}-random-{job}-4k"] = counted(machine, f"rand{job} /dev/{device} 4 {RANDOM_MIB}",
                                                             RANDOM_MIB, guest)
    return figures
