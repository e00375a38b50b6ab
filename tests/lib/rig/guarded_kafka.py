# SPDX-License-Identifier: Apache-2.0
"""A Kafka with one listener for each way to be let in, and for some to be kept out."""
import os
import subprocess

from . import certificates
from .kafka import Kafka
from .process import temp_folder
from .token_server import TokenServer
from .wait import free_port

USER, PASSWORD = "edge", "open sesame"
PLAIN = ('org.apache.kafka.common.security.plain.PlainLoginModule required '
         f'user_{USER}="{PASSWORD}";')
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
TOKENS = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
PASSWORDS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
LISTENERS = {  # name: protocol
    "tls": "SSL",
    "mutual": "SSL",  # wants a client certificate
    "expired": "SSL",
    "other": "SSL",  # its certificate is for another host
    "login": "SASL_SSL",  # by password
    "open": "SASL_PLAINTEXT",  # by password, without TLS
    "token": "SASL_SSL",  # by OAUTHBEARER; a connection lasts as long as its token, SESSION_S at most
}
SESSION_S = 3


def _pem_store(folder, name, cert, key):
    """Key and certificate in one file, as Kafka wants them."""
    path = os.path.join(folder, f"{name}.store.pem")
    subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-out", path], check=True, capture_output=True)
    with open(path, "a", encoding="ascii") as out, open(cert, encoding="ascii") as given:
        out.write(given.read())
    return path


class GuardedKafka(Kafka):
    """`at[name]`: host:port of a listener. `tokens`: the server whose tokens it takes."""

    def __init__(self):
        folder = temp_folder("guarded")
        self.certificates = cert = certificates.make(folder)
        ports = {name: free_port() for name in LISTENERS}
        self.at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        # Its keys by plain http: Java would want them from a server that it trusts.
        self.keys = TokenServer(folder, free_port())
        self.tokens = TokenServer(folder, free_port(), cert)
        self.keys.published = self.tokens.signer
        expired = certificates.issue(folder, "expired", cert.ca, cert.ca_key, "/CN=localhost", "IP:127.0.0.1", days=0)
        other = certificates.issue(folder, "other", cert.ca, cert.ca_key, "/CN=other.test", "DNS:other.test")
        super().__init__(
            listeners=[(name.upper(), protocol, ports[name]) for name, protocol in LISTENERS.items()],
            scram=[f"SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512)],
            jvm=[f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.keys.jwks_url}"],
            properties=[
                "ssl.keystore.type=PEM", f"ssl.keystore.location={_pem_store(folder, 'server', *cert[2:4])}",
                "ssl.truststore.type=PEM", f"ssl.truststore.location={cert.ca}",
                "listener.name.mutual.ssl.client.auth=required",
                f"listener.name.expired.ssl.keystore.location={_pem_store(folder, 'expired', *expired)}",
                f"listener.name.other.ssl.keystore.location={_pem_store(folder, 'other', *other)}",
                *(f"listener.name.{name}.sasl.enabled.mechanisms={PASSWORDS}" for name in ("login", "open")),
                *(f"listener.name.{name}.plain.sasl.jaas.config={PLAIN}" for name in ("login", "open")),
                *(f"listener.name.{name}.scram-sha-{bits}.sasl.jaas.config={SCRAM}"
                  for name in ("login", "open") for bits in (256, 512)),
                "listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER",
                f"listener.name.token.oauthbearer.sasl.jaas.config={TOKENS}",
                "listener.name.token.oauthbearer.sasl.server.callback.handler.class="
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
                f"listener.name.token.oauthbearer.connections.max.reauth.ms={SESSION_S * 1000}",
                f"listener.name.token.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={self.keys.jwks_url}",
                "listener.name.token.oauthbearer.sasl.oauthbearer.jwks.endpoint.refresh.ms=1000",
                f"listener.name.token.oauthbearer.sasl.oauthbearer.expected.audience={self.tokens.audience}",
                f"listener.name.token.oauthbearer.sasl.oauthbearer.expected.issuer={self.tokens.issuer}"])

    def stop(self):
        super().stop()
        self.keys.stop()
        self.tokens.stop()
