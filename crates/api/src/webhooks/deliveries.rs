//! Deliveries of events to webhook endpoints.

use actix_web::{HttpResponse, web};
use domain::{DeliveryAttempt, DeliveryId, DeliveryStatus, EndpointId, EventId, Timestamp};
use gateway::webhooks::{self, DeliveryFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::parameters::{Bounded, parsed};
use crate::query::{NoParameters, Query};

/// Deliveries of a page if the request has no `limit`.
const DEFAULT_LIMIT: i64 = 100;

/// Which deliveries to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// The endpoint.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^we_[0-9a-fA-F]{32}$", example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    endpoint_id: Option<EndpointId>,
    /// `pending`, `delivered`, `failed` or `aborted`.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^(pending|delivered|failed|aborted)$", example = "failed")]
    status: Option<DeliveryStatus>,
    /// The connection that the event is about.
    #[param(example = "my-acme")]
    connection_id: Option<String>,
    /// The event.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^evt_[0-9a-fA-F]{32}$", example = "evt_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    event_id: Option<EventId>,
    /// Deliveries made since this time.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Deliveries made before this time.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The most deliveries to return; 100 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Bounded<1, 1_000>>,
    /// `next_cursor` of the page before, unchanged.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    cursor: Option<DeliveryId>,
}

/// A page of deliveries, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    deliveries: Vec<Delivery>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// A delivery of an event to an endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(crate) struct Delivery {
    #[schema(example = "dlv_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    #[schema(example = "we_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    endpoint_id: String,
    /// The event; the header `webhook-id` of every attempt.
    #[schema(example = "evt_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    event_id: String,
    #[schema(example = "sync.succeeded")]
    event_type: &'static str,
    /// The connection that the event is about, if any.
    #[schema(example = "my-acme")]
    connection_id: Option<String>,
    #[schema(example = "acme")]
    provider_config_key: Option<String>,
    /// `pending`, `delivered`, `failed` (no attempt succeeded and none is left) or `aborted` (the receiver wanted no more attempts, or the
    /// connection was deleted).
    #[schema(example = "delivered")]
    status: &'static str,
    /// How many attempts were made.
    attempts: i64,
    /// When the next attempt is due. Null if there is none, or while an earlier event of the same connection is delivered first.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

impl From<domain::Delivery> for Delivery {
    fn from(row: domain::Delivery) -> Self {
        Self {
            id: row.id.to_string(),
            endpoint_id: row.endpoint.to_string(),
            event_id: row.event.to_string(),
            event_type: row.event_type.as_str(),
            connection_id: row.connection_name,
            provider_config_key: row.integration,
            status: row.status.as_str(),
            attempts: row.attempts,
            next_attempt_at: row.due_at.map(|at| at.to_string()),
            created_at: row.created_at.to_string(),
            finished_at: row.finished_at.map(|at| at.to_string()),
        }
    }
}

/// An attempt of a delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub(crate) struct Attempt {
    /// Its number, from 1.
    #[serde(rename = "attempt")]
    number: i64,
    #[schema(format = DateTime)]
    at: String,
    duration_ms: i64,
    /// The status of the response; null if there was none.
    #[schema(example = 200)]
    status: Option<i64>,
    /// Why there was no response.
    error: Option<String>,
    /// The first 16 KB of the response's body.
    response: Option<String>,
}

impl From<DeliveryAttempt> for Attempt {
    fn from(row: DeliveryAttempt) -> Self {
        Self {
            number: row.attempt,
            at: row.at.to_string(),
            duration_ms: row.duration_ms,
            status: row.status,
            error: row.error,
            response: row.response,
        }
    }
}

/// A delivery and its attempts.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryAnswer {
    data: DeliveryWithAttempts,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDeliveryWithAttempts)]
struct DeliveryWithAttempts {
    #[serde(flatten)]
    delivery: Delivery,
    /// Its attempts, oldest first.
    attempt_list: Vec<Attempt>,
}

/// One delivery.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayedDelivery {
    data: Delivery,
}

/// Lists the deliveries of the environment, newest first.
#[utoipa::path(
    get, path = "/webhook-deliveries", operation_id = "list_webhook_deliveries", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(DeliveriesQuery),
    responses((status = 200, description = "The deliveries", body = DeliveryList), InvalidQuery, NotFound)
)]
pub(crate) async fn list(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    query: Query<DeliveriesQuery>,
) -> Result<web::Json<DeliveryList>, ApiError> {
    let query = query.0;
    let wanted = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let filter = DeliveryFilter {
        endpoint: query.endpoint_id,
        status: query.status,
        connection_name: query.connection_id,
        event: query.event_id,
        since: query.since,
        until: query.until,
        before: None,
        limit: wanted + 1,
    };
    let mut found = webhooks::list_deliveries(&gateway, &caller, filter, query.cursor).await?;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next_cursor = found.last().filter(|_| more).map(|row| row.id.to_string());
    Ok(web::Json(DeliveryList {
        deliveries: found.into_iter().map(Delivery::from).collect(),
        next_cursor,
    }))
}

/// Shows a delivery and its attempts.
#[utoipa::path(
    get, path = "/webhook-deliveries/{id}", operation_id = "get_webhook_delivery", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(("id" = String, Path, description = "The delivery", example = "dlv_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 200, description = "The delivery", body = DeliveryAnswer), InvalidQuery, NotFound)
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    id: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<DeliveryAnswer>, ApiError> {
    let (row, attempts) = webhooks::delivery(&gateway, &caller, &id).await?;
    Ok(web::Json(DeliveryAnswer {
        data: DeliveryWithAttempts {
            delivery: row.into(),
            attempt_list: attempts.into_iter().map(Attempt::from).collect(),
        },
    }))
}

/// Sends a delivery again, whatever its state, with the whole schedule of attempts.
#[utoipa::path(
    post, path = "/webhook-deliveries/{id}/replay", operation_id = "replay_webhook_delivery", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The delivery", example = "dlv_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 202, description = "Begun", body = ReplayedDelivery), InvalidQuery, NotFound)
)]
pub(crate) async fn replay(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<HttpResponse, ApiError> {
    let row = webhooks::replay_delivery(&gateway, &caller, &id).await?;
    Ok(HttpResponse::Accepted().json(ReplayedDelivery { data: row.into() }))
}
