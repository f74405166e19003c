//! Messaging v1: the account's Messaging Services, their webhook settings and their numbers.

use serde_json::{Value, json};

use crate::dates::{DAY, iso8601};
use crate::http::page;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::setting_fields::{Field, Kind, read};
use crate::numbers;
use crate::phone::Phone;
use crate::shared::Shared;

/// The settings that an update may change.
const SETTINGS: [Field; 7] = [
    Field("FriendlyName", "friendly_name", Kind::Text),
    Field("InboundRequestUrl", "inbound_request_url", Kind::Url),
    Field("InboundMethod", "inbound_method", Kind::Method),
    Field("FallbackUrl", "fallback_url", Kind::Url),
    Field("FallbackMethod", "fallback_method", Kind::Method),
    Field("StatusCallback", "status_callback", Kind::Url),
    Field(
        "UseInboundWebhookOnNumber",
        "use_inbound_webhook_on_number",
        Kind::Flag,
    ),
];

/// Lists the services.
pub(crate) fn list(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let services = numbers::services(shared, account)
        .iter()
        .enumerate()
        .map(|(index, sid)| numbers::service(shared, &origin, account, index, sid))
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
        &numbers::service(shared, &request.origin(shared), account, index, sid),
    ))
}

/// Changes the settings that the form names.
pub(crate) fn update(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    position(shared, request, account, sid)?;
    let mut changed = read(shared, request, &SETTINGS)?;
    let now = iso8601(shared.clock.seconds());
    changed.insert("date_updated".to_owned(), Value::String(now));
    shared.settings.change(sid, changed);
    fetch(shared, request, account, sid)
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

fn position(shared: &Shared, request: &ApiRequest, account: &str, sid: &str) -> Result<usize, ApiError> {
    numbers::services(shared, account)
        .iter()
        .position(|one| one == sid)
        .ok_or_else(|| ApiError::not_found(&request.path))
}
