//! Actions: triggered, and their results; the shapes are those of Nango's API.

pub(crate) mod short;

use actix_web::http::header::{HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use gateway::{ActionOutput, ActionRequest, Gateway, GatewayError, MAX_RETRIES, StoredAction};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Caller, scope};
use crate::error::ApiError;

/// Says that an answer is that of an earlier request with the same key.
const REPLAYED: &str = "Idempotency-Replayed";

/// Which action, and what it is given.
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

/// An action is stored and will be carried out.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoredAnswer {
    /// By which its result can be asked for.
    #[schema(example = "0d9f6f0e-2f6c-4e2b-9a38-0a6d7a1e5c11")]
    id: String,
    /// Where its result will be.
    #[serde(rename = "statusUrl")]
    #[schema(example = "/action/0d9f6f0e-2f6c-4e2b-9a38-0a6d7a1e5c11")]
    status_url: String,
}

/// How a caller wants an action to be carried out.
pub(crate) struct Wishes {
    /// Stored and carried out later, with so many repetitions.
    later: Option<i64>,
    key: Option<String>,
}

impl Wishes {
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
            later: later.then_some(retries),
            key: text(headers, "Idempotency-Key"),
        })
    }

    /// Carries the action out, or stores it.
    pub(crate) async fn carry_out(
        self,
        caller: &gateway::Caller,
        gateway: &Gateway,
        mut request: ActionRequest,
    ) -> Result<HttpResponse, GatewayError> {
        request.key = self.key;
        match self.later {
            None => {
                let done = gateway.actions().trigger(caller, request).await?;
                Ok(output(&done))
            }
            Some(retries) => {
                let stored = gateway.actions().enqueue(caller, request, retries).await?;
                Ok(accepted(&stored))
            }
        }
    }
}

fn output(done: &ActionOutput) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if done.replayed {
        response.insert_header((REPLAYED, "true"));
    }
    response.json(&done.output)
}

fn accepted(stored: &StoredAction) -> HttpResponse {
    let id = stored.id.to_string();
    let status_url = format!("/action/{id}");
    let mut response = HttpResponse::Accepted();
    response.insert_header((LOCATION, status_url.as_str()));
    if stored.replayed {
        response.insert_header((REPLAYED, "true"));
    }
    response.json(StoredAnswer { id, status_url })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| {
        let bytes = String::from_utf8_lossy(value.as_bytes());
        bytes.trim().to_owned()
    })
}

/// Carries out an action: sends a message, looks a number up, whatever the provider's file declares.
///
/// With `X-Async: true` it is stored and carried out by a worker, side by side with others, even if Trunkline is restarted
/// meanwhile. With an `Idempotency-Key` the same request again gets the first answer and nothing is done twice. What the answer
/// changes in a table of synced records is there at once.
#[utoipa::path(
    post, path = "/action/trigger", operation_id = "trigger_action", tag = "actions", security(("api_key" = ["environment:actions:execute"])),
    params(
        ("Provider-Config-Key" = String, Header, description = "The integration's key", example = "acme"),
        ("Connection-Id" = String, Header, description = "The connection", example = "my-acme"),
        ("X-Async" = Option<bool>, Header, description = "Store it and answer at once"),
        ("X-Max-Retries" = Option<i64>, Header, minimum = 0, maximum = 5, description = "With `X-Async`: how often it is tried again, if it is known that nothing was done or if it may be repeated"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters of your choice, kept for five days with the answer"),
    ),
    request_body = TriggerActionBody,
    responses(
        (status = 200, description = "What the action answered: any JSON. The header `Idempotency-Replayed` says that it is the answer of an earlier request", body = serde_json::Value),
        (status = 202, description = "Stored; the header `Location` says where the result will be", body = StoredAnswer),
        (status = 400, description = "`invalid_body` with each input that is wrong, `invalid_headers`, `missing_provider_config_key`, `missing_connection_id`, `unknown_provider` or `unknown_connection`"),
        (status = 404, description = "`not_found`: the provider has no such action"),
        (status = 409, description = "`idempotency_key_in_use`: the first request with this key is under way"),
        (status = 422, description = "`idempotency_key_reused`: the key was used with another input"),
        (status = 429, description = "`rate_limited`: the provider, or its limits, takes no more calls just now; nothing was done, see the header `Retry-After`"),
        (status = 424, description = "The provider refused (`script_http_error`, with its answer in `upstream`), nobody knows whether it was carried out (`action_outcome_unknown`), the call cannot be made or its answer not be used (`action_failed`), or the first answer was too large to be stored (`action_answer_too_large`)")
    )
)]
pub(crate) async fn trigger(
    caller: Caller<scope::ActionsExecute>,
    gateway: web::Data<Gateway>,
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
    Wishes::of(headers)?
        .carry_out(&caller, &gateway, wanted)
        .await
        .map_err(ApiError::triggering)
}

/// What an action answered that was triggered with `X-Async: true`.
///
/// Results are kept for five days. While the action is not done this is 404, as Nango's SDKs expect; `payload.status` then tells
/// it from one that is not known.
#[utoipa::path(
    get, path = "/action/{id}", operation_id = "get_action_result", tag = "actions", security(("api_key" = ["environment:actions:execute"])),
    params(("id" = String, Path, description = "The action", example = "0d9f6f0e-2f6c-4e2b-9a38-0a6d7a1e5c11")),
    responses(
        (status = 200, description = "What the action answered: any JSON", body = serde_json::Value),
        (status = 404, description = "`not_found`: not done yet, with `payload.status` `queued` or `running`; or not known"),
        (status = 424, description = "It failed: `script_http_error`, `provider_unavailable`, `rate_limited`, `action_outcome_unknown`, `action_failed` or `action_answer_too_large`")
    )
)]
pub(crate) async fn result(
    caller: Caller<scope::ActionsExecute>,
    gateway: web::Data<Gateway>,
    id: web::Path<String>,
) -> Result<web::Json<Json>, ApiError> {
    Ok(web::Json(gateway.actions().result(&caller, &id).await?))
}
