# SPDX-License-Identifier: Apache-2.0
"""dom0 as the scenarios see it: a machine booted to dom0's shell, xm's JSON, and guests' shells reached through
their consoles."""

import argparse
import json
import os
import re
import sys
from contextlib import contextmanager

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "boot", "lib"))

import qemu  # noqa: E402
from machine import PROMPT, SCALE, Failed, Machine  # noqa: E402,F401
import steps  # noqa: E402

DOM0 = r"^dom0:\S*# "
DOMU = r"^domU:\S*# "

# What is no warning is not said aloud: on emulated machines that is a quarter of a kernel's start. dmesg has it.
KERNEL_SAYS = "console=hvc0 loglevel=5"


# What consoles say is shown to who sits before it; a log of many tests gets the steps, and the end of the consoles
# where one fails.
SHOWN = steps.show if sys.stdout.isatty() else None
UEFI = "/usr/share/ovmf/OVMF.fd"  # firmware for `-bios`
UEFI_CODE, UEFI_VARIABLES = ("/usr/share/OVMF/OVMF_" + part for part in ("CODE_4M.fd", "VARS_4M.fd"))  # the same for flash
_machines = []


def options(description, **numbers):
    """`numbers`: options of the scenario's own, with what they are if they are not given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", required=True, help="CMake's build folder; boot/run --iso put plinth.iso there")
    parser.add_argument("--hypervisor", choices=["plinth", "xen"], default="plinth")
    for name, otherwise in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=otherwise)
    return parser.parse_args()


def log_file(chosen, name):
    return os.path.join(chosen.build, "log", f"system.{name}.{chosen.hypervisor}.log")


def loaded(chosen, dom0_mem):
    """What GRUB loads, loaded by QEMU itself as multiboot1 has it and without the kernel's packing: that takes twenty
    seconds less. system.demo, uefi, xl and debian boot as users do, and their kernels say all they have to say."""
    images = os.path.join(chosen.build, "boot")
    return ["-kernel", os.path.join(chosen.build, "hypervisor", "plinth"),
            "-append", f"console=com1 com1=115200,8n1 loglvl=info dom0_mem={dom0_mem}",
            "-initrd", f"{images}/vmlinux {KERNEL_SAYS},{images}/dom0.cpio"]


def start(chosen, name, memory=None, extra=("-no-reboot",), cpu=None, image=None, cpus=1, boot=None):
    """Powers a machine on with what the build has: Plinth and its tools, or the medium HYPERVISOR + `image`. `boot`: with
    something else."""
    memory = memory or {"plinth": 2048, "xen": 3072}[chosen.hypervisor]
    if boot is not None:
        pass
    elif chosen.hypervisor == "plinth" and image is None:
        boot = loaded(chosen, f"{memory * 3 // 8}M")
    else:
        boot = ["-cdrom", os.path.join(chosen.build, "boot", chosen.hypervisor + (image or "") + ".iso")]
    command = qemu.command(boot, chosen.hypervisor, memory, cpus, cpu=cpu, extra=extra)
    machine = Machine(command, log_file(chosen, name), SHOWN)
    if chosen.hypervisor == "plinth":
        machine.typed_at_once = 256  # of the 1,024 that its console holds
    if cpus > 1:
        machine.slowness = 2  # they take turns on one thread of the emulator
    _machines.append(machine)
    return machine


def play(machine, what):
    """The steps `what`, as boot/lib/steps.py does them."""
    seen = steps.play(machine, what)
    if not seen and not SHOWN:
        for one in _machines or [machine]:
            steps.show(f"{one.log} ends with\n{one.tail(25)}\n")
    return seen


def bare_shell_of_dom0(machine):
    """From power-on to dom0's shell."""
    machine.expect(DOM0, 240, "dom0's shell")
    machine.line("stty cols 1000; dmesg -n 1")
    machine.expect(DOM0, 30, "dom0's shell")


def shell_of_dom0(machine):
    """From power-on to dom0's shell with vmmd answering."""
    bare_shell_of_dom0(machine)
    machine.shell("for i in $(seq 150); do xm list >/dev/null && break; sleep 0.2; done; xm list", 60)


