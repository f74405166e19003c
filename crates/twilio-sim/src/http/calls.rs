//! `…/Calls*`: place a call, look at it, hang up.

use serde_json::{Value, json};

use crate::calls::{CallStatus, PlacedCall};
use crate::credentials::Caller;
use crate::dates::rfc2822;
use crate::http::call::Call;
use crate::http::reply::{Refusal, Reply};
use crate::http::{page, recipient};
use crate::phone::{Phone, is_e164};
use crate::plan::Planner;
use crate::shared::Shared;

/// Seconds after its end at which a call has a price.
const PRICED_AFTER: i64 = 60;

/// Places a call.
pub(crate) fn place(shared: &Shared, call: &Call, account: &str, caller: Caller) -> Result<Reply, Refusal> {
    let to = call
        .filled("To")
        .ok_or_else(|| Refusal::bad(21201, "No 'To' number is specified"))?;
    let from = call
        .filled("From")
        .ok_or_else(|| Refusal::bad(21213, "No 'From' number is specified"))?;
    instructions(call, true)?;
    if caller == Caller::Test {
        magic(from, to)?;
    }
    if !(is_e164(to) || to.starts_with("sip:") || to.starts_with("client:")) {
        return Err(Refusal::bad(
            21217,
            format!("Phone number does not appear to be valid: {to}"),
        ));
    }
    let seed = {
        let (world, _) = shared.read_of(account);
        if caller != Caller::Test && !owns(&world.planner, from) {
            return Err(Refusal::bad(
                21210,
                format!("Source phone number {from} is not yet verified for this account"),
            ));
        }
        world.planner.seed
    };
    recipient::check(shared, to)?;
    let now = shared.clock.seconds();
    let placed = PlacedCall::new(seed, shared.next_number(), account, to, from, now);
    let answer = resource(&placed, now);
    if caller != Caller::Test {
        shared.calls().push(placed);
    }
    Ok(Reply::value(201, &answer))
}

/// The account's calls, newest first.
pub(crate) fn list(shared: &Shared, call: &Call, account: &str) -> Result<Reply, Refusal> {
    let now = shared.clock.seconds();
    let (to, from, status) = (
        call.parameter("To"),
        call.parameter("From"),
        call.parameter("Status"),
    );
    let wanted = |filter: &Option<String>, value: &str| {
        filter
            .as_deref()
            .is_none_or(|filter| filter.is_empty() || filter == value)
    };
    let calls = shared
        .calls()
        .iter()
        .rev()
        .filter(|placed| placed.account == account)
        .filter(|placed| wanted(&to, &placed.to) && wanted(&from, &placed.from))
        .filter(|placed| wanted(&status, placed.at(now).status.as_str()))
        .map(|placed| resource(placed, now))
        .collect();
    page::flat(shared, call, "calls", calls)
}

/// One call.
pub(crate) fn fetch(shared: &Shared, call: &Call, account: &str, sid: &str) -> Result<Reply, Refusal> {
    let now = shared.clock.seconds();
    shared
        .calls()
        .iter()
        .find(|placed| placed.account == account && placed.sid == sid)
        .map(|placed| Reply::value(200, &resource(placed, now)))
        .ok_or_else(|| Refusal::not_found(&call.path))
}

/// Hangs up, cancels, or gives a call in progress new instructions.
pub(crate) fn update(shared: &Shared, call: &Call, account: &str, sid: &str) -> Result<Reply, Refusal> {
    let now = shared.clock.seconds();
    let mut calls = shared.calls();
    let placed = calls
        .iter_mut()
        .find(|placed| placed.account == account && placed.sid == sid)
        .ok_or_else(|| Refusal::not_found(&call.path))?;
    let ended = placed.at(now).ended.is_some();
    let wanted = match call.filled("Status") {
        None => None,
        Some("completed") => Some(CallStatus::Completed),
        Some("canceled") => Some(CallStatus::Canceled),
        Some(other) => return Err(Refusal::bad(20001, format!("Invalid Status '{other}'"))),
    };
    if ended {
        return Err(Refusal::bad(
            21220,
            "Call is not in-progress. Cannot redirect. Call is already over.",
        ));
    }
    match wanted {
        Some(wanted) => placed.stop(wanted, now),
        None => instructions(call, false)?,
    }
    Ok(Reply::value(200, &resource(placed, now)))
}

