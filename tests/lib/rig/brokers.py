# SPDX-License-Identifier: Apache-2.0
"""MQTT brokers other than mosquitto, with the shape of rig.mosquitto.Mosquitto: HiveMQ Community Edition, Apache
ActiveMQ Artemis (both 5 and 3.1.1, sessions on disk) and aedes (3.1.1, all in memory). `tls_port` asks for a client
certificate. tests/lib/install.sh brokers fetches them; `installed()` says where, or None.
"""
import glob
import os
import shutil
import signal
import subprocess

from . import certificates, mosquitto
from .process import Process, temp_folder
from .wait import free_port, listening, until

_LIB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_JVM = ["java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"]
_STORE_PASSWORD = "changeit"


def _cached(name, needs):
    """The folder that tests/lib/install.sh filled, or None."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    wanted = os.environ.get(f"LINKSPAN_{name.upper()}_VERSION", "*")
    found = [f for f in glob.glob(os.path.join(cache, "linkspan", f"{name}-{wanted}"))
             if os.path.exists(os.path.join(f, "complete"))]
    return sorted(found)[-1] if found and shutil.which(needs) else None


class _Traits:
    """What a broker can do, unless it says otherwise."""

    name = ""
    versions = (4, 5)
    keeps_sessions = True  # over a restart
    keeps_received_ids = True  # over a restart: it knows a repeated QoS 2 PUBLISH for what it is
    keeps_sent_ids = True  # it sends an unacknowledged QoS 2 message again under the same identifier [MQTT-4.4.0-1]
    keeps_order = True  # of messages that are in flight at the same time
    identifies_copies = True  # a copy per subscription names that subscription alone [MQTT-3.3.4-5]
    sets_aliases = True  # for a topic, before it uses one (MQTT 5 §3.3.2.3.4)
    window = 100  # most unacknowledged messages that a client of the tests' own sends


class _Broker(_Traits):
    """Stopping keeps the data of those that keep any: start() again is a restart on the same ports."""

    def __init__(self, wait=True):
        """wait=False: it has begun to start; wait_up() before it is used."""
        self.folder = temp_folder(self.name)
        self.port, self.tls_port = free_port(), free_port()
        self.certificates = certificates.make(self.folder)
        self._log = os.path.join(self.folder, f"{self.name}.log")
        self._process, self._up = None, False
        self._prepare()
        self._begin()
        if wait:
            self.wait_up()

    def _prepare(self):
        """Writes what the program reads."""

    def _command(self):
        raise NotImplementedError

    def _begin(self):
        self._process, self._up = Process(self.name, self._command(), self._log), False

    def wait_up(self):
        if not self._up:
            for port in (self.port, self.tls_port):
                until(lambda p=port: listening(p) or self._died(), f"{self.name} to listen")
        self._up = True

    def start(self):
        self._begin()
        self.wait_up()

    def _died(self):
        if not self._process.running():
            raise RuntimeError(f"{self.name} ended: " + " | ".join(self._process.log_tail(5)))
        return False

    def stop(self):
        if self._process:
            self._process.signal(signal.SIGCONT)
            self._process.stop()
            self._process = None

    def kill(self):
        self._process.kill()
        self._process = None

    def freeze(self):
        self._process.signal(signal.SIGSTOP)

    def thaw(self):
        self._process.signal(signal.SIGCONT)

    def running(self):
        return self._process is not None and self._process.running()

    def log(self):
        with open(self._log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def _server_store(self):
        """Java's kind of certificate file: the server's certificate and key."""
        path, cert = os.path.join(self.folder, "server.p12"), self.certificates
        subprocess.run(["openssl", "pkcs12", "-export", "-in", cert.server_cert, "-inkey", cert.server_key, "-name",
                        "server", "-out", path, "-passout", f"pass:{_STORE_PASSWORD}"], check=True, capture_output=True)
        return path

    def _trust_store(self):
        """Whom the server trusts: the authority that signed the clients' certificates."""
        path = os.path.join(self.folder, "trust.p12")
        subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", self.certificates.ca,
                        "-keystore", path, "-storetype", "PKCS12", "-storepass", _STORE_PASSWORD],
                       check=True, capture_output=True)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class HiveMQ(_Broker):
    name = "hivemq"
    keeps_received_ids = False  # they are in memory only, though its CONNACK says that the session is present
    window = 10  # its Receive Maximum

    @staticmethod
    def installed():
        return _cached("hivemq", "java")

    def _prepare(self):
        for folder in ("conf", "data", "log", "extensions"):
            os.makedirs(os.path.join(self.folder, folder))
        self._write("conf/config.xml", f"""<?xml version="1.0"?>
<hivemq>
  <listeners>
    <tcp-listener><port>{self.port}</port><bind-address>127.0.0.1</bind-address></tcp-listener>
    <tls-tcp-listener><port>{self.tls_port}</port><bind-address>127.0.0.1</bind-address><tls>
      <keystore><path>{self._server_store()}</path><password>{_STORE_PASSWORD}</password>
        <private-key-password>{_STORE_PASSWORD}</private-key-password></keystore>
      <truststore><path>{self._trust_store()}</path><password>{_STORE_PASSWORD}</password></truststore>
      <client-authentication-mode>REQUIRED</client-authentication-mode>
    </tls></tls-tcp-listener>
  </listeners>
  <mqtt><queued-messages><max-queue-size>100000</max-queue-size></queued-messages></mqtt>
  <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
</hivemq>
""")

    def _command(self):
        home = self.installed()
        return [*_JVM, f"-Dhivemq.home={self.folder}", "-cp", f"{home}:{home}/*", "OpenHiveMQ"]


