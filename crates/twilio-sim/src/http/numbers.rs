//! `…/IncomingPhoneNumbers*`: the account's numbers.

use serde_json::{Value, json};

use crate::dates::{DAY, rfc2822};
use crate::http::page;
use crate::http::pattern::Pattern;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::shared::Shared;
use crate::sid::fixed;

/// Lists the numbers that pass the filters.
pub(crate) fn list(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let pattern = request.parameter("PhoneNumber").map(|text| Pattern::parse(&text));
    let name = request.parameter("FriendlyName");
    let text = |number: &Value, field: &str| {
        number
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let numbers = all(shared, account)
        .into_iter()
        .filter(|number| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_in(&text(number, "phone_number")))
        })
        .filter(|number| {
            name.as_ref()
                .is_none_or(|name| *name == text(number, "friendly_name"))
        })
        .collect();
    page::flat(shared, request, "incoming_phone_numbers", numbers)
}

/// One number.
pub(crate) fn fetch(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    all(shared, account)
        .iter()
        .find(|number| number.get("sid").and_then(Value::as_str) == Some(sid))
        .map(|number| ApiResponse::value(200, number))
        .ok_or_else(|| ApiError::not_found(&request.path))
}

/// Returns the SIDs of the numbers, with the numbers in E.164.
pub(crate) fn owned(shared: &Shared, account: &str) -> Vec<(String, String)> {
    let (store, _) = shared.read_of(account);
    (0..)
        .zip(&store.planner.numbers)
        .map(|(index, number)| (fixed("PN", store.planner.seed, 200 + index), format!("+{number}")))
        .collect()
}

fn all(shared: &Shared, account: &str) -> Vec<Value> {
    let created = rfc2822(shared.clock.seconds() - 400 * DAY);
    owned(shared, account)
        .into_iter()
        .enumerate()
        .map(|(index, (sid, number))| {
            json!({
                "sid": sid,
                "account_sid": account,
                "friendly_name": format!("Line {}", index + 1),
                "phone_number": number,
                "capabilities": {"voice": true, "sms": true, "mms": index % 2 == 0, "fax": false},
                "sms_url": "https://demo.twilio.com/welcome/sms/reply",
                "sms_method": "POST",
                "sms_fallback_url": "",
                "sms_fallback_method": "POST",
                "sms_application_sid": "",
                "voice_url": "https://demo.twilio.com/welcome/voice/",
                "voice_method": "POST",
                "voice_fallback_url": null,
                "voice_fallback_method": "POST",
                "voice_application_sid": null,
                "voice_caller_id_lookup": false,
                "voice_receive_mode": "voice",
                "status_callback": "",
                "status_callback_method": "POST",
                "trunk_sid": null,
                "bundle_sid": null,
                "address_sid": null,
                "address_requirements": "none",
                "identity_sid": null,
                "emergency_status": "Active",
                "emergency_address_sid": null,
                "emergency_address_status": "unregistered",
                "status": "in-use",
                "type": "local",
                "beta": false,
                "origin": "twilio",
                "api_version": "2010-04-01",
                "date_created": created,
                "date_updated": created,
                "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json"),
            })
        })
        .collect()
}
