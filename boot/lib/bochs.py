# SPDX-License-Identifier: Apache-2.0
"""A machine with Intel's VT-x, in the Bochs emulator: headless, its serial port a pseudo-terminal. There is no PCIe in
it (PIIX chipset, IDE, port CF8) and no IOMMU; it is five to six times slower than QEMU."""

import argparse
import os
import pty
import re
import select
import subprocess
import tempfile
import termios
import threading
import tty

import machine
import on_one_cpu

# Has all that is used: EPT with accessed and dirty flags and 1 GiB pages, VPID, and a virtual APIC in hardware.
CPU = "corei7_haswell_4770"
# The oldest that has what guests need: none of these but VPID.
OLDEST_CPU = "corei7_sandy_bridge_2600k"
# The only one with SPEC_CTRL, PRED_CMD and ARCH_CAPABILITIES.
NEWEST_CPU = "tigerlake"
END_KEYS = b"\x01x"      # as QEMU has them
MOST_HOST_MEMORY = 2048     # MiB that Debian's build keeps in memory; what a larger machine has beyond goes to a file

# Without VBE, with which GRUB's multiboot2 loader fails here. `ips` is how fast the machine's own time runs.
CONFIGURATION = """\
config_interface: textconfig
display_library: term
cpu: model={cpu}, count={cpus}, ips={ips}, reset_on_triple_fault=1, ignore_bad_msrs=1
memory: guest={memory}, host={host_memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=none, update_freq=1
pci: enabled=1, chipset=i440fx
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={iso}, status=inserted
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
boot: cdrom
com1: enabled=1, mode=term, dev={serial}
plugin_ctrl: speaker=0, gameport=0, parallel=0
mouse: enabled=0
log: {log}
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
"""

# What Bochs writes of a CPU that was reset after it had started: a triple fault, or the guest's own doing.
_RESET = re.compile(r"^\d+\w?\[CPU0 *\] cpu (hardware|software) reset", re.MULTILINE)


# What it says of the terminal on which it shows its VGA screen: one that it makes, and waits for when it is full.
_SCREEN = re.compile(rb'screen "(.*?)"')


def _drain(errors):
    """Reads what Bochs says to its standard error, and once it has named it, its screen, until it ends."""
    screen = None
    try:
        while line := errors.readline():
            named = _SCREEN.search(line)
            if named and screen is None:
                screen = os.open(named.group(1), os.O_RDWR | os.O_NOCTTY)
                tty.setraw(screen)      # without echo, which would be typed on the machine's keyboard
                threading.Thread(target=_discard, args=(screen,), daemon=True).start()
    finally:
        errors.close()


def _discard(screen):
    try:
        while os.read(screen, 65536):
            pass
    except OSError:     # Bochs has ended
        pass
    os.close(screen)


class Bochs(machine.Machine):
    """Boots `iso`. Its own log is kept beside the console's, as LOG.bochs."""

    slowness = 6
    # Its UART drops what does not fit into 16 characters, in the time of the machine: while that stands still on a
    # busy host, what is typed would pile up.
    typed_at_once = 4
    waits_for_echo = True

    def __init__(self, iso, log, on_text=None, memory=512, cpus=1, ips=100_000_000, cpu=CPU,
                 extra=()):
        self._folder = tempfile.TemporaryDirectory(prefix="plinth-bochs-")
        self._emulator_log = log + ".bochs"
        self._iso, self._memory, self._cpus, self._ips = iso, memory, cpus, ips
        self._cpu, self._extra = cpu, extra
        super().__init__(None, log, on_text)

    def _start(self, _):
        ours, its = pty.openpty()
        tty.setraw(its)
        os.makedirs(os.path.dirname(os.path.abspath(self._emulator_log)), exist_ok=True)
        configuration = os.path.join(self._folder.name, "bochsrc")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(
                cpu=self._cpu, cpus=self._cpus, ips=self._ips, memory=self._memory, iso=os.path.abspath(self._iso),
                host_memory=min(self._memory, MOST_HOST_MEMORY), serial=os.ttyname(its), log=self._emulator_log))
            file.writelines(line + "\n" for line in self._extra)
        # Debian's build has the debugger: it wants to be told to go on, and ends when its input does.
        commands = os.path.join(self._folder.name, "commands")
        with open(commands, "w", encoding="ascii") as file:
            file.write("c\n")
        environment = dict(os.environ, TERM="xterm", BXSHARE="/usr/share/bochs",
                           LTDL_LIBRARY_PATH="/usr/lib/x86_64-linux-gnu/bochs/plugins")
        process = subprocess.Popen([*on_one_cpu.COMMAND, "bochs-bin", "-q", "-f", configuration, "-rc", commands],
                                   env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()
        self._its = its     # held open, or reading would fail whenever Bochs has it closed
        return process, os.fdopen(ours, "rb", buffering=0), os.fdopen(os.dup(ours), "wb", buffering=0)

    def running(self):
        return super().running() and not self.was_reset()

    def was_reset(self):
        """A CPU starts once; Bochs goes on after a triple fault, which here is an end."""
        try:
            with open(self._emulator_log, encoding="latin-1") as file:
                return len(_RESET.findall(file.read())) > 1
        except OSError:
            return False

    def close(self):
        super().close()
        os.close(self._its)
        self._folder.cleanup()

    def converse(self):
        """For people: the serial console on this terminal, until Ctrl-a x or the machine's end."""
        typed = b""
        while self.running():
            ready = select.select([0, self._output], [], [], 1)[0]
            if self._output in ready:
                os.write(1, self._output.read(65536) or b"")
            if 0 in ready:
                key = os.read(0, 1)
                if not key or typed + key == END_KEYS:
                    return
                if key != END_KEYS[:1]:
                    self._input.write(key)
                typed = key


def main():
    parser = argparse.ArgumentParser(description="boots an image in Bochs with its serial console on this terminal")
    parser.add_argument("--iso", required=True)
    parser.add_argument("--memory", type=int, default=1024)
    options = parser.parse_args()
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    with tempfile.TemporaryDirectory(prefix="plinth-bochs-") as folder:
        with Bochs(options.iso, os.path.join(folder, "console"), memory=options.memory) as booted:
            try:
                if saved:
                    tty.setraw(0)
                booted.converse()
            finally:
                if saved:
                    termios.tcsetattr(0, termios.TCSADRAIN, saved)


if __name__ == "__main__":
    main()
