//! Webhooks to the app: endpoints, deliveries of events to them, and their attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{EnvironmentId, Event, EventId, EventType, Id, IdKind, IntegrationKey, RowId, Timestamp};

/// An endpoint's id, `we_…`.
pub type EndpointId = Id<Endpoint>;
/// A delivery's id, `dlv_…`.
pub type DeliveryId = Id<Delivery>;

impl IdKind for Endpoint {
    const PREFIX: &'static str = "we";
}

impl IdKind for Delivery {
    const PREFIX: &'static str = "dlv";
}

/// The waits before each attempt of a delivery, in seconds, from the one before: those of Standard Webhooks 1.0.0.
pub const DEFAULT_RETRY_SECONDS: [u32; 10] =
    [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The form of the bodies that an endpoint receives. The words are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum WebhookFormat {
    /// `{type, timestamp, data}`, as Standard Webhooks recommends.
    Standard,
    /// The bodies of Nango's webhooks.
    Nango,
}

impl WebhookFormat {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it has a body for events of this type.
    pub const fn has(self, event_type: EventType) -> bool {
        match self {
            Self::Standard => true,
            Self::Nango => !matches!(
                event_type,
                EventType::ConnectionDeleted | EventType::ConnectionRecovered | EventType::EndpointDisabled
            ),
        }
    }
}

/// Which of the two addresses of Nango's API an endpoint is. The words are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum EndpointSlot {
    /// `primary_url`. It also gets the events of connections that have a URL of their own.
    Primary,
    /// `secondary_url`.
    Secondary,
}

impl EndpointSlot {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What an app sets of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSettings {
    /// Where deliveries go. `None` only for an endpoint with a slot.
    pub url: Option<String>,
    /// The app's description.
    pub description: Option<String>,
    /// The form of the bodies.
    pub format: WebhookFormat,
    /// The types of events that it gets: a type, a prefix with `.*`, or `*` for all.
    pub events: Vec<String>,
    /// The integrations whose events it gets; `None` for all.
    pub integrations: Option<Vec<IntegrationKey>>,
    /// The tags that the event's connection must have.
    pub tags: BTreeMap<String, String>,
    /// Whether it gets the ends of runs that changed nothing.
    pub unchanged_runs: bool,
    /// The names of its own headers. The values are sealed.
    pub header_names: Vec<String>,
    /// Whether an event waits until earlier ones of its connection are delivered or have failed for good.
    pub ordered: bool,
    /// The waits before each attempt, in seconds; `None` for [`DEFAULT_RETRY_SECONDS`].
    pub retry_seconds: Option<Vec<u32>>,
    /// How long the receiver may take, in seconds; `None` for the default.
    pub timeout_seconds: Option<i64>,
    /// The most deliveries in a second; `None` for no limit.
    pub rate_per_second: Option<i64>,
    /// The most deliveries at a time; `None` for the default.
    pub concurrency: Option<i64>,
    /// Whether it gets deliveries.
    pub enabled: bool,
}

/// An endpoint: where an app receives events.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its row number.
    pub number: RowId<Endpoint>,
    /// Its id.
    pub id: EndpointId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// Which address of Nango's API it is, if any.
    pub slot: Option<EndpointSlot>,
    /// What the app set.
    pub settings: EndpointSettings,
    /// Why it was disabled, if not by the app.
    pub disabled_reason: Option<String>,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// How its last deliveries went.
    pub health: EndpointHealth,
    /// The position of the last event that was considered for it.
    pub position: i64,
    /// Events up to this position are delivered again, even if they were delivered before.
    pub replay_to: Option<i64>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the app last changed it.
    pub updated_at: Timestamp,
}

/// How the last deliveries of an endpoint went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    /// How many attempts have failed since one succeeded.
    pub failures: i64,
    /// When the first of them failed.
    pub failing_since: Option<Timestamp>,
    /// No attempt is made before this time.
    pub paused_until: Option<Timestamp>,
}

/// No pause is longer. One that ends later was written by a wrong clock.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(6);

impl EndpointHealth {
    /// Until when no attempt is made, if that is after `now`.
    pub fn pause(&self, now: Timestamp) -> Option<Timestamp> {
        let longest = now.plus(LONGEST_PAUSE).plus(Timestamp::CLOCK_SKEW);
        self.paused_until
            .filter(|until| now < *until && *until <= longest)
    }
}

impl Endpoint {
    /// Whether the app asked for this event at this endpoint. An event whose data is erased is not sent.
    pub fn wants(&self, event: &Event) -> bool {
        let settings = &self.settings;
        let overridden = event
            .connection
            .as_ref()
            .is_some_and(|connection| connection.url_override.is_some());
        let address = match (self.slot, overridden) {
            (None, _) | (Some(EndpointSlot::Primary), true) => true,
            (Some(EndpointSlot::Secondary), true) => false,
            (Some(_), false) => settings.url.is_some(),
        };
        let integration = match (&settings.integrations, &event.connection) {
            (None, _) => true,
            (Some(wanted), Some(connection)) => wanted.contains(&connection.integration),
            (Some(_), None) => false,
        };
        address
            && integration
            && settings.format.has(event.event_type)
            && event.data.is_some()
            && settings
                .events
                .iter()
                .any(|pattern| matches_type(pattern, event.event_type))
            && settings
                .tags
                .iter()
                .all(|(name, value)| event.tag(name) == Some(value))
            && (settings.unchanged_runs || !event.is_unchanged_run())
    }

    /// The wait before the attempt with this number, from 0; `None` if there is none.
    pub fn wait_before(&self, attempt: i64) -> Option<Duration> {
        let schedule = self
            .settings
            .retry_seconds
            .as_deref()
            .unwrap_or(&DEFAULT_RETRY_SECONDS);
        let seconds = schedule.get(usize::try_from(attempt).ok()?)?;
        Some(Duration::from_secs((*seconds).into()))
    }
}

/// Whether a pattern of an endpoint, such as `*`, `sync.*` or `sync.failed`, covers the type.
pub fn matches_type(pattern: &str, event_type: EventType) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && event_type.as_str().starts_with(prefix),
        None => pattern == event_type.as_str(),
    }
}

/// The state of a delivery. The words are stored and shown, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum DeliveryStatus {
    /// Waits for its next attempt.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// No attempt succeeded, and none is left.
    Failed,
    /// It ended without being accepted: the receiver said so, or its connection was deleted.
    Aborted,
}

impl DeliveryStatus {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The delivery of an event to an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its row number.
    pub number: RowId<Delivery>,
    /// Its id.
    pub id: DeliveryId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The event.
    pub event: EventId,
    /// What kind of event it is.
    pub event_type: EventType,
    /// The name of the connection that the event is about.
    pub connection_name: Option<String>,
    /// That connection's integration.
    pub integration: Option<String>,
    /// Its state.
    pub status: DeliveryStatus,
    /// How many attempts were made.
    pub attempts: i64,
    /// When the next attempt is due; `None` if there is none, or while an earlier event of an ordered endpoint is delivered.
    pub due_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// An attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// Its number, from 1.
    pub attempt: i64,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The status of the response.
    pub status: Option<i64>,
    /// Why there is no good response.
    pub error: Option<String>,
    /// The beginning of the response's body.
    pub response: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_all_types_those_of_a_group_or_one() {
        for (pattern, matches) in [
            ("*", true),
            ("sync.*", true),
            ("sync.failed", true),
            ("sync.f*", false),
            ("sync", false),
            ("action.*", false),
        ] {
            assert_eq!(matches_type(pattern, EventType::SyncFailed), matches, "{pattern}");
        }
    }
}
