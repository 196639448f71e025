# SPDX-License-Identifier: Apache-2.0
"""Counts how often guests leave for the hypervisor, the same on every hypervisor, because QEMU counts: it can log each
#VMEXIT with its code. Virtual time does not notice."""

import json
import os
import re
import socket
import tempfile

EXIT = b"\nvmexit("
# CPUID in a program, by its address: the probe executes one when its work begins and one when it ends.
MARK = re.compile(rb"\nvmexit\(00000072, [0-9a-f]+, [0-9a-f]+, (0000[0-7][0-9a-f]{11})\)!")
HYPERCALL = b"\nvmexit(00000081"    # VMMCALL


class Exits:
    """QEMU wants `arguments`; afterwards counted() does some work."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="plinth-exits-")
        self._log = os.path.join(self._folder.name, "log")
        path = os.path.join(self._folder.name, "qmp")
        # The log's other half, translated code, is kept out by a range of addresses where there is none.
        self.arguments = ["-qmp", f"unix:{path},server=on,wait=off", "-D", self._log, "-dfilter", "0x0+0x1"]
        self._path = path
        self._stream = None

    def _say(self, command, **arguments):
        if not self._stream:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self._path)
            self._stream = connection.makefile("rw")
            self._stream.readline()
            self._say("qmp_capabilities")
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        while "return" not in (answer := json.loads(self._stream.readline())):
            if "error" in answer:
                raise RuntimeError(f"QEMU's monitor refuses {command}: {answer['error']['desc']}")

    def counted(self, work):
        """What `work` returned, the exits of all guests during the probe's work, and how many were hypercalls."""
        begin = os.path.getsize(self._log) if os.path.exists(self._log) else 0
        self._say("human-monitor-command", **{"command-line": "log in_asm"})
        result = work()
        self._say("human-monitor-command", **{"command-line": "log none"})
        with open(self._log, "rb") as file:
            file.seek(begin)
            text = file.read()
        marks = list(MARK.finditer(text))
        mine = [mark.start() for mark in marks if mark.group(1) == marks[-1].group(1)]
        text = text[mine[-2]:mine[-1]]
        return result, text.count(EXIT), text.count(HYPERCALL)
