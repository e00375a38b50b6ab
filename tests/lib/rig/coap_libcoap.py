# SPDX-License-Identifier: Apache-2.0
"""libcoap's own programs, in both of their flavours: they speak to the library that linkspan is made with, so they show what is
wrong with linkspan rather than with CoAP."""
import os
import subprocess

from .coap_peers import Answer, need_libcoap
from .process import Process, temp_folder
from .wait import until


class LibcoapClient:
    """One process per request. keys: the arguments for PSK or certificates. flavour: "openssl" or "gnutls"."""

    name = "libcoap"

    def __init__(self, keys=(), flavour="openssl"):
        need_libcoap()
        self._program, self._keys = f"coap-client-{flavour}", list(keys)
        self._folder = temp_folder("libcoap")

    def request(self, method, uri, payload=b"", content_format=None, accept=None, etag=None, con=True, block_size=None,
                timeout=60):
        """An Answer; of what it prints for one that is no success only the code is known."""
        words = [self._program, *self._keys, "-v", "6", "-m", method.lower(), "-B", str(timeout)]
        if payload:
            path = os.path.join(self._folder, "payload")
            with open(path, "wb") as out:
                out.write(payload)
            words += ["-f", path]
        for flag, value in (("-t", content_format), ("-A", accept), ("-b", block_size)):
            if value is not None:
                words += [flag, str(value)]
        if etag is not None:
            words += ["-O", f"4,0x{etag.hex()}"]
        out = os.path.join(self._folder, "out")
        if os.path.exists(out):
            os.remove(out)
        done = subprocess.run([*words, *([] if con else ["-N"]), "-o", out, uri], capture_output=True, check=False,
                              timeout=timeout + 30)
        return self._answer(done.stdout + done.stderr, out)

    @staticmethod
    def _answer(said, out):
        text = said.decode(errors="replace")
        codes = [word[2:] for line in text.splitlines() if line.startswith("v:1 t:") for word in line.split()
                 if word.startswith("c:") and word[2:3].isdigit()]
        if not codes:
            raise RuntimeError(text)
        payload = b""
        if os.path.exists(out):
            with open(out, "rb") as file:
                payload = file.read()
        return Answer(codes[-1], payload, None, "", None, None, None, None)


class LibcoapServer:
    """libcoap's example server: it makes resources of what is put. Plain on `port` (UDP and TCP), secure on the next one."""

    name = "libcoap"

    def __init__(self, port, keys=(), flavour="openssl"):
        need_libcoap()
        self.log = os.path.join(temp_folder("libcoap"), "log")
        self._process = Process("coap-server", [f"coap-server-{flavour}", "-A", "127.0.0.1", "-p", str(port), "-d", "1000", "-e",
                                                "-v", "6", *keys], self.log)
        until(lambda: self._bound(port), "coap-server to listen")

    @staticmethod
    def _bound(port):
        with open("/proc/net/udp", encoding="ascii") as sockets:
            return any(line.split()[1].endswith(f":{port:04X}") for line in sockets.readlines()[1:])

    def close(self):
        self._process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
