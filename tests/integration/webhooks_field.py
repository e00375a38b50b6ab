#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Webhooks as they are in the field: what linkspan sends is read by the reference library of Standard Webhooks, by the
official SDK of CloudEvents and by the letter of what ntfy, Slack and Telegram document; what GitHub, Stripe and Grafana send,
written after their public documentation, is verified and routed. The mappings are those of examples/."""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import signal
import ssl
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, tap, webhook_libraries, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.receiver import Receiver
from rig.token_server import TokenServer
from rig.wait import free_port, until

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
OLD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WRONG_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


def _example(name, **env):
    with open(os.path.join(EXAMPLES, name, "linkspan.yaml"), encoding="utf-8") as text:
        return Linkspan.from_file(text.read(), env)


def _outward(name, receiver, to=None, **keys):
    """linkspan with one mapping from NAME/# of the shared mosquitto to the receiver."""
    return Linkspan(yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}"), yaml.http("hook", receiver.port, **keys)],
        [yaml.mapping("all", {"connection": "plant", "topic": name + "/#"}, {"connection": "hook", **(to or {})})]))


def _inward(name, **access):
    """(linkspan with one mapping from /# of a listener to NAME/PATH, the listener's port)."""
    port = free_port()
    bridge = Linkspan(yaml.configuration(
        [yaml.http("hooks", listen=f"127.0.0.1:{port}", access=access), yaml.mqtt("bus", shared_mosquitto().port)],
        [yaml.mapping("all", {"connection": "hooks", "topic": "/#"}, {"connection": "bus", "topic": name + "{topic}"})]))
    return bridge, port


def _post(port, path, body, headers, tls=None):
    """(status, headers, body)."""
    link = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=tls) if tls else \
        http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request("POST", path, body, headers)
        answer = link.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        link.close()


def _hmac_hex(secret, text):
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


# --- Standard Webhooks ------------------------------------------------------------------------------------------------


@tap.case("Standard Webhooks: the reference library verifies what is sent, by the old and by the new secret")
def reference_library_verifies():
    webhook_libraries.need()
    from standardwebhooks import Webhook, WebhookVerificationError
    payloads = [b"", b"text", '{"t": 21.5, "unit": "°C"}'.encode(), b"[1, 2,\n 3]", b"x" * 100000]
    with Receiver() as receiver, \
            _outward("signed", receiver, signing_secret=f"{OLD_SECRET} {NEW_SECRET}", order="key") as bridge, \
            Publisher(shared_mosquitto().port) as out:
        for payload in payloads:
            out.publish("signed/a", payload)
        requests = receiver.wait_count(len(payloads))
        assert [request.body for request in requests] == payloads
        for request in requests:
            headers = dict(request.headers)
            for secret in (OLD_SECRET, NEW_SECRET):
                Webhook(secret).verify(request.body, headers, json_parse=False)
            for secret, body in ((WRONG_SECRET, request.body), (NEW_SECRET, request.body + b" ")):
                try:
                    Webhook(secret).verify(body, headers, json_parse=False)
                    raise AssertionError("a wrong signature was accepted")
                except WebhookVerificationError:
                    pass
        assert len({request.header("webhook-id") for request in requests}) == len(payloads)
        assert bridge.stop() == 0


