# SPDX-License-Identifier: Apache-2.0
"""Of which generation a guest is: what dom0 finds in the store, and a program in the guest that watches that node and
notes what it reads there each time it is told."""

from dom0 import domains, wait_in

NODE = "platform/generation-id"


def generation(machine, name):
    return machine.shell(f"xenstore-read /local/domain/{domains(machine)[name]['domid']}/{NODE}")[1].strip()


def _request(kind, *words):
    """A message to the store for printf: type, request, transaction, length, and words that each end in a zero."""
    octal = [f"\\{number:o}\\0\\0\\0" for number in (kind, 0, 0, sum(len(word) + 1 for word in words))]
    return "".join(octal) + "".join(f"{word}\\0" for word in words)


_READ, _WATCH = _request(2, NODE), _request(4, NODE, "g")
_PROGRAM = f"""#!/bin/sh
exec 3<>/dev/xen/xenbus
printf '{_WATCH}' >&3
while dd bs=4096 count=1 <&3 >/dev/null 2>&1; do
    exec 4<>/dev/xen/xenbus
    printf '{_READ}' >&4
    echo $(dd bs=4096 count=1 <&4 2>/dev/null | tail -c +17) >> /tmp/generations
done
"""


def begin_watching(guest):
    lines = " ".join('"' + line.replace("\\", "\\\\").replace("$", "\\$") + '"' for line in _PROGRAM.splitlines())
    guest.shell(f"printf '%s\\n' {lines} > /tmp/watcher; chmod +x /tmp/watcher; (/tmp/watcher &)")
    wait_in(guest, "test -s /tmp/generations")


def guest_has_heard(guest, *of):
    """It has read these generations, one after the other, and no others."""
    wait_in(guest, f"test \"$(uniq /tmp/generations | xargs)\" = '{' '.join(of)}'")
