# SPDX-License-Identifier: Apache-2.0
"""A machine in QEMU whose serial console a program reads and types on. Every wait has a limit; a wait that
fails says what it waited for and shows the end of the console. The complete console is kept in a log file."""

import os
import re
import select
import signal
import subprocess
import sys
import time

# Slower machines stretch every limit with this factor.
SCALE = float(os.environ.get("PLINTH_TIMEOUT_SCALE", "1"))

_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78cDEHM])|\r|\x00")
TYPING_PAUSE = 0.02         # seconds
# How the shells of boot/image ask for the next command.
PROMPT = r"^[a-zA-Z0-9]+:\S*# "
_ESCAPE_BEGUN = re.compile(r"\x1b(\[[0-9;?]*|[()])?$")


# Who is told to end, by a time limit say, takes the emulators along.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class Failed(Exception):
    """A step that did not show what it had to; str() tells what and ends with the console's last lines."""


class Machine:
    """Owns one emulator. `command` comes from qemu.command(); `on_text` is called with what the console says."""

    slowness = 1            # stretches every limit
    typed_at_once = 16      # characters
    waits_for_echo = False  # before it types on

    def __init__(self, command, log, on_text=None):
        os.makedirs(os.path.dirname(os.path.abspath(log)), exist_ok=True)
        self.log = log
        self._file = open(log, "wb")
        self._on_text = on_text or (lambda text: None)
        self._text = ""       # everything said, without escape sequences and carriage returns
        self._held = ""       # an escape sequence whose end has not come yet
        self._seen = 0        # how far expect() has consumed it
        self._marks = 0
        self._emulator, self._output, self._input = self._start(command)
        os.set_blocking(self._output.fileno(), False)

    def _start(self, command):
        """Starts the emulator: its process, and the serial port to read from and to write to."""
        serial = ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-monitor", "none"]
        process = subprocess.Popen(command + serial, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        return process, process.stdout, process.stdin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the emulator if it still runs: only this one, by its own handle."""
        if self._file.closed:
            return
        if self._emulator.poll() is None:
            self._emulator.kill()
        self._emulator.wait()
        self._read(0)
        self._file.close()
        self._input.close()
        self._output.close()

    @property
    def text(self):
        return self._text

    @property
    def position(self):
        """Up to where in `text` expect() has read."""
        return self._seen

    def running(self):
        return self._emulator.poll() is None

    def tail(self, lines=30):
        return "\n".join("    | " + line for line in self._text.splitlines()[-lines:])

    def _read(self, seconds):
        """Takes in what the console says within `seconds`; False once it is closed."""
        output = self._output
        if not select.select([output], [], [], seconds)[0]:
            return True
        data = output.read(65536)
        if not data:
            return False
        if not self._file.closed:
            self._file.write(data)
            self._file.flush()
        text = self._held + data.decode("latin-1")
        begun = _ESCAPE_BEGUN.search(text)
        self._held = text[begun.start():] if begun else ""
        text = _ESCAPE.sub("", text[:begun.start()] if begun else text)
        self._text += text
        self._on_text(text)
        return True

    def expect(self, pattern, seconds, what=None):
        """Waits until `pattern` (a regular expression) is said after what was last matched."""
        regex = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + seconds * SCALE * self.slowness
        opened = True
        while True:
            match = regex.search(self._text, self._seen)
            if match:
                self._seen = match.end()
                return match
            left = end - time.monotonic()
            if not opened or left <= 0:
                reason = f"within {seconds * SCALE * self.slowness:.0f} s" if opened else "before the machine ended"
                raise Failed(f"{what or 'the console'}: did not see /{pattern}/ {reason}; the console ends with\n"
                             f"{self.tail()}\n    (all of it: {self.log})")
            opened = self._read(min(left, 0.5))

    def listen(self, seconds):
        """Takes in what the console says for that long; False if it is closed before."""
        end = time.monotonic() + seconds * SCALE * self.slowness
        while (left := end - time.monotonic()) > 0:
            if not self._read(left):
                return False
        return True

    def never(self, pattern, since=0):
        """Fails if `pattern` was said at any time after position `since`."""
        match = re.compile(pattern, re.MULTILINE).search(self._text, since)
        if match:
            raise Failed(f"the console must not say /{pattern}/, but says: {match.group(0)}")

    def ended(self, seconds, what="the machine"):
        """Waits until the emulator ends by itself; returns its exit status."""
        end = time.monotonic() + seconds * SCALE * self.slowness
        while time.monotonic() < end:
            if not self._read(0.2) or self._emulator.poll() is not None:
                try:
                    return self._emulator.wait(10)
                except subprocess.TimeoutExpired:
                    break
        raise Failed(f"{what} did not end within {seconds * SCALE * self.slowness:.0f} s; the console ends with\n{self.tail()}")

    def send(self, text):
        """Types at the pace of a very fast typist: whoever owns the UART has a small buffer (stock Xen's holds 32
        characters) and drops what does not fit."""
        for start in range(0, len(text), self.typed_at_once):
            if start:
                self._read(1 if self.waits_for_echo else 0)
                time.sleep(TYPING_PAUSE * self.slowness)
            self._input.write(text[start:start + self.typed_at_once].encode("latin-1"))
            self._input.flush()

    def line(self, text=""):
        self.send(text + "\n")

    def shell(self, command, seconds=30, check=True):
        """Runs one command line in the shell that has the console; returns (status, what it printed). The marks
        are typed with quotes in them, so that the echo of the typed line is never taken for the answer."""
        self._marks += 1
        mark = f"{os.getpid()}.{self._marks}"
        self.line(f"echo b''={mark}; {command}; echo e''={mark}=$?")
        self.expect(f"^b={re.escape(mark)}\n", min(seconds, 60), command)
        start = self._seen
        match = self.expect(f"e={re.escape(mark)}=([0-9]+)\n", seconds, command)
        output = self._text[start:match.start()]
        status = int(match.group(1))
        self.expect(PROMPT, 30, "the shell's next prompt")
        if check and status != 0:
            raise Failed(f"`{command}` ended with status {status}:\n{output}")
        return status, output