@tap.case("Standard Webhooks: what the reference library signs is taken, once per id, and what is wrong or old is not")
def reference_library_signs():
    webhook_libraries.need()
    from standardwebhooks import Webhook
    body = '{"test": 2432232314, "unit": "°C"}'

    def signed(secret, webhook_id, age_s=0, sent=None):
        when = datetime.datetime.now(tz=datetime.timezone.utc) - datetime.timedelta(seconds=age_s)
        return {"webhook-id": webhook_id, "webhook-timestamp": str(int(when.timestamp())), "Content-Type": "application/json",
                "webhook-signature": sent or Webhook(secret).sign(webhook_id, when, body)}

    with Subscriber(shared_mosquitto().port, "standard/#") as heard:
        bridge, port = _inward("standard", standard_secrets={"shop": f"{OLD_SECRET} {NEW_SECRET}"})
        with bridge:
            def post(*arguments, **keys):
                return _post(port, "/hooks/shop", body.encode(), signed(*arguments, **keys))
            status, _, first = post(OLD_SECRET, "msg_1")
            assert status == 202, (status, first)
            assert post(NEW_SECRET, "msg_2")[0] == 202
            assert post(NEW_SECRET, "msg_3", sent=f"v1,AAAA v1a,x {Webhook(NEW_SECRET).sign('msg_3', datetime.datetime.now(tz=datetime.timezone.utc), body)}")[0] == 202
            # The same again, by a later attempt: the same answer, and no second message.
            status, _, again = post(OLD_SECRET, "msg_1")
            assert (status, again) == (202, first), (status, again, first)
            for refused in (post(WRONG_SECRET, "msg_4"), post(NEW_SECRET, "msg_5", age_s=301), post(NEW_SECRET, "msg_6", age_s=-310),
                            post(NEW_SECRET, "msg_7", sent="v1,"), post(NEW_SECRET, "msg_8", sent="x"),
                            _post(port, "/hooks/shop", body.encode(), {}),
                            _post(port, "/hooks/shop", b"{}", signed(NEW_SECRET, "msg_9"))):
                assert refused[0] == 401 and refused[1]["WWW-Authenticate"], refused
            assert post(NEW_SECRET, "last")[0] == 202
            heard.wait_count(4)
            assert [(m.topic, m.payload) for m in heard.messages] == [("standard/hooks/shop", body.encode())] * 4
            assert bridge.stop() == 0


# --- CloudEvents ------------------------------------------------------------------------------------------------------

EVENTS = [(b'{"n": 12345678901234567890, "t": 21.50, "unit": "\xc2\xb0C"}', "application/json"),
          (b"[]", "application/vnd.x+json"), ("21,5 °C \"hot\"\n".encode(), "text/plain; charset=utf-8"),
          (bytes(range(256)), "application/octet-stream"), (b"{broken", "application/json"), (b"\x00\x01", None)]
SUBJECT = 'line 7/ä "hot" 100%'


def _cloud_events(mode, topic):
    """The requests that EVENTS become."""
    keys = {"cloudevents": {"mode": mode, "source": "/plants/north", "type": "com.example.reading"}}
    with Receiver() as receiver, \
            _outward(topic, receiver, {"event_subject": SUBJECT, "event_source": "/plants/{topic[1]}"}, **keys) as bridge, \
            Publisher(shared_mosquitto().port) as out:
        for payload, content_type in EVENTS:
            out.publish(f"{topic}/north", payload, properties=publish_properties(content_type=content_type))
        requests = receiver.wait_count(len(EVENTS))
        assert bridge.stop() == 0
        return requests


def _assert_attributes(event, request):
    assert event.get_specversion() == "1.0"
    assert event.get_id() == request.header("webhook-id"), (event.get_id(), request.headers)
    assert event.get_source() == "/plants/north" and event.get_type() == "com.example.reading"
    assert event.get_subject() == SUBJECT, event.get_subject()
    age = datetime.datetime.now(tz=datetime.timezone.utc) - event.get_time()
    assert abs(age) < datetime.timedelta(minutes=2), event.get_time()


def _sdk_event(request):
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
    return from_http_event(HTTPMessage(headers=dict(request.headers), body=request.body))


def _assert_sdk_reads(requests, ours_type):
    """As the SDK understands them: JSON as values, all else as it was."""
    for (payload, content_type), request in zip(EVENTS, requests):
        event = _sdk_event(request)
        _assert_attributes(event, request)
        assert event.get_datacontenttype() == (content_type or ours_type), (event.get_datacontenttype(), content_type)
        data = event.get_data()
        if payload == b"{broken":
            assert data in (payload, payload.decode()), data
        elif content_type and "json" in content_type:
            assert data == json.loads(payload), data
        else:
            assert (data.encode() if isinstance(data, str) else data) == payload, data


@tap.case("CloudEvents, binary: the official SDK reads attributes and data")
def cloud_events_binary():
    webhook_libraries.need()
    requests = _cloud_events("binary", "ce-binary")
    assert [request.body for request in requests] == [payload for payload, _ in EVENTS]
    readable = [n for n, (payload, _) in enumerate(EVENTS) if payload != b"{broken"]  # the SDK parses what says that it is JSON
    for n in readable:
        event = _sdk_event(requests[n])
        _assert_attributes(event, requests[n])
        if "+json" in (EVENTS[n][1] or "") or EVENTS[n][1] == "application/json":
            assert event.get_data() == json.loads(EVENTS[n][0]), event.get_data()
    assert requests[-1].header("content-type") == "application/octet-stream"


