//! The feed of events, for apps that cannot receive webhooks.

use actix_web::web;
use domain::EventType;
use gateway::webhooks::{self, standard_body};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery};
use crate::parameters::{Bounded, parsed};
use crate::query::Query;

/// Events of a page if the request has no `limit`.
const DEFAULT_LIMIT: i64 = 100;

/// Which events to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// `next_cursor` of the page before, unchanged; `latest` for the events from now on. Left out, the feed begins with the oldest event.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// The most events to return; 100 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Bounded<1, 1_000>>,
    /// Only events of these types, separated by commas.
    #[param(example = "sync.succeeded,sync.failed")]
    types: Option<String>,
}

/// A place in the feed.
#[derive(Clone, Copy)]
enum Cursor {
    Latest,
    After(i64),
}

/// The text is no cursor.
#[derive(Debug, thiserror::Error)]
#[error("must be `latest`, or `next_cursor` of an earlier page")]
pub(crate) struct CursorError;

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let position = text.parse().ok().filter(|position| *position >= 0);
        position.map(Self::After).ok_or(CursorError)
    }
}

/// A page of events, in the order in which endpoints get them.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventList {
    events: Vec<Event>,
    /// Where to read on.
    #[schema(example = "1042")]
    next_cursor: String,
}

/// An event.
#[derive(Serialize, ToSchema)]
pub(crate) struct Event {
    /// The header `webhook-id` of its deliveries.
    #[schema(example = "evt_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "sync.succeeded")]
    kind: &'static str,
    /// When it happened.
    #[schema(format = DateTime)]
    timestamp: String,
    /// What happened. It always has `environment`, and `connection_id`, `provider_config_key` and `tags` if it is about a connection.
    #[schema(value_type = Object)]
    data: Json,
}

/// Reads the environment's events in order, without holes: a reader that goes on with `next_cursor` misses none.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "webhooks", security(("api_key" = ["environment:events:read"])),
    params(EventsQuery),
    responses((status = 200, description = "The events", body = EventList), InvalidQuery)
)]
pub(crate) async fn list(
    Authorized { gateway, caller, .. }: Authorized<scope::EventsRead>,
    query: Query<EventsQuery>,
) -> Result<web::Json<EventList>, ApiError> {
    let query = query.0;
    let types = query.types.as_deref().map(types).transpose()?.unwrap_or_default();
    let position = match query.cursor {
        None => 0,
        Some(Cursor::After(position)) => position,
        Some(Cursor::Latest) => webhooks::last_position(&gateway).await?,
    };
    let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let page = webhooks::events_after(&gateway, &caller, position, types, limit).await?;
    let events = page.events.iter().map(|event| {
        let mut body = standard_body(event);
        Event {
            id: event.id.to_string(),
            kind: event.event_type.as_str(),
            timestamp: event.created_at.to_string(),
            data: body.get_mut("data").map(Json::take).unwrap_or_default(),
        }
    });
    Ok(web::Json(EventList {
        events: events.collect(),
        next_cursor: page.through.to_string(),
    }))
}

fn types(text: &str) -> Result<Vec<EventType>, ApiError> {
    let parsed = text.split(',').map(|name| name.trim().parse());
    let parsed: Result<_, _> = parsed.collect();
    parsed.map_err(|_| {
        let known: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
        let rule = format!("must be types separated by commas: {}", known.join(", "));
        ApiError::InvalidQuery(vec![gateway::FieldError::at("invalid", "types", rule)])
    })
}
