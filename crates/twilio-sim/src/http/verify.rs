//! Verify v2: services, sent codes and checks of codes.

use serde_json::{Value, json};

use crate::dates::{DAY, iso8601};
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::{page, recipient};
use crate::phone::is_e164;
use crate::shared::Shared;
use crate::verification::{Ending, TooMany, Verification, VerifyService, services as services_of};

/// Lists the account's services.
pub(crate) fn services(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let services = all(shared, account)
        .iter()
        .map(|service| service_resource(shared, &origin, account, service))
        .collect();
    page::nested(shared, request, "services", services)
}

/// One service.
pub(crate) fn service(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let service = find(shared, request, account, sid)?;
    let origin = request.origin(shared);
    Ok(ApiResponse::value(
        200,
        &service_resource(shared, &origin, account, &service),
    ))
}

/// Sends a code.
pub(crate) fn send(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let service = find(shared, request, account, sid)?;
    let to = required(request, "To")?;
    let channel = required(request, "Channel")?;
    let fits = match channel {
        "sms" | "call" | "whatsapp" => is_e164(to),
        "email" => to
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
        _ => return Err(invalid("Channel", channel)),
    };
    if !fits {
        return Err(invalid("To", to));
    }
    if request.filled("CustomCode").is_some() || request.filled("CustomFriendlyName").is_some() {
        return Err(ApiError::new(403, 60204, "Service does not support this feature"));
    }
    recipient::check(shared, to)?;
    let now = shared.clock.seconds();
    let mut verifications = shared.verifications();
    let sent = verifications
        .send(shared.seed, &service, to, channel, now)
        .map_err(|many| too_many(60203, "Max send attempts reached", many))?;
    Ok(ApiResponse::value(
        201,
        &resource(shared, request, account, sent, now),
    ))
}

/// Returns a live verification.
pub(crate) fn fetch(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
    name: &str,
) -> Result<ApiResponse, ApiError> {
    find(shared, request, account, sid)?;
    let now = shared.clock.seconds();
    let mut verifications = shared.verifications();
    let one = verifications
        .live(sid, name, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    Ok(ApiResponse::value(
        200,
        &resource(shared, request, account, one, now),
    ))
}

/// Cancels a verification or approves it without a code.
pub(crate) fn update(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
    name: &str,
) -> Result<ApiResponse, ApiError> {
    find(shared, request, account, sid)?;
    let ending = match required(request, "Status")? {
        "canceled" => Ending::Canceled,
        "approved" => Ending::Approved,
        other => return Err(invalid("Status", other)),
    };
    let now = shared.clock.seconds();
    let mut verifications = shared.verifications();
    let one = verifications
        .live(sid, name, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    one.end(ending, now);
    Ok(ApiResponse::value(
        200,
        &resource(shared, request, account, one, now),
    ))
}

/// Checks a code. An approved, expired or unknown verification is a 404 without a reason.
pub(crate) fn check(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    find(shared, request, account, sid)?;
    let code = required(request, "Code")?;
    let name = request
        .filled("VerificationSid")
        .or_else(|| request.filled("To"))
        .ok_or_else(|| ApiError::bad(60200, "Either 'To' or 'VerificationSid' is required"))?;
    let now = shared.clock.seconds();
    let mut verifications = shared.verifications();
    let one = verifications
        .live(sid, name, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    one.check(code, now)
        .map_err(|many| too_many(60202, "Max check attempts reached", many))?;
    // The response to the fifth wrong code is still `pending`; only the sixth check is an error.
    let status = if one.status(now) == "approved" {
        "approved"
    } else {
        "pending"
    };
    // Twilio documents 201, but its API returns 200 (twilio-oai#117).
    Ok(ApiResponse::value(
        200,
        &json!({
            "sid": one.sid,
            "service_sid": sid,
            "account_sid": account,
            "to": one.to,
            "channel": one.channel(),
            "status": status,
            "valid": status == "approved",
            "amount": null,
            "payee": null,
            "sna_attempts_error_codes": [],
            "date_created": iso8601(one.created),
            "date_updated": iso8601(one.updated),
        }),
    ))
}

fn all(shared: &Shared, account: &str) -> [VerifyService; 2] {
    let (store, _) = shared.read_of(account);
    services_of(store.planner.seed)
}

fn find(shared: &Shared, request: &ApiRequest, account: &str, sid: &str) -> Result<VerifyService, ApiError> {
    all(shared, account)
        .into_iter()
        .find(|service| service.sid == sid)
        .ok_or_else(|| ApiError::not_found(&request.path))
}

fn required<'a>(request: &'a ApiRequest, name: &str) -> Result<&'a str, ApiError> {
    request.filled(name).ok_or_else(|| {
        ApiError::bad(
            20001,
            format!("Missing required parameter {name} in the post body"),
        )
    })
}

fn invalid(name: &str, value: &str) -> ApiError {
    ApiError::bad(60200, format!("Invalid parameter `{name}`: {value}"))
}

fn too_many(code: u32, words: &str, many: TooMany) -> ApiError {
    ApiError::new(429, code, words).retry_after(many.seconds)
}

fn resource(shared: &Shared, request: &ApiRequest, account: &str, one: &Verification, now: i64) -> Value {
    let (service, sid, origin) = (&one.service, &one.sid, request.origin(shared));
    let attempts: Vec<_> = one
        .attempts
        .iter()
        .map(|attempt| json!({"attempt_sid": attempt.sid, "channel": attempt.channel, "time": iso8601(attempt.at)}))
        .collect();
    let status = one.status(now);
    json!({
        "sid": sid,
        "service_sid": service,
        "account_sid": account,
        "to": one.to,
        "channel": one.channel(),
        "status": status,
        "valid": status == "approved",
        "date_created": iso8601(one.created),
        "date_updated": iso8601(one.updated),
        "lookup": {"carrier": null},
        "amount": null,
        "payee": null,
        "send_code_attempts": attempts,
        "sna": null,
        "url": format!("{origin}/v2/Services/{service}/Verifications/{sid}"),
    })
}

fn service_resource(shared: &Shared, origin: &str, account: &str, service: &VerifyService) -> Value {
    let created = iso8601(shared.clock.seconds() - 200 * DAY);
    let url = format!("{origin}/v2/Services/{}", service.sid);
    let link = |name: &str| format!("{url}/{name}");
    json!({
        "sid": service.sid,
        "account_sid": account,
        "friendly_name": service.name,
        "code_length": service.code_length,
        "lookup_enabled": false,
        "psd2_enabled": false,
        "skip_sms_to_landlines": false,
        "dtmf_input_required": false,
        "tts_name": null,
        "do_not_share_warning_enabled": false,
        "custom_code_enabled": false,
        "push": {"include_date": false, "apn_credential_sid": null, "fcm_credential_sid": null},
        "totp": {"issuer": service.name, "time_step": 30, "code_length": 6, "skew": 1},
        "default_template_sid": null,
        "whatsapp": {"msg_service_sid": null, "from": null},
        "verify_event_subscription_enabled": false,
        "date_created": created,
        "date_updated": created,
        "url": url,
        "links": {
            "verifications": link("Verifications"),
            "verification_checks": link("VerificationCheck"),
            "rate_limits": link("RateLimits"),
            "messaging_configurations": link("MessagingConfigurations"),
            "entities": link("Entities"),
            "webhooks": link("Webhooks"),
            "access_tokens": link("AccessTokens"),
        },
    })
}
