#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ready mappings, as a user includes them: what check, explain and test say of each, and the whole way between real
brokers."""
import glob
import json
import os
import subprocess
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder

MAPPINGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "mappings")
NAMES = sorted(os.path.basename(path)[:-len(".yaml")] for path in glob.glob(os.path.join(MAPPINGS, "*.yaml")))
HOME = 'home: {type: mqtt, url: "mqtt://127.0.0.1", client_id: linkspan-home}'
THINGSBOARD = 'thingsboard: {type: mqtt, version: 3.1.1, url: "mqtt://127.0.0.2", client_id: linkspan, username: token}'


def _file(names, *connections):
    path = os.path.join(temp_folder("ready"), "linkspan.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"data_dir: data\ninclude: [{', '.join(names)}]\nconnections: {{{', '.join(connections)}}}\n")
    return path


def _say(*arguments, status=0):
    said = subprocess.run([program(), *arguments], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "LINKSPAN_MAPPINGS": MAPPINGS, "COLUMNS": "100"})
    assert said.returncode == status, said
    return said


def _connections(name):
    return [HOME, THINGSBOARD] if name.startswith("thingsboard") else [HOME]


@tap.case("each alone, from three lines: check finds nothing to say, and its own tests pass")
def alone():
    assert len(NAMES) >= 8, NAMES
    for name in NAMES:
        path = _file([name], *_connections(name))
        said = _say("check", "--strict", path)
        assert not said.stderr and "is good" in said.stdout, said
        said = _say("test", path).stdout
        assert said.endswith(" 0 failed\n") and not said.startswith("0 tests"), said


@tap.case("all of them together know nothing of each other")
def together():
    path = _file([name for name in NAMES if name != "thingsboard-device"], HOME, THINGSBOARD)
    said = _say("check", "--strict", path)
    assert not said.stderr, said.stderr
    said = _say("explain", path).stdout
    assert all(f"\n{name}-" in said for name in ("zigbee2mqtt", "shelly-gen2", "homeassistant", "thingsboard")), said
    assert " 0 failed\n" in _say("test", path).stdout


@tap.case("a connection that is missing, or is of another type, is said once, in the user's own file")
def missing():
    path = _file(["thingsboard"], HOME)
    said = _say("check", path, status=1).stderr
    assert f"{path}:2:11: include: 'thingsboard' needs a connection of type mqtt that is called 'thingsboard'" in said, said
    assert said.count("mistake") == 1 and ": 1 mistake\n" in said, said
    path = _file(["zigbee2mqtt"], "home: {type: kafka, brokers: [k]}")
    said = _say("check", path, status=1).stderr
    assert "needs the connection 'home' to be of type mqtt" in said and ": 1 mistake\n" in said, said


def _publish(port, *messages):
    with Publisher(port) as publisher:
        for topic, payload, *retain in messages:
            publisher.publish(topic, payload if isinstance(payload, str) else json.dumps(payload), retain=bool(retain))
        publisher.wait()


def _values(messages, root="home/"):
    """What stands at each topic below home/, the newest."""
    return {m.topic[len(root):]: json.loads(m.payload)["value"] for m in messages if m.topic.startswith(root)
            and not m.topic.endswith("/set")}


def _connected(messages):
    """Devices; mosquitto repeats at its restart what it has no PUBACK of yet."""
    return {json.loads(m.payload)["device"] for m in messages if m.topic == "v1/gateway/connect"}


def _bridge(names, *connections):
    bridge = Linkspan("", start=False, env={"LINKSPAN_MAPPINGS": os.path.abspath(MAPPINGS)})
    lines = [f"include: [{', '.join(names)}]", "connections:", *(line for one in connections for line in one)]
    bridge.configure("\n".join(lines) + "\n")
    bridge.start()
    bridge.wait_event("mqtt_subscribed", connection="home")
    return bridge


@tap.case("zigbee2mqtt to Home Assistant and back: states, discovery, availability, a command, over a kill")
def zigbee2mqtt():
    port = own_mosquitto().port
    with Subscriber(port, ["home/#", "homeassistant/#", "zigbee2mqtt/+/set"]) as heard:
        with _bridge(["zigbee2mqtt", "homeassistant"], yaml.mqtt("home", port)) as bridge:
            _publish(port, ("zigbee2mqtt/bridge/state", {"state": "online"}, True),
                     ("zigbee2mqtt/bridge/logging", {"level": "info", "message": "z2m:mqtt: MQTT publish", "namespace": "z2m"}),
                     ("zigbee2mqtt/hall/door", {"battery": 12, "contact": False, "linkquality": 94, "voltage": 2875}),
                     ("zigbee2mqtt/lamp", {"brightness": 127, "color_mode": "color_temp", "color_temp": 325,
                                           "linkquality": 120, "state": "ON", "update": {"state": "idle"}}),
                     ("zigbee2mqtt/button", {"action": "double", "battery": 90, "linkquality": 40}),
                     ("zigbee2mqtt/lamp/availability", {"state": "offline"}, True))
            wanted = {"zigbee2mqtt/bridge/available": True, "zigbee2mqtt/hall:door/open": True,
                      "zigbee2mqtt/hall:door/battery": 12, "zigbee2mqtt/hall:door/battery_low": True,
                      "zigbee2mqtt/hall:door/battery_voltage": 2.875, "zigbee2mqtt/lamp/switch": True,
                      "zigbee2mqtt/lamp/brightness": 50, "zigbee2mqtt/lamp/available": False,
                      "zigbee2mqtt/button/action": "double"}
            heard.wait_for(lambda all_: wanted.items() <= _values(all_).items(), "every property")
            retained = {m.topic: m.retain for m in heard.messages}
            assert not retained["home/zigbee2mqtt/button/action"], retained
            lamp = "homeassistant/light/linkspan_zigbee2mqtt_lamp_brightness/config"
            door = "homeassistant/binary_sensor/linkspan_zigbee2mqtt_hall_door_open/config"
            heard.wait_for(lambda all_: {lamp, door} <= {m.topic for m in all_}, "the announcements")
            config = {m.topic: json.loads(m.payload) for m in heard.messages if m.topic.endswith("/config")}
            assert config[door]["device_class"] == "opening", config[door]
            assert config[door]["state_topic"] == "home/zigbee2mqtt/hall:door/open", config[door]
            assert not any("action" in topic for topic in config), config
            bridge.kill()
            _publish(port, (config[lamp]["command_topic"], config[lamp]["payload_off"]),
                     (config[lamp]["brightness_command_topic"], "20"))
            bridge.start()
            heard.wait_for(lambda all_: {b'{"state":"OFF"}', b'{"brightness":51}'} <= {
                m.payload for m in all_ if m.topic == "zigbee2mqtt/lamp/set"}, "the commands")
            announced = sum(m.topic == lamp for m in heard.messages)
            _publish(port, ("zigbee2mqtt/lamp", {"brightness": 51, "state": "OFF"}))
            heard.wait_for(lambda all_: _values(all_)["zigbee2mqtt/lamp/brightness"] == 20, "the new state")
            assert sum(m.topic == lamp for m in heard.messages) == announced, "announced again, though nothing has changed"


@tap.case("Tasmota and both Shellies to ThingsBoard, which is away for a while: readings keep their time; a call comes back")
def thingsboard():
    port, cloud = shared_mosquitto().port, own_mosquitto()
    with Subscriber(port, ["home/#", "cmnd/#", "shellies/+/relay/+/command", "+/rpc"]) as heard, \
            Subscriber(cloud.port, "v1/gateway/#") as board, \
            _bridge(["tasmota", "shelly-gen1", "shelly-gen2", "thingsboard"], yaml.mqtt("home", port),
                    yaml.mqtt("thingsboard", cloud.port, version=3)) as bridge:
        _publish(port, ("tele/plug/LWT", "Online", True),
                 ("tele/plug/SENSOR", {"Time": "2026-11-26T16:00:00", "ENERGY": {
                     "TotalStartTime": "2026-01-01T00:00:00", "Total": 12.345, "Power": 23, "Voltage": 231, "Current": 0.1}}))
        board.wait_for(lambda all_: any(b"12.345" in m.payload for m in all_), "the first reading")
        cloud.stop()
        bridge.wait_event("link_down", connection="thingsboard")
        _publish(port, ("shellies/shellydw2-1A2B3C/sensor/state", "open"),
                 ("shellyplus1pm-a8032a/events/rpc", {
                     "src": "shellyplus1pm-a8032a", "dst": "shellyplus1pm-a8032a/events", "method": "NotifyStatus",
                     "params": {"ts": 1790000000.5, "switch:0": {"id": 0, "output": True, "apower": 41.5}}}))
        heard.wait_for(lambda all_: {"shelly-gen1/shellydw2-1A2B3C/open": True,
                                     "shelly-gen2/shellyplus1pm-a8032a/power": 41.5}.items() <= _values(all_).items(),
                       "what the Shellies say")
        bridge.wait_waiting("thingsboard", 6)
        back_ms = time.time() * 1000
        cloud.start()
        board.wait_for(lambda all_: any(b"shellydw2-1A2B3C" in m.payload and m.topic.endswith("telemetry") for m in all_) and
                       any(b"41.5" in m.payload for m in all_) and len(_connected(all_)) >= 3, "what has waited")
        telemetry = {}
        for message in board.messages:
            if message.topic == "v1/gateway/telemetry":
                for device, readings in json.loads(message.payload).items():
                    telemetry.setdefault(device, {}).update({key: (reading["ts"], value) for reading in readings
                                                             for key, value in reading["values"].items()})
        assert telemetry["tasmota/plug"]["power"][1] == 23, telemetry
        assert telemetry["shelly-gen1/shellydw2-1A2B3C"]["open"][1] is True, telemetry
        assert telemetry["shelly-gen2/shellyplus1pm-a8032a"]["power"][1] == 41.5, telemetry
        assert sorted(_connected(board.messages)) == ["shelly-gen1/shellydw2-1A2B3C", "shelly-gen2/shellyplus1pm-a8032a", "tasmota/plug"]
        assert all(ts <= back_ms for device in telemetry for ts, _ in telemetry[device].values()), (back_ms, telemetry)
        _publish(cloud.port, *(
            ("v1/gateway/rpc", {"device": device, "data": {"id": n, "method": "set_switch", "params": True}})
            for n, device in enumerate(["tasmota/plug", "shelly-gen1/shelly1-1A2B", "shelly-gen2/shellyplus1pm-a8032a"])))
        heard.wait_for(lambda all_: {("cmnd/plug/Backlog", b"POWER1 ON"), ("shellies/shelly1-1A2B/relay/0/command", b"on")} <= {
            (m.topic, m.payload) for m in all_} and any(b"Switch.Set" in m.payload for m in all_), "the commands")


if __name__ == "__main__":
    tap.main()
