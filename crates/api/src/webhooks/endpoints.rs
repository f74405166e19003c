//! Webhook endpoints: where an app receives events.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use domain::{DEFAULT_RETRY_SECONDS, EventType, Timestamp};
use gateway::webhooks::{self, EndpointBody, EndpointSecrets, EndpointView, Replay};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::deliveries::Attempt;
use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::query::{NoParameters, Query};

/// How long a replaced secret still signs, unless the request says otherwise: a day, in seconds.
const DEFAULT_OVERLAP: u64 = 86_400;

/// A webhook endpoint.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookEndpoint {
    #[schema(example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    /// Where events are sent; null only for an address of `/environment/webhooks` that is not set.
    #[schema(example = "https://app.acme.example/hooks/trunkline")]
    url: Option<String>,
    description: Option<String>,
    /// The types of events that it gets.
    #[schema(example = json!(["*"]))]
    events: Vec<String>,
    /// `standard` or `nango`.
    #[schema(example = "standard")]
    format: &'static str,
    /// Only events of connections of these integrations; null for all.
    integrations: Option<Vec<String>>,
    /// Only events of connections with all of these tags.
    tags: BTreeMap<String, String>,
    /// Whether it gets the ends of runs that changed nothing.
    unchanged_runs: bool,
    /// The names of your own headers. Their values are never shown.
    #[schema(example = json!(["authorization"]))]
    header_names: Vec<String>,
    /// Whether events of a connection arrive in order.
    ordered: bool,
    /// The waits before each attempt, in seconds.
    #[schema(example = json!([0, 5, 300]))]
    retry_seconds: Vec<u32>,
    /// How long your server may take, in seconds.
    #[schema(example = 20)]
    timeout_seconds: i64,
    /// The most deliveries in a second; null for no limit.
    rate_per_second: Option<i64>,
    /// The most deliveries at a time.
    #[schema(example = 20)]
    concurrency: i64,
    /// The public part of its ed25519 key, which verifies the `v1a` entries of signatures; null without such a key.
    public_key: Option<String>,
    /// `primary` or `secondary` if it is an address of `/environment/webhooks`, else null.
    slot: Option<&'static str>,
    /// Whether it gets deliveries.
    enabled: bool,
    /// Why it was disabled, if not by you.
    disabled_reason: Option<String>,
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// How many attempts have failed since one succeeded.
    failures: i64,
    /// When the first of these failed.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// No attempt is made before this time, because the last ones failed.
    #[schema(format = DateTime)]
    paused_until: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<EndpointView> for WebhookEndpoint {
    fn from(view: EndpointView) -> Self {
        let (row, public_key) = (view.endpoint, view.public_key);
        let shown = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let settings = row.settings;
        let keys = settings.integrations;
        Self {
            id: row.id.to_string(),
            url: settings.url,
            description: settings.description,
            events: settings.events,
            format: settings.format.as_str(),
            integrations: keys.map(|keys| keys.iter().map(ToString::to_string).collect()),
            tags: settings.tags,
            unchanged_runs: settings.unchanged_runs,
            header_names: settings.header_names,
            ordered: settings.ordered,
            retry_seconds: settings
                .retry_seconds
                .unwrap_or_else(|| DEFAULT_RETRY_SECONDS.to_vec()),
            timeout_seconds: settings
                .timeout_seconds
                .unwrap_or(webhooks::DEFAULT_TIMEOUT_SECONDS),
            rate_per_second: settings.rate_per_second,
            concurrency: settings.concurrency.unwrap_or(webhooks::DEFAULT_CONCURRENCY),
            public_key,
            slot: row.slot.map(domain::EndpointSlot::as_str),
            enabled: settings.enabled,
            disabled_reason: row.disabled_reason,
            disabled_at: shown(row.disabled_at),
            failures: row.health.failures,
            failing_since: shown(row.health.failing_since),
            paused_until: shown(row.health.paused_until),
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

/// An endpoint and its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookEndpointWithSecret {
    #[serde(flatten)]
    endpoint: WebhookEndpoint,
    /// The secret that signs deliveries; shown this once.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: String,
}

impl From<EndpointSecrets> for WebhookEndpointWithSecret {
    fn from(made: EndpointSecrets) -> Self {
        Self {
            endpoint: made.view.into(),
            secret: made.secret.expose_secret().to_owned(),
        }
    }
}

/// One endpoint.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookEndpointAnswer {
    data: WebhookEndpoint,
}

/// A new endpoint, or one with a new secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeWebhookEndpoint {
    data: WebhookEndpointWithSecret,
}

