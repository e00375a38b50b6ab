#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What linkspan must be allowed to do in a Kafka with ACLs: what doc/exactly-once.md lists is enough, and each line of it
is needed. One user for each try, since brokers remember what they have allowed."""
import itertools
import os
import re
import socket
import struct

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import need_kafka, shared_mosquitto
from rig.kafka import Kafka
from rig.mqtt import Publisher, Subscriber
from rig.wait import free_port, until

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "exactly-once.md")
USERS = 24
# The numbers of Kafka's protocol: AclOperation, ResourceType, PatternType, AclPermissionType.
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}
RESOURCES = {"Topic": 2, "Group": 3, "TransactionalId": 5}
LITERAL, PREFIXED, ALLOW, CREATE_ACLS = 3, 4, 3, 30


def _text(value):
    return struct.pack(">h", len(value)) + value.encode()


class GuardedKafka(Kafka):
    """Whoever logs in may do what `allow` was told, and who does not log in may do everything."""

    def __init__(self):
        login = free_port()
        self.login_brokers = f"127.0.0.1:{login}"
        self._users = (f"user{n}" for n in range(USERS))
        users = " ".join(f'user_user{n}="secret"' for n in range(USERS))
        super().__init__(listeners=[("LOGIN", "SASL_PLAINTEXT", login)], properties=[
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS", "sasl.enabled.mechanisms=PLAIN",
            "listener.name.login.plain.sasl.jaas.config="
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"])

    def user(self, grants):
        """A new user with those grants: (resource, name, operation), a name that ends with * being a prefix."""
        user = next(self._users)
        acls = [struct.pack(">b", RESOURCES[resource]) + _text(name.rstrip("*")) +
                struct.pack(">b", PREFIXED if name.endswith("*") else LITERAL) + _text(f"User:{user}") + _text("*") +
                struct.pack(">bb", OPERATIONS[operation], ALLOW) for resource, name, operation in grants]
        body = struct.pack(">hhi", CREATE_ACLS, 1, 1) + _text("rig") + struct.pack(">i", len(acls)) + b"".join(acls)
        host, port = self.brokers.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.makefile("rb")
            answer = answer.read(struct.unpack(">i", answer.read(4))[0])
        # Correlation, throttling, how many; of each, no error and no reason.
        assert answer == struct.pack(">iii", 1, 0, len(acls)) + bytes(4 * len(acls)), answer
        return user


def _listed():
    """{who: its grants}, from the table in the page: `| who | Resource `name` | Operation, … |`; `+` means with those above."""
    with open(PAGE, encoding="utf-8") as page:
        rows = re.findall(r"^\| ([^|]+?) \| (\w+) `([^`]+)` \| ([\w, ]+?) \|", page.read(), re.M)
    listed = {}
    for who, resource, name, operations in rows:
        listed.setdefault(who, []).extend((resource, name, operation) for operation in operations.split(", "))
    return listed


def _grants(*who):
    listed = _listed()
    return list(itertools.chain.from_iterable(listed[one] for one in who))


def _login(user):
    return {"sasl": {"mechanism": "PLAIN", "username": user, "password": "secret"}}


class Try:
    """A linkspan that logs in as a user with those grants; topics and names of its own in `number`."""

    numbers = itertools.count()

    def __init__(self, kafka, grants):
        self.kafka, self.name = kafka, f"access{next(self.numbers)}"
        self.login = _login(kafka.user(grants))

    def bridge(self, mapping, **keys):
        return Linkspan(yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id=self.name),
             yaml.kafka("lake", self.kafka.login_brokers, **self.login, **keys)], [mapping]), wait_up=False)


def _outwards(kafka, grants, exactly_once=False):
    """True: a message gets into scada.telemetry. False: an alarm, and it waits."""
    attempt = Try(kafka, grants)
    with attempt.bridge(yaml.mapping(
            "out", {"connection": "plant", "topic": attempt.name + "/#", "qos": 2 if exactly_once else 1},
            {"connection": "lake", "topic": "scada.telemetry"}, **({"delivery": "exactly-once"} if exactly_once else {}))) as bridge, Publisher(shared_mosquitto().port) as out:
        bridge.wait_ready("plant")
        out.publish(attempt.name + "/1", attempt.name.encode(), qos=2)
        done = until(lambda: (bridge.events("alarm", connection="lake") and "alarm") or
                     (bridge.status(destination="lake").get("delivered") == "1" and "delivered"), "delivery, or an alarm",
                     poll_s=0.1)
        if done == "alarm":
            assert bridge.status(destination="lake").get("delivered") != "1"
            tap.note(str(bridge.events("alarm", connection="lake")[-1]))
            bridge.kill()
            return False
        with kafka.reader("scada.telemetry") as reader:
            reader.wait_for(lambda records: any(r.value == attempt.name.encode() for r in records), "the message")
        assert bridge.stop() == 0
    return True


def _inwards(kafka, grants, group=None):
    """True: a record of plant.commands gets through. False: an alarm."""
    from confluent_kafka import Producer
    attempt = Try(kafka, grants)
    producer = Producer({"bootstrap.servers": kafka.brokers, "log_level": 0})
    producer.produce("plant.commands", attempt.name)
    producer.flush()
    with Subscriber(shared_mosquitto().port, attempt.name) as heard, attempt.bridge(yaml.mapping(
            "in", {"connection": "lake", "topic": "plant.commands"},
            {"connection": "plant", "topic": attempt.name, "qos": 1}), **({"group": group} if group else {})) as bridge:
        done = until(lambda: (any(m.payload == attempt.name.encode() for m in heard.messages) and "heard") or
                     (bridge.events("alarm", connection="lake") and "alarm"), "the record, or an alarm")
        if done == "alarm":
            tap.note(str(bridge.events("alarm", connection="lake")[-1]))
            bridge.kill()
            return False
        assert bridge.stop() == 0
    return True


def _enough_and_needed(go, grants):
    assert go(grants), "what is listed is not enough"
    for left_out in grants:
        assert not go([grant for grant in grants if grant != left_out]), f"{left_out} is not needed"


_shared = []


def _kafka():
    need_kafka()
    if not _shared:
        _shared.append(GuardedKafka())
        for topic in ("scada.telemetry", "plant.commands"):
            _shared[0].create_topic(topic)
    return _shared[0]


@tap.case("to write at least once")
def writes():
    _enough_and_needed(lambda grants: _outwards(_kafka(), grants), _grants("sink"))


@tap.case("to write exactly once, and to make the cursor topic")
def writes_exactly_once():
    def goes(grants):
        return _outwards(_kafka(), grants, exactly_once=True)
    exact, make = _grants("sink", "exactly-once sink"), _grants("to make the cursor topic")
    assert not goes(exact), "it makes the cursor topic without being allowed to"
    assert goes(exact + make), "what is listed is not enough to make the cursor topic"
    _enough_and_needed(goes, exact)


@tap.case("to read all partitions")
def reads():
    _enough_and_needed(lambda grants: _inwards(_kafka(), grants), _grants("source"))


@tap.case("to read in a group")
def reads_in_a_group():
    _enough_and_needed(lambda grants: _inwards(_kafka(), grants, "bridge"), _grants("source", "source with `group`"))


if __name__ == "__main__":
    tap.main()
