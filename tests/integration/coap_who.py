#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who a client of a CoAP listener is, and what ends with its session: the names in a certificate, the chain that it is shown, the
paths of an identity, each way; sessions of TLS, which are not resumed; files that are read again; streams that are closed, that do
not say CSM first, or whose client reads nothing; the same datagram at two listeners; a host's share of the room."""
import os
import shutil
import socket
import ssl

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, coap, coap_stream, tap, yaml
from rig.coap import CON
from rig.coap_libcoap import LibcoapClient
from rig.coap_peers import pem_with_key
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder
from rig.wait import free_port, until

NUL_NAME = b"boss\0.example"


class Site:
    """A listener with certificates (its own with one in between), and an authority for its clients."""

    def __init__(self, name, **keys):
        self.folder, self.port, self.open_port = temp_folder(name), free_port(), free_port()
        self.ca, self.ca_key = certificates.make(self.folder)[:2]
        self.cert, self.key = self._own(self.ca, self.ca_key, "own")
        self.bridge = Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coaps://127.0.0.1:{self.port}", f"coaps+tcp://127.0.0.1:{self.port}",
                                      f"coap+tcp://127.0.0.1:{self.open_port}"],
                       tls={"cert": self.cert, "key": self.key, "client_ca": self.ca}, **keys),
             yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-{name}")],
            [yaml.mapping("in", {"connection": "api", "topic": "/in/{a}"}, {"connection": "b", "topic": name + "/{a}"}),
             yaml.mapping("values", {"connection": "b", "topic": name + "-values/{a}"},
                          {"connection": "api", "path": "/values/{a}"})]))

    def _own(self, ca, ca_key, name):
        """A certificate of ours that another one has signed, which is behind it in the file."""
        between = certificates.issue(self.folder, f"{name}-between", ca, ca_key, f"/CN={name} between", "DNS:between",
                                     more="basicConstraints=critical,CA:TRUE\n")
        cert, key = certificates.issue(self.folder, name, *between, "/CN=localhost", "DNS:localhost,IP:127.0.0.1")
        with open(cert, "a", encoding="ascii") as out, open(between[0], encoding="ascii") as signer:
            shutil.copyfileobj(signer, out)
        return cert, key

    def replace_own(self):
        """Another authority's, in the same files; that authority."""
        ca, ca_key = certificates.make(temp_folder("new"))[:2]
        cert, key = self._own(ca, ca_key, "new")
        os.replace(cert, self.cert)
        os.replace(key, self.key)
        return ca

    def client(self, name, subject, names):
        """(certificate, key)"""
        return certificates.issue(self.folder, name, self.ca, self.ca_key, subject, names)

    def ask(self, client, method, path, ca=None):
        """The code of the answer over DTLS."""
        pem = pem_with_key(self.folder, "asks", *client)
        return LibcoapClient(["-C", ca or self.ca, "-c", pem, "-j", pem]).request(
            method, f"coaps://127.0.0.1:{self.port}{path}", b"x" if method == "PUT" else b"").code

    def figures(self):
        return self.bridge.fresh(connection="api")

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.bridge.__exit__(kind, *rest)


@tap.case("the names in a certificate: common name, DNS and URI; one with a NUL within is none; and an identity's paths, each way")
def names():
    nul = bytes([0x82, len(NUL_NAME)]) + NUL_NAME
    nul = "DER:" + ":".join(f"{byte:02x}" for byte in bytes([0x30, len(nul)]) + nul)
    with Site("who-names", allow={"cert-cn": "write:/in/#", "cert-dns": "/in/#", '"urn:dev:uri"': "/in/#", "boss": "/in/#"}) as site:
        common = site.client("cn", "/CN=cert-cn", "IP:127.0.0.1")
        for client, wanted in ((common, "2.04"), (site.client("dns", "/CN=nobody", "DNS:other,DNS:cert-dns"), "2.04"),
                               (site.client("uri", "/CN=nobody", "URI:urn:dev:uri"), "2.04"),
                               (site.client("other", "/CN=nobody", "DNS:other"), "4.03"),
                               (site.client("nul", "/CN=nobody", nul), "4.03")):
            found = site.ask(client, "PUT", "/in/x")
            assert found == wanted, (client, found)
        assert site.ask(common, "GET", "/in/x") == "4.03", "what may be written may not be read"
        assert site.ask(site.client("dns", "/CN=nobody", "DNS:cert-dns"), "GET", "/in/x") != "4.03"


