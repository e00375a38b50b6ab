# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificates, made with the openssl program: an authority, a server for 127.0.0.1 and a client."""
import os
import subprocess
from collections import namedtuple

Certificates = namedtuple("Certificates", "ca ca_key server_cert server_key client_cert client_key")


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _authority(folder, name):
    cert, key = os.path.join(folder, f"{name}.pem"), os.path.join(folder, f"{name}.key")
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", f"/CN=linkspan test {name}", "-keyout", key, "-out", cert)
    return cert, key


def issue(folder, name, ca, ca_key, subject, names, days=2, more=""):
    """(certificate, key). days 0: it has expired a second later. more: lines of other extensions."""
    cert, key, request, extra = (os.path.join(folder, f"{name}.{end}") for end in ("pem", "key", "csr", "ext"))
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
             "-keyout", key, "-out", request)
    with open(extra, "w", encoding="ascii") as out:
        out.write(f"subjectAltName={names}\n{more}")
    _openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", str(days),
             "-extfile", extra, "-out", cert)
    os.chmod(key, 0o644)  # mosquitto may give up root before it reads it
    return cert, key


def make(folder):
    """A fresh set in `folder`."""
    ca, ca_key = _authority(folder, "ca")
    server = issue(folder, "server", ca, ca_key, "/CN=localhost", "DNS:localhost,IP:127.0.0.1")
    client = issue(folder, "client", ca, ca_key, "/CN=edge-7", "DNS:edge-7")
    return Certificates(ca, ca_key, *server, *client)


def strangers_ca(folder):
    """Another authority, which signed nothing that anybody uses."""
    return _authority(folder, "stranger")[0]
