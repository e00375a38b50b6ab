# SPDX-License-Identifier: Apache-2.0
"""Requests of Kafka's protocol that our client library does not have, or not whole. To a broker that has and does all itself;
of topics with a name and partitions with a number."""
import socket
import struct

DELETE_RECORDS, OFFSET_COMMIT, OFFSET_FETCH = 21, 8, 9
WAIT_S = 60


def _text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def _about(topic, partition):
    """An array of one topic with an array of one partition."""
    return struct.pack(">i", 1) + _text(topic) + struct.pack(">ii", 1, partition)


def _ask(kafka, api, version, body):
    """The answer behind its header."""
    request = struct.pack(">hhi", api, version, 1) + _text("rig") + body
    host, port = kafka.brokers.split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as link:
        link.sendall(struct.pack(">i", len(request)) + request)
        answer = link.makefile("rb")
        size = struct.unpack(">i", answer.read(4))[0]
        return answer.read(size)[4:]


def delete_records(kafka, topic, before, partition=0):
    """What is below that offset is gone."""
    answer = _ask(kafka, DELETE_RECORDS, 1, _about(topic, partition) + struct.pack(">qi", before, WAIT_S * 1000))
    low, error = struct.unpack(">qh", answer[-10:])
    assert error == 0 and low == before, (error, low)


def committed(kafka, group, topic, partition=0):
    """What a group has committed: offset and metadata; -1: nothing."""
    answer = _ask(kafka, OFFSET_FETCH, 1, _text(group) + _about(topic, partition))
    at = 4 + len(_text(topic)) + 8
    offset, length = struct.unpack_from(">qh", answer, at)
    metadata = answer[at + 10:at + 10 + max(length, 0)]
    error, = struct.unpack(">h", answer[-2:])
    assert error == 0, error
    return offset, metadata.decode()


def commit(kafka, group, topic, offset, metadata=None, partition=0):
    """As somebody does who is no member: only while there is none."""
    body = _text(group) + struct.pack(">i", -1) + _text("") + struct.pack(">q", -1)
    answer = _ask(kafka, OFFSET_COMMIT, 2, body + _about(topic, partition) + struct.pack(">q", offset) + _text(metadata))
    error, = struct.unpack(">h", answer[-2:])
    assert error == 0, error
