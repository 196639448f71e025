# SPDX-License-Identifier: Apache-2.0
"""A package repository on this host, as Debian's apt knows them: one package, made here, served over HTTP and reached
from QEMU's user networks at their gateway address. [deb(5); wiki.debian.org/DebianRepository/Format]"""

import functools
import gzip
import hashlib
import http.server
import os
import subprocess
import threading

CONTROL = """Package: {name}
Version: 1.0
Architecture: all
Maintainer: Plinth <root@localhost>
Description: data for a test
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Repository:
    """Serves package `name`, whose one file is /usr/share/NAME/data has the content `data`."""

    def __init__(self, folder, name, data):
        tree = os.path.join(folder, "tree")
        pool = os.path.join(folder, "www")
        os.makedirs(os.path.join(tree, "DEBIAN"))
        os.makedirs(os.path.join(tree, "usr/share", name))
        os.makedirs(pool)
        with open(os.path.join(tree, "DEBIAN/control"), "w", encoding="ascii") as file:
            file.write(CONTROL.format(name=name))
        with open(os.path.join(tree, "usr/share", name, "data"), "wb") as file:
            file.write(data)
        deb = os.path.join(pool, f"{name}_1.0_all.deb")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb], check=True,
                       stdout=subprocess.DEVNULL)
        with open(deb, "rb") as file:
            content = file.read()
        index = CONTROL.format(name=name) + (f"Filename: ./{os.path.basename(deb)}\nSize: {len(content)}\n"
                                             f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n")
        with gzip.open(os.path.join(pool, "Packages.gz"), "wb") as file:
            file.write(index.encode("ascii"))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=pool))
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
