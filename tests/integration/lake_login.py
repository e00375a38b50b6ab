#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka behind TLS and SASL, by configuration alone; and what is said when they do not fit."""
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import need_kafka, shared_mosquitto
from rig.kafka import Kafka
from rig.mqtt import Publisher
from rig.process import temp_folder
from rig.wait import free_port

LOGIN = ('org.apache.kafka.common.security.plain.PlainLoginModule required '
         'user_edge="open sesame";')


def _pem_store(folder, cert):
    """Key and certificate in one file, as Kafka wants them."""
    path = f"{folder}/keystore.pem"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", cert.server_key, "-out", path], check=True,
                   capture_output=True)
    with open(path, "a", encoding="ascii") as out, open(cert.server_cert, encoding="ascii") as given:
        out.write(given.read())
    return path


class GuardedKafka(Kafka):
    """With two more listeners: `tls_brokers` wants a client certificate, `login_brokers` TLS and a password."""

    def __init__(self):
        folder = temp_folder("guarded")
        self.certificates = certificates.make(folder)
        tls, login = free_port(), free_port()
        self.tls_brokers, self.login_brokers = f"127.0.0.1:{tls}", f"127.0.0.1:{login}"
        super().__init__(listeners=[("TLS", "SSL", tls), ("LOGIN", "SASL_SSL", login)], properties=[
            f"ssl.keystore.type=PEM\nssl.keystore.location={_pem_store(folder, self.certificates)}",
            f"ssl.truststore.type=PEM\nssl.truststore.location={self.certificates.ca}",
            "listener.name.tls.ssl.client.auth=required", "sasl.enabled.mechanisms=PLAIN",
            f"listener.name.login.plain.sasl.jaas.config={LOGIN}"])


def _bridge(name, brokers, **keys):
    return Linkspan(yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}"), yaml.kafka("lake", brokers, **keys)],
        [yaml.mapping("all", {"connection": "plant", "topic": name + "/#", "qos": 1},
                      {"connection": "lake", "topic": name})]), wait_up=False)


def _goes_through(kafka, name, brokers, **keys):
    kafka.create_topic(name)
    with _bridge(name, brokers, **keys) as bridge, kafka.reader(name) as reader, \
            Publisher(shared_mosquitto().port) as out:
        bridge.wait_event("link_up", connection="plant")
        out.publish(name + "/1", b"sealed")
        reader.wait_count(1)
        assert reader.records[0].value == b"sealed"
        assert bridge.stop() == 0


def _alarm(name, brokers, **keys):
    """It says what is wrong, goes on trying, holds the message, and shows no password."""
    with _bridge(name, brokers, **keys) as bridge, Publisher(shared_mosquitto().port) as out:
        bridge.wait_event("link_up", connection="plant")
        out.publish(name + "/1", b"held")
        said = bridge.wait_event("alarm", connection="lake")
        bridge.wait_waiting("lake", 1)
        assert bridge.running() and bridge.stop() == 0
        assert "sesame" not in "\n".join(bridge.log_lines(whole=True))
        return said


@tap.case("Kafka over TLS with a client certificate, and with SASL over TLS; a wrong one is an alarm and not the end")
def guarded():
    need_kafka()
    with GuardedKafka() as kafka:
        cert = kafka.certificates
        _goes_through(kafka, "by-cert", kafka.tls_brokers,
                      tls={"ca": cert.ca, "cert": cert.client_cert, "key": cert.client_key})
        _goes_through(kafka, "by-login", kafka.login_brokers, tls={"ca": cert.ca},
                      sasl={"username": "edge", "password": "open sesame"})
        for name, brokers, keys in (
                ("wrong-password", kafka.login_brokers,
                 {"tls": {"ca": cert.ca}, "sasl": {"username": "edge", "password": "close sesame"}}),
                ("wrong-ca", kafka.tls_brokers, {"tls": {"ca": certificates.strangers_ca(temp_folder("stranger"))}}),
                ("no-cert", kafka.tls_brokers, {"tls": {"ca": cert.ca}})):
            tap.note(f"{name}: {_alarm(name, brokers, **keys)}")


if __name__ == "__main__":
    tap.main()
