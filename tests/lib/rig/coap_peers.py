# SPDX-License-Identifier: Apache-2.0
"""What the CoAP peers of other people have in common: their answers, what came to their servers, where they are installed
(tests/lib/install.sh coap)."""
import hashlib
import os
import shutil
from collections import namedtuple

from .tap import Skip

_LIB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# code: "2.05"; kind: "CON", "NON", "ACK" or ""; etag: bytes or None; location: "/a/b" or None
Answer = namedtuple("Answer", "code payload content_format kind etag max_age observe location")
# What a server took. method: "PUT"; query: "x=1&y=2"; identity: of DTLS
Got = namedtuple("Got", "method path query kind content_format payload identity")


def cached(name, *parts):
    """The folder that install.sh filled, whose name ends with the digest of those files in tests/lib."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    digest = hashlib.sha256()
    for part in parts:
        with open(os.path.join(_LIB, part), "rb") as file:
            digest.update(file.read())
    path = os.path.join(cache, "linkspan", f"{name}-{digest.hexdigest()[:12]}")
    return path if os.path.exists(os.path.join(path, "complete")) else None


def need(path, name):
    if not path:
        raise Skip(f"no {name} here (tests/lib/install.sh coap)", missing=True)
    return path


def need_libcoap():
    return need(shutil.which("coap-client-openssl"), "libcoap3-bin")


def pem_with_key(folder, name, cert, key):
    """One file with both, as Californium wants it."""
    path = os.path.join(folder, f"{name}-and-key.pem")
    with open(path, "w", encoding="ascii") as out:
        for part in (key, cert):
            with open(part, encoding="ascii") as file:
                out.write(file.read())
    return path