def scenario(name, description, what, boot=shell_of_dom0, **machine):
    """Boots once and does all steps; the exit status tells whether all were seen."""
    chosen = options(description)
    with start(chosen, name, **machine) as booted:
        seen = play(booted, [("boot to dom0's shell", boot)] + what)
    sys.exit(0 if seen else 1)


def xm_json(machine, command, seconds=30):
    """What `xm COMMAND --json` prints."""
    output = machine.shell(f"xm {command} --json", seconds)[1]
    try:
        return json.loads(output)
    except ValueError as error:
        raise Failed(f"`xm {command} --json` does not print JSON ({error}):\n{output}") from error


def domains(machine):
    """The rows of `xm list` by name, without Domain-0."""
    rows = xm_json(machine, "list")["domains"]
    return {row["name"]: row for row in rows if row["domid"] != 0}


def free_mib(machine):
    return xm_json(machine, "info")["free_memory"]


def wait_for(machine, what, seconds, condition):
    """Asks `condition` (a function of the machine) once a second until it is true; returns what it gave."""
    for _ in range(int(seconds * SCALE)):
        result = condition(machine)
        if result:
            return result
        machine.shell("sleep 1")
    raise Failed(f"not within {seconds} s: {what}")


def wait_in(shell, condition, seconds=60):
    """Waits in the shell of dom0 or a guest until a command of that shell succeeds."""
    rounds = int(seconds * SCALE * 2)
    shell.shell(f"for i in $(seq {rounds}); do {condition} && break; sleep 0.5; done; {condition}", 2 * seconds)


def refused(machine, command, *reasons):
    """The command of dom0's shell fails and gives each of the reasons, on one line."""
    status, said = machine.shell(command, 120, check=False)
    if status == 0 or len(said.strip().splitlines()) != 1 or any(reason not in said for reason in reasons):
        raise Failed(f"`{command}` says (status {status}):\n{said}")


def config(machine, name, **keys):
    """Writes /tmp/NAME.cfg: the demo's guest with other keys, and without those that are None; returns the file's name."""
    keys = {"name": name, "kernel": "/boot/vmlinuz-cloud", "ramdisk": "/boot/domu.cpio.gz",
            "extra": KERNEL_SAYS, "memory": 96} | keys
    lines = ["%s = %s" % (key, f'"{value}"' if isinstance(value, str) else value) for key, value in keys.items()
             if value is not None]
    file = f"/tmp/{name}.cfg"
    machine.shell("printf '%s\\n' " + " ".join(f"'{line}'" for line in lines) + f" > {file}")
    return file


@contextmanager
def guest_shell(machine, name, seconds=120):
    """The guest's shell on its console; dom0's shell again afterwards."""
    machine.line(f"xm console {name}; echo x''m-left=$?")
    machine.expect("^", 30, "the echo of the command")
    for _ in range(int(seconds * SCALE / 5)):
        machine.line()
        try:
            found = machine.expect(DOMU + r"|xm-left=[0-9]+\n", 5 / SCALE)
        except Failed:
            continue
        if found.group(0).startswith("xm-left"):
            raise Failed(f"`xm console {name}` ended by itself:\n{machine.tail(8)}")
        break
    else:
        raise Failed(f"no shell on the console of {name} within {seconds} s:\n{machine.tail()}")
    # Enter may have been pressed more than once while the guest booted: begin behind the last prompt.
    mark = f"here{machine_marks()}"
    machine.line(f"stty cols 1000; echo {mark[:4]}''{mark[4:]}")
    machine.expect(rf"^{mark}\n", 30, "the guest's shell")
    machine.expect(DOMU, 30, "the guest's shell")
    yield machine
    machine.send("\x1d")
    machine.expect(r"xm-left=[0-9]+\n", 30, "dom0's shell after Ctrl-]")
    machine.expect(DOM0, 30, "dom0's shell")


_marks = 0


def machine_marks():
    """A number not used before."""
    global _marks
    _marks += 1
    return _marks


def number(pattern, text):
    """The number that `pattern` captures in `text`."""
    match = re.search(pattern, text, re.MULTILINE)
    if not match:
        raise Failed(f"no /{pattern}/ in:\n{text}")
    return float(match.group(1))
