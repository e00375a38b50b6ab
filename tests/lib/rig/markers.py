# SPDX-License-Identifier: Apache-2.0
"""Gap and delay markers of what arrived, judged by the example that users are given (examples/gaps) and more strictly:
a number that comes again must bring the same message, and a stream is one key's."""
import os
import sys
from collections import defaultdict

from . import check

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "examples", "gaps")
sys.path.insert(0, EXAMPLE)
from check_markers import Checker, kafka_headers, mqtt_headers  # noqa: E402  pylint: disable=wrong-import-position


def of_kafka(records):
    """[(markers and other headers, payload)]"""
    return [(kafka_headers(r.headers), r.value) for r in records]


def of_mqtt(messages):
    return [(mqtt_headers(m), m.payload) for m in messages]


def faults(arrivals):
    """What is wrong with the markers of numbered messages (rig.check), as sentences; and the example's report."""
    checker, streams, found = Checker(), defaultdict(dict), []
    for headers, payload in arrivals:
        checker.take(headers)
        if not headers.get("linkspan-waited-ms", "").isdigit() or len(headers.get("linkspan-origin-time", "")) != 24:
            found.append(f"no time of origin, or no time of waiting: {headers}")
        if "linkspan-sequence" in headers:
            stream, number = headers["linkspan-stream"], int(headers["linkspan-sequence"])
            before = streams[stream].setdefault(number, payload)
            if before != payload:
                found.append(f"number {number} of {stream} was given twice: {before[:20]} and {payload[:20]}")
    for stream, numbers in streams.items():
        missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
        if missing or checker.missing[stream]:
            found.append(f"{stream} lacks {len(missing)} numbers: {missing[:10]}")
        keys = {check.parse(payload)[0] for payload in numbers.values()}
        if len(keys) != 1:
            found.append(f"{stream} numbers the messages of {keys}")
    if checker.counts["unnumbered"]:
        found.append(f"{checker.counts['unnumbered']} messages have no number")
    return found, checker.report()
