//! Checks that messages, calls and codes share: unreachable recipients and status callbacks.

use url::Host;

use crate::http::request::ApiRequest;
use crate::http::response::ApiError;
use crate::shared::Shared;
use crate::webhooks::Address;

/// Returns an error for a recipient that a test made unreachable.
pub(crate) fn check(shared: &Shared, to: &str) -> Result<(), ApiError> {
    match shared.unreachable(to) {
        Some(code) => Err(error(code, to)),
        None => Ok(()),
    }
}

fn error(code: u32, to: &str) -> ApiError {
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
    ApiError::new(status, code, words)
}

/// Returns an error for a `StatusCallback` that Twilio could not call.
pub(crate) fn check_callback(shared: &Shared, request: &ApiRequest) -> Result<(), ApiError> {
    match request.filled("StatusCallback") {
        Some(text) if !is_reachable(shared, text) => Err(ApiError::bad(
            21609,
            format!("The 'StatusCallback' URL {text} is not a valid URL."),
        )),
        _ => Ok(()),
    }
}

/// Returns whether Twilio could call this URL: its host is public, or a test routes it or allows local ones.
pub(crate) fn is_reachable(shared: &Shared, text: &str) -> bool {
    let Some(address) = Address::parse(text) else {
        return false;
    };
    if shared.local_webhooks || shared.sender.destination(&address).is_some() {
        return true;
    }
    url::Url::parse(text).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name != "localhost" && !name.contains('_'),
        Some(Host::Ipv4(address)) => !address.is_loopback() && !address.is_private(),
        Some(Host::Ipv6(address)) => !address.is_loopback(),
        None => false,
    })
}
