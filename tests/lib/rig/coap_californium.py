# SPDX-License-Identifier: Apache-2.0
"""Eclipse Californium as client and as server: one Java process (tests/lib/californium/CoapPeer.java)."""
import os
import re

from .coap_line_peer import LinePeer
from .coap_peers import cached, need

_POM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "californium", "pom.xml")


def installed():
    with open(_POM, encoding="utf-8") as pom:
        version = re.search("<californium.version>(.*)</", pom.read())[1]
    return cached(f"californium-{version}", "californium/CoapPeer.java")


class Californium(LinePeer):
    def __init__(self):
        home = need(installed(), "Eclipse Californium")
        super().__init__("californium", ["java", "-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                                         "-cp", f"{home}:{home}/*", "CoapPeer"])