@tap.case("CloudEvents, structured: the official SDK reads attributes and data, and numbers keep their digits")
def cloud_events_structured():
    webhook_libraries.need()
    requests = _cloud_events("structured", "ce-structured")
    for request in requests:
        assert request.header("content-type").startswith("application/cloudevents+json"), request.headers
    assert b'"data":' + EVENTS[0][0] in requests[0].body, requests[0].body
    _assert_sdk_reads(requests, "application/octet-stream")


@tap.case("CloudEvents in a batch: the official SDK reads each")
def cloud_events_batch():
    webhook_libraries.need()
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
    with Receiver() as receiver, Publisher(shared_mosquitto().port) as out, \
            _outward("ce-batch", receiver, cloudevents={"mode": "structured", "type": "com.example.reading"},
                     batch={"max": 3, "wait": "60s"}) as bridge:
        for n in range(3):
            out.publish(f"ce-batch/{n}", json.dumps({"n": n}).encode(),
                        properties=publish_properties(content_type="application/json"))
        request = receiver.wait_count(1)[0]
        assert request.header("content-type").startswith("application/cloudevents-batch+json"), request.headers
        ids = set()
        for n, text in enumerate(json.loads(request.body)):
            event = from_http_event(HTTPMessage(headers={"content-type": "application/cloudevents+json"},
                                                body=json.dumps(text).encode()))
            assert event.get_data() == {"n": n} and event.get_type() == "com.example.reading"
            ids.add(event.get_id())
        assert len(ids) == 3, ids
        assert bridge.stop() == 0


# --- services that send to us -----------------------------------------------------------------------------------------

# https://docs.github.com/en/webhooks/webhook-events-and-payloads#push, shortened
GITHUB_BODY = json.dumps({
    "ref": "refs/heads/main", "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "after": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", "created": False, "deleted": False, "forced": False,
    "repository": {"id": 1296269, "full_name": "octocat/Hello-World", "private": False,
                   "owner": {"login": "octocat", "id": 1}, "html_url": "https://github.com/octocat/Hello-World"},
    "pusher": {"name": "octocat", "email": "octocat@github.com"}, "sender": {"login": "octocat", "id": 1, "type": "User"},
    "commits": [{"id": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", "message": "Größe geändert",
                 "timestamp": "2026-01-10T16:31:04+01:00", "added": [], "removed": [], "modified": ["README.md"]}]},
    ensure_ascii=False).encode()

# https://docs.stripe.com/api/events/object, shortened; Stripe sends it indented
STRIPE_BODY = json.dumps({
    "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "api_version": "2019-02-19", "created": 1686089970,
    "data": {"object": {"id": "pi_3MtwBwLkdIwHu7ix28a3tqPa", "object": "payment_intent", "amount": 2000, "currency": "usd",
                        "status": "succeeded", "livemode": False}},
    "livemode": False, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
    "type": "payment_intent.succeeded"}, indent=2).encode()

# https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
GRAFANA_BODY = json.dumps({
    "receiver": "My Super Webhook", "status": "firing", "orgId": 1,
    "alerts": [{"status": "firing", "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1"},
                "annotations": {"description": "The system has high memory usage"}, "startsAt": "2021-10-12T09:51:03.157076+02:00",
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit",
                "fingerprint": "c6eadffa33fcdf37", "values": {"B": 44.23943737541908, "C": 1}}],
    "groupLabels": {}, "commonLabels": {"team": "blue"}, "commonAnnotations": {}, "externalURL": "https://play.grafana.org/",
    "version": "1", "groupKey": "{}:{}", "truncatedAlerts": 0, "title": "[FIRING:1]  (blue)", "state": "alerting",
    "message": "**Firing**"}).encode()

GITHUB_SECRET, STRIPE_SECRET, GRAFANA_SECRET = "It's a Secret to Everybody", "whsec_test_secret", "a key of Grafana's"


def github(body=GITHUB_BODY, secret=GITHUB_SECRET):
    return {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-GitHub-Event": "push",
            "X-GitHub-Hook-ID": "292430182", "X-GitHub-Hook-Installation-Target-ID": "79929171",
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            "X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": "sha256=" + _hmac_hex(secret, body)}


