# SPDX-License-Identifier: Apache-2.0
"""MQTT clients of the tests' own (Paho for Python): one that publishes and knows what was acknowledged, one that
listens with a persistent session and keeps everything it got."""
import threading
import uuid
from collections import namedtuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .wait import until

Message = namedtuple("Message", "topic payload qos retain properties")


def _client(version, client_id, clean):
    if version == 5:
        return paho.Client(client_id, protocol=paho.MQTTv5)
    return paho.Client(client_id, protocol=paho.MQTTv311, clean_session=clean)


def _connect(client, version, port, clean, tls, login):
    if tls:
        client.tls_set(tls.ca, tls.client_cert, tls.client_key)
    if login:
        client.username_pw_set(*login)
    client.reconnect_delay_set(1, 1)
    if version == 5:
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 0 if clean else 86400
        client.connect("127.0.0.1", port, 30, clean_start=clean, properties=session)
    else:
        client.connect("127.0.0.1", port, 30)
    client.loop_start()


def publish_properties(user=(), content_type=None, expiry_s=None, response_topic=None, correlation=None):
    """Properties of a version 5 PUBLISH."""
    properties = Properties(PacketTypes.PUBLISH)
    if user:
        properties.UserProperty = list(user)
    if content_type:
        properties.ContentType = content_type
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    if response_topic:
        properties.ResponseTopic = response_topic
    if correlation is not None:
        properties.CorrelationData = correlation
    return properties


class Publisher:
    """Publishes; goes on by itself after a broker's restart. acknowledged counts PUBACKs. window: most unacknowledged
    ones; Paho for Python does not look at the broker's Receive Maximum."""

    def __init__(self, port, version=5, tls=None, login=None, window=100):
        self.acknowledged = 0
        self.published = 0
        self._lock = threading.Lock()
        self._client = _client(version, f"publisher-{uuid.uuid4().hex[:8]}", False)
        self._client.max_inflight_messages_set(window)
        self._client.max_queued_messages_set(0)
        self._client.on_publish = self._on_publish
        _connect(self._client, version, port, False, tls, login)
        # What Paho is given before the CONNACK may be overtaken by what it is given just after.
        until(self._client.is_connected, "CONNACK")

    def _on_publish(self, *_):
        with self._lock:
            self.acknowledged += 1

    def publish(self, topic, payload, qos=1, retain=False, properties=None):
        self._client.publish(topic, payload, qos, retain, properties)
        self.published += 1

    def wait(self, timeout=None):
        """Until the broker has acknowledged everything."""
        until(lambda: self.acknowledged >= self.published,
              lambda: f"PUBACKs: {self.acknowledged} of {self.published}", timeout)

    def wait_backlog(self, most):
        """Until no more than that many wait for their PUBACK, so that a test's own queue stays small."""
        until(lambda: self.published - self.acknowledged <= most, lambda: f"PUBACKs: {self.acknowledged}")

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Subscriber:
    """Keeps what comes in `messages`; its session outlives a broker's restart."""

    def __init__(self, port, filters, qos=1, version=5, tls=None, login=None):
        self.messages = []
        self._ready = threading.Event()
        self._filters = [(f, qos) for f in ([filters] if isinstance(filters, str) else filters)]
        self._client = _client(version, f"subscriber-{uuid.uuid4().hex[:8]}", False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        _connect(self._client, version, port, False, tls, login)
        until(self._ready.is_set, "SUBACK")

    def _on_connect(self, client, *_):
        client.subscribe([(f, paho.SubscribeOptions(qos=q)) for f, q in self._filters]
                         if client._protocol == paho.MQTTv5 else self._filters)

    def _on_message(self, _client, _data, got):
        self.messages.append(Message(got.topic, got.payload, got.qos, got.retain, getattr(got, "properties", None)))

    def wait_for(self, condition, what, timeout=None):
        until(lambda: condition(self.messages), lambda: f"{what}: {len(self.messages)} came; {condition}", timeout,
              progress=lambda: len(self.messages))
        return self.messages

    def wait_count(self, n, timeout=None):
        return self.wait_for(lambda messages: len(messages) >= n, f"{n} messages", timeout)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
