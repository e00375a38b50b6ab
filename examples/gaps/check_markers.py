#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads what linkspan writes with `markers: true` and says which messages are missing, and how long they took.

    check_markers.py mqtt HOST[:PORT] FILTER          until Ctrl-C
    check_markers.py kafka BROKERS TOPIC [--follow]   all that is in the topic, or on and on

Exit status 1 when something is missing. Needs python3-paho-mqtt or python3-confluent-kafka."""
import argparse
import sys
from collections import Counter, defaultdict


class Checker:
    """Give it the headers of each message, as a dict of text. Numbers of a stream go up by one; a lower one is a
    repetition (it was delivered at least once), a higher one leaves a gap, which a late message may still fill."""

    def __init__(self, on_gap=lambda stream, first, last: None):
        self.next = defaultdict(lambda: 1)  # by stream
        self.missing = defaultdict(set)
        self.sources = {}
        self.counts = Counter()
        self.longest_ms = 0
        self._on_gap = on_gap

    def take(self, headers):
        waited = headers.get("linkspan-waited-ms")
        self.longest_ms = max(self.longest_ms, int(waited or 0))
        if "linkspan-sequence" not in headers:
            self.counts["unnumbered"] += 1
            return
        stream, number = headers["linkspan-stream"], int(headers["linkspan-sequence"])
        self.sources[stream] = headers.get("linkspan-source", "")
        expected = self.next[stream]
        if number >= expected:
            self.counts["arrived"] += 1
            self.next[stream] = number + 1
            if number > expected:
                self.missing[stream].update(range(expected, number))
                self._on_gap(stream, expected, number - 1)
        elif number in self.missing[stream]:
            self.counts["late"] += 1
            self.missing[stream].remove(number)
        else:
            self.counts["repeated"] += 1

    def start_at(self, stream, number):
        """For who has not read a stream from its beginning."""
        self.next[stream] = number

    def gaps(self):
        """How many are missing of each stream."""
        return {stream: len(numbers) for stream, numbers in self.missing.items() if numbers}

    def report(self):
        counts = " ".join(f"{name}={self.counts[name]}" for name in ("arrived", "late", "repeated", "unnumbered"))
        return f"streams={len(self.next)} {counts} missing={sum(self.gaps().values())} longest_ms={self.longest_ms}"


def mqtt_headers(message):
    """Of a message as Paho gives it."""
    return dict(getattr(message.properties, "UserProperty", None) or [])


def kafka_headers(pairs):
    """Of a record's headers as confluent-kafka gives them."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in pairs or []}


def read_mqtt(address, topic_filter, checker):
    import paho.mqtt.client as paho
    host, _, port = address.partition(":")
    client = paho.Client(protocol=paho.MQTTv5)
    client.on_connect = lambda *_: client.subscribe(topic_filter, 1)
    client.on_message = lambda _client, _data, message: checker.take(mqtt_headers(message))
    client.connect(host, int(port or 1883))
    client.loop_forever()


def read_kafka(brokers, topic, follow, checker):
    from confluent_kafka import Consumer, KafkaError, TopicPartition
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "check-markers", "enable.auto.commit": False,
                         "enable.partition.eof": True, "isolation.level": "read_committed"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    ended = set()
    while follow or len(ended) < len(partitions):
        message = consumer.poll(1)
        if message is None:
            continue
        if not message.error():
            checker.take(kafka_headers(message.headers()))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            raise SystemExit(f"check_markers: {message.error()}")
    consumer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    mqtt = kinds.add_parser("mqtt")
    mqtt.add_argument("address")
    mqtt.add_argument("filter")
    kafka = kinds.add_parser("kafka")
    kafka.add_argument("brokers")
    kafka.add_argument("topic")
    kafka.add_argument("--follow", action="store_true")
    arguments = parser.parse_args()
    checker = Checker(lambda stream, first, last: print(f"gap: stream={stream} source={checker.sources[stream]} "
                                                        f"first={first} last={last}", flush=True))
    try:
        if arguments.kind == "mqtt":
            read_mqtt(arguments.address, arguments.filter, checker)
        else:
            read_kafka(arguments.brokers, arguments.topic, arguments.follow, checker)
    except KeyboardInterrupt:
        pass
    print(checker.report())
    return 1 if checker.gaps() else 0


if __name__ == "__main__":
    sys.exit(main())