/// Checks what is to be done once the call is answered.
fn instructions(call: &Call, required: bool) -> Result<(), Refusal> {
    let url = call.filled("Url");
    if url.is_some_and(|url| !is_web_address(url)) {
        return Err(Refusal::bad(21205, "Url is not a valid URL"));
    }
    recipient::check_callback(call)?;
    let any = url.is_some() || call.filled("Twiml").is_some() || call.filled("ApplicationSid").is_some();
    if required && !any {
        return Err(Refusal::bad(
            21205,
            "One of Url, Twiml or ApplicationSid is required.",
        ));
    }
    Ok(())
}

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn owns(planner: &Planner, from: &str) -> bool {
    let digits = from.strip_prefix('+').and_then(|digits| digits.parse().ok());
    digits.is_some_and(|digits: u64| planner.numbers.contains(&digits))
}

/// The magic numbers of test credentials.
fn magic(from: &str, to: &str) -> Result<(), Refusal> {
    let refused = |code, words: &str| Err(Refusal::bad(code, words));
    match from {
        "+15005550006" => {}
        "+15005550001" => return refused(21212, "Invalid 'From' Phone Number"),
        _ => return refused(21210, "Source phone number is not yet verified"),
    }
    match to {
        "+15005550001" => refused(21217, "Phone number does not appear to be valid"),
        "+15005550002" => refused(21214, "'To' phone number cannot be reached"),
        "+15005550003" => refused(21215, "Account not authorized to call this destination"),
        "+15005550004" => refused(21216, "Account not allowed to call this number"),
        _ => Ok(()),
    }
}

/// The call as the API writes it.
fn resource(placed: &PlacedCall, now: i64) -> Value {
    let stand = placed.at(now);
    let (account, sid) = (&placed.account, &placed.sid);
    let uri = format!("/2010-04-01/Accounts/{account}/Calls/{sid}");
    let formatted = |number: &str| {
        Phone::read(number, None).map_or_else(|_| number.to_owned(), |phone| phone.national_format())
    };
    let minutes = stand.duration().map(|seconds| (seconds + 59) / 60);
    let priced = stand
        .ended
        .filter(|ended| now >= ended + PRICED_AFTER)
        .and(minutes)
        .filter(|minutes| *minutes > 0);
    let price =
        priced.map(|minutes| format!("-{}.{:05}", minutes * 1400 / 100_000, minutes * 1400 % 100_000));
    let sub = |name: &str| format!("{uri}/{name}.json");
    json!({
        "sid": sid,
        "account_sid": account,
        "parent_call_sid": null,
        "to": placed.to,
        "to_formatted": formatted(&placed.to),
        "from": placed.from,
        "from_formatted": formatted(&placed.from),
        "phone_number_sid": null,
        "status": stand.status.as_str(),
        "start_time": stand.started.map(rfc2822),
        "end_time": stand.ended.map(rfc2822),
        "duration": stand.duration().map(|seconds| seconds.to_string()),
        "price": price,
        "price_unit": "USD",
        "direction": "outbound-api",
        "answered_by": null,
        "forwarded_from": null,
        "group_sid": null,
        "caller_name": null,
        "queue_time": "0",
        "trunk_sid": null,
        "api_version": "2010-04-01",
        "date_created": rfc2822(placed.created),
        "date_updated": rfc2822(stand.updated),
        "uri": format!("{uri}.json"),
        "subresource_uris": {
            "events": sub("Events"),
            "notifications": sub("Notifications"),
            "payments": sub("Payments"),
            "recordings": sub("Recordings"),
            "siprec": sub("Siprec"),
            "streams": sub("Streams"),
            "transcriptions": sub("Transcriptions"),
            "user_defined_message_subscriptions": sub("UserDefinedMessageSubscriptions"),
            "user_defined_messages": sub("UserDefinedMessages"),
        },
    })
}