def stripe(body=STRIPE_BODY, secret=STRIPE_SECRET, age_s=0):
    when = str(int(time.time()) - age_s)
    return {"Content-Type": "application/json; charset=utf-8", "Accept": "*/*; q=0.5, application/xml",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": f"t={when},v1={_hmac_hex(secret, when.encode() + b'.' + body)},"
                                "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"}


def grafana(body=GRAFANA_BODY, secret=GRAFANA_SECRET, age_s=0):
    when = str(int(time.time()) - age_s)
    return {"Content-Type": "application/json", "User-Agent": "Grafana", "X-Grafana-Alerting-Signature-Timestamp": when,
            "X-Grafana-Alerting-Signature": _hmac_hex(secret, when.encode() + b":" + body)}


@tap.case("webhooks of GitHub, Stripe and Grafana: verified by examples/webhooks-in and routed by what happened")
def services_that_send():
    port = free_port()
    with Subscriber(shared_mosquitto().port, "hooks/#") as heard, \
            _example("webhooks-in", HOOKS_LISTEN=f"127.0.0.1:{port}", HOME_BROKER=f"mqtt://127.0.0.1:{shared_mosquitto().port}",
                     GITHUB_SECRET=GITHUB_SECRET, STRIPE_SECRET=STRIPE_SECRET, GRAFANA_SECRET=GRAFANA_SECRET) as bridge:
        refused = [
            ("/hooks/github", GITHUB_BODY, github(secret="other")), ("/hooks/github", GITHUB_BODY + b" ", github()),
            ("/hooks/github", GITHUB_BODY, {**github(), "X-Hub-Signature-256": ""}),
            ("/hooks/stripe", STRIPE_BODY, stripe(secret="other")), ("/hooks/stripe", STRIPE_BODY, stripe(age_s=301)),
            ("/hooks/stripe", STRIPE_BODY, stripe(age_s=-310)), ("/hooks/stripe", b"{}", stripe()),
            ("/hooks/grafana", GRAFANA_BODY, grafana(secret="other")), ("/hooks/grafana", GRAFANA_BODY, grafana(age_s=301)),
            ("/hooks/grafana", GRAFANA_BODY, {k: v for k, v in grafana().items() if not k.endswith("Timestamp")}),
            # A secret counts at its own path alone.
            ("/hooks/stripe", GITHUB_BODY, github()), ("/hooks/github", STRIPE_BODY, stripe()), ("/hooks", GITHUB_BODY, github()),
            ("/hooks/grafana", b"{}", {}),
        ]
        for n, (path, body, headers) in enumerate(refused):
            status, answer, _ = _post(port, path, body, headers)
            assert status == 401 and answer.get("WWW-Authenticate"), (n, path, status, answer)
        for path, body, headers in (("/hooks/github", GITHUB_BODY, github()), ("/hooks/stripe", STRIPE_BODY, stripe()),
                                    ("/hooks/grafana", GRAFANA_BODY, grafana())):
            status, _, answer = _post(port, path, body, headers)
            assert status == 202 and json.loads(answer)["id"], (path, status, answer)
        heard.wait_count(3)
        assert {m.topic: m.payload for m in heard.messages} == {
            "hooks/github/push": GITHUB_BODY, "hooks/stripe/payment_intent.succeeded": STRIPE_BODY,
            "hooks/grafana/firing": GRAFANA_BODY}, heard.messages
        pushed = [m for m in heard.messages if m.topic == "hooks/github/push"][0].properties
        assert pushed.ContentType == "application/json"
        assert ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958") in pushed.UserProperty, pushed
        assert bridge.stop() == 0
        assert not any(secret in line for line in bridge.log_lines() for secret in (GITHUB_SECRET, STRIPE_SECRET, GRAFANA_SECRET))


# --- services that we send to -----------------------------------------------------------------------------------------


