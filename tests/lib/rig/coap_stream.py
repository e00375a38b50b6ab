# SPDX-License-Identifier: Apache-2.0
"""Messages of CoAP over TCP and TLS (RFC 8323 §3.2), as far as they are shorter than 269 bytes behind their token."""
from . import coap

CSM = b"\x00\xe1"


def encode(message):
    """Type and id do not matter."""
    rest = message.encode()[4 + len(message.token):]
    length = bytes([len(rest) << 4 | len(message.token)]) if len(rest) < 13 else bytes([13 << 4 | len(message.token), len(rest) - 13])
    return length + bytes([message.code]) + message.token + rest


def receive(read):
    """Code and token of the next one. read(n): at most n bytes, none at the end."""
    def exactly(n):
        data = b""
        while len(data) < n:
            more = read(n - len(data))
            if not more:
                raise AssertionError("the stream ended")
            data += more
        return data
    head = exactly(1)[0]
    length = head >> 4
    if length == 13:
        length += exactly(1)[0]
    message_code, token = exactly(1)[0], exactly(head & 15)
    exactly(length)
    return message_code, token


def receive_answer(read):
    """The next one that is no signal, as text."""
    message_code = 0
    while not 2 <= message_code >> 5 <= 5:
        message_code, _ = receive(read)
    return coap.Message(coap.NON, message_code, 0).text
