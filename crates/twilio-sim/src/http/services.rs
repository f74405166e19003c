//! Messaging v1: the account's Messaging Services and their numbers.

use serde_json::{Value, json};

use crate::dates::{DAY, iso8601};
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::{numbers, page};
use crate::phone::Phone;
use crate::shared::Shared;

/// Lists the services.
pub(crate) fn list(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let services = sids(shared, account)
        .iter()
        .enumerate()
        .map(|(index, sid)| resource(shared, &origin, account, index, sid))
        .collect();
    page::nested(shared, request, "services", services)
}

/// One service.
pub(crate) fn fetch(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let index = position(shared, request, account, sid)?;
    Ok(ApiResponse::value(
        200,
        &resource(shared, &request.origin(shared), account, index, sid),
    ))
}

/// Lists the numbers of a service. The first service has every number of the account.
pub(crate) fn numbers(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let index = position(shared, request, account, sid)?;
    let origin = request.origin(shared);
    let created = iso8601(shared.clock.seconds() - 250 * DAY);
    let senders = numbers::owned(shared, account)
        .into_iter()
        .filter(|_| index == 0)
        .map(|(number_sid, number)| {
            json!({
                "sid": number_sid,
                "account_sid": account,
                "service_sid": sid,
                "phone_number": number,
                "country_code": Phone::parse(&number, None).map_or("US", |phone| phone.iso),
                "capabilities": ["SMS", "Voice"],
                "date_created": created,
                "date_updated": created,
                "url": format!("{origin}/v1/Services/{sid}/PhoneNumbers/{number_sid}"),
            })
        })
        .collect();
    page::nested(shared, request, "phone_numbers", senders)
}

fn sids(shared: &Shared, account: &str) -> Vec<String> {
    let (store, _) = shared.read_of(account);
    store.planner.services.clone()
}

fn position(shared: &Shared, request: &ApiRequest, account: &str, sid: &str) -> Result<usize, ApiError> {
    sids(shared, account)
        .iter()
        .position(|one| one == sid)
        .ok_or_else(|| ApiError::not_found(&request.path))
}

fn resource(shared: &Shared, origin: &str, account: &str, index: usize, sid: &str) -> Value {
    let created = iso8601(shared.clock.seconds() - 300 * DAY);
    let url = format!("{origin}/v1/Services/{sid}");
    json!({
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
    })
}
