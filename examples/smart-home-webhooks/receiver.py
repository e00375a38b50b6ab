#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A receiver of signed webhooks with nothing but Python's standard library. It prints an event, once, if its signature is right.

    receiver.py [--port PORT] --secret whsec_…        at 127.0.0.1, for a trial; put a TLS proxy before it elsewhere

What a receiver has to do (Standard Webhooks 1.0): take the body as bytes and parse it only when they are verified; compare in
constant time; refuse what was signed long ago; answer 2xx once it has the event safe and anything else if not; and know by the
webhook-id what it has already, because an answer that gets lost brings the same event again."""
import argparse
import base64
import collections
import hashlib
import hmac
import http.server
import json
import sys
import time

TOLERANCE_S = 300
BODY_LIMIT = 1 << 20
REMEMBERED = 10000  # ids; as many as may come between two attempts at the same event


def verified(secret, headers, body, now_s):
    """Is one of the signatures, of which there are several while a secret is being changed, made with ours?"""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isdigit() or abs(int(timestamp) - now_s) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest())
    return any(hmac.compare_digest(given.encode(), b"v1," + wanted)
               for given in headers.get("webhook-signature", "").split(" "))


def tell(line):
    """In one piece: requests are answered side by side."""
    print(line + "\n", end="", flush=True)


class Seen:
    """The newest ids. In memory: a receiver that must not act twice after its own restart either keeps them where it keeps
    what it does."""

    def __init__(self):
        self._ids = collections.OrderedDict()

    def __contains__(self, webhook_id):
        return webhook_id in self._ids

    def add(self, webhook_id):
        self._ids[webhook_id] = True
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    secret, seen = "", Seen()

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def do_POST(self):  # pylint: disable=invalid-name
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            return self._answer(411)
        if int(length) > BODY_LIMIT:
            return self._answer(413)
        body = self.rfile.read(int(length))
        if not verified(self.secret, self.headers, body, time.time()):
            tell(f"refused: no right signature on what came to {self.path}")
            return self._answer(401)
        webhook_id = self.headers["webhook-id"]
        if webhook_id in self.seen:
            tell(f"again:   {webhook_id}")
            return self._answer(204)
        try:
            event = json.loads(body)
        except ValueError:
            return self._answer(422)
        battery = f", battery {event['battery']} %" if event.get("battery") is not None else ""
        tell(f"{event['event']:15} {event['device']:22} ({event['source']}{battery})")
        self.seen.add(webhook_id)
        return self._answer(204)

    def _answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")  # what is left of the body is not read
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--port", type=int, default=8088)
    options.add_argument("--secret", required=True, help="the one in linkspan.yaml")
    options = options.parse_args()
    Handler.secret = options.secret
    with Server(("127.0.0.1", options.port), Handler) as server:
        print(f"listening at 127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
