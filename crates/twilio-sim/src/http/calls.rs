//! `…/Calls*`: places, shows and ends calls.

use serde_json::{Value, json};

use crate::calls::{CallCallback, CallEvent, CallStatus, PlacedCall};
use crate::credentials::Caller;
use crate::dates::rfc2822;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::{page, recipient};
use crate::phone::{Phone, is_e164};
use crate::plan::Planner;
use crate::shared::Shared;
use crate::webhooks::WebhookMethod;

/// A call gets its price this many seconds after its end.
const PRICED_AFTER: i64 = 60;

/// Places a call.
pub(crate) fn place(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    caller: Caller,
) -> Result<ApiResponse, ApiError> {
    let to = request
        .filled("To")
        .ok_or_else(|| ApiError::bad(21201, "No 'To' number is specified"))?;
    let from = request
        .filled("From")
        .ok_or_else(|| ApiError::bad(21213, "No 'From' number is specified"))?;
    instructions(shared, request, true)?;
    if caller == Caller::Test {
        check_magic_numbers(from, to)?;
    }
    if !(is_e164(to) || to.starts_with("sip:") || to.starts_with("client:")) {
        return Err(ApiError::bad(
            21217,
            format!("Phone number does not appear to be valid: {to}"),
        ));
    }
    let seed = {
        let (store, _) = shared.read_of(account);
        if caller != Caller::Test && !owns(&store.planner, from) {
            return Err(ApiError::bad(
                21210,
                format!("Source phone number {from} is not yet verified for this account"),
            ));
        }
        store.planner.seed
    };
    recipient::check(shared, to)?;
    let now = shared.clock.seconds();
    let mut placed = PlacedCall::new(seed, shared.next_number(), account, to, from, now);
    placed.callback = callback(request)?;
    let answer = resource(&placed, now);
    if caller != Caller::Test {
        shared.calls().add(placed);
        shared.sender.wake();
    }
    Ok(ApiResponse::value(201, &answer))
}

/// Lists the account's calls, newest first.
pub(crate) fn list(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let now = shared.clock.seconds();
    let (to, from, status) = (
        request.parameter("To"),
        request.parameter("From"),
        request.parameter("Status"),
    );
    let wanted = |filter: &Option<String>, value: &str| {
        filter
            .as_deref()
            .is_none_or(|filter| filter.is_empty() || filter == value)
    };
    let calls = shared
        .calls()
        .all
        .iter()
        .rev()
        .filter(|placed| placed.account == account)
        .filter(|placed| wanted(&to, &placed.to) && wanted(&from, &placed.from))
        .filter(|placed| wanted(&status, placed.at(now).status.as_str()))
        .map(|placed| resource(placed, now))
        .collect();
    page::flat(shared, request, "calls", calls)
}

/// One call.
pub(crate) fn fetch(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let now = shared.clock.seconds();
    shared
        .calls()
        .find(account, sid)
        .map(|placed| ApiResponse::value(200, &resource(placed, now)))
        .ok_or_else(|| ApiError::not_found(&request.path))
}

/// Hangs up, cancels, or changes the instructions of a call in progress.
pub(crate) fn update(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let now = shared.clock.seconds();
    let mut calls = shared.calls();
    let mut placed = calls
        .find(account, sid)
        .cloned()
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    let ended = placed.at(now).ended.is_some();
    let wanted = match request.filled("Status") {
        None => None,
        Some("completed") => Some(CallStatus::Completed),
        Some("canceled") => Some(CallStatus::Canceled),
        Some(other) => return Err(ApiError::bad(20001, format!("Invalid Status '{other}'"))),
    };
    if ended {
        return Err(ApiError::bad(
            21220,
            "Call is not in-progress. Cannot redirect. Call is already over.",
        ));
    }
    match wanted {
        Some(wanted) => placed = calls.stop(account, sid, wanted, now).unwrap_or(placed),
        None => instructions(shared, request, false)?,
    }
    shared.sender.wake();
    Ok(ApiResponse::value(200, &resource(&placed, now)))
}

/// Returns where the steps of the call are reported. Without events, only its end is.
fn callback(request: &ApiRequest) -> Result<Option<CallCallback>, ApiError> {
    let Some(url) = request.filled("StatusCallback") else {
        return Ok(None);
    };
    let mut events = Vec::new();
    // Some clients send one value with all events.
    for name in request
        .values("StatusCallbackEvent")
        .flat_map(|value| value.split([' ', ',']))
        .filter(|name| !name.is_empty())
    {
        let event = CallEvent::ALL
            .into_iter()
            .find(|event| event.as_str() == name)
            .ok_or_else(|| ApiError::bad(21626, format!("Invalid StatusCallbackEvent '{name}'")))?;
        events.push(event);
    }
    if events.is_empty() {
        events.push(CallEvent::Completed);
    }
    Ok(Some(CallCallback {
        url: url.to_owned(),
        method: WebhookMethod::of_setting(request.filled("StatusCallbackMethod").unwrap_or_default()),
        events,
    }))
}

/// Checks the instructions of a call.
fn instructions(shared: &Shared, request: &ApiRequest, required: bool) -> Result<(), ApiError> {
    let url = request.filled("Url");
    if url.is_some_and(|url| !is_web_address(url)) {
        return Err(ApiError::bad(21205, "Url is not a valid URL"));
    }
    recipient::check_callback(shared, request)?;
    let any =
        url.is_some() || request.filled("Twiml").is_some() || request.filled("ApplicationSid").is_some();
    if required && !any {
        return Err(ApiError::bad(
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

/// Returns the errors of Twilio's magic numbers for test credentials.
fn check_magic_numbers(from: &str, to: &str) -> Result<(), ApiError> {
    let refused = |code, words: &str| Err(ApiError::bad(code, words));
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

/// Returns the call as JSON of the API.
fn resource(placed: &PlacedCall, now: i64) -> Value {
    let state = placed.at(now);
    let (account, sid) = (&placed.account, &placed.sid);
    let uri = format!("/2010-04-01/Accounts/{account}/Calls/{sid}");
    let formatted = |number: &str| {
        Phone::parse(number, None).map_or_else(|_| number.to_owned(), |phone| phone.national_format())
    };
    let minutes = state.duration().map(|seconds| (seconds + 59) / 60);
    let priced = state
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
        "status": state.status.as_str(),
        "start_time": state.started.map(rfc2822),
        "end_time": state.ended.map(rfc2822),
        "duration": state.duration().map(|seconds| seconds.to_string()),
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
        "date_updated": rfc2822(state.updated),
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
