# SPDX-License-Identifier: Apache-2.0
"""yaml-language-server and ajv, as tests/lib/install.sh editor fetched them: what an editor sees of a schema, and what an
independent validator says of files."""
import hashlib
import json
import os
import shutil
import subprocess

from .tap import Skip

_LIB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "yaml-language-server")


def _installed():
    with open(os.path.join(_LIB, "package-lock.json"), "rb") as wanted:
        name = "yaml-language-server-" + hashlib.sha256(wanted.read()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(cache, "linkspan", name)
    return path if os.path.exists(os.path.join(path, "complete")) and shutil.which("node") else None


def _need():
    path = _installed()
    if not path:
        raise Skip("no yaml-language-server here (tests/lib/install.sh editor)", missing=True)
    return path


def validate(schema, files, part=""):
    """{file: list of what is wrong by the schema, [] for good ones}, with ajv and YAML 1.2. part: "#/definitions/…"."""
    said = subprocess.run(["node", os.path.join(_LIB, "validate.js"), _need(), schema + part, *files], capture_output=True,
                          check=False, timeout=600, text=True)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


class LanguageServer:
    """Speaks the Language Server Protocol with yaml-language-server over its standard input and output."""

    def __init__(self, folder):
        """folder: where the documents are thought to lie, beside the schema that they name."""
        self._folder = os.path.abspath(folder)
        main = os.path.join(_need(), "node_modules", "yaml-language-server", "bin", "yaml-language-server")
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", "node", main, "--stdio"],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._number = 0
        self._diagnostics = {}
        self._request("initialize", processId=os.getpid(), rootUri="file://" + self._folder, capabilities={"textDocument": {
            "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
            "hover": {"contentFormat": ["markdown"]}, "publishDiagnostics": {}}})
        self._notify("initialized")
        self._notify("workspace/didChangeConfiguration", settings={"yaml": {
            "schemaStore": {"enable": False}, "validate": True, "completion": True, "hover": True}})

    def close(self):
        self._request("shutdown")
        self._notify("exit")
        self._process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self):
        length = 0
        while True:
            line = self._process.stdout.readline()
            assert line, "yaml-language-server has ended"
            if not line.strip():
                break
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(self._process.stdout.read(length))

    def _next(self):
        """One message of the server, what it asks answered."""
        message = self._read()
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            items = message.get("params", {}).get("items", []) if message["method"] == "workspace/configuration" else None
            self._send(id=message["id"], result=None if items is None else [{} for _ in items])
        return message

    def _notify(self, method, **params):
        self._send(method=method, params=params)

    def _request(self, method, **params):
        self._number += 1
        number = self._number
        self._send(id=number, method=method, params=params)
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _open(self, text):
        """Each time another document: what is published about one is then about this text. Its URI."""
        self._number += 1
        uri = "file://" + os.path.join(self._folder, f"{self._number}.yaml")
        self._notify("textDocument/didOpen", textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text})
        return uri

    def diagnostics(self, text):
        uri = self._open(text)
        while uri not in self._diagnostics:
            self._next()
        return self._diagnostics[uri]

    def _at_cursor(self, method, text):
        """`text` has one ‸ where the cursor is."""
        before, after = text.split("‸")
        return self._request(method, textDocument={"uri": self._open(before + after)}, position={
            "line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1})

    def completions(self, text):
        """{label: item} of what is offered at ‸."""
        result = self._at_cursor("textDocument/completion", text)
        return {item["label"]: item for item in result["items"]}

    def hover(self, text):
        """The text that is shown for what stands at ‸."""
        result = self._at_cursor("textDocument/hover", text)
        return result["contents"]["value"] if result else ""
