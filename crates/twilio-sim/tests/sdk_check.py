"""Checks the simulator against Twilio's own Python SDK. Run by hand:

    python3 -m venv /tmp/sdk && /tmp/sdk/bin/pip install twilio==9.13.0
    cargo run -p twilio-sim -- --port 4010 --messages 1234 --days 30 &
    /tmp/sdk/bin/python crates/twilio-sim/tests/sdk_check.py http://127.0.0.1:4010
"""

import datetime
import json
import re
import sys
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4010"


class Rewriting(TwilioHttpClient):
    """Sends what is meant for any of Twilio's hosts to the simulator."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, re.sub(r"^https://[a-z]+\.twilio\.com", BASE, url), *args, **kwargs)


def control(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + "/_sim" + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def refused(code, call):
    try:
        call()
    except TwilioRestException as error:
        assert error.code == code, (error.code, code, error.msg)
        return
    raise AssertionError(f"expected {code}")


known = control("/credentials")
assets = control("/assets")
live = control("")["live"]
now = datetime.datetime.fromisoformat(control("")["now"])
client = Client(known["account_sid"], known["auth_token"], http_client=Rewriting())
key = Client(known["main_key_sid"], known["main_key_secret"], known["account_sid"], http_client=Rewriting())

every = client.messages.list(page_size=100)
assert len(every) == live and len({message.sid for message in every}) == live
assert len(key.messages.list(page_size=1000)) == live
print(f"listed {live} messages in pages of 100, by token and by key")

after = now - datetime.timedelta(days=7)
before = now - datetime.timedelta(days=2)
some = client.messages.list(date_sent_after=after, date_sent_before=before, page_size=50)
expected = [m for m in every if m.date_sent and after.replace(microsecond=0) <= m.date_sent <= before]
assert [m.sid for m in some] == [m.sid for m in expected], (len(some), len(expected))
day = client.messages.list(date_sent=before.date(), page_size=50)
assert day and all(m.date_sent.date() == before.date() for m in day)
print(f"filtered by date: {len(some)} between two times, {len(day)} on a day")

number = every[0].to
assert {m.sid for m in client.messages.list(to=number)} == {m.sid for m in every if m.to == number}

one = client.messages(every[5].sid).fetch()
assert (one.sid, one.body, one.status, one.price) == (every[5].sid, every[5].body, every[5].status, every[5].price)
assert isinstance(one.date_created, datetime.datetime) and one.error_code in (None, every[5].error_code)

numbers = client.incoming_phone_numbers.list(page_size=5)
assert len(numbers) == 12
own = numbers[0].phone_number
sent = client.messages.create(to="+15558675310", from_=own, body="Hëllo 😊")
assert sent.status == "queued" and sent.body == "Hëllo 😊"
media = client.messages.create(to="+15558675310", from_=own, media_url=["https://a.example/1", "https://a.example/2"])
assert media.sid.startswith("MM") and media.num_media == "2"
later = client.messages.create(
    to="+15558675310", messaging_service_sid=assets["messaging_services"][0], body="later",
    schedule_type="fixed", send_at=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2),
)
assert later.status == "scheduled" and later.date_sent is None and later.from_ is None
assert client.messages(later.sid).update(status="canceled").status == "canceled"
assert client.messages(sent.sid).update(body="").body == ""
assert client.messages(sent.sid).delete()
refused(20404, client.messages(sent.sid).fetch)
refused(30409, lambda: client.messages(media.sid).update(status="canceled"))
control("/unreachable", {"recipient": "+15558675311", "code": 21610}, "PUT")
refused(21610, lambda: client.messages.create(to="+15558675311", from_=own, body="x"))
print("sent, redacted, canceled and deleted")

refused(21604, lambda: client.messages.create(to="", from_=own, body="x"))
refused(21211, lambda: client.messages.create(to="nobody", from_=own, body="x"))
refused(20003, Client(known["account_sid"], "wrong", http_client=Rewriting()).messages(one.sid).fetch)
account = client.api.v2010.accounts(known["account_sid"]).fetch()
assert account.status == "active" and account.auth_token == known["auth_token"]
assert client.balance.fetch().currency == "USD"
assert client.usage.records.today.list()
assert len(client.api.v2010.accounts.list()) == 2
assert key.keys.list()

page = client.messages.page(page_size=10)
second = page.next_page()
assert [m.sid for m in second.previous_page()] == [m.sid for m in client.messages.page(page_size=10)]
assert client.incoming_phone_numbers.list(phone_number=own)[0].phone_number == own
assert client.incoming_phone_numbers(numbers[0].sid).fetch().capabilities["sms"] is True
offers = client.available_phone_numbers("US").local.list(area_code=415, sms_enabled=True, limit=30, page_size=10)
assert len(offers) == 30 and len({offer.phone_number for offer in offers}) == 30
assert all(offer.phone_number.startswith("+1415") and offer.iso_country == "US" for offer in offers)
assert client.available_phone_numbers("US").toll_free.list(contains="833", limit=3)
assert client.available_phone_numbers("GB").mobile.list(limit=3)[0].phone_number.startswith("+447")
print("numbers owned and for sale")

call = client.calls.create(to="+14155550100", from_=own, url="https://a.example/voice.xml", status_callback_event=["ringing", "answered"])
assert (call.status, call.direction, call.duration, call.to_formatted) == ("queued", "outbound-api", None, "(415) 555-0100")
control("/advance", {"seconds": 16})
assert client.calls(call.sid).fetch().status == "in-progress"
assert client.calls(call.sid).update(status="completed").status == "completed"
refused(21220, lambda: client.calls(call.sid).update(status="completed"))
silent = client.calls.create(to="+14155550101", from_=own, twiml="<Response/>")
assert client.calls(silent.sid).update(status="canceled").status == "canceled"
second_call = client.calls.create(to="+14155550100", from_=own, twiml="<Response/>")
control("/advance", {"seconds": 600})
ended = client.calls(second_call.sid).fetch()
assert ended.status == "completed" and int(ended.duration) == (ended.end_time - ended.start_time).seconds and ended.price
assert [one.sid for one in client.calls.list(to="+14155550100", page_size=1)] == [second_call.sid, call.sid]
refused(21210, lambda: client.calls.create(to="+14155550100", from_="+14155550101", twiml="<Response/>"))
testing = Client(known["test_account_sid"], known["test_auth_token"], http_client=Rewriting())
assert testing.calls.create(to="+15005550010", from_="+15005550006", twiml="<Response/>").status == "queued"
refused(21217, lambda: testing.calls.create(to="+15005550001", from_="+15005550006", twiml="<Response/>"))
refused(20008, testing.calls(call.sid).fetch)
print("called, hung up and canceled")

services = client.verify.v2.services.list(page_size=1)
assert [service.sid for service in services] == assets["verify_services"]
assert client.verify.v2.services(services[0].sid).fetch().code_length == 6
verify = client.verify.v2.services(services[0].sid)
sent = verify.verifications.create(to="+14155550100", channel="sms")
assert (sent.status, sent.valid, len(sent.send_code_attempts)) == ("pending", False, 1)
assert isinstance(sent.date_created, datetime.datetime)
code = control("/verifications")[0]["code"]
wrong = "000001" if code == "000000" else "000000"
assert verify.verification_checks.create(to="+14155550100", code=wrong).status == "pending"
checked = verify.verification_checks.create(verification_sid=sent.sid, code=code)
assert (checked.status, checked.valid) == ("approved", True)
refused(20404, lambda: verify.verification_checks.create(to="+14155550100", code=code))
for _ in range(5):
    verify.verifications.create(to="+14155550102", channel="call")
refused(60203, lambda: verify.verifications.create(to="+14155550102", channel="call"))
for _ in range(5):
    verify.verification_checks.create(to="+14155550102", code="x")
refused(60202, lambda: verify.verification_checks.create(to="+14155550102", code="x"))
email = verify.verifications.create(to="a@b.example", channel="email")
assert verify.verifications(email.sid).update(status="canceled").status == "canceled"
refused(20404, verify.verifications(email.sid).fetch)
refused(60200, lambda: verify.verifications.create(to="nobody", channel="sms"))
print("verified")

found = client.lookups.v2.phone_numbers("+14155550100").fetch(fields="line_type_intelligence,caller_name")
assert found.valid and found.national_format == "(415) 555-0100" and found.country_code == "US"
assert found.line_type_intelligence["type"] == "mobile" and found.caller_name["error_code"] is None
assert found.sim_swap is None
short = client.lookups.v2.phone_numbers("+1415").fetch()
assert short.valid is False and short.validation_errors == ["TOO_SHORT"]
senders = client.messaging.v1.services(assets["messaging_services"][0]).phone_numbers.list(page_size=5)
assert {sender.phone_number for sender in senders} == set(assets["numbers"])
assert len(client.messaging.v1.services.list(page_size=2)) == 3
page = client.messaging.v1.services.page(page_size=2)
second = page.next_page()
assert len(list(second)) == 1 and second.previous_page() is not None
print("looked up")

today = datetime.datetime.fromisoformat(control("")["now"]).date()
week = today - datetime.timedelta(days=6)
days = client.usage.records.daily.list(category="sms-outbound", start_date=week, end_date=today, page_size=2)
whole = client.usage.records.list(category="sms-outbound", start_date=week, end_date=today)
assert len(days) == 7 and len(whole) == 1
assert sum(int(day.count) for day in days) == int(whole[0].count)
assert client.usage.records.last_month.list(category="totalprice")[0].usage_unit == "usd"
assert float(client.balance.fetch().balance) > 0
print("all agreed")