/// The endpoints of the environment, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookEndpointList {
    data: Vec<WebhookEndpoint>,
}

/// Lists the webhook endpoints of the environment, oldest first.
#[utoipa::path(
    get, path = "/webhook-endpoints", operation_id = "list_webhook_endpoints", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    responses((status = 200, description = "The endpoints", body = WebhookEndpointList), InvalidQuery)
)]
pub(crate) async fn list(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    _: Query<NoParameters>,
) -> Result<web::Json<WebhookEndpointList>, ApiError> {
    let rows = webhooks::list(&gateway, &caller).await?;
    Ok(web::Json(WebhookEndpointList {
        data: rows.into_iter().map(WebhookEndpoint::from).collect(),
    }))
}

/// Creates a webhook endpoint. It gets the events that happen from now on.
#[utoipa::path(
    post, path = "/webhook-endpoints", operation_id = "create_webhook_endpoint", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    request_body = EndpointBody,
    responses(
        (status = 201, description = "Created, with its secret, which is shown this once", body = MadeWebhookEndpoint),
        (status = 400, description = "`invalid_body`; `resource_capped` if there are 100 endpoints")
    )
)]
pub(crate) async fn create(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    body: Body<EndpointBody>,
) -> Result<HttpResponse, ApiError> {
    let made = webhooks::create(&gateway, &caller, body.0).await?;
    Ok(HttpResponse::Created().json(MadeWebhookEndpoint { data: made.into() }))
}

/// Shows a webhook endpoint.
#[utoipa::path(
    get, path = "/webhook-endpoints/{id}", operation_id = "get_webhook_endpoint", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(("id" = String, Path, description = "The endpoint", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 200, description = "The endpoint", body = WebhookEndpointAnswer), InvalidQuery, NotFound)
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    id: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<WebhookEndpointAnswer>, ApiError> {
    let found = webhooks::endpoint(&gateway, &caller, &id).await?;
    Ok(web::Json(WebhookEndpointAnswer { data: found.into() }))
}

/// Changes a webhook endpoint.
#[utoipa::path(
    patch, path = "/webhook-endpoints/{id}", operation_id = "update_webhook_endpoint", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    request_body = EndpointBody,
    responses(
        (status = 200, description = "Changed", body = WebhookEndpointAnswer),
        (status = 400, description = "`invalid_body`"),
        (status = 409, description = "`changed_meanwhile`: another request changed it; send the request again"),
        NotFound
    )
)]
pub(crate) async fn update(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    body: Body<EndpointBody>,
) -> Result<web::Json<WebhookEndpointAnswer>, ApiError> {
    let changed = webhooks::update(&gateway, &caller, &id, body.0).await?;
    Ok(web::Json(WebhookEndpointAnswer { data: changed.into() }))
}

