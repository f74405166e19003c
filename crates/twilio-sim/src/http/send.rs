//! `POST …/Messages.json`: the checks in Twilio's order, its magic numbers, and the new message.

use chrono::{DateTime, Duration, Utc};

use crate::calendar::Calendar;
use crate::callbacks;
use crate::change::NewMessage;
use crate::credentials::Caller;
use crate::http::recipient;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::message::{Direction, Message};
use crate::message_store::MessageStore;
use crate::plan::Planner;
use crate::random::mix;
use crate::shared::Shared;
use crate::sid::fixed;

const LONGEST_BODY: usize = 1600;
const MOST_MEDIA: u32 = 10;

/// Sends a message.
pub(crate) fn send(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    caller: Caller,
) -> Result<ApiResponse, ApiError> {
    let mut new = check(shared, request, shared.clock.now())?;
    if caller == Caller::Test {
        check_magic_numbers(&new)?;
        let message =
            simulate_test_send(shared, account, new).ok_or_else(|| ApiError::not_found(&request.path))?;
        return Ok(ApiResponse::value(201, &message));
    }
    recipient::check(shared, new.to.as_deref().unwrap_or_default())?;
    if let (None, Some(service)) = (&new.status_callback, &new.messaging_service_sid) {
        new.status_callback = callbacks::service_status_callback(shared, account, service);
    }
    let (mut store, now) = shared.write_of(account);
    if let Some(from) = &new.from {
        own(&store.planner, from)?;
    }
    if let Some(service) = &new.messaging_service_sid
        && !store.planner.services.contains(service)
    {
        return Err(no_service());
    }
    let rank = store.insert(new, now);
    let row = store
        .key(rank)
        .and_then(|key| store.row_at(key, now))
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    let mut message = row.to_message();
    message.subresource_uris.feedback = None;
    let watched = store.next_change().is_some();
    drop(store);
    if watched {
        shared.sender.wake();
    }
    Ok(ApiResponse::value(201, &message))
}

fn check(shared: &Shared, request: &ApiRequest, now: DateTime<Utc>) -> Result<NewMessage, ApiError> {
    let to = request
        .filled("To")
        .ok_or_else(|| ApiError::bad(21604, "A 'To' phone number is required."))?;
    let body = request.filled("Body");
    let media = request.repeats("MediaUrl");
    if body.is_none() && media == 0 && request.filled("ContentSid").is_none() {
        return Err(ApiError::bad(21602, "Message body is required."));
    }
    let from = request.filled("From");
    let service = request.filled("MessagingServiceSid");
    if from.is_none() && service.is_none() {
        return Err(ApiError::bad(21603, "A 'From' phone number is required."));
    }
    if !is_address(to) {
        return Err(ApiError::bad(21211, format!("Invalid 'To' Phone Number: {to}")));
    }
    if let Some(from) = from.filter(|from| !is_address(from) && !is_sender_name(from)) {
        return Err(ApiError::bad(
            21212,
            format!("Invalid 'From' Phone Number: {from}"),
        ));
    }
    if service.is_some_and(|sid| !(sid.starts_with("MG") && sid.len() == 34)) {
        return Err(no_service());
    }
    if from == Some(to) {
        return Err(ApiError::bad(21266, "'To' and 'From' number cannot be the same"));
    }
    check_content(shared, request)?;
    if body.is_some_and(|body| body.chars().count() > LONGEST_BODY) {
        return Err(ApiError::bad(
            21617,
            "The concatenated message body exceeds the 1600 character limit.",
        ));
    }
    Ok(NewMessage {
        to: Some(to.to_owned()),
        from: from.map(str::to_owned),
        body: Some(body.unwrap_or_default().to_owned()),
        direction: Direction::OutboundApi,
        messaging_service_sid: service.map(str::to_owned),
        num_media: media,
        send_at: send_at(request, now, service.is_some())?,
        status_callback: request.filled("StatusCallback").map(str::to_owned),
        ..NewMessage::default()
    })
}

fn send_at(
    request: &ApiRequest,
    now: DateTime<Utc>,
    service: bool,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(kind) = request.filled("ScheduleType") else {
        if request.filled("SendAt").is_some() {
            return Err(ApiError::bad(20001, "ScheduleType is required with SendAt"));
        }
        return Ok(None);
    };
    if kind != "fixed" {
        return Err(ApiError::bad(
            35126,
            format!("ScheduleType '{kind}' is not supported"),
        ));
    }
    let text = request
        .filled("SendAt")
        .ok_or_else(|| ApiError::bad(35111, "SendAt parameter is required."))?;
    if !service {
        return Err(ApiError::bad(
            35118,
            "MessagingServiceSid is required to schedule a message",
        ));
    }
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|_| ApiError::bad(35114, format!("SendAt '{text}' is not a timestamp")))?
        .with_timezone(&Utc);
    let window = now + Duration::seconds(900)..=now + Duration::days(35);
    if !window.contains(&at) {
        return Err(ApiError::bad(
            35114,
            "SendAt time must be between 900 seconds and 35 days in the future",
        ));
    }
    Ok(Some(at))
}

