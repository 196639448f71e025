# SPDX-License-Identifier: Apache-2.0
"""A guest that moves between two hosts, called "a". It writes all the time to its
memory and to its disk (which HERE exports by NBD), in patterns that show if a write was lost, and counts aloud on a TCP
connection that ends at HERE."""

from busy_guest import VCPUS, begin_calls, calls_go_on
from dom0 import Failed, config, guest_shell, number, wait_in
from two_hosts import ADDRESS_HERE

MEMORY = 160            # MiB
FILES = 16              # of 16,384 lines, which it writes over and over
BLOCKS = 1000           # of its disk, likewise
TALKS, IS_SILENT = "00:16:3e:09:00:07", "00:16:3e:09:00:08"     # its interfaces
PORT_OF_WIRE = 1        # of the bridges: their first one
# KiB that Linux' netfront loses for each interface whenever it gets a new backend, on stock Xen as well: the 256 pages of
# a receive ring (toolstack/migrate/README.md). And what else may change, once and each time.
LOST, SLACK, SLACK_EACH = 1024, 6144, 256
WRITES = ('n=$(printf "\\nx"); n=${n%x}; while :; do i=$((i+1)); l=$i; for k in $(seq 14); do l="$l$n$l"; done; '
          f'echo "$l" > /tmp/new; mv /tmp/new /tmp/p/$((i % {FILES})); '
          f"echo $i | dd of=/dev/xvda bs=4096 seek=$((i % {BLOCKS})) conv=sync,fsync 2>/dev/null && "
          "echo $i > /tmp/now && mv /tmp/now /tmp/done; sleep 0.5; done")
COUNTS = f"(while :; do n=$((n+1)); echo $n; sleep 0.5; done | nc {ADDRESS_HERE} 7100 >/dev/null 2>&1 &)"


def free_kib(guest):
    return number(r"MemFree: +([0-9]+)", guest.shell("cat /proc/meminfo")[1])


class Moving_guest:
    def __init__(self, here):
        self._here = here
        self._done = self._free = 0
        self.moves = 0      # since it was made

    def create(self):
        here = self._here
        here.shell("truncate -s 16M /tmp/disk.img; qemu-nbd --fork --persistent -e 8 -f raw -x disk -p 10809 /tmp/disk.img", 60)
        file = config(here, "a", memory=MEMORY, vcpus=VCPUS)
        here.shell(f"echo \"disk = [ 'vdev=xvda, target=nbd://{ADDRESS_HERE}/disk' ]\" >> {file}; "
                   f"echo \"vif = [ 'bridge=br0, mac={TALKS}', 'bridge=br0, mac={IS_SILENT}' ]\" >> {file}; xm create {file}", 120)
        here.shell("(tail -f /dev/null | nc -l -p 7100 > /tmp/from-guest &)")
        with guest_shell(here, "a") as guest:
            wait_in(guest, "test -b /dev/xvda && test -e /sys/class/net/eth1")
            guest.shell(f"mkdir /tmp/p; echo '{WRITES}' > /tmp/writes; (sh /tmp/writes >/dev/null 2>&1 &)")
            begin_calls(guest)
            guest.shell("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip addr add 10.9.0.7/24 dev eth0; ip link set eth0 up; "
                        f"ip addr add 10.9.8.8/24 dev eth1; ip link set eth1 up; {COUNTS}", 60)
            wait_in(guest, f"test $(ls /tmp/p | wc -l) = {FILES}", 120)
            self._done = int(guest.shell("cat /tmp/done")[1])
            self._free = free_kib(guest)

    def goes_on(self, machine):
        """It works there, and all that it has ever written is there."""
        with guest_shell(machine, "a") as guest:
            wait_in(guest, f"test $(cat /tmp/done) -gt {self._done + 1}", 120)
            self._has_its_files(guest)
            self._has_its_disk(guest)
            calls_go_on(guest)
            self._has_its_memory(guest)
            self._done = int(guest.shell("cat /tmp/done")[1])
            trouble = guest.shell("dmesg | grep -E 'BUG:|WARNING: CPU|Call Trace|blocked for more|I/O error'", check=False)[1]
            if trouble.strip():
                raise Failed(f"the guest's kernel complains:\n{trouble}")
        self._says_on()

    @staticmethod
    def _has_its_files(guest):
        held = guest.shell(f"for f in $(seq 0 {FILES - 1}); do echo $f $(uniq /tmp/p/$f); done", 120)[1]
        numbers = [[int(word) for word in line.split()] for line in held.strip().splitlines()]
        if len(numbers) != FILES or any(len(one) != 2 or one[1] % FILES != one[0] for one in numbers):
            raise Failed(f"the files in the guest's memory are not what it wrote:\n{held}")

    @staticmethod
    def _has_its_disk(guest):
        """Each block has the last number that was written there and acknowledged, or one that came later."""
        guest.shell(f"last=$(cat /tmp/done); dd if=/dev/xvda bs=64k count={BLOCKS // 16 + 1} iflag=direct 2>/dev/null | tr -d '\\0' | "
                    f"awk -v last=$last 'BEGIN {{ k = -1 }} $1 <= last - {BLOCKS} || $1 % {BLOCKS} <= k {{ wrong = 1 }} "
                    f"{{ k = $1 % {BLOCKS}; n++ }} END {{ exit wrong || n < last && n < {BLOCKS} }}'", 120)

    def _has_its_memory(self, guest):
        free = free_kib(guest)
        least = self._free - SLACK - self.moves * (2 * LOST + SLACK_EACH)
        if free < least:
            raise Failed(f"after {self.moves} moves the guest has {free:.0f} KiB free, less than the {least:.0f} that netfront "
                         f"explains; before them {self._free:.0f}")

    def _says_on(self):
        """Its connection has lost nothing and goes on."""
        said = int(self._here.shell("wc -l < /tmp/from-guest")[1])
        wait_in(self._here, f"test $(wc -l < /tmp/from-guest) -gt {said + 1}", 120)
        self._here.shell("awk 'NR != $1 { wrong = 1 } END { exit wrong }' /tmp/from-guest")


def is_heard_of(machine):
    """The bridge here knows without being told by traffic that the guest is behind the wire: it has announced itself."""
    wait_in(machine, "hexdump -v -e '16/1 \"%02x\" \"\\n\"' /sys/class/net/br0/brforward | "
                     f"grep -q '^{IS_SILENT.replace(':', '')}{PORT_OF_WIRE:02x}00'")
