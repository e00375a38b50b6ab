# SPDX-License-Identifier: Apache-2.0
"""What the devices of a home say, as they say it: (topic, payload), and the event that it is, or None."""
import json


def zigbee2mqtt(name, event=None, **state):
    return f"zigbee2mqtt/{name}", json.dumps({"linkquality": 112, "voltage": 2985, **state}), event


def tasmota(name, action, event=None):
    return f"stat/{name}/RESULT", json.dumps({"Switch1": {"Action": action}}), event


def shelly_1(device, event=None, **status):
    """A whole /status, of which the unimportant is left out here."""
    return f"shellies/{device}/info", json.dumps({
        "wifi_sta": {"connected": True, "ssid": "home", "ip": "192.168.33.7", "rssi": -61}, "is_valid": True,
        "act_reasons": ["sensor"], **status}), event


def shelly(device, event=None, method="NotifyStatus", **params):
    params = {name.replace("_0", ":0"): value for name, value in params.items()}
    return f"{device}/events/rpc", json.dumps({"src": device, "dst": f"{device}/events", "method": method,
                                               "params": {"ts": 1764115200.42, **params}}), event


DAY = [
    ("zigbee2mqtt/bridge/state", "online", None),  # older ones say it without JSON
    ("zigbee2mqtt/bridge/devices", json.dumps([{"friendly_name": "hall/door", "supported": True}]), None),
    ("zigbee2mqtt/hall/door/get", json.dumps({"contact": ""}), None),
    ("zigbee2mqtt/hall/door/availability", json.dumps({"state": "online"}), None),
    zigbee2mqtt("hall/door", "door.opened hall/door", contact=False, battery=87, battery_low=False, tamper=False),
    zigbee2mqtt("hall/door", "door.closed hall/door", contact=True, battery=87, battery_low=False, tamper=False),
    zigbee2mqtt("kitchen sink", None, water_leak=False, battery=100, battery_low=False),
    zigbee2mqtt("kitchen sink", "leak.detected kitchen sink", water_leak=True, battery=100, battery_low=False),
    zigbee2mqtt("garden door", "battery.low garden door", battery=9, battery_low=True, voltage=2500),
    ("tele/door_garage/STATE", json.dumps({"Time": "2026-01-05T07:30:00", "Uptime": "3T04:05:06"}), None),
    tasmota("door_garage", "ON", "door.opened door_garage"),
    tasmota("door_garage", "OFF", "door.closed door_garage"),
    tasmota("leak_cellar", "OFF"),
    tasmota("leak_cellar", "ON", "leak.detected leak_cellar"),
    ("stat/lamp_porch/RESULT", json.dumps({"POWER": "ON"}), None),
    shelly_1("shellydw2-73BF3C", "door.opened shellydw2-73BF3C", sensor={"state": "open", "is_valid": True},
             bat={"value": 92, "voltage": 5.93}),
    shelly_1("shellyflood-A6B2C1", None, flood=False, bat={"value": 64, "voltage": 2.9}),
    shelly_1("shellyflood-A6B2C1", "leak.detected shellyflood-A6B2C1", flood=True, bat={"value": 64, "voltage": 2.9}),
    shelly_1("shellydw2-0011AA", "battery.low shellydw2-0011AA", sensor={"state": "unknown", "is_valid": False},
             bat={"value": 6, "voltage": 4.4}),
    shelly("shellyfloodg4-e4b063d50a88", "leak.detected shellyfloodg4-e4b063d50a88",
           flood_0={"id": 0, "alarm": True, "mute": False}),
    shelly("shellyplusht-b8d61a8b17cc", "battery.low shellyplusht-b8d61a8b17cc", "NotifyFullStatus",
           devicepower_0={"id": 0, "battery": {"V": 4.31, "percent": 8}, "external": {"present": False}}),
    shelly("shellyplus1pm-441793a3b0c4", None, switch_0={"id": 0, "output": True, "source": "MQTT"}),
]
EVENTS = sorted(event for _, _, event in DAY if event)