class Artemis(_Broker):
    name = "artemis"
    keeps_received_ids = keeps_sent_ids = False
    identifies_copies = False  # it sends a copy per subscription, and each names all of them
    keeps_order = False  # also between two bare clients, with two or more unacknowledged messages
    sets_aliases = False  # it may send a topic alias before the message that sets it

    @staticmethod
    def installed():
        return _cached("artemis", "java")

    def _prepare(self):
        tls = (f"sslEnabled=true;keyStorePath={self._server_store()};keyStorePassword={_STORE_PASSWORD};"
               f"keyStoreType=PKCS12;trustStorePath={self._trust_store()};trustStorePassword={_STORE_PASSWORD};"
               "trustStoreType=PKCS12;needClientAuth=true")
        self._write("etc/broker.xml", f"""<?xml version="1.0"?>
<configuration xmlns="urn:activemq"><core xmlns="urn:activemq:core">
  <name>artemis</name>
  <security-enabled>false</security-enabled>
  <journal-type>NIO</journal-type>
  <journal-directory>{self.folder}/data/journal</journal-directory>
  <bindings-directory>{self.folder}/data/bindings</bindings-directory>
  <large-messages-directory>{self.folder}/data/large</large-messages-directory>
  <paging-directory>{self.folder}/data/paging</paging-directory>
  <max-disk-usage>-1</max-disk-usage>
  <acceptors>
    <acceptor name="plain">tcp://127.0.0.1:{self.port}?protocols=MQTT</acceptor>
    <acceptor name="tls">tcp://127.0.0.1:{self.tls_port}?protocols=MQTT;{tls}</acceptor>
  </acceptors>
  <address-settings><address-setting match="#"><max-size-bytes>-1</max-size-bytes></address-setting></address-settings>
</core></configuration>
""")

    def _command(self):
        return [*_JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", os.path.join(self.installed(), "*"),
                "org.apache.activemq.artemis.core.server.embedded.Main", self.folder]


class Aedes(_Broker):
    name = "aedes"
    versions = (4,)
    keeps_sessions = False

    @staticmethod
    def installed():
        return _cached("aedes", "node")

    def _command(self):
        cert = self.certificates
        return ["node", os.path.join(_LIB, "aedes", "broker.js"), self.installed(), str(self.port), str(self.tls_port),
                cert.ca, cert.server_cert, cert.server_key]


class Mosquitto(mosquitto.Mosquitto, _Traits):
    """With what the interoperability cases ask of every broker."""

    name = "mosquitto"
    window = 20  # its Receive Maximum, unless told otherwise

    @staticmethod
    def installed():
        return mosquitto.program()

    def __init__(self):
        super().__init__(tls="mutual")


ALL = (Mosquitto, HiveMQ, Artemis, Aedes)
SLOW = (HiveMQ, Artemis, Aedes)  # to start
