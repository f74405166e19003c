//! Conversations v1: services and webhook configurations.

use serde_json::Value;

use crate::conversations::{account_webhooks, service, service_webhooks, services, webhooks_key};
use crate::http::page;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::http::setting_fields::{Field, Kind, read};
use crate::shared::Shared;

/// The settings that an update may change.
const SETTINGS: [Field; 4] = [
    Field("PreWebhookUrl", "pre_webhook_url", Kind::Url),
    Field("PostWebhookUrl", "post_webhook_url", Kind::Url),
    Field("Method", "method", Kind::Method),
    Field("Filters", "filters", Kind::List),
];

/// Handles a request below `/v1`.
pub(crate) fn route(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let all = services(shared, account);
    let position = |sid: &str| {
        all.iter()
            .position(|one| one == sid)
            .ok_or_else(|| ApiError::not_found(&request.path))
    };
    match (request.method.as_str(), segments) {
        ("GET", ["Services"]) => {
            let items: Vec<Value> = all
                .iter()
                .enumerate()
                .map(|(index, sid)| service(shared, &origin, account, index, sid))
                .collect();
            page::nested(shared, request, "services", items)
        }
        ("GET", ["Services", sid]) => {
            let index = position(sid)?;
            Ok(ApiResponse::value(
                200,
                &service(shared, &origin, account, index, sid),
            ))
        }
        ("GET" | "POST", ["Services", sid, "Configuration", "Webhooks"]) => {
            position(sid)?;
            if request.method == "POST" {
                shared
                    .settings
                    .change(&webhooks_key(sid), read(shared, request, &SETTINGS)?);
            }
            Ok(ApiResponse::value(
                200,
                &service_webhooks(shared, &origin, account, sid),
            ))
        }
        ("GET" | "POST", ["Configuration", "Webhooks"]) => {
            if request.method == "POST" {
                shared
                    .settings
                    .change(&webhooks_key(account), read(shared, request, &SETTINGS)?);
            }
            Ok(ApiResponse::value(
                200,
                &account_webhooks(shared, &origin, account),
            ))
        }
        _ => Err(unknown(request)),
    }
}
