# SPDX-License-Identifier: Apache-2.0
"""Guests made of guest-drivers (tests/guests/domu_*), which answer typed commands: how they come into dom0, are
started by xm, and are spoken to."""

import re
from contextlib import contextmanager

from dom0 import DOM0, Failed, domains

PROMPT = r"guest> "


def disk_with(elf):
    """QEMU's arguments for a disk whose content is that file; dom0 sees it as the next /dev/vdX."""
    return ["-drive", f"file={elf},format=raw,if=virtio,readonly=on"]


class Small_guest:
    def __init__(self, name, kernel):
        self.name = name
        self._kernel = kernel

    def create(self, machine, **keys):
        """`keys` are lines of the configuration, values as they stand there."""
        keys = {"name": f"'{self.name}'", "kernel": f"'{self._kernel}'", "memory": 64} | keys
        lines = " ".join(f'"{key} = {value}"' for key, value in keys.items())
        machine.shell(f"printf '%s\\n' {lines} > /tmp/{self.name}.cfg; xm create /tmp/{self.name}.cfg", 60)

    def row(self, machine):
        return domains(machine)[self.name]

    @contextmanager
    def console(self, machine):
        """Gives a function that types a command, waits for its verdict and returns what the guest said before; a
        verdict that is not as expected fails."""
        machine.line(f"xm console {self.name}; echo x''m-left=$?")
        machine.line()
        machine.expect(PROMPT, 60, f"the prompt of {self.name}")

        def typed(command, seconds=30, verdict=r"ok"):
            machine.line(command)
            machine.expect(re.escape(command) + "\n", seconds, f"the echo of `{command}`")
            start = machine.position
            match = machine.expect(r"^(ok|failed: .*)\n", seconds, f"`{command}`")
            if not re.fullmatch(verdict, match.group(1)):
                raise Failed(f"`{command}` in {self.name}: {match.group(1)}")
            return machine.text[start:match.end()]

        # What was said before is behind the prompt that follows this.
        typed("echo here")
        yield typed
        machine.send("\x1d")
        machine.expect(r"xm-left=[0-9]+\n", 30, "dom0's shell after Ctrl-]")
        machine.expect(DOM0, 30, "dom0's shell")
