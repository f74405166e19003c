//! Events that providers sent, and the address of a connection.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use domain::{IncomingEvent, IncomingEventId, IncomingStatus, IntegrationKey};
use gateway::webhooks::{self, IncomingFilter};
use gateway::{Names, Scope};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::subscriptions::ConnectionQuery;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::parameters::{Bounded, parsed};
use crate::providers::PublicUrl;
use crate::query::{NoParameters, Query};

/// Events of a page if the request has no `limit`.
const DEFAULT_LIMIT: i64 = 100;

/// Which events to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncomingQuery {
    /// The integration.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, example = "acme")]
    integration: Option<IntegrationKey>,
    /// `pending`, `processed`, `unmatched` or `failed`.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^(pending|processed|unmatched|failed)$", example = "unmatched")]
    status: Option<IncomingStatus>,
    /// The connection.
    #[param(example = "my-acme")]
    connection_id: Option<String>,
    /// The most events to return; 100 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Bounded<1, 1_000>>,
    /// `next_cursor` of the page before, unchanged.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    cursor: Option<IncomingEventId>,
}

/// A page of events of providers, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncomingList {
    events: Vec<IncomingView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// An event that a provider sent.
#[derive(Serialize, ToSchema)]
#[schema(as = IncomingWebhook)]
pub(crate) struct IncomingView {
    #[schema(example = "whe_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    #[schema(example = "acme")]
    provider_config_key: String,
    #[schema(example = "acme")]
    provider: String,
    /// The connection that it is for; null if none fits.
    #[schema(example = "my-acme")]
    connection_id: Option<String>,
    /// `pending`, `processed`, `unmatched` (no connection fits: replay it once one does) or `failed`.
    #[schema(example = "processed")]
    status: &'static str,
    /// Whether its signature was verified. Only an event that fits no connection may wait without.
    verified: bool,
    /// What kind of event the provider says it is.
    #[serde(rename = "type")]
    #[schema(example = "order.updated")]
    event_type: Option<String>,
    /// How often it was tried.
    attempts: i64,
    /// Why it is not processed.
    error: Option<String>,
    #[schema(format = DateTime)]
    received_at: String,
    #[schema(format = DateTime)]
    processed_at: Option<String>,
}

impl From<IncomingEvent> for IncomingView {
    fn from(row: IncomingEvent) -> Self {
        Self {
            id: row.id.to_string(),
            provider_config_key: row.integration.to_string(),
            provider: row.provider.to_string(),
            connection_id: row.connection_name,
            status: row.status.as_str(),
            verified: row.verified,
            event_type: row.event_type,
            attempts: row.attempts,
            error: row.error,
            received_at: row.received_at.to_string(),
            processed_at: row.processed_at.map(|at| at.to_string()),
        }
    }
}

/// An event and its request.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncomingAnswer {
    data: IncomingWithRequest,
}

#[derive(Serialize, ToSchema)]
#[schema(as = IncomingWebhookWithRequest)]
struct IncomingWithRequest {
    #[serde(flatten)]
    event: IncomingView,
    /// The headers that the provider's file reads, by their names in lower case.
    headers: BTreeMap<String, String>,
    /// The body as text; null once it was erased with its connection.
    body: Option<String>,
}

/// One event.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayedIncoming {
    data: IncomingView,
}

/// Lists the events that providers sent, newest first.
#[utoipa::path(
    get, path = "/webhook-events", operation_id = "list_incoming_webhooks", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(IncomingQuery),
    responses((status = 200, description = "The events", body = IncomingList), InvalidQuery, NotFound)
)]
pub(crate) async fn list(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    query: Query<IncomingQuery>,
) -> Result<web::Json<IncomingList>, ApiError> {
    let query = query.0;
    let wanted = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let filter = IncomingFilter {
        integration: query.integration,
        status: query.status,
        connection_name: query.connection_id,
        before: None,
        limit: wanted + 1,
    };
    let mut found = webhooks::list_incoming(&gateway, &caller, filter, query.cursor).await?;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next_cursor = found.last().filter(|_| more).map(|row| row.id.to_string());
    Ok(web::Json(IncomingList {
        events: found.into_iter().map(IncomingView::from).collect(),
        next_cursor,
    }))
}

/// Shows an event that a provider sent.
#[utoipa::path(
    get, path = "/webhook-events/{id}", operation_id = "get_incoming_webhook", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(("id" = String, Path, description = "The event", example = "whe_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 200, description = "The event", body = IncomingAnswer), InvalidQuery, NotFound)
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    id: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<IncomingAnswer>, ApiError> {
    let found = webhooks::incoming_event(&gateway, &caller, &id).await?;
    let body = found.request.body;
    Ok(web::Json(IncomingAnswer {
        data: IncomingWithRequest {
            event: found.event.into(),
            headers: found.request.headers,
            body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
        },
    }))
}

/// Processes an event again, whatever its state. One without a connection gets the connection that fits it by now.
#[utoipa::path(
    post, path = "/webhook-events/{id}/replay", operation_id = "replay_incoming_webhook", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(("id" = String, Path, description = "The event", example = "whe_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 202, description = "Begun", body = ReplayedIncoming), InvalidQuery, NotFound)
)]
pub(crate) async fn replay(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    id: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<HttpResponse, ApiError> {
    let row = webhooks::replay_incoming(&gateway, &caller, &id).await?;
    Ok(HttpResponse::Accepted().json(ReplayedIncoming { data: row.into() }))
}

/// The address of a connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct AddressAnswer {
    data: AddressView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAddress)]
struct AddressView {
    /// Where the provider sends the connection's events. Its last part is random: keep it like a key.
    #[schema(example = "https://trunkline.example.org/webhook/JzYyM0cWw0dGJrRkQxN3c0bWZ0c2x1ZWJvcm5lc2Vhbg")]
    url: String,
    /// Where in the provider people enter the address.
    setup: Option<String>,
    /// Whether the provider signs what it sends.
    signed: bool,
    /// The secret that the provider sent when it tested the address, to be entered there. Null if it sent none, and for keys without the scope
    /// `environment:webhooks:write`.
    challenge_secret: Option<String>,
}

/// Shows the address at which a provider sends the events of one connection. It is made when it is first asked for, and stays the same.
#[utoipa::path(
    get, path = "/{integration}/webhooks/address", operation_id = "get_webhook_address", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(ConnectionQuery),
    responses(
        (status = 200, description = "The address", body = AddressAnswer),
        InvalidQuery,
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`, or `not_found` if the provider sends no webhooks")
    )
)]
pub(crate) async fn address(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    url: web::Data<PublicUrl>,
    integration: web::Path<String>,
    query: Query<ConnectionQuery>,
) -> Result<web::Json<AddressAnswer>, ApiError> {
    let names = Names::of(&caller, &integration, &query.0.connection);
    let found = webhooks::own_address(&gateway, names).await?;
    Ok(web::Json(AddressAnswer {
        data: AddressView {
            url: format!("{}{}", url.0, found.path.expose_secret()),
            setup: found.setup,
            signed: found.signed,
            challenge_secret: found
                .challenge_secret
                .filter(|_| caller.may(Scope::WebhooksWrite))
                .map(|secret| secret.expose_secret().to_owned()),
        },
    }))
}