/// Deletes a webhook endpoint with its deliveries.
#[utoipa::path(
    delete, path = "/webhook-endpoints/{id}", operation_id = "delete_webhook_endpoint", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 204, description = "Deleted"), InvalidQuery, NotFound)
)]
pub(crate) async fn delete(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<HttpResponse, ApiError> {
    webhooks::delete(&gateway, &caller, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// For how long the replaced secret still signs.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// Seconds for which deliveries bear signatures of both secrets: 0 to 604800 (7 days); a day if left out.
    #[schema(example = 86400, minimum = 0, maximum = 604_800)]
    overlap_seconds: Option<u64>,
}

/// Replaces the secret of a webhook endpoint, and its ed25519 key if it has one.
///
/// Deliveries bear signatures of the old and the new secret until the overlap ends, so that a receiver can be changed without a gap.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/rotate-secret", operation_id = "rotate_webhook_secret", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    request_body = RotateSecret,
    responses(
        (status = 200, description = "The endpoint with its new secret, which is shown this once", body = MadeWebhookEndpoint),
        (status = 400, description = "`invalid_body`"), NotFound
    )
)]
pub(crate) async fn rotate_secret(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    body: Body<RotateSecret>,
) -> Result<web::Json<MadeWebhookEndpoint>, ApiError> {
    let overlap = Duration::from_secs(body.0.overlap_seconds.unwrap_or(DEFAULT_OVERLAP));
    let made = webhooks::rotate_secret(&gateway, &caller, &id, overlap).await?;
    Ok(web::Json(MadeWebhookEndpoint { data: made.into() }))
}

/// Which example to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendExample {
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(
        pattern = "^(connection[.](created|updated|deleted|error|recovered)|sync[.](succeeded|failed)|action[.](succeeded|failed)|provider[.]event|endpoint[.]disabled)$",
        example = "sync.succeeded"
    )]
    event_type: String,
}

/// How an example was received.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExampleAnswer {
    data: Attempt,
}

/// Sends an example event to a webhook endpoint at once, signed like a real one, and shows the response. It is not stored or repeated.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/example", operation_id = "send_webhook_example", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    request_body = SendExample,
    responses(
        (status = 200, description = "How it was received, whatever the receiver responded", body = ExampleAnswer),
        (status = 400, description = "`invalid_body`"), NotFound
    )
)]
pub(crate) async fn example(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    body: Body<SendExample>,
) -> Result<web::Json<ExampleAnswer>, ApiError> {
    let event_type: EventType = body.0.event_type.parse().map_err(|_| {
        let known: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
        ApiError::invalid_body("type", &format!("must be one of {}", known.join(", ")))
    })?;
    let gateway = gateway.into_inner();
    let attempt = webhooks::send_example(&gateway, &caller, &id, event_type).await?;
    Ok(web::Json(ExampleAnswer { data: attempt.into() }))
}

/// What to send again: one of `since`, `from_change` and `status`; `since` also limits `status`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "status": "failed", "since": "2026-11-01T10:00:00Z" }))]
pub(crate) struct ReplayRequest {
    /// All events since this time, whether they were delivered or not.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// All events since the first run that wrote this change number (`_cursor`) or a later one.
    #[schema(example = 101)]
    from_change: Option<i64>,
    /// `failed`: only deliveries that failed.
    #[schema(pattern = "^failed$", example = "failed")]
    status: Option<String>,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayAnswer {
    /// How many failed deliveries begin anew; null if the endpoint goes back to an earlier event, from which all follow in order.
    replayed: Option<u64>,
}

/// Sends events to a webhook endpoint again. Each has the whole schedule of attempts, as the first time.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/replay", operation_id = "replay_webhook_endpoint", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    request_body = ReplayRequest,
    responses((status = 202, description = "Begun", body = ReplayAnswer), (status = 400, description = "`invalid_body`"), NotFound)
)]
pub(crate) async fn replay(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    body: Body<ReplayRequest>,
) -> Result<HttpResponse, ApiError> {
    let what = match (body.0.since, body.0.from_change, body.0.status.as_deref()) {
        (since, None, Some("failed")) => Replay::Failed(since),
        (_, _, Some(status)) if status != "failed" => {
            return Err(ApiError::invalid_body("status", "must be `failed`"));
        }
        (Some(since), None, None) => Replay::Since(since),
        (None, Some(change), None) => Replay::FromChange(change),
        _ => {
            let rule =
                "set one of `since`, `from_change` and `status`; only `since` and `status` go together";
            return Err(ApiError::invalid_body("since", rule));
        }
    };
    let replayed = webhooks::replay_endpoint(&gateway, &caller, &id, what).await?;
    Ok(HttpResponse::Accepted().json(ReplayAnswer { replayed }))
}