@tap.case("alarms to ntfy, Slack and Telegram: the requests are what these document")
def services_that_take():
    with Receiver() as ntfy, Receiver(answer=lambda _request: (200, [("Content-Type", "text/html")], b"ok")) as slack, \
            Receiver() as telegram, Publisher(shared_mosquitto().port) as out, \
            _example("notifications", PLANT_BROKER=f"mqtt://127.0.0.1:{shared_mosquitto().port}", NTFY_URL=ntfy.url,
                     SLACK_URL=slack.url + "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
                     TELEGRAM_URL=telegram.url + "/bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
                     TELEGRAM_CHAT="-1001234567890") as bridge:
        out.publish("plant/press-3/alarm", json.dumps({"level": "low", "text": "over 90 °C", "value": 91}).encode())
        out.publish("plant/press-3/alarm", json.dumps({"level": "high", "text": "T > 90 & rising <now>", "value": 95}).encode())
        for receiver, n in ((ntfy, 2), (slack, 2), (telegram, 1)):
            for request in receiver.wait_count(n):
                assert request.method == "POST" and request.header("content-type") == "application/json", request.headers
        assert ntfy.requests[0].target == "/", ntfy.requests[0].target
        assert [json.loads(body) for body in ntfy.bodies()] == [
            {"topic": "plant-alarms", "title": "Line press-3", "message": "over 90 °C", "priority": 3, "tags": ["warning", "press-3"]},
            {"topic": "plant-alarms", "title": "Line press-3", "message": "T > 90 & rising <now>", "priority": 5,
             "tags": ["warning", "press-3"]}]
        assert slack.requests[0].target == "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", slack.requests[0].target
        assert [json.loads(body) for body in slack.bodies()] == [
            {"text": ":warning: *Line press-3*: over 90 °C"},
            {"text": ":warning: *Line press-3*: T &gt; 90 &amp; rising &lt;now&gt;"}]
        assert telegram.requests[0].target == "/bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11/sendMessage"
        assert [json.loads(body) for body in telegram.bodies()] == [
            {"chat_id": "-1001234567890", "text": "Line press-3: T > 90 & rising <now>"}]
        assert bridge.stop() == 0


# --- who we are, and who they are -------------------------------------------------------------------------------------


@tap.case("a bearer token from a file: after a refusal and a hang-up the new one goes out")
def token_in_a_file():
    path = os.path.join(temp_folder("token"), "token")
    wanted = ["one"]

    def write(text):
        with open(path + ".new", "w", encoding="ascii") as out:
            out.write(text + "\n")
        os.replace(path + ".new", path)

    write("one")
    with Receiver(decide=lambda request: "ok" if request.header("authorization") == f"Bearer {wanted[0]}" else "401") as receiver, \
            _outward("bearer", receiver, auth={"token_file": path}) as bridge, Publisher(shared_mosquitto().port) as out:
        out.publish("bearer/a", b"1")
        receiver.wait_count(1)
        wanted[0] = "two"
        write("two")
        bridge.signal(signal.SIGHUP)
        out.publish("bearer/a", b"2")
        receiver.wait_count(2)
        assert receiver.requests[-1].body == b"2"
        assert bridge.stop() == 0
        assert not any("Bearer" in line for line in bridge.log_lines())


@tap.case("OAuth: requests carry the token, and one that the receiver refuses is replaced")
def oauth():
    folder = temp_folder("oauth")
    made = certificates.make(folder)
    with TokenServer(folder, free_port(), made) as server:
        def decide(request):
            good = server.given and len(server.given) > refusals[0] and request.header("authorization") == f"Bearer {tokens[-1]}"
            return "ok" if good else "401"
        tokens, refusals = [], [0]
        respond = server.respond

        def remember(headers, form):
            status, text = respond(headers, form)
            if status == 200:
                tokens.append(json.loads(text)["access_token"])
            return status, text
        server.respond = remember
        with Receiver(decide=decide) as receiver, Publisher(shared_mosquitto().port) as out, \
                _outward("oauth", receiver, auth={"oauth": {"token_url": server.url, "client_id": "edge-7",
                                                            "client_secret": "open sesame", "ca": made.ca}}) as bridge:
            out.publish("oauth/a", b"1")
            receiver.wait_count(1)
            refusals[0] = 1  # the first token is not taken any more
            out.publish("oauth/a", b"2")
            receiver.wait_count(2)
            assert len(server.given) >= 2 and [r.body for r in receiver.requests if r.did == "ok"] == [b"1", b"2"]
            assert bridge.stop() == 0


