//! Actions: run now or later, and their results. The shapes are those of Nango's API.

pub(crate) mod short;

use actix_web::http::header::{HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use gateway::{ActionRequest, GatewayError, MAX_RETRIES, actions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;

/// The action to run, and its input.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "action_name": "send-message",
    "input": { "to": "+15551234567", "from": "+15557654321", "body": "Your table is booked." },
}))]
pub(crate) struct TriggerActionBody {
    /// The action's name.
    #[schema(example = "send-message")]
    action_name: String,
    /// Its inputs. Each provider's short routes list those of its actions.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    input: Option<Map<String, Json>>,
}

/// An action that is stored and will run.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoredAnswer {
    /// The id by which its result can be read.
    #[schema(example = "0d9f6f0e-2f6c-4e2b-9a38-0a6d7a1e5c11")]
    id: String,
    /// The path of its result.
    #[serde(rename = "statusUrl")]
    #[schema(example = "/action/0d9f6f0e-2f6c-4e2b-9a38-0a6d7a1e5c11")]
    status_url: String,
}

/// How the headers of a request say that an action is to run.
pub(crate) struct RunOptions {
    /// If the action is stored and runs later: the most retries.
    retries_later: Option<i64>,
    key: Option<String>,
}

impl RunOptions {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let wrong = |name, message| ApiError::from(GatewayError::InvalidHeader { name, message });
        let later = match text(headers, "X-Async").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("X-Async", "must be true or false")),
        };
        let retries = match text(headers, "X-Max-Retries") {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|retries| (0..=MAX_RETRIES).contains(retries))
                .ok_or_else(|| wrong("X-Max-Retries", "must be a whole number from 0 to 5"))?,
        };
        Ok(Self {
            retries_later: later.then_some(retries),
            key: text(headers, "Idempotency-Key"),
        })
    }

    /// Runs the action, or stores it.
    pub(crate) async fn run(
        self,
        Authorized { gateway, caller, .. }: Authorized<scope::ActionsExecute>,
        mut request: ActionRequest,
    ) -> Result<HttpResponse, GatewayError> {
        request.key = self.key;
        let Some(retries) = self.retries_later else {
            let done = actions::trigger(&gateway, &caller, request).await?;
            return Ok(mark_replayed(HttpResponse::Ok(), done.replayed).json(done.output));
        };
        let stored = actions::enqueue(&gateway, &caller, request, retries).await?;
        let id = stored.id.to_string();
        let status_url = format!("/action/{id}");
        Ok(mark_replayed(HttpResponse::Accepted(), stored.replayed)
            .insert_header((LOCATION, status_url.as_str()))
            .json(StoredAnswer { id, status_url }))
    }
}

/// Marks the response if it is that of an earlier request with the same key.
fn mark_replayed(mut response: HttpResponseBuilder, replayed: bool) -> HttpResponseBuilder {
    if replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    response
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| {
        let bytes = String::from_utf8_lossy(value.as_bytes());
        bytes.trim().to_owned()
    })
}

/// Runs an action: sends a message, looks a number up, whatever the provider's file declares.
///
/// With `X-Async: true` the action is stored, and a worker runs it in parallel with others, even if Trunkline restarts meanwhile. With an
/// `Idempotency-Key`, a repeated request gets the first response, and nothing is done twice. What the response changes in a table of
/// synced records is there at once.
#[utoipa::path(
    post, path = "/action/trigger", operation_id = "trigger_action", tag = "actions", security(("api_key" = ["environment:actions:execute"])),
    params(
        ("Provider-Config-Key" = String, Header, description = "The integration's key", example = "acme"),
        ("Connection-Id" = String, Header, description = "The connection", example = "my-acme"),
        ("X-Async" = Option<bool>, Header, description = "Whether to store the action and respond at once"),
        ("X-Max-Retries" = Option<i64>, Header, minimum = 0, maximum = 5, description = "With `X-Async`: the most retries, which happen only if nothing was done or the action may be repeated"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters of your choice, stored with the response for five days"),
    ),
    request_body = TriggerActionBody,
    responses(
        (status = 200, description = "The result of the action: any JSON. The header `Idempotency-Replayed` marks the response of an earlier request", body = serde_json::Value),
        (status = 202, description = "Stored; the header `Location` has the path of the result", body = StoredAnswer),
        (status = 400, description = "`invalid_body` with each input that is wrong, `invalid_headers`, `missing_provider_config_key`, `missing_connection_id`, `unknown_provider` or `unknown_connection`"),
        (status = 404, description = "`not_found`: the provider has no such action"),
        (status = 409, description = "`idempotency_key_in_use`: the first request with this key is still in progress"),
        (status = 422, description = "`idempotency_key_reused`: the key was used with another input"),
        (status = 429, description = "`rate_limited`: the limits of the provider are reached; nothing was done, see the header `Retry-After`"),
        (status = 424, description = "The provider refused (`script_http_error`, with its response in `upstream`), it is not known whether the action ran (`action_outcome_unknown`), the request cannot be made or its response cannot be used (`action_failed`), or the first response was too large to be stored (`action_answer_too_large`)")
    )
)]
pub(crate) async fn trigger(
    authorized: Authorized<scope::ActionsExecute>,
    request: HttpRequest,
    body: Body<TriggerActionBody>,
) -> Result<HttpResponse, ApiError> {
    let headers = request.headers();
    let integration = text(headers, "Provider-Config-Key").ok_or(ApiError::MissingIntegration)?;
    let connection = text(headers, "Connection-Id").ok_or(ApiError::MissingConnection)?;
    let wanted = ActionRequest {
        integration,
        connection,
        action: body.0.action_name,
        input: body.0.input.unwrap_or_default(),
        within: Some("input"),
        key: None,
    };
    RunOptions::of(headers)?
        .run(authorized, wanted)
        .await
        .map_err(ApiError::action)
}

/// Returns the result of an action that was triggered with `X-Async: true`.
///
/// Results are kept for five days. Until the action has ended the status is 404, as Nango's SDKs expect, and `payload.status` says that
/// it is known.
#[utoipa::path(
    get, path = "/action/{id}", operation_id = "get_action_result", tag = "actions", security(("api_key" = ["environment:actions:execute"])),
    params(("id" = String, Path, description = "The action", example = "0d9f6f0e-2f6c-4e2b-9a38-0a6d7a1e5c11")),
    responses(
        (status = 200, description = "The result of the action: any JSON", body = serde_json::Value),
        (status = 404, description = "`not_found`: not ended yet, with `payload.status` `queued` or `running`; or not known"),
        (status = 424, description = "It failed: `script_http_error`, `provider_unavailable`, `rate_limited`, `action_outcome_unknown`, `action_failed` or `action_answer_too_large`")
    )
)]
pub(crate) async fn result(
    Authorized { gateway, caller, .. }: Authorized<scope::ActionsExecute>,
    id: web::Path<String>,
) -> Result<web::Json<Json>, ApiError> {
    Ok(web::Json(actions::result(&gateway, &caller, &id).await?))
}
