# SPDX-License-Identifier: Apache-2.0
"""HTTP as bytes, for what no client library would send."""
import re
import socket

from .wait import DEADLINE_S

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")


def connect(port, source="127.0.0.1"):
    """Every address of 127.0.0.0/8 is this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S, source_address=(source, 0))


def read_to_end(link):
    """All that comes until the other side is done; a reset is an end too."""
    got = b""
    try:
        while more := link.recv(1 << 16):
            got += more
    except ConnectionError:
        pass
    return got


def exchange(port, data, source="127.0.0.1"):
    """Sends, says that this was all, and gives back all that came."""
    with connect(port, source) as link:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
        except OSError:  # it has hung up already; perhaps it has said why
            pass
        return read_to_end(link)


def statuses(answer):
    """Of all final answers in what came."""
    return [int(status) for status in _STATUS.findall(answer) if status != b"100"]


def request(target="/in/x", body=b"", method="POST", host="Host: 127.0.0.1", headers=()):
    """A right one, with whatever else is among the headers."""
    lines = [f"{method} {target} HTTP/1.1", host, *headers]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
