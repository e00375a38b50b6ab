# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto on free ports, with its persistence in a folder of its own and its queue limits lifted."""
import os
import shutil
import signal
import subprocess

from . import certificates
from .process import Process, temp_folder
from .wait import free_port, listening, until


def program():
    """Debian puts it where a user's PATH may not look. None when it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """Stopping keeps the data: start() again is a restart. `port` is plain, `tls_port` asks for a client certificate
    when tls="mutual". websocket: `ws_port` speaks WebSocket, and with tls `wss_port` over TLS. password: the only user
    allowed then is `edge` with that password. in_memory: its folder is, so that it can save all it holds at every
    change."""

    def __init__(self, tls=None, password=None, settings=(), websocket=False, in_memory=False):
        self.folder = temp_folder("mosquitto", in_memory)
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self.ws_port = free_port() if websocket else None
        self.wss_port = free_port() if websocket and tls else None
        self.certificates = certificates.make(self.folder) if tls else None
        self._process = None
        self._write_configuration(tls, password, settings)
        self.start()

    def _write_configuration(self, tls, password, settings):
        # Options before the first `listener` belong to no listener and are global.
        lines = ["per_listener_settings false", "persistence true", f"persistence_location {self.folder}/",
                 "autosave_on_changes true", "autosave_interval 100", "max_queued_messages 0",
                 "max_inflight_messages 200", "log_dest stderr", "log_type all",
                 *settings]
        if os.geteuid() == 0:
            lines.append("user root")
        if password is None:
            lines.append("allow_anonymous true")
        else:
            path = os.path.join(self.folder, "passwords")
            subprocess.run(["mosquitto_passwd", "-b", "-c", path, "edge", password], check=True,
                           capture_output=True)
            lines += ["allow_anonymous false", f"password_file {path}"]
        lines.append(f"listener {self.port} 127.0.0.1")
        if tls:
            cert = self.certificates
            lines += [f"listener {self.tls_port} 127.0.0.1", f"cafile {cert.ca}", f"certfile {cert.server_cert}",
                      f"keyfile {cert.server_key}"]
            if tls == "mutual":
                lines.append("require_certificate true")
        if self.ws_port:
            lines += [f"listener {self.ws_port} 127.0.0.1", "protocol websockets"]
        if self.wss_port:
            lines += [f"listener {self.wss_port} 127.0.0.1", "protocol websockets", f"certfile {cert.server_cert}",
                      f"keyfile {cert.server_key}"]
        self._configuration = os.path.join(self.folder, "mosquitto.conf")
        with open(self._configuration, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")

    def start(self):
        self._process = Process("mosquitto", [program(), "-c", self._configuration],
                                os.path.join(self.folder, "mosquitto.log"))
        ports = [port for port in (self.port, self.tls_port, self.ws_port, self.wss_port) if port]
        until(lambda: all(map(listening, ports)) or self._died(), "mosquitto to listen")

    def _died(self):
        if not self._process.running():
            raise RuntimeError("mosquitto ended: " + " | ".join(self._process.log_tail(5)))
        return False

    def stop(self):
        """Cleanly: it saves what it holds."""
        if self._process:
            self._process.signal(signal.SIGCONT)
            self._process.stop()
            self._process = None

    def kill(self):
        """As a power cut: what it has not saved is gone."""
        self._process.kill()
        self._process = None

    def freeze(self):
        """Alive for the kernel, silent for everybody else."""
        self._process.signal(signal.SIGSTOP)

    def thaw(self):
        self._process.signal(signal.SIGCONT)

    def running(self):
        return self._process is not None and self._process.running()

    def log(self):
        with open(os.path.join(self.folder, "mosquitto.log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
