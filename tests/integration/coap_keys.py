#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates of a CoAP listener that change while it runs: SIGHUP has them read again, the next handshake goes by them,
sessions that are there stay, and what cannot be read changes nothing."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, coap, coap_stream, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.process import temp_folder
from rig.wait import free_port

REQUEST = coap_stream.encode(coap.Message(coap.CON, "PUT", 0, b"t", coap.path_options("/in/x"), b"x"))


@contextmanager
def _listener(name, port, **keys):
    with Linkspan(yaml.configuration(
            [yaml.coap("devices", listen=[f"coaps+tcp://127.0.0.1:{port}"], **keys),
             yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-{name}")],
            [yaml.mapping("in", {"connection": "devices", "topic": "/in/{a}"}, {"connection": "b", "topic": name + "/{a}"})])) as bridge:
        yield bridge


def _reread(bridge, event="coap_tls_reloaded"):
    before = len(bridge.events(event))
    bridge.signal(signal.SIGHUP)
    bridge.wait_event(event, more_than=before)


class _Device:
    """With a pre-shared key, by openssl: Python cannot."""

    def __init__(self, port, key):
        self._client = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", "-tls1_2", "-cipher", "PSK", "-psk_identity", "sensor-1",
             "-psk", key.encode().hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        self._opening = coap_stream.CSM

    def put(self):
        """What a PUT is answered by; None: the session ends."""
        try:
            self._client.stdin.write(self._opening + REQUEST)
            self._opening = b""
            return coap_stream.receive_answer(lambda n: os.read(self._client.stdout.fileno(), n))
        except (AssertionError, BrokenPipeError):
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.kill()
        self._client.wait()
        self._client.stdin.close()
        self._client.stdout.close()


def _write(path, text):
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
        out.write(text)
    os.rename(path + ".new", path)


@tap.case("pre-shared keys: after SIGHUP the new one counts for the next handshake, who is there stays; a bad file changes nothing")
def pre_shared():
    port, path = free_port(), os.path.join(temp_folder("keys"), "keys")
    _write(path, 'sensor-1: "old"\n')
    with _listener("keys-psk", port, psk={"file": path}) as bridge, _Device(port, "old") as first:
        assert first.put() == "2.04"
        _write(path, 'sensor-1: "new"\n')
        with _Device(port, "old") as before:
            assert before.put() == "2.04", "nobody has said that it is to be read"
        _reread(bridge)
        with _Device(port, "old") as refused, _Device(port, "new") as second:
            assert refused.put() is None and second.put() == "2.04"
            assert first.put() == "2.04", "its session has gone"
            _write(path, "sensor-1: correct-horse\n")
            _reread(bridge, "coap_tls")
            with _Device(port, "new") as third:
                assert third.put() == second.put() == "2.04"
        assert "correct-horse" not in str(bridge.events("coap_tls", whole=True)), "a key in the log"


def _put(link, opening=b""):
    link.sendall(opening + REQUEST)
    return coap_stream.receive_answer(link.recv)


@contextmanager
def _secured(port, made):
    """A connection that takes no certificate but that authority's, and shows the client's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(made.ca)
    context.load_cert_chain(made.client_cert, made.client_key)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link, \
            context.wrap_socket(link, server_hostname="localhost") as secured:
        yield secured


@tap.case("certificates: after SIGHUP the next handshake shows the new one and wants the new authority's, who is there stays")
def renewed():
    port, used = free_port(), temp_folder("certificates-used")
    old, new = certificates.make(temp_folder("certificates-old")), certificates.make(temp_folder("certificates-new"))

    def use(made):
        for name in ("server.pem", "server.key", "ca.pem"):
            shutil.copy(os.path.join(os.path.dirname(made.ca), name), os.path.join(used, name))
    use(old)
    tls = {"cert": os.path.join(used, "server.pem"), "key": os.path.join(used, "server.key"), "client_ca": os.path.join(used, "ca.pem")}
    with _listener("keys-cert", port, tls=tls, allow={"edge-7": "/in/#"}) as bridge, _secured(port, old) as first:
        assert _put(first, coap_stream.CSM) == "2.04"
        use(new)
        _reread(bridge)
        with _secured(port, new) as second:
            assert _put(second, coap_stream.CSM) == "2.04"
        try:
            with _secured(port, old):
                raise AssertionError("the old certificate is shown")
        except ssl.SSLCertVerificationError:
            pass
        with _secured(port, new._replace(client_cert=old.client_cert, client_key=old.client_key)) as stranger:
            try:
                code = _put(stranger, coap_stream.CSM)
            except (OSError, AssertionError):
                code = None  # the alert, or the end
            assert code is None, code
        assert _put(first) == "2.04", "its session has gone"


if __name__ == "__main__":
    tap.main()
