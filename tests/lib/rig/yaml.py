# SPDX-License-Identifier: Apache-2.0
"""Pieces of linkspan.yaml, so that a test shows only what matters to it."""


def _inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inline(v)}" for key, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _connection(name, keys):
    return [f"  {name}:"] + [f"    {key}: {_inline(value)}" for key, value in keys.items() if value is not None]


def mqtt(name, port, version=5, secure=False, **keys):
    scheme = "mqtts" if secure else "mqtt"
    return _connection(name, {"type": "mqtt", "url": f"{scheme}://127.0.0.1:{port}", "version": "5" if version == 5
                              else "3.1.1", "client_id": f"linkspan-{name}", "reconnect_max": "500ms", **keys})


def websocket(name, port, secure=False, **keys):
    keys = {"url": f"{'wss' if secure else 'ws'}://127.0.0.1:{port}/mqtt", **keys}
    return mqtt(name, port, **keys)


def kafka(name, brokers, properties=None, **keys):
    """Gives up waiting for a silent broker sooner than a factory would."""
    quick = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "socket.timeout.ms": 3000,
             "socket.connection.setup.timeout.ms": 3000}
    properties = {key: str(value) for key, value in {**quick, **(properties or {})}.items()}
    return _connection(name, {"type": "kafka", "brokers": brokers.split(","), **keys, "properties": properties})


def http(name, port=None, secure=False, **keys):
    """With a port, one that sends there; else `listen` is among the keys."""
    url = {"url": f"{'https' if secure else 'http'}://127.0.0.1:{port}"} if port else {}
    return _connection(name, {"type": "http", **url, **keys})


def coap(name, **keys):
    """A client with `url`, or a listener with `listen`."""
    return _connection(name, {"type": "coap", **keys})


def mapping(name, source, *targets, **keys):
    """source and targets: dicts of `from` and `to`."""
    lines = [f"  - name: {name}", f"    from: {_inline(source)}", "    to:"]
    lines += [f"      - {_inline(target)}" for target in targets]
    return lines + [f"    {key}: {_inline(value)}" for key, value in keys.items()]


def configuration(connections, mappings, **settings):
    lines = [f"{key}: {_inline(value)}" for key, value in settings.items()]
    lines += ["connections:", *(line for one in connections for line in one)]
    lines += ["mappings:", *(line for one in mappings for line in one)]
    return "\n".join(lines) + "\n"
