# SPDX-License-Identifier: Apache-2.0
"""Clients and servers of a stack in a process of their own that is driven by lines, those of tests/lib/californium/CoapPeer.java:
the base of coap_californium.py and coap_go.py."""
import os
import subprocess
import threading
import urllib.parse

from .coap_peers import Answer, Got
from .process import temp_folder
from .wait import until


def _hex(data):
    return data.hex() if data else "-"


class Observation:
    def __init__(self, peer, number):
        self._peer, self._number = peer, number
        self.notes = []  # each an Answer
        self.failed = []

    def cancel(self):
        """Tells the server."""
        self._peer.say(f"cancel {self._number}")

    def forget(self):
        """Answers the next notification with RST."""
        self._peer.say(f"forget {self._number}")


class Client:
    """One of its clients, with the methods of AioClient."""

    def __init__(self, peer, name):
        self.name = peer.name
        self._peer, self._name = peer, name

    def request(self, method, uri, *arguments, **options):
        return self._peer.request(self._name, method, uri, *arguments, **options)

    def observe(self, uri, con=True):
        return self._peer.observe(self._name, uri, con)


class LinePeer:
    """Clients by name, and servers. keys: psk: (identity, key bytes); x509, tls: (ca, file with certificate and key)."""

    def __init__(self, name, command):
        self.name = name
        self.got = []  # of all its servers
        self._replies, self._notes, self._said = {}, {}, []
        self._number = 0
        self._lock = threading.Lock()
        self._log = open(os.path.join(temp_folder(name), "log"), "wb")  # pylint: disable=consider-using-with
        self._child = subprocess.Popen(  # pylint: disable=consider-using-with
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True)
        threading.Thread(target=self._read, daemon=True, name=name).start()
        self._wait("ready peer")

    def say(self, line):
        with self._lock:
            self._child.stdin.write(line.encode() + b"\n")
            self._child.stdin.flush()

    def _wait(self, line):
        until(lambda: line in self._said or self._died(), line)

    def _died(self):
        wrong = [line for line in self._said if line.startswith("error ")]
        if wrong:
            raise RuntimeError(wrong[-1])
        if self._child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._child.poll()}")
        return False

    def _read(self):
        for raw in self._child.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            word, _, rest = line.partition(" ")
            if word == "got":
                self.got.append(self._parse_got(rest))
            elif word == "answer":
                number, _, rest = rest.partition(" ")
                self._replies[number] = self._parse_answer(rest)
            elif word == "note":
                number, _, rest = rest.partition(" ")
                self._notes[number].notes.append(self._parse_answer(rest))
            elif word == "failed":
                number, _, rest = rest.partition(" ")
                if number in self._notes:
                    self._notes[number].failed.append(rest)
                self._replies[number] = RuntimeError(rest)
            else:
                self._said.append(line)

    @staticmethod
    def _fields(text):
        return dict(word.split("=", 1) for word in text.split())

    def _parse_answer(self, text):
        f = self._fields(text)
        return Answer(f["code"], bytes.fromhex(f["payload"]), int(f["content_format"]) if "content_format" in f else None,
                      f["type"], bytes.fromhex(f["etag"]) if "etag" in f else None,
                      int(f["max_age"]) if "max_age" in f else None, int(f["observe"]) if "observe" in f else None,
                      "/" + urllib.parse.unquote_plus(f["location"]) if "location" in f else None)

    def _parse_got(self, text):
        f = self._fields(text)
        return Got(f["method"], f["path"], urllib.parse.unquote_plus(f["query"]), f["type"],
                   int(f["content_format"]) if "content_format" in f else None, bytes.fromhex(f["payload"]),
                   urllib.parse.unquote_plus(f["identity"]))

    # --- client

    @staticmethod
    def _secrets(kind, keys):
        if kind == "psk":
            return [keys[0], _hex(keys[1])]
        return list(keys) if kind in ("x509", "tls") else []

    def client(self, name, kind="udp", keys=(), block_size=1024):
        self.say(" ".join(["client", name, kind, str(block_size), *self._secrets(kind, keys)]))
        self._wait(f"ready client {name}")
        return Client(self, name)

    def request(self, client, method, uri, payload=b"", content_format=None, accept=None, etag=None, con=True, timeout=None):
        """An Answer; RuntimeError when there is none."""
        number = self.begin(client, method, uri, payload, content_format, accept, etag, con)
        until(lambda: number in self._replies or self._died(), f"an answer to {method} {uri}", timeout)
        answer = self._replies.pop(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, client, method, uri, payload=b"", content_format=None, accept=None, etag=None, con=True):
        """The number of a request that is on its way."""
        number = self._next()
        words = ["-" if word is None else str(word) for word in (content_format, accept)]
        self.say(f"request {number} {client} {method} {uri} {'con' if con else 'non'} {' '.join(words)} {_hex(etag)} "
                 f"{_hex(payload)}")
        return number

    def _next(self):
        with self._lock:
            self._number += 1
            return str(self._number)

    def observe(self, client, uri, con=True):
        number = self._next()
        made = self._notes[number] = Observation(self, number)
        self.say(f"observe {number} {client} {uri} {'con' if con else 'non'}")
        return made

    # --- server

    def server(self, port, kind="udp", keys=(), block_size=1024):
        self.say(" ".join(["server", kind, str(port), str(block_size), *self._secrets(kind, keys)]))
        self._wait(f"ready server {port}")

    def set(self, path, payload, content_format=0):
        """The value of a resource; its observers are told."""
        self.say(f"set {path} {content_format} {_hex(payload)}")

    def remove(self, path):
        self.say(f"remove {path}")

    def observers(self, path):
        """How many a resource has now."""
        before = len(self._said)
        self.say(f"observers {path}")
        start = f"observers {path} "
        until(lambda: any(line.startswith(start) for line in self._said[before:]) or self._died(), start)
        return int([line for line in self._said if line.startswith(start)][-1].split()[-1])

    def stop(self):
        self._child.stdin.close()
        self._child.wait()
        self._log.close()

    def kill(self):
        self._child.kill()
        self._child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
