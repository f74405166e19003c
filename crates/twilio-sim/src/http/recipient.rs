//! What is the same for messages, calls and codes: recipients that cannot be reached, and where progress is to be reported.

use url::Host;

use crate::http::call::Call;
use crate::http::reply::Refusal;
use crate::shared::Shared;

/// Refuses a recipient that was made unreachable from outside.
pub(crate) fn check(shared: &Shared, to: &str) -> Result<(), Refusal> {
    match shared.unreachable(to) {
        Some(code) => Err(refusal(code, to)),
        None => Ok(()),
    }
}

fn refusal(code: u32, to: &str) -> Refusal {
    let words = match code {
        21211 => format!("Invalid 'To' Phone Number: {to}"),
        21219 => {
            format!("The number {to} is unverified. Trial accounts may only make calls to verified numbers.")
        }
        21408 => "Permission to send an SMS has not been enabled for the region".to_owned(),
        21608 => format!(
            "The number {to} is unverified. Trial accounts cannot send messages to unverified numbers."
        ),
        21610 => "Attempt to send to unsubscribed recipient".to_owned(),
        21612 => "The 'To' phone number is not currently reachable".to_owned(),
        21614 => "'To' number is not a valid mobile number".to_owned(),
        60205 => "SMS is not supported by landline phone number".to_owned(),
        60410 => "Verification delivery attempt blocked".to_owned(),
        60605 => "The destination phone number is not allowed by Verify Geo Permissions".to_owned(),
        _ => format!("The recipient {to} cannot be reached"),
    };
    let status = match code {
        60605 => 403,
        60207 | 60212 => 429,
        _ => 400,
    };
    Refusal::new(status, code, words)
}

/// Refuses a `StatusCallback` that Twilio could not call.
pub(crate) fn check_callback(call: &Call) -> Result<(), Refusal> {
    let Some(text) = call.filled("StatusCallback") else {
        return Ok(());
    };
    let public = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && match url.host() {
                Some(Host::Domain(name)) => name != "localhost" && !name.contains('_'),
                Some(Host::Ipv4(address)) => !address.is_loopback() && !address.is_private(),
                Some(Host::Ipv6(address)) => !address.is_loopback(),
                None => false,
            }
    });
    if public {
        return Ok(());
    }
    Err(Refusal::bad(
        21609,
        format!("The 'StatusCallback' URL {text} is not a valid URL."),
    ))
}
