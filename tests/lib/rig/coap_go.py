# SPDX-License-Identifier: Apache-2.0
"""go-coap as client and as server, whose DTLS is pion's: one process (tests/lib/go-coap/coap_peer.go)."""
import os

from .coap_line_peer import LinePeer
from .coap_peers import cached, need


class GoCoap(LinePeer):
    def __init__(self):
        home = need(cached("go-coap", "go-coap/coap_peer.go", "go-coap/go.mod", "go-coap/go.sum"), "go-coap")
        super().__init__("go-coap", [os.path.join(home, "coap_peer")])
