//! `…/IncomingPhoneNumbers*`: the account's numbers and their webhook settings.

use serde_json::Value;

use crate::http::page;
use crate::http::pattern::Pattern;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::setting_fields::{Field, Kind, read};
use crate::numbers::all;
use crate::shared::Shared;

/// The settings that an update may change.
const SETTINGS: [Field; 14] = [
    Field("FriendlyName", "friendly_name", Kind::Text),
    Field("SmsUrl", "sms_url", Kind::Url),
    Field("SmsMethod", "sms_method", Kind::Method),
    Field("SmsFallbackUrl", "sms_fallback_url", Kind::Url),
    Field("SmsFallbackMethod", "sms_fallback_method", Kind::Method),
    Field("SmsApplicationSid", "sms_application_sid", Kind::Text),
    Field("VoiceUrl", "voice_url", Kind::Url),
    Field("VoiceMethod", "voice_method", Kind::Method),
    Field("VoiceFallbackUrl", "voice_fallback_url", Kind::Url),
    Field("VoiceFallbackMethod", "voice_fallback_method", Kind::Method),
    Field("VoiceApplicationSid", "voice_application_sid", Kind::Text),
    Field("StatusCallback", "status_callback", Kind::Url),
    Field("StatusCallbackMethod", "status_callback_method", Kind::Method),
    Field("VoiceCallerIdLookup", "voice_caller_id_lookup", Kind::Flag),
];

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

/// Changes the settings that the form names.
pub(crate) fn update(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    fetch(shared, request, account, sid)?;
    let mut changed = read(shared, request, &SETTINGS)?;
    let now = crate::dates::rfc2822(shared.clock.seconds());
    changed.insert("date_updated".to_owned(), Value::String(now));
    shared.settings.change(sid, changed);
    fetch(shared, request, account, sid)
}
