# SPDX-License-Identifier: Apache-2.0
"""EFI variables as dom0's kernel shows them: files, the first four bytes of which are attributes."""

OURS = "5a1c0de5-0001-4f6e-9b7a-504c494e5448"  # a vendor of the tests' own
_FOLDER = "/sys/firmware/efi/efivars"


def variable(name, vendor=OURS):
    return f"{_FOLDER}/{name}-{vendor}"


def write_variable(machine, name, text, check=True):
    """Kept over a reset, and there for boot and runtime. The status of the shell that wrote it."""
    return machine.shell(f"{{ chattr -i {variable(name)}; }} 2>/dev/null; printf '\\007\\000\\000\\000{text}' > {variable(name)}",
                         check=check)[0]