fn no_service() -> ApiError {
    ApiError::bad(21701, "The Messaging Service does not exist.")
}

/// Checks the content: a template and its variables, media, and the status callback.
fn check_content(shared: &Shared, request: &ApiRequest) -> Result<(), ApiError> {
    if let Some(sid) = request.filled("ContentSid")
        && !(sid.starts_with("HX") && sid.len() == 34)
    {
        return Err(ApiError::bad(21655, "The ContentSid is Invalid"));
    }
    let variables = request.filled("ContentVariables").map(serde_json::from_str);
    if !matches!(variables, None | Some(Ok(serde_json::Value::Object(_)))) {
        return Err(ApiError::bad(21656, "The ContentVariables Parameter is invalid"));
    }
    if request.repeats("MediaUrl") > MOST_MEDIA {
        return Err(ApiError::bad(
            21623,
            "Number of media files exceeds allowed limit",
        ));
    }
    let media_is_fetchable = request
        .values("MediaUrl")
        .all(|text| url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")));
    if !media_is_fetchable {
        return Err(ApiError::bad(21620, "Invalid media URL(s)"));
    }
    recipient::check_callback(shared, request)
}

/// Returns whether `text` is E.164 or a short code, with or without a channel prefix.
fn is_address(text: &str) -> bool {
    let number = text.split_once(':').map_or(text, |(_, number)| number);
    let (digits, shortest) = match number.strip_prefix('+') {
        Some(digits) => (digits, 7),
        None => (number, 3),
    };
    (shortest..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_sender_name(text: &str) -> bool {
    text.len() <= 11
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
}

fn own(planner: &Planner, from: &str) -> Result<(), ApiError> {
    let number = from.split_once(':').map_or(from, |(_, number)| number);
    let Some(digits) = number.strip_prefix('+') else {
        return Ok(());
    };
    if planner.numbers.iter().any(|owned| digits.parse() == Ok(*owned)) {
        return Ok(());
    }
    if from.starts_with("whatsapp:") {
        return Err(ApiError::bad(
            63007,
            "Twilio could not find a Channel with the specified From address",
        ));
    }
    Err(ApiError::bad(
        21606,
        format!(
            "The 'From' phone number {from} is not a valid, message-capable number for the current account."
        ),
    ))
}

/// Returns the errors of Twilio's magic numbers for test credentials.
fn check_magic_numbers(new: &NewMessage) -> Result<(), ApiError> {
    let from = new.from.as_deref().unwrap_or("+15005550006");
    let to = new.to.as_deref().unwrap_or_default();
    match from {
        "+15005550006" => {}
        "+15005550001" => {
            return Err(ApiError::bad(
                21212,
                format!("Invalid 'From' Phone Number: {from}"),
            ));
        }
        "+15005550008" => {
            return Err(ApiError::bad(
                21611,
                "This 'From' number has exceeded the maximum queue size",
            ));
        }
        _ => {
            return Err(ApiError::bad(
                21606,
                format!("The 'From' phone number {from} is not valid here"),
            ));
        }
    }
    match to {
        "+15005550001" => Err(ApiError::bad(21211, format!("Invalid 'To' Phone Number: {to}"))),
        "+15005550002" => Err(ApiError::bad(
            21612,
            "The 'To' phone number is not currently reachable",
        )),
        "+15005550003" => Err(ApiError::bad(
            21408,
            "Permission to send an SMS has not been enabled for the region",
        )),
        "+15005550004" => Err(ApiError::bad(21610, "Attempt to send to unsubscribed recipient")),
        "+15005550009" => Err(ApiError::bad(21614, "'To' number is not a valid mobile number")),
        _ => Ok(()),
    }
}

/// Returns the message of a send with test credentials, which is not stored.
fn simulate_test_send(shared: &Shared, account: &str, new: NewMessage) -> Option<Message> {
    let mut scratch = MessageStore::new(
        account.to_owned(),
        Planner::new(shared.seed, shared.clock.seconds(), 0),
        Calendar::new(shared.seed, 0, shared.clock.seconds(), 1),
        shared.retention_days,
    );
    let now = shared.clock.seconds();
    let prefix = if new.num_media > 0 { "MM" } else { "SM" };
    let rank = scratch.insert(new, now);
    let mut message = scratch.row_at(scratch.key(rank)?, now)?.to_message();
    let sid = fixed(prefix, mix(shared.seed), shared.next_number());
    message.uri = message.uri.replace(&message.sid, &sid);
    message.subresource_uris.media = message.subresource_uris.media.replace(&message.sid, &sid);
    message.subresource_uris.feedback = None;
    message.sid = sid;
    Some(message)
}
