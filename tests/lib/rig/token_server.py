# SPDX-License-Identifier: Apache-2.0
"""An OAuth 2.0 authorization server that knows client credentials (RFC 6749 §4.4) and nothing else: /token gives JWTs
signed with RS256 by the openssl program, /jwks.json has the key for whoever checks them."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """An RSA key and what is signed with it."""

    def __init__(self, folder, name="signer"):
        self._key = os.path.join(folder, f"{name}.key")
        self._id = name
        subprocess.run(["openssl", "genrsa", "-out", self._key, "2048"], check=True, capture_output=True)
        said = subprocess.run(["openssl", "rsa", "-in", self._key, "-noout", "-modulus"], check=True, capture_output=True)
        self._modulus = bytes.fromhex(said.stdout.decode().strip().split("=")[1])

    def jwks(self):
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._id, "n": _base64url(self._modulus),
                          "e": "AQAB"}]}

    def token(self, claims):
        parts = [{"alg": "RS256", "typ": "JWT", "kid": self._id}, claims]
        text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self._key], input=text.encode(), check=True,
                                capture_output=True)
        return f"{text}.{_base64url(signed.stdout)}"


class TokenServer:
    """Lives in threads of this process; stop() and start() on the same port are an outage. What it answers can be changed
    at any time: clients, lifetime_s, audience, signer, or `answer`: (status, body) for every request at /token."""

    def __init__(self, folder, port, certificates=None):
        self.clients = {"edge-7": "open sesame"}
        self.lifetime_s, self.audience, self.issuer = 3600, "kafka", "https://issuer.test"
        self.signer = Signer(folder)
        self.published = self.signer  # whose key /jwks.json has
        self.answer = None
        self.asked = []  # (path, headers, form) of each request at /token
        self.given = []  # the claims of each token
        self._port = port
        self._certificates = certificates
        scheme = "https" if certificates else "http"
        self.url, self.jwks_url = f"{scheme}://127.0.0.1:{port}/token", f"{scheme}://127.0.0.1:{port}/jwks.json"
        self._server = None
        self.start()

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def do_GET(self):  # pylint: disable=invalid-name
                self._send(200, json.dumps(owner.published.jwks()))

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                form = dict(urllib.parse.parse_qsl(body))
                owner.asked.append((self.path, dict(self.headers), form))
                self._send(*owner.respond(self.headers, form))

            def _send(self, status, text):
                data = text if isinstance(text, bytes) else text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_):  # a client that does not like our certificate
                pass

        self._server = Server(("127.0.0.1", self._port), Handler)
        if self._certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificates.server_cert, self._certificates.server_key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _client(self, headers, form):
        """The name of who asks, by client_secret_basic or client_secret_post (RFC 6749 §2.3.1), or None."""
        basic = headers.get("Authorization", "")
        if basic.startswith("Basic "):
            name, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
            name, secret = urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)
        else:
            name, secret = form.get("client_id"), form.get("client_secret")
        return name if name is not None and self.clients.get(name) == secret else None

    def respond(self, headers, form):
        if self.answer:
            return self.answer
        if form.get("grant_type") != "client_credentials":
            return 400, json.dumps({"error": "unsupported_grant_type"})
        name = self._client(headers, form)
        if name is None:
            return 401, json.dumps({"error": "invalid_client", "error_description": "no such client, or a wrong secret"})
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": name, "aud": self.audience, "iat": now, "exp": now + self.lifetime_s,
                  "scope": form.get("scope", "")}
        self.given.append(claims)
        return 200, json.dumps({"access_token": self.signer.token(claims), "token_type": "Bearer",
                                "expires_in": self.lifetime_s, "scope": form.get("scope", "")})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