def _tls_context(site, client, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(site.ca)
    context.load_cert_chain(*client)
    context.minimum_version = context.maximum_version = version
    return context


@tap.case("TLS: a session is not resumed, neither by an id nor by a ticket")
def resumption():
    with Site("who-resumes") as site:
        client = site.client("resumes", "/CN=edge", "DNS:edge")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context, session = _tls_context(site, client, version), None
            for n in range(2):
                with socket.create_connection(("127.0.0.1", site.port)) as plain, \
                        context.wrap_socket(plain, session=session) as stream:
                    stream.settimeout(30)
                    request = coap.Message(CON, "PUT", n, b"t", coap.path_options("/in/x"), b"x")
                    stream.sendall(coap_stream.CSM + coap_stream.encode(request))
                    assert coap_stream.receive_answer(stream.recv) == "2.04"
                    assert not stream.session_reused, version
                    session = stream.session
                    assert version == ssl.TLSVersion.TLSv1_2 or session is None or not session.has_ticket, "a ticket was given"


@tap.case("SIGHUP: a certificate that has been replaced is shown to the next client, with its chain")
def reloaded():
    with Site("who-reloads") as site:
        client = site.client("reads", "/CN=edge", "DNS:edge")
        assert site.ask(client, "PUT", "/in/x") == "2.04"
        new = site.replace_own()
        site.bridge.signal(1)
        site.bridge.wait_event("coap_tls_reloaded", connection="api")
        assert site.ask(client, "PUT", "/in/x", new) == "2.04"


def _open(site, *messages, csm=True):
    stream = socket.create_connection(("127.0.0.1", site.open_port), timeout=30)
    stream.sendall((coap_stream.CSM if csm else b"") + b"".join(coap_stream.encode(m) for m in messages))
    return stream


def _put(token, payload):
    return coap.Message(CON, "PUT", 0, token, coap.path_options("/in/x"), payload)


def _answered(stream):
    """The token of the next answer."""
    code, token = 0, b""
    while not 2 <= code >> 5 <= 5:
        code, token = coap_stream.receive(stream.recv)
    return token


@tap.case("TCP: nothing is taken before the client has said CSM; one that closes its connection observes no more")
def streams():
    with Site("who-streams") as site, Subscriber(shared_mosquitto().port, "who-streams/#") as got, \
            Publisher(shared_mosquitto().port) as out:
        with _open(site, _put(b"1", b"too early"), csm=False) as stream:
            stream.sendall(coap_stream.CSM + coap_stream.encode(_put(b"2", b"in time")))
            assert _answered(stream) == b"2"
            got.wait_count(1)
            assert got.messages[0].payload == b"in time"
        out.publish("who-streams-values/x", b"a value")
        until(lambda: site.bridge.fresh("totals", destination="api")["delivered"] == "1", "a value")
        get = coap.Message(CON, "GET", 0, b"3", [("Observe", 0), *coap.path_options("/values/x")])
        with _open(site, get) as stream:
            assert _answered(stream) == b"3"
            assert site.figures()["observers"] == "1", site.figures()
        until(lambda: site.figures()["observers"] == "0", "an observer less")


@tap.case("TCP: who asks on and on and reads nothing is cut off, and the memory for it has an end")
def unread():
    with Site("who-reads-not") as site, Publisher(shared_mosquitto().port) as out:
        out.publish("who-reads-not-values/x", b"x" * 1000)
        until(lambda: site.bridge.fresh("totals", destination="api")["delivered"] == "1", "a value")
        before = site.bridge.anonymous_kib()
        get = coap_stream.encode(coap.Message(CON, "GET", 0, b"t", coap.path_options("/values/x")))
        with _open(site) as stream:
            _answered_csm = coap_stream.receive(stream.recv)
            assert _answered_csm[0] >> 5 == 7, _answered_csm
            until(lambda: site.figures()["peers"] == "1", "the client")
            asked = 0
            try:
                while asked < 40000:
                    stream.sendall(get * 100)
                    asked += 100
            except (ConnectionError, TimeoutError):
                pass
            # A ping that is not answered would end it too, later than this.
            until(lambda: site.figures()["peers"] == "0", lambda: f"its end; {asked} asked", timeout=45)
        used = site.bridge.anonymous_kib() - before
        assert used < 24 * 1024, f"{used} KiB"


@tap.case("the same datagram at two listeners is two messages, also after a SIGKILL")
def two_listeners():
    ports = free_port(), free_port()
    config = yaml.configuration(
        [*(yaml.coap(f"api{n}", listen=[f"coap://127.0.0.1:{port}"]) for n, port in enumerate(ports)),
         yaml.mqtt("b", shared_mosquitto().port, client_id="linkspan-who-two")],
        [yaml.mapping(f"in{n}", {"connection": f"api{n}", "topic": "/in"}, {"connection": "b", "topic": f"who-two/{n}"})
         for n in range(2)])
    with Linkspan(config) as bridge, Subscriber(shared_mosquitto().port, "who-two/#") as got, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(30)
        request = coap.Message(CON, "PUT", 7, b"t", coap.path_options("/in"), b"x").encode()

        def send(port):
            device.sendto(request, ("127.0.0.1", port))
            while True:
                answer = coap.decode(device.recv(2000))
                if answer.mid == 7 and answer.code:
                    return answer.text
        assert send(ports[0]) == "2.04"
        bridge.kill()
        bridge.start()
        assert [send(port) for port in ports] == ["2.04", "2.04"]
        got.wait_for(lambda ms: {m.topic for m in ms} == {"who-two/0", "who-two/1"}, "a message of each listener")


@tap.case("a host that has as many requests wait as it can leaves room for those of another one")
def waiting_room():
    port, broker = free_port(), own_mosquitto()
    with broker, Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"], limits={"busy_timeout": "1m", "max_waiting": 40}),
             yaml.mqtt("b", broker.port, outbox={"max_messages": 1})],
            [yaml.mapping("in", {"connection": "api", "topic": "/in"}, {"connection": "b", "topic": "room"}),
             yaml.mapping("values", {"connection": "b", "topic": "value"}, {"connection": "api", "path": "/value"})])) as bridge, \
            Publisher(broker.port) as out, coap.Client(port) as greedy, coap.Client(port, source="127.0.0.2") as other:
        out.publish("value", b"x")
        until(lambda: bridge.fresh("totals", destination="api")["delivered"] == "1", "a value")
        for one in (greedy, other):  # its address is validated by that, and has a share of its own from then on
            assert one.ask(one.request("GET", "/value", options=[("Observe", 0)])).text == "2.05" and one.pings
        broker.freeze()
        assert greedy.ask(greedy.request("PUT", "/in", b"fills the outbox")).text == "2.04"
        for n in range(45):
            greedy.send(greedy.request("PUT", "/in", b"%d" % n))
        assert greedy.expect(lambda m: m.code, "a refusal").text == "5.03"
        request = other.send(other.request("PUT", "/in", b"of the other one"))
        acknowledged = other.expect(lambda m: m.mid == request.mid, "an empty ACK, for it waits")
        assert not acknowledged.code, acknowledged
        broker.thaw()
        assert other.expect(lambda m: m.token == request.token, "its answer").text == "2.04"


if __name__ == "__main__":
    tap.main()
