"""Checks the simulator's webhooks with Twilio's own Python SDK: its validator accepts them, and its clients configure them.

Run by hand, as sdk_check.py says:

    cargo run -p twilio-sim -- --port 4010 --messages 100 --days 30 &
    /tmp/sdk/bin/python crates/twilio-sim/tests/sdk_webhooks.py http://127.0.0.1:4010
"""

import http.server
import json
import re
import secrets
import sys
import threading
import time
import urllib.parse
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client
from twilio.rest.webhooks.v1.rule import RuleList
from twilio.rest.webhooks.v1.setting import SettingList
from twilio.rest.webhooks.v1.shared_key import SharedKeyList
from twilio.rest.webhooks.v1.test import TestList

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4010"
ORIGIN = "https://hooks.example.com"


class Rewriting(TwilioHttpClient):
    """Sends what is meant for any of Twilio's hosts to the simulator."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, re.sub(r"^https://[a-z]+\.twilio\.com", BASE, url), *args, **kwargs)


class Form(dict):
    """A form whose names may repeat, as the validator knows it from web frameworks."""

    def getlist(self, name):
        return self[name]


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps every request."""

    protocol_version = "HTTP/1.1"
    received = []

    def keep(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.received.append((self.path, dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    do_GET = do_POST = keep

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()


def control(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + "/_sim" + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def settle():
    """Returns the requests since the last call, once no webhook is under way."""
    while not control("/webhooks/state")["idle"]:
        time.sleep(0.01)
    requests, Receiver.received[:] = list(Receiver.received), []
    return requests


def uuid7():
    return f"01955fd7-4c70-7{secrets.token_hex(2)[1:]}-8{secrets.token_hex(2)[1:]}-{secrets.token_hex(6)}"


known = control("/credentials")
assets = control("/assets")
control("/webhooks/routes", {"from": ORIGIN, "to": f"http://127.0.0.1:{server.server_port}"}, "PUT")
client = Client(known["account_sid"], known["auth_token"], http_client=Rewriting())
key = Client(known["main_key_sid"], known["main_key_secret"], known["account_sid"], http_client=Rewriting())
legacy = RequestValidator(known["auth_token"])


def valid(request, validator=legacy):
    path, headers, body = request
    algorithm = get_signature_algorithm(headers.get("X-Twilio-Webhooks-Signature-Settings"))
    form = Form()
    if headers.get("Content-Type", "").startswith("application/json"):
        form = body
    else:
        for name, value in urllib.parse.parse_qsl(body, keep_blank_values=True):
            form.setdefault(name, []).append(value)
    return validator.validate(ORIGIN + path, form, headers.get("X-Twilio-Signature", ""), algorithm)


own = assets["numbers"][0]
sent = client.messages.create(to="+14155550100", from_=own, body="x", status_callback=ORIGIN + "/status#rc=2&rp=all")
assert settle() == []
control("/advance", {"seconds": 30 * 86400})
requests = settle()
statuses = [dict(urllib.parse.parse_qsl(body))["MessageStatus"] for _, _, body in requests]
assert statuses[:2] == ["sending", "sent"] and statuses[-1] == client.messages(sent.sid).fetch().status, statuses
assert all(valid(request) for request in requests) and not any("#" in path for path, _, _ in requests)
print("status callbacks", statuses)

events = ["initiated", "ringing", "answered", "completed"]
client.calls.create(
    to="+14155550100", from_=own, twiml="<Response/>", status_callback=ORIGIN + "/call",
    status_callback_method="GET", status_callback_event=events,
)
control("/advance", {"seconds": 600})
requests = settle()
assert len(requests) == 4 and all(valid(request) for request in requests)
print("calls by GET")

number = client.incoming_phone_numbers.list(phone_number=own)[0]
before = number.voice_url
number = client.incoming_phone_numbers(number.sid).update(sms_url=ORIGIN + "/in", sms_method="POST")
assert (number.sms_url, number.voice_url) == (ORIGIN + "/in", before)
text = "Grüße 👋 a&b=c+d %20 "
sid = control("/inbound", {"to": own, "from": "+14155550100", "body": text})["sid"]
(request,) = settle()
assert valid(request) and dict(urllib.parse.parse_qsl(request[2]))["MessageSid"] == sid
assert client.messages(sid).fetch().body == text
print("inbound message")

for name, form in [("with_port", True), ("without_port", True), ("normalized", False), ("with_user_info", False)]:
    control("/faults", {"webhooks": {"signed_url": name}}, "PUT")
    url = ORIGIN + "/it's?q=it's" if not form else ORIGIN + "/x"
    if name == "with_user_info":
        url = url.replace("https://", "https://u:p@")
    control("/webhooks", {"url": url, "parameters": [["a", "b"], ["a", "a"], ["Z", ""]]})
    (request,) = settle()
    print("signed", name, "accepted" if valid(request) else "refused, as this SDK knows no such form")
    assert valid(request) or not form
for name in ["wrong_signature", "altered"]:
    control("/faults", {"webhooks": {name: 1.0}}, "PUT")
    control("/webhooks", {"url": ORIGIN + "/x", "parameters": [["a", "b"]]})
    (request,) = settle()
    assert not valid(request), name
control("/faults", {}, "PUT")

sink = client.events.v1.sinks.create(
    description="d", sink_type="webhook",
    sink_configuration={"destination": ORIGIN + "/events", "method": "POST", "batch_events": True},
)
assert (sink.sid[:2], sink.status) == ("DG", "active")
assert client.events.v1.sinks(sink.sid).sink_test.create().result == "submitted"
(request,) = settle()
assert valid(request)
test_id = json.loads(request[2])[0]["data"]["test_id"]
assert client.events.v1.sinks(sink.sid).sink_validate.create(test_id=test_id).result == "valid"
subscription = client.events.v1.subscriptions.create(
    description="d", sink_sid=sink.sid,
    types=[{"type": "com.twilio.messaging.message.sent"}, {"type": "com.twilio.messaging.message.delivered"}],
)
assert subscription.sid[:2] == "DF"
types = client.events.v1.subscriptions(subscription.sid).subscribed_events.list(page_size=1)
assert len(types) == 2 and types[0].schema_version >= 1
client.messages.create(to="+14155550100", from_=own, body="x")
control("/advance", {"seconds": 60})
requests = settle()
assert requests and all(valid(request) for request in requests)
event = json.loads(requests[0][2])[0]
assert event["data"]["messageStatus"] in ("SENT", "DELIVERED") and event["id"].startswith("EZ")
try:
    client.events.v1.sinks(sink.sid).delete()
    raise AssertionError("a sink in use was deleted")
except TwilioRestException as error:
    assert error.status == 400
assert client.events.v1.subscriptions(subscription.sid).delete() and client.events.v1.sinks(sink.sid).delete()
print("event streams")

conversations = client.conversations.v1.services(assets["conversations_services"][0]).configuration
webhooks = conversations.webhooks().update(
    post_webhook_url=ORIGIN + "/conversations", filters=["onMessageAdded", "onParticipantAdded"], method="POST"
)
assert webhooks.filters == ["onMessageAdded", "onParticipantAdded"]
assert conversations.webhooks().fetch().post_webhook_url == ORIGIN + "/conversations"
assert control("/conversations", {"event_type": "onMessageAdded"})["sent"] is True
(request,) = settle()
assert valid(request)
print("conversations")

configuration = key.webhooks.v1
shared = configuration.shared_keys.create(SharedKeyList.PostSharedKey({"friendlyName": "k"}), idempotency_key=uuid7())
setting = configuration.settings.create(
    SettingList.PostSetting(
        {
            "friendlyName": "s",
            "auth": SettingList.PostAuthSetting({"source": "NONE"}),
            "signature": SettingList.SignatureSetting(
                {"type": "SHARED_KEY", "sharedKeyId": shared.id, "algorithm": "HMAC_SHA256"}
            ),
        }
    ),
    idempotency_key=uuid7(),
)
accepted = configuration.rules.create(
    RuleList.PostRule(
        {
            "matchType": "PREFIX_MATCH",
            "prefix": ORIGIN + "/mine/",
            "settings": [RuleList.SettingReference({"settingId": setting.id, "percentage": 100})],
        }
    ),
    idempotency_key=uuid7(),
)
control("/advance", {"seconds": 60})
assert configuration.operations(accepted.operation["id"]).fetch().status == "COMPLETED"
control("/webhooks", {"url": ORIGIN + "/mine/x", "parameters": [["a", "b"]]})
(request,) = settle()
assert request[1]["X-Twilio-Webhooks-Signature-Settings"] == f"key={shared.id},algorithm=HMAC_SHA256"
assert valid(request, RequestValidator(shared.secret)) and not valid(request)
result = configuration.tests.create(TestList.TestRequest({"url": ORIGIN + "/t", "settingId": setting.id}))
assert result.result["outcome"] == "DELIVERED"
assert valid(settle()[0], RequestValidator(shared.secret))
assert [one.id for one in configuration.rules.list()] == [configuration.rules.list()[0].id]
assert len(configuration.shared_keys.list(page_size=1)) == 1
print("webhooks configuration")
print("all agreed")
