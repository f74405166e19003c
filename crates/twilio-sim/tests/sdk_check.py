"""Checks the simulator against Twilio's own Python SDK. Run by hand:

    python3 -m venv /tmp/sdk && /tmp/sdk/bin/pip install twilio==9.13.0
    cargo run -p twilio-sim -- --port 4010 --messages 1234 --days 30 &
    /tmp/sdk/bin/python crates/twilio-sim/tests/sdk_check.py http://127.0.0.1:4010
"""

import datetime
import json
import sys
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4010"


class Rewriting(TwilioHttpClient):
    """Sends what is meant for api.twilio.com to the simulator."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, url.replace("https://api.twilio.com", BASE), *args, **kwargs)


def control(path):
    with urllib.request.urlopen(BASE + "/_sim" + path) as answer:
        return json.load(answer)


def refused(code, call):
    try:
        call()
    except TwilioRestException as error:
        assert error.code == code, (error.code, code, error.msg)
        return
    raise AssertionError(f"expected {code}")


known = control("/credentials")
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
    to="+15558675310", messaging_service_sid="MG" + "a" * 32, body="later",
    schedule_type="fixed", send_at=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2),
)
assert later.status == "scheduled" and later.date_sent is None and later.from_ is None
assert client.messages(later.sid).update(status="canceled").status == "canceled"
assert client.messages(sent.sid).update(body="").body == ""
assert client.messages(sent.sid).delete()
refused(20404, client.messages(sent.sid).fetch)
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
print("all agreed")