@tap.case("OAuth: a token that comes while another request is still under way is used as soon as that has ended")
def oauth_while_draining():
    folder = temp_folder("oauth-drain")
    with TokenServer(folder, free_port()) as server:
        refused = set()  # paths of which a request has come to nothing

        def decide(request):
            if request.target in refused:
                return "ok"
            refused.add(request.target)
            return "hang" if request.target == "/slow" else "401"
        with Receiver(decide=decide) as receiver, Publisher(shared_mosquitto().port) as out, \
                _outward("drain", receiver, to={"path": "/{topic[1]}"}, timeout="7s",
                         auth={"oauth": {"token_url": server.url, "client_id": "edge-7", "client_secret": "open sesame"}}) as bridge:
            out.publish("drain/slow", b"1")
            until(lambda: "/slow" in refused, "the one that gets no answer")
            out.publish("drain/quick", b"2")
            until(lambda: {r.target for r in receiver.requests if r.did == "ok"} == {"/slow", "/quick"}, "both to arrive")
            assert len(server.given) == 2, "one new token for one refusal"
            # Without the new one it would be asked again after a minute.
            assert not bridge.events("http_waiting"), bridge.events("http_waiting")
            assert bridge.stop() == 0


@tap.case("tokens, passwords and paths: who is somebody else may not, and who is nobody may not either")
def identities():
    salted = "$6$abcdefgh$msgktWxVAbjjh3X7lA5LaM7dS/ZfABJL6T4qcRsnjcOTj0kptUvZcrvrXIoO5fgPA9xz6UnF2To2Y7jGc/IZY/"
    bridge, port = _inward(
        "identities", tokens={"plc": "sha256:" + hashlib.sha256(b"token-one").hexdigest(),
                              "gitlab": "sha256:" + hashlib.sha256(b"token-two").hexdigest()},
        token_header="X-Gitlab-Token", passwords={"anna": salted},
        allow={"plc": "/line/+/#", "anna": "write:/line/7", "gitlab": "/hooks/#"})

    def basic(name, password):
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}

    with bridge, Subscriber(shared_mosquitto().port, "identities/#") as heard:
        cases = [("/line/7", {"Authorization": "Bearer token-one"}, 202), ("/line/8", {"Authorization": "Bearer token-one"}, 202),
                 ("/hooks/x", {"Authorization": "Bearer token-one"}, 403), ("/hooks/x", {"X-Gitlab-Token": "token-two"}, 202),
                 ("/hooks/x", {"X-Gitlab-Token": "token-three"}, 401), ("/line/7", {"Authorization": "Bearer token-three"}, 401),
                 ("/line/7", basic("anna", "geheim"), 202), ("/line/8", basic("anna", "geheim"), 403),
                 ("/line/7", basic("anna", "geheim2"), 401), ("/line/7", basic("anna", "geheim"), 202),
                 ("/line/7", basic("nobody", "geheim"), 401), ("/line/7", {}, 401)]
        for n, (path, headers, wanted) in enumerate(cases):
            status, answer, _ = _post(port, path, b"x", headers)
            assert status == wanted and (status == 401) == ("WWW-Authenticate" in answer), (n, path, status, answer)
        heard.wait_count(5)
        # What opens doors here is not passed on.
        said = str([m.properties for m in heard.messages])
        assert "token-" not in said and "Basic" not in said, said
        assert bridge.stop() == 0
        assert not any(word in line for line in bridge.log_lines() for word in ("token-one", "token-two", "geheim"))


@tap.case("client certificates: the name in one says who sends, and who shows none is nobody")
def client_certificates():
    made = certificates.make(temp_folder("certificates"))
    port = free_port()
    with Subscriber(shared_mosquitto().port, "mutual/#") as heard, Linkspan(yaml.configuration(
            [yaml.http("hooks", listen=f"127.0.0.1:{port}", access={"client_certificates": True, "allow": {"edge-7": "/line/7"}},
                       tls={"cert": made.server_cert, "key": made.server_key, "client_ca": made.ca}),
             yaml.mqtt("bus", shared_mosquitto().port)],
            [yaml.mapping("all", {"connection": "hooks", "topic": "/#"}, {"connection": "bus", "topic": "mutual{topic}"})])) as bridge:
        known, nobody = ssl.create_default_context(cafile=made.ca), ssl.create_default_context(cafile=made.ca)
        known.load_cert_chain(made.client_cert, made.client_key)
        assert _post(port, "/line/7", b"1", {}, known)[0] == 202
        assert _post(port, "/line/8", b"2", {}, known)[0] == 403
        status, answer, _ = _post(port, "/line/7", b"3", {}, nobody)
        assert status == 401 and answer["WWW-Authenticate"], (status, answer)
        assert [m.payload for m in heard.wait_count(1)] == [b"1"]
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
