//! The phone numbers and Messaging Services of an account, with their webhook settings.

use serde_json::{Value, json};

use crate::dates::{DAY, iso8601, rfc2822};
use crate::shared::Shared;
use crate::sid::fixed;

/// Returns the SIDs of the numbers, with the numbers in E.164.
pub(crate) fn owned(shared: &Shared, account: &str) -> Vec<(String, String)> {
    let (store, _) = shared.read_of(account);
    (0..)
        .zip(&store.planner.numbers)
        .map(|(index, number)| (fixed("PN", store.planner.seed, 200 + index), format!("+{number}")))
        .collect()
}

/// Returns the SIDs of the Messaging Services. The first has every number of the account.
pub(crate) fn services(shared: &Shared, account: &str) -> Vec<String> {
    let (store, _) = shared.read_of(account);
    store.planner.services.clone()
}

/// Returns all numbers as JSON of the API.
pub(crate) fn all(shared: &Shared, account: &str) -> Vec<Value> {
    owned(shared, account)
        .into_iter()
        .enumerate()
        .map(|(index, (sid, number))| resource(shared, account, index, &sid, &number))
        .collect()
}

/// Returns the number in E.164 as JSON of the API.
pub(crate) fn with_number(shared: &Shared, account: &str, number: &str) -> Option<Value> {
    let (index, (sid, number)) = owned(shared, account)
        .into_iter()
        .enumerate()
        .find(|(_, (_, owned))| owned == number)?;
    Some(resource(shared, account, index, &sid, &number))
}

fn resource(shared: &Shared, account: &str, index: usize, sid: &str, number: &str) -> Value {
    let created = rfc2822(shared.clock.seconds() - 400 * DAY);
    let mut resource = json!({
        "sid": sid,
        "account_sid": account,
        "friendly_name": format!("Line {}", index + 1),
        "phone_number": number,
        "capabilities": {"voice": true, "sms": true, "mms": index.is_multiple_of(2), "fax": false},
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
    });
    shared.settings.apply(sid, &mut resource);
    resource
}

/// Returns a Messaging Service as JSON of the API, with links below `origin`.
pub(crate) fn service(shared: &Shared, origin: &str, account: &str, index: usize, sid: &str) -> Value {
    let created = iso8601(shared.clock.seconds() - 300 * DAY);
    let url = format!("{origin}/v1/Services/{sid}");
    let mut resource = json!({
        "sid": sid,
        "account_sid": account,
        "friendly_name": format!("Simulated service {}", index + 1),
        "inbound_request_url": null,
        "inbound_method": "POST",
        "fallback_url": null,
        "fallback_method": "POST",
        "status_callback": null,
        "sticky_sender": true,
        "mms_converter": true,
        "smart_encoding": true,
        "scan_message_content": "inherit",
        "fallback_to_long_code": false,
        "area_code_geomatch": true,
        "synchronous_validation": false,
        "validity_period": 36_000,
        "usecase": "undeclared",
        "us_app_to_person_registered": false,
        "use_inbound_webhook_on_number": true,
        "date_created": created,
        "date_updated": created,
        "url": url,
        "links": {
            "phone_numbers": format!("{url}/PhoneNumbers"),
            "short_codes": format!("{url}/ShortCodes"),
            "alpha_senders": format!("{url}/AlphaSenders"),
            "messages": format!("{url}/Messages"),
        },
    });
    shared.settings.apply(sid, &mut resource);
    resource
}

/// Returns a text field of a resource that is not empty.
pub(crate) fn text(resource: &Value, field: &str) -> Option<String> {
    resource
        .get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}
